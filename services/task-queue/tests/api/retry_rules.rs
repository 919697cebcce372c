//! Retry policies that tell errors apart.

use chrono::TimeDelta;
use reeve_clock::Clock as _;
use reeve_contracts::event::v1::Event;
use reeve_contracts::task::v1::{self as proto, RetryRule, RetryVerdict, TaskSpec, TaskState};
use reeve_ids::AgentId;
use reeve_status::{Code, Reason};

use crate::harness::*;

fn rule(code: &str) -> RetryRule {
    RetryRule {
        error_codes: vec![code.to_owned()],
        ..Default::default()
    }
}

fn ruled(max_attempts: i32, rules: Vec<RetryRule>) -> TaskSpec {
    let mut spec = hasty("lint", max_attempts);
    if let Some(policy) = &mut spec.retry_policy {
        policy.rules = rules;
    }
    spec
}

/// Leases the one task and fails it.
async fn fail_with(world: &World, agent: AgentId, code: &str, retryable: bool) -> TaskState {
    let lease = world.lease_one(agent).await;
    let request = failure(&lease.lease_token, code, retryable);
    let answer = world.work().fail_task(world.ask(request)).await;
    answer.expect("it fails").into_inner().state()
}

#[tokio::test]
async fn errors_are_told_apart_and_counted_apart() {
    let world = World::start().await;
    let agent = world.agent(&["lint"]);
    let rules = vec![
        RetryRule {
            verdict: RetryVerdict::Fail.into(),
            ..rule("BAD_INPUT")
        },
        RetryRule {
            verdict: RetryVerdict::Retry.into(),
            max_attempts: 4,
            ..rule("RATE_*")
        },
    ];
    let created = world.create(ruled(2, rules.clone())).await;
    let spec = created.spec.as_ref().expect("it has a spec");
    let policy = spec.retry_policy.as_ref().expect("it has a policy");
    assert_eq!(policy.rules, rules);
    for code in ["RATE_LIMITED", "RATE_OVER", "RATE_LIMITED"] {
        let state = fail_with(&world, agent, code, false).await;
        assert_eq!(state, TaskState::Pending, "whatever the agent says");
    }
    let state = fail_with(&world, agent, "BROKEN", true).await;
    assert_eq!(state, TaskState::Pending, "the first of its kind");
    let state = fail_with(&world, agent, "RATE_LIMITED", true).await;
    assert_eq!(state, TaskState::Failed, "the fourth of its kind");
    let dead = world.get(&created.id).await;
    assert_eq!((dead.failure_count, dead.dead), (5, true));
    let ruled: Vec<_> = dead.attempts.iter().map(|one| one.retry_rule).collect();
    assert_eq!(ruled, [2, 2, 2, 0, 2]);
    let waits = dead.attempts.iter().map(|one| one.ready_time.is_some());
    assert_eq!(waits.collect::<Vec<_>>(), [true, true, true, true, false]);
    let failed = |events: &[Event]| -> Vec<serde_json::Value> {
        let failed = events.iter().filter(|event| event.r#type == "task.failed");
        failed.map(data).collect()
    };
    let events = world.events(|events| failed(events).len() == 5).await;
    let told = failed(&events);
    assert_eq!(
        (&told[0]["retry_rule"], &told[0]["retry"]),
        (&2.into(), &true.into())
    );
    assert!(told[3].get("retry_rule").is_none());

    let answer = world
        .tasks()
        .retry_task(world.ask(proto::RetryTaskRequest {
            task_id: created.id.clone(),
            ..Default::default()
        }))
        .await;
    answer.expect("it is redriven");
    let state = fail_with(&world, agent, "RATE_LIMITED", true).await;
    assert_eq!(state, TaskState::Pending, "a redrive counts anew");
    let state = fail_with(&world, agent, "BAD_INPUT", true).await;
    assert_eq!(state, TaskState::Failed, "whatever the agent says");
    let again = world.get(&created.id).await;
    let ruled: Vec<_> = again.attempts.iter().map(|one| one.retry_rule).collect();
    assert_eq!(ruled, [2, 2, 2, 0, 2, 2, 1]);
}

#[tokio::test]
async fn a_rule_has_its_own_wait_and_the_agents_goes_before_it() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let patient = RetryRule {
        initial_backoff_duration: Some(seconds(1_000)),
        max_backoff_duration: Some(seconds(1_000)),
        ..rule("RATE_LIMITED")
    };
    let hopeless = RetryRule {
        verdict: RetryVerdict::Fail.into(),
        ..rule("BROKEN")
    };
    let created = world.create(ruled(10, vec![patient, hopeless])).await;
    let lease = world.lease_one(agent).await;
    let request = failure(&lease.lease_token, "RATE_LIMITED", true);
    let answer = world.work().fail_task(world.ask(request)).await;
    let ready = answer.expect("it fails").into_inner().ready_time;
    let ready = ready.as_ref().and_then(reeve_wellknown::datetime);
    let wait = ready.expect("it waits") - world.clock.now();
    assert!(wait <= TimeDelta::seconds(1_000), "{wait}");
    world.clock.advance(TimeDelta::seconds(1_001));
    let lease = world.lease_one(agent).await;
    let request = proto::FailTaskRequest {
        retry_after_duration: Some(seconds(7)),
        ..failure(&lease.lease_token, "RATE_LIMITED", true)
    };
    let answer = world.work().fail_task(world.ask(request)).await;
    let asked = reeve_wellknown::timestamp(world.clock.now() + TimeDelta::seconds(7));
    let failed = answer.expect("it fails").into_inner();
    assert_eq!(failed.ready_time, Some(asked));
    let attempts = world.get(&created.id).await.attempts;
    assert_eq!(attempts[1].ready_time, Some(asked));
    world.clock.advance(TimeDelta::seconds(8));
    let lease = world.lease_one(agent).await;
    let request = proto::FailTaskRequest {
        retry_after_duration: Some(seconds(7)),
        ..failure(&lease.lease_token, "BROKEN", true)
    };
    let answer = world.work().fail_task(world.ask(request)).await;
    let failed = answer.expect("it fails").into_inner();
    assert_eq!(
        (failed.state(), failed.ready_time),
        (TaskState::Failed, None)
    );
}

