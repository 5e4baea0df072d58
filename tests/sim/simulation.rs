//! A world, and the oracle that watches what the gateway does in it. Owns their order: the oracle
//! is asked whether the gateway may do something, the world does it, the oracle notes the outcome.
//! The operations of the gateway are in `operations.rs`.

use std::time::{Duration, Instant};

use etcd_gateway::net::Event;
use etcd_gateway::reactor::Reactor;

use crate::net::SimNet;
use crate::oracle::{Hosting, Oracle};
use crate::world::World;

#[derive(Debug)]
pub struct Simulation {
    pub world: World,
    pub oracle: Oracle,
}

impl Simulation {
    pub fn new(world: World) -> Simulation {
        // No line is written, but the gateway keeps those that it would, and has timers for them.
        log::set_max_level(log::LevelFilter::Trace);
        let oracle = Oracle::new(&world.context.plan);
        Simulation { world, oracle }
    }

    /// The gateway waits.
    pub fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) {
        self.oracle.check_before_wait(&self.world, timeout);
        self.world.poll(timeout, events);
        self.oracle.books.record.turn_begins(!events.is_empty());
    }

    /// The gateway reads the clock.
    pub fn read_clock(&mut self) -> Instant {
        self.world.read_clock();
        self.oracle.clock_is_read(&self.world);
        self.world.context.instant()
    }

    /// The gateway reads the clock within a turn.
    pub fn glance_at_clock(&mut self) -> Instant {
        self.world.glance_at_clock();
        Hosting::of(&mut self.oracle).clock_is_glanced_at(&self.world);
        self.world.context.true_instant()
    }

    /// The gateway asks for a random number.
    pub fn draw(&mut self) -> u64 {
        self.oracle.books.record.randoms += 1;
        let context = &mut self.world.context;
        // A test without chance gets the longest delays.
        let plan = &context.plan;
        let is_drawn = context.has_actors || plan.names.is_some() || plan.checked.is_some();
        if is_drawn { context.random.bits() } else { u64::MAX }
    }

    /// The gateway's books against those of the oracle, between two turns.
    pub fn check_after_turn(&mut self, reactor: &Reactor<SimNet>) {
        let changes = self.oracle.check_after_turn(&self.world, reactor);
        for (what, endpoint) in changes {
            self.world.context.note(what, endpoint, 0);
        }
    }

    /// The gateway has come to its end.
    pub fn check_end(&mut self, reactor: &Reactor<SimNet>) {
        self.oracle.check_end(&self.world, reactor);
    }
}
