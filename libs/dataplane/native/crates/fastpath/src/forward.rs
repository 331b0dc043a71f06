//! What is to become of a packet: decided by the table alone, whoever asks.

use std::ops::Range;

use crate::addr::Addr;
use crate::counters::Drop;
use crate::stun;
use crate::table::{Permission, Relay, Slot, Table, Tuple};

/// What becomes of a message of a client.
#[derive(PartialEq, Eq, Debug)]
pub enum FromClient {
    /// Something for the control loop.
    Up,
    Drop(Drop, Option<Slot>),
    ToPeer(ToPeer),
}

#[derive(PartialEq, Eq, Debug)]
pub struct ToPeer {
    pub relay: Slot,
    /// On the wire.
    pub to: Addr,
    /// Where in the message the data is.
    pub data: Range<usize>,
    pub dont_fragment: bool,
}

/// How a peer's data reaches the client.
#[derive(PartialEq, Eq, Debug)]
pub enum Form {
    ChannelData(u16),
    /// A Data indication from this peer.
    Data(Addr),
}

/// For a listener that only serves STUN. None: it goes up.
pub fn stun_only(bytes: &[u8]) -> Option<Drop> {
    if stun::is_stun(bytes) {
        return None;
    }
    let channel_data = stun::begins_as_channel_data(bytes) && stun::read_channel_data(bytes).is_some();
    Some(if channel_data { Drop::NoChannel } else { Drop::Malformed })
}

/// One datagram, or one frame of a stream, from a client that may own no relay.
pub fn from_client(table: &Table, client: Tuple, bytes: &[u8], now: f64) -> FromClient {
    if stun::begins_as_channel_data(bytes) {
        return channel_data(table, client, bytes, now);
    }
    if !stun::is_stun(bytes) {
        return FromClient::Drop(Drop::Malformed, None);
    }
    let Some(indication) = stun::read_send_indication(bytes) else {
        return FromClient::Up;
    };
    let peer = indication.peer;
    let Some((slot, relay)) = with_relay(table, table.relay_of(client, peer.ip.is_v6())) else {
        let moved = table.clients_move && !table.owns_relay(client);
        return if moved {
            FromClient::Up
        } else {
            FromClient::Drop(Drop::NoAllocation, None)
        };
    };
    let to_peer = ToPeer {
        relay: slot,
        to: peer,
        data: indication.data,
        dont_fragment: indication.dont_fragment,
    };
    to_known_peer(table, relay, to_peer, now)
}

/// What the control loop sends in the client's name obeys the table as well. `to` is as the client knows it.
pub fn in_name_of_client(table: &Table, to_peer: ToPeer, now: f64) -> FromClient {
    match table.relay(to_peer.relay) {
        Some(relay) => to_known_peer(table, relay, to_peer, now),
        None => FromClient::Drop(Drop::NoAllocation, None),
    }
}

fn channel_data(table: &Table, client: Tuple, bytes: &[u8], now: f64) -> FromClient {
    let Some((number, data)) = stun::read_channel_data(bytes) else {
        return FromClient::Drop(Drop::Malformed, None);
    };
    let Some((slot, relay)) = with_relay(table, table.relay_of_channel(client, number)) else {
        return FromClient::Up;
    };
    let Some(channel) = relay.channel(number) else {
        return FromClient::Up;
    };
    if channel.deadline <= now {
        return FromClient::Drop(Drop::Expired, Some(slot));
    }
    let to_peer = ToPeer {
        relay: slot,
        to: Addr::new(channel.wire, channel.peer.port),
        data,
        dont_fragment: false,
    };
    finish(table, relay, relay.permission(channel.peer.ip), to_peer, now)
}

fn to_known_peer(table: &Table, relay: &Relay, mut to_peer: ToPeer, now: f64) -> FromClient {
    let permission = relay.permission(to_peer.to.ip);
    if let Some(permission) = permission {
        to_peer.to.ip = permission.wire;
    }
    finish(table, relay, permission, to_peer, now)
}

