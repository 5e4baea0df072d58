//! The connections of the gateway with clients and endpoints, the attempts at one included, and
//! what is still to be reported of them. Which host a dial leads to is an argument here: this part
//! knows no listener, no endpoint and no pipe, and nothing of what the gateway ought to do.
//!
//! - `operations.rs`: what the gateway does to a connection
//! - `splice.rs`: the same by splice(2)
//! - `peers.rs`: what the other side and the network do to it
//! - `readiness.rs`: what events report of it

mod operations;
mod peers;
mod readiness;
mod splice;

use std::time::Duration;

use etcd_gateway::net::NetError;

use crate::actor::Actor;
use crate::agenda::Direction;
use crate::connection::{Connection, Id, PeerView, Role};
use crate::context::Context;
use crate::handshake::Handshake;
use crate::wire::Wire;

/// Once faults are over, every peer is at most this far away.
pub const LATENCY_HEALED: Duration = Duration::from_micros(100);
/// Once faults are over, queues hold at least this many bytes.
pub const QUEUE_HEALED: u64 = 64 * 1024;

#[derive(Debug, Default)]
pub struct Network {
    pub connections: Vec<Connection>,
    /// Connections with a change to report.
    changed: Vec<Id>,
    pub handshakes: Vec<Handshake>,
    /// The endpoint for which no session can begin, where it is the only one.
    pub session_fails: Option<usize>,
    /// A session was begun, and its connection is to be dialed next.
    pub session_begun: Option<usize>,
}

impl Network {
    /// A flow of a kind of its own for each connection and direction.
    pub fn add(&mut self, context: &mut Context, role: Role, actor: Actor) -> Id {
        let id = self.connections.len();
        let stream = 2 * id as u64;
        let most = context.plan.queue_max;
        let mut queue = || (most / 16).max(context.random.one_to(most));
        let inbound = Wire::new(stream, queue(), queue());
        let outbound = Wire::new(stream + 1, queue(), queue());
        let mut connection = Connection::new(role, actor, inbound, outbound);
        connection.latency = context.random.up_to(context.plan.latency_max);
        connection.segment = context.random.one_of(context.plan.segments);
        self.connections.push(connection);
        id
    }

    /// A client connects: its connection is established, and waits to be accepted.
    pub fn arrive(&mut self, context: &mut Context, listener: usize, actor: Actor) -> Id {
        let id = self.add(context, Role::Client, actor);
        self.begin(context, id);
        context.note("arrives", id, listener as u64);
        id
    }

    /// The gateway takes the connection from a backlog.
    pub fn accept(&mut self, context: &mut Context, id: Id, token: usize) {
        context.sockets_open += 1;
        context.note("accept", id, 0);
        let connection = &mut self.connections[id];
        connection.token = Some(token);
        // A socket that was just accepted takes bytes; no event needs to say so.
        connection.reported.writable = true;
        connection.progress_at = context.turn_at;
        self.touch(context, id);
    }

    /// The gateway begins a connection; how it ends is up to the host.
    pub fn dial(&mut self, context: &mut Context, role: Role, token: usize) -> Id {
        let id = self.add(context, role, Actor::puppet());
        context.sockets_open += 1;
        let connection = &mut self.connections[id];
        connection.token = Some(token);
        connection.dialed_at = context.turn_at;
        if let Role::Server { client, .. } = role {
            self.connections[client].server = Some(id);
        }
        id
    }

    /// From now on no fault strikes, and every connection comes to an end.
    pub fn heal(&mut self, context: &mut Context) {
        for id in 0..self.connections.len() {
            let connection = &mut self.connections[id];
            connection.actor.expedite(connection.inbound.sent);
            connection.latency = connection.latency.min(LATENCY_HEALED);
            connection.inbound.widen(QUEUE_HEALED);
            connection.outbound.widen(QUEUE_HEALED);
            if connection.peer_view == PeerView::Broke && !connection.is_dead() {
                self.die(context, id, NetError::TimedOut);
            }
            self.touch(context, id);
            self.wake(context, id);
            self.move_on(context, id, Direction::Inbound);
            self.move_on(context, id, Direction::Outbound);
        }
    }
}
