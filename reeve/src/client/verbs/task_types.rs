//! `reeve task-type`.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};
use reeve_contracts::task::v1::task_type_service_client::TaskTypeServiceClient;
use reeve_contracts::task::v1::{DeleteTaskTypeRequest, GetTaskTypeRequest};
use serde_json::{Map, Value as Json, json};

use super::tasks::EFFECT;
use super::{Page, call};
use crate::client::input;
use crate::client::output::{Column, Format, print, print_json};
use crate::client::session::Session;

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("SOURCE", "source"),
    ("CATEGORY", "category"),
    ("CAPABILITY", "capability"),
    ("TIMEOUT", "startToCloseTimeout"),
    ("EFFECT", "effect"),
    ("DESCRIPTION", "description"),
];
const CATEGORY: &str = "reeve.task.v1.TaskTypeCategory";

/// What a type may say of itself.
#[derive(Debug, Clone, Args)]
pub struct Fields {
    /// Field of work, for example devops.
    #[arg(long)]
    category: Option<String>,
    /// What such a task is about.
    #[arg(long)]
    description: Option<String>,
    /// What an agent must offer; empty for the name in lower case.
    #[arg(long)]
    capability: Option<String>,
    /// Longest attempt, for example 90s; empty for no bound.
    #[arg(long = "task-timeout")]
    task_timeout: Option<String>,
    /// What it means to run such a task twice: read-only, idempotent or effectful; empty for
    /// idempotent.
    #[arg(long)]
    effect: Option<String>,
    /// JSON Schema of the parameters as a file, or - for stdin; empty for none.
    #[arg(long)]
    schema: Option<String>,
}

/// What task types can be asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// List task types by name, built-in ones among them.
    List {
        /// Only this category, for example security.
        #[arg(long)]
        category: Option<String>,
        /// Only built-in, or only tenant's own: built-in or tenant.
        #[arg(long)]
        source: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Show one task type, with the JSON Schema of its parameters.
    Get {
        /// The type's name.
        name: String,
    },
    /// Create a type of one's own.
    Create {
        /// Name, unique in the tenant.
        name: String,
        #[command(flatten)]
        fields: Fields,
        /// Repeating a creation with the same id yields the first type.
        #[arg(long, default_value = "")]
        request_id: String,
    },
    /// Change what is given, and nothing else.
    Update {
        /// The type's name.
        name: String,
        #[command(flatten)]
        fields: Fields,
        /// Only if the type has this etag.
        #[arg(long, default_value = "")]
        etag: String,
    },
    /// Delete a type; its tasks stay.
    Delete {
        /// The type's name.
        name: String,
        /// Only if the type has this etag.
        #[arg(long, default_value = "")]
        etag: String,
    },
}

impl Fields {
    /// The type as protobuf JSON, and which fields were given.
    fn read(self, name: &str) -> Result<(Json, Vec<&'static str>)> {
        let mut kind = Map::new();
        let mut given = Vec::new();
        let mut set = |path, field: &str, value: Json| {
            given.push(path);
            kind.insert(field.to_owned(), value);
        };
        if let Some(category) = self.category {
            set(
                "category",
                "category",
                json!(input::value_of(CATEGORY, &category)?),
            );
        }
        if let Some(description) = self.description {
            set("description", "description", json!(description));
        }
        if let Some(capability) = self.capability {
            set("capability", "capability", json!(capability));
        }
        if let Some(effect) = self.effect {
            let effect = match effect.as_str() {
                "" => Json::Null,
                effect => json!(input::value_of(EFFECT, effect)?),
            };
            set("effect", "effect", effect);
        }
        if let Some(timeout) = self.task_timeout {
            let timeout = (!timeout.is_empty()).then_some(timeout);
            set(
                "start_to_close_timeout",
                "startToCloseTimeout",
                json!(timeout),
            );
        }
        if let Some(file) = self.schema {
            let schema = if file.is_empty() {
                Json::Null
            } else {
                input::json_file(Path::new(&file))?
            };
            set("parameters_schema", "parametersSchema", schema);
        }
        kind.insert("name".to_owned(), json!(name));
        Ok((Json::Object(kind), given))
    }
}

/// Does what was asked.
pub async fn run(session: &Session, verb: Verb, out: &mut impl Write) -> Result<()> {
    let format = session.output;
    match verb {
        Verb::List {
            category,
            source,
            page,
        } => {
            let value = |kind, typed: Option<String>| {
                typed.map(|typed| input::value_of(kind, &typed)).transpose()
            };
            let request = input::message(json!({
                "category": value(CATEGORY, category)?,
                "source": value("reeve.task.v1.TaskTypeSource", source)?,
                "pageSize": page.page_size, "pageToken": page.page_token,
            }))?;
            let found = call!(
                session,
                TaskQueue,
                TaskTypeServiceClient,
                list_task_types,
                request
            );
            print(out, format, &found, "taskTypes", COLUMNS)
        }
        Verb::Get { name } => {
            let request = GetTaskTypeRequest { name };
            let found = call!(
                session,
                TaskQueue,
                TaskTypeServiceClient,
                get_task_type,
                request
            );
            print(out, format, &found, "taskType", COLUMNS)?;
            let schema = found.task_type.and_then(|kind| kind.parameters_schema);
            match schema.filter(|_| format == Format::Table) {
                Some(schema) => print_json(out, &reeve_wellknown::json_from_struct(schema)),
                None => Ok(()),
            }
        }
        Verb::Create {
            name,
            fields,
            request_id,
        } => {
            let (kind, _) = fields.read(&name)?;
            let request = input::message(json!({"taskType": kind, "requestId": request_id}))?;
            let made = call!(
                session,
                TaskQueue,
                TaskTypeServiceClient,
                create_task_type,
                request
            );
            print(out, format, &made, "taskType", COLUMNS)
        }
        Verb::Update { name, fields, etag } => {
            let (kind, given) = fields.read(&name)?;
            let mut request: reeve_contracts::task::v1::UpdateTaskTypeRequest =
                input::message(json!({"taskType": kind, "etag": etag}))?;
            let paths = given.into_iter().map(str::to_owned).collect();
            request.update_mask = Some(prost_types::FieldMask { paths });
            let made = call!(
                session,
                TaskQueue,
                TaskTypeServiceClient,
                update_task_type,
                request
            );
            print(out, format, &made, "taskType", COLUMNS)
        }
        Verb::Delete { name, etag } => {
            let request = DeleteTaskTypeRequest { name, etag };
            let gone = call!(
                session,
                TaskQueue,
                TaskTypeServiceClient,
                delete_task_type,
                request
            );
            if format == Format::Json {
                return print(out, format, &gone, "", &[]);
            }
            Ok(writeln!(out, "deleted")?)
        }
    }
}
