//! One task, one process.

use std::process::Stdio;
use std::time::{Duration, Instant};

use prost_types::Struct;
use reeve_contracts::task::v1::{Lease, Usage};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::report::{self, Report};

/// How long a cancelled program may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// What a program may print as its result: a task's result has its own, smaller limit.
const GREATEST_OUTPUT: u64 = 4 * 1024 * 1024;

/// How a task ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a result.
    Completed(Struct),
    /// With an error.
    Failed {
        /// In capitals, for programs.
        code: String,
        /// For people.
        message: String,
        /// Whether another attempt may succeed.
        retryable: bool,
    },
}

/// A task that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The lease under which it ran.
    pub lease_token: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Vec<Usage>,
}

/// A line that a running program printed for people.
#[derive(Debug)]
pub struct Progress {
    /// The lease under which it runs.
    pub lease_token: String,
    /// Share done, 0 to 100; the last one known when the line has none.
    pub percent: f64,
    /// The line.
    pub message: String,
}

/// Runs the command for a task, until it ends or is cancelled.
pub async fn execute(
    command: String,
    lease: Lease,
    progress: mpsc::Sender<Progress>,
    cancel: CancellationToken,
) -> Finished {
    let started = Instant::now();
    let lease_token = lease.lease_token.clone();
    let report = match run(&command, &lease, progress, &cancel).await {
        Ok(report) => report,
        Err(error) => Report::failed(
            "EXEC_FAILED",
            format!("cannot run the command: {error}"),
            true,
        ),
    };
    let report = if cancel.is_cancelled() {
        Report {
            usage: report.usage,
            ..Report::failed("CANCELLED", "cancelled", false)
        }
    } else {
        report
    };
    let Report { outcome, usage } = report.timed(started.elapsed());
    Finished {
        lease_token,
        outcome,
        usage,
    }
}

async fn run(
    command: &str,
    lease: &Lease,
    progress: mpsc::Sender<Progress>,
    cancel: &CancellationToken,
) -> std::io::Result<Report> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what the command starts can be stopped with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("the command has no pipes"));
    };
    let task = task_json(lease).to_string();
    let feed = async move {
        // A command that does not read its task is no error.
        let _ = stdin.write_all(task.as_bytes()).await;
        drop(stdin);
    };
    let mut output = Vec::new();
    let mut limited = stdout.take(GREATEST_OUTPUT);
    let lines = follow(stderr, lease.lease_token.clone(), progress);
    let finished = async {
        let (_, read, last_line) = tokio::join!(feed, limited.read_to_end(&mut output), lines);
        read.map(|_| last_line)
    };
    let last_line = tokio::select! {
        last_line = finished => last_line?,
        () = cancel.cancelled() => {
            stop(&mut child).await;
            return Ok(Report::failed("CANCELLED", "cancelled", false));
        }
    };
    let status = child.wait().await?;
    Ok(report::parse(&output, status, &last_line))
}

/// Asks the whole group to end, then insists.
async fn stop(child: &mut Child) {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::TERM);
        if timeout(GRACE, child.wait()).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait().await;
        }
    }
}

/// Passes lines on, and returns the last one, which often says why a program failed.
async fn follow(
    stderr: ChildStderr,
    lease_token: String,
    progress: mpsc::Sender<Progress>,
) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut last = String::new();
    let mut percent = 0.0;
    while let Ok(Some(line)) = lines.next_line().await {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (share, message) = report::progress(line);
        percent = share.unwrap_or(percent);
        last = message.chars().take(1_000).collect();
        let update = Progress {
            lease_token: lease_token.clone(),
            percent,
            message: last.clone(),
        };
        // Progress is worth less than the work: when nobody keeps up, a line is left out.
        let _ = progress.try_send(update);
    }
    last
}

/// What the program reads.
fn task_json(lease: &Lease) -> Json {
    let task = lease.task.clone().unwrap_or_default();
    let spec = task.spec.unwrap_or_default();
    json!({
        "id": task.id,
        "type": spec.r#type,
        "title": spec.title,
        "description": spec.description,
        "parameters": reeve_wellknown::json_from_struct(spec.parameters.unwrap_or_default()),
        "labels": spec.labels,
        "project_id": spec.project_id,
        "attempt": lease.attempt,
        "checkpoint": reeve_wellknown::json_from_struct(lease.checkpoint.clone().unwrap_or_default()),
        "traceparent": task.traceparent,
    })
}
