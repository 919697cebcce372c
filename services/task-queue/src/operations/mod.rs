//! One file for each verb. The hot ones go through a lane, which is their transaction.

mod cancel;
mod create;
pub mod events;
mod lease;
mod read;
pub mod release;
mod report;
mod retry;
pub mod settling;
mod task_types;
mod watch;

pub use cancel::cancel;
pub use create::{Creation, create, create_batch};
pub use lease::{LeaseAsk, hand_on, lease, pull};
pub use read::{get, list};
pub use report::{Failure, Rejection, Report};
pub use retry::retry;
pub use task_types::{TypeFilter, create_type, delete_type, get_type, list_types, update_type};
pub use watch::{Change, Watch};
