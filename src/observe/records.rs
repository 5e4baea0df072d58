//! What is remembered of each endpoint to be shown: its name, its state and since when, why it last
//! failed, the payload that was delivered, and its last five minutes; and the latest changes of
//! state of all of them. Pure.
//!
//! Owns these memories alone. What is true of an endpoint now is read in the set of endpoints, of
//! which [`EndpointRecords::sync`] looks for changes; what changes an endpoint need not know
//! that it is observed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::facts::{EndpointCounts, EndpointFacts, EndpointState, StateChange};
use super::history::{History, Sample};
use crate::address::Address;
use crate::config::STATE_CHANGES_KEPT;
use crate::upstream::{CheckState, Endpoint, EndpointId, EndpointSet, Health, Standing};

/// The time, for people and for measuring.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub now: Instant,
    /// Since the Unix epoch.
    pub unix_time: Duration,
}

/// How an endpoint was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `host:port` as typed or as in the record.
    pub name: &'a str,
    /// The kind of source, in one word.
    pub source: &'static str,
}

/// The memories of all endpoints.
#[derive(Debug, Default)]
pub struct EndpointRecords {
    /// By the slot of the endpoint.
    records: Vec<Option<Record>>,
    /// The latest one first.
    changes: VecDeque<StateChange>,
}

#[derive(Debug)]
struct Record {
    id: EndpointId,
    address: Address,
    name: String,
    source: &'static str,
    state: EndpointState,
    since: Instant,
    last_error: Option<(String, Instant)>,
    state_changes: u64,
    /// Payload, from clients and from the endpoint.
    bytes: [u64; 2],
    /// All payload by the last sample.
    sampled_bytes: u64,
    history: History,
}

impl EndpointState {
    /// The state of an endpoint.
    pub fn of(endpoint: &Endpoint) -> EndpointState {
        match endpoint.health() {
            Health::Removed { .. } => EndpointState::Removed,
            Health::Inactive { .. } | Health::Probing { .. } => EndpointState::Down,
            Health::Active { .. } => match endpoint.standing() {
                Standing::Failing => EndpointState::Failing,
                Standing::Serving | Standing::Unknown => EndpointState::Up,
            },
        }
    }
}

impl EndpointCounts {
    /// The endpoints of a set by their states.
    pub fn of(endpoints: &EndpointSet) -> EndpointCounts {
        let mut counts = EndpointCounts::default();
        for (_, endpoint) in endpoints.iter() {
            let state = EndpointState::of(endpoint);
            counts.known += usize::from(state != EndpointState::Removed);
            counts.active += usize::from(endpoint.health().is_active());
            counts.up += usize::from(state == EndpointState::Up);
        }
        counts
    }
}

/// Why the endpoint is in a state in which it gets no clients, in the words of the log.
fn reason(endpoint: &Endpoint) -> Option<String> {
    match (endpoint.health().outage(), endpoint.check_state()) {
        (Some(outage), _) => Some(outage.reason.to_string()),
        (None, Some(CheckState::Failing { reason, .. })) => Some(reason.to_string()),
        _ => None,
    }
}

