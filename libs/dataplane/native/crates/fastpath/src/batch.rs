//! Receiving: one recvmmsg for many datagrams, into memory that is there from the start.

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::addr::{Addr, NAME_LEN, Name};

/// Datagrams that are held at a time.
pub const CAPACITY: usize = 256;
/// Before each datagram, for the header that it leaves with.
pub const HEADROOM: usize = 64;
const MAX_DATAGRAM: usize = 1 << 16;
/// Not a power of two: the beginnings of the datagrams would otherwise all fall into the same few cache lines.
const STRIDE: usize = HEADROOM + MAX_DATAGRAM + 128;

/// Room for what the kernel says about a datagram: its traffic class and its segments.
type Control = [u64; 16];

pub struct Receiver {
    buffers: Box<[u8]>,
    headers: Box<[libc::mmsghdr]>,
    _vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    _controls: Box<[Control]>,
    used: usize,
}

/// One datagram, or several of one size (the last may be shorter) that the kernel has joined.
#[derive(Clone, Copy)]
pub struct Received {
    pub from: Addr,
    /// Where in the buffers it is.
    pub at: usize,
    pub length: usize,
    /// Bytes of each of those that were joined; `length` when it is a single one.
    pub segment: usize,
    /// TOS of IPv4, traffic class of IPv6.
    pub tos: u8,
    /// Where it was sent to, on sockets that are to tell.
    pub to: Option<Addr>,
}

impl Received {
    /// Each single datagram: where it is, and how long.
    pub fn segments(self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.length.div_ceil(self.segment.max(1)).max(1);
        (0..count).map(move |index| {
            let offset = index * self.segment;
            (self.at + offset, self.segment.min(self.length - offset))
        })
    }

    pub fn is_single(&self) -> bool {
        self.segment == self.length
    }
}

impl Receiver {
    pub fn new() -> Self {
        let mut buffers: Box<[u8]> = vec![0; STRIDE * CAPACITY].into();
        let mut names: Box<[Name]> = vec![Name::default(); CAPACITY].into();
        let mut controls: Box<[Control]> = vec![Control::default(); CAPACITY].into();
        let mut vectors: Box<[libc::iovec]> = (0..CAPACITY)
            .map(|index| libc::iovec {
                iov_base: buffers[index * STRIDE + HEADROOM..].as_mut_ptr().cast(),
                iov_len: MAX_DATAGRAM,
            })
            .collect();
        let headers = (0..CAPACITY)
            .map(|index| libc::mmsghdr {
                msg_hdr: libc::msghdr {
                    msg_name: (&raw mut names[index]).cast(),
                    msg_namelen: NAME_LEN,
                    msg_iov: &raw mut vectors[index],
                    msg_iovlen: 1,
                    msg_control: controls[index].as_mut_ptr().cast(),
                    msg_controllen: size_of::<Control>() as _,
                    msg_flags: 0,
                },
                msg_len: 0,
            })
            .collect();
        Self {
            buffers,
            headers,
            _vectors: vectors,
            names,
            _controls: controls,
            used: 0,
        }
    }

    pub fn buffers(&mut self) -> &mut [u8] {
        &mut self.buffers
    }

    pub fn room(&self) -> usize {
        CAPACITY - self.used
    }

    /// Gives all room back.
    pub fn clear(&mut self) {
        // The kernel has written into these, and no others.
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = NAME_LEN;
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        self.used = 0;
    }

    /// Takes up to `max` datagrams that have arrived, and returns which they are.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, max: usize) -> io::Result<Range<usize>> {
        let first = self.used;
        let headers = &mut self.headers[first..];
        let max = max.min(headers.len());
        // SAFETY: each header points into boxed slices of `self`, which are as long as `headers`, never move and are
        // borrowed mutably here. The lengths of those that were not used since `clear` are as `new` or `clear` set them: the
        // kernel writes them only for datagrams that it counts.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                max as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if received < 0 {
            return Err(io::Error::last_os_error());
        }
        self.used += received as usize;
        Ok(first..self.used)
    }

    /// None for what did not come from an IP address.
    pub fn get(&self, index: usize) -> Option<Received> {
        let header = &self.headers[index];
        let length = (header.msg_len as usize).min(MAX_DATAGRAM);
        let mut received = Received {
            from: self.names[index].addr()?,
            at: index * STRIDE + HEADROOM,
            length,
            segment: length,
            tos: 0,
            to: None,
        };
        let header = &raw const header.msg_hdr;
        // SAFETY: the kernel has filled the header in, whose control data lies in `_controls`; the CMSG macros stay within
        // `msg_controllen`. Each of these types has at least as much data as is read, without assuming its alignment.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(header);
            while !message.is_null() {
                let data = libc::CMSG_DATA(message);
                match ((*message).cmsg_level, (*message).cmsg_type) {
                    (libc::SOL_UDP, libc::UDP_GRO) => {
                        let segment = data.cast::<libc::c_int>().read_unaligned();
                        received.segment = usize::try_from(segment).unwrap_or(length).clamp(1, length.max(1));
                    }
                    (libc::IPPROTO_IP, libc::IP_TOS) => received.tos = data.read(),
                    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                        received.tos = data.cast::<libc::c_int>().read_unaligned() as u8;
                    }
                    (libc::IPPROTO_IP, libc::IP_ORIGDSTADDR) => {
                        received.to = Some(Addr::of_v4(data.cast::<libc::sockaddr_in>().read_unaligned()));
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_ORIGDSTADDR) => {
                        received.to = Some(Addr::of_v6(data.cast::<libc::sockaddr_in6>().read_unaligned()));
                    }
                    _ => {}
                }
                message = libc::CMSG_NXTHDR(header, message);
            }
        }
        if received.segment > length {
            received.segment = length;
        }
        Some(received)
    }
}
