//! Datagrams of peers for ports that other relays serve, on a relayed IP that is shared: a BPF program of the type sk_lookup
//! (Linux 5.9) hands them to sockets of ours, whatever their port. Without libbpf or a compiler: the program is the few
//! instructions below, and bpf(2) is called as it is.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::addr::{Addr, Ip};
use crate::mesh::ForeignPorts;
use crate::socket::{self, Buffers};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;

const MAP_TYPE_HASH: u32 = 1;
const MAP_TYPE_SOCKMAP: u32 = 15;
const NO_PREALLOC: u32 = 1;
const PROG_TYPE_SK_LOOKUP: u32 = 30;
const ATTACH_SK_LOOKUP: u32 = 36;

/// Ports of one entry of the map; its value has a bit for each.
const BLOCK: u16 = 64;
/// Enough for all ports of 64 addresses.
const MAX_BLOCKS: u32 = 1 << 16;
/// IP address (16 bytes, of IPv4 the first four), then the block in four bytes, of IPv6 with `V6`.
const KEY: usize = 20;
const V6: u32 = 1 << 16;

/// Why datagrams cannot be steered: at which step, and the system's error.
#[derive(Debug)]
pub struct SteerError {
    step: &'static str,
    error: io::Error,
}

impl fmt::Display for SteerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => " (it takes CAP_NET_ADMIN and CAP_BPF)",
            Some(libc::ENOSYS | libc::EINVAL) => " (it takes Linux 5.9 or newer)",
            _ => "",
        };
        write!(f, "BPF sk_lookup: {}: {}{hint}", self.step, self.error)
    }
}

/// Steers for as long as it is there.
pub struct Steering {
    /// One for each worker.
    pub sockets4: Vec<OwnedFd>,
    /// None without IPv6.
    pub sockets6: Vec<OwnedFd>,
    blocks: OwnedFd,
    _sockets: OwnedFd,
    _program: OwnedFd,
    _link: OwnedFd,
}

impl Steering {
    /// Attaches the program to this thread's network namespace. It steers nothing yet.
    pub fn attach(workers: usize, buffers: Buffers) -> Result<Self, SteerError> {
        if cfg!(target_endian = "big") {
            let error = io::ErrorKind::Unsupported.into();
            return Err(SteerError {
                step: "big endian",
                error,
            });
        }
        let at = |step| move |error| SteerError { step, error };
        let blocks = create_map(MAP_TYPE_HASH, KEY as u32, 8, MAX_BLOCKS, NO_PREALLOC).map_err(at("map of ports"))?;
        let sockets = create_map(MAP_TYPE_SOCKMAP, 4, 4, 2, 0).map_err(at("map of sockets"))?;
        let sockets4 = catch_all(Ip::V4_LOOPBACK, workers, buffers).map_err(at("socket"))?;
        put_socket(&sockets, 0, &sockets4).map_err(at("socket"))?;
        let mut loopback = [0; 16];
        loopback[15] = 1;
        // Without IPv6 on this host there is nothing of it to steer.
        let sockets6 = catch_all(Ip::v6(loopback), workers, buffers).unwrap_or_default();
        if !sockets6.is_empty() {
            put_socket(&sockets, 1, &sockets6).map_err(at("socket"))?;
        }
        let program = load(&program(blocks.as_raw_fd(), sockets.as_raw_fd())).map_err(at("program"))?;
        let namespace = File::open("/proc/thread-self/ns/net").map_err(at("network namespace"))?;
        let link = link(&program, &namespace).map_err(at("attach"))?;
        Ok(Self {
            sockets4,
            sockets6,
            blocks,
            _sockets: sockets,
            _program: program,
            _link: link,
        })
    }

    /// Steers what `all` says for the blocks that a range of ports of an IP touches.
    pub fn update(&self, all: &[ForeignPorts], ip: Ip, (min, max): (u16, u16)) -> io::Result<()> {
        for block in min / BLOCK..=max / BLOCK {
            let mask = all
                .iter()
                .filter(|one| one.ip == ip)
                .fold(0, |mask, one| mask | mask_of(block, one.min, one.max));
            let key = key_of(ip, block);
            if mask == 0 {
                match element(MAP_DELETE, &self.blocks, &key, &[]) {
                    Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
                    _ => {}
                }
            } else {
                element(MAP_UPDATE, &self.blocks, &key, &mask.to_ne_bytes())?;
            }
        }
        Ok(())
    }
}

/// Sockets that tell where datagrams were sent to. Bound to a port of the loopback that nobody knows.
fn catch_all(ip: Ip, workers: usize, buffers: Buffers) -> io::Result<Vec<OwnedFd>> {
    let (sockets, _) = socket::open_listeners(Addr::new(ip, 0), workers, buffers)?;
    let (level, option) = if ip.is_v6() {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR)
    };
    for socket in &sockets {
        socket::set_option(socket.as_fd(), level, option, 1)?;
    }
    Ok(sockets)
}

