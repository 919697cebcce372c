//! Decisions of people, and artifacts that must not change after them.

use super::*;
use crate::domain::canonical::{digest, hex};
use crate::domain::failure::FailureClass;

/// generate -> approve -> apply, where apply may look at something else than what was approved.
fn guarded(applied: &str) -> Definition {
    let mut approve = Step::new("approve", StepType::Approval);
    approve.dependencies = vec!["generate".into()];
    approve.config = json!({
        "subject": "${{ steps.generate.output.files }}",
        "title": "Apply to ${{ input.dir }}?",
        "forbid_initiator": true,
    })
    .as_object()
    .cloned()
    .unwrap();
    let mut apply = after("apply", &["approve"]);
    apply.requires_approval = "approve".into();
    apply.input = json!({"artifact": applied}).as_object().cloned().unwrap();
    definition(vec![task("generate"), approve, apply])
}

const SAME: &str = "${{ steps.generate.output.files }}";

fn artifact() -> Value {
    json!({"deployment.yaml": "kind: Deployment\n"})
}

fn asked(applied: &str) -> Play {
    let mut play = Play::of(guarded(applied));
    play.complete("generate", json!({"files": artifact(), "other": {"x": 1}}));
    assert_eq!(play.state("approve"), StepState::WaitingApproval);
    play
}

fn decide_on(play: &mut Play, approved: bool) {
    let digest = play.approvals[0].digest.clone();
    play.apply(Event::Decided {
        step: 1,
        approved,
        comment: "seen".into(),
        digest,
    });
}

#[test]
fn an_approval_shows_the_artifact_and_its_digest() {
    let play = asked(SAME);
    let open = &play.approvals[0];
    assert_eq!(
        (&open.subject, &open.digest),
        (&artifact(), &hex(&digest(&artifact())))
    );
    assert_eq!(open.title, "Apply to k8s?");
    assert_eq!(open.producers, ["key:agent"]);
    assert!(open.forbid_initiator && !open.allow_agents);
    assert!(play.run.awaits_people(&play.plan));
    assert_eq!(open.id.uuid().get_version_num(), 7);
}

#[test]
fn what_was_approved_is_dispatched() {
    let mut play = asked(SAME);
    decide_on(&mut play, true);
    assert_eq!(play.orders[&(2, 1)], json!({"artifact": artifact()}));
    play.complete("apply", json!({}));
    assert_eq!(play.run.state, ExecutionState::Completed);
    assert_eq!(
        play.run.steps[1]
            .output
            .as_ref()
            .map(|o| o["approved"].clone()),
        Some(json!(true))
    );
}

#[test]
fn anything_else_is_not() {
    let mut play = asked("${{ steps.generate.output.other }}");
    decide_on(&mut play, true);
    assert_eq!(play.state("apply"), StepState::Failed);
    assert!(
        play.orders.keys().all(|(step, _)| *step != 2),
        "a task was created"
    );
    assert_eq!(
        play.run.error.map(|e| e.class),
        Some(FailureClass::DigestMismatch)
    );
}

#[test]
fn a_rejection_fails_the_step_and_skips_what_follows() {
    let mut play = asked(SAME);
    decide_on(&mut play, false);
    assert_eq!(
        (play.state("approve"), play.state("apply")),
        (StepState::Failed, StepState::Skipped)
    );
    let error = play.run.error.expect("an error");
    assert_eq!(error.class, FailureClass::Rejected);
    assert!(error.message.contains("seen"), "{}", error.message);
}

#[test]
fn a_skipped_approval_approves_nothing() {
    let mut workflow = guarded(SAME);
    workflow.steps[1].when = "!input.on".into();
    workflow.steps[2].trigger_rule = crate::domain::definition::TriggerRule::AllEnded;
    let mut play = Play::of(workflow);
    play.complete("generate", json!({"files": artifact()}));
    assert_eq!(play.state("approve"), StepState::Skipped);
    assert_eq!(play.state("apply"), StepState::Failed);
    assert_eq!(
        play.run.error.map(|e| e.class),
        Some(FailureClass::DigestMismatch)
    );
}

#[test]
fn nobody_deciding_in_time_fails_the_step() {
    let mut play = asked(SAME);
    let began = play.at.now;
    assert!(play.fire_next());
    assert_eq!(play.at.now - began, TimeDelta::days(7));
    assert_eq!(
        play.run.error.map(|e| e.class),
        Some(FailureClass::ApprovalExpired)
    );
    assert!(play.approvals.is_empty());
}

