//! Credentials for the tests of one service, where agent-registry is not there to check them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use reeve_auth::{Authenticator, Credential, Principal, PrincipalKind, ServiceTokens};
use reeve_ids::TenantId;
use reeve_status::{Code, Fault, Reason};
use tonic::metadata::MetadataValue;
use uuid::Uuid;

/// Knows the keys it issued and, if told the secret, service tokens.
#[derive(Debug, Default)]
pub struct StaticAuthenticator {
    principals: RwLock<HashMap<String, Principal>>,
    tokens: Option<ServiceTokens>,
}

impl StaticAuthenticator {
    /// One that knows nobody yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// One that also accepts service tokens.
    pub fn with_tokens(tokens: ServiceTokens) -> Arc<Self> {
        Arc::new(Self {
            tokens: Some(tokens),
            ..Self::default()
        })
    }

    /// A key that may do everything in `tenant`.
    pub fn admin(&self, tenant: TenantId) -> String {
        self.key(tenant, &["*"])
    }

    /// A user's key with these permissions in `tenant`.
    pub fn key(&self, tenant: TenantId, permissions: &[&str]) -> String {
        self.issue(tenant, PrincipalKind::User, permissions)
    }

    /// An agent's key with these permissions in `tenant`.
    pub fn agent_key(&self, tenant: TenantId, permissions: &[&str]) -> String {
        self.issue(tenant, PrincipalKind::Agent, permissions)
    }

    fn issue(&self, tenant_id: TenantId, kind: PrincipalKind, permissions: &[&str]) -> String {
        let id = Uuid::new_v4();
        let key = format!("test_{}", id.simple());
        let principal = Principal {
            tenant_id,
            kind,
            subject: format!("key:{id}"),
            display_name: "test".to_owned(),
            permissions: permissions
                .iter()
                .map(|&permission| permission.to_owned())
                .collect(),
        };
        let mut principals = self
            .principals
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        principals.insert(key.clone(), principal);
        key
    }
}

#[tonic::async_trait]
impl Authenticator for StaticAuthenticator {
    async fn authenticate(&self, credential: &Credential) -> Result<Principal, Fault> {
        let text = credential.reveal();
        let token = self.tokens.as_ref().and_then(|tokens| tokens.verify(text));
        let principals = self
            .principals
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        token
            .or_else(|| principals.get(text).cloned())
            .ok_or_else(|| {
                Fault::new(
                    Code::Unauthenticated,
                    Reason::CredentialInvalid,
                    "the credential is not valid",
                )
            })
    }
}

/// A request that presents a key.
///
/// # Panics
/// When the key holds characters that no key has.
pub fn authorize<T>(key: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let bearer = MetadataValue::try_from(format!("Bearer {key}")).expect("a key is plain text");
    request.metadata_mut().insert("authorization", bearer);
    request
}
