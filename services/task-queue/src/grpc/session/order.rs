//! What an agent says about one lease is done in the order in which it was said, although messages
//! are at work side by side: a completion must not overtake the progress before it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::LeaseToken;

/// The last message about each lease that is not done.
#[derive(Debug, Default)]
pub struct Order {
    last: Mutex<HashMap<LeaseToken, Entry>>,
    next: AtomicU64,
}

#[derive(Debug, Clone)]
struct Entry {
    message: u64,
    done: CancellationToken,
}

/// A message's place. It is done when this is dropped.
#[derive(Debug)]
pub struct Place {
    order: Arc<Order>,
    message: u64,
    leases: Vec<LeaseToken>,
    before: Vec<CancellationToken>,
    _done: DropGuard,
}

impl Order {
    /// Takes a place behind every earlier message about these leases. Called in the order of the
    /// messages.
    pub fn enter(this: &Arc<Self>, leases: Vec<LeaseToken>) -> Place {
        let done = CancellationToken::new();
        let message = this.next.fetch_add(1, Ordering::Relaxed);
        let mut last = lock(&this.last);
        let mut before = HashMap::new();
        for lease in &leases {
            let done = done.clone();
            if let Some(earlier) = last.insert(*lease, Entry { message, done }) {
                before.insert(earlier.message, earlier.done);
            }
        }
        drop(last);
        // Of a message that names a lease twice.
        before.remove(&message);
        Place {
            order: Arc::clone(this),
            message,
            leases,
            before: before.into_values().collect(),
            _done: done.drop_guard(),
        }
    }

    /// Takes a place behind every message so far.
    pub fn enter_last(this: &Arc<Self>) -> Place {
        let leases = lock(&this.last).keys().copied().collect();
        Self::enter(this, leases)
    }
}

impl Place {
    /// Returns when it is this message's turn.
    pub async fn turn(&self) {
        for earlier in &self.before {
            earlier.cancelled().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut last = lock(&self.order.last);
        for lease in &self.leases {
            if last
                .get(lease)
                .is_some_and(|entry| entry.message == self.message)
            {
                last.remove(lease);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use reeve_ids::TaskId;

    use super::*;

    fn lease() -> LeaseToken {
        LeaseToken {
            task_id: TaskId::new(),
            fence: 1,
        }
    }

    fn may_go(place: &Place) -> bool {
        place.turn().now_or_never().is_some()
    }

    #[test]
    fn messages_about_one_lease_wait_for_each_other_and_others_do_not() {
        let order = Arc::new(Order::default());
        let (one, two) = (lease(), lease());
        let first = Order::enter(&order, vec![one, one]);
        let second = Order::enter(&order, vec![one, two]);
        let third = Order::enter(&order, vec![two]);
        let stranger = Order::enter(&order, vec![lease()]);
        let goodbye = Order::enter_last(&order);
        assert!(may_go(&first) && may_go(&stranger));
        assert!(!may_go(&second) && !may_go(&third));
        drop(first);
        assert!(may_go(&second) && !may_go(&third));
        drop(second);
        assert!(may_go(&third) && !may_go(&goodbye));
        drop((third, stranger));
        assert!(may_go(&goodbye));
        drop(goodbye);
        assert!(
            lock(&order.last).is_empty(),
            "nothing is kept of what is done"
        );
    }
}
