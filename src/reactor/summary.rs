//! Log lines about what any client can cause again and again: at most one a second for each topic.
//!
//! The first occurrence is told at once, later ones are counted and told together. Pure.

use std::time::Instant;

use crate::config::SUMMARY_INTERVAL;

/// Occurrences of one topic that were not told yet.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    untold: u64,
    quiet_until: Option<Instant>,
}

impl Summary {
    /// It happened once more. Gives the count to tell now; `None` if that must wait, see
    /// [`Summary::deadline`].
    pub fn note(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        self.take_due(now)
    }

    /// The count to tell now, if there is one and the last line is long enough ago.
    pub fn take_due(&mut self, now: Instant) -> Option<u64> {
        let may_tell = self.quiet_until.is_none_or(|until| until <= now);
        if self.untold == 0 || !may_tell {
            return None;
        }
        self.quiet_until = Some(now + SUMMARY_INTERVAL);
        self.take_rest()
    }

    /// The count of all that waits, if there is one, whenever the last line was: nothing is told
    /// after it.
    pub fn take_rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.untold)).filter(|untold| *untold > 0)
    }

    /// When [`Summary::take_due`] will give something; `None` if nothing waits to be told.
    pub fn deadline(&self) -> Option<Instant> {
        if self.untold == 0 { None } else { self.quiet_until }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_once_a_second() {
        let start = Instant::now();
        let mut summary = Summary::default();
        assert_eq!(summary.note(start), Some(1));
        assert_eq!(summary.deadline(), None);
        for millisecond in 1..=999 {
            assert_eq!(summary.note(start + Duration::from_millis(millisecond)), None);
        }
        assert_eq!(summary.deadline(), Some(start + SUMMARY_INTERVAL));
        assert_eq!(summary.take_due(start + SUMMARY_INTERVAL), Some(999));
        assert_eq!(summary.take_due(start + 3 * SUMMARY_INTERVAL), None);
    }

    #[test]
    fn at_the_end_nothing_is_left_out() {
        let start = Instant::now();
        let mut summary = Summary::default();
        for _ in 0..3 {
            summary.note(start);
        }
        assert_eq!((summary.take_rest(), summary.take_rest()), (Some(2), None));
    }

    #[test]
    fn after_a_quiet_second_the_next_is_told_at_once_again() {
        let start = Instant::now();
        let mut summary = Summary::default();
        summary.note(start);
        assert_eq!(summary.note(start + SUMMARY_INTERVAL), Some(1));
    }
}
