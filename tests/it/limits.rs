//! What the gateway does at the edges of its resources: descriptors, memory, connections.
//!
//! Limits are moved and sockets inspected with system calls instead of tools, so that a machine
//! without iproute2 can run these tests too.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::util::*;

/// What one flow may hold back at most: `BUFFER_BYTES` of the gateway's configuration.
const BUFFER_KIB: usize = 68;
/// Ticks of processor time in a second (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: u128 = 100;

/// The number behind `key` in a file of `/proc/PID` with lines like `VmRSS:   1234 kB`.
fn status(gateway: &Gateway, file: &str, key: &str) -> usize {
    let path = format!("/proc/{}/{file}", gateway.pid());
    let text = fs::read_to_string(path).expect("a running gateway has it");
    let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("the key is there");
    let number = line.split_whitespace().find_map(|word| word.parse().ok());
    number.expect("a number follows the key")
}

/// The number behind `key=` in the line that tells the limits at the start.
fn limit(gateway: &Gateway, key: &str) -> usize {
    gateway.logged_number("limits connections_max=", key)
}

#[test]
fn soft_descriptor_limit_is_raised_to_the_hard_one() {
    let server = backend(echo);
    let endpoint = server.address().to_string();
    let gateway = Gateway::builder().endpoint(&endpoint).nofile(64, 4096).start();
    assert_eq!(status(&gateway, "limits", "Max open files"), 4096);
    let connections_max = limit(&gateway, "connections_max");
    assert!((2000..2048).contains(&connections_max), "two for each, and a reserve");
}

#[test]
fn idle_memory_does_not_depend_on_the_descriptor_limit() {
    let hard = own_hard_limit();
    let server = backend(echo);
    let memory = [1024, hard].map(|limit| {
        let endpoint = server.address().to_string();
        let gateway = Gateway::builder().endpoint(&endpoint).nofile(1024, limit).start();
        round_trip(&gateway.connect(), b"so that all that comes late is there");
        // What is touched, and what is only reserved: RssAnon is not shared with other gateways.
        ["RssAnon:", "VmData:"].map(|key| status(&gateway, "status", key))
    });
    for (few, many) in memory[0].iter().zip(&memory[1]) {
        assert!(few.abs_diff(*many) <= 100, "KiB with 1024 and {hard} descriptors: {memory:?}");
    }
}

/// The connection must stay open and silent until the other one has made some round trips.
fn expect_silence(stream: &TcpStream, other: &TcpStream) {
    for _ in 0..5 {
        round_trip(other, b"a turn of the gateway");
    }
    stream.set_nonblocking(true).expect("a socket can be non-blocking");
    let error = (&*stream).read(&mut [0]).expect_err("nothing comes");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("a socket can be blocking");
}

fn expect_byte(mut stream: &TcpStream, want: u8) {
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("it is served now");
    assert_eq!(byte, [want]);
}

#[test]
fn clients_beyond_the_maximum_wait_until_one_leaves() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &["--max-connections=2"]);
    let [first, second] = [gateway.connect(), gateway.connect()];
    round_trip(&first, b"first");
    round_trip(&second, b"second");
    let mut third = gateway.connect();
    third.write_all(b"3").expect("the kernel takes it");
    expect_silence(&third, &first);
    assert_eq!(server.accepted(), 2);
    drop(second);
    expect_byte(&third, b'3');
    round_trip(&first, b"still here");
    assert_eq!(gateway.log_count("WARN"), 0, "waiting is not a failure");
}

/// Clients that have sent a byte each and may or may not have been served yet.
struct Crowd {
    waiting: Vec<TcpStream>,
    served: Vec<TcpStream>,
}

impl Crowd {
    fn connect(gateway: &Gateway, count: usize) -> Crowd {
        let mut waiting = Vec::new();
        for _ in 0..count {
            let mut client = gateway.connect();
            client.write_all(b"!").expect("the kernel takes it");
            client.set_nonblocking(true).expect("a socket can be non-blocking");
            waiting.push(client);
        }
        Crowd { waiting, served: Vec::new() }
    }

