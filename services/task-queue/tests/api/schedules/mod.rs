//! Schedules. All run by a clock that the test moves.

mod bad_input;
mod crud;
mod failing;
mod firing;
mod missed;
mod overlap;
mod replicas;

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use reeve_clock::Clock as _;
use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::schedule_service_client::ScheduleServiceClient;
use reeve_contracts::task::v1::{Schedule, ScheduleRun, ScheduleRunOutcome, Task};
use reeve_task_queue::TaskQueue;
use reeve_testkit::eventually;
use sqlx::{Connection as _, PgConnection};
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::*;

/// A task-queue whose clock stands at a full hour, so that what is due when does not depend on when
/// the test runs.
pub async fn world() -> World {
    let world = World::by_test_clock(&[]).await;
    let now = world.clock.now().timestamp();
    let to_the_hour = 3_600 - now.rem_euclid(3_600);
    let micros = i64::from(world.clock.now().timestamp_subsec_micros());
    let ahead = TimeDelta::seconds(to_the_hour) - TimeDelta::microseconds(micros);
    world.clock.advance(ahead);
    world
}

/// A schedule that creates tasks of type lint on the second.
pub fn schedule(name: &str, cron: &str) -> Schedule {
    Schedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        task: Some(spec("lint")),
        jitter_duration: Some(seconds(0)),
        overlap_policy: proto::OverlapPolicy::Allow.into(),
        ..Default::default()
    }
}

pub fn time(of: Option<prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    of.as_ref().and_then(reeve_wellknown::datetime)
}

pub fn utc(text: &str) -> DateTime<Utc> {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
    Utc.from_utc_datetime(&time.expect("a time"))
}

impl World {
    pub fn schedules(&self) -> ScheduleServiceClient<Channel> {
        ScheduleServiceClient::new(self.channel())
    }

    pub fn later(&self, by: TimeDelta) -> DateTime<Utc> {
        self.clock.advance(by);
        self.clock.now()
    }

    pub async fn try_schedule(&self, schedule: Schedule) -> Result<Schedule, Status> {
        let request = proto::CreateScheduleRequest {
            schedule: Some(schedule),
            request_id: String::new(),
        };
        let answer = self.schedules().create_schedule(self.ask(request)).await?;
        Ok(answer.into_inner().schedule.expect("the answer holds it"))
    }

    pub async fn schedule(&self, schedule: Schedule) -> Schedule {
        self.try_schedule(schedule).await.expect("it is created")
    }

    pub async fn get_schedule(&self, id: &str) -> Schedule {
        let request = proto::GetScheduleRequest {
            schedule_id: id.to_owned(),
        };
        let answer = self.schedules().get_schedule(self.ask(request)).await;
        let found = answer.expect("it is there").into_inner();
        found.schedule.expect("the answer holds it")
    }

    /// A connection behind the service's back.
    pub async fn backdoor(&self) -> PgConnection {
        let url = self.database.url(&TaskQueue::schema());
        let connection = PgConnection::connect(&url).await;
        let mut connection = connection.expect("it may connect");
        let scope = "set search_path = task_queue; set reeve.all_tenants = 'on'";
        let scope = sqlx::raw_sql(scope).execute(&mut connection).await;
        scope.expect("a scope");
        connection
    }

    /// Runs a statement there; answers with how many rows it changed.
    pub async fn tamper(&self, statement: &str) -> u64 {
        let mut connection = self.backdoor().await;
        let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await;
        done.expect("it is done").rows_affected()
    }

    pub async fn all_schedules(&self) -> Vec<Schedule> {
        let mut client = self.schedules();
        let listed = client.list_schedules(self.ask(Default::default())).await;
        listed.expect("a list").into_inner().schedules
    }

    pub async fn trigger(&self, id: &str, request_id: &str) -> Result<ScheduleRun, Status> {
        let request = proto::TriggerScheduleRequest {
            schedule_id: id.to_owned(),
            request_id: request_id.to_owned(),
        };
        let answer = self.schedules().trigger_schedule(self.ask(request)).await?;
        Ok(answer.into_inner().run.expect("the answer holds it"))
    }

    /// Waits until everything due by now was handled.
    pub async fn is_handled(&self, id: &str) -> Schedule {
        let now = self.clock.now();
        eventually(|| async {
            let schedule = self.get_schedule(id).await;
            let next = time(schedule.next_fire_time);
            let handled = next.is_none_or(|next| next > now);
            handled
                .then_some(schedule)
                .ok_or_else(|| format!("{next:?} is not handled at {now}"))
        })
        .await
    }

    /// The runs of a schedule, oldest first.
    pub async fn runs(&self, id: &str) -> Vec<ScheduleRun> {
        let request = proto::ListScheduleRunsRequest {
            schedule_id: id.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.schedules().list_schedule_runs(self.ask(request)).await;
        let mut runs = answer.expect("runs").into_inner().runs;
        runs.reverse();
        runs
    }

    /// The tasks of a schedule, oldest first.
    pub async fn tasks_of(&self, id: &str) -> Vec<Task> {
        let filter = proto::TaskFilter {
            origin_kind: "schedule".to_owned(),
            origin_resource_id: id.to_owned(),
            ..Default::default()
        };
        let request = proto::ListTasksRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.tasks().list_tasks(self.ask(request)).await;
        let mut tasks = answer.expect("tasks").into_inner().tasks;
        tasks.reverse();
        tasks
    }
}

/// What became of which due times, in short.
pub fn story(runs: &[ScheduleRun]) -> Vec<(DateTime<Utc>, ScheduleRunOutcome, i32)> {
    let part = |run: &ScheduleRun| {
        let due = time(run.due_time).expect("a run has its due time");
        (due, run.outcome(), run.due_count)
    };
    runs.iter().map(part).collect()
}
