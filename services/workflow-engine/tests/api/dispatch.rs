//! What the engine asks of task-queue, and what it makes of the answers and the news.

use reeve_contracts::workflow::v1::{self as wire, ExecutionState, StepState};
use reeve_ids::TaskId;
use reeve_testkit::eventually;
use serde_json::json;
use sqlx::Connection as _;

use crate::harness::{World, seconds, task, workflow};
use crate::queue::Mood;

async fn until(world: &World, id: &str, wanted: ExecutionState) {
    eventually(|| async {
        let state = world.state(id).await;
        (state == wanted)
            .then_some(())
            .ok_or(format!("it is {state:?}"))
    })
    .await;
}

async fn the_task(world: &World, name: &str) -> reeve_contracts::task::v1::Task {
    eventually(|| async { world.queue.tasks().get(name).cloned() }).await
}

async fn cancel(world: &World, id: &str) {
    let request = wire::CancelExecutionRequest {
        execution_id: id.into(),
        ..Default::default()
    };
    let answer = world.workflows().cancel_execution(world.ask(request)).await;
    answer.expect("cancelled");
}

async fn commands(world: &World) -> i64 {
    let mut admin = world.database.admin().await;
    sqlx::query_scalar("select count(*) from workflow_engine.command")
        .fetch_one(&mut admin)
        .await
        .expect("a count")
}

/// Every command is due at once, whatever pause it has.
async fn hurry(world: &World) {
    let mut admin = world.database.admin().await;
    sqlx::query("update workflow_engine.command set next_time = now() - interval '1 second'")
        .execute(&mut admin)
        .await
        .expect("an update");
    admin.close().await.expect("closed");
}

#[tokio::test]
async fn a_task_is_created_and_its_result_is_taken() {
    let world = World::with_queue(&[]).await;
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    let created = the_task(&world, "a/1").await;
    eventually(|| async { world.step(&id, "a").await.task_id == created.id }).await;
    world.queue.tell(
        world.tenant,
        &created,
        "task.started",
        json!({"agent_id": "agent-1"}),
    );
    eventually(|| async { world.step_state(&id, "a").await == StepState::Running }).await;
    world
        .queue
        .complete(world.tenant, &created, json!({"n": 1}));
    until(&world, &id, ExecutionState::Completed).await;
    let step = world.step(&id, "a").await;
    assert_eq!(step.output, crate::harness::fields(json!({"n": 1})));
    world.finish().await;
}

#[tokio::test]
async fn news_of_another_task_are_not_the_steps() {
    let world = World::with_queue(&[]).await;
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    let created = the_task(&world, "a/1").await;
    eventually(|| async { world.step(&id, "a").await.task_id == created.id }).await;
    let mut forged = created.clone();
    forged.id = TaskId::new().to_string();
    let failure = json!({"error_code": "FORGED", "error_message": "not the step's"});
    world
        .queue
        .tell(world.tenant, &forged, "task.failed", failure);
    world
        .queue
        .tell(world.tenant, &forged, "task.cancelled", json!({}));
    world
        .queue
        .complete(world.tenant, &created, json!({"real": true}));
    until(&world, &id, ExecutionState::Completed).await;
    let step = world.step(&id, "a").await;
    assert_eq!((step.attempt, step.task_id), (1, created.id));
    world.finish().await;
}

