//! What can go wrong here, and what a caller hears of it.

use reeve_ids::{ApprovalId, ExecutionId};
use reeve_status::{Code, Fault, Reason, Violation};

use crate::domain::approval::Objection;
use crate::domain::decide::Refusal;
use crate::domain::validate::Defect;
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
    /// A stored definition is not valid any more.
    #[error("the stored definition {workflow} is not valid: {first}")]
    CorruptDefinition {
        /// Name and version.
        workflow: String,
        /// The first fault.
        first: String,
    },
    /// Events could not be written or read.
    #[error(transparent)]
    Events(#[from] reeve_events::Error),
    /// task-queue refused or is away.
    #[error("task-queue answered: {0}")]
    TaskQueue(Fault),
    /// No such resource in this tenant.
    #[error("no {kind} {name}")]
    NotFound {
        /// Kind of resource.
        kind: &'static str,
        /// What it was asked for by.
        name: String,
    },
    /// Fields are wrong, whatever the state.
    #[error("{0}")]
    Invalid(Fault),
    /// The definition has faults, and other fields of the request may too.
    #[error("faults of the definition: {}", .0.len())]
    DefinitionInvalid(Vec<Defect>, Vec<Violation>),
    /// The request_id was used with another body.
    #[error("request_id {0} was used with another body")]
    RequestIdReused(String),
    /// The execution has changed since the caller looked at it.
    #[error("execution {id} is at {current}")]
    EtagMismatch {
        /// The execution.
        id: ExecutionId,
        /// Its etag.
        current: i64,
    },
    /// The lifecycle has no such edge.
    #[error("execution {id} refuses: {refusal:?}")]
    Refused {
        /// The execution.
        id: ExecutionId,
        /// From where to where.
        refusal: Refusal,
    },
    /// The decision does not count.
    #[error("approval {id} refuses: {objection:?}")]
    Objection {
        /// The approval.
        id: ApprovalId,
        /// Why.
        objection: Objection,
        /// The artifact's digest.
        digest: String,
    },
    /// Reading a definition or deciding panicked.
    #[error("reading a definition or deciding panicked")]
    Panicked,
    /// The process ends.
    #[error("the process ends")]
    Stopping,
    /// Applying an event panicked, even the one that gives up.
    #[error("deciding about execution {0} panicked")]
    Poisoned(ExecutionId),
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

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault)
    }
}

impl Error {
    /// Whether the same transition would meet the same error for ever. What may pass, such as a
    /// database or task-queue that is away, is tried again instead.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Database(error) | Self::Events(reeve_events::Error::Database(error)) => {
                is_refusal(error)
            }
            Self::Corrupt(_)
            | Self::CorruptDefinition { .. }
            | Self::Panicked
            | Self::Poisoned(_) => true,
            Self::TaskQueue(fault) => match fault.code() {
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::PermissionDenied => true,
                Code::ResourceExhausted => fault.reason() == Reason::PayloadTooLarge,
                Code::Aborted
                | Code::Unavailable
                | Code::DeadlineExceeded
                | Code::Cancelled
                | Code::Unauthenticated
                | Code::Unimplemented
                | Code::Internal => false,
            },
            Self::NotFound { .. } => true,
            Self::Events(_)
            | Self::Stopping
            | Self::Invalid(_)
            | Self::DefinitionInvalid(..)
            | Self::RequestIdReused(_)
            | Self::EtagMismatch { .. }
            | Self::Refused { .. }
            | Self::Objection { .. } => false,
        }
    }

    /// What a caller hears.
    pub fn classify(self) -> Fault {
        match self {
            Self::Database(error) => {
                let fault = Fault::from(&error);
                if fault.code() == Code::Internal {
                    tracing::error!(?error, "the database refused");
                }
                fault
            }
            Self::Corrupt(_)
            | Self::CorruptDefinition { .. }
            | Self::Events(_)
            | Self::Panicked
            | Self::Poisoned(_) => {
                tracing::error!(error = %self, "an operation failed");
                Fault::internal()
            }
            Self::Stopping => Fault::unavailable(
                Reason::Draining,
                "the server is shutting down",
                std::time::Duration::from_secs(1),
            ),
            Self::TaskQueue(fault) | Self::Invalid(fault) => fault,
            Self::NotFound { kind, name } => Fault::not_found(kind, name),
            Self::DefinitionInvalid(defects, others) => {
                definition_invalid(defects).with_violations(others)
            }
            Self::RequestIdReused(request_id) => Fault::precondition(
                Reason::RequestIdReused,
                "REQUEST_ID",
                format!("request_id/{request_id}"),
                "this request_id was used with another body; choose another",
            ),
            Self::EtagMismatch { id, current } => Fault::etag_mismatch("execution", id, current),
            Self::Refused { id, refusal } => {
                let legal: Vec<_> = refusal.legal.iter().map(|to| to.as_str()).collect();
                let (from, to) = (refusal.from.as_str(), refusal.to.as_str());
                Fault::transition_forbidden("execution", id, from, to, &legal)
            }
            Self::Objection {
                id,
                objection,
                digest,
            } => objection_fault(id, objection, digest),
        }
    }
}

/// Whether the database looked at the data and refused it, or holds data that cannot be read.
fn is_refusal(error: &reeve_postgres::Error) -> bool {
    use reeve_postgres::Error as Database;
    match error {
        Database::UniqueViolation { .. }
        | Database::ForeignKeyViolation { .. }
        | Database::CheckViolation { .. }
        | Database::Raised { .. }
        | Database::RowNotFound => true,
        Database::Other(cause) => match cause {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                true
            }
            // Class 22 is about data, 23 about constraints; the rest is about the server.
            sqlx::Error::Database(database) => database
                .code()
                .is_some_and(|state| state.starts_with("22") || state.starts_with("23")),
            _ => false,
        },
        _ => false,
    }
}

fn definition_invalid(defects: Vec<Defect>) -> Fault {
    let mut steps: Vec<_> = defects
        .iter()
        .map(|defect| defect.step_id.as_str())
        .collect();
    steps.dedup();
    let steps = steps
        .into_iter()
        .filter(|step| !step.is_empty())
        .collect::<Vec<_>>()
        .join(",");
    let message = format!("faults of the definition: {}", defects.len());
    let violations = defects.into_iter().map(|defect| Violation {
        field: format!("workflow.{}", defect.field),
        description: defect.description,
    });
    Fault::new(Code::InvalidArgument, Reason::DefinitionInvalid, message)
        .with("steps", steps)
        .with_violations(violations.collect())
}

fn objection_fault(id: ApprovalId, objection: Objection, digest: String) -> Fault {
    let denied = |reason, message: &str| Fault::new(Code::PermissionDenied, reason, message);
    match objection {
        Objection::DigestMismatch => {
            let message = "seen_digest is not the digest of the artifact: look at it again";
            Fault::new(Code::Aborted, Reason::DigestMismatch, message)
                .with("subject_digest", digest)
        }
        Objection::OwnArtifact => denied(
            Reason::SelfApproval,
            "nobody decides about what they produced themselves",
        ),
        Objection::OwnExecution => denied(
            Reason::SelfApproval,
            "the step forbids a decision by whoever started the execution",
        ),
        Objection::WrongKind => denied(
            Reason::PrincipalForbidden,
            "this kind of principal may not decide here: a person must",
        ),
        Objection::Closed => Fault::precondition(
            Reason::ApprovalClosed,
            "STATE",
            format!("approval/{id}"),
            "the approval is decided otherwise, expired or cancelled",
        ),
    }
}
