//! SIGKILL in the middle of the demo's workflow, for each service in turn: the workflow finishes, and
//! every step's effect happens once, down to its charge, its events and its incident.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::harness::{Platform, REEVE, ROOT, SERVICES, eventually, signal};
use crate::rpc::Rpc;

const GET_EXECUTION: &str = "reeve.workflow.v1.WorkflowService/GetExecution";
const GET_BUDGET: &str = "reeve.finance.v1.BudgetService/GetBudget";
const COSTS: &str = "reeve.finance.v1.UsageService/GetCostSummary";
const LIST_EVENTS: &str = "reeve.event.v1.EventService/ListEvents";
const LIST_INCIDENTS: &str = "reeve.incident.v1.IncidentService/ListIncidents";

/// The demo's three agents, whose every run leaves a line in a file.
struct Fleet {
    agents: Vec<Child>,
    runs: PathBuf,
}

impl Fleet {
    fn start(platform: &Platform, rpc: &Rpc<'_>) -> Self {
        let runs = platform.scratch("crash").join("runs.jsonl");
        fs::write(&runs, "").expect("an empty file");
        // A credential of their own: whose agents proposed a change may not approve it.
        let created = rpc.call(
            "reeve.identity.v1.IdentityService/CreateApiKey",
            &json!({
                "name": "crash agents", "kind": "PRINCIPAL_KIND_AGENT",
                "permissions": ["agents.*", "tasks.work"],
            }),
        );
        let key = created["secret"].as_str().expect("a key");
        let runs_file = runs.display();
        let exec = format!(
            "task=$(cat); printf '%s\\n' \"$task\" >>'{runs_file}'; printf '%s' \"$task\" | '{REEVE}' demo-agent"
        );
        let agent = |role: &str| {
            let name = format!("{role}-crash");
            let arguments = [
                "agent",
                "run",
                "--capability",
                role,
                "--name",
                &name,
                "--concurrency",
                "2",
                "--exec",
                &exec,
            ];
            let mut command = platform.reeve(&arguments);
            command
                .env("REEVE_API_KEY", key)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.spawn().expect("the agent starts")
        };
        let agents = ["lint", "validate", "change"].map(agent).into();
        Self { agents, runs }
    }

    /// Id and type of every task that was run, in order; a task that was run twice is there twice.
    fn runs(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.runs).expect("the runs");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let run = |line: &str| {
            let task: Json = serde_json::from_str(line).expect("a task");
            let field = |name: &str| task[name].as_str().expect(name).to_owned();
            (field("id"), field("type"))
        };
        whole.lines().map(run).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            signal(agent.id(), Signal::TERM);
            let _ = agent.wait();
        }
    }
}

/// One run of the workflow in which one service is killed.
struct Play<'a> {
    platform: &'a Platform,
    rpc: &'a Rpc<'a>,
    fleet: &'a Fleet,
    /// How many tasks had been run before.
    earlier: usize,
    folder: PathBuf,
    project_id: String,
    budget_id: String,
    execution_id: String,
}

impl<'a> Play<'a> {
    fn start(
        platform: &'a Platform,
        rpc: &'a Rpc<'a>,
        fleet: &'a Fleet,
        name: &str,
        manifest: &str,
    ) -> Self {
        let project_id = reeve_ids::ProjectId::new().to_string();
        let budget = rpc.call(
            "reeve.finance.v1.BudgetService/CreateBudget",
            &json!({
                "requestId": name, "name": name,
                "scope": "BUDGET_SCOPE_PROJECT", "scopeId": project_id,
                "limit": {"amount": "5.00", "currencyCode": "USD"},
            }),
        );
        let budget_id = text(&budget["budget"]["id"]);
        let folder = platform.scratch(name);
        let earlier = fleet.runs().len();
        let started = rpc.call(
            "reeve.workflow.v1.WorkflowService/StartExecution",
            &json!({
                "requestId": name, "workflowName": "ship-manifests",
                "input": {
                    "dockerfile": "deploy/Dockerfile", "chart": "helm/reeve",
                    "manifest": manifest, "replicas": 3, "directory": folder,
                },
                "projectId": project_id, "budgetId": budget_id,
            }),
        );
        let execution_id = text(&started["execution"]["id"]);
        Self {
            platform,
            rpc,
            fleet,
            earlier,
            folder,
            project_id,
            budget_id,
            execution_id,
        }
    }

