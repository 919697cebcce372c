//! A private PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::io_error;
use crate::identity::{Identity, require_reach, run_as};
use crate::place;
use crate::secrets::write_private;
use crate::supervisor::{Job, Supervised, pause};
use crate::{Binaries, Error, free_port, require_free};

const WHAT: &str = "PostgreSQL";
const USER: &str = "postgres";
/// Recovery after a crash counts as starting.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long a server of an earlier run, whose starter is gone, may take to stop by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How often a start is tried that was refused for a reason which passes, and the pause between.
const ATTEMPTS: u32 = 20;
const RETRY_PAUSE: Duration = Duration::from_millis(250);

const DURABLE: &str = "shared_buffers = 256MB\nmax_wal_size = 2GB\n";

/// For data that nobody will miss. Each line trades safety after a crash for speed.
const THROWAWAY: &str = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
    shared_buffers = 64MB\nwal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = 256MB\n\
    min_wal_size = 32MB\n";

/// A running PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    pub(crate) server: Supervised,
    port: u16,
    password: String,
}

/// What to start.
pub(crate) struct Plan<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) identity: Option<&'a Identity>,
    /// The folder of the cluster; `log` is beside it.
    pub(crate) data: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) password: &'a str,
    pub(crate) port: Option<u16>,
    pub(crate) durable: bool,
}

