//! The RPCs of `reeve.finance.v1`: parse, operate, render.

mod budget_api;
mod invoice_api;
mod ledger_api;
mod parse;
mod parse_invoice;
mod parse_usage;
mod payment_api;
mod rate_card_api;
mod render;
mod render_invoice;
mod render_usage;
mod usage_api;

pub use budget_api::BudgetApi;
pub use invoice_api::InvoiceApi;
pub use ledger_api::LedgerApi;
pub use payment_api::PaymentApi;
pub use rate_card_api::RateCardApi;
pub use usage_api::UsageApi;

use std::sync::Arc;

use prost::Message;
use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::TenantId;
use reeve_status::{Fault, Violations};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use crate::operations::{Call, Context};

/// What every service here is.
type Shared = Arc<Context>;

/// The answer to a call.
type Answer<T> = Result<Response<T>, Status>;

/// Takes a request apart: the caller, and the message.
fn open<M>(request: Request<M>) -> Result<(Caller, M), Fault> {
    let caller = Caller::from_request(&request)?;
    Ok((caller, request.into_inner()))
}

/// The call, with what makes a repetition of it visible.
fn call(caller: &Caller, method: &'static str, request_id: &str, message: &impl Message) -> Call {
    Call {
        tenant_id: caller.tenant(),
        actor: Actor::from(caller),
        method,
        request_id: request_id.to_owned(),
        body_sha256: Sha256::digest(message.encode_to_vec()).into(),
    }
}

/// The caller's tenant, and a value without which there is nothing to do; the violations if it is
/// not there.
fn required<T>(value: Option<T>, violations: Violations) -> Result<T, Fault> {
    match value {
        Some(value) => violations.finish().map(|()| value),
        None => Err(violations.into_fault()),
    }
}

/// One id and nothing else.
fn only_id<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Fault>
where
    T::Err: std::fmt::Display,
{
    let mut violations = Violations::new();
    let id = violations.take(field, text.parse());
    required(id, violations)
}

/// A caller's tenant with the id that it asks for.
fn asked<M, T: std::str::FromStr>(
    request: Request<M>,
    field: &'static str,
    text: impl Fn(&M) -> &str,
) -> Result<(TenantId, T), Fault>
where
    T::Err: std::fmt::Display,
{
    let (caller, message) = open(request)?;
    Ok((caller.tenant(), only_id(field, text(&message))?))
}
