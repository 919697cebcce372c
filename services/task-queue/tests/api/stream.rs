//! The work stream.

use std::collections::HashMap;

use reeve_contracts::agent::v1::AgentState;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskState};
use reeve_ids::AgentId;
use reeve_status::{Code, Fault, Reason};
use reeve_testkit::eventually;
use tokio::sync::mpsc;

use crate::harness::*;
use crate::worker::{Worker, completion, hello};

/// Completes whatever comes until the stream is dropped; counts by id.
async fn toil(mut worker: Worker, done: mpsc::Sender<Vec<String>>) {
    let mut under_way = HashMap::new();
    worker.credit(100).await;
    while let Ok(message) = worker.next().await {
        match message {
            Say::Assign(assign) => {
                worker.sequence += 1;
                let ids: Vec<_> = assign.leases.iter().map(|l| id_of(l).to_owned()).collect();
                let tasks = i32::try_from(ids.len()).expect("small");
                let items: Vec<_> = assign
                    .leases
                    .iter()
                    .map(|lease| completion(&lease.lease_token))
                    .collect();
                under_way.insert(worker.sequence, ids);
                worker
                    .say(
                        worker.sequence,
                        Said::Complete(proto::CompleteBatch { items }),
                    )
                    .await;
                worker.credit(tasks).await;
            }
            Say::Ack(ack) => {
                assert!(ack.failures.is_empty(), "{:?}", ack.failures);
                let ids = under_way.remove(&ack.sequence).expect("it was asked");
                if done.send(ids).await.is_err() {
                    return;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn two_thousand_tasks_through_four_streams_are_each_completed_once() {
    let world = World::start().await;
    let (done, mut finished) = mpsc::channel(64);
    let mut workers = Vec::new();
    for _ in 0..4 {
        let worker = Worker::greet(&world, world.agent(&["lint"])).await;
        workers.push(reeve_runtime::spawn("worker", toil(worker, done.clone())));
    }
    let (first, second) = tokio::join!(
        world.create_many(spec("lint"), 1_000),
        world.create_many(spec("lint"), 1_000)
    );
    let mut created = [first, second].concat();
    let mut completed = Vec::new();
    while completed.len() < created.len() {
        let ids = tokio::time::timeout(LONG, finished.recv())
            .await
            .expect("work goes on");
        completed.extend(ids.expect("a worker is there"));
    }
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    created.sort_unstable();
    completed.sort_unstable();
    assert_eq!(completed, created);
    let mut admin = world.database.admin().await;
    let ended: (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct task_id) from task_queue.task_outcome where state = 6 and attempt = 1",
    )
    .fetch_one(&mut admin)
    .await
    .expect("the outcomes");
    assert_eq!(ended, (2_000, 2_000));
}

#[tokio::test]
async fn a_stream_is_given_no_more_than_its_credit() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    world.create_many(spec("lint"), 5).await;
    worker.credit(2).await;
    let mut leases = Vec::new();
    while leases.len() < 2 {
        leases.extend(worker.assigned().await);
    }
    assert_eq!(leases.len(), 2);
    let lease_tokens = leases
        .iter()
        .map(|lease| lease.lease_token.clone())
        .collect();
    // The answer to a heartbeat comes after anything that had been assigned before it.
    let ack = worker
        .tell(Said::Heartbeat(proto::Heartbeat { lease_tokens }))
        .await;
    assert!(ack.renewals.is_empty() && ack.failures.is_empty());
    let filter = proto::TaskFilter {
        states: vec![TaskState::Pending.into()],
        ..Default::default()
    };
    let list = proto::ListTasksRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let list = world
        .tasks()
        .list_tasks(world.ask(list))
        .await
        .expect("a list")
        .into_inner();
    assert_eq!(list.tasks.len(), 3);
}

#[tokio::test]
async fn every_report_is_acknowledged_item_by_item() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    world.create_many(hasty("lint", 2), 4).await;
    worker.credit(4).await;
    let mut leases = Vec::new();
    while leases.len() < 4 {
        leases.extend(worker.assigned().await);
    }
    let tokens: Vec<_> = leases
        .iter()
        .map(|lease| lease.lease_token.clone())
        .collect();
    let some = |range: std::ops::Range<usize>| tokens[range].to_vec();
    let accept = proto::AcceptBatch {
        lease_tokens: some(0..2),
    };
    assert!(worker.tell(Said::Accept(accept)).await.failures.is_empty());
    let reject = proto::RejectTaskRequest {
        lease_token: tokens[3].clone(),
        ..Default::default()
    };
    let accepted = proto::RejectTaskRequest {
        lease_token: tokens[0].clone(),
        ..Default::default()
    };
    let reject = proto::RejectBatch {
        items: vec![accepted, reject],
    };
    let failures = worker.tell(Said::Reject(reject)).await.failures;
    assert_eq!((failures.len(), failures[0].index), (1, 0));
    assert_eq!(failures[0].reason, "TRANSITION_FORBIDDEN");
    let start = proto::StartBatch {
        lease_tokens: some(0..1),
    };
    assert!(worker.tell(Said::Start(start)).await.failures.is_empty());
    let report = |percent| proto::ReportProgressRequest {
        lease_token: tokens[0].clone(),
        percent,
        ..Default::default()
    };
    let progress = proto::ProgressBatch {
        items: vec![report(50.0), report(101.0)],
    };
    let failures = worker.tell(Said::Progress(progress)).await.failures;
    assert_eq!(
        (failures.len(), failures[0].index, failures[0].code),
        (1, 1, 3)
    );
    let fail = proto::FailBatch {
        items: vec![failure(&tokens[1], "BROKEN", false)],
    };
    let ack = worker.tell(Said::Fail(fail)).await;
    assert_eq!(ack.states, [i32::from(TaskState::Failed)]);
    let items = ["nonsense", &tokens[0], &tokens[1]]
        .map(completion)
        .to_vec();
    let ack = worker
        .tell(Said::Complete(proto::CompleteBatch { items }))
        .await;
    let failures: Vec<_> = ack
        .failures
        .iter()
        .map(|one| (one.index, one.code, one.reason.as_str()))
        .collect();
    assert_eq!(
        failures,
        [(0, 3, "VALIDATION_FAILED"), (2, 9, "LEASE_LOST")]
    );
    assert_eq!(
        world.get(id_of(&leases[0])).await.state(),
        TaskState::Completed
    );
}

#[tokio::test]
async fn cancellation_reaches_the_stream_at_once() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let created = world.create(spec("lint")).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    let Say::Cancel(cancel) = worker.next().await.expect("a message") else {
        panic!("not a cancellation");
    };
    assert_eq!(cancel.leases[0].lease_token, lease.lease_token);
    assert_eq!(cancel.leases[0].verdict(), LeaseVerdict::Cancel);
    assert_eq!(cancel.leases[0].cancel_reason, "not needed");
    let beat = proto::Heartbeat {
        lease_tokens: vec![lease.lease_token.clone()],
    };
    let ack = worker.tell(Said::Heartbeat(beat)).await;
    assert_eq!(ack.renewals[0].verdict(), LeaseVerdict::Cancel);
    let fail = proto::FailBatch {
        items: vec![failure(&lease.lease_token, "CANCELLED", false)],
    };
    let ack = worker.tell(Said::Fail(fail)).await;
    assert_eq!(ack.states, [i32::from(TaskState::Cancelled)]);
}

#[tokio::test]
async fn a_reconnecting_agent_learns_what_it_still_holds() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    world.create_many(spec("lint"), 2).await;
    worker.credit(2).await;
    let mut leases = Vec::new();
    while leases.len() < 2 {
        leases.extend(worker.assigned().await);
    }
    drop(worker);
    world
        .complete(&leases[0].lease_token)
        .await
        .expect("by another way");
    let mut worker = Worker::open(&world).await;
    let held_lease_tokens = leases
        .iter()
        .map(|lease| lease.lease_token.clone())
        .collect();
    let welcome = worker
        .hello(proto::Hello {
            held_lease_tokens,
            ..hello(agent)
        })
        .await;
    assert_eq!(welcome.capabilities, ["lint"]);
    assert_eq!(
        (welcome.lease_duration, welcome.heartbeat_duration),
        (Some(seconds(30)), Some(seconds(10)))
    );
    let verdicts: Vec<_> = welcome.held.iter().map(|one| one.verdict()).collect();
    assert_eq!(verdicts, [LeaseVerdict::Lost, LeaseVerdict::Ok]);
}

