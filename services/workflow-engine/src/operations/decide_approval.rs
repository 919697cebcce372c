//! Taking a decision. The execution goes on in the same transaction.

use reeve_ids::{ApprovalId, TenantId};

use super::engine::{Author, Engine};
use super::held::Held;
use crate::domain::approval::{Approval, Ruling};
use crate::domain::event::Event;
use crate::error::Error;
use crate::storage::approvals;

/// What somebody decided.
#[derive(Debug, Clone)]
pub struct Decision {
    /// About what.
    pub approval: ApprovalId,
    /// Whether they agree.
    pub approved: bool,
    /// Digest of what they saw.
    pub seen_digest: String,
    /// Why.
    pub comment: String,
}

impl Engine {
    /// Takes a decision, or finds that it was taken so before.
    ///
    /// # Errors
    /// When there is no such approval, or the decision does not count.
    pub async fn decide_approval(
        &self,
        tenant: TenantId,
        author: &Author,
        decision: Decision,
    ) -> Result<Approval, Error> {
        let id = decision.approval;
        let not_found = || Error::NotFound {
            kind: "approval",
            name: id.to_string(),
        };
        let execution = self.get_approval(tenant, id).await?.execution_id;
        let held = Held::lock(self, tenant, execution).await?;
        let mut held = held.ok_or_else(not_found)?;
        // Read again under the lock: only what is true now counts.
        let approval = approvals::get(&mut held.tx, tenant, id)
            .await?
            .ok_or_else(not_found)?;
        let ruling = approval.rule(
            &author.actor,
            decision.approved,
            &decision.seen_digest,
            self.now(),
        );
        let ruling = ruling.map_err(|objection| Error::Objection {
            id,
            objection,
            digest: approval.digest.clone(),
        })?;
        if ruling == Ruling::Repeats {
            return Ok(approval);
        }
        if let Some(step) = held.planned.plan.index_of(&approval.step_id) {
            let Decision {
                approved, comment, ..
            } = decision;
            let digest = approval.digest;
            held.apply(
                Event::Decided {
                    step,
                    approved,
                    comment,
                    digest,
                },
                author,
            )
            .await?;
        }
        let decided = approvals::get(&mut held.tx, tenant, id)
            .await?
            .ok_or_else(not_found)?;
        held.commit().await?;
        Ok(decided)
    }
}