#[tokio::test]
async fn a_task_that_no_step_wants_any_more_is_not_created() {
    let world = World::with_queue(&[("execution.cancel_grace", "50ms")]).await;
    world.queue.set(Mood::Away);
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    eventually(|| async { world.queue.asked() > 0 }).await;
    cancel(&world, &id).await;
    until(&world, &id, ExecutionState::Cancelled).await;
    // The call that began before the cancel has ended: its claim, which lasts longer than any pause,
    // is over. Later ones know that the step wants no task.
    eventually(|| async {
        let mut admin = world.database.admin().await;
        sqlx::query_scalar::<_, bool>(
            "select bool_and(next_time < now() + interval '45 seconds') from workflow_engine.command",
        )
        .fetch_one(&mut admin)
        .await
        .expect("an answer")
    })
    .await;
    world.queue.set(Mood::Takes);
    eventually(|| async {
        hurry(&world).await;
        commands(&world).await == 0
    })
    .await;
    assert!(
        world.queue.tasks().is_empty(),
        "an agent would work for nobody"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_task_whose_answer_was_lost_is_found_and_cancelled() {
    let world = World::with_queue(&[]).await;
    world.queue.set(Mood::LosesAnswers);
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    let lost = the_task(&world, "a/1").await;
    cancel(&world, &id).await;
    eventually(|| async {
        hurry(&world).await;
        world.queue.cancelled() == [lost.id.clone()]
    })
    .await;
    world
        .queue
        .tell(world.tenant, &lost, "task.cancelled", json!({}));
    until(&world, &id, ExecutionState::Cancelled).await;
    assert_eq!(world.queue.tasks().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_task_that_is_refused_fails_its_step() {
    let world = World::with_queue(&[]).await;
    world.queue.set(Mood::Refuses);
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    until(&world, &id, ExecutionState::Failed).await;
    let error = world.step(&id, "a").await.error.expect("an error");
    assert_eq!(error.class, "TASK_REFUSED");
    assert_eq!(commands(&world).await, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_command_waits_until_task_queue_is_back() {
    let world = World::with_queue(&[]).await;
    world.queue.set(Mood::Away);
    let id = world
        .run(workflow("w", vec![task("a", &[])]), json!({}))
        .await;
    eventually(|| async { world.queue.asked() > 0 }).await;
    world.queue.set(Mood::Takes);
    let created = the_task(&world, "a/1").await;
    world.queue.complete(world.tenant, &created, json!({}));
    until(&world, &id, ExecutionState::Completed).await;
    world.finish().await;
}

#[tokio::test]
async fn replicas_share_the_commands() {
    let world = World::with_queue(&[]).await;
    world.publish(workflow("w", vec![task("a", &[])])).await;
    let start = || {
        world.start_with(wire::StartExecutionRequest {
            workflow_name: "w".into(),
            ..Default::default()
        })
    };
    for started in futures::future::join_all((0..20).map(|_| start())).await {
        started.expect("it starts");
    }
    // Beside the service's own loop.
    let relays = (0..4).map(|_| world.engine.relay_commands());
    for relayed in futures::future::join_all(relays).await {
        relayed.expect("relayed");
    }
    eventually(|| async { commands(&world).await == 0 }).await;
    assert_eq!(world.queue.asked(), 20);
    world.finish().await;
}

/// One execution's rows cannot be read any more: by its input, or by its definition.
#[tokio::test]
async fn an_execution_that_cannot_go_on_fails_and_keeps_nobody() {
    let deep = "[".repeat(500) + &"]".repeat(500);
    let unreadable =
        format!("update workflow_engine.execution set input = '{deep}' where id = $1::uuid");
    let unknown = "update workflow_engine.step_run set error = '{}' where execution_id = $1::uuid";
    for corruption in [unreadable.as_str(), unknown] {
        let world = World::with_queue(&[]).await;
        let timed = wire::WorkflowStep {
            timeout: seconds(1),
            ..task("t", &[])
        };
        let steps = || vec![task("a", &[]), timed.clone()];
        let broken = world.run(workflow("w", steps()), json!({})).await;
        let lost = the_task(&world, "a/1").await;
        eventually(|| async { commands(&world).await == 0 }).await;
        let mut admin = world.database.admin().await;
        let corrupted = sqlx::query(sqlx::AssertSqlSafe(corruption.to_owned()))
            .bind(&broken)
            .execute(&mut admin)
            .await;
        corrupted.expect("corrupted");
        let whole = world
            .run(workflow("w2", vec![task("b", &[])]), json!({}))
            .await;
        let created = the_task(&world, "b/1").await;
        world.queue.complete(world.tenant, &lost, json!({}));
        world.queue.complete(world.tenant, &created, json!({}));
        until(&world, &whole, ExecutionState::Completed).await;
        let state = "select state from workflow_engine.execution where id = $1::uuid";
        eventually(|| async {
            let mut admin = world.database.admin().await;
            let state: String = sqlx::query_scalar(state)
                .bind(&broken)
                .fetch_one(&mut admin)
                .await
                .expect("a state");
            state == "FAILED"
        })
        .await;
        eventually(|| async { world.queue.cancelled().contains(&lost.id) }).await;
        world.finish().await;
    }
}
