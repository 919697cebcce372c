//! Traces, received by a collector.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span as Received;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::*;

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Received>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|s| s.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_reaches_the_collector_within_the_callers_trace() {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    let serving = Server::builder().add_service(service);
    crate::spawn(
        "collector",
        serving.serve_with_incoming(TcpListenerStream::new(listener)),
    );

    let provider = otlp::provider("test", &endpoint).expect("an exporter");
    let subscriber = tracing_subscriber::registry().with(otlp::layer(&provider));
    let parent = TraceContext {
        sampled: true,
        ..TraceContext::start()
    };
    let own = tracing::subscriber::with_default(subscriber, || {
        adopt(&tracing::info_span!("rpc", otel.name = "a/B"), Some(parent))
    });
    assert_eq!((own.trace_id, own.sampled), (parent.trace_id, true));
    assert_ne!(own.span_id, parent.span_id);

    let telemetry = Telemetry(Some(provider));
    tokio::task::spawn_blocking(move || drop(telemetry))
        .await
        .expect("the flush does not panic");
    let spans = collector.0.lock().unwrap().clone();
    let [span] = &spans[..] else {
        panic!("one span, not {spans:?}")
    };
    assert_eq!(span.name, "a/B");
    assert_eq!(span.trace_id, parent.trace_id.to_be_bytes());
    assert_eq!(span.parent_span_id, parent.span_id.to_be_bytes());
    assert_eq!(span.span_id, own.span_id.to_be_bytes());
}

#[test]
fn without_a_collector_the_trace_still_goes_on() {
    let parent = TraceContext::start();
    let own = adopt(&Span::none(), Some(parent));
    assert_eq!(own.trace_id, parent.trace_id);
    assert_ne!(own.span_id, parent.span_id);
    assert_ne!(adopt(&Span::none(), None).trace_id, parent.trace_id);
}
