//! Real faults on real sockets: packets that vanish, links that go down, hosts that are gone.
//!
//! A network is a test's own (`util/namespace.rs`), which takes root. Time is the subject here: a
//! loss must be noticed by the timer that was configured for it, neither before nor much later.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockFilter, SockRef};

use crate::util::*;

/// By how much the kernel's timers may seem early: they count in ticks of up to 10 ms.
const TICKS: Duration = Duration::from_millis(50);
/// How late something may be noticed on a machine that is busy, in addition to half as long again.
const LATENESS_MAX: Duration = Duration::from_secs(2);

/// Fails unless the time since `started` is what was configured, within generous bounds.
#[track_caller]
fn expect_took(started: Instant, configured: Duration) {
    let took = started.elapsed();
    assert!(took + TICKS >= configured, "after {took:?} already, not {configured:?}");
    let most = configured + configured / 2 + LATENESS_MAX;
    assert!(took < most, "after {took:?} only, not {configured:?}");
}

/// A gateway on a host of its own, which notices faults by its connections alone.
fn gateway_on(home: &Host, endpoints: &[SocketAddr], arguments: &[&str]) -> Gateway {
    let arguments = [&["--health-check=off"], arguments].concat();
    home.enter(|| Gateway::start(endpoints, &arguments))
}

/// A server that tells its letter and the port its peer came from, and then echoes.
fn serve(host: &Host, letter: u8) -> Backend {
    let behaviour = move |mut stream: TcpStream| {
        let Ok(peer) = stream.peer_addr() else { return };
        let [high, low] = peer.port().to_be_bytes();
        // Fails if the peer is gone already, and then there is nothing to echo to.
        if stream.write_all(&[letter, high, low]).is_ok() {
            echo(stream);
        }
    };
    host.enter(|| Backend::at(host.address(), behaviour))
}

/// A client on the gateway's host, and the letter of its server.
struct Client {
    stream: TcpStream,
    letter: u8,
    /// Where the gateway's connection to the server comes from.
    port: u16,
}

impl Client {
    fn connect(home: &Host, gateway: &Gateway) -> Client {
        let mut stream = home.connect(gateway.address());
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).expect("every client is served");
        let [letter, high, low] = greeting;
        Client { stream, letter, port: u16::from_be_bytes([high, low]) }
    }
}

/// The servers that a number of new clients got, and how long each of them had to wait.
fn new_clients(home: &Host, gateway: &Gateway, count: usize) -> (Vec<u8>, Vec<Duration>) {
    let connect = |_| {
        let started = Instant::now();
        (Client::connect(home, gateway).letter, started.elapsed())
    };
    (0..count).map(connect).unzip()
}

/// A pair that has been seen to work: the client's end and the server's.
fn open_pair(mut client: TcpStream, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let (mut server, _) = listener.accept().expect("the gateway dials");
    for end in [&client, &server] {
        end.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        end.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    }
    client.write_all(b"?").expect("the pair takes it");
    server.read_exact(&mut [0]).expect("the pair passes it on");
    (client, server)
}

/// Waits until the peer's kernel has acknowledged all that was written.
fn wait_acknowledged(stream: &TcpStream) {
    until("everything is acknowledged", || unsent(stream) == 0);
}

#[test]
fn member_that_vanishes_with_data_in_flight_is_given_up_after_the_user_timeout() {
    const USER_TIMEOUT: Duration = Duration::from_secs(2);
    let Some(network) = Network::new() else { return };
    let [home, lost, good] = [network.host(), network.host(), network.host()];
    let listener = lost.listen();
    let _good = serve(&good, b'g');
    let gateway = gateway_on(
        &home,
        &[lost.address(), good.address()],
        &["--tcp-user-timeout=2s", "--keepalive=0", "--connect-timeout=500ms"],
    );
    let (mut client, mut server) = open_pair(home.connect(gateway.address()), &listener);
    let other = Client::connect(&home, &gateway);
    assert_eq!(other.letter, b'g');

    // What our kernel has acknowledged was received, wherever on its way to the client it is.
    let bytes = payload(1, 256 * 1024);
    server.write_all(&bytes).expect("the pair takes it");
    wait_acknowledged(&server);
    lost.vanish();
    let started = Instant::now();
    client.write_all(b"never acknowledged").expect("the pair takes it");
    let mut received = vec![0; bytes.len()];
    client.read_exact(&mut received).expect("all that came before");
    assert!(received == bytes, "other bytes came than were sent");
    round_trip(&other.stream, b"meanwhile");
    expect_reset(&client);
    expect_took(started, USER_TIMEOUT);
    assert!(gateway.wait_for_log("pair closed").contains("cause=server_timed_out"));

    round_trip(&other.stream, b"afterwards");
    let (letters, waits) = new_clients(&home, &gateway, 4);
    assert_eq!(letters, *b"gggg");
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)), "{waits:?}");
    assert_eq!(gateway.log_count("cause=server_"), 1, "no other pair was lost");
}

