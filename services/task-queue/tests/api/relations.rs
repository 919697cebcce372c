//! Tasks that belong together, what they make, and request ids that are free again.

use chrono::TimeDelta;
use reeve_contracts::task::v1::{
    self as proto, Artifact, DependencyFailurePolicy, PendingReason, Task, TaskSpec, TaskState,
};
use reeve_status::{Code, Reason};
use reeve_testkit::eventually;
use tonic::Status;

use crate::harness::*;

fn after(task: &Task, policy: DependencyFailurePolicy) -> TaskSpec {
    TaskSpec {
        depends_on: vec![task.id.clone()],
        dependency_failure_policy: policy.into(),
        ..spec("second")
    }
}

impl World {
    async fn create_as_asked(&self, request: proto::CreateTaskRequest) -> Result<Task, Status> {
        let answer = self.tasks().create_task(self.ask(request)).await?;
        Ok(answer.into_inner().task.expect("the answer holds it"))
    }

    /// A task that has failed for good.
    async fn dead_letter(&self) -> Task {
        let agent = self.agent(&["first"]);
        let task = self.create(hasty("first", 1)).await;
        let lease = self.lease_one(agent).await;
        self.fail(&lease.lease_token, true)
            .await
            .expect("it is held");
        assert_eq!(id_of(&lease), task.id);
        self.get(&task.id).await
    }

    async fn revive(&self, id: &str) {
        let request = proto::RetryTaskRequest {
            task_id: id.to_owned(),
            ..Default::default()
        };
        self.tasks()
            .retry_task(self.ask(request))
            .await
            .expect("it is dead");
    }

    async fn is_blocked(&self, id: &str) {
        let task = self.get(id).await;
        assert_eq!(task.pending_reason(), PendingReason::Blocked, "{task:?}");
    }
}

#[tokio::test]
async fn who_proceeds_goes_on_however_it_ends() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["first"]), world.agent(&["second"]));
    let policy = DependencyFailurePolicy::Proceed;
    let task = world.create(hasty("first", 1)).await;
    let waiting = world.create(after(&task, policy)).await;
    world.is_blocked(&waiting.id).await;
    let lease = world.lease_one(first).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it is held");
    assert_eq!(id_of(&world.lease_one(second).await), waiting.id);
    // Nor does it wait for one that has ended, or is cancelled.
    let late = world.create(after(&task, policy)).await;
    assert_eq!(id_of(&world.lease_one(second).await), late.id);
    let cancelled = world.create(spec("first")).await;
    let waiting = world.create(after(&cancelled, policy)).await;
    world.cancel(&cancelled.id).await.expect("it waits");
    assert_eq!(id_of(&world.lease_one(second).await), waiting.id);
    let shown = world.get(&waiting.id).await.spec.expect("it has one");
    assert_eq!(shown.dependency_failure_policy(), policy);
}

#[tokio::test]
async fn a_redrive_does_not_count_twice_for_who_proceeds() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["first"]), world.agent(&["second"]));
    let failing = world.create(hasty("first", 1)).await;
    let lease = world.lease_one(first).await;
    let other = world.create(spec("other")).await;
    let both = TaskSpec {
        depends_on: vec![failing.id.clone(), other.id.clone()],
        ..after(&failing, DependencyFailurePolicy::Proceed)
    };
    let waiting = world.create(both).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it is held");
    world.revive(&failing.id).await;
    let lease = world.lease_one(first).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it is held");
    world.is_blocked(&waiting.id).await;
    world.cancel(&other.id).await.expect("it waits");
    assert_eq!(id_of(&world.lease_one(second).await), waiting.id);
}

#[tokio::test]
async fn who_waits_goes_on_after_a_redrive() {
    let world = World::start().await;
    let (first, second) = (world.agent(&["first"]), world.agent(&["second"]));
    let policy = DependencyFailurePolicy::Wait;
    let task = world.create(hasty("first", 1)).await;
    let before = world.create(after(&task, policy)).await;
    let lease = world.lease_one(first).await;
    world
        .fail(&lease.lease_token, true)
        .await
        .expect("it is held");
    let afterwards = world.create(after(&task, policy)).await;
    world.is_blocked(&before.id).await;
    world.is_blocked(&afterwards.id).await;
    world.revive(&task.id).await;
    let lease = world.lease_one(first).await;
    world
        .complete(&lease.lease_token)
        .await
        .expect("it is held");
    let mut next = vec![
        id_of(&world.lease_one(second).await).to_owned(),
        id_of(&world.lease_one(second).await).to_owned(),
    ];
    next.sort_unstable();
    assert_eq!(next, [before.id, afterwards.id]);
}

