//! Work beyond what the server can do at the same time is refused at once, instead of making
//! everyone wait: RESOURCE_EXHAUSTED, reason OVERLOADED, with a time to retry. Calls that do work,
//! long polls and streams each have room of their own, so that those who wait do not displace those
//! who work. Health and reflection are always answered.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use reeve_status::{Code, Fault, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;

use super::body::Holding;
use super::{Call, Handle, refuse};
use crate::config::LimitsConfig;
use crate::metrics::Metrics;

const RETRY: Duration = Duration::from_millis(500);

/// Step 7.
pub(super) struct Shed<H> {
    calls: Room,
    polls: Room,
    streams: Room,
    metrics: Metrics,
    next: H,
}

impl<H> Shed<H> {
    /// A step with the configured room.
    pub(super) fn new(limits: &LimitsConfig, metrics: Metrics, next: H) -> Self {
        Self {
            calls: Room::new("calls_in_flight", limits.calls_in_flight),
            polls: Room::new("long_polls", limits.long_polls),
            streams: Room::new("open_streams", limits.open_streams),
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
        let room = match (streams, call.is_long_poll()) {
            (true, _) => &self.streams,
            (false, true) => &self.polls,
            (false, false) => &self.calls,
        };
        let permit = match room.enter() {
            Ok(permit) => permit,
            Err(fault) => return refuse(fault),
        };
        let response = self.next.handle(call).await;
        if streams {
            return response.map(|inner| Holding::body(inner, (permit, counted)));
        }
        response
    }
}

/// Room for one kind of call.
struct Room {
    limit: &'static str,
    size: usize,
    free: Arc<Semaphore>,
}

impl Room {
    fn new(limit: &'static str, size: usize) -> Self {
        let free = Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self { limit, size, free }
    }

    /// Room for one more call, for as long as the permit lives.
    fn enter(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.free.clone().try_acquire_owned().map_err(|_| {
            let message = "the server has as much work in flight as it can do; try again later";
            Fault::new(Code::ResourceExhausted, Reason::Overloaded, message)
                .with_quota(
                    format!("server/{}", self.limit),
                    format!("{size} of {size}", size = self.size),
                )
                .with_retry_after(RETRY)
        })
    }
}
