//! Hand-written cases for what real sockets show only by chance: what happens within one turn, at
//! which moment, and in which order.

use std::time::Duration;

use etcd_gateway::config::{ACCEPTS_PER_TURN, BUFFER_BYTES, FLOW_BUDGET_BYTES};
use etcd_gateway::endpoint::{EndpointSpec, RetryLimits};
use etcd_gateway::net::Close;
use etcd_gateway::pair;
use etcd_gateway::pair::flush::FlushInterval;
use etcd_gateway::pair::half_close::QuietLimits;
use etcd_gateway::reactor::{Census, Limits, Reactor};

use crate::net::{SimNet, SocketId};

const SECOND: Duration = Duration::from_secs(1);
const HALF_CLOSED: Duration = Duration::from_secs(300);
/// More than any sensible budget of one turn: at 1 GB/s it is 16 ms.
const BULK: usize = 16 << 20;
/// The reactor's first listener, its second one, and the server.
const PORT: u16 = 1000;
const SECOND_PORT: u16 = 1001;
const SERVER: u16 = 2000;

fn reactor(net: &SimNet, connections_max: usize) -> Reactor<SimNet> {
    reactor_before(net, connections_max, &[SERVER])
}

/// A gateway before a server on each of the ports.
fn reactor_before(net: &SimNet, connections_max: usize, servers: &[u16]) -> Reactor<SimNet> {
    let limits = Limits {
        connections_max,
        connect_timeout: SECOND,
        drain_timeout: 10 * SECOND,
        pair: pair::Limits {
            quiet: QuietLimits { half_closed: Some(HALF_CLOSED), open: None },
            flush: FlushInterval { min: SECOND / 1000, max: SECOND / 10 },
        },
        retry: RetryLimits {
            delay_min: SECOND,
            delay_max: 60 * SECOND,
            last_resort_interval: SECOND / 10,
        },
    };
    let listen = [PORT, SECOND_PORT].map(|port| ([127, 0, 0, 1], port).into());
    let spec = |port: &u16| EndpointSpec {
        address: ([192, 0, 2, 2], *port).into(),
        priority: 0,
        weight: 1,
    };
    let specs: Vec<_> = servers.iter().map(spec).collect();
    Reactor::start(net.clone(), limits, &listen, &specs).expect("nothing is in the way")
}

fn turn(reactor: &mut Reactor<SimNet>) {
    reactor.turn().expect("the world does not break");
}

/// A pair that stands: the client's and the server's socket.
fn pair(net: &SimNet, reactor: &mut Reactor<SimNet>) -> (SocketId, SocketId) {
    let client = net.world().sockets.len();
    net.world().connect(PORT, 1);
    turn(reactor);
    turn(reactor);
    assert_eq!(net.world().sockets[client + 1].dialed_port, Some(SERVER));
    (client, client + 1)
}

#[test]
fn a_flow_moves_no_more_than_its_budget_in_a_turn() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    let (bulk, bulk_sink) = pair(&net, &mut reactor);
    let (small, small_sink) = pair(&net, &mut reactor);
    net.world().send(bulk, BULK);
    turn(&mut reactor);
    let moved = net.world().sockets[bulk].read;
    assert!((1..FLOW_BUDGET_BYTES + BUFFER_BYTES).contains(&moved), "{moved}");
    assert!(moved < BULK / 16, "one flow holds all others up for a millisecond");
    net.world().send(small, 100);
    turn(&mut reactor);
    assert_eq!(net.world().sockets[small_sink].written, 100, "served in its own turn");
    assert!(net.world().sockets[bulk_sink].written <= 2 * (FLOW_BUDGET_BYTES + BUFFER_BYTES));
    // What is left goes on without any further event.
    let start = net.world().now;
    while net.world().sockets[bulk_sink].written < BULK {
        turn(&mut reactor);
    }
    assert_eq!(net.world().now, start);
}

#[test]
fn many_busy_flows_share_a_turn() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 1000);
    let clients: Vec<_> = (0..600).map(|_| pair(&net, &mut reactor).0).collect();
    clients.iter().for_each(|client| net.world().send(*client, BULK));
    turn(&mut reactor);
    let world = net.world();
    let moved: Vec<_> = clients.iter().map(|client| world.sockets[*client].read).collect();
    assert!(moved.iter().all(|bytes| *bytes == BUFFER_BYTES), "{moved:?}");
}

