//! What must be done before the gateway may wait: it was told, nothing is in the way, and so there
//! is no later moment for it. This is what finds a lost wake-up, at the very turn that loses it.

use std::time::Duration;

use etcd_gateway::config::{ACCEPT_PAUSE, ACCEPTS_AT_DRAIN, ACCEPTS_PER_TURN, FLUSH_CHECK_MAX};
use etcd_gateway::net::Close;

use super::pair::{is_flushed, last_progress};
use super::{IDLE_POLLS_MAX, TICK};
use crate::connection::{Connection, Id};
use crate::world::World;

impl World {
    /// The gateway is about to wait for so long.
    pub fn check_before_wait(&mut self, timeout: Option<Duration>) {
        self.check_spin(timeout);
        self.check_deadlines();
        self.check_names_are_asked();
        self.check_unused_pipes();
        if timeout != Some(Duration::ZERO) {
            self.check_nothing_is_left();
            self.check_exchanges_are_done();
        }
    }

    fn check_spin(&mut self, timeout: Option<Duration>) {
        let progress = self.context.progress;
        let oracle = &mut self.oracle;
        let is_idle = timeout == Some(Duration::ZERO)
            && progress == oracle.progress_before
            && !oracle.had_events;
        oracle.progress_before = progress;
        oracle.idle_polls = if is_idle { oracle.idle_polls + 1 } else { 0 };
        assert!(oracle.idle_polls <= IDLE_POLLS_MAX, "it spins");
    }

    /// Whatever was due at the time of this turn is done.
    fn check_deadlines(&self) {
        let now = self.context.turn_at;
        let connect_timeout = self.context.plan.limits.connect_timeout + TICK;
        for id in &self.oracle.clients {
            match self.pair_of(*id) {
                Some((client, server)) => {
                    self.check_quiet(*id, client, server);
                    self.check_lasting(*id, client, server);
                }
                None => self.check_unserved(*id),
            }
        }
        for id in &self.oracle.probe_sockets {
            let probe = &self.connections[*id];
            assert!(now < probe.dialed_at + connect_timeout, "a probe beyond its time: {probe:?}");
        }
        if let Some((since, _)) = self.oracle.drain {
            let until = since + self.context.plan.limits.drain_timeout + TICK;
            let is_over = now >= until || self.oracle.terminations > 1;
            let left = &self.oracle.clients;
            assert!(!is_over || left.is_empty(), "kept after the drain timeout: {left:?}");
            return;
        }
        for watch in &self.oracle.watches {
            let is_late = watch.probe_due().is_some_and(|due| due + TICK <= now);
            assert!(!is_late, "the monitor forgot an endpoint: {watch:?}");
        }
    }

