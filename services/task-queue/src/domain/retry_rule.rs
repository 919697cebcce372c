//! What a retry policy says of errors of some kinds.

use chrono::TimeDelta;

use super::backoff::{Growth, RetryPolicy};

/// Whether an error of some kind is worth another attempt. The numbers are those at rest and on the
/// wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Verdict {
    /// As who reports it says.
    AsReported = 0,
    /// It is, whatever is said.
    Retry = 1,
    /// It is not, whatever is said.
    Fail = 2,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::AsReported, Self::Retry, Self::Fail];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The verdict that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.number() == number)
    }
}

/// What happens after errors with some codes; what is `None` is as the policy says.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryRule {
    /// Codes, or beginnings of codes with `*` after them.
    pub codes: Vec<String>,
    /// Whether to try again.
    pub verdict: Verdict,
    /// Bound of the first wait.
    pub initial_backoff: Option<TimeDelta>,
    /// Growth from one bound to the next.
    pub multiplier: Option<f64>,
    /// Bound of every wait.
    pub max_backoff: Option<TimeDelta>,
    /// How many attempts may end with such an error, which then do not count for the policy.
    pub max_attempts: Option<i32>,
}

impl RetryRule {
    /// Whether it is about a code.
    pub fn matches(&self, code: &str) -> bool {
        self.codes
            .iter()
            .any(|known| match known.strip_suffix('*') {
                Some(beginning) => code.starts_with(beginning),
                None => known == code,
            })
    }
}

/// Failures so far.
#[derive(Debug, Clone, Copy)]
pub struct Tally<'a> {
    /// All of them.
    pub failures: i32,
    /// Those that each rule of the policy was about; none where it is shorter.
    pub by_rule: &'a [i32],
}

/// What follows from one more failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// The index of the rule that was about it, if one was.
    pub rule: Option<usize>,
    /// Failures that each rule was about, this one included; empty without rules.
    pub by_rule: Vec<i32>,
    /// Whether it is tried again.
    pub retry: bool,
    /// Bound of the wait before.
    pub bound: TimeDelta,
}

impl RetryPolicy {
    /// Decides about a failure with a code, of which who reports it says whether trying again may
    /// help. The first rule that is about the code counts.
    pub fn rule_on(&self, tally: Tally<'_>, code: &str, retryable: bool) -> Ruling {
        let rule = self.rules.iter().position(|rule| rule.matches(code));
        let before = |at: usize| tally.by_rule.get(at).copied().unwrap_or(0);
        let sum = |counts: &dyn Fn(&RetryRule) -> bool| -> i32 {
            let rules = self.rules.iter().enumerate();
            rules
                .filter(|(_, rule)| counts(rule))
                .map(|(at, _)| before(at))
                .sum()
        };
        let own = rule.map(|at| &self.rules[at]);
        let (had, most) = match (rule, own.and_then(|rule| rule.max_attempts)) {
            (Some(at), Some(most)) => (before(at), most),
            _ => {
                let apart = sum(&|rule| rule.max_attempts.is_some());
                (tally.failures.saturating_sub(apart), self.max_attempts)
            }
        };
        let like_it = rule.map_or_else(|| tally.failures.saturating_sub(sum(&|_| true)), before);
        let worth_it = match own.map_or(Verdict::AsReported, |rule| rule.verdict) {
            Verdict::AsReported => retryable,
            Verdict::Retry => true,
            Verdict::Fail => false,
        };
        let mut by_rule: Vec<_> = (0..self.rules.len()).map(before).collect();
        if let Some(at) = rule {
            by_rule[at] = by_rule[at].saturating_add(1);
        }
        Ruling {
            rule,
            by_rule,
            retry: worth_it && had.saturating_add(1) < most,
            bound: self.growth_of(own).bound(like_it.saturating_add(1)),
        }
    }

    fn growth_of(&self, rule: Option<&RetryRule>) -> Growth {
        let general = self.growth();
        rule.map_or(general, |rule| Growth {
            initial: rule.initial_backoff.unwrap_or(general.initial),
            multiplier: rule.multiplier.unwrap_or(general.multiplier),
            greatest: rule.max_backoff.unwrap_or(general.greatest),
        })
    }
}

#[cfg(test)]
#[path = "retry_rule_tests.rs"]
mod tests;
