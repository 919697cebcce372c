//! What a module of a service may use, and what is excepted from that.

/// What the files of one module of a service may use.
pub struct Rule {
    pub module: &'static str,
    /// Other modules of the service.
    modules: Names,
    /// Crates of this workspace and others.
    crates: Names,
}

pub enum Names {
    /// Of Reeve's, these alone.
    Only(&'static [&'static str]),
    /// Whatever is not one of these.
    AllBut(&'static [&'static str]),
}

impl Names {
    fn allow(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(&name),
            Self::AllBut(names) => !names.contains(&name),
        }
    }
}

/// Everything points inwards: grpc and loops to operations, operations to storage, storage to the
/// domain. The wire's messages are known where they are parsed, rendered and sent, and nowhere else.
pub const RULES: [Rule; 6] = [
    Rule {
        module: "domain",
        modules: Names::Only(&["domain"]),
        crates: Names::Only(&["reeve_ids", "reeve_money", "reeve_schema"]),
    },
    Rule {
        module: "storage",
        modules: Names::Only(&["domain", "storage", "error"]),
        crates: Names::Only(&[
            "reeve_ids",
            "reeve_money",
            "reeve_postgres",
            "reeve_events",
            "reeve_status",
            "reeve_auth",
        ]),
    },
    Rule {
        module: "operations",
        modules: Names::AllBut(&["grpc", "loops", "service", "clients"]),
        crates: Names::AllBut(&["reeve_contracts", "tonic", "prost", "prost_types"]),
    },
    Rule {
        module: "loops",
        modules: Names::AllBut(&["grpc", "service", "clients", "storage"]),
        crates: Names::AllBut(&["reeve_contracts", "prost", "prost_types"]),
    },
    Rule {
        module: "clients",
        modules: Names::AllBut(&["grpc", "loops", "service", "operations"]),
        crates: Names::AllBut(&["sqlx", "reeve_postgres", "reeve_redis"]),
    },
    Rule {
        module: "grpc",
        modules: Names::AllBut(&["loops", "service"]),
        crates: Names::AllBut(&["sqlx"]),
    },
];

/// What the rules forbid and one service does all the same: service, module, what it uses, and why.
pub const EXCEPTIONS: [(&str, &str, &str, &str); 12] = [
    (
        "agent-registry",
        "loops",
        "crate::storage",
        "reports and forgotten request ids are written in batches, without a verb of their own",
    ),
    (
        "agent-registry",
        "loops",
        "prost_types",
        "data of an event is a Struct, which its reader takes apart",
    ),
    (
        "finance",
        "loops",
        "crate::storage",
        "a consumer's handler turns errors of the store into those of its transaction",
    ),
    (
        "incident",
        "loops",
        "crate::clients",
        "events of other services are parsed where they are read",
    ),
    (
        "incident",
        "operations",
        "crate::clients",
        "evidence is asked for outside any transaction, between two of them",
    ),
    (
        "task-queue",
        "loops",
        "crate::clients",
        "admission tells what finance refused from what it could not answer",
    ),
    (
        "task-queue",
        "loops",
        "crate::storage",
        "sweeps read in bulk what is due, and hand it to lanes and queues",
    ),
    (
        "workflow-engine",
        "domain",
        "std::thread",
        "a deep expression is evaluated on a stack of its own; its result depends on nothing else",
    ),
    (
        "workflow-engine",
        "loops",
        "crate::clients",
        "news of tasks is picked by the origin that the client gave them",
    ),
    (
        "workflow-engine",
        "loops",
        "reeve_contracts",
        "events are handed over as the message that they travel in",
    ),
    (
        "workflow-engine",
        "operations",
        "crate::clients",
        "the relay of commands is the verb that calls task-queue",
    ),
    (
        "workflow-engine",
        "operations",
        "reeve_contracts",
        "events are handed over as the message that they travel in",
    ),
];

/// What the domain must not know: crates with effects, and what reads the world or the clock.
const EFFECTS: [&str; 20] = [
    "sqlx",
    "tonic",
    "redis",
    "tokio",
    "futures",
    "prost",
    "prost_types",
    "rand",
    "tracing",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "Utc::now",
    "Local::now",
    "Uuid::now_v7",
];

/// What a path uses that the rule forbids.
pub fn fault(path: &str, rule: &Rule) -> Option<String> {
    let mut names = path.split("::");
    let first = names.next()?;
    if first == "crate" {
        let next = names.next()?;
        let inward =
            next == rule.module || next.starts_with(char::is_uppercase) || rule.modules.allow(next);
        return (!inward).then(|| format!("crate::{next}"));
    }
    let ours = first.starts_with("reeve_");
    let strange = match rule.crates {
        Names::Only(_) => ours && !rule.crates.allow(first),
        Names::AllBut(_) => !rule.crates.allow(first),
    };
    if strange {
        return Some(first.to_owned());
    }
    let pure = rule.module == "domain";
    let effect = EFFECTS.iter().find(|effect| within(path, effect));
    effect.filter(|_| pure).map(|effect| (*effect).to_owned())
}

/// Whether the names of `part` stand one after the other in `path`; a crate stands at its beginning.
fn within(path: &str, part: &str) -> bool {
    let wrapped = |text: &str| format!("::{text}::");
    if part.contains("::") {
        wrapped(path).contains(&wrapped(part))
    } else {
        wrapped(path).starts_with(&wrapped(part))
    }
}

/// Which exception allows it.
pub fn exception(service: &str, module: &str, used: &str) -> Option<usize> {
    EXCEPTIONS
        .iter()
        .position(|known| (known.0, known.1, known.2) == (service, module, used))
}

#[test]
fn the_rules_find_what_they_forbid() {
    let found = |module: &str, path: &str| {
        let rule = RULES.iter().find(|rule| rule.module == module);
        fault(path, rule.expect("a rule")).is_some()
    };
    for (module, path) in [
        ("domain", "crate::grpc::render"),
        ("domain", "sqlx::query"),
        ("domain", "reeve_clock::Clock"),
        ("domain", "chrono::Utc::now"),
        ("domain", "Utc::now"),
        ("domain", "std::time::Instant::now"),
        ("storage", "crate::operations::Context"),
        ("operations", "crate::grpc::parse"),
        ("operations", "reeve_contracts::task::v1::Task"),
        ("loops", "crate::storage::rows"),
        ("clients", "crate::operations::Context"),
        ("grpc", "sqlx::query"),
    ] {
        assert!(found(module, path), "{module} may use {path}");
    }
    for (module, path) in [
        ("domain", "crate::domain::State"),
        ("domain", "reeve_ids::TaskId"),
        ("domain", "chrono::Utc"),
        ("domain", "std::time::Duration"),
        ("storage", "crate::Error"),
        ("operations", "crate::lanes::Create"),
        ("loops", "reeve_runtime::Loop"),
        ("grpc", "reeve_contracts::task::v1::Task"),
    ] {
        assert!(!found(module, path), "{module} may not use {path}");
    }
}
