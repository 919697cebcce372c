//! The authenticator of every service but agent-registry: API keys are resolved there and kept for
//! a short while; service tokens are checked here.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reeve_clock::{Clock, SystemClock};
use reeve_contracts::identity::v1::identity_service_client::IdentityServiceClient;
use reeve_contracts::identity::v1::{self as proto, ResolveApiKeyRequest, ResolveApiKeyResponse};
use reeve_ids::{TenantId, Uuid};
use reeve_status::{Code, Fault, Reason};
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use crate::{
    ApiKey, Authenticator, Credential, Memo, Memory, Principal, PrincipalKind, ServiceTokens,
};

/// How long a resolved key is believed. The registry's own replicas believe one for 10 seconds more,
/// and asking takes a moment, so a revocation takes effect everywhere within 30.
const BELIEVED: TimeDelta = TimeDelta::seconds(15);
const CACHED_KEYS: u64 = 20_000;
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that broke is opened anew by the next try.
const TRIES: usize = 2;
const AGAIN: Duration = Duration::from_secs(1);

/// Resolves API keys at agent-registry.
#[derive(Clone)]
pub struct RemoteAuthenticator {
    service: &'static str,
    tokens: ServiceTokens,
    registry: Channel,
    clock: Arc<dyn Clock>,
    // By digest, so that no credential is kept.
    resolved: Memory<[u8; 32], Resolved>,
}

/// A key that was valid when it was resolved.
#[derive(Clone)]
struct Resolved {
    principal: Principal,
    expire_time: Option<DateTime<Utc>>,
}

impl RemoteAuthenticator {
    /// The authenticator of `service`, which reaches agent-registry over `registry`.
    pub fn new(service: &'static str, tokens: ServiceTokens, registry: Channel) -> Self {
        Self {
            service,
            tokens,
            registry,
            clock: Arc::new(SystemClock),
            resolved: Memory::new(CACHED_KEYS, BELIEVED),
        }
    }

    /// With another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn known(&self, credential: &Credential) -> Result<Resolved, Fault> {
        let digest: [u8; 32] = Sha256::digest(credential.reveal()).into();
        let now = self.clock.now();
        let aged = match self.resolved.recall(&digest, now).await {
            Memo::Fresh(resolved) => return Ok(resolved),
            Memo::Aged(resolved) => resolved,
            Memo::None => {
                let question = self.resolve(credential);
                let learned = self.resolved.learn_once(digest, now, question).await;
                return learned.map_err(|fault| (*fault).clone());
            }
        };
        match self.resolve(credential).await {
            Ok(resolved) => {
                self.resolved.learn(digest, resolved.clone(), now).await;
                Ok(resolved)
            }
            // What was true a while ago is better than refusing everybody.
            Err(fault) if fault.code() == Code::Unavailable => Ok(aged),
            Err(fault) => {
                self.resolved.forget(&digest).await;
                Err(fault)
            }
        }
    }

    async fn resolve(&self, credential: &Credential) -> Result<Resolved, Fault> {
        let mut tried = 1;
        let status = loop {
            match self.ask(credential).await {
                Ok(answer) => return parse(answer).ok_or_else(Fault::internal),
                Err(status) if is_broken(&status) && tried < TRIES => tried += 1,
                Err(status) => break status,
            }
        };
        Err(refusal(&status))
    }

    async fn ask(&self, credential: &Credential) -> Result<ResolveApiKeyResponse, tonic::Status> {
        let message = ResolveApiKeyRequest {
            api_key: credential.reveal().to_owned(),
        };
        let mut request = tonic::Request::new(message);
        let nobody = TenantId::from_uuid(Uuid::nil());
        let token = self.tokens.mint(self.service, nobody);
        let bearer = format!("Bearer {token}").parse().expect("a token is ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request.set_timeout(RESOLVE_TIMEOUT);
        let mut registry = IdentityServiceClient::new(self.registry.clone());
        Ok(registry.resolve_api_key(request).await?.into_inner())
    }
}

#[tonic::async_trait]
impl Authenticator for RemoteAuthenticator {
    async fn authenticate(&self, credential: &Credential) -> Result<Principal, Fault> {
        if ServiceTokens::is_one(credential.reveal()) {
            let principal = self.tokens.verify(credential.reveal());
            return principal.ok_or_else(ServiceTokens::refusal);
        }
        // What is no key at all costs the registry nothing.
        ApiKey::parse(credential.reveal()).ok_or_else(invalid)?;
        let resolved = self.known(credential).await?;
        // Though the answer is remembered for longer.
        let now = self.clock.now();
        if resolved.expire_time.is_some_and(|time| time <= now) {
            return Err(invalid());
        }
        Ok(resolved.principal)
    }
}

/// UNAUTHENTICATED for a credential that is not valid; says no more, so that it teaches nothing.
fn invalid() -> Fault {
    Fault::new(
        Code::Unauthenticated,
        Reason::CredentialInvalid,
        "the credential is unknown, expired, revoked or malformed",
    )
}

/// Whether the transport failed and the registry did not answer: its own answers have details.
fn is_broken(status: &tonic::Status) -> bool {
    let by_transport = matches!(
        status.code(),
        tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Internal
    );
    by_transport && status.details().is_empty()
}

fn refusal(status: &tonic::Status) -> Fault {
    let fault = Fault::from(status);
    if ServiceTokens::is_refusal(&fault) {
        tracing::error!("agent-registry refuses this service's token: secrets or clocks differ");
        return away(AGAIN);
    }
    match status.code() {
        tonic::Code::Unauthenticated => invalid(),
        tonic::Code::Unavailable
        | tonic::Code::ResourceExhausted
        | tonic::Code::DeadlineExceeded
        | tonic::Code::Cancelled => away(fault.retry_after().unwrap_or(AGAIN)),
        _ if is_broken(status) => away(AGAIN),
        _ => {
            tracing::error!(%status, "agent-registry could not resolve a credential");
            Fault::internal()
        }
    }
}

fn away(retry_after: Duration) -> Fault {
    Fault::unavailable(
        Reason::PeerUnavailable,
        "agent-registry, which knows the credentials, is unavailable",
        retry_after,
    )
    .with("peer", "agent-registry")
}

fn parse(answer: ResolveApiKeyResponse) -> Option<Resolved> {
    let expire_time = match &answer.expire_time {
        Some(time) => Some(reeve_wellknown::datetime(time)?),
        None => None,
    };
    Some(Resolved {
        principal: principal(answer.principal?)?,
        expire_time,
    })
}

fn principal(principal: proto::Principal) -> Option<Principal> {
    let kind = match proto::PrincipalKind::try_from(principal.kind).ok()? {
        proto::PrincipalKind::User => PrincipalKind::User,
        proto::PrincipalKind::Agent => PrincipalKind::Agent,
        // A service never has an API key.
        proto::PrincipalKind::Service | proto::PrincipalKind::Unspecified => return None,
    };
    Some(Principal {
        tenant_id: principal.tenant_id.parse().ok()?,
        kind,
        subject: principal.subject,
        display_name: principal.display_name,
        permissions: principal.permissions,
    })
}
