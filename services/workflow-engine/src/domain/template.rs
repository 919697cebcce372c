//! JSON in which strings may hold `${{ expression }}`.

use serde_json::{Map, Value};

use super::expression::{Budget, Expression, References, Variables};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A compiled value.
#[derive(Debug)]
pub enum Template {
    /// Nothing to compute.
    Literal(Value),
    /// The whole string is one expression, whose value it becomes.
    Expression(Expression),
    /// A string with expressions in it, which become text.
    Text(Vec<Part>),
    /// A list.
    Array(Vec<Template>),
    /// An object.
    Object(Vec<(String, Template)>),
}

/// A piece of a string.
#[derive(Debug)]
pub enum Part {
    /// As written.
    Text(String),
    /// To be computed.
    Expression(Expression),
}

/// Something wrong in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// Where, relative to the value: `.files[2]`; empty for the value itself.
    pub path: String,
    /// What.
    pub description: String,
}

impl Template {
    /// Compiles a value and collects every fault in it.
    pub fn compile(value: &Value, faults: &mut Vec<TemplateFault>) -> Self {
        compile(value, String::new(), faults)
    }

    /// Compiles an object's members.
    pub fn compile_map(members: &Map<String, Value>, faults: &mut Vec<TemplateFault>) -> Self {
        compile_members(members, "", faults)
    }

    /// What its expressions read.
    pub fn references(&self) -> References {
        let mut references = References::default();
        self.collect(&mut references);
        references
    }

    fn collect(&self, references: &mut References) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(expression) => references.extend(expression.references()),
            Self::Text(parts) => parts.iter().for_each(|part| {
                if let Part::Expression(expression) = part {
                    references.extend(expression.references());
                }
            }),
            Self::Array(items) => items.iter().for_each(|item| item.collect(references)),
            Self::Object(members) => {
                members
                    .iter()
                    .for_each(|(_, member)| member.collect(references));
            }
        }
    }

    /// The value.
    ///
    /// # Errors
    /// Which member has none, and why.
    pub fn render(&self, variables: &Variables<'_>, budget: &Budget) -> Result<Value, String> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(expression) => expression.evaluate(variables, budget),
            Self::Text(parts) => render_text(parts, variables, budget).map(Value::String),
            Self::Array(items) => items
                .iter()
                .map(|item| item.render(variables, budget))
                .collect::<Result<_, _>>(),
            Self::Object(members) => {
                let members = members.iter().map(|(key, member)| {
                    let value = member.render(variables, budget);
                    value
                        .map(|value| (key.clone(), value))
                        .map_err(|why| format!("{key}: {why}"))
                });
                members.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }
}

fn render_text(
    parts: &[Part],
    variables: &Variables<'_>,
    budget: &Budget,
) -> Result<String, String> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Expression(expression) => {
                let value = match expression.evaluate(variables, budget)? {
                    Value::String(value) => value,
                    value => value.to_string(),
                };
                if !budget.affords(value.len()) {
                    return Err("becomes too long".to_owned());
                }
                text.push_str(&value);
            }
        }
    }
    Ok(text)
}

fn compile(value: &Value, path: String, faults: &mut Vec<TemplateFault>) -> Template {
    match value {
        Value::String(text) if text.contains(OPEN) => match compile_string(text) {
            Ok(template) => template,
            Err(description) => {
                faults.push(TemplateFault { path, description });
                Template::Literal(Value::Null)
            }
        },
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items =
                items.map(|(index, item)| compile(item, format!("{path}[{index}]"), faults));
            Template::Array(items.collect())
        }
        Value::Object(members) => compile_members(members, &path, faults),
        literal => Template::Literal(literal.clone()),
    }
}

fn compile_members(
    members: &Map<String, Value>,
    path: &str,
    faults: &mut Vec<TemplateFault>,
) -> Template {
    let members = members.iter().map(|(key, member)| {
        (
            key.clone(),
            compile(member, format!("{path}.{key}"), faults),
        )
    });
    Template::Object(members.collect())
}

fn compile_string(text: &str) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(OPEN) {
        let (before, after) = rest.split_at(open);
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let (expression, remaining) = take_expression(&after[OPEN.len()..])?;
        parts.push(Part::Expression(expression));
        rest = remaining;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    let blank = |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
    let mut solid: Vec<_> = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| !blank(part))
        .collect();
    let only = match (solid.pop(), solid.is_empty()) {
        (Some((index, Part::Expression(_))), true) => Some(index),
        _ => None,
    };
    Ok(match only.map(|index| parts.swap_remove(index)) {
        Some(Part::Expression(expression)) => Template::Expression(expression),
        _ => Template::Text(parts),
    })
}

