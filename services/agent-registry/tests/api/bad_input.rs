//! Requests that are wrong: the code, every field at once, and nothing changed.

use std::collections::HashMap;

use prost_types::FieldMask;
use reeve_contracts::agent::v1::{
    Agent, AgentFilter, AgentState, Capability, DeleteAgentRequest, DrainAgentRequest,
    GetAgentRequest, HealthCheck, Heartbeat, HeartbeatRequest, ListAgentsRequest,
    RegisterAgentRequest, TransitionAgentRequest, UpdateAgentRequest, WatchAgentsRequest, Workload,
};
use reeve_contracts::identity::v1::{
    CreateApiKeyRequest, CreateTenantRequest, GetApiKeyRequest, ListApiKeysRequest,
    RevokeApiKeyRequest,
};
use reeve_ids::AgentId;
use reeve_status::{Code, Fault, Reason};
use tonic::{Response, Status};

use crate::harness::{World, beat_of, fields, refused, registration};

#[track_caller]
fn invalid<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Fault {
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed)
}

fn struct_of(bytes: usize) -> Option<prost_types::Struct> {
    reeve_wellknown::struct_from_json(serde_json::json!({ "text": "x".repeat(bytes) }))
}

#[tokio::test]
async fn a_registration_names_every_wrong_field() {
    let world = World::start().await;
    let capability = |name: &str, version: &str, bytes| Capability {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes: struct_of(bytes),
    };
    let request = RegisterAgentRequest {
        name: " spaced".to_owned(),
        r#type: "Code".to_owned(),
        model_id: "m".repeat(129),
        capabilities: vec![
            capability("fine", "1.0.0", 1),
            capability("fine", "not a version", 5_000),
            capability("Wrong", "", 0),
        ],
        max_concurrent_tasks: -1,
        labels: HashMap::from([(String::new(), "v".repeat(257))]),
        metadata: struct_of(17_000),
        request_id: "r".repeat(129),
    };
    let fault = invalid(world.agents().register_agent(world.ask(request)).await);
    assert_eq!(
        fields(&fault),
        [
            "capabilities[1].attributes",
            "capabilities[1].name",
            "capabilities[1].version",
            "capabilities[2].name",
            "labels[\"\"]",
            "labels[\"\"]",
            "max_concurrent_tasks",
            "metadata",
            "model_id",
            "name",
            "request_id",
            "type",
        ]
    );
    let empty = RegisterAgentRequest::default();
    let fault = invalid(world.agents().register_agent(world.ask(empty)).await);
    assert_eq!(fields(&fault), ["name", "type"]);
    let nul = serde_json::json!({ "deep": ["\u{0}"] });
    let request = RegisterAgentRequest {
        metadata: reeve_wellknown::struct_from_json(nul),
        labels: HashMap::from([("k".to_owned(), "\u{0}".to_owned())]),
        ..registration("nul")
    };
    let fault = invalid(world.agents().register_agent(world.ask(request)).await);
    assert_eq!(fields(&fault), ["labels[\"k\"]", "metadata"]);
    let listed = world
        .agents()
        .list_agents(world.ask(ListAgentsRequest::default()))
        .await
        .unwrap();
    assert!(listed.into_inner().agents.is_empty(), "nothing was made");
}

