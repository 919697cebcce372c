//! Values of expressions. They borrow the data that they come from and share what is built, so that
//! passing one around costs nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::budget::{Budget, ITEM, Stop};
use super::{DEPTH_LIMIT, Members};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Cel<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    List(List<'a>),
    Map(Object<'a>),
    /// A type, as `type(x)` gives it.
    Type(&'static str),
}

/// Text of the data, or text that was built.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Data(&'a str),
    Built(Rc<str>),
}

/// A list of the data, or one that was built.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Data(&'a [Value]),
    Built(Rc<[Cel<'a>]>),
}

/// An object of the data, one whose members are found apart, or one that was built.
#[derive(Debug, Clone)]
pub(super) enum Object<'a> {
    Data(&'a Map<String, Value>),
    Members(&'a Members<'a>),
    Built(Rc<BTreeMap<Key, Cel<'a>>>),
}

/// A key of an object that was built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
}

impl<'a> Cel<'a> {
    /// JSON as a value. An integer becomes an int even when it is positive, so that arithmetic with
    /// literals works.
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => number.as_i64().map_or_else(
                || Self::Double(number.as_f64().unwrap_or(f64::NAN)),
                Self::Int,
            ),
            Value::String(text) => Self::Text(Text::Data(text)),
            Value::Array(items) => Self::List(List::Data(items)),
            Value::Object(members) => Self::Map(Object::Data(members)),
        }
    }

    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Built(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Built(items.into()))
    }

    /// Its type, for messages and for `type(x)`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Type(_) => "type",
        }
    }

    /// As JSON, which spends its size.
    pub(super) fn to_json(&self, budget: &Budget) -> Result<Value, Stop> {
        self.at_depth(budget, 0)
    }

    fn at_depth(&self, budget: &Budget, depth: usize) -> Result<Value, Stop> {
        budget.build(ITEM)?;
        let inner = depth + 1;
        if matches!(self, Self::List(_) | Self::Map(_)) && inner > DEPTH_LIMIT {
            return Stop::error(format!(
                "its value is nested deeper than {DEPTH_LIMIT} levels"
            ));
        }
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(integer) => Value::from(*integer),
            Self::Uint(integer) => Value::from(*integer),
            Self::Double(float) => match Number::from_f64(*float) {
                Some(number) => Value::Number(number),
                None => return Stop::error("its value is not a finite number"),
            },
            Self::Text(text) => Value::String(storable(text.as_str(), budget)?),
            Self::List(list) => {
                let items = list.iter().map(|item| item.at_depth(budget, inner));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Map(object) => {
                let members = object.members().into_iter().map(|(key, member)| {
                    let key = storable(&key, budget)?;
                    Ok((key, member.at_depth(budget, inner)?))
                });
                Value::Object(members.collect::<Result<_, Stop>>()?)
            }
            Self::Type(_) => return Stop::error("its value cannot be written as JSON"),
        })
    }

    /// Whether two values are the same; numbers are, whatever their types.
    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Stop> {
        budget.step(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Type(one), Self::Type(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => {
                budget.read(one.as_str().len().min(two.as_str().len()))?;
                one.as_str() == two.as_str()
            }
            (Self::List(one), Self::List(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                for (one, two) in one.iter().zip(two.iter()) {
                    if !one.equals(&two, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Map(one), Self::Map(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                budget.step(2 * one.len())?;
                for (key, member) in one.entries() {
                    match two.get(&key) {
                        Some(other) if member.equals(&other, budget)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            _ => self.compare_numbers(other) == Some(Ordering::Equal),
        })
    }

    /// The order of two values that have one.
    pub(super) fn compare(&self, other: &Self, budget: &Budget) -> Result<Ordering, Stop> {
        let order = match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::Text(one), Self::Text(two)) => {
                budget.read(one.as_str().len().min(two.as_str().len()))?;
                Some(one.as_str().cmp(two.as_str()))
            }
            _ => self.compare_numbers(other),
        };
        let (one, two) = (self.kind(), other.kind());
        order.ok_or_else(|| Stop::Error(format!("{one} and {two} cannot be compared")))
    }

    fn compare_numbers(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Double(_), _) | (_, Self::Double(_)) => {
                self.as_double()?.partial_cmp(&other.as_double()?)
            }
            _ => Some(self.as_integer()?.cmp(&other.as_integer()?)),
        }
    }

    fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Int(integer) => Some(i128::from(*integer)),
            Self::Uint(integer) => Some(i128::from(*integer)),
            _ => None,
        }
    }

    /// A number as a double; large integers lose their last digits, as they do in JSON.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn as_double(&self) -> Option<f64> {
        match self {
            Self::Int(integer) => Some(*integer as f64),
            Self::Uint(integer) => Some(*integer as f64),
            Self::Double(float) => Some(*float),
            _ => None,
        }
    }
}

