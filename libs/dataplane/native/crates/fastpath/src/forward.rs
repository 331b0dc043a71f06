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
        return FromClient::Drop(Drop::NoAllocation, None);
    };
    let to_peer = ToPeer {
        relay: slot,
        to: peer,
        data: indication.data,
        dont_fragment: indication.dont_fragment,
    };
    to_known_peer(relay, to_peer, now)
}

/// What the control loop sends in the client's name obeys the table as well. `to` is as the client knows it.
pub fn in_name_of_client(table: &Table, to_peer: ToPeer, now: f64) -> FromClient {
    match table.relay(to_peer.relay) {
        Some(relay) => to_known_peer(relay, to_peer, now),
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
    finish(relay, relay.permission(channel.peer.ip), to_peer, now)
}

fn to_known_peer(relay: &Relay, mut to_peer: ToPeer, now: f64) -> FromClient {
    let permission = relay.permission(to_peer.to.ip);
    if let Some(permission) = permission {
        to_peer.to.ip = permission.wire;
    }
    finish(relay, permission, to_peer, now)
}

fn finish(relay: &Relay, permission: Option<&Permission>, to_peer: ToPeer, now: f64) -> FromClient {
    let port = to_peer.to.port;
    let reason = match refusal(relay, permission, port, now) {
        Some(reason) => reason,
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
