//! Dials for clients: non-blocking connect with a deadline, the next endpoint on failure.
//!
//! Whom to dial is decided by `endpoint`, what the pair makes of it by `pair`. The socket of a
//! failed dial is given up here and at once, not at the end of the turn: a pair must never hold
//! more than its two descriptors, or an outage would exhaust them. That is safe because every
//! dial has a generation of its own, so a late event of the old socket finds nobody.

use std::net::SocketAddr;

use slab::Slab;

use super::accept::Acceptor;
use super::pump::failed;
use super::token::{Generation, Token};
use super::{Reactor, Slot};
use crate::net::{Dial, Net, NetError, Readiness};
use crate::relay::Phase;
use crate::relay::dialing::{Attempt, Hold};
use crate::relay::ending::Cause;
use crate::relay::step::{Side, Step};
use crate::upstream::loopback::{could_meet_ourselves, leads_back, met_ourselves};
use crate::upstream::{DialFailure, EndpointId};

impl<N: Net> Reactor<N> {
    /// Dials the endpoint that is next for this client; closes the client if there is none.
    pub(super) fn dial_next(&mut self, key: usize) {
        let mut failed_locally = false;
        while self.slots[key].pair.ending().is_none() {
            let Some(endpoint) = self.next_endpoint(key) else {
                match self.may_wait(key) {
                    true => self.wait(key),
                    false => self.turn_away(key, failed_locally),
                }
                break;
            };
            let outcome = self.begin_dial(key, endpoint);
            if let Err(error @ (NetError::Descriptors | NetError::Memory)) = outcome {
                self.starve(key, error);
                break;
            }
            self.endpoints.dial_begun(endpoint, self.now);
            match outcome {
                Ok(()) => break,
                Err(error) => failed_locally = self.fail_attempt(key, error),
            }
        }
        self.settle(key);
    }

    fn next_endpoint(&mut self, key: usize) -> Option<EndpointId> {
        let pair = &mut self.slots[key].pair;
        match pair.take_postponed() {
            Some(postponed) => self.endpoints.pick_again(postponed, pair.tried(), self.now),
            None => self.endpoints.pick(pair.tried(), self.now),
        }
    }

    fn begin_dial(&mut self, key: usize, endpoint: EndpointId) -> Result<(), NetError> {
        let now = self.now;
        let deadline = now + self.limits.connect_timeout;
        let generation = self.next_generation();
        let slot = &mut self.slots[key];
        assert!(slot.server.is_none(), "a dial while another connection is held");
        slot.pair.begin_attempt(Attempt { endpoint, started_at: now, deadline });
        slot.generations[Side::Server.index()] = generation;
        self.metrics.dials += 1;
        let token = Token::Pair { slot: key, side: Side::Server, generation };
        let stream = self.dial_endpoint(endpoint, token)?;
        self.slots[key].server = Some(stream);
        Ok(())
    }

    /// Begins a connection to an endpoint, unless it would lead back to ourselves.
    pub(super) fn dial_endpoint(
        &mut self,
        endpoint: EndpointId,
        token: Token,
    ) -> Result<N::Stream, NetError> {
        let address = self.endpoints.address(endpoint).ok_or(NetError::AddressNotAvailable)?;
        if self.own_listener(address).is_some() {
            return Err(NetError::OwnAddress);
        }
        self.net.dial(address, token.pack())
    }

    /// The listener of ours at which a connection to `address` would end. Asked for every dial,
    /// because addresses come and go; only an equal port under a wildcard asks the system for them.
    pub(super) fn own_listener(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        own_listener(&mut self.net, &self.acceptors, address)
    }

    /// An event came for the socket of the attempt that is under way.
    pub(super) fn on_dial_event(&mut self, key: usize, told: Readiness) {
        let slot = &mut self.slots[key];
        let (Some(attempt), Some(server)) = (slot.pair.attempt(), slot.server.as_mut()) else {
            return;
        };
        let address = self.endpoints.address(attempt.endpoint);
        match dial_result(&mut self.net, &self.acceptors, address, server, told) {
            Dial::Pending => {}
            Dial::Connected => self.on_dial_connected(key, attempt.endpoint),
            Dial::Lost(error) => {
                // The server has spoken, so this is no failed dial any more: the client gets what
                // it said, and then the loss.
                self.on_dial_connected(key, attempt.endpoint);
                let pair = &mut self.slots[key].pair;
                let step = Step::TakeError(Side::Server);
                pair.apply(step, failed(error), &self.limits.pair, self.now);
            }
            Dial::Failed(error) => self.on_dial_failed(key, error),
        }
    }

    /// The attempt took too long, or the wait for resources of ours did.
    pub(super) fn on_dial_timer(&mut self, key: usize) {
        // The dial may be decided and its event still be on the way.
        self.on_dial_event(key, Readiness::default());
        let slot = &mut self.slots[key];
        if !matches!(slot.pair.phase(), Phase::Dialing(_)) {
            return;
        }
        let is_over = |deadline| deadline <= self.now;
        match slot.pair.attempt() {
            Some(attempt) if is_over(attempt.deadline) => {
                self.on_dial_failed(key, NetError::TimedOut);
            }
            None if slot.pair.next_deadline(&self.limits.pair).is_some_and(is_over) => {
                self.on_hold_over(key);
            }
            _ => {}
        }
    }

