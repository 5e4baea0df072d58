//! A generational slab: returns a key for each value, which finds that value and never a later one
//! in the same slot. For every value that a token, a timer or another part refers to.
//!
//! ```text
//!   insert a, b, c      remove b        insert d
//!   slot 0  a  gen 1    a  gen 1        a  gen 1
//!   slot 1  b  gen 2    vacant          d  gen 4      the key {1, 2} no longer finds a value
//!   slot 2  c  gen 3    c  gen 3        c  gen 3
//! ```
//!
//! The generation is one counter for all slots of an arena, 32 bits wide: a stale key finds another
//! value only after 2^32 insertions. Slots are reused last in, first out.

use std::ops::{Index, IndexMut};

use slab::Slab;

/// Identifies one value of one arena, from its insertion until its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    slot: u32,
    generation: Generation,
}

/// Distinguishes the successive values of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u32);

impl Generation {
    /// The generation after this one; wraps around.
    pub fn next(self) -> Generation {
        Generation(self.0.wrapping_add(1))
    }

    /// The number, for a token.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Key {
    /// The index of the slot, less than the most values that the arena ever held at a time.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// The generation, which distinguishes the key from others of its slot.
    pub fn generation(self) -> Generation {
        self.generation
    }
}

/// Values, each with a key of its own.
#[derive(Clone, Debug)]
pub struct Arena<T> {
    entries: Slab<Entry<T>>,
    /// The generation of the last key.
    generation: Generation,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    generation: Generation,
    value: T,
}

impl<T> Default for Arena<T> {
    fn default() -> Arena<T> {
        Arena { entries: Slab::new(), generation: Generation::default() }
    }
}

impl<T> Arena<T> {
    /// Bytes that one value takes in the arena, with its generation.
    pub const ENTRY_BYTES: usize = size_of::<Entry<T>>() + size_of::<usize>();

    /// Reserves the key of the next value, for a caller that needs it first: a socket, for
    /// instance, is registered in the kernel under its token before it becomes a value. The key is
    /// void after any other call that reserves, inserts or removes. A reserved key that is not used
    /// is never returned again.
    pub fn reserve(&mut self) -> Key {
        self.generation = self.generation.next();
        let slot = u32::try_from(self.entries.vacant_key()).expect("fewer than 2^32 values");
        Key { slot, generation: self.generation }
    }

    /// Inserts the value for which `key` was reserved by the call before.
    ///
    /// # Panics
    /// When the key is void, as it would not be that of the slot which is filled.
    pub fn fill(&mut self, key: Key, value: T) {
        assert_eq!(key.generation, self.generation, "a key that was not reserved just before");
        let slot = self.entries.insert(Entry { generation: key.generation, value });
        assert_eq!(slot, key.slot(), "the key names the slot");
    }

    /// Inserts a value and returns its key.
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.reserve();
        self.fill(key, value);
        key
    }

    /// The value of the key; `None` if it was removed.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.slot())?;
        (entry.generation == key.generation).then_some(&entry.value)
    }

    /// The value of the key, mutable; `None` if it was removed.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.slot())?;
        (entry.generation == key.generation).then_some(&mut entry.value)
    }

    /// The key of the value in this slot; `None` if the slot is vacant.
    #[inline]
    pub fn key_at(&self, slot: usize) -> Option<Key> {
        let entry = self.entries.get(slot)?;
        // No slot has a number above that of a reserved key.
        Some(Key { slot: slot as u32, generation: entry.generation })
    }

    /// The value in this slot, mutable, and its key; `None` if the slot is vacant.
    #[inline]
    pub fn at_mut(&mut self, slot: usize) -> Option<(Key, &mut T)> {
        let entry = self.entries.get_mut(slot)?;
        Some((Key { slot: slot as u32, generation: entry.generation }, &mut entry.value))
    }

    /// Whether the value of the key is there.
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Removes the value of the key and returns it; `None` if it was removed before.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        Some(self.entries.remove(key.slot()).value)
    }

    /// Removes all values, in the order of their slots.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.entries.drain().map(|entry| entry.value)
    }

    /// All values with their keys, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().map(|(slot, entry)| (key_of(slot, entry), &entry.value))
    }

    /// All values, mutable, with their keys, in the order of their slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.entries.iter_mut().map(|(slot, entry)| (key_of(slot, entry), &mut entry.value))
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn key_of<T>(slot: usize, entry: &Entry<T>) -> Key {
    Key { slot: slot as u32, generation: entry.generation }
}

/// Access by a key of which the caller knows that its value is there; panics otherwise.
impl<T> Index<Key> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, key: Key) -> &T {
        self.get(key).expect("a key whose value is there")
    }
}

impl<T> IndexMut<Key> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, key: Key) -> &mut T {
        self.get_mut(key).expect("a key whose value is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_value_and_none_that_comes_later() {
        let mut arena = Arena::default();
        let [a, b] = ["a", "b"].map(|value| arena.insert(value));
        assert_eq!((arena.get(a), arena.get(b), arena.len()), (Some(&"a"), Some(&"b"), 2));
        assert_eq!(arena.remove(a), Some("a"));
        let c = arena.insert("c");
        assert_eq!(c.slot(), a.slot(), "the slot is used again");
        assert_eq!((arena.get(a), arena.contains(a)), (None, false));
        assert_eq!(arena.get_mut(a), None);
        assert_eq!(arena.remove(a), None, "twice");
        assert_eq!(arena[c], "c");
        assert_eq!(arena.key_at(c.slot()), Some(c));
        assert_eq!(arena.key_at(7), None);
        assert_eq!(arena.at_mut(c.slot()), Some((c, &mut "c")));
    }

    #[test]
    fn removing_one_moves_no_other() {
        let mut arena = Arena::default();
        let keys: Vec<Key> = (0..4).map(|value| arena.insert(value)).collect();
        arena.remove(keys[1]);
        let left: Vec<_> = arena.iter().map(|(key, value)| (key, *value)).collect();
        assert_eq!(left, [(keys[0], 0), (keys[2], 2), (keys[3], 3)]);
        for (_, value) in arena.iter_mut() {
            *value += 10;
        }
        assert_eq!(arena.drain().collect::<Vec<_>>(), [10, 12, 13]);
        assert!(arena.is_empty());
        assert!(keys.iter().all(|key| !arena.contains(*key)));
    }

    #[test]
    fn a_reserved_key_is_that_of_the_value() {
        let mut arena = Arena::default();
        let unused = arena.reserve();
        let key = arena.reserve();
        assert_eq!(unused.slot(), key.slot());
        arena.fill(key, 'x');
        assert_eq!((arena.get(key), arena.get(unused)), (Some(&'x'), None));
    }

    #[test]
    #[should_panic(expected = "not reserved just before")]
    fn a_key_that_is_void_fills_no_slot() {
        let mut arena = Arena::default();
        let void = arena.reserve();
        arena.insert(1);
        arena.fill(void, 2);
    }

    #[test]
    fn generations_wrap_around() {
        assert_eq!(Generation(u32::MAX).next(), Generation(0));
    }
}
