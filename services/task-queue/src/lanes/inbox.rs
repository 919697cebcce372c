//! What waits for a flusher, tenant by tenant: each in turn gives one job, so that one which hands in
//! thousands makes nobody wait for more than the flush that runs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reeve_ids::TenantId;
use tokio::sync::Notify;

/// The jobs that wait.
#[derive(Debug)]
pub struct Inbox<J> {
    state: Mutex<State<J>>,
    bell: Notify,
    /// Jobs of one tenant that may wait while nobody else's do.
    most: usize,
}

#[derive(Debug)]
struct State<J> {
    tenants: HashMap<TenantId, VecDeque<J>>,
    /// Tenants that have a job, in the order of their turns.
    turns: VecDeque<TenantId>,
    waiting: usize,
    closed: bool,
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The tenant has as many waiting as it may.
    Full,
    /// Nobody takes jobs any more.
    Closed,
}

impl<J> Inbox<J> {
    /// Nothing waits.
    pub fn new(most: usize) -> Self {
        let state = State {
            tenants: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            bell: Notify::new(),
            most,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job behind those of its tenant. A tenant may have as many waiting as there is room left
    /// for others: alone it may fill half of the room, and the more there are the less each may have,
    /// so that who comes always finds some.
    pub fn push(&self, tenant: TenantId, job: J) -> Result<(), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        let left = (2 * self.most).saturating_sub(state.waiting);
        let waits = state.tenants.get(&tenant).map_or(0, VecDeque::len);
        if waits >= left {
            return Err(Refused::Full);
        }
        let own = state.tenants.entry(tenant).or_default();
        own.push_back(job);
        if own.len() == 1 {
            state.turns.push_back(tenant);
        }
        state.waiting += 1;
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Takes the first job of the tenant whose turn it is, if there is any.
    pub fn take(&self) -> Option<J> {
        let mut state = self.state();
        let tenant = state.turns.pop_front()?;
        let own = state.tenants.get_mut(&tenant)?;
        let job = own.pop_front();
        if own.is_empty() {
            state.tenants.remove(&tenant);
        } else {
            state.turns.push_back(tenant);
        }
        state.waiting -= 1;
        job
    }

    /// Waits for a job; nothing when the inbox is closed and empty.
    pub async fn next(&self) -> Option<J> {
        loop {
            let rung = self.bell.notified();
            if let Some(job) = self.take() {
                return Some(job);
            }
            if self.state().closed {
                return None;
            }
            rung.await;
        }
    }

    /// Takes nothing more.
    pub fn close(&self) {
        self.state().closed = true;
        self.bell.notify_one();
    }

    /// How many wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.state().waiting
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_tenant_gives_one_job_in_turn() {
        let (noisy, quiet) = (TenantId::new(), TenantId::new());
        let inbox = Inbox::new(100);
        for number in 0..50 {
            inbox.push(noisy, number).expect("there is room");
        }
        assert_eq!(inbox.take(), Some(0));
        inbox.push(quiet, 100).expect("there is room");
        inbox.push(quiet, 101).expect("there is room");
        let next: Vec<_> = (0..5).map_while(|_| inbox.take()).collect();
        assert_eq!(next, [1, 100, 2, 101, 3]);
    }

    #[tokio::test]
    async fn what_waits_when_it_closes_is_taken() {
        let inbox = Inbox::new(1);
        let tenant = TenantId::new();
        inbox.push(tenant, 1).expect("there is room");
        assert_eq!(inbox.push(tenant, 2), Err(Refused::Full));
        inbox.close();
        assert_eq!(inbox.push(TenantId::new(), 3), Err(Refused::Closed));
        assert_eq!(inbox.next().await, Some(1));
        assert_eq!(inbox.next().await, None);
    }

    proptest! {
        /// Whoever else hands in how much: a tenant with nothing waiting is taken in, its jobs keep
        /// their order, and it waits for no more than one job of each of the others.
        #[test]
        fn nobody_is_kept_out_or_waits_for_more_than_one_job_of_each(
            pushes in prop::collection::vec((0..6_usize, any::<bool>()), 1..300),
            most in 8..40_usize,
        ) {
            let tenants: Vec<_> = (0..6).map(|_| TenantId::new()).collect();
            let inbox = Inbox::new(most);
            let mut pushed = [0_usize; 6];
            let mut taken = [0_usize; 6];
            for (who, takes) in pushes {
                match inbox.push(tenants[who], (who, pushed[who])) {
                    Ok(()) => pushed[who] += 1,
                    Err(_) => prop_assert!(pushed[who] > taken[who], "one without a job is kept out"),
                }
                if takes && let Some((whose, number)) = inbox.take() {
                    prop_assert_eq!(number, taken[whose], "out of order");
                    taken[whose] += 1;
                }
            }
            let others = (1..6).filter(|who| pushed[*who] > taken[*who]).count();
            if pushed[0] > taken[0] {
                let before: Vec<_> = std::iter::from_fn(|| inbox.take())
                    .take_while(|(who, _)| *who != 0)
                    .collect();
                prop_assert!(before.len() <= others, "{before:?}");
            }
        }
    }
}
