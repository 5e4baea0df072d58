//! Whole answers: those of a small process in both formats, word by word, and what comes and goes
//! between pieces. Any facts and any text are the part of the fuzz target `render`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::address::Address;
use crate::config::ADMIN_PIECE_BYTES;
use crate::discovery::{Lookups, ResolveError};
use crate::observe::facts::{
    EndpointCounts, EndpointFacts, EndpointState, Facts, NameFacts, Resources, RunState, Snapshot,
    StateChange, Usage,
};
use crate::observe::history::{History, Sample};
use crate::observe::metrics::{Metrics, Rejection};
use crate::observe::timings::Timings;
use crate::relay::ending::{Cause, EndedIn, Ending};
use crate::relay::step::{Fault, Side};
use crate::upstream::{DialFailure, Tally};

/// An endpoint whose facts are owned.
#[derive(Clone)]
struct Endpoint {
    address: Address,
    name: &'static str,
    state: EndpointState,
    connections: u32,
    tally: Tally,
    history: History,
}

#[derive(Clone, Default)]
struct World {
    endpoints: BTreeMap<usize, Endpoint>,
    changes: Vec<StateChange>,
}

impl Facts for World {
    fn endpoint(&self, place: usize) -> Option<(usize, EndpointFacts<'_>)> {
        let (place, endpoint) = self.endpoints.range(place..).next()?;
        let facts = EndpointFacts {
            address: &endpoint.address,
            name: endpoint.name,
            source: "srv",
            state: endpoint.state,
            state_for: Duration::from_micros(1_234_567),
            last_error: Some(("refused", Duration::from_secs(3))),
            priority: 1,
            weight: 2,
            is_preferred: false,
            connections: endpoint.connections,
            tally: &endpoint.tally,
            bytes: [10, 20],
            state_changes: 3,
            history: &endpoint.history,
        };
        Some((*place, facts))
    }

    fn name(&self, place: usize) -> Option<(usize, NameFacts<'_>)> {
        let fresh = NameFacts {
            name: &"a.example",
            age: Some(Duration::from_millis(1500)),
            next_in: None,
            error: None,
        };
        let failed = NameFacts {
            name: &"b.example",
            age: None,
            next_in: Some(Duration::from_secs(3)),
            error: Some(ResolveError::NoSuchName),
        };
        match place {
            0..=2 => Some((2, fresh)),
            3 => Some((3, failed)),
            _ => None,
        }
    }

    fn change(&self, index: usize) -> Option<&StateChange> {
        self.changes.get(index)
    }
}

fn endpoint(name: &'static str, state: EndpointState) -> Endpoint {
    let address = Address::from(Path::new("/a"));
    let (mut tally, mut history) = (Tally::default(), History::default());
    tally.dials.begun = 9;
    tally.dials.succeeded = 4;
    tally.dials.fail(DialFailure::Refused);
    tally.dials.fail(DialFailure::Mistrusted { reason: "expired", authority: None });
    tally.checks.begun = 1;
    tally.checks.passed = 1;
    for connections in 0..3 {
        history.push(Sample { connections, bytes: 100 });
    }
    Endpoint { address, name, state, connections: 2, tally, history }
}

fn world() -> World {
    let change = StateChange {
        at: Duration::from_millis(1_795_899_600_123),
        endpoint: Address::from(([10, 0, 0, 1], 2379)),
        name: "a\"b".to_owned(),
        from: Some(EndpointState::Up),
        to: None,
        reason: String::new(),
    };
    let endpoints = [
        (1, endpoint("a", EndpointState::Up)),
        (4, endpoint("a", EndpointState::Removed)),
        (5, endpoint("b", EndpointState::Down)),
        (7, endpoint("a", EndpointState::Removed)),
    ];
    World { endpoints: endpoints.into(), changes: vec![change] }
}

fn snapshot() -> Snapshot {
    let mut metrics = Metrics::default();
    let addresses = [1, 2, 1].map(|port| Address::from((Ipv4Addr::LOCALHOST, port)));
    let listeners = addresses.map(|address| metrics.listener_opened(address));
    for listener in listeners {
        (0..3).for_each(|_| metrics.client_accepted(listener));
    }
    let completed = Ending { cause: Cause::Completed, phase: EndedIn::Relaying };
    let lost = Ending { cause: Cause::Lost(Side::Server, Fault::Reset), ..completed };
    let rejected = Ending { cause: Cause::Rejected, phase: EndedIn::Dialing };
    metrics.rejections.add(Rejection::NoEndpointKnown);
    for ending in [completed, completed, lost, rejected] {
        metrics.pair_ended(listeners[1], ending, [0, 0]);
        metrics.client_accepted(listeners[1]);
    }
    let mut timings = Timings::default();
    for microseconds in [10, 11, 2_000_000, 20_000_000] {
        timings.dials.add(Duration::from_micros(microseconds));
        timings.turns.add(Duration::from_micros(microseconds));
    }
    let mut lookups = Lookups::default();
    (lookups.begun, lookups.resolved, lookups.no_such_name) = (3, 2, 1);
    Snapshot {
        version: "0.1.0",
        features: &["tls"],
        started_at: Duration::from_millis(1_795_899_600_120),
        now: Duration::from_millis(1_795_899_612_345),
        uptime: Duration::from_millis(12_225),
        state: RunState::Draining,
        usage: Usage {
            cpu: Duration::from_millis(120),
            resident_bytes: 4096,
            virtual_bytes: 8192,
            descriptors_open: 20,
            descriptors_max: 1024,
        },
        metrics,
        timings,
        lookups,
        resources: Resources { connections_max: 1000, pipes: 1, pipes_max: 64, buffers: 2 },
        endpoints: EndpointCounts { known: 2, active: 0, up: 0 },
        log_lines_dropped: 0,
        access_lines_dropped: Some(7),
    }
}

