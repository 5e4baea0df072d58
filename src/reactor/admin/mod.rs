//! The admin side: listeners and connections of clients that look at the gateway. Answers requests;
//! changes nothing of what it shows.
//!
//! ```text
//!   events, timers ──► queue ──► serve, once a turn ──► exchanges/served.rs: bytes, requests
//!                                   │                └─► answers.rs: what is answered, in pieces
//!                                   ├─ pace.rs: a small part of the time, behind the pairs
//!                                   └─ places.rs: who may be connected
//! ```
//!
//! Events only put a connection into the queue. All work is done in one step at the end of a turn,
//! for a bounded time, and while there are pairs for a small share of the time: a client that asks
//! a lot waits, and pairs do not.

mod answers;
mod pace;
mod places;

use std::collections::VecDeque;
use std::time::Duration;

use self::answers::{Answer, Shown};
use self::pace::Pace;
pub(super) use self::pace::Pause;
use self::places::{Holder, Place, place_for};
use super::context::Context;
use super::exchanges::Owner;
use super::exchanges::served::Progress;
use super::front::{Listener, Opened};
use super::relays::Relays;
use super::token::Token;
use super::upstream::Upstream;
use crate::address::Address;
use crate::arena::{Arena, Key};
use crate::config::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_STEPS_PER_TURN};
use crate::net::{Accept, Host, Net, NetError, Telemetry};
use crate::observe::facts::RunState;
use crate::proto::http1::Stage;

/// The listeners and connections of the admin side.
pub(super) struct Admin<N: Net> {
    listeners: Arena<Listener<N>>,
    order: Vec<Key>,
    /// Whether a listener is ready: asked for in each turn, also where there is none.
    is_called: bool,
    connections: Vec<Connection>,
    /// The keys of connections to go on with, each once.
    queue: VecDeque<Key>,
    pace: Pace,
    /// The number of the next connection.
    next: u64,
    /// The place in `order` of the listener that is accepted from next.
    accept_from: usize,
}

/// A connection of a client, which is an exchange.
struct Connection {
    key: Key,
    /// The place in `order` of the listener at which it came.
    listener: usize,
    /// The answer that is being given.
    answer: Option<Answer>,
    is_queued: bool,
    /// Whether it was without a request when it was last gone on with, after an answer.
    is_idle: bool,
}

impl Connection {
    fn holder<N: Net>(&self, context: &Context<N>) -> Holder {
        Holder {
            listener: self.listener,
            is_queued: self.is_queued,
            is_idle: self.is_idle,
            progressed_at: context.exchanges.progressed_at(self.key).unwrap_or(context.now),
        }
    }
}

impl<N: Net> Admin<N> {
    /// An admin side with these listeners.
    pub(super) fn new(opened: Opened<N>) -> Admin<N> {
        let Opened { listeners, order } = opened;
        Admin {
            listeners,
            order,
            is_called: false,
            connections: Vec::new(),
            queue: VecDeque::new(),
            pace: Pace::default(),
            next: 0,
            accept_from: 0,
        }
    }

    /// The addresses of its listeners.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.order.iter().map(|key| &self.listeners[*key].address)
    }

    /// Notes the turn where there is something to be done at once: left over, or for a client that
    /// has waited until another one stalled.
    pub(super) fn note_work(&self, context: &mut Context<N>) {
        if self.has_work(context) {
            context.note_turn();
        }
    }

    fn has_work(&self, context: &Context<N>) -> bool {
        (self.is_called || !self.queue.is_empty())
            && !self.pace.is_paused()
            && (!self.queue.is_empty() || self.next_to_accept(context).is_some())
    }

    /// The next listener with a backlog and a place for one of its clients, in turns; and the
    /// connection that has to leave that place.
    fn next_to_accept(&self, context: &Context<N>) -> Option<(usize, Option<Key>)> {
        if !self.is_called || self.pace.is_accepting_paused() {
            return None;
        }
        let holders = self.connections.iter().map(|connection| connection.holder(context));
        let count = self.order.len();
        let places = (0..count).map(|place| (self.accept_from + place) % count);
        let mut ready = places.filter(|place| self.listeners[self.order[*place]].ready);
        ready.find_map(|listener| match place_for(listener, count, holders.clone(), context.now) {
            Place::Free => Some((listener, None)),
            Place::TakenFrom(index) => Some((listener, Some(self.connections[index].key))),
            Place::Missing => None,
        })
    }

    /// Handles an event of a listener.
    pub(super) fn on_listener_event(&mut self, context: &mut Context<N>, token: Token) {
        match token.key_in(&self.listeners) {
            Some(key) => {
                self.listeners[key].ready = true;
                self.is_called = true;
            }
            None => context.metrics.events_stale += 1,
        }
    }

    /// Puts a connection into the queue.
    pub(super) fn enqueue(&mut self, key: Key) {
        let found = self.connections.iter_mut().find(|connection| connection.key == key);
        if let Some(connection) = found.filter(|connection| !connection.is_queued) {
            connection.is_queued = true;
            self.queue.push_back(key);
        }
    }

    /// Handles the end of a pause.
    pub(super) fn on_timer(&mut self, pause: Pause) {
        self.pace.resume(pause);
    }

    /// Checks what must hold between two turns.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.connections.len() <= ADMIN_CONNECTIONS_MAX, "more than allowed");
        debug_assert!(self.queue.len() <= self.connections.len(), "one is queued twice");
        debug_assert!(self.listeners.len() == self.order.len(), "each listener has its place");
        debug_assert!(
            self.is_called == self.listeners.iter().any(|(_, listener)| listener.ready),
            "a listener became ready unnoticed"
        );
    }

    fn position(&self, key: Key) -> Option<usize> {
        self.connections.iter().position(|connection| connection.key == key)
    }
}

