//! Of all that ever held a task, exactly one completes it.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use reeve_contracts::task::v1::{self as proto, LeaseVerdict, TaskState};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;

use crate::harness::*;

#[tokio::test]
async fn a_lapsed_lease_returns_the_task_and_its_token_is_void() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let old = world.lease_one(agent).await;
    world.clock.advance(TimeDelta::seconds(31));
    let back = world.reaches(&created.id, TaskState::Pending).await;
    assert_eq!((back.lost_lease_count, back.failure_count), (1, 0));
    let new = world.lease_one(agent).await;
    assert_eq!((id_of(&new), new.attempt), (created.id.as_str(), 2));

    let lost = |answer| refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    lost(world.complete(&old.lease_token).await.map(drop));
    lost(world.fail(&old.lease_token, true).await.map(drop));
    let token = || old.lease_token.clone();
    let start = proto::StartTaskRequest {
        lease_token: token(),
    };
    lost(world.work().start_task(world.ask(start)).await.map(drop));
    let accept = proto::AcceptTaskRequest {
        lease_token: token(),
    };
    lost(world.work().accept_task(world.ask(accept)).await.map(drop));
    let report = proto::ReportProgressRequest {
        lease_token: token(),
        ..Default::default()
    };
    lost(
        world
            .work()
            .report_progress(world.ask(report))
            .await
            .map(drop),
    );
    let reject = proto::RejectTaskRequest {
        lease_token: token(),
        ..Default::default()
    };
    lost(world.work().reject_task(world.ask(reject)).await.map(drop));
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![token(), new.lease_token.clone()],
        ..Default::default()
    };
    let renewals = world
        .work()
        .renew_leases(world.ask(renew))
        .await
        .expect("verdicts")
        .into_inner();
    let verdicts: Vec<_> = renewals
        .renewals
        .iter()
        .map(|renewal| renewal.verdict())
        .collect();
    assert_eq!(verdicts, [LeaseVerdict::Lost, LeaseVerdict::Ok]);

    world
        .complete(&new.lease_token)
        .await
        .expect("the holder completes");
    lost(world.complete(&old.lease_token).await.map(drop));
    assert_eq!(world.story(&created.id, "task.completed").await.len(), 5);
}

#[tokio::test]
async fn a_renewed_lease_does_not_lapse() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    world.clock.advance(TimeDelta::seconds(20));
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token.clone()],
        ..Default::default()
    };
    world
        .work()
        .renew_leases(world.ask(renew))
        .await
        .expect("it is renewed");
    world.clock.advance(TimeDelta::seconds(20));
    // The sweep has looked at this moment once another task, due at the same time, has lapsed.
    let witness = world.create(spec("lint")).await;
    let request = proto::LeaseTasksRequest {
        lease_duration: Some(seconds(1)),
        ..lease_of(agent, 1)
    };
    world.lease_as(request).await;
    world.clock.advance(TimeDelta::seconds(2));
    world.reaches(&witness.id, TaskState::Pending).await;
    assert_eq!(world.get(&created.id).await.state(), TaskState::Assigned);
    world
        .complete(&lease.lease_token)
        .await
        .expect("the lease holds");
}

#[tokio::test]
async fn a_task_may_shorten_its_leases() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let timeouts = proto::TaskTimeouts {
        heartbeat_timeout: Some(seconds(5)),
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            timeouts: Some(timeouts),
            ..spec("lint")
        })
        .await;
    let lease = world.lease_one(agent).await;
    assert_eq!(lease.lease_duration, Some(seconds(5)));
    world.clock.advance(TimeDelta::seconds(6));
    world.reaches(&created.id, TaskState::Pending).await;
}

#[tokio::test]
async fn concurrent_completions_are_accepted_once_and_all_hear_the_same() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let calls = (0..16).map(|_| world.complete(&lease.lease_token));
    for answer in futures::future::join_all(calls).await {
        answer.expect("the same token, the same answer");
    }
    world
        .complete(&lease.lease_token)
        .await
        .expect("and later, too");
    let answer = world.fail(&lease.lease_token, true).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let story = world.story(&created.id, "task.completed").await;
    assert_eq!(
        story
            .iter()
            .filter(|kind| *kind == "task.completed")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_repeated_failure_hears_what_it_heard() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(hasty("lint", 2)).await;
    let lease = world.lease_one(agent).await;
    let first = world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    assert_eq!(first.state(), TaskState::Pending);
    assert_eq!(
        world.fail(&lease.lease_token, true).await.expect("again"),
        first
    );
    let second = world.lease_one(agent).await;
    assert_eq!(
        world
            .fail(&lease.lease_token, true)
            .await
            .expect("even now"),
        first
    );
    let answer = world.complete(&lease.lease_token).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let dead = world
        .fail(&second.lease_token, true)
        .await
        .expect("it fails");
    assert_eq!(dead.state(), TaskState::Failed);
    assert_eq!(
        world.fail(&second.lease_token, true).await.expect("again"),
        dead
    );
    assert_eq!(world.get(&created.id).await.failure_count, 2);
}

#[tokio::test]
async fn of_a_batch_each_completion_counts_for_itself() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    world.create_many(spec("lint"), 3).await;
    let leases = eventually(|| async {
        let leases = world.lease(agent, 3).await;
        (leases.len() == 3).then_some(leases)
    })
    .await;
    world
        .fail(&leases[1].lease_token, false)
        .await
        .expect("it fails");
    let requests = leases
        .iter()
        .map(|lease| proto::CompleteTaskRequest {
            lease_token: lease.lease_token.clone(),
            ..Default::default()
        })
        .collect();
    let batch = proto::BatchCompleteTasksRequest { requests };
    let answer = world
        .work()
        .batch_complete_tasks(world.ask(batch))
        .await
        .expect("each for itself");
    let failures = answer.into_inner().failures;
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].index, failures[0].reason.as_str()),
        (1, "LEASE_LOST")
    );
    assert_eq!(failures[0].lease_token, leases[1].lease_token);
    world.reaches(id_of(&leases[0]), TaskState::Completed).await;
    world.reaches(id_of(&leases[2]), TaskState::Completed).await;
}

#[tokio::test]
async fn many_agents_never_share_a_task() {
    let world = World::start().await;
    let agents: Vec<_> = (0..8).map(|_| world.agent(&["lint"])).collect();
    let created = world.create_many(spec("lint"), 200).await;
    let taken = AtomicUsize::new(0);
    let leased = futures::future::join_all(agents.iter().map(|agent| async {
        let mut ids = Vec::new();
        while taken.load(Ordering::SeqCst) < created.len() {
            let request = proto::LeaseTasksRequest {
                wait_duration: None,
                ..lease_of(*agent, 7)
            };
            let leases = world.lease_as(request).await;
            taken.fetch_add(leases.len(), Ordering::SeqCst);
            ids.extend(leases.iter().map(|lease| id_of(lease).to_owned()));
        }
        ids
    }));
    let mut leased: Vec<_> = leased.await.into_iter().flatten().collect();
    leased.sort_unstable();
    let mut created = created;
    created.sort_unstable();
    assert_eq!(leased, created, "each to one agent");
}
