//! `reeve rate-card`, `reeve budget`, `reeve cost`, `reeve invoice` and `reeve ledger`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Subcommand, ValueEnum};
use reeve_contracts::finance::v1::budget_service_client::BudgetServiceClient;
use reeve_contracts::finance::v1::invoice_service_client::InvoiceServiceClient;
use reeve_contracts::finance::v1::ledger_service_client::LedgerServiceClient;
use reeve_contracts::finance::v1::payment_service_client::PaymentServiceClient;
use reeve_contracts::finance::v1::rate_card_service_client::RateCardServiceClient;
use reeve_contracts::finance::v1::usage_service_client::UsageServiceClient;
use reeve_contracts::finance::v1::{
    GetInvoiceRequest, IssueInvoiceRequest, RenderInvoiceRequest, RenderInvoiceResponse,
    VerifyLedgerRequest,
};
use serde_json::json;

use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, Format, print, print_json};
use crate::client::session::Session;

const RATE_CARDS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("VERSION", "version"),
    ("CURRENCY", "currencyCode"),
    ("FROM", "validFromTime"),
    ("TO", "validToTime"),
];
const BUDGETS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("SCOPE", "scope"),
    ("LIMIT", "limit"),
    ("SPENT", "spent"),
    ("RESERVED", "reserved"),
    ("AVAILABLE", "available"),
];
const COSTS: &[Column] = &[
    ("KEY", "key"),
    ("COST", "cost"),
    ("RECORDS", "recordCount"),
    ("UNPRICED", "unpricedCount"),
    ("IN", "inputTokens"),
    ("OUT", "outputTokens"),
    ("BUSY", "busyDuration"),
];
const INVOICES: &[Column] = &[
    ("ID", "id"),
    ("NUMBER", "invoiceNumber"),
    ("STATUS", "status"),
    ("CLIENT", "clientInfo.clientName"),
    ("TOTAL", "totals.grandTotal"),
    ("DUE", "dueTime"),
];
const ACCOUNTS: &[Column] = &[("ID", "id"), ("CODE", "code"), ("BALANCE", "balance")];

/// What prices can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum RateCardVerb {
    /// Create a rate card from a file of protobuf JSON (CreateRateCardRequest).
    Create {
        /// The file, or - for stdin.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// List rate cards.
    List(Page),
}

/// What budgets can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum BudgetVerb {
    /// Create a budget.
    Create {
        /// Name, unique in the tenant.
        name: String,
        /// Limit, for example 100.00.
        #[arg(long)]
        limit: String,
        /// ISO 4217 code.
        #[arg(long, default_value = "USD")]
        currency: String,
        /// The enclosing budget.
        #[arg(long, default_value = "")]
        parent: String,
    },
    /// List budgets with what is spent and reserved.
    List(Page),
    /// Show one budget.
    Get {
        /// The budget's id.
        budget_id: String,
    },
}

/// By what costs are added up.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Dimension {
    /// By task.
    Task,
    /// By agent.
    Agent,
    /// By model.
    Model,
    /// By project.
    Project,
    /// By execution.
    Execution,
    /// By what became of the work.
    Outcome,
}

/// What costs can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum CostVerb {
    /// Add costs up.
    Summary {
        /// By what.
        #[arg(long, value_enum, default_value = "project")]
        by: Dimension,
        /// Only this project.
        #[arg(long, default_value = "")]
        project: String,
        /// Which part of the sums.
        #[command(flatten)]
        page: Page,
    },
}

/// What invoices can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum InvoiceVerb {
    /// Draft an invoice from a file of protobuf JSON (CreateInvoiceRequest).
    Create {
        /// The file, or - for stdin.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// List invoices, newest first.
    List(Page),
    /// Show one invoice.
    Get {
        /// The invoice's id.
        invoice_id: String,
    },
    /// Issue a draft: it gets its number and enters the books.
    Issue {
        /// The invoice's id.
        invoice_id: String,
    },
    /// Write the invoice as PDF.
    Pdf {
        /// The invoice's id.
        invoice_id: String,
        /// The file to write.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Record a bank transfer.
    Pay {
        /// The invoice's id.
        invoice_id: String,
        /// Amount, for example 120.00.
        #[arg(long)]
        amount: String,
        /// ISO 4217 code.
        #[arg(long, default_value = "USD")]
        currency: String,
        /// Repeating a payment with the same id records it once.
        #[arg(long)]
        request_id: String,
    },
}

/// What the ledger can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerVerb {
    /// List accounts with their balances.
    Accounts(Page),
    /// Check that the ledger balances.
    Verify,
}

/// Does what was asked of prices.
pub async fn rate_card(session: &Session, verb: RateCardVerb, out: &mut impl Write) -> Result<()> {
    match verb {
        RateCardVerb::Create { file } => {
            let request = input::file(&file)?;
            let created = call!(
                session,
                Finance,
                RateCardServiceClient,
                create_rate_card,
                request
            );
            print(out, session.output, &created, "rateCard", RATE_CARDS)
        }
        RateCardVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                Finance,
                RateCardServiceClient,
                list_rate_cards,
                request
            );
            print(out, session.output, &found, "rateCards", RATE_CARDS)
        }
    }
}

