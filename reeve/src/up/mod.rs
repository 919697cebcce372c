//! `reeve up`: PostgreSQL, Redis and the five services on this machine, for as long as it runs.

mod children;
mod platform;
pub mod ports;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

pub use platform::Platform;

use crate::home::Home;

/// Options of `reeve up`.
#[derive(Debug, Clone, clap::Args)]
pub struct UpArgs {
    /// Folder for data, logs and secrets.
    #[arg(long, env = crate::home::VARIABLE, default_value = crate::home::FOLDER)]
    pub home: PathBuf,
    /// Return once everything is ready, and keep running in the background.
    #[arg(long)]
    pub detach: bool,
    /// Move every port by this much; by default the first free step of 100.
    #[arg(long, env = "PORT_OFFSET", value_parser = ports::offset())]
    pub port_offset: Option<u16>,
}

/// Options of `reeve down`.
#[derive(Debug, Clone, clap::Args)]
pub struct DownArgs {
    /// Folder that `reeve up` was given.
    #[arg(long, env = crate::home::VARIABLE, default_value = crate::home::FOLDER)]
    pub home: PathBuf,
    /// Also remove the data of PostgreSQL and Redis, for good.
    #[arg(long)]
    pub purge: bool,
}

/// Runs the platform until a signal, or starts it in the background.
pub async fn up(args: &UpArgs, out: &mut impl std::io::Write) -> Result<()> {
    let home = Home::open(&args.home)?;
    if args.detach {
        return detach(&home, args, out).await;
    }
    let mut stop = Stop::listen()?;
    let platform = tokio::select! {
        platform = Platform::start(home, args.port_offset) => platform?,
        () = stop.wait() => return Ok(()),
    };
    // A terminal that is gone is no reason to leave without stopping what was started.
    let _ = platform.describe(out);
    if std::io::stdin().is_terminal() {
        let _ = writeln!(out, "Ctrl-C stops it all.");
    }
    let ended = platform.run(&mut stop, out).await;
    if ended.is_ok() {
        let _ = writeln!(out, "everything that was started has stopped");
    }
    ended
}

/// Starts a second process that is not tied to this terminal, and waits until it is ready.
async fn detach(home: &Home, args: &UpArgs, out: &mut impl std::io::Write) -> Result<()> {
    if let Some(pid) = reeve_launcher::holder(&home.servers()) {
        bail!("process {pid} runs Reeve here already; `make down` stops it");
    }
    let _ = std::fs::remove_file(home.services_file());
    let log = home.log("up")?;
    let file = std::fs::File::create(&log)?;
    let mut command = std::process::Command::new(crate::lifeline::program()?);
    command.arg("up").arg("--home").arg(&args.home);
    if let Some(offset) = args.port_offset {
        command.arg("--port-offset").arg(offset.to_string());
    }
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !home.services_file().exists() {
        if let Some(status) = child.try_wait()? {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("reeve up ended with {status}:\n{}", text.trim());
        }
        if Instant::now() > deadline {
            bail!("not ready after two minutes; see {}", log.display());
        }
        sleep(Duration::from_millis(50)).await;
    }
    write!(out, "{}", std::fs::read_to_string(&log).unwrap_or_default())?;
    writeln!(
        out,
        "running in the background as process {}; `make down` stops it",
        child.id()
    )?;
    Ok(())
}

/// `reeve down`: stops what `reeve up` started with the same home.
pub async fn down(args: &DownArgs, out: &mut impl std::io::Write) -> Result<()> {
    let servers = args.home.join("servers");
    match reeve_launcher::holder(&servers) {
        Some(pid) => stop_process(pid, &servers, out).await?,
        None => writeln!(out, "nothing runs here")?,
    }
    if args.purge {
        reeve_launcher::purge(&servers)?;
        writeln!(out, "its data is removed")?;
    }
    Ok(())
}

async fn stop_process(
    pid: u32,
    servers: &std::path::Path,
    out: &mut impl std::io::Write,
) -> Result<()> {
    let process = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let process = process.context("the lock names no process")?;
    rustix::process::kill_process(process, rustix::process::Signal::TERM)
        .with_context(|| format!("cannot stop process {pid}"))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while reeve_launcher::holder(servers).is_some() {
        if Instant::now() > deadline {
            bail!("process {pid} has not stopped after a minute");
        }
        sleep(Duration::from_millis(50)).await;
    }
    writeln!(out, "process {pid} and what it started have stopped")?;
    Ok(())
}

/// The signals that end the platform.
pub struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    // None when whoever started this process had it ignore that its terminal closes.
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Stop {
    /// Takes the signals over from their defaults.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: (!ignores_hangup())
                .then(|| signal(SignalKind::hangup()))
                .transpose()?,
        })
    }

    /// Returns at Ctrl-C, at SIGTERM, and when the terminal closes.
    pub async fn wait(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }
}

/// Whether this process was started to ignore SIGHUP, as `nohup` does. Only Linux tells.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}
