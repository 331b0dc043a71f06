//! What is handed up: packed into one buffer, taken all at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::addr::Addr;

/// The first byte of each event.
const CLIENT_INPUT: u8 = 1;
const PEER_ERROR: u8 = 2;
const TO_STREAM: u8 = 3;
const VIA_MESH: u8 = 4;
const MESH_CONTROL: u8 = 5;
const MESH_TO_STREAM: u8 = 6;

/// What waits to be taken before more is dropped, in bytes. Data for streams has a share of its own, so that a flood of it
/// leaves requests their place.
const MAX_REQUEST_BYTES: usize = 4 << 20;
const MAX_STREAM_BYTES: usize = 16 << 20;

/// An ICMP error of a packet that was sent to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub data: u32,
}

#[derive(Default)]
struct Queues {
    requests: Vec<u8>,
    streams: Vec<u8>,
}

/// Events that nobody has taken yet. `wake` is called when there are some again after there were none.
pub struct Events {
    queues: Mutex<Queues>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Events {
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            queues: Mutex::default(),
            wake,
        }
    }

    /// False when too much waits already.
    pub fn client_input(&self, listener: u32, client: Addr, bytes: &[u8]) -> bool {
        self.push(|queues| {
            let queue = &mut queues.requests;
            if queue.len() + bytes.len() > MAX_REQUEST_BYTES {
                return false;
            }
            queue.push(CLIENT_INPUT);
            queue.extend_from_slice(&listener.to_le_bytes());
            queue.extend_from_slice(&client.pack());
            put_bytes(queue, &[bytes]);
            true
        })
    }

    /// A message of a client that came over the mesh. For a listener of streams it was not looked at yet.
    pub fn via_mesh(&self, listener: u32, client: Addr, peer: f64, bytes: &[u8]) -> bool {
        self.push(|queues| {
            let queue = &mut queues.requests;
            if queue.len() + bytes.len() > MAX_REQUEST_BYTES {
                return false;
            }
            queue.push(VIA_MESH);
            queue.extend_from_slice(&listener.to_le_bytes());
            queue.extend_from_slice(&client.pack());
            queue.extend_from_slice(&peer.to_le_bytes());
            put_bytes(queue, &[bytes]);
            true
        })
    }

    pub fn mesh_control(&self, peer: f64, bytes: &[u8]) -> bool {
        self.push(|queues| {
            let queue = &mut queues.requests;
            if queue.len() + bytes.len() > MAX_REQUEST_BYTES {
                return false;
            }
            queue.push(MESH_CONTROL);
            queue.extend_from_slice(&peer.to_le_bytes());
            put_bytes(queue, &[bytes]);
            true
        })
    }

    /// An answer for a client on a stream that came over the mesh.
    pub fn mesh_to_stream(&self, listener: u32, client: Addr, bytes: &[u8]) -> bool {
        self.push(|queues| {
            let queue = &mut queues.streams;
            if queue.len() > MAX_STREAM_BYTES {
                return false;
            }
            queue.push(MESH_TO_STREAM);
            queue.extend_from_slice(&listener.to_le_bytes());
            queue.extend_from_slice(&client.pack());
            put_bytes(queue, &[bytes]);
            true
        })
    }

    pub fn peer_error(&self, relay: f64, peer: Addr, icmp: Icmp) -> bool {
        self.push(|queues| {
            let queue = &mut queues.requests;
            if queue.len() > MAX_REQUEST_BYTES {
                return false;
            }
            queue.push(PEER_ERROR);
            queue.extend_from_slice(&relay.to_le_bytes());
            queue.extend_from_slice(&peer.pack());
            queue.extend_from_slice(&[icmp.kind, icmp.code]);
            queue.extend_from_slice(&icmp.data.to_le_bytes());
            true
        })
    }

    /// A message for a client on a stream, in parts. `payload` is how much of it is application data.
    pub fn to_stream(&self, listener: u32, client: Addr, relay: f64, payload: usize, parts: &[&[u8]]) -> bool {
        self.push(|queues| {
            let queue = &mut queues.streams;
            if queue.len() > MAX_STREAM_BYTES {
                return false;
            }
            queue.push(TO_STREAM);
            queue.extend_from_slice(&listener.to_le_bytes());
            queue.extend_from_slice(&client.pack());
            queue.extend_from_slice(&relay.to_le_bytes());
            queue.extend_from_slice(&(payload as u32).to_le_bytes());
            put_bytes(queue, parts);
            true
        })
    }

    /// All that waits, requests first.
    pub fn take(&self) -> Vec<u8> {
        let mut queues = self.lock();
        let streams = std::mem::take(&mut queues.streams);
        let mut all = std::mem::take(&mut queues.requests);
        drop(queues);
        if all.is_empty() {
            return streams;
        }
        all.extend_from_slice(&streams);
        all
    }

    fn push(&self, put: impl FnOnce(&mut Queues) -> bool) -> bool {
        let mut queues = self.lock();
        let was_empty = queues.requests.is_empty() && queues.streams.is_empty();
        let done = put(&mut queues);
        drop(queues);
        if was_empty && done {
            (self.wake)();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put_bytes(queue: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    queue.extend_from_slice(&(length as u32).to_le_bytes());
    for part in parts {
        queue.extend_from_slice(part);
    }
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

    #[test]
    fn a_flood_of_either_kind_is_bounded_and_leaves_the_other_its_place() {
        let events = Events::new(Box::new(|| {}));
        let request = || events.client_input(1, CLIENT, &LARGE);
        let data = || events.to_stream(2, CLIENT, 1.0, LARGE.len(), &[&LARGE]);
        let requests = (0..1000).take_while(|_| request()).count();
        assert_eq!(requests, MAX_REQUEST_BYTES / (LARGE.len() + 28));
        assert!(data());
        let messages = 1 + (0..1000).take_while(|_| data()).count();
        assert!((MAX_STREAM_BYTES..MAX_STREAM_BYTES + 2 * LARGE.len()).contains(&(messages * LARGE.len())));
        assert!(!request());
        let taken = events.take();
        assert_eq!(
            (taken[0], taken[taken.len() - LARGE.len() - 40]),
            (CLIENT_INPUT, TO_STREAM)
        );
        assert!(request() && data());
    }

    #[test]
    fn wakes_for_the_first_event_after_none() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let events = Events::new(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        for turn in 1..3 {
            events.client_input(1, CLIENT, b"request");
            events.to_stream(2, CLIENT, 1.0, 4, &[b"data"]);
            assert_eq!(woken.load(Ordering::Relaxed), turn);
            events.take();
        }
    }
}
