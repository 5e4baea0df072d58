//! Descriptors of a gateway and of the tests themselves: how many there may be, and the sockets
//! behind them.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::libc;
use socket2::Socket;

use super::*;

/// Pairs at once, and the descriptors that they leave to other tests. Each takes two here and two
/// there.
pub const PAIRS: usize = 6000;
pub const DESCRIPTORS_OF_OTHERS: usize = 2000;
/// The descriptor limit with which all tests do all that they are for.
pub const DESCRIPTORS_FOR_ALL: usize = 2 * PAIRS + DESCRIPTORS_OF_OTHERS;

/// The pid of the gateway as system calls take it.
pub fn signed_pid(gateway: &Gateway) -> libc::pid_t {
    libc::pid_t::try_from(gateway.pid()).expect("a pid is a positive i32")
}

/// The gateway's TCP sockets as descriptors of this process, with which their options can be
/// asked. `None` where a sandbox forbids that.
pub fn borrow_sockets(gateway: &Gateway) -> Option<Vec<Socket>> {
    let pid = libc::c_long::from(signed_pid(gateway));
    // SAFETY: takes no pointers; the result is checked.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let process = owned(process).expect("pidfd_open() of our own child");
    let mut sockets = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("a running gateway has them") {
        let path = entry.expect("a running gateway has them").path();
        let is_socket = |target: &Path| target.to_string_lossy().starts_with("socket:");
        if !fs::read_link(&path).is_ok_and(|target| is_socket(&target)) {
            continue;
        }
        let name = path.file_name().expect("the name of an entry").to_string_lossy();
        let number: libc::c_long = name.parse().expect("its name is its number");
        // SAFETY: as above.
        let copy = unsafe {
            libc::syscall(libc::SYS_pidfd_getfd, libc::c_long::from(process.as_raw_fd()), number, 0)
        };
        match owned(copy) {
            Ok(socket) => sockets.push(Socket::from(socket)),
            Err(error) => {
                needs_privilege(&format!("pidfd_getfd() is forbidden here: {error}"));
                return None;
            }
        }
    }
    // Signals may come through a socket as well; that one has no address.
    sockets.retain(|socket| socket.local_addr().is_ok_and(|address| address.as_socket().is_some()));
    Some(sockets)
}

pub fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    match libc::c_int::try_from(result) {
        // SAFETY: a descriptor that the kernel has just made for us, and nothing else owns.
        Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The descriptor limits of a process, or of this one for the pid 0: 64 bits on every platform,
/// unlike those of getrlimit(2).
pub fn descriptor_limits(pid: libc::pid_t) -> libc::rlimit64 {
    let mut limits = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel reads nothing and writes one rlimit64, which `limits` is.
    let result =
        unsafe { libc::prlimit64(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limits) };
    assert_eq!(result, 0, "prlimit: {}", io::Error::last_os_error());
    limits
}

/// Sets what [`descriptor_limits`] returns.
pub fn set_descriptor_limits(pid: libc::pid_t, limits: libc::rlimit64) {
    // SAFETY: the kernel reads one rlimit64, which `limits` is, and writes nothing.
    let result = unsafe {
        libc::prlimit64(pid, libc::RLIMIT_NOFILE, &raw const limits, std::ptr::null_mut())
    };
    assert_eq!(result, 0, "prlimit: {}", io::Error::last_os_error());
}

/// Changes the soft descriptor limit of the running gateway, and returns the one before.
pub fn set_soft_limit(gateway: &Gateway, soft: u64) -> u64 {
    let pid = signed_pid(gateway);
    let before = descriptor_limits(pid);
    set_descriptor_limits(pid, libc::rlimit64 { rlim_cur: soft, ..before });
    before.rlim_cur
}

/// The most descriptors that this process, or a child of it, may open.
pub fn own_hard_limit() -> u64 {
    descriptor_limits(0).rlim_max
}

/// Lets this process open as many descriptors as it may, and tells how many that are.
pub fn raise_own_limit() -> usize {
    let hard = own_hard_limit();
    set_descriptor_limits(0, libc::rlimit64 { rlim_cur: hard, rlim_max: hard });
    usize::try_from(hard).unwrap_or(usize::MAX)
}
