//! UDP sockets: how they are opened, and the ICMP errors that they collect.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socket_with, sockopt};

use crate::addr::{Addr, NAME_LEN, Name};
use crate::event::Icmp;

const ON: libc::c_int = 1;

/// Buffers of a socket in bytes; the kernel may grant less.
#[derive(Clone, Copy)]
pub struct Buffers {
    pub receive: usize,
    pub send: usize,
}

/// Opens the sockets of a listener, one for each worker. The first is bound alone, so that an address that another process
/// has is found taken; the others join it.
pub fn open_listeners(local: Addr, count: usize, buffers: Buffers) -> io::Result<(Vec<OwnedFd>, Addr)> {
    let first = open(local, buffers, false)?;
    let local = local_addr(first.as_fd())?;
    let mut sockets = vec![first];
    if count > 1 {
        sockopt::set_socket_reuseport(&sockets[0], true)?;
    }
    while sockets.len() < count {
        sockets.push(open(local, buffers, true)?);
    }
    Ok((sockets, local))
}

/// Opens the sockets of a mesh, one for each worker. What a worker of another relay sends comes to one worker here: the
/// worker's number is the third byte of each datagram. Longer datagrams than the path takes are left to be fragmented.
pub fn open_mesh(local: Addr, count: usize, buffers: Buffers) -> io::Result<(Vec<OwnedFd>, Addr)> {
    let (sockets, local) = open_listeners(local, count, buffers)?;
    for socket in &sockets {
        set_dont_fragment(socket.as_fd(), local.ip.is_v6(), false)?;
    }
    if count > 1 {
        choose_by_byte(sockets[0].as_fd(), 2, count as u32)?;
    }
    Ok((sockets, local))
}

/// Of sockets that share an address, the one with the number that a byte of the datagram is, modulo their count.
fn choose_by_byte(socket: BorrowedFd<'_>, at: u32, count: u32) -> io::Result<()> {
    let step = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, at),
        step(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, count),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the option's value is a program of `len` steps, all of which outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Opens a relay socket, which collects ICMP errors and leaves fragmentation to the network (RFC 8656 section 14) unless a
/// packet is sent under `set_dont_fragment`.
pub fn open_relay(local: Addr, buffers: Buffers) -> io::Result<(OwnedFd, Addr)> {
    let socket = open(local, buffers, false)?;
    let (level, errors) = if local.ip.is_v6() {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    set_dont_fragment(socket.as_fd(), local.ip.is_v6(), false)?;
    set_option(socket.as_fd(), level, errors, ON)?;
    let local = local_addr(socket.as_fd())?;
    Ok((socket, local))
}

fn open(local: Addr, buffers: Buffers, join: bool) -> io::Result<OwnedFd> {
    let v6 = local.ip.is_v6();
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    if v6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if join {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    // Beyond what the system grants everybody takes a privilege that may not be there.
    if sockopt::set_socket_recv_buffer_size_force(&socket, buffers.receive).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, buffers.receive)?;
    }
    sockopt::set_socket_send_buffer_size(&socket, buffers.send)?;
    // Not there before Linux 5.0: datagrams then come one by one.
    let _ = set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, ON);
    let (level, tos) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVTOS)
    };
    set_option(socket.as_fd(), level, tos, ON)?;
    bind(socket.as_fd(), local)?;
    Ok(socket)
}

fn bind(socket: BorrowedFd<'_>, local: Addr) -> io::Result<()> {
    let (name, length) = Name::of(local);
    // SAFETY: `name` is a socket address of `length` bytes.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), length) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn local_addr(socket: BorrowedFd<'_>) -> io::Result<Addr> {
    let mut name = Name::default();
    let mut length = NAME_LEN;
    // SAFETY: `name` has room for `length` bytes, and the kernel writes no more than that.
    let result = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut name).cast(), &raw mut length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    name.addr().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

