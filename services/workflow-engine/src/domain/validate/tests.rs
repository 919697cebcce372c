//! Every fault is found, with its field and its step, and all of them at once.

use serde_json::{Value, json};

use crate::domain::definition::{
    Amount, Definition, RetryPolicy, RetrySafety, Step, StepType, TriggerRule, WorkflowType,
};
use crate::domain::plan::Plan;

fn task(id: &str) -> Step {
    Step {
        action: "do.it".into(),
        ..Step::new(id, StepType::Task)
    }
}

fn definition(steps: Vec<Step>) -> Definition {
    Definition {
        name: "test".into(),
        kind: WorkflowType::Parallel,
        description: String::new(),
        agents: serde_json::Map::new(),
        steps,
        config: serde_json::Map::new(),
        tags: Vec::new(),
        input_schema: None,
        output: serde_json::Map::new(),
        timeout_ms: None,
        fail_fast: false,
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

/// The fields of all faults, in order.
fn faults(definition: Definition) -> Vec<String> {
    match Plan::compile(definition) {
        Ok(_) => Vec::new(),
        Err(defects) => defects.into_iter().map(|defect| defect.field).collect(),
    }
}

/// The one fault's text.
fn fault(definition: Definition, field: &str) -> String {
    let defects = Plan::compile(definition).expect_err("no fault was found");
    let fields: Vec<_> = defects.iter().map(|defect| defect.field.as_str()).collect();
    assert_eq!(fields, [field], "{defects:?}");
    defects[0].description.clone()
}

#[test]
fn a_whole_definition_is_valid() {
    let mut gate = Step::new("gate", StepType::Approval);
    gate.dependencies = vec!["build".into()];
    gate.config = object(json!({"subject": "${{ steps.build.output }}", "title": "Go?"}));
    let mut apply = task("apply");
    apply.dependencies = vec!["gate".into()];
    apply.requires_approval = "gate".into();
    apply.input = object(json!({"artifact": "${{ steps.build.output }}"}));
    apply.trigger_rule = TriggerRule::AllEnded;
    apply.retries = 3;
    apply.retry_policy = Some(RetryPolicy::default());
    apply.budget_amount = Some(Amount {
        amount: "0.50".into(),
        currency_code: "EUR".into(),
    });
    let mut workflow = definition(vec![task("build"), gate, apply]);
    workflow.input_schema = Some(json!({"type": "object"}));
    workflow.output = object(json!({"all": "${{ steps.apply.output }}"}));
    assert_eq!(faults(workflow), Vec::<String>::new());
}

#[test]
fn all_faults_come_at_once_in_the_definitions_order() {
    let mut second = task("B!");
    second.when = "input.".into();
    second.retries = 21;
    second.dependencies = vec!["nowhere".into()];
    let mut workflow = definition(vec![
        Step {
            action: String::new(),
            ..task("a")
        },
        second,
    ]);
    workflow.name = "Bad Name".into();
    workflow.timeout_ms = Some(1);
    let found = faults(workflow);
    assert_eq!(
        found,
        [
            "name",
            "timeout",
            "steps[0].action",
            "steps[1].id",
            "steps[1].retries",
            "steps[1].dependencies[0]",
            "steps[1].when",
        ]
    );
}

#[test]
fn steps_have_distinct_readable_ids() {
    for id in ["", "A", "1a", "a-b", "in", "true", &"a".repeat(64)] {
        assert_eq!(
            faults(definition(vec![task(id)])),
            ["steps[0].id"],
            "{id:?}"
        );
    }
    let twice = fault(definition(vec![task("a"), task("a")]), "steps[1].id");
    assert!(twice.contains("called a too"));
}

#[test]
fn circles_are_named() {
    let after = |id: &str, on: &str| Step {
        dependencies: vec![on.into()],
        ..task(id)
    };
    let text = fault(
        definition(vec![after("a", "c"), after("b", "a"), after("c", "b")]),
        "steps[0].dependencies",
    );
    assert!(text.contains("a -> c -> b -> a"), "{text}");
    let own = faults(definition(vec![after("a", "a")]));
    assert_eq!(own, ["steps[0].dependencies"]);
    // notify waits until it is known whether rollback excuses deploy, which notify may yet excuse.
    let deploy = Step {
        on_failure: "rollback".into(),
        ..task("deploy")
    };
    let rollback = Step {
        on_failure: "notify".into(),
        ..task("rollback")
    };
    let text = fault(
        definition(vec![deploy, rollback, after("notify", "deploy")]),
        "steps[2].dependencies",
    );
    assert!(text.contains("notify"), "{text}");
    let both = |id: &str, on: &str| Step {
        on_failure: on.into(),
        ..task(id)
    };
    assert_eq!(
        faults(definition(vec![both("a", "b"), both("b", "a")])).len(),
        1
    );
}

#[test]
fn a_fallback_waits_without_saying_so() {
    let a = Step {
        on_failure: "f".into(),
        ..task("a")
    };
    let f = Step {
        dependencies: vec!["a".into()],
        ..task("f")
    };
    assert!(fault(definition(vec![a, f]), "steps[1].dependencies[0]").contains("remove it"));
    let own = Step {
        on_failure: "a".into(),
        ..task("a")
    };
    assert!(fault(definition(vec![own]), "steps[0].on_failure").contains("own fallback"));
}

#[test]
fn expressions_read_only_what_comes_before_them() {
    let reads = |when: &str| {
        definition(vec![
            task("a"),
            Step {
                when: when.into(),
                ..task("b")
            },
        ])
    };
    assert!(fault(reads("steps.a.status == 'X'"), "steps[1].when").contains("does not come after"));
    assert!(fault(reads("steps.z.status == 'X'"), "steps[1].when").contains("no step called"));
    assert!(fault(reads("secrets.x == 1"), "steps[1].when").contains("secrets"));
    assert!(fault(reads("result.x == 1"), "steps[1].when").contains("result"));
    assert!(fault(reads("1 > 2"), "steps[1].when").contains("never run"));
    let deep = "input.l.all(a, input.l.all(b, input.l.all(c, true)))";
    assert!(fault(reads(deep), "steps[1].when").contains("deeper"));
    let input = Step {
        input: object(json!({"x": ["${{ 1 + }}"]})),
        ..task("a")
    };
    assert_eq!(faults(definition(vec![input])), ["steps[0].input.x[0]"]);
}

#[test]
fn each_type_has_its_own_fields() {
    let bare = Step::new("a", StepType::Approval);
    assert_eq!(
        faults(definition(vec![bare.clone()])),
        ["steps[0].config.subject"]
    );
    let constant = Step {
        config: object(json!({"subject": "x"})),
        ..bare.clone()
    };
    assert!(fault(definition(vec![constant]), "steps[0].config.subject").contains("must read"));
    let config = json!({"subject": "${{ input }}", "quorum": 2, "allow_agents": "yes"});
    let wrong = Step {
        config: object(config),
        retries: 1,
        action: "x".into(),
        ..bare
    };
    assert_eq!(
        faults(definition(vec![wrong])),
        [
            "steps[0].config.quorum",
            "steps[0].config.allow_agents",
            "steps[0].action",
            "steps[0].retries"
        ]
    );
    let transform = Step::new("t", StepType::Transform);
    assert_eq!(faults(definition(vec![transform])), ["steps[0].outputs"]);
}

#[test]
fn what_is_not_supported_yet_says_so() {
    let wait = fault(
        definition(vec![Step::new("w", StepType::Wait)]),
        "steps[0].type",
    );
    assert!(wait.contains("not supported yet"));
    let looped = Definition {
        kind: WorkflowType::Loop,
        ..definition(vec![task("a")])
    };
    assert!(fault(looped, "type").contains("not supported yet"));
    let safety = Step {
        retry_safety: RetrySafety::VerifyFirst,
        ..task("a")
    };
    assert!(fault(definition(vec![safety]), "steps[0].retry_safety").contains("not supported yet"));
    let pinned = Step {
        agent_id: "x".into(),
        ..task("a")
    };
    assert!(fault(definition(vec![pinned]), "steps[0].agent_id").contains("not supported yet"));
}

#[test]
fn workflow_types_ask_for_what_they_are_about() {
    for kind in [
        WorkflowType::Conditional,
        WorkflowType::ErrorHandling,
        WorkflowType::Collaborative,
    ] {
        let plain = Definition {
            kind,
            ..definition(vec![task("a")])
        };
        assert_eq!(faults(plain), ["type"], "{kind:?}");
    }
}

#[test]
fn an_approval_is_required_of_an_approval_step_that_comes_before() {
    let mut apply = task("apply");
    apply.requires_approval = "other".into();
    assert_eq!(
        faults(definition(vec![task("other"), apply.clone()])),
        ["steps[1].input", "steps[1].requires_approval"]
    );
    let mut gate = Step::new("other", StepType::Approval);
    gate.config = object(json!({"subject": "${{ input }}"}));
    apply.input = object(json!({"artifact": "${{ input }}"}));
    let text = fault(definition(vec![gate, apply]), "steps[1].requires_approval");
    assert!(text.contains("comes after"), "{text}");
}

#[test]
fn bounds_are_kept() {
    let policy = |change: fn(&mut RetryPolicy)| {
        let mut policy = RetryPolicy::default();
        change(&mut policy);
        definition(vec![Step {
            retries: 1,
            retry_policy: Some(policy),
            ..task("a")
        }])
    };
    let cases: [(Definition, &str); 7] = [
        (
            policy(|p| p.multiplier = 11.0),
            "steps[0].retry_policy.multiplier",
        ),
        (
            policy(|p| p.multiplier = f64::NAN),
            "steps[0].retry_policy.multiplier",
        ),
        (policy(|p| p.jitter = -0.1), "steps[0].retry_policy.jitter"),
        (
            policy(|p| p.max_delay_ms = 1),
            "steps[0].retry_policy.max_delay",
        ),
        (
            policy(|p| p.never_on = vec![String::new()]),
            "steps[0].retry_policy.never_on",
        ),
        (
            definition(vec![Step {
                timeout_ms: Some(999),
                ..task("a")
            }]),
            "steps[0].timeout",
        ),
        (definition(Vec::new()), "steps"),
    ];
    for (workflow, field) in cases {
        assert_eq!(faults(workflow), [field]);
    }
    for (amount, code) in [
        ("0", "EUR"),
        ("-1", "EUR"),
        ("1e3", "EUR"),
        ("01", "EUR"),
        ("1", "eur"),
    ] {
        let amount = Amount {
            amount: amount.into(),
            currency_code: code.into(),
        };
        let step = Step {
            budget_amount: Some(amount.clone()),
            ..task("a")
        };
        assert_eq!(
            faults(definition(vec![step])),
            ["steps[0].budget_amount"],
            "{amount:?}"
        );
    }
    let many = (0..501).map(|index| task(&format!("s{index}"))).collect();
    assert_eq!(faults(definition(many)), ["steps"]);
}

#[test]
fn a_schema_must_be_one() {
    let mut workflow = definition(vec![task("a")]);
    workflow.input_schema = Some(json!({"type": 7}));
    assert_eq!(faults(workflow), ["input_schema"]);
    // A pattern that would keep a processor busy for seconds.
    let mut workflow = definition(vec![task("a")]);
    workflow.input_schema = Some(json!({"pattern": "[012]*1[012]{3000}[34]"}));
    assert_eq!(faults(workflow), ["input_schema"]);
}

#[test]
fn five_hundred_steps_are_checked_quickly() {
    let steps = (0..500_usize).map(|index| {
        let dependencies = (index.saturating_sub(5)..index).map(|other| format!("s{other}"));
        Step {
            dependencies: dependencies.collect(),
            ..task(&format!("s{index}"))
        }
    });
    assert!(Plan::compile(definition(steps.collect())).is_ok());
}

#[test]
fn content_decides_the_digest_of_a_definition() {
    let one = definition(vec![task("a")]);
    assert_eq!(one.digest(), definition(vec![task("a")]).digest());
    assert_ne!(one.digest(), definition(vec![task("b")]).digest());
}
