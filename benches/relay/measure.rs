//! The rounds: each load through each relay in turn, so that a noisy moment meets all of them.
//!
//! What is measured without a load (memory, start-up) comes first, each time with a relay that was
//! started for it; then all relays run side by side until the end.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::cost::{self, Sample};
use super::load::{Load, Pattern};
use super::machine::{self, Addresses};
use super::network;
use super::peer::{Kind, Peer, Running};
use super::plan::{MEMORY, Plan, START};
use super::results::{Figures, Measured, Memory, Results};
use super::workload::Workload;

/// Bytes that each connection carries before its memory is measured again.
const USED_BYTES: usize = 64 * 1024;
/// Connections that carry them at a time.
const USED_AT_ONCE: usize = 64;
/// Until a relay that has nothing to do has done it.
const SETTLE: Duration = Duration::from_millis(300);
/// Descriptors for everything that is not a connection.
const DESCRIPTORS_SPARE: usize = 200;

/// What a run works with.
pub struct Bench {
    pub plan: Plan,
    pub load_core: usize,
    pub relay_core: usize,
    pub descriptors: usize,
    /// Where relays read and write their files.
    pub folder: PathBuf,
    pub peers: Vec<Peer>,
    /// What was skipped, and why.
    pub notes: Vec<String>,
    load: Load,
}

impl Bench {
    /// Finds the relays and gives each its addresses.
    pub fn new(plan: Plan) -> Bench {
        let cores = machine::cores();
        let (load_core, relay_core) = (cores[0], cores[cores.len() - 1]);
        machine::pin(load_core);
        let descriptors = machine::raise_descriptor_limit();
        let folder = machine::target_directory().join("bench").join("peers");
        fs::create_dir_all(&folder).expect("the target directory can be written");
        let mut notes = Vec::from_iter(network::enter().err());
        let mut addresses = Addresses::new();
        let (mut load, mut peers) = (Load::new(), Vec::new());
        if load_core == relay_core {
            notes.push("One core only: load and relays share it.".to_owned());
        }
        for kind in plan.kinds() {
            let (listen, backend) = (addresses.take(), addresses.take());
            match Peer::find(kind, listen, backend, &folder) {
                None => notes.push(format!("{} is skipped: not installed.", kind.name())),
                Some(peer) => {
                    load.listen(backend);
                    peers.push(peer);
                }
            }
        }
        Bench { plan, load_core, relay_core, descriptors, folder, peers, notes, load }
    }

    /// Measures everything that the plan asks for.
    pub fn run(&mut self) -> Results {
        let busy_before = self.busy_share();
        self.leave_out_what_does_not_start();
        let starts = self.measure_starts();
        let memory = self.measure_memory();
        let running: Vec<Running> = self.peers.iter().map(|peer| self.start(peer)).collect();
        self.load.forget();
        let workloads = self.plan.workloads();
        let loads = workloads.into_iter().map(|workload| self.measure_load(workload, &running));
        let loads = loads.collect();
        let kinds = self.peers.iter().map(|peer| peer.kind).collect();
        Results { kinds, loads, memory, starts, busy_before }
    }

    /// How busy others keep the core: what makes the figures of its core worth less.
    fn busy_share(&self) -> f64 {
        let window = self.plan.window;
        let before = Sample::take(&[], self.relay_core);
        thread::sleep(window);
        let busy = Sample::take(&[], self.relay_core).since(before).core;
        busy.as_secs_f64() / window.as_secs_f64()
    }

    fn leave_out_what_does_not_start(&mut self) {
        let (relay_core, load_core) = (self.relay_core, self.load_core);
        let mut notes = Vec::new();
        self.peers.retain(|peer| match peer.start(relay_core, load_core) {
            Ok(_) => true,
            Err(error) => {
                let name = peer.kind.name();
                assert!(peer.kind.is_rival(), "{name} does not start: {error}");
                notes.push(format!("{name} is skipped: {error}."));
                false
            }
        });
        self.notes.extend(notes);
    }

    fn start(&self, peer: &Peer) -> Running {
        let running = peer.start(self.relay_core, self.load_core);
        running.unwrap_or_else(|error| panic!("{} starts no more: {error}", peer.kind.name()))
    }

    fn measure_starts(&mut self) -> Vec<Vec<f64>> {
        let mut times = vec![Vec::new(); self.peers.len()];
        if !self.plan.includes(START) {
            return times;
        }
        say("start-up");
        for _ in 0..self.plan.starts {
            for (peer, times) in self.peers.iter().zip(&mut times) {
                if peer.kind != Kind::Direct {
                    times.push(self.start(peer).start_time.as_secs_f64());
                }
            }
        }
        self.load.forget();
        times
    }

