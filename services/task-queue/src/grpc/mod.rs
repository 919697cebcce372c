//! The RPCs: parse, operate, render.

mod parse;
mod parse_spec;
mod parse_work;
mod portions;
mod render;
mod session;
mod task_api;
mod work_api;

pub use task_api::TaskApi;
pub use work_api::WorkApi;
