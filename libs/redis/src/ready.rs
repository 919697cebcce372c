//! The order in which tasks run, and the pop that a crash cannot turn into a loss.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::millis;
use crate::scripts::{READY_GIVE_BACK, READY_OVERDUE, READY_POP};
use crate::{Error, Generation, Rebuild, Redis};

/// The most that one pop takes: a longer script would hold up everybody else on the server.
pub const POP_LIMIT: usize = 256;
/// Members a pipeline carries.
const PUSH_CHUNK: usize = 1_000;

/// One task that may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// Where it waits; a name that means something to the caller only, without line breaks.
    pub lane: Arc<str>,
    /// The task's id, without line breaks.
    pub id: String,
    /// Its place: the lowest goes first. Finite. Ready time in ms less a bonus for priority gives
    /// ageing for free.
    pub score: f64,
}

impl Ready {
    /// A task, its lane and its place in it.
    pub fn new(lane: impl Into<Arc<str>>, id: impl Into<String>, score: f64) -> Self {
        Self {
            lane: lane.into(),
            id: id.into(),
            score,
        }
    }

    fn check(&self) -> Result<(), Error> {
        if !self.score.is_finite() {
            return Err(Error::Invalid("a score must be finite"));
        }
        if self.id.contains('\n') || self.lane.contains('\n') {
            return Err(Error::Invalid("an id and a lane must not hold line breaks"));
        }
        Ok(())
    }
}

/// A task that was popped and must be confirmed or given back before its deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct Popped {
    /// The lane it came from.
    pub lane: Arc<str>,
    /// The task's id.
    pub id: String,
    /// The score that it had and gets again when given back.
    pub score: f64,
    /// Its member in `granting`: everything that is needed to return it.
    ticket: String,
}

impl Popped {
    /// `id`, score as Redis wrote it, lane: one a line.
    fn from_ticket(ticket: String) -> Result<Self, Error> {
        let mut lines = ticket.splitn(3, '\n');
        let parts = (
            lines.next(),
            lines.next().and_then(|text| text.parse().ok()),
            lines.next(),
        );
        let (Some(id), Some(score), Some(lane)) = parts else {
            return Err(Error::protocol("a ticket without id, score and lane"));
        };
        Ok(Self {
            lane: lane.into(),
            id: id.to_owned(),
            score,
            ticket,
        })
    }
}

/// One shard of the ready queues: lanes, what is popped from them, and their generation, all under
/// one hash tag, so that the pop over several lanes is one legal script in Redis Cluster. To spread
/// over a cluster take one handle per shard and choose by tenant: `shard_of(tenant, shards)`.
///
/// A task is in a lane, or in `granting` with a deadline, or neither (claimed, or lost with Redis).
/// It never leaves both by a crash: [`pop`](Self::pop) moves it to `granting`,
/// [`confirm`](Self::confirm) takes it out after the claim has committed in PostgreSQL, and
/// [`sweep_granting`](Self::sweep_granting) returns what nobody confirmed. A task may show up
/// twice; the claim in PostgreSQL decides.
#[derive(Debug, Clone)]
pub struct ReadyQueues {
    redis: Redis,
    shard: u16,
    granting: Arc<str>,
    generation: Generation,
}

impl ReadyQueues {
    pub(crate) fn new(redis: Redis, shard: u16) -> Self {
        let granting = redis.keys().granting(shard).into();
        let generation = Generation::new(redis.clone(), vec![redis.keys().ready_generation(shard)]);
        Self {
            redis,
            shard,
            granting,
            generation,
        }
    }

