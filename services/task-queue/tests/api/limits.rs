//! Limits on what runs at a time and on what is begun in a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::TimeDelta;
use reeve_contracts::task::v1::limit_service_client::LimitServiceClient;
use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{
    self as proto, Limit, LimitPer, PendingReason, SetLimitRequest, TaskSelector, TaskSpec,
    TaskState,
};
use reeve_ids::TenantId;
use reeve_status::{Code, Reason};
use reeve_testkit::{TestRedis, authorize, eventually};
use tonic::Status;
use tonic::transport::Channel;

use crate::delegations::to_agent;
use crate::harness::*;
use crate::redis_loss::Wire;

/// A limit on all tasks of the tenant.
fn at_most(name: &str, max_running: i32, per: LimitPer) -> SetLimitRequest {
    SetLimitRequest {
        name: name.to_owned(),
        selector: Some(TaskSelector {
            all: true,
            ..Default::default()
        }),
        per: per.into(),
        max_running,
        ..Default::default()
    }
}

fn rated(name: &str, tasks: i32, per_seconds: i64) -> SetLimitRequest {
    SetLimitRequest {
        rate: Some(proto::Rate {
            tasks,
            period_duration: Some(seconds(per_seconds)),
            burst_tasks: 0,
        }),
        ..at_most(name, 0, LimitPer::Tenant)
    }
}

fn on(keys: &[&str]) -> TaskSpec {
    TaskSpec {
        concurrency_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..spec("lint")
    }
}

impl World {
    pub fn limits(&self) -> LimitServiceClient<Channel> {
        LimitServiceClient::new(self.channel())
    }

    async fn try_limit(&self, request: SetLimitRequest) -> Result<Limit, Status> {
        let answer = self.limits().set_limit(self.ask(request)).await?;
        Ok(answer.into_inner().limit.expect("the answer holds it"))
    }

    async fn limit(&self, request: SetLimitRequest) -> Limit {
        self.try_limit(request).await.expect("it is set")
    }

    async fn get_limit(&self, name: &str) -> Limit {
        let name = name.to_owned();
        let request = self.ask(proto::GetLimitRequest { name });
        let answer = self.limits().get_limit(request).await;
        let limit = answer.expect("it is there").into_inner().limit;
        limit.expect("the answer holds it")
    }

    async fn unlimit(&self, name: &str, etag: &str) -> Result<Limit, Status> {
        let request = proto::DeleteLimitRequest {
            name: name.to_owned(),
            etag: etag.to_owned(),
        };
        let answer = self.limits().delete_limit(self.ask(request)).await?;
        Ok(answer.into_inner().limit.expect("the answer holds it"))
    }

    /// Value, running and throttled of each allowance of a limit.
    async fn allowances(&self, name: &str) -> Vec<(String, i32, i32)> {
        let limit = self.get_limit(name).await;
        let each = limit.allowances.into_iter();
        each.map(|of| (of.value, of.running, of.throttled))
            .collect()
    }

