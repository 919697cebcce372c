//! From the log to incidents: each event that a rule looks for becomes a signal of an alert, and
//! what the alert leads to is decided by the domain.

use reeve_ids::TenantId;
use reeve_postgres::Tx;
use sqlx::PgConnection;

use super::Operations;
use super::change::SOURCE;
use super::open_by_rule::{Opened, Signal};
use crate::domain::correlation::{Decision, Situation, decide};
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
    /// Applies the rules to what the logs have gained; true when there may be more.
    pub async fn apply_rules(&self) -> Result<bool, Error> {
        let mut connection = self.database.internal_pool().acquire().await?;
        let tenants = rules::tenants_behind(&mut connection, TENANTS).await?;
        drop(connection);
        let mut more = i64::try_from(tenants.len()).is_ok_and(|count| count == TENANTS);
        for tenant in tenants {
            more |= self.apply_rules_of(tenant).await?;
        }
        Ok(more)
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
        // Applied before: applying it again changes nothing.
        if alerts::is_seen(connection, rule.id, entry.fact.id).await? {
            return Ok(());
        }
        let group = rule.group(&entry.fact);
        let fingerprint = rule.fingerprint(&group);
        let alert = alerts::add_signal(connection, rule, entry, (&fingerprint, &group)).await?;
        let occur_time = entry.fact.occur_time;
        let count = match rule.window {
            Some(window) => alerts::count_window(connection, alert, occur_time, window).await?,
            None => 1,
        };
        let key = rule.incident_key(&group);
        let open = incidents::lock_open_by_key(connection, rule.tenant_id, &key).await?;
        let past = match open {
            Some(_) => None,
            None => incidents::past_by_key(connection, rule.tenant_id, &key).await?,
        };
        let decision = decide(&Situation {
            occur_time,
            count,
            threshold: rule.threshold,
            reopen: rule.reopen,
            open: open.as_ref().map(|incident| incident.id),
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
