//! How tasks share a lane.

use std::sync::Arc;

use crate::Error;

/// The line in which a task waits within its lane. Lines with a key take turns: next is the one that
/// has had the least work by its weight, so that none of them can crowd the others out.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Line {
    /// The one that all tasks without a key share; its weight is 1.
    #[default]
    Common,
    /// Before all turns, as long as no task whose turn it is has a lower score.
    Urgent,
    /// With others of the same key.
    Keyed {
        /// The key; not empty, without line breaks.
        key: Arc<str>,
        /// The share of this key: twice the weight is twice the work. What is said last counts.
        weight: f32,
    },
}

impl Line {
    /// Its part of a key in Redis, and of [`place`]: one of `""`, `"!"` and `"=<key>"`.
    pub fn mark(&self) -> String {
        match self {
            Self::Common => String::new(),
            Self::Urgent => "!".to_owned(),
            Self::Keyed { key, .. } => format!("={key}"),
        }
    }

    /// Its share.
    pub const fn weight(&self) -> f32 {
        match self {
            Self::Common | Self::Urgent => 1.0,
            Self::Keyed { weight, .. } => *weight,
        }
    }

    pub(crate) const fn is_keyed(&self) -> bool {
        matches!(self, Self::Keyed { .. })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self::Keyed { key, weight } = self else {
            return Ok(());
        };
        if key.is_empty() || key.contains('\n') {
            return Err(Error::Invalid(
                "a key must not be empty or hold line breaks",
            ));
        }
        if !(weight.is_finite() && *weight > 0.0) {
            return Err(Error::Invalid("a weight must be above 0"));
        }
        Ok(())
    }

    /// The line that has this mark; nothing when none has.
    pub fn parse(mark: &str, weight: f32) -> Option<Self> {
        match (mark, mark.strip_prefix('=')) {
            ("", _) => Some(Self::Common),
            ("!", _) => Some(Self::Urgent),
            (_, Some(key)) => Some(Self::Keyed {
                key: key.into(),
                weight,
            }),
            _ => None,
        }
    }
}

/// The name of a line of a lane, for what looks at lines: a lane's own name is its common line.
pub fn place(lane: &str, line: &Line) -> String {
    format!("{lane}{}", line.mark())
}
