//! Who waits in this process for the end of which task. What ends on another replica rings nobody
//! here: who waits looks now and then as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_ids::TaskId;
use tokio::sync::Notify;

/// Those who wait, by task.
#[derive(Debug, Default, Clone)]
pub struct Ends {
    waiting: Arc<Mutex<HashMap<TaskId, Vec<Arc<Notify>>>>>,
}

/// One who waits. Leaves when dropped.
#[derive(Debug)]
pub struct EndWaiter {
    ends: Ends,
    tasks: Vec<TaskId>,
    bell: Arc<Notify>,
}

impl Ends {
    /// Begins to wait for some tasks. Begin, then look, then wait: an end in between is not missed.
    pub fn wait(&self, tasks: Vec<TaskId>) -> EndWaiter {
        let bell = Arc::new(Notify::new());
        let mut waiting = self.lock();
        for task in &tasks {
            waiting.entry(*task).or_default().push(Arc::clone(&bell));
        }
        drop(waiting);
        EndWaiter {
            ends: self.clone(),
            tasks,
            bell,
        }
    }

    /// Tasks have ended, or their holders are to let go; after the commit.
    pub fn ring(&self, tasks: impl IntoIterator<Item = TaskId>) {
        let waiting = self.lock();
        // Most of the time nobody waits, and many tasks end.
        if waiting.is_empty() {
            return;
        }
        for task in tasks {
            let bells = waiting.get(&task).into_iter().flatten();
            bells.for_each(|bell| bell.notify_one());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EndWaiter {
    /// Returns when rung since the last return, or since it began to wait.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for EndWaiter {
    fn drop(&mut self) {
        let mut waiting = self.ends.lock();
        for task in &self.tasks {
            if let Some(bells) = waiting.get_mut(task) {
                bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
                if bells.is_empty() {
                    waiting.remove(task);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_waits_is_rung_for_its_tasks_alone_and_forgotten_when_it_leaves() {
        let ends = Ends::default();
        let [one, two, three] = std::array::from_fn(|_| TaskId::new());
        let first = ends.wait(vec![one, two]);
        let second = ends.wait(vec![two]);
        let is_rung = |waiter: &EndWaiter| waiter.rung().now_or_never().is_some();
        ends.ring([three]);
        assert!(!is_rung(&first) && !is_rung(&second));
        ends.ring([one]);
        assert!(is_rung(&first) && !is_rung(&second));
        ends.ring([one, two]);
        assert!(is_rung(&first) && is_rung(&second) && !is_rung(&first));
        drop(first);
        ends.ring([two]);
        assert!(is_rung(&second));
        drop(second);
        assert!(ends.lock().is_empty());
    }
}
