//! EventService.

use futures::stream::BoxStream;
use reeve_auth::Caller;
use reeve_contracts::event::v1::event_service_server::EventService;
use reeve_contracts::event::v1::{
    GetEventRequest, GetEventResponse, ListEventsRequest, ListEventsResponse,
    SubscribeEventsRequest, SubscribeEventsResponse,
};
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::Fault;
use tonic::{Request, Response, Status};

use super::follow::{Follower, Streams};
use super::parse::{Reader, filters};
use super::render;
use crate::operations::Direction;
use crate::operations::Operations;

/// Reads the tenant's log.
#[derive(Debug)]
pub struct EventApi {
    operations: Operations,
    streams: Streams,
}

impl EventApi {
    /// The full name of the gRPC service, for health and reflection.
    pub const NAME: &'static str = "reeve.event.v1.EventService";

    /// The service over its operations.
    pub fn new(operations: Operations, streams: Streams) -> Self {
        Self {
            operations,
            streams,
        }
    }
}

#[tonic::async_trait]
impl EventService for EventApi {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let filter = filters::events(&mut reader, request.filter.as_ref());
        let size = reader.page_size(request.page_size);
        reader.finish()?;
        let direction = if request.newest_first {
            Direction::Descending
        } else {
            Direction::Ascending
        };
        let bound = ("events", direction, &filter);
        let beyond = page::decode::<i64>(&request.page_token, &bound)?;
        let listed = self
            .operations
            .list_events(&caller, beyond, &filter, direction, size + 1)
            .await?;
        let (events, next) = answer::page(listed.entries, size, render::events::logged, |entry| {
            entry.position
        });
        Ok(Response::new(ListEventsResponse {
            events,
            next_page_token: next
                .or(listed.looked_up_to)
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn get_event(
        &self,
        request: Request<GetEventRequest>,
    ) -> Result<Response<GetEventResponse>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let id = reader.id("event_id", &request.event_id);
        reader.finish()?;
        let entry = self
            .operations
            .get_event(&caller, id.ok_or_else(Fault::internal)?)
            .await?;
        Ok(Response::new(GetEventResponse {
            event: Some(render::events::logged(&entry)),
        }))
    }

    type SubscribeEventsStream = BoxStream<'static, Result<SubscribeEventsResponse, Status>>;

    async fn subscribe_events(
        &self,
        request: Request<SubscribeEventsRequest>,
    ) -> Result<Response<Self::SubscribeEventsStream>, Status> {
        let (caller, request) = (Caller::from_request(&request)?, request.into_inner());
        let mut reader = Reader::new(self.operations.now());
        let filter = filters::events(&mut reader, request.filter.as_ref());
        let cursor = reader.cursor(&request.cursor);
        reader.finish()?;
        let (operations, streams) = (self.operations.clone(), self.streams.clone());
        let from = (cursor, request.only_new);
        let follower =
            Follower::start(operations, streams, (caller.tenant(), filter), from).await?;
        let render = |batch| async move { Ok(render::events::batch(batch)) };
        Ok(Response::new(follower.stream(render)))
    }
}
