//! The client verbs: one module for each kind of thing, all of the same shape.

pub mod exit;
mod follow;
pub mod input;
pub mod output;
pub mod session;
pub mod text;
mod verbs;

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};

use session::{Session, SessionArgs};
use verbs::{
    agents, approvals, events, finance, incidents, keys, limits, queues, schedules, task_types,
    tasks, workflows,
};

/// A verb with the options that every client verb takes.
#[derive(Debug, Clone, Args)]
pub struct With<V: Subcommand> {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: V,
}

/// What a client can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Agents: run a program as one, list, watch, drain.
    Agent(With<agents::Verb>),
    /// Tasks: create, list, watch, cancel, retry, discard, many at once by filter; answer what waits.
    Task(With<tasks::Verb>),
    /// Schedules: tasks by a cron line; create, preview, pause, trigger.
    Schedule(With<schedules::Verb>),
    /// Types of tasks: list, show, create, change, delete.
    TaskType(With<task_types::Verb>),
    /// Queues: list, pause, resume; brakes on any tasks.
    Queue(With<queues::Verb>),
    /// Limits on how many tasks run at a time or begin in a time: set, show, list, delete.
    Limit(With<limits::Verb>),
    /// Workflow definitions: apply, validate, list.
    Workflow(With<workflows::WorkflowVerb>),
    /// Executions of workflows: start, follow, cancel, diagnose.
    Execution(With<workflows::ExecutionVerb>),
    /// Approvals: list, show, approve, reject.
    Approval(With<approvals::Verb>),
    /// Prices.
    RateCard(With<finance::RateCardVerb>),
    /// Limits on spending.
    Budget(With<finance::BudgetVerb>),
    /// What work has cost.
    Cost(With<finance::CostVerb>),
    /// Invoices and their payment.
    Invoice(With<finance::InvoiceVerb>),
    /// Double-entry accounts.
    Ledger(With<finance::LedgerVerb>),
    /// Incidents: list, work off, post-mortem.
    Incident(With<incidents::Verb>),
    /// The log of every service's events.
    Event(With<events::EventVerb>),
    /// The audit trail.
    Audit(With<events::AuditVerb>),
    /// API keys.
    Key(With<keys::Verb>),
}

/// Calls Reeve and prints the answer.
pub async fn run(verb: Verb, out: &mut impl Write) -> Result<()> {
    match verb {
        Verb::Agent(with) => agents::run(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Task(with) => tasks::run(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Schedule(with) => {
            schedules::run(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::TaskType(with) => {
            task_types::run(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::Queue(with) => queues::run(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Limit(with) => limits::run(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Workflow(with) => {
            workflows::workflow(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::Execution(with) => {
            workflows::execution(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::Approval(with) => {
            approvals::run(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::RateCard(with) => {
            finance::rate_card(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::Budget(with) => finance::budget(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Cost(with) => finance::cost(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Invoice(with) => {
            finance::invoice(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::Ledger(with) => finance::ledger(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Incident(with) => {
            incidents::run(&Session::open(&with.session)?, with.verb, out).await
        }
        Verb::Event(with) => events::event(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Audit(with) => events::audit(&Session::open(&with.session)?, with.verb, out).await,
        Verb::Key(With {
            verb: keys::Verb::Generate,
            session,
        }) => keys::generate(session.output, out),
        Verb::Key(with) => keys::run(&Session::open(&with.session)?, with.verb, out).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::Verb;

    // As the executable's own, whose options meet those of every verb.
    #[derive(Parser)]
    #[command(version, propagate_version = true)]
    struct Line {
        #[command(subcommand)]
        _verb: Verb,
    }

    #[test]
    fn the_command_lines_make_sense() {
        Line::command().debug_assert();
        let is_legal = |line: &str| Line::try_parse_from(line.split(' ')).is_ok();
        for legal in [
            "reeve task create --type x -o json --wait",
            "reeve task create -f -",
            "reeve schedule create nightly --cron @daily --type lint",
            "reeve schedule create -f -",
            "reeve schedule update x --missed run-all -o json",
            "reeve schedule preview @daily --zone Europe/Berlin --count 3",
            "reeve task-type list --category devops --source built-in",
            "reeve task-type update ship --task-timeout 90s --schema -",
            "reeve workflow get ship@2",
            "reeve task -o json list --state pending --state running",
            "reeve task cancel --type lint --dry-run",
            "reeve task redrive --queue night --max-matching 40",
            "reeve limit set prod --per concurrency-key --key-prefix cluster/prod --max-running 2 --all",
            "reeve limit set slow --tasks 10 --per-seconds 60 --type deploy",
            "reeve task create --type deploy --concurrency-key cluster/prod --fairness-key red",
            "reeve queue brake no-deploys --type deploy --label team=red",
            "reeve agent run --capability a --exec b",
        ] {
            assert!(is_legal(legal), "{legal}");
        }
        for illegal in [
            "reeve task create",
            "reeve task create -f - --type x",
            "reeve queue brake x --all --type deploy",
            "reeve limit set x --all --type deploy",
            "reeve limit set x --all --tasks 5",
            "reeve task list --page-size 0",
            "reeve schedule create",
            "reeve schedule create -f - --cron @daily",
            "reeve schedule update x --capability y",
            "reeve schedule preview",
            "reeve task-type create",
            "reeve task list --timeout 0",
        ] {
            assert!(!is_legal(illegal), "{illegal}");
        }
    }
}
