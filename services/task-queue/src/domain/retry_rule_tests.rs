use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn rule(codes: &[&str], verdict: Verdict, max_attempts: Option<i32>) -> RetryRule {
    RetryRule {
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        verdict,
        initial_backoff: None,
        multiplier: None,
        max_backoff: None,
        max_attempts,
    }
}

fn policy(rules: Vec<RetryRule>) -> RetryPolicy {
    RetryPolicy {
        rules,
        ..RetryPolicy::default()
    }
}

const NONE: Tally<'static> = Tally {
    failures: 0,
    by_rule: &[],
};

#[test]
fn a_code_is_meant_exactly_or_by_its_beginning() {
    let some = rule(&["RATE_*", "BUSY"], Verdict::Retry, None);
    for code in ["RATE_", "RATE_LIMITED", "BUSY"] {
        assert!(some.matches(code), "{code}");
    }
    for code in ["RATE", "A_RATE_LIMITED", "BUSY_NOW", "BUS"] {
        assert!(!some.matches(code), "{code}");
    }
    assert!(rule(&["*"], Verdict::Retry, None).matches("ANY"));
}

#[test]
fn the_first_rule_that_is_about_it_counts() {
    let policy = policy(vec![
        rule(&["BAD_INPUT"], Verdict::Fail, None),
        rule(&["BAD_*"], Verdict::Retry, None),
        rule(&["*"], Verdict::AsReported, None),
    ]);
    let decided = |code, retryable| {
        let ruling = policy.rule_on(NONE, code, retryable);
        (ruling.rule, ruling.retry)
    };
    assert_eq!(decided("BAD_INPUT", true), (Some(0), false));
    assert_eq!(decided("BAD_LUCK", false), (Some(1), true));
    assert_eq!(decided("OTHER", false), (Some(2), false));
    assert_eq!(decided("OTHER", true), (Some(2), true));
}

#[test]
fn a_rule_has_its_own_backoff() {
    let patient = RetryRule {
        initial_backoff: Some(TimeDelta::seconds(60)),
        multiplier: Some(1.0),
        max_backoff: None,
        ..rule(&["RATE_LIMITED"], Verdict::AsReported, None)
    };
    let policy = policy(vec![patient]);
    let tally = |failures, by_rule| Tally { failures, by_rule };
    let bound = |tally, code| policy.rule_on(tally, code, true).bound.num_seconds();
    assert_eq!(bound(NONE, "RATE_LIMITED"), 60);
    assert_eq!(bound(tally(7, &[5]), "RATE_LIMITED"), 60);
    // Three failures, of which one was another: the second of its kind.
    assert_eq!(bound(tally(2, &[1]), "OTHER"), 2);
}

/// The same by counting what has happened.
#[derive(Default)]
struct Model {
    by_rule: HashMap<usize, i32>,
    general: i32,
    other: i32,
}

impl Model {
    /// Whether a failure is retried, and which of its kind it is.
    fn fail(&mut self, policy: &RetryPolicy, code: &str, retryable: bool) -> (bool, i32) {
        let rules = policy.rules.iter().enumerate();
        let found = rules.clone().find(|(_, rule)| {
            let is = |known: &&String| match known.split_once('*') {
                Some((beginning, _)) => code.starts_with(beginning),
                None => known.as_str() == code,
            };
            rule.codes.iter().any(|known| is(&known))
        });
        let Some((at, rule)) = found else {
            self.general += 1;
            self.other += 1;
            return (retryable && self.general < policy.max_attempts, self.other);
        };
        let kind = self.by_rule.entry(at).or_default();
        *kind += 1;
        let kind = *kind;
        let worth_it = match rule.verdict {
            Verdict::AsReported => retryable,
            Verdict::Retry => true,
            Verdict::Fail => false,
        };
        match rule.max_attempts {
            Some(most) => (worth_it && kind < most, kind),
            None => {
                self.general += 1;
                (worth_it && self.general < policy.max_attempts, kind)
            }
        }
    }
}

fn codes() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("RATE_LIMITED"),
        Just("RATE_OVER"),
        Just("BUSY"),
        Just("BROKEN"),
        Just("START_TO_CLOSE_TIMEOUT")
    ]
}

fn rules() -> impl Strategy<Value = RetryRule> {
    let known = prop_oneof![
        Just("RATE_LIMITED"),
        Just("RATE_*"),
        Just("BUSY"),
        Just("START_TO_CLOSE_TIMEOUT"),
        Just("*")
    ];
    let codes = proptest::collection::vec(known, 1..3);
    let most = proptest::option::of(1..6_i32);
    let seconds = proptest::option::of(0..100_i64);
    (codes, 0..3_i16, most, seconds).prop_map(|(codes, verdict, most, seconds)| RetryRule {
        initial_backoff: seconds.map(TimeDelta::seconds),
        ..rule(
            &codes,
            Verdict::from_number(verdict).expect("one of three"),
            most,
        )
    })
}

proptest! {
    /// A life of failures, decided by what is stored of it, is what counting them all says.
    #[test]
    fn a_life_is_as_counted(
        rules in proptest::collection::vec(rules(), 0..5),
        max_attempts in 1..6_i32,
        failures in proptest::collection::vec((codes(), any::<bool>()), 0..30),
    ) {
        let policy = RetryPolicy { max_attempts, ..policy(rules) };
        let (mut model, mut by_rule) = (Model::default(), Vec::new());
        for (at, (code, retryable)) in failures.into_iter().enumerate() {
            let failures = i32::try_from(at).expect("few");
            let ruling = policy.rule_on(Tally { failures, by_rule: &by_rule }, code, retryable);
            let (retry, nth) = model.fail(&policy, code, retryable);
            prop_assert_eq!(ruling.retry, retry, "{} {:?}", code, ruling);
            let own = ruling.rule.map(|at| &policy.rules[at]);
            let initial = own.and_then(|rule| rule.initial_backoff);
            let initial = initial.unwrap_or(policy.initial_backoff);
            let plain = RetryPolicy { initial_backoff: initial, ..policy.clone() };
            prop_assert_eq!(ruling.bound, plain.growth().bound(nth));
            by_rule = ruling.by_rule;
        }
    }
}
