//! What the admin side must have done before the gateway may wait: it was told, nothing is in the
//! way, and no time limit is over.

use std::time::Duration;

use etcd_gateway::config::{
    ADMIN_ANSWER_TIMEOUT, ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_RESERVED,
};

use super::book::{GuestBook, Stage};
use super::{Hosting, Seen, TICK, guests_of, places};
use crate::guests::Guest;
use crate::world::World;

/// What pauses may add to a time limit.
const LATE_MAX: Duration = Duration::from_millis(300);

impl Hosting<'_> {
    /// The gateway is about to wait, without any time where `is_impatient`.
    pub(in crate::oracle) fn check_before_wait(&mut self, world: &World, is_impatient: bool) {
        let now = world.context.turn_at;
        self.note_fullness(world);
        // A stopped process finds all of it over at once, and pauses in between.
        let is_paused = now < self.admin.paused_until;
        for (index, book) in &mut self.admin.all {
            book.spare(&world.guests.all[*index], now);
        }
        for (index, book) in &self.admin.all {
            let until = match book.stage {
                Stage::Answering { since: (_, since) } => {
                    since.max(book.spared_at) + ADMIN_ANSWER_TIMEOUT + LATE_MAX
                }
                _ => book.stage.until() + TICK,
            };
            // A head that is late is answered, which may take a further turn.
            let may_go_on = matches!(book.stage, Stage::Head { .. }) && (is_impatient || is_paused);
            assert!(now < until || may_go_on, "{index}: kept beyond its time at {now:?}: {book:?}");
            if !is_impatient && !is_paused {
                check_is_done(*index, book, &world.guests.all[*index]);
            }
        }
        if !is_impatient && !is_paused && now >= self.admin.doors_paused_until {
            self.check_doors(world);
        }
    }

    fn check_doors(&mut self, world: &World) {
        assert!(places(world, None) <= ADMIN_CONNECTIONS_MAX, "no places are left for a door");
        for (index, door) in world.guests.doors.all.iter().enumerate() {
            if !(door.is_open && door.is_reported && !door.backlog.is_empty()) {
                continue;
            }
            let is_full = places(world, Some(index)) > ADMIN_CONNECTIONS_MAX;
            assert!(is_full, "a guest waits: {door:?}");
            let now = world.context.turn_at;
            let may_leave = self.admin.all.iter().find(|(guest, book)| {
                let of = world.guests.all[**guest].door;
                let is_of_use = of == index || guests_of(world, of) > ADMIN_CONNECTIONS_RESERVED;
                is_of_use && has_stalled(book, now)
            });
            assert!(may_leave.is_none(), "a guest waits for the place of this: {may_leave:?}");
            self.books.saw(Seen::GuestWaited);
        }
    }
}

impl GuestBook {
    /// A reader whose time is over gets it once more, if it has read since the last time, or all
    /// that there is, or if it is the gateway that has to go on. When that has looked is not known.
    fn spare(&mut self, guest: &Guest, now: Duration) {
        let Stage::Answering { since: (_, since) } = self.stage else { return };
        let since = since.max(self.spared_at);
        let until = since + ADMIN_ANSWER_TIMEOUT;
        let was_blocked = self.blocked_at.is_some_and(|at| at < until);
        let has_read = since <= guest.read_at + LATE_MAX || guest.drained == guest.written;
        let goes_on = !was_blocked || has_read;
        if until + LATE_MAX <= now && goes_on {
            self.spared_at = now;
        }
    }
}

fn has_stalled(book: &GuestBook, now: Duration) -> bool {
    match book.stage {
        Stage::Idle { .. } => true,
        // When the request was looked at is not known.
        Stage::Answering { .. } => book.stage.stalls_at() + LATE_MAX + TICK <= now,
        Stage::New { .. } | Stage::Head { .. } | Stage::Lingering { .. } => {
            book.stage.stalls_at() + TICK <= now
        }
    }
}

/// Nothing is left to be done for a guest of what the gateway knows.
fn check_is_done(index: usize, book: &GuestBook, guest: &Guest) {
    if book.is_lost || book.has_ended && !matches!(book.stage, Stage::Answering { .. }) {
        panic!("{index}: over, and kept: {book:?}");
    }
    match book.stage {
        Stage::Answering { .. } => {
            assert!(!guest.reported_writable, "{index}: not answered: {book:?} {guest:?}");
        }
        Stage::Lingering { .. } => assert!(guest.is_shut, "{index}: not shut: {book:?}"),
        Stage::New { .. } | Stage::Idle { .. } | Stage::Head { .. } => {}
    }
    if !matches!(book.stage, Stage::Answering { .. }) {
        let is_left = guest.waiting() > 0 || guest.is_over();
        let is_told = guest.reported_readable && is_left;
        assert!(!is_told, "{index}: told of bytes or an end, and did not read: {book:?} {guest:?}");
    }
}
