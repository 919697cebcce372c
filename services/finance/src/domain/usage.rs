//! What work consumed.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{
    AgentId, BudgetId, ExecutionId, InvoiceId, ProjectId, RateCardId, TaskId, TenantId, UsageId,
    Uuid,
};
use reeve_money::{Cost, Decimal, MoneyError};

use super::pricing::Charge;
use super::rate_card::MeterKey;
use super::words;

/// The resource that prices an agent's busy time.
pub const AGENT_SECONDS: &str = "agent_seconds";
/// Input tokens not read from a cache.
pub const INPUT_TOKENS: &str = "input_tokens";
/// Input tokens read from a cache.
pub const CACHED_INPUT_TOKENS: &str = "cached_input_tokens";
/// Output tokens.
pub const OUTPUT_TOKENS: &str = "output_tokens";

words! {
    /// Whether usage has a cost.
    UsageStatus {
        /// Every part had a price.
        Priced = "PRICED",
        /// Some part had none.
        Unpriced = "UNPRICED",
    }
}

words! {
    /// What became of the work.
    Outcome {
        /// It completed, or belongs to no task.
        Completed = "COMPLETED",
        /// The attempt failed.
        Failed = "FAILED",
        /// It was cancelled.
        Cancelled = "CANCELLED",
        /// It ran out of time.
        TimedOut = "TIMED_OUT",
        /// It was suspended, to wait for a person.
        Suspended = "SUSPENDED",
    }
}

/// One line of usage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Who served the model; empty without one.
    pub provider: String,
    /// The model that served; empty without one.
    pub model: String,
    /// Input tokens not read from a cache.
    pub input_tokens: i64,
    /// Input tokens read from a cache.
    pub cached_input_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
    /// Busy time of the agent.
    pub busy: TimeDelta,
    /// Other resources.
    pub quantities: Vec<(String, Decimal)>,
}

/// A counted amount that needs a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// What is counted.
    pub key: MeterKey,
    /// How much of it; more than zero.
    pub quantity: Decimal,
}

impl Usage {
    /// Everything that was consumed and so needs a price. What is zero needs none.
    pub fn meters(&self) -> Vec<Meter> {
        let tokens = [
            (INPUT_TOKENS, self.input_tokens),
            (CACHED_INPUT_TOKENS, self.cached_input_tokens),
            (OUTPUT_TOKENS, self.output_tokens),
        ];
        let tokens = tokens.into_iter().map(|(meter, count)| Meter {
            key: MeterKey::model(&self.provider, &self.model, meter),
            quantity: Decimal::from(count),
        });
        let busy = Meter {
            key: MeterKey::resource(AGENT_SECONDS),
            quantity: self.busy_seconds(),
        };
        let others = self.quantities.iter().map(|(resource, quantity)| Meter {
            key: MeterKey::resource(resource),
            quantity: *quantity,
        });
        tokens
            .chain([busy])
            .chain(others)
            .filter(|meter| meter.quantity > Decimal::ZERO)
            .collect()
    }

    /// The busy time in microseconds, as it is stored.
    pub fn busy_micros(&self) -> i64 {
        self.busy.num_microseconds().unwrap_or(i64::MAX)
    }

    fn busy_seconds(&self) -> Decimal {
        Decimal::new(self.busy_micros(), 6)
    }
}

/// Whom usage is attributed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The task; none outside of tasks.
    pub task_id: Option<TaskId>,
    /// Its attempt; 0 outside of tasks.
    pub attempt: i32,
    /// The agent.
    pub agent_id: Option<AgentId>,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// The workflow execution.
    pub execution_id: Option<ExecutionId>,
    /// The budget that pays.
    pub budget_id: Option<BudgetId>,
}

/// What a record costs, if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pricing {
    /// Every part has a price.
    Priced {
        /// The card that priced it.
        rate_card_id: RateCardId,
        /// The parts.
        charges: Vec<Charge>,
        /// Their sum.
        cost: Cost,
    },
    /// Some parts have none.
    Unpriced {
        /// Which.
        missing: Vec<MeterKey>,
    },
}

/// A recorded line of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// The record.
    pub id: UsageId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where it came from; with the line it makes a repetition visible.
    pub source: String,
    /// Position within the report.
    pub line: i32,
    /// Whom it is attributed to.
    pub attribution: Attribution,
    /// What was consumed.
    pub usage: Usage,
    /// What became of the work.
    pub outcome: Outcome,
    /// What it costs.
    pub pricing: Pricing,
    /// What it counts as in its budget while it has no price.
    pub provisional: Decimal,
    /// When it was used.
    pub use_time: DateTime<Utc>,
    /// When it was recorded.
    pub create_time: DateTime<Utc>,
    /// The invoice that bills it.
    pub invoice_id: Option<InvoiceId>,
}

impl UsageRecord {
    /// The cost; nothing while it is unpriced.
    pub fn cost(&self) -> Option<Cost> {
        match &self.pricing {
            Pricing::Priced { cost, .. } => Some(*cost),
            Pricing::Unpriced { .. } => None,
        }
    }

    /// The status.
    pub fn status(&self) -> UsageStatus {
        match self.pricing {
            Pricing::Priced { .. } => UsageStatus::Priced,
            Pricing::Unpriced { .. } => UsageStatus::Unpriced,
        }
    }
}

/// What the priced records of one report cost together; nothing when none has a price.
///
/// # Errors
/// When their currencies differ, which those of one report do not, or the sum is out of range.
pub fn total(records: &[UsageRecord]) -> Result<Option<Cost>, MoneyError> {
    let mut costs = records.iter().filter_map(UsageRecord::cost);
    let Some(first) = costs.next() else {
        return Ok(None);
    };
    costs.try_fold(first, Cost::plus).map(Some)
}

/// Whether a resource's name is taken by what usage has a field for.
pub fn is_reserved(resource: &str) -> bool {
    [
        AGENT_SECONDS,
        INPUT_TOKENS,
        CACHED_INPUT_TOKENS,
        OUTPUT_TOKENS,
    ]
    .contains(&resource)
}

/// The source of what a task's event carried.
pub fn task_source(task: TaskId, attempt: i32) -> String {
    format!("task:{task}/{attempt}")
}

/// The source of one call of ReportUsage.
pub fn report_source(report: Uuid) -> String {
    format!("report:{report}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_consumed_needs_a_price() {
        let usage = Usage {
            provider: "p".into(),
            model: "m".into(),
            output_tokens: 5,
            busy: TimeDelta::milliseconds(1_500),
            quantities: vec![("gpu_seconds".into(), Decimal::ZERO)],
            ..Usage::default()
        };
        let meters: Vec<_> = usage
            .meters()
            .into_iter()
            .map(|m| (m.key.to_string(), m.quantity.to_string()))
            .collect();
        assert_eq!(
            meters,
            [
                ("p/m output_tokens".to_owned(), "5".to_owned()),
                ("agent_seconds".to_owned(), "1.500000".to_owned()),
            ]
        );
    }
}
