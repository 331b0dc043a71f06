//! Classification, Send indications, Data indications and answers to Binding requests, beside the reference.

use super::reference::{self, Kind, Send};
use super::{IPS, PORTS};
use crate::addr::Addr;
use crate::counters::Drop;
use crate::forward::stun_only;
use crate::stun::{self, MAX_BINDING_RESPONSE, MAX_DATA, MAX_DATA_HEADER};

pub fn run(input: &[u8]) {
    check(input);
    check(&reference::repaired(input));
}

fn check(bytes: &[u8]) {
    let expected = reference::read(bytes);
    let channel_data = stun::begins_as_channel_data(bytes);
    let is_stun = stun::is_stun(bytes);
    assert!(!(channel_data && is_stun));
    match expected {
        Kind::ChannelData(number, data) => {
            let (read, range) = stun::read_channel_data(bytes).unwrap();
            assert!(channel_data);
            assert_eq!((read, &bytes[range]), (number, data));
            assert_eq!(stun_only(bytes), Some(Drop::NoChannel));
            assert_eq!(stun::channel_header(number, data.len()), bytes[..4]);
        }
        Kind::Malformed => {
            assert!(!is_stun);
            assert!(!channel_data || stun::read_channel_data(bytes).is_none());
            assert_eq!(stun_only(bytes), Some(Drop::Malformed));
        }
        Kind::Send(_) | Kind::Other(_) => {
            assert!(is_stun);
            assert_eq!(stun_only(bytes), None);
            check_stun(bytes, &expected);
        }
    }
    for from in addresses() {
        check_data(bytes, from);
    }
}

fn addresses() -> impl Iterator<Item = Addr> {
    IPS.into_iter().zip(PORTS).map(|(ip, port)| Addr::new(ip, port))
}

fn check_stun(bytes: &[u8], expected: &Kind<'_>) {
    let read = stun::read_send_indication(bytes);
    let sent = read.as_ref().map(|read| Send {
        peer: read.peer,
        data: &bytes[read.data.clone()],
        dont_fragment: read.dont_fragment,
    });
    match (sent, expected) {
        (Some(sent), Kind::Send(expected)) => assert_eq!(sent, *expected),
        (sent, _) => assert_eq!(sent, None, "{expected:?}"),
    }
    for from in addresses() {
        let mut out = [0xaa; MAX_BINDING_RESPONSE];
        let length = stun::answer_binding(bytes, from, &mut out);
        match (length, expected) {
            (Some(length), Kind::Other(Some(fingerprint))) => {
                check_answer(bytes, from, *fingerprint, &out[..length]);
            }
            (length, _) => assert_eq!(length, None),
        }
    }
}

fn check_answer(request: &[u8], from: Addr, fingerprint: bool, answer: &[u8]) {
    assert!(stun::is_stun(answer));
    assert_eq!(answer[..2], [1, 1]);
    assert_eq!(answer[4..20], request[4..20]);
    let value = usize::from(answer[23]);
    assert_eq!(answer[20..23], [0, 0x20, 0]);
    assert_eq!(reference::xor_address(answer, &answer[24..24 + value]), Some(from));
    let (signed, rest) = answer.split_at(24 + value);
    if fingerprint {
        let crc = reference::crc32(signed) ^ 0x5354_554e;
        assert_eq!(rest, [&[0x80, 0x28, 0, 4][..], &crc.to_be_bytes()].concat());
    } else {
        assert!(rest.is_empty());
    }
}

/// A Data indication with these bytes in it.
fn check_data(payload: &[u8], peer: Addr) {
    let payload = &payload[..payload.len().min(MAX_DATA)];
    let id = *b"twelve bytes";
    let mut header = [0; MAX_DATA_HEADER];
    let length = stun::write_data_header(&mut header, peer, payload.len(), &id);
    let padding = &[0; 3][..stun::padding(payload.len())];
    let bytes = [&header[..length], payload, padding].concat();
    assert!(stun::is_stun(&bytes));
    assert_eq!(bytes[..2], [0, 0x17]);
    assert_eq!(bytes[8..20], id);
    // A Send indication but for its type.
    let mut send = bytes;
    send[1] = 0x16;
    let expected = Send {
        peer,
        data: payload,
        dont_fragment: false,
    };
    assert_eq!(reference::read(&send), Kind::Send(expected));
}
