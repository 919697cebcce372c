//! Streams and calls that outlive their connections.
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

/// How long to go on trying, and how long to rest in between.
struct Patience {
    pause: Duration,
    /// What was never reached is not waited for.
    until: Option<Instant>,
}

impl Patience {
    fn new(reached: bool) -> Self {
        Self {
            pause: PAUSES.0,
            until: reached.then(|| Instant::now() + PATIENCE),
        }
    }

    /// Rests before another try; false when there should be none.
    async fn rest(&mut self, ended: &Status) -> bool {
        if !is_interruption(ended) {
            return false;
        }
        if is_broken(ended) && self.until.is_none() {
            self.until = Some(Instant::now() + PATIENCE);
        }
        if self.until.is_none_or(|until| Instant::now() >= until) {
            return false;
        }
        tracing::debug!(status = %ended, "interrupted; trying again");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        true
    }
}

/// Makes a call that has one effect however often it is made, until it is answered.
pub async fn persist<M, Calling>(
    session: &Session,
    service: Service,
    call: impl Fn() -> Calling,
) -> Result<M>
where
    Calling: Future<Output = Result<tonic::Response<M>, Status>>,
{
    let mut patience = Patience::new(session.was_reached(service));
    loop {
        match call().await {
            Err(status) if patience.rest(&status).await => {}
            answer => return session.answer(service, answer),
        }
    }
}

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
    let mut patience = Patience::new(session.was_reached(service));
    loop {
        let ended = match open(cursor.clone()).await {
            Ok(response) => {
                let mut stream = response.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            patience = Patience::new(true);
                            if let ControlFlow::Break(value) = hear(message, &mut cursor)? {
                                return Ok(Some(value));
                            }
                        }
                        Ok(None) => return Ok(None),
                        Err(status) => {
                            // A stream that was long silent has not used up its patience.
                            patience = Patience::new(patience.until.is_some());
                            break status;
                        }
                    }
                }
            }
            Err(status) => status,
        };
        if !patience.rest(&ended).await {
            return Err(session.explain(service, &ended));
        }
    }
}

/// Whether the server asked for another stream, or the connection broke.
fn is_interruption(status: &Status) -> bool {
    status.code() == Code::Unavailable || is_broken(status)
}

/// Whether a connection broke that had been made; what a service answers has details.
fn is_broken(status: &Status) -> bool {
    let of_connection = matches!(
        status.code(),
        Code::Unknown | Code::Internal | Code::Cancelled
    );
    of_connection && status.details().is_empty()
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
