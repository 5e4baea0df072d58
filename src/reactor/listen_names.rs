//! Names to listen on: looked up by the loop itself, before it has a listener or an endpoint.
//!
//! The C library's resolver would block, without a deadline and regardless of signals. Our own
//! works as it does for endpoints: one deadline holds for all names, and a signal ends the wait.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Reactor;
use super::context::Timer;
use super::front::Opened;
use super::lifecycle::{Life, ShownBy};
use super::start::{Limits, spaced};
use crate::address::Address;
use crate::config::address::{Host, ListenAddress};
use crate::config::duration::format_duration;
use crate::config::special_address::SpecialAddress;
use crate::config::{DNS_RETRY_MIN, LISTEN_LOOKUP_MAX};
use crate::discovery::{AddressName, Discovery, Environment, ResolveError, Sources};
use crate::net::{self, Net, NetError};
use crate::proto::dns::Failure;

/// Why there is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenNameError {
    /// The name servers say that the name has no address.
    NoAddress {
        /// The address as typed.
        listen: ListenAddress,
        /// The result of the look-up.
        reason: ResolveError,
    },
    /// All addresses of the name are special ones, which no host has.
    Special {
        /// As typed.
        listen: ListenAddress,
        /// The class of the first.
        class: SpecialAddress,
    },
    /// No address was found in time.
    TimedOut {
        /// As typed.
        listen: ListenAddress,
        /// The last error.
        reason: ResolveError,
        /// The time limit of the look-up.
        within: Duration,
    },
    /// Waiting for events fails.
    Broken(NetError),
}

impl fmt::Display for ListenNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenNameError::NoAddress { listen, reason } => {
                write!(f, "cannot resolve {listen}: {}", spaced(reason))
            }
            ListenNameError::Special { listen, class } => {
                write!(f, "cannot listen on {listen}: its name leads to a {}", spaced(class))
            }
            ListenNameError::TimedOut { listen, reason, within } => {
                let within = format_duration(*within);
                write!(f, "cannot resolve {listen} within {within}: {}", spaced(reason))
            }
            ListenNameError::Broken(error) => write!(f, "cannot wait for events: {error}"),
        }
    }
}

impl std::error::Error for ListenNameError {}

/// The addresses to listen on.
#[derive(Debug)]
pub struct Listeners<N> {
    /// The network that was used to find them.
    pub net: N,
    /// One address for each that was typed, in that order.
    pub addresses: Vec<Address>,
    /// The rest of `--listen-retry`.
    pub retry: Duration,
}

/// Finds the addresses of `listen`; `None` if the process was asked to end meanwhile. No name
/// server is asked where no name was typed.
///
/// Of a name with several addresses one is taken: the first that is this host's, IPv4 before IPv6,
/// or else the first. (Go's net.Listen, and so etcd, takes the first IPv4 address, and fails where
/// that is another host's.)
///
/// # Errors
/// [`ListenNameError`] when no name server has answered in time, or a name has no address; the
/// latter at once or, with `--listen-retry`, after that time.
pub fn resolve_listeners<N: Net + net::Host>(
    mut net: N,
    limits: Limits,
    listen: &[ListenAddress],
    environment: Environment,
) -> Result<Option<Listeners<N>>, ListenNameError> {
    let now = net.now();
    let mut retry = limits.listen_retry;
    let names = listen.iter().filter_map(name_of).map(|name| AddressName(name.to_owned()));
    let sources = Sources::new(Duration::ZERO, environment).with(names);
    let mut discovery = Discovery::new(sources, now);
    if !discovery.names().is_empty() {
        let shown = ShownBy::nothing();
        let mut reactor = Reactor::new(net, limits, Opened::none(), shown, discovery, None, now);
        let is_known = look_up(&mut reactor, listen, limits.listen_retry)?;
        reactor.upstream.stop(&mut reactor.context);
        retry = retry.saturating_sub(reactor.context.now - now);
        if !is_known {
            return Ok(None);
        }
        net = reactor.context.net;
        discovery = reactor.upstream.into_discovery();
    }
    let mut addresses = Vec::with_capacity(listen.len());
    for address in listen {
        addresses.push(match address {
            ListenAddress::Any { port } => Address::from(([0_u16; 8], *port)),
            ListenAddress::Host { host: Host::Address(ip), port } => Address::from((*ip, *port)),
            ListenAddress::Host { host: Host::Name(name), port } => {
                let known = discovery.names().addresses_of(name).and_then(Result::ok);
                let ip = choose(&known.unwrap_or_default(), |ip| net.is_local(ip));
                let listen = address.clone();
                let ip = ip.map_err(|class| ListenNameError::Special { listen, class })?;
                Address::from((ip, *port))
            }
        });
    }
    Ok(Some(Listeners { net, addresses, retry }))
}

