//! The lane of renewals.

use std::collections::HashMap;

use reeve_ids::TenantId;

use super::Flush;
use crate::Error;
use crate::core::Shared;
use crate::storage::{self, Renewal, Renewed};

/// Writes renewals. Nothing comes of a lost one, so there is no event.
pub struct RenewFlush {
    /// What the service shares.
    pub shared: Shared,
}

impl Flush for RenewFlush {
    type Item = Renewal;
    /// Nothing when the lease is lost.
    type Output = Option<Renewed>;
    const NAME: &'static str = "renew";

    fn tenant(item: &Renewal) -> TenantId {
        item.tenant_id
    }

    async fn flush(&self, items: &[Renewal]) -> Result<Vec<Result<Option<Renewed>, Error>>, Error> {
        let mut sorted = items.to_vec();
        sorted.sort_by_key(|renewal| (renewal.token, renewal.tenant_id));
        sorted.dedup_by_key(|renewal| (renewal.token, renewal.tenant_id));
        let now = self.shared.clock.now();
        let mut tx = self.shared.lane_transaction().await?;
        let rows = storage::renew(&mut tx, &sorted, now).await?;
        tx.commit().await?;
        let renewed: HashMap<_, _> = rows
            .into_iter()
            .map(|row| ((row.tenant_id, row.task_id, row.fence), row))
            .collect();
        let of = |item: &Renewal| {
            renewed
                .get(&(
                    item.tenant_id.uuid(),
                    item.token.task_id.uuid(),
                    item.token.fence,
                ))
                .cloned()
        };
        Ok(items.iter().map(|item| Ok(of(item))).collect())
    }
}
