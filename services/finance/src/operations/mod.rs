//! One file for each verb, and each verb one transaction: lock, decide in the domain, save with the
//! events, commit, wake the relay. Locks are taken in one order everywhere: request id, invoice,
//! payment, hold, budgets by id, accounts by code, number series.

pub mod budgets;
pub mod expire_holds;
pub mod holds;
pub mod invoice_changes;
pub mod invoices;
pub mod mark_overdue;
pub mod payments;
pub mod price_unpriced;
pub mod rate_cards;
pub mod read;
pub mod recording;
pub mod render_invoice;
pub mod report_usage;
mod settlement;
pub mod task_events;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_clock::Clock;
use reeve_events::{Actor, NewEvent, Wake};
use reeve_ids::{TenantId, Uuid};
use reeve_postgres::{Database, Tx};

use crate::error::Error;
use crate::metrics::Counters;
use crate::storage::requests::{self, Claim, RequestKey};

/// The name that logs, tokens and events use.
pub const SERVICE: &str = "finance";

/// How long a request id is remembered.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

/// What every operation needs.
#[derive(Clone)]
pub struct Context {
    /// The schema.
    pub database: Database,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Wakes the relay.
    pub wake: Wake,
    /// What is counted.
    pub counters: Counters,
}

/// Who calls for what.
#[derive(Debug, Clone)]
pub struct Call {
    /// The caller's tenant.
    pub tenant_id: TenantId,
    /// The caller, for events.
    pub actor: Actor,
    /// The RPC.
    pub method: &'static str,
    /// Chosen by the client; may be empty.
    pub request_id: String,
    /// Of the whole request.
    pub body_sha256: [u8; 32],
}

impl Call {
    fn key(&self) -> RequestKey<'_> {
        RequestKey {
            tenant_id: self.tenant_id,
            method: self.method,
            request_id: &self.request_id,
            body_sha256: self.body_sha256,
        }
    }
}

impl Context {
    /// The time of this operation.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Commits, and wakes the relay.
    async fn commit(&self, tx: Tx) -> Result<(), Error> {
        tx.commit().await?;
        self.wake.notify();
        Ok(())
    }

    /// Claims the call's request id for `id`; what it made before when it is a repetition.
    async fn claim(&self, tx: &mut Tx, call: &Call, id: Uuid) -> Result<Option<Uuid>, Error> {
        match requests::claim(tx, call.key(), id, self.now()).await? {
            Claim::First => Ok(None),
            Claim::Repeat(made) => Ok(Some(made)),
            Claim::Reused => Err(Error::RequestIdReused(call.request_id.clone())),
        }
    }

    /// Forgets request ids that are older than a week; true when there may be more.
    pub async fn clean_requests(&self) -> Result<bool, Error> {
        let mut tx = self.database.internal().await?;
        let forgotten = requests::clean(&mut tx, self.now() - REMEMBERED).await?;
        tx.commit().await?;
        Ok(forgotten > 0)
    }
}

/// Refuses a change of what has changed since the caller read it.
fn check_version(
    kind: &'static str,
    id: impl ToString,
    current: i64,
    read: Option<i64>,
) -> Result<(), Error> {
    if read.is_none_or(|read| read == current) {
        return Ok(());
    }
    Err(Error::EtagMismatch {
        kind,
        id: id.to_string(),
        current,
    })
}

/// Writes events in the transaction that made the change.
async fn append(tx: &mut Tx, events: Vec<NewEvent>) -> Result<(), Error> {
    Ok(reeve_events::append(tx, SERVICE, events).await?)
}
