//! Publishing a definition.

use reeve_events::NewEvent;
use reeve_ids::TenantId;
use reeve_postgres::Tx;
use serde_json::json;

use super::engine::{Author, Engine, SERVICE};
use crate::domain::definition::Definition;
use crate::domain::plan::Plan;
use crate::domain::validate::Defect;
use crate::error::Error;
use crate::storage::rows::Published;
use crate::storage::workflows::{self, Publication, Which};

impl Engine {
    /// Publishes version 1 of a new name, or the next version. Content equal to the newest version's
    /// is that version.
    ///
    /// # Errors
    /// Every fault of the definition; a request_id that was used with another.
    pub async fn create_workflow(
        &self,
        tenant: TenantId,
        author: &Author,
        definition: Definition,
        mut defects: Vec<Defect>,
        request_id: &str,
    ) -> Result<Published, Error> {
        let definition = compile(definition, &mut defects)?;
        for _ in 0..2 {
            match self.publish(tenant, author, &definition, request_id).await {
                // The same request_id was used by another call a moment ago: its version is found
                // now.
                Err(Error::Database(reeve_postgres::Error::UniqueViolation { .. })) => {}
                published => return published,
            }
        }
        Err(Error::RequestIdReused(request_id.to_owned()))
    }

    async fn publish(
        &self,
        tenant: TenantId,
        author: &Author,
        definition: &Definition,
        request_id: &str,
    ) -> Result<Published, Error> {
        let digest = definition.digest();
        let mut tx = self.database.tenant(tenant).await?;
        if !request_id.is_empty()
            && let Some(first) = workflows::by_request(&mut tx, tenant, request_id).await?
        {
            let same = first.digest == digest;
            return if same {
                Ok(first)
            } else {
                Err(Error::RequestIdReused(request_id.into()))
            };
        }
        let publication = Publication {
            tenant,
            definition,
            digest,
            created_by: &author.actor.subject,
            request_id,
            now: self.now(),
        };
        let (id, version) = workflows::next_version(&mut tx, &publication).await?;
        // The name is locked now, so the newest version stays the newest.
        if version > 1 {
            let newest = workflows::get(&mut tx, tenant, &Which::Id(id), version - 1).await?;
            if let Some(newest) = newest.filter(|newest| newest.digest == digest) {
                // Rolled back: nothing is written.
                return Ok(Published {
                    is_latest: true,
                    ..newest
                });
            }
        }
        workflows::insert_version(&mut tx, id, version, &publication).await?;
        let published = workflows::get(&mut tx, tenant, &Which::Id(id), version).await?;
        let published = published.ok_or(reeve_postgres::Error::RowNotFound)?;
        announce(&mut tx, tenant, author, &published).await?;
        tx.commit().await?;
        self.wake.notify();
        Ok(published)
    }
}

fn compile(definition: Definition, defects: &mut Vec<Defect>) -> Result<Definition, Error> {
    match Plan::compile(definition) {
        Ok(plan) if defects.is_empty() => Ok(plan.definition),
        Ok(_) => Err(Error::DefinitionInvalid(std::mem::take(defects))),
        Err(found) => {
            defects.extend(found);
            Err(Error::DefinitionInvalid(std::mem::take(defects)))
        }
    }
}

async fn announce(
    tx: &mut Tx,
    tenant: TenantId,
    author: &Author,
    published: &Published,
) -> Result<(), Error> {
    let event = NewEvent::new(
        tenant,
        author.event_actor.clone(),
        published.create_time,
        "workflow.published",
        ("workflow", published.id),
    );
    let event = event.with(json!({
        "name": published.definition.name,
        "version": published.version,
        "digest": crate::domain::canonical::hex(&published.digest),
        "steps": published.definition.steps.len(),
    }));
    reeve_events::append(tx, SERVICE, vec![event]).await?;
    Ok(())
}
