//! Answers about the process: whatever the facts are, and whatever comes and goes between pieces,
//! metrics are in their format and status is JSON, and sums fit.
//!
//! The oracles are a reader of metrics that is written by the documents, and serde_json. Texts are
//! taken from the input; numbers are, too, and go on by a generator where it ends.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use etcd_gateway::address::Address;
use etcd_gateway::config::{ADMIN_PIECE_BYTES, HISTORY_SAMPLES};
use etcd_gateway::discovery::{Lookups, ResolveError};
use etcd_gateway::observe::facts::{
    EndpointCounts, EndpointFacts, EndpointState, Facts, NameFacts, Resources, RunState, Snapshot,
    StateChange, Usage,
};
use etcd_gateway::observe::history::{History, Sample};
use etcd_gateway::observe::metrics::{Metrics, Rejection};
use etcd_gateway::observe::render::{
    Format, MetricsRendering, StatusRendering, history_of, readiness,
};
use etcd_gateway::observe::timings::Timings;
use etcd_gateway::relay::ending::Ending;
use etcd_gateway::upstream::{DialFailure, Tally};

use super::exposition::{self, Family};

/// Renders facts that are made of the bytes.
pub fn check(data: &[u8]) {
    let mut source = Source { data, word: 0x9e37_79b9_7f4a_7c15 };
    check_query(&String::from_utf8_lossy(data));
    let snapshot = snapshot(&mut source);
    let mut world = world(&mut source);
    // One of each pair, since the reader is slow.
    let format = [Format::Prometheus, Format::OpenMetrics][source.below(2) as usize];
    let between = (source.below(2) == 0).then_some(&mut source);
    let is_still = between.is_none();
    let families = metrics(format, &snapshot, &mut world.clone(), between);
    check_process(&families, &snapshot);
    if is_still {
        check_endpoints(&families, &world);
    }
    let history = source.below(HISTORY_SAMPLES as u64 + 1) as usize;
    check_status(&snapshot, &world, history);
    // As long as nothing is in the way of the JSON, what comes and goes is not either.
    status(&snapshot, &mut world, history, Some(&mut source));
}

fn check_query(query: &str) {
    let history = history_of(query);
    assert!(history <= HISTORY_SAMPLES);
    assert!(history == 0 || query.contains("history="));
    assert_eq!(history_of(&format!("{query}&history=17")), 17);
}

/// The sums of the process fit each other.
fn check_process(families: &[Family], snapshot: &Snapshot) {
    let [accepted, open, ended, rejected, lookups] = [
        "clients_accepted",
        "connections",
        "connections_ended",
        "clients_rejected",
        "name_lookups",
    ]
    .map(|name| find(families, name).sum());
    assert_eq!(accepted, open + ended + rejected);
    assert_eq!(accepted, snapshot.metrics.clients_accepted);
    assert_eq!(lookups, snapshot.lookups.begun + snapshot.lookups.local);
}

/// The family with this name, which is always there.
fn find<'a>(families: &'a [Family], name: &str) -> &'a Family {
    let mut names = families.iter().filter(|family| {
        family.name.trim_start_matches("etcd_gateway_").trim_end_matches("_total") == name
    });
    names.next().expect("always there")
}

/// Nothing of an endpoint is lost or counted twice, also where several are one series.
fn check_endpoints(families: &[Family], world: &World) {
    let endpoints: Vec<&Endpoint> = world.endpoints.iter().flatten().collect();
    let connections: u64 = endpoints.iter().map(|endpoint| u64::from(endpoint.connections)).sum();
    assert_eq!(find(families, "endpoint_connections").sum(), connections);
    let dials = endpoints.iter().map(|endpoint| endpoint.tally.dials);
    let decided: u64 = dials.map(|dials| dials.begun - dials.in_flight()).sum();
    assert_eq!(find(families, "endpoint_dials").sum(), decided);
    let bytes: u64 = endpoints.iter().map(|endpoint| endpoint.bytes[0] + endpoint.bytes[1]).sum();
    assert_eq!(find(families, "endpoint_bytes").sum(), bytes);
    let up = find(families, "endpoint_up");
    for endpoint in endpoints {
        let of = up.samples.iter().filter(|sample| endpoint.has(sample));
        assert_eq!(of.count(), 1);
    }
}

fn check_status(snapshot: &Snapshot, world: &World, history: usize) {
    let status = status(snapshot, &mut world.clone(), history, None);
    let endpoints = status["endpoints"].as_array().expect("an array");
    let known: Vec<&Endpoint> = world.endpoints.iter().flatten().collect();
    assert_eq!(endpoints.len(), known.len());
    for (shown, endpoint) in endpoints.iter().zip(known) {
        assert_eq!(shown["name"], endpoint.name.as_str());
        assert_eq!(shown["bytes"]["from_endpoint"], endpoint.bytes[1]);
        let samples = shown["history"]["bytes"].as_array().map_or(0, Vec::len);
        assert_eq!(samples, endpoint.history.samples().count().min(history));
    }
    let [accepted, open, ended, rejected] = ["accepted", "open", "ended", "rejected"]
        .map(|name| status["connections"][name].as_u64().expect("a number"));
    assert_eq!(accepted, open + ended + rejected);
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(world.changes.len()));
    let is_ready = readiness(snapshot.state, snapshot.endpoints).is_ok();
    assert_eq!(status["ready"], is_ready);
}

