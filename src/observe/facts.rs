//! Facts that are shown to others: what metrics, status, readiness and the page are rendered from.
//!
//! Owns the shapes alone. A [`Snapshot`] is of the whole process at one moment, so that its numbers
//! fit each other, and stays the same while an answer is rendered in pieces. Endpoints and names
//! are read one by one when they are rendered, through [`Facts`]: a copy of all of them for each
//! reader would cost memory, and take too long for one turn.

use std::fmt::Display;
use std::time::Duration;

use super::history::History;
use super::metrics::Metrics;
use super::timings::Timings;
use crate::address::Address;
use crate::discovery::{Lookups, ResolveError};
use crate::upstream::Tally;
pub use crate::usage::Usage;

/// The lists that are read while an answer is rendered. Each has places from 0 in a fixed order,
/// some of which are empty; an item keeps its place for as long as it is there.
pub trait Facts {
    /// The endpoint with the lowest place that is `place` or above, and its own place.
    fn endpoint(&self, place: usize) -> Option<(usize, EndpointFacts<'_>)>;

    /// The same of a name that is looked up.
    fn name(&self, place: usize) -> Option<(usize, NameFacts<'_>)>;

    /// A change of state, 0 being the latest one; at most [`crate::config::STATE_CHANGES_KEPT`].
    fn change(&self, index: usize) -> Option<&StateChange>;
}

/// The process at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The version of the program.
    pub version: &'static str,
    /// The features that it was built with, in one word each.
    pub features: &'static [&'static str],
    /// When the process was started, since the Unix epoch.
    pub started_at: Duration,
    /// The time of the snapshot, since the Unix epoch.
    pub now: Duration,
    /// From the start to the snapshot, by the monotonic clock.
    pub uptime: Duration,
    /// Whether clients are accepted.
    pub state: RunState,
    /// What the process uses of the host.
    pub usage: Usage,
    /// The counters.
    pub metrics: Metrics,
    /// How long things took.
    pub timings: Timings,
    /// Look-ups by result.
    pub lookups: Lookups,
    /// Resources of pairs in use, and their limits.
    pub resources: Resources,
    /// Endpoints, by what may be done with them.
    pub endpoints: EndpointCounts,
    /// Lines of the log that were dropped, since they were not read in time.
    pub log_lines_dropped: u64,
    /// The same of the access log; `None`: there is none.
    pub access_lines_dropped: Option<u64>,
}

/// Whether clients are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// They are.
    Running,
    /// They are no longer; running connections go on.
    Draining,
}

/// Resources of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Most connections at a time.
    pub connections_max: usize,
    /// Pipes that hold bytes.
    pub pipes: usize,
    /// Most pipes at a time.
    pub pipes_max: usize,
    /// Buffers that hold bytes.
    pub buffers: usize,
}

/// How many endpoints there are; removed ones are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    /// Known ones.
    pub known: usize,
    /// Those of them that are not known to refuse connections.
    pub active: usize,
    /// Those of these that do not fail their health checks: usable ones.
    pub up: usize,
}

/// The state of an endpoint, as metrics and status show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It gets clients: dials to it succeed as far as is known, and it does not fail its checks.
    Up,
    /// It accepts, and fails its health checks.
    Failing,
    /// Dials to it fail.
    Down,
    /// It is no longer an endpoint, and has running connections.
    Removed,
}

impl EndpointState {
    /// The state as one word.
    pub fn word(self) -> &'static str {
        match self {
            EndpointState::Up => "up",
            EndpointState::Failing => "failing",
            EndpointState::Down => "down",
            EndpointState::Removed => "removed",
        }
    }
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub struct EndpointFacts<'a> {
    /// Where it is dialed.
    pub address: &'a Address,
    /// `host:port` as typed or as in the record that it was found by.
    pub name: &'a str,
    /// The kind of source that lists it, in one word.
    pub source: &'static str,
    /// Its state.
    pub state: EndpointState,
    /// How long it has been in this state.
    pub state_for: Duration,
    /// Why it was last in another state than `Up`, in the words of the log, and how long ago it
    /// came to that. `None`: it never was.
    pub last_error: Option<(&'a str, Duration)>,
    /// Its class: lower numbers first.
    pub priority: u16,
    /// Its share inside the class.
    pub weight: u16,
    /// Whether new clients are sent there since it leads the cluster (`--prefer leader`).
    pub is_preferred: bool,
    /// Connections that are established.
    pub connections: u32,
    /// Dials, probes and checks since it was added.
    pub tally: &'a Tally,
    /// Payload that was delivered since it was added, bytes: from clients, and from the endpoint.
    /// That of running connections is up to a second old.
    pub bytes: [u64; 2],
    /// Changes of state since it was added.
    pub state_changes: u64,
    /// Its last minutes.
    pub history: &'a History,
}

/// A name that is looked up.
#[derive(Clone, Copy)]
pub struct NameFacts<'a> {
    /// The name, with what is looked up where that is not a host: as the log has it.
    pub name: &'a dyn Display,
    /// The age of the last answer that is in use; `None`: there was none so far.
    pub age: Option<Duration>,
    /// Until the next look-up; `None`: one is under way.
    pub next_in: Option<Duration>,
    /// Why the last look-up gave no record, in one word; `None`: it did, or is the first one.
    pub error: Option<ResolveError>,
}

/// A change of an endpoint's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// When, since the Unix epoch.
    pub at: Duration,
    /// The endpoint's address.
    pub endpoint: Address,
    /// Its name.
    pub name: String,
    /// The state before; `None`: it was added.
    pub from: Option<EndpointState>,
    /// The state since then; `None`: it is forgotten.
    pub to: Option<EndpointState>,
    /// Why, in the words of the log; empty where there is no reason to give.
    pub reason: String,
}
