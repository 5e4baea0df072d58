//! Health checks over time: what clients get from members of etcd that stop to serve and come back,
//! and what that costs a fleet.

use std::time::Duration;

use etcd_gateway::config::CHECKS_IDLE_AFTER;
use etcd_gateway::config::health::HealthCheckMode;
use etcd_gateway::reactor::Reactor;
use etcd_gateway::relay::ending::Cause;

use super::{PORT, SECOND, calm, pair, turn};
use crate::agenda::Happening;
use crate::connection::{Id, Role};
use crate::guests::Visited;
use crate::members::State;
use crate::net::SimNet;
use crate::run::start;
use crate::world::World;

/// A gateway before members of etcd, all of which are known to serve or not.
fn gateway(members: usize) -> (SimNet, Reactor<SimNet>) {
    let net = SimNet::new(World::checked(1, HealthCheckMode::Auto, members));
    let mut reactor = start(&net);
    pass(&net, &mut reactor, SECOND);
    (net, reactor)
}

/// Turns until so much time has passed.
fn pass(net: &SimNet, reactor: &mut Reactor<SimNet>, time: Duration) {
    let until = net.world().context.now + time;
    net.world().context.plan_for(until, Happening::Wake);
    while net.world().context.now < until {
        turn_checked(net, reactor);
    }
}

fn turn_checked(net: &SimNet, reactor: &mut Reactor<SimNet>) {
    turn(reactor);
    net.simulation().check_after_turn(reactor);
}

/// A client connects: its connection, that to the server, and which one that is.
fn served(net: &SimNet, reactor: &mut Reactor<SimNet>) -> (Id, Id, usize) {
    let client = net.world().network.connections.len();
    net.world().connect(PORT, 1);
    (0..3).for_each(|_| turn_checked(net, reactor));
    let Role::Server { endpoint, .. } = net.world().network.connections[client + 1].role else {
        panic!("a client is dialed for");
    };
    (client, client + 1, endpoint)
}

/// Clients that were closed as their endpoint fails.
fn left(reactor: &Reactor<SimNet>) -> u64 {
    reactor.metrics().endings.by(Cause::EndpointFailed)
}

/// Connections of clients at a member.
fn open_at(net: &SimNet, member: usize) -> usize {
    let world = net.world();
    let servers = world.network.connections.iter().filter(|one| one.is_open());
    servers.filter(|one| one.role.endpoint() == Some(member)).count()
}

/// Turns until `count` have been; how long that took.
fn time_until_left(net: &SimNet, reactor: &mut Reactor<SimNet>, count: u64) -> Duration {
    let since = net.world().context.now;
    while left(reactor) < count {
        turn_checked(net, reactor);
        assert!(net.world().context.now < since + 60 * SECOND, "they stay");
    }
    net.world().context.now - since
}

#[test]
fn a_client_that_waits_for_a_stopped_member_is_led_elsewhere_in_seconds() {
    let (net, mut reactor) = gateway(3);
    let (client, server, endpoint) = served(&net, &mut reactor);
    net.world().send(client, 100);
    turn_checked(&net, &mut reactor);
    net.world().send(server, 100);
    turn_checked(&net, &mut reactor);
    net.world().put(endpoint, State::IsFrozen);
    net.world().send(client, 100);
    let time = time_until_left(&net, &mut reactor, 1);
    // The silence, two answers that are waited for, and the time between them.
    assert!(time >= 2 * SECOND && time < 3 * SECOND, "{time:?}");
    for _ in 0..4 {
        assert_ne!(served(&net, &mut reactor).2, endpoint);
    }
}

#[test]
fn a_client_of_a_member_that_loses_its_leader_is_led_elsewhere_without_a_byte() {
    let (net, mut reactor) = gateway(3);
    let (_, _, endpoint) = served(&net, &mut reactor);
    net.world().put(endpoint, State::HasNoLeader);
    let time = time_until_left(&net, &mut reactor, 1);
    // An interval at the most, and a second answer.
    assert!(time < 6 * SECOND, "{time:?}");
}

