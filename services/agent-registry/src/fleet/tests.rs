use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{AgentId, TenantId};

use super::*;
use crate::domain::state::AgentState;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn member(id: AgentId, epoch: i64, version: i64, state: AgentState) -> Member {
    let tenant_id = TenantId::new();
    Member {
        id,
        tenant_id,
        epoch,
        state,
        version,
        status: Status::default(),
    }
}

fn beat(agent_id: AgentId, epoch: i64, seconds: i64) -> Beat {
    let workload = Some(Workload {
        active_task_count: 1,
        ..Workload::default()
    });
    Beat {
        agent_id,
        epoch,
        time: at(seconds),
        workload,
        health_checks: Vec::new(),
    }
}

#[test]
fn many_heartbeats_are_one_renewal_and_one_report() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 1, 1, AgentState::Active));
    for second in 0..10 {
        fleet.record(beat(id, 1, second));
    }
    assert_eq!(fleet.take_renewals(), [(id, 1)]);
    assert!(fleet.take_renewals().is_empty());
    let reports = fleet.take_reports(100);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].last_heartbeat_time, at(9));
    assert!(fleet.take_reports(100).is_empty());
}

#[test]
fn what_could_not_be_written_comes_again_once() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 1, 1, AgentState::Active));
    fleet.record(beat(id, 1, 0));
    let (renewals, reports) = (fleet.take_renewals(), fleet.take_reports(1));
    fleet.record(beat(id, 1, 1));
    fleet.return_renewals(renewals);
    fleet.return_reports(reports);
    assert_eq!(fleet.take_renewals(), [(id, 1)]);
    assert_eq!(fleet.take_reports(100)[0].last_heartbeat_time, at(1));
}

#[test]
fn a_heartbeat_of_an_earlier_process_leaves_nothing_behind() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 2, 5, AgentState::Active));
    fleet.record(beat(id, 1, 0));
    assert!(fleet.take_renewals().is_empty() && fleet.take_reports(1).is_empty());
    assert!(!fleet.heard(id, 2, at(0), TimeDelta::seconds(1)));
}

#[test]
fn an_older_read_does_not_undo_a_newer_one() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 2, 5, AgentState::Active));
    fleet.install(member(id, 1, 4, AgentState::Offline));
    let known = fleet.standing(id).expect("installed").known;
    assert_eq!((known.epoch, known.state), (2, AgentState::Active));
}

#[test]
fn a_change_elsewhere_makes_the_seat_unusable_until_it_is_read() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 1, 5, AgentState::Active));
    fleet.outdate(id, 5);
    assert!(fleet.standing(id).is_some(), "its own change is no news");
    fleet.outdate(id, 6);
    assert!(fleet.standing(id).is_none());
    fleet.install(member(id, 1, 6, AgentState::Draining));
    assert!(fleet.standing(id).is_some());
}

#[test]
fn a_change_that_is_heard_of_while_the_agent_is_read_is_not_missed() {
    let fleet = Fleet::new();
    let (id, deleted) = (AgentId::new(), AgentId::new());
    fleet.outdate(id, 6);
    fleet.forget(deleted);
    // Read before these, and arriving after them.
    fleet.install(member(id, 1, 5, AgentState::Active));
    fleet.install(member(deleted, 1, 5, AgentState::Offline));
    assert!(fleet.standing(id).is_none() && fleet.standing(deleted).is_none());
    fleet.outdate(id, 7);
    fleet.install(member(id, 1, 6, AgentState::Draining));
    assert!(fleet.standing(id).is_none(), "a newer one was heard of");
    fleet.install(member(id, 1, 7, AgentState::Inactive));
    assert!(fleet.standing(id).is_some());
}

#[test]
fn only_those_whose_silence_means_something_have_leases() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 1, 1, AgentState::Active));
    fleet.record(beat(id, 1, 0));
    // Before the renewal was sent, the agent was set aside.
    fleet.update(member(id, 1, 2, AgentState::Maintenance));
    fleet.release(id, 1);
    fleet.record(beat(id, 1, 1));
    assert!(fleet.take_renewals().is_empty());
    assert_eq!(fleet.take_releases(), [(id, 1)]);
    assert!(!fleet.heard(id, 1, at(1), TimeDelta::seconds(1)));
    // Before the release was sent, it was made active again.
    fleet.release(id, 1);
    fleet.update(member(id, 1, 3, AgentState::Active));
    fleet.grant(id, 1);
    assert!(fleet.take_releases().is_empty());
    assert_eq!(fleet.take_renewals(), [(id, 1)]);
}

#[test]
fn an_agent_is_told_to_drain_by_a_heartbeat_and_not_before() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 1, 1, AgentState::Active));
    fleet.record(beat(id, 1, 0));
    fleet.install(member(id, 1, 2, AgentState::Draining));
    assert!(!fleet.standing(id).expect("installed").known.told_to_drain);
    fleet.record(beat(id, 1, 1));
    assert!(fleet.standing(id).expect("installed").known.told_to_drain);
    fleet.install(member(id, 1, 3, AgentState::Inactive));
    assert!(!fleet.standing(id).expect("installed").known.told_to_drain);
}

#[test]
fn a_new_process_has_no_load_yet() {
    let fleet = Fleet::new();
    let id = AgentId::new();
    fleet.install(member(id, 1, 1, AgentState::Active));
    fleet.record(beat(id, 1, 7));
    fleet.install(member(id, 2, 2, AgentState::Starting));
    let mut shown = Status::default();
    fleet.overlay(id, 2, &mut shown);
    assert_eq!(
        (shown.last_heartbeat_time, shown.workload),
        (Some(at(7)), None)
    );
    assert!(!fleet.heard(id, 2, at(7), TimeDelta::seconds(1)));
}
