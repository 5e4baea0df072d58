//! What the other side and the network do to a connection: dials are decided, bytes travel,
//! programs act, connections break.

use std::time::Duration;

use etcd_gateway::net::NetError;

use super::Network;
use crate::actor::{Actor, Reads};
use crate::agenda::{Direction, Happening, Loss};
use crate::connection::{Death, Id, PeerView, Role};
use crate::context::Context;
use crate::faults::Fault;
use crate::hosts::{Outage, Place};
use crate::wire::Wire;

/// The shortest pause of a program, so that none can act without end at one moment.
const MICROSECOND: Duration = Duration::from_micros(1);
impl Network {
    fn wire(&mut self, id: Id, direction: Direction) -> &mut Wire {
        let connection = &mut self.connections[id];
        match direction {
            Direction::Inbound => &mut connection.inbound,
            Direction::Outbound => &mut connection.outbound,
        }
    }

    /// The connection is established at the peer's end.
    pub fn begin(&mut self, context: &mut Context, id: Id) {
        self.connections[id].is_established = true;
        self.wake(context, id);
        // One that stalls fills the queues towards it, and then it matters how it goes.
        let is_stalled = self.connections[id].actor.reads == Reads::Never;
        let goes = is_stalled && context.random.chance(500);
        if goes || context.strike(Fault::PeerVanishes) {
            let at = context.random.up_to(context.plan.span);
            self.connections[id].actor.breaks_after = None;
            context.plan_in(at, Happening::Break(id));
        }
    }

    /// The peer's program will act soon.
    pub fn wake(&mut self, context: &mut Context, id: Id) {
        let actor = &mut self.connections[id].actor;
        if actor.is_scheduled || !context.has_actors {
            return;
        }
        actor.is_scheduled = true;
        let pause = actor.pause;
        let pause = context.random.up_to(pause) + MICROSECOND;
        context.plan_in(pause, Happening::Act(id));
    }

    /// The peer's program is stopped, and acts when it goes on.
    pub fn put_off(&mut self, id: Id) {
        self.connections[id].actor.is_scheduled = false;
    }

    /// The programs behind an endpoint go on.
    pub fn thaw(&mut self, context: &mut Context, endpoint: usize) {
        for id in 0..self.connections.len() {
            let is_there = self.connections[id].role.endpoint() == Some(endpoint);
            if is_there && self.connections[id].is_established {
                self.wake(context, id);
            }
        }
    }

    /// The peer's program takes what it wants, sends what it wants, and maybe ends.
    pub fn act(&mut self, context: &mut Context, id: Id) {
        let connection = &mut self.connections[id];
        connection.actor.is_scheduled = false;
        match connection.peer_view {
            PeerView::Reset | PeerView::Broke => return,
            PeerView::Ended if connection.inbound.end_sent => return,
            PeerView::Open | PeerView::Ended => {}
        }
        let actor = connection.actor;
        let taken = actor.takes(connection.outbound.waiting());
        connection.outbound.take(taken);
        if connection.outbound.is_at_end() && actor.reads != Reads::Never {
            connection.outbound.end_taken = true;
            connection.peer_view = PeerView::Ended;
        }
        let received = connection.outbound.taken;
        let has_end = connection.outbound.end_taken;
        let mut sent = 0;
        if !connection.inbound.end_sent {
            let wanted = actor.wants_to_send(connection.inbound.sent, received, has_end);
            sent = wanted.min(actor.chunk).min(connection.inbound.room());
            connection.inbound.send(sent);
            if actor.wants_to_end(connection.inbound.sent, received, has_end) {
                connection.inbound.end_sent = true;
            }
        }
        let total = connection.inbound.sent + received;
        let breaks = actor.breaks_after.is_some_and(|bytes| bytes <= total);
        let is_last = sent > 0 && (connection.inbound.end_sent || breaks);
        let is_urgent = sent > 0 && context.strike(Fault::UrgentByte);
        let ends_urgently = is_last && context.strike(Fault::UrgentEnd);
        let connection = &mut self.connections[id];
        connection.reports_bytes_first |= ends_urgently;
        if is_urgent || ends_urgently {
            connection.inbound.urgent_mark = Some(connection.inbound.sent - 1);
        }
        self.move_on(context, id, Direction::Inbound);
        self.move_on(context, id, Direction::Outbound);
        if breaks {
            self.peer_resets(context, id);
        } else if taken > 0 || sent > 0 {
            self.wake(context, id);
        }
    }

    /// Puts the next delivery on the agenda if there is anything to deliver.
    pub fn move_on(&mut self, context: &mut Context, id: Id, direction: Direction) {
        let latency = self.connections[id].latency;
        let wire = self.wire(id, direction);
        if wire.can_deliver() && !wire.is_moving {
            wire.is_moving = true;
            context.plan_in(latency, Happening::Deliver(id, direction));
        }
    }

    pub fn deliver(&mut self, context: &mut Context, id: Id, direction: Direction) {
        let is_small = context.strike(Fault::SegmentSmall);
        let share = context.random.bits();
        let wire = self.wire(id, direction);
        wire.is_moving = false;
        if !wire.can_deliver() {
            return;
        }
        let most = wire.deliverable();
        let bytes = if is_small && most > 0 { 1 + share % most } else { most };
        wire.deliver(bytes);
        context.note("arrived", id, bytes);
        match direction {
            Direction::Inbound => self.inbound_arrived(context, id),
            Direction::Outbound => {
                self.connections[id].acknowledged_at = context.now;
                self.touch(context, id);
                self.hear_handshake(context, id);
                self.wake(context, id);
            }
        }
        self.move_on(context, id, direction);
    }