/// Two members, one of which vanishes while nothing is under way to it: after so long its pair
/// must be reset, and no other.
fn expect_keepalive_finds_it(arguments: &[&str], configured: Duration) {
    let Some(network) = Network::new() else { return };
    let [home, lost, good] = [network.host(), network.host(), network.host()];
    let servers = [serve(&lost, b'l'), serve(&good, b'g')];
    let gateway = gateway_on(&home, &servers.each_ref().map(Backend::address), arguments);
    let [client, other] = [(); 2].map(|()| Client::connect(&home, &gateway));
    assert_eq!([client.letter, other.letter], *b"lg");

    let started = Instant::now();
    round_trip(&client.stream, b"the last sign of life");
    lost.vanish();
    expect_reset(&client.stream);
    expect_took(started, configured);
    assert!(gateway.wait_for_log("pair closed").contains("cause=server_timed_out"));
    round_trip(&other.stream, b"idle for as long, but alive");
    assert_eq!(gateway.log_count("pair closed"), 1);
}

/// With a user timeout the number of probes does not count (tcp(7)): nine would take ten seconds.
#[test]
fn idle_member_that_vanishes_is_found_by_keepalive_within_the_user_timeout() {
    expect_keepalive_finds_it(&["--keepalive=1s", "--tcp-user-timeout=2s"], Duration::from_secs(2));
}

#[test]
fn idle_member_that_vanishes_is_found_by_nine_probes_without_a_user_timeout() {
    const PROBES: u32 = 9;
    expect_keepalive_finds_it(
        &["--keepalive=1s", "--tcp-user-timeout=0"],
        Duration::from_secs(1) * (1 + PROBES),
    );
}

/// Reads on until nothing more comes.
fn read_until_it_stalls(mut stream: &TcpStream, received: &mut Vec<u8>) {
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout that is not zero");
    let error = stream.read_to_end(received).expect_err("the transfer is not over");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
}

#[test]
fn links_that_go_down_and_up_again_lose_not_a_byte() {
    let Some(network) = Network::new() else { return };
    let [home, member] = [network.host(), network.host()];
    let server = serve(&member, b'm');
    let arguments = ["--tcp-user-timeout=8s", "--keepalive=1s"];
    let gateway = gateway_on(&home, &[server.address()], &arguments);
    let [Client { stream: mut client, .. }, idle] =
        [(); 2].map(|()| Client::connect(&home, &gateway));
    // More than all buffers on the way there and back can hold.
    let bytes = payload(3, 64 << 20);
    let mut writer = client.try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&bytes).expect("the pair takes it, if late");
            writer.shutdown(Shutdown::Write).expect("the end of the file");
        });
        let mut received = vec![0; 1 << 20];
        client.read_exact(&mut received).expect("the begin of the transfer");
        // The link at the far end, and then the gateway's own, so that its kernel cannot send.
        for host in [&member, &home] {
            host.unplug();
            read_until_it_stalls(&client, &mut received);
            host.plug();
            let started = Instant::now();
            let mut more = [0];
            client.read_exact(&mut more).expect("it goes on");
            received.extend(more);
            assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        }
        client.read_to_end(&mut received).expect("a clean end");
        assert!(received == bytes, "{} bytes of {}, or others", received.len(), bytes.len());
    });
    round_trip(&idle.stream, b"idle all the time");
    assert_eq!(gateway.log_count("endpoint inactive"), 0);
    assert!(gateway.wait_for_log("pair closed").contains("cause=completed"));
}

