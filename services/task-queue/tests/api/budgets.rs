//! Money before work.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use reeve_contracts::finance::v1::HoldState;
use reeve_contracts::task::v1::{self as proto, PendingReason, TaskState};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::{BudgetId, HoldId};
use reeve_testkit::eventually;

use crate::harness::*;
use crate::peers::Reserved;

pub fn costly() -> proto::TaskSpec {
    proto::TaskSpec {
        budget_id: BudgetId::new().to_string(),
        budget_amount: Some(Money {
            amount: "1.50".to_owned(),
            currency_code: "EUR".to_owned(),
        }),
        ..hasty("lint", 2)
    }
}

#[tokio::test]
async fn a_task_with_a_budget_is_leased_only_with_a_hold_and_each_attempt_has_its_own() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(costly()).await;
    let lease = world.lease_one(agent).await;
    let hold = |id: &str, attempt| {
        let holds = world.known().holds_of(id).into_iter();
        let mut of_attempt = holds.filter(|hold| hold.attempt == attempt);
        of_attempt.next().map(|hold| hold.id.to_string())
    };
    assert_eq!(lease.task.map(|task| task.hold_id), hold(&created.id, 1));
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    let lease = world.lease_one(agent).await;
    assert_eq!(lease.task.map(|task| task.hold_id), hold(&created.id, 2));
    assert_ne!(hold(&created.id, 1), hold(&created.id, 2));
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let ended = |events: &[reeve_contracts::event::v1::Event]| {
        events
            .last()
            .is_some_and(|event| event.r#type == "task.completed")
    };
    let events = world.events(ended).await;
    let of = |kind| {
        events
            .iter()
            .find(|event| event.r#type == kind)
            .map(data)
            .expect("it is told")
    };
    assert_eq!(
        Some(of("task.failed")["hold_id"].to_string()),
        hold(&created.id, 1).map(|h| format!("{h:?}"))
    );
    assert_eq!(
        Some(of("task.completed")["hold_id"].to_string()),
        hold(&created.id, 2).map(|h| format!("{h:?}"))
    );
}

#[tokio::test]
async fn a_task_over_budget_waits_and_is_tried_again() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.known().exhausted.store(true, Ordering::SeqCst);
    let created = world.create(costly()).await;
    eventually(|| async {
        world.get(&created.id).await.pending_reason() == PendingReason::OverBudget
    })
    .await;
    let refused = world.get(&created.id).await;
    eventually(|| async { world.known().asked.load(Ordering::SeqCst) >= 3 }).await;
    world.next_tick("admission").await;
    let again = world.get(&created.id).await;
    assert_eq!(
        again.etag, refused.etag,
        "to be refused again changes nothing"
    );
    let request = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    assert!(world.lease_as(request).await.is_empty());
    world.known().exhausted.store(false, Ordering::SeqCst);
    let lease = world.lease_one(agent).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let story = world.story(&created.id, "task.completed").await;
    let told = story
        .iter()
        .filter(|kind| *kind == "task.over_budget")
        .count();
    assert_eq!(told, 1, "once, however often the budget refuses");
}

#[tokio::test]
async fn a_budget_that_does_not_exist_cancels_the_task() {
    let world = World::start().await;
    world.known().unknown.store(true, Ordering::SeqCst);
    let created = world.create(costly()).await;
    let cancelled = world.reaches(&created.id, TaskState::Cancelled).await;
    assert!(
        cancelled.cancel_reason.starts_with("BUDGET_REFUSED"),
        "{}",
        cancelled.cancel_reason
    );
}

#[tokio::test]
async fn a_redriven_task_never_runs_under_the_hold_that_ended_with_it() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let timeouts = proto::TaskTimeouts {
        schedule_to_start_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            timeouts: Some(timeouts),
            ..costly()
        })
        .await;
    eventually(|| async { !world.get(&created.id).await.hold_id.is_empty() }).await;
    world.clock.advance(TimeDelta::seconds(61));
    world.reaches(&created.id, TaskState::Timeout).await;
    // finance hears of it.
    world.known().release_holds();
    let retry = proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let retried = world.tasks().retry_task(world.ask(retry)).await;
    retried.expect("a dead letter runs again");
    let lease = world.lease_one(agent).await;
    let holds = world.known().holds_of(&created.id);
    let live = holds.iter().find(|hold| hold.state == HoldState::Held);
    let live = live.expect("another hold was got").id.to_string();
    assert_eq!(lease.task.map(|task| task.hold_id), Some(live));
}

