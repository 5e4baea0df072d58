//! Bytes, ends and resets: every byte written is the next byte read, an end follows the last byte
//! and only where the source ended, a loss is never shown as an end, and a pair is given up for a
//! reason or not at all.

use std::time::Duration;

use etcd_gateway::config::{FLOW_BUDGET_BYTES, FLOW_SHARE_BYTES_MIN};
use etcd_gateway::net::Close;

use super::Seen;
use crate::connection::{Connection, Id, Role};
use crate::world::World;

impl World {
    /// The gateway is about to read.
    pub fn check_read(&self, id: Id) {
        let source = &self.connections[id];
        let sink = self.mate_of(id).expect("a read before both connections stand");
        assert!(!source.end_is_read(), "{id}: a read behind the end");
        assert!(!sink.told.lost, "{id}: a read for nobody");
        let pending = source.inbound.taken - sink.written;
        assert_eq!(pending, 0, "{id}: a read while bytes are held back");
    }

    /// The gateway is about to set the options of a connection that lasts.
    pub fn check_lasting_options(&mut self, id: Id) {
        let server = &self.connections[id];
        let is_server = matches!(server.role, Role::Server { .. });
        assert!(is_server && server.is_known, "{id}: options for another than a server's socket");
        assert!(!server.has_lasting_options, "{id}: options that are set already");
        let after = self.context.plan.limits.pair.lasting_after;
        let age = self.context.turn_at - server.known_at;
        assert!(age >= after, "{id}: options for one that may not last, after {age:?}");
        self.oracle.saw(Seen::LastingOptionsSet);
    }

    /// The gateway is about to set how a connection ends when its socket is closed.
    pub fn check_set_close(&self, id: Id, how: Close) {
        let connection = &self.connections[id];
        assert_ne!(connection.ends_by, how, "{id}: a call for what is so already");
        let is_probe = matches!(connection.role, Role::Probe { .. });
        assert!(!is_probe, "{id}: an endpoint is not to log a broken connection");
    }

    /// So many bytes were read.
    pub fn has_read(&mut self, id: Id, bytes: u64) {
        let turn = self.oracle.turns;
        let connection = &mut self.connections[id];
        let total = connection.read_in_turn.add(turn, bytes);
        let most = (FLOW_BUDGET_BYTES + FLOW_SHARE_BYTES_MIN) as u64;
        assert!(total <= most, "{id}: {total} bytes in one turn, the others wait");
    }

    /// The gateway is about to write these bytes.
    pub fn check_write(&mut self, id: Id, buffer: &[u8]) {
        let sink = &self.connections[id];
        let source = self.mate_of(id).expect("a write before both connections stand");
        let from = sink.written;
        let read = source.inbound.taken - from;
        assert!(!sink.outbound.end_sent, "{id}: bytes behind the end");
        assert!(buffer.len() as u64 <= read, "{id}: {} bytes of {read}", buffer.len());
        assert!(
            source.inbound.matches(from, buffer),
            "{id}: other bytes than those read, at {from}"
        );
        self.oracle.saw(Seen::BytesDelivered);
    }

    /// The gateway is about to pass an end on.
    pub fn check_shutdown(&self, id: Id) {
        let sink = &self.connections[id];
        let source = self.mate_of(id).expect("an end before both connections stand");
        assert!(source.end_is_read(), "{id}: an end that the source did not send");
        assert!(!sink.outbound.end_sent, "{id}: an end that was passed on before");
        let missing = source.inbound.sent - sink.written;
        assert_eq!(missing, 0, "{id}: an end before the last byte");
    }

    /// The gateway is about to give a socket up.
    pub fn check_close(&mut self, id: Id) {
        let connection = &self.connections[id];
        let how = connection.ends_by;
        match connection.role {
            Role::Client => {
                self.check_client_close(id, how);
                self.oracle.clients.retain(|client| *client != id);
            }
            _ if !connection.is_decided => self.check_dial_given_up(id),
            Role::Server { client, .. } if connection.is_known => {
                let other = self.connections[client].closed;
                assert_eq!(other, Some(how), "{id}: the two ends of a pair are closed alike");
            }
            Role::Probe { .. } | Role::Server { .. } => {}
        }
        if !matches!(self.connections[id].role, Role::Server { .. }) {
            self.oracle.probe_sockets.retain(|probe| *probe != id);
            self.oracle.pause_is_lifted();
        }
    }

