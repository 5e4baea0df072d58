//! What is known of each key of a registry: what a range has shown and a watch has said since. What
//! a message says counts at once, and no key becomes what it was before that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use etcd_gateway::config::REGISTRY_HEARTBEAT_TIME;

use crate::connection::Id;
use crate::inquiry::Said;
use crate::keys::{Change, Keys, Service};
use crate::line::{Heard, Line};
use crate::lines::LINES;
use crate::oracle::record::{Record, Seen};
use crate::world::World;

/// Ranges that a watch may follow.
const RANGES_MAX: usize = 8;

/// The revisions that a key is known as of, at least and at most.
#[derive(Clone, Copy, Debug, Default)]
struct Knowledge {
    least: u64,
    most: u64,
}

/// A range that was read to its end.
#[derive(Clone, Copy, Debug)]
struct Range {
    revision: u64,
    member: usize,
    turn: u64,
}

/// A watch that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct WatchBook {
    pub(super) is_created: bool,
    /// The member has said that it is over.
    pub(super) is_over: bool,
    /// The last revision that it has said of.
    reached: u64,
    /// The turn in which its connection was closed.
    closed_in: Option<u64>,
}

/// What a watch has said in this turn.
#[derive(Clone, Copy, Debug)]
struct News {
    line: usize,
    change: Change,
    /// Something else in this turn had spoken against the watch before, which may have been left
    /// by then.
    is_late: bool,
}

#[derive(Debug)]
pub(super) struct RegistryBook {
    keys: Vec<Knowledge>,
    ranges: VecDeque<Range>,
    watches: BTreeMap<usize, WatchBook>,
    /// The connections over which a member was asked for a heartbeat.
    heartbeats: BTreeSet<usize>,
    /// Members that their heartbeat speaks against, and in which turn it last did.
    doubts: BTreeMap<usize, u64>,
    /// Members that have no leader or gave no answer in this turn, or whose heartbeat was given up
    /// for a range of another one: their watches are given up.
    lost: BTreeSet<usize>,
    /// What watches have said in this turn.
    news: Vec<News>,
}

impl RegistryBook {
    pub(super) fn new(keys: usize) -> RegistryBook {
        RegistryBook {
            keys: vec![Knowledge::default(); keys],
            ranges: VecDeque::new(),
            watches: BTreeMap::new(),
            heartbeats: BTreeSet::new(),
            doubts: BTreeMap::new(),
            lost: BTreeSet::new(),
            news: Vec::new(),
        }
    }

    /// A watch is asked for. What a range has shown must not come again, and nothing be missed.
    pub(super) fn watch_begins(&mut self, line: usize, member: usize, from: u64) {
        let mut ranges = self.ranges.iter();
        let follows = ranges.any(|range| range.member == member && range.revision + 1 == from);
        assert!(follows, "a watch from {from} on at {member}: {:?}", self.ranges);
        let (reached, closed_in) = (from - 1, None);
        let book = WatchBook { is_created: false, is_over: false, reached, closed_in };
        self.watches.insert(line, book);
    }

    /// The connection of a watch is closed.
    pub(super) fn watch_closes(&mut self, line: usize, turn: u64) {
        self.change_watch(line, |watch| watch.closed_in = Some(turn));
    }

    /// The watch over a connection, if one was asked for.
    pub(super) fn watch_on(&self, line: usize) -> Option<WatchBook> {
        self.watches.get(&line).copied()
    }

    /// A member is asked for a heartbeat: only where a watch runs, or ran when this turn began. The
    /// question goes out as soon as its connection is established, and only the end of the turn
    /// tells that the watch is over.
    pub(super) fn heartbeat_begins(&mut self, world: &World, line: usize, member: usize) {
        let turn = world.context.turns;
        let ended = self.watches.iter().filter(|(_, watch)| watch.closed_in == Some(turn));
        let mut ended = ended.map(|(line, _)| world.lines.all[*line].member);
        let may = self.is_watched(world, member) || ended.any(|of| of == member);
        assert!(may, "a heartbeat of {member}, where no watch runs");
        self.heartbeats.insert(line);
    }

