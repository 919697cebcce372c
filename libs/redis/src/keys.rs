//! Every key, spelled here and nowhere else.
//!
//! `prefix:{tag}:part`. The tag in braces alone decides the slot in Redis Cluster, so keys that one
//! script touches have the same tag:
//! * `{rq.S}`: the lanes of one shard of the ready queues, with their `granting` and `generation`.
//!   A shard is a set of tenants (see [`shard_of`]), because a pop serves one agent, hence one tenant.
//! * `{lease.N.S}`: one shard of the leases called N, a set of ids.
//! * `{stream.N}` and `{limit.K}`: each stream and each bucket on its own.

use std::sync::Arc;

/// Makes the keys of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// ZSET: id of a ready task -> order score, lowest first. What else a lane may have has its name
    /// and a mark (`scripts/turns.lua`).
    pub(crate) fn lane(&self, shard: u16, lane: &str) -> String {
        format!("{}:{{rq.{shard}}}:lane:{lane}", self.prefix)
    }

    /// ZSET: ticket of a popped task whose grant is not committed -> deadline, ms.
    pub(crate) fn granting(&self, shard: u16) -> String {
        format!("{}:{{rq.{shard}}}:granting", self.prefix)
    }

    /// ZSET: id of a leaseholder -> expiry, ms.
    pub(crate) fn leases(&self, name: &str, shard: u16) -> String {
        format!("{}:{{lease.{name}.{shard}}}:expiry", self.prefix)
    }

    /// STRING `<token>:<run id of the server>`: present while the ready queues are whole.
    pub(crate) fn ready_generation(&self, shard: u16) -> GenerationKeys {
        self.generation(&format!("rq.{shard}"))
    }

    /// The same for one shard of leases.
    pub(crate) fn lease_generation(&self, name: &str, shard: u16) -> GenerationKeys {
        self.generation(&format!("lease.{name}.{shard}"))
    }

    fn generation(&self, tag: &str) -> GenerationKeys {
        GenerationKeys {
            current: format!("{}:{{{tag}}}:generation", self.prefix),
            rebuilding: format!("{}:{{{tag}}}:rebuilding", self.prefix),
        }
    }

    /// STREAM: `<last seq>-0` -> first (sequence number), payload.
    pub(crate) fn stream(&self, name: &str) -> String {
        format!("{}:{{stream.{name}}}", self.prefix)
    }

    /// Channel: the name of the sender, then topics, one a line.
    pub(crate) fn wake_channel(&self, name: &str) -> String {
        format!("{}:wake.{name}", self.prefix)
    }

    /// HASH of a token bucket: tokens, time (ms of the last take).
    pub(crate) fn bucket(&self, key: &str) -> String {
        format!("{}:{{limit.{key}}}", self.prefix)
    }
}

/// The two keys that tell whether a structure is whole.
#[derive(Debug, Clone)]
pub(crate) struct GenerationKeys {
    /// `<token>:<run id>`, set when a rebuild ends.
    pub(crate) current: String,
    /// `<token>:<run id>` with a time to live, set while a rebuild runs.
    pub(crate) rebuilding: String,
}

/// Which of `shards` an id belongs to: FNV-1a, so that every replica and every version agrees.
/// A change of `shards` moves ids, so it must come with a rebuild.
pub fn shard_of(id: &[u8], shards: u16) -> u16 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // The low bits of FNV are weak for short ids.
    let mixed = hash ^ (hash >> 32);
    u16::try_from(mixed % u64::from(shards.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str) -> &str {
        let start = key.find('{').expect("a key has a tag") + 1;
        &key[start..start + key[start..].find('}').expect("a tag ends")]
    }

    #[test]
    fn keys_of_one_script_share_their_tag() {
        let keys = Keys::new("p");
        let generation = keys.ready_generation(3);
        assert_eq!(keys.lane(3, "default/{x}"), "p:{rq.3}:lane:default/{x}");
        let all = [
            keys.lane(3, "{a}"),
            keys.granting(3),
            generation.current,
            generation.rebuilding,
        ];
        assert!(all.iter().all(|key| tag(key) == "rq.3"), "{all:?}");
        assert_eq!(
            tag(&keys.leases("agents", 1)),
            tag(&keys.lease_generation("agents", 1).current)
        );
    }

    #[test]
    fn ids_spread_over_all_shards() {
        let mut counts = [0_u32; 16];
        for number in 0..16_000_u32 {
            counts[usize::from(shard_of(format!("agent-{number}").as_bytes(), 16))] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_shard_of_an_id_never_changes() {
        assert_eq!((shard_of(b"default", 16), shard_of(b"default", 1)), (8, 0));
    }
}
