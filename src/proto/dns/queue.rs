//! The queue of look-ups: which of them may ask now, which waits, and which has to give way.
//!
//! Owns the order and the bounds, and starts nothing itself. A name that is answered takes
//! milliseconds and one of a dead zone ten seconds, and which it is shows only after it was asked
//! for. So each look-up has a short turn at first, yields to those that wait once that is over, and
//! gets twice the time when it is its turn again; what has had all its turns without an answer is
//! treated as dead, as is a name that no server answered the last time. This is a multilevel
//! feedback queue, as schedulers have for tasks of unknown length.
//!
//! ```text
//!   usual ─► level 0 ── 25 ms ─► level 1 ── 50 ms ─► … ─► level 5 ── 800 ms ─┐ silent
//!   low   ─────────────────────────────────────────────────────────► dead ◄──┘ to the end
//! ```
//!
//! No look-up yields while none waits. Some places are reserved for first turns, more than names
//! that are answered usually need, some for slow names, and some for dead ones as long as one
//! waits: none of the classes can keep the others from being asked.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::lookup::Unanswered;
use super::message::Kind;
use super::{LookupId, Wanted};
use crate::config::{
    DNS_QUESTIONS_DEAD_MAX, DNS_QUESTIONS_DEAD_MIN, DNS_QUESTIONS_MAX, DNS_QUESTIONS_SLOW_MAX,
    DNS_TURN_MIN, DNS_TURNS_HEARD_MAX, DNS_TURNS_MAX,
};

/// How soon a look-up is to be begun, compared with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// For a name that was answered the last time, or was not asked for so far.
    Usual,
    /// For a name that no server answered the last time.
    Low,
}

/// The turns that a look-up has had without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Level(u32);

impl Level {
    const FIRST: Level = Level(0);
    const DEAD: Level = Level(u32::MAX);

    pub(super) fn of(urgency: Urgency) -> Level {
        match urgency {
            Urgency::Usual => Level::FIRST,
            Urgency::Low => Level::DEAD,
        }
    }

    fn is_dead(self) -> bool {
        self == Level::DEAD
    }

    /// Whether it has had a turn without an answer.
    fn is_slow(self) -> bool {
        self > Level::FIRST
    }

    /// The level after one turn more. If servers have replied, what is missing was lost, and the
    /// name is not dead yet.
    fn next(self, is_heard: bool) -> Level {
        let most = if is_heard { DNS_TURNS_HEARD_MAX } else { DNS_TURNS_MAX };
        let next = if self.0 < most - 1 { Level(self.0 + 1) } else { Level::DEAD };
        debug_assert!(next > self || self.is_dead(), "as many turns as it likes");
        debug_assert!(next.is_slow(), "a turn without an answer is not counted");
        next
    }

    /// How long a turn lasts if others wait; none if it goes on to its end in any case.
    fn turn(self) -> Option<Duration> {
        debug_assert!(self.is_dead() || self.0 < DNS_TURNS_HEARD_MAX, "more turns than there are");
        (!self.is_dead()).then(|| DNS_TURN_MIN * (1 << self.0))
    }
}

/// A look-up that the caller of the resolver wants.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: LookupId,
    /// The kinds that are not answered so far.
    pub(super) kinds: Vec<Kind>,
    pub(super) wanted: Wanted,
    /// If an earlier turn has found the name: which ones before it failed.
    pub(super) unanswered: Unanswered,
    /// A server has replied so far, in this turn or an earlier one.
    pub(super) is_heard: bool,
    pub(super) level: Level,
}

/// A look-up that is under way, as far as it concerns those that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) level: Level,
    /// Questions that are under way for it, or may come to be.
    pub(super) questions: usize,
    /// For how long it has been under way.
    pub(super) lasted: Duration,
    /// One family has its addresses, and the other a short grace.
    pub(super) is_ending: bool,
}

/// The next act of the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin the look-up at this place of the queue.
    Begin(usize),
    /// End the turn of the look-up at this place among those that are under way.
    Yield(usize),
}

/// Look-ups that wait, the next one first.
///
/// Invariant: ordered by level, within a level by arrival; no id twice.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Request>,
}