    /// Adds tasks, or moves those that are there to their new place. Repeating it is harmless.
    pub async fn push(&self, batch: &[Ready]) -> Result<(), Error> {
        batch.iter().try_for_each(Ready::check)?;
        for chunk in batch.chunks(PUSH_CHUNK) {
            let mut lanes = BTreeMap::<&str, Vec<&Ready>>::new();
            for ready in chunk {
                lanes.entry(&ready.lane).or_default().push(ready);
            }
            let mut pipeline = redis::pipe();
            for (lane, members) in lanes {
                let command = pipeline.cmd("ZADD").arg(self.lane_key(lane));
                for ready in members {
                    command.arg(ready.score).arg(&ready.id);
                }
                command.ignore();
            }
            let () = self.redis.pipe(&pipeline).await?;
        }
        Ok(())
    }

    /// Takes up to `limit` (at most [`POP_LIMIT`]) tasks: the first lane's lowest scores, then the
    /// second lane's, and so on. Whatever is not confirmed within `deadline` comes back.
    /// [`Error::Rebuild`]: the lanes are not whole; claim from PostgreSQL meanwhile.
    pub async fn pop<L: AsRef<str>>(
        &self,
        lanes: &[L],
        limit: usize,
        deadline: Duration,
    ) -> Result<Vec<Popped>, Error> {
        if lanes.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut invocation = READY_POP.prepare_invoke();
        self.generation.key_of(&mut invocation);
        invocation.key(&*self.granting);
        invocation.arg(limit.min(POP_LIMIT)).arg(millis(deadline));
        for lane in lanes {
            invocation
                .key(self.lane_key(lane.as_ref()))
                .arg(lane.as_ref());
        }
        let tickets: Option<Vec<String>> = self.redis.invoke(&invocation).await?;
        tickets
            .ok_or(Error::Rebuild)?
            .into_iter()
            .map(Popped::from_ticket)
            .collect()
    }

    /// Forgets popped tasks: their claim has committed, or they need none any more.
    pub async fn confirm(&self, popped: &[Popped]) -> Result<(), Error> {
        for chunk in popped.chunks(PUSH_CHUNK) {
            let mut command = redis::cmd("ZREM");
            command.arg(&*self.granting);
            for one in chunk {
                command.arg(&one.ticket);
            }
            let () = self.redis.query(&command).await?;
        }
        Ok(())
    }

    /// Returns popped tasks to their lanes with the score that they had, so that they keep their
    /// place. Those that are no longer popped (swept, confirmed, lost) are passed over, and one that
    /// was pushed anew keeps its new score. Answers how many went back.
    pub async fn give_back(&self, popped: &[Popped]) -> Result<usize, Error> {
        let mut returned = 0;
        for chunk in popped.chunks(POP_LIMIT) {
            let mut lanes = Vec::<&str>::new();
            let mut invocation = READY_GIVE_BACK.key(&*self.granting);
            for one in chunk {
                let lane = lanes.iter().position(|lane| **lane == *one.lane);
                let lane = lane.unwrap_or_else(|| {
                    lanes.push(&one.lane);
                    lanes.len() - 1
                });
                invocation
                    .arg(&one.ticket)
                    .arg(lane)
                    .arg(one.score)
                    .arg(&one.id);
            }
            for lane in lanes {
                invocation.key(self.lane_key(lane));
            }
            returned += self.redis.invoke::<usize>(&invocation).await?;
        }
        Ok(returned)
    }

    /// Returns up to `limit` popped tasks whose deadline passed to their lanes. Answers which; call
    /// it again at once if they are `limit`. Another replica may have returned some of them.
    pub async fn sweep_granting(&self, limit: usize) -> Result<Vec<Popped>, Error> {
        let mut invocation = READY_OVERDUE.key(&*self.granting);
        let tickets: Vec<String> = self.redis.invoke(invocation.arg(limit.max(1))).await?;
        let overdue = tickets.into_iter().map(Popped::from_ticket);
        let overdue = overdue.collect::<Result<Vec<_>, _>>()?;
        self.give_back(&overdue).await?;
        Ok(overdue)
    }

