//! Tells an agent of cancellations.

use std::collections::HashSet;
use std::sync::Arc;

use reeve_contracts::task::v1 as proto;
use reeve_contracts::task::v1::work_response::Message as Say;
use reeve_redis::Wakeup;

use super::Session;
use crate::domain::LeaseToken;
use crate::grpc::portions::portions;
use crate::grpc::render;
use crate::{Error, storage};

impl Session {
    /// Tells of cancellations until the session is over. `wakeup` was subscribed to before the first
    /// lease was known here.
    pub(super) async fn cry(self: Arc<Self>, mut wakeup: Wakeup) {
        let mut told = HashSet::new();
        loop {
            tokio::select! {
                () = wakeup.woken() => {}
                () = self.held_more.notified() => {}
                () = self.over.cancelled() => return,
            }
            match self.cancellations(&mut told).await {
                Ok(leases) => {
                    for leases in portions(leases) {
                        self.say(Say::Cancel(proto::Cancel { leases })).await;
                    }
                }
                // The next heartbeat tells of it.
                Err(error) => tracing::debug!(%error, "cancellations are not known"),
            }
        }
    }

    /// Leases of this stream that are to be let go or were taken away, each told once.
    async fn cancellations(
        &self,
        told: &mut HashSet<LeaseToken>,
    ) -> Result<Vec<proto::LeaseRenewal>, Error> {
        let held = self.held();
        told.retain(|token| held.contains(token));
        let ids: Vec<_> = held.iter().map(|token| token.task_id).collect();
        let pool = self.queue.shared.database.internal_pool();
        let standing = storage::standing_of(pool, self.ask.tenant_id, &ids).await?;
        let mut leases = Vec::new();
        for token in held {
            let row = standing.iter().find(|row| row.is_of(token)).cloned();
            match &row {
                Some(row) if !row.cancel_requested => continue,
                // Unless it ended on this stream meanwhile, which the agent knows.
                None if !self.let_go(token) => continue,
                None | Some(_) => {}
            }
            if told.insert(token) {
                leases.push(render::renewal(token.to_string(), row));
            }
        }
        Ok(leases)
    }
}
