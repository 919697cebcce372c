//! The verbs of `reeve task` that take what a filter chooses.

use std::io::Write;

use anyhow::Result;
use reeve_contracts::task::v1::task_service_client::TaskServiceClient;
use reeve_contracts::task::v1::{
    BulkCancelTasksRequest, BulkCancelTasksResponse, BulkScope, DiscardTasksRequest,
    DiscardTasksResponse, RedriveTasksRequest, RedriveTasksResponse, SkippedTasks, TaskFilter,
};
use serde_json::json;

use super::call;
use crate::client::input::{self, Wrong};
use crate::client::output::{Column, print};
use crate::client::session::Session;

const CANCELLED: &[Column] = &[
    ("LOOKED AT", "matchedCount"),
    ("CANCELLED", "cancelledCount"),
    ("ASKED TO LET GO", "requestedCount"),
    ("SKIPPED", "skipped"),
];

const REDRIVEN: &[Column] = &[
    ("LOOKED AT", "matchedCount"),
    ("REDRIVEN", "redrivenCount"),
    ("SKIPPED", "skipped"),
];

const DISCARDED: &[Column] = &[
    ("LOOKED AT", "matchedCount"),
    ("DISCARDED", "discardedCount"),
    ("SKIPPED", "skipped"),
];

/// Which tasks; all options together must hold.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Filter {
    /// Only this state, for example PENDING; may be repeated. Another option is needed as well.
    #[arg(long = "state")]
    states: Vec<String>,
    /// Only this queue; may be repeated.
    #[arg(long = "queue")]
    queues: Vec<String>,
    /// Only this type; may be repeated.
    #[arg(long = "type")]
    types: Vec<String>,
    /// Only with this label, as key=value; may be repeated.
    #[arg(long = "label")]
    labels: Vec<String>,
    /// Only of this project.
    #[arg(long)]
    project: Option<String>,
    /// Only what this agent holds, or held last.
    #[arg(long)]
    agent: Option<String>,
    /// Only what was created before this time, for example 2026-11-28T12:00:00Z.
    #[arg(long)]
    created_before: Option<String>,
}

/// How far a call goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Scope {
    /// Only count what is chosen.
    #[arg(long)]
    dry_run: bool,
    /// Change nothing when more tasks than this are chosen.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=100_000))]
    max_matching: i64,
}

/// Tasks that are chosen.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Chosen {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    scope: Scope,
}

/// One task, or tasks that are chosen.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OneOrChosen {
    /// The task's id.
    task_id: Option<String>,
    #[command(flatten)]
    chosen: Chosen,
    /// Why.
    #[arg(long, default_value = "asked for on the command line")]
    pub reason: String,
}

impl Filter {
    fn is_empty(&self) -> bool {
        let lists = [&self.states, &self.queues, &self.types, &self.labels];
        let texts = [&self.project, &self.agent, &self.created_before];
        lists.iter().all(|list| list.is_empty()) && texts.iter().all(|text| text.is_none())
    }

    fn message(&self) -> Result<TaskFilter> {
        let states = input::values_of("reeve.task.v1.TaskState", &self.states)?;
        input::message(json!({
            "states": states, "queues": self.queues, "types": self.types,
            "labels": input::pairs("--label", &self.labels)?,
            "projectId": self.project.clone().unwrap_or_default(),
            "assignedAgentId": self.agent.clone().unwrap_or_default(),
            "createTimeBefore": self.created_before,
        }))
    }
}

impl OneOrChosen {
    /// The one task; nothing when tasks are chosen by options.
    pub fn one(&self) -> Result<Option<String>> {
        if self.task_id.is_some() != self.chosen.filter.is_empty() {
            let rule = "name one task, or choose tasks by options, but not both";
            return Err(Wrong(rule.to_owned()).into());
        }
        Ok(self.task_id.clone())
    }
}

