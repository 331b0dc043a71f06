//! One thread: it waits for its sockets, takes what has come in batches, and sends what becomes of it in batches.

pub mod mesh;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::addr::Addr;
use crate::batch::{CAPACITY, Received, Receiver};
use crate::counters::{Drop, Tally};
use crate::event::Handed;
use crate::forward::{self, Form, FromClient};
use crate::mesh::Peer;
use crate::outbox::{Datagram, Message, Outbox, Outcome, Piece};
use crate::plane::{ListenMode, Shared, State};
use crate::socket::take_error;
use crate::stun::{self, TransactionId};
use crate::table::{Relay, Slot, Table, Tuple};

/// Datagrams that one relay may have in one turn, so that a hot flow does not starve the others.
const RELAY_TURN: usize = 32;
/// Room that a listener finds at the least.
const LISTENER_TURN: usize = 128;
/// ICMP errors that one relay may report in one turn; more are thrown away.
const MAX_ERRORS: usize = 4;
const ERRORS_TURN: usize = 64;
const EVENTS: usize = 256;

const LISTENER: u64 = 1 << 63;
const MESH: u64 = LISTENER | 1 << 62;
const STEERED: u64 = LISTENER | 1 << 61;
const WAKE: u64 = u64::MAX;

/// Where a worker learns that its sockets are readable; other threads add and remove sockets.
pub struct Poll {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        let poll = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        };
        poll.add(poll.wake.as_fd(), WAKE)?;
        Ok(poll)
    }

    pub fn add_listener(&self, socket: BorrowedFd<'_>, listener: u32) -> io::Result<()> {
        self.add(socket, LISTENER | u64::from(listener))
    }

    pub fn add_relay(&self, socket: BorrowedFd<'_>, slot: Slot, generation: u32) -> io::Result<()> {
        self.add(socket, relay_key(slot, generation))
    }

    pub fn add_mesh(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.add(socket, MESH)
    }

    pub fn add_steered(&self, socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
        self.add(socket, STEERED | u64::from(v6))
    }

    pub fn wake(&self) -> io::Result<()> {
        rustix::io::write(&self.wake, &1u64.to_ne_bytes())?;
        Ok(())
    }

    fn add(&self, socket: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        epoll::add(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(key),
            epoll::EventFlags::IN,
        )?;
        Ok(())
    }
}

fn relay_key(slot: Slot, generation: u32) -> u64 {
    (u64::from(generation) << 32 | u64::from(slot)) & !LISTENER
}

/// A packet for a peer, by the relay that it goes out of.
struct ForPeer {
    relay: Slot,
    to: Addr,
    at: usize,
    length: usize,
    tos: u8,
    dont_fragment: bool,
}

