//! The five services as child processes: started, watched, restarted and stopped.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::ports::{Ports, SERVICES};
use crate::home::Home;
use crate::lifeline;

/// How long a service may take to become ready.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// A little longer than a service's own hard stop.
const STOP_PATIENCE: Duration = Duration::from_secs(35);
/// Pause before a dead service is started again, doubled up to the greatest while it keeps dying.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const GREATEST_PAUSE: Duration = Duration::from_secs(10);
/// A service that lived this long starts again without a pause.
const SETTLED: Duration = Duration::from_secs(30);

/// One line of `services.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    name: &'static str,
    pid: u32,
    grpc: String,
    admin: String,
    restarts: u32,
}

/// One service's process.
pub struct ServiceChild {
    name: &'static str,
    ports: Ports,
    variables: Vec<(String, String)>,
    child: Child,
    // Open for as long as this process lives. Left inside `child` it would be closed by the first
    // wait for it, and the service would take that for the end of its supervisor.
    lifeline: Option<ChildStdin>,
    started: Instant,
    pause: Duration,
    // Once the process has ended: when it starts again, and why it has to.
    due: Option<(Instant, String)>,
    restarts: u32,
}

impl ServiceChild {
    /// Starts a service.
    pub fn start(
        home: &Home,
        index: usize,
        ports: Ports,
        variables: Vec<(String, String)>,
    ) -> Result<Self> {
        let name = SERVICES[index];
        let mut child = spawn(home, name, &variables)?;
        Ok(Self {
            name,
            ports,
            variables,
            lifeline: child.stdin.take(),
            child,
            started: Instant::now(),
            pause: FIRST_PAUSE,
            due: None,
            restarts: 0,
        })
    }

    /// For `services.json`.
    pub fn row(&self) -> Row {
        Row {
            name: self.name,
            pid: self.child.id().unwrap_or_default(),
            grpc: format!("127.0.0.1:{}", self.ports.grpc),
            admin: format!("127.0.0.1:{}", self.ports.admin),
            restarts: self.restarts,
        }
    }

    /// Waits until the service says that it serves.
    pub async fn ready(&mut self, home: &Home) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let log = home.log(self.name)?;
                bail!(
                    "{} ended with {status} instead of starting; see {}",
                    self.name,
                    log.display()
                );
            }
            if is_serving(self.ports.grpc).await {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "{} is not ready after {} s; see {}",
            self.name,
            START_PATIENCE.as_secs(),
            home.log(self.name)?.display()
        )
    }

    /// Waits until the process ends, starts it again after a pause, and says what happened. Whoever
    /// stops waiting may begin again; the pause goes on.
    pub async fn revive(&mut self, home: &Home) -> String {
        let (due, ended) = match &self.due {
            Some(known) => known.clone(),
            None => self.end().await,
        };
        self.due = Some((due, ended.clone()));
        sleep_until(due).await;
        match spawn(home, self.name, &self.variables) {
            Ok(mut child) => {
                self.lifeline = child.stdin.take();
                self.child = child;
                self.due = None;
                self.started = Instant::now();
                self.restarts += 1;
                format!("{} {ended} and was started again", self.name)
            }
            Err(error) => {
                let notice = format!("{error:#}; trying again in {:?}", self.pause);
                self.due = Some((self.next(), ended));
                notice
            }
        }
    }

    /// Waits until the process ends. Returns when to start it again, and how it ended.
    async fn end(&mut self) -> (Instant, String) {
        let ended = match self.child.wait().await {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("cannot be watched: {error}"),
        };
        if self.started.elapsed() > SETTLED {
            self.pause = FIRST_PAUSE;
        }
        (self.next(), ended)
    }

    /// When to start next; the pause after that is longer.
    fn next(&mut self) -> Instant {
        let due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(GREATEST_PAUSE);
        due
    }

    /// Asks the process to stop, and insists when it does not. The lifeline stays open meanwhile: its
    /// end would be a second request, and a second request means at once.
    pub async fn stop(mut self) {
        if let Some(pid) = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
        {
            // An error means that the process has ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn spawn(home: &Home, name: &str, variables: &[(String, String)]) -> Result<Child> {
    let path = home.log(name)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)?;
    let program = lifeline::program().context("cannot find this program again")?;
    Command::new(program)
        .args(["serve", name, "--until-stdin-closes"])
        .envs(
            variables
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        )
        // The pipe closes when this process ends, however it ends, and the service then stops.
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C reaches this process alone, which then stops its children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {name}"))
}

async fn is_serving(port: u16) -> bool {
    let Ok(endpoint) = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
    else {
        return false;
    };
    let Ok(channel) = endpoint
        .connect_timeout(Duration::from_secs(1))
        .connect()
        .await
    else {
        return false;
    };
    let check = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    check.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
}
