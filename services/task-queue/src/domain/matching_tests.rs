use std::sync::Arc;

use proptest::prelude::*;
use semver::Version;

use super::super::demand::{Demand, Demands};
use super::super::fleet::{AgentLoad, Capability, Offer};
use super::super::placement::Requirement;
use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// An agent that offers a capability in a version, in a region, with a label.
fn agent(capability: &str, version: u64, region: &str, team: &str, active: bool) -> AgentInfo {
    let capability = Capability {
        name: capability.to_owned(),
        version: Some(Version::new(version, 0, 0)),
        attributes: BTreeMap::from([("region".to_owned(), vec![region.to_owned()])]),
    };
    AgentInfo {
        id: AgentId::new(),
        active,
        state: if active { "ACTIVE" } else { "DRAINING" },
        offer: Arc::new(Offer::new(vec![capability], map(&[("team", team)]))),
        load: AgentLoad::default(),
    }
}

fn fleet(agents: &[AgentInfo]) -> Fleet {
    Fleet::new(agents.iter().cloned().map(Arc::new).collect())
}

fn wants(range: &str, region: &str, team: &str) -> Placement {
    let some = |key, value: &str| {
        if value.is_empty() {
            BTreeMap::new()
        } else {
            map(&[(key, value)])
        }
    };
    Placement {
        requirement: Requirement {
            versions: (!range.is_empty()).then(|| range.parse().expect("a range")),
            attributes: some("region", region),
            labels: some("team", team),
        },
        ..Placement::default()
    }
}

fn want<'a>(placement: &'a Placement, refused: &'a [AgentId]) -> Want<'a> {
    Want {
        capability: "lint",
        placement,
        refused,
    }
}

#[test]
fn the_term_that_came_closest_is_named() {
    let old = agent("lint", 1, "eu", "red", true);
    let other = agent("test", 2, "eu", "red", true);
    let asleep = agent("lint", 2, "eu", "red", false);
    let fleet = fleet(&[old.clone(), other.clone(), asleep.clone()]);
    let judged = |placement: &Placement, refused: &[AgentId]| {
        want(placement, refused).judge(&fleet).map(|why| {
            let counts: Vec<_> = why.counts.into_iter().collect();
            (why.term, counts, why.sentence)
        })
    };
    assert_eq!(judged(&wants("", "", ""), &[]), None);
    let (term, counts, sentence) = judged(&wants("^2", "", ""), &[]).expect("nobody");
    assert_eq!(term, Term::AgentState);
    assert_eq!(
        counts,
        [
            (Term::Capability, 1),
            (Term::Version, 1),
            (Term::AgentState, 1)
        ]
    );
    assert!(sentence.contains("DRAINING"), "{sentence}");
    let (term, counts, sentence) = judged(&wants("^3", "", ""), &[]).expect("nobody");
    assert_eq!((term, counts.len()), (Term::Version, 2));
    assert!(sentence.contains("there is 1.0.0"), "{sentence}");
    let (term, ..) = judged(&wants("^1", "us", ""), &[]).expect("nobody");
    assert_eq!(term, Term::Attribute);
    let (term, ..) = judged(&wants("^1", "eu", "blue"), &[]).expect("nobody");
    assert_eq!(term, Term::AgentLabel);
    let (term, ..) = judged(&wants("^1", "eu", "red"), &[old.id]).expect("nobody");
    assert_eq!(term, Term::Rejected);
    let avoiding = Placement {
        avoid: vec![old.id],
        ..wants("^1", "eu", "red")
    };
    let (term, ..) = judged(&avoiding, &[old.id]).expect("nobody");
    assert_eq!(term, Term::Avoided);
}

