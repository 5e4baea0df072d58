//! The timer wheel: arm, cancel and expire in constant time, whatever the number of timers.
//!
//! Owns deadlines and one small value for each. Must not read the clock, call back, or interpret
//! a value. One tick is one millisecond since the wheel's start; deadlines are rounded up to a
//! tick, so a timer is never early, and late by less than a tick plus the caller's own delay.
//!
//! ```text
//!   tick = 36 bits and more:   | … | 6 | 6 | 6 | 6 | 6 | 6 |   six bits choose the slot
//!   level                            5   4   3   2   1   0
//!
//!   level 0   64 slots of 1 ms          the next 64 ms, one tick each
//!   level 1   64 slots of 64 ms         the next 4 s
//!   level 2   64 slots of 4 s           the next 4 min
//!   level 3   64 slots of 4 min         the next 4.6 h
//!   level 4   64 slots of 4.6 h         the next 12 days
//!   level 5   64 slots of 12 days       the next 2.2 years, and all that is later
//! ```
//!
//! A timer lies on the level of the highest six bits in which its tick differs from `elapsed`,
//! the tick up to which everything has been done. When time reaches a slot of a higher level, its
//! timers move down; at most five times each. What lies beyond two years waits in the slot of its
//! bits on level 5, and may stay there for several rounds.
//!
//! A slot is a doubly linked list through the entries of one slab; one more list holds what is due
//! and not handed out yet. A level's 64-bit mask tells which slots hold anything.
//! (After tokio's `runtime/time/wheel`; ours has handles that may be stale, and no atomics.)

use slab::Slab;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 6;
/// The list of timers that are due, after those of all slots.
const DUE: usize = LEVELS * SLOTS;
/// The end of a list.
const NONE: u32 = u32::MAX;
const _: () = assert!(SLOTS == u64::BITS as usize, "a level's mask has one bit for each slot");

/// Identifies one armed timer. Once it has fired or was cancelled the key matches no timer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    index: u32,
    /// Different for every timer ever armed.
    serial: NonZeroU64,
}

/// Timers, each with a value of type `T` that states its purpose.
#[derive(Debug)]
pub struct Wheel<T> {
    start: Instant,
    /// From `start` to the time of the last round.
    since_start: Duration,
    /// Every timer up to this tick is due or gone.
    elapsed: u64,
    serial_next: NonZeroU64,
    /// For each level the slots that hold timers.
    occupied: [u64; LEVELS],
    lists: [List; DUE + 1],
    entries: Slab<Entry<T>>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

#[derive(Debug)]
struct Entry<T> {
    serial: NonZeroU64,
    tick: u64,
    value: T,
    /// The list it is in.
    list: u32,
    before: u32,
    after: u32,
}

impl<T: Copy> Wheel<T> {
    /// Bytes that one armed timer takes.
    pub const TIMER_BYTES: usize = size_of::<Entry<T>>() + size_of::<usize>();

    /// An empty wheel; no `now` and no deadline should be much before `start`.
    pub fn new(start: Instant) -> Self {
        Wheel {
            start,
            since_start: Duration::ZERO,
            elapsed: 0,
            serial_next: NonZeroU64::MIN,
            occupied: [0; LEVELS],
            lists: [List { head: NONE, tail: NONE }; DUE + 1],
            entries: Slab::new(),
        }
    }

    /// Arms a timer. One with a deadline in the past fires at the next tick: not in the same
    /// round of [`Self::expire`], which could go on forever.
    pub fn arm(&mut self, deadline: Instant, value: T) -> TimerKey {
        let serial = self.serial_next;
        self.serial_next = serial.checked_add(1).expect("2^64 timers take longer than we run");
        let tick = self.tick_after(deadline).max(self.elapsed + 1);
        let entry = Entry { serial, tick, value, list: 0, before: NONE, after: NONE };
        let index = u32::try_from(self.entries.insert(entry)).expect("timers fit 32 bits");
        assert!(index != NONE, "the last index marks the end of a list");
        self.place(index);
        TimerKey { index, serial }
    }

