//! Sending past the sender's own UDP and IP layers: whole frames, put onto the loopback device by a packet socket.
//!
//! The server receives them as it does any other: through the receive path, each on its own, in its UDP socket. Only what
//! the generator would spend on a UDP send (route, IP_PKTINFO, queueing discipline) is left out, a third of its cost, so
//! that it is the server which comes to its end.
//!
//! The kernel takes such packets from 127.0.0.0/8 only where `route_localnet` is set for the loopback device, which
//! `namespace` does in a network namespace of the benchmark's own.

use std::fs;
use std::io;
use std::mem;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::send::{SLOT, empty_message, empty_vector};

pub const ROUTE_LOCALNET: &str = "/proc/sys/net/ipv4/conf/lo/route_localnet";

const ETHERNET_LEN: usize = 14;
const IP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const HEADERS_LEN: usize = ETHERNET_LEN + IP_LEN + UDP_LEN;
const FRAME: usize = HEADERS_LEN + SLOT;

/// A packet socket on the loopback device.
pub struct RawSocket {
    fd: OwnedFd,
}

impl RawSocket {
    /// Fails without CAP_NET_RAW, and where the loopback device would not take what it sends.
    pub fn open() -> io::Result<Self> {
        if fs::read_to_string(ROUTE_LOCALNET)?.trim() != "1" {
            return Err(io::Error::other(format!("{ROUTE_LOCALNET} is not set")));
        }
        // Protocol 0: it receives nothing.
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let on: libc::c_int = 1;
        // SAFETY: `on` is readable for its size.
        let result = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const on).cast(),
                mem::size_of_val(&on) as libc::socklen_t,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the name is a string that ends in a zero.
        let loopback = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as libc::c_ushort,
            sll_protocol: 0,
            sll_ifindex: loopback as libc::c_int,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: `address` is readable for its size.
        let result = unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                mem::size_of_val(&address) as libc::socklen_t,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { fd })
    }
}

/// Datagrams that wait for one sendmmsg of a packet socket.
pub struct RawBatch {
    messages: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    buffers: Box<[u8]>,
    len: usize,
}

impl RawBatch {
    pub fn new(capacity: usize) -> Self {
        let mut messages: Box<[libc::mmsghdr]> = vec![empty_message(); capacity].into();
        let mut vectors: Box<[libc::iovec]> = vec![empty_vector(); capacity].into();
        let mut buffers: Box<[u8]> = vec![0; FRAME * capacity].into();
        for index in 0..capacity {
            vectors[index].iov_base = buffers[index * FRAME..].as_mut_ptr().cast();
            let header = &mut messages[index].msg_hdr;
            header.msg_iov = &mut vectors[index];
            header.msg_iovlen = 1;
        }
        Self {
            messages,
            vectors,
            buffers,
            len: 0,
        }
    }

    /// Adds one datagram; `write` fills the buffer and tells its length.
    pub fn push(&mut self, from: SocketAddrV4, to: SocketAddrV4, write: impl FnOnce(&mut [u8]) -> usize) {
        let index = self.len;
        self.len += 1;
        let frame = &mut self.buffers[index * FRAME..][..FRAME];
        let (headers, payload) = frame.split_at_mut(HEADERS_LEN);
        let length = write(payload);
        write_headers(headers, from, to, length);
        self.vectors[index].iov_len = HEADERS_LEN + length;
    }

    /// Sends all that was pushed and empties the batch. Returns how many frames the kernel refused.
    pub fn flush(&mut self, socket: &RawSocket) -> usize {
        let mut refused = 0;
        let mut next = 0;
        while next < self.len {
            let rest = &mut self.messages[next..self.len];
            // SAFETY: each header of `rest` points into boxed slices of `self`, which are as long as `messages`, never
            // move and are borrowed mutably here.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.fd.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if sent > 0 {
                next += sent as usize;
            } else {
                refused += 1;
                next += 1;
            }
        }
        self.len = 0;
        refused
    }
}

/// Ethernet (no addresses: it is the loopback device), IPv4 with DF, and UDP without a checksum (RFC 768), which loopback
/// does not compute either.
fn write_headers(headers: &mut [u8], from: SocketAddrV4, to: SocketAddrV4, payload: usize) {
    let udp_length = (UDP_LEN + payload) as u16;
    headers[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut headers[ETHERNET_LEN..][..IP_LEN];
    ip.copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    ip[2..4].copy_from_slice(&(IP_LEN as u16 + udp_length).to_be_bytes());
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = &mut headers[ETHERNET_LEN + IP_LEN..];
    udp[..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
    udp[6..8].fill(0);
}

/// Of the IPv4 header (RFC 1071), whose own field for it is zero.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    !(((folded & 0xFFFF) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_a_known_header() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x00, 0x00, 0xC0, 0xA8, 0x00, 0x01, 0xC0, 0xA8,
            0x00, 0xC7,
        ];
        assert_eq!(checksum(&header), 0xB861);
    }

    #[test]
    fn headers_say_who_sends_what_to_whom() {
        let mut headers = [0xFF; HEADERS_LEN];
        write_headers(
            &mut headers,
            "127.1.0.7:4000".parse().unwrap(),
            "127.0.0.1:3478".parse().unwrap(),
            204,
        );
        assert_eq!(headers[12..14], [0x08, 0x00]);
        assert_eq!(headers[16..18], 232u16.to_be_bytes());
        assert_eq!(headers[26..34], [127, 1, 0, 7, 127, 0, 0, 1]);
        assert_eq!(
            checksum(&headers[14..34]),
            0,
            "a header with its checksum sums up to nothing"
        );
        assert_eq!(headers[34..38], [0x0F, 0xA0, 0x0D, 0x96]);
        assert_eq!(headers[38..42], [0, 212, 0, 0]);
    }
}
