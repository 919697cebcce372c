use chrono_tz::Tz;
use proptest::prelude::*;

use super::super::cron::tests::{lines, moments};
use super::super::cron_model::ZONES;
use super::super::schedule::Timing;
use super::*;

/// One look: how much later it comes, whether the task before is not over by then, and whether the
/// server dies before it commits.
#[derive(Debug, Clone, Copy)]
struct Visit {
    later: TimeDelta,
    busy: bool,
    dies: bool,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    // Mostly soon, sometimes after a long absence, sometimes with a clock that was set back.
    let later = prop_oneof![
        4 => 0_i64..90,
        3 => 60_i64..7_200,
        2 => 7_200_i64..200_000,
        1 => -4_000_i64..0,
    ];
    let visit = (later, any::<bool>(), prop::bool::weighted(0.3));
    let visit = visit.prop_map(|(later, busy, dies)| Visit {
        later: TimeDelta::seconds(later),
        busy,
        dies,
    });
    prop::collection::vec(visit, 1..24)
}

fn policies() -> impl Strategy<Value = Policies> {
    let missed = prop::sample::select(MissedPolicy::ALL.to_vec());
    let overlap = prop::sample::select(OverlapPolicy::ALL.to_vec());
    (missed, overlap, 1_i64..3_000, 1..20).prop_map(|(missed, overlap, minutes, limit)| Policies {
        missed,
        catch_up: TimeDelta::minutes(minutes),
        catch_up_limit: limit,
        overlap,
    })
}

/// What a policy says of due times that are looked at, in its plainest form: those that fire, and
/// whether the task before is cancelled.
fn expected(due: &[DateTime<Utc>], policies: Policies, at: At) -> (Vec<DateTime<Utc>>, bool) {
    let fires_at = |due: &DateTime<Utc>| *due + at.offset;
    let is_missed = |due: &&DateTime<Utc>| at.now - fires_at(due) > LATE;
    let missed: Vec<_> = due.iter().filter(is_missed).copied().collect();
    let on_time: Vec<_> = due[missed.len()..].to_vec();
    let mut fire = match policies.missed {
        MissedPolicy::Skip => Vec::new(),
        MissedPolicy::RunOnce if on_time.is_empty() => missed.last().copied().into_iter().collect(),
        MissedPolicy::RunOnce => Vec::new(),
        MissedPolicy::RunAll => {
            let young = |due: &&DateTime<Utc>| at.now - fires_at(due) <= policies.catch_up;
            let young: Vec<_> = missed.iter().filter(young).copied().collect();
            let most = usize::try_from(policies.catch_up_limit.min(at.room)).expect("positive");
            young[young.len().saturating_sub(most)..].to_vec()
        }
    };
    fire.extend(on_time);
    match policies.overlap {
        OverlapPolicy::Allow => {}
        OverlapPolicy::Skip => fire.truncate(usize::from(!at.busy)),
        OverlapPolicy::CancelPrevious => drop(fire.drain(..fire.len().saturating_sub(1))),
    }
    let cancels = policies.overlap == OverlapPolicy::CancelPrevious && at.busy && !fire.is_empty();
    (fire, cancels)
}

