//! What can go wrong in this service, and what the caller hears of it.

use std::time::Duration;

use reeve_ids::{BrakeId, GateId, LimitId, ScheduleId, TaskId, TenantId};
use reeve_status::{Code, Fault, Reason};

use crate::domain::{Forbidden, GateState, MOST_DEMANDS, MOST_GATES, Objection, Refusal, State};
use crate::operations::gates;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] reeve_postgres::Error),
    /// Events could not be written or read.
    #[error(transparent)]
    Events(#[from] reeve_events::Error),
    /// A row that this version cannot read: a bug, or a newer version's.
    #[error("corrupt row of task {task_id}: {what}")]
    Corrupt {
        /// The task.
        task_id: TaskId,
        /// What cannot be read.
        what: String,
    },
    /// A row that this version cannot read, as above.
    #[error("corrupt row of schedule {schedule_id}: {what}")]
    CorruptSchedule {
        /// The schedule.
        schedule_id: ScheduleId,
        /// What cannot be read.
        what: String,
    },
    /// No such task in the caller's tenant.
    #[error("no task {0}")]
    NoTask(TaskId),
    /// The lifecycle has no such edge.
    #[error("task {task_id} is {from:?} and cannot become {to:?}")]
    Forbidden {
        /// The task.
        task_id: TaskId,
        /// Where it stands.
        from: State,
        /// Where it was to go.
        to: State,
    },
    /// The token is not that of the current lease.
    #[error("the lease of task {0} is lost")]
    LeaseLost(TaskId),
    /// The etag is not the current one.
    #[error("task {task_id} has version {version}")]
    EtagMismatch {
        /// The task.
        task_id: TaskId,
        /// The current version.
        version: i32,
    },
    /// The task is a step of a workflow.
    #[error("task {task_id} is a step of workflow execution {execution}")]
    OwnRetries {
        /// The task.
        task_id: TaskId,
        /// The execution.
        execution: String,
    },
    /// A related task changed while it was looked at.
    #[error("task {0} changed while it was looked at")]
    Moved(TaskId),
    /// The request id was used with another body.
    #[error("request id {request_id:?} was used with another body")]
    RequestIdReused {
        /// The request id.
        request_id: String,
    },
    /// No such type of tasks, built in or in the caller's tenant.
    #[error("no task type {0:?}")]
    NoTaskType(String),
    /// The tenant has a type of that name.
    #[error("there is a task type {0:?}")]
    TaskTypeExists(String),
    /// The etag is not the type's current one.
    #[error("task type {name:?} has etag {etag}")]
    TaskTypeChanged {
        /// The type.
        name: String,
        /// Its current etag.
        etag: String,
    },
    /// A tenant has as many types as it may, or as much in them.
    #[error("tenant {tenant} may have {limit} {what} and no more")]
    TooManyTaskTypes {
        /// Whose they are.
        tenant: TenantId,
        /// What is limited.
        what: &'static str,
        /// How much of it there may be.
        limit: i64,
    },
    /// The dead letter was discarded.
    #[error("task {0} was discarded")]
    Discarded(TaskId),
    /// The task is no dead letter.
    #[error("task {task_id} is {state:?}, which is no dead letter")]
    NotDead {
        /// The task.
        task_id: TaskId,
        /// Where it stands.
        state: State,
    },
    /// A filter chooses more than the caller expects.
    #[error("the filter chooses more than {bound} tasks; nothing was changed")]
    CountMismatch {
        /// What the caller expects at most.
        bound: i64,
        /// What is chosen at least.
        matching: i64,
    },
    /// A filter chooses no dead letter.
    #[error("the filter chooses no dead letter")]
    NothingMatched,
    /// The queue was paused or resumed since.
    #[error("queue {queue} has the pause {brake:?}")]
    QueueChanged {
        /// The queue.
        queue: String,
        /// Its pause, if it has one.
        brake: Option<BrakeId>,
    },
    /// No such brake is set.
    #[error("no brake {0}")]
    NoBrake(String),
    /// The name has another selector.
    #[error("brake {0} has another selector")]
    BrakeExists(String),
    /// The brake was set and lifted meanwhile.
    #[error("brake {0} changed while it was looked at")]
    BrakeMoved(String),
    /// The tenant has as many brakes as it may.
    #[error("a tenant may have {limit} brakes")]
    TooManyBrakes {
        /// How many.
        limit: i64,
    },
    /// No such limit is set.
    #[error("no limit {0}")]
    NoLimit(String),
    /// The etag is not the limit's current one.
    #[error("limit {name} is at {id:?}")]
    LimitChanged {
        /// The limit.
        name: String,
        /// What it is now, if it is.
        id: Option<LimitId>,
    },
    /// The tenant has as many limits as it may.
    #[error("tenant {tenant} may have {limit} limits")]
    TooManyLimits {
        /// Whose they are.
        tenant: TenantId,
        /// How many.
        limit: i64,
    },
    /// No such gate of the task.
    #[error("no gate {0}")]
    NoGate(GateId),
    /// The gate does not wait for an answer.
    #[error("gate {gate_id} is {state:?}")]
    GateClosed {
        /// The gate.
        gate_id: GateId,
        /// Where it stands.
        state: GateState,
    },
    /// The answer does not count.
    #[error("an answer to gate {gate_id} does not count: {objection:?}")]
    Objection {
        /// The gate.
        gate_id: GateId,
        /// Why.
        objection: Objection,
    },
    /// The task has had as many gates as it may.
    #[error("task {0} may not have another gate")]
    TooManyGates(TaskId),
    /// The tenant's tasks ask for as many different things of agents as they may.
    #[error("tenant {0} may have {MOST_DEMANDS} different requirements")]
    TooManyDemands(TenantId),
    /// A lane holds as much as it may.
    #[error("the {lane} lane is full")]
    LaneFull {
        /// The lane.
        lane: &'static str,
    },
    /// The service is stopping.
    #[error("the service is draining")]
    Draining,
    /// A task is not handed to another agent.
    #[error("task {task_id} is not delegated: {refusal:?}")]
    NotDelegated {
        /// The task.
        task_id: TaskId,
        /// Why.
        refusal: Refusal,
    },
    /// Another service's or layer's answer, or wrong fields.
    #[error("{0}")]
    Fault(Fault),
}

