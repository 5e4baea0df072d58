//! Dials for clients: non-blocking connect with a deadline, then the next endpoint on failure.
//!
//! The choice of the endpoint is that of `upstream`, and the state of the pair that of `relay`. The
//! socket of a failed dial is closed here and at once, not at the end of the turn: a pair must
//! never hold more than its two descriptors, or an outage would exhaust them. That is safe because
//! every dial has a generation of its own, so a late event of the old socket finds no pair.

use std::time::Instant;

use super::Relays;
use super::admission::Admission;
use super::pump::failed;
use super::silence::framing;
use crate::address::Address;
use crate::arena::Key;
use crate::net::{Dial, Host, Net, NetError, Readiness};
use crate::observe::events::Event;
use crate::observe::metrics::Rejection;
use crate::reactor::context::Context;
use crate::reactor::token::{Kind, Token};
use crate::reactor::upstream::{Upstream, rejection};
use crate::relay::dialing::{Attempt, Wait};
use crate::relay::ending::Cause;
use crate::relay::step::{Side, Step};
use crate::relay::{Pair, Phase};
use crate::upstream::{EndpointId, Removed};

impl<N: Net + Host> Relays<N> {
    /// Dials the next endpoint for this client; waits for one, or ends the pair, if there is none.
    pub(super) fn dial_next(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
    ) {
        context.note_turn();
        let mut failed_locally = false;
        loop {
            let pair = &mut self.slots[key].pair;
            if pair.ending().is_some() {
                break;
            }
            let postponed = pair.take_postponed();
            let Some(endpoint) = upstream.pick(postponed, pair.tried(), context.now) else {
                match may_wait(&self.slots[key].pair, upstream, context.now) {
                    true => self.wait_for_endpoint(context, upstream, key),
                    false => self.reject_undialed(context, upstream, key, failed_locally),
                }
                break;
            };
            let outcome = self.begin_dial(context, upstream, key, endpoint);
            if let Err(error @ (NetError::Descriptors | NetError::Memory)) = outcome {
                context.metrics.dials_postponed += 1;
                // It keeps its place, for as long as a dial may take; no new client is accepted.
                self.wait(context, key, Wait::Resources);
                self.pause_admission(context, error);
                break;
            }
            upstream.dial_begun(context, endpoint);
            if let Some(accounts) = &mut self.accounts {
                accounts.of(key).attempts += 1;
            }
            match outcome {
                Ok(()) => break,
                Err(error) => {
                    failed_locally = self.fail_attempt(context, upstream, key, error);
                }
            }
        }
        self.sync(context, key);
    }

    fn begin_dial(
        &mut self,
        context: &mut Context<N>,
        upstream: &Upstream<N>,
        key: Key,
        endpoint: EndpointId,
    ) -> Result<(), NetError> {
        let now = context.now;
        let deadline = now + self.limits.connect_timeout;
        self.dial_generation = self.dial_generation.next();
        let slot = &mut self.slots[key];
        assert!(slot.server.is_none(), "a dial while another connection is held");
        slot.pair.begin_attempt(Attempt { endpoint, started_at: now, deadline });
        slot.server_generation = self.dial_generation;
        slot.endpoint = Some(endpoint);
        slot.framing = upstream.endpoints().get(endpoint).map(framing).unwrap_or_default();
        let token = Token::of_generation(Kind::Pair(Side::Server), key, slot.server_generation);
        let address = upstream.address(endpoint);
        let address = address.ok_or(NetError::AddressNotAvailable)?;
        slot.server = Some(context.dial(address, token)?);
        Ok(())
    }

