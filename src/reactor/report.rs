//! What the reactor logs at info and warn, handed to the journal as events, and the one timer after
//! which the journal writes what it has kept.

use std::net::SocketAddr;
use std::time::Instant;

use super::context::{Context, Timer};
use crate::discovery::{Exclusion, Item, Report, Unusable};
use crate::net::{Net, NetError, ResolverFile};
use crate::observe::events::{Event, Value, list};
use crate::proto::dns::resolv_conf::Problem;
use crate::upstream::{Change, ChangeKind};

impl<N: Net> Context<N> {
    /// Logs the event now or, if the journal keeps it, later.
    pub(super) fn log(&mut self, event: Event<'_>) {
        self.journal.log(event, self.now);
        self.arm_journal();
    }

    /// Logs a dial that failed for reasons of our own.
    pub(super) fn log_local_failure(&mut self, address: Option<SocketAddr>, error: NetError) {
        let endpoint = address.as_ref().map(|address| address as Value<'_>);
        let (reason, pairs) = (&error, self.metrics.pairs_open);
        self.log(Event::DialFailedLocally { endpoint, reason, pairs });
    }

    /// Logs what has waited for long enough.
    pub(super) fn on_journal_timer(&mut self) {
        self.journal_timer_armed = false;
        self.journal.log_due(self.now);
        self.arm_journal();
    }

    fn arm_journal(&mut self) {
        let deadline = self.journal.deadline().filter(|_| !self.journal_timer_armed);
        if let Some(deadline) = deadline {
            self.journal_timer_armed = true;
            self.wheel.arm(deadline, Timer::Journal);
        }
    }

    /// Logs an endpoint's new state.
    pub(super) fn log_change(&mut self, change: &Change, has_to_prove: bool, source: &str) {
        let endpoint: Value<'_> = &change.address;
        let until = |at: Instant| at.saturating_duration_since(self.now);
        self.log(match &change.kind {
            ChangeKind::BecameActive { down_for: after } if has_to_prove => {
                Event::EndpointVerified { endpoint, after: *after }
            }
            ChangeKind::BecameActive { down_for } => {
                Event::EndpointActive { endpoint, reason: &source, down_for: *down_for }
            }
            ChangeKind::BecameInactive { reason, retry_at } => {
                Event::EndpointInactive { endpoint, reason, retry_in: until(*retry_at) }
            }
            ChangeKind::StillInactive { is_news: false, .. } => return,
            ChangeKind::StillInactive { reason, retry_at, .. } => {
                Event::EndpointNotVerified { endpoint, reason, retry_in: until(*retry_at) }
            }
        });
    }

    /// Logs what discovery has to report.
    pub(super) fn log_finding(&mut self, report: &Report) {
        match report {
            Report::NotResolved { name, reason } => {
                self.log(Event::NameNotResolved { name, reason });
            }
            Report::Resolved { name } => self.log(Event::NameResolved { name }),
            Report::Excluded { item, reason } => self.log_skipped(item, *reason),
            Report::Kept { endpoints } => self.log(Event::LastEndpointsKept { count: *endpoints }),
            Report::FellBack { domain, reason, endpoints } => {
                self.log(Event::TypedEndpointsUsed { domain, reason, count: *endpoints });
            }
            Report::Discovered { domain } => self.log(Event::DiscoveredEndpointsUsed { domain }),
            Report::NameServers { problem, servers } => {
                self.log_name_servers(problem.as_ref(), servers);
            }
        }
    }

    fn log_skipped(&mut self, item: &Item, reason: Exclusion) {
        let (endpoint, name): (Option<Value<'_>>, Option<Value<'_>>) = match item {
            Item::Name(name) => (None, Some(name)),
            Item::Address(address) => (Some(address), None),
            Item::AddressOf { address, name } => (Some(address), Some(name)),
        };
        let listener = reason.listener();
        let listener = listener.as_ref().map(|listener| listener as Value<'_>);
        // On a host with one family of addresses it is the usual case.
        let is_usual = reason == Exclusion::Unusable(Unusable::NoRoute);
        let reason: Value<'_> = &reason;
        self.log(match is_usual {
            true => Event::EndpointWithoutRoute { endpoint, name, reason },
            false => Event::EndpointSkipped { endpoint, name, reason, listener },
        });
    }

    fn log_name_servers(&mut self, problem: Option<&Problem>, servers: &[SocketAddr]) {
        let (file, servers) = (&ResolverFile::Configuration.path(), &list(servers)[..]);
        self.log(match problem {
            None => Event::NameServersKnown { file, servers },
            Some(reason) if reason.is_about_servers() => {
                Event::NameServersUnknown { file, reason, servers }
            }
            Some(reason) => Event::ResolverFileTooLong { file, reason, servers },
        });
    }
}
