//! The loop. Moves facts between sockets and decisions, decides nothing itself.
//!
//! A turn, in this order, with one clock read after the poll: events (listeners last), expired
//! timers, accepting, ready pairs, reaping. An event only notes what it says and puts its pair
//! into the ready queue, so a pair is pumped once a turn however many events it had. A pair that
//! spent its budget with work left is in the queue of the next turn, which then does not wait.
//!
//! A pair or probe that is over is only marked in a handler; `reap.rs` gives up its slot and
//! sockets at the end of the turn. Two sockets go earlier: that of a failed dial (`dial.rs`), and
//! the listeners when the process is asked to end (`drain.rs`).

mod accept;
mod adopt;
mod dial;
mod drain;
mod files;
mod listen;
mod listen_names;
mod pipes;
mod probe;
mod pump;
mod reap;
mod report;
mod resolve;
mod start;
pub mod token;
pub mod wheel;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;

pub use self::listen_names::{ListenNameError, Listeners};
pub use self::start::{Limits, StartError};

use self::accept::{Acceptor, Admission};
use self::drain::Life;
use self::pipes::Pipes;
use self::probe::Probe;
use self::pump::Held;
use self::resolve::Finder;
use self::token::{Generation, Token};
use self::wheel::{TimerKey, Wheel};
use crate::config::ENDPOINTS_MAX;
use crate::net::{Event, Net, NetError, Readiness};
use crate::observe::events::Event as LogEvent;
use crate::observe::journal::Journal;
use crate::observe::metrics::Metrics;
use crate::relay::buffer::Pool;
use crate::relay::step::{Ready, Side};
use crate::relay::{Pair, Phase};
use crate::upstream::{EndpointId, EndpointSet};

/// The loop and everything it keeps.
pub struct Reactor<N: Net> {
    net: N,
    limits: Limits,
    /// The time of this turn.
    now: Instant,
    life: Life,
    acceptors: Vec<Acceptor<N::Listener>>,
    /// Where the next round of accepting begins, so that no listener starves behind another.
    acceptor_next: usize,
    admission: Admission,
    /// Pairs whose dial waits for a descriptor or memory of ours.
    starved: Vec<usize>,
    /// Pairs that no endpoint was left for, but may be soon; of some the wait is over already.
    waiting: Vec<(usize, Generation)>,
    /// Something has changed that they wait for.
    recheck_waiting: bool,
    slots: Slab<Slot<N>>,
    /// The generation that was given out last.
    generation: Generation,
    endpoints: EndpointSet,
    finder: Finder<N>,
    probes: Slab<Probe<N>>,
    /// Endpoints whose next probe is planned, each once, and its timer.
    probes_planned: Vec<(EndpointId, TimerKey)>,
    wheel: Wheel<Timer>,
    /// Pairs to pump in this turn, or in the next once this turn's were taken.
    ready: Vec<usize>,
    doomed: Vec<usize>,
    probes_over: Vec<usize>,
    events: Vec<Event>,
    scratch: Box<[u8]>,
    buffers: Pool,
    pipes: Pipes<N::Pipe>,
    journal: Journal,
    journal_timer_armed: bool,
    metrics: Metrics,
}

/// A pair and what it holds of the outside world.
struct Slot<N: Net> {
    pair: Pair,
    /// Of the client's and of the server's socket; each dial has its own.
    generations: [Generation; 2],
    client: N::Stream,
    server: Option<N::Stream>,
    /// Bytes that a flow, named by its source, could not write yet.
    held: [Held<N::Pipe>; 2],
    timer: Option<TimerKey>,
    /// Whom the server connection leads to, once it stands.
    endpoint: Option<EndpointId>,
    client_address: SocketAddr,
    accepted_at: Instant,
    queued: bool,
    doomed: bool,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// The pair's next deadline, or an earlier one that was not cancelled.
    Pair { slot: usize, generation: Generation },
    /// An inactive endpoint is due for a probe.
    Monitor(EndpointId),
    /// A probe took too long.
    Probe { slot: usize, generation: Generation },
    /// Accepting may be tried again.
    Accept,
    /// Pipes that no flow has wanted for a while are to be closed.
    SparePipes,
    /// A name is to be looked up again, or a name server was silent for too long.
    Finder,
    /// Lines that the journal has kept are due.
    Journal,
    /// Draining took too long.
    Drain,
    /// Names to listen on took too long.
    Listen,
}

