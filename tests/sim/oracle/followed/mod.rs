//! Which endpoints there are where etcd names them, told from what the gateway has read alone; and
//! what it may ask.
//!
//! - `members.rs`: which list of members counts
//! - `registry.rs`: what is known of each key, by ranges and watches
//! - `lines.rs`: which connections there may be, and what may be asked over them
//! - `set.rs`: the gateway's set of endpoints against that

mod lines;
mod members;
mod registry;
mod set;

use std::collections::VecDeque;
use std::time::Duration;

use self::members::MemberBook;
use self::registry::RegistryBook;
use super::rotation::Watches;
use super::{Books, Oracle};
use crate::connection::Id;
use crate::followed::{Followed, Source};
use crate::inquiry::Asked;
use crate::line::Heard;
use crate::lines::LINES;
use crate::world::World;

#[derive(Debug)]
pub(super) struct FollowBooks {
    kind: Kind,
    /// The last turn in which something was heard.
    flux_in: u64,
    /// When connections were begun, of the last second.
    dialed_at: VecDeque<Duration>,
}

#[derive(Debug)]
enum Kind {
    Members(MemberBook),
    Registry(RegistryBook),
}

impl FollowBooks {
    pub(super) fn new(followed: &Followed) -> FollowBooks {
        let kind = match followed.source {
            Source::Members => Kind::Members(MemberBook::default()),
            Source::Registry => Kind::Registry(RegistryBook::new(followed.keys)),
        };
        FollowBooks { kind, flux_in: 0, dialed_at: VecDeque::new() }
    }

    /// Whether an endpoint may be there by what was read, and whether it must; `was_in`: it was
    /// when the last turn ended.
    pub(super) fn belief(&self, world: &World, endpoint: usize, was_in: bool) -> (bool, bool) {
        match &self.kind {
            Kind::Members(book) => book.belief(world, endpoint),
            Kind::Registry(book) => book.belief(world, endpoint, was_in),
        }
    }

    /// Whether something was heard in this turn.
    pub(super) fn is_in_flux(&self, world: &World) -> bool {
        self.flux_in == world.context.turns
    }
}

/// The rules of what etcd names over what they change.
pub struct Following<'a> {
    followed: &'a mut FollowBooks,
    books: &'a mut Books,
    watches: &'a mut Watches,
}

impl Oracle {
    /// The rules of what etcd names, in a run in which it does.
    pub fn following(&mut self) -> Following<'_> {
        let Oracle { followed, books, watches, .. } = self;
        let followed = followed.as_mut().expect("a run in which etcd names the endpoints");
        Following { followed, books, watches }
    }
}

impl Following<'_> {
    /// The gateway has asked something.
    pub fn check_question(&mut self, world: &World, id: Id, asked: Asked) {
        let line = world.lines.of(id);
        let is_right = match (&mut self.followed.kind, asked) {
            (Kind::Members(_), Asked::Status | Asked::List) | (Kind::Registry(_), Asked::Range) => {
                true
            }
            (Kind::Registry(book), Asked::Status) => {
                book.heartbeat_begins(world, id - LINES, line.member);
                true
            }
            (Kind::Registry(book), Asked::Watch { from }) => {
                book.watch_begins(id - LINES, line.member, from);
                true
            }
            _ => false,
        };
        assert!(is_right, "{asked:?} is not to be asked");
    }

    /// The gateway has read something that means something.
    pub fn has_heard(&mut self, world: &World, id: Id, heard: &Heard) {
        let books = &mut *self.books;
        self.followed.flux_in = world.context.turns;
        match &mut self.followed.kind {
            Kind::Members(book) => {
                let member = world.lines.of(id).member;
                book.has_heard(world, &mut books.record, (member, id - LINES), heard);
            }
            Kind::Registry(book) => book.has_heard(world, &mut books.record, id, heard),
        }
    }
}
