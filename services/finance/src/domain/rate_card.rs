//! Price lists.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use reeve_ids::RateCardId;
use reeve_money::{Currency, Decimal};

/// What a price is for: a model's tokens, or, with provider and model empty, a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterKey {
    /// Who serves the model; empty for a resource.
    pub provider: String,
    /// The model; empty for a resource.
    pub model: String,
    /// Kind of token, or the resource's name.
    pub meter: String,
}

impl MeterKey {
    /// Tokens of a model.
    pub fn model(provider: &str, model: &str, meter: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            meter: meter.to_owned(),
        }
    }

    /// A resource.
    pub fn resource(name: &str) -> Self {
        Self::model("", "", name)
    }

    /// Whether it counts a model's tokens.
    pub fn is_model(&self) -> bool {
        !self.model.is_empty()
    }

    /// "provider/model", or nothing for a resource.
    pub fn model_label(&self) -> String {
        if self.is_model() {
            format!("{}/{}", self.provider, self.model)
        } else {
            String::new()
        }
    }
}

impl fmt::Display for MeterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_model() {
            write!(formatter, "{}/{} ", self.provider, self.model)?;
        }
        formatter.write_str(&self.meter)
    }
}

/// What a number of units costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitPrice {
    /// What they cost together.
    pub amount: Decimal,
    /// How many units.
    pub per_units: i64,
}

/// One version of a price list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateCard {
    /// This version.
    pub id: RateCardId,
    /// The list's name.
    pub name: String,
    /// Counts from 1 within the name.
    pub version: i32,
    /// The currency of every price.
    pub currency: Currency,
    /// The prices.
    pub prices: BTreeMap<MeterKey, UnitPrice>,
    /// First moment at which it prices.
    pub valid_from: DateTime<Utc>,
    /// First moment at which it does so no longer.
    pub valid_to: Option<DateTime<Utc>>,
    /// For people.
    pub description: String,
    /// When it was stored.
    pub create_time: DateTime<Utc>,
}

impl RateCard {
    /// Whether it prices usage of a moment.
    pub fn is_valid_at(&self, time: DateTime<Utc>) -> bool {
        self.valid_from <= time && self.valid_to.is_none_or(|end| time < end)
    }
}
