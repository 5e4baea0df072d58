//! What pairs lose by it that the gateway is looked at: the same gateway with and without
//! `--admin-addr`, looked at or not, in turn and in one run. Only when asked for by name, as it
//! compares the gateway with itself.

mod elsewhere;
mod report;
mod turns;
mod watcher;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use self::elsewhere::Elsewhere;
use self::turns::Turns;
use self::watcher::{Answered, Watcher, Watching};
use super::cost::Sample;
use super::load::{Load, Pattern};
use super::machine::{self, Addresses};
use super::network;
use super::peer::{Kind, Peer, Running};
use super::plan::Plan;
use super::workload::ECHO_BYTES;

/// Endpoints of gateways, as many as are to be shown without a pause for pairs.
const ENDPOINTS: usize = 256;
/// Those of the one that has as many as most have.
const FEW_ENDPOINTS: usize = 3;
/// The gateways: whether they have an admin side, and how many endpoints.
const GATEWAYS: [(bool, usize); 3] = [(false, ENDPOINTS), (true, ENDPOINTS), (true, FEW_ENDPOINTS)];
/// Their places.
const NOT_SHOWN: usize = 0;
const SHOWN: usize = 1;
const WITH_FEW: usize = 2;
/// Busy connections of the echoes.
const BUSY: usize = 64;
/// Requests a second that are offered while there is a bulk flow.
const OFFERED_PER_SECOND: u32 = 10_000;
/// Descriptors that are not those of pairs, of the load or of the gateway.
const DESCRIPTORS_SPARE: usize = 2000;
/// A window of the plan is too short for what is asked once a second.
const WINDOWS: u32 = 5;
/// Rounds for each of the plan, where a bound is to be seen: rates of bulk flows and the slowest
/// echoes differ much from one second to the next.
const MANY_ROUNDS: usize = 4;

/// A load with its ways to look at the gateway meanwhile, the first of which is the standard.
struct Comparison {
    name: &'static str,
    pattern: Pattern,
    clients: usize,
    /// For each of the plan.
    rounds: usize,
    arms: Vec<Arm>,
}

impl Comparison {
    /// Whether bytes are counted and not echoes. Then all arms of a round have the same connection:
    /// the rates of two differ by more than what is looked for.
    fn is_bulk(&self) -> bool {
        matches!(self.pattern, Pattern::Bulk { .. })
    }
}

/// A gateway, and how it is looked at.
#[derive(Clone, Copy)]
struct Arm {
    name: &'static str,
    gateway: usize,
    watching: Watching,
}

/// Of one round of one arm.
struct Figures {
    /// Echoes or gigabytes a second.
    rate: f64,
    /// Seconds.
    p50: f64,
    p99: f64,
    longest: f64,
    /// Processor time of the gateway, in seconds for each echo or gigabyte.
    process: f64,
    answered: Answered,
    turns: Turns,
}

/// The rounds of a comparison, by arm.
struct Compared {
    comparison: Comparison,
    arms: Vec<Vec<Figures>>,
}

/// A gateway that runs.
struct Gateway {
    address: SocketAddr,
    shown: Option<Shown>,
    running: Running,
}

/// What one with an admin side has.
struct Shown {
    admin: SocketAddr,
    /// The server that gives the same answers.
    elsewhere: Elsewhere,
}

/// What all comparisons share.
struct Setup<'a> {
    plan: &'a Plan,
    load: Load,
    gateways: [Gateway; GATEWAYS.len()],
    relay_core: usize,
}

