//! Who may decide, and about what.

use chrono::{DateTime, Utc};
use reeve_ids::{ApprovalId, ExecutionId};
use serde_json::Value;

use super::event::{Actor, ActorKind};
use super::state::ApprovalState;

/// A decision that somebody owes or owed an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Id.
    pub id: ApprovalId,
    /// The execution.
    pub execution_id: ExecutionId,
    /// Name of its workflow.
    pub workflow_name: String,
    /// The step.
    pub step_id: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// One line for people.
    pub title: String,
    /// More for people.
    pub description: String,
    /// The artifact; nothing when it was not read.
    pub subject: Option<Value>,
    /// Its digest.
    pub digest: String,
    /// Principals that produced it.
    pub producers: Vec<String>,
    /// The principal that started the execution.
    pub initiated_by: String,
    /// Whether that one may not decide.
    pub forbid_initiator: bool,
    /// Whether agents may.
    pub allow_agents: bool,
    /// The principal that decided.
    pub decided_by: String,
    /// Its name.
    pub decided_by_name: String,
    /// What it said.
    pub comment: String,
    /// When it was asked for.
    pub create_time: DateTime<Utc>,
    /// When it ended.
    pub decide_time: Option<DateTime<Utc>>,
    /// When it expires.
    pub expire_time: DateTime<Utc>,
}

/// Why a decision is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// What was seen is not what it is about.
    DigestMismatch,
    /// The principal produced the artifact.
    OwnArtifact,
    /// The principal started the execution, and the step forbids it.
    OwnExecution,
    /// This kind of principal may not decide here.
    WrongKind,
    /// It has ended otherwise.
    Closed,
}

/// What a legal decision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It counts.
    Decides,
    /// It is the one that counted already.
    Repeats,
}

impl Approval {
    /// Whether a principal may decide so now.
    ///
    /// # Errors
    /// Why not.
    pub fn rule(
        &self,
        by: &Actor,
        approved: bool,
        seen_digest: &str,
        now: DateTime<Utc>,
    ) -> Result<Ruling, Objection> {
        let agent_refused = by.kind == ActorKind::Agent && !self.allow_agents;
        if by.kind == ActorKind::Service || agent_refused {
            return Err(Objection::WrongKind);
        }
        if self.producers.contains(&by.subject) {
            return Err(Objection::OwnArtifact);
        }
        if self.forbid_initiator && by.subject == self.initiated_by {
            return Err(Objection::OwnExecution);
        }
        if !seen_digest.eq_ignore_ascii_case(&self.digest) {
            return Err(Objection::DigestMismatch);
        }
        let same = if approved {
            ApprovalState::Approved
        } else {
            ApprovalState::Rejected
        };
        match self.state {
            // The timer may be late; the time counts.
            ApprovalState::Pending if now >= self.expire_time => Err(Objection::Closed),
            ApprovalState::Pending => Ok(Ruling::Decides),
            state if state == same && self.decided_by == by.subject => Ok(Ruling::Repeats),
            _ => Err(Objection::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn approval() -> Approval {
        Approval {
            id: ApprovalId::new(),
            execution_id: ExecutionId::new(),
            workflow_name: "deploy".into(),
            step_id: "approve".into(),
            state: ApprovalState::Pending,
            title: String::new(),
            description: String::new(),
            subject: None,
            digest: "ab12".into(),
            producers: vec!["key:agent".into()],
            initiated_by: "key:starter".into(),
            forbid_initiator: false,
            allow_agents: false,
            decided_by: String::new(),
            decided_by_name: String::new(),
            comment: String::new(),
            create_time: now(),
            decide_time: None,
            expire_time: now() + TimeDelta::hours(1),
        }
    }

    fn by(kind: ActorKind, subject: &str) -> Actor {
        Actor {
            kind,
            subject: subject.into(),
            display_name: subject.into(),
        }
    }

    #[test]
    fn a_person_decides_about_what_they_saw() {
        let lead = by(ActorKind::User, "key:lead");
        assert_eq!(
            approval().rule(&lead, true, "ab12", now()),
            Ok(Ruling::Decides)
        );
        let stale = approval().rule(&lead, true, "ab13", now());
        assert_eq!(stale, Err(Objection::DigestMismatch));
        assert_eq!(
            approval().rule(&lead, false, "", now()),
            Err(Objection::DigestMismatch)
        );
    }

    #[test]
    fn nobody_approves_their_own_work() {
        let producer = by(ActorKind::User, "key:agent");
        assert_eq!(
            approval().rule(&producer, true, "ab12", now()),
            Err(Objection::OwnArtifact)
        );
        let starter = by(ActorKind::User, "key:starter");
        assert_eq!(
            approval().rule(&starter, true, "ab12", now()),
            Ok(Ruling::Decides)
        );
        let strict = Approval {
            forbid_initiator: true,
            ..approval()
        };
        assert_eq!(
            strict.rule(&starter, true, "ab12", now()),
            Err(Objection::OwnExecution)
        );
    }

    #[test]
    fn agents_decide_only_where_they_may_and_services_never() {
        let agent = by(ActorKind::Agent, "key:reviewer");
        assert_eq!(
            approval().rule(&agent, true, "ab12", now()),
            Err(Objection::WrongKind)
        );
        let open = Approval {
            allow_agents: true,
            ..approval()
        };
        assert_eq!(open.rule(&agent, true, "ab12", now()), Ok(Ruling::Decides));
        let service = by(ActorKind::Service, "service:incident");
        assert_eq!(
            open.rule(&service, true, "ab12", now()),
            Err(Objection::WrongKind)
        );
    }

    #[test]
    fn only_the_same_decision_may_be_repeated() {
        let lead = by(ActorKind::User, "key:lead");
        let decided = Approval {
            state: ApprovalState::Approved,
            decided_by: "key:lead".into(),
            ..approval()
        };
        assert_eq!(
            decided.rule(&lead, true, "ab12", now()),
            Ok(Ruling::Repeats)
        );
        assert_eq!(
            decided.rule(&lead, false, "ab12", now()),
            Err(Objection::Closed)
        );
        let other = by(ActorKind::User, "key:other");
        assert_eq!(
            decided.rule(&other, true, "ab12", now()),
            Err(Objection::Closed)
        );
        for state in [ApprovalState::Expired, ApprovalState::Cancelled] {
            let ended = Approval {
                state,
                ..approval()
            };
            assert_eq!(
                ended.rule(&lead, true, "ab12", now()),
                Err(Objection::Closed)
            );
        }
    }

    #[test]
    fn its_time_counts_even_before_the_timer_fires() {
        let lead = by(ActorKind::User, "key:lead");
        let late = now() + TimeDelta::hours(1);
        assert_eq!(
            approval().rule(&lead, true, "ab12", late),
            Err(Objection::Closed)
        );
    }
}