fn finish(table: &Table, relay: &Relay, permission: Option<&Permission>, to_peer: ToPeer, now: f64) -> FromClient {
    let port = to_peer.to.port;
    let reason = match refusal(relay, permission, port, now) {
        Some(reason) => reason,
        None if table.bars(to_peer.to) => Drop::NoPermission,
        None if !relay.take_to_peers(to_peer.data.len(), now) => Drop::RateLimited,
        None if port == 0 => Drop::SendFailed,
        None => return FromClient::ToPeer(to_peer),
    };
    FromClient::Drop(reason, Some(to_peer.relay))
}

/// What becomes of a datagram of `length` bytes from a peer, which is at `wire`.
pub fn from_peer(relay: &Relay, wire: Addr, length: usize, now: f64) -> Result<(Tuple, Form), Drop> {
    if wire.port == 0 {
        return Err(Drop::Malformed);
    }
    let channel = relay.channel_from(wire);
    let permission = match channel {
        Some(channel) => relay.permission(channel.peer.ip),
        None => relay.permission_from(wire, now),
    };
    if let Some(reason) = refusal(relay, permission, wire.port, now) {
        return Err(reason);
    }
    let (Some(client), Some(permission)) = (relay.client, permission) else {
        return Err(Drop::NoAllocation);
    };
    if !relay.take_to_client(length, now) {
        return Err(Drop::RateLimited);
    }
    match channel {
        Some(channel) if channel.deadline > now => Ok((client, Form::ChannelData(channel.number))),
        _ if length > stun::MAX_DATA => Err(Drop::Malformed),
        _ => Ok((client, Form::Data(Addr::new(permission.ip, wire.port)))),
    }
}

fn refusal(relay: &Relay, permission: Option<&Permission>, port: u16, now: f64) -> Option<Drop> {
    if relay.client.is_none() {
        return Some(Drop::NoAllocation);
    }
    if relay.lease_until() <= now {
        return Some(Drop::Fenced);
    }
    if relay.deadline <= now {
        return Some(Drop::Expired);
    }
    match permission {
        None => Some(Drop::NoPermission),
        Some(permission) if permission.deadline <= now => Some(Drop::Expired),
        Some(permission) if !permission.permits(port) => Some(Drop::NoPermission),
        Some(_) => None,
    }
}

fn with_relay(table: &Table, slot: Option<Slot>) -> Option<(Slot, &Relay)> {
    let slot = slot?;
    Some((slot, table.relay(slot)?))
}

