//! What tasks of one type are about.

use chrono::{DateTime, TimeDelta, Utc};
use reeve_ids::{TaskTypeId, TenantId};
use serde_json::Value as Json;

use super::Effect;

/// How many types a tenant may have beside the built-in ones.
pub const MOST_TYPES: i64 = 200;
/// What the schemas of a tenant may take together, as text: each replica holds them in memory.
pub const MOST_SCHEMA_BYTES: i64 = 1_024 * 1_024;

/// Field of work. The numbers are those at rest and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Category {
    /// Projects, their plans and their progress.
    ProjectManagement = 1,
    /// Writing, reviewing and improving code.
    Development = 2,
    /// Invoices, payments, expenses and budgets.
    Finance = 3,
    /// Planning, writing and running tests, and reviews.
    QualityAssurance = 4,
    /// Building, deploying, configuring and watching.
    Devops = 5,
    /// Vulnerabilities, audits, compliance and incidents.
    Security = 6,
    /// Agents themselves.
    AgentManagement = 7,
    /// Anything else.
    Other = 8,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 8] = [
        Self::ProjectManagement,
        Self::Development,
        Self::Finance,
        Self::QualityAssurance,
        Self::Devops,
        Self::Security,
        Self::AgentManagement,
        Self::Other,
    ];

    /// The number at rest.
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The category that a number stands for.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.number() == number)
    }

    /// The word in events and in the built-in catalogue.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ProjectManagement => "PROJECT_MANAGEMENT",
            Self::Development => "DEVELOPMENT",
            Self::Finance => "FINANCE",
            Self::QualityAssurance => "QUALITY_ASSURANCE",
            Self::Devops => "DEVOPS",
            Self::Security => "SECURITY",
            Self::AgentManagement => "AGENT_MANAGEMENT",
            Self::Other => "OTHER",
        }
    }
}

/// What a tenant's type has beside a built-in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: TaskTypeId,
    /// Grows with every change.
    pub version: i32,
    /// When it was created.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
}

impl Own {
    /// The current etag. It names the type, too: one that was deleted and made anew begins with the
    /// same version, and is another.
    pub fn etag(&self) -> String {
        let id = self.id.uuid().simple().to_string();
        format!("{}-{}", self.version, &id[20..])
    }
}

/// A type of tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskType {
    /// What specs call it.
    pub name: String,
    /// What makes it a tenant's own; nothing for a built-in type.
    pub own: Option<Own>,
    /// Field of work.
    pub category: Category,
    /// For people.
    pub description: String,
    /// What an agent must offer, where the spec does not say.
    pub capability: String,
    /// Longest attempt, where the spec does not say.
    pub start_to_close: Option<TimeDelta>,
    /// JSON Schema of parameters; nothing where all are taken.
    pub schema: Option<Json>,
    /// What it means to run a task twice, where the spec does not say.
    pub effect: Option<Effect>,
}

/// What an update changes: a field that is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Field of work.
    pub category: Option<Category>,
    /// For people.
    pub description: Option<String>,
    /// What an agent must offer; empty for the name in lower case.
    pub capability: Option<String>,
    /// Longest attempt.
    pub start_to_close: Option<Option<TimeDelta>>,
    /// JSON Schema of parameters.
    pub schema: Option<Option<Json>>,
    /// What it means to run a task twice.
    pub effect: Option<Option<Effect>>,
}

impl TaskType {
    /// What an agent must offer by default.
    pub fn default_capability(name: &str) -> String {
        name.to_ascii_lowercase()
    }

    /// Changes it; answers with the names of the fields that are different now.
    pub fn apply(&mut self, changes: Changes) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let name = &self.name;
        let capability = changes.capability.map(|given| {
            if given.is_empty() {
                Self::default_capability(name)
            } else {
                given
            }
        });
        set(
            &mut changed,
            "category",
            &mut self.category,
            changes.category,
        );
        set(
            &mut changed,
            "description",
            &mut self.description,
            changes.description,
        );
        set(&mut changed, "capability", &mut self.capability, capability);
        let timeout = changes.start_to_close;
        set(
            &mut changed,
            "start_to_close_timeout",
            &mut self.start_to_close,
            timeout,
        );
        set(
            &mut changed,
            "parameters_schema",
            &mut self.schema,
            changes.schema,
        );
        set(&mut changed, "effect", &mut self.effect, changes.effect);
        changed
    }
}

fn set<T: PartialEq>(
    changed: &mut Vec<&'static str>,
    name: &'static str,
    field: &mut T,
    value: Option<T>,
) {
    if let Some(value) = value.filter(|value| value != field) {
        *field = value;
        changed.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_those_of_the_contract() {
        for (index, category) in Category::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(category.number()), Ok(index + 1));
            assert_eq!(Category::from_number(category.number()), Some(category));
        }
        assert_eq!(Category::from_number(0), None);
        assert_eq!(Category::from_number(9), None);
    }

    #[test]
    fn a_change_names_what_is_different() {
        let mut kind = TaskType {
            name: "Ship".to_owned(),
            own: None,
            category: Category::Other,
            description: "x".to_owned(),
            capability: "shipping".to_owned(),
            start_to_close: Some(TimeDelta::seconds(5)),
            schema: None,
            effect: Some(Effect::Effectful),
        };
        let changes = Changes {
            category: Some(Category::Devops),
            description: Some("x".to_owned()),
            capability: Some(String::new()),
            start_to_close: Some(None),
            schema: None,
            effect: Some(Some(Effect::ReadOnly)),
        };
        let changed = kind.apply(changes);
        assert_eq!(
            changed,
            ["category", "capability", "start_to_close_timeout", "effect"]
        );
        assert_eq!(
            (kind.capability.as_str(), kind.start_to_close),
            ("ship", None)
        );
    }
}
