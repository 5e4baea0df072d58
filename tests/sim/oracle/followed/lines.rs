//! Which connections to members there may be, and when they may be given up.

use std::time::Duration;

use etcd_gateway::config::REGISTRY_ANSWER_TIME;

use super::{Following, Kind};
use crate::connection::Id;
use crate::line::Line;
use crate::lines::LINES;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);
/// Connections in a second, and for each member: every one is asked before there is a pause, some
/// twice.
const DIALS_MAX: usize = 20;
const DIALS_PER_MEMBER_MAX: usize = 16;

impl Following<'_> {
    /// The gateway dials a member.
    pub fn check_dial(&mut self, world: &World, member: usize) {
        let now = world.context.turn_at;
        let may = world.signals.terminations == 0 || self.books.is_last_round(world);
        assert!(may, "{member} is asked for endpoints after the end was asked for");
        let books = &mut *self.followed;
        let most = match books.kind {
            Kind::Members(_) => 1,
            Kind::Registry(_) => 3,
        };
        let open = world.lines.open_ones().count();
        assert!(open < most, "{open} connections for one purpose");
        books.dialed_at.retain(|at| *at + SECOND > now);
        books.dialed_at.push_back(now);
        let most = DIALS_MAX + DIALS_PER_MEMBER_MAX * world.cluster.members.len();
        let dials = books.dialed_at.len();
        assert!(dials <= most, "{dials} connections in a second");
    }

    /// The gateway is about to close a connection to a member.
    pub fn check_close(&mut self, world: &World, id: Id) {
        let line = world.lines.of(id);
        let is_silent = line.is_known && line.written == 0 && !line.is_blocked && !line.is_over();
        assert!(!is_silent, "{id}: a connection on which nothing was said");
        let (now, turn) = (world.context.turn_at, world.context.turns);
        let books = &mut *self.followed;
        let limit = match &books.kind {
            Kind::Members(_) => {
                let followed = world.context.plan.followed.as_ref();
                followed.map_or(Duration::ZERO, |followed| followed.time_limit)
            }
            Kind::Registry(_) => REGISTRY_ANSWER_TIME,
        };
        let is_overdue = line.opened_at + limit <= now;
        let is_left = line.is_over() || world.signals.terminations > 0;
        let may = match &mut books.kind {
            Kind::Members(_) => line.is_idle() || is_overdue,
            Kind::Registry(book) => match book.watch_on(id - LINES) {
                None if book.closes_heartbeat(world, id - LINES, line) => true,
                None => {
                    let is_left = book.is_doubted(world, line.member);
                    line.is_idle() || is_overdue || is_watch_of_another(line) || is_left
                }
                Some(watch) => {
                    book.watch_closes(id - LINES, turn);
                    let is_late = is_overdue && !watch.is_created;
                    let is_doubted = book.is_doubted(world, line.member);
                    watch.is_over
                        || is_late
                        || is_doubted
                        || book.may_leave(watch, line.member, turn)
                }
            },
        };
        assert!(may || is_left, "{id}: a good connection is given up: {line:?}");
    }
}

/// Whether it is for a watch that was not asked for, as a range of another member came before.
fn is_watch_of_another(line: &Line) -> bool {
    line.is_unasked()
}
