//! Datagrams of the mesh: sealed with AES-256-GCM for one receiver. The format is the one of `src/mesh/seal.ts`.

use std::ops::Range;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The first byte: outside of what STUN, ChannelData, DTLS and RTP begin with (RFC 7983 section 7).
const VERSION: u8 = 0xc1;
pub const HEADER: usize = 16;
pub const TAG: usize = 16;
const SENDER: usize = 5;
pub const INSTANCE: usize = 16;
pub const KEY: usize = 32;

/// Which process a relay is.
pub type Instance = [u8; INSTANCE];
/// How a relay is named in what it seals: the beginning of its instance.
pub type Sender = [u8; SENDER];

pub fn sender_name(instance: &Instance) -> Sender {
    std::array::from_fn(|i| instance[i])
}

/// What one relay seals with under one secret of the fleet.
pub struct SealKey {
    /// Tells the secrets of a fleet apart; two may have the same.
    pub id: u8,
    key: LessSafeKey,
}

impl SealKey {
    pub fn new(id: u8, bytes: &[u8; KEY]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?);
        Some(Self { id, key })
    }
}

/// What stands before the sealed part, in the clear but authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub key_id: u8,
    /// Counters are each worker's own.
    pub worker: u8,
    pub sender: Sender,
    pub counter: u64,
}

impl Header {
    /// None for what is not of this version, or too short to hold anything.
    pub fn read(datagram: &[u8]) -> Option<Self> {
        if datagram.len() <= HEADER + TAG || datagram[0] != VERSION {
            return None;
        }
        let bytes = datagram.first_chunk::<HEADER>()?;
        Some(Self {
            key_id: bytes[1],
            worker: bytes[2],
            sender: std::array::from_fn(|i| bytes[3 + i]),
            counter: u64::from_be_bytes(std::array::from_fn(|i| bytes[8 + i])),
        })
    }

    fn write(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..3].copy_from_slice(&[VERSION, self.key_id, self.worker]);
        bytes[3..8].copy_from_slice(&self.sender);
        bytes[8..].copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }

    /// The worker in four bytes, then the counter.
    fn nonce(self) -> Nonce {
        let mut bytes = [0; 12];
        bytes[3] = self.worker;
        bytes[4..].copy_from_slice(&self.counter.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    }
}

fn associated(header: [u8; HEADER], receiver: &Instance) -> Aad<[u8; HEADER + INSTANCE]> {
    let mut bytes = [0; HEADER + INSTANCE];
    bytes[..HEADER].copy_from_slice(&header);
    bytes[HEADER..].copy_from_slice(receiver);
    Aad::from(bytes)
}

/// Appends one sealed datagram. The header's worker and counter are never to be the same twice with a key. False, and
/// nothing is appended, for more than can be sealed.
pub fn seal(out: &mut Vec<u8>, key: &SealKey, receiver: &Instance, header: Header, parts: &[&[u8]]) -> bool {
    let start = out.len();
    let written = header.write();
    out.extend_from_slice(&written);
    for part in parts {
        out.extend_from_slice(part);
    }
    let sealed = key.key.seal_in_place_separate_tag(
        header.nonce(),
        associated(written, receiver),
        &mut out[start + HEADER..],
    );
    match sealed {
        Ok(tag) => out.extend_from_slice(tag.as_ref()),
        Err(_) => out.truncate(start),
    }
    out.len() > start
}

/// Opens a datagram where it lies, and returns where in it the contents are. None when it was not sealed with this key, or
/// not for this receiver; its contents are void then.
pub fn open(datagram: &mut [u8], header: Header, key: &SealKey, receiver: &Instance) -> Option<Range<usize>> {
    let associated = associated(header.write(), receiver);
    let contents = key
        .key
        .open_in_place(header.nonce(), associated, datagram.get_mut(HEADER..)?)
        .ok()?;
    Some(HEADER..HEADER + contents.len())
}

const WORD: u64 = 64;
const WORDS: usize = 32;
/// How far below the highest counter one may be and still be told from one that was taken.
const REACH: u64 = WORD * (WORDS as u64 - 1);

