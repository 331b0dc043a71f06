//! Many clients by a timetable: each request and each packet at its time, whatever became of the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::flow::{Flow, Step};
use crate::receive::ReceiveBatch;
use crate::send::SendBatch;
use crate::session::{BATCH, RETRANSMIT_AFTER, Session, SetupError, wait_readable};
use crate::stun::{Message, channel_header};
use crate::tag::{Arrival, Payload, Sequence, Tag};
use crate::trial::Latency;

/// Of an application packet.
const SIZE: usize = 200;
/// How long a request waits for the answer to the one before.
const POSTPONED: Duration = Duration::from_millis(5);
/// What a packet may be late at the end.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Request(Step),
    /// Application data from the client to its peer, on its channel.
    Packet,
}

pub struct Appointment {
    pub at: Duration,
    pub flow: usize,
    pub act: Act,
}

/// What came of it. A request that is never answered, or refused, is an error instead.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Played {
    pub seconds: f64,
    /// By request, from its first transmission to its answer.
    pub latency_us: BTreeMap<&'static str, Latency>,
    pub packets_sent: u64,
    /// Whole, from the relayed address of their flow, each once.
    pub packets_delivered: u64,
}

struct Play<'a> {
    session: &'a mut Session,
    started: Instant,
    sends: SendBatch,
    /// When the request was sent last, and how often.
    in_flight: Vec<Option<(Instant, u8)>>,
    /// When the request was sent first, and its name.
    asked: Vec<(Instant, &'static str)>,
    waits: BTreeMap<&'static str, Histogram<u32>>,
    payload: Payload,
    /// Packets, by flow.
    sent: Vec<u32>,
    arrivals: Vec<Sequence>,
}

pub fn play(session: &mut Session, plan: &[Appointment], limit: Duration) -> Result<Played, SetupError> {
    let started = Instant::now();
    let flows = session.flows.len();
    let mut due: BinaryHeap<Reverse<(Instant, usize)>> = plan
        .iter()
        .enumerate()
        .map(|(index, one)| Reverse((started + one.at, index)))
        .collect();
    let mut play = Play {
        session,
        started,
        sends: SendBatch::new(BATCH, 1),
        in_flight: vec![None; flows],
        asked: vec![(started, ""); flows],
        waits: BTreeMap::new(),
        payload: Payload::new(SIZE),
        sent: vec![0; flows],
        arrivals: vec![Sequence::default(); flows],
    };
    let mut receives = ReceiveBatch::new(BATCH, false);
    let mut next_check = started + RETRANSMIT_AFTER / 4;
    let mut busy_until = started;
    let mut delivered = 0;
    loop {
        let now = Instant::now();
        if now - started > limit {
            return Err(SetupError(format!("the timetable was not through after {limit:?}")));
        }
        while let Some(&Reverse((at, index))) = due.peek() {
            if at > now {
                break;
            }
            due.pop();
            if !play.begin(&plan[index], now) {
                due.push(Reverse((now + POSTPONED, index)));
            }
        }
        play.flush();
        let mut received = receives.receive(&play.session.client);
        for (bytes, _) in receives.iter() {
            play.answer(bytes, now)?;
        }
        play.flush();
        if receives.receive(&play.session.peer) > 0 {
            received += 1;
            for (bytes, from) in receives.iter() {
                let Some(tag) = play.payload.read(bytes) else { continue };
                let index = usize::from(tag.flow);
                let whole = play
                    .session
                    .flows
                    .get(index)
                    .is_some_and(|flow| flow.relayed == Some(from));
                if whole && play.arrivals[index].arrive(tag.sequence) != Arrival::Duplicate {
                    delivered += 1;
                }
            }
        }
        if !due.is_empty() || received > 0 || play.in_flight.iter().any(Option::is_some) {
            busy_until = now;
        } else if now - busy_until > PATIENCE {
            break;
        }
        if now > next_check {
            next_check = now + RETRANSMIT_AFTER / 4;
            play.session.retransmit(now, &mut play.in_flight, &mut play.sends)?;
            play.flush();
        }
        if received == 0 {
            wait_readable(&play.session.client);
        }
    }
    Ok(Played {
        seconds: (busy_until - started).as_secs_f64(),
        latency_us: play
            .waits
            .iter()
            .map(|(&name, times)| (name, Latency::of(times)))
            .collect(),
        packets_sent: play.sent.iter().map(|&sent| u64::from(sent)).sum(),
        packets_delivered: delivered,
    })
}

impl Play<'_> {
    /// False where it is too early, because of what is under way.
    fn begin(&mut self, appointment: &Appointment, now: Instant) -> bool {
        let Appointment { flow: index, act, .. } = *appointment;
        match act {
            Act::Request(step) => {
                let begun = self.in_flight[index].is_none() && self.session.flows[index].begin(step);
                if begun {
                    self.send(index, now);
                }
                begun
            }
            Act::Packet => self.send_packet(index, now),
        }
    }

    fn send(&mut self, index: usize, now: Instant) {
        self.asked[index] = (now, name(&self.session.flows[index]));
        self.in_flight[index] = Some((now, 1));
        self.session.send(index, &mut self.sends);
    }

    fn send_packet(&mut self, index: usize, now: Instant) -> bool {
        let flow = &self.session.flows[index];
        let (Step::Ready, Some(channel)) = (flow.step, flow.channel) else {
            return false;
        };
        if self.sends.is_full() {
            self.sends.flush(&self.session.client);
        }
        let sequence = self.sent[index];
        let sent = (now - self.started).as_micros() as u32;
        let tag = Tag {
            trial: 1,
            flow: index as u16,
            sequence,
            sent,
        };
        let header = channel_header(channel, SIZE);
        let payload = &self.payload;
        self.sends.push(Some(flow.client), self.session.server, |buffer| {
            let (head, body) = buffer.split_at_mut(header.len());
            head.copy_from_slice(&header);
            payload.write(tag, body);
            header.len() + payload.len()
        });
        self.sent[index] += 1;
        true
    }

    fn answer(&mut self, bytes: &[u8], now: Instant) -> Result<(), SetupError> {
        let Some(message) = Message::parse(bytes) else {
            return Ok(());
        };
        let index = Flow::index_of(&message.transaction);
        let Some(flow) = self.session.flows.get_mut(index) else {
            return Ok(());
        };
        let moved = flow.on_response(&message, &self.session.credentials);
        if !moved.map_err(|error| SetupError(format!("flow {index}: {error}")))? {
            return Ok(());
        }
        let goes_on = flow.step.is_request();
        let (asked, name) = self.asked[index];
        let waited = Instant::now().duration_since(asked).as_nanos() / 100;
        self.waits
            .entry(name)
            // 100 ns to 100 s, three digits.
            .or_insert_with(|| Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("the bounds are in order"))
            .saturating_record(waited as u64);
        if goes_on {
            self.send(index, now);
        } else {
            self.in_flight[index] = None;
        }
        Ok(())
    }

    fn flush(&mut self) {
        self.sends.flush(&self.session.client);
    }
}

fn name(flow: &Flow) -> &'static str {
    match flow.step {
        Step::Allocate if flow.is_stranger() => "challenge",
        Step::Allocate => "Allocate",
        Step::CreatePermission | Step::RenewPermission => "CreatePermission",
        Step::ChannelBind | Step::RenewChannel => "ChannelBind",
        Step::RenewAllocation => "Refresh",
        Step::Release | Step::Released | Step::Ready => "release",
    }
}
