//! What belongs to an incident besides its status: impacts, actions, communications, a resolution.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{PartId, ResolutionId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::words::words;

/// Parts of one kind that an incident may have.
pub const MOST_PARTS: usize = 200;
/// Bytes that all parts of an incident may take together, so that one answer holds them.
pub const MOST_BYTES: usize = 1 << 20;

words! {
    /// The sort of part.
    PartKind {
        /// An [`Impact`].
        Impact = "IMPACT",
        /// An [`Action`].
        Action = "ACTION",
        /// A [`Communication`].
        Communication = "COMMUNICATION",
    }
}

words! {
    /// What is affected.
    ImpactType {
        /// Something does not answer.
        Availability = "AVAILABILITY",
        /// Something is slow.
        Performance = "PERFORMANCE",
        /// Something answers wrongly.
        Functionality = "FUNCTIONALITY",
        /// Data is lost, damaged or stale.
        Data = "DATA",
        /// Something is exposed.
        Security = "SECURITY",
        /// Money is lost.
        Financial = "FINANCIAL",
        /// Trust is lost.
        Reputation = "REPUTATION",
        /// A rule or contract is broken.
        Compliance = "COMPLIANCE",
        /// Work is held up.
        Delivery = "DELIVERY",
    }
}

words! {
    /// How much is affected.
    ImpactSeverity {
        /// All of it.
        Critical = "CRITICAL",
        /// Most of it.
        Major = "MAJOR",
        /// Part of it.
        Moderate = "MODERATE",
        /// Little of it.
        Minor = "MINOR",
    }
}

/// One effect of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Its id.
    pub id: PartId,
    /// What is affected.
    pub kind: ImpactType,
    /// How much.
    pub severity: ImpactSeverity,
    /// What it means for those affected.
    pub description: String,
    /// The affected component.
    pub affected_component: String,
    /// Users affected.
    pub affected_user_count: i64,
    /// Cost to the business: amount and currency.
    pub business_impact: Option<(String, String)>,
    /// When it began.
    pub start_time: DateTime<Utc>,
    /// When it ended.
    pub end_time: Option<DateTime<Utc>>,
    /// Further figures.
    pub metrics: Json,
}

impl Impact {
    /// How long it lasted, once it has ended.
    pub fn duration(&self) -> Option<TimeDelta> {
        self.end_time.map(|end| end - self.start_time)
    }
}

words! {
    /// What an action is for.
    ActionType {
        /// Finding the cause.
        Investigation = "INVESTIGATION",
        /// Stopping the effect.
        Mitigation = "MITIGATION",
        /// Removing the cause.
        Resolution = "RESOLUTION",
        /// Telling people.
        Communication = "COMMUNICATION",
        /// Bringing in others.
        Escalation = "ESCALATION",
        /// Watching.
        Monitoring = "MONITORING",
        /// Trying whether it works.
        Testing = "TESTING",
        /// Going back.
        Rollback = "ROLLBACK",
        /// Restarting something.
        Restart = "RESTART",
        /// Changing a setting.
        Configuration = "CONFIGURATION",
    }
}

words! {
    /// How far an action is.
    ActionState {
        /// To be done.
        Planned = "PLANNED",
        /// Done, with success.
        Done = "DONE",
        /// Tried, without success.
        Failed = "FAILED",
        /// Not to be done after all.
        Waived = "WAIVED",
    }
}

/// One thing done, or to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: PartId,
    /// What it is for.
    pub kind: ActionType,
    /// What is done.
    pub description: String,
    /// How far it is.
    pub state: ActionState,
    /// Who shall do it, or did.
    pub owner: String,
    /// The task that does it.
    pub task_id: String,
    /// What came of it.
    pub outcome: String,
    /// Whether no person was involved.
    pub automated: bool,
    /// By when.
    pub due_time: Option<DateTime<Utc>>,
    /// When it was recorded.
    pub create_time: DateTime<Utc>,
    /// When it ended.
    pub finish_time: Option<DateTime<Utc>>,
    /// Who recorded it.
    pub created_by: String,
}