fn key_of(ip: Ip, block: u16) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[..16].copy_from_slice(&ip.v6_octets());
    let family = if ip.is_v6() { V6 } else { 0 };
    key[16..].copy_from_slice(&(u32::from(block) | family).to_ne_bytes());
    key
}

/// Which ports of a block are within a range.
fn mask_of(block: u16, min: u16, max: u16) -> u64 {
    let first = u32::from(block) * u32::from(BLOCK);
    (0..u32::from(BLOCK))
        .filter(|bit| (u32::from(min)..=u32::from(max)).contains(&(first + bit)))
        .fold(0, |mask, bit| mask | 1 << bit)
}

// --- The program, as kernel documentation "BPF Instruction Set Architecture" has it. ---

const LOAD_CONTEXT: u8 = 0x61; // dst = *(u32 *)(src + off)
const LOAD64: u8 = 0x79; // dst = *(u64 *)(src + off)
const STORE32: u8 = 0x63; // *(u32 *)(dst + off) = src
const STORE64: u8 = 0x7b; // *(u64 *)(dst + off) = src
const MOVE: u8 = 0xbf; // dst = src
const SET: u8 = 0xb7; // dst = imm
const ADD: u8 = 0x07; // dst += imm
const OR: u8 = 0x47; // dst |= imm
const AND: u8 = 0x57; // dst &= imm
const SHIFT: u8 = 0x77; // dst >>= imm
const SHIFT_BY: u8 = 0x7f; // dst >>= src
const LOAD_MAP: u8 = 0x18; // dst = the map whose descriptor is imm; takes two places
const JUMP: u8 = 0x05;
const JUMP_IF: u8 = 0x15; // if dst == imm
const JUMP_UNLESS: u8 = 0x55; // if dst != imm
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

const MAP_LOOKUP: i32 = 1;
const SK_RELEASE: i32 = 86;
const SK_ASSIGN: i32 = 124;
const SK_PASS: i32 = 1;
/// In the source register's place of `LOAD_MAP`.
const MAP_DESCRIPTOR: u8 = 1;

/// Where things are in struct bpf_sk_lookup.
const FAMILY: i16 = 8;
const PROTOCOL: i16 = 12;
const LOCAL_IP4: i16 = 40;
const LOCAL_IP6: i16 = 44;
/// In host byte order.
const LOCAL_PORT: i16 = 60;

/// On the stack: the key of the map of ports; the last four bytes of it are the key of the map of sockets later.
const KEY_AT: i16 = -24;
const BLOCK_AT: i16 = KEY_AT + 16;

const PASS: i16 = i16::MAX;

/// One instruction. Jumps to `PASS` are filled in by `program`.
struct Step {
    code: u8,
    to: u8,
    from: u8,
    offset: i16,
    value: i32,
}

