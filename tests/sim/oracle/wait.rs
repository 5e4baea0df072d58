//! What must be done before the gateway may wait: it was told, nothing is in the way, and so there
//! is no later moment for it. This is what finds a lost wake-up, at the very turn that loses it.

use std::time::Duration;

use etcd_gateway::config::FLUSH_CHECK_MAX;
use etcd_gateway::net::Close;

use super::pair::{is_flushed, last_progress};
use super::{Hosting, Oracle, TICK};
use crate::connection::{Connection, Id};
use crate::world::World;

impl Oracle {
    /// The gateway is about to wait for so long.
    pub fn check_before_wait(&mut self, world: &World, timeout: Option<Duration>) {
        let is_impatient = timeout == Some(Duration::ZERO);
        self.books.record.check_spin(is_impatient, world.context.progress);
        self.checking().check_closings_go_on(world);
        self.checking().check_checks_are_done(world);
        Hosting::of(self).check_before_wait(world, is_impatient);
        let wait = BeforeWait { oracle: self, world };
        wait.check_deadlines();
        if let Some(names) = &self.names {
            names.check_names_are_asked(world);
        }
        self.pipes.check_unused(world);
        if !is_impatient {
            wait.check_nothing_is_left();
            self.check_exchanges_are_done(world);
        }
    }
}

/// The moment before a wait.
struct BeforeWait<'a> {
    oracle: &'a Oracle,
    world: &'a World,
}

