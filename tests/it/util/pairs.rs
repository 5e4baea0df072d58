//! A gateway in front of a listener of the test's own, and what is sent through its pairs.
//!
//! The test holds both ends of a pair, so that the order of what happens is the order of its lines.
//! Where it must be known that the gateway has seen something, a round trip on another pair is the
//! fence: what the kernel told the gateway before is handled by then.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

use socket2::{Domain, Socket, Type};

use super::*;

nix::ioctl_read_bad!(unacknowledged, nix::libc::TIOCOUTQ, nix::libc::c_int);

/// Receive and send buffers of the test's own sockets where back-pressure is the subject, so that
/// most bytes stay with the gateway.
pub const SMALL_BYTES: usize = 16 * 1024;
/// Round trips of another pair without room for one more byte after which a pair counts as full.
const FENCES: usize = 20;
pub const LARGEST: usize = 100 * 1024;

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
pub fn fence((client, server): &(TcpStream, TcpStream)) {
    pass(client, server, b"there");
    pass(server, client, b"and back");
}

/// Sends a message in at one end and waits for it at the other.
pub fn pass(mut source: &TcpStream, mut target: &TcpStream, message: &[u8]) {
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
            stream.shutdown(Shutdown::Write).expect("the connection is established");
        });
        let (received, end) = read_in_pieces(stream, wanted, LARGEST);
        expect_bytes(&received, &payload(wanted, length));
        assert_eq!(end, Ok(()));
    });
}

/// Writes as much as the pair takes while its other end does not read.
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
