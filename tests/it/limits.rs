//! What the gateway does at the edges of its resources: descriptors, memory, connections, stderr.
//!
//! Limits are moved and sockets inspected with system calls instead of tools, so that a machine
//! without iproute2 can run these tests too.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, SockRef, Socket, Type};

use crate::relay::round_trip;
use crate::util::*;

/// What one flow may hold back at most: `BUFFER_BYTES` of the gateway's configuration.
const BUFFER_KIB: usize = 68;
/// Pairs at once, and the descriptors that they leave to other tests. Each takes two here and two
/// there.
const PAIRS: usize = 6000;
const DESCRIPTORS_OF_OTHERS: usize = 2000;
/// The descriptor limit with which all tests do all that they are for.
pub const DESCRIPTORS_FOR_ALL: usize = 2 * PAIRS + DESCRIPTORS_OF_OTHERS;
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

/// The pid of the gateway as system calls take it.
fn signed_pid(gateway: &Gateway) -> libc::pid_t {
    libc::pid_t::try_from(gateway.pid()).expect("a pid is a positive i32")
}

/// The gateway's TCP sockets as descriptors of this process, with which their options can be
/// asked. `None` where a sandbox forbids that.
pub fn borrow_sockets(gateway: &Gateway) -> Option<Vec<Socket>> {
    let pid = libc::c_long::from(signed_pid(gateway));
    // SAFETY: takes no pointers; the result is checked.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let process = owned(process).expect("pidfd_open() of our own child");
    let mut sockets = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("a running gateway has them") {
        let path = entry.expect("a running gateway has them").path();
        let is_socket = |target: &Path| target.to_string_lossy().starts_with("socket:");
        if !fs::read_link(&path).is_ok_and(|target| is_socket(&target)) {
            continue;
        }
        let name = path.file_name().expect("the name of an entry").to_string_lossy();
        let number: libc::c_long = name.parse().expect("its name is its number");
        // SAFETY: as above.
        let copy = unsafe {
            libc::syscall(libc::SYS_pidfd_getfd, libc::c_long::from(process.as_raw_fd()), number, 0)
        };
        match owned(copy) {
            Ok(socket) => sockets.push(Socket::from(socket)),
            Err(error) => {
                needs_privilege(&format!("pidfd_getfd() is forbidden here: {error}"));
                return None;
            }
        }
    }
    // Signals may come through a socket as well; that one has no address.
    sockets.retain(|socket| socket.local_addr().is_ok_and(|address| address.as_socket().is_some()));
    Some(sockets)
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    match libc::c_int::try_from(result) {
        // SAFETY: a descriptor that the kernel has just made for us, and nobody else has.
        Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Of a listener the longest its queue of finished handshakes may get (`tcpi_sacked` of tcp(7)).
fn backlog(listener: &Socket) -> u32 {
    // SAFETY: tcp_info is plain numbers, for which all bits are valid.
    let (info, _) =
        unsafe { socket_option::<libc::tcp_info>(listener, libc::IPPROTO_TCP, libc::TCP_INFO) };
    info.tcpi_sacked
}

#[test]
fn listener_has_the_longest_backlog_and_may_reuse_its_address() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &[]);
    let Some(sockets) = borrow_sockets(&gateway) else { return };
    assert_eq!(sockets.len(), 1, "nothing but the listener");
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux has it");
    assert_eq!(backlog(&sockets[0]), text.trim().parse().expect("a number"));
    assert!(sockets[0].reuse_address().expect("SO_REUSEADDR"));
    assert!(!sockets[0].reuse_port().expect("SO_REUSEPORT"), "nobody else unless asked for");
}

/// The socket options that matter, of both sides of a pair: no delay, idle time and interval
/// and count of keepalive, time without acknowledgement.
type Options = (bool, Option<(Duration, Duration, u32)>, Option<Duration>);

/// The dialed socket gets no delay with its second write, and the rest when it has lasted.
fn wait_for_options(arguments: &[&str], want: [Options; 2]) {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], arguments);
    let client = gateway.connect();
    round_trip(&client, b"the pair stands");
    round_trip(&client, b"and goes on");
    let Some(sockets) = borrow_sockets(&gateway) else { return };
    let client_address = client.local_addr().expect("a connected socket");
    let got = || [client_address, server.address()].map(|peer| options_of(&sockets, peer));
    until(&format!("{want:?} with {arguments:?}"), || got() == want);
}

fn options_of(sockets: &[Socket], peer: SocketAddr) -> Options {
    let is_to_peer =
        |socket: &&Socket| socket.peer_addr().is_ok_and(|it| it.as_socket() == Some(peer));
    let socket = sockets.iter().find(is_to_peer).expect("a socket of the pair");
    let keepalive = socket.keepalive().expect("SO_KEEPALIVE").then(|| {
        let idle = socket.tcp_keepalive_time().expect("TCP_KEEPIDLE");
        let interval = socket.tcp_keepalive_interval().expect("TCP_KEEPINTVL");
        (idle, interval, socket.tcp_keepalive_retries().expect("TCP_KEEPCNT"))
    });
    let user_timeout = socket.tcp_user_timeout().expect("TCP_USER_TIMEOUT");
    (socket.tcp_nodelay().expect("TCP_NODELAY"), keepalive, user_timeout)
}

