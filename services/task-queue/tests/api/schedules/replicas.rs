//! Several replicas, and transactions that end at any moment, are one service.

use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reeve_contracts::task::v1::{MissedRunPolicy, OverlapPolicy};
use sqlx::PgConnection;

use super::*;
use crate::cron_model::{Line, ZONES};

/// A schedule of the model, with what became of it by the model.
struct Modelled {
    line: Line,
    zone: Tz,
    policy: MissedRunPolicy,
    limit: usize,
    offset: TimeDelta,
    id: String,
    /// Due times until this one were handled.
    handled: DateTime<Utc>,
    fired: Vec<DateTime<Utc>>,
    skipped: i32,
}

impl Modelled {
    /// What happens when the clock has come to `now` and somebody looks.
    fn look(&mut self, now: DateTime<Utc>) {
        let until = now - self.offset;
        let due = self.line.due(self.zone, self.handled, until);
        self.handled = self.handled.max(until);
        let late = |due: &&DateTime<Utc>| until - **due > TimeDelta::minutes(1);
        let missed = due.iter().filter(late).count();
        let caught = match self.policy {
            MissedRunPolicy::RunOnce => usize::from(missed == due.len()),
            MissedRunPolicy::RunAll => self.limit,
            _ => 0,
        };
        let skipped = missed - caught.min(missed);
        // What is skipped in a row is counted up to a thousand.
        self.skipped += i32::try_from(skipped.min(1_000)).expect("few");
        self.fired.extend(&due[skipped..]);
    }
}

fn some_line(random: &mut StdRng) -> Line {
    let mut list = |range: std::ops::RangeInclusive<u32>, most: usize| {
        let count = random.random_range(0..=most);
        let list: std::collections::BTreeSet<_> = (0..count)
            .map(|_| random.random_range(range.clone()))
            .collect();
        list.into_iter().collect::<Vec<_>>()
    };
    Line {
        minutes: list(0..=59, 4),
        hours: list(0..=23, 2),
        days: list(1..=31, 1),
        weekdays: list(0..=6, 3),
    }
}

async fn some_schedule(world: &World, random: &mut StdRng, n: usize) -> Modelled {
    // One at least is due at every turn.
    let line = if n == 0 {
        Line::default()
    } else {
        some_line(random)
    };
    let zone = *ZONES.choose(random).expect("there are some");
    let policies = [
        MissedRunPolicy::Skip,
        MissedRunPolicy::RunOnce,
        MissedRunPolicy::RunAll,
    ];
    let policy = *policies.choose(random).expect("there are some");
    let limit = random.random_range(1..=20);
    let asked = Schedule {
        time_zone: zone.name().to_owned(),
        missed_run_policy: policy.into(),
        catch_up_duration: Some(seconds(30 * 86_400)),
        catch_up_limit: limit,
        jitter_duration: Some(seconds(random.random_range(0..=600))),
        overlap_policy: OverlapPolicy::Allow.into(),
        ..schedule(&format!("s{n}"), &line.to_string())
    };
    let created = world.schedule(asked).await;
    let (due, fire) = (time(created.next_due_time), time(created.next_fire_time));
    let (due, fire) = due.zip(fire).expect("it is active");
    Modelled {
        line,
        zone,
        policy,
        limit: usize::try_from(limit).expect("positive"),
        offset: fire - due,
        id: created.id,
        handled: world.clock.now(),
        fired: Vec::new(),
        skipped: 0,
    }
}

/// Ends the connection at some steps of what schedules write, commits among them, so that
/// transactions end between any two of them. A sequence counts: what is rolled back does not take
/// its numbers along.
const CHAOS: &str = "
    set search_path = task_queue;
    create sequence chaos;
    grant usage on chaos to task_queue_app;
    create function chaos() returns trigger language plpgsql as $$
    begin
        if nextval('task_queue.chaos') = 3 or random() < 0.08 then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
        return null;
    end $$;
    create trigger chaos before insert on task for each statement execute function chaos();
    create trigger chaos before insert on schedule_run
        for each statement execute function chaos();
    create trigger chaos before update on schedule for each statement execute function chaos();
    create trigger chaos before insert on outbox for each statement execute function chaos();
    create constraint trigger chaos_at_commit after update on schedule
        deferrable initially deferred for each row execute function chaos()";

/// Waits until nothing is due any more.
async fn is_all_handled(connection: &mut PgConnection, now: DateTime<Utc>) {
    let connection = tokio::sync::Mutex::new(connection);
    eventually(|| async {
        let mut connection = connection.lock().await;
        let left = "select count(*) from schedule where next_fire <= $1";
        let left = sqlx::query_scalar(left).bind(now);
        let left: i64 = left.fetch_one(&mut **connection).await.expect("a count");
        left == 0
    })
    .await;
}

/// Random lines, zones and policies; a clock that jumps by seconds, hours and days; three replicas;
/// and transactions that end half-way. What fired is what the model says, once each.
#[tokio::test]
async fn due_times_fire_once_whoever_looks_and_whatever_breaks() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let world = world().await;
    let (_one, _deps) = world.replica().await;
    let (_two, _deps) = world.replica().await;
    let mut all = Vec::new();
    for n in 0..10 {
        all.push(some_schedule(&world, &mut random, n).await);
    }
    let mut backdoor = world.database.admin().await;
    let chaos = sqlx::raw_sql(CHAOS).execute(&mut backdoor).await;
    chaos.expect("chaos");
    for _ in 0..12 {
        let seconds = match random.random_range(0..3) {
            0 => random.random_range(1..=120),
            1 => random.random_range(120..=7_200),
            _ => random.random_range(7_200..=200_000),
        };
        // One look of the model is one jump of the clock, so all must have looked before the next.
        let now = world.later(TimeDelta::seconds(seconds));
        is_all_handled(&mut backdoor, now).await;
        for one in &mut all {
            one.look(now);
        }
    }
    let broken = sqlx::query_scalar("select last_value from chaos");
    let broken: i64 = broken.fetch_one(&mut backdoor).await.expect("a count");
    assert!(broken > 2, "nothing was broken");
    for one in &all {
        let runs = world.runs(&one.id).await;
        let created = runs
            .iter()
            .filter(|run| run.outcome() == ScheduleRunOutcome::Created);
        let fired: Vec<_> = created.filter_map(|run| time(run.due_time)).collect();
        let what = format!(
            "seed {seed}: {} in {} under {:?}",
            one.line, one.zone, one.policy
        );
        assert_eq!(fired, one.fired, "{what}");
        let skipped = runs.iter().filter(|run| run.task_id.is_empty());
        assert_eq!(
            skipped.map(|run| run.due_count).sum::<i32>(),
            one.skipped,
            "{what}"
        );
        let tasks = world.tasks_of(&one.id).await.len();
        assert_eq!(tasks, one.fired.len(), "{what}");
    }
}
