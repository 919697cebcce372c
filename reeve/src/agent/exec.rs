//! One task, one process.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost_types::Struct;
use reeve_contracts::task::v1::{Lease, TaskEffect, Usage};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::bounds;
use super::lines::Lines;
use super::program::{Group, Lifeline};
use super::question::{self, Question};
use super::report::{self, Report};

/// How long a cancelled program may take to end before it is killed, and how long its pipes may
/// stay open behind it.
const GRACE: Duration = Duration::from_secs(2);
/// What a program may print. The result within it has a limit of its own (`bounds`).
const GREATEST_OUTPUT: usize = 4 * 1024 * 1024;

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
    /// Not yet: it waits for people.
    Suspended(Question),
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

/// How a program ended.
enum Ended {
    ByItself(ExitStatus),
    PrintedTooMuch,
    Cancelled,
}

/// Runs the command for a task, until it ends or is cancelled.
pub async fn execute(
    command: String,
    lease: Lease,
    lifeline: Arc<Lifeline>,
    progress: mpsc::Sender<Progress>,
    cancel: CancellationToken,
) -> Finished {
    let started = Instant::now();
    let lease_token = lease.lease_token.clone();
    let report = match run(&command, &lease, &lifeline, progress, &cancel).await {
        Ok(report) => report,
        Err(error) => Report::failed(
            "EXEC_FAILED",
            format!("cannot run the command: {error}"),
            true,
        ),
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
    lifeline: &Arc<Lifeline>,
    progress: mpsc::Sender<Progress>,
    cancel: &CancellationToken,
) -> std::io::Result<Report> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (group, mut child) = Group::spawn(&mut shell, lifeline)?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("the command has no pipes"));
    };
    let (too_much, closed) = (CancellationToken::new(), CancellationToken::new());
    let fed = reeve_runtime::spawn("task input", feed(stdin, task_json(lease).to_string()));
    let read = read(stdout, too_much.clone(), closed.clone());
    let read = reeve_runtime::spawn("task output", read);
    let token = lease.lease_token.clone();
    let followed = follow(stderr, token, progress, closed.clone());
    let followed = reeve_runtime::spawn("task progress", followed);

    let ended = tokio::select! {
        status = child.wait() => Ended::ByItself(status?),
        () = too_much.cancelled() => Ended::PrintedTooMuch,
        () = cancel.cancelled() => {
            group.terminate();
            // The shell may be gone at once; what it started may still be tidying up.
            let all = async {
                let _ = child.wait().await;
                group.is_empty().await;
            };
            let _ = timeout(GRACE, all).await;
            Ended::Cancelled
        }
    };
    // What the program left behind would act for a task that is over, and hold its pipes open.
    drop(group);
    let _ = child.wait().await;
    let close = reeve_runtime::spawn("task pipes", async move {
        tokio::time::sleep(GRACE).await;
        closed.cancel();
    });
    let (output, last_line) = tokio::join!(read, followed);
    close.abort();
    fed.abort();
    let output = output.ok().flatten().unwrap_or_default();
    let last_line = last_line.ok().flatten().unwrap_or_default();
    let report = match ended {
        Ended::ByItself(_) if too_much.is_cancelled() => printed_too_much(),
        Ended::ByItself(_) if cancel.is_cancelled() => cancelled(&output),
        Ended::ByItself(status) => report::parse(&output, status, &last_line, is_harmless(lease)),
        Ended::PrintedTooMuch => printed_too_much(),
        Ended::Cancelled => cancelled(&output),
    };
    Ok(report)
}

fn printed_too_much() -> Report {
    let message =
        format!("the program printed more than {GREATEST_OUTPUT} bytes on stdout and was killed");
    Report::failed("OUTPUT_TOO_LARGE", message, false)
}

/// A cancelled program may still have said what it used.
fn cancelled(output: &[u8]) -> Report {
    Report {
        usage: report::usage_of(output),
        ..Report::failed("CANCELLED", "cancelled", false)
    }
}

async fn feed(mut stdin: ChildStdin, task: String) {
    // A command that does not read its task is no error.
    let _ = stdin.write_all(task.as_bytes()).await;
}

/// What the program prints, until it says too much.
async fn read(
    mut stdout: impl AsyncRead + Unpin,
    too_much: CancellationToken,
    closed: CancellationToken,
) -> Vec<u8> {
    let mut output = Vec::new();
    let mut limited = (&mut stdout).take(GREATEST_OUTPUT as u64 + 1);
    let reading = limited.read_to_end(&mut output);
    // An error means that the pipe broke: what came before it counts.
    let _ = closed.run_until_cancelled(reading).await;
    if output.len() > GREATEST_OUTPUT {
        too_much.cancel();
    }
    output
}

/// Passes lines on, and returns the last one, which often says why a program failed. Reads to the
/// end, whatever the lines are, since a program whose stderr nobody reads stands still.
async fn follow(
    mut stderr: impl AsyncRead + Unpin,
    lease_token: String,
    progress: mpsc::Sender<Progress>,
    closed: CancellationToken,
) -> String {
    let (mut lines, mut buffer) = (Lines::default(), vec![0; 8 * 1024]);
    let (mut last, mut percent) = (String::new(), 0.0);
    let mut pass_on = |line: &str| {
        let (share, message) = report::progress(line);
        percent = share.unwrap_or(percent);
        let update = Progress {
            lease_token: lease_token.clone(),
            percent,
            message: bounds::clip(&message, bounds::PROGRESS_BYTES),
        };
        last = message;
        // Progress is worth less than the work: when nobody keeps up, a line is left out.
        let _ = progress.try_send(update);
    };
    while let Some(Ok(count)) = closed.run_until_cancelled(stderr.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        lines.push(&buffer[..count], &mut pass_on);
    }
    lines.finish(&mut pass_on);
    last
}

/// Whether running a task again does no harm where its program does not say so.
fn is_harmless(lease: &Lease) -> bool {
    let spec = lease.task.as_ref().and_then(|task| task.spec.as_ref());
    spec.is_none_or(|spec| spec.effect() != TaskEffect::Effectful)
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
        "answers": question::answers(&lease.gate_answers),
    })
}

#[cfg(test)]
#[path = "exec_tests.rs"]
mod tests;
