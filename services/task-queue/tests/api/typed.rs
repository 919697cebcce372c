//! Tasks whose type is in the catalogue.

use chrono::TimeDelta;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{self as proto, Task, TaskSpec, TaskType};
use reeve_status::{Code, Fault, Reason};
use reeve_task_queue::TaskQueue;
use reeve_testkit::{authorize, eventually};
use serde_json::{Value as Json, json};
use tonic::{Response, Status};

use crate::harness::*;
use crate::types::{invalid, type_of};

fn with(kind: &str, parameters: Json) -> TaskSpec {
    TaskSpec {
        parameters: reeve_wellknown::struct_from_json(parameters),
        ..spec(kind)
    }
}

fn creation(spec: TaskSpec, request_id: &str) -> proto::CreateTaskRequest {
    proto::CreateTaskRequest {
        spec: Some(spec),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

impl World {
    async fn try_create(&self, spec: TaskSpec, request_id: &str) -> Result<Task, Status> {
        let request = self.ask(creation(spec, request_id));
        let answer = self.tasks().create_task(request).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    async fn try_batch(
        &self,
        requests: Vec<proto::CreateTaskRequest>,
    ) -> Result<Vec<String>, Status> {
        let batch = self.ask(proto::BatchCreateTasksRequest { requests });
        let answer = self.tasks().batch_create_tasks(batch).await;
        answer.map(|answer| answer.into_inner().task_ids)
    }

    /// How often a tenant's types were read.
    fn reads(&self) -> u64 {
        let rendered = self.deps.metrics.render();
        let name = "reeve_task_type_reads_total ";
        let line = rendered.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|count| count.parse().ok())
            .unwrap_or_default()
    }
}

fn whats_said(fault: &Fault) -> Vec<(&str, &str)> {
    let mut said: Vec<_> = fault
        .violations()
        .iter()
        .map(|one| (one.field.as_str(), one.description.as_str()))
        .collect();
    said.sort_unstable();
    said
}

#[tokio::test]
async fn a_built_in_type_checks_parameters_and_gives_defaults() {
    let world = World::start().await;
    let right = json!({"application": "shop", "version": "1.2", "environment": "staging"});
    let created = world
        .create(with("deploy_application", right.clone()))
        .await;
    let created = created.spec.expect("it has one");
    assert_eq!(created.capability, "deployment");
    let timeouts = created.timeouts.expect("the type's");
    assert_eq!(timeouts.start_to_close_timeout, Some(seconds(3_600)));
    // What the spec says comes first.
    let own = TaskSpec {
        capability: "deploy_application".to_owned(),
        timeouts: Some(proto::TaskTimeouts {
            start_to_close_timeout: Some(seconds(7)),
            ..Default::default()
        }),
        ..with("deploy_application", right)
    };
    let created = world.create(own).await.spec.expect("it has one");
    assert_eq!(created.capability, "deploy_application");
    let timeouts = created.timeouts.expect("the spec's");
    assert_eq!(timeouts.start_to_close_timeout, Some(seconds(7)));
    let stored = world.list_all().await.pop().expect("the first");
    let stored = stored.spec.expect("it has one");
    assert_eq!(stored.capability, "deployment");

    let wrong = json!({
        "application": "", "environment": "a b", "strategy": "yolo", "replicas": 1.5,
        "canary_percents": [10, 101], "health_check": {"uri": "x"}, "verison": "1",
    });
    let fault = invalid(
        world
            .try_create(with("deploy_application", wrong), "")
            .await,
    );
    assert_eq!(
        whats_said(&fault),
        [
            (
                "spec.parameters.application",
                "must have at least 1 characters"
            ),
            ("spec.parameters.canary_percents[1]", "must be at most 100"),
            (
                "spec.parameters.environment",
                "must match the pattern ^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
            ),
            ("spec.parameters.health_check.uri", "is not known here"),
            ("spec.parameters.health_check.url", "is required"),
            ("spec.parameters.replicas", "must be of type integer"),
            (
                "spec.parameters.strategy",
                "must be one of \"rolling\", \"blue_green\", \"canary\", \"recreate\"",
            ),
            ("spec.parameters.verison", "is not known here"),
            ("spec.parameters.version", "is required"),
        ]
    );
    // None at all are none that are required, and other faults are named beside.
    let worse = TaskSpec {
        queue: "a/b".to_owned(),
        ..spec("generate_code")
    };
    let fault = invalid(world.try_create(worse, "").await);
    assert_eq!(
        fields(&fault),
        ["spec.parameters.requirement", "spec.queue"]
    );
    assert_eq!(world.list_all().await.len(), 2, "nothing else was created");
}

impl World {
    /// Every task, newest first.
    async fn list_all(&self) -> Vec<Task> {
        let request = self.ask(proto::ListTasksRequest::default());
        let list = self.tasks().list_tasks(request).await;
        list.expect("a list").into_inner().tasks
    }
}

#[tokio::test]
async fn a_type_in_no_catalogue_is_free() {
    let world = World::start().await;
    for kind in ["lint", "test", "Deploy_Anything", "deploy"] {
        let parameters = json!({"whatever": [1, {"x": null}]});
        let created = world
            .create(with(kind, parameters))
            .await
            .spec
            .expect("it has one");
        assert_eq!(created.capability, kind.to_ascii_lowercase());
        let timeouts = created.timeouts.unwrap_or_default();
        assert_eq!(timeouts.start_to_close_timeout, None);
    }
}

#[tokio::test]
async fn a_batch_is_checked_as_a_whole() {
    let world = World::start().await;
    let required = json!({"required": ["a"]});
    world
        .create_type(type_of("ship", required))
        .await
        .expect("created");
    let wrong = || creation(with("ship", json!({"b": 1})), "");
    let right = || creation(with("ship", json!({"a": 1})), "");
    let other = || creation(spec(""), "");
    let fault = invalid(world.try_batch(vec![right(), wrong(), wrong()]).await);
    assert_eq!(
        fields(&fault),
        [
            "requests[1].spec.parameters.a",
            "requests[2].spec.parameters.a"
        ]
    );
    let fault = invalid(world.try_batch(vec![wrong(), other()]).await);
    assert_eq!(
        fields(&fault),
        ["requests[0].spec.parameters.a", "requests[1].spec.type"]
    );
    assert!(world.list_all().await.is_empty());
    world
        .try_batch(vec![right(), right()])
        .await
        .expect("created");
    assert_eq!(world.list_all().await.len(), 2);
    // However many there are, the answer fits into a header and says how many it leaves out.
    let fault = invalid(world.try_batch(vec![wrong(); 1_000]).await);
    let last = fault.violations().last().expect("some");
    assert!(last.description.starts_with("and ") && last.description.ends_with(" more"));
}

#[tokio::test]
async fn a_batch_takes_no_longer_to_check_than_it_may() {
    let world = World::start().await;
    let places = json!({"properties": {"n": {"items": {"enum": (0..1_000).collect::<Vec<_>>()}}}});
    world
        .create_type(type_of("ship", places))
        .await
        .expect("created");
    // 1,003 places, and 1,002 values in each task.
    let one = creation(with("ship", json!({"n": vec![7; 1_000]})), "");
    world
        .try_batch(vec![one.clone(); 9])
        .await
        .expect("created");
    let fault = invalid(world.try_batch(vec![one; 11]).await);
    assert_eq!(fields(&fault), ["requests"]);
}

#[tokio::test]
async fn a_change_of_a_type_holds_from_the_next_create_on() {
    let world = World::start().await;
    world.create(with("ship", json!({"n": "x"}))).await;
    let number = json!({"properties": {"n": {"type": "integer"}}});
    let asked = TaskType {
        capability: "shipping".to_owned(),
        start_to_close_timeout: Some(seconds(9)),
        ..type_of("ship", number)
    };
    world.create_type(asked).await.expect("created");
    let fault = invalid(world.try_create(with("ship", json!({"n": "x"})), "").await);
    assert_eq!(fields(&fault), ["spec.parameters.n"]);
    let created = world.create(with("ship", json!({"n": 1}))).await;
    assert_eq!(created.spec.expect("it has one").capability, "shipping");
    let text = type_of("ship", json!({"properties": {"n": {"type": "string"}}}));
    world
        .update_type(text, &["parameters_schema"], "")
        .await
        .expect("updated");
    invalid(world.try_create(with("ship", json!({"n": 1})), "").await);
    world.create(with("ship", json!({"n": "x"}))).await;
    world.delete_type("ship", "").await.expect("deleted");
    let created = world.create(with("ship", json!({"n": 1}))).await;
    assert_eq!(created.spec.expect("it has one").capability, "ship");
}

#[tokio::test]
async fn a_repeat_answers_as_the_first_whatever_its_type_asks_by_then() {
    let world = World::start().await;
    let first = world.try_create(spec("ship"), "r").await.expect("created");
    let required = json!({"required": ["a"]});
    world
        .create_type(type_of("ship", required))
        .await
        .expect("created");
    let again = world
        .try_create(spec("ship"), "r")
        .await
        .expect("it is there");
    assert_eq!(again.id, first.id);
    assert_eq!(again.spec, first.spec);
    invalid(world.try_create(spec("ship"), "another").await);
    invalid(world.try_create(with("ship", json!({"b": 1})), "r").await);
    let repeat = creation(spec("ship"), "r");
    let ids = world
        .try_batch(vec![repeat.clone(), creation(spec("lint"), "s")])
        .await;
    assert_eq!(ids.expect("the first and a new one")[0], first.id);
    let fault = invalid(
        world
            .try_batch(vec![repeat, creation(spec("ship"), "t")])
            .await,
    );
    assert_eq!(fields(&fault), ["requests[1].spec.parameters.a"]);
}

#[tokio::test]
async fn creates_read_no_types_while_nothing_changes() {
    let world = World::by_test_clock(&[]).await;
    world
        .create_type(type_of("ship", json!({"required": ["a"]})))
        .await
        .expect("created");
    let create = || async {
        world.create(with("ship", json!({"a": 1}))).await;
        world.create(spec("lint")).await;
        invalid(world.try_create(spec("ship"), "").await);
        world.reads()
    };
    // A connection to Redis that is new counts as a change of everything, whenever it comes.
    let reads_nothing = || async {
        let before = world.reads();
        create().await == before
    };
    eventually(reads_nothing).await;
    // Another tenant's types are read once, too.
    let key = world.authenticator.admin(reeve_ids::TenantId::new());
    eventually(|| async {
        let before = world.reads();
        let request = authorize(&key, creation(spec("ship"), ""));
        let answer = world.tasks().create_task(request).await;
        answer.expect("it is free");
        world.reads() == before
    })
    .await;
    // After queue.task_type_memory they are read again, and then believed again.
    let before = world.reads();
    world.clock.advance(TimeDelta::seconds(31));
    assert!(create().await > before);
    eventually(reads_nothing).await;
}

#[tokio::test]
async fn other_replicas_hear_of_a_change() {
    // By a clock that stands still nothing is read again for its age.
    let world = World::by_test_clock(&[]).await;
    let (there, _deps) = world.replica().await;
    let ask = |spec: TaskSpec| {
        let mut tasks = TaskServiceClient::new(there.channel());
        let request = world.ask(creation(spec, ""));
        async move { tasks.create_task(request).await.map(Response::into_inner) }
    };
    ask(spec("ship")).await.expect("it is free");
    world
        .create_type(type_of("ship", json!({"required": ["a"]})))
        .await
        .expect("created");
    eventually(|| async { ask(spec("ship")).await.is_err() }).await;
    let empty = type_of("ship", json!({}));
    world
        .update_type(empty, &["parameters_schema"], "")
        .await
        .expect("updated");
    eventually(|| async { ask(spec("ship")).await.is_ok() }).await;
}

#[tokio::test]
async fn a_change_that_nobody_was_woken_for_is_noticed_when_the_memory_has_passed() {
    let world = World::by_test_clock(&[]).await;
    world
        .create_type(type_of("ship", json!({"required": ["a"]})))
        .await
        .expect("created");
    invalid(world.try_create(spec("ship"), "").await);
    let database = world.database.connect(&TaskQueue::schema());
    sqlx::query("delete from task_type")
        .execute(database.internal_pool())
        .await
        .expect("deleted");
    world.clock.advance(TimeDelta::seconds(31));
    world.create(spec("ship")).await;
}

#[tokio::test]
async fn a_known_type_in_another_spelling_is_refused() {
    let world = World::start().await;
    let own = type_of("ship", serde_json::json!({}));
    world.create_type(own).await.expect("it is created");
    for (kind, known) in [("Generate_Code", "generate_code"), ("SHIP", "ship")] {
        let answer = world.try_create(spec(kind), "").await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        let expected = format!("differs from {known} only by upper and lower case");
        assert_eq!(whats_said(&fault), [("spec.type", expected.as_str())]);
    }
    world
        .try_create(spec("Nobody_Knows"), "")
        .await
        .expect("it is free");
}
