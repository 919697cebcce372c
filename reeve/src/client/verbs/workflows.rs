//! `reeve workflow`, `reeve execution` and `reeve approval`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use reeve_contracts::workflow::v1::approval_service_client::ApprovalServiceClient;
use reeve_contracts::workflow::v1::workflow_service_client::WorkflowServiceClient;
use reeve_contracts::workflow::v1::{
    CancelExecutionRequest, CreateWorkflowRequest, DiagnoseExecutionRequest, GetApprovalRequest,
    GetExecutionRequest, PauseExecutionRequest, ResumeExecutionRequest, ValidateWorkflowRequest,
    WatchExecutionRequest, Workflow,
};
use serde_json::{Value as Json, json};

use super::{Page, call, open};
use crate::client::input;
use crate::client::output::{Column, Format, print};
use crate::client::session::Session;

const WORKFLOWS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("VERSION", "version"),
    ("TYPE", "type"),
    ("STEPS", "steps"),
    ("DIGEST", "digest"),
];
const EXECUTIONS: &[Column] = &[
    ("ID", "id"),
    ("WORKFLOW", "workflowName"),
    ("VERSION", "workflowVersion"),
    ("STATE", "state"),
    ("PHASE", "phase"),
    ("STARTED", "startTime"),
    ("ENDED", "endTime"),
    ("ERROR", "error.message"),
];
const STEPS: &[Column] = &[
    ("STEP", "stepId"),
    ("STATE", "state"),
    ("ATTEMPT", "attempt"),
    ("OF", "maxAttempts"),
    ("TASK", "taskId"),
    ("NOTE", "note"),
    ("ERROR", "error.message"),
];
const APPROVALS: &[Column] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("TITLE", "title"),
    ("EXECUTION", "executionId"),
    ("STEP", "stepId"),
    ("DIGEST", "subjectDigest"),
];

/// What workflow definitions can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum WorkflowVerb {
    /// Publish a definition from a file of protobuf JSON; the same content again is no new version.
    Apply {
        /// The file.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Say everything that is wrong with a file, and store nothing.
    Validate {
        /// The file.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// List definitions.
    List(Page),
}

/// What executions can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum ExecutionVerb {
    /// Start an execution of a workflow by its name.
    Start {
        /// The workflow's name.
        workflow_name: String,
        /// Input as a JSON object.
        #[arg(long, default_value = "{}")]
        input: String,
        /// Follow it to its end.
        #[arg(long)]
        wait: bool,
    },
    /// List executions, newest first.
    List(Page),
    /// Show an execution and its steps.
    Get {
        /// The execution's id.
        execution_id: String,
    },
    /// Follow an execution to its end.
    Watch {
        /// The execution's id.
        execution_id: String,
    },
    /// Start nothing new until it is resumed.
    Pause {
        /// The execution's id.
        execution_id: String,
    },
    /// Go on after a pause.
    Resume {
        /// The execution's id.
        execution_id: String,
    },
    /// Cancel an execution and the tasks it runs.
    Cancel {
        /// The execution's id.
        execution_id: String,
    },
    /// Say in words why an execution does not move.
    Diagnose {
        /// The execution's id.
        execution_id: String,
    },
}

/// What approvals can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum ApprovalVerb {
    /// List approvals, newest first.
    List(Page),
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

/// Does what was asked of definitions.
pub async fn workflow(session: &Session, verb: WorkflowVerb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        WorkflowVerb::Apply { file } => {
            let request = CreateWorkflowRequest {
                request_id: String::new(),
                workflow: Some(read(&file)?),
            };
            let created = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                create_workflow,
                request
            );
            print(out, format, &created, "workflow", WORKFLOWS)
        }
        WorkflowVerb::Validate { file } => {
            let request = ValidateWorkflowRequest {
                workflow: Some(read(&file)?),
            };
            let found = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                validate_workflow,
                request
            );
            if format == Format::Table && found.valid {
                writeln!(out, "valid; digest {}", found.digest)?;
                return Ok(());
            }
            let columns = [
                ("FIELD", "field"),
                ("STEP", "stepId"),
                ("FAULT", "description"),
            ];
            print(out, format, &found, "faults", &columns)?;
            anyhow::ensure!(
                found.valid,
                "the definition has {} faults",
                found.faults.len()
            );
            Ok(())
        }
        WorkflowVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                list_workflows,
                request
            );
            print(out, format, &found, "workflows", WORKFLOWS)
        }
    }
}

fn read(file: &PathBuf) -> Result<Workflow> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    input::parse(&text).with_context(|| file.display().to_string())
}