/// Whether an ICMP error of a packet to this peer is of interest to the client.
pub fn may_learn_of(relay: &Relay, wire: Addr, now: f64) -> bool {
    refusal(relay, relay.permission_from(wire, now), wire.port, now).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Ip;
    use crate::table::{Allocation, Channel};

    const NOW: f64 = 1000.0;
    const RELAY: f64 = 7.0;
    const PEER: Addr = Addr {
        ip: Ip::v4([192, 0, 2, 1]),
        port: 5000,
    };
    const CLIENT: Tuple = Tuple {
        listener: 3,
        remote: Addr {
            ip: Ip::v4([198, 51, 100, 1]),
            port: 40_000,
        },
    };

    fn permission(ip: Ip, wire: Ip) -> Permission {
        Permission {
            ip,
            wire,
            deadline: NOW + 1.0,
            ports: None,
            except_ports: Box::default(),
        }
    }

    fn table() -> Table {
        let socket = std::fs::File::open("/dev/null").unwrap().into();
        let mut table = Table::default();
        table.insert(Relay::new(RELAY, PEER, socket));
        let allocation = Allocation {
            client: CLIENT,
            v6: false,
            deadline: NOW + 1.0,
            rate: None,
        };
        table.assign(RELAY, allocation, NOW);
        table.set_permission(RELAY, permission(PEER.ip, PEER.ip));
        let channel = Channel {
            number: 0x4001,
            peer: PEER,
            wire: PEER.ip,
            deadline: NOW + 0.5,
        };
        table.set_channel(RELAY, channel);
        table
    }

    fn relay(table: &Table) -> &Relay {
        table.relay(table.slot(RELAY).unwrap()).unwrap()
    }

    const DATA: &[u8] = b"\x40\x01\0\x03abc";

    #[test]
    fn channel_data_goes_by_the_table_until_a_deadline() {
        let mut table = table();
        let to_peer = ToPeer {
            relay: 0,
            to: PEER,
            data: 4..7,
            dont_fragment: false,
        };
        assert_eq!(from_client(&table, CLIENT, DATA, NOW), FromClient::ToPeer(to_peer));
        let expired = FromClient::Drop(Drop::Expired, Some(0));
        assert_eq!(from_client(&table, CLIENT, DATA, NOW + 0.5), expired);
        table.delete_channel(RELAY, 0x4001);
        assert_eq!(from_client(&table, CLIENT, DATA, NOW), FromClient::Up);
    }

    #[test]
    fn a_client_is_one_on_its_listener_only() {
        let other = Tuple { listener: 4, ..CLIENT };
        assert_eq!(from_client(&table(), other, DATA, NOW), FromClient::Up);
    }

    #[test]
    fn a_peer_comes_by_its_channel_or_its_permission() {
        let table = table();
        let relay = relay(&table);
        let other = Addr::new(PEER.ip, 6000);
        let stranger = Addr::new(Ip::v4([192, 0, 2, 2]), 5000);
        assert_eq!(from_peer(relay, PEER, 3, NOW), Ok((CLIENT, Form::ChannelData(0x4001))));
        assert_eq!(from_peer(relay, PEER, 3, NOW + 0.5), Ok((CLIENT, Form::Data(PEER))));
        assert_eq!(from_peer(relay, other, 3, NOW), Ok((CLIENT, Form::Data(other))));
        assert_eq!(from_peer(relay, stranger, 3, NOW), Err(Drop::NoPermission));
        assert_eq!(from_peer(relay, PEER, 3, NOW + 1.0), Err(Drop::Expired));
        assert_eq!(from_peer(relay, Addr::new(PEER.ip, 0), 3, NOW), Err(Drop::Malformed));
    }

    #[test]
    fn a_mapped_address_comes_before_the_own_one() {
        let mut table = table();
        let known = Ip::v4([203, 0, 113, 5]);
        let wire = Addr::new(PEER.ip, 6000);
        table.set_permission(RELAY, permission(known, PEER.ip));
        let form = |table: &Table| from_peer(relay(table), wire, 0, NOW).unwrap().1;
        assert_eq!(form(&table), Form::Data(Addr::new(known, 6000)));
        table.delete_permission(RELAY, known);
        assert_eq!(form(&table), Form::Data(wire));
    }

    #[test]
    fn a_client_that_is_forgotten_owns_nothing() {
        let mut table = table();
        table.forget_client(CLIENT);
        assert!(!table.owns_relay(CLIENT));
        assert_eq!(from_client(&table, CLIENT, DATA, NOW), FromClient::Up);
        assert_eq!(from_peer(relay(&table), PEER, 3, NOW), Err(Drop::NoAllocation));
    }

    /// Whatever bytes come: every decision is one, and what goes to the peer lies within the message.
    #[test]
    fn no_bytes_lead_out_of_the_message() {
        let table = table();
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let send: &[u8] =
            b"\0\x16\0\x14\x21\x12\xa4\x42twelve bytes\0\x12\0\x08\0\x01\x32\x9a\xe1\x12\xa6\x43\0\x13\0\x03abc\0";
        let mut relayed = 0;
        for round in 0..200_000 {
            let mut bytes = match round % 3 {
                0 => send.to_vec(),
                1 => DATA.to_vec(),
                _ => (0..random() % 64).map(|_| random() as u8).collect(),
            };
            for _ in 0..random() % 3 {
                let at = random() as usize % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random() as u8;
                }
            }
            bytes.truncate(bytes.len() - (random() % 8 == 0 && !bytes.is_empty()) as usize);
            if let FromClient::ToPeer(to_peer) = from_client(&table, CLIENT, &bytes, NOW) {
                assert!(bytes.get(to_peer.data).is_some());
                relayed += 1;
            }
            let _ = stun_only(&bytes);
        }
        assert!(relayed > 1000);
    }
}
