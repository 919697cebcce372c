//! A running program with everything it starts: one process group, which ends as a whole.
//!
//! A shell that is killed does not take its children with it, and an agent that is killed can do
//! nothing any more. So every program leads a group of its own; whatever is left of the group is
//! killed when the program has ended; and a watchdog, one for each agent, ends the groups when the
//! agent is gone (`watchdog.sh`). A process that leaves the group (setsid) is on its own.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

/// How often a group that was asked to end is looked at.
const LOOK: Duration = Duration::from_millis(20);
const WATCHDOG: &str = include_str!("watchdog.sh");

/// The pipe whose end tells the watchdog that the agent has ended.
pub struct Lifeline(Mutex<ChildStdin>);

impl Lifeline {
    /// Starts the watchdog.
    pub fn new() -> std::io::Result<Arc<Self>> {
        let mut watchdog = std::process::Command::new("sh")
            .args(["-c", WATCHDOG, "reeve-watchdog"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to the agent's own group is not for the watchdog.
            .process_group(0)
            .spawn()?;
        let pipe = watchdog.stdin.take();
        let pipe = pipe.ok_or_else(|| std::io::Error::other("the watchdog has no pipe"))?;
        Ok(Arc::new(Self(Mutex::new(pipe))))
    }

    fn tell(&self, sign: char, group: Pid) {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(pipe, "{sign} {}", group.as_raw_nonzero()) {
            tracing::warn!(%error, "the watchdog is gone; programs would outlive a killed agent");
        }
    }
}

/// The process group of one program; killed when dropped.
pub struct Group {
    id: Pid,
    lifeline: Weak<Lifeline>,
}

impl Group {
    /// Starts a command as the leader of a group.
    pub fn spawn(
        command: &mut Command,
        lifeline: &Arc<Lifeline>,
    ) -> std::io::Result<(Self, Child)> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw);
        let id = id.ok_or_else(|| std::io::Error::other("the program has no process id"))?;
        lifeline.tell('+', id);
        let lifeline = Arc::downgrade(lifeline);
        Ok((Self { id, lifeline }, child))
    }

    /// Asks every process of the group to end.
    pub fn terminate(&self) {
        let _ = kill_process_group(self.id, Signal::TERM);
    }

    /// Returns when no process of the group is left.
    pub async fn is_empty(&self) {
        // Nothing tells of it, so it is asked for.
        while test_kill_process_group(self.id).is_ok() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that is empty already is no error.
        let _ = kill_process_group(self.id, Signal::KILL);
        if let Some(lifeline) = self.lifeline.upgrade() {
            lifeline.tell('-', self.id);
        }
    }
}
