//! Pausing, resuming and cancelling.

use std::sync::Arc;

use reeve_ids::{ExecutionId, TenantId};

use super::engine::{Author, Engine, Planned};
use super::held::Held;
use crate::domain::event::Event;
use crate::error::Error;
use crate::storage::rows::Stored;

impl Engine {
    /// Applies what a caller asks of an execution.
    ///
    /// # Errors
    /// When there is none such, it has another etag, or its lifecycle forbids it.
    pub async fn control_execution(
        &self,
        tenant: TenantId,
        author: &Author,
        id: ExecutionId,
        etag: Option<i64>,
        event: Event,
    ) -> Result<(Stored, Arc<Planned>), Error> {
        let controlled = self.control(tenant, author, id, etag, event).await;
        match controlled {
            Err(error @ Error::NotFound { .. }) => Err(error),
            // It is failed, so it does not go on; the caller is told of the error all the same.
            Err(error) if error.is_permanent() => {
                tracing::error!(%error, execution = %id, "the execution cannot be controlled");
                self.or_abandon(tenant, id, Err(error)).await?;
                Err(Error::Poisoned(id))
            }
            controlled => controlled,
        }
    }

    async fn control(
        &self,
        tenant: TenantId,
        author: &Author,
        id: ExecutionId,
        etag: Option<i64>,
        event: Event,
    ) -> Result<(Stored, Arc<Planned>), Error> {
        let held = Held::lock(self, tenant, id).await?;
        let mut held = held.ok_or_else(|| not_found(id))?;
        let current = held.stored.tip.sequence;
        if etag.is_some_and(|etag| etag != current) {
            return Err(Error::EtagMismatch { id, current });
        }
        held.apply(event, author).await?;
        held.commit().await
    }
}

pub(super) fn not_found(id: ExecutionId) -> Error {
    Error::NotFound {
        kind: "execution",
        name: id.to_string(),
    }
}
