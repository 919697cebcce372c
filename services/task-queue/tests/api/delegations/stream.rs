//! Handing over on the stream.

use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskState};

use super::{reassignment, to_agent};
use crate::harness::*;
use crate::worker::{Worker, completion};

async fn delegate(worker: &mut Worker, items: Vec<proto::DelegateTaskRequest>) -> proto::Ack {
    worker
        .tell(Said::Delegate(proto::DelegateBatch { items }))
        .await
}

#[tokio::test]
async fn a_batch_is_answered_for_each_and_the_other_stream_gets_them() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let mut from = Worker::greet(&world, first).await;
    let created = world.create_many(spec("lint"), 2).await;
    from.credit(2).await;
    let mut leases = from.assigned().await;
    while leases.len() < 2 {
        leases.extend(from.assigned().await);
    }
    let mut to = Worker::greet(&world, second).await;
    to.credit(1).await;
    let mut wrong = to_agent(&leases[1].lease_token, first);
    let items = vec![
        to_agent(&leases[0].lease_token, second),
        wrong.clone(),
        proto::DelegateTaskRequest {
            lease_token: "x".to_owned(),
            ..wrong.clone()
        },
    ];
    let ack = delegate(&mut from, items).await;
    let failed: Vec<_> = ack
        .failures
        .iter()
        .map(|one| (one.index, one.reason.as_str()))
        .collect();
    assert_eq!(
        failed,
        [(1, "DELEGATION_REFUSED"), (2, "VALIDATION_FAILED")]
    );
    assert_eq!(ack.delegations.len(), 1);
    let lease = to.assigned().await.remove(0);
    assert_eq!(id_of(&lease), ack.delegations[0].task_id);
    assert!(created.contains(&ack.delegations[0].task_id));

    // Beyond its credit it gets nothing, and it gets it as soon as it has some.
    wrong.to_agent_id = second.to_string();
    let ack = delegate(&mut from, vec![wrong]).await;
    assert!(ack.failures.is_empty());
    let beat = proto::Heartbeat {
        lease_tokens: vec![lease.lease_token.clone()],
    };
    let ack = to.tell(Said::Heartbeat(beat)).await;
    assert!(ack.renewals.is_empty() && ack.failures.is_empty());
    let waiting = world.get(id_of(&leases[1])).await;
    assert_eq!(waiting.state(), TaskState::Assigned);
    to.credit(1).await;
    let second_lease = to.assigned().await.remove(0);
    assert_eq!(id_of(&second_lease), id_of(&leases[1]));
    let items = [&lease, &second_lease].map(|one| completion(&one.lease_token));
    let ack = to
        .tell(Said::Complete(proto::CompleteBatch {
            items: items.into(),
        }))
        .await;
    assert!(ack.failures.is_empty());
}

#[tokio::test]
async fn a_holder_that_hands_it_on_is_not_told_that_it_lost_it() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let mut worker = Worker::greet(&world, first).await;
    world.create(spec("lint")).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    let ack = delegate(&mut worker, vec![to_agent(&lease.lease_token, second)]).await;
    assert!(ack.failures.is_empty());
    world.lease_one(second).await;
    // The next thing that it hears is about the next thing that it says.
    worker.sequence += 1;
    let beat = proto::Heartbeat {
        lease_tokens: Vec::new(),
    };
    worker.say(worker.sequence, Said::Heartbeat(beat)).await;
    let heard = worker.next().await.expect("it is answered");
    assert!(matches!(heard, Say::Ack(_)), "{heard:?}");
}

#[tokio::test]
async fn a_holder_from_whom_it_is_taken_is_told_at_once() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let mut worker = Worker::greet(&world, first).await;
    let created = world.create(spec("lint")).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    let taken = world.reassign(reassignment(&created.id, second)).await;
    taken.expect("it is taken");
    let Say::Cancel(cancel) = worker.next().await.expect("it is told") else {
        panic!("another message");
    };
    assert_eq!(cancel.leases[0].lease_token, lease.lease_token);
    assert_eq!(cancel.leases[0].verdict(), LeaseVerdict::Lost);
}
