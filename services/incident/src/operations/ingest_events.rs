//! From a service's log into the tenants' logs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_ids::TenantId;
use sqlx::PgConnection;

use super::Operations;
use crate::domain::logged::{Fact, Head, Logged};
use crate::error::Error;
use crate::storage::events;

/// Entries that one statement appends.
const STATEMENT: usize = 2_000;

impl Operations {
    /// Appends facts to their tenants' logs, each with the hash that chains it to the one before.
    /// The heads are locked once for the batch. The transaction is the one that moves the cursor.
    pub async fn ingest(
        &self,
        connection: &mut PgConnection,
        source: &'static str,
        mut facts: Vec<Fact>,
    ) -> Result<(), Error> {
        // The cursor already sees to it that no event comes twice; a cursor that was set back does
        // not make it come twice either.
        let known = events::recorded(connection, source).await?;
        facts.retain(|fact| fact.sequence > known);
        let Some(newest) = facts.iter().map(|fact| fact.sequence).max() else {
            return Ok(());
        };
        events::record_up_to(connection, source, newest).await?;
        let tenants: BTreeSet<TenantId> = facts.iter().map(|fact| fact.tenant_id).collect();
        let tenants: Vec<TenantId> = tenants.into_iter().collect();
        let mut heads = events::lock_heads(connection, &tenants).await?;
        let entries = chain(&mut heads, facts, self.now());
        // After an outage a batch may hold a hundred thousand events.
        for chunk in entries.chunks(STATEMENT) {
            events::append(connection, chunk).await?;
        }
        events::save_heads(connection, &heads).await?;
        // Counted before the commit: a batch that is read again is counted again.
        self.counters
            .events_recorded
            .inc_by(u64::try_from(entries.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Counts an event that no tenant's log can take.
    pub fn count_malformed(&self) {
        self.counters.events_malformed.inc();
    }

    /// Says that the log may have grown. The consumer calls it after its commit.
    pub fn log_has_grown(&self) {
        self.grown().log();
    }
}

fn chain(
    heads: &mut BTreeMap<TenantId, Head>,
    facts: Vec<Fact>,
    now: DateTime<Utc>,
) -> Vec<Logged> {
    let append = |fact: Fact| {
        heads
            .get_mut(&fact.tenant_id)
            .map(|head| head.append(fact, now))
    };
    facts.into_iter().filter_map(append).collect()
}
