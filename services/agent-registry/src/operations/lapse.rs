//! What follows from silence: leases that have run out, and when not to believe them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reeve_events::{Actor, NewEvent};
use reeve_ids::{AgentId, TenantId};
use reeve_redis::{Error as LeaseError, Lapsed};

use super::{Context, SERVICE, events};
use crate::domain::agent::Agent;
use crate::domain::brake::{Cause, Sight};
use crate::domain::state::AgentState;
use crate::error::Error;
use crate::storage::agents;

/// Lapsed leases that one transaction handles.
const BATCH: usize = 200;
/// Agents that one round of a rebuild reads.
const PAGE: i64 = 1_000;
/// How long the right to rebuild lasts unless it is prolonged.
const REBUILD_SPAN: Duration = Duration::from_secs(30);

/// A lease's name: agent and process, so that a new process has a lease of its own.
pub fn lease_name(id: AgentId, epoch: i64) -> String {
    format!("{id}/{epoch}")
}

fn process_of(lease: &Lapsed) -> Option<(AgentId, i64)> {
    let (id, epoch) = lease.id.split_once('/')?;
    Some((id.parse().ok()?, epoch.parse().ok()?))
}

/// Looks at the leases. Ones that were lost are made anew from the database first, each with the
/// whole grace period.
pub async fn look(context: &Context) -> Result<Sight, Error> {
    match sight(context).await {
        Err(error) if error.is_transient() => Ok(Sight::Unreachable),
        Err(LeaseError::Rebuild) => rebuild(context).await,
        answer => Ok(answer?),
    }
}

async fn sight(context: &Context) -> Result<Sight, LeaseError> {
    context.leases.generation().verify().await?;
    let count = context.leases.count().await?;
    let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(Sight::Leases {
        held: number(count.total),
        lapsed: number(count.expired),
    })
}

async fn rebuild(context: &Context) -> Result<Sight, Error> {
    match refill(context).await {
        // A first start has no leases to lose.
        Ok(Some(0)) => Ok(Sight::Leases { held: 0, lapsed: 0 }),
        Ok(count) => {
            tracing::warn!(agents = count, "leases were lost and are made anew");
            Ok(Sight::Emptied)
        }
        Err(Error::Leases(error)) if error.is_transient() => Ok(Sight::Unreachable),
        Err(Error::Leases(LeaseError::Rebuild)) => Ok(Sight::Emptied),
        Err(error) => Err(error),
    }
}

/// How many leases were made anew; nothing while another replica does it.
async fn refill(context: &Context) -> Result<Option<usize>, Error> {
    let Some(right) = context.leases.generation().begin(REBUILD_SPAN).await? else {
        return Ok(None);
    };
    let count = grant_all(context, context.heartbeat.grace, Grant::Renew).await?;
    context.leases.generation().finish(right).await?;
    Ok(Some(count))
}

/// Grants a lease to every process that owes heartbeats and has none: after a crash between a
/// registration and its lease, for example. Without a lease nothing would ever lapse.
pub async fn grant_missing(context: &Context) -> Result<(), Error> {
    let span = context
        .lease_span()
        .to_std()
        .unwrap_or(context.heartbeat.lease);
    match grant_all(context, span, Grant::IfMissing).await {
        Err(Error::Leases(error)) if error.is_transient() => Ok(()),
        answer => answer.map(drop),
    }
}

#[derive(Clone, Copy)]
enum Grant {
    Renew,
    IfMissing,
}

async fn grant_all(context: &Context, span: Duration, grant: Grant) -> Result<usize, Error> {
    let mut count = 0;
    let mut after = None;
    loop {
        let pool = context.database.internal_pool();
        let page = agents::owing_heartbeats(pool, after, PAGE).await?;
        let leases: Vec<_> = page
            .iter()
            .map(|(id, epoch)| (lease_name(*id, *epoch), span))
            .collect();
        match grant {
            Grant::Renew => context.leases.renew(&leases).await?,
            Grant::IfMissing => context.leases.grant(&leases).await?,
        }
        count += page.len();
        match page.last() {
            Some((id, _)) if i64::try_from(page.len()).is_ok_and(|n| n == PAGE) => {
                after = Some(id.uuid());
            }
            _ => return Ok(count),
        }
    }
}

/// Tells every tenant with agents that owe heartbeats that silence means nothing until `until`.
pub async fn suspend(context: &Context, cause: Cause, until: DateTime<Utc>) -> Result<(), Error> {
    tracing::warn!(cause = cause.as_str(), %until, "expiry of heartbeat leases is suspended");
    let (actor, now) = (Actor::service(SERVICE), context.now());
    let mut tx = context.database.internal().await?;
    let tenants: Vec<TenantId> = agents::owing_tenants(&mut tx).await?;
    let told = tenants
        .into_iter()
        .map(|tenant| events::expiry_suspended(tenant, &actor, now, cause, until));
    let told: Vec<NewEvent> = told.collect();
    context.commit(tx, told).await
}