#[tokio::test]
async fn a_timeout_has_a_code_like_any_other() {
    let world = World::by_test_clock(&[]).await;
    let agent = world.agent(&["lint"]);
    let never = RetryRule {
        verdict: RetryVerdict::Fail.into(),
        ..rule("START_TO_CLOSE_TIMEOUT")
    };
    let created = world
        .create(TaskSpec {
            timeouts: Some(proto::TaskTimeouts {
                start_to_close_timeout: Some(seconds(20)),
                ..Default::default()
            }),
            ..ruled(10, vec![never])
        })
        .await;
    let request = proto::LeaseTasksRequest {
        lease_duration: Some(seconds(3_600)),
        ..lease_of(agent, 1)
    };
    world.lease_as(request).await;
    world.clock.advance(TimeDelta::seconds(21));
    let dead = world.reaches(&created.id, TaskState::Timeout).await;
    assert_eq!(dead.attempts[0].retry_rule, 1);
}

#[tokio::test]
async fn rules_have_bounds() {
    let world = World::start().await;
    let with = |rules| proto::CreateTaskRequest {
        spec: Some(ruled(1, rules)),
        ..Default::default()
    };
    let codes = |count: usize| RetryRule {
        error_codes: vec!["*".to_owned(); count],
        ..Default::default()
    };
    let edge = with(vec![codes(16); 16]);
    let answer = world.tasks().create_task(world.ask(edge)).await;
    answer.expect("at its edge");
    let cases = [
        (vec![codes(1); 17], "spec.retry_policy.rules"),
        (vec![codes(17)], "spec.retry_policy.rules[0].error_codes"),
        (vec![codes(0)], "spec.retry_policy.rules[0].error_codes"),
        (
            vec![rule("A*B")],
            "spec.retry_policy.rules[0].error_codes[0]",
        ),
    ];
    let wrong = RetryRule {
        error_codes: vec!["busy".to_owned()],
        verdict: 3,
        initial_backoff_duration: Some(seconds(3_601)),
        backoff_multiplier: 11.0,
        max_backoff_duration: Some(seconds(-1)),
        max_attempts: 101,
    };
    let answer = world
        .tasks()
        .create_task(world.ask(with(vec![wrong])))
        .await;
    let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
    let of = |field| format!("spec.retry_policy.rules[0].{field}");
    let all = [
        "backoff_multiplier",
        "error_codes[0]",
        "initial_backoff_duration",
        "max_attempts",
        "max_backoff_duration",
        "verdict",
    ];
    assert_eq!(fields(&fault), all.map(of));
    for (rules, field) in cases {
        let answer = world.tasks().create_task(world.ask(with(rules))).await;
        let fault = refused(answer, Code::InvalidArgument, Reason::ValidationFailed);
        assert_eq!(fields(&fault), [field]);
    }
}