#[tokio::test]
async fn who_waits_in_vain_is_cancelled_with_those_that_wait_for_it() {
    let world = World::start().await;
    let policy = DependencyFailurePolicy::Wait;
    let dead = world.dead_letter().await;
    let waiting = world.create(after(&dead, policy)).await;
    let next = world.create(after(&waiting, policy)).await;
    let proceeding = world
        .create(after(&waiting, DependencyFailurePolicy::Proceed))
        .await;
    let second = world.agent(&["second"]);
    world.discard(&dead.id, "").await.expect("it is dead");
    for task in [&waiting, &next] {
        let task = world.reaches(&task.id, TaskState::Cancelled).await;
        assert_eq!(task.cancel_reason, "DEPENDENCY_FAILED");
    }
    assert_eq!(id_of(&world.lease_one(second).await), proceeding.id);
    let late = proto::CreateTaskRequest {
        spec: Some(after(&dead, policy)),
        ..Default::default()
    };
    let fault = refused(
        world.create_as_asked(late).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["spec.depends_on[0]"]);
}

#[tokio::test]
async fn a_parent_shows_what_its_children_come_to() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let parent = world.create(spec("plan")).await;
    assert_eq!(world.get(&parent.id).await.children, None);
    let child = TaskSpec {
        parent_task_id: parent.id.clone(),
        ..hasty("lint", 1)
    };
    let ids = world.create_many(child, 4).await;
    let children = async || world.get(&parent.id).await.children.expect("it has some");
    let all = children().await;
    assert_eq!(
        (all.state(), all.total, all.pending),
        (TaskState::Pending, 4, 4)
    );
    let leases = world.lease(agent, 4).await;
    let all = children().await;
    assert_eq!((all.state(), all.running), (TaskState::InProgress, 4));
    world
        .complete(&leases[0].lease_token)
        .await
        .expect("it is held");
    world
        .complete(&leases[1].lease_token)
        .await
        .expect("it is held");
    world
        .fail(&leases[2].lease_token, true)
        .await
        .expect("it is held");
    assert_eq!(children().await.state(), TaskState::InProgress);
    world
        .complete(&leases[3].lease_token)
        .await
        .expect("it is held");
    let all = children().await;
    assert_eq!(all.state(), TaskState::Failed);
    assert_eq!((all.completed, all.failed, all.cancelled), (3, 1, 0));
    let failed = id_of(&leases[2]);
    assert!(ids.iter().any(|id| id == failed));
    world.revive(failed).await;
    world.cancel(failed).await.expect("it waits");
    assert_eq!(children().await.state(), TaskState::Cancelled);
}

fn artifact(name: &str) -> Artifact {
    Artifact {
        name: name.to_owned(),
        uri: format!("s3://reports/{name}"),
        media_type: "application/json".to_owned(),
        size_bytes: 12,
        sha256: "ab".repeat(32),
        ..Default::default()
    }
}

impl World {
    /// A task whose attempt has made something.
    pub async fn makes_something(&self) {
        let agent = self.agent(&["make"]);
        self.create(spec("make")).await;
        let lease = self.lease_one(agent).await;
        let complete = proto::CompleteTaskRequest {
            lease_token: lease.lease_token,
            artifacts: vec![artifact("log")],
            ..Default::default()
        };
        let answer = self.work().complete_task(self.ask(complete)).await;
        answer.expect("it is held");
    }
}

#[tokio::test]
async fn what_attempts_made_is_kept_with_them() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let task = world.create(hasty("lint", 2)).await;
    let lease = world.lease_one(agent).await;
    let failure = proto::FailTaskRequest {
        artifacts: vec![artifact("log")],
        ..failure(&lease.lease_token, "BROKEN", true)
    };
    for _ in 0..2 {
        // A repeat adds nothing.
        let answer = world.work().fail_task(world.ask(failure.clone())).await;
        answer.expect("it is held");
    }
    let lease = world.lease_one(agent).await;
    let complete = proto::CompleteTaskRequest {
        lease_token: lease.lease_token,
        artifacts: vec![artifact("report"), artifact("log")],
        ..Default::default()
    };
    for _ in 0..2 {
        let answer = world
            .work()
            .complete_task(world.ask(complete.clone()))
            .await;
        answer.expect("it is held");
    }
    let shown = world.get(&task.id).await;
    let made: Vec<_> = shown
        .artifacts
        .iter()
        .map(|one| (one.attempt, one.name.as_str()))
        .collect();
    assert_eq!(made, [(1, "log"), (2, "report"), (2, "log")]);
    let last = &shown.artifacts[2];
    assert_eq!(last.uri, "s3://reports/log");
    assert_eq!((last.size_bytes, last.sha256.len()), (12, 64));
    assert!(last.create_time.is_some());
}

