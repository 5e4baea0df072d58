//! The endpoints that should exist: a list of sources, their precedence, and one merge.
//!
//! Owns the sources, the names that they need, and what was found last. Must not touch a pair or a
//! socket, read a file or the clock: what the resolver wants done is handed on, `now` and files are
//! arguments.
//!
//! ```text
//!   --endpoints ───────► fixed, name ─┐  precedence
//!   --discovery-srv ───► srv ─────────┼──► hosts ──► merge ──► Found
//!   --registry-prefix ─► registry ────┤                └─ weights
//!   --follow-members ──► members ─────┘
//!                       │  ▲
//!                needed ▼  │ known
//!                       names: a watch for each, and the resolver
//! ```
//!
//! A source may ask servers over HTTP, too: `inquiry.rs` has the terms, `asking.rs` the way.
//!
//! A further source touches three places, besides the flags that configure it:
//! 1. a file of its own: `impl Source`, and `impl Configured` for what configures it
//! 2. its `mod` line here
//! 3. its `.with(...)` line in `main.rs`
//!
//! Whether it needs names, a clock, both or neither: precedence, fallback, the timer and the lines
//! of the log know it by its trait alone.

mod asking;
mod configuration;
mod finding;
mod fixed;
mod found;
mod health_policy;
mod inquiry;
mod invariants;
mod known;
#[cfg(test)]
pub(crate) mod late;
mod lookups;
mod members;
mod merge;
mod name;
mod names;
mod registry;
mod retiring;
mod round;
mod source;
mod srv;
mod watch;
mod weights;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::config::{DNS_REFRESH_MIN, ENDPOINTS_MAX};
use crate::proto::dns::{Failure, QuestionId, hosts};

pub use crate::proto::dns::resolv_conf::Environment;
pub use finding::{
    Exclusion, FallbackReason, Finding, Item, ResolveError, SourceLabel, Unusable, Usability,
};
pub use found::Found;
pub use health_policy::HealthPolicy;
pub use inquiry::{Ask, Candidate, Heard, Inputs, Line, Target};
pub use lookups::Lookups;
pub use members::{FollowMembers, KnownMembers, Record, RecordError, Refusal, StartingPoints};
pub use name::AddressName;
pub use names::{NameState, Names};
pub use registry::{Credentials, RegistrySettings};
pub use source::{Configured, Ranked};

use finding::Findings;
use source::State;
use watch::Watch;

/// The sources as configured, and how names are looked up for them.
#[derive(Debug, Default)]
pub struct Sources {
    /// Names are looked up first in this order.
    list: Vec<Ranked>,
    patience: Duration,
    environment: Environment,
    health_policy: HealthPolicy,
}

impl Sources {
    /// No source yet. `patience`: how long the first answer of discovery may take before typed
    /// endpoints are used. `environment`: what it says of how to look names up.
    pub fn new(patience: Duration, environment: Environment) -> Sources {
        Sources { list: Vec::new(), patience, environment, health_policy: HealthPolicy::default() }
    }

    /// The same, and what they list is checked so. Without this there are no checks.
    pub fn checked(self, health_policy: HealthPolicy) -> Sources {
        Sources { health_policy, ..self }
    }

    /// These sources, too: an option, a list, or anything else that gives what configures some.
    pub fn with(mut self, configured: impl IntoIterator<Item = impl Configured>) -> Sources {
        self.list.extend(configured.into_iter().map(Configured::into_source));
        self
    }
}

/// The sources and what was found through them.
///
/// Invariant: what was found is at most [`ENDPOINTS_MAX`] endpoints and no server twice; patience
/// is only had where sources of another rank could count.
#[derive(Debug)]
pub struct Discovery {
    sources: Vec<Ranked>,
    health_policy: HealthPolicy,
    names: Names,
    /// Until when sources that have no answer yet keep those of a later rank from counting.
    patient_until: Option<Instant>,
    found: Vec<Found>,
    /// Some of what was found, or all, is there although no source of the first rank lists it.
    is_interim: bool,
    /// What is known has changed, or the time has come to see it otherwise.
    is_changed: bool,
    findings: Findings,
    reconsidered_at: Option<Instant>,
}

