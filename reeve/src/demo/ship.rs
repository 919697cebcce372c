//! The workflow: checks side by side, a retry, a condition, an approval bound to content, and the
//! change applied.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reeve_contracts::workflow::v1::approval_service_client::ApprovalServiceClient;
use reeve_contracts::workflow::v1::workflow_service_client::WorkflowServiceClient;
use reeve_contracts::workflow::v1::{
    CreateWorkflowRequest, DecideApprovalRequest, ExecutionState, ExecutionStatus,
    GetApprovalRequest, GetExecutionRequest, StartExecutionRequest, StepState, StepType, Workflow,
};
use serde_json::{Value as Json, json};

use super::books::Account;
use super::stage::Stage;
use crate::client::input;
use crate::client::session::{Service, answer};

const DEFINITION: &str = include_str!("../../../examples/workflows/ship-manifests.json");

/// Runs the workflow over the sound manifest, to its end. Returns how many attempts its tasks took.
pub async fn ship<W: Write>(
    stage: &mut Stage<'_, W>,
    account: &Account,
    hold: Duration,
) -> Result<i64> {
    let channel = stage.session.channel(Service::WorkflowEngine)?;
    let mut client = WorkflowServiceClient::new(channel);
    let workflow: Workflow = input::parse(DEFINITION)?;
    let request = CreateWorkflowRequest {
        request_id: String::new(),
        workflow: Some(workflow),
    };
    let created = answer(client.create_workflow(stage.session.request(request)).await)?;
    let workflow = created.workflow.context("no workflow came back")?;
    stage.say(format!(
        "{} version {}, digest {}…",
        workflow.name,
        workflow.version,
        short(&workflow.digest)
    ))?;

    let execution_id = start(stage, account, "examples/manifests/web.yaml").await?;
    let ended = follow(stage, &execution_id, hold).await?;
    if ended.state() != ExecutionState::Completed {
        bail!("the execution ended {}", ended.state().as_str_name());
    }
    let tally = Tally::of(&ended);
    tally.require_all()?;
    let applied = stage.folder.join("applied/web.yaml");
    let text = std::fs::read_to_string(&applied).context("the change was not applied")?;
    let line = text
        .lines()
        .find(|line| line.contains("replicas:"))
        .unwrap_or_default();
    stage.say(format!(
        "applied: {} now says \"{}\"",
        applied.display(),
        line.trim()
    ))?;
    stage.note("workflow", format!("COMPLETED: {tally}"));
    let body = json!({"executionId": execution_id});
    stage.grpcurl(
        Service::WorkflowEngine,
        "reeve.workflow.v1.WorkflowService/GetExecution",
        &body,
    );
    stage.grpcurl(
        Service::WorkflowEngine,
        "reeve.workflow.v1.WorkflowService/GetHistory",
        &body,
    );
    let tasks = json!({"filter": {"originKind": "workflow", "originResourceId": execution_id}});
    stage.grpcurl(
        Service::TaskQueue,
        "reeve.task.v1.TaskService/ListTasks",
        &tasks,
    );
    Ok(tally.attempts)
}

/// What an execution went through.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Tasks that were completed.
    tasks: i64,
    /// Attempts that all tasks took.
    attempts: i64,
    /// Attempts after the first of a step.
    retries: i64,
    skipped: i64,
    approvals: i64,
}

impl Tally {
    fn of(status: &ExecutionStatus) -> Self {
        let mut tally = Self::default();
        for step in &status.steps {
            match (step.r#type(), step.state()) {
                (_, StepState::Skipped) => tally.skipped += 1,
                (StepType::Approval, StepState::Completed) => tally.approvals += 1,
                (StepType::Task, state) => {
                    tally.tasks += i64::from(state == StepState::Completed);
                    tally.attempts += i64::from(step.attempt);
                    tally.retries += i64::from(step.attempt.saturating_sub(1).max(0));
                }
                _ => {}
            }
        }
        tally
    }

    /// Fails when the workflow did not show what it is there to show.
    fn require_all(&self) -> Result<()> {
        for (count, what) in [
            (self.retries, "retry"),
            (self.skipped, "skipped step"),
            (self.approvals, "approval"),
        ] {
            ensure!(count > 0, "the workflow ran without a {what}: {self}");
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks done in {} attempts, retries: {}, skipped steps: {}, approvals: {}",
            self.tasks, self.attempts, self.retries, self.skipped, self.approvals
        )
    }
}

/// Starts an execution over a manifest.
pub async fn start<W: Write>(
    stage: &mut Stage<'_, W>,
    account: &Account,
    manifest: &str,
) -> Result<String> {
    let mut client = WorkflowServiceClient::new(stage.session.channel(Service::WorkflowEngine)?);
    let request: StartExecutionRequest = input::message(json!({
        "workflowName": "ship-manifests",
        "input": {
            "dockerfile": "deploy/Dockerfile",
            "chart": "helm/reeve",
            "manifest": manifest,
            "replicas": 3,
            "directory": stage.folder,
        },
        "labels": {"demo": stage.run},
        "projectId": account.project_id,
        "budgetId": account.budget_id,
    }))?;
    let started = answer(client.start_execution(stage.session.request(request)).await)?;
    let execution = started.execution.context("no execution came back")?;
    stage.say(format!("execution {} over {manifest}", execution.id))?;
    Ok(execution.id)
}

