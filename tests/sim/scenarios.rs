//! Hand-written cases for what real sockets show only by chance: what happens within one turn, at
//! which moment, and in which order.

mod health;
mod listening;
mod names;
mod splice;

use std::time::Duration;

use etcd_gateway::config::{ACCEPTS_PER_TURN, FLOW_BUDGET_BYTES, FLOW_SHARE_BYTES_MIN};
use etcd_gateway::net::{Close, NetError};
use etcd_gateway::reactor::{Census, Reactor};

use crate::connection::{Connection, Id, Role};
use crate::hosts::Place;
use crate::net::SimNet;
use crate::plan::LISTENER_PORT;
use crate::run::start;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);
/// The limit of a half-closed pair in a calm world.
const HALF_CLOSED: Duration = Duration::from_secs(300);
/// More than any sensible budget of one turn: spliced at 6 GB/s it is 5 ms.
const BULK: u64 = 32 << 20;
/// What one flow may move in a turn, and the last read may overdraw by.
const BUDGET: u64 = (FLOW_BUDGET_BYTES + FLOW_SHARE_BYTES_MIN) as u64;
/// The reactor's first listener, and its second one.
const PORT: u16 = LISTENER_PORT;
const SECOND_PORT: u16 = LISTENER_PORT + 1;

/// A gateway for a number of pairs, before one server.
fn calm(connections_max: usize) -> (SimNet, Reactor<SimNet>) {
    let net = SimNet::new(World::calm(connections_max, 1));
    let reactor = start(&net);
    (net, reactor)
}

fn turn(reactor: &mut Reactor<SimNet>) {
    reactor.turn().expect("the world does not break");
}

/// An established pair: the client's and the server's socket.
fn pair(net: &SimNet, reactor: &mut Reactor<SimNet>) -> (Id, Id) {
    let client = net.world().network.connections.len();
    net.world().connect(PORT, 1);
    turn(reactor);
    turn(reactor);
    let role = net.world().network.connections[client + 1].role;
    assert_eq!(role, Role::Server { endpoint: 0, client });
    (client, client + 1)
}

/// Clients that were accepted, and the times that one of them reached the limit of pairs.
fn counts_at_the_limit(reactor: &Reactor<SimNet>) -> (u64, u64) {
    let metrics = reactor.metrics();
    (metrics.clients_accepted, metrics.connections_max_reached)
}

#[test]
fn the_limit_of_pairs_is_counted_each_time_that_it_is_reached() {
    let (net, mut reactor) = calm(2);
    let (first, first_server) = pair(&net, &mut reactor);
    assert_eq!(counts_at_the_limit(&reactor), (1, 0));
    pair(&net, &mut reactor);
    assert_eq!(counts_at_the_limit(&reactor), (2, 1));
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    assert_eq!(counts_at_the_limit(&reactor), (2, 1), "the third one waits in the backlog");
    net.world().end(first);
    net.world().end(first_server);
    (0..4).for_each(|_| turn(&mut reactor));
    assert_eq!(counts_at_the_limit(&reactor), (3, 2));
}

#[test]
fn a_flow_moves_no_more_than_its_budget_in_a_turn() {
    let (net, mut reactor) = calm(10);
    let (bulk, bulk_sink) = pair(&net, &mut reactor);
    let (small, small_sink) = pair(&net, &mut reactor);
    net.world().send(bulk, BULK);
    turn(&mut reactor);
    let moved = net.world().read_from(bulk);
    assert!((1..BUDGET).contains(&moved), "{moved}");
    assert!(moved < BULK / 16, "one flow holds all others up for a third of a millisecond");
    net.world().send(small, 100);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(small_sink), 100, "served in its own turn");
    assert!(net.world().written_to(bulk_sink) <= 2 * BUDGET);
    // What is left goes on without any further event.
    let start = net.world().context.now;
    while net.world().written_to(bulk_sink) < BULK {
        turn(&mut reactor);
    }
    assert_eq!(net.world().context.now, start);
}

