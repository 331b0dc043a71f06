//! Stands in for the kernel where a thread sends datagrams: it keeps what it is given, and refuses what it is told to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use crate::addr::{Addr, Name};

/// What a call that sends is to come to. Calls that no fault is left for succeed.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    None,
    /// Nothing is sent, and this is the error number.
    Refuse(i32),
    /// At most so many messages are sent, and one at the least.
    Short(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    pub to: Addr,
    pub tos: u8,
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub struct Kernel {
    /// For one call each.
    pub faults: VecDeque<Fault>,
    /// The error number that messages with UDP_SEGMENT are refused with.
    pub no_gso: Option<i32>,
    /// Datagrams, as they are on the wire.
    pub sent: Vec<Sent>,
    /// Messages with UDP_SEGMENT among what was sent.
    pub runs: usize,
}

thread_local! {
    static KERNEL: RefCell<Option<Kernel>> = const { RefCell::new(None) };
}

/// What this thread sends during `action` goes to the stand-in, which is returned.
pub fn with(kernel: Kernel, action: impl FnOnce()) -> Kernel {
    KERNEL.set(Some(kernel));
    action();
    KERNEL.take().unwrap_or_default()
}

/// None: the real one is to be asked.
pub fn sendmmsg(headers: &[libc::mmsghdr]) -> Option<io::Result<usize>> {
    KERNEL.with_borrow_mut(|kernel| Some(kernel.as_mut()?.sendmmsg(headers)))
}

/// None: the real one is to be asked.
pub fn send_to(to: Addr, bytes: &[u8]) -> Option<io::Result<()>> {
    KERNEL.with_borrow_mut(|kernel| Some(kernel.as_mut()?.send_to(to, bytes)))
}

impl Kernel {
    fn sendmmsg(&mut self, headers: &[libc::mmsghdr]) -> io::Result<usize> {
        assert!((1..=1024).contains(&headers.len()));
        let most = match self.faults.pop_front() {
            Some(Fault::Refuse(code)) => return Err(io::Error::from_raw_os_error(code)),
            Some(Fault::Short(most)) => most.max(1),
            Some(Fault::None) | None => headers.len(),
        };
        for (index, header) in headers.iter().take(most).enumerate() {
            let message = Message::read(header);
            match (message.segment, self.no_gso) {
                (Some(_), Some(code)) if index == 0 => return Err(io::Error::from_raw_os_error(code)),
                (Some(_), Some(_)) => return Ok(index),
                _ => self.take(message),
            }
        }
        Ok(most.min(headers.len()))
    }

    fn send_to(&mut self, to: Addr, bytes: &[u8]) -> io::Result<()> {
        if let Some(Fault::Refuse(code)) = self.faults.pop_front() {
            return Err(io::Error::from_raw_os_error(code));
        }
        let bytes = bytes.to_vec();
        self.sent.push(Sent { to, tos: 0, bytes });
        Ok(())
    }

    fn take(&mut self, Message { sent, segment }: Message) {
        let Some(segment) = segment else {
            self.sent.push(sent);
            return;
        };
        // What Linux asks of such a message.
        assert!(segment > 0 && sent.bytes.len() > segment && sent.bytes.len() <= 65_507);
        assert!(sent.bytes.len().div_ceil(segment) <= 64);
        self.runs += 1;
        for bytes in sent.bytes.chunks(segment) {
            let bytes = bytes.to_vec();
            self.sent.push(Sent { bytes, ..sent });
        }
    }
}

struct Message {
    sent: Sent,
    segment: Option<usize>,
}

impl Message {
    fn read(header: &libc::mmsghdr) -> Self {
        let header = &raw const header.msg_hdr;
        let mut tos = 0;
        let mut segment = None;
        // SAFETY: the caller made the header for the kernel, which reads the same: a name, vectors and control data of the
        // lengths that it says. AddressSanitizer sees to it that they are there.
        unsafe {
            let name = (*header).msg_name.cast::<Name>().read_unaligned();
            let to = name.addr().unwrap();
            let length = if to.ip.is_v6() { 28 } else { 16 };
            assert_eq!((*header).msg_namelen, length);
            let mut bytes = Vec::new();
            for index in 0..(*header).msg_iovlen {
                let vector = *(*header).msg_iov.add(index);
                bytes.extend_from_slice(std::slice::from_raw_parts(vector.iov_base.cast(), vector.iov_len));
            }
            let mut message = libc::CMSG_FIRSTHDR(header);
            while !message.is_null() {
                let data = libc::CMSG_DATA(message);
                match ((*message).cmsg_level, (*message).cmsg_type) {
                    (libc::SOL_UDP, libc::UDP_SEGMENT) => {
                        segment = Some(usize::from(data.cast::<u16>().read_unaligned()));
                    }
                    (libc::IPPROTO_IP, libc::IP_TOS) if !to.ip.is_v6() => {
                        tos = data.cast::<libc::c_int>().read_unaligned() as u8;
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) if to.ip.is_v6() => {
                        tos = data.cast::<libc::c_int>().read_unaligned() as u8;
                    }
                    other => panic!("{other:?} is no control message for this"),
                }
                message = libc::CMSG_NXTHDR(header, message);
            }
            let sent = Sent { to, tos, bytes };
            Self { sent, segment }
        }
    }
}