/// A link of our own that is down says nothing about the members.
#[test]
fn own_link_that_is_down_is_held_against_no_member() {
    let Some(network) = Network::new() else { return };
    let [home, first, second] = [network.host(), network.host(), network.host()];
    let servers = [serve(&first, b'f'), serve(&second, b's')];
    let gateway = gateway_on(&home, &servers.each_ref().map(Backend::address), &[]);
    let client = Client::connect(&home, &gateway);
    home.unplug();
    let started = Instant::now();
    assert_eq!(home.enter(|| answer(&gateway)), None);
    assert!(started.elapsed() < Duration::from_secs(1), "there is nothing to wait for");
    assert!(gateway.wait_for_log("pair closed").contains("cause=local_shortage"));
    gateway.wait_for_log("clients rejected reason=local_shortage count=1 pairs=");
    home.plug();
    let (mut letters, _) = new_clients(&home, &gateway, 4);
    letters.sort_unstable();
    assert_eq!(letters, *b"ffss");
    round_trip(&client.stream, b"idle all the time");
    assert_eq!(gateway.log_count("endpoint inactive"), 0);
}

#[test]
fn member_whose_syns_are_dropped_keeps_its_pairs_and_gets_no_more() {
    let Some(network) = Network::new() else { return };
    let [home, lossy, good] = [network.host(), network.host(), network.host()];
    let servers = [serve(&lossy, b'l'), serve(&good, b'g')];
    let gateway = gateway_on(
        &home,
        &servers.each_ref().map(Backend::address),
        &["--connect-timeout=500ms", "--retry-delay=1s"],
    );
    let [client, _] = [(); 2].map(|()| Client::connect(&home, &gateway));
    assert_eq!(client.letter, b'l');

    lossy.drop_new_connections(client.port);
    let (letters, waits) = new_clients(&home, &gateway, 4);
    assert_eq!(letters, *b"gggg");
    let slowest = waits.iter().max().expect("four clients");
    assert!(*slowest + TICKS >= Duration::from_millis(500), "a client had to find out: {waits:?}");
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)), "{waits:?}");
    assert!(gateway.wait_for_log("endpoint inactive").contains("reason=timed_out"));
    round_trip(&client.stream, b"not a new connection");

    lossy.pass_new_connections();
    let started = Instant::now();
    assert!(gateway.wait_for_log("endpoint active").contains("reason=probe"));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let (mut letters, _) = new_clients(&home, &gateway, 4);
    letters.sort_unstable();
    assert_eq!(letters, *b"ggll");
    round_trip(&client.stream, b"open all the time");
}

/// One client behind a router, which reports that it no longer has a route, and one on the
/// gateway's own machine, where the kernel itself has none. Of three pairs of each, one has data
/// under way to the client, one has, too, but its server is gone by now, and one is idle.
#[test]
fn clients_whose_namespaces_disappear_are_released_within_the_user_timeout() {
    const USER_TIMEOUT: Duration = Duration::from_secs(2);
    let Some(network) = Network::new() else { return };
    let [home, member] = [network.host(), network.host()];
    let listener = member.listen();
    let gateway = gateway_on(
        &home,
        &[member.address()],
        &["--listen-addr=0.0.0.0:0", "--keepalive=1s", "--tcp-user-timeout=2s"],
    );
    let address = SocketAddr::new(home.address().ip(), gateway.address().port());
    let descriptors = gateway.descriptors();
    let hosts = [network.host(), network.guest(&home)];
    let pairs = [&hosts[0], &hosts[1]]
        .map(|host| [(); 3].map(|()| open_pair(host.connect(address), &listener)));
    let started = Instant::now();
    hosts.iter().for_each(Host::cut_off);
    // With their links gone the sockets can be closed, and no peer hears of it.
    let servers = pairs.map(|pairs| pairs.map(|(_client, server)| server));
    drop(hosts);
    gateway.wait_descriptors(descriptors + 2 * servers.as_flattened().len());
    let mut lost = Vec::new();
    for [mut busy, mut orphaned, idle] in servers {
        for server in [&mut busy, &mut orphaned] {
            server.write_all(b"never acknowledged").expect("the pair takes it");
        }
        wait_acknowledged(&orphaned);
        reset(orphaned);
        lost.extend([busy, idle]);
    }
    for server in lost {
        expect_reset(&server);
        expect_took(started, USER_TIMEOUT);
    }
    gateway.wait_descriptors(descriptors);
    expect_took(started, USER_TIMEOUT);
    until("all are in the log", || gateway.log_count("pair closed") == 6);
    assert_eq!(gateway.log_count("cause=client_"), 4, "the client was lost first");
    assert_eq!(gateway.log_count("cause=server_reset phase=flushing"), 2, "the server was");
}

