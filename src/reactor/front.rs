//! The listeners: which of them may have a client in the backlog, and how many clients are accepted
//! in a turn.
//!
//! Listeners are edge-triggered: the kernel reports once that the backlog is no longer empty. That
//! is remembered until an accept returns `WouldBlock`, so a pause for want of a slot or a
//! descriptor loses no wake-up. Clients that wait meanwhile stay in the kernel's backlog.

use super::context::Context;
use super::relays::{Client, Relays};
use super::token::Token;
use super::upstream::Upstream;
use crate::address::Address;
use crate::arena::{Arena, Key};
use crate::config::{ACCEPTS_AT_DRAIN, ACCEPTS_PER_TURN};
use crate::net::{Accept, Host, Net, NetError};
use crate::observe::metrics::{ListenerNumber, Metrics};

/// All listeners.
pub(super) struct Front<N: Net> {
    listeners: Arena<Listener<N>>,
    /// The order of accepting.
    order: Vec<Place>,
    /// The number of listeners whose backlog may hold a client. Counted, as each turn needs it.
    ready_count: usize,
    /// The place in `order` where the next round of accepting begins, so that no listener starves
    /// behind another.
    next: usize,
}

/// The place of a listener in the order of accepting.
#[derive(Clone, Copy)]
struct Place {
    key: Key,
    /// Its number in the counters, where it stays when the listener is closed.
    number: ListenerNumber,
}

/// Listeners that were opened, and their keys in the order of their addresses.
pub(super) struct Opened<N: Net> {
    pub(super) listeners: Arena<Listener<N>>,
    pub(super) order: Vec<Key>,
}

impl<N: Net> Opened<N> {
    /// No listener.
    pub(super) fn none() -> Opened<N> {
        Opened { listeners: Arena::default(), order: Vec::new() }
    }
}

/// A listener and whether its backlog may hold a client.
pub(super) struct Listener<N: Net> {
    pub(super) socket: N::Listener,
    pub(super) address: Address,
    pub(super) ready: bool,
}

impl<N: Net> Front<N> {
    /// A front of these listeners, accepted from in their order. Enters them in the counters.
    pub(super) fn new(opened: Opened<N>, metrics: &mut Metrics) -> Front<N> {
        let Opened { listeners, order } = opened;
        debug_assert_eq!(listeners.len(), order.len(), "each listener has its place");
        let places = order.into_iter().map(|key| Place {
            key,
            number: metrics.listener_opened(listeners[key].address.clone()),
        });
        let order = places.collect();
        Front { listeners, order, ready_count: 0, next: 0 }
    }

    /// The addresses that clients can connect to.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.order.iter().map(|place| &self.listeners[place.key].address)
    }

    /// Whether accepting is open, and there may be a client to accept or one that waits for
    /// resources.
    pub(super) fn could_accept(&self, relays: &Relays<N>) -> bool {
        relays.could_admit(self.ready_count > 0)
    }

    fn set_ready(&mut self, key: Key, is_ready: bool) {
        let before = std::mem::replace(&mut self.listeners[key].ready, is_ready);
        self.ready_count = self.ready_count - usize::from(before) + usize::from(is_ready);
        debug_assert!(self.ready_count <= self.listeners.len(), "each listener counts once");
    }

    /// Handles an event of a listener: its backlog is no longer empty.
    pub(super) fn on_event(&mut self, context: &mut Context<N>, token: Token) {
        match token.key_in(&self.listeners) {
            Some(key) => self.set_ready(key, true),
            None => context.metrics.events_stale += 1,
        }
    }
}

impl<N: Net + Host> Front<N> {
    /// Resumes accepting where an exchange has freed a descriptor, which may be waited for.
    pub(super) fn resume_accepting(&self, context: &mut Context<N>, relays: &mut Relays<N>) {
        if context.exchanges.take_freed() {
            relays.resume_admission(context);
        }
    }

    /// Accepts clients, within the limits of pairs and of a turn.
    ///
    /// Clients that were accepted before and lack a descriptor for their server go first, and pause
    /// accepting again if they still lack it. Otherwise clients would take each other's last
    /// descriptors, and none would be served.
    pub(super) fn accept(
        &mut self,
        context: &mut Context<N>,
        relays: &mut Relays<N>,
        upstream: &mut Upstream<N>,
    ) {
        if !self.could_accept(relays) {
            return;
        }
        relays.dial_waiting_for_resources(context, upstream);
        let (first, count) = (self.next, self.order.len());
        for place in (first..count).chain(0..first.min(count)) {
            for _ in 0..ACCEPTS_PER_TURN {
                if !relays.has_room() || !self.listeners[self.order[place].key].ready {
                    break;
                }
                self.accept_one(context, relays, upstream, place);
            }
        }
    }

    fn accept_one(
        &mut self,
        context: &mut Context<N>,
        relays: &mut Relays<N>,
        upstream: &mut Upstream<N>,
        place: usize,
    ) {
        let (key, token) = relays.reserve();
        let Place { key: listener, number } = self.order[place];
        let from = &mut self.listeners[listener];
        match context.net.accept(&mut from.socket, token.pack()) {
            Accept::WouldBlock => self.set_ready(listener, false),
            Accept::Connection(stream, address) => {
                self.next = place + 1;
                let client = Client { stream, address, listener: number };
                relays.admit(context, upstream, key, client);
            }
            // The client left before it was accepted; the next one may still be there.
            Accept::Failed(NetError::Aborted) => context.metrics.accepts_aborted += 1,
            Accept::Failed(error) => relays.pause_admission(context, error),
        }
    }

    /// Accepts the clients in the backlog, and stops listening.
    ///
    /// These clients believe that they are connected, and closing the listener would reset them.
    /// Their number is limited, since further ones may arrive faster than they are accepted. Done
    /// even if accepting is paused: a descriptor may be free by now.
    pub(super) fn close(
        &mut self,
        context: &mut Context<N>,
        relays: &mut Relays<N>,
        upstream: &mut Upstream<N>,
    ) {
        relays.resume_admission(context);
        for place in 0..self.order.len() {
            self.set_ready(self.order[place].key, true);
        }
        for _ in 0..ACCEPTS_AT_DRAIN / ACCEPTS_PER_TURN {
            self.accept(context, relays, upstream);
        }
        self.order.clear();
        self.ready_count = 0;
        for listener in self.listeners.drain() {
            context.net.close_listener(listener.socket);
        }
        // Nothing is dialed for new clients from now on; the addresses of the admin side may stay.
        context.own_listeners.clear();
    }
}
