//! Calls to Reeve's other services: one lazy connection each, a service token, the deadline and
//! trace of the call being served, and retries while a peer is away.

use std::error::Error as _;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use reeve_auth::ServiceTokens;
use reeve_ids::{TenantId, Uuid};
use reeve_status::{Code, Fault, Reason};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::call::CallContext;
use crate::config::PeersConfig;
use crate::loops::{chain, jittered};
use crate::service::BuildError;
use crate::trace::TraceContext;

/// Deadline of a call when the one being served leaves more.
const DEADLINE: Duration = Duration::from_secs(5);
/// Kept back from the caller's deadline, so that it still gets an answer.
const MARGIN: Duration = Duration::from_millis(50);
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// When the caller of this service may try again, once this service has given up.
const RETRY: Duration = Duration::from_secs(1);
/// How often a quiet connection is asked whether the peer is still there, and how long it may take
/// to answer: what a frozen replica costs at most, before another is found.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The five services, as one of them sees the others.
#[derive(Debug, Clone)]
pub struct Peers {
    /// agent-registry.
    pub agent_registry: Peer,
    /// task-queue.
    pub task_queue: Peer,
    /// workflow-engine.
    pub workflow_engine: Peer,
    /// finance.
    pub finance: Peer,
    /// incident.
    pub incident: Peer,
}

impl Peers {
    /// The peers of the service named `caller`. Nothing is connected before it is called.
    ///
    /// # Errors
    /// When an address is not a URL.
    pub fn new(
        config: &PeersConfig,
        caller: &'static str,
        tokens: &ServiceTokens,
    ) -> Result<Self, BuildError> {
        let peer = |name, url: &str| Peer::new(name, url, caller, tokens.clone());
        Ok(Self {
            agent_registry: peer("agent-registry", &config.agent_registry)?,
            task_queue: peer("task-queue", &config.task_queue)?,
            workflow_engine: peer("workflow-engine", &config.workflow_engine)?,
            finance: peer("finance", &config.finance)?,
            incident: peer("incident", &config.incident)?,
        })
    }
}

/// Another service.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    caller: &'static str,
    channel: Channel,
    tokens: ServiceTokens,
    standing: AtomicU8,
}

/// How a peer was when it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Standing {
    Answering,
    Away,
    /// It is there, and takes this service for a stranger.
    Refusing,
}

