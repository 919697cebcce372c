//! One file a verb, one transaction each: lock, change by the domain, save with the timeline and
//! the events, commit, wake.

pub mod apply_rules;
pub mod audit;
pub mod change;
pub mod close_incident;
pub mod collect_evidence;
pub mod create_incident;
pub mod events;
pub mod finish_part;
pub mod ingest_events;
pub mod list_incidents;
pub mod open_by_rule;
pub mod postmortem;
pub mod postmortem_text;
pub mod record_breaches;
pub mod record_part;
pub mod resolve_incident;
pub mod rules;
pub mod transition_incident;
pub mod update_incident;
pub mod view;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_auth::{Caller, PrincipalKind};
use reeve_clock::Clock;
use reeve_events::Wake;
use reeve_ids::{TenantId, Uuid};
use reeve_postgres::Database;
use tokio::sync::{Notify, watch};

use crate::domain::classification::ResponseTargets;
use crate::domain::logged::{Actor, ActorKind};
use crate::metrics::Counters;
pub use crate::storage::alerts::Filter as AlertFilter;
pub use crate::storage::events::{Direction, Filter as EventFilter};
pub use crate::storage::incidents::Filter as IncidentFilter;
pub use crate::storage::requests::Key as RequestKey;

/// What operations may be told.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long each priority allows for a response.
    pub targets: ResponseTargets,
    /// How long after its close an incident may be reopened.
    pub reopen_limit: TimeDelta,
    /// How long a task is asked for before evidence is left incomplete.
    pub evidence_patience: TimeDelta,
}

/// Tells loops and streams of this process that the log has grown. Losing one costs a second: they
/// also look by themselves.
#[derive(Debug, Clone)]
pub struct Grown {
    rules: Arc<Notify>,
    streams: Arc<watch::Sender<u64>>,
    evidence: Arc<Notify>,
}

impl Grown {
    fn new() -> Self {
        Self {
            rules: Arc::new(Notify::new()),
            streams: Arc::new(watch::Sender::new(0)),
            evidence: Arc::new(Notify::new()),
        }
    }

    fn log(&self) {
        self.rules.notify_one();
        self.streams
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What the rules' loop waits on.
    pub fn rules(&self) -> Arc<Notify> {
        Arc::clone(&self.rules)
    }

    /// What the evidence's loop waits on.
    pub fn evidence(&self) -> Arc<Notify> {
        Arc::clone(&self.evidence)
    }

    /// Changes when the log grows.
    pub fn streams(&self) -> watch::Receiver<u64> {
        self.streams.subscribe()
    }
}

/// The tenant whose rules were applied last, so that the next pass begins after it.
#[derive(Debug, Clone)]
struct Turn(Arc<Mutex<TenantId>>);

impl Turn {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(TenantId::from_uuid(Uuid::nil()))))
    }

    fn get(&self) -> TenantId {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, tenant: TenantId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tenant;
    }
}

/// The verbs of this service.
#[derive(Clone)]
pub struct Operations {
    database: Database,
    clock: Arc<dyn Clock>,
    wake: Wake,
    grown: Grown,
    turn: Turn,
    policy: Policy,
    counters: Counters,
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Operations")
    }
}

impl Operations {
    /// The verbs over a database.
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        wake: Wake,
        policy: Policy,
        counters: Counters,
    ) -> Self {
        Self {
            database,
            clock,
            wake,
            grown: Grown::new(),
            turn: Turn::new(),
            policy,
            counters,
        }
    }

    /// Who is told that the log has grown.
    pub fn grown(&self) -> &Grown {
        &self.grown
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// A caller as timelines and the log name it.
pub fn actor(caller: &Caller) -> Actor {
    Actor {
        kind: match caller.principal.kind {
            PrincipalKind::User => ActorKind::User,
            PrincipalKind::Agent => ActorKind::Agent,
            PrincipalKind::Service => ActorKind::Service,
        },
        subject: caller.principal.subject.clone(),
        display_name: caller.principal.display_name.clone(),
    }
}
