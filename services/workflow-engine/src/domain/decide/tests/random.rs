//! Random workflows under random orders of events: whatever comes, in whatever order and how often,
//! no attempt ends twice, no attempt is ordered twice, something will always wake the run, and when
//! everything that can happen has happened, the run has ended.

use proptest::prelude::*;

use super::*;
use crate::domain::definition::TriggerRule;

const STEPS: usize = 6;

#[derive(Debug, Clone)]
struct Shape {
    /// Which earlier steps it depends on, as bits.
    dependencies: u8,
    rule: u8,
    retries: u32,
    continue_on_error: bool,
    has_timeout: bool,
    is_approval: bool,
    condition: u8,
    fallback: u8,
    /// Which steps its fallback depends on, as bits.
    fallback_dependencies: u8,
}

fn shape() -> impl Strategy<Value = Shape> {
    (
        any::<u8>(),
        0..3_u8,
        0..3_u32,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..4_u8,
        0..8_u8,
        any::<u8>(),
    )
        .prop_map(
            |(
                dependencies,
                rule,
                retries,
                continue_on_error,
                has_timeout,
                is_approval,
                condition,
                fallback,
                fallback_dependencies,
            )| {
                Shape {
                    dependencies,
                    rule,
                    retries,
                    continue_on_error,
                    has_timeout,
                    is_approval,
                    condition,
                    fallback,
                    fallback_dependencies,
                }
            },
        )
}

/// Steps depend on earlier ones only. Fallbacks are extra steps at the end, which may depend on any
/// step, be shared by several, and have fallbacks themselves; so some of these are not valid.
fn workflow(shapes: &[Shape], fail_fast: bool, deadline: bool) -> Definition {
    let mut steps = Vec::new();
    let mut fallbacks = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        let id = format!("s{index}");
        let mut step = if shape.is_approval {
            let mut step = Step::new(&id, StepType::Approval);
            step.config
                .insert("subject".into(), json!("${{ input.dir }}"));
            step
        } else {
            let timeout_ms = shape.has_timeout.then_some(5_000);
            Step {
                retries: shape.retries,
                timeout_ms,
                ..task(&id)
            }
        };
        let earlier = (0..index).filter(|other| shape.dependencies & (1 << other) != 0);
        step.dependencies = earlier.map(|other| format!("s{other}")).collect();
        step.trigger_rule = TriggerRule::ALL[usize::from(shape.rule)];
        step.continue_on_error = shape.continue_on_error;
        if shape.condition == 0 {
            step.when = "!input.on".into();
        }
        step.on_failure = fallback_of(index, shape, shapes.len(), &mut fallbacks);
        steps.push(step);
    }
    steps.extend(fallbacks);
    Definition {
        fail_fast,
        timeout_ms: deadline.then_some(20_000),
        ..definition(steps)
    }
}

/// The name of a step's fallback, which is made unless it is another step's too.
fn fallback_of(index: usize, shape: &Shape, count: usize, fallbacks: &mut Vec<Step>) -> String {
    let dependencies: Vec<_> = (0..count)
        .filter(|other| *other != index && shape.fallback_dependencies & (1 << other) != 0)
        .map(|other| format!("s{other}"))
        .collect();
    let name = format!("f{index}");
    let made = Step {
        dependencies,
        trigger_rule: TriggerRule::ALL[usize::from(shape.rule)],
        ..task(&name)
    };
    match (shape.fallback, fallbacks.last()) {
        (0..=3, _) => return String::new(),
        (4, Some(last)) => return last.id.clone(),
        (5, _) => fallbacks.push(task(&name)),
        (6, _) => fallbacks.push(made),
        (_, _) => {
            let again = format!("g{index}");
            fallbacks.push(Step {
                id: again.clone(),
                ..made
            });
            fallbacks.push(Step {
                on_failure: again,
                ..task(&name)
            });
        }
    }
    name
}

