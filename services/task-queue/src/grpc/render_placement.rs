//! Which agents a task wants, and why it has none.

use reeve_contracts::task::v1 as proto;

use crate::domain::{Ineligibility, Requirement, Term};

/// What a capability and its agent must be like; nothing when that is all the same.
pub fn requirement(requirement: Requirement) -> Option<proto::CapabilityRequirement> {
    (!requirement.is_empty()).then(|| proto::CapabilityRequirement {
        version_range: requirement
            .versions
            .map(|range| range.to_string())
            .unwrap_or_default(),
        attributes: requirement.attributes.into_iter().collect(),
        agent_labels: requirement.labels.into_iter().collect(),
    })
}

/// Why nobody may be given a task.
pub fn ineligibility(why: Ineligibility) -> proto::TaskIneligibility {
    let counts = why
        .counts
        .into_iter()
        .map(|(at, agents)| proto::EligibilityCount {
            term: term(at).into(),
            agents: i32::try_from(agents).unwrap_or(i32::MAX),
        });
    proto::TaskIneligibility {
        term: term(why.term).into(),
        sentence: why.sentence,
        counts: counts.collect(),
    }
}

fn term(term: Term) -> proto::EligibilityTerm {
    match term {
        Term::PinnedAgent => proto::EligibilityTerm::PinnedAgent,
        Term::Capability => proto::EligibilityTerm::Capability,
        Term::Version => proto::EligibilityTerm::Version,
        Term::Attribute => proto::EligibilityTerm::Attribute,
        Term::AgentLabel => proto::EligibilityTerm::AgentLabel,
        Term::Avoided => proto::EligibilityTerm::Avoided,
        Term::Rejected => proto::EligibilityTerm::Rejected,
        Term::AgentState => proto::EligibilityTerm::AgentState,
    }
}
