//! What happens on the far side of the gateway's sockets: clients come, dials are decided, bytes
//! travel, programs act, connections break, endpoints go down and come back.

use std::time::Duration;

use etcd_gateway::net::{Close, NetError};

use crate::actor::{Actor, Reads};
use crate::agenda::{Direction, Happening, Loss};
use crate::connection::{Death, Id, PeerView, Role};
use crate::faults::Fault;
use crate::wire::Wire;
use crate::world::{Place, World};

/// The shortest pause of a program, so that none can act for ever at one moment.
const MICROSECOND: Duration = Duration::from_micros(1);
/// Once nothing goes wrong any more, everybody is at most this far away.
const LATENCY_HEALED: Duration = Duration::from_micros(100);
/// Once nothing goes wrong any more, queues hold at least so many bytes.
const QUEUE_HEALED: u64 = 64 * 1024;

impl World {
    fn wire(&mut self, id: Id, direction: Direction) -> &mut Wire {
        let connection = &mut self.connections[id];
        match direction {
            Direction::Inbound => &mut connection.inbound,
            Direction::Outbound => &mut connection.outbound,
        }
    }

    /// A client comes, whatever it may be like.
    pub fn arrive(&mut self, listener: usize) {
        if !self.listeners[listener].is_open {
            return;
        }
        let actor = if self.context.has_actors {
            Actor::client(&mut self.context.random, &mut self.context.faults, &self.context.plan)
        } else {
            Actor::puppet()
        };
        self.arrive_as(listener, actor);
    }

    /// A client connects: its connection stands and waits in the backlog.
    pub fn arrive_as(&mut self, listener: usize, actor: Actor) {
        let id = self.add(Role::Client, actor);
        self.begin(id);
        self.context.note("arrives", id, listener as u64);
        self.listeners[listener].backlog.push_back(id);
        self.touch_listener(listener);
    }

    /// The connection stands at the peer's end.
    pub fn begin(&mut self, id: Id) {
        self.connections[id].stands = true;
        self.wake(id);
        // One that stalls fills the queues towards it, and then it matters how it goes.
        let is_stalled = self.connections[id].actor.reads == Reads::Never;
        let goes = is_stalled && self.context.random.chance(500);
        if goes || self.context.strike(Fault::PeerVanishes) {
            let at = self.context.random.up_to(self.context.plan.span);
            self.connections[id].actor.breaks_after = None;
            self.context.plan_in(at, Happening::Break(id));
        }
    }

    /// The peer's program will act soon.
    pub fn wake(&mut self, id: Id) {
        let actor = &mut self.connections[id].actor;
        if actor.is_scheduled || !self.context.has_actors {
            return;
        }
        actor.is_scheduled = true;
        let pause = actor.pause;
        let pause = self.context.random.up_to(pause) + MICROSECOND;
        self.context.plan_in(pause, Happening::Act(id));
    }

    /// The peer's program takes what it wants, sends what it wants, and maybe ends.
    pub fn act(&mut self, id: Id) {
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
        let is_urgent = sent > 0 && self.context.strike(Fault::UrgentByte);
        let ends_urgently = is_last && self.context.strike(Fault::UrgentEnd);
        let connection = &mut self.connections[id];
        connection.tells_bytes_first |= ends_urgently;
        if is_urgent || ends_urgently {
            connection.inbound.urgent_mark = Some(connection.inbound.sent - 1);
        }
        self.move_on(id, Direction::Inbound);
        self.move_on(id, Direction::Outbound);
        if breaks {
            self.peer_resets(id);
        } else if taken > 0 || sent > 0 {
            self.wake(id);
        }
    }

    /// Puts the next delivery on the agenda if there is anything to deliver.
    pub fn move_on(&mut self, id: Id, direction: Direction) {
        let latency = self.connections[id].latency;
        let wire = self.wire(id, direction);
        if wire.can_deliver() && !wire.is_moving {
            wire.is_moving = true;
            self.context.plan_in(latency, Happening::Deliver(id, direction));
        }
    }

