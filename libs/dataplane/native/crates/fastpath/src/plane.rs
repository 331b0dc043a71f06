//! The data plane as its owner sees it. Its methods are for one thread; the packets are the workers'.

mod mesh;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::addr::Addr;
use crate::clock::Clock;
use crate::command::{Command, Commands, MalformedCommand};
use crate::counters::{COUNTERS, Drop, RELAY_COUNTERS, RelayTally, Tally};
use crate::event::Events;
use crate::forward::{self, FromClient, ToPeer};
use crate::mesh::frame::{ClientFrame, Head};
use crate::mesh::{Mesh, Peer, PeerRef};
use crate::outbox::Outcome;
use crate::socket::{self, Buffers};
use crate::table::{Allocation, Relay, Table, Tuple};
use crate::worker::{Poll, Worker, count_unsent};

pub use mesh::OpenedMesh;

/// Commands that are carried out before the workers have their turn.
const COMMANDS_TURN: usize = 64;

/// A client: the listener's number and the client's address.
pub type Client = (u32, Addr);

pub struct Options {
    /// Threads that relay, 1 or more.
    pub workers: usize,
    /// Milliseconds since the Unix epoch on the control loop's clock.
    pub now: f64,
    /// Time stands still between commands.
    pub stepped: bool,
    /// Whether plain Binding requests are answered here rather than handed up.
    pub answers_bindings: bool,
    /// Whether Send indications of clients that own nothing are handed up.
    pub clients_move: bool,
    /// Of listeners, in bytes.
    pub receive_buffer: usize,
    pub send_buffer: usize,
    /// Of each relay socket, both ways, in bytes.
    pub relay_buffer: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenMode {
    Turn,
    /// Every STUN message goes up, and the rest is dropped.
    Stun,
}

enum Listener {
    /// One socket for each worker.
    Udp(ListenMode, Vec<OwnedFd>),
    /// Its clients are served elsewhere.
    Stream,
}

/// A relay's socket and the address that it has.
type Opened = (OwnedFd, Addr);

/// What commands change and packets read.
#[derive(Default)]
pub struct State {
    listeners: Vec<Listener>,
    pub table: Table,
    pub mesh: Option<Mesh>,
}

impl State {
    pub fn udp_listener(&self, listener: u32) -> Option<(ListenMode, &[OwnedFd])> {
        match self.listeners.get(listener as usize)? {
            Listener::Udp(mode, sockets) => Some((*mode, sockets)),
            Listener::Stream => None,
        }
    }

    pub fn is_stream(&self, listener: u32) -> bool {
        matches!(self.listeners.get(listener as usize), Some(Listener::Stream))
    }
}

/// What all threads have in common.
pub struct Shared {
    state: RwLock<State>,
    closed: AtomicBool,
    pub clock: Clock,
    pub events: Events,
    /// One for each worker, and one for the thread that owns the data plane.
    pub tallies: Box<[Tally]>,
    pub answers_bindings: bool,
}

impl Shared {
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    /// Waits until no worker is amid a batch.
    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

pub struct FastPath {
    shared: Arc<Shared>,
    polls: Vec<Arc<Poll>>,
    threads: Vec<JoinHandle<()>>,
    listener_buffers: Buffers,
    relay_buffers: Buffers,
    next_worker: usize,
}

impl FastPath {
    /// Starts the workers. `wake` is called, from any thread, when there are events to take after there were none.
    pub fn new(options: &Options, wake: Box<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let workers = options.workers.max(1);
        let mut state = State::default();
        state.table.clients_move = options.clients_move;
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            closed: AtomicBool::new(false),
            clock: Clock::new(options.stepped, options.now),
            events: Events::new(wake),
            tallies: (0..=workers).map(|_| Tally::default()).collect(),
            answers_bindings: options.answers_bindings,
        });
        let mut plane = Self {
            shared,
            polls: Vec::new(),
            threads: Vec::new(),
            listener_buffers: Buffers {
                receive: options.receive_buffer,
                send: options.send_buffer,
            },
            relay_buffers: Buffers {
                receive: options.relay_buffer,
                send: options.relay_buffer,
            },
            next_worker: 0,
        };
        for index in 0..workers {
            let poll = Arc::new(Poll::new()?);
            let (shared, worker_poll) = (Arc::clone(&plane.shared), Arc::clone(&poll));
            plane.polls.push(poll);
            let thread = thread::Builder::new()
                .name(format!("relay-{index}"))
                .spawn(move || Worker::new(shared, worker_poll, index).run())?;
            plane.threads.push(thread);
        }
        Ok(plane)
    }

