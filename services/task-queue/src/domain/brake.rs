//! What keeps tasks from being handed out, and which tasks it chooses.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_ids::{BrakeId, TenantId};

use super::{Actor, Limited};

/// Before the name of a queue, the name of the brake that is its pause. Nobody else's name has a
/// slash.
const PAUSE_OF: &str = "queue/";

/// Chooses tasks by what never changes about them; what is empty chooses any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// One of these queues.
    pub queues: Vec<String>,
    /// One of these types.
    pub kinds: Vec<String>,
    /// One of these capabilities.
    pub capabilities: Vec<String>,
    /// These labels.
    pub labels: BTreeMap<String, String>,
}

/// What keeps the tasks that it chooses from being handed out. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    /// Its id.
    pub id: BrakeId,
    /// Its owner.
    pub tenant_id: TenantId,
    /// What it is lifted by.
    pub name: String,
    /// Which tasks.
    pub selector: Selector,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub creator: Actor,
    /// When.
    pub create_time: DateTime<Utc>,
}

impl Selector {
    /// All tasks of a queue.
    pub fn of_queue(queue: &str) -> Self {
        Self {
            queues: vec![queue.to_owned()],
            ..Self::default()
        }
    }

    /// The same choice in one spelling: lists sorted, nothing twice.
    #[must_use]
    pub fn normal(mut self) -> Self {
        for list in [&mut self.queues, &mut self.kinds, &mut self.capabilities] {
            list.sort_unstable();
            list.dedup();
        }
        self
    }

    /// Whether it chooses a task.
    pub fn chooses(&self, task: &Limited) -> bool {
        let one_of = |list: &[String], text: &String| list.is_empty() || list.contains(text);
        one_of(&self.queues, &task.queue)
            && one_of(&self.kinds, &task.kind)
            && one_of(&self.capabilities, &task.capability)
            && self
                .labels
                .iter()
                .all(|(key, value)| task.labels.get(key) == Some(value))
    }

    /// Whether it chooses every task.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether some task of a queue may be chosen.
    pub fn may_touch(&self, queue: &str) -> bool {
        self.queues.is_empty() || self.queues.iter().any(|one| one == queue)
    }

    /// Whether every task of a queue is chosen.
    pub fn covers(&self, queue: &str) -> bool {
        let whole = self.kinds.is_empty() && self.capabilities.is_empty() && self.labels.is_empty();
        whole && self.may_touch(queue)
    }
}

impl Brake {
    /// The name of a queue's pause.
    pub fn pause_of(queue: &str) -> String {
        format!("{PAUSE_OF}{queue}")
    }

    /// The queue of which it is the pause, if it is one.
    pub fn paused_queue(&self) -> Option<&str> {
        self.name.strip_prefix(PAUSE_OF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(queues: &[&str], kinds: &[&str]) -> Selector {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Selector {
            queues: owned(queues),
            kinds: owned(kinds),
            ..Selector::default()
        }
    }

    #[test]
    fn covers_a_queue_only_when_nothing_else_is_asked() {
        let cases = [
            (selector(&["a"], &[]), true, true),
            (selector(&["b", "a"], &[]), true, true),
            (selector(&["b"], &[]), false, false),
            (selector(&[], &[]), true, true),
            (selector(&["a"], &["lint"]), true, false),
            (selector(&[], &["lint"]), true, false),
        ];
        for (selector, touches, covers) in cases {
            assert_eq!(selector.may_touch("a"), touches, "{selector:?}");
            assert_eq!(selector.covers("a"), covers, "{selector:?}");
        }
    }

    #[test]
    fn one_choice_has_one_spelling() {
        let twice = selector(&["b", "a", "b"], &[]).normal();
        assert_eq!(twice, selector(&["a", "b"], &[]));
        assert!(selector(&[], &[]).is_all() && !twice.is_all());
    }
}
