//! What must hold, whatever happens: checked at every operation, before every wait, after every
//! turn and at the end. Knows the rules from the project's promises, not from the reactor's code,
//! and keeps books of its own from what passes through the seam.
//!
//! - `pair.rs`: bytes, ends, resets, and when a pair may be given up
//! - `dial.rs`: which endpoint may be dialed when, and by whom, in rotation
//! - `endpoint.rs`: what is known of each endpoint
//! - `names.rs`: who may be asked what, and which endpoints there are by the answers
//! - `trouble.rs`: the same where a zone is dead, or a wildcard leads elsewhere
//! - `pipe.rs`: which flows are spliced, and through which pipes
//! - `wait.rs`: what must be done before the gateway may wait
//! - `end.rs`: what must be left when all is over

mod dial;
mod end;
mod endpoint;
mod names;
mod pair;
pub mod pipe;
mod trouble;
mod wait;

use std::time::Duration;

use etcd_gateway::config::ACCEPT_PAUSE;
use etcd_gateway::reactor::{Census, Reactor};

use crate::connection::{Connection, Id, Role};
use crate::faults::listed;
use crate::net::SimNet;
use crate::oracle::endpoint::Watch;
use crate::oracle::names::Names;
use crate::oracle::pipe::Supply;
use crate::plan::Plan;
use crate::world::World;

/// Timers are rounded up to a tick of the wheel.
const TICK: Duration = Duration::from_millis(1);
/// Polls without a wait, an event or any progress that are still no spin.
const IDLE_POLLS_MAX: u32 = 3;
/// More operations than any turn needs, even byte by byte.
const OPERATIONS_PER_TURN_MAX: u64 = 2_000_000;

listed! {
    /// What came of clients, endpoints, pipes: a search that never sees one of these is too weak.
    Seen {
        Completed,
        ResetPassedOn,
        BothLost,
        EndedHalfClosed,
        EndedOpen,
        EndedByDrain,
        ClientLostWhileDialed,
        EveryEndpointTried,
        NoEndpointToDial,
        StarvedForTooLong,
        StarvedAndServed,
        LastResortDial,
        LostBeforeTheLook,
        ProbeFailed,
        ProbeSucceeded,
        DialTimedOut,
        SecondChoice,
        OldFailureIgnored,
        FairnessChecked,
        BytesDelivered,
        EndInferred,
        Spliced,
        SplicedOutLater,
        BackToCopying,
        PipeOverfull,
        PipeFullOfSmallSegments,
        EndBeforeMark,
        CopiedForWantOfPipes,
        SpliceRefused,
        PipeMadeWay,
        PipeClosedWithBytes,
        SinkLostWithPipe,
        SourceLostWithPipe,
        SourceEndedWithPipe,
        LastingOptionsSet,
        Answered,
        AnsweredByStream,
        EndpointCame,
        EndpointWent,
        LastKnownKept,
        DialMovedOn,
        WaitedAndDialed,
        WaitedForTooLong,
        HandshakeSucceeded,
        HandshakeFailed,
        HostsReadInTurns,
        HostsReadAnew,
        CameBackIll,
        DeadAskedFor,
        WildcardBelieved,
        WildcardPassedOver,
    }
}

/// The books.
#[derive(Debug)]
pub struct Oracle {
    /// Operations of the gateway in this turn.
    operations: u64,
    /// Dials for clients, and probes.
    pub dials: u64,
    pub probes: u64,
    /// Clients closed unserved, and those of them for want of an endpoint.
    pub unserved: u64,
    pub turned_away: u64,
    /// Clients closed for nothing but the end of the drain, and those closed at it.
    pub cut: u64,
    pub cut_at_most: u64,
    /// Random numbers it asked for.
    pub randoms: u64,
    /// Clients that it holds, in the order of their coming.
    pub clients: Vec<Id>,
    /// Sockets of probes that it holds.
    pub probe_sockets: Vec<Id>,
    pub seen: [u64; Seen::ALL.len()],
    /// Polls so far.
    pub turns: u64,
    watches: Vec<Watch>,
    /// When the gateway last met a shortage of descriptors or memory; none once something became
    /// free since.
    short_at: Option<Duration>,
    /// Since when, and in which turn, it lets nobody in for such a reason.
    paused: Option<(Duration, u64)>,
    /// The last turn in which such a pause was over by itself, or may have been.
    pause_ended_in: u64,
    /// Until when there may or may not be one.
    pause_in_doubt_until: Duration,
    /// What the clock said last.
    clock_at: Duration,
    progress_before: u64,
    idle_polls: u32,
    had_events: bool,
    /// Every jump of the clock: when it was over.
    jumps: Vec<Duration>,
    /// How often the gateway was asked to end.
    pub terminations: usize,
    /// What the clock said in the turn that was first asked to, and which turn that was.
    drain: Option<(Duration, u64)>,
    pipes: Supply,
    /// What is known of names, where endpoints have some.
    names: Option<Names>,
}

