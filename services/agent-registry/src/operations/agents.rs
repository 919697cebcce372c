//! GetAgent and ListAgents.

use reeve_ids::{AgentId, TenantId, Uuid};
use semver::{Version, VersionReq};

use super::{Context, View};
use crate::domain::agent::Agent;
use crate::error::Error;
use crate::storage::agents::{self, Selection};

/// Rounds that one page may take when a version range leaves few of the rows read.
const ROUNDS: usize = 8;

/// Which agents to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// What the database can decide.
    pub selection: Selection,
    /// The versions of the selected capability that will do.
    pub versions: Option<VersionReq>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The agents, in order of id.
    pub views: Vec<View>,
    /// After which id the next page begins; nothing on the last.
    pub next: Option<Uuid>,
}

/// Reads one agent.
pub async fn get(context: &Context, tenant: TenantId, id: AgentId) -> Result<View, Error> {
    let mut tx = context.database.tenant(tenant).await?;
    let found = agents::get(&mut tx, tenant, id).await?;
    let (agent, status) = found.ok_or_else(|| Error::no_agent(id))?;
    Ok(context.view(agent, status))
}

/// Reads the agents after an id, at most `size`. Versions are compared here, since SQL does not know
/// semantic versions, and large agents end a read early; so a page may be short without being the
/// last.
pub async fn list(
    context: &Context,
    tenant: TenantId,
    query: &Query,
    mut after: Option<Uuid>,
    size: usize,
) -> Result<Page, Error> {
    let mut tx = context.database.tenant(tenant).await?;
    let mut views: Vec<View> = Vec::new();
    for _ in 0..ROUNDS {
        let limit = size - views.len();
        let (rows, more) = agents::list(&mut tx, tenant, after, &query.selection, limit).await?;
        let is_cut = more && rows.len() < limit;
        after = rows.last().map(|(agent, _)| agent.id.uuid()).or(after);
        let matching = rows.into_iter().filter(|(agent, _)| offers(agent, query));
        views.extend(matching.map(|(agent, status)| context.view(agent, status)));
        if !more {
            return Ok(Page { views, next: None });
        }
        if views.len() >= size || is_cut {
            break;
        }
    }
    Ok(Page { views, next: after })
}

/// Whether the agent offers a version in the range. A capability without a version counts as 0.0.0.
fn offers(agent: &Agent, query: &Query) -> bool {
    let (Some(name), Some(range)) = (&query.selection.capability, &query.versions) else {
        return true;
    };
    agent
        .spec
        .capabilities
        .iter()
        .filter(|capability| capability.name == *name)
        .any(|capability| {
            let version = Version::parse(&capability.version).unwrap_or(Version::new(0, 0, 0));
            range.matches(&version)
        })
}
