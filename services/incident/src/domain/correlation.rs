//! From a signal to an incident: count it, attach it, reopen, or open.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::IncidentId;

use super::classification::CloseReason;

/// The newest incident of a key that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Which.
    pub id: IncidentId,
    /// When it was over.
    pub end_time: DateTime<Utc>,
    /// Why it was closed, if it was.
    pub close_reason: Option<CloseReason>,
    /// The open incident that it was closed as a duplicate of, if there is one.
    pub original: Option<IncidentId>,
}

/// What is known when a signal arrives.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// When the signal occurred.
    pub occur_time: DateTime<Utc>,
    /// Signals of its alert within the rule's window, this one included.
    pub count: i64,
    /// How many open an incident.
    pub threshold: i32,
    /// The rule's reopen window.
    pub reopen: TimeDelta,
    /// The open incident of the key.
    pub open: Option<IncidentId>,
    /// The newest one that is over.
    pub past: Option<Past>,
}

/// What becomes of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Too few yet.
    Count,
    /// It is more of the same.
    Attach(IncidentId),
    /// It came back soon after it was over.
    Reopen(IncidentId),
    /// It is new; the one before is related.
    Open(Option<IncidentId>),
}

/// Decides what becomes of a signal.
pub fn decide(situation: &Situation) -> Decision {
    if let Some(open) = situation.open {
        return Decision::Attach(open);
    }
    if situation.count < i64::from(situation.threshold) {
        return Decision::Count;
    }
    let Some(past) = situation.past else {
        return Decision::Open(None);
    };
    // The duplicate's trouble goes on in the original.
    if let Some(original) = past.original {
        return Decision::Attach(original);
    }
    // A signal from before the end, arriving late, is part of what is over.
    if situation.occur_time <= past.end_time {
        return Decision::Attach(past.id);
    }
    let was_real = matches!(past.close_reason, None | Some(CloseReason::Completed));
    if was_real && situation.occur_time - past.end_time < situation.reopen {
        return Decision::Reopen(past.id);
    }
    Decision::Open(Some(past.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + minutes * 60, 0).expect("a time")
    }

    fn situation() -> Situation {
        Situation {
            occur_time: at(0),
            count: 1,
            threshold: 1,
            reopen: TimeDelta::minutes(30),
            open: None,
            past: None,
        }
    }

    fn past(id: IncidentId, ended_minutes_ago: i64) -> Option<Past> {
        let end_time = at(-ended_minutes_ago);
        Some(Past {
            id,
            end_time,
            close_reason: None,
            original: None,
        })
    }

    #[test]
    fn the_first_signal_opens_unless_more_are_needed() {
        assert_eq!(decide(&situation()), Decision::Open(None));
        let of_five = |count| Situation {
            count,
            threshold: 5,
            ..situation()
        };
        assert_eq!(decide(&of_five(4)), Decision::Count);
        assert_eq!(decide(&of_five(5)), Decision::Open(None));
    }

    #[test]
    fn more_of_the_same_is_attached_below_the_threshold_too() {
        let id = IncidentId::new();
        let open = Situation {
            open: Some(id),
            threshold: 5,
            ..situation()
        };
        assert_eq!(decide(&open), Decision::Attach(id));
    }

    #[test]
    fn what_comes_back_soon_reopens_and_later_opens_a_related_one() {
        let id = IncidentId::new();
        let soon = Situation {
            past: past(id, 29),
            ..situation()
        };
        assert_eq!(decide(&soon), Decision::Reopen(id));
        let later = Situation {
            past: past(id, 30),
            ..situation()
        };
        assert_eq!(decide(&later), Decision::Open(Some(id)));
        let never = Situation {
            reopen: TimeDelta::zero(),
            past: past(id, 1),
            ..situation()
        };
        assert_eq!(decide(&never), Decision::Open(Some(id)));
    }

    #[test]
    fn a_late_signal_belongs_to_what_is_over() {
        let id = IncidentId::new();
        let late = Situation {
            past: past(id, -5),
            ..situation()
        };
        assert_eq!(decide(&late), Decision::Attach(id));
    }

    #[test]
    fn false_positives_do_not_reopen_and_duplicates_lead_to_their_original() {
        let (id, original) = (IncidentId::new(), IncidentId::new());
        let closed = |close_reason, original| {
            let past = past(id, 1).map(|past| Past {
                close_reason,
                original,
                ..past
            });
            decide(&Situation {
                past,
                ..situation()
            })
        };
        assert_eq!(
            closed(Some(CloseReason::FalsePositive), None),
            Decision::Open(Some(id))
        );
        assert_eq!(
            closed(Some(CloseReason::Duplicate), None),
            Decision::Open(Some(id))
        );
        let duplicate = closed(Some(CloseReason::Duplicate), Some(original));
        assert_eq!(duplicate, Decision::Attach(original));
        assert_eq!(
            closed(Some(CloseReason::Completed), None),
            Decision::Reopen(id)
        );
    }
}
