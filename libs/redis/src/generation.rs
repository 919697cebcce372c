//! Tells a whole structure from one that Redis lost.
//!
//! A structure is whole while its generation key is there and was written by the server process
//! that answers now. FLUSHALL and a restart without persistence take the key away; a restart from
//! an old snapshot and a fail-over to a replica change the run id. Both answer
//! [`Error::Rebuild`]; one replica then rebuilds: [`Generation::begin`], load everything from
//! PostgreSQL, [`Generation::finish`]. If Redis loses the half-built structure in between, `finish`
//! says so, because the mark that `begin` left went with it.

use std::sync::Arc;
use std::time::Duration;

use redis::Script;

use crate::breaker::millis;
use crate::keys::GenerationKeys;
use crate::scripts::{GENERATION_BEGIN, GENERATION_EXTEND, GENERATION_FINISH, GENERATION_VERIFY};
use crate::{Error, Redis};

/// The state of one structure. Obtained from it (`ready_queues.generation()`).
#[derive(Debug, Clone)]
pub struct Generation {
    redis: Redis,
    keys: Arc<[GenerationKeys]>,
}

/// The right to rebuild, and the proof that nothing was lost since `begin`.
#[derive(Debug)]
pub struct Rebuild {
    token: String,
    time_to_live: Duration,
}

impl Generation {
    pub(crate) fn new(redis: Redis, keys: Vec<GenerationKeys>) -> Self {
        Self {
            redis,
            keys: keys.into(),
        }
    }

    /// `Ok` while the structure is whole, else [`Error::Rebuild`]. Pops and expiries look only
    /// whether the key is there; this also notices a server that restarted from a snapshot, and
    /// makes them notice. Call it about once a second.
    pub async fn verify(&self) -> Result<(), Error> {
        for keys in self.keys.iter() {
            let whole: bool = self
                .redis
                .invoke(&GENERATION_VERIFY.key(keys.current.as_str()))
                .await?;
            if !whole {
                return Err(Error::Rebuild);
            }
        }
        Ok(())
    }

    /// The right to rebuild, or `None` while another replica has it. It lapses after
    /// `time_to_live` unless [extended](Self::extend), so that a dead replica blocks nobody.
    pub async fn begin(&self, time_to_live: Duration) -> Result<Option<Rebuild>, Error> {
        let rebuild = Rebuild {
            token: format!("{:032x}", rand::random::<u128>()),
            time_to_live,
        };
        for (at, keys) in self.keys.iter().enumerate() {
            let mine: bool = self.mark(&GENERATION_BEGIN, keys, &rebuild).await?;
            if !mine {
                self.release(&self.keys[..at]).await?;
                return Ok(None);
            }
        }
        Ok(Some(rebuild))
    }

    /// Prolongs the right; [`Error::Rebuild`] if it is lost, and then the work so far is too.
    pub async fn extend(&self, rebuild: &Rebuild) -> Result<(), Error> {
        for keys in self.keys.iter() {
            let mine: bool = self.mark(&GENERATION_EXTEND, keys, rebuild).await?;
            if !mine {
                return Err(Error::Rebuild);
            }
        }
        Ok(())
    }

    /// Declares the structure whole; [`Error::Rebuild`] if Redis lost it since `begin`.
    pub async fn finish(&self, rebuild: Rebuild) -> Result<(), Error> {
        for keys in self.keys.iter() {
            let invocation = &mut GENERATION_FINISH.key(keys.rebuilding.as_str());
            let invocation = invocation.key(keys.current.as_str()).arg(&rebuild.token);
            let whole: bool = self.redis.invoke(invocation).await?;
            if !whole {
                return Err(Error::Rebuild);
            }
        }
        Ok(())
    }

    /// Adds the generation key of the first shard to a script that checks it.
    pub(crate) fn key_of(&self, invocation: &mut redis::ScriptInvocation<'_>) {
        for keys in self.keys.iter().take(1) {
            invocation.key(keys.current.as_str());
        }
    }

    async fn mark(
        &self,
        script: &Script,
        keys: &GenerationKeys,
        rebuild: &Rebuild,
    ) -> Result<bool, Error> {
        let mut invocation = script.key(keys.rebuilding.as_str());
        invocation
            .arg(&rebuild.token)
            .arg(millis(rebuild.time_to_live).max(1));
        self.redis.invoke(&invocation).await
    }

    async fn release(&self, taken: &[GenerationKeys]) -> Result<(), Error> {
        for keys in taken {
            let () = self
                .redis
                .query(redis::cmd("DEL").arg(&keys.rebuilding))
                .await?;
        }
        Ok(())
    }
}
