//! Starting and stopping the platform, and what it does when a part of it dies.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Platform, REEVE, ROOT, eventually, signal};

#[test]
fn starts_says_where_and_leaves_nothing_behind() {
    let platform = Platform::start();
    let caller = platform.json(&["key", "whoami"]);
    assert_eq!(caller["principal"]["kind"], "PRINCIPAL_KIND_USER");

    // A second start on the same folder says who runs it, and changes nothing.
    let second = Command::new(REEVE)
        .args(["up", "--home"])
        .arg(platform.home())
        .current_dir(ROOT)
        .output()
        .expect("reeve runs");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("already"), "{said}");
    platform.json(&["key", "whoami"]);

    platform.stop();
}

#[test]
fn the_env_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let platform = Platform::start();
    for name in ["env", "secrets.json"] {
        let mode = fs::metadata(platform.home().join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

#[test]
fn a_postgres_that_dies_is_told_of_and_started_again() {
    let platform = Platform::start();
    let pid_file = platform.home().join("servers/postgres/postmaster.pid");
    let postmaster = || -> Option<u32> {
        let text = fs::read_to_string(&pid_file).ok()?;
        text.lines().next()?.trim().parse().ok()
    };
    let before = postmaster().expect("PostgreSQL runs");
    signal(before, Signal::QUIT);
    eventually("another PostgreSQL", || {
        postmaster().filter(|pid| *pid != before)
    });
    eventually("an answer", || answers(&platform).then_some(()));
    let said = platform.said();
    assert!(said.contains("PostgreSQL ended by itself"), "{said}");
    platform.stop();
}

/// Only Linux still has a program whose file is gone.
#[cfg(target_os = "linux")]
#[test]
fn a_service_that_dies_after_a_rebuild_is_started_again() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let program = folder.path().join("reeve");
    // A second name for the file, since writing a copy would hinder its start while a test beside
    // this one starts a process.
    fs::hard_link(REEVE, &program).expect("a link");
    let platform = Platform::start_with(&program);
    fs::remove_file(&program).expect("the name is removed");

    let before = platform.pid_of("agent-registry");
    platform.kill("agent-registry");
    eventually("another agent-registry", || {
        (platform.pid_of("agent-registry") != before).then_some(())
    });
    eventually("an answer", || answers(&platform).then_some(()));
    platform.stop();
}

fn answers(platform: &Platform) -> bool {
    let output = platform.reeve(&["key", "whoami"]).output();
    output.expect("reeve runs").status.success()
}
