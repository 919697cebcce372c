use chrono::{DateTime, Utc};
use reeve_ids::{RateCardId, TenantId, Uuid};
use reeve_money::Decimal;
use serde::Serialize;
use sqlx::FromRow;

use super::{Result, currency};
use crate::domain::rate_card::{MeterKey, RateCard, UnitPrice};

/// A row of rate_card.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct CardRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: String,
    pub version: i32,
    pub currency: String,
    pub valid_from: DateTime<Utc>,
    pub valid_to: Option<DateTime<Utc>>,
    pub description: String,
    pub create_time: DateTime<Utc>,
}

/// A row of rate_card_price.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct PriceRow {
    pub rate_card_id: Uuid,
    pub tenant_id: Uuid,
    pub provider: String,
    pub model: String,
    pub meter: String,
    pub amount: Decimal,
    pub per_units: i64,
}

/// A card beside one of its prices.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs)]
pub struct CardPriceRow {
    #[sqlx(flatten)]
    pub card: CardRow,
    pub provider: String,
    pub model: String,
    pub meter: String,
    pub amount: Decimal,
    pub per_units: i64,
}

impl PriceRow {
    /// The price as the domain knows it.
    pub fn entry(self) -> (MeterKey, UnitPrice) {
        let key = MeterKey {
            provider: self.provider,
            model: self.model,
            meter: self.meter,
        };
        (
            key,
            UnitPrice {
                amount: self.amount.normalize(),
                per_units: self.per_units,
            },
        )
    }
}

impl CardRow {
    /// The rows of a card.
    pub fn of(tenant: TenantId, card: &RateCard) -> (Self, Vec<PriceRow>) {
        let prices = card.prices.iter().map(|(key, price)| PriceRow {
            rate_card_id: card.id.uuid(),
            tenant_id: tenant.uuid(),
            provider: key.provider.clone(),
            model: key.model.clone(),
            meter: key.meter.clone(),
            amount: price.amount,
            per_units: price.per_units,
        });
        let prices = prices.collect();
        let row = Self {
            id: card.id.uuid(),
            tenant_id: tenant.uuid(),
            name: card.name.clone(),
            version: card.version,
            currency: card.currency.code().to_owned(),
            valid_from: card.valid_from,
            valid_to: card.valid_to,
            description: card.description.clone(),
            create_time: card.create_time,
        };
        (row, prices)
    }

    /// The card with these prices.
    pub fn card(self, prices: impl IntoIterator<Item = PriceRow>) -> Result<RateCard> {
        Ok(RateCard {
            id: RateCardId::from_uuid(self.id),
            currency: currency("rate_card", &self.currency)?,
            name: self.name,
            version: self.version,
            prices: prices.into_iter().map(PriceRow::entry).collect(),
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            description: self.description,
            create_time: self.create_time,
        })
    }
}
