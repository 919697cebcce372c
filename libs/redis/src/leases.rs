//! Who is still alive, without a database write per heartbeat.
//!
//! An expired lease stays where it is until PostgreSQL has been told: [`Leases::expired`] only
//! reads, the caller commits the consequence, and [`Leases::forget`] removes the lease if nobody
//! renewed it in between. A crash at any point shows the same lease to the next sweep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use redis::{Script, ScriptInvocation};

use crate::breaker::millis;
use crate::scripts::{
    LEASE_COUNT, LEASE_EXPIRED, LEASE_FORGET, LEASE_GRANT, LEASE_POSTPONE, LEASE_RENEW,
};
use crate::{Error, Generation, Redis, shard_of};

/// Members that one script handles.
const CHUNK: usize = 1_000;

/// A lease that has run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    /// Whose.
    pub id: String,
    /// When it ran out, in ms since 1970 by the server's clock.
    pub expiry_ms: i64,
}

/// How many leases there are: what a brake looks at before it believes that a fleet has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseCount {
    /// All, the expired ones included.
    pub total: u64,
    /// Those that have run out and are not forgotten.
    pub expired: u64,
}

impl LeaseCount {
    /// The expired part, 0 to 1; 0 if there are none at all.
    pub fn expired_fraction(self) -> f64 {
        // Counts of agents are far below 2^32.
        let number = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if self.total == 0 {
            0.0
        } else {
            number(self.expired) / number(self.total)
        }
    }
}

/// A set of leases, spread over shards by id.
#[derive(Debug, Clone)]
pub struct Leases {
    redis: Redis,
    shards: Arc<[Shard]>,
    generation: Generation,
    /// Which shard the next sweep looks at first, so that none starves.
    first: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Shard {
    expiry: String,
    generation: String,
}

impl Leases {
    pub(crate) fn new(redis: Redis, name: &str, shards: u16) -> Self {
        let keys = redis.keys();
        let numbers = 0..shards.max(1);
        let generations = numbers
            .clone()
            .map(|shard| keys.lease_generation(name, shard));
        let shards = numbers.map(|shard| Shard {
            expiry: keys.leases(name, shard),
            generation: keys.lease_generation(name, shard).current,
        });
        Self {
            shards: shards.collect(),
            generation: Generation::new(redis.clone(), generations.collect()),
            redis,
            first: Arc::default(),
        }
    }

    /// Gives each id a lease from now on for its time, whether or not it had one.
    pub async fn renew<I: AsRef<str>>(&self, batch: &[(I, Duration)]) -> Result<(), Error> {
        self.write(&LEASE_RENEW, batch).await
    }

    /// Gives a lease to each id that has none. One that has a lease keeps it as it is, expired or
    /// not: for a sweep that finds who was forgotten.
    pub async fn grant<I: AsRef<str>>(&self, batch: &[(I, Duration)]) -> Result<(), Error> {
        self.write(&LEASE_GRANT, batch).await
    }

    async fn write<I: AsRef<str>>(
        &self,
        script: &'static Script,
        batch: &[(I, Duration)],
    ) -> Result<(), Error> {
        // All shards at once; one after the other would cost a round trip each.
        let mut writes = Vec::new();
        for (shard, members) in self.by_shard(batch, |(id, _)| id.as_ref()) {
            for chunk in members.chunks(CHUNK) {
                let mut invocation = script.key(&shard.expiry);
                for (id, time_to_live) in chunk {
                    invocation.arg(millis(*time_to_live)).arg(id.as_ref());
                }
                writes.push(self.write_chunk(invocation));
            }
        }
        try_join_all(writes).await.map(|_| ())
    }

    async fn write_chunk(&self, invocation: ScriptInvocation<'static>) -> Result<(), Error> {
        self.redis.invoke(&invocation).await
    }

