//! What only shows on the wire and not through Node's sockets: runs of datagrams and traffic classes.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use fastpath::{Addr, FastPath, Ip, ListenMode, Options};
use rustix::net::sockopt;

const RELAY: f64 = 1.0;
const CHANNEL: u16 = 0x4001;
const LOOPBACK: Ip = Ip::V4_LOOPBACK;

struct World {
    plane: FastPath,
    number: u32,
    listener: SocketAddr,
    relay: SocketAddr,
    client: UdpSocket,
    peer: UdpSocket,
    woken: Receiver<()>,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn port_of(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    port_of(&socket())
}

/// A relay with a channel to the peer.
fn world(workers: usize) -> World {
    let (wake, woken) = channel();
    let options = Options {
        workers,
        now: 0.0,
        stepped: true,
        answers_bindings: false,
        clients_move: false,
        receive_buffer: 1 << 20,
        send_buffer: 1 << 20,
        relay_buffer: 1 << 20,
    };
    let wake = Box::new(move || {
        let _ = wake.send(());
    });
    let mut plane = FastPath::new(&options, wake).unwrap();
    let (number, local) = plane.listen(Addr::new(LOOPBACK, 0), ListenMode::Turn).unwrap();
    let (client, peer) = (socket(), socket());
    let relay = open_relay(&mut plane, RELAY, number, &client, &peer);
    World {
        plane,
        number,
        listener: SocketAddr::from(([127, 0, 0, 1], local.port)),
        relay,
        client,
        peer,
        woken,
    }
}

/// A relay of the client with a channel to the peer. Returns where it is.
fn open_relay(plane: &mut FastPath, relay: f64, number: u32, client: &UdpSocket, peer: &UdpSocket) -> SocketAddr {
    let address = |port| Addr::new(LOOPBACK, port).pack();
    let deadline = 1000f64.to_le_bytes();
    loop {
        let port = free_port();
        let commands = [
            &[3u8][..],
            &relay.to_le_bytes(),
            &address(port),
            &[f64::NAN.to_le_bytes(); 5].concat(),
            &[5],
            &relay.to_le_bytes(),
            &number.to_le_bytes(),
            &address(port_of(client)),
            &[4],
            &deadline,
            &f64::NAN.to_le_bytes(),
            &[6],
            &relay.to_le_bytes(),
            &LOOPBACK.pack(),
            &LOOPBACK.pack(),
            &deadline,
            &[0, 0, 0xff, 0xff, 0, 0],
            &[7],
            &relay.to_le_bytes(),
            &CHANNEL.to_le_bytes(),
            &address(port_of(peer)),
            &LOOPBACK.pack(),
            &deadline,
        ]
        .concat();
        let bound = plane.apply(0.0, &commands).unwrap();
        if bound == [(relay, 0)] {
            return SocketAddr::from(([127, 0, 0, 1], port));
        }
        // Someone else took the port in between.
        assert_eq!(bound, [(relay, libc::EADDRINUSE)]);
    }
}

fn channel_data(payload: &[u8]) -> Vec<u8> {
    let mut bytes = CHANNEL.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

/// Lets the socket send runs of datagrams of this size, as one GSO message each.
fn send_runs(socket: &UdpSocket, size: usize) {
    let value = size as libc::c_int;
    // SAFETY: the option's value is one int, which is what the pointer and the length say.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}

/// Sizes of a run whose datagrams the kernel hands over joined: all alike, the last shorter.
const SIZE: usize = 100;
const LAST: usize = 37;

fn payloads() -> Vec<Vec<u8>> {
    (0..16u8).map(|i| vec![i; if i == 15 { LAST } else { SIZE }]).collect()
}

#[test]
fn a_run_from_the_client_reaches_the_peer_as_single_datagrams() {
    for workers in [1, 2] {
        let world = world(workers);
        send_runs(&world.client, SIZE + 4);
        let run: Vec<u8> = payloads().iter().flat_map(|payload| channel_data(payload)).collect();
        world.client.send_to(&run, world.listener).unwrap();
        for payload in payloads() {
            assert_eq!(receive(&world.peer), payload);
        }
        let (totals, relays) = world.plane.counters();
        assert_eq!(
            (totals[0], totals[1], relays),
            (16.0, 15.0 * SIZE as f64 + LAST as f64, 1)
        );
    }
}

#[test]
fn a_run_from_the_peer_reaches_the_client_as_single_datagrams() {
    let world = world(1);
    send_runs(&world.peer, SIZE);
    world.peer.send_to(&payloads().concat(), world.relay).unwrap();
    for payload in payloads() {
        assert_eq!(receive(&world.client), channel_data(&payload));
    }
    assert_eq!(world.plane.relay_counters(RELAY).unwrap()[2], 16.0);
}

#[test]
fn a_run_of_large_datagrams_arrives_whole() {
    let world = world(1);
    send_runs(&world.client, 1404);
    let run: Vec<u8> = (0..40u8).flat_map(|i| channel_data(&[i; 1400])).collect();
    world.client.send_to(&run, world.listener).unwrap();
    for i in 0..40u8 {
        assert_eq!(receive(&world.peer), [i; 1400]);
    }
}

#[test]
fn the_traffic_class_goes_along_both_ways() {
    const EXPEDITED: u8 = 46 << 2;
    let world = world(1);
    for socket in [&world.client, &world.peer] {
        sockopt::set_ip_recvtos(socket, true).unwrap();
    }
    for class in [EXPEDITED, 0] {
        sockopt::set_ip_tos(&world.client, class).unwrap();
        world.client.send_to(&channel_data(b"out"), world.listener).unwrap();
        assert_eq!(receive_class(&world.peer), class);
        sockopt::set_ip_tos(&world.peer, class).unwrap();
        world.peer.send_to(b"back", world.relay).unwrap();
        assert_eq!(receive_class(&world.client), class);
    }
}

fn receive_class(socket: &UdpSocket) -> u8 {
    let mut bytes = [0u8; 64];
    let mut control = [0u64; 8];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut header = libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut vector,
        msg_iovlen: 1,
        msg_control: control.as_mut_ptr().cast(),
        msg_controllen: size_of_val(&control) as _,
        msg_flags: 0,
    };
    // SAFETY: `header` points to `vector`, which points to `bytes`, and to `control`, with their lengths. Of the one
    // control message that was asked for the data is one byte.
    unsafe {
        assert!(libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) >= 0);
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        assert_eq!((*message).cmsg_type, libc::IP_TOS);
        libc::CMSG_DATA(message).read()
    }
}

#[test]
fn what_is_handed_up_wakes_once_for_all_that_waits() {
    let world = world(1);
    for _ in 0..10 {
        world.client.send_to(&[0x4f, 0xff, 0, 0], world.listener).unwrap();
    }
    while world.plane.counters().0[4] < 10.0 {
        std::thread::yield_now();
    }
    world.woken.recv().unwrap();
    assert!(world.woken.try_recv().is_err());
    let event = 1 + 4 + fastpath::ADDR_LEN + 4 + 4;
    assert_eq!(world.plane.take_events().len(), 10 * event);
    assert!(world.plane.take_events().is_empty());
}

#[test]
fn amid_traffic_nothing_passes_once_a_permission_is_revoked() {
    let mut world = world(2);
    let permission = |code: u8, rest: &[u8]| [&[code][..], &RELAY.to_le_bytes(), &LOOPBACK.pack(), rest].concat();
    let permit = [&LOOPBACK.pack()[..], &1000f64.to_le_bytes(), &[0, 0, 0xff, 0xff, 0, 0]].concat();
    let (client, listener) = (world.client.try_clone().unwrap(), world.listener);
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let traffic = thread::spawn(move || {
        while !end.load(Ordering::Relaxed) {
            client.send_to(&channel_data(b"data"), listener).unwrap();
        }
    });
    let no_permission = |plane: &FastPath| plane.counters().0[9];
    for _ in 0..20 {
        world.plane.apply(0.0, &permission(8, &[])).unwrap();
        let (totals, _) = world.plane.counters();
        while no_permission(&world.plane) < totals[9] + 100.0 {
            thread::yield_now();
        }
        let revoked = world.plane.counters().0;
        assert_eq!(revoked[0], totals[0]);
        world.plane.apply(0.0, &permission(6, &permit)).unwrap();
        while world.plane.counters().0[0] < revoked[0] + 100.0 {
            thread::yield_now();
        }
    }
    ended.store(true, Ordering::Relaxed);
    traffic.join().unwrap();
}

#[test]
fn binds_and_unbinds_of_one_port_take_effect_in_their_order() {
    const OTHER: f64 = 2.0;
    const THIRD: f64 = 3.0;
    let mut world = world(1);
    let port = world.relay.port();
    let bind = |relay: f64| {
        let local = Addr::new(LOOPBACK, port).pack();
        [
            &[3][..],
            &relay.to_le_bytes(),
            &local,
            &[f64::NAN.to_le_bytes(); 5].concat(),
        ]
        .concat()
    };
    let unbind = |relay: f64| [&[4][..], &relay.to_le_bytes()].concat();
    let mut apply = |commands: &[Vec<u8>]| world.plane.apply(0.0, &commands.concat()).unwrap();
    assert_eq!(apply(&[bind(OTHER), unbind(RELAY)]), [(OTHER, libc::EADDRINUSE)]);
    let all = [bind(OTHER), bind(OTHER), unbind(OTHER), bind(THIRD)];
    assert_eq!(apply(&all), [(OTHER, 0), (OTHER, 0), (THIRD, 0)]);
    assert_eq!(apply(&[unbind(THIRD), bind(RELAY)]), [(RELAY, 0)]);
    assert_eq!(world.plane.counters().1, 1);
}

/// More batches of commands than the workers wait for at once: packets pass in between, and none gets lost.
#[test]
fn packets_pass_while_many_relays_are_opened_and_closed() {
    const RELAYS: usize = 2000;
    let mut world = world(2);
    let local = Addr::new(LOOPBACK, 0).pack();
    let all = |code: u8, rest: &[u8]| -> Vec<u8> {
        let ids = (0..RELAYS).map(|relay| 10.0 + relay as f64);
        ids.flat_map(|id| [&[code][..], &id.to_le_bytes(), rest].concat())
            .collect()
    };
    let open = all(3, &[&local[..], &[f64::NAN.to_le_bytes(); 5].concat()].concat());
    let close = all(4, &[]);
    for round in 0..5u8 {
        assert!(
            world
                .plane
                .apply(0.0, &open)
                .unwrap()
                .iter()
                .all(|(_, errno)| *errno == 0)
        );
        world.client.send_to(&channel_data(&[round]), world.listener).unwrap();
        world.plane.apply(0.0, &close).unwrap();
        assert_eq!(receive(&world.peer), [round]);
    }
    assert_eq!(world.plane.counters().1, 1);
}

/// More than the relay can pass on, without end: whoever reads it until there is nothing left reads nothing else.
#[test]
fn a_flood_from_one_peer_keeps_neither_other_relays_nor_requests_waiting() {
    const OTHER: f64 = 2.0;
    let mut world = world(1);
    let (client, peer) = (socket(), socket());
    let relay = open_relay(&mut world.plane, OTHER, world.number, &client, &peer);
    let ended = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..2)
        .map(|_| {
            let (end, flooded) = (Arc::clone(&ended), world.relay);
            let hot = world.peer.try_clone().unwrap();
            send_runs(&hot, SIZE);
            thread::spawn(move || {
                let run = [7; 64 * SIZE];
                while !end.load(Ordering::Relaxed) {
                    // A full buffer is what it is after.
                    let _ = hot.send_to(&run, flooded);
                }
            })
        })
        .collect();
    for round in 0..20u8 {
        client.send_to(&channel_data(&[round]), world.listener).unwrap();
        assert_eq!(receive(&peer), [round]);
        peer.send_to(&[round], relay).unwrap();
        assert_eq!(receive(&client), channel_data(&[round]));
        client.send_to(&[0x4f, 0xff, 0, 0], world.listener).unwrap();
        world.woken.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(!world.plane.take_events().is_empty());
    }
    ended.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.join().unwrap();
    }
    assert!(world.plane.relay_counters(RELAY).unwrap()[2] > 0.0);
}

