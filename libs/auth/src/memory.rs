//! What was learned of credentials. It is believed for a short while; after that it is asked for
//! again, and while nobody answers it is believed on, but not for ever: a service must outlive the
//! absence of what it asks, and a revocation must get through in the end.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;

/// How long something is believed while nobody can be asked.
pub const STALE: TimeDelta = TimeDelta::minutes(10);
/// Between two questions about the same thing: the others go on with what is known.
const PAUSE: TimeDelta = TimeDelta::seconds(1);

/// A memory by key. Cloning shares it.
pub struct Memory<K, V> {
    believed: TimeDelta,
    entries: Cache<K, Arc<Entry<V>>>,
}

struct Entry<V> {
    value: V,
    learned: DateTime<Utc>,
    /// When somebody last asked whether it still holds, in µs since 1970.
    asked: AtomicI64,
}

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memo<V> {
    /// Believe it.
    Fresh(V),
    /// Ask, and believe it only if nobody answers.
    Aged(V),
    /// Nothing.
    None,
}

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A memory of at most `most` things, each believed for a time.
    pub fn new(most: u64, believed: TimeDelta) -> Self {
        let forgotten = STALE.to_std().unwrap_or(Duration::MAX);
        let entries = Cache::builder()
            .max_capacity(most)
            .time_to_live(forgotten)
            .build();
        Self { believed, entries }
    }

    /// What is remembered. Of many who find it aged at once, one is to ask.
    pub async fn recall(&self, key: &K, now: DateTime<Utc>) -> Memo<V> {
        let Some(entry) = self.entries.get(key).await else {
            return Memo::None;
        };
        let age = now - entry.learned;
        // A clock that was set back says nothing about age.
        if age >= STALE || age < TimeDelta::zero() {
            self.forget(key).await;
            return Memo::None;
        }
        let value = entry.value.clone();
        if age < self.believed || !entry.claim(now) {
            return Memo::Fresh(value);
        }
        Memo::Aged(value)
    }

    /// Remembers an answer.
    pub async fn learn(&self, key: K, value: V, now: DateTime<Utc>) {
        self.entries.insert(key, Entry::new(value, now)).await;
    }

    /// Asks for what is not remembered, once for all who want to know it at the same time.
    ///
    /// # Errors
    /// What the question was answered; nothing is remembered.
    pub async fn learn_once<E: Send + Sync + 'static>(
        &self,
        key: K,
        now: DateTime<Utc>,
        question: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Arc<E>> {
        let entry = async { question.await.map(|value| Entry::new(value, now)) };
        let entry = self.entries.try_get_with(key, entry).await?;
        Ok(entry.value.clone())
    }

    /// Forgets what holds no longer.
    pub async fn forget(&self, key: &K) {
        self.entries.invalidate(key).await;
    }
}

impl<V> Entry<V> {
    fn new(value: V, now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self {
            value,
            learned: now,
            asked: AtomicI64::new(i64::MIN),
        })
    }

    fn claim(&self, now: DateTime<Utc>) -> bool {
        let now = now.timestamp_micros();
        let last = self.asked.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= PAUSE.num_microseconds().unwrap_or(i64::MAX);
        is_due
            && self
                .asked
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl<K, V> Clone for Memory<K, V> {
    fn clone(&self) -> Self {
        Self {
            believed: self.believed,
            entries: self.entries.clone(),
        }
    }
}

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Memory(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    #[tokio::test]
    async fn what_is_aged_is_asked_for_by_one_at_a_time() {
        let memory = Memory::new(10, TimeDelta::seconds(20));
        assert_eq!(memory.recall(&"key", at(0)).await, Memo::None);
        memory.learn("key", 1, at(0)).await;
        assert_eq!(memory.recall(&"key", at(19_999)).await, Memo::Fresh(1));
        assert_eq!(memory.recall(&"key", at(20_000)).await, Memo::Aged(1));
        // While that one asks, and for a second after it got no answer.
        assert_eq!(memory.recall(&"key", at(20_999)).await, Memo::Fresh(1));
        assert_eq!(memory.recall(&"key", at(21_000)).await, Memo::Aged(1));
        memory.learn("key", 2, at(21_000)).await;
        assert_eq!(memory.recall(&"key", at(40_000)).await, Memo::Fresh(2));
        memory.forget(&"key").await;
        assert_eq!(memory.recall(&"key", at(40_000)).await, Memo::None);
    }

    #[tokio::test]
    async fn nothing_is_believed_for_ever() {
        let memory = Memory::new(10, TimeDelta::seconds(20));
        memory.learn("key", 1, at(0)).await;
        assert_eq!(memory.recall(&"key", at(599_999)).await, Memo::Aged(1));
        assert_eq!(memory.recall(&"key", at(600_000)).await, Memo::None);
        assert_eq!(memory.recall(&"key", at(-1)).await, Memo::None);
    }
}
