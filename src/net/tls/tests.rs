//! Handshakes with servers in memory, good ones and bad ones, and one over a real socket.
//!
//! The certificates come from the command `openssl`, once for the whole process. They are in force
//! from now on; that they are not is a matter of the clock that the verifier is given.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
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

use super::*;

mod curves;
mod reading;
mod trusted;

const NAME: &str = "example.test";
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Steps after which a handshake goes nowhere: a byte at a time, it takes a few thousand.
const STEPS_MAX: usize = 100_000;

// ------------------------------------------------------------------------------- certificates

/// A temporary directory that is gone after the test.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("etcd-gateway-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory of our own");
        Scratch { path }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).expect("write to our own directory");
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).expect("what openssl wrote")
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(&self.path).args(arguments.split_whitespace());
        let output = command.output().expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {output:?}");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Certificates and keys as PEM. All servers have the same key.
struct Made {
    authority: String,
    other_authority: String,
    key: String,
    other_key: String,
    /// For [`NAME`], `*.wild.test` and 127.0.0.1, by `authority`.
    server: String,
    /// For [`NAME`] in the subject alone.
    common_name: String,
    /// For [`NAME`], but for clients to use.
    client: String,
    /// For [`NAME`], by itself.
    self_signed: String,
    /// For [`NAME`], by itself, and an authority at that.
    self_signed_authority: String,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let scratch = Scratch::new();
        for key in ["authority.key", "key", "other.key"] {
            let curve = "-algorithm EC -pkeyopt ec_paramgen_curve:prime256v1";
            scratch.openssl(&format!("genpkey {curve} -out {key}"));
        }
        let itself = |out: &str, key: &str, subject: &str, more: &str| {
            let subject = format!("-days 2 -subj /CN={subject}");
            scratch.openssl(&format!("req -x509 -key {key} -out {out} {subject} {more}"));
            scratch.read(out)
        };
        let named = format!("-addext subjectAltName=DNS:{NAME}");
        let authority = itself("authority", "authority.key", "authority", "");
        let other_authority = itself("other", "other.key", "other", "");
        let self_signed_authority = itself("self", "key", NAME, &named);
        scratch.openssl(&format!("req -new -key key -out request -subj /CN={NAME}"));
        let signed = |out: &str, by: &str, extensions: &str| {
            scratch.write("extensions", extensions);
            let input = "-req -in request -days 2 -extfile extensions";
            scratch.openssl(&format!("x509 {input} {by} -out {out}"));
            scratch.read(out)
        };
        let by_authority = "-CA authority -CAkey authority.key -CAcreateserial";
        let names = format!("subjectAltName=DNS:{NAME},DNS:*.wild.test,IP:127.0.0.1\n");
        Made {
            authority,
            other_authority,
            key: scratch.read("key"),
            other_key: scratch.read("other.key"),
            server: signed("server", by_authority, &names),
            common_name: signed("common", by_authority, "basicConstraints=CA:FALSE"),
            client: signed(
                "client",
                by_authority,
                &(names.clone() + "extendedKeyUsage=clientAuth"),
            ),
            self_signed: signed("self", "-signkey key", &(names + "basicConstraints=CA:FALSE")),
            self_signed_authority,
        }
    })
}

// ------------------------------------------------------------------------------- both ends

fn verifier_of(authority: &str, name: &str) -> Verifier {
    let scratch = Scratch::new();
    let path = scratch.write("authority.pem", authority);
    Verifier::new(Some(&path), name).expect("a certificate and a name")
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

/// How a server is set up; the usual one has the certificate that it should and asks for none.
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

    /// A server that breaks off after what it says first.
    fn breaking_off(&self) -> Server {
        let mut server = self.server();
        if let Server::Tls { flights_max, .. } = &mut server {
            *flights_max = 1;
        }
        server
    }

    fn outcome(&self) -> Shake {
        Wire::default().shake(&verifier(), &mut self.server())
    }
}

enum Server {
    /// Ends the connection after so many flights, or after an error, which it tells by an alert.
    Tls {
        connection: Box<ServerConnection>,
        flights_max: usize,
        outcome: Result<(), rustls::Error>,
    },
    /// Says this, whatever it hears, and ends the connection if there is something after it.
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
    /// What a write finds.
    write_error: Option<i32>,
    /// Gives and takes one byte at a time, and nothing every other time.
    trickles: bool,
    calls: usize,
    /// Bytes that the client has read and written.
    moved_bytes: usize,
}

