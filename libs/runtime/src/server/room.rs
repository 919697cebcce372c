//! How many clients may be connected: in all, and from one address, so that nobody alone can take
//! every file handle of the process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::LimitsConfig;

/// Room for connections.
pub(super) struct Room {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The room of one connection, given back when this is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    address: IpAddr,
}

impl Room {
    pub(super) fn new(limits: &LimitsConfig) -> Arc<Self> {
        Arc::new(Self {
            most: limits.connections,
            most_of_one: limits.connections_per_address,
            taken: Mutex::default(),
        })
    }

    /// Room for one more client; nothing when there is none.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        // An IPv4 client of a socket that takes both is the same client.
        let address = address.to_canonical();
        let mut taken = self.taken();
        let of_one = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= self.most || of_one >= self.most_of_one {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, of_one + 1);
        let room = Arc::clone(self);
        Some(Place { room, address })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all -= 1;
        let left = taken.by_address.get_mut(&self.address).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            taken.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_and_what_is_left_is_given_back() {
        let limits = LimitsConfig {
            connections: 3,
            connections_per_address: 2,
            ..LimitsConfig::default()
        };
        let room = Room::new(&limits);
        let [greedy, mapped, other] =
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().expect("an address"));
        let mut places = vec![room.take(greedy).unwrap(), room.take(mapped).unwrap()];
        assert!(room.take(greedy).is_none());
        places.push(room.take(other).unwrap());
        assert!(room.take(other).is_none(), "three is all there is");
        places.remove(0);
        places.push(room.take(greedy).unwrap());
        drop(places);
        assert!(room.taken().by_address.is_empty());
    }
}