    fn runs(&self) -> Vec<(String, String)> {
        self.fleet.runs().split_off(self.earlier)
    }

    /// Kills a service once the workflow has begun, and long before it can have ended: the manifest's
    /// first attempt always fails.
    fn kill(&self, service: &str) {
        eventually("the manifest's first attempt", || {
            let runs = self.runs();
            runs.iter()
                .any(|(_, action)| action == "validate.manifest")
                .then_some(())
        });
        let before = self.platform.pid_of(service);
        self.platform.kill(service);
        eventually("the service to be started again", || {
            (self.platform.pid_of(service) != before).then_some(())
        });
    }

    fn approve(&self) {
        let request = json!({"executionId": self.execution_id});
        let approval_id = self
            .rpc
            .until("the approval", GET_EXECUTION, &request, |found| {
                let steps = found["status"]["steps"].as_array()?;
                let waits = |step: &&Json| step["state"] == "STEP_STATE_WAITING_APPROVAL";
                let id = steps.iter().find(waits)?["approvalId"].as_str()?;
                Some(id.to_owned())
            });
        let found = self.rpc.call(
            "reeve.workflow.v1.ApprovalService/GetApproval",
            &json!({"approvalId": approval_id}),
        );
        self.rpc.call(
            "reeve.workflow.v1.ApprovalService/DecideApproval",
            &json!({
                "approvalId": approval_id, "decision": "APPROVAL_DECISION_APPROVE",
                "seenDigest": found["approval"]["subjectDigest"],
            }),
        );
    }

    fn end(&self) -> String {
        let request = json!({"executionId": self.execution_id});
        self.rpc
            .until("the execution's end", GET_EXECUTION, &request, |found| {
                let state = found["status"]["state"].as_str()?;
                let goes_on = ["EXECUTION_STATE_PENDING", "EXECUTION_STATE_RUNNING"];
                (!goes_on.contains(&state)).then(|| state.to_owned())
            })
    }

    /// Each task was run once, charged once and told of once, and nothing is held any more.
    fn require_once(&self, expected: &[(&str, usize)]) {
        let runs = self.runs();
        let mut counts = BTreeMap::<&str, usize>::new();
        for (_, action) in &runs {
            *counts.entry(action).or_default() += 1;
        }
        assert_eq!(counts, expected.iter().copied().collect(), "{runs:#?}");
        let once: BTreeMap<String, u64> = runs.iter().map(|(id, _)| (id.clone(), 1)).collect();
        assert_eq!(once.len(), runs.len(), "a task was run twice: {runs:#?}");

        let costs = json!({"projectId": self.project_id, "dimension": "COST_DIMENSION_TASK"});
        let charged = self.rpc.until("all charges", COSTS, &costs, |found| {
            let rows = found["rows"].as_array()?;
            (rows.len() >= once.len()).then(|| rows.iter().map(charges).collect())
        });
        assert_eq!(once, charged, "charges of each task");

        let budget = json!({"budgetId": self.budget_id});
        self.rpc
            .until("the holds to end", GET_BUDGET, &budget, |found| {
                is_zero(&found["budget"]["reserved"]).then_some(())
            });
        let told = eventually("all events", || {
            let told = self.events_of(&once);
            (told.len() >= once.len()).then_some(told)
        });
        assert_eq!(once, told, "events of the ends of each task");
    }

    /// How many events tell of the end of each of these tasks.
    fn events_of(&self, tasks: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let page = self.rpc.call(
                LIST_EVENTS,
                &json!({
                    "filter": {"types": ["task.completed", "task.failed"]},
                    "pageSize": 1000, "pageToken": page_token,
                }),
            );
            for logged in page["events"].as_array().into_iter().flatten() {
                let id = text(&logged["event"]["resourceId"]);
                if tasks.contains_key(&id) {
                    *counts.entry(id).or_default() += 1;
                }
            }
            page_token = page["nextPageToken"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if page_token.is_empty() {
                return counts;
            }
        }
    }

