use reeve_contracts::finance::v1::*;
use reeve_ids::{AgentId, ExecutionId, ProjectId, TaskId, TenantId};
use reeve_testkit::eventually;
use serde_json::{Value as Json, json};

use crate::world::{World, fact, price_list};

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

/// An attempt that cost nothing and ended with a hold.
fn idle(attempt: i32, budget: &Budget, hold: &Hold) -> Json {
    json!({"attempt": attempt, "budget_id": budget.id, "hold_id": hold.id})
}

async fn state_of(world: &World, hold: &Hold) -> HoldState {
    let request = ListHoldsRequest::default();
    let answer = world.budgets().list_holds(world.ask(request)).await;
    let holds = answer.unwrap().into_inner().holds;
    holds.iter().find(|one| one.id == hold.id).unwrap().state()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hold_of_a_wait_ends_although_the_attempt_before_is_paid() {
    let world = World::new().await;
    world.price_list().await;
    let budget = world.budget("b", "50.00", "").await;
    // It fails with usage, is tried again, and is cancelled before anybody takes it.
    let task = TaskId::new().to_string();
    let first = world.hold("first", &budget.id, "1").await;
    let held = json!({"budget_id": budget.id, "hold_id": first.id});
    world
        .task_event("task.failed", &task, ended(&world, 1, held))
        .await;
    eventually(|| async { state_of(&world, &first).await == HoldState::Committed }).await;
    let second = world.hold("second", &budget.id, "1").await;
    world
        .task_event("task.cancelled", &task, idle(1, &budget, &second))
        .await;
    eventually(|| async { state_of(&world, &second).await == HoldState::Released }).await;

    // An attempt that is lost, rejected, given back or handed on keeps its hold, until the wait for the next
    // one ends it; finance may read of both at once.
    let kinds = [
        "task.lease_lost",
        "task.rejected",
        "task.returned",
        "task.delegated",
    ];
    for (kind, together) in kinds.into_iter().zip([true, false, true, false]) {
        let task = TaskId::new().to_string();
        let hold = world.hold(kind, &budget.id, "1").await;
        let lost = ended(
            &world,
            1,
            json!({"budget_id": budget.id, "hold_id": hold.id}),
        );
        let over = idle(1, &budget, &hold);
        if together {
            let both = vec![
                (world.tenant, kind, task.as_str(), lost),
                (world.tenant, "task.timed_out", task.as_str(), over),
            ];
            world.task_events(both).await;
        } else {
            world.task_event(kind, &task, lost).await;
            eventually(|| async { usage_of(&world, &task).await.len() == 1 }).await;
            assert_eq!(state_of(&world, &hold).await, HoldState::Held);
            world.task_event("task.timed_out", &task, over).await;
        }
        eventually(|| async { state_of(&world, &hold).await == HoldState::Released }).await;
        assert_eq!(usage_of(&world, &task).await.len(), 1, "paid once");
    }
    let now = world.budget_now(&budget.id).await;
    assert_eq!(now.reserved.unwrap().amount, "0.00");
    assert_eq!(now.spent.unwrap().amount, "1.90", "five times 0.38");
    let released = world.told("hold.released").await;
    assert_eq!(released.len(), 5);
    assert!(
        released
            .iter()
            .all(|event| fact(event, "budget_id") == budget.id)
    );
    let committed = world.told("hold.committed").await;
    assert_eq!(fact(&committed[0], "actual"), COST);
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_set_aside_for_a_task_that_waits_for_a_person() {
    let world = World::new().await;
    world.price_list().await;
    let budget = world.budget("b", "50.00", "").await;
    let held = |hold: &Hold| json!({"budget_id": budget.id, "hold_id": hold.id});
    // What was suspended is paid from its hold, and the rest of the hold is free.
    let task = TaskId::new().to_string();
    let first = world.hold("first", &budget.id, "1").await;
    world
        .task_event("task.suspended", &task, ended(&world, 1, held(&first)))
        .await;
    eventually(|| async { state_of(&world, &first).await == HoldState::Committed }).await;
    let usage = usage_of(&world, &task).await;
    assert_eq!(usage[0].outcome(), UsageOutcome::Suspended);
    // What is said about the gate itself concerns nobody here.
    for kind in ["task.gate_opened", "task.gate_answered"] {
        let data = json!({"attempt": 1, "gate_kind": "INPUT"});
        world.task_event(kind, &task, data).await;
    }
    // The next attempt has a hold of its own. It is lost, and a person has to decide.
    let second = world.hold("second", &budget.id, "1").await;
    let mut lost = ended(&world, 2, held(&second));
    lost["gate_kind"] = json!("LOST_LEASE");
    world.task_event("task.lease_lost", &task, lost).await;
    eventually(|| async { state_of(&world, &second).await == HoldState::Committed }).await;
    // The person says that it was done, which costs nothing.
    let over = json!({"attempt": 2, "budget_id": budget.id});
    world.task_event("task.completed", &task, over).await;
    let witness = TaskId::new().to_string();
    world
        .task_event("task.completed", &witness, ended(&world, 1, json!({})))
        .await;
    eventually(|| async { usage_of(&world, &witness).await.len() == 1 }).await;
    assert_eq!(usage_of(&world, &task).await.len(), 2, "each attempt once");
    let now = world.budget_now(&budget.id).await;
    assert_eq!(now.reserved.unwrap().amount, "0.00");
    assert_eq!(now.spent.unwrap().amount, "0.76", "twice 0.38");
    world.assert_sound().await;
}

/// Brings what the tenant owes its provider next to the greatest number that the books can hold.
async fn fill_the_books(world: &World) {
    let sql = "update ledger_account set balance = -999999999999999999.9999 \
               where code = 'liabilities:payable:acme'";
    sqlx::query(sql)
        .execute(&mut world.sql().await)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_applied_stops_nobody() {
    let world = World::new().await;
    world.price_list().await;
    let before = TaskId::new().to_string();
    world
        .task_event("task.completed", &before, ended(&world, 1, json!({})))
        .await;
    eventually(|| async { usage_of(&world, &before).await.len() == 1 }).await;
    fill_the_books(&world).await;

    let (poisoned, good) = (TaskId::new().to_string(), TaskId::new().to_string());
    let neighbour = TenantId::new();
    let batch = vec![
        (
            world.tenant,
            "task.completed",
            poisoned.as_str(),
            ended(&world, 1, json!({})),
        ),
        (
            neighbour,
            "task.completed",
            good.as_str(),
            ended(&world, 1, json!({})),
        ),
    ];
    world.task_events(batch).await;
    let recorded = "select count(*) from usage_record where status = 'UNPRICED'";
    eventually(|| async { world.count(recorded).await == 1 }).await;
    assert!(usage_of(&world, &poisoned).await.is_empty());
    let aside = "select count(*) from refused_event e join usage_record u using (tenant_id)";
    assert_eq!(world.count(aside).await, 1, "whole, and with its tenant");

    // Behind it everything goes on.
    let behind = TaskId::new().to_string();
    let data = json!({"usage": [{"quantities": {"other": "1"}}]});
    world
        .task_event("task.failed", &behind, ended(&world, 1, data))
        .await;
    eventually(|| async { usage_of(&world, &behind).await.len() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_pricing_that_fails_stops_nobody() {
    let world = World::new().await;
    let (first, second) = (TaskId::new().to_string(), TaskId::new().to_string());
    let data = json!({"usage": [{"quantities": {"other": "1"}}]});
    world
        .task_event("task.completed", &first, ended(&world, 1, json!({})))
        .await;
    world
        .task_event("task.completed", &second, ended(&world, 1, data))
        .await;
    eventually(|| async { usage_of(&world, &second).await.len() == 1 }).await;
    // An account that exists and is full.
    let sql = "insert into ledger_account select gen_random_uuid(), tenant_id, \
               'liabilities:payable:acme', 'USD', 'LIABILITY', -999999999999999999.9999, now() \
               from usage_record limit 1";
    sqlx::query(sql)
        .execute(&mut world.sql().await)
        .await
        .unwrap();
    world.clock.advance(chrono::TimeDelta::seconds(30));
    let mut list = price_list("late", "acme", "m1");
    list.resource_prices.push(ResourcePrice {
        resource: "other".into(),
        unit_price: crate::world::unit("7", 1),
    });
    world
        .rate_cards()
        .create_rate_card(world.ask(list))
        .await
        .unwrap();
    eventually(|| async { usage_of(&world, &second).await[0].status() == UsageStatus::Priced })
        .await;
    let waiting = &usage_of(&world, &first).await[0];
    assert_eq!(waiting.status(), UsageStatus::Unpriced);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_late_price_are_priced_together() {
    let world = World::new().await;
    let budget = world.budget("b", "5.00", "").await;
    let task = TaskId::new().to_string();
    let hold = world.hold("1", &budget.id, "2").await;
    let mut data = ended(
        &world,
        1,
        json!({"budget_id": budget.id, "hold_id": hold.id}),
    );
    let line = data["usage"][0].clone();
    data["usage"].as_array_mut().unwrap().push(line);
    world.task_event("task.completed", &task, data).await;
    eventually(|| async { usage_of(&world, &task).await.len() == 2 }).await;
    let spent = || async { world.budget_now(&budget.id).await.spent.unwrap().amount };
    assert_eq!(
        spent().await,
        "2.00",
        "both lines together count as the hold"
    );
    world.clock.advance(chrono::TimeDelta::seconds(30));
    world.price_list().await;
    eventually(|| async { spent().await == "0.76" }).await;
    assert_eq!(world.assert_sound().await.journal_count, 2);
}
