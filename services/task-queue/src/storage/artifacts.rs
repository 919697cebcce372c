//! What attempts made and what is kept elsewhere.

use chrono::{DateTime, Utc};
use reeve_ids::{TaskId, TenantId};
use sqlx::{FromRow, PgConnection};

use crate::Error;
use crate::domain::Artifact;

/// What one attempt made.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The owner.
    pub tenant_id: TenantId,
    /// The task.
    pub task_id: TaskId,
    /// The attempt.
    pub attempt: i32,
    /// What it made.
    pub artifacts: &'a [Artifact],
}

/// Stores what attempts made.
///
/// # Errors
/// When the database refuses.
pub async fn insert_artifacts(
    connection: &mut PgConnection,
    made: &[Made<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let all: Vec<_> = made
        .iter()
        .flat_map(|made| {
            (0_i32..)
                .zip(made.artifacts)
                .map(move |(at, one)| (made, at, one))
        })
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&Artifact) -> &String| -> Vec<&str> {
        all.iter().map(|(.., one)| of(one).as_str()).collect()
    };
    sqlx::query(include_str!("queries/task_artifact/insert.sql"))
        .bind(
            all.iter()
                .map(|(made, ..)| made.task_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            all.iter()
                .map(|(made, ..)| made.attempt)
                .collect::<Vec<_>>(),
        )
        .bind(all.iter().map(|(_, at, _)| *at).collect::<Vec<_>>())
        .bind(
            all.iter()
                .map(|(made, ..)| made.tenant_id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(text(|one| &one.name))
        .bind(text(|one| &one.uri))
        .bind(text(|one| &one.media_type))
        .bind(
            all.iter()
                .map(|(.., one)| one.size_bytes)
                .collect::<Vec<_>>(),
        )
        .bind(text(|one| &one.sha256))
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Debug, FromRow)]
struct ArtifactRow {
    attempt: i32,
    name: String,
    uri: String,
    media_type: String,
    size_bytes: i64,
    sha256: String,
    create_time: DateTime<Utc>,
}

/// What the attempts of a task have made, each with the attempt and when it said so.
///
/// # Errors
/// When the database refuses.
pub async fn artifacts_of(
    connection: &mut PgConnection,
    tenant: TenantId,
    task: TaskId,
) -> Result<Vec<(Artifact, i32, DateTime<Utc>)>, Error> {
    let rows: Vec<ArtifactRow> = sqlx::query_as(include_str!("queries/task_artifact/of_task.sql"))
        .bind(task.uuid())
        .bind(tenant.uuid())
        .fetch_all(connection)
        .await?;
    let artifact = |row: ArtifactRow| {
        let artifact = Artifact {
            name: row.name,
            uri: row.uri,
            media_type: row.media_type,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
        };
        (artifact, row.attempt, row.create_time)
    };
    Ok(rows.into_iter().map(artifact).collect())
}
