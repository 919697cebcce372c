//! Brakes with any selector, for an incident.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use reeve_contracts::task::v1::{
    self as proto, Brake, PendingReason, TaskSelector, TaskSpec, TaskState,
};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use sqlx::Connection as _;
use tonic::Status;

use crate::harness::*;

impl World {
    pub async fn brake(&self, name: &str, selector: TaskSelector) -> Result<Brake, Status> {
        let request = proto::PauseTasksRequest {
            name: name.to_owned(),
            selector: Some(selector),
            reason: "incident 7".to_owned(),
        };
        let answer = self.queues().pause_tasks(self.ask(request)).await?;
        Ok(answer.into_inner().brake.expect("the answer holds it"))
    }

    pub async fn lift(&self, name: &str) -> Result<Brake, Status> {
        let request = proto::ResumeTasksRequest {
            name: name.to_owned(),
            reason: "mitigated".to_owned(),
        };
        let answer = self.queues().resume_tasks(self.ask(request)).await?;
        Ok(answer.into_inner().brake.expect("the answer holds it"))
    }

    async fn brakes(&self, page_size: i32, token: &str) -> (Vec<String>, String) {
        let request = proto::ListBrakesRequest {
            page_size,
            page_token: token.to_owned(),
        };
        let answer = self.queues().list_brakes(self.ask(request)).await;
        let answer = answer.expect("a list").into_inner();
        let names = answer.brakes.into_iter().map(|brake| brake.name);
        (names.collect(), answer.next_page_token)
    }

    async fn waits_for(&self, id: &str) -> PendingReason {
        self.get(id).await.pending_reason()
    }
}

fn types(types: &[&str]) -> TaskSelector {
    TaskSelector {
        types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        ..Default::default()
    }
}

fn team(team: &str) -> HashMap<String, String> {
    HashMap::from([("team".to_owned(), team.to_owned())])
}

/// A task of this type for everybody who can build.
fn build(kind: &str) -> TaskSpec {
    TaskSpec {
        capability: "build".to_owned(),
        ..spec(kind)
    }
}

#[tokio::test]
async fn a_brake_holds_what_it_chooses_and_nothing_else() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    let agent = world.agent(&["build"]);
    let red = world
        .create(TaskSpec {
            labels: team("red"),
            ..build("deploy")
        })
        .await;
    let set = world.brake("no-deploys", types(&["deploy"])).await;
    let set = set.expect("it is set");
    assert_eq!(
        (set.name.as_str(), set.reason.as_str()),
        ("no-deploys", "incident 7")
    );
    let labels = TaskSelector {
        labels: team("red"),
        ..Default::default()
    };
    world.brake("red", labels).await.expect("it is set");
    let held = world.create(build("deploy")).await;
    assert_eq!(held.pending_reason(), PendingReason::Paused);
    let free = world.create(build("test")).await;
    assert_eq!(free.pending_reason(), PendingReason::Ready);
    assert_eq!(id_of(&world.lease_one(agent).await), free.id);
    assert!(world.lease_now(agent, 5).await.is_empty());
    world.lift("no-deploys").await.expect("it is lifted");
    assert_eq!(id_of(&world.lease_one(agent).await), held.id);
    assert_eq!(world.waits_for(&red.id).await, PendingReason::Paused);
    world.lift("red").await.expect("it is lifted");
    assert_eq!(id_of(&world.lease_one(agent).await), red.id);
}

#[tokio::test]
async fn a_capability_and_everything_can_be_braked() {
    let world = World::start().await;
    let (build_task, lint) = (
        world.create(build("x")).await,
        world.create(spec("lint")).await,
    );
    let selector = TaskSelector {
        capabilities: vec!["build".to_owned()],
        queues: vec!["default".to_owned()],
        ..Default::default()
    };
    world.brake("builders", selector).await.expect("it is set");
    assert_eq!(world.waits_for(&build_task.id).await, PendingReason::Paused);
    assert_ne!(world.waits_for(&lint.id).await, PendingReason::Paused);
    let queue = world.queue("default").await;
    assert!(!queue.paused);
    assert_eq!(queue.brake_names, ["builders"]);
    let all = TaskSelector {
        all: true,
        ..Default::default()
    };
    let set = world.brake("all", all.clone()).await.expect("it is set");
    assert_eq!(set.selector, Some(all));
    assert_eq!(world.waits_for(&lint.id).await, PendingReason::Paused);
    let queue = world.queue("default").await;
    assert!(queue.paused && queue.pause.is_none());
    assert_eq!(queue.brake_names, ["all", "builders"]);
}

#[tokio::test]
async fn many_held_tasks_are_not_met_one_by_one() {
    let world = World::with(&[
        ("queue.poll_period", "1h"),
        ("queue.reconcile_period", "1h"),
    ])
    .await;
    world.ready_queues_are_whole().await;
    let agent = world.agent(&["build"]);
    world.create_many(build("deploy"), 700).await;
    let free = world.create(build("test")).await;
    eventually(|| async { world.ready_in_redis("default", "build").await == 701 }).await;
    world
        .brake("no-deploys", types(&["deploy"]))
        .await
        .expect("it is set");
    assert_eq!(id_of(&world.lease_one(agent).await), free.id);
    eventually(|| async { world.ready_in_redis("default", "build").await == 0 }).await;
    world.lift("no-deploys").await.expect("it is lifted");
    eventually(|| async { world.ready_in_redis("default", "build").await == 700 }).await;
    assert_eq!(world.lease(agent, 1).await.len(), 1);
}

