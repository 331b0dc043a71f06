//! One trial: packets at a rate for a time, and what became of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::outlet::Outlet;
use crate::process::{cpu_micros_of, thread_cpu};
use crate::raw::RawSocket;
use crate::receive::ReceiveBatch;
use crate::stun::{HEADER_LEN, Message, attr, header, kind, parse_channel_data};
use crate::tag::{Arrival, Payload, Sequence, Tag};
use crate::trial::{Latency, Plan, Totals, Trial};
use hdrhistogram::Histogram;

const SEND_BATCH: usize = 16;
const RECEIVE_BATCH: usize = 64;
/// How far the generator may fall behind its rate, in messages, before it gives up on what it owes.
const MAX_BACKLOG: u64 = 8 * SEND_BATCH as u64;
/// What is still waited for after a trial in all, by the patience for each packet.
const MAX_DRAIN: u32 = 10;

/// How packets look when they come out of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Payload,
    ChannelData,
    DataIndication,
    Binding,
}

/// One flow's way through the server.
pub struct Lane {
    pub source: Ipv4Addr,
    pub to: SocketAddrV4,
    /// Goes before the payload: a ChannelData header, or a Send indication up to its DATA.
    pub prefix: Vec<u8>,
    /// Where the packet must come from when it arrives.
    pub expected_from: SocketAddrV4,
    pub channel: Option<u16>,
}

pub struct Traffic<'a> {
    pub source: &'a Endpoint,
    pub sink: &'a Endpoint,
    pub lanes: Vec<Lane>,
    pub shape: Shape,
    pub payload: Payload,
    /// Packets of one flow sent back to back by UDP GSO; 1 sends each on its own.
    pub run: usize,
    /// Where single packets go out, if not of `source` itself.
    pub raw: Option<RawSocket>,
    /// `sink` hands runs up joined.
    pub joined: bool,
    pub server_pids: Vec<u32>,
    epoch: Instant,
    trial: u16,
    next_lane: usize,
    totals: Totals,
}

struct Arrivals {
    sequences: Vec<Sequence>,
    latency: Histogram<u32>,
    delivered: u64,
    reordered: u64,
    duplicated: u64,
    corrupt: u64,
    misdelivered: u64,
    /// Of an earlier trial.
    late: u64,
}

struct Sent {
    packets: u64,
    refused: u64,
    idle: Duration,
    sending: Duration,
    elapsed: Duration,
    cpu: Duration,
}

impl<'a> Traffic<'a> {
    pub fn new(source: &'a Endpoint, sink: &'a Endpoint, lanes: Vec<Lane>, shape: Shape, size: usize) -> Self {
        Self {
            source,
            sink,
            lanes,
            shape,
            payload: Payload::new(size),
            run: 1,
            raw: None,
            joined: false,
            server_pids: Vec::new(),
            epoch: Instant::now(),
            trial: 0,
            next_lane: 0,
            totals: Totals {
                size: size as u64,
                ..Totals::default()
            },
        }
    }

