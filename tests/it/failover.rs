//! Which endpoint a client gets, and what happens when endpoints fail and return.
//!
//! Clients take turns unless a test says otherwise, and every server introduces itself with a
//! letter, so a tally of letters is a tally of connections.

use std::ffi::c_char;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use socket2::{Domain, Socket, Type};

use crate::util::*;

/// Shortest time between two dials of an inactive endpoint that clients cause.
const LAST_RESORT_INTERVAL: Duration = Duration::from_millis(100);

/// A server that drops SYNs as [`Blackhole`] does, counts them, and can begin to answer.
///
/// With a connect timeout below the second after which the kernel repeats a SYN, the SYNs that
/// a listener dropped are the dials that were made.
struct SynCounter {
    listener: Socket,
    fillers: Vec<Socket>,
    dropped_before: u32,
}

impl SynCounter {
    fn start() -> SynCounter {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).expect("a free port");
        listener.listen(0).expect("a bound socket can listen");
        let mut counter = SynCounter { listener, fillers: Vec::new(), dropped_before: 0 };
        while counter.dropped() == 0 {
            assert!(counter.fillers.len() < 16, "a backlog of zero takes ever more connections");
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("a socket can be non-blocking");
            // Always "in progress"; on loopback the SYN has been answered or dropped by now.
            let _ = filler.connect(&counter.address().into());
            counter.fillers.push(filler);
        }
        // It would repeat its SYN after a second, and be counted.
        counter.fillers.pop();
        counter.dropped_before = counter.dropped();
        counter
    }

    fn address(&self) -> SocketAddr {
        let address = self.listener.local_addr().expect("a bound socket");
        address.as_socket().expect("an IPv4 address")
    }

    /// Dials since the start.
    fn dials(&self) -> u32 {
        self.dropped() - self.dropped_before
    }

    fn dropped(&self) -> u32 {
        dropped_packets(&self.listener)
    }

    /// From now on dials are answered and wait in the backlog to be accepted.
    fn answer(self) -> TcpListener {
        self.listener.listen(64).expect("a listener's backlog can be changed");
        self.listener.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        for _ in &self.fillers {
            self.listener.accept().expect("the fillers are in the backlog");
        }
        TcpListener::from(self.listener)
    }
}

#[test]
fn rotation_is_even_to_the_connection() {
    let servers = ['a', 'b', 'c'].map(|letter| backend(named(letter)));
    let gateway = Gateway::start(&servers.each_ref().map(Backend::address), &[]);
    assert_eq!(tally(&gateway, 300), [('a', 100), ('b', 100), ('c', 100)].into());
    // And with many at once.
    let clients: Vec<_> = (0..300).map(|_| gateway.connect()).collect();
    for mut client in clients {
        client.read_exact(&mut [0]).expect("every client is served");
    }
    assert_eq!(servers.each_ref().map(Backend::accepted), [200, 200, 200]);
}

#[test]
fn weights_are_kept_exactly_and_smoothly() {
    let servers = ['a', 'b'].map(|letter| backend(named(letter)));
    let gateway = Gateway::builder()
        .endpoint(&format!("{}?weight=3", servers[0].address()))
        .endpoint(&format!("{}?weight=1", servers[1].address()))
        .start();
    for _ in 0..75 {
        assert_eq!(tally(&gateway, 4), [('a', 3), ('b', 1)].into());
    }
    assert_eq!(servers.each_ref().map(Backend::accepted), [225, 75]);
}

#[test]
fn weight_zero_among_others_gets_about_one_in_a_hundred() {
    let servers = ['a', 'b'].map(|letter| backend(named(letter)));
    let gateway = Gateway::builder()
        .endpoint(&format!("{}?weight=1", servers[0].address()))
        .endpoint(&format!("{}?weight=0", servers[1].address()))
        .start();
    tally(&gateway, 400);
    let few = servers[1].accepted();
    assert!((2..=8).contains(&few), "{few} of 400 clients");
    assert_eq!(servers[0].accepted(), 400 - few);
}

#[test]
fn weights_of_zero_alone_are_equal_weights() {
    let servers = ['a', 'b'].map(|letter| backend(named(letter)));
    let mut builder = Gateway::builder();
    for server in &servers {
        builder = builder.endpoint(&format!("{}?weight=0", server.address()));
    }
    assert_eq!(tally(&builder.start(), 40), [('a', 20), ('b', 20)].into());
}

