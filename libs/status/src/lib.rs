//! The closed set of error codes and reasons, and their translation to and from gRPC status.
//!
//! Every error that leaves a service is a [`Fault`]: one [`Code`], one [`Reason`] and the details
//! that the code calls for. [`Violations`] collects every fault of a request before the first is
//! reported. Internal text never becomes a fault: [`Fault::internal`] says only that a bug was met.

mod code;
mod fault;
mod reason;
mod violations;
mod wire;

pub use code::Code;
pub use fault::{Fault, Precondition, Quota, Resource};
pub use reason::Reason;
pub use violations::{Violation, Violations};

/// The `domain` of every ErrorInfo.
pub const DOMAIN: &str = "reeve";
