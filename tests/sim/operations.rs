//! Each operation of the gateway: the oracle is asked whether it may be, the world carries it out,
//! the oracle notes the outcome.

use std::net::SocketAddr;

use etcd_gateway::address::Address;
use etcd_gateway::net::{
    Accept, Close, Dial, NetError, Read, Readiness, Receive, ResolverFile, Write,
};
use etcd_gateway::proto::tls::{HandshakeError, Status};
use etcd_gateway::upstream::Check;

use crate::connection::{Id, Role};
use crate::exchange::STREAMS;
use crate::followed::member_at;
use crate::following::is_line;
use crate::handshake::Handshake;
use crate::lines::LINES;
use crate::message::read_question;
use crate::names::server_of;
use crate::oracle::purpose::{self, Purpose};
use crate::pipes::PipeId;
use crate::resolver_files::SimFile;
use crate::simulation::Simulation;
use crate::visiting::is_visit;

impl Simulation {
    /// An operation on a connection, which must be one that the gateway still holds.
    fn operate(&mut self, what: &'static str, id: Id) {
        self.oracle.books.record.operation_begins();
        let is_open = self.world.network.connections[id].is_open();
        assert!(is_open, "{what} on a socket that was given up: {id}");
    }

    pub fn accept(&mut self, listener: usize, token: usize) -> Accept<Id> {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        oracle.check_accept(world, listener);
        let outcome = world.accept(listener, token);
        match outcome {
            Accept::Connection(id, _) => oracle.accepted(world, listener, id),
            Accept::Failed(NetError::Aborted) | Accept::WouldBlock => {}
            Accept::Failed(_) => oracle.accept_fell_short(world),
        }
        outcome
    }

    pub fn close_listener(&mut self, listener: usize) {
        self.oracle.check_close_listener(&self.world, listener);
        self.world.close_listener(listener);
    }

    /// A host is identified by its address; the purpose of a dial to an endpoint is not.
    pub fn dial(&mut self, address: &Address, token: usize) -> Result<Id, NetError> {
        if let Some(server) = address.inet().and_then(server_of) {
            return self.dial_name_server(server, token);
        }
        match member_at(address) {
            Some(member) => self.dial_member(member, token),
            None => self.dial_endpoint(address, token),
        }
    }

    fn dial_endpoint(&mut self, address: &Address, token: usize) -> Result<Id, NetError> {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let endpoint = world.endpoint_of(address);
        let (role, client) = match purpose::of(token, oracle.clients(), world) {
            Purpose::Check => return self.dial_for_check(endpoint, token),
            Purpose::Line => return self.dial_member(endpoint, token),
            Purpose::Client(client) => (Role::Server { endpoint, client }, Some(client)),
            Purpose::Probe => (Role::Probe { endpoint }, None),
        };
        let session = self.take_session(role);
        let Simulation { world, oracle } = self;
        let is_short = world.begin_dial(role);
        oracle.check_dial(world, role, is_short);
        if is_short {
            let error = world.draw_shortage();
            oracle.dial_fell_short(world, endpoint, client);
            return Err(error);
        }
        let outcome = world.dial(endpoint, role, token);
        match outcome {
            Ok(id) => {
                if let Some(session) = session {
                    world.network.handshakes[session].on = Some(id);
                }
                oracle.dial_begins(role, id);
            }
            Err(error) => {
                oracle.dial_failed(world, endpoint, client, world.context.turn_at, error);
            }
        }
        outcome
    }

    fn dial_name_server(&mut self, server: usize, token: usize) -> Result<Id, NetError> {
        self.oracle.check_exchange(&self.world, server, true);
        let outcome = self.world.exchanges.dial(&mut self.world.context, server, token);
        if let Err(NetError::Descriptors | NetError::Memory) = outcome {
            self.oracle.question_fell_short(&self.world);
        }
        outcome
    }

    pub fn dial_result(&mut self, id: Id, reported: Readiness) -> Dial {
        if id >= STREAMS {
            self.oracle.books.record.operation_begins();
            return self.world.exchanges.dial_result(&mut self.world.context, id);
        }
        if is_visit(id) {
            return self.visit_result(id);
        }
        if is_line(id) {
            return self.line_result(id);
        }
        self.operate("dial_result", id);
        self.oracle.check_dial_result(&self.world, id, reported);
        let outcome = self.world.network.dial_result(&mut self.world.context, id, reported);
        self.oracle.dial_was_looked_at(&self.world, id, outcome);
        outcome
    }

    pub fn local_address(&mut self, id: Id) -> Option<Address> {
        if is_visit(id) || is_line(id) {
            return Some(Address::from(([192, 0, 2, 1], 1)));
        }
        self.operate("local_address", id);
        self.world.local_address(id)
    }

    pub fn set_deferred_options(&mut self, id: Id) {
        self.operate("set_deferred_options", id);
        self.oracle.books.check_set_deferred_options(&self.world, id);
        self.world.network.set_deferred_options(&mut self.world.context, id);
    }

