//! What is measured: what the command line asks for.

use std::path::Path;
use std::time::Duration;

use super::client::Client;
use super::fault::Fault;
use super::util::Version;
use super::way::Way;

/// The longest hold of a quick run.
const QUICK_HOLD: Duration = Duration::from_secs(20);

/// What was asked for.
pub struct Plan {
    pub rounds: u32,
    pub versions: Vec<Version>,
    pub faults: Vec<Fault>,
    pub ways: Vec<Way>,
    pub clients: Vec<Client>,
    hold_max: Option<Duration>,
}

impl Plan {
    /// Reads the command line; the error is what it cannot mean.
    pub fn from_arguments(arguments: &[String]) -> Result<Plan, String> {
        let is_quick = arguments.iter().any(|argument| argument == "--quick");
        let mut plan = Plan {
            rounds: if is_quick { 1 } else { 5 },
            versions: Version::ALL.to_vec(),
            faults: Vec::new(),
            ways: Vec::new(),
            clients: Vec::new(),
            hold_max: is_quick.then_some(QUICK_HOLD),
        };
        let mut more = Vec::new();
        for argument in arguments {
            match argument.split_once('=') {
                Some(("--with", flags)) => {
                    let flags = flags.split(',').map(str::to_owned);
                    more.push(Way::Ours(flags.collect()));
                }
                Some((flag, value)) => plan.set(flag, value)?,
                None if argument.starts_with("--") => plan.set(argument, "")?,
                None => plan.select(argument)?,
            }
        }
        plan.complete(is_quick);
        plan.ways.extend(more);
        Ok(plan)
    }

    /// How long a fault lasts.
    pub fn hold(&self, fault: Fault) -> Duration {
        self.hold_max.map_or(fault.hold(), |most| fault.hold().min(most))
    }

    /// What is missing of the clients that were asked for, in words.
    pub fn missing(&self, folder: &Path) -> Option<String> {
        let prepared = self.clients.iter().filter_map(|client| client.prepared(folder));
        let missing = prepared.into_iter().find(|path| !path.exists())?;
        Some(format!("no {}: run sh benches/faults/prepare.sh", missing.display()))
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let number: Option<u32> = value.parse().ok().filter(|&number| number > 0);
        match (flag, value, number) {
            ("--quick" | "--bench", "", _) => {}
            ("--rounds", _, Some(rounds)) => self.rounds = rounds,
            ("--hold", _, Some(seconds)) => {
                self.hold_max = Some(Duration::from_secs(seconds.into()));
            }
            ("--etcd", "debian", _) => self.versions = vec![Version::Debian],
            ("--etcd", "3.5", _) => self.versions = vec![Version::V3_5],
            _ => return Err(format!("{flag}={value} means nothing: see benches/faults/main.rs")),
        }
        Ok(())
    }

    fn select(&mut self, word: &str) -> Result<(), String> {
        let faults = Fault::ALL.into_iter().filter(|fault| fault.word() == word);
        let ways = all_ways().into_iter().filter(|way| way.word() == word);
        let clients = Client::ALL.into_iter().filter(|client| client.word() == word);
        let before = self.faults.len() + self.ways.len() + self.clients.len();
        self.faults.extend(faults);
        self.ways.extend(ways);
        self.clients.extend(clients);
        if self.faults.len() + self.ways.len() + self.clients.len() == before {
            let words: Vec<&str> = (Fault::ALL.into_iter().map(Fault::word))
                .chain(all_ways().iter().map(Way::word))
                .chain(Client::ALL.into_iter().map(Client::word))
                .collect();
            return Err(format!("no {word} here: use some of {}", words.join(", ")));
        }
        Ok(())
    }

    /// Of what no word has selected, everything.
    fn complete(&mut self, is_quick: bool) {
        if self.faults.is_empty() {
            self.faults = Fault::ALL.to_vec();
        }
        if self.ways.is_empty() {
            self.ways = all_ways();
        }
        if self.clients.is_empty() {
            self.clients = Client::ALL.to_vec();
            self.clients.retain(|client| !(is_quick && client.lasts()));
        }
    }
}

fn all_ways() -> Vec<Way> {
    vec![Way::Direct, Way::Ours(Vec::new()), Way::Etcd, Way::HaproxyTcp, Way::HaproxyHttp]
}
