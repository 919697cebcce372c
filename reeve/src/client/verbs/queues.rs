//! `reeve queue`.

use std::io::Write;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::task::v1::queue_service_client::QueueServiceClient;
use reeve_contracts::task::v1::{
    GetQueueRequest, ListBrakesRequest, ListQueuesRequest, PauseQueueRequest, PauseTasksRequest,
    ResumeQueueRequest, ResumeTasksRequest, TaskSelector,
};

use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, print};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("PAUSED", "paused"),
    ("READY", "counts.ready"),
    ("OLDEST", "oldestReadyDuration"),
    ("SCHEDULED", "counts.scheduled"),
    ("BLOCKED", "counts.blocked"),
    ("HELD BACK", "counts.paused"),
    ("OVER BUDGET", "counts.overBudget"),
    ("FOR INPUT", "counts.awaitingInput"),
    ("FOR APPROVAL", "counts.awaitingApproval"),
    ("RUNNING", "counts.inProgress"),
    ("REASON", "pause.reason"),
];

const BRAKES: &[Column] = &[
    ("NAME", "name"),
    ("QUEUES", "selector.queues"),
    ("TYPES", "selector.types"),
    ("CAPABILITIES", "selector.capabilities"),
    ("LABELS", "selector.labels"),
    ("ALL", "selector.all"),
    ("REASON", "reason"),
    ("SET BY", "creator.displayName"),
    ("SET", "createTime"),
];

/// What queues can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// List queues with what waits and runs in them.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show one queue.
    Get {
        /// The queue's name.
        queue: String,
    },
    /// Hand out nothing more from a queue; what is under way goes on.
    Pause {
        /// The queue's name.
        queue: String,
        /// Why.
        #[arg(long, default_value = "paused from the command line")]
        reason: String,
    },
    /// Hand out tasks of a queue again.
    Resume {
        /// The queue's name.
        queue: String,
        /// Why.
        #[arg(long, default_value = "resumed from the command line")]
        reason: String,
    },
    /// Set a brake: hand out nothing of what all options together choose.
    Brake(Chosen),
    /// List the brakes that are set, pauses of queues among them.
    Brakes {
        #[command(flatten)]
        page: Page,
    },
    /// Lift a brake.
    Lift {
        /// The brake's name.
        name: String,
        /// Why.
        #[arg(long, default_value = "lifted from the command line")]
        reason: String,
    },
}

/// A brake with what it chooses.
#[derive(Debug, Clone, clap::Args)]
pub struct Chosen {
    /// The brake's name, by which it is lifted.
    name: String,
    /// Only tasks of this queue; may be repeated.
    #[arg(long = "queue")]
    queues: Vec<String>,
    /// Only tasks of this type; may be repeated.
    #[arg(long = "type")]
    types: Vec<String>,
    /// Only tasks that need this capability; may be repeated.
    #[arg(long = "capability")]
    capabilities: Vec<String>,
    /// Only tasks with this label, as key=value; may be repeated.
    #[arg(long = "label")]
    labels: Vec<String>,
    /// Every task.
    #[arg(long, conflicts_with_all = ["queues", "types", "capabilities", "labels"])]
    all: bool,
    /// Why.
    #[arg(long, default_value = "set from the command line")]
    reason: String,
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::List { page } => {
            let request = ListQueuesRequest {
                page_size: page.page_size,
                page_token: page.page_token,
            };
            let found = call!(session, TaskQueue, QueueServiceClient, list_queues, request);
            print(out, format, &found, "queues", COLUMNS)
        }
        Verb::Get { queue } => {
            let request = GetQueueRequest { queue };
            let found = call!(session, TaskQueue, QueueServiceClient, get_queue, request);
            print(out, format, &found, "queue", COLUMNS)
        }
        Verb::Pause { queue, reason } => {
            let request = PauseQueueRequest {
                queue,
                reason,
                ..PauseQueueRequest::default()
            };
            let paused = call!(session, TaskQueue, QueueServiceClient, pause_queue, request);
            print(out, format, &paused, "queue", COLUMNS)
        }
        Verb::Resume { queue, reason } => {
            let request = ResumeQueueRequest {
                queue,
                reason,
                ..ResumeQueueRequest::default()
            };
            let resumed = call!(
                session,
                TaskQueue,
                QueueServiceClient,
                resume_queue,
                request
            );
            print(out, format, &resumed, "queue", COLUMNS)
        }
        Verb::Brake(chosen) => {
            let request = PauseTasksRequest {
                name: chosen.name,
                selector: Some(TaskSelector {
                    queues: chosen.queues,
                    types: chosen.types,
                    capabilities: chosen.capabilities,
                    labels: input::pairs("--label", &chosen.labels)?,
                    all: chosen.all,
                }),
                reason: chosen.reason,
            };
            let set = call!(session, TaskQueue, QueueServiceClient, pause_tasks, request);
            print(out, format, &set, "brake", BRAKES)
        }
        Verb::Brakes { page } => {
            let request = ListBrakesRequest {
                page_size: page.page_size,
                page_token: page.page_token,
            };
            let found = call!(session, TaskQueue, QueueServiceClient, list_brakes, request);
            print(out, format, &found, "brakes", BRAKES)
        }
        Verb::Lift { name, reason } => {
            let request = ResumeTasksRequest { name, reason };
            let lifted = call!(
                session,
                TaskQueue,
                QueueServiceClient,
                resume_tasks,
                request
            );
            print(out, format, &lifted, "brake", BRAKES)
        }
    }
}