#[tokio::test]
async fn what_a_crash_left_out_comes_back_by_itself() {
    let mut world = World::start().await;
    let agent = world.agent(&["build"]);
    world
        .brake("no-deploys", types(&["deploy"]))
        .await
        .expect("it is set");
    world.create(build("deploy")).await;
    assert!(world.lease_now(agent, 1).await.is_empty());
    world.stop().await;
    // As if the process had ended right after the commit that lifted it.
    let mut connection = world.database.admin().await;
    sqlx::query("delete from task_queue.brake")
        .execute(&mut connection)
        .await
        .expect("it is lifted");
    world.run().await;
    assert_eq!(world.lease(agent, 1).await.len(), 1);
}

#[tokio::test]
async fn a_name_is_one_brake() {
    let world = World::start().await;
    let first = world.brake("b", types(&["x", "y"])).await.expect("set");
    let again = world
        .brake("b", types(&["y", "x", "y"]))
        .await
        .expect("set");
    assert_eq!(first, again);
    let answer = world.brake("b", types(&["z"])).await;
    refused(answer, Code::AlreadyExists, Reason::ResourceExists);
    let lifted = world.lift("b").await.expect("it is lifted");
    assert_eq!(lifted, first);
    refused(
        world.lift("b").await,
        Code::NotFound,
        Reason::ResourceNotFound,
    );
    let events = world
        .events(|events| events.iter().any(|event| event.r#type == "brake.lifted"))
        .await;
    let told = events.iter().filter(|event| event.resource_type == "brake");
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].r#type, "brake.set");
    assert_eq!(
        data(told[0])["selector"]["types"],
        serde_json::json!(["x", "y"])
    );
    assert_eq!(data(told[1])["reason"], "mitigated");
}

#[tokio::test]
async fn brakes_are_listed_and_pauses_are_lifted_among_them() {
    let world = World::start().await;
    world.pause("night", "").await;
    for name in ["b", "a"] {
        world.brake(name, types(&["x"])).await.expect("it is set");
    }
    let (first, token) = world.brakes(2, "").await;
    let (second, end) = world.brakes(2, &token).await;
    assert_eq!(
        (first, second),
        (
            vec!["a".to_owned(), "b".to_owned()],
            vec!["queue/night".to_owned()]
        )
    );
    assert!(end.is_empty());
    world.lift("queue/night").await.expect("it is lifted");
    assert!(!world.queue("night").await.paused);
}

#[tokio::test]
async fn a_tenant_has_so_many_brakes_and_no_more() {
    let world = World::start().await;
    for n in 0..200 {
        let set = world.brake(&format!("b{n}"), types(&["x"])).await;
        set.expect("there is room");
    }
    let answer = world.brake("more", types(&["x"])).await;
    let fault = refused(answer, Code::ResourceExhausted, Reason::LimitReached);
    assert_eq!(fault.metadata()["limit"], "200");
    world.brake("b7", types(&["x"])).await.expect("it is there");
    world.lift("b7").await.expect("it is lifted");
    world.pause("night", "").await;
}

#[tokio::test]
async fn every_wrong_field_of_a_brake_is_named() {
    let world = World::start().await;
    let wrong = TaskSelector {
        queues: vec!["a/b".to_owned()],
        types: vec!["x".to_owned(); 65],
        capabilities: vec!["ok".to_owned(), "-x".to_owned()],
        labels: HashMap::from([("?".to_owned(), "x".to_owned())]),
        all: true,
    };
    let fault = refused(
        world.brake("queue/x", wrong).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    let named = fields(&fault);
    for field in [
        "name",
        "selector",
        "selector.capabilities[1]",
        "selector.labels[\"?\"]",
        "selector.queues[0]",
        "selector.types",
    ] {
        assert!(named.contains(&field), "{field} of {named:?}");
    }
    let answer = world.brake("b", TaskSelector::default()).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["selector"]);
    let answer = world.lift("?").await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
}

#[tokio::test]
async fn a_pause_is_answered_after_the_grants_that_have_not_seen_it() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let (mut holder, mut looker) = (world.database.admin().await, world.database.admin().await);
    let mut held = holder.begin().await.expect("a transaction");
    sqlx::query("select from task_queue.task_run where task_id = $1::uuid for update")
        .bind(&created.id)
        .execute(&mut *held)
        .await
        .expect("the task is locked");
    let is_released = AtomicBool::new(false);
    let (lease, pause) = (world.lease_one(agent), async {
        // The grant has begun, does not see the pause, and cannot go on.
        let mut probe = world.database.admin().await;
        until_waits(&mut probe, "transactionid").await;
        world.pause("default", "").await;
        assert!(is_released.load(Ordering::SeqCst), "it waits for the grant");
        world.get(&created.id).await.state()
    });
    let release = async {
        until_waits(&mut looker, "advisory").await;
        is_released.store(true, Ordering::SeqCst);
        held.rollback().await.expect("the task is free");
    };
    let (lease, state, ()) = tokio::join!(lease, pause, release);
    assert_eq!(id_of(&lease), created.id);
    assert_eq!(state, TaskState::Assigned, "at the answer it was leased");
}

/// Until some transaction of the test's database waits for a lock of this kind.
async fn until_waits(connection: &mut sqlx::PgConnection, kind: &str) {
    const WAITING: &str = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
        where not l.granted and l.locktype = $1 and a.datname = current_database()";
    let probe = tokio::sync::Mutex::new(connection);
    eventually(|| async {
        let mut connection = probe.lock().await;
        let waiting = sqlx::query_scalar(WAITING).bind(kind);
        let waiting: i64 = waiting.fetch_one(&mut **connection).await.expect("locks");
        waiting > 0
    })
    .await;
}
