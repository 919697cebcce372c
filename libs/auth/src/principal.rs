//! Who is calling.

use reeve_ids::TenantId;
use serde::{Deserialize, Serialize};

use crate::permissions;

/// The sort of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PrincipalKind {
    /// A person, or a program acting for one.
    User,
    /// An agent.
    Agent,
    /// One of Reeve's own services, acting for a tenant.
    Service,
}

/// An authenticated caller and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant that everything the caller sees and changes belongs to.
    pub tenant_id: TenantId,
    /// The sort of principal.
    pub kind: PrincipalKind,
    /// The stable name: `key:<api key id>` or `service:<name>`.
    pub subject: String,
    /// The name for people, for example the API key's name.
    pub display_name: String,
    /// Patterns: a permission, `resource.*` or `*`.
    pub permissions: Vec<String>,
}

impl Principal {
    /// Whether the principal holds a permission.
    pub fn holds(&self, permission: &str) -> bool {
        if self.kind == PrincipalKind::Service || permission == permissions::SELF {
            return true;
        }
        !permission.starts_with(permissions::INTERNAL)
            && self
                .permissions
                .iter()
                .any(|pattern| permissions::matches(pattern, permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(patterns: &[&str]) -> Principal {
        Principal {
            tenant_id: TenantId::new(),
            kind: PrincipalKind::User,
            subject: "key:1".into(),
            display_name: "test".into(),
            permissions: patterns
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
        }
    }

    #[test]
    fn a_pattern_grants_what_it_says() {
        assert!(user(&["tasks.create"]).holds("tasks.create"));
        assert!(user(&["tasks.*"]).holds("tasks.create"));
        assert!(user(&["*"]).holds("tasks.create"));
        assert!(!user(&["tasks.*"]).holds("agents.create"));
        assert!(!user(&["task.*"]).holds("tasks.create"));
        assert!(!user(&[]).holds("tasks.create"));
    }

    #[test]
    fn no_pattern_grants_what_is_internal() {
        assert!(!user(&["*", "internal.*", "internal.events.read"]).holds("internal.events.read"));
        let service = Principal {
            kind: PrincipalKind::Service,
            ..user(&[])
        };
        assert!(service.holds("internal.events.read"));
    }

    #[test]
    fn everyone_may_ask_who_they_are() {
        assert!(user(&[]).holds(permissions::SELF));
    }
}
