//! Token buckets shared by all replicas.

use std::time::Duration;

use crate::scripts::LIMIT_TAKE;
use crate::{Error, Redis};

/// The size of a bucket and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The most that can be taken at once, greater than 0; a new bucket is full.
    pub capacity: f64,
    /// Tokens a second, greater than 0.
    pub refill_per_second: f64,
}

/// Whether the caller may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The tokens are taken.
    Allowed,
    /// Nothing is taken; there will be enough after this time if nobody else takes any.
    RetryAfter(Duration),
}

/// Takes tokens. When Redis is away the caller decides; letting it pass is usual.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    redis: Redis,
}

impl RateLimiter {
    pub(crate) fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Takes `cost` tokens from the bucket `key`, all or none, by the server's clock.
    pub async fn take(&self, key: &str, limit: Limit, cost: f64) -> Result<Verdict, Error> {
        let positive = |number: f64| number.is_finite() && number > 0.0;
        if !positive(limit.capacity) || !positive(limit.refill_per_second) {
            return Err(Error::Invalid("a limit must be positive"));
        }
        if !(0.0..=limit.capacity).contains(&cost) {
            return Err(Error::Invalid("a cost must lie between 0 and the capacity"));
        }
        let mut invocation = LIMIT_TAKE.key(self.redis.keys().bucket(key));
        invocation
            .arg(limit.capacity)
            .arg(limit.refill_per_second)
            .arg(cost);
        let wait_ms: u64 = self.redis.invoke(&invocation).await?;
        Ok(match wait_ms {
            0 => Verdict::Allowed,
            wait_ms => Verdict::RetryAfter(Duration::from_millis(wait_ms)),
        })
    }
}
