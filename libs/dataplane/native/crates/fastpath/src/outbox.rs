//! Sending: one sendmmsg for many datagrams, and one UDP GSO message for a run of them with one destination and size.
//! Datagrams are put together by the kernel out of pieces, so that no payload is copied here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::addr::{Addr, Name};
use crate::socket::{send_to, set_dont_fragment};
use crate::table::Slot;

/// What the kernel takes in one UDP GSO message: segments, and bytes in all.
const MAX_SEGMENTS: u16 = 64;
const MAX_RUN_BYTES: usize = 65_000;
/// Datagrams of a run are not fragmented, and one run does not tell how long the path of another takes them. Up to this length
/// nearly every path takes them, and a path that does not is no reason to leave the others without runs.
const SAFE_SEGMENT: usize = 1400;
/// The most messages that one sendmmsg takes.
const MAX_MESSAGES: usize = 1024;

/// A part of a datagram.
#[derive(Clone, Copy)]
pub struct Piece {
    at: u32,
    length: u32,
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// What was received.
    Received,
    /// What was written here.
    Written,
}

impl Piece {
    pub fn received(at: usize, length: usize) -> Self {
        Self {
            at: at as u32,
            length: length as u32,
            source: Source::Received,
        }
    }
}

/// A datagram that is to be sent.
#[derive(Clone, Copy)]
pub struct Datagram {
    pub to: Addr,
    /// By or for which relay; none for what is no application data.
    pub relay: Option<Slot>,
    /// Bytes of application data.
    pub payload: usize,
    pub tos: u8,
    pub dont_fragment: bool,
}

/// One datagram or a run of them.
pub struct Message {
    pub relay: Option<Slot>,
    /// Datagrams.
    pub segments: u16,
    /// Bytes of application data in all.
    pub payload: usize,
    to: Addr,
    tos: u8,
    dont_fragment: bool,
    /// Nothing can be joined to it.
    full: bool,
    first_piece: u32,
    /// Bytes of each datagram; the last may be shorter.
    segment: usize,
    /// Bytes in all.
    pub total: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Sent,
    /// The socket's buffer is full.
    Full,
    /// The kernel refused.
    Refused,
}

impl Outcome {
    pub fn of<T>(sent: &io::Result<T>) -> Self {
        match sent {
            Ok(_) => Self::Sent,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS)) => Self::Full,
            Err(_) => Self::Refused,
        }
    }
}

/// Control data of one message: its segment size and its traffic class.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control {
    bytes: [u8; CONTROL_LEN],
}

const CMSG_HEADER: usize = size_of::<libc::cmsghdr>();
/// Of a value that takes up to eight bytes.
const CMSG_SPACE: usize = CMSG_HEADER + 8;
const CONTROL_LEN: usize = 2 * CMSG_SPACE;

impl Control {
    const EMPTY: Self = Self {
        bytes: [0; CONTROL_LEN],
    };

    fn put(&mut self, at: usize, level: libc::c_int, kind: libc::c_int, value: &[u8]) -> usize {
        let length: usize = CMSG_HEADER + value.len();
        let bytes = &mut self.bytes[at..at + CMSG_SPACE];
        bytes[..8].copy_from_slice(&(length as u64).to_ne_bytes()[..8]);
        bytes[8..12].copy_from_slice(&level.to_ne_bytes());
        bytes[12..16].copy_from_slice(&kind.to_ne_bytes());
        bytes[CMSG_HEADER..length].copy_from_slice(value);
        at + CMSG_SPACE
    }
}

const _: () = assert!(CMSG_HEADER == 16, "written for 64-bit systems");