impl Discovery {
    /// The sources as configured. Nothing is looked up yet; an address is known at once.
    pub fn new(sources: Sources, now: Instant) -> Discovery {
        let patient_until = now + sources.patience;
        let Sources { list, environment, health_policy, .. } = sources;
        let names = Names::new(environment);
        let mut discovery = Discovery {
            sources: list,
            health_policy,
            names,
            patient_until: None,
            found: Vec::new(),
            is_interim: false,
            is_changed: true,
            findings: Findings::default(),
            reconsidered_at: None,
        };
        discovery.patient_until = discovery.has_ranks().then_some(patient_until);
        discovery.sync_names(now);
        discovery.invariants();
        discovery
    }

    /// The domain for which endpoints may have to show a certificate; `None`: none has to.
    pub fn certified_domain(&self) -> Option<&str> {
        self.sources.iter().find_map(Ranked::certified_domain)
    }

    /// The names that are looked up.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The names that are looked up, to configure the resolver and to carry out what it wants.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// What was found last: the endpoints, with their names and sources.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Whether the endpoints may ever be others than they are: a name is looked up, or a source
    /// changes with time.
    pub fn may_change(&self) -> bool {
        let mut sources = self.sources.iter();
        !self.names.is_empty()
            || self.next_deadline().is_some()
            || sources.any(|ranked| ranked.source.may_change())
    }

