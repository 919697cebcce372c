//! The shell around each server. It exists because a process killed with SIGKILL can do nothing
//! about its children, while the kernel always closes its pipes.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::error::io_error;
use crate::identity::{Identity, run_as};

const SCRIPT: &str = include_str!("supervisor.sh");
const LOG_TAIL_LINES: usize = 20;
const POLL: Duration = Duration::from_millis(5);

/// What to run.
pub(crate) struct Job<'a> {
    /// "PostgreSQL" or "Redis".
    pub(crate) name: &'static str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [String],
    /// "INT" or "TERM".
    pub(crate) stop_signal: &'static str,
    pub(crate) log: &'a Path,
    /// Removed after the server has ended.
    pub(crate) remove: Option<&'a Path>,
}

/// A server under its shell.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: &'static str,
    shell: Child,
    log: PathBuf,
}

impl Supervised {
    pub(crate) fn spawn(job: &Job<'_>, identity: Option<&Identity>) -> Result<Self, Error> {
        let log = File::options().create(true).append(true).open(job.log);
        let log = log.map_err(io_error("open", job.log))?;
        let errors = log.try_clone().map_err(io_error("open", job.log))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "reeve-supervisor", job.stop_signal])
            .arg(job.remove.unwrap_or(Path::new("")))
            .arg(job.program)
            .args(job.arguments)
            .env("LC_ALL", "C")
            .env_remove("PGDATA")
            .env_remove("PGPORT")
            .env_remove("PGOPTIONS")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C reaches the starter alone, which stops its servers last.
            .process_group(0);
        run_as(&mut command, identity);
        let shell = command.spawn().map_err(io_error("run", "/bin/sh"))?;
        Ok(Self {
            name: job.name,
            shell,
            log: job.log.to_owned(),
        })
    }

    /// Waits until `ready` says so. Fails when the server ends first or `patience` runs out.
    pub(crate) fn wait_ready(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        while !ready() {
            if let Some(status) = self.exited() {
                return Err(self.failed(format!("it ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.failed(format!("not ready after {} s", patience.as_secs())));
            }
            pause(POLL);
        }
        Ok(())
    }

    /// How the server ended, if it did.
    fn exited(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        drop(self.shell.stdin.take());
        self.shell
            .wait()
            .map(drop)
            .map_err(io_error("wait for", "/bin/sh"))
    }

    /// Fails when the server, once started, has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.exited() {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                what: self.name,
                status,
                log: tail(&self.log),
            }),
        }
    }

    fn failed(&self, reason: String) -> Error {
        Error::Failed {
            what: self.name,
            reason,
            log: tail(&self.log),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// Everything here blocks; an asynchronous caller starts it on a thread for that.
#[expect(clippy::disallowed_methods, reason = "there is no runtime here")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}