    /// Handles an event for the socket of the current attempt.
    pub(super) fn on_dial_event(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
        readiness: Readiness,
    ) {
        context.note_turn();
        let slot = &mut self.slots[key];
        let (Some(attempt), Some(server)) = (slot.pair.attempt(), slot.server.as_mut()) else {
            return;
        };
        let address = upstream.address(attempt.endpoint);
        match context.dial_result(address, server, readiness) {
            Dial::Pending => {}
            Dial::Connected => self.on_connected(context, upstream, key, attempt.endpoint),
            Dial::Lost(error) => {
                // The server has sent bytes, so the dial counts as successful: the client gets
                // them, and then the loss.
                self.on_connected(context, upstream, key, attempt.endpoint);
                let pair = &mut self.slots[key].pair;
                let step = Step::TakeError(Side::Server);
                pair.apply(step, failed(error), &self.limits.pair, context.now);
            }
            Dial::Failed(error) => self.on_dial_failed(context, upstream, key, error),
        }
    }

    /// Handles the end of the time for an attempt, or for the wait before one.
    pub(super) fn on_dial_timer(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
    ) {
        // The dial may be decided, and its event not be delivered yet.
        self.on_dial_event(context, upstream, key, Readiness::default());
        let pair = &self.slots[key].pair;
        if !matches!(pair.phase(), Phase::Dialing(_)) {
            return;
        }
        let now = context.now;
        match pair.attempt() {
            Some(attempt) if attempt.deadline <= now => {
                self.on_dial_failed(context, upstream, key, NetError::TimedOut);
            }
            None if pair.next_deadline(&self.limits.pair).is_some_and(|until| until <= now) => {
                self.on_wait_over(context, upstream, key);
            }
            _ => {}
        }
    }

    /// Ends a pair that has waited for its whole time.
    fn on_wait_over(&mut self, context: &mut Context<N>, upstream: &Upstream<N>, key: Key) {
        match self.slots[key].pair.wait() {
            Some(Wait::Resources) => {
                self.reject(context, key, Cause::LocalShortage, Rejection::LocalShortage);
            }
            Some(Wait::Endpoint) => self.reject_undialed(context, upstream, key, false),
            None => return,
        }
        self.sync(context, key);
    }

    fn on_connected(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
        endpoint: EndpointId,
    ) {
        let slot = &mut self.slots[key];
        if let (Some(accounts), Some(attempt)) = (&mut self.accounts, slot.pair.attempt()) {
            let took = context.now.saturating_duration_since(attempt.started_at);
            accounts.of(key).dial = Some(took);
            if let Some(observer) = &mut context.observer {
                observer.timings.dials.add(took);
            }
        }
        slot.pair.connect(&self.limits.pair, context.now);
        context.metrics.pairs_connected += 1;
        upstream.dial_succeeded(context, endpoint);
        self.sync(context, key);
    }

    /// Handles the failure of an attempt that had begun: the client goes on to the next endpoint.
    fn on_dial_failed(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
        error: NetError,
    ) {
        self.slots[key].close_server(context);
        self.fail_attempt(context, upstream, key, error);
        self.dial_next(context, upstream, key);
    }

    /// Puts a client into the waiting room, for as long as a dial may take.
    fn wait(&mut self, context: &mut Context<N>, key: Key, wait: Wait) {
        let until = context.now + self.limits.connect_timeout;
        let is_first = self.slots[key].pair.wait_for(wait, until);
        context.metrics.clients_waited += u64::from(is_first);
        self.waiting_room.enter(wait, key);
    }

    /// Dials for the clients that wait for resources.
    pub(in crate::reactor) fn dial_waiting_for_resources(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
    ) {
        if self.admission != Admission::Open {
            return;
        }
        for key in self.waiting_room.take(Wait::Resources) {
            self.dial_next(context, upstream, key);
        }
    }

    fn wait_for_endpoint(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
    ) {
        self.wait(context, key, Wait::Endpoint);
        let slots = &self.slots;
        self.waiting_room
            .prune(slots.len(), |key| slots.get(key).is_some_and(|slot| slot.waits_for_endpoint()));
        upstream.expedite_probe(context);
    }

