//! The names that sources need, what is known of each, and the look-ups that keep them up to date.
//!
//! Owns the watches, the resolver and the configuration of it. Knows no endpoint. Must not read
//! resolv.conf(5) or hosts(5): the caller does, and hands over what they say.
//!
//! ```text
//!   sync ──► watch, one for each name ──due──► hosts(5) ──► known
//!              ▲                                  └─ not there ─► resolver ─► commands
//!              └──────────────── take_answer ◄────────────────────────┘
//! ```

mod invariants;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use slab::Slab;

use super::configuration::Configuration;
use super::lookups::Lookups;
use super::round::ResolveError;
use super::watch::Watch;
use crate::address::Address;
use crate::config::{ABSENCE_MAX, EXCLUSIONS_REPORTED_MAX};
use crate::proto::dns::resolv_conf::{Environment, Problem};
use crate::proto::dns::resolver::Resolver;
use crate::proto::dns::{Command, Failure, LookupId, QuestionId, Subject, Wanted, hosts};
use crate::recent::Recent;

/// A name that a source needs, and what it is looked up for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needed {
    pub(super) wanted: Wanted,
    pub(super) subject: Subject,
}

impl Needed {
    /// The addresses of a host.
    pub(super) fn host(wanted: Wanted) -> Needed {
        Needed { wanted, subject: Subject::Host }
    }

    /// The records of a service.
    pub(super) fn service(wanted: Wanted) -> Needed {
        Needed { wanted, subject: Subject::Service }
    }
}

/// Names and what is known of them.
///
/// Invariant: no two watches are for the same name and subject, and a watch has a look-up under way
/// exactly while the resolver has one for it.
#[derive(Debug)]
pub struct Names {
    watches: Slab<Watch>,
    /// The errors that the log knows of names that were given up: name servers may give a part of a
    /// large set of records with each answer, and a name that is back with an error is not news.
    absent: Recent<Needed, Vec<ResolveError>>,
    resolver: Resolver,
    configuration: Configuration,
    lookups: Lookups,
    /// A name server was needed, so the log should tell what is wrong with resolv.conf(5).
    has_asked: bool,
}

/// What is known of a name that is looked up.
#[derive(Clone, Copy, Debug)]
pub struct NameState<'a> {
    /// The name.
    pub wanted: &'a Wanted,
    /// When it last had records; `None`: never so far.
    pub resolved_at: Option<Instant>,
    /// When it is looked up next; `None`: it is looked up now.
    pub due_at: Option<Instant>,
    /// Why the last look-up gave no records; `None`: it did, or was not over yet.
    pub error: Option<ResolveError>,
}

impl<'a> NameState<'a> {
    fn of(watch: &'a Watch) -> NameState<'a> {
        NameState {
            wanted: watch.wanted(),
            resolved_at: watch.resolved_at(),
            due_at: watch.due_at(),
            error: watch.error(),
        }
    }
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// What is known of the name is other than before.
    pub(super) is_changed: bool,
    /// It was the last answer of the look-up.
    pub(super) is_last: bool,
}

impl Names {
    /// No name so far.
    pub(super) fn new(environment: Environment) -> Names {
        let configuration = Configuration::new(environment);
        Names {
            watches: Slab::new(),
            absent: Recent::new(ABSENCE_MAX, EXCLUSIONS_REPORTED_MAX),
            resolver: Resolver::new(configuration.current().clone()),
            configuration,
            lookups: Lookups::default(),
            has_asked: false,
        }
    }

    /// Whether there is no name, so that nothing can ever change.
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// The name with the lowest place that is `place` or above, and its own place; a name keeps its
    /// place for as long as it is looked up.
    pub fn at_or_above(&self, place: usize) -> Option<(usize, NameState<'_>)> {
        let places = place..self.watches.capacity();
        let (place, watch) =
            places.filter_map(|place| Some((place, self.watches.get(place)?))).next()?;
        Some((place, NameState::of(watch)))
    }

