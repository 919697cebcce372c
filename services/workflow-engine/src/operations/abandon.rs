//! Ending an execution that the engine cannot go on with: its rows or its definition cannot be read,
//! or the database refuses what follows from them. Trying again would meet the same error for ever,
//! and everybody else's executions behind it.

use reeve_ids::{ExecutionId, TenantId};

use super::engine::{Author, Engine};
use super::held::Held;
use crate::error::Error;
use crate::storage::commands;

impl Engine {
    /// The result of a transition. An error that would repeat itself fails the execution.
    ///
    /// # Errors
    /// Those that may pass; and those that ending the execution meets.
    pub async fn or_abandon(
        &self,
        tenant: TenantId,
        id: ExecutionId,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        match result {
            Err(error) if error.is_permanent() => {
                tracing::error!(%error, execution = %id, "the execution cannot go on and is failed");
                self.counters.poisoned.inc();
                self.abandon(tenant, id).await
            }
            other => other,
        }
    }

    /// Puts away news that can never be applied.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn bury(
        &self,
        tenant: TenantId,
        id: ExecutionId,
        (step_id, attempt): (&str, u32),
        sequence: i64,
        cause: &Error,
    ) -> Result<(), Error> {
        tracing::error!(%cause, execution = %id, step_id, attempt, "news are put away");
        let mut tx = self.database.tenant(tenant).await?;
        let cause = cause.to_string();
        commands::bury(&mut tx, tenant, id, (step_id, attempt), sequence, &cause).await?;
        tx.commit().await?;
        self.counters.buried.inc();
        Ok(())
    }

    async fn abandon(&self, tenant: TenantId, id: ExecutionId) -> Result<(), Error> {
        let Some(mut held) = Held::lock_bare(self, tenant, id).await? else {
            return Ok(());
        };
        held.abandon(&Author::engine()).await?;
        held.commit().await?;
        Ok(())
    }
}