impl EndpointRecords {
    /// Notes what has changed of the endpoints. `origin_of`: how the endpoint with this address was
    /// found; `None` for one that is not known any longer. Asked of new endpoints, and of all where
    /// `is_found_anew`.
    pub fn sync<'a>(
        &mut self,
        endpoints: &EndpointSet,
        origin_of: &dyn Fn(&Address) -> Option<Origin<'a>>,
        is_found_anew: bool,
        at: Moment,
    ) {
        for slot in 0..self.records.len() {
            let record = self.records[slot].as_ref();
            if record.is_some_and(|record| endpoints.get(record.id).is_none()) {
                self.forget(slot, at);
            }
        }
        for (id, endpoint) in endpoints.iter() {
            let slot = id.slot();
            if self.records.len() <= slot {
                self.records.resize_with(slot + 1, || None);
            }
            let change = match &mut self.records[slot] {
                Some(record) => {
                    if is_found_anew && let Some(origin) = origin_of(endpoint.address()) {
                        record.take_origin(origin);
                    }
                    record.update(endpoint, at)
                }
                empty => {
                    let origin = origin_of(endpoint.address());
                    Some(empty.insert(Record::new(id, endpoint, origin, at)).added(at))
                }
            };
            self.keep(change);
        }
    }

    fn forget(&mut self, slot: usize, at: Moment) {
        let gone = self.records.get_mut(slot).and_then(Option::take);
        self.keep(gone.map(|record| record.change(Some(record.state), None, String::new(), at)));
    }

    fn get(&self, endpoint: EndpointId) -> Option<&Record> {
        let record = self.records.get(endpoint.slot())?.as_ref();
        record.filter(|record| record.id == endpoint)
    }

    fn keep(&mut self, change: Option<StateChange>) {
        let Some(change) = change else { return };
        self.changes.truncate(STATE_CHANGES_KEPT - 1);
        self.changes.push_front(change);
    }

    /// Adds payload that a pair of the endpoint has delivered: from its client, and from the
    /// endpoint.
    pub fn add_bytes(&mut self, endpoint: EndpointId, bytes: [u64; 2]) {
        let record = self.records.get_mut(endpoint.slot()).and_then(Option::as_mut);
        if let Some(record) = record.filter(|record| record.id == endpoint) {
            record.bytes[0] += bytes[0];
            record.bytes[1] += bytes[1];
        }
    }

    /// Takes a sample of each endpoint, which is to be done once a second.
    pub fn sample(&mut self, endpoints: &EndpointSet) {
        for record in self.records.iter_mut().flatten() {
            let all: u64 = record.bytes.iter().sum();
            let bytes = all - std::mem::replace(&mut record.sampled_bytes, all);
            record.history.push(Sample {
                connections: endpoints.get(record.id).map_or(0, Endpoint::pairs),
                bytes,
            });
        }
    }

    /// The name of the endpoint, as it was found; `None` where it is not remembered.
    pub fn name(&self, endpoint: EndpointId) -> Option<&str> {
        self.get(endpoint).map(|record| record.name.as_str())
    }

    /// The change with this index, 0 being the latest.
    pub fn change(&self, index: usize) -> Option<&StateChange> {
        self.changes.get(index)
    }

    /// What is to be shown of the endpoint with the lowest place that is `place` or above, and its
    /// own place.
    pub fn facts<'a>(
        &'a self,
        endpoints: &'a EndpointSet,
        place: usize,
        now: Instant,
    ) -> Option<(usize, EndpointFacts<'a>)> {
        let mut next = place;
        loop {
            let (place, id, endpoint) = endpoints.at_or_above(next)?;
            if let Some(record) = self.get(id) {
                return Some((place, record.facts(endpoint, now)));
            }
            next = place + 1;
        }
    }
}

impl Record {
    fn new(id: EndpointId, endpoint: &Endpoint, origin: Option<Origin>, at: Moment) -> Record {
        let Origin { name, source } = origin.unwrap_or(Origin { name: "", source: "unknown" });
        let state = EndpointState::of(endpoint);
        let last_error = reason(endpoint).map(|reason| (reason, at.now));
        Record {
            id,
            address: endpoint.address().clone(),
            name: name.to_owned(),
            source,
            state,
            since: at.now,
            last_error,
            state_changes: 0,
            bytes: [0; 2],
            sampled_bytes: 0,
            history: History::default(),
        }
    }

    fn take_origin(&mut self, Origin { name, source }: Origin<'_>) {
        if self.name != name || self.source != source {
            (self.name, self.source) = (name.to_owned(), source);
        }
    }

    fn added(&self, at: Moment) -> StateChange {
        let reason = self.last_error.as_ref().map_or_else(String::new, |(why, _)| why.clone());
        self.change(None, Some(self.state), reason, at)
    }

    /// Takes over the state of the endpoint; the change, if it is one.
    fn update(&mut self, endpoint: &Endpoint, at: Moment) -> Option<StateChange> {
        let state = EndpointState::of(endpoint);
        let reason = reason(endpoint);
        if let Some(reason) = &reason {
            let is_known = self.last_error.as_ref().is_some_and(|(known, _)| known == reason);
            if !is_known || state != self.state {
                self.last_error = Some((reason.clone(), at.now));
            }
        }
        if state == self.state {
            return None;
        }
        let before = std::mem::replace(&mut self.state, state);
        self.since = at.now;
        self.state_changes += 1;
        Some(self.change(Some(before), Some(state), reason.unwrap_or_default(), at))
    }

    fn change(
        &self,
        from: Option<EndpointState>,
        to: Option<EndpointState>,
        reason: String,
        at: Moment,
    ) -> StateChange {
        let (endpoint, name) = (self.address.clone(), self.name.clone());
        StateChange { at: at.unix_time, endpoint, name, from, to, reason }
    }

    fn facts<'a>(&'a self, endpoint: &'a Endpoint, now: Instant) -> EndpointFacts<'a> {
        let last_error = self.last_error.as_ref();
        EndpointFacts {
            address: &self.address,
            name: &self.name,
            source: self.source,
            state: self.state,
            state_for: now.saturating_duration_since(self.since),
            last_error: last_error
                .map(|(reason, at)| (reason.as_str(), now.saturating_duration_since(*at))),
            priority: endpoint.priority(),
            weight: endpoint.weight(),
            is_preferred: endpoint.is_preferred(),
            connections: endpoint.pairs(),
            tally: endpoint.tally(),
            bytes: self.bytes,
            state_changes: self.state_changes,
            history: &self.history,
        }
    }
}
