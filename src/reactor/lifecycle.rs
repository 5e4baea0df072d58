//! Start, run and orderly end of the reactor: at the end listeners close, and running pairs go on
//! for at most the drain timeout.

use std::rc::Rc;
use std::time::Instant;

use super::Reactor;
use super::admin::Admin;
use super::context::{Context, Timer};
use super::front::{Front, Opened};
use super::listen::listen_on;
use super::relays::Relays;
use super::start::{Limits, StartError, Views};
use super::token::Kind;
use super::upstream::Upstream;
use crate::address::Address;
use crate::config::admin::AccessLogFormat;
use crate::discovery::{Discovery, Sources};
use crate::net::{Host, Net, NetError, Telemetry};
use crate::observe::events::Event;
use crate::observe::facts::RunState;
use crate::proto::tls::Connector;
use crate::upstream::EndpointSpec;

/// The stage of the reactor's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Clients are accepted.
    Running,
    /// The process was asked to end, in this turn. Discovery and probes have stopped; the accept
    /// step accepts the clients in the backlog, and then no more. `at_once`: the process was asked
    /// twice, so running pairs are cut.
    Closing { at_once: bool },
    /// No client is accepted; running pairs go on.
    Draining,
    /// No pair is left.
    Over,
}

/// What shows the run.
pub(super) struct ShownBy<N: Net> {
    /// The listeners of the admin side.
    pub(super) admin: Opened<N>,
    /// The form of the lines of the access log; `None`: there is none.
    pub(super) access_log: Option<AccessLogFormat>,
}

impl<N: Net> ShownBy<N> {
    /// Nothing does.
    pub(super) fn nothing() -> ShownBy<N> {
        ShownBy { admin: Opened::none(), access_log: None }
    }
}

impl Life {
    /// The stage, as it is shown.
    pub(super) fn shown(self) -> RunState {
        match self {
            Life::Running => RunState::Running,
            Life::Closing { .. } | Life::Draining | Life::Over => RunState::Draining,
        }
    }
}

impl<N: Net + Host> Reactor<N> {
    /// Listens on every address and takes over the endpoints that are known by their addresses;
    /// names are looked up later. No client is accepted before `run`, and none of the admin side is
    /// answered. `connector` begins the TLS
    /// sessions that verify endpoints; it may be absent where none has to be verified.
    ///
    /// # Errors
    /// [`StartError`] when an address cannot be listened on, an endpoint leads back to a listener,
    /// or the process was asked to end meanwhile.
    pub fn start(
        mut net: N,
        limits: Limits,
        listen: &[Address],
        views: Views<'_>,
        sources: Sources,
        connector: Option<Rc<dyn Connector>>,
    ) -> Result<Reactor<N>, StartError> {
        // Those of the admin side first: while an address is waited for, no client of another one
        // can connect and remain without service.
        let mut retry = limits.listen_retry;
        let mut admin = Opened::none();
        if !views.admin.is_empty() {
            let began = net.now();
            admin = listen_on(&mut net, views.admin, Kind::AdminListener, retry)?;
            retry = retry.saturating_sub(net.now() - began);
        }
        let opened = listen_on(&mut net, listen, Kind::Listener, retry)?;
        let now = net.now();
        let discovery = Discovery::new(sources, now);
        let shown = ShownBy { admin, access_log: views.access_log };
        let mut reactor = Reactor::new(net, limits, opened, shown, discovery, connector, now);
        let Reactor { context, upstream, .. } = &mut reactor;
        // An endpoint at one of our own listeners ends the start, see below.
        let specs = upstream
            .take_first(&mut |address, is_resolved| context.check_route(address, is_resolved), now);
        for EndpointSpec { address, .. } in &specs {
            if let Some(listener) = context.own_listener(address) {
                let (endpoint, listener) = (address.clone(), listener.clone());
                return Err(StartError::OwnEndpoint { endpoint, listener });
            }
        }
        upstream.begin_with(context, &specs);
        Ok(reactor)
    }

    /// A reactor without endpoints.
    pub(super) fn new(
        net: N,
        limits: Limits,
        opened: Opened<N>,
        shown: ShownBy<N>,
        discovery: Discovery,
        connector: Option<Rc<dyn Connector>>,
        now: Instant,
    ) -> Reactor<N> {
        assert!(limits.connections_max > 0, "a gateway that accepts no client");
        let mut context = Context::new(net, now);
        let front = Front::new(opened, &mut context.metrics);
        let ShownBy { admin, access_log } = shown;
        let (admin, is_shown) = (Admin::new(admin), access_log.is_some());
        let has_admin = admin.addresses().next().is_some();
        // Clients of an endpoint are not those of the admin side.
        let own = front.addresses().chain(admin.addresses());
        own.for_each(|address| context.own_listeners.add(address.clone()));
        if has_admin || is_shown {
            context.observe(access_log);
        }
        if has_admin {
            context.sample_once_a_second();
        }
        Reactor {
            context,
            life: Life::Running,
            front,
            admin,
            relays: Relays::new(limits, has_admin || is_shown, now),
            upstream: Upstream::new(&limits, discovery, connector, now),
            events: Vec::new(),
        }
    }

    /// Serves until the process is asked to end; then [`Reactor::drain`] is to be called.
    ///
    /// # Errors
    /// [`NetError`] when waiting for events fails, after which the process cannot go on.
    pub fn run(&mut self) -> Result<(), NetError> {
        while matches!(self.life, Life::Running) {
            self.turn()?;
        }
        Ok(())
    }

    /// Goes on until the running pairs have ended or the drain timeout is over.
    ///
    /// # Errors
    /// As for [`Reactor::run`].
    pub fn drain(&mut self) -> Result<(), NetError> {
        while !matches!(self.life, Life::Over) {
            self.turn()?;
        }
        Ok(())
    }

    /// Handles a signal that asks the process to end. A second one cuts running pairs.
    pub(super) fn on_terminate(&mut self) {
        match self.life {
            Life::Running => {
                self.upstream.stop(&mut self.context);
                self.life = Life::Closing { at_once: false };
            }
            Life::Closing { .. } => self.life = Life::Closing { at_once: true },
            Life::Draining | Life::Over => self.relays.end_all(&mut self.context),
        }
    }

    /// Accepts clients; once the process was asked to end, those in the backlog and no more.
    pub(super) fn accept(&mut self) {
        let Reactor { context, front, relays, upstream, .. } = self;
        match self.life {
            Life::Closing { at_once } => self.begin_drain(at_once),
            Life::Running | Life::Draining | Life::Over => front.accept(context, relays, upstream),
        }
    }

    fn begin_drain(&mut self, at_once: bool) {
        let Reactor { context, front, relays, upstream, .. } = self;
        front.close(context, relays, upstream);
        self.life = Life::Draining;
        let timeout = relays.drain_timeout();
        let pairs = relays.len();
        context.log(match pairs > 0 && !timeout.is_zero() {
            true => Event::DrainingPairs { pairs, timeout },
            false => Event::Draining { pairs, timeout },
        });
        if at_once || timeout.is_zero() {
            relays.end_all(context);
        } else {
            context.wheel.arm(context.now + timeout, Timer::Drain);
        }
    }

    pub(super) fn end_if_drained(&mut self) {
        if matches!(self.life, Life::Draining) && self.relays.len() == 0 {
            self.life = Life::Over;
            self.admin.close_all(&mut self.context);
            self.context.write_access_log();
            self.context.net.telemetry().finish_access_log();
            self.context.journal.log_rest(self.context.metrics.pairs_open);
        }
    }
}