    fn measure_memory(&mut self) -> Vec<Vec<Memory>> {
        let mut rounds = vec![Vec::new(); self.peers.len()];
        if !self.plan.includes(MEMORY) {
            return rounds;
        }
        for round in 1..=self.plan.long_rounds {
            say(&format!("memory, round {round} of {}", self.plan.long_rounds));
            for (index, rounds) in rounds.iter_mut().enumerate() {
                let kind = self.peers[index].kind;
                if kind.is_judged_by_connections() {
                    let clients = self.memory_clients(kind);
                    let memory = self.measure_memory_of(index, clients);
                    rounds.extend(self.settle(index, "memory", memory));
                }
            }
        }
        rounds
    }

    /// As many as planned, or as descriptors allow: a mean does not need all of them.
    fn memory_clients(&mut self, kind: Kind) -> usize {
        let planned = self.plan.memory_clients;
        let allowed = self.descriptors.saturating_sub(DESCRIPTORS_SPARE) / kind.descriptors();
        if allowed < planned {
            self.note(format!(
                "{}: memory with {allowed} instead of {planned} connections, as it takes {} \
                 descriptors for each, and the hard limit is {}.",
                kind.name(),
                kind.descriptors(),
                self.descriptors,
            ));
        }
        planned.min(allowed)
    }

    fn measure_memory_of(&mut self, index: usize, clients: usize) -> Result<Memory, String> {
        let running = self.start(&self.peers[index]);
        self.load.forget();
        let now = || {
            thread::sleep(SETTLE);
            cost::memory(&running.processes) as f64
        };
        let at_start = now();
        let target = self.peers[index].address;
        self.load.open(Pattern::echo(USED_BYTES), clients, target)?;
        let fresh = now();
        self.load.ask_once(USED_BYTES, USED_AT_ONCE)?;
        let used = now();
        let per_connection = |memory: f64| (memory - at_start) / clients as f64;
        Ok(Memory { at_start, fresh: per_connection(fresh), used: per_connection(used) })
    }

    fn measure_load(&mut self, workload: Workload, running: &[Running]) -> Measured {
        let (rounds, window) = self.plan.rounds_of(&workload);
        let mut relays = vec![Vec::new(); self.peers.len()];
        for round in 0..rounds {
            say(&format!("{}, round {} of {rounds}", workload.name, round + 1));
            for turn in 0..relays.len() {
                let index = (turn + round) % relays.len();
                let kind = self.peers[index].kind;
                let is_wanted = workload.group.includes(kind);
                if is_wanted && self.has_descriptors(kind, workload.clients, &workload.name) {
                    let processes = &running[index].processes;
                    let figures = self.measure(&workload, index, processes, window);
                    relays[index].extend(self.settle(index, &workload.name, figures));
                }
            }
        }
        Measured { workload, relays }
    }

    fn measure(
        &mut self,
        workload: &Workload,
        index: usize,
        processes: &[u32],
        window: Duration,
    ) -> Result<Figures, String> {
        self.load.begin(workload.pattern, workload.clients, self.peers[index].address)?;
        self.load.go_on(self.plan.warm_up)?;
        let before = Sample::take(processes, self.relay_core);
        let (tally, time) = self.load.go_on(window)?;
        let cost = Sample::take(processes, self.relay_core).since(before);
        let operations = tally.echoes as f64 + tally.bytes as f64 / 1e9;
        Ok(Figures {
            rate: operations / time.as_secs_f64(),
            p50: tally.latency.quantile(0.50),
            p99: tally.latency.quantile(0.99),
            process: cost.process.as_secs_f64() / operations,
            core: cost.core.as_secs_f64() / operations,
            busy: cost.core.as_secs_f64() / time.as_secs_f64(),
        })
    }

    /// Ends the load. What a peer cannot do is noted; ours and the floors have to do everything.
    fn settle<T>(&mut self, index: usize, what: &str, outcome: Result<T, String>) -> Option<T> {
        self.load.end();
        let kind = self.peers[index].kind;
        let name = kind.name();
        match outcome {
            Ok(value) => Some(value),
            Err(error) if kind.is_rival() => {
                self.note(format!("{name}: {what} failed, {error}."));
                None
            }
            Err(error) => panic!("{name}: {what} failed, {error}"),
        }
    }

    /// Whether load and relay may open that many; a note is made where they may not.
    fn has_descriptors(&mut self, kind: Kind, clients: usize, what: &str) -> bool {
        let needed = clients * kind.descriptors().max(2) + DESCRIPTORS_SPARE;
        let is_enough = needed <= self.descriptors;
        if !is_enough {
            self.note(format!(
                "{}: {what} skipped, as it takes {needed} descriptors, and the hard limit is {} \
                 (`ulimit -Hn`).",
                kind.name(),
                self.descriptors,
            ));
        }
        is_enough
    }

    /// Each once, however many rounds it holds in.
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Tells how far the run has come.
fn say(text: &str) {
    eprintln!("bench: {text}");
}
