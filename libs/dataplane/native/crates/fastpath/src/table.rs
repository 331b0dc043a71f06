//! Which client owns which relay, and what may pass between them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addr::{Addr, Ip};
use crate::bucket::Bucket;
use crate::counters::RelayTally;

pub type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// Where a relay is in the table, for as long as it is open.
pub type Slot = u32;

/// The 5-tuple of a client: its transport and the server's address come with the listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tuple {
    pub listener: u32,
    pub remote: Addr,
}

pub struct Permission {
    /// The peer as the client knows it.
    pub ip: Ip,
    /// Where its packets go to and come from.
    pub wire: Ip,
    pub deadline: f64,
    pub ports: Option<(u16, u16)>,
    pub except_ports: Box<[u16]>,
}

impl Permission {
    pub fn permits(&self, port: u16) -> bool {
        self.ports.is_none_or(|(min, max)| (min..=max).contains(&port)) && !self.except_ports.contains(&port)
    }
}

pub struct Channel {
    pub number: u16,
    /// The peer as the client knows it.
    pub peer: Addr,
    pub wire: Ip,
    pub deadline: f64,
}

/// Token buckets, one for each direction.
pub struct Limits {
    to_peers: Mutex<Bucket>,
    to_client: Mutex<Bucket>,
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until when relays under it may relay: bits of an f64. Only commands change it, and no packet is amid them.
#[derive(Default)]
pub struct Lease(AtomicU64);

impl Lease {
    pub fn deadline(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// One relay socket with its part of the table.
pub struct Relay {
    /// As the control loop names it.
    pub id: f64,
    pub local: Addr,
    pub socket: OwnedFd,
    /// Tells relays apart that had the same slot.
    pub generation: u32,
    /// Whose it is; None before the allocation entry, and after the client's stream has ended.
    pub client: Option<Tuple>,
    pub deadline: f64,
    lease: Option<Arc<Lease>>,
    /// By way of which relay of the mesh the client is reached: bits of a `PeerRef`, or 0.
    pub via: AtomicU64,
    limits: Option<Box<Limits>>,
    /// Sorted by `ip`.
    permissions: Vec<Permission>,
    /// (wire, ip) of permissions whose addresses differ, sorted.
    mapped: Vec<(Ip, Ip)>,
    /// Sorted by number.
    channels: Vec<Channel>,
    /// (wire, number), sorted.
    channel_by_wire: Vec<(Addr, u16)>,
    pub tally: RelayTally,
}

impl Relay {
    pub fn new(id: f64, local: Addr, socket: OwnedFd) -> Self {
        Self {
            id,
            local,
            socket,
            generation: 0,
            client: None,
            deadline: 0.0,
            lease: None,
            via: AtomicU64::new(0),
            limits: None,
            permissions: Vec::new(),
            mapped: Vec::new(),
            channels: Vec::new(),
            channel_by_wire: Vec::new(),
            tally: RelayTally::default(),
        }
    }

    /// Until when it may relay, whatever else there is.
    pub fn lease_until(&self) -> f64 {
        self.lease.as_ref().map_or(f64::INFINITY, |lease| lease.deadline())
    }

    pub fn permission(&self, ip: Ip) -> Option<&Permission> {
        let index = self.permissions.binary_search_by_key(&ip, |one| one.ip).ok()?;
        self.permissions.get(index)
    }

    /// The permission under which a packet from this address comes in: a live one if there is one.
    pub fn permission_from(&self, wire: Addr, now: f64) -> Option<&Permission> {
        let own = self.permission(wire.ip).filter(|one| one.wire == wire.ip);
        if self.mapped.is_empty() {
            return own.filter(|one| one.permits(wire.port));
        }
        let first = self.mapped.partition_point(|(other, _)| *other < wire.ip);
        let mapped = self.mapped[first..]
            .iter()
            .take_while(|(other, _)| *other == wire.ip)
            .filter_map(|(_, ip)| self.permission(*ip));
        let mut expired = None;
        for permission in mapped.chain(own) {
            if !permission.permits(wire.port) {
                continue;
            }
            if permission.deadline > now {
                return Some(permission);
            }
            expired = Some(permission);
        }
        expired
    }

    pub fn channel(&self, number: u16) -> Option<&Channel> {
        let index = self.channels.binary_search_by_key(&number, |one| one.number).ok()?;
        self.channels.get(index)
    }

    pub fn channel_from(&self, wire: Addr) -> Option<&Channel> {
        let index = self.channel_by_wire.binary_search_by_key(&wire, |(one, _)| *one).ok()?;
        self.channel(self.channel_by_wire[index].1)
    }

    pub fn take_to_peers(&self, bytes: usize, now: f64) -> bool {
        self.limits
            .as_ref()
            .is_none_or(|limits| lock(&limits.to_peers).take(bytes, now))
    }

    pub fn take_to_client(&self, bytes: usize, now: f64) -> bool {
        self.limits
            .as_ref()
            .is_none_or(|limits| lock(&limits.to_client).take(bytes, now))
    }

    fn set_rate(&mut self, rate: Option<f64>, now: f64) {
        let Some(rate) = rate else {
            self.limits = None;
            return;
        };
        match &self.limits {
            Some(limits) => {
                lock(&limits.to_peers).set_rate(rate);
                lock(&limits.to_client).set_rate(rate);
            }
            None => {
                self.limits = Some(Box::new(Limits {
                    to_peers: Mutex::new(Bucket::new(rate, now)),
                    to_client: Mutex::new(Bucket::new(rate, now)),
                }));
            }
        }
    }

    pub fn set_permission(&mut self, permission: Permission) {
        self.delete_permission(permission.ip);
        let (ip, wire) = (permission.ip, permission.wire);
        let index = self.permissions.partition_point(|one| one.ip < ip);
        grow(&mut self.permissions);
        self.permissions.insert(index, permission);
        if wire != ip {
            let index = self.mapped.partition_point(|one| *one < (wire, ip));
            self.mapped.insert(index, (wire, ip));
        }
    }

    pub fn delete_permission(&mut self, ip: Ip) {
        if let Ok(index) = self.permissions.binary_search_by_key(&ip, |one| one.ip) {
            self.permissions.remove(index);
            self.mapped.retain(|(_, other)| *other != ip);
        }
    }

    fn set_channel(&mut self, channel: Channel) {
        self.delete_channel(channel.number);
        let wire = Addr::new(channel.wire, channel.peer.port);
        match self.channel_by_wire.binary_search_by_key(&wire, |(one, _)| *one) {
            Ok(index) => self.channel_by_wire[index].1 = channel.number,
            Err(index) => {
                grow(&mut self.channel_by_wire);
                self.channel_by_wire.insert(index, (wire, channel.number));
            }
        }
        let index = self.channels.partition_point(|one| one.number < channel.number);
        grow(&mut self.channels);
        self.channels.insert(index, channel);
    }

    fn delete_channel(&mut self, number: u16) {
        if let Ok(index) = self.channels.binary_search_by_key(&number, |one| one.number) {
            self.channels.remove(index);
            self.channel_by_wire.retain(|(_, other)| *other != number);
        }
    }
}

/// Makes room for one more. Most relays have one peer or two, so that what a vector takes at first would be wasted.
fn grow<T>(entries: &mut Vec<T>) {
    if entries.len() == entries.capacity() {
        entries.reserve_exact(if entries.len() < 4 { 1 } else { entries.len() });
    }
}

/// A 5-tuple that owns relays: at most one of each address family (RFC 8656 section 7.2).
#[derive(Default)]
struct Client {
    relay4: Option<Slot>,
    relay6: Option<Slot>,
    /// Of both relays: (number, relay), sorted by number. Numbers are unique per client.
    channels: Vec<(u16, Slot)>,
}

impl Client {
    fn relay_mut(&mut self, v6: bool) -> &mut Option<Slot> {
        if v6 { &mut self.relay6 } else { &mut self.relay4 }
    }
}

pub struct Allocation {
    pub client: Tuple,
    pub v6: bool,
    pub deadline: f64,
    /// Bytes per second.
    pub rate: Option<f64>,
}

#[derive(Default)]
pub struct Table {
    /// Clients may come from another address than the one that owns what is theirs.
    pub clients_move: bool,
    relays: Vec<Option<Box<Relay>>>,
    free: Vec<Slot>,
    /// By the bits of the id.
    by_id: Map<u64, Slot>,
    by_local: Map<Addr, Slot>,
    clients: Map<Tuple, Client>,
    /// By the bits of their ids.
    leases: Map<u64, Arc<Lease>>,
    /// Addresses that no peer is at, sorted, and their ports.
    barred: Vec<Addr>,
    barred_ports: Vec<u16>,
    generation: u32,
}

impl Table {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn slot(&self, id: f64) -> Option<Slot> {
        self.by_id.get(&id.to_bits()).copied()
    }

    pub fn relay(&self, slot: Slot) -> Option<&Relay> {
        self.relays.get(slot as usize)?.as_deref()
    }

    fn relay_mut(&mut self, slot: Slot) -> Option<&mut Relay> {
        self.relays.get_mut(slot as usize)?.as_deref_mut()
    }

    /// `relay` is not to be in the table yet.
    pub fn insert(&mut self, mut relay: Relay) -> Slot {
        self.generation = self.generation.wrapping_add(1);
        relay.generation = self.generation;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.relays.push(None);
            (self.relays.len() - 1) as Slot
        });
        self.by_id.insert(relay.id.to_bits(), slot);
        self.by_local.insert(relay.local, slot);
        self.relays[slot as usize] = Some(Box::new(relay));
        slot
    }

