//! Log lines about what comes and goes: some at once, each as a line of its own, and then one a
//! second that sums up. Pure.
//!
//! A name server may give another part of a large set every second, for as long as we run. Who
//! reads the log then is told which endpoints or names changed, up to a bound, and how many more.

use std::fmt::Write;
use std::time::Instant;

use log::Level;

use crate::config::{CHANGES_NAMED_MAX, SUMMARY_INTERVAL};

/// Something that has changed.
#[derive(Clone, Debug)]
pub struct News {
    /// How it has, in a word: the key under which a line names those of its kind.
    pub kind: &'static str,
    /// What has: an address or a name.
    pub what: String,
    /// The line that tells of it alone.
    pub line: Line,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub text: String,
}

/// Changes of one topic that were not told yet.
#[derive(Debug)]
pub struct Gathering {
    /// How a line begins that sums up.
    title: &'static str,
    /// Lines that may be written now, and most of them.
    allowance: u32,
    at_once: u32,
    /// When the allowance last grew, or began to.
    grown_at: Option<Instant>,
    /// The first of those that wait; it is told in full if no other joins it.
    first: Option<Line>,
    untold: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    key: &'static str,
    count: usize,
    named: Vec<String>,
    level: Level,
}

impl Gathering {
    /// Nothing to tell. So many changes may be told at once, each by a line of its own.
    pub fn new(title: &'static str, at_once: u32) -> Gathering {
        Gathering {
            title,
            allowance: at_once,
            at_once,
            grown_at: None,
            first: None,
            untold: Vec::new(),
        }
    }

    /// It has changed. Gives the line to write now; `None` if that must wait, see
    /// [`Gathering::deadline`].
    pub fn note(&mut self, news: News, now: Instant) -> Option<Line> {
        self.grow(now);
        if self.untold.is_empty() && self.allowance > 0 {
            self.spend(now);
            return Some(news.line);
        }
        let News { kind, what, line } = news;
        let level = line.level;
        self.first.get_or_insert(line);
        let position = self.untold.iter().position(|it| it.key == kind).unwrap_or_else(|| {
            self.untold.push(Kind { key: kind, count: 0, named: Vec::new(), level });
            self.untold.len() - 1
        });
        let kind = &mut self.untold[position];
        kind.count += 1;
        // The first level is the most severe one.
        kind.level = kind.level.min(level);
        if kind.named.len() < CHANGES_NAMED_MAX && !kind.named.contains(&what) {
            kind.named.push(what);
        }
        self.take_due(now)
    }

    /// The line to write now, if something waits and the last line is long enough ago.
    pub fn take_due(&mut self, now: Instant) -> Option<Line> {
        self.grow(now);
        if self.untold.is_empty() || self.allowance == 0 {
            return None;
        }
        self.spend(now);
        self.take_rest()
    }

    /// The line about all that waits, whenever the last one was: nothing is told after it.
    pub fn take_rest(&mut self) -> Option<Line> {
        let untold = std::mem::take(&mut self.untold);
        let first = self.first.take()?;
        match &untold[..] {
            [Kind { count: 1, .. }] => Some(first),
            kinds => Some(self.sum_up(kinds)),
        }
    }

    /// When [`Gathering::take_due`] will give something; `None` if nothing waits to be told.
    pub fn deadline(&self) -> Option<Instant> {
        if self.untold.is_empty() { None } else { self.grown_at.map(|at| at + SUMMARY_INTERVAL) }
    }

    fn sum_up(&self, kinds: &[Kind]) -> Line {
        let mut text = format!("{} changed", self.title);
        for Kind { key, count, named, .. } in kinds {
            let beyond = count - named.len();
            let beyond = if beyond > 0 { format!(",+{beyond}") } else { String::new() };
            write!(text, " {key}=[{}{beyond}]", named.join(",")).expect("a string takes all");
        }
        let level = kinds.iter().map(|kind| kind.level).min().unwrap_or(Level::Info);
        Line { level, text }
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
    }

