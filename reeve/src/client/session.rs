//! How the command line reaches a Reeve: endpoints and API key from flags, the environment, or the
//! env file of the nearest `.reeve` folder.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reeve_status::{Code, Fault, Reason};
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::input::Wrong;
use super::output::Format;
use crate::home::Home;

/// One of the five services, as a client addresses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Agents and API keys.
    AgentRegistry,
    /// Tasks.
    TaskQueue,
    /// Workflows, executions and approvals.
    WorkflowEngine,
    /// Prices, budgets, invoices.
    Finance,
    /// Incidents, events, audit.
    Incident,
}

impl Service {
    /// The environment variable that holds its address.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::AgentRegistry => "REEVE_AGENT_REGISTRY",
            Self::TaskQueue => "REEVE_TASK_QUEUE",
            Self::WorkflowEngine => "REEVE_WORKFLOW_ENGINE",
            Self::Finance => "REEVE_FINANCE",
            Self::Incident => "REEVE_INCIDENT",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgentRegistry => "agent-registry",
            Self::TaskQueue => "task-queue",
            Self::WorkflowEngine => "workflow-engine",
            Self::Finance => "finance",
            Self::Incident => "incident",
        }
    }
}

/// Options that every client verb takes.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// API key; by default REEVE_API_KEY, else that of the nearest .reeve/env.
    #[arg(long, global = true, hide_env_values = true, env = "REEVE_API_KEY")]
    pub api_key: Option<String>,
    /// How to print answers.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Seconds a call may take; waiting and watching have no limit.
    #[arg(long, global = true, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub timeout: u64,
}

/// A client's credential and endpoints.
#[derive(Clone)]
pub struct Session {
    bearer: MetadataValue<Ascii>,
    endpoints: HashMap<String, String>,
    timeout: Duration,
    /// Which services have answered anything: a bit for each.
    reached: Arc<AtomicU8>,
    /// How to print answers.
    pub output: Format,
}

impl Session {
    /// From flags, the environment and the env file, in this order.
    pub fn open(args: &SessionArgs) -> Result<Self> {
        let file = Home::find()
            .map(|home| home.env_file())
            .filter(|path| path.exists());
        let mut endpoints = match file {
            Some(path) => parse_env(&std::fs::read_to_string(path)?),
            None => HashMap::new(),
        };
        let mut key = endpoints.remove("REEVE_API_KEY");
        for service in [
            Service::AgentRegistry,
            Service::TaskQueue,
            Service::WorkflowEngine,
            Service::Finance,
            Service::Incident,
        ] {
            if let Ok(address) = std::env::var(service.variable()) {
                endpoints.insert(service.variable().to_owned(), address);
            }
        }
        if let Some(given) = &args.api_key {
            key = Some(given.clone());
        }
        let Some(key) = key else {
            let message = "no API key: set REEVE_API_KEY, or start a Reeve here with `make up`";
            bail!(Fault::new(
                Code::Unauthenticated,
                Reason::CredentialMissing,
                message
            ));
        };
        Self::new(
            &key,
            endpoints,
            Duration::from_secs(args.timeout),
            args.output,
        )
    }

    /// To the Reeve that runs in a home, whatever the environment says.
    pub fn of_home(home: &Home, args: &SessionArgs) -> Result<Self> {
        let path = home.env_file();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut endpoints = parse_env(&text);
        let key = endpoints
            .remove("REEVE_API_KEY")
            .context("the env file has no API key")?;
        Self::new(
            &key,
            endpoints,
            Duration::from_secs(args.timeout),
            args.output,
        )
    }

    /// The addresses, as environment variables for a client in another process.
    pub fn variables(&self) -> &HashMap<String, String> {
        &self.endpoints
    }

    /// With everything given.
    pub fn new(
        key: &str,
        endpoints: HashMap<String, String>,
        timeout: Duration,
        output: Format,
    ) -> Result<Self> {
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {key}")
            .parse()
            .context("the API key has characters no key has")?;
        bearer.set_sensitive(true);
        Ok(Self {
            bearer,
            endpoints,
            timeout,
            reached: Arc::default(),
            output,
        })
    }

    /// A connection that opens at the first call.
    pub fn channel(&self, service: Service) -> Result<Channel> {
        let variable = service.variable();
        let Some(address) = self.endpoints.get(variable) else {
            bail!(Wrong(format!(
                "no address: set {variable}=host:port, or start a Reeve here with `make up`"
            )));
        };
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .with_context(|| Wrong(format!("{variable} must be host:port, not {address:?}")))?;
        Ok(endpoint
            .connect_timeout(Duration::from_secs(3))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .connect_lazy())
    }

    /// A call with the credential and the deadline.
    pub fn request<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = self.stream(message);
        request.set_timeout(self.timeout);
        request
    }

    /// How long a call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The answer of a service, or why there is none, as people read it.
    pub fn answer<M>(
        &self,
        service: Service,
        result: Result<tonic::Response<M>, Status>,
    ) -> Result<M> {
        if result
            .as_ref()
            .map_or_else(|status| !status.details().is_empty(), |_| true)
        {
            self.reached.fetch_or(service.bit(), Ordering::Relaxed);
        }
        result
            .map(tonic::Response::into_inner)
            .map_err(|status| self.explain(service, &status))
    }

    /// Whether a service has answered anything.
    pub fn was_reached(&self, service: Service) -> bool {
        self.reached.load(Ordering::Relaxed) & service.bit() != 0
    }

    /// A status as an error. A service that was not reached is named with its address.
    pub fn explain(&self, service: Service, status: &Status) -> anyhow::Error {
        let mut fault = Fault::from(status);
        let was_reached = !status.details().is_empty();
        if was_reached || status.code() != tonic::Code::Unavailable {
            return fault.into();
        }
        let mut cause = std::error::Error::source(status);
        while let Some(error) = cause {
            // The innermost is the one that says something, such as "connection refused".
            fault = Fault::new(fault.code(), fault.reason(), error.to_string());
            cause = error.source();
        }
        let address = self.endpoints.get(service.variable());
        let address = address.map_or("no address", String::as_str);
        anyhow::Error::new(fault).context(format!(
            "cannot reach {} at {address} ({})",
            service.name(),
            service.variable()
        ))
    }

    /// A call without a deadline, for streams.
    pub fn stream<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        request
    }
}

/// The answer of a call, or its fault as people read it.
pub fn answer<M>(result: Result<tonic::Response<M>, tonic::Status>) -> Result<M> {
    result
        .map(tonic::Response::into_inner)
        .map_err(|status| Fault::from(&status).into())
}

fn parse_env(text: &str) -> HashMap<String, String> {
    let lines = text
        .lines()
        .map(|line| line.strip_prefix("export ").unwrap_or(line));
    let pairs = lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_shell_would_source() {
        let pairs = parse_env("# a comment = not a pair\nexport A=1\nB=2\n\n");
        assert_eq!(
            pairs,
            HashMap::from([("A".into(), "1".into()), ("B".into(), "2".into())])
        );
    }
}
