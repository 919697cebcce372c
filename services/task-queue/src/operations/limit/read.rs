//! GetLimit and ListLimits.

use reeve_ids::TenantId;
use reeve_status::Fault;

use crate::domain::Limit;
use crate::storage::limits::{self, Use};
use crate::{Error, Queue};

/// Allowances that are shown of one limit.
const SHOWN: i64 = 20;

/// A limit with what it is used for.
#[derive(Debug, Clone)]
pub struct LimitView {
    /// The limit.
    pub limit: Limit,
    /// The fullest of its allowances.
    pub uses: Vec<Use>,
}

/// A limit with its allowances.
///
/// # Errors
/// NOT_FOUND.
pub async fn get(queue: &Queue, tenant: TenantId, name: &str) -> Result<LimitView, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let limit = limits::get(&mut tx, tenant, name).await?;
        let limit = limit.ok_or_else(|| Error::NoLimit(name.to_owned()))?;
        let uses = limits::uses(&mut tx, tenant, name, SHOWN).await?;
        tx.commit().await?;
        Ok::<_, Error>(LimitView { limit, uses })
    };
    Ok(read.await?)
}

/// Limits by name, after one.
///
/// # Errors
/// UNAVAILABLE.
pub async fn list(
    queue: &Queue,
    tenant: TenantId,
    after: Option<&str>,
    most: i64,
) -> Result<Vec<Limit>, Fault> {
    let read = async {
        let mut tx = queue.shared.database.tenant(tenant).await?;
        let limits = limits::list(&mut tx, tenant, after, most).await?;
        tx.commit().await?;
        Ok::<_, Error>(limits)
    };
    Ok(read.await?)
}
