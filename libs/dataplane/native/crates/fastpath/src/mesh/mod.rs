//! The mesh between the relays of a fleet: what is known of the other relays, and of the clients that come by them.

pub mod frame;
mod recent;
pub mod seal;

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use crate::addr::{Addr, Ip};
use crate::counters::Drop;
use crate::forward::{FromClient, ToPeer};
use crate::socket::{self, Buffers};
use crate::steer::Steering;
use crate::stun;
use crate::table::{Map, Table, Tuple};
use recent::Recent;
use seal::{Header, Instance, SealKey, Sender, Window};

/// How long a peer may answer a client after the client's packets were last meant for it, in ms.
const REPLY: f64 = 3_600_000.0;
/// How long the way to a client that owns nothing is remembered: as long as an answer may take, in ms.
const PATH: f64 = 60_000.0;
/// The most that one datagram carries.
pub const MAX_PAYLOAD: usize = 65_000;
const WORKERS: usize = 256;

/// A relay that is registered, by its place and by a number that no other has ever had. Never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerRef(u64);

impl PeerRef {
    /// 0 is none.
    pub fn of_bits(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }

    pub fn bits(peer: Option<Self>) -> u64 {
        peer.map_or(0, |peer| peer.0)
    }

    fn place(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

pub struct Peer {
    /// As the control loop names it.
    pub id: f64,
    pub addr: Addr,
    instance: Instance,
    /// What it seals with.
    keys: Box<[SealKey]>,
    /// By its workers.
    windows: Box<[OnceLock<Box<Mutex<Window>>>]>,
    this: PeerRef,
}

struct Foreign {
    peer: PeerRef,
    /// Until when the client's messages go there.
    deadline: f64,
    /// Until when the peer may answer it.
    reply_until: f64,
}

pub struct ForeignPorts {
    pub ip: Ip,
    pub min: u16,
    pub max: u16,
    pub peer: PeerRef,
    pub deadline: f64,
}

/// A counter that one thread writes, on a cache line of its own.
#[repr(align(128))]
struct Counter(AtomicU64);

/// What a mesh is opened with.
pub struct MeshOptions {
    pub local: Addr,
    pub instance: Instance,
    pub keys: Box<[SealKey]>,
    /// As named on the wire, the listener, and whether that is one of IPv6.
    pub frontends: Vec<(u32, u32, bool)>,
    pub shared_ips: Vec<Ip>,
    pub max_foreign: usize,
    pub max_paths: usize,
}

pub struct Mesh {
    /// One for each worker.
    pub sockets: Vec<OwnedFd>,
    /// For datagrams of peers of other relays' clients.
    pub steering: Option<Steering>,
    options: MeshOptions,
    counters: Box<[Counter]>,
    peers: Vec<Option<Peer>>,
    by_id: Map<u64, PeerRef>,
    by_sender: Map<Sender, PeerRef>,
    next_number: u64,
    foreign: Recent<Tuple, Foreign>,
    foreign_ports: Vec<ForeignPorts>,
    paths: Mutex<Recent<Tuple, (PeerRef, f64)>>,
    /// How many of them there are, for those who need not look.
    paths_held: AtomicUsize,
}

impl Mesh {
    /// Opens the sockets of a mesh. `options.local` becomes the address that they have.
    pub fn open(mut options: MeshOptions, workers: usize, buffers: Buffers) -> io::Result<Self> {
        let (sockets, local) = socket::open_mesh(options.local, workers, buffers)?;
        options.local = local;
        // Above all counters that an earlier life may have used, if the clock did not step back.
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let first = (epoch.map_or(0, |epoch| epoch.as_millis()) as u64) << 20;
        Ok(Self {
            sockets,
            steering: None,
            counters: (0..=workers.min(WORKERS - 1))
                .map(|_| Counter(AtomicU64::new(first)))
                .collect(),
            peers: Vec::new(),
            by_id: Map::default(),
            by_sender: Map::default(),
            next_number: 0,
            foreign: Recent::new(options.max_foreign),
            foreign_ports: Vec::new(),
            paths: Mutex::new(Recent::new(options.max_paths)),
            paths_held: AtomicUsize::new(0),
            options,
        })
    }

    pub fn local(&self) -> Addr {
        self.options.local
    }

    pub fn peers(&self) -> usize {
        self.by_id.len()
    }

    pub fn foreign_clients(&self) -> usize {
        self.foreign.len()
    }

    pub fn shares(&self, ip: Ip) -> bool {
        self.options.shared_ips.contains(&ip)
    }

    /// The addresses of the mesh, which peers of clients never are.
    pub fn addresses(&self) -> impl Iterator<Item = Addr> {
        let peers = self.peers.iter().flatten().map(|peer| peer.addr);
        std::iter::once(self.options.local).chain(peers)
    }

    pub fn set_keys(&mut self, keys: Box<[SealKey]>) {
        self.options.keys = keys;
    }

    pub fn register(&mut self, id: f64, instance: Instance, addr: Addr, keys: Box<[SealKey]>) {
        if instance == self.options.instance {
            return;
        }
        let known = self.peer_by_id(id).and_then(|peer| self.peer_mut(peer));
        if let Some(known) = known.filter(|known| known.instance == instance) {
            known.addr = addr;
            known.keys = keys;
            return;
        }
        self.forget(id);
        let sender = seal::sender_name(&instance);
        if let Some(former) = self.by_sender.get(&sender).and_then(|peer| self.peer(*peer)) {
            self.forget(former.id);
        }
        self.next_number += 1;
        let place = self.peers.iter().position(Option::is_none).unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let this = PeerRef(self.next_number << 32 | place as u64);
        self.peers[place] = Some(Peer {
            id,
            addr,
            instance,
            keys,
            windows: (0..WORKERS).map(|_| OnceLock::new()).collect(),
            this,
        });
        self.by_id.insert(id.to_bits(), this);
        self.by_sender.insert(sender, this);
    }

    pub fn forget(&mut self, id: f64) {
        let Some(peer) = self.by_id.remove(&id.to_bits()) else {
            return;
        };
        if let Some(peer) = self.peers[peer.place()].take() {
            self.by_sender.remove(&seal::sender_name(&peer.instance));
        }
    }

    pub fn peer_by_id(&self, id: f64) -> Option<PeerRef> {
        self.by_id.get(&id.to_bits()).copied()
    }

    /// None for one that is gone.
    pub fn peer(&self, peer: PeerRef) -> Option<&Peer> {
        let found = self.peers.get(peer.place())?.as_ref()?;
        (found.this == peer).then_some(found)
    }

    fn peer_mut(&mut self, peer: PeerRef) -> Option<&mut Peer> {
        self.peers.get_mut(peer.place())?.as_mut()
    }

    /// False when another listener has the name.
    pub fn join(&mut self, frontend: u32, listener: u32, v6: bool) -> bool {
        let known = self.options.frontends.iter().any(|(one, _, _)| *one == frontend);
        if !known {
            self.options.frontends.push((frontend, listener, v6));
        }
        !known
    }

    /// How the listener of a client is named on the wire; None where it takes no part.
    pub fn frontend(&self, listener: u32) -> Option<u32> {
        let found = self.options.frontends.iter().find(|(_, one, _)| *one == listener)?;
        Some(found.0)
    }

    /// A client of an own listener, as a frame names it.
    pub fn client(&self, frontend: u32, remote: Addr) -> Option<Tuple> {
        let found = self.options.frontends.iter().find(|(one, _, _)| *one == frontend)?;
        let (_, listener, v6) = *found;
        (v6 == remote.ip.is_v6() && remote.port != 0).then_some(Tuple { listener, remote })
    }

    /// Appends a sealed datagram for a peer. False for what is too long.
    pub fn seal(&self, out: &mut Vec<u8>, worker: usize, to: &Peer, parts: &[&[u8]]) -> bool {
        let Some(key) = self.options.keys.first() else {
            return false;
        };
        let worker = worker % self.counters.len();
        let header = Header {
            key_id: key.id,
            worker: worker as u8,
            sender: seal::sender_name(&self.options.instance),
            counter: self.counters[worker].0.fetch_add(1, Ordering::Relaxed),
        };
        seal::seal(out, key, &to.instance, header, parts)
    }

    /// Opens a datagram where it lies: who has sent it, and where in it the frame is.
    pub fn open_datagram(&self, datagram: &mut [u8]) -> Result<(&Peer, Range<usize>), Drop> {
        let header = Header::read(datagram).ok_or(Drop::MeshAuth)?;
        let peer = self.by_sender.get(&header.sender).and_then(|peer| self.peer(*peer));
        let peer = peer.ok_or(Drop::MeshUnknown)?;
        let window = &peer.windows[usize::from(header.worker)];
        if window
            .get()
            .is_some_and(|window| !lock(window).is_fresh(header.counter))
        {
            return Err(Drop::MeshReplay);
        }
        let mut keys = peer.keys.iter().filter(|key| key.id == header.key_id);
        let key = keys.next().ok_or(Drop::MeshAuth)?;
        let mut others = keys.peekable();
        // Opening spoils what is not sealed with the key.
        let copy = others.peek().is_some().then(|| datagram.to_vec());
        let mut opened = seal::open(datagram, header, key, &self.options.instance);
        if let Some(copy) = copy {
            for key in others {
                if opened.is_none() {
                    datagram.copy_from_slice(&copy);
                    opened = seal::open(datagram, header, key, &self.options.instance);
                }
            }
        }
        let frame = opened.ok_or(Drop::MeshAuth)?;
        let mut window = lock(window.get_or_init(Box::default));
        // Another worker may have taken its twin meanwhile.
        if !window.is_fresh(header.counter) {
            return Err(Drop::MeshReplay);
        }
        window.take(header.counter);
        Ok((peer, frame))
    }

    pub fn set_foreign(&mut self, client: Tuple, peer: f64, deadline: f64) {
        if let (Some(peer), Some(_)) = (self.peer_by_id(peer), self.frontend(client.listener)) {
            self.set_foreign_of(client, peer, deadline);
        }
    }

    fn set_foreign_of(&mut self, client: Tuple, peer: PeerRef, deadline: f64) {
        let reply_until = deadline + REPLY;
        let entry = Foreign {
            peer,
            deadline,
            reply_until,
        };
        self.foreign.set(client, entry);
    }

    /// One message of the client went to the peer.
    pub fn forwarded(&mut self, client: Tuple, peer: PeerRef, now: f64) {
        let known = self.foreign.get(&client).filter(|known| known.peer == peer);
        let deadline = known.map_or(now, |known| known.deadline.max(now));
        self.set_foreign_of(client, peer, deadline);
    }

    pub fn remove_foreign(&mut self, client: Tuple) {
        self.foreign.remove(&client);
    }

    pub fn may_reply(&self, client: Tuple, peer: &Peer, now: f64) -> bool {
        let known = self.foreign.get(&client);
        known.is_some_and(|known| known.peer == peer.this && known.reply_until > now)
    }

    /// None where the IP is not shared or the peer not registered.
    pub fn set_foreign_ports(&mut self, ip: Ip, (min, max): (u16, u16), peer: f64, deadline: f64) -> Option<()> {
        let peer = self.peer_by_id(peer).filter(|_| self.shares(ip) && min <= max)?;
        self.remove_foreign_ports(ip, (min, max));
        self.foreign_ports.push(ForeignPorts {
            ip,
            min,
            max,
            peer,
            deadline,
        });
        Some(())
    }

    pub fn remove_foreign_ports(&mut self, ip: Ip, (min, max): (u16, u16)) {
        self.foreign_ports
            .retain(|one| (one.ip, one.min, one.max) != (ip, min, max));
    }

    pub fn foreign_ports(&self) -> &[ForeignPorts] {
        &self.foreign_ports
    }

    /// Who serves a relayed address that is not served here.
    pub fn server_of(&self, relayed: Addr, now: f64) -> Option<&Peer> {
        let mut all = self.foreign_ports.iter();
        let found =
            all.find(|one| one.ip == relayed.ip && (one.min..=one.max).contains(&relayed.port) && one.deadline > now)?;
        self.peer(found.peer)
    }

    /// Where a message goes that the table cannot answer: the relay that owns the client, and the client's frontend. What
    /// came over the mesh goes nowhere.
    pub fn owner_of(
        &self,
        table: &Table,
        client: Tuple,
        bytes: &[u8],
        via: Option<&Peer>,
        now: f64,
    ) -> Option<(&Peer, u32)> {
        let may = via.is_none() && self.foreign.len() > 0 && !stun::is_binding_request(bytes);
        if !may || table.owns_relay(client) {
            return None;
        }
        let known = self.foreign.get(&client).filter(|known| known.deadline > now)?;
        Some((self.peer(known.peer)?, self.frontend(client.listener)?))
    }

    /// Looks at what the table says to a client's message, with the other relays in mind.
    pub fn look(&self, table: &Table, client: Tuple, decision: FromClient, via: Option<&Peer>, now: f64) -> FromClient {
        let decision = match decision {
            // Another relay may own the client.
            FromClient::Drop(Drop::NoAllocation, None) if !table.owns_relay(client) => FromClient::Up,
            decision => decision,
        };
        let heard = match &decision {
            FromClient::Drop(Drop::Malformed, _) => return decision,
            FromClient::ToPeer(ToPeer { relay, .. }) | FromClient::Drop(_, Some(relay)) => Heard::By(*relay),
            FromClient::Up => Heard::Up,
            FromClient::Drop(_, None) => Heard::Else,
        };
        self.heard(table, client, heard, via, now);
        decision
    }

    /// A client was heard: directly, or by way of a peer.
    fn heard(&self, table: &Table, client: Tuple, heard: Heard, via: Option<&Peer>, now: f64) {
        let via_bits = PeerRef::bits(via.map(|peer| peer.this));
        if let Heard::By(slot) = heard {
            let relay = table.relay(slot);
            if relay.is_some_and(|relay| relay.via.load(Ordering::Relaxed) == via_bits) {
                return;
            }
        }
        for v6 in [false, true] {
            if let Some(relay) = table.relay_of(client, v6).and_then(|slot| table.relay(slot)) {
                relay.via.store(via_bits, Ordering::Relaxed);
            }
        }
        match via {
            None if self.paths_held.load(Ordering::Relaxed) > 0 => {
                let mut paths = self.paths();
                paths.remove(&client);
                self.paths_held.store(paths.len(), Ordering::Relaxed);
            }
            Some(peer) if heard == Heard::Up => {
                let mut paths = self.paths();
                paths.set(client, (peer.this, now + PATH));
                self.paths_held.store(paths.len(), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// By way of which peer the client is reached. None: directly.
    pub fn path_of(&self, table: &Table, client: Tuple, now: f64) -> Option<&Peer> {
        let slots = [false, true].map(|v6| table.relay_of(client, v6));
        match slots.into_iter().flatten().next().and_then(|slot| table.relay(slot)) {
            Some(relay) => self.peer(PeerRef::of_bits(relay.via.load(Ordering::Relaxed))?),
            None => self.peer(self.path(client, now)?),
        }
    }

    /// By way of which peer a client that owns nothing was heard last.
    pub fn path(&self, client: Tuple, now: f64) -> Option<PeerRef> {
        if self.paths_held.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let paths = self.paths();
        let (peer, until) = *paths.get(&client)?;
        (until > now && self.peer(peer).is_some()).then_some(peer)
    }

    fn paths(&self) -> MutexGuard<'_, Recent<Tuple, (PeerRef, f64)>> {
        lock(&self.paths)
    }
}

/// What a message that a client was heard by came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// It was for this relay of the client.
    By(u32),
    /// It was handed up.
    Up,
    /// It was dropped, though not as malformed.
    Else,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
