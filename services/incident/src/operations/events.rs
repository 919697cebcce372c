//! Reading the tenant's log.

use reeve_auth::Caller;
use reeve_ids::{EventId, TenantId};

use super::Operations;
use crate::domain::logged::Logged;
use crate::error::Error;
use crate::storage::events::{self, Direction, Filter, Part};

/// Entries that one read for a stream brings.
const BATCH: i64 = 500;
/// Positions that one read for a stream looks at: however little of the log its filter selects, a
/// read ends, and the cursor moves.
const SPAN: i64 = 20_000;

/// Positions that one page looks at, when no index finds what its filter selects.
const PAGE_SPAN: i64 = 100_000;

/// What a page holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The entries, in the order asked for.
    pub entries: Vec<Logged>,
    /// Where the next page begins, when this one ended before it was full and before the log did.
    pub looked_up_to: Option<i64>,
}

/// What a stream reads at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The entries, oldest first.
    pub entries: Vec<Logged>,
    /// Where the next read begins: behind the entries, and behind what the filter left out.
    pub cursor: i64,
    /// Whether the log held nothing further.
    pub caught_up: bool,
}

impl Batch {
    /// Leaves all but the first entries for the next read.
    pub fn keep(&mut self, count: usize) {
        if count < self.entries.len() {
            self.entries.truncate(count);
            self.caught_up = false;
            self.cursor = self.entries.last().map_or(0, |entry| entry.position);
        }
    }
}

impl Operations {
    /// Entries beyond a position. However little of the log a filter selects, a page ends.
    pub async fn list_events(
        &self,
        caller: &Caller,
        beyond: Option<i64>,
        filter: &Filter,
        direction: Direction,
        limit: i64,
    ) -> Result<Listed, Error> {
        let tenant = caller.tenant();
        let mut tx = self.database.tenant(tenant).await?;
        let up_to = if filter.is_indexed() {
            None
        } else {
            let head = events::head(&mut tx, tenant).await?;
            page_end(beyond, direction, head)
        };
        let part = Part {
            direction,
            beyond,
            up_to,
            limit,
        };
        let entries = events::list(&mut tx, tenant, filter, part).await?;
        let full = i64::try_from(entries.len()).is_ok_and(|count| count == limit);
        Ok(Listed {
            entries,
            looked_up_to: up_to.filter(|_| !full),
        })
    }

    /// One entry.
    pub async fn get_event(&self, caller: &Caller, id: EventId) -> Result<Logged, Error> {
        let mut tx = self.database.tenant(caller.tenant()).await?;
        let found = events::get(&mut tx, caller.tenant(), id).await?;
        found.ok_or_else(|| Error::NotFound {
            kind: "event",
            id: id.to_string(),
        })
    }

    /// Position of the tenant's newest entry.
    pub async fn log_head(&self, tenant: TenantId) -> Result<i64, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        Ok(events::head(&mut tx, tenant).await?)
    }

    /// Reads on from a cursor. The end of the log is read first: entries that come meanwhile are
    /// left for the next read, and so cannot be skipped.
    pub async fn read_log(
        &self,
        tenant: TenantId,
        cursor: i64,
        filter: &Filter,
    ) -> Result<Batch, Error> {
        let mut tx = self.database.tenant(tenant).await?;
        let head = events::head(&mut tx, tenant).await?;
        if cursor > head {
            return Err(Error::CursorExpired);
        }
        if cursor == head {
            return Ok(Batch {
                entries: Vec::new(),
                cursor,
                caught_up: true,
            });
        }
        let end = head.min(cursor + SPAN);
        let part = Part {
            direction: Direction::Ascending,
            beyond: Some(cursor),
            up_to: Some(end),
            limit: BATCH,
        };
        let entries = events::list(&mut tx, tenant, filter, part).await?;
        let full = i64::try_from(entries.len()).is_ok_and(|count| count == BATCH);
        let last = entries.last().map_or(cursor, |entry| entry.position);
        let cursor = if full { last } else { end };
        Ok(Batch {
            entries,
            cursor,
            caught_up: cursor == head,
        })
    }
}

/// The last position that a page looks at; nothing when that is the end of the log.
fn page_end(beyond: Option<i64>, direction: Direction, head: i64) -> Option<i64> {
    match direction {
        Direction::Ascending => Some(beyond.unwrap_or(0).saturating_add(PAGE_SPAN)),
        Direction::Descending => Some(beyond.unwrap_or(head + 1).saturating_sub(PAGE_SPAN)),
    }
    .filter(|end| (2..head).contains(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_within_its_span_or_with_the_log() {
        use Direction::{Ascending, Descending};
        let span = PAGE_SPAN;
        assert_eq!(page_end(None, Ascending, span * 3), Some(span));
        assert_eq!(page_end(Some(span), Ascending, span * 3), Some(span * 2));
        assert_eq!(page_end(Some(span * 2), Ascending, span * 3), None);
        assert_eq!(page_end(None, Ascending, 10), None);
        assert_eq!(page_end(None, Descending, span * 3), Some(span * 2 + 1));
        assert_eq!(page_end(Some(span + 1), Descending, span * 3), None);
        assert_eq!(page_end(None, Descending, 10), None);
    }
}
