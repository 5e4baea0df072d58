//! The seam under the reactor: the traits [`Net`] and [`Host`], and their outcomes.
//!
//! Everything the reactor wants of the outside world goes through here: sockets, readiness,
//! signals, the clock and entropy. `net/mio.rs` is the real one; the simulator is another. No
//! `io::Error` and no errno crosses this line upwards: what is expected comes back as a value.

pub mod datagram;
mod ephemeral;
mod errno;
pub mod host;
mod local_address;
pub mod mio;
#[cfg(not(feature = "tls"))]
pub mod no_tls;
pub mod notify;
pub mod remark;
mod resolver_file;
pub mod rlimit;
pub mod signal;
pub mod splice;
pub mod stderr;
pub mod stream;
#[cfg(feature = "tls")]
pub mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::address::Address;

pub use crate::readiness::Readiness;
pub use host::Host;
#[cfg(not(feature = "tls"))]
pub use no_tls as tls;
pub use resolver_file::{FileError, FileVersion, ResolverFile};

/// What [`Net::poll`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A socket registered under this token may be ready. A hint: the operation may still block.
    Socket(usize, Readiness),
    /// The process was sent a signal; once per signal received.
    Signal(Signal),
}

/// A signal that asks for something; all others have no effect or the kernel's own (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: the process is to end.
    Terminate,
    /// SIGINT: likewise, from a terminal.
    Interrupt,
    /// SIGHUP: it is to read its configuration again.
    HangUp,
}

impl Signal {
    /// Whether it asks the process to end.
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
    /// The backlog is empty; an event will tell of the next connection.
    WouldBlock,
    /// Nothing was accepted. The listener still stands.
    Failed(NetError),
}

/// Outcome of [`Net::dial_result`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// The connection stands.
    Connected,
    /// It stood and is lost again, but bytes came before that and wait to be read.
    Lost(NetError),
    /// Not decided yet; an event will tell.
    Pending,
    /// It will never stand.
    Failed(NetError),
}

/// Outcome of [`Net::read`] and [`Net::splice_in`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, at least one, were put at the start of the buffer, or into the pipe.
    Data(usize),
    /// Of a read: the peer ended its side in order, and every byte before that was read. Of a
    /// splice it is a hint, for a read to confirm: before an urgent mark Linux says the same.
    Eof,
    /// Nothing there now; an event will tell.
    WouldBlock,
    /// The connection is lost.
    Failed(NetError),
}

/// Outcome of [`Net::write`] and [`Net::splice_out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// So many bytes, at least one, were taken from the start of the buffer, or out of the pipe.
    Data(usize),
    /// No room now; an event will tell.
    WouldBlock,
    /// The connection is lost.
    Failed(NetError),
}

/// Outcome of [`Net::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// A datagram of so many bytes, possibly none, is at the start of the buffer; what did not fit
    /// is gone.
    Datagram(usize),
    /// Nothing there now; an event will tell.
    WouldBlock,
    /// The peer's host, or the network, answered that nobody takes what was sent.
    Failed(NetError),
}

/// How a connection ends when its socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// With a FIN after what the kernel still holds for the peer.
    Orderly,
    /// With a RST, at once; what the kernel still holds is dropped (`SO_LINGER` 0, socket(7)).
    Reset,
}

/// Why an operation on the network failed, as far as this program treats the reasons apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// The host answered that nothing listens there.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// Nobody answered in time: a dial, keepalive probes or unacknowledged data.
    TimedOut,
    /// The host cannot be reached.
    HostUnreachable,
    /// We have no route: our own link, no evidence about the other side.
    NetworkUnreachable,
    /// No free local port towards that address, or the address is not ours.
    AddressNotAvailable,
    /// The address is taken.
    AddressInUse,
    /// The process or the system has no descriptor left.
    Descriptors,
    /// The kernel has no memory for it.
    Memory,
    /// An incoming connection was gone before it was accepted.
    Aborted,
    /// A local policy (firewall, sandbox, privileged port) forbids it.
    Denied,
    /// The dialed connection ended at its own socket, or at our own listener.
    OwnAddress,
    /// The kernel, or a sandbox around us, does not offer the operation at all.
    NotSupported,
    /// Anything else, with its errno.
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
            NetError::Other(errno) => return write!(f, "errno_{errno}"),
        };
        f.write_str(text)
    }
}

/// Sockets, readiness, clock and entropy, as the reactor needs them. What it asks of the host
/// itself is in [`Host`].
///
/// Sockets are registered when they come into being, for both directions and edge-triggered: an
/// event says that something changed; after that only `WouldBlock`, or a read or write shorter than
/// asked for, says that the change is used up. Of splices only `WouldBlock` does: one stops short
/// where the pipe has no slot left for another small segment, too. From an `urgent` socket a short
/// read says nothing. From a `closed` one that is not `urgent` and has no `error` to tell, a short
/// read has taken the last byte, and the end behind it need not be read.
///
/// A socket whose error was reported, by whichever call, still gives the bytes that arrived before
/// and then an end or an error; `WouldBlock` from it counts as the end. A socket is given up by
/// [`Net::close`] alone, a pipe by [`Net::close_pipe`].
pub trait Net {
    /// A socket that accepts connections.
    type Listener;
    /// A connection, or the attempt at one.
    type Stream;
    /// A pipe of the kernel, through which bytes pass from socket to socket without being copied.
    type Pipe;
    /// A socket for datagrams to and from one peer.
    type Datagram;

