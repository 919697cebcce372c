//! The text of a post-mortem. What people, agents and tasks wrote is data: it is escaped within a
//! line and indented as code in a paragraph, so that it cannot pose as part of the document.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde_json::{Value as Json, json};

use super::view::View;
use crate::domain::evidence::{Evidence, FailedAttempt, Trouble, cut, trace_id};
use crate::domain::incident::Figures;
use crate::domain::markdown::{block, plain};
use crate::domain::parts::{Action, Impact, Resolution};
use crate::domain::timeline::TimelineEvent;

/// Characters of a text within a line or a cell.
const LONGEST_LINE: usize = 500;

/// Writes the document.
pub fn render(view: &View, figures: &Figures, costs: &BTreeMap<String, String>) -> String {
    let mut environment = Environment::new();
    environment.add_filter("inline", |text: String| inline(&text));
    environment.add_filter("block", |text: String| block(&text));
    environment.add_filter("code", |text: String| code(&text));
    let rendered = environment.render_str(
        include_str!("postmortem.md.j2"),
        facts(view, figures, costs),
    );
    rendered.unwrap_or_else(|error| {
        tracing::error!(%error, "the post-mortem's template failed");
        format!("# Post-mortem: {}\n", inline(&view.incident.title))
    })
}

fn facts(view: &View, figures: &Figures, costs: &BTreeMap<String, String>) -> Value {
    let incident = &view.incident;
    let evidence: Vec<Json> = view.evidence.iter().map(evidence).collect();
    let lag = view
        .evidence
        .first()
        .map(|one| span(one.create_time - one.fact.occur_time));
    let shown = i64::try_from(view.timeline.len()).unwrap_or(i64::MAX);
    let document = json!({
        "id": incident.id, "title": incident.title, "description": incident.description,
        "status": incident.status, "close_reason": incident.close_reason,
        "severity": incident.severity, "priority": incident.priority,
        "category": incident.category, "source": incident.source,
        "assignee": incident.assignee, "project_id": incident.project_id,
        "round": incident.round, "duplicate_of": incident.duplicate_of,
        "related": incident.related, "signal_count": incident.signal_count,
        "last_signal_time": incident.last_signal_time.map(time),
        "final": !incident.status.is_open(),
        "detect_time": time(incident.detect_time),
        "acknowledge_time": incident.acknowledge_time.map(time),
        "acknowledged_by": incident.acknowledged_by,
        "mitigate_time": incident.mitigate_time.map(time),
        "resolve_time": incident.resolve_time.map(time),
        "due_time": time(incident.clock.due_time()), "target": span(incident.clock.target),
        "breached": incident.clock.is_breached(incident.acknowledge_time, view.now),
        "acknowledge_duration": figures.acknowledge.map(span),
        "mitigate_duration": figures.mitigate.map(span),
        "resolve_duration": figures.resolve.map(span),
        "detect_duration": figures.detect.filter(|d| *d > TimeDelta::zero()).map(span),
        "resolution": incident.resolution.as_ref().map(resolution),
        "impacts": view.parts.impacts.iter().map(impact).collect::<Vec<_>>(),
        "actions": view.parts.actions.iter().map(action).collect::<Vec<_>>(),
        "timeline": view.timeline.iter().map(entry).collect::<Vec<_>>(),
        "omitted": incident.timeline_count.saturating_sub(shown),
        "intact": view.intact,
        "first_evidence": evidence.first(), "lag": lag, "evidence": evidence,
        "costs": costs,
    });
    Value::from(Serde(document))
}

fn resolution(resolution: &Resolution) -> Json {
    json!({
        "kind": resolution.kind, "summary": resolution.summary,
        "detailed_description": resolution.detailed_description,
        "root_cause": resolution.root_cause,
        "contributing_factors": resolution.contributing_factors,
        "steps": resolution.steps, "permanent": resolution.permanent,
        "temporary_workaround": resolution.temporary_workaround,
        "verified": resolution.verified, "verify_time": resolution.verify_time.map(time),
        "verified_by": resolution.verified_by,
        "verification_steps": resolution.verification_steps,
    })
}

fn impact(impact: &Impact) -> Json {
    let business = impact.business_impact.as_ref();
    json!({
        "severity": impact.severity, "kind": impact.kind, "description": impact.description,
        "component": impact.affected_component, "users": impact.affected_user_count,
        "business": business.map(|(amount, currency)| format!("{amount} {currency}")),
        "start": time(impact.start_time), "end": impact.end_time.map(time),
        "duration": impact.duration().map(span),
    })
}

fn action(action: &Action) -> Json {
    json!({
        "state": action.state, "kind": action.kind, "description": action.description,
        "owner": action.owner, "outcome": action.outcome, "due": action.due_time.map(time),
    })
}

fn entry(event: &TimelineEvent) -> Json {
    let who = if event.actor.display_name.is_empty() {
        &event.actor.subject
    } else {
        &event.actor.display_name
    };
    json!({
        "time": time(event.create_time), "kind": event.entry.kind, "who": who,
        "summary": event.entry.summary,
    })
}

fn evidence(one: &Evidence) -> Json {
    let trouble = Trouble::of(&one.fact);
    json!({
        "event_id": one.fact.id, "event_type": one.fact.kind, "event_source": one.fact.source,
        "occur_time": time(one.fact.occur_time), "task_id": one.task_id(),
        "execution_id": trouble.execution_id, "agent_id": trouble.agent_id,
        "trace_id": trace_id(&one.traceparent()), "error_class": trouble.class(),
        "error_code": trouble.error_code, "error_message": trouble.error_message,
        "state": one.state, "incomplete_reason": one.incomplete_reason,
        "attempts": one.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &FailedAttempt) -> Json {
    json!({
        "attempt": attempt.attempt, "task_id": attempt.task_id, "agent_id": attempt.agent_id,
        "fail_time": time(attempt.fail_time), "error_code": attempt.error_code,
        "error_message": attempt.error_message,
    })
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A duration for people: the two largest units.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    match seconds {
        ..0 => "0 s".to_owned(),
        0..10 => format!("{:.1} s", span.as_seconds_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A text within a line: no line break, and no character that Markdown or HTML takes for its own.
fn inline(text: &str) -> String {
    let line = plain(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut out = String::with_capacity(line.len() + 16);
    for character in cut(&line, LONGEST_LINE).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '!' | '~' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

/// An id between backticks.
fn code(text: &str) -> String {
    cut(text, 128)
        .chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '`' | '|'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_within_a_line_cannot_leave_it() {
        let text = inline("a\n# b | <script> `x` [y](z) &");
        assert_eq!(text, "a \\# b \\| &lt;script&gt; \\`x\\` \\[y\\](z) &amp;");
        assert!(inline(&"x".repeat(5_000)).len() <= LONGEST_LINE);
    }

    #[test]
    fn durations_are_for_people() {
        let spans = [
            (1_500, "1.5 s"),
            (75_000, "1 min 15 s"),
            (7_260_000, "2 h 1 min"),
        ];
        for (milliseconds, text) in spans {
            assert_eq!(span(TimeDelta::milliseconds(milliseconds)), text);
        }
        assert_eq!(span(TimeDelta::hours(25)), "1 d 1 h");
        assert_eq!(span(TimeDelta::seconds(-1)), "0 s");
    }
}
