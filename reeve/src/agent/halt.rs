//! How an agent ends: in order, or at once.

use std::io::Read as _;

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

    /// Asks for an end when stdin closes, that is when whoever started the agent has ended.
    pub fn when_stdin_closes(&self) {
        let stop = self.stop.clone();
        // A thread, and not the runtime's: the runtime would wait for its read when it shuts down.
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
            stop.cancel();
        });
    }
}
