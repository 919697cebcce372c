//! Where Redis is.

use std::fmt;

use redis::Client;
use serde::Deserialize;

use crate::Error;

/// Where Redis is and which keys are ours.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://[user:password@]host:port[/database]` or `unix:///path`.
    pub url: String,
    /// Put before every key. Installations and tests that share a server differ in it.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

fn default_prefix() -> String {
    "reeve".to_owned()
}

impl RedisConfig {
    /// The usual prefix at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: default_prefix(),
        }
    }

    /// The same server with keys of one's own.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Every problem of this section, each with its key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.url.starts_with("rediss") {
            let right = "redis.url: must be redis://, since TLS to Redis is not supported yet";
            problems.push(right.to_owned());
        } else if let Err(error) = Client::open(self.url.as_str()) {
            problems.push(format!("redis.url: {}", error.category()));
        }
        // A brace in the prefix would become the hash tag of every key.
        if self.prefix.is_empty() || self.prefix.contains(['{', '}', '\n']) {
            problems.push("redis.prefix: must not be empty or hold braces".to_owned());
        }
        problems
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::Config(problems.join("; ")))
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisConfig")
            .field("url", &"redacted")
            .field("prefix", &self.prefix)
            .finish()
    }
}
