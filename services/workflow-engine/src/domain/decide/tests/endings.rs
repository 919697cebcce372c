//! Pause, resume, cancel, deadlines and fail_fast.

use super::*;
use crate::domain::failure::FailureClass;

fn three() -> Definition {
    definition(vec![task("a"), task("b"), after("c", &["a", "b"])])
}

#[test]
fn a_paused_run_keeps_results_and_dispatches_nothing() {
    let mut play = Play::of(three());
    play.apply(Event::Pause("lunch".into()));
    play.complete("a", json!({}));
    play.complete("b", json!({}));
    assert_eq!(
        (play.run.state, play.state("c")),
        (ExecutionState::Paused, StepState::Pending)
    );
    play.apply(Event::Pause("again".into()));
    assert_eq!(play.count(EntryKind::ExecutionPaused), 1);
    play.apply(Event::Resume);
    assert_eq!(
        (play.run.state, play.state("c")),
        (ExecutionState::Running, StepState::Dispatched)
    );
    play.apply(Event::Resume);
    assert_eq!(play.count(EntryKind::ExecutionResumed), 1);
}

#[test]
fn a_retry_waits_for_the_resume() {
    let mut play = Play::of(definition(vec![Step {
        retries: 1,
        ..task("a")
    }]));
    play.apply(Event::Pause(String::new()));
    play.fail("a");
    assert_eq!(play.state("a"), StepState::WaitingRetry);
    assert!(!play.fire_next(), "a timer fires while paused");
    play.apply(Event::Resume);
    assert!(play.fire_next());
    assert_eq!(play.state("a"), StepState::Dispatched);
}

#[test]
fn the_last_result_while_paused_ends_the_run_on_resume() {
    let mut play = Play::of(definition(vec![task("a")]));
    play.apply(Event::Pause(String::new()));
    play.complete("a", json!({}));
    assert_eq!(play.run.state, ExecutionState::Paused);
    play.apply(Event::Resume);
    assert_eq!(play.run.state, ExecutionState::Completed);
}

#[test]
fn cancel_stops_what_runs_and_waits_for_it() {
    let mut play = Play::of(three());
    play.complete("a", json!({}));
    play.apply(Event::Cancel("enough".into()));
    assert_eq!(play.cancelled, [(1, 1)]);
    assert_eq!(
        (play.state("b"), play.state("c")),
        (StepState::Cancelling, StepState::Cancelled)
    );
    assert_eq!(play.run.state, ExecutionState::Running);
    assert!(play.run.stopping.is_some());
    play.apply(Event::Cancel("again".into()));
    assert_eq!(play.cancelled.len(), 1);
    play.news("b", TaskNews::Cancelled);
    assert_eq!(
        (play.run.state, play.state("b")),
        (ExecutionState::Cancelled, StepState::Cancelled)
    );
    play.apply(Event::Cancel("and again".into()));
    assert_eq!(play.count(EntryKind::ExecutionCancelled), 1);
}

#[test]
fn what_does_not_confirm_is_given_up() {
    let mut play = Play::of(three());
    play.apply(Event::Cancel(String::new()));
    let began = play.at.now;
    assert!(play.fire_next());
    assert_eq!(play.run.state, ExecutionState::Cancelled);
    assert_eq!(play.at.now - began, TimeDelta::seconds(30));
}

#[test]
fn an_agent_that_was_done_first_keeps_its_result() {
    let mut play = Play::of(three());
    play.apply(Event::Cancel(String::new()));
    play.complete("a", json!({"done": true}));
    play.fail("b");
    assert_eq!(
        (play.state("a"), play.state("b")),
        (StepState::Completed, StepState::Cancelled)
    );
    assert_eq!(play.run.state, ExecutionState::Cancelled);
}

#[test]
fn a_paused_run_can_be_cancelled() {
    let mut play = Play::of(definition(vec![task("a"), after("b", &["a"])]));
    play.apply(Event::Pause(String::new()));
    play.complete("a", json!({}));
    play.apply(Event::Cancel(String::new()));
    assert_eq!(play.run.state, ExecutionState::Cancelled);
}

#[test]
fn an_ended_or_stopping_run_refuses() {
    let mut play = Play::of(definition(vec![task("a")]));
    play.complete("a", json!({}));
    for event in [
        Event::Pause(String::new()),
        Event::Resume,
        Event::Cancel(String::new()),
    ] {
        let refusal = play.try_apply(event).expect_err("an ended run moved");
        assert_eq!(refusal.from, ExecutionState::Completed);
    }
    let mut play = Play::of(definition(vec![task("a")]));
    play.apply(Event::Cancel(String::new()));
    assert!(play.try_apply(Event::Pause(String::new())).is_err());
    assert!(play.try_apply(Event::Resume).is_err());
}

#[test]
fn the_deadline_ends_even_a_paused_run() {
    for paused in [false, true] {
        let mut play = Play::of(Definition {
            timeout_ms: Some(60_000),
            ..three()
        });
        if paused {
            play.apply(Event::Pause(String::new()));
        }
        assert!(play.fire_next());
        assert_eq!(play.cancelled.len(), 2);
        play.news("a", TaskNews::Cancelled);
        play.news("b", TaskNews::Cancelled);
        assert_eq!(play.run.state, ExecutionState::Timeout);
        assert_eq!(
            play.run.error.as_ref().map(|e| e.class),
            Some(FailureClass::Timeout)
        );
    }
}

#[test]
fn the_deadline_ends_a_paused_run_of_which_nothing_is_left() {
    let mut play = Play::of(Definition {
        timeout_ms: Some(60_000),
        ..definition(vec![task("a")])
    });
    play.apply(Event::Pause(String::new()));
    play.complete("a", json!({}));
    assert!(play.fire_next());
    assert_eq!(play.run.state, ExecutionState::Timeout);
}

#[test]
fn fail_fast_stops_the_other_branches() {
    let mut play = Play::of(Definition {
        fail_fast: true,
        ..three()
    });
    play.fail("a");
    assert_eq!(play.cancelled, [(1, 1)]);
    assert_eq!(play.state("c"), StepState::Cancelled);
    play.news("b", TaskNews::Cancelled);
    assert_eq!(play.run.state, ExecutionState::Failed);
    assert_eq!(play.run.error.map(|e| e.step_id).as_deref(), Some("a"));
}

#[test]
fn fail_fast_waits_for_fallbacks_and_minds_excuses() {
    let a = Step {
        on_failure: "rescue".into(),
        ..task("a")
    };
    let excused = Step {
        continue_on_error: true,
        ..task("excused")
    };
    let steps = vec![a, task("rescue"), excused, task("other")];
    let mut play = Play::of(Definition {
        fail_fast: true,
        ..definition(steps)
    });
    play.fail("a");
    play.fail("excused");
    assert_eq!(
        (play.state("rescue"), play.state("other")),
        (StepState::Dispatched, StepState::Dispatched)
    );
    play.fail("rescue");
    assert_eq!(play.state("other"), StepState::Cancelling);
}

#[test]
fn an_output_without_a_value_fails_the_run() {
    let mut workflow = definition(vec![task("a")]);
    workflow.output = json!({"x": "${{ steps.a.output.absent }}"})
        .as_object()
        .cloned()
        .unwrap();
    let mut play = Play::of(workflow);
    play.complete("a", json!({}));
    assert_eq!(play.run.state, ExecutionState::Failed);
    assert_eq!(
        play.run.error.map(|e| e.class),
        Some(FailureClass::Expression)
    );
}
