//! `reeve key`.

use std::io::Write;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use reeve_contracts::identity::v1::identity_service_client::IdentityServiceClient;
use reeve_contracts::identity::v1::{GetCallerRequest, RevokeApiKeyRequest};
use serde_json::json;

use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, Format, print, print_json};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("PERMISSIONS", "permissions"),
    ("CREATED", "createTime"),
    ("LAST USED", "lastUseTime"),
];

/// For whom a key is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// A person, or a program acting for one.
    User,
    /// An agent.
    Agent,
}

/// What API keys can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Create a key; its secret is shown this once.
    Create {
        /// Name for people.
        name: String,
        /// For whom.
        #[arg(long, value_enum, default_value = "user")]
        kind: Kind,
        /// A permission such as tasks.create, a pattern such as tasks.*, or *; may be repeated.
        #[arg(long = "permission", required = true)]
        permissions: Vec<String>,
    },
    /// List keys, oldest first.
    List(Page),
    /// Revoke a key for good.
    Revoke {
        /// The key's id.
        api_key_id: String,
    },
    /// Show whose credential this is.
    Whoami,
    /// Make up a key without asking anybody, for the configuration of a new installation.
    Generate,
}

/// Makes up a key that no Reeve knows yet.
pub fn generate(format: Format, out: &mut impl Write) -> Result<()> {
    let secret = reeve_auth::ApiKey::generate().reveal();
    match format {
        Format::Table => Ok(writeln!(out, "{secret}")?),
        Format::Json => print_json(out, &json!({"secret": secret})),
    }
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::Create {
            name,
            kind,
            permissions,
        } => {
            let kind = match kind {
                Kind::User => "PRINCIPAL_KIND_USER",
                Kind::Agent => "PRINCIPAL_KIND_AGENT",
            };
            let request =
                input::message(json!({"name": name, "kind": kind, "permissions": permissions}))?;
            let created = call!(
                session,
                AgentRegistry,
                IdentityServiceClient,
                create_api_key,
                request
            );
            print(out, format, &created, "apiKey", COLUMNS)?;
            if format == Format::Table {
                writeln!(out, "secret, shown this once: {}", created.secret)?;
            }
            Ok(())
        }
        Verb::List(page) => {
            let request = input::message(json!({
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                AgentRegistry,
                IdentityServiceClient,
                list_api_keys,
                request
            );
            print(out, format, &found, "apiKeys", COLUMNS)
        }
        Verb::Revoke { api_key_id } => {
            let request = RevokeApiKeyRequest { api_key_id };
            let revoked = call!(
                session,
                AgentRegistry,
                IdentityServiceClient,
                revoke_api_key,
                request
            );
            print(out, format, &revoked, "apiKey", COLUMNS)
        }
        Verb::Generate => generate(format, out),
        Verb::Whoami => {
            let request = GetCallerRequest::default();
            let caller = call!(
                session,
                AgentRegistry,
                IdentityServiceClient,
                get_caller,
                request
            );
            let columns = [
                ("TENANT", "tenantId"),
                ("KIND", "kind"),
                ("SUBJECT", "subject"),
                ("NAME", "displayName"),
                ("PERMISSIONS", "permissions"),
            ];
            print(out, format, &caller, "principal", &columns)
        }
    }
}
