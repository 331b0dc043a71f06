//! Commands of the control loop: packed one after the other, little endian, in the order in which they are carried out.

use crate::addr::{ADDR_LEN, Addr, IP_LEN, Ip};
use crate::mesh::seal::{Instance, KEY, SealKey};
use crate::table::{Allocation, Channel, Permission, Tuple};

pub enum Command<'a> {
    SendToClient {
        client: Tuple,
        bytes: &'a [u8],
    },
    SendToPeer {
        relay: f64,
        peer: Addr,
        dont_fragment: bool,
        bytes: &'a [u8],
    },
    Bind {
        relay: f64,
        local: Addr,
        lease: Option<f64>,
        /// Packets and bytes to peers, packets and bytes to the client.
        counters: Option<[f64; 4]>,
    },
    Unbind {
        relay: f64,
    },
    Allocation {
        relay: f64,
        allocation: Allocation,
    },
    Permission {
        relay: f64,
        permission: Permission,
    },
    Channel {
        relay: f64,
        channel: Channel,
    },
    RevokePermission {
        relay: f64,
        ip: Ip,
    },
    RevokeChannel {
        relay: f64,
        number: u16,
    },
    Lease {
        lease: f64,
        deadline: f64,
    },
    MeshPeer {
        peer: f64,
        instance: Instance,
        addr: Addr,
        keys: PackedKeys<'a>,
    },
    MeshPeerGone {
        peer: f64,
    },
    MeshKeys {
        keys: PackedKeys<'a>,
    },
    MeshSend {
        peer: f64,
        bytes: &'a [u8],
    },
    Forward {
        peer: f64,
        client: Tuple,
        bytes: &'a [u8],
    },
    ForeignClient {
        client: Tuple,
        peer: f64,
        deadline: f64,
    },
    RevokeForeignClient {
        client: Tuple,
    },
    ForeignPorts {
        ip: Ip,
        ports: (u16, u16),
        peer: f64,
        deadline: f64,
    },
    RevokeForeignPorts {
        ip: Ip,
        ports: (u16, u16),
    },
}

/// Keys of the mesh: each its id, then itself.
#[derive(Clone, Copy)]
pub struct PackedKeys<'a>(pub &'a [u8]);

impl PackedKeys<'_> {
    pub fn unpack(self) -> Box<[SealKey]> {
        let keys = self.0.chunks_exact(1 + KEY);
        keys.filter_map(|packed| SealKey::new(packed[0], packed[1..].first_chunk()?))
            .collect()
    }
}

/// Commands that are not packed as they are to be: the two sides are not of one version.
#[derive(Debug, PartialEq, Eq)]
pub struct MalformedCommand;

/// Reads packed commands.
pub struct Commands<'a> {
    rest: &'a [u8],
}

