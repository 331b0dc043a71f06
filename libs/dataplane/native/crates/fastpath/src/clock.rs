//! The clock of the control loop, read without asking it.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the Unix epoch: CLOCK_MONOTONIC and what lies between it and the control loop's clock.
pub struct Clock {
    /// Of a running clock the difference, of a stepped one the time itself. Bits of an f64.
    value: AtomicU64,
    stepped: bool,
}

impl Clock {
    /// A stepped clock stands still until it is set.
    pub fn new(stepped: bool, now: f64) -> Self {
        let clock = Self {
            value: AtomicU64::new(0),
            stepped,
        };
        clock.set(now);
        clock
    }

    pub fn set(&self, now: f64) {
        let value = if self.stepped { now } else { now - monotonic() };
        self.value.store(value.to_bits(), Ordering::Relaxed);
    }

    pub fn now(&self) -> f64 {
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        if self.stepped { value } else { value + monotonic() }
    }
}

fn monotonic() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
