//! Changes of discovery that the log should show: each once, and again only after it has changed.
//!
//! Owns what was reported so far. Pure, and without a text: lines are worded in
//! `observe/events.rs`, and the driver in the reactor makes events of findings.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use super::configuration::Configuration;
use super::members::Refusal;
use super::names::Needed;
pub use super::round::ResolveError;
use super::source::TYPED;
use super::watch::Watch;
use crate::address::Address;
use crate::config::address::EndpointAddress;
use crate::config::special_address::SpecialAddress;
use crate::config::{ABSENCE_MAX, DNS_SERVERS_MAX, ENDPOINTS_MAX, EXCLUSIONS_REPORTED_MAX};
use crate::proto::dns::resolv_conf::Problem;
use crate::proto::etcd::SkipReason;
use crate::recent::Recent;

/// A change that the log should show. Data alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A name has no usable answer.
    NotResolved {
        /// The name, as asked for.
        name: String,
        /// Why.
        reason: ResolveError,
    },
    /// A name that was not resolved is now.
    Resolved {
        /// The name, as asked for.
        name: String,
    },
    /// A record or an address is not used.
    Excluded {
        /// Which one.
        item: Item,
        /// Why; not [`Exclusion::TooMany`].
        reason: Exclusion,
    },
    /// There are more endpoints than [`ENDPOINTS_MAX`]; the others are not used.
    TooManyEndpoints {
        /// How many records or names have one that is not used.
        count: usize,
    },
    /// No source lists an endpoint; the last known ones stay.
    Kept {
        /// How many stay.
        endpoints: usize,
    },
    /// A source lists no endpoint, nor does another of its rank; the typed ones take their place.
    FellBack {
        /// The source.
        source: SourceLabel,
        /// Why it lists none.
        reason: FallbackReason,
        /// How many endpoints there are instead.
        endpoints: usize,
    },
    /// A source lists endpoints, which replace the typed ones of [`Finding::FellBack`].
    Discovered {
        /// The source.
        source: SourceLabel,
    },
    /// A list of members is followed, and names other endpoints than before.
    MembersFollowed {
        /// How many URLs there are.
        urls: usize,
        /// The cluster.
        cluster_id: u64,
        /// The term of Raft that the list is of.
        raft_term: u64,
        /// The member that gave it.
        endpoint: Address,
    },
    /// A list of members is not believed, or a member gave none.
    MembersRefused {
        /// The member.
        endpoint: Address,
        /// Why.
        reason: Refusal,
    },
    /// Every member that can be asked was asked, and none gave a list that is believed.
    MembersUnknown {
        /// Why not, by the last one that was asked.
        reason: Refusal,
    },
    /// A list is there again after [`Finding::MembersUnknown`].
    MembersKnown,
    /// A registered value names no server that can be dialed.
    ServiceSkipped {
        /// The key, printable.
        key: String,
        /// Why, in a word.
        reason: String,
    },
    /// The weight of a registered value cannot be read, so it has the default one.
    WeightIgnored {
        /// The key, printable.
        key: String,
    },
    /// There are more keys than [`crate::config::REGISTRY_KEYS_MAX`]; the others are not used.
    TooManyServices,
    /// A registry cannot be followed; the services of before stay.
    RegistryLost {
        /// The member that was asked last, `host:port`.
        member: String,
        /// Why, in a word.
        reason: String,
        /// How many services are known.
        services: usize,
    },
    /// A registry is followed again.
    RegistryRestored {
        /// The member that is asked, `host:port`.
        member: String,
        /// How many services are known.
        services: usize,
    },
    /// The name servers in use, after a problem with resolv.conf(5) has come or gone.
    NameServers {
        /// The problem; `None` once there is none.
        problem: Option<Problem>,
        /// The servers that are asked.
        servers: Vec<SocketAddr>,
    },
}

/// A source in terms of the log: `source=srv domain=example.test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLabel {
    /// The kind of source, in a word.
    pub source: &'static str,
    /// The name of the field that tells it from others of its kind.
    pub key: &'static str,
    /// The value of that field: an address or a name.
    pub subject: String,
}

impl SourceLabel {
    pub(super) fn of_endpoint(endpoint: &EndpointAddress) -> SourceLabel {
        SourceLabel { source: TYPED, key: "endpoint", subject: endpoint.to_string() }
    }
}

/// A record or an address, in terms of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A whole record, or what is left of a name: `host:port`.
    Name(String),
    /// An address, whatever name it has.
    Address(Address),
    /// An address that means something only together with the name that has it.
    AddressOf {
        /// The address.
        address: Address,
        /// The name: `host:port`.
        name: String,
    },
}

/// Why a record or an address is not used. Shown as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// The record has port 0, which no server listens on.
    PortZero,
    /// The record is one of members without TLS, which cannot prove their identity.
    Insecure,
    /// There are more than [`crate::config::ENDPOINTS_MAX`].
    TooMany,
    /// The client URL of a member cannot be used from here.
    Url(SkipReason),
    /// The address cannot be dialed.
    Unusable(Unusable),
}

