//! Where Redis is.

use serde::Deserialize;

use crate::Error;

/// Where Redis is and which keys are ours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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

    /// A brace in the prefix would become the hash tag of every key.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.prefix.is_empty() || self.prefix.contains(['{', '}', '\n']) {
            return Err(Error::Config(
                "the prefix must not be empty or hold braces".to_owned(),
            ));
        }
        Ok(())
    }
}
