//! The highest rate at which the server still delivers: grows until it does not, then narrows down.

use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::args::PATIENCE;
use crate::traffic::Traffic;
use crate::trial::{Plan, Trial};

#[derive(Clone, Copy)]
pub struct Limits {
    /// Where to begin, in packets a second.
    pub start: f64,
    /// Highest loss that still counts as delivered, 0 to 1.
    pub max_loss: f64,
    pub step: Duration,
    pub measure: Duration,
    /// When to stop looking and take what was found.
    pub time: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The trial at the highest rate that held.
    pub best: Trial,
    /// False when not even the last, lowered rate held.
    pub held: bool,
    /// True when the generator, not the server, was at its end.
    pub generator_limited: bool,
    pub trials: usize,
}

const GROWTH: f64 = 1.5;
const MAX_GROWTH_STEPS: usize = 16;
const MAX_NARROWING_STEPS: usize = 7;
const MAX_CONFIRMATIONS: usize = 6;
const MAX_ASKED: usize = 4;
const CLOSE_ENOUGH: f64 = 1.02;
/// After a confirmation that failed: what was delivered tells how far to go back, within these bounds.
const LEAST_BACK_OFF: f64 = 0.975;
const MOST_BACK_OFF: f64 = 0.7;

pub fn search(traffic: &mut Traffic, limits: Limits) -> io::Result<Found> {
    let mut search = Search {
        traffic,
        limits,
        trials: 0,
        deadline: Instant::now() + limits.time,
    };
    search.run()
}

struct Search<'s, 'a> {
    traffic: &'s mut Traffic<'a>,
    limits: Limits,
    trials: usize,
    deadline: Instant,
}

impl Search<'_, '_> {
    fn run(&mut self) -> io::Result<Found> {
        let (mut low, mut high, mut generator_limited) = self.bracket()?;
        for _ in 0..MAX_NARROWING_STEPS {
            if high / low < CLOSE_ENOUGH || self.is_late() {
                break;
            }
            let middle = (low * high).sqrt();
            match self.holds(middle)? {
                true => low = middle,
                false => high = middle,
            }
        }
        let best = self.confirm(low)?;
        generator_limited |= best.fell_short();
        Ok(Found {
            held: best.loss < self.limits.max_loss,
            best,
            generator_limited,
            trials: self.trials,
        })
    }

    /// The long trial whose figures count, at this rate or, where that does not hold, below it.
    fn confirm(&mut self, mut rate: f64) -> io::Result<Trial> {
        let mut best: Option<Trial> = None;
        for _ in 0..MAX_CONFIRMATIONS {
            let trial = self.trial(rate, self.limits.measure)?;
            let held = trial.loss < self.limits.max_loss;
            if held && (!trial.disturbed() || trial.sent_pps > rate * 0.97) {
                return Ok(trial);
            }
            // A disturbed trial tells little of where to go.
            let target = if trial.disturbed() { rate } else { trial.delivered_pps };
            rate = target.clamp(rate * MOST_BACK_OFF, rate * LEAST_BACK_OFF);
            let rank = |trial: &Trial| (trial.loss < self.limits.max_loss, trial.delivered_pps);
            if best.as_ref().is_none_or(|best| rank(&trial) > rank(best)) {
                best = Some(trial);
            }
        }
        best.ok_or_else(|| io::Error::other("no confirmation was made"))
    }

    /// A rate that holds and a higher one that does not; true when the higher is the generator's own limit.
    fn bracket(&mut self) -> io::Result<(f64, f64, bool)> {
        let mut rate = self.limits.start;
        if !self.holds(rate)? {
            for _ in 0..MAX_GROWTH_STEPS {
                let lower = rate / GROWTH;
                if self.holds(lower)? {
                    return Ok((lower, rate, false));
                }
                rate = lower;
            }
            return Ok((rate / GROWTH, rate, false));
        }
        for _ in 0..MAX_GROWTH_STEPS {
            let higher = rate * GROWTH;
            let trial = self.trial(higher, self.limits.step)?;
            if trial.loss >= self.limits.max_loss {
                if !self.holds(higher)? {
                    return Ok((rate, higher, false));
                }
            } else if trial.fell_short() {
                let reached = trial.sent_pps.max(rate);
                return Ok((reached, reached, true));
            }
            rate = higher;
        }
        Ok((rate, rate, true))
    }

    /// Whether the server delivers at this rate. A bad trial may be the machine's fault, so it is asked again: once, or
    /// more often where the machine was seen to do other things.
    fn holds(&mut self, rate: f64) -> io::Result<bool> {
        let mut failures = 0;
        for _ in 0..MAX_ASKED {
            let trial = self.trial(rate, self.limits.step)?;
            if trial.loss < self.limits.max_loss {
                return Ok(true);
            }
            failures += if trial.disturbed() { 1 } else { 2 };
            if failures >= 4 || self.is_late() {
                break;
            }
        }
        Ok(false)
    }

    fn is_late(&self) -> bool {
        Instant::now() > self.deadline
    }

    fn trial(&mut self, rate: f64, measure: Duration) -> io::Result<Trial> {
        self.trials += 1;
        self.traffic.run(Plan {
            rate: Some(rate),
            warmup: self.limits.step / 4,
            measure,
            patience: Duration::from_secs_f64(PATIENCE),
        })
    }
}