impl Error {
    /// A forbidden transition of a task.
    pub fn forbidden(task_id: TaskId, forbidden: Forbidden) -> Self {
        Self::Forbidden {
            task_id,
            from: forbidden.from,
            to: forbidden.to,
        }
    }

    /// Whether the same transaction may be tried again as it is.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Database(error) => error.wrote_nothing(),
            Self::Events(reeve_events::Error::Database(error)) => error.wrote_nothing(),
            Self::Moved(_) => true,
            _ => false,
        }
    }

    /// Whether the same may succeed later: the transaction collided or took too long, or what it asked
    /// for could not be read.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Database(reeve_postgres::Error::Timeout(_)) => true,
            Self::Fault(fault) => fault.is_retryable() || fault.code() == Code::DeadlineExceeded,
            _ => self.is_conflict(),
        }
    }

    /// Whether every item of a batch has this error, so that splitting the batch helps nobody.
    pub fn is_of_all(&self) -> bool {
        matches!(
            self,
            Self::Database(
                reeve_postgres::Error::Unavailable(_) | reeve_postgres::Error::Uncertain(_)
            ) | Self::Events(reeve_events::Error::Database(
                reeve_postgres::Error::Unavailable(_)
            )) | Self::Draining
        )
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Fault {
    /// The one table from causes to answers.
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => of_database(&error),
            Error::Events(reeve_events::Error::Database(error)) => of_database(&error),
            Error::Events(error) => internal(&error),
            Error::Corrupt { .. } | Error::CorruptSchedule { .. } => internal(&error),
            Error::NoTask(id) => Self::not_found("task", id),
            Error::Forbidden { task_id, from, to } => Self::transition_forbidden(
                "task",
                task_id,
                from.word(),
                to.word(),
                &from.legal_words(),
            ),
            Error::LeaseLost(id) => lease_lost(id),
            Error::EtagMismatch { task_id, version } => {
                Self::etag_mismatch("task", task_id, version)
            }
            Error::OwnRetries { task_id, execution } => Self::precondition(
                Reason::TransitionForbidden,
                "ORIGIN",
                format!("task/{task_id}"),
                format!("the task is a step of workflow execution {execution}, which retries it"),
            ),
            Error::Moved(id) => Self::new(
                Code::Aborted,
                Reason::WriteConflict,
                format!("task {id} changed at the same time; nothing was written"),
            ),
            Error::RequestIdReused { request_id } => Self::precondition(
                Reason::RequestIdReused,
                "REQUEST_ID",
                request_id,
                "this request_id was used with another body",
            ),
            Error::NoTaskType(name) => Self::not_found("task_type", name),
            Error::TaskTypeExists(name) => Self::already_exists("task_type", name),
            Error::TaskTypeChanged { name, etag } => Self::etag_mismatch("task_type", name, etag),
            Error::TooManyTaskTypes {
                tenant,
                what,
                limit,
            } => limit_reached(tenant, what, limit),
            Error::Discarded(id) => Self::precondition(
                Reason::TransitionForbidden,
                "DISCARDED",
                format!("task/{id}"),
                "the dead letter was discarded, so that nobody redrives it",
            ),
            Error::NotDead { task_id, state } => Self::precondition(
                Reason::TransitionForbidden,
                "STATE",
                format!("task/{task_id}"),
                format!("the task is {} and no dead letter", state.word()),
            )
            .with("state", state.word()),
            Error::CountMismatch { matching, .. } => {
                let message = error.to_string();
                Self::precondition(Reason::CountMismatch, "COUNT", "filter", message)
                    .with("matching", matching.to_string())
            }
            Error::NothingMatched => {
                let message = error.to_string();
                Self::precondition(Reason::NothingMatched, "COUNT", "filter", message)
            }
            Error::QueueChanged { queue, brake } => {
                Self::etag_mismatch("queue", queue, queue_etag(brake))
            }
            Error::NoBrake(name) => Self::not_found("brake", name),
            Error::BrakeExists(name) => Self::already_exists("brake", name),
            Error::BrakeMoved(name) => Self::new(
                Code::Aborted,
                Reason::WriteConflict,
                format!("brake {name} changed at the same time; nothing was written"),
            ),
            Error::TooManyBrakes { limit } => {
                let message = format!("a tenant may have {limit} brakes, and has");
                Self::new(
                    Code::ResourceExhausted,
                    Reason::LimitReached,
                    message.clone(),
                )
                .with("limit", limit.to_string())
                .with_quota("brakes", message)
            }
            Error::NoLimit(name) => Self::not_found("limit", name),
            Error::LimitChanged { name, id } => {
                let etag = id.map(|id| id.to_string()).unwrap_or_default();
                Self::etag_mismatch("limit", name, etag)
            }
            Error::TooManyLimits { tenant, limit } => limit_reached(tenant, "limits", limit),
            Error::NoGate(id) => Self::not_found("gate", id),
            Error::GateClosed { gate_id, state } => gates::closed(gate_id, state.word()),
            Error::Objection { gate_id, objection } => objection.into_fault(gate_id),
            Error::TooManyGates(_) => {
                let message = format!("a task may have {MOST_GATES} gates, and has had them");
                Self::new(
                    Code::ResourceExhausted,
                    Reason::LimitReached,
                    message.clone(),
                )
                .with("limit", MOST_GATES.to_string())
                .with_quota("gates", message)
            }
            Error::TooManyDemands(tenant) => limit_reached(
                tenant,
                "different requirements among its tasks",
                MOST_DEMANDS,
            ),
            Error::LaneFull { lane } => Self::new(
                Code::ResourceExhausted,
                Reason::Overloaded,
                "the server has as much of this work in hand as it may; nothing was written",
            )
            .with_quota(format!("lane/{lane}"), "work in hand")
            .with_retry_after(Duration::from_millis(100)),
            Error::Draining => Self::unavailable(
                Reason::Draining,
                "the server is shutting down; try another",
                Duration::from_millis(100),
            ),
            Error::NotDelegated { task_id, refusal } => Self::precondition(
                Reason::DelegationRefused,
                refusal.word(),
                format!("task/{task_id}"),
                refusal.sentence(),
            )
            .with("cause", refusal.word()),
            Error::Fault(fault) => fault,
        }
    }
}

