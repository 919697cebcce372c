//! One client's connection: served until it is too old, the server drains, or the client leaves.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use crate::config::LimitsConfig;
use crate::loops::jittered;
use crate::rpc::{Call, Handle};

/// Who connects and then says nothing is sent away.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// Time for streams to hear that they ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What every connection of a server shares.
pub(super) struct Connections<H> {
    pub(super) stack: Arc<H>,
    pub(super) limits: LimitsConfig,
    /// The server drains: finish the calls under way, accept no more.
    pub(super) drain: CancellationToken,
    /// The server stops now, whatever is under way.
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl<H: Handle> Connections<H> {
    /// Serves one connection to its end.
    pub(super) async fn serve(&self, stream: TcpStream) {
        let mut first = [0_u8];
        tokio::select! {
            peeked = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut first)) => {
                if !matches!(peeked, Ok(Ok(1))) {
                    return;
                }
            }
            () = self.drain.cancelled() => return,
        }
        // Latency over fewer packets. A failure leaves a slower connection.
        let _ = stream.set_nodelay(true);
        let cut = self.stop.child_token();
        let _cut_streams_too = cut.clone().drop_guard();
        let expired = CancellationToken::new();
        let stack = &self.stack;
        let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
            let (stack, call) = (
                stack.clone(),
                Call::new(request.map(Body::new), expired.clone()),
            );
            Box::pin(async move { Ok::<_, std::convert::Infallible>(stack.handle(call).await) })
        });
        let tasks = StreamTasks {
            cut: cut.clone(),
            tracker: self.tasks.clone(),
        };
        let connection = self
            .protocol(tasks)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);

        tokio::select! {
            ended = connection.as_mut() => return report(ended),
            () = tokio::time::sleep(jittered(self.limits.connection_age, 0.1)) => {}
            () = self.drain.cancelled() => {}
            () = cut.cancelled() => return,
        }
        // GOAWAY: calls under way go on, new ones find another connection.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection.as_mut() => return report(ended),
            () = tokio::time::sleep(self.limits.connection_grace) => {}
            () = cut.cancelled() => return,
        }
        expired.cancel();
        tokio::select! {
            ended = connection => report(ended),
            () = tokio::time::sleep(LAST_WORDS) => {}
            () = cut.cancelled() => {}
        }
    }

    fn protocol(&self, tasks: StreamTasks) -> http2::Builder<StreamTasks> {
        let mut builder = http2::Builder::new(tasks);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams_per_connection)
            .max_header_list_size(self.limits.header_bytes)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 22)
            .keep_alive_interval(self.limits.keepalive_interval)
            .keep_alive_timeout(self.limits.keepalive_timeout);
        builder
    }
}

fn report(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Where the protocol runs the calls of one connection: counted, and cut off with it.
#[derive(Clone)]
struct StreamTasks {
    cut: CancellationToken,
    tracker: TaskTracker,
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let cut = self.cut.clone();
        let task = async move {
            tokio::select! {
                () = future => {}
                () = cut.cancelled() => {}
            }
        };
        crate::spawn("call", self.tracker.track_future(task));
    }
}
