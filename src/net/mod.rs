//! The seam under the reactor: the traits [`Net`] and [`Host`], and their outcomes.
//!
//! The reactor reaches the outside world through these traits alone: sockets, readiness, signals,
//! the clock and entropy. `net/mio.rs` implements them for the real machine, and the simulator for
//! a virtual one. No `io::Error` and no errno goes further up: expected outcomes are values.

pub mod access_log;
pub(crate) mod datagram;
mod ephemeral;
mod errno;
pub(crate) mod host;
pub(crate) mod listener;
mod local_address;
pub mod mio;
#[cfg(not(feature = "tls"))]
pub mod no_tls;
pub mod notify;
pub mod password;
pub mod remark;
mod resolver_file;
pub mod rlimit;
mod room;
pub(crate) mod signal;
mod socket_options;
pub mod splice;
pub mod state_file;
pub mod status_client;
pub mod stderr;
pub mod stream;
pub mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;
pub mod tls_settings;
mod usage;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::address::Address;

pub use crate::readiness::Readiness;
pub use access_log::WriteError as AccessLogError;
pub use host::Host;
#[cfg(not(feature = "tls"))]
pub use no_tls as tls;
pub use resolver_file::{FileError, FileVersion, ResolverFile};
pub use telemetry::Telemetry;

/// An event that [`Net::poll`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A socket registered under this token may be ready. It is a hint: the operation may still
    /// block.
    Socket(usize, Readiness),
    /// The process received a signal; one event for each.
    Signal(Signal),
}

/// A signal with a request. All others have no effect or the kernel's default one (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: the process is to end.
    Terminate,
    /// SIGINT: likewise, from a terminal.
    Interrupt,
    /// SIGHUP: the process is to read its configuration again.
    HangUp,
}

impl Signal {
    /// Whether the signal asks the process to end.
    pub fn asks_to_end(self) -> bool {
        matches!(self, Signal::Terminate | Signal::Interrupt)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Terminate => "SIGTERM",
            Signal::Interrupt => "SIGINT",
            Signal::HangUp => "SIGHUP",
        })
    }
}

/// Outcome of [`Net::accept`].
#[derive(Debug)]
pub enum Accept<S> {
    /// A connection and its peer's address.
    Connection(S, Address),
    /// The backlog is empty; the next connection causes an event.
    WouldBlock,
    /// Nothing was accepted. The socket is still listening.
    Failed(NetError),
}

/// Outcome of [`Net::dial_result`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// The connection is established.
    Connected,
    /// The connection was established and is lost again, but bytes arrived before that and can be
    /// read.
    Lost(NetError),
    /// Not decided yet; the decision causes an event.
    Pending,
    /// The connection was not established, and never will be.
    Failed(NetError),
}

/// Outcome of [`Net::read`] and [`Net::splice_in`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The number of bytes, at least one, that were put at the start of the buffer or into the
    /// pipe.
    Data(usize),
    /// Of a read: the peer ended its side in order, and every byte before that was read. Of a
    /// splice this is a hint, for a read to confirm: Linux reports the same before an urgent mark.
    Eof,
    /// No bytes at present; the next ones cause an event.
    WouldBlock,
    /// The connection is lost.
    Failed(NetError),
}

/// Outcome of [`Net::write`] and [`Net::splice_out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The number of bytes, at least one, that were taken from the start of the buffer or out of
    /// the pipe.
    Data(usize),
    /// No room at present; new room causes an event.
    WouldBlock,
    /// The connection is lost.
    Failed(NetError),
}

/// Outcome of [`Net::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// The bytes, possibly none, of a datagram that was put at the start of the buffer. Those that
    /// did not fit are lost.
    Datagram(usize),
    /// No datagram at present; the next one causes an event.
    WouldBlock,
    /// The peer's host, or the network, answered that a datagram was not delivered.
    Failed(NetError),
}

/// How a connection ends when its socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// With a FIN, after the bytes that the kernel still has for the peer.
    Orderly,
    /// With a RST, at once; the kernel drops the bytes that it still has (`SO_LINGER` 0,
    /// socket(7)).
    Reset,
}