    /// Opens a UDP listener. Returns its number and the address that it has.
    pub fn listen(&mut self, local: Addr, mode: ListenMode) -> io::Result<(u32, Addr)> {
        let (sockets, local) = socket::open_listeners(local, self.polls.len(), self.listener_buffers)?;
        let mut state = self.shared.write();
        let listener = state.listeners.len() as u32;
        for (poll, socket) in self.polls.iter().zip(&sockets) {
            poll.add_listener(socket.as_fd(), listener)?;
        }
        state.listeners.push(Listener::Udp(mode, sockets));
        Ok((listener, local))
    }

    /// A listener whose clients are served elsewhere; what is for them comes as events. Returns its number.
    pub fn add_stream_listener(&mut self) -> u32 {
        let mut state = self.shared.write();
        state.listeners.push(Listener::Stream);
        (state.listeners.len() - 1) as u32
    }

    /// Carries out packed commands. Returns what became of each bind: the relay, and the error number or 0.
    pub fn apply(&mut self, now: f64, commands: &[u8]) -> Result<Vec<(f64, i32)>, MalformedCommand> {
        self.shared.clock.set(now);
        let mut bound = Vec::new();
        if commands.is_empty() || self.shared.is_closed() {
            return Ok(bound);
        }
        let shared = Arc::clone(&self.shared);
        let mut ahead = self.open_ahead(commands);
        // Sockets are closed after the lock: what is declared last is dropped first.
        let mut closing = Vec::new();
        let mut state = shared.write();
        let mut commands = Commands::new(commands);
        for turn in 1.. {
            let Some(command) = commands.next()? else { break };
            if turn % COMMANDS_TURN == 0 {
                RwLockWriteGuard::bump(&mut state);
            }
            match command {
                Command::SendToClient { client, bytes } => {
                    if !self.send_by_mesh(&state, client, bytes, now) {
                        self.send_to_client(&state, client, bytes);
                    }
                }
                Command::SendToPeer {
                    relay,
                    peer,
                    dont_fragment,
                    bytes,
                } => self.send_to_peer(&state, relay, peer, dont_fragment, bytes),
                Command::Bind {
                    relay,
                    local,
                    lease,
                    counters,
                } => {
                    let opened = ahead.pop_front().flatten();
                    let errno = self.bind(&mut state, relay, local, counters, opened, &mut closing);
                    if errno == 0 {
                        state.table.put_under(relay, lease);
                    }
                    bound.push((relay, errno));
                }
                Command::Unbind { relay } => closing.extend(state.table.remove(relay)),
                Command::Lease { lease, deadline } => state.table.set_lease(lease, deadline),
                Command::Allocation { relay, allocation } => assign(&mut state, relay, allocation, now),
                Command::Permission { relay, permission } => state.table.set_permission(relay, permission),
                Command::Channel { relay, channel } => state.table.set_channel(relay, channel),
                Command::RevokePermission { relay, ip } => state.table.delete_permission(relay, ip),
                Command::RevokeChannel { relay, number } => state.table.delete_channel(relay, number),
                command => self.carry_out_mesh(&mut state, command, now),
            }
        }
        Ok(bound)
    }

