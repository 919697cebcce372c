//! Queues are seen, stopped and let go.

use chrono::TimeDelta;
use reeve_clock::Clock as _;
use reeve_contracts::event::v1::Event;
use reeve_contracts::task::v1::queue_service_client::QueueServiceClient;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{self as proto, PendingReason, Queue, TaskState};
use reeve_ids::{AgentId, TenantId};
use reeve_status::{Code, Reason};
use reeve_testkit::{authorize, eventually};
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::*;

impl World {
    pub fn queues(&self) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.channel())
    }

    pub async fn pause(&self, queue: &str, reason: &str) -> Queue {
        self.try_pause(queue, reason, "").await.expect("it pauses")
    }

    async fn try_pause(&self, queue: &str, reason: &str, etag: &str) -> Result<Queue, Status> {
        let request = proto::PauseQueueRequest {
            queue: queue.to_owned(),
            reason: reason.to_owned(),
            etag: etag.to_owned(),
        };
        let answer = self.queues().pause_queue(self.ask(request)).await?;
        Ok(answer.into_inner().queue.expect("the answer holds it"))
    }

    pub async fn resume(&self, queue: &str) -> Queue {
        self.try_resume(queue, "").await.expect("it resumes")
    }

    async fn try_resume(&self, queue: &str, etag: &str) -> Result<Queue, Status> {
        let request = proto::ResumeQueueRequest {
            queue: queue.to_owned(),
            reason: "over".to_owned(),
            etag: etag.to_owned(),
        };
        let answer = self.queues().resume_queue(self.ask(request)).await?;
        Ok(answer.into_inner().queue.expect("the answer holds it"))
    }

    pub async fn queue(&self, queue: &str) -> Queue {
        let request = proto::GetQueueRequest {
            queue: queue.to_owned(),
        };
        let answer = self.queues().get_queue(self.ask(request)).await;
        let answer = answer.expect("it is there").into_inner();
        answer.queue.expect("the answer holds it")
    }

    /// What an agent gets that does not wait.
    pub async fn lease_now(&self, agent: AgentId, count: i32) -> Vec<proto::Lease> {
        let request = proto::LeaseTasksRequest {
            wait_duration: None,
            ..lease_of(agent, count)
        };
        self.lease_as(request).await
    }
}

/// Only wake-ups bring work.
const DEAF: [(&str, &str); 2] = [
    ("queue.poll_period", "1h"),
    ("queue.reconcile_period", "1h"),
];

fn of_queues(events: &[Event]) -> Vec<&Event> {
    let ours = events.iter().filter(|event| event.resource_type == "queue");
    ours.collect()
}

#[tokio::test]
async fn a_paused_queue_hands_out_nothing_and_what_is_under_way_goes_on() {
    let world = World::with(&DEAF).await;
    let agent = world.agent(&["lint"]);
    let first = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    let second = world.create(spec("lint")).await;
    let paused = world.pause("default", "the cluster burns").await;
    assert!(paused.paused);
    let pause = paused.pause.expect("its own pause");
    assert_eq!(pause.reason, "the cluster burns");
    assert!(pause.creator.is_some() && pause.create_time.is_some());
    let third = world.create(spec("lint")).await;
    assert_eq!(third.pending_reason(), PendingReason::Paused);
    assert_eq!(
        world.get(&second.id).await.pending_reason(),
        PendingReason::Paused
    );
    assert!(world.lease_now(agent, 9).await.is_empty());
    assert!(
        world.lease_now(agent, 9).await.is_empty(),
        "nor the second time"
    );
    world
        .complete(&lease.lease_token)
        .await
        .expect("what is under way goes on");
    assert_eq!(world.get(&first.id).await.state(), TaskState::Completed);
    let resumed = world.resume("default").await;
    assert!(!resumed.paused && resumed.pause.is_none());
    assert_eq!(
        world.get(&second.id).await.pending_reason(),
        PendingReason::Ready
    );
    let mut ids = Vec::new();
    while ids.len() < 2 {
        let leases = world.lease(agent, 2).await;
        ids.extend(leases.iter().map(|lease| id_of(lease).to_owned()));
    }
    assert_eq!(ids, [second.id, third.id]);
}

