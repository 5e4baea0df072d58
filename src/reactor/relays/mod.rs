//! The pairs: their slots, the queue of those to pump, their timers, and the one teardown.
//!
//! Handlers only mark a pair as over; [`Relays::reap`] frees its slot, sockets, buffers, pipes and
//! timer at the end of the turn. One socket is closed earlier: that of a failed dial (`dial.rs`).
//! `relay` decides the steps of a pair, and `pump.rs` moves the bytes.

mod accounts;
mod admission;
mod closing;
mod dial;
mod pipes;
mod pump;
mod silence;
mod slot;
mod waiting_room;

use std::time::{Duration, Instant};

use self::accounts::{Accounts, close_account};
use self::admission::Admission;
use self::closing::Closing;
use self::pipes::Pipes;
use self::silence::Unanswered;
use self::slot::Slot;
use self::waiting_room::WaitingRoom;
use crate::address::Address;
use crate::arena::{Arena, Generation, Key};
use crate::config::{BUFFER_BYTES, SPARE_BUFFERS_MAX};
use crate::net::{Close, Host, Net, Readiness};
use crate::observe::events::{Event, Value};
use crate::observe::facts::Resources;
use crate::observe::metrics::ListenerNumber;
use crate::reactor::context::{Context, Timer};
use crate::reactor::start::Limits;
use crate::reactor::token::{Kind, Token};
use crate::reactor::upstream::Upstream;
use crate::reactor::wheel::Wheel;
use crate::relay::Phase;
use crate::relay::buffer::Pool;
use crate::relay::ending::{Cause, EndedIn};
use crate::relay::step::Side;
use crate::upstream::Suspicion;

/// All pairs, and the resources that they share.
pub(super) struct Relays<N: Net> {
    limits: Limits,
    slots: Arena<Slot<N>>,
    /// The generation of the last dial.
    dial_generation: Generation,
    /// Pairs to pump in this turn, or in the next turn once those of this turn were taken.
    ready: Vec<Key>,
    /// Pairs that are over, to be reaped in this turn.
    doomed: Vec<Key>,
    waiting_room: WaitingRoom,
    admission: Admission,
    unanswered: Unanswered,
    closing: Closing,
    buffers: Pool,
    pipes: Pipes<N::Pipe>,
    /// `None` where nothing is shown.
    accounts: Option<Box<Accounts>>,
}

/// A client that was just accepted.
pub(super) struct Client<N: Net> {
    pub(super) stream: N::Stream,
    pub(super) address: Address,
    /// The listener that it came to.
    pub(super) listener: ListenerNumber,
}

impl<N: Net> Relays<N> {
    /// Bytes of book-keeping for one pair: its slot, its timer, its places in two queues.
    pub(super) const PAIR_BYTES: usize =
        Arena::<Slot<N>>::ENTRY_BYTES + Wheel::<Timer>::TIMER_BYTES + 2 * size_of::<Key>();

    /// Relays without a pair. `is_shown`: whether something shows what is recorded of pairs.
    pub(super) fn new(limits: Limits, is_shown: bool, now: Instant) -> Relays<N> {
        Relays {
            limits,
            slots: Arena::default(),
            dial_generation: Generation::default(),
            ready: Vec::new(),
            doomed: Vec::new(),
            waiting_room: WaitingRoom::default(),
            admission: Admission::Open,
            unanswered: Unanswered::new(limits.first_look, now),
            closing: Closing::new(limits.close_rate, now),
            buffers: Pool::new(BUFFER_BYTES, SPARE_BUFFERS_MAX),
            pipes: Pipes::new(limits.pipes_max, now),
            accounts: is_shown.then(Box::default),
        }
    }

    /// How long running pairs may go on once the process was asked to end.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.limits.drain_timeout
    }

    /// The number of pairs.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Updates the timer of the pair, and marks a pair that is over for reaping. To be called after
    /// every change of a pair.
    fn sync(&mut self, context: &mut Context<N>, key: Key) {
        self.slots[key].sync(key, &mut self.doomed, &self.limits.pair, context);
    }

    /// Ends every pair that still runs, with a reset on both sides.
    pub(super) fn end_all(&mut self, context: &mut Context<N>) {
        let keys: Vec<Key> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.slots[key].pair.end(Cause::DrainTimeout);
            self.sync(context, key);
        }
    }

    /// The resources of pairs that are in use, and how many there may be.
    pub(super) fn resources(&self) -> Resources {
        Resources {
            connections_max: self.limits.connections_max,
            pipes: self.pipes.lent(),
            pipes_max: self.limits.pipes_max,
            buffers: self.buffers.lent(),
        }
    }

    /// Whether a pair waits to be pumped.
    pub(super) fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether there is a client to let in, given that the backlog of a listener may hold one, or
    /// one to go on with; and nothing in the way.
    pub(super) fn could_admit(&self, has_backlog: bool) -> bool {
        match self.admission {
            Admission::Open => {
                self.waiting_room.has_resource_waiters() || (has_backlog && self.has_room())
            }
            Admission::Paused(_) => false,
        }
    }

    /// A descriptor or memory may have become free: clients may be let in again.
    pub(super) fn resume_admission(&mut self, context: &mut Context<N>) {
        self.admission.resume(context);
    }

    /// The token of the client that is accepted next, for [`Relays::admit`].
    pub(super) fn reserve(&mut self) -> (Key, Token) {
        let key = self.slots.reserve();
        (key, Token::new(Kind::Pair(Side::Client), key))
    }

    /// Whether one more client may be accepted.
    pub(super) fn has_room(&self) -> bool {
        self.admission == Admission::Open && self.slots.len() < self.limits.connections_max
    }

    /// Checks what must hold between two turns; cheap enough for every turn.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.slots.len() <= self.limits.connections_max, "more pairs than allowed");
        debug_assert!(self.doomed.is_empty(), "not reaped");
        debug_assert!(self.unanswered.is_bounded(self.slots.len()), "a pair is listed twice");
        let Resources { buffers, pipes, .. } = self.resources();
        debug_assert!(buffers + pipes <= 2 * self.slots.len(), "buffers or pipes without a pair");
        debug_assert!(pipes <= self.limits.pipes_max, "more pipes than allowed");
    }
}

