//! Which agents a task wants, beside the capability that it names.

use std::collections::BTreeMap;

use reeve_ids::AgentId;
use semver::{Version, VersionReq};
use sha2::{Digest as _, Sha256};

use super::fleet::{Capability, Offer};

/// What the capability and its agent must be like; all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// Versions that will do; nothing for any.
    pub versions: Option<VersionReq>,
    /// Attributes of the capability.
    pub attributes: BTreeMap<String, String>,
    /// Labels of the agent.
    pub labels: BTreeMap<String, String>,
}

impl Requirement {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.versions.is_none() && self.attributes.is_empty() && self.labels.is_empty()
    }

    /// Whether a version will do. An agent that names none has 0.0.0.
    pub fn takes_version(&self, version: Option<&Version>) -> bool {
        const NONE: Version = Version::new(0, 0, 0);
        let versions = self.versions.as_ref();
        versions.is_none_or(|range| range.matches(version.unwrap_or(&NONE)))
    }

    /// Whether a capability has every attribute.
    pub fn takes_attributes(&self, capability: &Capability) -> bool {
        self.attributes.iter().all(|(key, value)| {
            let values = capability.attributes.get(key);
            values.is_some_and(|values| values.contains(value))
        })
    }

    /// Whether an agent has every label.
    pub fn takes_labels(&self, offer: &Offer) -> bool {
        let labels = self.labels.iter();
        labels
            .into_iter()
            .all(|(key, value)| offer.labels().get(key) == Some(value))
    }

    /// Whether an agent that offers this has the capability as it is wanted.
    pub fn takes(&self, capability: &str, offer: &Offer) -> bool {
        offer.capability(capability).is_some_and(|capability| {
            self.takes_version(capability.version.as_ref()) && self.takes_attributes(capability)
        }) && self.takes_labels(offer)
    }
}

/// Which agents may be given a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// What they must be like.
    pub requirement: Requirement,
    /// The only one that may.
    pub pinned: Option<AgentId>,
    /// Those that may not, without repetition.
    pub avoid: Vec<AgentId>,
    /// Whether those at which it failed are given it again only if nobody else is there.
    pub avoid_failed: bool,
}

impl Placement {
    /// Whether any agent with the capability may be given the task.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The name under which tasks of one capability with the same wish wait together: empty for no
    /// wish, `@` and the agent for nothing but a pin, else `#` and a digest. Tasks that merely avoid agents
    /// wait with all others.
    pub fn demand(&self, capability: &str) -> String {
        if self.requirement.is_empty() {
            return self.pinned.map_or_else(String::new, pin);
        }
        let mut hash = Sha256::new();
        let mut put = |text: &str| {
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(text);
        };
        put(capability);
        put(&self
            .requirement
            .versions
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default());
        for pairs in [&self.requirement.attributes, &self.requirement.labels] {
            put(&pairs.len().to_string());
            for (key, value) in pairs {
                put(key);
                put(value);
            }
        }
        put(&self.pinned.map(pin).unwrap_or_default());
        let digest = hash.finalize();
        let digits = digest[..DIGEST].iter().map(|byte| format!("{byte:02x}"));
        std::iter::once("#".to_owned()).chain(digits).collect()
    }
}

/// Bytes of a digest that name a wish. Whoever finds two wishes with the same name has only found a
/// way to confuse their own tasks.
const DIGEST: usize = 12;

/// The name under which tasks wait that are for one agent.
pub fn pin(agent: AgentId) -> String {
    format!("@{agent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(range: &str, attributes: &[(&str, &str)], labels: &[(&str, &str)]) -> Placement {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        Placement {
            requirement: Requirement {
                versions: (!range.is_empty()).then(|| range.parse().expect("a range")),
                attributes: map(attributes),
                labels: map(labels),
            },
            ..Placement::default()
        }
    }

    #[test]
    fn equal_wishes_have_equal_names_and_others_have_not() {
        let agent = AgentId::new();
        let pinned = |placement: Placement| Placement {
            pinned: Some(agent),
            ..placement
        };
        let avoiding = Placement {
            avoid: vec![agent],
            avoid_failed: true,
            ..Placement::default()
        };
        assert_eq!(Placement::default().demand("lint"), "");
        assert_eq!(avoiding.demand("lint"), "");
        assert_eq!(pinned(Placement::default()).demand("lint"), pin(agent));
        let spaced = wish(">=1.2,<2", &[], &[]).demand("lint");
        assert_eq!(spaced, wish(">=1.2, <2", &[], &[]).demand("lint"));
        let wishes = [
            wish("^1", &[], &[]),
            wish("^2", &[], &[]),
            wish("", &[("a", "b")], &[]),
            wish("", &[], &[("a", "b")]),
            wish("", &[("a", "b"), ("c", "d")], &[]),
            wish("", &[("a", "b")], &[("c", "d")]),
            wish("", &[("ab", "")], &[]),
            pinned(wish("^1", &[], &[])),
        ];
        let mut names: Vec<_> = wishes.iter().map(|wish| wish.demand("lint")).collect();
        names.push(wishes[0].demand("test"));
        assert!(names.iter().all(|name| name.len() == 1 + 2 * DIGEST));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn an_agent_without_a_version_has_the_lowest() {
        let range = |text| wish(text, &[], &[]).requirement;
        assert!(range("").takes_version(None));
        assert!(range("<1").takes_version(None));
        assert!(!range(">=0.0.1").takes_version(None));
        assert!(range("^1.2").takes_version(Some(&Version::new(1, 9, 0))));
        assert!(!range("^1.2").takes_version(Some(&Version::new(2, 0, 0))));
    }
}
