//! What is wrong is named, all of it, and changes nothing.

use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use super::crud::{delete, pause, resume, update};
use super::*;

async fn wrong(world: &World, schedule: Schedule) -> Vec<String> {
    let answer = world.try_schedule(schedule).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    fields(&fault).into_iter().map(str::to_owned).collect()
}

async fn nothing_is_stored(world: &World) {
    let listed = world.all_schedules().await;
    assert!(listed.is_empty(), "{listed:?}");
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let world = world().await;
    let now = reeve_wellknown::timestamp(world.clock.now());
    let origin = proto::TaskOrigin {
        kind: "schedule".to_owned(),
        resource_id: "x".to_owned(),
        ..Default::default()
    };
    let all_wrong = Schedule {
        name: "a name with blanks".to_owned(),
        cron: "61 * * * *".to_owned(),
        time_zone: "Mars/Base".to_owned(),
        task: Some(proto::TaskSpec {
            priority: 9,
            schedule_time: Some(now),
            depends_on: vec!["x".to_owned()],
            origin: Some(origin),
            ..spec("")
        }),
        start_time: Some(now),
        end_time: Some(now),
        jitter_duration: Some(seconds(86_401)),
        missed_run_policy: 9,
        catch_up_duration: Some(seconds(59)),
        catch_up_limit: 101,
        overlap_policy: 9,
        ..Default::default()
    };
    let expected = [
        "schedule.catch_up_duration",
        "schedule.catch_up_limit",
        "schedule.cron",
        "schedule.end_time",
        "schedule.jitter_duration",
        "schedule.missed_run_policy",
        "schedule.name",
        "schedule.overlap_policy",
        "schedule.task.depends_on",
        "schedule.task.origin",
        "schedule.task.priority",
        "schedule.task.schedule_time",
        "schedule.task.type",
        "schedule.time_zone",
    ];
    assert_eq!(wrong(&world, all_wrong).await, expected);
    let empty = ["schedule.cron", "schedule.name", "schedule.task"];
    assert_eq!(wrong(&world, Schedule::default()).await, empty);
    let request = proto::CreateScheduleRequest {
        schedule: None,
        request_id: "x".repeat(129),
    };
    let answer = world.schedules().create_schedule(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["request_id", "schedule"]);
    nothing_is_stored(&world).await;
}

#[tokio::test]
async fn a_line_that_never_fires_is_refused() {
    let world = world().await;
    for cron in ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 1 * +SUN#2"] {
        let fields = wrong(&world, schedule("never", cron)).await;
        assert_eq!(fields, ["schedule.cron"], "{cron}");
        let preview = proto::PreviewScheduleRequest {
            cron: cron.to_owned(),
            ..Default::default()
        };
        let answer = world.schedules().preview_schedule(world.ask(preview)).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert!(fault.violations()[0].description.contains("never fires"));
    }
    let over = Schedule {
        end_time: Some(reeve_wellknown::timestamp(
            world.clock.now() + TimeDelta::minutes(30),
        )),
        ..schedule("over", "0 * * * *")
    };
    assert_eq!(wrong(&world, over).await, ["schedule.end_time"]);
    nothing_is_stored(&world).await;
}

#[tokio::test]
async fn bounds_hold_at_their_edges() {
    let world = world().await;
    let widest = Schedule {
        name: "n".repeat(128),
        jitter_duration: Some(seconds(86_400)),
        catch_up_duration: Some(seconds(30 * 86_400)),
        catch_up_limit: 100,
        ..schedule("", &format!("{} * * * *", vec!["01"; 82].join(",")))
    };
    world.schedule(widest).await;
    let least = Schedule {
        jitter_duration: Some(seconds(0)),
        catch_up_duration: Some(seconds(60)),
        catch_up_limit: 1,
        ..schedule("n", "* * * * * *")
    };
    world.schedule(least).await;
    let long = Schedule {
        name: "n".repeat(129),
        catch_up_limit: -1,
        jitter_duration: Some(seconds(-1)),
        ..schedule("", &format!("{} * * * *", vec!["01"; 85].join(",")))
    };
    let expected = [
        "schedule.catch_up_limit",
        "schedule.cron",
        "schedule.jitter_duration",
        "schedule.name",
    ];
    assert_eq!(wrong(&world, long).await, expected);
}