#[test]
fn lower_class_serves_only_while_the_upper_is_down() {
    let place = Reservation::new();
    let upper = Backend::at(place.address(), named('a'));
    let lower = backend(named('b'));
    let gateway = Gateway::builder()
        .endpoint(&format!("{}?priority=2&weight=5", lower.address()))
        .endpoint(&format!("{}?priority=1", place.address()))
        .arg("--retry-delay=1s")
        .start();
    assert_eq!(tally(&gateway, 50), [('a', 50)].into());

    upper.stop();
    assert_eq!(tally(&gateway, 20), [('b', 20)].into());
    assert!(gateway.wait_for_log("endpoint inactive").contains("reason=refused"));

    let upper = Backend::at(place.address(), named('c'));
    let returned = Instant::now();
    // No client connects meanwhile: it is the monitor that finds out.
    let line = gateway.wait_for_log("endpoint active");
    assert!(returned.elapsed() < Duration::from_secs(2), "after {:?}", returned.elapsed());
    assert!(line.contains(&format!("endpoint={}", place.address())), "{line}");
    assert!(line.contains("reason=probe"), "{line}");
    assert_eq!(tally(&gateway, 50), [('c', 50)].into());
    assert_eq!(upper.accepted(), 51, "the clients and one probe");
    assert_eq!(gateway.log_count("endpoint inactive"), 1);
    assert_eq!(gateway.log_count("endpoint active"), 1);
}

#[test]
fn refused_endpoints_next_to_a_good_one_cost_no_client_anything() {
    let refused = [refused_address(), refused_address()];
    let good = backend(named('g'));
    let gateway = Gateway::start(&[refused[0], refused[1], good.address()], &[]);
    assert_eq!(tally(&gateway, 100), [('g', 100)].into());
    until("every client is in the log", || gateway.log_count("pair closed") == 100);
    for address in refused {
        let lines = gateway.log_count(&format!("endpoint inactive endpoint={address}"));
        assert_eq!(lines, 1, "one line per change, not per client");
    }
}

#[test]
fn endpoint_that_drops_syns_costs_one_client_the_timeout_and_no_other() {
    let (silent, good) = (SynCounter::start(), backend(named('g')));
    let gateway = Gateway::start(&[silent.address(), good.address()], &["--connect-timeout=1s"]);
    let waits: Vec<Duration> = (0..10)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(answer(&gateway), Some('g'));
            started.elapsed()
        })
        .collect();
    let slowest = waits.iter().max().expect("ten clients");
    assert!(*slowest < Duration::from_millis(1500), "{waits:?}");
    assert!(*slowest >= Duration::from_secs(1), "a client had to find out: {waits:?}");
    // The fastest of five: another process may take the processor from any single one.
    let later = waits[4..].iter().min().expect("five clients and more");
    assert!(*later < Duration::from_millis(50), "{waits:?}");
    assert_eq!(waits.iter().filter(|wait| **wait > Duration::from_millis(900)).count(), 1);
    assert!(gateway.wait_for_log("endpoint inactive").contains("reason=timed_out"));
}

#[test]
fn each_endpoint_is_dialed_once_for_a_client_that_finds_none() {
    let silent = [SynCounter::start(), SynCounter::start(), SynCounter::start()];
    let gateway =
        Gateway::start(&silent.each_ref().map(SynCounter::address), &["--connect-timeout=200ms"]);
    assert_eq!(answer(&gateway), None);
    assert_eq!(silent.each_ref().map(SynCounter::dials), [1, 1, 1]);
    let line = gateway.wait_for_log("pair closed");
    assert!(line.contains("cause=no_endpoint") && line.contains("phase=dialing"), "{line}");
    assert_eq!(gateway.log_count("endpoint inactive"), 3);
}

#[test]
fn many_clients_that_find_the_same_failure_log_it_once() {
    let (silent, good) = (SynCounter::start(), backend(named('g')));
    let gateway = Gateway::start(&[silent.address(), good.address()], &["--connect-timeout=500ms"]);
    let clients: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    for mut client in clients {
        let mut letter = [0];
        client.read_exact(&mut letter).expect("every client is served");
        assert_eq!(letter, *b"g");
    }
    assert!(silent.dials() >= 2, "several clients had to find out");
    until("every client is in the log", || gateway.log_count("pair closed") == 100);
    assert_eq!(gateway.log_count("endpoint inactive"), 1);
}

