//! What the table is to answer, by lists that are searched from end to end. Relays and clients go by their index.

use super::reference::{Kind, read};
use crate::addr::{Addr, Ip};
use crate::counters::Drop;
use crate::stun::MAX_DATA;

pub const RELAYS: usize = 3;
pub const CLIENTS: usize = 4;

pub struct Permission {
    pub ip: Ip,
    pub wire: Ip,
    pub deadline: u64,
    pub ports: (u16, u16),
    pub except: Vec<u16>,
}

impl Permission {
    fn permits(&self, port: u16) -> bool {
        self.ports.0 <= port && port <= self.ports.1 && !self.except.contains(&port)
    }
}

pub struct Channel {
    pub number: u16,
    pub peer: Addr,
    pub wire: Addr,
    pub deadline: u64,
}

/// Holds a second's worth, lends once. In thousandths of a byte, which are whole numbers for rates in whole bytes.
struct Bucket {
    rate: i64,
    tokens: i64,
    at: u64,
}

impl Bucket {
    fn take(&mut self, bytes: usize, now: u64) -> bool {
        self.tokens = (self.tokens + (now - self.at) as i64 * self.rate).min(self.rate * 1000);
        self.at = now;
        let passes = self.tokens > 0;
        if passes {
            self.tokens -= bytes as i64 * 1000;
        }
        passes
    }
}

#[derive(Default)]
pub struct Relay {
    /// The client, and the family in which it is its relay.
    pub owner: Option<(usize, bool)>,
    pub deadline: u64,
    to_peers: Option<Bucket>,
    to_client: Option<Bucket>,
    pub permissions: Vec<Permission>,
    pub channels: Vec<Channel>,
    /// The channel that was set last for an address on the wire.
    pub by_wire: Vec<(Addr, u16)>,
}

impl Relay {
    pub fn permission(&self, ip: Ip) -> Option<&Permission> {
        self.permissions.iter().find(|one| one.ip == ip)
    }

    pub fn channel(&self, number: u16) -> Option<&Channel> {
        self.channels.iter().find(|one| one.number == number)
    }

    pub fn channel_from(&self, wire: Addr) -> Option<u16> {
        self.by_wire.iter().find(|one| one.0 == wire).map(|one| one.1)
    }

    fn delete_channel(&mut self, number: u16) {
        self.channels.retain(|one| one.number != number);
        self.by_wire.retain(|one| one.1 != number);
    }
}

#[derive(PartialEq, Eq, Debug)]
pub enum FromClient {
    Up,
    Drop(Drop, Option<usize>),
    ToPeer {
        relay: usize,
        to: Addr,
        data: Vec<u8>,
        dont_fragment: bool,
    },
}

#[derive(PartialEq, Eq, Debug)]
pub enum FromPeer {
    Drop(Drop),
    ChannelData(usize, u16),
    /// The addresses that the client may be told: any of them is right.
    Data(usize, Vec<Addr>),
}

#[derive(Default)]
pub struct Model {
    pub relays: [Option<Relay>; RELAYS],
}

impl Model {
    pub fn relay_of(&self, client: usize, v6: bool) -> Option<usize> {
        let owned = |relay: &Option<Relay>| relay.as_ref().is_some_and(|one| one.owner == Some((client, v6)));
        self.relays.iter().position(owned)
    }

    pub fn relay_of_channel(&self, client: usize, number: u16) -> Option<usize> {
        let mut owned = [false, true].into_iter().filter_map(|v6| self.relay_of(client, v6));
        owned.find(|index| {
            self.relays[*index]
                .as_ref()
                .is_some_and(|one| one.channel(number).is_some())
        })
    }

    pub fn assign(&mut self, index: usize, owner: (usize, bool), deadline: u64, rate: Option<u32>, now: u64) {
        if self.relays[index].is_none() {
            return;
        }
        for relay in self.relays.iter_mut().flatten() {
            relay.owner = relay.owner.filter(|other| *other != owner);
        }
        let Some(relay) = &mut self.relays[index] else { return };
        relay.owner = Some(owner);
        relay.deadline = deadline;
        for bucket in [&mut relay.to_peers, &mut relay.to_client] {
            let rate = rate.map(i64::from);
            let tokens = bucket.as_ref().map_or(i64::MAX, |bucket| bucket.tokens);
            let at = bucket.as_ref().map_or(now, |bucket| bucket.at);
            *bucket = rate.map(|rate| Bucket {
                rate,
                tokens: tokens.min(rate * 1000),
                at,
            });
        }
        let numbers: Vec<_> = relay.channels.iter().map(|one| one.number).collect();
        for number in numbers {
            self.take_from_others(index, owner.0, number);
        }
    }

    pub fn forget(&mut self, client: usize) {
        for relay in self.relays.iter_mut().flatten() {
            relay.owner = relay.owner.filter(|(other, _)| *other != client);
        }
    }

    pub fn set_permission(&mut self, index: usize, permission: Permission) {
        self.delete_permission(index, permission.ip);
        if let Some(relay) = &mut self.relays[index] {
            relay.permissions.push(permission);
        }
    }

    pub fn delete_permission(&mut self, index: usize, ip: Ip) {
        if let Some(relay) = &mut self.relays[index] {
            relay.permissions.retain(|one| one.ip != ip);
        }
    }

    pub fn set_channel(&mut self, index: usize, channel: Channel) {
        let Some(relay) = &mut self.relays[index] else { return };
        let number = channel.number;
        relay.delete_channel(number);
        relay.by_wire.retain(|one| one.0 != channel.wire);
        relay.by_wire.push((channel.wire, number));
        relay.channels.push(channel);
        if let Some((client, _)) = relay.owner {
            self.take_from_others(index, client, number);
        }
    }

