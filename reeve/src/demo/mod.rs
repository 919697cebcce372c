//! `reeve demo`: the main job, on this repository's own files, with nothing canned.
//!
//! Three agents in their own processes work through a workflow that a person approves; what they
//! used becomes an invoice; a second run over a broken manifest becomes an incident. Uses the Reeve
//! that runs here, or starts one for as long as the demo takes.

mod books;
mod fleet;
pub mod roles;
mod ship;
mod stage;
mod trouble;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::client::output::Format;
use crate::client::session::{Session, SessionArgs};
use crate::home::Home;
use crate::up::{Platform, Stop, ports};
use stage::Stage;

const INPUTS: [&str; 4] = [
    "deploy/Dockerfile",
    "helm/reeve/Chart.yaml",
    "examples/manifests/web.yaml",
    "examples/manifests/broken.yaml",
];

/// Options of `reeve demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Folder for data, logs and results.
    #[arg(long, env = crate::home::VARIABLE, default_value = crate::home::FOLDER)]
    pub home: PathBuf,
    /// Move every port by this much.
    #[arg(long, env = "PORT_OFFSET", value_parser = ports::offset())]
    pub port_offset: Option<u16>,
    /// Wait this long before the approval, so that there is time to look around.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub hold: u64,
}

/// Shows everything and leaves nothing running that was not running before.
pub async fn run(args: &DemoArgs, out: &mut impl Write) -> Result<()> {
    for input in INPUTS {
        if !Path::new(input).exists() {
            bail!(
                "{input} is not here: run the demo from the root of the repository (`make demo`)"
            );
        }
    }
    let home = Home::open(&args.home)?;
    let mut stop = Stop::listen()?;
    let found = running_here(&home);
    let started = match found {
        Some(_) => None,
        None => {
            writeln!(out, "Starting PostgreSQL, Redis and the five services…")?;
            let platform = tokio::select! {
                platform = Platform::start(home.clone(), args.port_offset) => platform?,
                () = stop.wait() => bail!("interrupted"),
            };
            // A terminal that is gone is no reason to leave without stopping what was started.
            let _ = platform.describe_ports(out);
            Some(platform)
        }
    };
    let shown = show(&home, args, &mut stop, out).await;
    if let Some(platform) = started {
        platform.stop().await?;
    }
    shown?;
    if found.is_none() {
        writeln!(
            out,
            "Everything that the demo started has stopped; its results stay in {}.",
            args.home.join("demo").display()
        )?;
        writeln!(
            out,
            "To look around yourself: make up, then source {}",
            home.env_file().display()
        )?;
    }
    Ok(())
}

/// The process that runs a Reeve in this home, once it is ready.
fn running_here(home: &Home) -> Option<u32> {
    let pid = reeve_launcher::holder(&home.servers())?;
    (home.services_file().exists() && home.env_file().exists()).then_some(pid)
}

async fn show(home: &Home, args: &DemoArgs, stop: &mut Stop, out: &mut impl Write) -> Result<()> {
    let session = Session::of_home(
        home,
        &SessionArgs {
            api_key: None,
            output: Format::Table,
            timeout: 30,
        },
    )?;
    let run = chrono::Utc::now().format("%Y%m%d-%H%M%S").to_string();
    let folder = home.join("demo").join(&run);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let mut stage = Stage::new(out, session, run, folder);
    let mut fleet = fleet::Fleet::default();
    let played = tokio::select! {
        played = play(&mut stage, &mut fleet, Duration::from_secs(args.hold)) => played,
        () = stop.wait() => Err(anyhow::anyhow!("interrupted")),
    };
    fleet.stop().await;
    played?;
    stage.summary()
}

async fn play<W: Write>(
    stage: &mut Stage<'_, W>,
    fleet: &mut fleet::Fleet,
    hold: Duration,
) -> Result<()> {
    stage.title("1. Agents register, each a process of its own")?;
    fleet.start(stage).await?;
    let account = books::open(stage).await?;

    stage.title("2. A workflow over this repository's own files")?;
    let attempts = ship::ship(stage, &account, hold).await?;

    stage.title("3. What it cost, down to an invoice")?;
    books::bill(stage, &account, attempts).await?;

    stage.title("4. A broken manifest becomes an incident")?;
    trouble::break_and_mend(stage, &account).await
}
