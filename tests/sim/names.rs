//! What a run with names is like: which hosts there are, where they are listed, what this host's
//! files say. Which of it is true at a moment is in `zone.rs`.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etcd_gateway::address::Address;
use etcd_gateway::config::DNS_QUERY_MAX;
use etcd_gateway::config::address::{EndpointAddress, Host as TypedHost};
use etcd_gateway::config::discovery_srv::{DiscoverySrv, Trust};
use etcd_gateway::config::{HOSTS_BYTES_PER_TURN, HOSTS_READS_MAX};
use etcd_gateway::discovery::Sources;
use etcd_gateway::upstream::{Check, EndpointSpec};

use crate::habits::Habits;
use crate::random::Random;
use crate::trouble::{WILD_DOMAIN, dead_endpoints};
use crate::zone::AAAA;

/// Where everything is, and what the search list is for.
pub const DOMAIN: &str = "gw.test";
/// Where etcd keeps its records: of members that speak TLS, and of those that do not.
pub const SERVICES: [&str; 2] = ["_etcd-client-ssl._tcp.gw.test", "_etcd-client._tcp.gw.test"];
/// The port that a typed name has, and the first one in records.
const PORT: u16 = 2379;

/// Where endpoints come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Names and addresses in `--endpoints`.
    Typed,
    /// SRV records.
    Records { is_insecure: bool },
}

/// A host, and the endpoints that its addresses may be.
#[derive(Clone, Debug)]
pub struct Host {
    /// As it is typed, or as a record spells it.
    pub text: String,
    /// The full name.
    pub full: String,
    pub port: u16,
    pub endpoints: Vec<usize>,
    pub priority: u16,
    pub weight: u16,
    /// It is typed as an address.
    pub is_literal: bool,
    /// It is in /etc/hosts, with all its addresses.
    pub is_in_file: bool,
    /// The endpoint that a wildcard takes for it, one of its own that is never listed.
    pub stranger: Option<usize>,
}

/// What resolv.conf says.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub servers: Vec<usize>,
    pub search: Vec<&'static str>,
    pub timeout: Duration,
    pub attempts: u32,
    pub dots_min: usize,
    pub rotates: bool,
    pub is_stream_only: bool,
}

#[derive(Clone, Debug)]
pub struct Names {
    pub source: Source,
    pub hosts: Vec<Host>,
    /// What resolv.conf says, first and later.
    pub configurations: Vec<Configuration>,
    pub habits: Habits,
    /// Seconds that records live.
    pub lives: &'static [u32],
    /// Bytes before all else in each version of /etc/hosts, round and round.
    pub hosts_bytes: &'static [usize],
    /// The number of names of a zone that no server answers for, typed before the others.
    pub dead: usize,
}

/// The IP address of an endpoint.
pub fn ip_of(spec: &EndpointSpec) -> IpAddr {
    spec.address.ip().expect("no endpoint is a path")
}

pub fn server_address(server: usize) -> SocketAddr {
    ([192, 0, 2, 200 + server as u8], 53).into()
}

pub fn server_of(address: SocketAddr) -> Option<usize> {
    (0..4).find(|server| server_address(*server) == address)
}

impl Names {
    /// `hosts` with an address each, one name server, and records that live a second.
    pub fn calm(source: Source, hosts: usize) -> Names {
        let host = |index: usize| Host {
            text: full_name(index),
            full: full_name(index),
            port: PORT + index as u16,
            endpoints: vec![index],
            priority: 0,
            weight: 1,
            is_literal: false,
            is_in_file: false,
            stranger: None,
        };
        Names {
            source,
            hosts: (0..hosts).map(host).collect(),
            configurations: vec![Configuration {
                servers: vec![0],
                search: vec!["."],
                timeout: Duration::from_secs(1),
                attempts: 2,
                dots_min: 1,
                rotates: false,
                is_stream_only: false,
            }],
            habits: Habits::calm(),
            lives: &[1],
            hosts_bytes: &[0],
            dead: 0,
        }
    }

