//! The text that an agent presents for a lease.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reeve_ids::{TaskId, Uuid};
use std::fmt;
use std::str::FromStr;

/// A task and the fence of one grant of it. Fences of a task only grow, so a token names one grant
/// for ever; each grant adds a random step, so a token cannot be computed from an older one. The
/// checksum tells a mistyped token (INVALID_ARGUMENT) from a stale one (LEASE_LOST).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseToken {
    /// The task.
    pub task_id: TaskId,
    /// The grant.
    pub fence: i64,
}

/// The text is not a lease token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidToken;

impl fmt::Display for InvalidToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("must be a lease_token as it was given with the lease")
    }
}

const BODY: usize = 24;
const LENGTH: usize = BODY + 4;

/// FNV-1a: it guards against typing, not against forging, which the fence's random steps do.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.to_be_bytes()
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0_u8; LENGTH];
        bytes[..16].copy_from_slice(self.task_id.uuid().as_bytes());
        bytes[16..BODY].copy_from_slice(&self.fence.to_be_bytes());
        let sum = checksum(&bytes[..BODY]);
        bytes[BODY..].copy_from_slice(&sum);
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for LeaseToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| InvalidToken)?;
        let (body, sum) = bytes.split_at(BODY);
        if checksum(body) != sum {
            return Err(InvalidToken);
        }
        let (task, fence) = body.split_at(16);
        let task = Uuid::from_slice(task).map_err(|_| InvalidToken)?;
        let fence = i64::from_be_bytes(fence.try_into().map_err(|_| InvalidToken)?);
        Ok(Self {
            task_id: TaskId::from_uuid(task),
            fence,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn survives_its_text(fence in 1..i64::MAX) {
            let token = LeaseToken { task_id: TaskId::new(), fence };
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn refuses_any_other_text(text in "\\PC{0,60}") {
            prop_assert_eq!(text.parse::<LeaseToken>(), Err(InvalidToken));
        }
    }

    #[test]
    fn refuses_a_changed_character() {
        let text = LeaseToken {
            task_id: TaskId::new(),
            fence: 7,
        }
        .to_string();
        for index in 0..text.len() - 1 {
            let mut changed: Vec<char> = text.chars().collect();
            changed[index] = if changed[index] == 'A' { 'B' } else { 'A' };
            let changed: String = changed.into_iter().collect();
            assert_eq!(changed.parse::<LeaseToken>(), Err(InvalidToken), "{index}");
        }
    }
}
