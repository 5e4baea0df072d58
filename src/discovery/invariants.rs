//! What always holds of discovery and of each of its sources, as their types say, checked where
//! debug assertions are on. Pure.

use std::collections::BTreeSet;
use std::time::Instant;

use super::names::{Names, Needed};
use super::source::{Source, State};
use super::{Discovery, Found, Ranked};
use crate::config::ENDPOINTS_MAX;

impl Discovery {
    /// To be called after each change.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        assert!(self.found.len() <= ENDPOINTS_MAX);
        assert!(self.found.iter().all(|found| !found.name.is_empty()), "found by no name");
        let servers: BTreeSet<_> = self.found.iter().map(Found::server).collect();
        assert_eq!(servers.len(), self.found.len(), "a server twice");
        assert!(self.has_ranks() || self.patient_until.is_none(), "nothing to wait in place of");
        for Ranked { source, .. } in &self.sources {
            contract(source.as_ref(), &self.names);
        }
        self.check_names();
    }

    /// A name that is needed and not looked up would never have an answer. The reverse is true only
    /// until the next list of names.
    fn check_names(&self) {
        let needed = self.sources.iter().flat_map(|ranked| ranked.source.names());
        let needed: BTreeSet<Needed> = needed.collect();
        assert_eq!(self.names.is_empty(), needed.is_empty(), "names that no source needs");
        for needed in needed {
            assert!(self.names.get(&needed).is_some(), "needed and not looked up: {needed:?}");
        }
    }

    /// Whether there is a source of that rank.
    pub(super) fn has_rank(&self, rank: u8) -> bool {
        self.sources.iter().any(|ranked| ranked.rank == rank)
    }

    /// Whether all that was due is done, apart from what is up to the names.
    pub(super) fn is_expired_until(&self, now: Instant) -> bool {
        let sources = self.sources.iter().filter_map(|ranked| ranked.source.next_deadline());
        sources.chain(self.patient_until).all(|deadline| deadline > now)
    }
}

/// What the trait promises, of each source at any time.
fn contract(source: &dyn Source, names: &Names) {
    let hosts = source.hosts(names);
    let has_address = hosts.iter().any(|host| !host.addresses.is_empty());
    match source.state(names) {
        State::Listing => assert!(!hosts.is_empty(), "lists nothing"),
        State::Pending(_) | State::Empty(_) | State::Learning => {
            assert!(!has_address, "lists hosts and denies it");
        }
    }
    for host in &hosts {
        assert!(!host.name.is_empty(), "a host without a name for the log");
        assert!(host.is_resolved || host.addresses.len() == 1, "typed as one address");
        let ports: BTreeSet<_> = host.addresses.iter().map(|address| address.port()).collect();
        assert!(ports.len() <= 1, "the addresses of a host have one port");
    }
    assert!(!source.label().subject.is_empty(), "a source without a label for the log");
    let needed = source.names();
    assert!(source.optional(names).iter().all(|name| needed.contains(name)), "optional, unneeded");
    if source.is_in_transition() {
        assert!(source.next_deadline().is_some(), "a transition without an end");
    }
}
