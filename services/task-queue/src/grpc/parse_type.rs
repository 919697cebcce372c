//! Requests about task types.

use std::fmt::Display;

use chrono::TimeDelta;
use prost::Message as _;
use reeve_contracts::task::v1 as proto;
use reeve_schema::Schema;
use reeve_status::{Fault, Violations};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::parse;
use crate::domain::{BUILT_IN, Category, Changes, TaskType};
use crate::operations::TypeFilter;

const DESCRIPTION: usize = 2_048;
const SCHEMA: usize = 32 * 1_024;
/// Fields that an update may change.
const FIELDS: [&str; 6] = [
    "category",
    "description",
    "capability",
    "start_to_close_timeout",
    "parameters_schema",
    "effect",
];

/// A type to be created, and the request id with the digest of what was asked.
type Asked = (TaskType, Option<(String, Vec<u8>)>);

/// CreateTaskType.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn create(request: proto::CreateTaskTypeRequest) -> Result<Asked, Fault> {
    let mut v = Violations::new();
    parse::text(&mut v, "request_id", &request.request_id, 128);
    let Some(asked) = request.task_type else {
        v.add("task_type", "is required");
        return Err(v.into_fault());
    };
    let digest = (!request.request_id.is_empty()).then(|| Sha256::digest(asked.encode_to_vec()));
    let kind = v.within("task_type", |v| {
        name(v, "name", &asked.name);
        let taken = BUILT_IN.contains_key(&asked.name.to_ascii_lowercase());
        v.check(!taken, "name", "must not be the name of a built-in type");
        let changes = changes(v, &asked, &FIELDS);
        let mut kind = TaskType {
            capability: TaskType::default_capability(&asked.name),
            name: asked.name,
            own: None,
            category: Category::Other,
            description: String::new(),
            start_to_close: None,
            schema: None,
            effect: None,
        };
        kind.apply(changes);
        kind
    });
    v.finish()?;
    let request = digest.map(|digest| (request.request_id, digest.to_vec()));
    Ok((kind, request))
}

/// A change of a type.
#[derive(Debug)]
pub struct Update {
    /// Which type.
    pub name: String,
    /// The etag that it must have.
    pub etag: Option<String>,
    /// The new values.
    pub changes: Changes,
}

/// UpdateTaskType.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn update(request: proto::UpdateTaskTypeRequest) -> Result<Update, Fault> {
    let mut v = Violations::new();
    let mask = request.update_mask.unwrap_or_default();
    let known = FIELDS.join(", ");
    v.check(
        !mask.paths.is_empty(),
        "update_mask",
        format!("must name any of {known}"),
    );
    for path in &mask.paths {
        let right = FIELDS.contains(&path.as_str());
        v.check(
            right,
            "update_mask",
            format!("must name no others than {known}"),
        );
    }
    let etag = etag(&mut v, request.etag);
    let asked = request.task_type.unwrap_or_default();
    let paths: Vec<_> = mask.paths.iter().map(String::as_str).collect();
    let changes = v.within("task_type", |v| {
        own_name(v, "name", &asked.name);
        changes(v, &asked, &paths)
    });
    v.finish()?;
    Ok(Update {
        name: asked.name,
        etag,
        changes,
    })
}

/// GetTaskType.
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn get(request: proto::GetTaskTypeRequest) -> Result<String, Fault> {
    let mut v = Violations::new();
    name(&mut v, "name", &request.name);
    v.finish()?;
    Ok(request.name)
}

/// DeleteTaskType.
///
/// # Errors
/// INVALID_ARGUMENT with every violation.
pub fn delete(request: proto::DeleteTaskTypeRequest) -> Result<(String, Option<String>), Fault> {
    let mut v = Violations::new();
    own_name(&mut v, "name", &request.name);
    let etag = etag(&mut v, request.etag);
    v.finish()?;
    Ok((request.name, etag))
}

/// What a list is about.
pub fn filter(v: &mut Violations, request: &proto::ListTaskTypesRequest) -> TypeFilter {
    let any = proto::TaskTypeSource::Unspecified;
    let source = proto::TaskTypeSource::try_from(request.source);
    v.check(
        source.is_ok(),
        "source",
        "must be BUILT_IN or TENANT, or left out",
    );
    let source = source.unwrap_or(any);
    let category = if request.category == 0 {
        None
    } else {
        category(v, request.category)
    };
    TypeFilter {
        category,
        built_in: source != proto::TaskTypeSource::Tenant,
        own: source != proto::TaskTypeSource::BuiltIn,
    }
}

fn name(v: &mut Violations, field: impl Display, text: &str) {
    parse::name(v, field, text, 128, true);
}

/// The name of a type that may be changed.
fn own_name(v: &mut Violations, field: &str, text: &str) {
    name(v, field, text);
    let own = !BUILT_IN.contains_key(text);
    v.check(
        own,
        field,
        "must be one of the tenant's own types: built-in ones never change",
    );
}

fn etag(v: &mut Violations, text: String) -> Option<String> {
    parse::text(v, "etag", &text, 64);
    (!text.is_empty()).then_some(text)
}

fn changes(v: &mut Violations, asked: &proto::TaskType, paths: &[&str]) -> Changes {
    let mut changes = Changes::default();
    for path in paths {
        match *path {
            "category" => changes.category = category(v, asked.category),
            "description" => {
                parse::text(v, *path, &asked.description, DESCRIPTION);
                changes.description = Some(asked.description.clone());
            }
            "capability" => {
                if !asked.capability.is_empty() {
                    parse::capability(v, *path, &asked.capability);
                }
                changes.capability = Some(asked.capability.clone());
            }
            "start_to_close_timeout" => {
                let (least, most) = (TimeDelta::seconds(1), TimeDelta::days(30));
                let timeout = asked.start_to_close_timeout.as_ref();
                changes.start_to_close = Some(parse::duration(v, *path, timeout, least, most));
            }
            "parameters_schema" => changes.schema = Some(schema(v, path, asked)),
            "effect" => changes.effect = Some(parse::effect(v, asked.effect)),
            // Refused with the mask.
            _ => {}
        }
    }
    changes
}

fn category(v: &mut Violations, number: i32) -> Option<Category> {
    let category = i16::try_from(number).ok().and_then(Category::from_number);
    let words = Category::ALL.map(Category::word).join(", ");
    v.check(
        category.is_some(),
        "category",
        format!("must be one of {words}"),
    );
    category
}

/// A schema that can be compiled; each fault of another is named by its place.
fn schema(v: &mut Violations, field: &str, asked: &proto::TaskType) -> Option<Json> {
    let schema = parse::json(v, field, asked.parameters_schema.clone(), SCHEMA)?;
    if let Err(faults) = Schema::compile_within_limits(&schema) {
        for fault in faults {
            let place = reeve_schema::dotted(&fault.pointer);
            v.add(format!("{field}{place}"), fault.description);
        }
    }
    Some(schema)
}
