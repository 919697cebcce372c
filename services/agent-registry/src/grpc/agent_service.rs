//! `reeve.agent.v1.AgentService`.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use reeve_auth::Caller;
use reeve_contracts::agent::v1::agent_service_server::AgentService;
use reeve_contracts::agent::v1::{self as proto, stream_heartbeats_response::Outcome};
use reeve_ids::AgentId;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Reason};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{parse_agent as parse, parse_heartbeat, render_agent as render};
use crate::operations::watch::{self, Watch};
use crate::operations::{
    Context, View, agents, delete_agent, heartbeat, register_agent, transition_agent, update_agent,
};

/// When a client should come back to a server that drains.
const RETRY: Duration = Duration::from_millis(100);

/// Heartbeats of one stream that are worked on at once.
const AT_ONCE: usize = 64;

/// Serves agents.
#[derive(Clone)]
pub struct AgentApi {
    context: Arc<Context>,
    drain: CancellationToken,
    bookmark_period: Duration,
}

impl AgentApi {
    /// The full name of the gRPC service.
    pub const NAME: &'static str = "reeve.agent.v1.AgentService";

    /// The RPCs over a context. Streams end when `drain` is cancelled.
    pub fn new(context: Arc<Context>, drain: CancellationToken, bookmark_period: Duration) -> Self {
        Self {
            context,
            drain,
            bookmark_period,
        }
    }

    async fn beat(
        &self,
        caller: &Caller,
        message: Option<proto::Heartbeat>,
    ) -> Result<proto::HeartbeatReply, Fault> {
        let heartbeat = parse_heartbeat::heartbeat(message, self.context.now())?;
        let agent_id = heartbeat.agent_id;
        let reply = heartbeat::beat(&self.context, caller, heartbeat).await?;
        let next = jittered(agent_id, self.context.heartbeat_interval());
        Ok(render::reply(
            agent_id,
            reply,
            next,
            self.context.lease_span(),
        ))
    }

    async fn answer(
        &self,
        caller: &Caller,
        message: proto::StreamHeartbeatsRequest,
    ) -> proto::StreamHeartbeatsResponse {
        let agent_id = message
            .heartbeat
            .as_ref()
            .map(|h| h.agent_id.clone())
            .unwrap_or_default();
        let outcome = match self.beat(caller, message.heartbeat).await {
            Ok(reply) => Outcome::Reply(reply),
            Err(fault) => Outcome::Refusal(render::refusal(agent_id, &fault)),
        };
        proto::StreamHeartbeatsResponse {
            outcome: Some(outcome),
        }
    }
}

/// Up to a tenth sooner, by agent: a fleet that started together does not report together.
fn jittered(id: AgentId, interval: TimeDelta) -> TimeDelta {
    let [.., last] = *id.uuid().as_bytes();
    interval - interval * i32::from(last) / 2_560
}

fn agent(view: View) -> Option<proto::Agent> {
    Some(render::agent(view))
}

#[tonic::async_trait]
impl AgentService for AgentApi {
    type StreamHeartbeatsStream =
        BoxStream<'static, Result<proto::StreamHeartbeatsResponse, Status>>;
    type WatchAgentsStream = BoxStream<'static, Result<proto::WatchAgentsResponse, Status>>;

