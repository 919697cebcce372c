//! Price lists.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use reeve_ids::{RateCardId, TenantId, Uuid};
use sqlx::PgConnection;

use super::rows::{CardPriceRow, CardRow, PriceRow};
use super::{Result, insert_rows};
use crate::domain::rate_card::{MeterKey, RateCard};

/// Which versions to list.
#[derive(Debug, Clone, Default)]
pub struct CardFilter {
    /// Of this name; empty for all.
    pub name: String,
    /// Valid at this moment.
    pub valid_time: Option<DateTime<Utc>>,
}

/// Stores a version.
pub async fn insert(
    connection: &mut PgConnection,
    tenant: TenantId,
    card: &RateCard,
) -> Result<()> {
    let (row, prices) = CardRow::of(tenant, card);
    insert_rows(
        connection,
        include_str!("queries/rate_card/insert.sql"),
        &[row],
    )
    .await?;
    insert_rows(
        connection,
        include_str!("queries/rate_card/insert_prices.sql"),
        &prices,
    )
    .await?;
    Ok(())
}

/// The newest version's number and currency.
pub async fn newest(
    connection: &mut PgConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<(i32, String)>> {
    let newest = sqlx::query_as(include_str!("queries/rate_card/newest.sql"))
        .bind(tenant.uuid())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(newest)
}

/// One version.
pub async fn get(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: RateCardId,
) -> Result<Option<RateCard>> {
    let row: Option<CardRow> = sqlx::query_as(include_str!("queries/rate_card/get.sql"))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *connection)
        .await?;
    Ok(with_prices(connection, tenant, row.into_iter().collect())
        .await?
        .pop())
}

/// Versions before a key, newest first.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    filter: &CardFilter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<RateCard>> {
    let rows: Vec<CardRow> = sqlx::query_as(include_str!("queries/rate_card/list.sql"))
        .bind(tenant.uuid())
        .bind(&filter.name)
        .bind(filter.valid_time)
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    with_prices(connection, tenant, rows).await
}

async fn with_prices(
    connection: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<CardRow>,
) -> Result<Vec<RateCard>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let prices: Vec<PriceRow> = sqlx::query_as(include_str!("queries/rate_card/prices.sql"))
        .bind(tenant.uuid())
        .bind(ids)
        .fetch_all(connection)
        .await?;
    let mut by_card: BTreeMap<Uuid, Vec<PriceRow>> = BTreeMap::new();
    for price in prices {
        by_card.entry(price.rate_card_id).or_default().push(price);
    }
    rows.into_iter()
        .map(|row| {
            let prices = by_card.remove(&row.id).unwrap_or_default();
            row.card(prices)
        })
        .collect()
}

/// The cards that may price these meters somewhere between two moments, with those prices alone.
pub async fn candidates(
    connection: &mut PgConnection,
    tenant: TenantId,
    meters: &BTreeSet<MeterKey>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<RateCard>> {
    if meters.is_empty() {
        return Ok(Vec::new());
    }
    let column = |part: fn(&MeterKey) -> &str| -> Vec<String> {
        meters.iter().map(|meter| part(meter).to_owned()).collect()
    };
    let rows: Vec<CardPriceRow> = sqlx::query_as(include_str!("queries/rate_card/candidates.sql"))
        .bind(tenant.uuid())
        .bind(column(|meter| &meter.provider))
        .bind(column(|meter| &meter.model))
        .bind(column(|meter| &meter.meter))
        .bind(from)
        .bind(to)
        .fetch_all(connection)
        .await?;
    let mut cards: BTreeMap<Uuid, (CardRow, Vec<PriceRow>)> = BTreeMap::new();
    for row in rows {
        let price = PriceRow {
            rate_card_id: row.card.id,
            tenant_id: row.card.tenant_id,
            provider: row.provider,
            model: row.model,
            meter: row.meter,
            amount: row.amount,
            per_units: row.per_units,
        };
        cards
            .entry(row.card.id)
            .or_insert((row.card, Vec::new()))
            .1
            .push(price);
    }
    cards
        .into_values()
        .map(|(card, prices)| card.card(prices))
        .collect()
}
