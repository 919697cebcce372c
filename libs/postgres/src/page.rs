//! Opaque keyset page tokens. A token is bound to the filter that it was issued for; it carries no
//! authority, since every query names its tenant by itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reeve_status::{Code, Fault, Reason};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const DEFAULT_SIZE: i64 = 50;
const GREATEST_SIZE: i64 = 1_000;

#[derive(Serialize, Deserialize)]
struct Token<Key> {
    key: Key,
    filter: String,
}

/// How many rows to read for a requested page size: 0 means 50, above 1,000 is coerced.
///
/// # Errors
/// INVALID_ARGUMENT for a negative size.
pub fn size(requested: i32) -> Result<i64, Fault> {
    match i64::from(requested) {
        0 => Ok(DEFAULT_SIZE),
        size if size < 0 => Err(Fault::invalid("page_size", "must be from 0 to 1000")),
        size => Ok(size.min(GREATEST_SIZE)),
    }
}

/// The token with which the next page begins after `key`.
pub fn encode<Key: Serialize, Filter: Serialize>(key: &Key, filter: &Filter) -> String {
    let token = Token {
        key,
        filter: fingerprint(filter),
    };
    let json = serde_json::to_vec(&token).expect("a key is plain data");
    URL_SAFE_NO_PAD.encode(json)
}

/// The key after which a page begins; nothing for the first page.
///
/// # Errors
/// INVALID_ARGUMENT, reason PAGE_TOKEN_INVALID, for a damaged token or another filter's.
pub fn decode<Key: DeserializeOwned>(
    token: &str,
    filter: &impl Serialize,
) -> Result<Option<Key>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    // No key that this made holds NUL, which PostgreSQL refuses in a text.
    let parsed = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|json| serde_json::from_slice::<Value>(&json).ok())
        .filter(|json| !holds_nul(json))
        .and_then(|json| serde_json::from_value::<Token<Key>>(json).ok())
        .filter(|parsed| parsed.filter == fingerprint(filter));
    parsed.map(|parsed| Some(parsed.key)).ok_or_else(invalid)
}

fn holds_nul(json: &Value) -> bool {
    match json {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.values().any(holds_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn invalid() -> Fault {
    let right = "must be the next_page_token of a list with the same filter, or empty";
    let mut violations = reeve_status::Violations::new();
    violations.add("page_token", right);
    let found = violations.into_fault().violations().to_vec();
    Fault::new(
        Code::InvalidArgument,
        Reason::PageTokenInvalid,
        "the page token is not one of this list",
    )
    .with_violations(found)
}

fn fingerprint(filter: &impl Serialize) -> String {
    let json = serde_json::to_vec(filter).expect("a filter is plain data");
    URL_SAFE_NO_PAD.encode(&Sha256::digest(json)[..9])
}

/// Splits rows read with one more than the page holds into the page and the key of its last row,
/// when there are more.
pub fn split<Row, Key>(
    mut rows: Vec<Row>,
    size: i64,
    key: impl Fn(&Row) -> Key,
) -> (Vec<Row>, Option<Key>) {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if rows.len() <= size {
        return (rows, None);
    }
    rows.truncate(size);
    let last = rows.last().map(key);
    (rows, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_brings_back_its_key() {
        let token = encode(&("2026", 7), &"state=ACTIVE");
        assert_eq!(
            decode(&token, &"state=ACTIVE").unwrap(),
            Some(("2026".to_owned(), 7))
        );
        assert_eq!(decode::<u8>("", &"any").unwrap(), None);
    }

    #[test]
    fn refuses_damaged_and_foreign_tokens() {
        let token = encode(&7, &"a");
        for (token, filter) in [(token.as_str(), "b"), ("x", "a"), (&token[1..], "a")] {
            let fault = decode::<i32>(token, &filter).unwrap_err();
            assert_eq!(fault.reason(), Reason::PageTokenInvalid);
            assert_eq!(fault.violations()[0].field, "page_token");
        }
    }

    #[test]
    fn refuses_a_forged_key_that_no_text_column_takes() {
        for key in ["a\0b", "\0"] {
            let token = encode(&("2026", key), &"a");
            let fault = decode::<(String, String)>(&token, &"a").unwrap_err();
            assert_eq!(fault.reason(), Reason::PageTokenInvalid);
        }
    }

    #[test]
    fn sizes_have_a_default_and_a_bound() {
        assert_eq!(size(0).unwrap(), 50);
        assert_eq!(size(5_000).unwrap(), 1_000);
        assert!(size(-1).is_err());
    }

    #[test]
    fn the_extra_row_tells_of_a_next_page() {
        assert_eq!(split(vec![1, 2, 3], 2, |row| *row), (vec![1, 2], Some(2)));
        assert_eq!(split(vec![1, 2], 2, |row| *row), (vec![1, 2], None));
    }
}
