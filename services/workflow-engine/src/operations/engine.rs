//! What every operation works with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_auth::{Caller, PrincipalKind};
use reeve_clock::Clock;
use reeve_contracts::event::v1::{ActorKind as WireKind, Event as WireEvent};
use reeve_events::{Actor as EventActor, Wake};
use reeve_ids::{ExecutionId, TenantId, WorkflowId};
use reeve_postgres::Database;
use reeve_redis::Wakeups;
use sqlx::PgConnection;
use tokio::sync::Notify;

use crate::clients::TaskQueue;
use crate::domain::decide::Circumstances;
use crate::domain::event::{Actor, ActorKind};
use crate::domain::plan::Plan;
use crate::error::Error;
use crate::metrics::Counters;
use crate::storage::rows::Published;
use crate::storage::workflows::{self, Which};

/// The service's name, as the source of its events.
pub const SERVICE: &str = "workflow-engine";
/// Plans that are kept compiled.
const PLAN_LIMIT: usize = 1_000;

/// The engine's parts; operations are its methods.
pub struct Engine {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskQueue,
    pub(crate) plans: Plans,
    pub(crate) counters: Counters,
    /// Wakes the relay of events.
    pub(crate) wake: Wake,
    /// Wakes the relay of commands.
    pub(crate) commands: Arc<Notify>,
    /// Wakes watches, here and in other replicas.
    pub(crate) watches: Wakeups,
    pub(crate) grace: TimeDelta,
    pub(crate) approval_timeout: TimeDelta,
    /// Commands claimed at a time.
    pub(crate) command_batch: i64,
    /// Calls to task-queue at a time.
    pub(crate) calls: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Engine")
    }
}

impl Engine {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn circumstances(&self, author: &Author) -> Circumstances {
        Circumstances {
            now: self.now(),
            actor: author.actor.clone(),
            grace: self.grace,
            approval_timeout: self.approval_timeout,
        }
    }

    /// Tells everyone who may wait for an execution that it changed. Call it after the commit.
    pub(crate) fn changed(&self, id: ExecutionId, has_commands: bool) {
        self.wake.notify();
        self.watches.publish(&id.to_string());
        if has_commands {
            self.commands.notify_one();
        }
    }

    /// A version's plan, which storage has.
    pub(crate) async fn plan(
        &self,
        connection: &mut PgConnection,
        tenant: TenantId,
        workflow: WorkflowId,
        version: i32,
    ) -> Result<Arc<Planned>, Error> {
        if let Some(planned) = self.plans.get(workflow, version) {
            return Ok(planned);
        }
        let published = workflows::get(connection, tenant, &Which::Id(workflow), version).await?;
        let name = || format!("{workflow} version {version}");
        let published = published.ok_or_else(|| Error::NotFound {
            kind: "workflow",
            name: name(),
        })?;
        self.plans.keep(published).await
    }

    /// As [`Engine::plan`]; of a version that cannot be executed any more, the names of its steps.
    pub(crate) async fn names(
        &self,
        connection: &mut PgConnection,
        tenant: TenantId,
        workflow: WorkflowId,
        version: i32,
    ) -> Result<Arc<Planned>, Error> {
        match self.plan(connection, tenant, workflow, version).await {
            Err(Error::CorruptDefinition { .. } | Error::Panicked) => {}
            plan => return plan,
        }
        let which = Which::Id(workflow);
        let published = workflows::get(connection, tenant, &which, version).await?;
        let published = published.ok_or(reeve_postgres::Error::RowNotFound)?;
        let plan = Plan::names_of(published.definition.clone());
        Ok(Arc::new(Planned { published, plan }))
    }
}

/// Does work that may take time away from the threads that serve calls.
///
/// # Errors
/// [`Error::Panicked`], or [`Error::Stopping`] when the process ends before the work began.
pub(crate) async fn away<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        if error.is_panic() {
            Error::Panicked
        } else {
            Error::Stopping
        }
    })
}

/// A published version, compiled.
#[derive(Debug)]
pub struct Planned {
    /// The version.
    pub published: Published,
    /// What executions run.
    pub plan: Plan,
}

/// Compiled versions. They never change, so they never get stale.
#[derive(Debug, Default)]
pub struct Plans(Mutex<HashMap<(WorkflowId, i32), Arc<Planned>>>);

impl Plans {
    fn get(&self, workflow: WorkflowId, version: i32) -> Option<Arc<Planned>> {
        self.lock().get(&(workflow, version)).cloned()
    }

    /// Compiles and keeps a version.
    pub(crate) async fn keep(&self, published: Published) -> Result<Arc<Planned>, Error> {
        let key = (published.id, published.version);
        if let Some(planned) = self.get(key.0, key.1) {
            return Ok(planned);
        }
        let definition = published.definition.clone();
        let compiled = away(move || Plan::of_published(definition)).await?;
        let plan = compiled.map_err(|defects| {
            let first = defects.into_iter().next();
            Error::CorruptDefinition {
                workflow: format!(
                    "{} version {}",
                    published.definition.name, published.version
                ),
                first: first
                    .map(|it| format!("{}: {}", it.field, it.description))
                    .unwrap_or_default(),
            }
        })?;
        let planned = Arc::new(Planned { published, plan });
        let mut plans = self.lock();
        if plans.len() >= PLAN_LIMIT {
            plans.clear();
        }
        plans.insert(key, Arc::clone(&planned));
        Ok(planned)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(WorkflowId, i32), Arc<Planned>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who causes a change: for the history, and for the events.
#[derive(Debug, Clone)]
pub struct Author {
    pub(crate) actor: Actor,
    pub(crate) event_actor: EventActor,
}

impl Author {
    /// The engine itself.
    pub fn engine() -> Self {
        Self {
            actor: Actor::engine(),
            event_actor: EventActor::service(SERVICE),
        }
    }
}

impl From<&Caller> for Author {
    fn from(caller: &Caller) -> Self {
        let kind = match caller.principal.kind {
            PrincipalKind::User => ActorKind::User,
            PrincipalKind::Agent => ActorKind::Agent,
            PrincipalKind::Service => ActorKind::Service,
        };
        let actor = Actor {
            kind,
            subject: caller.principal.subject.clone(),
            display_name: caller.principal.display_name.clone(),
        };
        Self {
            actor,
            event_actor: EventActor::from(caller),
        }
    }
}

impl From<&WireEvent> for Author {
    /// Whoever caused an event of another service also caused what follows from it.
    fn from(event: &WireEvent) -> Self {
        let actor = event.actor.clone().unwrap_or_default();
        let kind = match actor.kind() {
            WireKind::User => ActorKind::User,
            WireKind::Agent => ActorKind::Agent,
            WireKind::Service | WireKind::Unspecified => ActorKind::Service,
        };
        let actor = Actor {
            kind,
            subject: actor.subject,
            display_name: actor.display_name,
        };
        Self {
            actor,
            event_actor: EventActor::from(event),
        }
    }
}
