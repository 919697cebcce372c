//! The rules of limits, against what they promise.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use reeve_ids::{LimitId, TaskId, TenantId};

use super::limit::{
    Admitted, Bound, Bucket, Limit, Limited, Per, Rate, Room, admit, bound_of, needs,
};
use super::{Actor, Selector};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("in range")
}

fn limit(name: &str, per: Per, prefix: &str, max_running: i32) -> Limit {
    Limit {
        tenant_id: TenantId::new(),
        name: name.to_owned(),
        id: LimitId::new(),
        selector: Selector::default(),
        per,
        key_prefix: prefix.to_owned(),
        max_running: Some(max_running),
        rate: None,
        reason: String::new(),
        actor: Actor {
            kind: 1,
            subject: "someone".to_owned(),
            display_name: String::new(),
        },
        create_time: now(),
        update_time: now(),
    }
}

fn task(keys: &[&str]) -> Limited {
    Limited {
        queue: "q".to_owned(),
        kind: "deploy".to_owned(),
        capability: "ops".to_owned(),
        fairness_key: "team".to_owned(),
        concurrency_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        labels: BTreeMap::new(),
    }
}

fn names(limits: &[Limit], task: &Limited) -> Vec<String> {
    needs(limits, task).bounds.into_keys().collect()
}

#[test]
fn each_way_of_sharing_has_its_allowance() {
    let cases = [
        (Per::Tenant, "limit/l/"),
        (Per::Queue, "limit/l/q"),
        (Per::Kind, "limit/l/deploy"),
        (Per::Capability, "limit/l/ops"),
        (Per::FairnessKey, "limit/l/team"),
    ];
    for (per, name) in cases {
        assert_eq!(names(&[limit("l", per, "", 5)], &task(&[])), [name]);
    }
    let other_queue = Limit {
        selector: Selector::of_queue("other"),
        ..limit("l", Per::Tenant, "", 5)
    };
    assert!(names(&[other_queue], &task(&[])).is_empty());
}

#[test]
fn a_key_is_for_one_task_unless_a_limit_speaks_for_it() {
    let keyed = task(&["cluster/prod", "repo/a"]);
    assert_eq!(names(&[], &keyed), ["key/cluster/prod", "key/repo/a"]);
    let one = Some(Bound {
        max_running: Some(1),
        rate: None,
    });
    assert_eq!(bound_of(&[], "key/repo/a"), one);
    let clusters = limit("clusters", Per::ConcurrencyKey, "cluster/", 3);
    let prod = limit("prod", Per::ConcurrencyKey, "cluster/prod", 2);
    let all = [clusters, prod];
    assert_eq!(
        names(&all, &keyed),
        ["key/repo/a", "limit/prod/cluster/prod"]
    );
    assert_eq!(
        names(&all, &task(&["cluster/b"])),
        ["limit/clusters/cluster/b"]
    );
    // Places are taken of all of them, for when one is deleted.
    let mut slots = needs(&all, &keyed).slots;
    slots.sort_unstable();
    let expected = [
        "key/cluster/prod",
        "key/repo/a",
        "limit/clusters/cluster/prod",
        "limit/prod/cluster/prod",
    ];
    assert_eq!(slots, expected);
    assert_eq!(
        bound_of(&all, "limit/prod/cluster/prod"),
        Some(all[1].bound())
    );
    assert_eq!(bound_of(&all, "limit/deleted/x"), None);
}

#[test]
fn a_task_without_room_takes_nothing_from_those_behind_it() {
    let tenant = TenantId::new();
    let both = needs(&[], &task(&["a", "b"]));
    let only_a = needs(&[], &task(&["a"]));
    let only_b = needs(&[], &task(&["b"]));
    let ids: Vec<_> = (0..3).map(|_| TaskId::new()).collect();
    let mut rooms = HashMap::from([(
        (tenant, "key/b".to_owned()),
        Room {
            running: 1,
            bucket: None,
        },
    )]);
    let asked = [
        (tenant, ids[0], &both),
        (tenant, ids[1], &only_a),
        (tenant, ids[2], &only_b),
    ];
    let expected = Admitted {
        leased: vec![ids[1]],
        parked: vec![(ids[0], "key/b".to_owned()), (ids[2], "key/b".to_owned())],
    };
    assert_eq!(admit(&asked, &mut rooms, now()), expected);
}

