//! How the gateway ends, and what it tells its supervisor.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use crate::relay::{expect_reset, round_trip};
use crate::util::*;

/// A drain that no test waits for: longer than the deadline of a wait.
const LONG_DRAIN: &str = "--drain-timeout=5m";

/// A gateway on a port that stays ours after the gateway has closed it, in front of an echo.
fn gateway_at(place: &Reservation, server: &Backend, argument: &str) -> Gateway {
    let listen = format!("--listen-addr={}", place.address());
    Gateway::start(&[server.address()], &[&listen, argument])
}

fn is_refused(address: SocketAddr) -> bool {
    match TcpStream::connect(address) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => true,
        // The listener went away between our handshake and its accept(2).
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => panic!("neither accepted nor refused: {error}"),
    }
}

fn expect_orderly_end(mut gateway: Gateway) {
    let status = gateway.wait_exit();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(gateway.log_count("INFO stopped"), 1);
}

#[test]
fn signal_with_nothing_open_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let server = backend(echo);
        let gateway = Gateway::start(&[server.address()], &[LONG_DRAIN]);
        // A pair that has ended must not count as open.
        round_trip(&gateway.connect(), b"one that leaves");
        gateway.wait_for_log("cause=completed");
        gateway.signal(signal);
        expect_orderly_end(gateway);
    }
}

#[test]
fn running_pairs_go_on_after_a_signal_and_new_clients_are_refused() {
    for signal in ["TERM", "INT"] {
        let (place, server) = (Reservation::new(), backend(echo));
        let gateway = gateway_at(&place, &server, LONG_DRAIN);
        let pairs = [gateway.connect(), gateway.connect()];
        for client in &pairs {
            round_trip(client, b"before the signal");
        }
        gateway.signal(signal);
        let line = gateway.wait_for_log("draining");
        assert!(line.contains("INFO") && line.contains("pairs=2"), "{line}");
        until("the listener is closed", || is_refused(place.address()));
        let [mut first, second] = pairs;
        for client in [&first, &second] {
            round_trip(client, b"after the signal");
        }
        // One leaves, and the other still goes on, half-closed even.
        drop(second);
        gateway.wait_for_log("cause=completed");
        first.write_all(b"the last words").expect("the pair takes a message");
        first.shutdown(Shutdown::Write).expect("the connection stands");
        let mut answer = Vec::new();
        first.read_to_end(&mut answer).expect("an end of file in order");
        assert_eq!(answer, b"the last words");
        expect_orderly_end(gateway);
    }
}

#[test]
fn client_that_is_being_dialed_when_the_signal_comes_is_still_served() {
    let (blackhole, server) = (Blackhole::start(), backend(echo));
    let gateway = Gateway::builder()
        .endpoint(&format!("{}?priority=0", blackhole.address()))
        .endpoint(&format!("{}?priority=1", server.address()))
        .arg(LONG_DRAIN)
        .start();
    let idle = gateway.descriptors();
    let client = gateway.connect();
    gateway.wait_descriptors(idle + 2);
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    round_trip(&client, b"after the signal");
    drop(client);
    expect_orderly_end(gateway);
}

#[test]
fn pair_that_does_not_end_is_reset_when_the_drain_is_over() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &["--drain-timeout=500ms"]);
    let client = gateway.connect();
    round_trip(&client, b"before the signal");
    let started = Instant::now();
    gateway.signal("TERM");
    expect_reset(&client);
    assert!(started.elapsed() >= Duration::from_millis(500), "after {:?}", started.elapsed());
    gateway.wait_for_log("cause=drain_timeout");
    expect_orderly_end(gateway);
}

#[test]
fn second_signal_ends_at_once() {
    for [first, second] in [["TERM", "TERM"], ["INT", "INT"], ["TERM", "INT"]] {
        let server = backend(echo);
        let gateway = Gateway::start(&[server.address()], &[LONG_DRAIN]);
        let client = gateway.connect();
        round_trip(&client, b"before the signals");
        gateway.signal(first);
        gateway.wait_for_log("draining");
        round_trip(&client, b"between the signals");
        gateway.signal(second);
        // Cut off is cut off: it must not look as if the server had finished.
        expect_reset(&client);
        expect_orderly_end(gateway);
    }
}

#[test]
fn sigpipe_never_matters() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &[]);
    let client = gateway.connect();
    for _ in 0..3 {
        gateway.signal("PIPE");
        round_trip(&client, b"alive");
    }
}

/// The next state that the gateway reports to its supervisor.
fn receive(supervisor: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = supervisor.recv(&mut buffer).expect("a notification");
    String::from_utf8(buffer[..length].to_vec()).expect("notifications are text")
}

fn states_are_notified(supervisor: &UnixDatagram, notify_socket: &str) {
    supervisor.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    let (place, server) = (Reservation::new(), backend(echo));
    let builder = Gateway::builder()
        .endpoint(&server.address().to_string())
        .arg(&format!("--listen-addr={}", place.address()))
        .arg(LONG_DRAIN)
        .env("NOTIFY_SOCKET", notify_socket);
    // Started elsewhere, so that we learn of READY=1 before anything else of it.
    let starting = thread::spawn(move || builder.start());
    assert!(receive(supervisor).lines().any(|line| line == "READY=1"));
    let client = TcpStream::connect(place.address()).expect("who is ready listens");
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    round_trip(&client, b"served");
    let gateway = starting.join().expect("the gateway has started");
    supervisor.set_nonblocking(true).expect("a socket can be non-blocking");
    let error = supervisor.recv(&mut [0; 256]).expect_err("nothing has changed");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    supervisor.set_nonblocking(false).expect("a socket can be blocking");

    gateway.signal("TERM");
    assert!(receive(supervisor).lines().any(|line| line == "STOPPING=1"));
    round_trip(&client, b"told before the end, not after it");
    drop(client);
    expect_orderly_end(gateway);
}

#[test]
fn supervisor_at_a_path_is_told_of_the_states() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket in a new directory");
    states_are_notified(&supervisor, path.to_str().expect("a path of plain letters"));
    fs::remove_file(&path).expect("the gateway leaves the socket alone");
}

#[test]
fn supervisor_at_an_abstract_name_is_told_of_the_states() {
    let name = format!("etcd-gateway-test-{}", process::id());
    let address = UnixAddress::from_abstract_name(&name).expect("a short name");
    let supervisor = UnixDatagram::bind_addr(&address).expect("a new abstract name");
    states_are_notified(&supervisor, &format!("@{name}"));
}

#[test]
fn supervisor_that_is_gone_does_not_matter() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("nobody");
    let server = backend(echo);
    let gateway = Gateway::builder()
        .endpoint(&server.address().to_string())
        .env("NOTIFY_SOCKET", path)
        .start();
    round_trip(&gateway.connect(), b"served");
    gateway.signal("TERM");
    expect_orderly_end(gateway);
}