    /// Whether a watch was asked for at the member, over a connection that is open.
    fn is_watched(&self, world: &World, member: usize) -> bool {
        let mut lines = self.watches.keys().map(|line| &world.lines.all[*line]);
        lines.any(|line| line.member == member && line.is_open)
    }

    /// A connection without a watch is closed. Whether it may be, as that of heartbeats: the answer
    /// is late or lost, which speaks against the member, or its watch is over, or is about to be
    /// since a range of another member was read.
    pub(super) fn closes_heartbeat(&mut self, world: &World, number: usize, line: &Line) -> bool {
        let Some(until) = self.heartbeat_until(number, line) else { return false };
        let is_late = until <= world.context.turn_at;
        if line.is_over() || is_late {
            self.doubts.insert(line.member, world.context.turns);
        }
        if is_late && self.heartbeats.contains(&number) && !line.is_over() {
            self.lost.insert(line.member);
        }
        if is_late || !self.is_watched(world, line.member) {
            return true;
        }
        let is_replaced = self.is_replaced(line.member, world.context.turns);
        if is_replaced {
            self.lost.insert(line.member);
        }
        is_replaced
    }

    /// By when the heartbeat that is under way over a connection has to be answered: the time limit
    /// is one for connecting, another one for the answer, and not above that for both. A connection
    /// over which nothing was asked may be for a heartbeat.
    fn heartbeat_until(&self, number: usize, line: &Line) -> Option<Duration> {
        let of_answer = line.questioned_at.map(|at| at + REGISTRY_HEARTBEAT_TIME);
        if !line.is_unasked() && !self.heartbeats.contains(&number) {
            return None;
        }
        match (line.questions, of_answer) {
            (0, None) => Some(line.opened_at + REGISTRY_HEARTBEAT_TIME),
            (0 | 1, until) => Some(until?.min(line.opened_at + 2 * REGISTRY_HEARTBEAT_TIME)),
            (_, until) => until,
        }
    }

    /// Whether its heartbeat speaks against the member: it has in this turn, or the answer is late.
    pub(super) fn is_doubted(&self, world: &World, member: usize) -> bool {
        let mut numbered = world.lines.all.iter().enumerate();
        let is_late = numbered.any(|(number, line)| {
            let is_own = line.is_open && line.member == member;
            let until = self.heartbeat_until(number, line).filter(|_| is_own);
            until.is_some_and(|until| until <= world.context.turn_at)
        });
        is_late || self.doubts.get(&member) == Some(&world.context.turns)
    }

    /// Whether a watch at the member may be given up though nothing is wrong with it: a range of
    /// another member was read in this turn, or one has shown what the watch has not said.
    pub(super) fn may_leave(&self, watch: WatchBook, member: usize, turn: u64) -> bool {
        self.ranges.back().is_some_and(|range| {
            range.member != member && range.turn == turn || range.revision > watch.reached
        })
    }

    pub(super) fn has_heard(&mut self, world: &World, record: &mut Record, id: Id, heard: &Heard) {
        let (line, member) = (id - LINES, world.lines.of(id).member);
        if let Said::Changes(changes) = &heard.said {
            for change in changes {
                let known = &mut self.keys[change.key];
                known.most = known.most.max(change.revision);
            }
        }
        // A message is understood before the line break behind it.
        if let Said::Refused | Said::Compacted = heard.said {
            self.change_watch(line, |watch| watch.is_over = true);
        }
        if !heard.is_whole {
            return;
        }
        match &heard.said {
            Said::Range { revision } => {
                for known in &mut self.keys {
                    let least = known.least.max(*revision);
                    *known = Knowledge { least, most: known.most.max(*revision) };
                }
                if self.ranges.len() == RANGES_MAX {
                    self.ranges.pop_front();
                }
                let turn = world.context.turns;
                self.ranges.push_back(Range { revision: *revision, member, turn });
                record.saw(Seen::RangeHeard);
            }
            Said::Created => self.change_watch(line, |watch| watch.is_created = true),
            Said::Changes(changes) => {
                let is_late = self.may_be_left(member, world.context.turns);
                let news = changes.iter().map(|change| News { line, change: *change, is_late });
                self.news.extend(news);
                let last = changes.iter().map(|change| change.revision).max().unwrap_or_default();
                self.change_watch(line, |watch| watch.reached = watch.reached.max(last));
                record.saw(Seen::ChangesHeard);
            }
            Said::Compacted => record.saw(Seen::CompactionHeard),
            Said::Status(status) if !status.has_leader => {
                self.doubts.insert(member, world.context.turns);
                self.lost.insert(member);
            }
            Said::Refused | Said::Status(_) | Said::List { .. } => {}
        }
    }