/// Does what was asked of executions.
pub async fn execution(session: &Session, verb: ExecutionVerb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        ExecutionVerb::Start {
            workflow_name,
            input,
            wait,
        } => {
            let input: Json = serde_json::from_str(&input).context("--input is not JSON")?;
            let request = input::message(json!({"workflowName": workflow_name, "input": input}))?;
            let started = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                start_execution,
                request
            );
            match started.execution.as_ref().filter(|_| wait) {
                Some(execution) => watch(session, execution.id.clone(), out).await,
                None => print(out, format, &started, "execution", EXECUTIONS),
            }
        }
        ExecutionVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                list_executions,
                request
            );
            print(out, format, &found, "executions", EXECUTIONS)
        }
        ExecutionVerb::Get { execution_id } => show(session, execution_id, out).await,
        ExecutionVerb::Watch { execution_id } => watch(session, execution_id, out).await,
        ExecutionVerb::Pause { execution_id } => {
            let request = PauseExecutionRequest {
                execution_id,
                reason: "paused from the command line".to_owned(),
            };
            let paused = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                pause_execution,
                request
            );
            print(out, format, &paused, "execution", EXECUTIONS)
        }
        ExecutionVerb::Resume { execution_id } => {
            let request = ResumeExecutionRequest { execution_id };
            let resumed = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                resume_execution,
                request
            );
            print(out, format, &resumed, "execution", EXECUTIONS)
        }
        ExecutionVerb::Cancel { execution_id } => {
            let request = CancelExecutionRequest {
                execution_id,
                reason: "cancelled from the command line".to_owned(),
            };
            let cancelled = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                cancel_execution,
                request
            );
            print(out, format, &cancelled, "execution", EXECUTIONS)
        }
        ExecutionVerb::Diagnose { execution_id } => {
            let request = DiagnoseExecutionRequest { execution_id };
            let found = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                diagnose_execution,
                request
            );
            if format == Format::Table {
                writeln!(out, "{}", found.summary)?;
            }
            let columns = [
                ("STEP", "stepId"),
                ("WAITS FOR", "kind"),
                ("WHY", "explanation"),
                ("SINCE", "sinceTime"),
            ];
            print(out, format, &found, "reasons", &columns)
        }
    }
}

async fn show(session: &Session, execution_id: String, out: &mut impl Write) -> Result<()> {
    let request = GetExecutionRequest {
        execution_id,
        ..GetExecutionRequest::default()
    };
    let found = call!(
        session,
        WorkflowEngine,
        WorkflowServiceClient,
        get_execution,
        request
    );
    print(out, session.output, &found, "execution", EXECUTIONS)?;
    if session.output == Format::Table {
        print(out, session.output, &found, "status.steps", STEPS)?;
    }
    Ok(())
}

/// Follows the history to its end; a person sees a bar.
async fn watch(session: &Session, execution_id: String, out: &mut impl Write) -> Result<()> {
    let request = WatchExecutionRequest {
        execution_id: execution_id.clone(),
        after_sequence: 0,
    };
    let mut history = open!(
        session,
        WorkflowEngine,
        WorkflowServiceClient,
        watch_execution,
        request
    );
    let bar = ProgressBar::new(100);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos:>3}%  {msg}")?);
    while let Some(heard) = history.message().await? {
        bar.set_position(u64::try_from(heard.progress).unwrap_or(0));
        if let Some(event) = &heard.event {
            bar.set_message(format!("{} {}", event.step_id, event.r#type));
        }
        if session.output == Format::Json {
            print(out, Format::Json, &heard, "", &[])?;
        }
    }
    bar.finish_and_clear();
    show(session, execution_id, out).await
}

/// Does what was asked of approvals.
pub async fn approval(session: &Session, verb: ApprovalVerb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        ApprovalVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                WorkflowEngine,
                ApprovalServiceClient,
                list_approvals,
                request
            );
            print(out, format, &found, "approvals", APPROVALS)
        }
        ApprovalVerb::Get { approval_id } => {
            let request = GetApprovalRequest { approval_id };
            let found = call!(
                session,
                WorkflowEngine,
                ApprovalServiceClient,
                get_approval,
                request
            );
            print(out, format, &found, "approval", APPROVALS)?;
            if let Some(approval) = found.approval.filter(|_| format == Format::Table) {
                let subject =
                    reeve_wellknown::json_from_value(approval.subject.unwrap_or_default());
                writeln!(
                    out,
                    "{}\n{}",
                    approval.description,
                    serde_json::to_string_pretty(&subject)?
                )?;
            }
            Ok(())
        }
        ApprovalVerb::Approve(decision) => decide(session, decision, "APPROVE", out).await,
        ApprovalVerb::Reject(decision) => decide(session, decision, "REJECT", out).await,
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
    print(out, session.output, &decided, "approval", APPROVALS)
}
