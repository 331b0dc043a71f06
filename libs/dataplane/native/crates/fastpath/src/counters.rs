//! Totals, one set for each thread that counts, so that no thread waits for another's cache line.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why something was dropped. The order is that of `DROP_REASONS` in the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    Malformed,
    UnknownClient,
    NoAllocation,
    NoPermission,
    NoChannel,
    Expired,
    RateLimited,
    BackPressure,
    SendFailed,
    Fenced,
    MeshAuth,
    MeshReplay,
    MeshUnknown,
    MeshRefused,
    Repeated,
}

const DROPS: usize = 15;
const PACKETS_TO_PEERS: usize = 0;
const BYTES_TO_PEERS: usize = 1;
const PACKETS_TO_CLIENTS: usize = 2;
const BYTES_TO_CLIENTS: usize = 3;
const SLOW_PATH: usize = 4;
const BINDINGS: usize = 5;
const FIRST_DROP: usize = 6;
const MESH_SENT: usize = FIRST_DROP + DROPS;
const MESH_RECEIVED: usize = MESH_SENT + 2;

/// How many totals there are: packets and bytes to peers, packets and bytes to clients, messages handed up, Binding
/// requests answered, what was dropped by reason, then packets and bytes sent and received over the mesh.
pub const COUNTERS: usize = MESH_RECEIVED + 2;

/// Of one thread. Only that thread writes; any may read.
#[repr(align(128))]
pub struct Tally {
    values: [AtomicU64; COUNTERS],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            values: [const { AtomicU64::new(0) }; COUNTERS],
        }
    }
}

impl Tally {
    pub fn drop(&self, reason: Drop, packets: usize) {
        self.add(FIRST_DROP + reason as usize, packets);
    }

    pub fn to_peers(&self, packets: usize, bytes: usize) {
        self.add(PACKETS_TO_PEERS, packets);
        self.add(BYTES_TO_PEERS, bytes);
    }

    pub fn to_clients(&self, packets: usize, bytes: usize) {
        self.add(PACKETS_TO_CLIENTS, packets);
        self.add(BYTES_TO_CLIENTS, bytes);
    }

    pub fn slow_path(&self) {
        self.add(SLOW_PATH, 1);
    }

    pub fn mesh_sent(&self, packets: usize, bytes: usize) {
        self.add(MESH_SENT, packets);
        self.add(MESH_SENT + 1, bytes);
    }

    pub fn mesh_received(&self, bytes: usize) {
        self.add(MESH_RECEIVED, 1);
        self.add(MESH_RECEIVED + 1, bytes);
    }

    pub fn bindings(&self, packets: usize) {
        self.add(BINDINGS, packets);
    }

    pub fn add_to(&self, totals: &mut [f64; COUNTERS]) {
        for (total, value) in totals.iter_mut().zip(&self.values) {
            *total += value.load(Ordering::Relaxed) as f64;
        }
    }

    fn add(&self, index: usize, count: usize) {
        let value = &self.values[index];
        value.store(value.load(Ordering::Relaxed) + count as u64, Ordering::Relaxed);
    }
}

/// How many totals a relay has: packets and bytes to peers, packets and bytes to the client, dropped.
pub const RELAY_COUNTERS: usize = 5;

/// Of one relay. Every thread may write.
#[derive(Default)]
pub struct RelayTally {
    values: [AtomicU64; RELAY_COUNTERS],
}

impl RelayTally {
    pub fn to_peers(&self, packets: usize, bytes: usize) {
        self.add(0, packets);
        self.add(1, bytes);
    }

    pub fn to_client(&self, packets: usize, bytes: usize) {
        self.add(2, packets);
        self.add(3, bytes);
    }

    pub fn drop(&self, packets: usize) {
        self.add(4, packets);
    }

    /// Packets and bytes to peers, packets and bytes to the client: where it begins.
    pub fn starting_at(counters: [f64; 4]) -> Self {
        let tally = Self::default();
        for (value, count) in tally.values.iter().zip(counters) {
            value.store(count as u64, Ordering::Relaxed);
        }
        tally
    }

    pub fn totals(&self) -> [f64; RELAY_COUNTERS] {
        std::array::from_fn(|index| self.values[index].load(Ordering::Relaxed) as f64)
    }

    fn add(&self, index: usize, count: usize) {
        self.values[index].fetch_add(count as u64, Ordering::Relaxed);
    }
}
