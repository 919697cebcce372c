//! What breaks things.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reeve_bench::Platform;
use rustix::process::{Pid, Signal, kill_process};

use crate::say;

/// From one strike to the next, on the average.
const PAUSE: Duration = Duration::from_millis(2_500);
/// How long something stands still.
const FROZEN: Duration = Duration::from_secs(3);
/// How long what was struck may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long so many strikes take.
pub fn duration(strikes: u32) -> Duration {
    PAUSE * strikes
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strike {
    Kill(&'static str),
    Freeze(&'static str),
    FlushRedis,
    FreezeRedis,
    CrashPostgres,
}

/// Task-queue is struck most often.
const STRIKES: [Strike; 12] = [
    Strike::Kill("task-queue"),
    Strike::Kill("task-queue"),
    Strike::Kill("task-queue"),
    Strike::Kill("agent-registry"),
    Strike::Kill("finance"),
    Strike::Kill("incident"),
    Strike::Freeze("task-queue"),
    Strike::Freeze("agent-registry"),
    Strike::FlushRedis,
    Strike::FlushRedis,
    Strike::FreezeRedis,
    Strike::CrashPostgres,
];

impl fmt::Display for Strike {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(service) => write!(formatter, "kill {service}"),
            Self::Freeze(service) => write!(formatter, "freeze {service}"),
            Self::FlushRedis => formatter.write_str("flush redis"),
            Self::FreezeRedis => formatter.write_str("freeze redis"),
            Self::CrashPostgres => formatter.write_str("crash postgres"),
        }
    }
}

/// Strikes so many times; each kind at least once, if there are enough. Answers what was done.
pub async fn run(platform: &Platform, strikes: u32, seed: u64) -> Result<String> {
    let mut random = StdRng::seed_from_u64(seed);
    // Asked while nobody was struck yet: who was just killed has no environment.
    let redis = platform.queue_variable("REEVE_REDIS__URL")?;
    let mut done = BTreeMap::<String, u32>::new();
    let mut kinds = STRIKES.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    for number in 0..strikes {
        let pause = PAUSE.mul_f64(random.random_range(0.5..1.5));
        tokio::time::sleep(pause).await;
        let strike = match kinds.is_empty() {
            false => kinds.swap_remove(random.random_range(0..kinds.len())),
            true => *STRIKES.choose(&mut random).context("there are some")?,
        };
        say(&format!("{}/{strikes} {strike}", number + 1));
        act(platform, &redis, strike, &mut random)
            .await
            .with_context(|| format!("cannot {strike}"))?;
        *done.entry(strike.to_string()).or_default() += 1;
    }
    let done: Vec<_> = done
        .iter()
        .map(|(strike, times)| format!("{strike} {times}x"))
        .collect();
    Ok(done.join(", "))
}

async fn act(
    platform: &Platform,
    redis_url: &str,
    strike: Strike,
    random: &mut StdRng,
) -> Result<()> {
    match strike {
        Strike::Kill(service) => {
            let service = || platform.services().ok()?.get(service).copied();
            hit(service, Signal::KILL).await.map(drop)
        }
        Strike::Freeze(service) => freeze(|| platform.services().ok()?.get(service).copied()).await,
        Strike::FlushRedis => flush(redis_url).await,
        Strike::FreezeRedis => freeze(|| platform.processes("redis").first().copied()).await,
        Strike::CrashPostgres => {
            // When one of its processes is killed, the server ends all others and recovers.
            let others = || {
                let processes = platform.processes("postgres");
                let others = processes.get(1..).unwrap_or_default();
                others.choose(random).copied()
            };
            hit(others, Signal::KILL).await.map(drop)
        }
    }
}

/// Sends a signal to a process, and waits for it if it was struck before and is not back yet.
async fn hit(mut find: impl FnMut() -> Option<u32>, signal: Signal) -> Result<u32> {
    let began = Instant::now();
    loop {
        if let Some(pid) = find().filter(|pid| send(*pid, signal)) {
            return Ok(pid);
        }
        ensure!(began.elapsed() < PATIENCE, "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn freeze(find: impl FnMut() -> Option<u32>) -> Result<()> {
    let pid = hit(find, Signal::STOP).await?;
    tokio::time::sleep(FROZEN).await;
    send(pid, Signal::CONT);
    Ok(())
}

async fn flush(url: &str) -> Result<()> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await?;
    Ok(())
}

/// Whether there was such a process.
fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}
