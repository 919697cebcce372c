//! The life of an invoice. Its status is derived from facts by one function, [`status`]; the table
//! says which changes of it are legal, and the database holds the same table.

use chrono::{DateTime, Utc};
use reeve_money::Money;

use super::{Forbidden, words};

words! {
    /// Where an invoice is in its life.
    InvoiceStatus {
        /// No number, not in the books.
        Draft = "DRAFT",
        /// Issued.
        Sent = "SENT",
        /// Seen by the client.
        Viewed = "VIEWED",
        /// Paid in part.
        PartiallyPaid = "PARTIALLY_PAID",
        /// Nothing more is owed.
        Paid = "PAID",
        /// Due, and something is owed.
        Overdue = "OVERDUE",
        /// Void.
        Cancelled = "CANCELLED",
        /// All that was paid went back.
        Refunded = "REFUNDED",
    }
}

use InvoiceStatus::{Cancelled, Draft, Overdue, Paid, PartiallyPaid, Refunded, Sent, Viewed};

/// Every legal change: 28 of the 56 pairs.
pub const LEGAL: &[(InvoiceStatus, &[InvoiceStatus])] = &[
    (Draft, &[Sent, Paid, Cancelled]),
    (Sent, &[Viewed, PartiallyPaid, Paid, Overdue, Cancelled]),
    (Viewed, &[PartiallyPaid, Paid, Overdue, Cancelled]),
    (PartiallyPaid, &[Paid, Overdue, Refunded, Sent, Viewed]),
    (
        Overdue,
        &[Paid, Cancelled, Refunded, Sent, Viewed, PartiallyPaid],
    ),
    (Paid, &[Refunded, PartiallyPaid, Overdue, Sent, Viewed]),
    (Cancelled, &[]),
    (Refunded, &[]),
];

impl InvoiceStatus {
    /// What it may become.
    pub fn legal(self) -> &'static [Self] {
        LEGAL
            .iter()
            .find(|(from, _)| *from == self)
            .map_or(&[], |(_, to)| to)
    }

    /// The change to another status, or the same.
    ///
    /// # Errors
    /// When the table has no such edge.
    pub fn become_status(self, to: Self) -> Result<Self, Forbidden> {
        if self == to || self.legal().contains(&to) {
            Ok(to)
        } else {
            Err(self.forbidden(to))
        }
    }

    /// The refusal of a change, with what would be legal.
    pub fn forbidden(self, to: Self) -> Forbidden {
        Forbidden {
            from: self.as_str(),
            to: to.as_str(),
            legal: self.legal().iter().map(|status| status.as_str()).collect(),
            guard: None,
        }
    }
}

/// What is true of an invoice. The status follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What is owed in all.
    pub total: Money,
    /// What was paid and has not gone back.
    pub paid: Money,
    /// What went back with a credit note.
    pub refunded: Money,
    /// When it was issued.
    pub issue_time: Option<DateTime<Utc>>,
    /// When the client saw it.
    pub view_time: Option<DateTime<Utc>>,
    /// When it falls due.
    pub due_time: Option<DateTime<Utc>>,
    /// When it was cancelled.
    pub cancel_time: Option<DateTime<Utc>>,
}

