//! The title of an incident that a rule opens.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::domain::evidence::cut;
use crate::domain::logged::Fact;
use crate::domain::rule::{Group, Rule};

/// Characters of a title.
const LONGEST: usize = 200;
/// Steps that a template may take: a title needs a few dozen.
const FUEL: u64 = 10_000;

/// Whether a template can be read; else why not.
///
/// # Errors
/// What is wrong with it.
pub fn check(template: &str) -> Result<(), String> {
    environment()
        .template_from_str(template)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The title by a rule's template. A template that fails on this event must not keep the incident
/// from opening, so there is a plain title for that.
pub fn title(rule: &Rule, fact: &Fact, group: &Group, count: i64) -> String {
    let event = context! {
        type => fact.kind.as_str(), source => fact.source.as_str(),
        resource_type => fact.resource_type.as_str(),
        resource_id => fact.resource_id.as_str(),
    };
    let (data, group) = (Value::from(Serde(&fact.data)), Value::from(Serde(group)));
    let known = context! { event, data, group, count };
    let rendered = environment().render_str(&rule.title_template, known);
    let text = rendered.unwrap_or_else(|error| {
        tracing::warn!(rule = %rule.id, %error, "the title's template failed");
        String::new()
    });
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return cut(
            &format!("{}: {} {}", rule.name, fact.kind, fact.resource_id),
            LONGEST,
        );
    }
    cut(&line, LONGEST)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use reeve_ids::TenantId;
    use serde_json::json;

    use super::*;
    use crate::domain::logged::tests::fact;
    use crate::domain::rules_built_in::built_in;

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
                assert!(!text.is_empty() && !text.contains("{{"), "{text}");
            }
        }
    }

    #[test]
    fn a_title_is_one_short_line_whatever_the_template() {
        let rule = |template: &str| Rule {
            title_template: template.into(),
            ..built_in(TenantId::new(), Utc::now()).remove(0)
        };
        let failed = fact("task.failed", json!({"type": "a\nb".repeat(500)}));
        let text = title(&rule("{{ data.type }}"), &failed, &Group::new(), 1);
        assert!(text.chars().count() <= LONGEST && !text.contains('\n'));
        for broken in [
            "{{ 1/0 }}",
            "",
            "{% for i in range(1000000) %}x{% endfor %}",
        ] {
            let text = title(&rule(broken), &failed, &Group::new(), 1);
            assert!(text.starts_with("task-dead-letter: task.failed"), "{text}");
        }
        assert!(check("{{ x").is_err());
    }
}
