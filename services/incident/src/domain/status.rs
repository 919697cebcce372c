//! The lifecycle: which status may follow which.

use super::words::words;

words! {
    /// The place in the lifecycle.
    Status {
        /// Known to the system, and nobody has answered.
        Detected = "DETECTED",
        /// Somebody has taken notice.
        Acknowledged = "ACKNOWLEDGED",
        /// Its cause is being looked for.
        Investigating = "INVESTIGATING",
        /// Its effect is being stopped.
        Mitigating = "MITIGATING",
        /// Its effect has stopped.
        Mitigated = "MITIGATED",
        /// It is over.
        Resolved = "RESOLVED",
        /// Nothing more is expected.
        Closed = "CLOSED",
    }
}

impl Status {
    /// What may follow. The database holds the same table (`incident_transition`) and refuses
    /// anything else by itself.
    pub const fn successors(self) -> &'static [Self] {
        use Status::{
            Acknowledged, Closed, Detected, Investigating, Mitigated, Mitigating, Resolved,
        };
        match self {
            Detected => &[Acknowledged, Investigating, Resolved, Closed],
            Acknowledged => &[Investigating, Mitigating, Resolved, Closed, Detected],
            Investigating => &[Mitigating, Mitigated, Resolved, Closed, Detected],
            Mitigating => &[Mitigated, Investigating, Resolved],
            Mitigated => &[Resolved, Investigating, Mitigating],
            Resolved => &[Closed, Investigating],
            Closed => &[Investigating],
        }
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: Self) -> bool {
        self.successors().contains(&next)
    }

    /// Whether it still takes signals.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row by row what the lifecycle allows, written a second time on purpose: x is legal.
    const TABLE: [(Status, &str); 7] = [
        // to:                 D A I T M R C
        (Status::Detected, /*   */ ".xx..xx"),
        (Status::Acknowledged, /**/ "x.xx.xx"),
        (Status::Investigating, /**/ "x..xxxx"),
        (Status::Mitigating, /* */ "..x.xx."),
        (Status::Mitigated, /*  */ "..xx.x."),
        (Status::Resolved, /*   */ "..x...x"),
        (Status::Closed, /*     */ "..x...."),
    ];

    #[test]
    fn every_cell_of_the_table_holds() {
        let mut legal = 0;
        for (from, row) in TABLE {
            for (to, cell) in Status::ALL.iter().zip(row.chars()) {
                assert_eq!(from.may_become(*to), cell == 'x', "{from} -> {to}");
                legal += usize::from(cell == 'x');
            }
        }
        assert_eq!(legal, 23);
    }

    #[test]
    fn nothing_follows_itself() {
        assert!(Status::ALL.iter().all(|status| !status.may_become(*status)));
    }

    #[test]
    fn every_word_is_its_own() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(*status));
        }
        assert_eq!(Status::parse("OPEN"), None);
    }
}
