//! The whole platform: two servers, five services and the files that tell of them.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reeve_launcher::{Options, PrivateServers};
use reeve_postgres::AppPassword;

use super::Stop;
use super::children::ServiceChild;
use super::ports::{self, Choice, Ports, SERVICES};
use crate::home::{Home, Secrets, write_private};
use crate::schemas;

/// The database of the private PostgreSQL.
const DATABASE: &str = "reeve";
/// How often the servers are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// A running platform. Dropping it kills what is left of it.
pub struct Platform {
    home: Home,
    secrets: Secrets,
    choice: Choice,
    children: Vec<ServiceChild>,
    // After the services, which lose their connections otherwise.
    servers: PrivateServers,
}

impl Platform {
    /// Starts everything and waits until it is ready.
    pub async fn start(home: Home, port_offset: Option<u16>) -> Result<Self> {
        let options = Options::durable(home.servers(), home.tools());
        let servers =
            tokio::task::spawn_blocking(move || PrivateServers::start(&options)).await??;
        let _ = std::fs::remove_file(home.services_file());
        let secrets = Secrets::load(&home)?;
        let password = AppPassword::Set(secrets.app_password.clone());
        let all = schemas::all();
        reeve_postgres::ensure_database(&servers.postgres().admin_url("postgres"), DATABASE)
            .await
            .context("cannot create the database")?;
        reeve_postgres::migrate(
            &servers.postgres().admin_url(DATABASE),
            &all.iter().collect::<Vec<_>>(),
            &password,
        )
        .await
        .context("cannot prepare the database")?;
        let choice = ports::choose(port_offset)?;
        let mut children = Vec::new();
        for (index, ports) in choice.ports.into_iter().enumerate() {
            let variables = variables(&servers, &secrets, &choice.ports, index);
            children.push(ServiceChild::start(&home, index, ports, variables)?);
        }
        let mut platform = Self {
            home,
            secrets,
            choice,
            children,
            servers,
        };
        for child in &mut platform.children {
            child.ready(&platform.home).await?;
        }
        platform.write_env()?;
        platform.write_services()?;
        Ok(platform)
    }

    /// Address of a service as host:port.
    pub fn address(&self, index: usize) -> String {
        format!("127.0.0.1:{}", self.choice.ports[index].grpc)
    }

    /// Restarts what dies until a signal, then stops everything. It stops everything too when a
    /// server cannot be started again.
    pub async fn run(mut self, stop: &mut Stop, out: &mut impl Write) -> Result<()> {
        let mut looks = tokio::time::interval(LOOK_PERIOD);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let failure = loop {
            let notice = tokio::select! {
                () = stop.wait() => break None,
                notice = first_death(&mut self.children, &self.home) => notice,
                _ = looks.tick() => match self.revive_server() {
                    Ok(None) => continue,
                    Ok(Some(notice)) => notice,
                    Err(error) => break Some(error),
                },
            };
            // Neither a terminal that is gone nor a full disk is a reason to stop.
            let _ = writeln!(out, "{notice}");
            if let Err(error) = self.write_services() {
                let _ = writeln!(out, "{error:#}");
            }
        };
        let _ = writeln!(out, "stopping…");
        let stopped = self.stop().await;
        failure.map_or(stopped, Err)
    }

    /// Starts PostgreSQL or Redis again when it has ended, and says why it had.
    fn revive_server(&mut self) -> Result<Option<String>> {
        let ended = tokio::task::block_in_place(|| self.servers.revive())
            .context("a server has ended and cannot be started again")?;
        Ok(ended.map(|ended| format!("{ended}\nIt was started again.")))
    }

    /// Stops the services, then the servers.
    pub async fn stop(self) -> Result<()> {
        futures::future::join_all(self.children.into_iter().map(ServiceChild::stop)).await;
        let _ = std::fs::remove_file(self.home.services_file());
        let servers = self.servers;
        tokio::task::spawn_blocking(move || servers.stop()).await??;
        Ok(())
    }

