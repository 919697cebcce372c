//! `InvoiceService`.

use reeve_contracts::finance::v1::invoice_service_server::InvoiceService;
use reeve_contracts::finance::v1::{
    self as proto, CancelInvoiceRequest, CancelInvoiceResponse, CreateInvoiceRequest,
    CreateInvoiceResponse, GetInvoiceRequest, GetInvoiceResponse, IssueInvoiceRequest,
    IssueInvoiceResponse, ListInvoicesRequest, ListInvoicesResponse, ListTimeEntriesRequest,
    ListTimeEntriesResponse, MarkInvoiceViewedRequest, MarkInvoiceViewedResponse,
    RenderInvoiceRequest, RenderInvoiceResponse,
};
use reeve_ids::{InvoiceId, Uuid};
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response};

use super::{Answer, Shared, asked, call, open, parse, parse_invoice, render_invoice, required};
use crate::domain::invoice::Invoice;
use crate::operations::Call;
use crate::operations::invoice_changes::Change;
use crate::storage::invoices::InvoiceFilter;
use crate::storage::time::TimeFilter;

/// The RPCs.
pub struct InvoiceApi(pub Shared);

impl InvoiceApi {
    /// Full name of the service.
    pub const NAME: &'static str = "reeve.finance.v1.InvoiceService";

    async fn read(&self, invoice: &Invoice) -> Result<proto::Invoice, Fault> {
        let full = self.0.get_invoice(invoice.tenant_id, invoice.id).await?;
        Ok(render_invoice::full_invoice(&full))
    }
}

#[tonic::async_trait]
impl InvoiceService for InvoiceApi {
    async fn create_invoice(
        &self,
        request: Request<CreateInvoiceRequest>,
    ) -> Answer<CreateInvoiceResponse> {
        let (caller, message) = open(request)?;
        let new = parse_invoice::invoice(&message)?;
        let call = call(&caller, "CreateInvoice", &message.request_id, &message);
        let invoice = self
            .0
            .create_invoice(call, new)
            .await
            .map_err(Fault::from)?;
        let invoice = Some(self.read(&invoice).await?);
        Ok(Response::new(CreateInvoiceResponse { invoice }))
    }

    async fn get_invoice(&self, request: Request<GetInvoiceRequest>) -> Answer<GetInvoiceResponse> {
        let (tenant, id) = asked(request, "invoice_id", |message| &message.invoice_id)?;
        let full = self.0.get_invoice(tenant, id).await.map_err(Fault::from)?;
        let invoice = Some(render_invoice::full_invoice(&full));
        Ok(Response::new(GetInvoiceResponse { invoice }))
    }

