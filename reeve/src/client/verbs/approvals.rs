//! `reeve approval`.

use std::io::Write;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::workflow::v1::GetApprovalRequest;
use reeve_contracts::workflow::v1::approval_service_client::ApprovalServiceClient;
use serde_json::json;

use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, Format, print, print_json};
use crate::client::session::Session;
use crate::client::text::visible_lines;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("TITLE", "title"),
    ("EXECUTION", "executionId"),
    ("STEP", "stepId"),
    ("DIGEST", "subjectDigest"),
];

/// What approvals can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// List approvals, newest first.
    List {
        /// Only this state, for example PENDING; may be repeated.
        #[arg(long = "state")]
        states: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show what is to be approved.
    Get {
        /// The approval's id.
        approval_id: String,
    },
    /// Approve exactly the artifact with this digest.
    Approve(Decision),
    /// Reject it.
    Reject(Decision),
}

/// A decision on what was seen.
#[derive(Debug, Clone, clap::Args)]
pub struct Decision {
    /// The approval's id.
    approval_id: String,
    /// Digest of what was seen, as `reeve approval get` shows it.
    #[arg(long)]
    digest: String,
    /// Why.
    #[arg(long, default_value = "")]
    comment: String,
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::List { states, page } => {
            let states = input::values_of("reeve.workflow.v1.ApprovalState", &states)?;
            let request = input::message(json!({
                "states": states, "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                WorkflowEngine,
                ApprovalServiceClient,
                list_approvals,
                request
            );
            print(out, format, &found, "approvals", COLUMNS)
        }
        Verb::Get { approval_id } => {
            let request = GetApprovalRequest { approval_id };
            let found = call!(
                session,
                WorkflowEngine,
                ApprovalServiceClient,
                get_approval,
                request
            );
            print(out, format, &found, "approval", COLUMNS)?;
            if let Some(approval) = found.approval.filter(|_| format == Format::Table) {
                writeln!(out, "{}", visible_lines(&approval.description))?;
                let subject = approval.subject.unwrap_or_default();
                print_json(out, &reeve_wellknown::json_from_value(subject))?;
            }
            Ok(())
        }
        Verb::Approve(decision) => decide(session, decision, "APPROVE", out).await,
        Verb::Reject(decision) => decide(session, decision, "REJECT", out).await,
    }
}

async fn decide(
    session: &Session,
    decision: Decision,
    what: &str,
    out: &mut impl Write,
) -> Result<()> {
    let request = input::message(json!({
        "approvalId": decision.approval_id,
        "decision": format!("APPROVAL_DECISION_{what}"),
        "seenDigest": decision.digest,
        "comment": decision.comment,
    }))?;
    let decided = call!(
        session,
        WorkflowEngine,
        ApprovalServiceClient,
        decide_approval,
        request
    );
    print(out, session.output, &decided, "approval", COLUMNS)
}
