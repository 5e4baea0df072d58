//! Relaying: every byte, end of file and reset of one side reaches the other as it was sent.
//!
//! Mostly the test holds both ends of a pair itself, so that the order of what happens is the
//! order of its lines. Where it must be known that the gateway has seen something, a round trip
//! on another pair is the fence: what the kernel told the gateway before is handled by then.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::util::*;

nix::ioctl_read_bad!(unacknowledged, nix::libc::TIOCOUTQ, nix::libc::c_int);

/// Receive and send buffers of the test's own sockets where back-pressure is the subject.
const SMALL_BYTES: usize = 16 * 1024;
/// Round trips of another pair without room for one more byte after which a pair counts as full.
const FENCES: usize = 20;
/// How often a trickling peer sends a byte; far below the timeout that it must keep from firing.
const TRICKLE: Duration = Duration::from_millis(50);
/// The timeout under test of pairs without progress, as it is passed and as it is measured.
const QUIET: Duration = Duration::from_millis(500);

/// Sends a message to an echo and waits for it to come back.
pub fn round_trip(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(message).expect("the pair takes a message");
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer).expect("the pair gives the answer");
    assert_eq!(answer, message);
}

/// The connection must end with a reset and without a byte before it.
pub fn expect_reset(mut stream: &TcpStream) {
    // Unlike read(), this goes on when it is interrupted: by a debugger, or a machine that sleeps.
    match stream.read_exact(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("a reset was due, and reading a byte gave {other:?}"),
    }
}

/// A gateway in front of a listener of the test's own.
pub struct Relay {
    pub gateway: Gateway,
    listener: TcpListener,
    /// Buffer sizes of both ends of the pairs, if they are to be small.
    buffer_bytes: Option<usize>,
}

impl Relay {
    pub fn start(arguments: &[&str]) -> Relay {
        Relay::with_buffers(None, arguments)
    }

    pub fn with_buffers(buffer_bytes: Option<usize>, arguments: &[&str]) -> Relay {
        let arguments = arguments.iter().copied();
        Relay::with(buffer_bytes, |builder| arguments.fold(builder, GatewayBuilder::arg))
    }

    /// A gateway built in a way of the caller's own.
    pub fn with(
        buffer_bytes: Option<usize>,
        build: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> Relay {
        let socket = socket(buffer_bytes);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        socket.listen(128).expect("a bound socket can listen");
        // An accept(2) of a listener ends with its read timeout too (socket(7)).
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("a bound socket");
        let builder = Gateway::builder().endpoint(&address.to_string());
        Relay { gateway: build(builder).start(), listener, buffer_bytes }
    }

    /// A new pair: the client's end and the server's.
    pub fn pair(&self) -> (TcpStream, TcpStream) {
        let socket = socket(self.buffer_bytes);
        let address = self.gateway.address().into();
        socket.connect_timeout(&address, DEADLINE).expect("the gateway");
        let client = TcpStream::from(socket);
        let (server, _) = self.listener.accept().expect("the gateway dials");
        for end in [&client, &server] {
            end.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
            end.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        }
        (client, server)
    }

    /// A pair both of whose ends have been seen to work, as [`fence`] wants it.
    pub fn fence(&self) -> (TcpStream, TcpStream) {
        let pair = self.pair();
        fence(&pair);
        pair
    }
}

fn socket(buffer_bytes: Option<usize>) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    if let Some(bytes) = buffer_bytes {
        // Before the handshake, because the window scale is fixed there (tcp(7)).
        socket.set_recv_buffer_size(bytes).expect("SO_RCVBUF");
        socket.set_send_buffer_size(bytes).expect("SO_SNDBUF");
    }
    socket
}

/// One message through the pair and one back: two turns of the gateway at least.
fn fence((client, server): &(TcpStream, TcpStream)) {
    pass(client, server, b"there");
    pass(server, client, b"and back");
}