impl Postgres {
    /// Starts a prepared cluster.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self, Error> {
        let mut attempts = 1;
        loop {
            let port = choose_port(plan)?;
            match Self::launch(plan, port) {
                Err(Error::Failed { log, .. }) if attempts < ATTEMPTS && passes(plan, &log) => {
                    attempts += 1;
                    pause(RETRY_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    fn launch(plan: &Plan<'_>, port: u16) -> Result<Self, Error> {
        configure(plan, port)?;
        let _ = fs::remove_file(plan.log);
        let job = Job {
            name: WHAT,
            program: &plan.binaries.postgres_bin.join("postgres"),
            arguments: &["-D".to_owned(), plan.data.display().to_string()],
            // "Fast": ends sessions and writes a checkpoint.
            stop_signal: "INT",
            log: plan.log,
            remove: (!plan.durable).then_some(plan.data),
        };
        let mut server = Supervised::spawn(&job, plan.identity)?;
        server.wait_ready(START_PATIENCE, || is_ready(plan.data))?;
        Ok(Self {
            server,
            port,
            password: plan.password.to_owned(),
        })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The administrator's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The administrator's URL of a database ("postgres" always exists).
    pub fn admin_url(&self, database: &str) -> String {
        self.url(USER, &self.password, database)
    }

    /// Another role's URL of a database. All three are taken as they are, so they must not need
    /// escaping in a URL.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{role}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }
}

/// Leaves a cluster of the right version that nobody serves.
pub(crate) fn prepare(plan: &Plan<'_>) -> Result<(), Error> {
    require_reach(plan.identity, &plan.binaries.postgres_bin)?;
    clear_earlier(plan.data)?;
    create_cluster(plan)?;
    require_version(plan)
}

/// Whether the next start may go better: another process may take a free port before PostgreSQL
/// does, and the sessions of a server that was killed live a moment longer than it.
fn passes(plan: &Plan<'_>, log: &str) -> bool {
    let port_lost = plan.port.is_none() && log.contains("Address already in use");
    port_lost || log.contains("shared memory block")
}

fn choose_port(plan: &Plan<'_>) -> Result<u16, Error> {
    match plan.port {
        Some(port) => require_free(port, WHAT).map(|()| port),
        None => free_port().map_err(io_error("find a free port for", plan.data)),
    }
}

/// Makes the cluster if it is not there. An interrupted initdb leaves no `PG_VERSION` that counts,
/// because the folder gets its name last.
fn create_cluster(plan: &Plan<'_>) -> Result<(), Error> {
    if plan.data.join("PG_VERSION").is_file() {
        return Ok(());
    }
    let unfinished = plan.data.with_extension("new");
    let password_file = plan.data.with_extension("password");
    let _ = fs::remove_dir_all(&unfinished);
    write_private(&password_file, plan.password)?;
    place::give(&password_file, plan.identity)?;
    let made = initdb(plan, &unfinished, &password_file);
    let _ = fs::remove_file(&password_file);
    made?;
    fs::rename(&unfinished, plan.data).map_err(io_error("rename", &unfinished))
}

fn initdb(plan: &Plan<'_>, dir: &Path, password_file: &Path) -> Result<(), Error> {
    let program = plan.binaries.postgres_bin.join("initdb");
    let mut command = Command::new(&program);
    command
        .args([
            "--username",
            USER,
            "--encoding",
            "UTF8",
            "--no-locale",
            "--auth",
            "password",
        ])
        .arg("--pwfile")
        .arg(password_file)
        .arg("--pgdata")
        .arg(dir)
        .env_remove("PGDATA")
        .stdin(Stdio::null());
    if !plan.durable {
        command.args(["--no-sync", "--wal-segsize", "4"]);
    }
    run_as(&mut command, plan.identity);
    let output = command.output().map_err(io_error("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let log =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let reason = format!("it ended with {}", output.status);
    Err(Error::Failed {
        what: "initdb",
        reason,
        log: log.concat(),
    })
}

fn require_version(plan: &Plan<'_>) -> Result<(), Error> {
    let file = plan.data.join("PG_VERSION");
    let was = fs::read_to_string(&file)
        .map_err(io_error("read", &file))?
        .trim()
        .to_owned();
    let found = plan.binaries.postgres_major;
    if was == found.to_string() {
        return Ok(());
    }
    Err(Error::OtherVersion {
        dir: plan.data.to_owned(),
        was,
        found,
    })
}

/// Written at every start, so that an old data folder gets today's settings.
fn configure(plan: &Plan<'_>, port: u16) -> Result<(), Error> {
    let kind = if plan.durable { DURABLE } else { THROWAWAY };
    let settings = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
         max_connections = 300\njit = off\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n{kind}"
    );
    // The password is 256 random bits and never leaves the loopback, where scram would protect it
    // from nobody; but its 4,096 hashes cost an unoptimized client a third of a second.
    let access = "host all all 127.0.0.1/32 password\n";
    for (name, text) in [
        ("postgresql.conf", settings.as_str()),
        ("pg_hba.conf", access),
    ] {
        let path = plan.data.join(name);
        write_private(&path, text)?;
        place::give(&path, plan.identity)?;
    }
    Ok(())
}

fn is_ready(data: &Path) -> bool {
    // The eighth line of postmaster.pid is the state.
    pid_file_lines(data)
        .get(7)
        .is_some_and(|state| state.trim() == "ready")
}

fn pid_file_lines(data: &Path) -> Vec<String> {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The process that serves `data` now, if any. The number in the file may have gone to another
/// program since, another PostgreSQL among them: a process that nothing is known of is not ours.
pub(crate) fn running(data: &Path) -> Option<u32> {
    let pid = pid_file_lines(data).first()?.trim().parse().ok()?;
    let data = data.canonicalize().ok()?;
    let started_by = format!("postgres -D {}", data.display());
    command_line(pid).ends_with(&started_by).then_some(pid)
}

/// A process's program and arguments, which everybody may read; empty when there is no such process.
fn command_line(pid: u32) -> String {
    // A bare container has no ps, and macOS has no /proc.
    if let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) {
        let text = String::from_utf8_lossy(&arguments).replace('\0', " ");
        return text.trim_end().to_owned();
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| {
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()
        },
    )
}

/// Waits for a server whose starter was killed a moment ago; stops one that lost its supervisor.
/// The caller holds the folder's lock, so nobody else is entitled to a server here.
fn clear_earlier(data: &Path) -> Result<(), Error> {
    let begun = Instant::now();
    let mut asked = false;
    while let Some(pid) = running(data) {
        if begun.elapsed() > STOP_PATIENCE {
            return Err(Error::StillRunning {
                pid,
                dir: data.to_owned(),
            });
        }
        if !asked && begun.elapsed() > STOP_PATIENCE / 6 {
            asked = true;
            let _ = Command::new("/bin/sh")
                .args(["-c", &format!("kill -s INT {pid}")])
                .status();
        }
        pause(Duration::from_millis(50));
    }
    // Left by a crash. Otherwise its number, gone to another process, would forbid the start.
    let _ = fs::remove_file(data.join("postmaster.pid"));
    Ok(())
}

/// The name of a cluster that may be copied: initdb's result depends on these.
pub(crate) fn template_name(binaries: &Binaries) -> PathBuf {
    let bin: String = binaries.postgres_bin.to_string_lossy().replace('/', "-");
    PathBuf::from(format!("postgres-{}{bin}", binaries.postgres_major))
}

#[cfg(test)]
mod tests {
    use std::process::Child;

    use super::*;
    use crate::place::tests::Scratch;

    /// A program called postgres that waits in `data`, and whose number `data` names as its server's.
    fn namesake(scratch: &Scratch, directory: &str) -> Child {
        let program = scratch.path().join("postgres");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let data = scratch.path().join("data");
        place::make_dir(&data, 0o700).unwrap();
        let child = Command::new(&program)
            .args(["-c", "read -r _", "postgres", "-D", directory])
            .current_dir(&data)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // For an instant a program that has just been started has no arguments.
        let deadline = Instant::now() + Duration::from_secs(60);
        while command_line(child.id()).is_empty() {
            assert!(Instant::now() < deadline, "it has no arguments");
            pause(Duration::from_millis(1));
        }
        fs::write(data.join("postmaster.pid"), format!("{}\n", child.id())).unwrap();
        child
    }

    #[test]
    fn a_postgres_started_on_other_data_is_left_alone() {
        let scratch = Scratch::new();
        let data = scratch.path().join("data");
        let mut other = namesake(&scratch, "/var/lib/postgresql/15/main");
        assert_eq!(running(&data), None);
        clear_earlier(&data).unwrap();
        assert!(other.try_wait().unwrap().is_none(), "it was stopped");
        assert!(!data.join("postmaster.pid").exists());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_postgres_started_on_this_data_is_recognized() {
        let scratch = Scratch::new();
        let data = scratch.path().canonicalize().unwrap().join("data");
        let mut ours = namesake(&scratch, &data.display().to_string());
        assert_eq!(running(&data), Some(ours.id()));
        ours.kill().unwrap();
        ours.wait().unwrap();
        assert_eq!(running(&data), None);
    }
}