    /// Whether the watch at the member may have been given up by what was read in this turn so far:
    /// its heartbeat speaks against it, or a range of another member came.
    fn may_be_left(&self, member: usize, turn: u64) -> bool {
        self.doubts.get(&member) == Some(&turn) || self.is_replaced(member, turn)
    }

    /// Whether a range of another member was read in this turn.
    fn is_replaced(&self, member: usize, turn: u64) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.any(|range| range.member != member && range.turn == turn)
    }

    fn change_watch(&mut self, line: usize, change: impl FnOnce(&mut WatchBook)) {
        if let Some(watch) = self.watches.get_mut(&line) {
            change(watch);
        }
    }

    /// The turn is over: what watches have said counts, unless they were given up in it.
    pub(super) fn end_turn(&mut self, world: &World) {
        for member in std::mem::take(&mut self.lost) {
            assert!(!self.is_watched(world, member), "{member} has no heartbeat, and is kept");
        }
        for line in self.heartbeats.iter().map(|line| &world.lines.all[*line]) {
            let member = line.member;
            let may = !line.is_open || self.is_watched(world, member);
            assert!(may, "a connection for heartbeats of {member}, where no watch runs");
        }
        for News { line, change, is_late } in std::mem::take(&mut self.news) {
            let line = &world.lines.all[line];
            if line.is_open || line.is_over() && !is_late {
                let known = &mut self.keys[change.key];
                known.least = known.least.max(change.revision);
            }
        }
    }

    /// What each key may be, as far as anything is known.
    fn values(&self, keys: &Keys) -> Vec<Vec<Option<Service>>> {
        if self.ranges.is_empty() {
            return Vec::new();
        }
        let numbered = self.keys.iter().enumerate();
        let values = numbered.map(|(key, known)| {
            let later = keys.changes.iter().filter(|change| change.key == key);
            let later =
                later.filter(|one| known.least < one.revision && one.revision <= known.most);
            let first = std::iter::once(keys.at(key, known.least));
            first.chain(later.map(|change| change.value)).collect()
        });
        values.collect()
    }

    pub(super) fn belief(&self, world: &World, endpoint: usize, was_in: bool) -> (bool, bool) {
        let values = self.values(&world.cluster.keys);
        let named = values.iter().flatten().flatten().any(|value| value.endpoint == Some(endpoint));
        let surely = values.iter().any(|values| {
            values.iter().all(|value| value.is_some_and(|one| one.endpoint == Some(endpoint)))
        });
        let may_name_none =
            values.iter().all(|values| values.iter().any(|value| endpoint_of(*value).is_none()));
        let names_none = values.iter().flatten().all(|value| endpoint_of(*value).is_none());
        let may_be_there = values.iter().flatten().any(Option::is_some);
        let is_there = values.iter().any(|values| values.iter().all(Option::is_some));
        // Keys of which none can be read are a mistake, and the last known endpoints stay.
        let may_be_kept = was_in && may_name_none && may_be_there;
        let is_kept = was_in && names_none && is_there;
        (named || may_be_kept, surely || is_kept)
    }

    /// The weight of an endpoint, where there is no doubt.
    pub(super) fn weight_of(&self, world: &World, endpoint: usize) -> Option<u16> {
        let values = self.values(&world.cluster.keys);
        if values.iter().any(|values| values.len() > 1) {
            return None;
        }
        let mut all = values.iter().flatten().flatten();
        all.find(|value| value.endpoint == Some(endpoint)).map(|value| value.weight)
    }

    /// Whether some key surely names nothing that can be read.
    pub(super) fn has_bad(&self, world: &World) -> bool {
        let values = self.values(&world.cluster.keys);
        let mut all = values.iter().flatten().flatten();
        all.any(|value| value.endpoint.is_none())
    }
}

fn endpoint_of(value: Option<Service>) -> Option<usize> {
    value?.endpoint
}
