//! The port for probes and Prometheus: plain HTTP, since neither speaks mutual TLS; not for clients.

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::health::{Health, State};
use crate::metrics::Metrics;

#[derive(Clone)]
struct Admin {
    service: &'static str,
    health: Health,
    metrics: Metrics,
}

/// Serves the admin port until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    service: &'static str,
    health: Health,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let router = Router::new()
        // An answer proves that the process schedules work; dependencies are no reason to kill it.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/version", get(version))
        .with_state(Admin {
            service,
            health,
            metrics,
        });
    tokio::select! {
        ended = axum::serve(listener, router) => {
            if let Err(error) = ended {
                tracing::error!(%error, "the admin port failed");
            }
        }
        () = stop.cancelled() => {}
    }
}

async fn readyz(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    match admin.health.state() {
        State::Serving => (StatusCode::OK, "ready\n"),
        State::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        State::NotReady => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer\n",
        ),
        State::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn metrics_page(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.metrics.render())
}

async fn version(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    let version = serde_json::json!({
        "service": admin.service,
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("REEVE_COMMIT").unwrap_or("unknown"),
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        version.to_string(),
    )
}