/// Every due time that the steps stand for, by the model's list: each once, in order.
fn covered(steps: &[Step], due: &[DateTime<Utc>]) -> Vec<DateTime<Utc>> {
    let of = |step: &Step| match step {
        Step::Fire(due) => vec![*due],
        Step::Skip(skipped) => {
            let range = skipped.first..=skipped.last;
            let within: Vec<_> = due
                .iter()
                .filter(|due| range.contains(due))
                .copied()
                .collect();
            let counted = i32::try_from(within.len()).expect("few").min(COUNTED);
            assert_eq!(skipped.count, counted, "{skipped:?}");
            within
        }
    };
    let mut all: Vec<_> = steps.iter().flat_map(of).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    /// Whatever the line, the zone, the policies, the absences and the crashes: each due time is
    /// handled once, and what fires is what the policies say.
    #[test]
    fn no_due_time_is_lost_or_handled_twice(
        model in lines(),
        zone in prop::sample::select(ZONES.to_vec()),
        start in moments(),
        policies in policies(),
        offset in 0_i64..3_000,
        room in 1..30,
        visits in visits(),
    ) {
        let timing = Timing { cron: model.to_string(), zone: zone.name().to_owned(), start: None, end: None };
        let calendar = timing.read().expect("the model's lines are lines");
        let offset = TimeDelta::seconds(offset);
        let absent: TimeDelta = visits.iter().map(|visit| visit.later.max(TimeDelta::zero())).sum();
        let due = model.due(zone, start, start + absent);
        let Some(mut next_due) = calendar.next(start) else { return Ok(()) };
        let (mut now, mut handled) = (start, Vec::new());
        for visit in visits {
            now += visit.later;
            if next_due + offset > now {
                continue;
            }
            let at = At { next_due, offset, now, busy: visit.busy, room };
            let looked = look(&calendar, policies, at);
            if visit.dies {
                continue;
            }
            let open = due.iter().filter(|due| **due >= next_due && **due + offset <= now);
            let open: Vec<_> = open.copied().collect();
            let fired: Vec<_> = looked.steps.iter().filter_map(|step| match step {
                Step::Fire(due) => Some(*due),
                Step::Skip(_) => None,
            }).collect();
            prop_assert_eq!((fired, looked.cancels), expected(&open, policies, at));
            prop_assert_eq!(&covered(&looked.steps, &due), &open);
            handled.extend(open);
            next_due = looked.next_due.expect("lines of the model go on");
            prop_assert!(next_due + offset > now);
        }
        let all: Vec<_> = due.into_iter().filter(|due| *due < next_due).collect();
        prop_assert_eq!(handled, all, "{} in {}", model, zone);
    }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn calendar(cron: &str, end: Option<&str>) -> Calendar {
    let timing = Timing {
        cron: cron.to_owned(),
        zone: Tz::UTC.name().to_owned(),
        start: None,
        end: end.map(utc),
    };
    timing.read().unwrap()
}

const ALL: Policies = Policies {
    missed: MissedPolicy::RunAll,
    catch_up: TimeDelta::days(30),
    catch_up_limit: 3,
    overlap: OverlapPolicy::Allow,
};

fn at(next_due: &str, now: &str) -> At {
    At {
        next_due: utc(next_due),
        offset: TimeDelta::zero(),
        now: utc(now),
        busy: false,
        room: 100,
    }
}

#[test]
fn a_long_absence_costs_no_more_than_what_is_counted() {
    let calendar = calendar("* * * * * *", None);
    let at = at("2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z");
    let looked = look(
        &calendar,
        Policies {
            missed: MissedPolicy::Skip,
            ..ALL
        },
        at,
    );
    let Some(Step::Skip(skipped)) = looked.steps.first() else {
        panic!("{looked:?}");
    };
    assert_eq!(
        (skipped.count, skipped.last),
        (COUNTED, utc("2026-11-30T23:58:59Z"))
    );
    assert_eq!(looked.steps.len(), 1 + 61, "those of the last minute fire");
    let looked = look(&calendar, ALL, at);
    assert_eq!(looked.steps.len(), 1 + 3 + 61);
}

#[test]
fn exactly_a_minute_late_is_not_missed() {
    let calendar = calendar("0 12 * * *", None);
    let skip = Policies {
        missed: MissedPolicy::Skip,
        ..ALL
    };
    let on_time = look(
        &calendar,
        skip,
        at("2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"),
    );
    assert_eq!(on_time.steps, [Step::Fire(utc("2026-01-01T12:00:00Z"))]);
    let late = look(
        &calendar,
        skip,
        at("2026-01-01T12:00:00Z", "2026-01-01T12:01:00.000001Z"),
    );
    assert!(matches!(late.steps[..], [Step::Skip(_)]), "{late:?}");
}

#[test]
fn nothing_is_due_from_the_end_on() {
    let calendar = calendar("0 * * * *", Some("2026-01-01T14:00:00Z"));
    let looked = look(
        &calendar,
        ALL,
        at("2026-01-01T12:00:00Z", "2026-01-03T00:00:00Z"),
    );
    let fires = [utc("2026-01-01T12:00:00Z"), utc("2026-01-01T13:00:00Z")];
    assert_eq!(looked.steps, fires.map(Step::Fire));
    assert_eq!(looked.next_due, None);
}
