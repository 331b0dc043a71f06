//! A worker's part of the mesh: what comes from other relays, and what goes to them.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Worker, count_unsent};
use crate::batch::Received;
use crate::counters::{Drop, Tally};
use crate::event::Handed;
use crate::forward::Form;
use crate::mesh::frame::{ClientFrame, Frame, Head};
use crate::mesh::{MAX_PAYLOAD, Mesh, Peer, PeerRef};
use crate::outbox::{Datagram, Message, Outbox, Outcome, Piece};
use crate::plane::State;
use crate::stun;
use crate::table::{Relay, Slot, Table, Tuple};

/// What a sealed datagram is sent for.
#[derive(Clone, Copy, Default)]
pub struct For {
    /// A relay whose peer's data it is.
    pub relay: Option<Slot>,
    /// Bytes of that data.
    pub payload: usize,
    pub tos: u8,
}

/// Seals a datagram for a peer and lets it wait to be sent.
pub fn push_sealed(
    outbox: &mut Outbox,
    (mesh, worker): (&Mesh, usize),
    peer: &Peer,
    head: &Head,
    parts: &[&[u8]],
    cause: For,
) -> Result<(), Drop> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > MAX_PAYLOAD {
        return Err(Drop::Malformed);
    }
    let mut all: [&[u8]; 4] = [&[]; 4];
    all[0] = head.bytes();
    all[1..=parts.len()].copy_from_slice(parts);
    let mut sealed = false;
    let piece = outbox.write_with(|out| sealed = mesh.seal(out, worker, peer, &all));
    let Some(piece) = piece.filter(|_| sealed) else {
        return Err(Drop::MeshUnknown);
    };
    let datagram = Datagram {
        to: peer.addr,
        relay: cause.relay,
        payload: cause.payload,
        tos: cause.tos,
        dont_fragment: false,
    };
    outbox.push(datagram, &[piece]);
    Ok(())
}

impl Worker {
    pub(super) fn read_mesh(&mut self, state: &State) {
        let Some(mesh) = &state.mesh else { return };
        let room = self.receiver.room();
        let Ok(received) = self.receiver.receive(mesh.sockets[self.index].as_fd(), room) else {
            return;
        };
        for index in received {
            let Some(datagram) = self.receiver.get(index) else {
                continue;
            };
            for (at, length) in datagram.segments() {
                let result = self.take_sealed(state, mesh, &datagram, at, length);
                self.count(result);
            }
        }
    }

    fn take_sealed(
        &mut self,
        state: &State,
        mesh: &Mesh,
        datagram: &Received,
        at: usize,
        length: usize,
    ) -> Result<(), Drop> {
        let shared = Arc::clone(&self.shared);
        let bytes = &mut self.receiver.buffers()[at..at + length];
        let (peer, frame) = mesh.open_datagram(bytes)?;
        self.tally().mesh_received(length);
        let start = at + frame.start;
        let frame = &self.receiver.buffers()[start..at + frame.end];
        match Frame::read(frame).ok_or(Drop::MeshRefused)? {
            Frame::Control { data } => shared
                .events
                .mesh_control(peer.id, &frame[data])
                .then_some(())
                .ok_or(Drop::BackPressure),
            Frame::Peer { relayed, peer, data } => {
                if !mesh.shares(relayed.ip) {
                    return Err(Drop::MeshRefused);
                }
                let slot = state.table.relay_at(relayed).ok_or(Drop::NoAllocation)?;
                let relay = state.table.relay(slot).ok_or(Drop::NoAllocation)?;
                let single = Received {
                    from: peer,
                    at: start + data.start,
                    length: data.len(),
                    segment: data.len(),
                    tos: datagram.tos,
                    to: None,
                };
                self.use_lease(relay);
                self.take_datagram(state, slot, relay, &single, single.at, single.length);
                Ok(())
            }
            Frame::Client {
                kind,
                frontend,
                remote,
                message,
            } => {
                let client = mesh.client(frontend, remote).ok_or(Drop::MeshRefused)?;
                let (at, length) = (start + message.start, message.len());
                match kind {
                    ClientFrame::Packet => self.take_client_packet(state, client, peer, datagram.tos, at, length),
                    ClientFrame::Reply if !mesh.may_reply(client, peer, self.now) => Err(Drop::MeshRefused),
                    ClientFrame::Reply => self.take_client_reply(state, client, datagram.tos, at, length),
                }
            }
        }
    }

    fn take_client_packet(
        &mut self,
        state: &State,
        client: Tuple,
        via: &Peer,
        tos: u8,
        at: usize,
        length: usize,
    ) -> Result<(), Drop> {
        let single = Received {
            from: client.remote,
            at,
            length,
            segment: length,
            tos,
            to: None,
        };
        if let Some((mode, _)) = state.udp_listener(client.listener) {
            self.take_message(state, client.listener, mode, &single, at, length, Some(via));
            return Ok(());
        }
        // Whose streams end here is not known to this thread.
        let bytes = &self.receiver.buffers()[at..at + length];
        let owner = state.table.owns_relay(client);
        let events = &self.shared.events;
        match events.via_mesh(client.listener, client.remote, via.id, owner, bytes) {
            Handed::Up => Ok(()),
            Handed::Repeated => Err(Drop::Repeated),
            Handed::Full => Err(Drop::BackPressure),
        }
    }

