//! `reeve schedule`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use reeve_contracts::task::v1::schedule_service_client::ScheduleServiceClient;
use reeve_contracts::task::v1::{CreateScheduleRequest, UpdateScheduleRequest};
use serde_json::{Value as Json, json};

use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, Format, print};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("CRON", "cron"),
    ("ZONE", "timeZone"),
    ("TYPE", "task.type"),
    ("STATE", "state"),
    ("NEXT", "nextFireTime"),
    ("LAST DUE", "lastRun.dueTime"),
    ("LAST", "lastRun.outcome"),
];
const RUNS: &[Column] = &[
    ("RUN", "number"),
    ("DUE", "dueTime"),
    ("DUE TIMES", "dueCount"),
    ("FIRED", "fireTime"),
    ("OUTCOME", "outcome"),
    ("TASK", "taskId"),
    ("WHY", "reason"),
];
const OCCURRENCES: &[Column] = &[("DUE", "dueTime"), ("LOCAL", "localTime")];

/// What schedules can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Create a schedule.
    Create {
        /// A file of protobuf JSON (CreateScheduleRequest), or - for stdin, in place of the options
        /// below.
        #[arg(
            short,
            long,
            conflicts_with_all = ["schedule_name", "When", "What", "request_id"],
        )]
        file: Option<PathBuf>,
        /// Name, unique in the tenant.
        #[arg(required_unless_present = "file")]
        schedule_name: Option<String>,
        #[command(flatten)]
        when: Box<When>,
        #[command(flatten)]
        what: Box<What>,
        /// Repeating a creation with the same id yields the first schedule.
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Change the parts of a schedule that are given.
    Update {
        /// The schedule's id.
        schedule_id: String,
        /// Another name.
        #[arg(long = "name")]
        schedule_name: Option<String>,
        #[command(flatten)]
        when: Box<When>,
        #[command(flatten)]
        what: Box<What>,
        /// Refuse unless the schedule still has this etag.
        #[arg(long, default_value = "")]
        etag: String,
    },
    /// List schedules by name.
    List {
        /// Only this state, for example PAUSED; may be repeated.
        #[arg(long = "state")]
        states: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show when a cron line would be due.
    Preview {
        /// The line, for example "0 3 * * MON-FRI".
        cron: String,
        /// Time zone, for example Europe/Berlin.
        #[arg(long, default_value = "")]
        zone: String,
        /// How many times.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=1_000))]
        count: i32,
        /// From this time on, for example 2027-03-27T00:00:00Z, in place of now.
        #[arg(long)]
        from: Option<String>,
    },
    #[command(flatten)]
    One(One),
}

/// What one schedule can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum One {
    /// Show one schedule.
    Get {
        /// The schedule's id.
        schedule_id: String,
    },
    /// List what became of a schedule's due times, newest first.
    Runs {
        /// The schedule's id.
        schedule_id: String,
        #[command(flatten)]
        page: Page,
    },
    /// Stop a schedule.
    Pause {
        /// The schedule's id.
        schedule_id: String,
        /// Why.
        #[arg(long, default_value = "paused from the command line")]
        reason: String,
    },
    /// Let a schedule fire again.
    Resume {
        /// The schedule's id.
        schedule_id: String,
    },
    /// Run a schedule at once.
    Trigger {
        /// The schedule's id.
        schedule_id: String,
        /// Repeating a trigger with the same id yields the first run.
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Delete a schedule with its runs; its tasks stay.
    Delete {
        /// The schedule's id.
        schedule_id: String,
    },
}

/// When a schedule is due, and what becomes of its due times.
#[derive(Debug, Clone, Args)]
pub struct When {
    /// The line, for example "0 3 * * MON-FRI" or @daily; required to create.
    #[arg(long)]
    cron: Option<String>,
    /// Time zone, for example Europe/Berlin; by default UTC.
    #[arg(long)]
    zone: Option<String>,
    /// No earlier than this, for example 2027-01-01T00:00:00Z.
    #[arg(long)]
    start: Option<String>,
    /// Before this.
    #[arg(long)]
    end: Option<String>,
    /// Up to how long after a due time its task is created, in seconds, for example 30.
    #[arg(long, value_name = "SECONDS")]
    jitter: Option<u32>,
    /// Due times that the server could not keep: skip, run-once or run-all.
    #[arg(long)]
    missed: Option<String>,
    /// With run-all: how old a missed due time may be, in seconds.
    #[arg(long, value_name = "SECONDS")]
    catch_up: Option<u32>,
    /// With run-all: how many missed due times run.
    #[arg(long)]
    catch_up_limit: Option<i32>,
    /// When the task before is not over: allow, skip or cancel-previous.
    #[arg(long)]
    overlap: Option<String>,
}

/// What a schedule creates.
#[derive(Debug, Clone, Args)]
pub struct What {
    /// Type of its tasks, for example "lint"; required to create. To update replaces the task.
    #[arg(long = "type")]
    task_type: Option<String>,
    /// What an agent must offer; by default the type.
    #[arg(long, default_value = "", requires = "task_type")]
    capability: String,
    /// Parameters as a JSON object.
    #[arg(long, default_value = "{}", requires = "task_type")]
    parameters: String,
}

