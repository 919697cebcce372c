//! Tests of the whole platform: five service processes, private servers, agents as processes.

mod crash;
mod demo;
mod harness;
mod lifecycle;
mod stock_client;
