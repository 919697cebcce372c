//! How a service checks API keys, against a registry that answers as the test says.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_auth::{
    ApiKey, Authenticator, Credential, Principal, RemoteAuthenticator, ServiceTokens,
};
use reeve_clock::{Clock as _, TestClock};
use reeve_contracts::identity::v1 as proto;
use reeve_contracts::identity::v1::identity_service_server::{
    IdentityService, IdentityServiceServer,
};
use reeve_ids::TenantId;
use reeve_status::{Code, Fault, Reason};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

type Answer = Result<proto::ResolveApiKeyResponse, Status>;

/// agent-registry, as far as other services ask it.
#[derive(Clone)]
struct Registry {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    /// Each answer takes one of these.
    gate: Arc<Semaphore>,
}

#[tonic::async_trait]
impl IdentityService for Registry {
    async fn resolve_api_key(
        &self,
        _: Request<proto::ResolveApiKeyRequest>,
    ) -> Result<Response<proto::ResolveApiKeyResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let passed = self.gate.acquire().await.expect("nobody closes it");
        passed.forget();
        let answer = self.answer.lock().expect("no holder panics").clone();
        answer.map(Response::new)
    }

    async fn create_api_key(
        &self,
        _: Request<proto::CreateApiKeyRequest>,
    ) -> Result<Response<proto::CreateApiKeyResponse>, Status> {
        pending().await
    }

    async fn get_api_key(
        &self,
        _: Request<proto::GetApiKeyRequest>,
    ) -> Result<Response<proto::GetApiKeyResponse>, Status> {
        pending().await
    }

    async fn list_api_keys(
        &self,
        _: Request<proto::ListApiKeysRequest>,
    ) -> Result<Response<proto::ListApiKeysResponse>, Status> {
        pending().await
    }

    async fn revoke_api_key(
        &self,
        _: Request<proto::RevokeApiKeyRequest>,
    ) -> Result<Response<proto::RevokeApiKeyResponse>, Status> {
        pending().await
    }

    async fn get_caller(
        &self,
        _: Request<proto::GetCallerRequest>,
    ) -> Result<Response<proto::GetCallerResponse>, Status> {
        pending().await
    }

    async fn create_tenant(
        &self,
        _: Request<proto::CreateTenantRequest>,
    ) -> Result<Response<proto::CreateTenantResponse>, Status> {
        pending().await
    }

    async fn list_tenants(
        &self,
        _: Request<proto::ListTenantsRequest>,
    ) -> Result<Response<proto::ListTenantsResponse>, Status> {
        pending().await
    }
}

/// A service that asks the registry, and the time there.
struct World {
    registry: Registry,
    authenticator: RemoteAuthenticator,
    clock: Arc<TestClock>,
    credential: Credential,
    serving: tokio::task::JoinHandle<()>,
}

fn valid(expire_time: Option<DateTime<Utc>>) -> proto::ResolveApiKeyResponse {
    proto::ResolveApiKeyResponse {
        principal: Some(proto::Principal {
            tenant_id: TenantId::new().to_string(),
            kind: proto::PrincipalKind::Agent.into(),
            subject: "key:1".to_owned(),
            ..Default::default()
        }),
        expire_time: expire_time.map(reeve_wellknown::timestamp),
    }
}

impl World {
    async fn start(answer: Answer) -> Self {
        let registry = Registry {
            answer: Arc::new(Mutex::new(answer)),
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(1_000)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Server::builder().add_service(IdentityServiceServer::new(registry.clone()));
        #[allow(clippy::disallowed_methods, reason = "this crate is below the runtime")]
        let serving = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            server
                .serve_with_incoming(incoming)
                .await
                .expect("it serves");
        });
        let channel = Endpoint::from_shared(format!("http://{address}"));
        let clock = Arc::new(TestClock::at(Utc::now()));
        let tokens = ServiceTokens::new("secret");
        let channel = channel.expect("an address makes a URL").connect_lazy();
        let time = Arc::<TestClock>::clone(&clock);
        Self {
            registry,
            authenticator: RemoteAuthenticator::new("test", tokens, channel).with_clock(time),
            clock,
            credential: Credential::new(ApiKey::generate().reveal()),
            serving,
        }
    }

    fn answer(&self, answer: Answer) {
        *self.registry.answer.lock().expect("no holder panics") = answer;
    }

    async fn ask(&self) -> Result<Principal, Fault> {
        self.authenticator.authenticate(&self.credential).await
    }

    async fn refused(&self, code: Code, reason: Reason) -> Fault {
        let fault = self.ask().await.expect_err("it should be refused");
        assert_eq!((fault.code(), fault.reason()), (code, reason), "{fault}");
        fault
    }

    fn asked(&self) -> usize {
        self.registry.asked.load(Ordering::SeqCst)
    }
}

