//! The invoice: facts, and the changes that operations may make to them.

use chrono::{DateTime, Datelike as _, Days, NaiveTime, Utc};
use reeve_ids::{AgentId, InvoiceId, ProjectId, TenantId};
use reeve_money::{Currency, Money, MoneyError};
use serde_json::Value as Json;

use super::invoice_status::{Facts, InvoiceStatus, status};
use super::totals::{Line, Totals};
use super::{Forbidden, Guard};

/// Where a party is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Address {
    /// Street and the like.
    pub lines: Vec<String>,
    /// Postal code.
    pub postal_code: String,
    /// Town.
    pub city: String,
    /// State or province.
    pub region: String,
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
}

/// Who is billed.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Client {
    /// In the caller's books.
    pub client_id: String,
    /// Name.
    pub client_name: String,
    /// Where to write to.
    pub contact_email: String,
    /// Where to call.
    pub contact_phone: String,
    /// The client's company.
    pub company: String,
    /// Postal address.
    pub address: Address,
    /// Tax number.
    pub tax_id: String,
    /// Anything else: a JSON object.
    pub additional_info: Json,
}

/// Where to pay to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BankAccount {
    /// Who holds it.
    pub holder: String,
    /// IBAN or national number.
    pub account_number: String,
    /// BIC or national code.
    pub bank_code: String,
    /// The bank.
    pub bank_name: String,
}

/// Who bills.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Company {
    /// Legal name.
    pub legal_name: String,
    /// Postal address.
    pub address: Address,
    /// Tax number.
    pub tax_id: String,
    /// Number in the register.
    pub registration_number: String,
    /// Where to write to.
    pub contact_email: String,
    /// Where to call.
    pub contact_phone: String,
    /// Web address.
    pub website: String,
    /// Where to pay to.
    pub bank_account: BankAccount,
}

/// When and how to pay.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// Days until it is due.
    pub net_days: i32,
    /// Per cent off when paid early; empty for none.
    pub discount_percent: String,
    /// How early.
    pub discount_days: i32,
    /// Yearly interest on late payment in per cent; empty for none.
    pub late_interest_percent: String,
    /// In words.
    pub note: String,
}

/// A document that belongs to the invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attachment {
    /// File name.
    pub file_name: String,
    /// Media type.
    pub content_type: String,
    /// Where the bytes are.
    pub uri: String,
    /// Of the bytes, in hexadecimal; empty when unknown.
    pub sha256: String,
    /// Size; 0 when unknown.
    pub size_bytes: i64,
}

/// What is printed besides lines and sums: copies, as they were when the invoice was made.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Document {
    /// Who is billed.
    pub client: Client,
    /// Who bills.
    pub company: Company,
    /// When and how to pay.
    pub terms: Terms,
    /// Remarks.
    pub notes: String,
    /// Documents that belong to it.
    pub attachments: Vec<Attachment>,
}

/// Its place in a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Year of issue.
    pub fiscal_year: i32,
    /// Counts from 1 within series and year.
    pub value: i64,
    /// As printed.
    pub text: String,
}

impl Number {
    /// The number as it is printed, for example "INV-2026-000001".
    pub fn new(series: &str, fiscal_year: i32, value: i64) -> Self {
        Self {
            fiscal_year,
            value,
            text: format!("{series}-{fiscal_year}-{value:06}"),
        }
    }
}

/// An invoice.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoice {
    /// The invoice.
    pub id: InvoiceId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Counts its changes from 1.
    pub version: i64,
    /// The project billed.
    pub project_id: ProjectId,
    /// Series of its number.
    pub series: String,
    /// Given when it is issued.
    pub number: Option<Number>,
    /// Derived from the facts.
    pub status: InvoiceStatus,
    /// The client's id, which names the receivable.
    pub client_id: String,
    /// What is printed.
    pub document: Document,
    /// Anything else: a JSON object.
    pub custom_fields: Json,
    /// The agent that made it.
    pub generated_by: Option<AgentId>,
    /// First moment billed.
    pub period_start: Option<DateTime<Utc>>,
    /// First moment no longer billed.
    pub period_end: DateTime<Utc>,
    /// The lines.
    pub lines: Vec<Line>,
    /// The sums.
    pub totals: Totals,
    /// Paid and not gone back.
    pub paid: Money,
    /// Gone back with a credit note.
    pub refunded: Money,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it was issued.
    pub issue_time: Option<DateTime<Utc>>,
    /// When the client saw it.
    pub view_time: Option<DateTime<Utc>>,
    /// When it falls due.
    pub due_time: Option<DateTime<Utc>>,
    /// When nothing more was owed.
    pub paid_time: Option<DateTime<Utc>>,
    /// When it was cancelled.
    pub cancel_time: Option<DateTime<Utc>>,
    /// Why.
    pub cancel_reason: String,
}

/// Why a payment is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentRefused {
    /// The invoice takes none in its state.
    Status(Forbidden),
    /// More than is owed and not spoken for, which is this much.
    Overpayment(Money),
    /// Another currency, or out of range.
    Money(MoneyError),
}

impl Invoice {
    /// The currency of every amount.
    pub fn currency(&self) -> Currency {
        self.totals.total.currency()
    }

    /// What is still owed; nothing of a cancelled one.
    pub fn due(&self) -> Money {
        if self.status == InvoiceStatus::Cancelled {
            return Money::zero(self.currency());
        }
        self.totals
            .total
            .minus(self.paid)
            .unwrap_or_else(|_| Money::zero(self.currency()))
    }

    /// What the status is derived from.
    pub fn facts(&self) -> Facts {
        Facts {
            total: self.totals.total,
            paid: self.paid,
            refunded: self.refunded,
            issue_time: self.issue_time,
            view_time: self.view_time,
            due_time: self.due_time,
            cancel_time: self.cancel_time,
        }
    }

