//! What an evaluation may cost. Expressions come from users and work on data of users, so both their
//! time and their memory are counted and not estimated.

use std::cell::Cell;
use std::rc::Rc;

/// Steps of one evaluation: nodes visited, items walked, pieces of text looked at. A step takes
/// some tens of nanoseconds, so all of them stay below a tenth of a second.
const STEPS: usize = 2_000_000;
/// Bytes that one evaluation may build in all, whatever of them it throws away.
const BYTES: usize = 16 << 20;
/// Bytes of text that count as one step when they are read or copied.
const TEXT_STEP: usize = 32;
/// What an item of a list or a member of an object takes, besides its text.
pub(super) const ITEM: usize = 40;

/// Why an evaluation ended without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The expression does not fit its data; `&&` and `||` may do without this value.
    Error(String),
    /// The budget is spent, which nothing excuses.
    Spent,
}

impl Stop {
    /// An error for people; it must not quote values.
    pub(super) fn error<T>(message: impl Into<String>) -> Result<T, Self> {
        Err(Self::Error(message.into()))
    }

    /// What happened, for people.
    pub(super) fn text(self) -> String {
        match self {
            Self::Error(message) => message,
            Self::Spent => "costs too much time or memory with this data".to_owned(),
        }
    }
}

/// Steps for everything that one transition evaluates, however many steps of an execution it runs
/// through. Only definitions that are made to be slow come near it.
const SUPPLY: usize = 10 * STEPS;

/// What the budgets of one transition share.
#[derive(Debug, Clone)]
pub struct Supply(Rc<Cell<usize>>);

impl Supply {
    /// A whole supply.
    pub fn new() -> Self {
        Self(Rc::new(Cell::new(SUPPLY)))
    }

    /// A budget out of it.
    pub fn budget(&self) -> Budget {
        Budget {
            supply: self.clone(),
            steps: Cell::new(STEPS),
            bytes: Cell::new(BYTES),
        }
    }
}

impl Default for Supply {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left for an evaluation, or for those of one template.
#[derive(Debug)]
pub struct Budget {
    supply: Supply,
    steps: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    /// Spends what building some text takes; false when that is too much.
    pub fn affords(&self, bytes: usize) -> bool {
        self.build(bytes).is_ok()
    }

    /// Spends steps.
    pub(super) fn step(&self, steps: usize) -> Result<(), Stop> {
        spend(&self.supply.0, steps)?;
        spend(&self.steps, steps)
    }

    /// Spends the steps that reading so many bytes of text takes.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Stop> {
        self.step(bytes / TEXT_STEP + 1)
    }

    /// Spends memory, before it is taken, and the time to fill it.
    pub(super) fn build(&self, bytes: usize) -> Result<(), Stop> {
        spend(&self.bytes, bytes)?;
        self.read(bytes)
    }
}

fn spend(left: &Cell<usize>, amount: usize) -> Result<(), Stop> {
    match left.get().checked_sub(amount) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => {
            left.set(0);
            Err(Stop::Spent)
        }
    }
}
