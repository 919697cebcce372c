//! The parts of the document, from top to bottom.

use super::canvas::{
    ACCENT, Align, Canvas, DARK, GREY, Ink, MARGIN, Place, RIGHT, Style, WASH, WHITE,
};
use super::fonts::Weight;
use super::format;
use super::table::table;
use crate::domain::invoice::Invoice;
use crate::domain::invoice_status::InvoiceStatus;

/// Most text.
pub const BODY: Style = Style {
    weight: Weight::Regular,
    size: 9.0,
    ink: DARK,
};
const BOLD: Style = Style {
    weight: Weight::Bold,
    size: 9.0,
    ink: DARK,
};
const LABEL: Style = Style {
    weight: Weight::Bold,
    size: 7.0,
    ink: GREY,
};
const SMALL: Style = Style {
    weight: Weight::Regular,
    size: 8.0,
    ink: GREY,
};
/// From line to line.
pub const LEADING: f32 = 12.5;

/// Lines of the footer, at most.
const MOST_FOOT: usize = 4;

/// Fills the pages.
pub fn compose(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let about = footer(invoice);
    let whole = foot(canvas, &about);
    header(canvas, invoice);
    parties(canvas, invoice);
    table(canvas, invoice);
    totals(canvas, invoice);
    terms(canvas, invoice);
    notes(canvas, invoice);
    if !whole {
        block(canvas, "COMPANY", &about);
    }
}

/// Sets the footer, as far as it fits; whether all of it does.
fn foot(canvas: &mut Canvas<'_>, lines: &[String]) -> bool {
    // Beside it is the number of the page.
    let width = RIGHT - MARGIN - 80.0;
    let wrap = |line: &String| canvas.fonts.wrap(Weight::Regular, 7.5, line, width);
    let mut wrapped: Vec<_> = lines.iter().flat_map(wrap).collect();
    let whole = wrapped.len() <= MOST_FOOT;
    if !whole {
        wrapped.truncate(MOST_FOOT - 1);
        wrapped.push("…".to_owned());
    }
    canvas.set_footer(wrapped);
    whole
}

fn footer(invoice: &Invoice) -> Vec<String> {
    let company = &invoice.document.company;
    let labelled =
        |label: &str, value: &str| (!value.is_empty()).then(|| format!("{label}{value}"));
    let first = [
        labelled("", &company.legal_name),
        labelled("Registered ", &company.registration_number),
        labelled("Tax number ", &company.tax_id),
    ];
    let second = [
        labelled("", &company.contact_email),
        labelled("", &company.contact_phone),
        labelled("", &company.website),
    ];
    [first, second]
        .into_iter()
        .map(|parts| {
            parts
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("  ·  ")
        })
        .filter(|line| !line.is_empty())
        .collect()
}

fn header(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let company = &invoice.document.company;
    canvas.area(0.0, 0.0, super::canvas::PAGE.0, 6.0, ACCENT);
    let name = Style {
        weight: Weight::Bold,
        size: 15.0,
        ink: ACCENT,
    };
    let start = canvas.place();
    title(canvas, invoice);
    let beside = canvas.place();
    canvas.go(start);
    canvas.y += 8.0;
    column(
        canvas,
        std::slice::from_ref(&company.legal_name),
        name,
        290.0,
        18.0,
    );
    column(
        canvas,
        &format::address(&company.address),
        SMALL,
        290.0,
        11.0,
    );
    below(canvas, beside);
    canvas.y += 22.0;
}

fn title(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let title = Style {
        weight: Weight::Bold,
        size: 26.0,
        ink: ACCENT,
    };
    let top = canvas.y + 14.0;
    canvas.text(RIGHT, top, Align::Right, title, "INVOICE");
    let number = invoice
        .number
        .as_ref()
        .map_or("not issued", |number| &number.text);
    let style = Style { size: 11.0, ..BODY };
    canvas.text(RIGHT, top + 18.0, Align::Right, style, number);
    if let Some((word, ink)) = stamp(invoice.status) {
        badge(canvas, top + 27.0, word, ink);
    }
    canvas.y = top + 48.0;
}