    /// What the client waited for did not come in time.
    fn on_hold_over(&mut self, key: usize) {
        let Phase::Dialing(dialing) = self.slots[key].pair.phase() else { return };
        match dialing.hold() {
            Hold::Shortage => self.slots[key].pair.end(Cause::LocalShortage),
            Hold::Endpoint => self.turn_away(key, false),
        }
        self.settle(key);
    }

    fn on_dial_connected(&mut self, key: usize, endpoint: EndpointId) {
        let slot = &mut self.slots[key];
        slot.pair.connect(&self.limits.pair, self.now);
        slot.endpoint = Some(endpoint);
        self.metrics.pairs_connected += 1;
        self.endpoints.pair_opened(endpoint);
        let change = self.endpoints.dial_succeeded(endpoint, self.now);
        self.on_change(change, "client");
        self.settle(key);
    }

    /// The attempt failed after it had begun; the client goes on to the next endpoint.
    pub(super) fn on_dial_failed(&mut self, key: usize, error: NetError) {
        if let Some(server) = self.slots[key].server.take() {
            self.net.close(server);
        }
        self.fail_attempt(key, error);
        self.dial_next(key);
    }

    /// There is no descriptor or memory for the dial. The client keeps its place and waits, for as
    /// long as a dial may take; nobody new is let in meanwhile.
    fn starve(&mut self, key: usize, error: NetError) {
        let until = self.now + self.limits.connect_timeout;
        self.slots[key].pair.hold_back(Hold::Shortage, until);
        self.starved.push(key);
        self.pause_accepting(error);
    }

    /// Goes on with the clients that wait for resources.
    pub(super) fn dial_starved(&mut self) {
        for key in std::mem::take(&mut self.starved) {
            self.dial_next(key);
        }
    }

    /// Whether an endpoint may turn up for this client before long: names are being looked up, or
    /// one that is known has to prove itself first.
    fn may_wait(&self, key: usize) -> bool {
        let Phase::Dialing(dialing) = self.slots[key].pair.phase() else { return false };
        let discovery = &self.finder.discovery;
        let is_over = dialing.deadline().is_some_and(|until| until <= self.now);
        // Asked to end, nobody looks for endpoints any more.
        if discovery.names().is_empty() || is_over || !self.is_running() {
            return false;
        }
        self.endpoints.count() == 0
            || self.endpoints.awaits_proof()
            || discovery.names().is_asking(self.now)
    }

    fn wait(&mut self, key: usize) {
        let until = self.now + self.limits.connect_timeout;
        self.slots[key].pair.hold_back(Hold::Endpoint, until);
        self.waiting.push((key, self.slots[key].generations[Side::Client.index()]));
        // Those whose wait is over are left where they are until they are most of all: taking
        // each out at once would cost a crowd the square of its size.
        if self.waiting.len() > 2 * self.slots.len() {
            let slots = &self.slots;
            self.waiting.retain(|entry| is_waiting(slots, *entry));
        }
        if let Some(endpoint) = self.endpoints.hasten_probe(self.now) {
            self.probe(endpoint);
        }
    }

    /// Goes on with the clients that wait for an endpoint, if there may be one now, or none any
    /// more.
    pub(super) fn dial_waiting(&mut self) {
        if !std::mem::take(&mut self.recheck_waiting) {
            return;
        }
        for entry in std::mem::take(&mut self.waiting) {
            if is_waiting(&self.slots, entry) {
                self.dial_next(entry.0);
            }
        }
    }

    /// The endpoint is gone: a client that is being dialed for goes on to the next one, and the
    /// failure is nobody's.
    pub(super) fn leave_attempt(&mut self, key: usize, address: SocketAddr) {
        let slot = &mut self.slots[key];
        if let Some(server) = slot.server.take() {
            self.net.close(server);
        }
        slot.pair.fail_attempt(Some(address));
        self.dial_next(key);
    }

    /// Books the failure with the pair and the endpoint; tells whether it was our own shortage.
    fn fail_attempt(&mut self, key: usize, error: NetError) -> bool {
        self.metrics.dials_failed += 1;
        let pair = &mut self.slots[key].pair;
        let address = pair.attempt().and_then(|it| self.endpoints.address(it.endpoint));
        let Some(attempt) = pair.fail_attempt(address) else { return false };
        let failure = dial_failure(error);
        let jitter = self.net.random();
        let Attempt { endpoint, started_at, .. } = attempt;
        let change = self.endpoints.dial_failed(endpoint, started_at, failure, self.now, jitter);
        self.on_change(change, "client");
        self.doubt_names(endpoint, failure);
        if !failure.is_evidence() {
            self.log_local_failure(endpoint, error);
        }
        !failure.is_evidence()
    }

