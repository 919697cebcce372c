//! How an incident ended: saying it, completing it, verifying it.

use reeve_auth::Caller;
use reeve_ids::{IncidentId, ResolutionId};
use serde_json::json;

use super::Operations;
use super::change::Change;
use super::view::View;
use crate::domain::lifecycle::Refusal;
use crate::domain::parts::{Resolution, ResolutionStep, ResolutionType};
use crate::domain::status::Status;
use crate::domain::timeline::{Entry, EntryKind};
use crate::error::Error;
use crate::storage::alerts;

/// How an incident ended, as a caller says it; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// How it came to its end.
    pub kind: Option<ResolutionType>,
    /// One paragraph.
    pub summary: Option<String>,
    /// The whole story.
    pub detailed_description: Option<String>,
    /// Why it happened.
    pub root_cause: Option<String>,
    /// What made it possible or worse.
    pub contributing_factors: Option<Vec<String>>,
    /// The steps that led to the end.
    pub steps: Option<Vec<ResolutionStep>>,
    /// Whether it cannot come back for the same cause.
    pub permanent: Option<bool>,
    /// What holds it off meanwhile.
    pub temporary_workaround: Option<String>,
    /// The agent that resolved it.
    pub resolved_by_agent_id: Option<String>,
    /// How the end is verified.
    pub verification_steps: Option<Vec<String>>,
}

impl Ending {
    /// Writes what is said; true when it makes a verification void.
    fn apply(self, resolution: &mut Resolution) -> bool {
        let (cause, steps) = (
            resolution.root_cause.clone(),
            resolution.verification_steps.clone(),
        );
        set(&mut resolution.kind, self.kind);
        set(&mut resolution.summary, self.summary);
        set(
            &mut resolution.detailed_description,
            self.detailed_description,
        );
        set(&mut resolution.root_cause, self.root_cause);
        set(
            &mut resolution.contributing_factors,
            self.contributing_factors,
        );
        set(&mut resolution.steps, self.steps);
        set(&mut resolution.permanent, self.permanent);
        set(
            &mut resolution.temporary_workaround,
            self.temporary_workaround,
        );
        set(
            &mut resolution.resolved_by_agent_id,
            self.resolved_by_agent_id,
        );
        set(&mut resolution.verification_steps, self.verification_steps);
        cause != resolution.root_cause || steps != resolution.verification_steps
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

impl Operations {
    /// It is over.
    pub async fn resolve_incident(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        ending: Ending,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        let mut resolution = Resolution {
            id: ResolutionId::new(),
            kind: ResolutionType::Fix,
            summary: String::new(),
            detailed_description: String::new(),
            root_cause: String::new(),
            contributing_factors: Vec::new(),
            steps: Vec::new(),
            permanent: false,
            temporary_workaround: String::new(),
            resolve_time: change.now,
            resolved_by_agent_id: String::new(),
            resolved_by: change.subject().to_owned(),
            verification_steps: Vec::new(),
            verified: false,
            verify_time: None,
            verified_by_agent_id: String::new(),
            verified_by: String::new(),
        };
        ending.apply(&mut resolution);
        let entry = change.apply(|incident, by| incident.resolve(by, resolution))?;
        alerts::resolve(&mut change.tx, caller.tenant(), id).await?;
        change.finish(self, vec![entry]).await
    }

    /// Completes or corrects how it ended.
    pub async fn update_resolution(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        ending: Ending,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        let void = change.apply(|incident, _| {
            let resolution = resolved(incident.status, &mut incident.resolution)?;
            let void = ending.apply(resolution) && resolution.verified;
            if void {
                resolution.verified = false;
                resolution.verify_time = None;
                resolution.verified_by.clear();
                resolution.verified_by_agent_id.clear();
            }
            Ok(void)
        })?;
        let summary = if void {
            "Resolution changed; it is to be verified again"
        } else {
            "Resolution changed"
        };
        let entry = Entry::new(EntryKind::ResolutionChanged, summary);
        let cause = change
            .incident
            .resolution
            .as_ref()
            .map(|r| r.root_cause.clone());
        change
            .finish(self, vec![entry.with(json!({"root_cause": cause}))])
            .await
    }

    /// The end was verified.
    pub async fn verify_resolution(
        &self,
        caller: &Caller,
        id: IncidentId,
        etag: Option<i64>,
        verification: Verification,
    ) -> Result<View, Error> {
        let mut change = Change::begin(self, caller, id, etag).await?;
        refuse_verified(&change)?;
        let note = verification.note.clone();
        change.apply(|incident, by| {
            let resolution = resolved(incident.status, &mut incident.resolution)?;
            resolution.verification_steps.extend(verification.steps);
            if resolution.verification_steps.is_empty() {
                return Err(Refusal::Incomplete(vec!["no verification step is given"]));
            }
            resolution.verified = true;
            resolution.verify_time = Some(by.now);
            resolution.verified_by.clone_from(&by.actor.subject);
            resolution.verified_by_agent_id = verification.agent_id;
            Ok(())
        })?;
        let steps = change
            .incident
            .resolution
            .as_ref()
            .map_or(0, |r| r.verification_steps.len());
        if steps > MOST_STEPS {
            let subject = format!("incident/{id}");
            let limit = i64::try_from(MOST_STEPS).unwrap_or(i64::MAX);
            return Err(Error::Limit {
                subject,
                what: "verification steps",
                limit,
            });
        }
        let entry = Entry::noted(EntryKind::ResolutionChanged, "Resolution verified", &note);
        change
            .finish(self, vec![entry.with(json!({"verified": true}))])
            .await
    }
}

/// What was verified is not verified again: a call that is repeated would add its steps twice.
fn refuse_verified(change: &Change) -> Result<(), Error> {
    let resolution = change.incident.resolution.as_ref();
    match resolution.filter(|resolution| resolution.verified) {
        Some(resolution) if change.incident.status == Status::Resolved => Err(Error::PartState {
            kind: "resolution",
            id: resolution.id.to_string(),
            state: "VERIFIED",
            wanted: "VERIFIED",
        }),
        _ => Ok(()),
    }
}

/// Verification steps that a resolution may have.
const MOST_STEPS: usize = 50;

/// How the end was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Steps to add.
    pub steps: Vec<String>,
    /// The agent that verified it.
    pub agent_id: String,
    /// For the timeline.
    pub note: String,
}

fn resolved(
    status: Status,
    resolution: &mut Option<Resolution>,
) -> Result<&mut Resolution, Refusal> {
    let forbidden = Refusal::Transition {
        from: status,
        to: Status::Resolved,
    };
    if status != Status::Resolved {
        return Err(forbidden);
    }
    resolution.as_mut().ok_or(forbidden)
}