#[tokio::test]
async fn an_update_is_checked_as_a_whole_and_changes_nothing_when_wrong() {
    let world = world().await;
    let created = world.schedule(schedule("hourly", "0 * * * *")).await;
    let id = created.id.as_str();
    let mut client = world.schedules();
    let new = Schedule {
        cron: "0 0 30 2 *".to_owned(),
        time_zone: "nowhere".to_owned(),
        task: None,
        ..Default::default()
    };
    let request = update(id, new.clone(), &["cron", "time_zone", "task"]);
    let answer = client.update_schedule(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = ["schedule.cron", "schedule.task", "schedule.time_zone"];
    assert_eq!(fields(&fault), expected);
    let request = proto::UpdateScheduleRequest {
        schedule: None,
        etag: "x".to_owned(),
        ..update("x", new, &["id", "state"])
    };
    let answer = client.update_schedule(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "etag",
        "schedule",
        "schedule_id",
        "update_mask",
        "update_mask",
    ];
    assert_eq!(fields(&fault), expected);
    let answer = client.update_schedule(world.ask(update(id, created.clone(), &[])));
    let fault = refused(
        answer.await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["update_mask"]);
    assert_eq!(world.get_schedule(id).await, created);
}

#[tokio::test]
async fn malformed_ids_sizes_and_etags_are_named() {
    let world = world().await;
    let mut client = world.schedules();
    let named = |answer: Result<(), Status>, expected: &[&str]| {
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), expected);
    };
    let get = proto::GetScheduleRequest {
        schedule_id: "x".to_owned(),
    };
    let answer = client.get_schedule(world.ask(get)).await;
    named(answer.map(drop), &["schedule_id"]);
    let request = proto::PauseScheduleRequest {
        reason: "r".repeat(513),
        etag: "x".to_owned(),
        ..pause("x")
    };
    let answer = client.pause_schedule(world.ask(request)).await;
    named(answer.map(drop), &["etag", "reason", "schedule_id"]);
    let request = proto::ResumeScheduleRequest {
        etag: "x".to_owned(),
        ..resume("x")
    };
    let answer = client.resume_schedule(world.ask(request)).await;
    named(answer.map(drop), &["etag", "schedule_id"]);
    let request = proto::DeleteScheduleRequest {
        etag: "x".to_owned(),
        ..delete("x")
    };
    let answer = client.delete_schedule(world.ask(request)).await;
    named(answer.map(drop), &["etag", "schedule_id"]);
    let request = proto::TriggerScheduleRequest {
        schedule_id: "x".to_owned(),
        request_id: "r".repeat(129),
    };
    let answer = client.trigger_schedule(world.ask(request)).await;
    named(answer.map(drop), &["request_id", "schedule_id"]);
    let request = proto::ListScheduleRunsRequest {
        schedule_id: "x".to_owned(),
        page_size: -1,
        ..Default::default()
    };
    let answer = client.list_schedule_runs(world.ask(request)).await;
    named(answer.map(drop), &["page_size", "schedule_id"]);
    let request = proto::ListSchedulesRequest {
        states: vec![9],
        page_size: -1,
        ..Default::default()
    };
    let answer = client.list_schedules(world.ask(request)).await;
    named(answer.map(drop), &["page_size", "states[0]"]);
    let request = proto::PreviewScheduleRequest {
        cron: "x".to_owned(),
        time_zone: "x".to_owned(),
        count: 1_001,
        ..Default::default()
    };
    let answer = client.preview_schedule(world.ask(request)).await;
    named(answer.map(drop), &["count", "cron", "time_zone"]);
    let missing = reeve_ids::ScheduleId::new().to_string();
    let answer = client.resume_schedule(world.ask(resume(&missing))).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn a_tenant_has_at_most_a_thousand_schedules() {
    let world = world().await;
    let first = world.schedule(schedule("first", "@daily")).await;
    let fill = "insert into schedule (
            id, tenant_id, version, name, cron, time_zone, jitter_ms, missed, catch_up_ms,
            catch_up_limit, overlap, task, paused, pause_reason, runs, creator_kind,
            creator_subject, creator_name, create_time, update_time)
        select gen_random_uuid(), tenant_id, 1, 's' || n, cron, time_zone, 0, 1, 1, 1, 1, task, true,
            '', 0, 1, '', '', now(), now()
        from schedule, generate_series(1, 998) n";
    assert_eq!(world.tamper(fill).await, 998);
    let last = world.schedule(schedule("last", "@daily")).await;
    let answer = world.try_schedule(schedule("more", "@daily")).await;
    let fault = refused(answer, Code::ResourceExhausted, Reason::LimitReached);
    assert_eq!(fault.quotas().len(), 1);
    assert_eq!(
        fault.metadata().get("limit").map(String::as_str),
        Some("1000")
    );
    let mut client = world.schedules();
    let gone = client.delete_schedule(world.ask(delete(&last.id))).await;
    gone.expect("deleted");
    world.schedule(schedule("more", "@daily")).await;
    assert_eq!(world.get_schedule(&first.id).await, first);
}