    /// When to call [`Discovery::advance`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let sources = self.sources.iter().filter_map(|ranked| ranked.source.next_deadline());
        sources.chain(self.names.next_deadline()).chain(self.patient_until).min()
    }

    /// Does what time allows, and takes the answers that have come.
    pub fn advance(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.names.advance(now, random);
        self.take_answers(now);
        if self.patient_until.is_some_and(|at| at <= now) {
            self.patient_until = None;
            self.is_changed = true;
        }
        let mut is_over = false;
        for Ranked { source, .. } in &mut self.sources {
            is_over |= source.expire(now);
        }
        self.is_changed |= is_over;
        if is_over && !self.is_in_transition() {
            // What was kept until then goes, also if another list comes at the same moment.
            self.is_interim = false;
        }
        debug_assert!(self.is_expired_until(now), "the same deadline again would spin");
        self.invariants();
    }

    /// Takes a message that came in answer to a question, or the news that none will.
    pub fn on_outcome(
        &mut self,
        question: QuestionId,
        outcome: Result<&[u8], Failure>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.names.on_outcome(question, outcome, now, random);
        self.take_answers(now);
        self.invariants();
    }

    /// Begins the look-ups that are due; those of hosts only if there is a table of them.
    pub fn refresh(&mut self, table: Option<&hosts::Table>, now: Instant) {
        self.is_changed |= self.names.refresh(table, now);
        self.invariants();
    }

    /// The changes that the log should show, the first one first.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        for Ranked { source, .. } in &mut self.sources {
            self.findings.note_own(source.take_findings());
        }
        let names = &self.names;
        let optional = self.sources.iter().flat_map(|ranked| ranked.source.optional(names));
        let optional: Vec<_> = optional.collect();
        self.findings.note_names(self.names.watches_mut(), &optional);
        if let Some(configuration) = self.names.configuration() {
            self.findings.note_configuration(configuration);
        }
        self.findings.take()
    }

    /// Brings all look-ups forward, since no endpoint is active.
    pub fn on_none_active(&mut self, now: Instant) {
        self.names.expedite_all(now);
        self.reconsider(now);
        debug_assert!(self.names.is_empty() || self.names.is_asking(now), "a name is not in doubt");
        self.invariants();
    }

    /// Has what is known looked at again although it is the same: the host's routes may have
    /// changed. At most once in [`DNS_REFRESH_MIN`], however often it is called.
    pub fn reconsider(&mut self, now: Instant) {
        if self.reconsidered_at.is_none_or(|at| at + DNS_REFRESH_MIN <= now) {
            self.reconsidered_at = Some(now);
            self.is_changed = true;
        }
    }

    /// The endpoints that should exist, if that may be others than before. `usability` tells of
    /// each address whether it can be dialed; its second argument is whether it is from a name.
    pub fn take_found(
        &mut self,
        usability: &mut dyn FnMut(&Address, bool) -> Usability,
        now: Instant,
    ) -> Option<&[Found]> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let mut excluded = Vec::new();
        for Ranked { source, .. } in &mut self.sources {
            excluded.extend(source.update(&self.names, self.is_interim, now));
        }
        self.sync_names(now);
        let rank = self.rank_in_effect();
        debug_assert!(rank.is_none_or(|rank| self.has_rank(rank)), "of no source");
        let in_effect = self.sources.iter().filter(|ranked| Some(ranked.rank) == rank);
        let hosts: Vec<_> = in_effect.flat_map(|ranked| ranked.source.hosts(&self.names)).collect();
        let (found, unused) = merge::merge(&hosts, &self.health_policy, usability);
        excluded.extend(unused);
        self.findings.note_excluded(excluded, now);
        self.replace(found, rank);
        debug_assert!(!self.is_changed, "it would be taken again and again");
        self.invariants();
        Some(&self.found)
    }

    /// Replaces what was found. An empty answer is more often a mistake than an order to serve no
    /// client, so the endpoints of before stay then, unless a source knows better; and they stay
    /// while those in their place are not known.
    fn replace(&mut self, found: Vec<Found>, rank: Option<u8>) {
        debug_assert!(found.len() <= ENDPOINTS_MAX);
        let fallback = self.fallback(rank);
        debug_assert!(fallback.is_empty() || self.has_ranks(), "nothing takes the place");
        let is_empty = found.is_empty() && !self.found.is_empty();
        let is_empty = is_empty && !self.first_rank().all(|ranked| ranked.source.is_emptied());
        let is_under_way = self.is_in_transition();
        let is_kept = is_empty || self.is_interim && is_under_way;
        self.is_interim = is_kept || !fallback.is_empty() || self.is_learning();
        let before = std::mem::replace(&mut self.found, found);
        if is_kept {
            let servers: BTreeSet<_> = self.found.iter().map(Found::server).collect();
            let kept = before.into_iter().filter(|found| !servers.contains(&found.server()));
            self.found.extend(kept);
            self.found.truncate(ENDPOINTS_MAX);
            debug_assert!(!self.found.is_empty(), "there was nothing to keep");
        }
        let endpoints = self.found.len();
        if !(is_empty && is_under_way) {
            self.findings.note_kept(is_empty.then_some(endpoints));
        }
        if !fallback.is_empty() {
            self.findings.note_fallback(fallback, endpoints);
        } else if !is_empty {
            let first = self.first_rank();
            let listing = first.filter(|ranked| ranked.state(&self.names) == State::Listing);
            self.findings.note_discovered(listing.map(Ranked::label).collect());
        }
    }

    fn is_in_transition(&self) -> bool {
        self.sources.iter().any(|ranked| ranked.source.is_in_transition())
    }

    /// The rank whose sources count: the first one of which a source lists hosts, or has yet to
    /// answer and may still take its time. `None` while there is no such rank.
    fn rank_in_effect(&self) -> Option<u8> {
        let is_patient = self.patient_until.is_some();
        let counting = self.sources.iter().filter(|ranked| ranked.counts(&self.names, is_patient));
        counting.map(|ranked| ranked.rank).min()
    }

    /// The sources in whose place others count, or would if they listed hosts, and why: all of the
    /// first rank, or none.
    fn fallback(&self, rank: Option<u8>) -> Vec<(SourceLabel, FallbackReason)> {
        let is_first = self.first_rank().any(|ranked| Some(ranked.rank) == rank);
        if is_first || !self.has_ranks() {
            return Vec::new();
        }
        let reasons = self.first_rank().filter_map(|ranked| match ranked.state(&self.names) {
            State::Listing | State::Learning => None,
            State::Pending(reason) | State::Empty(reason) => Some((ranked.label(), reason)),
        });
        reasons.collect()
    }

    /// Whether sources of another rank could count in place of the first.
    fn has_ranks(&self) -> bool {
        self.first_rank().count() < self.teaching().count()
    }

    /// The sources that count before all others, apart from those that learn from these.
    fn first_rank(&self) -> impl Iterator<Item = &Ranked> {
        let first = self.teaching().map(|ranked| ranked.rank).min();
        self.teaching().filter(move |ranked| Some(ranked.rank) == first)
    }

    /// The sources that may list hosts without those of another one.
    fn teaching(&self) -> impl Iterator<Item = &Ranked> {
        self.sources.iter().filter(|ranked| ranked.state(&self.names) != State::Learning)
    }

    /// Whether a source has yet to learn of hosts from those of the others.
    fn is_learning(&self) -> bool {
        self.teaching().count() < self.sources.len()
    }

    /// Makes the names those that the sources need.
    fn sync_names(&mut self, now: Instant) {
        let needed = self.sources.iter().flat_map(|ranked| ranked.source.names());
        self.names.sync(&needed.collect::<Vec<_>>(), now);
    }

    fn take_answers(&mut self, now: Instant) {
        let Discovery { sources, names, .. } = self;
        let mut is_last = false;
        while let Some(taken) = names.take_answer(|watch| is_vital(sources, watch), now) {
            self.is_changed |= taken.is_changed;
            is_last |= taken.is_last;
        }
        if is_last {
            // Even if nothing is new: the host's own addresses or routes may be, and this is when
            // to look at them again.
            self.reconsider(now);
        }
    }
}

