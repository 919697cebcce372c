//! What a database error means, by SQLSTATE and never by its text.

use std::time::Duration;

use reeve_status::{Code, Fault, Reason};

/// A database error, sorted by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL cannot be reached, is starting or is stopping. Nothing was written.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// PostgreSQL went away while it committed: the change may have been made.
    #[error("it is not known whether the transaction committed")]
    Uncertain(#[source] sqlx::Error),
    /// Transactions collided (serialization failure or deadlock); this one wrote nothing.
    #[error("transactions collided")]
    Conflict(#[source] sqlx::Error),
    /// A statement ran out of time.
    #[error("a statement timed out")]
    Timeout(#[source] sqlx::Error),
    /// A unique constraint refused a row.
    #[error("unique constraint {constraint} refused a row")]
    UniqueViolation {
        /// Name of the constraint or index.
        constraint: String,
    },
    /// A foreign key refused a row.
    #[error("foreign key {constraint} refused a row")]
    ForeignKeyViolation {
        /// Name of the constraint.
        constraint: String,
    },
    /// A CHECK constraint refused a row.
    #[error("check {constraint} refused a row")]
    CheckViolation {
        /// Name of the constraint.
        constraint: String,
    },
    /// A trigger of ours raised (SQLSTATE P0001), for example for a forbidden transition.
    #[error("the database refused: {message}")]
    Raised {
        /// What the trigger said; for the log.
        message: String,
    },
    /// No row where one was expected.
    #[error("no row")]
    RowNotFound,
    /// Anything else: a bug.
    #[error("unexpected database error")]
    Other(#[source] sqlx::Error),
}

impl Error {
    /// Sorts an error of sqlx.
    pub fn classify(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::RowNotFound,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) => {
                let state = database.code().unwrap_or_default().into_owned();
                let constraint = database.constraint().unwrap_or_default().to_owned();
                let message = database.message().to_owned();
                Self::by_sqlstate(&state, constraint, message, error)
            }
            _ => Self::Other(error),
        }
    }

    /// Sorts an error of a COMMIT: whatever is not a plain refusal leaves it open whether the change
    /// was made.
    pub(crate) fn of_commit(error: sqlx::Error) -> Self {
        let refused = matches!(error, sqlx::Error::Database(_));
        match Self::classify(error) {
            Self::Unavailable(cause) => Self::Uncertain(cause),
            Self::Other(cause) if !refused => Self::Uncertain(cause),
            certain => certain,
        }
    }

    fn by_sqlstate(state: &str, constraint: String, message: String, error: sqlx::Error) -> Self {
        match state {
            "23505" => Self::UniqueViolation { constraint },
            "23503" => Self::ForeignKeyViolation { constraint },
            "23514" => Self::CheckViolation { constraint },
            "40001" | "40P01" => Self::Conflict(error),
            "55P03" | "57014" => Self::Timeout(error),
            "P0001" => Self::Raised { message },
            // Connection exceptions, too many connections, a transaction that stood still for too long,
            // and a server that starts or stops.
            "25P03" | "53300" | "57P01" | "57P02" | "57P03" => Self::Unavailable(error),
            _ if state.starts_with("08") => Self::Unavailable(error),
            _ => Self::Other(error),
        }
    }

    /// Whether the same transaction may be tried again because it certainly wrote nothing.
    pub fn wrote_nothing(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::classify(error)
    }
}

impl From<&Error> for Fault {
    /// What a caller hears when a service has no better answer. Constraint names stay inside.
    fn from(error: &Error) -> Self {
        match error {
            Error::Unavailable(_) => Self::unavailable(
                Reason::DatabaseUnavailable,
                "the database is unavailable",
                Duration::from_secs(1),
            ),
            Error::Conflict(_) => Self::new(
                Code::Aborted,
                Reason::WriteConflict,
                "a concurrent change won; try again",
            ),
            // A client must not take it for UNAVAILABLE, which says that repeating is safe.
            Error::Uncertain(_) => Self::new(
                Code::DeadlineExceeded,
                Reason::DeadlinePassed,
                "the database went away while it committed; the change may have been made",
            ),
            Error::Timeout(_) => Self::new(
                Code::DeadlineExceeded,
                Reason::DeadlinePassed,
                "the statement took too long",
            ),
            Error::UniqueViolation { .. }
            | Error::ForeignKeyViolation { .. }
            | Error::CheckViolation { .. }
            | Error::Raised { .. }
            | Error::RowNotFound
            | Error::Other(_) => Self::internal(),
        }
    }
}
