//! `reeve workflow` and `reeve execution`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::workflow::v1::workflow_service_client::WorkflowServiceClient;
use reeve_contracts::workflow::v1::{
    CreateWorkflowRequest, DiagnoseExecutionRequest, Execution, ExecutionState,
    GetExecutionRequest, GetExecutionResponse, ValidateWorkflowRequest, WatchExecutionRequest,
    WatchExecutionResponse,
};
use serde_json::json;

use super::{Page, bar, call, follow};
use crate::client::exit::EndedBadly;
use crate::client::input;
use crate::client::output::{Column, Format, Rows, print, short};
use crate::client::session::Session;
use crate::client::text::visible;

const WORKFLOWS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("VERSION", "version"),
    ("TYPE", "type"),
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
/// What workflow definitions can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum WorkflowVerb {
    /// Publish a definition from a file of protobuf JSON; the same content again is no new version.
    Apply {
        /// The file, or - for stdin.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Say everything that is wrong with a file, and store nothing.
    Validate {
        /// The file, or - for stdin.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// List definitions.
    List(Page),
    /// Show one definition and its steps; the whole of it with -o json.
    Get {
        /// The workflow's name, or name@version; by default the newest version.
        name: String,
    },
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
        /// Follow it to its end; exit status 3 unless it is COMPLETED.
        #[arg(long)]
        wait: bool,
    },
    /// List executions, newest first.
    List {
        /// Only this state, for example RUNNING; may be repeated.
        #[arg(long = "state")]
        states: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show an execution and its steps.
    Get {
        /// The execution's id.
        execution_id: String,
    },
    /// Follow an execution to its end; exit status 3 unless it is COMPLETED.
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

/// Does what was asked of definitions.
pub async fn workflow(session: &Session, verb: WorkflowVerb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        WorkflowVerb::Apply { file } => {
            let request = CreateWorkflowRequest {
                request_id: String::new(),
                workflow: Some(input::file(&file)?),
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
                workflow: Some(input::file(&file)?),
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
                "faults of the definition: {}",
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
        WorkflowVerb::Get { name } => {
            let (name, version) = name.split_once('@').unwrap_or((&name, "0"));
            let request = input::message(json!({"name": name, "version": version}))?;
            let found = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                get_workflow,
                request
            );
            print(out, format, &found, "workflow", WORKFLOWS)?;
            if format == Format::Table {
                let columns = [
                    ("STEP", "id"),
                    ("TYPE", "type"),
                    ("ACTION", "action"),
                    ("AFTER", "dependencies"),
                    ("WHEN", "when"),
                ];
                print(out, format, &found, "workflow.steps", &columns)?;
            }
            Ok(())
        }
    }
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
            let values = input::json("--input", &input)?;
            let request = input::message(json!({"workflowName": workflow_name, "input": values}))?;
            let started = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                start_execution,
                request
            );
            match started.execution.as_ref().filter(|_| wait) {
                Some(execution) => watch(session, execution.id.clone(), false, out).await,
                None => print(out, format, &started, "execution", EXECUTIONS),
            }
        }
        ExecutionVerb::List { states, page } => {
            let states = input::values_of("reeve.workflow.v1.ExecutionState", &states)?;
            let request = input::message(json!({
                "states": states, "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                WorkflowEngine,
                WorkflowServiceClient,
                list_executions,
                request
            );
            print(out, format, &found, "executions", EXECUTIONS)
        }
        ExecutionVerb::Get { execution_id } => show(session, execution_id, out).await.map(drop),
        ExecutionVerb::Watch { execution_id } => watch(session, execution_id, true, out).await,
        ExecutionVerb::Pause { execution_id } => {
            let reason = "paused from the command line";
            let request = input::message(json!({"executionId": execution_id, "reason": reason}))?;
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
            let request = input::message(json!({"executionId": execution_id}))?;
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
            let reason = "cancelled from the command line";
            let request = input::message(json!({"executionId": execution_id, "reason": reason}))?;
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
                writeln!(out, "{}", visible(&found.summary))?;
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

async fn show(session: &Session, execution_id: String, out: &mut impl Write) -> Result<Execution> {
    let found = get(session, execution_id).await?;
    print(out, session.output, &found, "execution", EXECUTIONS)?;
    if session.output == Format::Table {
        print(out, session.output, &found, "status.steps", STEPS)?;
    }
    Ok(found.execution.unwrap_or_default())
}

async fn get(session: &Session, execution_id: String) -> Result<GetExecutionResponse> {
    let request = GetExecutionRequest {
        execution_id,
        ..GetExecutionRequest::default()
    };
    Ok(call!(
        session,
        WorkflowEngine,
        WorkflowServiceClient,
        get_execution,
        request
    ))
}

/// Follows the history to its end, which is an error unless the execution is COMPLETED. A person
/// sees a bar, and at last the steps; a program the history, if it wants it, or the execution.
async fn watch(
    session: &Session,
    execution_id: String,
    with_history: bool,
    out: &mut impl Write,
) -> Result<()> {
    let with_history = with_history && session.output == Format::Json;
    let bar = bar()?;
    let mut rows = Rows::new(session.output, &[]);
    let request = |after_sequence| WatchExecutionRequest {
        execution_id: execution_id.clone(),
        after_sequence,
    };
    let hear = |heard: WatchExecutionResponse, after: &mut i64| {
        bar.set_position(u64::try_from(heard.progress).unwrap_or(0));
        if let Some(event) = &heard.event {
            *after = event.sequence;
            bar.set_message(visible(&format!("{} {}", event.step_id, event.r#type)));
        }
        if with_history {
            rows.print(out, &heard, "")?;
        }
        Ok(ControlFlow::<()>::Continue(()))
    };
    follow!(
        session,
        WorkflowEngine,
        WorkflowServiceClient,
        watch_execution,
        0,
        request,
        hear
    );
    bar.finish_and_clear();
    let execution = if with_history {
        get(session, execution_id)
            .await?
            .execution
            .unwrap_or_default()
    } else {
        show(session, execution_id, out).await?
    };
    if execution.state() == ExecutionState::Completed {
        return Ok(());
    }
    let state = short(execution.state().as_str_name());
    let why = match execution.error {
        Some(error) => format!(": {} ({})", visible(&error.message), visible(&error.code)),
        None => String::new(),
    };
    Err(EndedBadly(format!("the execution ended as {state}{why}")).into())
}
