//! Everything outside of the reactor, in parts that know nothing of each other: connections,
//! listeners, pipes, hosts, sockets to name servers, those servers, files and signals.
//!
//! Owns the agenda loop and its dispatch, and what concerns two parts at once (`crossings.rs`).
//! Time does not pass while the reactor works: it passes in [`World::poll`], and before the clock
//! is read after it. What must hold is not a matter of the world's, but of `oracle/`.

use std::time::Duration;

use etcd_gateway::address::Address;
use etcd_gateway::config::SILENCE_MIN;
use etcd_gateway::config::health::HealthCheckMode;
use etcd_gateway::net::{Event, Readiness, Signal};

use crate::agenda::Happening;
use crate::cluster::Cluster;
use crate::context::Context;
use crate::exchange::Exchanges;
use crate::faults::Fault;
use crate::guests::Guests;
use crate::hosts::Hosts;
use crate::lines::Lines;
use crate::listeners::Listeners;
use crate::members::{Checked, Members};
use crate::name_server::NameServers;
use crate::names::Names;
use crate::network::Network;
use crate::pipes::Pipes;
use crate::plan::{LISTENER_PORT, Plan};
use crate::random::Random;
use crate::resolver_files::ResolverFiles;
use crate::signals::Signals;
use crate::visits::Visits;
use crate::zone::Zone;

/// An event that reports bytes, or a client.
pub const READABLE: Readiness =
    Readiness { readable: true, writable: false, urgent: false, closed: false, error: false };

/// Tokens that no socket ever had: every bit set, and the same of the kind that is numbered 0.
const TOKENS_UNUSED: [usize; 2] = [usize::MAX, usize::MAX << 3];

