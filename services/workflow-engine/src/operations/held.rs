//! An execution held locked by a transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use reeve_ids::{ExecutionId, TenantId};
use reeve_postgres::Tx;

use super::engine::{Author, Engine, Planned, away};
use super::publish;
use crate::domain::decide::{Circumstances, Ending, decide, give_up};
use crate::domain::event::Event;
use crate::domain::run::Run;
use crate::domain::writes::Writes;
use crate::error::Error;
use crate::storage::rows::Stored;
use crate::storage::{executions, save, wakefulness};

/// Changes made through it are written at once and take effect with [`Held::commit`].
pub(super) struct Held<'a> {
    engine: &'a Engine,
    pub(super) tx: Tx,
    pub(super) stored: Stored,
    pub(super) planned: Arc<Planned>,
    changed: bool,
    has_commands: bool,
}

impl<'a> Held<'a> {
    /// Locks an execution; nothing when the tenant has none such.
    pub(super) async fn lock(
        engine: &'a Engine,
        tenant: TenantId,
        id: ExecutionId,
    ) -> Result<Option<Self>, Error> {
        let mut tx = engine.database.tenant(tenant).await?;
        let Some(mut stored) = executions::lock(&mut tx, tenant, id).await? else {
            return Ok(None);
        };
        let (workflow, version) = (stored.run.workflow_id, stored.run.version);
        let planned = engine.plan(&mut tx, tenant, workflow, version).await?;
        let needed = planned.plan.needed_by(&stored.run);
        executions::read_outputs(&mut tx, &mut stored, &needed, None).await?;
        Ok(Some(Self {
            engine,
            tx,
            stored,
            planned,
            changed: false,
            has_commands: false,
        }))
    }

    /// Locks an execution without reading what users put into it, to end it.
    pub(super) async fn lock_bare(
        engine: &'a Engine,
        tenant: TenantId,
        id: ExecutionId,
    ) -> Result<Option<Self>, Error> {
        let mut tx = engine.database.tenant(tenant).await?;
        let Some(stored) = executions::lock_bare(&mut tx, tenant, id).await? else {
            return Ok(None);
        };
        let (workflow, version) = (stored.run.workflow_id, stored.run.version);
        let planned = engine.names(&mut tx, tenant, workflow, version).await?;
        Ok(Some(Self {
            engine,
            tx,
            stored,
            planned,
            changed: false,
            has_commands: false,
        }))
    }

    /// Applies an event and writes what it changed.
    pub(super) async fn apply(&mut self, event: Event, author: &Author) -> Result<(), Error> {
        let at = self.engine.circumstances(author);
        let run = &mut self.stored.run;
        let writes = decide_safely(self.engine, &self.planned, run, event, &at).await?;
        self.write(writes, author).await
    }

    /// Fails the execution at once.
    pub(super) async fn abandon(&mut self, author: &Author) -> Result<(), Error> {
        let at = self.engine.circumstances(author);
        let run = &mut self.stored.run;
        let writes = give_up(&self.planned.plan, run, &at, Ending::AtOnce);
        self.write(writes, author).await
    }

    async fn write(&mut self, writes: Writes, author: &Author) -> Result<(), Error> {
        if writes.is_empty() {
            return Ok(());
        }
        let plan = &self.planned.plan;
        save::update(&mut self.tx, plan, &mut self.stored, &writes, &author.actor).await?;
        let name = &plan.definition.name;
        publish::append(&mut self.tx, name, &self.stored.run, &writes, author).await?;
        self.changed = true;
        self.has_commands |= !writes.commands.is_empty();
        self.engine.counters.transitions.inc();
        Ok(())
    }

    /// Makes the changes durable and wakes who waits for them.
    pub(super) async fn commit(mut self) -> Result<(Stored, Arc<Planned>), Error> {
        if cfg!(debug_assertions) && self.changed {
            let run = &self.stored.run;
            let asleep = wakefulness::is_asleep(&mut self.tx, run.tenant, run.id).await?;
            assert!(!asleep, "nothing would ever wake execution {}", run.id);
        }
        self.tx.commit().await?;
        if self.changed {
            self.engine.changed(self.stored.run.id, self.has_commands);
        }
        Ok((self.stored, self.planned))
    }
}

/// Decides, away from the threads that serve calls, since expressions take time. A panic, which is a
/// bug, fails the execution instead of being tried for ever.
pub(super) async fn decide_safely(
    engine: &Engine,
    planned: &Arc<Planned>,
    run: &mut Run,
    event: Event,
    at: &Circumstances,
) -> Result<Writes, Error> {
    let id = run.id;
    let (plan, circumstances, mut attempt) = (Arc::clone(planned), at.clone(), run.clone());
    let decided = away(move || {
        let writes = decide(&plan.plan, &mut attempt, event, &circumstances);
        writes.map(|writes| (writes, attempt))
    });
    match decided.await {
        Ok(Ok((writes, attempt))) => {
            *run = attempt;
            Ok(writes)
        }
        Ok(Err(refusal)) => Err(Error::Refused { id, refusal }),
        Err(Error::Panicked) => {
            engine.counters.poisoned.inc();
            tracing::error!(execution = %id, "deciding panicked; the execution is failed");
            let given_up = AssertUnwindSafe(|| give_up(&planned.plan, run, at, Ending::Orderly));
            catch_unwind(given_up).map_err(|_| Error::Poisoned(id))
        }
        Err(error) => Err(error),
    }
}