    async fn waits(&self, id: &str, reason: PendingReason) {
        eventually(|| async {
            let found = self.get(id).await.pending_reason();
            if found == reason {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
    }

    async fn are_in_redis(&self, count: usize) {
        eventually(|| async { self.ready_in_redis("default", "lint").await == count }).await;
    }

    /// Something in each table of limits that stays.
    pub async fn fills_every_table_of_limits(&self) {
        let agent = self.agent(&["limited"]);
        let spec = TaskSpec {
            concurrency_keys: vec!["table".to_owned()],
            ..spec("limited")
        };
        self.create_many(spec, 3).await;
        let selector = TaskSelector {
            types: vec!["limited".to_owned()],
            ..Default::default()
        };
        let request = SetLimitRequest {
            selector: Some(selector),
            ..rated("limited", 5, 86_400)
        };
        self.limit(request).await;
        assert_eq!(self.lease(agent, 3).await.len(), 1);
        let wait = PendingReason::Throttled;
        let request = proto::ListTasksRequest::default();
        eventually(|| async {
            let list = self.tasks().list_tasks(self.ask(request.clone())).await;
            let tasks = list.expect("a list").into_inner().tasks;
            tasks.iter().any(|task| task.pending_reason() == wait)
        })
        .await;
    }
}

#[tokio::test]
async fn no_more_run_than_may_and_the_rest_say_so() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.limit(at_most("all", 3, LimitPer::Tenant)).await;
    let ids = world.create_many(spec("lint"), 10).await;
    let mut leases = world.lease(agent, 10).await;
    assert_eq!(leases.len(), 3);
    world.waits(&ids[9], PendingReason::Throttled).await;
    assert!(world.lease_now(agent, 10).await.is_empty());
    assert_eq!(world.allowances("all").await, [(String::new(), 3, 7)]);
    eventually(|| async {
        let counts = world.queue("default").await.counts.expect("it has some");
        (counts.throttled, counts.in_progress + counts.assigned) == (7, 3)
    })
    .await;
    // Each end makes room for one.
    for _ in 0..7 {
        let done = leases.remove(0);
        world.complete(&done.lease_token).await.expect("it is held");
        leases.push(world.lease_one(agent).await);
    }
    for lease in leases {
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
    }
    for id in ids {
        assert_eq!(world.get(&id).await.state(), TaskState::Completed);
    }
    assert_eq!(world.allowances("all").await, []);
}

#[tokio::test]
async fn a_key_is_for_one_task_at_a_time() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let first = world.create(on(&["cluster/prod", "repo/a"])).await;
    let second = world.create(on(&["cluster/prod"])).await;
    let third = world.create(on(&["repo/a"])).await;
    let other = world.create(on(&["cluster/test"])).await;
    let free = world.create(spec("lint")).await;
    world.are_in_redis(5).await;
    let leases = world.lease(agent, 10).await;
    let mut got: Vec<_> = leases.iter().map(id_of).collect();
    got.sort_unstable();
    let mut expected = [&first.id, &other.id, &free.id];
    expected.sort_unstable();
    assert_eq!(got, expected);
    world.waits(&second.id, PendingReason::Throttled).await;
    world.waits(&third.id, PendingReason::Throttled).await;
    let held = leases.iter().find(|lease| id_of(lease) == first.id);
    world
        .fail(&held.expect("it was leased").lease_token, false)
        .await
        .expect("it is held");
    let mut next = vec![
        id_of(&world.lease_one(agent).await).to_owned(),
        id_of(&world.lease_one(agent).await).to_owned(),
    ];
    next.sort_unstable();
    assert_eq!(next, [second.id, third.id]);
    let shown = world.get(&first.id).await.spec.expect("it has one");
    assert_eq!(shown.concurrency_keys, ["cluster/prod", "repo/a"]);
}

#[tokio::test]
async fn an_agent_that_dies_leaks_no_place() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let ids = [
        world.create(on(&["cluster"])).await.id,
        world.create(on(&["cluster"])).await.id,
    ];
    let mut seen = HashMap::<String, usize>::new();
    for _ in 0..6 {
        let lease = world.lease_one(agent).await;
        *seen.entry(id_of(&lease).to_owned()).or_default() += 1;
        let other = ids
            .iter()
            .find(|id| *id != id_of(&lease))
            .expect("there are two");
        assert!(world.lease_now(agent, 9).await.is_empty());
        assert_eq!(world.get(other).await.state(), TaskState::Pending);
        // Nobody hears of the agent again.
        world.clock.advance(TimeDelta::seconds(31));
        world.reaches(id_of(&lease), TaskState::Pending).await;
    }
    for _ in 0..2 {
        let lease = world.lease_one(agent).await;
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
    }
    assert_eq!(seen.values().sum::<usize>(), 6);
}

