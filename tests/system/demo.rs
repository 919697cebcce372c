//! `reeve demo` as a newcomer runs it, twice, on a platform that is there already and on its own.

use std::process::Command;

use crate::harness::{Platform, REEVE, ROOT};

fn demo(home: &std::path::Path) -> String {
    let output = Command::new(REEVE)
        .args(["demo", "--home"])
        .arg(home)
        .current_dir(ROOT)
        .output()
        .expect("reeve runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "the demo ended with {}:\n{text}\n{errors}",
        output.status
    );
    text
}

#[test]
fn the_main_job_twice() {
    let platform = Platform::start();
    for _ in 0..2 {
        let text = demo(&platform.home());
        for part in [
            "ACTIVE",
            "approved the artifact",
            "invoice",
            "PAID",
            "incident opened",
            "post-mortem",
            "What happened",
            "grpcurl",
        ] {
            assert!(text.contains(part), "{part:?} is missing:\n{text}");
        }
    }
    let runs = std::fs::read_dir(platform.home().join("demo"))
        .expect("results")
        .count();
    assert_eq!(runs, 2);
    for run in std::fs::read_dir(platform.home().join("demo")).expect("results") {
        let folder = run.expect("a run").path();
        let pdf = std::fs::read(folder.join("invoice.pdf")).expect("the invoice");
        assert!(pdf.starts_with(b"%PDF-"));
        let applied = std::fs::read_to_string(folder.join("applied/web.yaml")).expect("the change");
        assert!(applied.contains("replicas: 3"));
        let postmortem =
            std::fs::read_to_string(folder.join("postmortem.md")).expect("the post-mortem");
        let cause = "examples/manifests/broken.yaml: Deployment/?: metadata.name is missing";
        assert!(postmortem.contains(cause), "{postmortem}");
    }
    assert_eq!(platform.stop(), Vec::<u32>::new());
}
