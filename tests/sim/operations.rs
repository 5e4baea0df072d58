//! What each operation of the gateway does, and how an unkind but lawful kernel answers it.
//!
//! The order is always the same: the oracle is asked whether the gateway may do that, faults are
//! drawn, the world changes, and what the gateway now knows is noted.

use std::net::SocketAddr;

use etcd_gateway::net::{Accept, Close, Dial, NetError, Read, Readiness, Write};
use etcd_gateway::reactor::token::{Kind, Token};
use etcd_gateway::relay::step::Side;
use etcd_gateway::upstream::Check;

use crate::actor::Actor;
use crate::agenda::{Direction, Happening};
use crate::connection::{Connection, Id, Role};
use crate::exchange::STREAMS;
use crate::faults::Fault;
use crate::oracle::Seen;
use crate::world::{Place, World};

/// Looks at a dial without a word about it: after the last one, when a timer of an attempt before
/// it fires early, and when its own time is up. One is to spare.
const LOOKS_IN_VAIN_MAX: u32 = 4;

/// How the trace tells that bytes were sent, were not, and never will be.
const WRITE_NOTES: [&str; 3] = ["write", "write blocks", "write fails"];

impl World {
    /// An operation on a socket, which must be one that the gateway still holds.
    pub fn operate(&mut self, what: &'static str, id: Id) {
        self.oracle.operation_begins();
        assert!(self.connections[id].is_open(), "{what} on a socket that was given up: {id}");
    }

    pub fn draw_jitter(&mut self) -> u64 {
        self.oracle.randoms += 1;
        // A test without chance gets the longest delays.
        let is_drawn = self.context.has_actors || self.context.plan.names.is_some();
        if is_drawn { self.context.random.bits() } else { u64::MAX }
    }

    pub fn accept(&mut self, listener: usize, token: usize) -> Accept<Id> {
        self.oracle.operation_begins();
        self.check_accept(listener);
        if !self.context.has_descriptor() {
            return self.no_accept(listener, NetError::Descriptors);
        }
        if self.context.strike(Fault::AcceptShortage) {
            let error = self.context.random.one_of(&[
                NetError::Descriptors,
                NetError::Memory,
                NetError::Denied,
                NetError::Other(22),
            ]);
            return self.no_accept(listener, error);
        }
        let blocks = self.context.strike(Fault::AcceptBlocks);
        let aborts = self.context.strike(Fault::AcceptAborted);
        let now = self.context.turn_at;
        let waits = &mut self.listeners[listener];
        if waits.backlog.is_empty() || blocks {
            waits.blocked_at = Some(now);
            waits.is_told = false;
            self.touch_listener(listener);
            return Accept::WouldBlock;
        }
        let id = waits.backlog.pop_front().expect("it is not empty");
        self.context.progress += 1;
        if aborts {
            self.reset_arrives(id);
            return Accept::Failed(NetError::Aborted);
        }
        self.listeners[listener].accepted += 1;
        self.pass_over_others(listener);
        self.context.sockets_open += 1;
        self.context.note("accept", id, 0);
        let connection = &mut self.connections[id];
        connection.token = Some(token);
        // A socket that was just accepted takes bytes; no event needs to say so.
        connection.told.writable = true;
        connection.progress_at = now;
        self.oracle.accepted(id);
        self.note_choices(id);
        self.touch(id);
        Accept::Connection(id, SocketAddr::from(([192, 0, 2, 1], 1)))
    }

    fn no_accept(&mut self, listener: usize, error: NetError) -> Accept<Id> {
        self.check_unused_pipes_go();
        self.context.advance("no accept", listener, 0);
        self.oracle.fell_short(self.context.turn_at, true);
        Accept::Failed(error)
    }

    pub fn close_listener(&mut self, listener: usize) {
        self.check_close_listener(listener);
        let backlog = std::mem::take(&mut self.listeners[listener].backlog);
        self.listeners[listener].is_open = false;
        backlog.into_iter().for_each(|id| self.reset_arrives(id));
    }

