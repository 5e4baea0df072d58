//! Counters of a whole run, in one struct. They count, and decide nothing.
//!
//! ```text
//!   accepted ──► open ──► ended, by cause and phase
//!            by listener
//! ```
//!
//! `accepted = open + ended` holds at any moment, for each listener and in total; a rejected client
//! counts as ended. Other counters are elsewhere: those of an endpoint in the endpoint
//! ([`crate::upstream::Tally`]), those of look-ups in discovery ([`crate::discovery::Lookups`]).
//! The log itself says how many of its lines were dropped (`net/stderr.rs`).

use std::fmt;

use crate::address::Address;
use crate::relay::ending::{Cause, EndedIn, Ending};
use crate::relay::step::Side;
use crate::upstream::{CheckCounts, Dials};

/// Counts since the start, and gauges of the present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Clients accepted.
    pub clients_accepted: u64,
    /// Pairs that are open: clients with or without a server. A gauge.
    pub pairs_open: usize,
    /// Pairs whose server connection was established.
    pub pairs_connected: u64,
    /// Pairs that ended.
    pub endings: Endings,
    /// Clients that waited before a dial of theirs began, each once: for an endpoint, which some
    /// were then served by, or for a descriptor or memory.
    pub clients_waited: u64,
    /// Times that an accepted client was the last one that `--max-connections` allows: further ones
    /// wait in the backlog.
    pub connections_max_reached: u64,
    /// Clients that were rejected: closed by us before they had a server.
    pub rejections: Rejections,
    /// Listeners by number, also closed ones. Those of the start are first, in the order in which
    /// their addresses were typed.
    pub listeners: Vec<Listener>,
    /// Dials for clients.
    pub dials: Dials,
    /// Dials for clients that did not begin, for want of a descriptor or memory. The client waited,
    /// and the dial was tried again.
    pub dials_postponed: u64,
    /// Dials of the monitor.
    pub probes: Dials,
    /// Health checks.
    pub checks: CheckCounts,
    /// Requests of sources of endpoints to servers.
    pub asks: AskCounts,
    /// Lists of members that named other endpoints than before.
    pub members_followed: u64,
    /// Times that an endpoint without health checks was silent for longer than ever.
    pub silences: u64,
    /// Clients that were gone before they were accepted.
    pub accepts_aborted: u64,
    /// Times that accepting paused for want of descriptors or memory.
    pub accept_pauses: u64,
    /// Events for a socket that was closed before.
    pub events_stale: u64,
    /// Payload delivered from clients to servers, and from servers to clients, of pairs that have
    /// ended; bytes.
    pub client_bytes: u64,
    pub server_bytes: u64,
}

/// Requests of sources of endpoints to servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskCounts {
    /// Those that were sent, or were to be.
    pub begun: u64,
    /// Those that had no answer, or none that can be read as HTTP.
    pub failed: u64,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address that clients connect to.
    pub address: Address,
    /// Clients accepted there.
    pub accepted: u64,
    /// Clients accepted there that are open. A gauge.
    pub open: u64,
}

/// Identifies a listener for the whole run: a number from 0 in the order of opening, which no later
/// listener has again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerNumber(u16);

impl ListenerNumber {
    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Pairs that ended, by cause and phase, in the words of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    counts: [[u64; EndedIn::COUNT]; Cause::COUNT],
    unserved: u64,
}

impl Endings {
    /// The number of pairs that ended by this cause in this phase.
    pub fn of(&self, ending: Ending) -> u64 {
        self.counts[ending.cause.index()][ending.phase.index()]
    }

    /// The number of pairs that ended by this cause, in any phase.
    pub fn by(&self, cause: Cause) -> u64 {
        self.counts[cause.index()].iter().sum()
    }

    /// The number of pairs that ended.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The number of clients that we closed before they had a server; see [`Ending::is_unserved`].
    pub fn unserved(&self) -> u64 {
        self.unserved
    }

