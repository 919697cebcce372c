//! WatchIncidents: incidents as they change.

use std::collections::BTreeSet;

use reeve_auth::Caller;
use reeve_contracts::incident::v1::WatchIncidentsResponse;
use reeve_ids::Uuid;
use reeve_runtime::answer;
use reeve_status::Fault;

use super::render::incidents as render;
use crate::operations::events::Batch;
use crate::operations::{IncidentFilter as Filter, Operations};

/// The incidents that a batch of events tells of, as they are now, and the batch cut to those whose
/// incidents fit into a message.
pub async fn changed(
    operations: Operations,
    caller: Caller,
    filter: Filter,
    mut batch: Batch,
) -> Result<(WatchIncidentsResponse, Batch), Fault> {
    loop {
        let ids: BTreeSet<Uuid> = batch
            .entries
            .iter()
            .filter_map(|entry| entry.fact.resource_id.parse().ok())
            .collect();
        let now = operations.now();
        let found = operations
            .incidents_by_id(&caller, &filter, ids.into_iter().collect())
            .await?;
        let incidents = answer::fit(&found, |incident| render::basic(incident, now));
        if incidents.len() < found.len() {
            batch.keep(batch.entries.len() / 2);
            continue;
        }
        let message = WatchIncidentsResponse {
            cursor: batch.cursor.to_string(),
            incidents,
            caught_up: batch.caught_up,
        };
        return Ok((message, batch));
    }
}