#[tokio::test]
async fn a_hold_that_is_over_is_not_taken_for_one() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    world.known().exhausted.store(true, Ordering::SeqCst);
    let created = world.create(costly()).await;
    let is_refused =
        || async { world.get(&created.id).await.pending_reason() == PendingReason::OverBudget };
    eventually(is_refused).await;
    // Another replica got a hold for the same request, and let go of it.
    let version = world.get(&created.id).await.etag;
    world
        .known()
        .holds
        .lock()
        .expect("not poisoned")
        .push(Reserved {
            request_id: format!("{}/{version}", created.id),
            task_id: created.id.clone(),
            attempt: 1,
            id: HoldId::new(),
            state: HoldState::Released,
        });
    world.known().exhausted.store(false, Ordering::SeqCst);
    world.clock.advance(TimeDelta::seconds(1));
    let lease = world.lease_one(agent).await;
    let holds = world.known().holds_of(&created.id);
    let live = holds.last().expect("another hold was got");
    assert_eq!((holds.len(), live.state), (2, HoldState::Held));
    assert_eq!(
        lease.task.map(|task| task.hold_id),
        Some(live.id.to_string())
    );
}

#[tokio::test]
async fn a_task_that_outwaits_its_hold_gets_another() {
    let world = World::by_test_clock(&[("queue.hold_duration", "1h")]).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(costly()).await;
    eventually(|| async { !world.get(&created.id).await.hold_id.is_empty() }).await;
    world.known().release_holds();
    world.clock.advance(TimeDelta::hours(2));
    let lease = world.lease_one(agent).await;
    let holds = world.known().holds_of(&created.id);
    assert_eq!(holds.len(), 2);
    assert_eq!(
        lease.task.map(|task| task.hold_id),
        Some(holds[1].id.to_string())
    );
}

#[tokio::test]
async fn budgets_of_which_nothing_is_known_hold_up_nobody_else() {
    let world = World::start().await;
    let stuck = costly();
    let unanswerable = &world.known().unanswerable;
    unanswerable
        .lock()
        .expect("not poisoned")
        .insert(stuck.budget_id.clone());
    let stuck = world.create_many(stuck, 401).await;
    let agent = world.agent(&["lint"]);
    let created = world.create(costly()).await;
    assert_eq!(id_of(&world.lease_one(agent).await), created.id);
    let waits = world.get(&stuck[0]).await;
    assert_eq!(waits.pending_reason(), PendingReason::AwaitingBudget);
}

#[tokio::test]
async fn the_budget_of_a_paused_task_is_asked_when_it_may_run_again() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.pause("default", "").await;
    let created = world.create(costly()).await;
    assert_eq!(created.pending_reason(), PendingReason::Paused);
    world.next_tick("admission").await;
    assert!(world.known().holds_of(&created.id).is_empty());
    assert_eq!(
        world.get(&created.id).await.pending_reason(),
        PendingReason::Paused
    );
    world.resume("default").await;
    assert_eq!(id_of(&world.lease_one(agent).await), created.id);
    assert_eq!(world.known().holds_of(&created.id).len(), 1);
}

#[tokio::test]
async fn a_task_in_other_hands_keeps_its_hold() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    let created = world.create(costly()).await;
    let lease = world.lease_one(first).await;
    let moved = world.pass(&lease, second).await;
    let holds = world.known().holds_of(&created.id);
    assert_eq!(holds.len(), 1);
    let hold = holds[0].id.to_string();
    assert_eq!(moved.task.map(|task| task.hold_id), Some(hold.clone()));
    let completed = world.complete(&moved.lease_token).await;
    completed.expect("it completes");
    let told = |events: &[reeve_contracts::event::v1::Event]| {
        events.iter().any(|event| event.r#type == "task.completed")
    };
    let events = world.events(told).await;
    let ended = events
        .iter()
        .filter(|event| matches!(event.r#type.as_str(), "task.delegated" | "task.completed"));
    let of: Vec<_> = ended.map(|event| data(event)["hold_id"].clone()).collect();
    assert_eq!(of, [hold.clone(), hold]);
}
