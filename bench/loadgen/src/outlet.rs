//! Where a trial's packets go out: a UDP socket, or past it by a packet socket, which costs the generator less.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::endpoint::Endpoint;
use crate::raw::{RawBatch, RawSocket};
use crate::send::SendBatch;

pub enum Outlet<'a> {
    Socket {
        batch: SendBatch,
        endpoint: &'a Endpoint,
    },
    Raw {
        batch: RawBatch,
        socket: &'a RawSocket,
        port: u16,
    },
}

impl<'a> Outlet<'a> {
    /// Room for `capacity` messages, each of up to `run` datagrams of one flow: a packet socket sends single ones only.
    pub fn new(endpoint: &'a Endpoint, raw: Option<&'a RawSocket>, capacity: usize, run: usize) -> Self {
        match raw {
            Some(socket) if run == 1 => Self::Raw {
                batch: RawBatch::new(capacity),
                socket,
                port: endpoint.local.port(),
            },
            _ => Self::Socket {
                batch: SendBatch::new(capacity, run),
                endpoint,
            },
        }
    }

    /// Adds one datagram from `source`, or a run of them of `segment` bytes each; `write` fills the buffer and tells the
    /// length of it all.
    pub fn push(
        &mut self,
        source: Ipv4Addr,
        to: SocketAddrV4,
        segment: Option<u16>,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        match self {
            Self::Socket { batch, .. } => batch.push_run(Some(source), to, segment, write),
            Self::Raw { batch, port, .. } => batch.push(SocketAddrV4::new(source, *port), to, write),
        }
    }

    /// Sends all that was pushed. Returns how many messages the kernel refused.
    pub fn flush(&mut self) -> usize {
        match self {
            Self::Socket { batch, endpoint } => batch.flush(endpoint),
            Self::Raw { batch, socket, .. } => batch.flush(socket),
        }
    }
}