/// What waits to be sent by one thread.
#[derive(Default)]
pub struct Outbox {
    messages: Vec<Message>,
    pieces: Vec<Piece>,
    /// What `Piece`s of what was written point into.
    written: Vec<u8>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    names: Vec<Name>,
    controls: Vec<Control>,
    no_gso: bool,
    /// The length of the shortest datagrams, above `SAFE_SEGMENT`, whose run was longer than its path takes.
    too_long: Option<usize>,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.pieces.clear();
        self.written.clear();
    }

    /// Keeps bytes until `clear`, for a piece of them.
    pub fn write(&mut self, bytes: &[u8]) -> Piece {
        let at = self.written.len();
        self.written.extend_from_slice(bytes);
        Piece {
            at: at as u32,
            length: bytes.len() as u32,
            source: Source::Written,
        }
    }

    /// Keeps what `write` appends until `clear`, for a piece of it. None when it appends nothing.
    pub fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Option<Piece> {
        let at = self.written.len();
        write(&mut self.written);
        let length = self.written.len() - at;
        (length > 0).then_some(Piece {
            at: at as u32,
            length: length as u32,
            source: Source::Written,
        })
    }

    /// What waits, each message once.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Adds a datagram, to the run of the one before it where that can be. The pieces are to be no more than three.
    pub fn push(&mut self, datagram: Datagram, pieces: &[Piece]) {
        let length: usize = pieces.iter().map(|piece| piece.length as usize).sum();
        if let Some(last) = self.messages.last_mut() {
            let joins = !last.full
                && !self.no_gso
                && last.to == datagram.to
                && last.relay == datagram.relay
                && last.tos == datagram.tos
                && !datagram.dont_fragment
                && (1..=last.segment).contains(&length)
                && last.total + length <= MAX_RUN_BYTES;
            if joins {
                last.segments += 1;
                last.payload += datagram.payload;
                last.total += length;
                last.full = length < last.segment || last.segments == MAX_SEGMENTS;
                self.pieces.extend_from_slice(pieces);
                return;
            }
        }
        self.messages.push(Message {
            relay: datagram.relay,
            segments: 1,
            payload: datagram.payload,
            to: datagram.to,
            tos: datagram.tos,
            dont_fragment: datagram.dont_fragment,
            full: datagram.dont_fragment || self.too_long.is_some_and(|too_long| length >= too_long),
            first_piece: self.pieces.len() as u32,
            segment: length,
            total: length,
        });
        self.pieces.extend_from_slice(pieces);
    }

    /// Sends the messages from `first` on and tells what became of each. `received` are the buffers that received pieces
    /// point into.
    pub fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        first: usize,
        received: &[u8],
        mut outcome: impl FnMut(&Message, Outcome),
    ) {
        let mut next = first;
        while next < self.messages.len() {
            let dont_fragment = self.messages[next].dont_fragment;
            let run = self.messages[next..]
                .iter()
                .take(MAX_MESSAGES)
                .take_while(|message| message.dont_fragment == dont_fragment)
                .count();
            let v6 = self.messages[next].to.ip.is_v6();
            if dont_fragment {
                // When it cannot be set the packets go out as others do.
                let _ = set_dont_fragment(socket, v6, true);
            }
            self.send_run(socket, next, next + run, received, &mut outcome);
            if dont_fragment {
                let _ = set_dont_fragment(socket, v6, false);
            }
            next += run;
        }
    }

    fn send_run(
        &mut self,
        socket: BorrowedFd<'_>,
        first: usize,
        end: usize,
        received: &[u8],
        outcome: &mut impl FnMut(&Message, Outcome),
    ) {
        if let Some(result) = self.send_plain(socket, first, end, received) {
            outcome(&self.messages[first], result);
            return;
        }
        self.prepare(first, end, received);
        let mut next = first;
        let mut tried = false;
        while next < end {
            let error = match self.call(socket, next - first, end - first) {
                Ok(sent) => {
                    for message in &self.messages[next..next + sent] {
                        outcome(message, Outcome::Sent);
                    }
                    next += sent;
                    tried = false;
                    continue;
                }
                Err(error) => error,
            };
            let message = &self.messages[next];
            match error.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    for message in &self.messages[next..end] {
                        outcome(message, Outcome::Full);
                    }
                    return;
                }
                Some(libc::EINTR) => continue,
                // It may be an ICMP error of an earlier packet that the socket had yet to tell.
                _ if !tried => {
                    tried = true;
                    continue;
                }
                Some(code) if message.segments > 1 => {
                    // No checksum offload, or longer than the path takes.
                    self.no_gso |= code == libc::EIO;
                    if code == libc::EMSGSIZE && message.segment > SAFE_SEGMENT {
                        // No longer than what was too long before: of those no runs are made.
                        self.too_long = Some(message.segment);
                    }
                    self.send_apart(socket, next, received, outcome);
                }
                _ => outcome(message, Outcome::Refused),
            }
            next += 1;
            tried = false;
        }
    }

    /// A single datagram in one piece, with nothing special about it, costs the kernel less by itself. None when it is not
    /// one, or was not sent and is to be tried again.
    fn send_plain(&self, socket: BorrowedFd<'_>, first: usize, end: usize, received: &[u8]) -> Option<Outcome> {
        let message = &self.messages[first];
        let pieces = self.pieces.get(message.first_piece as usize..)?;
        if end - first > 1 || message.segments > 1 || message.tos != 0 || end < self.messages.len() {
            return None;
        }
        let [piece] = pieces else { return None };
        let sent = send_to(socket, message.to, bytes_of(*piece, received, &self.written));
        Some(Outcome::of(&sent)).filter(|outcome| *outcome != Outcome::Refused)
    }

    /// Sends the datagrams of a run one by one.
    fn send_apart(
        &mut self,
        socket: BorrowedFd<'_>,
        index: usize,
        received: &[u8],
        outcome: &mut impl FnMut(&Message, Outcome),
    ) {
        let run = &self.messages[index];
        let pieces = &self.pieces[run.first_piece as usize..];
        let per_segment_payload = run.payload / usize::from(run.segments);
        let mut rest_payload = run.payload;
        let mut rest = run.total;
        let mut at = 0;
        let mut datagram = Vec::with_capacity(run.segment);
        while rest > 0 {
            let length = run.segment.min(rest);
            datagram.clear();
            while datagram.len() < length {
                datagram.extend_from_slice(bytes_of(pieces[at], received, &self.written));
                at += 1;
            }
            // Padding of no bytes may follow.
            while pieces.get(at).is_some_and(|piece| piece.length == 0) {
                at += 1;
            }
            rest -= length;
            let payload = if rest == 0 {
                rest_payload
            } else {
                per_segment_payload.min(rest_payload)
            };
            rest_payload -= payload;
            let single = Message {
                segments: 1,
                payload,
                segment: length,
                total: length,
                ..*run
            };
            let mut sent = send_alone(socket, &single, &mut datagram);
            if sent == Outcome::Refused {
                // It may have been an ICMP error of an earlier packet.
                sent = send_alone(socket, &single, &mut datagram);
            }
            outcome(&single, sent);
        }
    }

    /// Fills in what the kernel is to read for these messages.
    fn prepare(&mut self, first: usize, end: usize, received: &[u8]) {
        let count = end - first;
        self.headers.clear();
        self.vectors.clear();
        self.names.clear();
        self.controls.clear();
        self.names.resize(count, Name::default());
        self.controls.resize(count, Control::EMPTY);
        let first_piece = self.messages[first].first_piece as usize;
        let end_piece = match self.messages.get(end) {
            Some(message) => message.first_piece as usize,
            None => self.pieces.len(),
        };
        for piece in &self.pieces[first_piece..end_piece] {
            let bytes = bytes_of(*piece, received, &self.written);
            self.vectors.push(libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
        }
        for (index, message) in self.messages[first..end].iter().enumerate() {
            let next_piece = match self.messages.get(first + index + 1) {
                Some(next) => next.first_piece as usize,
                None => end_piece,
            };
            let vector = message.first_piece as usize - first_piece;
            let (name, name_length) = Name::of(message.to);
            self.names[index] = name;
            let control_length = fill_control(&mut self.controls[index], message);
            self.headers.push(libc::mmsghdr {
                msg_hdr: libc::msghdr {
                    msg_name: (&raw mut self.names[index]).cast(),
                    msg_namelen: name_length,
                    msg_iov: &raw mut self.vectors[vector],
                    msg_iovlen: (next_piece - message.first_piece as usize) as _,
                    msg_control: (&raw mut self.controls[index]).cast(),
                    msg_controllen: control_length as _,
                    msg_flags: 0,
                },
                msg_len: 0,
            });
        }
    }

    fn call(&mut self, socket: BorrowedFd<'_>, from: usize, to: usize) -> io::Result<usize> {
        // SAFETY: `prepare` made each header point into `names`, `vectors` and `controls` after these had their final
        // length, and nothing has touched them since. The vectors point into `written` and into what was received, which
        // `send` keeps borrowed.
        unsafe { send_messages(socket, &mut self.headers[from..to]) }
    }
}

