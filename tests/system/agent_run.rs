//! `reeve agent run`: programs that misbehave, agents that are stopped, killed and given up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::{Platform, eventually, signal};

/// A running `reeve agent run`; killed when dropped.
struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    fn start(platform: &Platform, name: &str, more: &[&str], exec: &str) -> Self {
        let log = platform
            .scratch("agents")
            .join(format!("{name}-{}.log", more.len()));
        let file = fs::File::create(&log).expect("a log");
        let child = platform
            .reeve(&["agent", "run", "--name", name, "--exec", exec])
            .args(more)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log twice"))
            .stderr(file)
            .spawn()
            .expect("the agent starts");
        Self { child, log }
    }

    fn says(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    fn ends(&mut self) -> ExitStatus {
        eventually("the agent to end", || {
            self.child.try_wait().expect("a status")
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn create(platform: &Platform, kind: &str) -> String {
    let created = platform.json(&["task", "create", "--type", kind]);
    created["task"]["id"].as_str().expect("an id").to_owned()
}

/// The task, once it is in this state.
fn task_in(platform: &Platform, id: &str, state: &str) -> Json {
    eventually(&format!("the task to be {state}"), || {
        let task = platform.json(&["task", "get", id])["task"].take();
        (task["state"] == format!("TASK_STATE_{state}")).then_some(task)
    })
}

fn agent_named(platform: &Platform, name: &str) -> Option<Json> {
    let mut found = platform.json(&["agent", "list"]);
    let agents = found["agents"].as_array_mut()?;
    agents
        .iter_mut()
        .find(|agent| agent["name"] == name)
        .map(Json::take)
}

fn agent_in(platform: &Platform, name: &str, state: &str) {
    eventually(&format!("the agent to be {state}"), || {
        let agent = agent_named(platform, name)?;
        (agent["state"] == format!("AGENT_STATE_{state}")).then_some(())
    });
}

fn wait_for(path: &Path) -> u32 {
    eventually("the program to begin", || {
        fs::read_to_string(path).ok()?.trim().parse().ok()
    })
}

/// Whether a process is there and is no zombie.
fn is_alive(pid: u32) -> bool {
    let state = if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().unwrap_or_default().to_owned()
    } else {
        let pid = pid.to_string();
        let output = Command::new("ps")
            .args(["-o", "stat=", "-p", &pid])
            .output();
        String::from_utf8(output.expect("ps").stdout).expect("text")
    };
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

#[test]
fn what_a_program_prints_never_stops_its_agent() {
    let platform = Platform::start();
    let scratch = platform.scratch("prints");
    let program = scratch.join("program.sh");
    let script = r#"
        type=$(sed -n 's/.*"type":"\([^"]*\)".*/\1/p')
        case $type in
        large) printf '{"a":[1'; yes ,1 | head -n 900000 | tr -d '\n'; echo ']}' ;;
        refusal)
            text=$(yes 'a long story' | head -n 1000)
            printf '{"error":{"code":"rate-limited","message":"%s","retryable":false},' "$(echo $text)"
            printf '"usage":[{"model":"m","input_tokens":7},{"model":"m","input_tokens":-1}]}'
            exit 1 ;;
        endless) yes ;;
        good) printf '50%% caf\351\n' >&2; echo '{"done": true}' ;;
        esac
    "#;
    fs::write(&program, script).expect("the program");
    let exec = format!("sh {}", program.display());
    let capabilities = ["large", "refusal", "endless", "good"].map(|name| ["--capability", name]);
    let _agent = Agent::start(&platform, "printer", &capabilities.concat(), &exec);

    for (kind, code) in [
        ("large", "RESULT_TOO_LARGE"),
        ("refusal", "RATE_LIMITED"),
        ("endless", "OUTPUT_TOO_LARGE"),
    ] {
        let task = task_in(&platform, &create(&platform, kind), "FAILED");
        assert_eq!(task["error"]["code"], code, "{task:#}");
        assert_eq!(task["attempt"], 1, "{kind} ran once");
    }
    let task = task_in(&platform, &create(&platform, "good"), "COMPLETED");
    assert_eq!(task["result"]["done"], true);

    // What waits for a task learns how it ended.
    let ended = |kind| {
        let create = ["task", "create", "--wait", "--type", kind];
        let output = platform.reeve(&create).output().expect("reeve runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    };
    let (status, said) = ended("good");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("\"done\": true"), "{said}");
    let (status, said) = ended("refusal");
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("RATE_LIMITED"), "{said}");
}

