//! Why, in one word that a program can match. Each has a page in docs/errors/.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// The `reason` of an ErrorInfo. The set is closed; a caller may match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// Every reason, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The reason that a word on the wire stands for.
            pub fn from_wire(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
            }
        }
    };
}

reasons! {
    // Any service.
    /// Fields of the request are wrong; BadRequest lists all of them.
    ValidationFailed = "VALIDATION_FAILED";
    /// A page token was not issued for this list and filter, or is damaged.
    PageTokenInvalid = "PAGE_TOKEN_INVALID";
    /// No such resource in this tenant.
    ResourceNotFound = "RESOURCE_NOT_FOUND";
    /// A name that must be unique is taken.
    ResourceExists = "RESOURCE_EXISTS";
    /// The lifecycle does not allow this change; the metadata names the legal ones.
    TransitionForbidden = "TRANSITION_FORBIDDEN";
    /// The etag is not the current one.
    EtagMismatch = "ETAG_MISMATCH";
    /// This request_id was used with another body.
    RequestIdReused = "REQUEST_ID_REUSED";
    /// The request or a stored value is larger than its limit.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE";
    /// Concurrent transactions collided; nothing was written.
    WriteConflict = "WRITE_CONFLICT";
    /// The database cannot be reached; nothing was written.
    DatabaseUnavailable = "DATABASE_UNAVAILABLE";
    /// Another of Reeve's services cannot be reached; nothing was written.
    PeerUnavailable = "PEER_UNAVAILABLE";
    /// The server is at its limit of work in flight.
    Overloaded = "OVERLOADED";
    /// The server is shutting down; resume elsewhere with the last cursor.
    Draining = "DRAINING";
    /// A stream reached its greatest age; resume it with the last cursor.
    StreamExpired = "STREAM_EXPIRED";
    /// The reader of a stream is too slow; resume it with the last cursor.
    SlowConsumer = "SLOW_CONSUMER";
    /// The deadline passed; the change may have been made.
    DeadlinePassed = "DEADLINE_PASSED";
    /// The cursor is older than what is kept; list again.
    CursorExpired = "CURSOR_EXPIRED";
    /// No such RPC.
    MethodUnknown = "METHOD_UNKNOWN";
    /// The caller gave up.
    CallCancelled = "CALL_CANCELLED";
    /// A bug; the trace id is in the metadata.
    InternalError = "INTERNAL_ERROR";

    // Identity.
    /// No credential was presented.
    CredentialMissing = "CREDENTIAL_MISSING";
    /// The credential is unknown, expired, revoked or malformed.
    CredentialInvalid = "CREDENTIAL_INVALID";
    /// The credential lacks the permission that the RPC declares.
    PermissionMissing = "PERMISSION_MISSING";
    /// This kind of principal may not do this, whatever its permissions.
    PrincipalForbidden = "PRINCIPAL_FORBIDDEN";

    // agent-registry.
    /// A newer process of the same agent has registered.
    StaleEpoch = "STALE_EPOCH";
    /// The agent's state does not allow this.
    AgentNotActive = "AGENT_NOT_ACTIVE";
    /// Only an agent that is OFFLINE can be deleted.
    AgentNotOffline = "AGENT_NOT_OFFLINE";

    // task-queue.
    /// The lease was lost: it lapsed, was cancelled, or another holds it.
    LeaseLost = "LEASE_LOST";
    /// The queue holds as much as it may.
    QueueFull = "QUEUE_FULL";
    /// The filter of a bulk call chooses more than the caller expects.
    CountMismatch = "COUNT_MISMATCH";
    /// The gate was answered otherwise, has expired, or was cancelled with its task.
    GateClosed = "GATE_CLOSED";
    /// The filter of a bulk call chooses nothing.
    NothingMatched = "NOTHING_MATCHED";
    /// The task is not handed to another agent; the metadata says why.
    DelegationRefused = "DELEGATION_REFUSED";

    // workflow-engine.
    /// The definition has faults; the metadata names the steps.
    DefinitionInvalid = "DEFINITION_INVALID";
    /// The artifact changed since it was seen; what was approved is void.
    DigestMismatch = "DIGEST_MISMATCH";
    /// The approval is already decided or has expired.
    ApprovalClosed = "APPROVAL_CLOSED";
    /// Nobody approves what they asked for themselves.
    SelfApproval = "SELF_APPROVAL";

    // finance.
    /// No price is known for this model or resource at this time.
    PriceMissing = "PRICE_MISSING";
    /// A budget that encloses the spending does not allow it.
    BudgetExhausted = "BUDGET_EXHAUSTED";
    /// The hold is already committed, released or expired.
    HoldClosed = "HOLD_CLOSED";
    /// The amounts are in different currencies.
    CurrencyMismatch = "CURRENCY_MISMATCH";
    /// The payment is more than what is owed.
    Overpayment = "OVERPAYMENT";
    /// There is nothing to bill in the period.
    NothingToInvoice = "NOTHING_TO_INVOICE";

    // incident.
    /// The incident lacks what this step needs, for example a root cause.
    IncidentIncomplete = "INCIDENT_INCOMPLETE";
    /// The resource holds as many parts as it may.
    LimitReached = "LIMIT_REACHED";
}
