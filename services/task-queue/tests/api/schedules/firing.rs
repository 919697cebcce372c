//! Due times become tasks.

use chrono::TimeDelta;
use reeve_clock::Clock as _;
use reeve_contracts::task::v1::{ScheduleRunOutcome, ScheduleState};

use super::*;

#[tokio::test]
async fn a_due_time_becomes_a_task_that_names_its_schedule() {
    let world = world().await;
    let agent = world.agent(&["lint"]);
    let created = world.schedule(schedule("often", "*/5 * * * *")).await;
    let start = world.clock.now();
    assert_eq!(created.state(), ScheduleState::Active);
    let first = start + TimeDelta::minutes(5);
    assert_eq!(time(created.next_due_time), Some(first));
    assert!(world.tasks_of(&created.id).await.is_empty());
    world.later(TimeDelta::minutes(5));
    let after = world.is_handled(&created.id).await;
    assert_eq!(
        time(after.next_due_time),
        Some(first + TimeDelta::minutes(5))
    );
    assert_eq!(after.run_count, 1);
    let run = after.last_run.expect("it ran");
    assert_eq!(
        (run.number, run.outcome()),
        (1, ScheduleRunOutcome::Created)
    );
    assert_eq!(time(run.due_time), Some(first));
    let lease = world.lease_one(agent).await;
    assert_eq!(id_of(&lease), run.task_id);
    let tasks = world.tasks_of(&created.id).await;
    assert_eq!(tasks.len(), 1);
    let origin = tasks[0].spec.as_ref().and_then(|spec| spec.origin.clone());
    let origin = origin.expect("it names its schedule");
    let due = first.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!(
        (origin.kind, origin.resource_id),
        ("schedule".to_owned(), created.id)
    );
    assert_eq!(origin.step_path, due);
}

#[tokio::test]
async fn a_schedule_fires_at_its_part_of_the_jitter() {
    let world = world().await;
    let spread = Schedule {
        jitter_duration: Some(seconds(1_800)),
        ..schedule("hourly", "0 * * * *")
    };
    let created = world.schedule(spread).await;
    let (due, fire) = (time(created.next_due_time), time(created.next_fire_time));
    let (due, fire) = due.zip(fire).expect("it is active");
    world.later(due - world.clock.now());
    // The loop looks when something changes: what was due would fire now.
    world.schedule(schedule("other", "@daily")).await;
    world.next_tick("schedules").await;
    if fire > due {
        assert!(world.runs(&created.id).await.is_empty());
    }
    world.later(fire - due);
    let after = world.is_handled(&created.id).await;
    assert_eq!(
        story(&world.runs(&created.id).await),
        [(due, ScheduleRunOutcome::Created, 1)]
    );
    let next = due + TimeDelta::hours(1);
    assert_eq!(time(after.next_due_time), Some(next));
    assert_eq!(time(after.next_fire_time), Some(next + (fire - due)));
}

#[tokio::test]
async fn lines_are_read_by_the_clock_of_their_zone() {
    let world = world().await;
    let zoned = Schedule {
        time_zone: "Asia/Kathmandu".to_owned(),
        ..schedule("morning", "0 9 * * *")
    };
    let created = world.schedule(zoned).await;
    let next = time(created.next_due_time).expect("it is active");
    // 5:45 h ahead of UTC, all the year.
    assert_eq!(next.format("%H:%M").to_string(), "03:15");
    world.later(next - world.clock.now());
    world.is_handled(&created.id).await;
    assert_eq!(world.tasks_of(&created.id).await.len(), 1);
}

#[tokio::test]
async fn start_and_end_bound_what_is_due() {
    let world = world().await;
    let start = world.clock.now();
    let at = |minutes| {
        Some(reeve_wellknown::timestamp(
            start + TimeDelta::minutes(minutes),
        ))
    };
    let bounded = Schedule {
        start_time: at(20),
        end_time: at(40),
        ..schedule("bounded", "*/10 * * * *")
    };
    let created = world.schedule(bounded).await;
    for _ in 0..6 {
        world.later(TimeDelta::minutes(10));
        world.is_handled(&created.id).await;
    }
    let due = |minutes| {
        (
            start + TimeDelta::minutes(minutes),
            ScheduleRunOutcome::Created,
            1,
        )
    };
    assert_eq!(story(&world.runs(&created.id).await), [due(20), due(30)]);
    assert_eq!(
        world.get_schedule(&created.id).await.state(),
        ScheduleState::Ended
    );
}

