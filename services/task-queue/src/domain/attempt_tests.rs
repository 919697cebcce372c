use proptest::prelude::*;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("in range")
}

fn standing(state: State) -> Standing {
    Standing {
        state,
        failures: 0,
        by_rule: Vec::new(),
        lost_leases: 0,
        cancel_requested: false,
        offered: false,
        retry: RetryPolicy::default(),
        effect: Effect::default(),
        gate: None,
    }
}

fn fail(retryable: bool) -> Cause {
    Cause::Fail {
        error: TaskError::new("BROKEN", "it broke"),
        retryable,
        retry_after: None,
    }
}

fn reject(anyone_left: bool) -> Cause {
    Cause::Reject {
        reason: "too hard".to_owned(),
        anyone_left,
    }
}

fn causes() -> [Cause; 18] {
    let failure = TaskError::new("GATE_EXPIRED", "nobody answered");
    [
        Cause::Complete,
        fail(true),
        fail(false),
        reject(true),
        reject(false),
        Cause::LoseLease,
        Cause::Return,
        Cause::GiveBack,
        Cause::RunOut,
        Cause::WaitOut,
        Cause::Cancel,
        Cause::Suspend(GateKind::Input),
        Cause::Pass(Ruling::GoOn),
        Cause::Pass(Ruling::Finish),
        Cause::Pass(Ruling::Fail(failure)),
        Cause::Pass(Ruling::Cancel),
        Cause::Delegate,
        Cause::Untaken,
    ]
}

/// A task that waits behind a gate.
fn gated() -> Standing {
    Standing {
        gate: Some(GateKind::Approval),
        ..standing(Pending)
    }
}

/// Rows are states, columns are causes; the cell is where the task ends, nothing when refused.
#[test]
fn every_cell_of_state_and_cause() {
    let (p, a, f, c, x, t) = (
        Some(Pending),
        Some(Assigned),
        Some(Failed),
        Some(Completed),
        Some(Cancelled),
        Some(Timeout),
    );
    let n = None;
    #[rustfmt::skip]
    let table = [
        //            Complete Fail! Fail  Rej+ Rej- Lose Ret  Back RunOut WaitOut Cancel Suspend Go Fin Fail Cancel  Delegate Untaken
        (Pending,    [n,       n,    n,    n,   n,   n,   n,   n,   n,     t,      x,     n,      n, n,  n,   n, n,       n]),
        (Assigned,   [c,       p,    f,    p,   f,   p,   p,   p,   p,     n,      x,     p,      n, n,  n,   n, a,       n]),
        (Accepted,   [c,       p,    f,    n,   n,   p,   p,   p,   p,     n,      x,     p,      n, n,  n,   n, a,       n]),
        (Rejected,   [n,       n,    n,    n,   n,   n,   n,   n,   n,     n,      n,     n,      n, n,  n,   n, n,       n]),
        (InProgress, [c,       p,    f,    n,   n,   p,   p,   p,   p,     n,      x,     p,      n, n,  n,   n, a,       n]),
        (Completed,  [n,       n,    n,    n,   n,   n,   n,   n,   n,     n,      n,     n,      n, n,  n,   n, n,       n]),
        (Failed,     [n,       n,    n,    n,   n,   n,   n,   n,   n,     n,      n,     n,      n, n,  n,   n, n,       n]),
        (Cancelled,  [n,       n,    n,    n,   n,   n,   n,   n,   n,     n,      n,     n,      n, n,  n,   n, n,       n]),
        (Timeout,    [n,       n,    n,    n,   n,   n,   n,   n,   n,     n,      n,     n,      n, n,  n,   n, n,       n]),
    ];
    #[rustfmt::skip]
    let behind = [n,         n,    n,    n,   n,   n,   n,   n,   n,     n,      x,     n,      p, c,  f,   x, n,       n];
    let free = table.map(|(state, row)| (standing(state), row));
    for (from, row) in free.into_iter().chain([(gated(), behind)]) {
        for (expected, cause) in row.into_iter().zip(causes()) {
            let settled = settle(&from, cause.clone(), now(), 0.5);
            assert_eq!(
                settled.ok().map(|s| s.state),
                expected,
                "{from:?} {cause:?}"
            );
        }
    }
}

