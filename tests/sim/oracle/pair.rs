//! Bytes, ends and resets: every byte written is the next byte read, an end follows the last byte
//! and only where the source ended, a loss is never shown as an end, and a pair is given up for a
//! reason or not at all.

use std::time::Duration;

use etcd_gateway::config::{FLOW_BUDGET_BYTES, FLOW_SHARE_BYTES_MIN};
use etcd_gateway::net::{Close, Read};

use super::{Books, Oracle, Seen};
use crate::connection::{Connection, Id, Role};
use crate::world::World;

impl Books {
    /// The gateway is about to read.
    pub fn check_read(&self, world: &World, id: Id) {
        let source = &world.network.connections[id];
        let sink = self
            .accounts
            .mate_of(world, id)
            .expect("a read before both connections are established");
        assert!(!source.end_is_read(), "{id}: a read behind the end");
        assert!(!sink.reported.lost, "{id}: a read for a sink that is lost");
        let pending = source.inbound.taken - sink.written;
        assert_eq!(pending, 0, "{id}: a read while bytes are held back");
    }

    /// The gateway is about to set the options of a connection that lasts.
    pub fn check_set_deferred_options(&mut self, world: &World, id: Id) {
        let server = &world.network.connections[id];
        let is_server = matches!(server.role, Role::Server { .. });
        assert!(
            is_server && self.account(id).is_known,
            "{id}: options for another than a server's socket"
        );
        assert!(!server.has_deferred_options, "{id}: options that are set already");
        let after = world.context.plan.limits.pair.deferred_options_after;
        let age = world.context.turn_at - self.account(id).known_at;
        assert!(age >= after, "{id}: options for one that may not last, after {age:?}");
        self.record.saw(Seen::DeferredOptionsSet);
    }

    /// The gateway is about to set how a connection ends when its socket is closed.
    pub fn check_set_close(&self, world: &World, id: Id, how: Close) {
        let connection = &world.network.connections[id];
        assert_ne!(connection.ends_by, how, "{id}: a call for what is so already");
        let is_probe = matches!(connection.role, Role::Probe { .. });
        assert!(!is_probe, "{id}: an endpoint is not to log a broken connection");
    }

    /// The gateway has read, with room for `room` bytes; `reveals_end`: a short read reveals the
    /// end behind it.
    pub fn has_read(
        &mut self,
        world: &World,
        id: Id,
        outcome: Read,
        room: usize,
        reveals_end: bool,
    ) {
        match outcome {
            Read::Data(bytes) => {
                self.count_read(world, id, bytes as u64);
                self.has_copied(world, id, bytes as u64, room as u64);
                let had_error = world.network.connections[id].reported.error;
                if bytes < room && reveals_end && !had_error {
                    self.saw(Seen::EndInferred);
                }
            }
            Read::WouldBlock => self.has_copied_nothing(id),
            Read::Eof | Read::Failed(_) => {}
        }
    }

    /// Bytes were taken from the connection, in whichever way.
    pub(super) fn count_read(&mut self, world: &World, id: Id, bytes: u64) {
        let read = &mut self.accounts.of_mut(id).read_in_turn;
        let total = read.add(world.context.turns, bytes);
        let most = (FLOW_BUDGET_BYTES + FLOW_SHARE_BYTES_MIN) as u64;
        assert!(total <= most, "{id}: {total} bytes in one turn, the others wait");
    }

    /// The gateway is about to write these bytes.
    pub fn check_write(&mut self, world: &World, id: Id, buffer: &[u8]) {
        let sink = &world.network.connections[id];
        let source = self
            .accounts
            .mate_of(world, id)
            .expect("a write before both connections are established");
        let from = sink.written;
        let read = source.inbound.taken - from;
        assert!(!sink.outbound.end_sent, "{id}: bytes behind the end");
        assert!(buffer.len() as u64 <= read, "{id}: {} bytes of {read}", buffer.len());
        assert!(
            source.inbound.matches(from, buffer),
            "{id}: other bytes than those read, at {from}"
        );
        self.record.saw(Seen::BytesDelivered);
    }

    /// The gateway is about to pass an end on.
    pub fn check_shutdown(&self, world: &World, id: Id) {
        let sink = &world.network.connections[id];
        let source = self
            .accounts
            .mate_of(world, id)
            .expect("an end before both connections are established");
        assert!(source.end_is_read(), "{id}: an end that the source did not send");
        assert!(!sink.outbound.end_sent, "{id}: an end that was passed on before");
        let missing = source.inbound.sent - sink.written;
        assert_eq!(missing, 0, "{id}: an end before the last byte");
    }

