//! How many tasks may be with agents at a time and how many may be leased in a time: every rule on
//! one screen.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{LimitId, TaskId, TenantId};

use super::{Actor, Selector};

/// Which of the chosen tasks share an allowance. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Per {
    /// All of them.
    Tenant = 1,
    /// Those of a queue.
    Queue = 2,
    /// Those of a type.
    Kind = 3,
    /// Those of a capability.
    Capability = 4,
    /// Those of a fairness key.
    FairnessKey = 5,
    /// Those of a concurrency key.
    ConcurrencyKey = 6,
}

impl Per {
    /// Every value.
    pub const ALL: [Self; 6] = [
        Self::Tenant,
        Self::Queue,
        Self::Kind,
        Self::Capability,
        Self::FairnessKey,
        Self::ConcurrencyKey,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The word in events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tenant => "TENANT",
            Self::Queue => "QUEUE",
            Self::Kind => "TYPE",
            Self::Capability => "CAPABILITY",
            Self::FairnessKey => "FAIRNESS_KEY",
            Self::ConcurrencyKey => "CONCURRENCY_KEY",
        }
    }

    /// The value that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.number() == number)
    }
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens gained in each period.
    pub tasks: i32,
    /// The period.
    pub period: TimeDelta,
    /// Tokens that it holds at most.
    pub burst: i32,
}

/// What was left of a rate at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Tokens.
    pub tokens: f64,
    /// When.
    pub time: DateTime<Utc>,
}

impl Rate {
    /// The bucket now; full when nothing is known of it. A clock that is behind takes nothing away.
    #[allow(clippy::cast_precision_loss)]
    pub fn fill(&self, bucket: Option<Bucket>, now: DateTime<Utc>) -> Bucket {
        let burst = f64::from(self.burst);
        let Some(bucket) = bucket else {
            return Bucket {
                tokens: burst,
                time: now,
            };
        };
        let periods = (now - bucket.time).num_milliseconds().max(0) as f64
            / self.period.num_milliseconds().max(1) as f64;
        Bucket {
            tokens: (bucket.tokens + periods * f64::from(self.tasks)).min(burst),
            time: bucket.time.max(now),
        }
    }
}

/// Bounds what is with agents.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its owner.
    pub tenant_id: TenantId,
    /// What it is called.
    pub name: String,
    /// Changes with every change.
    pub id: LimitId,
    /// Which tasks.
    pub selector: Selector,
    /// Which of them share an allowance.
    pub per: Per,
    /// Of concurrency keys those that begin with this.
    pub key_prefix: String,
    /// How many at a time.
    pub max_running: Option<i32>,
    /// How many in a time.
    pub rate: Option<Rate>,
    /// Why.
    pub reason: String,
    /// Who set it last.
    pub actor: Actor,
    /// When it was set first.
    pub create_time: DateTime<Utc>,
    /// When it was set last.
    pub update_time: DateTime<Utc>,
}

impl Limit {
    /// Whether the other one bounds the same in the same way.
    pub fn says_as(&self, other: &Self) -> bool {
        self.selector == other.selector
            && self.per == other.per
            && self.key_prefix == other.key_prefix
            && self.max_running == other.max_running
            && self.rate == other.rate
            && self.reason == other.reason
    }

    /// The name of the allowance of a value.
    pub fn allowance(&self, value: &str) -> String {
        format!("{}{value}", Self::allowances_of(&self.name))
    }

    /// What the names of all allowances of a limit begin with.
    pub fn allowances_of(name: &str) -> String {
        format!("limit/{name}/")
    }

    /// The allowances of which a task takes a place.
    pub fn places(&self, task: &Limited) -> Vec<String> {
        let values = self.values(task).into_iter();
        values.map(|value| self.allowance(value)).collect()
    }

    /// The values under which a task counts.
    fn values<'a>(&'a self, task: &'a Limited) -> Vec<&'a str> {
        if !self.selector.chooses(task) {
            return Vec::new();
        }
        match self.per {
            Per::Tenant => vec![""],
            Per::Queue => vec![&task.queue],
            Per::Kind => vec![&task.kind],
            Per::Capability => vec![&task.capability],
            Per::FairnessKey => vec![&task.fairness_key],
            Per::ConcurrencyKey => {
                let keys = task.concurrency_keys.iter().map(String::as_str);
                keys.filter(|key| key.starts_with(&self.key_prefix))
                    .collect()
            }
        }
    }
}

/// What limits look at in a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limited {
    /// Its queue.
    pub queue: String,
    /// Its type.
    pub kind: String,
    /// Its capability.
    pub capability: String,
    /// Its fairness key; empty for none.
    pub fairness_key: String,
    /// What it needs to itself.
    pub concurrency_keys: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// How much there is of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bound {
    /// At a time.
    pub max_running: Option<i32>,
    /// In a time.
    pub rate: Option<Rate>,
}

