//! Many flows at one server: sets them up and releases them, so many at a time.

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::endpoint::Endpoint;
use crate::flow::{Credentials, Flow, Step};
use crate::receive::ReceiveBatch;
use crate::send::SendBatch;
use crate::stun::Message;

pub const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
/// Of one request, as RFC 8489 section 6.2.1 has it.
pub const MAX_ATTEMPTS: u8 = 7;
pub const BATCH: usize = 64;

pub struct Session {
    pub client: Endpoint,
    pub peer: Endpoint,
    pub server: SocketAddrV4,
    pub flows: Vec<Flow>,
    /// Sent so far, retransmissions included.
    pub requests: u64,
    /// How often one request may be sent before its flow fails.
    pub attempts: u8,
    pub credentials: Credentials,
}

#[derive(Debug)]
pub struct SetupError(pub String);

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SetupError {}

impl Session {
    pub fn new(
        server: SocketAddrV4,
        credentials: Credentials,
        flows: usize,
        with_channels: bool,
    ) -> std::io::Result<Self> {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let peer = Endpoint::bind(any)?;
        let port = peer.local.port();
        Ok(Self {
            client: Endpoint::bind(any)?,
            flows: (0..flows as u32)
                .map(|index| Flow::new(index, port, with_channels))
                .collect(),
            peer,
            server,
            requests: 0,
            attempts: MAX_ATTEMPTS,
            credentials,
        })
    }

    /// Datagrams dropped at the generator's own full sockets.
    pub fn drops(&self) -> std::io::Result<u32> {
        Ok(self.client.drops()? + self.peer.drops()?)
    }

    /// Brings every flow to `Ready`, with at most `window` requests in flight.
    pub fn establish(&mut self, window: usize, limit: Duration) -> Result<(), SetupError> {
        self.drive(window, limit)
    }

    /// Releases every allocation with a Refresh of lifetime 0.
    pub fn release(&mut self, window: usize, limit: Duration) -> Result<(), SetupError> {
        self.flows.iter_mut().for_each(Flow::release);
        self.drive(window, limit)
    }

    fn drive(&mut self, window: usize, limit: Duration) -> Result<(), SetupError> {
        let deadline = Instant::now() + limit;
        let mut waiting: VecDeque<usize> = (0..self.flows.len())
            .filter(|&index| self.flows[index].step.is_request())
            .collect();
        let mut in_flight: Vec<Option<(Instant, u8)>> = vec![None; self.flows.len()];
        let mut remaining = waiting.len();
        let mut open = 0;
        let mut sends = SendBatch::new(BATCH, 1);
        let mut receives = ReceiveBatch::new(BATCH, false);
        let mut next_check = Instant::now() + RETRANSMIT_AFTER / 4;

        while remaining > 0 {
            let now = Instant::now();
            if now > deadline {
                return Err(self.late(remaining, limit));
            }
            while open < window {
                let Some(index) = waiting.pop_front() else { break };
                self.send(index, &mut sends);
                in_flight[index] = Some((now, 1));
                open += 1;
            }
            sends.flush(&self.client);

            if receives.receive(&self.client) == 0 {
                wait_readable(&self.client);
            }
            for (bytes, _) in receives.iter() {
                let Some(message) = Message::parse(bytes) else { continue };
                let index = Flow::index_of(&message.transaction);
                let Some(flow) = self.flows.get_mut(index) else {
                    continue;
                };
                let moved = flow.on_response(&message, &self.credentials);
                if !moved.map_err(|error| SetupError(format!("flow {index}: {error}")))? {
                    continue;
                }
                if flow.step.is_request() {
                    self.send(index, &mut sends);
                    in_flight[index] = Some((now, 1));
                } else {
                    in_flight[index] = None;
                    open -= 1;
                    remaining -= 1;
                }
            }
            if now > next_check {
                next_check = now + RETRANSMIT_AFTER / 4;
                self.retransmit(now, &mut in_flight, &mut sends)?;
            }
        }
        Ok(())
    }

    pub fn send(&mut self, index: usize, sends: &mut SendBatch) {
        let flow = &self.flows[index];
        let Some(request) = flow.request(&self.credentials) else {
            return;
        };
        if sends.is_full() {
            sends.flush(&self.client);
        }
        sends.push(Some(flow.client), self.server, |buffer| {
            buffer[..request.len()].copy_from_slice(&request);
            request.len()
        });
        self.requests += 1;
    }

    /// Sends again what has waited for its answer.
    pub fn retransmit(
        &mut self,
        now: Instant,
        in_flight: &mut [Option<(Instant, u8)>],
        sends: &mut SendBatch,
    ) -> Result<(), SetupError> {
        for (index, entry) in in_flight.iter_mut().enumerate() {
            let Some((sent, attempts)) = entry else { continue };
            if now - *sent < RETRANSMIT_AFTER {
                continue;
            }
            if *attempts == self.attempts {
                let step = self.flows[index].step;
                return Err(SetupError(format!(
                    "flow {index}: {step:?}: no answer from {}",
                    self.server
                )));
            }
            *entry = Some((now, *attempts + 1));
            self.send(index, sends);
        }
        Ok(())
    }

    fn late(&self, remaining: usize, limit: Duration) -> SetupError {
        let ready = self.flows.iter().filter(|flow| flow.step == Step::Ready).count();
        SetupError(format!("{remaining} flows not through after {limit:?} ({ready} ready)"))
    }
}

pub fn wait_readable(endpoint: &Endpoint) {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    // A failed poll only means that the loop looks again at once.
    let _ = poll(&mut [PollFd::new(endpoint, PollFlags::IN)], Some(&timeout));
}
