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
    /// When there is none such, or its lifecycle forbids it.
    pub async fn control_execution(
        &self,
        tenant: TenantId,
        author: &Author,
        id: ExecutionId,
        event: Event,
    ) -> Result<(Stored, Arc<Planned>), Error> {
        let held = Held::lock(self, tenant, id).await?;
        let mut held = held.ok_or_else(|| not_found(id))?;
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
