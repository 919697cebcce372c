//! The title of an incident that a rule opens: a line of text with a few facts in it. It is no
//! language, on purpose: whoever may write a rule must not be able to make this service compute.
//! What a title costs is bounded by the template's length.

use super::evidence::{cut, text_at};
use super::logged::Fact;
use super::rule::{Group, Rule, is_path};

/// Characters of a title, and of each fact in it.
const LONGEST: usize = 200;
/// What a template may contain.
const FORMS: &str = "may hold text, {{ fact }}, {{ fact or fact }} and, not nested, \
                     {% if fact %}, {% else %} and {% endif %}";
/// The facts that a template may name.
const NAMES: &str = "facts are event.type, event.source, event.resource_type, event.resource_id, \
                     data.<path>, group.<name> and count";

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// The first of these facts that is there.
    Value(Vec<&'a str>),
    /// What is said when a fact is there, and when it is not.
    If(&'a str, Vec<Piece<'a>>, Vec<Piece<'a>>),
}

/// Whether a template can be read; else why not.
///
/// # Errors
/// What is wrong with it.
pub fn check(template: &str) -> Result<(), String> {
    parse(template).map(drop)
}

/// The title by a rule's template. A template that cannot be read, or that gives nothing for this
/// event, must not keep the incident from opening, so there is a plain title for that.
pub fn title(rule: &Rule, fact: &Fact, group: &Group, count: i64) -> String {
    let known = |name: &str| cut(&value(name, fact, group, count), LONGEST);
    let mut text = String::new();
    write(
        &parse(&rule.title_template).unwrap_or_default(),
        &known,
        &mut text,
    );
    let line = one_line(&text);
    if line.is_empty() {
        let plain = format!("{}: {} {}", rule.name, fact.kind, fact.resource_id);
        return cut(&one_line(&plain), LONGEST);
    }
    cut(&line, LONGEST)
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn write(pieces: &[Piece<'_>], known: &impl Fn(&str) -> String, text: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Value(names) => {
                let mut found = names.iter().map(|name| known(name));
                let first = found.find(|value| !value.is_empty());
                text.push_str(&first.unwrap_or_default());
            }
            Piece::If(name, then, otherwise) => {
                let chosen = if known(name).is_empty() {
                    otherwise
                } else {
                    then
                };
                write(chosen, known, text);
            }
        }
    }
}

/// A fact as text; empty when there is none.
fn value(name: &str, fact: &Fact, group: &Group, count: i64) -> String {
    match name.split_once('.') {
        Some(("event", "type")) => fact.kind.clone(),
        Some(("event", "source")) => fact.source.clone(),
        Some(("event", "resource_type")) => fact.resource_type.clone(),
        Some(("event", "resource_id")) => fact.resource_id.clone(),
        Some(("data", path)) => text_at(&fact.data, path),
        Some(("group", name)) => group.get(name).cloned().unwrap_or_default(),
        None if name == "count" => count.to_string(),
        _ => String::new(),
    }
}

fn is_name(name: &str) -> bool {
    match name.split_once('.') {
        Some(("event", fact)) => {
            matches!(fact, "type" | "source" | "resource_type" | "resource_id")
        }
        Some(("data" | "group", path)) => is_path(path),
        Some(_) => false,
        None => name == "count",
    }
}

/// A condition that is not closed yet: its fact, what holds when it is there, and what else.
type Open<'a> = (&'a str, Vec<Piece<'a>>, Option<Vec<Piece<'a>>>);

fn parse(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut open): (Vec<Piece<'_>>, Option<Open<'_>>) = (Vec::new(), None);
    let mut rest = template;
    while !rest.is_empty() {
        let (plain, tag, later) = next_tag(rest)?;
        push(&mut pieces, &mut open, Piece::Text(plain));
        match tag {
            Some(Tag::Value(text)) => push(&mut pieces, &mut open, Piece::Value(names(text)?)),
            Some(Tag::Block(text)) => block(text, &mut pieces, &mut open)?,
            None => {}
        }
        rest = later;
    }
    match open {
        Some(_) => Err("an if has no endif".to_owned()),
        None => Ok(pieces),
    }
}

