//! What a client publishes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::canonical::{Digest, digest};
use super::words::words;

words! {
    /// How steps are ordered where they do not say so themselves.
    WorkflowType {
        /// As written.
        Sequential = "SEQUENTIAL",
        /// By dependencies only.
        Parallel = "PARALLEL",
        /// By dependencies, with conditions.
        Conditional = "CONDITIONAL",
        /// By dependencies, over several agents.
        Collaborative = "COLLABORATIVE",
        /// By dependencies, with fallbacks.
        ErrorHandling = "ERROR_HANDLING",
        /// Not supported yet.
        Loop = "LOOP",
        /// Not supported yet.
        MapReduce = "MAP_REDUCE",
    }

    /// What a step does.
    StepType {
        /// A task for an agent.
        Task = "TASK",
        /// A decision of a person.
        Approval = "APPROVAL",
        /// Expressions.
        Transform = "TRANSFORM",
        /// Not supported yet.
        Wait = "WAIT",
        /// Not supported yet.
        Workflow = "WORKFLOW",
    }

    /// What a step's dependencies must have come to.
    TriggerRule {
        /// Every one succeeded.
        AllSucceeded = "ALL_SUCCEEDED",
        /// Every one ended.
        AllEnded = "ALL_ENDED",
        /// Every one ended, one succeeded.
        AnySucceeded = "ANY_SUCCEEDED",
    }

    /// Whether an attempt with an unknown outcome may be repeated.
    RetrySafety {
        /// It may.
        Idempotent = "IDEMPOTENT",
        /// Not supported yet.
        VerifyFirst = "VERIFY_FIRST",
        /// It may not.
        Never = "NEVER",
    }
}

/// When a failed attempt is followed by another. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Delay before the second attempt.
    pub initial_delay_ms: u64,
    /// Growth of the delay.
    pub multiplier: f64,
    /// Longest delay.
    pub max_delay_ms: u64,
    /// Share of the delay that chance may take away.
    pub jitter: f64,
    /// Classes and codes that are retried; empty means the default ones.
    pub retry_on: Vec<String>,
    /// Classes and codes that are not.
    pub never_on: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_delay_ms: 1_000,
            multiplier: 2.0,
            max_delay_ms: 60_000,
            jitter: 0.2,
            retry_on: Vec::new(),
            never_on: Vec::new(),
        }
    }
}

/// An exact amount in one currency, passed on to task-queue as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Plain decimal.
    pub amount: String,
    /// ISO 4217.
    pub currency_code: String,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name within the workflow.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it does.
    pub kind: StepType,
    /// Type of the task.
    pub action: String,
    /// The only agent that may do it.
    pub agent_id: String,
    /// What the agent must offer; empty means the action.
    pub capability: String,
    /// Parameters, with expressions.
    pub input: Map<String, Value>,
    /// Settings by step type.
    pub config: Map<String, Value>,
    /// Time for one attempt, or for the decision.
    pub timeout_ms: Option<u64>,
    /// Attempts after the first.
    pub retries: u32,
    /// When they follow.
    pub retry_policy: Option<RetryPolicy>,
    /// Whether its failure counts as success to others.
    pub continue_on_error: bool,
    /// Steps that must end first.
    pub dependencies: Vec<String>,
    /// What they must have come to.
    pub trigger_rule: TriggerRule,
    /// The step that runs when this one fails.
    pub on_failure: String,
    /// Condition; empty means true.
    pub when: String,
    /// Output by name; empty means the result.
    pub outputs: BTreeMap<String, String>,
    /// The approval that its artifact needs.
    pub requires_approval: String,
    /// Name of the input that is the artifact.
    pub approved_input: String,
    /// What an attempt may cost.
    pub budget_amount: Option<Amount>,
    /// Whether it may be repeated blindly.
    pub retry_safety: RetrySafety,
}

impl Step {
    /// A step with nothing but an id, for tests and for parsing into.
    pub fn new(id: impl Into<String>, kind: StepType) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            description: String::new(),
            kind,
            action: String::new(),
            agent_id: String::new(),
            capability: String::new(),
            input: Map::new(),
            config: Map::new(),
            timeout_ms: None,
            retries: 0,
            retry_policy: None,
            continue_on_error: false,
            dependencies: Vec::new(),
            trigger_rule: TriggerRule::AllSucceeded,
            on_failure: String::new(),
            when: String::new(),
            outputs: BTreeMap::new(),
            requires_approval: String::new(),
            approved_input: String::new(),
            budget_amount: None,
            retry_safety: RetrySafety::Idempotent,
        }
    }

    /// What an agent must offer to do it.
    pub fn needed_capability(&self) -> &str {
        if self.capability.is_empty() {
            &self.action
        } else {
            &self.capability
        }
    }

    /// Name of the input that must be what was approved.
    pub fn artifact_input(&self) -> &str {
        if self.approved_input.is_empty() {
            "artifact"
        } else {
            &self.approved_input
        }
    }

    /// How many attempts it may have.
    pub fn max_attempts(&self) -> u32 {
        self.retries + 1
    }

    /// A flag of its config; absent is false.
    pub fn flag(&self, name: &str) -> bool {
        self.config
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }
}

/// A definition, before or after validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Unique in the tenant.
    pub name: String,
    /// How steps are ordered.
    pub kind: WorkflowType,
    /// What it is for.
    pub description: String,
    /// Notes about agents.
    pub agents: Map<String, Value>,
    /// The nodes.
    pub steps: Vec<Step>,
    /// Settings for tools.
    pub config: Map<String, Value>,
    /// For finding it again.
    pub tags: Vec<String>,
    /// JSON Schema of the input.
    pub input_schema: Option<Value>,
    /// The execution's output, with expressions.
    pub output: Map<String, Value>,
    /// Time for an execution.
    pub timeout_ms: Option<u64>,
    /// Whether the first unhandled failure stops everything.
    pub fail_fast: bool,
}

impl Definition {
    /// SHA-256 of the content; equal content has an equal digest.
    pub fn digest(&self) -> Digest {
        digest(&serde_json::to_value(self).expect("a definition is plain data"))
    }
}