/// What a holder that is heard of no more leads to, by effect and state.
#[test]
fn what_may_be_done_already_waits_for_a_person() {
    let effects = Effect::ALL;
    let held = super::super::state::HELD;
    for (effect, state) in effects.into_iter().flat_map(|e| held.map(|s| (e, s))) {
        let from = Standing {
            effect,
            lost_leases: 19,
            failures: 2,
            ..standing(state)
        };
        let dangerous = effect == Effect::Effectful;
        let lost = settle(&from, Cause::LoseLease, now(), 0.5).expect("held");
        let begun = state == InProgress;
        let gate = (dangerous && begun).then_some(GateKind::LostLease);
        assert_eq!((lost.gate, lost.lost_leases), (gate, 20), "{from:?}");
        assert_eq!(lost.state, if gate.is_some() { Pending } else { Failed });
        let late = settle(&from, Cause::RunOut, now(), 0.5).expect("held");
        let gate = dangerous.then_some(GateKind::Timeout);
        assert_eq!((late.gate, late.failures), (gate, 3), "{from:?}");
        assert_eq!(late.state, if dangerous { Pending } else { Timeout });
        let left = settle(&from, Cause::GiveBack, now(), 0.5).expect("held");
        let gate = (dangerous && begun).then_some(GateKind::LostLease);
        assert_eq!((left.gate, left.lost_leases), (gate, 19), "{from:?}");
        // Its agent knows what it did, or never heard of it.
        for cause in [fail(true), Cause::Return] {
            let settled = settle(&from, cause, now(), 0.5).expect("held");
            assert_eq!(settled.gate, None);
        }
    }
}

#[test]
fn a_suspended_attempt_counts_for_nothing() {
    let from = Standing {
        failures: 1,
        lost_leases: 2,
        ..standing(Accepted)
    };
    let settled = settle(&from, Cause::Suspend(GateKind::Approval), now(), 0.5).expect("held");
    assert_eq!((settled.failures, settled.lost_leases), (1, 2));
    assert_eq!(settled.end, Some(AttemptEnd::Suspended));
    assert_eq!(settled.gate, Some(GateKind::Approval));
    let out = settle(&gated(), Cause::Pass(Ruling::GoOn), now(), 0.5).expect("gated");
    assert_eq!(
        (out.gate, out.end, out.ready_time),
        (None, None, Some(now()))
    );
}

#[test]
fn asked_to_cancel_every_end_but_completion_cancels() {
    for state in super::super::state::HELD {
        let asked = Standing {
            cancel_requested: true,
            ..standing(state)
        };
        for cause in [
            fail(true),
            fail(false),
            Cause::LoseLease,
            Cause::Return,
            Cause::GiveBack,
            Cause::RunOut,
            Cause::Suspend(GateKind::Input),
        ] {
            let settled = settle(&asked, cause, now(), 0.5).expect("held");
            assert_eq!((settled.state, settled.dead), (Cancelled, false));
            assert_eq!(settled.end, Some(AttemptEnd::Cancelled));
        }
        let settled = settle(&asked, Cause::Complete, now(), 0.5).expect("held");
        assert_eq!(settled.state, Completed);
    }
}

#[test]
fn an_offer_that_nobody_fetched_was_no_delivery() {
    let offered = Standing {
        offered: true,
        failures: 2,
        lost_leases: 3,
        ..standing(Assigned)
    };
    let settled = settle(&offered, Cause::Untaken, now(), 0.5).expect("it is offered");
    assert_eq!((settled.state, settled.end), (Pending, None));
    assert_eq!((settled.failures, settled.lost_leases), (2, 3));
    assert_eq!(settled.ready_time, Some(now()));
    let settled = settle(&offered, Cause::Cancel, now(), 0.5).expect("it is offered");
    assert_eq!((settled.state, settled.end), (Cancelled, None));
    settle(&offered, Cause::Delegate, now(), 0.5).expect_err("nobody holds it");
}

#[test]
fn who_is_to_let_go_does_not_hand_on() {
    for state in super::super::state::HELD {
        let asked = Standing {
            cancel_requested: true,
            ..standing(state)
        };
        settle(&asked, Cause::Delegate, now(), 0.5).expect_err("it is to be cancelled");
        let settled = settle(&standing(state), Cause::Delegate, now(), 0.5).expect("it is held");
        assert_eq!(
            (settled.state, settled.end),
            (Assigned, Some(AttemptEnd::Delegated))
        );
    }
}

#[test]
fn whoever_holds_a_task_may_complete_it() {
    assert_eq!(completable(), super::super::state::HELD);
}

#[test]
fn the_last_attempt_is_a_dead_letter() {
    let last = Standing {
        failures: 2,
        ..standing(InProgress)
    };
    let settled = settle(&last, fail(true), now(), 0.5).expect("held");
    assert_eq!(
        (settled.state, settled.failures, settled.dead),
        (Failed, 3, true)
    );
    let settled = settle(&last, Cause::RunOut, now(), 0.5).expect("held");
    assert_eq!(
        (settled.state, settled.failures, settled.dead),
        (Timeout, 3, true)
    );
}