/// Whether something is missing while that name has no records.
fn is_vital(sources: &[Ranked], watch: &Watch) -> bool {
    !sources.iter().any(|ranked| ranked.source.is_spare(watch))
}

#[cfg(test)]
mod tests {
    use super::late::Late;
    use super::names::Needed;
    use super::source::{Host, Source};
    use super::*;
    use crate::config::address::EndpointAddress;
    use crate::config::discovery_srv::{DiscoverySrv, Trust};
    use crate::proto::dns::message::{Kind, Records, Service};
    use crate::proto::dns::name::Name;
    use crate::proto::dns::resolv_conf::Problem;
    use crate::proto::dns::{Answer, Answered, LookupId, Subject, Wanted, hosts};
    use crate::upstream::Check;

    const SECOND: Duration = Duration::from_secs(1);

    fn typed(texts: &[&str]) -> Vec<EndpointAddress> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn discover(endpoints: &[&str], srv: Option<DiscoverySrv>) -> (Discovery, Instant) {
        let now = Instant::now();
        let sources = Sources::new(SECOND, Environment::default());
        let sources = sources.with(typed(endpoints)).with(srv);
        (Discovery::new(sources, now), now)
    }

    fn by_srv() -> Option<DiscoverySrv> {
        Some(DiscoverySrv {
            domain: "example.test".to_owned(),
            name: None,
            trust: Trust::Unverified,
        })
    }

    fn configure(discovery: &mut Discovery, text: Result<&[u8], Problem>, now: Instant) {
        let text = text.map(<[u8]>::to_vec);
        discovery.names_mut().configure(text, "host.test", |_| None, now);
    }

    /// By a resolv.conf(5) that is as it should be, and this table of hosts.
    fn refresh(discovery: &mut Discovery, hosts: &str, now: Instant) {
        configure(discovery, Ok(b"nameserver 10.0.0.53"), now);
        let names: Vec<String> = discovery.names().host_names(None).collect();
        let table = hosts::addresses(hosts.as_bytes(), names.iter().map(String::as_str));
        discovery.refresh(Some(&table), now);
    }

    /// What was found, as `address name`.
    fn found(discovery: &mut Discovery, now: Instant) -> Option<Vec<String>> {
        let found = discovery.take_found(&mut |_, _| Ok(()), now)?;
        Some(found.iter().map(|one| format!("{} {}", one.spec.address, one.name)).collect())
    }

    #[test]
    fn addresses_need_no_question() {
        let (mut discovery, now) = discover(&["10.0.0.1:1", "[::1]:2?weight=7"], None);
        assert!(discovery.names().is_empty() && !discovery.names().is_asking(now));
        let want = vec!["10.0.0.1:1 10.0.0.1:1".to_owned(), "[::1]:2 [::1]:2".to_owned()];
        assert_eq!(found(&mut discovery, now), Some(want));
        assert_eq!(found(&mut discovery, now), None, "reported once");
        assert_eq!(discovery.next_deadline(), None);
    }

