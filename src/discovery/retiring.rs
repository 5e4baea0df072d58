//! The way from one list of servers to the next, SRV records or members, without losing one that is
//! in both under another name: what is gone still counts until the hosts of the new ones are known,
//! or time is up. Pure.

use std::fmt;
use std::time::Instant;

use crate::config::{ENDPOINTS_MAX, SRV_HANDOVER};

/// A record of a list.
pub(super) trait Record: fmt::Debug + PartialEq {
    /// Whether both are about the same host and port.
    fn is_like(&self, other: &Self) -> bool;
}

/// The records that count: those that are listed, and those that retire.
///
/// Invariant: no host and port twice; records retire only while there is a deadline.
#[derive(Debug)]
pub(super) struct RetiringRecords<R> {
    listed: Vec<R>,
    /// Records that are no longer listed, and still in effect.
    retiring: Vec<R>,
    /// When what was there before goes in any case; none while nothing retires.
    until: Option<Instant>,
}

impl<R> Default for RetiringRecords<R> {
    fn default() -> RetiringRecords<R> {
        RetiringRecords { listed: Vec::new(), retiring: Vec::new(), until: None }
    }
}

impl<R: Record> RetiringRecords<R> {
    /// Replaces the list. `is_kept`: it takes the place of endpoints that stayed although no record
    /// led to them.
    pub(super) fn replace(&mut self, listed: Vec<R>, is_kept: bool, now: Instant) {
        if listed == self.listed {
            return;
        }
        self.retiring.append(&mut self.listed);
        self.retiring.retain(|gone| !listed.iter().any(|other| other.is_like(gone)));
        self.listed = listed;
        if !self.retiring.is_empty() || is_kept {
            let until = *self.until.get_or_insert(now + SRV_HANDOVER);
            debug_assert!(until <= now + SRV_HANDOVER, "a list put the end off");
        }
        self.invariants();
    }

    /// Lets what retires go, since the hosts of all records are known.
    pub(super) fn complete(&mut self) {
        self.retiring.clear();
        self.until = None;
        debug_assert!(!self.is_under_way());
        debug_assert_eq!(self.in_effect().count(), self.listed.len(), "gone and still in effect");
        self.invariants();
    }

    /// Lets what retires go if its time is up; whether it was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let is_over = self.until.is_some_and(|until| until <= now);
        if is_over {
            self.complete();
        }
        debug_assert!(self.until.is_none_or(|until| until > now));
        is_over
    }

    /// Whether what was there before still counts, since not all that is new is known.
    pub(super) fn is_under_way(&self) -> bool {
        self.until.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn listed(&self) -> &[R] {
        &self.listed
    }

    /// The records that are listed, and then those that retire.
    pub(super) fn in_effect(&self) -> impl Iterator<Item = &R> {
        self.listed.iter().chain(&self.retiring)
    }

    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        debug_assert!(self.listed.len() <= ENDPOINTS_MAX);
        debug_assert!(self.until.is_some() || self.retiring.is_empty(), "they would never go");
        for record in self.in_effect() {
            let same = self.in_effect().filter(|other| other.is_like(record));
            debug_assert_eq!(same.count(), 1, "a host and port twice");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::srv::Listed;
    use super::*;
    use crate::proto::dns::message::Service;
    use crate::proto::dns::name::Name;
    use crate::scheme::Scheme;
    use crate::upstream::Check;

    fn listed(names: &str) -> Vec<Listed> {
        names.split_whitespace().map(record).collect()
    }

    fn record(name: &str) -> Listed {
        let target = Name::from_text(name).expect("a name");
        let service = Service { priority: 0, weight: 1, port: 1, target };
        Listed::new(service, Check::Connect, Scheme::Http)
    }

    fn names(records: &RetiringRecords<Listed>) -> String {
        let names = records.in_effect().map(|listed| listed.service.target.to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_gone_counts_until_the_new_ones_are_known() {
        let now = Instant::now();
        let mut records = RetiringRecords::default();
        records.replace(listed("a b"), false, now);
        assert_eq!((names(&records).as_str(), records.deadline()), ("a b", None));
        records.replace(listed("b c"), false, now);
        assert_eq!(names(&records), "b c a");
        records.replace(listed("c d"), false, now);
        assert_eq!(names(&records), "c d a b");
        records.complete();
        assert_eq!((names(&records).as_str(), records.deadline()), ("c d", None));
    }

    #[test]
    fn there_is_an_end_to_it_whatever_comes() {
        let now = Instant::now();
        let mut records = RetiringRecords::default();
        records.replace(listed("a"), false, now);
        records.replace(listed("b"), false, now);
        records.replace(listed("c"), false, now + SRV_HANDOVER / 2);
        assert_eq!(records.deadline(), Some(now + SRV_HANDOVER));
        assert!(!records.expire(now + SRV_HANDOVER / 2));
        assert!(records.expire(now + SRV_HANDOVER));
        assert_eq!(names(&records), "c");
        assert!(!records.expire(now + SRV_HANDOVER), "once");
    }

    #[test]
    fn a_record_that_returns_does_not_count_twice() {
        let now = Instant::now();
        let mut records = RetiringRecords::default();
        records.replace(listed("a"), false, now);
        records.replace(listed("b"), false, now);
        records.replace(listed("a"), false, now);
        assert_eq!(names(&records), "a b");
    }
}
