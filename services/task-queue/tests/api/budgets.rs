//! Money before work.

use std::sync::atomic::Ordering;

use reeve_contracts::task::v1::{self as proto, PendingReason, TaskState};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::BudgetId;
use reeve_testkit::eventually;

use crate::harness::*;

fn costly() -> proto::TaskSpec {
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
        let reserved = world.known().reserved.lock().expect("not poisoned");
        reserved
            .get(&format!("{id}/{attempt}"))
            .map(ToString::to_string)
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
    eventually(|| async { world.known().asked.load(Ordering::SeqCst) >= 3 }).await;
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
