//! An incident with everything that belongs to it.

use chrono::{DateTime, Utc};
use reeve_auth::Caller;
use reeve_ids::{IncidentId, TenantId};
use reeve_postgres::Tx;
use sqlx::PgConnection;

use super::Operations;
use crate::domain::evidence::Evidence;
use crate::domain::incident::Incident;
use crate::domain::timeline::{TimelineEvent, is_proven};
use crate::error::Error;
use crate::storage::parts::Parts;
use crate::storage::{evidence, incidents, parts, timeline};

/// Entries of the timeline that come with an incident.
const NEWEST_ENTRIES: i64 = 100;

/// An incident, whole.
#[derive(Debug, Clone)]
pub struct View {
    /// Its row.
    pub incident: Incident,
    /// Impacts, actions, communications.
    pub parts: Parts,
    /// The newest entries, oldest first.
    pub timeline: Vec<TimelineEvent>,
    /// Whether these entries are whole, and all that there should be.
    pub intact: bool,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// When it was read.
    pub now: DateTime<Utc>,
}

impl View {
    /// Reads what belongs to an incident.
    pub async fn of(
        connection: &mut PgConnection,
        incident: Incident,
        entries: i64,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let (tenant, id) = (incident.tenant_id, incident.id);
        let timeline = timeline::newest(connection, tenant, id, entries).await?;
        let end = (incident.timeline_count, &incident.timeline_hash);
        Ok(Self {
            parts: parts::list(connection, tenant, id).await?,
            intact: is_proven(&timeline, end, entries),
            timeline,
            evidence: evidence::list(connection, tenant, id).await?,
            incident,
            now,
        })
    }

    /// As [`View::of`], with as many entries as an answer holds.
    pub async fn for_answer(
        connection: &mut PgConnection,
        incident: Incident,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        Self::of(connection, incident, NEWEST_ENTRIES, now).await
    }
}

/// Reads an incident or says that there is none.
pub(super) async fn find(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: IncidentId,
) -> Result<Incident, Error> {
    incidents::get(connection, tenant, id)
        .await?
        .ok_or_else(|| Error::no_incident(id))
}

impl Operations {
    /// A transaction whose statements all see the same moment. A view is read in several
    /// statements: without this, a change between two of them would make the timeline's end differ
    /// from what the incident's row says, and an intact timeline look tampered with.
    pub(super) async fn snapshot(&self, tenant: TenantId) -> Result<Tx, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        sqlx::raw_sql("set transaction isolation level repeatable read, read only")
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }

    /// Reads one incident.
    pub async fn get_incident(&self, caller: &Caller, id: IncidentId) -> Result<View, Error> {
        let mut tx = self.snapshot(caller.tenant()).await?;
        let incident = find(&mut tx, caller.tenant(), id).await?;
        View::for_answer(&mut tx, incident, self.now()).await
    }

    /// Reads entries of a timeline after a number.
    pub async fn list_timeline(
        &self,
        caller: &Caller,
        id: IncidentId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<TimelineEvent>, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        find(&mut tx, caller.tenant(), id).await?;
        Ok(timeline::list(&mut tx, caller.tenant(), id, after, limit).await?)
    }
}