    /// Disarms the timer; false if it fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        self.unlink(key.index);
        self.entries.remove(key.index as usize);
        debug_assert!(self.get(key).is_none());
        true
    }

    /// When the timer fires, rounded up to a tick; none if it fired or was cancelled.
    #[cfg(test)]
    fn deadline(&self, key: TimerKey) -> Option<Instant> {
        self.get(key).map(|entry| self.instant_at(entry.tick))
    }

    /// Whether the timer fires, and no later than one that is armed for `deadline` would.
    fn fires_by(&self, key: TimerKey, deadline: Instant) -> bool {
        let earliest = self.tick_after(deadline).max(self.elapsed + 1);
        self.get(key).is_some_and(|entry| entry.tick <= earliest)
    }

    /// Makes `timer` fire by `wanted`, or never if that is `None`. A timer that fires earlier
    /// stays, and its owner has to call this again then. Moving it each time would cost more, so
    /// only an earlier deadline, or none, changes the wheel.
    #[inline]
    pub fn rearm(&mut self, timer: &mut Option<TimerKey>, wanted: Option<Instant>, value: T) {
        let keep = match (wanted, *timer) {
            (Some(wanted), Some(timer)) => self.fires_by(timer, wanted),
            (None, None) => true,
            _ => false,
        };
        if keep {
            return;
        }
        if let Some(timer) = timer.take() {
            self.cancel(timer);
        }
        *timer = wanted.map(|deadline| self.arm(deadline, value));
    }