impl Wire {
    /// What one call may move.
    fn bytes_max(&mut self) -> io::Result<usize> {
        self.calls += 1;
        match (self.trickles, self.calls % 4) {
            (false, _) => Ok(usize::MAX),
            (true, 0) => Ok(1),
            (true, 2) => Err(ErrorKind::Interrupted.into()),
            (true, _) => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Goes on until the handshake is over, or both sides wait for the other.
    fn shake(&mut self, verifier: &Verifier, server: &mut Server) -> Shake {
        let mut handshake = verifier.begin();
        self.shake_on(&mut handshake, server)
    }

    fn shake_on(&mut self, handshake: &mut Handshake, server: &mut Server) -> Shake {
        let mut idle = 0;
        for _ in 0..STEPS_MAX {
            let moved_before = self.moved_bytes;
            let shake = handshake.advance(self);
            let is_idle = !self.serve(server) && self.moved_bytes == moved_before;
            idle = if is_idle { idle + 1 } else { 0 };
            if shake != Shake::Pending || idle > 4 {
                return shake;
            }
        }
        panic!("no end after {STEPS_MAX} steps");
    }

    /// Lets the server hear and speak; whether anything came of it.
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

fn failed(error: HandshakeError) -> Shake {
    Shake::Failed(error)
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

// ------------------------------------------------------------------------------- good servers

#[test]
fn a_server_is_verified_and_told_of_the_end() {
    for version in VERSIONS {
        for trickles in [false, true] {
            let mut wire = Wire { trickles, ..Wire::default() };
            let mut server = Setup::of(version).server();
            assert_eq!(wire.shake(&verifier(), &mut server), Shake::Done, "{version:?}");
            // What the socket does not take at once is not waited for.
            if trickles {
                continue;
            }
            let Server::Tls { mut connection, outcome, .. } = server else { unreachable!() };
            assert_eq!(outcome, Ok(()));
            assert!(!connection.is_handshaking());
            let state = connection.process_new_packets().expect("no error");
            assert!(state.peer_has_closed());
        }
    }
}

#[test]
fn the_name_is_a_dns_name_or_an_address() {
    for version in VERSIONS {
        for (name, want) in [
            ("example.test", Shake::Done),
            ("EXAMPLE.test", Shake::Done),
            ("example.test.", Shake::Done),
            ("a.wild.test", Shake::Done),
            ("127.0.0.1", Shake::Done),
            ("wild.test", failed(HandshakeError::WrongName)),
            ("a.b.wild.test", failed(HandshakeError::WrongName)),
            ("a.example.test", failed(HandshakeError::WrongName)),
            ("127.0.0.2", failed(HandshakeError::WrongName)),
            ("::1", failed(HandshakeError::WrongName)),
        ] {
            let verifier = verifier_of(&made().authority, name);
            let mut server = Setup::of(version).server();
            assert_eq!(Wire::default().shake(&verifier, &mut server), want, "{name}");
        }
    }
}

#[test]
fn one_verifier_serves_many_handshakes_and_each_in_full() {
    let verifier = verifier();
    for version in VERSIONS {
        let config = Setup::of(version).config();
        for _ in 0..3 {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("random bytes");
            let (connection, outcome) = (Box::new(connection), Ok(()));
            let mut server = Server::Tls { connection, flights_max: usize::MAX, outcome };
            assert_eq!(Wire::default().shake(&verifier, &mut server), Shake::Done);
            let Server::Tls { connection, .. } = server else { unreachable!() };
            assert_eq!(connection.handshake_kind(), Some(rustls::HandshakeKind::Full));
        }
    }
}

#[test]
fn a_server_that_stalls_is_waited_for() {
    let mut silent = Server::Fixed(Vec::new(), None);
    assert_eq!(Wire::default().shake(&verifier(), &mut silent), Shake::Pending);
    // The beginning of a record.
    let mut stalled = Server::Fixed(vec![22, 3, 3], None);
    assert_eq!(Wire::default().shake(&verifier(), &mut stalled), Shake::Pending);
}

// ------------------------------------------------------------------------------- bad certificates

#[test]
fn a_certificate_out_of_its_time_is_told_from_the_others() {
    let expired = verifier_at(now() + TEN_YEARS);
    let early = verifier_at(now() - TEN_YEARS);
    let reset_clock = verifier_at(Duration::ZERO);
    for version in VERSIONS {
        for (verifier, want) in [
            (&expired, HandshakeError::Expired),
            (&early, HandshakeError::NotYetValid),
            (&reset_clock, HandshakeError::NotYetValid),
        ] {
            let mut server = Setup::of(version).server();
            assert_eq!(Wire::default().shake(verifier, &mut server), failed(want));
            // The server's log says the same.
            let Server::Tls { outcome, .. } = server else { unreachable!() };
            assert!(matches!(outcome, Err(rustls::Error::AlertReceived(_))), "{outcome:?}");
        }
    }
}

#[test]
fn a_certificate_needs_an_authority_a_name_and_a_purpose() {
    let made = made();
    for version in VERSIONS {
        for (authority, certificate, want) in [
            (&made.other_authority, &made.server, failed(HandshakeError::UnknownAuthority)),
            (&made.authority, &made.self_signed, failed(HandshakeError::UnknownAuthority)),
            (&made.authority, &made.common_name, failed(HandshakeError::WrongName)),
            (&made.authority, &made.client, failed(HandshakeError::WrongPurpose)),
            // What is itself in the file may be shown, as Go has it.
            (&made.self_signed, &made.self_signed, Shake::Done),
            (&made.server, &made.server, Shake::Done),
            (&made.self_signed_authority, &made.self_signed_authority, Shake::Done),
        ] {
            let verifier = verifier_of(authority, NAME);
            let mut server = Setup { certificate, ..Setup::of(version) }.server();
            assert_eq!(Wire::default().shake(&verifier, &mut server), want, "{version:?}");
        }
    }
}

#[test]
fn a_certificate_without_its_key_proves_nothing() {
    for version in VERSIONS {
        let asking = Setup { key: &made().other_key, ..Setup::asking(version) };
        let plain = Setup { key: &made().other_key, ..Setup::of(version) };
        for mut server in [plain.server(), asking.server(), asking.breaking_off()] {
            let outcome = Wire::default().shake(&verifier(), &mut server);
            assert_eq!(outcome, failed(HandshakeError::BadCertificate), "{version:?}");
        }
    }
}

// ------------------------------------------------------------------------------- our certificate

#[test]
fn a_server_that_wants_a_certificate_of_ours_is_verified_all_the_same() {
    for version in VERSIONS {
        assert_eq!(Setup::asking(version).outcome(), Shake::Done, "{version:?}");
    }
}

#[test]
fn what_breaks_off_for_want_of_our_certificate_is_verified_however_it_does() {
    for end in [End::Eof, End::Error(libc::ECONNRESET), End::Error(libc::EPIPE)] {
        let mut wire = Wire::default();
        let mut handshake = verifier().begin();
        let mut server = Setup::asking(&TLS12).server();
        assert_eq!(handshake.advance(&mut wire), Shake::Pending);
        assert!(wire.serve(&mut server));
        assert_eq!(handshake.advance(&mut wire), Shake::Pending);
        wire.end = Some(end);
        assert_eq!(handshake.advance(&mut wire), Shake::Done);
    }
}

#[test]
fn what_breaks_off_without_wanting_our_certificate_is_not_verified() {
    let mut wire = Wire::default();
    let outcome = wire.shake(&verifier(), &mut Setup::of(&TLS12).breaking_off());
    assert_eq!(outcome, failed(HandshakeError::Lost(NetError::Reset)));
}

#[test]
fn what_breaks_off_before_it_has_signed_is_not_verified() {
    let alert = [21, 3, 3, 0, 2, 2, 40];
    for (said, want) in [
        // Something was in common, since the server has chosen.
        (&alert[..], failed(HandshakeError::Refused)),
        (&[], failed(HandshakeError::Lost(NetError::Reset))),
    ] {
        let mut wire = Wire::default();
        let mut handshake = verifier().begin();
        assert_eq!(handshake.advance(&mut wire), Shake::Pending);
        assert!(wire.serve(&mut Setup::asking(&TLS12).server()));
        // All in one record, and last the message of four bytes on which all is verified.
        let flight = wire.to_client.make_contiguous();
        let length = flight.len() - 5;
        assert_eq!(usize::from(u16::from_be_bytes([flight[3], flight[4]])), length);
        assert_eq!(flight[length + 1..], [14, 0, 0, 0]);
        let shorter = u16::try_from(length - 4).expect("shorter than it was");
        flight[3..5].copy_from_slice(&shorter.to_be_bytes());
        wire.to_client.truncate(length + 1);
        assert_eq!(handshake.advance(&mut wire), Shake::Pending);

        let mut server = Server::Fixed(said.to_vec(), Some(End::Eof));
        assert_eq!(wire.shake_on(&mut handshake, &mut server), want);
    }
}

#[test]
fn asking_for_a_certificate_does_not_excuse_a_bad_one() {
    let other = verifier_of(&made().other_authority, NAME);
    for version in VERSIONS {
        for mut server in [Setup::asking(version).server(), Setup::asking(version).breaking_off()] {
            let outcome = Wire::default().shake(&other, &mut server);
            assert_eq!(outcome, failed(HandshakeError::UnknownAuthority), "{version:?}");
        }
    }
}

// ------------------------------------------------------------------------------- no servers of TLS

#[test]
fn what_speaks_no_tls_is_told_from_what_refuses() {
    let no_tls = failed(HandshakeError::NoTls);
    let lost = |error| failed(HandshakeError::Lost(error));
    let http = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let alert = |number| [21, 3, 3, 0, 2, 2, number];
    for (said, end, want) in [
        (&b""[..], End::Eof, no_tls),
        (b"", End::Error(libc::ECONNRESET), lost(NetError::Reset)),
        (b"", End::Error(libc::ETIMEDOUT), lost(NetError::TimedOut)),
        (http, End::Eof, no_tls),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", End::Eof, no_tls),
        (b"-ERR\n", End::Eof, no_tls),
        (b"no", End::Eof, no_tls),
        // The beginning of a record.
        (&[22, 3, 3], End::Eof, lost(NetError::Reset)),
        (&[0; 64], End::Eof, no_tls),
        (&[255; 70_000], End::Eof, no_tls),
        // A record of a handshake, filled with nothing.
        (&[22, 3, 3, 0, 4, 9, 9, 9, 9], End::Eof, no_tls),
        (&alert(40), End::Eof, failed(HandshakeError::NoCommonCipherSuite)),
        (&alert(71), End::Eof, failed(HandshakeError::NoCommonCipherSuite)),
        (&alert(70), End::Eof, failed(HandshakeError::NoCommonVersion)),
        // That the name is not known, and an error of its own.
        (&alert(112), End::Eof, failed(HandshakeError::Refused)),
        (&alert(80), End::Eof, failed(HandshakeError::Refused)),
    ] {
        for trickles in [false, true] {
            let mut wire = Wire { trickles, ..Wire::default() };
            let outcome = wire.shake(&verifier(), &mut Server::Fixed(said.to_vec(), Some(end)));
            assert_eq!(outcome, want, "{:?}", String::from_utf8_lossy(said));
        }
    }
}

#[test]
fn an_alert_is_read_even_where_nothing_can_be_written() {
    let mut wire = Wire { write_error: Some(libc::EPIPE), ..Wire::default() };
    wire.to_client.extend([21, 3, 3, 0, 2, 2, 40]);
    let mut handshake = verifier().begin();
    assert_eq!(handshake.advance(&mut wire), failed(HandshakeError::NoCommonCipherSuite));

    let mut wire = Wire { write_error: Some(libc::EHOSTUNREACH), ..Wire::default() };
    let mut handshake = verifier().begin();
    let lost = HandshakeError::Lost(NetError::HostUnreachable);
    assert_eq!(handshake.advance(&mut wire), failed(lost));
}

#[test]
fn what_stops_making_sense_is_refused() {
    // All that this server of TLS 1.2 says is in one record, and none of it is taken singly.
    for (setup, kept_part) in
        [(Setup::of(&TLS12), 1), (Setup::asking(&TLS12), 1), (Setup::of(&TLS13), 2)]
    {
        let mut wire = Wire::default();
        let mut handshake = verifier().begin();
        assert_eq!(handshake.advance(&mut wire), Shake::Pending);
        assert!(wire.serve(&mut setup.server()));
        wire.to_client.truncate(wire.to_client.len() / kept_part);
        wire.to_client.extend([7; 4096]);
        let outcome = wire.shake_on(&mut handshake, &mut Server::Fixed(Vec::new(), Some(End::Eof)));
        assert_eq!(outcome, failed(HandshakeError::Refused), "{:?}", setup.version);
    }
}

#[test]
fn a_handshake_without_end_is_given_up() {
    let mut handshake = verifier().begin();
    handshake.begun.as_mut().expect("random bytes").received_bytes = HANDSHAKE_BYTES_MAX;
    let mut server = Server::Fixed(vec![22], None);
    let outcome = Wire::default().shake_on(&mut handshake, &mut server);
    assert_eq!(outcome, failed(HandshakeError::Refused));
}

// ------------------------------------------------------------------------------- what is trusted

#[test]
fn a_file_may_hold_several_authorities_and_more() {
    let made = made();
    let several = [&made.other_authority, "# ours\n", &made.key, &made.authority].join("\n");
    let verifier = verifier_of(&several, NAME);
    assert_eq!(Wire::default().shake(&verifier, &mut Setup::of(&TLS13).server()), Shake::Done);
}

#[test]
fn what_cannot_be_trusted_is_named_in_one_line() {
    let scratch = Scratch::new();
    let half = &made().authority[..made().authority.len() / 2];
    let base64 = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let content = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let second = made().authority.clone() + content;
    for (name, text, want) in [
        ("empty", "", "no certificate in "),
        ("garbage", "\u{0}\u{1}, or so", "no certificate in "),
        ("key", &made().key, "no certificate in "),
        ("half", half, "certificate 1 in "),
        ("base64", base64, "certificate 1 in "),
        ("content", content, "certificate 1 in "),
        ("second", &second, "certificate 2 in "),
    ] {
        let path = scratch.write(name, text);
        let reason = Verifier::new(Some(&path), NAME).expect_err(name);
        assert!(reason.starts_with(want), "{reason}");
        assert!(reason.contains(&path.display().to_string()), "{reason}");
        assert!(!reason.contains('\n'), "{reason}");
    }
    for path in [scratch.path.join("missing"), scratch.path.clone()] {
        let reason = Verifier::new(Some(&path), NAME).expect_err("no file");
        assert!(reason.starts_with(&format!("cannot read {}: ", path.display())), "{reason}");
    }
}

#[test]
fn a_name_has_to_be_one() {
    let scratch = Scratch::new();
    let path = scratch.write("authority.pem", &made().authority);
    for name in ["", ".", "a b", "a..b", "-a.test", "[::1]", "1.2.3", "a.test:1"] {
        let reason = Verifier::new(Some(&path), name).expect_err(name);
        assert_eq!(reason, format!("{name:?} is neither a DNS name nor an IP address"));
    }
}

#[test]
fn the_system_is_taken_at_its_word_unless_it_has_none() {
    let of_system = |found| file::of_system(found, &server_name(NAME)?, UnixTime::now());
    let reason = of_system(CertificateResult::default()).expect_err("nothing found");
    assert_eq!(reason, "this system has no certificates of authorities: none was found");

    let mut found = CertificateResult::default();
    let broken = CertificateDer::from(vec![0]);
    let authority = CertificateDer::from_pem_slice(made().authority.as_bytes());
    found.certs = vec![broken, authority.expect("a certificate")];
    let trusting = |trust| Verifier::trusting(trust, server_name(NAME)?);
    let verifier = of_system(found).and_then(trusting).expect("one that can be used");
    assert_eq!(Wire::default().shake(&verifier, &mut Setup::of(&TLS13).server()), Shake::Done);
}

// ------------------------------------------------------------------------------- a real socket

#[test]
fn the_network_of_the_machine_shakes_hands() {
    use std::net::TcpListener;

    use super::super::mio::{MioNet, SocketOptions};
    use super::super::{Dial, Event, Net, Readiness};

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
    net.verify_with(verifier());
    let mut stream = net.dial(address, 1).expect("a dial");
    let mut handshake = net.begin_handshake();
    let until = net.now() + DEADLINE;
    let (mut events, mut stands) = (Vec::new(), false);
    let outcome = loop {
        let left = until.saturating_duration_since(net.now());
        assert!(!left.is_zero(), "no end of the handshake");
        net.poll(Some(left), &mut events).expect("events");
        let told = events.drain(..).find_map(|event| match event {
            Event::Socket(1, readiness) => Some(readiness),
            _ => None,
        });
        let Some(told) = told else { continue };
        stands = stands || net.dial_result(&mut stream, told) == Dial::Connected;
        assert!(stands || told == Readiness::default());
        match net.shake(&mut stream, &mut handshake) {
            Shake::Pending => {}
            outcome => break outcome,
        }
    };
    assert_eq!(outcome, Shake::Done);
    net.close(stream);
    server.join().expect("a server that is content");
}
