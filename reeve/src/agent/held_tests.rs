use prost_types::Struct;
use reeve_contracts::task::v1::Usage;

use super::*;

fn finished(token: &str) -> Finished {
    Finished {
        lease_token: token.to_owned(),
        outcome: Outcome::Completed(Struct::default()),
        usage: vec![Usage::default()],
    }
}

fn held(tokens: &[&str]) -> Held {
    let mut held = Held::default();
    for token in tokens {
        held.begin((*token).to_owned(), None, CancellationToken::new());
        held.end(finished(token));
    }
    held
}

fn failure(code: Code, reason: &str) -> ItemFailure {
    ItemFailure {
        code: code.into(),
        reason: reason.to_owned(),
        message: "no".to_owned(),
        ..ItemFailure::default()
    }
}

/// Sends everything and has it answered alike.
fn round(held: &mut Held, failures: &[ItemFailure]) -> Vec<Report> {
    held.pulse();
    let mut sequence = 0;
    let sent = held.send(&mut sequence);
    for (sequence, _) in &sent {
        assert!(held.acknowledge(*sequence, failures));
    }
    sent.into_iter().map(|(_, report)| report).collect()
}

fn error(report: &Report) -> (&str, usize) {
    match report {
        Report::Fail(item) => (&item.error.as_ref().unwrap().code, item.usage.len()),
        Report::Complete(_) | Report::Suspend(_) => ("", 1),
    }
}

#[test]
fn a_report_is_held_until_it_is_stored() {
    let mut held = held(&["a"]);
    let mut sequence = 6;
    assert_eq!(held.send(&mut sequence)[0].0, 7);
    assert!(held.send(&mut sequence).is_empty(), "once on one stream");
    held.interrupted(None);
    assert_eq!(held.send(&mut sequence)[0].0, 8);
    assert!(!held.acknowledge(7, &[]), "that was another stream");
    assert!(held.acknowledge(8, &[]));
    assert!(held.is_empty());
}

#[test]
fn what_may_be_stored_later_is_sent_again() {
    let mut held = held(&["a"]);
    for (code, reason) in [
        (Code::Unavailable, "DATABASE_UNAVAILABLE"),
        (Code::ResourceExhausted, "OVERLOADED"),
        (Code::DeadlineExceeded, "DEADLINE_PASSED"),
    ] {
        let sent = round(&mut held, &[failure(code, reason)]);
        assert_eq!(error(&sent[0]), ("", 1), "{reason}");
        assert!(held.send(&mut 0).is_empty(), "not before the next pulse");
    }
    round(&mut held, &[]);
    assert!(held.is_empty());
}

#[test]
fn a_refused_report_becomes_a_failure_and_is_given_up_at_last() {
    let refused = [failure(Code::InvalidArgument, "VALIDATION_FAILED")];
    let mut held = held(&["a"]);
    assert_eq!(error(&round(&mut held, &refused)[0]), ("", 1));
    assert_eq!(error(&round(&mut held, &refused)[0]), ("REPORT_REFUSED", 1));
    assert_eq!(error(&round(&mut held, &refused)[0]), ("REPORT_REFUSED", 0));
    assert!(held.is_empty());
}

#[test]
fn a_lost_lease_ends_the_matter() {
    let mut held = held(&["a"]);
    round(
        &mut held,
        &[failure(Code::FailedPrecondition, "LEASE_LOST")],
    );
    assert!(held.is_empty());
}

#[test]
fn a_service_that_stumbles_over_a_report_is_spared_it_in_the_end() {
    let mut held = held(&["a"]);
    let stumble = [failure(Code::Internal, "INTERNAL_ERROR")];
    let mut rounds = 0;
    while !held.is_empty() {
        round(&mut held, &stumble);
        rounds += 1;
    }
    assert_eq!(rounds, 3 * usize::from(MOST_STUMBLES));
}

#[test]
fn the_largest_of_a_stream_that_was_refused_is_failed_and_the_others_go_on() {
    let mut held = held(&["a", "c"]);
    held.begin("b".to_owned(), None, CancellationToken::new());
    let mut large = finished("b");
    large.usage = vec![Usage::default(); 30];
    held.end(large);
    held.send(&mut 0);
    let refusal = failure(Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
    held.interrupted(Some(&(&refusal).into()));
    let sent = held.send(&mut 0);
    let codes: Vec<_> = sent.iter().map(|(_, report)| error(report).0).collect();
    assert_eq!(codes, ["", "RESULT_TOO_LARGE", ""]);
}

#[test]
fn a_verdict_stops_programs_and_no_report() {
    let mut held = held(&["reported"]);
    let renewal = |token: &str, verdict: LeaseVerdict| LeaseRenewal {
        lease_token: token.to_owned(),
        verdict: verdict.into(),
        ..LeaseRenewal::default()
    };
    let tokens = ["cancelled", "lost", "kept"].map(|token| {
        let cancel = CancellationToken::new();
        held.begin(token.to_owned(), None, cancel.clone());
        cancel
    });
    held.judge(&[
        renewal("cancelled", LeaseVerdict::Cancel),
        renewal("lost", LeaseVerdict::Lost),
        renewal("kept", LeaseVerdict::Ok),
        renewal("reported", LeaseVerdict::Lost),
    ]);
    let stopped = tokens.map(|token| token.is_cancelled());
    assert_eq!(stopped, [true, true, false]);
    held.end(finished("cancelled"));
    held.end(finished("lost"));
    assert_eq!(held.tokens(), ["cancelled", "kept", "reported"]);
}

#[test]
fn what_was_abandoned_reports_nothing() {
    let mut held = held(&["reported"]);
    let cancel = CancellationToken::new();
    held.begin("running".to_owned(), None, cancel.clone());
    held.abandon();
    assert!(cancel.is_cancelled());
    held.end(finished("running"));
    assert_eq!(held.tokens(), ["reported"]);
}

#[test]
fn the_shortest_lease_decides_how_often_all_are_renewed() {
    let mut held = Held::default();
    assert_eq!(held.beat(), None);
    for (token, seconds) in [("usual", 30), ("short", 3), ("late", 0)] {
        let lasts = Some(Duration::from_secs(seconds));
        held.begin(token.to_owned(), lasts, CancellationToken::new());
    }
    assert_eq!(held.beat(), Some(LEAST_BEAT));
    held.stored("late");
    assert_eq!(held.beat(), Some(Duration::from_secs(1)));
    held.stored("short");
    assert_eq!(held.beat(), Some(Duration::from_secs(10)));
}