    async fn list_invoices(
        &self,
        request: Request<ListInvoicesRequest>,
    ) -> Answer<ListInvoicesResponse> {
        let (caller, message) = open(request)?;
        let filter = parse_filter(&message)?;
        let bound = format!("{filter:?}");
        let (page, size) = parse::page::<Uuid>(message.page_size, &message.page_token, &bound)?;
        let invoices = self.0.list_invoices(caller.tenant(), &filter, page).await;
        let invoices = invoices.map_err(Fault::from)?;
        let (invoices, next) =
            answer::page(invoices, size, render_invoice::invoice, |one| one.id.uuid());
        Ok(Response::new(ListInvoicesResponse {
            invoices,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn issue_invoice(
        &self,
        request: Request<IssueInvoiceRequest>,
    ) -> Answer<IssueInvoiceResponse> {
        let (caller, message) = open(request)?;
        let call = call(&caller, "IssueInvoice", &message.request_id, &message);
        let change = change(call, &message.invoice_id, &message.etag, Violations::new())?;
        let invoice = self.0.issue_invoice(change).await.map_err(Fault::from)?;
        let invoice = Some(self.read(&invoice).await?);
        Ok(Response::new(IssueInvoiceResponse { invoice }))
    }

    async fn mark_invoice_viewed(
        &self,
        request: Request<MarkInvoiceViewedRequest>,
    ) -> Answer<MarkInvoiceViewedResponse> {
        let (caller, message) = open(request)?;
        let call = call(&caller, "MarkInvoiceViewed", "", &message);
        let change = change(call, &message.invoice_id, &message.etag, Violations::new())?;
        let invoice = self.0.view_invoice(change).await.map_err(Fault::from)?;
        let invoice = Some(self.read(&invoice).await?);
        Ok(Response::new(MarkInvoiceViewedResponse { invoice }))
    }

    async fn cancel_invoice(
        &self,
        request: Request<CancelInvoiceRequest>,
    ) -> Answer<CancelInvoiceResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let reason = parse::text(&mut v, "reason", &message.reason, (1, 500));
        let call = call(&caller, "CancelInvoice", &message.request_id, &message);
        let change = change(call, &message.invoice_id, &message.etag, v)?;
        let invoice = self
            .0
            .cancel_invoice(change, reason)
            .await
            .map_err(Fault::from)?;
        let invoice = Some(self.read(&invoice).await?);
        Ok(Response::new(CancelInvoiceResponse { invoice }))
    }

    async fn list_time_entries(
        &self,
        request: Request<ListTimeEntriesRequest>,
    ) -> Answer<ListTimeEntriesResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let filter = TimeFilter {
            invoice_id: parse::optional_id(&mut v, "invoice_id", &message.invoice_id),
            project_id: parse::optional_id(&mut v, "project_id", &message.project_id),
        };
        v.finish()?;
        let bound = format!("{filter:?}");
        let (page, size) = parse::page(message.page_size, &message.page_token, &bound)?;
        let entries = self.0.list_time(caller.tenant(), filter, page).await;
        let entries = entries.map_err(Fault::from)?;
        let render = render_invoice::time_entry;
        let (time_entries, next) =
            answer::page(entries, size, render, |one| (one.start_time, one.id));
        Ok(Response::new(ListTimeEntriesResponse {
            time_entries,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }

    async fn render_invoice(
        &self,
        request: Request<RenderInvoiceRequest>,
    ) -> Answer<RenderInvoiceResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let id = parse::id(&mut v, "invoice_id", &message.invoice_id);
        let pdf = proto::InvoiceFormat::try_from(message.format) == Ok(proto::InvoiceFormat::Pdf);
        v.check(
            pdf,
            "format",
            "must be one of the values of the enum, other than its zero",
        );
        let id = required(id, v)?;
        let rendered = self.0.render_invoice(caller.tenant(), id).await;
        let (content, file_name) = rendered.map_err(Fault::from)?;
        Ok(Response::new(RenderInvoiceResponse {
            sha256: hex::encode(Sha256::digest(&content)),
            content,
            content_type: "application/pdf".to_owned(),
            file_name,
        }))
    }
}

fn change(call: Call, id: &str, etag: &str, mut v: Violations) -> Result<Change, Fault> {
    parse::request_id(&mut v, &call.request_id);
    let id: Option<InvoiceId> = parse::id(&mut v, "invoice_id", id);
    let version = parse::etag(&mut v, etag);
    let id = required(id, v)?;
    Ok(Change { call, id, version })
}

fn parse_filter(message: &ListInvoicesRequest) -> Result<InvoiceFilter, Fault> {
    let mut v = Violations::new();
    let status = proto::InvoiceStatus::try_from(message.status).map(|one| one.as_str_name());
    let due = message.due_before_time.as_ref();
    let filter = InvoiceFilter {
        project_id: parse::optional_id(&mut v, "project_id", &message.project_id),
        client_id: parse::text(&mut v, "client_id", &message.client_id, (0, 100)),
        status: parse::filter_word(&mut v, "status", status, "INVOICE_STATUS_"),
        due_before: parse::time(&mut v, "due_before_time", due),
    };
    v.finish()?;
    Ok(filter)
}
