//! What an attempt leaves behind reaches the next one, however it ended.

use chrono::TimeDelta;
use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::{self as proto, GateKind, Lease, TaskState};
use reeve_ids::AgentId;
use reeve_status::{Code, Reason};
use serde_json::{Value as Json, json};

use crate::gates::{gate_of, input, json_of, structure, suspension};
use crate::harness::*;
use crate::worker::{Worker, hello};

impl World {
    async fn report(&self, token: &str, checkpoint: Json) -> Result<(), tonic::Status> {
        let report = proto::ReportProgressRequest {
            lease_token: token.to_owned(),
            percent: 40.0,
            message: "half way".to_owned(),
            checkpoint: structure(checkpoint),
            ..Default::default()
        };
        let answer = self.work().report_progress(self.ask(report)).await;
        answer.map(drop)
    }
}

fn patient() -> proto::TaskSpec {
    let timeouts = proto::TaskTimeouts {
        start_to_close_timeout: Some(seconds(600)),
        ..Default::default()
    };
    proto::TaskSpec {
        timeouts: Some(timeouts),
        ..hasty("lint", 9)
    }
}

/// Leases the task again: it is the only one.
async fn next(world: &World, agent: AgentId, attempt: i32, checkpoint: Json) -> Lease {
    let request = proto::LeaseTasksRequest {
        lease_duration: Some(seconds(3_600)),
        ..lease_of(agent, 1)
    };
    let lease = world.lease_as(request).await.remove(0);
    assert_eq!(lease.attempt, attempt);
    assert_eq!(json_of(&lease.checkpoint), checkpoint);
    lease
}

#[tokio::test]
async fn the_next_attempt_gets_it_however_the_one_before_ended() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(patient()).await;

    // Failed.
    let lease = next(&world, agent, 1, json!(null)).await;
    world
        .report(&lease.lease_token, json!({"at": 1}))
        .await
        .expect("it is stored");
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    // Lost.
    let lease = next(&world, agent, 2, json!({"at": 1})).await;
    world
        .report(&lease.lease_token, json!({"at": 2}))
        .await
        .expect("it is stored");
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token],
        lease_duration: Some(seconds(1)),
    };
    world
        .work()
        .renew_leases(world.ask(renew))
        .await
        .expect("it is renewed");
    world.clock.advance(TimeDelta::seconds(2));
    world.reaches(&created.id, TaskState::Pending).await;
    // Too slow.
    let lease = next(&world, agent, 3, json!({"at": 2})).await;
    world
        .report(&lease.lease_token, json!({"at": 3}))
        .await
        .expect("it is stored");
    world.clock.advance(TimeDelta::seconds(601));
    world.reaches(&created.id, TaskState::Pending).await;
    // Suspended, with a word on the way and a last one.
    let lease = next(&world, agent, 4, json!({"at": 3})).await;
    world
        .report(&lease.lease_token, json!({"at": 4}))
        .await
        .expect("it is stored");
    let request = proto::SuspendTaskRequest {
        checkpoint: structure(json!({"at": 5})),
        ..suspension(&lease.lease_token, gate_of(GateKind::Input))
    };
    world.suspend(request).await.expect("it waits");
    let waits = world.get(&created.id).await;
    let progress = waits.progress.expect("what was said");
    assert_eq!(
        (progress.percent, progress.message.as_str()),
        (40.0, "half way")
    );
    let gate = waits.gate.expect("it is open");
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    // Suspended without a word: what was there stays.
    let lease = next(&world, agent, 5, json!({"at": 5})).await;
    let request = suspension(&lease.lease_token, gate_of(GateKind::Input));
    world.suspend(request).await.expect("it waits");
    let gate = world.get(&created.id).await.gate.expect("it is open");
    world
        .answer(input(&gate, json!({})))
        .await
        .expect("it is answered");
    // Given back.
    let mut worker = Worker::open(&world).await;
    worker.hello(hello(agent)).await;
    worker.credit(1).await;
    let lease = worker.assigned().await.remove(0);
    assert_eq!(json_of(&lease.checkpoint), json!({"at": 5}));
    let items = vec![proto::ReportProgressRequest {
        lease_token: lease.lease_token,
        checkpoint: structure(json!({"at": 6})),
        ..Default::default()
    }];
    worker
        .tell(Said::Progress(proto::ProgressBatch { items }))
        .await;
    let goodbye = proto::Goodbye {
        return_leases: true,
    };
    worker.say(0, Said::Goodbye(goodbye)).await;
    next(&world, agent, 7, json!({"at": 6})).await;
}

#[tokio::test]
async fn a_word_of_an_attempt_before_changes_nothing() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let old = world.lease_one(agent).await;
    world
        .report(&old.lease_token, json!({"by": "old"}))
        .await
        .expect("it is stored");
    world.clock.advance(TimeDelta::seconds(31));
    let new = world.lease_one(agent).await;
    world
        .report(&new.lease_token, json!({"by": "new"}))
        .await
        .expect("it is stored");
    let late = world.report(&old.lease_token, json!({"by": "old"})).await;
    refused(late, Code::FailedPrecondition, Reason::LeaseLost);
    let request = proto::SuspendTaskRequest {
        checkpoint: structure(json!({"by": "old"})),
        ..suspension(&old.lease_token, gate_of(GateKind::Input))
    };
    refused(
        world.suspend(request).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    // Also between two attempts, when nobody holds it.
    world.clock.advance(TimeDelta::seconds(31));
    world.reaches(&created.id, TaskState::Pending).await;
    for token in [&old.lease_token, &new.lease_token] {
        let late = world.report(token, json!({"by": "nobody"})).await;
        refused(late, Code::FailedPrecondition, Reason::LeaseLost);
    }
    let last = world.lease_one(agent).await;
    assert_eq!(json_of(&last.checkpoint), json!({"by": "new"}));
}
