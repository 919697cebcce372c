//! The stack that every call passes, outermost first. Each step is one file, named after what it
//! does, and holds the next:
//!
//! 1. [`observe`]: request id, trace, span, metrics, one log line;
//! 2. [`repair`]: the codes and details that tonic alone would get wrong;
//! 3. [`catch_panic`]: INTERNAL instead of a broken connection;
//! 4. [`recognize`]: UNIMPLEMENTED for what no contract has;
//! 5. [`end_streams`]: at the drain, or when the connection is too old;
//! 6. [`deadline`]: the caller's, or the default;
//! 7. [`shed`]: no more work at the same time than the server can do;
//! 8. [`authenticate`]: who calls, and whether they may;
//! 9. [`Serve`]: the service.

mod authenticate;
mod body;
mod catch_panic;
mod deadline;
mod end_streams;
mod method;
mod observe;
mod recognize;
mod repair;
mod shed;

use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};
use reeve_auth::Authenticator;
use reeve_status::Fault;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

use crate::config::LimitsConfig;
use crate::metrics::Metrics;
use crate::trace::TraceContext;
use authenticate::Authenticate;
use catch_panic::CatchPanic;
use deadline::Deadline;
use end_streams::EndStreams;
use method::{Method, Methods};
use observe::Observe;
use recognize::Recognize;
use repair::Repair;
use shed::Shed;

pub use repair::inbound_fault;

/// One call on its way through the stack.
pub(crate) struct Call {
    request: Request<Body>,
    method: Option<&'static Method>,
    request_id: String,
    trace: TraceContext,
    /// Cancelled when the connection is too old for its streams to go on.
    connection_expired: CancellationToken,
}

impl Call {
    /// A call as it arrives.
    pub(crate) fn new(request: Request<Body>, connection_expired: CancellationToken) -> Self {
        let trace = TraceContext::start();
        Self {
            request,
            method: None,
            request_id: String::new(),
            trace,
            connection_expired,
        }
    }

    fn is_stream(&self) -> bool {
        self.method.is_some_and(|method| method.streams)
    }

    fn is_long_poll(&self) -> bool {
        self.method.is_some_and(|method| method.long_poll)
    }

    /// Whether the handler looks for the credential in the message.
    fn admits_by_itself(&self) -> bool {
        self.method.is_some_and(|method| method.admits)
    }

    fn is_open(&self) -> bool {
        self.method.is_some_and(|method| method.open)
    }
}

/// A step of the stack. Static dispatch: the whole stack is one future, boxed once.
pub(crate) trait Handle: Send + Sync + 'static {
    /// Answers a call, or hands it to the next step.
    fn handle(&self, call: Call) -> impl Future<Output = Response<Body>> + Send;
}

/// The last step: the service itself.
pub(crate) struct Serve(Routes);

impl Handle for Serve {
    async fn handle(&self, call: Call) -> Response<Body> {
        match self.0.clone().call(call.request).await {
            Ok(response) => response,
        }
    }
}

/// An answer that is an error, without a body.
fn refuse(fault: Fault) -> Response<Body> {
    tonic::Status::from(fault).into_http()
}

/// What the stack needs to know of its server.
pub(crate) struct StackConfig<'a> {
    pub(crate) service: &'static str,
    pub(crate) routes: Routes,
    pub(crate) grpc_services: &'a [&'static str],
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) limits: &'a LimitsConfig,
    pub(crate) metrics: Metrics,
    pub(crate) drain: CancellationToken,
}

/// Builds the stack of a server.
pub(crate) fn stack(config: StackConfig<'_>) -> impl Handle {
    let limits = config.limits;
    let serve = Serve(config.routes.prepare());
    let authenticate = Authenticate {
        authenticator: config.authenticator,
        next: serve,
    };
    let shed = Shed::new(limits, config.metrics.clone(), authenticate);
    let deadline = Deadline {
        unary: limits.unary_deadline,
        next: shed,
    };
    let end_streams = EndStreams {
        drain: config.drain,
        next: deadline,
    };
    let methods = Methods::served(config.grpc_services);
    let recognize = Recognize { next: end_streams };
    let catch_panic = CatchPanic { next: recognize };
    let repair = Repair { next: catch_panic };
    Observe {
        service: config.service,
        methods,
        metrics: config.metrics,
        next: repair,
    }
}
