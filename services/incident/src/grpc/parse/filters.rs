//! Filters of lists and streams.

use reeve_contracts::audit::v1::ListAuditEntriesRequest;
use reeve_contracts::event::v1 as event;
use reeve_contracts::incident::v1 as incident;
use reeve_ids::{IncidentId, RuleId};

use super::Reader;
use crate::domain::alert::AlertState;
use crate::domain::classification::{Category, Priority, Severity, Source};
use crate::domain::status::Status;
use crate::operations::{AlertFilter, EventFilter, IncidentFilter};

const SOURCES: [&str; 5] = [
    "agent-registry",
    "task-queue",
    "workflow-engine",
    "finance",
    "incident",
];

/// Which events.
pub fn events(reader: &mut Reader, filter: Option<&event::EventFilter>) -> EventFilter {
    let Some(filter) = filter else {
        return EventFilter::default();
    };
    let known = filter
        .sources
        .iter()
        .all(|source| SOURCES.contains(&source.as_str()));
    let names = SOURCES.join(", ");
    reader.check(known, "filter.sources", &format!("must be of {names}"));
    let (types, nouns) = patterns(reader, "filter.types", &filter.types);
    let (min_occur_micros, max_occur_micros) = reader.span(
        ("filter.min_occur_time", filter.min_occur_time.as_ref()),
        ("filter.max_occur_time", filter.max_occur_time.as_ref()),
    );
    EventFilter {
        sources: filter.sources.clone(),
        types,
        nouns,
        resource_type: reader.optional_text("filter.resource_type", &filter.resource_type, 64),
        resource_id: reader.optional_text("filter.resource_id", &filter.resource_id, 128),
        principal: String::new(),
        request_id: String::new(),
        min_occur_micros,
        max_occur_micros,
    }
}

/// Exact types, and the nouns of patterns like "task.*".
fn patterns(reader: &mut Reader, field: &str, patterns: &[String]) -> (Vec<String>, Vec<String>) {
    let patterns = reader.texts(field, patterns, 50, 128);
    let (starred, types): (Vec<String>, Vec<String>) = patterns
        .into_iter()
        .partition(|pattern| pattern.contains('*'));
    let form = "must be exact, like task.failed, or a noun with a star, like task.*";
    let nouns = starred.iter().filter_map(|pattern| {
        let noun = pattern
            .strip_suffix(".*")
            .filter(|noun| !noun.contains(['.', '*']));
        reader.check(noun.is_some_and(|noun| !noun.is_empty()), field, form);
        noun.map(str::to_owned)
    });
    (types, nouns.collect())
}

/// Which audit entries.
pub fn audit(reader: &mut Reader, request: &ListAuditEntriesRequest) -> EventFilter {
    let actions: Vec<String> = Some(request.action.clone())
        .into_iter()
        .filter(|action| !action.is_empty())
        .collect();
    let (types, nouns) = patterns(reader, "action", &actions);
    let (min_occur_micros, max_occur_micros) = reader.span(
        ("min_occur_time", request.min_occur_time.as_ref()),
        ("max_occur_time", request.max_occur_time.as_ref()),
    );
    EventFilter {
        sources: Vec::new(),
        types,
        nouns,
        resource_type: reader.optional_text("resource_type", &request.resource_type, 64),
        resource_id: reader.optional_text("resource_id", &request.resource_id, 128),
        principal: reader.optional_text("principal", &request.principal, 256),
        request_id: reader.optional_text("request_id", &request.request_id, 128),
        min_occur_micros,
        max_occur_micros,
    }
}

/// Which incidents.
pub fn incidents(reader: &mut Reader, filter: Option<&incident::IncidentFilter>) -> IncidentFilter {
    let Some(filter) = filter else {
        return IncidentFilter::default();
    };
    reader.within("filter", |reader| {
        let (min_detect_micros, max_detect_micros) = reader.span(
            ("min_detect_time", filter.min_detect_time.as_ref()),
            ("max_detect_time", filter.max_detect_time.as_ref()),
        );
        IncidentFilter {
            statuses: reader.words::<Status>("statuses", &filter.statuses),
            severities: reader.words::<Severity>("severities", &filter.severities),
            priorities: reader.words::<Priority>("priorities", &filter.priorities),
            categories: reader.words::<Category>("categories", &filter.categories),
            sources: reader.words::<Source>("sources", &filter.sources),
            project_id: reader.optional_text("project_id", &filter.project_id, 128),
            assignee: reader.optional_text("assignee", &filter.assignee, 200),
            rule_id: reader
                .optional_id::<RuleId>("rule_id", &filter.rule_id)
                .map(RuleId::uuid),
            task_id: reader.optional_text("task_id", &filter.task_id, 128),
            labels: reader.labels("labels", &filter.labels, 10),
            min_detect_micros,
            max_detect_micros,
            breached: filter.breached,
        }
    })
}

/// Which alerts.
pub fn alerts(reader: &mut Reader, request: &incident::ListAlertsRequest) -> AlertFilter {
    let rule = reader.optional_id::<RuleId>("rule_id", &request.rule_id);
    let incident = reader.optional_id::<IncidentId>("incident_id", &request.incident_id);
    AlertFilter {
        rule_id: rule.map(RuleId::uuid),
        incident_id: incident.map(IncidentId::uuid),
        states: reader.words::<AlertState>("states", &request.states),
    }
}
