//! The codes that Reeve answers with. UNKNOWN and DATA_LOSS are never used.

/// What went wrong, by what the caller should do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Wrong whatever the state: fix the request, do not retry.
    InvalidArgument,
    /// Absent, or another tenant's: do not retry.
    NotFound,
    /// A name or id that the client chose is taken: do not retry.
    AlreadyExists,
    /// The state forbids it: read the state first.
    FailedPrecondition,
    /// A concurrent change won: redo the read-modify-write.
    Aborted,
    /// A limit is reached: wait.
    ResourceExhausted,
    /// A dependency is down or the server drains, and nothing was written: retry with backoff.
    Unavailable,
    /// Time ran out; the change may have been made: retry with the same request_id.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// No credential, or one that is not valid.
    Unauthenticated,
    /// The credential does not allow it.
    PermissionDenied,
    /// A cursor asks for events that are no longer kept: list again, then resume.
    OutOfRange,
    /// The server has no such RPC.
    Unimplemented,
    /// A bug: report it with the trace id.
    Internal,
}

impl From<Code> for tonic::Code {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArgument => Self::InvalidArgument,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Aborted => Self::Aborted,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Cancelled => Self::Cancelled,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::OutOfRange => Self::OutOfRange,
            Code::Unimplemented => Self::Unimplemented,
            Code::Internal => Self::Internal,
        }
    }
}

impl From<tonic::Code> for Code {
    fn from(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument => Self::InvalidArgument,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::AlreadyExists => Self::AlreadyExists,
            tonic::Code::FailedPrecondition => Self::FailedPrecondition,
            tonic::Code::Aborted => Self::Aborted,
            tonic::Code::ResourceExhausted => Self::ResourceExhausted,
            tonic::Code::Unavailable => Self::Unavailable,
            tonic::Code::DeadlineExceeded => Self::DeadlineExceeded,
            tonic::Code::Cancelled => Self::Cancelled,
            tonic::Code::Unauthenticated => Self::Unauthenticated,
            tonic::Code::PermissionDenied => Self::PermissionDenied,
            tonic::Code::OutOfRange => Self::OutOfRange,
            tonic::Code::Unimplemented => Self::Unimplemented,
            tonic::Code::Ok
            | tonic::Code::Unknown
            | tonic::Code::DataLoss
            | tonic::Code::Internal => Self::Internal,
        }
    }
}
