//! Who calls, and whether their credential allows this RPC. Health and reflection are open, and a
//! service of somebody else's contract may find the credential in the message; nothing else passes
//! without one. The handler finds a [`Caller`] in the request and never sees the credential.

use std::sync::Arc;

use http::{HeaderMap, Response, header};
use reeve_auth::{Authenticator, Caller, Credential, Principal};
use reeve_status::{Code, Fault, Reason};
use tonic::body::Body;

use super::method::Method;
use super::{Call, Handle, refuse};

const API_KEY: &str = "x-api-key";

/// Step 8.
pub(super) struct Authenticate<H> {
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) next: H,
}

impl<H: Handle> Handle for Authenticate<H> {
    async fn handle(&self, mut call: Call) -> Response<Body> {
        if call.is_open() || call.admits_by_itself() {
            return self.next.handle(call).await;
        }
        let credential = presented(call.request.headers());
        let principal = match self.admit(credential, call.method).await {
            Ok(principal) => principal,
            Err(fault) => return refuse(fault),
        };
        tracing::Span::current().record("tenant", tracing::field::display(principal.tenant_id));
        let headers = call.request.headers_mut();
        headers.remove(header::AUTHORIZATION);
        headers.remove(API_KEY);
        let caller = Caller {
            principal,
            request_id: call.request_id.clone(),
            traceparent: Some(call.trace.to_string()),
        };
        call.request.extensions_mut().insert(caller);
        self.next.handle(call).await
    }
}

impl<H> Authenticate<H> {
    async fn admit(
        &self,
        credential: Result<Credential, Fault>,
        method: Option<&'static Method>,
    ) -> Result<Principal, Fault> {
        let principal = self.authenticator.authenticate(&credential?).await?;
        // A method without a permission is one that a contract forgot: nobody may call it.
        let permission = method
            .and_then(|method| method.permission)
            .unwrap_or_default();
        if permission.is_empty() || !principal.holds(permission) {
            let message = format!("the credential lacks the permission {permission}");
            let fault = Fault::new(Code::PermissionDenied, Reason::PermissionMissing, message);
            return Err(fault.with("permission", permission));
        }
        Ok(principal)
    }
}

/// The credential in `authorization: Bearer` or `x-api-key`.
fn presented(headers: &HeaderMap) -> Result<Credential, Fault> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(value) = text(header::AUTHORIZATION.as_str()) {
        let bearer = value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        return match bearer {
            Some(token) if !token.is_empty() => Ok(Credential::new(token)),
            _ => Err(Fault::new(
                Code::Unauthenticated,
                Reason::CredentialInvalid,
                "authorization must be \"Bearer <API key or token>\"",
            )),
        };
    }
    match text(API_KEY).map(str::trim) {
        Some(key) if !key.is_empty() => Ok(Credential::new(key)),
        _ => Err(Fault::new(
            Code::Unauthenticated,
            Reason::CredentialMissing,
            "send an API key in the metadata: authorization: Bearer <key>",
        )),
    }
}
