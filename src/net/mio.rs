//! The implementation of [`Net`] for real sockets: mio for readiness, socket2 for options,
//! `splice.rs` for bulk.
//!
//! Decides nothing. Options that accepted sockets inherit (TCP_NODELAY, keepalive,
//! TCP_USER_TIMEOUT) are set on the listener, so that accepting costs no call for them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::libc;
use socket2::SockRef;

use super::datagram::Datagram;
use super::ephemeral::EphemeralPorts;
use super::errno::{net_error, retry};
use super::listener::{Listener, listen_error, open};
use super::signal::Signals;
pub use super::socket_options::SocketOptions;
use super::splice::Pipe;
use super::stream::Stream;
use super::telemetry::ProcessTelemetry;
use super::{Accept, Close, Dial, Event, Net, NetError, Read, Readiness, Receive, Write};
use crate::address::Address;
use crate::config::limits::EVENTS_PER_TURN;

/// The token of the signal descriptor; those of the reactor never have all bits set.
const SIGNALS: Token = Token(usize::MAX);
const DESCRIPTORS_PER_PIPE: u64 = 2;

/// Sockets, readiness, clock and entropy of the machine.
pub struct MioNet {
    poll: Poll,
    events: Events,
    signals: Option<Signals>,
    options: SocketOptions,
    pub(super) ephemeral_ports: EphemeralPorts,
    pub(super) telemetry: ProcessTelemetry,
    /// The time when the clock was last read.
    pub(super) now: Instant,
}

impl MioNet {
    /// A `MioNet` without sockets.
    ///
    /// # Errors
    /// [`NetError`] for want of descriptors or memory.
    pub fn new(options: SocketOptions) -> Result<MioNet, NetError> {
        let poll = Poll::new().map_err(net_error)?;
        let events = Events::with_capacity(EVENTS_PER_TURN);
        let ephemeral_ports = EphemeralPorts::default();
        let now = Instant::now();
        Ok(MioNet {
            poll,
            events,
            signals: None,
            options,
            ephemeral_ports,
            telemetry: ProcessTelemetry::default(),
            now,
        })
    }

    /// Takes signals over: from now on they are [`Event::Signal`], or have no effect.
    ///
    /// # Errors
    /// [`NetError`] for want of descriptors or memory.
    pub fn take_signals(&mut self) -> Result<(), NetError> {
        let mut signals = Signals::new().map_err(net_error)?;
        let registry = self.poll.registry();
        signals.register(registry, SIGNALS, Interest::READABLE).map_err(net_error)?;
        self.signals = Some(signals);
        Ok(())
    }

    fn try_dial(&self, address: SocketAddr, token: usize) -> io::Result<Stream> {
        let socket = open(address)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Registered after connect: before, the socket would report a hang-up.
        let mut socket = TcpStream::from_std(socket.into());
        self.register(&mut socket, token)?;
        Ok(Stream::dialed(socket))
    }

    fn register(&self, stream: &mut TcpStream, token: usize) -> io::Result<()> {
        let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll.registry().register(stream, Token(token), all)
    }
}