fn unknown_key() -> Status {
    Fault::new(
        Code::Unauthenticated,
        Reason::CredentialInvalid,
        "the credential is unknown, expired, revoked or malformed",
    )
    .into()
}

#[tokio::test]
async fn a_key_is_remembered_for_a_while_and_then_asked_for_again() {
    let world = World::start(Ok(valid(None))).await;
    for _ in 0..3 {
        world.ask().await.expect("it is valid");
    }
    assert_eq!(world.asked(), 1);
    // Revoked meanwhile.
    world.answer(Err(unknown_key()));
    world.ask().await.expect("it is still believed");
    world.clock.advance(TimeDelta::seconds(15));
    let invalid = (Code::Unauthenticated, Reason::CredentialInvalid);
    world.refused(invalid.0, invalid.1).await;
    world.refused(invalid.0, invalid.1).await;
}

#[tokio::test]
async fn a_key_that_expires_while_it_is_remembered_opens_nothing() {
    let world = World::start(Ok(valid(None))).await;
    world.answer(Ok(valid(Some(world.clock.now() + TimeDelta::seconds(5)))));
    world.ask().await.expect("it is valid");
    world.clock.advance(TimeDelta::seconds(6));
    world
        .refused(Code::Unauthenticated, Reason::CredentialInvalid)
        .await;
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn many_callers_at_once_are_one_question() {
    let world = World::start(Ok(valid(None))).await;
    let gate = &world.registry.gate;
    gate.forget_permits(1_000);
    let open = async {
        while world.asked() == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1_000);
    };
    let (one, other, third, ()) = tokio::join!(world.ask(), world.ask(), world.ask(), open);
    for answer in [one, other, third] {
        answer.expect("it is valid");
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_registry_that_cannot_answer_is_unavailable_and_what_was_known_is_believed_on() {
    let overloaded = Fault::new(Code::ResourceExhausted, Reason::Overloaded, "too much")
        .with_retry_after(Duration::from_secs(7));
    let answers: [Status; 4] = [
        overloaded.into(),
        // What tonic makes of a connection that breaks in the middle of a call.
        Status::unknown("transport error"),
        Status::internal("h2 protocol error"),
        Status::cancelled("Timeout expired"),
    ];
    let away = (Code::Unavailable, Reason::PeerUnavailable);
    for (at, answer) in answers.into_iter().enumerate() {
        let world = World::start(Err(answer.clone())).await;
        let fault = world.refused(away.0, away.1).await;
        let delay = Duration::from_secs(if at == 0 { 7 } else { 1 });
        assert_eq!(fault.retry_after(), Some(delay));
        world.answer(Ok(valid(None)));
        world.ask().await.expect("it is valid");
        world.answer(Err(answer));
        for _ in 0..9 {
            world.clock.advance(TimeDelta::minutes(1));
            world.ask().await.expect("it was valid");
        }
        // But not for ever.
        world.clock.advance(TimeDelta::minutes(1));
        world.refused(away.0, away.1).await;
    }
}

#[tokio::test]
async fn a_registry_that_is_gone_is_unavailable() {
    let world = World::start(Ok(valid(None))).await;
    world.serving.abort();
    while !world.serving.is_finished() {
        tokio::task::yield_now().await;
    }
    world
        .refused(Code::Unavailable, Reason::PeerUnavailable)
        .await;
}

#[tokio::test]
async fn a_refused_service_token_is_not_the_callers_fault() {
    let world = World::start(Err(ServiceTokens::refusal().into())).await;
    world
        .refused(Code::Unavailable, Reason::PeerUnavailable)
        .await;
    // A bug there is one.
    world.answer(Err(Fault::internal().into()));
    world.refused(Code::Internal, Reason::InternalError).await;
    // And a wrong key is the caller's.
    world.answer(Err(unknown_key()));
    world
        .refused(Code::Unauthenticated, Reason::CredentialInvalid)
        .await;
}
