//! Listening on every address, and waiting for one that is not available yet.
//!
//! The gateway listens on all addresses or on none: while it waits for one, no client can connect
//! to another and remain without service. So the missing one is tried first, before the others.

use std::time::{Duration, Instant};

use super::front::{Listener, Opened};
use super::observer::reopen_access_log;
use super::start::StartError;
use super::token::{Kind, Token};
use crate::address::Address;
use crate::arena::{Arena, Key};
use crate::config::LISTEN_RETRY_INTERVAL;
use crate::config::listen::covers_address;
use crate::net::{Event, Host, Net, NetError, Signal};
use crate::observe::events::{Event as LogEvent, Value};
use crate::observe::journal::Journal;

/// The address that cannot be listened on.
struct Missing {
    index: usize,
    error: NetError,
    /// The listener of this gateway that conflicts with it.
    own: Option<Address>,
}

impl Missing {
    /// Whether the address may become available later.
    fn may_become_available(&self) -> bool {
        self.own.is_none() && may_become_available(self.error)
    }
}

/// Listens on all addresses, with sockets of this kind; tries again for up to `retry` while one may
/// become available.
pub(super) fn listen_on<N: Net + Host>(
    net: &mut N,
    addresses: &[Address],
    kind: Kind,
    retry: Duration,
) -> Result<Opened<N>, StartError> {
    let mut missing = match try_all(net, addresses, kind, 0) {
        Ok(opened) => return Ok(opened),
        Err(missing) => missing,
    };
    let (began, address) = (net.now(), &addresses[missing.index]);
    let (mut now, mut journal) = (began, Journal::new());
    while missing.may_become_available() && now < began + retry {
        if now == began {
            let (reason, timeout): (Value<'_>, _) = (&missing.error, retry);
            let event = LogEvent::WaitingForListenAddress { address, reason, timeout };
            journal.log(event, now, 0);
        }
        let paused = pause(net, LISTEN_RETRY_INTERVAL.min(began + retry - now), &mut journal);
        journal.log_rest(0);
        now = paused?;
        missing = match try_all(net, addresses, kind, missing.index) {
            Ok(opened) => return Ok(opened),
            Err(missing) => missing,
        };
    }
    let Missing { index, error, own } = missing;
    let address = addresses[index].clone();
    Err(match own {
        Some(other) => StartError::ListenTwice { address, other },
        None => StartError::Listen { address, error, waited: now - began },
    })
}

/// Listens on all addresses, beginning with the one at `first`, or on none.
fn try_all<N: Net>(
    net: &mut N,
    addresses: &[Address],
    kind: Kind,
    first: usize,
) -> Result<Opened<N>, Missing> {
    let mut listeners = Arena::default();
    let mut keys: Vec<(usize, Key)> = Vec::new();
    for index in (first..addresses.len()).chain(0..first) {
        match listen(net, &addresses[index], kind, index, &mut listeners) {
            Ok(key) => keys.push((index, key)),
            Err(missing) => {
                listeners.drain().for_each(|listener| net.close_listener(listener.socket));
                return Err(missing);
            }
        }
    }
    keys.sort_unstable_by_key(|(index, _)| *index);
    Ok(Opened { listeners, order: keys.into_iter().map(|(_, key)| key).collect() })
}

fn listen<N: Net>(
    net: &mut N,
    asked: &Address,
    kind: Kind,
    index: usize,
    listeners: &mut Arena<Listener<N>>,
) -> Result<Key, Missing> {
    let conflicting = {
        let mut ours = listeners.iter().map(|(_, listener)| &listener.address);
        ours.find(|own| overlap(own, asked)).cloned()
    };
    let key = listeners.reserve();
    let token = Token::new(kind, key).pack();
    // Which of several processes would answer is for the kernel to say: counters of one, and then
    // of another.
    let may_share = kind != Kind::AdminListener;
    let listened = match net.listen(asked, token, may_share) {
        // With SO_REUSEPORT the kernel allows two listeners of one process, too.
        Ok((socket, address))
            if listeners.iter().any(|(_, listener)| listener.address == address) =>
        {
            net.close_listener(socket);
            Err(NetError::AddressInUse)
        }
        listened => listened,
    };
    let (socket, address) = listened.map_err(|error| {
        let own = conflicting.filter(|_| error == NetError::AddressInUse);
        Missing { index, error, own }
    })?;
    listeners.fill(key, Listener { socket, address, ready: false });
    Ok(key)
}

/// Whether an address may become available later after this error: its interface comes up, the
/// check for duplicates of an IPv6 address ends (RFC 4862, section 5.4), or its owner ends.
fn may_become_available(error: NetError) -> bool {
    matches!(error, NetError::AddressNotAvailable | NetError::AddressInUse)
}

/// Whether one process cannot listen on both addresses.
fn overlap(one: &Address, other: &Address) -> bool {
    let (Some(one), Some(other)) = (one.inet(), other.inet()) else { return one == other };
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (a == b || covers_address(a, b) || covers_address(b, a))
}

/// Waits for `span`, and returns the time after it. Signals have the effect that they have later.
fn pause<N: Net + Host>(
    net: &mut N,
    span: Duration,
    journal: &mut Journal,
) -> Result<Instant, StartError> {
    let mut now = net.now();
    let until = now + span;
    let mut events = Vec::new();
    while now < until {
        net.poll(Some(until - now), &mut events).map_err(StartError::Wait)?;
        if events.iter().any(asks_to_end) {
            return Err(StartError::Terminated);
        }
        let hang_up = Event::Signal(Signal::HangUp);
        for _ in events.drain(..).filter(|event| *event == hang_up) {
            reopen_access_log(net).report(|event| journal.log(event, now, 0));
        }
        now = net.now();
    }
    Ok(now)
}

fn asks_to_end(event: &Event) -> bool {
    matches!(event, Event::Signal(signal) if signal.asks_to_end())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, want: bool) {
        let [one, other] = [one, other].map(|text| match text.parse() {
            Ok(inet) => Address::Inet(inet),
            Err(_) => Address::from(Path::new(text)),
        });
        assert_eq!(overlap(&one, &other), want, "{one} {other}");
        assert_eq!(overlap(&other, &one), want, "{other} {one}");
    }

    #[test]
    fn addresses_overlap_where_one_process_cannot_have_both() {
        check("127.0.0.1:1", "127.0.0.1:1", true);
        check("127.0.0.1:1", "127.0.0.1:2", false);
        check("127.0.0.1:1", "127.0.0.2:1", false);
        check("0.0.0.0:1", "127.0.0.2:1", true);
        check("0.0.0.0:1", "[::1]:1", false);
        check("0.0.0.0:1", "[::]:1", true);
        check("[::]:1", "127.0.0.1:1", true);
        check("[::]:1", "[::1]:1", true);
        check("[::]:1", "[::1]:2", false);
        check("127.0.0.1:1", "[::ffff:127.0.0.1]:1", true);
        check("127.0.0.1:1", "[::ffff:0.0.0.0]:1", true);
        check("[::1]:1", "[::ffff:0.0.0.0]:1", false);
        check("/run/a", "/run/a", true);
        check("/run/a", "/run/b", false);
        check("/run/a", "0.0.0.0:1", false);
    }

    #[test]
    fn only_an_address_that_is_missing_or_taken_is_waited_for() {
        assert!(
            may_become_available(NetError::AddressNotAvailable)
                && may_become_available(NetError::AddressInUse)
        );
        for error in [NetError::Denied, NetError::NetworkUnreachable, NetError::Descriptors] {
            assert!(!may_become_available(error), "{error}");
        }
    }
}
