//! Everything against a real server, which the tests also freeze, kill, empty and restart.

// Their tasks end with the test.
#![allow(clippy::disallowed_methods)]

mod cluster;
mod leases;
mod limiter;
mod outage;
mod ready;
mod streams;
mod support;
mod turns;
mod wakeups;