    pub fn dial(&mut self, address: SocketAddr, token: usize) -> Result<Id, NetError> {
        self.oracle.operation_begins();
        let endpoint = self.endpoint_of(address);
        let client = self.client_of(token);
        let is_short = !self.context.has_descriptor() || self.context.strike(Fault::DialShortage);
        self.context.advance("dial", endpoint, client.map_or(u64::MAX, |client| client as u64));
        self.check_dial(endpoint, client, is_short);
        if is_short {
            let error = self.context.random.one_of(&[NetError::Descriptors, NetError::Memory]);
            self.dial_fell_short(endpoint, client);
            return Err(error);
        }
        if let Some(error) = self.dial_error(endpoint) {
            self.dial_failed(endpoint, client, self.context.turn_at, error);
            return Err(error);
        }
        let role = match client {
            Some(client) => Role::Server { endpoint, client },
            None => Role::Probe { endpoint },
        };
        let id = self.add(role, Actor::puppet());
        self.context.sockets_open += 1;
        let latency = self.connections[id].latency;
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        connection.token = Some(token);
        connection.dialed_at = now;
        match client {
            Some(client) => self.connections[client].client.server = Some(id),
            None => self.oracle.probe_begins(endpoint, id),
        }
        if self.context.strike(Fault::DialStandsAtOnce) && self.places[endpoint] == Place::Up {
            self.dial_stands(id);
        } else if !self.context.strike(Fault::DialSilent)
            && (self.context.has_actors || self.servers_answer())
        {
            self.context.plan_in(2 * latency, Happening::Decide(id));
        }
        Ok(id)
    }

    fn servers_answer(&self) -> bool {
        self.places.iter().all(|place| *place == Place::Up)
    }

    fn dial_error(&mut self, endpoint: usize) -> Option<NetError> {
        if self.places[endpoint] == Place::NoRoute {
            return Some(NetError::NetworkUnreachable);
        }
        let strikes = self.context.strike(Fault::DialFailsAtOnce);
        strikes.then(|| {
            self.context.random.one_of(&[
                NetError::Refused,
                NetError::Reset,
                NetError::TimedOut,
                NetError::HostUnreachable,
                NetError::NetworkUnreachable,
                NetError::AddressNotAvailable,
                NetError::AddressInUse,
                NetError::Denied,
                NetError::Other(22),
            ])
        })
    }

    /// Which client the token's dial is for; none if it is the monitor's.
    fn client_of(&self, token: usize) -> Option<Id> {
        let token = Token::unpack(token)?;
        if token.kind != Kind::Pair(Side::Server) {
            return None;
        }
        let of = |id: &&Id| match self.connections[**id].token.and_then(Token::unpack) {
            Some(own) => matches!(own.kind, Kind::Pair(_)) && own.slot == token.slot,
            None => false,
        };
        let client = self.oracle.clients.iter().find(of);
        Some(*client.expect("a dial for a client that is not there"))
    }

    pub fn dial_result(&mut self, id: Id, told: Readiness) -> Dial {
        self.operate("dial_result", id);
        let is_true = self.connections[id].said.has(self.oracle.turns, told);
        assert!(is_true || told == Readiness::default(), "{id}: no event said so: {told:?}");
        let meets_itself =
            self.context.plan.dials_far_up && self.context.strike(Fault::DialMeetsItself);
        let believes =
            told.writable && !told.error && !told.closed && self.context.random.chance(500);
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        assert!(!connection.is_known, "asked again how a dial went that stands");
        let has_bytes = connection.inbound.waiting() > 0;
        let stood = connection.stands;
        if let Some(death) = &mut connection.death
            // What the event said may be all that is asked, and it stood when that was said.
            && !(stood && believes)
        {
            let error = death.error.take().expect("the error of a dial is taken once");
            connection.tell_lost(now);
            if !stood || !has_bytes {
                self.dial_ended(id, Some(error));
                return Dial::Failed(error);
            }
            let is_proof = !self.must_shake_hands(id);
            self.dial_ended(id, (!is_proof).then_some(error));
            return Dial::Lost(error);
        }
        if !stood {
            connection.looks_in_vain += 1;
            let looks = connection.looks_in_vain;
            assert!(looks <= LOOKS_IN_VAIN_MAX, "{id}: looked at again and again, untold");
            // It has looked, so the next change is news.
            (connection.told.readable, connection.told.writable) = (false, false);
            return Dial::Pending;
        }
        if meets_itself && connection.death.is_none() {
            connection.meets_itself = true;
            self.dial_ended(id, Some(NetError::OwnAddress));
            return Dial::Connected;
        }
        connection.progress_at = now;
        if !self.must_shake_hands(id) {
            self.dial_ended(id, None);
        }
        Dial::Connected
    }