    /// Takes tasks out of a lane, for example cancelled ones. Answers how many were there.
    pub async fn remove<I: AsRef<str>>(&self, lane: &str, ids: &[I]) -> Result<usize, Error> {
        let mut removed = 0;
        for chunk in ids.chunks(PUSH_CHUNK) {
            let mut command = redis::cmd("ZREM");
            command.arg(self.lane_key(lane));
            for id in chunk {
                command.arg(id.as_ref());
            }
            removed += self.redis.query::<usize>(&command).await?;
        }
        Ok(removed)
    }

    /// How many tasks wait in a lane.
    pub async fn len(&self, lane: &str) -> Result<usize, Error> {
        self.redis
            .query(redis::cmd("ZCARD").arg(self.lane_key(lane)))
            .await
    }

    /// How many tasks wait in each of these lanes, in their order.
    pub async fn lens<L: AsRef<str>>(&self, lanes: &[L]) -> Result<Vec<usize>, Error> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for lane in lanes {
            pipeline.cmd("ZCARD").arg(self.lane_key(lane.as_ref()));
        }
        self.redis.pipe(&pipeline).await
    }

    /// The score at a place of each of these lanes, from 0 for the lowest; nothing where a lane is
    /// shorter.
    pub async fn scores_at<L: AsRef<str>>(
        &self,
        lanes: &[L],
        place: usize,
    ) -> Result<Vec<Option<f64>>, Error> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for lane in lanes {
            let command = pipeline.cmd("ZRANGE").arg(self.lane_key(lane.as_ref()));
            command.arg(place).arg(place).arg("WITHSCORES");
        }
        let found: Vec<Vec<(String, f64)>> = self.redis.pipe(&pipeline).await?;
        let score = |at: Vec<(String, f64)>| at.first().map(|(_, score)| *score);
        Ok(found.into_iter().map(score).collect())
    }

    /// How many tasks are popped and neither confirmed nor given back.
    pub async fn granting_len(&self) -> Result<usize, Error> {
        self.redis
            .query(redis::cmd("ZCARD").arg(&*self.granting))
            .await
    }

    /// Of these ids, those that are not in the lane. What a reconciler pushes again; an id that is
    /// popped just now is among them, which is harmless.
    pub async fn missing<'a, I: AsRef<str>>(
        &self,
        lane: &str,
        ids: &'a [I],
    ) -> Result<Vec<&'a I>, Error> {
        let mut missing = Vec::new();
        for chunk in ids.chunks(PUSH_CHUNK) {
            let mut command = redis::cmd("ZMSCORE");
            command.arg(self.lane_key(lane));
            for id in chunk {
                command.arg(id.as_ref());
            }
            let scores: Vec<Option<f64>> = self.redis.query(&command).await?;
            let absent = chunk
                .iter()
                .zip(scores)
                .filter(|(_, score)| score.is_none());
            missing.extend(absent.map(|(id, _)| id));
        }
        Ok(missing)
    }

    /// Whether the lanes are whole; see [`Generation::verify`].
    pub async fn verify(&self) -> Result<(), Error> {
        self.generation.verify().await
    }

    /// The right to rebuild for `time_to_live`, or `None` while another replica has it. Then push
    /// everything that is ready, with [`rebuild_extend`](Self::rebuild_extend) between batches.
    pub async fn rebuild_begin(&self, time_to_live: Duration) -> Result<Option<Rebuild>, Error> {
        self.generation.begin(time_to_live).await
    }

    /// Prolongs the right; [`Error::Rebuild`] if it is lost: begin again.
    pub async fn rebuild_extend(&self, rebuild: &Rebuild) -> Result<(), Error> {
        self.generation.extend(rebuild).await
    }

    /// Declares the lanes whole, so that pops work; [`Error::Rebuild`] if Redis lost what was
    /// pushed since the beginning: begin again.
    pub async fn rebuild_finish(&self, rebuild: Rebuild) -> Result<(), Error> {
        self.generation.finish(rebuild).await
    }

    fn lane_key(&self, lane: &str) -> String {
        self.redis.keys().lane(self.shard, lane)
    }
}