    /// Waits until something happens, at most for `timeout` (`None`: without limit), and appends
    /// what did. May return early, with nothing; but what had happened by then is told first.
    ///
    /// # Errors
    /// Only when the facility itself is broken, after which the process cannot go on.
    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError>;

    /// The monotonic time. The reactor asks once a turn.
    fn now(&mut self) -> Instant;

    /// Sixty-four random bits that nobody can guess who has not seen them.
    fn random(&mut self) -> u64;

    /// Listens on `address`, registered under `token`; also tells the address that it became
    /// when the port was left to the kernel.
    ///
    /// # Errors
    /// When the address is taken, not ours or forbidden, or resources are short.
    fn listen(
        &mut self,
        address: &Address,
        token: usize,
    ) -> Result<(Self::Listener, Address), NetError>;

    /// Takes one connection from the backlog; it is registered under `token`.
    fn accept(&mut self, listener: &mut Self::Listener, token: usize) -> Accept<Self::Stream>;

    /// Stops listening. Connections still in the backlog are reset by the kernel.
    fn close_listener(&mut self, listener: Self::Listener);

    /// Begins a connection to `address`, registered under `token`; an event tells that it is
    /// decided, [`Net::dial_result`] how.
    ///
    /// # Errors
    /// When the attempt failed at once.
    fn dial(&mut self, address: &Address, token: usize) -> Result<Self::Stream, NetError>;

    /// The state of the dial. `readiness` is that of an event of this very turn, which may spare a
    /// system call; the default where there was none.
    fn dial_result(&mut self, stream: &mut Self::Stream, readiness: Readiness) -> Dial;

    /// The address of our end of a connection; `None` if it is lost already.
    fn local_address(&mut self, stream: &mut Self::Stream) -> Option<Address>;

    /// Sets the options of a dialed connection that a short one is spared (keepalive, user
    /// timeout). Accepted ones have theirs from their listener.
    fn set_deferred_options(&mut self, stream: &mut Self::Stream);

    /// Reads into `buffer`, which is not empty.
    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> Read;

    /// Writes from `buffer`, which is not empty.
    fn write(&mut self, stream: &mut Self::Stream, buffer: &[u8]) -> Write;

    /// A new, empty pipe.
    ///
    /// # Errors
    /// When descriptors, memory or this user's share of pipe memory (pipe(7)) are short, or when
    /// the kernel has none.
    fn open_pipe(&mut self) -> Result<Self::Pipe, NetError>;

    /// Moves at most `bytes_max` bytes, above 0, from the socket into the pipe, which is empty.
    /// Fails with [`NetError::NotSupported`], and nothing moved, where splice(2) is refused.
    fn splice_in(
        &mut self,
        stream: &mut Self::Stream,
        pipe: &mut Self::Pipe,
        bytes_max: usize,
    ) -> Read;

    /// Moves bytes from the pipe into the socket; `bytes` is what the pipe holds, at least one.
    fn splice_out(
        &mut self,
        pipe: &mut Self::Pipe,
        stream: &mut Self::Stream,
        bytes: usize,
    ) -> Write;

    /// Gives the pipe up, and what it still holds.
    fn close_pipe(&mut self, pipe: Self::Pipe);

    /// Ends our side of the connection with a FIN after what was written; the peer may go on.
    ///
    /// # Errors
    /// When the connection is lost already.
    fn shutdown_write(&mut self, stream: &mut Self::Stream) -> Result<(), NetError>;

    /// The error that waits in the socket, which is taken out of it; `None` if there is none.
    fn take_error(&mut self, stream: &mut Self::Stream) -> Option<NetError>;

    /// Bytes written that the peer's kernel has not acknowledged yet.
    fn unsent(&mut self, stream: &mut Self::Stream) -> usize;

    /// Sets how the connection ends when its socket is closed, by [`Net::close`] or by the kernel
    /// when the process dies; a new one ends in order.
    fn set_close(&mut self, stream: &mut Self::Stream, how: Close);

    /// Gives the socket up.
    fn close(&mut self, stream: Self::Stream);

    /// A socket of its own for datagrams to and from `peer`, registered under `token`. Our port is
    /// one that nobody can guess: Linux draws it at random for each socket (RFC 5452, section 4.5).
    ///
    /// # Errors
    /// When resources are short or nothing leads to `peer`.
    fn open_datagram(&mut self, peer: SocketAddr, token: usize)
    -> Result<Self::Datagram, NetError>;

    /// Sends one datagram, which may get lost.
    ///
    /// # Errors
    /// When it certainly was, or when an earlier one was refused.
    fn send(&mut self, datagram: &mut Self::Datagram, bytes: &[u8]) -> Result<(), NetError>;

    /// Takes one datagram that came from the peer.
    fn receive(&mut self, datagram: &mut Self::Datagram, buffer: &mut [u8]) -> Receive;

    /// Gives the socket up.
    fn close_datagram(&mut self, datagram: Self::Datagram);
}
