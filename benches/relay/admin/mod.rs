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
/// Rounds of a bulk flow for each of the plan: the rate of one differs much from one second to the
/// next.
const BULK_ROUNDS: usize = 4;

/// A load with its ways to look at the gateway meanwhile, the first of which is the standard.
struct Comparison {
    name: &'static str,
    pattern: Pattern,
    clients: usize,
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
    admin: Option<SocketAddr>,
    running: Running,
}

/// What all comparisons share.
struct Setup<'a> {
    plan: &'a Plan,
    load: Load,
    gateways: [Gateway; GATEWAYS.len()],
    elsewhere: Elsewhere,
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
        Gateway { address: peer.address, admin, running }
    });
    load.forget();
    let pairs = (descriptors.saturating_sub(DESCRIPTORS_SPARE) / 2).min(plan.admin_pairs);
    notes.push(format!("{pairs} pairs, by a hard limit of {descriptors} descriptors."));
    let few = gateways[WITH_FEW].admin.expect("it has an admin side");
    let elsewhere = Elsewhere::start(watcher::answer(few), relay_core);
    let comparisons = comparisons(plan, pairs);
    let mut setup = Setup { plan, load, gateways, elsewhere, relay_core };
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
            arms: echo_arms(interval),
        },
        Comparison {
            name: "echo 128 B, 64 of many connections, 256 endpoints",
            pattern: Pattern::Echo { bytes: ECHO_BYTES, busy: BUSY, answers: 1 },
            clients: pairs,
            arms: echo_arms(interval),
        },
        Comparison {
            name: "bulk up, 1 flow, 3 endpoints",
            pattern: bulk,
            clients: 1,
            arms: [bulk_arms(WITH_FEW), vec![arm_of_another_server()]].concat(),
        },
        Comparison {
            name: "bulk up, 1 flow, 256 endpoints",
            pattern: bulk,
            clients: 1,
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
    vec![
        Arm { name: "not looked at", gateway, watching: Watching::Not },
        Arm { name: "10,000 requests a second offered", gateway, watching: offered },
        Arm { name: "32 clients in a closed loop", gateway, watching: Watching::ClosedLoop },
    ]
}

/// Of the gateway whose answers the other server has.
fn arm_of_another_server() -> Arm {
    let watching = Watching::Elsewhere { per_second: OFFERED_PER_SECOND };
    Arm { name: "10,000 offered to another server", gateway: WITH_FEW, watching }
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

impl Setup<'_> {
    fn compare(&mut self, comparison: Comparison) -> Compared {
        let mut arms: Vec<Vec<Figures>> = comparison.arms.iter().map(|_| Vec::new()).collect();
        let is_bulk = comparison.is_bulk();
        let has_more = is_bulk && !self.plan.is_smoke;
        let rounds = self.plan.rounds * if has_more { BULK_ROUNDS } else { 1 };
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
                if let Watching::Offered { .. } = arm.watching {
                    self.elsewhere.set_pace(figures.answered.answers_a_second().max(1.0));
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
        let turns_before = gateway.admin.map(Turns::read).unwrap_or_default();
        let watched = match arm.watching {
            Watching::Elsewhere { .. } => Some(self.elsewhere.address),
            _ => gateway.admin,
        };
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
        let is_answered = figures.answered.answers > 0;
        let is_elsewhere = matches!(arm.watching, Watching::Elsewhere { .. });
        assert!(is_answered || !is_elsewhere || self.plan.is_smoke, "the other server has ended");
        // The echoes wait for this thread meanwhile, but the turns of the gateway do not.
        let turns = gateway.admin.map(Turns::read).unwrap_or_default();
        Ok(Figures { turns: turns.since(&turns_before), ..figures })
    }
}
