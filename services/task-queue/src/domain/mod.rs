//! The rules of tasks, pure: no clock, no database, no network. `now` and random seeds are
//! arguments; what is to be written is the returned value.

mod answer;
mod attempt;
mod backoff;
mod brake;
mod built_in;
mod catalogue;
mod children;
mod cron;
#[cfg(test)]
mod cron_model;
mod delegation;
mod demand;
mod dependency;
mod due;
mod fleet;
mod gate;
mod lease_token;
mod limit;
#[cfg(test)]
mod limit_tests;
mod matching;
mod order;
mod passing;
mod pending;
mod placement;
mod retry_rule;
mod scaling;
mod schedule;
mod spec;
mod state;
mod task;
mod task_type;
mod usage;

pub use answer::{Answer, Decision, Objection, Ruling, Said};
pub use attempt::{AttemptEnd, Cause, Settled, Standing, TaskError, completable, settle};
pub use backoff::RetryPolicy;
pub use brake::{Brake, Selector};
pub use built_in::BUILT_IN;
pub use catalogue::{Catalogue, Catalogued};
pub use children::Children;
pub use delegation::{Candidate, Delegation, DelegationOutcome, DelegationType, Hands, Refusal};
pub use demand::{Demand, Demands, MOST_DEMANDS};
pub use dependency::{DependencyPolicy, Follows};
pub use due::{At, Skipped, Step, look};
pub use fleet::{AgentInfo, AgentLoad, Capability, Fleet, Offer};
pub use gate::{Expiry, Gate, GateAsk, GateKind, GateState, MOST_GATES};
pub use lease_token::LeaseToken;
pub use limit::{
    Admitted, Bucket, Key, Limit, Limited, Needs, Per, Rate, Room, admit, bound_of, needs,
};
pub use matching::{Ineligibility, Term, Want};
pub use order::order_score;
pub use pending::{Admission, Hold, PendingReason, Waiting, Waits};
pub use placement::{Placement, Requirement};
pub use retry_rule::{RetryRule, Tally, Verdict};
pub use scaling::{Load, Metric, Targets};
pub use schedule::{
    Calendar, MissedPolicy, OverlapPolicy, Policies, Run, RunOutcome, Schedule, ScheduleState,
    Template, Timing,
};
pub use spec::{
    Actor, ActorKind, Budget, Effect, Fairness, NewTask, Origin, Priority, Request, Spec, Timeouts,
};
pub use state::{Forbidden, State};
pub use task::{Artifact, Attempt, Discard, Progress, Task};
pub use task_type::{Category, Changes, MOST_SCHEMA_BYTES, MOST_TYPES, Own, TaskType};
pub use usage::Usage;
