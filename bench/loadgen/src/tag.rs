//! What each test packet says of itself: which trial, flow and place in it, and when it was sent.

use crate::stun::TransactionId;

const LEN: usize = 12;
/// Bytes before the body: the tag and its check.
pub const HEAD: usize = LEN + 4;

/// A transaction ID long, so that a Binding request carries it too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag {
    pub trial: u16,
    pub flow: u16,
    pub sequence: u32,
    /// Since the generator's start, in units of 100 ns; wraps after seven minutes.
    pub sent: u32,
}

impl Tag {
    pub fn to_bytes(self) -> TransactionId {
        let mut bytes = [0; LEN];
        bytes[..2].copy_from_slice(&self.trial.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.flow.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sent.to_be_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &TransactionId) -> Self {
        let [t0, t1, f0, f1, q0, q1, q2, q3, s0, s1, s2, s3] = *bytes;
        Self {
            trial: u16::from_be_bytes([t0, t1]),
            flow: u16::from_be_bytes([f0, f1]),
            sequence: u32::from_be_bytes([q0, q1, q2, q3]),
            sent: u32::from_be_bytes([s0, s1, s2, s3]),
        }
    }
}

/// Payloads of one size: a tag, a check of it, and a body that follows from the sequence number.
pub struct Payload {
    pattern: Vec<u8>,
    body: usize,
}

const PHASES: usize = 64;

impl Payload {
    /// `size` is the whole payload, at least `HEAD`.
    pub fn new(size: usize) -> Self {
        let body = size - HEAD;
        let pattern = (0..body + PHASES)
            .map(|index| (index * 31 + index / 256 + 7) as u8)
            .collect();
        Self { pattern, body }
    }

    pub fn len(&self) -> usize {
        HEAD + self.body
    }

    pub fn write(&self, tag: Tag, buffer: &mut [u8]) {
        buffer[..LEN].copy_from_slice(&tag.to_bytes());
        buffer[LEN..HEAD].copy_from_slice(&check(tag).to_be_bytes());
        buffer[HEAD..self.len()].copy_from_slice(self.body_of(tag));
    }

    /// The tag, when every byte is as it was written.
    pub fn read(&self, bytes: &[u8]) -> Option<Tag> {
        let (head, body) = bytes.split_first_chunk::<HEAD>()?;
        let tag = Tag::from_bytes(head.first_chunk::<LEN>()?);
        let whole = head[LEN..] == check(tag).to_be_bytes() && body == self.body_of(tag);
        whole.then_some(tag)
    }

    fn body_of(&self, tag: Tag) -> &[u8] {
        &self.pattern[tag.sequence as usize % PHASES..][..self.body]
    }
}

fn check(tag: Tag) -> u32 {
    let high = u64::from(tag.trial) << 48 | u64::from(tag.flow) << 32 | u64::from(tag.sequence);
    let mixed = (high ^ u64::from(tag.sent).rotate_left(17)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

/// Which packets of one flow have come: a window of the last 64 before the highest.
#[derive(Clone, Default)]
pub struct Sequence {
    /// One more than the highest that came.
    next: u32,
    window: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    InOrder,
    Late,
    Duplicate,
}

impl Sequence {
    pub fn arrive(&mut self, sequence: u32) -> Arrival {
        if sequence >= self.next {
            let ahead = sequence - self.next + 1;
            self.window = if ahead < 64 { self.window << ahead | 1 } else { 1 };
            self.next = sequence + 1;
            return Arrival::InOrder;
        }
        let behind = self.next - 1 - sequence;
        if behind >= 64 {
            return Arrival::Late;
        }
        let bit = 1 << behind;
        if self.window & bit != 0 {
            return Arrival::Duplicate;
        }
        self.window |= bit;
        Arrival::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag {
        trial: 9,
        flow: 4000,
        sequence: 123_457,
        sent: 0xFEDC_BA98,
    };

    #[test]
    fn reads_what_it_writes_and_sees_every_flipped_byte() {
        let payload = Payload::new(200);
        let mut bytes = vec![0; 200];
        payload.write(TAG, &mut bytes);
        assert_eq!(payload.read(&bytes), Some(TAG));
        for index in 0..bytes.len() {
            bytes[index] ^= 0x40;
            assert_eq!(payload.read(&bytes), None, "byte {index}");
            bytes[index] ^= 0x40;
        }
        assert_eq!(payload.read(&bytes[..199]), None);
    }

    #[test]
    fn the_smallest_payload_is_a_head_alone() {
        let payload = Payload::new(HEAD);
        let mut bytes = [0; HEAD];
        payload.write(TAG, &mut bytes);
        assert_eq!(payload.read(&bytes), Some(TAG));
    }

    #[test]
    fn tells_order_lateness_and_duplicates() {
        let mut sequence = Sequence::default();
        let arrivals: Vec<Arrival> = [0, 1, 3, 2, 2, 100, 50, 50, 20]
            .into_iter()
            .map(|number| sequence.arrive(number))
            .collect();
        use Arrival::{Duplicate, InOrder, Late};
        assert_eq!(
            arrivals,
            [
                InOrder, InOrder, InOrder, Late, Duplicate, InOrder, Late, Duplicate, Late
            ]
        );
    }
}
