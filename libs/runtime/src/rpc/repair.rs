//! Codes and details that tonic alone would get wrong. Every stack but tonic answers
//! RESOURCE_EXHAUSTED for a message that is too large (tonic: OUT_OF_RANGE) and clients may rely on
//! INVALID_ARGUMENT for one that does not decode (tonic: INTERNAL). Whatever error leaves the server
//! also gets the ErrorInfo that callers are promised, and INTERNAL the trace id to report.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use pin_project_lite::pin_project;
use reeve_status::{Code, Fault, Reason};
use tonic::Status;
use tonic::body::Body;

use super::{Call, Handle};
use crate::MAX_MESSAGE_BYTES;
use crate::trace::TraceContext;

/// Step 2.
pub(super) struct Repair<H> {
    pub(super) next: H,
}

impl<H: Handle> Handle for Repair<H> {
    async fn handle(&self, call: Call) -> Response<Body> {
        let trace = call.trace;
        let mut response = self.next.handle(call).await;
        if response.headers().contains_key(Status::GRPC_STATUS) {
            repair(response.headers_mut(), trace);
            return response;
        }
        response.map(|inner| {
            Body::new(Repaired {
                inner,
                trace,
                ended: false,
            })
        })
    }
}

pin_project! {
    /// A body of which the trailers are repaired; an error becomes trailers.
    struct Repaired {
        #[pin]
        inner: Body,
        trace: TraceContext,
        ended: bool,
    }
}

impl HttpBody for Repaired {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        this.inner.poll_frame(context).map(|polled| {
            let trailers = match polled? {
                Ok(frame) => match frame.into_trailers() {
                    Ok(trailers) => trailers,
                    Err(data) => return Some(Ok(data)),
                },
                Err(status) => super::body::trailers(&status),
            };
            *this.ended = true;
            let mut trailers = trailers;
            repair(&mut trailers, *this.trace);
            Some(Ok(Frame::trailers(trailers)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Rewrites the status in `headers` where it must be.
fn repair(headers: &mut HeaderMap, trace: TraceContext) {
    let Some(status) = Status::from_header_map(headers) else {
        return;
    };
    if status.code() == tonic::Code::Ok {
        return;
    }
    let Some(mut fault) = repaired(&status) else {
        return;
    };
    if fault.code() == Code::Internal {
        fault = fault.with("trace_id", format!("{:032x}", trace.trace_id));
    }
    for name in [
        Status::GRPC_STATUS,
        Status::GRPC_MESSAGE,
        Status::GRPC_STATUS_DETAILS,
    ] {
        headers.remove(name);
    }
    headers.extend(super::body::trailers(&Status::from(fault)));
}

/// What to end a call with, when reading a message of its client's stream gave `status`: the fault of
/// a client that sent what is too large or does not decode, and else CANCELLED, because the
/// connection broke and nobody is there to hear of it.
///
/// [`Repair`] cannot do this for a stream: it sees only what the service answers.
pub fn inbound_fault(status: &Status) -> Fault {
    unreadable(status).unwrap_or_else(|| {
        let message = "the client's stream broke";
        Fault::new(Code::Cancelled, Reason::CallCancelled, message)
    })
}

/// What should have been answered; nothing when it was.
fn repaired(status: &Status) -> Option<Fault> {
    let text = status.message();
    if let Some(fault) = unreadable(status) {
        return Some(fault);
    }
    match status.code() {
        tonic::Code::Internal | tonic::Code::Unknown | tonic::Code::DataLoss => {
            if status.details().is_empty() {
                tracing::error!(status = text, "an error left the service without a reason");
            }
            Some(Fault::internal())
        }
        _ if status.details().is_empty() => Some(Fault::from(status)),
        _ => None,
    }
}

/// The fault of a message that tonic could not read; nothing when `status` says something else.
fn unreadable(status: &Status) -> Option<Fault> {
    let text = status.message();
    match status.code() {
        tonic::Code::OutOfRange if text.contains("message length too large") => Some(too_large()),
        tonic::Code::ResourceExhausted if text.starts_with("Error decompressing") => {
            Some(too_large())
        }
        tonic::Code::Internal | tonic::Code::Unknown if is_malformed(text) => Some(Fault::new(
            Code::InvalidArgument,
            Reason::ValidationFailed,
            text,
        )),
        tonic::Code::Unimplemented if text.starts_with("Content is compressed") => Some(
            Fault::new(Code::Unimplemented, Reason::ValidationFailed, text),
        ),
        _ => None,
    }
}

fn too_large() -> Fault {
    let message = format!("a message is larger than {MAX_MESSAGE_BYTES} bytes");
    Fault::new(Code::ResourceExhausted, Reason::PayloadTooLarge, message)
        .with("limit_bytes", MAX_MESSAGE_BYTES.to_string())
        .with_quota("message", format!("at most {MAX_MESSAGE_BYTES} bytes"))
}

/// Whether tonic or prost says that the bytes of the request are not what its type and framing ask
/// for: nothing that a server could be blamed for.
fn is_malformed(text: &str) -> bool {
    [
        "failed to decode Protobuf message",
        "protocol error: received message with",
        "Unexpected EOF decoding stream",
        "Missing request message",
        "Error decompressing",
    ]
    .iter()
    .any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(status: &Status) -> Fault {
        let mut headers = super::super::body::trailers(status);
        repair(&mut headers, TraceContext::start());
        let status = Status::from_header_map(&headers).expect("still a status");
        assert!(!status.details().is_empty(), "{status:?} has no details");
        Fault::from(&status)
    }

    #[test]
    fn what_a_service_says_is_left_alone() {
        let fault = Fault::not_found("task", 7);
        let answered = after(&Status::from(fault.clone()));
        assert_eq!(format!("{answered:?}"), format!("{fault:?}"));
    }

    #[test]
    fn internal_text_does_not_leave_and_the_trace_does() {
        let fault = after(&Status::internal("column \"password\" does not exist"));
        assert_eq!(
            (fault.code(), fault.message()),
            (Code::Internal, "internal error")
        );
        assert_eq!(fault.metadata()["trace_id"].len(), 32);
        assert_eq!(after(&Status::unknown("x")).code(), Code::Internal);
        assert_eq!(
            after(&Status::from(Fault::internal())).reason(),
            Reason::InternalError
        );
    }

    #[test]
    fn ok_has_no_details() {
        let mut headers = super::super::body::trailers(&Status::ok(""));
        repair(&mut headers, TraceContext::start());
        assert_eq!(headers.len(), 1);
    }
}
