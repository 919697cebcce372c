//! A small service. What it does is asked for in the request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use reeve_auth::Caller;
use reeve_contracts::event::v1::event_service_server::EventService;
use reeve_contracts::event::v1::{
    Event, GetEventRequest, GetEventResponse, ListEventsRequest, ListEventsResponse, LoggedEvent,
    SubscribeEventsRequest, SubscribeEventsResponse,
};
use reeve_runtime::CallContext;
use reeve_status::{Fault, Reason};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

/// What tests see of the service.
#[derive(Default)]
pub struct Inside {
    /// Lets one held call go on.
    pub gate: Notify,
    /// Calls that are held now.
    pub held: AtomicU32,
    /// Streams that are open now.
    pub streams: AtomicU32,
    /// Calls of "flaky" so far.
    pub flaky: AtomicU32,
    /// Held calls that were let go on.
    pub finished: AtomicU32,
    /// What the loop that outlasts the calls saw of `finished`.
    pub carried: AtomicU32,
}

/// Adds one to a counter for as long as it lives.
pub struct Count<'a>(&'a AtomicU32);

impl<'a> Count<'a> {
    /// Counts.
    pub fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The service.
pub struct Api(pub Arc<Inside>);

#[tonic::async_trait]
impl EventService for Api {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let next_page_token = request.into_inner().page_token.len().to_string();
        Ok(Response::new(ListEventsResponse {
            next_page_token,
            ..Default::default()
        }))
    }

    async fn get_event(
        &self,
        request: Request<GetEventRequest>,
    ) -> Result<Response<GetEventResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let context = CallContext::of(&request)
            .cloned()
            .expect("the runtime leaves it here");
        assert!(
            !request.metadata().contains_key("authorization"),
            "the credential was passed on"
        );
        let mut event = Event {
            tenant_id: caller.tenant().to_string(),
            request_id: caller.request_id,
            traceparent: caller.traceparent.unwrap_or_default(),
            resource_id: context
                .remaining()
                .map_or(0, |left| left.as_millis())
                .to_string(),
            ..Default::default()
        };
        match request.into_inner().event_id.as_str() {
            "late" => {
                let _held = Count::new(&self.0.held);
                std::future::pending::<()>().await;
            }
            "hold" => {
                let _held = Count::new(&self.0.held);
                self.0.gate.notified().await;
                self.0.finished.fetch_add(1, Ordering::SeqCst);
            }
            "large" => event.id = "x".repeat(5 << 20),
            "panic" => panic!("asked to"),
            "bug" => return Err(Status::internal("the password is hunter2")),
            "flaky" if self.0.flaky.fetch_add(1, Ordering::SeqCst) < 2 => {
                let soon = Duration::from_millis(1);
                return Err(Fault::unavailable(Reason::DatabaseUnavailable, "away", soon).into());
            }
            "absent" => return Err(Fault::not_found("event", "absent").into()),
            _ => {}
        }
        Ok(Response::new(GetEventResponse {
            event: Some(logged(event)),
        }))
    }

    type SubscribeEventsStream =
        Pin<Box<dyn Stream<Item = Result<SubscribeEventsResponse, Status>> + Send>>;

    async fn subscribe_events(
        &self,
        request: Request<SubscribeEventsRequest>,
    ) -> Result<Response<Self::SubscribeEventsStream>, Status> {
        let first = SubscribeEventsResponse {
            cursor: "1".into(),
            ..Default::default()
        };
        let first = stream::once(async { Ok(first) });
        let inside = self.0.clone();
        let then = request.into_inner().cursor;
        let rest = stream::once(async move {
            let _open = Count::new(&inside.streams);
            // Lets what was sent before leave the server's buffer.
            tokio::task::yield_now().await;
            match then.as_str() {
                "panic" => panic!("asked to"),
                "fail" => Err(Status::unknown("whatever")),
                _ => std::future::pending().await,
            }
        });
        Ok(Response::new(first.chain(rest).boxed()))
    }
}

fn logged(event: Event) -> LoggedEvent {
    LoggedEvent {
        event: Some(event),
        ..Default::default()
    }
}
