//! The meaning of the errno of a failed call.

use std::io;

use nix::libc;

use super::NetError;

/// The one table from errno to the errors that this program distinguishes.
pub(super) fn net_error(error: io::Error) -> NetError {
    let Some(errno) = error.raw_os_error() else {
        // One of our own making (`listener.rs`).
        let is_taken = error.kind() == io::ErrorKind::AddrInUse;
        return if is_taken { NetError::AddressInUse } else { NetError::Other(0) };
    };
    match errno {
        libc::ECONNREFUSED => NetError::Refused,
        libc::ECONNRESET | libc::EPIPE | libc::ENOTCONN => NetError::Reset,
        libc::ETIMEDOUT => NetError::TimedOut,
        libc::EHOSTUNREACH | libc::EHOSTDOWN => NetError::HostUnreachable,
        libc::ENETUNREACH | libc::ENETDOWN | libc::EAFNOSUPPORT => NetError::NetworkUnreachable,
        libc::EADDRNOTAVAIL => NetError::AddressNotAvailable,
        libc::EADDRINUSE => NetError::AddressInUse,
        libc::EMFILE | libc::ENFILE => NetError::Descriptors,
        libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC => NetError::Memory,
        libc::ECONNABORTED | libc::EPROTO => NetError::Aborted,
        libc::EACCES | libc::EPERM => NetError::Denied,
        libc::ENOSYS => NetError::NotSupported,
        other => NetError::Other(other),
    }
}

/// Whether the error may mean that splice(2) is not available: EINVAL and ENOSYS are the kernel's,
/// EPERM and EACCES those of a sandbox.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EACCES))
}

/// Repeats the call while a signal interrupts it.
pub(super) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_are_told_apart() {
        for (errno, want) in [
            (libc::ECONNREFUSED, NetError::Refused),
            (libc::ECONNRESET, NetError::Reset),
            (libc::EPIPE, NetError::Reset),
            (libc::ETIMEDOUT, NetError::TimedOut),
            (libc::EHOSTUNREACH, NetError::HostUnreachable),
            (libc::ENETUNREACH, NetError::NetworkUnreachable),
            (libc::EADDRNOTAVAIL, NetError::AddressNotAvailable),
            (libc::EADDRINUSE, NetError::AddressInUse),
            (libc::EMFILE, NetError::Descriptors),
            (libc::ENFILE, NetError::Descriptors),
            (libc::ENOBUFS, NetError::Memory),
            (libc::ENOMEM, NetError::Memory),
            (libc::ECONNABORTED, NetError::Aborted),
            (libc::EPERM, NetError::Denied),
            (libc::EINVAL, NetError::Other(libc::EINVAL)),
        ] {
            assert_eq!(net_error(io::Error::from_raw_os_error(errno)), want, "errno {errno}");
        }
    }
}
