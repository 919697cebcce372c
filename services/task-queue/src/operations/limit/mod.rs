//! Limits: setting them, and the room that tasks have within them.

mod delete;
mod read;
mod room;
mod set;
mod throttle;

pub use delete::delete;
pub use read::{LimitView, get, list};
pub use room::{make_room, park_full};
pub use set::{Ask, set};
pub use throttle::Throttle;