    pub fn draw(random: &mut Random) -> Names {
        let source = random.one_of(&[
            Source::Typed,
            Source::Records { is_insecure: true },
            Source::Records { is_insecure: false },
        ]);
        let is_typed = source == Source::Typed;
        let is_short = random.chance(400);
        let has_wildcard = is_typed && is_short && random.chance(500);
        let mut next = 0;
        let mut host = |index: usize| {
            let is_literal = is_typed && random.chance(150);
            let is_in_file = random.chance(50);
            let stands_alone = is_literal || is_in_file;
            let count = if is_literal { 1 } else { random.one_of(&[1, 1, 2, 3]) };
            let is_taken = has_wildcard && !stands_alone;
            let count = count + usize::from(is_taken);
            let endpoints = (next..next + count).collect();
            next += count;
            let full = full_name(index);
            let typed = [full.clone(), format!("{full}."), format!("N{index}.GW.test")];
            let mut text = typed[random.below(3) as usize].clone();
            if is_short {
                text = format!("n{index}");
            }
            Host {
                text: if is_typed { text } else { full.clone() },
                full,
                port: if random.chance(500) { PORT } else { PORT + index as u16 },
                endpoints,
                priority: random.one_of(&[0, 0, 0, 1]),
                weight: random.one_of(&[1, 1, 2, 3, 0]),
                is_literal,
                is_in_file,
                stranger: is_taken.then(|| next - 1),
            }
        };
        let hosts: Vec<Host> = (0..3).map(&mut host).collect();
        let hosts = hosts[..random.one_to(3) as usize].to_vec();
        let mut configurations: Vec<_> = (0..3).map(|_| Configuration::draw(random)).collect();
        if has_wildcard {
            configurations.iter_mut().for_each(|file| file.search = vec![DOMAIN, WILD_DOMAIN]);
        }
        let dead = if is_typed && random.chance(250) { random.one_of(&[25, 40, 60]) } else { 0 };
        let habits = match random.chance(400) {
            true => Habits::draw(&configurations, random),
            false => Habits::calm(),
        };
        Names {
            source,
            hosts,
            configurations,
            habits,
            dead,
            lives: random.one_of(&[&[0, 1, 2], &[1], &[0, 3, 8], &[2, 5]]),
            hosts_bytes: match random.fork().below(10) {
                0 => &[700_000, 70_000, 300_000],
                1 | 2 => &[200_000, 70_000, 140_000],
                _ => &[0, 500],
            },
        }
    }

