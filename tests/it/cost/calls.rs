//! System calls of the running gateway: for messages, connections, bulk, and in idleness.
//!
//! One thread plays client and server, so the order of events is the order of its lines. Where
//! several things have to be there at once the gateway is held until they are.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use socket2::{Domain, Socket, Type};

use super::{
    CALLS_PER_CONNECTION, CALLS_PER_CONNECTION_ALLOWANCE, CALLS_PER_CONNECTION_OF_8, CALLS_PER_MIB,
    CALLS_PER_ROUND_TRIP, CALLS_PER_ROUND_TRIP_OF_64, CALLS_PER_SHORT_TRANSFER, CALLS_PER_TRANSFER,
    CALLS_PER_WAKE_UP, release_build,
};
use crate::util::*;

const MESSAGE: [u8; 128] = [b'm'; 128];
const REQUEST: [u8; 64] = [b'r'; 64];
const SHORT_CONNECTIONS: usize = 64;
/// Below those that Linux chooses from by default (ip(7), ip_local_port_range).
const SERVER_PORTS: Range<u16> = 20_000..30_000;

/// A traced gateway in front of a listener of the test's own.
struct Relay {
    gateway: Traced,
    listener: TcpListener,
}

/// Both ends of a pair.
struct Ends {
    client: TcpStream,
    server: TcpStream,
}

