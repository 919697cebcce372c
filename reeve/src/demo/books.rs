//! Prices and a budget before the work; costs, an invoice and its payment after it.

use std::io::Write;

use anyhow::{Context as _, Result, bail};
use reeve_contracts::finance::v1::budget_service_client::BudgetServiceClient;
use reeve_contracts::finance::v1::invoice_service_client::InvoiceServiceClient;
use reeve_contracts::finance::v1::ledger_service_client::LedgerServiceClient;
use reeve_contracts::finance::v1::payment_service_client::PaymentServiceClient;
use reeve_contracts::finance::v1::rate_card_service_client::RateCardServiceClient;
use reeve_contracts::finance::v1::usage_service_client::UsageServiceClient;
use reeve_contracts::finance::v1::{
    Budget, CreateBudgetRequest, CreateInvoiceRequest, CreateRateCardRequest, GetBudgetRequest,
    GetCostSummaryRequest, GetCostSummaryResponse, Invoice, IssueInvoiceRequest,
    RecordPaymentRequest, RenderInvoiceRequest, VerifyLedgerRequest,
};
use reeve_contracts::r#type::v1::Money;
use reeve_ids::ProjectId;
use serde_json::json;

use super::stage::Stage;
use crate::client::input;
use crate::client::session::{Service, answer};

/// What the demo's work is charged to.
pub struct Account {
    /// The project.
    pub project_id: String,
    /// The budget.
    pub budget_id: String,
}

/// Sets prices and a budget.
pub async fn open<W: Write>(stage: &mut Stage<'_, W>) -> Result<Account> {
    let channel = stage.session.channel(Service::Finance)?;
    let request: CreateRateCardRequest = input::message(json!({
        "name": format!("demo {}", stage.run),
        "currencyCode": "USD",
        "description": "Prices of the demo: its rules per million words, its agents per hour.",
        "modelPrices": [{
            "provider": "reeve-demo", "model": "rules",
            "input": {"amount": "150.00", "perUnits": "1000000"},
            "output": {"amount": "600.00", "perUnits": "1000000"},
        }],
        "resourcePrices": [{
            "resource": "agent_seconds", "unitPrice": {"amount": "360.00", "perUnits": "3600"},
        }],
    }))?;
    let mut cards = RateCardServiceClient::new(channel.clone());
    answer(cards.create_rate_card(stage.session.request(request)).await)?;
    let project_id = ProjectId::new().to_string();
    let request: CreateBudgetRequest = input::message(json!({
        "name": format!("demo {}", stage.run),
        "scope": "BUDGET_SCOPE_PROJECT",
        "scopeId": project_id,
        "limit": {"amount": "5.00", "currencyCode": "USD"},
    }))?;
    let mut budgets = BudgetServiceClient::new(channel);
    let created = answer(budgets.create_budget(stage.session.request(request)).await)?;
    let budget = created.budget.context("no budget came back")?;
    stage.say("a rate card for words and seconds, and a budget of 5.00 USD")?;
    Ok(Account {
        project_id,
        budget_id: budget.id,
    })
}

/// Shows the costs of the attempts that were made, bills them and books the payment.
pub async fn bill<W: Write>(
    stage: &mut Stage<'_, W>,
    account: &Account,
    attempts: i64,
) -> Result<()> {
    let costs = costs(stage, account, attempts).await?;
    for row in &costs.rows {
        let outcome = row.key.to_lowercase();
        stage.say(format!(
            "{outcome:<10} attempts: {:<3}  {:>6} words in  {:>5} out  {}",
            row.record_count,
            row.input_tokens,
            row.output_tokens,
            money(row.cost.as_ref())
        ))?;
    }
    let total = costs
        .totals
        .first()
        .map(|total| money(Some(total)))
        .unwrap_or_default();
    let charged: i64 = costs.rows.iter().map(|row| row.record_count).sum();
    let budget = budget(stage, account).await?;
    stage.say(format!(
        "budget: {} of {} spent, {} on hold",
        money(budget.spent.as_ref()),
        money(budget.limit.as_ref()),
        money(budget.reserved.as_ref())
    ))?;
    stage.note(
        "costs",
        format!("{total} for {charged} attempts, held and then spent from the budget"),
    );
    let body = json!({"projectId": account.project_id, "dimension": "COST_DIMENSION_TASK"});
    stage.grpcurl(
        Service::Finance,
        "reeve.finance.v1.UsageService/GetCostSummary",
        &body,
    );
    let invoice = invoice(stage, account).await?;
    pay(stage, &invoice).await?;
    verify(stage).await
}

/// Waits until every attempt has reached finance, through task-queue's events.
async fn costs<W: Write>(
    stage: &Stage<'_, W>,
    account: &Account,
    attempts: i64,
) -> Result<GetCostSummaryResponse> {
    let session = stage.session.clone();
    let channel = session.channel(Service::Finance)?;
    stage
        .until("the costs of every attempt", || {
            let mut client = UsageServiceClient::new(channel.clone());
            let request: Result<GetCostSummaryRequest> = input::message(json!({
                "dimension": "COST_DIMENSION_OUTCOME", "projectId": account.project_id,
            }));
            let session = &session;
            async move {
                let summary = answer(client.get_cost_summary(session.request(request?)).await)?;
                let records: i64 = summary.rows.iter().map(|row| row.record_count).sum();
                Ok((records >= attempts).then_some(summary))
            }
        })
        .await
}

