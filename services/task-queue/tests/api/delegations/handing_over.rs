//! Every type, and what goes along.

use std::collections::HashSet;

use reeve_contracts::task::v1::{
    self as proto, AttemptOutcome, DelegationOutcome, DelegationType, TaskState,
};
use reeve_status::{Code, Reason};
use serde_json::json;

use super::{reassignment, to_agent, to_anyone};
use crate::harness::*;

fn facts(json: serde_json::Value) -> Option<prost_types::Struct> {
    reeve_wellknown::struct_from_json(json)
}

#[tokio::test]
async fn a_task_goes_to_the_agent_that_its_holder_names() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(hasty("lint", 1)).await;
    let old = world.lease_one(first).await;
    let start = proto::StartTaskRequest {
        lease_token: old.lease_token.clone(),
    };
    world
        .work()
        .start_task(world.ask(start))
        .await
        .expect("it begins");
    let request = proto::DelegateTaskRequest {
        metadata: facts(json!({"found": "a better one"})),
        ..to_agent(&old.lease_token, second)
    };
    let made = world.delegate(request).await.expect("it is handed on");
    assert_eq!(made.outcome(), DelegationOutcome::Offered);
    assert_eq!(made.r#type(), DelegationType::Manual);
    assert_eq!(made.task_id, created.id);
    assert_eq!(made.from_agent_id, first.to_string());
    assert_eq!(made.to_agent_id, second.to_string());
    assert_eq!((made.position, made.attempt), (1, 1));
    assert_eq!(made.reason, "knows it better");
    assert_eq!(made.metadata, facts(json!({"found": "a better one"})));
    assert!(made.delegate_time.is_some() && made.outcome_time.is_none());

    let offered = world.get(&created.id).await;
    assert_eq!(offered.state(), TaskState::Assigned);
    assert_eq!(offered.assigned_agent_id, second.to_string());
    assert_eq!((offered.attempt, offered.delegation_count), (1, 1));
    assert_eq!(offered.delegation, Some(made.clone()));

    let list = world
        .tasks()
        .list_tasks(world.ask(Default::default()))
        .await;
    let listed = list.expect("a list").into_inner().tasks.remove(0);
    let expected = proto::TaskDelegation {
        metadata: None,
        ..made.clone()
    };
    assert_eq!(listed.delegation, Some(expected), "a list has no bodies");

    let new = world.lease_one(second).await;
    assert_eq!((id_of(&new), new.attempt), (created.id.as_str(), 2));
    let told = new.task.as_ref().and_then(|task| task.delegation.clone());
    let told = told.expect("the lease says from whom it comes");
    assert_eq!(
        (&told.id, told.outcome()),
        (&made.id, DelegationOutcome::Taken)
    );
    assert_eq!(told.metadata, made.metadata);
    world
        .complete(&new.lease_token)
        .await
        .expect("it completes");

    let task = world.get(&created.id).await;
    assert_eq!(task.state(), TaskState::Completed);
    assert_eq!((task.failure_count, task.lost_lease_count), (0, 0));
    let outcomes: Vec<_> = task.attempts.iter().map(proto::Attempt::outcome).collect();
    assert_eq!(
        outcomes,
        [AttemptOutcome::Delegated, AttemptOutcome::Completed]
    );
    assert_eq!(
        task.delegation.expect("it stays").outcome(),
        DelegationOutcome::Taken
    );
    let story = world.story(&created.id, "task.completed").await;
    let expected = [
        "task.created",
        "task.assigned",
        "task.started",
        "task.delegated",
        "task.assigned",
        "task.completed",
    ];
    assert_eq!(story, expected);
}

#[tokio::test]
async fn the_lease_of_before_is_void() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.create(spec("lint")).await;
    let old = world.lease_one(first).await;
    let accept = proto::AcceptTaskRequest {
        lease_token: old.lease_token.clone(),
    };
    world
        .work()
        .accept_task(world.ask(accept.clone()))
        .await
        .expect("accepted");
    let new = world.pass(&old, second).await;
    let token = &old.lease_token;
    let lost = (Code::FailedPrecondition, Reason::LeaseLost);
    refused(world.complete(token).await, lost.0, lost.1);
    refused(world.fail(token, true).await, lost.0, lost.1);
    refused(
        world.work().accept_task(world.ask(accept)).await,
        lost.0,
        lost.1,
    );
    let reject = proto::RejectTaskRequest {
        lease_token: token.clone(),
        ..Default::default()
    };
    refused(
        world.work().reject_task(world.ask(reject)).await,
        lost.0,
        lost.1,
    );
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![token.clone(), new.lease_token.clone()],
        ..Default::default()
    };
    let renewed = world.work().renew_leases(world.ask(renew)).await;
    let renewed = renewed.expect("verdicts").into_inner().renewals;
    let verdicts: Vec<_> = renewed.iter().map(proto::LeaseRenewal::verdict).collect();
    assert_eq!(
        verdicts,
        [proto::LeaseVerdict::Lost, proto::LeaseVerdict::Ok]
    );
    world
        .complete(&new.lease_token)
        .await
        .expect("it completes");
}

