//! Lets tasks go that waited for room within a limit, as soon as there is some.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reeve_ids::TaskId;
use reeve_runtime::Progress;

use crate::Error;
use crate::core::Shared;
use crate::dispatch::ReadyTask;
use crate::domain::{Key, Limit, bound_of};
use crate::storage::limits;

/// Tasks of one allowance that one look lets go.
const AT_ONCE: usize = 1_000;
/// How often it is looked without a reason: another replica may have let tasks wait.
const REST: Duration = Duration::from_secs(1);
/// How long a task that was let go is taken to be on its way to an agent. Then others are let go in
/// its place: it may be one that no agent wants.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// How often what counts for nothing is taken away.
const CLEANING: Duration = Duration::from_secs(60);

/// The sweep of those that wait for room. Several replicas may do it: a task goes back to the ready
/// queues once, and whoever leases it looks for room again.
pub struct LimitSweep {
    shared: Shared,
    state: Mutex<State>,
}

struct State {
    looked: Option<Instant>,
    cleaned: Instant,
    /// Tasks that were let go of late.
    on_their_way: HashMap<Key, Vec<(TaskId, Instant)>>,
}

impl LimitSweep {
    /// Over the service.
    pub fn new(shared: Shared) -> Self {
        let state = State {
            looked: None,
            cleaned: Instant::now(),
            on_their_way: HashMap::new(),
        };
        Self {
            shared,
            state: Mutex::new(state),
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When PostgreSQL is away.
    pub async fn tick(&self) -> Result<Progress, Error> {
        let pool = self.shared.database.internal_pool();
        if self.is_time_to_clean() {
            limits::clean(pool).await?;
        }
        if !self.is_time_to_look() {
            return Ok(Progress::Idle);
        }
        let throttle = &self.shared.limits;
        throttle.look();
        let keys = limits::waited_for(pool).await?;
        if keys.is_empty() {
            return Ok(Progress::Idle);
        }
        throttle.wait();
        let freed = self.let_go(&keys).await?;
        Ok((freed > 0).into())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_time_to_clean(&self) -> bool {
        let mut state = self.state();
        let is_time = state.cleaned.elapsed() >= CLEANING;
        if is_time {
            state.cleaned = Instant::now();
        }
        is_time
    }

    fn is_time_to_look(&self) -> bool {
        let mut state = self.state();
        let rested = state.looked.is_none_or(|looked| looked.elapsed() >= REST);
        let is_time = rested || self.shared.limits.is_waiting();
        if is_time {
            state.looked = Some(Instant::now());
        }
        is_time
    }

    /// Answers how many tasks went back to the ready queues.
    async fn let_go(&self, keys: &[Key]) -> Result<usize, Error> {
        let now = self.shared.clock.now();
        let tenants: BTreeSet<_> = keys.iter().map(|(tenant, _)| *tenant).collect();
        let tenants: Vec<_> = tenants.into_iter().collect();
        let mut tx = self.shared.database.internal().await?;
        let all = limits::of_tenants(&mut tx, &tenants).await?;
        let rooms = limits::rooms(&mut tx, keys).await?;
        let unused = limits::unused(&mut tx, &self.on_their_way()).await?;
        let mut freed = Vec::new();
        for key in keys {
            let limits_of = all.get(&key.0).map_or(&[] as &[Limit], Vec::as_slice);
            let room = rooms.get(key).copied().unwrap_or_default();
            let left = bound_of(limits_of, &key.1).map_or(AT_ONCE, |bound| room.left(&bound, now));
            let left = left.saturating_sub(self.coming(key, &unused)).min(AT_ONCE);
            if left == 0 {
                continue;
            }
            let most = i64::try_from(left).unwrap_or(i64::MAX);
            let rows = limits::unpark(&mut tx, key, most).await?;
            freed.push((key.clone(), rows));
        }
        tx.commit().await?;
        let mut ready = Vec::new();
        for (key, rows) in freed {
            let tasks: Vec<_> = rows
                .iter()
                .map(|row| ReadyTask::from_row(row, now))
                .collect();
            self.let_go_of(key, &tasks);
            ready.extend(tasks);
        }
        self.shared.dispatch.admit(&ready).await;
        Ok(ready.len())
    }

    fn on_their_way(&self) -> Vec<TaskId> {
        let mut state = self.state();
        let recent = |sent: &Instant| sent.elapsed() < ON_ITS_WAY;
        state.on_their_way.retain(|_, tasks| {
            tasks.retain(|(_, sent)| recent(sent));
            !tasks.is_empty()
        });
        let all = state.on_their_way.values().flatten();
        all.map(|(task, _)| *task).collect()
    }

    /// How many tasks of an allowance are on their way to an agent.
    fn coming(&self, key: &Key, unused: &std::collections::HashSet<TaskId>) -> usize {
        let state = self.state();
        let tasks = state
            .on_their_way
            .get(key)
            .map_or(&[] as &[_], Vec::as_slice);
        tasks
            .iter()
            .filter(|(task, _)| unused.contains(task))
            .count()
    }

    fn let_go_of(&self, key: Key, tasks: &[ReadyTask]) {
        let now = Instant::now();
        let sent = tasks.iter().map(|task| (task.id, now));
        self.state()
            .on_their_way
            .entry(key)
            .or_default()
            .extend(sent);
    }
}
