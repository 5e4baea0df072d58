//! The real [`Net`]: mio for readiness, socket2 for options, and the one table that turns an
//! errno into a [`NetError`].
//!
//! Decides nothing. Options that the kernel lets accepted sockets inherit (TCP_NODELAY, keepalive,
//! TCP_USER_TIMEOUT) are set on the listener, so that accepting costs no call for them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use nix::ifaddrs::getifaddrs;
use nix::libc;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::signal::Signals;
use super::{Accept, Close, Dial, Event, Net, NetError, Read, Readiness, Write};
use crate::config::{EVENTS_PER_TURN, KEEPALIVE_PROBES};

/// The token of the signal descriptor; the reactor's own tokens never have all bits set.
const SIGNALS: Token = Token(usize::MAX);

/// What sockets are set to: those of both sides, but for the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Idle time before the first keepalive probe and between probes; `None`: no probes.
    pub keepalive: Option<Duration>,
    /// How long sent data may stay unacknowledged, or unsent before a peer that takes nothing;
    /// `None`: as the kernel has it (tcp(7), TCP_USER_TIMEOUT).
    pub user_timeout: Option<Duration>,
    /// Whether listeners share their addresses with those of other processes of the same user that
    /// ask for it, too (socket(7), SO_REUSEPORT).
    pub reuse_port: bool,
}

/// Sockets, readiness, clock and entropy of the machine.
pub struct MioNet {
    poll: Poll,
    events: Events,
    signals: Option<Signals>,
    options: SocketOptions,
}

impl MioNet {
    /// Readiness without any socket yet.
    ///
    /// # Errors
    /// When the kernel has no descriptor or memory for it.
    pub fn new(options: SocketOptions) -> Result<MioNet, NetError> {
        let poll = Poll::new().map_err(net_error)?;
        let events = Events::with_capacity(EVENTS_PER_TURN);
        Ok(MioNet { poll, events, signals: None, options })
    }

    /// From now on SIGTERM and SIGINT are events and end the process no more by themselves.
    ///
    /// # Errors
    /// When the kernel has no descriptor or memory for it.
    pub fn take_signals(&mut self) -> Result<(), NetError> {
        let mut signals = Signals::new().map_err(net_error)?;
        let registry = self.poll.registry();
        signals.register(registry, SIGNALS, Interest::READABLE).map_err(net_error)?;
        self.signals = Some(signals);
        Ok(())
    }

    fn open(&self, address: SocketAddr) -> io::Result<Socket> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = self.options.keepalive {
            let keepalive = TcpKeepalive::new()
                .with_time(keepalive)
                .with_interval(keepalive)
                .with_retries(KEEPALIVE_PROBES);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        if self.options.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.options.user_timeout)?;
        }
        Ok(socket)
    }

    fn try_listen(&self, address: SocketAddr, token: usize) -> io::Result<TcpListener> {
        let socket = self.open(address)?;
        socket.set_reuse_address(true)?;
        if self.options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if is_wildcard_v6(address) {
            // `[::]` means both families, as in Go, whatever net.ipv6.bindv6only says.
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        // The kernel caps the backlog at net.core.somaxconn (listen(2)), which is the length
        // that administrators tune; a number of our own would only be able to lower it.
        socket.listen(i32::MAX)?;
        let mut listener = TcpListener::from_std(socket.into());
        self.poll.registry().register(&mut listener, Token(token), Interest::READABLE)?;
        Ok(listener)
    }

    fn try_dial(&self, address: SocketAddr, token: usize) -> io::Result<TcpStream> {
        let socket = self.open(address)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Registered after connect: a socket that was never connected reports a hang-up.
        let mut stream = TcpStream::from_std(socket.into());
        self.register(&mut stream, token)?;
        Ok(stream)
    }

    fn register(&self, stream: &mut TcpStream, token: usize) -> io::Result<()> {
        let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll.registry().register(stream, Token(token), all)
    }
}