    /// Looks once at each client that waits whether its byte has come back.
    fn look(&mut self) {
        for mut client in std::mem::take(&mut self.waiting) {
            match client.read(&mut [0; 2]) {
                Ok(1) => {
                    client.set_nonblocking(false).expect("a socket can be blocking");
                    self.served.push(client);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.waiting.push(client),
                other => panic!("a client that only has to wait got {other:?}"),
            }
        }
    }

    fn wait_for_served(&mut self, count: usize) {
        until(&format!("{count} clients are served"), || {
            self.look();
            self.served.len() >= count
        });
        assert_eq!(self.served.len(), count);
    }
}

/// Processor time between two moments must be less than a fifth of the time between them.
struct Idleness {
    ticks: u64,
    since: Instant,
}

impl Idleness {
    fn start(gateway: &Gateway) -> Idleness {
        Idleness { ticks: gateway.cpu_ticks(), since: Instant::now() }
    }

    fn expect(self, gateway: &Gateway) {
        let ticks = u128::from(gateway.cpu_ticks() - self.ticks);
        let elapsed = self.since.elapsed();
        let limit = elapsed.as_millis() * TICKS_PER_SECOND / 1000 / 5;
        assert!(ticks < limit, "{ticks} ticks of processor time in {elapsed:?}");
    }
}

#[test]
fn two_hundred_clients_at_sixty_four_descriptors_are_served_in_turn() {
    let server = backend(echo);
    let endpoint = server.address().to_string();
    let gateway = Gateway::builder().endpoint(&endpoint).nofile(64, 64).start();
    let idle = gateway.descriptors();
    let at_once = limit(&gateway, "connections_max");
    assert!((16..=32).contains(&at_once), "{at_once} pairs with 64 descriptors");
    let mut crowd = Crowd::connect(&gateway, 200);
    crowd.wait_for_served(at_once);

    let idleness = Idleness::start(&gateway);
    let patient = &crowd.waiting[0];
    patient.set_nonblocking(false).expect("a socket can be blocking");
    patient.set_read_timeout(Some(Duration::from_secs(1))).expect("a second is not zero");
    let error = (&*patient).read(&mut [0]).expect_err("it is not its turn");
    // Where this process is stopped and continued meanwhile, the wait is over, too (signal(7)).
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted), "{error}");
    patient.set_nonblocking(true).expect("a socket can be non-blocking");
    idleness.expect(&gateway);
    for client in &crowd.served {
        round_trip(client, b"still here");
    }
    assert!(gateway.log_count("WARN") <= 2, "one line a second at most");

    crowd.served.clear();
    crowd.wait_for_served(at_once);
    drop(crowd);
    round_trip(&gateway.connect(), b"served when they left");
    gateway.wait_descriptors(idle);
}

/// The lowest descriptor number that the gateway does not use: the next one it would get.
fn lowest_free(gateway: &Gateway) -> u64 {
    let directory = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).expect("it is running");
    let used: BTreeSet<u64> =
        directory.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    (0..).find(|number| !used.contains(number)).expect("numbers do not end")
}