/// Sends a message in at one end and waits for it at the other.
fn pass(mut source: &TcpStream, mut target: &TcpStream, message: &[u8]) {
    source.write_all(message).expect("the pair takes a message");
    let mut passed = vec![0; message.len()];
    target.read_exact(&mut passed).expect("the pair passes it on");
    assert_eq!(passed, message);
}

/// Sizes from 1 byte to 100 KiB, each order of magnitude as often as the others.
struct Sizes(u64);

impl Sizes {
    fn next(&mut self, largest: usize) -> usize {
        // The constants of Knuth's MMIX; the low bits are weak, so only the high ones are used.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let magnitude = (self.0 >> 33) % 17;
        let offset = (self.0 >> 40) % (1 << magnitude);
        usize::try_from((1 << magnitude) + offset).expect("17 bits").min(largest)
    }
}

const LARGEST: usize = 100 * 1024;

pub fn write_in_pieces(mut stream: &TcpStream, bytes: &[u8], seed: u64) {
    let mut sizes = Sizes(seed);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(sizes.next(LARGEST).min(rest.len()));
        stream.write_all(piece).expect("the pair takes all bytes");
        rest = later;
    }
}

/// Reads to the end, and tells how that came: `Ok` with an end of file.
pub fn read_in_pieces(
    mut stream: &TcpStream,
    seed: u64,
    largest: usize,
) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut sizes = Sizes(seed);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; largest];
    loop {
        match stream.read(&mut buffer[..sizes.next(largest)]) {
            Ok(0) => return (bytes, Ok(())),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => return (bytes, Err(error.kind())),
        }
    }
}

pub fn expect_bytes(got: &[u8], want: &[u8]) {
    if got == want {
        return;
    }
    let same = got.iter().zip(want).take_while(|(got, want)| got == want).count();
    panic!("{} bytes came, {} were sent, the first {same} are right", got.len(), want.len());
}

/// Everything up to a proper end of file must be `want`.
pub fn expect_all(stream: &TcpStream, want: &[u8]) {
    let (got, end) = read_in_pieces(stream, 7, LARGEST);
    expect_bytes(&got, want);
    assert_eq!(end, Ok(()), "no failure, and no missing end of file");
}

/// Sends one payload while it receives another, both to their ends.
pub fn exchange(stream: &TcpStream, sent: u64, wanted: u64, length: usize) {
    thread::scope(|scope| {
        scope.spawn(|| {
            write_in_pieces(stream, &payload(sent, length), sent);
            stream.shutdown(Shutdown::Write).expect("the connection stands");
        });
        let (received, end) = read_in_pieces(stream, wanted, LARGEST);
        expect_bytes(&received, &payload(wanted, length));
        assert_eq!(end, Ok(()));
    });
}

#[test]
fn every_split_of_reads_and_writes_is_byte_exact_both_ways_at_once() {
    const LENGTH: usize = 8 << 20;
    let relay = Relay::start(&[]);
    let pairs: Vec<_> = (0..4).map(|_| relay.pair()).collect();
    thread::scope(|scope| {
        for (number, (client, server)) in (0..).zip(&pairs) {
            let (up, down) = (1000 + number, 2000 + number);
            scope.spawn(move || exchange(client, up, down, LENGTH));
            scope.spawn(move || exchange(server, down, up, LENGTH));
        }
    });
    for _ in &pairs {
        let line = relay.gateway.wait_for_log("pair closed");
        for part in ["cause=completed", "client_bytes=8388608", "server_bytes=8388608"] {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
}

/// Writes as much as the pair takes while nobody reads at its other end.
pub fn fill(mut source: &TcpStream, bytes: &[u8], other: &(TcpStream, TcpStream)) -> usize {
    source.set_nonblocking(true).expect("a socket can be non-blocking");
    let mut written = 0;
    let mut full = 0;
    while full < FENCES {
        match source.write(&bytes[written..]) {
            Ok(count) => {
                written += count;
                full = 0;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                fence(other);
                full += 1;
            }
            Err(error) => panic!("a pair that only has to wait failed: {error}"),
        }
        assert!(written < bytes.len(), "{written} bytes went to a peer that does not read");
    }
    source.set_nonblocking(false).expect("a socket can be blocking");
    written
}

fn slow_reader_gets_every_byte(source: &TcpStream, target: &TcpStream, relay: &Relay) {
    let bytes = payload(11, 16 << 20);
    let written = fill(source, &bytes, &relay.fence());
    thread::scope(|scope| {
        scope.spawn(|| {
            write_in_pieces(source, &bytes[written..], 3);
            source.shutdown(Shutdown::Write).expect("the connection stands");
        });
        let (received, end) = read_in_pieces(target, 5, SMALL_BYTES);
        expect_bytes(&received, &bytes);
        assert_eq!(end, Ok(()), "the end of file comes after the last byte");
    });
    // The direction that was silent all the time is still open.
    pass(target, source, b"thanks");
}

#[test]
fn slow_client_with_small_buffers_gets_every_byte() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    slow_reader_gets_every_byte(&server, &client, &relay);
}

#[test]
fn slow_server_with_small_buffers_gets_every_byte() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    slow_reader_gets_every_byte(&client, &server, &relay);
}