#[test]
fn a_turn_accepts_a_bounded_number_and_the_next_ones_go_on() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 1000);
    net.world().connect(PORT, 2 * ACCEPTS_PER_TURN + 1);
    for want in [ACCEPTS_PER_TURN, 2 * ACCEPTS_PER_TURN, 2 * ACCEPTS_PER_TURN + 1] {
        turn(&mut reactor);
        assert_eq!(net.world().accepted(PORT), want);
    }
}

#[test]
fn no_listener_starves_behind_another() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 1);
    net.world().connect(PORT, 100);
    net.world().connect(SECOND_PORT, 100);
    for _ in 0..20 {
        turn(&mut reactor);
        let open = net.world().sockets.iter().position(|it| it.closed.is_none());
        let client = open.expect("somebody was let in");
        net.world().end(client);
        net.world().end(client + 1);
        turn(&mut reactor);
    }
    let served = [PORT, SECOND_PORT].map(|port| net.world().accepted(port));
    assert!(served.iter().all(|count| *count >= 5), "{served:?}");
}

#[test]
fn accepting_resumes_as_soon_as_a_pair_is_gone() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().descriptors_max = 2;
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    assert_eq!(reactor.metrics().accept_pauses, 1);
    let paused_at = net.world().now;
    net.world().end(client);
    net.world().end(server);
    turn(&mut reactor);
    turn(&mut reactor);
    assert_eq!(net.world().accepted(PORT), 2);
    assert_eq!(net.world().now, paused_at, "without waiting for the timer");
}

#[test]
fn accepting_resumes_by_itself_when_nothing_is_ever_closed() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    net.world().descriptors_max = 0;
    net.world().connect(PORT, 1);
    let start = net.world().now;
    turn(&mut reactor);
    net.world().descriptors_max = 2;
    while net.world().accepted(PORT) == 0 {
        turn(&mut reactor);
    }
    assert!(net.world().now - start <= SECOND / 10);
}

#[test]
fn a_pause_does_not_spin() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    net.world().descriptors_max = 0;
    net.world().connect(PORT, 1);
    let start = net.world().now;
    for _ in 0..100 {
        turn(&mut reactor);
    }
    assert!(net.world().now - start >= SECOND, "at most a hundred turns a second");
}

#[test]
fn a_client_whose_server_lacks_a_descriptor_waits_and_nobody_overtakes_it() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    net.world().descriptors_max = 3;
    let (first, first_server) = pair(&net, &mut reactor);
    net.world().connect(PORT, 5);
    for _ in 0..10 {
        turn(&mut reactor);
    }
    assert_eq!(net.world().accepted(PORT), 2, "one more got in and waits for its server");
    assert_eq!(reactor.census().pairs, 2);
    net.world().end(first);
    net.world().end(first_server);
    for _ in 0..4 {
        turn(&mut reactor);
    }
    assert_eq!(reactor.metrics().pairs_connected, 2, "it went first");
    assert_eq!(reactor.metrics().clients_turned_away, 0);
    assert!(net.world().sockets.iter().all(|it| it.closed != Some(Close::Reset)));
}

#[test]
fn a_client_that_had_to_wait_keeps_its_turn_in_the_rotation() {
    let net = SimNet::new();
    let mut reactor = reactor_before(&net, 10, &[SERVER, SERVER + 1]);
    net.world().descriptors_max = 3;
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    turn(&mut reactor);
    for _ in 0..20 {
        net.world().connect(PORT, 1);
        turn(&mut reactor);
        assert_eq!(reactor.census().pairs, 2, "one is served, one waits");
        let open = net.world().sockets.iter().position(|it| it.closed.is_none());
        let served = open.expect("the pair that is served");
        let server = net.world().sockets[served..].iter().position(|it| it.dialed_port.is_some());
        net.world().end(served);
        net.world().end(served + server.expect("its server"));
        for _ in 0..3 {
            turn(&mut reactor);
        }
    }
    let dials = |port| net.world().dials.iter().filter(|(dialed, _)| *dialed == port).count();
    assert!(dials(SERVER).abs_diff(dials(SERVER + 1)) <= 1, "{:?}", net.world().dials);
}

#[test]
fn a_client_does_not_wait_for_a_descriptor_for_ever() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    net.world().descriptors_max = 1;
    net.world().connect(PORT, 1);
    let start = net.world().now;
    while net.world().sockets.first().is_none_or(|it| it.closed.is_none()) {
        turn(&mut reactor);
    }
    let waited = net.world().now - start;
    assert!(waited >= SECOND && waited < 2 * SECOND, "{waited:?}");
    assert_eq!(net.world().sockets[0].closed, Some(Close::Reset));
}

