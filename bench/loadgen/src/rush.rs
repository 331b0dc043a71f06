//! Clients that all come at the same moment: a challenge and an Allocate for each, and how long that took it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::flow::{Flow, Step};
use crate::receive::ReceiveBatch;
use crate::send::SendBatch;
use crate::session::{BATCH, MAX_ATTEMPTS, RETRANSMIT_AFTER, Session, wait_readable};
use crate::stun::Message;

/// How often the clients look whether a retransmission is due.
const LOOK: Duration = Duration::from_millis(20);
const TIMEOUT: &str = "timeout";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rushed {
    pub granted: usize,
    /// How many were refused, by what they were told.
    pub refused: BTreeMap<String, usize>,
    /// Of those granted, from a client's first request to its relayed address.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub retransmissions: u64,
}

/// A request under way: when it is due again, and how often it was sent.
#[derive(Clone, Copy)]
struct Pending {
    due: Instant,
    sent: u8,
}

impl Pending {
    /// The time-out doubles with each transmission (RFC 8489 section 6.2.1).
    fn sent(now: Instant, times: u8) -> Self {
        Self {
            due: now + RETRANSMIT_AFTER * 2u32.pow(u32::from(times) - 1),
            sent: times,
        }
    }
}

/// Each flow asks at once. Those that are granted are `Ready` afterwards, the others `Released`.
pub fn rush(session: &mut Session, limit: Duration) -> Rushed {
    let flows = session.flows.len();
    let mut sends = SendBatch::new(BATCH, 1);
    let mut receives = ReceiveBatch::new(BATCH, false);
    let started = Instant::now();
    let mut since = vec![started; flows];
    let mut pending: Vec<Option<Pending>> = vec![None; flows];
    let mut waiting = flows;
    let mut retransmissions = 0;
    let mut refused = BTreeMap::new();
    // Milliseconds in steps of 10 microseconds, up to 1,000 s.
    let mut times = Histogram::<u32>::new_with_bounds(1, 100_000_000, 3).expect("the bounds are in order");

    for index in 0..flows {
        since[index] = Instant::now();
        session.send(index, &mut sends);
        pending[index] = Some(Pending::sent(since[index], 1));
    }
    sends.flush(&session.client);
    let mut next_look = started + LOOK;
    while waiting > 0 {
        let received = receives.receive(&session.client);
        let now = Instant::now();
        for (bytes, _) in receives.iter() {
            let Some(message) = Message::parse(bytes) else { continue };
            let index = Flow::index_of(&message.transaction);
            let Some(flow) = session.flows.get_mut(index) else {
                continue;
            };
            match flow.on_response(&message, &session.credentials) {
                Ok(false) => continue,
                Ok(true) if flow.step == Step::Allocate => {
                    session.send(index, &mut sends);
                    pending[index] = Some(Pending::sent(now, 1));
                    continue;
                }
                Ok(true) => {
                    flow.step = Step::Ready;
                    times.saturating_record((now - since[index]).as_micros() as u64 / 10);
                }
                Err(error) => {
                    flow.step = Step::Released;
                    *refused.entry(error).or_insert(0) += 1;
                }
            }
            pending[index] = None;
            waiting -= 1;
        }
        sends.flush(&session.client);
        if received > 0 && now < next_look {
            continue;
        }
        next_look = now + LOOK;
        for (index, entry) in pending.iter_mut().enumerate() {
            let Some(Pending { due, sent }) = *entry else { continue };
            if now - since[index] > limit {
                session.flows[index].step = Step::Released;
                *refused.entry(TIMEOUT.to_owned()).or_insert(0) += 1;
                *entry = None;
                waiting -= 1;
            } else if now >= due && sent < MAX_ATTEMPTS {
                session.send(index, &mut sends);
                *entry = Some(Pending::sent(now, sent + 1));
                retransmissions += 1;
            }
        }
        sends.flush(&session.client);
        if received == 0 {
            wait_readable(&session.client);
        }
    }
    let milliseconds = |value: u64| value as f64 / 100.0;
    Rushed {
        granted: times.len() as usize,
        refused,
        p50_ms: milliseconds(times.value_at_quantile(0.5)),
        p99_ms: milliseconds(times.value_at_quantile(0.99)),
        max_ms: milliseconds(times.max()),
        retransmissions,
    }
}
