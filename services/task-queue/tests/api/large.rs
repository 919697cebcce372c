//! Tasks as large as they may be: no answer outgrows a message, and nothing is lost over it.

use reeve_contracts::task::v1::work_request::Message as Said;
use reeve_contracts::task::v1::{self as proto, AttemptOutcome, TaskState};
use reeve_status::{Code, Reason};
use serde_json::json;

use crate::harness::*;
use crate::worker::{Worker, completion};

const TASKS: usize = 24;

fn large() -> proto::TaskSpec {
    let parameters = json!({ "text": "x".repeat(250 * 1_024) });
    proto::TaskSpec {
        parameters: reeve_wellknown::struct_from_json(parameters),
        ..spec("lint")
    }
}

async fn create_all(world: &World) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..TASKS / 12 {
        ids.extend(world.create_many(large(), 12).await);
    }
    ids
}

#[tokio::test]
async fn more_than_fits_is_assigned_in_several_messages() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    create_all(&world).await;
    let mut worker = Worker::greet(&world, agent).await;
    worker.credit(100).await;
    let mut leased = 0;
    while leased < TASKS {
        for lease in worker.assigned().await {
            assert_eq!(lease.attempt, 1);
            leased += 1;
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_into_the_answer_goes_back_at_once() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = create_all(&world).await;
    let mut done = 0;
    while done < TASKS {
        let leases = world.lease(agent, 256).await;
        assert!(leases.len() < TASKS);
        for lease in leases {
            world.complete(&lease.lease_token).await.expect("completed");
            done += 1;
        }
    }
    for id in created {
        let task = world.get(&id).await;
        assert_eq!(
            (task.state(), task.lost_lease_count),
            (TaskState::Completed, 0)
        );
        let (last, before) = task.attempts.split_last().expect("it was tried");
        assert_eq!(last.outcome(), AttemptOutcome::Completed);
        let returned = |one: &proto::Attempt| one.outcome() == AttemptOutcome::Returned;
        assert!(before.iter().all(returned));
    }
}

#[tokio::test]
async fn a_page_ends_where_the_answer_is_full() {
    let world = World::start().await;
    let mut created = create_all(&world).await;
    let mut listed = Vec::new();
    let mut pages = 0;
    let mut page_token = String::new();
    loop {
        let request = proto::ListTasksRequest {
            view: proto::TaskView::Full.into(),
            page_size: 100,
            page_token,
            ..Default::default()
        };
        let page = world.tasks().list_tasks(world.ask(request)).await;
        let page = page.expect("a page").into_inner();
        pages += 1;
        listed.extend(page.tasks.into_iter().map(|task| task.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    created.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, created);
    assert!(pages > 1);
}

#[tokio::test]
async fn a_task_with_more_attempts_than_fit_shows_the_last_ones() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let created = world.create(hasty("lint", 100)).await;
    let details = reeve_wellknown::struct_from_json(json!({ "log": "x".repeat(60 * 1_024) }));
    for _ in 0..70 {
        let lease = world.lease_one(agent).await;
        let mut request = failure(&lease.lease_token, "BROKEN", true);
        if let Some(error) = &mut request.error {
            error.details = details.clone();
        }
        let failed = world.work().fail_task(world.ask(request)).await;
        failed.expect("it fails");
    }
    let attempts = world.get(&created.id).await.attempts;
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers.last(), Some(&70));
    assert!(numbers.len() < 70 && numbers.is_sorted());
}

#[tokio::test]
async fn numbers_are_weighed_as_they_travel() {
    let world = World::start().await;
    let digits = vec![1; 60_000];
    let spec = proto::TaskSpec {
        parameters: reeve_wellknown::struct_from_json(json!({ "digits": digits })),
        ..spec("lint")
    };
    let request = proto::CreateTaskRequest {
        spec: Some(spec),
        ..Default::default()
    };
    let answer = world.tasks().create_task(world.ask(request)).await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    assert_eq!(fields(&fault), ["spec.parameters"]);
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_stream_with_the_reason() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let worker = Worker::greet(&world, agent).await;
    let result = json!({ "text": "x".repeat(900 * 1_024) });
    let item = proto::CompleteTaskRequest {
        result: reeve_wellknown::struct_from_json(result),
        ..completion("any")
    };
    let items = vec![item; 5];
    worker
        .say(1, Said::Complete(proto::CompleteBatch { items }))
        .await;
    let mut worker = worker;
    let status = worker.next().await.expect_err("it is too large");
    refused::<()>(
        Err(status),
        Code::ResourceExhausted,
        Reason::PayloadTooLarge,
    );

    let mut worker = Worker::greet(&world, agent).await;
    worker
        .say(1, Said::Complete(proto::CompleteBatch::default()))
        .await;
    let status = worker.next().await.expect_err("it says nothing");
    refused::<()>(Err(status), Code::InvalidArgument, Reason::ValidationFailed);
}
