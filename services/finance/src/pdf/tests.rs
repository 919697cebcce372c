//! What the document says, read back from its bytes.

use chrono::{DateTime, TimeDelta};
use reeve_ids::{InvoiceId, ProjectId, TenantId};
use reeve_money::Decimal;

use super::render;
use crate::domain::billing::{CustomLine, Rules, bill};
use crate::domain::invoice::{
    Address, BankAccount, Client, Company, Document, Invoice, Number, Terms,
};
use crate::domain::invoice_status::InvoiceStatus;
use crate::domain::rate_card::UnitPrice;
use crate::domain::totals::TaxCategory;
use crate::operations::read::FullInvoice;
use crate::pdf::canvas::{MARGIN, PAGE, RIGHT};
use crate::pdf::fonts::{Fonts, Weight};

fn full(lines: usize, client_name: &str) -> FullInvoice {
    let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let rules = Rules {
        currency: "EUR".parse().unwrap(),
        markup_percent: Decimal::ZERO,
        hourly_rate: None,
        tax_category: TaxCategory::Standard,
        tax_percent: Decimal::from(19),
    };
    let custom: Vec<_> = (0..lines)
        .map(|at| CustomLine {
            description: format!("Line {at} of work that was done for the client"),
            quantity: Decimal::from(3),
            unit: "days".to_owned(),
            price: UnitPrice {
                amount: "411.52".parse().unwrap(),
                per_units: 1,
            },
        })
        .collect();
    let bill = bill(&rules, &[], &[], &custom).unwrap();
    let paid = reeve_money::Money::zero(rules.currency);
    let address = Address {
        lines: vec!["Hauptstraße 1".into()],
        postal_code: "10115".into(),
        city: "Berlin".into(),
        country_code: "DE".into(),
        ..Address::default()
    };
    let client = Client {
        client_id: "C-1".into(),
        client_name: client_name.into(),
        address: address.clone(),
        ..Client::default()
    };
    let company = Company {
        legal_name: "Reeve Works GmbH".into(),
        address,
        ..Company::default()
    };
    let invoice = Invoice {
        id: InvoiceId::from_uuid("0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a".parse().unwrap()),
        tenant_id: TenantId::new(),
        version: 2,
        project_id: ProjectId::new(),
        series: "INV".into(),
        number: Some(Number::new("INV", 2026, 7)),
        status: InvoiceStatus::Sent,
        client_id: "C-1".into(),
        document: Document {
            client,
            company,
            terms: Terms {
                net_days: 30,
                ..Terms::default()
            },
            ..Document::default()
        },
        custom_fields: serde_json::json!({}),
        generated_by: None,
        period_start: None,
        period_end: now,
        lines: bill.lines,
        totals: bill.totals,
        paid,
        refunded: paid,
        create_time: now,
        issue_time: Some(now),
        view_time: None,
        due_time: Some(now + TimeDelta::days(31)),
        paid_time: None,
        cancel_time: None,
        cancel_reason: String::new(),
    };
    let (payments, breakdowns, resources, time) = (vec![], vec![], vec![], vec![]);
    FullInvoice {
        invoice,
        payments,
        breakdowns,
        resources,
        time,
    }
}

#[test]
fn the_same_invoice_gives_the_same_bytes() {
    let full = full(3, "Zażółć gęślą jaźń");
    let bytes = render(&full).unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    assert_eq!(bytes, render(&full).unwrap());
    assert!(bytes.len() < 100_000, "fonts are reduced to what is used");
}

#[test]
fn many_lines_take_many_pages() {
    let bytes = render(&full(120, "Client")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("/Count 4") || text.contains("/Count 5"),
        "the page tree counts pages"
    );
}

#[test]
fn what_the_font_lacks_is_spelled_out() {
    let fonts = Fonts::load().unwrap();
    let typeface = fonts.typeface(Weight::Regular);
    assert_eq!(typeface.printable("Łódź Ωμέγα Київ €"), "Łódź Ωμέγα Київ €");
    assert_eq!(typeface.printable("中\tA"), "[U+4E2D] A");
}

#[test]
fn long_words_are_broken_and_nothing_is_lost() {
    let fonts = Fonts::load().unwrap();
    let text = format!("short {} end", "x".repeat(300));
    let lines = fonts.wrap(Weight::Regular, 9.0, &text, 120.0);
    assert!(
        lines
            .iter()
            .all(|line| fonts.width(Weight::Regular, 9.0, line) <= 120.0)
    );
    assert_eq!(
        lines.concat().replace(' ', "").len(),
        text.replace(' ', "").len()
    );
}

#[test]
fn what_is_drawn_is_what_is_stored() {
    let full = full(3, "Zażółć gęślą jaźń");
    let fonts = Fonts::load().unwrap();
    let mut canvas = super::canvas::Canvas::new(&fonts);
    super::sections::compose(&mut canvas, &full.invoice);
    let drawn = canvas.drawn_text();
    let totals = &full.invoice.totals;
    assert_eq!(
        totals.total.amount(),
        "4407.38",
        "3 x 3 x 411.52, and 19 % of it"
    );
    for said in [
        "INVOICE",
        "INV-2026-000007",
        "Zażółć gęślą jaźń",
        "Reeve Works GmbH",
        "3,703.68",
        "Tax 19 % on 3,703.68",
        "703.70",
        "EUR 4,407.38",
        "1,234.56",
    ] {
        assert!(
            drawn.iter().any(|text| text == said),
            "{said:?} is not in {drawn:?}"
        );
    }
}