    /// Look-ups by result.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Whether a look-up is under way or due: then an endpoint may turn up soon.
    pub fn is_asking(&self, now: Instant) -> bool {
        self.watches.iter().any(|(_, watch)| watch.is_open(now))
    }

    /// The names whose first look-up is not over.
    pub fn unresolved(&self) -> impl Iterator<Item = &Wanted> {
        let watches = self.watches.iter().map(|(_, watch)| watch);
        watches.filter(|watch| !watch.is_settled()).map(Watch::wanted)
    }

    /// The addresses of a typed name, IPv4 first, or why it has none. `None` until its first
    /// look-up is over, and of a name that is not looked up.
    pub fn addresses_of(&self, name: &str) -> Option<Result<Vec<IpAddr>, ResolveError>> {
        let watch = self.get(&Needed::host(Wanted::Typed(name.to_owned())))?;
        if !watch.is_settled() {
            return None;
        }
        let addresses: Vec<IpAddr> = watch.addresses().collect();
        debug_assert!(addresses.is_sorted_by_key(IpAddr::is_ipv6), "IPv4 first");
        match watch.error() {
            Some(error) if addresses.is_empty() => Some(Err(error)),
            _ => Some(Ok(addresses)),
        }
    }

    /// The hosts that are looked up, or those that are due; as [`hosts::key`] has them.
    pub fn host_names(&self, due_at: Option<Instant>) -> impl Iterator<Item = String> {
        let watches = self.watches.iter().map(|(_, watch)| watch);
        let hosts = watches.filter(|watch| watch.subject() == Subject::Host);
        let due = hosts.filter(move |watch| due_at.is_none_or(|now| watch.is_due(now)));
        due.map(|watch| hosts::key(&watch.wanted().to_string()))
    }

    /// Whether [`super::Discovery::refresh`] should be called.
    pub fn is_refresh_due(&self, now: Instant) -> bool {
        self.watches.iter().any(|(_, watch)| watch.is_due(now))
    }

    /// Whether a name server has been silent for too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.resolver.is_overdue(now)
    }

    /// Whether [`Names::configure`] should be called before look-ups begin.
    pub fn is_configurable(&self) -> bool {
        self.configuration.is_reloadable()
    }

    /// Takes over what resolv.conf(5) says now, or why it cannot be read, and the name of the host
    /// (gethostname(2)). `zone` gives the number of a network interface.
    pub fn configure(
        &mut self,
        text: Result<Vec<u8>, Problem>,
        host_name: &str,
        zone: impl FnMut(&str) -> Option<u32>,
        now: Instant,
    ) {
        let had_aaaa = !self.configuration.current().no_aaaa;
        if self.configuration.update(text, host_name, zone) {
            let current = self.configuration.current();
            self.resolver.configure(current.clone());
            if had_aaaa && current.no_aaaa {
                // IPv6 addresses that are known must go.
                self.expedite_all(now);
            }
        }
        self.invariants();
    }

    /// What is to be done for the resolver, in this order.
    pub fn take_commands(&mut self) -> Vec<Command> {
        self.resolver.take_commands()
    }

    /// Brings look-ups forward of the names that have the address: a dial to it failed, so they may
    /// lead elsewhere by now.
    pub fn on_dial_failed(&mut self, address: &Address, now: Instant) {
        let Some(ip) = address.ip() else { return };
        for (_, watch) in &mut self.watches {
            if watch.addresses().any(|known| known == ip) {
                watch.expedite(now);
            }
        }
    }

    /// Brings all look-ups forward.
    pub(super) fn expedite_all(&mut self, now: Instant) {
        self.watches.iter_mut().for_each(|(_, watch)| watch.expedite(now));
    }

