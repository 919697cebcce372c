//! The order in which tasks run, and the pop that a crash cannot turn into a loss.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::millis;
use crate::scripts::{READY_CHARGE, READY_GIVE_BACK, READY_LINE_UP, READY_OVERDUE, READY_POP};
use crate::{Error, Generation, Line, Rebuild, Redis, place};

/// The most that one pop takes: a longer script would hold up everybody else on the server.
pub const POP_LIMIT: usize = 256;
/// Members a pipeline carries.
const PUSH_CHUNK: usize = 1_000;

/// One task that may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// Where it waits; a name that means something to the caller only, without line breaks and
    /// without `!`, `=` and `|`.
    pub lane: Arc<str>,
    /// In which line of it.
    pub line: Line,
    /// The task's id, without line breaks.
    pub id: String,
    /// Its place in the line: the lowest goes first. Finite. Ready time in ms less a bonus for priority gives
    /// ageing for free.
    pub score: f64,
}

impl Ready {
    /// A task, its lane and its place in the common line.
    pub fn new(lane: impl Into<Arc<str>>, id: impl Into<String>, score: f64) -> Self {
        Self {
            lane: lane.into(),
            line: Line::Common,
            id: id.into(),
            score,
        }
    }

    /// The same in another line.
    #[must_use]
    pub fn in_line(mut self, line: Line) -> Self {
        self.line = line;
        self
    }

    fn check(&self) -> Result<(), Error> {
        if !self.score.is_finite() {
            return Err(Error::Invalid("a score must be finite"));
        }
        if self.id.contains('\n') || self.lane.contains(['\n', '!', '=', '|']) {
            return Err(Error::Invalid(
                "an id and a lane must not hold line breaks, nor a lane one of ! = |",
            ));
        }
        self.line.check()
    }
}

/// A task that was popped and must be confirmed or given back before its deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct Popped {
    /// The lane it came from.
    pub lane: Arc<str>,
    /// The line of it.
    pub line: Line,
    /// The task's id.
    pub id: String,
    /// The score that it had and gets again when given back.
    pub score: f64,
    /// Its member in `granting`: everything that is needed to return it.
    ticket: String,
}

impl Popped {
    /// Id, score as Redis wrote it, line, weight, lane: one a line.
    fn from_ticket(ticket: String) -> Result<Self, Error> {
        let parts: Vec<_> = ticket.splitn(5, '\n').collect();
        let malformed = || Error::protocol("a ticket without id, score, line, weight and lane");
        let [id, score, mark, weight, lane] = parts[..] else {
            return Err(malformed());
        };
        let score = score.parse().map_err(|_| malformed())?;
        let weight = weight.parse().map_err(|_| malformed())?;
        Ok(Self {
            lane: lane.into(),
            line: Line::parse(mark, weight).ok_or_else(malformed)?,
            id: id.to_owned(),
            score,
            ticket,
        })
    }
}

