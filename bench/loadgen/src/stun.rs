//! As much of STUN and TURN (RFC 8489, RFC 8656) as a client under test needs: requests with long-term credentials,
//! responses, indications and ChannelData headers. IPv4 only.

use std::net::{Ipv4Addr, SocketAddrV4};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

pub const MAGIC_COOKIE: u32 = 0x2112_A442;
pub const HEADER_LEN: usize = 20;
pub const CHANNEL_HEADER_LEN: usize = 4;
const INTEGRITY_LEN: usize = 20;

pub type TransactionId = [u8; 12];

/// Message types: method and class as they stand in the first two bytes.
pub mod kind {
    pub const BINDING: u16 = 0x0001;
    pub const BINDING_SUCCESS: u16 = 0x0101;
    pub const ALLOCATE: u16 = 0x0003;
    pub const REFRESH: u16 = 0x0004;
    pub const SEND_INDICATION: u16 = 0x0016;
    pub const DATA_INDICATION: u16 = 0x0017;
    pub const CREATE_PERMISSION: u16 = 0x0008;
    pub const CHANNEL_BIND: u16 = 0x0009;

    pub fn success_of(request: u16) -> u16 {
        request | 0x0100
    }

    pub fn is_success(kind: u16) -> bool {
        kind & 0x0110 == 0x0100
    }

    pub fn is_error(kind: u16) -> bool {
        kind & 0x0110 == 0x0110
    }
}

pub mod attr {
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const CHANNEL_NUMBER: u16 = 0x000C;
    pub const LIFETIME: u16 = 0x000D;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
}

/// Writes one message; attributes in the order they are added.
pub struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    pub fn new(kind: u16, transaction: &TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&header(kind, 0, transaction));
        Self { bytes }
    }

    pub fn attribute(mut self, attribute: u16, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(&attribute.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.set_length(0);
        self
    }

    pub fn xor_address(self, attribute: u16, address: SocketAddrV4) -> Self {
        self.attribute(attribute, &xor_address(address))
    }

    /// Adds MESSAGE-INTEGRITY (RFC 8489, section 14.5) under `key`.
    pub fn integrity(mut self, key: &[u8]) -> Self {
        self.set_length(4 + INTEGRITY_LEN);
        let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(&self.bytes);
        let digest = mac.finalize().into_bytes();
        self.attribute(attr::MESSAGE_INTEGRITY, &digest)
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn set_length(&mut self, to_come: usize) {
        let length = (self.bytes.len() - HEADER_LEN + to_come) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

pub fn header(kind: u16, length: u16, transaction: &TransactionId) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[..2].copy_from_slice(&kind.to_be_bytes());
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    bytes[8..].copy_from_slice(transaction);
    bytes
}

pub fn channel_header(channel: u16, length: usize) -> [u8; CHANNEL_HEADER_LEN] {
    let [c0, c1] = channel.to_be_bytes();
    let [l0, l1] = (length as u16).to_be_bytes();
    [c0, c1, l0, l1]
}

/// Splits a datagram of ChannelData into channel number and data; None when it is none or claims more than is there.
pub fn parse_channel_data(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let (header, rest) = datagram.split_first_chunk::<CHANNEL_HEADER_LEN>()?;
    let channel = u16::from_be_bytes([header[0], header[1]]);
    let length = u16::from_be_bytes([header[2], header[3]]);
    if !(0x4000..=0x4FFF).contains(&channel) {
        return None;
    }
    Some((channel, rest.get(..usize::from(length))?))
}

/// A message that has been read: its frame is whole, its attributes are looked at on demand.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub kind: u16,
    pub transaction: TransactionId,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, attributes) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if kind & 0xC000 != 0 || header[4..8] != MAGIC_COOKIE.to_be_bytes() {
            return None;
        }
        if length != attributes.len() || length % 4 != 0 {
            return None;
        }
        let transaction = header[8..].try_into().ok()?;
        Some(Self {
            kind,
            transaction,
            attributes,
        })
    }

    /// The value of the first attribute of this type.
    pub fn get(&self, attribute: u16) -> Option<&'a [u8]> {
        let mut rest = self.attributes;
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = tail.get(..length)?;
            if u16::from_be_bytes([head[0], head[1]]) == attribute {
                return Some(value);
            }
            rest = tail.get(length.next_multiple_of(4)..)?;
        }
        None
    }

    pub fn address(&self, attribute: u16) -> Option<SocketAddrV4> {
        parse_xor_address(self.get(attribute)?)
    }

    /// ERROR-CODE as its number and reason phrase.
    pub fn error(&self) -> Option<(u16, String)> {
        let (head, reason) = self.get(attr::ERROR_CODE)?.split_first_chunk::<4>()?;
        let code = u16::from(head[2] & 7) * 100 + u16::from(head[3]);
        Some((code, String::from_utf8_lossy(reason).into_owned()))
    }
}

