//! Two replicas of the registry, between which agents move.

use reeve_agent_registry::AgentRegistry;
use reeve_contracts::agent::v1::agent_service_client::AgentServiceClient;
use reeve_contracts::agent::v1::{
    Agent, AgentState, GetAgentRequest, Heartbeat, HeartbeatReply, HeartbeatRequest,
};
use reeve_status::{Code, Reason};
use reeve_testkit::{Running, eventually, serve};
use tonic::Status;

use crate::harness::{World, beat_of, id_of, refused_status};
use crate::heartbeats::check;

/// The second replica; the world is the first.
struct Second<'a> {
    world: &'a World,
    running: Running,
}

impl<'a> Second<'a> {
    async fn of(world: &'a World) -> Self {
        let mut deps = world.deps.clone();
        deps.drain = Default::default();
        deps.metrics = reeve_runtime::Metrics::new(AgentRegistry::NAME);
        deps.wake = Default::default();
        let config = world.config().expect("the test's configuration is right");
        let service = AgentRegistry::build(config, deps.clone()).await.unwrap();
        let running = serve(service, &deps).await;
        Self { world, running }
    }

    async fn beat(&self, heartbeat: Heartbeat) -> Result<HeartbeatReply, Status> {
        let mut agents = AgentServiceClient::new(self.running.channel());
        let message = HeartbeatRequest {
            heartbeat: Some(heartbeat),
        };
        let answer = agents.heartbeat(self.world.ask(message)).await?;
        Ok(answer.into_inner().reply.expect("it has a reply"))
    }

    async fn get(&self, id: &str) -> Agent {
        let mut agents = AgentServiceClient::new(self.running.channel());
        let message = GetAgentRequest {
            agent_id: id.to_owned(),
        };
        let answer = agents.get_agent(self.world.ask(message)).await;
        let answer = answer.expect("the agent is there").into_inner();
        answer.agent.expect("the answer holds it")
    }
}

#[tokio::test]
async fn another_replica_hears_of_a_new_process() {
    let world = World::start().await;
    let other = Second::of(&world).await;
    let first = world.active("shared").await;
    other.beat(beat_of(&first)).await.unwrap();
    let second = world.register("shared").await;
    // The new process is known at once, because the database is asked about an epoch to come.
    other.beat(beat_of(&second)).await.unwrap();
    refused_status(
        other.beat(beat_of(&first)).await,
        Code::FailedPrecondition,
        Reason::StaleEpoch,
    );
    // A change of state is heard of by the event.
    let id = id_of(&second);
    world
        .transition(&id, AgentState::Maintenance)
        .await
        .unwrap();
    eventually(|| async {
        let reply = other.beat(beat_of(&second)).await.unwrap();
        reply.state() == AgentState::Maintenance
    })
    .await;
}

#[tokio::test]
async fn the_latest_report_counts_whichever_replica_heard_it() {
    let world = World::start().await;
    let other = Second::of(&world).await;
    let agent = world.active("moving").await;
    let id = id_of(&agent);
    let reporting = |seconds| Heartbeat {
        health_checks: vec![check("disk", seconds)],
        ..beat_of(&agent)
    };
    other.beat(reporting(1)).await.unwrap();
    world.beat(reporting(2)).await.unwrap();
    // The connection moved back, and nothing has changed.
    other.beat(beat_of(&agent)).await.unwrap();
    let latest = |agent: Agent| {
        let [check] = agent.health_checks.as_slice() else {
            return Err("it has no check".to_owned());
        };
        let time = check.check_time.expect("it ran");
        (time.seconds == 2)
            .then_some(())
            .ok_or_else(|| format!("it shows the check of {time:?}"))
    };
    eventually(|| async { latest(world.get(&id).await) }).await;
    eventually(|| async { latest(other.get(&id).await) }).await;
}
