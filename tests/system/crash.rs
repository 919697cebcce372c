//! SIGKILL in the middle of a workflow, for each service in turn: the workflow finishes, and every
//! step's effect happens once.

use std::fs;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::{Platform, eventually, signal};

const STEPS: usize = 5;

/// An agent whose every task appends one line to a file and takes a moment.
struct Agent(Child);

impl Agent {
    fn start(platform: &Platform, effects: &str) -> Self {
        // Records its effect under the task's id; the same task again would be a second line.
        let command = format!(
            "id=$(sed -n 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/p'); sleep 0.3; echo \"$id\" >> {effects}; echo '{{\"ok\": true}}'"
        );
        let child = platform
            .reeve(&[
                "agent",
                "run",
                "--capability",
                "note",
                "--name",
                "noter",
                "--exec",
                &command,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the agent starts");
        Self(child)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        signal(self.0.id(), Signal::TERM);
        let _ = self.0.wait();
    }
}

fn workflow() -> String {
    let steps: Vec<_> = (0..STEPS)
        .map(|step| {
            serde_json::json!({
                "id": format!("s{step}"), "type": "STEP_TYPE_TASK", "action": "note",
                "retrySafety": "RETRY_SAFETY_IDEMPOTENT",
            })
        })
        .collect();
    serde_json::json!({"name": "notes", "type": "WORKFLOW_TYPE_SEQUENTIAL", "steps": steps})
        .to_string()
}

#[test]
fn a_killed_service_neither_loses_nor_repeats_a_step() {
    let platform = Platform::start();
    let scratch = platform.scratch("crash");
    let file = scratch.join("notes.json");
    fs::write(&file, workflow()).expect("the definition");
    platform.json(&["workflow", "apply", "--file", &file.display().to_string()]);

    for service in [
        "agent-registry",
        "task-queue",
        "workflow-engine",
        "finance",
        "incident",
    ] {
        let effects = scratch.join(format!("{service}.txt"));
        fs::write(&effects, "").expect("an empty file");
        let agent = Agent::start(&platform, &effects.display().to_string());
        let started = platform.json(&["execution", "start", "notes"]);
        let id = started["execution"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();

        eventually("the first step to be done", || {
            let done = fs::read_to_string(&effects).expect("the effects");
            (!done.is_empty()).then_some(())
        });
        let before = platform.pid_of(service);
        platform.kill(service);
        eventually("the service to be started again", || {
            (platform.pid_of(service) != before).then_some(())
        });

        let ended = eventually("the execution to end", || {
            let output = platform
                .reeve(&["execution", "get", &id, "--output", "json"])
                .output()
                .ok()?;
            let found: Json = serde_json::from_slice(&output.stdout).ok()?;
            let state = found["execution"]["state"].as_str()?.to_owned();
            (state != "EXECUTION_STATE_RUNNING" && state != "EXECUTION_STATE_PENDING")
                .then_some(found)
        });
        assert_eq!(
            ended["execution"]["state"], "EXECUTION_STATE_COMPLETED",
            "{service}: {ended:#}"
        );

        let text = fs::read_to_string(&effects).expect("the effects");
        let lines: Vec<_> = text.lines().collect();
        let distinct: std::collections::BTreeSet<_> = lines.iter().collect();
        assert_eq!(lines.len(), STEPS, "{service}: effects {lines:?}");
        assert_eq!(distinct.len(), STEPS, "{service}: repeated {lines:?}");
        drop(agent);
    }
}