/// Writes lines one below the other, wrapped, over as many pages as they take.
fn column(canvas: &mut Canvas<'_>, lines: &[String], style: Style, width: f32, leading: f32) {
    for line in lines.iter().filter(|line| !line.is_empty()) {
        for part in canvas.fonts.wrap(style.weight, style.size, line, width) {
            canvas.ensure(leading);
            canvas.text(MARGIN, canvas.y, Align::Left, style, &part);
            canvas.y += leading;
        }
    }
}

/// Goes on below what stands side by side.
fn below(canvas: &mut Canvas<'_>, beside: Place) {
    let here = canvas.place();
    if beside > here {
        canvas.go(beside);
    }
}

fn stamp(status: InvoiceStatus) -> Option<(&'static str, Ink)> {
    match status {
        InvoiceStatus::Draft => Some(("DRAFT – NOT AN INVOICE", (176, 101, 0))),
        InvoiceStatus::Cancelled => Some(("CANCELLED", (166, 28, 40))),
        InvoiceStatus::Paid => Some(("PAID", (25, 110, 62))),
        InvoiceStatus::Overdue => Some(("OVERDUE", (166, 28, 40))),
        InvoiceStatus::Refunded => Some(("REFUNDED", GREY)),
        InvoiceStatus::Sent | InvoiceStatus::Viewed | InvoiceStatus::PartiallyPaid => None,
    }
}

fn badge(canvas: &mut Canvas<'_>, y: f32, word: &str, ink: Ink) {
    let style = Style {
        weight: Weight::Bold,
        size: 8.0,
        ink: WHITE,
    };
    let width = canvas.fonts.width(style.weight, style.size, word) + 14.0;
    canvas.area(RIGHT - width, y, width, 15.0, ink);
    canvas.text(RIGHT - 7.0, y + 10.5, Align::Right, style, word);
}

fn parties(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let client = &invoice.document.client;
    canvas.ensure(LEADING * 6.0);
    let start = canvas.place();
    canvas.text(MARGIN, canvas.y, Align::Left, LABEL, "BILL TO");
    canvas.y += 15.0;
    let name = Style { size: 11.0, ..BOLD };
    column(
        canvas,
        std::slice::from_ref(&client.client_name),
        name,
        230.0,
        14.0,
    );
    let mut lines = vec![client.company.clone()];
    lines.extend(format::address(&client.address));
    if !client.tax_id.is_empty() {
        lines.push(format!("Tax number {}", client.tax_id));
    }
    lines.extend([client.contact_email.clone(), client.contact_phone.clone()]);
    column(canvas, &lines, BODY, 230.0, LEADING);
    let beside = canvas.place();
    canvas.go(start);
    details(canvas, invoice);
    below(canvas, beside);
    canvas.y += 20.0;
}

fn details(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let left = 330.0;
    canvas.text(left, canvas.y, Align::Left, LABEL, "DETAILS");
    canvas.y += 15.0;
    let issued = invoice
        .issue_time
        .map_or_else(|| "–".to_owned(), format::day);
    // Due at the end of the day before the moment from which it is late.
    let due = invoice.due_time.map_or_else(
        || "–".to_owned(),
        |due| format::day(due - chrono::TimeDelta::days(1)),
    );
    let end = format::day(invoice.period_end - chrono::TimeDelta::microseconds(1));
    let period = invoice.period_start.map_or_else(
        || format!("until {end}"),
        |start| format!("{} – {end}", format::day(start)),
    );
    let facts = [
        ("Issued", issued),
        ("Due", due),
        ("Period", period),
        ("Client number", invoice.client_id.clone()),
        ("Currency", invoice.currency().to_string()),
    ];
    for (label, value) in facts {
        canvas.ensure(LEADING);
        let grey = Style { ink: GREY, ..BODY };
        canvas.text(left, canvas.y, Align::Left, grey, label);
        let lines = canvas.fonts.wrap(Weight::Regular, BODY.size, &value, 145.0);
        for line in lines {
            canvas.ensure(LEADING);
            canvas.text(RIGHT, canvas.y, Align::Right, BODY, &line);
            canvas.y += LEADING + 1.5;
        }
    }
}

