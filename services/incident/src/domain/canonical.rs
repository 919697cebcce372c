//! One spelling for each JSON value, so that a hash computed before a value was stored matches the
//! hash of what is read back. PostgreSQL's jsonb forgets the order of keys and how a number was
//! written, so keys are sorted and numbers are written as the double that they stand for.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The hash before the first entry of a chain.
pub const GENESIS: Digest = [0; 32];

/// Hashes fields so that no two different lists of fields give the same bytes.
pub struct Hasher(Sha256);

impl Hasher {
    /// A hash of one kind of record; the kind keeps different records apart.
    pub fn new(kind: &str) -> Self {
        Self(Sha256::new()).text(kind)
    }

    /// Adds bytes, with their length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0
            .update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Adds a JSON value in its one spelling.
    #[must_use]
    pub fn json(self, json: &Json) -> Self {
        let mut text = String::new();
        write(json, &mut text);
        self.text(&text)
    }

    /// The digest.
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// A digest as 64 hexadecimal digits.
pub fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn write(json: &Json, into: &mut String) {
    match json {
        Json::Null | Json::Bool(_) | Json::String(_) => into.push_str(&json.to_string()),
        Json::Number(number) => {
            let double = number.as_f64().unwrap_or(0.0);
            // jsonb has no negative zero.
            let double = if double == 0.0 { 0.0 } else { double };
            into.push_str(&double.to_string());
        }
        Json::Array(items) => {
            into.push('[');
            for item in items {
                write(item, into);
                into.push(',');
            }
            into.push(']');
        }
        Json::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            into.push('{');
            for (key, value) in members {
                into.push_str(&Json::from(key.as_str()).to_string());
                into.push(':');
                write(value, into);
                into.push(',');
            }
            into.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(json: &str) -> String {
        let mut text = String::new();
        write(&serde_json::from_str(json).expect("test JSON"), &mut text);
        text
    }

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(
            spelled(r#"{"b":1,"a":[1e2]}"#),
            spelled(r#"{ "a": [100.0], "b": 1.0 }"#)
        );
        assert_eq!(spelled("-0.0"), spelled("0"));
    }

    #[test]
    fn different_values_differ() {
        for (one, other) in [
            ("1", "\"1\""),
            ("[1,2]", "[12]"),
            ("null", "false"),
            (r#"{"a":{"b":1}}"#, r#"{"a":1,"b":1}"#),
            (r#"["a,b"]"#, r#"["a","b"]"#),
        ] {
            assert_ne!(spelled(one), spelled(other));
        }
    }

    #[test]
    fn the_border_between_fields_counts() {
        let joined = Hasher::new("t").text("ab").text("c").finish();
        assert_ne!(joined, Hasher::new("t").text("a").text("bc").finish());
        assert_ne!(Hasher::new("a").finish(), Hasher::new("b").finish());
    }

    #[test]
    fn digests_print_as_hexadecimal() {
        assert_eq!(hex(&GENESIS), "0".repeat(64));
        assert!(hex(&[0xe3, 0xb0]).starts_with("e3b0"));
    }
}
