//! What each kind of thing can be asked.

pub mod agents;
pub mod approvals;
mod chosen_tasks;
mod delegations;
pub mod events;
pub mod finance;
pub mod gates;
pub mod incidents;
pub mod keys;
pub mod limits;
pub mod queues;
pub mod schedules;
pub mod task_types;
pub mod tasks;
mod wanted;
pub mod workflows;

use indicatif::{ProgressBar, ProgressStyle};

/// Calls one RPC with a message and yields its answer or its fault.
macro_rules! call {
    ($session:expr, $service:ident, $client:ident, $method:ident, $message:expr) => {{
        let service = crate::client::session::Service::$service;
        let channel = $session.channel(service)?;
        let request = $session.request($message);
        let answer = $client::new(channel).$method(request).await;
        $session.answer(service, answer)?
    }};
}

/// Calls an RPC that has one effect however often it is called, again when it is interrupted.
macro_rules! persist {
    ($session:expr, $service:ident, $client:ident, $method:ident, $message:expr) => {{
        let service = crate::client::session::Service::$service;
        let channel = $session.channel(service)?;
        let message = $message;
        let call = || {
            let request = $session.request(message.clone());
            let mut client = $client::new(channel.clone());
            async move { client.$method(request).await }
        };
        crate::client::follow::persist($session, service, call).await?
    }};
}

/// Follows a server stream: opens it with the message made of a cursor, and again behind the last
/// cursor when it is interrupted.
macro_rules! follow {
    ($session:expr, $service:ident, $client:ident, $method:ident, $cursor:expr, $message:expr, $hear:expr) => {{
        let service = crate::client::session::Service::$service;
        let channel = $session.channel(service)?;
        let open = |cursor| {
            let request = $session.stream($message(cursor));
            let mut client = $client::new(channel.clone());
            async move { client.$method(request).await }
        };
        crate::client::follow::follow($session, service, $cursor, open, $hear).await?
    }};
}

pub(super) use {call, follow, persist};

/// A bar for people who wait; nobody else sees it, since it hides where stderr is no terminal.
fn bar() -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(100);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos:>3}%  {msg}")?);
    Ok(bar)
}

/// Options of lists.
#[derive(Debug, Clone, clap::Args)]
pub struct Page {
    /// Rows to read, 1 to 1000.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub page_size: i32,
    /// Continues a list.
    #[arg(long, default_value = "")]
    pub page_token: String,
}
