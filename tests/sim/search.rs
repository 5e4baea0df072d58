//! Runs: one seed from start to end, and many seeds in search of one that fails.
//!
//! ```text
//!   SEED=7 cargo test --test sim        one run; TRACE=1000 shows more of what happened
//!   SEEDS=100000 make sim               a long search with new seeds; FROM=1 says which
//! ```
//!
//! A run lets things go wrong for a while. Then either the process is asked to end, or all faults
//! stop and everything has to become live again: who is there comes to an end, new clients are
//! served by every endpoint, and at last nothing is held any more.

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use etcd_gateway::reactor::{Census, Reactor};

use crate::actor::Actor;
use crate::faults::Fault;
use crate::net::SimNet;
use crate::oracle::Seen;
use crate::plan::LISTENER_PORT;
use crate::world::World;

/// Seeds that every search begins with.
const SEEDS_FIXED: u64 = 200;
/// New seeds of a search that is not asked for more.
const SEEDS_NEW: u64 = 500;
/// Turns after which things have gone wrong for long enough.
const TURNS_OF_TROUBLE: u64 = 20_000;
/// More turns than any run needs: one that takes them does not come to an end.
const TURNS_MAX: u64 = 300_000;

/// What is left of a run, or of many.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    runs: u64,
    /// The hash of everything that happened.
    trace: u64,
    turns: u64,
    clients: u64,
    bytes: u64,
    struck: Vec<u64>,
    seen: Vec<u64>,
}

struct Run {
    net: SimNet,
    reactor: Reactor<SimNet>,
}

/// Lives through one seed.
fn run(seed: u64) -> Report {
    let net = SimNet::new(World::new(seed));
    let mut run = Run { reactor: start(&net), net };
    let outcome = catch_unwind(AssertUnwindSafe(|| run.live()));
    match outcome {
        Ok(()) => run.report(),
        Err(cause) => {
            let text = cause.downcast_ref::<String>().map_or("", |text| text.as_str());
            let text = cause.downcast_ref::<&str>().copied().unwrap_or(text);
            let tail = run.net.world().trace.tail();
            panic!("\n{tail}{text}\nSEED={seed} cargo test --test sim");
        }
    }
}

/// A gateway before that world.
pub fn start(net: &SimNet) -> Reactor<SimNet> {
    let plan = net.world().plan.clone();
    let listen: Vec<_> = (0..plan.listeners)
        .map(|index| ([127, 0, 0, 1], LISTENER_PORT + index as u16).into())
        .collect();
    Reactor::start(net.clone(), plan.limits, &listen, &plan.endpoints).expect("nothing in the way")
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
        let world = self.net.world();
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
        let patience = 60 * Duration::from_secs(1);
        let is_over = self.turn_until(patience, |run| run.is_idle());
        assert!(is_over, "clients are left: {:?}", self.reactor.census());
        let span = retry_max + 2 * connect_timeout + patience / 60;
        let count = self.reactor.endpoints().count();
        let is_back = |run: &Run| run.reactor.endpoints().active_count() == count;
        let all_back = self.turn_until(span, is_back);
        assert!(all_back, "not every endpoint is back");
        self.serve_everyone();
        let is_empty = |run: &Run| run.reactor.census() == Census::default();
        let is_left = self.turn_until(span, is_empty);
        assert!(is_left, "still held: {:?}", self.reactor.census());
    }

    /// New clients, all of whom are served at the first attempt.
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
    }

    fn is_asked_to_end(&self) -> bool {
        self.net.world().terminations > 0
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

impl Report {
    fn none() -> Report {
        let (struck, seen) = (vec![0; Fault::ALL.len()], vec![0; Seen::ALL.len()]);
        Report { runs: 0, trace: 0, turns: 0, clients: 0, bytes: 0, struck, seen }
    }

    fn add(&mut self, other: &Report) {
        self.runs += other.runs;
        self.trace ^= other.trace;
        self.turns += other.turns;
        self.clients += other.clients;
        self.bytes += other.bytes;
        for (own, other) in [(&mut self.struck, &other.struck), (&mut self.seen, &other.seen)] {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
    }

    fn tell(&self, elapsed: Duration) {
        let Report { runs, turns, clients, bytes, .. } = self;
        let rate = *runs as f64 / elapsed.as_secs_f64();
        println!("{runs} seeds in {elapsed:.1?}, {rate:.0} a second");
        println!("{turns} turns, {clients} clients, {bytes} bytes delivered");
        for (fault, count) in Fault::ALL.iter().zip(&self.struck) {
            println!("  {fault:?}: {count}");
        }
        for (seen, count) in Seen::ALL.iter().zip(&self.seen) {
            println!("  {seen:?}: {count}");
        }
    }
}

/// Runs `count` seeds from `first` on, on every core there is, and stops at the first that fails.
fn search(first: u64, count: u64) -> Report {
    let next = AtomicU64::new(0);
    let has_failed = AtomicBool::new(false);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut total = Report::none();
        while !has_failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            match catch_unwind(|| run(first.wrapping_add(index))) {
                Ok(report) => total.add(&report),
                Err(_) => {
                    has_failed.store(true, Ordering::Relaxed);
                    println!("failed after {} seeds", index + 1);
                }
            }
        }
        total
    };
    let mut total = Report::none();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            total.add(&worker.join().expect("failures are caught"));
        }
    });
    assert!(!has_failed.load(Ordering::Relaxed), "a seed failed: see above");
    total
}

/// A number from the environment.
fn asked_for(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_fixed_seed_finds_anything() {
    let totals = search(0, SEEDS_FIXED);
    for (fault, count) in Fault::ALL.iter().zip(&totals.struck) {
        assert!(*count > 0, "{fault:?} never struck: the search has become weaker");
    }
    for (seen, count) in Seen::ALL.iter().zip(&totals.seen) {
        assert!(*count > 0, "{seen:?} was never seen: the search has become weaker");
    }
}

#[test]
fn no_new_seed_finds_anything() {
    if let Some(seed) = asked_for("SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let first = asked_for("FROM").unwrap_or_else(|| RandomState::new().hash_one(0));
    let started = Instant::now();
    let totals = search(first, asked_for("SEEDS").unwrap_or(SEEDS_NEW));
    println!("from SEED={first} on");
    totals.tell(started.elapsed());
}

#[test]
fn a_seed_is_always_the_same_run() {
    let reports: Vec<Report> = (0..20).map(run).collect();
    for (seed, report) in reports.iter().enumerate() {
        assert_eq!(run(seed as u64), *report, "seed {seed}");
    }
    let traces: std::collections::BTreeSet<u64> = reports.iter().map(|it| it.trace).collect();
    assert_eq!(traces.len(), reports.len(), "different seeds are different runs");
}
