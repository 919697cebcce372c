//! What a handler knows of its call.

use reeve_ids::TenantId;
use reeve_status::{Code, Fault, Reason};

use crate::Principal;

/// The authenticated principal of a call and the ids that tie its effects together.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who is calling.
    pub principal: Principal,
    /// The call's x-request-id, made by the server when the client sent none.
    pub request_id: String,
    /// The W3C traceparent of the server's span; nothing when the call is not traced.
    pub traceparent: Option<String>,
}

impl Caller {
    /// The caller that the runtime's authentication put into a request.
    ///
    /// # Errors
    /// UNAUTHENTICATED when it did not, which only a server without that layer can cause.
    pub fn from_request<T>(request: &tonic::Request<T>) -> Result<Self, Fault> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| {
            Fault::new(
                Code::Unauthenticated,
                Reason::CredentialMissing,
                "no credential was presented",
            )
        })
    }

    /// The caller's tenant.
    pub fn tenant(&self) -> TenantId {
        self.principal.tenant_id
    }
}