    /// Makes the names those that are needed, each once: gives up the others, and begins to watch
    /// the new ones in the order given.
    pub(super) fn sync(&mut self, needed: &[Needed], now: Instant) {
        let gone = self.not_among(needed);
        let kept = self.watches.len() - gone.len();
        for key in gone {
            self.resolver.forget(LookupId(key));
            let watch = self.watches.remove(key);
            self.lookups.abandoned += u64::from(!watch.is_idle());
            let (gone, reported) = watch.into_reported();
            if !reported.is_empty() {
                self.absent.insert(gone, reported, now);
            }
        }
        self.absent.forget(now);
        debug_assert_eq!(self.watches.len(), kept, "a name that is needed was given up");
        for needed in needed {
            if self.get(needed).is_none() {
                let reported = self.absent.take(needed, now).unwrap_or_default();
                self.watches.insert(Watch::new(needed.clone(), reported, now));
            }
        }
        debug_assert!(self.watches.len() <= needed.len(), "a name that is not needed");
        debug_assert!(self.not_among(needed).is_empty(), "a name that is not needed");
        self.invariants();
    }

    /// The watches of names that are not needed.
    fn not_among(&self, needed: &[Needed]) -> Vec<usize> {
        let needed: BTreeSet<&Needed> = needed.iter().collect();
        let gone = self.watches.iter().filter(|(_, watch)| !needed.contains(watch.needed()));
        gone.map(|(key, _)| key).collect()
    }

    /// The watch of a name that a source needs.
    pub(super) fn get(&self, needed: &Needed) -> Option<&Watch> {
        let mut watches = self.watches.iter().map(|(_, watch)| watch);
        watches.find(|watch| watch.needed() == needed)
    }

