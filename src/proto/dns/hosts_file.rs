//! The content of /etc/hosts: the version of the file that was read, the names it was read for, and
//! whether it has to be read again.
//!
//! Owns the table and the reading that is under way. Must not open a file: the caller says which
//! version there is, and hands its content over, piece by piece.
//!
//! ```text
//!            look: another version, or other names
//!   known ────────────────────────────────────────► reading ──┐ end: it was changed meanwhile
//!     ▲                                                │  ▲   │
//!     └────────────────────────────────────────────────┘  └───┘
//!            end: of one piece with its version
//! ```

use std::collections::BTreeSet;
use std::time::Instant;

use super::hosts::{HostsReader, Table};
use crate::config::{HOSTS_READS_MAX, HOSTS_SETTLE};

/// The file, as far as it is known. `V` identifies a version of the file (stat(2)); two writes
/// within one tick of the kernel's clock may share one.
///
/// Invariant: what is read is read for the version that was seen last, [`HOSTS_READS_MAX`] times at
/// most; the table has no name that it was not read for.
#[derive(Debug)]
pub struct HostsFile<V> {
    table: Table,
    source: Source<V>,
    /// The version that was seen last, and since when; `None`: no file, or one of no bytes.
    seen: Option<(Option<V>, Instant)>,
    /// When the table was last found to be what the file says.
    checked_at: Option<Instant>,
    reading: Option<Reading<V>>,
}

/// The origin of the table.
#[derive(Debug)]
enum Source<V> {
    /// No file, so the table holds for every name.
    Nothing,
    /// That version, read for these names. `is_settled`: it had not changed for a while by then, so
    /// that it was complete.
    File { version: V, names: BTreeSet<String>, is_settled: bool },
}

#[derive(Debug)]
struct Reading<V> {
    version: V,
    names: BTreeSet<String>,
    is_settled: bool,
    reader: HostsReader,
    /// How often it was begun, from 1.
    begun: u32,
}

impl<V: Clone + PartialEq> Default for HostsFile<V> {
    fn default() -> HostsFile<V> {
        HostsFile {
            table: Table::new(),
            source: Source::Nothing,
            seen: None,
            checked_at: None,
            reading: None,
        }
    }
}

