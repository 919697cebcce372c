//! Traces over OTLP/gRPC, as the standard OTEL_* variables say.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Tracer};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::service::BuildError;

/// The share of traces that begin here and are kept; callers decide for theirs.
const KEPT: f64 = 0.1;

/// Where the environment says that the collector is.
pub(super) fn endpoint() -> Option<String> {
    [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]
    .iter()
    .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Sends spans to the collector at `endpoint`. Must be called within the runtime.
pub(super) fn provider(
    service: &'static str,
    endpoint: &str,
) -> Result<SdkTracerProvider, BuildError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(BuildError::step("reach the OpenTelemetry collector"))?;
    let resource = Resource::builder()
        .with_service_name(format!("reeve-{service}"))
        .build();
    let builder = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource);
    // The SDK reads OTEL_TRACES_SAMPLER by itself, unless it is given a sampler.
    let builder = if std::env::var_os("OTEL_TRACES_SAMPLER").is_some() {
        builder
    } else {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(KEPT)));
        builder.with_sampler(sampler)
    };
    Ok(builder.build())
}

/// The layer that turns spans of `tracing` into spans of OpenTelemetry.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, Tracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer().with_tracer(provider.tracer("reeve"))
}
