//! The gRPC face of a service's log, for its peers.

use reeve_contracts::event::v1::event_feed_service_server::{
    EventFeedService, EventFeedServiceServer,
};
use reeve_contracts::event::v1::{ReadEventsRequest, ReadEventsResponse};
use reeve_status::Fault;
use tonic::{Request, Response, Status};

use crate::{Error, Log};

const DEFAULT_PAGE: i32 = 500;
const GREATEST_PAGE: i32 = 1_000;

/// Serves [`EventFeedService`] from a service's log.
#[derive(Debug)]
pub struct FeedService {
    log: Log,
}

impl FeedService {
    /// The full name of the gRPC service, for health and reflection.
    pub const NAME: &'static str = "reeve.event.v1.EventFeedService";

    /// The gRPC service over a log.
    pub fn server(log: Log) -> EventFeedServiceServer<Self> {
        EventFeedServiceServer::new(Self { log })
    }
}

#[tonic::async_trait]
impl EventFeedService for FeedService {
    async fn read_events(
        &self,
        request: Request<ReadEventsRequest>,
    ) -> Result<Response<ReadEventsResponse>, Status> {
        let request = request.into_inner();
        let size = parse(&request)?;
        let events = self
            .log
            .read_after(request.after_sequence, size)
            .await
            .map_err(fault)?;
        let last_sequence = self.log.last_sequence().await.map_err(fault)?;
        Ok(Response::new(ReadEventsResponse {
            events,
            last_sequence,
        }))
    }
}

fn parse(request: &ReadEventsRequest) -> Result<usize, Fault> {
    let mut violations = reeve_status::Violations::new();
    violations.check(
        request.after_sequence >= 0,
        "after_sequence",
        "must not be negative",
    );
    violations.check(
        request.page_size >= 0,
        "page_size",
        "must be from 0 to 1000",
    );
    violations.finish()?;
    let size = if request.page_size == 0 {
        DEFAULT_PAGE
    } else {
        request.page_size
    };
    Ok(usize::try_from(size.min(GREATEST_PAGE)).unwrap_or_default())
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Database(error) => Fault::from(&error),
        Error::Feed { .. } | Error::Corrupt { .. } | Error::Handler(_) => {
            tracing::error!(%error, "the event feed failed");
            Fault::internal()
        }
    }
}