/// With REEVE_INVOICE_SAMPLE=/tmp/invoice.pdf it also leaves a document to look at.
#[test]
fn every_part_of_the_document_is_drawn() {
    let mut sample = full(4, "Zażółć gęślą jaźń Sp. z o.o.");
    let company = &mut sample.invoice.document.company;
    company.tax_id = "DE123456789".into();
    company.registration_number = "HRB 12345 B".into();
    company.contact_email = "billing@reeve.example".into();
    company.website = "reeve.example".into();
    company.bank_account.account_number = "DE02 1203 0000 0000 2020 51".into();
    company.bank_account.bank_name = "Musterbank".into();
    sample.invoice.document.client.contact_email = "accounts@client.example".into();
    sample.invoice.document.notes = "Thank you for working with us. 中".into();
    sample.invoice.document.terms.late_interest_percent = "9".into();
    let mut line = sample.invoice.lines[0].clone();
    line.kind = crate::domain::totals::LineKind::Model;
    line.description = "acme/large-model-2026, cached input tokens".into();
    line.quantity = Decimal::from(12_345_678);
    line.price = UnitPrice {
        amount: "0.375".parse().unwrap(),
        per_units: 1_000_000,
    };
    sample.invoice.lines.insert(0, line);
    let fonts = Fonts::load().unwrap();
    let mut canvas = super::canvas::Canvas::new(&fonts);
    super::sections::compose(&mut canvas, &sample.invoice);
    let drawn = canvas.drawn_text();
    for said in [
        "12,345,678",
        "0.375 / 1,000,000",
        "Interest of 9 % a year on late payment.",
    ] {
        assert!(
            drawn.iter().any(|text| text == said),
            "{said:?} is not in {drawn:?}"
        );
    }
    let bytes = render(&sample).unwrap();
    if let Ok(path) = std::env::var("REEVE_INVOICE_SAMPLE") {
        std::fs::write(path, bytes).unwrap();
    }
}

/// An invoice with every text as long as it may be, each of `letter` alone, and how many letters
/// that are on its pages, footers aside.
fn at_its_limits(letter: &str) -> (FullInvoice, usize) {
    let mut counted = 0;
    let mut text = |length: usize, times: usize| {
        counted += length * times;
        letter.repeat(length)
    };
    let mut sample = full(1, "");
    let address = |text: &mut dyn FnMut(usize, usize) -> String| Address {
        lines: (0..4).map(|_| text(200, 1)).collect(),
        postal_code: text(20, 1),
        city: text(100, 1),
        region: text(100, 1),
        country_code: "DE".into(),
    };
    let document = &mut sample.invoice.document;
    document.client = Client {
        client_name: text(200, 1),
        contact_email: text(200, 1),
        contact_phone: text(50, 1),
        company: text(200, 1),
        address: address(&mut text),
        tax_id: text(50, 1),
        ..Client::default()
    };
    sample.invoice.client_id = text(100, 1);
    document.company = Company {
        // At the top, and once more with what the footer has no room for.
        legal_name: text(200, 2),
        address: address(&mut text),
        tax_id: text(50, 1),
        registration_number: text(100, 1),
        contact_email: text(200, 1),
        contact_phone: text(50, 1),
        website: text(200, 1),
        bank_account: BankAccount {
            holder: text(200, 1),
            account_number: text(50, 1),
            bank_code: text(50, 1),
            bank_name: text(200, 1),
        },
    };
    document.terms.note = text(1_000, 1);
    document.notes = text(2_000, 1);
    sample.invoice.lines[0].description = text(500, 1);
    sample.invoice.lines[0].unit = text(50, 1);
    let mut lines = sample.invoice.lines[0].clone();
    lines.description = format!("{letter}\n").repeat(250);
    lines.unit = String::new();
    sample.invoice.lines.push(lines);
    (sample, counted + 250)
}

#[test]
fn texts_of_any_length_stay_on_the_pages() {
    let fonts = Fonts::load().unwrap();
    for letter in ["W", "中"] {
        let (sample, expected) = at_its_limits(letter);
        let mut canvas = super::canvas::Canvas::new(&fonts);
        super::sections::compose(&mut canvas, &sample.invoice);
        let drawn: usize = canvas
            .drawn_text()
            .iter()
            .map(|text| text.matches(letter).count())
            .sum();
        assert_eq!(drawn, expected, "nothing is dropped");
        let foot = canvas.bottom();
        for (left, right, y, text) in canvas.extents() {
            let across = left >= MARGIN - 0.5 && right <= RIGHT + 0.5;
            let in_footer = y > foot + 26.0 && y < PAGE.1 - 9.0;
            let down = y > 20.0 && y <= foot || in_footer;
            assert!(across && down, "{text:?} is at {left}..{right}, {y}");
        }
    }
}
