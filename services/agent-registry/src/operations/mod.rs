//! One file for each verb; each is one transaction: lock, pure transition, save with events, commit,
//! wake.

pub mod agents;
pub mod api_keys;
pub mod bootstrap;
pub mod delete_agent;
mod events;
pub mod heartbeat;
pub mod lapse;
pub mod register_agent;
mod repeat;
pub mod tenants;
pub mod transition_agent;
pub mod update_agent;
pub mod watch;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_clock::Clock;
use reeve_events::{NewEvent, Wake};
use reeve_ids::{AgentId, TenantId};
use reeve_postgres::{Database, Tx};
use reeve_redis::Leases;
use sqlx::PgConnection;

use crate::config::HeartbeatConfig;
use crate::credentials::Credentials;
use crate::domain::agent::Agent;
use crate::domain::workload::Status;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::metrics::Counters;
use crate::storage::agents as agents_table;
use crate::storage::rows::Member;
use crate::tail::Tail;

/// The name under which this service writes events.
pub const SERVICE: &str = "agent-registry";

/// What operations work with.
pub struct Context {
    /// The service's schema.
    pub database: Database,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Makes the relay run after a commit.
    pub wake: Wake,
    /// The agents that this process has heard of.
    pub fleet: Fleet,
    /// Who is still alive, for all replicas.
    pub leases: Leases,
    /// Resolved API keys.
    pub credentials: Credentials,
    /// The newest events of this service.
    pub tail: Tail,
    /// How often agents report.
    pub heartbeat: HeartbeatConfig,
    /// What is counted.
    pub counters: Counters,
}

/// An agent as it is shown: what is stored with the latest that is known from heartbeats.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// What is stored.
    pub agent: Agent,
    /// What its heartbeats said.
    pub status: Status,
}

impl Context {
    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Writes the events, commits, and makes the relay run.
    pub async fn commit(&self, mut tx: Tx, events: Vec<NewEvent>) -> Result<(), Error> {
        reeve_events::append(&mut tx, SERVICE, events).await?;
        tx.commit().await?;
        self.wake.notify();
        Ok(())
    }

    /// Takes note of a committed change, so that the next heartbeat is judged by it.
    pub fn committed(&self, agent: &Agent) {
        self.fleet.update(member(agent, Status::default()));
        if agent.state.lapse().is_none() {
            self.fleet.release(agent.id, agent.epoch);
        }
    }

    /// Takes note of a new process: its heartbeats will come, most likely here, and the one that it
    /// replaced owes none.
    pub fn registered(&self, agent: &Agent, status: Status) {
        self.fleet.install(member(agent, status));
        self.fleet.release(agent.id, agent.epoch - 1);
        if agent.state.lapse().is_some() {
            self.fleet.grant(agent.id, agent.epoch);
        }
    }

    /// The agent with what this process knows from heartbeats laid over what is stored.
    pub fn view(&self, agent: Agent, mut status: Status) -> View {
        self.fleet.overlay(agent.id, agent.epoch, &mut status);
        View { agent, status }
    }

    /// How long until the next heartbeat. Grows with the fleet, so that heartbeats stay below what
    /// one process is meant to take; replicas share a fleet, so this errs on the calm side.
    pub fn heartbeat_interval(&self) -> TimeDelta {
        let agents = i32::try_from(self.fleet.size()).unwrap_or(i32::MAX);
        self.heartbeat.interval_for(agents)
    }

    /// How long a lease lasts without a heartbeat.
    pub fn lease_span(&self) -> TimeDelta {
        self.heartbeat.lease_for(self.heartbeat_interval())
    }
}

fn member(agent: &Agent, status: Status) -> Member {
    Member {
        id: agent.id,
        tenant_id: agent.tenant_id,
        epoch: agent.epoch,
        state: agent.state,
        version: agent.version,
        status,
    }
}

/// An agent as this transaction leaves it. It is read before the commit: after it, a failure to read
/// would look as if nothing had been written.
async fn read_back(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: AgentId,
) -> Result<(Agent, Status), Error> {
    let found = agents_table::get(connection, tenant, id).await?;
    found.ok_or_else(|| Error::no_agent(id))
}

/// Refuses a stale etag; an empty one means that whatever is there is meant.
fn check_etag(agent: &Agent, etag: &str) -> Result<(), Error> {
    let current = agent.etag();
    if etag.is_empty() || etag == current {
        return Ok(());
    }
    Err(Error::EtagMismatch {
        agent: agent.id,
        current,
    })
}