    /// A source of the first rank.
    fn late(number: u8, at: Option<Instant>) -> Late {
        Late { address: ([10, 0, 0, number], 1).into(), at, is_first: true }
    }

    /// The endpoints that these sources and a typed one give from `at` on, without looking anything
    /// up, and what is reported by then.
    fn found_late(late: &[Late], now: Instant, at: Instant) -> (Vec<String>, Vec<Finding>) {
        let sources = Sources::new(SECOND, Environment::default());
        let sources = sources.with(typed(&["10.0.0.9:1"])).with(late.iter().copied());
        let mut discovery = Discovery::new(sources, now);
        assert!(discovery.names().is_empty() && discovery.may_change());
        found(&mut discovery, now);
        assert_eq!(discovery.next_deadline(), Some(at));
        discovery.advance(at, &mut || 0);
        let found = found(&mut discovery, at).expect("news");
        (found, discovery.take_findings())
    }

    #[test]
    fn a_source_without_a_name_changes_with_time() {
        let now = Instant::now();
        let first = late(1, Some(now + SECOND / 2));
        let [typed, own] = ["10.0.0.9:1 10.0.0.9:1", "10.0.0.1:1 10.0.0.1:1"];
        let at = now + SECOND / 2;
        assert_eq!(found_late(&[first], now, at), (vec![own.to_owned()], vec![]));
        let second = Late { is_first: false, ..first };
        assert_eq!(
            found_late(&[second], now, at),
            (vec![typed.to_owned(), own.to_owned()], vec![])
        );
    }

    /// Of each source of the first rank a line says why it gives nothing.
    #[test]
    fn patience_ends_also_where_no_name_is_looked_up() {
        let now = Instant::now();
        let sources = [late(1, None), late(2, None)];
        let (found, findings) = found_late(&sources, now, now + SECOND);
        assert_eq!(found, ["10.0.0.9:1 10.0.0.9:1"]);
        let want = sources.map(|late| Finding::FellBack {
            source: late.into_source().label(),
            reason: FallbackReason::NoAnswer,
            endpoints: 1,
        });
        assert_eq!(findings, want);
    }

    /// Only the sources that list something have come to be used.
    #[test]
    fn what_replaces_typed_endpoints_is_named() {
        let now = Instant::now();
        let at = now + 2 * SECOND;
        let sources = Sources::new(SECOND, Environment::default()).with(typed(&["10.0.0.9:1"]));
        let sources = sources.with([late(1, None), late(2, Some(at))]);
        let mut discovery = Discovery::new(sources, now);
        for now in [now, now + SECOND, at] {
            discovery.advance(now, &mut || 0);
            found(&mut discovery, now);
        }
        let findings = discovery.take_findings();
        let source = late(2, None).into_source().label();
        assert_eq!((findings.len(), findings.last()), (3, Some(&Finding::Discovered { source })));
    }

    #[test]
    fn the_hosts_file_comes_before_any_server_and_is_read_again() {
        let (mut discovery, now) = discover(&["M.test:1", "localhost:2"], None);
        assert_eq!(found(&mut discovery, now), Some(vec![]));
        assert!(discovery.names().is_refresh_due(now));
        refresh(&mut discovery, "10.0.0.1 x m.test", now);
        discovery.advance(now, &mut || 0);
        assert_eq!(discovery.names_mut().take_commands(), []);
        let want = ["10.0.0.1:1 M.test:1", "127.0.0.1:2 localhost:2", "[::1]:2 localhost:2"];
        assert_eq!(found(&mut discovery, now).expect("news"), want);
        let later = discovery.next_deadline().expect("it may change");
        refresh(&mut discovery, "10.0.0.2 m.test\n127.0.0.9 localhost", later);
        let want = ["10.0.0.2:1 M.test:1", "127.0.0.9:2 localhost:2"];
        assert_eq!(found(&mut discovery, later).expect("news"), want);
    }