    fn check_client_close(&mut self, id: Id, how: Close) {
        let is_late = how == Close::Reset && self.is_drain_over();
        self.oracle.cut_at_most += u64::from(is_late);
        let Some((client, server)) = self.pair_of(id) else {
            assert_eq!(how, Close::Reset, "{id}: an orderly end for a client never served");
            return self.check_unserved_close(id);
        };
        let seen = match how {
            Close::Orderly => {
                for (source, sink) in [(client, server), (server, client)] {
                    assert!(!source.loss_is_told(), "{id}: a loss is shown as an end");
                    assert!(source.end_is_read(), "{id}: an end that the source did not send");
                    let missing = source.inbound.sent - sink.written;
                    assert_eq!(missing, 0, "{id}: an end before the last byte");
                }
                Seen::Completed
            }
            Close::Reset => {
                let seen = self.reason_for_reset(id, client, server);
                let is_cut = seen == Seen::EndedByDrain && !self.could_be_reset(client, server);
                self.oracle.cut += u64::from(is_cut);
                seen
            }
        };
        self.oracle.saw(seen);
    }

    fn reason_for_reset(&self, id: Id, client: &Connection, server: &Connection) -> Seen {
        if self.is_drain_over() {
            return Seen::EndedByDrain;
        }
        if client.loss_is_told() && server.loss_is_told() {
            return Seen::BothLost;
        }
        if is_flushed(client, server) || is_flushed(server, client) {
            return Seen::ResetPassedOn;
        }
        let (limit, seen) = self.quiet_limit(client, server);
        let Some(limit) = limit else {
            panic!("{id}: reset for no reason\n{client:#?}\n{server:#?}");
        };
        let quiet = self.context.turn_at.saturating_sub(last_progress(client, server));
        assert!(
            quiet >= limit,
            "{id}: reset after {quiet:?} without progress, the limit is {limit:?}\n\
             {client:#?}\n{server:#?}"
        );
        seen
    }

    /// Whether there is a reason beside the end of the drain.
    fn could_be_reset(&self, client: &Connection, server: &Connection) -> bool {
        let (limit, _) = self.quiet_limit(client, server);
        let quiet = self.context.turn_at.saturating_sub(last_progress(client, server));
        let is_lost = client.loss_is_told() || server.loss_is_told();
        is_lost || limit.is_some_and(|limit| quiet >= limit)
    }

    /// How long the pair may be without progress.
    pub(super) fn quiet_limit(
        &self,
        client: &Connection,
        server: &Connection,
    ) -> (Option<Duration>, Seen) {
        let limits = self.context.plan.limits.pair.quiet;
        match half_closed_at(client, server) {
            Some(_) => (limits.half_closed, Seen::EndedHalfClosed),
            None => (limits.open, Seen::EndedOpen),
        }
    }

    /// Whether running pairs need not be waited for any more.
    pub(super) fn is_drain_over(&self) -> bool {
        let limit = self.context.plan.limits.drain_timeout;
        self.oracle.terminations > 1
            || self.oracle.drain.is_some_and(|(since, _)| since + limit <= self.context.turn_at)
    }
}

/// Whether everything that came from a lost side has reached the other one.
pub(super) fn is_flushed(lost: &Connection, left: &Connection) -> bool {
    let is_written = left.written == lost.inbound.arrived;
    lost.loss_is_told() && is_written && left.unsent() == 0
}

fn half_closed_at(client: &Connection, server: &Connection) -> Option<Duration> {
    let ends = [client.told.half_closed_at, server.told.half_closed_at];
    ends.into_iter().flatten().min()
}

/// When something last moved, or an end became known, or a peer's kernel took something.
pub(super) fn last_progress(client: &Connection, server: &Connection) -> Duration {
    let of = |it: &Connection| it.progress_at.max(it.acknowledged_at);
    let moved = of(client).max(of(server));
    half_closed_at(client, server).map_or(moved, |at| moved.max(at))
}