/// What the reactor holds at present; all zero when nothing is open and nothing waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Pairs.
    pub pairs: usize,
    /// Dials of the monitor.
    pub probes: usize,
    /// Timers that are armed: of pairs, probes, the monitor, unused pipes and summaries.
    pub timers: usize,
    /// Buffers that hold bytes of a flow.
    pub buffers: usize,
    /// Pipes that do.
    pub pipes: usize,
    /// Sockets of the resolver.
    pub exchanges: usize,
}

impl<N: Net> Reactor<N> {
    /// Bytes of book-keeping for one pair: its slot, its timer, its places in two queues.
    pub const PAIR_BYTES: usize =
        size_of::<Slot<N>>() + Wheel::<Timer>::TIMER_BYTES + 2 * size_of::<usize>();

    /// Serves until the process is asked to end; then [`Reactor::drain`] is to be called.
    ///
    /// # Errors
    /// When readiness itself fails: the process cannot go on.
    pub fn run(&mut self) -> Result<(), NetError> {
        while self.life == Life::Running {
            self.turn()?;
        }
        Ok(())
    }

    /// Goes on until the running pairs have ended or the drain timeout is over.
    ///
    /// # Errors
    /// As for [`Reactor::run`].
    pub fn drain(&mut self) -> Result<(), NetError> {
        while self.life != Life::Over {
            self.turn()?;
        }
        Ok(())
    }

    /// What happened so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What it holds now.
    pub fn census(&self) -> Census {
        Census {
            pairs: self.slots.len(),
            probes: self.probes.len(),
            timers: self.wheel.len(),
            buffers: self.buffers.lent(),
            pipes: self.pipes.lent(),
            exchanges: self.finder.sockets(),
        }
    }

    /// The endpoints and what is known of them.
    pub fn endpoints(&self) -> &EndpointSet {
        &self.endpoints
    }