impl Peer {
    /// A peer at "http://host:port", called by the service named `caller`.
    ///
    /// # Errors
    /// When the address is not a URL.
    pub fn new(
        name: &'static str,
        url: &str,
        caller: &'static str,
        tokens: ServiceTokens,
    ) -> Result<Self, BuildError> {
        let channel = Endpoint::from_shared(url.to_owned())
            .map_err(BuildError::step("read the address of a peer"))?
            .connect_timeout(Duration::from_secs(3))
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Self(Arc::new(Inner {
            name,
            caller,
            channel,
            tokens,
            standing: AtomicU8::new(Standing::Answering as u8),
        })))
    }

    /// The connection, for a generated client.
    pub fn channel(&self) -> Channel {
        self.0.channel.clone()
    }

    /// A request on behalf of a tenant, with credential, deadline and trace.
    pub fn request<M>(&self, tenant: TenantId, message: M) -> tonic::Request<M> {
        let context = CallContext::current();
        let trace = context
            .as_ref()
            .map_or_else(TraceContext::start, |call| call.trace);
        let deadline = context
            .as_ref()
            .and_then(CallContext::remaining)
            .map_or(DEADLINE, |left| {
                left.saturating_sub(MARGIN)
                    .max(Duration::from_millis(1))
                    .min(DEADLINE)
            });
        let token = self.0.tokens.mint(self.0.caller, tenant);
        let mut request = tonic::Request::new(message);
        request.set_timeout(deadline);
        insert(&mut request, "authorization", &format!("Bearer {token}"));
        insert(&mut request, "traceparent", &trace.to_string());
        if let Some(call) = context {
            insert(&mut request, "x-request-id", &call.request_id);
        }
        request
    }

    /// A request that belongs to no tenant, for RPCs that only services may call.
    pub fn internal<M>(&self, message: M) -> tonic::Request<M> {
        self.request(TenantId::from_uuid(Uuid::nil()), message)
    }

    /// A request that stays within a trace that was stored, for work that goes on after the call
    /// that asked for it.
    pub fn request_in<M>(
        &self,
        tenant: TenantId,
        traceparent: Option<&str>,
        message: M,
    ) -> tonic::Request<M> {
        let mut request = self.request(tenant, message);
        if let Some(trace) = traceparent.and_then(|text| text.parse::<TraceContext>().ok()) {
            insert(&mut request, "traceparent", &trace.to_string());
        }
        request
    }

    /// Calls, and calls again after a growing pause while the peer is UNAVAILABLE: four times in
    /// all, within the deadline of the call being served. `attempt` makes a new request each time;
    /// what it calls must be safe to repeat, as every RPC with a request_id is.
    ///
    /// # Errors
    /// The last answer.
    pub async fn call<T, F, R>(&self, mut attempt: F) -> Result<T, Fault>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let mut pause = FIRST_PAUSE;
        for tried in 1.. {
            let (fault, standing) = match attempt().await {
                Ok(response) => {
                    self.note(Standing::Answering, None);
                    return Ok(response.into_inner());
                }
                Err(status) => self.judge(&status),
            };
            let wait = jittered(fault.retry_after().unwrap_or(pause).max(pause), 0.2);
            let left = CallContext::current().and_then(|call| call.remaining());
            let too_late = left.is_some_and(|left| left <= wait + MARGIN);
            let hopeless = !fault.is_retryable() || standing == Standing::Refusing;
            if hopeless || tried >= TRIES || too_late {
                return Err(with_time_to_retry(fault));
            }
            tracing::debug!(
                peer = self.0.name,
                tried,
                "the peer is unavailable; trying again"
            );
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        unreachable!("the loop returns after the last try")
    }

    /// What a status means to whoever called this service, and what it tells of the peer. A broken
    /// connection, a peer with too much to do and one that refuses this service's own credential are
    /// UNAVAILABLE: the caller has done nothing wrong.
    fn judge(&self, status: &tonic::Status) -> (Fault, Standing) {
        let fault = Fault::from(status);
        let said_by_a_server = !status.details().is_empty();
        let unknown_here = match status.code() {
            tonic::Code::Unauthenticated => true,
            tonic::Code::PermissionDenied => fault.reason() == Reason::PermissionMissing,
            _ => false,
        };
        if unknown_here {
            self.note(Standing::Refusing, Some(status));
            return (
                self.unavailable("does not accept this service"),
                Standing::Refusing,
            );
        }
        if said_by_a_server {
            self.note(Standing::Answering, None);
            let overloaded = fault.reason() == Reason::Overloaded;
            let fault = match fault.retry_after() {
                Some(delay) if overloaded => {
                    let fault = self.unavailable("has too much to do");
                    fault.with_retry_after(delay)
                }
                _ => fault,
            };
            return (fault, Standing::Answering);
        }
        if status.code() == tonic::Code::Cancelled && status.message().contains("Timeout expired") {
            let message = format!("{} did not answer in time", self.0.name);
            let fault = Fault::new(Code::DeadlineExceeded, Reason::DeadlinePassed, message);
            return (fault, Standing::Away);
        }
        let broken = matches!(
            status.code(),
            tonic::Code::Unavailable
                | tonic::Code::Unknown
                | tonic::Code::Cancelled
                | tonic::Code::Internal
        );
        if broken {
            self.note(Standing::Away, Some(status));
            return (self.unavailable("cannot be reached"), Standing::Away);
        }
        (fault, Standing::Answering)
    }

    fn unavailable(&self, what: &str) -> Fault {
        let message = format!("{} {what}", self.0.name);
        Fault::new(Code::Unavailable, Reason::PeerUnavailable, message).with("peer", self.0.name)
    }

    /// Tells the log of a change, once; what the transport says stays in the log.
    fn note(&self, standing: Standing, status: Option<&tonic::Status>) {
        if self.0.standing.swap(standing as u8, Ordering::Relaxed) == standing as u8 {
            return;
        }
        let peer = self.0.name;
        let said = status.map(|status| {
            status
                .source()
                .map_or_else(|| status.message().to_owned(), chain)
        });
        match standing {
            Standing::Answering => tracing::info!(peer, "the peer answers again"),
            Standing::Away => tracing::warn!(peer, said, "the peer cannot be reached"),
            Standing::Refusing => tracing::error!(
                peer,
                said,
                "the peer refuses this service's token: their secrets or their clocks differ"
            ),
        }
    }
}

fn with_time_to_retry(fault: Fault) -> Fault {
    match fault.retry_after() {
        None if fault.is_retryable() => fault.with_retry_after(RETRY),
        _ => fault,
    }
}

fn insert<M>(request: &mut tonic::Request<M>, key: &'static str, value: &str) {
    if let Ok(value) = value.parse::<MetadataValue<Ascii>>() {
        request.metadata_mut().insert(key, value);
    }
}