/// A rendering of either kind.
type NextPiece<'a> = &'a mut dyn FnMut(&World, &mut Vec<u8>) -> bool;

/// All pieces together; `between` may change the facts between them, whose number it gets.
fn render(next: NextPiece<'_>, mut world: World, between: fn(&mut World, usize)) -> String {
    let mut answer = Vec::new();
    for pieces in 1.. {
        let mut piece = Vec::new();
        let is_last = next(&world, &mut piece);
        assert!(is_last || piece.len() >= ADMIN_PIECE_BYTES, "a piece is full, or the last one");
        assert!(piece.len() < ADMIN_PIECE_BYTES + 12 * 1024, "{} bytes", piece.len());
        answer.append(&mut piece);
        if is_last {
            break;
        }
        between(&mut world, pieces);
    }
    String::from_utf8(answer).expect("UTF-8")
}

fn metrics_of(format: Format, world: World, between: fn(&mut World, usize)) -> String {
    let (snapshot, mut rendering) = (snapshot(), MetricsRendering::new(format));
    render(&mut |facts, out| rendering.next(&snapshot, facts, out), world, between)
}

fn status_of(history: usize, world: World) -> String {
    let (snapshot, mut rendering) = (snapshot(), StatusRendering::new(history));
    render(&mut |facts, out| rendering.next(&snapshot, facts, out), world, |_, _| {})
}

/// The files have `E_` in place of the prefix, so that their lines fit.
fn assert_golden(answer: &str, golden: &str) {
    let answer = answer.replace("etcd_gateway_", "E_");
    for (line, want) in answer.lines().zip(golden.lines()) {
        assert_eq!(line, want);
    }
    assert_eq!(answer.lines().count(), golden.lines().count(), "{answer}");
}

#[test]
fn metrics_are_in_the_format_of_prometheus() {
    let answer = metrics_of(Format::Prometheus, world(), |_, _| {});
    assert_golden(&answer, include_str!("tests/prometheus.txt"));
}

#[test]
fn metrics_are_in_the_format_of_openmetrics() {
    let answer = metrics_of(Format::OpenMetrics, world(), |_, _| {});
    assert_golden(&answer, include_str!("tests/openmetrics.txt"));
}

#[test]
fn status_is_json_with_its_documented_fields() {
    let answer: serde_json::Value = serde_json::from_str(&status_of(2, world())).expect("JSON");
    let want: serde_json::Value =
        serde_json::from_str(include_str!("tests/status.json")).expect("JSON");
    assert_eq!(answer, want, "{answer:#}");
    let plain = status_of(0, world());
    assert!(!plain.contains("history"));
    let empty: serde_json::Value =
        serde_json::from_str(&status_of(0, World::default())).expect("JSON");
    let none = serde_json::json!([]);
    assert_eq!((&empty["endpoints"], &empty["changes"]), (&none, &none));
}

/// Removed endpoints with the same address and name are one series, not that of their successor.
#[test]
fn removed_endpoints_with_equal_labels_are_added_up() {
    let answer = metrics_of(Format::Prometheus, world(), |_, _| {});
    for (labels, connections, weight) in [
        ("endpoint=\"unix:/a\",name=\"a\",source=\"srv\"", 2, 2),
        ("endpoint=\"unix:/a\",name=\"a\",source=\"removed\"", 4, 2),
    ] {
        for (family, number) in [("connections", connections), ("weight", weight)] {
            let line = format!("\netcd_gateway_endpoint_{family}{{{labels}}} {number}\n");
            assert_eq!(answer.matches(&line).count(), 1, "{line}");
        }
    }
}

/// Each piece, the first endpoint moves behind all others: it would come again in its family.
#[test]
fn a_series_comes_once_whatever_moves_between_pieces() {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let mut world = World::default();
    for (place, name) in (0..100).zip(NAMES.iter().cycle()) {
        let address = Address::from(([10, 0, 0, 1], place as u16));
        let endpoint = Endpoint { address, ..endpoint(name, EndpointState::Up) };
        world.endpoints.insert(place, endpoint);
    }
    let answer = metrics_of(Format::OpenMetrics, world, |world, pieces| {
        for moved in 0..20 {
            let (_, endpoint) = world.endpoints.pop_first().expect("they stay as many");
            world.endpoints.insert(1000 * pieces + moved, endpoint);
        }
    });
    let mut series: Vec<&str> =
        answer.lines().filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series).collect();
    let count = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), count);
    assert!(answer.ends_with("# EOF\n"));
}

#[test]
fn headers_need_no_escapes_and_name_their_unit() {
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let answer = metrics_of(format, world(), |_, _| {});
        for line in answer.lines().filter(|line| line.starts_with("# ")) {
            assert!(!line.contains(['"', '\\']), "{line}");
            let help = line.strip_prefix("# HELP ");
            assert!(help.is_none_or(|help| help.ends_with('.')), "a sentence: {line}");
        }
    }
}