const fn step(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Step {
    Step {
        code,
        to,
        from,
        offset,
        value,
    }
}

/// If the datagram is UDP and its destination is in the map of ports, the socket of its family gets it. Registers: 6 the
/// context, 7 the port and later the socket, 8 the family and later the socket's place, 10 the stack.
fn program(blocks: libc::c_int, sockets: libc::c_int) -> Vec<u64> {
    let mut steps = vec![
        step(MOVE, 6, 1, 0, 0),
        step(LOAD_CONTEXT, 0, 6, PROTOCOL, 0),
        step(JUMP_UNLESS, 0, 0, PASS, libc::IPPROTO_UDP),
        step(LOAD_CONTEXT, 7, 6, LOCAL_PORT, 0),
        step(MOVE, 2, 7, 0, 0),
        step(SHIFT, 2, 0, 0, 6),
        step(SET, 1, 0, 0, 0),
        step(STORE64, 10, 1, KEY_AT, 0),
        step(STORE64, 10, 1, KEY_AT + 8, 0),
        step(LOAD_CONTEXT, 8, 6, FAMILY, 0),
        step(JUMP_UNLESS, 8, 0, 4, libc::AF_INET),
        step(LOAD_CONTEXT, 1, 6, LOCAL_IP4, 0),
        step(STORE32, 10, 1, KEY_AT, 0),
        step(SET, 8, 0, 0, 0),
        step(JUMP, 0, 0, 11, 0),
        step(JUMP_UNLESS, 8, 0, PASS, libc::AF_INET6),
    ];
    for word in 0..4 {
        steps.push(step(LOAD_CONTEXT, 1, 6, LOCAL_IP6 + 4 * word, 0));
        steps.push(step(STORE32, 10, 1, KEY_AT + 4 * word, 0));
    }
    steps.extend([
        step(SET, 8, 0, 0, 1),
        step(OR, 2, 0, 0, V6 as i32),
        step(STORE32, 10, 2, BLOCK_AT, 0),
        step(MOVE, 2, 10, 0, 0),
        step(ADD, 2, 0, 0, KEY_AT.into()),
        step(LOAD_MAP, 1, MAP_DESCRIPTOR, 0, blocks),
        step(0, 0, 0, 0, 0),
        step(CALL, 0, 0, 0, MAP_LOOKUP),
        step(JUMP_IF, 0, 0, PASS, 0),
        step(LOAD64, 1, 0, 0, 0),
        step(AND, 7, 0, 0, i32::from(BLOCK) - 1),
        step(SHIFT_BY, 1, 7, 0, 0),
        step(AND, 1, 0, 0, 1),
        step(JUMP_IF, 1, 0, PASS, 0),
        step(STORE32, 10, 8, BLOCK_AT, 0),
        step(MOVE, 2, 10, 0, 0),
        step(ADD, 2, 0, 0, BLOCK_AT.into()),
        step(LOAD_MAP, 1, MAP_DESCRIPTOR, 0, sockets),
        step(0, 0, 0, 0, 0),
        step(CALL, 0, 0, 0, MAP_LOOKUP),
        step(JUMP_IF, 0, 0, PASS, 0),
        step(MOVE, 7, 0, 0, 0),
        step(MOVE, 1, 6, 0, 0),
        step(MOVE, 2, 0, 0, 0),
        step(SET, 3, 0, 0, 0),
        step(CALL, 0, 0, 0, SK_ASSIGN),
        step(MOVE, 1, 7, 0, 0),
        step(CALL, 0, 0, 0, SK_RELEASE),
        step(SET, 0, 0, 0, SK_PASS),
        step(EXIT, 0, 0, 0, 0),
    ]);
    let pass = steps.len() - 2;
    let encode = |(index, step): (usize, &Step)| {
        let offset = if step.offset == PASS {
            (pass - index - 1) as i16
        } else {
            step.offset
        };
        u64::from(step.code)
            | u64::from(step.to | step.from << 4) << 8
            | u64::from(offset as u16) << 16
            | u64::from(step.value as u32) << 32
    };
    steps.iter().enumerate().map(encode).collect()
}

// --- bpf(2) ---

fn create_map(kind: u32, key: u32, value: u32, entries: u32, flags: u32) -> io::Result<OwnedFd> {
    descriptor(bpf(MAP_CREATE, &[kind, key, value, entries, flags]))
}

#[repr(C)]
struct Element {
    map: u32,
    _padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The sizes of `key` and `value` are to be those of the map.
fn element(command: libc::c_int, map: &OwnedFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    let attributes = Element {
        map: map.as_raw_fd() as u32,
        _padding: 0,
        key: key.as_ptr() as u64,
        // What a command does not use is to be zero.
        value: if value.is_empty() { 0 } else { value.as_ptr() as u64 },
        flags: 0,
    };
    bpf(command, &attributes).map(drop)
}

fn put_socket(map: &OwnedFd, place: u32, sockets: &[OwnedFd]) -> io::Result<()> {
    let first = sockets.first().ok_or(io::ErrorKind::InvalidInput)?;
    let value = first.as_raw_fd().to_ne_bytes();
    element(MAP_UPDATE, map, &place.to_ne_bytes(), &value)
}

#[repr(C)]
struct Load {
    kind: u32,
    length: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

fn load(program: &[u64]) -> io::Result<OwnedFd> {
    let attributes = Load {
        kind: PROG_TYPE_SK_LOOKUP,
        length: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"culvert_steer\0\0\0",
        interface: 0,
        attach: ATTACH_SK_LOOKUP,
    };
    descriptor(bpf(PROG_LOAD, &attributes))
}

fn link(program: &OwnedFd, namespace: &File) -> io::Result<OwnedFd> {
    let (program, namespace) = (program.as_raw_fd() as u32, namespace.as_raw_fd() as u32);
    descriptor(bpf(LINK_CREATE, &[program, namespace, ATTACH_SK_LOOKUP, 0]))
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of the attributes, which are plain integers laid out as it has them,
    // and what those point to, which the callers keep for the call with the lengths that they say.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn descriptor(result: io::Result<libc::c_long>) -> io::Result<OwnedFd> {
    // SAFETY: these commands return a new descriptor, close-on-exec, that is nobody else's.
    result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_ports_of_their_ranges() {
        assert_eq!(mask_of(1, 64, 127), u64::MAX);
        assert_eq!(mask_of(1, 0, 65_535), u64::MAX);
        assert_eq!(mask_of(1, 65, 66), 0b110);
        assert_eq!(mask_of(1, 0, 63), 0);
        assert_eq!(mask_of(1023, 65_535, 65_535), 1 << 63);
    }

    #[test]
    fn an_ipv4_address_is_no_ipv6_address_that_begins_alike() {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&[192, 0, 2, 1]);
        assert_ne!(key_of(Ip::v4([192, 0, 2, 1]), 7), key_of(Ip::v6(octets), 7));
    }
}