    /// Takes the relay out. Its socket is open until what is returned is dropped.
    pub fn remove(&mut self, id: f64) -> Option<Relay> {
        let slot = self.slot(id)?;
        self.detach(slot);
        self.by_id.remove(&id.to_bits());
        let removed = self.relays[slot as usize].take().map(|relay| *relay)?;
        if self.by_local.get(&removed.local) == Some(&slot) {
            self.by_local.remove(&removed.local);
        }
        self.free.push(slot);
        Some(removed)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The relay whose socket is bound to the address.
    pub fn relay_at(&self, local: Addr) -> Option<Slot> {
        self.by_local.get(&local).copied()
    }

    /// Until when relays under the lease may relay; 0 is never.
    pub fn set_lease(&mut self, lease: f64, deadline: f64) {
        let shared = self.leases.entry(lease.to_bits()).or_default();
        shared.0.store(deadline.max(0.0).to_bits(), Ordering::Relaxed);
        if deadline <= 0.0 && Arc::strong_count(shared) == 1 {
            self.leases.remove(&lease.to_bits());
        }
    }

    /// Brings the relay under a lease, or out of one.
    pub fn put_under(&mut self, relay: f64, lease: Option<f64>) {
        let Some(slot) = self.slot(relay) else { return };
        let lease = lease.map(|id| Arc::clone(self.leases.entry(id.to_bits()).or_default()));
        if let Some(relay) = self.relay_mut(slot) {
            relay.lease = lease;
        }
    }

    /// Sets the addresses that no peer is at.
    pub fn bar(&mut self, addresses: impl Iterator<Item = Addr>) {
        self.barred = addresses.collect();
        self.barred.sort_unstable();
        self.barred_ports = self.barred.iter().map(|addr| addr.port).collect();
        self.barred_ports.sort_unstable();
        self.barred_ports.dedup();
    }

    pub fn bars(&self, addr: Addr) -> bool {
        self.barred_ports.contains(&addr.port) && self.barred.binary_search(&addr).is_ok()
    }

    pub fn owns_relay(&self, client: Tuple) -> bool {
        self.clients.contains_key(&client)
    }

    /// The relay of the client that sends to peers of a family.
    pub fn relay_of(&self, client: Tuple, v6: bool) -> Option<Slot> {
        let client = self.clients.get(&client)?;
        if v6 { client.relay6 } else { client.relay4 }
    }

    /// The relay of the client that has a channel.
    pub fn relay_of_channel(&self, client: Tuple, number: u16) -> Option<Slot> {
        let channels = &self.clients.get(&client)?.channels;
        let index = channels.binary_search_by_key(&number, |(one, _)| *one).ok()?;
        Some(channels[index].1)
    }

    pub fn set_permission(&mut self, relay: f64, permission: Permission) {
        if let Some(relay) = self.slot(relay).and_then(|slot| self.relay_mut(slot)) {
            relay.set_permission(permission);
        }
    }

    pub fn delete_permission(&mut self, relay: f64, ip: Ip) {
        if let Some(relay) = self.slot(relay).and_then(|slot| self.relay_mut(slot)) {
            relay.delete_permission(ip);
        }
    }

    pub fn set_channel(&mut self, relay: f64, channel: Channel) {
        let Some(slot) = self.slot(relay) else { return };
        let number = channel.number;
        let Some(relay) = self.relay_mut(slot) else { return };
        relay.set_channel(channel);
        if let Some(client) = relay.client {
            self.learn_channel(client, number, slot);
        }
    }

    pub fn delete_channel(&mut self, relay: f64, number: u16) {
        let Some(slot) = self.slot(relay) else { return };
        let Some(relay) = self.relay_mut(slot) else { return };
        relay.delete_channel(number);
        if let Some(client) = relay.client {
            self.forget_channel(client, number, slot);
        }
    }

    /// Gives the relay to a client. It takes the place of another relay of the same client and family, and is no other
    /// client's any more. Returns it when it is the first of this client.
    pub fn assign(&mut self, relay: f64, allocation: Allocation, now: f64) -> Option<&Relay> {
        let Allocation {
            client,
            v6,
            deadline,
            rate,
        } = allocation;
        let slot = self.slot(relay)?;
        let relay = self.relay_mut(slot)?;
        relay.deadline = deadline;
        relay.set_rate(rate, now);
        if relay.client == Some(client) && self.relay_of(client, v6) == Some(slot) {
            return None;
        }
        self.detach(slot);
        if let Some(displaced) = self.relay_of(client, v6) {
            self.detach(displaced);
        }
        let other = self.relay_of(client, !v6).and_then(|slot| self.relay(slot));
        let (first, via) = (
            other.is_none(),
            other.map_or(0, |relay| relay.via.load(Ordering::Relaxed)),
        );
        *self.clients.entry(client).or_default().relay_mut(v6) = Some(slot);
        let relay = self.relay_mut(slot)?;
        relay.client = Some(client);
        relay.via.store(via, Ordering::Relaxed);
        let numbers: Vec<u16> = relay.channels.iter().map(|channel| channel.number).collect();
        for number in numbers {
            self.learn_channel(client, number, slot);
        }
        self.relay(slot).filter(|_| first)
    }

    /// The client is gone: whoever comes from its address next is another one.
    pub fn forget_client(&mut self, client: Tuple) {
        for v6 in [false, true] {
            if let Some(slot) = self.relay_of(client, v6) {
                self.detach(slot);
            }
        }
    }

    /// Channel numbers are unique per client: one that the other relay had is now this one's.
    fn learn_channel(&mut self, client: Tuple, number: u16, slot: Slot) {
        let Some(known) = self.clients.get_mut(&client) else {
            return;
        };
        let index = match known.channels.binary_search_by_key(&number, |(one, _)| *one) {
            Ok(index) => index,
            Err(index) => {
                known.channels.insert(index, (number, slot));
                return;
            }
        };
        let other = std::mem::replace(&mut known.channels[index].1, slot);
        if other == slot {
            return;
        }
        if let Some(relay) = self.relay_mut(other) {
            relay.delete_channel(number);
        }
    }

    fn forget_channel(&mut self, client: Tuple, number: u16, slot: Slot) {
        if let Some(known) = self.clients.get_mut(&client) {
            known.channels.retain(|one| *one != (number, slot));
        }
    }

    fn detach(&mut self, slot: Slot) {
        let Some(client) = self.relay_mut(slot).and_then(|relay| relay.client.take()) else {
            return;
        };
        let Some(known) = self.clients.get_mut(&client) else {
            return;
        };
        for v6 in [false, true] {
            let place = known.relay_mut(v6);
            if *place == Some(slot) {
                *place = None;
            }
        }
        known.channels.retain(|(_, other)| *other != slot);
        if known.relay4.is_none() && known.relay6.is_none() {
            self.clients.remove(&client);
        }
    }
}
