use chrono::{DateTime, Utc};
use reeve_ids::{AgentId, InvoiceId, ProjectId, TenantId, Uuid};
use reeve_money::{Currency, Decimal};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Result, cost, currency, money, word};
use crate::domain::billing::{Breakdown, ResourceUsage};
use crate::domain::invoice::{Document, Invoice, Number};
use crate::domain::invoice_status::InvoiceStatus;
use crate::domain::rate_card::UnitPrice;
use crate::domain::totals::{Line, LineKind, TaxCategory, TaxSubtotal, Totals};

const TABLE: &str = "invoice";

/// A row of invoice.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct InvoiceRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub version: i64,
    pub project_id: Uuid,
    pub series: String,
    pub fiscal_year: Option<i32>,
    pub number: Option<i64>,
    pub number_text: Option<String>,
    pub status: String,
    pub currency: String,
    pub client_id: String,
    pub document: Json<Document>,
    pub custom_fields: serde_json::Value,
    pub generated_by: Option<Uuid>,
    pub period_start: Option<DateTime<Utc>>,
    pub period_end: DateTime<Utc>,
    pub net_days: i32,
    pub net_minor: i64,
    pub tax_minor: i64,
    pub total_minor: i64,
    pub paid_minor: i64,
    pub refunded_minor: i64,
    pub create_time: DateTime<Utc>,
    pub issue_time: Option<DateTime<Utc>>,
    pub view_time: Option<DateTime<Utc>>,
    pub due_time: Option<DateTime<Utc>>,
    pub paid_time: Option<DateTime<Utc>>,
    pub cancel_time: Option<DateTime<Utc>>,
    pub cancel_reason: String,
}

impl From<&Invoice> for InvoiceRow {
    fn from(invoice: &Invoice) -> Self {
        let (totals, number) = (&invoice.totals, invoice.number.as_ref());
        Self {
            id: invoice.id.uuid(),
            tenant_id: invoice.tenant_id.uuid(),
            version: invoice.version,
            project_id: invoice.project_id.uuid(),
            series: invoice.series.clone(),
            fiscal_year: number.map(|number| number.fiscal_year),
            number: number.map(|number| number.value),
            number_text: number.map(|number| number.text.clone()),
            status: invoice.status.as_str().to_owned(),
            currency: invoice.currency().code().to_owned(),
            client_id: invoice.client_id.clone(),
            document: Json(invoice.document.clone()),
            custom_fields: invoice.custom_fields.clone(),
            generated_by: invoice.generated_by.map(AgentId::uuid),
            period_start: invoice.period_start,
            period_end: invoice.period_end,
            net_days: invoice.document.terms.net_days,
            net_minor: totals.net.minor(),
            tax_minor: totals.tax.minor(),
            total_minor: totals.total.minor(),
            paid_minor: invoice.paid.minor(),
            refunded_minor: invoice.refunded.minor(),
            create_time: invoice.create_time,
            issue_time: invoice.issue_time,
            view_time: invoice.view_time,
            due_time: invoice.due_time,
            paid_time: invoice.paid_time,
            cancel_time: invoice.cancel_time,
            cancel_reason: invoice.cancel_reason.clone(),
        }
    }
}

impl InvoiceRow {
    /// The invoice with these lines and taxes.
    pub fn invoice(self, lines: Vec<LineRow>, taxes: Vec<TaxRow>) -> Result<Invoice> {
        let currency = currency(TABLE, &self.currency)?;
        let amount = |minor| money(TABLE, minor, currency);
        let number = match (self.fiscal_year, self.number, self.number_text) {
            (Some(fiscal_year), Some(value), Some(text)) => Some(Number {
                fiscal_year,
                value,
                text,
            }),
            _ => None,
        };
        Ok(Invoice {
            id: InvoiceId::from_uuid(self.id),
            tenant_id: TenantId::from_uuid(self.tenant_id),
            version: self.version,
            project_id: ProjectId::from_uuid(self.project_id),
            series: self.series,
            number,
            status: word(TABLE, InvoiceStatus::from_word, &self.status)?,
            client_id: self.client_id,
            document: self.document.0,
            custom_fields: self.custom_fields,
            generated_by: self.generated_by.map(AgentId::from_uuid),
            period_start: self.period_start,
            period_end: self.period_end,
            lines: lines
                .into_iter()
                .map(|row| row.line(currency))
                .collect::<Result<_>>()?,
            totals: Totals {
                net: amount(self.net_minor)?,
                taxes: taxes
                    .into_iter()
                    .map(|row| row.tax(currency))
                    .collect::<Result<_>>()?,
                tax: amount(self.tax_minor)?,
                total: amount(self.total_minor)?,
            },
            paid: amount(self.paid_minor)?,
            refunded: amount(self.refunded_minor)?,
            create_time: self.create_time,
            issue_time: self.issue_time,
            view_time: self.view_time,
            due_time: self.due_time,
            paid_time: self.paid_time,
            cancel_time: self.cancel_time,
            cancel_reason: self.cancel_reason,
        })
    }
}

/// A row of invoice_line.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct LineRow {
    pub invoice_id: Uuid,
    pub tenant_id: Uuid,
    pub line: i32,
    pub kind: String,
    pub description: String,
    pub quantity: Decimal,
    pub unit: String,
    pub price: Decimal,
    pub per_units: i64,
    pub net_minor: i64,
    pub tax_category: String,
    pub tax_percent: Decimal,
    pub tax_minor: i64,
}