fn metrics(
    format: Format,
    snapshot: &Snapshot,
    world: &mut World,
    between: Option<&mut Source>,
) -> Vec<Family> {
    let mut rendering = MetricsRendering::new(format);
    let answer = pieces(world, between, &mut |facts, out| rendering.next(snapshot, facts, out));
    exposition::read(&answer, format == Format::OpenMetrics)
}

fn status(
    snapshot: &Snapshot,
    world: &mut World,
    history: usize,
    between: Option<&mut Source>,
) -> serde_json::Value {
    let mut rendering = StatusRendering::new(history);
    let answer = pieces(world, between, &mut |facts, out| rendering.next(snapshot, facts, out));
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// All pieces together. Each but the last one is as long as it says.
fn pieces(
    world: &mut World,
    mut between: Option<&mut Source>,
    next: &mut dyn FnMut(&World, &mut Vec<u8>) -> bool,
) -> String {
    let mut answer = Vec::new();
    loop {
        let mut piece = Vec::new();
        let is_last = next(world, &mut piece);
        assert!(is_last || piece.len() >= ADMIN_PIECE_BYTES);
        // Texts are at most a few hundred bytes here, and escaped ones six times as long.
        assert!(piece.len() < ADMIN_PIECE_BYTES + 48 * 1024, "{}", piece.len());
        answer.append(&mut piece);
        if is_last {
            return String::from_utf8(answer).expect("UTF-8");
        }
        if let Some(source) = &mut between {
            change(world, source);
        }
    }
}

/// Takes an endpoint away, gives one another place, or another state.
fn change(world: &mut World, source: &mut Source) {
    for _ in 0..source.below(4) {
        let [from, to] = [(); 2].map(|()| source.below(world.endpoints.len() as u64) as usize);
        match source.below(4) {
            0 => world.endpoints[from] = None,
            1 => world.endpoints.swap(from, to),
            2 => world.endpoints.push(world.endpoints[from].clone()),
            _ => {
                if let Some(endpoint) = &mut world.endpoints[from] {
                    endpoint.state = state(source);
                }
            }
        }
        if source.below(2) == 0 {
            world.names.swap_remove(0);
            world.names.push(None);
            world.changes.pop();
        }
    }
}

#[derive(Clone)]
struct Endpoint {
    address: Address,
    name: String,
    source: &'static str,
    state: EndpointState,
    connections: u32,
    tally: Tally,
    bytes: [u64; 2],
    history: History,
    duration: Duration,
}

impl Endpoint {
    /// Whether the sample is in a series of it.
    fn has(&self, sample: &exposition::Sample) -> bool {
        let is_removed = self.state == EndpointState::Removed;
        sample.labels["endpoint"] == self.address.to_string()
            && sample.labels["name"] == self.name
            && sample.labels["source"] == if is_removed { "removed" } else { self.source }
    }
}

#[derive(Clone)]
struct World {
    endpoints: Vec<Option<Endpoint>>,
    names: Vec<Option<(String, Option<Duration>)>>,
    changes: Vec<StateChange>,
    reads: Cell<u64>,
}

impl Facts for World {
    fn endpoint(&self, place: usize) -> Option<(usize, EndpointFacts<'_>)> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < 100_000, "without end");
        let mut behind = self.endpoints.iter().enumerate().skip(place);
        let (place, of) =
            behind.find_map(|(place, slot)| slot.as_ref().map(|endpoint| (place, endpoint)))?;
        let facts = EndpointFacts {
            address: &of.address,
            name: &of.name,
            source: of.source,
            state: of.state,
            state_for: of.duration,
            last_error: (of.connections % 2 == 0).then_some((&of.name, of.duration)),
            priority: of.connections as u16,
            weight: of.connections as u16,
            is_preferred: of.connections % 3 == 0,
            connections: of.connections,
            tally: &of.tally,
            bytes: of.bytes,
            state_changes: u64::from(of.connections),
            history: &of.history,
        };
        Some((place, facts))
    }

    fn name(&self, place: usize) -> Option<(usize, NameFacts<'_>)> {
        let mut behind = self.names.iter().enumerate().skip(place);
        let (place, (name, age)) =
            behind.find_map(|(place, slot)| slot.as_ref().map(|name| (place, name)))?;
        Some((
            place,
            NameFacts { name, age: *age, next_in: *age, error: Some(ResolveError::NoSuchName) },
        ))
    }

    fn change(&self, index: usize) -> Option<&StateChange> {
        self.changes.get(index)
    }
}

/// Bytes of the input, and behind its end those of xorshift (Marsaglia 2003).
struct Source<'a> {
    data: &'a [u8],
    word: u64,
}

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        self.word ^= self.word << 13;
        self.word ^= self.word >> 7;
        self.word ^= self.word << 17;
        let Some((byte, rest)) = self.data.split_first() else { return self.word as u8 };
        self.data = rest;
        self.word = self.word.rotate_left(8) ^ u64::from(*byte) ^ 1 << 40;
        *byte
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    fn below(&mut self, limit: u64) -> u64 {
        u64::from(self.byte()) * limit / 256
    }

    fn text(&mut self) -> String {
        let length = self.below(if self.data.is_empty() { 8 } else { 60 });
        let bytes: Vec<u8> = (0..length).map(|_| self.byte()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn duration(&mut self) -> Duration {
        Duration::new(self.number() >> self.below(64), self.number() as u32 % 1_000_000_000)
    }

    fn address(&mut self) -> Address {
        match self.below(3) {
            // What is escaped in a path may look as another path does.
            0 => Address::from(Path::new(&self.text().replace('\\', "/"))),
            1 => Address::from(([10, 0, 0, self.byte() % 4], 2379)),
            _ => Address::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], u16::from(self.byte() % 4))),
        }
    }
}