/// A datagram of its own.
fn send_alone(socket: BorrowedFd<'_>, message: &Message, bytes: &mut [u8]) -> Outcome {
    let (mut name, name_length) = Name::of(message.to);
    let mut control = Control::EMPTY;
    let control_length = fill_control(&mut control, message);
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut header = libc::mmsghdr {
        msg_hdr: libc::msghdr {
            msg_name: (&raw mut name).cast(),
            msg_namelen: name_length,
            msg_iov: &raw mut vector,
            msg_iovlen: 1,
            msg_control: (&raw mut control).cast(),
            msg_controllen: control_length as _,
            msg_flags: 0,
        },
        msg_len: 0,
    };
    loop {
        // SAFETY: the header points to `name`, `control` and `vector`, and that to `bytes`; all of them outlive the call.
        let sent = unsafe { send_messages(socket, std::slice::from_mut(&mut header)) };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return Outcome::of(&sent),
        }
    }
}

/// Returns how many were sent.
///
/// # Safety
///
/// What the headers point to is to be there, with the lengths that they say. The kernel only reads it.
unsafe fn send_messages(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    #[cfg(any(test, feature = "fuzz"))]
    if let Some(result) = crate::kernel::sendmmsg(headers) {
        return result;
    }
    // SAFETY: as the caller promises; `headers` are as many as is said.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            headers.len() as libc::c_uint,
            libc::MSG_DONTWAIT as _,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(sent as usize)
    }
}

fn fill_control(control: &mut Control, message: &Message) -> usize {
    let mut length = 0;
    if message.segments > 1 {
        let segment = message.segment as u16;
        length = control.put(length, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }
    if message.tos != 0 {
        let (level, kind) = if message.to.ip.is_v6() {
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
        } else {
            (libc::IPPROTO_IP, libc::IP_TOS)
        };
        length = control.put(length, level, kind, &libc::c_int::from(message.tos).to_ne_bytes());
    }
    length
}

fn bytes_of<'a>(piece: Piece, received: &'a [u8], written: &'a [u8]) -> &'a [u8] {
    let source = if piece.source == Source::Received {
        received
    } else {
        written
    };
    &source[piece.at as usize..][..piece.length as usize]
}

#[cfg(test)]
mod tests;
