//! Everything outside of the reactor: virtual time, an agenda of what will happen, connections,
//! endpoints, and the readiness that is still to be told.
//!
//! Time stands still while the reactor works: it passes in [`World::poll`], and before the clock is
//! read after it. What peers do and how bytes travel is in `peers.rs`, what the reactor is told in
//! `readiness.rs`, what it may do in `operations.rs`, and what must hold in `oracle/`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use etcd_gateway::net::Event;

use crate::actor::Actor;
use crate::agenda::Happening;
use crate::connection::{Connection, Id, Role};
use crate::context::Context;
use crate::exchange::{Exchange, Letter};
use crate::faults::Fault;
use crate::handshake::Handshake;
use crate::name_server::ServerPlace;
use crate::names::Names;
use crate::oracle::{Oracle, PerTurn};
use crate::pipes::Pipe;
use crate::plan::{LISTENER_PORT, Plan};
use crate::random::Random;
use crate::wire::Wire;
use crate::zone::Zone;

/// How dials to an endpoint end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Up,
    Refuses,
    Silent,
    Unreachable,
    /// The gateway's own link is down.
    NoRoute,
}

#[derive(Debug, Default)]
pub struct Listener {
    pub token: usize,
    pub is_open: bool,
    /// How often it was opened.
    pub openings: u32,
    pub backlog: VecDeque<Id>,
    pub accepted: usize,
    /// The gateway was told that somebody waits, and has not seen an empty backlog since.
    pub is_told: bool,
    /// How often the gateway accepted here.
    pub accepts_in_turn: PerTurn,
    /// When accepting last blocked.
    pub blocked_at: Option<Duration>,
    /// Turns in which others were served while clients waited here, and the last such turn.
    pub passed_over: (u32, u64),
}

