//! The one executable of Reeve: the five services, the platform on a laptop, the agent runner and
//! the client. `reeve help` lists the verbs.

mod agent;
mod client;
mod demo;
mod home;
mod lifeline;
mod schemas;
mod serve;
mod up;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Exit status for a wrong command line or configuration, as EX_USAGE.
const USAGE: u8 = 64;

/// How long threads that block may go on when everything else has ended.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The control plane for fleets of AI agents that do DevOps work.
#[derive(Parser)]
#[command(name = "reeve", version, propagate_version = true, after_help = client::exit::STATUSES)]
struct Cli {
    /// Stop when standard input closes, so that nothing outlives what started it.
    #[arg(long, global = true, hide = true)]
    until_stdin_closes: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run one service, or all of them in one process.
    Serve(serve::ServeArgs),
    /// Run PostgreSQL, Redis and the five services on this machine.
    Up(up::UpArgs),
    /// Stop what `reeve up` started.
    Down(up::DownArgs),
    /// Create or upgrade the schemas and roles in a PostgreSQL server.
    Migrate(schemas::MigrateArgs),
    /// Show the main job, from agents to invoice and incident.
    Demo(demo::DemoArgs),
    /// The demo's own agent program: one task from stdin.
    #[command(hide = true)]
    DemoAgent,
    #[command(flatten)]
    Client(Box<client::Verb>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.until_stdin_closes {
        lifeline::follow();
    }
    let ended = match cli.verb {
        Verb::DemoAgent => demo::roles::main(),
        verb => match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => {
                let ended = runtime.block_on(run(verb)).map(|()| ExitCode::SUCCESS);
                // What blocks a thread, a name server that does not answer for example, must not
                // hold up the end of the process.
                runtime.shutdown_timeout(LAST_MOMENT);
                ended
            }
            Err(error) => Err(error.into()),
        },
    };
    ended.unwrap_or_else(|error| {
        let status = client::exit::status(&error);
        if status != 0 {
            // There is nowhere else to say it.
            let _ = writeln!(
                std::io::stderr(),
                "reeve: {}",
                client::exit::explain(&error)
            );
        }
        ExitCode::from(status)
    })
}

async fn run(verb: Verb) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match verb {
        Verb::Serve(args) => serve::serve(&args).await,
        Verb::Up(args) => up::up(&args, &mut out).await,
        Verb::Down(args) => up::down(&args, &mut out).await,
        Verb::Migrate(args) => schemas::migrate(&args, &mut out).await,
        Verb::Demo(args) => demo::run(&args, &mut out).await,
        Verb::DemoAgent => unreachable!("handled without a runtime"),
        Verb::Client(verb) => client::run(*verb, &mut out).await,
    }
}