    pub fn set_close(&mut self, id: Id, how: Close) {
        // A socket that only asked a name server ends in order: that is not to log a broken
        // connection.
        assert!(id < LINES, "{id}: another end for the stream of a question or a check");
        self.operate("set_close", id);
        self.oracle.books.check_set_close(&self.world, id, how);
        self.world.network.set_close(&mut self.world.context, id, how);
    }

    pub fn read(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        if id >= STREAMS {
            return self.read_answer(id, buffer);
        }
        if is_visit(id) {
            return self.read_said(id, buffer);
        }
        if is_line(id) {
            return self.read_line(id, buffer);
        }
        self.operate("read", id);
        if self.is_probe(id) {
            return self.read_flight(id, buffer);
        }
        let Simulation { world, oracle } = self;
        oracle.books.check_read(world, id);
        oracle.pipes.check_copies(&mut oracle.books, world, id);
        let reveals_end = world.network.connections[id].short_read_reveals_end();
        let outcome = world.network.read(&mut world.context, id, buffer);
        oracle.books.has_read(world, id, outcome, buffer.len(), reveals_end);
        outcome
    }

    fn read_answer(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let (outcome, meaning) = world.exchanges.read(&mut world.context, id, buffer);
        if let Some(meaning) = meaning {
            oracle.has_received(world, id - STREAMS, &meaning);
        }
        outcome
    }

    pub fn write(&mut self, id: Id, buffer: &[u8]) -> Write {
        if id >= STREAMS {
            return self.write_question(id, buffer);
        }
        if is_visit(id) {
            return self.write_request(id, buffer);
        }
        if is_line(id) {
            return self.write_line(id, buffer);
        }
        self.operate("write", id);
        let is_probe = self.is_probe(id);
        match is_probe {
            true => self.oracle.check_handshake(&self.world, id),
            false => self.oracle.books.check_write(&self.world, id, buffer),
        }
        let outcome = self.world.network.write(&mut self.world.context, id, buffer);
        if let Write::Failed(error) = outcome {
            self.note_loss(id, error);
        }
        outcome
    }

    /// The gateway reads a part of a handshake.
    fn read_flight(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        self.oracle.check_handshake(&self.world, id);
        let outcome = self.world.network.read(&mut self.world.context, id, buffer);
        if let Read::Failed(error) = outcome {
            self.note_loss(id, error);
        }
        outcome
    }

    fn write_question(&mut self, id: Id, bytes: &[u8]) -> Write {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let (outcome, question) = world.exchanges.write(&mut world.context, id, bytes);
        if let Some(question) = question {
            oracle.check_question(world, id - STREAMS, &question);
            world.exchanges.send_by_stream(&mut world.context, id - STREAMS, question);
        }
        outcome
    }

    pub fn open_pipe(&mut self) -> Result<PipeId, NetError> {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        oracle.pipes.check_open(&oracle.books, world);
        let outcome = world.pipes.open(&mut world.context);
        if let Err(error) = outcome {
            oracle.pipes.open_failed(&mut oracle.books, world, error);
        }
        outcome
    }

    pub fn splice_in(&mut self, id: Id, pipe: PipeId, bytes_max: usize) -> Read {
        self.operate("splice_in", id);
        let Simulation { world, oracle } = self;
        oracle.pipes.check_splice_in(&mut oracle.books, world, id, pipe, bytes_max);
        let outcome = world.splice_in(id, pipe, bytes_max);
        oracle.pipes.has_spliced(&mut oracle.books, world, id, outcome, bytes_max);
        outcome
    }

    pub fn splice_out(&mut self, pipe: PipeId, id: Id, bytes_max: usize) -> Write {
        self.operate("splice_out", id);
        let Simulation { world, oracle } = self;
        oracle.pipes.check_splice_out(&mut oracle.books, world, pipe, id, bytes_max);
        let outcome = world.splice_out(pipe, id, bytes_max);
        oracle.pipes.has_spliced_out(world, pipe);
        outcome
    }

    pub fn close_pipe(&mut self, pipe: PipeId) {
        self.oracle.books.record.operation_begins();
        let Simulation { world, oracle } = self;
        oracle.pipes.check_close(&mut oracle.books, world, pipe);
        world.close_pipe(pipe);
    }

    pub fn shutdown_write(&mut self, id: Id) -> Result<(), NetError> {
        self.operate("shutdown", id);
        self.oracle.books.check_shutdown(&self.world, id);
        self.world.network.shutdown_write(&mut self.world.context, id)
    }

    pub fn take_error(&mut self, id: Id) -> Option<NetError> {
        self.operate("take_error", id);
        self.world.network.take_error(&mut self.world.context, id)
    }

    pub fn unsent(&mut self, id: Id) -> usize {
        self.operate("unsent", id);
        let unsent = self.world.network.connections[id].unsent();
        usize::try_from(unsent).unwrap_or(usize::MAX)
    }

    pub fn close(&mut self, id: Id) {
        if id >= STREAMS {
            return self.close_exchange(id - STREAMS);
        }
        if is_visit(id) {
            return self.close_visit(id);
        }
        if is_line(id) {
            return self.close_line(id);
        }
        self.operate("close", id);
        self.oracle.check_close(&self.world, id);
        self.world.network.close(&mut self.world.context, id);
    }

