//! `reeve incident`.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::Result;
use clap::Subcommand;
use reeve_contracts::incident::v1::incident_service_client::IncidentServiceClient;
use reeve_contracts::incident::v1::{
    GetPostmortemRequest, WatchIncidentsRequest, WatchIncidentsResponse,
};
use serde_json::{Value as Json, json};

use super::{Page, call, follow};
use crate::client::input;
use crate::client::output::{Column, Format, Rows, print};
use crate::client::session::Session;
use crate::client::text::visible_lines;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("STATUS", "status"),
    ("SEVERITY", "severity"),
    ("PRIORITY", "priority"),
    ("TITLE", "title"),
    ("DETECTED", "detectTime"),
    ("ASSIGNEE", "assignee"),
];

/// What incidents can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// List incidents, newest first.
    List {
        /// Only this status, for example RESOLVED; may be repeated.
        #[arg(long = "status")]
        statuses: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one incident.
    Get {
        /// The incident's id.
        incident_id: String,
    },
    /// Show incidents as they change.
    Watch {
        /// Continues after a cursor; without one, what has changed comes first.
        #[arg(long, default_value = "")]
        cursor: String,
    },
    /// Say that somebody looks at it.
    Ack(Step),
    /// Begin the investigation.
    Investigate(Step),
    /// Begin the mitigation.
    Mitigate(Step),
    /// Say that it hurts no more.
    Mitigated(Step),
    /// Resolve it.
    Resolve {
        /// The incident's id.
        incident_id: String,
        /// What was done.
        #[arg(long)]
        summary: String,
        /// What caused it.
        #[arg(long, default_value = "")]
        root_cause: String,
    },
    /// Say how the resolution was verified.
    Verify {
        /// The incident's id.
        incident_id: String,
        /// A step of the verification; may be repeated.
        #[arg(long = "step", required = true)]
        steps: Vec<String>,
    },
    /// Close it.
    Close(Step),
    /// Print the post-mortem as Markdown.
    Postmortem {
        /// The incident's id.
        incident_id: String,
    },
}

/// A step of the response.
#[derive(Debug, Clone, clap::Args)]
pub struct Step {
    /// The incident's id.
    incident_id: String,
    /// A note for the timeline.
    #[arg(long, default_value = "")]
    note: String,
}

impl Step {
    fn json(&self) -> Json {
        json!({"incidentId": self.incident_id, "note": self.note})
    }
}

/// Calls a step's RPC and prints the incident.
macro_rules! step {
    ($session:expr, $out:expr, $method:ident, $json:expr) => {{
        let request = input::message($json)?;
        let changed = call!($session, Incident, IncidentServiceClient, $method, request);
        print($out, $session.output, &changed, "incident", COLUMNS)
    }};
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    match verb {
        Verb::List { statuses, page } => {
            let statuses = input::values_of("reeve.incident.v1.IncidentStatus", &statuses)?;
            let request = input::message(json!({
                "filter": {"statuses": statuses},
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                Incident,
                IncidentServiceClient,
                list_incidents,
                request
            );
            print(out, session.output, &found, "incidents", COLUMNS)
        }
        Verb::Get { incident_id } => step!(
            session,
            out,
            get_incident,
            json!({"incidentId": incident_id})
        ),
        Verb::Watch { cursor } => {
            let mut rows = Rows::new(session.output, COLUMNS);
            let request = |cursor| WatchIncidentsRequest {
                cursor,
                ..WatchIncidentsRequest::default()
            };
            let hear = |heard: WatchIncidentsResponse, cursor: &mut String| {
                rows.print(out, &heard, "incidents")?;
                *cursor = heard.cursor;
                Ok(ControlFlow::<()>::Continue(()))
            };
            follow!(
                session,
                Incident,
                IncidentServiceClient,
                watch_incidents,
                cursor,
                request,
                hear
            );
            Ok(())
        }
        Verb::Ack(step) => step!(session, out, acknowledge_incident, step.json()),
        Verb::Investigate(step) => step!(session, out, start_investigation, step.json()),
        Verb::Mitigate(step) => step!(session, out, start_mitigation, step.json()),
        Verb::Mitigated(step) => step!(session, out, mark_mitigated, step.json()),
        Verb::Resolve {
            incident_id,
            summary,
            root_cause,
        } => {
            let resolution = json!({
                "type": "RESOLUTION_TYPE_FIX", "summary": summary, "rootCause": root_cause,
            });
            let json = json!({"incidentId": incident_id, "resolution": resolution});
            step!(session, out, resolve_incident, json)
        }
        Verb::Verify { incident_id, steps } => {
            let json = json!({"incidentId": incident_id, "verificationSteps": steps});
            step!(session, out, verify_resolution, json)
        }
        Verb::Close(step) => {
            let mut json = step.json();
            json["reason"] = "INCIDENT_CLOSE_REASON_COMPLETED".into();
            step!(session, out, close_incident, json)
        }
        Verb::Postmortem { incident_id } => {
            let request: GetPostmortemRequest = input::message(json!({"incidentId": incident_id}))?;
            let found = call!(
                session,
                Incident,
                IncidentServiceClient,
                get_postmortem,
                request
            );
            if session.output == Format::Json {
                return print(out, Format::Json, &found, "", &[]);
            }
            let document = found.postmortem.unwrap_or_default();
            Ok(write!(out, "{}", visible_lines(&document.markdown))?)
        }
    }
}