    /// Issues a draft. False when it is issued already. It falls due when the last day to pay is
    /// over, in UTC, so that an invoice payable at once is not late on the day it is sent.
    ///
    /// # Errors
    /// For a cancelled one.
    pub fn issue(&mut self, now: DateTime<Utc>) -> Result<bool, Forbidden> {
        if self.cancel_time.is_some() {
            return Err(self.status.forbidden(InvoiceStatus::Sent));
        }
        if self.issue_time.is_some() {
            return Ok(false);
        }
        let days = u64::try_from(self.document.terms.net_days).unwrap_or(0) + 1;
        let due = now
            .date_naive()
            .checked_add_days(Days::new(days))
            .unwrap_or(now.date_naive());
        self.due_time = Some(due.and_time(NaiveTime::MIN).and_utc());
        self.issue_time = Some(now);
        self.derive(now)?;
        Ok(true)
    }

    /// The year whose series numbers it.
    pub fn fiscal_year(&self) -> i32 {
        self.issue_time.unwrap_or(self.create_time).year()
    }

    /// Notes that the client has seen it. False when that is known.
    ///
    /// # Errors
    /// For a draft or a cancelled one.
    pub fn view(&mut self, now: DateTime<Utc>) -> Result<bool, Forbidden> {
        if self.issue_time.is_none() || self.cancel_time.is_some() {
            return Err(self.forbidden(InvoiceStatus::Viewed, self.unissued()));
        }
        if self.view_time.is_some() {
            return Ok(false);
        }
        self.view_time = Some(now);
        self.derive(now)?;
        Ok(true)
    }

    /// Voids it. `open` is the sum of payments whose outcome is open. False when it is void.
    ///
    /// # Errors
    /// When something is paid or on its way, or the table has no such edge.
    pub fn cancel(
        &mut self,
        reason: String,
        open: Money,
        now: DateTime<Utc>,
    ) -> Result<bool, Forbidden> {
        if self.cancel_time.is_some() {
            return Ok(false);
        }
        if self.paid.minor() != 0 || open.minor() != 0 {
            let guard = Guard::Money {
                paid: self.paid,
                pending: open,
            };
            return Err(self.forbidden(InvoiceStatus::Cancelled, Some(guard)));
        }
        self.status.become_status(InvoiceStatus::Cancelled)?;
        (self.cancel_time, self.cancel_reason) = (Some(now), reason);
        self.derive(now)?;
        Ok(true)
    }

    /// Whether a payment of `amount` may be taken, beside `open` ones whose outcome is open.
    ///
    /// # Errors
    /// When the state, the currency or the amount forbids it.
    pub fn may_take(&self, amount: Money, open: Money) -> Result<(), PaymentRefused> {
        use InvoiceStatus::{Overdue, PartiallyPaid, Sent, Viewed};
        let left = self.due().minus(open).map_err(PaymentRefused::Money)?;
        left.minus(amount).map_err(PaymentRefused::Money)?;
        match self.status {
            Sent | Viewed | PartiallyPaid | Overdue if amount.minor() <= left.minor() => Ok(()),
            InvoiceStatus::Paid | Sent | Viewed | PartiallyPaid | Overdue => {
                Err(PaymentRefused::Overpayment(left))
            }
            _ => {
                let forbidden = self.forbidden(InvoiceStatus::Paid, self.unissued());
                Err(PaymentRefused::Status(forbidden))
            }
        }
    }

    /// Books money that arrived.
    ///
    /// # Errors
    /// When the state, the currency or the amount forbids it.
    pub fn pay(
        &mut self,
        amount: Money,
        open: Money,
        now: DateTime<Utc>,
    ) -> Result<(), PaymentRefused> {
        self.may_take(amount, open)?;
        self.paid = self.paid.plus(amount).map_err(PaymentRefused::Money)?;
        self.derive(now).map_err(PaymentRefused::Status)
    }

    /// Notes that it is overdue. False when it is not.
    ///
    /// # Errors
    /// When the table has no such edge.
    pub fn fall_due(&mut self, now: DateTime<Utc>) -> Result<bool, Forbidden> {
        let before = self.status;
        self.derive(now)?;
        Ok(before != self.status)
    }

    fn unissued(&self) -> Option<Guard> {
        (self.status == InvoiceStatus::Draft).then_some(Guard::NotIssued)
    }

    /// The refusal of a change, with what would be legal of this invoice as it is.
    fn forbidden(&self, to: InvoiceStatus, guard: Option<Guard>) -> Forbidden {
        let forbidden = self.status.forbidden(to);
        let is_legal = |word: &&'static str| {
            let money_moves = matches!(guard, Some(Guard::Money { .. }));
            match InvoiceStatus::from_word(word) {
                Some(InvoiceStatus::Cancelled) => !money_moves,
                // A draft becomes what its total says.
                Some(InvoiceStatus::Sent) if self.issue_time.is_none() => {
                    self.totals.total.minor() > 0
                }
                Some(InvoiceStatus::Paid) if self.issue_time.is_none() => {
                    self.totals.total.minor() == 0
                }
                _ => true,
            }
        };
        Forbidden {
            legal: forbidden.legal.into_iter().filter(is_legal).collect(),
            guard,
            ..forbidden
        }
    }

    fn derive(&mut self, now: DateTime<Utc>) -> Result<(), Forbidden> {
        self.status = self.status.become_status(status(&self.facts(), now))?;
        self.paid_time = match self.status {
            InvoiceStatus::Paid => self.paid_time.or(Some(now)),
            _ => None,
        };
        Ok(())
    }
}
