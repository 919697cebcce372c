//! The authenticator of every service but agent-registry: API keys are resolved there and kept for
//! a short while; service tokens are checked here.

use std::time::Duration;

use moka::future::Cache;
use reeve_contracts::identity::v1::identity_service_client::IdentityServiceClient;
use reeve_contracts::identity::v1::{self as proto, ResolveApiKeyRequest};
use reeve_ids::{TenantId, Uuid};
use reeve_status::{Code, Fault, Reason};
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use crate::{ApiKey, Authenticator, Credential, Principal, PrincipalKind, ServiceTokens};

/// How long a resolved key is believed. The registry's own replicas believe one for 10 seconds more,
/// so a revocation takes effect everywhere within 30.
const BELIEVED: Duration = Duration::from_secs(20);
const CACHED_KEYS: u64 = 20_000;
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Resolves API keys at agent-registry.
#[derive(Clone)]
pub struct RemoteAuthenticator {
    service: &'static str,
    tokens: ServiceTokens,
    registry: Channel,
    // By digest, so that no credential is kept.
    resolved: Cache<[u8; 32], Principal>,
}

impl RemoteAuthenticator {
    /// The authenticator of `service`, which reaches agent-registry over `registry`.
    pub fn new(service: &'static str, tokens: ServiceTokens, registry: Channel) -> Self {
        let resolved = Cache::builder()
            .max_capacity(CACHED_KEYS)
            .time_to_live(BELIEVED)
            .build();
        Self {
            service,
            tokens,
            registry,
            resolved,
        }
    }

    async fn resolve(&self, credential: &Credential) -> Result<Principal, Fault> {
        let message = ResolveApiKeyRequest {
            api_key: credential.reveal().to_owned(),
        };
        let mut request = tonic::Request::new(message);
        let token = self
            .tokens
            .mint(self.service, TenantId::from_uuid(Uuid::nil()));
        let bearer = format!("Bearer {token}").parse().expect("a token is ASCII");
        request.metadata_mut().insert("authorization", bearer);
        request.set_timeout(RESOLVE_TIMEOUT);
        let answer = IdentityServiceClient::new(self.registry.clone())
            .resolve_api_key(request)
            .await;
        match answer.map(|answer| answer.into_inner().principal) {
            Ok(Some(principal)) => parse(principal).ok_or_else(Fault::internal),
            Ok(None) => Err(Fault::internal()),
            Err(status) => Err(refusal(&status)),
        }
    }
}

#[tonic::async_trait]
impl Authenticator for RemoteAuthenticator {
    async fn authenticate(&self, credential: &Credential) -> Result<Principal, Fault> {
        if ServiceTokens::is_one(credential.reveal()) {
            return self.tokens.verify(credential.reveal()).ok_or_else(invalid);
        }
        // What is no key at all costs the registry nothing.
        ApiKey::parse(credential.reveal()).ok_or_else(invalid)?;
        let digest: [u8; 32] = Sha256::digest(credential.reveal()).into();
        self.resolved
            .try_get_with(digest, self.resolve(credential))
            .await
            .map_err(|fault| (*fault).clone())
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

fn refusal(status: &tonic::Status) -> Fault {
    match status.code() {
        tonic::Code::Unauthenticated => invalid(),
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
            Fault::unavailable(
                Reason::PeerUnavailable,
                "agent-registry, which knows the credentials, is unavailable",
                Duration::from_secs(1),
            )
        }
        _ => {
            tracing::error!(%status, "agent-registry could not resolve a credential");
            Fault::internal()
        }
    }
}

fn parse(principal: proto::Principal) -> Option<Principal> {
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
