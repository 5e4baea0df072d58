//! TLS handshakes of the monitor, as their outcomes: flights of one byte each come from the server,
//! and after the last one it is clear who is there.

use std::time::Duration;

use etcd_gateway::net::{HandshakeError, NetError, Readiness, Shake};

use crate::agenda::{Direction, Happening};
use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::network::Network;

const UNTRUSTED: [HandshakeError; 12] = [
    HandshakeError::Expired,
    HandshakeError::NotYetValid,
    HandshakeError::WrongName,
    HandshakeError::UnknownAuthority,
    HandshakeError::BadCertificate,
    HandshakeError::UnsupportedAlgorithm,
    HandshakeError::Before1970,
    HandshakeError::Authority("authority_expired authority=\"CN=root\""),
    HandshakeError::NoTls,
    HandshakeError::NoCommonVersion,
    HandshakeError::NoCommonCipherSuite,
    HandshakeError::Refused,
];

/// A handshake on one connection.
#[derive(Clone, Copy, Debug)]
pub struct Handshake {
    on: Option<Id>,
    /// Flights that are still to come; none if it will never be decided.
    flights: u64,
    stalls: bool,
    verdict: Option<HandshakeError>,
}

impl Network {
    pub fn begin_handshake(&mut self, context: &mut Context) -> usize {
        let flights = context.random.one_to(3);
        let stalls = context.strike(Fault::HandshakeStalls);
        let fails = context.strike(Fault::HandshakeFails);
        let verdict = fails.then(|| context.random.one_of(&UNTRUSTED));
        self.handshakes.push(Handshake { on: None, flights, stalls, verdict });
        self.handshakes.len() - 1
    }

    pub fn shake(&mut self, context: &mut Context, id: Id, index: usize) -> Shake {
        let now = context.turn_at;
        if self.handshakes[index].on.is_none() {
            self.handshakes[index].on = Some(id);
            // It has a time of its own.
            self.connections[id].dialed_at = now;
            context.advance("handshake", id, 0);
            if context.strike(Fault::HandshakeBreaks) {
                self.peer_resets(context, id);
            }
            self.plan_flight(context, id, index);
        }
        let handshake = self.handshakes[index];
        assert_eq!(handshake.on, Some(id), "a handshake on two connections");
        let connection = &mut self.connections[id];
        let bytes = connection.inbound.waiting();
        connection.inbound.take(bytes);
        connection.reported.readable = false;
        if bytes > 0 {
            context.advance("flight", id, bytes);
            let left = handshake.flights.saturating_sub(bytes);
            self.handshakes[index].flights = left;
            if left == 0 && !handshake.stalls {
                return decide_handshake(context, id, handshake.verdict);
            }
            self.plan_flight(context, id, index);
        }
        let connection = &mut self.connections[id];
        if let Some(death) = &mut connection.death {
            let error = death.error.take().unwrap_or(NetError::Reset);
            connection.show_lost(now);
            context.advance("handshake lost", id, 0);
            return Shake::Failed(HandshakeError::Lost(error));
        }
        if connection.inbound.end_arrived {
            return decide_handshake(context, id, Some(HandshakeError::NoTls));
        }
        if self.connections[id].unreported() != Readiness::default() {
            self.touch(context, id);
        }
        Shake::Pending
    }

    fn plan_flight(&mut self, context: &mut Context, id: Id, index: usize) {
        let handshake = self.handshakes[index];
        if handshake.stalls && handshake.flights <= 1 && !context.has_healed {
            return;
        }
        let latency = self.connections[id].latency;
        context.plan_in(latency + Duration::from_micros(1), Happening::Flight(id));
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

fn decide_handshake(context: &mut Context, id: Id, verdict: Option<HandshakeError>) -> Shake {
    context.advance("handshake ends", id, u64::from(verdict.is_some()));
    verdict.map_or(Shake::Done, Shake::Failed)
}