#[test]
fn both_sides_have_the_options_that_were_asked_for() {
    let seconds = Duration::from_secs;
    let keepalive = |time| Some((seconds(time), seconds(time), 9));
    let table: [(&[&str], Options); 3] = [
        (&[], (true, keepalive(15), Some(seconds(30)))),
        (&["--keepalive=7s", "--tcp-user-timeout=3s"], (true, keepalive(7), Some(seconds(3)))),
        (&["--keepalive=0", "--tcp-user-timeout=0"], (true, None, None)),
    ];
    for (arguments, want) in table {
        wait_for_options(arguments, [want, want]);
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
    assert_eq!(gateway.log_count("WARN"), 0, "waiting is no failure");
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

/// The descriptor limits of a process, or of this one for the pid 0: 64 bits on every platform,
/// unlike those of getrlimit(2).
fn descriptor_limits(pid: libc::pid_t) -> libc::rlimit64 {
    let mut limits = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel reads nothing and writes one rlimit64, which `limits` is.
    let result =
        unsafe { libc::prlimit64(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limits) };
    assert_eq!(result, 0, "prlimit: {}", io::Error::last_os_error());
    limits
}

/// Sets what [`descriptor_limits`] returns.
fn set_descriptor_limits(pid: libc::pid_t, limits: libc::rlimit64) {
    // SAFETY: the kernel reads one rlimit64, which `limits` is, and writes nothing.
    let result = unsafe {
        libc::prlimit64(pid, libc::RLIMIT_NOFILE, &raw const limits, std::ptr::null_mut())
    };
    assert_eq!(result, 0, "prlimit: {}", io::Error::last_os_error());
}

/// Changes the soft descriptor limit of the running gateway, and returns the one before.
fn set_soft_limit(gateway: &Gateway, soft: u64) -> u64 {
    let pid = signed_pid(gateway);
    let before = descriptor_limits(pid);
    set_descriptor_limits(pid, libc::rlimit64 { rlim_cur: soft, ..before });
    before.rlim_cur
}

/// The most descriptors that this process, or a child of it, may open.
pub fn own_hard_limit() -> u64 {
    descriptor_limits(0).rlim_max
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

/// Lets this process open as many descriptors as it may, and tells how many that are.
pub fn raise_own_limit() -> usize {
    let hard = own_hard_limit();
    set_descriptor_limits(0, libc::rlimit64 { rlim_cur: hard, rlim_max: hard });
    usize::try_from(hard).unwrap_or(usize::MAX)
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

/// A gateway whose stderr nobody reads; killed by its own pid on drop.
struct Unheard {
    child: Child,
    address: SocketAddr,
}

impl Unheard {
    fn start(command: &mut Command, stderr: Stdio, address: SocketAddr) -> Unheard {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        Unheard { child: child.expect("the gateway starts"), address }
    }

    /// A client, as soon as the gateway listens.
    fn connect(&self) -> TcpStream {
        let mut client = None;
        until("the gateway listens", || {
            client = TcpStream::connect(self.address).ok();
            client.is_some()
        });
        let client = client.expect("until() returned, so it is there");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        client
    }

    /// Everything that is logged must have been tried, and the end must be an orderly one.
    fn expect_service(mut self) {
        let client = self.connect();
        round_trip(&client, b"one");
        reset(client);
        round_trip(&self.connect(), b"two");
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid is a positive i32"));
        kill(pid, Signal::SIGTERM).expect("signal our own child");
        let mut status = None;
        until("the gateway ends", || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // Both fail only if it has ended and been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of a gateway on a known address, because its ready line will not be read.
fn command_at(address: SocketAddr, server: &Backend) -> Command {
    let listen = format!("--listen-addr={address}");
    Gateway::builder().endpoint(&server.address().to_string()).arg(&listen).command()
}

#[test]
fn log_that_nobody_reads_stops_nothing() {
    let server = backend(echo);
    let place = Reservation::new();
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut command = command_at(place.address(), &server);
    let gateway = Unheard::start(&mut command, writer.into(), place.address());
    // The command holds an end of the pipe, too; what follows waits for the end of file.
    drop(command);
    gateway.connect();
    // A pipe takes 64 KiB, and each of these leaves a line of more than a hundred bytes.
    for _ in 0..1000 {
        round_trip(&gateway.connect(), b"a line that nobody reads");
    }
    gateway.expect_service();
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("what did fit");
    assert!(log.lines().count() < 1000, "everything fitted, so nothing was tested");
    assert!(log.starts_with("DEBUG limits "), "{log}");
}

#[test]
fn stderr_that_takes_nothing_harms_nobody() {
    let server = backend(echo);
    let place = Reservation::new();

    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = command_at(place.address(), &server);
    Unheard::start(&mut command, full.into(), place.address()).expect_service();

    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut command = command_at(place.address(), &server);
    Unheard::start(&mut command, writer.into(), place.address()).expect_service();

    // A reader that has stalled: the pipe is full, and a write that waits would wait for ever.
    let (reader, mut writer) = io::pipe().expect("a pipe");
    // SAFETY: takes no pointers; the result is checked.
    let capacity = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETPIPE_SZ) };
    let capacity = usize::try_from(capacity).expect("F_GETPIPE_SZ of a pipe");
    writer.write_all(&vec![b'.'; capacity]).expect("it holds that much");
    let mut command = command_at(place.address(), &server);
    Unheard::start(&mut command, writer.into(), place.address()).expect_service();
    drop(reader);

    let command = command_at(place.address(), &server);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$@" 2>&-"#, "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    Unheard::start(&mut shell, Stdio::null(), place.address()).expect_service();
}
