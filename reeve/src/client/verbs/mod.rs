//! What each kind of thing can be asked.

pub mod agents;
pub mod events;
pub mod finance;
pub mod incidents;
pub mod keys;
pub mod tasks;
pub mod workflows;

/// Calls one RPC with a message and yields its answer or its fault.
macro_rules! call {
    ($session:expr, $service:ident, $client:ident, $method:ident, $message:expr) => {{
        let channel = $session.channel(crate::client::session::Service::$service)?;
        let request = $session.request($message);
        crate::client::session::answer($client::new(channel).$method(request).await)?
    }};
}

/// Opens a server stream.
macro_rules! open {
    ($session:expr, $service:ident, $client:ident, $method:ident, $message:expr) => {{
        let channel = $session.channel(crate::client::session::Service::$service)?;
        let request = $session.stream($message);
        crate::client::session::answer($client::new(channel).$method(request).await)?
    }};
}

pub(super) use {call, open};

/// Options of lists.
#[derive(Debug, Clone, clap::Args)]
pub struct Page {
    /// Rows to read.
    #[arg(long, default_value_t = 50)]
    pub page_size: i32,
    /// Continues a list.
    #[arg(long, default_value = "")]
    pub page_token: String,
}