    pub(super) fn watches_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.watches.iter_mut().map(|(_, watch)| watch)
    }

    /// The configuration of the resolver, if it has mattered so far.
    pub(super) fn configuration(&self) -> Option<&Configuration> {
        self.has_asked.then_some(&self.configuration)
    }

    /// When to call [`Names::advance`] or [`Names::refresh`] if nothing happens before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let due = self.watches.iter().filter_map(|(_, watch)| watch.due_at());
        due.chain(self.resolver.next_deadline()).min()
    }

    /// Lets the resolver do what time allows.
    pub(super) fn advance(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.resolver.advance(now, random);
    }

    /// Hands the outcome of a question to the resolver.
    pub(super) fn on_outcome(
        &mut self,
        question: QuestionId,
        outcome: Result<&[u8], Failure>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.resolver.on_outcome(question, outcome, now, random);
    }

    /// Begins the look-ups that are due; those of hosts only if there is a table of them. Whether
    /// the table knew one.
    pub(super) fn refresh(&mut self, table: Option<&hosts::Table>, now: Instant) -> bool {
        let mut is_changed = false;
        for (key, watch) in &mut self.watches {
            let is_ready = watch.subject() == Subject::Service || table.is_some();
            if !watch.is_due(now) || !is_ready {
                continue;
            }
            match table.and_then(|table| watch.local_addresses(table)) {
                Some(addresses) => {
                    watch.resolve_locally(&addresses, now);
                    self.lookups.local += 1;
                    is_changed = true;
                }
                None => {
                    watch.begin(now);
                    self.lookups.begun += 1;
                    self.has_asked = true;
                    let urgency = watch.urgency();
                    self.resolver.look_up(LookupId(key), watch.subject(), watch.wanted(), urgency);
                }
            }
        }
        debug_assert!(table.is_none() || !self.is_refresh_due(now), "due again at once");
        self.invariants();
        is_changed
    }

    /// Takes the next answer over, if one has come. `is_vital`: whether something is missing while
    /// that name has no records.
    pub(super) fn take_answer(
        &mut self,
        is_vital: impl Fn(&Watch) -> bool,
        now: Instant,
    ) -> Option<Taken> {
        let Some(answered) = self.resolver.next_answer() else {
            self.invariants();
            return None;
        };
        let LookupId(key) = answered.id;
        let Some(watch) = self.watches.get_mut(key) else {
            debug_assert!(false, "the resolver forgets a name with its watch");
            return Some(Taken { is_changed: false, is_last: false });
        };
        debug_assert!(!watch.is_idle(), "an answer without a look-up");
        let is_vital = is_vital(watch);
        let is_changed = watch.on_answer(answered, is_vital, now);
        let is_last = watch.is_idle();
        if is_last {
            self.lookups.finish(watch.error());
        }
        Some(Taken { is_changed, is_last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DNS_TTL_MIN, HOSTS_TTL};
    use crate::proto::dns::message::Kind;
    use crate::proto::dns::{Answer, Answered};

    fn host(name: &str) -> Needed {
        Needed::host(Wanted::Typed(name.to_owned()))
    }

    #[test]
    fn a_name_is_known_once_its_first_look_up_is_over() {
        let now = Instant::now();
        let mut names = Names::new(Environment::default());
        names.sync(&["a.test", "b.test"].map(host), now);
        assert_eq!(names.addresses_of("a.test"), None);
        let keys = ["a.test", "b.test"].into_iter();
        let table = hosts::addresses(b"::1 a.test\n10.0.0.1 A.test", keys);
        assert!(names.refresh(Some(&table), now));
        let want = ["10.0.0.1", "::1"].map(|text| text.parse().expect("an address")).to_vec();
        assert_eq!(names.addresses_of("a.test"), Some(Ok(want)));
        assert_eq!(names.addresses_of("b.test"), None, "it is being asked for");
        assert_eq!(names.addresses_of("c.test"), None);
    }

    #[test]
    fn a_name_that_is_needed_no_longer_is_given_up_with_its_look_up() {
        let now = Instant::now();
        let mut names = Names::new(Environment::default());
        let [a, b] = ["a.test", "b.test"].map(host);
        names.sync(&[a.clone(), b.clone(), a], now);
        names.refresh(Some(&hosts::Table::new()), now);
        names.advance(now, &mut || 0);
        assert_eq!((names.watches.len(), names.take_commands().len()), (2, 4), "each once");
        names.sync(&[b], now);
        let unresolved: Vec<String> = names.unresolved().map(Wanted::to_string).collect();
        assert_eq!(unresolved, ["b.test"]);
        assert_eq!(names.take_commands().len(), 2, "its sockets are closed");
    }

    #[test]
    fn a_name_that_is_back_is_no_news_until_it_is_resolved() {
        let now = Instant::now();
        let mut names = Names::new(Environment::default());
        let needed = [host("m.test")];
        names.sync(&needed, now);
        let watch = names.watches_mut().next().expect("it is needed");
        watch.begin(now);
        for kind in [Kind::A, Kind::Aaaa] {
            let nothing = Answer::Nothing { exists: false, ttl: None };
            watch.on_answer(Answered::new(LookupId(0), kind, nothing), true, now);
        }
        assert_eq!(watch.take_news(), Some(Err(ResolveError::NoSuchName)));
        for (pause, news) in [(ABSENCE_MAX - DNS_TTL_MIN, Some(Ok(()))), (ABSENCE_MAX, None)] {
            names.sync(&[], now);
            names.sync(&needed, now + pause);
            let watch = names.watches_mut().next().expect("it is needed again");
            assert_eq!(watch.take_news(), None, "no server was asked yet");
            watch.resolve_locally(&["10.0.0.1".parse().expect("an address")], now);
            assert_eq!(watch.take_news(), news);
            // The log knows of an error again.
            watch.begin(now + HOSTS_TTL);
            for kind in [Kind::A, Kind::Aaaa] {
                let nothing = Answer::Nothing { exists: false, ttl: None };
                watch.on_answer(Answered::new(LookupId(0), kind, nothing), true, now);
            }
            assert_eq!(watch.take_news(), Some(Err(ResolveError::NoSuchName)));
        }
    }
}