    fn add(&mut self, ending: Ending) {
        self.counts[ending.cause.index()][ending.phase.index()] += 1;
        self.unserved += u64::from(ending.is_unserved());
        debug_assert!(self.unserved <= self.total(), "more clients than pairs ended");
    }
}

/// Why a client was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Discovery has found no endpoint so far.
    NoEndpointKnown,
    /// All endpoints are out of rotation, and none may be dialed as a last resort yet.
    NoEndpointActive,
    /// Endpoints are in rotation, but the client's dials to them have failed.
    NoDialSucceeded,
    /// This host had no descriptor, port, route or memory for the client's dial.
    LocalShortage,
}

impl Rejection {
    /// All reasons, in the order of [`Rejections`].
    pub const ALL: [Rejection; 4] = [
        Rejection::NoEndpointKnown,
        Rejection::NoEndpointActive,
        Rejection::NoDialSucceeded,
        Rejection::LocalShortage,
    ];

    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            Rejection::NoEndpointKnown => "no_endpoint_known",
            Rejection::NoEndpointActive => "no_endpoint_active",
            Rejection::NoDialSucceeded => "no_dial_succeeded",
            Rejection::LocalShortage => "local_shortage",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Rejected clients by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    counts: [u64; Rejection::ALL.len()],
}

impl Rejections {
    /// Counts a rejected client.
    pub fn add(&mut self, reason: Rejection) {
        self.counts[reason as usize] += 1;
    }

    /// The number of clients that were rejected for this reason.
    pub fn of(&self, reason: Rejection) -> u64 {
        self.counts[reason as usize]
    }

    /// The number of rejected clients.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Metrics {
    /// Begins to count the clients of a listener that was opened, and returns its number.
    ///
    /// # Panics
    /// When 65,536 listeners were opened before.
    pub fn listener_opened(&mut self, address: Address) -> ListenerNumber {
        let number = u16::try_from(self.listeners.len()).expect("listeners are few");
        self.listeners.push(Listener { address, accepted: 0, open: 0 });
        ListenerNumber(number)
    }

    /// The listener with this number.
    pub fn listener(&self, number: ListenerNumber) -> &Listener {
        &self.listeners[number.index()]
    }

    /// Counts an accepted client.
    pub fn client_accepted(&mut self, listener: ListenerNumber) {
        let listener = &mut self.listeners[listener.index()];
        listener.accepted += 1;
        listener.open += 1;
        self.clients_accepted += 1;
        self.pairs_open += 1;
        debug_assert!(
            listener.accepted <= self.clients_accepted,
            "more clients there than in total"
        );
        debug_assert!(listener.open <= self.pairs_open as u64, "more are open there than in total");
    }

    /// Counts a pair that has ended, and the bytes that it has delivered from its client and from
    /// its server.
    pub fn pair_ended(&mut self, listener: ListenerNumber, ending: Ending, bytes: [u64; 2]) {
        debug_assert!(
            ending.phase != EndedIn::Dialing || bytes == [0, 0],
            "bytes delivered without a server"
        );
        self.pairs_open -= 1;
        self.listeners[listener.index()].open -= 1;
        self.endings.add(ending);
        self.client_bytes += bytes[Side::Client.index()];
        self.server_bytes += bytes[Side::Server.index()];
    }

    /// The number of pairs that ended with everything delivered.
    pub fn pairs_completed(&self) -> u64 {
        self.endings.by(Cause::Completed)
    }

    /// The number of pairs that were cut at the end: by the drain timeout or a second signal.
    pub fn pairs_cut(&self) -> u64 {
        self.endings.by(Cause::DrainTimeout)
    }

