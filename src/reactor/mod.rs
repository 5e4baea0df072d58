//! The loop. Carries facts from sockets to decisions, and out what is decided. Decides itself only
//! about resources of the process, and whether a client may wait (`Upstream::may_find_endpoint`).
//!
//! Each part owns its fields. Parts share a `Context`, and use another part only as an argument:
//! the front uses relays, relays use the upstream.
//!
//! ```text
//!   events ──► dispatch ──► front ───► relays ───► upstream: monitor, discovery
//!   timers ──►                └───────────┴───────────┴──► context: net, wheel, log, counters
//! ```
//!
//! A turn, in this order, with one clock read after the poll:
//! 1. `note_work`
//! 2. `on_event`, for each event
//! 3. `expire_timers`
//! 4. `accept`
//! 5. `pump_ready`
//! 6. `watch_spare_pipes`
//! 7. `run_discovery`
//! 8. `dial_waiting`
//! 9. `leave_failing`
//! 10. `reap`
//! 11. `write_access_log`
//! 12. `sync_records`
//! 13. `sample_pairs`
//! 14. `serve`
//! 15. `on_asked`
//! 16. `resume_accepting`
//! 17. `end_if_drained`
//! 18. `check_invariants`
//! 19. `measure_turn`
//!
//! Steps 11 to 16 are those of a notable turn: something is shown, and the turn does more than to
//! relay. Whatever gives them something to do notes the turn (`observer.rs`).
//!
//! An event handler only records the readiness of a socket and puts its pair into the ready queue,
//! so a pair is pumped once a turn, whatever its number of events. A pair that has spent its budget
//! and has work left goes into the queue of the next turn, which then does not wait.
//!
//! A handler only marks a pair as over; `reap` frees its slot and closes its sockets. Some sockets
//! are closed earlier: that of a failed dial (`relays/dial.rs`), that of an exchange at its end
//! (`exchanges.rs`), and the listeners when the process is asked to end (`lifecycle.rs`).

mod admin;
mod context;
mod exchanges;
mod faults;
mod front;
mod lifecycle;
mod listen;
mod listen_names;
mod observer;
mod own_listeners;
mod relays;
mod start;
pub mod token;
mod upstream;
pub mod wheel;

use std::time::Duration;

pub use self::listen_names::{ListenNameError, Listeners, resolve_listeners};
pub use self::start::{Limits, StartError, Views};

use self::admin::Admin;
use self::context::{Context, Timer};
use self::exchanges::Owner;
use self::front::Front;
use self::lifecycle::Life;
use self::observer::is_notable;
use self::relays::Relays;
use self::token::{Kind, Token};
use self::upstream::Upstream;
use crate::address::Address;
use crate::arena::Key;
use crate::discovery::Lookups;
use crate::net::{Event, Host, Net, NetError, Readiness};
use crate::observe::facts::Resources;
use crate::observe::metrics::Metrics;
use crate::proto::dns::Wanted;
use crate::upstream::EndpointSet;

/// The loop and its parts.
pub struct Reactor<N: Net + Host> {
    context: Context<N>,
    life: Life,
    front: Front<N>,
    admin: Admin<N>,
    relays: Relays<N>,
    upstream: Upstream<N>,
    events: Vec<Event>,
}

/// Resources that the reactor holds at present; all zero when nothing is open or scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Pairs.
    pub pairs: usize,
    /// Dials of the monitor.
    pub probes: usize,
    /// Connections of health checks.
    pub checks: usize,
    /// Connections of sources of endpoints.
    pub lines: usize,
    /// Timers that are armed: of pairs, probes, the monitor, unused pipes and summaries.
    pub timers: usize,
    /// Buffers that hold bytes of a flow.
    pub buffers: usize,
    /// Pipes that hold bytes of a flow.
    pub pipes: usize,
    /// Questions to name servers, each of which has a socket.
    pub exchanges: usize,
    /// Connections to the admin side.
    pub served: usize,
}

impl<N: Net + Host> Reactor<N> {
    /// Bytes of book-keeping for one pair: its slot, its timer, its places in two queues.
    pub const PAIR_BYTES: usize = Relays::<N>::PAIR_BYTES;

    /// The counters since the start.
    pub fn metrics(&self) -> &Metrics {
        &self.context.metrics
    }

    /// Look-ups by result.
    pub fn lookups(&self) -> &Lookups {
        self.upstream.discovery().names().lookups()
    }

    /// The resources that it holds at present.
    pub fn census(&self) -> Census {
        let Resources { buffers, pipes, .. } = self.relays.resources();
        Census {
            pairs: self.relays.len(),
            probes: self.context.exchanges.probes(),
            checks: self.context.exchanges.checks(),
            lines: self.context.exchanges.lines(),
            timers: self.context.wheel.len(),
            buffers,
            pipes,
            exchanges: self.context.exchanges.questions(),
            served: self.context.exchanges.served(),
        }
    }

    /// The endpoints and their health.
    pub fn endpoints(&self) -> &EndpointSet {
        self.upstream.endpoints()
    }

    /// The addresses that clients can connect to.
    pub fn listening(&self) -> impl Iterator<Item = &Address> {
        self.front.addresses()
    }

    /// The addresses of the admin side.
    pub fn admin_addresses(&self) -> impl Iterator<Item = &Address> {
        self.admin.addresses()
    }

    /// The names that have not been resolved so far.
    pub fn names_to_resolve(&self) -> impl Iterator<Item = &Wanted> {
        self.upstream.discovery().names().unresolved()
    }