    /// Whether a connection of the monitor alone proves nothing.
    fn must_shake_hands(&self, id: Id) -> bool {
        let role = self.connections[id].role;
        let Role::Probe { endpoint } = role else { return false };
        self.context.plan.endpoints[endpoint].check == Check::Tls
    }

    /// The gateway's end of a connection; that of a dial which met its own socket is the address
    /// that was dialed.
    pub fn own_end(&mut self, id: Id) -> Option<SocketAddr> {
        self.operate("own_end", id);
        let connection = &self.connections[id];
        if connection.is_dead() {
            return None;
        }
        let endpoint = connection.role.endpoint().filter(|_| connection.meets_itself);
        let dialed = endpoint.map(|endpoint| self.context.plan.endpoints[endpoint].address);
        Some(dialed.unwrap_or_else(|| SocketAddr::from(([192, 0, 2, 1], 1))))
    }

    pub fn set_lasting_options(&mut self, id: Id) {
        self.operate("set_lasting_options", id);
        self.check_lasting_options(id);
        self.connections[id].has_lasting_options = true;
        self.context.advance("lasting", id, 0);
    }

    pub fn set_close(&mut self, id: Id, how: Close) {
        // A socket that only asked a name server, or whether an endpoint lives, ends in order: they
        // are not to log a broken connection.
        assert!(id < STREAMS, "{id}: another end for the stream of a question");
        self.operate("set_close", id);
        self.check_set_close(id, how);
        self.connections[id].ends_by = how;
        self.context.advance("set close", id, u64::from(how == Close::Reset));
    }

    pub fn read(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        self.operate("read", id);
        self.check_read(id);
        self.check_copies(id);
        let (blocks, is_part) =
            (self.context.strike(Fault::ReadBlocks), self.context.strike(Fault::ReadPart));
        let share = self.context.random.bits();
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        connection.reads += 1;
        let is_dead = connection.is_dead();
        let tells_end = connection.short_read_tells_end();
        let inbound = &mut connection.inbound;
        // Where an end is told and something is still there, no kernel blocks for no reason.
        let blocks = blocks && !(inbound.end_arrived && inbound.urgent_mark.is_some());
        if inbound.waiting() == 0 || (blocks && !is_dead) {
            return self.read_nothing(id, blocks, is_part);
        }
        let mut bytes = inbound.waiting().min(buffer.len() as u64);
        if is_part && !tells_end {
            bytes = 1 + share % bytes;
        }
        if let Some(mark) = inbound.urgent_mark
            && inbound.taken < mark
        {
            bytes = bytes.min(mark - inbound.taken);
        }
        inbound.fill(inbound.taken, &mut buffer[..bytes as usize]);
        inbound.take(bytes);
        connection.progress_at = now;
        self.context.advance("read", id, bytes);
        self.has_read(id, bytes);
        self.has_copied(id, bytes, buffer.len() as u64);
        if bytes < buffer.len() as u64 {
            self.has_read_short(id, tells_end);
        }
        self.touch(id);
        self.move_on(id, Direction::Inbound);
        Read::Data(bytes as usize)
    }

