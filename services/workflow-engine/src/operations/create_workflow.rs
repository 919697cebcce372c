//! Publishing a definition.

use reeve_events::NewEvent;
use reeve_ids::TenantId;
use reeve_postgres::Tx;
use reeve_status::Violations;
use serde_json::json;

use super::engine::{Author, Engine, SERVICE, away};
use crate::domain::definition::Definition;
use crate::domain::plan::Plan;
use crate::domain::validate::Defect;
use crate::error::Error;
use crate::storage::rows::Published;
use crate::storage::workflows::{self, Publication, Which};

/// What a client sent.
#[derive(Debug)]
pub struct Draft {
    /// The definition, and what is wrong with it so far.
    pub read: (Definition, Vec<Defect>),
    /// What is wrong with the request's other fields.
    pub violations: Violations,
}

impl Engine {
    /// Publishes version 1 of a new name, or the next version. Content equal to the newest version's
    /// is that version.
    ///
    /// # Errors
    /// Every fault of the request; a request_id that was used with another.
    pub async fn create_workflow(
        &self,
        tenant: TenantId,
        author: &Author,
        draft: Draft,
        request_id: &str,
    ) -> Result<Published, Error> {
        let definition = compile(draft).await?;
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
        // The name stays locked, so the newest version stays the newest.
        let (id, newest) = workflows::lock_name(&mut tx, &publication).await?;
        if let Some(newest) = workflows::get(&mut tx, tenant, &Which::Id(id), newest).await?
            && newest.digest == digest
        {
            workflows::remember_request(&mut tx, id, newest.version, &publication).await?;
            tx.commit().await?;
            return Ok(newest);
        }
        let version = newest + 1;
        workflows::insert_version(&mut tx, id, version, &publication).await?;
        workflows::remember_request(&mut tx, id, version, &publication).await?;
        let published = workflows::get(&mut tx, tenant, &Which::Id(id), version).await?;
        let published = published.ok_or(reeve_postgres::Error::RowNotFound)?;
        announce(&mut tx, tenant, author, &published).await?;
        tx.commit().await?;
        self.wake.notify();
        Ok(published)
    }
}

async fn compile(draft: Draft) -> Result<Definition, Error> {
    let (definition, mut defects) = draft.read;
    let compiled = away(move || Plan::compile(definition)).await?;
    let definition = compiled.map_err(|found| defects.extend(found));
    if defects.is_empty() {
        draft.violations.finish()?;
        return definition
            .map(|plan| plan.definition)
            .map_err(|()| Error::Panicked);
    }
    let others = draft.violations.into_fault().violations().to_vec();
    Err(Error::DefinitionInvalid(defects, others))
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
