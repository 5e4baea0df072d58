//! When a client that was never served may be given up: it is lost, its time is over, or there is
//! no endpoint for it and none to wait for.

use super::{Oracle, Seen};
use crate::connection::Id;
use crate::world::World;

impl Oracle {
    /// A client is closed for want of an endpoint, and has not waited as long as it may: then there
    /// must be nothing to wait for.
    fn check_no_hope(&self, world: &World, client: Id) {
        // Asked to end, the gateway no longer looks for endpoints.
        if !world.context.plan.finds_endpoints() || world.signals.terminations > 0 {
            return;
        }
        let mut endpoints = 0..self.watches.all.len();
        let is_known = endpoints.clone().any(|endpoint| self.presence(world, endpoint).0);
        assert!(is_known, "{client}: rejected while no endpoint is known");
        assert!(!self.is_asking(world), "{client}: rejected while names are looked up");
        let now = world.context.turn_at;
        let is_awaited = endpoints.any(|endpoint| {
            self.watches.all[endpoint].awaits_proof(now) && self.presence(world, endpoint).1
        });
        assert!(!is_awaited, "{client}: rejected while one may prove itself");
    }

    /// Why a client that was never served may be closed.
    pub(super) fn check_unserved_close(&mut self, world: &World, client: Id) {
        self.books.record.unserved += 1;
        let connection = &world.network.connections[client];
        let account = self.books.account(client);
        let short = account.short;
        let patience = world.context.plan.limits.connect_timeout;
        let is_short_for_long =
            short.is_some_and(|(first, _)| first + patience <= world.context.turn_at);
        let waits_since = account.waits_since.filter(|_| world.context.plan.finds_endpoints());
        let has_waited = waits_since.is_some_and(|first| first + patience <= world.context.turn_at);
        let seen = if connection.loss_is_reported() {
            Seen::ClientLostWhileDialed
        } else if self.books.is_drain_over(world) {
            Seen::EndedByDrain
        } else if is_short_for_long {
            Seen::ShortForTooLong
        } else if has_waited {
            Seen::WaitedForTooLong
        } else {
            self.check_no_hope(world, client);
            let account = self.books.account(client);
            let had_none = account.no_choice_in == Some(world.context.turns);
            let choices = self.choices(world, client);
            let watches = &self.watches.all;
            let is_refused = had_none || choices.is_empty();
            assert!(is_refused, "{client} could be led to {choices:?}: {watches:?}");
            let has_tried = !account.tried.is_empty();
            match has_tried {
                false => Seen::NoEndpointToDial,
                true => Seen::EveryEndpointTried,
            }
        };
        let is_ours = !matches!(seen, Seen::ClientLostWhileDialed | Seen::EndedByDrain);
        self.books.record.rejected += u64::from(is_ours);
        self.books.record.saw(seen);
    }
}