/// Compares, and writes the report.
pub fn run(plan: &Plan) {
    let cores = machine::cores();
    let (load_core, relay_core) = (cores[0], cores[cores.len() - 1]);
    machine::pin(load_core);
    let descriptors = machine::raise_descriptor_limit();
    let folder = machine::target_directory().join("bench");
    fs::create_dir_all(folder.join("peers")).expect("the target directory can be written");
    let mut notes = Vec::from_iter(network::enter().err());
    let mut load = Load::new();
    let mut addresses = Addresses::new();
    let gateways = GATEWAYS.map(|(is_shown, endpoints)| {
        let peer = peer(&mut addresses, &mut load, is_shown, endpoints, &folder.join("peers"));
        let (peer, admin) = peer;
        let running = peer.start(relay_core, load_core).expect("the gateway starts");
        let shown = admin.map(|admin| Shown {
            admin,
            elsewhere: Elsewhere::start(watcher::answer(admin), relay_core),
        });
        Gateway { address: peer.address, shown, running }
    });
    load.forget();
    let pairs = (descriptors.saturating_sub(DESCRIPTORS_SPARE) / 2).min(plan.admin_pairs);
    notes.push(format!("{pairs} pairs, by a hard limit of {descriptors} descriptors."));
    let comparisons = comparisons(plan, pairs);
    let mut setup = Setup { plan, load, gateways, relay_core };
    let compared: Vec<Compared> =
        comparisons.into_iter().map(|comparison| setup.compare(comparison)).collect();
    let text = report::markdown(&compared, &notes);
    if plan.is_smoke {
        println!("smoke run: {} loads while the gateway is looked at", compared.len());
        return;
    }
    let file = folder.join("admin.md");
    fs::write(&file, &text).expect("the target directory can be written");
    println!("{text}");
    println!("written to {}", file.display());
}

fn comparisons(plan: &Plan, pairs: usize) -> [Comparison; 4] {
    let interval = if plan.is_smoke { plan.window } else { Duration::from_secs(1) };
    let bulk = Pattern::Bulk { up: true, down: false };
    [
        Comparison {
            name: "echo 128 B, 64 connections, 256 endpoints",
            pattern: Pattern::echo(ECHO_BYTES),
            clients: BUSY,
            rounds: MANY_ROUNDS,
            arms: echo_arms(interval),
        },
        Comparison {
            name: "echo 128 B, 64 of many connections, 256 endpoints",
            pattern: Pattern::Echo { bytes: ECHO_BYTES, busy: BUSY, answers: 1 },
            clients: pairs,
            rounds: 1,
            arms: echo_arms(interval),
        },
        Comparison {
            name: "bulk up, 1 flow, 3 endpoints",
            pattern: bulk,
            clients: 1,
            rounds: MANY_ROUNDS,
            arms: bulk_arms(WITH_FEW),
        },
        Comparison {
            name: "bulk up, 1 flow, 256 endpoints",
            pattern: bulk,
            clients: 1,
            rounds: MANY_ROUNDS,
            arms: bulk_arms(SHOWN),
        },
    ]
}

fn echo_arms(interval: Duration) -> Vec<Arm> {
    let (not, each) = (Watching::Not, Watching::Each(interval));
    vec![
        Arm { name: "without `--admin-addr`", gateway: NOT_SHOWN, watching: not },
        Arm { name: "with it, not looked at", gateway: SHOWN, watching: not },
        Arm { name: "with it, a scrape a second", gateway: SHOWN, watching: each },
    ]
}

fn bulk_arms(gateway: usize) -> Vec<Arm> {
    let offered = Watching::Offered { per_second: OFFERED_PER_SECOND };
    let elsewhere = Watching::Elsewhere { per_second: OFFERED_PER_SECOND };
    vec![
        Arm { name: "not looked at", gateway, watching: Watching::Not },
        Arm { name: "10,000 requests a second offered", gateway, watching: offered },
        Arm { name: "10,000 offered to another server", gateway, watching: elsewhere },
        Arm { name: "32 clients in a closed loop", gateway, watching: Watching::ClosedLoop },
    ]
}

