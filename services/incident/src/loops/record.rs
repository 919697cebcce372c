//! Recording one source's events.

use reeve_events::{Event, Handler};
use sqlx::PgConnection;

use crate::clients::feed::fact;
use crate::operations::Operations;

/// Hands a source's events to the operation that records them.
#[derive(Debug)]
pub struct Recorder {
    operations: Operations,
    source: &'static str,
}

impl Recorder {
    /// A recorder of the events of `source`.
    pub fn new(operations: Operations, source: &'static str) -> Self {
        Self { operations, source }
    }
}

#[tonic::async_trait]
impl Handler for Recorder {
    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[Event],
    ) -> Result<(), reeve_events::Error> {
        let source = self.source;
        let facts = events.iter().filter_map(|event| {
            let fact = fact(source, event);
            if fact.is_none() {
                self.operations.count_malformed();
                tracing::error!(source, sequence = event.sequence, "an event is malformed");
            }
            fact
        });
        let recorded = self
            .operations
            .ingest(connection, source, facts.collect())
            .await;
        recorded.map_err(|error| reeve_events::Error::Handler(Box::new(error)))
    }
}
