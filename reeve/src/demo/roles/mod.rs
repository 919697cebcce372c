//! The programs that the demo's agents run, one process for each task: the task as JSON on stdin,
//! the result as JSON on stdout, progress on stderr. They check and change real files by rules.

mod apply;
mod chart;
mod dockerfile;
mod manifest;
mod propose;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// What a role did with a task.
pub enum Done {
    /// The result, and the words that were read and written for it.
    Result(Json, Words),
    /// Why not, and whether another attempt may help.
    Failed {
        /// In capitals, for programs.
        code: &'static str,
        /// For people.
        message: String,
        /// Whether another attempt may help.
        retryable: bool,
    },
}

/// The demo's measure of what its rules read and wrote, reported as the tokens of a model named
/// "rules". No language model takes part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Words {
    /// Read.
    pub input: usize,
    /// Written.
    pub output: usize,
}

impl Words {
    /// Of texts read and written.
    pub fn of(input: &str, output: &str) -> Self {
        let count = |text: &str| text.split_whitespace().count();
        Self {
            input: count(input),
            output: count(output),
        }
    }
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Line from 1; 0 for the whole file.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
    /// Whether it stops the work.
    pub error: bool,
}

impl Finding {
    /// A finding that stops the work.
    pub fn error(line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            line,
            rule,
            message: message.into(),
            error: true,
        }
    }

    /// A finding worth mending.
    pub fn warning(line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            line,
            rule,
            message: message.into(),
            error: false,
        }
    }
}

/// The faults of a file as one sentence, when there is one that stops the work.
pub fn refusal(path: &str, findings: &[Finding]) -> Option<String> {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.error).collect();
    let first = errors.first()?;
    let more = match errors.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Some(format!("{path}: {}{more}", first.message))
}

/// Reads the task, does it, and prints what became of it.
pub fn main() -> Result<ExitCode> {
    let mut task = String::new();
    std::io::stdin().read_to_string(&mut task)?;
    let task: Json = serde_json::from_str(&task).context("the task on stdin is not JSON")?;
    let action = task["type"].as_str().unwrap_or_default();
    let parameters = &task["parameters"];
    say(0, &format!("{action} begins"));
    let done = match action {
        "lint.dockerfile" => dockerfile::run(parameters),
        "validate.chart" => chart::run(parameters),
        "validate.manifest" => manifest::run(parameters),
        "change.propose" => propose::run(parameters),
        "change.apply" => apply::run(parameters),
        other => Ok(Done::Failed {
            code: "UNKNOWN_ACTION",
            message: format!("no rules for {other:?}"),
            retryable: false,
        }),
    };
    let done = done.unwrap_or_else(|error| Done::Failed {
        code: "FILE_ERROR",
        message: format!("{error:#}"),
        retryable: true,
    });
    report(action, done)
}

fn report(action: &str, done: Done) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    match done {
        Done::Result(result, words) => {
            say(100, &format!("{action} done"));
            let usage = json!([{
                "provider": "reeve-demo", "model": "rules",
                "input_tokens": words.input, "output_tokens": words.output,
            }]);
            writeln!(out, "{}", json!({"result": result, "usage": usage}))?;
            Ok(ExitCode::SUCCESS)
        }
        Done::Failed {
            code,
            message,
            retryable,
        } => {
            let error = json!({"code": code, "message": message, "retryable": retryable});
            writeln!(out, "{}", json!({"error": error}))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A line of progress.
pub fn say(percent: u8, message: &str) {
    // Nobody listening is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{percent}% {message}");
}

/// A required text parameter.
pub fn text<'a>(parameters: &'a Json, name: &str) -> Result<&'a str> {
    parameters[name]
        .as_str()
        .with_context(|| format!("the parameter {name} is missing"))
}