impl<N: Net + Host> Admin<N> {
    /// Handles the end of a connection's time.
    pub(super) fn on_expired(&mut self, context: &mut Context<N>, key: Key) {
        match context.expire_served(key) {
            true => self.enqueue(key),
            false => self.close(context, key),
        }
    }

    /// Accepts clients, reads requests and gives answers, within the limits of a turn.
    pub(super) fn serve(
        &mut self,
        context: &mut Context<N>,
        relays: &Relays<N>,
        upstream: &Upstream<N>,
        state: RunState,
    ) {
        if !self.has_work(context) {
            return;
        }
        let shown = &Shown { relays, upstream, state };
        context.note_turn();
        let began = context.net.telemetry().read_clock();
        let time = Pace::turn_time(began.saturating_duration_since(context.now));
        let mut took = Duration::ZERO;
        for _ in 0..ADMIN_STEPS_PER_TURN {
            // In turns, so that neither those who come nor those who ask starve the others.
            let goes_on = self.accept_one(context) | self.advance_one(context, shown);
            took = context.net.telemetry().read_clock().saturating_duration_since(began);
            if !goes_on || took >= time {
                break;
            }
        }
        if shown.has_pairs() {
            self.pace.pause_after(context, took);
        }
    }

    /// Accepts a client, if there may be one. Returns whether it did.
    fn accept_one(&mut self, context: &mut Context<N>) -> bool {
        let Some((place, leaves)) = self.next_to_accept(context) else { return false };
        let listener = self.order[place];
        let (key, token) = context.reserve_served();
        match context.net.accept(&mut self.listeners[listener].socket, token.pack()) {
            Accept::Connection(stream, _) => {
                self.next += 1;
                self.accept_from = place + 1;
                context.begin_served(key, Owner::Admin(self.next), stream);
                let (answer, is_queued, is_idle) = (None, false, false);
                let connection = Connection { key, listener: place, answer, is_queued, is_idle };
                self.connections.push(connection);
                self.enqueue(key);
                // Not before: there may have been no client. One descriptor more is open meanwhile.
                if let Some(leaves) = leaves {
                    self.close(context, leaves);
                }
                true
            }
            Accept::WouldBlock => {
                self.listeners[listener].ready = false;
                self.is_called = self.listeners.iter().any(|(_, listener)| listener.ready);
                false
            }
            Accept::Failed(NetError::Aborted) => true,
            Accept::Failed(_) => {
                self.pace.pause_accepting(context);
                false
            }
        }
    }

    /// Whether a client waits, and there is no place for it. That a listener is ready does not say
    /// so: the last client may have been accepted.
    fn is_crowded(&self, context: &mut Context<N>) -> bool {
        self.is_called
            && !self.pace.is_accepting_paused()
            && self.next_to_accept(context).is_none()
            && self
                .listeners
                .iter()
                .any(|(_, Listener { socket, ready, .. })| *ready && context.net.has_client(socket))
    }

    /// Goes on with the next connection of the queue. Returns whether there was one.
    fn advance_one(&mut self, context: &mut Context<N>, shown: &Shown<'_, N>) -> bool {
        let Some(key) = self.queue.pop_front() else { return false };
        let Some(position) = self.position(key) else { return true };
        let connection = &mut self.connections[position];
        connection.is_queued = false;
        let progress = context.advance_served(key);
        let server = context.exchanges.server_of(key);
        connection.is_idle =
            server.is_some_and(|server| server.stage() == Stage::Idle && server.asked() > 0);
        if connection.is_idle {
            connection.answer = None;
        }
        match progress {
            Progress::Request(request) => {
                let is_last = self.is_crowded(context);
                let mut answer = Answer::new(&request, context, shown);
                let Some(server) = context.exchanges.server_of(key) else { return true };
                // Those who always have another request would keep others out for good.
                if is_last {
                    server.conclude();
                }
                server.respond(answer.head());
                // With the head, so that both go out in one packet.
                answer.write_piece(context, key, shown);
                self.connections[position].answer = Some(answer);
                self.enqueue(key);
            }
            Progress::WantsBody => {
                if let Some(answer) = &mut connection.answer {
                    answer.write_piece(context, key, shown);
                }
                self.enqueue(key);
            }
            Progress::Blocked => {}
            Progress::Yielded => self.enqueue(key),
            Progress::Over => self.close(context, key),
        }
        true
    }

    fn close(&mut self, context: &mut Context<N>, key: Key) {
        context.close_exchange(key);
        if let Some(position) = self.position(key) {
            self.connections.swap_remove(position);
        }
        self.queue.retain(|queued| *queued != key);
    }

    /// Closes all connections and listeners, at the end.
    pub(super) fn close_all(&mut self, context: &mut Context<N>) {
        for Connection { key, .. } in std::mem::take(&mut self.connections) {
            context.close_exchange(key);
        }
        self.queue.clear();
        self.order.clear();
        self.is_called = false;
        for listener in self.listeners.drain() {
            context.net.close_listener(listener.socket);
        }
        self.pace.stop(context);
    }
}
