//! How much is measured: what the command line asks for.

use std::time::Duration;

use super::floor::Floor;
use super::peer::Kind;
use super::workload::{Group, Workload};

/// The sections other than the loads.
pub const MEMORY: &str = "memory";
pub const START: &str = "start";
/// What is run in place of everything else.
const ADMIN: &str = "admin";

/// What was asked for.
pub struct Plan {
    /// Runs everything once, and shows no figures, since they would mean nothing.
    pub is_smoke: bool,
    pub rounds: usize,
    /// Of each round and relay, before its figures count.
    pub warm_up: Duration,
    /// For which the figures count. The kernel counts CPU time in steps of 10 ms.
    pub window: Duration,
    /// The mostly idle load, all its rounds together.
    pub idle_time: Duration,
    /// Rounds of what takes long.
    pub long_rounds: usize,
    /// Connections that the memory is measured with.
    pub memory_clients: usize,
    /// Starts of each relay.
    pub starts: usize,
    pub floor_buffer: usize,
    pub floor_pipe: usize,
    /// The gateway is only compared with itself, looked at and not.
    pub is_admin: bool,
    /// Most pairs in that comparison.
    pub admin_pairs: usize,
    /// Loads and sections to run; all if there is none.
    sections: Vec<String>,
    /// Relays to measure in addition to ours; all if there is none.
    relays: Vec<String>,
}

impl Plan {
    /// Reads the command line; what it cannot mean is said and ends the run.
    pub fn from_arguments(arguments: &[String]) -> Result<Plan, String> {
        let (flags, words): (Vec<&String>, Vec<&String>) =
            arguments.iter().partition(|argument| argument.starts_with('-'));
        let has = |name: &str| flags.iter().any(|flag| *flag == name);
        let mut plan = if has("--smoke") || !has("--bench") {
            Plan::smoke()
        } else if has("--quick") {
            Plan::quick()
        } else {
            Plan::full()
        };
        for flag in flags {
            plan.set(flag)?;
        }
        for word in words {
            plan.select(word)?;
        }
        Ok(plan)
    }

    /// About 25 minutes.
    fn full() -> Plan {
        Plan {
            is_smoke: false,
            rounds: 7,
            warm_up: Duration::from_millis(200),
            window: Duration::from_millis(800),
            idle_time: Duration::from_secs(60),
            long_rounds: 3,
            memory_clients: 4000,
            starts: 20,
            floor_buffer: 64 * 1024,
            floor_pipe: 256 * 1024,
            is_admin: false,
            admin_pairs: 10_000,
            sections: Vec::new(),
            relays: Vec::new(),
        }
    }

    /// About 3 minutes.
    fn quick() -> Plan {
        Plan {
            rounds: 3,
            warm_up: Duration::from_millis(50),
            window: Duration::from_millis(250),
            idle_time: Duration::from_secs(4),
            long_rounds: 1,
            starts: 5,
            ..Plan::full()
        }
    }

    /// A few seconds, and nothing that has to be installed.
    fn smoke() -> Plan {
        Plan {
            is_smoke: true,
            rounds: 1,
            warm_up: Duration::from_millis(1),
            window: Duration::from_millis(10),
            idle_time: Duration::from_millis(10),
            long_rounds: 1,
            memory_clients: 64,
            starts: 1,
            admin_pairs: 200,
            ..Plan::full()
        }
    }

    fn set(&mut self, flag: &str) -> Result<(), String> {
        // Other flags are those of the standard test harness, which mean nothing here.
        let Some((name, value)) = flag.split_once('=') else { return Ok(()) };
        let wrong = |_| format!("{flag}: a number is wanted");
        let number = || value.parse::<usize>().map_err(wrong);
        match name {
            "--rounds" => self.rounds = number()?.max(1),
            "--milliseconds" => self.window = Duration::from_millis(number()? as u64),
            "--idle-seconds" => self.idle_time = Duration::from_secs(number()? as u64),
            "--floor-buffer" => self.floor_buffer = number()?,
            "--floor-pipe" => self.floor_pipe = number()?,
            _ => {}
        }
        Ok(())
    }

    fn select(&mut self, word: &str) -> Result<(), String> {
        if word == ADMIN {
            self.is_admin = true;
            return Ok(());
        }
        let is_relay = self.all_kinds().iter().any(|kind| kind.word().contains(word));
        let is_load = Workload::all().iter().any(|workload| is_about(workload, word));
        match (is_relay, is_load || MEMORY.contains(word) || START.contains(word)) {
            (true, _) => self.relays.push(word.to_owned()),
            (false, true) => self.sections.push(word.to_owned()),
            (false, false) => return Err(format!("{word}: neither a load nor a relay")),
        }
        Ok(())
    }

    fn all_kinds(&self) -> [Kind; 9] {
        [
            Kind::Ours,
            Kind::Floor(Floor::Copy(self.floor_buffer)),
            Kind::Floor(Floor::Splice(self.floor_pipe)),
            Kind::Etcd,
            Kind::Haproxy,
            Kind::HaproxySplicing,
            Kind::Nginx,
            Kind::Rinetd,
            Kind::Direct,
        ]
    }

    /// The ways to measure, ours always among them and first.
    pub fn kinds(&self) -> Vec<Kind> {
        let is_wanted = |kind: &Kind| {
            let is_named = self.relays.iter().any(|word| kind.word().contains(word.as_str()));
            let is_free = !self.is_smoke || !kind.is_rival();
            *kind == Kind::Ours || (is_free && (self.relays.is_empty() || is_named))
        };
        self.all_kinds().into_iter().filter(is_wanted).collect()
    }

    /// The loads to run.
    pub fn workloads(&self) -> Vec<Workload> {
        let is_wanted = |workload: &Workload| match workload.group {
            Group::Sweep => self.sections.iter().any(|word| Group::Sweep.word().contains(word)),
            Group::Growth | Group::Idle if self.is_smoke => false,
            _ => self.sections.is_empty() || self.sections.iter().any(|w| is_about(workload, w)),
        };
        Workload::all().into_iter().filter(is_wanted).collect()
    }

    /// Whether some of it was chosen, so that not everything can be told.
    pub fn is_partial(&self) -> bool {
        !self.sections.is_empty() || !self.relays.is_empty()
    }

    /// Whether a section other than the loads is to be run.
    pub fn includes(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|word| section.contains(word))
    }

    /// Rounds of this load, and how long each of them counts.
    pub fn rounds_of(&self, workload: &Workload) -> (usize, Duration) {
        match workload.group {
            Group::Main | Group::Sweep => (self.rounds, self.window),
            Group::Growth => (self.long_rounds, self.window),
            Group::Idle => {
                let rounds = u32::try_from(self.long_rounds).expect("a few");
                (self.long_rounds, self.idle_time / rounds)
            }
        }
    }
}

/// Whether a word means this load. The sweep has to be asked for by name.
fn is_about(workload: &Workload, word: &str) -> bool {
    let is_named = workload.group != Group::Sweep && workload.name.contains(word);
    is_named || workload.group.word().contains(word)
}
