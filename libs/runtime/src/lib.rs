//! What every server does: configuration, telemetry, the gRPC server builder, supervised loops and drain.
//!
//! A service is built from its configuration and [`Deps`] into a [`Service`], which [`run`] serves
//! until a signal:
//! - [`config`] reads defaults < file < environment < flags and reports every mistake at once;
//! - `server` accepts connections, drains, and serves /livez, /readyz, /metrics and /version;
//! - `rpc` is the stack that every call passes;
//! - [`answer`] keeps pages and messages below the size that clients accept;
//! - [`Loop`]s run until the drain, [`peer`] calls the other services.

pub mod answer;
mod call;
pub mod config;
mod deps;
mod loops;
mod metrics;
pub mod peer;
mod rpc;
mod server;
mod service;
mod supervise;
pub mod telemetry;
mod trace;

pub use call::CallContext;
pub use deps::Deps;
pub use loops::{Loop, Progress};
pub use metrics::Metrics;
pub use peer::{Peer, Peers};
pub use rpc::inbound_fault;
pub use server::{Settings, Shutdown, run};
pub use service::{BoxError, BuildError, ReadyProbe, Service};
pub use supervise::spawn;
pub use trace::TraceContext;

/// The largest message that is accepted or sent: 4 MiB, which is what clients in every language
/// accept unless told otherwise.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Gives a generated server Reeve's size limits, and lets clients compress with gzip:
/// `limited!(TaskServiceServer::new(api))`.
#[macro_export]
macro_rules! limited {
    ($server:expr) => {
        $server
            .max_decoding_message_size($crate::MAX_MESSAGE_BYTES)
            .max_encoding_message_size($crate::MAX_MESSAGE_BYTES)
            .accept_compressed(::tonic::codec::CompressionEncoding::Gzip)
    };
}