#[tokio::test]
async fn a_leaving_agent_may_give_its_tasks_back() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let created = world.create(spec("lint")).await;
    worker.credit(1).await;
    let old = worker.assigned().await.remove(0);
    worker
        .say(
            0,
            Said::Goodbye(proto::Goodbye {
                return_leases: true,
            }),
        )
        .await;
    let lease = world.lease_one(agent).await;
    assert_eq!((id_of(&lease), lease.attempt), (created.id.as_str(), 2));
    let task = world.get(&created.id).await;
    assert_eq!(task.lost_lease_count, 0, "giving back is not losing");
    assert_eq!(task.attempts[0].outcome(), proto::AttemptOutcome::Returned);
    let answer = world.complete(&old.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
}

#[tokio::test]
async fn a_draining_agent_gets_nothing_new_and_finishes_what_it_has() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    world.create(spec("lint")).await;
    worker.credit(10).await;
    let lease = worker.assigned().await.remove(0);
    world
        .known()
        .transition(world.tenant, agent, AgentState::Draining);
    let Say::Drain(drain) = worker.next().await.expect("a message") else {
        panic!("not a drain");
    };
    assert_eq!(drain.reason, "AGENT_NOT_ACTIVE");
    let waiting = world.create(spec("lint")).await;
    let items = vec![completion(&lease.lease_token)];
    let ack = worker
        .tell(Said::Complete(proto::CompleteBatch { items }))
        .await;
    assert!(ack.failures.is_empty());
    assert_eq!(world.get(&waiting.id).await.state(), TaskState::Pending);
    world
        .known()
        .transition(world.tenant, agent, AgentState::Active);
    assert_eq!(id_of(&worker.assigned().await[0]), waiting.id);
}

