//! Applying the task queue's events.

use std::sync::Arc;

use reeve_events::{Error, Event, Handler};
use sqlx::PgConnection;

use crate::error::Error as OperationError;
use crate::operations::Context;
use crate::operations::task_events::tells_of_an_end;
use crate::storage::StoreError;

/// Prices what tasks used, in the transaction that moves the cursor.
pub struct Tasks {
    context: Arc<Context>,
}

impl Tasks {
    /// A handler.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

#[tonic::async_trait]
impl Handler for Tasks {
    fn concerns(&self, event: &Event) -> bool {
        tells_of_an_end(&event.r#type)
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Event]) -> Result<(), Error> {
        self.context
            .apply_task_events(connection, events)
            .await
            .map_err(|error| match error {
                OperationError::Store(StoreError::Database(error)) => Error::Database(error),
                OperationError::Events(error) => error,
                other => Error::Handler(Box::new(other)),
            })
    }
}
