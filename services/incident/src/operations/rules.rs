//! Creating, reading, changing and deleting rules; reading alerts.

use reeve_auth::Caller;
use reeve_ids::{RuleId, Uuid};
use reeve_postgres::Tx;

use super::Operations;
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
        tx.commit().await?;
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
        let mut rule = found(id, rules::lock(&mut tx, caller.tenant(), id).await?)?;
        compare(&rule, etag)?;
        if let Err(wrong) = edit(&mut rule) {
            return Ok(Err(wrong));
        }
        rule.version += 1;
        rule.update_time = self.now().max(rule.update_time);
        rules::update(&mut tx, &rule).await?;
        tx.commit().await?;
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
        let rule = found(id, rules::lock(&mut tx, caller.tenant(), id).await?)?;
        compare(&rule, etag)?;
        rules::delete(&mut tx, caller.tenant(), id, self.now()).await?;
        Ok(tx.commit().await?)
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
