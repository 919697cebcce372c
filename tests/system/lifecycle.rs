//! Starting and stopping the platform.

use std::process::Command;

use crate::harness::{Platform, REEVE, ROOT};

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

    assert_eq!(platform.stop(), Vec::<u32>::new());
}

#[test]
fn the_env_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let platform = Platform::start();
    for name in ["env", "secrets.json"] {
        let mode = std::fs::metadata(platform.home().join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}