#[tokio::test]
async fn two_replicas_do_not_exceed_it_together() {
    let world = World::start().await;
    let (replica, _) = world.replica().await;
    world.limit(at_most("all", 2, LimitPer::Queue)).await;
    world.create_many(on(&[]), 40).await;
    world.create_many(on(&["k"]), 10).await;
    let (held, most, done) = (AtomicI64::new(0), AtomicI64::new(0), AtomicI64::new(0));
    let shared = Arc::new((held, most, done));
    let workers = (0..8).map(|number| {
        let channel = if number % 2 == 0 {
            world.channel()
        } else {
            replica.channel()
        };
        let (agent, shared) = (world.agent(&["lint"]), Arc::clone(&shared));
        let key = world.admin.clone();
        async move {
            let (held, most, done) = &*shared;
            let mut work = WorkServiceClient::new(channel);
            while done.load(Ordering::SeqCst) < 50 {
                let ask = proto::LeaseTasksRequest {
                    wait_duration: Some(seconds(1)),
                    ..lease_of(agent, 5)
                };
                let answer = work.lease_tasks(authorize(&key, ask)).await;
                let leases = answer.expect("it may lease").into_inner().leases;
                let count = i64::try_from(leases.len()).expect("few");
                let now = held.fetch_add(count, Ordering::SeqCst) + count;
                most.fetch_max(now, Ordering::SeqCst);
                for lease in leases {
                    // The server ends it after this.
                    held.fetch_sub(1, Ordering::SeqCst);
                    let request = proto::CompleteTaskRequest {
                        lease_token: lease.lease_token,
                        ..Default::default()
                    };
                    let answer = work.complete_task(authorize(&key, request)).await;
                    answer.expect("it is held");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    futures::future::join_all(workers).await;
    let (_, most, done) = &*shared;
    assert_eq!(done.load(Ordering::SeqCst), 50);
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at a time");
}

#[tokio::test]
async fn a_rate_lets_go_as_time_passes() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    world.limit(rated("slow", 2, 10)).await;
    let ids = world.create_many(spec("lint"), 5).await;
    assert_eq!(world.lease(agent, 5).await.len(), 2);
    world.waits(&ids[4], PendingReason::Throttled).await;
    assert!(world.lease_now(agent, 5).await.is_empty());
    world.clock.advance(TimeDelta::seconds(5));
    assert_eq!(world.lease(agent, 5).await.len(), 1);
    // It holds no more than its burst, however long nobody came.
    world.clock.advance(TimeDelta::seconds(25));
    assert_eq!(world.lease(agent, 5).await.len(), 2);
}

#[tokio::test]
async fn what_runs_when_it_is_set_counts_and_raising_it_lets_go_at_once() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let agent = world.agent(&["lint"]);
    world.create_many(spec("lint"), 6).await;
    assert_eq!(world.lease(agent, 2).await.len(), 2);
    world.limit(at_most("all", 2, LimitPer::Tenant)).await;
    assert_eq!(world.allowances("all").await, [(String::new(), 2, 0)]);
    assert!(world.lease_now(agent, 9).await.is_empty());
    world.limit(at_most("all", 3, LimitPer::Tenant)).await;
    assert_eq!(world.lease(agent, 9).await.len(), 1);
    assert!(world.lease_now(agent, 9).await.is_empty());
    world.unlimit("all", "").await.expect("it is there");
    assert_eq!(world.lease(agent, 2).await.len(), 2);
    assert_eq!(world.lease(agent, 1).await.len(), 1);
}

#[tokio::test]
async fn a_full_limit_holds_up_nobody_else() {
    let world = World::with(&[("queue.poll_period", "1h")]).await;
    let agent = world.agent(&["lint"]);
    let selector = TaskSelector {
        types: vec!["lint".to_owned()],
        ..Default::default()
    };
    let request = SetLimitRequest {
        selector: Some(selector),
        ..at_most("lints", 1, LimitPer::Type)
    };
    world.limit(request).await;
    world.create_many(spec("lint"), 600).await;
    let free = TaskSpec {
        capability: "lint".to_owned(),
        ..spec("check")
    };
    let free = world.create(free).await;
    world.ready_queues_are_whole().await;
    let first = world.lease_one(agent).await;
    assert_ne!(id_of(&first), free.id);
    assert_eq!(id_of(&world.lease_one(agent).await), free.id);
    eventually(|| async { world.allowances("lints").await == [("lint".to_owned(), 1, 599)] }).await;
}

#[tokio::test]
async fn groups_have_an_allowance_each() {
    let world = World::start().await;
    let agent = world.agent(&["lint", "build"]);
    let of = |kind: &str, queue: &str, key: &str| TaskSpec {
        queue: queue.to_owned(),
        fairness: (!key.is_empty()).then(|| proto::Fairness {
            key: key.to_owned(),
            weight: 0.0,
        }),
        ..spec(kind)
    };
    let specs = [
        of("lint", "default", "red"),
        of("lint", "night", "red"),
        of("build", "default", "blue"),
        of("build", "night", ""),
    ];
    let cases = [
        (LimitPer::Queue, vec!["default", "night"]),
        (LimitPer::Type, vec!["build", "lint"]),
        (LimitPer::Capability, vec!["build", "lint"]),
        (LimitPer::FairnessKey, vec!["", "blue", "red"]),
        (LimitPer::Tenant, vec![""]),
    ];
    for (per, values) in cases {
        world.limit(at_most("each", 1, per)).await;
        for spec in &specs {
            world.create_many(spec.clone(), 2).await;
        }
        let mut leases = Vec::new();
        let ask = || proto::LeaseTasksRequest {
            queues: vec!["default".to_owned(), "night".to_owned()],
            wait_duration: None,
            ..lease_of(agent, 20)
        };
        while leases.len() < values.len() {
            let waiting = proto::LeaseTasksRequest {
                wait_duration: Some(seconds(20)),
                ..ask()
            };
            let more = world.lease_as(waiting).await;
            assert!(!more.is_empty(), "{per:?}: {} of {values:?}", leases.len());
            leases.extend(more);
        }
        assert!(world.lease_as(ask()).await.is_empty(), "{per:?}");
        let running: BTreeMap<_, _> = world
            .allowances("each")
            .await
            .into_iter()
            .map(|(value, running, _)| (value, running))
            .collect();
        let expected: BTreeMap<_, _> = values
            .iter()
            .map(|value| ((*value).to_owned(), 1))
            .collect();
        assert_eq!(running, expected, "{per:?}");
        world.unlimit("each", "").await.expect("it is there");
        let mut rest = 8 - leases.len();
        while !leases.is_empty() || rest > 0 {
            for lease in std::mem::take(&mut leases) {
                world
                    .complete(&lease.lease_token)
                    .await
                    .expect("it is held");
            }
            if rest > 0 {
                let waiting = proto::LeaseTasksRequest {
                    wait_duration: Some(seconds(20)),
                    ..ask()
                };
                leases = world.lease_as(waiting).await;
                rest -= leases.len();
            }
        }
    }
}

#[tokio::test]
async fn the_longest_prefix_speaks_for_a_key() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let keyed = |name: &str, prefix: &str, most| SetLimitRequest {
        key_prefix: prefix.to_owned(),
        ..at_most(name, most, LimitPer::ConcurrencyKey)
    };
    world.limit(keyed("clusters", "cluster/", 3)).await;
    world.limit(keyed("prod", "cluster/prod", 2)).await;
    for key in ["cluster/prod", "cluster/test", "repo"] {
        world.create_many(on(&[key]), 5).await;
    }
    world.are_in_redis(15).await;
    let count = |leases: &[proto::Lease]| {
        let mut counts = BTreeMap::<String, usize>::new();
        for lease in leases {
            let spec = lease.task.as_ref().and_then(|task| task.spec.clone());
            let keys = spec.expect("it has one").concurrency_keys;
            *counts.entry(keys[0].clone()).or_default() += 1;
        }
        counts
    };
    let leases = world.lease(agent, 15).await;
    let expected = [("cluster/prod", 2), ("cluster/test", 3), ("repo", 1)];
    let expected: BTreeMap<_, _> = expected.map(|(key, count)| (key.to_owned(), count)).into();
    assert_eq!(count(&leases), expected);
    // The shorter one takes over, and knows who runs.
    world.unlimit("prod", "").await.expect("it is there");
    let more = world.lease(agent, 15).await;
    assert_eq!(
        count(&more),
        BTreeMap::from([("cluster/prod".to_owned(), 1)])
    );
    // And then the 1 of every key.
    world.unlimit("clusters", "").await.expect("it is there");
    assert!(world.lease_now(agent, 15).await.is_empty());
}

#[tokio::test]
async fn a_task_keeps_its_place_in_other_hands_and_gives_it_up_with_its_offer() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["lint"]), world.agent(&["lint"]));
    world.limit(at_most("one", 1, LimitPer::Tenant)).await;
    let created = world.create(spec("lint")).await;
    let lease = world.lease_one(first).await;
    let waiting = world.create(spec("lint")).await;
    let handed = world.delegate(to_agent(&lease.lease_token, second)).await;
    handed.expect("it is handed on");
    let none = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(first, 1)
    };
    assert!(
        world.lease_as(none.clone()).await.is_empty(),
        "its place is taken"
    );
    let lease = world.lease_one(second).await;
    assert_eq!(id_of(&lease), created.id, "it needs no other place");
    world.waits(&waiting.id, PendingReason::Throttled).await;
    let handed = world
        .delegate(to_agent(&lease.lease_token, world.agent(&["lint"])))
        .await;
    handed.expect("it is handed on");
    world
        .cancel(&created.id)
        .await
        .expect("it is cancelled at once");
    assert_eq!(id_of(&world.lease_one(second).await), waiting.id);
}

