//! From nothing to a reactor that can run: limits, endpoints, and the check that no endpoint leads
//! back to us.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;

use super::Reactor;
use super::accept::Acceptor;
use super::accept::Admission;
use super::drain::Life;
use super::listen::listen_on;
use super::pipes::Pipes;
use super::resolve::Finder;
use super::token::Generation;
use super::wheel::Wheel;
use crate::config::capacity::ConnectionsLimit;
use crate::config::duration::format_milliseconds;
use crate::config::{self, BUFFER_BYTES, Config, SPARE_BUFFERS_MAX};
use crate::discovery::{Discovery, Sources, Unusable};
use crate::net::{Net, NetError};
use crate::observe::journal::Journal;
use crate::observe::metrics::Metrics;
use crate::proto::dns::Wanted;
use crate::relay;
use crate::relay::buffer::Pool;
use crate::relay::flush::FlushInterval;
use crate::relay::inactivity::QuietLimits;
use crate::relay::splice::SpliceLimits;
use crate::upstream::{EndpointSet, EndpointSpec, RetryLimits};

/// What the reactor is held to; each value as in `config.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most pairs at a time, at least one.
    pub connections_max: usize,
    /// Most pipes at a time; 0: everything is copied.
    pub pipes_max: usize,
    /// How long an address that cannot be listened on yet is waited for; zero: not at all.
    pub listen_retry: Duration,
    /// Longest wait for one endpoint.
    pub connect_timeout: Duration,
    /// How long pairs may go on once the process was asked to end; zero: not at all.
    pub drain_timeout: Duration,
    /// The times that pairs are held to.
    pub pair: relay::Limits,
    /// When inactive endpoints are dialed again.
    pub retry: RetryLimits,
}

impl Limits {
    /// What `config` asks for, with so many pairs and pipes at most.
    pub fn new(config: &Config, connections: ConnectionsLimit) -> Limits {
        Limits {
            connections_max: connections.max,
            pipes_max: connections.pipes_max,
            listen_retry: config.listen_retry,
            connect_timeout: config.connect_timeout,
            drain_timeout: config.drain_timeout,
            pair: relay::Limits {
                quiet: QuietLimits {
                    half_closed: config.half_close_timeout,
                    open: config.idle_timeout,
                },
                flush: FlushInterval { min: config::FLUSH_CHECK_MIN, max: config::FLUSH_CHECK_MAX },
                splice: SpliceLimits {
                    after_reads: config::SPLICE_AFTER_READS,
                    bytes_min: config::SPLICE_BYTES_MIN,
                    small_max: config::SPLICES_SMALL_MAX,
                },
                lasting_after: config.lasting_after(),
            },
            retry: RetryLimits {
                delay_min: config::RETRY_DELAY_MIN,
                delay_max: config.retry_delay,
                last_resort_interval: config::LAST_RESORT_INTERVAL,
                absence_max: config::ABSENCE_MAX,
                absent_max: config::ABSENT_MAX,
            },
        }
    }
}

/// Below it a port takes a privilege, where net.ipv4.ip_unprivileged_port_start is not another one
/// (ip(7)).
const PRIVILEGED_PORTS: u16 = 1024;

/// Why the reactor could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: NetError,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Another listener of ours is there already: two names, or a name and an address, lead there.
    ListenTwice {
        /// The address.
        address: SocketAddr,
        /// The other listener, which is the same or covers it.
        other: SocketAddr,
    },
    /// Readiness itself fails.
    Wait(NetError),
    /// The process was asked to end before it was ready.
    Terminated,
    /// Connections to the endpoint would come back to our own listener.
    OwnEndpoint {
        /// The endpoint.
        endpoint: SocketAddr,
        /// The listener.
        listener: SocketAddr,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, error, waited } => {
                let reason = error.to_string().replace('_', " ");
                write!(f, "cannot listen on {address}: {reason}")?;
                if *error == NetError::Denied && address.port() < PRIVILEGED_PORTS {
                    let capability = "CAP_NET_BIND_SERVICE";
                    write!(f, "; a port below {PRIVILEGED_PORTS} takes {capability}")?;
                }
                match waited.is_zero() {
                    true => Ok(()),
                    false => write!(f, " (waited {})", format_milliseconds(*waited)),
                }
            }
            StartError::ListenTwice { address, other } => write!(
                f,
                "cannot listen on {address}: --listen-addr leads there twice, already listening on \
                 {other}"
            ),
            StartError::Wait(error) => write!(f, "cannot wait for events: {error}"),
            StartError::Terminated => f.write_str("asked to end before it was ready"),
            StartError::OwnEndpoint { endpoint, listener } => {
                write!(f, "endpoint {endpoint} leads back to our own listener {listener}")
            }
        }
    }
}

