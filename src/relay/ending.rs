//! Why a pair ended: the first cause and the phase it struck in, in the words of log and metrics.
//!
//! Owns names only. Which cause applies is decided in `relay/` and by the reactor.

use std::fmt;

use super::step::{Fault, Side};

/// The first thing that made a pair end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Both sides ended in order and everything was delivered.
    Completed,
    /// The connection of one side was lost.
    Lost(Side, Fault),
    /// Every endpoint that could be tried was tried and failed.
    NoEndpoint,
    /// There was none to try: no endpoint is known, or none is active and none may be dialed again
    /// yet.
    Rejected,
    /// For want of a descriptor, port, route or memory of our own.
    LocalShortage,
    /// Half-closed, and no byte moved for `--half-close-timeout`.
    HalfCloseTimeout,
    /// Fully open, and no byte moved for `--idle-timeout`.
    IdleTimeout,
    /// The endpoint fails its health checks, and another one serves.
    EndpointFailed,
    /// The endpoint has left the set, and another one serves.
    EndpointRemoved,
    /// Still running when `--drain-timeout` was over, or when a second signal came.
    DrainTimeout,
}

/// The phase in which the first cause struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedIn {
    /// No server connection was established yet.
    Dialing,
    /// Bytes could flow.
    Relaying,
    /// One side was lost, and what it had sent was not delivered to the other in full.
    Flushing,
}

/// Cause and phase together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What happened first.
    pub cause: Cause,
    /// When.
    pub phase: EndedIn,
}

impl Ending {
    /// All causes in all phases, also those that cannot be, by cause.
    pub fn all() -> impl Iterator<Item = Ending> {
        Cause::all().flat_map(|cause| EndedIn::ALL.map(|phase| Ending { cause, phase }))
    }

    /// Whether both sides may be shown an orderly end. In every other case they get a reset: no
    /// failure may look like a clean end of file.
    pub fn is_orderly(self) -> bool {
        let is_complete = self.cause == Cause::Completed;
        debug_assert!(!is_complete || self.phase == EndedIn::Relaying, "complete without a server");
        is_complete
    }

    /// Whether it speaks against the server: that was lost, or has ended without a byte in answer
    /// to those of its client. `bytes`: delivered from the client, and from the server.
    pub fn speaks_against_server(self, bytes: [u64; 2]) -> bool {
        let [client_bytes, server_bytes] = bytes;
        match self.cause {
            Cause::Lost(Side::Server, _) => true,
            Cause::Completed => client_bytes > 0 && server_bytes == 0,
            _ => false,
        }
    }

    /// Whether we closed a client that was still there before it had a server: for want of an
    /// endpoint, or of our own resources.
    pub fn is_unserved(self) -> bool {
        let is_ours =
            matches!(self.cause, Cause::NoEndpoint | Cause::Rejected | Cause::LocalShortage);
        is_ours && self.phase == EndedIn::Dialing
    }
}

impl Cause {
    /// How many causes there are; see [`Cause::index`].
    pub const COUNT: usize = Cause::UNRELATED.len() + 2 * Fault::COUNT;

    /// Those without a side and a fault, each at its [`Cause::index`].
    const UNRELATED: [Cause; 9] = [
        Cause::Completed,
        Cause::NoEndpoint,
        Cause::Rejected,
        Cause::LocalShortage,
        Cause::HalfCloseTimeout,
        Cause::IdleTimeout,
        Cause::DrainTimeout,
        Cause::EndpointFailed,
        Cause::EndpointRemoved,
    ];

    /// All causes, in the order of [`Cause::index`].
    pub fn all() -> impl Iterator<Item = Cause> {
        let sides = Side::BOTH.into_iter();
        let lost = sides.flat_map(|side| Fault::ALL.map(|fault| Cause::Lost(side, fault)));
        Cause::UNRELATED.into_iter().chain(lost)
    }

    /// 0 to [`Cause::COUNT`] - 1, for arrays with an entry per cause.
    pub fn index(self) -> usize {
        let index = match self {
            Cause::Completed => 0,
            Cause::NoEndpoint => 1,
            Cause::Rejected => 2,
            Cause::LocalShortage => 3,
            Cause::HalfCloseTimeout => 4,
            Cause::IdleTimeout => 5,
            Cause::DrainTimeout => 6,
            Cause::EndpointFailed => 7,
            Cause::EndpointRemoved => 8,
            Cause::Lost(side, fault) => {
                Cause::UNRELATED.len() + Fault::COUNT * side.index() + fault.index()
            }
        };
        debug_assert!(index < Cause::COUNT, "beyond the arrays");
        index
    }
}

impl EndedIn {
    /// How many phases there are; see [`EndedIn::index`].
    pub const COUNT: usize = EndedIn::ALL.len();

    /// All phases, each at its [`EndedIn::index`].
    pub const ALL: [EndedIn; 3] = [EndedIn::Dialing, EndedIn::Relaying, EndedIn::Flushing];

    /// 0 to [`EndedIn::COUNT`] - 1, for arrays with an entry per phase.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Cause::Completed => "completed",
            Cause::Lost(side, fault) => return write!(f, "{side}_{fault}"),
            Cause::NoEndpoint => "no_endpoint",
            Cause::Rejected => "rejected",
            Cause::LocalShortage => "local_shortage",
            Cause::HalfCloseTimeout => "half_close_timeout",
            Cause::IdleTimeout => "idle_timeout",
            Cause::DrainTimeout => "drain_timeout",
            Cause::EndpointFailed => "endpoint_failed",
            Cause::EndpointRemoved => "endpoint_removed",
        };
        f.write_str(word)
    }
}

impl fmt::Display for EndedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndedIn::Dialing => "dialing",
            EndedIn::Relaying => "relaying",
            EndedIn::Flushing => "flushing",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_and_phase_has_a_number_and_a_word_of_its_own() {
        let numbers: Vec<usize> = Cause::all().map(Cause::index).collect();
        assert_eq!(numbers, (0..Cause::COUNT).collect::<Vec<_>>());
        let mut words: Vec<String> = Cause::all().map(|cause| cause.to_string()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Cause::COUNT);
        assert_eq!(EndedIn::ALL.map(EndedIn::index), [0, 1, 2]);
        assert_eq!(Fault::ALL.map(Fault::index), [0, 1, 2, 3]);
        assert_eq!(Ending::all().count(), EndedIn::COUNT * Cause::COUNT);
    }

    #[test]
    fn a_server_that_is_lost_or_says_nothing_is_suspicious() {
        let phase = EndedIn::Relaying;
        for cause in Cause::all() {
            let ending = Ending { cause, phase };
            let is_lost = matches!(cause, Cause::Lost(Side::Server, _));
            assert_eq!(ending.speaks_against_server([1, 1]), is_lost, "{cause}");
            let is_silent = is_lost || cause == Cause::Completed;
            assert_eq!(ending.speaks_against_server([1, 0]), is_silent, "{cause}");
            assert_eq!(ending.speaks_against_server([0, 0]), is_lost, "{cause}");
        }
    }

    #[test]
    fn a_client_is_unserved_only_if_we_closed_it_before_it_had_a_server() {
        let ours = [Cause::NoEndpoint, Cause::Rejected, Cause::LocalShortage];
        for cause in Cause::all() {
            let ending = Ending { cause, phase: EndedIn::Dialing };
            assert_eq!(ending.is_unserved(), ours.contains(&cause), "{cause}");
            // No memory for a buffer, say.
            assert!(!Ending { phase: EndedIn::Relaying, ..ending }.is_unserved(), "{cause}");
        }
    }
}
