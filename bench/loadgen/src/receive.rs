//! Receiving in batches: one recvmmsg for many datagrams, or for runs of them that the kernel has left joined.

use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd};

use crate::endpoint::Endpoint;
use crate::send::{SLOT, empty_message, empty_vector, socket_address};

/// Room for a run; not a power of two, so that their beginnings do not all fall into the same few cache lines.
const RUN_SLOT: usize = (1 << 16) + 192;
/// Room for one control message of UDP_GRO.
type Control = [u64; 4];

/// Room for what one recvmmsg brings.
pub struct ReceiveBatch {
    messages: Box<[libc::mmsghdr]>,
    _vectors: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in]>,
    _controls: Box<[Control]>,
    buffers: Box<[u8]>,
    slot: usize,
    joined: bool,
    len: usize,
}

impl ReceiveBatch {
    /// Room for `capacity` messages; `joined` where the socket hands runs up joined.
    pub fn new(capacity: usize, joined: bool) -> Self {
        let slot = if joined { RUN_SLOT } else { SLOT };
        let mut messages: Box<[libc::mmsghdr]> = vec![empty_message(); capacity].into();
        let mut vectors: Box<[libc::iovec]> = vec![empty_vector(); capacity].into();
        let mut names: Box<[libc::sockaddr_in]> =
            vec![socket_address(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)); capacity].into();
        let mut controls: Box<[Control]> = vec![[0; 4]; capacity].into();
        let mut buffers: Box<[u8]> = vec![0; slot * capacity].into();
        for index in 0..capacity {
            vectors[index] = libc::iovec {
                iov_base: buffers[index * slot..].as_mut_ptr().cast(),
                iov_len: slot,
            };
            let header = &mut messages[index].msg_hdr;
            header.msg_iov = &mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            if joined {
                header.msg_control = controls[index].as_mut_ptr().cast();
                header.msg_controllen = mem::size_of::<Control>() as _;
            }
        }
        Self {
            messages,
            _vectors: vectors,
            names,
            _controls: controls,
            buffers,
            slot,
            joined,
            len: 0,
        }
    }

    /// Takes what has arrived, at most the capacity in messages; 0 when nothing has.
    pub fn receive(&mut self, endpoint: &Endpoint) -> usize {
        if self.joined {
            // The kernel leaves in each how much it wrote.
            for message in &mut self.messages[..self.len] {
                message.msg_hdr.msg_controllen = mem::size_of::<Control>() as _;
            }
        }
        // SAFETY: each header points into boxed slices of `self`, which are as long as `messages`, never move and are
        // borrowed mutably here; the lengths in it are those of what it points to.
        let received = unsafe {
            libc::recvmmsg(
                endpoint.as_fd().as_raw_fd(),
                self.messages.as_mut_ptr(),
                self.messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.len = usize::try_from(received).unwrap_or(0);
        self.len
    }

    /// The datagrams of the last `receive` and who sent them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], SocketAddrV4)> {
        (0..self.len).flat_map(|index| {
            let length = (self.messages[index].msg_len as usize).min(self.slot);
            let name = &self.names[index];
            let from = SocketAddrV4::new(
                Ipv4Addr::from_bits(u32::from_be(name.sin_addr.s_addr)),
                u16::from_be(name.sin_port),
            );
            let bytes = &self.buffers[index * self.slot..][..length];
            bytes
                .chunks(self.segment(index, length))
                .map(move |datagram| (datagram, from))
        })
    }

    /// Bytes of each datagram of a message but the last, which may be shorter.
    fn segment(&self, index: usize, length: usize) -> usize {
        let whole = length.max(1);
        if !self.joined {
            return whole;
        }
        let header = &raw const self.messages[index].msg_hdr;
        // SAFETY: the kernel has filled the header in, whose control data lies in `_controls`; the CMSG macros stay within
        // `msg_controllen`. UDP_GRO carries an int, which is read without assuming its alignment.
        let segment = unsafe {
            let message = libc::CMSG_FIRSTHDR(header);
            if message.is_null() || ((*message).cmsg_level, (*message).cmsg_type) != (libc::SOL_UDP, libc::UDP_GRO) {
                return whole;
            }
            libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned()
        };
        usize::try_from(segment).map_or(whole, |segment| segment.clamp(1, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::SendBatch;

    #[test]
    fn a_run_that_comes_joined_is_told_apart() {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let (sender, sink) = (Endpoint::bind(any).unwrap(), Endpoint::bind(any).unwrap());
        sink.join_runs().unwrap();
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, sink.local.port());
        let mut sends = SendBatch::new(2, 4);
        sends.push_run(None, to, Some(100), |buffer| {
            buffer[..100].fill(1);
            buffer[100..200].fill(2);
            buffer[200..250].fill(3);
            250
        });
        sends.push(None, to, |buffer| {
            buffer[..300].fill(4);
            300
        });
        assert_eq!(sends.flush(&sender), 0);

        let mut batch = ReceiveBatch::new(8, true);
        assert_eq!(batch.receive(&sink), 2);
        let datagrams: Vec<(usize, u8)> = batch.iter().map(|(bytes, _)| (bytes.len(), bytes[0])).collect();
        assert_eq!(datagrams, [(100, 1), (100, 2), (50, 3), (300, 4)]);
        assert_eq!(batch.receive(&sink), 0);
    }
}
