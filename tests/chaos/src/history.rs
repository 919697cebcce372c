//! What was acknowledged: added to by clients and agents, and compared with the truth at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::plan::Plan;

/// The acknowledgements of a run.
#[derive(Debug, Default)]
pub struct History {
    created: Mutex<BTreeMap<String, Plan>>,
    cancelled: Mutex<BTreeSet<String>>,
    completed: Mutex<BTreeMap<String, BTreeSet<String>>>,
    failed: Mutex<BTreeMap<String, BTreeSet<String>>>,
    wrong: Mutex<Vec<String>>,
    /// Ends that were refused because the lease was lost.
    pub lost: AtomicU64,
    /// Calls that had to be repeated.
    pub repeated: AtomicU64,
    /// Times that an agent fell silent.
    pub silences: AtomicU64,
}

/// Tasks with the leases under which something was accepted.
pub type Accepted = BTreeMap<String, BTreeSet<String>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A task was created.
    pub fn created(&self, task: String, plan: Plan) {
        if lock(&self.created).insert(task.clone(), plan).is_some() {
            self.wrong(format!("two requests were answered with task {task}"));
        }
    }

    /// A cancellation was accepted.
    pub fn cancelled(&self, task: String) {
        lock(&self.cancelled).insert(task);
    }

    /// A completion was accepted.
    pub fn completed(&self, task: &str, token: &str) {
        note(&self.completed, task, token);
    }

    /// A failure was accepted that ended the task.
    pub fn failed(&self, task: &str, token: &str) {
        note(&self.failed, task, token);
    }

    /// The lease was lost.
    pub fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was not answered as it should be, and is repeated.
    pub fn repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// An agent falls silent.
    pub fn silence(&self) {
        self.silences.fetch_add(1, Ordering::Relaxed);
    }

    /// Something happened that must not.
    pub fn wrong(&self, what: String) {
        lock(&self.wrong).push(what);
    }

    /// Every task that was acknowledged, with its plan.
    pub fn tasks(&self) -> BTreeMap<String, Plan> {
        lock(&self.created).clone()
    }

    /// Tasks whose cancellation was accepted.
    pub fn cancellations(&self) -> BTreeSet<String> {
        lock(&self.cancelled).clone()
    }

    /// Completions.
    pub fn completions(&self) -> Accepted {
        lock(&self.completed).clone()
    }

    /// Failures that ended a task.
    pub fn failures(&self) -> Accepted {
        lock(&self.failed).clone()
    }

    /// What happened that must not.
    pub fn wrongs(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }
}

fn note(of: &Mutex<Accepted>, task: &str, token: &str) {
    lock(of)
        .entry(task.to_owned())
        .or_default()
        .insert(token.to_owned());
}
