//! The RPCs: parse, operate, render.

mod limit_api;
mod parse;
mod parse_bulk;
mod parse_limit;
mod parse_queue;
mod parse_scaler;
mod parse_schedule;
mod parse_spec;
mod parse_type;
mod parse_work;
mod portions;
mod queue_api;
mod render;
mod render_bulk;
mod render_limit;
mod render_queue;
mod render_schedule;
mod render_type;
mod scaler_api;
mod schedule_api;
mod session;
mod task_api;
mod type_api;
mod unfit;
mod work_api;

pub use limit_api::LimitApi;
pub use parse_schedule::spec_of;
pub use queue_api::QueueApi;
pub use scaler_api::ScalerApi;
pub use schedule_api::ScheduleApi;
pub use task_api::TaskApi;
pub use type_api::TypeApi;
pub use work_api::WorkApi;
