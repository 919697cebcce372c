//! A request id makes a create harmless to repeat.

use reeve_contracts::task::v1 as proto;
use reeve_status::{Code, Reason};

use crate::harness::*;

fn request(id: &str, title: &str) -> proto::CreateTaskRequest {
    let labels = ["a", "b", "c", "d"].map(|key| (key.to_owned(), "1".to_owned()));
    let spec = proto::TaskSpec {
        title: title.to_owned(),
        labels: labels.into_iter().collect(),
        ..spec("lint")
    };
    proto::CreateTaskRequest {
        spec: Some(spec),
        request_id: id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_repeat_returns_the_first_task_as_it_is_now() {
    let world = World::start().await;
    let create = |id, title| world.ask(request(id, title));
    let first = world
        .tasks()
        .create_task(create("r", "one"))
        .await
        .expect("it is created");
    let first = first.into_inner().task.expect("the answer holds it");
    world.cancel(&first.id).await.expect("it is cancelled");
    let again = world
        .tasks()
        .create_task(create("r", "one"))
        .await
        .expect("a repeat");
    let again = again.into_inner().task.expect("the answer holds it");
    assert_eq!(
        (again.id.as_str(), again.state()),
        (first.id.as_str(), proto::TaskState::Cancelled)
    );
    let answer = world.tasks().create_task(create("r", "two")).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
}

#[tokio::test]
async fn concurrent_repeats_create_one_task() {
    let world = World::start().await;
    let calls = (0..20).map(|_| async {
        let answer = world
            .tasks()
            .create_task(world.ask(request("r", "one")))
            .await;
        answer
            .expect("it is created")
            .into_inner()
            .task
            .expect("the answer holds it")
            .id
    });
    let mut ids = futures::future::join_all(calls).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let list = world
        .tasks()
        .list_tasks(world.ask(proto::ListTasksRequest::default()))
        .await;
    assert_eq!(list.expect("a list").into_inner().tasks.len(), 1);
}

#[tokio::test]
async fn a_repeated_batch_creates_what_is_new() {
    let world = World::start().await;
    let batch = |requests| world.ask(proto::BatchCreateTasksRequest { requests });
    let first = vec![request("1", "one"), request("2", "two")];
    let first = world
        .tasks()
        .batch_create_tasks(batch(first))
        .await
        .expect("created");
    let more = vec![
        request("1", "one"),
        request("3", "three"),
        request("2", "two"),
    ];
    let more = world
        .tasks()
        .batch_create_tasks(batch(more))
        .await
        .expect("created");
    let (first, more) = (first.into_inner().task_ids, more.into_inner().task_ids);
    assert_eq!((&more[0], &more[2]), (&first[0], &first[1]));
    assert!(!first.contains(&more[1]));
    let wrong = vec![request("4", "four"), request("1", "other")];
    let answer = world.tasks().batch_create_tasks(batch(wrong)).await;
    refused(answer, Code::FailedPrecondition, Reason::RequestIdReused);
    let free = world
        .tasks()
        .create_task(world.ask(request("4", "anything")))
        .await;
    free.expect("the refused batch has not used it");
}

#[tokio::test]
async fn a_refused_create_spoils_no_other_and_gives_its_request_id_back() {
    let world = World::start().await;
    let create = |request_id: String, depends_on: Vec<String>| {
        let request = proto::CreateTaskRequest {
            spec: Some(proto::TaskSpec {
                depends_on,
                ..spec("lint")
            }),
            request_id,
            ..Default::default()
        };
        let (mut tasks, request) = (world.tasks(), world.ask(request));
        async move { tasks.create_task(request).await }
    };
    let nobody = || vec![reeve_ids::TaskId::new().to_string()];
    let calls = (0..40).map(|n| {
        let depends_on = if n % 2 == 0 { Vec::new() } else { nobody() };
        create(format!("r-{n}"), depends_on)
    });
    for (n, answer) in futures::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        if n % 2 == 0 {
            answer.expect("it is created");
        } else {
            let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
            assert_eq!(fields(&fault), ["spec.depends_on[0]"]);
        }
    }
    create("r-1".to_owned(), Vec::new())
        .await
        .expect("nothing was created under this id");
    let reused = create("r-2".to_owned(), nobody()).await;
    refused(reused, Code::FailedPrecondition, Reason::RequestIdReused);
}
