//! What this service can be told. The keys are explained in `config.default.toml`.

use std::time::Duration;

use reeve_runtime::config::{Common, Validate, duration};
use serde::Deserialize;

/// The defaults and the manual.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// The configuration of finance.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// What every service can be told.
    #[serde(flatten)]
    pub common: Common,
    /// What the service does by itself.
    pub loops: LoopsConfig,
}

/// `[loops]`.
#[derive(Debug, Clone, Deserialize)]
pub struct LoopsConfig {
    /// How often holds that nobody ended are looked for.
    #[serde(with = "duration")]
    pub hold_expiry_period: Duration,
    /// How often invoices that fell due are looked for.
    #[serde(with = "duration")]
    pub overdue_period: Duration,
    /// How often usage without a price is tried again.
    #[serde(with = "duration")]
    pub late_pricing_period: Duration,
}

impl Validate for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.common.validate();
        for (key, period, most) in [
            ("hold_expiry_period", self.loops.hold_expiry_period, 60),
            ("overdue_period", self.loops.overdue_period, 3_600),
            ("late_pricing_period", self.loops.late_pricing_period, 3_600),
        ] {
            if period.is_zero() || period > Duration::from_secs(most) {
                problems.push(format!(
                    "loops.{key}: must be more than zero and at most {most}s"
                ));
            }
        }
        problems
    }
}
