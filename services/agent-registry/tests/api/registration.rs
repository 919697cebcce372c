//! Registering again: restarts, repetitions and races.

use reeve_contracts::agent::v1::{
    Agent, AgentState, DrainAgentRequest, RegisterAgentRequest, RegisterAgentResponse,
    TransitionAgentRequest,
};
use reeve_status::{Code, Reason};

use crate::harness::{World, beat_of, edges, id_of, refused, refused_status, registration};

#[tokio::test]
async fn registering_again_restarts_the_agent_over_legal_edges() {
    let world = World::start().await;
    // How to bring an agent there, and the edges that a restart from there takes.
    let cases: [(&str, &[AgentState], &[&str]); 7] = [
        ("starting", &[], &[]),
        (
            "active",
            &[AgentState::Active],
            &["ACTIVE>STOPPING", "STOPPING>OFFLINE", "OFFLINE>STARTING"],
        ),
        (
            "draining",
            &[AgentState::Active, AgentState::Draining],
            &[
                "DRAINING>ERROR",
                "ERROR>STOPPING",
                "STOPPING>OFFLINE",
                "OFFLINE>STARTING",
            ],
        ),
        (
            "inactive",
            &[
                AgentState::Active,
                AgentState::Draining,
                AgentState::Inactive,
            ],
            &["INACTIVE>STOPPING", "STOPPING>OFFLINE", "OFFLINE>STARTING"],
        ),
        (
            "error",
            &[AgentState::Error],
            &["ERROR>STOPPING", "STOPPING>OFFLINE", "OFFLINE>STARTING"],
        ),
        (
            "stopping",
            &[AgentState::Active, AgentState::Stopping],
            &["STOPPING>OFFLINE", "OFFLINE>STARTING"],
        ),
        (
            "offline",
            &[
                AgentState::Active,
                AgentState::Stopping,
                AgentState::Offline,
            ],
            &["OFFLINE>STARTING"],
        ),
    ];
    for (name, way, expected) in cases {
        let first = world.register(name).await;
        let id = id_of(&first);
        for state in way {
            world.transition(&id, *state).await.unwrap();
        }
        let second = world.register(name).await;
        assert_eq!((id_of(&second), second.epoch), (id.clone(), 2), "{name}");
        assert_eq!(
            second.agent.unwrap().state(),
            AgentState::Starting,
            "{name}"
        );
        let told = |events: &[_]| edges(events, &id).len() >= 1 + way.len() + expected.len();
        let events = world.events(told).await;
        assert_eq!(edges(&events, &id)[1 + way.len()..], *expected, "{name}");
        refused_status(
            world.beat(beat_of(&first)).await,
            Code::FailedPrecondition,
            Reason::StaleEpoch,
        );
        world.beat(beat_of(&registered(&id, 2))).await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_was_replaced_does_not_stop_its_successor() {
    let world = World::start().await;
    let first = world.active("linter").await;
    let second = world.active("linter").await;
    let id = id_of(&second);
    let goodbye = |epoch: i64| TransitionAgentRequest {
        agent_id: id.clone(),
        state: AgentState::Stopping.into(),
        epoch,
        ..Default::default()
    };
    let drain = |epoch: i64| DrainAgentRequest {
        agent_id: id.clone(),
        epoch,
        ..Default::default()
    };
    let mut agents = world.agents();
    let stale = (Code::FailedPrecondition, Reason::StaleEpoch);
    let answer = agents
        .transition_agent(world.ask(goodbye(first.epoch)))
        .await;
    let fault = refused(answer, stale.0, stale.1);
    assert_eq!(fault.metadata()["current_epoch"], second.epoch.to_string());
    let answer = agents.drain_agent(world.ask(drain(first.epoch))).await;
    refused(answer, stale.0, stale.1);
    assert_eq!(world.get(&id).await.state(), AgentState::Active);
    // The current one may, and people need not know which process runs.
    let answer = agents.drain_agent(world.ask(drain(second.epoch))).await;
    answer.expect("it asks for itself");
    world.transition(&id, AgentState::Inactive).await.unwrap();
    let answer = agents
        .transition_agent(world.ask(goodbye(second.epoch)))
        .await;
    answer.expect("it asks for itself");
}

fn registered(id: &str, epoch: i64) -> RegisterAgentResponse {
    let agent = Agent {
        id: id.to_owned(),
        ..Default::default()
    };
    RegisterAgentResponse {
        agent: Some(agent),
        epoch,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_restart_does_not_end_maintenance() {
    let world = World::start().await;
    let first = world.active("kept").await;
    let id = id_of(&first);
    world
        .transition(&id, AgentState::Maintenance)
        .await
        .unwrap();
    let second = world.register("kept").await;
    assert_eq!(
        second.agent.as_ref().unwrap().state(),
        AgentState::Maintenance
    );
    assert_eq!(second.epoch, 2);
    let reply = world.beat(beat_of(&second)).await.unwrap();
    assert_eq!(reply.state(), AgentState::Maintenance);
    world.transition(&id, AgentState::Active).await.unwrap();
}

#[tokio::test]
async fn a_repeated_registration_returns_the_first() {
    let world = World::start().await;
    let once = RegisterAgentRequest {
        request_id: "r-1".to_owned(),
        ..registration("once")
    };
    let first = world
        .agents()
        .register_agent(world.ask(once.clone()))
        .await
        .unwrap()
        .into_inner();
    let second = world
        .agents()
        .register_agent(world.ask(once.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((id_of(&first), first.epoch), (id_of(&second), second.epoch));
    let other = RegisterAgentRequest {
        model_id: "another".to_owned(),
        ..once
    };
    let answer = world.agents().register_agent(world.ask(other)).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    assert_eq!(world.get(&id_of(&first)).await.epoch, 1);
}

#[tokio::test]
async fn processes_that_register_at_once_each_get_their_epoch() {
    let world = World::start().await;
    let calls = (0..8).map(|_| world.register("crowd"));
    let answers = futures::future::join_all(calls).await;
    let mut epochs: Vec<_> = answers.iter().map(|answer| answer.epoch).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=8).collect::<Vec<_>>());
    assert!(
        answers
            .iter()
            .all(|answer| id_of(answer) == id_of(&answers[0]))
    );
}