    pub fn open_datagram(&mut self, peer: SocketAddr, token: usize) -> Result<usize, NetError> {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let server = server_of(peer).unwrap_or_else(|| panic!("{peer} is not a name server"));
        oracle.check_exchange(world, server, false);
        let outcome = world.exchanges.open_datagram(&mut world.context, server, token);
        if outcome.is_err() {
            oracle.question_fell_short(world);
        }
        outcome
    }

    pub fn send_question(&mut self, exchange: usize, bytes: &[u8]) -> Result<(), NetError> {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let question = read_question(bytes);
        oracle.check_question(world, exchange, &question);
        world.exchanges.send_question(&mut world.context, exchange, question)
    }

    pub fn receive(&mut self, exchange: usize, buffer: &mut [u8]) -> Receive {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let (outcome, meaning) = world.exchanges.receive(&mut world.context, exchange, buffer);
        if let Some(meaning) = meaning {
            oracle.has_received(world, exchange, &meaning);
        }
        outcome
    }

    pub fn close_exchange(&mut self, exchange: usize) {
        self.oracle.books.record.operation_begins();
        // One more descriptor is free.
        self.oracle.books.descriptor_freed();
        self.world.exchanges.close(&mut self.world.context, exchange);
    }

    /// The gateway begins a session, for the next endpoint that it dials. `None` if that fails.
    pub fn begin_session(&mut self) -> Option<usize> {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        if let Some(endpoint) = world.network.session_fails {
            world.context.advance("no session", endpoint, 0);
            oracle.check_dial(world, Role::Probe { endpoint }, false);
            let now = world.context.turn_at;
            oracle.dial_failed(world, endpoint, None, now, NetError::NotSupported);
            return None;
        }
        let network = &mut self.world.network;
        network.handshakes.push(Handshake::draw(&mut self.world.context));
        let index = network.handshakes.len() - 1;
        assert_eq!(network.session_begun.replace(index), None, "a session without a dial");
        Some(index)
    }

    /// The session that was begun for this dial, which is a probe's that must prove something.
    fn take_session(&mut self, role: Role) -> Option<usize> {
        let session = self.world.network.session_begun.take();
        let must = match role {
            Role::Probe { endpoint } => {
                self.world.context.plan.endpoints[endpoint].check == Check::Tls
            }
            Role::Client | Role::Server { .. } => false,
        };
        assert_eq!(session.is_some(), must, "a session for a dial that is to prove something");
        session
    }

    /// The session takes bytes of the server; its outcome, once that is clear.
    pub fn session_takes(&mut self, index: usize, bytes: u64) -> Option<Status> {
        let Simulation { world, oracle } = self;
        let id = world.network.handshakes[index].on.expect("bytes come over a connection");
        oracle.check_handshake(world, id);
        world.context.advance("flight", id, bytes);
        let status = world.network.handshakes[index].take(bytes)?;
        self.session_decided(id, status);
        Some(status)
    }

    /// The connection of the session gives nothing more. Its outcome, if the session knows one.
    pub fn session_ends(&mut self, index: usize, is_orderly: bool) -> Option<Status> {
        let Handshake { on, lost, .. } = self.world.network.handshakes[index];
        let id = on.expect("a connection ends");
        self.oracle.check_handshake(&self.world, id);
        if is_orderly {
            let status = Status::Failed(HandshakeError::NoTls);
            self.session_decided(id, status);
            return Some(status);
        }
        self.world.context.advance("handshake lost", id, 0);
        let error = lost.expect("a connection is lost by an error");
        self.oracle.handshake_ended(&self.world, id, Some(error));
        None
    }

    fn session_decided(&mut self, id: Id, status: Status) {
        let is_failure = status != Status::Established;
        self.world.context.advance("handshake ends", id, u64::from(is_failure));
        // Whatever is wrong with the server, it is evidence.
        let error = is_failure.then_some(NetError::Refused);
        self.oracle.handshake_ended(&self.world, id, error);
    }

    fn is_probe(&self, id: Id) -> bool {
        matches!(self.world.network.connections[id].role, Role::Probe { .. })
    }

    fn note_loss(&mut self, id: Id, error: NetError) {
        let network = &mut self.world.network;
        if let Some(index) = network.handshake_on(id) {
            network.handshakes[index].lost = Some(error);
        }
    }

    pub fn open_file(&mut self, file: ResolverFile) -> SimFile {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        if file == ResolverFile::Configuration && world.context.plan.names.is_some() {
            oracle.configuration_is_read(world.files.configuration);
        }
        world.files.open(&world.context, file)
    }

    /// The next bytes of a file of the host.
    pub fn read_file(&mut self, file: &mut SimFile, buffer: &mut [u8]) -> usize {
        let Simulation { world, oracle } = self;
        oracle.books.record.operation_begins();
        let is_anew = file.version != world.files.hosts_version;
        let bytes = world.files.read(&mut world.context, file, buffer);
        if file.file == ResolverFile::Hosts {
            oracle.hosts_are_read(world, bytes, is_anew);
        }
        bytes
    }
}