impl Relay {
    fn start() -> Relay {
        Relay::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Relay {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // A dial to a port that the kernel also chooses from for our own end takes a call more,
        // to see that it has not met itself. Servers have other ports.
        let mut free = SERVER_PORTS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let is_bound = free.any(|address| socket.bind(&address.into()).is_ok());
        assert!(is_bound, "no free port in {SERVER_PORTS:?}");
        socket.listen(128).expect("a bound socket can listen");
        // An accept(2) of a listener ends with its read timeout too (socket(7)).
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("a bound socket").to_string();
        // As it runs in earnest: a line of the log costs two calls, and debug tells of each pair.
        let builder = Gateway::builder().endpoint(&address).log_level("info");
        let builder = arguments.iter().copied().fold(builder, GatewayBuilder::arg);
        let builder = builder.program(release_build());
        Relay { gateway: Traced::start(builder), listener }
    }

    fn accept(&self) -> TcpStream {
        let (server, _) = self.listener.accept().expect("the gateway dials");
        server.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        server.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        server
    }

    fn pair(&self) -> Ends {
        let client = self.gateway.connect();
        Ends { client, server: self.accept() }
    }

    /// Pairs that have all the options of such that last: no delay with the second message of the
    /// client, the others with time.
    fn lasting_pairs(&self, count: usize) -> Vec<Ends> {
        let pairs: Vec<_> = (0..count).map(|_| self.pair()).collect();
        pairs.iter().for_each(Ends::round_trip);
        pairs.iter().for_each(Ends::round_trip);
        // Those of the listener are the first.
        until("the pairs count as lasting", || {
            self.gateway.count_of("TCP_USER_TIMEOUT") == 1 + count
        });
        pairs
    }

    /// Connections at the same time, from the first packet to the last: client connects
    /// and asks, server answers, client ends, server ends.
    fn serve_short_connections(&self, at_once: usize) {
        let descriptors = self.gateway.descriptors();
        let pause = self.gateway.pause();
        let clients: Vec<_> = (0..at_once).map(|_| self.gateway.connect()).collect();
        clients.iter().for_each(|client| send(client, &REQUEST));
        drop(pause);
        let servers: Vec<_> = (0..at_once).map(|_| self.accept()).collect();
        servers.iter().for_each(|server| receive(server, &REQUEST));
        self.at_once(|| servers.iter().for_each(|server| send(server, &REQUEST)));
        clients.iter().for_each(|client| receive(client, &REQUEST));
        self.at_once(|| drop(clients));
        servers.iter().for_each(expect_end);
        self.at_once(|| drop(servers));
        self.gateway.wait_descriptors(descriptors);
    }

    /// What is done here reaches the gateway as one: it is held meanwhile.
    fn at_once(&self, act: impl FnOnce()) {
        let _pause = self.gateway.pause();
        act();
    }
}

impl Ends {
    fn round_trip(&self) {
        send(&self.client, &MESSAGE);
        receive(&self.server, &MESSAGE);
        send(&self.server, &MESSAGE);
        receive(&self.client, &MESSAGE);
    }
}

fn send(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(message).expect("the pair takes a message");
}

fn receive(mut stream: &TcpStream, want: &[u8]) {
    let mut message = vec![0; want.len()];
    stream.read_exact(&mut message).expect("the pair passes a message on");
    assert!(message == want, "the message arrives as another one");
}

fn expect_end(mut stream: &TcpStream) {
    assert_eq!(stream.read(&mut [0]).expect("the pair passes the end on"), 0);
}

/// Shows the figure where that is asked for (`make cost`); libtest shows it only then.
fn print(what: &str, calls: &Calls, things: usize) {
    println!("calls per {what}: {}", calls.each(things));
}

fn expect_at_most(bound: f64, what: &str, calls: &Calls, things: usize) {
    print(what, calls, things);
    let each = calls.count() as f64 / things as f64;
    assert!(each <= bound, "{bound} calls per {what} at most, not {}", calls.each(things));
}

#[test]
fn a_round_trip_costs_six_calls() {
    const ROUND_TRIPS: usize = 2000;
    let relay = Relay::start();
    let pairs = relay.lasting_pairs(1);
    let mark = relay.gateway.quiet();
    (0..ROUND_TRIPS).for_each(|_| pairs[0].round_trip());
    let calls = relay.gateway.calls_since(mark);
    print("round trip on one connection", &calls, ROUND_TRIPS);
    // On a machine under load a timer may be due while a message is on its way.
    let (all, calls) = (calls.count(), calls.only(|line| !is_ended_by_timer(line)));
    let timers = all - calls.count();
    assert!(timers <= ROUND_TRIPS / 100, "{timers} waits were ended by a timer");
    let want = CALLS_PER_ROUND_TRIP.iter().map(|(name, each)| (*name, each * ROUND_TRIPS));
    assert_eq!(calls.histogram(), want.collect());
}

/// Whether the call is a wait that ended without an event, and that was not to end at once.
fn is_ended_by_timer(line: &str) -> bool {
    let is_look = line.contains(", 0)") || line.contains(", 0, ");
    line.contains(" epoll_") && line.ends_with(" = 0") && !is_look
}

#[test]
fn sixty_four_round_trips_at_once_share_their_waits() {
    const CONNECTIONS: usize = 64;
    const ROUNDS: usize = 20;
    let relay = Relay::start();
    let pairs = relay.lasting_pairs(CONNECTIONS);
    let mark = relay.gateway.quiet();
    for _ in 0..ROUNDS {
        relay.at_once(|| pairs.iter().for_each(|pair| send(&pair.client, &MESSAGE)));
        pairs.iter().for_each(|pair| receive(&pair.server, &MESSAGE));
        relay.at_once(|| pairs.iter().for_each(|pair| send(&pair.server, &MESSAGE)));
        pairs.iter().for_each(|pair| receive(&pair.client, &MESSAGE));
    }
    let calls = relay.gateway.calls_since(mark);
    let round_trips = CONNECTIONS * ROUNDS;
    expect_at_most(CALLS_PER_ROUND_TRIP_OF_64, "round trip of 64 at once", &calls, round_trips);
}

/// The calls of [`SHORT_CONNECTIONS`], of which `at_once` are there at the same time.
fn calls_of_short_connections(relay: &Relay, at_once: usize) -> Calls {
    // What is done only once, for memory for instance, is done before.
    relay.serve_short_connections(at_once);
    let mark = relay.gateway.quiet();
    for _ in 0..SHORT_CONNECTIONS / at_once {
        relay.serve_short_connections(at_once);
    }
    relay.gateway.calls_since(mark)
}

#[test]
fn a_short_connection_costs_no_more_calls_than_it_did() {
    let relay = Relay::start();
    let alone = calls_of_short_connections(&relay, 1);
    let allowance = CALLS_PER_CONNECTION_ALLOWANCE;
    let count = SHORT_CONNECTIONS;
    expect_at_most(CALLS_PER_CONNECTION + allowance, "short connection", &alone, count);
    let what = "short connection of eight at once";
    let calls = calls_of_short_connections(&relay, 8);
    expect_at_most(CALLS_PER_CONNECTION_OF_8 + allowance, what, &calls, count);
}

/// What is shown is a write for each turn in which connections end, and nothing more.
#[test]
fn the_access_log_costs_a_write_for_all_connections_that_end_together() {
    let directory = TemporaryDirectory::new();
    let log = format!("--access-log={}", directory.path().join("log").display());
    let relay = Relay::start_with(&[&log, "--admin-addr=127.0.0.1:0"]);
    let (count, allowance) = (SHORT_CONNECTIONS, CALLS_PER_CONNECTION_ALLOWANCE);
    for (at_once, usual) in [(1, CALLS_PER_CONNECTION), (8, CALLS_PER_CONNECTION_OF_8)] {
        let what = format!("short connection of {at_once} with an access log");
        let calls = calls_of_short_connections(&relay, at_once);
        print(&what, &calls, count);
        let writes = calls.histogram().get("write").copied().unwrap_or_default();
        assert!((count / at_once..=count).contains(&writes), "{}", calls.each(count));
        // Connections that end at the same time may still do so in two turns.
        assert!(at_once == 1 || writes < count / 2, "{}", calls.each(count));
        let others = calls.only(|line| !line.contains(" write("));
        expect_at_most(usual + allowance, &what, &others, count);
    }
}

/// What makes a death of the process a reset at both ends: one call for each, and one more to take
/// it back for an orderly end.
#[test]
fn only_a_pair_that_lasts_pays_for_how_a_death_would_end_it() {
    let relay = Relay::start();
    let calls = || {
        relay.gateway.quiet();
        relay.gateway.count_of("SO_LINGER")
    };
    relay.serve_short_connections(1);
    assert_eq!(calls(), 0);
    let descriptors = relay.gateway.descriptors();
    let mut pairs = relay.lasting_pairs(2);
    assert_eq!(calls(), 2 + 2);
    let Ends { client, server } = pairs.pop().expect("two pairs");
    drop(client);
    expect_end(&server);
    drop(server);
    relay.gateway.wait_descriptors(descriptors + 2);
    assert_eq!(calls(), 2 + 2 + 2);
    reset(pairs.pop().expect("two pairs").client);
    relay.gateway.wait_descriptors(descriptors);
    assert_eq!(calls(), 2 + 2 + 2, "a reset pair is set to reset already");
}

#[test]
fn an_idle_gateway_makes_no_call() {
    let relay = Relay::start();
    let pairs = relay.lasting_pairs(100);
    // An answer that was late, on a machine under load, has a second look at its pair follow.
    let mark = relay.gateway.quiet_without_timers();

    // Time passes, in which others get something done.
    let server = backend(echo);
    let other = Gateway::start(&[server.address()], &[]);
    for _ in 0..100 {
        round_trip(&other.connect(), b"time passes");
    }
    assert!(relay.gateway.is_still_at(mark), "{}", relay.gateway.calls_since(mark));

    // And it would have waited without end: no timer is there that could end this wait.
    send(&pairs[0].client, &MESSAGE);
    receive(&pairs[0].server, &MESSAGE);
    let wait = relay.gateway.wait_at(mark);
    assert!(wait.contains(", -1") && wait.contains(") = 1"), "a wait with a timeout: {wait}");
}

/// Compares the calls of a bulk transfer with what it gave cause for, which is the same however
/// fast sender, receiver and gateway are.
fn expect_bulk(what: &str, calls: &Calls, mib: usize) {
    print(what, calls, mib);
    let (wake_ups, short) = (calls.wake_ups(), calls.short_transfers());
    let bound = CALLS_PER_MIB * mib
        + CALLS_PER_WAKE_UP * wake_ups
        + CALLS_PER_SHORT_TRANSFER * short
        + CALLS_PER_TRANSFER;
    let count = calls.count();
    assert!(
        count <= bound,
        "{count} calls, {bound} at most for {mib} {what}, {wake_ups} wake-ups and {short} short \
         transfers: {}",
        calls.each(mib)
    );
}

#[test]
fn bulk_costs_no_more_calls_than_it_did() {
    const MIB: usize = 64;
    /// A sender that is as slow as can be: the next piece comes when the last one has arrived.
    const PIECE: usize = 16 * 1024;
    const MIB_IN_PIECES: usize = 2;
    let block: Arc<[u8]> = payload(3, 1 << 20).into();
    let relay = Relay::start();
    let Ends { client, server } = relay.pair();
    for (to_whom, from, to) in [("the server", &client, &server), ("the client", &server, &client)]
    {
        let mark = relay.gateway.quiet();
        let sender = from.try_clone().expect("a second handle");
        let bytes = Arc::clone(&block);
        let sending = thread::spawn(move || (0..MIB).for_each(|_| send(&sender, &bytes)));
        (0..MIB).for_each(|_| receive(to, &block));
        sending.join().expect("the sender does not panic");
        expect_bulk(&format!("MiB towards {to_whom}"), &relay.gateway.calls_since(mark), MIB);

        let mark = relay.gateway.quiet();
        for piece in (0..MIB_IN_PIECES).flat_map(|_| block.chunks(PIECE)) {
            send(from, piece);
            receive(to, piece);
        }
        let what = format!("MiB in pieces towards {to_whom}");
        expect_bulk(&what, &relay.gateway.calls_since(mark), MIB_IN_PIECES);
    }
}
