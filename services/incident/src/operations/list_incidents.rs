//! Reading many incidents.

use reeve_auth::Caller;
use reeve_ids::Uuid;

use super::Operations;
use crate::domain::incident::Incident;
use crate::error::Error;
use crate::storage::incidents::{self, Filter, Page};

impl Operations {
    /// Incidents older than one, newest first.
    pub async fn list_incidents(
        &self,
        caller: &Caller,
        before: Option<Uuid>,
        filter: &Filter,
        limit: i64,
    ) -> Result<Vec<Incident>, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        let page = Page {
            before,
            filter,
            ids: None,
            now: self.now(),
            limit,
        };
        Ok(incidents::list(&mut tx, caller.tenant(), page).await?)
    }

    /// Those of the given incidents that pass a filter.
    pub async fn incidents_by_id(
        &self,
        caller: &Caller,
        filter: &Filter,
        ids: Vec<Uuid>,
    ) -> Result<Vec<Incident>, Error> {
        let limit = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.database.tenant(caller.tenant()).await?;
        let page = Page {
            before: None,
            filter,
            ids: Some(ids),
            now: self.now(),
            limit,
        };
        Ok(incidents::list(&mut tx, caller.tenant(), page).await?)
    }
}
