//! From the log to incidents: each event that a rule looks for becomes a signal of an alert, and
//! what the alert leads to is decided by the domain.

use reeve_ids::{IncidentId, TenantId};
use reeve_postgres::Tx;
use sqlx::PgConnection;

use super::Operations;
use super::change::SOURCE;
use super::open_by_rule::{Opened, Signal};
use crate::domain::canonical::Digest;
use crate::domain::correlation::{Decision, Past, Situation, decide};
use crate::domain::logged::Logged;
use crate::domain::rule::Rule;
use crate::domain::rules_built_in::built_in;
use crate::error::Error;
use crate::storage::{alerts, events, incidents, rules};

/// Tenants that one pass looks at.
const TENANTS: i64 = 50;
/// Events that one transaction handles.
const EVENTS: i64 = 200;

impl Operations {
    /// Applies the rules to what the logs have gained; true when there may be more. A tenant whose
    /// events cannot be handled keeps nobody else's from being.
    pub async fn apply_rules(&self) -> Result<bool, Error> {
        let mut connection = self.database.internal_pool().acquire().await?;
        let after = self.turn.get();
        let tenants = rules::tenants_behind(&mut connection, after, TENANTS).await?;
        drop(connection);
        self.turn.set(tenants.last().copied().unwrap_or(after));
        let mut more = i64::try_from(tenants.len()).is_ok_and(|count| count == TENANTS);
        let (mut any, mut failed) = (false, None);
        for tenant in tenants {
            match self.apply_rules_of(tenant).await {
                Ok(rest) => (any, more) = (true, more | rest),
                Err(error) => {
                    tracing::error!(%tenant, ?error, "a tenant's rules could not be applied");
                    failed.get_or_insert(error);
                }
            }
        }
        // With one that went well the loop goes on at its pace: the others must not wait.
        match failed {
            Some(error) if !any => Err(error),
            _ => Ok(more),
        }
    }

    /// Applies a tenant's rules to the next events of its log; true when there may be more. Two
    /// replicas take turns: the cursor's row is locked.
    pub async fn apply_rules_of(&self, tenant: TenantId) -> Result<bool, Error> {
        let mut tx = self.database.internal().await?;
        self.ensure_rules(&mut tx, tenant).await?;
        let cursor = rules::lock_cursor(&mut tx, tenant).await?;
        let head = events::head(&mut tx, tenant).await?;
        let rules = rules::enabled(&mut tx, tenant).await?;
        let types: Vec<String> = rules
            .iter()
            .flat_map(|rule| rule.event_types.iter().cloned())
            .collect();
        let entries = events::signals(&mut tx, tenant, &types, (cursor, head), EVENTS).await?;
        let full = i64::try_from(entries.len()).is_ok_and(|count| count == EVENTS);
        let last = entries.last().map_or(head, |entry| entry.position);
        let reached = if full { last } else { head };
        let opened = self.apply_to(&mut tx, &rules, &entries).await?;
        rules::move_cursor(&mut tx, tenant, reached).await?;
        self.commit(tx, opened).await?;
        Ok(full)
    }

    async fn apply_to(
        &self,
        connection: &mut PgConnection,
        rules: &[Rule],
        entries: &[Logged],
    ) -> Result<Opened, Error> {
        let mut opened = Opened::default();
        for entry in entries {
            for rule in rules.iter().filter(|rule| rule.matches(&entry.fact)) {
                self.apply_one(connection, rule, entry, &mut opened).await?;
            }
        }
        Ok(opened)
    }

    async fn apply_one(
        &self,
        connection: &mut PgConnection,
        rule: &Rule,
        entry: &Logged,
        opened: &mut Opened,
    ) -> Result<(), Error> {
        let tenant = rule.tenant_id;
        // Applied before: applying it again changes nothing.
        if alerts::is_seen(connection, tenant, rule.id, entry.fact.id).await? {
            return Ok(());
        }
        let group = rule.group(&entry.fact);
        let (fingerprint, key) = (rule.fingerprint(&group), rule.incident_key(&group));
        let (open, past) = lock_known(connection, tenant, &key).await?;
        let alert = alerts::add_signal(connection, rule, entry, (&fingerprint, &group)).await?;
        let count = match rule.window {
            Some(window) => {
                alerts::count_window(connection, tenant, alert.id, alert.newest, window).await?
            }
            None => 1,
        };
        let decision = decide(&Situation {
            occur_time: entry.fact.occur_time,
            count,
            threshold: rule.threshold,
            reopen: rule.reopen,
            open,
            past,
        });
        let signal = Signal {
            rule,
            entry,
            alert,
            group,
            key,
            count,
        };
        match decision {
            Decision::Count => Ok(()),
            Decision::Attach(id) => self.attach(connection, &signal, id, opened).await,
            Decision::Reopen(id) => self.reopen_by_rule(connection, &signal, id, opened).await,
            Decision::Open(related) => {
                self.open_by_rule(connection, &signal, related, opened)
                    .await
            }
        }
    }

    async fn commit(&self, mut tx: Tx, opened: Opened) -> Result<(), Error> {
        let Opened {
            events,
            pending_evidence: pending,
            count,
        } = opened;
        let any = !events.is_empty();
        reeve_events::append(&mut tx, SOURCE, events).await?;
        tx.commit().await?;
        self.counters.incidents_opened.inc_by(count);
        if any {
            self.wake.notify();
        }
        if pending {
            self.grown().evidence().notify_one();
        }
        Ok(())
    }

    /// Gives a tenant its built-in rules, once. A rule that the tenant deleted stays deleted.
    pub(super) async fn ensure_rules(
        &self,
        connection: &mut PgConnection,
        tenant: TenantId,
    ) -> Result<(), Error> {
        if rules::claim_cursor(connection, tenant).await? {
            for rule in built_in(tenant, self.now()) {
                rules::insert(connection, &rule).await?;
            }
        }
        Ok(())
    }
}

/// The open incident of a key, or else the newest one that is over. Whichever a signal may change is
/// locked, before its alerts are: whoever resolves or closes an incident takes them in that order.
async fn lock_known(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &Digest,
) -> Result<(Option<IncidentId>, Option<Past>), Error> {
    if let Some(open) = incidents::lock_open_by_key(connection, tenant, key).await? {
        return Ok((Some(open.id), None));
    }
    let past = incidents::past_by_key(connection, tenant, key).await?;
    if let Some(past) = &past {
        incidents::lock(connection, tenant, past.original.unwrap_or(past.id)).await?;
    }
    Ok((None, past))
}
