//! Options of `reeve task create` that say which agents may be given a task and what is retried.

use anyhow::Result;
use clap::Args;
use serde_json::{Value as Json, json};

use crate::client::input;

/// Which agents may be given a task, and what happens after errors.
#[derive(Debug, Clone, Args)]
pub struct Wanted {
    /// Version of the capability that an agent must offer, for example ">=1.2, <2".
    #[arg(long, value_name = "RANGE")]
    require: Option<String>,
    /// Attribute that the capability must have, as key=value; may be repeated.
    #[arg(long = "attribute", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
    /// Label that the agent must have, as key=value; may be repeated.
    #[arg(long = "agent-label", value_name = "KEY=VALUE")]
    agent_labels: Vec<String>,
    /// The only agent that may be given the task, by its id.
    #[arg(long, value_name = "AGENT")]
    pin: Option<String>,
    /// An agent that is not given the task, by its id; may be repeated.
    #[arg(long, value_name = "AGENT")]
    avoid: Vec<String>,
    /// Gives it to an agent that failed only if no other may have it.
    #[arg(long)]
    avoid_failed: bool,
    /// How many attempts may fail; by default 3.
    #[arg(long, default_value_t = 0)]
    max_attempts: i32,
    /// A rule for some errors as JSON (RetryRule), for example
    /// '{"errorCodes": ["RATE_*"], "initialBackoffDuration": "60s", "maxAttempts": 20}'; may be
    /// repeated, and the first that is about an error counts.
    #[arg(long = "retry-rule", value_name = "JSON")]
    retry_rules: Vec<String>,
}

impl Wanted {
    /// Puts what is asked for into a spec.
    pub fn put_into(self, spec: &mut Json) -> Result<()> {
        let attributes = input::pairs("--attribute", &self.attributes)?;
        let labels = input::pairs("--agent-label", &self.agent_labels)?;
        if self.require.is_some() || !attributes.is_empty() || !labels.is_empty() {
            spec["requirement"] = json!({
                "versionRange": self.require, "attributes": attributes, "agentLabels": labels,
            });
        }
        spec["pinnedAgentId"] = json!(self.pin);
        spec["avoidAgentIds"] = json!(self.avoid);
        spec["avoidFailedAgents"] = json!(self.avoid_failed);
        let rules = self.retry_rules.iter();
        let rules = rules.map(|rule| input::json("--retry-rule", rule));
        let rules = rules.collect::<Result<Vec<_>>>()?;
        spec["retryPolicy"] = json!({"maxAttempts": self.max_attempts, "rules": rules});
        Ok(())
    }
}