    fn inbound_arrived(&mut self, context: &mut Context, id: Id) {
        // Bytes for a socket that is gone are answered with a reset (RFC 9293, 3.5.2).
        if self.connections[id].closed.is_some() && self.connections[id].inbound.waiting() > 0 {
            self.reset_arrives(context, id);
            return;
        }
        self.touch(context, id);
        self.wake(context, id);
    }

    /// The dial is decided, by the state of its endpoint at this moment.
    pub fn decide(&mut self, context: &mut Context, id: Id, place: Place) {
        let connection = &self.connections[id];
        if connection.closed.is_some() || connection.is_established || connection.is_dead() {
            return;
        }
        if context.strike(Fault::DialFailsLater) {
            let loss = context.random.one_of(&[
                Loss::Reset,
                Loss::TimedOut,
                Loss::Unreachable,
                Loss::Other,
            ]);
            return self.die(context, id, loss.error());
        }
        match place {
            Place::Up => self.dial_succeeds(context, id),
            Place::Refuses => self.die(context, id, NetError::Refused),
            Place::Unreachable => self.die(context, id, NetError::HostUnreachable),
            Place::NoRoute => self.die(context, id, NetError::NetworkUnreachable),
            // As SYNs are repeated, a host that comes back may still answer.
            Place::Silent => context.plan_in(Duration::from_millis(100), Happening::Decide(id)),
        }
    }

    pub fn dial_succeeds(&mut self, context: &mut Context, id: Id) {
        context.note("stands", id, 0);
        let is_probe = matches!(self.connections[id].role, Role::Probe { .. });
        if is_probe && context.plan.names.is_some() {
            // What it has to say is a part of the handshake.
        } else if context.has_healed {
            self.connections[id].actor = Actor::echo();
        } else if context.has_actors {
            self.connections[id].actor =
                Actor::server(&mut context.random, &mut context.faults, &context.plan);
        }
        self.begin(context, id);
        if context.strike(Fault::DialBreaks) {
            let words = context.random.one_of(&[0, 0, 1, 3000]);
            let connection = &mut self.connections[id];
            connection.actor.sends = words;
            let words = words.min(connection.inbound.room());
            connection.inbound.send(words);
            self.peer_resets(context, id);
        }
        self.touch(context, id);
    }

    /// The peer gives the connection up with a reset. What it had sent may arrive up to some point.
    pub fn peer_resets(&mut self, context: &mut Context, id: Id) {
        let connection = &mut self.connections[id];
        if connection.peer_view == PeerView::Broke || connection.is_dead() {
            return;
        }
        connection.peer_view = PeerView::Broke;
        connection.outbound.is_held = true;
        let latency = connection.latency;
        context.note("resets", id, 0);
        context.plan_in(latency, Happening::Die(id, Loss::Reset));
    }

    /// The peer breaks the connection at a moment of its own.
    pub fn break_off(&mut self, context: &mut Context, id: Id) {
        let connection = &mut self.connections[id];
        if connection.is_dead() || connection.peer_view == PeerView::Broke {
            return;
        }
        if context.random.chance(300) {
            return self.peer_resets(context, id);
        }
        connection.peer_view = PeerView::Broke;
        connection.inbound.is_held = true;
        connection.outbound.is_held = true;
        context.note("vanishes", id, 0);
        // Until keepalive or the user timeout finds out, or nothing does.
        let after = context.random.one_of(&[10, 300, 3000, 40_000]);
        let loss = context.random.one_of(&[
            Loss::TimedOut,
            Loss::TimedOut,
            Loss::Unreachable,
            Loss::Other,
        ]);
        context.plan_in(Duration::from_millis(after), Happening::Die(id, loss));
    }

    /// The connection is lost at the gateway's end.
    pub fn die(&mut self, context: &mut Context, id: Id, error: NetError) {
        let share = context.random.bits();
        let connection = &mut self.connections[id];
        if connection.is_dead() || connection.closed.is_some() {
            return;
        }
        // What came before a reset comes with it.
        if !connection.inbound.is_held {
            let bytes = share % (connection.inbound.deliverable() + 1);
            connection.inbound.arrived += bytes;
        }
        let unsent = if share & 1 == 0 { connection.outbound.unacknowledged() } else { 0 };
        // From a send queue that is gone one cannot tell that nothing was taken from it.
        if unsent < connection.outbound.unacknowledged() {
            connection.acknowledged_at = context.now;
        }
        connection.inbound.cut();
        connection.outbound.cut();
        connection.death = Some(Death { error: Some(error), unsent });
        context.note("dies", id, unsent);
        self.touch(context, id);
    }

    /// A reset of the gateway or of its kernel arrives at the peer.
    pub fn reset_arrives(&mut self, context: &mut Context, id: Id) {
        let connection = &mut self.connections[id];
        connection.inbound.is_held = true;
        connection.outbound.is_held = true;
        if matches!(connection.peer_view, PeerView::Open | PeerView::Ended) {
            connection.peer_view = PeerView::Reset;
            context.note("is reset", id, 0);
        }
    }

    /// The endpoint goes down, and with it what clients have there.
    pub fn lose_endpoint(&mut self, context: &mut Context, endpoint: usize, outage: Outage) {
        if outage == Outage::LeavesThem {
            return;
        }
        for id in 0..self.connections.len() {
            let connection = &self.connections[id];
            let is_there = matches!(connection.role,
                Role::Server { endpoint: at, .. } if at == endpoint);
            if is_there && connection.is_established && connection.is_open() {
                match outage {
                    Outage::Resets => self.peer_resets(context, id),
                    Outage::BreaksOff => self.break_off(context, id),
                    Outage::LeavesThem => {}
                }
            }
        }
    }
}