    /// Runs one turn: waits for events and handles them.
    ///
    /// # Errors
    /// As for [`Reactor::run`].
    pub fn turn(&mut self) -> Result<(), NetError> {
        self.admin.note_work(&mut self.context);
        let timeout = self.poll_timeout();
        let mut events = std::mem::take(&mut self.events);
        let polled = self.context.net.poll(timeout, &mut events);
        self.context.now = self.context.net.now();
        for event in events.drain(..) {
            self.on_event(event);
        }
        self.events = events;
        polled?;
        self.expire_timers();
        self.accept();
        self.relays.pump_ready(&mut self.context);
        self.relays.watch_spare_pipes(&mut self.context);
        self.run_discovery();
        self.relays.dial_waiting(&mut self.context, &mut self.upstream);
        self.relays.leave_failing(&mut self.context, &mut self.upstream);
        self.reap();
        if is_notable(self.context.observer.as_deref()) {
            self.context.write_access_log();
            self.upstream.sync_records(&mut self.context);
            self.relays.sample_pairs(&mut self.context, &self.upstream);
            self.admin.serve(&mut self.context, &self.relays, &self.upstream, self.life.shown());
            self.upstream.on_asked(&mut self.context);
            self.front.resume_accepting(&mut self.context, &mut self.relays);
        }
        self.end_if_drained();
        self.check_invariants();
        self.context.measure_turn();
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let is_busy = is_notable(self.context.observer.as_deref())
            || self.relays.is_busy()
            || self.front.could_accept(&self.relays)
            || self.upstream.has_to_run();
        if is_busy || matches!(self.life, Life::Over) {
            return Some(Duration::ZERO);
        }
        self.context.wheel.time_to_next()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Signal(signal) if signal.asks_to_end() => self.on_terminate(),
            Event::Signal(_) => self.context.on_hang_up(),
            Event::Socket(word, readiness) => match Token::unpack(word) {
                Some(token) => self.on_socket_event(token, readiness),
                None => self.context.metrics.events_stale += 1,
            },
        }
    }

    fn on_socket_event(&mut self, token: Token, readiness: Readiness) {
        let Reactor { context, front, relays, upstream, admin, .. } = self;
        match token.kind {
            Kind::Listener => front.on_event(context, token),
            Kind::AdminListener => {
                context.note_turn();
                admin.on_listener_event(context, token);
            }
            Kind::Pair(side) => relays.on_event(context, upstream, side, token, readiness),
            Kind::Exchange | Kind::Check | Kind::Line => {
                self.on_exchange_event(token, readiness);
            }
        }
    }

    fn on_exchange_event(&mut self, token: Token, readiness: Readiness) {
        match self.context.exchanges.key_of(token) {
            Some(key) => self.advance_exchange(key, readiness),
            None => self.context.metrics.events_stale += 1,
        }
    }

    fn advance_exchange(&mut self, key: Key, readiness: Readiness) {
        let Reactor { context, upstream, admin, .. } = self;
        let Some(owner) = context.exchanges.owner(key) else { return };
        context.note_turn();
        if let Owner::Admin(_) = owner {
            admin.enqueue(key);
            return;
        }
        // The owner may close the exchange when it gets a report.
        while let Some(report) = context.advance_exchange(key, readiness) {
            upstream.on_report(context, owner, report);
        }
    }

    fn expire_timers(&mut self) {
        while let Some((_, timer)) = self.context.wheel.expire(self.context.now) {
            let Reactor { context, relays, upstream, admin, .. } = self;
            context.note_turn();
            match timer {
                Timer::Pair(key) => relays.on_timer(context, upstream, key),
                Timer::Monitor(endpoint) => upstream.probe(context, endpoint),
                Timer::Check(endpoint) => upstream.on_check_timer(context, endpoint),
                Timer::Exchange(key) => {
                    let owner = context.exchanges.owner(key);
                    debug_assert!(owner.is_some(), "a timer outlived its exchange");
                    if let Some(Owner::Admin(_)) = owner {
                        admin.on_expired(context, key);
                    } else if let Some(owner) = owner
                        && let Some(report) = context.expire_exchange(key)
                    {
                        upstream.on_report(context, owner, report);
                    }
                }
                Timer::ExchangePause(key) => {
                    context.end_exchange_pause(key);
                    let readiness = Readiness { readable: true, ..Readiness::default() };
                    self.advance_exchange(key, readiness);
                }
                Timer::Accept => relays.resume_admission(context),
                Timer::Sample => context.sample_once_a_second(),
                Timer::Admin(pause) => admin.on_timer(pause),
                Timer::Discovery => upstream.on_discovery_timer(),
                Timer::SparePipes => relays.on_spare_pipes_timer(context),
                Timer::Journal => context.on_journal_timer(),
                Timer::Drain => relays.end_all(context),
                // The timer has ended the wait; `look_up` and `leave_failing` compare the time.
                Timer::Listen | Timer::Silence | Timer::Closing => {}
            }
        }
    }

    /// Runs discovery if it is dirty, and applies the endpoints that it has found.
    fn run_discovery(&mut self) {
        let Reactor { context, relays, upstream, .. } = self;
        if !upstream.has_to_run() {
            return;
        }
        context.note_turn();
        upstream.begin_run(context);
        loop {
            let removed = upstream.begin_round(context);
            relays.abandon_dials(context, upstream, &removed);
            if !upstream.end_round(context, &removed) {
                break;
            }
        }
        upstream.end_run(context);
    }

    /// Frees the resources of everything that is over.
    fn reap(&mut self) {
        let Reactor { context, front, relays, upstream, .. } = self;
        front.resume_accepting(context, relays);
        relays.reap(context, upstream);
    }

    /// Checks what must hold between two turns; cheap enough for every turn.
    fn check_invariants(&self) {
        self.admin.check_invariants();
        self.relays.check_invariants();
        self.context.exchanges.check_invariants();
        self.context.metrics.check_invariants(self.relays.len());
        self.upstream.check_invariants(self.context.observer.is_some());
    }
}