    /// Checks what must hold at any moment, for this number of open `pairs`.
    ///
    /// # Panics
    /// When it does not hold, with debug assertions.
    pub fn check_invariants(&self, pairs: usize) {
        if !cfg!(debug_assertions) {
            return;
        }
        assert_eq!(self.pairs_open, pairs, "open pairs");
        let accepted: u64 = self.listeners.iter().map(|listener| listener.accepted).sum();
        let open_of_all: u64 = self.listeners.iter().map(|listener| listener.open).sum();
        let open = pairs as u64;
        assert_eq!(self.clients_accepted, open + self.endings.total(), "accepted = open + ended");
        assert_eq!(accepted, self.clients_accepted, "by listener");
        assert_eq!(open_of_all, open, "by listener");
        assert_eq!(self.rejections.total(), self.endings.unserved(), "rejected clients");
        assert_eq!(self.pairs_connected, self.dials.succeeded, "each pair by one dial");
        assert!(self.dials.in_flight() <= open, "dials without a client");
        assert!(self.pairs_connected <= self.clients_accepted, "a server without a client");
        let bytes = self.client_bytes + self.server_bytes;
        assert!(bytes == 0 || self.pairs_connected > 0, "bytes delivered without a server");
        for phase in [EndedIn::Dialing, EndedIn::Flushing] {
            let ending = Ending { cause: Cause::Completed, phase };
            assert_eq!(self.endings.of(ending), 0, "complete, and not all was delivered");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const COMPLETED: Ending = Ending { cause: Cause::Completed, phase: EndedIn::Relaying };
    const REJECTED: Ending = Ending { cause: Cause::Rejected, phase: EndedIn::Dialing };

    fn address(port: u16) -> Address {
        Address::Inet((Ipv4Addr::LOCALHOST, port).into())
    }

    #[test]
    fn what_was_accepted_is_open_or_has_ended() {
        let mut metrics = Metrics::default();
        let [one, other] = [1, 2].map(|port| metrics.listener_opened(address(port)));
        for listener in [other, one, other] {
            metrics.client_accepted(listener);
        }
        metrics.check_invariants(3);
        metrics.dials.begun += 1;
        metrics.dials.succeeded += 1;
        metrics.pairs_connected += 1;
        metrics.pair_ended(other, COMPLETED, [5, 7]);
        metrics.check_invariants(2);
        metrics.rejections.add(Rejection::NoEndpointKnown);
        metrics.pair_ended(one, REJECTED, [0, 0]);
        metrics.check_invariants(1);
        let want = [(1, 1, 0), (2, 2, 1)].map(|(port, accepted, open)| Listener {
            address: address(port),
            accepted,
            open,
        });
        assert_eq!(metrics.listeners, want);
        assert_eq!((metrics.client_bytes, metrics.server_bytes), (5, 7));
        assert_eq!((metrics.endings.of(COMPLETED), metrics.endings.by(Cause::Rejected)), (1, 1));
        let other = Ending { phase: EndedIn::Flushing, ..COMPLETED };
        assert_eq!((metrics.endings.of(other), metrics.endings.total()), (0, 2));
    }

    /// The first one may be closed while a client of it is open, and be opened again.
    #[test]
    fn listener_that_is_opened_later_has_counters_of_its_own() {
        let mut metrics = Metrics::default();
        let before = metrics.listener_opened(address(1));
        metrics.client_accepted(before);
        let after = metrics.listener_opened(address(1));
        assert_ne!(before, after);
        metrics.client_accepted(after);
        metrics.client_accepted(after);
        metrics.pair_ended(before, COMPLETED, [0, 0]);
        metrics.check_invariants(2);
        let counts = metrics.listeners.iter().map(|listener| (listener.accepted, listener.open));
        assert_eq!(counts.collect::<Vec<_>>(), [(1, 0), (2, 2)]);
    }

    #[test]
    #[should_panic(expected = "accepted = open + ended")]
    fn a_pair_that_is_counted_nowhere_is_noticed() {
        let mut metrics = Metrics::default();
        let listener = metrics.listener_opened(address(1));
        metrics.client_accepted(listener);
        metrics.pairs_open = 0;
        metrics.check_invariants(0);
    }

    #[test]
    fn rejections_are_counted_by_reason() {
        let mut rejections = Rejections::default();
        for (count, reason) in (1..).zip(Rejection::ALL) {
            (0..count).for_each(|_| rejections.add(reason));
            assert_eq!(rejections.of(reason), count, "{reason}");
        }
        assert_eq!(rejections.total(), 10);
    }
}
