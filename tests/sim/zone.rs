//! What the name servers say, which changes over time: which addresses a host has, which records
//! list it, and through how many aliases it is found.

use crate::names::{DOMAIN, Names, SERVICES, Source};
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

impl Found {
    fn nothing(name: &str, exists: bool, life: u32) -> Found {
        let value = Value::Endpoints(Vec::new());
        Found { way: vec![name.to_owned()], is_part: false, exists, value, life }
    }
}

impl Zone {
    /// All hosts are there.
    pub fn full(names: &Names, endpoints: usize) -> Zone {
        let mut records = Vec::new();
        for (host, listed) in names.hosts.iter().enumerate() {
            records.push(Record { host, priority: listed.priority, weight: listed.weight });
        }
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
        let host = names.hosts.iter().position(|host| is_of(name, &host.full))?;
        Some(Subject::Host(host))
    }

    pub fn find(&self, names: &Names, name: &str, kind: u16, family: &[bool], life: u32) -> Found {
        match Zone::subject_of(names, name) {
            None => match host_of_wildcard(names, name) {
                Some(host) => {
                    let strangers = names.hosts[host].stranger.into_iter();
                    let strangers = strangers.filter(|stranger| kind_of(family[*stranger]) == kind);
                    let value = Value::Endpoints(strangers.collect());
                    Found { value, ..Found::nothing(name, true, life) }
                }
                None => Found::nothing(name, name == DOMAIN, life),
            },
            Some(Subject::Service(set)) => {
                let records = &self.services[set];
                let value = if kind == SRV { records.clone() } else { Vec::new() };
                let nothing = Found::nothing(name, !records.is_empty(), life);
                Found { value: Value::Records(value), ..nothing }
            }
            Some(Subject::Host(host)) => {
                let full = &names.hosts[host].full;
                let step = name.strip_suffix(full.as_str()).unwrap_or("");
                let step = step.trim_start_matches('c').trim_end_matches('.');
                let step: usize = step.parse().unwrap_or(0);
                let aliases = self.aliases[host];
                if step > aliases {
                    return Found::nothing(name, false, life);
                }
                let is_part = self.tells_aliases_one_by_one && step < aliases;
                let last = if is_part { step + 1 } else { aliases };
                let stranger = names.hosts[host].stranger;
                let mine = names.hosts[host].endpoints.iter().copied();
                let mine = mine.filter(|endpoint| Some(*endpoint) != stranger);
                let listed = mine.filter(|endpoint| self.listed[*endpoint]);
                let listed = listed.filter(|endpoint| kind_of(family[*endpoint]) == kind);
                let way = (step..=last).map(|step| link(full, step)).collect();
                let value = Value::Endpoints(listed.collect());
                Found { way, is_part, exists: true, value, life }
            }
        }
    }

    /// The endpoints that should be, in the end.
    pub fn endpoints(&self, names: &Names) -> Vec<usize> {
        let sets = match names.source {
            Source::Typed => &[],
            Source::Records { is_insecure: false } => &self.services[..1],
            Source::Records { is_insecure: true } => &self.services[..],
        };
        let mut found = Vec::new();
        for (index, host) in names.hosts.iter().enumerate() {
            let is_listed = sets.iter().flatten().any(|record| record.host == index);
            if !is_listed && names.source != Source::Typed {
                continue;
            }
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

/// Whether the name is the full one of a host, or an alias on the way to it.
fn is_of(name: &str, full: &str) -> bool {
    let Some(rest) = name.strip_suffix(full) else { return false };
    let step = rest.strip_suffix('.').and_then(|alias| alias.strip_prefix('c'));
    rest.is_empty() || step.is_some_and(|step| step.parse::<usize>().is_ok())
}

/// The name that is `step` aliases away from the full one.
fn link(full: &str, step: usize) -> String {
    if step == 0 { full.to_owned() } else { format!("c{step}.{full}") }
}

/// The kind of the records that hold addresses of that family.
fn kind_of(is_v6: bool) -> u16 {
    if is_v6 { AAAA } else { A }
}