/// One side asks and ends its side; only when that has arrived does the other side answer.
fn answer_after_half_close(mut asking: &TcpStream, mut answering: &TcpStream) {
    let answer = payload(23, 2 << 20);
    asking.write_all(b"question").expect("the pair takes a message");
    asking.shutdown(Shutdown::Write).expect("the connection stands");
    expect_all(answering, b"question");
    thread::scope(|scope| {
        scope.spawn(|| {
            answering.write_all(&answer).expect("the other direction is open");
            answering.shutdown(Shutdown::Write).expect("the connection stands");
        });
        expect_all(asking, &answer);
    });
}

#[test]
fn client_that_half_closed_gets_the_whole_answer() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    answer_after_half_close(&client, &server);
}

#[test]
fn server_that_half_closed_gets_everything_from_the_client() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    answer_after_half_close(&server, &client);
}

#[test]
fn half_close_in_the_middle_of_an_answer_leaves_it_whole() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (mut client, mut server) = relay.pair();
    let answer = payload(29, 2 << 20);
    let (first, second) = answer.split_at(1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            server.write_all(first).expect("the client is there");
            expect_all(&server, b"");
            server.write_all(second).expect("the client only ended its own side");
            server.shutdown(Shutdown::Write).expect("the connection stands");
        });
        let mut begin = vec![0; 64 * 1024];
        client.read_exact(&mut begin).expect("the answer begins");
        // The server has most of the first half still to send, and waits for this end of file
        // before it sends the second.
        client.shutdown(Shutdown::Write).expect("the connection stands");
        expect_bytes(&begin, &answer[..begin.len()]);
        expect_all(&client, &answer[begin.len()..]);
    });
}

#[test]
fn server_may_speak_first() {
    let relay = Relay::start(&[]);
    let (client, server) = relay.pair();
    pass(&server, &client, b"hello, I am the server");
}

#[test]
fn pair_completes_when_both_sides_have_ended_and_gives_everything_back() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (mut client, mut server) = relay.pair();
    client.write_all(&payload(1, 1000)).expect("the pair takes it");
    client.shutdown(Shutdown::Write).expect("the connection stands");
    expect_all(&server, &payload(1, 1000));
    assert!(relay.gateway.descriptors() >= idle + 2, "the pair is still open");
    server.write_all(&payload(2, 70_000)).expect("the pair takes it");
    server.shutdown(Shutdown::Write).expect("the connection stands");
    expect_all(&client, &payload(2, 70_000));

    // Both of our sockets are still open: what ends the pair is its own knowledge.
    let line = relay.gateway.wait_for_log("pair closed");
    let client_address = client.local_addr().expect("a connected socket");
    let server_address = server.local_addr().expect("a connected socket");
    for part in [
        format!("client={client_address}"),
        format!("endpoint={server_address}"),
        "cause=completed".to_owned(),
        "client_bytes=1000".to_owned(),
        "server_bytes=70000".to_owned(),
    ] {
        assert!(line.split(' ').any(|word| word == part), "no {part} in {line}");
    }
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn reset_of_the_client_reaches_the_server() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (client, server) = relay.pair();
    pass(&client, &server, b"before");
    reset(client);
    expect_reset(&server);
    let line = relay.gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=client_reset"), "{line}");
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn reset_of_the_server_reaches_the_client() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (client, server) = relay.pair();
    pass(&server, &client, b"before");
    reset(server);
    expect_reset(&client);
    let line = relay.gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=server_reset"), "{line}");
    relay.gateway.wait_descriptors(idle);
}