/// The expression up to its `}}`, and what follows.
fn take_expression(text: &str) -> Result<(Expression, &str), String> {
    let end = end_of_expression(text).ok_or("has a ${{ without its }}")?;
    let expression = Expression::compile(text[..end].trim())?;
    Ok((expression, &text[end + CLOSE.len()..]))
}

/// Where the first `}}` is that belongs to no string and closes no brace of the expression.
fn end_of_expression(text: &str) -> Option<usize> {
    let mut open = 0;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        at += match first {
            '\'' | '"' => {
                let is_raw = text[..at].ends_with(['r', 'R']);
                string_length(rest, is_raw)?
            }
            '}' if open == 0 => return rest.starts_with(CLOSE).then_some(at),
            '}' => {
                open -= 1;
                1
            }
            '{' => {
                open += 1;
                1
            }
            other => other.len_utf8(),
        };
    }
    None
}

/// The bytes of the string literal that a text begins with, quotes included.
fn string_length(text: &str, is_raw: bool) -> Option<usize> {
    let mark = &text[..1];
    let triple = mark.repeat(3);
    let quote = if text.starts_with(&triple) {
        &triple
    } else {
        mark
    };
    let mut at = quote.len();
    loop {
        let rest = &text[at..];
        if rest.starts_with(quote) {
            return Some(at + quote.len());
        }
        let mut next = rest.chars();
        at += next.next()?.len_utf8();
        if !is_raw && rest.starts_with('\\') {
            at += next.next()?.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::expression::Supply;

    fn render(value: Value) -> Result<Value, String> {
        let mut faults = Vec::new();
        let template = Template::compile(&value, &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let input = json!({"dir": "k8s", "n": 3, "l": [1], "big": "x".repeat(200_000)});
        let variables = Variables {
            values: [("input", std::borrow::Cow::Borrowed(&input))].into(),
            ..Variables::default()
        };
        template.render(&variables, &Supply::new().budget())
    }

    #[test]
    fn a_whole_string_keeps_its_type() {
        assert_eq!(render(json!("${{ input.n + 1 }}")), Ok(json!(4)));
        assert_eq!(render(json!(" ${{input.l}} ")), Ok(json!([1])));
        assert_eq!(
            render(json!("${{ {'a': {'b': input.n}} }}")),
            Ok(json!({"a": {"b": 3}}))
        );
    }

    #[test]
    fn braces_and_quotes_of_an_expression_do_not_end_it() {
        for (text, expected) in [
            ("${{ '}}' }}", json!("}}")),
            ("${{ \"it's }}\" }}", json!("it's }}")),
            ("${{ '\\'}}' }}", json!("'}}")),
            ("${{ r'\\' }}", json!("\\")),
            ("${{ \'\'\'a\'}}\'\'\' }}", json!("a'}}")),
            ("${{ {'a': {'b': 1}} }}", json!({"a": {"b": 1}})),
            (
                "${{ {'a': {'b': 1}}.a.b }} of ${{input.n}}",
                json!("1 of 3"),
            ),
        ] {
            assert_eq!(render(json!(text)), Ok(expected), "{text}");
        }
        for text in ["${{ 'x }}", "${{ {'a': 1 }}", "${{ 1 } }", "${{"] {
            let mut faults = Vec::new();
            Template::compile(&json!(text), &mut faults);
            assert_eq!(faults.len(), 1, "{text}");
        }
    }

    #[test]
    fn repeating_large_data_is_an_error() {
        let members: Vec<_> = (0..100).map(|_| json!("${{ input }}")).collect();
        assert!(
            render(Value::Array(members))
                .expect_err("rendered")
                .contains("costs too much")
        );
        let text = "x${{ input.big }}".repeat(100);
        assert!(render(json!(text)).is_err());
    }

    #[test]
    fn within_a_string_it_becomes_text() {
        assert_eq!(
            render(json!("in ${{ input.dir }}: ${{input.n}}")),
            Ok(json!("in k8s: 3"))
        );
        assert_eq!(render(json!("plain $ {{x}}")), Ok(json!("plain $ {{x}}")));
    }

    #[test]
    fn goes_into_lists_and_objects() {
        let value = json!({"a": ["${{ input.n }}", true], "b": {"c": "x"}});
        assert_eq!(render(value), Ok(json!({"a": [3, true], "b": {"c": "x"}})));
    }

    #[test]
    fn names_every_fault_with_its_path() {
        let mut faults = Vec::new();
        let value = json!({"a": ["ok", "${{ 1 + }}"], "b": "${{ input.n"});
        Template::compile(&value, &mut faults);
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, [".a[1]", ".b"]);
    }

    #[test]
    fn says_which_member_has_no_value() {
        let fault = render(json!({"deep": {"dir": "${{ input.absent }}"}})).expect_err("rendered");
        assert!(fault.starts_with("deep: dir: "), "{fault}");
    }
}