#[test]
fn outage_of_the_only_endpoint_ends_when_it_returns() {
    let place = Reservation::new();
    let first = Backend::at(place.address(), named('a'));
    let gateway = Gateway::start(&[place.address()], &["--retry-delay=1m"]);
    assert_eq!(answer(&gateway), Some('a'));
    first.stop();
    assert_eq!(answer(&gateway), None);

    let _second = Backend::at(place.address(), named('b'));
    let returned = Instant::now();
    until("a client is served again", || answer(&gateway) == Some('b'));
    // A tenth of a second is due; the monitor would have needed a second at least.
    assert!(returned.elapsed() < Duration::from_millis(700), "after {:?}", returned.elapsed());
    let line = gateway.wait_for_log("endpoint active");
    assert!(line.contains("reason=client"), "{line}");
    assert_eq!(tally(&gateway, 20), [('b', 20)].into(), "from then on no client is refused");
}

/// The sum of `count=` over the summary lines, which tell of all clients without a server.
fn rejected(gateway: &Gateway) -> usize {
    let lines = gateway.log();
    let lines =
        lines.iter().filter(|line| line.contains("clients rejected reason=no_endpoint_active"));
    lines.map(|line| number_in(line, "count")).sum()
}

#[test]
fn flood_of_clients_without_an_endpoint_is_rejected_at_once() {
    // As many as have log lines that fit into the pipe: what does not fit is dropped.
    const CLIENTS: usize = 300;
    let gateway = Gateway::start(&[refused_address()], &[]);
    let started = Instant::now();
    for _ in 0..CLIENTS {
        assert_eq!(answer(&gateway), None);
    }
    let elapsed = started.elapsed();
    until("every client is in the log", || gateway.log_count("pair closed") == CLIENTS);
    let dialed = gateway.log_count("cause=no_endpoint");
    assert_eq!(dialed + gateway.log_count("cause=rejected"), CLIENTS);
    assert!(dialed >= 1, "the first client was worth a dial");
    assert!(dials_allowed(elapsed) >= dialed, "{dialed} dials in {elapsed:?}");
    // Had each waited for its turn, it would have taken 30 s.
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?} for {CLIENTS} clients");

    until("the last summary", || rejected(&gateway) == CLIENTS);
    let lines = gateway.log_count("clients rejected reason=no_endpoint_active");
    let seconds = usize::try_from(started.elapsed().as_secs()).expect("a few seconds");
    assert!(lines <= seconds + 1, "{lines} lines in {seconds} seconds");
    assert_eq!(gateway.log_count("endpoint inactive"), 1);
    assert_eq!(gateway.log_count("endpoint active"), 0);
}

#[test]
fn end_counts_the_clients_that_no_line_has_counted_yet() {
    const CLIENTS: usize = 3;
    let mut gateway = Gateway::start(&[refused_address()], &[]);
    for _ in 0..CLIENTS {
        assert_eq!(answer(&gateway), None);
    }
    gateway.signal("TERM");
    gateway.wait_exit();
    gateway.wait_for_log("INFO stopped");
    assert_eq!(rejected(&gateway), CLIENTS);
}

/// How many dials of last resort one endpoint may see in that time, both ends included.
fn dials_allowed(elapsed: Duration) -> usize {
    let intervals = elapsed.as_millis() / LAST_RESORT_INTERVAL.as_millis();
    usize::try_from(intervals).expect("a few seconds") + 1
}

#[test]
fn clients_cause_real_dials_in_an_outage_but_few() {
    let silent = SynCounter::start();
    let gateway = Gateway::start(&[silent.address()], &["--connect-timeout=30ms"]);
    let started = Instant::now();
    let mut clients = 0;
    while started.elapsed() < Duration::from_millis(1500) {
        assert_eq!(answer(&gateway), None);
        clients += 1;
    }
    let dials = usize::try_from(silent.dials()).expect("a few dials");
    // The monitor had time for one or two of its own.
    assert!(dials <= dials_allowed(started.elapsed()) + 2, "{dials} dials");
    assert!(dials >= 5, "only {dials} dials for {clients} clients");
    assert!(clients > 3 * dials, "{clients} clients, {dials} dials: the others have to wait");
}

