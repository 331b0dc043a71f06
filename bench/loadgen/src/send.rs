//! Sending in batches: one sendmmsg for many datagrams, each with its own source and destination address.
//!
//! Every flow is a client of its own to the server under test, told apart by source address (127.1.x.y), yet all share
//! one socket: IP_PKTINFO chooses the source of each datagram. On the wire there is no difference to one socket a flow,
//! and one system call carries the datagrams of many flows.

use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};

use crate::endpoint::Endpoint;

/// The largest datagram that is sent or received.
pub const SLOT: usize = 2048;
/// The largest run of segments that one UDP GSO send carries.
pub const MAX_RUN: usize = 16;

/// Control data of one message: IP_PKTINFO, then UDP_SEGMENT, laid out once.
#[repr(C, align(8))]
struct Control {
    pktinfo_header: libc::cmsghdr,
    pktinfo: libc::in_pktinfo,
    _pad: u32,
    segment_header: libc::cmsghdr,
    segment: u16,
    _pad2: [u8; 6],
}

const PKTINFO_SPACE: usize = mem::offset_of!(Control, segment_header);
const CONTROL_SPACE: usize = mem::size_of::<Control>();

impl Control {
    fn new() -> Self {
        let header_len = mem::size_of::<libc::cmsghdr>();
        Self {
            pktinfo_header: libc::cmsghdr {
                cmsg_len: header_len + mem::size_of::<libc::in_pktinfo>(),
                cmsg_level: libc::IPPROTO_IP,
                cmsg_type: libc::IP_PKTINFO,
            },
            pktinfo: libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: 0 },
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
            _pad: 0,
            segment_header: libc::cmsghdr {
                cmsg_len: header_len + mem::size_of::<u16>(),
                cmsg_level: libc::SOL_UDP,
                cmsg_type: libc::UDP_SEGMENT,
            },
            segment: 0,
            _pad2: [0; 6],
        }
    }
}

/// Datagrams that wait for one sendmmsg.
pub struct SendBatch {
    messages: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in]>,
    controls: Box<[Control]>,
    buffers: Box<[u8]>,
    slot: usize,
    len: usize,
}

impl SendBatch {
    /// Room for `capacity` datagrams, or runs of up to `run` datagrams of one flow.
    pub fn new(capacity: usize, run: usize) -> Self {
        let slot = SLOT * run;
        let mut batch = Self {
            messages: vec![empty_message(); capacity].into(),
            vectors: vec![empty_vector(); capacity].into(),
            names: vec![socket_address(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)); capacity].into(),
            controls: (0..capacity).map(|_| Control::new()).collect(),
            buffers: vec![0; slot * capacity].into(),
            slot,
            len: 0,
        };
        for index in 0..capacity {
            batch.vectors[index].iov_base = batch.buffers[index * slot..].as_mut_ptr().cast();
            let header = &mut batch.messages[index].msg_hdr;
            header.msg_iov = &mut batch.vectors[index];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut batch.names[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_control = (&raw mut batch.controls[index]).cast();
        }
        batch
    }

    pub fn is_full(&self) -> bool {
        self.len == self.messages.len()
    }

    /// Adds one datagram; `write` fills the buffer and tells its length. `source` None lets the kernel choose.
    pub fn push(&mut self, source: Option<Ipv4Addr>, to: SocketAddrV4, write: impl FnOnce(&mut [u8]) -> usize) {
        self.push_run(source, to, None, write);
    }

    /// Adds a run of datagrams of `segment` bytes each, the last of which may be shorter, for one UDP GSO send.
    pub fn push_run(
        &mut self,
        source: Option<Ipv4Addr>,
        to: SocketAddrV4,
        segment: Option<u16>,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        assert!(!self.is_full(), "flush before pushing more");
        let index = self.len;
        self.len += 1;
        let slot = &mut self.buffers[index * self.slot..][..self.slot];
        self.vectors[index].iov_len = write(slot);
        self.names[index] = socket_address(to);
        let control = &mut self.controls[index];
        control.pktinfo.ipi_spec_dst.s_addr = source.unwrap_or(Ipv4Addr::UNSPECIFIED).to_bits().to_be();
        control.segment = segment.unwrap_or(0);
        self.messages[index].msg_hdr.msg_controllen = match (segment, source) {
            (Some(_), _) => CONTROL_SPACE as _,
            (None, Some(_)) => PKTINFO_SPACE as _,
            (None, None) => 0,
        };
    }

    /// Sends all that was pushed and empties the batch. Returns how many messages the kernel refused.
    pub fn flush(&mut self, endpoint: &Endpoint) -> usize {
        let mut refused = 0;
        let mut next = 0;
        while next < self.len {
            let rest = &mut self.messages[next..self.len];
            // SAFETY: each header of `rest` points into boxed slices of `self`, which are as long as `messages`, never
            // move and are borrowed mutably here.
            let sent = unsafe {
                libc::sendmmsg(
                    endpoint.as_fd().as_raw_fd(),
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

pub fn empty_message() -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain data, for which all zeroes (null pointers, no lengths) is a valid value.
    unsafe { mem::zeroed() }
}

pub fn empty_vector() -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }
}

pub fn socket_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: address.ip().to_bits().to_be(),
        },
        sin_zero: [0; 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::ReceiveBatch;

    fn any() -> Endpoint {
        Endpoint::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).unwrap()
    }

    fn receive_all(endpoint: &Endpoint, count: usize) -> Vec<(Vec<u8>, SocketAddrV4)> {
        let mut batch = ReceiveBatch::new(8, false);
        let mut all = Vec::new();
        while all.len() < count && batch.receive(endpoint) > 0 {
            all.extend(batch.iter().map(|(bytes, from)| (bytes.to_vec(), from)));
        }
        all
    }

    #[test]
    fn each_datagram_has_its_own_source() {
        let (sender, sink) = (any(), any());
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, sink.local.port());
        let mut batch = SendBatch::new(3, 1);
        let sources: Vec<Ipv4Addr> = (1..=3).map(|last| Ipv4Addr::new(127, 1, 0, last)).collect();
        for source in &sources {
            batch.push(Some(*source), to, |buffer| {
                buffer[..4].copy_from_slice(&source.octets());
                4
            });
        }
        assert_eq!(batch.flush(&sender), 0);
        let expected: Vec<_> = sources
            .iter()
            .map(|source| {
                (
                    source.octets().to_vec(),
                    SocketAddrV4::new(*source, sender.local.port()),
                )
            })
            .collect();
        assert_eq!(receive_all(&sink, 3), expected);
        assert_eq!(sink.drops().unwrap(), 0);
    }

    #[test]
    fn a_run_arrives_as_single_datagrams() {
        let (sender, sink) = (any(), any());
        let to = SocketAddrV4::new(Ipv4Addr::new(127, 2, 0, 1), sink.local.port());
        let mut batch = SendBatch::new(1, MAX_RUN);
        batch.push_run(Some(Ipv4Addr::new(127, 1, 0, 1)), to, Some(100), |buffer| {
            buffer[..250].fill(9);
            250
        });
        assert_eq!(batch.flush(&sender), 0);
        let lengths: Vec<usize> = receive_all(&sink, 3).iter().map(|(bytes, _)| bytes.len()).collect();
        assert_eq!(lengths, [100, 100, 50]);
    }
}
