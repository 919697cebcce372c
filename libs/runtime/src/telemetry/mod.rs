//! Logs on standard output, and traces to an OpenTelemetry collector when one is configured.

mod json;
mod otlp;

use std::io::IsTerminal as _;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::config::{LogConfig, LogFormat};
use crate::service::BuildError;
use crate::trace::TraceContext;

/// Flushes what has not been sent when it is dropped; keep it until the process ends.
#[derive(Debug)]
#[must_use = "dropping it ends the export of traces"]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Sets up logs, and traces when OTEL_EXPORTER_OTLP_ENDPOINT is set. A process does this once; a
/// later call changes nothing.
///
/// # Errors
/// When the filter does not parse or the exporter cannot be built.
pub fn init(config: &LogConfig, service: &'static str) -> Result<Telemetry, BuildError> {
    let filter = EnvFilter::try_new(&config.filter).map_err(BuildError::step("read log.filter"))?;
    let lines = match config.format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .compact()
            .boxed(),
        LogFormat::Json => fmt::layer()
            .with_writer(std::io::stdout)
            .fmt_fields(JsonFields::new())
            .event_format(json::Lines { service })
            .boxed(),
    };
    let endpoint = otlp::endpoint();
    let provider = endpoint
        .map(|endpoint| otlp::provider(service, &endpoint))
        .transpose()?;
    // The filter is for people who read logs; a collector gets every span.
    let traces = provider
        .as_ref()
        .map(otlp::layer)
        .with_filter(LevelFilter::INFO);
    let installed = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces)
        .try_init();
    if installed.is_err() {
        tracing::debug!("telemetry was set up before");
    }
    Ok(Telemetry(provider))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(std::time::Duration::from_secs(2))
        {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Makes `span` part of the trace that the caller states, and says where in the trace it is. When
/// traces are not exported the ids are made here, so that logs and events can still be joined.
pub(crate) fn adopt(span: &Span, incoming: Option<TraceContext>) -> TraceContext {
    if let Some(parent) = incoming {
        let flags = if parent.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        let parent = SpanContext::new(
            TraceId::from_bytes(parent.trace_id.to_be_bytes()),
            SpanId::from_bytes(parent.span_id.to_be_bytes()),
            flags,
            true,
            TraceState::default(),
        );
        // Fails when no exporter is set up, which the next lines notice as well.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    if own.is_valid() && !own.is_remote() {
        return TraceContext {
            trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(own.span_id().to_bytes()),
            sampled: own.is_sampled(),
        };
    }
    incoming.map_or_else(TraceContext::start, TraceContext::child)
}

#[cfg(test)]
mod tests;