#[test]
fn clients_in_the_backlog_are_let_in_before_the_listener_closes() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 1000);
    net.world().connect(PORT, 5 * ACCEPTS_PER_TURN);
    net.world().terminate();
    reactor.run().expect("asked to end");
    assert_eq!(net.world().accepted(PORT), 5 * ACCEPTS_PER_TURN);
    reactor.drain().expect("an end");
    assert_eq!(net.world().open(), 0);
    assert_eq!(reactor.census().pairs, 0);
}

#[test]
fn a_silent_endpoint_is_probed_with_growing_pauses_and_jitter() {
    let net = SimNet::new();
    net.world().servers_answer = false;
    let mut reactor = reactor(&net, 10);
    net.world().connect(PORT, 1);
    while net.world().dials.len() < 6 {
        turn(&mut reactor);
    }
    let times: Vec<_> = net.world().dials.iter().map(|(_, at)| *at).collect();
    // Each dial lasts a second, and the most jitter, which this world draws, is the whole step.
    let pauses: Vec<_> = times.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
    assert_eq!(pauses, [2, 3, 5, 9, 17]);
    assert_eq!(net.world().randoms, 5, "one for each failure so far");
    assert_eq!(reactor.census(), Census { probes: 1, timers: 1, ..Census::default() });
}

/// Lets the virtual time pass until the pair is over, and says how long that took.
fn time_to_end(net: &SimNet, reactor: &mut Reactor<SimNet>) -> Duration {
    let start = net.world().now;
    while reactor.census().pairs > 0 {
        turn(reactor);
        assert!(net.world().now - start < 100 * HALF_CLOSED, "it never ends");
    }
    net.world().now - start
}

#[test]
fn the_half_close_starts_the_clock_however_long_it_was_quiet_before() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().now += 1000 * HALF_CLOSED;
    net.world().end(client);
    let lasted = time_to_end(&net, &mut reactor);
    assert!(lasted >= HALF_CLOSED && lasted <= HALF_CLOSED + 2 * SECOND, "{lasted:?}");
    assert_eq!(net.world().sockets[server].closed, Some(Close::Reset));
}

#[test]
fn a_peer_that_takes_bytes_from_the_send_queue_keeps_a_half_closed_pair() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().sockets[client].unsent = 50;
    net.world().end(server);
    let start = net.world().now;
    while net.world().sockets[client].unsent > 0 {
        turn(&mut reactor);
        net.world().sockets[client].unsent -= 1;
        assert_eq!(reactor.census().pairs, 1, "cut off while its reader made progress");
    }
    assert!(net.world().now - start > 10 * HALF_CLOSED);
    let lasted = time_to_end(&net, &mut reactor);
    assert!(lasted < 3 * HALF_CLOSED, "{lasted:?}");
}

#[test]
fn a_send_queue_that_stands_still_does_not_keep_it() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().sockets[client].unsent = 50;
    net.world().end(server);
    let lasted = time_to_end(&net, &mut reactor);
    assert!(lasted >= HALF_CLOSED && lasted < 2 * HALF_CLOSED, "{lasted:?}");
}

#[test]
fn bytes_that_came_in_time_count_although_the_clock_was_looked_at_late() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().end(client);
    turn(&mut reactor);
    net.world().send(server, 100);
    net.world().now += 10 * HALF_CLOSED;
    turn(&mut reactor);
    assert_eq!(net.world().sockets[client].written, 100);
    assert_eq!(reactor.census().pairs, 1);
}

#[test]
fn a_dial_that_is_decided_counts_although_its_deadline_has_passed() {
    let net = SimNet::new();
    net.world().servers_answer = false;
    let mut reactor = reactor(&net, 10);
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    net.world().sockets[1].connected = true;
    net.world().now += 2 * SECOND;
    turn(&mut reactor);
    assert_eq!(reactor.metrics().pairs_connected, 1);
}

#[test]
fn nothing_is_held_when_everybody_has_gone() {
    let net = SimNet::new();
    let mut reactor = reactor(&net, 10);
    for _ in 0..5 {
        let (client, server) = pair(&net, &mut reactor);
        net.world().send(client, 1000);
        net.world().end(client);
        turn(&mut reactor);
        net.world().end(server);
        turn(&mut reactor);
    }
    assert_eq!(reactor.metrics().pairs_completed, 5);
    assert_eq!(reactor.census(), Census::default());
    assert_eq!(net.world().open(), 0);
}
