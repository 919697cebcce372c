//! How a task comes to wait behind a gate, and how it leaves it.

use chrono::{DateTime, Utc};

use super::state::State::{Assigned, Completed, Failed, InProgress, Pending};
use super::{AttemptEnd, Effect, Forbidden, GateKind, Ruling, Settled, Standing};

impl Standing {
    /// Whether nobody knows what a holder that is heard of no more has done, and it must not be done
    /// twice.
    pub(super) fn may_be_done(&self) -> bool {
        self.effect == Effect::Effectful
    }

    /// Back to PENDING, until a person answers.
    pub(super) fn gated(&self, kind: GateKind, end: AttemptEnd) -> Settled {
        let mut settled = self.settled(Pending, Some(end), None);
        settled.gate = Some(kind);
        settled
    }

    /// On from behind a gate. Whoever finishes the task for its agent takes it over first: the path
    /// leads through the states in which it would have been done.
    pub(super) fn passes(&self, ruling: Ruling, now: DateTime<Utc>) -> Result<Settled, Forbidden> {
        let to = ruling.state();
        if self.state != Pending || self.gate.is_none() {
            return Err(Forbidden {
                from: self.state,
                to,
            });
        }
        let over = |to| self.state.follows(&[Assigned, InProgress, to]);
        match ruling {
            Ruling::GoOn => {
                let mut settled = self.settled(Pending, None, None);
                settled.ready_time = Some(now);
                Ok(settled)
            }
            Ruling::Finish => Ok(self.settled(over(Completed)?, None, None)),
            Ruling::Fail(error) => {
                let mut settled = self.settled(over(Failed)?, None, Some(error));
                settled.dead = true;
                Ok(settled)
            }
            Ruling::Cancel => self.cancelled(),
        }
    }
}
