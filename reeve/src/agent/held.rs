//! What the agent holds: tasks that run, and reports that task-queue has not confirmed.
//!
//! Both are leases, which are renewed alike. A report is sent again until task-queue has stored it
//! or will never store it; then the task fails with the reason, since a program whose report nobody
//! takes would be run again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use reeve_contracts::task::v1::work_request::Message as Say;
use reeve_contracts::task::v1::{
    CompleteBatch, CompleteTaskRequest, FailBatch, FailTaskRequest, ItemFailure, LeaseRenewal,
    LeaseVerdict, SuspendBatch, SuspendTaskRequest, TaskError,
};
use reeve_status::Reason;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::bounds;
use super::exec::{Finished, Outcome};

/// The shortest time between two renewals.
const LEAST_BEAT: Duration = Duration::from_millis(250);
/// How often task-queue may stumble over a report before it counts as refused.
const MOST_STUMBLES: u8 = 5;

/// What is said about a task that has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It is done.
    Complete(CompleteTaskRequest),
    /// It is not.
    Fail(FailTaskRequest),
    /// It waits for people.
    Suspend(Box<SuspendTaskRequest>),
}

impl From<Finished> for Report {
    fn from(finished: Finished) -> Self {
        let Finished {
            lease_token,
            outcome,
            usage,
        } = finished;
        match outcome {
            Outcome::Completed(result) => Self::Complete(CompleteTaskRequest {
                lease_token,
                result: Some(result),
                usage,
                ..CompleteTaskRequest::default()
            }),
            Outcome::Failed {
                code,
                message,
                retryable,
            } => Self::Fail(FailTaskRequest {
                lease_token,
                error: Some(TaskError {
                    code,
                    message,
                    ..TaskError::default()
                }),
                retryable,
                usage,
                ..FailTaskRequest::default()
            }),
            Outcome::Suspended(question) => Self::Suspend(Box::new(SuspendTaskRequest {
                lease_token,
                gate: Some(question.gate),
                checkpoint: question.checkpoint,
                usage,
            })),
        }
    }
}

impl From<Report> for Say {
    fn from(report: Report) -> Self {
        match report {
            Report::Complete(item) => Self::Complete(CompleteBatch { items: vec![item] }),
            Report::Fail(item) => Self::Fail(FailBatch { items: vec![item] }),
            Report::Suspend(item) => Self::Suspend(SuspendBatch { items: vec![*item] }),
        }
    }
}

impl Report {
    fn bytes(&self) -> usize {
        match self {
            Self::Complete(item) => item.encoded_len(),
            Self::Fail(item) => item.encoded_len(),
            Self::Suspend(item) => item.encoded_len(),
        }
    }

    /// The failure that takes the place of a refused report.
    fn after(self, refusal: &Refusal) -> Self {
        let code = if refusal.is(Reason::PayloadTooLarge) {
            "RESULT_TOO_LARGE"
        } else {
            "REPORT_REFUSED"
        };
        let message = format!(
            "task-queue refused the report of this task: {} ({})",
            refusal.message, refusal.reason
        );
        let (lease_token, usage, retryable) = match self {
            // The same program would say the same again.
            Self::Complete(item) => (item.lease_token, item.usage, false),
            Self::Fail(item) => (item.lease_token, item.usage, item.retryable),
            Self::Suspend(item) => (item.lease_token, item.usage, false),
        };
        Self::Fail(FailTaskRequest {
            lease_token,
            error: Some(TaskError {
                code: code.to_owned(),
                message: bounds::message(&message),
                ..TaskError::default()
            }),
            retryable,
            usage,
            ..FailTaskRequest::default()
        })
    }
}

/// Why a report was not stored.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// The reason, for programs.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl From<&ItemFailure> for Refusal {
    fn from(failure: &ItemFailure) -> Self {
        Self {
            code: Code::from_i32(failure.code),
            reason: failure.reason.clone(),
            message: failure.message.clone(),
        }
    }
}

/// What a refusal means for the report.
enum Weight {
    /// Somebody else has the task: what this agent says about it no longer counts.
    Lost,
    /// It may be stored later.
    Later,
    /// It may be stored later, but hardly.
    Stumbled,
    /// It will never be stored.
    Never,
}

