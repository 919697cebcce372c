//! What a workflow is and how an execution moves. Pure: no clock, no I/O, no randomness; `now` is an
//! argument, effects are data.
//!
//! - [`definition`] is what a client publishes; [`validate`] finds everything wrong with it;
//!   [`plan`] is a valid one, compiled.
//! - [`run`] is an execution's state; [`state`] has the legal changes on one screen.
//! - [`decide`] applies one event to a run and says what to write.
//! - [`history`] chains what happened by hashes.

mod words;

pub mod approval;
pub mod canonical;
pub mod decide;
pub mod definition;
pub mod diagnose;
pub mod event;
pub mod expression;
pub mod failure;
pub mod history;
pub mod plan;
pub mod run;
pub mod state;
pub mod template;
pub mod validate;
pub mod writes;