    /// The endpoints that there may be, with addresses of either family.
    pub fn specs(&self, random: &mut Random, v6: u32) -> Vec<EndpointSpec> {
        let v6 = match self.habits.silent_family {
            Some(AAAA) => 0,
            Some(_) => 1000,
            None => v6,
        };
        let mut specs = Vec::new();
        let check = match self.source {
            Source::Records { is_insecure: false } => Check::Tls,
            _ => Check::Connect,
        };
        for host in &self.hosts {
            for endpoint in &host.endpoints {
                assert_eq!(*endpoint, specs.len(), "endpoints are numbered by host");
                let last = 10 + *endpoint as u8;
                let address = if random.chance(v6) {
                    Address::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)], host.port))
                } else {
                    Address::from(([192, 0, 2, last], host.port))
                };
                let (priority, weight) = (host.priority, host.weight);
                specs.push(EndpointSpec { address, priority, weight, check, health_check: None });
            }
        }
        specs
    }

    /// The same in a calm world: one after the other.
    pub fn specs_calm(&self) -> Vec<EndpointSpec> {
        self.specs(&mut Random::new(0), 0)
    }

    /// What the gateway is started with.
    pub fn sources(&self, specs: &[EndpointSpec]) -> Sources {
        let typed = |host: &Host| EndpointAddress {
            scheme: None,
            host: match host.is_literal {
                true => TypedHost::Address(ip_of(&specs[host.endpoints[0]])),
                false => TypedHost::Name(host.text.clone()),
            },
            port: host.port,
            priority: host.priority,
            weight: host.weight,
        };
        match self.source {
            Source::Typed => {
                let endpoints = dead_endpoints(self.dead).chain(self.hosts.iter().map(typed));
                Sources::default().with(endpoints)
            }
            Source::Records { is_insecure } => {
                let domain = DOMAIN.to_owned();
                let trust = match is_insecure {
                    true => Trust::Unverified,
                    false => Trust::Certified,
                };
                Sources::default().with([DiscoverySrv { domain, name: None, trust }])
            }
        }
    }

    pub fn host_of(&self, endpoint: usize) -> usize {
        let position = self.hosts.iter().position(|host| host.endpoints.contains(&endpoint));
        position.expect("every endpoint has a host")
    }

    /// Turns after the first that it takes to read /etc/hosts: for the names of before, and then
    /// for those that came meanwhile.
    pub fn hosts_turns(&self) -> u64 {
        let most = self.hosts_bytes.iter().max().copied().unwrap_or_default();
        let turns = most / HOSTS_BYTES_PER_TURN;
        if turns == 0 { 0 } else { 2 * u64::from(HOSTS_READS_MAX) * (turns as u64 + 2) }
    }

    /// The text of a version of /etc/hosts. Hosts come last, in another place each time: who reads
    /// parts of two versions misses them.
    pub fn hosts_file(&self, specs: &[EndpointSpec], version: u64) -> String {
        let bytes = self.hosts_bytes[version as usize % self.hosts_bytes.len()];
        const UNWANTED: &str = "0.0.0.0 unwanted.example\n";
        let mut text = UNWANTED.repeat(bytes / UNWANTED.len());
        text.push_str("127.0.0.1 localhost\n");
        for host in self.hosts.iter().filter(|host| host.is_in_file) {
            for endpoint in &host.endpoints {
                let (address, name) = (ip_of(&specs[*endpoint]), &host.full);
                let short = name.split('.').next().unwrap_or(name);
                writeln!(text, "{address}\t{name} {short}").expect("a string takes everything");
            }
        }
        text
    }
}

fn full_name(index: usize) -> String {
    format!("n{index}.{DOMAIN}")
}

impl Configuration {
    fn draw(random: &mut Random) -> Configuration {
        let first = random.below(3) as usize;
        let count = random.one_to(3) as usize;
        Configuration {
            servers: (0..count).map(|offset| (first + offset) % 3).collect(),
            // A short name has to be found in each of them.
            search: random
                .one_of(&[
                    &[DOMAIN][..],
                    &["other.test", DOMAIN],
                    &[DOMAIN, "other.test"],
                    &["a.test", "b.test", DOMAIN],
                ])
                .to_vec(),
            timeout: Duration::from_secs(random.one_of(&[1, 1, 2, 5])),
            attempts: random.one_of(&[1, 2, 2, 3]),
            dots_min: random.one_of(&[1, 1, 1, 0, 2, 5]),
            rotates: random.chance(200),
            is_stream_only: random.chance(100),
        }
    }

    /// How long one question may take.
    pub fn time_in_all(&self) -> Duration {
        let times = self.attempts * self.servers.len() as u32;
        (times * self.timeout).min(DNS_QUERY_MAX)
    }

    pub fn text(&self) -> String {
        let mut text = String::from("# written by a test\n");
        for server in &self.servers {
            let address = server_address(*server).ip();
            writeln!(text, "nameserver {address}").expect("a string takes everything");
        }
        let Configuration { timeout, attempts, dots_min, .. } = self;
        let rotates = if self.rotates { " rotate" } else { "" };
        let stream = if self.is_stream_only { " use-vc" } else { "" };
        let seconds = timeout.as_secs();
        let search = self.search.join(" ");
        writeln!(
            text,
            "search {search}\n\
             options ndots:{dots_min} timeout:{seconds} attempts:{attempts}{rotates}{stream}"
        )
        .expect("a string takes everything");
        text
    }
}
