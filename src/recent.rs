//! A memory of what was true not long ago: values by key, bounded by age and number. For what
//! leaves and comes back, since name servers may give a part of a large set with each answer. Pure.
//!
//! ```text
//!   oldest ◄─────────────────────────────── latest
//!   a, 500 s ago   b, 90 s ago   c, 90 s ago   d, now       insert(b): to the right end
//!   └ over age_max, or more than count_max: forgotten from the left
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Values by key, each with the time of its insertion.
///
/// Invariant: no key twice, the oldest first; after [`Recent::forget`] at most `count_max` of them,
/// each younger than `age_max`.
#[derive(Debug)]
pub struct Recent<K, V> {
    age_max: Duration,
    count_max: usize,
    entries: VecDeque<Entry<K, V>>,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    at: Instant,
}

impl<K: PartialEq, V> Recent<K, V> {
    /// Nothing so far.
    pub fn new(age_max: Duration, count_max: usize) -> Recent<K, V> {
        Recent { age_max, count_max, entries: VecDeque::new() }
    }

    /// Remembers a value as of `now`, in place of one under the same key. [`Recent::forget`] is to
    /// be called after it, or after several: the bounds are kept by that alone, so that a set which
    /// is larger than the bound does not push itself out one by one.
    pub fn insert(&mut self, key: K, value: V, now: Instant) {
        debug_assert!(self.entries.back().is_none_or(|latest| latest.at <= now), "out of order");
        self.entries.retain(|entry| entry.key != key);
        self.entries.push_back(Entry { key, value, at: now });
    }

    /// Takes the value out, if it is remembered and not too old.
    pub fn take(&mut self, key: &K, now: Instant) -> Option<V> {
        let position = self.entries.iter().position(|entry| entry.key == *key)?;
        let entry = self.entries.remove(position)?;
        (entry.at + self.age_max > now).then_some(entry.value)
    }

    /// Forgets what is too old, and the oldest of what is too much.
    pub fn forget(&mut self, now: Instant) {
        let fresh = self.entries.iter().position(|entry| entry.at + self.age_max > now);
        let old = fresh.unwrap_or(self.entries.len());
        let excess = self.entries.len().saturating_sub(self.count_max);
        self.entries.drain(..old.max(excess));
        debug_assert!(self.entries.len() <= self.count_max);
        debug_assert!(self.entries.iter().is_sorted_by_key(|entry| entry.at));
    }

    /// How many values are remembered.
    pub fn count(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keys(recent: &Recent<u8, u8>) -> Vec<u8> {
        recent.entries.iter().map(|entry| entry.key).collect()
    }

    #[test]
    fn a_value_is_taken_once_and_while_it_is_young() {
        let now = Instant::now();
        let mut recent = Recent::new(3 * SECOND, 9);
        recent.insert(1, 10, now);
        recent.insert(2, 20, now);
        assert_eq!(recent.take(&1, now + 2 * SECOND), Some(10));
        assert_eq!(recent.take(&1, now + 2 * SECOND), None);
        assert_eq!(recent.take(&2, now + 3 * SECOND), None, "too old");
        assert_eq!(recent.count(), 0, "and gone by that");
    }

    #[test]
    fn what_is_inserted_again_is_young_again() {
        let now = Instant::now();
        let mut recent = Recent::new(3 * SECOND, 9);
        recent.insert(1, 10, now);
        recent.insert(2, 20, now);
        recent.insert(1, 11, now + SECOND);
        assert_eq!(keys(&recent), [2, 1]);
        recent.forget(now + 3 * SECOND);
        assert_eq!(keys(&recent), [1]);
        assert_eq!(recent.take(&1, now + 3 * SECOND), Some(11));
    }

    #[test]
    fn the_oldest_of_what_is_too_much_is_forgotten() {
        let now = Instant::now();
        let mut recent = Recent::new(3 * SECOND, 2);
        for key in 0..4 {
            recent.insert(key, 0, now + u32::from(key) * SECOND / 9);
        }
        assert_eq!(recent.count(), 4, "until it is told to");
        recent.forget(now + SECOND);
        assert_eq!(keys(&recent), [2, 3]);
        recent.forget(now + 9 * SECOND);
        assert_eq!(recent.count(), 0);
    }
}
