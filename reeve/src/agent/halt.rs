//! How an agent ends: in order, or at once.

use tokio_util::sync::CancellationToken;

/// Two requests to end, the second more urgent. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Halt {
    /// Take nothing new, finish what runs, leave.
    pub stop: CancellationToken,
    /// Stop what runs, give it back, leave.
    pub now: CancellationToken,
}

impl Halt {
    /// Asks for an end, more urgently when it was asked for before.
    pub fn ask(&self) {
        if self.stop.is_cancelled() {
            self.now.cancel();
        }
        self.stop.cancel();
    }
}
