//! The messages that are read and written here: ChannelData, Send and Data indications, Binding (RFC 8489, RFC 8656).
//! Reads exactly what `libs/stun` reads; what is anything but plain is left to it.

use std::ops::Range;

use crate::addr::{Addr, Ip};

pub const CHANNEL_HEADER: usize = 4;
const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = 0x2112_a442u32.to_be_bytes();
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const SEND_INDICATION: u16 = 0x0016;
const DATA_INDICATION: u16 = 0x0017;

const XOR_PEER_ADDRESS: u16 = 0x0012;
const DATA: u16 = 0x0013;
const DONT_FRAGMENT: u16 = 0x001a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const SOFTWARE: u16 = 0x8022;
const FINGERPRINT: u16 = 0x8028;

const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;

/// Most bytes before the data of a Data indication.
pub const MAX_DATA_HEADER: usize = HEADER + 4 + 20 + 4;
/// The most that fits into a Data indication with an IPv6 address: its length field counts 65,532 bytes at most.
pub const MAX_DATA: usize = 0xfffc - 24 - 4;
/// Most bytes of an answer to a Binding request.
pub const MAX_BINDING_RESPONSE: usize = HEADER + 4 + 20 + 8;

pub type TransactionId = [u8; 12];

/// Whether bytes begin as ChannelData does (RFC 7983 section 7): with 0x40 to 0x7F.
pub fn begins_as_channel_data(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| (0x40..=0x7f).contains(first))
}

/// The channel number, and where the data is. None when the length claims more than there is.
pub fn read_channel_data(bytes: &[u8]) -> Option<(u16, Range<usize>)> {
    let header = bytes.first_chunk::<CHANNEL_HEADER>()?;
    let end = CHANNEL_HEADER + usize::from(u16::from_be_bytes([header[2], header[3]]));
    (end <= bytes.len()).then(|| (u16::from_be_bytes([header[0], header[1]]), CHANNEL_HEADER..end))
}

pub fn channel_header(channel: u16, length: usize) -> [u8; CHANNEL_HEADER] {
    let [channel, length] = [channel.to_be_bytes(), (length as u16).to_be_bytes()];
    [channel[0], channel[1], length[0], length[1]]
}

/// Whether bytes have the shape of a STUN message; RFC 3489's have no magic cookie.
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER
        && usize::from(u16_at(bytes, 2)) == bytes.len() - HEADER
        && bytes.len() & 3 == 0
        && bytes[0] <= 3
}

/// Whether bytes have the shape of a STUN request, of any method.
pub fn is_request(bytes: &[u8]) -> bool {
    is_stun(bytes) && bytes[0] & 1 == 0 && bytes[1] & 0x10 == 0
}

/// A plain Send indication.
#[derive(PartialEq, Eq, Debug)]
pub struct SendIndication {
    pub peer: Addr,
    /// Where in the message the data is.
    pub data: Range<usize>,
    pub dont_fragment: bool,
}

/// Reads a plain Send indication out of what `is_stun`. None for everything else, which includes Send indications with
/// comprehension-required attributes other than XOR-PEER-ADDRESS, DATA and DONT-FRAGMENT.
pub fn read_send_indication(bytes: &[u8]) -> Option<SendIndication> {
    if u16_at(bytes, 0) != SEND_INDICATION || !has_cookie(bytes) {
        return None;
    }
    let mut peer = None;
    let mut data = None;
    let mut dont_fragment = false;
    let mut at = HEADER;
    while at < bytes.len() {
        let attribute = Attribute::read(bytes, at)?;
        match attribute.kind {
            XOR_PEER_ADDRESS if peer.is_none() => peer = Some(read_xor_address(bytes, attribute.value)?),
            XOR_PEER_ADDRESS => {}
            DATA => data = data.or(Some(attribute.value)),
            DONT_FRAGMENT if attribute.value.is_empty() => dont_fragment = true,
            DONT_FRAGMENT => return None,
            FINGERPRINT if is_right_fingerprint(bytes, at, &attribute) => {}
            FINGERPRINT => return None,
            kind if is_comprehension_required(kind) => return None,
            _ => {}
        }
        at = attribute.next;
    }
    Some(SendIndication {
        peer: peer?,
        data: data?,
        dont_fragment,
    })
}

