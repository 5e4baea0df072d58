//! One run, from its seed to its end.
//!
//! It lets things go wrong for a while. Then either the process is asked to end, or all faults stop
//! and everything has to become live again: who is there comes to an end, every endpoint is active,
//! new clients are served at the first attempt, and at last nothing is held.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use etcd_gateway::config::{
    DNS_RETRY_PARTIAL, REGISTRY_ANSWER_TIME, REGISTRY_PAUSE_MAX, REGISTRY_RANGE_INTERVAL,
    SRV_HANDOVER,
};
use etcd_gateway::reactor::{Census, Reactor, StartError, Views};

use crate::actor::Actor;
use crate::followed;
use crate::guests::DOOR_PORT;
use crate::handshake::SimConnector;
use crate::names::Source;
use crate::net::SimNet;
use crate::plan::LISTENER_PORT;
use crate::report::Report;
use crate::world::World;

/// Turns after which things have gone wrong for long enough.
const TURNS_OF_TROUBLE: u64 = 20_000;
/// More turns than any run needs: one that takes them does not come to an end.
const TURNS_MAX: u64 = 300_000;

/// Until the longest time limit of guests is over, and how many turns that may take.
const TIME_OF_GUESTS: Duration = Duration::from_secs(40);
const TURNS_OF_GUESTS: u64 = 5000;

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
            let plan = &world.context.plan;
            eprintln!("{}", world.context.trace.tail());
            eprintln!("in thousandths: {}", plan.faults);
            eprintln!("limits: {:?}", plan.limits);
            eprintln!("endpoints: {:?}", plan.endpoints);
            eprintln!("names: {:?}", plan.names);
            eprintln!("etcd: {:?}", plan.followed);
        }
        eprintln!("to repeat it: SEED={} cargo test --test sim", self.seed);
    }
}

/// A gateway before that world.
pub fn start(net: &SimNet) -> Reactor<SimNet> {
    try_start(net).expect("nothing in the way")
}

/// The same where something may be in the way.
pub fn try_start(net: &SimNet) -> Result<Reactor<SimNet>, StartError> {
    let plan = net.world().context.plan.clone();
    let listen: Vec<_> = (0..plan.listeners)
        .map(|index| ([127, 0, 0, 1], LISTENER_PORT + index as u16).into())
        .collect();
    let connector = Rc::new(SimConnector(net.clone()));
    let doors = plan.visited.as_ref().map_or(0, |visited| visited.doors);
    let doors: Vec<_> =
        (0..doors).map(|door| ([127, 0, 0, 1], DOOR_PORT + door as u16).into()).collect();
    let views = Views { admin: &doors, ..Views::default() };
    Reactor::start(net.clone(), plan.limits, &listen, views, plan.sources(), Some(connector))
}

impl Run {
    fn live(&mut self) {
        let span = self.net.world().context.plan.span;
        self.turn_until(2 * span, |run| run.net.world().context.turns > TURNS_OF_TROUBLE);
        let visited = self.net.world().context.plan.visited.clone();
        if visited.is_some_and(|visited| visited.takes_time) {
            self.turn_until(TIME_OF_GUESTS, |run| {
                run.net.world().context.turns > TURNS_OF_TROUBLE + TURNS_OF_GUESTS
            });
        }
        if !self.is_asked_to_end() {
            self.recover();
            self.net.world().terminate();
            self.turn_until(Duration::from_secs(1), Run::is_asked_to_end);
        }
        self.come_to_an_end();
    }

