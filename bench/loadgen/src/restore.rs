//! A server that dies under its allocations: when each of them relays again.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::outlet::Outlet;
use crate::raw::RawSocket;
use crate::receive::ReceiveBatch;
use crate::session::{Session, SetupError, wait_readable};
use crate::stun::{channel_header, parse_channel_data};
use crate::tag::{Payload, Tag};

const SIZE: usize = 200;
const BATCH: usize = 16;
/// How long a process may take to be gone.
const DYING: Duration = Duration::from_secs(5);
/// For a packet each through a server in which nothing is amiss.
const PROOF: Duration = Duration::from_secs(10);

/// Times in milliseconds since the kill.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    pub count: usize,
    /// Until the process was gone, and with it its sockets.
    pub gone: f64,
    pub first: f64,
    /// When the last one of those relayed that came back.
    pub last: f64,
    pub median: f64,
    /// How many relayed again, from clients to peers.
    pub to_peers: usize,
    /// How many of them relayed afterwards from peers to clients.
    pub to_clients: usize,
    /// Packets that came from another address or channel than their flow's.
    pub misdelivered: u64,
}

/// One flow's way: from whom, to whom, what goes before the data, and as whose it must arrive.
struct Way {
    source: Ipv4Addr,
    to: SocketAddrV4,
    prefix: Vec<u8>,
    from: SocketAddrV4,
    channel: Option<u16>,
}

struct Sweep<'a> {
    source: &'a Endpoint,
    sink: &'a Endpoint,
    ways: Vec<Way>,
    raw: Option<&'a RawSocket>,
    rate: f64,
    misdelivered: u64,
}

pub fn restore(session: &Session, pid: u32, rate: f64, limit: Duration) -> Result<Restored, SetupError> {
    let raw = RawSocket::open().ok();
    let count = session.flows.len();
    let mut to_peers = Sweep {
        source: &session.client,
        sink: &session.peer,
        ways: ways_to_peers(session)?,
        raw: raw.as_ref(),
        rate,
        misdelivered: 0,
    };
    let before = to_peers.run(1, PROOF).len();
    if before < count {
        return Err(SetupError(format!(
            "only {before} of {count} allocations relayed before the kill"
        )));
    }
    let killed = Instant::now();
    kill(pid)?;
    let gone = killed.elapsed();
    let mut times: Vec<f64> = to_peers
        .run(2, limit)
        .iter()
        .map(|at| (*at - killed).as_secs_f64() * 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return Err(SetupError(format!(
            "none of {count} allocations relayed again within {limit:?}"
        )));
    };
    let mut to_clients = Sweep {
        source: &session.peer,
        sink: &session.client,
        ways: ways_to_clients(session)?,
        raw: raw.as_ref(),
        rate,
        misdelivered: 0,
    };
    let back = to_clients.run(3, PROOF).len();
    Ok(Restored {
        count,
        gone: gone.as_secs_f64() * 1e3,
        first,
        last,
        median: times[times.len() / 2],
        to_peers: times.len(),
        to_clients: back,
        misdelivered: to_peers.misdelivered + to_clients.misdelivered,
    })
}

/// Kills a process and waits until it is gone: until its parent has taken note of it, and its sockets are closed.
fn kill(pid: u32) -> Result<(), SetupError> {
    let failed = |error: String| SetupError(format!("process {pid}: {error}"));
    let target = Pid::from_raw(pid as i32).ok_or_else(|| failed("is none".to_owned()))?;
    kill_process(target, Signal::KILL).map_err(|error| failed(error.to_string()))?;
    let (proc, deadline) = (PathBuf::from(format!("/proc/{pid}")), Instant::now() + DYING);
    while proc.exists() {
        if Instant::now() > deadline {
            return Err(failed(format!("not gone after {DYING:?}")));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn ways_to_peers(session: &Session) -> Result<Vec<Way>, SetupError> {
    let way = |flow: &crate::flow::Flow| {
        Some(Way {
            source: flow.client,
            to: session.server,
            prefix: channel_header(flow.channel?, SIZE).to_vec(),
            from: flow.relayed?,
            channel: None,
        })
    };
    session
        .flows
        .iter()
        .map(|flow| way(flow).ok_or_else(not_set_up))
        .collect()
}

fn ways_to_clients(session: &Session) -> Result<Vec<Way>, SetupError> {
    let way = |flow: &crate::flow::Flow| {
        Some(Way {
            source: *flow.peer.ip(),
            to: flow.relayed?,
            prefix: Vec::new(),
            from: session.server,
            channel: flow.channel,
        })
    };
    session
        .flows
        .iter()
        .map(|flow| way(flow).ok_or_else(not_set_up))
        .collect()
}

fn not_set_up() -> SetupError {
    SetupError("a flow is not set up".to_owned())
}

impl Sweep<'_> {
    /// Sends packets round the flows of which none has arrived, until one has of each. Returns when those did that did.
    fn run(&mut self, trial: u16, limit: Duration) -> Vec<Instant> {
        let payload = Payload::new(SIZE);
        let mut pending: Vec<usize> = (0..self.ways.len()).collect();
        let mut place: Vec<Option<usize>> = (0..self.ways.len()).map(Some).collect();
        let mut arrived = Vec::with_capacity(pending.len());
        let mut sends = Outlet::new(self.source, self.raw, BATCH, 1);
        let mut receives = ReceiveBatch::new(4 * BATCH, false);
        let (mut sequence, mut settled, mut next) = (0u32, 0u64, 0);
        let start = Instant::now();
        while !pending.is_empty() && start.elapsed() < limit {
            let due = (start.elapsed().as_secs_f64() * self.rate) as u64;
            let count = due.saturating_sub(settled).min(BATCH as u64);
            // What was not sent in time is not made up for.
            settled = if due - settled > 64 * BATCH as u64 {
                due
            } else {
                settled + count
            };
            for _ in 0..count {
                next = (next + 1) % pending.len();
                let index = pending[next];
                let way = &self.ways[index];
                let tag = Tag {
                    trial,
                    flow: index as u16,
                    sequence,
                    sent: 0,
                };
                sequence = sequence.wrapping_add(1);
                sends.push(way.source, way.to, None, |buffer| {
                    let (head, body) = buffer.split_at_mut(way.prefix.len());
                    head.copy_from_slice(&way.prefix);
                    payload.write(tag, body);
                    way.prefix.len() + payload.len()
                });
            }
            sends.flush();
            if receives.receive(self.sink) == 0 {
                if count == 0 {
                    // What the server needs of this core it shall have.
                    wait_readable(self.sink);
                }
                continue;
            }
            let now = Instant::now();
            for (bytes, from) in receives.iter() {
                let (channel, data) = match parse_channel_data(bytes) {
                    Some((channel, data)) if payload.read(bytes).is_none() => (Some(channel), data),
                    _ => (None, bytes),
                };
                let Some(tag) = payload.read(data).filter(|tag| tag.trial == trial) else {
                    continue;
                };
                let index = usize::from(tag.flow);
                let Some(way) = self.ways.get(index) else { continue };
                if way.from != from || way.channel != channel {
                    self.misdelivered += 1;
                    continue;
                }
                let Some(at) = place[index].take() else { continue };
                pending.swap_remove(at);
                if let Some(&moved) = pending.get(at) {
                    place[moved] = Some(at);
                }
                arrived.push(now);
            }
        }
        arrived
    }
}