#[test]
fn accept_without_descriptors_pauses_quietly_and_resumes() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &[]);
    let mut pairs: Vec<_> = (0..10).map(|_| gateway.connect()).collect();
    for client in &pairs {
        round_trip(client, b"before the shortage");
    }
    let before = set_soft_limit(&gateway, lowest_free(&gateway));
    let [mut first, mut second] = [gateway.connect(), gateway.connect()];
    let started = Instant::now();
    first.write_all(b"1").expect("the kernel takes it");
    second.write_all(b"2").expect("the kernel takes it");
    let line = gateway.wait_for_log("accept paused");
    assert!(line.contains("WARN") && line.contains("reason=no_descriptors"), "{line}");

    // Two more of these lines, which are a second apart, and next to no work between them.
    let idleness = Idleness::start(&gateway);
    gateway.wait_for_log("accept paused");
    gateway.wait_for_log("accept paused");
    idleness.expect(&gateway);
    let seconds = usize::try_from(started.elapsed().as_secs()).expect("a few seconds");
    assert!(gateway.log_count("accept paused") <= seconds + 1, "one line a second at most");
    for client in &pairs {
        round_trip(client, b"during the shortage");
    }
    expect_silence(&first, &pairs[0]);

    // A pair that leaves makes room for one that waits.
    drop(pairs.pop());
    expect_byte(&first, b'1');
    expect_silence(&second, &pairs[0]);

    // And a limit that is raised does so too, which only a timer can notice.
    set_soft_limit(&gateway, before);
    expect_byte(&second, b'2');
    for client in pairs.iter().chain([&first, &second]) {
        round_trip(client, b"after the shortage");
    }
    assert_eq!(gateway.log_count("endpoint inactive"), 0);
}

#[test]
fn client_whose_server_lacks_a_descriptor_waits_for_one() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &["--connect-timeout=20s"]);
    let client = gateway.connect();
    round_trip(&client, b"before the shortage");
    // Room for the socket of the client that comes, and for no socket towards the server.
    let before = set_soft_limit(&gateway, lowest_free(&gateway) + 1);
    let unlucky = gateway.connect();
    assert!(gateway.wait_for_log("accept paused").contains("reason=no_descriptors"));
    round_trip(&client, b"in the shortage");
    set_soft_limit(&gateway, before);
    round_trip(&unlucky, b"after the shortage");
    round_trip(&gateway.connect(), b"after the shortage");
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "it is not held against the endpoint");
    assert_eq!(gateway.log_count("pair closed"), 0);
}

/// Each client that is counted as rejected is in a line that says why.
#[test]
fn client_that_gets_no_descriptor_in_time_is_rejected_in_the_log() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &["--connect-timeout=100ms"]);
    let served = gateway.connect();
    round_trip(&served, b"before the shortage");
    set_soft_limit(&gateway, lowest_free(&gateway) + 1);
    let _unlucky = gateway.connect();
    let line = gateway.wait_for_log("clients rejected");
    assert!(line.contains(" reason=local_shortage count=1 pairs="), "{line}");
    drop(served);
    gateway.signal("TERM");
    assert!(gateway.wait_for_log("INFO stopped").contains(" rejected=1 "), "{:?}", gateway.log());
}

/// A listener whose connections the test accepts itself, within the deadline.
fn listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    socket.listen(128).expect("a bound socket can listen");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    TcpListener::from(socket)
}

#[test]
fn six_thousand_pairs_at_once_all_echo_and_leave_nothing_behind() {
    let count = PAIRS.min(raise_own_limit().saturating_sub(DESCRIPTORS_OF_OTHERS) / 2);
    if count < PAIRS {
        needs_privilege(&format!(
            "{PAIRS} pairs but {count}: the hard descriptor limit is too low"
        ));
    }
    let listener = listener();
    let address = listener.local_addr().expect("a bound socket").to_string();
    // Not at debug: it would leave out lines when thousands are written faster than we read.
    let mut gateway = Gateway::builder().endpoint(&address).log_level("info").start();
    let idle = gateway.descriptors();
    let mut pairs: Vec<(TcpStream, TcpStream)> = Vec::new();
    for _ in 0..count {
        let client = gateway.connect();
        let (server, _) = listener.accept().expect("the gateway dials");
        server.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        pairs.push((client, server));
    }
    gateway.wait_descriptors(idle + 2 * count);

    // All there, and then all back, so that all of them have something under way at a time.
    for (number, (client, _)) in (0_u32..).zip(&mut pairs) {
        client.write_all(&number.to_be_bytes()).expect("the pair takes a message");
    }
    let mut message = [0; 4];
    for (_, server) in &mut pairs {
        server.read_exact(&mut message).expect("the pair passes it on");
        server.write_all(&message).expect("the pair takes a message");
    }
    for (number, (client, _)) in (0_u32..).zip(&mut pairs) {
        client.read_exact(&mut message).expect("the pair gives the answer");
        assert_eq!(u32::from_be_bytes(message), number);
    }
    // With resets, because two sockets in TIME_WAIT for each pair would stay for a minute, and a
    // machine whose table of them is full (tcp_max_tw_buckets) answers a FIN with a reset anyway.
    for (client, server) in pairs {
        reset(client);
        drop(server);
    }
    gateway.wait_descriptors(idle);
    gateway.signal("TERM");
    assert!(gateway.wait_exit().success());
    assert!(gateway.wait_for_log("INFO stopped").contains(&format!("clients={count} ")));
    assert_eq!(gateway.log_count("WARN"), 0);
}