fn totals(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let sums = &invoice.totals;
    let count = sums.taxes.len() + 4;
    canvas.ensure(18.0 * count as f32 + 30.0);
    let sum = |canvas: &mut Canvas<'_>, label: &str, value: &str, style: Style| {
        canvas.text(330.0, canvas.y, Align::Left, style, label);
        canvas.text(RIGHT - 6.0, canvas.y, Align::Right, style, value);
        canvas.y += 15.0;
    };
    canvas.y += 4.0;
    sum(canvas, "Net total", &format::amount(sums.net), BODY);
    for tax in &sums.taxes {
        sum(
            canvas,
            &format::tax_label(tax),
            &format::amount(tax.tax),
            BODY,
        );
    }
    canvas.area(322.0, canvas.y - 8.0, RIGHT - 322.0, 22.0, WASH);
    canvas.y += 7.0;
    let strong = Style {
        weight: Weight::Bold,
        size: 11.0,
        ink: ACCENT,
    };
    let currency = invoice.currency();
    sum(
        canvas,
        "Total",
        &format!("{currency} {}", format::amount(sums.total)),
        strong,
    );
    canvas.y += 7.0;
    if invoice.paid.minor() != 0 {
        sum(canvas, "Paid", &format::amount(invoice.paid), BODY);
    }
    let due = format!("{currency} {}", format::amount(invoice.due()));
    sum(canvas, "Amount due", &due, BOLD);
    canvas.y += 12.0;
}

fn terms(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let (terms, bank) = (
        &invoice.document.terms,
        &invoice.document.company.bank_account,
    );
    let mut lines = vec![match invoice.due_time {
        Some(due) => {
            format!(
                "Payable by {}.",
                format::day(due - chrono::TimeDelta::days(1))
            )
        }
        None => format!("Payable within {} days of issue.", terms.net_days),
    }];
    if !terms.discount_percent.is_empty() {
        let (percent, days) = (&terms.discount_percent, terms.discount_days);
        lines.push(format!(
            "{percent} % discount if paid within {days} days of issue."
        ));
    }
    if !terms.late_interest_percent.is_empty() {
        let percent = &terms.late_interest_percent;
        lines.push(format!("Interest of {percent} % a year on late payment."));
    }
    lines.push(terms.note.clone());
    let account = [
        ("Account holder ", &bank.holder),
        ("Account ", &bank.account_number),
        ("Bank code ", &bank.bank_code),
        ("Bank ", &bank.bank_name),
    ];
    let account: Vec<_> = account
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{label}{value}"))
        .collect();
    lines.push(account.join("  ·  "));
    block(canvas, "PAYMENT", &lines);
}

fn notes(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let mut lines = vec![invoice.document.notes.clone()];
    if !invoice.cancel_reason.is_empty() {
        lines.push(format!("Cancelled: {}", invoice.cancel_reason));
    }
    let names = invoice
        .document
        .attachments
        .iter()
        .map(|one| one.file_name.clone());
    let names = names.collect::<Vec<_>>().join(", ");
    if !names.is_empty() {
        lines.push(format!("Attachments: {names}"));
    }
    block(canvas, "NOTES", &lines);
}

/// A labelled block of text; nothing when it is empty.
fn block(canvas: &mut Canvas<'_>, label: &str, lines: &[String]) {
    let width = RIGHT - MARGIN;
    let wrapped: Vec<String> = lines
        .iter()
        .filter(|line| !line.is_empty())
        .flat_map(|line| canvas.fonts.wrap(Weight::Regular, BODY.size, line, width))
        .collect();
    if wrapped.is_empty() {
        return;
    }
    canvas.ensure(LEADING * 2.0 + 16.0);
    canvas.text(MARGIN, canvas.y, Align::Left, LABEL, label);
    canvas.y += 14.0;
    for line in wrapped {
        canvas.ensure(LEADING);
        canvas.text(MARGIN, canvas.y, Align::Left, BODY, &line);
        canvas.y += LEADING;
    }
    canvas.y += 12.0;
}