/// What a task takes when it is leased.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Allowances that must have room, with how much there is of each.
    pub bounds: BTreeMap<String, Bound>,
    /// Allowances of which it takes a place; also those of which another limit has the say just now,
    /// so that the count is right when that is deleted.
    pub slots: Vec<String>,
}

/// The allowance of a concurrency key of which no limit speaks.
fn allowance_of_key(key: &str) -> String {
    format!("key/{key}")
}

/// What a task takes. The limits are those of its tenant.
pub fn needs(limits: &[Limit], task: &Limited) -> Needs {
    let mut needs = Needs::default();
    for limit in limits {
        for value in limit.values(task) {
            let allowance = limit.allowance(value);
            if limit.per != Per::ConcurrencyKey || speaks_for(limit, limits, task, value) {
                needs.bounds.insert(allowance.clone(), limit.bound());
            }
            needs.slots.push(allowance);
        }
    }
    for key in &task.concurrency_keys {
        let of_key = |limit: &Limit| limit.per == Per::ConcurrencyKey;
        let is_spoken_for = limits
            .iter()
            .any(|limit| of_key(limit) && limit.values(task).contains(&key.as_str()));
        if !is_spoken_for {
            let bound = Bound {
                max_running: Some(1),
                rate: None,
            };
            needs.bounds.insert(allowance_of_key(key), bound);
        }
        needs.slots.push(allowance_of_key(key));
    }
    needs
}

/// Whether no other limit knows the key by a longer prefix.
fn speaks_for(limit: &Limit, limits: &[Limit], task: &Limited, key: &str) -> bool {
    let longer = |other: &&Limit| {
        other.per == Per::ConcurrencyKey && other.key_prefix.len() > limit.key_prefix.len()
    };
    !limits
        .iter()
        .filter(longer)
        .any(|other| other.values(task).contains(&key))
}

impl Limit {
    /// How much there is of each of its allowances.
    pub const fn bound(&self) -> Bound {
        Bound {
            max_running: self.max_running,
            rate: self.rate,
        }
    }
}

/// How much there is of an allowance that tasks wait for; nothing when they wait for none any more.
pub fn bound_of(limits: &[Limit], allowance: &str) -> Option<Bound> {
    if allowance.starts_with("key/") {
        return Some(Bound {
            max_running: Some(1),
            rate: None,
        });
    }
    let limit = limits
        .iter()
        .find(|limit| allowance.starts_with(&Limit::allowances_of(&limit.name)))?;
    Some(limit.bound())
}

/// What is left of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Room {
    /// Tasks of it that are with agents.
    pub running: i32,
    /// What is left of its rate.
    pub bucket: Option<Bucket>,
}

impl Room {
    /// How many more tasks it has room for now.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn left(&self, bound: &Bound, now: DateTime<Utc>) -> usize {
        let places = bound.max_running.map_or(usize::MAX, |most| {
            usize::try_from(most - self.running).unwrap_or_default()
        });
        let tokens = bound.rate.map_or(usize::MAX, |rate| {
            // Never negative.
            (rate.fill(self.bucket, now).tokens + 1e-6).floor() as usize
        });
        places.min(tokens)
    }

    fn take(&mut self, bound: &Bound, now: DateTime<Utc>) {
        self.running += 1;
        if let Some(rate) = bound.rate {
            let mut bucket = rate.fill(self.bucket, now);
            bucket.tokens = (bucket.tokens - 1.0).max(0.0);
            self.bucket = Some(bucket);
        }
    }
}

/// An allowance of a tenant.
pub type Key = (TenantId, String);

/// What becomes of tasks that ask for room.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// There is room.
    pub leased: Vec<TaskId>,
    /// There is none in this allowance.
    pub parked: Vec<(TaskId, String)>,
}

/// Gives room in the order of the tasks, and takes it from `rooms`. A task that finds none takes
/// nothing, and those behind it are looked at.
pub fn admit(
    tasks: &[(TenantId, TaskId, &Needs)],
    rooms: &mut HashMap<Key, Room>,
    now: DateTime<Utc>,
) -> Admitted {
    let mut admitted = Admitted::default();
    for (tenant, task, needs) in tasks {
        let key = |allowance: &String| (*tenant, allowance.clone());
        let full = needs.bounds.iter().find(|(allowance, bound)| {
            let room = rooms.get(&key(allowance)).copied().unwrap_or_default();
            room.left(bound, now) == 0
        });
        if let Some((allowance, _)) = full {
            admitted.parked.push((*task, allowance.clone()));
            continue;
        }
        for (allowance, bound) in &needs.bounds {
            rooms.entry(key(allowance)).or_default().take(bound, now);
        }
        admitted.leased.push(*task);
    }
    admitted
}