    fn spend(&mut self, now: Instant) {
        debug_assert!(self.allowance > 0, "more lines than allowed");
        self.allowance -= 1;
        self.grown_at.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const AT_ONCE: u32 = 3;

    fn news(kind: &'static str, number: usize) -> News {
        let text = format!("endpoint {kind} endpoint=10.0.0.{number}:1 and more");
        News { kind, what: format!("10.0.0.{number}:1"), line: Line { level: Level::Info, text } }
    }

    /// A gathering whose allowance is used up.
    fn busy(now: Instant) -> Gathering {
        let mut gathering = Gathering::new("endpoints", AT_ONCE);
        for number in 0..AT_ONCE as usize {
            let line = gathering.note(news("added", number), now);
            assert_eq!(line, Some(news("added", number).line), "in full");
        }
        assert_eq!(gathering.deadline(), None);
        gathering
    }

    #[test]
    fn what_follows_is_one_line_a_second() {
        let now = Instant::now();
        let mut gathering = busy(now);
        let mut lines = Vec::new();
        for tenth in 0..50 {
            let at = now + tenth * Duration::from_millis(100);
            lines.extend(gathering.take_due(at));
            lines.extend(gathering.note(news("removed", tenth as usize), at));
            lines.extend(gathering.note(news("added", tenth as usize), at));
        }
        assert_eq!(lines.len(), 4);
        let named: Vec<String> = (0..10).map(|number| format!("10.0.0.{number}:1")).collect();
        let named = named.join(",");
        let want = format!("endpoints changed removed=[{named}] added=[{named}]");
        assert_eq!(lines[0].text, want);
    }

    #[test]
    fn a_change_that_stays_alone_is_told_in_full() {
        let now = Instant::now();
        let mut gathering = busy(now);
        assert_eq!(gathering.note(news("removed", 7), now), None);
        assert_eq!(gathering.deadline(), Some(now + SUMMARY_INTERVAL));
        assert_eq!(gathering.take_due(now + SUMMARY_INTERVAL / 2), None);
        let line = gathering.take_due(now + SUMMARY_INTERVAL);
        assert_eq!(line, Some(news("removed", 7).line));
        assert_eq!(gathering.take_due(now + 9 * SUMMARY_INTERVAL), None);
    }

    #[test]
    fn at_the_end_nothing_is_left_out() {
        let now = Instant::now();
        let mut gathering = busy(now);
        assert_eq!(gathering.take_rest(), None);
        assert_eq!(gathering.note(news("removed", 7), now), None);
        assert_eq!(gathering.take_rest(), Some(news("removed", 7).line));
        assert_eq!((gathering.take_rest(), gathering.deadline()), (None, None));
    }

    #[test]
    fn a_line_has_an_end_and_the_worst_level() {
        let now = Instant::now();
        let mut gathering = busy(now);
        for number in 0..CHANGES_NAMED_MAX + 5 {
            assert_eq!(gathering.note(news("added", number), now), None);
        }
        let mut bad = news("not_verified", 1);
        bad.line.level = Level::Warn;
        assert_eq!(gathering.note(bad, now), None);
        let line = gathering.take_due(now + SUMMARY_INTERVAL).expect("due");
        assert_eq!(line.level, Level::Warn);
        assert!(line.text.contains(",+5] not_verified=[10.0.0.1:1]"), "{line:?}");
        assert!(line.text.len() < 100 + 60 * CHANGES_NAMED_MAX);
    }

    #[test]
    fn after_quiet_seconds_changes_are_told_at_once_again() {
        let now = Instant::now();
        let mut gathering = busy(now);
        let later = now + SUMMARY_INTERVAL;
        assert!(gathering.note(news("added", 1), later).is_some());
        assert_eq!(gathering.note(news("added", 2), later), None);
        let later = now + 100 * SUMMARY_INTERVAL;
        assert!(gathering.take_due(later).is_some());
        for number in 1..AT_ONCE as usize {
            assert!(gathering.note(news("added", number), later).is_some());
        }
        assert_eq!(gathering.note(news("added", 2), later), None);
    }
}
