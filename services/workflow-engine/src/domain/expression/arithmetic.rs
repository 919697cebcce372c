//! Operators. Arithmetic is exact: what overflows is an error.

use std::cmp::Ordering;

use cel::common::ast::operators;

use super::budget::{Budget, ITEM, Stop};
use super::value::{Cel, Key, List, Object};

type Outcome<'e> = Result<Cel<'e>, Stop>;

/// Applies an operator to its operands.
pub(super) fn operate<'e>(name: &str, operands: &[Cel<'e>], budget: &Budget) -> Outcome<'e> {
    let ordered = |wanted: fn(Ordering) -> bool, one: &Cel<'e>, two: &Cel<'e>| {
        Ok(Cel::Bool(wanted(one.compare(two, budget)?)))
    };
    match (name, operands) {
        (operators::EQUALS, [one, two]) => Ok(Cel::Bool(one.equals(two, budget)?)),
        (operators::NOT_EQUALS, [one, two]) => Ok(Cel::Bool(!one.equals(two, budget)?)),
        (operators::LESS, [one, two]) => ordered(Ordering::is_lt, one, two),
        (operators::LESS_EQUALS, [one, two]) => ordered(Ordering::is_le, one, two),
        (operators::GREATER, [one, two]) => ordered(Ordering::is_gt, one, two),
        (operators::GREATER_EQUALS, [one, two]) => ordered(Ordering::is_ge, one, two),
        (operators::LOGICAL_NOT, [Cel::Bool(holds)]) => Ok(Cel::Bool(!holds)),
        // What the macros put around a condition to go on.
        (operators::NOT_STRICTLY_FALSE, [holds]) => Ok(holds.clone()),
        (operators::NEGATE, [Cel::Int(integer)]) => {
            integer.checked_neg().map(Cel::Int).ok_or_else(overflow)
        }
        (operators::NEGATE, [Cel::Double(float)]) => Ok(Cel::Double(-float)),
        (operators::INDEX, [of, index]) => item(of, index, budget),
        (operators::IN, [item, within]) => contains(within, item, budget),
        (operators::ADD, [Cel::Text(one), Cel::Text(two)]) => {
            let (one, two) = (one.as_str(), two.as_str());
            budget.build(one.len() + two.len())?;
            Ok(Cel::text([one, two].concat()))
        }
        (operators::ADD, [Cel::List(one), Cel::List(two)]) => joined(one, two, budget),
        (_, [Cel::Int(one), Cel::Int(two)]) => integers(name, *one, *two),
        (_, [Cel::Uint(one), Cel::Uint(two)]) => unsigned(name, *one, *two),
        (_, [Cel::Double(one), Cel::Double(two)]) => doubles(name, *one, *two),
        _ => {
            let kinds: Vec<_> = operands.iter().map(Cel::kind).collect();
            Stop::error(format!("{name} does not take {}", kinds.join(" and ")))
        }
    }
}

fn joined<'e>(one: &List<'e>, two: &List<'e>, budget: &Budget) -> Outcome<'e> {
    budget.build(ITEM * (one.len() + two.len()))?;
    Ok(Cel::list(one.iter().chain(two.iter()).collect()))
}

fn item<'e>(of: &Cel<'e>, index: &Cel<'e>, budget: &Budget) -> Outcome<'e> {
    let found = match (of, index) {
        (Cel::List(list), Cel::Int(index)) => {
            usize::try_from(*index).ok().and_then(|at| list.get(at))
        }
        (Cel::List(list), Cel::Uint(index)) => {
            usize::try_from(*index).ok().and_then(|at| list.get(at))
        }
        (Cel::Map(object), key) => object.get(&Key::of(key, budget)?),
        _ => {
            let (of, index) = (of.kind(), index.kind());
            return Stop::error(format!("{of} cannot be indexed by {index}"));
        }
    };
    found.ok_or_else(|| Stop::Error("there is no such item or member".into()))
}

fn contains<'e>(within: &Cel<'e>, item: &Cel<'e>, budget: &Budget) -> Outcome<'e> {
    match within {
        Cel::List(list) => {
            for other in list.iter() {
                if other.equals(item, budget)? {
                    return Ok(Cel::Bool(true));
                }
            }
            Ok(Cel::Bool(false))
        }
        Cel::Map(object) => Ok(Cel::Bool(has(object, item, budget)?)),
        other => Stop::error(format!("nothing is in {}", other.kind())),
    }
}

fn has(object: &Object<'_>, key: &Cel<'_>, budget: &Budget) -> Result<bool, Stop> {
    Ok(object.get(&Key::of(key, budget)?).is_some())
}

fn integers<'e>(name: &str, one: i64, two: i64) -> Outcome<'e> {
    let result = match name {
        operators::ADD => one.checked_add(two),
        operators::SUBSTRACT => one.checked_sub(two),
        operators::MULTIPLY => one.checked_mul(two),
        operators::DIVIDE | operators::MODULO if two == 0 => return by_zero(),
        operators::DIVIDE => one.checked_div(two),
        operators::MODULO => one.checked_rem(two),
        _ => return Stop::error(format!("{name} does not take int")),
    };
    result.map(Cel::Int).ok_or_else(overflow)
}

fn unsigned<'e>(name: &str, one: u64, two: u64) -> Outcome<'e> {
    let result = match name {
        operators::ADD => one.checked_add(two),
        operators::SUBSTRACT => one.checked_sub(two),
        operators::MULTIPLY => one.checked_mul(two),
        operators::DIVIDE | operators::MODULO if two == 0 => return by_zero(),
        operators::DIVIDE => one.checked_div(two),
        operators::MODULO => one.checked_rem(two),
        _ => return Stop::error(format!("{name} does not take uint")),
    };
    result.map(Cel::Uint).ok_or_else(overflow)
}

fn doubles<'e>(name: &str, one: f64, two: f64) -> Outcome<'e> {
    Ok(Cel::Double(match name {
        operators::ADD => one + two,
        operators::SUBSTRACT => one - two,
        operators::MULTIPLY => one * two,
        operators::DIVIDE => one / two,
        _ => return Stop::error(format!("{name} does not take double")),
    }))
}

fn overflow() -> Stop {
    Stop::Error("the result is too large for an integer".into())
}

fn by_zero<'e>() -> Outcome<'e> {
    Stop::error("divides by zero")
}
