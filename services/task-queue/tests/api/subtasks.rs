//! Parts of held tasks, and waiting for them.

use reeve_contracts::task::v1::work_service_client::WorkServiceClient;
use reeve_contracts::task::v1::{self as proto, Task, TaskSpec, TaskState, WaitCondition};
use reeve_ids::{AgentId, TaskId, TenantId};
use reeve_status::{Code, Reason};
use reeve_testkit::{authorize, eventually};
use serde_json::json;
use tonic::Status;

use crate::delegations::{reassignment, refused::because};
use crate::harness::*;

fn facts(json: serde_json::Value) -> Option<prost_types::Struct> {
    reeve_wellknown::struct_from_json(json)
}

fn part(token: &str, spec: TaskSpec) -> proto::CreateSubtaskRequest {
    proto::CreateSubtaskRequest {
        lease_token: token.to_owned(),
        spec: Some(spec),
        ..Default::default()
    }
}

fn wait_for(token: &str, tasks: &[&Task]) -> proto::WaitSubtasksRequest {
    proto::WaitSubtasksRequest {
        lease_token: token.to_owned(),
        task_ids: tasks.iter().map(|task| task.id.clone()).collect(),
        wait_duration: Some(seconds(20)),
        ..Default::default()
    }
}

impl World {
    async fn part(&self, request: proto::CreateSubtaskRequest) -> Result<Task, Status> {
        let answer = self.work().create_subtask(self.ask(request)).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    async fn wait(
        &self,
        request: proto::WaitSubtasksRequest,
    ) -> Result<proto::WaitSubtasksResponse, Status> {
        let answer = self.work().wait_subtasks(self.ask(request)).await?;
        Ok(answer.into_inner())
    }

    /// A held task with its token.
    async fn held(&self, agent: AgentId, kind: &str) -> (String, String) {
        let created = self.create(spec(kind)).await;
        let lease = self.lease_one(agent).await;
        assert_eq!(id_of(&lease), created.id);
        (created.id, lease.lease_token)
    }

    async fn finish(&self, agent: AgentId, result: serde_json::Value) {
        let lease = self.lease_one(agent).await;
        let request = proto::CompleteTaskRequest {
            lease_token: lease.lease_token,
            result: facts(result),
            ..Default::default()
        };
        let answer = self.work().complete_task(self.ask(request)).await;
        answer.expect("it completes");
    }
}

#[tokio::test]
async fn who_delegates_a_part_waits_for_its_result_and_goes_on() {
    let world = World::start().await;
    let (planner, linter) = (world.agent(&["plan"]), world.agent(&["lint"]));
    let (parent, token) = world.held(planner, "plan").await;
    let made = world
        .part(part(&token, spec("lint")))
        .await
        .expect("it is made");
    assert_eq!(made.state(), TaskState::Pending);
    assert_eq!(made.spec.as_ref().expect("a spec").parent_task_id, parent);
    let waiting = world.wait(wait_for(&token, &[&made]));
    let (waited, ()) = tokio::join!(waiting, world.finish(linter, json!({"faults": 0})));
    let waited = waited.expect("it is answered");
    assert!(waited.satisfied && waited.open_task_ids.is_empty());
    assert_eq!(waited.ended_tasks[0].id, made.id);
    assert_eq!(waited.ended_tasks[0].result, facts(json!({"faults": 0})));
    world.complete(&token).await.expect("it goes on");
    let events = world.events(|events| events.len() >= 6).await;
    let created = events.iter().find(|event| event.resource_id == made.id);
    assert_eq!(
        data(created.expect("an event"))["parent_task_id"],
        json!(parent)
    );
}

#[tokio::test]
async fn one_or_all_of_them() {
    let world = World::start().await;
    let (planner, linter) = (world.agent(&["plan"]), world.agent(&["lint"]));
    let (_, token) = world.held(planner, "plan").await;
    let low = TaskSpec {
        priority: proto::TaskPriority::Low.into(),
        ..spec("lint")
    };
    let first = world
        .part(part(&token, spec("lint")))
        .await
        .expect("it is made");
    let second = world.part(part(&token, low)).await.expect("it is made");
    let both = wait_for(&token, &[&second, &first]);
    let at_once = |condition: WaitCondition| proto::WaitSubtasksRequest {
        condition: condition.into(),
        wait_duration: None,
        ..both.clone()
    };
    let none = world
        .wait(at_once(WaitCondition::Any))
        .await
        .expect("an answer");
    assert!(!none.satisfied && none.ended_tasks.is_empty());
    assert_eq!(none.open_task_ids, [second.id.clone(), first.id.clone()]);
    world.finish(linter, json!({})).await;
    let one = proto::WaitSubtasksRequest {
        condition: WaitCondition::Any.into(),
        ..both.clone()
    };
    let one = world.wait(one).await.expect("an answer");
    assert!(one.satisfied);
    assert_eq!(one.ended_tasks[0].id, first.id);
    assert_eq!(one.open_task_ids, std::slice::from_ref(&second.id));
    let all = world
        .wait(at_once(WaitCondition::All))
        .await
        .expect("an answer");
    assert!(!all.satisfied && all.ended_tasks.len() == 1);
    let lease = world.lease_one(linter).await;
    world
        .fail(&lease.lease_token, false)
        .await
        .expect("it fails");
    let all = world.wait(both).await.expect("an answer");
    assert!(all.satisfied);
    let states: Vec<_> = all.ended_tasks.iter().map(Task::state).collect();
    assert_eq!(
        states,
        [TaskState::Failed, TaskState::Completed],
        "in the order asked"
    );
}

#[tokio::test]
async fn an_end_on_another_replica_is_noticed() {
    let world = World::start().await;
    let (planner, linter) = (world.agent(&["plan"]), world.agent(&["lint"]));
    let (_, token) = world.held(planner, "plan").await;
    let made = world
        .part(part(&token, spec("lint")))
        .await
        .expect("it is made");
    let (there, _deps) = world.replica().await;
    let mut work = WorkServiceClient::new(there.channel());
    let waiting = work.wait_subtasks(world.ask(wait_for(&token, &[&made])));
    let (waited, ()) = tokio::join!(waiting, world.finish(linter, json!({})));
    assert!(waited.expect("it is answered").into_inner().satisfied);
}

#[tokio::test]
async fn a_wait_ends_when_the_lease_does_or_is_to() {
    let world = World::start().await;
    let (planner, other) = (world.agent(&["plan"]), world.agent(&["plan"]));
    let (parent, token) = world.held(planner, "plan").await;
    let made = world
        .part(part(&token, spec("lint")))
        .await
        .expect("it is made");
    let waits = || async {
        eventually(|| async { world.waits_for_lease().await }).await;
    };
    let cancel = async {
        waits().await;
        world.cancel(&parent).await.expect("its holder is asked");
    };
    let (waited, ()) = tokio::join!(world.wait(wait_for(&token, &[&made])), cancel);
    let waited = waited.expect("it is answered");
    assert!(waited.cancel_requested && !waited.satisfied);
    because(
        world.part(part(&token, spec("test"))).await,
        "CANCEL_REQUESTED",
    );

    let (parent, token) = {
        world.fail(&token, false).await.expect("it lets go");
        let created = world.create(spec("plan")).await;
        let lease = world.lease_one(planner).await;
        (created.id, lease.lease_token)
    };
    let made = world
        .part(part(&token, spec("lint")))
        .await
        .expect("it is made");
    let take = async {
        waits().await;
        let taken = world.reassign(reassignment(&parent, other)).await;
        taken.expect("it is taken");
    };
    let (waited, ()) = tokio::join!(world.wait(wait_for(&token, &[&made])), take);
    refused(waited, Code::FailedPrecondition, Reason::LeaseLost);
    let answer = world.part(part(&token, spec("test"))).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
    let theirs = world.lease_one(other).await;
    let waited = world.wait(proto::WaitSubtasksRequest {
        wait_duration: None,
        ..wait_for(&theirs.lease_token, &[&made])
    });
    assert!(!waited.await.expect("it may wait, too").satisfied);
}

#[tokio::test]
async fn no_part_is_about_what_is_above_it_and_none_is_too_deep() {
    let world = World::start().await;
    let agent = world.agent(&["plan"]);
    let about = |number: i32| TaskSpec {
        parameters: facts(json!({ "part": number })),
        ..spec("plan")
    };
    world.create(about(0)).await;
    let mut token = world.lease_one(agent).await.lease_token;
    for number in 1..=8 {
        for above in 0..number {
            because(world.part(part(&token, about(above))).await, "CYCLE");
        }
        world
            .part(part(&token, about(number)))
            .await
            .expect("it is made");
        token = world.lease_one(agent).await.lease_token;
    }
    because(world.part(part(&token, about(9))).await, "TOO_DEEP");
    let other = TaskSpec {
        capability: "other".to_owned(),
        ..about(0)
    };
    because(world.part(part(&token, other)).await, "TOO_DEEP");
}

#[tokio::test]
async fn a_repetition_makes_nothing_new() {
    let world = World::start().await;
    let agent = world.agent(&["plan"]);
    let (_, token) = world.held(agent, "plan").await;
    let request = proto::CreateSubtaskRequest {
        request_id: "one".to_owned(),
        ..part(&token, spec("lint"))
    };
    let made = world.part(request.clone()).await.expect("it is made");
    let again = world.part(request.clone()).await.expect("the same");
    assert_eq!(again.id, made.id);
    let other = proto::CreateSubtaskRequest {
        spec: Some(spec("test")),
        ..request.clone()
    };
    let answer = world.part(other).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    let (_, another) = world.held(agent, "plan").await;
    let answer = world
        .part(proto::CreateSubtaskRequest {
            lease_token: another,
            ..request.clone()
        })
        .await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    world.complete(&token).await.expect("it completes");
    let answer = world.part(request).await;
    refused(answer, Code::FailedPrecondition, Reason::LeaseLost);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let (planner, linter) = (world.agent(&["plan"]), world.agent(&["lint"]));
    let (_, token) = world.held(planner, "plan").await;
    let (_, other) = world.held(linter, "lint").await;
    let invalid = (Code::InvalidArgument, Reason::ValidationFailed);
    let wrong = TaskSpec {
        r#type: "no spaces".to_owned(),
        parent_task_id: TaskId::new().to_string(),
        ..Default::default()
    };
    let fault = refused(world.part(part(&token, wrong)).await, invalid.0, invalid.1);
    let named = fields(&fault);
    assert!(
        named.contains(&"spec.parent_task_id") && named.contains(&"spec.type"),
        "{named:?}"
    );
    let request = proto::CreateSubtaskRequest {
        lease_token: "x".to_owned(),
        spec: None,
        request_id: "x".repeat(129),
    };
    let fault = refused(world.part(request).await, invalid.0, invalid.1);
    assert_eq!(fields(&fault), ["lease_token", "request_id", "spec"]);
    let origin = proto::TaskOrigin {
        kind: "workflow".to_owned(),
        resource_id: "1".to_owned(),
        ..Default::default()
    };
    let spec_of = TaskSpec {
        origin: Some(origin),
        ..spec("lint")
    };
    let request = world.ask_as_service(part(&token, spec_of));
    let answer = world.work().create_subtask(request).await;
    let fault = refused(answer, invalid.0, invalid.1);
    assert_eq!(fields(&fault), ["spec.origin"]);

    let made = world
        .part(part(&token, spec("test")))
        .await
        .expect("it is made");
    let fault = refused(
        world.wait(wait_for(&other, &[&made])).await,
        invalid.0,
        invalid.1,
    );
    assert_eq!(fields(&fault), ["task_ids[0]"], "it is no part of that");
    let request = proto::WaitSubtasksRequest {
        lease_token: "x".to_owned(),
        task_ids: vec![made.id.clone(), made.id.clone(), "x".to_owned()],
        condition: 3,
        wait_duration: Some(seconds(51)),
    };
    let fault = refused(world.wait(request).await, invalid.0, invalid.1);
    let named = [
        "condition",
        "lease_token",
        "task_ids[1]",
        "task_ids[2]",
        "wait_duration",
    ];
    assert_eq!(fields(&fault), named);
    for count in [0, 101] {
        let request = proto::WaitSubtasksRequest {
            task_ids: (0..count).map(|_| TaskId::new().to_string()).collect(),
            ..wait_for(&token, &[])
        };
        let fault = refused(world.wait(request).await, invalid.0, invalid.1);
        assert_eq!(fields(&fault), ["task_ids"]);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_alone() {
    let world = World::start().await;
    let (planner, linter) = (world.agent(&["plan"]), world.agent(&["lint"]));
    let (_, token) = world.held(planner, "plan").await;
    let mut parts = Vec::new();
    for _ in 0..5 {
        parts.push(
            world
                .part(part(&token, spec("lint")))
                .await
                .expect("it is made"),
        );
        let long = "x".repeat(900 * 1_024);
        world.finish(linter, json!({ "long": long })).await;
    }
    let request = wait_for(&token, &parts.iter().collect::<Vec<_>>());
    let waited = world.wait(request).await.expect("it fits");
    assert!(waited.satisfied && !waited.left_out_task_ids.is_empty());
    assert_eq!(waited.ended_tasks.len() + waited.left_out_task_ids.len(), 5);
    let rest = proto::WaitSubtasksRequest {
        task_ids: waited.left_out_task_ids.clone(),
        ..wait_for(&token, &[])
    };
    let rest = world.wait(rest).await.expect("the rest");
    assert_eq!(rest.ended_tasks.len(), waited.left_out_task_ids.len());
}

#[tokio::test]
async fn anybody_who_may_read_waits_for_any_task_of_the_tenant() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(spec("lint")).await;
    let request = proto::WaitTasksRequest {
        task_ids: vec![created.id.clone()],
        wait_duration: Some(seconds(20)),
        ..Default::default()
    };
    let (mut tasks, cancelled) = (world.tasks(), world.create(spec("lint")).await);
    let waiting = tasks.wait_tasks(world.ask(request.clone()));
    let (waited, ()) = tokio::join!(waiting, world.finish(agent, json!({"done": true})));
    let waited = waited.expect("it is answered").into_inner();
    assert!(waited.satisfied);
    assert_eq!(waited.ended_tasks[0].result, facts(json!({"done": true})));
    world.cancel(&cancelled.id).await.expect("it is cancelled");
    let both = proto::WaitTasksRequest {
        task_ids: vec![cancelled.id, created.id],
        ..Default::default()
    };
    let both = world.tasks().wait_tasks(world.ask(both)).await;
    let both = both.expect("an answer").into_inner();
    assert!(both.satisfied && both.ended_tasks.len() == 2);
    let key = world.authenticator.admin(TenantId::new());
    let answer = world.tasks().wait_tasks(authorize(&key, request)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    let answer = world
        .tasks()
        .wait_tasks(world.ask(Default::default()))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["task_ids"]);
}