#[tokio::test]
async fn artifacts_are_checked() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    world.create(spec("lint")).await;
    let token = world.lease_one(agent).await.lease_token;
    let complete = |artifacts: Vec<Artifact>| {
        let request = proto::CompleteTaskRequest {
            lease_token: token.clone(),
            artifacts,
            ..Default::default()
        };
        let mut work = world.work();
        let request = world.ask(request);
        async move { work.complete_task(request).await }
    };
    let wrong = Artifact {
        name: "log".to_owned(),
        uri: "reports/log".to_owned(),
        media_type: "x".repeat(129),
        size_bytes: -1,
        sha256: "AB".repeat(32),
        ..Default::default()
    };
    let nameless = Artifact {
        name: String::new(),
        ..artifact("log")
    };
    let answer = complete(vec![artifact("log"), wrong, nameless]).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let expected = [
        "artifacts[1].media_type",
        "artifacts[1].name",
        "artifacts[1].sha256",
        "artifacts[1].size_bytes",
        "artifacts[1].uri",
        "artifacts[2].name",
    ];
    assert_eq!(fields(&fault), expected);
    let many = |count: usize| (0..count).map(|at| artifact(&format!("a{at}"))).collect();
    let fault = refused(
        complete(many(65)).await,
        Code::InvalidArgument,
        Reason::ValidationFailed,
    );
    assert_eq!(fields(&fault), ["artifacts"]);
    complete(many(64)).await.expect("as many as may be");
}

#[tokio::test]
async fn a_request_id_is_free_again_after_its_window() {
    let world = World::by_test_clock(&[]).await;
    let request = |window: Option<i64>, title: &str| proto::CreateTaskRequest {
        spec: Some(TaskSpec {
            title: title.to_owned(),
            ..spec("lint")
        }),
        request_id: "nightly".to_owned(),
        request_window_duration: window.map(seconds),
    };
    let first = world
        .create_as_asked(request(Some(3_600), "a"))
        .await
        .expect("it is new");
    world.clock.advance(TimeDelta::seconds(3_599));
    let again = world
        .create_as_asked(request(Some(60), "a"))
        .await
        .expect("a repeat");
    assert_eq!(again.id, first.id);
    let other = world.create_as_asked(request(None, "b")).await;
    refused(other, Code::FailedPrecondition, Reason::RequestIdReused);
    world.clock.advance(TimeDelta::seconds(1));
    let second = world
        .create_as_asked(request(None, "b"))
        .await
        .expect("it is free");
    assert_ne!(second.id, first.id);
    // Taken for as long as the task is kept.
    world.clock.advance(TimeDelta::days(400));
    let again = world
        .create_as_asked(request(None, "b"))
        .await
        .expect("a repeat");
    assert_eq!(again.id, second.id);
    for (id, window) in [("", 60), ("x", 59), ("x", 365 * 86_400 + 1)] {
        let request = proto::CreateTaskRequest {
            request_id: id.to_owned(),
            ..request(Some(window), "c")
        };
        let fault = refused(
            world.create_as_asked(request).await,
            Code::InvalidArgument,
            Reason::ValidationFailed,
        );
        assert_eq!(fields(&fault), ["request_window_duration"]);
    }
}

#[tokio::test]
async fn one_request_id_many_times_at_once_is_one_task() {
    let world = World::by_test_clock(&[]).await;
    for _ in 0..3 {
        let creations = (0..20).map(|_| {
            world.create_as_asked(proto::CreateTaskRequest {
                spec: Some(spec("lint")),
                request_id: "same".to_owned(),
                request_window_duration: Some(seconds(60)),
            })
        });
        let created = futures::future::join_all(creations).await;
        let mut ids: Vec<_> = created
            .into_iter()
            .map(|task| task.expect("a repeat at most").id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        world.clock.advance(TimeDelta::seconds(60));
    }
    eventually(|| async { world.ready_in_redis("default", "lint").await == 3 }).await;
}
