//! From one list of SRV records to the next, without losing a member that is in both under another
//! name: records that are gone still count until the hosts of the new ones are known, or time is
//! up. Pure.

use std::time::Instant;

use super::srv::Listed;
use crate::config::SRV_HANDOVER;

/// The records that count.
#[derive(Debug, Default)]
pub(super) struct RetiringRecords {
    listed: Vec<Listed>,
    /// Gone, and still in effect.
    retiring: Vec<Listed>,
    /// When what they take the place of retires in any case; none while there is none.
    until: Option<Instant>,
}

impl RetiringRecords {
    /// These are the records now. `is_kept`: what they take the place of are endpoints that stayed
    /// although no record led to them any more.
    pub(super) fn replace(&mut self, listed: Vec<Listed>, is_kept: bool, now: Instant) {
        if listed == self.listed {
            return;
        }
        self.retiring.append(&mut self.listed);
        self.retiring.retain(|gone| !listed.iter().any(|other| other.is_for(&gone.service)));
        self.listed = listed;
        if !self.retiring.is_empty() || is_kept {
            self.until.get_or_insert(now + SRV_HANDOVER);
        }
    }

    /// The hosts of all records are known.
    pub(super) fn complete(&mut self) {
        self.retiring.clear();
        self.until = None;
    }

    /// Whether the time of those that are gone is up, just now.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let is_over = self.until.is_some_and(|until| until <= now);
        if is_over {
            self.complete();
        }
        is_over
    }

    /// Whether what was there before still counts, since not all of the new is known.
    pub(super) fn is_under_way(&self) -> bool {
        self.until.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Those that are listed, and then those that retire.
    pub(super) fn in_effect(&self) -> impl Iterator<Item = &Listed> {
        self.listed.iter().chain(&self.retiring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::message::Service;
    use crate::proto::dns::name::Name;
    use crate::upstream::Check;

    fn listed(names: &str) -> Vec<Listed> {
        let of_name = |name: &str| {
            let target = Name::from_text(name).expect("a name");
            let service = Service { priority: 0, weight: 1, port: 1, target };
            Listed { service, check: Check::Connect }
        };
        names.split_whitespace().map(of_name).collect()
    }

    fn names(records: &RetiringRecords) -> String {
        let names = records.in_effect().map(|it| it.service.target.to_string());
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
    fn it_does_not_last_for_ever_whatever_comes() {
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
    fn who_returns_does_not_count_twice() {
        let now = Instant::now();
        let mut records = RetiringRecords::default();
        records.replace(listed("a"), false, now);
        records.replace(listed("b"), false, now);
        records.replace(listed("a"), false, now);
        assert_eq!(names(&records), "a b");
    }
}