    /// How long after the `now` of the last round to call [`Self::expire`] again: never after the
    /// true next deadline, maybe before it, when timers have to move down a level. Above zero once
    /// that round has returned none. Any other call may change the answer. Counted from that `now`
    /// and not from another, since a difference of two instants is dear and asked for each turn.
    pub fn time_to_next(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.next_tick()?).saturating_sub(self.since_start))
    }

    /// When that is.
    #[cfg(test)]
    fn next_deadline(&self) -> Option<Instant> {
        self.next_tick().map(|tick| self.instant_at(tick))
    }

    fn next_tick(&self) -> Option<u64> {
        if self.lists[DUE].head != NONE {
            return Some(self.elapsed);
        }
        self.next_slot().map(|(_, tick)| tick)
    }

    /// The time of the last round, in whole milliseconds since the wheel was made.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.elapsed
    }

    /// Takes one timer that is due, the earliest first, in the order of arming within a tick.
    /// To be called with the same `now` until it returns `None`; early calls do no harm.
    pub fn expire(&mut self, now: Instant) -> Option<(TimerKey, T)> {
        self.since_start = now.saturating_duration_since(self.start);
        self.advance(whole_ticks(self.since_start));
        let index = self.lists[DUE].head;
        if index == NONE {
            return None;
        }
        self.unlink(index);
        let entry = self.entries.remove(index as usize);
        debug_assert!(entry.tick <= self.elapsed, "never early");
        Some((TimerKey { index, serial: entry.serial }, entry.value))
    }

    /// The number of timers that are armed, or due and not taken yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no timer.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Moves everything up to `tick` to the list of the due. A jump over hours costs as many steps
    /// as there are occupied slots in it, not ticks.
    fn advance(&mut self, tick: u64) {
        if tick <= self.elapsed {
            return;
        }
        while let Some((list, slot_tick)) = self.next_slot()
            && slot_tick <= tick
        {
            debug_assert!(slot_tick > self.elapsed, "or this loop would not end");
            self.elapsed = slot_tick;
            self.move_down(list);
        }
        self.elapsed = tick;
        debug_assert!(self.next_slot().is_none_or(|(_, slot_tick)| slot_tick > tick));
    }

    /// The next slot that holds timers, and the tick it begins at. Every timer of a level is due
    /// before the first slot of the level above begins, so the lowest occupied level has it.
    fn next_slot(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let shift = SLOT_BITS * level as u32;
        let current = self.elapsed >> shift;
        // Slots to go, 1 to 64: the current slot itself means one whole round (level 5 only).
        let rotation = ((current + 1) % SLOTS as u64) as u32;
        let ahead = self.occupied[level].rotate_right(rotation).trailing_zeros();
        let distance = u64::from(ahead) + 1;
        debug_assert!(distance < SLOTS as u64 || level == LEVELS - 1);
        let slot = (current + distance) as usize % SLOTS;
        debug_assert!(self.occupied[level] & (1 << slot) != 0);
        Some((level * SLOTS + slot, (current + distance) << shift))
    }

    /// Empties a slot that time has reached. The list is taken first: on level 5 a timer may well
    /// go back into the same slot, for another round.
    fn move_down(&mut self, list: usize) {
        let mut index = self.lists[list].head;
        self.lists[list] = List { head: NONE, tail: NONE };
        self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        while index != NONE {
            let after = self.entries[index as usize].after;
            self.place(index);
            index = after;
        }
    }

    /// Appends the entry to the list of its tick, as seen from `elapsed`.
    fn place(&mut self, index: u32) {
        let tick = self.entries[index as usize].tick;
        let list = if tick <= self.elapsed { DUE } else { list_of(self.elapsed, tick) };
        let before = std::mem::replace(&mut self.lists[list].tail, index);
        let entry = &mut self.entries[index as usize];
        (entry.list, entry.before, entry.after) = (list as u32, before, NONE);
        match before {
            NONE => self.lists[list].head = index,
            _ => self.entries[before as usize].after = index,
        }
        if list != DUE {
            self.occupied[list / SLOTS] |= 1 << (list % SLOTS);
        }
        self.invariants(list);
    }

    fn unlink(&mut self, index: u32) {
        let Entry { list, before, after, .. } = self.entries[index as usize];
        let list = list as usize;
        match before {
            NONE => self.lists[list].head = after,
            _ => self.entries[before as usize].after = after,
        }
        match after {
            NONE => self.lists[list].tail = before,
            _ => self.entries[after as usize].before = before,
        }
        if list != DUE && self.lists[list].head == NONE {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
        self.invariants(list);
    }

    fn get(&self, key: TimerKey) -> Option<&Entry<T>> {
        self.entries.get(key.index as usize).filter(|entry| entry.serial == key.serial)
    }

    /// The first tick that is not before `deadline`.
    fn tick_after(&self, deadline: Instant) -> u64 {
        let since_start = deadline.saturating_duration_since(self.start);
        let is_between_ticks = !since_start.subsec_nanos().is_multiple_of(1_000_000);
        whole_ticks(since_start).saturating_add(u64::from(is_between_ticks))
    }

    #[cfg(test)]
    fn instant_at(&self, tick: u64) -> Instant {
        self.start + Duration::from_millis(tick)
    }

    /// Checks one list: both ends or neither, and its bit in the mask exactly while it holds
    /// timers.
    fn invariants(&self, list: usize) {
        let List { head, tail } = self.lists[list];
        debug_assert_eq!(head == NONE, tail == NONE);
        debug_assert!(head == NONE || self.entries[head as usize].before == NONE);
        debug_assert!(tail == NONE || self.entries[tail as usize].after == NONE);
        if list != DUE {
            let occupied = self.occupied[list / SLOTS] & (1 << (list % SLOTS)) != 0;
            debug_assert_eq!(occupied, head != NONE);
        }
    }
}

