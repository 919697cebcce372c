//! What expressions may call. Positions in text count characters, from 0.

use super::budget::{Budget, ITEM, Stop};
use super::value::{Cel, List, Text};

type Outcome<'e> = Result<Cel<'e>, Stop>;

/// Their names, besides operators and the macros has, all, exists, exists_one, map and filter.
pub(super) const NAMES: &[&str] = &[
    "bool",
    "charAt",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "replace",
    "reverse",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "trim",
    "type",
    "uint",
    "upperAscii",
];

/// Calls a function; its target, if it has one, comes first.
pub(super) fn call<'e>(name: &str, arguments: &[Cel<'e>], budget: &Budget) -> Outcome<'e> {
    for argument in arguments {
        if let Cel::Text(text) = argument {
            budget.read(text.as_str().len())?;
        }
    }
    let found = match arguments {
        [Cel::List(list)] if name == "join" => Some(join(list, "", budget)),
        [Cel::List(list), Cel::Text(by)] if name == "join" => Some(join(list, by.as_str(), budget)),
        [Cel::Text(text), rest @ ..] => {
            of_text(name, text, rest, budget).or_else(|| convert(name, arguments, budget))
        }
        _ => convert(name, arguments, budget),
    };
    found.unwrap_or_else(|| {
        let kinds: Vec<_> = arguments.iter().map(Cel::kind).collect();
        Stop::error(format!("{name} does not take ({})", kinds.join(", ")))
    })
}

/// Functions of any value: its size, its type, and conversions.
fn convert<'e>(name: &str, arguments: &[Cel<'e>], budget: &Budget) -> Option<Outcome<'e>> {
    let [value] = arguments else { return None };
    Some(match (name, value) {
        ("dyn", value) => Ok(value.clone()),
        ("type", value) => Ok(Cel::Type(value.kind())),
        ("size", Cel::List(list)) => count(list.len()),
        ("size", Cel::Map(object)) => count(object.len()),
        ("bool", Cel::Bool(_))
        | ("int", Cel::Int(_))
        | ("uint", Cel::Uint(_))
        | ("string", Cel::Text(_)) => Ok(value.clone()),
        ("bool", Cel::Text(text)) => parsed(text.as_str().parse().ok().map(Cel::Bool), name),
        ("int", Cel::Text(text)) => parsed(text.as_str().parse().ok().map(Cel::Int), name),
        ("uint", Cel::Text(text)) => parsed(text.as_str().parse().ok().map(Cel::Uint), name),
        ("double", Cel::Text(text)) => parsed(text.as_str().parse().ok().map(Cel::Double), name),
        ("int", Cel::Uint(integer)) => parsed(i64::try_from(*integer).ok().map(Cel::Int), name),
        ("uint", Cel::Int(integer)) => parsed(u64::try_from(*integer).ok().map(Cel::Uint), name),
        ("int", Cel::Double(float)) => parsed(whole(*float).map(Cel::Int), name),
        ("uint", Cel::Double(float)) => {
            let whole = whole(*float).and_then(|whole| u64::try_from(whole).ok());
            parsed(whole.map(Cel::Uint), name)
        }
        ("double", value) => parsed(value.as_double().map(Cel::Double), name),
        ("string", Cel::Bool(bool)) => built(bool.to_string(), budget),
        ("string", Cel::Int(integer)) => built(integer.to_string(), budget),
        ("string", Cel::Uint(integer)) => built(integer.to_string(), budget),
        ("string", Cel::Double(float)) => built(float.to_string(), budget),
        _ => return None,
    })
}

/// The whole part of a number that an integer can hold.
#[allow(clippy::cast_possible_truncation)]
fn whole(float: f64) -> Option<i64> {
    const BOUND: f64 = 9.2e18;
    (float.abs() < BOUND).then(|| float.trunc() as i64)
}

