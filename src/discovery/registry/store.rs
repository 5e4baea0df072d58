//! The keys of a registry and the services that their values name, as of the last change heard.
//!
//! Owns how ranges of all keys and changes from a watch come together, which arrive over two
//! connections and in any order: by the revision of each change. Pure.
//!
//! ```text
//!   range at revision R:  what each key was at R; a key that it lacks was gone by then
//!   change at revision C: counts if C is above R and above the last change of the key
//! ```
//!
//! Ranges are linearizable, so R is not below what was heard before the range began. If it is, or
//! the term of Raft has fallen, the registry has another history: it was restored or made anew,
//! which may be under the same id of the cluster.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use crate::config::{
    ABSENCE_MAX, REGISTRY_KEY_BYTES_MAX, REGISTRY_KEYS_MAX, REGISTRY_REPORTED_MAX,
};
use crate::proto::etcd::kv::KeyValue;
use crate::proto::etcd::registry::{self, Service, Weight};
use crate::proto::etcd::watch::Event;
use crate::proto::etcd::{Header, SkipReason};
use crate::recent::Recent;

/// What is known of the keys.
///
/// Invariant: at most [`REGISTRY_KEYS_MAX`] keys, the first ones in the order of their bytes.
#[derive(Debug)]
pub(super) struct Store {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// What the last range was of; `None`: there was none.
    base: Option<Base>,
    /// The highest revision that was heard of in this history.
    heard: u64,
    /// The range under way, if there is one.
    under_way: Option<UnderWay>,
    /// The key up to which all are known, where further ones are not kept: then the place of one
    /// that is gone is to be filled by another range.
    cut_after: Option<Vec<u8>>,
    /// Whether only another range can tell what the keys are.
    is_lacking: bool,
    /// Digests of keys with values that were reported not long ago.
    reported: Recent<u64, ()>,
    remarks: Vec<Remark>,
}

/// The range that changes are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Base {
    cluster_id: u64,
    revision: u64,
    raft_term: u64,
}

/// A range whose answer is awaited.
#[derive(Debug, Default)]
struct UnderWay {
    /// The highest revision that was heard of when it began.
    heard_before: u64,
    /// Keys that were deleted since then, with the revisions of that.
    deleted: BTreeMap<Vec<u8>, u64>,
}

/// A key with the meaning of its value, without the bytes of that, which may be many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The key, or the beginning of one that is too long, which is longer than others may be.
    key: Vec<u8>,
    entry: Entry,
    /// Of key and value.
    digest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    mod_revision: u64,
    service: Result<Service, SkipReason>,
}

impl Listed {
    /// Reads the value.
    pub(super) fn of(kv: &KeyValue) -> Listed {
        let mut hasher = DefaultHasher::new();
        (&kv.key, &kv.value).hash(&mut hasher);
        let length = kv.key.len().min(REGISTRY_KEY_BYTES_MAX + 1);
        let service = match length > REGISTRY_KEY_BYTES_MAX {
            true => Err(SkipReason::TooLarge),
            false => registry::parse(&kv.value),
        };
        Listed {
            key: kv.key[..length].to_vec(),
            entry: Entry { mod_revision: kv.mod_revision, service },
            digest: hasher.finish(),
        }
    }

    fn is_too_long(&self) -> bool {
        self.key.len() > REGISTRY_KEY_BYTES_MAX
    }

    /// What the log should tell of it.
    fn remark(&self) -> Option<Remark> {
        let key = self.key.clone();
        match &self.entry.service {
            Err(reason) => Some(Remark::Skipped { key, reason: *reason }),
            Ok(Service { weight: Weight::Invalid, .. }) => Some(Remark::WeightInvalid { key }),
            Ok(_) => None,
        }
    }
}

/// A value that the log should tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// It names no server that can be dialed.
    Skipped {
        /// The key.
        key: Vec<u8>,
        /// Why.
        reason: SkipReason,
    },
    /// Its weight cannot be read, so it has the default one.
    WeightInvalid {
        /// The key.
        key: Vec<u8>,
    },
    /// There are more keys than are kept.
    TooMany,
}

/// What a range has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Differences {
    /// The services are others than before.
    pub(super) is_changed: bool,
    /// A key was not as the watch has left it, of those up to where keys are kept.
    pub(super) was_outdated: bool,
}

impl Store {
    /// Nothing is known.
    pub(super) fn new() -> Store {
        Store {
            entries: BTreeMap::new(),
            base: None,
            heard: 0,
            under_way: None,
            cut_after: None,
            is_lacking: false,
            reported: Recent::new(ABSENCE_MAX, REGISTRY_REPORTED_MAX),
            remarks: Vec::new(),
        }
    }