#[tokio::test]
async fn each_call_needs_its_own_permission() {
    let world = world().await;
    let created = world.schedule(schedule("nightly", "@daily")).await;
    let id = created.id.as_str();
    let mut client = world.schedules();
    // Creating tasks by schedules is granted apart from creating tasks.
    let key = ["tasks.*", "schedules.read"];
    let key = world.authenticator.key(world.tenant, &key);
    let denied = |answer: Result<(), Status>| {
        refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    };
    let request = proto::CreateScheduleRequest {
        schedule: Some(schedule("other", "@daily")),
        ..Default::default()
    };
    let answer = client.create_schedule(authorize(&key, request)).await;
    denied(answer.map(drop));
    let request = update(id, schedule("other", ""), &["name"]);
    let answer = client.update_schedule(authorize(&key, request)).await;
    denied(answer.map(drop));
    let answer = client.pause_schedule(authorize(&key, pause(id))).await;
    denied(answer.map(drop));
    let answer = client.resume_schedule(authorize(&key, resume(id))).await;
    denied(answer.map(drop));
    let answer = client.delete_schedule(authorize(&key, delete(id))).await;
    denied(answer.map(drop));
    let request = proto::TriggerScheduleRequest {
        schedule_id: id.to_owned(),
        ..Default::default()
    };
    let answer = client.trigger_schedule(authorize(&key, request)).await;
    denied(answer.map(drop));
    let listed = client.list_schedules(authorize(&key, Default::default()));
    let listed = listed.await.expect("it may read").into_inner().schedules;
    assert_eq!(listed, [created]);
}

#[tokio::test]
async fn a_page_ends_before_it_outgrows_a_message() {
    let world = world().await;
    let mut wordy = schedule("wordy", "@daily");
    wordy.task.as_mut().expect("it has one").description = "w".repeat(16_384);
    world.schedule(wordy).await;
    let copies = "insert into schedule (
            id, tenant_id, version, name, cron, time_zone, jitter_ms, missed, catch_up_ms,
            catch_up_limit, overlap, task, paused, pause_reason, runs, creator_kind,
            creator_subject, creator_name, create_time, update_time)
        select gen_random_uuid(), tenant_id, 1, 's' || n, cron, time_zone, 0, 1, 1, 1, 1, task, true,
            '', 0, 1, '', '', now(), now()
        from schedule, generate_series(1, 299) n";
    assert_eq!(world.tamper(copies).await, 299);
    let (mut pages, mut names, mut page_token) = (0, Vec::new(), String::new());
    loop {
        let request = proto::ListSchedulesRequest {
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let mut client = world.schedules();
        let page = client.list_schedules(world.ask(request)).await;
        let page = page.expect("it fits").into_inner();
        names.extend(page.schedules.into_iter().map(|one| one.name));
        (pages, page_token) = (pages + 1, page.next_page_token);
        if page_token.is_empty() {
            break;
        }
    }
    assert!(pages > 1, "300 of 16 KiB are more than a message holds");
    assert!(names.is_sorted());
    names.dedup();
    assert_eq!(names.len(), 300);
}

#[tokio::test]
async fn a_parent_must_exist() {
    let world = world().await;
    let part_of = |id: &str| proto::Schedule {
        task: Some(proto::TaskSpec {
            parent_task_id: id.to_owned(),
            ..spec("lint")
        }),
        ..schedule("nightly", "@daily")
    };
    let nobody = reeve_ids::TaskId::new().to_string();
    let fault = refused(
        world.try_schedule(part_of(&nobody)).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["schedule.task.parent_task_id"]);
    let parent = world.create(spec("lint")).await;
    let created = world.schedule(part_of(&parent.id)).await;
    let update = update(&created.id, part_of(&nobody), &["task"]);
    let answer = world.schedules().update_schedule(world.ask(update)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["schedule.task.parent_task_id"]);
}