    /// A dial failed, so what is known of the endpoint's name, or of our way there, may be out of
    /// date.
    pub(super) fn doubt_names(&mut self, endpoint: EndpointId, failure: DialFailure) {
        let address = self.endpoints.address(endpoint);
        let Some(address) = address.filter(|_| !self.finder.discovery.names().is_empty()) else {
            return;
        };
        match failure.is_evidence() {
            true => self.finder.discovery.names_mut().on_dial_failed(address, self.now),
            false => self.finder.discovery.reconsider(self.now),
        }
        self.finder.stir();
        self.seek_if_none_active();
    }

    /// With no endpoint left that works, every name is in doubt.
    pub(super) fn seek_if_none_active(&mut self) {
        if self.endpoints.active_count() == 0 && !self.finder.discovery.names().is_empty() {
            self.finder.discovery.on_none_active(self.now);
            self.finder.stir();
        }
    }

    /// No endpoint is left that this client could try.
    fn turn_away(&mut self, key: usize, failed_locally: bool) {
        self.metrics.clients_turned_away += 1;
        let pair = &mut self.slots[key].pair;
        let cause = match pair.tried() {
            [] => Cause::TurnedAway,
            _ if failed_locally => Cause::LocalShortage,
            _ => Cause::NoEndpoint,
        };
        pair.end(cause);
        self.log_rejection();
    }
}

/// As [`Reactor::own_listener`], for whoever has only parts of it.
pub(super) fn own_listener<N: Net>(
    net: &mut N,
    acceptors: &[Acceptor<N::Listener>],
    address: SocketAddr,
) -> Option<SocketAddr> {
    let mut listeners = acceptors.iter().map(|acceptor| acceptor.address);
    listeners.find(|listener| leads_back(*listener, address, |ip| net.is_local(ip)))
}

/// Whether that client is still there, and still waits for an endpoint.
fn is_waiting<N: Net>(slots: &Slab<Slot<N>>, (key, of): (usize, Generation)) -> bool {
    let slot = slots.get(key).filter(|slot| slot.generations[Side::Client.index()] == of);
    slot.is_some_and(|slot| match slot.pair.phase() {
        Phase::Dialing(dialing) => dialing.attempt().is_none() && dialing.hold() == Hold::Endpoint,
        _ => false,
    })
}

/// How the dial to `address` stands; a connection that ends at its own socket or at one of our
/// listeners counts as failed.
pub(super) fn dial_result<N: Net>(
    net: &mut N,
    acceptors: &[Acceptor<N::Listener>],
    address: Option<SocketAddr>,
    stream: &mut N::Stream,
    told: Readiness,
) -> Dial {
    let outcome = net.dial_result(stream, told);
    let Some(address) = address.filter(|_| outcome == Dial::Connected) else { return outcome };
    let listeners = || acceptors.iter().map(|acceptor| acceptor.address);
    if !could_meet_ourselves(listeners(), address, |port| net.is_ephemeral(port)) {
        return outcome;
    }
    match net.own_end(stream) {
        Some(local) if met_ourselves(listeners(), local, address) => {
            Dial::Failed(NetError::OwnAddress)
        }
        _ => outcome,
    }
}

/// What a failed dial says about the endpoint. Only what the server's side did is evidence.
pub(super) fn dial_failure(error: NetError) -> DialFailure {
    match error {
        NetError::Refused => DialFailure::Refused,
        NetError::Reset => DialFailure::Reset,
        NetError::TimedOut => DialFailure::TimedOut,
        NetError::HostUnreachable => DialFailure::Unreachable,
        NetError::OwnAddress => DialFailure::OwnAddress,
        NetError::NetworkUnreachable
        | NetError::AddressNotAvailable
        | NetError::AddressInUse
        | NetError::Descriptors
        | NetError::Memory
        | NetError::Aborted
        | NetError::Denied
        | NetError::NotSupported
        | NetError::Other(_) => DialFailure::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_did_is_evidence() {
        for (error, want) in [
            (NetError::Refused, DialFailure::Refused),
            (NetError::Reset, DialFailure::Reset),
            (NetError::TimedOut, DialFailure::TimedOut),
            (NetError::HostUnreachable, DialFailure::Unreachable),
            (NetError::OwnAddress, DialFailure::OwnAddress),
            (NetError::NetworkUnreachable, DialFailure::Local),
            (NetError::AddressNotAvailable, DialFailure::Local),
            (NetError::AddressInUse, DialFailure::Local),
            (NetError::Descriptors, DialFailure::Local),
            (NetError::Memory, DialFailure::Local),
            (NetError::Aborted, DialFailure::Local),
            (NetError::Denied, DialFailure::Local),
            (NetError::NotSupported, DialFailure::Local),
            (NetError::Other(22), DialFailure::Local),
        ] {
            assert_eq!(dial_failure(error), want, "{error}");
        }
    }
}
