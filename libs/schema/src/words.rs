//! What the validator finds, in the words of Reeve's errors: what would be right comes first, and the
//! value itself is not repeated, which its author knows and a log need not.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use crate::{DESCRIPTION_LIMIT, Mismatch};

/// Members of a list that a description names.
const NAMED: usize = 20;

/// What is wrong with a value. A member that is missing or too much is named itself.
pub fn of_value(error: ValidationError<'_>) -> Vec<Mismatch> {
    let at = error.instance_path().as_str().to_owned();
    let members = |names: &[String], description: &str| {
        let each = names
            .iter()
            .map(|name| mismatch(&at, Some(name), description));
        each.collect()
    };
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![mismatch(&at, Some(name), "is required")]
        }
        Kind::AdditionalProperties { unexpected } => members(unexpected, "is not known here"),
        Kind::UnevaluatedProperties { unexpected } => members(unexpected, "is not known here"),
        Kind::FalseSchema => vec![mismatch(&at, None, "must not be given")],
        kind => {
            let description =
                rule(kind, &at).unwrap_or_else(|| error.masked_with("it").to_string());
            vec![mismatch(&at, None, &description)]
        }
    }
}

/// Why a schema that is one by the metaschema cannot be compiled: a pattern, above all, or a
/// reference. The place is that of the keyword, as far as the validator knows it.
pub fn of_schema(schema: &Value, error: &ValidationError<'_>) -> Mismatch {
    let paths = [error.instance_path().as_str(), error.schema_path().as_str()];
    let known = |path: &&str| !path.is_empty() && schema.pointer(path).is_some();
    let at = paths.into_iter().find(known).unwrap_or_default();
    mismatch(at, None, &error.to_string())
}

fn mismatch(at: &str, member: Option<&str>, description: &str) -> Mismatch {
    let mut pointer = at.to_owned();
    if let Some(member) = member {
        pointer.push('/');
        pointer.push_str(&member.replace('~', "~0").replace('/', "~1"));
    }
    Mismatch {
        pointer,
        description: clip(description),
    }
}

/// What would be right, where that can be said better than the validator does.
fn rule(kind: &Kind, at: &str) -> Option<String> {
    let rule = match kind {
        Kind::Type { kind } => format!("must be of type {}", types(kind)),
        Kind::Enum { options } => format!("must be one of {}", list(options)),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::UniqueItems => "must not have the same item twice".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::AnyOf { context } => {
            each(context, at).unwrap_or_else(|| alternatives("at least one", context.len()))
        }
        Kind::OneOfNotValid { context } | Kind::OneOfMultipleValid { context } => {
            alternatives("exactly one", context.len())
        }
        Kind::PropertyNames { error } => {
            let what =
                rule(error.kind(), at).unwrap_or_else(|| error.masked_with("it").to_string());
            format!("must have names each of which {what}")
        }
        _ => return None,
    };
    Some(rule)
}

/// What each alternative asks for, where all of that is about the value itself.
fn each(context: &[Vec<ValidationError<'static>>], at: &str) -> Option<String> {
    let members: Option<Vec<_>> = context.iter().map(|errors| missing(errors)).collect();
    if let Some(members) = members.filter(|members| !members.is_empty()) {
        return Some(format!("must have {}", members.join(", or ")));
    }
    let alone = |errors: &Vec<ValidationError<'static>>| match errors.as_slice() {
        [error] if error.instance_path().as_str() == at => rule(error.kind(), at),
        _ => None,
    };
    let rules: Option<Vec<_>> = context.iter().map(alone).collect();
    rules.map(|rules| rules.join(", or "))
}

/// The members that one alternative asks for, where it asks for nothing else.
fn missing(errors: &[ValidationError<'static>]) -> Option<String> {
    let member = |error: &ValidationError<'_>| match error.kind() {
        Kind::Required { property } => property.as_str().map(str::to_owned),
        _ => None,
    };
    let members: Option<Vec<_>> = errors.iter().map(member).collect();
    members.map(|members| members.join(" and "))
}

fn alternatives(how_many: &str, count: usize) -> String {
    format!("must match {how_many} of its {count} alternatives")
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names: Vec<_> = several.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn list(options: &Value) -> String {
    let options = options.as_array().map_or(&[][..], Vec::as_slice);
    let mut named: Vec<_> = options
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if options.len() > NAMED {
        named.push(format!("{} more", options.len() - NAMED));
    }
    named.join(", ")
}

fn clip(text: &str) -> String {
    if text.chars().count() <= DESCRIPTION_LIMIT {
        return text.to_owned();
    }
    text.chars()
        .take(DESCRIPTION_LIMIT)
        .chain("…".chars())
        .collect()
}
