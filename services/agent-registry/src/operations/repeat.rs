//! Recognising a repeated request.

use chrono::{DateTime, Utc};
use reeve_ids::TenantId;
use sqlx::PgConnection;

use crate::error::Error;
use crate::storage::requests::{self, Earlier, RequestKey};

/// What an earlier request with this id made, if there was one; else the id is claimed.
///
/// # Errors
/// When the earlier one had another body.
pub async fn earlier(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: Option<&RequestKey>,
    now: DateTime<Utc>,
) -> Result<Option<Earlier>, Error> {
    let Some(key) = key else {
        return Ok(None);
    };
    match requests::claim(connection, tenant, key, now).await? {
        Some(earlier) if earlier.body_digest != key.body_digest => {
            Err(Error::RequestIdReused(key.request_id.clone()))
        }
        answer => Ok(answer),
    }
}
