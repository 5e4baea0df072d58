//! What the name servers say, which changes over time: which addresses a host has, which records
//! list it, and through how many aliases it is found.

use crate::names::{DOMAIN, Names, SERVICES};
use crate::random::Random;
use crate::trouble::host_of_wildcard;

/// The kinds of records that may be asked for, by their numbers.
pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;

/// One SRV record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub host: usize,
    pub priority: u16,
    pub weight: u16,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Host(usize),
    /// One of [`SERVICES`].
    Service(usize),
}

/// What there is at the end of the aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Endpoints(Vec<usize>),
    Records(Vec<Record>),
}

/// What a zone has for a question.
#[derive(Clone, Debug)]
pub struct Found {
    /// Names on the way, each an alias of the next one; the last has the records.
    pub way: Vec<String>,
    /// The answer ends before the records: the last name is to be asked for.
    pub is_part: bool,
    pub exists: bool,
    pub value: Value,
    /// Seconds.
    pub life: u32,
}

#[derive(Clone, Debug)]
pub struct Zone {
    /// Whether each endpoint's address is there.
    pub listed: Vec<bool>,
    pub services: [Vec<Record>; 2],
    /// Aliases on the way to each host.
    pub aliases: Vec<usize>,
    /// Answers stop after one alias.
    pub tells_aliases_one_by_one: bool,
}

impl Zone {
    /// Everybody is there.
    pub fn full(names: &Names, endpoints: usize) -> Zone {
        let record = |(host, listed): (usize, &crate::names::Host)| Record {
            host,
            priority: listed.priority,
            weight: listed.weight,
        };
        let records: Vec<Record> = names.hosts.iter().enumerate().map(record).collect();
        Zone {
            listed: vec![true; endpoints],
            services: [records, Vec::new()],
            aliases: vec![0; names.hosts.len()],
            tells_aliases_one_by_one: false,
        }
    }

    /// No name is asked for.
    pub fn none() -> Zone {
        Zone {
            listed: Vec::new(),
            services: [Vec::new(), Vec::new()],
            aliases: Vec::new(),
            tells_aliases_one_by_one: false,
        }
    }

    pub fn draw(names: &Names, endpoints: usize, random: &mut Random) -> Zone {
        let mut zone = Zone::full(names, endpoints);
        // Each of them would be late by as much.
        zone.tells_aliases_one_by_one = random.chance(300) && names.habits.lateness.is_zero();
        (0..random.below(6)).for_each(|_| zone.change(names, random));
        zone
    }

    /// Something changes.
    pub fn change(&mut self, names: &Names, random: &mut Random) {
        let endpoint = random.below(self.listed.len() as u64) as usize;
        let host = random.below(names.hosts.len() as u64) as usize;
        let set = random.one_of(&[0, 0, 0, 1]);
        match random.below(8) {
            0 | 1 => self.listed[endpoint] = !self.listed[endpoint],
            2 => self.listed[endpoint] = true,
            // All of a host at once.
            3 => {
                let is_listed = random.chance(600);
                let endpoints = &names.hosts[host].endpoints;
                endpoints.iter().for_each(|endpoint| self.listed[*endpoint] = is_listed);
            }
            4 => self.aliases[host] = random.one_of(&[0, 0, 1, 2, 5]),
            5 => self.services[set].clear(),
            _ => {
                let records = &mut self.services[set];
                let before = records.len();
                records.retain(|record| record.host != host);
                if records.len() == before || random.chance(600) {
                    records.push(Record {
                        host,
                        priority: random.one_of(&[0, 0, 1, 7]),
                        weight: random.one_of(&[0, 1, 1, 2, 3]),
                    });
                }
            }
        }
    }

    /// One host is there in any case.
    pub fn settle(&mut self, names: &Names) {
        let host = &names.hosts[0];
        if self.listed.iter().all(|listed| !listed) || !self.listed[host.endpoints[0]] {
            self.listed[host.endpoints[0]] = true;
        }
        if !self.services[0].iter().any(|record| record.host == 0) {
            self.services[0].push(Record { host: 0, priority: 0, weight: 1 });
        }
    }

