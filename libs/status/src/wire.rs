//! [`Fault`] on the wire: a status with exactly one ErrorInfo and the details that it calls for.
//!
//! All of it travels in headers, and clients refuse large ones (8 KiB is a usual limit) together
//! with the code in them. What a client wrote may come back in any of the texts, so each is cut.

use std::collections::HashMap;

use tonic_types::StatusExt as _;
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation};

use crate::{Code, DOMAIN, Fault, Reason, Violation};

/// What the message may take once it is percent-encoded.
const MESSAGE_BYTES: usize = 1_024;
/// What each text of the details may take.
const TEXT_BYTES: usize = 256;
/// What the texts of all details may take together; base64 makes it a third more.
const DETAIL_BYTES: usize = 3_000;

impl From<Fault> for tonic::Status {
    fn from(fault: Fault) -> Self {
        let mut room = Room(DETAIL_BYTES);
        let mut details = ErrorDetails::new();
        let metadata: HashMap<_, _> = fault
            .metadata()
            .iter()
            .filter_map(|(key, value)| room.admit([key.as_str(), value]))
            .map(|[key, value]| (key, value))
            .collect();
        details.set_error_info(fault.reason().as_str(), DOMAIN, metadata);
        let resource = fault.resource();
        if let Some([kind, name]) = resource.and_then(|it| room.admit([&it.kind, &it.name])) {
            details.set_resource_info(kind, name, "", "");
        }
        let wrong = room.admit_all(fault.violations(), |it| [&it.field, &it.description]);
        if !wrong.is_empty() {
            let wrong = wrong.into_iter();
            let wrong = wrong.map(|[field, description]| FieldViolation::new(field, description));
            details.set_bad_request(wrong.collect::<Vec<_>>());
        }
        let unmet = room.admit_all(fault.preconditions(), |it| {
            [&it.kind, &it.subject, &it.description]
        });
        if !unmet.is_empty() {
            let unmet = unmet.into_iter();
            let unmet = unmet.map(|[kind, subject, description]| {
                PreconditionViolation::new(kind, subject, description)
            });
            details.set_precondition_failure(unmet.collect::<Vec<_>>());
        }
        let reached = room.admit_all(fault.quotas(), |it| [&it.subject, &it.description]);
        if !reached.is_empty() {
            let reached = reached.into_iter();
            let reached = reached.map(|[subject, text]| QuotaViolation::new(subject, text));
            details.set_quota_failure(reached.collect::<Vec<_>>());
        }
        if let Some(delay) = fault.retry_after() {
            details.set_retry_info(Some(delay));
        }
        let message = cut(fault.message(), MESSAGE_BYTES, encoded_len);
        Self::with_error_details(fault.code().into(), message, details)
    }
}

/// What is left for the texts of details.
struct Room(usize);

impl Room {
    /// The texts, each cut to its length; nothing when they do not fit any more.
    fn admit<const N: usize>(&mut self, texts: [&str; N]) -> Option<[String; N]> {
        let texts = texts.map(|text| cut(text, TEXT_BYTES, char::len_utf8));
        let size = texts.iter().map(|text| text.len() + 4).sum();
        self.0 = self.0.checked_sub(size)?;
        Some(texts)
    }

    /// As many as fit; the rest is only counted, in the last text of one more.
    fn admit_all<'a, T, const N: usize>(
        &mut self,
        items: &'a [T],
        texts: impl Fn(&'a T) -> [&'a str; N],
    ) -> Vec<[String; N]> {
        let mut admitted = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(texts) = self.admit(texts(item)) {
                admitted.push(texts);
                continue;
            }
            let mut more = [const { String::new() }; N];
            if let Some(last) = more.last_mut() {
                *last = format!("and {} more", items.len() - index);
            }
            admitted.push(more);
            break;
        }
        admitted
    }
}

/// The text, or its beginning with an ellipsis, so that it takes at most `most` bytes by `size`.
fn cut(text: &str, most: usize, size: impl Fn(char) -> usize) -> String {
    const ELLIPSIS: char = '…';
    let room = most.saturating_sub(size(ELLIPSIS));
    let (mut taken, mut end) = (0, 0);
    for (at, character) in text.char_indices() {
        if taken <= room {
            end = at;
        }
        taken += size(character);
        if taken > most {
            return format!("{}{ELLIPSIS}", &text[..end]);
        }
    }
    text.to_owned()
}

/// What a character of the message takes in its header.
fn encoded_len(character: char) -> usize {
    match character {
        ' '..='~' if character != '%' => 1,
        _ => 3 * character.len_utf8(),
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

    use tonic::codegen::http::HeaderMap;

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
        let last = received.violations().last();
        let last = last.map(|last| last.description.as_str());
        assert!(
            last.is_some_and(|last| last.starts_with("and ")),
            "{last:?}"
        );
    }

    /// The bytes of the headers that a status becomes.
    fn header_bytes(fault: Fault) -> usize {
        let mut headers = HeaderMap::new();
        let status = tonic::Status::from(fault);
        status.add_header(&mut headers).expect("text");
        headers.values().map(|value| value.len()).sum()
    }

    #[test]
    fn whatever_a_client_wrote_an_answer_fits_into_a_header() {
        let long = "y".repeat(1 << 20);
        let mut many = Fault::not_found("x", &long).with_resource(&long, &long);
        for key in 0..100 {
            many = many
                .with(&format!("{key}{long}"), &long)
                .with_precondition(&long, &long, &long)
                .with_quota(&long, &long);
        }
        for fault in [
            Fault::invalid(&long, &long),
            Fault::not_found("x", &long),
            Fault::not_found("x", "€".repeat(1 << 18)),
            Fault::not_found("x", "%\n".repeat(1 << 18)),
            many,
        ] {
            let shown = fault.reason();
            let bytes = header_bytes(fault);
            assert!(bytes < 7_000, "{shown:?}: {bytes} bytes");
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning() {
        let status = tonic::Status::from(Fault::invalid(&"€".repeat(1_000), "must be shorter"));
        let received = Fault::from(&status);
        let [violation] = received.violations() else {
            panic!("{received:?}")
        };
        assert_eq!(violation.field, format!("{}…", "€".repeat(84)));
        assert_eq!(violation.description, "must be shorter");
        let exact = "x".repeat(TEXT_BYTES);
        assert_eq!(cut(&exact, TEXT_BYTES, char::len_utf8), exact);
        let longer = cut(&format!("{exact}x"), TEXT_BYTES, char::len_utf8);
        assert_eq!(longer.len(), TEXT_BYTES);
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
