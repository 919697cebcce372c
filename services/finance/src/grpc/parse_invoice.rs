//! Reading invoices.

use reeve_contracts::finance::v1 as proto;
use reeve_money::{Decimal, parse_decimal};
use reeve_status::{Fault, Violations};

use super::parse;
use super::parse_usage::needed_unit_price;
use crate::domain::GREATEST;
use crate::domain::billing::{CustomLine, Rules};
use crate::domain::invoice::{Address, Attachment, BankAccount, Client, Company, Document, Terms};
use crate::domain::totals::TaxCategory;
use crate::operations::invoices::NewInvoice;

/// What to bill to whom.
pub fn invoice(message: &proto::CreateInvoiceRequest) -> Result<NewInvoice, Fault> {
    let mut v = Violations::new();
    parse::request_id(&mut v, &message.request_id);
    let project_id = parse::id(&mut v, "project_id", &message.project_id);
    let rules = rules(&mut v, message);
    let period = message.billing_period.unwrap_or_default();
    let start = parse::time(
        &mut v,
        "billing_period.start_time",
        period.start_time.as_ref(),
    );
    let end = parse::time(&mut v, "billing_period.end_time", period.end_time.as_ref());
    v.check(
        period.end_time.is_some(),
        "billing_period.end_time",
        "is required",
    );
    let ordered = start.zip(end).is_none_or(|(start, end)| start < end);
    v.check(
        ordered,
        "billing_period.end_time",
        "must be after start_time",
    );
    let document = document(&mut v, message);
    v.check(
        message.custom_line_items.len() <= 100,
        "custom_line_items",
        "must be at most 100",
    );
    let mut custom = Vec::new();
    for (at, line) in message.custom_line_items.iter().enumerate().take(100) {
        let line = v.within(format!("custom_line_items[{at}]"), |v| custom_line(v, line));
        custom.extend(line);
    }
    let custom_fields = parse::json(&mut v, "custom_fields", message.custom_fields.clone());
    let agent = &message.generated_by_agent_id;
    let generated_by = parse::optional_id(&mut v, "generated_by_agent_id", agent);
    let series = series(&mut v, &message.series);
    match (project_id, rules, end) {
        (Some(project_id), Some(rules), Some(period_end)) => {
            v.finish()?;
            let period_start = start;
            Ok(NewInvoice {
                project_id,
                rules,
                period_start,
                period_end,
                document,
                custom,
                custom_fields,
                generated_by,
                series,
            })
        }
        _ => Err(v.into_fault()),
    }
}

fn rules(v: &mut Violations, message: &proto::CreateInvoiceRequest) -> Option<Rules> {
    let currency = parse::currency(v, "currency_code", &message.currency_code);
    let category = proto::TaxCategory::try_from(message.tax_category).map(|one| one.as_str_name());
    let category = parse::needed_word(
        v,
        "tax_category",
        category,
        "TAX_CATEGORY_",
        TaxCategory::from_word,
    );
    let percent = parse::bounded(v, "tax_percent", &message.tax_percent, 100, 4);
    if let (Some(category), Some(percent)) = (category, percent) {
        let standard = category == TaxCategory::Standard;
        let right = standard == (percent > Decimal::ZERO);
        v.check(
            right,
            "tax_percent",
            "must be above 0 for STANDARD, and 0 for every other category",
        );
    }
    let markup = parse::bounded(v, "markup_percent", &message.markup_percent, 1000, 4);
    let hourly_rate = match message.hourly_rate.as_str() {
        "" => None,
        rate => parse::amount(v, "hourly_rate", rate),
    };
    Some(Rules {
        currency: currency?,
        markup_percent: markup?,
        hourly_rate,
        tax_category: category?,
        tax_percent: percent?,
    })
}

fn series(v: &mut Violations, series: &str) -> String {
    if series.is_empty() {
        return "INV".to_owned();
    }
    let letters = series
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let right = letters && series.len() <= 10 && series.as_bytes()[0].is_ascii_uppercase();
    v.check(right, "series", "must match [A-Z][A-Z0-9]{0,9}");
    series.to_owned()
}

fn custom_line(v: &mut Violations, line: &proto::CustomLineItem) -> Option<CustomLine> {
    let description = parse::text(v, "description", &line.description, (1, 500));
    let quantity = v.take("quantity", parse_decimal(&line.quantity));
    if let Some(quantity) = quantity {
        let most = Decimal::from(GREATEST);
        let right = quantity > Decimal::ZERO && quantity <= most;
        v.check(
            right && quantity.normalize().scale() <= 6,
            "quantity",
            format!("must be more than zero and at most {GREATEST}, with at most 6 decimals"),
        );
    }
    let unit = parse::text(v, "unit", &line.unit, (0, 50));
    let price = needed_unit_price(v, "unit_price", line.unit_price.as_ref());
    Some(CustomLine {
        description,
        quantity: quantity?,
        unit,
        price: price?,
    })
}