impl Oracle {
    pub fn new(plan: &Plan) -> Oracle {
        Oracle {
            operations: 0,
            dials: 0,
            probes: 0,
            unserved: 0,
            turned_away: 0,
            cut: 0,
            cut_at_most: 0,
            randoms: 0,
            clients: Vec::new(),
            probe_sockets: Vec::new(),
            seen: [0; Seen::ALL.len()],
            turns: 0,
            watches: watches(plan),
            short_at: None,
            paused: None,
            pause_ended_in: 0,
            pause_in_doubt_until: Duration::ZERO,
            clock_at: Duration::ZERO,
            progress_before: 0,
            idle_polls: 0,
            had_events: false,
            jumps: Vec::new(),
            terminations: 0,
            drain: None,
            pipes: Supply::default(),
            names: plan.names.as_ref().map(Names::new),
        }
    }

    pub fn saw(&mut self, what: Seen) {
        self.seen[what as usize] += 1;
    }

    pub fn turn_begins(&mut self, has_events: bool) {
        self.turns += 1;
        self.operations = 0;
        self.had_events = has_events;
    }

    pub fn operation_begins(&mut self) {
        self.operations += 1;
        assert!(self.operations < OPERATIONS_PER_TURN_MAX, "a turn without end");
    }

    pub fn clock_jumped(&mut self, now: Duration) {
        self.jumps.push(now);
    }

    pub fn accepted(&mut self, id: Id) {
        self.clients.push(id);
    }

    /// It met a shortage; `is_unpaused`: in something that it does only while no pause is on.
    pub fn fell_short(&mut self, now: Duration, is_unpaused: bool) {
        self.short_at = Some(now);
        if self.is_paused(now) {
            return;
        }
        // In the turn that ends a pause this may still fall into it, and begin none.
        if !is_unpaused && (self.pause_ended_in == self.turns || now < self.pause_in_doubt_until) {
            self.pause_in_doubt_until = now + ACCEPT_PAUSE + TICK;
        } else {
            self.paused = Some((now, self.turns));
        }
    }

    /// The gateway has read the clock.
    pub fn clock_is_read(&mut self, now: Duration) {
        if self.terminations > 0 {
            self.drain.get_or_insert((now, self.turns));
        }
        self.watches.iter_mut().for_each(|watch| watch.forget(now));
        let before = std::mem::replace(&mut self.clock_at, now);
        if before < self.pause_in_doubt_until {
            self.pause_ended_in = self.turns;
        }
        if let Some((since, _)) = self.paused
            && !self.is_paused(now)
        {
            self.paused = None;
            self.pause_ended_in = self.turns;
            // Its timer fires at the next tick.
            self.pause_in_doubt_until = since + ACCEPT_PAUSE + TICK;
        }
    }

    /// Whether it is too soon after a shortage to try again.
    pub fn is_paused(&self, now: Duration) -> bool {
        // Asked to end, it lets in whoever waits, even if a shortage was met in that very turn.
        !self.is_last_round() && self.paused.is_some_and(|(since, _)| now < since + ACCEPT_PAUSE)
    }

    /// A pair or a probe is gone, and with it a descriptor free.
    fn pause_is_lifted(&mut self) {
        (self.short_at, self.paused) = (None, None);
    }

    /// Whether this turn was the first that was asked to end.
    fn is_last_round(&self) -> bool {
        self.drain.is_some_and(|(_, turn)| turn == self.turns)
    }
}

