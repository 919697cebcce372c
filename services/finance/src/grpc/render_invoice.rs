//! Writing invoices and payments.

use prost::Message;
use reeve_contracts::finance::v1 as proto;
use reeve_money::{Currency, format_decimal};
use reeve_runtime::answer::ANSWER_BYTES;
use serde_json::Value as Json;

use super::render::{cost, id, money, number, time};
use super::render_usage::unit_price;
use crate::domain::billing::{Breakdown, ResourceUsage, TimeEntry};
use crate::domain::invoice::{Address, Client, Company, Invoice, Terms};
use crate::domain::payment::Payment;
use crate::domain::totals::{Line, TaxCategory};
use crate::operations::read::FullInvoice;

/// The etag of a version.
pub fn etag(version: i64) -> String {
    format!("v{version}")
}

fn fields(json: &Json) -> Option<prost_types::Struct> {
    reeve_wellknown::struct_from_json(json.clone())
}

/// An invoice with everything that belongs to it, and of payments and time as much as fits into a
/// message.
pub fn full_invoice(full: &FullInvoice) -> proto::Invoice {
    let mut rendered = proto::Invoice {
        cost_breakdowns: full.breakdowns.iter().map(breakdown).collect(),
        resource_usages: full.resources.iter().map(resource).collect(),
        ..invoice(&full.invoice)
    };
    let mut room = ANSWER_BYTES.saturating_sub(rendered.encoded_len());
    rendered.payments = fill(&mut room, &full.payments, short_payment);
    rendered.time_entries = fill(&mut room, &full.time, time_entry);
    rendered
}

/// The first rows that fit into `room`, rendered.
fn fill<Row, M: Message>(room: &mut usize, rows: &[Row], render: fn(&Row) -> M) -> Vec<M> {
    let rendered = rows.iter().map(render);
    let fits = |message: &M| {
        // With its tag and length.
        let left = room.checked_sub(message.encoded_len() + 8);
        *room = left.unwrap_or(0);
        left.is_some()
    };
    rendered.take_while(fits).collect()
}

/// A payment as it stands in an invoice: without what may be long.
fn short_payment(one: &Payment) -> proto::Payment {
    proto::Payment {
        processor_response: String::new(),
        notes: String::new(),
        processor_data: None,
        ..payment(one)
    }
}

/// An invoice as it stands in a list.
pub fn invoice(invoice: &Invoice) -> proto::Invoice {
    let document = &invoice.document;
    let word = invoice.status.as_str();
    let currency = invoice.currency();
    let attachments = document
        .attachments
        .iter()
        .map(|one| proto::InvoiceAttachment {
            file_name: one.file_name.clone(),
            content_type: one.content_type.clone(),
            uri: one.uri.clone(),
            sha256: one.sha256.clone(),
            size_bytes: one.size_bytes,
        });
    let lines = (1..)
        .zip(&invoice.lines)
        .map(|(at, one)| line(at, one, currency));
    proto::Invoice {
        id: invoice.id.to_string(),
        project_id: invoice.project_id.to_string(),
        invoice_number: invoice
            .number
            .as_ref()
            .map(|one| one.text.clone())
            .unwrap_or_default(),
        client_info: Some(client(&document.client)),
        company_info: Some(company(&document.company)),
        status: number(proto::InvoiceStatus::from_str_name, "INVOICE_STATUS_", word),
        currency_code: currency.code().to_owned(),
        line_items: lines.collect(),
        totals: Some(totals(invoice)),
        payment_terms: Some(terms(&document.terms)),
        payments: Vec::new(),
        billing_period: Some(proto::BillingPeriod {
            start_time: time(invoice.period_start),
            end_time: time(Some(invoice.period_end)),
        }),
        cost_breakdowns: Vec::new(),
        time_entries: Vec::new(),
        resource_usages: Vec::new(),
        generated_by_agent_id: id(invoice.generated_by),
        create_time: time(Some(invoice.create_time)),
        sent_time: time(invoice.issue_time),
        view_time: time(invoice.view_time),
        due_time: time(invoice.due_time),
        paid_time: time(invoice.paid_time),
        cancel_time: time(invoice.cancel_time),
        cancel_reason: invoice.cancel_reason.clone(),
        notes: document.notes.clone(),
        attachments: attachments.collect(),
        custom_fields: fields(&invoice.custom_fields),
        etag: etag(invoice.version),
    }
}

