//! What can go wrong here, and what a caller hears of it.

use reeve_ids::IncidentId;
use reeve_status::{Code, Fault, Reason};

use crate::domain::lifecycle::Refusal;
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
    /// No such resource in this tenant.
    #[error("no {kind} {id}")]
    NotFound {
        /// Kind of resource.
        kind: &'static str,
        /// Its id.
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
    /// The etag is stale.
    #[error("{kind} {id} has version {current}")]
    EtagMismatch {
        /// Kind of resource.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Its etag.
        current: i64,
    },
    /// The lifecycle or one of its guards says no.
    #[error("incident {incident}: {refusal:?}")]
    Refused {
        /// The incident.
        incident: IncidentId,
        /// Why.
        refusal: Refusal,
    },
    /// Something that belongs to an incident is not in a state for this.
    #[error("{kind} {id} is {state}")]
    PartState {
        /// Kind of part.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Its state.
        state: &'static str,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// The request id came with another body before.
    #[error("request_id {0} was used before")]
    RequestIdReused(String),
    /// The resource holds as many parts as it may.
    #[error("{subject} holds {limit} {what}")]
    Limit {
        /// The resource.
        subject: String,
        /// What it holds too many of.
        what: &'static str,
        /// How many it may hold.
        limit: i64,
    },
    /// A field names what is not there, or contradicts what is.
    #[error("{field}: {description}")]
    Field {
        /// The field.
        field: &'static str,
        /// What would be right.
        description: String,
    },
    /// The log never issued this cursor, or no longer reaches it.
    #[error("the cursor is beyond the log")]
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
    /// No such incident in this tenant.
    pub fn no_incident(id: IncidentId) -> Self {
        Self::NotFound {
            kind: "incident",
            id: id.to_string(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(reeve_postgres::Error::UniqueViolation { constraint })
                if constraint == "incident_open_key" =>
            {
                // A rule opened another incident of the same trouble at this very moment.
                let message = "another incident of the same trouble was opened; read it first";
                Self::new(Code::Aborted, Reason::WriteConflict, message)
            }
            Error::Database(error) | Error::Events(reeve_events::Error::Database(error)) => {
                database(&error)
            }
            Error::Corrupt(_) | Error::Events(_) => {
                tracing::error!(%error, "an operation failed");
                Self::internal()
            }
            Error::NotFound { kind, id } => Self::not_found(kind, id),
            Error::Exists { kind, name } => Self::already_exists(kind, name),
            Error::EtagMismatch { kind, id, current } => Self::etag_mismatch(kind, id, current),
            Error::Refused { incident, refusal } => refused(incident, &refusal),
            Error::PartState {
                kind,
                id,
                state,
                wanted,
            } => Self::transition_forbidden(kind, id, state, wanted, &[]),
            Error::RequestIdReused(request_id) => Self::precondition(
                Reason::RequestIdReused,
                "REQUEST_ID",
                format!("request_id/{request_id}"),
                "this request_id was used with another body",
            ),
            Error::Limit {
                subject,
                what,
                limit,
            } => {
                let message = format!("{subject} may hold {limit} {what}, and does");
                Self::new(
                    Code::ResourceExhausted,
                    Reason::LimitReached,
                    message.clone(),
                )
                .with("limit", limit.to_string())
                .with_quota(subject, message)
            }
            Error::Field { field, description } => Self::invalid(field, description),
            Error::CursorExpired => Self::new(
                Code::OutOfRange,
                Reason::CursorExpired,
                "the log does not reach this cursor; begin again without one",
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

fn refused(incident: IncidentId, refusal: &Refusal) -> Fault {
    let subject = format!("incident/{incident}");
    match refusal {
        Refusal::Transition { from, to } => {
            let legal: Vec<_> = from.successors().iter().map(|next| next.as_str()).collect();
            Fault::transition_forbidden("incident", incident, from.as_str(), to.as_str(), &legal)
        }
        Refusal::Incomplete(missing) => {
            let message = format!("incident {incident}: {}", missing.join("; "));
            let fault = Fault::new(
                Code::FailedPrecondition,
                Reason::IncidentIncomplete,
                message,
            );
            missing.iter().fold(fault, |fault, lack| {
                fault.with_precondition("INCOMPLETE", subject.clone(), *lack)
            })
        }
        Refusal::NeedsPerson => Fault::new(
            Code::PermissionDenied,
            Reason::PrincipalForbidden,
            "a person, not an agent, decides the end of a CRITICAL or HIGH incident",
        ),
    }
}
