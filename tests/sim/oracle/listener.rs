//! When clients are let in: not too many, none during a pause, none before those that wait longer,
//! and none is left behind when a listener closes.

use etcd_gateway::config::{ACCEPTS_AT_DRAIN, ACCEPTS_PER_TURN};

use super::record::PerTurn;
use super::{Hosting, Oracle};
use crate::connection::Id;
use crate::world::World;

/// What is known of one listener.
#[derive(Clone, Debug, Default)]
pub(super) struct ListenerBook {
    /// Clients that it has let in here.
    pub(super) accepted: u64,
    /// Attempts of the gateway to accept here.
    accepts_in_turn: PerTurn,
    /// Turns in which others were served while clients waited here, and the last such turn.
    passed_over: (u32, u64),
}

impl Oracle {
    /// The gateway has let a client in.
    pub fn accepted(&mut self, world: &World, listener: usize, id: Id) {
        self.pass_over_others(world, listener);
        self.books.accounts.clients.push(id);
        self.listeners[listener].accepted += 1;
        Hosting::of(self).client_has_come(id, listener);
        self.note_choices(world, id);
    }

    /// The gateway lacked something to let a client in.
    pub fn accept_fell_short(&mut self, world: &World) {
        self.pipes.check_unused_go(world);
        self.books.fell_short(world, true);
    }

    /// The gateway is about to accept.
    pub fn check_accept(&mut self, world: &World, index: usize) {
        assert!(world.listeners.all[index].is_open, "accepted on a closed listener");
        assert!(!self.books.is_paused(world), "accepted so soon after a shortage");
        let pairs = self.books.accounts.clients.len();
        assert!(
            pairs < world.context.plan.limits.connections_max,
            "let in although {pairs} are there"
        );
        let count = self.listeners[index].accepts_in_turn.add(world.context.turns, 1);
        // Clients that are there when the end is asked for are let in, within a bound of their own.
        let most =
            if self.books.is_last_round(world) { ACCEPTS_AT_DRAIN } else { ACCEPTS_PER_TURN };
        assert!(count <= most as u64, "{count} accepts in a turn, the others wait");
        // Those that were postponed were decided about just now.
        self.note_choices_of_the_short(world);
        for id in &self.books.accounts.clients {
            let is_passed_over = self.waits_to_dial(world, *id);
            assert!(!is_passed_over, "{id} waits for the descriptor that another client gets");
        }
        self.listeners[index].passed_over = (0, world.context.turns);
    }

    /// Whether the client could be dialed for, lacked a descriptor and was not asked for again.
    fn waits_to_dial(&self, world: &World, id: Id) -> bool {
        let (now, patience) = (world.context.turn_at, world.context.plan.limits.connect_timeout);
        let client = self.books.accounts.of(id);
        let (first, last) = client.short.unwrap_or((now, now));
        // One that has waited for an endpoint before has no more time than that wait left it.
        let since = client.waits_since.map_or(first, |held| held.min(first));
        let is_due = client.turn_lost_at.is_some() && last != now && now < since + patience;
        let has_waited_anew =
            world.context.plan.finds_endpoints() && client.waits_anew_since.is_some();
        let had_none = client.no_choice_in == Some(world.context.turns) || has_waited_anew;
        is_due && !had_none && !self.choices(world, id).is_empty()
    }

    /// A client was accepted, which others may have waited for longer than it.
    fn pass_over_others(&mut self, world: &World, index: usize) {
        let turn = world.context.turns;
        let most = world.listeners.all.len() as u32;
        for (other, listener) in world.listeners.all.iter().enumerate() {
            let waits = listener.is_open && listener.is_reported && !listener.backlog.is_empty();
            let (turns, last) = self.listeners[other].passed_over;
            if other != index && waits && last != turn {
                self.listeners[other].passed_over = (turns + 1, turn);
                assert!(turns < most, "another listener is served all the time: {listener:?}");
            }
        }
    }

    /// The gateway is about to stop listening. A client that waits believes to be connected.
    pub fn check_close_listener(&self, world: &World, listener: usize) {
        let is_waiting =
            world.context.plan.late_port.is_some_and(|(.., comes_at)| world.context.now < comes_at);
        assert!(world.signals.terminations > 0 || is_waiting, "a listener was given up");
        let listener = &world.listeners.all[listener];
        let is_full =
            self.books.accounts.clients.len() >= world.context.plan.limits.connections_max;
        let looks_empty =
            listener.backlog.is_empty() || listener.blocked_at == Some(world.context.turn_at);
        assert!(
            looks_empty || is_full || self.books.pauses.may_be_on(world.context.turn_at),
            "clients are left: {listener:?}"
        );
    }
}