fn state(source: &mut Source) -> EndpointState {
    use EndpointState::*;
    [Up, Failing, Down, Removed][source.below(4) as usize]
}

fn world(source: &mut Source) -> World {
    let endpoints = (0..8).map(|_| (source.below(4) > 0).then(|| endpoint(source))).collect();
    let names = (0..4).map(|_| {
        let age = (source.below(2) == 0).then(|| source.duration());
        Some((source.text(), age))
    });
    let names = names.collect();
    let changes = (0..source.below(4)).map(|_| StateChange {
        at: source.duration(),
        endpoint: source.address(),
        name: source.text(),
        from: Some(state(source)),
        to: None,
        reason: source.text(),
    });
    let changes = changes.collect();
    World { endpoints, names, changes, reads: Cell::new(0) }
}

fn endpoint(source: &mut Source) -> Endpoint {
    let mut tally = Tally::default();
    tally.dials.begun = 4;
    for _ in 0..source.below(4) {
        let mistrusted = DialFailure::Mistrusted { reason: "other", authority: None };
        match source.below(4) {
            0 => tally.dials.succeeded += 1,
            1 => tally.dials.abandoned += 1,
            2 => tally.dials.fail(DialFailure::Local),
            _ => tally.dials.fail(mistrusted),
        }
    }
    let mut history = History::default();
    for _ in 0..source.below(8) {
        let (connections, bytes) = (u32::from(source.byte()), source.number());
        history.push(Sample { connections, bytes });
    }
    Endpoint {
        address: source.address(),
        name: if source.below(2) == 0 { "a:1".to_owned() } else { source.text() },
        source: ["typed", "srv"][source.below(2) as usize],
        state: state(source),
        connections: u32::from(source.byte()),
        tally,
        bytes: [source.number() >> 8, source.number() >> 8],
        history,
        duration: source.duration(),
    }
}

fn snapshot(source: &mut Source) -> Snapshot {
    let mut metrics = Metrics::default();
    let endings: Vec<Ending> = Ending::all().collect();
    for _ in 0..=source.below(4) {
        let listener = metrics.listener_opened(source.address());
        for _ in 0..source.below(8) {
            metrics.client_accepted(listener);
            let index = source.below(2 * endings.len() as u64) as usize;
            let Some(ending) = endings.get(index) else { continue };
            metrics.pair_ended(listener, *ending, [0, 0]);
            if ending.is_unserved() {
                metrics.rejections.add(Rejection::ALL[source.below(4) as usize]);
            }
        }
    }
    let mut timings = Timings::default();
    for _ in 0..source.below(8) {
        timings.dials.add(Duration::from_nanos(source.number() >> source.below(64)));
        timings.connections.add(source.duration());
    }
    let resolved = source.below(9);
    let mut lookups = Lookups::default();
    (lookups.begun, lookups.resolved, lookups.abandoned, lookups.local) =
        (resolved + 1, resolved, 1, 2);
    let known = source.below(3) as usize;
    let active = known.min(source.below(3) as usize);
    Snapshot {
        version: "0.1.0",
        features: &["tls", "other"],
        started_at: source.duration(),
        now: source.duration(),
        uptime: source.duration(),
        state: [RunState::Running, RunState::Draining][source.below(2) as usize],
        usage: Usage { cpu: source.duration(), ..Usage::default() },
        metrics,
        timings,
        lookups,
        resources: Resources::default(),
        endpoints: EndpointCounts { known, active, up: active.min(source.below(3) as usize) },
        log_lines_dropped: source.number(),
        access_lines_dropped: Some(source.number()),
    }
}
