//! TLS sessions of the monitor, as bytes that mean nothing: each side sends one byte in turn, and
//! after the server's last one it is clear who is there.

use std::time::Duration;

use etcd_gateway::net::NetError;
use etcd_gateway::proto::tls::{
    AuthorityProblem, Connector, HandshakeError, Session, Status, UnusableAuthority,
};

use crate::agenda::{Direction, Happening};
use crate::connection::{Id, Role};
use crate::context::Context;
use crate::faults::Fault;
use crate::net::SimNet;
use crate::network::Network;

const UNTRUSTED: [HandshakeError; 12] = [
    HandshakeError::Expired,
    HandshakeError::NotYetValid,
    HandshakeError::WrongName,
    HandshakeError::UnknownAuthority,
    HandshakeError::BadCertificate,
    HandshakeError::UnsupportedAlgorithm,
    HandshakeError::Before1970,
    HandshakeError::Authority(UnusableAuthority {
        problem: AuthorityProblem::Expired,
        subject: "CN=root",
    }),
    HandshakeError::NoTls,
    HandshakeError::NoCommonVersion,
    HandshakeError::NoCommonCipherSuite,
    HandshakeError::Refused,
];

/// A handshake, and the connection that it is carried out on.
#[derive(Clone, Copy, Debug)]
pub struct Handshake {
    pub on: Option<Id>,
    /// Bytes of the server that are still to come.
    flights: u64,
    /// The server does not send the last one.
    stalls: bool,
    verdict: Option<HandshakeError>,
    /// The server has heard the first byte of the gateway.
    has_begun: bool,
    /// What the gateway last saw the connection lost by.
    pub lost: Option<NetError>,
}

impl Handshake {
    /// A handshake that is not bound to a connection yet.
    pub fn draw(context: &mut Context) -> Handshake {
        let flights = context.random.one_to(3);
        let stalls = context.strike(Fault::HandshakeStalls);
        let fails = context.strike(Fault::HandshakeFails);
        let verdict = fails.then(|| context.random.one_of(&UNTRUSTED));
        Handshake { on: None, flights, stalls, verdict, has_begun: false, lost: None }
    }

    /// `bytes` of the server have come. Its verdict, once that is clear.
    pub fn take(&mut self, bytes: u64) -> Option<Status> {
        self.flights = self.flights.saturating_sub(bytes);
        let is_decided = self.flights == 0 && !self.stalls;
        is_decided.then(|| self.verdict.map_or(Status::Established, Status::Failed))
    }
}

impl Network {
    /// The handshake that is carried out on the connection.
    pub fn handshake_on(&self, id: Id) -> Option<usize> {
        let Role::Probe { .. } = self.connections[id].role else { return None };
        self.handshakes.iter().rposition(|handshake| handshake.on == Some(id))
    }

    /// Bytes of the gateway's handshake have arrived at the server, which answers with one.
    pub fn hear_handshake(&mut self, context: &mut Context, id: Id) {
        let Some(index) = self.handshake_on(id) else { return };
        let outbound = &mut self.connections[id].outbound;
        outbound.take(outbound.waiting());
        let handshake = &mut self.handshakes[index];
        let is_first = !std::mem::replace(&mut handshake.has_begun, true);
        let Handshake { stalls, flights, .. } = *handshake;
        if is_first && context.strike(Fault::HandshakeBreaks) {
            self.peer_resets(context, id);
        }
        if stalls && flights <= 1 && !context.has_healed {
            return;
        }
        context.plan_in(Duration::from_micros(1), Happening::Flight(id));
    }

    /// The server's next flight is on its way.
    pub fn send_flight(&mut self, context: &mut Context, id: Id) {
        let connection = &mut self.connections[id];
        if connection.closed.is_none() && !connection.is_dead() && !connection.inbound.end_sent {
            let count = connection.inbound.room().min(1);
            connection.inbound.send(count);
            self.move_on(context, id, Direction::Inbound);
        }
    }
}

/// Begins sessions in a simulation.
pub struct SimConnector(pub SimNet);

impl std::fmt::Debug for SimConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimConnector")
    }
}

impl Connector for SimConnector {
    fn connect(&self, name: &str) -> Result<Box<dyn Session>, HandshakeError> {
        assert_eq!(name, crate::names::DOMAIN, "the name that the members prove");
        let index = self.0.simulation().begin_session().ok_or(HandshakeError::Local)?;
        let net = self.0.clone();
        Ok(Box::new(SimSession { net, index, outgoing: b"?".to_vec(), end: None }))
    }
}

/// The gateway's end of a session.
struct SimSession {
    net: SimNet,
    index: usize,
    outgoing: Vec<u8>,
    /// The outcome, once it is clear.
    end: Option<Status>,
}

impl SimSession {
    fn decide(&mut self, status: Status) -> Status {
        self.outgoing.clear();
        self.end = Some(status);
        status
    }
}

impl std::fmt::Debug for SimSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimSession {}", self.index)
    }
}

impl Session for SimSession {
    fn outgoing(&mut self) -> &[u8] {
        &self.outgoing
    }

    fn wrote(&mut self, bytes: usize) {
        self.outgoing.drain(..bytes);
    }

    fn incoming(&mut self, bytes: &mut &[u8]) -> Status {
        assert_eq!(self.end, None, "bytes for a handshake that is over");
        let count = std::mem::take(bytes).len() as u64;
        let status = self.net.simulation().session_takes(self.index, count);
        match status {
            Some(status) => self.decide(status),
            None => {
                self.outgoing.push(b'?');
                Status::Handshaking
            }
        }
    }

    fn end(&mut self, is_orderly: bool) -> Option<Status> {
        assert_eq!(self.end, None, "an end of a handshake that is over");
        let status = self.net.simulation().session_ends(self.index, is_orderly);
        self.outgoing.clear();
        self.end = status;
        status
    }

    fn send(&mut self, plain: &[u8]) {
        assert!(plain.is_empty(), "a probe says nothing in its session");
    }

    fn receive(&mut self, _buffer: &mut [u8]) -> usize {
        0
    }

    fn close(&mut self) {
        assert_eq!(self.end, Some(Status::Established), "closed before it was established");
    }
}