impl<'a> Commands<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// None at the end.
    pub fn next(&mut self) -> Result<Option<Command<'a>>, MalformedCommand> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.read().map(Some).ok_or(MalformedCommand)
    }

    fn read(&mut self) -> Option<Command<'a>> {
        Some(match self.u8()? {
            1 => Command::SendToClient {
                client: self.tuple()?,
                bytes: self.bytes()?,
            },
            2 => Command::SendToPeer {
                relay: self.f64()?,
                peer: self.addr()?,
                dont_fragment: self.u8()? != 0,
                bytes: self.bytes()?,
            },
            3 => Command::Bind {
                relay: self.f64()?,
                local: self.addr()?,
                lease: self.optional()?,
                counters: self.counters()?,
            },
            4 => Command::Unbind { relay: self.f64()? },
            5 => Command::Allocation {
                relay: self.f64()?,
                allocation: Allocation {
                    client: self.tuple()?,
                    v6: self.u8()? == 6,
                    deadline: self.f64()?,
                    rate: self.optional()?,
                },
            },
            6 => Command::Permission {
                relay: self.f64()?,
                permission: self.permission()?,
            },
            7 => Command::Channel {
                relay: self.f64()?,
                channel: Channel {
                    number: self.u16()?,
                    peer: self.addr()?,
                    wire: self.ip()?,
                    deadline: self.f64()?,
                },
            },
            8 => Command::RevokePermission {
                relay: self.f64()?,
                ip: self.ip()?,
            },
            9 => Command::RevokeChannel {
                relay: self.f64()?,
                number: self.u16()?,
            },
            10 => Command::Lease {
                lease: self.f64()?,
                deadline: self.f64()?,
            },
            11 => Command::MeshPeer {
                peer: self.f64()?,
                instance: *self.array()?,
                addr: self.addr()?,
                keys: self.keys()?,
            },
            12 => Command::MeshPeerGone { peer: self.f64()? },
            13 => Command::MeshKeys { keys: self.keys()? },
            14 => Command::MeshSend {
                peer: self.f64()?,
                bytes: self.bytes()?,
            },
            15 => Command::Forward {
                peer: self.f64()?,
                client: self.tuple()?,
                bytes: self.bytes()?,
            },
            16 => Command::ForeignClient {
                client: self.tuple()?,
                peer: self.f64()?,
                deadline: self.f64()?,
            },
            17 => Command::RevokeForeignClient { client: self.tuple()? },
            18 => Command::ForeignPorts {
                ip: self.ip()?,
                ports: (self.u16()?, self.u16()?),
                peer: self.f64()?,
                deadline: self.f64()?,
            },
            19 => Command::RevokeForeignPorts {
                ip: self.ip()?,
                ports: (self.u16()?, self.u16()?),
            },
            _ => return None,
        })
    }

    /// A number that may be missing: it is none then.
    fn optional(&mut self) -> Option<Option<f64>> {
        Some(Some(self.f64()?).filter(|value| !value.is_nan()))
    }

    fn counters(&mut self) -> Option<Option<[f64; 4]>> {
        let mut counters = [0.0; 4];
        for counter in &mut counters {
            *counter = self.f64()?;
        }
        Some(Some(counters).filter(|counters| !counters.iter().any(|counter| counter.is_nan())))
    }

    fn keys(&mut self) -> Option<PackedKeys<'a>> {
        let length = usize::from(self.u8()?) * (1 + KEY);
        let (keys, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(PackedKeys(keys))
    }

    fn permission(&mut self) -> Option<Permission> {
        let (ip, wire, deadline) = (self.ip()?, self.ip()?, self.f64()?);
        let (min, max) = (self.u16()?, self.u16()?);
        let count = self.u16()?;
        let except_ports = (0..count).map(|_| self.u16()).collect::<Option<_>>()?;
        Some(Permission {
            ip,
            wire,
            deadline,
            ports: ((min, max) != (0, u16::MAX)).then_some((min, max)),
            except_ports,
        })
    }

    fn tuple(&mut self) -> Option<Tuple> {
        Some(Tuple {
            listener: u32::from_le_bytes(*self.array()?),
            remote: self.addr()?,
        })
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(*self.array()?) as usize;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn addr(&mut self) -> Option<Addr> {
        Addr::unpack(self.array::<ADDR_LEN>()?)
    }

    fn ip(&mut self) -> Option<Ip> {
        Ip::unpack(self.array::<IP_LEN>()?)
    }

    fn f64(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(*self.array()?))
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(*self.array()?))
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands_in_their_order() {
        let mut bytes = vec![4];
        bytes.extend_from_slice(&7f64.to_le_bytes());
        bytes.push(9);
        bytes.extend_from_slice(&8f64.to_le_bytes());
        bytes.extend_from_slice(&0x4001u16.to_le_bytes());
        let mut commands = Commands::new(&bytes);
        assert!(matches!(commands.next(), Ok(Some(Command::Unbind { relay: 7.0 }))));
        assert!(matches!(
            commands.next(),
            Ok(Some(Command::RevokeChannel {
                relay: 8.0,
                number: 0x4001
            }))
        ));
        assert!(matches!(commands.next(), Ok(None)));
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_malformed() {
        for bytes in [&[4, 0, 0][..], &[99], &[1, 0, 0, 0, 0, 5]] {
            assert!(Commands::new(bytes).next().is_err());
        }
    }
}
