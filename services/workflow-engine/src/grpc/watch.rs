//! WatchExecution: what there is, then what happens, until the execution has ended.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use reeve_contracts::workflow::v1::WatchExecutionResponse;
use reeve_ids::{ExecutionId, TenantId};
use reeve_redis::Wakeup;
use reeve_status::{Fault, Reason};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::render;
use crate::operations::Engine;

/// Entries that one look reads.
const BATCH: i64 = 200;

/// A watch at its place.
pub struct Watch {
    engine: Arc<Engine>,
    tenant: TenantId,
    id: ExecutionId,
    after: i64,
    wakeup: Wakeup,
    drain: CancellationToken,
    period: Duration,
    unsent: std::vec::IntoIter<WatchExecutionResponse>,
    ended: bool,
}

impl Watch {
    /// A watch from a cursor. It subscribes before it looks, so that nothing is missed in between.
    pub fn new(
        engine: Arc<Engine>,
        tenant: TenantId,
        id: ExecutionId,
        after: i64,
        drain: CancellationToken,
        period: Duration,
    ) -> Self {
        let wakeup = engine.watches.subscribe(&id.to_string());
        Self {
            engine,
            tenant,
            id,
            after,
            wakeup,
            drain,
            period,
            unsent: Vec::new().into_iter(),
            ended: false,
        }
    }

    /// The stream. It ends after the last entry of an execution that has ended.
    pub fn into_stream(self) -> impl Stream<Item = Result<WatchExecutionResponse, Status>> + Send {
        futures::stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(watch))),
                Ok(None) => None,
                Err(fault) => Some((Err(fault.into()), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<WatchExecutionResponse>, Fault> {
        loop {
            if let Some(message) = self.unsent.next() {
                return Ok(Some(message));
            }
            if self.ended {
                return Ok(None);
            }
            if self.look().await? {
                continue;
            }
            tokio::select! {
                () = self.wakeup.woken() => {}
                () = tokio::time::sleep(self.period) => {}
                () = self.drain.cancelled() => return Err(draining()),
            }
        }
    }

    /// Reads on; true when there is something to send or the end is reached.
    async fn look(&mut self) -> Result<bool, Fault> {
        let read = self
            .engine
            .history(self.tenant, self.id, self.after, BATCH)
            .await;
        let (standing, entries) = read.map_err(crate::Error::classify)?;
        let state = standing.state;
        let progress = i32::try_from(standing.progress).unwrap_or(100);
        if let Some(last) = entries.last() {
            self.after = last.sequence;
        }
        // Not yet, while there are more entries than one look reads.
        self.ended = state.is_final() && self.after >= standing.last_sequence;
        let messages = entries.into_iter().map(|entry| WatchExecutionResponse {
            event: Some(render::history_event(&entry)),
            state: render::execution_state(state).into(),
            progress,
        });
        self.unsent = messages.collect::<Vec<_>>().into_iter();
        Ok(self.ended || self.unsent.len() > 0)
    }
}

fn draining() -> Fault {
    Fault::unavailable(
        Reason::Draining,
        "the server is shutting down; watch again with after_sequence set to the last sequence",
        Duration::from_secs(1),
    )
}
