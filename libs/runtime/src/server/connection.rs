//! One client's connection: served until it is too old, the server drains, or the client leaves.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use crate::config::LimitsConfig;
use crate::loops::jittered;
use crate::rpc::{Call, Handle};

/// What a client of HTTP/2 says first: the preface and the head of its settings. Before it, neither
/// keepalive nor a graceful end reaches the client (hyper#4170).
const HELLO: usize = 24 + 9;
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
        let heard = Arc::new(AtomicUsize::new(0));
        let hearing = heard.clone();
        let stream = InspectReader::new(stream, move |bytes: &[u8]| {
            hearing.fetch_add(bytes.len(), Ordering::Relaxed);
        });
        let greeted = || heard.load(Ordering::Relaxed) >= HELLO;
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
            () = silence(self.limits.handshake_timeout, greeted) => return,
            () = tokio::time::sleep(jittered(self.limits.connection_age, 0.1)) => {}
            () = self.drain.cancelled() => {
                if !greeted() {
                    return;
                }
            }
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

/// Ends after `patience`, if the client has not said its first words by then.
async fn silence(patience: Duration, greeted: impl Fn() -> bool) {
    tokio::time::sleep(patience).await;
    if greeted() {
        std::future::pending().await
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
