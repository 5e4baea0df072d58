//! What every part of the world may use: virtual time, chance, faults, the plan of the run, the
//! agenda and the trace. Holds no part, and no part reaches another one through it.

use std::time::{Duration, Instant};

use crate::agenda::{Agenda, Happening};
use crate::faults::{Fault, Faults};
use crate::plan::Plan;
use crate::random::Random;
use crate::search::asked_for;
use crate::trace::{Entry, Trace};

/// Entries of the trace that are printed for a run that failed.
const TRACE_DEFAULT: usize = 40;

/// Each end of a pipe is one.
pub const DESCRIPTORS_PER_PIPE: usize = 2;

#[derive(Debug)]
pub struct Context {
    pub now: Duration,
    /// The present as the gateway knows it: the clock as it last read it.
    pub turn_at: Duration,
    /// How far the clock went on within this turn.
    pub crept: Duration,
    /// Polls so far.
    pub turns: u64,
    /// Every jump of the clock: when it was over.
    pub jumps: Vec<Duration>,
    /// The zero of the virtual clock.
    epoch: Instant,
    pub random: Random,
    pub plan: Plan,
    pub faults: Faults,
    pub agenda: Agenda,
    pub trace: Trace,
    /// Sockets that the gateway holds.
    pub sockets_open: usize,
    /// Pipes that the gateway holds.
    pub pipes_open: usize,
    /// Operations so far that had an effect.
    pub progress: u64,
    /// Programs act by themselves; otherwise a test plays them.
    pub has_actors: bool,
    /// Faults are over.
    pub has_healed: bool,
    /// A poll is to return, so that a test goes on.
    pub is_woken: bool,
}

impl Context {
    pub fn new(random: Random, plan: Plan) -> Context {
        let entries_max = asked_for("TRACE").map_or(TRACE_DEFAULT, |count| count as usize);
        Context {
            now: Duration::ZERO,
            turn_at: Duration::ZERO,
            crept: Duration::ZERO,
            turns: 0,
            jumps: Vec::new(),
            epoch: Instant::now(),
            random,
            faults: plan.faults.clone(),
            plan,
            agenda: Agenda::default(),
            trace: Trace::new(entries_max),
            sockets_open: 0,
            pipes_open: 0,
            progress: 0,
            has_actors: false,
            has_healed: false,
            is_woken: false,
        }
    }

    /// The present as the gateway knows it.
    pub fn instant(&self) -> Instant {
        self.epoch + self.turn_at
    }

    /// The present as it is.
    pub fn true_instant(&self) -> Instant {
        self.epoch + self.now
    }

    pub fn note(&mut self, what: &'static str, subject: usize, value: u64) {
        self.trace.push(Entry { at: self.now, what, subject, value });
    }

    /// The clock goes on by more than the gateway could expect.
    pub fn note_jump(&mut self) {
        self.jumps.push(self.now);
    }

    /// Notes an operation of the gateway that brought something about.
    pub fn advance(&mut self, what: &'static str, subject: usize, value: u64) {
        self.progress += 1;
        self.note(what, subject, value);
    }

    pub fn strike(&mut self, fault: Fault) -> bool {
        self.faults.strike(fault, &mut self.random)
    }

    pub fn plan_for(&mut self, at: Duration, happening: Happening) {
        self.agenda.plan(at, happening);
    }

    pub fn plan_in(&mut self, delay: Duration, happening: Happening) {
        self.plan_for(self.now + delay, happening);
    }

    /// How long the report of a change is delayed.
    pub fn lateness(&mut self) -> Duration {
        if !self.strike(Fault::EventLate) {
            return Duration::ZERO;
        }
        let most = self.random.one_of(&[1, 1, 30]);
        let lateness = self.random.up_to(Duration::from_millis(most));
        self.plan_in(lateness, Happening::Report);
        lateness
    }

    /// How long a message travels to a name server, or back.
    pub fn name_latency(&mut self) -> Duration {
        let most = self.plan.latency_max;
        self.random.up_to(most)
    }

    /// Whether the gateway has a descriptor left.
    pub fn has_descriptor(&self) -> bool {
        self.descriptors() < self.plan.descriptors_max
    }

    /// Descriptors that the gateway holds, those of listeners not counted.
    pub fn descriptors(&self) -> usize {
        self.sockets_open + DESCRIPTORS_PER_PIPE * self.pipes_open
    }
}