/// Waits until no hold is left, since each ends with its task.
async fn budget<W: Write>(stage: &Stage<'_, W>, account: &Account) -> Result<Budget> {
    let session = stage.session.clone();
    let channel = session.channel(Service::Finance)?;
    stage
        .until("the holds to end", || {
            let mut client = BudgetServiceClient::new(channel.clone());
            let request = GetBudgetRequest {
                budget_id: account.budget_id.clone(),
            };
            let session = &session;
            async move {
                let budget = answer(client.get_budget(session.request(request)).await)?.budget;
                Ok(budget.filter(|budget| {
                    budget
                        .reserved
                        .as_ref()
                        .is_none_or(|held| held.amount.trim_matches(['0', '.']).is_empty())
                }))
            }
        })
        .await
}

async fn invoice<W: Write>(stage: &mut Stage<'_, W>, account: &Account) -> Result<Invoice> {
    let mut client = InvoiceServiceClient::new(stage.session.channel(Service::Finance)?);
    // The period's first moment that is no longer in it: all work until now is billed.
    let end = chrono::Utc::now() + chrono::TimeDelta::seconds(1);
    let request: CreateInvoiceRequest = input::message(json!({
        "projectId": account.project_id,
        "currencyCode": "USD",
        "billingPeriod": {"endTime": end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)},
        "clientInfo": {
            "clientId": "acme", "clientName": "Łucja Çelik", "company": "Acme Manufacturing",
            "contactEmail": "accounts@acme.example",
            "address": {"lines": ["12 Foundry Lane"], "postalCode": "S1 2AB", "city": "Sheffield", "countryCode": "GB"},
        },
        "companyInfo": {
            "legalName": "Reeve Demo Ltd", "taxId": "GB000000000",
            "address": {"lines": ["1 Manor Court"], "postalCode": "YO1 7HH", "city": "York", "countryCode": "GB"},
            "bankAccount": {"holder": "Reeve Demo Ltd", "accountNumber": "GB33BUKB20201555555555", "bankCode": "BUKBGB22"},
        },
        "paymentTerms": {"netDays": 14, "note": "Thank you."},
        "taxCategory": "TAX_CATEGORY_STANDARD",
        "taxPercent": "20",
        "markupPercent": "25",
        "hourlyRate": "90.00",
        "notes": format!("Work of three agents in demo {}.", stage.run),
    }))?;
    let draft = answer(client.create_invoice(stage.session.request(request)).await)?;
    let draft = draft.invoice.context("no invoice came back")?;
    let request = IssueInvoiceRequest {
        invoice_id: draft.id,
        etag: draft.etag,
        ..IssueInvoiceRequest::default()
    };
    let issued = answer(client.issue_invoice(stage.session.request(request)).await)?;
    let invoice = issued.invoice.context("no invoice came back")?;
    let request: RenderInvoiceRequest = input::message(json!({
        "invoiceId": invoice.id, "format": "INVOICE_FORMAT_PDF",
    }))?;
    let rendered = answer(client.render_invoice(stage.session.request(request)).await)?;
    let path = stage.folder.join("invoice.pdf");
    std::fs::write(&path, &rendered.content)?;
    let total = total(&invoice)?;
    stage.say(format!(
        "invoice {} over {}: {} ({} bytes)",
        invoice.invoice_number,
        money(Some(&total)),
        path.display(),
        rendered.content.len()
    ))?;
    stage.note(
        "invoice",
        format!(
            "{} issued over {}, PDF written",
            invoice.invoice_number,
            money(Some(&total))
        ),
    );
    let body = json!({"invoiceId": invoice.id});
    stage.grpcurl(
        Service::Finance,
        "reeve.finance.v1.InvoiceService/GetInvoice",
        &body,
    );
    Ok(invoice)
}

async fn pay<W: Write>(stage: &mut Stage<'_, W>, invoice: &Invoice) -> Result<()> {
    let mut client = PaymentServiceClient::new(stage.session.channel(Service::Finance)?);
    let total = total(invoice)?;
    let request: RecordPaymentRequest = input::message(json!({
        "requestId": format!("demo-{}", stage.run),
        "invoiceId": invoice.id,
        "amount": {"amount": total.amount, "currencyCode": total.currency_code},
        "method": "PAYMENT_METHOD_BANK_TRANSFER",
        "reference": invoice.invoice_number,
    }))?;
    let recorded = answer(client.record_payment(stage.session.request(request)).await)?;
    let paid = recorded.invoice.context("no invoice came back")?;
    let status = paid
        .status()
        .as_str_name()
        .trim_start_matches("INVOICE_STATUS_")
        .to_owned();
    stage.say(format!(
        "a bank transfer of {} is recorded; the invoice is {status}",
        money(Some(&total))
    ))?;
    stage.note("payment", format!("recorded; the invoice is {status}"));
    Ok(())
}

async fn verify<W: Write>(stage: &mut Stage<'_, W>) -> Result<()> {
    let mut client = LedgerServiceClient::new(stage.session.channel(Service::Finance)?);
    let request = VerifyLedgerRequest::default();
    let verified = answer(client.verify_ledger(stage.session.request(request)).await)?;
    if !verified.balanced {
        bail!("the ledger does not balance: {:?}", verified.faults);
    }
    stage.say(format!(
        "the ledger balances: {} postings in {} transactions sum to zero",
        verified.entry_count, verified.journal_count
    ))?;
    stage.note(
        "ledger",
        format!("{} postings, sum zero", verified.entry_count),
    );
    stage.grpcurl(
        Service::Finance,
        "reeve.finance.v1.LedgerService/VerifyLedger",
        &json!({}),
    );
    Ok(())
}

fn total(invoice: &Invoice) -> Result<Money> {
    let totals = invoice
        .totals
        .as_ref()
        .context("the invoice has no totals")?;
    totals
        .grand_total
        .clone()
        .context("the invoice has no total")
}

fn money(money: Option<&Money>) -> String {
    money
        .map(|money| format!("{} {}", money.amount, money.currency_code))
        .unwrap_or_default()
}
