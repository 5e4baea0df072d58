//! The families of metrics that are of one endpoint each, and the labels of their series.
//!
//! Owns which number is which sample. How a family is written in pieces, and that no series comes
//! twice, is owned by `metrics.rs`.

use super::text::{Family, Kind, Labels, bytes, family};
use crate::observe::facts::{EndpointFacts, EndpointState};
use crate::upstream::DialFailure;

/// One family, with one sample or several for each endpoint.
pub(super) struct EndpointFamily {
    /// Its header.
    pub family: Family,
    /// The label by which samples of one endpoint differ; empty: there is one sample.
    pub label: &'static str,
    /// The values of that label; one empty text where there is none.
    pub values: &'static [&'static str],
    /// The number of the sample with the value of this index.
    pub number: fn(&EndpointFacts, usize) -> u64,
    /// Whether numbers of several endpoints that share a series are added up. Otherwise that of one
    /// of them is shown.
    pub is_summed: bool,
}

impl EndpointFamily {
    /// The numbers of an endpoint, one for each of the values.
    pub fn numbers(&self, facts: &EndpointFacts) -> [u64; VALUES_MAX] {
        let mut numbers = [0; VALUES_MAX];
        for (index, number) in numbers[..self.values.len()].iter_mut().enumerate() {
            *number = (self.number)(facts, index);
        }
        numbers
    }
}

const fn single(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    number: fn(&EndpointFacts, usize) -> u64,
) -> EndpointFamily {
    let family = family(kind, name, help);
    EndpointFamily { family, label: "", values: &[""], number, is_summed: true }
}

const DIRECTIONS: [&str; 2] = ["from_clients", "from_endpoint"];
const CHECK_RESULTS: [&str; 3] = ["passed", "failed", "abandoned"];
/// The most samples of one endpoint in one family.
pub(super) const VALUES_MAX: usize = DIAL_RESULTS.len();
/// Results that are not failures, and behind them the reasons of those that are.
const DIAL_RESULTS: [&str; 2 + DialFailure::COUNT] = {
    let mut results = ["succeeded"; 2 + DialFailure::COUNT];
    results[1] = "abandoned";
    let mut index = 0;
    while index < DialFailure::COUNT {
        results[2 + index] = DialFailure::WORDS[index];
        index += 1;
    }
    results
};

/// All of them, in the order in which they are shown. The first one tells of each endpoint that
/// shares its series with another one, whose numbers are not needed there: a removed one is not up.
pub(super) const FAMILIES: [EndpointFamily; 8] = [
    single(
        Kind::Gauge,
        "etcd_gateway_endpoint_up",
        "Whether it is usable: dials succeed, and health checks do not fail.",
        |facts, _| u64::from(facts.state == EndpointState::Up),
    ),
    single(
        Kind::Gauge,
        "etcd_gateway_endpoint_connections",
        "Connections to the endpoint that are established for clients.",
        |facts, _| u64::from(facts.connections),
    ),
    EndpointFamily {
        family: family(
            Kind::Counter,
            "etcd_gateway_endpoint_dials",
            "Dials for clients that are over.",
        ),
        label: "result",
        values: &DIAL_RESULTS,
        number: |facts, index| match index {
            0 => facts.tally.dials.succeeded,
            1 => facts.tally.dials.abandoned,
            _ => facts.tally.dials.failed_by(index - 2),
        },
        is_summed: true,
    },
    EndpointFamily {
        family: family(
            Kind::Counter,
            "etcd_gateway_endpoint_checks",
            "Health checks that are over.",
        ),
        label: "result",
        values: &CHECK_RESULTS,
        number: |facts, index| {
            let checks = &facts.tally.checks;
            [checks.passed, checks.failed, checks.abandoned][index]
        },
        is_summed: true,
    },
    EndpointFamily {
        family: bytes(Kind::Counter, "etcd_gateway_endpoint_bytes", "Payload that was delivered."),
        label: "direction",
        values: &DIRECTIONS,
        number: |facts, index| facts.bytes[index],
        is_summed: true,
    },
    EndpointFamily {
        is_summed: false,
        ..single(
            Kind::Gauge,
            "etcd_gateway_endpoint_weight",
            "Share inside the class of the same priority.",
            |facts, _| u64::from(facts.weight),
        )
    },
    EndpointFamily {
        is_summed: false,
        ..single(
            Kind::Gauge,
            "etcd_gateway_endpoint_priority",
            "Class: lower numbers first.",
            |facts, _| u64::from(facts.priority),
        )
    },
    single(
        Kind::Counter,
        "etcd_gateway_endpoint_state_changes",
        "Changes of state.",
        |facts, _| facts.state_changes,
    ),
];

/// Sets the labels of the series of an endpoint.
///
/// A removed one has the source `removed`, since none lists it: its address may have returned as
/// another endpoint while it has running connections. If both were one series, that would fall when
/// the last of the connections ends, which looks like a restart of the counter: its rate would jump
/// to all that was ever counted.
pub(super) fn set_labels(labels: &mut Labels, facts: &EndpointFacts) {
    labels.clear();
    labels.add("endpoint", facts.address);
    labels.add("name", &facts.name);
    let is_removed = facts.state == EndpointState::Removed;
    labels.add("source", if is_removed { &"removed" } else { &facts.source });
}

/// Whether both have the same labels.
pub(super) fn are_one_series(one: &EndpointFacts, other: &EndpointFacts) -> bool {
    let are_removed = [one, other].map(|facts| facts.state == EndpointState::Removed);
    let is_same_source = match are_removed {
        [true, true] => true,
        [false, false] => one.source == other.source,
        _ => false,
    };
    is_same_source && one.address == other.address && one.name == other.name
}
