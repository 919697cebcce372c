//! Schedules that are to be stored.

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message as _;
use prost_types::Struct;
use reeve_contracts::task::v1 as proto;
use reeve_status::{Fault, Violations};
use sha2::{Digest as _, Sha256};

use super::{parse, parse_spec};
use crate::domain::{
    Calendar, Catalogue, MissedPolicy, OverlapPolicy, Policies, Spec, Template, Timing,
};
use crate::operations::schedule::Draft;

/// Fields that an update may change.
const FIELDS: [&str; 11] = [
    "name",
    "cron",
    "time_zone",
    "task",
    "start_time",
    "end_time",
    "jitter_duration",
    "missed_run_policy",
    "catch_up_duration",
    "catch_up_limit",
    "overlap_policy",
];
/// Those that decide when it is due.
const TIMES: [&str; 4] = ["cron", "time_zone", "start_time", "end_time"];
/// How far from its due time a task may be, where seconds do not count.
const JITTER: TimeDelta = TimeDelta::seconds(30);
const CATCH_UP: TimeDelta = TimeDelta::hours(1);
const CATCH_UP_LIMIT: i32 = 10;

/// A schedule to be created, with its request id and the digest of what was asked.
#[derive(Debug)]
pub struct Creation {
    /// What it shall be.
    pub draft: Draft,
    /// The client's request id with the digest of the call.
    pub request: Option<(String, Vec<u8>)>,
}

/// CreateSchedule.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn create(
    request: proto::CreateScheduleRequest,
    types: &Catalogue,
    now: DateTime<Utc>,
) -> Result<Creation, Fault> {
    let mut v = Violations::new();
    parse::text(&mut v, "request_id", &request.request_id, 128);
    let Some(schedule) = request.schedule else {
        v.add("schedule", "is required");
        return Err(v.into_fault());
    };
    let repeats = !request.request_id.is_empty();
    let digest = repeats.then(|| digest(&schedule));
    let draft = v.within("schedule", |v| draft(v, schedule, asked(types, now), true));
    let draft = parse::finish(v, draft)?;
    Ok(Creation {
        draft,
        request: digest.map(|digest| (request.request_id, digest)),
    })
}

/// A digest that equal schedules share. What the server sets does not count.
fn digest(schedule: &proto::Schedule) -> Vec<u8> {
    let asked = proto::Schedule {
        task: None,
        ..settable(schedule.clone())
    };
    let mut hash = Sha256::new();
    hash.update(asked.encode_to_vec());
    if let Some(task) = &schedule.task {
        hash.update(parse_spec::digest(task));
    }
    hash.finalize().to_vec()
}

/// A schedule without what is for output alone.
fn settable(schedule: proto::Schedule) -> proto::Schedule {
    proto::Schedule {
        name: schedule.name,
        cron: schedule.cron,
        time_zone: schedule.time_zone,
        task: schedule.task,
        start_time: schedule.start_time,
        end_time: schedule.end_time,
        jitter_duration: schedule.jitter_duration,
        missed_run_policy: schedule.missed_run_policy,
        catch_up_duration: schedule.catch_up_duration,
        catch_up_limit: schedule.catch_up_limit,
        overlap_policy: schedule.overlap_policy,
        ..proto::Schedule::default()
    }
}

/// A change of a schedule, to be applied to it as it is.
#[derive(Debug)]
pub struct Edit {
    /// The etag that was read.
    pub etag: Option<i32>,
    new: proto::Schedule,
    paths: Vec<String>,
    now: DateTime<Utc>,
}

/// UpdateSchedule.
///
/// # Errors
/// INVALID_ARGUMENT with every violation that needs no look at the schedule.
pub fn update(
    request: proto::UpdateScheduleRequest,
    now: DateTime<Utc>,
) -> Result<(reeve_ids::ScheduleId, Edit), Fault> {
    let mut v = Violations::new();
    let id = parse::required(&mut v, "schedule_id", &request.schedule_id);
    let etag = schedule_etag(&mut v, &request.etag);
    v.check(request.schedule.is_some(), "schedule", "is required");
    let paths = request.update_mask.unwrap_or_default().paths;
    v.check(!paths.is_empty(), "update_mask", "is required");
    for path in &paths {
        let known = FIELDS.contains(&path.as_str());
        let right = format!("must name any of {}", FIELDS.join(", "));
        v.check(known, "update_mask", right);
    }
    let id = parse::finish(v, id)?;
    let edit = Edit {
        etag,
        new: request.schedule.unwrap_or_default(),
        paths,
        now,
    };
    Ok((id, edit))
}

