//! Everything outside of the reactor: virtual time, an agenda of what will happen, connections,
//! endpoints, and the readiness that is still to be told.
//!
//! Time stands still while the reactor works: it passes in [`World::poll`], and before the clock is
//! read after it. What peers do and how bytes travel is in `peers.rs`, what the reactor is told in
//! `readiness.rs`, what it may do in `operations.rs`, and what must hold in `oracle/`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use etcd_gateway::net::{Event, NetError};

use crate::actor::Actor;
use crate::connection::{Connection, Id, Role};
use crate::exchange::{Exchange, Letter};
use crate::faults::{Fault, Faults};
use crate::handshake::Handshake;
use crate::name_server::ServerPlace;
use crate::names::Names;
use crate::oracle::{Oracle, PerTurn};
use crate::pipes::Pipe;
use crate::plan::{LISTENER_PORT, Plan};
use crate::random::Random;
use crate::search::asked_for;
use crate::trace::{Entry, Trace};
use crate::wire::Wire;
use crate::zone::Zone;

/// How much of what happened last is told of a run that failed.
const TRACE_DEFAULT: usize = 40;

/// Which wire of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// Something that is going to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A client connects to a listener.
    Arrive(usize),
    /// Bytes or an end arrive at the other end of a wire.
    Deliver(Id, Direction),
    /// A dial is decided.
    Decide(Id),
    /// The peer's program acts.
    Act(Id),
    /// The peer resets the connection, or is silent from now on.
    Break(Id),
    /// The connection is lost at the gateway's end: the peer reset it, or the kernel gave it up.
    Die(Id, Loss),
    /// The gateway's reset arrives at the peer.
    Reset(Id),
    /// Readiness that was held back can be told.
    Tell,
    /// An endpoint changes its state.
    Flap(usize),
    /// Many clients come.
    Burst,
    /// A question arrives at its name server.
    Ask(usize),
    /// A message arrives from a name server, or from somebody who pretends to be one.
    Post(usize),
    /// A dial to a name server is decided, or bytes arrive from there.
    Stream(usize),
    /// The next part of a handshake.
    Flight(Id),
    /// What name servers say changes.
    ZoneChange,
    /// A name server changes its state.
    ServerFlap(usize),
    /// The process is asked to end.
    Terminate,
}

/// Why a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    Reset,
    TimedOut,
    Unreachable,
    Other,
}

