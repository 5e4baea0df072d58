//! The contract of a source of endpoints, and the hosts that it lists.
//!
//! A source owns what it was configured with and what it remembers of its own answers. It looks
//! nothing up: it says which names it needs, and reads in [`Names`] what is known of them. To add
//! one is a file with an `impl Source`, and a line in the list of [`super::Discovery`].

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use super::names::{Names, Needed};
use super::report::{Excluded, FallbackReason};
use super::watch::Watch;
use crate::address::Address;
use crate::config::address::EndpointAddress;
use crate::upstream::Check;

/// A place where endpoints come from.
pub(super) trait Source: fmt::Debug {
    /// The source for the log: what was typed.
    fn label(&self) -> String;

    /// The names to look up for it, in the order in which they are looked up first.
    fn names(&self) -> Vec<Needed>;

    /// Takes over what is known of its names now, and tells what of that is excluded. `is_interim`:
    /// endpoints are in use that no source lists, so what is new takes their place.
    fn update(&mut self, names: &Names, is_interim: bool, now: Instant) -> Vec<Excluded> {
        let _ = (names, is_interim, now);
        Vec::new()
    }

    /// Whether it lists hosts.
    fn state(&self, names: &Names) -> State;

    /// The hosts that it lists, with the addresses that are known, in the order of its answer.
    fn hosts(&self, names: &Names) -> Vec<Host>;

    /// Whether nothing is missing while that name has no records, so that an answer without any may
    /// be believed for as long as it says.
    fn is_spare(&self, watch: &Watch) -> bool {
        let _ = watch;
        false
    }

    /// Names that may have no records at present without that being an error.
    fn optional(&self, names: &Names) -> &[Needed] {
        let _ = names;
        &[]
    }

    /// Whether hosts that are no longer listed are still in use, until those in their place are
    /// known.
    fn is_in_transition(&self) -> bool {
        false
    }

    /// When to call [`Source::expire`], if ever.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due; whether that changes its hosts.
    fn expire(&mut self, now: Instant) -> bool {
        let _ = now;
        false
    }
}

/// What a source contributes at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Hosts.
    Listing,
    /// No host so far; an answer may still come. With what to say if it does not in time.
    Pending(FallbackReason),
    /// No host, as the name servers say.
    Empty(FallbackReason),
}

/// A host that a source lists: one typed endpoint or one record, and the addresses of its host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// `host:port`, as typed or as in the record.
    pub(super) name: String,
    pub(super) priority: u16,
    /// Shared by the addresses.
    pub(super) weight: u16,
    pub(super) check: Check,
    /// The addresses come from a name or a record, and were not typed.
    pub(super) is_resolved: bool,
    pub(super) addresses: Vec<Address>,
}

impl Host {
    /// A typed endpoint with these addresses.
    pub(super) fn typed(
        endpoint: &EndpointAddress,
        addresses: impl Iterator<Item = IpAddr>,
        is_resolved: bool,
    ) -> Host {
        Host {
            name: endpoint.to_string(),
            priority: endpoint.priority,
            weight: endpoint.weight,
            check: Check::Connect,
            is_resolved,
            addresses: addresses.map(|ip| Address::from((ip, endpoint.port))).collect(),
        }
    }
}