impl LineRow {
    /// The rows of an invoice's lines, numbered from 1.
    pub fn all_of(invoice: &Invoice) -> Vec<Self> {
        let row = |(line, one): (i32, &Line)| Self {
            invoice_id: invoice.id.uuid(),
            tenant_id: invoice.tenant_id.uuid(),
            line,
            kind: one.kind.as_str().to_owned(),
            description: one.description.clone(),
            quantity: one.quantity,
            unit: one.unit.clone(),
            price: one.price.amount,
            per_units: one.price.per_units,
            net_minor: one.net.minor(),
            tax_category: one.category.as_str().to_owned(),
            tax_percent: one.percent,
            tax_minor: one.tax.minor(),
        };
        (1..).zip(&invoice.lines).map(row).collect()
    }

    fn line(self, currency: Currency) -> Result<Line> {
        const TABLE: &str = "invoice_line";
        Ok(Line {
            kind: word(TABLE, LineKind::from_word, &self.kind)?,
            description: self.description,
            quantity: self.quantity.normalize(),
            unit: self.unit,
            price: UnitPrice {
                amount: self.price.normalize(),
                per_units: self.per_units,
            },
            net: money(TABLE, self.net_minor, currency)?,
            category: word(TABLE, TaxCategory::from_word, &self.tax_category)?,
            percent: self.tax_percent.normalize(),
            tax: money(TABLE, self.tax_minor, currency)?,
        })
    }
}

/// A row of invoice_tax.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct TaxRow {
    pub invoice_id: Uuid,
    pub tenant_id: Uuid,
    pub line: i32,
    pub category: String,
    pub percent: Decimal,
    pub taxable_minor: i64,
    pub tax_minor: i64,
}

impl TaxRow {
    /// The rows of an invoice's taxes.
    pub fn all_of(invoice: &Invoice) -> Vec<Self> {
        let row = |(line, one): (i32, &TaxSubtotal)| Self {
            invoice_id: invoice.id.uuid(),
            tenant_id: invoice.tenant_id.uuid(),
            line,
            category: one.category.as_str().to_owned(),
            percent: one.percent,
            taxable_minor: one.taxable.minor(),
            tax_minor: one.tax.minor(),
        };
        (1..).zip(&invoice.totals.taxes).map(row).collect()
    }

    fn tax(self, currency: Currency) -> Result<TaxSubtotal> {
        const TABLE: &str = "invoice_tax";
        Ok(TaxSubtotal {
            category: word(TABLE, TaxCategory::from_word, &self.category)?,
            percent: self.percent.normalize(),
            taxable: money(TABLE, self.taxable_minor, currency)?,
            tax: money(TABLE, self.tax_minor, currency)?,
        })
    }
}

/// A row of invoice_breakdown.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct BreakdownRow {
    pub invoice_id: Uuid,
    pub tenant_id: Uuid,
    pub line: i32,
    pub category: String,
    pub label: String,
    pub cost: Decimal,
    pub billed_minor: i64,
    pub share_percent: Decimal,
}

impl BreakdownRow {
    /// The rows of an invoice's breakdown.
    pub fn all_of(invoice: &Invoice, breakdowns: &[Breakdown]) -> Vec<Self> {
        let row = |(line, one): (i32, &Breakdown)| Self {
            invoice_id: invoice.id.uuid(),
            tenant_id: invoice.tenant_id.uuid(),
            line,
            category: one.category.as_str().to_owned(),
            label: one.label.clone(),
            cost: one.cost.decimal(),
            billed_minor: one.billed.minor(),
            share_percent: one.share_percent,
        };
        (1..).zip(breakdowns).map(row).collect()
    }

    /// The part of the breakdown.
    pub fn breakdown(self, currency: Currency) -> Result<Breakdown> {
        const TABLE: &str = "invoice_breakdown";
        Ok(Breakdown {
            category: word(TABLE, LineKind::from_word, &self.category)?,
            label: self.label,
            cost: cost(TABLE, self.cost, currency)?,
            billed: money(TABLE, self.billed_minor, currency)?,
            share_percent: self.share_percent,
        })
    }
}

/// A row of invoice_resource.
#[derive(Debug, Clone, FromRow, Serialize)]
#[allow(missing_docs)]
pub struct ResourceRow {
    pub invoice_id: Uuid,
    pub tenant_id: Uuid,
    pub line: i32,
    pub resource: String,
    pub model: String,
    pub quantity: Decimal,
    pub cost: Decimal,
}

impl ResourceRow {
    /// The rows of what an invoice's work consumed.
    pub fn all_of(invoice: &Invoice, resources: &[ResourceUsage]) -> Vec<Self> {
        let row = |(line, one): (i32, &ResourceUsage)| Self {
            invoice_id: invoice.id.uuid(),
            tenant_id: invoice.tenant_id.uuid(),
            line,
            resource: one.resource.clone(),
            model: one.model.clone(),
            quantity: one.quantity,
            cost: one.cost.decimal(),
        };
        (1..).zip(resources).map(row).collect()
    }

    /// How much of one thing.
    pub fn resource(self, currency: Currency) -> Result<ResourceUsage> {
        Ok(ResourceUsage {
            resource: self.resource,
            model: self.model,
            quantity: self.quantity.normalize(),
            cost: cost("invoice_resource", self.cost, currency)?,
        })
    }
}

/// A row of invoice_time.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct TimeLinkRow {
    pub invoice_id: Uuid,
    pub tenant_id: Uuid,
    pub time_entry_id: Uuid,
}
