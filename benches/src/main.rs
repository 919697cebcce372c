//! The load generator: measures the task path of a running Reeve over gRPC, prints a table and
//! writes `target/bench/report.json`. Each figure says what is safe when an answer arrives, as the
//! running PostgreSQL tells it.

// Latencies and rates are for people; nothing is decided by their last digit.
#![allow(clippy::cast_precision_loss)]

mod batched;
mod open_loop;
mod pending;
mod report;
mod samples;
mod start;
mod tenants;
mod unary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use reeve_bench::{Platform, Session};
use report::Report;
use tenants::Tenants;

/// Measure the task path.
#[derive(Parser)]
struct Args {
    /// The executable under test, built with the same profile.
    #[arg(long)]
    reeve: Option<PathBuf>,
    /// Times that each figure is measured; the median is reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Tasks of one batched round.
    #[arg(long, default_value_t = 50_000)]
    tasks: usize,
    /// Tasks of one unary round.
    #[arg(long, default_value_t = 10_000)]
    unary_tasks: usize,
    /// Tasks a second of the open loop.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds of one open-loop round.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Tasks that wait while Redis forgets them.
    #[arg(long, default_value_t = 100_000)]
    pending: usize,
    /// Only these figures, by the names of their modules: batched, held, unary, open-loop, pending,
    /// tenants; all unless given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench/report.json")]
    report: PathBuf,
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
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("bench: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

impl Args {
    fn asks(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

async fn round(
    args: &Args,
    reeve: &Path,
    session: &Session,
    platform: &Platform,
    report: &mut Report,
) -> Result<()> {
    start::service(reeve, platform, report).await?;
    if args.asks("batched") {
        batched::measure(session, platform, args.tasks, report).await?;
    }
    if args.asks("held") {
        batched::measure_held(session, platform, args.tasks, report).await?;
    }
    if args.asks("unary") {
        unary::measure(session, platform, args.unary_tasks, report).await?;
    }
    if args.asks("open-loop") {
        open_loop::measure(session, platform, args.rate, args.seconds, report).await?;
    }
    if args.asks("pending") {
        pending::measure(session, platform, args.pending, report).await?;
    }
    Ok(())
}

async fn run(args: &Args) -> Result<()> {
    let reeve = match &args.reeve {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("reeve"),
    };
    let folder = args.report.parent().unwrap_or(Path::new("."));
    let platform = Platform::start(&reeve, folder)
        .await
        .with_context(|| format!("cannot start {}", reeve.display()))?;
    let session = Session::open(&platform)?;
    let mut report = Report::new(args.rounds);
    start::platform(&platform, &mut report)?;
    let tenants = match args.asks("tenants") {
        true => Some(Tenants::new(&session, &platform).await?),
        false => None,
    };
    for _ in 0..args.rounds {
        round(args, &reeve, &session, &platform, &mut report).await?;
        if let Some(tenants) = &tenants {
            tenants.measure(args.seconds, &mut report).await?;
        }
    }
    let table = report.finish(&args.report)?;
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes())?;
    Ok(())
}
