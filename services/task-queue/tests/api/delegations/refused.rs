//! What is not handed on, and why.

use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::task::v1::{self as proto, DelegationType, TaskState};
use reeve_ids::{AgentId, TaskId, TenantId};
use reeve_status::{Code, Reason};
use reeve_testkit::{authorize, eventually};
use tonic::Status;

use super::{reassignment, to_agent, to_anyone};
use crate::harness::*;

/// It was refused for this reason, and the holder holds it still.
#[track_caller]
pub fn because<T: std::fmt::Debug>(answer: Result<T, Status>, cause: &str) {
    let fault = refused(answer, Code::FailedPrecondition, Reason::DelegationRefused);
    assert_eq!(fault.metadata()["cause"], cause);
}

#[tokio::test]
async fn nobody_gets_it_who_may_not_have_it() {
    let world = World::start().await;
    let holder = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(holder).await;
    let token = &lease.lease_token;

    because(world.delegate(to_agent(token, holder)).await, "IS_HOLDER");
    let other = world.agent(&["test"]);
    let answer = world.delegate(to_agent(token, other)).await;
    because(answer, "CAPABILITY_MISSING");
    let answer = world.delegate(to_agent(token, AgentId::new())).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let stranger = world.known().add_agent(TenantId::new(), &["lint"]);
    let answer = world.delegate(to_agent(token, stranger)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    for kind in [
        DelegationType::Automatic,
        DelegationType::LoadBalance,
        DelegationType::Failover,
    ] {
        because(world.delegate(to_anyone(token, kind)).await, "NO_CANDIDATE");
    }
    let idle = world.agent(&["lint"]);
    world
        .known()
        .transition(world.tenant, idle, AgentState::Maintenance);
    let fault = eventually(|| async { world.delegate(to_agent(token, idle)).await.err() }).await;
    let fault = refused::<()>(Err(fault), Code::FailedPrecondition, Reason::AgentNotActive);
    assert_eq!(fault.metadata()["state"], "MAINTENANCE");

    let task = world.get(&created.id).await;
    assert_eq!(
        (task.state(), task.delegation_count),
        (TaskState::Assigned, 0)
    );
    world.complete(token).await.expect("it holds it still");
}

#[tokio::test]
async fn who_rejected_it_does_not_get_it_back() {
    let world = World::start().await;
    let (rejecter, holder) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.create(spec("lint")).await;
    let lease = world.lease_one(rejecter).await;
    let reject = proto::RejectTaskRequest {
        lease_token: lease.lease_token,
        ..Default::default()
    };
    let rejected = world.work().reject_task(world.ask(reject)).await;
    rejected.expect("it is rejected");
    let lease = world.lease_one(holder).await;
    let token = &lease.lease_token;
    because(
        world.delegate(to_agent(token, rejecter)).await,
        "HAS_REJECTED",
    );
    let answer = world
        .delegate(to_anyone(token, DelegationType::Automatic))
        .await;
    because(answer, "NO_CANDIDATE");
}

#[tokio::test]
async fn only_what_an_agent_holds_is_taken_from_it() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let request = reassignment(&created.id, second);
    because(world.reassign(request.clone()).await, "NOT_HELD");
    let lease = world.lease_one(first).await;
    let stale = proto::ReassignTaskRequest {
        etag: created.etag.clone(),
        ..request.clone()
    };
    refused(
        world.reassign(stale).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    world.reassign(request.clone()).await.expect("it is taken");
    let third = world.agent(&["lint"]);
    let again = reassignment(&created.id, third);
    because(world.reassign(again.clone()).await, "NOT_HELD");
    let answer = world.delegate(to_agent(&lease.lease_token, third)).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let lease = world.lease_one(second).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let fault = refused(
        world.reassign(again).await,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.metadata()["from"], "COMPLETED");
    let answer = world.delegate(to_agent(&lease.lease_token, third)).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let absent = reassignment(&TaskId::new().to_string(), third);
    refused(
        world.reassign(absent).await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
}

#[tokio::test]
async fn another_tenant_hands_nothing_on() {
    let world = World::start().await;
    let other = TenantId::new();
    let key = world.authenticator.admin(other);
    let (holder, theirs) = (
        world.agent(&["lint"]),
        world.known().add_agent(other, &["lint"]),
    );
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(holder).await;
    let request = authorize(&key, to_agent(&lease.lease_token, theirs));
    let answer = world.work().delegate_task(request).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let request = authorize(&key, reassignment(&created.id, theirs));
    let answer = world.tasks().reassign_task(request).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    world.pass(&lease, world.agent(&["lint"])).await;
    let list = world
        .tasks()
        .list_delegations(authorize(&key, Default::default()))
        .await;
    assert!(list.expect("a list").into_inner().delegations.is_empty());
    let filter = proto::DelegationFilter {
        task_id: created.id,
        ..Default::default()
    };
    let request = proto::ListDelegationsRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let answer = world
        .tasks()
        .list_delegations(authorize(&key, request))
        .await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn an_operator_needs_a_permission_of_its_own_and_an_agent_none_but_its_own() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(first).await;
    let key = |permission| world.authenticator.key(world.tenant, &[permission]);
    let (worker, operator) = (key("tasks.work"), key("tasks.delegate"));
    let request = authorize(&worker, reassignment(&created.id, second));
    let answer = world.tasks().reassign_task(request).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let request = authorize(&operator, to_agent(&lease.lease_token, second));
    let answer = world.work().delegate_task(request).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let request = authorize(&worker, to_agent(&lease.lease_token, second));
    let handed = world.work().delegate_task(request).await;
    handed.expect("a holder may hand it on");
    world.lease_one(second).await;
    let third = world.agent(&["lint"]);
    let request = authorize(&operator, reassignment(&created.id, third));
    let taken = world.tasks().reassign_task(request).await;
    taken.expect("an operator may take it");
}

#[tokio::test]
async fn who_is_to_let_go_and_what_a_brake_holds_stays() {
    let world = World::start().await;
    let (holder, other) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.create(spec("lint")).await;
    let lease = world.lease_one(holder).await;
    world.pause("default", "a release").await;
    let answer = world.delegate(to_agent(&lease.lease_token, other)).await;
    because(answer, "BRAKED");
    world.resume("default").await;
    world
        .cancel(id_of(&lease))
        .await
        .expect("the holder is asked");
    let answer = world.delegate(to_agent(&lease.lease_token, other)).await;
    because(answer, "CANCEL_REQUESTED");
    let ended = world.fail(&lease.lease_token, false).await;
    assert_eq!(ended.expect("it lets go").state(), TaskState::Cancelled);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let other = AgentId::new().to_string();
    let deep = (0..31).fold(
        serde_json::json!({}),
        |inner, _| serde_json::json!({"a": inner}),
    );
    let large = serde_json::json!({"a": "x".repeat(16 * 1_024)});
    let json = reeve_wellknown::struct_from_json;
    let request = proto::DelegateTaskRequest {
        lease_token: "x".to_owned(),
        r#type: 9,
        to_agent_id: "nobody".to_owned(),
        reason: "x".repeat(513),
        metadata: json(large.clone()),
        checkpoint: json(deep.clone()),
        usage: vec![proto::Usage::default(); 33],
    };
    let answer = world.delegate(request.clone()).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let named = [
        "checkpoint",
        "lease_token",
        "metadata",
        "reason",
        "to_agent_id",
        "type",
        "usage",
    ];
    assert_eq!(fields(&fault), named);
    for (kind, to, field) in [
        (DelegationType::Manual, String::new(), "to_agent_id"),
        (DelegationType::Automatic, other.clone(), "to_agent_id"),
        (DelegationType::LoadBalance, other.clone(), "to_agent_id"),
        (DelegationType::Unspecified, other.clone(), "type"),
    ] {
        let request = proto::ReassignTaskRequest {
            task_id: TaskId::new().to_string(),
            r#type: kind.into(),
            to_agent_id: to,
            ..Default::default()
        };
        let answer = world.reassign(request).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), [field], "{kind:?}");
    }
    let request = proto::ReassignTaskRequest {
        task_id: "x".to_owned(),
        r#type: -1,
        to_agent_id: other,
        reason: "a\0b".to_owned(),
        metadata: json(deep),
        etag: "x".to_owned(),
        request_id: "x".repeat(129),
    };
    let fault = refused(
        world.reassign(request).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    let named = [
        "etag",
        "metadata",
        "reason",
        "request_id",
        "task_id",
        "type",
    ];
    assert_eq!(fields(&fault), named);
    let filter = proto::DelegationFilter {
        task_id: "x".to_owned(),
        from_agent_id: "y".to_owned(),
        to_agent_id: "z".to_owned(),
        types: vec![1, 0],
        outcomes: vec![6],
        delegate_time_from: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        delegate_time_before: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
    };
    let request = proto::ListDelegationsRequest {
        filter: Some(filter),
        page_size: -1,
        ..Default::default()
    };
    let fault = refused(
        world.delegations(request).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    let named = [
        "filter.delegate_time_before",
        "filter.delegate_time_from",
        "filter.from_agent_id",
        "filter.outcomes[0]",
        "filter.task_id",
        "filter.to_agent_id",
        "filter.types[1]",
        "page_size",
    ];
    assert_eq!(fields(&fault), named);
}

#[tokio::test]
async fn what_must_not_run_twice_is_taken_from_its_holder_by_a_person_only() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world
        .create(proto::TaskSpec {
            effect: proto::TaskEffect::Effectful.into(),
            ..spec("lint")
        })
        .await;
    let begun = proto::LeaseTasksRequest {
        start: true,
        ..lease_of(first, 1)
    };
    assert_eq!(world.lease_as(begun).await.len(), 1);
    let operator = world
        .authenticator
        .agent_key(world.tenant, &["tasks.delegate"]);
    let request = authorize(&operator, reassignment(&created.id, second));
    let answer = world.tasks().reassign_task(request).await;
    because(answer, "EFFECTFUL");
    assert_eq!(world.get(&created.id).await.state(), TaskState::InProgress);
    let taken = world.reassign(reassignment(&created.id, second)).await;
    taken.expect("a person decides that it may run again");
}
