//! The limits of the reactor, and the errors of its start.

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::config::admin::AccessLogFormat;
use crate::config::capacity::ConnectionsLimit;
use crate::config::duration::format_milliseconds;
use crate::config::health::{CloseOnFailure, CloseOnRemoval, HealthCheckMode};
use crate::config::members::Preference;
use crate::config::{self, Config};
use crate::net::NetError;
use crate::relay;
use crate::relay::flush::FlushInterval;
use crate::relay::inactivity::InactivityLimits;
use crate::relay::splice::SpliceLimits;
use crate::upstream::{CheckLimits, RetryLimits};

/// The limits of the reactor; each value as in `config`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most pairs at a time, at least one.
    pub connections_max: usize,
    /// Most pipes at a time; 0: everything is copied.
    pub pipes_max: usize,
    /// The longest wait for an address that cannot be listened on yet; zero: no wait.
    pub listen_retry: Duration,
    /// Longest wait for one endpoint.
    pub connect_timeout: Duration,
    /// How long pairs may go on once the process was asked to end; zero: they are cut at once.
    pub drain_timeout: Duration,
    /// The time limits of pairs.
    pub pair: relay::Limits,
    /// When inactive endpoints are dialed again.
    pub retry: RetryLimits,
    /// When endpoints are checked, and how many results count.
    pub checks: CheckLimits,
    /// Longest wait for a connection of a health check, and again for its answer.
    pub check_timeout: Duration,
    /// Whether clients get the member that leads while it serves.
    pub prefers_leader: bool,
    /// When pairs of an endpoint that fails its checks are closed.
    pub close_on_failure: CloseOnFailure,
    /// When pairs of an endpoint that was removed are closed.
    pub close_on_removal: CloseOnRemoval,
    /// Most of these that are closed in a second, at least one.
    pub close_rate: u32,
    /// From bytes of a client without an answer to the first look at that.
    pub first_look: Duration,
}

impl Limits {
    /// The limits of `config`, with those of `connections` for pairs and pipes.
    pub fn new(config: &Config, connections: ConnectionsLimit) -> Limits {
        Limits {
            connections_max: connections.max,
            pipes_max: connections.pipes_max,
            listen_retry: config.listen.retry,
            connect_timeout: config.time_limits.connect_timeout,
            drain_timeout: config.time_limits.drain_timeout,
            pair: relay::Limits {
                inactivity: InactivityLimits {
                    half_closed: config.time_limits.half_close_timeout,
                    open: config.time_limits.idle_timeout,
                },
                flush: FlushInterval { min: config::FLUSH_CHECK_MIN, max: config::FLUSH_CHECK_MAX },
                splice: SpliceLimits {
                    after_reads: config::SPLICE_AFTER_READS,
                    bytes_min: config::SPLICE_BYTES_MIN,
                    small_max: config::SPLICES_SMALL_MAX,
                },
                deferred_options_after: config.deferred_options_after(),
            },
            retry: RetryLimits {
                delay_min: config::RETRY_DELAY_MIN,
                delay_max: config.endpoints.retry_delay,
                last_resort_interval: config::LAST_RESORT_INTERVAL,
                absence_max: config::ABSENCE_MAX,
                absent_max: config::ABSENT_MAX,
            },
            checks: CheckLimits {
                interval: config.health.interval,
                spacing: config::CHECK_SPACING,
                rise: config.health.rise,
                fall: config.health.fall,
            },
            check_timeout: config.health.timeout,
            prefers_leader: config.members.preference == Some(Preference::Leader),
            close_on_failure: config.health.close_on_failure,
            close_on_removal: config.health.close_on_removal,
            close_rate: config.health.close_rate,
            first_look: match config.health.check {
                HealthCheckMode::Off => config::SILENCE_UNUSUAL_AFTER,
                _ => config::SILENCE_MIN,
            },
        }
    }
}

/// How the run is shown to others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Views<'a> {
    /// The addresses of the admin side; none: there is none.
    pub admin: &'a [Address],
    /// The form of the lines of the access log; `None`: there is none.
    pub access_log: Option<AccessLogFormat>,
}

/// The lowest port without a privilege, by default (net.ipv4.ip_unprivileged_port_start, ip(7)).
const PRIVILEGED_PORTS: u16 = 1024;

/// Why the reactor could not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: Address,
        /// Why.
        error: NetError,
        /// The time of waiting for it.
        waited: Duration,
    },
    /// Another listener of this gateway has the address: two names, or a name and an address, lead
    /// there.
    ListenTwice {
        /// The address.
        address: Address,
        /// The other listener, which is the same or covers it.
        other: Address,
    },
    /// Waiting for events fails.
    Wait(NetError),
    /// The process was asked to end before it was ready.
    Terminated,
    /// Connections to the endpoint would lead back to a listener of this gateway.
    OwnEndpoint {
        /// The endpoint.
        endpoint: Address,
        /// The listener.
        listener: Address,
    },
}

/// A word of the log as it is written in a message: with blanks instead of underscores.
pub(super) fn spaced(word: &dyn fmt::Display) -> String {
    word.to_string().replace('_', " ")
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, error, waited } => {
                write!(f, "cannot listen on {address}: {}", spaced(error))?;
                let is_privileged = address.port().is_some_and(|port| port < PRIVILEGED_PORTS);
                if *error == NetError::Denied && is_privileged {
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