#[test]
fn where_no_member_serves_clients_stay_and_new_ones_are_served() {
    let (net, mut reactor) = gateway(2);
    for _ in 0..4 {
        served(&net, &mut reactor);
    }
    // One is found out before the other, and left for that.
    (0..2).for_each(|endpoint| net.world().put(endpoint, State::HasNoLeader));
    pass(&net, &mut reactor, 20 * SECOND);
    let (at_first, found) = (open_at(&net, 0), left(&reactor));
    assert!(found == 2 && at_first % 2 == 0, "{found} left, {at_first} at the first");
    let last = usize::from(at_first == 0);
    for _ in 0..4 {
        served(&net, &mut reactor);
    }
    assert_eq!((reactor.census().pairs, left(&reactor)), (6, found));
    net.world().put(1 - last, State::Serves);
    let count = open_at(&net, last) as u64;
    let time = time_until_left(&net, &mut reactor, found + count);
    assert!(time < 3 * SECOND, "asked more often while no member serves: {time:?}");
    pass(&net, &mut reactor, 20 * SECOND);
    assert_eq!((open_at(&net, last), left(&reactor)), (0, found + count));
    assert_eq!(reactor.census().pairs as u64, 6 - count);
}

#[test]
fn a_learner_gets_clients_once_it_is_promoted() {
    let net = SimNet::new(World::checked(1, HealthCheckMode::Etcd, 2));
    net.world().put(0, State::IsLearner);
    let mut reactor = start(&net);
    pass(&net, &mut reactor, SECOND);
    for _ in 0..4 {
        assert_eq!(served(&net, &mut reactor).2, 1);
    }
    net.world().put(0, State::Serves);
    pass(&net, &mut reactor, 7 * SECOND);
    let endpoints = [(); 4].map(|()| served(&net, &mut reactor).2);
    assert!(endpoints.contains(&0), "{endpoints:?}");
    assert_eq!(left(&reactor), 0);
}

#[test]
fn no_member_is_asked_without_clients_and_the_next_client_makes_all_be_asked() {
    let (net, mut reactor) = gateway(3);
    pass(&net, &mut reactor, CHECKS_IDLE_AFTER + 6 * SECOND);
    let asked = net.world().visits.requests.len();
    pass(&net, &mut reactor, 600 * SECOND);
    assert_eq!(net.world().visits.requests.len(), asked, "no client is there");
    served(&net, &mut reactor);
    pass(&net, &mut reactor, SECOND / 100);
    assert_eq!(asked_since(&net, asked), [0, 1, 2]);
}

#[test]
fn members_are_asked_without_clients_for_as_long_as_someone_asks_the_admin_side() {
    let mut world = World::checked(1, HealthCheckMode::Auto, 3);
    world.context.plan.visited = Some(Visited::calm());
    let net = SimNet::new(world);
    let mut reactor = start(&net);
    pass(&net, &mut reactor, CHECKS_IDLE_AFTER + 6 * SECOND);
    let asked = net.world().visits.requests.len();
    pass(&net, &mut reactor, 600 * SECOND);
    assert_eq!(net.world().visits.requests.len(), asked, "it is of use to none");
    look(&net);
    pass(&net, &mut reactor, SECOND / 100);
    assert_eq!(asked_since(&net, asked), [0, 1, 2]);
    for _ in 0..4 {
        let asked = net.world().visits.requests.len();
        pass(&net, &mut reactor, CHECKS_IDLE_AFTER / 2);
        assert!(asked_since(&net, asked).len() > 3, "they are asked on");
        look(&net);
    }
    let failed = reactor.metrics().checks.failed;
    (0..3).for_each(|member| net.world().put(member, State::IsFrozen));
    pass(&net, &mut reactor, CHECKS_IDLE_AFTER / 2);
    assert!(reactor.metrics().checks.failed > failed, "their failure is found out");
}

/// Asks the admin side.
fn look(net: &SimNet) {
    let World { context, guests, .. } = &mut *net.world();
    guests.come_in_peace(context);
}

/// The members whose checks began behind the first `asked`, in order.
fn asked_since(net: &SimNet, asked: usize) -> Vec<usize> {
    let world = net.world();
    let mut anew: Vec<usize> =
        world.visits.requests[asked..].iter().map(|(_, endpoint)| *endpoint).collect();
    anew.sort();
    anew
}

#[test]
fn a_request_over_a_connection_that_is_closed_just_then_is_repeated_and_not_counted() {
    let (net, mut reactor) = gateway(1);
    net.world().put(0, State::IsFrozen);
    let asked = net.world().visits.requests.len();
    while net.world().visits.requests.len() == asked {
        turn_checked(&net, &mut reactor);
    }
    {
        let mut world = net.world();
        let kept = world.visits.all.len() - 1;
        world.put(0, State::Serves);
        let World { context, visits, .. } = &mut *world;
        visits.hang_up(context, kept);
    }
    pass(&net, &mut reactor, SECOND / 2);
    let checks = reactor.metrics().checks;
    assert_eq!((checks.failed, checks.in_flight()), (0, 0));
    assert_eq!(net.world().visits.requests.len() as u64, checks.begun + 1, "once more");
}

