//! Walking the tree of an expression. Every node, item and byte is paid for.

use std::collections::BTreeMap;
use std::rc::Rc;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, SelectExpr,
    operators,
};

use super::budget::{Budget, ITEM, Stop};
use super::value::{Cel, Key, List, Object, Text};
use super::{TYPES, Variables, arithmetic, functions};

type Outcome<'e> = Result<Cel<'e>, Stop>;

/// One evaluation.
pub(super) struct Evaluation<'e> {
    variables: &'e Variables<'e>,
    pub(super) budget: &'e Budget,
    /// The variables of the comprehensions around, innermost last.
    bound: Vec<(&'e str, Cel<'e>)>,
}

impl<'e> Evaluation<'e> {
    pub(super) fn new(variables: &'e Variables<'e>, budget: &'e Budget) -> Self {
        Self {
            variables,
            budget,
            bound: Vec::new(),
        }
    }

    pub(super) fn value(&mut self, node: &'e IdedExpr) -> Outcome<'e> {
        self.budget.step(1)?;
        match &node.expr {
            Expr::Literal(literal) => literal_value(literal),
            Expr::Ident(name) => self.identifier(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                self.budget.build(ITEM * list.elements.len())?;
                let items = list.elements.iter().map(|item| self.value(item));
                Ok(Cel::list(items.collect::<Result<_, _>>()?))
            }
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Unspecified | Expr::Struct(_) => Stop::error("is not supported"),
        }
    }

    fn identifier(&self, name: &'e str) -> Outcome<'e> {
        let bound = self.bound.iter().rev().find(|(bound, _)| *bound == name);
        if let Some((_, value)) = bound {
            return Ok(value.clone());
        }
        if let Some(value) = self.variables.values.get(name) {
            return Ok(Cel::of(value.as_ref()));
        }
        match TYPES.iter().find(|kind| **kind == name) {
            Some(kind) => Ok(Cel::Type(kind)),
            None => Stop::error(format!("there is no {name} here")),
        }
    }

    fn select(&mut self, select: &'e SelectExpr) -> Outcome<'e> {
        let found = match &select.operand.expr {
            // Compiling made sure that `steps` comes with the id of a step.
            Expr::Ident(name) if name == "steps" && !self.is_bound(name) => {
                let members = self.variables.steps.get(select.field.as_str());
                members.map(|members| Cel::Map(Object::Members(members)))
            }
            _ => match self.value(&select.operand)? {
                Cel::Map(object) => object.get(&Key::Text(select.field.as_str().into())),
                other => {
                    let (field, kind) = (&select.field, other.kind());
                    return Stop::error(format!("{kind} has no member {field}"));
                }
            },
        };
        if select.test {
            return Ok(Cel::Bool(found.is_some()));
        }
        found.ok_or_else(|| Stop::Error(format!("there is no member {}", select.field)))
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|(bound, _)| *bound == name)
    }

    fn map(&mut self, map: &'e MapExpr) -> Outcome<'e> {
        self.budget.build(ITEM * map.entries.len())?;
        let mut members = BTreeMap::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Stop::error("is not supported");
            };
            let key = Key::of(&self.value(&entry.key)?, self.budget)?;
            let member = self.value(&entry.value)?;
            if members.insert(key, member).is_some() {
                return Stop::error("an object has a key twice");
            }
        }
        Ok(Cel::Map(Object::Built(Rc::new(members))))
    }

    fn call(&mut self, call: &'e CallExpr) -> Outcome<'e> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let chosen = if self.holds(condition)? { yes } else { no };
                self.value(chosen)
            }
            (operators::LOGICAL_AND, [left, right]) => self.decided(left, right, false),
            (operators::LOGICAL_OR, [left, right]) => self.decided(left, right, true),
            (name, arguments) => {
                let nodes = call.target.as_deref().into_iter().chain(arguments);
                let values = nodes.map(|node| self.value(node));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                    functions::call(name, &values, self.budget)
                } else {
                    arithmetic::operate(name, &values, self.budget)
                }
            }
        }
    }

    /// `&&` and `||`: a side that decides by itself excuses an error of the other.
    fn decided(&mut self, left: &'e IdedExpr, right: &'e IdedExpr, deciding: bool) -> Outcome<'e> {
        let left = match self.holds(left) {
            Err(Stop::Spent) => return Err(Stop::Spent),
            Ok(left) if left == deciding => return Ok(Cel::Bool(deciding)),
            left => left,
        };
        let right = self.holds(right)?;
        if right == deciding {
            return Ok(Cel::Bool(deciding));
        }
        left.map(|_| Cel::Bool(right))
    }

    fn holds(&mut self, node: &'e IdedExpr) -> Result<bool, Stop> {
        match self.value(node)? {
            Cel::Bool(holds) => Ok(holds),
            other => Stop::error(format!("must be true or false and is {}", other.kind())),
        }
    }

    fn comprehension(&mut self, it: &'e ComprehensionExpr) -> Outcome<'e> {
        let range = match self.value(&it.iter_range)? {
            Cel::List(list) => list,
            Cel::Map(object) => {
                self.budget.build(ITEM * object.len())?;
                List::Built(object.keys().into())
            }
            other => return Stop::error(format!("{} cannot be walked", other.kind())),
        };
        let outer = self.bound.len();
        let value = match Appending::of(it) {
            Some(appending) => self.append(it, &range, &appending),
            None => self.fold(it, &range),
        };
        self.bound.truncate(outer);
        value
    }

    /// `map` and `filter`: the list grows in place.
    fn append(
        &mut self,
        it: &'e ComprehensionExpr,
        range: &List<'e>,
        appending: &Appending<'e>,
    ) -> Outcome<'e> {
        let mut items = Vec::new();
        let place = self.bound.len();
        self.bound.push((&it.iter_var, Cel::Null));
        for item in range.iter() {
            self.budget.step(1)?;
            self.bound[place].1 = item;
            if let Some(guard) = appending.guard
                && !self.holds(guard)?
            {
                continue;
            }
            self.budget.build(ITEM)?;
            items.push(self.value(appending.item)?);
        }
        Ok(Cel::list(items))
    }

    /// `all`, `exists` and `exists_one`: an error of one item counts only when no other decides.
    fn fold(&mut self, it: &'e ComprehensionExpr, range: &List<'e>) -> Outcome<'e> {
        let decides = match &it.loop_step.expr {
            Expr::Call(call) if call.func_name == operators::LOGICAL_AND => Some(false),
            Expr::Call(call) if call.func_name == operators::LOGICAL_OR => Some(true),
            _ => None,
        };
        let start = self.value(&it.accu_init)?;
        let place = self.bound.len();
        self.bound.push((&it.accu_var, start));
        self.bound.push((&it.iter_var, Cel::Null));
        let mut pending = None;
        for item in range.iter() {
            self.budget.step(1)?;
            let goes_on = match (decides, &self.bound[place].1) {
                (Some(decides), Cel::Bool(value)) => *value != decides,
                _ => self.holds(&it.loop_cond)?,
            };
            if !goes_on {
                break;
            }
            self.bound[place + 1].1 = item;
            match (self.value(&it.loop_step), decides) {
                (Err(Stop::Error(error)), Some(_)) => pending = Some(error),
                (Err(stop), _) => return Err(stop),
                (Ok(Cel::Bool(value)), Some(decides)) if value == decides => {
                    pending = None;
                    self.bound[place].1 = Cel::Bool(value);
                }
                (Ok(_), Some(_)) if pending.is_some() => {}
                (Ok(value), _) => self.bound[place].1 = value,
            }
        }
        match pending {
            Some(error) => Stop::error(error),
            None => self.value(&it.result),
        }
    }
}

