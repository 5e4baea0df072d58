//! What is known of one name: the last good answers, and the full name that gave each.
//!
//! Owns the rule by which an answer replaces another. Pure.

use std::net::IpAddr;

use super::srv::name_of;
use crate::config::DNS_RECORDS_MAX;
use crate::proto::dns::message::{Kind, Records, Service};
use crate::proto::dns::name::Name;
use crate::proto::dns::{Answer, Answered, Failure};

/// The last good answers.
///
/// Invariant: of each kind at most [`DNS_RECORDS_MAX`] records, each once, IPv4 and IPv6 apart; a
/// full name only with records of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    v4: Part<IpAddr>,
    v6: Part<IpAddr>,
    services: Part<Service>,
}

/// The records of one kind.
#[derive(Debug)]
struct Part<T> {
    items: Vec<T>,
    /// The full name that they are of; none if they are from a file.
    name: Option<Name>,
}

impl<T> Default for Part<T> {
    fn default() -> Part<T> {
        Part { items: Vec::new(), name: None }
    }
}

impl Known {
    /// Addresses of a host, IPv4 first.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.items.iter().chain(&self.v6.items).copied()
    }

    pub(super) fn services(&self) -> &[Service] {
        &self.services.items
    }

    /// Whether there is no record at all.
    pub(super) fn is_empty(&self) -> bool {
        self.addresses().next().is_none() && self.services().is_empty()
    }

    /// Replaces the addresses by those of a file of this host.
    pub(super) fn store_local(&mut self, addresses: &[IpAddr]) {
        let (v4, v6) = addresses.iter().partition(|address| address.is_ipv4());
        self.v4.replace(v4, None);
        self.v6.replace(v6, None);
        debug_assert_eq!(self.addresses().count(), addresses.len(), "an address lost or made");
        debug_assert!(self.services().is_empty(), "services of a host");
    }

    /// Whether the answer is about another full name than one that gave a part of what is known.
    pub(super) fn is_of_another(&self, answered: &Answered) -> bool {
        let Some(name) = &answered.name else { return false };
        let known =
            [Kind::A, Kind::Aaaa, Kind::Srv].into_iter().filter_map(|kind| self.name_of(kind));
        let is_another = known.into_iter().any(|known| known != name);
        debug_assert!(!is_another || !self.is_empty(), "a name that gave nothing");
        is_another
    }

    /// The full name that gave what is known of that kind, if no server could say whether it still
    /// has that, and why: then what a later name of the search list gives is not what is meant.
    pub(super) fn doubt(&self, answered: &Answered) -> Option<(Name, Failure)> {
        let known = self.name_of(answered.kind)?;
        let failed = answered.unanswered.iter().find(|(name, _)| name == known);
        let failure = match (failed, &answered.answer) {
            (Some((_, failure)), _) => *failure,
            (None, Answer::Failed(failure)) if answered.name.as_ref() == Some(known) => *failure,
            (None, _) => return None,
        };
        Some((known.clone(), failure))
    }

    /// Takes the records over; whether they are others than before.
    pub(super) fn store(&mut self, kind: Kind, records: Records, name: Option<Name>) -> bool {
        debug_assert!(!is_none(&records), "records of which there are none");
        let is_named = name.is_some();
        let is_changed = self.replace(kind, records, name);
        debug_assert!(!self.is_empty(), "there are records, and nothing is known");
        debug_assert_eq!(self.name_of(kind).is_some(), is_named, "of another name");
        is_changed
    }

    fn replace(&mut self, kind: Kind, records: Records, name: Option<Name>) -> bool {
        match (kind, records) {
            (Kind::A, Records::Addresses(all)) => self.v4.replace(few(all, |ip| *ip), name),
            (Kind::Aaaa, Records::Addresses(all)) => self.v6.replace(few(all, |ip| *ip), name),
            (Kind::Srv, Records::Services(all)) => self.services.replace(few(all, rank), name),
            (kind, records) => {
                debug_assert!(false, "{kind:?} answered by {records:?}");
                false
            }
        }
    }

    /// Forgets the records of that kind, since there are none; whether there were.
    pub(super) fn clear(&mut self, kind: Kind) -> bool {
        let was_empty = self.is_empty();
        let is_changed = match kind {
            Kind::A => self.v4.replace(Vec::new(), None),
            Kind::Aaaa => self.v6.replace(Vec::new(), None),
            Kind::Srv => self.services.replace(Vec::new(), None),
        };
        debug_assert!(self.name_of(kind).is_none(), "a name that gave nothing");
        debug_assert!(!was_empty || !is_changed, "nothing was forgotten");
        is_changed
    }

    fn name_of(&self, kind: Kind) -> Option<&Name> {
        match kind {
            Kind::A => self.v4.name.as_ref(),
            Kind::Aaaa => self.v6.name.as_ref(),
            Kind::Srv => self.services.name.as_ref(),
        }
    }

    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.v4.invariants();
        self.v6.invariants();
        self.services.invariants();
        debug_assert!(self.v4.items.iter().all(IpAddr::is_ipv4));
        debug_assert!(self.v6.items.iter().all(IpAddr::is_ipv6));
        let has_address = self.addresses().next().is_some();
        debug_assert!(!has_address || self.services().is_empty(), "a host and a service");
    }
}

impl<T: Eq> Part<T> {
    /// Replaces the records; whether they are others. Servers shuffle their answers, so another
    /// order alone is not a change. No item is there twice.
    fn replace(&mut self, new: Vec<T>, name: Option<Name>) -> bool {
        self.name = name.filter(|_| !new.is_empty());
        let is_same =
            self.items.len() == new.len() && new.iter().all(|item| self.items.contains(item));
        if !is_same {
            self.items = new;
        }
        !is_same
    }

    fn invariants(&self) {
        debug_assert!(self.items.len() <= DNS_RECORDS_MAX);
        debug_assert!(self.name.is_none() || !self.items.is_empty(), "a name that gave nothing");
        let mut earlier = self.items.iter().enumerate().map(|(at, item)| (item, &self.items[..at]));
        debug_assert!(earlier.all(|(item, before)| !before.contains(item)), "a record twice");
    }
}

fn is_none(records: &Records) -> bool {
    match records {
        Records::Addresses(all) => all.is_empty(),
        Records::Services(all) => all.is_empty(),
    }
}

/// The order in which SRV records are taken if there are too many.
fn rank(service: &Service) -> (u16, String, u16) {
    (service.priority, name_of(service), service.weight)
}

/// All of them in their order, or the first ones by rank if there are too many: servers shuffle
/// their answers, and which ones are taken must not change with every one of them.
fn few<T, R: Ord>(mut all: Vec<T>, rank: impl Fn(&T) -> R) -> Vec<T> {
    if all.len() > DNS_RECORDS_MAX {
        all.sort_by_cached_key(rank);
        all.truncate(DNS_RECORDS_MAX);
    }
    assert!(all.len() <= DNS_RECORDS_MAX);
    all
}
