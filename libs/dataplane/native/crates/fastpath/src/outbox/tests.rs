//! What becomes of datagrams when the kernel refuses.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::*;
use crate::addr::Ip;
use crate::counters::{COUNTERS, Drop, Tally};
use crate::kernel::{self, Fault, Kernel, Sent};
use crate::table::Relay;
use crate::worker::count_to_peers;

const TO: Addr = Addr {
    ip: Ip::v4([192, 0, 2, 1]),
    port: 5000,
};
const EXPEDITED: u8 = 46 << 2;
const SIZE: usize = 100;
const LAST: usize = 37;

/// Of a run of sixteen: all of one size, the last shorter.
fn payloads() -> Vec<Vec<u8>> {
    (0..16u8).map(|i| vec![i; if i == 15 { LAST } else { SIZE }]).collect()
}

fn fill(outbox: &mut Outbox, to: Addr, tos: u8) {
    for payload in payloads() {
        let datagram = Datagram {
            to,
            relay: Some(0),
            payload: payload.len(),
            tos,
            dont_fragment: false,
        };
        let pieces = [outbox.write(b"head"), outbox.write(&payload)];
        outbox.push(datagram, &pieces);
    }
}

fn on_the_wire(to: Addr, tos: u8) -> Vec<Sent> {
    let with_header = |payload: Vec<u8>| [&b"head"[..], &payload].concat();
    let sent = |payload| Sent {
        to,
        tos,
        bytes: with_header(payload),
    };
    payloads().into_iter().map(sent).collect()
}

fn refusing(no_gso: i32, faults: &[Fault]) -> Kernel {
    Kernel {
        faults: faults.iter().copied().collect(),
        no_gso: Some(no_gso),
        ..Kernel::default()
    }
}

/// Sends what waits, and returns what became of each datagram.
fn send(outbox: &mut Outbox, kernel: Kernel) -> (Kernel, Vec<Outcome>) {
    let socket = File::open("/dev/null").unwrap();
    let mut outcomes = Vec::new();
    let kernel = kernel::with(kernel, || {
        outbox.send(socket.as_fd(), 0, &[], |message, outcome| {
            outcomes.extend((0..message.segments).map(|_| outcome));
        });
    });
    outbox.clear();
    (kernel, outcomes)
}

#[test]
fn a_run_goes_out_as_one_message() {
    let mut outbox = Outbox::default();
    fill(&mut outbox, TO, EXPEDITED);
    let (kernel, outcomes) = send(&mut outbox, Kernel::default());
    assert_eq!((kernel.runs, outcomes), (1, vec![Outcome::Sent; 16]));
    assert_eq!(kernel.sent, on_the_wire(TO, EXPEDITED));
}

#[test]
fn a_run_that_the_kernel_refuses_goes_out_singly_and_unchanged() {
    for code in [libc::EIO, libc::EINVAL, libc::EMSGSIZE] {
        for tos in [0, EXPEDITED] {
            let mut outbox = Outbox::default();
            fill(&mut outbox, TO, tos);
            let (kernel, outcomes) = send(&mut outbox, refusing(code, &[]));
            assert_eq!(outcomes, [Outcome::Sent; 16]);
            assert_eq!(kernel.sent, on_the_wire(TO, tos));
        }
    }
}

#[test]
fn without_checksum_offload_no_further_run_is_tried() {
    for (code, runs) in [(libc::EIO, 0), (libc::EINVAL, 1)] {
        let mut outbox = Outbox::default();
        fill(&mut outbox, TO, 0);
        send(&mut outbox, refusing(code, &[]));
        fill(&mut outbox, TO, 0);
        let (kernel, outcomes) = send(&mut outbox, Kernel::default());
        assert_eq!((kernel.runs, outcomes.len()), (runs, 16));
        assert_eq!(kernel.sent, on_the_wire(TO, 0));
    }
}

#[test]
fn datagrams_make_runs_whatever_their_length_until_a_path_takes_none_so_long() {
    let mut outbox = Outbox::default();
    // For each length: how many runs of two are made, and whether the kernel takes them.
    for (length, runs, taken) in [
        (9000, 1, true),
        (9000, 1, false),
        (9000, 0, true),
        (8999, 1, true),
        (1472, 1, true),
        (1401, 1, false),
        (1401, 0, true),
        (1400, 1, false),
        (1400, 1, true),
    ] {
        for _ in 0..2 {
            let datagram = Datagram {
                to: TO,
                relay: Some(0),
                payload: length,
                tos: 0,
                dont_fragment: false,
            };
            let piece = outbox.write(&vec![1; length]);
            outbox.push(datagram, &[piece]);
        }
        let refused = (!taken).then_some(libc::EMSGSIZE);
        let kernel = Kernel {
            no_gso: refused,
            ..Kernel::default()
        };
        let (kernel, outcomes) = send(&mut outbox, kernel);
        assert_eq!(outcomes, [Outcome::Sent; 2]);
        assert_eq!(kernel.sent.len(), 2);
        assert_eq!(kernel.runs, if taken { runs } else { 0 }, "of {length} bytes");
    }
}