#[test]
fn many_busy_flows_share_a_turn() {
    let (net, mut reactor) = calm(1000);
    let clients: Vec<_> = (0..600).map(|_| pair(&net, &mut reactor).0).collect();
    clients.iter().for_each(|client| net.world().send(*client, BULK));
    turn(&mut reactor);
    let world = net.world();
    let moved: Vec<_> = clients.iter().map(|client| world.read_from(*client)).collect();
    assert!(moved.iter().all(|bytes| *bytes == FLOW_SHARE_BYTES_MIN as u64), "{moved:?}");
}

#[test]
fn a_turn_accepts_a_bounded_number_and_the_next_ones_go_on() {
    let (net, mut reactor) = calm(1000);
    net.world().connect(PORT, 2 * ACCEPTS_PER_TURN + 1);
    for want in [ACCEPTS_PER_TURN, 2 * ACCEPTS_PER_TURN, 2 * ACCEPTS_PER_TURN + 1] {
        turn(&mut reactor);
        assert_eq!(net.world().accepted(PORT), want);
    }
}

#[test]
fn no_listener_starves_behind_another() {
    let (net, mut reactor) = calm(1);
    net.world().connect(PORT, 100);
    net.world().connect(SECOND_PORT, 100);
    for _ in 0..20 {
        turn(&mut reactor);
        let open = net.world().network.connections.iter().position(Connection::is_open);
        let client = open.expect("a client was let in");
        let server = net.world().network.connections[client].server.expect("a server");
        net.world().end(client);
        net.world().end(server);
        turn(&mut reactor);
    }
    let served = [PORT, SECOND_PORT].map(|port| net.world().accepted(port));
    assert!(served.iter().all(|count| *count >= 5), "{served:?}");
}

#[test]
fn accepting_resumes_as_soon_as_a_pair_is_gone() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().context.plan.descriptors_max = 2;
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    assert_eq!(reactor.metrics().accept_pauses, 1);
    let paused_at = net.world().context.now;
    net.world().end(client);
    net.world().end(server);
    turn(&mut reactor);
    turn(&mut reactor);
    assert_eq!(net.world().accepted(PORT), 2);
    assert_eq!(net.world().context.now, paused_at, "without waiting for the timer");
}

#[test]
fn accepting_resumes_by_itself_when_nothing_is_ever_closed() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.descriptors_max = 0;
    net.world().connect(PORT, 1);
    let start = net.world().context.now;
    turn(&mut reactor);
    net.world().context.plan.descriptors_max = 2;
    while net.world().accepted(PORT) == 0 {
        turn(&mut reactor);
    }
    assert!(net.world().context.now - start <= SECOND / 10);
}

#[test]
fn a_pause_does_not_spin() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.descriptors_max = 0;
    net.world().connect(PORT, 1);
    let start = net.world().context.now;
    for _ in 0..100 {
        turn(&mut reactor);
    }
    assert!(net.world().context.now - start >= SECOND, "at most a hundred turns a second");
}

#[test]
fn a_client_whose_server_lacks_a_descriptor_waits_and_nobody_overtakes_it() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.descriptors_max = 3;
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
    assert_eq!(reactor.metrics().rejections.total(), 0);
    assert!(net.world().network.connections.iter().all(|end| end.closed != Some(Close::Reset)));
}