#[tokio::test]
async fn who_waits_for_room_can_be_cancelled_and_survives_a_restart() {
    let mut world = World::start().await;
    let agent = world.agent(&["lint"]);
    let ids = world.create_many(on(&["k"]), 4).await;
    let first = world.lease(agent, 4).await.remove(0);
    for id in &ids[1..] {
        world.waits(id, PendingReason::Throttled).await;
    }
    let cancelled = world.cancel(&ids[1]).await.expect("it waits");
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    world.stop().await;
    world.flush_redis().await;
    world.run().await;
    world.ready_queues_are_whole().await;
    assert!(world.lease_now(agent, 4).await.is_empty());
    world
        .complete(&first.lease_token)
        .await
        .expect("it is held");
    for id in &ids[2..] {
        let lease = world.lease_one(agent).await;
        assert_eq!(id_of(&lease), id);
        world
            .complete(&lease.lease_token)
            .await
            .expect("it is held");
    }
}

#[tokio::test]
async fn it_holds_without_redis_too() {
    let redis = reeve_testkit::redis().await;
    let wire = Wire::to(&redis).await;
    let behind = TestRedis {
        url: wire.url.clone(),
        prefix: redis.prefix.clone(),
    };
    let world = World::on(behind, &[]).await;
    let agent = world.agent(&["lint"]);
    world.limit(at_most("all", 2, LimitPer::Tenant)).await;
    wire.cut();
    world.create_many(spec("lint"), 5).await;
    assert_eq!(world.lease(agent, 5).await.len(), 2);
    assert!(world.lease_now(agent, 5).await.is_empty());
    wire.mend();
    assert!(world.lease_now(agent, 5).await.is_empty());
}