/// Why an operation on the network failed, as far as this program distinguishes the reasons.
/// Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// The host answered that nothing listens there.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// No answer in time: to a dial, to keepalive probes or to unacknowledged data.
    TimedOut,
    /// The host cannot be reached.
    HostUnreachable,
    /// This host has no route: a fault of its own link, which is not evidence about the other
    /// side.
    NetworkUnreachable,
    /// No local port is free towards that address, or the address is not one of this host.
    AddressNotAvailable,
    /// Another socket has the address.
    AddressInUse,
    /// The process or the system has no descriptor left.
    Descriptors,
    /// The kernel has no memory for the operation.
    Memory,
    /// An incoming connection was gone before it was accepted.
    Aborted,
    /// A local policy (firewall, sandbox, privileged port) forbids it.
    Denied,
    /// The dialed connection ended at its own socket, or at our own listener.
    OwnAddress,
    /// The kernel, or a sandbox, does not offer the operation at all.
    NotSupported,
    /// The file at the path of a listener is not a socket.
    NotASocket,
    /// The folder in the path of a listener does not exist, or is none.
    NoSuchFolder,
    /// Another process has the folder of a listener locked.
    FolderLocked,
    /// Any other reason, by its errno.
    Other(i32),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            NetError::Refused => "refused",
            NetError::Reset => "reset",
            NetError::TimedOut => "timed_out",
            NetError::HostUnreachable => "host_unreachable",
            NetError::NetworkUnreachable => "network_unreachable",
            NetError::AddressNotAvailable => "address_not_available",
            NetError::AddressInUse => "address_in_use",
            NetError::Descriptors => "no_descriptors",
            NetError::Memory => "no_memory",
            NetError::Aborted => "aborted",
            NetError::Denied => "permission_denied",
            NetError::OwnAddress => "own_address",
            NetError::NotSupported => "not_supported",
            NetError::NotASocket => "not_a_socket",
            NetError::NoSuchFolder => "no_such_folder",
            NetError::FolderLocked => "folder_locked",
            NetError::Other(errno) => return write!(f, "errno_{errno}"),
        };
        f.write_str(text)
    }
}

/// Sockets, readiness, clock and entropy, as the reactor needs them. Facts of the host are in
/// [`Host`].
///
/// A socket is registered when it is made, for both directions and edge-triggered. An event reports
/// a change, which is used up once an operation returns `WouldBlock`, or reads or writes less than
/// it was asked to. A splice uses a change up only by `WouldBlock`, as it is also short where the
/// pipe has no slot for another small segment. A short read from an `urgent` socket means nothing.
/// A short read from a `closed` socket that is not `urgent` and has no `error` has taken the last
/// byte, and the end of file after it need not be read.
///
/// After any call has reported the error of a socket, the bytes that arrived before the error can
/// still be read, followed by an end of file or an error; `WouldBlock` counts as the end of file.
/// Sockets are closed by [`Net::close`] alone, and pipes by [`Net::close_pipe`].
pub trait Net {
    /// A socket that accepts connections.
    type Listener;
    /// A connection, or the attempt at one.
    type Stream;
    /// A pipe of the kernel, through which bytes pass from socket to socket without being copied.
    type Pipe;
    /// A socket for datagrams to and from one peer.
    type Datagram;

    /// Waits for events, at most for `timeout` (`None`: without limit), and appends them. May
    /// return early without events, but never omits those that happened before it returned.
    ///
    /// # Errors
    /// [`NetError`] when waiting itself fails, after which the process cannot go on.
    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError>;

    /// The monotonic time. The reactor reads it once a turn.
    fn now(&mut self) -> Instant;

    /// Sixty-four random bits, which an observer of earlier ones cannot predict.
    fn random(&mut self) -> u64;

    /// Listens on `address`, registered under `token`. Also returns the actual address, which
    /// differs where the kernel was to choose the port. With `may_share` other processes may listen
    /// there, too, if the options of sockets say so (SO_REUSEPORT, socket(7)).
    ///
    /// # Errors
    /// [`NetError`] when another socket has the address, it is not one of this host or forbidden,
    /// or resources are short.
    fn listen(
        &mut self,
        address: &Address,
        token: usize,
        may_share: bool,
    ) -> Result<(Self::Listener, Address), NetError>;

    /// Takes one connection from the backlog and registers it under `token`.
    fn accept(&mut self, listener: &mut Self::Listener, token: usize) -> Accept<Self::Stream>;

