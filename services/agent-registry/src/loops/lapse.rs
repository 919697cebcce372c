//! The loop that looks for silence, with its brake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use reeve_runtime::Progress;

use crate::domain::brake::{Brake, Sight, Spans, Verdict};
use crate::error::Error;
use crate::operations::{Context, lapse};

/// The loop's state: the brake of this process.
pub struct Lapse {
    context: Arc<Context>,
    brake: Mutex<Brake>,
}

impl Lapse {
    /// A loop whose brake is off.
    pub fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            brake: Mutex::default(),
        }
    }

    /// Looks once, and believes a batch of lapsed leases or suspends expiry.
    pub async fn tick(&self) -> Result<Progress, Error> {
        let ticked = self.look().await;
        if ticked.is_err() {
            self.brake().failed();
        }
        ticked
    }

    async fn look(&self) -> Result<Progress, Error> {
        let context = &self.context;
        let sight = lapse::look(context).await?;
        if let Sight::Leases { held, .. } = sight {
            context
                .counters
                .leases
                .set(i64::try_from(held).unwrap_or(i64::MAX));
        }
        let (verdict, until) = self.judge(sight);
        match verdict {
            Verdict::Expire => {
                let expired = lapse::expire(context).await?;
                self.brake().believed(expired.lost, context.now());
                // One batch a look: the brake weighs each before the next.
                Ok(expired.more.into())
            }
            Verdict::Wait => Ok(Progress::Idle),
            Verdict::Suspend(cause) => {
                // Until it commits, the next look tells it again.
                lapse::suspend(context, cause, until).await?;
                self.brake().told();
                context.counters.suspensions.inc();
                Ok(Progress::Idle)
            }
        }
    }

    fn judge(&self, sight: Sight) -> (Verdict, DateTime<Utc>) {
        let context = &self.context;
        let now = context.now();
        let grace = TimeDelta::from_std(context.heartbeat.grace).unwrap_or(TimeDelta::MAX);
        let spans = Spans {
            grace,
            window: context.lease_span(),
        };
        let mut brake = self.brake();
        let verdict = brake.judge(sight, now, spans);
        (verdict, brake.until().unwrap_or(now))
    }

    fn brake(&self) -> MutexGuard<'_, Brake> {
        self.brake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
