//! Attempts, timeouts, lost leases and late news.

use super::*;
use crate::domain::definition::{RetryPolicy, RetrySafety};
use crate::domain::failure::FailureClass;

fn retried() -> Definition {
    definition(vec![
        Step {
            retries: 2,
            timeout_ms: Some(10_000),
            ..task("a")
        },
        after("b", &["a"]),
    ])
}

#[test]
fn a_failed_attempt_is_followed_by_another_after_its_delay() {
    let mut play = Play::of(retried());
    play.fail("a");
    assert_eq!(play.state("a"), StepState::WaitingRetry);
    let due = play.run.steps[0].retry_time.expect("a time");
    assert!(due > play.at.now);
    assert!(play.fire_next());
    assert_eq!(
        (play.at.now, play.state("a"), play.run.steps[0].attempt),
        (due, StepState::Dispatched, 2)
    );
    play.complete("a", json!({}));
    assert_eq!(play.state("b"), StepState::Dispatched);
    assert_eq!(play.run.steps[0].error, None);
}

#[test]
fn attempts_are_used_up() {
    let mut play = Play::of(retried());
    for _ in 0..2 {
        play.fail("a");
        assert!(play.fire_next());
    }
    play.fail("a");
    assert_eq!(
        (play.state("a"), play.run.state),
        (StepState::Failed, ExecutionState::Failed)
    );
    assert_eq!(play.count(EntryKind::StepRetried), 2);
    assert_eq!(play.count(EntryKind::StepStarted), 3);
    assert_eq!(play.count(EntryKind::StepFailed), 1);
}

#[test]
fn what_is_never_retried_fails_at_once() {
    let policy = RetryPolicy {
        never_on: vec!["BROKEN".into()],
        ..RetryPolicy::default()
    };
    let step = Step {
        retries: 5,
        retry_policy: Some(policy),
        ..task("a")
    };
    let mut play = Play::of(definition(vec![step]));
    play.fail("a");
    assert_eq!(play.run.state, ExecutionState::Failed);
}

#[test]
fn a_timeout_cancels_the_task_and_is_retried() {
    let mut play = Play::of(retried());
    play.news(
        "a",
        TaskNews::Started {
            agent_id: "agent-1".into(),
        },
    );
    assert!(play.fire_next());
    assert_eq!(play.cancelled, [(0, 1)]);
    assert_eq!(play.state("a"), StepState::WaitingRetry);
    assert_eq!(
        play.run.steps[0].error.as_ref().map(|e| e.class),
        Some(FailureClass::Timeout)
    );
}

#[test]
fn a_timeout_that_must_not_be_repeated_leaves_the_outcome_unknown() {
    let mut workflow = retried();
    workflow.steps[0].retry_safety = RetrySafety::Never;
    let mut play = Play::of(workflow);
    assert!(play.fire_next());
    let error = play.run.error.expect("an error");
    assert_eq!(error.class, FailureClass::OutcomeUnknown);
}

#[test]
fn a_lost_lease_waits_for_another_agent() {
    let mut play = Play::of(retried());
    play.news(
        "a",
        TaskNews::Started {
            agent_id: "agent-1".into(),
        },
    );
    play.news("a", TaskNews::LeaseLost);
    assert_eq!(
        (play.state("a"), play.run.steps[0].attempt),
        (StepState::Dispatched, 1)
    );
    play.news(
        "a",
        TaskNews::Started {
            agent_id: "agent-2".into(),
        },
    );
    play.complete("a", json!({}));
    assert_eq!(play.state("a"), StepState::Completed);
}

#[test]
fn late_news_is_noted_and_not_applied() {
    let mut play = Play::of(retried());
    assert!(play.fire_next());
    assert!(play.fire_next());
    assert_eq!(play.run.steps[0].attempt, 2);
    play.news_of(
        "a",
        1,
        TaskNews::Completed {
            agent_id: "agent-1".into(),
            result: json!({}),
        },
    );
    assert_eq!(play.state("a"), StepState::Dispatched);
    assert_eq!(play.count(EntryKind::StepLateReport), 1);
}

#[test]
fn the_same_news_twice_changes_nothing() {
    let mut play = Play::of(retried());
    play.complete("a", json!({"n": 1}));
    let (before, entries) = (play.run.clone(), play.history.len());
    play.complete("a", json!({"n": 2}));
    play.fail("a");
    play.news("a", TaskNews::Cancelled);
    assert_eq!((play.run, play.history.len()), (before, entries));
}

#[test]
fn a_task_that_somebody_else_cancels_fails_the_step() {
    let mut play = Play::of(retried());
    play.news("a", TaskNews::Cancelled);
    let error = play.run.error.expect("an error");
    assert_eq!(
        (play.run.state, error.class),
        (ExecutionState::Failed, FailureClass::TaskCancelled)
    );
}

#[test]
fn a_timer_of_an_earlier_attempt_does_nothing() {
    let mut play = Play::of(retried());
    play.fail("a");
    assert!(play.fire_next());
    let before = play.run.clone();
    play.apply(Event::Timer {
        kind: TimerKind::StepTimeout,
        step: Some(0),
        attempt: 1,
    });
    play.apply(Event::Timer {
        kind: TimerKind::Retry,
        step: Some(0),
        attempt: 1,
    });
    assert_eq!(play.run, before);
}
