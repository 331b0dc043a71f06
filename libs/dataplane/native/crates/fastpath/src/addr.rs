//! Addresses as the table keys them: fixed width, compared as bytes.

use std::hash::{Hash, Hasher};

/// An IP address. One of IPv4 is not the same as its IPv4-mapped form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ip {
    /// Of IPv4 the first four, then zeros.
    octets: [u8; 16],
    v6: bool,
}

/// Bytes of a packed `Ip`: the family (4 or 6), then 16 bytes of which IPv4 fills the first four.
pub const IP_LEN: usize = 17;
/// Bytes of a packed `Addr`: an `Ip`, then the port, little endian.
pub const ADDR_LEN: usize = IP_LEN + 2;

impl Ip {
    pub const V4_LOOPBACK: Self = Self::v4([127, 0, 0, 1]);

    pub const fn v4([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            octets: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            v6: false,
        }
    }

    pub const fn v6(octets: [u8; 16]) -> Self {
        Self { octets, v6: true }
    }

    pub fn is_v6(self) -> bool {
        self.v6
    }

    pub fn v4_octets(self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.octets;
        [a, b, c, d]
    }

    pub fn v6_octets(self) -> [u8; 16] {
        self.octets
    }

    pub fn unpack(bytes: &[u8; IP_LEN]) -> Option<Self> {
        let mut octets = [0; 16];
        octets.copy_from_slice(&bytes[1..]);
        match bytes[0] {
            4 => Some(Self::v4([octets[0], octets[1], octets[2], octets[3]])),
            6 => Some(Self::v6(octets)),
            _ => None,
        }
    }

    pub fn pack(self) -> [u8; IP_LEN] {
        let mut bytes = [0; IP_LEN];
        bytes[0] = if self.v6 { 6 } else { 4 };
        bytes[1..].copy_from_slice(&self.octets);
        bytes
    }
}

impl Hash for Ip {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.octets));
        state.write_u8(self.v6.into());
    }
}

/// An IP address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Addr {
    pub ip: Ip,
    pub port: u16,
}

impl Addr {
    pub fn new(ip: Ip, port: u16) -> Self {
        Self { ip, port }
    }

    pub fn unpack(bytes: &[u8; ADDR_LEN]) -> Option<Self> {
        let mut ip = [0; IP_LEN];
        ip.copy_from_slice(&bytes[..IP_LEN]);
        let port = u16::from_le_bytes([bytes[IP_LEN], bytes[IP_LEN + 1]]);
        Some(Self::new(Ip::unpack(&ip)?, port))
    }

    pub fn of_v4(name: libc::sockaddr_in) -> Self {
        let port = u16::from_be(name.sin_port);
        Self::new(Ip::v4(name.sin_addr.s_addr.to_ne_bytes()), port)
    }

    pub fn of_v6(name: libc::sockaddr_in6) -> Self {
        Self::new(Ip::v6(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port))
    }

    pub fn pack(self) -> [u8; ADDR_LEN] {
        let mut bytes = [0; ADDR_LEN];
        bytes[..IP_LEN].copy_from_slice(&self.ip.pack());
        bytes[IP_LEN..].copy_from_slice(&self.port.to_le_bytes());
        bytes
    }
}

/// Room for a socket address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
pub union Name {
    pub family: libc::sa_family_t,
    pub v4: libc::sockaddr_in,
    pub v6: libc::sockaddr_in6,
}

pub const NAME_LEN: libc::socklen_t = size_of::<Name>() as libc::socklen_t;

impl Default for Name {
    fn default() -> Self {
        Self {
            v6: libc::sockaddr_in6 {
                sin6_family: libc::AF_UNSPEC as libc::sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
                sin6_scope_id: 0,
            },
        }
    }
}

impl Name {
    /// The address, and how much of it the kernel is to read.
    pub fn of(addr: Addr) -> (Self, libc::socklen_t) {
        if addr.ip.v6 {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: addr.port.to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr {
                    s6_addr: addr.ip.v6_octets(),
                },
                sin6_scope_id: 0,
            };
            (Self { v6 }, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        } else {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: addr.port.to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(addr.ip.v4_octets()),
                },
                sin_zero: [0; 8],
            };
            // All of the union is to be initialized, whichever field is read.
            let mut name = Self::default();
            name.v4 = v4;
            (name, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
    }

    pub fn addr(&self) -> Option<Addr> {
        // SAFETY: every `Name` begins as `default`, all of whose bytes are initialized, and all fields are plain integers.
        let (family, v4, v6) = unsafe { (self.family, &self.v4, &self.v6) };
        match i32::from(family) {
            libc::AF_INET => Some(Addr::of_v4(*v4)),
            libc::AF_INET6 => Some(Addr::of_v6(*v6)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_names_both_families() {
        let mut v6 = [0; 16];
        v6[15] = 1;
        for ip in [Ip::v4([192, 0, 2, 1]), Ip::v6(v6)] {
            let addr = Addr::new(ip, 3478);
            assert_eq!(Addr::unpack(&addr.pack()), Some(addr));
            assert_eq!(Name::of(addr).0.addr(), Some(addr));
        }
    }

    #[test]
    fn an_ipv4_address_is_not_its_mapped_form() {
        let mut mapped = [0; 16];
        mapped[10..12].fill(0xff);
        mapped[12..].copy_from_slice(&[192, 0, 2, 1]);
        assert_ne!(Ip::v4([192, 0, 2, 1]), Ip::v6(mapped));
        assert_eq!(Ip::unpack(&[5; IP_LEN]), None);
    }
}
