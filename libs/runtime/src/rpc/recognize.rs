//! What no contract of this server has is answered as gRPC asks: UNIMPLEMENTED, not HTTP 404. What
//! is not gRPC at all gets HTTP 415.

use http::{Method, Response, StatusCode, header};
use reeve_status::{Code, Fault, Reason};
use tonic::body::Body;

use super::{Call, Handle, refuse};

/// Step 4.
pub(super) struct Recognize<H> {
    pub(super) next: H,
}

impl<H: Handle> Handle for Recognize<H> {
    async fn handle(&self, call: Call) -> Response<Body> {
        if !is_grpc(&call) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        if call.method.is_none() {
            let path = call.request.uri().path().trim_start_matches('/');
            let path: String = path.chars().take(200).collect();
            let message = format!("this server has no RPC {path}");
            let fault = Fault::new(Code::Unimplemented, Reason::MethodUnknown, message);
            return refuse(fault.with("method", path));
        }
        self.next.handle(call).await
    }
}

fn is_grpc(call: &Call) -> bool {
    let content = call.request.headers().get(header::CONTENT_TYPE);
    let content = content
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let sub = content.strip_prefix("application/grpc");
    call.request.method() == Method::POST
        && sub.is_some_and(|sub| sub.is_empty() || sub.starts_with(['+', ';']))
}
