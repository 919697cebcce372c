//! What can go wrong here, and what a caller hears of it.

use std::time::Duration;

use reeve_ids::{HoldId, InvoiceId};
use reeve_money::{Cost, Currency, Money, MoneyError};
use reeve_status::{Code, Fault, Reason};

use crate::domain::budget::{Budget, HoldState};
use crate::domain::invoice::PaymentRefused;
use crate::domain::rate_card::MeterKey;
use crate::domain::{Forbidden, Guard};
use crate::storage::StoreError;

/// Bytes of missing prices that an answer names. It travels in headers, which clients refuse above
/// some 8 KiB, and says them three times.
const MOST_NAMES: usize = 1_000;

/// Why an operation did not happen. Nothing was written, unless the database says that it is
/// uncertain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused or is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Events could not be written.
    #[error(transparent)]
    Events(#[from] reeve_events::Error),
    /// No such resource in this tenant.
    #[error("no {kind} {id}")]
    NotFound {
        /// Kind of resource.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The name or identifier is taken.
    #[error("a {kind} {name} exists")]
    Exists {
        /// Kind of resource.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A concurrent change won.
    #[error("a concurrent change won")]
    Collision,
    /// The lifecycle has no such edge, or its guard does not hold.
    #[error("{kind} {id} cannot go from {} to {}", .forbidden.from, .forbidden.to)]
    Forbidden {
        /// Kind of resource.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Which edge.
        forbidden: Box<Forbidden>,
    },
    /// The etag is stale.
    #[error("{kind} {id} has version {current}")]
    EtagMismatch {
        /// Kind of resource.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Its version.
        current: i64,
    },
    /// The request id came with another body before.
    #[error("request_id {0} was used before")]
    RequestIdReused(String),
    /// No rate card prices everything.
    #[error("no price for {0:?}")]
    PriceMissing(Vec<MeterKey>),
    /// A budget on the way has too little left.
    #[error("budget {} is exhausted", .budget.id)]
    BudgetExhausted {
        /// The budget that refuses.
        budget: Box<Budget>,
        /// What was asked.
        asked: Cost,
    },
    /// The hold is over and cannot end as asked.
    #[error("hold {id} is {}", .state.as_str())]
    HoldClosed {
        /// The hold.
        id: HoldId,
        /// Its state.
        state: HoldState,
    },
    /// Two currencies where one is needed.
    #[error("{subject} is in {expected}")]
    CurrencyMismatch {
        /// What has a currency already, for example "budget/0190…".
        subject: String,
        /// That currency.
        expected: String,
        /// The one that was sent.
        found: String,
    },
    /// More than is owed.
    #[error("invoice {invoice} takes at most {left}")]
    Overpayment {
        /// The invoice.
        invoice: InvoiceId,
        /// What may still be paid.
        left: Money,
        /// What was to be paid.
        asked: Money,
    },
    /// No unbilled work and no custom line.
    #[error("nothing to invoice")]
    NothingToInvoice,
    /// A field is wrong in a way that only the state shows.
    #[error("{field}: {description}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What would be right.
        description: String,
    },
    /// The rendered document is too large to send.
    #[error("the document has {0} bytes")]
    DocumentTooLarge(usize),
    /// The document could not be drawn.
    #[error("the document could not be drawn: {0}")]
    Render(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<reeve_postgres::Error> for Error {
    fn from(error: reeve_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// No such resource in this tenant.
    pub fn not_found(kind: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            kind,
            id: id.to_string(),
        }
    }

    /// The lifecycle has no such edge.
    pub fn forbidden(kind: &'static str, id: impl ToString, forbidden: Forbidden) -> Self {
        Self::Forbidden {
            kind,
            id: id.to_string(),
            forbidden: Box::new(forbidden),
        }
    }

    /// Whether the cause may pass by itself: the database is away or busy, and what was to be
    /// written is not at fault.
    pub fn is_passing(&self) -> bool {
        use reeve_postgres::Error::{Conflict, Timeout, Unavailable};
        let (Self::Store(StoreError::Database(error))
        | Self::Events(reeve_events::Error::Database(error))) = self
        else {
            return false;
        };
        matches!(error, Unavailable(_) | Conflict(_) | Timeout(_))
    }

    /// An amount that cannot be kept.
    pub fn amount(field: &'static str, error: MoneyError) -> Self {
        Self::Invalid {
            field,
            description: error.to_string(),
        }
    }

    /// Two currencies where one is needed.
    pub fn currencies(subject: String, expected: Currency, found: Currency) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self::CurrencyMismatch {
            subject,
            expected,
            found,
        }
    }

    /// A payment that an invoice does not take.
    pub fn payment(invoice: InvoiceId, asked: Money, refused: PaymentRefused) -> Self {
        match refused {
            PaymentRefused::Status(forbidden) => Self::forbidden("invoice", invoice, forbidden),
            PaymentRefused::Overpayment(left) => Self::Overpayment {
                invoice,
                left,
                asked,
            },
            PaymentRefused::Money(MoneyError::CurrencyMismatch { expected, found }) => {
                Self::currencies(format!("invoice/{invoice}"), expected, found)
            }
            PaymentRefused::Money(error) => Self::amount("amount", error),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(StoreError::Database(error))
            | Error::Events(reeve_events::Error::Database(error)) => database(&error),
            Error::Store(StoreError::Corrupt { .. }) | Error::Events(_) | Error::Render(_) => {
                tracing::error!(%error, "an operation failed");
                Self::internal()
            }
            Error::NotFound { kind, id } => Self::not_found(kind, id),
            Error::Exists { kind, name } => Self::already_exists(kind, name),
            Error::Collision => Self::new(
                Code::Aborted,
                Reason::WriteConflict,
                "a concurrent change won; try again",
            ),
            Error::Forbidden {
                kind,
                id,
                forbidden,
            } => transition_forbidden(kind, &id, &forbidden),
            Error::EtagMismatch { kind, id, current } => {
                Self::etag_mismatch(kind, id, format!("v{current}"))
            }
            Error::RequestIdReused(request_id) => Self::precondition(
                Reason::RequestIdReused,
                "REQUEST_ID",
                format!("request_id/{request_id}"),
                "this request_id was used with another body",
            ),
            Error::PriceMissing(missing) => price_missing(&missing),
            Error::BudgetExhausted { budget, asked } => budget_exhausted(&budget, asked),
            Error::HoldClosed { id, state } => hold_closed(id, state),
            Error::CurrencyMismatch {
                subject,
                expected,
                found,
            } => currency_mismatch(&subject, &expected, &found),
            Error::Overpayment {
                invoice,
                left,
                asked,
            } => overpayment(invoice, left, asked),
            Error::NothingToInvoice => Self::precondition(
                Reason::NothingToInvoice,
                "WORK",
                "billing_period",
                "the project has no unbilled, priced work in the period, and no custom line is given",
            ),
            Error::Invalid { field, description } => Self::invalid(field, description),
            Error::DocumentTooLarge(bytes) => Self::new(
                Code::ResourceExhausted,
                Reason::PayloadTooLarge,
                "the rendered document is larger than 3 MiB",
            )
            .with_quota("document", format!("{bytes} of 3145728 bytes")),
        }
    }
}

fn database(error: &reeve_postgres::Error) -> Fault {
    let fault = Fault::from(error);
    if fault.code() == Code::Internal {
        tracing::error!(error = ?error, "a statement failed");
    }
    fault
}

fn transition_forbidden(kind: &str, id: &str, forbidden: &Forbidden) -> Fault {
    let Forbidden {
        from,
        to,
        legal,
        guard,
    } = forbidden;
    let fault = Fault::transition_forbidden(kind, id, from, to, legal);
    let subject = format!("{kind}/{id}");
    match guard {
        None => fault,
        Some(Guard::NotIssued) => fault.with_precondition("ISSUED", subject, "is not issued yet"),
        Some(Guard::Money { paid, pending }) => {
            let description = format!("{paid} are paid and {pending} pending; neither may be");
            fault
                .with_precondition("MONEY", subject, description)
                .with("paid", paid.amount())
                .with("pending", pending.amount())
                .with("currency_code", paid.currency().code())
        }
    }
}

fn price_missing(missing: &[MeterKey]) -> Fault {
    let mut names = String::new();
    for (at, key) in missing.iter().map(ToString::to_string).enumerate() {
        if at > 0 && names.len() + key.len() > MOST_NAMES {
            names.push_str(&format!(", and {} more", missing.len() - at));
            break;
        }
        names.push_str(if at > 0 { ", " } else { "" });
        names.push_str(&key);
    }
    Fault::precondition(
        Reason::PriceMissing,
        "PRICE",
        "rate_cards",
        format!("no rate card valid at the time of use prices all of it; missing: {names}"),
    )
    .with("missing", names)
}

fn budget_exhausted(budget: &Budget, asked: Cost) -> Fault {
    let id = budget.id.to_string();
    let (limit, spent) = (budget.cap.amount(), budget.spent.amount());
    let (reserved, asked) = (budget.reserved.amount(), asked.amount());
    let message = format!(
        "budget {} allows {limit} {}: {spent} are spent, {reserved} reserved, {asked} were asked",
        budget.name,
        budget.currency(),
    );
    Fault::new(
        Code::ResourceExhausted,
        Reason::BudgetExhausted,
        message.clone(),
    )
    .with_quota(format!("budget/{id}"), message)
    .with("budget_id", id)
    .with("budget_name", &budget.name)
    .with("scope", budget.scope.as_str())
    .with("limit", limit)
    .with("spent", spent)
    .with("reserved", reserved)
    .with("asked", asked)
    .with("currency_code", budget.currency().code())
    .with_retry_after(Duration::from_secs(5))
}

fn hold_closed(id: HoldId, state: HoldState) -> Fault {
    let state = state.as_str();
    Fault::precondition(
        Reason::HoldClosed,
        "STATE",
        format!("hold/{id}"),
        format!("hold {id} is {state} and cannot end in this way"),
    )
    .with("state", state)
}

fn currency_mismatch(subject: &str, expected: &str, found: &str) -> Fault {
    Fault::precondition(
        Reason::CurrencyMismatch,
        "CURRENCY",
        subject,
        format!("{subject} is in {expected}, the request in {found}"),
    )
    .with("expected", expected)
    .with("found", found)
}

fn overpayment(invoice: InvoiceId, left: Money, asked: Money) -> Fault {
    Fault::precondition(
        Reason::Overpayment,
        "AMOUNT",
        format!("invoice/{invoice}"),
        format!("at most {left} may still be paid, not {asked}"),
    )
    .with("left", left.amount())
    .with("asked", asked.amount())
    .with("currency_code", left.currency().code())
}
