//! Handshakes with servers in memory, good ones and bad ones, and one over a real socket.
//!
//! The command `openssl` makes the certificates, once for the whole process. They are valid from
//! now on; other times are set by the clock of the verifier.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use nix::libc;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_native_certs::CertificateResult;

use self::certificates::{Scratch, made};
use super::*;
use crate::address::Address;
use crate::net::errno::{net_error, retry};
use crate::net::mio::MioNet;
use crate::net::stream::Stream;
use crate::net::{self, Net, NetError};
use crate::proto::dialogue::{Dialogue, DialogueError, Progress};
use crate::proto::tls::{AuthorityProblem, UnusableAuthority};

mod authorities;
mod certificates;
mod curves;
mod handshakes;
mod identities;
mod names;
mod reading;
mod refusals;
mod trusted;

const NAME: &str = "example.test";
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Steps after which a handshake goes nowhere: a byte at a time, it takes a few thousand.
const STEPS_MAX: usize = 100_000;

// ------------------------------------------------------------------------------- both ends

fn verifier_of(authority: &str, name: &str) -> Verifier {
    let scratch = Scratch::new();
    let path = scratch.write("authority.pem", authority);
    of_path(&path, name).expect("a certificate and a name")
}

/// A verifier for servers of this name, by the certificates of a file.
fn of_path(path: &Path, name: &str) -> Result<Verifier, String> {
    let (authority, domain) = (Some(path), Some(name));
    Verifier::new(TlsSettings { authority, domain, ..TlsSettings::default() })
}

fn verifier() -> Verifier {
    verifier_of(&made().authority, NAME)
}

/// A clock that stands still.
#[derive(Debug)]
struct Clock(UnixTime);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

fn verifier_at(time: Duration) -> Verifier {
    let mut verifier = verifier();
    verifier.config.time_provider = Arc::new(Clock(UnixTime::since_unix_epoch(time)));
    verifier
}

fn now() -> Duration {
    Duration::from_secs(UnixTime::now().as_secs())
}

/// Shows a certificate, whether the key belongs to it or not.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// The settings of a server. The usual one has a good certificate and asks for none.
struct Setup {
    version: &'static SupportedProtocolVersion,
    certificate: &'static str,
    key: &'static str,
    asks: bool,
}

impl Setup {
    fn of(version: &'static SupportedProtocolVersion) -> Setup {
        Setup { version, certificate: &made().server, key: &made().key, asks: false }
    }

    fn asking(version: &'static SupportedProtocolVersion) -> Setup {
        Setup { asks: true, ..Setup::of(version) }
    }

    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let certificates = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let certificates = certificates.map(|one| one.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let key = provider.key_provider.load_private_key(key).expect("a key that can sign");
        let shown = Arc::new(Shown(Arc::new(CertifiedKey::new(certificates, key))));

        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[self.version]).expect("a version");
        let builder = if self.asks {
            let mut roots = RootCertStore::empty();
            let authority = CertificateDer::from_pem_slice(made().authority.as_bytes());
            roots.add(authority.expect("a certificate")).expect("an authority");
            let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(clients.build().expect("an authority"))
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_cert_resolver(shown))
    }

    fn server(&self) -> Server {
        let connection = ServerConnection::new(self.config()).expect("random bytes");
        Server::Tls { connection: Box::new(connection), flights_max: usize::MAX, outcome: Ok(()) }
    }

    /// A server that breaks off after its first flight.
    fn breaking_off(&self) -> Server {
        let mut server = self.server();
        if let Server::Tls { flights_max, .. } = &mut server {
            *flights_max = 1;
        }
        server
    }

    fn outcome(&self) -> Outcome {
        Wire::default().handshake(&verifier(), &mut self.server())
    }
}

enum Server {
    /// Ends the connection after `flights_max` flights, or after an error, which it sends as an
    /// alert.
    Tls {
        connection: Box<ServerConnection>,
        flights_max: usize,
        outcome: Result<(), rustls::Error>,
    },
    /// Sends these bytes, whatever it receives, and then ends the connection if an end is given.
    Fixed(Vec<u8>, Option<End>),
}

