//! The load generator: measures the task path of a running Reeve over gRPC, prints a table and
//! writes `target/bench/report.json`. Each figure says what is safe when an answer arrives, as the
//! running PostgreSQL tells it.

// Latencies and rates are for people; nothing is decided by their last digit.
#![allow(clippy::cast_precision_loss)]

mod batched;
mod open_loop;
mod report;
mod samples;
mod start;
mod unary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

use reeve_bench::{Platform, Session};
use report::Report;

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
    for _ in 0..args.rounds {
        start::service(&reeve, &platform, &mut report).await?;
        batched::measure(&session, &platform, args.tasks, &mut report).await?;
        unary::measure(&session, &platform, args.unary_tasks, &mut report).await?;
        open_loop::measure(&session, &platform, args.rate, args.seconds, &mut report).await?;
    }
    let table = report.finish(&args.report)?;
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes())?;
    Ok(())
}
