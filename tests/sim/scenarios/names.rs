//! Hand-written cases of names: name servers that are silent, lie, or change what they say.

use std::collections::BTreeSet;

use super::*;
use crate::faults::Fault;
use crate::name_server::ServerPlace;
use crate::names::{Names, Source};
use crate::oracle::Seen;
use crate::zone::Record;

/// How long an answer lives, and the two seconds in which a change is to be in effect then.
const NEWS_MAX: Duration = Duration::from_secs(3);
/// Within so much of a name server's return it has been asked.
const RETURN_MAX: Duration = Duration::from_secs(5);
const INSECURE: Source = Source::Records { is_insecure: true };
const SECURE: Source = Source::Records { is_insecure: false };

fn named(names: Names) -> (SimNet, Reactor<SimNet>) {
    let net = SimNet::new(World::named(10, names));
    let reactor = start(&net);
    (net, reactor)
}

/// The endpoints that the gateway knows, by their numbers.
fn known(net: &SimNet, reactor: &Reactor<SimNet>) -> BTreeSet<usize> {
    let world = net.world();
    reactor.endpoints().addresses().map(|address| world.endpoint_of(address)).collect()
}

/// Lets the virtual time pass until that is so, and says how long it took.
fn until(
    net: &SimNet,
    reactor: &mut Reactor<SimNet>,
    longest: Duration,
    condition: impl Fn(&SimNet, &Reactor<SimNet>) -> bool,
) -> Duration {
    let start = net.world().context.now;
    while !condition(net, reactor) {
        turn(reactor);
        net.simulation().check_after_turn(reactor);
        let lasted = net.world().context.now - start;
        let turns = net.world().context.turns;
        assert!(
            turns < 100_000,
            "it does not come to an end: {}",
            net.world().context.trace.tail()
        );
        assert!(lasted <= longest, "not after {lasted:?}: {:?}", known(net, reactor));
    }
    net.world().context.now - start
}

fn knows(want: &[usize]) -> impl Fn(&SimNet, &Reactor<SimNet>) -> bool {
    let want: BTreeSet<usize> = want.iter().copied().collect();
    move |net, reactor| known(net, reactor) == want
}

fn pass(net: &SimNet, reactor: &mut Reactor<SimNet>, time: Duration) {
    let end = net.world().context.now + time;
    until(net, reactor, 2 * time + SECOND, |net, _| net.world().context.now >= end);
}

/// A client that is served by that endpoint.
fn served_by(net: &SimNet, reactor: &mut Reactor<SimNet>) -> usize {
    let before = reactor.metrics().pairs_connected;
    net.world().connect(PORT, 1);
    until(net, reactor, SECOND, |_, reactor| reactor.metrics().pairs_connected > before);
    let world = net.world();
    let mut last = world.network.connections.iter().filter_map(|end| match end.role {
        Role::Server { endpoint, .. } => Some(endpoint),
        _ => None,
    });
    last.next_back().expect("an endpoint was dialed")
}

/// Clients come until one is led to that endpoint, which refuses it.
fn refuse_one(net: &SimNet, reactor: &mut Reactor<SimNet>, endpoint: usize) {
    net.world().hosts.places[endpoint] = Place::Refuses;
    let before = net.world().dials_to(endpoint).len();
    while net.world().dials_to(endpoint).len() == before {
        net.world().connect(PORT, 1);
        turn(reactor);
    }
    let dial = net.world().network.connections.len() - 1;
    net.world().die(dial, NetError::Refused);
    turn(reactor);
}

/// One host with a number of addresses.
fn one_host(addresses: usize) -> Names {
    let mut names = Names::calm(Source::Typed, 1);
    names.hosts[0].endpoints = (0..addresses).collect();
    names
}

#[test]
fn without_name_servers_clients_are_held_for_a_while_and_then_served() {
    let (net, mut reactor) = named(Names::calm(Source::Typed, 1));
    net.world().name_servers.places.fill(ServerPlace::Silent);
    net.world().connect(PORT, 1);
    let closed =
        |net: &SimNet, _: &Reactor<SimNet>| net.world().network.connections[0].closed.is_some();
    let held = until(&net, &mut reactor, 2 * SECOND, closed);
    assert!(held >= SECOND, "{held:?}");
    pass(&net, &mut reactor, 60 * SECOND);
    net.world().name_servers.places.fill(ServerPlace::Up);
    let found = until(&net, &mut reactor, RETURN_MAX, knows(&[0]));
    assert!(found <= RETURN_MAX, "{found:?}");
    assert_eq!(served_by(&net, &mut reactor), 0);
}

