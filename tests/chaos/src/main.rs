//! Work under kills, frozen processes and lost memory. Clients create tasks, agents do them, and
//! meanwhile services are killed, PostgreSQL crashes, Redis is emptied and frozen, and agents fall
//! silent past their leases. At the end every task that was acknowledged must be in exactly one final
//! state, the one that its history allows, and told of once. A printed seed chooses what happens.

// Supervision is the services' matter; this program ends with its verdict.
#![allow(clippy::disallowed_methods)]

mod agents;
mod clients;
mod history;
mod nemesis;
mod plan;
mod presence;
mod streams;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use reeve_bench::{Platform, Session};
use tokio::sync::watch;
use tokio::task::JoinSet;

use history::History;

/// How much longer than the strikes the clients may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Work under kills, frozen processes and lost memory.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// The executable under test.
    #[arg(long)]
    reeve: Option<PathBuf>,
    /// Tasks that are created.
    #[arg(long, default_value_t = 50_000)]
    tasks: usize,
    /// Agents that work.
    #[arg(long, default_value_t = 20)]
    agents: usize,
    /// Things that are broken.
    #[arg(long, default_value_t = 30)]
    strikes: u32,
    /// Chooses what happens; random unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the platform keeps its data.
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&Args::parse())));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line.
fn say(line: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("chaos: {line}\n"));
}

async fn run(args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    say(&format!(
        "seed {seed}, {} tasks, {} agents, {} strikes",
        args.tasks, args.agents, args.strikes
    ));
    let reeve = match &args.reeve {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("reeve"),
    };
    let platform = Platform::start(&reeve, Path::new(&args.folder))
        .await
        .with_context(|| format!("cannot start {}", reeve.display()))?;
    let session = Session::open(&platform)?;
    let history = Arc::new(History::new());
    let (stop, stopped) = watch::channel(false);
    let mut fleet = JoinSet::new();
    for number in 0..args.agents {
        let (session, history, stopped) = (session.anew()?, Arc::clone(&history), stopped.clone());
        let seed = seed.wrapping_add(number as u64 + 1);
        if number % 2 == 0 {
            fleet.spawn(agents::run(session, history, number, seed, stopped));
        } else {
            fleet.spawn(streams::run(session, history, number, seed, stopped));
        }
    }
    let clients = clients::run(&session, &history, args.tasks, args.strikes, seed);
    let nemesis = nemesis::run(&platform, args.strikes, seed);
    // Whatever does not answer is asked again and again, so an end is needed for what never will.
    let most = nemesis::duration(args.strikes) * 2 + PATIENCE;
    let both = async { tokio::try_join!(clients, nemesis) };
    let ended = tokio::time::timeout(most, both).await;
    let ((), struck) = ended.context("clients are not served for minutes")??;
    say(&format!("struck {struck}; waiting for the rest to be done"));
    verdict::all_over(&session).await?;
    stop.send(true)?;
    while let Some(ended) = fleet.join_next().await {
        ended??;
    }
    verdict::judge(&session, &history, args).await
}
