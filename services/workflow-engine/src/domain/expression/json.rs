//! JSON to CEL and back.

use std::sync::Arc;

use cel::Value as Cel;
use cel::objects::{Key, Map as CelMap};
use serde_json::{Map, Number, Value};

/// JSON as CEL. An integer becomes an Int even when it is positive, so that arithmetic with literals
/// works.
pub(super) fn to_cel(value: &Value, limit: usize) -> Result<Cel, String> {
    let too_long = |length: usize| {
        format!("reads a list of {length} items; at most {limit} may be walked here")
    };
    Ok(match value {
        Value::Null => Cel::Null,
        Value::Bool(bool) => Cel::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cel::Int(integer),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) if items.len() > limit => return Err(too_long(items.len())),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_cel(item, limit));
            Cel::List(Arc::new(items.collect::<Result<_, _>>()?))
        }
        Value::Object(members) if members.len() > limit => return Err(too_long(members.len())),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, member)| Ok((Key::from(key.as_str()), to_cel(member, limit)?)));
            Cel::Map(CelMap {
                map: Arc::new(members.collect::<Result<_, String>>()?),
            })
        }
    })
}

/// CEL as JSON.
pub(super) fn from_cel(value: &Cel) -> Result<Value, String> {
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(bool) => Value::Bool(*bool),
        Cel::Int(integer) => Value::from(*integer),
        Cel::UInt(integer) => Value::from(*integer),
        Cel::Float(float) => {
            Value::Number(Number::from_f64(*float).ok_or("its value is not a finite number")?)
        }
        Cel::String(text) => Value::String(text.as_str().to_owned()),
        Cel::List(items) => Value::Array(items.iter().map(from_cel).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let members = map.map.iter().map(|(key, member)| {
                let key = match key {
                    Key::String(text) => text.as_str().to_owned(),
                    Key::Int(integer) => integer.to_string(),
                    Key::Uint(integer) => integer.to_string(),
                    Key::Bool(bool) => bool.to_string(),
                };
                Ok((key, from_cel(member)?))
            });
            Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
        }
        _ => return Err("its value cannot be written as JSON".into()),
    })
}