/// The status that the facts give at `now`.
pub fn status(facts: &Facts, now: DateTime<Utc>) -> InvoiceStatus {
    let (paid, total) = (facts.paid.minor(), facts.total.minor());
    if facts.cancel_time.is_some() {
        Cancelled
    } else if facts.issue_time.is_none() {
        Draft
    } else if paid == 0 && facts.refunded.minor() > 0 {
        Refunded
    } else if paid >= total {
        Paid
    } else if facts.due_time.is_some_and(|due| now >= due) {
        Overdue
    } else if paid > 0 {
        PartiallyPaid
    } else if facts.view_time.is_some() {
        Viewed
    } else {
        Sent
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// The table of the design once more, as a picture: from by row, to by column.
    const PICTURE: [&str; 8] = [
        // D S V P $ O C R
        ". x . . x . x .", // DRAFT
        ". . x x x x x .", // SENT
        ". . . x x x x .", // VIEWED
        ". x x . x x . x", // PARTIALLY_PAID
        ". x x x . x . x", // PAID
        ". x x x x . x x", // OVERDUE
        ". . . . . . . .", // CANCELLED
        ". . . . . . . .", // REFUNDED
    ];

    #[test]
    fn all_64_cells() {
        let mut legal = 0;
        for (row, from) in InvoiceStatus::ALL.iter().enumerate() {
            let cells: Vec<_> = PICTURE[row].split(' ').collect();
            for (column, to) in InvoiceStatus::ALL.iter().enumerate() {
                let expected = cells[column] == "x";
                legal += usize::from(expected);
                assert_eq!(from.legal().contains(to), expected, "{from:?} -> {to:?}");
                assert_eq!(
                    from.become_status(*to).is_ok(),
                    expected || from == to,
                    "{from:?} -> {to:?}"
                );
            }
        }
        assert_eq!(legal, 28);
    }

    #[test]
    fn a_refusal_names_what_is_legal() {
        let refusal = Viewed.become_status(Draft).unwrap_err();
        assert_eq!(
            refusal.legal,
            ["PARTIALLY_PAID", "PAID", "OVERDUE", "CANCELLED"]
        );
    }

    /// Every combination of facts, at moments around the due time.
    fn all_facts() -> Vec<(Facts, DateTime<Utc>)> {
        let start = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let euro = "EUR".parse().unwrap();
        let money = |minor| Money::from_minor(minor, euro).unwrap();
        let mut all = Vec::new();
        for issued in [false, true] {
            for viewed in [false, issued] {
                for cancelled in [false, true] {
                    for (total, paid, refunded) in
                        [(0, 0, 0), (9, 0, 0), (9, 4, 0), (9, 9, 0), (9, 0, 9)]
                    {
                        for later in [0, 5] {
                            let facts = Facts {
                                total: money(total),
                                paid: money(if issued { paid } else { 0 }),
                                refunded: money(if issued { refunded } else { 0 }),
                                issue_time: issued.then_some(start),
                                view_time: viewed.then_some(start),
                                due_time: issued.then_some(start + TimeDelta::days(3)),
                                cancel_time: cancelled.then_some(start),
                            };
                            all.push((facts, start + TimeDelta::days(later)));
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn facts_that_change_one_at_a_time_only_take_legal_edges() {
        // The ways in which an operation may change facts, each with the guard it has.
        for (before, now) in all_facts() {
            let from = status(&before, now);
            let mut changes: Vec<Facts> = Vec::new();
            if from == Draft {
                let due = Some(now + TimeDelta::days(3));
                changes.push(Facts {
                    issue_time: Some(now),
                    due_time: due,
                    ..before
                });
                changes.push(Facts {
                    cancel_time: Some(now),
                    ..before
                });
            }
            if matches!(from, Sent | Viewed | PartiallyPaid | Paid | Overdue) {
                changes.push(Facts {
                    view_time: before.view_time.or(Some(now)),
                    ..before
                });
                changes.push(Facts {
                    due_time: Some(now + TimeDelta::days(9)),
                    ..before
                });
                for paid in [0, 4, 9]
                    .into_iter()
                    .filter(|paid| *paid <= before.total.minor())
                {
                    let paid = Money::from_minor(paid, before.total.currency()).unwrap();
                    changes.push(Facts { paid, ..before });
                }
            }
            if matches!(from, Sent | Viewed | Overdue) && before.paid.minor() == 0 {
                changes.push(Facts {
                    cancel_time: Some(now),
                    ..before
                });
            }
            for after in changes {
                let to = status(&after, now);
                assert!(
                    from == to || from.legal().contains(&to),
                    "{from:?} -> {to:?}: {after:?}"
                );
            }
            let overdue = status(&before, now + TimeDelta::days(9));
            assert!(
                from == overdue || from.legal().contains(&overdue),
                "{from:?} -> {overdue:?}"
            );
        }
    }

    #[test]
    fn the_client_seeing_a_paid_invoice_leaves_it_paid() {
        let (facts, now) = all_facts()
            .into_iter()
            .find(|(facts, now)| status(facts, *now) == Paid && facts.view_time.is_none())
            .unwrap();
        assert_eq!(
            status(
                &Facts {
                    view_time: Some(now),
                    ..facts
                },
                now
            ),
            Paid
        );
    }
}
