//! Streams that outlive their connections.
//!
//! A server ends a stream that is old, or when it shuts down, and says so with UNAVAILABLE; each
//! message carries the cursor behind which the next stream goes on. So one that follows something
//! hears every change once, however many connections that takes.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, Streaming};

use super::session::{Service, Session};

/// How long a service may be away before a follower gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pauses between tries: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// Opens a stream behind a cursor and hears its messages, each of which moves the cursor, until one
/// of them breaks off with a value, or the server says that there will be no more.
pub async fn follow<C: Clone, M, T, Opening>(
    session: &Session,
    service: Service,
    mut cursor: C,
    open: impl Fn(C) -> Opening,
    mut hear: impl FnMut(M, &mut C) -> Result<ControlFlow<T>>,
) -> Result<Option<T>>
where
    Opening: Future<Output = Result<tonic::Response<Streaming<M>>, Status>>,
{
    let mut pause = PAUSES.0;
    // What was never reached is not waited for.
    let mut until = None;
    loop {
        let ended = match open(cursor.clone()).await {
            Ok(response) => {
                let mut stream = response.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            (pause, until) = (PAUSES.0, Some(Instant::now() + PATIENCE));
                            if let ControlFlow::Break(value) = hear(message, &mut cursor)? {
                                return Ok(Some(value));
                            }
                        }
                        Ok(None) => return Ok(None),
                        Err(status) => {
                            // A stream that was long silent has not used up its patience.
                            until = until.map(|_| Instant::now() + PATIENCE);
                            break status;
                        }
                    }
                }
            }
            Err(status) => status,
        };
        if !is_interruption(&ended) || until.is_none_or(|until| Instant::now() >= until) {
            return Err(session.explain(service, &ended));
        }
        tracing::debug!(status = %ended, "the stream ended; going on behind the last message");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Whether the server asked for another stream, or the connection broke.
fn is_interruption(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        // Those of a connection; what a service answers has details.
        Code::Unknown | Code::Internal | Code::Cancelled => status.details().is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use reeve_status::{Fault, Reason};

    use super::*;

    #[test]
    fn only_an_interruption_is_tried_again() {
        let expired = Fault::unavailable(Reason::StreamExpired, "old", Duration::ZERO);
        assert!(is_interruption(&expired.into()));
        assert!(is_interruption(&Status::unknown("broken pipe")));
        assert!(!is_interruption(&Fault::internal().into()));
        assert!(!is_interruption(&Fault::not_found("task", 7).into()));
    }
}