    pub fn run(&mut self, plan: Plan) -> io::Result<Trial> {
        self.phase(plan.rate, plan.warmup, Duration::ZERO);
        let drops = self.sink.drops()?;
        let cpu = cpu_micros_of(&self.server_pids)?;
        let (sent, arrivals) = self.phase(plan.rate, plan.measure, plan.patience);
        let each: Vec<f64> = cpu_micros_of(&self.server_pids)?
            .iter()
            .zip(cpu)
            .map(|(after, before)| (after - before) as f64)
            .collect();
        let cpu = (!each.is_empty()).then(|| each.iter().sum::<f64>());

        let seconds = sent.sending.as_secs_f64();
        let lost = sent.packets.saturating_sub(arrivals.delivered);
        Ok(Trial {
            rate: plan.rate,
            seconds,
            sent: sent.packets,
            delivered: arrivals.delivered,
            lost,
            loss: lost as f64 / sent.packets.max(1) as f64,
            sent_pps: sent.packets as f64 / seconds,
            delivered_pps: arrivals.delivered as f64 / seconds,
            reordered: arrivals.reordered,
            duplicated: arrivals.duplicated,
            corrupt: arrivals.corrupt,
            misdelivered: arrivals.misdelivered,
            refused: sent.refused,
            raw: self.raw.is_some() && self.run == 1,
            generator_drops: self.sink.drops()? - drops,
            generator_idle: sent.idle.as_secs_f64() / seconds,
            generator_cores: sent.cpu.as_secs_f64() / sent.elapsed.as_secs_f64(),
            generator_held_up: (1.0 - sent.cpu.as_secs_f64() / sent.elapsed.as_secs_f64()).max(0.0),
            latency_us: Latency::of(&arrivals.latency),
            server_cpu_us_per_packet: cpu.map(|micros| micros / arrivals.delivered.max(1) as f64),
            server_cpu_us_per_packet_each: each
                .iter()
                .map(|micros| micros / arrivals.delivered.max(1) as f64)
                .collect(),
            server_cores: cpu.map(|micros| micros / 1e6 / seconds),
        })
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Sends at `rate` for `length`, then waits for what is still on its way until nothing comes for `patience`.
    fn phase(&mut self, rate: Option<f64>, length: Duration, patience: Duration) -> (Sent, Arrivals) {
        self.trial = self.trial.wrapping_add(1);
        let mut sequences = vec![0u32; self.lanes.len()];
        let mut arrivals = Arrivals::new(self.lanes.len());
        let raw = self.raw.take();
        let mut sends = Outlet::new(self.source, raw.as_ref(), SEND_BATCH, self.run);
        let mut receives = ReceiveBatch::new(RECEIVE_BATCH, self.joined);
        let run = self.run as u64;
        let (mut messages, mut given_up, mut refused) = (0u64, 0u64, 0u64);
        let mut idle = Duration::ZERO;
        let mut sending = length;

        let cpu = thread_cpu();
        let start = Instant::now();
        let mut now = start;
        let mut last_arrival = start;
        loop {
            let elapsed = now - start;
            let mut busy = false;
            if elapsed < length {
                let mut due = match rate {
                    Some(rate) => ((elapsed.as_secs_f64() * rate) as u64 / run).saturating_sub(messages + given_up),
                    None => SEND_BATCH as u64,
                };
                if due > MAX_BACKLOG {
                    given_up += due - MAX_BACKLOG;
                    due = MAX_BACKLOG;
                }
                let count = due.min(SEND_BATCH as u64);
                for _ in 0..count {
                    self.push(&mut sends, &mut sequences, now);
                }
                if count > 0 {
                    refused += sends.flush() as u64;
                    messages += count;
                    busy = true;
                }
                sending = elapsed;
            } else {
                let all_there = arrivals.delivered == (messages - refused) * run;
                let silent = now.duration_since(last_arrival) > patience;
                if all_there || silent || elapsed > length + patience * MAX_DRAIN {
                    break;
                }
            }
            if receives.receive(self.sink) > 0 {
                busy = true;
                last_arrival = Instant::now();
                let ticks = self.ticks(last_arrival);
                for (bytes, from) in receives.iter() {
                    self.arrive(bytes, from, ticks, &mut arrivals);
                }
            }
            let end = Instant::now();
            if !busy && elapsed < length {
                idle += end - now;
            }
            now = end;
        }
        let sent = Sent {
            packets: (messages - refused) * run,
            refused: refused * run,
            idle,
            sending: sending.max(Duration::from_micros(1)),
            elapsed: start.elapsed(),
            cpu: thread_cpu() - cpu,
        };
        drop(sends);
        self.raw = raw;
        self.totals.sent += sent.packets;
        self.totals.delivered += arrivals.delivered + arrivals.late;
        (sent, arrivals)
    }

    /// Adds the next packet, or run of packets, of the next flow in turn.
    fn push(&mut self, sends: &mut Outlet, sequences: &mut [u32], now: Instant) {
        let index = self.next_lane;
        self.next_lane = (index + 1) % self.lanes.len();
        let lane = &self.lanes[index];
        let length = self.packet_len(lane);
        let segment = (self.run > 1).then_some(length as u16);
        let sent = self.ticks(now);
        sends.push(lane.source, lane.to, segment, |buffer| {
            for packet in buffer.chunks_exact_mut(length).take(self.run) {
                let tag = Tag {
                    trial: self.trial,
                    flow: index as u16,
                    sequence: sequences[index],
                    sent,
                };
                self.write(lane, tag, packet);
                sequences[index] += 1;
            }
            length * self.run
        });
    }

    fn packet_len(&self, lane: &Lane) -> usize {
        match self.shape {
            Shape::Binding => HEADER_LEN,
            _ => lane.prefix.len() + self.payload.len().next_multiple_of(self.alignment(lane)),
        }
    }

    /// Only STUN messages are padded: ChannelData over UDP needs none (RFC 8656, section 12.5).
    fn alignment(&self, lane: &Lane) -> usize {
        if lane.prefix.len() >= HEADER_LEN { 4 } else { 1 }
    }

    fn write(&self, lane: &Lane, tag: Tag, packet: &mut [u8]) {
        if self.shape == Shape::Binding {
            packet.copy_from_slice(&header(kind::BINDING, 0, &tag.to_bytes()));
            return;
        }
        let (prefix, rest) = packet.split_at_mut(lane.prefix.len());
        prefix.copy_from_slice(&lane.prefix);
        if prefix.len() >= HEADER_LEN {
            prefix[8..HEADER_LEN].copy_from_slice(&tag.to_bytes());
        }
        self.payload.write(tag, rest);
    }

    fn arrive(&self, bytes: &[u8], from: SocketAddrV4, ticks: u32, arrivals: &mut Arrivals) {
        let Some((tag, channel)) = self.read(bytes) else {
            arrivals.corrupt += 1;
            return;
        };
        if tag.trial != self.trial {
            arrivals.late += 1;
            return;
        }
        let lane = self.lanes.get(usize::from(tag.flow));
        let as_expected = |lane: &Lane| lane.expected_from == from && (channel.is_none() || channel == lane.channel);
        if !lane.is_some_and(as_expected) {
            arrivals.misdelivered += 1;
            return;
        }
        match arrivals.sequences[usize::from(tag.flow)].arrive(tag.sequence) {
            Arrival::Duplicate => {
                arrivals.duplicated += 1;
                return;
            }
            Arrival::Late => arrivals.reordered += 1,
            Arrival::InOrder => {}
        }
        arrivals.delivered += 1;
        arrivals
            .latency
            .saturating_record(u64::from(ticks.wrapping_sub(tag.sent)));
    }

    /// The tag of a packet and the channel it came on, where it came on one.
    fn read(&self, bytes: &[u8]) -> Option<(Tag, Option<u16>)> {
        match self.shape {
            Shape::Payload => Some((self.payload.read(bytes)?, None)),
            Shape::ChannelData => {
                let (channel, data) = parse_channel_data(bytes)?;
                Some((self.payload.read(data)?, Some(channel)))
            }
            Shape::DataIndication => {
                let message = Message::parse(bytes).filter(|message| message.kind == kind::DATA_INDICATION)?;
                Some((self.payload.read(message.get(attr::DATA)?)?, None))
            }
            Shape::Binding => {
                let message = Message::parse(bytes).filter(|message| message.kind == kind::BINDING_SUCCESS)?;
                let tag = Tag::from_bytes(&message.transaction);
                let lane = self.lanes.get(usize::from(tag.flow))?;
                let mapped = message.address(attr::XOR_MAPPED_ADDRESS)?;
                (*mapped.ip() == lane.source).then_some((tag, None))
            }
        }
    }

    fn ticks(&self, at: Instant) -> u32 {
        (at.duration_since(self.epoch).as_nanos() / 100) as u32
    }
}

impl Arrivals {
    fn new(lanes: usize) -> Self {
        Self {
            sequences: vec![Sequence::default(); lanes],
            // 100 ns to 100 s, three digits.
            latency: Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("the bounds are in order"),
            delivered: 0,
            reordered: 0,
            duplicated: 0,
            corrupt: 0,
            misdelivered: 0,
            late: 0,
        }
    }
}
