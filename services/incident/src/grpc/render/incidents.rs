//! Incidents, timelines and post-mortems.

use chrono::{DateTime, Utc};
use prost::Message as _;
use reeve_contracts::incident::v1 as proto;
use reeve_contracts::r#type::v1::Money;

use super::super::words::OnWire;
use super::{actor, maybe, object, parts, span, time};
use crate::domain::canonical::hex;
use crate::domain::incident::{Figures, Incident};
use crate::domain::parts::Impact;
use crate::domain::timeline::TimelineEvent;
use crate::operations::postmortem::Postmortem;
use crate::operations::view::View;

/// What an incident may take of an answer. Its parts, its evidence and its resolution are bounded
/// where they are written; of the timeline, as many of the newest entries come with it as fit.
const LARGEST: usize = 7 * 1024 * 1024 / 2;

/// An incident with everything that belongs to it.
pub fn whole(view: &View) -> Option<proto::Incident> {
    let View {
        incident,
        parts: held,
        timeline,
        intact,
        evidence,
        now,
    } = view;
    let mut whole = proto::Incident {
        impacts: held.impacts.iter().map(parts::impact).collect(),
        actions: held.actions.iter().map(parts::action).collect(),
        communications: held
            .communications
            .iter()
            .map(parts::communication)
            .collect(),
        evidence: evidence.iter().map(parts::evidence).collect(),
        figures: Some(figures(&incident.figures(&held.impacts))),
        ..basic(incident, *now)
    };
    whole.timeline = Some(proto::IncidentTimeline {
        events: newest(timeline, LARGEST.saturating_sub(whole.encoded_len())),
        event_count: incident.timeline_count,
        intact: *intact,
    });
    Some(whole)
}

/// The newest entries that fit, oldest first; one at least, if there is any.
fn newest(timeline: &[TimelineEvent], room: usize) -> Vec<proto::IncidentEvent> {
    let mut bytes = 0;
    let entries = timeline.iter().rev().map(entry).enumerate();
    let fit = entries.take_while(|(at, entry)| {
        // Tag and length come with each.
        bytes += entry.encoded_len() + 8;
        *at == 0 || bytes <= room
    });
    let mut newest: Vec<_> = fit.map(|(_, entry)| entry).collect();
    newest.reverse();
    newest
}

/// An incident as lists show it.
pub fn basic(incident: &Incident, now: DateTime<Utc>) -> proto::Incident {
    let none: &[Impact] = &[];
    let ids = |ids: &[reeve_ids::IncidentId]| ids.iter().map(ToString::to_string).collect();
    proto::Incident {
        id: incident.id.to_string(),
        etag: incident.version.to_string(),
        project_id: incident.project_id.clone(),
        title: incident.title.clone(),
        description: incident.description.clone(),
        severity: incident.severity.number(),
        priority: incident.priority.number(),
        status: incident.status.number(),
        category: incident.category.number(),
        source: incident.source.number(),
        assignee: incident.assignee.clone(),
        labels: incident.labels.clone().into_iter().collect(),
        impacts: Vec::new(),
        timeline: None,
        actions: Vec::new(),
        communications: Vec::new(),
        resolution: incident.resolution.as_ref().map(parts::resolution),
        evidence: Vec::new(),
        rule_id: incident
            .rule_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        incident_key: incident.key.map(|key| hex(&key)).unwrap_or_default(),
        signal_count: incident.signal_count,
        last_signal_time: maybe(incident.last_signal_time),
        related_incident_ids: ids(&incident.related),
        close_reason: incident.close_reason.map_or(0, OnWire::number),
        duplicate_of_incident_id: incident
            .duplicate_of
            .map(|id| id.to_string())
            .unwrap_or_default(),
        round: incident.round,
        response_clock: Some(clock(incident, now)),
        figures: Some(figures(&incident.figures(none))),
        detect_time: time(incident.detect_time),
        acknowledge_time: maybe(incident.acknowledge_time),
        acknowledged_by: incident.acknowledged_by.clone(),
        mitigate_time: maybe(incident.mitigate_time),
        resolve_time: maybe(incident.resolve_time),
        close_time: maybe(incident.close_time),
        reopen_time: maybe(incident.reopen_time),
        create_time: time(incident.create_time),
        update_time: time(incident.update_time),
        created_by: incident.created_by.clone(),
    }
}

fn clock(incident: &Incident, now: DateTime<Utc>) -> proto::ResponseClock {
    let clock = &incident.clock;
    proto::ResponseClock {
        target_duration: span(Some(clock.target)),
        start_time: time(clock.start_time),
        due_time: time(clock.due_time()),
        response_time: maybe(incident.acknowledge_time),
        breached: clock.is_breached(incident.acknowledge_time, now),
        breach_record_time: maybe(clock.breach_record_time),
    }
}

fn figures(figures: &Figures) -> proto::IncidentFigures {
    proto::IncidentFigures {
        acknowledge_duration: span(figures.acknowledge),
        mitigate_duration: span(figures.mitigate),
        resolve_duration: span(figures.resolve),
        detect_duration: span(figures.detect),
    }
}

/// An entry of a timeline.
pub fn entry(event: &TimelineEvent) -> proto::IncidentEvent {
    proto::IncidentEvent {
        sequence: event.sequence,
        r#type: event.entry.kind.number(),
        create_time: time(event.create_time),
        actor: actor(&event.actor),
        summary: event.entry.summary.clone(),
        details: object(&event.entry.details),
        previous_hash: hex(&event.previous_hash),
        hash: hex(&event.hash),
    }
}

/// A post-mortem.
pub fn postmortem(document: &Postmortem) -> proto::Postmortem {
    let costs = document.costs.iter().map(|(currency_code, amount)| Money {
        amount: amount.clone(),
        currency_code: currency_code.clone(),
    });
    proto::Postmortem {
        incident_id: document.incident_id.to_string(),
        markdown: document.markdown.clone(),
        figures: Some(figures(&document.figures)),
        task_costs: costs.collect(),
        r#final: document.is_final,
        generate_time: time(document.generate_time),
    }
}