    /// Whether a range has told what the keys are.
    pub(super) fn is_known(&self) -> bool {
        self.base.is_some()
    }

    /// Whether there is no key, as a range and changes since then say.
    pub(super) fn is_empty(&self) -> bool {
        self.is_known() && self.entries.is_empty() && self.cut_after.is_none()
    }

    /// Whether only another range can tell what the keys are.
    pub(super) fn is_lacking(&self) -> bool {
        self.is_lacking
    }

    /// The services, in the order of their keys.
    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        self.entries.values().filter_map(|entry| entry.service.as_ref().ok())
    }

    /// What the log should tell of values, the first one first.
    pub(super) fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    /// Begins a range: deletions are remembered until it ends.
    pub(super) fn begin_range(&mut self) {
        self.under_way = Some(UnderWay { heard_before: self.heard, deleted: BTreeMap::new() });
    }

    /// Ends a range without a result.
    pub(super) fn abandon_range(&mut self) {
        self.under_way = None;
    }

    /// Takes the keys of a whole range, which has begun by [`Store::begin_range`]. `is_cut`: there
    /// are further ones, more than [`REGISTRY_KEYS_MAX`]. A range of another cluster, or of another
    /// history, replaces all that is known.
    pub(super) fn end_range(
        &mut self,
        header: &Header,
        keys: Vec<Listed>,
        is_cut: bool,
        now: Instant,
    ) -> Differences {
        let UnderWay { heard_before, deleted } = self.under_way.take().unwrap_or_default();
        let Header { cluster_id, revision, raft_term, .. } = *header;
        let is_continued = heard_before <= revision
            && (self.base)
                .is_some_and(|base| base.cluster_id == cluster_id && base.raft_term <= raft_term);
        self.heard = if is_continued { self.heard.max(revision) } else { revision };
        let mut before = std::mem::take(&mut self.entries);
        let had_keys = !before.is_empty();
        let last = keys.last().filter(|_| is_cut).map(|listed| listed.key.clone());
        let cut_after = std::mem::replace(&mut self.cut_after, last.clone());
        self.is_lacking = false;
        let mut differences = Differences { is_changed: self.base.is_none(), was_outdated: false };
        self.base = Some(Base { cluster_id, revision, raft_term });
        for listed in keys {
            let own = before.remove(&listed.key);
            let is_deleted = deleted.get(&listed.key).is_some_and(|at| *at > revision);
            match own {
                _ if listed.is_too_long() => self.note(&listed, now),
                None if is_continued && is_deleted => {}
                Some(own) if is_continued && own.mod_revision > revision || own == listed.entry => {
                    self.entries.insert(listed.key, own);
                }
                own => {
                    let is_filling = own.is_none() && is_behind(&listed.key, cut_after.as_ref());
                    differences.was_outdated |= !(is_continued && is_filling);
                    self.note(&listed, now);
                    let service = listed.entry.service.as_ref().ok();
                    differences.is_changed |=
                        own.and_then(|own| own.service.ok()).as_ref() != service;
                    self.entries.insert(listed.key, listed.entry);
                }
            }
        }
        for (key, own) in before {
            if is_continued && own.mod_revision > revision {
                self.entries.insert(key, own);
            } else {
                differences.was_outdated |= !(is_continued && is_behind(&key, last.as_ref()));
                differences.is_changed |= own.service.is_ok();
            }
        }
        differences.is_changed |= had_keys && self.entries.is_empty();
        differences.is_changed |= self.drop_excess();
        self.note_cut(cut_after.is_some());
        differences
    }

    /// Takes a change from a watch; whether it changes the services.
    pub(super) fn apply(&mut self, event: &Event, now: Instant) -> bool {
        let (key, at) = (event.key(), event.mod_revision());
        self.heard = self.heard.max(at);
        let is_known = self.base.is_none_or(|base| at <= base.revision)
            || self.entries.get(key).is_some_and(|entry| at <= entry.mod_revision);
        match event {
            _ if is_known => false,
            Event::Put(kv) => self.put(Listed::of(kv), now),
            Event::Delete { .. } => self.delete(key, at),
        }
    }

    fn put(&mut self, listed: Listed, now: Instant) -> bool {
        let is_beyond = self.entries.len() == REGISTRY_KEYS_MAX
            && self.entries.last_key_value().is_some_and(|(last, _)| *last < listed.key);
        if listed.is_too_long() {
            self.note(&listed, now);
            return false;
        }
        let was_cut = self.cut_after.is_some();
        if is_beyond {
            self.cut();
            self.note_cut(was_cut);
            return false;
        }
        self.note(&listed, now);
        let service = listed.entry.service.clone().ok();
        let before = self.entries.insert(listed.key, listed.entry);
        let is_changed = before.and_then(|before| before.service.ok()) != service;
        let is_changed = self.drop_excess() || is_changed;
        self.note_cut(was_cut);
        is_changed
    }

    fn delete(&mut self, key: &[u8], at: u64) -> bool {
        match &mut self.under_way {
            Some(UnderWay { deleted, .. }) if deleted.len() < REGISTRY_KEYS_MAX => {
                deleted.insert(key.to_vec(), at);
            }
            Some(_) => self.is_lacking = true,
            None => {}
        }
        let Some(gone) = self.entries.remove(key) else { return false };
        self.is_lacking |= self.cut_after.is_some();
        // Without any key, endpoints that stayed as the last ones go, too.
        gone.service.is_ok() || self.entries.is_empty()
    }

    /// Forgets the last keys, if there are too many; whether it did.
    fn drop_excess(&mut self) -> bool {
        let excess = self.entries.len().saturating_sub(REGISTRY_KEYS_MAX);
        for _ in 0..excess {
            self.entries.pop_last();
        }
        if excess > 0 {
            self.cut();
        }
        debug_assert!(self.entries.len() <= REGISTRY_KEYS_MAX);
        excess > 0
    }

    /// Takes over that there are keys behind the last one that is kept.
    fn cut(&mut self) {
        let last = self.entries.last_key_value().map(|(key, _)| key.clone()).unwrap_or_default();
        let before = self.cut_after.take();
        self.cut_after = Some(before.map_or(last.clone(), |before| before.min(last)));
    }

    /// Notes that there have come to be keys that are not kept.
    fn note_cut(&mut self, was_cut: bool) {
        if self.cut_after.is_some() && !was_cut {
            self.remarks.push(Remark::TooMany);
        }
    }

    /// Notes what the log should tell of a value, once for each.
    fn note(&mut self, listed: &Listed, now: Instant) {
        let Some(remark) = listed.remark() else { return };
        if self.remarks.len() >= REGISTRY_REPORTED_MAX {
            return;
        }
        if self.reported.take(&listed.digest, now).is_none() {
            self.remarks.push(remark);
        }
        self.reported.insert(listed.digest, (), now);
        self.reported.forget(now);
    }
}