/// Applies one random thing that could happen now, or could happen again.
fn something(play: &mut Play, choice: u8, which: u8) {
    let step = usize::from(which) % play.run.steps.len();
    let attempt = play.run.steps[step].attempt;
    let id = play.plan.steps()[step].id.clone();
    let stale = attempt.saturating_sub(u32::from(which.is_multiple_of(3)));
    let ordered = play.orders.contains_key(&(step, stale));
    match choice {
        0..=2 if ordered => {
            let news = TaskNews::Completed {
                agent_id: "a".into(),
                result: json!({"n": which}),
            };
            play.news_of(&id, stale, news);
        }
        3..=4 if ordered => {
            let failure = Failure::reported("BROKEN", "no");
            play.news_of(&id, stale, TaskNews::Failed { failure });
        }
        5 if ordered => play.news_of(
            &id,
            stale,
            TaskNews::Started {
                agent_id: "a".into(),
            },
        ),
        6 if ordered => play.news_of(&id, stale, TaskNews::LeaseLost),
        7 if play.cancelled.contains(&(step, stale)) => {
            play.news_of(&id, stale, TaskNews::Cancelled);
        }
        8..=9 => drop(play.fire_next()),
        10..=11 => {
            if let Some(open) = play.approvals.first() {
                let (step, digest) = (open.step, open.digest.clone());
                let approved = !which.is_multiple_of(4);
                play.apply(Event::Decided {
                    step,
                    approved,
                    comment: String::new(),
                    digest,
                });
            }
        }
        12 => drop(play.try_apply(Event::Pause(String::new()))),
        13 => drop(play.try_apply(Event::Resume)),
        14 if which == 0 => drop(play.try_apply(Event::Cancel(String::new()))),
        _ => {}
    }
}

/// Lets everything that is still open come to its end.
fn drain(play: &mut Play) {
    for _ in 0..2_000 {
        if play.run.state.is_final() {
            return;
        }
        let _ = play.try_apply(Event::Resume);
        if let Some((step, attempt)) = play.tasks.first().copied() {
            let id = play.plan.steps()[step].id.clone();
            let news = if play.cancelled.contains(&(step, attempt)) {
                TaskNews::Cancelled
            } else {
                TaskNews::Completed {
                    agent_id: "a".into(),
                    result: json!({}),
                }
            };
            play.news_of(&id, attempt, news);
        } else if let Some(open) = play.approvals.first() {
            let (step, digest) = (open.step, open.digest.clone());
            play.apply(Event::Decided {
                step,
                approved: true,
                comment: String::new(),
                digest,
            });
        } else if !play.fire_next() {
            break;
        }
    }
    assert!(play.run.state.is_final(), "it never ends: {:?}", play.run);
}

fn check(play: &Play) {
    let ends = [
        EntryKind::StepCompleted,
        EntryKind::StepFailed,
        EntryKind::StepSkipped,
        EntryKind::StepCancelled,
    ];
    for step in play.plan.steps() {
        let of = |kinds: &[EntryKind]| {
            play.history
                .iter()
                .filter(|(kind, id, _)| kinds.contains(kind) && *id == step.id)
                .count()
        };
        assert_eq!(
            of(&ends),
            1,
            "{} ends not once: {:?}",
            step.id,
            play.history
        );
        assert!(of(&[EntryKind::StepStarted]) <= step.max_attempts() as usize);
        // Each attempt but the last ended by being retried, once.
        assert!(of(&[EntryKind::StepRetried]) <= of(&[EntryKind::StepStarted]));
    }
    let over = [
        EntryKind::ExecutionCompleted,
        EntryKind::ExecutionFailed,
        EntryKind::ExecutionCancelled,
        EntryKind::ExecutionTimedOut,
    ];
    let ended = play
        .history
        .iter()
        .filter(|(kind, ..)| over.contains(kind))
        .count();
    assert_eq!(ended, 1);
    assert!(
        play.history
            .last()
            .is_some_and(|(kind, ..)| over.contains(kind)),
        "news after the end"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        // A case that was found becomes a test by name; no file keeps it.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_it_ends_once_and_never_gets_stuck(
        shapes in proptest::collection::vec(shape(), 1..=STEPS),
        fail_fast in any::<bool>(),
        deadline in any::<bool>(),
        events in proptest::collection::vec((0..15_u8, any::<u8>()), 0..120),
    ) {
        let workflow = workflow(&shapes, fail_fast, deadline);
        if Plan::compile(workflow.clone()).is_err() {
            return Ok(());
        }
        let mut play = Play::of(workflow);
        for (choice, which) in events {
            // `keep` asserts after each event that something will wake the run.
            something(&mut play, choice, which);
        }
        drain(&mut play);
        check(&play);
    }
}
