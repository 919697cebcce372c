//! The table of lines, which may go on over pages.

use super::canvas::{ACCENT, Align, Canvas, GREY, MARGIN, PALE, RIGHT, Style, TOP, WHITE};
use super::fonts::Weight;
use super::format;
use super::sections::{BODY, LEADING};
use crate::domain::invoice::Invoice;
use crate::domain::totals::Line;

/// Right edges of the table's columns with figures.
const QUANTITY: f32 = 344.0;
const PRICE: f32 = 430.0;
const TAX: f32 = 472.0;
/// Height of the table's head.
const HEAD: f32 = 19.0;
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
        // Together on a page where there is one that it fits on.
        let room = canvas.bottom() - TOP - HEAD;
        if canvas.ensure(if height > room { LEADING + 8.0 } else { height }) {
            table_head(canvas, invoice);
        }
        figures(canvas, at + 1, line);
        for row in 0..rows {
            if row > 0 && canvas.ensure(LEADING + 8.0) {
                table_head(canvas, invoice);
            }
            let y = canvas.y + 13.0;
            if let Some(text) = quantity.get(row) {
                canvas.text(QUANTITY, y, Align::Right, BODY, text);
            }
            if let Some(text) = description.get(row) {
                canvas.text(MARGIN + 22.0, y, Align::Left, BODY, text);
            }
            canvas.y += LEADING;
        }
        canvas.y += 8.0;
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
    canvas.area(MARGIN, canvas.y, RIGHT - MARGIN, HEAD, ACCENT);
    let y = canvas.y + 12.5;
    canvas.text(MARGIN + 6.0, y, Align::Left, style, "#");
    canvas.text(MARGIN + 22.0, y, Align::Left, style, "Description");
    canvas.text(QUANTITY, y, Align::Right, style, "Quantity");
    canvas.text(PRICE, y, Align::Right, style, "Unit price");
    canvas.text(TAX, y, Align::Right, style, "Tax");
    let amount = format!("Net {}", invoice.currency());
    canvas.text(RIGHT - 6.0, y, Align::Right, style, &amount);
    canvas.y += HEAD;
}

/// What stands once for a line, beside the first row of its text.
fn figures(canvas: &mut Canvas<'_>, number: usize, line: &Line) {
    let y = canvas.y + 13.0;
    let grey = Style { ink: GREY, ..BODY };
    canvas.text(MARGIN + 6.0, y, Align::Left, grey, &number.to_string());
    let price = format::price(line.price, line.net.currency().exponent());
    narrow(canvas, PRICE, y, PRICE - QUANTITY - 6.0, &price);
    canvas.text(TAX, y, Align::Right, grey, &format::percent(line.percent));
    let edge = RIGHT - 6.0;
    narrow(canvas, edge, y, edge - TAX - 4.0, &format::amount(line.net));
}

/// Writes to the left of `x`, smaller where the figures need more room than the column has.
fn narrow(canvas: &mut Canvas<'_>, x: f32, y: f32, room: f32, text: &str) {
    let wide = canvas.fonts.width(BODY.weight, BODY.size, text);
    let style = Style {
        size: BODY.size * (room / wide).min(1.0),
        ..BODY
    };
    canvas.text(x, y, Align::Right, style, text);
}