impl std::error::Error for StartError {}

impl<N: Net> Reactor<N> {
    /// Listens on every address and takes over the endpoints that are known by their addresses;
    /// names are looked up later. Nobody is let in before `run`.
    ///
    /// # Errors
    /// [`StartError`] when an address cannot be had, an endpoint is one of them, or the process was
    /// asked to end meanwhile.
    pub fn start(
        mut net: N,
        limits: Limits,
        listen: &[SocketAddr],
        sources: Sources,
    ) -> Result<Reactor<N>, StartError> {
        let acceptors = listen_on(&mut net, listen, limits.listen_retry)?;
        let now = net.now();
        let mut reactor = Reactor::new(net, limits, acceptors, Discovery::new(sources, now), now);
        let net = &mut reactor.net;
        // Of what was typed only an address that stands for several is left out without a route.
        let mut usability = |address: SocketAddr, is_resolved| {
            let is_lost = is_resolved && !net.has_route(address.ip());
            if is_lost { Err(Unusable::NoRoute) } else { Ok(()) }
        };
        let known = reactor.finder.discovery.take_found(&mut usability, now).unwrap_or_default();
        let specs: Vec<EndpointSpec> = known.iter().map(|found| found.spec).collect();
        for spec in &specs {
            reactor.refuse_own(spec.address)?;
        }
        reactor.endpoints.reconcile(&specs, now);
        Ok(reactor)
    }

    /// A reactor that knows no endpoint yet.
    pub(super) fn new(
        net: N,
        limits: Limits,
        acceptors: Vec<Acceptor<N::Listener>>,
        discovery: Discovery,
        now: Instant,
    ) -> Reactor<N> {
        assert!(limits.connections_max > 0, "a gateway that lets nobody in");
        Reactor {
            net,
            limits,
            now,
            life: Life::Running,
            acceptors,
            acceptor_next: 0,
            starved: Vec::new(),
            waiting: Vec::new(),
            recheck_waiting: false,
            admission: Admission::Open,
            slots: Slab::new(),
            generation: Generation::default(),
            endpoints: EndpointSet::new(limits.retry),
            finder: Finder::new(discovery),
            probes: Slab::new(),
            probes_planned: Vec::new(),
            wheel: Wheel::new(now),
            ready: Vec::new(),
            doomed: Vec::new(),
            probes_over: Vec::new(),
            events: Vec::new(),
            scratch: vec![0; BUFFER_BYTES].into_boxed_slice(),
            buffers: Pool::new(BUFFER_BYTES, SPARE_BUFFERS_MAX),
            pipes: Pipes::new(limits.pipes_max, now),
            journal: Journal::new(),
            journal_timer_armed: false,
            metrics: Metrics::default(),
        }
    }

    /// The addresses that clients can connect to.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.acceptors.iter().map(|acceptor| acceptor.address)
    }

    /// The names that have not been resolved so far.
    pub fn names_to_resolve(&self) -> impl Iterator<Item = &Wanted> {
        self.finder.discovery.names().unresolved()
    }

    fn refuse_own(&mut self, endpoint: SocketAddr) -> Result<(), StartError> {
        match self.own_listener(endpoint) {
            Some(listener) => Err(StartError::OwnEndpoint { endpoint, listener }),
            None => Ok(()),
        }
    }
}