/// Text that PostgreSQL can keep.
fn storable(text: &str, budget: &Budget) -> Result<String, Stop> {
    budget.build(text.len())?;
    if text.contains('\0') {
        return Stop::error("its value holds a NUL character, which cannot be stored");
    }
    Ok(text.to_owned())
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Data(text) => text,
            Self::Built(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(items) => items.len(),
            Self::Built(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Cel<'a>> {
        match self {
            Self::Data(items) => items.get(index).map(Cel::of),
            Self::Built(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Cel<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Object<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(members) => members.len(),
            Self::Members(members) => members.len(),
            Self::Built(members) => members.len(),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Cel<'a>> {
        match (self, key) {
            (Self::Built(members), key) => members.get(key).cloned(),
            (Self::Data(members), Key::Text(name)) => members.get(&**name).map(Cel::of),
            (Self::Members(members), Key::Text(name)) => {
                members.get(&**name).map(|member| of_cow(member))
            }
            _ => None,
        }
    }

    /// Its keys.
    pub(super) fn keys(&self) -> Vec<Cel<'a>> {
        match self {
            Self::Data(members) => members
                .keys()
                .map(|key| Cel::Text(Text::Data(key)))
                .collect(),
            Self::Members(members) => members
                .keys()
                .map(|key| Cel::Text(Text::Data(key)))
                .collect(),
            Self::Built(members) => members
                .keys()
                .map(|key| match key {
                    Key::Bool(bool) => Cel::Bool(*bool),
                    Key::Int(integer) => Cel::Int(*integer),
                    Key::Text(text) => Cel::text(Rc::clone(text)),
                })
                .collect(),
        }
    }

    fn entries(&self) -> Vec<(Key, Cel<'a>)> {
        let text = |key: &str| Key::Text(key.into());
        match self {
            Self::Data(members) => members
                .iter()
                .map(|(key, member)| (text(key), Cel::of(member)))
                .collect(),
            Self::Members(members) => members
                .iter()
                .map(|(key, member)| (text(key), of_cow(member)))
                .collect(),
            Self::Built(members) => members
                .iter()
                .map(|(key, member)| (key.clone(), member.clone()))
                .collect(),
        }
    }

    /// Its members as JSON names them.
    fn members(&self) -> Vec<(String, Cel<'a>)> {
        let named = self.entries().into_iter().map(|(key, member)| {
            let key = match key {
                Key::Bool(bool) => bool.to_string(),
                Key::Int(integer) => integer.to_string(),
                Key::Text(text) => text.to_string(),
            };
            (key, member)
        });
        named.collect()
    }
}

fn of_cow<'a>(value: &'a Cow<'a, Value>) -> Cel<'a> {
    Cel::of(value.as_ref())
}

impl Key {
    /// A value as a key.
    pub(super) fn of(value: &Cel<'_>, budget: &Budget) -> Result<Self, Stop> {
        match value {
            Cel::Bool(bool) => Ok(Self::Bool(*bool)),
            Cel::Int(integer) => Ok(Self::Int(*integer)),
            Cel::Uint(integer) => i64::try_from(*integer)
                .map(Self::Int)
                .map_err(|_| Stop::Error("a key is too large".into())),
            Cel::Text(Text::Built(text)) => Ok(Self::Text(Rc::clone(text))),
            Cel::Text(Text::Data(text)) => {
                budget.build(text.len())?;
                Ok(Self::Text((*text).into()))
            }
            other => Stop::error(format!("{} cannot be a key", other.kind())),
        }
    }
}
