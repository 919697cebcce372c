//! Proving that the tenant's log is whole.

use reeve_auth::Caller;

use super::Operations;
use crate::domain::canonical::{Digest, GENESIS};
use crate::domain::logged::{Fault, Verifier};
use crate::error::Error;
use crate::storage::events;

/// Entries that are read at once.
const BATCH: i64 = 1_000;

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries fit.
    pub checked: i64,
    /// The last of them.
    pub last: i64,
    /// Its hash.
    pub last_hash: Option<Digest>,
    /// The first that does not fit.
    pub broken: Option<(i64, Fault)>,
}

impl Operations {
    /// Recomputes the chain from one entry to another; 0 stands for the first and the newest.
    pub async fn verify_audit_log(
        &self,
        caller: &Caller,
        first: i64,
        last: i64,
    ) -> Result<Verdict, Error> {
        let tenant = caller.tenant();
        let first = first.max(1);
        let mut tx = self.database.tenant(tenant).await?;
        let head = events::head(&mut tx, tenant).await?;
        let last = if last == 0 { head } else { last };
        // The entry before the range is taken for right; before the first there is none.
        let previous = if first == 1 {
            Some(GENESIS)
        } else {
            let before = events::range(&mut tx, tenant, (first - 1, first - 1), 1).await?;
            before.first().map(|entry| entry.hash)
        };
        let mut verifier = Verifier::new(first, previous);
        let mut next = first;
        let mut broken = None;
        while next <= last && broken.is_none() {
            let entries = events::range(&mut tx, tenant, (next, last), BATCH).await?;
            broken = entries.iter().find_map(|entry| verifier.check(entry).err());
            let read = i64::try_from(entries.len()).unwrap_or(i64::MAX);
            next = entries.last().map_or(last, |entry| entry.position) + 1;
            // The head says how long the log is, so an end that was cut off shows as well.
            if broken.is_none() && read < BATCH && verifier.last().0 < last.min(head) {
                broken = Some((verifier.last().0 + 1, Fault::Missing));
            }
        }
        let (last, last_hash) = verifier.last();
        let any = verifier.checked > 0;
        Ok(Verdict {
            checked: verifier.checked,
            last: if any { last } else { 0 },
            last_hash: last_hash.filter(|_| any),
            broken,
        })
    }
}