#[test]
fn a_client_that_had_to_wait_keeps_its_turn_in_the_rotation() {
    let net = SimNet::new(World::calm(10, 2));
    let mut reactor = start(&net);
    net.world().context.plan.descriptors_max = 3;
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    turn(&mut reactor);
    for _ in 0..20 {
        net.world().connect(PORT, 1);
        turn(&mut reactor);
        assert_eq!(reactor.census().pairs, 2, "one is served, one waits");
        let open = net.world().network.connections.iter().position(Connection::is_open);
        let served = open.expect("the pair that is served");
        let server = net.world().network.connections[served].server;
        net.world().end(served);
        net.world().end(server.expect("its server"));
        for _ in 0..3 {
            turn(&mut reactor);
        }
    }
    let dials = |endpoint| net.world().dials_to(endpoint).len();
    assert!(dials(0) > 5 && dials(0).abs_diff(dials(1)) <= 1, "{} and {}", dials(0), dials(1));
}

#[test]
fn a_client_does_not_wait_for_a_descriptor_for_ever() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.descriptors_max = 1;
    net.world().connect(PORT, 1);
    let start = net.world().context.now;
    while net.world().network.connections[0].closed.is_none() {
        turn(&mut reactor);
    }
    let waited = net.world().context.now - start;
    assert!(waited >= SECOND && waited < 2 * SECOND, "{waited:?}");
    assert_eq!(net.world().network.connections[0].closed, Some(Close::Reset));
}

#[test]
fn clients_in_the_backlog_are_let_in_before_the_listener_closes() {
    let (net, mut reactor) = calm(1000);
    net.world().connect(PORT, 5 * ACCEPTS_PER_TURN);
    net.world().terminate();
    reactor.run().expect("asked to end");
    assert_eq!(net.world().accepted(PORT), 5 * ACCEPTS_PER_TURN);
    reactor.drain().expect("an end");
    assert_eq!(net.world().context.sockets_open, 0);
    assert_eq!(reactor.census().pairs, 0);
}

#[test]
fn a_silent_endpoint_is_probed_with_growing_pauses_and_jitter() {
    let (net, mut reactor) = calm(10);
    net.world().hosts.places.fill(Place::Silent);
    net.world().connect(PORT, 1);
    while net.world().dials_to(0).len() < 6 {
        turn(&mut reactor);
    }
    let times = net.world().dials_to(0);
    // Each dial lasts a second, and the most jitter, which this world draws, is the whole step.
    let pauses: Vec<_> = times.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
    assert_eq!(pauses, [2, 3, 5, 9, 17]);
    assert_eq!(net.oracle().books.record.randoms, 5, "one for each failure so far");
    assert_eq!(reactor.census(), Census { probes: 1, timers: 1, ..Census::default() });
}

/// Lets the virtual time pass until the pair is over, and says how long that took.
fn time_to_end(net: &SimNet, reactor: &mut Reactor<SimNet>) -> Duration {
    let start = net.world().context.now;
    while reactor.census().pairs > 0 {
        turn(reactor);
        assert!(net.world().context.now - start < 100 * HALF_CLOSED, "it never ends");
    }
    net.world().context.now - start
}

#[test]
fn the_half_close_starts_the_clock_however_long_it_was_quiet_before() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().pass(1000 * HALF_CLOSED);
    net.world().end(client);
    let lasted = time_to_end(&net, &mut reactor);
    assert!(lasted >= HALF_CLOSED && lasted <= HALF_CLOSED + 2 * SECOND, "{lasted:?}");
    assert_eq!(net.world().network.connections[server].closed, Some(Close::Reset));
}

#[test]
fn a_peer_that_takes_bytes_from_the_send_queue_keeps_a_half_closed_pair() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().hold(client);
    net.world().send(server, 50);
    net.world().end(server);
    turn(&mut reactor);
    let start = net.world().context.now;
    for _ in 0..50 {
        turn(&mut reactor);
        net.world().acknowledge_one(client);
        assert_eq!(reactor.census().pairs, 1, "cut off while its reader made progress");
    }
    assert!(net.world().context.now - start > 10 * HALF_CLOSED);
    let lasted = time_to_end(&net, &mut reactor);
    assert!(lasted < 3 * HALF_CLOSED, "{lasted:?}");
}