    fn reason_for_reset(
        &self,
        world: &World,
        id: Id,
        client: &Connection,
        server: &Connection,
        may_leave: bool,
    ) -> Seen {
        if self.is_drain_over(world) {
            return Seen::EndedByDrain;
        }
        if client.loss_is_reported() && server.loss_is_reported() {
            return Seen::BothLost;
        }
        if is_flushed(client, server) || is_flushed(server, client) {
            return Seen::ResetPassedOn;
        }
        let (limit, seen) = self.quiet_limit(world, client, server);
        let quiet = world.context.turn_at.saturating_sub(last_progress(client, server));
        if may_leave && limit.is_none_or(|limit| quiet < limit) {
            return Seen::LeftAsFailing;
        }
        let Some(limit) = limit else {
            panic!("{id}: reset for no reason\n{client:#?}\n{server:#?}");
        };
        assert!(
            quiet >= limit,
            "{id}: reset after {quiet:?} without progress, the limit is {limit:?}\n\
             {client:#?}\n{server:#?}"
        );
        seen
    }

    /// Whether there is a reason apart from the end of the drain.
    fn could_be_reset(&self, world: &World, client: &Connection, server: &Connection) -> bool {
        let (limit, _) = self.quiet_limit(world, client, server);
        let quiet = world.context.turn_at.saturating_sub(last_progress(client, server));
        let is_lost = client.loss_is_reported() || server.loss_is_reported();
        is_lost || limit.is_some_and(|limit| quiet >= limit)
    }

    /// How long the pair may be without progress.
    pub(super) fn quiet_limit(
        &self,
        world: &World,
        client: &Connection,
        server: &Connection,
    ) -> (Option<Duration>, Seen) {
        let limits = world.context.plan.limits.pair.inactivity;
        match half_closed_at(client, server) {
            Some(_) => (limits.half_closed, Seen::EndedHalfClosed),
            None => (limits.open, Seen::EndedOpen),
        }
    }

    /// Whether running pairs are no longer waited for.
    pub(super) fn is_drain_over(&self, world: &World) -> bool {
        let limit = world.context.plan.limits.drain_timeout;
        world.signals.terminations > 1
            || self.drain.is_some_and(|(since, _)| since + limit <= world.context.turn_at)
    }
}

impl Oracle {
    /// The gateway is about to give a socket up.
    pub fn check_close(&mut self, world: &World, id: Id) {
        let connection = &world.network.connections[id];
        let how = connection.ends_by;
        match connection.role {
            Role::Client => {
                self.check_client_close(world, id, how);
                self.books.accounts.clients.retain(|client| *client != id);
            }
            _ if !self.books.account(id).is_decided => self.check_dial_given_up(world, id),
            Role::Server { client, .. } if self.books.account(id).is_known => {
                let other = world.network.connections[client].closed;
                assert_eq!(other, Some(how), "{id}: the two ends of a pair are closed alike");
            }
            Role::Probe { .. } | Role::Server { .. } => {}
        }
        if !matches!(world.network.connections[id].role, Role::Server { .. }) {
            self.books.accounts.probes.retain(|probe| *probe != id);
            self.books.pauses.lift();
        }
    }

    fn check_client_close(&mut self, world: &World, id: Id, how: Close) {
        let is_late = how == Close::Reset && self.books.is_drain_over(world);
        self.books.record.cut_at_most += u64::from(is_late);
        let may_leave = self.checking().may_leave(world, id);
        let Some((client, server)) = self.books.accounts.pair_of(world, id) else {
            assert_eq!(how, Close::Reset, "{id}: an orderly end for a client never served");
            return self.check_unserved_close(world, id);
        };
        let seen = match how {
            Close::Orderly => {
                for (source, sink) in [(client, server), (server, client)] {
                    assert!(!source.loss_is_reported(), "{id}: a loss is shown as an end");
                    assert!(source.end_is_read(), "{id}: an end that the source did not send");
                    let missing = source.inbound.sent - sink.written;
                    assert_eq!(missing, 0, "{id}: an end before the last byte");
                }
                Seen::Completed
            }
            Close::Reset => {
                let seen = self.books.reason_for_reset(world, id, client, server, may_leave);
                let is_cut =
                    seen == Seen::EndedByDrain && !self.books.could_be_reset(world, client, server);
                self.books.record.cut += u64::from(is_cut);
                seen
            }
        };
        self.books.record.saw(seen);
        if may_leave {
            self.checking().note_possible_closing(world);
        }
        if seen == Seen::LeftAsFailing {
            self.checking().note_closing(world);
        }
    }
}

/// Whether everything that came from a lost side has reached the other one.
pub(super) fn is_flushed(lost: &Connection, left: &Connection) -> bool {
    let is_written = left.written == lost.inbound.arrived;
    lost.loss_is_reported() && is_written && left.unsent() == 0
}

fn half_closed_at(client: &Connection, server: &Connection) -> Option<Duration> {
    let ends = [client.reported.half_closed_at, server.reported.half_closed_at];
    ends.into_iter().flatten().min()
}

/// When something last moved, or an end became known, or a peer's kernel took something.
pub(super) fn last_progress(client: &Connection, server: &Connection) -> Duration {
    let moved = [client, server].map(|end| end.progress_at.max(end.acknowledged_at));
    let moved = moved[0].max(moved[1]);
    half_closed_at(client, server).map_or(moved, |at| moved.max(at))
}
