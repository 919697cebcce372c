//! Whether the server serves: grpc.health.v1 for clients, and the same state for /readyz.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use reeve_status::Fault;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health as HealthRpc;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::loops::chain;
use crate::service::ReadyProbe;

const PERIOD: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a service's name.
const LONGEST_NAME: usize = 1_000;
/// One lost probe is no outage.
const FAILURES: u32 = 2;

/// What the server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not yet known to be ready.
    Starting,
    /// Ready for calls.
    Serving,
    /// Its own database does not answer.
    NotReady,
    /// Shutting down; final.
    Draining,
}

/// The state of one server and of all its services, which stand and fall together.
#[derive(Clone)]
pub(crate) struct Health {
    state: Arc<watch::Sender<State>>,
    services: Arc<[&'static str]>,
}

impl Health {
    pub(crate) fn new(services: &[&'static str]) -> Self {
        let services = services
            .iter()
            .copied()
            .chain(["", "grpc.health.v1.Health"])
            .collect();
        Self {
            state: Arc::new(watch::Sender::new(State::Starting)),
            services,
        }
    }

    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Moves to a state, unless the server drains already.
    pub(crate) fn set(&self, next: State) {
        self.state.send_if_modified(|state| {
            let moves = *state != State::Draining && *state != next;
            if moves {
                tracing::info!(from = ?*state, to = ?next, "health changed");
                *state = next;
            }
            moves
        });
    }

    /// Asks `probe` every second until `stop`.
    pub(crate) async fn follow(self, probe: ReadyProbe, stop: CancellationToken) {
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            let problem = match tokio::time::timeout(PATIENCE, probe.check()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(chain(&*error)),
                Err(_) => Some("no answer in time".to_owned()),
            };
            match problem {
                None => {
                    failures = 0;
                    self.set(State::Serving);
                }
                Some(problem) => {
                    failures = failures.saturating_add(1);
                    if failures == FAILURES {
                        tracing::warn!(problem, "the service is not ready");
                    }
                    if failures >= FAILURES {
                        self.set(State::NotReady);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    fn knows(&self, service: &str) -> bool {
        self.services.contains(&service)
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

fn serving(state: State) -> ServingStatus {
    match state {
        State::Serving => ServingStatus::Serving,
        State::Starting | State::NotReady | State::Draining => ServingStatus::NotServing,
    }
}

/// The service that is asked for. Anybody may ask, so the name is not taken at any length.
fn asked(request: Request<HealthCheckRequest>) -> Result<String, Status> {
    let service = request.into_inner().service;
    if service.len() > LONGEST_NAME {
        let description = format!("must have at most {LONGEST_NAME} bytes");
        return Err(Fault::invalid("service", description).into());
    }
    Ok(service)
}

#[tonic::async_trait]
impl HealthRpc for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = asked(request)?;
        if !self.knows(&service) {
            return Err(Fault::not_found("service", service).into());
        }
        Ok(Response::new(answer(serving(self.state()))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = asked(request)?;
        if !self.knows(&service) {
            // The protocol asks for this and an open stream, not for an error.
            let unknown = stream::once(async { Ok(answer(ServingStatus::ServiceUnknown)) });
            return Ok(Response::new(unknown.chain(stream::pending()).boxed()));
        }
        let states = WatchStream::new(self.state.subscribe()).map(serving);
        let changes = states.scan(None, |last, status| {
            let changed = last.replace(status) != Some(status);
            futures::future::ready(Some(changed.then_some(status)))
        });
        let answers = changes.filter_map(|status| futures::future::ready(status.map(answer)));
        Ok(Response::new(answers.map(Ok).boxed()))
    }
}
