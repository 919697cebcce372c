//! `reeve serve`: one service, or all of them in one process.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use futures::future::try_join_all;
use reeve_runtime::config::{self, Common, ConfigError, Sources};
use reeve_runtime::{Deps, Service, Settings, Shutdown, telemetry};

/// What to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Agents, API keys.
    AgentRegistry,
    /// Tasks.
    TaskQueue,
    /// Workflows, executions, approvals.
    WorkflowEngine,
    /// Prices, budgets, ledger, invoices.
    Finance,
    /// Incidents, events, audit.
    Incident,
    /// All five in one process, for tests and tiny installations.
    All,
}

const EACH: [Which; 5] = [
    Which::AgentRegistry,
    Which::TaskQueue,
    Which::WorkflowEngine,
    Which::Finance,
    Which::Incident,
];

/// Options of `reeve serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The service.
    pub which: Which,
    /// TOML file over the built-in defaults.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Set one key over everything else, as section.key=value; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Print the configuration in effect, without secrets, and end.
    #[arg(long)]
    pub dump_config: bool,
}

/// Serves until a signal.
pub async fn serve(args: &ServeArgs) -> Result<()> {
    let services = if args.which == Which::All {
        EACH.to_vec()
    } else {
        vec![args.which]
    };
    if args.dump_config {
        dump(&services, args)?;
        return check(&services, args);
    }
    check(&services, args)?;
    let shutdown = Shutdown::on_signals()?;
    let mut logs = None;
    let mut running = Vec::new();
    for which in services {
        let sources = sources(args, which)?;
        let common: Common = config::load(defaults(which), &sources)?;
        if logs.is_none() {
            logs = Some(telemetry::init(&common.log, name(which))?);
        }
        let deps = connect(which, &common).await?;
        let mut settings = Settings::bind(
            common.grpc.listen,
            common.admin.listen,
            deps.metrics.clone(),
            deps.drain.clone(),
        )
        .await?;
        settings.limits = common.limits;
        settings.drain = common.drain;
        let service = build(which, &sources, deps).await?;
        running.push(reeve_runtime::run(service, settings, shutdown.clone()));
    }
    try_join_all(running).await?;
    Ok(())
}

fn dump(services: &[Which], args: &ServeArgs) -> Result<()> {
    for which in services {
        let text = config::dump(defaults(*which), &sources(args, *which)?);
        std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    }
    Ok(())
}

/// Every mistake in the configuration of any of the services, before anything is begun.
fn check(services: &[Which], args: &ServeArgs) -> Result<()> {
    let mut problems = Vec::new();
    for which in services {
        let sources = sources(args, *which)?;
        let common = config::load::<Common>(defaults(*which), &sources).err();
        let found = common.into_iter().chain(mistakes(*which, &sources));
        problems.extend(found.flat_map(|error| error.problems));
    }
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    if problems.is_empty() {
        return Ok(());
    }
    Err(ConfigError { problems }.into())
}

fn sources(args: &ServeArgs, which: Which) -> Result<Sources> {
    let mut sources = Sources::process();
    if let Some(path) = &args.config {
        sources = sources.file(path);
    }
    for text in &args.overrides {
        let (key, value) = text.split_once('=').ok_or_else(|| ConfigError {
            problems: vec![format!("--set {text}: must be section.key=value")],
        })?;
        sources = sources.set(key, value);
    }
    // A file or an environment may serve several services, each with sections of its own.
    for other in EACH.iter().filter(|other| **other != which) {
        sources = sources.shared_with(defaults(*other));
    }
    if args.which == Which::All {
        // They share a process, so each takes its own usual ports.
        let index = EACH
            .iter()
            .position(|each| *each == which)
            .unwrap_or_default();
        sources = sources
            .set("grpc.listen", format!("127.0.0.1:{}", 7101 + index))
            .set("admin.listen", format!("127.0.0.1:{}", 9101 + index));
    }
    Ok(sources)
}

async fn connect(which: Which, common: &Common) -> Result<Deps> {
    let schema = name(which).replace('-', "_");
    let mut common = common.clone();
    // One URL for all five names the role as a pattern; each service has its own.
    common.database.url = common.database.url.replace("{schema}", &schema);
    Ok(Deps::connect(name(which), &schema, &common).await?)
}

fn name(which: Which) -> &'static str {
    match which {
        Which::AgentRegistry => "agent-registry",
        Which::TaskQueue => "task-queue",
        Which::WorkflowEngine => "workflow-engine",
        Which::Finance => "finance",
        Which::Incident => "incident",
        Which::All => "all",
    }
}

fn defaults(which: Which) -> &'static str {
    match which {
        Which::AgentRegistry => reeve_agent_registry::DEFAULTS,
        Which::TaskQueue => reeve_task_queue::DEFAULTS,
        Which::WorkflowEngine => reeve_workflow_engine::DEFAULTS,
        Which::Finance => reeve_finance::DEFAULTS,
        Which::Incident => reeve_incident::DEFAULTS,
        Which::All => "",
    }
}

/// What is wrong with a service's own configuration.
fn mistakes(which: Which, sources: &Sources) -> Option<ConfigError> {
    let defaults = defaults(which);
    match which {
        Which::AgentRegistry => {
            config::load::<reeve_agent_registry::Config>(defaults, sources).err()
        }
        Which::TaskQueue => config::load::<reeve_task_queue::Config>(defaults, sources).err(),
        Which::WorkflowEngine => {
            config::load::<reeve_workflow_engine::Config>(defaults, sources).err()
        }
        Which::Finance => config::load::<reeve_finance::Config>(defaults, sources).err(),
        Which::Incident => config::load::<reeve_incident::Config>(defaults, sources).err(),
        Which::All => None,
    }
}

async fn build(which: Which, sources: &Sources, deps: Deps) -> Result<Service> {
    let defaults = defaults(which);
    Ok(match which {
        Which::AgentRegistry => {
            reeve_agent_registry::AgentRegistry::build(config::load(defaults, sources)?, deps)
                .await?
        }
        Which::TaskQueue => {
            reeve_task_queue::TaskQueue::build(config::load(defaults, sources)?, deps).await?
        }
        Which::WorkflowEngine => {
            reeve_workflow_engine::WorkflowEngine::build(config::load(defaults, sources)?, deps)
                .await?
        }
        Which::Finance => {
            reeve_finance::Finance::build(config::load(defaults, sources)?, deps).await?
        }
        Which::Incident => {
            reeve_incident::Incident::build(config::load(defaults, sources)?, deps).await?
        }
        Which::All => bail!("all is not one service"),
    })
}
