//! Registering, reading, changing and deleting agents.

use std::collections::HashMap;

use futures::StreamExt as _;
use prost_types::FieldMask;
use reeve_contracts::agent::v1::{
    Agent, AgentAvailability, AgentFilter, AgentState, Capability, DeleteAgentRequest,
    DrainAgentRequest, ListAgentsRequest, RegisterAgentRequest, TransitionAgentRequest,
    UpdateAgentRequest, WatchAgentsRequest,
};
use reeve_status::{Code, Reason};

use crate::harness::{
    World, beat_of, datum, edges, id_of, loaded, refused, refused_status, registration,
};

fn full(name: &str) -> RegisterAgentRequest {
    let metadata = serde_json::json!({ "team": "platform", "gpus": 2 });
    RegisterAgentRequest {
        model_id: "model-x".to_owned(),
        capabilities: vec![
            capability("yaml.lint", "2.0.1"),
            capability("code.write", "1.4.0"),
        ],
        labels: HashMap::from([("zone".to_owned(), "a".to_owned())]),
        metadata: reeve_wellknown::struct_from_json(metadata),
        ..registration(name)
    }
}

fn capability(name: &str, version: &str) -> Capability {
    Capability {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes: None,
    }
}

#[tokio::test]
async fn a_registered_agent_is_what_it_said() {
    let world = World::start().await;
    let answer = world
        .agents()
        .register_agent(world.ask(full("writer")))
        .await
        .unwrap()
        .into_inner();
    let agent = answer.agent.expect("an agent");
    assert_eq!(
        (agent.name.as_str(), agent.r#type.as_str()),
        ("writer", "code")
    );
    assert_eq!(
        (agent.state(), agent.epoch, answer.epoch),
        (AgentState::Starting, 1, 1)
    );
    assert_eq!(agent.availability(), AgentAvailability::Offline);
    let names: Vec<_> = agent.capabilities.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["code.write", "yaml.lint"], "in order of name");
    assert_eq!(agent.labels["zone"], "a");
    assert_eq!(agent.metadata, full("writer").metadata);
    assert!(agent.registered_by.starts_with("key:"));
    assert!(agent.last_heartbeat_time.is_none());
    let interval = answer
        .heartbeat_interval_duration
        .expect("an interval")
        .seconds;
    assert!(interval > 0 && answer.lease_duration.expect("a lease").seconds > interval);
    assert_eq!(world.get(&agent.id).await, agent);

    let events = world
        .events(|events| !edges(events, &agent.id).is_empty())
        .await;
    let registered = events
        .iter()
        .find(|e| e.r#type == "agent.registered")
        .expect("its event");
    assert_eq!(datum(registered, "etag"), agent.etag);
    assert_eq!(
        registered.actor.as_ref().expect("an actor").subject,
        agent.registered_by
    );
    assert_eq!(edges(&events, &agent.id), ["OFFLINE>STARTING"]);
}

#[tokio::test]
async fn availability_follows_load_and_capacity() {
    let world = World::start().await;
    let agent = world.active("worker").await;
    for (load, expected) in [
        (0, AgentAvailability::Idle),
        (1, AgentAvailability::Available),
        (2, AgentAvailability::Busy),
    ] {
        world.beat(loaded(&agent, load)).await.unwrap();
        let shown = world.get(&id_of(&agent)).await;
        assert_eq!(shown.availability(), expected, "{load} tasks of 2");
        assert_eq!(shown.workload.unwrap().active_task_count, load);
    }
}

#[tokio::test]
async fn lists_page_in_order_and_filter() {
    let world = World::start().await;
    for number in 0..5 {
        let mut request = full(&format!("agent-{number}"));
        request
            .labels
            .insert("parity".to_owned(), (number % 2).to_string());
        request.capabilities = vec![capability("code.write", &format!("1.{number}.0"))];
        request.r#type = if number == 4 { "git" } else { "code" }.to_owned();
        world
            .agents()
            .register_agent(world.ask(request))
            .await
            .unwrap();
    }
    let all = names(&world, AgentFilter::default()).await;
    assert_eq!(all, ["agent-0", "agent-1", "agent-2", "agent-3", "agent-4"]);
    let labels = HashMap::from([("parity".to_owned(), "1".to_owned())]);
    let odd = AgentFilter {
        labels,
        ..Default::default()
    };
    assert_eq!(names(&world, odd).await, ["agent-1", "agent-3"]);
    let git = AgentFilter {
        types: vec!["git".to_owned()],
        ..Default::default()
    };
    assert_eq!(names(&world, git).await, ["agent-4"]);
    let range = AgentFilter {
        capability: "code.write".to_owned(),
        capability_version_range: ">=1.1, <1.3".to_owned(),
        ..Default::default()
    };
    assert_eq!(names(&world, range).await, ["agent-1", "agent-2"]);
    let unknown = AgentFilter {
        capability: "cook".to_owned(),
        ..Default::default()
    };
    assert!(names(&world, unknown).await.is_empty());
    let active = AgentFilter {
        states: vec![AgentState::Active.into()],
        ..Default::default()
    };
    assert!(names(&world, active).await.is_empty());
}

/// All names, over pages of two.
async fn names(world: &World, filter: AgentFilter) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let filter = Some(filter.clone());
        let request = ListAgentsRequest {
            filter,
            page_size: 2,
            page_token,
        };
        let page = world
            .agents()
            .list_agents(world.ask(request))
            .await
            .unwrap()
            .into_inner();
        assert!(page.agents.len() <= 2);
        names.extend(page.agents.into_iter().map(|agent| agent.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names() {
    let world = World::start().await;
    let agent = world
        .agents()
        .register_agent(world.ask(full("changing")))
        .await
        .unwrap();
    let before = agent.into_inner().agent.unwrap();
    let request = UpdateAgentRequest {
        agent: Some(Agent {
            id: before.id.clone(),
            max_concurrent_tasks: 9,
            capabilities: vec![capability("git.merge", "")],
            name: "ignored".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["max_concurrent_tasks", "capabilities", "labels"]),
        etag: before.etag.clone(),
    };
    let after = world
        .agents()
        .update_agent(world.ask(request.clone()))
        .await
        .unwrap();
    let after = after.into_inner().agent.unwrap();
    assert_eq!(
        (
            after.max_concurrent_tasks,
            after.capabilities[0].name.as_str()
        ),
        (9, "git.merge")
    );
    assert!(after.labels.is_empty(), "named and empty is emptied");
    assert_eq!(
        (after.name.as_str(), &after.metadata),
        ("changing", &before.metadata)
    );
    assert_eq!(after.state(), before.state());
    assert_ne!(after.etag, before.etag);
    // The same again has a stale etag.
    let fault = refused(
        world.agents().update_agent(world.ask(request)).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    assert_eq!(fault.metadata()["current_etag"], after.etag);
    let events = world
        .events(|all| all.iter().any(|e| e.r#type == "agent.updated"))
        .await;
    assert_eq!(
        events
            .iter()
            .filter(|e| e.r#type == "agent.updated")
            .count(),
        1
    );
}

#[tokio::test]
async fn agents_that_do_not_fit_into_a_message_come_in_several_pages() {
    let world = World::start().await;
    // As large as an agent may be: about five megabytes in all.
    let attributes = prost_types::Struct {
        fields: [(
            "notes".to_owned(),
            prost_types::Value::from("x".repeat(4_000)),
        )]
        .into(),
    };
    let capabilities: Vec<_> = (0..64)
        .map(|number| Capability {
            name: format!("c-{number}"),
            attributes: Some(attributes.clone()),
            ..Default::default()
        })
        .collect();
    let mut expected = Vec::new();
    for number in 0..20 {
        let request = RegisterAgentRequest {
            capabilities: capabilities.clone(),
            ..registration(&format!("large-{number}"))
        };
        let made = world.agents().register_agent(world.ask(request)).await;
        expected.push(id_of(&made.unwrap().into_inner()));
    }
    let (mut listed, mut pages, mut page_token) = (Vec::new(), 0, String::new());
    loop {
        let request = ListAgentsRequest {
            page_token,
            ..Default::default()
        };
        let answer = world.agents().list_agents(world.ask(request)).await;
        let page = answer.unwrap().into_inner();
        listed.extend(page.agents.into_iter().map(|agent| agent.id));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, expected);
    assert!(pages > 1);
    // A watch begins with all of them, too.
    let request = world.ask(WatchAgentsRequest::default());
    let stream = world.agents().watch_agents(request).await.unwrap();
    let current = stream.into_inner().take(expected.len());
    let current: Vec<_> = current
        .map(|message| message.unwrap().agent.expect("it is current").id)
        .collect()
        .await;
    assert_eq!(current, expected);
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    })
}

#[tokio::test]
async fn draining_ends_in_inactive_when_the_work_is_done() {
    let world = World::start().await;
    let agent = world.active("drained").await;
    let id = id_of(&agent);
    world.beat(loaded(&agent, 1)).await.unwrap();
    let request = DrainAgentRequest {
        agent_id: id.clone(),
        reason: "upgrade".into(),
        ..Default::default()
    };
    let drained = world
        .agents()
        .drain_agent(world.ask(request.clone()))
        .await
        .unwrap();
    let drained = drained.into_inner().agent.unwrap();
    assert_eq!(
        (drained.state(), drained.state_reason.as_str()),
        (AgentState::Draining, "upgrade")
    );
    assert_eq!(drained.availability(), AgentAvailability::Busy);
    // Nothing is left, but the agent has not been told yet: a task may be on its way.
    let reply = world.beat(loaded(&agent, 0)).await.unwrap();
    assert_eq!(reply.state(), AgentState::Draining);
    assert!(
        reply
            .actions()
            .any(|action| action == reeve_contracts::agent::v1::AgentAction::Drain)
    );
    let reply = world.beat(loaded(&agent, 1)).await.unwrap();
    assert_eq!(reply.state(), AgentState::Draining);
    let reply = world.beat(loaded(&agent, 0)).await.unwrap();
    assert_eq!(reply.state(), AgentState::Inactive);
    // Draining what has drained changes nothing.
    let again = world
        .agents()
        .drain_agent(world.ask(request.clone()))
        .await
        .unwrap();
    assert_eq!(
        again.into_inner().agent.unwrap().state(),
        AgentState::Inactive
    );
    world.transition(&id, AgentState::Stopping).await.unwrap();
    let fault = refused(
        world.agents().drain_agent(world.ask(request)).await,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.metadata()["legal"], "OFFLINE");
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let world = World::start().await;
    let agent = world.active("guarded").await;
    let id = id_of(&agent);
    let before = world.get(&id).await;
    let etag = "1".to_owned();
    let request = TransitionAgentRequest {
        agent_id: id.clone(),
        state: AgentState::Error.into(),
        etag: etag.clone(),
        ..Default::default()
    };
    let answer = world.agents().transition_agent(world.ask(request)).await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    let request = DrainAgentRequest {
        agent_id: id.clone(),
        etag: etag.clone(),
        ..Default::default()
    };
    let answer = world.agents().drain_agent(world.ask(request)).await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    let request = DeleteAgentRequest {
        agent_id: id.clone(),
        etag,
    };
    let answer = world.agents().delete_agent(world.ask(request)).await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    let after = world.get(&id).await;
    assert_eq!(
        (after.state(), after.etag),
        (AgentState::Active, before.etag)
    );
}

#[tokio::test]
async fn only_an_offline_agent_can_be_deleted() {
    let world = World::start().await;
    let agent = world.active("leaving").await;
    let id = id_of(&agent);
    let request = DeleteAgentRequest {
        agent_id: id.clone(),
        etag: String::new(),
    };
    let answer = world
        .agents()
        .delete_agent(world.ask(request.clone()))
        .await;
    refused(answer, Code::FailedPrecondition, Reason::AgentNotOffline);
    world.transition(&id, AgentState::Stopping).await.unwrap();
    world.transition(&id, AgentState::Offline).await.unwrap();
    world
        .agents()
        .delete_agent(world.ask(request.clone()))
        .await
        .unwrap();
    let answer = world.agents().delete_agent(world.ask(request)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let answer = world.beat(beat_of(&agent)).await;
    refused_status(answer, Code::NotFound, Reason::ResourceNotFound);
    let reborn = world.register("leaving").await;
    assert_ne!(id_of(&reborn), id);
    assert_eq!(reborn.epoch, 1);
    world
        .events(|all| {
            all.iter()
                .any(|e| e.r#type == "agent.deleted" && e.resource_id == id)
        })
        .await;
}

#[tokio::test]
async fn an_agent_starts_by_registering_alone() {
    let world = World::start().await;
    let id = id_of(&world.active("sleeper").await);
    world.transition(&id, AgentState::Stopping).await.unwrap();
    world.transition(&id, AgentState::Offline).await.unwrap();
    let answer = world.transition(&id, AgentState::Starting).await;
    refused_status(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
}
