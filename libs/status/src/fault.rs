//! The one error that leaves a service.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{Code, Reason, Violation};

/// An answer other than the one asked for. Boxed, so that results stay small.
#[derive(Clone)]
pub struct Fault(Box<Parts>);

#[derive(Clone)]
struct Parts {
    code: Code,
    reason: Reason,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<Violation>,
    preconditions: Vec<Precondition>,
    quotas: Vec<Quota>,
    resource: Option<Resource>,
    retry_after: Option<Duration>,
}

/// A condition of the state that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// Kind of condition, for example "STATE" or "LEASE".
    pub kind: String,
    /// What it is about, for example "task/0190…".
    pub subject: String,
    /// What is and what would have to be.
    pub description: String,
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Whose limit, for example "budget/0190…".
    pub subject: String,
    /// The limit and how much of it is used.
    pub description: String,
}

/// The resource that is absent or taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Kind, for example "task".
    pub kind: String,
    /// Id or name.
    pub name: String,
}

impl Fault {
    /// A fault with a message for people; `message` must hold nothing internal.
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            preconditions: Vec::new(),
            quotas: Vec::new(),
            resource: None,
            retry_after: None,
        }))
    }

    /// NOT_FOUND: absent, or another tenant's, which must look the same.
    pub fn not_found(kind: &str, name: impl fmt::Display) -> Self {
        let message = format!("no {kind} {name}");
        Self::new(Code::NotFound, Reason::ResourceNotFound, message).with_resource(kind, name)
    }

    /// ALREADY_EXISTS for a name that the client chose.
    pub fn already_exists(kind: &str, name: impl fmt::Display) -> Self {
        let message = format!("a {kind} named {name} exists already");
        Self::new(Code::AlreadyExists, Reason::ResourceExists, message).with_resource(kind, name)
    }

    /// INVALID_ARGUMENT for one field.
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        let mut violations = crate::Violations::new();
        violations.add(field, description);
        violations.into_fault()
    }

    /// FAILED_PRECONDITION: the lifecycle has no such edge. Names the legal targets.
    pub fn transition_forbidden(
        kind: &str,
        name: impl fmt::Display,
        from: &str,
        to: &str,
        legal: &[&str],
    ) -> Self {
        let legal = if legal.is_empty() {
            "none".to_owned()
        } else {
            legal.join(", ")
        };
        let message = format!("{kind} {name} is {from} and cannot become {to}; legal: {legal}");
        Self::new(
            Code::FailedPrecondition,
            Reason::TransitionForbidden,
            message,
        )
        .with("from", from)
        .with("to", to)
        .with("legal", legal.clone())
        .with_precondition(
            "STATE",
            format!("{kind}/{name}"),
            format!("is {from}; legal targets: {legal}"),
        )
    }

    /// ABORTED: the etag is stale.
    pub fn etag_mismatch(kind: &str, name: impl fmt::Display, current: impl fmt::Display) -> Self {
        let message = format!("{kind} {name} has changed; read it again and redo the change");
        Self::new(Code::Aborted, Reason::EtagMismatch, message)
            .with("current_etag", current.to_string())
    }

    /// FAILED_PRECONDITION with one condition of the state.
    pub fn precondition(
        reason: Reason,
        kind: &str,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let description = description.into();
        Self::new(Code::FailedPrecondition, reason, description.clone()).with_precondition(
            kind,
            subject,
            description,
        )
    }

    /// UNAVAILABLE: nothing was written; the caller should retry after `delay`.
    pub fn unavailable(reason: Reason, message: impl Into<String>, delay: Duration) -> Self {
        Self::new(Code::Unavailable, reason, message).with_retry_after(delay)
    }

    /// INTERNAL. The cause belongs in the log, never in the answer.
    pub fn internal() -> Self {
        Self::new(Code::Internal, Reason::InternalError, "internal error")
    }

    /// Adds a variable for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds field violations.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.0.violations.extend(violations);
        self
    }

    /// Adds an unmet condition.
    #[must_use]
    pub fn with_precondition(
        mut self,
        kind: &str,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        self.0.preconditions.push(Precondition {
            kind: kind.to_owned(),
            subject: subject.into(),
            description: description.into(),
        });
        self
    }

    /// Adds a limit that was reached.
    #[must_use]
    pub fn with_quota(
        mut self,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let quota = Quota {
            subject: subject.into(),
            description: description.into(),
        };
        self.0.quotas.push(quota);
        self
    }

    /// Names the resource that is absent or taken.
    #[must_use]
    pub fn with_resource(mut self, kind: &str, name: impl fmt::Display) -> Self {
        self.0.resource = Some(Resource {
            kind: kind.to_owned(),
            name: name.to_string(),
        });
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The variables for programs.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// The wrong fields.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The unmet conditions.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.0.preconditions
    }

    /// The limits reached.
    pub fn quotas(&self) -> &[Quota] {
        &self.0.quotas
    }

    /// The resource that is absent or taken.
    pub fn resource(&self) -> Option<&Resource> {
        self.0.resource.as_ref()
    }

    /// When to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same call may succeed later and certainly wrote nothing.
    pub fn is_retryable(&self) -> bool {
        self.0.code == Code::Unavailable
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.0.message, self.0.reason.as_str())?;
        for violation in &self.0.violations {
            write!(
                formatter,
                "\n  {}: {}",
                violation.field, violation.description
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fault({:?} {self})", self.0.code)
    }
}

impl std::error::Error for Fault {}