#[test]
fn a_decision_is_kept_while_paused_and_closed_by_a_cancel() {
    let mut play = asked(SAME);
    play.apply(Event::Pause(String::new()));
    decide_on(&mut play, true);
    assert_eq!(
        (play.state("approve"), play.state("apply")),
        (StepState::Completed, StepState::Pending)
    );
    play.apply(Event::Resume);
    assert_eq!(play.state("apply"), StepState::Dispatched);

    let mut play = asked(SAME);
    play.apply(Event::Cancel(String::new()));
    assert_eq!(play.run.state, ExecutionState::Cancelled);
    assert!(play.approvals.is_empty());
}

#[test]
fn a_second_decision_changes_nothing() {
    let mut play = asked(SAME);
    let digest = play.approvals[0].digest.clone();
    decide_on(&mut play, true);
    let before = play.run.clone();
    play.apply(Event::Decided {
        step: 1,
        approved: false,
        comment: String::new(),
        digest,
    });
    assert_eq!(play.run, before);
}

#[test]
fn producers_are_followed_through_transforms() {
    let mut workflow = guarded(SAME);
    let mut shaped = Step::new("shaped", StepType::Transform);
    shaped.dependencies = vec!["generate".into()];
    shaped.outputs = [("files".to_owned(), "steps.generate.output.files".to_owned())].into();
    workflow.steps.push(shaped);
    workflow.steps[1].dependencies = vec!["shaped".into()];
    workflow.steps[1]
        .config
        .insert("subject".into(), json!("${{ steps.shaped.output.files }}"));
    let mut play = Play::of(workflow);
    play.complete("generate", json!({"files": artifact()}));
    assert_eq!(play.approvals[0].producers, ["key:agent"]);
}

/// a -> b -> approve, where each step's input reads the one before.
fn relayed(subject: &str) -> Definition {
    let mut format = after("format", &["generate"]);
    format.input = json!({"text": "${{ steps.generate.output.text }}"})
        .as_object()
        .cloned()
        .unwrap();
    let mut approve = Step::new("approve", StepType::Approval);
    approve.dependencies = vec!["format".into()];
    approve.config = json!({ "subject": subject }).as_object().cloned().unwrap();
    definition(vec![task("generate"), format, approve])
}

fn complete_by(play: &mut Play, subject: &str, step: &str) {
    let step = play.index(step);
    let attempt = play.run.steps[step].attempt;
    play.at.actor = Actor {
        kind: ActorKind::Agent,
        subject: subject.into(),
        display_name: subject.into(),
    };
    play.apply(Event::Task(TaskReport {
        step,
        attempt,
        news: TaskNews::Completed {
            agent_id: subject.into(),
            result: json!({"text": "the same"}),
        },
    }));
}

#[test]
fn whose_work_was_handed_on_is_a_producer_too() {
    let mut play = Play::of(relayed("${{ steps.format.output.text }}"));
    complete_by(&mut play, "key:one", "generate");
    complete_by(&mut play, "key:two", "format");
    assert_eq!(play.approvals[0].producers, ["key:one", "key:two"]);
}

#[test]
fn who_gave_the_artifact_is_its_producer() {
    for subject in [
        "${{ input.dir }}",
        "${{ execution.context }}",
        "${{ {'by': steps.generate.output, 'to': input} }}",
    ] {
        let mut play = Play::of(relayed(subject));
        complete_by(&mut play, "key:one", "generate");
        complete_by(&mut play, "key:two", "format");
        let producers = &play.approvals[0].producers;
        assert!(producers.contains(&"key:starter".to_owned()), "{subject}");
    }
    let mut play = Play::of(relayed("${{ {'id': execution.id} }}"));
    complete_by(&mut play, "key:one", "generate");
    complete_by(&mut play, "key:two", "format");
    assert_eq!(play.approvals[0].producers, Vec::<String>::new());
}

#[test]
fn an_artifact_has_a_bound_and_its_texts_are_cut() {
    let mut definition = guarded(SAME);
    definition.steps[1]
        .config
        .insert("title".into(), json!("${{ steps.generate.output.long }}"));
    let mut play = Play::of(definition.clone());
    play.complete(
        "generate",
        json!({"files": artifact(), "long": "é".repeat(5_000)}),
    );
    assert_eq!(play.approvals[0].title.chars().count(), 200);
    definition.steps[1].config.insert(
        "subject".into(),
        json!("${{ [steps.generate.output, steps.generate.output] }}"),
    );
    let mut play = Play::of(definition);
    play.complete("generate", json!({"long": "x".repeat(200_000)}));
    assert_eq!(play.state("approve"), StepState::Failed);
    let error = play.run.error.clone().expect("an error");
    assert!(
        error.message.contains("at most 262144"),
        "{}",
        error.message
    );
}
