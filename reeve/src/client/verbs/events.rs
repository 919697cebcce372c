//! `reeve event` and `reeve audit`.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::{Result, ensure};
use clap::Subcommand;
use reeve_contracts::audit::v1::VerifyAuditLogRequest;
use reeve_contracts::audit::v1::audit_service_client::AuditServiceClient;
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_contracts::event::v1::{SubscribeEventsRequest, SubscribeEventsResponse};
use serde_json::json;

use super::{Page, call, follow};
use crate::client::input;
use crate::client::output::{Column, Format, Rows, print};
use crate::client::session::Session;

const EVENTS: &[Column] = &[
    ("POSITION", "position"),
    ("TIME", "event.occurTime"),
    ("SOURCE", "event.source"),
    ("TYPE", "event.type"),
    ("RESOURCE", "event.resourceId"),
    ("BY", "event.actor.displayName"),
];
const ENTRIES: &[Column] = &[
    ("NUMBER", "sequence"),
    ("TIME", "occurTime"),
    ("PRINCIPAL", "principal"),
    ("ACTION", "action"),
    ("RESOURCE", "resourceType"),
    ("ID", "resourceId"),
];

/// What the event log can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum EventVerb {
    /// List events, newest first.
    List {
        /// Only this type or pattern, for example task.*; may be repeated.
        #[arg(long = "type")]
        types: Vec<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Print events as they happen.
    Follow {
        /// Only this type or pattern; may be repeated.
        #[arg(long = "type")]
        types: Vec<String>,
        /// Continues after a cursor; without one, what is there comes first.
        #[arg(long, default_value = "")]
        cursor: String,
    },
}

/// What the audit trail can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditVerb {
    /// List entries, newest first.
    List(Page),
    /// Recompute the hash chain and say where it breaks.
    Verify,
}

/// Does what was asked of events.
pub async fn event(session: &Session, verb: EventVerb, out: &mut impl Write) -> Result<()> {
    match verb {
        EventVerb::List { types, page } => {
            let request = input::message(json!({
                "filter": {"types": types}, "newestFirst": true,
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(session, Incident, EventServiceClient, list_events, request);
            print(out, session.output, &found, "events", EVENTS)
        }
        EventVerb::Follow { types, cursor } => {
            let first: SubscribeEventsRequest =
                input::message(json!({"filter": {"types": types}, "cursor": cursor}))?;
            let mut rows = Rows::new(session.output, EVENTS);
            let request = |cursor| SubscribeEventsRequest {
                cursor,
                ..first.clone()
            };
            let hear = |heard: SubscribeEventsResponse, cursor: &mut String| {
                rows.print(out, &heard, "events")?;
                *cursor = heard.cursor;
                Ok(ControlFlow::<()>::Continue(()))
            };
            follow!(
                session,
                Incident,
                EventServiceClient,
                subscribe_events,
                cursor,
                request,
                hear
            );
            Ok(())
        }
    }
}

/// Does what was asked of the audit trail.
pub async fn audit(session: &Session, verb: AuditVerb, out: &mut impl Write) -> Result<()> {
    match verb {
        AuditVerb::List(page) => {
            let request =
                input::message(json!({"pageSize": page.page_size, "pageToken": page.page_token}))?;
            let found = call!(
                session,
                Incident,
                AuditServiceClient,
                list_audit_entries,
                request
            );
            print(out, session.output, &found, "entries", ENTRIES)
        }
        AuditVerb::Verify => {
            let request = VerifyAuditLogRequest::default();
            let found = call!(
                session,
                Incident,
                AuditServiceClient,
                verify_audit_log,
                request
            );
            if session.output == Format::Json {
                print(out, Format::Json, &found, "", &[])?;
            } else if found.intact {
                writeln!(out, "{} entries, unbroken", found.checked_count)?;
            }
            ensure!(
                found.intact,
                "the chain is broken at entry {}",
                found.first_broken_sequence
            );
            Ok(())
        }
    }
}
