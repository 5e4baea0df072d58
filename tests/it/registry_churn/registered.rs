//! The registered services, and the hand that changes them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::connections::Probe;
use super::{PATIENCE, PAUSE};
use crate::util::{JsonClient, base64, json_number, json_text};

pub const SERVICES: usize = 200;
/// How far their number may be from that.
const SERVICES_SPREAD: usize = 12;
pub const PORT: u16 = 7000;
/// A service has one of these weights. They are so far apart that a changed one shows in one round
/// of all connections, in which the share of a service may be one off.
const WEIGHTS: [u16; 2] = [2, 5];
/// Weights at the end: those of all services sum up to 600.
const LAST_WEIGHTS: [u16; 2] = [2, 4];
/// Seconds that the longest leases last, which is longer than the test, and the shortest ones.
const LONG: u64 = 600;
const SHORT: u64 = 2;

/// The weights of services, by their addresses.
pub type Services = BTreeMap<Ipv4Addr, u16>;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// A registered service, as the last range has shown it.
#[derive(Clone)]
struct Entry {
    address: Ipv4Addr,
    weight: u16,
    lease: u64,
}

/// A range of all keys.
struct Snapshot {
    begun: Instant,
    ended: Instant,
    services: Services,
}

/// The registry, and the hand that changes it.
pub struct Registry {
    members: Vec<JsonClient>,
    current: usize,
    random: Random,
    /// Keys that can be changed: none of those that were changed since the last range.
    entries: BTreeMap<String, Entry>,
    revision: u64,
    /// Numbers of keys and addresses so far.
    keys: usize,
    addresses: u32,
    reads: Vec<Snapshot>,
}

impl Registry {
    /// Registers all services.
    pub fn new(members: &[SocketAddr], seed: u64) -> Registry {
        let clients = members.iter().map(|member| JsonClient::new(*member).with_time_limit(2));
        let mut registry = Registry {
            members: clients.collect(),
            current: 0,
            random: Random(seed),
            entries: BTreeMap::new(),
            revision: 0,
            keys: 0,
            addresses: 0,
            reads: Vec::new(),
        };
        (0..SERVICES).for_each(|_| registry.register());
        registry
    }

    /// Has a member do something, whichever can. What was done by a try before is done.
    fn call(&mut self, path: &str, body: &Value) -> Value {
        let begun = Instant::now();
        loop {
            match self.members[self.current].call(path, body) {
                Ok(answer) => return answer,
                Err(problem) if is_done(&problem) => return Value::Null,
                Err(problem) => assert!(begun.elapsed() < PATIENCE, "{problem}"),
            }
            self.current = (self.current + 1) % self.members.len();
            thread::park_timeout(PAUSE);
        }
    }

    /// All keys, as a quorum has them.
    pub fn read(&mut self) -> Services {
        let begun = Instant::now();
        let [key, end] = ["svc/", "svc0"].map(|key| base64(key.as_bytes()));
        let answer = self.call("/v3/kv/range", &json!({"key": key, "range_end": end}));
        self.revision = json_number(&answer["header"]["revision"]);
        let keys = answer["kvs"].as_array().expect("there are always services");
        self.entries = keys.iter().map(|kv| (json_text(&kv["key"]), entry(kv))).collect();
        let entries = self.entries.values();
        let services: Services = entries.map(|entry| (entry.address, entry.weight)).collect();
        let ended = Instant::now();
        self.reads.push(Snapshot { begun, ended, services: services.clone() });
        services
    }

    fn grant(&mut self, seconds: u64) -> Value {
        self.call("/v3/lease/grant", &json!({"TTL": seconds}))["ID"].clone()
    }