    /// Everybody is there.
    pub fn list_all(&mut self, names: &Names) {
        self.listed.fill(true);
        for host in 0..names.hosts.len() {
            if !self.services[0].iter().any(|record| record.host == host) {
                self.services[0].push(Record { host, priority: 0, weight: 1 });
            }
        }
    }

    /// The subject of a name, if it is one that is asked for in this run.
    pub fn subject_of(names: &Names, name: &str) -> Option<Subject> {
        if let Some(set) = SERVICES.iter().position(|service| *service == name) {
            return Some(Subject::Service(set));
        }
        let is_own = |full: &str| {
            let alias = name.strip_suffix(full).and_then(|rest| rest.strip_suffix('.'));
            let is_alias = |alias: &str| {
                alias.strip_prefix('c').is_some_and(|rest| rest.parse::<usize>().is_ok())
            };
            name == full || alias.is_some_and(is_alias)
        };
        let host = names.hosts.iter().position(|host| is_own(&host.full))?;
        Some(Subject::Host(host))
    }

    pub fn find(&self, names: &Names, name: &str, kind: u16, family: &[bool], life: u32) -> Found {
        let nothing = |exists| Found {
            way: vec![name.to_owned()],
            is_part: false,
            exists,
            value: Value::Endpoints(Vec::new()),
            life,
        };
        match Zone::subject_of(names, name) {
            None => match host_of_wildcard(names, name) {
                Some(host) => {
                    let strangers = names.hosts[host].stranger.into_iter();
                    let is_kind =
                        |stranger: &usize| kind == if family[*stranger] { AAAA } else { A };
                    let value = Value::Endpoints(strangers.filter(is_kind).collect());
                    Found { value, ..nothing(true) }
                }
                None => nothing(name == DOMAIN),
            },
            Some(Subject::Service(set)) => {
                let records = &self.services[set];
                let value = if kind == SRV { records.clone() } else { Vec::new() };
                Found { value: Value::Records(value), ..nothing(!records.is_empty()) }
            }
            Some(Subject::Host(host)) => {
                let full = &names.hosts[host].full;
                let step = name.strip_suffix(full.as_str()).unwrap_or("");
                let step = step.trim_start_matches('c').trim_end_matches('.');
                let step: usize = step.parse().unwrap_or(0);
                let aliases = self.aliases[host];
                if step > aliases {
                    return nothing(false);
                }
                let own = |step: usize| match step {
                    0 => full.clone(),
                    _ => format!("c{step}.{full}"),
                };
                let is_part = self.tells_aliases_one_by_one && step < aliases;
                let last = if is_part { step + 1 } else { aliases };
                let stranger = names.hosts[host].stranger;
                let mine = names.hosts[host].endpoints.iter().copied();
                let mine = mine.filter(|endpoint| Some(*endpoint) != stranger);
                let is_kind = |endpoint: &usize| {
                    self.listed[*endpoint] && kind == if family[*endpoint] { AAAA } else { A }
                };
                let way = (step..=last).map(own).collect();
                let value = Value::Endpoints(mine.filter(is_kind).collect());
                Found { way, is_part, exists: true, value, life }
            }
        }
    }

    /// The endpoints that should be, in the end.
    pub fn endpoints(&self, names: &Names) -> Vec<usize> {
        use crate::names::Source;
        let is_listed = |host: usize| {
            let has = |set: usize| self.services[set].iter().any(|record| record.host == host);
            match names.source {
                Source::Typed => true,
                Source::Records { is_insecure } => has(0) || (is_insecure && has(1)),
            }
        };
        let mut found = Vec::new();
        for (index, host) in names.hosts.iter().enumerate().filter(|(index, _)| is_listed(*index)) {
            let _ = index;
            let is_fixed = host.is_literal || host.is_in_file;
            let own = host.endpoints.iter().copied();
            let own = own.filter(|endpoint| Some(*endpoint) != host.stranger);
            let before = found.len();
            found.extend(own.filter(|endpoint| is_fixed || self.listed[*endpoint]));
            if found.len() == before {
                // The wildcard has its turn.
                found.extend(host.stranger);
            }
        }
        found
    }
}