#[test]
fn reset_after_a_half_close_reaches_the_side_that_still_listens() {
    let relay = Relay::start(&[]);
    let (client, server) = relay.pair();
    client.shutdown(Shutdown::Write).expect("the connection stands");
    expect_all(&server, b"");
    pass(&server, &client, b"the answer begins");
    reset(server);
    expect_reset(&client);
}

/// Nothing is read any more from a side that has ended, so only its error can tell.
fn reset_after_its_own_half_close(ended: TcpStream, other: &TcpStream, relay: &Relay) {
    ended.shutdown(Shutdown::Write).expect("the connection stands");
    expect_all(other, b"");
    pass(other, &ended, b"the answer begins");
    reset(ended);
    // Behind the end of file a reset shows as EPIPE, and a read shows the end again.
    until("the reset is passed on", || other.take_error().expect("SO_ERROR").is_some());
    relay.gateway.wait_for_log("_reset phase=relaying");
}

#[test]
fn reset_of_a_side_that_has_half_closed_is_passed_on() {
    let relay = Relay::start(&[]);
    let idle = relay.gateway.descriptors();
    let (client, server) = relay.pair();
    reset_after_its_own_half_close(client, &server, &relay);
    let (client, server) = relay.pair();
    reset_after_its_own_half_close(server, &client, &relay);
    relay.gateway.wait_descriptors(idle);
}

/// A reset arrives, but only after every byte that the gateway's kernel has acknowledged.
///
/// The receiver takes less than 64 KiB into its kernel and reads nothing before the gateway has
/// seen the reset, so most of the bytes are in the gateway's hands at that moment. It relies on
/// the kernel's default send buffer, which takes the 256 KiB that the gateway passes on.
pub fn bytes_before_a_reset_arrive(sender: TcpStream, receiver: &TcpStream, relay: &Relay) {
    let other = relay.fence();
    let bytes = payload(31, 256 * 1024);
    (&sender).write_all(&bytes).expect("the gateway takes it");
    until("the gateway's kernel has all bytes", || unsent(&sender) == 0);
    reset(sender);
    fence(&other);
    fence(&other);
    let (received, end) = read_in_pieces(receiver, 3, 4096);
    expect_bytes(&received, &bytes);
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "never a clean end of file");
}

/// Bytes that the other kernel has not acknowledged.
pub fn unsent(stream: &TcpStream) -> i32 {
    let mut count = 0;
    // SAFETY: the descriptor is open and the kernel writes one int, which `count` is.
    unsafe { unacknowledged(stream.as_raw_fd(), &raw mut count) }.expect("TIOCOUTQ");
    count
}

#[test]
fn slow_client_gets_all_bytes_that_came_before_a_reset_of_the_server() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    bytes_before_a_reset_arrive(server, &client, &relay);
}

#[test]
fn slow_server_gets_all_bytes_that_came_before_a_reset_of_the_client() {
    let relay = Relay::with_buffers(Some(SMALL_BYTES), &[]);
    let (client, server) = relay.pair();
    bytes_before_a_reset_arrive(client, &server, &relay);
}

#[test]
fn client_that_resets_during_the_dial_ends_it() {
    let blackhole = Blackhole::start();
    let gateway = Gateway::start(&[blackhole.address()], &["--connect-timeout=5m"]);
    let idle = gateway.descriptors();
    let mut client = gateway.connect();
    client.write_all(b"bytes that nobody reads before the server stands").expect("room");
    gateway.wait_descriptors(idle + 2);
    reset(client);
    let line = gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=client_reset") && line.contains("phase=dialing"), "{line}");
    gateway.wait_descriptors(idle);
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "the client left, not the endpoint");
}