fn document(v: &mut Violations, message: &proto::CreateInvoiceRequest) -> Document {
    let client = message.client_info.clone().unwrap_or_default();
    let client = v.within("client_info", |v| parse_client(v, client));
    let company = message.company_info.clone().unwrap_or_default();
    let company = v.within("company_info", |v| parse_company(v, &company));
    let terms = match &message.payment_terms {
        None => Terms {
            net_days: 30,
            ..Terms::default()
        },
        Some(terms) => v.within("payment_terms", |v| parse_terms(v, terms)),
    };
    v.check(
        message.attachments.len() <= 20,
        "attachments",
        "must be at most 20",
    );
    let mut attachments = Vec::new();
    for (at, one) in message.attachments.iter().enumerate().take(20) {
        attachments.push(v.within(format!("attachments[{at}]"), |v| attachment(v, one)));
    }
    let notes = parse::text(v, "notes", &message.notes, (0, 2000));
    Document {
        client,
        company,
        terms,
        notes,
        attachments,
    }
}

fn parse_client(v: &mut Violations, client: proto::ClientInfo) -> Client {
    let address = client.address.unwrap_or_default();
    Client {
        client_id: parse::text(v, "client_id", &client.client_id, (1, 100)),
        client_name: parse::text(v, "client_name", &client.client_name, (1, 200)),
        contact_email: parse::text(v, "contact_email", &client.contact_email, (0, 200)),
        contact_phone: parse::text(v, "contact_phone", &client.contact_phone, (0, 50)),
        company: parse::text(v, "company", &client.company, (0, 200)),
        address: v.within("address", |v| parse_address(v, &address)),
        tax_id: parse::text(v, "tax_id", &client.tax_id, (0, 50)),
        additional_info: parse::json(v, "additional_info", client.additional_info),
    }
}

fn parse_company(v: &mut Violations, company: &proto::CompanyInfo) -> Company {
    let address = company.address.clone().unwrap_or_default();
    let bank = company.bank_account.clone().unwrap_or_default();
    let register = &company.registration_number;
    Company {
        legal_name: parse::text(v, "legal_name", &company.legal_name, (1, 200)),
        address: v.within("address", |v| parse_address(v, &address)),
        tax_id: parse::text(v, "tax_id", &company.tax_id, (0, 50)),
        registration_number: parse::text(v, "registration_number", register, (0, 100)),
        contact_email: parse::text(v, "contact_email", &company.contact_email, (0, 200)),
        contact_phone: parse::text(v, "contact_phone", &company.contact_phone, (0, 50)),
        website: parse::text(v, "website", &company.website, (0, 200)),
        bank_account: v.within("bank_account", |v| BankAccount {
            holder: parse::text(v, "holder", &bank.holder, (0, 200)),
            account_number: parse::text(v, "account_number", &bank.account_number, (0, 50)),
            bank_code: parse::text(v, "bank_code", &bank.bank_code, (0, 50)),
            bank_name: parse::text(v, "bank_name", &bank.bank_name, (0, 200)),
        }),
    }
}

fn parse_address(v: &mut Violations, address: &proto::PostalAddress) -> Address {
    v.check(address.lines.len() <= 4, "lines", "must be at most 4");
    let lines = address.lines.iter().take(4).enumerate();
    let code = &address.country_code;
    let country = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    v.check(
        code.is_empty() || country,
        "country_code",
        "must be two capital letters, or empty",
    );
    Address {
        lines: lines
            .map(|(at, line)| parse::text(v, &format!("lines[{at}]"), line, (0, 200)))
            .collect(),
        postal_code: parse::text(v, "postal_code", &address.postal_code, (0, 20)),
        city: parse::text(v, "city", &address.city, (0, 100)),
        region: parse::text(v, "region", &address.region, (0, 100)),
        country_code: code.clone(),
    }
}

fn parse_terms(v: &mut Violations, terms: &proto::PaymentTerms) -> Terms {
    let days = terms.net_days;
    v.check(
        (0..=365).contains(&days),
        "net_days",
        "must be from 0 to 365",
    );
    let early = (0..=days.max(0)).contains(&terms.discount_days);
    v.check(early, "discount_days", "must be from 0 to net_days");
    parse::bounded(v, "discount_percent", &terms.discount_percent, 100, 2);
    parse::bounded(
        v,
        "late_interest_percent",
        &terms.late_interest_percent,
        100,
        2,
    );
    Terms {
        net_days: days,
        discount_percent: terms.discount_percent.clone(),
        discount_days: terms.discount_days,
        late_interest_percent: terms.late_interest_percent.clone(),
        note: parse::text(v, "note", &terms.note, (0, 1000)),
    }
}

fn attachment(v: &mut Violations, one: &proto::InvoiceAttachment) -> Attachment {
    let digest = &one.sha256;
    let hex = digest.len() == 64
        && digest
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    v.check(
        digest.is_empty() || hex,
        "sha256",
        "must be 64 lower-case hexadecimal digits, or empty",
    );
    v.check(one.size_bytes >= 0, "size_bytes", "must not be negative");
    Attachment {
        file_name: parse::text(v, "file_name", &one.file_name, (1, 200)),
        content_type: parse::text(v, "content_type", &one.content_type, (1, 100)),
        uri: parse::text(v, "uri", &one.uri, (1, 2000)),
        sha256: digest.clone(),
        size_bytes: one.size_bytes,
    }
}