impl<V: Clone + PartialEq> HostsFile<V> {
    /// The table, if it is what the file says `now` of each of `names`.
    pub fn table<'a>(
        &self,
        mut names: impl Iterator<Item = &'a String>,
        now: Instant,
    ) -> Option<&Table> {
        let is_checked = self.checked_at == Some(now) && self.reading.is_none();
        (is_checked && names.all(|name| self.covers(name))).then_some(&self.table)
    }

    /// Whether the file is being read.
    pub fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Takes note of the version of the file now; `None` if there is no file, or an empty one.
    /// Begins to read it, for all of `names`, if the table does not cover those that are `due`.
    pub fn look(
        &mut self,
        version: Option<V>,
        due: &[String],
        names: impl FnOnce() -> BTreeSet<String>,
        now: Instant,
    ) {
        debug_assert!(!self.is_reading(), "one reading at a time");
        let is_settled = self.see(version.clone(), now);
        let Some(version) = version else {
            self.on_nothing(is_settled, now);
            debug_assert!(due.iter().all(|name| self.covers(name)), "looked up without end");
            return;
        };
        let is_known = match &self.source {
            // Two versions that look alike are two writes in one tick: a second look finds the
            // later one.
            Source::File { version: known, is_settled: was_settled, .. } => {
                *known == version && (*was_settled || !is_settled)
            }
            Source::Nothing => false,
        };
        if is_known && due.iter().all(|name| self.covers(name)) {
            self.checked_at = Some(now);
            return;
        }
        let mut names = names();
        names.extend(due.iter().cloned());
        debug_assert!(due.iter().all(|name| names.contains(name)), "due and not looked for");
        self.reading = Some(Reading::begin(version, names, is_settled, 1));
        self.invariants();
    }

    /// Takes the next piece of the file.
    pub fn take(&mut self, piece: &[u8]) {
        if let Some(reading) = &mut self.reading {
            reading.reader.take(piece);
        }
    }

    /// Ends the reading, with the version of the file at its end. Whether it is over; otherwise the
    /// file is to be read anew, from its beginning.
    pub fn end(&mut self, version: Option<V>, now: Instant) -> bool {
        let Some(reading) = self.reading.take() else { return true };
        let is_settled = self.see(version.clone(), now);
        let Some(version) = version else {
            self.on_nothing(is_settled, now);
            return true;
        };
        debug_assert!(reading.begun <= HOSTS_READS_MAX, "read again and again");
        let is_same = version == reading.version;
        if !is_same && reading.begun < HOSTS_READS_MAX {
            let begun = reading.begun + 1;
            self.reading = Some(Reading::begin(version, reading.names, is_settled, begun));
            self.invariants();
            return false;
        }
        self.table = reading.reader.finish();
        self.source = Source::File {
            version: reading.version,
            names: reading.names,
            is_settled: reading.is_settled && is_same,
        };
        self.checked_at = Some(now);
        debug_assert!(self.table([].iter(), now).is_some(), "read without effect");
        self.invariants();
        true
    }

    /// Gives the reading up, for reasons that say nothing of the file: what was known before is the
    /// best guess, and what was not is not there.
    pub fn fail(&mut self, now: Instant) {
        self.reading = None;
        self.see(None, now);
        self.checked_at = Some(now);
        self.invariants();
    }

    /// Notes the version that there is; whether it has been the same for a while.
    fn see(&mut self, version: Option<V>, now: Instant) -> bool {
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => self.seen.insert((version, now)).1,
        };
        debug_assert!(since <= now, "seen in the future");
        now >= since + HOSTS_SETTLE
    }

    /// A file that is not there, or empty, is most likely being written at this moment: what it
    /// said before is believed for a while.
    fn on_nothing(&mut self, is_settled: bool, now: Instant) {
        debug_assert!(matches!(self.seen, Some((None, _))), "there is a file");
        debug_assert!(!self.is_reading(), "nothing is read");
        if is_settled {
            self.table.clear();
            self.source = Source::Nothing;
        }
        self.checked_at = Some(now);
        self.invariants();
    }

    fn covers(&self, name: &String) -> bool {
        let is_nothing = matches!(self.seen, Some((None, _)));
        match &self.source {
            Source::Nothing => true,
            Source::File { names, .. } => is_nothing || names.contains(name),
        }
    }
}

impl<V: PartialEq> HostsFile<V> {
    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        debug_assert!(self.seen.is_some(), "never looked at");
        if let Some(Reading { version, begun, .. }) = &self.reading {
            debug_assert!((1..=HOSTS_READS_MAX).contains(begun), "read again and again");
            let is_seen = matches!(&self.seen, Some((Some(seen), _)) if seen == version);
            debug_assert!(is_seen, "not the version that is there");
        }
        match &self.source {
            Source::Nothing => debug_assert!(self.table.is_empty(), "from nowhere"),
            Source::File { names, .. } => {
                debug_assert!(self.checked_at.is_some(), "read and never compared");
                debug_assert!(self.table.keys().all(|name| names.contains(name)));
            }
        }
    }
}

impl<V> Reading<V> {
    fn begin(version: V, names: BTreeSet<String>, is_settled: bool, begun: u32) -> Reading<V> {
        let reader = HostsReader::new(names.clone());
        Reading { version, names, is_settled, reader, begun }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Bench {
        file: HostsFile<u32>,
        now: Instant,
        /// Readings so far.
        readings: usize,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { file: HostsFile::default(), now: Instant::now(), readings: 0 }
        }

        /// A look for that name at a file of that version and text; the address that was found.
        fn look(&mut self, name: &str, version: Option<u32>, text: &str) -> Option<String> {
            let due = [name.to_owned()];
            if self.file.table(due.iter(), self.now).is_none() {
                self.file.look(version, &due, || ["a", "b"].map(str::to_owned).into(), self.now);
            }
            if self.file.is_reading() {
                assert_eq!(self.file.table(due.iter(), self.now), None, "it waits");
                self.read(version, text);
            }
            let table = self.file.table(due.iter(), self.now).expect("all was read");
            table.get(name).map(|addresses| addresses[0].to_string())
        }

        fn read(&mut self, version: Option<u32>, text: &str) {
            self.readings += 1;
            self.file.take(text.as_bytes());
            assert!(self.file.end(version, self.now));
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
        }
    }

    fn is(address: &str) -> Option<String> {
        Some(address.to_owned())
    }