impl Net for MioNet {
    type Listener = Listener;
    type Stream = Stream;
    type Pipe = Pipe;
    type Datagram = Datagram;

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError> {
        let mut polled = self.poll.poll(&mut self.events, timeout);
        while polled.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
            // A process that was stopped continues here. Events that came meanwhile have to be
            // handled before deadlines are.
            polled = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        }
        polled.map_err(net_error)?;
        for event in &self.events {
            if event.token() == SIGNALS {
                if let Some(signals) = &mut self.signals {
                    signals.take(events);
                }
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
        self.now = Instant::now();
        self.now
    }

    fn random(&mut self) -> u64 {
        // The standard library seeds each state from the system. The hash of nothing is 64 bits
        // that are expensive to guess: enough for jitter, without the state of a generator.
        RandomState::new().build_hasher().finish()
    }

    fn listen(
        &mut self,
        address: &Address,
        token: usize,
        may_share: bool,
    ) -> Result<(Listener, Address), NetError> {
        let reuse_port = self.options.reuse_port && may_share;
        let options = SocketOptions { reuse_port, ..self.options };
        let registry = self.poll.registry();
        let listener = Listener::open(address, &options, registry, Token(token));
        let listener = listener.map_err(|error| listen_error(address, error))?;
        self.telemetry.descriptors.sockets += 1;
        let address = listener.address().map_err(net_error)?;
        Ok((listener, address))
    }

    fn has_client(&mut self, listener: &Listener) -> bool {
        listener.has_client()
    }

    fn accept(&mut self, listener: &mut Listener, token: usize) -> Accept<Stream> {
        match retry(|| listener.accept()) {
            Ok((mut socket, peer)) => {
                let registered = self.register(&mut socket, token);
                self.telemetry.descriptors.sockets += 1;
                let mut stream = Stream::accepted(socket);
                match registered {
                    Ok(()) => Accept::Connection(stream, peer),
                    Err(error) => {
                        self.set_close(&mut stream, Close::Reset);
                        self.close(stream);
                        Accept::Failed(net_error(error))
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accept::WouldBlock,
            Err(error) => Accept::Failed(net_error(error)),
        }
    }

    fn close_listener(&mut self, listener: Listener) {
        drop(listener);
        self.telemetry.descriptors.sockets -= 1;
    }

    fn dial(&mut self, address: &Address, token: usize) -> Result<Stream, NetError> {
        let address = address.inet().ok_or(NetError::NotSupported)?;
        let stream = self.try_dial(address, token).map_err(net_error)?;
        self.telemetry.descriptors.sockets += 1;
        Ok(stream)
    }

    fn dial_result(&mut self, stream: &mut Stream, readiness: Readiness) -> Dial {
        // A socket that is still connecting is not writable, and one that failed has an error.
        if readiness.writable && !readiness.error && !readiness.closed {
            return Dial::Connected;
        }
        if let Some(error) = self.take_error(stream) {
            let has_bytes = stream.socket.peek(&mut [0]).is_ok_and(|count| count > 0);
            return if has_bytes { Dial::Lost(error) } else { Dial::Failed(error) };
        }
        match stream.socket.peer_addr() {
            Ok(_) => Dial::Connected,
            Err(error) if error.kind() == ErrorKind::NotConnected => Dial::Pending,
            Err(error) => Dial::Failed(net_error(error)),
        }
    }

    fn local_address(&mut self, stream: &mut Stream) -> Option<Address> {
        stream.socket.local_addr().ok().map(Address::Inet)
    }

    fn set_deferred_options(&mut self, stream: &mut Stream) {
        // Fails for a lost connection, which an event reports.
        let _ = self.options.set_timeouts(&SockRef::from(&stream.socket));
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        stream.read(buffer)
    }

    fn write(&mut self, stream: &mut Stream, buffer: &[u8]) -> Write {
        stream.write(buffer)
    }

    fn open_pipe(&mut self) -> Result<Pipe, NetError> {
        let pipe = Pipe::open()?;
        self.telemetry.descriptors.sockets += DESCRIPTORS_PER_PIPE;
        Ok(pipe)
    }

    fn splice_in(&mut self, stream: &mut Stream, pipe: &mut Pipe, bytes_max: usize) -> Read {
        stream.splice_in(pipe, bytes_max)
    }

    fn splice_out(&mut self, pipe: &mut Pipe, stream: &mut Stream, bytes: usize) -> Write {
        stream.splice_out(pipe, bytes)
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        drop(pipe);
        self.telemetry.descriptors.sockets -= DESCRIPTORS_PER_PIPE;
    }

    fn shutdown_write(&mut self, stream: &mut Stream) -> Result<(), NetError> {
        stream.socket.shutdown(Shutdown::Write).map_err(net_error)
    }

    fn take_error(&mut self, stream: &mut Stream) -> Option<NetError> {
        match stream.socket.take_error() {
            Ok(error) => error.map(net_error),
            Err(error) => Some(net_error(error)),
        }
    }

    fn unsent(&mut self, stream: &mut Stream) -> usize {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open for as long as `stream` is borrowed, and SIOCOUTQ
        // (tcp(7)) writes one int to a pointer that is valid for an int.
        let outcome = unsafe { siocoutq(stream.socket.as_raw_fd(), &raw mut bytes) };
        // Fails for a lost socket, whose bytes cannot arrive.
        outcome.map_or(0, |_| usize::try_from(bytes).unwrap_or(0))
    }

    fn set_close(&mut self, stream: &mut Stream, how: Close) {
        let linger = match how {
            Close::Orderly => None,
            Close::Reset => Some(Duration::ZERO),
        };
        // Fails for a connection that is gone, for which it makes no difference.
        let _ = SockRef::from(&stream.socket).set_linger(linger);
    }

    fn close(&mut self, stream: Stream) {
        drop(stream);
        self.telemetry.descriptors.sockets -= 1;
    }

    fn open_datagram(&mut self, peer: SocketAddr, token: usize) -> Result<Datagram, NetError> {
        let datagram = Datagram::open(peer, self.poll.registry(), token).map_err(net_error)?;
        self.telemetry.descriptors.sockets += 1;
        Ok(datagram)
    }

    fn send(&mut self, datagram: &mut Datagram, bytes: &[u8]) -> Result<(), NetError> {
        datagram.send(bytes)
    }

    fn receive(&mut self, datagram: &mut Datagram, buffer: &mut [u8]) -> Receive {
        datagram.receive(buffer)
    }

    fn close_datagram(&mut self, datagram: Datagram) {
        drop(datagram);
        self.telemetry.descriptors.sockets -= 1;
    }
}

nix::ioctl_read_bad!(siocoutq, libc::TIOCOUTQ, libc::c_int);

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::net::{Host, Telemetry};

    fn net() -> MioNet {
        MioNet::new(SocketOptions {
            keepalive: Some(Duration::from_secs(15)),
            user_timeout: Some(Duration::from_secs(30)),
            reuse_port: false,
        })
        .expect("a poll")
    }

    fn accepted_and_dialed(net: &mut MioNet) -> (Stream, Stream) {
        let any = Address::from(([127, 0, 0, 1], 0));
        let (mut listener, address) = net.listen(&any, 0, true).expect("a listener");
        let dialed = net.dial(&address, 1).expect("a dial");
        let mut events = Vec::new();
        loop {
            net.poll(Some(Duration::from_secs(10)), &mut events).expect("events");
            if let Accept::Connection(accepted, _) = net.accept(&mut listener, 2) {
                return (accepted, dialed);
            }
        }
    }

    fn reset(net: &mut MioNet, mut stream: Stream) {
        net.set_close(&mut stream, Close::Reset);
        net.close(stream);
    }

    #[test]
    fn connections_of_both_sides_have_nodelay_keepalive_and_user_timeout() {
        let mut net = net();
        let (accepted, mut dialed) = accepted_and_dialed(&mut net);
        net.set_deferred_options(&mut dialed);
        for nodelay in [false, true] {
            let socket = SockRef::from(&dialed.socket);
            assert_eq!(socket.tcp_nodelay().expect("nodelay"), nodelay);
            assert_eq!(net.write(&mut dialed, b"x"), Write::Data(1));
            assert_eq!(net.write(&mut dialed, b"x"), Write::Data(1));
        }
        for stream in [&accepted, &dialed] {
            let socket = SockRef::from(&stream.socket);
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
    fn a_splice_counts_as_a_write_before_the_second_one() {
        let mut net = net();
        let (mut accepted, mut dialed) = accepted_and_dialed(&mut net);
        let mut pipe = net.open_pipe().expect("a pipe");
        for nodelay in [false, true] {
            assert_eq!(net.write(&mut accepted, b"x"), Write::Data(1));
            while net.splice_in(&mut dialed, &mut pipe, 1) == Read::WouldBlock {}
            assert_eq!(net.splice_out(&mut pipe, &mut dialed, 1), Write::Data(1));
            let socket = SockRef::from(&dialed.socket);
            assert_eq!(socket.tcp_nodelay().expect("nodelay"), nodelay);
        }
    }

    #[test]
    fn a_path_is_not_dialed_yet() {
        let path = Address::from(std::path::Path::new("/nowhere"));
        assert!(matches!(net().dial(&path, 0), Err(NetError::NotSupported)));
    }

    #[test]
    fn descriptors_of_sockets_and_pipes_are_counted_until_they_are_closed() {
        let mut net = net();
        let (accepted, dialed) = accepted_and_dialed(&mut net);
        let before = net.telemetry().usage().descriptors_open;
        let pipe = net.open_pipe().expect("a pipe");
        assert_eq!(net.telemetry().usage().descriptors_open, before + 2);
        net.close_pipe(pipe);
        [accepted, dialed].into_iter().for_each(|stream| net.close(stream));
        assert_eq!(net.telemetry().usage().descriptors_open, before - 2);
    }

    #[test]
    fn a_socket_that_is_connected_to_itself_has_one_address_at_both_ends() {
        let mut net = net();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("bound");
        let own = socket.local_addr().expect("bound").as_socket().expect("IP");
        socket.connect(&own.into()).expect("TCP connects to itself");
        let socket = TcpStream::from_std(socket.into());
        let mut stream = Stream::dialed(socket);
        assert_eq!(net.dial_result(&mut stream, Readiness::default()), Dial::Connected);
        assert_eq!(net.local_address(&mut stream), Some(Address::Inet(own)));
        assert!(net.is_ephemeral(own.port()));
    }

    #[test]
    fn a_server_that_sent_bytes_before_a_reset_was_reached() {
        let mut net = net();
        for (greeting, want) in
            [(&b"hello"[..], Dial::Lost(NetError::Reset)), (b"", Dial::Failed(NetError::Reset))]
        {
            let (mut accepted, mut dialed) = accepted_and_dialed(&mut net);
            if !greeting.is_empty() {
                assert_eq!(net.write(&mut accepted, greeting), Write::Data(greeting.len()));
            }
            reset(&mut net, accepted);
            assert_eq!(net.dial_result(&mut dialed, Readiness::default()), want);
        }
    }

    #[test]
    fn a_lost_connection_does_not_refuse_to_splice() {
        let mut net = net();
        let (accepted, dialed) = accepted_and_dialed(&mut net);
        for errno in [libc::EINVAL, libc::ENOSYS, libc::EPERM, libc::EACCES] {
            assert!(dialed.refuses_splice(&io::Error::from_raw_os_error(errno)));
        }
        assert!(!dialed.refuses_splice(&io::Error::from_raw_os_error(libc::ECONNRESET)));
        reset(&mut net, accepted);
        for errno in [libc::EINVAL, libc::EPERM, libc::EACCES] {
            assert!(!dialed.refuses_splice(&io::Error::from_raw_os_error(errno)));
        }
    }

    #[test]
    fn unsent_counts_bytes_that_the_peer_has_not_acknowledged() {
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
        reset(&mut net, dialed);
        let mut buffer = [0; 16];
        assert_eq!(net.read(&mut accepted, &mut buffer), Read::Failed(NetError::Reset));
    }

    #[test]
    fn a_close_ends_as_it_was_set_last_and_an_orderly_one_loses_nothing() {
        const BYTES: usize = 100_000;
        let mut net = net();
        for (hows, is_orderly) in
            [(&[][..], true), (&[Close::Reset], false), (&[Close::Reset, Close::Orderly], true)]
        {
            let (mut accepted, mut dialed) = accepted_and_dialed(&mut net);
            // More than the peer's queue takes before it reads.
            let socket = SockRef::from(&accepted.socket);
            socket.set_recv_buffer_size(1).expect("SO_RCVBUF");
            assert_eq!(net.write(&mut dialed, &[7; BYTES]), Write::Data(BYTES));
            hows.iter().for_each(|how| net.set_close(&mut dialed, *how));
            net.close(dialed);
            let mut read = 0;
            let end = loop {
                match net.read(&mut accepted, &mut [0; 1024]) {
                    Read::Data(bytes) => read += bytes,
                    Read::WouldBlock => {}
                    end => break end,
                }
            };
            let want = if is_orderly { Read::Eof } else { Read::Failed(NetError::Reset) };
            assert_eq!((end, read == BYTES), (want, is_orderly), "{hows:?}");
        }
    }

    #[test]
    fn random_numbers_differ() {
        let mut net = net();
        assert_ne!(net.random(), net.random());
    }
}
