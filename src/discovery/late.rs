//! A source for tests: one endpoint, from a time on. Looks nothing up, and is written as a further
//! source would be: all that it needs is in this file, its `mod` line, and where it is configured.

use std::net::SocketAddr;
use std::time::Instant;

use super::finding::{FallbackReason, SourceLabel};
use super::names::{Names, Needed};
use super::source::{Configured, Host, Ranked, Server, Source, State};
use crate::address::Address;
use crate::upstream::Check;

/// An endpoint that is known from a time on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    /// The endpoint.
    pub(crate) address: SocketAddr,
    /// When it is known; `None`: never.
    pub(crate) at: Option<Instant>,
    /// Whether it counts before typed endpoints, or together with them.
    pub(crate) is_first: bool,
}

#[derive(Debug)]
struct LateSource {
    settings: Late,
    is_listed: bool,
}

impl Configured for Late {
    fn into_source(self) -> Ranked {
        let source = LateSource { settings: self, is_listed: false };
        if self.is_first { Ranked::discovered(source) } else { Ranked::typed(source) }
    }
}

impl Source for LateSource {
    fn label(&self) -> SourceLabel {
        SourceLabel { source: "late", key: "server", subject: self.settings.address.to_string() }
    }

    fn names(&self) -> Vec<Needed> {
        Vec::new()
    }

    fn state(&self, _: &Names) -> State {
        if self.is_listed { State::Listing } else { State::Pending(FallbackReason::NoAnswer) }
    }

    fn hosts(&self, _: &Names) -> Vec<Host> {
        let (name, check) = (self.settings.address.to_string(), Check::Connect);
        let addresses = vec![Address::Inet(self.settings.address)];
        let (server, is_resolved, member) = (Server::unknown(), true, None);
        let (priority, weight) = (0, 1);
        let host = Host {
            name,
            source: "late",
            priority,
            weight,
            check,
            server,
            is_resolved,
            member,
            addresses,
        };
        self.is_listed.then_some(host).into_iter().collect()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.settings.at.filter(|_| !self.is_listed)
    }

    fn expire(&mut self, now: Instant) -> bool {
        let is_due = self.next_deadline().is_some_and(|at| at <= now);
        self.is_listed |= is_due;
        is_due
    }
}
