//! What a trial is asked to do, and what it tells.

use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

#[derive(Clone, Copy)]
pub struct Plan {
    /// Packets a second; None sends as fast as it can.
    pub rate: Option<f64>,
    pub warmup: Duration,
    pub measure: Duration,
    /// Silence after which what has not arrived counts as lost.
    pub patience: Duration,
}

#[derive(Serialize, Clone, Copy, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[derive(Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Packets a second asked for; null when as fast as possible.
    pub rate: Option<f64>,
    pub seconds: f64,
    pub sent: u64,
    pub delivered: u64,
    pub lost: u64,
    /// Lost over sent, 0 to 1.
    pub loss: f64,
    pub sent_pps: f64,
    pub delivered_pps: f64,
    pub reordered: u64,
    pub duplicated: u64,
    /// Arrived with other bytes than were sent, or in a frame that does not parse.
    pub corrupt: u64,
    /// Arrived whole, but from another address or channel than the flow's own.
    pub misdelivered: u64,
    /// Refused by the kernel at the generator's own send.
    pub refused: u64,
    /// Whether packets went out past the generator's own UDP layer.
    pub raw: bool,
    /// Dropped at the generator's own full socket.
    pub generator_drops: u32,
    /// Share of the time in which the generator had nothing to do, 0 to 1.
    pub generator_idle: f64,
    /// Cores' worth of CPU the generator took, which looks for packets all the time.
    pub generator_cores: f64,
    /// Share of the time in which something else ran on the generator's core, 0 to 1.
    pub generator_held_up: f64,
    pub latency_us: Latency,
    /// Of all processes of the server together.
    pub server_cpu_us_per_packet: Option<f64>,
    /// Of each, in the order in which they were named.
    pub server_cpu_us_per_packet_each: Vec<f64>,
    /// Cores' worth of CPU the server took.
    pub server_cores: Option<f64>,
}

impl Trial {
    /// True when something else took the generator's core, or, where packets were lost, the server's: then the loss says
    /// little of the server. A trial to repeat.
    pub fn disturbed(&self) -> bool {
        let server_starved = self.lost > 0 && self.server_cores.is_some_and(|cores| cores < 0.9);
        self.generator_held_up > 0.05 || server_starved
    }

    /// True when the generator could not send what was asked of it although its core was its own.
    pub fn fell_short(&self) -> bool {
        let short = self.rate.is_some_and(|rate| self.sent_pps < rate * 0.985);
        short && self.generator_held_up < 0.03 && self.generator_idle < 0.03
    }
}

/// Everything that was sent and that arrived since the start, warm-ups and late packets of earlier trials included.
#[derive(Serialize, Clone, Copy, Default, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub sent: u64,
    pub delivered: u64,
    /// Application bytes of each of these packets.
    pub size: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.size = other.size;
    }
}

impl Latency {
    /// Of times in units of 100 ns.
    pub fn of(times: &Histogram<u32>) -> Self {
        let at = |quantile: f64| times.value_at_quantile(quantile) as f64 / 10.0;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max() as f64 / 10.0,
        }
    }
}