#[test]
fn waiting_outlives_the_connection() {
    let platform = Platform::start();
    let waiting = platform
        .reeve(&[
            "task", "create", "--wait", "--type", "late", "--output", "json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reeve runs");
    eventually("the task to be there", || {
        let found = platform.json(&["task", "list", "--state", "pending"]);
        (found["tasks"].as_array()?.len() == 1).then_some(())
    });
    let before = platform.pid_of("task-queue");
    platform.kill("task-queue");
    eventually("the service to be started again", || {
        (platform.pid_of("task-queue") != before).then_some(())
    });
    let _agent = Agent::start(&platform, "late", &["--capability", "late"], "echo '{}'");
    let output = waiting.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let task: Json = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(task["task"]["state"], "TASK_STATE_COMPLETED");
}

#[test]
fn failures_tell_scripts_and_people_what_is_wrong() {
    let platform = Platform::start();
    let absent = "01900000-0000-7000-8000-000000000000";
    for (arguments, status, words) in [
        (&["task", "get", absent][..], 4, "RESOURCE_NOT_FOUND"),
        (&["task", "get", "nope"], 2, "task_id: "),
        (&["task", "list", "--state", "nix"], 2, "PENDING"),
        (
            &["task", "list", "--api-key", "wrong"],
            5,
            "CREDENTIAL_INVALID",
        ),
    ] {
        let output = platform.reeve(arguments).output().expect("reeve runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let mut unreachable = platform.reeve(&["task", "list"]);
    let output = unreachable.env("REEVE_TASK_QUEUE", "127.0.0.1:1").output();
    let output = output.expect("reeve runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.contains("cannot reach task-queue at 127.0.0.1:1"),
        "{said}"
    );

    // What others wrote cannot speak to the terminal.
    let evil = "a\u{1b}[2Kb\u{202e}c";
    platform.json(&["task", "create", "--type", "evil", "--title", evil]);
    for format in ["table", "json"] {
        let output = platform
            .reeve(&["task", "list", "--output", format])
            .output();
        let said = String::from_utf8(output.expect("reeve runs").stdout).expect("text");
        assert!(said.contains("[2Kb"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    }
}

#[test]
fn an_agent_leaves_in_order_and_its_programs_with_it() {
    let platform = Platform::start();
    let scratch = platform.scratch("leaves");
    let (pid, go) = (scratch.join("pid"), scratch.join("go"));
    // Says who it is, and works until it may end.
    let exec = format!(
        "echo $$ > {pid}.new; mv {pid}.new {pid}; while [ ! -e {go} ]; do sleep 0.05; done; echo '{{}}'",
        pid = pid.display(),
        go = go.display()
    );
    let work = ["--capability", "wait"];

    // Asked once, it finishes what it has, and takes nothing more.
    let mut agent = Agent::start(&platform, "leaver", &work, &exec);
    let task = create(&platform, "wait");
    wait_for(&pid);
    signal(agent.child.id(), Signal::TERM);
    let next = create(&platform, "wait");
    fs::write(&go, "").expect("a sign");
    task_in(&platform, &task, "COMPLETED");
    assert!(agent.ends().success(), "{}", agent.says());
    agent_in(&platform, "leaver", "OFFLINE");
    let waiting = platform.json(&["task", "get", &next]);
    assert_eq!(waiting["task"]["state"], "TASK_STATE_PENDING");

    // Asked twice, it gives back what it has.
    fs::remove_file(&pid).expect("the pid file");
    fs::remove_file(&go).expect("the sign");
    let mut agent = Agent::start(&platform, "leaver", &work, &exec);
    let program = wait_for(&pid);
    signal(agent.child.id(), Signal::TERM);
    eventually("the agent to have heard", || {
        signal(agent.child.id(), Signal::TERM);
        agent.child.try_wait().expect("a status")
    });
    assert!(!is_alive(program));
    let returned = task_in(&platform, &next, "PENDING");
    assert_eq!(returned["lostLeaseCount"], 0, "{returned:#}");

    // A newer process of the same name takes its place, and stays.
    fs::remove_file(&pid).expect("the pid file");
    let mut older = Agent::start(&platform, "leaver", &work, &exec);
    wait_for(&pid);
    fs::remove_file(&pid).expect("the pid file");
    let with = [&work[..], &["--concurrency", "2"]].concat();
    let mut newer = Agent::start(&platform, "leaver", &with, &exec);
    assert!(!older.ends().success());
    assert!(
        older.says().contains("another process has registered"),
        "{}",
        older.says()
    );
    wait_for(&pid);
    fs::write(&go, "").expect("a sign");
    task_in(&platform, &next, "COMPLETED");
    agent_in(&platform, "leaver", "ACTIVE");

    signal(newer.child.id(), Signal::TERM);
    assert!(newer.ends().success(), "{}", newer.says());
    agent_in(&platform, "leaver", "OFFLINE");

    // Killed, it takes its programs with it.
    fs::remove_file(&pid).expect("the pid file");
    fs::remove_file(&go).expect("the sign");
    let mut agent = Agent::start(&platform, "killed", &work, &exec);
    create(&platform, "wait");
    let program = wait_for(&pid);
    agent.child.kill().expect("it is killed");
    eventually("its program to end", || (!is_alive(program)).then_some(()));
}

#[test]
fn a_drained_agent_finishes_what_it_has() {
    let platform = Platform::start();
    let scratch = platform.scratch("drained");
    let (pid, go) = (scratch.join("pid"), scratch.join("go"));
    let exec = format!(
        "echo $$ > {pid}.new; mv {pid}.new {pid}; while [ ! -e {go} ]; do sleep 0.05; done; echo '{{}}'",
        pid = pid.display(),
        go = go.display()
    );
    let mut agent = Agent::start(&platform, "drained", &["--capability", "wait"], &exec);
    let task = create(&platform, "wait");
    wait_for(&pid);
    let id = agent_named(&platform, "drained").expect("it is there")["id"].take();
    let id = id.as_str().expect("an id");
    platform.json(&["agent", "drain", id]);
    // A new task-queue gives it no stream, since it takes no tasks.
    let before = platform.pid_of("task-queue");
    platform.kill("task-queue");
    eventually("the service to be started again", || {
        (platform.pid_of("task-queue") != before).then_some(())
    });
    eventually("the agent to hear that it takes no tasks", || {
        agent.says().contains("no tasks taken").then_some(())
    });
    fs::write(&go, "").expect("a sign");
    let task = task_in(&platform, &task, "COMPLETED");
    assert_eq!(task["attempt"], 1, "{task:#}");
    agent_in(&platform, "drained", "INACTIVE");
    // It stayed, and takes tasks again when it may.
    platform.json(&["agent", "activate", id]);
    let task = create(&platform, "wait");
    task_in(&platform, &task, "COMPLETED");
    signal(agent.child.id(), Signal::TERM);
    assert!(agent.ends().success(), "{}", agent.says());
    agent_in(&platform, "drained", "OFFLINE");
}

#[test]
fn an_agent_that_was_given_up_comes_back() {
    let platform = Platform::start();
    let mut agent = Agent::start(&platform, "sleeper", &["--capability", "wake"], "echo '{}'");
    agent_in(&platform, "sleeper", "ACTIVE");
    // As a laptop that sleeps for longer than its lease.
    signal(agent.child.id(), Signal::STOP);
    agent_in(&platform, "sleeper", "ERROR");
    signal(agent.child.id(), Signal::CONT);
    agent_in(&platform, "sleeper", "ACTIVE");
    let task = create(&platform, "wake");
    task_in(&platform, &task, "COMPLETED");
    signal(agent.child.id(), Signal::TERM);
    assert!(agent.ends().success(), "{}", agent.says());
}
