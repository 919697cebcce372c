//! What this service can be told. The keys are explained in `config.default.toml`.

use std::time::Duration;

use chrono::TimeDelta;
use reeve_auth::ApiKey;
use reeve_runtime::config::{Common, Secret, Validate, duration};
use serde::Deserialize;

/// The defaults and the manual.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Fewest characters of a secret.
const SHORTEST_SECRET: usize = 32;

/// The configuration of agent-registry.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// What every service can be told.
    #[serde(flatten)]
    pub common: Common,
    /// The first tenant and key.
    pub bootstrap: BootstrapConfig,
    /// How often agents report, and what follows from silence.
    pub heartbeat: HeartbeatConfig,
    /// Watch streams.
    pub watch: WatchConfig,
}

/// `[bootstrap]`.
#[derive(Debug, Clone, Deserialize)]
pub struct BootstrapConfig {
    /// Name of the first tenant.
    pub tenant: String,
    /// Its first key; none when empty.
    pub admin_key: Secret,
}

/// `[heartbeat]`.
#[derive(Debug, Clone, Deserialize)]
pub struct HeartbeatConfig {
    /// Shortest time between heartbeats.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Shortest time that a lease lasts without one.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// How long expiry is suspended.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// How often lapsed leases are looked for.
    #[serde(with = "duration")]
    pub sweep_period: Duration,
    /// How often renewals are sent to Redis.
    #[serde(with = "duration")]
    pub renew_period: Duration,
    /// How often reports are written to PostgreSQL.
    #[serde(with = "duration")]
    pub report_period: Duration,
    /// Heartbeats a second above which the interval grows.
    pub greatest_rate: u32,
}

/// `[watch]`.
#[derive(Debug, Clone, Deserialize)]
pub struct WatchConfig {
    /// How long a watch is silent before a bookmark is sent.
    #[serde(with = "duration")]
    pub bookmark_period: Duration,
}

impl HeartbeatConfig {
    /// How long until the next heartbeat in a fleet of this size.
    pub fn interval_for(&self, agents: i32) -> TimeDelta {
        let seconds = f64::from(agents) / f64::from(self.greatest_rate.max(1));
        span(self.interval.max(Duration::from_secs_f64(seconds)))
    }

    /// How long a lease lasts: three heartbeats may be lost before anything follows.
    pub fn lease_for(&self, interval: TimeDelta) -> TimeDelta {
        span(self.lease).max(interval * 3)
    }
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

impl Config {
    /// The configured key, if there is one.
    ///
    /// # Errors
    /// When it is malformed; a start that ignored that would leave nobody a way in.
    pub fn admin_key(&self) -> Result<Option<ApiKey>, String> {
        let text = self.bootstrap.admin_key.expose();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = "bootstrap.admin_key: must be rvk_<32 hex digits>_<43 base64url characters>";
        ApiKey::parse(text)
            .map(Some)
            .ok_or_else(|| wrong.to_owned())
    }
}

impl Validate for Config {
    fn validate(&self) -> Vec<String> {
        let mut problems = self.common.validate();
        problems.extend(self.admin_key().err());
        let heartbeat = &self.heartbeat;
        let checks = [
            (
                is_tenant_name(&self.bootstrap.tenant),
                "bootstrap.tenant: must be 1 to 63 of a-z, 0-9 and -, beginning with a letter",
            ),
            (
                self.common.auth.api_key_pepper.expose().chars().count() >= SHORTEST_SECRET,
                "auth.api_key_pepper: must have at least 32 characters",
            ),
            (
                !heartbeat.interval.is_zero(),
                "heartbeat.interval: must not be zero",
            ),
            (
                heartbeat.lease >= heartbeat.interval * 2,
                "heartbeat.lease: must be at least twice heartbeat.interval, or one lost message \
                 declares an agent dead",
            ),
            (
                heartbeat.grace >= heartbeat.interval * 2,
                "heartbeat.grace: must be at least twice heartbeat.interval, or agents have no \
                 time to renew",
            ),
            (
                heartbeat.renew_period < heartbeat.lease,
                "heartbeat.renew_period: must be shorter than heartbeat.lease",
            ),
            (
                heartbeat.sweep_period <= heartbeat.lease / 4,
                "heartbeat.sweep_period: must be at most a quarter of heartbeat.lease, or every \
                 look counts as one after an absence",
            ),
            (
                heartbeat.greatest_rate > 0,
                "heartbeat.greatest_rate: must be at least 1",
            ),
            (
                !self.watch.bookmark_period.is_zero(),
                "watch.bookmark_period: must not be zero",
            ),
        ];
        problems.extend(
            checks
                .into_iter()
                .filter(|(right, _)| !right)
                .map(|(_, p)| p.to_owned()),
        );
        problems
    }
}

/// Whether a text can name a tenant.
pub fn is_tenant_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat() -> HeartbeatConfig {
        HeartbeatConfig {
            interval: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(60),
            sweep_period: Duration::from_secs(1),
            renew_period: Duration::from_millis(100),
            report_period: Duration::from_secs(10),
            greatest_rate: 10_000,
        }
    }

    #[test]
    fn a_greater_fleet_reports_less_often() {
        let config = heartbeat();
        assert_eq!(config.interval_for(100), TimeDelta::seconds(10));
        assert_eq!(config.interval_for(200_000), TimeDelta::seconds(20));
        assert_eq!(
            config.lease_for(TimeDelta::seconds(10)),
            TimeDelta::seconds(30)
        );
        assert_eq!(
            config.lease_for(TimeDelta::seconds(20)),
            TimeDelta::seconds(60)
        );
    }

    #[test]
    fn tenant_names_are_like_host_names() {
        assert!(is_tenant_name("default") && is_tenant_name("a-1"));
        for wrong in ["", "1a", "-a", "A", "a_b", &"a".repeat(64)] {
            assert!(!is_tenant_name(wrong), "{wrong}");
        }
    }
}