fn category(category: TaxCategory) -> i32 {
    number(
        proto::TaxCategory::from_str_name,
        "TAX_CATEGORY_",
        category.as_str(),
    )
}

fn line(at: i32, line: &Line, currency: Currency) -> proto::InvoiceLineItem {
    let kind = line.kind.as_str();
    proto::InvoiceLineItem {
        line_number: at,
        kind: number(proto::LineItemKind::from_str_name, "LINE_ITEM_KIND_", kind),
        description: line.description.clone(),
        quantity: format_decimal(line.quantity, 0),
        unit: line.unit.clone(),
        unit_price: Some(unit_price(line.price, currency)),
        net_amount: Some(money(line.net)),
        tax_category: category(line.category),
        tax_percent: format_decimal(line.percent, 0),
        tax_amount: Some(money(line.tax)),
    }
}

fn totals(invoice: &Invoice) -> proto::InvoiceTotals {
    let sums = &invoice.totals;
    let taxes = sums.taxes.iter().map(|tax| proto::TaxSubtotal {
        category: category(tax.category),
        percent: format_decimal(tax.percent, 0),
        taxable_amount: Some(money(tax.taxable)),
        tax_amount: Some(money(tax.tax)),
    });
    proto::InvoiceTotals {
        net_total: Some(money(sums.net)),
        taxes: taxes.collect(),
        tax_total: Some(money(sums.tax)),
        grand_total: Some(money(sums.total)),
        paid_total: Some(money(invoice.paid)),
        amount_due: Some(money(invoice.due())),
    }
}

fn address(address: &Address) -> proto::PostalAddress {
    proto::PostalAddress {
        lines: address.lines.clone(),
        postal_code: address.postal_code.clone(),
        city: address.city.clone(),
        region: address.region.clone(),
        country_code: address.country_code.clone(),
    }
}

fn client(client: &Client) -> proto::ClientInfo {
    proto::ClientInfo {
        client_id: client.client_id.clone(),
        client_name: client.client_name.clone(),
        contact_email: client.contact_email.clone(),
        contact_phone: client.contact_phone.clone(),
        company: client.company.clone(),
        address: Some(address(&client.address)),
        tax_id: client.tax_id.clone(),
        additional_info: fields(&client.additional_info),
    }
}

fn company(company: &Company) -> proto::CompanyInfo {
    let bank = &company.bank_account;
    proto::CompanyInfo {
        legal_name: company.legal_name.clone(),
        address: Some(address(&company.address)),
        tax_id: company.tax_id.clone(),
        registration_number: company.registration_number.clone(),
        contact_email: company.contact_email.clone(),
        contact_phone: company.contact_phone.clone(),
        website: company.website.clone(),
        bank_account: Some(proto::BankAccount {
            holder: bank.holder.clone(),
            account_number: bank.account_number.clone(),
            bank_code: bank.bank_code.clone(),
            bank_name: bank.bank_name.clone(),
        }),
    }
}

fn terms(terms: &Terms) -> proto::PaymentTerms {
    proto::PaymentTerms {
        net_days: terms.net_days,
        discount_percent: terms.discount_percent.clone(),
        discount_days: terms.discount_days,
        late_interest_percent: terms.late_interest_percent.clone(),
        note: terms.note.clone(),
    }
}