/// A server that echoes to clients which begin with `e`, and floods those which begin with `b`.
fn echo_or_flood(mut stream: TcpStream, flooded: &AtomicUsize) {
    let mut kind = [0];
    if stream.read_exact(&mut kind).is_err() {
        return;
    }
    if kind == *b"e" {
        return echo(stream);
    }
    SockRef::from(&stream).set_send_buffer_size(64 * 1024).expect("SO_SNDBUF");
    let bytes = payload(9, 1 << 20);
    // Ends when the client has gone.
    while let Ok(count) = stream.write(&bytes) {
        flooded.fetch_add(count, Ordering::Relaxed);
    }
}

/// A client with a small receive buffer and segments so small that the kernel will not give
/// the gateway's side megabytes of send buffer, which is the default on loopback.
fn stalled_client(gateway: &Gateway) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("SO_RCVBUF");
    socket.set_tcp_mss(1400).expect("TCP_MAXSEG");
    socket.connect_timeout(&gateway.address().into(), DEADLINE).expect("the gateway");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    let mut client = TcpStream::from(socket);
    client.write_all(b"b").expect("the pair takes it");
    client
}

#[test]
fn clients_that_do_not_read_cost_their_buffers_and_no_more() {
    const STALLED: usize = 100;
    let flooded = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&flooded);
    let server = backend(move |stream| echo_or_flood(stream, &counter));
    let gateway = Gateway::start(&[server.address()], &[]);
    let mut other = gateway.connect();
    other.write_all(b"e").expect("the pair takes it");
    round_trip(&other, b"echo");
    // One that reads, so that what any bulk flow needs is there before we measure.
    let mut warm = gateway.connect();
    warm.write_all(b"b").expect("the pair takes it");
    warm.read_exact(&mut vec![0; 8 << 20]).expect("a flood");
    drop(warm);
    let before = status(&gateway, "status", "VmRSS:");

    let stalled: Vec<_> = (0..STALLED).map(|_| stalled_client(&gateway)).collect();
    until("all servers are stuck", || {
        let written = flooded.load(Ordering::Relaxed);
        for _ in 0..20 {
            round_trip(&other, b"a turn of the gateway");
        }
        server.accepted() == STALLED + 2 && flooded.load(Ordering::Relaxed) == written
    });
    let growth = status(&gateway, "status", "VmRSS:").saturating_sub(before);
    // One direction of each is stuck, so one buffer each; and a little for the pairs themselves.
    assert!(growth <= STALLED * BUFFER_KIB + 1024, "{growth} KiB for {STALLED} clients");
    let bytes = payload(9, 1 << 20);
    for mut client in stalled {
        let mut begin = vec![0; 100_000];
        client.read_exact(&mut begin).expect("the flood goes on where it stopped");
        assert!(begin == bytes[..begin.len()], "the flood begins with other bytes");
    }
}