#[test]
fn a_client_that_waits_is_served_as_soon_as_an_endpoint_is_known() {
    let mut world = World::named(10, Names::calm(INSECURE, 1));
    world.context.plan.limits.connect_timeout = 60 * SECOND;
    world.name_servers.places.fill(ServerPlace::Refuses);
    let net = SimNet::new(world);
    let mut reactor = start(&net);
    net.world().connect(PORT, 1);
    pass(&net, &mut reactor, 10 * SECOND);
    assert_eq!(reactor.census().pairs, 1, "it is held");
    net.world().name_servers.places.fill(ServerPlace::Up);
    until(&net, &mut reactor, RETURN_MAX, |_, reactor| reactor.metrics().pairs_connected == 1);
    assert_eq!(net.oracle().books.record.count(Seen::WaitedAndDialed), 1);
    assert_eq!(reactor.metrics().clients_waited, 1, "once, however often it was tried again");
    net.world().connect(PORT, 1);
    until(&net, &mut reactor, RETURN_MAX, |_, reactor| reactor.metrics().pairs_connected == 2);
    assert_eq!(reactor.metrics().clients_waited, 1, "the second one is dialed for at once");
}

#[test]
fn the_first_client_after_a_change_of_address_is_served() {
    let (net, mut reactor) = named(one_host(2));
    net.world().name_servers.zone.listed = vec![true, false];
    until(&net, &mut reactor, SECOND, knows(&[0]));
    let old = served_by(&net, &mut reactor);
    net.world().name_servers.zone.listed = vec![false, true];
    until(&net, &mut reactor, NEWS_MAX, knows(&[1]));
    assert_eq!((old, served_by(&net, &mut reactor)), (0, 1));
    assert_eq!(reactor.census().pairs, 2, "who is served by the old one stays");
    assert_eq!(reactor.metrics().dials.failed(), 0);
}

#[test]
fn a_change_of_records_keeps_the_health_of_those_who_stay() {
    let mut world = World::named(10, Names::calm(INSECURE, 3));
    world.context.plan.limits.retry.delay_min = 60 * SECOND;
    let net = SimNet::new(world);
    let mut reactor = start(&net);
    net.world().name_servers.zone.services[0].pop();
    until(&net, &mut reactor, SECOND, knows(&[0, 1]));
    refuse_one(&net, &mut reactor, 0);
    net.world().hosts.places.fill(Place::Up);
    assert_eq!(reactor.endpoints().active_count(), 1);
    net.world().name_servers.zone.services[0].push(Record { host: 2, priority: 0, weight: 1 });
    until(&net, &mut reactor, NEWS_MAX, knows(&[0, 1, 2]));
    assert_eq!(reactor.endpoints().active_count(), 2, "the refusal is not forgotten");
}

#[test]
fn forged_answers_are_passed_over() {
    let (net, mut reactor) = named(Names::calm(INSECURE, 2));
    net.world().context.faults.always(Fault::AnswerForged);
    // An address that only lies name would be nobody's.
    until(&net, &mut reactor, 4 * RETURN_MAX, knows(&[0, 1]));
    pass(&net, &mut reactor, 10 * SECOND);
    assert_eq!(known(&net, &reactor), BTreeSet::from([0, 1]));
}

#[test]
fn what_does_not_fit_a_datagram_comes_by_stream() {
    let (net, mut reactor) = named(one_host(3));
    net.world().context.faults.always(Fault::AnswerCut);
    until(&net, &mut reactor, 4 * RETURN_MAX, knows(&[0, 1, 2]));
    let seen = |what: Seen| net.oracle().books.record.count(what);
    assert!(seen(Seen::AnsweredByStream) > 0);
    assert_eq!(seen(Seen::Answered), 0);
}

#[test]
fn a_name_server_that_is_back_is_asked_within_five_seconds() {
    for place in [ServerPlace::Silent, ServerPlace::Refuses] {
        let (net, mut reactor) = named(one_host(2));
        net.world().name_servers.zone.listed[1] = false;
        until(&net, &mut reactor, SECOND, knows(&[0]));
        net.world().name_servers.places.fill(place);
        pass(&net, &mut reactor, 300 * SECOND);
        assert_eq!(known(&net, &reactor), BTreeSet::from([0]), "the last good answer stays");
        let questions = net.world().exchanges.all.len();
        assert!(questions < 1200, "{questions} in five minutes");
        net.world().name_servers.zone.listed[1] = true;
        net.world().name_servers.places.fill(ServerPlace::Up);
        until(&net, &mut reactor, RETURN_MAX, knows(&[0, 1]));
    }
}

