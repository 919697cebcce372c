//! What a rule made of signals: the layer between what happened and what people deal with.

use chrono::{DateTime, Utc};
use reeve_ids::{AlertId, IncidentId, RuleId};

use super::canonical::Digest;
use super::rule::Group;
use super::words::words;

words! {
    /// Whether an alert's trouble still counts.
    AlertState {
        /// Below the threshold.
        Counting = "COUNTING",
        /// Attached to an incident.
        Firing = "FIRING",
        /// The incident is over.
        Resolved = "RESOLVED",
    }
}

/// Signals of one rule with the same fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The rule.
    pub rule_id: RuleId,
    /// Hash of the rule and the group.
    pub fingerprint: Digest,
    /// The values that the rule groups by.
    pub group: Group,
    /// Whether it still counts.
    pub state: AlertState,
    /// How many signals it has, ever.
    pub signal_count: i64,
    /// When the first occurred.
    pub first_signal_time: DateTime<Utc>,
    /// When the newest occurred.
    pub last_signal_time: DateTime<Utc>,
    /// The incident that it is, or was last, attached to.
    pub incident_id: Option<IncidentId>,
}