#[tokio::test]
async fn a_limit_is_set_shown_changed_and_deleted() {
    let world = World::start().await;
    let set = world.limit(rated("b", 5, 60)).await;
    let rate = set.rate.expect("it has one");
    assert_eq!((rate.tasks, rate.burst_tasks), (5, 5));
    // Setting what is set changes nothing.
    assert_eq!(world.limit(rated("b", 5, 60)).await, set);
    let changed = world
        .limit(SetLimitRequest {
            reason: "quiet hours".to_owned(),
            etag: set.etag.clone(),
            ..at_most("b", 9, LimitPer::Type)
        })
        .await;
    assert_eq!((changed.max_running, changed.per()), (9, LimitPer::Type));
    assert_eq!(changed.rate, None);
    assert_eq!(changed.create_time, set.create_time);
    let stale = SetLimitRequest {
        etag: set.etag.clone(),
        ..rated("b", 1, 60)
    };
    refused(
        world.try_limit(stale).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    refused(
        world.unlimit("b", &set.etag).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    let missing = SetLimitRequest {
        etag: set.etag,
        ..rated("c", 1, 60)
    };
    refused(
        world.try_limit(missing).await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    world.limit(rated("a", 1, 60)).await;
    let list = |page_size, page_token| {
        let request = world.ask(proto::ListLimitsRequest {
            page_size,
            page_token,
        });
        let mut limits = world.limits();
        async move {
            limits
                .list_limits(request)
                .await
                .map(tonic::Response::into_inner)
        }
    };
    let page = list(1, String::new()).await.expect("a page");
    assert_eq!(page.limits[0].name, "a");
    let page = list(1, page.next_page_token).await.expect("a page");
    assert_eq!(
        (page.limits[0].name.as_str(), page.next_page_token.as_str()),
        ("b", "")
    );
    assert_eq!(world.get_limit("b").await, changed);
    assert_eq!(
        world
            .unlimit("b", &changed.etag)
            .await
            .expect("it is there"),
        changed
    );
    refused(
        world.unlimit("b", "").await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
    let events = world
        .events(|events| events.iter().any(|event| event.r#type == "limit.deleted"))
        .await;
    let ours: Vec<_> = events
        .iter()
        .filter(|event| event.resource_id == "b")
        .collect();
    let kinds: Vec<_> = ours.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(kinds, ["limit.set", "limit.set", "limit.deleted"]);
    let told = data(ours[0]);
    assert_eq!(told["rate"]["tasks"], 5.0);
    assert_eq!(
        (told["per"].as_str(), told["selector"]["queues"].is_array()),
        (Some("TENANT"), true)
    );
    // Another tenant sees none of it.
    let stranger = world.authenticator.admin(TenantId::new());
    let request = authorize(
        &stranger,
        proto::GetLimitRequest {
            name: "a".to_owned(),
        },
    );
    refused(
        world.limits().get_limit(request).await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
    let request = authorize(&stranger, proto::ListLimitsRequest::default());
    let theirs = world.limits().list_limits(request).await.expect("a list");
    assert_eq!(theirs.into_inner().limits, []);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let wrong = SetLimitRequest {
        name: "a/b".to_owned(),
        selector: None,
        per: 0,
        key_prefix: "what?".to_owned(),
        max_running: 100_001,
        rate: Some(proto::Rate {
            tasks: 0,
            period_duration: None,
            burst_tasks: -1,
        }),
        reason: "x".repeat(513),
        etag: "old".to_owned(),
    };
    let fault = refused(
        world.try_limit(wrong).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    let expected = [
        "etag",
        "key_prefix",
        "max_running",
        "name",
        "per",
        "rate.burst_tasks",
        "rate.period_duration",
        "rate.tasks",
        "reason",
        "selector",
    ];
    assert_eq!(fields(&fault), expected);
    let nothing = at_most("a", 0, LimitPer::Tenant);
    let prefixed = SetLimitRequest {
        key_prefix: "x".to_owned(),
        ..at_most("a", 1, LimitPer::Queue)
    };
    let too_long = rated("a", 1, 86_401);
    for (request, field) in [
        (nothing, "max_running"),
        (prefixed, "key_prefix"),
        (too_long, "rate.period_duration"),
    ] {
        let answer = world.try_limit(request).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), [field]);
    }
    let edge = SetLimitRequest {
        rate: Some(proto::Rate {
            tasks: 1_000_000,
            period_duration: Some(seconds(86_400)),
            burst_tasks: 1_000_000,
        }),
        ..at_most("edge", 100_000, LimitPer::Tenant)
    };
    world.limit(edge).await;
    for number in 1..100 {
        world.limit(rated(&format!("l{number}"), 1, 1)).await;
    }
    let fault = refused(
        world.try_limit(rated("more", 1, 1)).await,
        Code::ResourceExhausted,
        Reason::LimitReached,
    );
    assert!(fault.to_string().contains("100"), "{fault}");
    // One that is there may change.
    world.limit(rated("l1", 2, 1)).await;
}

#[tokio::test]
async fn a_task_has_at_most_eight_keys() {
    let world = World::start().await;
    let keys: Vec<_> = (0..9).map(|number| format!("key{number}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let create = |keys: &[&str]| {
        let request = proto::CreateTaskRequest {
            spec: Some(on(keys)),
            ..Default::default()
        };
        let mut tasks = world.tasks();
        let request = world.ask(request);
        async move { tasks.create_task(request).await }
    };
    let fault = refused(
        create(&keys).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["spec.concurrency_keys"]);
    let made = create(&keys[1..])
        .await
        .expect("it is created")
        .into_inner();
    let spec = made.task.and_then(|task| task.spec).expect("it has one");
    assert_eq!(spec.concurrency_keys, keys[1..]);
}

#[tokio::test]
async fn limits_have_permissions_of_their_own() {
    let world = World::start().await;
    let reader = world
        .authenticator
        .key(world.tenant, &["tasks.*", "queues.*", "limits.read"]);
    let request = authorize(&reader, rated("a", 1, 1));
    let answer = world.limits().set_limit(request).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let request = proto::DeleteLimitRequest::default();
    let answer = world
        .limits()
        .delete_limit(authorize(&reader, request))
        .await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
    let request = authorize(&reader, proto::ListLimitsRequest::default());
    world
        .limits()
        .list_limits(request)
        .await
        .expect("it may read");
}

#[tokio::test]
async fn a_limit_that_is_set_anew_begins_with_a_full_bucket() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let ids = world.create_many(spec("lint"), 3).await;
    for _ in 0..2 {
        world.limit(rated("daily", 1, 86_400)).await;
        assert_eq!(world.lease(agent, 3).await.len(), 1);
        world.waits(&ids[2], PendingReason::Throttled).await;
        let deleted = world.unlimit("daily", "").await;
        deleted.expect("it is deleted");
    }
}