/// What became of a batch of lapsed leases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Agents that were declared lost.
    pub lost: usize,
    /// Whether there may be more.
    pub more: bool,
}

/// Believes a batch of lapsed leases.
pub async fn expire(context: &Context) -> Result<Expired, Error> {
    let lapsed = match context.leases.expired(BATCH).await {
        // The next look rebuilds, or waits.
        Err(LeaseError::Rebuild) => return Ok(Expired::default()),
        Err(error) if error.is_transient() => return Ok(Expired::default()),
        answer => answer?,
    };
    let (alive, silent) = sort(context, &lapsed);
    let lost = declare_lost(context, &silent).await?;
    // After the commit: a crash in between shows the same leases again, which then change nothing.
    // Whoever still owes heartbeats was being changed by somebody else: the next look decides.
    let owing = match silent.as_slice() {
        [] => Vec::new(),
        silent => agents::still_owing(context.database.internal_pool(), silent).await?,
    };
    let kept: HashSet<_> = alive.iter().chain(&owing).copied().collect();
    let forgettable: Vec<Lapsed> = lapsed
        .iter()
        .filter(|lease| process_of(lease).is_none_or(|process| !kept.contains(&process)))
        .cloned()
        .collect();
    context.fleet.return_renewals(alive);
    let more = lapsed.len() == BATCH && !forgettable.is_empty();
    match context.leases.forget(&forgettable).await {
        Err(error) if error.is_transient() => Ok(Expired { lost, more: false }),
        answer => answer.map(|_| Expired { lost, more }).map_err(Error::from),
    }
}

type Processes = Vec<(AgentId, i64)>;

/// Those that this process has heard of and Redis has not yet, and the silent ones.
fn sort(context: &Context, lapsed: &[Lapsed]) -> (Processes, Processes) {
    let (now, span) = (context.now(), context.lease_span());
    lapsed
        .iter()
        .filter_map(process_of)
        .partition(|(id, epoch)| context.fleet.heard(*id, *epoch, now, span))
}

/// One transaction: every silent process that is still its agent's current one changes its agent's
/// state. A process that registered again meanwhile has another epoch and is left alone.
async fn declare_lost(context: &Context, silent: &[(AgentId, i64)]) -> Result<usize, Error> {
    if silent.is_empty() {
        return Ok(0);
    }
    let last_heartbeats = last_heartbeats(context, silent).await?;
    let (actor, now) = (Actor::service(SERVICE), context.now());
    let mut tx = context.database.internal().await?;
    let mut lost = agents::lock_lapsed(&mut tx, silent).await?;
    let mut written = Vec::new();
    for agent in &mut lost {
        let last = last_heartbeats.get(&agent.id).copied();
        written.extend(lose(agent, last, &actor, now)?);
        agents::save(&mut tx, agent).await?;
    }
    context.commit(tx, written).await?;
    for agent in &lost {
        let (id, tenant, state) = (agent.id, agent.tenant_id, agent.state);
        tracing::info!(agent = %id, %tenant, %state, "heartbeats stopped");
        context.committed(agent);
    }
    // A process that ends as announced is no loss.
    let count = lost
        .iter()
        .filter(|agent| agent.state == AgentState::Error)
        .count();
    context
        .counters
        .lapses
        .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    Ok(count)
}

fn lose(
    agent: &mut Agent,
    last_heartbeat_time: Option<DateTime<Utc>>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<NewEvent>, Error> {
    let Some(next) = agent.state.lapse() else {
        return Ok(Vec::new());
    };
    let reason = match next {
        AgentState::Offline => "the process ended",
        _ => "heartbeats stopped",
    };
    let id = agent.id;
    let made = agent
        .transition(next, reason, now)
        .map_err(|refused| Error::Forbidden {
            agent: id,
            from: refused.from,
            to: refused.to,
        })?;
    let mut written = vec![events::transitioned(agent, actor, now, &made)];
    if next == AgentState::Error {
        written.push(events::heartbeat_lost(
            agent,
            actor,
            now,
            &made,
            last_heartbeat_time,
        ));
    }
    Ok(written)
}

async fn last_heartbeats(
    context: &Context,
    silent: &[(AgentId, i64)],
) -> Result<HashMap<AgentId, DateTime<Utc>>, Error> {
    let ids: Vec<AgentId> = silent.iter().map(|(id, _)| *id).collect();
    let members = agents::members(context.database.internal_pool(), &ids).await?;
    let known = members.into_iter().filter_map(|member| {
        let mut status = member.status;
        context.fleet.overlay(member.id, member.epoch, &mut status);
        Some((member.id, status.last_heartbeat_time?))
    });
    Ok(known.collect())
}