fn of_text<'e>(
    name: &str,
    text: &Text<'e>,
    rest: &[Cel<'e>],
    budget: &Budget,
) -> Option<Outcome<'e>> {
    let it = text.as_str();
    Some(match (name, rest) {
        ("size", []) => count(it.chars().count()),
        ("contains", [Cel::Text(part)]) => Ok(Cel::Bool(it.contains(part.as_str()))),
        ("startsWith", [Cel::Text(part)]) => Ok(Cel::Bool(it.starts_with(part.as_str()))),
        ("endsWith", [Cel::Text(part)]) => Ok(Cel::Bool(it.ends_with(part.as_str()))),
        ("charAt", [Cel::Int(at)]) => slice(it, *at, Some(at.saturating_add(1)), budget),
        ("substring", [Cel::Int(from)]) => slice(it, *from, None, budget),
        ("substring", [Cel::Int(from), Cel::Int(to)]) => slice(it, *from, Some(*to), budget),
        ("indexOf", [Cel::Text(part)]) => position(it, it.find(part.as_str())),
        ("indexOf", [Cel::Text(part), Cel::Int(from)]) => {
            let start = byte_at(it, *from);
            let start = match start {
                Ok(start) => start,
                Err(stop) => return Some(Err(stop)),
            };
            let found = it[start..].find(part.as_str());
            position(it, found.map(|at| start + at))
        }
        ("lastIndexOf", [Cel::Text(part)]) => position(it, it.rfind(part.as_str())),
        ("lowerAscii", []) => charged(it, budget, |it| it.to_ascii_lowercase()),
        ("upperAscii", []) => charged(it, budget, |it| it.to_ascii_uppercase()),
        ("trim", []) => charged(it, budget, |it| it.trim().to_owned()),
        ("reverse", []) => charged(it, budget, |it| it.chars().rev().collect()),
        ("replace", [Cel::Text(from), Cel::Text(to)]) => {
            replace(it, from.as_str(), to.as_str(), usize::MAX, budget)
        }
        ("replace", [Cel::Text(from), Cel::Text(to), Cel::Int(most)]) => {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            replace(it, from.as_str(), to.as_str(), most, budget)
        }
        ("split", [Cel::Text(by)]) => split(it, by.as_str(), usize::MAX, budget),
        ("split", [Cel::Text(by), Cel::Int(most)]) => {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            split(it, by.as_str(), most, budget)
        }
        _ => return None,
    })
}

fn count<'e>(count: usize) -> Outcome<'e> {
    parsed(i64::try_from(count).ok().map(Cel::Int), "size")
}

fn parsed<'e>(value: Option<Cel<'e>>, name: &str) -> Outcome<'e> {
    value.ok_or_else(|| Stop::Error(format!("{name}() cannot convert this value")))
}

fn built<'e>(text: String, budget: &Budget) -> Outcome<'e> {
    budget.build(text.len())?;
    Ok(Cel::text(text))
}

/// A change that makes text no longer, paid before it is made.
fn charged<'e>(text: &str, budget: &Budget, change: fn(&str) -> String) -> Outcome<'e> {
    budget.build(text.len())?;
    Ok(Cel::text(change(text)))
}

fn byte_at(text: &str, at: i64) -> Result<usize, Stop> {
    let ends = text.char_indices().map(|(byte, _)| byte);
    let mut places = ends.chain([text.len()]);
    let byte = usize::try_from(at).ok().and_then(|at| places.nth(at));
    byte.ok_or_else(|| Stop::Error("a position is outside the text".into()))
}

fn slice<'e>(text: &str, from: i64, to: Option<i64>, budget: &Budget) -> Outcome<'e> {
    let start = byte_at(text, from)?;
    let end = match to {
        // The character after the last is no character, and no error either.
        Some(to) if to == from.saturating_add(1) && start == text.len() => start,
        Some(to) => byte_at(text, to)?,
        None => text.len(),
    };
    if end < start {
        return Stop::error("a range ends before it begins");
    }
    built(text[start..end].to_owned(), budget)
}

fn position<'e>(text: &str, byte: Option<usize>) -> Outcome<'e> {
    match byte {
        Some(byte) => count(text[..byte].chars().count()),
        None => Ok(Cel::Int(-1)),
    }
}

fn replace<'e>(text: &str, from: &str, to: &str, most: usize, budget: &Budget) -> Outcome<'e> {
    let times = text.matches(from).take(most).count();
    let size = text.len() - times * from.len() + times.saturating_mul(to.len());
    budget.build(size)?;
    Ok(Cel::text(text.replacen(from, to, most)))
}

/// An empty separator splits between characters.
fn split<'e>(text: &str, by: &str, most: usize, budget: &Budget) -> Outcome<'e> {
    let parts = if by.is_empty() {
        text.chars().count()
    } else {
        text.matches(by).count() + 1
    };
    budget.build(parts.min(most).saturating_mul(2 * ITEM) + text.len())?;
    budget.step(parts)?;
    let parts: Vec<&str> = match (most, by.is_empty()) {
        (0, _) => Vec::new(),
        (_, true) => characters(text, most),
        (_, false) => text.splitn(most, by).collect(),
    };
    Ok(Cel::list(parts.into_iter().map(Cel::text).collect()))
}

fn characters(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == most {
            parts.push(rest);
            break;
        }
        let (head, tail) = rest.split_at(first.len_utf8());
        parts.push(head);
        rest = tail;
    }
    parts
}

fn join<'e>(list: &List<'e>, by: &str, budget: &Budget) -> Outcome<'e> {
    let mut text = String::new();
    for (at, item) in list.iter().enumerate() {
        let Cel::Text(item) = &item else {
            return Stop::error(format!(
                "join takes a list of strings, not of {}",
                item.kind()
            ));
        };
        let by = if at == 0 { "" } else { by };
        budget.build(by.len() + item.as_str().len())?;
        text.push_str(by);
        text.push_str(item.as_str());
    }
    Ok(Cel::text(text))
}