/// Which counters of one sender were taken already (RFC 6479): the highest, and about two thousand below it.
#[derive(Default)]
pub struct Window {
    highest: Option<u64>,
    bits: [u64; WORDS],
}

impl Window {
    /// False for a counter that was taken, or is too far back to tell.
    pub fn is_fresh(&self, counter: u64) -> bool {
        match self.highest {
            Some(highest) if counter <= highest => {
                highest - counter < REACH && self.bits[word_of(counter)] & mask_of(counter) == 0
            }
            _ => true,
        }
    }

    /// Takes a fresh counter, once its datagram has proven authentic.
    pub fn take(&mut self, counter: u64) {
        let highest = self.highest.unwrap_or(0);
        if counter > highest || self.highest.is_none() {
            let (from, to) = (highest / WORD, counter / WORD);
            if to - from >= WORDS as u64 {
                self.bits = [0; WORDS];
            } else {
                for word in from + 1..=to {
                    self.bits[(word % WORDS as u64) as usize] = 0;
                }
            }
            self.highest = Some(counter);
        }
        self.bits[word_of(counter)] |= mask_of(counter);
    }
}

fn word_of(counter: u64) -> usize {
    (counter / WORD % WORDS as u64) as usize
}

fn mask_of(counter: u64) -> u64 {
    1 << (counter % WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Instance = *b"sixteen bytes! 1";
    const TO: Instance = *b"sixteen bytes! 2";
    const HEADER_OF: Header = Header {
        key_id: 7,
        worker: 2,
        sender: *b"sixte",
        counter: 0x0102_0304_0506_0708,
    };

    fn sealed() -> (SealKey, Vec<u8>) {
        let key = SealKey::new(7, &[9; KEY]).unwrap();
        let mut out = b"before".to_vec();
        assert!(seal(&mut out, &key, &TO, HEADER_OF, &[b"hello ", b"world"]));
        (key, out.split_off(6))
    }

    #[test]
    fn opens_for_its_receiver_alone() {
        assert_eq!(sender_name(&FROM), HEADER_OF.sender);
        let (key, datagram) = sealed();
        assert_eq!(datagram.len(), HEADER + 11 + TAG);
        let header = Header::read(&datagram).unwrap();
        assert_eq!(header, HEADER_OF);
        let mut copy = datagram.clone();
        let at = open(&mut copy, header, &key, &TO).unwrap();
        assert_eq!(&copy[at], b"hello world");
        assert_eq!(open(&mut datagram.clone(), header, &key, &FROM), None);
        let other = SealKey::new(7, &[8; KEY]).unwrap();
        assert_eq!(open(&mut datagram.clone(), header, &other, &TO), None);
    }

    #[test]
    fn nothing_of_it_can_be_another_or_be_missing() {
        let (key, datagram) = sealed();
        for bit in 0..8 * datagram.len() {
            let mut damaged = datagram.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Some(header) = Header::read(&damaged) {
                assert_eq!(open(&mut damaged, header, &key, &TO), None);
            }
        }
        for length in 0..datagram.len() {
            let mut cut = datagram[..length].to_vec();
            if let Some(header) = Header::read(&cut) {
                assert_eq!(open(&mut cut, header, &key, &TO), None);
            }
        }
    }

    #[test]
    fn the_window_takes_each_counter_once() {
        let mut window = Window::default();
        let mut taken = std::collections::HashSet::new();
        let mut state = 1u64;
        let mut top = 0;
        for _ in 0..100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let base = top + state % 3000;
            let counter = base.saturating_sub((state >> 32) % 3000);
            let fresh = window.is_fresh(counter);
            assert!(!(fresh && taken.contains(&counter)));
            assert!(fresh || taken.contains(&counter) || top - counter >= 1024);
            if fresh {
                window.take(counter);
                taken.insert(counter);
                top = top.max(counter);
            }
        }
        window.take(u64::MAX);
        assert!(!window.is_fresh(u64::MAX) && !window.is_fresh(top) && window.is_fresh(u64::MAX - 1));
    }
}
