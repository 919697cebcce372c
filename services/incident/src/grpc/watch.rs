//! WatchIncidents: incidents as they change.

use std::collections::BTreeSet;

use reeve_auth::Caller;
use reeve_contracts::incident::v1::WatchIncidentsResponse;
use reeve_ids::Uuid;
use reeve_status::Fault;

use super::render::incidents as render;
use crate::operations::events::Batch;
use crate::operations::{IncidentFilter as Filter, Operations};

/// The incidents that a batch of events tells of, as they are now.
pub async fn changed(
    operations: Operations,
    caller: Caller,
    filter: Filter,
    batch: Batch,
) -> Result<WatchIncidentsResponse, Fault> {
    let ids: BTreeSet<Uuid> = batch
        .entries
        .iter()
        .filter_map(|entry| entry.fact.resource_id.parse().ok())
        .collect();
    let now = operations.now();
    let incidents = operations
        .incidents_by_id(&caller, &filter, ids.into_iter().collect())
        .await?;
    Ok(WatchIncidentsResponse {
        cursor: batch.cursor.to_string(),
        incidents: incidents
            .iter()
            .map(|incident| render::basic(incident, now))
            .collect(),
        caught_up: batch.caught_up,
    })
}