pub struct Worker {
    shared: Arc<Shared>,
    poll: Arc<Poll>,
    index: usize,
    receiver: Receiver,
    for_peers: Vec<ForPeer>,
    /// What goes out of relays.
    to_peers: Outbox,
    /// What goes out of one listener.
    to_clients: Outbox,
    /// What goes to other relays.
    to_mesh: Outbox,
    listener: u32,
    /// Datagrams that the next read of a listener takes at the most.
    reading: usize,
    /// Answers to Binding requests that came to that listener.
    answers: Vec<(Addr, Piece)>,
    /// When the first lease ends of those that relays in this batch are under.
    lease_until: f64,
    ids: TransactionIds,
    now: f64,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, poll: Arc<Poll>, index: usize) -> Self {
        Self {
            shared,
            poll,
            index,
            receiver: Receiver::new(),
            for_peers: Vec::new(),
            to_peers: Outbox::default(),
            to_clients: Outbox::default(),
            to_mesh: Outbox::default(),
            listener: 0,
            reading: 1,
            answers: Vec::new(),
            lease_until: f64::INFINITY,
            ids: TransactionIds::default(),
            now: 0.0,
        }
    }

    /// Works until the data plane is closed. A panic is a bug, and a data plane without one of its workers would go on as if
    /// nothing were wrong: it ends the process, which whoever runs it starts again.
    pub fn run(self) {
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            abort();
        }
    }

    fn work(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let shared = Arc::clone(&self.shared);
        while !shared.is_closed() {
            events.clear();
            // Interrupted: there is nothing then.
            if epoll::wait(&self.poll.epoll, spare_capacity(&mut events), None).is_err() {
                continue;
            }
            let mut rest = events.as_slice();
            while !rest.is_empty() && !shared.is_closed() {
                // Commands have their turn after each batch.
                let state = shared.read();
                self.now = shared.clock.now();
                rest = self.batch(&state, rest);
            }
        }
    }

    /// Does what fits into one batch, and returns the events that did not.
    fn batch<'e>(&mut self, state: &State, events: &'e [epoll::Event]) -> &'e [epoll::Event] {
        self.receiver.clear();
        self.lease_until = f64::INFINITY;
        let mut rest = events;
        while let Some((event, others)) = rest.split_first() {
            let (key, flags) = (event.data.u64(), event.flags);
            let needed = if key & LISTENER == 0 { RELAY_TURN } else { LISTENER_TURN };
            if key != WAKE && self.receiver.room() < needed {
                break;
            }
            rest = others;
            match key {
                WAKE => {}
                MESH => self.read_mesh(state),
                key if key & STEERED == STEERED => self.read_steered(state, key & 1 != 0),
                key if key & LISTENER != 0 => self.read_listener(state, key as u32),
                key => self.read_relay(state, key, flags.contains(epoll::EventFlags::ERR)),
            }
        }
        self.send_to_peers(state);
        self.send_to_clients(state);
        self.send_to_mesh(state);
        rest
    }

    fn tally(&self) -> &Tally {
        &self.shared.tallies[self.index]
    }

    fn read_listener(&mut self, state: &State, listener: u32) {
        let Some((mode, sockets)) = state.udp_listener(listener) else {
            return;
        };
        // Answers go out of the listener of the request.
        self.use_listener(state, listener);
        let room = self.receiver.room().min(self.reading);
        // An error is one of a single receive, and the socket goes on.
        let Ok(received) = self.receiver.receive(sockets[self.index].as_fd(), room) else {
            return;
        };
        // One by one as long as they come so, since the first of several waits for the last to be read; by more and more
        // as they queue, since sending several at once is cheaper.
        self.reading = if received.len() == room {
            (room * 2).min(CAPACITY)
        } else {
            received.len().max(1)
        };
        for index in received {
            let Some(datagram) = self.receiver.get(index) else {
                continue;
            };
            for (at, length) in datagram.segments() {
                self.take_message(state, listener, mode, &datagram, at, length, None);
            }
        }
    }

    /// `via` is the relay that it came by, if not directly.
    #[expect(clippy::too_many_arguments)]
    fn take_message(
        &mut self,
        state: &State,
        listener: u32,
        mode: ListenMode,
        datagram: &Received,
        at: usize,
        length: usize,
        via: Option<&Peer>,
    ) {
        let shared = &*self.shared;
        let tally = &shared.tallies[self.index];
        let remote = datagram.from;
        let bytes = &self.receiver.buffers()[at..at + length];
        let client = Tuple { listener, remote };
        let mut decision = match mode {
            ListenMode::Turn => forward::from_client(&state.table, client, bytes, self.now),
            ListenMode::Stun => {
                forward::stun_only(bytes).map_or(FromClient::Up, |reason| FromClient::Drop(reason, None))
            }
        };
        if let (Some(mesh), ListenMode::Turn) = (&state.mesh, mode) {
            decision = mesh.look(&state.table, client, decision, via, self.now);
            let up = decision == FromClient::Up;
            let owner = up.then(|| mesh.owner_of(&state.table, client, bytes, via, self.now));
            if let Some(owner) = owner.flatten() {
                self.forward(mesh, owner, client, datagram.tos, at, length);
                return;
            }
        }
        match decision {
            FromClient::ToPeer(to_peer) => self.for_peers.push(ForPeer {
                relay: to_peer.relay,
                to: to_peer.to,
                at: at + to_peer.data.start,
                length: to_peer.data.len(),
                tos: datagram.tos,
                dont_fragment: to_peer.dont_fragment,
            }),
            FromClient::Drop(reason, relay) => {
                tally.drop(reason, 1);
                if let Some(relay) = relay.and_then(|slot| state.table.relay(slot)) {
                    relay.tally.drop(1);
                }
            }
            FromClient::Up => {
                let mut response = [0; stun::MAX_BINDING_RESPONSE];
                let answers = shared.answers_bindings && via.is_none();
                let answer = if answers && mode == ListenMode::Turn && stun::is_stun(bytes) {
                    stun::answer_binding(bytes, remote, &mut response)
                } else {
                    None
                };
                if let Some(length) = answer {
                    let piece = self.to_clients.write(&response[..length]);
                    self.answers.push((remote, piece));
                    return;
                }
                let owner = state.table.owns_relay(client);
                let handed = match via {
                    None => shared.events.client_input(listener, remote, owner, bytes),
                    Some(peer) => shared.events.via_mesh(listener, remote, peer.id, owner, bytes),
                };
                match handed {
                    Handed::Up => tally.slow_path(),
                    Handed::Repeated => tally.drop(Drop::Repeated, 1),
                    Handed::Full => tally.drop(Drop::BackPressure, 1),
                }
            }
        }
    }

    fn read_relay(&mut self, state: &State, key: u64, has_errors: bool) {
        let slot = key as Slot;
        let relay = state.table.relay(slot);
        // It may have been closed since, and its place be another's.
        let Some(relay) = relay.filter(|relay| relay_key(slot, relay.generation) == key) else {
            return;
        };
        if has_errors {
            self.take_errors(relay);
        }
        self.use_lease(relay);
        // An error may be that of an earlier packet; the socket is still readable then.
        let Ok(received) = self.receiver.receive(relay.socket.as_fd(), RELAY_TURN) else {
            return;
        };
        for index in received {
            let Some(datagram) = self.receiver.get(index) else {
                continue;
            };
            for (at, length) in datagram.segments() {
                self.take_datagram(state, slot, relay, &datagram, at, length);
            }
        }
    }

    fn take_datagram(
        &mut self,
        state: &State,
        slot: Slot,
        relay: &Relay,
        datagram: &Received,
        at: usize,
        length: usize,
    ) {
        let (client, form) = match forward::from_peer(relay, datagram.from, length, self.now) {
            Ok(decision) => decision,
            Err(reason) => {
                self.tally().drop(reason, 1);
                relay.tally.drop(1);
                return;
            }
        };
        if let Some(way) = self.way_of(state, relay) {
            let cause = mesh::For {
                relay: Some(slot),
                payload: length,
                tos: datagram.tos,
            };
            if let Err(reason) = self.reply(state, way, client, form, cause, at) {
                self.tally().drop(reason, 1);
                relay.tally.drop(1);
            }
            return;
        }
        if state.is_stream(client.listener) {
            self.hand_to_stream(relay, client, form, at, length);
            return;
        }
        if state.udp_listener(client.listener).is_none() {
            self.tally().drop(Drop::UnknownClient, 1);
            relay.tally.drop(1);
            return;
        }
        self.use_listener(state, client.listener);
        let message = Datagram {
            to: client.remote,
            relay: Some(slot),
            payload: length,
            tos: datagram.tos,
            dont_fragment: false,
        };
        match form {
            Form::ChannelData(number) if datagram.is_single() => {
                let header = stun::channel_header(number, length);
                let at = at - header.len();
                self.receiver.buffers()[at..at + header.len()].copy_from_slice(&header);
                self.to_clients
                    .push(message, &[Piece::received(at, header.len() + length)]);
            }
            Form::ChannelData(number) => {
                let header = self.to_clients.write(&stun::channel_header(number, length));
                self.to_clients.push(message, &[header, Piece::received(at, length)]);
            }
            Form::Data(peer) => {
                let mut header = [0; stun::MAX_DATA_HEADER];
                let end = stun::write_data_header(&mut header, peer, length, &self.ids.next());
                let header = self.to_clients.write(&header[..end]);
                let padding = self.to_clients.write(&[0; 3][..stun::padding(length)]);
                self.to_clients
                    .push(message, &[header, Piece::received(at, length), padding]);
            }
        }
    }

    /// Streams are not written from here. What becomes of the message is counted where they are.
    fn hand_to_stream(&mut self, relay: &Relay, client: Tuple, form: Form, at: usize, length: usize) {
        let padding = &[0; 3][..stun::padding(length)];
        let mut header = [0; stun::MAX_DATA_HEADER];
        let end = match form {
            Form::ChannelData(number) => {
                header[..stun::CHANNEL_HEADER].copy_from_slice(&stun::channel_header(number, length));
                stun::CHANNEL_HEADER
            }
            Form::Data(peer) => stun::write_data_header(&mut header, peer, length, &self.ids.next()),
        };
        let payload = &self.receiver.buffers()[at..at + length];
        let parts = [&header[..end], payload, padding];
        if !self
            .shared
            .events
            .to_stream(client.listener, client.remote, relay.id, length, parts)
        {
            self.tally().drop(Drop::BackPressure, 1);
            relay.tally.drop(1);
        }
    }

    fn take_errors(&mut self, relay: &Relay) {
        let mut reported = 0;
        for _ in 0..ERRORS_TURN {
            let Ok(error) = take_error(relay.socket.as_fd()) else {
                break;
            };
            let Some((peer, icmp)) = error else { continue };
            if reported < MAX_ERRORS
                && forward::may_learn_of(relay, peer, self.now)
                && self.shared.events.peer_error(relay.id, peer, icmp)
            {
                reported += 1;
            }
        }
    }

    /// What waits for the clients of another listener goes out first.
    fn use_listener(&mut self, state: &State, listener: u32) {
        if self.listener != listener {
            self.send_to_clients(state);
            self.listener = listener;
        }
    }

    /// What is sent for this relay is not to be sent past its lease.
    fn use_lease(&mut self, relay: &Relay) {
        let until = relay.lease_until();
        if until > self.now {
            self.lease_until = self.lease_until.min(until);
        }
    }

    /// Whether a lease has ended since this batch was looked at: the process may have stood still.
    fn is_past_a_lease(&self) -> bool {
        self.lease_until < f64::INFINITY && self.shared.clock.now() >= self.lease_until
    }

    fn send_to_clients(&mut self, state: &State) {
        // Those for one client next to each other, so that they make a run.
        self.answers.sort_by_key(|(to, _)| *to);
        for (to, piece) in self.answers.drain(..) {
            let datagram = Datagram {
                to,
                relay: None,
                payload: 0,
                tos: 0,
                dont_fragment: false,
            };
            self.to_clients.push(datagram, &[piece]);
        }
        if self.to_clients.is_empty() {
            return;
        }
        if self.is_past_a_lease() {
            mesh::drop_fenced(&self.to_clients, &state.table, &self.shared.tallies[self.index]);
        } else if let Some((_, sockets)) = state.udp_listener(self.listener) {
            let tally = &self.shared.tallies[self.index];
            self.to_clients.send(
                sockets[self.index].as_fd(),
                0,
                self.receiver.buffers(),
                |message, outcome| count_to_clients(&state.table, tally, message, outcome),
            );
        }
        self.to_clients.clear();
    }

    fn send_to_peers(&mut self, state: &State) {
        // Stable: packets of one relay keep their order.
        self.for_peers.sort_by_key(|packet| packet.relay);
        let tally = &self.shared.tallies[self.index];
        for packets in self.for_peers.chunk_by(|one, other| one.relay == other.relay) {
            let Some(relay) = packets.first().and_then(|packet| state.table.relay(packet.relay)) else {
                continue;
            };
            if relay.lease_until() < f64::INFINITY && self.shared.clock.now() >= relay.lease_until() {
                tally.drop(Drop::Fenced, packets.len());
                relay.tally.drop(packets.len());
                continue;
            }
            for packet in packets {
                let datagram = Datagram {
                    to: packet.to,
                    relay: Some(packet.relay),
                    payload: packet.length,
                    tos: packet.tos,
                    dont_fragment: packet.dont_fragment,
                };
                self.to_peers
                    .push(datagram, &[Piece::received(packet.at, packet.length)]);
            }
            self.to_peers
                .send(relay.socket.as_fd(), 0, self.receiver.buffers(), |message, outcome| {
                    count_to_peers(relay, tally, message, outcome);
                });
            self.to_peers.clear();
        }
        self.for_peers.clear();
    }
}

