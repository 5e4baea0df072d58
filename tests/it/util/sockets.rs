//! Peers on plain sockets: servers that behave, servers that do not, and bytes to send them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::libc;
use socket2::{Domain, SockRef, Socket, Type};

use super::not_tested;

/// How long a dial to a full backlog may take to show that it gets no answer. Loopback answers
/// within the system call, so nothing shorter than a stopped machine can make this wrong.
const SILENCE: Duration = Duration::from_millis(300);

/// A port, of 127.0.0.1 unless told otherwise, kept for us, where nothing listens as long as
/// no server is started there.
///
/// A socket that is bound but does not listen refuses connections; the kernel gives its port to
/// no socket that asks for any port, yet lets one with `SO_REUSEADDR` listen on it by number. So a
/// port can be known before its server starts, and stays ours while the server is down.
pub struct Reservation {
    socket: Socket,
    address: SocketAddr,
}

impl Reservation {
    pub fn new() -> Reservation {
        Reservation::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// A port of another address, or a certain one.
    pub fn at(address: SocketAddr) -> Reservation {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket.bind(&address.into()).expect("a free port");
        let address = socket.local_addr().expect("a bound socket").as_socket();
        Reservation { socket, address: address.expect("an IP address") }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps the port until the process ends.
    fn keep(self) -> SocketAddr {
        static KEPT: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(self.socket);
        self.address
    }
}

/// An address whose port refuses, and goes on refusing until [`Backend::at`] listens there.
pub fn refused_address() -> SocketAddr {
    Reservation::new().keep()
}

/// A server in this process with one thread per connection; ends on drop.
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    listener: Mutex<Option<TcpListener>>,
    accepted: AtomicUsize,
    /// A second handle on each open connection, to shut it when the server stops.
    open: Mutex<Vec<(usize, TcpStream)>>,
}

/// Starts a server on a free port. The connection is closed when `behaviour` returns, not when
/// it drops the stream; a stream that it moved elsewhere lives on.
pub fn backend(behaviour: impl Fn(TcpStream) + Send + Sync + 'static) -> Backend {
    Backend::at(refused_address(), behaviour)
}

impl Backend {
    /// Starts a server on a known port, where one may have been before.
    pub fn at(
        address: SocketAddr,
        behaviour: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> Backend {
        let listener = TcpListener::bind(address)
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let accepting = listener.try_clone().expect("a second handle");
        let shared = Arc::new(Shared {
            listener: Mutex::new(Some(listener)),
            accepted: AtomicUsize::new(0),
            open: Mutex::new(Vec::new()),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            let behaviour = Arc::new(behaviour);
            move || shared.accept(&accepting, &behaviour)
        });
        Backend { address, shared, acceptor: Some(acceptor) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Ends the server: from here on the port refuses, and every connection has been shut.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let listener = lock(&self.shared.listener).take();
        let listener = listener.expect("a backend is stopped once");
        // On Linux this makes a blocked accept(2) return, which closing alone would not.
        let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        drop(listener);
        let acceptor = self.acceptor.take().expect("a backend is stopped once");
        let _ = acceptor.join();
        for (_, stream) in lock(&self.shared.open).drain(..) {
            // Fails if the other side has reset it, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(
        self: &Arc<Shared>,
        listener: &TcpListener,
        behaviour: &Arc<impl Fn(TcpStream) + Send + Sync + 'static>,
    ) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { break };
            let number = self.accepted.fetch_add(1, Ordering::SeqCst);
            let handle = stream.try_clone().expect("a second handle");
            lock(&self.open).push((number, handle));
            let shared = Arc::clone(self);
            let behaviour = Arc::clone(behaviour);
            thread::spawn(move || {
                behaviour(stream);
                lock(&shared.open).retain(|(open, _)| *open != number);
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A behaviour: sends everything back until the end of the file, then ends its own side.
pub fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
    // Fails if the other side is gone already.
    let _ = stream.shutdown(Shutdown::Write);
}

/// A local address that answers no SYN.
///
/// The listener never accepts and its backlog is full, and then Linux drops further SYNs.
pub struct Blackhole {
    address: SocketAddr,
    _listener: Socket,
    _fillers: Vec<TcpStream>,
}

impl Blackhole {
    pub fn start() -> Blackhole {
        Blackhole::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// At that address, which has to be free.
    pub fn at(address: SocketAddr) -> Blackhole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("a free port");
        listener.listen(0).expect("a bound socket can listen");
        let address = listener.local_addr().expect("a bound socket").as_socket();
        let address = address.expect("an IPv4 address");
        let mut fillers = Vec::new();
        while let Ok(filler) = TcpStream::connect_timeout(&address, SILENCE) {
            assert!(fillers.len() < 16, "a backlog of zero takes ever more connections");
            fillers.push(filler);
        }
        Blackhole { address, _listener: listener, _fillers: fillers }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Bytes that differ by position, so that loss, doubling and swaps all show.
pub fn payload(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut state = seed;
    while bytes.len() < length {
        // SplitMix64: each output is a function of its index.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Ends the connection with a reset. Within a [`backend`] it takes effect when the behaviour
/// returns.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(stream);
}

/// Packets that came for the socket and were dropped: a full backlog or a filter does that.
pub fn dropped_packets(socket: &impl AsRawFd) -> u32 {
    // The nine numbers of SO_MEMINFO, the last of which counts drops (linux/sock_diag.h).
    // SAFETY: numbers, for which all bits are valid.
    let (numbers, length) =
        unsafe { socket_option::<[u32; 9]>(socket, libc::SOL_SOCKET, libc::SO_MEMINFO) };
    assert_eq!(length, size_of_val(&numbers));
    numbers[8]
}

/// What getsockopt(2) gives, and how many bytes of it the kernel wrote; the rest is zeros.
///
/// # Safety
/// Whatever the kernel writes for this option must be a valid `T`, and so must all zeros.
pub unsafe fn socket_option<T>(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
) -> (T, usize) {
    // SAFETY: the caller says that all zeros are valid.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&value)).expect("some hundred bytes");
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `value`.
    let result = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut length)
    };
    assert_eq!(result, 0, "option {name} of {level}: {}", io::Error::last_os_error());
    (value, usize::try_from(length).expect("it only shrinks"))
}

pub fn has_ipv6() -> bool {
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has_ipv6 {
        not_tested("there is no IPv6 here");
    }
    has_ipv6
}