    fn new_address(&mut self) -> Ipv4Addr {
        self.addresses += 1;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + self.addresses)
    }

    fn new_key(&mut self) -> String {
        self.keys += 1;
        // Before and after all others, by chance.
        format!("svc/{:03}-{}", self.random.below(1000), self.keys)
    }

    fn put(&mut self, key: &str, address: Ipv4Addr, weight: u16, lease: u64) {
        let lease = self.grant(lease);
        let put = self.put_request(key, address, weight, &lease);
        self.call("/v3/kv/put", &put);
    }

    /// A put of a value in one of the shapes that registries write.
    fn put_request(&mut self, key: &str, address: Ipv4Addr, weight: u16, lease: &Value) -> Value {
        let address = format!("{address}:{PORT}");
        let value = match self.random.below(2) {
            0 => json!({"Op": 0, "Addr": address, "Metadata": {"weight": weight.to_string()}}),
            _ => json!({"network": "tcp", "address": address, "weight": weight, "tags": {}}),
        };
        let value = base64(value.to_string().as_bytes());
        json!({"key": base64(key.as_bytes()), "value": value, "lease": lease})
    }

    fn register(&mut self) {
        let (key, address) = (self.new_key(), self.new_address());
        let weight = WEIGHTS[self.random.below(2)];
        self.put(&key, address, weight, LONG);
    }

    /// A key that was not changed since the last range.
    fn take(&mut self) -> Option<(String, Entry)> {
        let count = self.entries.len();
        let at = self.random.below(count.max(1));
        let key = self.entries.keys().nth(at)?.clone();
        self.entries.remove_entry(&key)
    }

    /// Changes one service, or replaces one by another at one revision.
    pub fn change(&mut self, count: usize) {
        let Some((key, entry)) = self.take() else { return };
        let encoded = base64(key.as_bytes());
        let Entry { address, weight, lease } = entry;
        let may_grow = count < SERVICES + SERVICES_SPREAD;
        let may_shrink = count > SERVICES - SERVICES_SPREAD;
        match self.random.below(10) {
            0..=2 if may_grow => self.register(),
            3 if may_shrink => drop(self.call("/v3/kv/deleterange", &json!({"key": encoded}))),
            4 if may_shrink => drop(self.call("/v3/lease/revoke", &json!({"ID": lease}))),
            5 if may_shrink => self.put(&key, address, weight, SHORT),
            6 => {
                let (lease, key) = (self.grant(LONG), self.new_key());
                let address = self.new_address();
                let put = self.put_request(&key, address, weight, &lease);
                let delete = json!({"key": encoded});
                let both = [json!({"requestDeleteRange": delete}), json!({"requestPut": put})];
                self.call("/v3/kv/txn", &json!({"success": both}));
            }
            7 | 8 => {
                let address = self.new_address();
                self.put(&key, address, weight, LONG);
            }
            _ => self.put(&key, address, WEIGHTS[usize::from(weight == WEIGHTS[0])], LONG),
        }
    }

    /// Changes some services.
    pub fn churn(&mut self) {
        let count = self.entries.len();
        for _ in 0..1 + self.random.below(15) {
            self.change(count);
        }
    }

    /// Forgets all revisions before that of the last range, which has come before changes.
    pub fn compact(&mut self) {
        self.call("/v3/kv/compaction", &json!({"revision": self.revision}));
    }

    /// Brings the services to their number, and gives them weights whose sum is 600.
    pub fn even_out(&mut self) {
        loop {
            let count = self.read().len();
            (count..SERVICES).for_each(|_| self.register());
            for _ in SERVICES..count {
                let (key, _) = self.take().expect("there are more than enough");
                self.call("/v3/kv/deleterange", &json!({"key": base64(key.as_bytes())}));
            }
            // A lease may have ended meanwhile.
            if count == SERVICES {
                break;
            }
        }
        for (at, (key, entry)) in self.entries.clone().into_iter().enumerate() {
            self.put(&key, entry.address, LAST_WEIGHTS[at % 2], LONG);
        }
    }

    /// The longest time after which a connection was led to a service that was gone.
    pub fn longest_stale(&self, probes: &[Probe]) -> Duration {
        let mut last_seen: HashMap<Ipv4Addr, usize> = HashMap::new();
        for (number, read) in self.reads.iter().enumerate() {
            last_seen.extend(read.services.keys().map(|address| (*address, number)));
        }
        let stale = probes.iter().filter_map(|probe| {
            let known = self.reads.partition_point(|read| read.ended <= probe.begun);
            // One that no range has seen was there between two of them.
            let last = *last_seen.get(&probe.address)?;
            let gone = self.reads.get(last + 1).filter(|_| last + 1 < known)?;
            Some(probe.begun.saturating_duration_since(gone.begun))
        });
        stale.max().unwrap_or_default()
    }
}

/// Whether an error says that a try before was carried out, or that a lease has just ended.
fn is_done(problem: &str) -> bool {
    problem.contains("lease not found") || problem.contains("has been compacted")
}

/// A service as it is registered.
fn entry(kv: &Value) -> Entry {
    let value: Value = serde_json::from_str(&json_text(&kv["value"])).expect("what we have put");
    let address = value["Addr"].as_str().or(value["address"].as_str()).expect("an address");
    let address: SocketAddr = address.parse().expect("an address");
    let IpAddr::V4(address) = address.ip() else { panic!("{address} is not ours") };
    let text = value["Metadata"]["weight"].as_str().and_then(|weight| weight.parse().ok());
    let weight = text.or(value["weight"].as_u64()).expect("a weight");
    let weight = u16::try_from(weight).expect("a weight of ours");
    Entry { address, weight, lease: json_number(&kv["lease"]) }
}