impl BeforeWait<'_> {
    /// Whether a shortage is so recent that a pause is in order.
    fn may_pause(&self) -> bool {
        self.oracle.books.pauses.may_be_on(self.world.context.turn_at)
    }

    /// Whatever was due at the time of this turn is done.
    fn check_deadlines(&self) {
        let now = self.world.context.turn_at;
        let connect_timeout = self.world.context.plan.limits.connect_timeout + TICK;
        for id in &self.oracle.books.accounts.clients {
            match self.oracle.books.accounts.pair_of(self.world, *id) {
                Some((client, server)) => {
                    self.check_quiet(*id, client, server);
                    self.check_deferred_options(*id, client, server);
                }
                None => self.check_unserved(*id),
            }
        }
        for id in &self.oracle.books.accounts.probes {
            let probe = &self.world.network.connections[*id];
            assert!(now < probe.dialed_at + connect_timeout, "a probe beyond its time: {probe:?}");
        }
        if let Some((since, _)) = self.oracle.books.drain {
            let until = since + self.world.context.plan.limits.drain_timeout + TICK;
            let is_over = now >= until || self.world.signals.terminations > 1;
            let left = &self.oracle.books.accounts.clients;
            assert!(!is_over || left.is_empty(), "kept after the drain timeout: {left:?}");
            return;
        }
        for watch in &self.oracle.watches.all {
            let is_late = watch.probe_due().is_some_and(|due| due + TICK <= now);
            assert!(!is_late, "the monitor forgot an endpoint: {watch:?}");
        }
    }

    /// A client that is not served yet: it is being dialed for, or waits for a descriptor.
    fn check_unserved(&self, id: Id) {
        let now = self.world.context.turn_at;
        let connect_timeout = self.world.context.plan.limits.connect_timeout + TICK;
        let client = &self.world.network.connections[id];
        let server = client.server.map(|server| &self.world.network.connections[server]);
        let dialed = server.filter(|server| server.is_open());
        let account = self.oracle.books.account(id);
        let until = match (dialed, account.short) {
            (Some(dialed), _) => dialed.dialed_at + connect_timeout,
            (None, Some((first, last))) => (first + connect_timeout).max(last + TICK),
            (None, None) => {
                match account.waits_anew_since.filter(|_| self.world.context.plan.finds_endpoints())
                {
                    Some(since) => since + connect_timeout,
                    None => panic!("{id}: forgotten"),
                }
            }
        };
        assert!(now < until, "{id}: neither served nor closed by {until:?}");
    }

    /// A pair without progress: kept as long as it may be, and not much longer. The gateway looks
    /// at the send queues twice, so what was acknowledged right after the first look counts late.
    fn check_quiet(&self, id: Id, client: &Connection, server: &Connection) {
        let (limit, _) = self.oracle.books.quiet_limit(self.world, client, server);
        let Some(limit) = limit else { return };
        let since = last_progress(client, server);
        let jumped = self.world.context.jumps.iter().any(|at| *at >= since);
        let first_look = (limit / 8).min(Duration::from_secs(1));
        // Only what was acknowledged behind the last byte can have been seen late.
        let acknowledged_at = client.acknowledged_at.max(server.acknowledged_at);
        let once_more = if acknowledged_at < since { Duration::ZERO } else { limit };
        let until = since + limit + once_more + first_look + TICK * 2;
        assert!(
            self.world.context.turn_at < until || jumped,
            "{id}: without progress since {since:?}, {limit:?}"
        );
    }

    /// A pair that has lasted so long has the options of one that does, also when what a lost side
    /// sent is still on its way to the other: were the process to die now, both would be reset. One
    /// that may not last has paid for none.
    fn check_deferred_options(&self, id: Id, client: &Connection, server: &Connection) {
        let known_at = client.server.map(|server| self.oracle.books.account(server).known_at);
        let due_at = known_at.expect("it is a pair")
            + self.world.context.plan.limits.pair.deferred_options_after;
        let resets = [client, server].map(|end| end.ends_by == Close::Reset);
        let options = [server.has_deferred_options, resets[0], resets[1]];
        let is_late = due_at + TICK <= self.world.context.turn_at && options.contains(&false);
        assert!(!is_late, "{id}: it lasts, and its options are not set: {client:?} {server:?}");
        let is_early = self.world.context.turn_at < due_at && options.contains(&true);
        assert!(!is_early, "{id}: options for one that may not last: {client:?} {server:?}");
    }

    fn check_nothing_is_left(&self) {
        for id in &self.oracle.books.accounts.clients {
            match self.oracle.books.accounts.pair_of(self.world, *id) {
                Some((client, server)) => self.check_pair_is_done(*id, client, server),
                None => self.check_dial_is_done(*id),
            }
        }
        let is_full = self.oracle.books.accounts.clients.len()
            >= self.world.context.plan.limits.connections_max;
        for listener in &self.world.listeners.all {
            let waits = listener.is_open && listener.is_reported && !listener.backlog.is_empty();
            assert!(!waits || is_full || self.may_pause(), "a client waits: {listener:?}");
        }
    }

    fn check_dial_is_done(&self, id: Id) {
        let client = &self.world.network.connections[id];
        assert!(!client.reported.error, "{id}: lost while being dialed for, and kept");
        let server = client.server.map(|server| &self.world.network.connections[server]);
        let dialed = server.filter(|server| server.is_open());
        let has_none = self.world.context.plan.finds_endpoints()
            && !self.oracle.has_active_choice(self.world, id);
        let may_wait = dialed.is_some() || self.may_pause() || has_none;
        assert!(may_wait, "{id}: no new attempt to get a descriptor is due");
        if let Some(server) = dialed {
            let is_told = server.reported.writable || server.reported.readable;
            let is_decided = server.is_established || server.is_dead();
            assert!(!(is_told && is_decided), "{id}: told of a dial, and did not look: {server:?}");
        }
    }

    fn check_pair_is_done(&self, id: Id, client: &Connection, server: &Connection) {
        for (source, sink) in [(client, server), (server, client)] {
            if !sink.reported.lost {
                check_flow_is_done(id, source, sink);
            }
        }
        for (one, other) in [(client, server), (server, client)] {
            // A read finds an error behind the bytes before it. Here nothing is read.
            let is_unheard = one.reported.error && one.is_dead() && !one.reported.lost;
            let is_read = !one.end_is_read() && !other.reported.lost;
            assert!(!is_unheard || is_read, "{id}: told of a loss, and not asked for it: {one:?}");
        }
        let [client_lost, server_lost] = [client, server].map(|end| end.reported.lost);
        // An end that was inferred may be known before the bytes are written, and a loss after it.
        let is_sound = !client_lost && !server_lost;
        let is_complete = is_sound && is_over(client, server) && is_over(server, client);
        assert!(!is_complete, "{id}: complete, and kept");
        assert!(!(client_lost && server_lost), "{id}: lost on both sides, and kept");
        for (lost, left) in [(client, server), (server, client)] {
            // What is not told yet may be another byte.
            let is_told = lost.reported.lost && lost.report_due.is_none();
            if is_told && !left.is_dead() && is_flushed(lost, left) {
                let since = lost.progress_at.max(left.progress_at).max(left.acknowledged_at);
                let until = since + FLUSH_CHECK_MAX + TICK;
                assert!(
                    self.world.context.turn_at < until,
                    "{id}: flushed since {since:?}, and not reset at {:?}\n{lost:#?}\n{left:#?}",
                    self.world.context.turn_at
                );
            }
        }
    }
}

/// Whether the source has ended, and all that it sent was written.
fn is_over(source: &Connection, sink: &Connection) -> bool {
    source.end_is_read() && source.inbound.sent == sink.written
}

/// A flow whose sink can take bytes has read what it was told of, and written what it read.
fn check_flow_is_done(id: Id, source: &Connection, sink: &Connection) {
    if !sink.reported.writable {
        return;
    }
    let pending = source.inbound.taken - sink.written;
    assert_eq!(pending, 0, "{id}: bytes are held back from a sink that takes them");
    if source.end_is_read() {
        // That of a lost side is not passed on: a reset will follow.
        let is_passed_on = sink.outbound.end_sent || source.reported.lost;
        assert!(is_passed_on, "{id}: an end is held back\n{source:#?}\n{sink:#?}");
        return;
    }
    let is_left = source.inbound.waiting() > 0 || !source.reported.lost;
    let is_told = source.reported.readable && is_left;
    assert!(!is_told, "{id}: told of bytes or an end, and did not read: {source:?}");
}
