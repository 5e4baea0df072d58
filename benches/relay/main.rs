//! What the gateway costs beside what people would use instead, in one run on loopback.
//!
//! Starts the real binary and every peer that is installed, sends the same load through each in
//! turn, round by round, so that a noisy moment meets all of them, and prints the medians as a
//! Markdown table. The relay under test has a core to itself; load and backend share another.
//!
//! ```text
//! cargo bench --bench relay                  about 75 seconds
//! cargo bench --bench relay -- echo          the workloads that contain a word
//! cargo bench --bench relay -- --smoke       a second: does it still work?
//! ```
//!
//! Without `--bench`, which cargo passes, it is a test and therefore a smoke run.

mod cost;
mod load;
mod peer;

use std::thread;
use std::time::Duration;

use self::cost::Sample;
use self::load::{Load, Pattern};
use self::peer::{Kind, Peer, pin_load};

/// One kind of load.
struct Workload {
    name: &'static str,
    pattern: Pattern,
    clients: usize,
}

const WORKLOADS: [Workload; 5] = [
    Workload { name: "echo 128 B, 1 connection", pattern: Pattern::Echo(128), clients: 1 },
    Workload { name: "echo 128 B, 64 connections", pattern: Pattern::Echo(128), clients: 64 },
    Workload { name: "bulk up, 4 flows", pattern: Pattern::Up, clients: 4 },
    Workload { name: "bulk down, 4 flows", pattern: Pattern::Down, clients: 4 },
    Workload { name: "connect + 64 B + close, 8 at once", pattern: Pattern::Visit(64), clients: 8 },
];

/// How much is measured.
struct Plan {
    /// Runs everything once, and prints no figures, since they would mean nothing.
    is_smoke: bool,
    rounds: usize,
    /// Of each round and peer, before its figures count.
    warm_up: Duration,
    /// For which the figures count. The kernel counts CPU time in steps of 10 ms.
    window: Duration,
    /// Workloads to run; all if there is none.
    words: Vec<String>,
}

const SMOKE: (usize, Duration, Duration) = (1, Duration::from_millis(1), Duration::from_millis(10));
const REAL: (usize, Duration, Duration) =
    (5, Duration::from_millis(50), Duration::from_millis(600));

/// Per operation: per echo, per connection or per gigabyte.
#[derive(Clone, Copy)]
struct Figures {
    /// Operations a second.
    rate: f64,
    /// Seconds of the relay's process.
    process: f64,
    /// Seconds of the relay's core.
    core: f64,
}

fn main() {
    let plan = Plan::from_arguments();
    let cores = cost::cores();
    let (load_core, relay_core) = (cores[0], cores[cores.len() - 1]);
    pin_load(load_core);
    let busy = busy_share(&plan, relay_core);

    let mut load = Load::new();
    let start = |kind| Peer::start(kind, load.listen(), relay_core);
    let peers: Vec<Peer> = Kind::ALL.into_iter().filter_map(start).collect();
    let workloads: Vec<&Workload> = WORKLOADS.iter().filter(|each| plan.includes(each)).collect();
    let mut results = vec![vec![Vec::new(); peers.len()]; workloads.len()];
    for round in 0..plan.rounds {
        for (workload, results) in workloads.iter().zip(&mut results) {
            for turn in 0..peers.len() {
                let index = (turn + round) % peers.len();
                results[index].push(measure(&plan, &mut load, workload, &peers[index], relay_core));
            }
        }
    }
    if plan.is_smoke {
        let names: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
        println!("smoke run: {} workloads through {}", workloads.len(), names.join(", "));
        return;
    }
    println!("Load on core {load_core}; relay on core {relay_core}, {busy:.0} % busy before.");
    println!("Medians of {} rounds of {} ms.\n", plan.rounds, plan.window.as_millis());
    peers.iter().for_each(|peer| println!("- {}: {}", peer.name, peer.version));
    println!();
    print_table(&workloads, &peers, &results);
}

impl Plan {
    fn from_arguments() -> Plan {
        let (flags, words): (Vec<String>, Vec<String>) =
            std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
        let has = |name: &str| flags.iter().any(|flag| flag == name);
        // Other flags are those of the standard test harness, which mean nothing here.
        let is_smoke = has("--smoke") || !has("--bench");
        let (rounds, warm_up, window) = if is_smoke { SMOKE } else { REAL };
        Plan { is_smoke, rounds, warm_up, window, words }
    }

    fn includes(&self, workload: &Workload) -> bool {
        let contains = |word: &String| workload.name.contains(word.as_str());
        self.words.is_empty() || self.words.iter().any(contains)
    }
}

/// How busy, in percent, others keep the core: what makes the figures of its core worth less.
fn busy_share(plan: &Plan, core: usize) -> f64 {
    let before = Sample::take(None, core);
    thread::sleep(plan.window);
    let busy = Sample::take(None, core).since(before).core;
    100.0 * busy.as_secs_f64() / plan.window.as_secs_f64()
}

fn measure(
    plan: &Plan,
    load: &mut Load,
    workload: &Workload,
    peer: &Peer,
    relay_core: usize,
) -> Figures {
    load.begin(workload.pattern, workload.clients, peer.address);
    load.go_on(plan.warm_up);
    let before = Sample::take(peer.process(), relay_core);
    let (tally, time) = load.go_on(plan.window);
    let cost = Sample::take(peer.process(), relay_core).since(before);
    load.end();
    let operations = tally.echoes as f64 + tally.bytes as f64 / 1e9;
    Figures {
        rate: operations / time.as_secs_f64(),
        process: cost.process.as_secs_f64() / operations,
        core: cost.core.as_secs_f64() / operations,
    }
}

fn print_table(workloads: &[&Workload], peers: &[Peer], results: &[Vec<Vec<Figures>>]) {
    println!("| workload | relay | rate | to ours | CPU, process | CPU, core | to ours |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    let ours = Kind::ALL.iter().position(|kind| *kind == Kind::Ours).expect("in the list");
    for (workload, results) in workloads.iter().zip(results) {
        let medians: Vec<Figures> = results.iter().map(|rounds| median(rounds)).collect();
        for (peer, figures) in peers.iter().zip(&medians) {
            let rate_ratio = figures.rate / medians[ours].rate;
            print!("| {} | {} ", workload.name, peer.name);
            print!("| {} | {rate_ratio:.2} ", rate(workload.pattern, figures.rate));
            match peer.process() {
                Some(_) => println!(
                    "| {} | {} | {:.2} |",
                    cost(workload.pattern, figures.process),
                    cost(workload.pattern, figures.core),
                    figures.core / medians[ours].core,
                ),
                None => println!("| – | – | – |"),
            }
        }
    }
}

fn is_bulk(pattern: Pattern) -> bool {
    matches!(pattern, Pattern::Up | Pattern::Down)
}

fn rate(pattern: Pattern, rate: f64) -> String {
    if is_bulk(pattern) { format!("{rate:.2} GB/s") } else { format!("{rate:.0} /s") }
}

fn cost(pattern: Pattern, seconds: f64) -> String {
    if is_bulk(pattern) {
        format!("{seconds:.3} s/GB")
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// Each figure on its own.
fn median(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Figures { rate: of(|f| f.rate), process: of(|f| f.process), core: of(|f| f.core) }
}
