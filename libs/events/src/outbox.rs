//! Writing events beside the change that they tell of.

use prost::Message as _;
use sqlx::PgConnection;

use crate::{Error, NewEvent};

/// Bytes of events after which a new row begins. A reader takes rows whole, and an answer of the
/// feed must stay well within what a message may hold.
const ROW_BYTES: usize = 512 * 1024;

/// Writes events into the transaction's outbox: as one row, unless they are very many. After the
/// commit, [`crate::Wake::notify`] makes the relay run at once.
///
/// # Errors
/// When the database refuses; the transaction must then be rolled back.
pub async fn append(
    connection: &mut PgConnection,
    source: &str,
    events: Vec<NewEvent>,
) -> Result<(), Error> {
    let mut encoded = Vec::with_capacity(events.len() * 256);
    let mut count = 0;
    for event in events {
        let event = event.into_proto(source);
        event
            .encode_length_delimited(&mut encoded)
            .expect("a vector grows as needed");
        count += 1;
        if encoded.len() >= ROW_BYTES {
            insert(connection, count, std::mem::take(&mut encoded)).await?;
            count = 0;
        }
    }
    if count > 0 {
        insert(connection, count, encoded).await?;
    }
    Ok(())
}

async fn insert(connection: &mut PgConnection, count: i32, encoded: Vec<u8>) -> Result<(), Error> {
    sqlx::query("insert into outbox (event_count, events) values ($1, $2)")
        .bind(count)
        .bind(encoded)
        .execute(connection)
        .await?;
    Ok(())
}
