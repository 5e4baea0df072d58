//! Changes that occur in large numbers: the first ones are logged at once, each in a line of its
//! own, and further ones in one line a second. Pure.
//!
//! A name server may answer with another part of a large set every second, for as long as the
//! process runs. A line then names the endpoints or names that changed, up to a limit, and counts
//! the others.

use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use log::Level;

use super::events::Heading;
use crate::config::{CHANGES_NAMED_MAX, SUMMARY_INTERVAL};

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its kind, as one word: its key in a line about several changes.
    pub kind: &'static str,
    /// The address or the name that has changed.
    pub subject: String,
    /// The line about this change alone.
    pub line: Line,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its level and target.
    pub heading: Heading,
    /// Its text without the level.
    pub text: String,
}

/// The changes to log now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// One change.
    Alone(Line),
    /// Several changes, by kind.
    Together(Vec<Kind>),
}

/// Changes of one topic that are not logged yet.
#[derive(Debug)]
pub struct Changes {
    /// The number of lines that may be written now, at most `at_once`.
    allowance: u32,
    at_once: u32,
    /// When the allowance last grew, or was first used; `None` while it is full.
    grown_at: Option<Instant>,
    /// The line of the first pending change, which is logged in full if no other follows.
    first: Option<Line>,
    pending: Vec<Kind>,
}

/// Changes of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The kind, as one word.
    pub key: &'static str,
    /// The most severe of their levels.
    pub level: Level,
    count: usize,
    named: Vec<String>,
}

/// Writes the subjects, and the number of those that are not named: `10.0.0.1:1,10.0.0.2:1,+7`.
impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join(","))?;
        match self.count - self.named.len() {
            0 => Ok(()),
            beyond => write!(f, ",+{beyond}"),
        }
    }
}

impl Changes {
    /// An empty list. `at_once` changes may be logged at once, each in a line of its own.
    pub fn new(at_once: u32) -> Changes {
        Changes { allowance: at_once, at_once, grown_at: None, first: None, pending: Vec::new() }
    }

    /// Adds a change. Returns the changes to log now; `None` if they have to wait until
    /// [`Changes::deadline`].
    pub fn add(&mut self, change: Change, now: Instant) -> Option<Due> {
        self.grow(now);
        if self.pending.is_empty() && self.allowance > 0 {
            self.spend(now);
            return Some(Due::Alone(change.line));
        }
        let Change { kind, subject, line } = change;
        let level = line.heading.level;
        self.first.get_or_insert(line);
        let position =
            self.pending.iter().position(|known| known.key == kind).unwrap_or_else(|| {
                self.pending.push(Kind { key: kind, level, count: 0, named: Vec::new() });
                self.pending.len() - 1
            });
        let kind = &mut self.pending[position];
        kind.count += 1;
        // The first level is the most severe one.
        kind.level = kind.level.min(level);
        if kind.named.len() < CHANGES_NAMED_MAX && !kind.named.contains(&subject) {
            kind.named.push(subject);
        }
        let due = self.take_due(now);
        debug_assert!(due.is_some() || self.grown_at.is_some(), "no line is allowed ever");
        due
    }