#[tokio::test]
async fn a_trigger_runs_at_once_and_once_for_a_request() {
    let world = world().await;
    let created = world.schedule(schedule("nightly", "@daily")).await;
    let mut client = world.schedules();
    let pause = client
        .pause_schedule(world.ask(super::crud::pause(&created.id)))
        .await;
    pause.expect("paused");
    let run = world.trigger(&created.id, "r-1").await.expect("it runs");
    assert_eq!(
        (run.number, run.outcome()),
        (1, ScheduleRunOutcome::Created)
    );
    assert!(run.triggered);
    assert_eq!(
        world.trigger(&created.id, "r-1").await.expect("a repeat"),
        run
    );
    let other = world.trigger(&created.id, "").await.expect("it runs");
    assert_eq!(other.number, 2);
    assert_ne!(other.task_id, run.task_id);
    let tasks = world.tasks_of(&created.id).await;
    let ids: Vec<_> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, [run.task_id.as_str(), other.task_id.as_str()]);
    let creator = tasks[0].creator.clone().expect("it has one");
    assert_eq!(Some(creator), created.creator, "the caller made it");
    let after = world.get_schedule(&created.id).await;
    assert_eq!(after.run_count, 2);
    assert_eq!(after.etag, "2", "runs are no changes");
}

#[tokio::test]
async fn a_trigger_beside_a_due_time_of_the_same_moment_is_another_run() {
    let world = world().await;
    let created = world.schedule(schedule("often", "*/10 * * * *")).await;
    let due = world.later(TimeDelta::minutes(10));
    world.is_handled(&created.id).await;
    world.trigger(&created.id, "").await.expect("it runs");
    world.trigger(&created.id, "").await.expect("it runs");
    let runs = world.runs(&created.id).await;
    assert_eq!(story(&runs), [(due, ScheduleRunOutcome::Created, 1); 3]);
}

#[tokio::test]
async fn runs_come_in_pages_and_the_latest_thousand_are_kept() {
    let world = world().await;
    let created = world
        .schedule(schedule("by-the-second", "* * * * * *"))
        .await;
    // A minute is never missed, so each second of it fires.
    for _ in 0..18 {
        world.later(TimeDelta::seconds(60));
        world.is_handled(&created.id).await;
    }
    let request = |page_token| proto::ListScheduleRunsRequest {
        schedule_id: created.id.clone(),
        page_size: 400,
        page_token,
    };
    let mut numbers = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = world.ask(request(page_token));
        let page = world.schedules().list_schedule_runs(asked).await;
        let page = page.expect("a page").into_inner();
        numbers.extend(page.runs.iter().map(|run| run.number));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(numbers.first(), Some(&1_080));
    assert!(numbers.is_sorted_by(|left, right| left == &(right + 1)));
    let last = numbers.last().copied().unwrap_or_default();
    assert!((1..=81).contains(&last), "{last}");
    assert!(last > 1, "the oldest are gone");
    let other = world.schedule(schedule("other", "@daily")).await;
    let page = world
        .schedules()
        .list_schedule_runs(world.ask(request(String::new())))
        .await;
    let token = page.expect("a page").into_inner().next_page_token;
    let foreign = proto::ListScheduleRunsRequest {
        schedule_id: other.id,
        ..request(token)
    };
    let answer = world
        .schedules()
        .list_schedule_runs(world.ask(foreign))
        .await;
    refused(
        answer,
        reeve_status::Code::InvalidArgument,
        reeve_status::Reason::PageTokenInvalid,
    );
}

#[tokio::test]
async fn a_task_of_a_schedule_waits_for_its_budget_like_any_other() {
    let world = world().await;
    let agent = world.agent(&["lint"]);
    let mut costly = schedule("costly", "*/10 * * * *");
    let task = costly.task.as_mut().expect("it has one");
    task.budget_id = reeve_ids::BudgetId::new().to_string();
    task.budget_amount = Some(reeve_contracts::r#type::v1::Money {
        amount: "1.50".to_owned(),
        currency_code: "USD".to_owned(),
    });
    let created = world.schedule(costly).await;
    world.later(TimeDelta::minutes(10));
    world.is_handled(&created.id).await;
    let lease = world.lease_one(agent).await;
    let task = lease.task.expect("a lease has its task");
    assert!(!task.hold_id.is_empty());
    assert_eq!(world.known().holds_of(&task.id).len(), 1);
}
