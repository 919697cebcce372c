//! Storing price lists.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reeve_events::NewEvent;
use reeve_ids::RateCardId;
use reeve_money::Currency;
use serde_json::json;

use super::{Call, Context, append};
use crate::domain::rate_card::{MeterKey, RateCard, UnitPrice};
use crate::error::Error;
use crate::storage::rate_cards;

/// A price list to store.
#[derive(Debug, Clone)]
pub struct NewRateCard {
    /// Its name.
    pub name: String,
    /// Of every price.
    pub currency: Currency,
    /// The prices.
    pub prices: BTreeMap<MeterKey, UnitPrice>,
    /// First moment at which it prices.
    pub valid_from: DateTime<Utc>,
    /// First moment at which it does so no longer; after the first.
    pub valid_to: Option<DateTime<Utc>>,
    /// For people.
    pub description: String,
}

impl Context {
    /// Stores a price list, or the next version of one.
    pub async fn create_rate_card(&self, call: Call, new: NewRateCard) -> Result<RateCard, Error> {
        let now = self.now();
        let id = RateCardId::new();
        let mut tx = self.database.tenant(call.tenant_id).await?;
        if let Some(made) = self.claim(&mut tx, &call, id.uuid()).await? {
            let made = RateCardId::from_uuid(made);
            let card = rate_cards::get(&mut tx, call.tenant_id, made).await?;
            return card.ok_or_else(|| Error::not_found("rate_card", made));
        }
        let newest = rate_cards::newest(&mut tx, call.tenant_id, &new.name).await?;
        let version = match newest {
            Some((_, code)) if code != new.currency.code() => {
                return Err(Error::CurrencyMismatch {
                    subject: format!("rate_card/{}", new.name),
                    expected: code,
                    found: new.currency.to_string(),
                });
            }
            newest => newest.map_or(1, |(version, _)| version + 1),
        };
        let card = RateCard {
            id,
            name: new.name,
            version,
            currency: new.currency,
            prices: new.prices,
            valid_from: new.valid_from,
            valid_to: new.valid_to,
            description: new.description,
            create_time: now,
        };
        let inserted = rate_cards::insert(&mut tx, call.tenant_id, &card).await;
        if inserted
            .as_ref()
            .is_err_and(|error| error.violates_unique("rate_card_version_unique"))
        {
            return Err(Error::Collision);
        }
        inserted?;
        let event = NewEvent::new(
            call.tenant_id,
            call.actor,
            now,
            "rate_card.created",
            ("rate_card", id),
        );
        let data = json!({
            "name": card.name, "version": card.version, "currency_code": card.currency.code(),
            "prices": card.prices.len(), "valid_from_time": card.valid_from,
        });
        append(&mut tx, vec![event.with(data)]).await?;
        self.commit(tx).await?;
        Ok(card)
    }
}