    fn incidents(&self) -> Vec<Json> {
        let request = json!({"filter": {"projectId": self.project_id}});
        let found = self.rpc.call(LIST_INCIDENTS, &request);
        found["incidents"].as_array().cloned().unwrap_or_default()
    }
}

fn text(json: &Json) -> String {
    json.as_str().expect("a text").to_owned()
}

/// The key of a row of costs, and how many charges it adds up.
fn charges(row: &Json) -> (String, u64) {
    // protobuf's JSON writes 64-bit numbers as texts.
    let count = row["recordCount"]
        .as_str()
        .and_then(|count| count.parse().ok());
    (text(&row["key"]), count.unwrap_or_default())
}

fn is_zero(money: &Json) -> bool {
    let amount = money["amount"].as_str().unwrap_or_default();
    amount.trim_matches(['0', '.']).is_empty()
}

#[test]
fn a_killed_service_neither_loses_nor_repeats_a_step() {
    let platform = Platform::start();
    let rpc = Rpc::new(&platform);
    platform.json(&[
        "workflow",
        "apply",
        "--file",
        &format!("{ROOT}/examples/workflows/ship-manifests.json"),
    ]);
    rpc.call(
        "reeve.finance.v1.RateCardService/CreateRateCard",
        &json!({
            "name": "crash", "currencyCode": "USD",
            "modelPrices": [{
                "provider": "reeve-demo", "model": "rules",
                "input": {"amount": "150.00", "perUnits": "1000000"},
                "output": {"amount": "600.00", "perUnits": "1000000"},
            }],
            "resourcePrices": [{
                "resource": "agent_seconds",
                "unitPrice": {"amount": "360.00", "perUnits": "3600"},
            }],
        }),
    );
    let fleet = Fleet::start(&platform, &rpc);
    for service in SERVICES {
        finishes_without(service, &platform, &rpc, &fleet);
        fails_without(service, &platform, &rpc, &fleet);
    }
}

/// The sound manifest: checks, a retry, an approval, and the change applied.
fn finishes_without(service: &str, platform: &Platform, rpc: &Rpc<'_>, fleet: &Fleet) {
    let name = format!("sound-{service}");
    let play = Play::start(platform, rpc, fleet, &name, "examples/manifests/web.yaml");
    play.kill(service);
    play.approve();
    assert_eq!(play.end(), "EXECUTION_STATE_COMPLETED", "{service}");
    play.require_once(&[
        ("lint.dockerfile", 1),
        ("validate.chart", 1),
        ("validate.manifest", 2),
        ("change.propose", 1),
        ("change.apply", 1),
    ]);
    let applied = fs::read_to_string(play.folder.join("applied/web.yaml")).expect("the change");
    assert!(applied.contains("replicas: 3"), "{applied}");
    assert!(play.incidents().is_empty(), "{service}");
}

/// The broken manifest: its retries are used up, and an incident opens.
fn fails_without(service: &str, platform: &Platform, rpc: &Rpc<'_>, fleet: &Fleet) {
    let name = format!("broken-{service}");
    let play = Play::start(
        platform,
        rpc,
        fleet,
        &name,
        "examples/manifests/broken.yaml",
    );
    play.kill(service);
    assert_eq!(play.end(), "EXECUTION_STATE_FAILED", "{service}");
    play.require_once(&[
        ("lint.dockerfile", 1),
        ("validate.chart", 1),
        ("validate.manifest", 3),
    ]);
    let incidents = eventually("the incident", || {
        Some(play.incidents()).filter(|incidents| !incidents.is_empty())
    });
    assert_eq!(incidents.len(), 1, "{service}: {incidents:#?}");
    assert_eq!(incidents[0]["signalCount"], "1", "{service}");
}
