//! Which agents a task is given to, and what it says when there is none.

use std::collections::HashMap;

use reeve_contracts::agent::v1::Capability;
use reeve_contracts::task::v1::{
    self as proto, EligibilityTerm, PendingReason, TaskIneligibility, TaskSpec,
};
use reeve_ids::AgentId;
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use serde_json::json;

use crate::harness::*;

/// An agent that lints in a version and a region, of a team.
pub fn linter(world: &World, version: &str, region: &str, team: &str) -> AgentId {
    let id = world.agent(&[]);
    alter(world, id, version, region);
    world.known().change(world.tenant, id, |agent| {
        agent.labels = HashMap::from([("team".to_owned(), team.to_owned())]);
    });
    id
}

pub fn alter(world: &World, id: AgentId, version: &str, region: &str) {
    let attributes = json!({"region": region, "languages": ["rust", "go"], "gpus": 2});
    world.known().change(world.tenant, id, |agent| {
        agent.capabilities = vec![Capability {
            name: "lint".to_owned(),
            version: version.to_owned(),
            attributes: reeve_wellknown::struct_from_json(attributes),
        }];
    });
}

pub fn wanting(range: &str, attributes: &[(&str, &str)], labels: &[(&str, &str)]) -> TaskSpec {
    let map = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    TaskSpec {
        requirement: Some(proto::CapabilityRequirement {
            version_range: range.to_owned(),
            attributes: map(attributes),
            agent_labels: map(labels),
        }),
        ..spec("lint")
    }
}

/// A lease if there is one now.
pub async fn try_lease(world: &World, agent: AgentId) -> Option<proto::Lease> {
    let request = proto::LeaseTasksRequest {
        wait_duration: None,
        ..lease_of(agent, 1)
    };
    world.lease_as(request).await.into_iter().next()
}

/// Why nobody may be given a task, once that is so at this term.
pub async fn lacks(world: &World, id: &str, term: EligibilityTerm) -> TaskIneligibility {
    eventually(|| async {
        let task = world.get(id).await;
        let reason = task.pending_reason();
        let found = task
            .ineligibility
            .clone()
            .filter(|why| why.term() == term && reason == PendingReason::NoEligibleAgent);
        found.ok_or_else(|| format!("{reason:?}, {:?}", task.ineligibility))
    })
    .await
}

pub fn counts(why: &TaskIneligibility) -> Vec<(EligibilityTerm, i32)> {
    let counts = why.counts.iter();
    counts.map(|count| (count.term(), count.agents)).collect()
}

