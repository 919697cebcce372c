//! The deadline that the caller states holds for the whole call, the body of a stream included; a
//! unary call without one gets the default. Whoever is late hears DEADLINE_EXCEEDED (tonic alone
//! would say CANCELLED, and let streams go on). The handler's future is dropped.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use http::{HeaderMap, Response};
use reeve_status::{Code, Fault, Reason};
use tonic::body::Body;

use super::body::CutShort;
use super::{Call, Handle, refuse};
use crate::call::CallContext;

/// More than any call needs, and little enough to add to an instant.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Step 6.
pub(super) struct Deadline<H> {
    pub(super) unary: Duration,
    pub(super) next: H,
}

impl<H: Handle> Handle for Deadline<H> {
    async fn handle(&self, mut call: Call) -> Response<Body> {
        let streams = call.is_stream();
        let default = (!streams).then_some(self.unary);
        let time = stated(call.request.headers())
            .map(|time| time.min(LONGEST))
            .or(default);
        let deadline = time.map(|time| Instant::now() + time);
        let context = CallContext {
            deadline,
            trace: call.trace,
            request_id: call.request_id.clone(),
        };
        call.request.extensions_mut().insert(context.clone());

        let work = context.scope(self.next.handle(call));
        let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
            return work.await;
        };
        match tokio::time::timeout_at(deadline, work).await {
            Err(_) => refuse(late()),
            Ok(response) if streams => response.map(|inner| {
                let end = tokio::time::sleep_until(deadline).map(|()| late()).boxed();
                CutShort::body(inner, end)
            }),
            Ok(response) => response,
        }
    }
}

fn late() -> Fault {
    Fault::new(
        Code::DeadlineExceeded,
        Reason::DeadlinePassed,
        "the deadline passed; the change may have been made",
    )
}

/// The `grpc-timeout` of a request: at most eight digits and a unit.
fn stated(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_timeouts_of_the_protocol() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().expect("a header"));
            stated(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        for wrong in ["", "m", "1", "1x", "-1S", "999999999S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
