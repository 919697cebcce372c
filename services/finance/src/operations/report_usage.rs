//! Usage that a client reports.

use reeve_ids::Uuid;
use reeve_money::Cost;

use super::recording::Report;
use super::{Call, Context, append};
use crate::domain::usage::{Attribution, Outcome, Usage, UsageRecord, report_source, total};
use crate::error::Error;
use crate::storage::{budgets, usage};

use chrono::{DateTime, Utc};

/// Usage to record.
#[derive(Debug, Clone)]
pub struct NewUsage {
    /// Whom it is attributed to.
    pub attribution: Attribution,
    /// One or more lines.
    pub usages: Vec<Usage>,
    /// When; now when not said.
    pub use_time: Option<DateTime<Utc>>,
}

impl Context {
    /// Records usage with its cost, or refuses all of it when a price is missing. Also says what
    /// the records cost together.
    pub async fn report_usage(
        &self,
        call: Call,
        new: NewUsage,
    ) -> Result<(Vec<UsageRecord>, Option<Cost>), Error> {
        let sum = |records: &[UsageRecord]| {
            total(records).map_err(|error| Error::amount("usages", error))
        };
        let report_id = Uuid::now_v7();
        let tenant = call.tenant_id;
        let mut tx = self.database.tenant(tenant).await?;
        if let Some(made) = self.claim(&mut tx, &call, report_id).await? {
            let records = usage::by_source(&mut tx, tenant, &report_source(made)).await?;
            let cost = sum(&records)?;
            return Ok((records, cost));
        }
        if let Some(budget) = new.attribution.budget_id {
            budgets::get(&mut tx, tenant, budget)
                .await?
                .ok_or_else(|| Error::not_found("budget", budget))?;
        }
        let report = Report {
            tenant_id: tenant,
            source: report_source(report_id),
            attribution: new.attribution,
            outcome: Outcome::Completed,
            usages: new.usages,
            use_time: new.use_time.unwrap_or_else(|| self.now()),
            hold_id: None,
            actor: call.actor,
        };
        let (records, events) = self.record(&mut tx, vec![report], true).await?;
        let cost = sum(&records)?;
        append(&mut tx, events).await?;
        self.commit(tx).await?;
        Ok((records, cost))
    }
}