    #[test]
    fn a_name_that_no_file_knows_is_asked_for() {
        let (mut discovery, now) = discover(&["m.test:1", "m.test:2"], None);
        refresh(&mut discovery, "", now);
        discovery.advance(now, &mut || 0);
        let commands = discovery.names_mut().take_commands();
        assert_eq!(commands.len(), 2, "one name, two families: {commands:?}");
        assert!(discovery.names().is_asking(now) && !discovery.names().is_refresh_due(now));
        let waiting: Vec<String> = discovery.names().unresolved().map(Wanted::to_string).collect();
        assert_eq!(waiting, ["m.test"]);
    }

    #[test]
    fn typed_endpoints_do_not_count_until_records_are_late() {
        let (mut discovery, now) = discover(&["10.0.0.1:1"], by_srv());
        assert_eq!(found(&mut discovery, now), Some(vec![]));
        refresh(&mut discovery, "", now);
        discovery.advance(now, &mut || 0);
        assert_eq!(found(&mut discovery, now), None);
        let late = now + SECOND;
        assert!(discovery.next_deadline().is_some_and(|deadline| deadline <= late));
        discovery.advance(late, &mut || 0);
        assert_eq!(found(&mut discovery, late).expect("news"), ["10.0.0.1:1 10.0.0.1:1"]);
        assert!(discovery.next_deadline().is_some_and(|deadline| deadline > late), "once");
    }

    #[test]
    fn without_typed_endpoints_there_is_nothing_to_fall_back_to() {
        let (mut discovery, now) = discover(&[], by_srv());
        refresh(&mut discovery, "", now);
        let late = now + 9 * SECOND;
        discovery.advance(late, &mut || 0);
        assert_eq!(found(&mut discovery, late), Some(vec![]));
    }

    /// The first watch that is meant.
    fn watch(discovery: &mut Discovery, is_meant: impl Fn(&Watch) -> bool) -> &mut Watch {
        discovery.names.watches_mut().find(|watch| is_meant(watch)).expect("it is watched")
    }

    fn answered(answer: Answer) -> Answered {
        Answered::new(LookupId(0), Kind::Srv, answer)
    }

    #[test]
    fn hosts_of_records_that_are_gone_are_asked_for_no_more() {
        let (mut discovery, now) = discover(&[], by_srv());
        let records = Records::Services(vec![service("m.test")]);
        let listed = Answer::Records { records, ttl: SECOND };
        let gone = Answer::Nothing { exists: false, ttl: None };
        for (answer, at, watches) in [(listed, now, 3), (gone, now + SECOND, 2)] {
            let watch = watch(&mut discovery, |watch| watch.subject() == Subject::Service);
            watch.begin(at);
            watch.on_answer(answered(answer), true, at);
            discovery.is_changed = true;
            found(&mut discovery, at);
            assert_eq!(discovery.names.watches_mut().count(), watches);
        }
    }

    fn service(host: &str) -> Service {
        let target = Name::from_text(host).expect("a name");
        Service { priority: 0, weight: 1, port: 1, target }
    }

    /// What there is once these hosts, or none, are in the records.
    fn list(discovery: &mut Discovery, hosts: &[&str], at: Instant) -> Vec<String> {
        let services = hosts.iter().map(|host| service(host)).collect();
        let answer = match hosts {
            [] => Answer::Nothing { exists: false, ttl: None },
            _ => Answer::Records { records: Records::Services(services), ttl: SECOND },
        };
        let watch = watch(discovery, |watch| watch.subject() == Subject::Service);
        watch.begin(at);
        watch.on_answer(answered(answer), true, at);
        discovery.is_changed = true;
        sorted(discovery, at)
    }

    /// What there is once the host is known.
    fn settle(discovery: &mut Discovery, host: &str, address: &str, at: Instant) -> Vec<String> {
        let wanted = Wanted::Exact(Name::from_text(host).expect("a name"));
        let watch = watch(discovery, |watch| *watch.wanted() == wanted);
        watch.resolve_locally(&[address.parse().expect("an address")], at);
        discovery.is_changed = true;
        sorted(discovery, at)
    }

    fn sorted(discovery: &mut Discovery, at: Instant) -> Vec<String> {
        let mut found = found(discovery, at).expect("news");
        found.sort();
        found
    }