#[tokio::test]
async fn checkpoint_and_usage_go_along() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let old = world.lease_one(first).await;
    let used = |tokens| proto::Usage {
        output_tokens: tokens,
        ..Default::default()
    };
    let report = proto::ReportProgressRequest {
        lease_token: old.lease_token.clone(),
        percent: 40.0,
        message: "half way".to_owned(),
        checkpoint: facts(json!({"line": 3})),
        usage: vec![used(7)],
    };
    world
        .work()
        .report_progress(world.ask(report))
        .await
        .expect("reported");
    let new = world.pass(&old, second).await;
    assert_eq!(
        new.checkpoint,
        facts(json!({"line": 3})),
        "what was reported"
    );
    let request = proto::DelegateTaskRequest {
        checkpoint: facts(json!({"line": 9})),
        usage: vec![used(11)],
        ..to_anyone(&new.lease_token, DelegationType::Failover)
    };
    let third = world.agent(&["lint"]);
    world.delegate(request).await.expect("it is handed on");
    let last = world.lease_one(third).await;
    assert_eq!(
        last.checkpoint,
        facts(json!({"line": 9})),
        "what came with it"
    );
    let task = world.get(&created.id).await;
    let progress = task.progress.expect("it was reported");
    assert_eq!(
        (progress.percent, progress.message.as_str()),
        (40.0, "half way")
    );
    let tokens: Vec<_> = task
        .attempts
        .iter()
        .map(|one| one.usage[0].output_tokens)
        .collect();
    assert_eq!(tokens, [7, 11]);
    let events = world
        .events(|events| {
            events
                .iter()
                .filter(|one| one.r#type == "task.delegated")
                .count()
                == 2
        })
        .await;
    let told: Vec<_> = events
        .iter()
        .filter(|one| one.r#type == "task.delegated")
        .map(data)
        .collect();
    assert_eq!(told[0]["from"], json!(first));
    assert_eq!(told[0]["to"], json!(second));
    assert_eq!(told[0]["delegation_type"], "MANUAL");
    assert_eq!(told[0]["reason"], "knows it better");
    assert_eq!(
        (&told[0]["attempt"], &told[1]["attempt"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(told[0]["usage"][0]["output_tokens"], json!(7));
    assert_eq!(told[1]["delegation_type"], "FAILOVER");
}

#[tokio::test]
async fn the_server_chooses_whoever_may_have_it() {
    for kind in [
        DelegationType::Automatic,
        DelegationType::LoadBalance,
        DelegationType::Failover,
    ] {
        let world = World::start().await;
        let holder = world.agent(&["lint"]);
        let others: HashSet<_> = [world.agent(&["lint"]), world.agent(&["lint"])].into();
        world.agent(&["other"]);
        let idle = world.agent(&["lint"]);
        let draining = reeve_contracts::agent::v1::AgentState::Draining;
        world.known().transition(world.tenant, idle, draining);
        world.create(spec("lint")).await;
        let lease = world.lease_one(holder).await;
        let made = world.delegate(to_anyone(&lease.lease_token, kind)).await;
        let made = made.expect("it is handed on");
        let to = made.to_agent_id.parse().expect("an id");
        assert!(others.contains(&to), "{kind:?}");
        world.lease_one(to).await;
    }
}

#[tokio::test]
async fn the_less_loaded_of_two_gets_it() {
    let world = World::start().await;
    let holder = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let lease = world.lease_one(holder).await;
    let (busy, free) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.known().load(world.tenant, busy, 8, 7);
    world.known().load(world.tenant, free, 4, 1);
    let request = to_anyone(&lease.lease_token, DelegationType::LoadBalance);
    let made = world.delegate(request).await.expect("it is handed on");
    assert_eq!(made.to_agent_id, free.to_string());
}

#[tokio::test]
async fn an_operator_takes_it_from_its_holder() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let old = world.lease_one(first).await;
    let request = proto::ReassignTaskRequest {
        request_id: "again".to_owned(),
        etag: world.get(&created.id).await.etag,
        ..reassignment(&created.id, second)
    };
    let made = world.reassign(request.clone()).await.expect("it is taken");
    assert_eq!(made.from_agent_id, first.to_string());
    let again = world.reassign(request.clone()).await.expect("the same");
    assert_eq!(again, made);
    let other = proto::ReassignTaskRequest {
        reason: "another".to_owned(),
        ..request
    };
    let answer = world.reassign(other).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    let answer = world.complete(&old.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let new = world.lease_one(second).await;
    world
        .complete(&new.lease_token)
        .await
        .expect("it completes");
}

#[tokio::test]
async fn a_holder_that_repeats_itself_hears_the_same() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(spec("lint")).await;
    let old = world.lease_one(first).await;
    let request = to_agent(&old.lease_token, second);
    let made = world
        .delegate(request.clone())
        .await
        .expect("it is handed on");
    let calls = (0..4).map(|_| world.delegate(request.clone()));
    for again in futures::future::join_all(calls).await {
        assert_eq!(again.expect("the same").id, made.id);
    }
    let new = world.lease_one(second).await;
    world
        .complete(&new.lease_token)
        .await
        .expect("it completes");
    let again = world.delegate(request).await.expect("for ever");
    assert_eq!(
        (&again.id, again.outcome()),
        (&made.id, DelegationOutcome::Taken)
    );
    assert_eq!(world.chain_of(&created.id).await.len(), 1);
}

#[tokio::test]
async fn who_failed_is_chosen_last() {
    for others in [1, 0] {
        let world = World::start().await;
        let (failed, holder) = (world.agent(&["lint"]), world.agent(&["lint"]));
        let careful = proto::TaskSpec {
            avoid_failed_agents: true,
            ..hasty("lint", 10)
        };
        world.create(careful).await;
        let lease = world.lease_one(failed).await;
        let answer = world.fail(&lease.lease_token, true).await;
        answer.expect("it fails");
        let lease = world.lease_one(holder).await;
        let fresh: Vec<_> = (0..others).map(|_| world.agent(&["lint"])).collect();
        let request = to_anyone(&lease.lease_token, DelegationType::LoadBalance);
        let given = world.delegate(request).await.expect("it is handed on");
        let wanted = fresh.first().unwrap_or(&failed);
        assert_eq!(given.to_agent_id, wanted.to_string());
    }
}
