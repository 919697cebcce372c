//! What a service hands to the runtime: its RPCs, its loops and how to tell whether it is ready.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reeve_auth::Authenticator;

use crate::Loop;

/// Any error, where the only use of it is to be logged.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// A built service, ready to be served by [`crate::run`].
pub struct Service {
    /// The name that logs, tokens and operators use, for example "task-queue".
    pub name: &'static str,
    /// The RPCs, without health and reflection, which the runtime adds. Wrap each server with
    /// [`crate::limited!`], so that its size limits are Reeve's.
    pub routes: tonic::service::Routes,
    /// Full names of the services in `routes`, for example "reeve.task.v1.TaskService". An RPC of
    /// any other is answered with UNIMPLEMENTED.
    pub grpc_services: Vec<&'static str>,
    /// Background work, supervised until the server drains, or a little longer: see [`Loop::last`].
    pub loops: Vec<Loop>,
    /// Decides whose a credential is.
    pub authenticator: Arc<dyn Authenticator>,
    /// Whether the service can do its work now.
    pub ready: ReadyProbe,
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Service")
            .field("name", &self.name)
            .field("grpc_services", &self.grpc_services)
            .field("loops", &self.loops)
            .finish_non_exhaustive()
    }
}

/// Asks whether the service can do its work: is its own database reachable? Other services are
/// never asked, since one that is down would take the others with it.
#[derive(Clone)]
pub struct ReadyProbe(Arc<dyn Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>);

impl ReadyProbe {
    /// A probe that runs `check`; an error says why the service is not ready.
    pub fn new<F, R, E>(check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move || {
            let answer = check();
            async move { answer.await.map_err(Into::into) }.boxed()
        }))
    }

    /// A probe for a service that depends on nothing.
    pub fn always() -> Self {
        Self::new(|| async { Ok::<(), BoxError>(()) })
    }

    pub(crate) async fn check(&self) -> Result<(), BoxError> {
        (self.0)().await
    }
}

impl fmt::Debug for ReadyProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReadyProbe")
    }
}

/// Why a service could not be built. The text names what was being built and the cause.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration has faults; all of them are listed.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A step of the building failed.
    #[error("{step}: {source}")]
    Step {
        /// What was being done, for example "connect to PostgreSQL".
        step: &'static str,
        /// Why it failed.
        source: BoxError,
    },
}

impl BuildError {
    /// The failure of a step, for `map_err`.
    pub fn step<E: Into<BoxError>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Step {
            step,
            source: source.into(),
        }
    }
}