#[test]
fn a_lost_lease_is_no_failure() {
    let once = RetryPolicy {
        max_attempts: 1,
        max_lost_leases: 2,
        ..RetryPolicy::default()
    };
    let first = Standing {
        retry: once,
        ..standing(InProgress)
    };
    let settled = settle(&first, Cause::LoseLease, now(), 0.5).expect("held");
    assert_eq!(
        (settled.state, settled.failures, settled.lost_leases),
        (Pending, 0, 1)
    );
    assert_eq!(
        settled.ready_time,
        Some(now()),
        "another agent takes over at once"
    );
    let second = Standing {
        lost_leases: 1,
        ..first
    };
    let settled = settle(&second, Cause::LoseLease, now(), 0.5).expect("held");
    assert_eq!((settled.state, settled.dead), (Failed, true));
}

#[test]
fn the_agent_may_name_the_wait() {
    let wait = TimeDelta::seconds(90);
    let cause = Cause::Fail {
        error: TaskError::new("BUSY", "later"),
        retryable: true,
        retry_after: Some(wait),
    };
    let settled = settle(&standing(InProgress), cause, now(), 0.5).expect("held");
    assert_eq!(settled.ready_time, Some(now() + wait));
}

proptest! {
    /// From any standing, whatever settles lies on a path of the lifecycle, a retry waits within
    /// its bound, and exactly what is over without success is dead.
    #[test]
    fn what_settles_is_legal(
        state in 0_usize..9,
        cause in 0_usize..18,
        effect in 0_usize..3,
        behind in proptest::option::of(0_usize..4),
        failures in 0..5_i32,
        lost in 0..25_i32,
        cancel_requested: bool,
        offered: bool,
        seed in 0.0..1.0_f64,
    ) {
        let from = Standing {
            failures,
            lost_leases: lost,
            cancel_requested,
            effect: Effect::ALL[effect],
            // Only what is pending waits behind one.
            gate: behind
                .filter(|_| State::ALL[state] == Pending)
                .map(|kind| GateKind::ALL[kind]),
            offered: offered && State::ALL[state] == Assigned,
            ..standing(State::ALL[state])
        };
        let Ok(settled) = settle(&from, causes()[cause].clone(), now(), seed) else {
            return Ok(());
        };
        let to = settled.state;
        let ways: [&[State]; 10] = [
            &[],
            &[Assigned, InProgress, to],
            &[to],
            &[InProgress, to],
            &[Failed, to],
            &[InProgress, Failed, to],
            &[Timeout, to],
            &[Rejected, to],
            &[InProgress, Timeout, to],
            &[Accepted, to],
        ];
        prop_assert!(ways.iter().any(|way| from.state.follows(way) == Ok(to)), "{from:?} {to:?}");
        prop_assert_eq!(settled.ready_time.is_some(), to == Pending && settled.gate.is_none());
        prop_assert_eq!(settled.dead, matches!(to, Failed | Timeout));
        // A gate opens for a person's sake or because nobody knows what was done, in no other case.
        let cause = &causes()[cause];
        let asks = matches!(cause, Cause::Suspend(_));
        let vanishes = matches!(cause, Cause::LoseLease | Cause::GiveBack | Cause::RunOut);
        let blind = vanishes && from.effect == Effect::Effectful;
        prop_assert!(settled.gate.is_none() || asks || blind, "{from:?} {cause:?}");
        prop_assert!(settled.gate.is_none() || (to == Pending && settled.end.is_some()));
        // From behind a gate nothing leads but its answer and a cancellation.
        let leaves = matches!(cause, Cause::Pass(_) | Cause::Cancel);
        prop_assert!(from.gate.is_none() || leaves, "{from:?} {cause:?}");
        prop_assert!(from.gate.is_some() || !matches!(cause, Cause::Pass(_)), "{from:?}");
        // What may be done already does not run again by itself.
        let runs_again = to == Pending && settled.gate.is_none();
        prop_assert!(!(blind && runs_again && from.state == InProgress), "{from:?} {cause:?}");
        prop_assert_eq!(settled.end == Some(AttemptEnd::Delegated), to == Assigned);
        if matches!(cause, Cause::Delegate | Cause::Untaken) {
            prop_assert_eq!((settled.failures, settled.lost_leases), (failures, lost));
        }
        if let Some(ready) = settled.ready_time {
            prop_assert!(ready >= now() && ready <= now() + from.retry.max_backoff);
        }
    }
}