    /// A read gave less than there was room for, which may tell of an end behind it.
    fn has_read_short(&mut self, id: Id, tells_end: bool) {
        let Connection { inbound, told, .. } = &mut self.connections[id];
        assert!(!tells_end || inbound.waiting() == 0, "a world that lies about an end");
        // With an error told and taken, the gateway may look for another one all the same.
        if tells_end && !told.error {
            inbound.end_taken = inbound.end_arrived;
            self.oracle.saw(Seen::EndInferred);
        }
        if tells_end || (!told.closed && !told.urgent) {
            told.readable = false;
        }
    }

    /// There is nothing to read, or not now: an error, an end, or a later moment.
    fn read_nothing(&mut self, id: Id, blocks: bool, is_part: bool) -> Read {
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        let Connection { inbound, told, death, .. } = connection;
        if inbound.waiting() > 0 || !(death.is_some() || inbound.end_arrived) {
            (told.readable, told.urgent) = (false, false);
            self.context.note("read blocks", id, 0);
            self.has_copied_nothing(id);
            self.touch(id);
            return Read::WouldBlock;
        }
        if let Some(error) = death.as_mut().and_then(|death| death.error.take()) {
            connection.tell_lost(now);
            self.context.advance("read fails", id, 0);
            return Read::Failed(error);
        }
        // From a lost connection that has given its error, blocking means the end, too.
        if blocks && told.lost {
            return Read::WouldBlock;
        }
        // And the contract promises an end or an error, not which.
        if is_part && told.lost {
            return Read::Failed(NetError::Reset);
        }
        connection.progress_at = now;
        told.half_closed_at.get_or_insert(now);
        inbound.end_taken = inbound.end_arrived;
        self.context.advance("read end", id, 0);
        Read::Eof
    }

    pub fn write(&mut self, id: Id, buffer: &[u8]) -> Write {
        self.operate("write", id);
        self.check_write(id, buffer);
        let faults = [Fault::WriteBlocks, Fault::WritePart];
        let sent = self.send_some(id, buffer.len(), faults, WRITE_NOTES);
        if let Write::Data(bytes) = sent {
            if bytes < buffer.len() {
                self.connections[id].told.writable = false;
            }
            self.has_sent(id);
        }
        sent
    }

    /// So many bytes enter the send queue at most: fewer, or none now, as the faults have it.
    pub fn send_some(
        &mut self,
        id: Id,
        bytes_max: usize,
        [blocks, is_part]: [Fault; 2],
        [sends, would_block, fails]: [&'static str; 3],
    ) -> Write {
        let (blocks, is_part) = (self.context.strike(blocks), self.context.strike(is_part));
        let share = self.context.random.bits();
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        if let Some(death) = &mut connection.death {
            let error = death.error.take().unwrap_or(NetError::Reset);
            connection.tell_lost(now);
            self.context.advance(fails, id, 0);
            return Write::Failed(error);
        }
        let room = connection.outbound.room().min(bytes_max as u64);
        if room == 0 || blocks {
            connection.told.writable = false;
            self.context.note(would_block, id, 0);
            self.touch(id);
            return Write::WouldBlock;
        }
        let bytes = if is_part { 1 + share % room } else { room };
        connection.outbound.send(bytes);
        connection.written += bytes;
        connection.progress_at = now;
        self.context.advance(sends, id, bytes);
        Write::Data(bytes as usize)
    }

    /// What was sent is on its way, and there may be news for the gateway.
    pub fn has_sent(&mut self, id: Id) {
        self.touch(id);
        self.move_on(id, Direction::Outbound);
    }

    pub fn shutdown_write(&mut self, id: Id) -> Result<(), NetError> {
        self.operate("shutdown", id);
        self.check_shutdown(id);
        self.context.advance("shutdown", id, 0);
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        if connection.is_dead() {
            connection.tell_lost(now);
            return Err(NetError::Reset);
        }
        connection.outbound.end_sent = true;
        self.move_on(id, Direction::Outbound);
        Ok(())
    }

    pub fn take_error(&mut self, id: Id) -> Option<NetError> {
        self.operate("take_error", id);
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        let error = connection.death.as_mut()?.error.take()?;
        connection.tell_lost(now);
        self.context.advance("take error", id, 0);
        Some(error)
    }
}
