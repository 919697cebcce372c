//! Work beyond what the server can do at the same time is refused at once, instead of making
//! everyone wait: RESOURCE_EXHAUSTED, reason OVERLOADED, with a time to retry. Health and reflection
//! are always answered.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use reeve_status::{Code, Fault, Reason};
use tokio::sync::Semaphore;
use tonic::body::Body;

use super::body::Holding;
use super::{Call, Handle, refuse};
use crate::config::LimitsConfig;
use crate::metrics::Metrics;

const RETRY: Duration = Duration::from_millis(500);

/// Step 7.
pub(super) struct Shed<H> {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    metrics: Metrics,
    next: H,
}

impl<H> Shed<H> {
    /// A step with the configured room.
    pub(super) fn new(limits: &LimitsConfig, metrics: Metrics, next: H) -> Self {
        let room = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self {
            calls: room(limits.calls_in_flight),
            streams: room(limits.open_streams),
            metrics,
            next,
        }
    }
}

impl<H: Handle> Handle for Shed<H> {
    async fn handle(&self, call: Call) -> Response<Body> {
        let counted = self.metrics.in_flight();
        if call.is_open() {
            return self.next.handle(call).await;
        }
        let streams = call.is_stream();
        let room = if streams { &self.streams } else { &self.calls };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            let message = "the server has as much work in flight as it can do; try again later";
            let fault = Fault::new(Code::ResourceExhausted, Reason::Overloaded, message);
            return refuse(fault.with_retry_after(RETRY));
        };
        let response = self.next.handle(call).await;
        if streams {
            return response.map(|inner| Holding::body(inner, (permit, counted)));
        }
        response
    }
}
