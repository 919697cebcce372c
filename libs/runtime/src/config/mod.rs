//! Configuration: defaults < file < environment < overrides, and every problem at once.
//!
//! The defaults are TOML texts compiled into the program, which are also the manual: they name
//! every key. A key that no default names is therefore a mistake and stops the start. Environment
//! variables are `REEVE_<SECTION>__<KEY>`; `REEVE_<SECTION>__<KEY>_FILE` names a file that holds the
//! value, for secrets. Variables without a double underscore belong to clients and are left alone.

mod checks;
pub mod duration;
mod layers;
mod secret;
mod sections;
mod sources;

use std::fmt;

use serde::de::DeserializeOwned;
use toml::Value;

use layers::Layers;
pub use reeve_postgres::DatabaseConfig;
pub use reeve_redis::RedisConfig;
pub use secret::Secret;
pub use sections::{
    AdminConfig, AuthConfig, Common, DrainConfig, GrpcConfig, LimitsConfig, LogConfig, LogFormat,
    PeersConfig,
};
pub use sources::Sources;

/// The defaults of the sections that every service has.
pub const COMMON_DEFAULTS: &str = include_str!("../../config.default.toml");

/// Checks across fields, after each field has been read.
pub trait Validate {
    /// Every problem, each as "section.key: what is wrong and what would be right".
    fn validate(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Each problem with where it comes from.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is wrong:")?;
        for problem in &self.problems {
            write!(formatter, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Reads a service's configuration. `defaults` is the service's `config.default.toml`; the common
/// sections need not be repeated in it.
///
/// # Errors
/// With every unknown key, wrong type and failed check.
pub fn load<C: DeserializeOwned + Validate>(
    defaults: &str,
    sources: &Sources,
) -> Result<C, ConfigError> {
    let mut layers = merge(defaults, sources);
    layers.reject_unreadable::<C>();
    let (merged, mut problems) = layers.finish();
    match Value::Table(merged).try_into::<C>() {
        Ok(config) => {
            problems.extend(config.validate());
            if problems.is_empty() {
                return Ok(config);
            }
        }
        Err(error) => problems.push(error.message().to_owned()),
    }
    Err(ConfigError { problems })
}

/// The configuration in effect as TOML, with secrets redacted.
pub fn dump(defaults: &str, sources: &Sources) -> String {
    let (mut merged, _) = merge(defaults, sources).finish();
    for (key, value) in &mut merged {
        redact(key, value);
    }
    toml::to_string_pretty(&merged).expect("a TOML table can be written as TOML")
}

fn merge(defaults: &str, sources: &Sources) -> Layers {
    let mut layers = Layers::new(&[COMMON_DEFAULTS, defaults], &sources.foreign);
    sources.apply(&mut layers);
    layers
}

fn redact(key: &str, value: &mut Value) {
    match value {
        Value::Table(inner) => {
            for (key, value) in inner {
                redact(key, value);
            }
        }
        Value::Array(items) => {
            for item in items {
                redact(key, item);
            }
        }
        Value::String(text) if is_secret(key) && !text.is_empty() => {
            "redacted".clone_into(text);
        }
        Value::String(text) => *text = without_password(text),
        _ => {}
    }
}

fn is_secret(key: &str) -> bool {
    ["secret", "password", "pepper", "token", "key"]
        .iter()
        .any(|word| {
            key == *word
                || key
                    .strip_suffix(word)
                    .is_some_and(|before| before.ends_with('_'))
        })
}

/// A URL without the password of `scheme://user:password@host` and of `?password=…`, which drivers
/// read as well; any other text as it is.
fn without_password(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let text = match text.split_once('?') {
        None => text.to_owned(),
        Some((start, query)) => {
            let pairs: Vec<_> = query.split('&').map(without_value).collect();
            format!("{start}?{}", pairs.join("&"))
        }
    };
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:redacted@{host}"))
    };
    masked().unwrap_or(text)
}

fn without_value(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if name.contains("pass") || is_secret(name) => format!("{name}=redacted"),
        _ => pair.to_owned(),
    }
}

#[cfg(test)]
mod tests;
