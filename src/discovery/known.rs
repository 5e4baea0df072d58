//! What is known of one name: the last good answers, and which full name gave them.
//!
//! Owns the rule which answer takes the place of which. Pure.

use std::net::IpAddr;

use super::srv::name_of;
use crate::config::DNS_RECORDS_MAX;
use crate::proto::dns::message::{Kind, Records, Service};
use crate::proto::dns::name::Name;
use crate::proto::dns::{Answer, Answered, Failure};

/// The last good answers.
#[derive(Debug, Default)]
pub(super) struct Known {
    v4: Part<IpAddr>,
    v6: Part<IpAddr>,
    services: Part<Service>,
}

/// Those of one kind.
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

    /// These are the addresses, by a file of this host.
    pub(super) fn store_local(&mut self, addresses: &[IpAddr]) {
        let (v4, v6) = addresses.iter().partition(|address| address.is_ipv4());
        self.v4.replace(v4, None);
        self.v6.replace(v6, None);
    }

    /// Whether it is about another full name than one that gave something of what is known.
    pub(super) fn is_of_another(&self, answered: &Answered) -> bool {
        let name = answered.name.as_ref();
        [Kind::A, Kind::Aaaa, Kind::Srv].iter().any(|kind| {
            let own = self.name_of(*kind);
            own.is_some() && name.is_some() && own != name
        })
    }

    /// A full name of which nobody could say whether it still has what it gave, if there is one,
    /// and why: then what a later name of the search list gives is not what is meant.
    pub(super) fn doubt<'a>(
        &self,
        mut answers: impl Iterator<Item = &'a Answered>,
    ) -> Option<(Name, Failure)> {
        answers.find_map(|it| {
            let own = self.name_of(it.kind)?;
            let failed = it.undecided.iter().find(|(name, _)| name == own);
            let failure = match (failed, &it.answer) {
                (Some((_, failure)), _) => *failure,
                (None, Answer::Failed(failure)) if it.name.as_ref() == Some(own) => *failure,
                (None, _) => return None,
            };
            Some((own.clone(), failure))
        })
    }

    /// Takes the records over; whether they are others than before.
    pub(super) fn store(&mut self, kind: Kind, records: Records, name: Option<Name>) -> bool {
        match (kind, records) {
            (Kind::A, Records::Addresses(all)) => self.v4.replace(few(all, |it| *it), name),
            (Kind::Aaaa, Records::Addresses(all)) => self.v6.replace(few(all, |it| *it), name),
            (Kind::Srv, Records::Services(all)) => {
                let rank = |it: &Service| (it.priority, name_of(it), it.weight);
                self.services.replace(few(all, rank), name)
            }
            (kind, records) => {
                debug_assert!(false, "{kind:?} answered by {records:?}");
                false
            }
        }
    }

    /// There is nothing of that kind; whether there was.
    pub(super) fn clear(&mut self, kind: Kind) -> bool {
        match kind {
            Kind::A => self.v4.replace(Vec::new(), None),
            Kind::Aaaa => self.v6.replace(Vec::new(), None),
            Kind::Srv => self.services.replace(Vec::new(), None),
        }
    }

    fn name_of(&self, kind: Kind) -> Option<&Name> {
        match kind {
            Kind::A => self.v4.name.as_ref(),
            Kind::Aaaa => self.v6.name.as_ref(),
            Kind::Srv => self.services.name.as_ref(),
        }
    }
}

impl<T: Eq> Part<T> {
    /// Servers shuffle their answers, so another order alone is no change. No item is there twice.
    fn replace(&mut self, new: Vec<T>, name: Option<Name>) -> bool {
        self.name = name.filter(|_| !new.is_empty());
        let is_same =
            self.items.len() == new.len() && new.iter().all(|item| self.items.contains(item));
        if !is_same {
            self.items = new;
        }
        !is_same
    }
}

/// As they come, or the first ones by rank if there are too many: servers shuffle their answers,
/// and which ones are taken must not change with every one of them.
fn few<T, R: Ord>(mut all: Vec<T>, rank: impl Fn(&T) -> R) -> Vec<T> {
    if all.len() > DNS_RECORDS_MAX {
        all.sort_by_cached_key(rank);
        all.truncate(DNS_RECORDS_MAX);
    }
    all
}
