//! Schedules are created, read, changed, stopped and deleted.

use prost_types::FieldMask;
use reeve_contracts::task::v1::{MissedRunPolicy, OverlapPolicy, ScheduleState};
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;

use super::*;

pub fn update(id: &str, schedule: Schedule, paths: &[&str]) -> proto::UpdateScheduleRequest {
    proto::UpdateScheduleRequest {
        schedule_id: id.to_owned(),
        schedule: Some(schedule),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        etag: String::new(),
    }
}

pub fn pause(id: &str) -> proto::PauseScheduleRequest {
    proto::PauseScheduleRequest {
        schedule_id: id.to_owned(),
        reason: "holidays".to_owned(),
        etag: String::new(),
    }
}

pub fn resume(id: &str) -> proto::ResumeScheduleRequest {
    proto::ResumeScheduleRequest {
        schedule_id: id.to_owned(),
        ..Default::default()
    }
}

pub fn delete(id: &str) -> proto::DeleteScheduleRequest {
    proto::DeleteScheduleRequest {
        schedule_id: id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_schedule_has_sensible_defaults_and_is_read_as_created() {
    let world = world().await;
    let plain = Schedule {
        jitter_duration: None,
        overlap_policy: 0,
        ..schedule("nightly", "0 3 * * *")
    };
    let created = world.schedule(plain.clone()).await;
    assert_eq!(created.time_zone, "UTC");
    assert_eq!(created.missed_run_policy(), MissedRunPolicy::RunOnce);
    assert_eq!(created.overlap_policy(), OverlapPolicy::Skip);
    assert_eq!(created.jitter_duration, Some(seconds(30)));
    assert_eq!(created.catch_up_duration, Some(seconds(3_600)));
    assert_eq!(created.catch_up_limit, 10);
    assert_eq!(created.state(), ScheduleState::Active);
    let (due, fire) = (time(created.next_due_time), time(created.next_fire_time));
    let offset = fire.zip(due).map(|(fire, due)| fire - due);
    let within = TimeDelta::zero()..TimeDelta::seconds(30);
    assert!(offset.is_some_and(|offset| within.contains(&offset)));
    assert_eq!(world.get_schedule(&created.id).await, created);
    let on_the_second = world
        .schedule(Schedule {
            name: "by seconds".replace(' ', "-"),
            cron: "0 0 3 * * *".to_owned(),
            ..plain
        })
        .await;
    assert_eq!(on_the_second.jitter_duration, Some(seconds(0)));
}

#[tokio::test]
async fn the_parts_of_a_jitter_differ_and_stay() {
    let world = world().await;
    let mut offsets = std::collections::BTreeSet::new();
    for n in 0..8 {
        let spread = Schedule {
            jitter_duration: Some(seconds(3_600)),
            ..schedule(&format!("s{n}"), "0 3 * * *")
        };
        let created = world.schedule(spread).await;
        let (due, fire) = (time(created.next_due_time), time(created.next_fire_time));
        offsets.insert(fire.zip(due).map(|(fire, due)| fire - due));
    }
    assert!(offsets.len() > 4, "{offsets:?}");
}

#[tokio::test]
async fn a_repeat_returns_the_first_schedule_and_another_body_is_refused() {
    let world = world().await;
    let request = |schedule| proto::CreateScheduleRequest {
        schedule: Some(schedule),
        request_id: "r-1".to_owned(),
    };
    let create = |schedule| {
        let (mut client, asked) = (world.schedules(), world.ask(request(schedule)));
        async move { client.create_schedule(asked).await }
    };
    let plain = || schedule("nightly", "0 3 * * *");
    // Two at once, too.
    let (first, second) = tokio::join!(create(plain()), create(plain()));
    let id = |answer: Result<tonic::Response<proto::CreateScheduleResponse>, Status>| {
        let answer = answer.expect("created").into_inner();
        answer.schedule.expect("the answer holds it").id
    };
    let first = id(first);
    assert_eq!(first, id(second));
    assert_eq!(first, id(create(plain()).await));
    let answer = create(schedule("nightly", "0 4 * * *")).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    let answer = world.try_schedule(plain()).await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);
}

#[tokio::test]
async fn schedules_are_listed_by_name_in_pages_without_parameters() {
    let world = world().await;
    for name in ["d", "b", "a", "c"] {
        let parameters = serde_json::json!({"of": name});
        let mut schedule = schedule(name, "@daily");
        let task = schedule.task.as_mut().expect("it has one");
        task.parameters = reeve_wellknown::struct_from_json(parameters);
        let created = world.schedule(schedule).await;
        assert!(created.task.is_some_and(|task| task.parameters.is_some()));
        if name == "b" {
            let mut client = world.schedules();
            let answer = client.pause_schedule(world.ask(pause(&created.id))).await;
            answer.expect("paused");
        }
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListSchedulesRequest {
            page_size: 3,
            page_token,
            ..Default::default()
        };
        let page = world.schedules().list_schedules(world.ask(request)).await;
        let page = page.expect("a page").into_inner();
        listed.extend(page.schedules);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let bare = |one: &Schedule| one.task.as_ref().is_some_and(|t| t.parameters.is_none());
    assert!(listed.iter().all(bare));
    let request = proto::ListSchedulesRequest {
        states: vec![ScheduleState::Paused.into()],
        ..Default::default()
    };
    let paused = world.schedules().list_schedules(world.ask(request)).await;
    let paused = paused.expect("a page").into_inner().schedules;
    assert_eq!(paused.len(), 1);
    assert_eq!(paused[0].name, "b");
    let request = proto::ListSchedulesRequest {
        page_token: "nonsense".to_owned(),
        ..Default::default()
    };
    let answer = world.schedules().list_schedules(world.ask(request)).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_nothing_else() {
    let world = world().await;
    let created = world.schedule(schedule("hourly", "0 * * * *")).await;
    let new = Schedule {
        name: "renamed".to_owned(),
        overlap_policy: OverlapPolicy::Skip.into(),
        ..schedule("not used", "* * * * *")
    };
    let request = update(&created.id, new.clone(), &["name", "overlap_policy"]);
    let answer = world.schedules().update_schedule(world.ask(request)).await;
    let updated = answer.expect("updated").into_inner().schedule;
    let updated = updated.expect("the answer holds it");
    let expected = Schedule {
        name: "renamed".to_owned(),
        overlap_policy: OverlapPolicy::Skip.into(),
        etag: "2".to_owned(),
        update_time: updated.update_time,
        ..created.clone()
    };
    assert_eq!(updated, expected);
    let request = update(&created.id, new, &["cron"]);
    let stale = proto::UpdateScheduleRequest {
        etag: "1".to_owned(),
        ..request.clone()
    };
    let answer = world.schedules().update_schedule(world.ask(stale)).await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    let answer = world.schedules().update_schedule(world.ask(request)).await;
    let updated = answer.expect("updated").into_inner().schedule;
    let next = time(updated.expect("the answer holds it").next_due_time);
    assert_eq!(next, Some(world.clock.now() + TimeDelta::minutes(1)));
    world.schedule(schedule("taken", "@daily")).await;
    let request = update(&created.id, schedule("taken", ""), &["name"]);
    let answer = world.schedules().update_schedule(world.ask(request)).await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);
}

#[tokio::test]
async fn a_later_end_lets_an_ended_schedule_go_on() {
    let world = world().await;
    let start = world.clock.now();
    let end = |minutes| {
        Some(reeve_wellknown::timestamp(
            start + TimeDelta::minutes(minutes),
        ))
    };
    let short = Schedule {
        end_time: end(11),
        ..schedule("short", "*/10 * * * *")
    };
    let created = world.schedule(short.clone()).await;
    world.later(TimeDelta::minutes(10));
    let ended = world.is_handled(&created.id).await;
    assert_eq!(ended.state(), ScheduleState::Ended);
    assert_eq!(ended.run_count, 1);
    world.later(TimeDelta::minutes(10));
    let longer = Schedule {
        end_time: end(60),
        ..short
    };
    let request = update(&created.id, longer, &["end_time"]);
    let answer = world.schedules().update_schedule(world.ask(request)).await;
    let goes_on = answer.expect("updated").into_inner().schedule;
    let goes_on = goes_on.expect("the answer holds it");
    assert_eq!(goes_on.state(), ScheduleState::Active);
    assert_eq!(
        time(goes_on.next_due_time),
        Some(start + TimeDelta::minutes(30))
    );
}

#[tokio::test]
async fn a_paused_schedule_does_not_fire_and_has_missed_nothing() {
    let world = world().await;
    let created = world.schedule(schedule("often", "*/10 * * * *")).await;
    let mut client = world.schedules();
    for _ in 0..2 {
        let answer = client.pause_schedule(world.ask(pause(&created.id))).await;
        let paused = answer.expect("paused").into_inner().schedule;
        let paused = paused.expect("the answer holds it");
        assert_eq!(paused.state(), ScheduleState::Paused);
        assert_eq!(
            (paused.pause_reason.as_str(), paused.etag.as_str()),
            ("holidays", "2")
        );
        assert_eq!(paused.next_due_time, None);
    }
    world.later(TimeDelta::minutes(35));
    for _ in 0..2 {
        let answer = client.resume_schedule(world.ask(resume(&created.id))).await;
        let resumed = answer.expect("resumed").into_inner().schedule;
        let resumed = resumed.expect("the answer holds it");
        assert_eq!(
            (resumed.state(), resumed.etag.as_str()),
            (ScheduleState::Active, "3")
        );
        assert!(resumed.pause_reason.is_empty());
        let next = world.clock.now() + TimeDelta::minutes(5);
        assert_eq!(time(resumed.next_due_time), Some(next));
    }
    let due = world.later(TimeDelta::minutes(5));
    world.is_handled(&created.id).await;
    let runs = story(&world.runs(&created.id).await);
    assert_eq!(runs, [(due, ScheduleRunOutcome::Created, 1)]);
}

#[tokio::test]
async fn a_deleted_schedule_is_gone_and_its_tasks_stay() {
    let world = world().await;
    let created = world.schedule(schedule("often", "*/10 * * * *")).await;
    world.later(TimeDelta::minutes(10));
    world.is_handled(&created.id).await;
    let mut client = world.schedules();
    client
        .delete_schedule(world.ask(delete(&created.id)))
        .await
        .expect("deleted");
    let answer = client.delete_schedule(world.ask(delete(&created.id))).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    assert_eq!(world.tasks_of(&created.id).await.len(), 1);
    world.schedule(schedule("often", "@daily")).await;
    let ended = |events: &[reeve_contracts::event::v1::Event]| {
        events
            .iter()
            .any(|event| event.r#type == "schedule.deleted")
    };
    let kinds: Vec<_> = world.events(ended).await;
    let own = kinds.iter().filter(|event| event.resource_id == created.id);
    let own: Vec<_> = own.map(|event| event.r#type.as_str()).collect();
    assert_eq!(
        own,
        ["schedule.created", "schedule.fired", "schedule.deleted"]
    );
}

#[tokio::test]
async fn another_tenant_sees_and_changes_nothing() {
    let world = world().await;
    let key = world.authenticator.admin(TenantId::new());
    let created = world.schedule(schedule("nightly", "@daily")).await;
    let id = created.id.as_str();
    let mut client = world.schedules();
    let not_found = (Code::NotFound, Reason::ResourceNotFound);
    let get = proto::GetScheduleRequest {
        schedule_id: id.to_owned(),
    };
    let answer = client.get_schedule(authorize(&key, get)).await;
    refused(answer, not_found.0, not_found.1);
    let request = update(id, schedule("x", "@daily"), &["name"]);
    let answer = client.update_schedule(authorize(&key, request)).await;
    refused(answer, not_found.0, not_found.1);
    let answer = client.pause_schedule(authorize(&key, pause(id))).await;
    refused(answer, not_found.0, not_found.1);
    let answer = client.resume_schedule(authorize(&key, resume(id))).await;
    refused(answer, not_found.0, not_found.1);
    let answer = client.delete_schedule(authorize(&key, delete(id))).await;
    refused(answer, not_found.0, not_found.1);
    let trigger = proto::TriggerScheduleRequest {
        schedule_id: id.to_owned(),
        ..Default::default()
    };
    let answer = client.trigger_schedule(authorize(&key, trigger)).await;
    refused(answer, not_found.0, not_found.1);
    let runs = proto::ListScheduleRunsRequest {
        schedule_id: id.to_owned(),
        ..Default::default()
    };
    let answer = client.list_schedule_runs(authorize(&key, runs)).await;
    refused(answer, not_found.0, not_found.1);
    let listed = client
        .list_schedules(authorize(&key, Default::default()))
        .await;
    assert!(listed.expect("a list").into_inner().schedules.is_empty());
    // Their names and request ids are their own.
    let request = proto::CreateScheduleRequest {
        schedule: Some(schedule("nightly", "@daily")),
        request_id: String::new(),
    };
    let theirs = client.create_schedule(authorize(&key, request)).await;
    theirs.expect("created");
    assert_eq!(world.get_schedule(id).await, created);
}

#[tokio::test]
async fn a_preview_says_when_a_line_is_due_and_stores_nothing() {
    let world = world().await;
    let request = proto::PreviewScheduleRequest {
        cron: "30 2 * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        start_time: Some(reeve_wellknown::timestamp(utc("2027-03-27 01:30:00"))),
        count: 3,
        ..Default::default()
    };
    let preview = |request| {
        let (mut client, asked) = (world.schedules(), world.ask(request));
        async move {
            let answer = client.preview_schedule(asked).await.expect("a preview");
            let of = |one: proto::ScheduleOccurrence| one.local_time;
            answer
                .into_inner()
                .occurrences
                .into_iter()
                .map(of)
                .collect::<Vec<_>>()
        }
    };
    let expected = [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ];
    assert_eq!(preview(request.clone()).await, expected);
    let ends = proto::PreviewScheduleRequest {
        end_time: Some(reeve_wellknown::timestamp(utc("2027-03-28 01:00:00"))),
        count: 0,
        ..request
    };
    assert_eq!(preview(ends).await, expected[..1]);
    let from_now = proto::PreviewScheduleRequest {
        cron: "@hourly".to_owned(),
        ..Default::default()
    };
    assert_eq!(preview(from_now).await.len(), 10);
    assert!(world.all_schedules().await.is_empty());
}
