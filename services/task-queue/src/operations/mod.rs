//! One file for each verb. The hot ones go through a lane, which is their transaction.

mod aside;
mod bulk;
mod bulk_cancel;
mod cancel;
mod create;
mod discard;
pub mod events;
mod figures;
mod lease;
mod pause;
mod queues;
mod read;
mod redrive;
pub mod release;
mod report;
mod resume;
mod retry;
pub mod schedule;
pub mod settling;
mod task_types;
mod watch;

pub use aside::{Asides, set_aside};
pub use bulk::{BulkAsk, Tally, Verb, bulk};
pub use cancel::cancel;
pub use create::{Creation, create, create_batch, creator};
pub use discard::discard;
pub use figures::Figures;
pub use lease::{LeaseAsk, hand_on, lease, pull};
pub use pause::{Expected, pause_queue, pause_tasks};
pub use queues::{QueueView, get_queue, list_brakes, list_queues, load};
pub use read::{get, list};
pub use report::{Failure, Rejection, Report};
pub use resume::{resume_queue, resume_tasks};
pub use retry::retry;
pub use task_types::{TypeFilter, create_type, delete_type, get_type, list_types, update_type};
pub use watch::{Change, Watch};