/// Runs the loop until all names have addresses. Returns false if the process was asked to end.
fn look_up<N: Net + net::Host>(
    reactor: &mut Reactor<N>,
    listen: &[ListenAddress],
    retry: Duration,
) -> Result<bool, ListenNameError> {
    let began = reactor.context.now;
    for deadline in [retry, retry.max(LISTEN_LOOKUP_MAX)] {
        reactor.context.wheel.arm(began + deadline, Timer::Listen);
    }
    let mut again_at = began;
    while matches!(reactor.life, Life::Running) {
        let discovery = reactor.upstream.discovery();
        let Some((listen, reason)) = missing_name(discovery, listen, retry) else {
            return Ok(true);
        };
        let now = reactor.context.now;
        let within = lookup_limit(reason, retry);
        if now >= began + within {
            let listen = listen.clone();
            return Err(match within.is_zero() {
                true => ListenNameError::NoAddress { listen, reason },
                false => ListenNameError::TimedOut { listen, reason, within },
            });
        }
        // Negative answers are cached for longer than `--listen-retry` may be.
        if !retry.is_zero() && now >= again_at {
            reactor.upstream.recheck_all_names(now);
            again_at = now + DNS_RETRY_MIN;
            reactor.context.wheel.arm(again_at, Timer::Listen);
        }
        reactor.turn().map_err(ListenNameError::Broken)?;
    }
    Ok(false)
}

/// A name without an address, and why: the first of those with the shortest time limit.
fn missing_name<'a>(
    discovery: &Discovery,
    listen: &'a [ListenAddress],
    retry: Duration,
) -> Option<(&'a ListenAddress, ResolveError)> {
    let missing = listen.iter().filter_map(|address| {
        match discovery.names().addresses_of(name_of(address)?) {
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some((address, reason)),
            None => Some((address, ResolveError::Failed(Failure::TimedOut))),
        }
    });
    missing.min_by_key(|(_, reason)| lookup_limit(*reason, retry))
}

/// How long a name is looked up that has no address for this reason. A name without records is like
/// a missing address: a mistake, unless `--listen-retry` says to wait for it.
fn lookup_limit(reason: ResolveError, retry: Duration) -> Duration {
    match reason {
        ResolveError::NoSuchName | ResolveError::NoRecord => retry,
        ResolveError::Failed(_) => retry.max(LISTEN_LOOKUP_MAX),
    }
}

fn name_of(address: &ListenAddress) -> Option<&str> {
    match address {
        ListenAddress::Host { host: Host::Name(name), .. } => Some(name),
        ListenAddress::Host { host: Host::Address(_), .. } | ListenAddress::Any { .. } => None,
    }
}

/// Chooses the address to listen on. A filtering name server answers `0.0.0.0` for a name that it
/// blocks, and a user who types a name does not mean all addresses.
fn choose(
    addresses: &[IpAddr],
    mut is_local: impl FnMut(IpAddr) -> bool,
) -> Result<IpAddr, SpecialAddress> {
    let usable = addresses.iter().copied().filter(|ip| SpecialAddress::of(*ip).is_none());
    let special = addresses.iter().find_map(|ip| SpecialAddress::of(*ip));
    let chosen = usable.clone().find(|ip| is_local(*ip)).or_else(|| usable.clone().next());
    chosen.ok_or(special.unwrap_or(SpecialAddress::Unspecified))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_first_address_that_is_ours_is_taken() {
        for (addresses, want) in [
            (&["127.0.0.1"][..], Ok("127.0.0.1")),
            (&["10.0.0.1", "127.0.0.2", "127.0.0.3", "::1"], Ok("127.0.0.2")),
            (&["10.0.0.1", "::1"], Ok("::1")),
            (&["10.0.0.1", "10.0.0.2"], Ok("10.0.0.1")),
            (&["0.0.0.0", "10.0.0.2"], Ok("10.0.0.2")),
            (&["0.0.0.0", "::"], Err(SpecialAddress::Unspecified)),
            (&["224.0.0.1"], Err(SpecialAddress::Multicast)),
        ] {
            let parsed: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
            let want = want.map(ip);
            assert_eq!(choose(&parsed, |ip| ip.is_loopback()), want, "{addresses:?}");
        }
    }

    #[test]
    fn a_name_is_looked_up_for_as_long_as_an_address_is_waited_for() {
        let second = Duration::from_secs(1);
        let silent = ResolveError::Failed(Failure::TimedOut);
        for (reason, retry, want) in [
            (ResolveError::NoSuchName, 0, 0),
            (ResolveError::NoRecord, 3, 3),
            (ResolveError::NoSuchName, 30, 30),
            (silent, 0, 10),
            (silent, 3, 10),
            (silent, 30, 30),
        ] {
            assert_eq!(lookup_limit(reason, retry * second), want * second, "{reason} {retry}");
        }
    }

    #[test]
    fn errors_name_the_address_and_what_was_waited_for() {
        let listen: ListenAddress = "gw.test:1".parse().expect("an address");
        let reason = ResolveError::Failed(Failure::TimedOut);
        let within = LISTEN_LOOKUP_MAX;
        let timed_out = ListenNameError::TimedOut { listen: listen.clone(), reason, within };
        assert_eq!(
            timed_out.to_string(),
            "cannot resolve gw.test:1 within 10s: name server timed out"
        );
        let none = ListenNameError::NoAddress { listen, reason: ResolveError::NoSuchName };
        assert_eq!(none.to_string(), "cannot resolve gw.test:1: no such name");
    }
}
