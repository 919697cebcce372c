use proptest::prelude::*;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("in range")
}

fn standing(state: State) -> Standing {
    Standing {
        state,
        failures: 0,
        lost_leases: 0,
        cancel_requested: false,
        retry: RetryPolicy::default(),
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

fn causes() -> [Cause; 10] {
    [
        Cause::Complete,
        fail(true),
        fail(false),
        reject(true),
        reject(false),
        Cause::LoseLease,
        Cause::Return,
        Cause::RunOut,
        Cause::WaitOut,
        Cause::Cancel,
    ]
}

/// Rows are states, columns are causes; the cell is where the task ends, nothing when refused.
#[test]
fn every_cell_of_state_and_cause() {
    let (p, f, c, x, t) = (
        Some(Pending),
        Some(Failed),
        Some(Completed),
        Some(Cancelled),
        Some(Timeout),
    );
    let n = None;
    #[rustfmt::skip]
    let table = [
        //            Complete Fail! Fail  Rej+ Rej- Lose Ret  RunOut WaitOut Cancel
        (Pending,    [n,       n,    n,    n,   n,   n,   n,   n,     t,      x]),
        (Assigned,   [c,       p,    f,    p,   f,   p,   p,   p,     n,      x]),
        (Accepted,   [c,       p,    f,    n,   n,   p,   p,   p,     n,      x]),
        (Rejected,   [n,       n,    n,    n,   n,   n,   n,   n,     n,      n]),
        (InProgress, [c,       p,    f,    n,   n,   p,   p,   p,     n,      x]),
        (Completed,  [n,       n,    n,    n,   n,   n,   n,   n,     n,      n]),
        (Failed,     [n,       n,    n,    n,   n,   n,   n,   n,     n,      n]),
        (Cancelled,  [n,       n,    n,    n,   n,   n,   n,   n,     n,      n]),
        (Timeout,    [n,       n,    n,    n,   n,   n,   n,   n,     n,      n]),
    ];
    for (state, row) in table {
        for (expected, cause) in row.into_iter().zip(causes()) {
            let settled = settle(&standing(state), cause.clone(), now(), 0.5);
            assert_eq!(
                settled.ok().map(|s| s.state),
                expected,
                "{state:?} {cause:?}"
            );
        }
    }
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
            Cause::RunOut,
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
        cause in 0_usize..10,
        failures in 0..5_i32,
        lost in 0..25_i32,
        cancel_requested: bool,
        seed in 0.0..1.0_f64,
    ) {
        let from = Standing {
            failures,
            lost_leases: lost,
            cancel_requested,
            ..standing(State::ALL[state])
        };
        let Ok(settled) = settle(&from, causes()[cause].clone(), now(), seed) else {
            return Ok(());
        };
        let to = settled.state;
        let ways: [&[State]; 7] = [
            &[to],
            &[InProgress, to],
            &[Failed, to],
            &[InProgress, Failed, to],
            &[Timeout, to],
            &[Rejected, to],
            &[InProgress, Timeout, to],
        ];
        prop_assert!(ways.iter().any(|way| from.state.follows(way) == Ok(to)), "{from:?} {to:?}");
        prop_assert_eq!(settled.ready_time.is_some(), to == Pending);
        prop_assert_eq!(settled.dead, matches!(to, Failed | Timeout));
        if let Some(ready) = settled.ready_time {
            prop_assert!(ready >= now() && ready <= now() + from.retry.max_backoff);
        }
    }
}
