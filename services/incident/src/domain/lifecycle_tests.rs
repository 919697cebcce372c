//! Every verb from every status, and every guard.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{IncidentId, ResolutionId, TenantId};

use super::classification::{Category, CloseReason, Priority, ResponseTargets, Severity, Source};
use super::incident::{Incident, Opening};
use super::lifecycle::{By, Refusal};
use super::logged::{Actor, ActorKind};
use super::parts::{Resolution, ResolutionType};
use super::status::Status;
use super::timeline::{Entry, EntryKind};

const LIMIT: TimeDelta = TimeDelta::days(14);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

fn actor(kind: ActorKind) -> Actor {
    Actor {
        kind,
        subject: "key:1".into(),
        display_name: "one".into(),
    }
}

fn incident(status: Status) -> Incident {
    let opening = Opening {
        tenant_id: TenantId::new(),
        project_id: String::new(),
        title: "t".into(),
        description: String::new(),
        severity: Severity::High,
        priority: Priority::P2,
        category: Category::Application,
        source: Source::UserReport,
        assignee: String::new(),
        labels: BTreeMap::new(),
        rule_id: None,
        key: None,
        related: Vec::new(),
        detect_time: now() - TimeDelta::minutes(10),
    };
    let user = actor(ActorKind::User);
    let mut incident = Incident::open(opening, &ResponseTargets::default(), &user, now());
    incident.status = status;
    incident
}

fn resolution(root_cause: &str, verified: bool) -> Resolution {
    Resolution {
        id: ResolutionId::new(),
        kind: ResolutionType::Fix,
        summary: "fixed".into(),
        detailed_description: String::new(),
        root_cause: root_cause.into(),
        contributing_factors: Vec::new(),
        steps: Vec::new(),
        permanent: true,
        temporary_workaround: String::new(),
        resolve_time: now(),
        resolved_by_agent_id: String::new(),
        resolved_by: "key:1".into(),
        verification_steps: Vec::new(),
        verified,
        verify_time: None,
        verified_by_agent_id: String::new(),
        verified_by: String::new(),
    }
}