impl Queue {
    /// Adds a look-up behind those of its level.
    pub(super) fn push(&mut self, request: Request) {
        let position = self.waiting.partition_point(|waiting| waiting.level <= request.level);
        self.waiting.insert(position, request);
        self.invariants();
    }

    /// Adds a look-up before those of its level.
    pub(super) fn push_first(&mut self, request: Request) {
        let position = self.waiting.partition_point(|waiting| waiting.level < request.level);
        self.waiting.insert(position, request);
        self.invariants();
    }

    /// Adds a look-up whose turn is over. `is_heard`: servers have replied meanwhile.
    pub(super) fn push_back(&mut self, mut request: Request, is_heard: bool) {
        request.level = request.level.next(is_heard);
        self.push(request);
    }

    /// Takes a look-up out, by its place.
    pub(super) fn take(&mut self, position: usize) -> Request {
        debug_assert!(position < self.waiting.len(), "not a place of the queue");
        let request = self.waiting.remove(position).expect("a place that was found just now");
        debug_assert!(self.ids().all(|id| id != request.id), "taken out and still waiting");
        request
    }

    /// Drops the look-up with that id, if it waits.
    pub(super) fn forget(&mut self, id: LookupId) {
        let before = self.waiting.len();
        self.waiting.retain(|request| request.id != id);
        debug_assert!(before - self.waiting.len() <= 1, "two look-ups under one id");
    }

    /// How many look-ups wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = LookupId> {
        self.waiting.iter().map(|request| request.id)
    }

    /// The next act, if any, while these are under way.
    pub(super) fn next_step(&self, turns: &[Turn]) -> Option<Step> {
        if let Some(usual) = self.first_usual() {
            let room = self.room(usual, turns);
            if room == Room::Enough {
                return Some(Step::Begin(0));
            }
            let yielding = turns.iter().enumerate().filter(|(_, turn)| turn.may_yield(usual, room));
            let over = yielding.filter(|(_, turn)| turn.left().is_zero());
            if let Some((place, _)) = over.max_by_key(|(_, turn)| (turn.level, turn.lasted)) {
                return Some(Step::Yield(place));
            }
        }
        let dead = self.first_dead()?;
        let room = self.room(&self.waiting[dead], turns);
        (room == Room::Enough).then_some(Step::Begin(dead))
    }

    /// The turns whose end a look-up waits for, by their places, and how long each is in all.
    pub(super) fn awaited(&self, turns: &[Turn]) -> Vec<(usize, Duration)> {
        let Some(usual) = self.first_usual() else { return Vec::new() };
        let room = self.room(usual, turns);
        let awaited = turns.iter().enumerate().filter(|(_, turn)| turn.may_yield(usual, room));
        awaited.filter_map(|(place, turn)| Some((place, turn.level.turn()?))).collect()
    }

    fn first_usual(&self) -> Option<&Request> {
        self.waiting.front().filter(|request| !request.level.is_dead())
    }

    fn first_dead(&self) -> Option<usize> {
        let position = self.waiting.partition_point(|request| !request.level.is_dead());
        debug_assert!(self.first_usual().is_none() || position > 0, "dead ones wait behind");
        (position < self.waiting.len()).then_some(position)
    }

    /// Whether the request keeps to the bounds.
    fn room(&self, request: &Request, turns: &[Turn]) -> Room {
        let dead = questions(turns, Level::is_dead);
        let mut needed = request.kinds.len();
        debug_assert!(needed > 0, "room for no question");
        if request.level.is_dead() && dead + needed > DNS_QUESTIONS_DEAD_MAX {
            return Room::TooManySlow;
        }
        if !request.level.is_dead() && self.first_dead().is_some() {
            needed += DNS_QUESTIONS_DEAD_MIN.saturating_sub(dead);
        }
        let slow = questions(turns, Level::is_slow);
        debug_assert!(dead <= slow, "dead and not slow");
        if request.level.is_slow() && slow + needed > DNS_QUESTIONS_SLOW_MAX {
            return Room::TooManySlow;
        }
        let all = questions(turns, |_| true);
        debug_assert!(slow <= all, "slow and not under way");
        if all + needed > DNS_QUESTIONS_MAX { Room::TooMany } else { Room::Enough }
    }

    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        debug_assert!(self.waiting.iter().is_sorted_by_key(|request| request.level));
        for Request { kinds, .. } in &self.waiting {
            debug_assert!(!kinds.is_empty(), "nothing to ask");
            debug_assert!(kinds.len() <= 2, "more kinds than a subject has");
            debug_assert!(kinds[1..].iter().all(|kind| *kind != kinds[0]), "a kind twice");
        }
        let ids: BTreeSet<usize> = self.ids().map(|LookupId(id)| id).collect();
        debug_assert_eq!(ids.len(), self.waiting.len(), "two look-ups under one id");
    }
}

