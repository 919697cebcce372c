//! Bodies of answers, cut short or kept company.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use pin_project_lite::pin_project;
use reeve_status::Fault;
use tonic::Status;
use tonic::body::Body;

/// A status as the trailers that end a body.
pub(super) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Metadata that is not text; the bare code can always be written.
        trailers.clear();
        let code = http::HeaderValue::from(i32::from(status.code()));
        trailers.insert(Status::GRPC_STATUS, code);
    }
    trailers
}

pin_project! {
    /// A body that ends with a fault when `end` resolves; the service's stream is then dropped.
    pub(super) struct CutShort {
        #[pin]
        inner: Body,
        end: BoxFuture<'static, Fault>,
        ended: bool,
    }
}

impl CutShort {
    /// Cuts `inner` short when `end` resolves.
    pub(super) fn body(inner: Body, end: BoxFuture<'static, Fault>) -> Body {
        Body::new(Self {
            inner,
            end,
            ended: false,
        })
    }
}

impl HttpBody for CutShort {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(fault) = this.end.as_mut().poll(context) {
            *this.ended = true;
            this.inner.set(Body::empty());
            return Poll::Ready(Some(Ok(Frame::trailers(trailers(&fault.into())))));
        }
        this.inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

pin_project! {
    /// A body that keeps something alive until it ends.
    pub(super) struct Holding<T> {
        #[pin]
        inner: Body,
        held: Option<T>,
    }
}

impl<T: Send + 'static> Holding<T> {
    /// Keeps `held` alive with `inner`.
    pub(super) fn body(inner: Body, held: T) -> Body {
        Body::new(Self {
            inner,
            held: Some(held),
        })
    }
}

impl<T> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            *this.held = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