pub fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the option's value is one int, which is what the pointer and the length say.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Sends one datagram.
pub fn send_to(socket: BorrowedFd<'_>, to: Addr, bytes: &[u8]) -> io::Result<()> {
    #[cfg(any(test, feature = "fuzz"))]
    if let Some(result) = crate::kernel::send_to(to, bytes) {
        return result;
    }
    let (name, length) = Name::of(to);
    // SAFETY: the pointers are to `bytes` and to a socket address of `length` bytes, both borrowed for the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT,
            (&raw const name).cast(),
            length,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Sets the DF bit of what is sent from now on (RFC 8656 section 18.9), or leaves fragmentation to the network. Linux has
/// it as an option of the socket only, so what another thread sends meanwhile may get it as well.
pub fn set_dont_fragment(socket: BorrowedFd<'_>, v6: bool, on: bool) -> io::Result<()> {
    let (level, option, value) = match (v6, on) {
        (true, true) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO),
        (true, false) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT),
        (false, true) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
        (false, false) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
    };
    set_option(socket, level, option, value)
}

/// Takes one ICMP error out of the error queue of a relay socket: where the packet was sent, and the error. Err(WouldBlock)
/// when there is none; Ok(None) for one that is not of ICMP.
pub fn take_error(socket: BorrowedFd<'_>) -> io::Result<Option<(Addr, Icmp)>> {
    let mut name = Name::default();
    // The offending packet comes along as data; nobody needs it.
    let mut control = [0u64; 64];
    let mut header = libc::msghdr {
        msg_name: (&raw mut name).cast(),
        msg_namelen: NAME_LEN,
        msg_iov: std::ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: control.as_mut_ptr().cast(),
        msg_controllen: size_of_val(&control) as _,
        msg_flags: 0,
    };
    let flags = (RecvFlags::ERRQUEUE | RecvFlags::DONTWAIT).bits() as libc::c_int;
    // SAFETY: `header` points to `name` and `control`, which live until after the last use of it, with their lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    let Some(to) = name.addr() else { return Ok(None) };
    // SAFETY: the kernel has filled `header` in, and the CMSG macros stay within `msg_controllen`. A message of these
    // types has a sock_extended_err as its data, read without assuming its alignment.
    let error = unsafe {
        let mut error = None;
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            if matches!(
                kind,
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
            ) {
                error = Some(
                    libc::CMSG_DATA(message)
                        .cast::<libc::sock_extended_err>()
                        .read_unaligned(),
                );
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
        error
    };
    let icmp = error.filter(|error| matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6));
    Ok(icmp.map(|error| {
        let icmp = Icmp {
            kind: error.ee_type,
            code: error.ee_code,
            data: next_hop_mtu(&error),
        };
        (to, icmp)
    }))
}

/// For "fragmentation needed" and "packet too big", otherwise 0.
fn next_hop_mtu(error: &libc::sock_extended_err) -> u32 {
    const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
    const PACKET_TOO_BIG: u8 = 2;
    let too_big = if error.ee_origin == libc::SO_EE_ORIGIN_ICMP6 {
        error.ee_type == PACKET_TOO_BIG
    } else {
        (error.ee_type, error.ee_code) == FRAGMENTATION_NEEDED
    };
    if too_big { error.ee_info } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Ip;

    fn mtu_discovery(socket: &OwnedFd, v6: bool) -> libc::c_int {
        let (level, option) = if v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER)
        } else {
            (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)
        };
        let mut value: libc::c_int = -1;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the option's value is one int, which is what the pointer and the length say.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                level,
                option,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        assert_eq!(result, 0);
        value
    }

    #[test]
    fn a_relay_leaves_fragmentation_to_the_network_unless_told_otherwise() {
        let mut loopback = [0; 16];
        loopback[15] = 1;
        for ip in [Ip::V4_LOOPBACK, Ip::v6(loopback)] {
            let buffers = Buffers {
                receive: 4096,
                send: 4096,
            };
            let (socket, _) = open_relay(Addr::new(ip, 0), buffers).unwrap();
            assert_eq!(mtu_discovery(&socket, ip.is_v6()), libc::IP_PMTUDISC_DONT);
            set_dont_fragment(socket.as_fd(), ip.is_v6(), true).unwrap();
            assert_eq!(mtu_discovery(&socket, ip.is_v6()), libc::IP_PMTUDISC_DO);
            set_dont_fragment(socket.as_fd(), ip.is_v6(), false).unwrap();
            assert_eq!(mtu_discovery(&socket, ip.is_v6()), libc::IP_PMTUDISC_DONT);
        }
    }
}