#[tokio::test]
async fn a_resumed_queue_wakes_who_waits_at_once_on_every_replica() {
    let world = World::with(&DEAF).await;
    let agent = world.agent(&["lint"]);
    let (there, deps) = world.replica().await;
    world.pause("default", "").await;
    let created = world.create(spec("lint")).await;
    let mut work = WorkServiceClient::new(there.channel());
    let waiting = work.lease_tasks(world.ask(lease_of(agent, 1)));
    let resume = async {
        let waits = || async { deps.metrics.render().contains("reeve_rpc_in_flight 1") };
        eventually(waits).await;
        world.resume("default").await
    };
    let (leases, _) = tokio::time::timeout(LONG, async { tokio::join!(waiting, resume) })
        .await
        .expect("the wait ends with the resumption");
    let leases = leases.expect("it may lease").into_inner().leases;
    assert_eq!(leases.iter().map(id_of).collect::<Vec<_>>(), [created.id]);
}

#[tokio::test]
async fn pausing_and_resuming_twice_changes_nothing() {
    let world = World::start().await;
    let first = world.pause("night", "first").await;
    let second = world.pause("night", "second").await;
    assert_eq!(first.pause, second.pause);
    world.resume("night").await;
    let again = world.resume("night").await;
    assert!(!again.paused);
    let events = world.events(|events| of_queues(events).len() >= 2).await;
    let told = of_queues(&events);
    let kinds: Vec<_> = told.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(kinds, ["queue.paused", "queue.resumed"]);
    assert_eq!(told[0].resource_id, "night");
    assert_eq!(data(told[0])["reason"], "first");
    assert_eq!(data(told[1])["reason"], "over");
    assert!(told[0].actor.is_some());
}

#[tokio::test]
async fn an_etag_guards_a_pause_that_nobody_saw() {
    let world = World::start().await;
    let open = world.queue("night").await;
    assert!(!open.paused && open.pause.is_none());
    let paused = world.try_pause("night", "", &open.etag).await;
    let paused = paused.expect("it is as it was seen");
    let answer = world.try_pause("night", "", &open.etag).await;
    refused(answer, Code::Aborted, Reason::EtagMismatch);
    world.resume("night").await;
    world.pause("night", "anew").await;
    let answer = world.try_resume("night", &paused.etag).await;
    let fault = refused(answer, Code::Aborted, Reason::EtagMismatch);
    let now = world.queue("night").await;
    assert!(now.paused, "it is still there");
    assert_eq!(fault.metadata()["current_etag"], now.etag);
    let resumed = world.try_resume("night", &now.etag).await;
    assert!(!resumed.expect("it is as it was seen").paused);
}

#[tokio::test]
async fn a_pause_is_its_tenants_and_its_queues_alone() {
    let world = World::start().await;
    let other = TenantId::new();
    let key = world.authenticator.admin(other);
    let stranger = world.known().add_agent(other, &["lint"]);
    let agent = world.agent(&["lint"]);
    world.pause("default", "").await;
    let create = |queue: &str| proto::CreateTaskRequest {
        spec: Some(proto::TaskSpec {
            queue: queue.to_owned(),
            ..spec("lint")
        }),
        ..Default::default()
    };
    let mut tasks = world.tasks();
    let theirs = tasks.create_task(authorize(&key, create(""))).await;
    let theirs = theirs.expect("created").into_inner().task.expect("a task");
    assert_eq!(theirs.pending_reason(), PendingReason::Ready);
    let lease = authorize(&key, lease_of(stranger, 1));
    let leases = world.work().lease_tasks(lease).await.expect("it may lease");
    assert_eq!(leases.into_inner().leases.len(), 1);
    let night = tasks.create_task(world.ask(create("night"))).await;
    let night = night.expect("created").into_inner().task.expect("a task");
    let both = proto::LeaseTasksRequest {
        queues: vec!["default".to_owned(), "night".to_owned()],
        ..lease_of(agent, 5)
    };
    let leases = world.lease_as(both).await;
    assert_eq!(leases.iter().map(id_of).collect::<Vec<_>>(), [night.id]);
    let brakes = world
        .queues()
        .list_brakes(authorize(&key, Default::default()))
        .await;
    assert!(brakes.expect("a list").into_inner().brakes.is_empty());
    let resume = proto::ResumeQueueRequest {
        queue: "default".to_owned(),
        ..Default::default()
    };
    let answer = world.queues().resume_queue(authorize(&key, resume)).await;
    answer.expect("their own is open");
    assert!(world.queue("default").await.paused);
}

