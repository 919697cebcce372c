//! Latencies.

use std::time::Duration;

/// Latencies of one round, in any order.
#[derive(Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Takes over another's samples.
    pub fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of the samples does not exceed, in milliseconds.
    pub fn percentile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        // A position within the samples; the share is between 0 and 1.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let position = (last as f64 * share).round() as usize;
        self.0
            .get(position)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }
}