    /// Opens the sockets of the commands' binds, while packets go on. None for one that is open, or cannot be opened as things
    /// are before the commands.
    fn open_ahead(&self, commands: &[u8]) -> VecDeque<Option<Opened>> {
        let mut opened = VecDeque::new();
        let mut commands = Commands::new(commands);
        while let Ok(Some(command)) = commands.next() {
            let Command::Bind { relay, local, .. } = command else {
                continue;
            };
            let known = self.shared.read().table.slot(relay).is_some();
            let socket = (!known).then(|| socket::open_relay(local, self.relay_buffers));
            opened.push_back(socket.and_then(Result::ok));
        }
        opened
    }

    /// A message of a client that is served elsewhere: true when the table cannot answer it.
    pub fn from_stream(&mut self, client: Client, bytes: &[u8]) -> bool {
        let state = self.shared.read();
        self.take(&state, tuple(client), bytes, None)
    }

    fn take(&self, state: &State, client: Tuple, bytes: &[u8], via: Option<&Peer>) -> bool {
        let now = self.shared.clock.now();
        let mut decision = forward::from_client(&state.table, client, bytes, now);
        if let Some(mesh) = &state.mesh {
            decision = mesh.look(&state.table, client, decision, via, now);
            let up = decision == FromClient::Up;
            let owner = up.then(|| mesh.owner_of(&state.table, client, bytes, via, now));
            if let Some((owner, frontend)) = owner.flatten() {
                let head = Head::client(ClientFrame::Packet, frontend, client.remote);
                let result = self.send_sealed_to(state, mesh, owner, &head, bytes);
                self.count(result);
                return false;
            }
        }
        if decision == FromClient::Up {
            return true;
        }
        self.carry_out(state, decision, bytes);
        false
    }

    pub fn owns_relay(&self, client: Client) -> bool {
        self.shared.read().table.owns_relay(tuple(client))
    }

    /// The client is gone: whoever comes from its address next is another one.
    pub fn forget_client(&mut self, client: Client) {
        self.shared.write().table.forget_client(tuple(client));
    }

    /// Packed events, those that have waited the longest: a bounded number, more may wait.
    pub fn take_events(&self) -> Vec<u8> {
        self.shared.events.take()
    }

    /// Whether there are events to take.
    pub fn events_wait(&self) -> bool {
        self.shared.events.wait()
    }

    /// Totals since the start, and how many relays are open.
    pub fn counters(&self) -> ([f64; COUNTERS], usize) {
        // With no worker amid a batch, what has left is counted.
        let state = self.shared.write();
        let mut totals = [0.0; COUNTERS];
        for tally in &self.shared.tallies {
            tally.add_to(&mut totals);
        }
        (totals, state.table.len())
    }

    /// None for a relay that is not open.
    pub fn relay_counters(&self, relay: f64) -> Option<[f64; RELAY_COUNTERS]> {
        let state = self.shared.write();
        let slot = state.table.slot(relay)?;
        Some(state.table.relay(slot)?.tally.totals())
    }

    /// Closes every socket and ends the workers.
    pub fn close(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        for poll in &self.polls {
            // A wake-up that cannot be told is one that waits already.
            let _ = poll.wake();
        }
        for thread in self.threads.drain(..) {
            // One that panicked has ended, too.
            let _ = thread.join();
        }
        let mut state = self.shared.write();
        state.table.clear();
        state.listeners.clear();
        state.mesh = None;
    }

    fn own_tally(&self) -> &Tally {
        &self.shared.tallies[self.polls.len()]
    }

    fn send_to_client(&self, state: &State, client: Tuple, bytes: &[u8]) {
        let tally = self.own_tally();
        let Some((_, sockets)) = state.udp_listener(client.listener) else {
            tally.drop(Drop::UnknownClient, 1);
            return;
        };
        let outcome = Outcome::of(&socket::send_to(sockets[0].as_fd(), client.remote, bytes));
        count_unsent(None, tally, 1, outcome);
    }

