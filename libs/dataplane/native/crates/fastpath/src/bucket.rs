/// A token bucket that holds one second's worth of bytes. It lends: what is asked for while anything is left passes and is
/// paid back first, so that a datagram larger than the bucket passes too and the rate still holds.
#[derive(Debug)]
pub struct Bucket {
    rate: f64,
    tokens: f64,
    at: f64,
}

impl Bucket {
    /// `rate` in bytes per second, `now` in ms.
    pub fn new(rate: f64, now: f64) -> Self {
        Self {
            rate,
            tokens: rate,
            at: now,
        }
    }

    /// Changes the rate and keeps what is spent as spent.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
        self.tokens = self.tokens.min(rate);
    }

    pub fn take(&mut self, bytes: usize, now: f64) -> bool {
        if now > self.at {
            self.tokens = self.rate.min(self.tokens + (now - self.at) * self.rate / 1000.0);
            self.at = now;
        }
        if self.tokens <= 0.0 {
            return false;
        }
        self.tokens -= bytes as f64;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_and_is_paid_back() {
        let mut bucket = Bucket::new(1000.0, 0.0);
        assert!(bucket.take(3000, 0.0));
        assert!(!bucket.take(1, 2000.0));
        assert!(bucket.take(1, 2001.0));
    }

    #[test]
    fn a_new_rate_gives_nothing_back() {
        let mut bucket = Bucket::new(1000.0, 0.0);
        assert!(bucket.take(1000, 0.0));
        bucket.set_rate(5000.0);
        assert!(!bucket.take(1, 0.0));
        assert!(bucket.take(5000, 1000.0));
        assert!(!bucket.take(1, 1000.0));
    }
}
