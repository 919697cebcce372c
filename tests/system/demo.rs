//! `reeve demo` as a newcomer runs it: on a platform that is there already, on its own, and ended in
//! the middle.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::harness::{
    Platform, REEVE, ROOT, eventually, next_offset, open_folder, require_gone, signal,
};
use crate::processes::{Processes, tree};

/// A running demo and what it has printed.
struct Demo {
    child: Child,
    log: std::path::PathBuf,
    /// Every process that was seen to descend from it.
    processes: Processes,
}

impl Demo {
    fn start(home: &Path, log: &Path) -> Self {
        let file = File::create(log).expect("a log");
        // A demo below nohup rightly takes no notice of its terminal's end; this one shall.
        let child = Command::new("env")
            .args(["--default-signal=HUP", REEVE])
            .args(["demo", "--port-offset", &next_offset().to_string()])
            .arg("--home")
            .arg(home)
            .current_dir(ROOT)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log twice"))
            .stderr(file)
            .spawn()
            .expect("reeve starts");
        Self {
            child,
            log: log.to_owned(),
            processes: Processes::new(),
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("what it said")
    }

    /// Looks who is there now.
    fn look(&mut self) {
        self.processes.extend(tree(self.child.id()));
    }

    /// Waits for a text.
    fn reach(&mut self, text: &str) {
        eventually(text, || {
            self.look();
            let ended = self.child.try_wait().expect("its status");
            assert!(ended.is_none(), "it ended:\n{}", self.said());
            self.said().contains(text).then_some(())
        });
    }

    fn end(&mut self) -> std::process::ExitStatus {
        eventually("the demo's end", || {
            self.look();
            self.child.try_wait().expect("its status")
        })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn run(home: &Path, log: &Path) -> Demo {
    let mut demo = Demo::start(home, log);
    let status = demo.end();
    let said = demo.said();
    assert!(status.success(), "the demo ended with {status}:\n{said}");
    for part in [
        "ACTIVE",
        "approved the artifact",
        "invoice",
        "PAID",
        "incident opened",
        "post-mortem",
        "What happened",
        "5 tasks done in 6 attempts, retries: 1, skipped steps: 1, approvals: 1",
        "for 6 attempts",
        "FAILED: manifest after attempt 3 of 3, MANIFEST_INVALID",
        "CLOSED: acknowledged, resolved, root cause named, verified",
        "grpcurl",
    ] {
        assert!(said.contains(part), "{part:?} is missing:\n{said}");
    }
    demo
}

fn require_results(home: &Path, runs: usize) {
    let folders: Vec<_> = fs::read_dir(home.join("demo"))
        .expect("results")
        .map(|run| run.expect("a run").path())
        .collect();
    assert_eq!(folders.len(), runs);
    for folder in folders {
        let pdf = fs::read(folder.join("invoice.pdf")).expect("the invoice");
        assert!(pdf.starts_with(b"%PDF-"));
        let applied = fs::read_to_string(folder.join("applied/web.yaml")).expect("the change");
        assert!(applied.contains("replicas: 3"));
        let postmortem = fs::read_to_string(folder.join("postmortem.md")).expect("the post-mortem");
        let cause = "examples/manifests/broken.yaml: Deployment/?: metadata.name is missing";
        assert!(postmortem.contains(cause), "{postmortem}");
    }
}

#[test]
fn the_main_job_twice_on_a_platform_that_runs() {
    let platform = Platform::start();
    let log = platform.scratch("demo").join("log");
    for _ in 0..2 {
        let demo = run(&platform.home(), &log);
        require_gone(&demo.processes);
    }
    require_results(&platform.home(), 2);
    platform.stop();
}

#[test]
fn on_its_own_it_starts_everything_and_leaves_nothing_running() {
    let folder = open_folder();
    let home = folder.path().join("home");
    let demo = run(&home, &folder.path().join("log"));
    // The demo, five services, two servers with a shell each, three agents, and what these started.
    assert!(demo.processes.len() > 13, "{:?}", demo.processes);
    require_gone(&demo.processes);
    require_results(&home, 1);
}

#[test]
fn killed_or_left_by_its_terminal_it_leaves_nothing_running() {
    let folder = open_folder();
    let home = folder.path().join("home");
    for ending in [Signal::KILL, Signal::HUP] {
        let mut demo = Demo::start(&home, &folder.path().join("log"));
        demo.reach("execution ");
        if ending == Signal::KILL {
            // It starts nothing between the last look and its end.
            signal(demo.child.id(), Signal::STOP);
            demo.look();
        }
        signal(demo.child.id(), ending);
        let status = demo.end();
        if ending == Signal::HUP {
            assert_eq!(status.code(), Some(1), "{}", demo.said());
            assert!(demo.said().contains("interrupted"), "{}", demo.said());
        }
        assert!(demo.processes.len() > 10, "{:?}", demo.processes);
        require_gone(&demo.processes);
    }
}
