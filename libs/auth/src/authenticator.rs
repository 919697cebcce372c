//! From a credential to a principal.

use reeve_status::Fault;

use crate::Principal;

/// What a caller presents, without "Bearer". Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credential(String);

impl Credential {
    /// Wraps what was presented.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be checked and not kept.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credential(redacted)")
    }
}

/// Decides whose a credential is.
#[tonic::async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The principal of a valid credential.
    ///
    /// # Errors
    /// UNAUTHENTICATED for any other; UNAVAILABLE when it cannot be checked now.
    async fn authenticate(&self, credential: &Credential) -> Result<Principal, Fault>;
}
