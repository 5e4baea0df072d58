//! Events that any client can repeat without end: at most one line a second for each kind.
//!
//! The first event is logged at once. Later ones are counted and share one line, with the text of
//! the last one. Pure.

use std::fmt::{Display, Write};
use std::time::Instant;

use crate::config::SUMMARY_INTERVAL;

/// Events of one kind that are not logged yet.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    pending: u64,
    /// The text of the last event. Its memory is kept, so that counting an event allocates nothing.
    last: String,
    quiet_until: Option<Instant>,
}

impl Repeats {
    /// Counts an event. Returns the line to write now; `None` if it has to wait until
    /// [`Repeats::deadline`].
    pub fn add(&mut self, event: impl Display, now: Instant) -> Option<String> {
        self.pending += 1;
        self.last.clear();
        write!(self.last, "{event}").expect("a string takes all");
        let line = self.take_due(now);
        debug_assert!(line.is_some() || self.deadline().is_some_and(|at| at > now), "never logged");
        line
    }

    /// Takes the line about the pending events, if there are any and a line may be written now.
    pub fn take_due(&mut self, now: Instant) -> Option<String> {
        let is_quiet = self.quiet_until.is_some_and(|until| now < until);
        if self.pending == 0 || is_quiet {
            return None;
        }
        self.quiet_until = Some(now + SUMMARY_INTERVAL);
        let line = self.take_rest();
        debug_assert!(line.is_some(), "a pause after no line");
        debug_assert!(self.deadline().is_none(), "the same deadline again would spin");
        line
    }

    /// Takes the line about the pending events whenever the last one was written, for the end of
    /// the log.
    pub fn take_rest(&mut self) -> Option<String> {
        let count = std::mem::take(&mut self.pending);
        debug_assert!(count == 0 || !self.last.is_empty(), "a line without a text");
        (count > 0).then(|| format!("{} count={count}", self.last))
    }

    /// When [`Repeats::take_due`] returns a line; `None` if no event is pending.
    pub fn deadline(&self) -> Option<Instant> {
        debug_assert!(self.pending == 0 || self.quiet_until.is_some(), "kept, and never due");
        if self.pending == 0 { None } else { self.quiet_until }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_the_others_once_a_second() {
        let start = Instant::now();
        let mut repeats = Repeats::default();
        assert_eq!(repeats.add("a=0", start).as_deref(), Some("a=0 count=1"));
        assert_eq!(repeats.deadline(), None);
        for millisecond in 1..=999 {
            let text = format!("a={millisecond}");
            assert_eq!(repeats.add(text, start + Duration::from_millis(millisecond)), None);
        }
        assert_eq!(repeats.deadline(), Some(start + SUMMARY_INTERVAL));
        let line = repeats.take_due(start + SUMMARY_INTERVAL);
        assert_eq!(line.as_deref(), Some("a=999 count=999"), "in the words of the last one");
        assert_eq!(repeats.take_due(start + 3 * SUMMARY_INTERVAL), None);
    }

    #[test]
    fn at_the_end_nothing_stays_pending() {
        let start = Instant::now();
        let mut repeats = Repeats::default();
        for _ in 0..3 {
            repeats.add("a", start);
        }
        assert_eq!(repeats.take_rest().as_deref(), Some("a count=2"));
        assert_eq!((repeats.take_rest(), repeats.deadline()), (None, None));
    }

    #[test]
    fn after_a_quiet_second_the_next_is_logged_at_once_again() {
        let start = Instant::now();
        let mut repeats = Repeats::default();
        repeats.add("a", start);
        let line = repeats.add("b", start + SUMMARY_INTERVAL);
        assert_eq!(line.as_deref(), Some("b count=1"));
    }
}
