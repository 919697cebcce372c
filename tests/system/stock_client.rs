//! A stock Python gRPC client, which knows the contracts by reflection alone, does an agent's work.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Platform, ROOT};

/// An environment with the client's packages, kept between runs.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stock-client-1");
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    if !ready.exists() {
        let requirements = format!("{ROOT}/tests/python/requirements.txt");
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
            "make a Python environment",
        );
        run(
            Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r", &requirements]),
            "install the Python packages of tests/python/requirements.txt",
        );
        std::fs::write(&ready, "").expect("the environment is kept");
    }
    python
}

fn run(command: &mut Command, what: &str) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot {what} (scripts/setup.sh --tests helps): {error}"));
    assert!(
        output.status.success(),
        "cannot {what} (scripts/setup.sh --tests helps): {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn registers_creates_leases_and_completes() {
    let platform = Platform::start();
    let output = Command::new(python())
        .arg(format!("{ROOT}/tests/python/stock_client.py"))
        .env("REEVE_API_KEY", platform.variable("REEVE_API_KEY"))
        .env(
            "REEVE_AGENT_REGISTRY",
            platform.variable("REEVE_AGENT_REGISTRY"),
        )
        .env("REEVE_TASK_QUEUE", platform.variable("REEVE_TASK_QUEUE"))
        .output()
        .expect("python runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("completed exactly once"), "{text}");
}