impl Exclusion {
    /// The listener of our own that the address leads to.
    pub fn listener(&self) -> Option<&Address> {
        match self {
            Exclusion::Unusable(Unusable::OwnListener(listener)) => Some(listener),
            _ => None,
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exclusion::PortZero => f.write_str("port_zero"),
            Exclusion::Insecure => f.write_str("insecure"),
            Exclusion::TooMany => f.write_str("too_many"),
            Exclusion::Url(reason) => reason.fmt(f),
            Exclusion::Unusable(unusable) => unusable.fmt(f),
        }
    }
}

/// Whether an address can be dialed, and why not.
pub type Usability = Result<(), Unusable>;

/// Why an address cannot be dialed. Shown as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// A dial would come back to this listener of our own.
    OwnListener(Address),
    /// No route leads there. Not counted where no address has one.
    NoRoute,
    /// An address of a class that no server can have.
    Special(SpecialAddress),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::OwnListener(_) => f.write_str("own_listener"),
            Unusable::NoRoute => f.write_str("no_route"),
            Unusable::Special(class) => class.fmt(f),
        }
    }
}

/// Why a source lists no endpoint. Shown as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackReason {
    /// No name server has answered within the patience of [`super::Sources`].
    NoAnswer,
    /// There are records, but each is excluded.
    NoUsableRecord,
    /// Nothing is registered.
    NoService,
    /// There are registered values, but none names a server that can be dialed.
    NoUsableService,
    /// There are no records, or the name servers fail.
    Unresolved(ResolveError),
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FallbackReason::NoAnswer => f.write_str("no_answer"),
            FallbackReason::NoService => f.write_str("no_service"),
            FallbackReason::NoUsableService => f.write_str("no_usable_service"),
            FallbackReason::NoUsableRecord => f.write_str("no_usable_record"),
            FallbackReason::Unresolved(error) => error.fmt(f),
        }
    }
}

/// Findings that wait to be taken, and what was reported before.
#[derive(Debug)]
pub(super) struct Findings {
    pending: Vec<Finding>,
    /// Exclusions that were reported and were true not long ago.
    excluded: Recent<Excluded, ()>,
    /// When there were last more than are used. Not a memory of each, which would be too many.
    too_many_at: Option<Instant>,
    is_kept: bool,
    /// Whether typed endpoints count in place of discovered ones, as last reported.
    has_fallen_back: bool,
    /// What is wrong with resolv.conf(5), as last reported.
    problem: Option<Problem>,
}

/// A record or an address that is not used, and why.
pub(super) type Excluded = (Item, Exclusion);

impl Default for Findings {
    fn default() -> Findings {
        Findings {
            pending: Vec::new(),
            excluded: Recent::new(ABSENCE_MAX, EXCLUSIONS_REPORTED_MAX),
            too_many_at: None,
            is_kept: false,
            has_fallen_back: false,
            problem: None,
        }
    }
}

