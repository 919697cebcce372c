//! What a stream knows of its leases, and what becomes of them when it ends.

use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskState};
use reeve_testkit::eventually;

use crate::harness::*;
use crate::worker::{Worker, completion};

async fn told_to_stop(worker: &mut Worker) -> proto::LeaseRenewal {
    loop {
        if let Say::Cancel(cancel) = worker.next().await.expect("a message") {
            return cancel.leases[0].clone();
        }
    }
}

#[tokio::test]
async fn who_says_goodbye_is_given_nothing_more() {
    let world = World::start().await;
    let (leaving, other) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let mut worker = Worker::greet(&world, leaving).await;
    let held = world.create(spec("lint")).await;
    worker.credit(5).await;
    let lease = worker.assigned().await.remove(0);
    let goodbye = proto::Goodbye {
        return_leases: false,
    };
    worker.say(0, Said::Goodbye(goodbye)).await;
    // An answer to what was said after it shows that it was heard.
    let beat = proto::Heartbeat {
        lease_tokens: vec![lease.lease_token.clone()],
    };
    worker.tell(Said::Heartbeat(beat)).await;
    worker.credit(5).await;
    let waiting = world.create(spec("lint")).await;
    assert_eq!(id_of(&world.lease_one(other).await), waiting.id);
    let items = vec![completion(&lease.lease_token)];
    let ack = worker
        .tell(Said::Complete(proto::CompleteBatch { items }))
        .await;
    assert!(ack.failures.is_empty(), "what it holds it may finish");
    world.reaches(&held.id, TaskState::Completed).await;
}

#[tokio::test]
async fn an_end_that_was_refused_leaves_the_lease_with_the_stream() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let created = world.create(spec("lint")).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    let lease_tokens = vec![lease.lease_token.clone()];
    worker
        .tell(Said::Accept(proto::AcceptBatch { lease_tokens }))
        .await;
    let item = proto::RejectTaskRequest {
        lease_token: lease.lease_token.clone(),
        ..Default::default()
    };
    let ack = worker
        .tell(Said::Reject(proto::RejectBatch { items: vec![item] }))
        .await;
    assert_eq!(ack.failures[0].reason, "TRANSITION_FORBIDDEN");
    world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    let told = told_to_stop(&mut worker).await;
    assert_eq!(told.lease_token, lease.lease_token);
    assert_eq!(told.verdict(), LeaseVerdict::Cancel);
}

#[tokio::test]
async fn a_stream_knows_what_its_heartbeats_name() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let mut worker = Worker::greet(&world, agent).await;
    let beat = proto::Heartbeat {
        lease_tokens: vec![lease.lease_token.clone()],
    };
    worker.tell(Said::Heartbeat(beat)).await;
    world
        .cancel(&created.id)
        .await
        .expect("the holder is asked");
    let told = told_to_stop(&mut worker).await;
    assert_eq!(told.lease_token, lease.lease_token);
}

#[tokio::test]
async fn what_is_said_about_one_lease_is_done_in_order() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let mut worker = Worker::greet(&world, agent).await;
    let created = world.create_many(spec("lint"), 30).await;
    worker.credit(30).await;
    let mut leases = Vec::new();
    while leases.len() < 30 {
        leases.extend(worker.assigned().await);
    }
    let usage = proto::Usage {
        output_tokens: 7,
        ..Default::default()
    };
    for lease in &leases {
        let lease_token = lease.lease_token.clone();
        let report = proto::ReportProgressRequest {
            lease_token: lease_token.clone(),
            usage: vec![usage.clone()],
            ..Default::default()
        };
        let lease_tokens = vec![lease_token.clone()];
        let said = [
            Said::Accept(proto::AcceptBatch { lease_tokens }),
            Said::Progress(proto::ProgressBatch {
                items: vec![report],
            }),
            Said::Complete(proto::CompleteBatch {
                items: vec![completion(&lease_token)],
            }),
        ];
        for message in said {
            worker.sequence += 1;
            worker.say(worker.sequence, message).await;
        }
    }
    let mut acks = 0;
    while acks < 90 {
        if let Say::Ack(ack) = worker.next().await.expect("it is acknowledged") {
            assert!(ack.failures.is_empty(), "{:?}", ack.failures);
            acks += 1;
        }
    }
    for id in created {
        let task = world.get(&id).await;
        let told: Vec<_> = task.attempts[0]
            .usage
            .iter()
            .map(|one| one.output_tokens)
            .collect();
        assert_eq!(told, [7], "what progress said counts");
    }
}

#[tokio::test]
async fn leases_that_the_agent_did_not_hear_of_go_back() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let long = proto::TaskSpec {
        description: "x".repeat(16_384),
        ..spec("lint")
    };
    let mut created = Vec::new();
    for _ in 0..5 {
        created.extend(world.create_many(long.clone(), 200).await);
    }
    let worker = Worker::greet(&world, agent).await;
    worker.credit(10_000).await;
    let pending = || async {
        let filter = proto::TaskFilter {
            states: vec![TaskState::Pending.into()],
            ..Default::default()
        };
        let request = proto::ListTasksRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let list = world.tasks().list_tasks(world.ask(request)).await;
        list.expect("a list").into_inner().tasks
    };
    eventually(|| async { pending().await.is_empty() }).await;
    // It never reads what it was assigned, and goes.
    drop(worker);
    let back = eventually(|| async { pending().await.pop() }).await;
    assert_eq!((back.attempt, back.lost_lease_count), (1, 0));
}

#[tokio::test]
async fn a_task_that_one_agent_rejects_wakes_another() {
    // A poll that came in time would hide a wake-up that did not.
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let agents = [world.agent(&["lint"]), world.agent(&["lint"])];
    let mut workers = Vec::new();
    for agent in agents {
        let worker = Worker::greet(&world, agent).await;
        worker.credit(10).await;
        workers.push(worker);
    }
    for _ in 0..4 {
        let created = world.create(spec("lint")).await;
        let (first, rest) = workers.split_at_mut(1);
        let (rejects, lease) = tokio::select! {
            lease = first[0].assigned() => (0, lease),
            lease = rest[0].assigned() => (1, lease),
        };
        let item = proto::RejectTaskRequest {
            lease_token: lease[0].lease_token.clone(),
            reason: "too hard".to_owned(),
        };
        let reject = Said::Reject(proto::RejectBatch { items: vec![item] });
        let ack = workers[rejects].tell(reject).await;
        assert!(ack.failures.is_empty());
        let lease = workers[1 - rejects].assigned().await.remove(0);
        assert_eq!(id_of(&lease), created.id);
        let attempt = &world.get(&created.id).await.attempts[0];
        let error = attempt.error.as_ref().expect("it says why");
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("REJECTED", "too hard")
        );
    }
}
