//! What is handed up: packed into one buffer, taken in turns.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahash::RandomState;

use crate::addr::Addr;
use crate::stun::is_request;

/// The first byte of each event.
const CLIENT_INPUT: u8 = 1;
const PEER_ERROR: u8 = 2;
const TO_STREAM: u8 = 3;
const VIA_MESH: u8 = 4;
const MESH_CONTROL: u8 = 5;
const MESH_TO_STREAM: u8 = 6;

/// What waits to be taken before more is dropped, in bytes. Each kind has a share of its own, so that a flood of one leaves
/// the others their place.
const MAX_REQUEST_BYTES: usize = 4 << 20;
const MAX_STREAM_BYTES: usize = 16 << 20;
/// How many events of each kind are taken at once: whoever takes them has other things to do as well.
const TURN: usize = 128;
/// What a queue that is empty keeps of its memory, in bytes.
const KEPT: usize = 64 << 10;

/// An ICMP error of a packet that was sent to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub data: u32,
}

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handed {
    Up,
    /// The client has sent the very same request before, and that waits still.
    Repeated,
    /// Too much waits already.
    Full,
}

/// Packed events, the oldest first.
#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    /// Of each event its length, and what stands for it among the requests that wait, or 0.
    events: VecDeque<(u32, u64)>,
}

impl Queue {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, parts: &[&[u8]], mark: u64) {
        for part in parts {
            self.bytes.extend(*part);
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.events.push_back((length as u32, mark));
    }

    fn take(&mut self, all: &mut Vec<u8>, requests: &mut HashSet<u64, RandomState>) {
        let mut length = 0;
        for (bytes, mark) in self.events.drain(..self.events.len().min(TURN)) {
            length += bytes as usize;
            if mark != 0 {
                requests.remove(&mark);
            }
        }
        let (first, second) = self.bytes.as_slices();
        let split = length.min(first.len());
        all.extend_from_slice(&first[..split]);
        all.extend_from_slice(&second[..length - split]);
        self.bytes.drain(..length);
        // What a flood took is given back when it is over.
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            *self = Self::default();
        }
    }
}

#[derive(Default)]
struct Queues {
    /// Of clients that own something, of other relays, and about peers.
    first: Queue,
    /// Of all other clients.
    newcomers: Queue,
    streams: Queue,
    /// The requests that wait in the first two.
    requests: HashSet<u64, RandomState>,
}

impl Queues {
    fn is_empty(&self) -> bool {
        self.first.events.is_empty() && self.newcomers.events.is_empty() && self.streams.events.is_empty()
    }

    fn of(&mut self, owner: bool) -> &mut Queue {
        if owner { &mut self.first } else { &mut self.newcomers }
    }
}