    pub fn deliver(&mut self, id: Id, direction: Direction) {
        let is_small = self.context.strike(Fault::SegmentSmall);
        let share = self.context.random.bits();
        let wire = self.wire(id, direction);
        wire.is_moving = false;
        if !wire.can_deliver() {
            return;
        }
        let most = wire.deliverable();
        let bytes = if is_small && most > 0 { 1 + share % most } else { most };
        wire.deliver(bytes);
        self.context.note("arrived", id, bytes);
        match direction {
            Direction::Inbound => self.inbound_arrived(id),
            Direction::Outbound => {
                self.connections[id].acknowledged_at = self.context.now;
                self.touch(id);
                self.wake(id);
            }
        }
        self.move_on(id, direction);
    }

    fn inbound_arrived(&mut self, id: Id) {
        // Bytes for a socket that is gone are answered with a reset (RFC 9293, 3.5.2).
        if self.connections[id].closed.is_some() && self.connections[id].inbound.waiting() > 0 {
            self.reset_arrives(id);
            return;
        }
        self.touch(id);
        self.wake(id);
    }

    /// The dial's fate is settled, by what the endpoint is like at this moment.
    pub fn decide(&mut self, id: Id) {
        let connection = &self.connections[id];
        let endpoint = connection.role.endpoint().expect("a client is not dialed");
        if connection.closed.is_some() || connection.stands || connection.is_dead() {
            return;
        }
        if self.context.strike(Fault::DialFailsLater) {
            let loss = self.context.random.one_of(&[
                Loss::Reset,
                Loss::TimedOut,
                Loss::Unreachable,
                Loss::Other,
            ]);
            return self.die(id, loss.error());
        }
        match self.places[endpoint] {
            Place::Up => self.dial_stands(id),
            Place::Refuses => self.die(id, NetError::Refused),
            Place::Unreachable => self.die(id, NetError::HostUnreachable),
            Place::NoRoute => self.die(id, NetError::NetworkUnreachable),
            // As SYNs are repeated, whoever comes back may still answer.
            Place::Silent => {
                self.context.plan_in(Duration::from_millis(100), Happening::Decide(id))
            }
        }
    }

    pub fn dial_stands(&mut self, id: Id) {
        self.context.note("stands", id, 0);
        let is_probe = matches!(self.connections[id].role, Role::Probe { .. });
        if is_probe && self.context.plan.names.is_some() {
            // What it has to say is a part of the handshake.
        } else if self.context.has_healed {
            self.connections[id].actor = Actor::echo();
        } else if self.context.has_actors {
            self.connections[id].actor = Actor::server(
                &mut self.context.random,
                &mut self.context.faults,
                &self.context.plan,
            );
        }
        self.begin(id);
        if self.context.strike(Fault::DialBreaks) {
            let words = self.context.random.one_of(&[0, 0, 1, 3000]);
            let connection = &mut self.connections[id];
            connection.actor.sends = words;
            let words = words.min(connection.inbound.room());
            connection.inbound.send(words);
            self.peer_resets(id);
        }
        self.touch(id);
    }

    /// The peer gives the connection up with a reset. What it had sent may arrive up to some point.
    pub fn peer_resets(&mut self, id: Id) {
        let connection = &mut self.connections[id];
        if connection.peer_view == PeerView::Broke || connection.is_dead() {
            return;
        }
        connection.peer_view = PeerView::Broke;
        connection.outbound.is_held = true;
        let latency = connection.latency;
        self.context.note("resets", id, 0);
        self.context.plan_in(latency, Happening::Die(id, Loss::Reset));
    }

    /// The peer breaks the connection at a moment of its own.
    pub fn break_off(&mut self, id: Id) {
        let connection = &mut self.connections[id];
        if connection.is_dead() || connection.peer_view == PeerView::Broke {
            return;
        }
        if self.context.random.chance(300) {
            return self.peer_resets(id);
        }
        connection.peer_view = PeerView::Broke;
        connection.inbound.is_held = true;
        connection.outbound.is_held = true;
        self.context.note("vanishes", id, 0);
        // Until keepalive or the user timeout finds out, or nothing does.
        let after = self.context.random.one_of(&[10, 300, 3000, 40_000]);
        let loss = self.context.random.one_of(&[
            Loss::TimedOut,
            Loss::TimedOut,
            Loss::Unreachable,
            Loss::Other,
        ]);
        self.context.plan_in(Duration::from_millis(after), Happening::Die(id, loss));
    }

