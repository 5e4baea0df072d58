//! Notifies the service manager of the state of this process: the protocol of sd_notify(3), a
//! datagram to the socket that `NOTIFY_SOCKET` names. Without that variable nothing is sent.
//!
//! A socket of a virtual machine's host (`vsock:CID:PORT`) is recognized and not supported: systemd
//! gives one to process 1 of a virtual machine, but services the path of its own socket.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::libc;

use super::NetError;
use super::errno::net_error;

/// The beginnings of names of a host's sockets.
const VSOCK_PREFIXES: [&[u8]; 4] =
    [b"vsock:", b"vsock-stream:", b"vsock-dgram:", b"vsock-seqpacket:"];

/// A service manager that asked for notifications.
#[derive(Debug)]
pub struct ServiceManager {
    address: SocketAddr,
    /// The value of `NOTIFY_SOCKET`, which may contain anything.
    name: String,
}

/// Why the service manager was not notified. The caller should warn and go on: the gateway can
/// serve without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyError {
    /// The value of `NOTIFY_SOCKET`, which may contain anything.
    pub socket: String,
    /// Why it was not notified.
    pub reason: NotifyReason,
}

/// Why the service manager was not notified. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyReason {
    /// Neither an absolute path nor `@` and an abstract name (unix(7)).
    NotAnAddress,
    /// Longer than such an address can be.
    TooLong,
    /// A socket of the host of this virtual machine.
    Vsock,
    /// A path that does not exist.
    NotFound,
    /// A path of something other than a datagram socket.
    NotADatagramSocket,
    /// The manager does not read its socket.
    QueueFull,
    /// Another error of the call.
    Net(NetError),
}

impl ServiceManager {
    /// The manager that `NOTIFY_SOCKET` names; `None` where the variable is absent or empty.
    ///
    /// # Errors
    /// [`NotifyError`] for a name that cannot be that of a supported socket.
    pub fn from_environment() -> Result<Option<ServiceManager>, NotifyError> {
        match env::var_os("NOTIFY_SOCKET") {
            Some(name) if !name.is_empty() => ServiceManager::named(&name).map(Some),
            _ => Ok(None),
        }
    }

    fn named(text: &OsStr) -> Result<ServiceManager, NotifyError> {
        let name = text.to_string_lossy().into_owned();
        match address(text) {
            Ok(address) => Ok(ServiceManager { address, name }),
            Err(reason) => Err(NotifyError { socket: name, reason }),
        }
    }

    /// Sends `state`, such as `READY=1`.
    ///
    /// # Errors
    /// [`NotifyError`] if the datagram cannot be delivered.
    pub fn notify(&self, state: &str) -> Result<(), NotifyError> {
        self.send(state)
            .map_err(|error| NotifyError { socket: self.name.clone(), reason: reason_of(error) })
    }

    fn send(&self, state: &str) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop the loop.
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.as_bytes(), &self.address)?;
        Ok(())
    }
}

fn address(text: &OsStr) -> Result<SocketAddr, NotifyReason> {
    let made = match text.as_bytes() {
        [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
        [b'/', _, ..] => SocketAddr::from_pathname(text),
        bytes if VSOCK_PREFIXES.iter().any(|prefix| bytes.starts_with(prefix)) => {
            return Err(NotifyReason::Vsock);
        }
        _ => return Err(NotifyReason::NotAnAddress),
    };
    // A variable has no NUL in it, so length is the only possible error.
    made.map_err(|_| NotifyReason::TooLong)
}

fn reason_of(error: io::Error) -> NotifyReason {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => NotifyReason::NotFound,
        Some(libc::EPROTOTYPE | libc::ENOTSOCK) => NotifyReason::NotADatagramSocket,
        Some(libc::EAGAIN) => NotifyReason::QueueFull,
        _ => NotifyReason::Net(net_error(error)),
    }
}

impl fmt::Display for NotifyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotifyReason::NotAnAddress => "not_an_address",
            NotifyReason::TooLong => "too_long",
            NotifyReason::Vsock => "vsock_not_supported",
            NotifyReason::NotFound => "not_found",
            NotifyReason::NotADatagramSocket => "not_a_datagram_socket",
            NotifyReason::QueueFull => "queue_full",
            NotifyReason::Net(error) => return write!(f, "{error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuse(socket: &str, reason: &str) {
        let error = ServiceManager::named(OsStr::new(socket)).expect_err(reason);
        assert_eq!((error.socket.as_str(), error.reason.to_string().as_str()), (socket, reason));
    }

    #[test]
    fn paths_and_abstract_names_are_addresses() {
        for socket in ["/run/systemd/notify", "/x", "@x", "@/org/x"] {
            ServiceManager::named(OsStr::new(socket)).expect(socket);
        }
        for socket in ["run/notify", "/", "@", "notify", " ", "udp:127.0.0.1:1", "vsock", "a\nb"] {
            refuse(socket, "not_an_address");
        }
        refuse(&format!("/{}", "x".repeat(108)), "too_long");
        refuse(&format!("@{}", "x".repeat(108)), "too_long");
    }

    /// The forms of sd_notify(3).
    #[test]
    fn a_socket_of_the_host_is_recognized() {
        for socket in ["vsock:2:1234", "vsock-stream:2:1", "vsock-dgram:2:1", "vsock-seqpacket:2:1"]
        {
            refuse(socket, "vsock_not_supported");
        }
    }

    #[test]
    fn reasons_are_words() {
        for (errno, want) in [
            (libc::ENOENT, "not_found"),
            (libc::EPROTOTYPE, "not_a_datagram_socket"),
            (libc::EAGAIN, "queue_full"),
            (libc::ECONNREFUSED, "refused"),
            (libc::EACCES, "permission_denied"),
        ] {
            let reason = reason_of(io::Error::from_raw_os_error(errno));
            assert_eq!(reason.to_string(), want);
        }
    }
}
