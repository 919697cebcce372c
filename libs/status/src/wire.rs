//! [`Fault`] on the wire: a status with exactly one ErrorInfo and the details that it calls for.

use tonic_types::{ErrorDetails, PreconditionViolation, QuotaViolation, StatusExt as _};

use crate::{Code, DOMAIN, Fault, Precondition, Quota, Reason, Violation};

impl From<Fault> for tonic::Status {
    fn from(fault: Fault) -> Self {
        let metadata = fault
            .metadata()
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        let mut details = ErrorDetails::new();
        details.set_error_info(
            fault.reason().as_str(),
            DOMAIN,
            metadata.collect::<std::collections::HashMap<_, _>>(),
        );
        add_violations(&mut details, fault.violations());
        if !fault.preconditions().is_empty() {
            let unmet = fault.preconditions().iter().map(|precondition| {
                let Precondition {
                    kind,
                    subject,
                    description,
                } = precondition;
                PreconditionViolation::new(kind, subject, description)
            });
            details.set_precondition_failure(unmet.collect::<Vec<_>>());
        }
        if !fault.quotas().is_empty() {
            let reached = fault.quotas().iter();
            let reached = reached.map(
                |Quota {
                     subject,
                     description,
                 }| QuotaViolation::new(subject, description),
            );
            details.set_quota_failure(reached.collect::<Vec<_>>());
        }
        if let Some(resource) = fault.resource() {
            details.set_resource_info(&resource.kind, &resource.name, "", "");
        }
        if let Some(delay) = fault.retry_after() {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(fault.code().into(), fault.message(), details)
    }
}

/// Details travel in a header, and clients refuse large ones (8 KiB is a usual limit), so what does
/// not fit is only counted.
fn add_violations(details: &mut ErrorDetails, violations: &[Violation]) {
    let mut room = 3_000_usize;
    for (index, Violation { field, description }) in violations.iter().enumerate() {
        let size = field.len() + description.len() + 8;
        if size > room && index > 0 {
            let more = format!("and {} more wrong fields", violations.len() - index);
            details.add_bad_request_violation("", more);
            return;
        }
        room = room.saturating_sub(size);
        details.add_bad_request_violation(field, description);
    }
}

impl From<&tonic::Status> for Fault {
    /// What another service or an intermediary answered. A status without Reeve's ErrorInfo keeps
    /// its code, and gets the reason that this code has when nothing more is known.
    fn from(status: &tonic::Status) -> Self {
        let details = status.get_error_details();
        let code = Code::from(status.code());
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let reason = info
            .and_then(|info| Reason::from_wire(&info.reason))
            .unwrap_or_else(|| default_reason(code));
        let mut fault = Self::new(code, reason, status.message());
        for (key, value) in info.into_iter().flat_map(|info| &info.metadata) {
            fault = fault.with(key, value);
        }
        if let Some(request) = details.bad_request() {
            let violations = request.field_violations.iter().map(|violation| Violation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            });
            fault = fault.with_violations(violations.collect());
        }
        for unmet in details
            .precondition_failure()
            .iter()
            .flat_map(|failure| &failure.violations)
        {
            fault = fault.with_precondition(&unmet.r#type, &unmet.subject, &unmet.description);
        }
        for reached in details
            .quota_failure()
            .iter()
            .flat_map(|failure| &failure.violations)
        {
            fault = fault.with_quota(&reached.subject, &reached.description);
        }
        if let Some(resource) = details.resource_info() {
            fault = fault.with_resource(&resource.resource_type, &resource.resource_name);
        }
        if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
            fault = fault.with_retry_after(delay);
        }
        fault
    }
}

fn default_reason(code: Code) -> Reason {
    match code {
        Code::InvalidArgument => Reason::ValidationFailed,
        Code::NotFound => Reason::ResourceNotFound,
        Code::AlreadyExists => Reason::ResourceExists,
        Code::FailedPrecondition => Reason::TransitionForbidden,
        Code::Aborted => Reason::WriteConflict,
        Code::ResourceExhausted => Reason::Overloaded,
        Code::Unavailable => Reason::PeerUnavailable,
        Code::DeadlineExceeded => Reason::DeadlinePassed,
        Code::Cancelled => Reason::CallCancelled,
        Code::Unauthenticated => Reason::CredentialInvalid,
        Code::PermissionDenied => Reason::PermissionMissing,
        Code::OutOfRange => Reason::CursorExpired,
        Code::Unimplemented => Reason::MethodUnknown,
        Code::Internal => Reason::InternalError,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fault_survives_the_wire() {
        let sent = Fault::transition_forbidden("task", 7, "COMPLETED", "PENDING", &[])
            .with_violations(vec![Violation {
                field: "a.b".into(),
                description: "c".into(),
            }])
            .with_quota("tenant", "100 of 100")
            .with_resource("task", 7)
            .with_retry_after(Duration::from_secs(3));
        let status = tonic::Status::from(sent.clone());
        let received = Fault::from(&status);
        assert_eq!(received.code(), sent.code());
        assert_eq!(received.reason(), sent.reason());
        assert_eq!(received.message(), sent.message());
        assert_eq!(received.metadata(), sent.metadata());
        assert_eq!(received.violations(), sent.violations());
        assert_eq!(received.preconditions(), sent.preconditions());
        assert_eq!(received.quotas(), sent.quotas());
        assert_eq!(received.resource(), sent.resource());
        assert_eq!(received.retry_after(), sent.retry_after());
    }

    #[test]
    fn a_thousand_violations_fit_into_a_header() {
        let mut violations = crate::Violations::new();
        for index in 0..1_000 {
            violations.add(format!("requests[{index}].spec.type"), "must not be empty");
        }
        let status = tonic::Status::from(violations.into_fault());
        assert!(status.details().len() + status.message().len() < 5_000);
        let received = Fault::from(&status);
        let last = received
            .violations()
            .last()
            .map(|last| last.description.as_str());
        assert!(
            last.is_some_and(|last| last.contains("more wrong fields")),
            "{last:?}"
        );
    }

    #[test]
    fn a_foreign_status_keeps_its_code() {
        let fault = Fault::from(&tonic::Status::unavailable("connection refused"));
        assert_eq!(
            (fault.code(), fault.reason()),
            (Code::Unavailable, Reason::PeerUnavailable)
        );
    }

    #[test]
    fn every_reason_has_its_own_word() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_wire(reason.as_str()), Some(*reason));
        }
    }
}