#[derive(Debug)]
pub struct World {
    pub context: Context,
    pub connections: Vec<Connection>,
    pub pipes: Vec<Pipe>,
    pub listeners: Vec<Listener>,
    pub places: Vec<Place>,
    pub oracle: Oracle,
    /// Connections with readiness to tell.
    pub news: Vec<Id>,
    pub listener_news: Vec<(usize, Duration)>,
    pub terminations_untold: usize,
    pub reloads_untold: usize,
    /// Sockets to name servers, and those of them with something to tell.
    pub exchanges: Vec<Exchange>,
    pub exchange_news: Vec<usize>,
    pub letters: Vec<Letter>,
    /// So many of them are lost if they are still under way.
    pub letters_lost: usize,
    pub servers: Vec<ServerPlace>,
    pub zone: Zone,
    /// Which resolv.conf there is now.
    pub configuration: usize,
    /// Which /etc/hosts there is now, and its text.
    pub hosts_version: u64,
    pub hosts_text: Vec<u8>,
    pub handshakes: Vec<Handshake>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let mut world = World::with_plan(random, plan);
        world.context.has_actors = true;
        if let Some(names) = &world.context.plan.names {
            world.zone =
                Zone::draw(names, world.context.plan.endpoints.len(), &mut world.context.random);
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

    fn with_plan(random: Random, plan: Plan) -> World {
        let zone = match &plan.names {
            Some(names) => Zone::full(names, plan.endpoints.len()),
            None => Zone::none(),
        };
        let hosts = plan.names.as_ref().map(|names| names.hosts_file(&plan.endpoints, 0));
        World {
            connections: Vec::new(),
            pipes: Vec::new(),
            listeners: Vec::new(),
            places: vec![Place::Up; plan.endpoints.len()],
            oracle: Oracle::new(&plan),
            news: Vec::new(),
            listener_news: Vec::new(),
            terminations_untold: 0,
            reloads_untold: 0,
            exchanges: Vec::new(),
            exchange_news: Vec::new(),
            letters: Vec::new(),
            letters_lost: 0,
            servers: vec![ServerPlace::Up; 3],
            zone,
            configuration: 0,
            hosts_version: 0,
            hosts_text: hosts.unwrap_or_default().into_bytes(),
            handshakes: Vec::new(),
            context: Context::new(random, plan),
        }
    }

    fn fill_agenda(&mut self) {
        let span = self.context.plan.span;
        for _ in 0..self.context.plan.clients {
            let listener = self.context.random.below(self.context.plan.listeners as u64) as usize;
            let at = self.context.random.up_to(span);
            self.context.plan_for(at, Happening::Arrive(listener));
        }
        for endpoint in 0..self.places.len() {
            self.plan_flap(endpoint);
        }
        if self.context.faults.strike(Fault::ClientBurst, &mut self.context.random) {
            let at = self.context.random.up_to(span);
            self.context.plan_for(at, Happening::Burst);
        }
        for at in self.context.plan.terminations.clone() {
            self.context.plan_for(at, Happening::Terminate);
        }
        if self.context.plan.names.is_some() {
            self.plan_zone_change();
            (0..self.servers.len()).for_each(|server| self.plan_server_flap(server));
        }
    }

    /// A flow of a kind of its own for each connection and direction.
    pub fn add(&mut self, role: Role, actor: Actor) -> Id {
        let id = self.connections.len();
        let stream = 2 * id as u64;
        let most = self.context.plan.queue_max;
        let mut queue = || (most / 16).max(self.context.random.one_to(most));
        let inbound = Wire::new(stream, queue(), queue());
        let outbound = Wire::new(stream + 1, queue(), queue());
        let mut connection = Connection::new(role, actor, inbound, outbound);
        connection.latency = self.context.random.up_to(self.context.plan.latency_max);
        connection.segment = self.context.random.one_of(self.context.plan.segments);
        self.connections.push(connection);
        id
    }

    pub fn listener_of(&self, port: u16) -> usize {
        usize::from(port - LISTENER_PORT)
    }

    /// Whose address it is; nobody but an endpoint is ever dialed.
    pub fn endpoint_of(&self, address: SocketAddr) -> usize {
        let endpoint = self.context.plan.endpoints.iter().position(|it| it.address == address);
        endpoint.unwrap_or_else(|| panic!("{address} is nobody's address"))
    }

    /// Waits as epoll_wait(2) does, and adds what there is to tell.
    pub fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) {
        self.check_before_wait(timeout);
        let deadline = timeout.map(|timeout| self.context.now + timeout);
        if self.context.has_actors {
            self.context.now += self.context.random.up_to(Duration::from_micros(20));
        }
        let is_early = self.context.strike(Fault::PollEarly);
        if self.context.strike(Fault::ClockJumps) {
            self.jump();
        }
        loop {
            self.let_happen();
            self.tell(events);
            let next = self.context.agenda.next_at();
            let is_over = deadline.is_some_and(|deadline| deadline <= self.context.now);
            if !events.is_empty() || is_over || is_early {
                break;
            }
            match (next, deadline) {
                (Some(at), deadline) => {
                    self.context.now = deadline.map_or(at, |deadline| deadline.min(at))
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
        self.oracle.turn_begins(!events.is_empty());
    }

    /// The gateway reads the clock.
    pub fn read_clock(&mut self) -> Instant {
        if self.context.strike(Fault::ClockLate) {
            self.context.now += self.context.random.up_to(Duration::from_millis(50));
            self.oracle.clock_jumped(self.context.now);
        }
        self.context.turn_at = self.context.now;
        self.oracle.clock_is_read(self.context.now);
        self.note_choices_of_the_starved();
        self.context.instant()
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
        self.oracle.clock_jumped(self.context.now);
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
        match happening {
            // Trouble that was planned for later does not come any more.
            Happening::Arrive(_) | Happening::Break(_) | Happening::Flap(_)
                if self.context.has_healed => {}
            Happening::Burst | Happening::Terminate if self.context.has_healed => {}
            Happening::ZoneChange | Happening::ServerFlap(_) if self.context.has_healed => {}
            Happening::Arrive(listener) => self.arrive(listener),
            Happening::Deliver(id, direction) => self.deliver(id, direction),
            Happening::Decide(id) => self.decide(id),
            Happening::Act(id) => self.act(id),
            Happening::Break(id) => self.break_off(id),
            Happening::Die(id, loss) => self.die(id, loss.error()),
            Happening::Reset(id) => self.reset_arrives(id),
            Happening::Report => {}
            Happening::Flap(endpoint) => self.flap(endpoint),
            Happening::Burst => {
                let count = self.context.random.one_of(&[20, 70, 150]);
                let listener =
                    self.context.random.below(self.context.plan.listeners as u64) as usize;
                (0..count).for_each(|_| self.arrive(listener));
            }
            Happening::Terminate => self.terminate(),
            Happening::Ask(exchange) => self.ask(exchange),
            Happening::Post(letter) => self.deliver_letter(letter),
            Happening::Stream(exchange) => self.stream_moves(exchange),
            Happening::Flight(id) => self.send_flight(id),
            Happening::ZoneChange => self.change_zone(),
            Happening::ServerFlap(server) => self.flap_server(server),
        }
    }

    /// The process is asked to end.
    pub fn terminate(&mut self) {
        self.context.note("terminate", 0, 0);
        self.terminations_untold += 1;
    }
}