#[test]
fn a_send_queue_that_stands_still_does_not_keep_it() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().hold(client);
    net.world().send(server, 50);
    net.world().end(server);
    let lasted = time_to_end(&net, &mut reactor);
    assert!(lasted >= HALF_CLOSED && lasted < 2 * HALF_CLOSED, "{lasted:?}");
}

#[test]
fn bytes_that_came_in_time_count_although_the_clock_was_looked_at_late() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().end(client);
    turn(&mut reactor);
    net.world().send(server, 100);
    net.world().pass(10 * HALF_CLOSED);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(client), 100);
    assert_eq!(reactor.census().pairs, 1);
}

#[test]
fn a_dial_that_is_decided_counts_although_its_deadline_has_passed() {
    let (net, mut reactor) = calm(10);
    net.world().hosts.places.fill(Place::Silent);
    net.world().connect(PORT, 1);
    turn(&mut reactor);
    net.world().network.connections[1].is_established = true;
    net.world().pass(2 * SECOND);
    turn(&mut reactor);
    assert_eq!(reactor.metrics().pairs_connected, 1);
}

#[test]
fn nothing_is_held_when_everybody_has_gone() {
    let (net, mut reactor) = calm(10);
    for _ in 0..5 {
        let (client, server) = pair(&net, &mut reactor);
        net.world().send(client, 1000);
        net.world().end(client);
        turn(&mut reactor);
        net.world().end(server);
        turn(&mut reactor);
    }
    assert_eq!(reactor.metrics().pairs_completed(), 5);
    // The look at pairs without an answer is still to come.
    net.world().pass(SECOND);
    turn(&mut reactor);
    assert_eq!(reactor.census(), Census::default());
    assert_eq!(net.world().context.sockets_open, 0);
}

#[test]
fn an_endpoint_that_comes_and_goes_leaves_no_timers_behind() {
    let (net, mut reactor) = calm(10);
    for _ in 0..20 {
        let client = net.world().network.connections.len();
        net.world().connect(PORT, 1);
        turn(&mut reactor);
        net.world().die(client + 1, NetError::Refused);
        turn(&mut reactor);
        assert_eq!(reactor.endpoints().active_count(), 0);
        net.world().pass(SECOND / 10);
        let (client, server) = pair(&net, &mut reactor);
        net.world().end(client);
        net.world().end(server);
        turn(&mut reactor);
        assert_eq!(reactor.endpoints().active_count(), 1);
    }
    assert_eq!(reactor.census(), Census::default());
}

#[test]
fn bytes_for_a_side_that_is_lost_are_not_kept() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().hold(client);
    net.world().send(server, 50);
    net.world().block(server);
    net.world().send(client, 100);
    turn(&mut reactor);
    assert_eq!(reactor.census().buffers, 1, "the server takes nothing");
    net.world().die(server, NetError::Reset);
    turn(&mut reactor);
    let Census { pairs, buffers, .. } = reactor.census();
    assert_eq!((pairs, buffers), (1, 0), "the client has not got its 50 bytes yet");
}

#[test]
fn a_request_to_reload_changes_nothing() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().reload();
    net.world().send(client, 100);
    turn(&mut reactor);
    turn(&mut reactor);
    assert_eq!(net.world().network.connections[server].written, 100);
    assert_eq!(reactor.census().pairs, 1);
    assert!(net.world().listeners.all.iter().all(|listener| listener.is_open));
}

#[test]
fn who_is_cut_off_at_the_end_is_counted() {
    let (net, mut reactor) = calm(10);
    let pairs = [(); 3].map(|()| pair(&net, &mut reactor));
    net.world().terminate();
    turn(&mut reactor);
    // One ends by itself in time.
    net.world().end(pairs[0].0);
    net.world().end(pairs[0].1);
    reactor.drain().expect("an end");
    assert_eq!(reactor.metrics().pairs_completed(), 1);
    assert_eq!(reactor.metrics().pairs_cut(), 2);
}