#[test]
fn a_dial_to_an_endpoint_that_goes_moves_on() {
    let mut world = World::named(10, Names::calm(Source::Typed, 2));
    world.context.plan.limits.connect_timeout = 60 * SECOND;
    let net = SimNet::new(world);
    let mut reactor = start(&net);
    until(&net, &mut reactor, SECOND, knows(&[0, 1]));
    net.world().context.faults.always(Fault::DialSilent);
    net.world().connect(PORT, 1);
    let dialed = |net: &SimNet, _: &Reactor<SimNet>| !net.world().dials_to(0).is_empty();
    until(&net, &mut reactor, SECOND, dialed);
    net.world().context.faults.stop();
    net.world().name_servers.zone.listed[0] = false;
    until(&net, &mut reactor, NEWS_MAX, knows(&[1]));
    until(&net, &mut reactor, SECOND, |_, reactor| reactor.metrics().pairs_connected == 1);
    assert_eq!(net.world().dials_to(1).len(), 1);
    assert_eq!(reactor.metrics().dials.failed(), 0, "that is nobody's failure");
}

#[test]
fn an_endpoint_is_used_after_a_handshake_and_after_another_when_it_is_back() {
    let (net, mut reactor) = named(Names::calm(SECURE, 1));
    net.world().context.faults.always(Fault::HandshakeStalls);
    until(&net, &mut reactor, SECOND, knows(&[0]));
    net.world().connect(PORT, 1);
    let closed = |net: &SimNet, _: &Reactor<SimNet>| {
        let world = net.world();
        let mut clients = world.network.connections.iter().filter(|end| end.is_client());
        clients.all(|client| client.closed.is_some())
    };
    let held = until(&net, &mut reactor, 2 * SECOND, closed);
    assert!(held >= SECOND, "{held:?}");
    assert_eq!(reactor.metrics().dials.begun, 0, "no client was led there");
    net.world().context.faults.stop();
    let is_active = |_: &SimNet, reactor: &Reactor<SimNet>| reactor.endpoints().active_count() == 1;
    until(&net, &mut reactor, 100 * SECOND, is_active);
    let proofs = |net: &SimNet| net.oracle().books.record.count(Seen::HandshakeSucceeded);
    assert_eq!((proofs(&net), served_by(&net, &mut reactor)), (1, 0));
    refuse_one(&net, &mut reactor, 0);
    assert_eq!(reactor.endpoints().active_count(), 0);
    net.world().hosts.places.fill(Place::Up);
    until(&net, &mut reactor, 100 * SECOND, is_active);
    assert_eq!(proofs(&net), 2);
}

#[test]
fn who_shows_a_wrong_certificate_is_never_used() {
    let (net, mut reactor) = named(Names::calm(SECURE, 2));
    net.world().context.faults.always(Fault::HandshakeFails);
    until(&net, &mut reactor, SECOND, knows(&[0, 1]));
    for _ in 0..20 {
        net.world().connect(PORT, 1);
        pass(&net, &mut reactor, 2 * SECOND);
    }
    assert_eq!(reactor.metrics().dials.begun, 0);
    assert_eq!(reactor.census().pairs, 0);
}

#[test]
fn an_endpoint_is_not_blamed_for_a_session_that_cannot_begin() {
    let (net, mut reactor) = named(Names::calm(SECURE, 1));
    net.world().network.session_fails = Some(0);
    until(&net, &mut reactor, SECOND, knows(&[0]));
    pass(&net, &mut reactor, 60 * SECOND);
    let probes = &reactor.metrics().probes;
    assert!(probes.begun >= 2, "it is tried again: {probes:?}");
    assert_eq!((probes.failed(), reactor.census().probes), (probes.begun, 0), "at once");
    assert_eq!(net.world().dials_to(0).len(), 0, "for want of a session");
    net.world().network.session_fails = None;
    until(&net, &mut reactor, 10 * SECOND, |_, reactor| reactor.endpoints().active_count() == 1);
}

#[test]
fn nothing_is_asked_once_the_end_was_asked_for() {
    let (net, mut reactor) = named(Names::calm(INSECURE, 1));
    net.world().name_servers.places.fill(ServerPlace::Silent);
    pass(&net, &mut reactor, SECOND);
    assert!(reactor.census().exchanges > 0);
    net.world().terminate();
    reactor.run().expect("asked to end");
    reactor.drain().expect("an end");
    assert_eq!((reactor.census().exchanges, net.world().context.sockets_open), (0, 0));
}