/// A gateway whose first endpoint never answers and whose second takes over, with a dial time
/// that leaves the test room to act while the first is dialed.
fn gateway_with_a_long_first_dial(blackhole: &Blackhole, second: SocketAddr) -> Gateway {
    Gateway::builder()
        .endpoint(&format!("{}?priority=0", blackhole.address()))
        .endpoint(&format!("{second}?priority=1"))
        .arg("--connect-timeout=2s")
        .start()
}

#[test]
fn client_that_half_closes_during_the_dial_is_served_by_a_later_endpoint() {
    let (blackhole, server) = (Blackhole::start(), backend(echo));
    let gateway = gateway_with_a_long_first_dial(&blackhole, server.address());
    let mut client = gateway.connect();
    client.write_all(b"a question and nothing more").expect("the kernel takes it");
    client.shutdown(Shutdown::Write).expect("the connection stands");
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "the first dial is still going on");
    expect_all(&client, b"a question and nothing more");
    // The blackhole was dialed first, or the client half-closed too late to prove anything.
    gateway.wait_for_log("endpoint inactive");
}

#[test]
fn bytes_sent_before_the_server_stands_arrive_once_after_failovers() {
    let (verdict, bytes_received) = mpsc::channel();
    let (blackhole, refused) = (Blackhole::start(), refused_address());
    let server = backend(move |stream| {
        verdict.send(read_in_pieces(&stream, 1, LARGEST)).expect("the test waits for it");
    });
    let gateway = Gateway::builder()
        .endpoint(&format!("{refused}?priority=0"))
        .endpoint(&format!("{}?priority=1", blackhole.address()))
        .endpoint(&format!("{}?priority=2", server.address()))
        .start();
    let client = gateway.connect();
    let bytes = payload(41, 300_000);
    write_in_pieces(&client, &bytes, 1);
    client.shutdown(Shutdown::Write).expect("the connection stands");
    let (received, end) = bytes_received.recv_timeout(DEADLINE).expect("the server is reached");
    expect_bytes(&received, &bytes);
    assert_eq!(end, Ok(()));
    assert_eq!(server.accepted(), 1);
    // Both others were dialed before.
    gateway.wait_for_log(&format!("endpoint inactive endpoint={refused}"));
    gateway.wait_for_log(&format!("endpoint inactive endpoint={}", blackhole.address()));
}

/// The kernel ends a read just before an urgent byte, with less than was asked for and more
/// behind it. Who takes that for an empty socket waits for ever under edge triggering.
#[test]
fn urgent_byte_does_not_hold_up_what_follows_it() {
    let (blackhole, server) = (Blackhole::start(), backend(echo));
    let gateway = gateway_with_a_long_first_dial(&blackhole, server.address());
    let mut client = gateway.connect();
    client.write_all(b"before").expect("the kernel takes it");
    SockRef::from(&client).send_out_of_band(b"!").expect("an urgent byte");
    client.write_all(b"after").expect("the kernel takes it");
    assert_eq!(gateway.log_count("endpoint inactive"), 0, "all of it waits for the gateway");
    // The client's own end stays open: the bytes must come without the help of an end of file.
    let mut answer = Vec::new();
    while !answer.ends_with(b"after") {
        let mut buffer = [0; 64];
        let count = match client.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.expect("the rest arrives"),
        };
        assert!(count > 0, "no end of file");
        answer.extend_from_slice(&buffer[..count]);
    }
    // An urgent byte is no part of the stream unless the receiver asks for that.
    answer.retain(|byte| *byte != b'!');
    assert_eq!(answer, b"beforeafter");
}

/// Does something again and again until it is told to stop, and then returns.
fn repeat(stop: &mpsc::Receiver<()>, mut action: impl FnMut()) {
    while stop.recv_timeout(TRICKLE) == Err(RecvTimeoutError::Timeout) {
        action();
    }
}