/// Writes what comes before the data of a Data indication (RFC 8656 section 11.3), and returns how much that is. After the
/// data belong `padding(length)` zero bytes.
pub fn write_data_header(out: &mut [u8; MAX_DATA_HEADER], peer: Addr, length: usize, id: &TransactionId) -> usize {
    let address = if peer.ip.is_v6() { 20 } else { 8 };
    let total = 4 + address + 4 + length + padding(length);
    put_header(out, DATA_INDICATION, total, id);
    put_xor_address(out, HEADER, XOR_PEER_ADDRESS, peer);
    let at = HEADER + 4 + address;
    put_u16(out, at, DATA);
    put_u16(out, at + 2, length as u16);
    at + 4
}

/// How many bytes a value of this length is padded with.
pub fn padding(length: usize) -> usize {
    length.wrapping_neg() & 3
}

/// Of what `is_stun`, or begins as ChannelData.
pub fn is_binding_request(bytes: &[u8]) -> bool {
    bytes.starts_with(&BINDING_REQUEST.to_be_bytes())
}

/// Answers a Binding request that has nothing in it but SOFTWARE and a right FINGERPRINT, and returns the length. None for
/// everything else. `bytes` are to be what `is_stun`.
pub fn answer_binding(bytes: &[u8], from: Addr, out: &mut [u8; MAX_BINDING_RESPONSE]) -> Option<usize> {
    if u16_at(bytes, 0) != BINDING_REQUEST || !has_cookie(bytes) {
        return None;
    }
    let mut fingerprint = false;
    let mut at = HEADER;
    while at < bytes.len() {
        let attribute = Attribute::read(bytes, at)?;
        match attribute.kind {
            SOFTWARE => {}
            FINGERPRINT if is_right_fingerprint(bytes, at, &attribute) => fingerprint = true,
            _ => return None,
        }
        at = attribute.next;
    }
    let address = if from.ip.is_v6() { 20 } else { 8 };
    let mut id = [0; 12];
    id.copy_from_slice(&bytes[8..HEADER]);
    let end = HEADER + 4 + address;
    put_header(out, BINDING_SUCCESS, 4 + address + if fingerprint { 8 } else { 0 }, &id);
    put_xor_address(out, HEADER, XOR_MAPPED_ADDRESS, from);
    if !fingerprint {
        return Some(end);
    }
    put_u16(out, end, FINGERPRINT);
    put_u16(out, end + 2, 4);
    let value = fingerprint_of(&out[..end]);
    out[end + 4..end + 8].copy_from_slice(&value.to_be_bytes());
    Some(end + 8)
}

struct Attribute {
    kind: u16,
    value: Range<usize>,
    next: usize,
}

impl Attribute {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let header = bytes.get(at..)?.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let start = at + 4;
        let next = start + length + padding(length);
        (next <= bytes.len()).then(|| Self {
            kind: u16::from_be_bytes([header[0], header[1]]),
            value: start..start + length,
            next,
        })
    }
}

fn is_comprehension_required(kind: u16) -> bool {
    kind < 0x8000
}

fn is_right_fingerprint(bytes: &[u8], at: usize, attribute: &Attribute) -> bool {
    attribute.next == bytes.len() && bytes[attribute.value.clone()] == fingerprint_of(&bytes[..at]).to_be_bytes()
}

/// Of the message up to the attribute; the length field is to include it already.
fn fingerprint_of(before: &[u8]) -> u32 {
    crc32fast::hash(before) ^ FINGERPRINT_XOR
}

fn has_cookie(bytes: &[u8]) -> bool {
    bytes[4..8] == MAGIC_COOKIE
}

