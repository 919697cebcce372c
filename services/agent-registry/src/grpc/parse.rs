//! Checks that more than one request needs. Every violation is collected; a value that is wrong is
//! replaced by a stand-in that is never used, because `finish` refuses the request first.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::str::FromStr;

use prost_types::Struct;
use reeve_status::Violations;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::storage::requests::RequestKey;

/// Most characters of a request_id and of a name.
pub const NAME_LENGTH: usize = 128;
const LABELS: usize = 64;
const LABEL_KEY_LENGTH: usize = 63;
const LABEL_LENGTH: usize = 256;

/// An id in its canonical form.
pub fn id<T: FromStr>(violations: &mut Violations, field: &str, text: &str) -> Option<T>
where
    T::Err: Display,
{
    violations.take(field, text.parse())
}

/// A text of at most `length` characters.
pub fn text(violations: &mut Violations, field: impl Display, text: &str, length: usize) {
    let fits = text.chars().count() <= length;
    violations.check(
        fits,
        field,
        format!("must have at most {length} characters"),
    );
}

/// A text of 1 to `length` characters.
pub fn required(violations: &mut Violations, field: impl Display, text: &str, length: usize) {
    let fits = !text.is_empty() && text.chars().count() <= length;
    violations.check(fits, field, format!("must have 1 to {length} characters"));
}

/// Labels: few, short, with keys.
pub fn labels(
    violations: &mut Violations,
    labels: HashMap<String, String>,
    most: Option<usize>,
) -> BTreeMap<String, String> {
    let most = most.unwrap_or(LABELS);
    violations.check(
        labels.len() <= most,
        "labels",
        format!("must have at most {most} entries"),
    );
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    for (key, value) in &labels {
        let field = format!("labels[{key:?}]");
        let fits = !key.is_empty() && key.chars().count() <= LABEL_KEY_LENGTH;
        violations.check(fits, &field, "the key must have 1 to 63 characters");
        text(violations, &field, value, LABEL_LENGTH);
        // PostgreSQL's jsonb cannot hold it.
        let clean = !key.contains('\0') && !value.contains('\0');
        violations.check(clean, &field, "must not contain U+0000");
    }
    labels
}

/// A free-form map as a JSON object of at most `bytes` as text.
pub fn map(
    violations: &mut Violations,
    field: impl Display,
    map: Option<Struct>,
    bytes: usize,
) -> Value {
    let json = reeve_wellknown::json_from_struct(map.unwrap_or_default());
    let text = json.to_string();
    violations.check(
        text.len() <= bytes,
        &field,
        format!("must be at most {bytes} bytes as JSON"),
    );
    violations.check(!text.contains("\\u0000"), &field, "must not contain U+0000");
    json
}

/// How a repetition of a request is recognised; nothing without a request_id. The body is digested
/// from what it was understood as, so that the order of a map's entries does not matter.
pub fn request_key(
    violations: &mut Violations,
    method: &'static str,
    request_id: String,
    body: &Value,
) -> Option<RequestKey> {
    if request_id.is_empty() {
        return None;
    }
    required(violations, "request_id", &request_id, NAME_LENGTH);
    violations.check(
        !request_id.contains('\0'),
        "request_id",
        "must not contain U+0000",
    );
    let body_digest = Sha256::digest(body.to_string()).to_vec();
    Some(RequestKey {
        method,
        request_id,
        body_digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_map_does_not_change_a_body() {
        let key = |pairs: &[(&str, &str)]| {
            let map: HashMap<_, _> = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            let mut violations = Violations::new();
            let labels = labels(&mut violations, map, None);
            let body = serde_json::json!({ "labels": labels });
            request_key(&mut violations, "m", "r".to_owned(), &body)
                .expect("an id")
                .body_digest
        };
        assert_eq!(
            key(&[("a", "1"), ("b", "2")]),
            key(&[("b", "2"), ("a", "1")])
        );
        assert_ne!(key(&[("a", "1")]), key(&[("a", "2")]));
    }
}