    fn send_to_peer(&self, state: &State, relay: f64, to: Addr, dont_fragment: bool, bytes: &[u8]) {
        let Some(relay) = state.table.slot(relay) else {
            self.own_tally().drop(Drop::NoAllocation, 1);
            return;
        };
        let to_peer = ToPeer {
            relay,
            to,
            data: 0..bytes.len(),
            dont_fragment,
        };
        let decision = forward::in_name_of_client(&state.table, to_peer, self.shared.clock.now());
        self.carry_out(state, decision, bytes);
    }

    fn carry_out(&self, state: &State, decision: FromClient, bytes: &[u8]) {
        let tally = self.own_tally();
        match decision {
            FromClient::Up => {}
            FromClient::Drop(reason, relay) => {
                tally.drop(reason, 1);
                if let Some(relay) = relay.and_then(|slot| state.table.relay(slot)) {
                    relay.tally.drop(1);
                }
            }
            FromClient::ToPeer(to_peer) => {
                if let Some(relay) = state.table.relay(to_peer.relay) {
                    send_by(relay, tally, &to_peer, bytes);
                }
            }
        }
    }

    fn bind(
        &mut self,
        state: &mut State,
        id: f64,
        local: Addr,
        counters: Option<[f64; 4]>,
        opened: Option<Opened>,
        closing: &mut Vec<Relay>,
    ) -> i32 {
        if let Some(known) = state.table.slot(id).and_then(|slot| state.table.relay(slot)) {
            return if known.local == local { 0 } else { libc::EADDRINUSE };
        }
        let opened = opened.map_or_else(
            || {
                // The port may be that of a relay which closes.
                closing.clear();
                socket::open_relay(local, self.relay_buffers)
            },
            Ok,
        );
        let opened = opened.map(|(socket, bound)| {
            // Port 0 was asked for: it is the same relay when it is asked for again.
            let local = if local.port == 0 { local } else { bound };
            let mut relay = Relay::new(id, local, socket);
            if let Some(counters) = counters {
                relay.tally = RelayTally::starting_at(counters);
            }
            relay
        });
        let result = opened.and_then(|relay| {
            let slot = state.table.insert(relay);
            let Some(relay) = state.table.relay(slot) else {
                return Ok(());
            };
            let poll = &self.polls[self.next_worker];
            self.next_worker = (self.next_worker + 1) % self.polls.len();
            let added = poll.add_relay(relay.socket.as_fd(), slot, relay.generation);
            if added.is_err() {
                state.table.remove(id);
            }
            added
        });
        result.map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |()| 0)
    }
}

impl std::ops::Drop for FastPath {
    fn drop(&mut self) {
        self.close();
    }
}

fn send_by(relay: &Relay, tally: &Tally, to_peer: &ToPeer, bytes: &[u8]) {
    let data = &bytes[to_peer.data.clone()];
    let (socket, v6) = (relay.socket.as_fd(), to_peer.to.ip.is_v6());
    if to_peer.dont_fragment {
        // When it cannot be set the packet goes out as others do.
        let _ = socket::set_dont_fragment(socket, v6, true);
    }
    let mut outcome = Outcome::of(&socket::send_to(socket, to_peer.to, data));
    if outcome == Outcome::Refused {
        // It may be an ICMP error of an earlier packet that the socket had yet to tell.
        outcome = Outcome::of(&socket::send_to(socket, to_peer.to, data));
    }
    if to_peer.dont_fragment {
        let _ = socket::set_dont_fragment(socket, v6, false);
    }
    if outcome != Outcome::Full {
        tally.to_peers(1, data.len());
        relay.tally.to_peers(1, data.len());
    }
    count_unsent(Some(relay), tally, 1, outcome);
}

/// A client that was heard over the mesh before it owned anything is reached that way.
fn assign(state: &mut State, relay: f64, allocation: Allocation, now: f64) {
    let State { table, mesh, .. } = state;
    let client = allocation.client;
    if let (Some(first), Some(mesh)) = (table.assign(relay, allocation, now), mesh) {
        first
            .via
            .store(PeerRef::bits(mesh.path(client, now)), Ordering::Relaxed);
    }
}

fn tuple((listener, remote): Client) -> Tuple {
    Tuple { listener, remote }
}