/// Shows every change of a step, and approves when a person is asked, until the execution ends.
/// Returns how it stands then.
pub async fn follow<W: Write>(
    stage: &mut Stage<'_, W>,
    execution_id: &str,
    hold: Duration,
) -> Result<ExecutionStatus> {
    let mut seen = HashMap::new();
    loop {
        let status = status(stage, execution_id).await?;
        show(stage, &status, &mut seen)?;
        if !matches!(
            status.state(),
            ExecutionState::Pending | ExecutionState::Running | ExecutionState::Paused
        ) {
            return Ok(status);
        }
        for step in &status.steps {
            if step.state() == StepState::WaitingApproval && !step.approval_id.is_empty() {
                tokio::time::sleep(hold).await;
                approve(stage, &step.approval_id).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn status<W: Write>(stage: &Stage<'_, W>, execution_id: &str) -> Result<ExecutionStatus> {
    let mut client = WorkflowServiceClient::new(stage.session.channel(Service::WorkflowEngine)?);
    let request = GetExecutionRequest {
        execution_id: execution_id.to_owned(),
        ..GetExecutionRequest::default()
    };
    let answered = answer(client.get_execution(stage.session.request(request)).await)?;
    answered.status.context("no status came back")
}

fn has_just_failed(state: StepState) -> bool {
    matches!(state, StepState::WaitingRetry | StepState::Failed)
}

fn show<W: Write>(
    stage: &mut Stage<'_, W>,
    status: &ExecutionStatus,
    seen: &mut HashMap<String, (StepState, i32)>,
) -> Result<()> {
    for step in &status.steps {
        let now = (step.state(), step.attempt);
        if now.0 == StepState::Pending || seen.insert(step.step_id.clone(), now) == Some(now) {
            continue;
        }
        let state = now.0.as_str_name().trim_start_matches("STEP_STATE_");
        let mut line = format!("{:>3}%  {:<9} {state}", status.progress, step.step_id);
        if step.attempt > 1 {
            line.push_str(&format!(
                " (attempt {} of {})",
                step.attempt, step.max_attempts
            ));
        }
        if let Some(error) = step
            .error
            .as_ref()
            // A step that is tried again keeps its last error, which has been told by then.
            .filter(|error| !error.message.is_empty() && has_just_failed(now.0))
        {
            line.push_str(&format!(": {} {}", error.code, error.message));
        } else if !step.note.is_empty() {
            line.push_str(&format!(": {}", step.note));
        }
        stage.say(line)?;
    }
    Ok(())
}

/// Reads what is to be approved, shows it, and approves exactly that.
async fn approve<W: Write>(stage: &mut Stage<'_, W>, approval_id: &str) -> Result<()> {
    let mut client = ApprovalServiceClient::new(stage.session.channel(Service::WorkflowEngine)?);
    let request = GetApprovalRequest {
        approval_id: approval_id.to_owned(),
    };
    let approval = answer(client.get_approval(stage.session.request(request)).await)?
        .approval
        .context("no approval came back")?;
    stage.say(format!("to approve: {}", approval.title))?;
    for line in approval.description.lines() {
        stage.say(format!("            {line}"))?;
    }
    let request: DecideApprovalRequest = input::message(json!({
        "approvalId": approval_id,
        "decision": "APPROVAL_DECISION_APPROVE",
        "seenDigest": approval.subject_digest,
        "comment": "seen in the demo",
    }))?;
    answer(client.decide_approval(stage.session.request(request)).await)?;
    stage.say(format!(
        "approved the artifact with digest {}…",
        short(&approval.subject_digest)
    ))?;
    let body: Json = json!({"executionId": approval.execution_id});
    stage.grpcurl(
        Service::WorkflowEngine,
        "reeve.workflow.v1.ApprovalService/ListApprovals",
        &body,
    );
    stage.note(
        "approval",
        format!("bound to digest {}…", short(&approval.subject_digest)),
    );
    Ok(())
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use reeve_contracts::workflow::v1::StepStatus;

    use super::*;

    fn step(r#type: StepType, state: StepState, attempt: i32) -> StepStatus {
        StepStatus {
            r#type: r#type.into(),
            state: state.into(),
            attempt,
            ..StepStatus::default()
        }
    }

    #[test]
    fn counts_what_an_execution_went_through() {
        let mut status = ExecutionStatus {
            steps: vec![
                step(StepType::Task, StepState::Completed, 1),
                step(StepType::Task, StepState::Completed, 2),
                step(StepType::Transform, StepState::Skipped, 0),
                step(StepType::Approval, StepState::Completed, 1),
            ],
            ..ExecutionStatus::default()
        };
        let tally = Tally::of(&status);
        assert_eq!(
            tally.to_string(),
            "2 tasks done in 3 attempts, retries: 1, skipped steps: 1, approvals: 1"
        );
        tally.require_all().unwrap();
        status.steps[1].attempt = 1;
        let refusal = Tally::of(&status).require_all().unwrap_err().to_string();
        assert!(refusal.contains("without a retry"), "{refusal}");
    }
}