fn breakdown(one: &Breakdown) -> proto::CostBreakdown {
    let word = one.category.as_str();
    proto::CostBreakdown {
        category: number(proto::LineItemKind::from_str_name, "LINE_ITEM_KIND_", word),
        label: one.label.clone(),
        cost: Some(cost(one.cost)),
        billed: Some(money(one.billed)),
        share_percent: format_decimal(one.share_percent, 2),
    }
}

fn resource(one: &ResourceUsage) -> proto::ResourceUsage {
    proto::ResourceUsage {
        resource: one.resource.clone(),
        model: one.model.clone(),
        quantity: format_decimal(one.quantity, 0),
        cost: Some(cost(one.cost)),
    }
}

/// Time worked.
pub fn time_entry(entry: &TimeEntry) -> proto::TimeEntry {
    proto::TimeEntry {
        id: entry.id.to_string(),
        agent_id: entry.agent_id.to_string(),
        task_id: entry.task_id.to_string(),
        attempt: entry.attempt,
        task_type: entry.task_type.clone(),
        start_time: time(Some(entry.start_time)),
        end_time: time(Some(entry.end_time)),
        duration: Some(reeve_wellknown::duration(entry.duration())),
        billable: entry.billable,
        invoice_id: id(entry.invoice_id),
    }
}

/// A payment.
pub fn payment(payment: &Payment) -> proto::Payment {
    let (method, status) = (payment.method.as_str(), payment.status.as_str());
    proto::Payment {
        id: payment.id.to_string(),
        invoice_id: payment.invoice_id.to_string(),
        amount: Some(money(payment.amount)),
        method: number(
            proto::PaymentMethod::from_str_name,
            "PAYMENT_METHOD_",
            method,
        ),
        status: number(
            proto::PaymentStatus::from_str_name,
            "PAYMENT_STATUS_",
            status,
        ),
        transaction_id: payment.transaction_id.clone(),
        reference: payment.reference.clone(),
        payment_time: time(Some(payment.payment_time)),
        process_time: time(payment.process_time),
        processor_response: payment.processor_response.clone(),
        processing_fee: Some(money(payment.fee)),
        notes: payment.notes.clone(),
        processor_data: fields(&payment.processor_data),
        create_time: time(Some(payment.create_time)),
        etag: etag(payment.version),
    }
}

#[cfg(test)]
mod tests {
    use reeve_money::{Cost, Decimal};

    use super::*;
    use crate::domain::billing::{ChargeGroup, Rules, bill};
    use crate::domain::rate_card::{MeterKey, UnitPrice};

    #[test]
    fn a_bill_weighs_no_less_than_its_message() {
        let rules = Rules {
            currency: "EUR".parse().unwrap(),
            markup_percent: "12.3456".parse().unwrap(),
            hourly_rate: None,
            tax_category: TaxCategory::Standard,
            tax_percent: "19.0001".parse().unwrap(),
        };
        let amount: Decimal = "999999999999.9999999999".parse().unwrap();
        let charge = |at: i32| ChargeGroup {
            key: MeterKey::model("provider", &format!("model-{at}"), "cached_input_tokens"),
            price: UnitPrice {
                amount,
                per_units: 1_000_000_000,
            },
            quantity: amount,
            cost: Cost::new(amount / Decimal::from(100), rules.currency).unwrap(),
        };
        let charges: Vec<_> = (0..200).map(charge).collect();
        let bill = bill(&rules, &charges, &[], &[]).unwrap();
        let message = proto::Invoice {
            line_items: (1..)
                .zip(&bill.lines)
                .map(|(at, one)| line(at, one, rules.currency))
                .collect(),
            cost_breakdowns: bill.breakdowns.iter().map(breakdown).collect(),
            resource_usages: bill.resources.iter().map(resource).collect(),
            ..proto::Invoice::default()
        };
        let (weight, length) = (bill.weight(), message.encoded_len());
        assert!(
            weight >= length && weight < length * 2,
            "{weight} for {length}"
        );
    }
}
