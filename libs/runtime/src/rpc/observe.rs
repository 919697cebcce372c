//! The outermost step: a call gets its request id, its place in a trace and a span; how it ended is
//! counted and, when it failed by a fault of the server, logged. Payloads and credentials never are.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{Instrument as _, Span, field};

use super::method::Methods;
use super::{Call, Handle};
use crate::metrics::Metrics;
use crate::telemetry;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

/// Step 1.
pub(super) struct Observe<H> {
    pub(super) service: &'static str,
    pub(super) methods: Methods,
    pub(super) metrics: Metrics,
    pub(super) next: H,
}

impl<H: Handle> Handle for Observe<H> {
    async fn handle(&self, mut call: Call) -> Response<Body> {
        call.method = self.methods.at(call.request.uri().path());
        call.request_id = request_id(&call.request);
        let name = call.method.map_or("_OTHER", |method| method.name);
        // At the level of the gravest event in it: a filter that hides the span hides its fields too.
        let span = tracing::error_span!(
            "rpc",
            otel.name = name,
            otel.kind = "server",
            rpc.system.name = "grpc",
            rpc.method = name,
            service = self.service,
            request_id = call.request_id,
            trace_id = field::Empty,
            tenant = field::Empty,
            code = field::Empty,
        );
        let incoming = call.request.headers().get("traceparent");
        let incoming = incoming.and_then(|value| value.to_str().ok()?.parse().ok());
        call.trace = telemetry::adopt(&span, incoming);
        span.record(
            "trace_id",
            field::display(format_args!("{:032x}", call.trace.trace_id)),
        );

        let header = HeaderValue::from_str(&call.request_id);
        let record = Record {
            method: name,
            metrics: self.metrics.clone(),
            started: Instant::now(),
            span: span.clone(),
            ended: false,
        };
        let mut response = Box::pin(self.next.handle(call).instrument(span)).await;
        if let Ok(value) = header {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        record.watch(response)
    }
}

/// The client's id, unless it is too long or cannot be printed.
fn request_id(request: &Request<Body>) -> String {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let usable = |id: &&str| !id.is_empty() && id.len() <= LONGEST_REQUEST_ID;
    given
        .filter(usable)
        .map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Reports a call once: when its status is known, or when the client left before.
struct Record {
    method: &'static str,
    metrics: Metrics,
    started: Instant,
    span: Span,
    ended: bool,
}

impl Record {
    fn watch(mut self, response: Response<Body>) -> Response<Body> {
        if !response.status().is_success() {
            self.end(Code::InvalidArgument);
            return response;
        }
        if let Some(code) = code_of(response.headers()) {
            self.end(code);
            return response;
        }
        response.map(|inner| {
            Body::new(Watched {
                inner,
                record: self,
            })
        })
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (took, word) = (self.started.elapsed(), word(code));
        self.metrics.observe_call(self.method, word, took);
        self.span.record("code", word);
        let _entered = self.span.enter();
        let seconds = took.as_secs_f64();
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => {
                tracing::error!(seconds, "the call failed by a fault of the server");
            }
            _ => tracing::debug!(seconds, "call"),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| Code::from_bytes(value.as_bytes()))
}

pin_project! {
    /// A body of which the trailers end the record.
    struct Watched {
        #[pin]
        inner: Body,
        record: Record,
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let polled = {
            let _entered = this.record.span.enter();
            this.inner.poll_frame(context)
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(code) = frame.trailers_ref().and_then(code_of)
        {
            this.record.end(code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The code as metrics and logs spell it.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use reeve_status::Fault;
    use tokio_util::sync::CancellationToken;
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::{EnvFilter, fmt};

    use super::*;

    struct Buggy;

    impl Handle for Buggy {
        async fn handle(&self, _: Call) -> Response<Body> {
            super::super::refuse(Fault::internal())
        }
    }

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_failed_call_is_named_however_quiet_the_log() {
        for filter in ["warn", "error"] {
            let page = Page::default();
            let writer = page.clone();
            let lines = fmt::layer()
                .with_ansi(false)
                .with_writer(move || writer.clone());
            let quiet =
                tracing_subscriber::registry().with(lines.with_filter(EnvFilter::new(filter)));
            let _logging = tracing::subscriber::set_default(quiet);
            let observe = Observe {
                service: "test",
                methods: Methods::served(&["reeve.event.v1.EventService"]),
                metrics: Metrics::new("test"),
                next: Buggy,
            };
            let request = Request::post("/reeve.event.v1.EventService/GetEvent")
                .header(REQUEST_ID, "mine-7")
                .header(
                    "traceparent",
                    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                )
                .body(Body::empty())
                .expect("a request");
            let call = Call::new(request, CancellationToken::new());
            let _ = observe.handle(call).await;
            let text = String::from_utf8(page.0.lock().unwrap().clone()).expect("text");
            for wanted in [
                "the call failed by a fault of the server",
                "request_id=\"mine-7\"",
                "0af7651916cd43dd8448eb211c80319c",
                "EventService/GetEvent",
            ] {
                assert!(text.contains(wanted), "{wanted} is not in {text:?}");
            }
        }
    }
}
