//! A schedule whose task cannot be created, or that cannot be read, holds up nobody.

use reeve_contracts::task::v1::ScheduleState;
use reeve_status::{Code, Reason};

use super::*;
use ScheduleRunOutcome::{Created, Failed};

/// Damages one row behind the service's back.
async fn tamper(world: &World, statement: &str) {
    assert_eq!(world.tamper(statement).await, 1, "{statement}");
}

/// A schedule beside, that must go on.
async fn goes_on(world: &World, id: &str) {
    world.is_handled(id).await;
    let last = world.get_schedule(id).await.last_run.expect("it ran");
    assert_eq!(last.outcome(), Created);
}

#[tokio::test]
async fn a_refused_task_is_a_failed_run_and_the_schedule_goes_on() {
    let world = world().await;
    let good = world.schedule(schedule("good", "*/10 * * * *")).await;
    let mut orphan = schedule("orphan", "*/10 * * * *");
    let parent = world.create(spec("plan")).await.id;
    orphan.task.as_mut().expect("it has one").parent_task_id = parent.clone();
    let orphan = world.schedule(orphan).await;
    // Its parent is there no more.
    tamper(&world, &format!("delete from task where id = '{parent}'")).await;
    let first = world.later(TimeDelta::minutes(10));
    world.is_handled(&orphan.id).await;
    goes_on(&world, &good.id).await;
    let second = world.later(TimeDelta::minutes(10));
    world.is_handled(&orphan.id).await;
    goes_on(&world, &good.id).await;
    let runs = world.runs(&orphan.id).await;
    assert_eq!(story(&runs), [(first, Failed, 1), (second, Failed, 1)]);
    assert!(
        runs[0].reason.contains("task.parent_task_id"),
        "{}",
        runs[0].reason
    );
    let answer = world.trigger(&orphan.id, "r").await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["task.parent_task_id"]);
    assert_eq!(world.runs(&orphan.id).await.len(), 2, "nothing was written");
    let failed = |events: &[reeve_contracts::event::v1::Event]| {
        events
            .iter()
            .filter(|event| event.r#type == "schedule.run_failed")
            .count()
            == 2
    };
    world.events(failed).await;
}

#[tokio::test]
async fn a_task_that_this_version_cannot_read_is_a_failed_run() {
    let world = world().await;
    let good = world.schedule(schedule("good", "*/10 * * * *")).await;
    let bad = world.schedule(schedule("bad", "*/10 * * * *")).await;
    tamper(
        &world,
        "update schedule set task = '\\xff' where name = 'bad'",
    )
    .await;
    world.later(TimeDelta::minutes(10));
    world.is_handled(&bad.id).await;
    goes_on(&world, &good.id).await;
    let runs = world.runs(&bad.id).await;
    assert_eq!(runs[0].outcome(), Failed);
    assert!(
        runs[0].reason.contains("cannot be read"),
        "{}",
        runs[0].reason
    );
}

#[tokio::test]
async fn a_line_that_this_version_cannot_read_pauses_the_schedule() {
    let world = world().await;
    let good = world.schedule(schedule("good", "*/10 * * * *")).await;
    let bad = world.schedule(schedule("bad", "*/10 * * * *")).await;
    let gone = "update schedule set time_zone = 'Europe/Atlantis' where name = 'bad'";
    tamper(&world, gone).await;
    world.later(TimeDelta::minutes(10));
    let after = world.is_handled(&bad.id).await;
    goes_on(&world, &good.id).await;
    assert_eq!(after.state(), ScheduleState::Paused);
    assert!(
        after.pause_reason.contains("time zone"),
        "{}",
        after.pause_reason
    );
    assert_eq!(after.last_run.map(|run| run.outcome()), Some(Failed));
    let mut client = world.schedules();
    let answer = client
        .resume_schedule(world.ask(super::crud::resume(&bad.id)))
        .await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let new = Schedule {
        time_zone: "Europe/Berlin".to_owned(),
        ..Default::default()
    };
    let request = super::crud::update(&bad.id, new, &["time_zone"]);
    client
        .update_schedule(world.ask(request))
        .await
        .expect("mended");
    let answer = client
        .resume_schedule(world.ask(super::crud::resume(&bad.id)))
        .await;
    answer.expect("it goes on");
}

#[tokio::test]
async fn a_due_time_that_the_database_refuses_is_a_failed_run() {
    let world = world().await;
    let good = world.schedule(schedule("good", "*/10 * * * *")).await;
    let bad = world.schedule(schedule("bad", "*/10 * * * *")).await;
    let due = world.clock.now() + TimeDelta::minutes(10);
    // A number that is taken: what only a fault of the server can bring about.
    tamper(
        &world,
        "insert into schedule_run (schedule_id, number, tenant_id, due_time, last_due_time,
             due_count, fire_time, outcome, reason, triggered)
         select id, 1, tenant_id, now(), now(), 1, now(), 4, '', true
         from schedule where name = 'bad'",
    )
    .await;
    world.later(TimeDelta::minutes(10));
    goes_on(&world, &good.id).await;
    // While the number stays taken not even the failure can be recorded, so it is stopped.
    let after = world.is_handled(&bad.id).await;
    assert_eq!(after.state(), ScheduleState::Paused);
    assert!(world.tasks_of(&bad.id).await.is_empty());
    assert_eq!(world.tasks_of(&good.id).await.len(), 1, "once, at {due}");
}

#[tokio::test]
async fn a_run_is_held_against_the_type_as_it_is_by_then() {
    let world = world().await;
    let schema = |required: &str| serde_json::json!({"required": [required]});
    let ship = crate::types::type_of("ship", schema("to"));
    world.create_type(ship).await.expect("created");
    let with = |parameters: serde_json::Value| {
        let mut schedule = schedule("ship", "*/10 * * * *");
        schedule.task = Some(proto::TaskSpec {
            parameters: reeve_wellknown::struct_from_json(parameters),
            ..spec("ship")
        });
        schedule
    };
    let answer = world.try_schedule(with(serde_json::json!({}))).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["schedule.task.parameters.to"]);
    let created = with(serde_json::json!({"to": "x"}));
    let created = world.schedule(created).await;
    let first = world.later(TimeDelta::minutes(10));
    world.is_handled(&created.id).await;
    let ship = crate::types::type_of("ship", schema("by"));
    let changed = world.update_type(ship, &["parameters_schema"], "").await;
    changed.expect("updated");
    // What is known of types is read again after so long at the latest.
    let second = world.later(TimeDelta::minutes(10));
    world.is_handled(&created.id).await;
    let runs = world.runs(&created.id).await;
    assert_eq!(story(&runs), [(first, Created, 1), (second, Failed, 1)]);
    assert!(
        runs[1].reason.contains("task.parameters"),
        "{}",
        runs[1].reason
    );
    // Other fields can be changed all the same, and the task to one that fits.
    let hourly = super::crud::update(&created.id, schedule("", "@hourly"), &["cron"]);
    let mut client = world.schedules();
    client
        .update_schedule(world.ask(hourly))
        .await
        .expect("updated");
    let new = with(serde_json::json!({"to": "x"}));
    let unfit = super::crud::update(&created.id, new, &["task"]);
    let answer = client.update_schedule(world.ask(unfit)).await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let new = with(serde_json::json!({"by": "y"}));
    let fit = super::crud::update(&created.id, new, &["task"]);
    client
        .update_schedule(world.ask(fit))
        .await
        .expect("updated");
}
