//! The life of a payment.

use chrono::{DateTime, Utc};
use reeve_ids::{InvoiceId, PaymentId, TenantId};
use reeve_money::Money;
use serde_json::Value as Json;

use super::{Forbidden, words};

words! {
    /// Where a payment is in its life.
    PaymentStatus {
        /// Announced.
        Pending = "PENDING",
        /// The processor is at it.
        Processing = "PROCESSING",
        /// The money arrived.
        Completed = "COMPLETED",
        /// It did not.
        Failed = "FAILED",
        /// It was called off.
        Cancelled = "CANCELLED",
        /// All of it went back.
        Refunded = "REFUNDED",
        /// The payer contests it.
        Disputed = "DISPUTED",
    }
}

words! {
    /// How money came.
    PaymentMethod {
        /// Bank transfer.
        BankTransfer = "BANK_TRANSFER",
        /// Credit card.
        CreditCard = "CREDIT_CARD",
        /// Debit card.
        DebitCard = "DEBIT_CARD",
        /// PayPal.
        Paypal = "PAYPAL",
        /// Stripe.
        Stripe = "STRIPE",
        /// Check.
        Check = "CHECK",
        /// Cash.
        Cash = "CASH",
        /// Cryptocurrency.
        Cryptocurrency = "CRYPTOCURRENCY",
        /// Automated Clearing House.
        Ach = "ACH",
    }
}

use PaymentStatus::{Cancelled, Completed, Disputed, Failed, Pending, Processing, Refunded};

/// Every legal change: 12 of the 42 pairs.
pub const LEGAL: &[(PaymentStatus, &[PaymentStatus])] = &[
    (Pending, &[Processing, Completed, Failed, Cancelled]),
    (Processing, &[Completed, Failed, Cancelled]),
    (Completed, &[Refunded, Disputed]),
    // Only with the processor's evidence of a late success.
    (Failed, &[Completed]),
    (Cancelled, &[]),
    (Refunded, &[]),
    (Disputed, &[Completed, Refunded]),
];

impl PaymentStatus {
    /// What it may become.
    pub fn legal(self) -> &'static [Self] {
        LEGAL
            .iter()
            .find(|(from, _)| *from == self)
            .map_or(&[], |(_, to)| to)
    }

    /// The change to another status.
    ///
    /// # Errors
    /// When the table has no such edge.
    pub fn become_status(self, to: Self) -> Result<Self, Forbidden> {
        if self.legal().contains(&to) {
            return Ok(to);
        }
        Err(Forbidden {
            from: self.as_str(),
            to: to.as_str(),
            legal: self.legal().iter().map(|status| status.as_str()).collect(),
            guard: None,
        })
    }

    /// Whether its outcome is open, so that its amount is spoken for.
    pub fn is_open(self) -> bool {
        matches!(self, Pending | Processing)
    }
}

impl PaymentMethod {
    /// Money that is in hand when it is recorded; for the others a processor has the last word.
    pub fn is_received_by_hand(self) -> bool {
        matches!(self, Self::BankTransfer | Self::Check | Self::Cash)
    }

    /// How a payment by this method begins.
    pub fn first_status(self) -> PaymentStatus {
        if self.is_received_by_hand() {
            Completed
        } else {
            Pending
        }
    }
}

/// Money for an invoice.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// The payment.
    pub id: PaymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Counts its changes from 1.
    pub version: i64,
    /// The invoice that it pays.
    pub invoice_id: InvoiceId,
    /// Gross amount.
    pub amount: Money,
    /// What the processor kept of it.
    pub fee: Money,
    /// How it came.
    pub method: PaymentMethod,
    /// Where it is in its life.
    pub status: PaymentStatus,
    /// At the processor; empty for none.
    pub transaction_id: String,
    /// The payer's.
    pub reference: String,
    /// When the payer paid.
    pub payment_time: DateTime<Utc>,
    /// When the outcome became known.
    pub process_time: Option<DateTime<Utc>>,
    /// The processor's words.
    pub processor_response: String,
    /// For people.
    pub notes: String,
    /// The processor's data: a JSON object.
    pub processor_data: Json,
    /// When it was recorded.
    pub create_time: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From by row, to by column.
    const PICTURE: [&str; 7] = [
        // P G C F X R D
        ". x x x x . .", // PENDING
        ". . x x x . .", // PROCESSING
        ". . . . . x x", // COMPLETED
        ". . x . . . .", // FAILED
        ". . . . . . .", // CANCELLED
        ". . . . . . .", // REFUNDED
        ". . x . . x .", // DISPUTED
    ];

    #[test]
    fn all_49_cells() {
        let mut legal = 0;
        for (row, from) in PaymentStatus::ALL.iter().enumerate() {
            let cells: Vec<_> = PICTURE[row].split(' ').collect();
            for (column, to) in PaymentStatus::ALL.iter().enumerate() {
                let expected = cells[column] == "x";
                legal += usize::from(expected);
                assert_eq!(
                    from.become_status(*to).is_ok(),
                    expected,
                    "{from:?} -> {to:?}"
                );
            }
        }
        assert_eq!(legal, 12);
    }

    #[test]
    fn money_in_hand_is_complete() {
        for method in PaymentMethod::ALL {
            let expected = if method.is_received_by_hand() {
                Completed
            } else {
                Pending
            };
            assert_eq!(method.first_status(), expected);
        }
        assert_eq!(PaymentMethod::ALL.len(), 9);
    }
}