    /// Turns until the condition holds, the process was asked to end, or so much time has passed.
    fn turn_until(&mut self, span: Duration, condition: impl Fn(&Run) -> bool) -> bool {
        let until = self.net.world().context.now + span;
        loop {
            if condition(self) {
                return true;
            }
            if self.net.world().context.now >= until || self.is_asked_to_end() {
                return false;
            }
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.reactor.turn().expect("the world does not break");
        let mut simulation = self.net.simulation();
        simulation.check_after_turn(&self.reactor);
        assert!(simulation.world.context.turns < TURNS_MAX, "it does not come to an end");
    }

    /// No more faults: everything has to become live again.
    fn recover(&mut self) {
        let (retry_max, connect_timeout) = {
            let mut world = self.net.world();
            world.heal();
            world.visit();
            let retry = world.context.plan.limits.retry;
            (retry.delay_max.max(retry.delay_min), world.context.plan.limits.connect_timeout)
        };
        let patience = Duration::from_secs(60);
        self.find_everyone();
        self.follow_etcd();
        let is_over = self.turn_until(patience, |run| run.is_idle());
        assert!(is_over, "clients are left: {:?}", self.reactor.census());
        let span = retry_max + 2 * connect_timeout + Duration::from_secs(1);
        self.settle_checks();
        let count = self.reactor.endpoints().count();
        let is_back = |run: &Run| run.reactor.endpoints().active_count() == count;
        let all_back = self.turn_until(span, is_back);
        assert!(all_back, "not every endpoint is back");
        self.serve_everyone();
        let is_empty = Run::holds_nothing;
        let all_gone = self.turn_until(span, is_empty);
        assert!(all_gone, "still held: {:?}", self.reactor.census());
    }

    /// The set of endpoints becomes what the name servers say.
    fn find_everyone(&mut self) {
        let Some(names) = self.net.world().context.plan.names.clone() else { return };
        let is_same = |run: &Run| {
            let world = run.net.world();
            let want: BTreeSet<usize> =
                world.name_servers.zone.endpoints(&names).into_iter().collect();
            let found = run.reactor.endpoints().addresses();
            found.map(|address| world.endpoint_of(address)).collect::<BTreeSet<_>>() == want
        };
        // The longest life of an answer or pause, once for the service and once for its hosts, and
        // for how long a question may wait.
        let life = names.lives.iter().max().copied().unwrap_or(0).max(5);
        let timeouts = names.configurations.iter().map(|file| file.timeout);
        let mut patience = Duration::from_secs(2 * u64::from(life) + 5) + SRV_HANDOVER;
        // One set of records is enough: the other one, if it has failed, is asked for later.
        if names.source == (Source::Records { is_insecure: true }) {
            patience += DNS_RETRY_PARTIAL;
        }
        let slowness = names.habits.slowness(&names.configurations);
        let span = patience + slowness + 2 * timeouts.max().unwrap_or_default();
        // To the end of it, since what was true before may be the same by chance.
        self.turn_until(span, |_| false);
        let is_found = is_same(self);
        let found: Vec<_> = self.reactor.endpoints().addresses().collect();
        assert!(
            is_found || self.is_asked_to_end(),
            "found {found:?}: {:?}",
            self.net.world().name_servers.zone
        );
    }

    /// The set of endpoints becomes what etcd says.
    fn follow_etcd(&mut self) {
        let Some(followed) = self.net.world().context.plan.followed.clone() else { return };
        // The longest pause, and a member that keeps silent before one that answers.
        let patience = match (followed.source, followed.keeps_silence) {
            (followed::Source::Members, _) => 3 * followed.interval + 8 * followed.time_limit,
            (followed::Source::Registry, false) => REGISTRY_PAUSE_MAX + 6 * REGISTRY_ANSWER_TIME,
            (followed::Source::Registry, true) => {
                2 * REGISTRY_RANGE_INTERVAL + REGISTRY_PAUSE_MAX + 6 * REGISTRY_ANSWER_TIME
            }
        };
        self.turn_until(patience + Duration::from_secs(5), |_| false);
        if self.is_asked_to_end() {
            return;
        }
        let world = self.net.world();
        let want = match followed.source {
            followed::Source::Members => world.cluster.newest().endpoints(),
            followed::Source::Registry => world.cluster.keys.endpoints(),
        };
        let found = self.reactor.endpoints().addresses();
        let found: BTreeSet<usize> = found.map(|address| world.endpoint_of(address)).collect();
        assert_eq!(found, want, "{:?}", world.cluster);
    }

    /// The checks find out that all is well, as far as they will.
    fn settle_checks(&mut self) {
        let limits = self.net.world().context.plan.limits;
        let Some(checked) = self.net.world().context.plan.checked.clone() else { return };
        let patience = 10 * limits.checks.interval + 20 * limits.check_timeout;
        // One that gave no answer for long is asked once a minute.
        let is_over = self.turn_until(patience + Duration::from_secs(70), Run::knows_who_serves);
        assert!(is_over || self.is_asked_to_end(), "one that serves is not known to");
        self.turn_until(checked.rest, |_| false);
    }

    /// Whether each endpoint that serves is known to.
    fn knows_who_serves(&self) -> bool {
        let world = self.net.world();
        self.reactor.endpoints().iter().all(|(_, endpoint)| {
            let index = world.endpoint_of(endpoint.address());
            let fails = world.members.all[index].fails_since.is_some();
            endpoint.is_serving() || fails || !endpoint.is_checked()
        })
    }

    /// What is held when no client is there: with names, the time of the next look, or a question.
    fn holds_nothing(&self) -> bool {
        let is_named = self.net.world().context.plan.names.is_some();
        // Of the samples of an admin side.
        let samples = usize::from(self.net.world().context.plan.visited.is_some());
        let is_followed = self.net.world().context.plan.followed.is_some();
        let Census { timers, exchanges, checks, lines, .. } = self.reactor.census();
        let timers = timers.saturating_sub(samples);
        // A stranger that was away is asked as well, though it counts as one without checks.
        let asked = self.reactor.endpoints().iter().map(|(_, one)| one);
        let asked = asked.filter(|one| one.is_checked() || one.next_check_at().is_some()).count();
        let spared = if is_named { (timers.min(1), exchanges) } else { (0, 0) };
        // A check has its own time, or one of what it asks.
        let timers = match is_followed {
            // Of discovery, and of what is asked.
            true => timers.min(1 + lines),
            false if asked > 0 => timers.min(asked),
            false => spared.0,
        };
        let lines = if is_followed { lines } else { 0 };
        let timers = timers + samples;
        let least = Census { timers, exchanges: spared.1, checks, lines, ..Census::default() };
        self.reactor.census() == least
    }

    /// New clients: each is served at the first attempt, and gets all it is sent.
    fn serve_everyone(&mut self) {
        let before = self.reactor.metrics().clone();
        let count = 2 * self.reactor.endpoints().count() as u64;
        for index in 0..count {
            let mut world = self.net.world();
            let listener = index as usize % world.context.plan.listeners;
            world.arrive_as(listener, Actor::plain_client(100));
        }
        let is_over = self.turn_until(Duration::from_secs(60), |run| run.is_idle());
        assert!(is_over, "new clients are not served: {:?}", self.reactor.census());
        let after = self.reactor.metrics();
        assert_eq!(after.pairs_connected - before.pairs_connected, count, "not all were served");
        assert_eq!(after.dials.begun - before.dials.begun, count, "not at the first attempt");
        let [before, after] = [&before, after].map(|metrics| metrics.pairs_completed());
        let completed = after - before;
        assert_eq!(completed, count, "not all got what they were sent");
        self.net.world().visit();
    }

    fn is_asked_to_end(&self) -> bool {
        self.net.world().signals.terminations > 0
    }

    fn is_idle(&self) -> bool {
        let world = self.net.world();
        let is_waited_for = world.listeners.all.iter().any(|listener| !listener.backlog.is_empty());
        !is_waited_for && self.reactor.census().pairs == 0
    }

    /// The process was asked to end.
    fn come_to_an_end(&mut self) {
        while self.reactor.census().pairs > 0 {
            self.turn();
        }
        let turns = self.net.world().context.turns;
        self.reactor.drain().expect("the world does not break");
        let mut simulation = self.net.simulation();
        let is_prompt = simulation.world.context.turns <= turns + 1;
        assert!(is_prompt, "it waits although no client is left");
        simulation.world.settle();
        simulation.check_end(&self.reactor);
    }

    fn report(&self) -> Report {
        let seen = self.net.oracle().books.record.seen.to_vec();
        let world = self.net.world();
        let metrics = self.reactor.metrics();
        Report {
            runs: 1,
            trace: world.context.trace.hash(),
            turns: world.context.turns,
            clients: metrics.clients_accepted,
            bytes: metrics.client_bytes + metrics.server_bytes,
            struck: world.context.faults.struck.to_vec(),
            seen,
        }
    }
}