    /// Up to `limit` leases that have run out, those of a shard oldest first. They stay until
    /// forgotten, so forget also those that need no consequence, else they come again.
    /// [`Error::Rebuild`]: Redis lost leases, so nothing may be concluded from their absence;
    /// rebuild ([`generation`](Self::generation)): renew everybody generously, then finish.
    pub async fn expired(&self, limit: usize) -> Result<Vec<Lapsed>, Error> {
        let mut lapsed = Vec::new();
        let first = self.first.fetch_add(1, Ordering::Relaxed);
        for at in 0..self.shards.len() {
            let left = limit.saturating_sub(lapsed.len()).min(CHUNK);
            if left == 0 {
                break;
            }
            let shard = &self.shards[first.wrapping_add(at) % self.shards.len()];
            let mut invocation = LEASE_EXPIRED.key(&shard.generation);
            invocation.key(&shard.expiry).arg(left);
            let found: Option<Vec<(String, i64)>> = self.redis.invoke(&invocation).await?;
            let found = found.ok_or(Error::Rebuild)?.into_iter();
            lapsed.extend(found.map(|(id, expiry_ms)| Lapsed { id, expiry_ms }));
        }
        Ok(lapsed)
    }

    /// Removes expired leases after their consequence has committed, except those renewed since.
    /// Answers how many were removed.
    pub async fn forget(&self, lapsed: &[Lapsed]) -> Result<usize, Error> {
        let mut forgotten = 0;
        for (shard, members) in self.by_shard(lapsed, |lapsed| &lapsed.id) {
            for chunk in members.chunks(CHUNK) {
                let mut invocation = LEASE_FORGET.key(&shard.expiry);
                for Lapsed { id, expiry_ms } in chunk {
                    invocation.arg(expiry_ms).arg(id);
                }
                forgotten += self.redis.invoke::<usize>(&invocation).await?;
            }
        }
        Ok(forgotten)
    }

    /// Removes leases whatever their expiry: the holder said goodbye. Answers how many there were.
    pub async fn remove<I: AsRef<str>>(&self, ids: &[I]) -> Result<usize, Error> {
        let mut removed = 0;
        for (shard, members) in self.by_shard(ids, |id| id.as_ref()) {
            for chunk in members.chunks(CHUNK) {
                let mut command = redis::cmd("ZREM");
                command.arg(&shard.expiry);
                for id in chunk {
                    command.arg(id.as_ref());
                }
                removed += self.redis.query::<usize>(&command).await?;
            }
        }
        Ok(removed)
    }

    /// Gives every expired lease a new time: the brake, when too many lapse at once to be true.
    /// Answers how many.
    pub async fn postpone_expired(&self, time_to_live: Duration) -> Result<u64, Error> {
        let mut postponed = 0;
        // A fixed line, else a short new time would be expired, and postponed, over and over.
        let cutoff = self.redis.server_time().await?;
        for shard in self.shards.iter() {
            loop {
                let mut invocation = LEASE_POSTPONE.key(&shard.expiry);
                invocation.arg(cutoff).arg(millis(time_to_live)).arg(CHUNK);
                let moved: u64 = self.redis.invoke(&invocation).await?;
                postponed += moved;
                if moved == 0 {
                    break;
                }
            }
        }
        Ok(postponed)
    }

    /// How many leases there are and how many of them have run out.
    pub async fn count(&self) -> Result<LeaseCount, Error> {
        let counts = self.shards.iter().map(|shard| async {
            self.redis
                .invoke::<(u64, u64)>(&LEASE_COUNT.key(&shard.expiry))
                .await
        });
        let counts = try_join_all(counts).await?;
        Ok(counts
            .into_iter()
            .fold(LeaseCount::default(), |sum, (total, expired)| LeaseCount {
                total: sum.total + total,
                expired: sum.expired + expired,
            }))
    }

    /// The expired part of all leases, 0 to 1.
    pub async fn expired_fraction(&self) -> Result<f64, Error> {
        Ok(self.count().await?.expired_fraction())
    }

    /// Whether the leases are whole, and how to make them so.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    fn by_shard<'a, T>(
        &self,
        items: &'a [T],
        id: impl Fn(&'a T) -> &'a str,
    ) -> Vec<(&Shard, Vec<&'a T>)> {
        let count = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        let mut groups: Vec<(&Shard, Vec<&T>)> = self
            .shards
            .iter()
            .map(|shard| (shard, Vec::new()))
            .collect();
        for item in items {
            groups[usize::from(shard_of(id(item).as_bytes(), count))]
                .1
                .push(item);
        }
        groups.retain(|(_, members)| !members.is_empty());
        groups
    }
}