/// Does what was asked of budgets.
pub async fn budget(session: &Session, verb: BudgetVerb, out: &mut impl Write) -> Result<()> {
    match verb {
        BudgetVerb::Create {
            name,
            limit,
            currency,
            parent,
        } => {
            let request = input::message(json!({
                "name": name, "parentId": parent, "scope": "BUDGET_SCOPE_PROJECT",
                "limit": {"amount": limit, "currencyCode": currency},
            }))?;
            let created = call!(
                session,
                Finance,
                BudgetServiceClient,
                create_budget,
                request
            );
            print(out, session.output, &created, "budget", BUDGETS)
        }
        BudgetVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(session, Finance, BudgetServiceClient, list_budgets, request);
            print(out, session.output, &found, "budgets", BUDGETS)
        }
        BudgetVerb::Get { budget_id } => {
            let request = input::message(json!({"budgetId": budget_id}))?;
            let found = call!(session, Finance, BudgetServiceClient, get_budget, request);
            print(out, session.output, &found, "budget", BUDGETS)
        }
    }
}

/// Does what was asked of costs.
pub async fn cost(session: &Session, verb: CostVerb, out: &mut impl Write) -> Result<()> {
    let CostVerb::Summary { by, project, page } = verb;
    let dimension = format!("COST_DIMENSION_{by:?}").to_uppercase();
    let request = input::message(json!({
        "dimension": dimension, "projectId": project,
        "pageSize": page.page_size, "pageToken": page.page_token,
    }))?;
    let found = call!(
        session,
        Finance,
        UsageServiceClient,
        get_cost_summary,
        request
    );
    print(out, session.output, &found, "rows", COSTS)
}

/// Does what was asked of invoices.
pub async fn invoice(session: &Session, verb: InvoiceVerb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        InvoiceVerb::Create { file } => {
            let request = input::file(&file)?;
            let created = call!(
                session,
                Finance,
                InvoiceServiceClient,
                create_invoice,
                request
            );
            print(out, format, &created, "invoice", INVOICES)
        }
        InvoiceVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                Finance,
                InvoiceServiceClient,
                list_invoices,
                request
            );
            print(out, format, &found, "invoices", INVOICES)
        }
        InvoiceVerb::Get { invoice_id } => {
            let request = GetInvoiceRequest { invoice_id };
            let found = call!(session, Finance, InvoiceServiceClient, get_invoice, request);
            print(out, format, &found, "invoice", INVOICES)
        }
        InvoiceVerb::Issue { invoice_id } => {
            let request = IssueInvoiceRequest {
                invoice_id,
                ..IssueInvoiceRequest::default()
            };
            let issued = call!(
                session,
                Finance,
                InvoiceServiceClient,
                issue_invoice,
                request
            );
            print(out, format, &issued, "invoice", INVOICES)
        }
        InvoiceVerb::Pdf { invoice_id, file } => {
            let request: RenderInvoiceRequest =
                input::message(json!({"invoiceId": invoice_id, "format": "INVOICE_FORMAT_PDF"}))?;
            let pdf: RenderInvoiceResponse = call!(
                session,
                Finance,
                InvoiceServiceClient,
                render_invoice,
                request
            );
            std::fs::write(&file, &pdf.content)
                .with_context(|| format!("cannot write {}", file.display()))?;
            let (bytes, sha256) = (pdf.content.len(), &pdf.sha256);
            if format == Format::Json {
                let file = file.display().to_string();
                let written = json!({"file": file, "bytes": bytes, "sha256": sha256});
                return print_json(out, &written);
            }
            let file = file.display();
            Ok(writeln!(out, "{file}: {bytes} bytes, sha256 {sha256}")?)
        }
        InvoiceVerb::Pay {
            invoice_id,
            amount,
            currency,
            request_id,
        } => {
            let request = input::message(json!({
                "requestId": request_id, "invoiceId": invoice_id,
                "amount": {"amount": amount, "currencyCode": currency},
                "method": "PAYMENT_METHOD_BANK_TRANSFER",
            }))?;
            let paid = call!(
                session,
                Finance,
                PaymentServiceClient,
                record_payment,
                request
            );
            print(out, format, &paid, "invoice", INVOICES)
        }
    }
}

/// Does what was asked of the ledger.
pub async fn ledger(session: &Session, verb: LedgerVerb, out: &mut impl Write) -> Result<()> {
    match verb {
        LedgerVerb::Accounts(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                Finance,
                LedgerServiceClient,
                list_accounts,
                request
            );
            print(out, session.output, &found, "accounts", ACCOUNTS)
        }
        LedgerVerb::Verify => {
            let request = VerifyLedgerRequest::default();
            let found = call!(
                session,
                Finance,
                LedgerServiceClient,
                verify_ledger,
                request
            );
            if session.output == Format::Json {
                print(out, Format::Json, &found, "", &[])?;
            } else if found.balanced {
                writeln!(out, "{} postings sum to zero", found.entry_count)?;
            }
            ensure!(
                found.balanced,
                "faults of the ledger: {}",
                found.faults.len()
            );
            Ok(())
        }
    }
}