impl Net for MioNet {
    type Listener = TcpListener;
    type Stream = TcpStream;

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError> {
        let mut polled = self.poll.poll(&mut self.events, timeout);
        while polled.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
            // A process that was stopped comes back here. What arrived meanwhile has to be told
            // before anybody looks at the clock.
            polled = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        }
        polled.map_err(net_error)?;
        for event in &self.events {
            if event.token() == SIGNALS {
                let signals = self.signals.as_mut().map_or(0, Signals::take);
                events.extend((0..signals).map(|_| Event::Terminate));
                continue;
            }
            let readiness = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                urgent: event.is_priority(),
                closed: event.is_read_closed(),
                error: event.is_error(),
            };
            events.push(Event::Socket(event.token().0, readiness));
        }
        Ok(())
    }

    fn now(&mut self) -> Instant {
        Instant::now()
    }

    fn random(&mut self) -> u64 {
        // The standard library seeds each state from the system; hashing nothing yields 64 bits
        // that nobody can guess cheaply. Enough for jitter, and no generator to keep.
        RandomState::new().build_hasher().finish()
    }

    fn is_local(&mut self, address: IpAddr) -> bool {
        if address.is_loopback() {
            return true;
        }
        // What cannot be bound is no IPv4 address of ours: three cheap calls for the usual answer.
        // One that can be may still not be ours (net.ipv4.ip_nonlocal_bind), and an IPv6 one may
        // be ours by a route alone, so the kernel's lists are asked, too.
        let can_bind = UdpSocket::bind((address, 0)).is_ok();
        (can_bind && is_on_interface(address))
            || ((can_bind || address.is_ipv6()) && is_routed_to_ourselves(address))
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        token: usize,
    ) -> Result<(TcpListener, SocketAddr), NetError> {
        let listener = match self.try_listen(address, token) {
            // `[::]` asks for both families; a host may have the first one only.
            Err(error) if is_wildcard_v6(address) && lacks_v6(&error) => {
                let address = SocketAddr::from(([0, 0, 0, 0], address.port()));
                self.try_listen(address, token)
            }
            outcome => outcome,
        };
        let listener = listener.map_err(net_error)?;
        let address = listener.local_addr().map_err(net_error)?;
        Ok((listener, address))
    }

    fn accept(&mut self, listener: &mut TcpListener, token: usize) -> Accept<TcpStream> {
        loop {
            match listener.accept() {
                Ok((mut stream, peer)) => {
                    return match self.register(&mut stream, token) {
                        Ok(()) => Accept::Connection(stream, peer),
                        Err(error) => {
                            self.close(stream, Close::Reset);
                            Accept::Failed(net_error(error))
                        }
                    };
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Accept::WouldBlock,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Accept::Failed(net_error(error)),
            }
        }
    }

    fn close_listener(&mut self, listener: TcpListener) {
        drop(listener);
    }

    fn dial(&mut self, address: SocketAddr, token: usize) -> Result<TcpStream, NetError> {
        self.try_dial(address, token).map_err(net_error)
    }

    fn dial_result(&mut self, stream: &mut TcpStream) -> Dial {
        if let Some(error) = self.take_error(stream) {
            let has_bytes = stream.peek(&mut [0]).is_ok_and(|count| count > 0);
            return if has_bytes { Dial::Lost(error) } else { Dial::Failed(error) };
        }
        match (stream.local_addr(), stream.peer_addr()) {
            (Ok(local), Ok(peer)) => Dial::Connected { local, peer },
            (_, Err(error)) if error.kind() == ErrorKind::NotConnected => Dial::Pending,
            (Err(error), _) | (_, Err(error)) => Dial::Failed(net_error(error)),
        }
    }

    fn read(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> Read {
        loop {
            match stream.read(buffer) {
                Ok(0) => return Read::Eof,
                Ok(count) => return Read::Data(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Read::WouldBlock,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Read::Failed(net_error(error)),
            }
        }
    }

    fn write(&mut self, stream: &mut TcpStream, buffer: &[u8]) -> Write {
        loop {
            match stream.write(buffer) {
                Ok(0) => return Write::WouldBlock,
                Ok(count) => return Write::Data(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Write::WouldBlock,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Write::Failed(net_error(error)),
            }
        }
    }

    fn shutdown_write(&mut self, stream: &mut TcpStream) -> Result<(), NetError> {
        stream.shutdown(Shutdown::Write).map_err(net_error)
    }

    fn take_error(&mut self, stream: &mut TcpStream) -> Option<NetError> {
        match stream.take_error() {
            Ok(error) => error.map(net_error),
            Err(error) => Some(net_error(error)),
        }
    }

    fn unsent(&mut self, stream: &mut TcpStream) -> usize {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open for as long as `stream` is borrowed, and SIOCOUTQ
        // (tcp(7)) writes one int to a pointer that is valid for an int.
        let outcome = unsafe { siocoutq(stream.as_raw_fd(), &raw mut bytes) };
        // A socket that cannot be asked is lost, and holds nothing that could still arrive.
        outcome.map_or(0, |_| usize::try_from(bytes).unwrap_or(0))
    }

    fn close(&mut self, stream: TcpStream, how: Close) {
        if how == Close::Reset {
            // If this fails the connection is gone already, and there is nobody to tell.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        drop(stream);
    }
}

fn is_on_interface(address: IpAddr) -> bool {
    let Ok(interfaces) = getifaddrs() else { return false };
    interfaces.filter_map(|interface| interface.address).any(|storage| {
        let v4 = storage.as_sockaddr_in().map(|found| IpAddr::V4(found.ip()));
        let v6 = storage.as_sockaddr_in6().map(|found| IpAddr::V6(found.ip()));
        v4.or(v6) == Some(address)
    })
}

/// Towards an address of its own the kernel chooses that very address, or the loopback one, as
/// source. (Where an IPv6 route leads to ourselves and another interface has a better address by
/// RFC 6724, it chooses that: such a route stays unknown.) Nothing is sent.
fn is_routed_to_ourselves(address: IpAddr) -> bool {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let source = || {
        let socket = UdpSocket::bind(any)?;
        socket.connect((address, 1))?;
        socket.local_addr()
    };
    let source: io::Result<SocketAddr> = source();
    source.is_ok_and(|source| source.ip() == address || source.ip().is_loopback())
}

fn is_wildcard_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn lacks_v6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

nix::ioctl_read_bad!(siocoutq, libc::TIOCOUTQ, libc::c_int);

/// The one table from errno to what this program tells apart.
fn net_error(error: io::Error) -> NetError {
    let Some(errno) = error.raw_os_error() else { return NetError::Other(0) };
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
        other => NetError::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net() -> MioNet {
        MioNet::new(SocketOptions {
            keepalive: Some(Duration::from_secs(15)),
            user_timeout: Some(Duration::from_secs(30)),
            reuse_port: false,
        })
        .expect("a poll")
    }

    fn accepted_and_dialed(net: &mut MioNet) -> (TcpStream, TcpStream) {
        let any = "127.0.0.1:0".parse().expect("an address");
        let (mut listener, address) = net.listen(any, 0).expect("a listener");
        let dialed = net.dial(address, 1).expect("a dial");
        let mut events = Vec::new();
        loop {
            net.poll(Some(Duration::from_secs(10)), &mut events).expect("events");
            if let Accept::Connection(accepted, _) = net.accept(&mut listener, 2) {
                return (accepted, dialed);
            }
        }
    }

    #[test]
    fn both_sides_have_nodelay_keepalive_and_user_timeout() {
        let (accepted, dialed) = accepted_and_dialed(&mut net());
        for stream in [&accepted, &dialed] {
            let socket = SockRef::from(stream);
            assert!(socket.tcp_nodelay().expect("nodelay"));
            assert!(socket.keepalive().expect("keepalive"));
            assert_eq!(socket.tcp_keepalive_time().expect("time"), Duration::from_secs(15));
            assert_eq!(socket.tcp_keepalive_interval().expect("interval").as_secs(), 15);
            assert_eq!(socket.tcp_keepalive_retries().expect("retries"), 9);
            let timeout = socket.tcp_user_timeout().expect("user timeout");
            assert_eq!(timeout, Some(Duration::from_secs(30)));
        }
    }

    #[test]
    fn a_socket_that_met_itself_shows_one_address_at_both_ends() {
        let mut net = net();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("bound");
        let own = socket.local_addr().expect("bound").as_socket().expect("IP");
        socket.connect(&own.into()).expect("TCP connects to itself");
        let mut stream = TcpStream::from_std(socket.into());
        let want = Dial::Connected { local: own, peer: own };
        assert_eq!(net.dial_result(&mut stream), want);
    }

    #[test]
    fn a_server_that_spoke_before_it_reset_was_reached() {
        let mut net = net();
        for (greeting, want) in
            [(&b"hello"[..], Dial::Lost(NetError::Reset)), (b"", Dial::Failed(NetError::Reset))]
        {
            let (mut accepted, mut dialed) = accepted_and_dialed(&mut net);
            if !greeting.is_empty() {
                assert_eq!(net.write(&mut accepted, greeting), Write::Data(greeting.len()));
            }
            net.close(accepted, Close::Reset);
            assert_eq!(net.dial_result(&mut dialed), want);
        }
    }

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

    #[test]
    fn local_addresses_are_known() {
        let mut net = net();
        for (address, want) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(net.is_local(address), want, "{address}");
        }
    }

    #[test]
    fn unsent_counts_what_the_peer_has_not_acknowledged() {
        let mut net = net();
        let (mut accepted, mut dialed) = accepted_and_dialed(&mut net);
        let block = vec![7; 256 * 1024];
        while let Write::Data(_) = net.write(&mut dialed, &block) {}
        assert!(net.unsent(&mut dialed) > 0, "a full queue holds bytes");
        assert_eq!(net.unsent(&mut accepted), 0);
    }

    #[test]
    fn a_reset_reaches_the_peer_as_a_reset() {
        let mut net = net();
        let (mut accepted, dialed) = accepted_and_dialed(&mut net);
        net.close(dialed, Close::Reset);
        let mut buffer = [0; 16];
        assert_eq!(net.read(&mut accepted, &mut buffer), Read::Failed(NetError::Reset));
    }

    #[test]
    fn random_numbers_differ() {
        let mut net = net();
        assert_ne!(net.random(), net.random());
    }
}
