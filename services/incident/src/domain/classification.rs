//! How bad, how soon, what and who noticed.

use chrono::TimeDelta;

use super::words::words;

words! {
    /// How bad it is. The order is from worst to least.
    Severity {
        /// A service is down, data is lost or exposed.
        Critical = "CRITICAL",
        /// A main function fails for many.
        High = "HIGH",
        /// A function is impaired, or fails for few.
        Medium = "MEDIUM",
        /// An annoyance.
        Low = "LOW",
    }
}

impl Severity {
    /// Whether a person must decide its end, with a root cause and a verification.
    pub fn is_grave(self) -> bool {
        matches!(self, Self::Critical | Self::High)
    }
}

words! {
    /// How soon somebody must respond. The order is from soonest to latest.
    Priority {
        /// Immediately.
        P1 = "P1",
        /// Within an hour.
        P2 = "P2",
        /// Within four hours.
        P3 = "P3",
        /// Within a day.
        P4 = "P4",
    }
}

words! {
    /// What part of the estate is concerned.
    Category {
        /// An application, or the work of an agent.
        Application = "APPLICATION",
        /// Machines, clusters, queues.
        Infrastructure = "INFRASTRUCTURE",
        /// The network.
        Network = "NETWORK",
        /// A database.
        Database = "DATABASE",
        /// Security.
        Security = "SECURITY",
        /// It works, too slowly.
        Performance = "PERFORMANCE",
        /// It does not answer.
        Availability = "AVAILABILITY",
        /// Data is lost or damaged.
        DataLoss = "DATA_LOSS",
        /// A setting is wrong.
        Configuration = "CONFIGURATION",
        /// A service of somebody else.
        ThirdParty = "THIRD_PARTY",
    }
}

words! {
    /// Who noticed.
    Source {
        /// A person reported it.
        UserReport = "USER_REPORT",
        /// An agent reported it.
        AgentReport = "AGENT_REPORT",
        /// A rule opened it.
        Rule = "RULE",
        /// Monitoring outside Reeve noticed it.
        Monitoring = "MONITORING",
        /// A customer reported it.
        CustomerReport = "CUSTOMER_REPORT",
    }
}

words! {
    /// Why nothing more is expected.
    CloseReason {
        /// It was resolved and everything that followed from it is done.
        Completed = "COMPLETED",
        /// It repeats another incident.
        Duplicate = "DUPLICATE",
        /// There was no trouble.
        FalsePositive = "FALSE_POSITIVE",
    }
}

/// How long each priority allows for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseTargets {
    /// For P1. "Immediately" as a due time would be breached at once, so it is a few minutes.
    pub p1: TimeDelta,
    /// For P2.
    pub p2: TimeDelta,
    /// For P3.
    pub p3: TimeDelta,
    /// For P4.
    pub p4: TimeDelta,
}

impl ResponseTargets {
    /// The target of a priority.
    pub fn of(&self, priority: Priority) -> TimeDelta {
        match priority {
            Priority::P1 => self.p1,
            Priority::P2 => self.p2,
            Priority::P3 => self.p3,
            Priority::P4 => self.p4,
        }
    }
}

impl Default for ResponseTargets {
    fn default() -> Self {
        Self {
            p1: TimeDelta::minutes(5),
            p2: TimeDelta::hours(1),
            p3: TimeDelta::hours(4),
            p4: TimeDelta::hours(24),
        }
    }
}