/// The step of `map` and `filter`: `@result + [item]`, with a guard or without.
struct Appending<'e> {
    guard: Option<&'e IdedExpr>,
    item: &'e IdedExpr,
}

impl<'e> Appending<'e> {
    fn of(it: &'e ComprehensionExpr) -> Option<Self> {
        let added = |node: &'e IdedExpr| match &node.expr {
            Expr::Call(call) if call.func_name == operators::ADD => match call.args.as_slice() {
                [accumulated, added] if is_named(accumulated, &it.accu_var) => match &added.expr {
                    Expr::List(list) => list.elements.first().filter(|_| list.elements.len() == 1),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        match &it.loop_step.expr {
            Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
                match call.args.as_slice() {
                    [guard, step, otherwise] if is_named(otherwise, &it.accu_var) => Some(Self {
                        guard: Some(guard),
                        item: added(step)?,
                    }),
                    _ => None,
                }
            }
            _ => Some(Self {
                guard: None,
                item: added(&it.loop_step)?,
            }),
        }
    }
}

fn is_named(node: &IdedExpr, name: &str) -> bool {
    matches!(&node.expr, Expr::Ident(ident) if ident == name)
}

fn literal_value(literal: &LiteralValue) -> Outcome<'_> {
    Ok(match literal {
        LiteralValue::Null => Cel::Null,
        LiteralValue::Boolean(bool) => Cel::Bool(*bool.inner()),
        LiteralValue::Int(integer) => Cel::Int(*integer.inner()),
        LiteralValue::UInt(integer) => Cel::Uint(*integer.inner()),
        LiteralValue::Double(float) => Cel::Double(*float.inner()),
        LiteralValue::String(text) => Cel::Text(Text::Data(text.inner())),
        LiteralValue::Bytes(_) => return Stop::error("bytes are not supported"),
    })
}
