use reeve_contracts::finance::v1::*;
use reeve_ids::{AgentId, ExecutionId, ProjectId, TaskId};
use reeve_testkit::eventually;
use serde_json::{Value as Json, json};

use crate::world::{World, price_list};

async fn usage_of(world: &World, task: &str) -> Vec<UsageRecord> {
    let request = ListUsageRequest {
        task_id: task.into(),
        ..Default::default()
    };
    world
        .usage()
        .list_usage(world.ask(request))
        .await
        .unwrap()
        .into_inner()
        .records
}

fn ended(world: &World, attempt: i32, more: Json) -> Json {
    let now = world.now();
    let mut data = json!({
        "type": "lint", "attempt": attempt, "agent_id": AgentId::new().to_string(),
        "started_time": now - chrono::TimeDelta::seconds(5), "ended_time": now,
        "usage": [{
            "provider": "acme", "model": "m1", "input_tokens": 100_000, "output_tokens": 2_000,
            "cached_input_tokens": 0, "duration_seconds": "5.000000", "quantities": {},
        }],
    });
    data.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    data
}

/// 0.3 + 0.03 + 0.05.
const COST: &str = "0.38";

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_task_is_priced_and_its_hold_committed_once() {
    let world = World::new().await;
    world.price_list().await;
    let budget = world.budget("b", "5.00", "").await;
    let (task, project) = (TaskId::new().to_string(), ProjectId::new().to_string());
    let execution = ExecutionId::new().to_string();
    let hold = world.hold(&format!("{task}/1"), &budget.id, "1").await;
    let data = ended(
        &world,
        1,
        json!({
            "project_id": project, "budget_id": budget.id, "hold_id": hold.id,
            "origin": {"kind": "workflow", "resource_id": execution, "step_path": "lint", "attempt": 1},
        }),
    );
    world.task_event("task.completed", &task, data).await;
    let records = eventually(|| async {
        Some(usage_of(&world, &task).await).filter(|records| !records.is_empty())
    })
    .await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].cost.as_ref().unwrap().amount, COST);
    assert_eq!(
        (&records[0].project_id, &records[0].execution_id),
        (&project, &execution)
    );
    let spent = world.budget_now(&budget.id).await;
    assert_eq!(spent.spent.unwrap().amount, COST);
    assert_eq!(spent.reserved.unwrap().amount, "0.00");

    // Everything again from the start: the cursor goes back, and then an event behind shows that
    // all of it was read.
    let mut sql = world.sql().await;
    sqlx::query("update consumer_cursor set sequence = 0")
        .execute(&mut sql)
        .await
        .unwrap();
    let marker = TaskId::new().to_string();
    world
        .task_event("task.failed", &marker, ended(&world, 1, json!({})))
        .await;
    eventually(|| async { usage_of(&world, &marker).await.len() == 1 }).await;
    assert_eq!(usage_of(&world, &task).await, records);
    assert_eq!(
        world.budget_now(&budget.id).await.spent.unwrap().amount,
        COST
    );
    let sound = world.assert_sound().await;
    assert_eq!(sound.journal_count, 2, "one posting for each task");
    let entries: i64 = sqlx::query_scalar("select count(*) from time_entry")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(entries, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_without_usage_gives_its_hold_back() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    for (attempt, kind) in [
        (1, "task.failed"),
        (2, "task.timed_out"),
        (3, "task.cancelled"),
    ] {
        let task = TaskId::new().to_string();
        let hold = world
            .hold(&format!("{task}/{attempt}"), &budget.id, "1")
            .await;
        let data = json!({"attempt": attempt, "budget_id": budget.id, "hold_id": hold.id});
        world.task_event(kind, &task, data).await;
    }
    eventually(|| async {
        let now = world.budget_now(&budget.id).await;
        let request = ListHoldsRequest {
            state: HoldState::Released.into(),
            ..Default::default()
        };
        let released = world
            .budgets()
            .list_holds(world.ask(request))
            .await
            .unwrap()
            .into_inner();
        now.reserved.unwrap().amount == "0.00" && released.holds.len() == 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_without_a_price_counts_as_its_hold_until_it_has_one() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let task = TaskId::new().to_string();
    let hold = world.hold(&format!("{task}/1"), &budget.id, "2").await;
    let data = ended(
        &world,
        1,
        json!({"budget_id": budget.id, "hold_id": hold.id}),
    );
    world.task_event("task.completed", &task, data).await;
    let records = eventually(|| async {
        Some(usage_of(&world, &task).await).filter(|records| !records.is_empty())
    })
    .await;
    assert_eq!(records[0].status(), UsageStatus::Unpriced);
    assert!(records[0].cost.is_none(), "never zero");
    assert!(
        records[0]
            .missing_prices
            .contains(&"acme/m1 input_tokens".to_owned())
    );
    assert_eq!(world.events("usage.unpriced").await, 1);
    assert_eq!(
        world.budget_now(&budget.id).await.spent.unwrap().amount,
        "2.00"
    );
    assert_eq!(world.assert_sound().await.journal_count, 0);

    world.clock.advance(chrono::TimeDelta::seconds(30));
    let list = price_list("late", "acme", "m1");
    world
        .rate_cards()
        .create_rate_card(world.ask(list))
        .await
        .unwrap();
    eventually(|| async { usage_of(&world, &task).await[0].status() == UsageStatus::Priced }).await;
    assert_eq!(
        usage_of(&world, &task).await[0]
            .cost
            .as_ref()
            .unwrap()
            .amount,
        COST
    );
    assert_eq!(
        world.budget_now(&budget.id).await.spent.unwrap().amount,
        COST
    );
    assert_eq!(world.assert_sound().await.journal_count, 1);
}
