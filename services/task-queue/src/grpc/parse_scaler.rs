//! The metadata of KEDA's triggers.

use std::collections::HashMap;

use reeve_auth::Credential;
use reeve_contracts::externalscaler as proto;
use reeve_status::{Code, Fault, Reason, Violations};

use super::parse;
use crate::DEFAULT_QUEUE;
use crate::domain::Targets;

/// Under this key KEDA sends the value of the variable that the trigger names.
const API_KEY: &str = "apiKeyFromEnv";
/// Bounds of targets and thresholds.
const DEPTH: i64 = 1_000_000;
const AGE: i64 = 30 * 86_400;

/// What a trigger is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The queue.
    pub queue: String,
    /// The capability; nothing for all.
    pub capability: Option<String>,
    /// What is asked for.
    pub targets: Targets,
}

/// The credential of a trigger.
///
/// # Errors
/// UNAUTHENTICATED.
pub fn credential(object: &proto::ScaledObjectRef) -> Result<Credential, Fault> {
    let key = object.scaler_metadata.get(API_KEY).map(|key| key.trim());
    match key.filter(|key| !key.is_empty()) {
        Some(key) => Ok(Credential::new(key)),
        None => Err(Fault::new(
            Code::Unauthenticated,
            Reason::CredentialMissing,
            "the trigger's metadata must name, as apiKeyFromEnv, a variable of the scaled container \
             that holds an API key",
        )),
    }
}

/// A trigger.
///
/// # Errors
/// INVALID_ARGUMENT with every wrong key.
pub fn trigger(object: &proto::ScaledObjectRef) -> Result<Trigger, Fault> {
    let mut v = Violations::new();
    let given = &object.scaler_metadata;
    let parsed = v.within("scalerMetadata", |v| {
        let queue = given.get("queue").cloned();
        let queue = queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
        parse::name(v, "queue", &queue, 64, false);
        let capability = given.get("capability").cloned();
        if let Some(capability) = &capability {
            parse::capability(v, "capability", capability);
        }
        let targets = Targets {
            depth: number(v, given, "targetDepth", 1, DEPTH),
            age: number(v, given, "targetAgeSeconds", 1, AGE),
            active_depth: number(v, given, "activationDepth", 0, DEPTH).unwrap_or(0),
            active_age: number(v, given, "activationAgeSeconds", 0, AGE),
        };
        let targeted = ["targetDepth", "targetAgeSeconds"];
        v.check(
            targeted.iter().any(|key| given.contains_key(*key)),
            "targetDepth",
            "is required, or targetAgeSeconds",
        );
        Trigger {
            queue,
            capability,
            targets,
        }
    });
    v.finish()?;
    Ok(parsed)
}

fn number(
    v: &mut Violations,
    given: &HashMap<String, String>,
    key: &str,
    least: i64,
    most: i64,
) -> Option<i64> {
    let text = given.get(key)?;
    let number = text.trim().parse().ok();
    let number = number.filter(|number| (least..=most).contains(number));
    let rule = format!("must be a whole number from {least} to {most}");
    v.check(number.is_some(), key, rule);
    number
}
