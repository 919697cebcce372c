//! JSON with one spelling, and its digest: what an approval binds to, what makes two definitions
//! equal, and what the history's hashes cover.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Digest = [u8; 32];

/// JSON with sorted keys and no blanks.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// SHA-256 of the canonical form.
pub fn digest(value: &Value) -> Digest {
    Sha256::digest(canonical(value)).into()
}

/// A digest as 64 hexadecimal digits.
pub fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Sorts by itself, so that no crate's choice of map changes a digest.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(member, text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sorts_keys_at_every_depth() {
        let value = json!({"b": [1, {"z": null, "a": "x y"}], "a": 0.5});
        assert_eq!(
            canonical(&value),
            r#"{"a":0.5,"b":[1,{"a":"x y","z":null}]}"#
        );
    }

    #[test]
    fn content_decides_the_digest() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap();
        let same: Value = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(digest(&one), digest(&same));
        assert_ne!(digest(&one), digest(&json!({"a": 1, "b": 3})));
        // An object and the text of it are different artifacts.
        assert_ne!(digest(&one), digest(&json!(canonical(&one))));
    }

    #[test]
    fn hex_is_what_sha256sum_prints() {
        let empty = hex(&digest(&json!({})));
        assert_eq!(
            empty,
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
