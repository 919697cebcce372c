//! A panic in a handler is a bug of that handler: its caller gets INTERNAL, the log gets the
//! message, and the connection with its other calls lives on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use http::Response;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use pin_project_lite::pin_project;
use reeve_status::Fault;
use tonic::Status;
use tonic::body::Body;

use super::{Call, Handle, refuse};
use crate::supervise::panic_text;

/// Step 3.
pub(super) struct CatchPanic<H> {
    pub(super) next: H,
}

impl<H: Handle> Handle for CatchPanic<H> {
    async fn handle(&self, call: Call) -> Response<Body> {
        match AssertUnwindSafe(self.next.handle(call))
            .catch_unwind()
            .await
        {
            Ok(response) => response.map(|inner| Body::new(Caught { inner })),
            Err(panic) => {
                report(&*panic);
                refuse(Fault::internal())
            }
        }
    }
}

fn report(panic: &(dyn Any + Send)) {
    tracing::error!(panic = panic_text(panic), "a handler panicked");
}

pin_project! {
    struct Caught {
        #[pin]
        inner: Body,
    }
}

impl HttpBody for Caught {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let poll = AssertUnwindSafe(|| this.inner.as_mut().poll_frame(context));
        match catch_unwind(poll) {
            Ok(polled) => polled,
            Err(panic) => {
                report(&*panic);
                // Not polled again: the step above turns the error into trailers and ends.
                this.inner.set(Body::empty());
                Poll::Ready(Some(Err(Fault::internal().into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