#[test]
fn tenants_do_not_share() {
    let needs = needs(&[], &task(&["a"]));
    let asked = [
        (TenantId::new(), TaskId::new(), &needs),
        (TenantId::new(), TaskId::new(), &needs),
    ];
    assert_eq!(admit(&asked, &mut HashMap::new(), now()).leased.len(), 2);
}

#[test]
fn a_clock_that_is_behind_takes_no_tokens_away() {
    let rate = Rate {
        tasks: 10,
        period: TimeDelta::seconds(1),
        burst: 10,
    };
    let known = Bucket {
        tokens: 4.0,
        time: now(),
    };
    assert_eq!(rate.fill(Some(known), now() - TimeDelta::hours(1)), known);
    let later = rate.fill(Some(known), now() + TimeDelta::milliseconds(300));
    assert!((later.tokens - 7.0).abs() < 1e-9);
}

proptest! {
    /// Whatever comes when, no more than the burst and what has flowed in since are leased in any
    /// stretch of time.
    #[test]
    fn a_rate_is_never_exceeded(
        tasks in 1..20_i32,
        burst in 1..20_i32,
        asks in prop::collection::vec((0..3_000_i64, 1..8_usize), 1..40),
    ) {
        let rate = Rate { tasks, period: TimeDelta::seconds(1), burst };
        let limits = [Limit { max_running: None, rate: Some(rate), ..limit("l", Per::Tenant, "", 1) }];
        let (tenant, needs) = (TenantId::new(), needs(&limits, &task(&[])));
        let mut rooms = HashMap::new();
        let mut time = now();
        let mut leased = Vec::new();
        for (pause, count) in asks {
            time += TimeDelta::milliseconds(pause);
            let asked: Vec<_> = (0..count).map(|_| (tenant, TaskId::new(), &needs)).collect();
            let admitted = admit(&asked, &mut rooms, time).leased.len();
            leased.extend(std::iter::repeat_n(time, admitted));
        }
        for from in 0..leased.len() {
            for to in from..leased.len() {
                #[allow(clippy::cast_precision_loss)]
                let seconds = (leased[to] - leased[from]).num_milliseconds() as f64 / 1_000.0;
                let most = f64::from(burst) + seconds * f64::from(tasks);
                #[allow(clippy::cast_precision_loss)]
                let count = (to - from + 1) as f64;
                prop_assert!(count <= most + 1e-3, "{count} in {seconds} s, at most {most}");
            }
        }
    }

    /// Whatever runs and ends, no allowance has more at a time than it may, and a task waits only if
    /// one of its allowances is full.
    #[test]
    fn no_more_run_than_may_and_none_waits_without_reason(
        steps in prop::collection::vec((any::<bool>(), prop::sample::subsequence(vec!["a", "b", "c"], 0..=3)), 1..60),
    ) {
        let limits = [
            limit("all", Per::Tenant, "", 4),
            limit("a", Per::ConcurrencyKey, "a", 2),
        ];
        let bound = |name: &str| match name {
            "limit/all/" => 4,
            "limit/a/a" => 2,
            _ => 1,
        };
        let tenant = TenantId::new();
        let mut running = Vec::<Vec<String>>::new();
        let count = |running: &[Vec<String>], name: &str| {
            i32::try_from(running.iter().filter(|names| names.iter().any(|one| one == name)).count()).expect("few")
        };
        for (ends, keys) in steps {
            if ends && !running.is_empty() {
                running.remove(0);
                continue;
            }
            let needs = needs(&limits, &task(&keys));
            let mut rooms: HashMap<_, _> = needs.bounds.keys().map(|name| {
                ((tenant, name.clone()), Room { running: count(&running, name), bucket: None })
            }).collect();
            let admitted = admit(&[(tenant, TaskId::new(), &needs)], &mut rooms, now());
            let full: Vec<_> = needs.bounds.keys().filter(|name| count(&running, name) >= bound(name)).collect();
            prop_assert_eq!(admitted.leased.is_empty(), !full.is_empty());
            if let Some((_, waits_for)) = admitted.parked.first() {
                prop_assert!(full.contains(&waits_for));
            } else {
                running.push(needs.bounds.into_keys().collect());
            }
            for name in ["limit/all/", "limit/a/a", "key/b", "key/c"] {
                prop_assert!(count(&running, name) <= bound(name));
            }
        }
    }
}