type Verb = fn(&mut Incident, By<'_>) -> Result<Entry, Refusal>;

/// Each verb, the status it leads to, and the statuses it is allowed in.
const VERBS: [(&str, Verb, Status, &[Status]); 9] = {
    use Status::{Acknowledged, Closed, Detected, Investigating, Mitigated, Mitigating, Resolved};
    [
        (
            "acknowledge",
            |i, by| i.acknowledge(by, ""),
            Acknowledged,
            &[Detected],
        ),
        (
            "unacknowledge",
            |i, _| i.unacknowledge(""),
            Detected,
            &[Acknowledged, Investigating],
        ),
        (
            "investigate",
            |i, by| i.start_investigation(by, "", ""),
            Investigating,
            &[Detected, Acknowledged, Mitigating, Mitigated],
        ),
        (
            "mitigate",
            |i, by| i.start_mitigation(by, ""),
            Mitigating,
            &[Acknowledged, Investigating, Mitigated],
        ),
        (
            "mark mitigated",
            |i, by| i.mark_mitigated(by, ""),
            Mitigated,
            &[Investigating, Mitigating],
        ),
        (
            "resolve",
            |i, by| i.resolve(by, resolution("", false)),
            Resolved,
            &[Detected, Acknowledged, Investigating, Mitigating, Mitigated],
        ),
        (
            "close as false positive",
            |i, by| i.close(by, CloseReason::FalsePositive, None, 0, ""),
            Closed,
            &[Detected, Acknowledged, Investigating, Resolved],
        ),
        (
            "close as completed",
            |i, by| {
                i.resolution = Some(resolution("cause", true));
                i.close(by, CloseReason::Completed, None, 0, "")
            },
            Closed,
            &[Resolved],
        ),
        (
            "reopen",
            |i, by| i.reopen(by, &ResponseTargets::default(), LIMIT, ""),
            Investigating,
            &[Resolved, Closed],
        ),
    ]
};

#[test]
fn every_verb_from_every_status() {
    let user = actor(ActorKind::User);
    let by = By {
        actor: &user,
        now: now(),
    };
    for (name, verb, to, allowed) in VERBS {
        for from in Status::ALL {
            let mut incident = incident(*from);
            // Otherwise an INVESTIGATING one would count as reopened and unanswered.
            incident.acknowledge_time = Some(now());
            let answer = verb(&mut incident, by);
            if allowed.contains(from) {
                assert!(answer.is_ok(), "{name} from {from}: {answer:?}");
                assert_eq!(incident.status, to, "{name} from {from}");
            } else {
                let refused =
                    matches!(answer, Err(Refusal::Transition { from: f, .. }) if f == *from);
                assert!(refused, "{name} from {from}: {answer:?}");
                assert_eq!(incident.status, *from, "{name} from {from} changed it");
            }
        }
    }
}

#[test]
fn every_legal_edge_has_a_verb() {
    for from in Status::ALL {
        for to in from.successors() {
            let taken = VERBS
                .iter()
                .any(|(.., target, allowed)| target == to && allowed.contains(from));
            assert!(taken, "{from} -> {to}");
        }
    }
}

#[test]
fn an_agent_does_not_decide_the_end_of_a_grave_incident() {
    let agent = actor(ActorKind::Agent);
    let by = By {
        actor: &agent,
        now: now(),
    };
    let mut grave = incident(Status::Mitigated);
    assert_eq!(
        grave.resolve(by, resolution("", false)),
        Err(Refusal::NeedsPerson)
    );
    let mut resolved = incident(Status::Resolved);
    let closed = resolved.close(by, CloseReason::FalsePositive, None, 0, "");
    assert_eq!(closed, Err(Refusal::NeedsPerson));
    let mut small = Incident {
        severity: Severity::Medium,
        ..incident(Status::Mitigated)
    };
    assert!(small.resolve(by, resolution("", false)).is_ok());
}

#[test]
fn closing_a_grave_incident_names_everything_that_is_missing() {
    let user = actor(ActorKind::User);
    let by = By {
        actor: &user,
        now: now(),
    };
    let close = |severity, resolution, planned| {
        let mut incident = Incident {
            severity,
            resolution,
            ..incident(Status::Resolved)
        };
        incident
            .close(by, CloseReason::Completed, None, planned, "")
            .map(drop)
    };
    let missing = |answer| match answer {
        Err(Refusal::Incomplete(missing)) => missing.len(),
        other => panic!("{other:?}"),
    };
    for grave in [Severity::Critical, Severity::High] {
        assert_eq!(missing(close(grave, Some(resolution("", false)), 1)), 3);
        assert_eq!(
            missing(close(grave, Some(resolution("cause", false)), 0)),
            1
        );
        assert_eq!(missing(close(grave, Some(resolution("", true)), 0)), 1);
        assert!(close(grave, Some(resolution("cause", true)), 0).is_ok());
    }
    for small in [Severity::Medium, Severity::Low] {
        assert!(close(small, Some(resolution("", false)), 0).is_ok());
        assert_eq!(missing(close(small, Some(resolution("", false)), 1)), 1);
    }
}

#[test]
fn an_assignee_keeps_the_acknowledgement() {
    let mut incident = Incident {
        assignee: "ann".into(),
        ..incident(Status::Investigating)
    };
    assert!(matches!(
        incident.unacknowledge(""),
        Err(Refusal::Incomplete(_))
    ));
    incident.assignee.clear();
    assert!(incident.unacknowledge("").is_ok());
    assert_eq!(incident.acknowledge_time, None);
}

#[test]
fn a_rule_reopens_without_answering_and_a_person_answers_by_reopening() {
    let targets = ResponseTargets::default();
    let (rule, user) = (Actor::system(), actor(ActorKind::User));
    let mut by_rule = incident(Status::Resolved);
    let by = By {
        actor: &rule,
        now: now(),
    };
    by_rule.reopen(by, &targets, LIMIT, "").expect("it is over");
    assert_eq!((by_rule.round, by_rule.acknowledge_time), (2, None));
    assert_eq!(by_rule.clock.due_time(), now() + TimeDelta::hours(1));
    let by = By {
        actor: &user,
        now: now(),
    };
    let entry = by_rule
        .acknowledge(by, "")
        .expect("nobody has answered this round");
    assert_eq!(
        (entry.kind, by_rule.status),
        (EntryKind::Acknowledged, Status::Investigating)
    );
    assert!(by_rule.acknowledge(by, "").is_err());

    let mut by_person = incident(Status::Closed);
    by_person
        .reopen(by, &targets, LIMIT, "")
        .expect("it is over");
    assert_eq!(by_person.acknowledge_time, Some(now()));
}

#[test]
fn what_was_closed_long_ago_stays_closed() {
    let user = actor(ActorKind::User);
    let by = By {
        actor: &user,
        now: now(),
    };
    let reopen = |ago| {
        let close_time = Some(now() - ago);
        let mut incident = Incident {
            close_time,
            ..incident(Status::Closed)
        };
        incident
            .reopen(by, &ResponseTargets::default(), LIMIT, "")
            .map(drop)
    };
    assert!(reopen(LIMIT).is_ok());
    assert!(matches!(
        reopen(LIMIT + TimeDelta::seconds(1)),
        Err(Refusal::Incomplete(_))
    ));
}

#[test]
fn a_breach_is_recorded_once_a_round_and_only_while_nobody_answered() {
    let mut incident = incident(Status::Detected);
    let due = incident.clock.due_time();
    assert_eq!(
        incident.record_breach(due - TimeDelta::microseconds(1)),
        None
    );
    assert!(incident.record_breach(due).is_some());
    assert_eq!(incident.record_breach(due + TimeDelta::hours(1)), None);
    let mut answered = self::incident(Status::Acknowledged);
    answered.acknowledge_time = Some(now());
    assert_eq!(answered.record_breach(due), None);
}

#[test]
fn a_new_priority_moves_the_due_time_from_the_same_start() {
    let (targets, user) = (ResponseTargets::default(), actor(ActorKind::User));
    let by = By {
        actor: &user,
        now: now(),
    };
    let mut incident = incident(Status::Detected);
    let start = incident.clock.start_time;
    let raised = incident.reclassify(by, Severity::High, Priority::P1, &targets, "why");
    assert_eq!(
        raised.expect("it is open").expect("it changed").kind,
        EntryKind::Escalated
    );
    assert_eq!(incident.clock.due_time(), start + TimeDelta::minutes(5));
    let same = incident.reclassify(by, Severity::High, Priority::P1, &targets, "why");
    assert_eq!(same, Ok(None));
    let lowered = incident.reclassify(by, Severity::Low, Priority::P4, &targets, "why");
    assert_eq!(
        lowered.expect("it is open").expect("it changed").kind,
        EntryKind::Deescalated
    );
    let mut closed = self::incident(Status::Closed);
    assert!(
        closed
            .reclassify(by, Severity::Low, Priority::P4, &targets, "why")
            .is_err()
    );
}

#[test]
fn an_agent_raises_and_does_not_lower_what_is_grave() {
    let (targets, agent) = (ResponseTargets::default(), actor(ActorKind::Agent));
    let by = By {
        actor: &agent,
        now: now(),
    };
    let mut incident = incident(Status::Detected);
    let set = |incident: &mut Incident, severity| {
        incident.reclassify(by, severity, Priority::P2, &targets, "why")
    };
    assert!(set(&mut incident, Severity::Critical).is_ok());
    for lower in [Severity::High, Severity::Medium, Severity::Low] {
        assert_eq!(set(&mut incident, lower), Err(Refusal::NeedsPerson));
    }
    incident.severity = Severity::Medium;
    assert!(set(&mut incident, Severity::Low).is_ok());
}

#[test]
fn a_graver_signal_makes_it_worse_and_nothing_makes_it_better() {
    let targets = ResponseTargets::default();
    let mut incident = incident(Status::Investigating);
    let mut worsen = |severity, priority| incident.worsen(severity, priority, &targets, "");
    assert_eq!(worsen(Severity::Medium, Priority::P3), None);
    let raised = worsen(Severity::Low, Priority::P1).expect("it is more urgent");
    assert_eq!(raised.kind, EntryKind::Escalated);
    assert_eq!(raised.summary, "Raised to HIGH P1");
    assert_eq!(incident.clock.target, targets.p1);
    let mut over = self::incident(Status::Resolved);
    assert_eq!(
        over.worsen(Severity::Critical, Priority::P1, &targets, ""),
        None
    );
}

#[test]
fn figures_run_from_the_start_of_the_round() {
    let user = actor(ActorKind::User);
    let mut incident = incident(Status::Detected);
    let by = By {
        actor: &user,
        now: now(),
    };
    incident.acknowledge(by, "").expect("it is detected");
    let later = By {
        actor: &user,
        now: now() + TimeDelta::minutes(5),
    };
    incident
        .resolve(later, resolution("cause", false))
        .expect("it is open");
    let figures = incident.figures(&[]);
    assert_eq!(figures.acknowledge, Some(TimeDelta::minutes(10)));
    assert_eq!(figures.resolve, Some(TimeDelta::minutes(15)));
    assert_eq!((figures.mitigate, figures.detect), (None, None));
}

#[test]
fn a_duplicate_names_its_original() {
    let user = actor(ActorKind::User);
    let by = By {
        actor: &user,
        now: now(),
    };
    let original = IncidentId::new();
    let mut incident = incident(Status::Acknowledged);
    incident
        .close(by, CloseReason::Duplicate, Some(original), 3, "")
        .expect("it is open");
    assert_eq!(incident.duplicate_of, Some(original));
}
