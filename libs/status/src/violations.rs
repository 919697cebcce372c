//! All faults of a request at once.

use std::fmt;

use crate::{Fault, Reason};

/// Fields that the message for people names; the details name more.
const NAMED: usize = 20;

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, for example `tasks[3].timeout`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

/// Collects violations, so that a caller learns of all of them from one answer.
#[derive(Debug, Default)]
pub struct Violations {
    found: Vec<Violation>,
    prefix: String,
}

impl Violations {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a wrong field; `description` says what would be right.
    pub fn add(&mut self, field: impl fmt::Display, description: impl Into<String>) {
        let field = format!("{}{field}", self.prefix);
        self.found.push(Violation {
            field,
            description: description.into(),
        });
    }

    /// Records a violation unless `right` holds.
    pub fn check(&mut self, right: bool, field: impl fmt::Display, description: impl Into<String>) {
        if !right {
            self.add(field, description);
        }
    }

    /// The value, or a recorded violation that says why there is none.
    pub fn take<T, E: fmt::Display>(
        &mut self,
        field: impl fmt::Display,
        value: Result<T, E>,
    ) -> Option<T> {
        value
            .map_err(|error| self.add(field, error.to_string()))
            .ok()
    }

    /// Runs `check` with every field below `prefix`, for example `tasks[3]`.
    pub fn within<T>(
        &mut self,
        prefix: impl fmt::Display,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = self.prefix.len();
        self.prefix.push_str(&format!("{prefix}."));
        let value = check(self);
        self.prefix.truncate(outer);
        value
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// INVALID_ARGUMENT with every violation, or nothing.
    ///
    /// # Errors
    /// When a violation was recorded.
    pub fn finish(self) -> Result<(), Fault> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(self.into_fault())
        }
    }

    /// INVALID_ARGUMENT with every violation.
    pub fn into_fault(self) -> Fault {
        let fields: Vec<_> = self
            .found
            .iter()
            .take(NAMED)
            .map(|violation| violation.field.as_str())
            .collect();
        let mut message = format!("the request has wrong fields: {}", fields.join(", "));
        if self.found.len() > NAMED {
            message.push_str(&format!(" and {} more", self.found.len() - NAMED));
        }
        Fault::new(
            crate::Code::InvalidArgument,
            Reason::ValidationFailed,
            message,
        )
        .with_violations(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_field_with_its_path() {
        let mut violations = Violations::new();
        violations.check(false, "queue", "must not be empty");
        violations.within("tasks[3]", |inner| inner.add("timeout", "must be positive"));
        violations.check(true, "priority", "unused");
        let fault = violations.finish().unwrap_err();
        let fields: Vec<_> = fault
            .violations()
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(fields, ["queue", "tasks[3].timeout"]);
    }

    #[test]
    fn passes_when_nothing_is_wrong() {
        assert!(Violations::new().finish().is_ok());
    }
}