    fn take_client_reply(
        &mut self,
        state: &State,
        client: Tuple,
        tos: u8,
        at: usize,
        length: usize,
    ) -> Result<(), Drop> {
        if state.is_stream(client.listener) {
            let bytes = &self.receiver.buffers()[at..at + length];
            let handed = self.shared.events.mesh_to_stream(client.listener, client.remote, bytes);
            return handed.then_some(()).ok_or(Drop::BackPressure);
        }
        self.use_listener(state, client.listener);
        let datagram = Datagram {
            to: client.remote,
            relay: None,
            payload: length,
            tos,
            dont_fragment: false,
        };
        self.to_clients.push(datagram, &[Piece::received(at, length)]);
        Ok(())
    }

    /// Datagrams of peers for relayed addresses that other relays serve.
    pub(super) fn read_steered(&mut self, state: &State, v6: bool) {
        let Some(mesh) = &state.mesh else { return };
        let Some(steering) = &mesh.steering else { return };
        let sockets = if v6 { &steering.sockets6 } else { &steering.sockets4 };
        let Some(socket) = sockets.get(self.index) else { return };
        let room = self.receiver.room();
        let Ok(received) = self.receiver.receive(socket.as_fd(), room) else {
            return;
        };
        for index in received {
            let Some(datagram) = self.receiver.get(index) else {
                continue;
            };
            let relayed = datagram.to;
            let server = relayed.and_then(|relayed| mesh.server_of(relayed, self.now));
            for (at, length) in datagram.segments() {
                let result = match (relayed, server) {
                    (Some(relayed), Some(server)) => push_sealed(
                        &mut self.to_mesh,
                        (mesh, self.index),
                        server,
                        &Head::peer(relayed, datagram.from),
                        &[&self.receiver.buffers()[at..at + length]],
                        For {
                            tos: datagram.tos,
                            ..For::default()
                        },
                    ),
                    _ => Err(Drop::NoAllocation),
                };
                self.count(result);
            }
        }
    }

    /// A message of a client that another relay owns.
    pub(super) fn forward(
        &mut self,
        mesh: &Mesh,
        owner: (&Peer, u32),
        client: Tuple,
        tos: u8,
        at: usize,
        length: usize,
    ) {
        let (peer, frontend) = owner;
        let result = push_sealed(
            &mut self.to_mesh,
            (mesh, self.index),
            peer,
            &Head::client(ClientFrame::Packet, frontend, client.remote),
            &[&self.receiver.buffers()[at..at + length]],
            For { tos, ..For::default() },
        );
        self.count(result);
    }

    /// By way of which relay the client of a relay is reached. None: directly.
    pub(super) fn way_of<'s>(&self, state: &'s State, relay: &Relay) -> Option<(&'s Mesh, &'s Peer)> {
        let via = PeerRef::of_bits(relay.via.load(Ordering::Relaxed))?;
        let mesh = state.mesh.as_ref()?;
        Some((mesh, mesh.peer(via)?))
    }

    /// A peer's data for a client that is reached by way of another relay.
    pub(super) fn reply(
        &mut self,
        state: &State,
        way: (&Mesh, &Peer),
        client: Tuple,
        form: Form,
        cause: For,
        at: usize,
    ) -> Result<(), Drop> {
        let (mesh, peer) = way;
        let frontend = mesh.frontend(client.listener).ok_or(Drop::UnknownClient)?;
        let length = cause.payload;
        let mut header = [0; stun::MAX_DATA_HEADER];
        let (end, padded) = match form {
            Form::ChannelData(number) => {
                header[..stun::CHANNEL_HEADER].copy_from_slice(&stun::channel_header(number, length));
                (stun::CHANNEL_HEADER, state.is_stream(client.listener))
            }
            Form::Data(from) => {
                let id = self.ids.next();
                (stun::write_data_header(&mut header, from, length, &id), true)
            }
        };
        let padding = if padded { stun::padding(length) } else { 0 };
        push_sealed(
            &mut self.to_mesh,
            (mesh, self.index),
            peer,
            &Head::client(ClientFrame::Reply, frontend, client.remote),
            &[
                &header[..end],
                &self.receiver.buffers()[at..at + length],
                &[0; 3][..padding],
            ],
            cause,
        )
    }

    pub(super) fn send_to_mesh(&mut self, state: &State) {
        if self.to_mesh.is_empty() {
            return;
        }
        let tally = &self.shared.tallies[self.index];
        if let Some(mesh) = &state.mesh {
            if self.is_past_a_lease() {
                drop_fenced(&self.to_mesh, &state.table, tally);
            } else {
                let socket = mesh.sockets[self.index].as_fd();
                self.to_mesh
                    .send(socket, 0, self.receiver.buffers(), |message, outcome| {
                        count_to_mesh(&state.table, tally, message, outcome);
                    });
            }
        }
        self.to_mesh.clear();
    }

    fn count(&self, result: Result<(), Drop>) {
        if let Err(reason) = result {
            self.shared.tallies[self.index].drop(reason, 1);
        }
    }
}

/// What waits was decided on before a lease ended, and is to be sent after it.
pub fn drop_fenced(outbox: &Outbox, table: &Table, tally: &Tally) {
    for message in outbox.messages() {
        let packets = usize::from(message.segments);
        tally.drop(Drop::Fenced, packets);
        if let Some(relay) = message.relay.and_then(|slot| table.relay(slot)) {
            relay.tally.drop(packets);
        }
    }
}

pub fn count_to_mesh(table: &Table, tally: &Tally, message: &Message, outcome: Outcome) {
    let packets = usize::from(message.segments);
    let relay = message.relay.and_then(|slot| table.relay(slot));
    if outcome != Outcome::Full {
        tally.mesh_sent(packets, message.total);
        if let Some(relay) = relay {
            tally.to_clients(packets, message.payload);
            relay.tally.to_client(packets, message.payload);
        }
    }
    count_unsent(relay, tally, packets, outcome);
}
