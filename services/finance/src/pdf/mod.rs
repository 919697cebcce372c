//! The invoice as a PDF. What is printed comes from storage alone; the same invoice gives the same
//! bytes. Fonts are embedded. A letter that they lack is written as its code point, never dropped.

mod canvas;
mod fonts;
mod format;
mod sections;
mod table;
#[cfg(test)]
mod tests;

use crate::operations::read::FullInvoice;

/// Draws an invoice.
///
/// # Errors
/// With the drawing library's words; a bug.
pub fn render(full: &FullInvoice) -> Result<Vec<u8>, String> {
    let fonts = fonts::Fonts::load()?;
    let mut canvas = canvas::Canvas::new(&fonts);
    sections::compose(&mut canvas, &full.invoice);
    canvas.finish(&full.invoice)
}