    /// One pass: waits for something to happen, and deals with it.
    ///
    /// # Errors
    /// As for [`Reactor::run`].
    pub fn turn(&mut self) -> Result<(), NetError> {
        let timeout = self.poll_timeout();
        let mut events = std::mem::take(&mut self.events);
        let polled = self.net.poll(timeout, &mut events);
        self.now = self.net.now();
        for event in events.drain(..) {
            self.on_event(event);
        }
        self.events = events;
        polled?;
        self.expire_timers();
        self.accept();
        self.pump_ready();
        self.watch_spare_pipes();
        self.attend_finder();
        self.dial_waiting();
        self.reap();
        self.end_if_drained();
        self.check_invariants();
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let is_stirred = self.finder.is_stirred() && self.is_running();
        let is_busy = !self.ready.is_empty() || self.could_accept() || is_stirred;
        if is_busy || self.life == Life::Over {
            return Some(Duration::ZERO);
        }
        let deadline = self.wheel.next_deadline()?;
        Some(deadline.saturating_duration_since(self.now))
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Terminate => self.on_terminate(),
            Event::Reload => self.log(LogEvent::RELOAD_IGNORED),
            Event::Socket(word, readiness) => match Token::unpack(word) {
                Token::Listener(index) => self.on_listener_event(index),
                Token::Pair { slot, side, generation } => {
                    self.on_pair_event(slot, side, generation, readiness);
                }
                Token::Probe { slot, generation } => {
                    self.on_probe_event(slot, generation, readiness);
                }
                Token::Exchange { slot, generation } => {
                    self.on_exchange_event(slot, generation, readiness);
                }
            },
        }
    }

    fn on_pair_event(&mut self, key: usize, side: Side, of: Generation, readiness: Readiness) {
        let slot = self.slots.get_mut(key);
        let Some(slot) = slot.filter(|slot| slot.generations[side.index()] == of) else {
            self.metrics.events_stale += 1;
            return;
        };
        if side == Side::Server && matches!(slot.pair.phase(), Phase::Dialing(_)) {
            self.on_dial_event(key, readiness);
        }
        let Some(slot) = self.slots.get_mut(key) else { return };
        // The dial may have gone on to another endpoint, whose socket the event says nothing of.
        if slot.generations[side.index()] == of {
            let Readiness { readable, writable, urgent, closed, error } = readiness;
            let news = Ready { readable, writable, urgent, closed, error };
            slot.pair.on_ready(side, news, self.now);
            self.enqueue(key);
        }
    }

    fn expire_timers(&mut self) {
        while let Some((_, timer)) = self.wheel.expire(self.now) {
            match timer {
                Timer::Pair { slot, generation } => self.on_pair_timer(slot, generation),
                Timer::Monitor(endpoint) => self.probe(endpoint),
                Timer::Probe { slot, generation } => self.on_probe_timeout(slot, generation),
                Timer::Accept => self.resume_accepting(),
                Timer::Finder => self.on_finder_timer(),
                Timer::SparePipes => self.on_spare_pipes_timer(),
                Timer::Journal => self.on_journal_timer(),
                Timer::Drain => self.end_all_pairs(),
                // It has ended the wait, and the clock says the rest.
                Timer::Listen => {}
            }
        }
    }

    fn on_pair_timer(&mut self, key: usize, generation: Generation) {
        let slot = self.slots.get_mut(key);
        let Some(slot) = slot.filter(|slot| slot.generations[0] == generation) else {
            debug_assert!(false, "a timer outlived its pair");
            return;
        };
        slot.timer = None;
        if matches!(slot.pair.phase(), Phase::Dialing(_)) {
            self.on_dial_timer(key);
        }
        // What has arrived in time is pumped first; only then is the clock looked at.
        self.enqueue(key);
    }

    /// Puts the pair into the queue of pairs to pump.
    fn enqueue(&mut self, key: usize) {
        let slot = &mut self.slots[key];
        if !slot.queued {
            slot.queued = true;
            self.ready.push(key);
        }
    }

    /// Brings timer and reaping in line with what the pair now wants. To be called after every
    /// change of a pair.
    fn settle(&mut self, key: usize) {
        let slot = &mut self.slots[key];
        if slot.pair.ending().is_some() && !slot.doomed {
            slot.doomed = true;
            self.doomed.push(key);
        }
        let wanted = slot.pair.next_deadline(&self.limits.pair);
        let generation = slot.generations[0];
        self.wheel.fit(&mut slot.timer, wanted, Timer::Pair { slot: key, generation });
    }

    fn next_generation(&mut self) -> Generation {
        self.generation = self.generation.next();
        self.generation
    }

    /// What must hold between two turns; cheap enough for every one of them.
    fn check_invariants(&self) {
        debug_assert!(self.slots.len() <= self.limits.connections_max, "more pairs than allowed");
        debug_assert!(self.doomed.is_empty() && self.probes_over.is_empty(), "not reaped");
        let held = self.buffers.lent() + self.pipes.lent();
        debug_assert!(held <= 2 * self.slots.len(), "buffers or pipes without a pair");
        debug_assert!(self.pipes.lent() <= self.limits.pipes_max, "more pipes than allowed");
        debug_assert!(self.probes.len() <= ENDPOINTS_MAX, "two probes of one endpoint");
        debug_assert!(self.probes_planned.len() <= ENDPOINTS_MAX, "one endpoint planned twice");
    }
}