#[derive(Clone, Copy)]
enum End {
    Eof,
    Error(i32),
}

/// The client's end of a connection in memory, and what is under way on it.
#[derive(Default)]
struct Wire {
    to_client: VecDeque<u8>,
    to_server: Vec<u8>,
    end: Option<End>,
    /// The error of each write.
    write_error: Option<i32>,
    /// Gives and takes one byte at a time, and nothing every other time.
    trickles: bool,
    calls: usize,
    /// Bytes that the client has read and written.
    moved_bytes: usize,
}

impl Wire {
    /// The most bytes that one call moves.
    fn bytes_max(&mut self) -> io::Result<usize> {
        self.calls += 1;
        match (self.trickles, self.calls % 4) {
            (false, _) => Ok(usize::MAX),
            (true, 0) => Ok(1),
            (true, 2) => Err(ErrorKind::Interrupted.into()),
            (true, _) => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Carries out a handshake until it is over, or both sides wait for each other.
    fn handshake(&mut self, verifier: &Verifier, server: &mut Server) -> Outcome {
        let mut handshake = Handshake::new(verifier);
        self.carry_out(&mut handshake, server)
    }

    fn carry_out(&mut self, handshake: &mut Handshake, server: &mut Server) -> Outcome {
        let mut idle = 0;
        for _ in 0..STEPS_MAX {
            let moved_before = self.moved_bytes;
            let outcome = handshake.advance(self);
            let is_idle = !self.serve(server) && self.moved_bytes == moved_before;
            idle = if is_idle { idle + 1 } else { 0 };
            if outcome != Outcome::Pending || idle > 4 {
                return outcome;
            }
        }
        panic!("no end after {STEPS_MAX} steps");
    }

    /// Lets the server receive and send. Returns whether it did either.
    fn serve(&mut self, server: &mut Server) -> bool {
        if self.end.is_some() {
            return false;
        }
        match server {
            Server::Fixed(bytes, end) => {
                let is_silent = bytes.is_empty() && end.is_none();
                self.to_client.extend(bytes.drain(..));
                self.end = *end;
                !is_silent
            }
            Server::Tls { connection, flights_max, outcome } => {
                while !self.to_server.is_empty() {
                    let mut heard = self.to_server.as_slice();
                    connection.read_tls(&mut heard).expect("room in memory");
                    let count = self.to_server.len() - heard.len();
                    self.to_server.drain(..count);
                    *outcome = outcome.clone().and(connection.process_new_packets().map(|_| ()));
                }
                let is_flight = connection.wants_write();
                while connection.wants_write() {
                    connection.write_tls(&mut self.to_client).expect("room in memory");
                }
                *flights_max -= usize::from(is_flight);
                if *flights_max == 0 || outcome.is_err() {
                    self.end = Some(End::Eof);
                }
                is_flight
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes_max()?.min(buffer.len());
        match self.end {
            _ if !self.to_client.is_empty() => {
                let count = self.to_client.read(&mut buffer[..count])?;
                self.moved_bytes += count;
                Ok(count)
            }
            None => Err(ErrorKind::WouldBlock.into()),
            Some(End::Eof) => Ok(0),
            Some(End::Error(errno)) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(errno) = self.write_error {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let count = self.bytes_max()?.min(buffer.len());
        self.moved_bytes += count;
        self.to_server.write(&buffer[..count])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The outcome where the trusted certificate of `CN=root` cannot be used.
fn root_is(problem: AuthorityProblem) -> Outcome {
    failed(HandshakeError::Authority(UnusableAuthority { problem, subject: "CN=root" }))
}

fn failed(error: HandshakeError) -> Outcome {
    Outcome::Failed(error)
}

/// The state of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Pending,
    Done,
    Failed(HandshakeError),
    /// The connection is lost, for no reason that the handshake gives.
    Lost(NetError),
}

/// A handshake, carried out on a socket as the reactor carries out a dialogue.
struct Handshake {
    dialogue: Dialogue,
    lost: Option<NetError>,
}

impl Handshake {
    fn new(verifier: &Verifier) -> Handshake {
        Handshake::with(verifier, NAME)
    }

    /// A handshake with a server of that name.
    fn with(verifier: &Verifier, name: &str) -> Handshake {
        Handshake::of(verifier.begin(name).expect("a name and random bytes"))
    }

    fn of(session: TlsSession) -> Handshake {
        Handshake { dialogue: Dialogue::over_tls(Box::new(session), Dialogue::Connect), lost: None }
    }

    fn advance(&mut self, socket: &mut (impl Read + Write)) -> Outcome {
        let mut buffer = [0; 1024];
        loop {
            let progress = self.dialogue.poll();
            self.write(socket);
            match progress {
                Progress::Pending => {}
                Progress::Done => return Outcome::Done,
                Progress::Failed(DialogueError::Handshake(error)) => return Outcome::Failed(error),
                _ => panic!("a handshake brings no message"),
            }
            let (is_orderly, error) = match retry(|| socket.read(&mut buffer)) {
                Ok(0) => (true, NetError::Reset),
                Ok(bytes) => {
                    self.dialogue.incoming(&buffer[..bytes]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => match self.lost {
                    None => return Outcome::Pending,
                    Some(error) => (false, error),
                },
                Err(error) => (false, net_error(error)),
            };
            return match self.dialogue.end(is_orderly) {
                Some(Progress::Done) => Outcome::Done,
                Some(Progress::Failed(DialogueError::Handshake(error))) => Outcome::Failed(error),
                _ => Outcome::Lost(error),
            };
        }
    }

    fn write(&mut self, socket: &mut impl Write) {
        while self.lost.is_none() {
            let bytes = self.dialogue.outgoing();
            if bytes.is_empty() {
                return;
            }
            match retry(|| socket.write(bytes)) {
                Ok(0) => return,
                Ok(bytes) => self.dialogue.wrote(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.lost = Some(net_error(error)),
            }
        }
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

// ------------------------------------------------------------------------------- a real socket

struct Socket {
    net: MioNet,
    stream: Stream,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.net.read(&mut self.stream, buffer) {
            net::Read::Data(bytes) => Ok(bytes),
            net::Read::Eof => Ok(0),
            net::Read::WouldBlock => Err(ErrorKind::WouldBlock.into()),
            net::Read::Failed(error) => panic!("{error}"),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.net.write(&mut self.stream, buffer) {
            net::Write::Data(bytes) => Ok(bytes),
            net::Write::WouldBlock => Err(ErrorKind::WouldBlock.into()),
            net::Write::Failed(error) => panic!("{error}"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_network_of_the_machine_shakes_hands() {
    use std::net::TcpListener;

    use crate::net::mio::SocketOptions;
    use crate::net::{Dial, Event, Readiness};

    const DEADLINE: Duration = Duration::from_secs(20);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let config = Setup::of(&TLS13).config();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the connection");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let mut connection = ServerConnection::new(config).expect("random bytes");
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).expect("a handshake");
        }
    });

    let options = SocketOptions { keepalive: None, user_timeout: None, reuse_port: false };
    let mut net = MioNet::new(options).expect("a poll");
    let mut socket = Socket { stream: net.dial(&Address::Inet(address), 1).expect("a dial"), net };
    let mut handshake = Handshake::new(&verifier());
    let until = socket.net.now() + DEADLINE;
    let (mut events, mut is_established) = (Vec::new(), false);
    let outcome = loop {
        let left = until.saturating_duration_since(socket.net.now());
        assert!(!left.is_zero(), "no end of the handshake");
        socket.net.poll(Some(left), &mut events).expect("events");
        let readiness = events.drain(..).find_map(|event| match event {
            Event::Socket(1, readiness) => Some(readiness),
            _ => None,
        });
        let Some(readiness) = readiness else { continue };
        is_established |= socket.net.dial_result(&mut socket.stream, readiness) == Dial::Connected;
        assert!(is_established || readiness == Readiness::default());
        match handshake.advance(&mut socket) {
            Outcome::Pending => {}
            outcome => break outcome,
        }
    };
    assert_eq!(outcome, Outcome::Done);
    let Socket { mut net, stream } = socket;
    net.close(stream);
    server.join().expect("a server that is content");
}
