//! `PaymentService`.

use chrono::{DateTime, Utc};
use reeve_contracts::finance::v1::payment_service_server::PaymentService;
use reeve_contracts::finance::v1::{
    self as proto, CancelPaymentRequest, CancelPaymentResponse, CompletePaymentRequest,
    CompletePaymentResponse, FailPaymentRequest, FailPaymentResponse, GetPaymentRequest,
    GetPaymentResponse, ListPaymentsRequest, ListPaymentsResponse, RecordPaymentRequest,
    RecordPaymentResponse,
};
use reeve_ids::Uuid;
use reeve_money::Money;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response};

use super::render_invoice::{invoice, payment};
use super::{Answer, Shared, asked, call, open, parse, required};
use crate::domain::payment::{PaymentMethod, PaymentStatus};
use crate::operations::payments::{NewPayment, PaymentEnd};
use crate::storage::payments::PaymentFilter;

/// The RPCs.
pub struct PaymentApi(pub Shared);

impl PaymentApi {
    /// Full name of the service.
    pub const NAME: &'static str = "reeve.finance.v1.PaymentService";
}

#[tonic::async_trait]
impl PaymentService for PaymentApi {
    async fn record_payment(
        &self,
        request: Request<RecordPaymentRequest>,
    ) -> Answer<RecordPaymentResponse> {
        let (caller, message) = open(request)?;
        let new = parse_payment(&message, self.0.now())?;
        let call = call(&caller, "RecordPayment", &message.request_id, &message);
        let (paid, bill) = self
            .0
            .record_payment(call, new)
            .await
            .map_err(Fault::from)?;
        let (payment, invoice) = (Some(payment(&paid)), Some(invoice(&bill)));
        Ok(Response::new(RecordPaymentResponse { payment, invoice }))
    }

    async fn complete_payment(
        &self,
        request: Request<CompletePaymentRequest>,
    ) -> Answer<CompletePaymentResponse> {
        let (caller, message) = open(request)?;
        let (id, etag) = (&message.payment_id, &message.etag);
        let words = (&*message.request_id, &*message.processor_response);
        let end = parse_end(id, etag, words, PaymentStatus::Completed)?;
        let call = call(&caller, "CompletePayment", &message.request_id, &message);
        let (paid, bill) = self.0.end_payment(call, end).await.map_err(Fault::from)?;
        let (payment, invoice) = (Some(payment(&paid)), Some(invoice(&bill)));
        Ok(Response::new(CompletePaymentResponse { payment, invoice }))
    }

    async fn fail_payment(
        &self,
        request: Request<FailPaymentRequest>,
    ) -> Answer<FailPaymentResponse> {
        let (caller, message) = open(request)?;
        let (id, etag) = (&message.payment_id, &message.etag);
        let words = (&*message.request_id, &*message.processor_response);
        let end = parse_end(id, etag, words, PaymentStatus::Failed)?;
        let call = call(&caller, "FailPayment", &message.request_id, &message);
        let (failed, _) = self.0.end_payment(call, end).await.map_err(Fault::from)?;
        Ok(Response::new(FailPaymentResponse {
            payment: Some(payment(&failed)),
        }))
    }

