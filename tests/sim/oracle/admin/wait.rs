//! What the admin side must have done before the gateway may wait: it was told, nothing is in the
//! way, and no time limit is over.

use std::time::Duration;

use etcd_gateway::config::ADMIN_CONNECTIONS_MAX;

use super::book::{GuestBook, Stage};
use super::{Hosting, Seen, TICK};
use crate::guests::Guest;
use crate::world::World;

/// What pauses may add to a time limit.
const LATE_MAX: Duration = Duration::from_millis(300);

impl Hosting<'_> {
    /// The gateway is about to wait, without any time where `is_impatient`.
    pub(in crate::oracle) fn check_before_wait(&mut self, world: &World, is_impatient: bool) {
        let now = world.context.turn_at;
        // A stopped process finds all of it over at once, and pauses in between.
        let is_paused = now < self.admin.paused_until;
        for (index, book) in &self.admin.all {
            let until = match book.stage {
                // When the request was looked at is not known.
                Stage::Answering { .. } => book.stage.until() + LATE_MAX + TICK,
                _ => book.stage.until() + TICK,
            };
            // A head that is late is answered, which may take a further turn.
            let may_go_on = matches!(book.stage, Stage::Head { .. }) && (is_impatient || is_paused);
            assert!(now < until || may_go_on, "{index}: kept beyond its time at {now:?}: {book:?}");
            if !is_impatient && !is_paused {
                check_is_done(*index, book, &world.guests.all[*index]);
            }
        }
        if !is_impatient && !is_paused {
            self.check_doors(world);
        }
    }

    fn check_doors(&mut self, world: &World) {
        let is_full = world.guests.open_ones().count() == ADMIN_CONNECTIONS_MAX;
        for door in &world.guests.doors.all {
            if !(door.is_open && door.is_reported && !door.backlog.is_empty()) {
                continue;
            }
            assert!(is_full, "a guest waits: {door:?}");
            let idle =
                self.admin.all.iter().find(|(_, book)| matches!(book.stage, Stage::Idle { .. }));
            assert!(idle.is_none(), "a guest waits for the place of an idle one: {idle:?}");
            self.books.saw(Seen::GuestWaited);
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
