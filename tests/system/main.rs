//! Tests of the whole platform: five service processes, private servers, agents as processes.

#![allow(clippy::print_stderr, reason = "a failed test says where to look")]

mod agent_run;
mod crash;
mod demo;
mod harness;
mod lifecycle;
mod processes;
mod rpc;
mod stock_client;
