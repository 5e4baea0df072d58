//! The slot of a pair: its sockets, and everything else that is freed with it.

use std::time::Instant;

use super::pump::Parked;
use crate::address::Address;
use crate::arena::{Generation, Key};
use crate::net::Net;
use crate::observe::metrics::ListenerNumber;
use crate::reactor::context::{Context, Timer};
use crate::reactor::token::Token;
use crate::reactor::wheel::TimerKey;
use crate::relay::dialing::Wait;
use crate::relay::silence::{Answers, Framing};
use crate::relay::step::Side;
use crate::relay::{self, Pair};
use crate::upstream::EndpointId;

/// A pair with its sockets and other resources.
pub(super) struct Slot<N: Net> {
    pub(super) pair: Pair,
    pub(super) client: N::Stream,
    pub(super) server: Option<N::Stream>,
    /// The generation of the pair's last dial. Each dial has its own, so that a late event of an
    /// earlier socket finds no pair.
    pub(super) server_generation: Generation,
    /// The bytes that a flow, by its source, could not write yet.
    pub(super) parked: [Parked<N::Pipe>; 2],
    pub(super) timer: Option<TimerKey>,
    /// The endpoint that was dialed last: that of the server connection, if there is one.
    pub(super) endpoint: Option<EndpointId>,
    pub(super) client_address: Address,
    pub(super) accepted_at: Instant,
    /// The listener that it came to.
    pub(super) listener: ListenerNumber,
    pub(super) queued: bool,
    pub(super) doomed: bool,
    /// It is among the pairs without an answer.
    pub(super) awaits_answer: bool,
    /// The server's first bytes in answer to the client's are awaited, to be shown.
    pub(super) awaits_first_byte: bool,
    /// What counts as a question and an answer on the way to the endpoint.
    pub(super) framing: Framing,
    pub(super) answers: Answers,
}

impl<N: Net> Slot<N> {
    /// A client that was just accepted.
    pub(super) fn new(
        client: N::Stream,
        client_address: Address,
        listener: ListenerNumber,
        now: Instant,
    ) -> Slot<N> {
        Slot {
            pair: Pair::new(now),
            client,
            server: None,
            server_generation: Generation::default(),
            parked: [Parked::Nothing, Parked::Nothing],
            timer: None,
            endpoint: None,
            client_address,
            accepted_at: now,
            listener,
            queued: false,
            doomed: false,
            awaits_answer: false,
            awaits_first_byte: false,
            framing: Framing::Unknown,
            answers: Answers::default(),
        }
    }

    /// Whether the pair waits for an endpoint.
    pub(super) fn waits_for_endpoint(&self) -> bool {
        self.pair.wait() == Some(Wait::Endpoint)
    }

    /// Puts the pair into the queue of pairs to pump.
    pub(super) fn enqueue(&mut self, key: Key, ready: &mut Vec<Key>) {
        if !self.queued {
            self.queued = true;
            ready.push(key);
        }
    }

    /// Brings timer and reaping in line with what the pair now wants.
    pub(super) fn sync(
        &mut self,
        key: Key,
        doomed: &mut Vec<Key>,
        limits: &relay::Limits,
        context: &mut Context<N>,
    ) {
        if self.pair.ending().is_some() && !self.doomed {
            self.doomed = true;
            doomed.push(key);
        }
        let wanted = self.pair.next_deadline(limits);
        context.rearm(&mut self.timer, wanted, Timer::Pair(key));
    }

    /// Closes the socket of a dial that has failed or is abandoned.
    pub(super) fn close_server(&mut self, context: &mut Context<N>) {
        if let Some(server) = self.server.take() {
            context.net.close(server);
        }
    }

    /// Whether the token is that of the current socket of this side.
    #[inline]
    pub(super) fn is_current(&self, key: Key, side: Side, token: Token) -> bool {
        token.is_of(match side {
            Side::Client => key.generation(),
            Side::Server => self.server_generation,
        })
    }
}