#[test]
fn a_pin_says_what_its_agent_lacks() {
    let old = agent("lint", 1, "eu", "red", true);
    let other = agent("test", 2, "eu", "red", true);
    let asleep = agent("lint", 2, "eu", "red", false);
    let fleet = fleet(&[old.clone(), other.clone(), asleep.clone()]);
    let pinned = |id, range| {
        let placement = Placement {
            pinned: Some(id),
            ..wants(range, "", "")
        };
        let why = want(&placement, &[]).judge(&fleet);
        why.map(|why| (why.term, why.counts.into_values().sum::<usize>()))
    };
    assert_eq!(pinned(old.id, "^1"), None);
    assert_eq!(pinned(old.id, "^2"), Some((Term::Version, 2)));
    assert_eq!(pinned(other.id, ""), Some((Term::Capability, 2)));
    assert_eq!(pinned(asleep.id, ""), Some((Term::AgentState, 3)));
    assert_eq!(pinned(AgentId::new(), ""), Some((Term::PinnedAgent, 2)));
}

#[test]
fn nobody_at_all_offers_nothing() {
    let why = want(&Placement::default(), &[]).judge(&Fleet::default());
    let why = why.expect("nobody");
    assert_eq!((why.term, why.counts.len()), (Term::Capability, 0));
}

proptest! {
    /// Against a model that looks at each agent by itself: somebody is eligible exactly when one
    /// passes everything, and everyone who is ACTIVE or would do is counted once.
    #[test]
    fn judges_as_looking_at_each_by_itself(
        agents in proptest::collection::vec((0..2_u8, 1..4_u64, 0..2_u8, 0..2_u8, any::<bool>()), 0..8),
        range in prop_oneof![Just(""), Just("^1"), Just(">=2"), Just("<3")],
        region in prop_oneof![Just(""), Just("eu"), Just("us")],
        team in prop_oneof![Just(""), Just("red"), Just("blue")],
        pin in proptest::option::of(0..8_usize),
        avoided in 0..8_usize,
        rejected in 0..8_usize,
    ) {
        let agents: Vec<_> = agents
            .into_iter()
            .map(|(capability, version, region, team, active)| {
                let capability = ["lint", "test"][usize::from(capability)];
                let (region, team) = (["eu", "us"][usize::from(region)], ["red", "blue"][usize::from(team)]);
                agent(capability, version, region, team, active)
            })
            .collect();
        let id = |at: usize| agents.get(at).map(|agent| agent.id);
        let placement = Placement {
            pinned: pin.and_then(id),
            avoid: id(avoided).into_iter().collect(),
            ..wants(range, region, team)
        };
        let refused: Vec<_> = id(avoided).into_iter().chain(id(rejected)).collect();
        let want = want(&placement, &refused);
        let would_do = |agent: &&AgentInfo| {
            let versions = placement.requirement.versions.as_ref();
            placement.pinned.is_none_or(|pinned| pinned == agent.id)
                && !refused.contains(&agent.id)
                && agent.offer.capability("lint").is_some_and(|capability| {
                    let version = capability.version.as_ref().expect("all have one");
                    versions.is_none_or(|range| range.matches(version))
                        && (region.is_empty() || capability.attributes["region"] == [region])
                })
                && (team.is_empty() || agent.offer.labels()["team"] == team)
        };
        // Whoever would do takes from the lane in which the task waits, and nobody else but those whom
        // the task shuns.
        let demands = Demands::new(vec![Demand {
            id: placement.demand("lint"),
            capability: "lint".to_owned(),
            requirement: placement.requirement.clone(),
            pinned: placement.pinned,
        }]);
        for agent in &agents {
            let takes = agent.offer.capability("lint").is_some()
                && demands.met_by(agent, "lint").contains(&placement.demand("lint"));
            let falls = want.falls_at(agent);
            let shunned = matches!(falls, Some(Term::Avoided | Term::Rejected));
            prop_assert_eq!(takes, falls.is_none() || shunned, "{:?}", falls);
        }
        let eligible = agents.iter().filter(would_do).any(|agent| agent.active);
        let judged = want.judge(&fleet(&agents));
        prop_assert_eq!(judged.is_none(), eligible);
        if let Some(why) = judged {
            let counted: usize = why.counts.values().sum();
            let active = agents.iter().filter(|agent| agent.active).count();
            let asleep = agents.iter().filter(would_do).count();
            prop_assert_eq!(counted, active + asleep);
            prop_assert!(why.counts.keys().all(|term| *term <= why.term));
            prop_assert!(!why.sentence.is_empty());
        }
    }
}