/// Waits until the gateway has reset both ends, and checks that it did not so too early.
fn expect_timeout(pair: &(TcpStream, TcpStream), since: Instant) {
    expect_reset(&pair.0);
    expect_reset(&pair.1);
    assert!(since.elapsed() >= QUIET, "closed after {:?} already", since.elapsed());
}

#[test]
fn half_closed_pair_without_progress_is_reset_and_others_are_not() {
    let relay = Relay::start(&["--half-close-timeout=500ms"]);
    let open = relay.fence();
    let (trickling_client, trickling_server) = relay.pair();
    trickling_client.shutdown(Shutdown::Write).expect("the connection stands");
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let trickling = scope.spawn(move || {
            let mut count = 0;
            repeat(&stopped, || {
                (&trickling_server).write_all(b".").expect("a half-closed pair with progress");
                count += 1;
            });
            count
        });
        // Two stuck pairs, one after the other: two timeouts pass for those that must live.
        for side in [0, 1] {
            let since = Instant::now();
            let pair = relay.fence();
            let ended = if side == 0 { &pair.0 } else { &pair.1 };
            ended.shutdown(Shutdown::Write).expect("the connection stands");
            expect_all(if side == 0 { &pair.1 } else { &pair.0 }, b"");
            expect_reset(ended);
            assert!(since.elapsed() >= QUIET, "closed after {:?} already", since.elapsed());
        }
        fence(&open);
        stop.send(()).expect("the trickling peer is alive");
        let count = trickling.join().expect("no byte was refused");
        // Its end of file came in order when the thread dropped it: nothing was cut.
        expect_all(&trickling_client, &vec![b'.'; count]);
    });
    for _ in 0..2 {
        relay.gateway.wait_for_log("cause=half_close_timeout");
    }
    relay.gateway.wait_for_log("cause=completed");
    assert_eq!(relay.gateway.log_count("pair closed"), 3);
}

#[test]
fn idle_timeout_ends_quiet_pairs_and_only_them() {
    let relay = Relay::start(&["--idle-timeout=500ms"]);
    let busy = relay.fence();
    thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let busy = &busy;
        let talking = scope.spawn(move || {
            // One direction alone is traffic too, and it is enough.
            repeat(&stopped, || pass(&busy.0, &busy.1, b"."));
            fence(busy);
        });
        for _ in 0..2 {
            let since = Instant::now();
            expect_timeout(&relay.fence(), since);
        }
        stop.send(()).expect("the busy pair lives");
        talking.join().expect("the busy pair lives");
    });
    for _ in 0..2 {
        relay.gateway.wait_for_log("cause=idle_timeout");
    }
    assert_eq!(relay.gateway.log_count("pair closed"), 2);
}

/// Ends a loop in another thread even when the test panics; else the scope would wait for ever.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn bulk_flows_leave_room_for_a_ping_pong() {
    const ROUND_TRIPS: usize = 500;
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &[]);
    let (done, received) = (AtomicBool::new(false), AtomicUsize::new(0));
    let bulk = gateway.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = payload(1, 1 << 20);
            while !done.load(Ordering::Relaxed) {
                (&bulk).write_all(&bytes).expect("the bulk flow goes on");
            }
            bulk.shutdown(Shutdown::Write).expect("the connection stands");
        });
        scope.spawn(|| {
            let mut buffer = vec![0; 1 << 20];
            loop {
                match (&bulk).read(&mut buffer).expect("the bulk flow goes on") {
                    0 => break,
                    count => received.fetch_add(count, Ordering::Relaxed),
                };
            }
        });
        let _stop = SetOnDrop(&done);
        until("the bulk flow is under way", || received.load(Ordering::Relaxed) > 16 << 20);
        let before = received.load(Ordering::Relaxed);
        let client = gateway.connect();
        for _ in 0..ROUND_TRIPS {
            round_trip(&client, b"ping");
        }
        let meanwhile = received.load(Ordering::Relaxed) - before;
        assert!(meanwhile > 0, "the bulk flow went on beside the ping-pong");
    });
}