    /// Whether a connection waits in the backlog. Takes none.
    fn has_client(&mut self, listener: &Self::Listener) -> bool;

    /// Stops listening. Connections still in the backlog are reset by the kernel.
    fn close_listener(&mut self, listener: Self::Listener);

    /// Begins a connection to `address`, registered under `token`. An event reports that it is
    /// decided; [`Net::dial_result`] returns the result.
    ///
    /// # Errors
    /// [`NetError`] when the attempt failed at once.
    fn dial(&mut self, address: &Address, token: usize) -> Result<Self::Stream, NetError>;

    /// The state of the dial. `readiness` is that of an event of this very turn, which may spare a
    /// system call; the default where there was none.
    fn dial_result(&mut self, stream: &mut Self::Stream, readiness: Readiness) -> Dial;

    /// The address of the local end of a connection; `None` if the connection is lost.
    fn local_address(&mut self, stream: &mut Self::Stream) -> Option<Address>;

    /// Sets those options of a dialed connection that a short connection can do without
    /// (keepalive, user timeout). Accepted connections inherit them from their listener.
    fn set_deferred_options(&mut self, stream: &mut Self::Stream);

    /// Reads into `buffer`, which is not empty.
    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> Read;

    /// Writes from `buffer`, which is not empty.
    fn write(&mut self, stream: &mut Self::Stream, buffer: &[u8]) -> Write;

    /// A new, empty pipe.
    ///
    /// # Errors
    /// [`NetError`] when descriptors, memory or this user's share of pipe memory (pipe(7)) are
    /// short, or when the kernel or a sandbox refuses.
    fn open_pipe(&mut self) -> Result<Self::Pipe, NetError>;

    /// Moves at most `bytes_max` bytes (> 0) from the socket into the pipe, which is empty. Fails
    /// with [`NetError::NotSupported`], without moving anything, where splice(2) is refused.
    fn splice_in(
        &mut self,
        stream: &mut Self::Stream,
        pipe: &mut Self::Pipe,
        bytes_max: usize,
    ) -> Read;

    /// Moves bytes from the pipe, which holds `bytes` (> 0), into the socket.
    fn splice_out(
        &mut self,
        pipe: &mut Self::Pipe,
        stream: &mut Self::Stream,
        bytes: usize,
    ) -> Write;

    /// Closes the pipe, and drops the bytes that it still holds.
    fn close_pipe(&mut self, pipe: Self::Pipe);

    /// Ends our side of the connection with a FIN after the written bytes; the peer may go on.
    ///
    /// # Errors
    /// [`NetError`] when the connection is lost.
    fn shutdown_write(&mut self, stream: &mut Self::Stream) -> Result<(), NetError>;

    /// Takes the pending error out of the socket (`SO_ERROR`, socket(7)); `None` if there is none.
    fn take_error(&mut self, stream: &mut Self::Stream) -> Option<NetError>;

    /// The number of written bytes that the peer's kernel has not acknowledged yet.
    fn unsent(&mut self, stream: &mut Self::Stream) -> usize;

    /// Sets how the connection ends when its socket is closed, by [`Net::close`] or by the kernel
    /// when the process dies. A new connection has [`Close::Orderly`].
    fn set_close(&mut self, stream: &mut Self::Stream, how: Close);

    /// Closes the socket.
    fn close(&mut self, stream: Self::Stream);

    /// A socket for datagrams to and from `peer` alone, registered under `token`. Its port cannot
    /// be guessed: Linux draws one at random for each socket (RFC 5452, section 4.5).
    ///
    /// # Errors
    /// [`NetError`] when resources are short or there is no route to `peer`.
    fn open_datagram(&mut self, peer: SocketAddr, token: usize)
    -> Result<Self::Datagram, NetError>;

    /// Sends one datagram, which may get lost.
    ///
    /// # Errors
    /// [`NetError`] when the datagram was certainly lost, or an earlier one was refused.
    fn send(&mut self, datagram: &mut Self::Datagram, bytes: &[u8]) -> Result<(), NetError>;

    /// Receives one datagram of the peer.
    fn receive(&mut self, datagram: &mut Self::Datagram, buffer: &mut [u8]) -> Receive;

    /// Closes the socket.
    fn close_datagram(&mut self, datagram: Self::Datagram);
}