    async fn cancel_payment(
        &self,
        request: Request<CancelPaymentRequest>,
    ) -> Answer<CancelPaymentResponse> {
        let (caller, message) = open(request)?;
        let (id, etag) = (&message.payment_id, &message.etag);
        let words = (&*message.request_id, &*message.processor_response);
        let end = parse_end(id, etag, words, PaymentStatus::Cancelled)?;
        let call = call(&caller, "CancelPayment", &message.request_id, &message);
        let (cancelled, _) = self.0.end_payment(call, end).await.map_err(Fault::from)?;
        Ok(Response::new(CancelPaymentResponse {
            payment: Some(payment(&cancelled)),
        }))
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Answer<GetPaymentResponse> {
        let (tenant, id) = asked(request, "payment_id", |message| &message.payment_id)?;
        let found = self.0.get_payment(tenant, id).await.map_err(Fault::from)?;
        Ok(Response::new(GetPaymentResponse {
            payment: Some(payment(&found)),
        }))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Answer<ListPaymentsResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let status = proto::PaymentStatus::try_from(message.status).map(|one| one.as_str_name());
        let filter = PaymentFilter {
            invoice_id: parse::optional_id(&mut v, "invoice_id", &message.invoice_id),
            status: parse::filter_word(&mut v, "status", status, "PAYMENT_STATUS_"),
        };
        v.finish()?;
        let bound = format!("{filter:?}");
        let (page, size) = parse::page::<Uuid>(message.page_size, &message.page_token, &bound)?;
        let found = self.0.list_payments(caller.tenant(), filter, page).await;
        let found = found.map_err(Fault::from)?;
        let (payments, next) = answer::page(found, size, payment, |one| one.id.uuid());
        Ok(Response::new(ListPaymentsResponse {
            payments,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }
}

fn parse_payment(message: &RecordPaymentRequest, now: DateTime<Utc>) -> Result<NewPayment, Fault> {
    let mut v = Violations::new();
    parse::needed_request_id(&mut v, &message.request_id);
    let invoice_id = parse::id(&mut v, "invoice_id", &message.invoice_id);
    let amount = parse::money(&mut v, "amount", message.amount.as_ref());
    let zero = amount.is_some_and(|amount| amount.minor() == 0);
    v.check(!zero, "amount.amount", "must be more than zero");
    let method = proto::PaymentMethod::try_from(message.method).map(|one| one.as_str_name());
    let method = parse::needed_word(
        &mut v,
        "method",
        method,
        "PAYMENT_METHOD_",
        PaymentMethod::from_word,
    );
    let fee = fee(&mut v, message, amount);
    let response = &message.processor_response;
    let transaction_id = parse::text(&mut v, "transaction_id", &message.transaction_id, (0, 200));
    let reference = parse::text(&mut v, "reference", &message.reference, (0, 200));
    let payment_time = message.payment_time.as_ref();
    let payment_time = parse::past_time(&mut v, "payment_time", payment_time, now);
    let processor_response = parse::text(&mut v, "processor_response", response, (0, 2000));
    let notes = parse::text(&mut v, "notes", &message.notes, (0, 2000));
    let processor_data = parse::json(&mut v, "processor_data", message.processor_data.clone());
    match (invoice_id, amount, method, fee) {
        (Some(invoice_id), Some(amount), Some(method), Some(fee)) => {
            v.finish()?;
            Ok(NewPayment {
                invoice_id,
                amount,
                fee,
                method,
                transaction_id,
                reference,
                payment_time,
                processor_response,
                notes,
                processor_data,
            })
        }
        _ => Err(v.into_fault()),
    }
}

fn fee(v: &mut Violations, message: &RecordPaymentRequest, amount: Option<Money>) -> Option<Money> {
    let Some(given) = message.processing_fee.as_ref() else {
        return amount.map(|amount| Money::zero(amount.currency()));
    };
    let fee = parse::money(v, "processing_fee", Some(given))?;
    let amount = amount?;
    let same = fee.currency() == amount.currency();
    v.check(same, "processing_fee.currency_code", "must be the amount's");
    v.check(
        fee.minor() <= amount.minor(),
        "processing_fee.amount",
        "must not exceed the amount",
    );
    Some(fee)
}

fn parse_end(
    id: &str,
    etag: &str,
    (request_id, words): (&str, &str),
    to: PaymentStatus,
) -> Result<PaymentEnd, Fault> {
    let mut v = Violations::new();
    parse::request_id(&mut v, request_id);
    let id = parse::id(&mut v, "payment_id", id);
    let version = parse::etag(&mut v, etag);
    let processor_response = parse::text(&mut v, "processor_response", words, (0, 2000));
    let id = required(id, v)?;
    Ok(PaymentEnd {
        id,
        version,
        to,
        processor_response,
    })
}