/// Whether a key comes after that one; no key does so without one.
fn is_behind(key: &[u8], end: Option<&Vec<u8>>) -> bool {
    end.is_some_and(|end| key > &end[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, value: &str, mod_revision: u64) -> KeyValue {
        let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        KeyValue { key, value, create_revision: 1, mod_revision, lease: 0 }
    }

    fn listed(key: &str, value: &str, mod_revision: u64) -> Listed {
        Listed::of(&kv(key, value, mod_revision))
    }

    fn put(key: &str, value: &str, at: u64) -> Event {
        Event::Put(kv(key, value, at))
    }

    fn delete(key: &str, at: u64) -> Event {
        Event::Delete { key: key.as_bytes().to_vec(), mod_revision: at }
    }

    fn header(revision: u64) -> Header {
        Header { cluster_id: 1, member_id: 1, revision, raft_term: 1 }
    }

    /// A store with keys `a` at revision 3 and `b` at revision 5, as of revision 5.
    fn store(now: Instant) -> Store {
        let mut store = Store::new();
        store.begin_range();
        let keys = vec![listed("a", "1.1.1.1:1", 3), listed("b", "1.1.1.2:1", 5)];
        assert!(store.end_range(&header(5), keys, false, now).is_changed);
        store
    }

    fn ports(store: &Store) -> Vec<String> {
        store.services().map(|service| format!("{}:{}", service.host, service.port)).collect()
    }

    /// Changes while a range is under way; its revision and its keys; the services then, and
    /// whether the watch had missed something.
    type Case<'a> = (&'a [Event], u64, &'a [(&'a str, &'a str, u64)], &'a [&'a str], bool);

    #[test]
    fn a_range_and_changes_come_together_in_any_order() {
        let now = Instant::now();
        let (old, new) = ("1.1.1.1:1", "1.1.1.9:1");
        let cases: [Case; 9] = [
            (&[], 5, &[("a", old, 3)], &[old], true),
            (&[], 9, &[("a", new, 9)], &[new], true),
            (&[put("a", new, 6)], 6, &[("a", new, 6)], &[new], true),
            (
                &[put("a", new, 6)],
                5,
                &[("a", old, 3), ("b", "1.1.1.2:1", 5)],
                &[new, "1.1.1.2:1"],
                false,
            ),
            (&[put("c", new, 6)], 5, &[("a", old, 3)], &[old, new], true),
            (&[delete("a", 6)], 5, &[("a", old, 3)], &[], true),
            (&[delete("a", 6)], 6, &[], &[], true),
            (&[delete("a", 6)], 7, &[("a", new, 7)], &[new], true),
            (
                &[delete("a", 6), put("a", new, 7)],
                6,
                &[("b", "1.1.1.2:1", 5)],
                &[new, "1.1.1.2:1"],
                false,
            ),
        ];
        for (index, (events, revision, keys, want, was_outdated)) in cases.iter().enumerate() {
            let mut store = store(now);
            store.begin_range();
            events.iter().for_each(|event| {
                store.apply(event, now);
            });
            let keys = keys.iter().map(|(key, value, at)| listed(key, value, *at)).collect();
            let differences = store.end_range(&header(*revision), keys, false, now);
            assert_eq!(ports(&store), *want, "case {index}");
            assert_eq!(differences.was_outdated, *was_outdated, "case {index}");
            // What the range has is known.
            for event in events.iter().filter(|event| event.mod_revision() <= *revision) {
                assert!(!store.apply(event, now), "case {index}");
            }
        }
    }

    /// Endpoints stay while no value can be read, and no longer once there is no key.
    #[test]
    fn the_last_key_counts_although_its_value_cannot_be_read() {
        let now = Instant::now();
        for is_watched in [true, false] {
            let mut store = Store::new();
            store.begin_range();
            let first = store.end_range(&header(5), vec![listed("a", "?", 3)], false, now);
            assert!(first.is_changed && !store.is_empty());
            let is_changed = match is_watched {
                true => store.apply(&delete("a", 6), now),
                false => {
                    store.begin_range();
                    store.end_range(&header(6), Vec::new(), false, now).is_changed
                }
            };
            assert!(is_changed && store.is_empty(), "watched: {is_watched}");
        }
    }

    #[test]
    fn what_a_range_has_is_not_undone_by_a_late_watch() {
        let now = Instant::now();
        let mut store = store(now);
        assert!(!store.apply(&put("c", "1.1.1.3:1", 4), now), "deleted before the range");
        assert!(!store.apply(&delete("b", 4), now));
        assert!(!store.apply(&put("a", "1.1.1.3:1", 5), now));
        assert!(store.apply(&put("a", "1.1.1.3:1", 6), now));
        assert!(!store.apply(&put("a", "1.1.1.3:1", 7), now), "the same service");
        assert!(store.apply(&put("a", r#"{"addr":"1.1.1.3:1","weight":2}"#, 8), now));
        assert!(store.apply(&delete("a", 9), now));
        assert!(!store.apply(&delete("a", 10), now));
        assert_eq!(ports(&store), ["1.1.1.2:1"]);
    }

    #[test]
    fn another_history_replaces_everything() {
        let now = Instant::now();
        let other = Header { cluster_id: 2, ..header(9) };
        let restored = Header { raft_term: 0, ..header(9) };
        for header in [header(4), other, restored] {
            let mut store = store(now);
            store.begin_range();
            store.apply(&put("c", "1.1.1.3:1", 20), now);
            let keys = vec![listed("b", "1.1.1.7:1", 2)];
            assert!(store.end_range(&header, keys, false, now).was_outdated);
            assert_eq!(ports(&store), ["1.1.1.7:1"], "{header:?}");
        }
    }

    /// As where the data of etcd was deleted, and as much was written again: cluster, term and
    /// revisions are those of before.
    #[test]
    fn a_range_counts_whatever_the_revisions_of_its_keys_are() {
        let now = Instant::now();
        for (heard, revision) in [(5, 5), (5, 8), (9, 8), (9, 12)] {
            let mut store = store(now);
            if heard > 5 {
                store.apply(&put("b", "1.1.1.2:2", heard), now);
            }
            store.begin_range();
            let keys = vec![listed("a", "1.1.1.7:1", 3), listed("b", "1.1.1.8:1", 4)];
            let differences = store.end_range(&header(revision), keys, false, now);
            assert_eq!(ports(&store), ["1.1.1.7:1", "1.1.1.8:1"], "{heard} {revision}");
            assert!(differences.is_changed && differences.was_outdated);
            assert!(store.apply(&put("a", "1.1.1.9:1", revision + 1), now), "the new history");
        }
    }

    #[test]
    fn a_value_is_reported_once_until_it_changes() {
        let now = Instant::now();
        let mut store = store(now);
        let mut remarks = Vec::new();
        for (value, at) in [("x", 6), ("x", 7), ("unix:///y", 8), ("1.1.1.1:1", 9), ("z", 10)] {
            store.apply(&put("a", value, at), now);
            remarks.extend(store.take_remarks().into_iter().map(|remark| match remark {
                Remark::Skipped { reason, .. } => format!("{at} {reason}"),
                other => format!("{other:?}"),
            }));
        }
        assert_eq!(remarks, ["6 port_missing", "8 unix_socket", "10 port_missing"]);
        store.apply(&put("a", r#"{"addr":"1.1.1.1:1","weight":-1}"#, 11), now);
        assert_eq!(store.take_remarks(), [Remark::WeightInvalid { key: b"a".to_vec() }]);
        assert_eq!(ports(&store), ["1.1.1.1:1", "1.1.1.2:1"]);
    }

    fn many(count: usize, revision: u64) -> Vec<KeyValue> {
        (0..count).map(|at| kv(&format!("k{at:05}"), "1.1.1.1:1", revision)).collect()
    }

    #[test]
    fn there_is_an_end_to_keys() {
        let now = Instant::now();
        let mut store = Store::new();
        store.begin_range();
        let keys = many(REGISTRY_KEYS_MAX, 5).iter().map(Listed::of).collect();
        store.end_range(&header(5), keys, false, now);
        assert_eq!(store.take_remarks(), []);
        assert!(!store.apply(&put("z", "1.1.1.1:1", 6), now), "behind the last one");
        assert_eq!(store.take_remarks(), [Remark::TooMany]);
        store.apply(&put("a", "1.1.1.1:1", 7), now);
        assert_eq!(store.services().count(), REGISTRY_KEYS_MAX);
        assert!(!store.is_lacking());
        store.apply(&delete("a", 8), now);
        assert!(store.is_lacking(), "another one may take its place");
        store.begin_range();
        for (at, kv) in many(REGISTRY_KEYS_MAX + 1, 0).into_iter().enumerate() {
            store.apply(&Event::Delete { key: kv.key, mod_revision: 9 + at as u64 }, now);
        }
        let bound = store.under_way.as_ref().map(|range| range.deleted.len());
        assert_eq!((bound, store.services().count()), (Some(REGISTRY_KEYS_MAX), 0));
    }

    /// A range of the keys from one number on, as many as are kept, and more behind them.
    fn cut_range(store: &mut Store, first: usize, revision: u64) -> Differences {
        store.begin_range();
        end_cut_range(store, first, revision)
    }

    fn end_cut_range(store: &mut Store, first: usize, revision: u64) -> Differences {
        let keys = many(first + REGISTRY_KEYS_MAX, 5);
        let keys = keys[first..].iter().map(Listed::of).collect();
        store.end_range(&header(revision), keys, true, Instant::now())
    }

    /// A watch says nothing of a key that was there before, behind those that are kept.
    #[test]
    fn a_key_that_fills_a_place_is_not_one_that_the_watch_has_missed() {
        let now = Instant::now();
        let mut store = Store::new();
        cut_range(&mut store, 0, 5);
        assert_eq!(store.take_remarks(), [Remark::TooMany]);
        assert!(store.apply(&delete("k00000", 6), now) && store.is_lacking());
        // A later one in its place, until the range tells of those between.
        assert!(store.apply(&put("z", "1.1.1.1:1", 7), now));
        let differences = cut_range(&mut store, 1, 7);
        assert_eq!(differences, Differences { is_changed: true, was_outdated: false });
        // An earlier one, after the range began.
        store.begin_range();
        assert!(store.apply(&put("a", "1.1.1.1:1", 8), now));
        assert!(!end_cut_range(&mut store, 1, 7).was_outdated);
        assert_eq!(store.services().count(), REGISTRY_KEYS_MAX);
        assert_eq!(store.take_remarks(), [], "the same as before");
        assert!(cut_range(&mut store, 2, 9).was_outdated, "two are gone, and the watch is silent");
        for key in many(REGISTRY_KEYS_MAX + 2, 5) {
            store.apply(&Event::Delete { key: key.key, mod_revision: 10 }, now);
        }
        assert!(store.services().next().is_none() && !store.is_empty(), "there are more behind");
        store.begin_range();
        let keys = many(REGISTRY_KEYS_MAX, 11).iter().map(Listed::of).collect();
        store.end_range(&header(11), keys, false, now);
        assert!(!store.apply(&put("z", "1.1.1.1:1", 12), now));
        assert_eq!(store.take_remarks(), [Remark::TooMany], "again, after there was room");
    }
}