impl<N: Net + Host> Relays<N> {
    /// Lets in a client that was accepted by the token just reserved, and dials for it.
    pub(super) fn admit(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
        client: Client<N>,
    ) {
        let Client { stream, address, listener } = client;
        context.metrics.client_accepted(listener);
        self.slots.fill(key, Slot::new(stream, address, listener, context.now));
        if let Some(accounts) = &mut self.accounts {
            accounts.open(key);
        }
        let is_full = self.slots.len() == self.limits.connections_max;
        context.metrics.connections_max_reached += u64::from(is_full);
        self.dial_next(context, upstream, key);
    }

    /// Handles an event of one side's socket.
    pub(super) fn on_event(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        side: Side,
        token: Token,
        readiness: Readiness,
    ) {
        let found = self.slots.at_mut(token.slot);
        let Some((key, mut slot)) = found.filter(|(key, slot)| slot.is_current(*key, side, token))
        else {
            context.metrics.events_stale += 1;
            return;
        };
        if side == Side::Server && matches!(slot.pair.phase(), Phase::Dialing(_)) {
            self.on_dial_event(context, upstream, key, readiness);
            slot = &mut self.slots[key];
            // The client may have gone on to another endpoint, which the event is not about.
            if !slot.is_current(key, side, token) {
                return;
            }
        }
        slot.pair.on_ready(side, readiness, context.now);
        slot.enqueue(key, &mut self.ready);
    }

    /// Handles a pair's deadline, or an earlier one that was not cancelled.
    pub(super) fn on_timer(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
    ) {
        let Some(slot) = self.slots.get_mut(key) else {
            debug_assert!(false, "a timer outlived its pair");
            return;
        };
        slot.timer = None;
        if matches!(slot.pair.phase(), Phase::Dialing(_)) {
            self.on_dial_timer(context, upstream, key);
        }
        // Bytes that have arrived in time are pumped first; only then is the deadline checked.
        self.slots[key].enqueue(key, &mut self.ready);
    }

    /// Tears down the pairs that are over.
    pub(super) fn reap(&mut self, context: &mut Context<N>, upstream: &mut Upstream<N>) {
        if self.doomed.is_empty() {
            return;
        }
        context.note_turn();
        // Each pair frees descriptors, for which accepting may be waiting.
        self.admission.resume(context);
        while let Some(key) = self.doomed.pop() {
            let slot =
                self.slots.remove(key).expect("a pair is marked once, and reaped here alone");
            self.tear_down(context, upstream, key, slot);
        }
        let slots = &self.slots;
        self.waiting_room.remove_gone(|key| !slots.contains(key));
        self.unanswered.prune(context, slots);
    }

    fn tear_down(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
        key: Key,
        slot: Slot<N>,
    ) {
        log_closed(context, &slot, upstream);
        close_account(&mut self.accounts, context, upstream, key, &slot);
        let Slot { pair, client, server, parked, timer, endpoint, listener, .. } = slot;
        let ending = pair.ending().expect("only a pair with an ending is marked for reaping");
        if let Some(timer) = timer {
            context.wheel.cancel(timer);
        }
        for parked in parked {
            parked.release(&mut context.net, &mut self.buffers, &mut self.pipes);
        }
        let bytes = Side::BOTH.map(|side| pair.flow(side).delivered());
        if let Some(endpoint) = endpoint.filter(|_| server.is_some()) {
            match ending.phase {
                EndedIn::Dialing => upstream.dial_abandoned(context, endpoint),
                _ => {
                    upstream.pair_closed(endpoint, bytes);
                    if ending.speaks_against_server(bytes) {
                        upstream.suspect(context, endpoint, Suspicion::Ended);
                    }
                }
            }
        }
        let set = if pair.resets_on_close() { Close::Reset } else { Close::Orderly };
        let due = if ending.is_orderly() { Close::Orderly } else { Close::Reset };
        for mut socket in [Some(client), server].into_iter().flatten() {
            if set != due {
                context.net.set_close(&mut socket, due);
            }
            context.net.close(socket);
        }
        context.metrics.pair_ended(listener, ending, bytes);
    }
}

fn log_closed<N: Net + Host>(context: &mut Context<N>, slot: &Slot<N>, upstream: &Upstream<N>) {
    let Some(ending) = slot.pair.ending() else { return };
    let endpoint = slot.endpoint.filter(|_| ending.phase != EndedIn::Dialing);
    let endpoint = endpoint.and_then(|endpoint| upstream.address(endpoint));
    let endpoint = endpoint.as_ref().map_or(&"none" as Value<'_>, |address| address);
    let age = context.now.saturating_duration_since(slot.accepted_at);
    context.log(Event::PairClosed {
        client: &slot.client_address,
        endpoint,
        cause: &ending.cause,
        phase: &ending.phase,
        duration_ms: age.as_millis(),
        client_bytes: slot.pair.flow(Side::Client).delivered(),
        server_bytes: slot.pair.flow(Side::Server).delivered(),
    });
}