    #[test]
    fn what_is_kept_stays_until_the_new_hosts_are_known() {
        let (mut discovery, now) = discover(&[], by_srv());
        let [a, b] = ["10.0.0.1:1 a.test:1", "10.0.0.2:1 b.test:1"];
        list(&mut discovery, &["a.test", "b.test"], now);
        settle(&mut discovery, "a.test", "10.0.0.1", now);
        assert_eq!(settle(&mut discovery, "b.test", "10.0.0.2", now), [a, b]);
        let mut at = now;
        for is_late in [false, true] {
            at += 600 * SECOND;
            assert_eq!(list(&mut discovery, &[], at), [a, b], "they stay");
            at += 600 * SECOND;
            list(&mut discovery, &["a.test", "b.test"], at);
            assert_eq!(settle(&mut discovery, "b.test", "10.0.0.2", at), [a, b], "a may be there");
            if is_late {
                let until = discovery.sources[0].source.next_deadline().expect("not without end");
                discovery.advance(until, &mut || 0);
                assert_eq!(found(&mut discovery, until).expect("news"), [b]);
                at = until;
            }
            assert_eq!(settle(&mut discovery, "a.test", "10.0.0.1", at), [a, b]);
        }
    }

    #[test]
    fn a_list_that_comes_when_time_is_up_keeps_nothing_for_longer() {
        let (mut discovery, now) = discover(&[], by_srv());
        list(&mut discovery, &["a.test", "b.test"], now);
        settle(&mut discovery, "a.test", "10.0.0.1", now);
        settle(&mut discovery, "b.test", "10.0.0.2", now);
        let at = now + 600 * SECOND;
        list(&mut discovery, &[], at);
        let at = at + 600 * SECOND;
        list(&mut discovery, &["b.test", "c.test"], at);
        assert_eq!(settle(&mut discovery, "b.test", "10.0.0.2", at).len(), 2, "c may be there");
        let until = discovery.sources[0].source.next_deadline().expect("not without end");
        discovery.advance(until, &mut || 0);
        let left = list(&mut discovery, &["b.test", "d.test"], until);
        assert_eq!(left, ["10.0.0.2:1 b.test:1"]);
    }

    /// The findings about the endpoints as a whole, in a word each.
    fn reported(discovery: &mut Discovery) -> Vec<&str> {
        let findings = discovery.take_findings().into_iter();
        let words = findings.filter_map(|finding| match finding {
            Finding::FellBack { .. } => Some("fallback"),
            Finding::Discovered { .. } => Some("in effect"),
            Finding::Kept { .. } => Some("kept"),
            _ => None,
        });
        words.collect()
    }

    /// The first host that is known may be dead.
    #[test]
    fn typed_endpoints_stay_until_the_hosts_of_the_records_are_known() {
        let (mut discovery, now) = discover(&["10.0.0.9:1"], by_srv());
        let [typed, a, b] = ["10.0.0.9:1 10.0.0.9:1", "10.0.0.1:1 a.test:1", "10.0.0.2:1 b.test:1"];
        let at = now + SECOND;
        discovery.advance(at, &mut || 0);
        assert_eq!(found(&mut discovery, at).expect("news"), [typed]);
        assert_eq!(reported(&mut discovery), ["fallback"]);
        assert_eq!(list(&mut discovery, &["a.test", "b.test"], at), [typed]);
        assert_eq!(reported(&mut discovery), [""; 0], "no record led to an endpoint so far");
        assert_eq!(settle(&mut discovery, "a.test", "10.0.0.1", at), [a, typed]);
        assert_eq!(reported(&mut discovery), ["in effect"]);
        assert_eq!(settle(&mut discovery, "b.test", "10.0.0.2", at), [a, b]);
        assert_eq!(reported(&mut discovery), [""; 0]);
    }

    #[test]
    fn a_failed_dial_casts_doubt_on_its_name_alone() {
        let (mut discovery, now) = discover(&["a.test:1", "b.test:1"], None);
        refresh(&mut discovery, "10.0.0.1 a.test\n10.0.0.2 b.test", now);
        let later = now + 2 * SECOND;
        discovery.names_mut().on_dial_failed(&Address::from(([10, 0, 0, 3], 1)), later);
        assert!(!discovery.names().is_refresh_due(later));
        discovery.names_mut().on_dial_failed(&Address::from(([10, 0, 0, 2], 1)), later);
        let due: Vec<String> = discovery.names.host_names(Some(later)).collect();
        assert_eq!(due, ["b.test"]);
        discovery.on_none_active(later);
        assert!(discovery.names.watches_mut().all(|watch| watch.is_due(later)));
    }

