use chrono::TimeDelta;
use reeve_ids::{GateId, TaskId, TenantId};
use serde_json::json;

use crate::domain::GateState;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("in range")
}

fn by(kind: ActorKind, subject: &str) -> Actor {
    Actor {
        kind: kind as i16,
        subject: subject.to_owned(),
        display_name: subject.to_owned(),
    }
}

fn person() -> Actor {
    by(ActorKind::User, "key:person")
}

fn gate(kind: GateKind) -> Gate {
    Gate {
        id: GateId::new(),
        tenant_id: TenantId::new(),
        task_id: TaskId::new(),
        queue: "default".to_owned(),
        task_type: "deploy".to_owned(),
        kind,
        state: GateState::Open,
        prompt: "may I?".to_owned(),
        answer_schema: None,
        content_digest: String::new(),
        expire_time: None,
        expiry: None,
        attempt: 1,
        agent_id: None,
        opener: by(ActorKind::Agent, "key:agent"),
        create_time: now(),
        answer: None,
        answerer: None,
        close_time: None,
    }
}

fn decides(decision: Decision) -> Answer {
    Answer {
        said: Said::Decision(decision),
        comment: "so be it".to_owned(),
        result: None,
    }
}

fn says(input: Json) -> Answer {
    Answer {
        said: Said::Input(input),
        comment: String::new(),
        result: None,
    }
}

/// Rows are kinds, columns are decisions; the cell is where the task goes, nothing when refused.
#[test]
fn every_cell_of_kind_and_decision() {
    let (p, c, f, x) = (
        Some(State::Pending),
        Some(State::Completed),
        Some(State::Failed),
        Some(State::Cancelled),
    );
    let n = None;
    #[rustfmt::skip]
    let table = [
        //                      APPROVE REJECT RUN_AGAIN COMPLETE FAIL CANCEL
        (GateKind::Input,      [n,      n,     n,        n,       n,   n]),
        (GateKind::Approval,   [p,      f,     n,        n,       n,   n]),
        (GateKind::LostLease,  [n,      n,     p,        c,       f,   x]),
        (GateKind::Timeout,    [n,      n,     p,        c,       f,   x]),
    ];
    for (kind, row) in table {
        for (expected, decision) in row.into_iter().zip(Decision::ALL) {
            let ruling = gate(kind).rule(&person(), &decides(decision), "", now());
            let to = ruling.ok().map(|ruling| ruling.state());
            assert_eq!(to, expected, "{kind:?} {decision:?}");
        }
        let told = gate(kind).rule(&person(), &says(json!({})), "", now());
        assert_eq!(told.is_ok(), kind == GateKind::Input, "{kind:?}");
    }
}

#[test]
fn only_people_answer_and_nobody_what_they_asked_for() {
    let yes = decides(Decision::Approve);
    for kind in [ActorKind::Agent, ActorKind::Service] {
        let ruling = gate(GateKind::Approval).rule(&by(kind, "key:x"), &yes, "", now());
        assert_eq!(ruling, Err(Objection::WrongKind));
    }
    let asker = by(ActorKind::User, "key:agent");
    let ruling = gate(GateKind::Approval).rule(&asker, &yes, "", now());
    assert_eq!(ruling, Err(Objection::OwnAsk));
    let told = gate(GateKind::Input).rule(&asker, &says(json!({})), "", now());
    assert_eq!(told, Ok(Ruling::GoOn), "an answer is no leave");
}

#[test]
fn who_decides_has_seen_what_it_is_about() {
    let digest = "ab".repeat(32);
    let bound = Gate {
        content_digest: digest.clone(),
        ..gate(GateKind::Approval)
    };
    let yes = decides(Decision::Approve);
    let ruled = |seen: &str| bound.rule(&person(), &yes, seen, now());
    assert_eq!(ruled(&digest.to_uppercase()), Ok(Ruling::GoOn));
    assert_eq!(ruled(&"cd".repeat(32)), Err(Objection::DigestMismatch));
    assert!(matches!(ruled(""), Err(Objection::Unfit(_))));
    let free = gate(GateKind::Approval).rule(&person(), &yes, &digest, now());
    assert!(matches!(free, Err(Objection::Unfit(_))));
}

#[test]
fn input_matches_the_schema() {
    let asks = Gate {
        answer_schema: Some(json!({
            "type": "object",
            "properties": {"region": {"enum": ["eu", "us"]}},
            "required": ["region"],
        })),
        ..gate(GateKind::Input)
    };
    let ruled = |input| asks.rule(&person(), &says(input), "", now());
    assert_eq!(ruled(json!({"region": "eu"})), Ok(Ruling::GoOn));
    for (wrong, field) in [
        (json!({"region": "mars"}), "answer.input.region"),
        (json!({}), "answer.input"),
    ] {
        let Err(Objection::Unfit(unfit)) = ruled(wrong) else {
            panic!("it should be refused");
        };
        assert!(unfit[0].0.starts_with(field), "{unfit:?}");
    }
}

#[test]
fn when_the_time_is_over_no_answer_counts() {
    let timed = |expiry| Gate {
        expire_time: Some(now()),
        expiry: Some(expiry),
        ..gate(GateKind::Input)
    };
    let told = timed(Expiry::Fail).rule(&person(), &says(json!({})), "", now());
    assert_eq!(told, Err(Objection::Late));
    let before = now() - TimeDelta::microseconds(1);
    let told = timed(Expiry::Fail).rule(&person(), &says(json!({})), "", before);
    assert_eq!(told, Ok(Ruling::GoOn));
    assert_eq!(timed(Expiry::Proceed).expired(), Ruling::GoOn);
    assert_eq!(timed(Expiry::Fail).expired().state(), State::Failed);
}

#[test]
fn an_error_stays_within_its_bounds() {
    let long = Answer {
        comment: "ä".repeat(2_048),
        ..decides(Decision::Fail)
    };
    let ruling = gate(GateKind::Timeout).rule(&person(), &long, "", now());
    let Ok(Ruling::Fail(error)) = ruling else {
        panic!("it fails");
    };
    assert_eq!(error.code, "OUTCOME_UNKNOWN");
    assert!(error.message.len() <= 4_096 && error.message.ends_with('ä'));
}

#[test]
fn numbers_are_one_to_one() {
    for kind in GateKind::ALL {
        assert_eq!(GateKind::from_number(kind.number()), Some(kind));
    }
    for state in GateState::ALL {
        assert_eq!(GateState::from_number(state.number()), Some(state));
    }
    for decision in Decision::ALL {
        assert_eq!(Decision::from_number(decision.number()), Some(decision));
    }
    assert_eq!(GateKind::from_number(0), None);
    assert_eq!(GateState::from_number(5), None);
    assert_eq!(Decision::from_number(7), None);
    assert_eq!(Expiry::from_number(3), None);
}