    /// Dials for the clients that wait for an endpoint, if there may be one now or none can be
    /// expected.
    pub(in crate::reactor) fn dial_waiting(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
    ) {
        if !upstream.take_retry_waiting() {
            return;
        }
        for key in self.waiting_room.take(Wait::Endpoint) {
            if self.slots.get(key).is_some_and(|slot| slot.waits_for_endpoint()) {
                self.dial_next(context, upstream, key);
            }
        }
    }

    /// Abandons current dials to removed endpoints: their clients go on to the next endpoint, and
    /// no failure is counted.
    pub(in crate::reactor) fn abandon_dials(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        removed: &[Removed],
    ) {
        if removed.is_empty() {
            return;
        }
        let attempts = self.slots.iter().filter_map(|(key, slot)| {
            let endpoint = slot.pair.attempt()?.endpoint;
            let dialed = removed.iter().find(|gone| gone.id == endpoint)?;
            Some((key, dialed.address.clone()))
        });
        for (key, address) in attempts.collect::<Vec<(Key, Address)>>() {
            let slot = &mut self.slots[key];
            slot.close_server(context);
            if let Some(attempt) = slot.pair.fail_attempt(Some(address)) {
                upstream.dial_abandoned(context, attempt.endpoint);
            }
            self.dial_next(context, upstream, key);
        }
    }

    /// Records the failure in the pair and in the endpoint. Returns whether its cause was local.
    fn fail_attempt(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
        error: NetError,
    ) -> bool {
        let pair = &mut self.slots[key].pair;
        let endpoint = pair.attempt().map(|attempt| attempt.endpoint);
        let address = endpoint.and_then(|id| upstream.address(id));
        match pair.fail_attempt(address.cloned()) {
            Some(attempt) => upstream.dial_failed(context, attempt, error),
            None => false,
        }
    }

    /// Rejects a client that has no further endpoint to try.
    fn reject_undialed(
        &mut self,
        context: &mut Context<N>,
        upstream: &Upstream<N>,
        key: Key,
        failed_locally: bool,
    ) {
        let (cause, reason) = match self.slots[key].pair.tried() {
            [] => (Cause::Rejected, rejection(upstream.endpoints())),
            _ if failed_locally => (Cause::LocalShortage, Rejection::LocalShortage),
            _ => (Cause::NoEndpoint, rejection(upstream.endpoints())),
        };
        self.reject(context, key, cause, reason);
    }

    /// Ends a client that has no server, and counts and logs it as rejected.
    fn reject(&mut self, context: &mut Context<N>, key: Key, cause: Cause, reason: Rejection) {
        self.slots[key].pair.end(cause);
        context.metrics.rejections.add(reason);
        context.log(Event::ClientRejected { reason: &reason });
    }

    /// Pauses accepting after a failure that is not the client's own, and so may last. An immediate
    /// retry would spin, and none would end the service.
    pub(in crate::reactor) fn pause_admission(
        &mut self,
        context: &mut Context<N>,
        error: NetError,
    ) {
        context.metrics.accept_pauses += 1;
        context.log(Event::AcceptPaused { reason: &error });
        self.pipes.release_descriptors(&mut context.net, context.now);
        // A descriptor that was freed in this turn has not sufficed: with it, an earlier pause was
        // over, and this one takes as long as any.
        if context.exchanges.take_freed() {
            self.admission.resume(context);
        }
        self.admission.pause(context);
        // Where there are any, the pause ends with this turn.
        context.release_idle_checks();
    }
}

/// Whether this client may wait for an endpoint, and one may be found soon.
fn may_wait<N: Net + Host>(pair: &Pair, upstream: &Upstream<N>, now: Instant) -> bool {
    let Phase::Dialing(dialing) = pair.phase() else { return false };
    let is_over = dialing.deadline().is_some_and(|until| until <= now);
    !is_over && upstream.may_find_endpoint(now)
}
