//! What a handler can know of the call that it serves, without being handed it: the deadline and
//! the trace, so that calls to other services inherit both.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::trace::TraceContext;

tokio::task_local! {
    static CURRENT: CallContext;
}

/// The deadline, the trace and the request id of the call being served. Also in the request's
/// extensions.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// When the caller stops waiting; nothing for a stream without a deadline.
    pub deadline: Option<Instant>,
    /// The trace that the call belongs to.
    pub trace: TraceContext,
    /// The call's x-request-id.
    pub request_id: String,
}

impl CallContext {
    /// The call that this task serves; nothing in a loop.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// The call that a request belongs to.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Self> {
        request.extensions().get()
    }

    /// How long the caller still waits.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}
