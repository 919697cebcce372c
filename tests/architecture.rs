//! The directions in which the parts of Reeve may depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use rules::{EXCEPTIONS, RULES, exception, fault};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const SERVICES: [&str; 5] = [
    "agent-registry",
    "task-queue",
    "workflow-engine",
    "finance",
    "incident",
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
        ("schema", &[]),
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
        ("jsonschema", "libs/schema"),
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
    let mut needed = BTreeSet::new();
    for service in SERVICES {
        let src = PathBuf::from(format!("{ROOT}/services/{service}/src"));
        for rule in &RULES {
            for file in source::files(&src.join(rule.module)) {
                for path in source::paths(&src, &file) {
                    let Some(used) = fault(&path, rule) else {
                        continue;
                    };
                    if let Some(known) = exception(service, rule.module, &used) {
                        needed.insert(known);
                    } else {
                        let module = rule.module;
                        faults.push(format!("{}: {module} uses {used}", file.display()));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (at, (service, module, used, _)) in EXCEPTIONS.iter().enumerate() {
        let idle = "is no exception any more: strike it out";
        assert!(
            needed.contains(&at),
            "{service}: {module} uses {used} {idle}"
        );
    }
}

#[test]
fn the_wire_is_known_at_the_edge_alone() {
    for service in SERVICES {
        let src = PathBuf::from(format!("{ROOT}/services/{service}/src"));
        for file in source::files(&src) {
            let inside = file.strip_prefix(&src).unwrap().with_extension("");
            let module = inside.iter().next().unwrap().to_str().unwrap().to_owned();
            let mut paths = source::paths(&src, &file).into_iter();
            let edge = ["grpc", "clients", "service"].contains(&module.as_str())
                || exception(service, &module, "reeve_contracts").is_some();
            let knows = paths.any(|path| path.starts_with("reeve_contracts::"));
            assert!(edge || !knows, "{} uses reeve_contracts", file.display());
        }
    }
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
        for module in ["domain", "storage", "operations", "grpc", "loops"] {
            let folder = PathBuf::from(format!("{ROOT}/services/{service}/src/{module}"));
            let files = source::files(&folder);
            assert!(!files.is_empty(), "services/{service} has no {module}");
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