/// Routers that answer for a member which cannot be reached, and a kernel that has no way to it:
/// no client waits for a timeout then. Whether that is the member's failure is another question.
#[test]
fn members_without_a_route_cost_a_client_no_time() {
    let Some(network) = Network::new() else { return };
    let home = network.host();
    let [unreachable, prohibited, no_route_here, prohibited_here, good] =
        [(); 5].map(|()| network.host());
    unreachable.misroute("unreachable");
    prohibited.misroute("prohibit");
    no_route_here.misroute_at(&home, "unreachable");
    prohibited_here.misroute_at(&home, "prohibit");
    let server = serve(&good, b'g');
    // The router has no route to it at all, and says that the network is unreachable.
    let nowhere: SocketAddr = "198.51.100.1:2379".parse().expect("an address");
    let lost = [&unreachable, &prohibited, &no_route_here].map(Host::address);
    let endpoints =
        [lost[0], lost[1], lost[2], prohibited_here.address(), nowhere, server.address()];
    let gateway = gateway_on(&home, &endpoints, &["--connect-timeout=10s"]);
    let (letters, waits) = new_clients(&home, &gateway, 6);
    assert_eq!(letters, *b"gggggg");
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)), "{waits:?}");
    for address in lost {
        let line = gateway.wait_for_log(&format!("endpoint inactive endpoint={address}"));
        assert!(line.contains("reason=host_unreachable"), "{line}");
    }
    assert_eq!(gateway.log_count("endpoint inactive"), lost.len());
}

/// Its successor knows nothing of the connections: whatever reaches it is answered with a reset,
/// long before the user timeout.
#[test]
fn member_that_was_replaced_resets_its_pairs_at_the_first_segment() {
    let Some(network) = Network::new() else { return };
    let [home, old] = [network.host(), network.host()];
    let listener = old.listen();
    let arguments = ["--keepalive=1s", "--tcp-user-timeout=20s"];
    let gateway = gateway_on(&home, &[old.address()], &arguments);
    let [idle, busy] = [(); 2].map(|()| open_pair(home.connect(gateway.address()), &listener));
    // Not before its link is gone: no peer is to hear that its sockets are closed.
    old.cut_off();
    drop(listener);
    let [idle, busy] = [idle, busy].map(|(client, _)| client);
    (&busy).write_all(b"for the old one").expect("the pair takes it");
    let new = network.replace(&old);
    let started = Instant::now();
    let _server = serve(&new, b'n');
    for client in [&idle, &busy] {
        expect_reset(client);
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    }
    until("both are in the log", || gateway.log_count("cause=server_reset") == 2);
    assert_eq!(Client::connect(&home, &gateway).letter, b'n');
}

/// From now on about one in ten packets that come for the socket is lost before TCP has seen it.
///
/// Anybody may set a filter (socket(7)), yet some kernels refuse it to all but root.
fn lose_packets(stream: &TcpStream) -> io::Result<()> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    // A load from there gives a random number: SKF_AD_OFF + SKF_AD_RANDOM (linux/filter.h).
    const RANDOM: u32 = 0_u32.wrapping_sub(0x1000) + 56;
    SockRef::from(stream).attach_filter(&[
        SockFilter::new(LOAD, 0, 0, RANDOM),
        SockFilter::new(JUMP_IF_AT_LEAST, 1, 0, u32::MAX / 10),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Of what the gateway sends to either side, data and acknowledgements, a part never arrives.
#[test]
fn lost_packets_are_no_lost_bytes() {
    let server = backend(|stream| {
        if lose_packets(&stream).is_ok() {
            echo(stream);
        }
    });
    let gateway = Gateway::start(&[server.address()], &[]);
    let mut client = gateway.connect();
    match lose_packets(&client) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return needs_privilege("lost packets: only root may set socket filters here");
        }
        outcome => outcome.expect("a filter of a few instructions"),
    }
    let bytes = payload(4, 16 << 20);
    let mut writer = client.try_clone().expect("a second handle");
    let mut received = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&bytes).expect("the pair takes it");
            writer.shutdown(Shutdown::Write).expect("the end of the file");
        });
        client.read_to_end(&mut received).expect("a clean end");
    });
    assert!(received == bytes, "{} bytes of {}, or others", received.len(), bytes.len());
    assert!(dropped_packets(&client) > 0, "no packet was lost, so nothing was tested");
}
