//! Rendering an invoice from what is stored.

use reeve_ids::{InvoiceId, TenantId};

use super::Context;
use super::read::FullInvoice;
use crate::error::Error;
use crate::pdf;

/// The greatest document that fits into an answer.
const MOST_BYTES: usize = 3 * 1024 * 1024;

impl Context {
    /// The invoice as a PDF, and its file name. Drawing is work for a processor, not for the
    /// threads that serve calls.
    pub async fn render_invoice(
        &self,
        tenant: TenantId,
        id: InvoiceId,
    ) -> Result<(Vec<u8>, String), Error> {
        let full = self.get_invoice(tenant, id).await?;
        let name = file_name(&full);
        let drawn = tokio::task::spawn_blocking(move || pdf::render(&full)).await;
        let bytes = drawn.map_err(|error| Error::Render(error.to_string()))?;
        let bytes = bytes.map_err(Error::Render)?;
        if bytes.len() > MOST_BYTES {
            return Err(Error::DocumentTooLarge(bytes.len()));
        }
        Ok((bytes, name))
    }
}

fn file_name(full: &FullInvoice) -> String {
    match &full.invoice.number {
        Some(number) => format!("{}.pdf", number.text),
        None => format!("draft-{}.pdf", full.invoice.id),
    }
}