    async fn register_agent(
        &self,
        request: Request<proto::RegisterAgentRequest>,
    ) -> Result<Response<proto::RegisterAgentResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let registration = parse::registration(request.into_inner())?;
        let done = register_agent::register(&self.context, &caller, registration).await?;
        let interval = self.context.heartbeat_interval();
        Ok(Response::new(proto::RegisterAgentResponse {
            epoch: done.epoch,
            heartbeat_interval_duration: Some(reeve_wellknown::duration(interval)),
            lease_duration: Some(reeve_wellknown::duration(self.context.lease_span())),
            agent: agent(done.view),
        }))
    }

    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Result<Response<proto::HeartbeatResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let reply = self.beat(&caller, request.into_inner().heartbeat).await?;
        Ok(Response::new(proto::HeartbeatResponse {
            reply: Some(reply),
        }))
    }

    async fn stream_heartbeats(
        &self,
        request: Request<Streaming<proto::StreamHeartbeatsRequest>>,
    ) -> Result<Response<Self::StreamHeartbeatsStream>, Status> {
        let caller = Arc::new(Caller::from_request(&request)?);
        let api = self.clone();
        let answers = request.into_inner().map(move |message| {
            let (api, caller) = (api.clone(), Arc::clone(&caller));
            async move { Ok(api.answer(&caller, message?).await) }
        });
        // In order, and yet an agent that waits for the database holds up no other.
        let answers = answers.buffered(AT_ONCE);
        Ok(Response::new(ending(answers.boxed(), self.drain.clone())))
    }

    async fn transition_agent(
        &self,
        request: Request<proto::TransitionAgentRequest>,
    ) -> Result<Response<proto::TransitionAgentResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let wish = parse::wish(request.into_inner())?;
        let view = transition_agent::transition(&self.context, &caller, wish).await?;
        Ok(Response::new(proto::TransitionAgentResponse {
            agent: agent(view),
        }))
    }

    async fn drain_agent(
        &self,
        request: Request<proto::DrainAgentRequest>,
    ) -> Result<Response<proto::DrainAgentResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let wish = parse::drain(request.into_inner())?;
        let view = transition_agent::drain(&self.context, &caller, wish).await?;
        Ok(Response::new(proto::DrainAgentResponse {
            agent: agent(view),
        }))
    }

    async fn get_agent(
        &self,
        request: Request<proto::GetAgentRequest>,
    ) -> Result<Response<proto::GetAgentResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let id = parse::agent_id(&request.into_inner().agent_id)?;
        let view = agents::get(&self.context, caller.tenant(), id).await?;
        Ok(Response::new(proto::GetAgentResponse {
            agent: agent(view),
        }))
    }

    async fn list_agents(
        &self,
        request: Request<proto::ListAgentsRequest>,
    ) -> Result<Response<proto::ListAgentsResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let list = parse::list(request.into_inner())?;
        let (query, after, size) = (&list.query, list.after, list.size);
        let page = agents::list(&self.context, caller.tenant(), query, after, size).await?;
        // Free-form facts are larger in the contract than in the database.
        let agents = answer::fit(&page.views, |view| render::agent(view.clone()));
        let cut = page.views[..agents.len()].last();
        let next = match cut.filter(|_| agents.len() < page.views.len()) {
            Some(last) => Some(last.agent.id.uuid()),
            None => page.next,
        };
        let next = next.map(|key| page::encode(&key, &list.binding));
        Ok(Response::new(proto::ListAgentsResponse {
            agents,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn watch_agents(
        &self,
        request: Request<proto::WatchAgentsRequest>,
    ) -> Result<Response<Self::WatchAgentsStream>, Status> {
        let tenant = Caller::from_request(&request)?.tenant();
        let (agents, cursor, binding) = parse::watch(request.get_ref(), tenant)?;
        let watch = Watch {
            tenant,
            agents,
            bookmark_period: self.bookmark_period,
        };
        let messages = watch::follow(Arc::clone(&self.context), watch, cursor)
            .map_ok(move |message| render::watched(message, &binding))
            .map_err(Status::from);
        Ok(Response::new(ending(messages.boxed(), self.drain.clone())))
    }

    async fn update_agent(
        &self,
        request: Request<proto::UpdateAgentRequest>,
    ) -> Result<Response<proto::UpdateAgentResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let (id, change, etag) = parse::update(request.into_inner())?;
        let view = update_agent::update(&self.context, &caller, id, change, &etag).await?;
        Ok(Response::new(proto::UpdateAgentResponse {
            agent: agent(view),
        }))
    }

    async fn delete_agent(
        &self,
        request: Request<proto::DeleteAgentRequest>,
    ) -> Result<Response<proto::DeleteAgentResponse>, Status> {
        let caller = Caller::from_request(&request)?;
        let request = request.into_inner();
        let id = parse::agent_id(&request.agent_id)?;
        delete_agent::delete(&self.context, &caller, id, &request.etag).await?;
        Ok(Response::new(proto::DeleteAgentResponse {}))
    }
}

/// The messages until the server drains, then DRAINING.
fn ending<T: Send + 'static>(
    messages: BoxStream<'static, Result<T, Status>>,
    drain: CancellationToken,
) -> BoxStream<'static, Result<T, Status>> {
    let messages = messages.take_until(drain.clone().cancelled_owned().boxed());
    futures::stream::unfold(Some((messages, drain)), |state| async move {
        let (mut messages, drain) = state?;
        match messages.next().await {
            Some(message) => Some((message, Some((messages, drain)))),
            None if drain.is_cancelled() => Some((Err(draining()), None)),
            // A client that ends its side of the stream ends it without an error.
            None => None,
        }
    })
    .boxed()
}

fn draining() -> Status {
    Fault::unavailable(Reason::Draining, "the server is shutting down", RETRY).into()
}
