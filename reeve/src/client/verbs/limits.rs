//! `reeve limit`.

use std::io::Write;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::task::v1::limit_service_client::LimitServiceClient;
use reeve_contracts::task::v1::{
    DeleteLimitRequest, GetLimitRequest, ListLimitsRequest, SetLimitRequest,
};
use serde_json::json;

use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, Format, print};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("PER", "per"),
    ("KEYS", "keyPrefix"),
    ("AT A TIME", "maxRunning"),
    ("TASKS", "rate.tasks"),
    ("IN", "rate.periodDuration"),
    ("QUEUES", "selector.queues"),
    ("TYPES", "selector.types"),
    ("ALL", "selector.all"),
    ("REASON", "reason"),
];

const ALLOWANCES: &[Column] = &[
    ("OF", "value"),
    ("RUNNING", "running"),
    ("THROTTLED", "throttled"),
];

/// What limits can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Bound how many tasks are with agents at a time, or are leased in a time.
    Set(Box<Asked>),
    /// Show one limit with the allowances in use.
    Get {
        /// The limit's name.
        name: String,
    },
    /// List limits.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Delete a limit.
    Delete {
        /// The limit's name.
        name: String,
    },
}

/// A limit with what it chooses.
#[derive(Debug, Clone, clap::Args)]
pub struct Asked {
    /// The limit's name.
    name: String,
    /// How many may be with agents at a time.
    #[arg(long, default_value_t = 0)]
    max_running: i32,
    /// How many may be leased in a period.
    #[arg(long, requires = "per_seconds")]
    tasks: Option<i32>,
    /// The period in seconds.
    #[arg(long, requires = "tasks")]
    per_seconds: Option<u32>,
    /// How many may be leased at once after a rest; as many as in a period unless given.
    #[arg(long, requires = "tasks")]
    burst: Option<i32>,
    /// Which tasks share an allowance: TENANT, QUEUE, TYPE, CAPABILITY, FAIRNESS_KEY or
    /// CONCURRENCY_KEY.
    #[arg(long, default_value = "TENANT")]
    per: String,
    /// Only concurrency keys that begin with this.
    #[arg(long, default_value = "")]
    key_prefix: String,
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

impl Asked {
    fn request(&self) -> Result<SetLimitRequest> {
        let per = input::value_of("reeve.task.v1.LimitPer", &self.per)?;
        let labels = input::pairs("--label", &self.labels)?;
        let rate = self.tasks.zip(self.per_seconds).map(|(tasks, seconds)| {
            json!({
                "tasks": tasks, "periodDuration": format!("{seconds}s"),
                "burstTasks": self.burst.unwrap_or_default(),
            })
        });
        input::message(json!({
            "name": self.name,
            "selector": {
                "queues": self.queues, "types": self.types, "capabilities": self.capabilities,
                "labels": labels, "all": self.all,
            },
            "per": per, "keyPrefix": self.key_prefix, "maxRunning": self.max_running,
            "rate": rate, "reason": self.reason,
        }))
    }
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::Set(asked) => {
            let request = asked.request()?;
            let set = call!(session, TaskQueue, LimitServiceClient, set_limit, request);
            print(out, format, &set, "limit", COLUMNS)
        }
        Verb::Get { name } => {
            let request = GetLimitRequest { name };
            let found = call!(session, TaskQueue, LimitServiceClient, get_limit, request);
            print(out, format, &found, "limit", COLUMNS)?;
            if format == Format::Table {
                print(out, format, &found, "limit.allowances", ALLOWANCES)?;
            }
            Ok(())
        }
        Verb::List { page } => {
            let request = ListLimitsRequest {
                page_size: page.page_size,
                page_token: page.page_token,
            };
            let found = call!(session, TaskQueue, LimitServiceClient, list_limits, request);
            print(out, format, &found, "limits", COLUMNS)
        }
        Verb::Delete { name } => {
            let request = DeleteLimitRequest {
                name,
                ..DeleteLimitRequest::default()
            };
            let deleted = call!(
                session,
                TaskQueue,
                LimitServiceClient,
                delete_limit,
                request
            );
            print(out, format, &deleted, "limit", COLUMNS)
        }
    }
}
