//! A network namespace of the benchmark's own, with nothing in it but a loopback device: no other process's packets, no
//! firewall, counters that are this run's alone, and packet sockets may send to 127.0.0.0/8.

use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::net::{AddressFamily, SocketType, socket};
use std::os::fd::AsRawFd;

use crate::raw::ROUTE_LOCALNET;

/// Turns this process into `command`, in a namespace of its own where the system allows it, and otherwise in this one after
/// saying so. Returns only when the command cannot be run.
pub fn run_apart(command: &[OsString]) -> io::Error {
    if let Err(error) = enter() {
        eprintln!(
            "loadgen: no network namespace of its own ({error}): other traffic on the loopback device counts too, and the \
             generator sends through UDP sockets, which costs it more"
        );
    }
    let Some((program, args)) = command.split_first() else {
        return io::Error::other("no command");
    };
    Command::new(program).args(args).exec()
}

fn enter() -> io::Result<()> {
    unshare()?;
    raise_loopback()?;
    fs::write(ROUTE_LOCALNET, "1")
}

/// As root at once; otherwise by way of a user namespace, in which this user is root.
fn unshare() -> io::Result<()> {
    // SAFETY: a process with one thread gives up a namespace; no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        return Ok(());
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // SAFETY: as above.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

fn raise_loopback() -> io::Result<()> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: ifreq is plain data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = CString::from(c"lo");
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is a whole ifreq with a name, which is what SIOCSIFFLAGS reads.
    if unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