impl Edit {
    /// What a schedule shall be, given what it is.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with everything that is wrong with the new values, alone or together with
    /// the others.
    pub fn apply(self, is: proto::Schedule, types: &Catalogue) -> Result<Draft, Fault> {
        let (mut whole, new) = (settable(is), self.new);
        for path in &self.paths {
            match path.as_str() {
                "name" => whole.name.clone_from(&new.name),
                "cron" => whole.cron.clone_from(&new.cron),
                "time_zone" => whole.time_zone.clone_from(&new.time_zone),
                "task" => whole.task.clone_from(&new.task),
                "start_time" => whole.start_time = new.start_time,
                "end_time" => whole.end_time = new.end_time,
                "jitter_duration" => whole.jitter_duration = new.jitter_duration,
                "missed_run_policy" => whole.missed_run_policy = new.missed_run_policy,
                "catch_up_duration" => whole.catch_up_duration = new.catch_up_duration,
                "catch_up_limit" => whole.catch_up_limit = new.catch_up_limit,
                "overlap_policy" => whole.overlap_policy = new.overlap_policy,
                _ => {}
            }
        }
        // A task that stays as it is is not held against types that were changed since.
        let (any, is_new) = (Catalogue::default(), |path: &String| path == "task");
        let types = if self.paths.iter().any(is_new) {
            types
        } else {
            &any
        };
        let mut v = Violations::new();
        let timed = |path: &String| TIMES.contains(&path.as_str());
        let begins = self.paths.iter().any(timed);
        let draft = v.within("schedule", |v| {
            draft(v, whole, asked(types, self.now), begins)
        });
        parse::finish(v, draft)
    }
}

/// What a schedule shall be. One whose times are new must be due at least once.
fn draft(
    v: &mut Violations,
    schedule: proto::Schedule,
    asked: parse_spec::Asked<'_>,
    begins: bool,
) -> Option<Draft> {
    let now = asked.now;
    parse::name(v, "name", &schedule.name, 128, false);
    let timing = Timing {
        cron: schedule.cron.trim().to_owned(),
        zone: zone_name(schedule.time_zone),
        start: parse::time(v, "start_time", schedule.start_time.as_ref()),
        end: parse::time(v, "end_time", schedule.end_time.as_ref()),
    };
    let calendar = calendar(v, &timing, now);
    if let Some(calendar) = calendar.as_ref().filter(|_| begins) {
        let due = calendar.next(now).is_some();
        v.check(due, "end_time", "must come after at least one due time");
    }
    let has_seconds = calendar.as_ref().is_some_and(|c| c.line.has_seconds());
    let jitter = schedule.jitter_duration.as_ref();
    let (zero, minute, day) = (
        TimeDelta::zero(),
        TimeDelta::minutes(1),
        TimeDelta::hours(24),
    );
    let jitter = parse::duration(v, "jitter_duration", jitter, zero, day);
    let catch_up = schedule.catch_up_duration.as_ref();
    let catch_up = parse::duration(v, "catch_up_duration", catch_up, minute, day * 30);
    let limit = schedule.catch_up_limit;
    let legal = (0..=100).contains(&limit);
    v.check(legal, "catch_up_limit", "must be from 1 to 100");
    let missed = missed(v, schedule.missed_run_policy);
    let overlap = overlap(v, schedule.overlap_policy);
    let parent = schedule.task.as_ref();
    let parent = parent.and_then(|task| task.parent_task_id.parse().ok());
    let template = template(v, schedule.task, asked);
    Some(Draft {
        name: schedule.name,
        timing,
        calendar: calendar?,
        jitter: jitter.unwrap_or(if has_seconds { zero } else { JITTER }),
        policies: Policies {
            missed: missed?,
            catch_up: catch_up.unwrap_or(CATCH_UP),
            catch_up_limit: if limit == 0 { CATCH_UP_LIMIT } else { limit },
            overlap: overlap?,
        },
        template: template?,
        parent_task_id: parent,
    })
}

fn zone_name(name: String) -> String {
    if name.is_empty() {
        "UTC".to_owned()
    } else {
        name
    }
}

/// The due times of a line that is due some day, between a start and an end.
pub fn calendar(v: &mut Violations, timing: &Timing, now: DateTime<Utc>) -> Option<Calendar> {
    if let (Some(start), Some(end)) = (timing.start, timing.end) {
        v.check(start < end, "end_time", "must be after start_time");
    }
    let line = v.take("cron", timing.line());
    let zone = v.take("time_zone", timing.zone());
    let line = line?;
    let from = timing.start.map_or(now, |start| start.max(now));
    if !line.ever_fires(from) {
        v.add("cron", "never fires: no day within 50 years is one of its");
        return None;
    }
    Some(Calendar {
        line,
        zone: zone?,
        start: timing.start,
        end: timing.end,
    })
}