/// The whole ticks of a time.
fn whole_ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The slot for `tick`, which is still to come, as `level * SLOTS + slot`.
fn list_of(elapsed: u64, tick: u64) -> usize {
    debug_assert!(tick > elapsed);
    let highest_bit = (elapsed ^ tick).ilog2();
    let level = (highest_bit / SLOT_BITS).min(LEVELS as u32 - 1);
    let slot = (tick >> (SLOT_BITS * level)) as usize % SLOTS;
    level as usize * SLOTS + slot
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const HOUR: u64 = 3_600_000;
    const YEAR: u64 = 365 * 24 * HOUR;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    fn drain<T: Copy>(wheel: &mut Wheel<T>, now: Instant) -> Vec<T> {
        let values = std::iter::from_fn(|| wheel.expire(now)).map(|(_, value)| value).collect();
        assert!(wheel.next_deadline().is_none_or(|next| next > now), "progress");
        assert_eq!(wheel.time_to_next(), wheel.next_deadline().map(|next| next - now));
        values
    }

    /// Follows `next_deadline` until something fires; returns when that was, and what.
    fn run<T: Copy>(wheel: &mut Wheel<T>, rounds_max: usize) -> (Instant, Vec<T>) {
        for _ in 0..rounds_max {
            let now = wheel.next_deadline().expect("armed");
            let values = drain(wheel, now);
            if !values.is_empty() {
                return (now, values);
            }
        }
        panic!("nothing fired in {rounds_max} rounds");
    }

    /// A simple implementation, to compare with.
    struct Model {
        start: Instant,
        elapsed: u64,
        armed: BTreeMap<(u64, u64), TimerKey>,
        ticks: BTreeMap<u64, u64>,
    }

    impl Model {
        fn new(start: Instant) -> Model {
            Model { start, elapsed: 0, armed: BTreeMap::new(), ticks: BTreeMap::new() }
        }

        fn arm(&mut self, deadline: Instant, value: u64, key: TimerKey) {
            let nanoseconds = deadline.saturating_duration_since(self.start).as_nanos() as u64;
            let tick = nanoseconds.div_ceil(1_000_000).max(self.elapsed + 1);
            self.armed.insert((tick, value), key);
            self.ticks.insert(value, tick);
        }

        fn cancel(&mut self, value: u64) -> bool {
            let Some(tick) = self.ticks.remove(&value) else { return false };
            self.armed.remove(&(tick, value)).is_some()
        }

        fn expire(&mut self, now: Instant) -> Option<(TimerKey, u64)> {
            let tick = now.saturating_duration_since(self.start).as_millis() as u64;
            self.elapsed = self.elapsed.max(tick);
            let first = self.armed.first_entry()?;
            let (tick, value) = *first.key();
            if tick > self.elapsed {
                return None;
            }
            self.ticks.remove(&value);
            Some((first.remove(), value))
        }
    }

    /// A wheel and its model in parallel; values count the timers.
    struct Both {
        wheel: Wheel<u64>,
        model: Model,
        keys: Vec<TimerKey>,
        start: Instant,
        now: Instant,
        seed: u64,
    }

    impl Both {
        fn new(seed: u64) -> Both {
            let start = Instant::now();
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (wheel, model) = (Wheel::new(start), Model::new(start));
            Both { wheel, model, keys: Vec::new(), start, now: start, seed }
        }

        fn below(&mut self, limit: u64) -> u64 {
            xorshift(&mut self.seed) % limit
        }

        /// A span of any magnitude up to `bits` bits of microseconds.
        fn span(&mut self, bits: u64) -> Duration {
            let magnitude = self.below(bits);
            Duration::from_micros(self.below(1 << magnitude))
        }

        /// A moment from now on: any, or one near the border of a slot of any level.
        fn moment(&mut self, bits: u64) -> Instant {
            if self.below(2) == 0 {
                return self.now + self.span(bits);
            }
            let slot = 1 << (SLOT_BITS as u64 * self.below(LEVELS as u64 + 1)).min(bits - 10);
            let tick = (self.now - self.start).as_millis() as u64;
            let border = (tick / slot + 1 + self.below(2)) * slot;
            let nanoseconds = Duration::from_nanos(self.below(3));
            (self.start + ms(border + self.below(3) - 1) + nanoseconds).max(self.now)
        }

        /// Soon or late, at the same tick as another timer, or in the past.
        fn arm(&mut self) {
            let other = self.below(self.keys.len() as u64 + 1) as usize;
            let other = self.keys.get(other).and_then(|&key| self.wheel.deadline(key));
            let deadline = match (self.below(8), other) {
                (0, _) => self.now - self.span(40).min(self.now - self.start),
                (1 | 2, Some(deadline)) => deadline,
                _ => self.moment(50),
            };
            let value = self.keys.len() as u64;
            let key = self.wheel.arm(deadline, value);
            self.model.arm(deadline, value, key);
            self.keys.push(key);
            assert!(self.wheel.deadline(key).is_some_and(|at| at >= deadline), "early");
            assert!(self.wheel.fires_by(key, deadline.max(self.now + ms(1))));
            let is_next = self.wheel.tick_after(deadline) <= self.wheel.elapsed + 1;
            assert_eq!(self.wheel.fires_by(key, deadline - ms(1)), is_next, "a tick earlier");
        }

        /// Cancels any timer that was ever armed: most of them are gone.
        fn cancel(&mut self) {
            let value = self.below(self.keys.len() as u64 + 1);
            let Some(&key) = self.keys.get(value as usize) else { return };
            assert_eq!(self.wheel.cancel(key), self.model.cancel(value));
            assert_eq!(self.wheel.deadline(key), None);
            assert!(!self.wheel.fires_by(key, self.now + ms(YEAR)), "it is gone");
        }

        /// Takes up to `count` that are due, and sometimes arms another between two.
        fn expire(&mut self, count: usize) {
            for _ in 0..count {
                let due = self.wheel.expire(self.now);
                assert_eq!(due, self.model.expire(self.now));
                if due.is_none() {
                    assert!(self.wheel.next_deadline().is_none_or(|next| next > self.now));
                    break;
                }
                if self.below(16) == 0 {
                    self.arm();
                }
            }
        }

        fn check(&mut self) {
            assert_eq!(self.wheel.len(), self.model.armed.len());
            assert_eq!(self.wheel.is_empty(), self.model.armed.is_empty());
            let first = self.model.armed.first_key_value();
            let next = first.map(|((tick, _), _)| self.start + ms(*tick));
            // What is due and not taken yet is due at once.
            let latest = next.map(|next| next.max(self.start + ms(self.model.elapsed)));
            assert!(self.wheel.next_deadline() <= latest, "never late");
            assert_eq!(self.wheel.next_deadline().is_some(), next.is_some());
            assert_eq!(first.and_then(|(_, &key)| self.wheel.deadline(key)), next);
            let any = self.below(self.keys.len() as u64 + 1);
            let tick = self.model.ticks.get(&any).map(|tick| self.start + ms(*tick));
            assert_eq!(self.keys.get(any as usize).and_then(|&key| self.wheel.deadline(key)), tick);
        }
    }

    #[test]
    fn a_deadline_that_is_over_is_not_put_off_by_asking_for_it_again() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert!(wheel.expire(start + ms(5)).is_none());
        wheel.arm(start + ms(6), 'a');
        let mut timer = None;
        wheel.rearm(&mut timer, Some(start + ms(3)), 'b');
        assert_eq!(wheel.expire(start + ms(6)).map(|(_, value)| value), Some('a'));
        wheel.rearm(&mut timer, Some(start + ms(3)), 'b');
        assert_eq!(wheel.expire(start + ms(6)).map(|(_, value)| value), Some('b'), "now");
    }

    #[test]
    fn agrees_with_a_sorted_map() {
        for seed in 1..150 {
            let mut both = Both::new(seed);
            for _ in 0..1000 {
                match both.below(16) {
                    0..7 => both.arm(),
                    7..11 => both.cancel(),
                    11 => both.expire(2),
                    // A clock that goes back changes nothing, a second look neither.
                    12 => {
                        both.expire(usize::MAX);
                        let back = both.span(40).min(both.now - both.start);
                        assert_eq!(both.wheel.expire(both.now - back), None);
                    }
                    13 => {
                        both.now = both.moment(30);
                        both.expire(2);
                    }
                    _ => {
                        both.now = both.moment(47);
                        both.expire(usize::MAX);
                    }
                }
                both.check();
            }
            assert!(both.now > both.start + ms(YEAR), "a wheel that never turned");
        }
    }

    #[test]
    fn fires_at_its_tick_from_any_level_and_any_offset() {
        for offset in [0, 1, 62, 63, 64, 4095, 4096, 262_143, 16_777_216, YEAR * 3] {
            for bits in 0..38 {
                for delta in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                    let start = Instant::now();
                    let mut wheel = Wheel::new(start);
                    drain(&mut wheel, start + ms(offset));
                    let deadline = start + ms(offset + delta.max(1));
                    wheel.arm(deadline, delta);
                    assert!(drain(&mut wheel, deadline - Duration::from_nanos(1)).is_empty());
                    assert_eq!(drain(&mut wheel, deadline), [delta]);
                    wheel.arm(deadline + ms(delta.max(1)), delta);
                    // Five moves down, and a round of level 5 for each 2.2 years.
                    let (fired_at, values) = run(&mut wheel, LEVELS + 2);
                    assert_eq!((fired_at, values), (deadline + ms(delta.max(1)), vec![delta]));
                }
            }
        }
    }

    #[test]
    fn rounds_up_to_the_tick() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let key = wheel.arm(start + Duration::from_nanos(4_000_001), 1);
        assert_eq!(wheel.deadline(key), Some(start + ms(5)));
        assert!(drain(&mut wheel, start + Duration::from_nanos(4_999_999)).is_empty());
        assert_eq!(drain(&mut wheel, start + ms(5)), [1]);
        let key = wheel.arm(start + ms(6), 2);
        assert_eq!(wheel.deadline(key), Some(start + ms(6)), "a whole tick is not rounded");
        assert_eq!(drain(&mut wheel, start + ms(6)), [2]);
    }

    #[test]
    fn past_deadlines_wait_for_the_next_tick() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let now = start + ms(1000);
        wheel.arm(start + ms(3), 0);
        for round in 0..5 {
            assert_eq!(wheel.expire(now + ms(round)).map(|(_, value)| value), Some(round));
            wheel.arm(start, round + 1);
            assert_eq!(wheel.expire(now + ms(round)), None, "or the loop would never end");
            assert_eq!(wheel.next_deadline(), Some(now + ms(round + 1)));
        }
        assert_eq!(wheel.expire(start), None, "a clock that goes back is not believed");
        assert_eq!(wheel.next_deadline(), Some(now + ms(5)));
        assert_eq!(drain(&mut wheel, now + ms(5)), [5]);
    }

    #[test]
    fn far_deadlines_wait_their_rounds() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let near = start + ms(HOUR);
        let keys = [YEAR, 3 * YEAR, 10 * YEAR, 290 * YEAR].map(|at| wheel.arm(start + ms(at), at));
        wheel.arm(near, HOUR);
        let endless = wheel.arm(start + Duration::from_secs(1 << 60), 0);
        assert_eq!(run(&mut wheel, 10), (near, vec![HOUR]));
        for at in [YEAR, 3 * YEAR, 10 * YEAR] {
            assert_eq!(run(&mut wheel, 50), (start + ms(at), vec![at]));
        }
        assert!(wheel.cancel(keys[3]));
        assert!(drain(&mut wheel, start + ms(291 * YEAR)).is_empty());
        assert_eq!((wheel.len(), wheel.deadline(endless).is_some()), (1, true));
        assert!(wheel.cancel(endless));
        assert_eq!((wheel.is_empty(), wheel.next_deadline()), (true, None));
    }

    #[test]
    fn jump_of_hours_fires_everything_in_order() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let mut seed = 77;
        let mut ticks: Vec<u64> =
            (0..3000).map(|_| xorshift(&mut seed) % (20 * HOUR) + 1).collect();
        for &tick in &ticks {
            wheel.arm(start + ms(tick), tick);
        }
        ticks.sort();
        let (early, late) = ticks.split_at(ticks.partition_point(|&tick| tick <= 9 * HOUR));
        assert_eq!(drain(&mut wheel, start + ms(9 * HOUR)), early);
        assert_eq!(drain(&mut wheel, start + ms(21 * HOUR)), late);
        assert!(wheel.is_empty());
    }

    #[test]
    fn cancels_at_the_ends_in_the_middle_and_when_due() {
        for gone in 0..6_usize {
            for due in [false, true] {
                let start = Instant::now();
                let mut wheel = Wheel::new(start);
                wheel.arm(start + ms(1), 9);
                let keys = [0, 1, 2, 3, 4, 5].map(|value| wheel.arm(start + ms(500), value));
                assert_eq!(wheel.expire(start + ms(1)).map(|(_, value)| value), Some(9));
                if due {
                    wheel.arm(start + ms(2), 8);
                    assert_eq!(wheel.expire(start + ms(500)).map(|(_, value)| value), Some(8));
                    assert_eq!(wheel.next_deadline(), Some(start + ms(500)), "more is due");
                }
                assert!(wheel.cancel(keys[gone]));
                assert!(!wheel.cancel(keys[gone]));
                let want: Vec<usize> = (0..6).filter(|&value| value != gone).collect();
                assert_eq!(drain(&mut wheel, start + ms(500)), want);
                assert!(keys.iter().all(|&key| !wheel.cancel(key)), "all have fired");
            }
        }
    }

    #[test]
    fn cancelling_the_last_one_clears_its_slot() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for tick in [1, 63, 64, 4096, YEAR, 9 * YEAR] {
            let key = wheel.arm(start + ms(tick), ());
            assert!(wheel.next_deadline().is_some_and(|next| next <= start + ms(tick)));
            assert!(wheel.cancel(key));
            assert_eq!(wheel.next_deadline(), None);
            assert_eq!(wheel.occupied, [0; LEVELS]);
        }
    }

    #[test]
    fn stale_keys_match_no_timer() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let fired = wheel.arm(start + ms(1), 1);
        assert_eq!(wheel.expire(start + ms(1)), Some((fired, 1)));
        let cancelled = wheel.arm(start + ms(2), 2);
        assert_eq!((cancelled.index, cancelled != fired), (fired.index, true), "used again");
        assert!(!wheel.cancel(fired));
        assert!(wheel.cancel(cancelled));
        let armed = wheel.arm(start + ms(3), 3);
        for stale in [fired, cancelled] {
            assert!(!wheel.cancel(stale));
            assert_eq!(wheel.deadline(stale), None);
        }
        assert_eq!((armed.index, wheel.len()), (fired.index, 1));
        assert_eq!(drain(&mut wheel, start + ms(3)), [3]);
    }

    /// Ticks pass 32 bits after 50 days of running.
    #[test]
    fn runs_for_months() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let mut now = start + ms((1 << 32) - 3);
        assert!(drain(&mut wheel, now).is_empty());
        for step in 0..200 {
            wheel.arm(now + ms(1), step);
            wheel.arm(now + ms(90), 1000);
            now += ms(1);
            assert!(drain(&mut wheel, now).contains(&step));
        }
        assert_eq!(wheel.len(), 89);
        assert_eq!(drain(&mut wheel, now + ms(90)).len(), 89);
    }

    #[test]
    fn keys_are_small() {
        // The serial is aligned to less on some 32-bit machines.
        let padding = 8 - align_of::<u64>();
        assert_eq!(size_of::<Option<TimerKey>>(), 16 - padding);
        assert_eq!(size_of::<Entry<u64>>(), 40 - padding);
    }
}