/// The fields of a schedule that were given, in protobuf JSON.
fn fields(name: Option<String>, when: When, what: What) -> Result<serde_json::Map<String, Json>> {
    let policy = |kind: &str, typed: Option<String>| {
        let value = typed.map(|typed| input::value_of(&format!("reeve.task.v1.{kind}"), &typed));
        value.transpose()
    };
    let seconds = |seconds: Option<u32>| seconds.map(|seconds| format!("{seconds}s"));
    let task = match what.task_type {
        Some(kind) => {
            let parameters = input::json("--parameters", &what.parameters)?;
            json!({"type": kind, "capability": what.capability, "parameters": parameters})
        }
        None => Json::Null,
    };
    let missed = policy("MissedRunPolicy", when.missed)?;
    let overlap = policy("OverlapPolicy", when.overlap)?;
    let given = [
        ("name", json!(name)),
        ("cron", json!(when.cron)),
        ("timeZone", json!(when.zone)),
        ("startTime", json!(when.start)),
        ("endTime", json!(when.end)),
        ("jitterDuration", json!(seconds(when.jitter))),
        ("missedRunPolicy", json!(missed)),
        ("catchUpDuration", json!(seconds(when.catch_up))),
        ("catchUpLimit", json!(when.catch_up_limit)),
        ("overlapPolicy", json!(overlap)),
        ("task", task),
    ];
    let given = given.into_iter().filter(|(_, value)| !value.is_null());
    Ok(given
        .map(|(field, value)| (field.to_owned(), value))
        .collect())
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::Create {
            file,
            schedule_name,
            when,
            what,
            request_id,
        } => {
            let request: CreateScheduleRequest = match file {
                Some(file) => input::file(&file)?,
                None => {
                    let schedule = fields(schedule_name, *when, *what)?;
                    input::message(json!({"schedule": schedule, "requestId": request_id}))?
                }
            };
            let made = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                create_schedule,
                request
            );
            print(out, format, &made, "schedule", COLUMNS)
        }
        Verb::Update {
            schedule_id,
            schedule_name,
            when,
            what,
            etag,
        } => {
            let given = fields(schedule_name, *when, *what)?;
            ensure!(
                !given.is_empty(),
                input::Wrong("nothing is to be changed".to_owned())
            );
            let paths: Vec<_> = given.keys().cloned().collect();
            // A mask in JSON is one text, its paths in camelCase.
            let request: UpdateScheduleRequest = input::message(json!({
                "scheduleId": schedule_id, "schedule": given, "updateMask": paths.join(","),
                "etag": etag,
            }))?;
            let changed = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                update_schedule,
                request
            );
            print(out, format, &changed, "schedule", COLUMNS)
        }
        Verb::List { states, page } => {
            let states = input::values_of("reeve.task.v1.ScheduleState", &states)?;
            let request = input::message(json!({
                "states": states, "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                list_schedules,
                request
            );
            print(out, format, &found, "schedules", COLUMNS)
        }
        Verb::Preview {
            cron,
            zone,
            count,
            from,
        } => {
            let request = input::message(json!({
                "cron": cron, "timeZone": zone, "count": count, "startTime": from,
            }))?;
            let found = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                preview_schedule,
                request
            );
            print(out, format, &found, "occurrences", OCCURRENCES)
        }
        Verb::One(one) => of_one(session, one, out).await,
    }
}

async fn of_one(session: &Session, verb: One, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        One::Get { schedule_id } => {
            let request = input::message(json!({"scheduleId": schedule_id}))?;
            let answer = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                get_schedule,
                request
            );
            print(out, format, &answer, "schedule", COLUMNS)
        }
        One::Runs { schedule_id, page } => {
            let request = input::message(json!({
                "scheduleId": schedule_id, "pageSize": page.page_size,
                "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                list_schedule_runs,
                request
            );
            print(out, format, &found, "runs", RUNS)
        }
        One::Pause {
            schedule_id,
            reason,
        } => {
            let request = input::message(json!({"scheduleId": schedule_id, "reason": reason}))?;
            let answer = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                pause_schedule,
                request
            );
            print(out, format, &answer, "schedule", COLUMNS)
        }
        One::Resume { schedule_id } => {
            let request = input::message(json!({"scheduleId": schedule_id}))?;
            let answer = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                resume_schedule,
                request
            );
            print(out, format, &answer, "schedule", COLUMNS)
        }
        One::Trigger {
            schedule_id,
            request_id,
        } => {
            let request =
                input::message(json!({"scheduleId": schedule_id, "requestId": request_id}))?;
            let answer = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                trigger_schedule,
                request
            );
            print(out, format, &answer, "run", RUNS)
        }
        One::Delete { schedule_id } => {
            let request = input::message(json!({"scheduleId": schedule_id}))?;
            let answer = call!(
                session,
                TaskQueue,
                ScheduleServiceClient,
                delete_schedule,
                request
            );
            if format == Format::Json {
                return print(out, format, &answer, "", &[]);
            }
            Ok(writeln!(out, "deleted")?)
        }
    }
}