#[tokio::test]
async fn a_heartbeat_names_every_wrong_field() {
    let world = World::start().await;
    let agent = world.register("victim").await;
    let check = |name: &str, status| HealthCheck {
        name: name.to_owned(),
        status,
        message: String::new(),
        check_time: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
    };
    let heartbeat = Heartbeat {
        agent_id: "nonsense".to_owned(),
        epoch: 0,
        workload: Some(Workload {
            cpu_utilization: f64::NAN,
            memory_bytes: -1,
            active_task_count: -1,
            queue_length: -1,
            success_rate: Some(1.5),
            error_rate: Some(-0.1),
            average_processing_duration: Some(prost_types::Duration {
                seconds: -1,
                nanos: 0,
            }),
        }),
        health_checks: vec![check("a", 99), check("a", 1)],
        ready: None,
    };
    let request = HeartbeatRequest {
        heartbeat: Some(heartbeat),
    };
    let fault = invalid(world.agents().heartbeat(world.ask(request)).await);
    assert_eq!(
        fields(&fault),
        [
            "heartbeat.agent_id",
            "heartbeat.epoch",
            "heartbeat.health_checks[0].check_time",
            "heartbeat.health_checks[0].status",
            "heartbeat.health_checks[1].check_time",
            "heartbeat.health_checks[1].name",
            "heartbeat.workload.active_task_count",
            "heartbeat.workload.average_processing_duration",
            "heartbeat.workload.cpu_utilization",
            "heartbeat.workload.error_rate",
            "heartbeat.workload.memory_bytes",
            "heartbeat.workload.queue_length",
            "heartbeat.workload.success_rate",
        ]
    );
    let fault = invalid(
        world
            .agents()
            .heartbeat(world.ask(HeartbeatRequest::default()))
            .await,
    );
    assert_eq!(fields(&fault), ["heartbeat"]);
    let absent = Heartbeat {
        agent_id: AgentId::new().to_string(),
        ..beat_of(&agent)
    };
    let request = HeartbeatRequest {
        heartbeat: Some(absent),
    };
    let answer = world.agents().heartbeat(world.ask(request)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let future = Heartbeat {
        epoch: 2,
        ..beat_of(&agent)
    };
    let request = HeartbeatRequest {
        heartbeat: Some(future),
    };
    let answer = world.agents().heartbeat(world.ask(request)).await;
    refused(answer, Code::FailedPrecondition, Reason::StaleEpoch);
}

#[tokio::test]
async fn changes_name_every_wrong_field() {
    let world = World::start().await;
    let mut agents = world.agents();
    for number in [0, 9, -1] {
        let request = TransitionAgentRequest {
            agent_id: "x".to_owned(),
            state: number,
            reason: "r".repeat(1_025),
            epoch: -1,
            ..Default::default()
        };
        let fault = invalid(agents.transition_agent(world.ask(request)).await);
        let expected = ["agent_id", "epoch", "reason", "state"];
        assert_eq!(fields(&fault), expected, "{number}");
    }
    let request = DrainAgentRequest {
        reason: "\u{0}".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        fields(&invalid(agents.drain_agent(world.ask(request)).await)),
        ["agent_id", "reason"]
    );
    let request = UpdateAgentRequest::default();
    let fault = invalid(agents.update_agent(world.ask(request)).await);
    assert_eq!(fields(&fault), ["agent.id", "update_mask"]);
    let request = UpdateAgentRequest {
        agent: Some(Agent {
            max_concurrent_tasks: 10_001,
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: ["state", "name", "max_concurrent_tasks"]
                .map(str::to_owned)
                .to_vec(),
        }),
        etag: String::new(),
    };
    let fault = invalid(agents.update_agent(world.ask(request)).await);
    let expected = [
        "agent.id",
        "agent.max_concurrent_tasks",
        "update_mask",
        "update_mask",
    ];
    assert_eq!(fields(&fault), expected);
    // The spelling that is not canonical.
    let id = AgentId::new().uuid().simple().to_string();
    let fault = invalid(
        agents
            .get_agent(world.ask(GetAgentRequest { agent_id: id }))
            .await,
    );
    assert_eq!(fields(&fault), ["agent_id"]);
    let fault = invalid(
        agents
            .delete_agent(world.ask(DeleteAgentRequest::default()))
            .await,
    );
    assert_eq!(fields(&fault), ["agent_id"]);
}

#[tokio::test]
async fn lists_and_watches_name_every_wrong_field() {
    let world = World::start().await;
    let request = ListAgentsRequest {
        filter: Some(AgentFilter {
            states: vec![AgentState::Active.into(), 77],
            types: vec!["Code".to_owned()],
            names: vec![String::new(), "\0".to_owned()],
            capability: String::new(),
            capability_version_range: "newest".to_owned(),
            labels: (0..17).map(|n| (n.to_string(), String::new())).collect(),
        }),
        page_size: -1,
        page_token: String::new(),
    };
    let fault = invalid(world.agents().list_agents(world.ask(request)).await);
    assert_eq!(
        fields(&fault),
        [
            "filter.capability",
            "filter.capability_version_range",
            "filter.labels",
            "filter.names[0]",
            "filter.names[1]",
            "filter.states[1]",
            "filter.types[0]",
            "page_size",
        ]
    );
    let request = WatchAgentsRequest {
        cursor: String::new(),
        agent_ids: vec!["x".to_owned(); 101],
    };
    let fault = invalid(world.agents().watch_agents(world.ask(request)).await);
    // As many as a header takes: see libs/status.
    let named = fields(&fault);
    assert!(
        named.contains(&"agent_ids") && named.contains(&"agent_ids[0]"),
        "{named:?}"
    );
}

#[tokio::test]
async fn damaged_and_foreign_page_tokens_are_refused() {
    let world = World::start().await;
    for name in ["a", "b"] {
        world.register(name).await;
        world.key(name, &["agents.get"]).await;
    }
    let list = |filter: Option<AgentFilter>, page_token: String| ListAgentsRequest {
        filter,
        page_size: 1,
        page_token,
    };
    let first = world
        .agents()
        .list_agents(world.ask(list(None, String::new())))
        .await
        .unwrap();
    let token = first.into_inner().next_page_token;
    let request = ListApiKeysRequest {
        page_size: 1,
        ..Default::default()
    };
    let keys = world
        .identity()
        .list_api_keys(world.ask(request))
        .await
        .unwrap()
        .into_inner();
    let other_filter = AgentFilter {
        types: vec!["code".to_owned()],
        ..Default::default()
    };
    for (filter, token) in [
        (None, "nonsense".to_owned()),
        (None, token[..token.len() - 2].to_owned()),
        (None, keys.next_page_token),
        (Some(other_filter), token.clone()),
    ] {
        let answer = world
            .agents()
            .list_agents(world.ask(list(filter, token)))
            .await;
        let fault = refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
        assert_eq!(fields(&fault), ["page_token"]);
    }
    let request = ListApiKeysRequest {
        page_token: token,
        ..Default::default()
    };
    let answer = world.identity().list_api_keys(world.ask(request)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
}

#[tokio::test]
async fn identity_names_every_wrong_field() {
    let world = World::start().await;
    let mut identity = world.identity();
    let request = CreateApiKeyRequest {
        name: String::new(),
        kind: 3,
        permissions: ["fine.verb", "Internal", "internal.tenants.create", "*.x"]
            .map(str::to_owned)
            .to_vec(),
        expire_time: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 0,
        }),
        request_id: "r".repeat(129),
    };
    let fault = invalid(identity.create_api_key(world.ask(request)).await);
    assert_eq!(
        fields(&fault),
        [
            "expire_time",
            "kind",
            "name",
            "permissions[1]",
            "permissions[2]",
            "permissions[3]",
            "request_id",
        ]
    );
    let fault = invalid(identity.create_api_key(world.ask(Default::default())).await);
    assert_eq!(fields(&fault), ["kind", "name", "permissions"]);
    let fault = invalid(
        identity
            .get_api_key(world.ask(GetApiKeyRequest::default()))
            .await,
    );
    assert_eq!(fields(&fault), ["api_key_id"]);
    let fault = invalid(
        identity
            .revoke_api_key(world.ask(RevokeApiKeyRequest::default()))
            .await,
    );
    assert_eq!(fields(&fault), ["api_key_id"]);
    let request = ListApiKeysRequest {
        states: vec![0, 9],
        kind: 3,
        page_size: -1,
        ..Default::default()
    };
    let fault = invalid(identity.list_api_keys(world.ask(request)).await);
    assert_eq!(
        fields(&fault),
        ["kind", "page_size", "states[0]", "states[1]"]
    );
    for name in ["", "Upper", "1", "with space"] {
        let request = world.internal(CreateTenantRequest {
            name: name.to_owned(),
            request_id: "\0".to_owned(),
        });
        assert_eq!(
            fields(&invalid(identity.create_tenant(request).await)),
            ["name", "request_id"]
        );
    }
}
