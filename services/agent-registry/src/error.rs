//! What can go wrong here, and what a caller hears of it.

use reeve_ids::AgentId;
use reeve_status::{Code, Fault, Reason};

use crate::domain::state::AgentState;
use crate::storage;

/// Why an operation did not happen. Nothing was written, unless the database says that it is
/// uncertain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] reeve_postgres::Error),
    /// A stored row makes no sense.
    #[error(transparent)]
    Corrupt(#[from] storage::rows::Corrupt),
    /// Events could not be written or read.
    #[error(transparent)]
    Events(#[from] reeve_events::Error),
    /// The lease store failed in a way that waiting does not cure.
    #[error(transparent)]
    Leases(#[from] reeve_redis::Error),
    /// No such resource in this tenant.
    #[error("no {kind} {id}")]
    NotFound {
        /// Kind of resource.
        kind: &'static str,
        /// Its id, as it was asked for.
        id: String,
    },
    /// The name is taken.
    #[error("{kind} {name} exists")]
    Exists {
        /// Kind of resource.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The status machine has no such edge.
    #[error("agent {agent} cannot go from {from} to {to}")]
    Forbidden {
        /// The agent.
        agent: AgentId,
        /// Its state.
        from: AgentState,
        /// The state that was wanted.
        to: AgentState,
    },
    /// Registering, and nothing else, starts an agent.
    #[error("agent {agent} starts by registering")]
    StartsByRegistering {
        /// The agent.
        agent: AgentId,
    },
    /// The etag is stale.
    #[error("agent {agent} has version {current}")]
    EtagMismatch {
        /// The agent.
        agent: AgentId,
        /// Its etag.
        current: String,
    },
    /// Another change won; the same request may be tried again.
    #[error("another change won")]
    Collided,
    /// The process is not the agent's current one.
    #[error("agent {agent} is at epoch {current}")]
    StaleEpoch {
        /// The agent.
        agent: AgentId,
        /// The current epoch.
        current: i64,
    },
    /// The agent does not count as running.
    #[error("agent {agent} is {state}")]
    NotRunning {
        /// The agent.
        agent: AgentId,
        /// Its state.
        state: AgentState,
    },
    /// Only an agent that is OFFLINE can be deleted.
    #[error("agent {agent} is {state}")]
    NotOffline {
        /// The agent.
        agent: AgentId,
        /// Its state.
        state: AgentState,
    },
    /// The request id came with another body before.
    #[error("request_id {0} was used before")]
    RequestIdReused(String),
    /// A new key would be worthless.
    #[error("the key would have expired already")]
    ExpiresInThePast,
    /// The caller grants what they do not hold.
    #[error("the caller does not hold {0:?}")]
    NotHeld(Vec<String>),
    /// An agent asks for a person's key, or for its end.
    #[error("an agent makes and revokes no key of kind USER")]
    UserKeyByAgent,
    /// The credential opens nothing.
    #[error("the credential is not valid")]
    CredentialInvalid,
    /// The events after the cursor are no longer kept, or the cursor is of no event.
    #[error("the cursor has expired")]
    CursorExpired,
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Database(error) => Self::Database(error),
            storage::Error::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Error {
    /// No such agent in this tenant.
    pub fn no_agent(id: AgentId) -> Self {
        Self::NotFound {
            kind: "agent",
            id: id.to_string(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) | Error::Events(reeve_events::Error::Database(error)) => {
                database(&error)
            }
            Error::Corrupt(_) | Error::Events(_) | Error::Leases(_) => internal(&error),
            Error::NotFound { kind, id } => Self::not_found(kind, id),
            Error::Exists { kind, name } => Self::already_exists(kind, name),
            Error::Forbidden { agent, from, to } => forbidden(agent, from, to),
            Error::StartsByRegistering { agent } => starts_by_registering(agent),
            Error::EtagMismatch { agent, current } => Self::etag_mismatch("agent", agent, current),
            Error::Collided => Self::new(
                Code::Aborted,
                Reason::WriteConflict,
                "a concurrent change won; try again",
            ),
            Error::StaleEpoch { agent, current } => stale_epoch(agent, current),
            Error::NotRunning { agent, state } => not_running(agent, state),
            Error::NotOffline { agent, state } => not_offline(agent, state),
            Error::RequestIdReused(request_id) => request_id_reused(&request_id),
            Error::ExpiresInThePast => Self::invalid("expire_time", "must lie in the future"),
            Error::NotHeld(patterns) => not_held(&patterns),
            Error::UserKeyByAgent => Self::new(
                Code::PermissionDenied,
                Reason::PrincipalForbidden,
                "a person, not an agent, makes and revokes keys of kind USER",
            ),
            Error::CredentialInvalid => Self::new(
                Code::Unauthenticated,
                Reason::CredentialInvalid,
                "the credential is unknown, expired, revoked or malformed",
            ),
            Error::CursorExpired => Self::new(
                Code::OutOfRange,
                Reason::CursorExpired,
                "the cursor is of no event that is kept; watch again without one",
            ),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
    }
}

fn database(error: &reeve_postgres::Error) -> Fault {
    let fault = Fault::from(error);
    if fault.code() == Code::Internal {
        tracing::error!(error = ?error, "a statement failed");
    }
    fault
}

fn internal(error: &Error) -> Fault {
    tracing::error!(%error, "an operation failed");
    Fault::internal()
}

fn forbidden(agent: AgentId, from: AgentState, to: AgentState) -> Fault {
    let legal: Vec<_> = from.legal().iter().map(|state| state.as_str()).collect();
    Fault::transition_forbidden("agent", agent, from.as_str(), to.as_str(), &legal)
}

fn starts_by_registering(agent: AgentId) -> Fault {
    Fault::precondition(
        Reason::TransitionForbidden,
        "STATE",
        format!("agent/{agent}"),
        format!("agent {agent} is OFFLINE and starts by calling RegisterAgent"),
    )
    .with("from", AgentState::Offline.as_str())
    .with("to", AgentState::Starting.as_str())
    .with("legal", "none")
}

fn stale_epoch(agent: AgentId, current: i64) -> Fault {
    Fault::precondition(
        Reason::StaleEpoch,
        "EPOCH",
        format!("agent/{agent}"),
        format!("the current process of agent {agent} has epoch {current}; this one is not it"),
    )
    .with("current_epoch", current.to_string())
}

fn not_running(agent: AgentId, state: AgentState) -> Fault {
    Fault::precondition(
        Reason::AgentNotActive,
        "STATE",
        format!("agent/{agent}"),
        format!("agent {agent} is {state}; its process must register again"),
    )
    .with("state", state.as_str())
}

fn not_offline(agent: AgentId, state: AgentState) -> Fault {
    Fault::precondition(
        Reason::AgentNotOffline,
        "STATE",
        format!("agent/{agent}"),
        format!("agent {agent} is {state}; only an OFFLINE agent can be deleted"),
    )
    .with("state", state.as_str())
}

fn request_id_reused(request_id: &str) -> Fault {
    Fault::precondition(
        Reason::RequestIdReused,
        "REQUEST_ID",
        format!("request_id/{request_id}"),
        "this request_id was used with another body",
    )
}

fn not_held(patterns: &[String]) -> Fault {
    let patterns = patterns.join(", ");
    let message = format!("nobody grants a permission that they do not hold: {patterns}");
    Fault::new(Code::PermissionDenied, Reason::PermissionMissing, message)
        .with("permission", patterns)
}