fn read_xor_address(bytes: &[u8], value: Range<usize>) -> Option<Addr> {
    let key = bytes.get(4..HEADER)?;
    let value = &bytes[value];
    let (family, port) = (*value.get(1)?, value.get(2..4)?);
    let port = u16::from_be_bytes([port[0] ^ key[0], port[1] ^ key[1]]);
    let ip = match (family, value.len()) {
        (FAMILY_V4, 8) => Ip::v4(std::array::from_fn(|i| value[4 + i] ^ key[i])),
        (FAMILY_V6, 20) => Ip::v6(std::array::from_fn(|i| value[4 + i] ^ key[i])),
        _ => return None,
    };
    Some(Addr::new(ip, port))
}

fn put_header(out: &mut [u8], kind: u16, length: usize, id: &TransactionId) {
    put_u16(out, 0, kind);
    put_u16(out, 2, length as u16);
    out[4..8].copy_from_slice(&MAGIC_COOKIE);
    out[8..HEADER].copy_from_slice(id);
}

fn put_xor_address(out: &mut [u8], at: usize, kind: u16, addr: Addr) {
    let mut key = [0; 16];
    key.copy_from_slice(&out[4..HEADER]);
    put_u16(out, at, kind);
    out[at + 4] = 0;
    let port = addr.port.to_be_bytes();
    out[at + 6] = port[0] ^ key[0];
    out[at + 7] = port[1] ^ key[1];
    let octets: &[u8] = if addr.ip.is_v6() {
        &addr.ip.v6_octets()
    } else {
        &addr.ip.v4_octets()
    };
    put_u16(out, at + 2, 4 + octets.len() as u16);
    out[at + 5] = if addr.ip.is_v6() { FAMILY_V6 } else { FAMILY_V4 };
    for (i, octet) in octets.iter().enumerate() {
        out[at + 8 + i] = octet ^ key[i];
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put_u16(out: &mut [u8], at: usize, value: u16) {
    out[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = *b"twelve bytes";

    fn peer4() -> Addr {
        Addr::new(Ip::v4([192, 0, 2, 1]), 32853)
    }

    fn peer6() -> Addr {
        Addr::new(Ip::v6(std::array::from_fn(|i| i as u8 * 17)), 32853)
    }

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for (kind, value) in attributes {
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len() + padding(value.len()), 0);
        }
        let length = bytes.len() - HEADER;
        put_header(&mut bytes, kind, length, &ID);
        bytes
    }

    fn xor_address(addr: Addr) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + 24];
        put_header(&mut bytes, 0, 0, &ID);
        put_xor_address(&mut bytes, HEADER, XOR_PEER_ADDRESS, addr);
        let end = if addr.ip.is_v6() { 24 } else { 12 };
        bytes[HEADER + 4..HEADER + end].to_vec()
    }

    fn with_fingerprint(mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len() - HEADER + 8;
        put_u16(&mut bytes, 2, length as u16);
        let value = fingerprint_of(&bytes);
        bytes.extend_from_slice(&[0x80, 0x28, 0, 4]);
        bytes.extend_from_slice(&value.to_be_bytes());
        bytes
    }

    #[test]
    fn reads_a_send_indication_of_either_family() {
        for peer in [peer4(), peer6()] {
            let bytes = message(
                SEND_INDICATION,
                &[(XOR_PEER_ADDRESS, &xor_address(peer)), (DATA, b"hello")],
            );
            assert!(is_stun(&bytes));
            let indication = read_send_indication(&bytes).unwrap();
            assert_eq!((indication.peer, indication.dont_fragment), (peer, false));
            assert_eq!(&bytes[indication.data], b"hello");
        }
    }

    #[test]
    fn takes_dont_fragment_a_right_fingerprint_and_what_may_be_ignored() {
        let plain = message(
            SEND_INDICATION,
            &[
                (DONT_FRAGMENT, b""),
                (XOR_PEER_ADDRESS, &xor_address(peer4())),
                (SOFTWARE, b"x"),
                (DATA, b""),
            ],
        );
        assert!(read_send_indication(&plain).unwrap().dont_fragment);
        let mut signed = with_fingerprint(plain);
        assert!(read_send_indication(&signed).is_some());
        *signed.last_mut().unwrap() ^= 1;
        assert_eq!(read_send_indication(&signed), None);
    }

    #[test]
    fn leaves_what_is_not_plain() {
        let peer = xor_address(peer4());
        let all: [&[(u16, &[u8])]; 6] = [
            &[(DATA, b"no peer")],
            &[(XOR_PEER_ADDRESS, &peer)],
            &[(XOR_PEER_ADDRESS, &peer), (DATA, b"x"), (0x7777, b"")],
            &[(XOR_PEER_ADDRESS, &peer), (DATA, b"x"), (DONT_FRAGMENT, b"1234")],
            &[(XOR_PEER_ADDRESS, &peer[..7]), (DATA, b"x")],
            &[(XOR_PEER_ADDRESS, b""), (DATA, b"x")],
        ];
        for attributes in all {
            assert_eq!(read_send_indication(&message(SEND_INDICATION, attributes)), None);
        }
        let binding = message(BINDING_REQUEST, &[(XOR_PEER_ADDRESS, &peer), (DATA, b"x")]);
        assert_eq!(read_send_indication(&binding), None);
    }

    #[test]
    fn no_length_reads_beyond_the_message() {
        let whole = message(
            SEND_INDICATION,
            &[(XOR_PEER_ADDRESS, &xor_address(peer6())), (DATA, b"12345")],
        );
        for at in HEADER..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = read_send_indication(&bytes);
                let _ = answer_binding(&bytes, peer4(), &mut [0; MAX_BINDING_RESPONSE]);
            }
        }
    }

    #[test]
    fn writes_a_data_indication() {
        for peer in [peer4(), peer6()] {
            let mut header = [0; MAX_DATA_HEADER];
            let length = write_data_header(&mut header, peer, 5, &ID);
            let mut bytes = header[..length].to_vec();
            bytes.extend_from_slice(b"hello\0\0\0");
            let expected = message(
                DATA_INDICATION,
                &[(XOR_PEER_ADDRESS, &xor_address(peer)), (DATA, b"hello")],
            );
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn answers_a_plain_binding_request_only() {
        let mut out = [0; MAX_BINDING_RESPONSE];
        let length = answer_binding(&message(BINDING_REQUEST, &[]), peer4(), &mut out).unwrap();
        let expected = message(BINDING_SUCCESS, &[(XOR_MAPPED_ADDRESS, &xor_address(peer4()))]);
        assert_eq!(out[..length], expected);

        let request = with_fingerprint(message(BINDING_REQUEST, &[(SOFTWARE, b"test")]));
        let length = answer_binding(&request, peer6(), &mut out).unwrap();
        let expected = with_fingerprint(message(BINDING_SUCCESS, &[(XOR_MAPPED_ADDRESS, &xor_address(peer6()))]));
        assert_eq!(out[..length], expected);

        let username = message(BINDING_REQUEST, &[(0x0006, b"user")]);
        assert_eq!(answer_binding(&username, peer4(), &mut out), None);
        let mut legacy = message(BINDING_REQUEST, &[]);
        legacy[4] = 0;
        assert_eq!(answer_binding(&legacy, peer4(), &mut out), None);
    }

    #[test]
    fn channel_data_may_have_padding_but_not_lack_data() {
        assert_eq!(read_channel_data(b"\x40\x01\0\x02abc"), Some((0x4001, 4..6)));
        assert_eq!(read_channel_data(b"\x40\x01\0\x02a"), None);
        assert_eq!(read_channel_data(b"\x40\x01\0"), None);
        assert_eq!(channel_header(0x4abc, 258), [0x4a, 0xbc, 1, 2]);
    }
}
