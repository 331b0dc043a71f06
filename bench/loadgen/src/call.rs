//! The timetable of a call: what a client asks of its server from the Allocate to the release.

use std::time::Duration;

use crate::flow::Step;
use crate::play::{Act, Appointment};

/// When a client renews what it has, as shares of a call of ten minutes: permissions (300 s) after 240 and 480 s, the
/// allocation and the channel (600 s) after 540 s.
const RENEWALS: [(f64, Step); 4] = [
    (0.4, Step::RenewPermission),
    (0.8, Step::RenewPermission),
    (0.9, Step::RenewAllocation),
    (0.9, Step::RenewChannel),
];

/// `count` calls of `length` each, which begin one after the other within `spread`.
pub fn timetable(count: usize, length: Duration, spread: Duration, packets: usize) -> Vec<Appointment> {
    let mut plan = Vec::with_capacity(count * (packets + RENEWALS.len() + 2));
    for flow in 0..count {
        let begin = spread.mul_f64(flow as f64 / count as f64);
        let mut add = |share: f64, act: Act| {
            let at = begin + length.mul_f64(share);
            plan.push(Appointment { at, flow, act });
        };
        add(0.0, Act::Request(Step::Allocate));
        for (share, step) in RENEWALS {
            add(share, Act::Request(step));
        }
        for packet in 0..packets {
            add((packet as f64 + 0.5) / packets as f64, Act::Packet);
        }
        add(1.0, Act::Request(Step::Release));
    }
    plan
}

/// Set-ups alone, at a rate.
pub fn arrivals(count: usize, rate: f64) -> Vec<Appointment> {
    (0..count)
        .map(|flow| Appointment {
            at: Duration::from_secs_f64(flow as f64 / rate),
            flow,
            act: Act::Request(Step::Allocate),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_renews_everything_before_it_ends() {
        let plan = timetable(2, Duration::from_secs(600), Duration::from_secs(60), 0);
        let of_second: Vec<(u64, Act)> = plan
            .iter()
            .filter(|one| one.flow == 1)
            .map(|one| (one.at.as_secs(), one.act))
            .collect();
        assert_eq!(
            of_second,
            [
                (30, Act::Request(Step::Allocate)),
                (270, Act::Request(Step::RenewPermission)),
                (510, Act::Request(Step::RenewPermission)),
                (570, Act::Request(Step::RenewAllocation)),
                (570, Act::Request(Step::RenewChannel)),
                (630, Act::Request(Step::Release)),
            ]
        );
    }
}
