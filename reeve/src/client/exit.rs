//! How a command ends: its exit status for scripts, its last words for people.

use std::fmt::Write as _;
use std::io;

use reeve_runtime::config::ConfigError;
use reeve_status::{Code, Fault};

use super::input::Wrong;
use super::text::{visible, visible_lines};

/// The exit statuses, for `reeve help`.
pub const STATUSES: &str = "\
Exit status:
   0  done
   1  failed for a reason that has no number of its own
   2  the command line, or what it asks for, is wrong
   3  what was waited for has ended, and not well
   4  there is no such thing
   5  the API key is missing, not valid, or does not allow it
   6  the state of things forbids it, or it has changed meanwhile
   7  it cannot be done at the moment: try again
  64  the configuration is wrong";

/// What was waited for has ended otherwise than hoped for.
#[derive(Debug)]
pub struct EndedBadly(pub String);

impl std::fmt::Display for EndedBadly {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for EndedBadly {}

/// The exit status of a command that failed.
pub fn status(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        // Whoever read has read enough, as `head` does.
        return 0;
    }
    if error.is::<ConfigError>() {
        return crate::USAGE;
    }
    if error.is::<EndedBadly>() {
        return 3;
    }
    if error.is::<Wrong>() {
        return 2;
    }
    match error.downcast_ref::<Fault>().map(Fault::code) {
        Some(Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented) => 2,
        Some(Code::NotFound) => 4,
        Some(Code::Unauthenticated | Code::PermissionDenied) => 5,
        Some(Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted) => 6,
        Some(Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded) => 7,
        Some(Code::Cancelled | Code::Internal) | None => 1,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind)
    };
    error
        .chain()
        .any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}

/// What a person is told: the causes, outermost first, and everything that a service said about it.
pub fn explain(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        if !told.is_empty() {
            told.push_str(": ");
        }
        match cause.downcast_ref::<Fault>() {
            Some(fault) => {
                tell(&mut told, fault);
                break;
            }
            None => told.push_str(&visible_lines(&cause.to_string())),
        }
    }
    told
}

fn tell(told: &mut String, fault: &Fault) {
    // Writing to a String does not fail.
    let _ = write!(
        told,
        "{} ({})",
        visible(fault.message()),
        fault.reason().as_str()
    );
    let mut line = |what: &str, text: &str| {
        let what = visible(what);
        let separator = if what.is_empty() { "" } else { ": " };
        let _ = write!(told, "\n  {what}{separator}{}", visible(text));
    };
    for violation in fault.violations() {
        line(&violation.field, &violation.description);
    }
    for unmet in fault.preconditions() {
        if unmet.description != fault.message() {
            line(&unmet.subject, &unmet.description);
        }
    }
    for quota in fault.quotas() {
        line(&quota.subject, &quota.description);
    }
    if let Some(delay) = fault.retry_after() {
        line("", &format!("try again in {:.1} s", delay.as_secs_f64()));
    }
    if let Some(trace) = fault.metadata().get("trace_id") {
        line("trace", trace);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::{Context as _, anyhow};
    use reeve_status::Reason;

    use super::*;

    #[test]
    fn everything_a_service_said_is_told() {
        let fault = Fault::new(
            Code::InvalidArgument,
            Reason::ValidationFailed,
            "no\u{1b}[2K",
        )
        .with_violations(vec![reeve_status::Violation {
            field: "spec.type".into(),
            description: "must not be empty".into(),
        }])
        .with_quota("tenant/1", "5 of 5")
        .with_retry_after(Duration::from_secs(3));
        let error = anyhow::Error::new(fault).context("cannot do it");
        assert_eq!(
            explain(&error),
            "cannot do it: no\\u{1b}[2K (VALIDATION_FAILED)\n  spec.type: must not be empty\n  \
             tenant/1: 5 of 5\n  try again in 3.0 s"
        );
        assert_eq!(status(&error), 2);
    }

    #[test]
    fn scripts_can_tell_failures_apart() {
        let fault = |code| anyhow::Error::new(Fault::new(code, Reason::InternalError, ""));
        assert_eq!(status(&fault(Code::NotFound)), 4);
        assert_eq!(status(&fault(Code::PermissionDenied)), 5);
        assert_eq!(status(&fault(Code::Aborted)), 6);
        assert_eq!(
            status(&fault(Code::Unavailable).context("a").context("b")),
            7
        );
        assert_eq!(status(&EndedBadly("FAILED".to_owned()).into()), 3);
        assert_eq!(status(&anyhow!("something")), 1);
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let pipe = Err::<(), _>(pipe).context("cannot write").unwrap_err();
        assert_eq!(status(&pipe), 0);
    }
}