/// The key of the long-term credential mechanism with MD5 (RFC 8489, section 9.2.2).
pub fn long_term_key(username: &str, realm: &str, password: &str) -> [u8; 16] {
    Md5::digest(format!("{username}:{realm}:{password}")).into()
}

fn xor_address(address: SocketAddrV4) -> [u8; 8] {
    let [p0, p1] = (address.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes();
    let [a, b, c, d] = (address.ip().to_bits() ^ MAGIC_COOKIE).to_be_bytes();
    [0, 1, p0, p1, a, b, c, d]
}

fn parse_xor_address(value: &[u8]) -> Option<SocketAddrV4> {
    let &[_, 1, p0, p1, a, b, c, d] = value else {
        return None;
    };
    let port = u16::from_be_bytes([p0, p1]) ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = u32::from_be_bytes([a, b, c, d]) ^ MAGIC_COOKIE;
    Some(SocketAddrV4::new(Ipv4Addr::from_bits(ip), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn transaction(hex: &str) -> TransactionId {
        bytes(hex).try_into().unwrap()
    }

    /// RFC 5769, section 2.4: a request with long-term authentication.
    #[test]
    fn writes_the_long_term_request_of_rfc_5769() {
        let username = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
        let key = long_term_key(username, "example.org", "TheMatrIX");
        let message = Builder::new(kind::BINDING, &transaction("78ad3433c6ad72c029da412e"))
            .attribute(attr::USERNAME, username.as_bytes())
            .attribute(attr::NONCE, b"f//499k954d6OL34oL9FSTvy64sA")
            .attribute(attr::REALM, b"example.org")
            .integrity(&key)
            .finish();
        let expected = bytes(
            "00010060 2112a442 78ad3433 c6ad72c0 29da412e
             00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
             0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
             0014000b 6578616d 706c652e 6f726700
             00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666",
        );
        assert_eq!(message, expected);
    }

    /// RFC 5769, section 2.2: a response over IPv4.
    #[test]
    fn reads_the_ipv4_response_of_rfc_5769() {
        let response = bytes(
            "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
             8022000b 74657374 20766563 746f7220
             00200008 0001a147 e112a643
             00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
             80280004 c07d4c96",
        );
        let message = Message::parse(&response).unwrap();
        assert_eq!(message.kind, kind::BINDING_SUCCESS);
        assert_eq!(message.transaction, transaction("b7e7a701bc34d686fa87dfae"));
        assert_eq!(
            message.address(attr::XOR_MAPPED_ADDRESS),
            Some("192.0.2.1:32853".parse().unwrap())
        );
        assert_eq!(message.get(0x8022), Some(&b"test vector"[..]));
    }

    #[test]
    fn writes_addresses_that_it_reads() {
        let address: SocketAddrV4 = "127.2.0.9:40001".parse().unwrap();
        let message = Builder::new(kind::SEND_INDICATION, &[7; 12])
            .xor_address(attr::XOR_PEER_ADDRESS, address)
            .attribute(attr::DATA, b"abcde")
            .finish();
        let message = Message::parse(&message).unwrap();
        assert_eq!(message.address(attr::XOR_PEER_ADDRESS), Some(address));
        assert_eq!(message.get(attr::DATA), Some(&b"abcde"[..]));
    }

    #[test]
    fn reads_an_error_code() {
        let message = Builder::new(kind::ALLOCATE | 0x0110, &[1; 12])
            .attribute(attr::ERROR_CODE, b"\x00\x00\x04\x01Unauthenticated")
            .finish();
        let message = Message::parse(&message).unwrap();
        assert!(kind::is_error(message.kind));
        assert_eq!(message.error(), Some((401, "Unauthenticated".to_owned())));
    }

    #[test]
    fn reads_channel_data_and_refuses_what_claims_too_much() {
        let mut datagram = channel_header(0x4001, 3).to_vec();
        datagram.extend_from_slice(b"abc\0");
        assert_eq!(parse_channel_data(&datagram), Some((0x4001, b"abc".as_slice())));
        assert_eq!(parse_channel_data(&datagram[..6]), None);
        assert_eq!(parse_channel_data(&[0, 1, 0, 0]), None);
    }

    #[test]
    fn refuses_frames_that_are_not_whole() {
        let message = Builder::new(kind::BINDING, &[0; 12])
            .attribute(attr::DATA, b"abcd")
            .finish();
        for cut in 0..message.len() {
            assert!(Message::parse(&message[..cut]).is_none());
        }
    }
}