/// The etag of a queue with this pause.
pub fn queue_etag(pause: Option<BrakeId>) -> String {
    pause.map_or_else(|| "open".to_owned(), |id| id.to_string())
}

/// FAILED_PRECONDITION, reason LEASE_LOST.
fn lease_lost(task_id: TaskId) -> Fault {
    let description =
        "the lease lapsed or another attempt holds the task; stop and throw the result away";
    Fault::precondition(
        Reason::LeaseLost,
        "LEASE",
        format!("task/{task_id}"),
        description,
    )
    .with("task_id", task_id.to_string())
}

/// RESOURCE_EXHAUSTED, reason LIMIT_REACHED.
fn limit_reached(tenant: TenantId, what: &str, limit: i64) -> Fault {
    let description = format!("the tenant may have {limit} {what} and no more");
    Fault::new(
        Code::ResourceExhausted,
        Reason::LimitReached,
        description.clone(),
    )
    .with_quota(format!("tenant/{tenant}"), description)
    .with("limit", limit.to_string())
}

fn of_database(error: &reeve_postgres::Error) -> Fault {
    let fault = Fault::from(error);
    if fault.code() == Code::Internal {
        return internal(error);
    }
    fault
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Fault {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(error = %error, cause, "unexpected failure");
    Fault::internal()
}