#[tokio::test]
async fn a_task_goes_to_an_agent_with_the_version_the_attributes_and_the_labels() {
    let world = World::start().await;
    let old = linter(&world, "1.4.0", "eu", "red");
    let far = linter(&world, "2.1.0", "us", "red");
    let right = linter(&world, "2.0.3", "eu", "blue");
    let wants = wanting(
        ">=2, <3",
        &[("region", "eu"), ("languages", "go"), ("gpus", "2")],
        &[("team", "blue")],
    );
    let created = world.create(wants).await;
    let spec = created.spec.as_ref().expect("it has a spec");
    let requirement = spec.requirement.as_ref().expect("it has a requirement");
    assert_eq!(requirement.version_range, ">=2, <3");
    assert_eq!(requirement.attributes["languages"], "go");
    eventually(|| async { world.get(&created.id).await.pending_reason() == PendingReason::Ready })
        .await;
    assert!(try_lease(&world, old).await.is_none());
    assert!(try_lease(&world, far).await.is_none());
    let lease = world.lease_one(right).await;
    assert_eq!(id_of(&lease), created.id);
    world
        .complete(&lease.lease_token)
        .await
        .expect("it completes");
    let done = world.get(&created.id).await;
    assert_eq!(done.attempts[0].capability_version, "2.0.3");
    let assigned = |events: &[reeve_contracts::event::v1::Event]| {
        events.iter().any(|event| event.r#type == "task.assigned")
    };
    let events = world.events(assigned).await;
    let event = events.iter().find(|event| event.r#type == "task.assigned");
    let data = data(event.expect("just found"));
    assert_eq!(data["capability_version"], "2.0.3");
}

#[tokio::test]
async fn an_agent_that_waits_hears_of_a_wish_that_nobody_had_before() {
    let world = World::with(&[("queue.poll_period", "1h")]).await;
    let agent = linter(&world, "2.0.0", "eu", "red");
    let create = async {
        eventually(|| world.waits_for_lease()).await;
        world.create(wanting("^2", &[], &[])).await
    };
    let (lease, created) = futures::join!(world.lease_one(agent), create);
    assert_eq!(id_of(&lease), created.id);
}

#[tokio::test]
async fn an_agent_that_waits_hears_on_another_replica() {
    let world = World::with(&[("queue.poll_period", "1h")]).await;
    let (replica, deps) = world.replica().await;
    let agent = linter(&world, "2.0.0", "eu", "red");
    let mut work = proto::work_service_client::WorkServiceClient::new(replica.channel());
    let lease = async {
        let answer = work.lease_tasks(world.ask(lease_of(agent, 1))).await;
        answer.expect("it may lease").into_inner().leases.remove(0)
    };
    let create = async {
        eventually(|| async { deps.metrics.render().contains("reeve_rpc_in_flight 1") }).await;
        world.create(wanting("^2", &[], &[])).await
    };
    let (lease, created) = futures::join!(lease, create);
    assert_eq!(id_of(&lease), created.id);
    replica.stop().await;
}

#[tokio::test]
async fn a_new_version_takes_what_the_old_could_not() {
    let settings = [("queue.poll_period", "1h"), ("queue.agent_memory", "1h")];
    let world = World::with(&settings).await;
    let agent = linter(&world, "1.0.0", "eu", "red");
    let created = world.create(wanting("^2", &[], &[])).await;
    let why = lacks(&world, &created.id, EligibilityTerm::Version).await;
    assert_eq!(counts(&why), [(EligibilityTerm::Version, 1)]);
    assert!(why.sentence.contains("1.0.0"), "{}", why.sentence);
    let upgrade = async {
        eventually(|| world.waits_for_lease()).await;
        alter(&world, agent, "2.0.0", "eu");
    };
    let (lease, ()) = futures::join!(world.lease_one(agent), upgrade);
    assert_eq!(id_of(&lease), created.id);
}

#[tokio::test]
async fn a_task_says_at_which_term_agents_fall() {
    let world = World::start().await;
    let wants = wanting("^2", &[("region", "eu")], &[("team", "red")]);
    let created = world.create(wants).await;
    let term = |term| lacks(&world, &created.id, term);
    let nobody = term(EligibilityTerm::Capability).await;
    assert_eq!(counts(&nobody), []);
    world.agent(&["test"]);
    let agent = linter(&world, "1.0.0", "us", "blue");
    let why = term(EligibilityTerm::Version).await;
    let both = [
        (EligibilityTerm::Capability, 1),
        (EligibilityTerm::Version, 1),
    ];
    assert_eq!(counts(&why), both);
    alter(&world, agent, "2.0.0", "us");
    term(EligibilityTerm::Attribute).await;
    alter(&world, agent, "2.0.0", "eu");
    let why = term(EligibilityTerm::AgentLabel).await;
    assert!(why.sentence.contains("team=\"red\""), "{}", why.sentence);
    world.known().change(world.tenant, agent, |agent| {
        agent.labels = HashMap::from([("team".to_owned(), "red".to_owned())]);
        agent.set_state(reeve_contracts::agent::v1::AgentState::Draining);
    });
    let why = term(EligibilityTerm::AgentState).await;
    assert!(why.sentence.contains("DRAINING"), "{}", why.sentence);
    let list = world
        .tasks()
        .list_tasks(world.ask(Default::default()))
        .await;
    let tasks = list.expect("a list").into_inner().tasks;
    assert_eq!(tasks[0].ineligibility, Some(why));
    world
        .known()
        .hangs
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let unknown = || async {
        let task = world.get(&created.id).await;
        task.pending_reason() == PendingReason::Ready && task.ineligibility.is_none()
    };
    eventually(unknown).await;
}

#[tokio::test]
async fn a_tenant_has_room_for_so_many_wishes() {
    let world = World::start().await;
    let request = |number: usize| proto::CreateTaskRequest {
        spec: Some(wanting(&format!("={number}"), &[], &[])),
        request_id: format!("wish-{number}"),
        ..Default::default()
    };
    let full = proto::BatchCreateTasksRequest {
        requests: (0..200).map(request).collect(),
    };
    let answer = world.tasks().batch_create_tasks(world.ask(full)).await;
    let ids = answer.expect("there is room").into_inner().task_ids;
    let answer = world.tasks().create_task(world.ask(request(200))).await;
    let fault = refused(answer, Code::ResourceExhausted, Reason::LimitReached);
    assert_eq!(fault.metadata()["limit"], "200");
    let answer = world.tasks().create_task(world.ask(request(7))).await;
    let repeat = answer.expect("a repeat").into_inner().task;
    assert_eq!(repeat.map(|task| task.id), Some(ids[7].clone()));
    world.create(wanting("=7", &[], &[])).await;
    world.create(spec("lint")).await;
}

#[tokio::test]
async fn a_schedule_creates_what_asks_for_more() {
    let world = World::start().await;
    let agent = linter(&world, "2.0.0", "eu", "red");
    let schedule = proto::Schedule {
        name: "nightly".to_owned(),
        cron: "0 0 1 1 *".to_owned(),
        task: Some(wanting("^2", &[], &[])),
        ..Default::default()
    };
    let request = proto::CreateScheduleRequest {
        schedule: Some(schedule),
        ..Default::default()
    };
    let mut schedules = proto::schedule_service_client::ScheduleServiceClient::new(world.channel());
    let answer = schedules.create_schedule(world.ask(request)).await;
    let made = answer.expect("it is created").into_inner().schedule;
    let request = proto::TriggerScheduleRequest {
        schedule_id: made.expect("the answer holds it").id,
        ..Default::default()
    };
    let answer = schedules.trigger_schedule(world.ask(request)).await;
    answer.expect("it fires");
    let lease = world.lease_one(agent).await;
    let spec = lease.task.and_then(|task| task.spec).expect("a spec");
    assert!(spec.requirement.is_some());
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_forgotten() {
    let mut world = World::by_test_clock(&[]).await;
    let gone = world.create(wanting("^2", &[], &[])).await;
    let kept = world.create(wanting("^3", &[], &[])).await;
    world.cancel(&gone.id).await.expect("it is cancelled");
    world.stop().await;
    world.clock.advance(chrono::TimeDelta::hours(25));
    world.run().await;
    let left = eventually(|| async {
        let mut admin = world.database.admin().await;
        let found = sqlx::query_scalar("select terms::text from task_queue.demand");
        let found: Vec<String> = found.fetch_all(&mut admin).await.expect("it may ask");
        (found.len() == 1).then_some(found).ok_or("both are there")
    })
    .await;
    assert!(left[0].contains("^3"), "{left:?}");
    let agent = linter(&world, "3.0.0", "eu", "red");
    let lease = world.lease_one(agent).await;
    assert_eq!(id_of(&lease), kept.id);
    let again = world.create(wanting("^2", &[], &[])).await;
    let other = linter(&world, "2.0.0", "eu", "red");
    let lease = world.lease_one(other).await;
    assert_eq!(id_of(&lease), again.id, "it is written down anew");
}

#[tokio::test]
async fn what_is_asked_of_agents_has_bounds() {
    let world = World::start().await;
    let numbered = |count: usize| -> HashMap<String, String> {
        let numbers = 0..count;
        numbers
            .map(|at| (at.to_string(), "x".repeat(256)))
            .collect()
    };
    let with = |range: String, attributes: usize, labels: usize, avoided: usize| TaskSpec {
        requirement: Some(proto::CapabilityRequirement {
            version_range: range,
            attributes: numbered(attributes),
            agent_labels: numbered(labels),
        }),
        avoid_agent_ids: (0..avoided).map(|_| AgentId::new().to_string()).collect(),
        ..spec("lint")
    };
    let ask = |spec: TaskSpec| proto::CreateTaskRequest {
        spec: Some(spec),
        ..Default::default()
    };
    let edge = format!(">=1, <2{}", " ".repeat(121));
    let answer = world
        .tasks()
        .create_task(world.ask(ask(with(edge.clone(), 16, 16, 32))))
        .await;
    answer.expect("at its edge");
    let agent = AgentId::new().to_string();
    let both = TaskSpec {
        pinned_agent_id: agent.clone(),
        avoid_agent_ids: vec![agent],
        ..spec("lint")
    };
    let cases = [
        (with(edge + " ", 0, 0, 0), "spec.requirement.version_range"),
        (with(String::new(), 17, 0, 0), "spec.requirement.attributes"),
        (
            with(String::new(), 0, 17, 0),
            "spec.requirement.agent_labels",
        ),
        (with(String::new(), 0, 0, 33), "spec.avoid_agent_ids"),
        (both, "spec.avoid_agent_ids[0]"),
    ];
    for (spec, field) in cases {
        let answer = world.tasks().create_task(world.ask(ask(spec))).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), [field]);
    }
}

#[tokio::test]
async fn a_dead_letter_asks_anew_for_what_was_forgotten() {
    let mut world = World::by_test_clock(&[]).await;
    let agent = linter(&world, "2.0.0", "eu", "red");
    let once = TaskSpec {
        retry_policy: hasty("lint", 1).retry_policy,
        ..wanting("^2", &[], &[])
    };
    let created = world.create(once).await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it fails");
    world.stop().await;
    world.clock.advance(chrono::TimeDelta::hours(25));
    world.run().await;
    let demands = || async {
        let mut admin = world.database.admin().await;
        let count = sqlx::query_scalar("select count(*) from task_queue.demand");
        let count: i64 = count.fetch_one(&mut admin).await.expect("it may ask");
        count
    };
    eventually(|| async { demands().await == 0 }).await;
    let retry = proto::RetryTaskRequest {
        task_id: created.id.clone(),
        ..Default::default()
    };
    let (lease, answer) = futures::join!(world.lease_one(agent), async {
        eventually(|| world.waits_for_lease()).await;
        world.tasks().retry_task(world.ask(retry)).await
    });
    answer.expect("it is redriven");
    assert_eq!(id_of(&lease), created.id);
}
