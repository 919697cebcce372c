//! The table of lines, which may go on over pages.

use super::canvas::{ACCENT, Align, Canvas, GREY, MARGIN, PALE, RIGHT, Style, WHITE};
use super::fonts::Weight;
use super::format;
use super::sections::{BODY, LEADING};
use crate::domain::invoice::Invoice;
use crate::domain::totals::Line;

/// Right edges of the table's columns with figures.
const QUANTITY: f32 = 344.0;
const PRICE: f32 = 430.0;
const TAX: f32 = 472.0;
/// Width of the description.
const DESCRIPTION: f32 = 190.0;

/// Fills the table.
pub fn table(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    table_head(canvas, invoice);
    for (at, line) in invoice.lines.iter().enumerate() {
        let description =
            canvas
                .fonts
                .wrap(Weight::Regular, BODY.size, &line.description, DESCRIPTION);
        let quantity = canvas.fonts.wrap(
            Weight::Regular,
            BODY.size,
            &format::quantity(line),
            QUANTITY - MARGIN - 22.0 - DESCRIPTION,
        );
        let rows = description.len().max(quantity.len()).max(1);
        let height = LEADING * rows as f32 + 8.0;
        if canvas.ensure(height) {
            table_head(canvas, invoice);
        }
        row(canvas, at + 1, line, &description, &quantity);
        canvas.y += height;
        canvas.rule(canvas.y - 0.6, PALE);
    }
    canvas.y += 14.0;
}

fn table_head(canvas: &mut Canvas<'_>, invoice: &Invoice) {
    let style = Style {
        weight: Weight::Bold,
        size: 8.0,
        ink: WHITE,
    };
    canvas.ensure(60.0);
    canvas.area(MARGIN, canvas.y, RIGHT - MARGIN, 19.0, ACCENT);
    let y = canvas.y + 12.5;
    canvas.text(MARGIN + 6.0, y, Align::Left, style, "#");
    canvas.text(MARGIN + 22.0, y, Align::Left, style, "Description");
    canvas.text(QUANTITY, y, Align::Right, style, "Quantity");
    canvas.text(PRICE, y, Align::Right, style, "Unit price");
    canvas.text(TAX, y, Align::Right, style, "Tax");
    let amount = format!("Net {}", invoice.currency());
    canvas.text(RIGHT - 6.0, y, Align::Right, style, &amount);
    canvas.y += 19.0;
}

fn row(
    canvas: &mut Canvas<'_>,
    number: usize,
    line: &Line,
    description: &[String],
    quantity: &[String],
) {
    let y = canvas.y + 13.0;
    let grey = Style { ink: GREY, ..BODY };
    canvas.text(MARGIN + 6.0, y, Align::Left, grey, &number.to_string());
    for (at, text) in description.iter().enumerate() {
        canvas.text(
            MARGIN + 22.0,
            y + LEADING * at as f32,
            Align::Left,
            BODY,
            text,
        );
    }
    for (at, text) in quantity.iter().enumerate() {
        canvas.text(QUANTITY, y + LEADING * at as f32, Align::Right, BODY, text);
    }
    let price = format::price(line.price, line.net.currency().exponent());
    // A price below the smallest coin per million needs more room than the column has.
    let room = PRICE - QUANTITY - 6.0;
    let wide = canvas.fonts.width(BODY.weight, BODY.size, &price);
    let style = Style {
        size: if wide > room {
            BODY.size * room / wide
        } else {
            BODY.size
        },
        ..BODY
    };
    canvas.text(PRICE, y, Align::Right, style, &price);
    canvas.text(TAX, y, Align::Right, grey, &format::percent(line.percent));
    canvas.text(
        RIGHT - 6.0,
        y,
        Align::Right,
        BODY,
        &format::amount(line.net),
    );
}
