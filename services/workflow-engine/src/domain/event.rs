//! What can happen to an execution.

use serde_json::Value;

use super::failure::Failure;
use super::words::words;

words! {
    /// The sort of principal.
    ActorKind {
        /// A person, or a program acting for one.
        User = "USER",
        /// An agent.
        Agent = "AGENT",
        /// One of Reeve's services.
        Service = "SERVICE",
    }

    /// What a timer is for.
    TimerKind {
        /// The next attempt is due.
        Retry = "RETRY",
        /// The attempt, or the decision, took too long.
        StepTimeout = "STEP_TIMEOUT",
        /// The execution took too long.
        Deadline = "DEADLINE",
        /// Tasks had their time to stop.
        Grace = "GRACE",
    }
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Sort.
    pub kind: ActorKind,
    /// Stable name.
    pub subject: String,
    /// Name for people.
    pub display_name: String,
}

impl Actor {
    /// The engine itself, for example by a timer.
    pub fn engine() -> Self {
        Self {
            kind: ActorKind::Service,
            subject: "service:workflow-engine".into(),
            display_name: "workflow-engine".into(),
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The execution was accepted.
    Start,
    /// A caller pauses it.
    Pause(String),
    /// A caller resumes it.
    Resume,
    /// A caller cancels it.
    Cancel(String),
    /// Something became of a step's task.
    Task(TaskReport),
    /// Somebody decided; that they may was checked before.
    Decided {
        /// The step.
        step: usize,
        /// Whether they agree.
        approved: bool,
        /// What they said.
        comment: String,
        /// Digest of what they saw.
        digest: String,
    },
    /// A timer's time came.
    Timer {
        /// What for.
        kind: TimerKind,
        /// The step; nothing for the execution's own.
        step: Option<usize>,
        /// The step's attempt when the timer was set; 0 for the execution's own.
        attempt: u32,
    },
}

/// What became of a step's task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReport {
    /// The step.
    pub step: usize,
    /// The attempt that the task was created for.
    pub attempt: u32,
    /// What became of it.
    pub news: TaskNews,
}

/// News of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskNews {
    /// An agent started it.
    Started {
        /// The agent.
        agent_id: String,
    },
    /// Its agent vanished; the queue offers it again.
    LeaseLost,
    /// It is done.
    Completed {
        /// The agent.
        agent_id: String,
        /// What came of it.
        result: Value,
    },
    /// It is not done and will not be.
    Failed {
        /// Why; its class says how.
        failure: Failure,
    },
    /// It was cancelled, by the engine's own wish or by somebody else's.
    Cancelled,
}
