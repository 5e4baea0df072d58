//! What the rules of all subjects may use: counts, an account of each connection, pauses, and when
//! the end was asked for.

use std::time::Duration;

use super::accounts::{Account, Accounts};
use super::pauses::Pauses;
use super::record::{Record, Seen};
use crate::connection::Id;
use crate::world::World;

#[derive(Debug)]
pub struct Books {
    pub record: Record,
    pub(super) accounts: Accounts,
    pub(super) pauses: Pauses,
    /// Endpoints to which a dial was abandoned in this turn although its time was not over.
    pub(super) abandoned: Vec<usize>,
    /// The clock in the turn that was first asked to end, and which turn that was.
    pub(super) drain: Option<(Duration, u64)>,
}

impl Books {
    /// The gateway has given up a socket of its own, so accepting may go on.
    pub fn descriptor_freed(&mut self) {
        self.pauses.lift();
    }

    pub(super) fn new() -> Books {
        Books {
            record: Record::new(),
            accounts: Accounts::new(),
            pauses: Pauses::default(),
            abandoned: Vec::new(),
            drain: None,
        }
    }

    pub(super) fn account(&self, id: Id) -> &Account {
        self.accounts.of(id)
    }

    pub(super) fn saw(&mut self, what: Seen) {
        self.record.saw(what);
    }

    /// The gateway met a shortage; `is_unpaused`: in something that it does only while no pause is
    /// on.
    pub(super) fn fell_short(&mut self, world: &World, is_unpaused: bool) {
        let now = world.context.turn_at;
        self.pauses.note_shortage(now);
        if !self.is_paused(world) {
            self.pauses.begin(now, world.context.turns, is_unpaused);
        }
    }

    /// Whether it is too soon after a shortage to try again.
    pub(super) fn is_paused(&self, world: &World) -> bool {
        // Asked to end, it lets in all clients that wait, even if a shortage was met in that very
        // turn.
        !self.is_last_round(world) && self.pauses.is_on(world.context.turn_at)
    }

    /// Whether this turn was the first that was asked to end.
    pub(super) fn is_last_round(&self, world: &World) -> bool {
        self.drain.is_some_and(|(_, turn)| turn == world.context.turns)
    }
}