impl Loss {
    pub fn error(self) -> NetError {
        match self {
            Loss::Reset => NetError::Reset,
            Loss::TimedOut => NetError::TimedOut,
            Loss::Unreachable => NetError::HostUnreachable,
            Loss::Other => NetError::Other(71),
        }
    }
}

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
    pub now: Duration,
    /// What the gateway takes for the present: the clock as it last read it.
    pub turn_at: Duration,
    /// The zero of the virtual clock.
    epoch: Instant,
    pub random: Random,
    pub plan: Plan,
    pub faults: Faults,
    pub connections: Vec<Connection>,
    pub pipes: Vec<Pipe>,
    pub listeners: Vec<Listener>,
    pub places: Vec<Place>,
    pub oracle: Oracle,
    pub trace: Trace,
    /// Sockets that the gateway holds.
    pub open: usize,
    /// Programs act by themselves, or a test plays them.
    pub has_actors: bool,
    /// Nothing goes wrong any more.
    pub has_healed: bool,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    agenda_next: u64,
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
        world.has_actors = true;
        if let Some(names) = &world.plan.names {
            world.zone = Zone::draw(names, world.plan.endpoints.len(), &mut world.random);
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
        let entries_max = asked_for("TRACE").map_or(TRACE_DEFAULT, |count| count as usize);
        World {
            now: Duration::ZERO,
            turn_at: Duration::ZERO,
            epoch: Instant::now(),
            random,
            faults: plan.faults.clone(),
            connections: Vec::new(),
            pipes: Vec::new(),
            listeners: Vec::new(),
            places: vec![Place::Up; plan.endpoints.len()],
            oracle: Oracle::new(&plan),
            trace: Trace::new(entries_max),
            open: 0,
            has_actors: false,
            has_healed: false,
            agenda: BinaryHeap::new(),
            agenda_next: 0,
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
            plan,
        }
    }

    fn fill_agenda(&mut self) {
        let span = self.plan.span;
        for _ in 0..self.plan.clients {
            let listener = self.random.below(self.plan.listeners as u64) as usize;
            let at = self.random.up_to(span);
            self.plan_for(at, Happening::Arrive(listener));
        }
        for endpoint in 0..self.places.len() {
            self.plan_flap(endpoint);
        }
        if self.faults.strike(Fault::ClientBurst, &mut self.random) {
            let at = self.random.up_to(span);
            self.plan_for(at, Happening::Burst);
        }
        for at in self.plan.terminations.clone() {
            self.plan_for(at, Happening::Terminate);
        }
        if self.plan.names.is_some() {
            self.plan_zone_change();
            (0..self.servers.len()).for_each(|server| self.plan_server_flap(server));
        }
    }

    pub fn instant(&self) -> Instant {
        self.epoch + self.turn_at
    }

    pub fn note(&mut self, what: &'static str, whom: usize, value: u64) {
        self.trace.push(Entry { at: self.now, what, whom, value });
    }

    pub fn strike(&mut self, fault: Fault) -> bool {
        self.faults.strike(fault, &mut self.random)
    }

    pub fn plan_for(&mut self, at: Duration, happening: Happening) {
        self.agenda_next += 1;
        self.agenda.push(Reverse((at, self.agenda_next, happening)));
    }

    pub fn plan_in(&mut self, delay: Duration, happening: Happening) {
        self.plan_for(self.now + delay, happening);
    }

    /// A flow of a kind of its own for each connection and direction.
    pub fn add(&mut self, role: Role, actor: Actor) -> Id {
        let id = self.connections.len();
        let stream = 2 * id as u64;
        let most = self.plan.queue_max;
        let mut queue = || (most / 16).max(self.random.one_to(most));
        let inbound = Wire::new(stream, queue(), queue());
        let outbound = Wire::new(stream + 1, queue(), queue());
        let mut connection = Connection::new(role, actor, inbound, outbound);
        connection.latency = self.random.up_to(self.plan.latency_max);
        connection.segment = self.random.one_of(self.plan.segments);
        self.connections.push(connection);
        id
    }

    pub fn listener_of(&self, port: u16) -> usize {
        usize::from(port - LISTENER_PORT)
    }

    /// Whose address it is; nobody but an endpoint is ever dialed.
    pub fn endpoint_of(&self, address: SocketAddr) -> usize {
        let endpoint = self.plan.endpoints.iter().position(|it| it.address == address);
        endpoint.unwrap_or_else(|| panic!("{address} is nobody's address"))
    }

    /// Whether the gateway has a descriptor left.
    pub fn has_descriptor(&self) -> bool {
        self.descriptors() < self.plan.descriptors_max
    }

    /// Waits as epoll_wait(2) does, and adds what there is to tell.
    pub fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) {
        self.check_before_wait(timeout);
        let deadline = timeout.map(|timeout| self.now + timeout);
        if self.has_actors {
            self.now += self.random.up_to(Duration::from_micros(20));
        }
        let is_early = self.strike(Fault::PollEarly);
        if self.strike(Fault::ClockJumps) {
            self.jump();
        }
        loop {
            self.let_happen();
            self.tell(events);
            let next = self.agenda.peek().map(|Reverse((at, ..))| *at);
            let is_over = deadline.is_some_and(|deadline| deadline <= self.now);
            if !events.is_empty() || is_over || is_early {
                break;
            }
            match (next, deadline) {
                (Some(at), deadline) => self.now = deadline.map_or(at, |deadline| deadline.min(at)),
                (None, Some(deadline)) => self.now = deadline,
                // Nothing will ever happen. The wait ends early, as one may, so that the test goes
                // on.
                (None, None) => {
                    self.now += Duration::from_secs(1);
                    break;
                }
            }
        }
        self.oracle.turn_begins(!events.is_empty());
    }

    /// The gateway reads the clock.
    pub fn read_clock(&mut self) -> Instant {
        if self.strike(Fault::ClockLate) {
            self.now += self.random.up_to(Duration::from_millis(50));
            self.oracle.clock_jumped(self.now);
        }
        self.turn_at = self.now;
        self.oracle.clock_is_read(self.now);
        self.note_choices_of_the_starved();
        self.instant()
    }

    /// The process is stopped for a while: everybody else goes on.
    fn jump(&mut self) {
        let most = self.random.one_of(&[1, 20, 500, 3000, 60_000]);
        let until = self.now + self.random.up_to(Duration::from_millis(most));
        self.note("jump", 0, until.as_nanos() as u64);
        while let Some(Reverse((at, ..))) = self.agenda.peek()
            && *at <= until
        {
            self.now = self.now.max(*at);
            self.let_happen();
        }
        self.now = self.now.max(until);
        self.oracle.clock_jumped(self.now);
    }

    fn let_happen(&mut self) {
        while let Some(Reverse((at, _, happening))) = self.agenda.peek()
            && *at <= self.now
        {
            let happening = *happening;
            self.agenda.pop();
            self.happen(happening);
        }
    }

    /// Lets everything arrive that is still under way, once the gateway has come to its end.
    pub fn settle(&mut self) {
        self.heal();
        while let Some(Reverse((at, ..))) = self.agenda.peek() {
            self.now = self.now.max(*at);
            self.let_happen();
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            // Trouble that was planned for later does not come any more.
            Happening::Arrive(_) | Happening::Break(_) | Happening::Flap(_) if self.has_healed => {}
            Happening::Burst | Happening::Terminate if self.has_healed => {}
            Happening::ZoneChange | Happening::ServerFlap(_) if self.has_healed => {}
            Happening::Arrive(listener) => self.arrive(listener),
            Happening::Deliver(id, direction) => self.deliver(id, direction),
            Happening::Decide(id) => self.decide(id),
            Happening::Act(id) => self.act(id),
            Happening::Break(id) => self.break_off(id),
            Happening::Die(id, loss) => self.die(id, loss.error()),
            Happening::Reset(id) => self.reset_arrives(id),
            Happening::Tell => {}
            Happening::Flap(endpoint) => self.flap(endpoint),
            Happening::Burst => {
                let count = self.random.one_of(&[20, 70, 150]);
                let listener = self.random.below(self.plan.listeners as u64) as usize;
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
        self.note("terminate", 0, 0);
        self.terminations_untold += 1;
    }
}
