//! UpdateAgent: chosen fields of what the last registration said.

use std::collections::BTreeMap;

use reeve_auth::Caller;
use reeve_events::Actor;
use reeve_ids::AgentId;
use serde_json::Value;

use super::{Context, View, check_etag, events, read_back};
use crate::domain::agent::Capability;
use crate::error::Error;
use crate::storage::agents;

/// The new values of the fields that change.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// What the agent can do.
    pub capabilities: Option<Vec<Capability>>,
    /// Short facts to select it by.
    pub labels: Option<BTreeMap<String, String>>,
    /// Free-form facts.
    pub metadata: Option<Value>,
    /// How many tasks it may run at once.
    pub max_concurrent_tasks: Option<i32>,
}

impl Change {
    fn fields(&self) -> Vec<&'static str> {
        [
            ("capabilities", self.capabilities.is_some()),
            ("labels", self.labels.is_some()),
            ("max_concurrent_tasks", self.max_concurrent_tasks.is_some()),
            ("metadata", self.metadata.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, changes)| changes.then_some(field))
        .collect()
    }
}

/// Changes the given fields.
pub async fn update(
    context: &Context,
    caller: &Caller,
    id: AgentId,
    change: Change,
    etag: &str,
) -> Result<View, Error> {
    let (tenant, now) = (caller.tenant(), context.now());
    let mut tx = context.database.tenant(tenant).await?;
    let mut agent = agents::lock(&mut tx, tenant, id)
        .await?
        .ok_or_else(|| Error::no_agent(id))?;
    check_etag(&agent, etag)?;
    let fields = change.fields();
    if let Some(capabilities) = change.capabilities {
        agent.spec.capabilities = capabilities;
    }
    if let Some(labels) = change.labels {
        agent.spec.labels = labels;
    }
    if let Some(metadata) = change.metadata {
        agent.spec.metadata = metadata;
    }
    if let Some(tasks) = change.max_concurrent_tasks {
        agent.spec.max_concurrent_tasks = tasks;
    }
    agent.touch(now);
    agents::save(&mut tx, &agent).await?;
    let event = events::updated(&agent, &Actor::from(caller), now, &fields);
    let (agent, status) = read_back(&mut tx, tenant, id).await?;
    context.commit(tx, vec![event]).await?;
    context.committed(&agent);
    Ok(context.view(agent, status))
}
