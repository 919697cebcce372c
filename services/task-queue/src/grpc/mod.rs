//! The RPCs: parse, operate, render.

mod parse;
mod parse_spec;
mod parse_type;
mod parse_work;
mod portions;
mod render;
mod render_type;
mod session;
mod task_api;
mod type_api;
mod work_api;

pub use task_api::TaskApi;
pub use type_api::TypeApi;
pub use work_api::WorkApi;
