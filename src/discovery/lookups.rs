//! Counters of look-ups, by result. Count; decide nothing.

use super::ResolveError;
use crate::proto::dns::Failure;

/// Look-ups of one name each, since the start.
///
/// `begun = resolved + no_such_name + no_record + failed + abandoned + under way`, at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Names that needed no look-up: those in /etc/hosts, and `localhost`.
    pub local: u64,
    /// Those that began, under way or over.
    pub begun: u64,
    /// Those that gave an address or a record.
    pub resolved: u64,
    /// Those by which there is no such name.
    pub no_such_name: u64,
    /// Those by which the name has no record of the kind.
    pub no_record: u64,
    /// Those that were given up: the name is not needed any longer.
    pub abandoned: u64,
    failed: [u64; Failure::COUNT],
}

impl Lookups {
    /// Counts one that is over: with an error, or without one.
    pub(super) fn finish(&mut self, error: Option<ResolveError>) {
        let before = self.under_way();
        debug_assert!(before > 0, "over without a beginning");
        match error {
            None => self.resolved += 1,
            Some(ResolveError::NoSuchName) => self.no_such_name += 1,
            Some(ResolveError::NoRecord) => self.no_record += 1,
            Some(ResolveError::Failed(failure)) => self.failed[failure.index()] += 1,
        }
        debug_assert_eq!(self.under_way() + 1, before, "counted as several results, or none");
    }

    /// Those that failed for reasons with this index, see [`Failure::index`].
    pub fn failed_by(&self, index: usize) -> u64 {
        debug_assert!(index < Failure::COUNT, "not an index of a failure");
        self.failed[index]
    }

    /// Those that failed, for whatever reason.
    pub fn failed(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Those that are not over.
    ///
    /// # Panics
    /// When more are over than had begun.
    pub fn under_way(&self) -> u64 {
        let answered = self.resolved + self.no_such_name + self.no_record;
        let over = answered + self.failed() + self.abandoned;
        self.begun.checked_sub(over).expect("a look-up has one result")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_is_under_way_until_it_has_its_result() {
        let mut lookups = Lookups { begun: 6, abandoned: 1, ..Lookups::default() };
        for error in [
            None,
            Some(ResolveError::NoSuchName),
            Some(ResolveError::NoRecord),
            Some(ResolveError::Failed(Failure::Shortage)),
        ] {
            lookups.finish(error);
        }
        let Lookups { resolved, no_such_name, no_record, .. } = lookups;
        assert_eq!((resolved, no_such_name, no_record, lookups.under_way()), (1, 1, 1, 1));
        assert_eq!((lookups.failed(), lookups.failed_by(Failure::Shortage.index())), (1, 1));
    }
}
