//! The places of the admin side: a number of connections in all, some of them reserved for each
//! listener, and which connection is closed for a new one. Pure; closes nothing.

use std::time::Instant;

use crate::config::limits::{
    ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_RESERVED, ADMIN_LISTENERS_MAX, ADMIN_STALL_TIME,
};

/// A connection as far as its place is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    /// The listener at which it came: below [`ADMIN_LISTENERS_MAX`].
    pub(super) listener: usize,
    /// Whether we have something to do for it: it may have a request that was not read yet.
    pub(super) is_queued: bool,
    /// Whether it has been answered, and has no further request.
    pub(super) is_idle: bool,
    /// When its client last went on.
    pub(super) progressed_at: Instant,
}

/// The place of a client that would be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// That of the holder with this index, which is to be closed.
    TakenFrom(usize),
    /// There is none, and the client waits in the backlog.
    Missing,
}

impl Holder {
    /// Whether it may be closed for another one: the first request of a new client is on its way,
    /// and so is the rest of an answer, until its client has stalled.
    fn may_leave(&self, now: Instant) -> bool {
        !self.is_queued && (self.is_idle || self.is_stalled(now))
    }

    fn is_stalled(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.progressed_at) >= ADMIN_STALL_TIME
    }
}

/// The place of a further client of `listener`, one of `listeners`.
///
/// Invariant: there are enough places if each listener has as many as its clients take, and at
/// least those that are reserved for it.
pub(super) fn place_for(
    listener: usize,
    listeners: usize,
    holders: impl Iterator<Item = Holder> + Clone,
    now: Instant,
) -> Place {
    let mut counts = [0; ADMIN_LISTENERS_MAX];
    holders.clone().for_each(|holder| counts[holder.listener] += 1);
    let mut wanted = counts;
    wanted[listener] += 1;
    let places = wanted[..listeners].iter().map(|count| ADMIN_CONNECTIONS_RESERVED.max(*count));
    if places.sum::<usize>() <= ADMIN_CONNECTIONS_MAX {
        return Place::Free;
    }
    let of_use = holders.enumerate().filter(|(_, holder)| {
        let is_ours = holder.listener == listener;
        // One of another listener's reserved places would stay reserved.
        let is_beyond = counts[holder.listener] > ADMIN_CONNECTIONS_RESERVED;
        holder.may_leave(now) && (is_ours || is_beyond)
    });
    // One that has stalled before one that goes on, and is idle for the moment.
    let leaves = of_use.min_by_key(|(_, holder)| (holder.is_idle, holder.progressed_at));
    leaves.map_or(Place::Missing, |(index, _)| Place::TakenFrom(index))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn placed(listener: usize, listeners: usize, holders: &[Holder], now: Instant) -> Place {
        place_for(listener, listeners, holders.iter().copied(), now)
    }

    fn busy(listener: usize, progressed_at: Instant) -> Holder {
        Holder { listener, is_queued: false, is_idle: false, progressed_at }
    }

    #[test]
    fn all_places_are_for_one_listener_alone() {
        let now = Instant::now();
        let mut holders = vec![busy(0, now); ADMIN_CONNECTIONS_MAX - 1];
        assert_eq!(placed(0, 1, &holders, now), Place::Free);
        holders.push(busy(0, now));
        assert_eq!(placed(0, 1, &holders, now), Place::Missing);
    }

    #[test]
    fn each_listener_has_places_that_others_do_not_get() {
        let now = Instant::now();
        let of_others = ADMIN_CONNECTIONS_MAX - ADMIN_CONNECTIONS_RESERVED;
        let mut holders = vec![busy(0, now); of_others];
        for _ in 0..ADMIN_CONNECTIONS_RESERVED {
            assert_eq!(placed(0, 2, &holders, now), Place::Missing, "{}", holders.len());
            assert_eq!(placed(1, 2, &holders, now), Place::Free);
            holders.push(busy(1, now));
        }
        assert_eq!(placed(1, 2, &holders, now), Place::Missing);
    }

    #[test]
    fn a_stalled_one_leaves_and_where_none_has_that_which_is_idle_for_longest() {
        let start = Instant::now();
        let now = start + ADMIN_STALL_TIME;
        let mut holders = vec![busy(0, now); ADMIN_CONNECTIONS_MAX];
        for (index, age) in [(3, MILLISECOND), (5, 3 * MILLISECOND), (7, 2 * MILLISECOND)] {
            holders[index] = Holder { is_idle: true, ..busy(0, now - age) };
        }
        holders[9] = busy(0, start + MILLISECOND);
        assert_eq!(placed(0, 1, &holders, now), Place::TakenFrom(5), "not stalled yet");
        holders[9] = busy(0, start);
        assert_eq!(placed(0, 1, &holders, now), Place::TakenFrom(9));
        holders[9].is_queued = true;
        holders[5].is_queued = true;
        assert_eq!(placed(0, 1, &holders, now), Place::TakenFrom(7), "they may have requests");
        for index in [3, 7] {
            holders[index].is_idle = false;
        }
        assert_eq!(placed(0, 1, &holders, now), Place::Missing);
    }

    #[test]
    fn a_place_that_stays_reserved_is_not_taken() {
        let start = Instant::now();
        let now = start + ADMIN_STALL_TIME;
        let mut holders = vec![busy(0, now); ADMIN_CONNECTIONS_MAX - ADMIN_CONNECTIONS_RESERVED];
        holders.extend([busy(1, start); ADMIN_CONNECTIONS_RESERVED]);
        assert_eq!(placed(0, 2, &holders, now), Place::Missing);
        assert_eq!(
            placed(1, 2, &holders, now),
            Place::TakenFrom(ADMIN_CONNECTIONS_MAX - ADMIN_CONNECTIONS_RESERVED)
        );
        holders[0] = busy(1, start);
        assert_eq!(placed(0, 2, &holders, now), Place::TakenFrom(0));
    }
}