#[test]
fn an_endpoint_that_is_not_checked_and_silent_is_reported_once_for_each_time() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    for (silent_for, reports) in [(1, 0), (72, 1), (200, 2)] {
        net.world().send(client, 10);
        pass(&net, &mut reactor, silent_for * SECOND);
        assert_eq!(reactor.metrics().silences, reports, "silent for {silent_for} s");
        net.world().send(server, 10);
        pass(&net, &mut reactor, 200 * SECOND);
        assert_eq!(reactor.metrics().silences, reports, "answered after {silent_for} s");
    }
}

/// Requests of a fleet of 1,000 gateways, to one member: those of each second.
struct Load {
    seconds: Vec<u32>,
}

impl Load {
    /// A few gateways are lived through, each of which stands for others like it. `live` makes its
    /// clients do something, once a second: it gets the second, the gateway and the clients.
    fn of_fleet(member: usize, mut live: impl FnMut(&SimNet, usize, usize, &[Id])) -> Load {
        let mut load = Load { seconds: vec![0; SECONDS + APART] };
        for seed in 0..LIVED {
            let net = SimNet::new(World::checked(seed, HealthCheckMode::Auto, 3));
            let mut reactor = start(&net);
            pass(&net, &mut reactor, SECOND);
            let clients = [(); 3].map(|()| served(&net, &mut reactor).0);
            // Since when a gateway runs, and its clients are there, is a matter of chance.
            pass(&net, &mut reactor, Duration::from_millis(seed * 5000 / LIVED));
            let age = seed as usize * APART / LIVED as usize;
            let start = net.world().context.now;
            for second in 0..SECONDS + age {
                // The last second of all of them is the same.
                live(&net, second + APART - age, seed as usize, &clients);
                pass(&net, &mut reactor, SECOND);
            }
            for (at, endpoint) in &net.world().visits.requests {
                if *endpoint == member && *at >= start {
                    let second = (*at - start).as_secs() as usize + APART - age;
                    load.seconds[second.min(SECONDS + APART - 1)] += (FLEET / LIVED) as u32;
                }
            }
        }
        load
    }

    fn mean(&self, seconds: std::ops::Range<usize>) -> f64 {
        let part = &self.seconds[seconds];
        f64::from(part.iter().sum::<u32>()) / part.len() as f64
    }

    fn most(&self, from: usize) -> u32 {
        self.seconds[from..].iter().copied().max().unwrap_or_default()
    }
}

const FLEET: u64 = 1000;
/// Those of them that are lived through.
const LIVED: u64 = 100;
/// The seconds over which they begin, and for how long all of them run.
const APART: usize = 300;
const SECONDS: usize = 600;
/// When the last one has run for long enough to be like the others.
const SETTLED: usize = APART + 300;

/// Each client sends something now and then that needs no answer, such as room for more bytes.
fn send_now_and_then(net: &SimNet, second: usize, gateway: usize, clients: &[Id]) {
    for (index, client) in clients.iter().enumerate() {
        let is_open = net.world().network.connections[*client].is_open();
        if is_open && (second + gateway) % 3 == index {
            net.world().send(*client, 13);
        }
    }
}

#[test]
fn a_fleet_at_rest_asks_each_member_250_times_a_second_at_most() {
    let quiet = Load::of_fleet(1, |_, _, _, _| {});
    let mean = quiet.mean(SETTLED..SECONDS + APART);
    assert!((150.0..=250.0).contains(&mean), "{mean}");
    assert!(quiet.most(SETTLED) <= 750, "{}", quiet.most(SETTLED));
    let busy = Load::of_fleet(1, send_now_and_then);
    let mean = busy.mean(SETTLED..SECONDS + APART);
    println!("at rest {mean}, most {}", busy.most(0));
    assert!(mean <= 250.0, "bytes without an answer are asked about without end: {mean}");
    assert!(busy.most(0) <= 750, "{}", busy.most(0));
}

#[test]
fn the_fall_of_a_member_makes_no_storm_of_checks() {
    for (member, state) in [(1, State::HasNoLeader), (1, State::IsFrozen), (2, State::IsFrozen)] {
        let load = Load::of_fleet(member, |net, second, gateway, clients| {
            if second == SETTLED {
                net.world().put(1, state);
            }
            send_now_and_then(net, second, gateway, clients);
        });
        println!("{member} {state:?} {:?}", &load.seconds[SETTLED - 5..SETTLED + 40]);
        assert!(load.most(0) <= 750, "{member} {state:?}: {}", load.most(0));
        let mean = load.mean(SETTLED + 60..SECONDS + APART);
        assert!(mean <= 250.0, "{member} {state:?}: {mean}");
    }
}