/// Cancels what is chosen, call by call, and prints the sum.
pub async fn cancel(session: &Session, asked: &OneOrChosen, out: &mut impl Write) -> Result<()> {
    let Chosen { filter, scope } = &asked.chosen;
    let filter = filter.message()?;
    let mut sum = BulkCancelTasksResponse::default();
    loop {
        let request = BulkCancelTasksRequest {
            filter: Some(filter.clone()),
            reason: asked.reason.clone(),
            scope: Some(scope.message(sum.continuation)),
        };
        let part = call!(
            session,
            TaskQueue,
            TaskServiceClient,
            bulk_cancel_tasks,
            request
        );
        sum.matched_count += part.matched_count;
        sum.cancelled_count += part.cancelled_count;
        sum.requested_count += part.requested_count;
        merge(&mut sum.skipped, part.skipped);
        sum.continuation = part.continuation;
        if sum.continuation.is_empty() {
            return print(out, session.output, &sum, "", CANCELLED);
        }
    }
}

/// Redrives what is chosen, call by call, and prints the sum.
pub async fn redrive(session: &Session, chosen: &Chosen, out: &mut impl Write) -> Result<()> {
    let Chosen { filter, scope } = chosen;
    let filter = filter.message()?;
    let mut sum = RedriveTasksResponse::default();
    loop {
        let request = RedriveTasksRequest {
            filter: Some(filter.clone()),
            scope: Some(scope.message(sum.continuation)),
        };
        let part = call!(
            session,
            TaskQueue,
            TaskServiceClient,
            redrive_tasks,
            request
        );
        sum.matched_count += part.matched_count;
        sum.redriven_count += part.redriven_count;
        merge(&mut sum.skipped, part.skipped);
        sum.continuation = part.continuation;
        if sum.continuation.is_empty() {
            return print(out, session.output, &sum, "", REDRIVEN);
        }
    }
}

/// Discards what is chosen, call by call, and prints the sum.
pub async fn discard(session: &Session, asked: &OneOrChosen, out: &mut impl Write) -> Result<()> {
    let Chosen { filter, scope } = &asked.chosen;
    let filter = filter.message()?;
    let mut sum = DiscardTasksResponse::default();
    loop {
        let request = DiscardTasksRequest {
            filter: Some(filter.clone()),
            reason: asked.reason.clone(),
            scope: Some(scope.message(sum.continuation)),
        };
        let part = call!(
            session,
            TaskQueue,
            TaskServiceClient,
            discard_tasks,
            request
        );
        sum.matched_count += part.matched_count;
        sum.discarded_count += part.discarded_count;
        merge(&mut sum.skipped, part.skipped);
        sum.continuation = part.continuation;
        if sum.continuation.is_empty() {
            return print(out, session.output, &sum, "", DISCARDED);
        }
    }
}

impl Scope {
    /// The bound is of the beginning.
    fn message(&self, continuation: String) -> BulkScope {
        let begins = continuation.is_empty();
        BulkScope {
            dry_run: self.dry_run,
            max_matching: if begins { self.max_matching } else { 0 },
            continuation,
            ..BulkScope::default()
        }
    }
}

fn merge(sum: &mut Vec<SkippedTasks>, part: Vec<SkippedTasks>) {
    for more in part {
        match sum.iter_mut().find(|one| one.reason == more.reason) {
            Some(one) => {
                one.count += more.count;
                one.task_ids.extend(more.task_ids);
            }
            None => sum.push(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_or_a_filter_and_never_both_or_none() {
        let asked = |task_id: Option<&str>, types: &[&str]| {
            let types = types.iter().map(|kind| (*kind).to_owned()).collect();
            let filter = Filter {
                types,
                ..Filter::default()
            };
            OneOrChosen {
                task_id: task_id.map(str::to_owned),
                chosen: Chosen {
                    filter,
                    ..Chosen::default()
                },
                ..OneOrChosen::default()
            }
        };
        let one = asked(Some("id"), &[]).one().unwrap();
        assert_eq!(one.as_deref(), Some("id"));
        assert_eq!(asked(None, &["lint"]).one().unwrap(), None);
        assert!(asked(Some("id"), &["lint"]).one().is_err());
        assert!(asked(None, &[]).one().is_err());
    }

    #[test]
    fn options_become_a_filter() {
        let filter = Filter {
            states: vec!["pending".to_owned()],
            labels: vec!["team=red".to_owned()],
            created_before: Some("2026-11-28T12:00:00Z".to_owned()),
            ..Filter::default()
        };
        let message = filter.message().unwrap();
        assert_eq!(message.states, [1]);
        assert_eq!(message.labels["team"], "red");
        assert!(message.create_time_before.is_some());
    }
}