#[tokio::test]
async fn the_server_says_that_it_drains_after_answering() {
    let mut world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    world.stop().await;
    let Say::Drain(drain) = worker.next().await.expect("a message") else {
        panic!("not a drain");
    };
    assert_eq!(drain.reason, "DRAINING");
    let status = worker
        .hear
        .message()
        .await
        .expect_err("and ends the stream");
    let fault = Fault::from(&status);
    assert_eq!(
        (fault.code(), fault.reason()),
        (Code::Unavailable, Reason::Draining)
    );
}

#[tokio::test]
async fn messages_out_of_order_end_the_stream() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::open(&world).await;
    worker.credit(1).await;
    let status = worker.next().await.expect_err("hello comes first");
    refused::<()>(Err(status), Code::InvalidArgument, Reason::ValidationFailed);

    let mut worker = Worker::greet(&world, agent).await;
    worker.say(0, Said::Hello(hello(agent))).await;
    let status = worker.next().await.expect_err("hello comes once");
    refused::<()>(Err(status), Code::InvalidArgument, Reason::ValidationFailed);

    let mut worker = Worker::greet(&world, agent).await;
    worker
        .say(0, Said::Heartbeat(proto::Heartbeat::default()))
        .await;
    let status = worker.next().await.expect_err("a report has a sequence");
    let fault = refused::<()>(Err(status), Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["sequence"]);

    let mut worker = Worker::greet(&world, agent).await;
    worker.credit(0).await;
    let status = worker.next().await.expect_err("no credit is no credit");
    refused::<()>(Err(status), Code::InvalidArgument, Reason::ValidationFailed);

    let mut worker = Worker::open(&world).await;
    let wrong = proto::Hello {
        agent_id: "a".to_owned(),
        lease_duration: Some(seconds(0)),
        held_lease_tokens: vec!["t".to_owned()],
        ..Default::default()
    };
    worker.say(0, Said::Hello(wrong)).await;
    let status = worker.next().await.expect_err("every wrong field is named");
    let fault = refused::<()>(Err(status), Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "hello.agent_id",
        "hello.held_lease_tokens[0]",
        "hello.lease_duration",
    ];
    assert_eq!(fields(&fault), expected);

    let mut worker = Worker::open(&world).await;
    worker.say(0, Said::Hello(hello(AgentId::new()))).await;
    let status = worker.next().await.expect_err("no such agent");
    refused::<()>(Err(status), Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn a_lost_agent_hears_that_its_lease_is_gone() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let created = world.create(spec("lint")).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    world
        .known()
        .transition(world.tenant, agent, AgentState::Error);
    let mut told = false;
    while !told {
        if let Say::Cancel(cancel) = worker.next().await.expect("a message") {
            told = cancel.leases.iter().any(|one| {
                one.lease_token == lease.lease_token && one.verdict() == LeaseVerdict::Lost
            });
        }
    }
    eventually(|| async { world.get(&created.id).await.state() == TaskState::Pending }).await;
}