#[tokio::test]
async fn a_queue_shows_what_waits_and_runs() {
    let world = World::by_test_clock(&[("queue.figures_period", "1ms")]).await;
    let agent = world.agent(&["lint"]);
    let begin = world.clock.now();
    world.create(spec("lint")).await;
    world.lease_one(agent).await;
    let ready = world.create(spec("lint")).await;
    world
        .create(proto::TaskSpec {
            depends_on: vec![ready.id.clone()],
            ..spec("lint")
        })
        .await;
    let later = reeve_wellknown::timestamp(begin + TimeDelta::days(1));
    world
        .create(proto::TaskSpec {
            schedule_time: Some(later),
            ..spec("lint")
        })
        .await;
    world.clock.advance(TimeDelta::seconds(7));
    let queue = eventually(|| async {
        let queue = world.queue("default").await;
        let counts = queue.counts.unwrap_or_default();
        if counts.ready == 1
            && counts.scheduled == 1
            && queue.oldest_ready_duration == Some(seconds(7))
        {
            Ok(queue)
        } else {
            Err(format!("{queue:?}"))
        }
    })
    .await;
    let counts = queue.counts.expect("counts");
    let expected = proto::QueueCounts {
        ready: 1,
        scheduled: 1,
        blocked: 1,
        assigned: 1,
        ..Default::default()
    };
    assert_eq!(counts, expected);
    assert_eq!(queue.oldest_ready_time, ready.ready_time);
    let paused = world.pause("default", "").await;
    let expected = proto::QueueCounts {
        ready: 0,
        paused: 1,
        ..expected
    };
    assert_eq!(paused.counts, Some(expected));
    assert_eq!(paused.oldest_ready_time, None);
}

#[tokio::test]
async fn queues_are_listed_by_name_in_pages() {
    let world = World::with(&[("queue.figures_period", "1ms")]).await;
    for queue in ["c", "a", "b"] {
        world
            .create(proto::TaskSpec {
                queue: queue.to_owned(),
                ..spec("lint")
            })
            .await;
    }
    world.pause("d", "nothing in it").await;
    let page = |page_size, token: &str| {
        let request = world.ask(proto::ListQueuesRequest {
            page_size,
            page_token: token.to_owned(),
        });
        let mut queues = world.queues();
        async move { queues.list_queues(request).await }
    };
    eventually(|| async {
        let all = page(0, "").await.expect("a list").into_inner();
        let names: Vec<_> = all.queues.iter().map(|queue| queue.name.as_str()).collect();
        names == ["a", "b", "c", "d"]
    })
    .await;
    let first = page(3, "").await.expect("a page").into_inner();
    assert_eq!(first.queues.len(), 3);
    let second = page(3, &first.next_page_token).await.expect("a page");
    let second = second.into_inner();
    assert_eq!(second.queues.len(), 1);
    assert!(second.queues[0].paused && second.next_page_token.is_empty());
    let answer = page(-1, "").await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let answer = page(0, "x").await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
}

#[tokio::test]
async fn a_paused_queue_is_not_picked_from_the_table_either() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.ready_queues_are_whole().await;
    world.pause("default", "").await;
    world.create(spec("lint")).await;
    world.flush_redis().await;
    // Until they are refilled, every look is at the table.
    assert!(world.lease_now(agent, 1).await.is_empty());
    world.ready_queues_are_whole().await;
    assert!(world.lease_now(agent, 1).await.is_empty());
    world.resume("default").await;
    assert_eq!(world.lease(agent, 1).await.len(), 1);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let long = "x".repeat(513);
    let answer = world.try_pause("a/b", &long, "7").await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["etag", "queue", "reason"]);
    let request = proto::ResumeQueueRequest {
        queue: String::new(),
        reason: long,
        etag: "closed".to_owned(),
    };
    let answer = world.queues().resume_queue(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["etag", "queue", "reason"]);
    let answer = world
        .queues()
        .get_queue(world.ask(Default::default()))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["queue"]);
    let reader = world.authenticator.key(world.tenant, &["queues.read"]);
    let request = proto::PauseQueueRequest {
        queue: "default".to_owned(),
        ..Default::default()
    };
    let answer = world
        .queues()
        .pause_queue(authorize(&reader, request))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
}

#[tokio::test]
async fn time_goes_on_for_what_is_paused() {
    let world = World::by_test_clock(&[]).await;
    world.pause("default", "").await;
    let timeouts = proto::TaskTimeouts {
        schedule_to_start_timeout: Some(seconds(60)),
        ..Default::default()
    };
    let created = world
        .create(proto::TaskSpec {
            timeouts: Some(timeouts),
            ..spec("lint")
        })
        .await;
    world.clock.advance(TimeDelta::seconds(61));
    world.reaches(&created.id, TaskState::Timeout).await;
}