fn missed(v: &mut Violations, number: i32) -> Option<MissedPolicy> {
    if number == 0 {
        return Some(MissedPolicy::RunOnce);
    }
    let policy = i16::try_from(number).ok();
    let policy = policy.and_then(MissedPolicy::from_number);
    let right = "must be SKIP, RUN_ONCE or RUN_ALL";
    v.check(policy.is_some(), "missed_run_policy", right);
    policy
}

fn overlap(v: &mut Violations, number: i32) -> Option<OverlapPolicy> {
    if number == 0 {
        return Some(OverlapPolicy::Skip);
    }
    let policy = i16::try_from(number).ok();
    let policy = policy.and_then(OverlapPolicy::from_number);
    let right = "must be ALLOW, SKIP or CANCEL_PREVIOUS";
    v.check(policy.is_some(), "overlap_policy", right);
    policy
}

fn template(
    v: &mut Violations,
    task: Option<proto::TaskSpec>,
    asked: parse_spec::Asked<'_>,
) -> Option<Template> {
    let Some(mut task) = task else {
        v.add("task", "is required");
        return None;
    };
    v.within("task", |v| {
        let given = [
            ("schedule_time", task.schedule_time.is_some()),
            ("depends_on", !task.depends_on.is_empty()),
            ("origin", task.origin.is_some()),
        ];
        for (field, given) in given {
            v.check(!given, field, "must not be set in a schedule");
        }
    });
    task.schedule_time = None;
    task.depends_on.clear();
    task.origin = None;
    v.within("task", |v| parse_spec::whole(v, task.clone(), asked))?;
    let parameters = task.parameters.take();
    Some(Template {
        task: task.encode_to_vec(),
        parameters: parameters.map(|parameters| parameters.encode_to_vec()),
    })
}

fn asked(types: &Catalogue, now: DateTime<Utc>) -> parse_spec::Asked<'_> {
    parse_spec::Asked {
        types,
        now,
        by_service: false,
    }
}

/// The task of a template, as the client gave it; nothing when this version cannot read it.
pub fn task_of(template: &Template) -> Option<proto::TaskSpec> {
    let mut task = proto::TaskSpec::decode(template.task.as_slice()).ok()?;
    if let Some(parameters) = &template.parameters {
        task.parameters = Some(Struct::decode(parameters.as_slice()).ok()?);
    }
    Some(task)
}

/// What a run of a template is to do, checked as CreateTask would.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn spec_of(template: &Template, types: &Catalogue, now: DateTime<Utc>) -> Result<Spec, Fault> {
    let mut v = Violations::new();
    let Some(task) = task_of(template) else {
        v.add("task", "cannot be read by this version of the server");
        return Err(v.into_fault());
    };
    let spec = v.within("task", |v| parse_spec::whole(v, task, asked(types, now)));
    parse::finish(v, spec)
}

/// An etag of a schedule.
pub fn schedule_etag(v: &mut Violations, text: &str) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    let version = text.parse().ok();
    let right = "must be the etag of the schedule, or empty";
    v.check(version.is_some(), "etag", right);
    version
}

/// PreviewSchedule: the due times asked for.
#[derive(Debug)]
pub struct Preview {
    /// When it is due.
    pub calendar: Calendar,
    /// After which time.
    pub after: DateTime<Utc>,
    /// How many.
    pub count: usize,
}

/// PreviewSchedule.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn preview(
    request: proto::PreviewScheduleRequest,
    now: DateTime<Utc>,
) -> Result<Preview, Fault> {
    let mut v = Violations::new();
    let timing = Timing {
        cron: request.cron.trim().to_owned(),
        zone: zone_name(request.time_zone),
        start: parse::time(&mut v, "start_time", request.start_time.as_ref()),
        end: parse::time(&mut v, "end_time", request.end_time.as_ref()),
    };
    let from = timing.start.unwrap_or(now);
    let calendar = calendar(&mut v, &timing, from);
    let count = usize::try_from(request.count).ok();
    let count = count.filter(|count| *count <= 1_000);
    v.check(count.is_some(), "count", "must be from 1 to 1000");
    let calendar = parse::finish(v, calendar)?;
    let count = count.filter(|count| *count > 0).unwrap_or(10);
    let after = timing
        .start
        .map_or(now, |start| start - TimeDelta::microseconds(1));
    Ok(Preview {
        calendar,
        after,
        count,
    })
}