/// As many as the kernel takes in one message, and as large as the path takes.
#[test]
fn runs_of_the_largest_datagrams_arrive_whole_both_ways() {
    let world = world(1);
    for size in [8000, 1472, 1] {
        let count = (65_000 / size).min(64) as u8;
        send_runs(&world.client, size + 4);
        let run: Vec<u8> = (0..count).flat_map(|i| channel_data(&vec![i; size])).collect();
        for part in run.chunks((65_000 / (size + 4)).min(64) * (size + 4)) {
            world.client.send_to(part, world.listener).unwrap();
        }
        for i in 0..count {
            assert_eq!(receive(&world.peer), vec![i; size]);
        }
        send_runs(&world.peer, size);
        let run: Vec<u8> = (0..count).flat_map(|i| vec![i; size]).collect();
        world.peer.send_to(&run, world.relay).unwrap();
        for i in 0..count {
            assert_eq!(receive(&world.client), channel_data(&vec![i; size]));
        }
    }
}

#[test]
fn closing_frees_the_ports() {
    let mut world = world(2);
    world.plane.close();
    assert!(world.plane.relay_counters(RELAY).is_none());
    for address in [world.listener, world.relay] {
        match UdpSocket::bind(address) {
            Ok(_) => {}
            Err(error) => assert_ne!(error.kind(), ErrorKind::AddrInUse),
        }
    }
}
