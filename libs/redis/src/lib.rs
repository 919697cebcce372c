//! Every Redis structure of Reeve: keys, scripts, streams, ready queues, leases and wake-ups.
//!
//! Redis is the nervous system and never the truth: whatever is here can be rebuilt from
//! PostgreSQL. [`Redis`] therefore never fails a start; while Redis is away every operation answers
//! [`Error::Unavailable`] at once, and the handle heals by itself. A Redis that came back empty
//! answers [`Error::Rebuild`], and the owner of the structure loads it again ([`Generation`]).
//!
//! | structure | keys (after the prefix) | who writes | who reads | what a loss costs |
//! |---|---|---|---|---|
//! | [`ReadyQueues`] | `{rq.S}:lane:L` ZSET id by order score, one more for each line that shares it (`L!`, `L=<key>`), whose turns are in `L\|turns`, `L\|idle` ZSET, `L\|weights`, `L\|clock` HASH (`scripts/turns.lua`); `{rq.S}:granting` ZSET ticket by deadline | task-queue: after a commit, sweep, rebuild | task-queue's dispatcher | a slower claim until rebuilt |
//! | [`Leases`] | `{lease.N.S}:expiry` ZSET id by expiry | agent-registry: heartbeats | its expiry loop | expiry is suspended until rebuilt |
//! | [`Generation`] | `T:generation`, `T:rebuilding` strings, T = the tag of the structure | whoever rebuilds | every pop and every expiry | it *is* the detector |
//! | [`Streams`] | `{stream.N}` STREAM, id `<last seq>-0` | the relay of the owner | the other services | readers ask the owner |
//! | [`Wakeups`] | `wake.N` channel | every replica | every replica | a poll comes later |
//! | [`RateLimiter`] | `{limit.K}` HASH tokens, time | the front doors | the same | a full bucket |
//!
//! The part in braces is a hash tag: all keys that one script touches share it, so that Redis
//! Cluster accepts the script. `keys.rs` is the only place that spells a key. Time is always the
//! server's (`TIME`), never a caller's. Commands are those of Redis 6.2 and Valkey.
//!
//! The handle itself follows no redirection: it speaks to one server, to a fail-over behind one
//! address, or to a proxy in front of a cluster.

mod breaker;
mod config;
mod error;
mod generation;
mod keys;
mod leases;
mod limiter;
mod line;
mod link;
mod ready;
mod scripts;
mod streams;
mod wakeups;

pub use config::RedisConfig;
pub use error::Error;
pub use generation::{Generation, Rebuild};
pub use keys::shard_of;
pub use leases::{Lapsed, LeaseCount, Leases};
pub use limiter::{Limit, RateLimiter, Verdict};
pub use line::{Line, place};
pub use link::Redis;
pub use ready::{Charge, POP_LIMIT, Popped, Ready, ReadyQueues};
pub use streams::{Entry, StreamReader, Streams};
pub use wakeups::{Wakeup, Wakeups};
