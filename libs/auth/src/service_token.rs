//! How Reeve's services call each other: short-lived tokens, `rst_<claims>.<mac>`, where the claims
//! are base64url JSON and the MAC is HMAC-SHA256 under a secret that all five share.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use reeve_ids::TenantId;
use reeve_status::{Code, Fault, Reason};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{Principal, PrincipalKind};

const PREFIX: &str = "rst_";
/// Metadata of a refusal: which sort of credential it was.
const CREDENTIAL: &str = "credential";
const SERVICE_TOKEN: &str = "service_token";
const LIFETIME: Duration = Duration::from_secs(300);
/// How far the clocks of two hosts may differ.
const LEEWAY: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// The calling service.
    service: String,
    /// The tenant on whose behalf it calls.
    tenant: TenantId,
    /// Seconds since 1970 after which the token is void.
    expires: u64,
}

/// Mints and checks service tokens.
#[derive(Clone)]
pub struct ServiceTokens {
    secret: Vec<u8>,
}

impl ServiceTokens {
    /// Tokens under a shared secret.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self {
            secret: secret.into(),
        }
    }

    /// A token with which `service` acts for `tenant` during the next five minutes.
    pub fn mint(&self, service: &str, tenant: TenantId) -> String {
        let expires = (since_1970() + LIFETIME).as_secs();
        self.encode(&Claims {
            service: service.to_owned(),
            tenant,
            expires,
        })
    }

    fn encode(&self, claims: &Claims) -> String {
        let json = serde_json::to_vec(claims).expect("claims are plain data");
        let claims = URL_SAFE_NO_PAD.encode(json);
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&claims).finalize().into_bytes());
        format!("{PREFIX}{claims}.{mac}")
    }

    /// Whether a credential claims to be a service token.
    pub fn is_one(credential: &str) -> bool {
        credential.starts_with(PREFIX)
    }

    /// The service that a valid token names; nothing for a forged or expired one.
    pub fn verify(&self, token: &str) -> Option<Principal> {
        let (claims, mac) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        self.mac(claims).verify_slice(&mac).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        if since_1970() > Duration::from_secs(claims.expires) + LEEWAY {
            return None;
        }
        Some(Principal {
            tenant_id: claims.tenant,
            kind: PrincipalKind::Service,
            subject: format!("service:{}", claims.service),
            display_name: claims.service,
            permissions: Vec::new(),
        })
    }

    /// What a service hears whose token is not valid. It differs from what is said of an API key,
    /// since the caller on whose behalf the service asks has done nothing wrong.
    pub fn refusal() -> Fault {
        Fault::new(
            Code::Unauthenticated,
            Reason::CredentialInvalid,
            "the service token is forged or expired: secrets or clocks differ",
        )
        .with(CREDENTIAL, SERVICE_TOKEN)
    }

    /// Whether a peer refused this service's own token, and not the credential of its caller.
    pub fn is_refusal(fault: &Fault) -> bool {
        let credential = fault.metadata().get(CREDENTIAL);
        fault.reason() == Reason::CredentialInvalid
            && credential.is_some_and(|credential| credential == SERVICE_TOKEN)
    }

    fn mac(&self, claims: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(claims.as_bytes());
        mac
    }
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceTokens(redacted)")
    }
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_service_and_tenant() {
        let tokens = ServiceTokens::new("secret");
        let tenant = TenantId::new();
        let principal = tokens
            .verify(&tokens.mint("finance", tenant))
            .expect("its own token");
        assert_eq!(
            (principal.tenant_id, principal.kind),
            (tenant, PrincipalKind::Service)
        );
        assert_eq!(principal.subject, "service:finance");
    }

    #[test]
    fn refuses_forged_and_expired_tokens() {
        let tokens = ServiceTokens::new("secret");
        let token = tokens.mint("finance", TenantId::new());
        assert!(ServiceTokens::new("other").verify(&token).is_none());
        let (claims, mac) = token.split_once('.').unwrap();
        assert!(tokens.verify(&format!("{claims}x.{mac}")).is_none());
        let old = Claims {
            service: "finance".into(),
            tenant: TenantId::new(),
            expires: 1,
        };
        assert!(tokens.verify(&tokens.encode(&old)).is_none());
    }

    #[test]
    fn a_refused_token_is_told_from_a_refused_key() {
        let on_the_wire = tonic::Status::from(ServiceTokens::refusal());
        assert!(ServiceTokens::is_refusal(&Fault::from(&on_the_wire)));
        let key = Fault::new(Code::Unauthenticated, Reason::CredentialInvalid, "a key");
        assert!(!ServiceTokens::is_refusal(&key));
    }
}
