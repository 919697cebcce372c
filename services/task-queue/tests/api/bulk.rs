//! Many tasks are cancelled, redriven and discarded by one call.

use std::collections::HashMap;

use reeve_contracts::task::v1::{
    self as proto, BulkScope, LeaseVerdict, SkipReason, Task, TaskFilter, TaskSpec, TaskState,
};
use reeve_ids::{AgentId, TenantId};
use reeve_status::{Code, Reason};
use reeve_testkit::authorize;
use tonic::Status;

use crate::harness::*;

impl World {
    async fn bulk_cancel(
        &self,
        filter: TaskFilter,
        scope: BulkScope,
    ) -> Result<proto::BulkCancelTasksResponse, Status> {
        let request = proto::BulkCancelTasksRequest {
            filter: Some(filter),
            reason: "incident 7".to_owned(),
            scope: Some(scope),
        };
        let answer = self.tasks().bulk_cancel_tasks(self.ask(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub async fn redrive(
        &self,
        filter: TaskFilter,
        scope: BulkScope,
    ) -> Result<proto::RedriveTasksResponse, Status> {
        let request = proto::RedriveTasksRequest {
            filter: Some(filter),
            scope: Some(scope),
        };
        let answer = self.tasks().redrive_tasks(self.ask(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub async fn discard_many(
        &self,
        filter: TaskFilter,
        scope: BulkScope,
    ) -> Result<proto::DiscardTasksResponse, Status> {
        let request = proto::DiscardTasksRequest {
            filter: Some(filter),
            reason: "too old".to_owned(),
            scope: Some(scope),
        };
        let answer = self.tasks().discard_tasks(self.ask(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub async fn discard(&self, id: &str, etag: &str) -> Result<Task, Status> {
        let request = proto::DiscardTaskRequest {
            task_id: id.to_owned(),
            reason: "nobody needs it".to_owned(),
            etag: etag.to_owned(),
        };
        let answer = self.tasks().discard_task(self.ask(request)).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    pub async fn retry(&self, id: &str) -> Result<Task, Status> {
        let request = proto::RetryTaskRequest {
            task_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self.tasks().retry_task(self.ask(request)).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    /// Fails so many tasks of a type for good; answers with their ids.
    pub async fn dead_letters(&self, agent: AgentId, kind: &str, count: usize) -> Vec<String> {
        self.create_many(hasty(kind, 1), count).await;
        let mut dead = Vec::new();
        while dead.len() < count {
            let lease = self.lease_one(agent).await;
            self.fail(&lease.lease_token, false)
                .await
                .expect("it fails");
            dead.push(id_of(&lease).to_owned());
        }
        dead
    }

    pub async fn listed(&self, filter: TaskFilter) -> usize {
        let request = proto::ListTasksRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.tasks().list_tasks(self.ask(request)).await;
        answer.expect("a list").into_inner().tasks.len()
    }
}

pub fn of_type(kind: &str) -> TaskFilter {
    TaskFilter {
        types: vec![kind.to_owned()],
        ..Default::default()
    }
}

pub fn dead() -> TaskFilter {
    TaskFilter {
        dead: true,
        ..Default::default()
    }
}

pub fn whole() -> BulkScope {
    BulkScope::default()
}

pub fn at_most(max_tasks: i32, continuation: &str) -> BulkScope {
    BulkScope {
        max_tasks,
        continuation: continuation.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn what_waits_is_cancelled_and_who_holds_is_asked() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let held = world.create(spec("lint")).await;
    let lease = world.lease_one(agent).await;
    world.create_many(spec("lint"), 5).await;
    let other = world.create(spec("build")).await;
    let dry = BulkScope {
        dry_run: true,
        ..Default::default()
    };
    let counted = world
        .bulk_cancel(of_type("lint"), dry)
        .await
        .expect("a count");
    assert_eq!((counted.matched_count, counted.cancelled_count), (6, 0));
    let bound = |max_matching| BulkScope {
        max_matching,
        ..Default::default()
    };
    let answer = world.bulk_cancel(of_type("lint"), bound(5)).await;
    let fault = refused(answer, Code::FailedPrecondition, Reason::CountMismatch);
    assert_eq!(fault.metadata()["matching"], "6");
    assert!(!world.get(&held.id).await.cancel_requested);
    let done = world.bulk_cancel(of_type("lint"), bound(6)).await;
    let done = done.expect("as many as expected");
    assert_eq!(
        (
            done.matched_count,
            done.cancelled_count,
            done.requested_count
        ),
        (6, 5, 1)
    );
    assert!(done.skipped.is_empty() && done.continuation.is_empty());
    let renew = proto::RenewLeasesRequest {
        lease_tokens: vec![lease.lease_token.clone()],
        ..Default::default()
    };
    let renewed = world.work().renew_leases(world.ask(renew)).await;
    let renewal = renewed.expect("a verdict").into_inner().renewals.remove(0);
    assert_eq!(renewal.verdict(), LeaseVerdict::Cancel);
    assert_eq!(renewal.cancel_reason, "incident 7");
    let again = world.bulk_cancel(of_type("lint"), whole()).await;
    let again = again.expect("nothing is left to do");
    assert_eq!((again.cancelled_count, again.requested_count), (0, 0));
    assert_eq!(again.skipped[0].reason(), SkipReason::CancelRequested);
    assert_eq!(again.skipped[0].task_ids, [held.id]);
    assert_eq!(world.get(&other.id).await.state(), TaskState::Pending);
    assert!(world.lease_now(agent, 9).await.is_empty());
}

#[tokio::test]
async fn a_call_does_what_it_may_and_the_next_goes_on() {
    let world = World::start().await;
    world.create_many(spec("lint"), 25).await;
    let first = world.bulk_cancel(of_type("lint"), at_most(10, "")).await;
    let first = first.expect("ten");
    assert_eq!(first.cancelled_count, 10);
    let other = world.bulk_cancel(of_type("build"), at_most(10, &first.continuation));
    refused(other.await, Code::InvalidArgument, Reason::PageTokenInvalid);
    // Nor does another verb go on from it.
    let other = world.redrive(of_type("lint"), at_most(10, &first.continuation));
    refused(other.await, Code::InvalidArgument, Reason::PageTokenInvalid);
    let (mut left, mut token) = (0, first.continuation);
    while !token.is_empty() {
        let next = world
            .bulk_cancel(of_type("lint"), at_most(10, &token))
            .await;
        let next = next.expect("the rest");
        left += next.cancelled_count;
        token = next.continuation;
    }
    assert_eq!(left, 15);
    let none = world.bulk_cancel(of_type("lint"), whole()).await;
    assert_eq!(none.expect("no error").matched_count, 0);
}

#[tokio::test]
async fn a_call_that_dies_in_the_middle_is_repeated_and_does_the_rest() {
    let world = World::start().await;
    let ids = world.create_many(spec("lint"), 450).await;
    // The oldest is looked at last, in the third transaction.
    let spoil = format!(
        "create function task_queue.spoil() returns trigger language plpgsql as
             $$ begin raise exception 'spoilt'; end $$;
         create trigger spoil before insert on task_queue.task_outcome for each row
             when (new.task_id = '{}') execute function task_queue.spoil()",
        ids.first().expect("there are some")
    );
    let mut admin = world.database.admin().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(spoil))
        .execute(&mut admin)
        .await
        .expect("it is spoilt");
    let answer = world.bulk_cancel(of_type("lint"), whole()).await;
    refused(answer, Code::Internal, Reason::InternalError);
    let pending = || TaskFilter {
        states: vec![TaskState::Pending.into()],
        ..of_type("lint")
    };
    assert_eq!(world.listed(pending()).await, 50);
    sqlx::raw_sql("drop trigger spoil on task_queue.task_outcome")
        .execute(&mut admin)
        .await
        .expect("it is whole");
    let done = world.bulk_cancel(of_type("lint"), whole()).await;
    assert_eq!(done.expect("the rest").cancelled_count, 50);
    assert_eq!(world.listed(pending()).await, 0);
}

#[tokio::test]
async fn what_waits_for_a_cancelled_task_is_cancelled_once() {
    let world = World::start().await;
    let first = world.create(spec("lint")).await;
    let waits = |kind: &str| TaskSpec {
        depends_on: vec![first.id.clone()],
        ..spec(kind)
    };
    let chosen = world.create(waits("lint")).await;
    let other = world.create(waits("build")).await;
    let done = world.bulk_cancel(of_type("lint"), whole()).await;
    assert_eq!(done.expect("both").cancelled_count, 2);
    assert_eq!(world.get(&chosen.id).await.cancel_reason, "incident 7");
    assert_eq!(
        world.get(&other.id).await.cancel_reason,
        "DEPENDENCY_FAILED"
    );
}

#[tokio::test]
async fn dead_letters_are_redriven_and_steps_are_left_to_their_workflow() {
    let world = World::start().await;
    let agent = world.agent(&["lint", "build"]);
    let origin = proto::TaskOrigin {
        kind: "workflow".to_owned(),
        resource_id: "e-1".to_owned(),
        ..Default::default()
    };
    let step = world
        .create_as_service(TaskSpec {
            origin: Some(origin),
            ..hasty("lint", 1)
        })
        .await;
    let lease = world.lease_one(agent).await;
    world
        .fail(&lease.lease_token, false)
        .await
        .expect("it fails");
    let answer = world.redrive(of_type("nothing"), whole()).await;
    refused(answer, Code::FailedPrecondition, Reason::NothingMatched);
    let mut ids = world.dead_letters(agent, "lint", 3).await;
    world.dead_letters(agent, "build", 1).await;
    let done = world.redrive(of_type("lint"), whole()).await.expect("done");
    assert_eq!((done.matched_count, done.redriven_count), (4, 3));
    assert_eq!(done.skipped.len(), 1);
    assert_eq!(done.skipped[0].reason(), SkipReason::WorkflowStep);
    assert_eq!(done.skipped[0].task_ids, [step.id]);
    let mut again = Vec::new();
    while again.len() < 3 {
        let lease = world.lease_one(agent).await;
        again.push(id_of(&lease).to_owned());
    }
    again.sort_unstable();
    ids.sort_unstable();
    assert_eq!(again, ids);
    assert_eq!(world.get(&ids[0]).await.failure_count, 0);
    let left = world.redrive(of_type("lint"), whole()).await;
    let left = left.expect("the step is still a dead letter");
    assert_eq!((left.matched_count, left.redriven_count), (1, 0));
}

#[tokio::test]
async fn a_filter_that_says_nothing_and_every_other_fault_is_named() {
    let world = World::start().await;
    let wide = TaskFilter {
        states: vec![TaskState::Pending.into()],
        dead: true,
        ..Default::default()
    };
    let scope = BulkScope {
        max_matching: -1,
        max_tasks: -1,
        ..Default::default()
    };
    let answer = world.bulk_cancel(wide, scope).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(
        fields(&fault),
        [
            "filter",
            "filter.dead",
            "scope.max_matching",
            "scope.max_tasks"
        ]
    );
    let answer = world.redrive(dead(), whole()).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["filter"]);
    let answer = world.discard_many(TaskFilter::default(), whole()).await;
    refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let answer = world.redrive(of_type("lint"), at_most(1, "?")).await;
    refused(answer, Code::InvalidArgument, Reason::PageTokenInvalid);
    let long = proto::DiscardTaskRequest {
        task_id: "x".to_owned(),
        reason: "x".repeat(513),
        etag: "x".to_owned(),
    };
    let answer = world.tasks().discard_task(world.ask(long)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["etag", "reason", "task_id"]);
}

#[tokio::test]
async fn another_tenants_tasks_are_not_chosen() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let labels = HashMap::from([("team".to_owned(), "red".to_owned())]);
    let id = world.dead_letters(agent, "lint", 1).await.remove(0);
    let open = world
        .create(TaskSpec {
            labels,
            ..spec("lint")
        })
        .await;
    let key = world.authenticator.admin(TenantId::new());
    let cancel = proto::BulkCancelTasksRequest {
        filter: Some(of_type("lint")),
        ..Default::default()
    };
    let mut tasks = world.tasks();
    let answer = tasks.bulk_cancel_tasks(authorize(&key, cancel)).await;
    assert_eq!(answer.expect("nothing").into_inner().matched_count, 0);
    let redrive = proto::RedriveTasksRequest {
        filter: Some(of_type("lint")),
        ..Default::default()
    };
    let answer = tasks.redrive_tasks(authorize(&key, redrive)).await;
    refused(answer, Code::FailedPrecondition, Reason::NothingMatched);
    let discard = proto::DiscardTasksRequest {
        filter: Some(of_type("lint")),
        ..Default::default()
    };
    let answer = tasks.discard_tasks(authorize(&key, discard)).await;
    refused(answer, Code::FailedPrecondition, Reason::NothingMatched);
    let discard = proto::DiscardTaskRequest {
        task_id: id.clone(),
        ..Default::default()
    };
    let answer = tasks.discard_task(authorize(&key, discard)).await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
    assert!(world.get(&id).await.dead);
    assert_eq!(world.get(&open.id).await.state(), TaskState::Pending);
    let reader = world.authenticator.key(world.tenant, &["tasks.read"]);
    let request = authorize(&reader, proto::DiscardTasksRequest::default());
    let answer = tasks.discard_tasks(request).await;
    refused(answer, Code::PermissionDenied, Reason::PermissionMissing);
}