pub fn count_to_peers(relay: &Relay, tally: &Tally, message: &Message, outcome: Outcome) {
    let packets = usize::from(message.segments);
    if outcome != Outcome::Full {
        tally.to_peers(packets, message.payload);
        relay.tally.to_peers(packets, message.payload);
    }
    count_unsent(Some(relay), tally, packets, outcome);
}

fn count_to_clients(table: &Table, tally: &Tally, message: &Message, outcome: Outcome) {
    let packets = usize::from(message.segments);
    let relay = message.relay.and_then(|slot| table.relay(slot));
    if let (Some(relay), true) = (relay, outcome != Outcome::Full) {
        tally.to_clients(packets, message.payload);
        relay.tally.to_client(packets, message.payload);
    }
    if message.relay.is_none() && message.payload == 0 && outcome == Outcome::Sent {
        tally.bindings(packets);
    }
    count_unsent(relay, tally, packets, outcome);
}

/// A packet that the kernel refused is among those relayed as well: it was, up to there.
pub fn count_unsent(relay: Option<&Relay>, tally: &Tally, packets: usize, outcome: Outcome) {
    let reason = match outcome {
        Outcome::Sent => return,
        Outcome::Full => Drop::BackPressure,
        Outcome::Refused => Drop::SendFailed,
    };
    tally.drop(reason, packets);
    if let Some(relay) = relay {
        relay.tally.drop(packets);
    }
}

/// Random transaction ids (RFC 8489 section 5), drawn many at a time.
struct TransactionIds {
    pool: Box<[u8]>,
    next: usize,
}

const ID_LENGTH: usize = 12;
const POOL: usize = 512;

impl Default for TransactionIds {
    fn default() -> Self {
        Self {
            pool: vec![0; ID_LENGTH * POOL].into(),
            next: POOL,
        }
    }
}

impl TransactionIds {
    fn next(&mut self) -> TransactionId {
        if self.next == POOL {
            let mut filled = 0;
            while filled < self.pool.len() {
                // Interrupted, or not that much at once: it goes on.
                filled += getrandom(&mut self.pool[filled..], GetRandomFlags::empty()).unwrap_or(0);
            }
            self.next = 0;
        }
        let mut id = [0; ID_LENGTH];
        id.copy_from_slice(&self.pool[self.next * ID_LENGTH..][..ID_LENGTH]);
        self.next += 1;
        id
    }
}