/// Events that nobody has taken yet. `wake` is called when there are some again after there were none.
pub struct Events {
    queues: Mutex<Queues>,
    hasher: RandomState,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Events {
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            queues: Mutex::default(),
            hasher: RandomState::default(),
            wake,
        }
    }

    /// A message of a client. Those of an `owner`, who has a relay, do not wait behind the newcomers.
    pub fn client_input(&self, listener: u32, client: Addr, owner: bool, bytes: &[u8]) -> Handed {
        let head: &[&[u8]] = &[&[CLIENT_INPUT], &listener.to_le_bytes(), &client.pack()];
        self.request(head, owner, bytes)
    }

    /// A message of a client that came over the mesh. For a listener of streams it was not looked at yet.
    pub fn via_mesh(&self, listener: u32, client: Addr, peer: f64, owner: bool, bytes: &[u8]) -> Handed {
        let head: &[&[u8]] = &[
            &[VIA_MESH],
            &listener.to_le_bytes(),
            &client.pack(),
            &peer.to_le_bytes(),
        ];
        self.request(head, owner, bytes)
    }

    pub fn mesh_control(&self, peer: f64, bytes: &[u8]) -> bool {
        let parts: &[&[u8]] = &[&[MESH_CONTROL], &peer.to_le_bytes(), &length_of(&[bytes]), bytes];
        self.put(MAX_REQUEST_BYTES, parts, |queues| &mut queues.first)
    }

    /// An answer for a client on a stream that came over the mesh.
    pub fn mesh_to_stream(&self, listener: u32, client: Addr, bytes: &[u8]) -> bool {
        let parts: &[&[u8]] = &[
            &[MESH_TO_STREAM],
            &listener.to_le_bytes(),
            &client.pack(),
            &length_of(&[bytes]),
            bytes,
        ];
        self.put(MAX_STREAM_BYTES, parts, |queues| &mut queues.streams)
    }

    pub fn peer_error(&self, relay: f64, peer: Addr, icmp: Icmp) -> bool {
        let parts: &[&[u8]] = &[
            &[PEER_ERROR],
            &relay.to_le_bytes(),
            &peer.pack(),
            &[icmp.kind, icmp.code],
            &icmp.data.to_le_bytes(),
        ];
        self.put(MAX_REQUEST_BYTES, parts, |queues| &mut queues.first)
    }

    /// A message for a client on a stream, in parts. `payload` is how much of it is application data.
    pub fn to_stream(&self, listener: u32, client: Addr, relay: f64, payload: usize, parts: [&[u8]; 3]) -> bool {
        let [header, data, padding] = parts;
        let all: &[&[u8]] = &[
            &[TO_STREAM],
            &listener.to_le_bytes(),
            &client.pack(),
            &relay.to_le_bytes(),
            &(payload as u32).to_le_bytes(),
            &length_of(&parts),
            header,
            data,
            padding,
        ];
        self.put(MAX_STREAM_BYTES, all, |queues| &mut queues.streams)
    }

    /// What has waited the longest, some of each kind: what is not of newcomers first, data for streams last.
    pub fn take(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut queues = self.lock();
        let Queues {
            first,
            newcomers,
            streams,
            requests,
        } = &mut *queues;
        first.take(&mut all, requests);
        newcomers.take(&mut all, requests);
        streams.take(&mut all, requests);
        if requests.is_empty() && requests.capacity() > KEPT / size_of::<u64>() {
            *requests = HashSet::default();
        }
        all
    }

    /// Whether there is something to take.
    pub fn wait(&self) -> bool {
        !self.lock().is_empty()
    }

    fn request(&self, head: &[&[u8]], owner: bool, bytes: &[u8]) -> Handed {
        let mark = if is_request(bytes) { self.mark(head, bytes) } else { 0 };
        self.push(|queues| {
            if mark != 0 && queues.requests.contains(&mark) {
                return Handed::Repeated;
            }
            let queue = queues.of(owner);
            if queue.len() + bytes.len() > MAX_REQUEST_BYTES {
                return Handed::Full;
            }
            let length = length_of(&[bytes]);
            let all: Vec<&[u8]> = head.iter().copied().chain([&length[..], bytes]).collect();
            queue.push(&all, mark);
            if mark != 0 {
                queues.requests.insert(mark);
            }
            Handed::Up
        })
    }

    fn put(&self, most: usize, parts: &[&[u8]], queue: impl FnOnce(&mut Queues) -> &mut Queue) -> bool {
        let handed = self.push(|queues| {
            let queue = queue(queues);
            if queue.len() > most {
                return Handed::Full;
            }
            queue.push(parts, 0);
            Handed::Up
        });
        handed == Handed::Up
    }

    /// Stands for a request of a client: the bytes of a retransmission are the same (RFC 8489 section 6.2.1).
    fn mark(&self, head: &[&[u8]], bytes: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for part in head {
            hasher.write(part);
        }
        hasher.write(bytes);
        hasher.finish()
    }

    fn push(&self, put: impl FnOnce(&mut Queues) -> Handed) -> Handed {
        let mut queues = self.lock();
        let was_empty = queues.is_empty();
        let handed = put(&mut queues);
        drop(queues);
        if was_empty && handed == Handed::Up {
            (self.wake)();
        }
        handed
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length_of(parts: &[&[u8]]) -> [u8; 4] {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    (length as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::addr::Ip;

    const CLIENT: Addr = Addr {
        ip: Ip::V4_LOOPBACK,
        port: 5000,
    };
    static LARGE: [u8; 60_000] = [0; 60_000];

    /// A Binding request.
    fn request(id: u16) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[1] = 1;
        bytes[4..8].copy_from_slice(&0x2112_a442u32.to_be_bytes());
        bytes[8..10].copy_from_slice(&id.to_be_bytes());
        bytes
    }

    fn events() -> Events {
        Events::new(Box::new(|| {}))
    }

    /// All that waits, in the order in which it is taken.
    fn drain(events: &Events) -> Vec<u8> {
        let mut all = Vec::new();
        while events.wait() {
            all.extend(events.take());
        }
        all
    }

    #[test]
    fn a_flood_of_either_kind_is_bounded_and_leaves_the_others_their_place() {
        let events = events();
        let from = |owner: bool| events.client_input(1, CLIENT, owner, &LARGE) == Handed::Up;
        let data = || events.to_stream(2, CLIENT, 1.0, LARGE.len(), [&LARGE, &[], &[]]);
        let requests = (0..1000).take_while(|_| from(false)).count();
        assert_eq!(requests, MAX_REQUEST_BYTES / (LARGE.len() + 28));
        assert!(from(true) && data());
        let messages = 1 + (0..1000).take_while(|_| data()).count();
        assert!((MAX_STREAM_BYTES..MAX_STREAM_BYTES + 2 * LARGE.len()).contains(&(messages * LARGE.len())));
        assert!(!from(false));
        let taken = events.take();
        assert_eq!(
            (taken[0], taken[taken.len() - LARGE.len() - 40]),
            (CLIENT_INPUT, TO_STREAM)
        );
        assert!(from(false) && data());
    }

    #[test]
    fn those_who_own_something_do_not_wait_behind_newcomers() {
        let events = events();
        for id in 0..1000 {
            events.client_input(1, CLIENT, false, &request(id));
        }
        events.client_input(1, CLIENT, true, &request(1000));
        events.mesh_control(7.0, b"beat");
        let size = 1 + 4 + crate::addr::ADDR_LEN + 4 + 20;
        let taken = events.take();
        assert_eq!(taken.len(), size + (1 + 8 + 4 + 4) + TURN * size);
        assert_eq!(taken[size - 12..size - 10], 1000u16.to_be_bytes());
        assert_eq!(taken[size], MESH_CONTROL);
        assert_eq!(drain(&events).len(), (1000 - TURN) * size);
    }

    #[test]
    fn a_request_that_waits_is_not_taken_twice() {
        let events = events();
        let from = |bytes: &[u8]| events.client_input(1, CLIENT, false, bytes);
        assert_eq!(from(&request(1)), Handed::Up);
        assert_eq!(from(&request(1)), Handed::Repeated);
        assert_eq!(from(&request(2)), Handed::Up);
        assert_eq!(events.client_input(2, CLIENT, false, &request(1)), Handed::Up);
        // What is no request may be meant twice.
        assert_eq!(from(b"data"), Handed::Up);
        assert_eq!(from(b"data"), Handed::Up);
        drain(&events);
        assert_eq!(from(&request(1)), Handed::Up);
    }

    #[test]
    fn gives_back_what_a_flood_took() {
        let events = events();
        let flood =
            |from: u16| (0..30_000).all(|id| events.client_input(1, CLIENT, false, &request(from + id)) == Handed::Up);
        assert!(flood(0));
        drain(&events);
        let queues = events.lock();
        assert!(queues.newcomers.bytes.capacity() <= KEPT && queues.requests.capacity() <= KEPT);
        drop(queues);
        assert!(flood(30_000));
    }

    #[test]
    fn wakes_for_the_first_event_after_none() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let events = Events::new(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        for turn in 1..3 {
            events.client_input(1, CLIENT, false, b"request");
            events.to_stream(2, CLIENT, 1.0, 4, [b"data", &[], &[]]);
            assert_eq!(woken.load(Ordering::Relaxed), turn);
            events.take();
        }
    }
}