impl Refusal {
    fn is(&self, reason: Reason) -> bool {
        self.reason == reason.as_str()
    }

    fn weight(&self) -> Weight {
        match self.code {
            _ if self.is(Reason::LeaseLost) => Weight::Lost,
            _ if self.is(Reason::PayloadTooLarge) || self.is(Reason::LimitReached) => Weight::Never,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::ResourceExhausted
            // Somebody may give the key its permission back.
            | Code::Unauthenticated
            | Code::PermissionDenied => Weight::Later,
            Code::Internal | Code::Unknown => Weight::Stumbled,
            _ => Weight::Never,
        }
    }
}

/// A report on its way.
struct Pending {
    report: Report,
    /// The message on the present stream that carries it.
    sent: Option<i64>,
    /// Whether it waits for the next pulse, having been refused for the moment.
    rests: bool,
    refusals: u8,
    stumbles: u8,
}

enum Lease {
    Running {
        cancel: CancellationToken,
        /// False when nobody wants to hear how it ends.
        counts: bool,
    },
    Ended(Pending),
}

/// The leases, by their tokens.
#[derive(Default)]
pub struct Held {
    leases: BTreeMap<String, Lease>,
    /// How often each is to be renewed, if it is known.
    beats: BTreeMap<String, Duration>,
}

impl Held {
    /// Whether there is nothing left to do or to say.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// How often they are to be renewed: the shortest lease decides, and a task may have one of its
    /// own that is shorter than what the agent asks for.
    pub fn beat(&mut self) -> Option<Duration> {
        self.beats
            .retain(|token, _| self.leases.contains_key(token));
        self.beats.values().min().copied()
    }

    /// How many tasks run.
    pub fn running(&self) -> usize {
        let running = |lease: &&Lease| matches!(lease, Lease::Running { .. });
        self.leases.values().filter(running).count()
    }

    /// What is to be renewed.
    pub fn tokens(&self) -> Vec<String> {
        self.leases.keys().cloned().collect()
    }

    /// A task begins, with a lease that lasts so long; cancelling the token stops it.
    pub fn begin(
        &mut self,
        lease_token: String,
        lasts: Option<Duration>,
        cancel: CancellationToken,
    ) {
        if let Some(lasts) = lasts {
            // What was long on its way is renewed at once, but not in a loop.
            let beat = (lasts / 3).max(LEAST_BEAT);
            self.beats.insert(lease_token.clone(), beat);
        }
        let counts = true;
        self.leases
            .insert(lease_token, Lease::Running { cancel, counts });
    }

    /// A task has ended: its report is on its way from now on.
    pub fn end(&mut self, finished: Finished) {
        let token = finished.lease_token.clone();
        let counts = match self.leases.get(&token) {
            Some(Lease::Running { counts, .. }) => *counts,
            _ => false,
        };
        if !counts {
            self.leases.remove(&token);
            return;
        }
        let pending = Pending {
            report: finished.into(),
            sent: None,
            rests: false,
            refusals: 0,
            stumbles: 0,
        };
        self.leases.insert(token, Lease::Ended(pending));
    }

    /// Stops what was cancelled and what runs under a lost lease. A verdict on a report says nothing
    /// new: a lease is lost too when the report has just been stored.
    pub fn judge(&mut self, renewals: &[LeaseRenewal]) {
        for renewal in renewals {
            let Some(Lease::Running { cancel, counts }) = self.leases.get_mut(&renewal.lease_token)
            else {
                continue;
            };
            match LeaseVerdict::try_from(renewal.verdict).unwrap_or_default() {
                LeaseVerdict::Lost => {
                    tracing::warn!("a lease was lost; its program is stopped");
                    *counts = false;
                    cancel.cancel();
                }
                LeaseVerdict::Cancel => cancel.cancel(),
                LeaseVerdict::Ok | LeaseVerdict::Unspecified => {}
            }
        }
    }

