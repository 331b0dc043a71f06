//! The floor: what it costs to relay ChannelData with recvmmsg and sendmmsg and nothing else.
//!
//! Takes the requests that set a flow up (without authentication, deadlines or permissions), so that the same load runs
//! through it as through a TURN server: one socket for all clients, one for each relayed address. Not a TURN server.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddrV4;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::endpoint::Endpoint;
use crate::receive::ReceiveBatch;
use crate::send::{SLOT, SendBatch};
use crate::stun::{
    Builder, CHANNEL_HEADER_LEN, Message, TransactionId, attr, channel_header, kind, parse_channel_data,
};

const BATCH: usize = 64;
const LISTENER: u64 = u64::MAX;
/// Batches taken from one socket before the others have their turn.
const ROUNDS: usize = 4;

struct Relay {
    endpoint: Endpoint,
    client: SocketAddrV4,
    channels: Vec<(u16, SocketAddrV4)>,
}

struct Forwarder {
    listener: Endpoint,
    epoll: std::os::fd::OwnedFd,
    relays: Vec<Option<Relay>>,
    by_client: HashMap<SocketAddrV4, usize>,
    sends: SendBatch,
}

/// Serves on `listen` until the process is ended.
pub fn serve(listen: SocketAddrV4) -> io::Result<()> {
    let listener = Endpoint::bind(listen)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        epoll::EventData::new_u64(LISTENER),
        epoll::EventFlags::IN,
    )?;
    let mut forwarder = Forwarder {
        listener,
        epoll,
        relays: Vec::new(),
        by_client: HashMap::new(),
        sends: SendBatch::new(BATCH, 1),
    };
    let mut receives = ReceiveBatch::new(BATCH, false);
    let mut events = Vec::with_capacity(BATCH);
    loop {
        events.clear();
        match epoll::wait(&forwarder.epoll, spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result?,
        };
        for event in &events {
            match event.data.u64() {
                LISTENER => forwarder.relay_to_peers(&mut receives)?,
                index => forwarder.relay_to_client(index as usize, &mut receives),
            }
        }
    }
}

impl Forwarder {
    fn relay_to_peers(&mut self, receives: &mut ReceiveBatch) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let count = receives.receive(&self.listener);
            let mut runs: Vec<(usize, SocketAddrV4, &[u8])> = Vec::with_capacity(count);
            let mut requests = Vec::new();
            for (bytes, from) in receives.iter() {
                match parse_channel_data(bytes) {
                    Some((channel, data)) => {
                        runs.extend(self.route(from, channel).map(|(relay, to)| (relay, to, data)))
                    }
                    None => requests.push((bytes, from)),
                }
            }
            runs.sort_by_key(|(relay, ..)| *relay);
            self.send_to_peers(&runs);
            for (bytes, from) in requests {
                self.answer(bytes, from)?;
            }
            if count < BATCH {
                break;
            }
        }
        Ok(())
    }

    fn route(&self, client: SocketAddrV4, channel: u16) -> Option<(usize, SocketAddrV4)> {
        let index = *self.by_client.get(&client)?;
        let relay = self.relays[index].as_ref()?;
        let (_, peer) = relay.channels.iter().find(|(number, _)| *number == channel)?;
        Some((index, *peer))
    }

    fn send_to_peers(&mut self, runs: &[(usize, SocketAddrV4, &[u8])]) {
        for run in runs.chunk_by(|(one, ..), (other, ..)| one == other) {
            for (_, to, data) in run {
                self.sends.push(None, *to, |buffer| {
                    buffer[..data.len()].copy_from_slice(data);
                    data.len()
                });
            }
            let relay = run.first().and_then(|(index, ..)| self.relays[*index].as_ref());
            if let Some(relay) = relay {
                self.sends.flush(&relay.endpoint);
            }
        }
    }

    fn relay_to_client(&mut self, index: usize, receives: &mut ReceiveBatch) {
        let Some(relay) = self.relays.get(index).and_then(Option::as_ref) else {
            return;
        };
        for _ in 0..ROUNDS {
            let count = receives.receive(&relay.endpoint);
            for (data, from) in receives.iter() {
                let Some((channel, _)) = relay.channels.iter().find(|(_, peer)| *peer == from) else {
                    continue;
                };
                let length = data.len().min(SLOT - CHANNEL_HEADER_LEN);
                self.sends.push(None, relay.client, |buffer| {
                    buffer[..CHANNEL_HEADER_LEN].copy_from_slice(&channel_header(*channel, length));
                    buffer[CHANNEL_HEADER_LEN..][..length].copy_from_slice(&data[..length]);
                    CHANNEL_HEADER_LEN + length
                });
            }
            self.sends.flush(&self.listener);
            if count < BATCH {
                break;
            }
        }
    }

    fn answer(&mut self, bytes: &[u8], from: SocketAddrV4) -> io::Result<()> {
        let Some(request) = Message::parse(bytes) else {
            return Ok(());
        };
        let success = |id: &TransactionId| Builder::new(kind::success_of(request.kind), id);
        let response = match request.kind {
            kind::BINDING => success(&request.transaction).xor_address(attr::XOR_MAPPED_ADDRESS, from),
            kind::ALLOCATE => {
                let relayed = self.allocate(from)?;
                success(&request.transaction)
                    .xor_address(attr::XOR_RELAYED_ADDRESS, relayed)
                    .xor_address(attr::XOR_MAPPED_ADDRESS, from)
                    .attribute(attr::LIFETIME, &600u32.to_be_bytes())
            }
            kind::CHANNEL_BIND => {
                self.bind_channel(&request, from);
                success(&request.transaction)
            }
            kind::REFRESH => {
                self.release(from);
                success(&request.transaction)
            }
            kind::CREATE_PERMISSION => success(&request.transaction),
            _ => return Ok(()),
        };
        let response = response.finish();
        self.sends.push(None, from, |buffer| {
            buffer[..response.len()].copy_from_slice(&response);
            response.len()
        });
        self.sends.flush(&self.listener);
        Ok(())
    }

    fn allocate(&mut self, client: SocketAddrV4) -> io::Result<SocketAddrV4> {
        let known = self
            .by_client
            .get(&client)
            .and_then(|index| self.relays[*index].as_ref());
        if let Some(relay) = known {
            return Ok(relay.endpoint.local);
        }
        let endpoint = Endpoint::bind(SocketAddrV4::new(*self.listener.local.ip(), 0))?;
        let relayed = endpoint.local;
        let index = self
            .relays
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.relays.len());
        if index == self.relays.len() {
            self.relays.push(None);
        }
        epoll::add(
            &self.epoll,
            &endpoint,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )?;
        self.relays[index] = Some(Relay {
            endpoint,
            client,
            channels: Vec::new(),
        });
        self.by_client.insert(client, index);
        Ok(relayed)
    }

    fn bind_channel(&mut self, request: &Message, client: SocketAddrV4) {
        let index = self.by_client.get(&client).copied();
        let relay = index.and_then(|index| self.relays[index].as_mut());
        let number = request
            .get(attr::CHANNEL_NUMBER)
            .and_then(|value| value.first_chunk::<2>());
        let peer = request.address(attr::XOR_PEER_ADDRESS);
        if let (Some(relay), Some(number), Some(peer)) = (relay, number, peer) {
            let number = u16::from_be_bytes(*number);
            relay.channels.retain(|(bound, _)| *bound != number);
            relay.channels.push((number, peer));
        }
    }

    fn release(&mut self, client: SocketAddrV4) {
        if let Some(index) = self.by_client.remove(&client) {
            self.relays[index] = None;
        }
    }
}