    /// Tells a person where everything is.
    pub fn describe(&self, out: &mut impl Write) -> Result<()> {
        self.describe_ports(out)?;
        writeln!(
            out,
            "  PostgreSQL and Redis are private to this folder; logs are in {}",
            self.home.join("logs").display()
        )?;
        writeln!(
            out,
            "  source {}   gives a shell what clients need",
            self.home.env_file().display()
        )?;
        Ok(())
    }

    /// Tells which service listens where.
    pub fn describe_ports(&self, out: &mut impl Write) -> Result<()> {
        if let Some(notice) = &self.choice.notice {
            writeln!(out, "note: {notice}")?;
        }
        writeln!(out, "Reeve is up:")?;
        for (name, ports) in SERVICES.iter().zip(self.choice.ports) {
            writeln!(
                out,
                "  {name:<16} gRPC 127.0.0.1:{}   http://127.0.0.1:{}/metrics",
                ports.grpc, ports.admin
            )?;
        }
        Ok(())
    }

    fn write_env(&self) -> Result<()> {
        let mut text = String::from("# What a client of this Reeve needs. Holds a secret.\n");
        text.push_str(&format!(
            "export REEVE_API_KEY={}\n",
            self.secrets.admin_key
        ));
        for (index, name) in SERVICES.iter().enumerate() {
            let variable = name.to_uppercase().replace('-', "_");
            text.push_str(&format!(
                "export REEVE_{variable}={}\n",
                self.address(index)
            ));
        }
        write_private(&self.home.env_file(), &text)
    }

    fn write_services(&self) -> Result<()> {
        let rows: Vec<_> = self.children.iter().map(ServiceChild::row).collect();
        write_private(
            &self.home.services_file(),
            &serde_json::to_string_pretty(&rows)?,
        )
    }
}

/// Waits for the first child that dies, and starts it again.
async fn first_death(children: &mut [ServiceChild], home: &Home) -> String {
    let deaths = children
        .iter_mut()
        .map(|child| Box::pin(child.revive(home)));
    futures::future::select_all(deaths).await.0
}

/// The configuration of one service, as environment variables.
fn variables(
    servers: &PrivateServers,
    secrets: &Secrets,
    ports: &[Ports; 5],
    index: usize,
) -> Vec<(String, String)> {
    let role = format!("{}_app", SERVICES[index].replace('-', "_"));
    let database = servers
        .postgres()
        .url(&role, &secrets.app_password, DATABASE);
    let mut variables = vec![
        (
            "REEVE_GRPC__LISTEN".to_owned(),
            format!("127.0.0.1:{}", ports[index].grpc),
        ),
        (
            "REEVE_ADMIN__LISTEN".to_owned(),
            format!("127.0.0.1:{}", ports[index].admin),
        ),
        ("REEVE_DATABASE__URL".to_owned(), database),
        ("REEVE_REDIS__URL".to_owned(), servers.redis().url()),
        (
            "REEVE_AUTH__SERVICE_TOKEN_SECRET".to_owned(),
            secrets.service_token_secret.clone(),
        ),
        ("REEVE_DRAIN__NOTICE".to_owned(), "0s".to_owned()),
    ];
    for (peer, ports) in SERVICES.iter().zip(ports) {
        let key = format!("REEVE_PEERS__{}", peer.to_uppercase().replace('-', "_"));
        variables.push((key, format!("http://127.0.0.1:{}", ports.grpc)));
    }
    if index == 0 {
        variables.push((
            "REEVE_AUTH__API_KEY_PEPPER".to_owned(),
            secrets.api_key_pepper.clone(),
        ));
        variables.push((
            "REEVE_BOOTSTRAP__ADMIN_KEY".to_owned(),
            secrets.admin_key.clone(),
        ));
    }
    variables
}
