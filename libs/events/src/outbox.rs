//! Writing events beside the change that they tell of.

use prost::Message as _;
use sqlx::PgConnection;

use crate::{Error, NewEvent};

/// Writes events into the transaction's outbox, as one row however many they are. After the
/// commit, [`crate::Wake::notify`] makes the relay run at once.
///
/// # Errors
/// When the database refuses; the transaction must then be rolled back.
pub async fn append(
    connection: &mut PgConnection,
    source: &str,
    events: Vec<NewEvent>,
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let count = i32::try_from(events.len()).unwrap_or(i32::MAX);
    let mut encoded = Vec::with_capacity(events.len() * 256);
    for event in events {
        let event = event.into_proto(source);
        event
            .encode_length_delimited(&mut encoded)
            .expect("a vector grows as needed");
    }
    sqlx::query("insert into outbox (event_count, events) values ($1, $2)")
        .bind(count)
        .bind(encoded)
        .execute(connection)
        .await?;
    Ok(())
}