/// The questions of the turns of a class of levels.
fn questions(turns: &[Turn], is_counted: fn(Level) -> bool) -> usize {
    turns.iter().filter(|turn| is_counted(turn.level)).map(|turn| turn.questions).sum()
}

/// Whether one more may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    TooMany,
    /// Slow look-ups take all the places that they may.
    TooManySlow,
}

impl Turn {
    /// Whether the end of this turn would help the request.
    fn may_yield(&self, request: &Request, room: Room) -> bool {
        let helps = room == Room::TooMany || self.level.is_slow();
        helps && self.yields_to(request)
    }

    /// Whether this turn ends for the request: not for one that has had more turns without an
    /// answer than this look-up will have had then.
    fn yields_to(&self, request: &Request) -> bool {
        !self.is_ending && self.level.turn().is_some() && request.level <= self.level.next(true)
    }

    /// The time that is left of the turn.
    fn left(&self) -> Duration {
        self.level.turn().map_or(Duration::MAX, |turn| turn.saturating_sub(self.lasted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: usize, level: u32, questions: usize) -> Request {
        let kinds = [Kind::A, Kind::Aaaa][..questions].to_vec();
        let wanted = Wanted::Typed(format!("m{id}.test"));
        Request {
            id: LookupId(id),
            kinds,
            wanted,
            unanswered: Vec::new(),
            is_heard: false,
            level: Level(level),
        }
    }

    fn queue(levels: &[u32]) -> Queue {
        let mut queue = Queue::default();
        levels.iter().enumerate().for_each(|(id, level)| queue.push(request(id, *level, 2)));
        queue
    }

    fn turns(count: usize, level: u32, lasted: Duration) -> Vec<Turn> {
        vec![Turn { level: Level(level), questions: 2, lasted, is_ending: false }; count]
    }

    fn ids(queue: &Queue) -> Vec<usize> {
        queue.ids().map(|id| id.0).collect()
    }

    const DEAD: u32 = u32::MAX;
    const FULL: usize = DNS_QUESTIONS_MAX / 2;

    #[test]
    fn the_order_is_by_level_and_then_by_coming() {
        let mut queue = queue(&[DEAD, 0, 1, 0, DEAD]);
        assert_eq!(ids(&queue), [1, 3, 2, 0, 4]);
        queue.push_back(request(7, 0, 2), false);
        queue.push_back(request(8, DEAD, 2), false);
        queue.push_first(request(9, 1, 2));
        queue.push_back(request(5, 0, 2), true);
        assert_eq!(ids(&queue), [1, 3, 9, 2, 7, 5, 0, 4, 8]);
    }

    #[test]
    fn turns_get_longer_and_the_last_one_has_no_end() {
        for (is_heard, count) in [(false, DNS_TURNS_MAX), (true, DNS_TURNS_HEARD_MAX)] {
            let levels = std::iter::successors(Some(Level(0)), |level| Some(level.next(is_heard)));
            let turns: Vec<_> = levels.map_while(Level::turn).take(99).collect();
            let want = (0..count).map(|level| DNS_TURN_MIN * (1 << level));
            assert_eq!(turns, want.collect::<Vec<_>>());
            assert_eq!(Level::DEAD.next(is_heard), Level::DEAD);
        }
        assert_eq!(Level(DNS_TURNS_MAX).next(false), Level::DEAD, "heard before, and not now");
    }

    #[test]
    fn no_look_up_yields_while_there_is_room_or_its_turn_is_not_over() {
        let all = turns(FULL, 0, DNS_TURN_MIN);
        assert_eq!(queue(&[0]).next_step(&all[1..]), Some(Step::Begin(0)));
        let early = turns(FULL, 0, DNS_TURN_MIN / 5);
        assert_eq!(queue(&[0]).next_step(&early), None);
        assert_eq!(queue(&[0]).awaited(&early)[1], (1, DNS_TURN_MIN));
        assert_eq!(queue(&[DEAD]).awaited(&early), [], "not by a dead one");
        assert_eq!(queue(&[]).next_step(&all), None);
    }

    #[test]
    fn a_turn_that_is_over_yields_and_first_the_one_that_had_most() {
        let mut all = turns(FULL, 0, DNS_TURN_MIN);
        all[3] = Turn { level: Level(2), lasted: 4 * DNS_TURN_MIN, ..all[3] };
        assert_eq!(queue(&[0]).next_step(&all), Some(Step::Yield(3)));
        all[3].is_ending = true;
        assert_ne!(queue(&[0]).next_step(&all), Some(Step::Yield(3)), "it will be over soon");
        all[3].is_ending = false;
        all[3].lasted = 3 * DNS_TURN_MIN;
        all[5].lasted = 2 * DNS_TURN_MIN;
        assert_eq!(queue(&[0]).next_step(&all), Some(Step::Yield(5)));
        assert_eq!(queue(&[1]).next_step(&all), Some(Step::Yield(5)), "it has waited, too");
        assert_eq!(queue(&[3]).next_step(&all), None, "it has had more");
        assert_eq!(queue(&[DEAD]).next_step(&all), None);
    }

    #[test]
    fn first_turns_have_places_of_their_own() {
        for level in [1, 3, DEAD] {
            let most = if level == DEAD { DNS_QUESTIONS_DEAD_MAX } else { DNS_QUESTIONS_SLOW_MAX };
            let most = most / 2;
            let slow = turns(most, level, Duration::ZERO);
            assert_eq!(queue(&[level]).next_step(&slow), None, "{level}");
            assert_eq!(queue(&[level, 0]).next_step(&slow), Some(Step::Begin(0)), "{level}");
            assert_eq!(queue(&[level]).next_step(&slow[1..]), Some(Step::Begin(0)), "{level}");
        }
        // Nor do the dead take those of the slow.
        let dead = turns(DNS_QUESTIONS_DEAD_MAX / 2, DEAD, Duration::ZERO);
        assert_eq!(queue(&[DEAD, 3]).next_step(&dead), Some(Step::Begin(0)));
        // No look-up loses a place that is of no use to the one that waits.
        let most = DNS_QUESTIONS_SLOW_MAX / 2;
        let mut all = turns(FULL, 1, Duration::ZERO);
        let over = Turn { level: Level(0), lasted: DNS_TURN_MIN, ..all[0] };
        all[most..].fill(over);
        assert_eq!(queue(&[1]).next_step(&all), None);
        assert_eq!(queue(&[1]).awaited(&all).len(), most, "or the resolver would spin");
        assert_eq!(queue(&[0]).next_step(&all), Some(Step::Yield(FULL - 1)));
    }

    #[test]
    fn the_dead_have_some_places_as_long_as_one_waits() {
        let kept = DNS_QUESTIONS_DEAD_MIN / 2;
        let usual = turns(FULL - kept, 0, Duration::ZERO);
        assert_eq!(queue(&[0]).next_step(&usual), Some(Step::Begin(0)), "while no dead one waits");
        assert_eq!(queue(&[0, DEAD]).next_step(&usual), Some(Step::Begin(1)));
        let full = turns(FULL, 0, Duration::ZERO);
        assert_eq!(queue(&[0, DEAD]).next_step(&full), None);
        let dead = turns(kept, DEAD, Duration::ZERO);
        let with_dead = [&usual[..], &dead[..]].concat();
        assert_eq!(queue(&[0, DEAD]).next_step(&with_dead), None);
        assert_eq!(queue(&[0, DEAD]).next_step(&with_dead[1..]), Some(Step::Begin(0)));
        let slow = turns(DNS_QUESTIONS_SLOW_MAX / 2 - kept, 1, Duration::ZERO);
        assert_eq!(queue(&[1, DEAD]).next_step(&slow), Some(Step::Begin(1)));
    }
}