#[derive(Debug)]
pub struct World {
    pub context: Context,
    pub network: Network,
    pub listeners: Listeners,
    pub pipes: Pipes,
    pub hosts: Hosts,
    pub exchanges: Exchanges,
    pub name_servers: NameServers,
    pub files: ResolverFiles,
    pub signals: Signals,
    pub members: Members,
    pub visits: Visits,
    pub cluster: Cluster,
    pub lines: Lines,
    pub guests: Guests,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let mut world = World::with_plan(random, plan);
        let World { context, name_servers, .. } = &mut world;
        context.has_actors = true;
        if let Some(names) = &context.plan.names {
            let endpoints = context.plan.endpoints.len();
            name_servers.zone = Zone::draw(names, endpoints, &mut context.random);
        }
        world.fill_agenda();
        world
    }

    /// A world in which nothing happens unless a test makes it.
    pub fn calm(connections_max: usize, servers: usize) -> World {
        World::with_plan(Random::new(0), Plan::calm(connections_max, servers))
    }

    /// The same with names.
    pub fn named(connections_max: usize, names: Names) -> World {
        let mut plan = Plan::calm(connections_max, 0);
        plan.endpoints = names.specs_calm();
        plan.names = Some(names);
        World::with_plan(Random::new(0), plan)
    }

    /// The same, and the endpoints are members of etcd that are checked.
    pub fn checked(seed: u64, mode: HealthCheckMode, servers: usize) -> World {
        let mut plan = Plan::calm(100, servers);
        plan.checked = Some(Checked::calm(mode, servers));
        plan.limits.first_look = SILENCE_MIN;
        World::with_plan(Random::new(seed), plan)
    }

    fn with_plan(random: Random, plan: Plan) -> World {
        // By a source of its own, so that other runs stay what they are.
        let cluster = Cluster::new(plan.followed.as_ref(), &mut random.fork());
        World {
            network: Network::default(),
            listeners: Listeners::default(),
            pipes: Pipes::default(),
            hosts: Hosts::new(plan.endpoints.len()),
            exchanges: Exchanges::default(),
            name_servers: NameServers::new(&plan),
            files: ResolverFiles::new(&plan),
            signals: Signals::default(),
            members: Members::new(plan.checked.as_ref()),
            visits: Visits::default(),
            cluster,
            lines: Lines::default(),
            guests: Guests::new(plan.visited.as_ref()),
            context: Context::new(random, plan),
        }
    }

    fn fill_agenda(&mut self) {
        let World { context, hosts, name_servers, members, cluster, guests, .. } = self;
        let span = context.plan.span;
        for _ in 0..context.plan.clients {
            let listener = context.random.below(context.plan.listeners as u64) as usize;
            let at = context.random.up_to(span);
            context.plan_for(at, Happening::Arrive(listener));
        }
        (0..hosts.places.len()).for_each(|endpoint| hosts.plan_flap(context, endpoint));
        (0..members.all.len()).for_each(|endpoint| members.plan_change(context, endpoint));
        cluster.plan_change(context);
        if context.strike(Fault::ClientBurst) {
            let at = context.random.up_to(span);
            context.plan_for(at, Happening::Burst);
        }
        for at in context.plan.terminations.clone() {
            context.plan_for(at, Happening::Terminate);
        }
        if context.plan.names.is_some() {
            name_servers.plan_zone_change(context);
            let servers = 0..name_servers.places.len();
            servers.for_each(|server| name_servers.plan_flap(context, server));
        }
        guests.plan(context);
    }

    pub fn listener_of(&self, port: u16) -> usize {
        usize::from(port - LISTENER_PORT)
    }

    /// The endpoint with that address; no other host is ever dialed, name servers apart.
    pub fn endpoint_of(&self, address: &Address) -> usize {
        let mut endpoints = self.context.plan.endpoints.iter();
        let endpoint = endpoints.position(|endpoint| endpoint.address == *address);
        endpoint.unwrap_or_else(|| panic!("no host has the address {address}"))
    }

    /// Waits as epoll_wait(2) does, and adds what there is to report.
    pub fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) {
        // From the beginning of the turn: of the time that passed since, the gateway knows nothing.
        let crept = std::mem::take(&mut self.context.crept);
        let deadline = timeout.map(|timeout| self.context.now + timeout - crept.min(timeout));
        if self.context.has_actors {
            self.context.now += self.context.random.up_to(Duration::from_micros(20));
        }
        let is_early = self.context.strike(Fault::PollEarly);
        if self.context.strike(Fault::ClockJumps) {
            self.jump();
        }
        loop {
            self.let_happen();
            self.report(events);
            let next = self.context.agenda.next_at();
            let now = self.context.now;
            let is_over = deadline.is_some_and(|deadline| deadline <= now);
            let is_woken = std::mem::take(&mut self.context.is_woken);
            if !events.is_empty() || is_over || is_early || is_woken {
                break;
            }
            match (next, deadline) {
                (Some(at), deadline) => {
                    self.context.now = deadline.map_or(at, |deadline| deadline.min(at));
                }
                (None, Some(deadline)) => self.context.now = deadline,
                // Nothing will ever happen. The wait ends early, as one may, so that the test goes
                // on.
                (None, None) => {
                    self.context.now += Duration::from_secs(1);
                    break;
                }
            }
        }
        self.context.turns += 1;
    }

    /// The gateway reads the clock.
    pub fn read_clock(&mut self) {
        if self.context.strike(Fault::ClockLate) {
            self.context.now += self.context.random.up_to(Duration::from_millis(50));
            self.context.note_jump();
        }
        self.context.turn_at = self.context.now;
    }

    /// The gateway reads the clock within a turn: how long what it did has taken.
    pub fn glance_at_clock(&mut self) {
        if self.context.strike(Fault::ClockCreeps) {
            let most = self.context.random.one_of(&[1, 30, 300]);
            let step = self.context.random.up_to(Duration::from_micros(most));
            self.context.now += step;
            self.context.crept += step;
        }
    }

    /// The process is stopped for a while: everybody else goes on.
    fn jump(&mut self) {
        let most = self.context.random.one_of(&[1, 20, 500, 3000, 60_000]);
        let until = self.context.now + self.context.random.up_to(Duration::from_millis(most));
        self.context.note("jump", 0, until.as_nanos() as u64);
        while let Some(at) = self.context.agenda.next_at().filter(|at| *at <= until) {
            self.context.now = self.context.now.max(at);
            self.let_happen();
        }
        self.context.now = self.context.now.max(until);
        self.context.note_jump();
    }

    fn let_happen(&mut self) {
        while let Some(happening) = self.context.agenda.take_due(self.context.now) {
            self.happen(happening);
        }
    }

    /// Lets everything arrive that is still under way, once the gateway has come to its end.
    pub fn settle(&mut self) {
        self.heal();
        while let Some(at) = self.context.agenda.next_at() {
            self.context.now = self.context.now.max(at);
            self.let_happen();
        }
    }

    fn happen(&mut self, happening: Happening) {
        let has_healed = self.context.has_healed;
        let World { context, network, hosts, name_servers, members, visits, guests, .. } = self;
        match happening {
            // Trouble that was planned for later no longer comes.
            Happening::Arrive(_) | Happening::Break(_) | Happening::Flap(_) if has_healed => {}
            Happening::Burst | Happening::Terminate if has_healed => {}
            Happening::ZoneChange | Happening::ServerFlap(_) if has_healed => {}
            Happening::MemberChange(_) | Happening::Hang(_) if has_healed => {}
            Happening::ClusterChange | Happening::LineHang(_) if has_healed => {}
            Happening::Arrive(listener) => self.arrive(listener),
            Happening::Deliver(id, direction) => network.deliver(context, id, direction),
            Happening::Decide(id) => {
                let endpoint = network.connections[id].role.endpoint();
                let place = hosts.places[endpoint.expect("a client is not dialed")];
                network.decide(context, id, place);
            }
            Happening::Act(id) => match network.connections[id].role.endpoint() {
                Some(endpoint) if members.is_frozen(endpoint) => network.put_off(id),
                _ => network.act(context, id),
            },
            Happening::Break(id) => network.break_off(context, id),
            Happening::Die(id, loss) => network.die(context, id, loss.error()),
            Happening::Reset(id) => network.reset_arrives(context, id),
            Happening::Report => {}
            Happening::Wake => context.is_woken = true,
            Happening::Flap(endpoint) => {
                let outage = hosts.flap(context, endpoint);
                network.lose_endpoint(context, endpoint, outage);
                visits.lose_endpoint(context, endpoint, outage);
                self.lines.lose_endpoint(context, endpoint, outage);
            }
            Happening::Burst => self.burst(),
            Happening::Terminate => self.ask_to_end(),
            Happening::Guest(deed) => guests.happen(context, deed),
            Happening::Ask(exchange) => {
                name_servers.ask(context, &self.exchanges.all, exchange);
            }
            Happening::Post(letter) => {
                if let Some(letter) = name_servers.take_letter(context, letter) {
                    self.exchanges.deliver(context, letter);
                }
            }
            Happening::Stream(exchange) => self.stream_moves(exchange),
            Happening::Visit(visit) => self.visit_moves(visit),
            Happening::Asked(visit) => visits.asked(context, members, visit),
            Happening::Hang(visit) => visits.hang_up(context, visit),
            Happening::MemberChange(endpoint) => {
                let was_frozen = members.is_frozen(endpoint);
                members.change(context, endpoint);
                if was_frozen {
                    self.thaw(endpoint);
                }
            }
            Happening::Flight(id) => network.send_flight(context, id),
            Happening::Line(_) | Happening::LineAsked(_) | Happening::News(_) => {
                self.happen_at_cluster(happening);
            }
            Happening::LineHang(_) | Happening::ClusterChange | Happening::Replicate(_) => {
                self.happen_at_cluster(happening);
            }
            Happening::ZoneChange => name_servers.change_zone(context),
            Happening::ServerFlap(server) => {
                name_servers.plan_flap(context, server);
                self.files.flap_configuration(context);
                name_servers.flap(context, server);
            }
        }
    }

    /// Hands out what there is to report.
    fn report(&mut self, events: &mut Vec<Event>) {
        let World {
            context, network, listeners, exchanges, signals, visits, lines, guests, ..
        } = self;
        let most = if context.strike(Fault::PollFew) { 1 } else { usize::MAX };
        listeners.report(context, events, most);
        network.report(context, events, most);
        exchanges.report(context, events, most);
        visits.report(context, events, most);
        lines.report(context, events, most);
        guests.report(context, events, most);
        signals.report(context, events);
        if !events.is_empty() && !network.connections.is_empty() {
            self.report_nonsense(events);
        }
    }

    /// Hints without a cause, and events for sockets that are gone or never were.
    fn report_nonsense(&mut self, events: &mut Vec<Event>) {
        let World { context, network, listeners, exchanges, visits, lines, guests, .. } = self;
        let id = context.random.below(network.connections.len() as u64) as usize;
        let writable = Readiness { writable: true, ..Readiness::default() };
        let both = Readiness { writable: true, ..READABLE };
        let hint = context.random.one_of(&[READABLE, writable, both]);
        network.hint(context, id, hint, events);
        let listener = context.random.below(listeners.all.len() as u64) as usize;
        listeners.hint(context, listener, events);
        exchanges.hint(context, both, events);
        visits.hint(context, both, events);
        lines.hint(context, both, events);
        guests.hint(context, both, events);
        // Asked for what it does not have, it goes on.
        if context.strike(Fault::EventHint) {
            events.push(Event::Signal(Signal::HangUp));
        }
        if context.strike(Fault::EventStale) {
            let lie = Readiness { closed: true, error: true, ..hint };
            let connection = &network.connections[id];
            let closed = connection.token.filter(|_| connection.closed.is_some());
            let listener = &listeners.all[listener];
            let gone = Some(listener.token).filter(|_| !listener.is_open);
            let [one, other] = TOKENS_UNUSED.map(Some);
            let tokens: Vec<usize> = [closed, gone, one, other].into_iter().flatten().collect();
            let token = context.random.one_of(&tokens);
            events.push(Event::Socket(token, lie));
        }
    }
}
