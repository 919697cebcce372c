//! Dead letters that nobody will redrive.

use reeve_contracts::task::v1::{BulkScope, TaskState};
use reeve_ids::AgentId;
use reeve_status::{Code, Reason};

use crate::bulk::*;
use crate::harness::*;

#[tokio::test]
async fn a_discarded_dead_letter_is_none_any_more() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let id = world.dead_letters(agent, "lint", 1).await.remove(0);
    let before = world.get(&id).await;
    assert!(before.dead && before.discard.is_none());
    refused(
        world.discard(&id, "77").await,
        Code::Aborted,
        Reason::EtagMismatch,
    );
    let gone = world.discard(&id, &before.etag).await.expect("discarded");
    assert_eq!((gone.state(), gone.dead), (TaskState::Failed, false));
    assert_ne!(gone.etag, before.etag);
    let discard = gone.discard.clone().expect("it says so");
    assert_eq!(discard.reason, "nobody needs it");
    assert!(discard.actor.is_some() && discard.discard_time.is_some());
    let again = world.discard(&id, "").await.expect("once more");
    assert_eq!(again, gone);
    refused(
        world.retry(&id).await,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    refused(
        world.redrive(of_type("lint"), whole()).await,
        Code::FailedPrecondition,
        Reason::NothingMatched,
    );
    assert_eq!(world.listed(dead()).await, 0);
    assert_eq!(world.listed(of_type("lint")).await, 1);
    let story = world.story(&id, "task.discarded").await;
    let told = story.iter().filter(|kind| *kind == "task.discarded");
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn only_a_dead_letter_can_be_discarded() {
    let world = World::start().await;
    let waiting = world.create(spec("lint")).await;
    let answer = world.discard(&waiting.id, "").await;
    let fault = refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    assert_eq!(fault.metadata()["state"], "PENDING");
    world.cancel(&waiting.id).await.expect("cancelled");
    let answer = world.discard(&waiting.id, "").await;
    refused(
        answer,
        Code::FailedPrecondition,
        Reason::TransitionForbidden,
    );
    let answer = world.discard(&AgentId::new().to_string(), "").await;
    refused(answer, Code::NotFound, Reason::ResourceNotFound);
}

#[tokio::test]
async fn dead_letters_are_discarded_by_filter() {
    let world = World::start().await;
    let agent = world.agent(&["lint", "build"]);
    world.dead_letters(agent, "lint", 3).await;
    world.dead_letters(agent, "build", 1).await;
    let first = world.discard_many(of_type("lint"), at_most(2, "")).await;
    let first = first.expect("two");
    assert_eq!(first.discarded_count, 2);
    let rest = world.discard_many(of_type("lint"), whole()).await;
    assert_eq!(rest.expect("one").discarded_count, 1);
    assert_eq!(world.listed(dead()).await, 1);
    let answer = world.discard_many(of_type("lint"), whole()).await;
    refused(answer, Code::FailedPrecondition, Reason::NothingMatched);
    let dry = BulkScope {
        dry_run: true,
        ..Default::default()
    };
    let counted = world.discard_many(of_type("build"), dry).await;
    assert_eq!(counted.expect("a count").matched_count, 1);
    assert_eq!(world.listed(dead()).await, 1);
}

#[tokio::test]
async fn a_dead_letter_is_redriven_or_discarded_and_never_both() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    for id in world.dead_letters(agent, "lint", 12).await {
        let (retried, discarded) = tokio::join!(world.retry(&id), world.discard(&id, ""));
        assert!(
            retried.is_ok() != discarded.is_ok(),
            "{retried:?}, {discarded:?}"
        );
        let task = world.get(&id).await;
        assert_eq!(task.discard.is_some(), discarded.is_ok());
        let state = if retried.is_ok() {
            TaskState::Pending
        } else {
            TaskState::Failed
        };
        assert_eq!(task.state(), state);
    }
}
