//! The closed sets of words in the contract's spelling: the domain's word with the enum's prefix.

use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as proto;

use crate::domain::alert::AlertState;
use crate::domain::classification::{Category, CloseReason, Priority, Severity, Source};
use crate::domain::evidence::EvidenceState;
use crate::domain::logged::ActorKind;
use crate::domain::parts::{
    ActionState, ActionType, Channel, CommunicationStatus, CommunicationType, ImpactSeverity,
    ImpactType, ResolutionType,
};
use crate::domain::status::Status;
use crate::domain::timeline::EntryKind;

/// The contract has no such number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownNumber;

/// A word that has a number in the contract.
pub trait OnWire: Sized + Copy {
    /// Its number.
    fn number(self) -> i32;

    /// The word of a number; nothing for 0, which stands for no word.
    fn read(number: i32) -> Result<Option<Self>, UnknownNumber>;

    /// The word as it is stored.
    fn stored(self) -> &'static str;
}

macro_rules! on_wire {
    ($($word:ty => $enum:ty, $prefix:literal;)+) => {
        $(impl OnWire for $word {
            fn number(self) -> i32 {
                let name = format!(concat!($prefix, "{}"), self.as_str());
                <$enum>::from_str_name(&name).unwrap_or_default().into()
            }

            fn read(number: i32) -> Result<Option<Self>, UnknownNumber> {
                let value = <$enum>::try_from(number).map_err(|_| UnknownNumber)?;
                Ok(value.as_str_name().strip_prefix($prefix).and_then(Self::parse))
            }

            fn stored(self) -> &'static str {
                self.as_str()
            }
        })+

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn every_word_has_a_number_of_its_own_and_every_number_a_word() {
                $(
                    for word in <$word>::ALL {
                        let number = word.number();
                        assert_ne!(number, 0, "{word} is not in the contract");
                        assert_eq!(<$word>::read(number), Ok(Some(*word)));
                    }
                    let words = i32::try_from(<$word>::ALL.len()).expect("few words");
                    assert_eq!(<$word>::read(0), Ok(None));
                    assert_eq!(<$word>::read(words + 1), Err(UnknownNumber), stringify!($word));
                )+
            }
        }
    };
}

on_wire! {
    Severity => proto::IncidentSeverity, "INCIDENT_SEVERITY_";
    Priority => proto::IncidentPriority, "INCIDENT_PRIORITY_";
    Status => proto::IncidentStatus, "INCIDENT_STATUS_";
    Category => proto::IncidentCategory, "INCIDENT_CATEGORY_";
    Source => proto::IncidentSource, "INCIDENT_SOURCE_";
    CloseReason => proto::IncidentCloseReason, "INCIDENT_CLOSE_REASON_";
    EntryKind => proto::IncidentEventType, "INCIDENT_EVENT_TYPE_";
    ImpactType => proto::ImpactType, "IMPACT_TYPE_";
    ImpactSeverity => proto::ImpactSeverity, "IMPACT_SEVERITY_";
    ActionType => proto::IncidentActionType, "INCIDENT_ACTION_TYPE_";
    ActionState => proto::IncidentActionState, "INCIDENT_ACTION_STATE_";
    CommunicationType => proto::CommunicationType, "COMMUNICATION_TYPE_";
    Channel => proto::CommunicationChannel, "COMMUNICATION_CHANNEL_";
    CommunicationStatus => proto::CommunicationStatus, "COMMUNICATION_STATUS_";
    ResolutionType => proto::ResolutionType, "RESOLUTION_TYPE_";
    EvidenceState => proto::EvidenceState, "EVIDENCE_STATE_";
    AlertState => proto::AlertState, "ALERT_STATE_";
    ActorKind => event::ActorKind, "ACTOR_KIND_";
}