#[test]
fn a_run_on_a_socket_that_cannot_have_any_reaches_the_peer() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let on: libc::c_int = 1;
    // Linux refuses UDP_SEGMENT on a socket without checksums.
    // SAFETY: the option's value is one int, which is what the pointer and the length say.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
    let to = Addr::new(Ip::V4_LOOPBACK, peer.local_addr().unwrap().port());
    let mut outbox = Outbox::default();
    fill(&mut outbox, to, EXPEDITED);
    let mut reported = Vec::new();
    outbox.send(socket.as_fd(), 0, &[], |message, outcome| {
        reported.push((message.segments, outcome));
    });
    assert_eq!(reported, [(1, Outcome::Sent); 16]);
    for sent in on_the_wire(to, EXPEDITED) {
        let mut bytes = [0; 2 * SIZE];
        let length = peer.recv(&mut bytes).unwrap();
        assert_eq!(bytes[..length], sent.bytes);
    }
}

#[test]
fn when_the_socket_is_full_what_is_left_is_lost() {
    for code in [libc::EAGAIN, libc::ENOBUFS] {
        // Five messages, of which the kernel takes two.
        let mut outbox = Outbox::default();
        for port in 1..=5 {
            let datagram = Datagram {
                to: Addr { port, ..TO },
                relay: Some(0),
                payload: 1,
                tos: 0,
                dont_fragment: false,
            };
            let piece = outbox.write(&[0]);
            outbox.push(datagram, &[piece]);
        }
        let kernel = Kernel {
            faults: [Fault::Short(2), Fault::Refuse(code)].into(),
            ..Kernel::default()
        };
        let (kernel, outcomes) = send(&mut outbox, kernel);
        let (sent, lost) = outcomes.split_at(2);
        assert_eq!((kernel.sent.len(), sent), (2, &[Outcome::Sent; 2][..]));
        assert_eq!(lost, [Outcome::Full; 3]);

        // The same for one datagram by itself, and for those of a run that go out singly.
        let datagram = Datagram {
            to: TO,
            relay: Some(0),
            payload: 1,
            tos: 0,
            dont_fragment: false,
        };
        let piece = outbox.write(&[0]);
        outbox.push(datagram, &[piece]);
        let (_, outcomes) = send(&mut outbox, refusing(code, &[Fault::Refuse(code); 2]));
        assert_eq!(outcomes, [Outcome::Full]);
        fill(&mut outbox, TO, 0);
        let faults = [Fault::None, Fault::None, Fault::None, Fault::Refuse(code)];
        let (kernel, outcomes) = send(&mut outbox, refusing(libc::EIO, &faults));
        let mut expected = [Outcome::Sent; 16];
        expected[1] = Outcome::Full;
        assert_eq!((kernel.sent.len(), &outcomes[..]), (15, &expected[..]));
    }
}

#[test]
fn an_error_of_an_earlier_packet_loses_nothing() {
    let pending = Fault::Refuse(libc::ECONNREFUSED);
    let mut outbox = Outbox::default();
    fill(&mut outbox, TO, 0);
    let (kernel, outcomes) = send(&mut outbox, refusing(libc::EIO, &[pending]));
    assert_eq!((kernel.sent, outcomes), (on_the_wire(TO, 0), vec![Outcome::Sent; 16]));
    let faults = [Fault::None, Fault::None, Fault::None, pending];
    let mut outbox = Outbox::default();
    fill(&mut outbox, TO, 0);
    let (kernel, outcomes) = send(&mut outbox, refusing(libc::EIO, &faults));
    assert_eq!((kernel.sent, outcomes), (on_the_wire(TO, 0), vec![Outcome::Sent; 16]));
}

#[test]
fn what_is_lost_is_counted_and_not_as_relayed() {
    let socket = File::open("/dev/null").unwrap();
    let relay = Relay::new(1.0, TO, File::open("/dev/null").unwrap().into());
    let tally = Tally::default();
    let mut outbox = Outbox::default();
    fill(&mut outbox, TO, 0);
    let faults = [
        Fault::None,
        Fault::None,
        Fault::Refuse(libc::ENOBUFS),
        Fault::Refuse(libc::EPERM),
        Fault::Refuse(libc::EPERM),
    ];
    kernel::with(refusing(libc::EIO, &faults), || {
        outbox.send(socket.as_fd(), 0, &[], |message, outcome| {
            count_to_peers(&relay, &tally, message, outcome);
        });
    });
    let mut totals = [0.0; COUNTERS];
    tally.add_to(&mut totals);
    let dropped = |reason: Drop| totals[6 + reason as usize];
    assert_eq!(
        (totals[0], dropped(Drop::BackPressure), dropped(Drop::SendFailed)),
        (15.0, 1.0, 1.0)
    );
    assert_eq!(totals[1], relay.tally.totals()[1]);
    assert_eq!((relay.tally.totals()[0], relay.tally.totals()[4]), (15.0, 2.0));
}
