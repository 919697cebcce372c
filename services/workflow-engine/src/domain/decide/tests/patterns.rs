//! Order, conditions, fallbacks and data flow.

use super::*;
use crate::domain::definition::TriggerRule;

#[test]
fn a_sequence_runs_as_written() {
    let steps = vec![task("a"), task("b")];
    let mut play = Play::of(Definition {
        kind: WorkflowType::Sequential,
        ..definition(steps)
    });
    assert_eq!(
        (play.state("a"), play.state("b")),
        (StepState::Dispatched, StepState::Pending)
    );
    play.complete("a", json!({}));
    assert_eq!(play.state("b"), StepState::Dispatched);
    play.complete("b", json!({}));
    assert_eq!(play.run.state, ExecutionState::Completed);
    assert_eq!(play.run.progress(), 100);
}

#[test]
fn independent_steps_run_at_the_same_time_and_join() {
    let mut play = Play::of(definition(vec![
        after("join", &["a", "b"]),
        task("a"),
        task("b"),
    ]));
    assert_eq!(play.tasks.len(), 2);
    play.complete("b", json!({}));
    assert_eq!(play.state("join"), StepState::Pending);
    play.complete("a", json!({}));
    assert_eq!(play.state("join"), StepState::Dispatched);
}

#[test]
fn data_flows_through_expressions() {
    let mut second = after("second", &["first"]);
    second.input = json!({"n": "${{ steps.first.output.n + 1 }}", "dir": "in ${{ input.dir }}"})
        .as_object()
        .cloned()
        .unwrap();
    second.outputs = [(
        "total".to_owned(),
        "result.x + steps.first.output.n".to_owned(),
    )]
    .into();
    let mut total = Step::new("total", StepType::Transform);
    total.dependencies = vec!["second".into()];
    total.outputs = [(
        "double".to_owned(),
        "steps.second.output.total * 2".to_owned(),
    )]
    .into();
    let mut workflow = definition(vec![task("first"), second, total]);
    workflow.output = json!({"answer": "${{ steps.total.output.double }}"})
        .as_object()
        .cloned()
        .unwrap();
    let mut play = Play::of(workflow);
    play.complete("first", json!({"n": 20}));
    assert_eq!(play.orders[&(1, 1)], json!({"n": 21, "dir": "in k8s"}));
    play.complete("second", json!({"x": 1}));
    assert_eq!(play.run.state, ExecutionState::Completed);
    assert_eq!(play.run.output, Some(json!({"answer": 42})));
}

#[test]
fn a_false_condition_skips_and_skipping_propagates() {
    let off = Step {
        when: "!input.on".into(),
        ..task("off")
    };
    let mut cleanup = after("cleanup", &["next"]);
    cleanup.trigger_rule = TriggerRule::AllEnded;
    let mut play = Play::of(definition(vec![
        off,
        after("next", &["off"]),
        cleanup,
        task("other"),
    ]));
    assert_eq!(
        (play.state("off"), play.state("next")),
        (StepState::Skipped, StepState::Skipped)
    );
    assert_eq!(play.state("cleanup"), StepState::Dispatched);
    assert_eq!(play.run.steps[1].note, "off is SKIPPED");
    play.complete("cleanup", json!({}));
    play.complete("other", json!({}));
    assert_eq!(play.run.state, ExecutionState::Completed);
}

#[test]
fn alternatives_join_where_one_of_them_ran() {
    let branch = |id: &str, when: &str| Step {
        when: when.into(),
        ..task(id)
    };
    let mut join = after("join", &["yes", "no"]);
    join.trigger_rule = TriggerRule::AnySucceeded;
    let mut play = Play::of(definition(vec![
        branch("yes", "input.on"),
        branch("no", "!input.on"),
        join,
    ]));
    play.complete("yes", json!({}));
    assert_eq!(play.state("join"), StepState::Dispatched);
}

#[test]
fn everything_skipped_is_completed_at_once() {
    let off = Step {
        when: "!input.on".into(),
        ..task("off")
    };
    let play = Play::of(definition(vec![off]));
    assert_eq!(play.run.state, ExecutionState::Completed);
}

#[test]
fn a_failure_spares_other_branches_and_fails_the_run_in_the_end() {
    let mut play = Play::of(definition(vec![task("a"), after("b", &["a"]), task("c")]));
    play.fail("a");
    assert_eq!(
        (play.state("b"), play.state("c")),
        (StepState::Skipped, StepState::Dispatched)
    );
    assert_eq!(play.run.state, ExecutionState::Running);
    play.complete("c", json!({}));
    assert_eq!(play.run.state, ExecutionState::Failed);
    let error = play.run.error.expect("an error");
    assert_eq!(
        (error.step_id.as_str(), error.code.as_str()),
        ("a", "BROKEN")
    );
}

#[test]
fn continue_on_error_lets_the_rest_go_on() {
    let a = Step {
        continue_on_error: true,
        ..task("a")
    };
    let mut b = after("b", &["a"]);
    b.when = "steps.a.status == 'FAILED' && steps.a.error.code == 'BROKEN'".into();
    let mut play = Play::of(definition(vec![a, b]));
    play.fail("a");
    assert_eq!(play.state("b"), StepState::Dispatched);
    play.complete("b", json!({}));
    assert_eq!(play.run.state, ExecutionState::Completed);
}

fn with_fallback() -> Definition {
    let a = Step {
        on_failure: "rescue".into(),
        ..task("a")
    };
    definition(vec![a, task("rescue"), after("next", &["a"])])
}

#[test]
fn a_fallback_runs_only_after_a_failure() {
    let mut play = Play::of(with_fallback());
    assert_eq!(play.state("rescue"), StepState::Pending);
    play.complete("a", json!({}));
    assert_eq!(
        (play.state("rescue"), play.state("next")),
        (StepState::Skipped, StepState::Dispatched)
    );
    play.complete("next", json!({}));
    assert_eq!(play.run.state, ExecutionState::Completed);
}

#[test]
fn a_fallback_that_completes_excuses_the_failure() {
    let mut play = Play::of(with_fallback());
    play.fail("a");
    assert_eq!(
        (play.state("rescue"), play.state("next")),
        (StepState::Dispatched, StepState::Pending)
    );
    play.complete("rescue", json!({}));
    assert_eq!(play.state("next"), StepState::Dispatched);
    play.complete("next", json!({}));
    assert_eq!(play.run.state, ExecutionState::Completed);
}

#[test]
fn a_fallback_that_fails_excuses_nothing() {
    let mut play = Play::of(with_fallback());
    play.fail("a");
    play.fail("rescue");
    assert_eq!(play.state("next"), StepState::Skipped);
    assert_eq!(play.run.state, ExecutionState::Failed);
}

#[test]
fn an_expression_without_a_value_fails_its_step_and_never_counts_as_false() {
    let bad = Step {
        when: "input.absent".into(),
        retries: 3,
        ..task("bad")
    };
    let play = Play::of(definition(vec![bad]));
    assert_eq!(play.run.state, ExecutionState::Failed);
    let error = play.run.error.expect("an error");
    assert_eq!(
        error.class,
        crate::domain::failure::FailureClass::Expression
    );
    assert!(error.message.contains("absent"), "{}", error.message);
}

#[test]
fn results_that_are_no_object_or_too_large_are_refused() {
    for result in [json!([1]), json!({"x": "y".repeat(300_000)})] {
        let mut play = Play::of(definition(vec![task("a")]));
        play.complete("a", result);
        let error = play.run.error.expect("an error");
        assert_eq!(
            error.class,
            crate::domain::failure::FailureClass::OutputInvalid
        );
    }
}