enum Tag<'a> {
    Value(&'a str),
    Block(&'a str),
}

/// The text before the next tag, the tag, and what follows it.
fn next_tag(text: &str) -> Result<(&str, Option<Tag<'_>>, &str), String> {
    let starts = [text.find("{{"), text.find("{%")];
    let Some(start) = starts.into_iter().flatten().min() else {
        return Ok((text, None, ""));
    };
    let (plain, tagged) = text.split_at(start);
    let (is_value, end) = if tagged.starts_with("{{") {
        (true, "}}")
    } else {
        (false, "%}")
    };
    let Some((inner, later)) = tagged[2..].split_once(end) else {
        return Err(format!("a tag has no {end}; it {FORMS}"));
    };
    let tag = if is_value {
        Tag::Value(inner)
    } else {
        Tag::Block(inner)
    };
    Ok((plain, Some(tag), later))
}

fn names(text: &str) -> Result<Vec<&str>, String> {
    let names: Vec<&str> = text.split(" or ").map(str::trim).collect();
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(format!("{name:?} is no fact; {NAMES}")),
        None => Ok(names),
    }
}

fn block<'a>(
    text: &'a str,
    pieces: &mut Vec<Piece<'a>>,
    open: &mut Option<Open<'a>>,
) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match (words.as_slice(), open.take()) {
        (["if", name], None) if is_name(name) => *open = Some((name, Vec::new(), None)),
        (["else"], Some((name, then, None))) => *open = Some((name, then, Some(Vec::new()))),
        (["endif"], Some((name, then, otherwise))) => {
            pieces.push(Piece::If(name, then, otherwise.unwrap_or_default()));
        }
        _ => return Err(format!("{:?} is not understood; it {FORMS}", text.trim())),
    }
    Ok(())
}

fn push<'a>(pieces: &mut Vec<Piece<'a>>, open: &mut Option<Open<'a>>, piece: Piece<'a>) {
    match open {
        Some((_, _, Some(otherwise))) => otherwise.push(piece),
        Some((_, then, None)) => then.push(piece),
        None => pieces.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use reeve_ids::TenantId;
    use serde_json::json;

    use super::*;
    use crate::domain::logged::tests::fact;
    use crate::domain::rules_built_in::built_in;

    fn rule(template: &str) -> Rule {
        Rule {
            title_template: template.into(),
            ..built_in(TenantId::new(), Utc::now()).remove(0)
        }
    }

    #[test]
    fn every_built_in_template_gives_a_title() {
        for rule in built_in(TenantId::new(), Utc::now()) {
            check(&rule.title_template).expect("a built-in template can be read");
            let full = fact(
                "x",
                json!({"type": "lint", "name": "a", "workflow": "deploy"}),
            );
            for fact in [full, fact("x", json!({}))] {
                let text = title(&rule, &fact, &rule.group(&fact), 5);
                assert!(!text.is_empty() && !text.contains('{'), "{text}");
            }
        }
    }

    #[test]
    fn facts_take_the_place_of_their_names() {
        let failed = fact("task.failed", json!({"type": "lint", "error": {"code": 7}}));
        let group = Group::from([("data.type".to_owned(), "lint".to_owned())]);
        let text = |template| title(&rule(template), &failed, &group, 5);
        assert_eq!(
            text("{{ event.type }} of {{event.resource_id}}"),
            "task.failed of t-1"
        );
        assert_eq!(text("{{ data.error.code }} × {{ count }}"), "7 × 5");
        assert_eq!(text("{{ data.none or group.data.type }}"), "lint");
        let either = "{% if data.none %}a{% else %}b{{ data.type }}{% endif %}c";
        assert_eq!(text(either), "blintc");
        assert_eq!(text("x{% if data.none %}a{% endif %}"), "x");
    }

    #[test]
    fn a_title_is_one_short_line_whatever_the_event() {
        let long = "a\r\n\u{1b}[2Jb".repeat(500);
        let failed = fact("task.failed", json!({ "type": long }));
        let text = title(&rule("{{ data.type }}"), &failed, &Group::new(), 1);
        assert!(text.chars().count() <= LONGEST && !text.contains(char::is_control));
    }

    #[test]
    fn what_would_compute_is_refused_and_gives_the_plain_title() {
        let doubling = "{% set n = namespace(a=\"x\") %}{% for i in range(45) %}\
                        {% set n.a = n.a ~ n.a %}{% endfor %}";
        let failed = fact("task.failed", json!({}));
        for template in [
            r#"{{ "x" * 100000000 }}"#,
            doubling,
            "{{ 1/0 }}",
            "{{ data.type | upper }}",
            "{{ data }}",
            "{{ secret.x }}",
            "{{ x",
            "{% if data.a %}",
            "{% if data.a %}{% if data.b %}{% endif %}{% endif %}",
            "{% else %}",
            "{% endif %}",
        ] {
            assert!(check(template).is_err(), "{template}");
            let text = title(&rule(template), &failed, &Group::new(), 1);
            assert_eq!(text, "task-dead-letter: task.failed t-1", "{template}");
        }
    }
}
