//! What the gateway does to a connection, and how an unkind but lawful kernel answers.
//!
//! The order is always the same: faults are drawn, the connection changes, and what the gateway now
//! knows is noted.

use etcd_gateway::address::Address;
use etcd_gateway::net::{Close, Dial, NetError, Read, Readiness, Write};

use super::Network;
use crate::agenda::{Direction, Happening};
use crate::connection::{Connection, Id, Role};
use crate::context::Context;
use crate::faults::Fault;

/// Looks at a dial without an event: after the last one, when a timer of an attempt before it fires
/// early, and when its own time is up. One is to spare.
const LOOKS_IN_VAIN_MAX: u32 = 4;

/// How the trace says that bytes were sent, were not, and never will be.
const WRITE_NOTES: [&str; 3] = ["write", "write blocks", "write fails"];

impl Network {
    pub fn dial_result(&mut self, context: &mut Context, id: Id, reported: Readiness) -> Dial {
        let meets_itself = context.plan.dials_far_up && context.strike(Fault::DialMeetsItself);
        let is_plain = reported.writable && !reported.error && !reported.closed;
        let believes = is_plain && context.random.chance(500);
        let now = context.turn_at;
        let connection = &mut self.connections[id];
        let has_bytes = connection.inbound.waiting() > 0;
        let was_established = connection.is_established;
        if let Some(death) = &mut connection.death
            // An event may be all the evidence, and it was established when that was reported.
            && !(was_established && believes)
        {
            let error = death.error.take().expect("the error of a dial is taken once");
            connection.show_lost(now);
            if !was_established || !has_bytes {
                return Dial::Failed(error);
            }
            self.show_connected(context, id);
            return Dial::Lost(error);
        }
        if !was_established {
            connection.looks_in_vain += 1;
            let looks = connection.looks_in_vain;
            assert!(
                looks <= LOOKS_IN_VAIN_MAX,
                "{id}: looked at again and again, without an event"
            );
            // It has looked, so the next change is news.
            (connection.reported.readable, connection.reported.writable) = (false, false);
            return Dial::Pending;
        }
        if meets_itself && connection.death.is_none() {
            connection.meets_itself = true;
            return Dial::Connected;
        }
        self.show_connected(context, id);
        Dial::Connected
    }

    /// The gateway has seen that a dialed connection is established.
    fn show_connected(&mut self, context: &Context, id: Id) {
        if self.handshake_on(id).is_some() {
            // It has a time of its own.
            self.connections[id].dialed_at = context.turn_at;
        }
        let connection = &mut self.connections[id];
        connection.progress_at = context.turn_at;
        if let Role::Server { client, .. } = connection.role {
            // An established connection takes bytes; no event needs to say so.
            connection.reported.writable = true;
            self.connections[client].progress_at = context.turn_at;
        }
    }

    /// The gateway's end of a connection; that of a dial which met its own socket is `dialed`.
    pub fn local_address(&self, id: Id, dialed: Option<Address>) -> Option<Address> {
        let connection = &self.connections[id];
        if connection.is_dead() {
            return None;
        }
        let dialed = dialed.filter(|_| connection.meets_itself);
        Some(dialed.unwrap_or_else(|| Address::from(([192, 0, 2, 1], 1))))
    }

    pub fn set_deferred_options(&mut self, context: &mut Context, id: Id) {
        self.connections[id].has_deferred_options = true;
        context.advance("lasting", id, 0);
    }

    pub fn set_close(&mut self, context: &mut Context, id: Id, how: Close) {
        self.connections[id].ends_by = how;
        context.advance("set close", id, u64::from(how == Close::Reset));
    }

    pub fn read(&mut self, context: &mut Context, id: Id, buffer: &mut [u8]) -> Read {
        let (blocks, is_part) =
            (context.strike(Fault::ReadBlocks), context.strike(Fault::ReadPart));
        let share = context.random.bits();
        let connection = &mut self.connections[id];
        connection.reads += 1;
        let is_dead = connection.is_dead();
        let reveals_end = connection.short_read_reveals_end();
        let inbound = &mut connection.inbound;
        // Where an end is reported and something is still there, no kernel blocks for no reason.
        let blocks = blocks && !(inbound.end_arrived && inbound.urgent_mark.is_some());
        if inbound.waiting() == 0 || (blocks && !is_dead) {
            return self.read_nothing(context, id, blocks, is_part);
        }
        let mut bytes = inbound.waiting().min(buffer.len() as u64);
        if is_part && !reveals_end {
            bytes = 1 + share % bytes;
        }
        if let Some(mark) = inbound.urgent_mark
            && inbound.taken < mark
        {
            bytes = bytes.min(mark - inbound.taken);
        }
        inbound.fill(inbound.taken, &mut buffer[..bytes as usize]);
        inbound.take(bytes);
        connection.progress_at = context.turn_at;
        context.advance("read", id, bytes);
        if bytes < buffer.len() as u64 {
            self.has_read_short(id, reveals_end);
        }
        self.touch(context, id);
        self.move_on(context, id, Direction::Inbound);
        Read::Data(bytes as usize)
    }