/// Work that a task of a line has been.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// The lane.
    pub lane: Arc<str>,
    /// The line.
    pub line: Line,
    /// How long an agent had the task.
    pub work: Duration,
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
            let (keyed, plain): (Vec<_>, Vec<_>) =
                chunk.iter().partition(|ready| ready.line.is_keyed());
            self.add(&plain).await?;
            self.line_up(&keyed).await?;
        }
        Ok(())
    }

    async fn add(&self, tasks: &[&Ready]) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut lines = BTreeMap::<String, Vec<&Ready>>::new();
        for ready in tasks {
            let line = place(&ready.lane, &ready.line);
            lines.entry(line).or_default().push(ready);
        }
        let mut pipeline = redis::pipe();
        for (line, members) in lines {
            let command = pipeline.cmd("ZADD").arg(self.lane_key(&line));
            for ready in members {
                command.arg(ready.score).arg(&ready.id);
            }
            command.ignore();
        }
        self.redis.pipe(&pipeline).await
    }

    async fn line_up(&self, tasks: &[&Ready]) -> Result<(), Error> {
        let mut lanes = BTreeMap::<&str, Vec<&Ready>>::new();
        for ready in tasks {
            lanes.entry(&ready.lane).or_default().push(ready);
        }
        for (lane, members) in lanes {
            let mut invocation = READY_LINE_UP.key(self.lane_key(lane));
            for ready in members {
                let (mark, weight) = (ready.line.mark(), ready.line.weight());
                invocation
                    .arg(mark)
                    .arg(weight)
                    .arg(ready.score)
                    .arg(&ready.id);
            }
            let () = self.redis.invoke(&invocation).await?;
        }
        Ok(())
    }

    /// Says how much work tasks have been that were popped, so that lines whose tasks take long get
    /// fewer turns. What is never said counts as much as tasks of the lane usually take. Saying it
    /// twice counts twice.
    pub async fn charge(&self, charges: &[Charge]) -> Result<(), Error> {
        let mut lanes = BTreeMap::<&str, Vec<&Charge>>::new();
        for charge in charges {
            lanes.entry(&charge.lane).or_default().push(charge);
        }
        for (lane, charges) in lanes {
            for chunk in charges.chunks(PUSH_CHUNK) {
                let mut invocation = READY_CHARGE.key(self.lane_key(lane));
                for charge in chunk {
                    let (mark, weight) = (charge.line.mark(), charge.line.weight());
                    invocation.arg(mark).arg(weight).arg(millis(charge.work));
                }
                let () = self.redis.invoke(&invocation).await?;
            }
        }
        Ok(())
    }

    /// Takes up to `limit` (at most [`POP_LIMIT`]) tasks: the first lane's, then the second lane's,
    /// and so on; of a lane, the lowest scores of the line whose turn it is. Whatever is not confirmed within `deadline` comes back.
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
                invocation.arg(&one.ticket).arg(lane);
                invocation.arg(one.line.mark()).arg(one.line.weight());
                invocation.arg(one.score).arg(&one.id);
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

    /// Takes tasks out of a line (see [`place`]), for example cancelled ones. Answers how many were there.
    pub async fn remove<I: AsRef<str>>(&self, line: &str, ids: &[I]) -> Result<usize, Error> {
        let mut removed = 0;
        for chunk in ids.chunks(PUSH_CHUNK) {
            let mut command = redis::cmd("ZREM");
            command.arg(self.lane_key(line));
            for id in chunk {
                command.arg(id.as_ref());
            }
            removed += self.redis.query::<usize>(&command).await?;
        }
        Ok(removed)
    }

    /// How many tasks wait in a line (see [`place`]).
    pub async fn len(&self, line: &str) -> Result<usize, Error> {
        self.redis
            .query(redis::cmd("ZCARD").arg(self.lane_key(line)))
            .await
    }

    /// How many tasks wait in each of these lines, in their order.
    pub async fn lens<L: AsRef<str>>(&self, lines: &[L]) -> Result<Vec<usize>, Error> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for line in lines {
            pipeline.cmd("ZCARD").arg(self.lane_key(line.as_ref()));
        }
        self.redis.pipe(&pipeline).await
    }

    /// The score at a place of each of these lines, from 0 for the lowest; nothing where a line is
    /// shorter.
    pub async fn scores_at<L: AsRef<str>>(
        &self,
        lines: &[L],
        place: usize,
    ) -> Result<Vec<Option<f64>>, Error> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for line in lines {
            let command = pipeline.cmd("ZRANGE").arg(self.lane_key(line.as_ref()));
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

    /// Of these ids, those that are not in the line. What a reconciler pushes again; an id that is
    /// popped just now is among them, which is harmless.
    pub async fn missing<'a, I: AsRef<str>>(
        &self,
        line: &str,
        ids: &'a [I],
    ) -> Result<Vec<&'a I>, Error> {
        let mut missing = Vec::new();
        for chunk in ids.chunks(PUSH_CHUNK) {
            let mut command = redis::cmd("ZMSCORE");
            command.arg(self.lane_key(line));
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
