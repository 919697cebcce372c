//! Folders: where the servers' files go, whether there is room, and whose they are.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Error;
use crate::error::io_error;
use crate::identity::{Identity, require_reach};
use crate::{Lock, holder, postgres};

/// Where root puts data when the user it drops to cannot reach the folder that was asked for.
const ROOT_FALLBACK: &str = "/var/lib/reeve";
/// A folder this young may belong to a process that is about to lock it.
const TOO_YOUNG: Duration = Duration::from_secs(60);

/// Free bytes on the file system of `dir`. The standard library cannot tell, POSIX `df -P` can.
pub fn free_bytes(dir: &Path) -> Result<u64, Error> {
    let output = Command::new("df").arg("-Pk").arg(dir).output();
    let output = output.map_err(io_error("run df for", dir))?;
    parse_df(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| io_error("run df for", dir)(io::ErrorKind::InvalidData.into()))
}

fn parse_df(text: &str) -> Option<u64> {
    let kibibytes: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kibibytes.saturating_mul(1_024))
}

/// Whether the servers of `dir` were left by a process that is gone, and have ended too.
pub fn is_abandoned(dir: &Path) -> bool {
    let age = fs::metadata(dir)
        .and_then(|meta| meta.modified())
        .map(|time| time.elapsed());
    let old = age.is_ok_and(|age| age.is_ok_and(|age| age > TOO_YOUNG));
    old && holder(dir).is_none() && postgres::running(&dir.join("postgres")).is_none()
}

pub(crate) fn require_space(dir: &Path, needed: u64) -> Result<(), Error> {
    let free = free_bytes(dir)?;
    if free < needed {
        return Err(Error::NoSpace {
            dir: dir.to_owned(),
            free,
            needed,
        });
    }
    Ok(())
}

/// Makes `dir`, and the folders above it. `mode` is the mode of `dir` itself.
pub(crate) fn make_dir(dir: &Path, mode: u32) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(dir);
    made.map_err(io_error("create", dir))
}

/// The folder for the servers' files: `wanted`, or a stand-in when root's substitute cannot get
/// there (a checkout under /root, for one).
pub(crate) fn reachable(wanted: &Path, identity: Option<&Identity>) -> Result<PathBuf, Error> {
    let wanted = wanted.canonicalize().map_err(io_error("find", wanted))?;
    let parent = wanted.parent().unwrap_or(Path::new("/"));
    if require_reach(identity, parent).is_ok() {
        return Ok(wanted);
    }
    let dir = stand_in(&wanted);
    make_dir(Path::new(ROOT_FALLBACK), 0o755)?;
    make_dir(&dir, 0o700)?;
    Ok(dir)
}

/// The stand-in for a folder, with a name that no other folder's has.
fn stand_in(wanted: &Path) -> PathBuf {
    let path = wanted.to_string_lossy();
    let name = path
        .trim_matches('/')
        .replace('%', "%25")
        .replace('/', "%2F");
    Path::new(ROOT_FALLBACK).join(name)
}

/// Removes what servers kept for `data_dir`, its stand-in included. Nothing is there: nothing is done.
///
/// # Errors
/// When somebody uses the folder, or it cannot be removed.
pub fn purge(data_dir: &Path) -> Result<(), Error> {
    let Ok(wanted) = data_dir.canonicalize() else {
        return Ok(());
    };
    for dir in [stand_in(&wanted), wanted] {
        if !dir.is_dir() {
            continue;
        }
        let _lock = Lock::take(&dir)?;
        if let Some(pid) = postgres::running(&dir.join("postgres")) {
            return Err(Error::StillRunning { pid, dir });
        }
        fs::remove_dir_all(&dir).map_err(io_error("remove", &dir))?;
    }
    Ok(())
}

/// Makes `identity` the owner of one file or folder. Links are not followed: what lies in a folder
/// that another user owns may point anywhere.
pub(crate) fn give(path: &Path, identity: Option<&Identity>) -> Result<(), Error> {
    let Some(identity) = identity else {
        return Ok(());
    };
    lchown(path, Some(identity.uid), Some(identity.gid)).map_err(io_error("chown", path))
}

/// Makes `identity` the owner of `dir` and everything in it.
pub(crate) fn give_all(dir: &Path, identity: Option<&Identity>) -> Result<(), Error> {
    if identity.is_some() && fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
        for entry in fs::read_dir(dir).map_err(io_error("read", dir))? {
            give_all(&entry.map_err(io_error("read", dir))?.path(), identity)?;
        }
    }
    give(dir, identity)
}

/// Copies a folder of plain files and folders; the copy is private.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    make_dir(to, 0o700)?;
    for entry in fs::read_dir(from).map_err(io_error("read", from))? {
        let entry = entry.map_err(io_error("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(io_error("copy", &source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A folder of one test, removed with it.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("reeve-launcher-{}-{number}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            make_dir(&dir, 0o755).unwrap();
            Self(dir)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn free_space_is_read_from_the_portable_format() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
            /dev/disk1 1000 400 600 40% /some where\n";
        assert_eq!(parse_df(text), Some(600 * 1_024));
        assert_eq!(parse_df("df: no such file"), None);
        assert!(free_bytes(Path::new("/")).is_ok());
    }

    #[test]
    fn a_full_disk_is_an_error_with_both_figures() {
        let error = require_space(Path::new("/"), u64::MAX).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NoSpace {
                    needed: u64::MAX,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_copy_holds_the_same_files() {
        let scratch = Scratch::new();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        make_dir(&from.join("deep"), 0o700).unwrap();
        fs::write(from.join("deep/file"), "text").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("deep/file")).unwrap(), "text");
    }

    #[test]
    fn no_two_folders_share_a_stand_in() {
        let paths = ["/srv/a-b", "/srv/a/b", "/srv/a%2Fb", "/srv-a/b"];
        let names: std::collections::BTreeSet<_> =
            paths.iter().map(|path| stand_in(Path::new(path))).collect();
        assert_eq!(names.len(), paths.len(), "{names:?}");
    }

    #[test]
    fn a_purge_removes_a_folder_that_nobody_uses() {
        let scratch = Scratch::new();
        let dir = scratch.path().join("servers");
        make_dir(&dir.join("postgres"), 0o700).unwrap();
        let lock = Lock::take(&dir).unwrap();
        assert!(matches!(purge(&dir), Err(Error::AlreadyRunning { .. })));
        drop(lock);
        purge(&dir).unwrap();
        assert!(!dir.exists());
        purge(&dir).unwrap();
    }

    #[test]
    fn a_young_folder_is_never_abandoned() {
        let scratch = Scratch::new();
        assert!(!is_abandoned(scratch.path()));
    }
}
