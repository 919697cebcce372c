//! Creating, reading, changing and deleting rules; reading alerts.

use reeve_auth::Caller;
use reeve_events::NewEvent;
use reeve_ids::{RuleId, Uuid};
use reeve_postgres::Tx;
use serde_json::{Value as Json, json};

use super::Operations;
use super::change::SOURCE;
use crate::domain::alert::Alert;
use crate::domain::rule::{MOST_RULES, Rule};
use crate::error::Error;
use crate::storage::requests::{self, Key};
use crate::storage::{alerts, rules};

impl Operations {
    /// A transaction in which the tenant has its built-in rules.
    async fn with_rules(&self, caller: &Caller) -> Result<Tx, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        self.ensure_rules(&mut tx, caller.tenant()).await?;
        Ok(tx)
    }

    /// Creates a rule, or finds the one that this request created before.
    pub async fn create_rule(
        &self,
        caller: &Caller,
        mut rule: Rule,
        key: Option<&Key>,
    ) -> Result<Rule, Error> {
        let (tenant, now) = (caller.tenant(), self.now());
        (rule.create_time, rule.update_time) = (now, now);
        let mut tx = self.with_rules(caller).await?;
        if let Some(key) = key {
            let id = rule.id.uuid();
            if let Some(earlier) = requests::claim(&mut tx, tenant, key, id, now).await? {
                if earlier.digest != key.digest {
                    return Err(Error::RequestIdReused(key.request_id.clone()));
                }
                let id = RuleId::from_uuid(earlier.resource_id);
                return found(id, rules::get(&mut tx, tenant, id).await?);
            }
        }
        if rules::count(&mut tx, tenant).await? >= MOST_RULES {
            let subject = format!("tenant/{tenant}");
            return Err(Error::Limit {
                subject,
                what: "rules",
                limit: MOST_RULES,
            });
        }
        rules::insert(&mut tx, &rule)
            .await
            .map_err(|error| name_taken(error.into(), &rule))?;
        let facts = json!({
            "event_types": rule.event_types, "severity": rule.severity, "priority": rule.priority,
        });
        self.end(tx, told(caller, &rule, "rule.created", facts))
            .await?;
        Ok(rule)
    }

    /// Reads a rule.
    pub async fn get_rule(&self, caller: &Caller, id: RuleId) -> Result<Rule, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        found(id, rules::get(&mut tx, caller.tenant(), id).await?)
    }

    /// Reads rules whose name comes after a text.
    pub async fn list_rules(
        &self,
        caller: &Caller,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Rule>, Error> {
        let mut tx = self.with_rules(caller).await?;
        let listed = rules::list(&mut tx, caller.tenant(), after, limit).await?;
        tx.commit().await?;
        Ok(listed)
    }

    /// Changes a rule. `edit` writes the new values, and says what is wrong with the whole.
    pub async fn update_rule<E>(
        &self,
        caller: &Caller,
        id: RuleId,
        etag: Option<i64>,
        edit: impl FnOnce(&mut Rule) -> Result<(), E> + Send,
    ) -> Result<Result<Rule, E>, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        let before = found(id, rules::lock(&mut tx, caller.tenant(), id).await?)?;
        compare(&before, etag)?;
        let mut rule = before.clone();
        if let Err(wrong) = edit(&mut rule) {
            return Ok(Err(wrong));
        }
        rule.version += 1;
        rule.update_time = self.now().max(rule.update_time);
        rules::update(&mut tx, &rule).await?;
        let facts = json!({"changed": rule.changed_since(&before)});
        self.end(tx, told(caller, &rule, "rule.updated", facts))
            .await?;
        Ok(Ok(rule))
    }

    /// Deletes a rule.
    pub async fn delete_rule(
        &self,
        caller: &Caller,
        id: RuleId,
        etag: Option<i64>,
    ) -> Result<(), Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        let mut rule = found(id, rules::lock(&mut tx, caller.tenant(), id).await?)?;
        compare(&rule, etag)?;
        (rule.enabled, rule.update_time) = (false, self.now().max(rule.update_time));
        rules::delete(&mut tx, caller.tenant(), id, rule.update_time).await?;
        self.end(tx, told(caller, &rule, "rule.deleted", json!({})))
            .await
    }

    /// Commits a change of a rule with the event that tells of it.
    async fn end(&self, mut tx: Tx, event: NewEvent) -> Result<(), Error> {
        reeve_events::append(&mut tx, SOURCE, vec![event]).await?;
        tx.commit().await?;
        self.wake.notify();
        Ok(())
    }

    /// Reads alerts, newest first.
    pub async fn list_alerts(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        filter: &alerts::Filter,
        limit: i64,
    ) -> Result<Vec<Alert>, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        Ok(alerts::list(&mut tx, caller.tenant(), before, filter, limit).await?)
    }
}

fn found(id: RuleId, rule: Option<Rule>) -> Result<Rule, Error> {
    rule.ok_or_else(|| Error::NotFound {
        kind: "rule",
        id: id.to_string(),
    })
}

/// What the rest of the system, the audit trail above all, hears of a changed rule.
fn told(caller: &Caller, rule: &Rule, kind: &'static str, mut facts: Json) -> NewEvent {
    facts["name"] = json!(rule.name);
    facts["enabled"] = json!(rule.enabled);
    facts["etag"] = json!(rule.version.to_string());
    let resource = ("rule", rule.id);
    NewEvent::new(
        rule.tenant_id,
        caller.into(),
        rule.update_time,
        kind,
        resource,
    )
    .with(facts)
}

fn compare(rule: &Rule, etag: Option<i64>) -> Result<(), Error> {
    match etag {
        Some(etag) if etag != rule.version => Err(Error::EtagMismatch {
            kind: "rule",
            id: rule.id.to_string(),
            current: rule.version,
        }),
        _ => Ok(()),
    }
}

fn name_taken(error: Error, rule: &Rule) -> Error {
    match error {
        Error::Database(reeve_postgres::Error::UniqueViolation { constraint })
            if constraint == "rule_name" =>
        {
            Error::Exists {
                kind: "rule",
                name: rule.name.clone(),
            }
        }
        other => other,
    }
}