    /// The connection is lost at the gateway's end.
    pub fn die(&mut self, id: Id, error: NetError) {
        let share = self.context.random.bits();
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
            connection.acknowledged_at = self.context.now;
        }
        connection.inbound.cut();
        connection.outbound.cut();
        connection.death = Some(Death { error: Some(error), unsent });
        self.context.note("dies", id, unsent);
        self.touch(id);
    }

    /// A reset of the gateway or of its kernel arrives at the peer.
    pub fn reset_arrives(&mut self, id: Id) {
        let connection = &mut self.connections[id];
        connection.inbound.is_held = true;
        connection.outbound.is_held = true;
        if matches!(connection.peer_view, PeerView::Open | PeerView::Ended) {
            connection.peer_view = PeerView::Reset;
            self.context.note("is reset", id, 0);
        }
    }

    /// The gateway gives its socket up.
    pub fn close(&mut self, id: Id) {
        let how = self.connections[id].ends_by;
        self.context.advance("close", id, u64::from(how == Close::Reset));
        self.context.sockets_open -= 1;
        let connection = &mut self.connections[id];
        connection.closed = Some(how);
        if connection.is_dead() || !connection.stands {
            return;
        }
        // Bytes that nobody has read are thrown away, and the peer is told so (RFC 9293, 3.10.4).
        if how == Close::Reset || connection.inbound.waiting() > 0 {
            let latency = connection.latency;
            connection.outbound.cut();
            connection.inbound.is_held = true;
            self.context.plan_in(latency, Happening::Reset(id));
        } else {
            connection.outbound.end_sent = true;
            self.move_on(id, Direction::Outbound);
        }
    }

    /// Somebody else changes an endpoint, now and then.
    pub fn plan_flap(&mut self, endpoint: usize) {
        let at = self.context.random.up_to(Duration::from_secs(1));
        if self.context.now + at < self.context.plan.span {
            self.context.plan_in(at, Happening::Flap(endpoint));
        }
    }

    pub fn flap(&mut self, endpoint: usize) {
        self.plan_flap(endpoint);
        if !self.context.strike(Fault::EndpointFlaps) {
            return;
        }
        let next = match self.places[endpoint] {
            Place::Up => self.context.random.one_of(&[
                Place::Refuses,
                Place::Silent,
                Place::Unreachable,
                Place::NoRoute,
            ]),
            _ => Place::Up,
        };
        self.places[endpoint] = next;
        self.context.note("flap", endpoint, next as u64);
        if next == Place::Up {
            return;
        }
        let how = self.context.random.below(3);
        for id in 0..self.connections.len() {
            let is_there = matches!(self.connections[id].role,
                Role::Server { endpoint: at, .. } if at == endpoint);
            if is_there && self.connections[id].stands && self.connections[id].is_open() {
                match how {
                    0 => self.peer_resets(id),
                    1 => self.break_off(id),
                    _ => {}
                }
            }
        }
    }

    /// From now on nothing goes wrong any more, and everybody comes to an end.
    pub fn heal(&mut self) {
        self.context.note("heal", 0, 0);
        self.context.has_healed = true;
        self.context.faults.stop();
        self.places.fill(Place::Up);
        self.heal_names();
        self.context.plan.descriptors_max = usize::MAX;
        self.context.plan.latency_max = self.context.plan.latency_max.min(LATENCY_HEALED);
        self.context.plan.queue_max = self.context.plan.queue_max.max(QUEUE_HEALED);
        for id in 0..self.connections.len() {
            let connection = &mut self.connections[id];
            connection.actor.hurry(connection.inbound.sent);
            connection.latency = connection.latency.min(LATENCY_HEALED);
            connection.inbound.widen(QUEUE_HEALED);
            connection.outbound.widen(QUEUE_HEALED);
            if connection.peer_view == PeerView::Broke && !connection.is_dead() {
                self.die(id, NetError::TimedOut);
            }
            self.touch(id);
            self.wake(id);
            self.move_on(id, Direction::Inbound);
            self.move_on(id, Direction::Outbound);
        }
    }
}
