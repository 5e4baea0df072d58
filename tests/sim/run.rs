//! One run, from its seed to its end.
//!
//! It lets things go wrong for a while. Then either the process is asked to end, or all faults stop
//! and everything has to become live again: who is there comes to an end, every endpoint is active,
//! new clients are served at the first attempt, and at last nothing is held any more.

use std::thread;
use std::time::Duration;

use etcd_gateway::discovery::Sources;
use etcd_gateway::reactor::{Census, Reactor};

use crate::actor::Actor;
use crate::net::SimNet;
use crate::plan::LISTENER_PORT;
use crate::report::Report;
use crate::world::World;

/// Turns after which things have gone wrong for long enough.
const TURNS_OF_TROUBLE: u64 = 20_000;
/// More turns than any run needs: one that takes them does not come to an end.
const TURNS_MAX: u64 = 300_000;

struct Run {
    net: SimNet,
    reactor: Reactor<SimNet>,
}

/// Lives through one seed.
pub fn run(seed: u64) -> Report {
    let mut witness = Witness { seed, net: None };
    let net = SimNet::new(World::new(seed));
    witness.net = Some(net.clone());
    let mut run = Run { reactor: start(&net), net };
    run.live();
    run.report()
}

/// Tells how to repeat a run that fails, and what happened last.
struct Witness {
    seed: u64,
    net: Option<SimNet>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        // Not there while the world is being made, or is still held by what failed.
        if let Some(world) = self.net.as_ref().and_then(SimNet::try_world) {
            let plan = &world.plan;
            eprintln!("{}", world.trace.tail());
            eprintln!("in thousandths: {}", plan.faults);
            eprintln!("limits: {:?}", plan.limits);
            eprintln!("endpoints: {:?}", plan.endpoints);
        }
        eprintln!("to repeat it: SEED={} cargo test --test sim", self.seed);
    }
}

/// A gateway before that world.
pub fn start(net: &SimNet) -> Reactor<SimNet> {
    let plan = net.world().plan.clone();
    let listen: Vec<_> = (0..plan.listeners)
        .map(|index| ([127, 0, 0, 1], LISTENER_PORT + index as u16).into())
        .collect();
    let sources = Sources { endpoints: plan.typed(), ..Sources::default() };
    Reactor::start(net.clone(), plan.limits, &listen, sources).expect("nothing in the way")
}

impl Run {
    fn live(&mut self) {
        let span = self.net.world().plan.span;
        self.turn_until(2 * span, |run| run.net.world().oracle.turns > TURNS_OF_TROUBLE);
        if !self.is_asked_to_end() {
            self.recover();
            self.net.world().terminate();
            self.turn_until(Duration::from_secs(1), Run::is_asked_to_end);
        }
        self.come_to_an_end();
    }

    /// Turns until the condition holds, the process was asked to end, or so much time has passed.
    fn turn_until(&mut self, span: Duration, condition: impl Fn(&Run) -> bool) -> bool {
        let until = self.net.world().now + span;
        loop {
            if condition(self) {
                return true;
            }
            if self.net.world().now >= until || self.is_asked_to_end() {
                return false;
            }
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.reactor.turn().expect("the world does not break");
        let mut world = self.net.world();
        world.check_after_turn(&self.reactor);
        assert!(world.oracle.turns < TURNS_MAX, "it does not come to an end");
    }

    /// No more faults: everything has to become live again.
    fn recover(&mut self) {
        let (retry_max, connect_timeout) = {
            let mut world = self.net.world();
            world.heal();
            let retry = world.plan.limits.retry;
            (retry.delay_max.max(retry.delay_min), world.plan.limits.connect_timeout)
        };
        let patience = Duration::from_secs(60);
        let is_over = self.turn_until(patience, |run| run.is_idle());
        assert!(is_over, "clients are left: {:?}", self.reactor.census());
        let span = retry_max + 2 * connect_timeout + Duration::from_secs(1);
        let count = self.reactor.endpoints().count();
        let is_back = |run: &Run| run.reactor.endpoints().active_count() == count;
        let all_back = self.turn_until(span, is_back);
        assert!(all_back, "not every endpoint is back");
        self.serve_everyone();
        let is_empty = |run: &Run| run.reactor.census() == Census::default();
        let all_gone = self.turn_until(span, is_empty);
        assert!(all_gone, "still held: {:?}", self.reactor.census());
    }

    /// New clients: each is served at the first attempt, and gets all it is sent.
    fn serve_everyone(&mut self) {
        let before = self.reactor.metrics().clone();
        let count = 2 * self.reactor.endpoints().count() as u64;
        for index in 0..count {
            let mut world = self.net.world();
            let listener = index as usize % world.plan.listeners;
            world.arrive_as(listener, Actor::plain_client(100));
        }
        let is_over = self.turn_until(Duration::from_secs(60), |run| run.is_idle());
        assert!(is_over, "new clients are not served: {:?}", self.reactor.census());
        let after = self.reactor.metrics();
        assert_eq!(after.pairs_connected - before.pairs_connected, count, "not all were served");
        assert_eq!(after.dials - before.dials, count, "not at the first attempt");
        let completed = after.pairs_completed - before.pairs_completed;
        assert_eq!(completed, count, "not all got what they were sent");
    }

    fn is_asked_to_end(&self) -> bool {
        self.net.world().oracle.terminations > 0
    }

    fn is_idle(&self) -> bool {
        let world = self.net.world();
        let is_waited_for = world.listeners.iter().any(|listener| !listener.backlog.is_empty());
        !is_waited_for && self.reactor.census().pairs == 0
    }

    /// The process was asked to end.
    fn come_to_an_end(&mut self) {
        while self.reactor.census().pairs > 0 {
            self.turn();
        }
        let turns = self.net.world().oracle.turns;
        self.reactor.drain().expect("the world does not break");
        let mut world = self.net.world();
        assert!(world.oracle.turns <= turns + 1, "it waits although nobody is left");
        world.settle();
        world.check_end(&self.reactor);
    }

    fn report(&self) -> Report {
        let world = self.net.world();
        let metrics = self.reactor.metrics();
        Report {
            runs: 1,
            trace: world.trace.hash(),
            turns: world.oracle.turns,
            clients: metrics.clients_accepted,
            bytes: metrics.client_bytes + metrics.server_bytes,
            struck: world.faults.struck.to_vec(),
            seen: world.oracle.seen.to_vec(),
        }
    }
}