#[test]
fn monitor_dials_an_inactive_endpoint_alone_and_at_most_once_a_second() {
    let silent = SynCounter::start();
    let address = silent.address();
    let arguments = ["--retry-delay=1s", "--connect-timeout=200ms"];
    let gateway = Gateway::start(&[address], &arguments);
    assert_eq!(answer(&gateway), None);
    assert_eq!(silent.dials(), 1);
    let mut previous = Instant::now();
    for dials in 2..5 {
        until("a probe", || silent.dials() >= dials);
        assert_eq!(silent.dials(), dials, "one at a time");
        // Looked at every few milliseconds, so it may seem a little less than a second.
        assert!(previous.elapsed() > Duration::from_millis(950), "{:?}", previous.elapsed());
        assert!(previous.elapsed() < Duration::from_secs(4), "{:?}", previous.elapsed());
        previous = Instant::now();
    }
    let listener = silent.answer();
    let line = gateway.wait_for_log("endpoint active");
    assert!(line.contains(&format!("endpoint={address} reason=probe")), "{line}");

    // One connection from the probe, which brings nothing; the next one is the client's.
    let (mut probe, _) = listener.accept().expect("the probe");
    assert!(!matches!(probe.read(&mut [0; 8]), Ok(1..)), "a probe sends nothing");
    let mut client = gateway.connect();
    client.write_all(b"client").expect("the pair takes a message");
    let (mut server, _) = listener.accept().expect("the gateway dials");
    server.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    let mut message = [0; 6];
    server.read_exact(&mut message).expect("the message");
    assert_eq!(message, *b"client");
    assert_eq!(gateway.log_count("endpoint inactive"), 1, "failed probes change nothing");
}

/// Runs a test in a network of its own, where ports and addresses are its alone to decide.
///
/// That takes CAP_SYS_ADMIN. Without it the test does nothing, and says so; root has it.
fn in_own_network(test: fn()) {
    let thread = thread::spawn(move || {
        // SAFETY: takes no pointers, and touches this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return needs_privilege("a network namespace needs CAP_SYS_ADMIN");
        }
        set_loopback_address(None, Ipv4Addr::LOCALHOST);
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Gives the loopback device, or an alias of it, an address and brings it up, as ifconfig does.
fn set_loopback_address(alias: Option<char>, address: Ipv4Addr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // SAFETY: ifreq is plain data, for which all zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = alias.map_or("lo".to_owned(), |alias| format!("lo:{alias}"));
    for (target, source) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *target = c_char::try_from(source).expect("an ASCII letter");
    }
    // SAFETY: sockaddr_in fits into the sockaddr that it stands for, and both are plain data.
    unsafe {
        let target = (&raw mut request.ifr_ifru.ifru_addr).cast::<libc::sockaddr_in>();
        (*target).sin_family = libc::sa_family_t::try_from(libc::AF_INET).expect("a small number");
        (*target).sin_addr.s_addr = u32::from_ne_bytes(address.octets());
    }
    // SAFETY: the kernel reads one ifreq, which `request` is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw mut request) };
    assert_eq!(result, 0, "SIOCSIFADDR: {}", std::io::Error::last_os_error());
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING)
        .expect("the flags of an interface are a short");
    // SAFETY: as above.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) };
    assert_eq!(result, 0, "SIOCSIFFLAGS: {}", std::io::Error::last_os_error());
}

/// With one ephemeral port left, a dial of just that port, where nothing listens, meets itself.
#[test]
fn dial_that_meets_itself_has_failed() {
    in_own_network(|| {
        let gateway = Gateway::builder()
            .endpoint("127.0.0.1:40000")
            .arg("--listen-addr=127.0.0.1:23790")
            .start();
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000").expect("our network");
        assert_eq!(answer(&gateway), None);
        let line = gateway.wait_for_log("endpoint inactive");
        assert!(line.contains("endpoint=127.0.0.1:40000 reason=own_address"), "{line}");
    });
}

/// What the check at the start cannot know: the address became ours later.
#[test]
fn dial_that_meets_our_own_listener_has_failed() {
    in_own_network(|| {
        let gateway = Gateway::builder()
            .endpoint("192.0.2.1:23790")
            .arg("--listen-addr=0.0.0.0:23790")
            .start();
        set_loopback_address(Some('1'), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(answer(&gateway), None);
        let line = gateway.wait_for_log("endpoint inactive");
        assert!(line.contains("endpoint=192.0.2.1:23790 reason=own_address"), "{line}");
        // Had the loop closed once, clients would have come from the gateway itself.
        gateway.wait_for_log("pair closed");
        assert_eq!(gateway.log_count("pair closed"), 1);
    });
}