    /// A read gave less than there was room for, which may reveal an end behind it.
    fn has_read_short(&mut self, id: Id, reveals_end: bool) {
        let Connection { inbound, reported, .. } = &mut self.connections[id];
        assert!(!reveals_end || inbound.waiting() == 0, "a world that lies about an end");
        // With an error reported and taken, the gateway may look for another one all the same.
        if reveals_end && !reported.error {
            inbound.end_taken = inbound.end_arrived;
        }
        if reveals_end || (!reported.closed && !reported.urgent) {
            reported.readable = false;
        }
    }

    /// There is nothing to read, or not now: an error, an end, or a later moment.
    fn read_nothing(&mut self, context: &mut Context, id: Id, blocks: bool, is_part: bool) -> Read {
        let now = context.turn_at;
        let connection = &mut self.connections[id];
        let Connection { inbound, reported, death, .. } = connection;
        if inbound.waiting() > 0 || !(death.is_some() || inbound.end_arrived) {
            (reported.readable, reported.urgent) = (false, false);
            context.note("read blocks", id, 0);
            // A probe reads at every event: no kernel has one more for a read that found nothing.
            let is_probe = matches!(self.connections[id].role, Role::Probe { .. });
            if !is_probe || self.connections[id].unreported() != Readiness::default() {
                self.touch(context, id);
            }
            return Read::WouldBlock;
        }
        if let Some(error) = death.as_mut().and_then(|death| death.error.take()) {
            connection.show_lost(now);
            context.advance("read fails", id, 0);
            return Read::Failed(error);
        }
        // From a lost connection that has given its error, blocking means the end, too.
        if blocks && reported.lost {
            return Read::WouldBlock;
        }
        // And the contract promises an end or an error, not which.
        if is_part && reported.lost {
            return Read::Failed(NetError::Reset);
        }
        connection.progress_at = now;
        reported.half_closed_at.get_or_insert(now);
        inbound.end_taken = inbound.end_arrived;
        context.advance("read end", id, 0);
        Read::Eof
    }

    pub fn write(&mut self, context: &mut Context, id: Id, buffer: &[u8]) -> Write {
        let faults = [Fault::WriteBlocks, Fault::WritePart];
        let sent = self.send_some(context, id, buffer.len(), faults, WRITE_NOTES);
        if let Write::Data(bytes) = sent {
            if bytes < buffer.len() {
                self.connections[id].reported.writable = false;
            }
            self.has_sent(context, id);
        }
        sent
    }

    /// At most `bytes_max` bytes enter the send queue: fewer, or none now, as the faults have it.
    pub(super) fn send_some(
        &mut self,
        context: &mut Context,
        id: Id,
        bytes_max: usize,
        [blocks, is_part]: [Fault; 2],
        [sends, would_block, fails]: [&'static str; 3],
    ) -> Write {
        let (blocks, is_part) = (context.strike(blocks), context.strike(is_part));
        let share = context.random.bits();
        let now = context.turn_at;
        let connection = &mut self.connections[id];
        if let Some(death) = &mut connection.death {
            let error = death.error.take().unwrap_or(NetError::Reset);
            connection.show_lost(now);
            context.advance(fails, id, 0);
            return Write::Failed(error);
        }
        let room = connection.outbound.room().min(bytes_max as u64);
        if room == 0 || blocks {
            connection.reported.writable = false;
            context.note(would_block, id, 0);
            self.touch(context, id);
            return Write::WouldBlock;
        }
        let bytes = if is_part { 1 + share % room } else { room };
        connection.outbound.send(bytes);
        connection.written += bytes;
        connection.progress_at = now;
        context.advance(sends, id, bytes);
        Write::Data(bytes as usize)
    }

    /// What was sent is on its way, and there may be news for the gateway.
    pub(super) fn has_sent(&mut self, context: &mut Context, id: Id) {
        self.touch(context, id);
        self.move_on(context, id, Direction::Outbound);
    }

    pub fn shutdown_write(&mut self, context: &mut Context, id: Id) -> Result<(), NetError> {
        context.advance("shutdown", id, 0);
        let connection = &mut self.connections[id];
        if connection.is_dead() {
            connection.show_lost(context.turn_at);
            return Err(NetError::Reset);
        }
        connection.outbound.end_sent = true;
        self.move_on(context, id, Direction::Outbound);
        Ok(())
    }

    pub fn take_error(&mut self, context: &mut Context, id: Id) -> Option<NetError> {
        let connection = &mut self.connections[id];
        let error = connection.death.as_mut()?.error.take()?;
        connection.show_lost(context.turn_at);
        context.advance("take error", id, 0);
        Some(error)
    }

    /// The gateway gives its socket up.
    pub fn close(&mut self, context: &mut Context, id: Id) {
        let how = self.connections[id].ends_by;
        context.advance("close", id, u64::from(how == Close::Reset));
        context.sockets_open -= 1;
        let connection = &mut self.connections[id];
        connection.closed = Some(how);
        if connection.is_dead() || !connection.is_established {
            return;
        }
        // Bytes that were never read are thrown away, and the peer is told so (RFC 9293, 3.10.4).
        if how == Close::Reset || connection.inbound.waiting() > 0 {
            let latency = connection.latency;
            connection.outbound.cut();
            connection.inbound.is_held = true;
            context.plan_in(latency, Happening::Reset(id));
        } else {
            connection.outbound.end_sent = true;
            self.move_on(context, id, Direction::Outbound);
        }
    }
}
