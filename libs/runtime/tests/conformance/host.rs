//! A running server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reeve_auth::{Authenticator, Credential, Principal, PrincipalKind, ServiceTokens};
use reeve_contracts::event::v1::event_service_client::EventServiceClient;
use reeve_contracts::event::v1::event_service_server::EventServiceServer;
use reeve_contracts::event::v1::{GetEventRequest, SubscribeEventsRequest};
use reeve_contracts::task::v1::work_service_server::WorkServiceServer;
use reeve_ids::TenantId;
use reeve_runtime::config::LimitsConfig;
use reeve_runtime::{Loop, Metrics, ReadyProbe, Service, Settings, Shutdown};
use reeve_status::{Code, Fault, Reason};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::service::Routes;

use crate::api::{Api, Inside};
use crate::wire::{Connection, connect};
use crate::work::Work;

/// The full name of the service.
pub const NAME: &str = "reeve.event.v1.EventService";
/// A key with every permission.
pub const KEY: &str = "key-of-an-admin";
/// A key without any.
pub const POOR_KEY: &str = "key-of-a-pauper";
/// What signs service tokens.
pub const SECRET: &str = "a secret of thirty-two characters";

struct Keys(TenantId);

#[tonic::async_trait]
impl Authenticator for Keys {
    async fn authenticate(&self, credential: &Credential) -> Result<Principal, Fault> {
        let permissions = match credential.reveal() {
            KEY => vec!["*".to_owned()],
            POOR_KEY => Vec::new(),
            other => {
                return ServiceTokens::new(SECRET).verify(other).ok_or_else(|| {
                    Fault::new(Code::Unauthenticated, Reason::CredentialInvalid, "unknown")
                });
            }
        };
        let (kind, subject) = (PrincipalKind::User, "key:1".to_owned());
        let display_name = "test".to_owned();
        Ok(Principal {
            tenant_id: self.0,
            kind,
            subject,
            display_name,
            permissions,
        })
    }
}

/// A running server.
pub struct Host {
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    pub tenant: TenantId,
    pub inside: Arc<Inside>,
    pub shutdown: Shutdown,
    pub running: JoinHandle<Option<()>>,
}

impl Host {
    /// A server with the default limits.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with settings of its own.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::ready_when(ReadyProbe::always(), change).await
    }

    /// A server with a probe of its own.
    pub async fn ready_when(ready: ReadyProbe, change: impl FnOnce(&mut Settings)) -> Self {
        let (inside, tenant) = (Arc::new(Inside::default()), TenantId::new());
        let events = EventServiceServer::new(Api(inside.clone()));
        let work = WorkServiceServer::new(Work(inside.clone()));
        let routes =
            Routes::new(reeve_runtime::limited!(events)).add_service(reeve_runtime::limited!(work));
        let service = Service {
            name: "test",
            routes,
            grpc_services: vec![NAME, "reeve.task.v1.WorkService"],
            loops: vec![carrying(&inside)],
            authenticator: Arc::new(Keys(tenant)),
            ready,
        };
        let mut settings = Settings::for_tests(Metrics::new("test"), CancellationToken::new())
            .await
            .expect("free ports");
        change(&mut settings);
        let grpc = settings.grpc.local_addr().expect("bound");
        let admin = settings.admin.local_addr().expect("bound");
        let shutdown = Shutdown::new();
        let server = reeve_runtime::run(service, settings, shutdown.clone());
        let running = reeve_runtime::spawn("server", async {
            server.await.expect("the server is built");
        });
        Self {
            grpc,
            admin,
            tenant,
            inside,
            shutdown,
            running,
        }
    }

    /// A connection and a client over it.
    pub async fn connect(&self) -> (Connection, EventServiceClient<Connection>) {
        let connection = connect(self.grpc).await;
        (connection.clone(), EventServiceClient::new(connection))
    }

    /// Waits for the end of the server.
    pub async fn ended(self) {
        tokio::time::timeout(Duration::from_secs(60), self.running)
            .await
            .expect("the server ends")
            .expect("nobody aborts it")
            .expect("it does not panic");
    }
}

/// A loop that looks at what calls left behind, which it does by itself almost never.
fn carrying(inside: &Arc<Inside>) -> Loop {
    let inside = inside.clone();
    let looped = Loop::new("carrying", Duration::from_secs(24 * 3_600), move || {
        let finished = inside.finished.load(Ordering::SeqCst);
        inside.carried.store(finished, Ordering::SeqCst);
        async { Ok::<(), reeve_runtime::BoxError>(()) }
    });
    looped.last()
}

/// Moves the clock of the test and of its servers. Set every limit of time that is not meant, the
/// deadlines of calls among them, to more than this.
pub async fn skip(length: Duration) {
    tokio::time::pause();
    tokio::time::advance(length).await;
    tokio::time::resume();
}

/// Limits of time that no test reaches, however often it skips some hours.
pub fn patient(limits: &mut LimitsConfig) {
    let days = Duration::from_secs(100 * 24 * 3_600);
    limits.unary_deadline = days;
    limits.handshake_timeout = days;
    limits.connection_age = days;
    limits.connection_grace = days;
    limits.keepalive_interval = days;
}

/// An authenticated request for an event.
pub fn get(event_id: &str) -> Request<GetEventRequest> {
    with_key(
        GetEventRequest {
            event_id: event_id.into(),
        },
        KEY,
    )
}

/// An authenticated request for a stream.
pub fn subscribe(cursor: &str) -> Request<SubscribeEventsRequest> {
    with_key(
        SubscribeEventsRequest {
            cursor: cursor.into(),
            ..Default::default()
        },
        KEY,
    )
}

/// A request with an API key.
pub fn with_key<M>(message: M, key: &str) -> Request<M> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {key}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", bearer);
    request
}