    /// A source that no look-up is needed for.
    #[derive(Debug)]
    struct Fake {
        state: State,
        address: Address,
    }

    impl Source for Fake {
        fn label(&self) -> SourceLabel {
            SourceLabel { source: "fake", key: "address", subject: self.address.to_string() }
        }

        fn names(&self) -> Vec<Needed> {
            Vec::new()
        }

        fn state(&self, _: &Names) -> State {
            self.state
        }

        fn hosts(&self, _: &Names) -> Vec<Host> {
            let (name, priority, weight) = (self.address.to_string(), 0, 1);
            let (check, is_resolved) = (Check::Connect, true);
            if self.state != State::Listing {
                return Vec::new();
            }
            let addresses = vec![self.address.clone()];
            let server = source::Server::unknown();
            let member = None;
            vec![Host {
                name,
                source: "fake",
                priority,
                weight,
                check,
                server,
                is_resolved,
                member,
                addresses,
            }]
        }
    }

    /// The place of the source that has listed the endpoint.
    fn place_of(found: &Found) -> usize {
        usize::from(found.spec.address.port().expect("no endpoint is a path"))
    }

    /// The sources that count, of those with this rank and state each, by their places; and the
    /// ones in whose place they do.
    fn in_effect(sources: &[(u8, State)], is_patient: bool) -> (Vec<usize>, Vec<String>) {
        let (mut discovery, now) = discover(&[], None);
        discovery.patient_until = is_patient.then_some(now + SECOND);
        let ranked = sources.iter().enumerate().map(|(place, (rank, state))| {
            let address = Address::from(([10, 0, 0, 1], place as u16));
            Ranked { rank: *rank, source: Box::new(Fake { state: *state, address }) }
        });
        discovery.sources = ranked.collect();
        let found = discovery.take_found(&mut |_, _| Ok(()), now).expect("news");
        let found = found.iter().map(place_of).collect();
        let findings = discovery.take_findings().into_iter();
        let replaced = findings.filter_map(|finding| match finding {
            Finding::FellBack { source, .. } => Some(source.subject),
            _ => None,
        });
        (found, replaced.collect())
    }

    #[test]
    fn the_first_rank_counts_of_which_a_source_lists_hosts_or_may_yet() {
        use State::Listing;
        let [pending, empty] =
            [State::Pending(FallbackReason::NoAnswer), State::Empty(FallbackReason::NoAnswer)];
        let (none, first) = (&[""; 0][..], &["10.0.0.1:0"][..]);
        for (sources, is_patient, want) in [
            (&[(0, Listing), (1, Listing), (2, Listing)][..], false, (vec![0], none)),
            (&[(0, empty), (1, Listing), (2, Listing)], false, (vec![1], first)),
            (&[(0, empty), (2, Listing), (1, empty)], false, (vec![1], first)),
            (&[(0, pending), (1, Listing)], true, (vec![], none)),
            (&[(0, pending), (1, Listing)], false, (vec![1], first)),
            (&[(0, empty), (1, pending), (2, Listing)], true, (vec![], first)),
            (&[(0, empty), (1, empty)], false, (vec![], first)),
            // All of one rank count together, in their order.
            (&[(1, Listing), (0, Listing), (0, pending), (0, Listing)], false, (vec![1, 3], none)),
            (&[(1, empty), (1, empty)], false, (vec![], none)),
            // And are replaced together.
            (
                &[(0, empty), (1, Listing), (0, pending)],
                false,
                (vec![1], &["10.0.0.1:0", "10.0.0.1:2"][..]),
            ),
        ] {
            let (found, replaced) = in_effect(sources, is_patient);
            let replaced: Vec<&str> = replaced.iter().map(String::as_str).collect();
            assert_eq!((found, &replaced[..]), want, "{sources:?} {is_patient}");
        }
    }
}
