//! Requests that come a second time, because the answer to the first was lost.

use chrono::TimeDelta;
use reeve_clock::Clock as _;
use reeve_contracts::agent::v1::{AgentState, DeleteAgentRequest, RegisterAgentRequest};
use reeve_contracts::identity::v1::{
    ApiKeyState, CreateApiKeyRequest, CreateApiKeyResponse, CreateTenantRequest,
    CreateTenantResponse, PrincipalKind,
};
use reeve_status::{Code, Reason};
use tonic::Status;

use crate::harness::{World, id_of, refused, registration};

fn new_key(request_id: &str) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        name: "once".to_owned(),
        kind: PrincipalKind::User.into(),
        permissions: vec!["*".to_owned()],
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

async fn create(
    world: &World,
    request: &CreateApiKeyRequest,
) -> Result<CreateApiKeyResponse, Status> {
    let request = world.ask(request.clone());
    let answer = world.identity().create_api_key(request).await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn a_repeated_creation_returns_the_key_without_its_secret() {
    let world = World::start().await;
    let request = new_key("k-1");
    let first = create(&world, &request).await.unwrap();
    let second = create(&world, &request).await.unwrap();
    assert_eq!(first.api_key.unwrap().id, second.api_key.unwrap().id);
    assert!(!first.secret.is_empty() && second.secret.is_empty());
    let other = CreateApiKeyRequest {
        permissions: vec!["agents.get".into()],
        ..request
    };
    let answer = world.identity().create_api_key(world.ask(other)).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
}

#[tokio::test]
async fn two_at_once_with_one_request_id_make_one_key() {
    let world = World::start().await;
    for round in 0..10 {
        let request = CreateApiKeyRequest {
            name: format!("once-{round}"),
            ..new_key(&format!("k-{round}"))
        };
        let (one, other) = tokio::join!(create(&world, &request), create(&world, &request));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.api_key.unwrap().id, other.api_key.unwrap().id);
        assert_ne!(one.secret.is_empty(), other.secret.is_empty());
    }
}

#[tokio::test]
async fn a_repetition_after_the_key_expired_still_finds_it() {
    let (world, clock) = World::with_clock(&[]).await;
    let expire_time = clock.now() + TimeDelta::hours(1);
    let request = CreateApiKeyRequest {
        expire_time: Some(reeve_wellknown::timestamp(expire_time)),
        ..new_key("short")
    };
    let first = create(&world, &request).await.unwrap().api_key.unwrap();
    clock.advance(TimeDelta::hours(2));
    let second = create(&world, &request).await.unwrap().api_key.unwrap();
    assert_eq!(second.id, first.id);
    assert_eq!(second.state(), ApiKeyState::Expired);
    // A first request for such a key is wrong, and leaves its id free.
    let late = CreateApiKeyRequest {
        request_id: "late".to_owned(),
        ..request
    };
    let answer = world.identity().create_api_key(world.ask(late)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fault.violations()[0].field, "expire_time");
    create(&world, &new_key("late"))
        .await
        .expect_err("the name is taken");
}

#[tokio::test]
async fn a_repeated_tenant_comes_with_another_key() {
    let world = World::start().await;
    let request = CreateTenantRequest {
        name: "acme".to_owned(),
        request_id: "t-1".to_owned(),
    };
    let create = async |request: &CreateTenantRequest| -> CreateTenantResponse {
        let request = world.internal(request.clone());
        let made = world.identity().create_tenant(request).await;
        made.expect("it is made, or found").into_inner()
    };
    let first = create(&request).await;
    let second = create(&request).await;
    assert_eq!(first.tenant, second.tenant);
    for answer in [&first, &second] {
        let caller = world.caller(&answer.secret).await.expect("a way in");
        assert_eq!(caller.tenant_id, answer.tenant.as_ref().unwrap().id);
    }
    let other = CreateTenantRequest {
        name: "other".to_owned(),
        ..request.clone()
    };
    let answer = world.identity().create_tenant(world.internal(other)).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    let taken = CreateTenantRequest {
        request_id: "t-2".to_owned(),
        ..request
    };
    let answer = world.identity().create_tenant(world.internal(taken)).await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);
}

#[tokio::test]
async fn a_repeated_registration_of_a_deleted_agent_finds_nothing() {
    let world = World::start().await;
    let request = RegisterAgentRequest {
        request_id: "r-1".to_owned(),
        ..registration("deleted")
    };
    let mut agents = world.agents();
    let made = agents.register_agent(world.ask(request.clone())).await;
    let id = id_of(&made.unwrap().into_inner());
    for state in [
        AgentState::Active,
        AgentState::Stopping,
        AgentState::Offline,
    ] {
        world.transition(&id, state).await.unwrap();
    }
    let delete = DeleteAgentRequest {
        agent_id: id,
        ..Default::default()
    };
    agents.delete_agent(world.ask(delete)).await.unwrap();
    let answer = agents.register_agent(world.ask(request)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}
