//! What datagrams of the mesh say, once they are opened. The format is the one of `src/mesh/frame.ts`.

use std::ops::Range;

use crate::addr::{Addr, Ip};

const CLIENT_PACKET: u8 = 1;
const CLIENT_REPLY: u8 = 2;
const PEER_PACKET: u8 = 3;
const CONTROL: u8 = 4;
/// Set in the first byte where the addresses are of IPv6.
const V6: u8 = 0x80;
const MAX_HEAD: usize = 5 + 2 * 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientFrame {
    Packet,
    Reply,
}

#[derive(PartialEq, Eq, Debug)]
pub enum Frame {
    /// A message of a client, or one for it.
    Client {
        kind: ClientFrame,
        frontend: u32,
        remote: Addr,
        /// Where in the frame the message is.
        message: Range<usize>,
    },
    /// A datagram that a peer has sent to a relayed address.
    Peer {
        relayed: Addr,
        peer: Addr,
        data: Range<usize>,
    },
    Control {
        data: Range<usize>,
    },
}

/// What stands before the message, or the data.
pub struct Head {
    bytes: [u8; MAX_HEAD],
    length: usize,
}

impl Head {
    pub fn client(kind: ClientFrame, frontend: u32, remote: Addr) -> Self {
        let code = match kind {
            ClientFrame::Packet => CLIENT_PACKET,
            ClientFrame::Reply => CLIENT_REPLY,
        };
        let mut head = Self::new(code, remote.ip);
        head.put(&remote.port.to_be_bytes());
        head.put(&frontend.to_be_bytes());
        head.put_ip(remote.ip);
        head
    }

    /// Both addresses are to be of one family.
    pub fn peer(relayed: Addr, peer: Addr) -> Self {
        let mut head = Self::new(PEER_PACKET, peer.ip);
        head.put(&relayed.port.to_be_bytes());
        head.put(&peer.port.to_be_bytes());
        head.put_ip(relayed.ip);
        head.put_ip(peer.ip);
        head
    }

    pub fn control() -> Self {
        Self::new(CONTROL, Ip::V4_LOOPBACK)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn new(code: u8, ip: Ip) -> Self {
        let mut head = Self {
            bytes: [0; MAX_HEAD],
            length: 0,
        };
        head.put(&[if ip.is_v6() { code | V6 } else { code }]);
        head
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn put_ip(&mut self, ip: Ip) {
        if ip.is_v6() {
            self.put(&ip.v6_octets());
        } else {
            self.put(&ip.v4_octets());
        }
    }
}

impl Frame {
    /// None for what is none.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let first = *frame.first()?;
        let mut reader = Reader {
            frame,
            at: 1,
            v6: first & V6 != 0,
        };
        Some(match first & !V6 {
            code @ (CLIENT_PACKET | CLIENT_REPLY) => {
                let port = reader.u16()?;
                let frontend = u32::from_be_bytes(*reader.array()?);
                let remote = Addr::new(reader.ip()?, port);
                let kind = if code == CLIENT_PACKET {
                    ClientFrame::Packet
                } else {
                    ClientFrame::Reply
                };
                Self::Client {
                    kind,
                    frontend,
                    remote,
                    message: reader.at..frame.len(),
                }
            }
            PEER_PACKET => {
                let (relayed_port, peer_port) = (reader.u16()?, reader.u16()?);
                let relayed = Addr::new(reader.ip()?, relayed_port);
                let peer = Addr::new(reader.ip()?, peer_port);
                Self::Peer {
                    relayed,
                    peer,
                    data: reader.at..frame.len(),
                }
            }
            CONTROL if !reader.v6 => Self::Control { data: 1..frame.len() },
            _ => return None,
        })
    }
}

struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
    v6: bool,
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let array = self.frame.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(array)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.array()?))
    }

    fn ip(&mut self) -> Option<Ip> {
        if self.v6 {
            self.array().copied().map(Ip::v6)
        } else {
            self.array().copied().map(Ip::v4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for ip in [Ip::v4([192, 0, 2, 1]), Ip::v6(std::array::from_fn(|i| i as u8))] {
            let (one, other) = (Addr::new(ip, 4000), Addr::new(ip, 5000));
            for kind in [ClientFrame::Packet, ClientFrame::Reply] {
                let bytes = [Head::client(kind, 0xdead_beef, one).bytes(), b"message"].concat();
                let message = bytes.len() - 7..bytes.len();
                let expected = Frame::Client {
                    kind,
                    frontend: 0xdead_beef,
                    remote: one,
                    message,
                };
                assert_eq!(Frame::read(&bytes), Some(expected));
            }
            let head = Head::peer(one, other);
            let data = head.bytes().len()..head.bytes().len();
            let expected = Frame::Peer {
                relayed: one,
                peer: other,
                data,
            };
            assert_eq!(Frame::read(head.bytes()), Some(expected));
            for length in 0..head.bytes().len() {
                assert_eq!(Frame::read(&head.bytes()[..length]), None);
            }
        }
        assert_eq!(
            Frame::read(Head::control().bytes()),
            Some(Frame::Control { data: 1..1 })
        );
        for bytes in [&[][..], &[0], &[5, 0], &[0x84]] {
            assert_eq!(Frame::read(bytes), None);
        }
    }
}
