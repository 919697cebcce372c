//! What breaks things.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
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
            signal(pid_of(platform, service)?, Signal::KILL);
            Ok(())
        }
        Strike::Freeze(service) => freeze(pid_of(platform, service)?).await,
        Strike::FlushRedis => flush(redis_url).await,
        Strike::FreezeRedis => {
            let redis = platform.processes("redis");
            freeze(*redis.first().context("no Redis runs")?).await
        }
        Strike::CrashPostgres => {
            // When one of its processes is killed, the server ends all others and recovers.
            let processes = platform.processes("postgres");
            let others = processes.get(1..).unwrap_or_default();
            signal(
                *others.choose(random).context("no PostgreSQL runs")?,
                Signal::KILL,
            );
            Ok(())
        }
    }
}

async fn freeze(pid: u32) -> Result<()> {
    signal(pid, Signal::STOP);
    tokio::time::sleep(FROZEN).await;
    signal(pid, Signal::CONT);
    Ok(())
}

async fn flush(url: &str) -> Result<()> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await?;
    Ok(())
}

fn pid_of(platform: &Platform, service: &str) -> Result<u32> {
    let services = platform.services()?;
    services
        .get(service)
        .copied()
        .with_context(|| format!("{service} does not run"))
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
