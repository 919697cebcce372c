//! Definitions.

use chrono::{DateTime, Utc};
use reeve_ids::{Uuid, WorkflowId};
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Corrupt, digest};
use crate::domain::canonical::Digest;
use crate::domain::definition::Definition;

/// A row of `workflow_version` with its workflow's name.
#[derive(Debug, FromRow)]
pub struct WorkflowRow {
    workflow_id: Uuid,
    version: i32,
    latest_version: i32,
    digest: Vec<u8>,
    definition: Json<Definition>,
    created_by: String,
    first_time: DateTime<Utc>,
    create_time: DateTime<Utc>,
}

/// A published version.
#[derive(Debug, Clone)]
pub struct Published {
    /// The workflow.
    pub id: WorkflowId,
    /// Its version.
    pub version: i32,
    /// Whether it is the newest.
    pub is_latest: bool,
    /// Digest of the definition.
    pub digest: Digest,
    /// What was published.
    pub definition: Definition,
    /// By whom.
    pub created_by: String,
    /// When version 1 was.
    pub first_time: DateTime<Utc>,
    /// When this version was.
    pub create_time: DateTime<Utc>,
}

impl TryFrom<WorkflowRow> for Published {
    type Error = Corrupt;

    fn try_from(row: WorkflowRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: WorkflowId::from_uuid(row.workflow_id),
            version: row.version,
            is_latest: row.version == row.latest_version,
            digest: digest("workflow_version", "digest", row.workflow_id, &row.digest)?,
            definition: row.definition.0,
            created_by: row.created_by,
            first_time: row.first_time,
            create_time: row.create_time,
        })
    }
}
