//! The messages read a second time, by code that shares nothing with `stun.rs`: attributes are first cut into a list, then
//! judged. Slow and plain.

use crate::addr::{Addr, Ip};

#[derive(PartialEq, Eq, Debug)]
pub enum Kind<'a> {
    ChannelData(u16, &'a [u8]),
    Send(Send<'a>),
    /// STUN for the control loop; whether it is a plain Binding request, and then whether it has a FINGERPRINT.
    Other(Option<bool>),
    Malformed,
}

#[derive(PartialEq, Eq, Debug)]
pub struct Send<'a> {
    pub peer: Addr,
    pub data: &'a [u8],
    pub dont_fragment: bool,
}

struct Attribute<'a> {
    kind: u16,
    value: &'a [u8],
    /// Of the first byte of its header.
    at: usize,
}

pub fn read(bytes: &[u8]) -> Kind<'_> {
    match bytes {
        [0x40..=0x7f, ..] => channel_data(bytes),
        [0..=3, _, high, low, ..] if bytes.len() >= 20 => {
            let length = usize::from(*high) * 256 + usize::from(*low);
            if length + 20 == bytes.len() && length % 4 == 0 {
                stun(bytes)
            } else {
                Kind::Malformed
            }
        }
        _ => Kind::Malformed,
    }
}

fn channel_data(bytes: &[u8]) -> Kind<'_> {
    let [a, b, c, d, rest @ ..] = bytes else {
        return Kind::Malformed;
    };
    let length = usize::from(*c) * 256 + usize::from(*d);
    if length > rest.len() {
        return Kind::Malformed;
    }
    Kind::ChannelData(u16::from(*a) * 256 + u16::from(*b), &rest[..length])
}

fn stun(bytes: &[u8]) -> Kind<'_> {
    let Some(attributes) = attributes(bytes) else {
        return Kind::Other(None);
    };
    let has_cookie = bytes[4] == 0x21 && bytes[5] == 0x12 && bytes[6] == 0xa4 && bytes[7] == 0x42;
    if !has_cookie
        || attributes
            .iter()
            .any(|one| one.kind == 0x8028 && !fingerprint(bytes, one))
    {
        return Kind::Other(None);
    }
    match (bytes[0], bytes[1]) {
        (0, 0x01) => {
            let plain = attributes.iter().all(|one| matches!(one.kind, 0x8022 | 0x8028));
            Kind::Other(plain.then(|| attributes.iter().any(|one| one.kind == 0x8028)))
        }
        (0, 0x16) => send(bytes, &attributes).map_or(Kind::Other(None), Kind::Send),
        _ => Kind::Other(None),
    }
}

fn send<'a>(bytes: &[u8], attributes: &[Attribute<'a>]) -> Option<Send<'a>> {
    let first = |kind| attributes.iter().find(|one| one.kind == kind);
    let understood = |one: &Attribute<'_>| one.kind >= 0x8000 || matches!(one.kind, 0x12 | 0x13 | 0x1a);
    let dont_fragment: Vec<_> = attributes.iter().filter(|one| one.kind == 0x1a).collect();
    if !attributes.iter().all(understood) || dont_fragment.iter().any(|one| !one.value.is_empty()) {
        return None;
    }
    Some(Send {
        peer: xor_address(bytes, first(0x12)?.value)?,
        data: first(0x13)?.value,
        dont_fragment: !dont_fragment.is_empty(),
    })
}

/// None when one of them, or its padding, leads beyond the end.
fn attributes(bytes: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut found = Vec::new();
    let mut at = 20;
    while at < bytes.len() {
        let header = bytes.get(at..at + 4)?;
        let length = usize::from(header[2]) * 256 + usize::from(header[3]);
        let value = bytes.get(at + 4..at + 4 + length)?;
        let kind = u16::from(header[0]) * 256 + u16::from(header[1]);
        found.push(Attribute { kind, value, at });
        at += 4 + length.div_ceil(4) * 4;
    }
    (at == bytes.len()).then_some(found)
}

fn fingerprint(bytes: &[u8], attribute: &Attribute<'_>) -> bool {
    let value = crc32(&bytes[..attribute.at]) ^ 0x5354_554e;
    attribute.at + 8 == bytes.len() && attribute.value == value.to_be_bytes()
}

pub fn xor_address(bytes: &[u8], value: &[u8]) -> Option<Addr> {
    let plain: Vec<u8> = value.iter().skip(4).zip(&bytes[4..20]).map(|(a, b)| a ^ b).collect();
    let port = u16::from_be_bytes([*value.get(2)?, *value.get(3)?]) ^ 0x2112;
    match (value[1], value.len()) {
        (1, 8) => Some(Addr::new(Ip::v4(plain.try_into().ok()?), port)),
        (2, 20) => Some(Addr::new(Ip::v6(plain.try_into().ok()?), port)),
        _ => None,
    }
}

/// CRC-32 (ITU-T V.42), bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

/// Puts right what random changes break: the length, the magic cookie, and the FINGERPRINT when there is room for it.
pub fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() < 20 || bytes[0] > 3 {
        return bytes;
    }
    bytes.truncate(bytes.len() & !3);
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    let end = bytes.len();
    if end >= 28 && bytes[end - 8..end - 4] == [0x80, 0x28, 0, 4] {
        let value = crc32(&bytes[..end - 8]) ^ 0x5354_554e;
        bytes[end - 4..].copy_from_slice(&value.to_be_bytes());
    }
    bytes
}
