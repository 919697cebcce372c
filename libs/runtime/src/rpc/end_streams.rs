//! Streams end when the server drains, and when their connection is older than it should be: with
//! UNAVAILABLE, so that clients resume from their last cursor. A service that watches
//! `Deps::drain` ends its own streams sooner, after what it still has to say.

use std::time::Duration;

use futures::FutureExt as _;
use http::Response;
use reeve_status::{Fault, Reason};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::body::CutShort;
use super::{Call, Handle, refuse};

/// How long a service has to end its streams by itself.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(100);

/// Step 5.
pub(super) struct EndStreams<H> {
    pub(super) drain: CancellationToken,
    pub(super) next: H,
}

impl<H: Handle> Handle for EndStreams<H> {
    async fn handle(&self, call: Call) -> Response<Body> {
        if !call.is_stream() {
            return self.next.handle(call).await;
        }
        let mut end = ended(self.drain.clone(), call.connection_expired.clone()).boxed();
        let response = tokio::select! {
            response = self.next.handle(call) => response,
            fault = &mut end => return refuse(fault),
        };
        response.map(|inner| CutShort::body(inner, end))
    }
}

async fn ended(drain: CancellationToken, connection_expired: CancellationToken) -> Fault {
    tokio::select! {
        () = connection_expired.cancelled() => {
            let message = "the stream's connection reached its greatest age; resume the stream";
            Fault::unavailable(Reason::StreamExpired, message, RETRY)
        }
        () = drain.cancelled() => {
            tokio::time::sleep(PATIENCE).await;
            Fault::unavailable(Reason::Draining, "the server is shutting down", RETRY)
        }
    }
}
