//! A UDP socket of the generator.

use std::io;
use std::mem;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

const RECEIVE_BUFFER: usize = 16 << 20;

/// A bound, non-blocking UDP socket.
pub struct Endpoint {
    fd: OwnedFd,
    pub local: SocketAddrV4,
}

impl Endpoint {
    /// Binds `address`; the receive buffer is made large, so that what is lost was not lost here.
    pub fn bind(address: SocketAddrV4) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        if sockopt::set_socket_recv_buffer_size_force(&fd, RECEIVE_BUFFER).is_err() {
            sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER)?;
        }
        bind(&fd, &address)?;
        let local = SocketAddrV4::try_from(getsockname(&fd)?)?;
        Ok(Self { fd, local })
    }

    /// Lets the kernel hand runs of one flow up joined (UDP_GRO), as it has them when they were sent with UDP GSO.
    pub fn join_runs(&self) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: `on` is readable for its size.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_UDP,
                libc::UDP_GRO,
                (&raw const on).cast(),
                mem::size_of_val(&on) as libc::socklen_t,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Datagrams dropped because this socket's receive buffer was full, since it was opened.
    pub fn drops(&self) -> io::Result<u32> {
        const SK_MEMINFO_DROPS: usize = 8;
        let mut info = [0u32; 9];
        let mut length = mem::size_of_val(&info) as libc::socklen_t;
        // SAFETY: `info` is writable for `length` bytes, and the kernel writes no more than that.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &mut length,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(info[SK_MEMINFO_DROPS])
    }
}

impl AsFd for Endpoint {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