words! {
    /// Why somebody was told.
    CommunicationType {
        /// The first word.
        Notification = "NOTIFICATION",
        /// How it stands.
        Update = "UPDATE",
        /// Others are brought in.
        Escalation = "ESCALATION",
        /// It is over.
        Resolution = "RESOLUTION",
        /// What was learnt.
        Postmortem = "POSTMORTEM",
        /// A question.
        Question = "QUESTION",
    }
}

words! {
    /// How somebody was told.
    Channel {
        /// E-mail.
        Email = "EMAIL",
        /// A chat room.
        Chat = "CHAT",
        /// A text message.
        Sms = "SMS",
        /// A call.
        Phone = "PHONE",
        /// An HTTP request.
        Webhook = "WEBHOOK",
        /// A public status page.
        StatusPage = "STATUS_PAGE",
        /// A message between agents.
        AgentMessage = "AGENT_MESSAGE",
    }
}

words! {
    /// What became of a communication.
    CommunicationStatus {
        /// Written, not sent.
        Draft = "DRAFT",
        /// Sent.
        Sent = "SENT",
        /// Known to have arrived.
        Delivered = "DELIVERED",
        /// Known not to have arrived.
        Failed = "FAILED",
    }
}

/// What somebody answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Who.
    pub responder: String,
    /// What.
    pub message: String,
    /// When it was recorded.
    pub create_time: DateTime<Utc>,
}

/// One thing that somebody was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Communication {
    /// Its id.
    pub id: PartId,
    /// Why.
    pub kind: CommunicationType,
    /// One line.
    pub subject: String,
    /// The text.
    pub message: String,
    /// Who was addressed.
    pub recipients: Vec<String>,
    /// How.
    pub channel: Channel,
    /// What became of it.
    pub status: CommunicationStatus,
    /// The agent that sent it.
    pub sent_by_agent_id: String,
    /// When it was recorded.
    pub create_time: DateTime<Utc>,
    /// When it was sent.
    pub send_time: Option<DateTime<Utc>>,
    /// What was answered.
    pub replies: Vec<Reply>,
    /// Whether no person wrote it.
    pub automated: bool,
    /// Who recorded it.
    pub created_by: String,
}

words! {
    /// How an incident came to its end.
    ResolutionType {
        /// The cause was removed.
        Fix = "FIX",
        /// The effect is avoided.
        Workaround = "WORKAROUND",
        /// An earlier version was put back.
        Rollback = "ROLLBACK",
        /// A setting was changed.
        ConfigurationChange = "CONFIGURATION_CHANGE",
        /// Something was restarted.
        Restart = "RESTART",
        /// It ended by itself.
        SelfHealed = "SELF_HEALED",
        /// Somebody else's service recovered.
        ThirdParty = "THIRD_PARTY",
        /// There was nothing to resolve.
        NoAction = "NO_ACTION",
    }
}

/// One step that led to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolutionStep {
    /// What was done.
    pub description: String,
    /// Who did it.
    pub performed_by: String,
    /// When.
    pub perform_time: Option<DateTime<Utc>>,
}

/// How an incident ended and why it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Its id.
    pub id: ResolutionId,
    /// How it came to its end.
    pub kind: ResolutionType,
    /// One paragraph.
    pub summary: String,
    /// The whole story.
    pub detailed_description: String,
    /// Why it happened.
    pub root_cause: String,
    /// What made it possible or worse.
    pub contributing_factors: Vec<String>,
    /// The steps that led to the end.
    pub steps: Vec<ResolutionStep>,
    /// Whether it cannot come back for the same cause.
    pub permanent: bool,
    /// What holds it off meanwhile.
    pub temporary_workaround: String,
    /// When the incident was resolved.
    pub resolve_time: DateTime<Utc>,
    /// The agent that resolved it.
    pub resolved_by_agent_id: String,
    /// Who resolved it.
    pub resolved_by: String,
    /// How the end is verified.
    pub verification_steps: Vec<String>,
    /// Whether it was.
    pub verified: bool,
    /// When.
    pub verify_time: Option<DateTime<Utc>>,
    /// The agent that verified it.
    pub verified_by_agent_id: String,
    /// Who verified it.
    pub verified_by: String,
}