    /// Stops every program; how they end no longer counts, since their tasks are given back.
    pub fn abandon(&mut self) {
        for lease in self.leases.values_mut() {
            if let Lease::Running { cancel, counts } = lease {
                *counts = false;
                cancel.cancel();
            }
        }
    }

    /// Reports that are to be sent, each as a message with the next sequence.
    pub fn send(&mut self, sequence: &mut i64) -> Vec<(i64, Report)> {
        let mut reports = Vec::new();
        for pending in self.pending() {
            if pending.sent.is_none() && !pending.rests {
                *sequence += 1;
                pending.sent = Some(*sequence);
                reports.push((*sequence, pending.report.clone()));
            }
        }
        reports
    }

    /// Reports that were refused for the moment may be sent again.
    pub fn pulse(&mut self) {
        self.pending().for_each(|pending| pending.rests = false);
    }

    /// Every report, for calls of their own.
    pub fn reports(&self) -> Vec<(String, Report)> {
        let reports = self.leases.iter().filter_map(|(token, lease)| match lease {
            Lease::Ended(pending) => Some((token.clone(), pending.report.clone())),
            Lease::Running { .. } => None,
        });
        reports.collect()
    }

    /// The message with this sequence was dealt with. False when it was no report.
    pub fn acknowledge(&mut self, sequence: i64, failures: &[ItemFailure]) -> bool {
        let carried = |lease: &Lease| matches!(lease, Lease::Ended(pending) if pending.sent == Some(sequence));
        let found = self.leases.iter().find(|(_, lease)| carried(lease));
        let Some(token) = found.map(|(token, _)| token.clone()) else {
            return false;
        };
        match failures.first() {
            None => self.stored(&token),
            Some(failure) => self.refused(&token, &failure.into()),
        }
        true
    }

    /// A report was stored.
    pub fn stored(&mut self, token: &str) {
        self.leases.remove(token);
    }

    /// A report was not stored.
    pub fn refused(&mut self, token: &str, refusal: &Refusal) {
        let Some(Lease::Ended(pending)) = self.leases.get_mut(token) else {
            return;
        };
        pending.sent = None;
        pending.rests = true;
        let weight = match refusal.weight() {
            Weight::Stumbled => {
                pending.stumbles += 1;
                if pending.stumbles < MOST_STUMBLES {
                    Weight::Later
                } else {
                    Weight::Never
                }
            }
            weight => weight,
        };
        match weight {
            Weight::Later | Weight::Stumbled => {
                tracing::info!(reason = refusal.reason, "a report will be sent again");
                return;
            }
            Weight::Never if pending.refusals < 2 => {
                tracing::warn!(
                    reason = refusal.reason,
                    "a report was refused: {}",
                    refusal.message
                );
                pending.rests = false;
                pending.stumbles = 0;
                pending.refusals += 1;
                pending.report = pending.report.clone().after(refusal);
                if let (2, Report::Fail(fail)) = (pending.refusals, &mut pending.report) {
                    // Nothing else is left that could be wrong with it.
                    fail.usage.clear();
                }
                return;
            }
            Weight::Never => tracing::error!("no report on a task is accepted; its lease lapses"),
            Weight::Lost => tracing::warn!("a result came too late: the lease was lost"),
        }
        self.leases.remove(token);
    }

    /// The stream has ended; what it carried and did not confirm is sent on the next one. A server
    /// that ended it over what was said to it (`refusal`) cannot say over which message: it is taken
    /// to be the largest.
    pub fn interrupted(&mut self, refusal: Option<&Refusal>) {
        let sent = self.leases.iter().filter_map(|(token, lease)| match lease {
            Lease::Ended(pending) if pending.sent.is_some() => {
                Some((pending.report.bytes(), token.clone()))
            }
            _ => None,
        });
        let largest = sent.max();
        self.pending().for_each(|pending| {
            pending.sent = None;
            pending.rests = false;
        });
        if let (Some(refusal), Some((_, token))) = (refusal, largest) {
            self.refused(&token, refusal);
        }
    }

    fn pending(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.leases.values_mut().filter_map(|lease| match lease {
            Lease::Ended(pending) => Some(pending),
            Lease::Running { .. } => None,
        })
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