/// One for each endpoint: those whose address was typed are there from the start.
fn watches(plan: &Plan) -> Vec<Watch> {
    let specs = plan.endpoints.iter().enumerate();
    let is_typed = |index| {
        let names = plan.names.as_ref();
        names.is_none_or(|names| names.hosts[names.host_of(index)].is_literal)
    };
    specs.map(|(index, spec)| Watch::new(spec, is_typed(index), &plan.limits.retry)).collect()
}

/// Something that is counted anew in each turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerTurn {
    turn: u64,
    count: u64,
}

impl PerTurn {
    /// So much more of it, in this turn. Gives how much that makes.
    fn add(&mut self, turn: u64, more: u64) -> u64 {
        let before = if self.turn == turn { self.count } else { 0 };
        *self = PerTurn { turn, count: before + more };
        self.count
    }
}

impl World {
    /// The gateway's books against ours, between two turns.
    pub fn check_after_turn(&mut self, reactor: &Reactor<SimNet>) {
        let census = reactor.census();
        let Census { pairs, probes, timers, buffers, pipes, exchanges } = census;
        assert_eq!(pairs, self.oracle.clients.len(), "pairs and clients");
        assert_eq!(probes, self.oracle.probe_sockets.len(), "probes and their sockets");
        let flows_parked: usize = self.oracle.clients.iter().map(|id| self.flows_parked(*id)).sum();
        assert_eq!(buffers, flows_parked, "buffers and flows that hold bytes back");
        self.check_pipes(pipes);
        // Beside those of pairs and probes: one of the monitor for each endpoint, and one each for
        // accepting, unused pipes, a summary and the drain.
        let timers_max = pairs + probes + self.places.len() + 5;
        assert!(
            timers <= timers_max,
            "{timers} timers, at most {timers_max} are of use: {census:?}"
        );
        match self.context.plan.names {
            Some(_) => self.check_set(reactor),
            None => assert_eq!(exchanges, 0, "questions although no name was typed"),
        }
        for (_, endpoint) in reactor.endpoints().iter().filter(|(_, it)| !it.health().is_removed())
        {
            let is_active = endpoint.health().is_active();
            let watch = &self.oracle.watches[self.endpoint_of(endpoint.address())];
            assert_eq!(is_active, watch.is_active(), "{:?} and {watch:?}", endpoint.health());
        }
        self.check_pairs_of_endpoints(reactor);
    }

    /// How many pairs count on each endpoint.
    fn check_pairs_of_endpoints(&self, reactor: &Reactor<SimNet>) {
        let mut pairs = vec![0; self.places.len()];
        for id in &self.oracle.clients {
            let server = self.pair_of(*id).and_then(|(_, server)| server.role.endpoint());
            server.into_iter().for_each(|endpoint| pairs[endpoint] += 1);
        }
        let mut counted = vec![0; self.places.len()];
        for (_, it) in reactor.endpoints().iter() {
            counted[self.endpoint_of(it.address())] += it.pairs();
        }
        assert_eq!(counted, pairs, "pairs of each endpoint");
    }

    /// Flows of the client's pair that have read what they could not write yet, not into a pipe.
    fn flows_parked(&self, client: Id) -> usize {
        let Some((client, server)) = self.pair_of(client) else { return 0 };
        let parked = |source: &Connection, sink: &Connection| {
            let holds = !sink.told.lost && source.inbound.taken > sink.written;
            usize::from(holds && source.pipe.is_none())
        };
        parked(client, server) + parked(server, client)
    }

    /// Both connections of a pair whose server connection the gateway knows to stand.
    fn pair_of(&self, client: Id) -> Option<(&Connection, &Connection)> {
        let client = &self.connections[client];
        let server = &self.connections[client.client.server?];
        server.is_known.then_some((client, server))
    }

    /// The other connection of the pair.
    fn mate_of(&self, id: Id) -> Option<&Connection> {
        match self.connections[id].role {
            Role::Client => self.pair_of(id).map(|(_, server)| server),
            Role::Server { client, .. } => self.pair_of(client).map(|(client, _)| client),
            Role::Probe { .. } => None,
        }
    }
}