/// A gateway in front of that many endpoints, all of which are one backend, and the address of its
/// admin side.
fn peer(
    addresses: &mut Addresses,
    load: &mut Load,
    is_shown: bool,
    endpoints: usize,
    folder: &Path,
) -> (Peer, Option<SocketAddr>) {
    let (listen, backend) = (addresses.take(), addresses.take());
    load.listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, backend.port())));
    let mut peer = Peer::find(Kind::Ours, listen, backend, folder).expect("cargo has built it");
    // Every address of 127.0.0.0/8 is one of the loopback device.
    let each = (0..endpoints).map(|number| {
        let [high, low] = u16::try_from(number).expect("a few hundred").to_be_bytes();
        SocketAddr::from(([127, 1, high, low], backend.port())).to_string()
    });
    let endpoints = format!("--endpoints={}", each.collect::<Vec<_>>().join(","));
    peer.arguments.retain(|argument| !argument.starts_with("--endpoints="));
    peer.arguments.push(endpoints);
    let admin = is_shown.then(|| addresses.take());
    peer.arguments.extend(admin.map(|address| format!("--admin-addr={address}")));
    (peer, admin)
}

impl Gateway {
    /// What it has counted of its turns.
    fn turns(&self) -> Turns {
        self.shown.as_ref().map(|shown| Turns::read(shown.admin)).unwrap_or_default()
    }
}

impl Setup<'_> {
    fn compare(&mut self, comparison: Comparison) -> Compared {
        let mut arms: Vec<Vec<Figures>> = comparison.arms.iter().map(|_| Vec::new()).collect();
        let is_bulk = comparison.is_bulk();
        let rounds = self.plan.rounds * if self.plan.is_smoke { 1 } else { comparison.rounds };
        for round in 0..rounds {
            eprintln!("bench: {}, round {} of {rounds}", comparison.name, round + 1);
            for turn in 0..arms.len() {
                let index = (turn + round) % arms.len();
                let arm = comparison.arms[index];
                let begins = turn == 0 || !is_bulk;
                let figures = self
                    .begin(&comparison, arm, begins)
                    .and_then(|()| self.measure(&comparison, arm))
                    .unwrap_or_else(|error| panic!("{}, {}: {error}", comparison.name, arm.name));
                if turn + 1 == arms.len() || !is_bulk {
                    self.load.end();
                }
                arms[index].push(figures);
            }
        }
        Compared { comparison, arms }
    }

    /// Begins the load, if it is not that of the arm before, and lets it warm up.
    fn begin(&mut self, comparison: &Comparison, arm: Arm, begins: bool) -> Result<(), String> {
        if begins {
            let address = self.gateways[arm.gateway].address;
            self.load.begin(comparison.pattern, comparison.clients, address)?;
        }
        self.load.go_on(self.plan.warm_up).map(|_| ())
    }

    fn measure(&mut self, comparison: &Comparison, arm: Arm) -> Result<Figures, String> {
        let gateway = &self.gateways[arm.gateway];
        let turns_before = gateway.turns();
        let watched = gateway.shown.as_ref().map(|shown| match arm.watching {
            Watching::Elsewhere { .. } => shown.elsewhere.address,
            _ => shown.admin,
        });
        let watcher = watched.map(|address| Watcher::start(arm.watching, address));
        let processes = &gateway.running.processes;
        let before = Sample::take(processes, self.relay_core);
        let windows = if comparison.is_bulk() { 1 } else { WINDOWS };
        let (tally, time) = self.load.go_on(self.plan.window * windows)?;
        let cost = Sample::take(processes, self.relay_core).since(before);
        let operations = tally.echoes as f64 + tally.bytes as f64 / 1e9;
        let figures = Figures {
            rate: operations / time.as_secs_f64(),
            p50: tally.latency.quantile(0.50),
            p99: tally.latency.quantile(0.99),
            longest: tally.latency.quantile(1.0),
            process: cost.process.as_secs_f64() / operations,
            answered: watcher.map(Watcher::end).unwrap_or_default(),
            turns: Turns::default(),
        };
        let bytes_a_second = figures.answered.a_second(figures.answered.bytes);
        match (arm.watching, &gateway.shown) {
            (Watching::Offered { .. }, Some(shown)) => shown.elsewhere.set_pace(bytes_a_second),
            (Watching::Elsewhere { .. }, _) if !self.plan.is_smoke => {
                assert!(bytes_a_second > 0.0, "the other server has ended");
            }
            _ => {}
        }
        // The echoes wait for this thread meanwhile, but the turns of the gateway do not.
        Ok(Figures { turns: gateway.turns().since(&turns_before), ..figures })
    }
}
