//! Peers that a test plays: what it makes happen is there at once, and nothing else happens.

use std::time::Duration;

use etcd_gateway::net::NetError;

use crate::agenda::Direction;
use crate::connection::Id;
use crate::members::State;
use crate::world::World;

impl World {
    /// `count` clients connect to the listener on `port`.
    pub fn connect(&mut self, port: u16, count: usize) {
        let listener = self.listener_of(port);
        (0..count).for_each(|_| self.arrive(listener));
    }

    /// The peer's bytes arrive.
    pub fn send(&mut self, id: Id, bytes: u64) {
        let inbound = &mut self.network.connections[id].inbound;
        inbound.send(bytes);
        inbound.deliver(bytes);
        self.network.touch(&mut self.context, id);
    }

    /// The peer's end arrives.
    pub fn end(&mut self, id: Id) {
        let inbound = &mut self.network.connections[id].inbound;
        inbound.end_sent = true;
        inbound.deliver(0);
        self.network.touch(&mut self.context, id);
    }

    /// The peer acknowledges nothing by itself from now on.
    pub fn hold(&mut self, id: Id) {
        self.network.connections[id].outbound.is_held = true;
    }

    /// The gateway's send queue towards the peer takes no more.
    pub fn block(&mut self, id: Id) {
        self.network.connections[id].outbound.close_queues();
    }

    /// The send queue towards the peer takes `bytes` more, and none of them arrives.
    pub fn leave_room(&mut self, id: Id, bytes: u64) {
        self.hold(id);
        self.network.connections[id].outbound.leave_room(bytes);
    }

    /// The peer takes all that there is, from now on.
    pub fn release(&mut self, id: Id) {
        let outbound = &mut self.network.connections[id].outbound;
        outbound.is_held = false;
        outbound.widen(u64::MAX);
        self.network.touch(&mut self.context, id);
        self.network.move_on(&mut self.context, id, Direction::Outbound);
    }

    /// The peer's bytes arrive, the last of them an urgent one. The next event does not say so.
    pub fn send_urgently(&mut self, id: Id, bytes: u64) {
        let connection = &mut self.network.connections[id];
        connection.reports_bytes_first = true;
        connection.inbound.urgent_mark = Some(connection.inbound.sent + bytes - 1);
        self.send(id, bytes);
    }

    /// The peer acknowledges one byte.
    pub fn acknowledge_one(&mut self, id: Id) {
        self.network.connections[id].outbound.deliver(1);
        self.network.connections[id].acknowledged_at = self.context.now;
    }

    /// The process is asked to read its configuration again.
    pub fn reload(&mut self) {
        self.signals.reload();
    }

    /// The process is asked to end.
    pub fn terminate(&mut self) {
        self.signals.terminate(&mut self.context);
    }

    /// A member comes into another state.
    pub fn put(&mut self, endpoint: usize, state: State) {
        self.members.put(&mut self.context, endpoint, state);
        self.thaw(endpoint);
    }

    /// The connection is lost at the gateway's end.
    pub fn die(&mut self, id: Id, error: NetError) {
        self.network.die(&mut self.context, id, error);
    }

    /// Time passes while the process is stopped.
    pub fn pass(&mut self, time: Duration) {
        self.context.now += time;
        self.context.note_jump();
    }

    /// Clients accepted on the listener on `port` so far.
    pub fn accepted(&self, port: u16) -> usize {
        self.listeners.all[self.listener_of(port)].accepted
    }

    /// When dials to the endpoint began.
    pub fn dials_to(&self, endpoint: usize) -> Vec<Duration> {
        let dialed =
            self.network.connections.iter().filter(|dial| dial.role.endpoint() == Some(endpoint));
        dialed.map(|dial| dial.dialed_at).collect()
    }

    /// Bytes that the gateway read from the peer.
    pub fn read_from(&self, id: Id) -> u64 {
        self.network.connections[id].inbound.taken
    }

    /// Bytes that the gateway wrote to the peer.
    pub fn written_to(&self, id: Id) -> u64 {
        self.network.connections[id].written
    }
}