impl Findings {
    /// Reports the names that have come to have an error, or no longer do. `optional`: names that
    /// may have no records without that being an error.
    pub(super) fn note_names<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a mut Watch>,
        optional: &[&Needed],
    ) {
        for watch in watches {
            if watch.is_absent() && optional.contains(&watch.needed()) {
                continue;
            }
            let Some(news) = watch.take_news() else { continue };
            debug_assert!(watch.is_settled(), "news of a look-up that is not over");
            debug_assert_eq!(news.err(), watch.error(), "news that are not so");
            let name = watch.wanted().to_string();
            self.pending.push(match news {
                Err(reason) => Finding::NotResolved { name, reason },
                Ok(()) => Finding::Resolved { name },
            });
        }
    }

    /// Reports what sources have found by themselves.
    pub(super) fn note_own(&mut self, findings: Vec<Finding>) {
        self.pending.extend(findings);
    }

    /// Reports what is excluded now. What comes and goes with every answer is reported once.
    pub(super) fn note_excluded(&mut self, excluded: Vec<Excluded>, now: Instant) {
        let most = self.pending.len() + excluded.len();
        let (surplus, excluded): (Vec<_>, Vec<_>) =
            excluded.into_iter().partition(|(_, reason)| *reason == Exclusion::TooMany);
        if !surplus.is_empty() {
            let before = self.too_many_at.replace(now);
            if before.is_none_or(|at| at + ABSENCE_MAX <= now) {
                self.pending.push(Finding::TooManyEndpoints { count: surplus.len() });
            }
        }
        for (item, reason) in excluded {
            let pair = (item.clone(), reason.clone());
            if self.excluded.take(&pair, now).is_none() {
                self.pending.push(Finding::Excluded { item, reason });
            }
            self.excluded.insert(pair, (), now);
        }
        self.excluded.forget(now);
        debug_assert!(self.excluded.count() <= EXCLUSIONS_REPORTED_MAX);
        debug_assert!(self.pending.len() <= most, "an exclusion reported twice");
    }

    /// Reports that as many endpoints are kept although no source lists one; `None` if none is.
    pub(super) fn note_kept(&mut self, kept: Option<usize>) {
        debug_assert_ne!(kept, Some(0), "there is nothing to keep");
        if let Some(endpoints) = kept.filter(|_| !self.is_kept) {
            self.pending.push(Finding::Kept { endpoints });
        }
        self.is_kept = kept.is_some();
    }

    /// Reports that typed endpoints come to be used in place of those that these sources would
    /// list. `endpoints`: how many there are.
    pub(super) fn note_fallback(
        &mut self,
        sources: Vec<(SourceLabel, FallbackReason)>,
        endpoints: usize,
    ) {
        debug_assert!(endpoints <= ENDPOINTS_MAX);
        if std::mem::replace(&mut self.has_fallen_back, true) {
            return;
        }
        for (source, reason) in sources {
            self.pending.push(Finding::FellBack { source, reason, endpoints });
        }
    }

    /// Reports that the endpoints of these sources, if there are any, replace typed ones.
    pub(super) fn note_discovered(&mut self, sources: Vec<SourceLabel>) {
        if sources.is_empty() || !std::mem::take(&mut self.has_fallen_back) {
            return;
        }
        let findings = sources.into_iter().map(|source| Finding::Discovered { source });
        self.pending.extend(findings);
    }

    /// Reports a problem of the configuration that has come or gone.
    pub(super) fn note_configuration(&mut self, configuration: &Configuration) {
        let problem = configuration.problem();
        if self.problem.as_ref() == problem {
            return;
        }
        self.problem = problem.cloned();
        let servers = configuration.current().servers.clone();
        debug_assert!(!servers.is_empty(), "resolv.conf(5) has a default");
        debug_assert!(servers.len() <= DNS_SERVERS_MAX);
        self.pending.push(Finding::NameServers { problem: problem.cloned(), servers });
    }

    /// Hands the findings out, the first one first.
    pub(super) fn take(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: usize) -> Excluded {
        let octets = [10, 0, (number / 256) as u8, (number % 256) as u8];
        let address = Address::from((octets, 1));
        (Item::Address(address), Exclusion::Unusable(Unusable::NoRoute))
    }

    #[test]
    fn an_exclusion_that_comes_and_goes_is_reported_once() {
        let now = Instant::now();
        let mut findings = Findings::default();
        for round in 0..10 {
            findings.note_excluded(vec![item(round % 3)], now);
        }
        assert_eq!(findings.take().len(), 3);
        findings.note_excluded(vec![item(0)], now + ABSENCE_MAX);
        assert_eq!(findings.take().len(), 1, "that was long ago");
        findings.note_excluded((0..2 * EXCLUSIONS_REPORTED_MAX).map(item).collect(), now);
        assert_eq!(findings.excluded.count(), EXCLUSIONS_REPORTED_MAX);
    }

    /// A thousand hosts do not push each other out of the memory.
    #[test]
    fn what_is_too_much_is_counted_in_one_finding() {
        let now = Instant::now();
        let mut findings = Findings::default();
        for (at, count) in [(now, 768), (now, 769), (now + ABSENCE_MAX / 2, 1)] {
            let names = (0..count).map(|at| Item::Name(format!("a{at}.test:1")));
            let excluded = names.map(|item| (item, Exclusion::TooMany)).chain([item(1)]);
            findings.note_excluded(excluded.collect(), at);
        }
        let found = findings.take();
        assert_eq!((found.len(), &found[0]), (2, &Finding::TooManyEndpoints { count: 768 }));
        findings.note_excluded(vec![(item(2).0, Exclusion::TooMany)], now + 2 * ABSENCE_MAX);
        assert_eq!(findings.take().len(), 1, "that was long ago");
    }

    /// A value of the log is a word; an address is a field of its own.
    #[test]
    fn reasons_are_words() {
        let listener = Address::from(([10, 0, 0, 1], 2379));
        for (exclusion, word, own) in [
            (Exclusion::PortZero, "port_zero", None),
            (Exclusion::Insecure, "insecure", None),
            (Exclusion::TooMany, "too_many", None),
            (Exclusion::Url(SkipReason::Loopback), "loopback", None),
            (Exclusion::Unusable(Unusable::NoRoute), "no_route", None),
            (
                Exclusion::Unusable(Unusable::Special(SpecialAddress::Multicast)),
                "multicast_address",
                None,
            ),
            (
                Exclusion::Unusable(Unusable::OwnListener(listener.clone())),
                "own_listener",
                Some(&listener),
            ),
        ] {
            assert_eq!((exclusion.to_string().as_str(), exclusion.listener()), (word, own));
        }
    }
}