    pub fn delete_channel(&mut self, index: usize, number: u16) {
        if let Some(relay) = &mut self.relays[index] {
            relay.delete_channel(number);
        }
    }

    /// Channel numbers are unique per client.
    fn take_from_others(&mut self, index: usize, client: usize, number: u16) {
        for (other, relay) in self.relays.iter_mut().enumerate() {
            let Some(relay) = relay else { continue };
            if other != index && relay.owner.is_some_and(|owner| owner.0 == client) {
                relay.delete_channel(number);
            }
        }
    }

    pub fn client_sends(&mut self, client: usize, bytes: &[u8], now: u64) -> FromClient {
        match read(bytes) {
            Kind::Malformed => FromClient::Drop(Drop::Malformed, None),
            Kind::Other(_) => FromClient::Up,
            Kind::ChannelData(number, data) => {
                let Some(index) = self.relay_of_channel(client, number) else {
                    return FromClient::Up;
                };
                let channel = self.relays[index].as_ref().and_then(|relay| relay.channel(number));
                match channel.map(|one| (one.peer, one.wire, one.deadline)) {
                    Some((_, _, deadline)) if deadline <= now => FromClient::Drop(Drop::Expired, Some(index)),
                    Some((peer, wire, _)) => self.pass(index, peer, wire, data, false, now),
                    None => FromClient::Up,
                }
            }
            Kind::Send(send) => match self.relay_of(client, send.peer.ip.is_v6()) {
                Some(index) => self.control_sends(index, send.peer, send.data, send.dont_fragment, now),
                None => FromClient::Drop(Drop::NoAllocation, None),
            },
        }
    }

    pub fn control_sends(&mut self, index: usize, peer: Addr, data: &[u8], df: bool, now: u64) -> FromClient {
        let Some(relay) = &self.relays[index] else {
            return FromClient::Drop(Drop::NoAllocation, None);
        };
        let wire = relay.permission(peer.ip).map_or(peer.ip, |one| one.wire);
        self.pass(index, peer, Addr::new(wire, peer.port), data, df, now)
    }

    fn pass(&mut self, index: usize, peer: Addr, to: Addr, data: &[u8], df: bool, now: u64) -> FromClient {
        let Some(relay) = &mut self.relays[index] else {
            return FromClient::Up;
        };
        let refused = refusal(relay, relay.permission(peer.ip), peer.port, now);
        let limited = |bucket: &mut Bucket| !bucket.take(data.len(), now);
        let reason = match refused {
            Some(reason) => reason,
            None if relay.to_peers.as_mut().is_some_and(limited) => Drop::RateLimited,
            None if to.port == 0 => Drop::SendFailed,
            None => {
                return FromClient::ToPeer {
                    relay: index,
                    to,
                    data: data.to_vec(),
                    dont_fragment: df,
                };
            }
        };
        FromClient::Drop(reason, Some(index))
    }

    /// The relay is to be there.
    pub fn peer_sends(&mut self, index: usize, wire: Addr, length: usize, now: u64) -> Option<FromPeer> {
        let relay = self.relays[index].as_mut()?;
        if wire.port == 0 {
            return Some(FromPeer::Drop(Drop::Malformed));
        }
        let channel = relay.channel_from(wire).and_then(|number| relay.channel(number));
        let channel = channel.map(|one| (one.number, one.peer.ip, one.deadline));
        let candidates = match channel {
            Some((_, ip, _)) => relay.permission(ip).into_iter().collect(),
            None => permissions_from(relay, wire, now),
        };
        let known = candidates.iter().map(|one| Addr::new(one.ip, wire.port)).collect();
        if let Some(reason) = refusal(relay, candidates.first().copied(), wire.port, now) {
            return Some(FromPeer::Drop(reason));
        }
        let (client, _) = relay.owner?;
        if relay.to_client.as_mut().is_some_and(|bucket| !bucket.take(length, now)) {
            return Some(FromPeer::Drop(Drop::RateLimited));
        }
        Some(match channel {
            Some((number, _, deadline)) if deadline > now => FromPeer::ChannelData(client, number),
            _ if length > MAX_DATA => FromPeer::Drop(Drop::Malformed),
            _ => FromPeer::Data(client, known),
        })
    }

    /// Whether the client may learn of an error of a packet to this address.
    pub fn may_learn_of(&self, index: usize, wire: Addr, now: u64) -> bool {
        self.relays[index].as_ref().is_some_and(|relay| {
            let permission = permissions_from(relay, wire, now).first().copied();
            refusal(relay, permission, wire.port, now).is_none()
        })
    }
}

/// Those of one rank: live before expired, mapped before not.
fn permissions_from(relay: &Relay, wire: Addr, now: u64) -> Vec<&Permission> {
    let mut all: Vec<_> = relay
        .permissions
        .iter()
        .filter(|one| one.wire == wire.ip && one.permits(wire.port))
        .collect();
    let rank = |one: &&Permission| (one.deadline <= now, one.ip == one.wire);
    let best = all.iter().map(rank).min();
    all.retain(|one| Some(rank(one)) == best);
    all
}

fn refusal(relay: &Relay, permission: Option<&Permission>, port: u16, now: u64) -> Option<Drop> {
    if relay.owner.is_none() {
        Some(Drop::NoAllocation)
    } else if now >= relay.deadline {
        Some(Drop::Expired)
    } else {
        match permission {
            None => Some(Drop::NoPermission),
            Some(permission) if now >= permission.deadline => Some(Drop::Expired),
            Some(permission) if !permission.permits(port) => Some(Drop::NoPermission),
            Some(_) => None,
        }
    }
}
