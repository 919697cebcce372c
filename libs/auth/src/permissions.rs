//! What each RPC demands, as its contract declares it.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Held by every credential: asking who one is.
pub const SELF: &str = "identity.self";

/// Held by Reeve's own services only.
pub const INTERNAL: &str = "internal.";

static REQUIRED: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| reeve_contracts::PERMISSIONS.iter().copied().collect());

/// The permission that an RPC demands, by its path "/package.Service/Method"; nothing for a path
/// that no contract has, which must then be refused as unknown.
pub fn required(path: &str) -> Option<&'static str> {
    REQUIRED
        .get(path)
        .copied()
        .filter(|permission| !permission.is_empty())
}

/// Whether a pattern grants a permission.
pub fn matches(pattern: &str, permission: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && permission.starts_with(prefix),
        None => pattern == permission,
    }
}

/// Whether a text is a pattern that can be granted: `*`, `resource.*` or `resource.verb`, in
/// lower-case words, and nothing internal.
pub fn is_grantable(pattern: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let words = pattern.strip_suffix(".*").unwrap_or(pattern);
    let parts: Vec<_> = words.split('.').collect();
    let well_formed = parts.iter().all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    let complete = pattern.ends_with(".*") || parts.len() >= 2;
    well_formed && complete && parts.first() != Some(&"internal")
}

/// Whether everything that `pattern` grants is also granted by one of `held`: nobody hands on more
/// than they have.
pub fn covers(held: &[String], pattern: &str) -> bool {
    let sample = pattern
        .strip_suffix('*')
        .map_or_else(|| pattern.to_owned(), |p| format!("{p}\0"));
    held.iter().any(|own| matches(own, &sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contracts_is_known() {
        assert_eq!(
            required("/reeve.event.v1.EventFeedService/ReadEvents"),
            Some("internal.events.read")
        );
        assert_eq!(required("/reeve.event.v1.EventFeedService/Nothing"), None);
    }

    #[test]
    fn only_well_formed_patterns_are_grantable() {
        for good in ["*", "tasks.*", "tasks.create", "identity.keys.list"] {
            assert!(is_grantable(good), "{good}");
        }
        for bad in [
            "",
            "tasks",
            "tasks.",
            "Tasks.create",
            "t*",
            "internal.*",
            "internal.x",
            ".*",
        ] {
            assert!(!is_grantable(bad), "{bad}");
        }
    }

    #[test]
    fn nobody_hands_on_more_than_they_have() {
        let held = vec!["tasks.*".to_owned(), "agents.get".to_owned()];
        assert!(covers(&held, "tasks.*") && covers(&held, "tasks.create"));
        assert!(covers(&held, "agents.get"));
        assert!(!covers(&held, "agents.*") && !covers(&held, "*"));
        assert!(covers(&["*".to_owned()], "*"));
    }
}