    #[test]
    fn an_unchanged_file_is_read_once_more_and_then_no_more() {
        let mut bench = Bench::new();
        for second in 0..100 {
            for name in ["a", "b"] {
                let want = if name == "a" { is("10.0.0.1") } else { None };
                assert_eq!(bench.look(name, Some(7), "10.0.0.1 a"), want);
            }
            // The second one is for a write within the tick of the first.
            assert_eq!(bench.readings, if second == 0 { 1 } else { 2 });
            bench.pass(HOSTS_SETTLE);
        }
    }

    #[test]
    fn a_write_that_changes_no_version_is_found_by_the_second_reading() {
        let mut bench = Bench::new();
        assert_eq!(bench.look("a", Some(7), "10.0.0.1 a"), is("10.0.0.1"));
        bench.pass(HOSTS_SETTLE);
        assert_eq!(bench.look("a", Some(7), "10.0.0.2 a"), is("10.0.0.2"));
    }

    #[test]
    fn another_version_or_name_is_read_for() {
        let mut bench = Bench::new();
        assert_eq!(bench.look("a", Some(7), "10.0.0.1 a"), is("10.0.0.1"));
        assert_eq!(bench.look("c", Some(7), "10.0.0.1 a c"), is("10.0.0.1"));
        assert_eq!(bench.readings, 2);
        assert_eq!(bench.look("b", Some(7), ""), None, "was asked for from the beginning");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.look("a", Some(8), "10.0.0.2 a"), is("10.0.0.2"));
        assert_eq!(bench.readings, 3);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_anew() {
        let mut bench = Bench::new();
        let due = ["a".to_owned()];
        bench.file.look(Some(1), &due, BTreeSet::new, bench.now);
        bench.file.take(b"10.0.0.1 a\n10.0.");
        assert!(!bench.file.end(Some(2), bench.now));
        bench.file.take(b"10.0.0.2 a");
        assert!(bench.file.end(Some(2), bench.now));
        let table = bench.file.table(due.iter(), bench.now).expect("it was read");
        assert_eq!(table["a"].len(), 1);
        assert_eq!(bench.look("a", Some(2), ""), is("10.0.0.2"), "and not again");
    }

    #[test]
    fn a_file_that_never_settles_is_believed_in_the_end() {
        let mut bench = Bench::new();
        bench.file.look(Some(0), &["a".to_owned()], BTreeSet::new, bench.now);
        for version in 1..HOSTS_READS_MAX {
            assert!(!bench.file.end(Some(version), bench.now));
        }
        bench.file.take(b"10.0.0.1 a");
        assert!(bench.file.end(Some(HOSTS_READS_MAX), bench.now));
        assert_eq!(bench.look("a", Some(HOSTS_READS_MAX), ""), is("10.0.0.1"));
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.look("a", Some(HOSTS_READS_MAX), ""), None, "for this once");
    }

    #[test]
    fn a_file_that_is_gone_or_empty_is_believed_after_a_while() {
        let mut bench = Bench::new();
        assert_eq!(bench.look("a", None, ""), None);
        assert_eq!(bench.look("a", Some(7), "10.0.0.1 a"), None, "no second look in one moment");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.look("a", Some(7), "10.0.0.1 a"), is("10.0.0.1"));
        bench.pass(HOSTS_SETTLE);
        assert_eq!(bench.look("a", None, ""), is("10.0.0.1"));
        assert_eq!(bench.look("c", None, ""), None);
        bench.pass(HOSTS_SETTLE);
        assert_eq!(bench.look("a", None, ""), None);
    }

    #[test]
    fn what_was_known_stays_when_a_reading_fails() {
        let mut bench = Bench::new();
        assert_eq!(bench.look("a", Some(7), "10.0.0.1 a"), is("10.0.0.1"));
        bench.pass(HOSTS_SETTLE);
        bench.file.look(Some(8), &["a".to_owned()], BTreeSet::new, bench.now);
        bench.file.fail(bench.now);
        assert!(!bench.file.is_reading());
        let table = bench.file.table(["a".to_owned()].iter(), bench.now);
        assert_eq!(table.map(|table| table["a"].len()), Some(1));
        assert!(bench.file.table(["c".to_owned()].iter(), bench.now).is_some(), "no look-up waits");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.look("a", Some(8), "10.0.0.3 a"), is("10.0.0.3"));
    }
}