    /// Takes the pending changes, if there are any and a line may be written now.
    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        self.grow(now);
        if self.pending.is_empty() || self.allowance == 0 {
            return None;
        }
        self.spend(now);
        let due = self.take_rest();
        debug_assert!(due.is_some(), "a line was spent on nothing");
        due
    }

    /// Takes the pending changes whenever the last line was written, for the end of the log.
    pub fn take_rest(&mut self) -> Option<Due> {
        self.invariants();
        let pending = std::mem::take(&mut self.pending);
        let first = self.first.take()?;
        match &pending[..] {
            [Kind { count: 1, .. }] => Some(Due::Alone(first)),
            _ => Some(Due::Together(pending)),
        }
    }

    /// When [`Changes::take_due`] returns changes; `None` if none is pending.
    pub fn deadline(&self) -> Option<Instant> {
        if self.pending.is_empty() { None } else { self.grown_at.map(|at| at + SUMMARY_INTERVAL) }
    }

    fn grow(&mut self, now: Instant) {
        let Some(grown_at) = &mut self.grown_at else { return };
        while self.allowance < self.at_once && *grown_at + SUMMARY_INTERVAL <= now {
            self.allowance += 1;
            *grown_at += SUMMARY_INTERVAL;
        }
        if self.allowance == self.at_once {
            self.grown_at = None;
        }
        self.invariants();
    }

    fn spend(&mut self, now: Instant) {
        debug_assert!(self.allowance > 0, "more lines than allowed");
        self.allowance -= 1;
        let grown_at = *self.grown_at.get_or_insert(now);
        debug_assert!(grown_at <= now, "grown in the future");
        self.invariants();
    }

    /// The allowance grows while it is not full; what is pending is of several kinds, and has a
    /// first line.
    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        assert!(self.allowance <= self.at_once, "more lines at once than allowed");
        let is_full = self.allowance == self.at_once;
        assert_eq!(self.grown_at.is_none(), is_full, "it grows until it is full");
        assert_eq!(self.first.is_none(), self.pending.is_empty(), "kept, and none was the first");
        for (at, kind) in self.pending.iter().enumerate() {
            assert!(self.pending[..at].iter().all(|one| one.key != kind.key), "one kind twice");
            assert!(kind.named.len() <= CHANGES_NAMED_MAX, "a line without end");
            assert!(kind.count >= kind.named.len().max(1), "more names than changes");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const AT_ONCE: u32 = 3;
    const HEADING: Heading = Heading { level: Level::Info, target: "etcd_gateway::upstream" };

    fn change(kind: &'static str, number: usize) -> Change {
        let text = format!("endpoint {kind} endpoint=10.0.0.{number}:1 and more");
        Change {
            kind,
            subject: format!("10.0.0.{number}:1"),
            line: Line { heading: HEADING, text },
        }
    }

    fn alone(kind: &'static str, number: usize) -> Option<Due> {
        Some(Due::Alone(change(kind, number).line))
    }

    /// What is logged together, each kind as `key=[…]`.
    fn together(due: Option<Due>) -> Option<String> {
        let Some(Due::Together(kinds)) = due else { return None };
        let kinds: Vec<String> =
            kinds.iter().map(|kind| format!("{}=[{kind}]", kind.key)).collect();
        Some(kinds.join(" "))
    }

    /// Changes whose allowance is used up.
    fn busy(now: Instant) -> Changes {
        let mut changes = Changes::new(AT_ONCE);
        for number in 0..AT_ONCE as usize {
            let line = changes.add(change("added", number), now);
            assert_eq!(line, alone("added", number), "in full");
        }
        assert_eq!(changes.deadline(), None);
        changes
    }

    #[test]
    fn what_follows_is_one_line_a_second() {
        let now = Instant::now();
        let mut changes = busy(now);
        let mut lines = Vec::new();
        for tenth in 0..50 {
            let at = now + tenth * Duration::from_millis(100);
            lines.extend(changes.take_due(at));
            lines.extend(changes.add(change("removed", tenth as usize), at));
            lines.extend(changes.add(change("added", tenth as usize), at));
        }
        assert_eq!(lines.len(), 4);
        let named: Vec<String> = (0..10).map(|number| format!("10.0.0.{number}:1")).collect();
        let named = named.join(",");
        let want = format!("removed=[{named}] added=[{named}]");
        assert_eq!(together(lines.into_iter().next()), Some(want));
    }

    #[test]
    fn a_change_that_comes_before_a_late_timer_is_logged_with_what_was_kept() {
        let now = Instant::now();
        let mut changes = busy(now);
        assert_eq!(changes.add(change("added", 7), now), None);
        // By now as many lines are allowed as at first.
        let later = now + AT_ONCE * SUMMARY_INTERVAL;
        let due = changes.add(change("added", 8), later);
        assert_eq!(together(due), Some("added=[10.0.0.7:1,10.0.0.8:1]".to_owned()));
        assert_eq!(changes.deadline(), None);
    }

    #[test]
    fn a_change_that_stays_alone_is_logged_in_full() {
        let now = Instant::now();
        let mut changes = busy(now);
        assert_eq!(changes.add(change("removed", 7), now), None);
        assert_eq!(changes.deadline(), Some(now + SUMMARY_INTERVAL));
        assert_eq!(changes.take_due(now + SUMMARY_INTERVAL / 2), None);
        let line = changes.take_due(now + SUMMARY_INTERVAL);
        assert_eq!(line, alone("removed", 7));
        assert_eq!(changes.take_due(now + 9 * SUMMARY_INTERVAL), None);
    }

    #[test]
    fn at_the_end_nothing_stays_pending() {
        let now = Instant::now();
        let mut changes = busy(now);
        assert_eq!(changes.take_rest(), None);
        assert_eq!(changes.add(change("removed", 7), now), None);
        assert_eq!(changes.take_rest(), alone("removed", 7));
        assert_eq!((changes.take_rest(), changes.deadline()), (None, None));
    }

    #[test]
    fn a_line_has_an_end_and_the_worst_level() {
        let now = Instant::now();
        let mut changes = busy(now);
        for number in 0..CHANGES_NAMED_MAX + 5 {
            assert_eq!(changes.add(change("added", number), now), None);
        }
        let mut bad = change("not_verified", 1);
        bad.line.heading.level = Level::Warn;
        assert_eq!(changes.add(bad, now), None);
        let due = changes.take_due(now + SUMMARY_INTERVAL);
        let Some(Due::Together(kinds)) = &due else { panic!("{due:?}") };
        assert_eq!(kinds.iter().map(|kind| kind.level).min(), Some(Level::Warn));
        let text = together(due).expect("several");
        assert!(text.contains(",+5] not_verified=[10.0.0.1:1]"), "{text}");
        assert!(text.len() < 100 + 60 * CHANGES_NAMED_MAX);
    }

    #[test]
    fn after_quiet_seconds_changes_are_logged_at_once_again() {
        let now = Instant::now();
        let mut changes = busy(now);
        let later = now + SUMMARY_INTERVAL;
        assert!(changes.add(change("added", 1), later).is_some());
        assert_eq!(changes.add(change("added", 2), later), None);
        let later = now + 100 * SUMMARY_INTERVAL;
        assert!(changes.take_due(later).is_some());
        for number in 1..AT_ONCE as usize {
            assert!(changes.add(change("added", number), later).is_some());
        }
        assert_eq!(changes.add(change("added", 2), later), None);
    }
}