    /// A client that is not served yet: it is being dialed for, or waits for a descriptor.
    fn check_unserved(&self, id: Id) {
        let now = self.context.turn_at;
        let connect_timeout = self.context.plan.limits.connect_timeout + TICK;
        let client = &self.connections[id];
        let server = client.client.server.map(|server| &self.connections[server]);
        let dialed = server.filter(|server| server.is_open());
        let until = match (dialed, client.client.starved) {
            (Some(dialed), _) => dialed.dialed_at + connect_timeout,
            (None, Some((first, last))) => (first + connect_timeout).max(last + TICK),
            (None, None) => {
                match client.client.held_anew.filter(|_| self.context.plan.names.is_some()) {
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
        let (limit, _) = self.quiet_limit(client, server);
        let Some(limit) = limit else { return };
        let since = last_progress(client, server);
        let jumped = self.oracle.jumps.iter().any(|at| *at >= since);
        let first_look = (limit / 8).min(Duration::from_secs(1));
        // Only what was acknowledged behind the last byte can have been seen late.
        let acknowledged_at = client.acknowledged_at.max(server.acknowledged_at);
        let once_more = if acknowledged_at < since { Duration::ZERO } else { limit };
        let until = since + limit + once_more + first_look + TICK * 2;
        assert!(
            self.context.turn_at < until || jumped,
            "{id}: without progress since {since:?}, {limit:?}"
        );
    }

    /// A pair that has lasted so long has the options of one that does, also when what a lost side
    /// sent is still on its way to the other: were the process to die now, both would be reset. One
    /// that may not last has paid for none.
    fn check_lasting(&self, id: Id, client: &Connection, server: &Connection) {
        let due_at = server.known_at + self.context.plan.limits.pair.lasting_after;
        let resets = [client, server].map(|it| it.ends_by == Close::Reset);
        let options = [server.has_lasting_options, resets[0], resets[1]];
        let is_late = due_at + TICK <= self.context.turn_at && options.contains(&false);
        assert!(!is_late, "{id}: it lasts, and its options are not set: {client:?} {server:?}");
        let is_early = self.context.turn_at < due_at && options.contains(&true);
        assert!(!is_early, "{id}: options for one that may not last: {client:?} {server:?}");
    }

    fn check_nothing_is_left(&self) {
        for id in &self.oracle.clients {
            match self.pair_of(*id) {
                Some((client, server)) => self.check_pair_is_done(*id, client, server),
                None => self.check_dial_is_done(*id),
            }
        }
        let is_full = self.oracle.clients.len() >= self.context.plan.limits.connections_max;
        for listener in &self.listeners {
            let waits = listener.is_open && listener.is_told && !listener.backlog.is_empty();
            assert!(!waits || is_full || self.may_pause(), "a client waits: {listener:?}");
        }
    }

    /// The gateway is about to accept.
    pub fn check_accept(&mut self, index: usize) {
        let now = self.context.turn_at;
        assert!(self.listeners[index].is_open, "accepted on a closed listener");
        assert!(!self.oracle.is_paused(now), "accepted so soon after a shortage");
        let pairs = self.oracle.clients.len();
        assert!(
            pairs < self.context.plan.limits.connections_max,
            "let in although {pairs} are there"
        );
        let count = self.listeners[index].accepts_in_turn.add(self.oracle.turns, 1);
        // Whoever is there when the end is asked for is let in, within a bound of its own.
        let most = if self.oracle.is_last_round() { ACCEPTS_AT_DRAIN } else { ACCEPTS_PER_TURN };
        assert!(count <= most as u64, "{count} accepts in a turn, the others wait");
        for id in &self.oracle.clients {
            let is_passed_over = self.waits_to_dial(*id);
            assert!(!is_passed_over, "{id} waits for the descriptor that another client gets");
        }
        self.listeners[index].passed_over = (0, self.oracle.turns);
    }

    /// Whether the client could be dialed for, lacked a descriptor and was not asked for again.
    fn waits_to_dial(&self, id: Id) -> bool {
        let (now, patience) = (self.context.turn_at, self.context.plan.limits.connect_timeout);
        let client = &self.connections[id].client;
        let (first, last) = client.starved.unwrap_or((now, now));
        // One that has waited for an endpoint before has no more time than that wait left it.
        let since = client.held_first.map_or(first, |held| held.min(first));
        let is_due = client.starved_at.is_some() && last != now && now < since + patience;
        let was_held = self.context.plan.names.is_some() && client.held_anew.is_some();
        let had_none = client.no_choice_in == Some(self.oracle.turns) || was_held;
        is_due && !had_none && !self.choices(id).is_empty()
    }

    /// A client was accepted, which others may have waited for longer than it.
    pub fn pass_over_others(&mut self, index: usize) {
        let turn = self.oracle.turns;
        let most = self.listeners.len() as u32;
        let others = self.listeners.iter_mut().enumerate().filter(|(other, _)| *other != index);
        for (_, other) in others {
            let waits = other.is_open && other.is_told && !other.backlog.is_empty();
            let (turns, last) = other.passed_over;
            if waits && last != turn {
                other.passed_over = (turns + 1, turn);
                assert!(turns < most, "another listener is served all the time: {other:?}");
            }
        }
    }

    /// The gateway is about to stop listening. Whoever waits believes to be connected.
    pub fn check_close_listener(&self, listener: usize) {
        let is_waiting =
            self.context.plan.late_port.is_some_and(|(.., comes_at)| self.context.now < comes_at);
        assert!(self.oracle.terminations > 0 || is_waiting, "a listener was given up");
        let listener = &self.listeners[listener];
        let is_full = self.oracle.clients.len() >= self.context.plan.limits.connections_max;
        let looks_empty =
            listener.backlog.is_empty() || listener.blocked_at == Some(self.context.turn_at);
        assert!(looks_empty || is_full || self.may_pause(), "clients are left: {listener:?}");
    }

    /// Whether a shortage is so recent that a pause is in order.
    fn may_pause(&self) -> bool {
        self.oracle.short_at.is_some_and(|at| self.context.turn_at < at + ACCEPT_PAUSE + TICK)
    }

    fn check_dial_is_done(&self, id: Id) {
        let client = &self.connections[id];
        assert!(!client.told.error, "{id}: lost while being dialed for, and kept");
        let server = client.client.server.map(|server| &self.connections[server]);
        let dialed = server.filter(|server| server.is_open());
        let has_none = self.context.plan.names.is_some() && !self.has_active_choice(id);
        let may_wait = dialed.is_some() || self.may_pause() || has_none;
        assert!(may_wait, "{id}: nobody tries again to get a descriptor");
        if let Some(server) = dialed {
            let is_told = server.told.writable || server.told.readable;
            let is_decided = server.stands || server.is_dead();
            assert!(!(is_told && is_decided), "{id}: told of a dial, and did not look: {server:?}");
        }
    }

    fn check_pair_is_done(&self, id: Id, client: &Connection, server: &Connection) {
        for (source, sink) in [(client, server), (server, client)] {
            if !sink.told.lost {
                check_flow_is_done(id, source, sink);
            }
        }
        for (one, other) in [(client, server), (server, client)] {
            // A read finds an error behind the bytes before it. Nobody reads here any more.
            let is_unheard = one.told.error && one.is_dead() && !one.told.lost;
            let is_read = !one.end_is_read() && !other.told.lost;
            assert!(!is_unheard || is_read, "{id}: told of a loss, and not asked for it: {one:?}");
        }
        let is_over = |source: &Connection, sink: &Connection| {
            source.end_is_read() && source.inbound.sent == sink.written
        };
        let [client_lost, server_lost] = [client, server].map(|it| it.told.lost);
        // An end that was inferred may be known before the bytes are written, and a loss after it.
        let is_sound = !client_lost && !server_lost;
        let is_complete = is_sound && is_over(client, server) && is_over(server, client);
        assert!(!is_complete, "{id}: complete, and kept");
        assert!(!(client_lost && server_lost), "{id}: lost on both sides, and kept");
        for (lost, left) in [(client, server), (server, client)] {
            // What is not told yet may be another byte.
            let is_told = lost.told.lost && lost.news_due.is_none();
            if is_told && !left.is_dead() && is_flushed(lost, left) {
                let since = lost.progress_at.max(left.progress_at).max(left.acknowledged_at);
                let until = since + FLUSH_CHECK_MAX + TICK;
                assert!(
                    self.context.turn_at < until,
                    "{id}: flushed since {since:?}, and not reset at {:?}\n{lost:#?}\n{left:#?}",
                    self.context.turn_at
                );
            }
        }
    }
}

/// A flow whose sink can take bytes has read what it was told of, and written what it read.
fn check_flow_is_done(id: Id, source: &Connection, sink: &Connection) {
    if !sink.told.writable {
        return;
    }
    let pending = source.inbound.taken - sink.written;
    assert_eq!(pending, 0, "{id}: bytes are held back from a sink that takes them");
    if source.end_is_read() {
        // That of a lost side is not passed on: a reset will follow.
        let is_passed_on = sink.outbound.end_sent || source.told.lost;
        assert!(is_passed_on, "{id}: an end is held back\n{source:#?}\n{sink:#?}");
        return;
    }
    let is_left = source.inbound.waiting() > 0 || !source.told.lost;
    let is_told = source.told.readable && is_left;
    assert!(!is_told, "{id}: told of bytes or an end, and did not read: {source:?}");
}
