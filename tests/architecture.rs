//! The directions in which the parts of Reeve may depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const SERVICES: [&str; 5] = [
    "agent-registry",
    "task-queue",
    "workflow-engine",
    "finance",
    "incident",
];

/// What the modules of a service may use of Reeve: other modules of the service, and crates.
/// `domain` is pure: beside ids and money it sees values only.
const MODULES: [(&str, &[&str], &[&str]); 2] = [
    ("domain", &["domain"], &["reeve_ids", "reeve_money"]),
    (
        "storage",
        &["domain", "storage", "error"],
        &[
            "reeve_ids",
            "reeve_money",
            "reeve_postgres",
            "reeve_events",
            "reeve_status",
            "reeve_auth",
        ],
    ),
];

/// Crates that bring effects, which the domain must not know.
const EFFECTS: [&str; 8] = [
    "sqlx",
    "tonic",
    "redis",
    "tokio",
    "futures",
    "prost_types",
    "reeve_clock",
    "reeve_contracts",
];

#[test]
fn no_service_depends_on_another() {
    for service in SERVICES {
        let own = format!("reeve-{service}");
        let all = SERVICES.map(|other| format!("reeve-{other}"));
        let found: Vec<_> = dependencies(&format!("services/{service}"))
            .into_iter()
            .filter(|name| *name != own && all.contains(name))
            .collect();
        assert!(found.is_empty(), "{service} depends on {found:?}");
    }
}

#[test]
fn no_library_depends_on_a_service() {
    for entry in fs::read_dir(format!("{ROOT}/libs")).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        let services = SERVICES.map(|service| format!("reeve-{service}"));
        let found: Vec<_> = dependencies(&format!("libs/{folder}"))
            .into_iter()
            .filter(|name| services.contains(name))
            .collect();
        assert!(found.is_empty(), "libs/{folder} depends on {found:?}");
    }
}

#[test]
fn libraries_have_no_cycles_and_plain_ones_stay_plain() {
    let plain: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("ids", &[][..]),
        ("clock", &[]),
        ("wellknown", &[]),
        ("contracts", &[]),
        ("status", &[]),
        ("money", &[]),
        ("launcher", &[]),
        ("postgres", &["reeve-ids", "reeve-status"]),
    ]);
    for (library, allowed) in plain {
        let found: Vec<_> = dependencies(&format!("libs/{library}"))
            .into_iter()
            .filter(|name| name.starts_with("reeve-") && !allowed.contains(&name.as_str()))
            .collect();
        assert!(found.is_empty(), "libs/{library} depends on {found:?}");
    }
}

#[test]
fn heavy_crates_live_in_one_place_each() {
    for (heavy, home) in [
        ("cel", "services/workflow-engine"),
        ("jsonschema", "services/workflow-engine"),
        ("minijinja", "services/incident"),
        ("krilla", "services/finance"),
    ] {
        for manifest in manifests() {
            let folder = manifest.strip_prefix(ROOT).unwrap().parent().unwrap();
            let folder = folder.display().to_string();
            if dependencies(folder.trim_start_matches('/')).contains(heavy) {
                assert!(
                    folder.ends_with(home),
                    "{heavy} is in {folder}, beside {home}"
                );
            }
        }
    }
}

#[test]
fn modules_look_inwards_only() {
    let mut faults = Vec::new();
    for service in SERVICES {
        for (module, modules, crates) in MODULES {
            let folder = format!("{ROOT}/services/{service}/src/{module}");
            for file in rust_files(Path::new(&folder)) {
                let text = fs::read_to_string(&file).unwrap();
                for path in used_paths(&text) {
                    if let Some(fault) = fault(&path, module, modules, crates) {
                        faults.push(format!("{}: {fault}", file.display()));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every path that `use` declarations name, with groups taken apart: `a::{b, c::d}` is `a::b` and
/// `a::c::d`.
fn used_paths(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let code: String = lines
        .filter(|line| !line.starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ");
    let declarations = code.split(';').filter_map(|part| {
        let start = part.rfind("use ")?;
        let alone = start == 0 || part[..start].ends_with([' ', '}', ']']);
        alone.then(|| part[start + 4..].replace(' ', ""))
    });
    declarations
        .flat_map(|declaration| apart(&declaration))
        .collect()
}

fn apart(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else {
        return vec![path.to_owned()];
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (position, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts
        .flat_map(|part| apart(&format!("{head}{part}")))
        .collect()
}

fn fault(path: &str, module: &str, modules: &[&str], crates: &[&str]) -> Option<String> {
    let mut names = path.split("::");
    let first = names.next()?;
    if first == "crate" {
        let next = names.next()?;
        let inward = modules.contains(&next) || next.starts_with(char::is_uppercase);
        return (!inward).then(|| format!("{module} uses crate::{next}"));
    }
    let foreign = first.starts_with("reeve_") && !crates.contains(&first);
    let effect = module == "domain" && EFFECTS.contains(&first);
    (foreign || effect).then(|| format!("{module} uses {first}"))
}

#[test]
fn groups_of_uses_are_taken_apart() {
    let text = "use crate::{\n    domain::{A, b::C},\n    grpc,\n};\npub use sqlx::PgPool;\n";
    let expected = [
        "crate::domain::A",
        "crate::domain::b::C",
        "crate::grpc",
        "sqlx::PgPool",
    ];
    assert_eq!(used_paths(text), expected);
    assert!(fault("crate::grpc", "domain", &["domain"], &[]).is_some());
    assert!(fault("sqlx::PgPool", "domain", &["domain"], &[]).is_some());
    assert!(fault("crate::domain::A", "domain", &["domain"], &[]).is_none());
}

#[test]
fn every_service_has_the_same_shape() {
    for service in SERVICES {
        for name in [
            "README.md",
            "config.default.toml",
            "migrations",
            "src/lib.rs",
            "src/config.rs",
            "src/service.rs",
            "src/error.rs",
            "src/metrics.rs",
            "src/domain",
            "src/storage",
            "src/operations",
            "src/grpc",
            "src/loops",
            "tests/api/main.rs",
        ] {
            let path = format!("{ROOT}/services/{service}/{name}");
            assert!(
                Path::new(&path).exists(),
                "services/{service} has no {name}"
            );
        }
    }
}

fn manifests() -> Vec<PathBuf> {
    let folders =
        ["libs", "services"].map(|folder| fs::read_dir(format!("{ROOT}/{folder}")).unwrap());
    let mut found: Vec<_> = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("Cargo.toml"))
        .filter(|path| path.exists())
        .collect();
    found.extend(
        ["reeve", "benches"].map(|folder| PathBuf::from(format!("{ROOT}/{folder}/Cargo.toml"))),
    );
    found
}

/// Names in the [dependencies] of a manifest.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(format!("{ROOT}/{folder}/Cargo.toml")).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                rust_files(&path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}
