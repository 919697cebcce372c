//! What becomes of due times while the service is away.

use reeve_contracts::task::v1::MissedRunPolicy;

use super::*;
use ScheduleRunOutcome::{Created, SkippedMissed};

/// Three schedules that differ in their missed-run policy, due each ten minutes; then the service is
/// away for as long.
async fn after_absence(minutes: i64) -> (World, DateTime<Utc>, [Schedule; 3]) {
    let mut world = world().await;
    let start = world.clock.now();
    let with = |name: &str, policy: MissedRunPolicy| Schedule {
        missed_run_policy: policy.into(),
        catch_up_limit: 2,
        ..schedule(name, "*/10 * * * *")
    };
    let created = [
        world.schedule(with("skip", MissedRunPolicy::Skip)).await,
        world.schedule(with("once", MissedRunPolicy::RunOnce)).await,
        world.schedule(with("all", MissedRunPolicy::RunAll)).await,
    ];
    world.stop().await;
    world.later(TimeDelta::minutes(minutes));
    world.run().await;
    for one in &created {
        world.is_handled(&one.id).await;
    }
    (world, start, created)
}

#[tokio::test]
async fn after_an_absence_the_policy_decides() {
    let (world, start, [skip, once, all]) = after_absence(45).await;
    let at = |minutes| start + TimeDelta::minutes(minutes);
    assert_eq!(
        story(&world.runs(&skip.id).await),
        [(at(10), SkippedMissed, 4)]
    );
    let once = world.runs(&once.id).await;
    assert_eq!(
        story(&once),
        [(at(10), SkippedMissed, 3), (at(40), Created, 1)]
    );
    assert_eq!(time(once[0].last_due_time), Some(at(30)));
    let expected = [
        (at(10), SkippedMissed, 2),
        (at(30), Created, 1),
        (at(40), Created, 1),
    ];
    assert_eq!(story(&world.runs(&all.id).await), expected);
    let tasks = world.tasks_of(&all.id).await;
    assert_eq!(tasks.len(), 2);
    let next = world.get_schedule(&skip.id).await.next_due_time;
    assert_eq!(time(next), Some(at(50)));
}

#[tokio::test]
async fn what_is_due_when_the_service_returns_fires_under_every_policy() {
    let (world, start, [skip, once, all]) = after_absence(40).await;
    let at = |minutes| start + TimeDelta::minutes(minutes);
    let expected = [(at(10), SkippedMissed, 3), (at(40), Created, 1)];
    assert_eq!(story(&world.runs(&skip.id).await), expected);
    assert_eq!(story(&world.runs(&once.id).await), expected);
    let expected = [
        (at(10), SkippedMissed, 1),
        (at(20), Created, 1),
        (at(30), Created, 1),
        (at(40), Created, 1),
    ];
    assert_eq!(story(&world.runs(&all.id).await), expected);
}

#[tokio::test]
async fn what_is_too_old_to_be_caught_up_is_skipped() {
    let mut world = world().await;
    let start = world.clock.now();
    let recent = Schedule {
        missed_run_policy: MissedRunPolicy::RunAll.into(),
        catch_up_duration: Some(seconds(1_500)),
        catch_up_limit: 100,
        ..schedule("recent", "*/10 * * * *")
    };
    let created = world.schedule(recent).await;
    world.stop().await;
    world.later(TimeDelta::minutes(65));
    world.run().await;
    world.is_handled(&created.id).await;
    let at = |minutes| start + TimeDelta::minutes(minutes);
    let expected = [
        (at(10), SkippedMissed, 3),
        (at(40), Created, 1),
        (at(50), Created, 1),
        (at(60), Created, 1),
    ];
    assert_eq!(story(&world.runs(&created.id).await), expected);
    let skipped = |events: &[reeve_contracts::event::v1::Event]| {
        events
            .iter()
            .any(|event| event.r#type == "schedule.run_skipped")
    };
    let events = world.events(skipped).await;
    let skipped = events
        .iter()
        .find(|event| event.r#type == "schedule.run_skipped");
    let data = data(skipped.expect("just looked for"));
    assert_eq!(data["outcome"], "SKIPPED_MISSED");
    assert_eq!(data["due_count"], 3.0);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_due_twice() {
    let world = world().await;
    let created = world.schedule(schedule("often", "*/10 * * * *")).await;
    let due = world.later(TimeDelta::minutes(10));
    world.is_handled(&created.id).await;
    world.later(-TimeDelta::minutes(5));
    let request = super::crud::update(&created.id, schedule("", "*/5 * * * *"), &["cron"]);
    let answer = world.schedules().update_schedule(world.ask(request)).await;
    let updated = answer.expect("updated").into_inner().schedule;
    let next = time(updated.expect("the answer holds it").next_due_time);
    assert_eq!(next, Some(due + TimeDelta::minutes(5)));
}
