//! Google's well-known types to and from Rust's: JSON, times and durations.
//!
//! A `google.protobuf.Struct` number is a double. One without a fraction and within ±2^53 comes
//! back as an integer, which is what the sender meant; larger integers must travel as strings.

use std::time::Duration as StdDuration;

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::value::Kind;
use prost_types::{Duration, ListValue, Struct, Timestamp, Value};
use serde_json::{Map, Value as Json};

/// The greatest integer up to which every integer has a double of its own.
const GREATEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// 0001-01-01T00:00:00Z, the first moment of a Timestamp.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, its last second. JSON has no way to write a later one, so a single such
/// value would make a whole list unreadable.
const LAST_SECOND: i64 = 253_402_300_799;
/// The longest Duration, some 10,000 years.
const LONGEST_SECONDS: i64 = 315_576_000_000;

/// A JSON object as a Struct; nothing for any other JSON.
pub fn struct_from_json(json: Json) -> Option<Struct> {
    match json {
        Json::Object(map) => Some(struct_from_map(map)),
        _ => None,
    }
}

/// A JSON object's members as a Struct.
pub fn struct_from_map(map: Map<String, Json>) -> Struct {
    let fields = map
        .into_iter()
        .map(|(key, json)| (key, value_from_json(json)));
    Struct {
        fields: fields.collect(),
    }
}

/// Any JSON as a Value.
pub fn value_from_json(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(bool) => Kind::BoolValue(bool),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value_from_json).collect(),
        }),
        Json::Object(map) => Kind::StructValue(struct_from_map(map)),
    };
    Value { kind: Some(kind) }
}

/// A Struct as a JSON object.
pub fn json_from_struct(fields: Struct) -> Json {
    let members = fields
        .fields
        .into_iter()
        .map(|(key, value)| (key, json_from_value(value)));
    Json::Object(members.collect())
}

/// A Value as JSON. NaN and the infinities, which JSON lacks, become null.
pub fn json_from_value(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(bool)) => Json::Bool(bool),
        Some(Kind::NumberValue(number)) => json_from_number(number),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => {
            Json::Array(list.values.into_iter().map(json_from_value).collect())
        }
        Some(Kind::StructValue(fields)) => json_from_struct(fields),
    }
}

fn json_from_number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() <= GREATEST_EXACT {
        // Checked above: no fraction and within i64.
        #[allow(clippy::cast_possible_truncation)]
        let integer = number as i64;
        return Json::from(integer);
    }
    serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// A time as a Timestamp.
pub fn timestamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos().min(999_999_999)).unwrap_or(0);
    Timestamp {
        seconds: time.timestamp(),
        nanos,
    }
}

/// A Timestamp as a time; nothing when it is not one of the years 1 to 9999.
pub fn datetime(timestamp: &Timestamp) -> Option<DateTime<Utc>> {
    let nanos = u32::try_from(timestamp.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    (FIRST_SECOND..=LAST_SECOND)
        .contains(&timestamp.seconds)
        .then(|| DateTime::from_timestamp(timestamp.seconds, nanos))?
}

/// A span as a Duration.
pub fn duration(span: TimeDelta) -> Duration {
    Duration {
        seconds: span.num_seconds(),
        nanos: span.subsec_nanos(),
    }
}

/// A Duration as a span; nothing when it is out of range, or its parts have different signs.
pub fn timedelta(duration: &Duration) -> Option<TimeDelta> {
    let within = duration.seconds.abs_diff(0) <= LONGEST_SECONDS.abs_diff(0)
        && duration.nanos.abs_diff(0) < 1_000_000_000;
    let opposed = duration.seconds.signum() * i64::from(duration.nanos.signum()) < 0;
    if !within || opposed {
        return None;
    }
    let nanos = TimeDelta::nanoseconds(i64::from(duration.nanos));
    TimeDelta::try_seconds(duration.seconds)?.checked_add(&nanos)
}

/// A Duration as a span that is not negative; nothing when it is, or is out of range.
pub fn std_duration(duration: &Duration) -> Option<StdDuration> {
    timedelta(duration)?.to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives() {
        let json = serde_json::json!({
            "text": "a", "integer": -7, "fraction": 0.5, "none": null,
            "list": [1, true, {"deep": []}], "greatest": 9_007_199_254_740_991_i64,
        });
        let fields = struct_from_json(json.clone()).expect("an object");
        assert_eq!(json_from_struct(fields), json);
    }

    #[test]
    fn only_an_object_is_a_struct() {
        assert!(struct_from_json(Json::Array(vec![])).is_none());
    }

    #[test]
    fn times_and_spans_survive() {
        let time = DateTime::from_timestamp_micros(1_234_567_890_123_456).unwrap();
        assert_eq!(datetime(&timestamp(time)), Some(time));
        let before_1970 = DateTime::from_timestamp_micros(-1).unwrap();
        assert_eq!(datetime(&timestamp(before_1970)), Some(before_1970));
        for span in [
            TimeDelta::milliseconds(1_500),
            TimeDelta::milliseconds(-1_500),
        ] {
            assert_eq!(timedelta(&duration(span)), Some(span));
        }
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        let time = |seconds, nanos| datetime(&Timestamp { seconds, nanos });
        let first = time(FIRST_SECOND, 0).expect("the first moment");
        assert_eq!(first.to_rfc3339(), "0001-01-01T00:00:00+00:00");
        let last = time(LAST_SECOND, 999_999_999).expect("the last moment");
        assert_eq!(last.to_rfc3339(), "9999-12-31T23:59:59.999999999+00:00");
        for (seconds, nanos) in [
            (FIRST_SECOND - 1, 0),
            (LAST_SECOND + 1, 0),
            (i64::MAX, 0),
            (i64::MIN, 0),
            (0, -1),
            (0, 1_000_000_000),
        ] {
            assert_eq!(time(seconds, nanos), None, "{seconds} s {nanos} ns");
        }

        let span = |seconds, nanos| timedelta(&Duration { seconds, nanos });
        for seconds in [LONGEST_SECONDS, -LONGEST_SECONDS] {
            assert_eq!(span(seconds, 0), TimeDelta::try_seconds(seconds));
        }
        for (seconds, nanos) in [
            (LONGEST_SECONDS + 1, 0),
            (-LONGEST_SECONDS - 1, 0),
            (i64::MAX, 0),
            (i64::MIN, 0),
            (1, -5),
            (-1, 5),
            (0, 1_000_000_000),
            (0, i32::MIN),
        ] {
            assert_eq!(span(seconds, nanos), None, "{seconds} s {nanos} ns");
        }
        let negative = Duration {
            seconds: -1,
            nanos: 0,
        };
        assert_eq!(std_duration(&negative), None);
    }
}
