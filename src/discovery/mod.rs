//! Where endpoints come from: addresses and names as typed, and SRV records. Turns what was
//! configured and what the name servers say into the endpoints that should exist.
//!
//! Owns the names, what is known of each, and the resolver. Must not touch a pair or a socket, read
//! a file or the clock: what the resolver wants done is handed on, `now` and files are arguments.
//!
//! ```text
//!   --endpoints ──────────────┐
//!   --discovery-srv ─► srv ─┐ ├──► watch, one for each name ──► groups ──► share ──► Found
//!                           └─┘            ▲
//!                                      resolver
//! ```

mod absence;
mod configuration;
mod group;
mod known;
mod names;
mod refresh;
mod report;
mod retiring;
mod share;
pub mod srv;
mod watch;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::config::address::{EndpointAddress, Host};
use crate::config::{DNS_REFRESH_MIN, ENDPOINTS_MAX};
use crate::proto::dns::resolver::Resolver;
use crate::proto::dns::{Command, Exchange, Failure, LookupId, Subject, Wanted};
use crate::upstream::EndpointSpec;

pub use crate::proto::dns::resolv_conf::Environment;
pub use report::{Exclusion, FallbackReason, Item, Report, ResolveError, Unusable, Usability};

use absence::AbsentNames;
use configuration::Configuration;
use report::{Excluded, Reports};
use retiring::Handover;
use srv::{Listed, RecordSet, SrvSource, literal, name_of};
use watch::Watch;

/// What was configured.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Endpoints as typed. Beside SRV records they count only while those list nobody.
    pub endpoints: Vec<EndpointAddress>,
    /// Where to look for SRV records, if anywhere.
    pub srv: Option<SrvSource>,
    /// How long the first answer about SRV records may take before typed endpoints are used.
    pub patience: Duration,
    /// What the environment says of how to ask.
    pub environment: Environment,
}

/// An endpoint that should exist, and by which name it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The endpoint.
    pub spec: EndpointSpec,
    /// `host:port` as typed or as in the record.
    pub name: String,
}

/// The sources and what is known through them.
#[derive(Debug)]
pub struct Discovery {
    endpoints: Vec<EndpointAddress>,
    srv: Option<SrvSource>,
    /// Until when typed endpoints stand back although nobody has told us of SRV records.
    fallback_at: Option<Instant>,
    /// The SRV records that count.
    records: Handover,
    watches: Slab<Watch>,
    absent: AbsentNames,
    resolver: Resolver,
    configuration: Configuration,
    /// Whether somebody was asked by it.
    has_asked: bool,
    found: Vec<Found>,
    /// Some of them, or all, are there although no record or name leads to them now.
    is_interim: bool,
    /// What is known has changed, or the time has come to see it otherwise.
    is_changed: bool,
    reports: Reports,
    reconsidered_at: Option<Instant>,
}

impl Discovery {
    /// Nothing is asked yet; what needs no question is known at once.
    pub fn new(sources: Sources, now: Instant) -> Discovery {
        let Sources { endpoints, srv, patience, environment } = sources;
        let configuration = Configuration::new(environment);
        let has_fallback = srv.is_some() && !endpoints.is_empty();
        let mut discovery = Discovery {
            endpoints,
            srv,
            fallback_at: has_fallback.then_some(now + patience),
            records: Handover::default(),
            watches: Slab::new(),
            absent: AbsentNames::default(),
            resolver: Resolver::new(configuration.current().clone()),
            configuration,
            has_asked: false,
            found: Vec::new(),
            is_interim: false,
            is_changed: true,
            reports: Reports::default(),
            reconsidered_at: None,
        };
        for endpoint in discovery.endpoints.clone() {
            if let Host::Name(name) = endpoint.host {
                discovery.watch(Wanted::Typed(name), Subject::Host, now);
            }
        }
        if let Some(source) = discovery.srv.clone() {
            for set in RecordSet::ALL {
                discovery.watch(Wanted::Typed(source.name(set)), Subject::Service, now);
            }
        }
        discovery
    }

    /// Whether nothing was configured that could ever change.
    pub fn is_fixed(&self) -> bool {
        self.watches.is_empty()
    }

    /// Whether a look-up is under way or due: then an endpoint may turn up soon.
    pub fn is_asking(&self, now: Instant) -> bool {
        self.watches.iter().any(|(_, watch)| watch.is_open(now))
    }

    /// The names that were not resolved so far.
    pub fn waiting_for(&self) -> impl Iterator<Item = &Wanted> {
        let open = self.watches.iter().filter(|(_, watch)| !watch.is_settled());
        open.map(|(_, watch)| watch.wanted())
    }

    /// When to call [`Discovery::advance`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.watches.iter().filter_map(|(_, watch)| watch.due_at());
        let others = [self.resolver.next_deadline(), self.fallback_at, self.records.deadline()];
        due.chain(others.into_iter().flatten()).min()
    }

    /// Whether [`Discovery::refresh`] should be called.
    pub fn is_refresh_due(&self, now: Instant) -> bool {
        self.watches.iter().any(|(_, watch)| watch.is_due(now))
    }

    /// Whether a name server has been silent for too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.resolver.is_overdue(now)
    }

    /// Does what time allows, and takes the answers that have come.
    pub fn advance(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.resolver.advance(now, random);
        self.take_answers(now);
        if self.fallback_at.is_some_and(|at| at <= now) {
            self.fallback_at = None;
            self.is_changed = true;
        }
        self.is_changed |= self.records.expire(now);
    }

    /// A message came in answer to an exchange, or news that none will.
    pub fn on_exchange(
        &mut self,
        exchange: Exchange,
        outcome: Result<&[u8], Failure>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        self.resolver.on_exchange(exchange, outcome, now, random);
        self.take_answers(now);
    }

    /// What is to be done for the resolver.
    pub fn take_commands(&mut self) -> Vec<Command> {
        self.resolver.take_commands()
    }

    /// What is to be told.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.reports.note_names(self.watches.iter_mut().map(|(_, watch)| watch));
        if self.has_asked {
            self.reports.note_configuration(&self.configuration);
        }
        self.reports.take()
    }

    /// A dial to the address failed: the name that led there may lead elsewhere by now.
    pub fn on_dial_failed(&mut self, address: SocketAddr, now: Instant) {
        for (_, watch) in &mut self.watches {
            if watch.addresses().any(|known| known == address.ip()) {
                watch.hurry(now);
            }
        }
    }

    /// No endpoint works any more.
    pub fn on_none_active(&mut self, now: Instant) {
        self.watches.iter_mut().for_each(|(_, watch)| watch.hurry(now));
        self.reconsider(now);
    }

    /// What is known is to be looked at again although it is the same: the host's routes may have
    /// changed. Not all the time, however often it is asked for.
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
        usability: &mut dyn FnMut(SocketAddr, bool) -> Usability,
        now: Instant,
    ) -> Option<&[Found]> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let mut excluded = self.list(now);
        let (found, unused) = group::found(&self.groups(), usability);
        excluded.extend(unused);
        let fallback = self.fallback();
        self.reports.note_excluded(excluded, now);
        // An empty answer is more often a mistake than an order to serve nobody.
        let is_empty = found.is_empty() && !self.found.is_empty();
        let is_under_way = self.records.is_under_way();
        let is_kept = is_empty || self.is_interim && is_under_way;
        self.is_interim = is_kept || fallback.is_some();
        let before = std::mem::replace(&mut self.found, found);
        if is_kept {
            self.keep(before);
        }
        let endpoints = self.found.len();
        self.reports.note_kept((is_empty && !is_under_way).then_some(endpoints));
        if fallback.is_some() || !is_empty {
            self.reports.note_fallback(fallback, endpoints);
        }
        Some(&self.found)
    }

    /// Those that nothing leads to any more stay behind those that were found.
    fn keep(&mut self, before: Vec<Found>) {
        let server = |it: &Found| group::server(it.spec.address);
        let is_other = |it: &Found| self.found.iter().all(|one| server(one) != server(it));
        let kept: Vec<Found> = before.into_iter().filter(is_other).collect();
        self.found.extend(kept);
        self.found.truncate(ENDPOINTS_MAX);
    }

    fn watch(&mut self, wanted: Wanted, subject: Subject, now: Instant) {
        if self.watch_of(&wanted, subject).is_none() {
            let told = self.absent.recall(&wanted, now);
            let mut watch = Watch::new(wanted, subject, now);
            watch.note_told(told);
            self.watches.insert(watch);
        }
    }

    fn watch_of(&self, wanted: &Wanted, subject: Subject) -> Option<&Watch> {
        let mut watches = self.watches.iter().map(|(_, watch)| watch);
        watches.find(|watch| watch.subject() == subject && watch.wanted() == wanted)
    }

    fn take_answers(&mut self, now: Instant) {
        while let Some(answered) = self.resolver.next_answer() {
            let LookupId(key) = answered.id;
            let is_vital = self.is_vital(key);
            let Some(watch) = self.watches.get_mut(key) else {
                debug_assert!(false, "an answer to nobody");
                continue;
            };
            self.is_changed |= watch.on_answer(answered, is_vital, now);
            if watch.is_idle() {
                // Even if nothing is new: the host's own addresses or routes may be, and this is
                // when to look at them again.
                self.reconsider(now);
            }
        }
    }

    /// Whether something is missing without that name. One set of SRV records is enough, if it
    /// counts: of the other, as long as it has none, it may be true that there is none.
    fn is_vital(&self, key: usize) -> bool {
        let is_spare = |watch: &Watch| {
            watch.subject() == Subject::Service
                && watch.services().is_empty()
                && !self.records.listed().is_empty()
        };
        !self.watches.get(key).is_some_and(is_spare)
    }

    /// Sees which SRV records count now, and watches the hosts that they name. Tells what does not
    /// count.
    fn list(&mut self, now: Instant) -> Vec<Excluded> {
        let Some(source) = &self.srv else { return Vec::new() };
        let services = |set| {
            let wanted = Wanted::Typed(source.name(set));
            self.watch_of(&wanted, Subject::Service).map_or(&[][..], Watch::services)
        };
        let [secure, plain] = RecordSet::ALL.map(services);
        let (listed, excluded) = source.sort_out(secure, plain);
        let named = |(service, reason)| (Item::Name(name_of(service)), reason);
        let excluded = excluded.into_iter().map(named).collect();
        self.records.replace(listed, self.is_interim, now);
        self.watch_targets(now);
        let is_known = |it: &Listed| {
            let watch = self.watch_of(&Wanted::Exact(it.service.target.clone()), Subject::Host);
            watch.is_none_or(|watch| watch.is_settled())
        };
        if self.records.listed().iter().all(is_known) {
            self.records.complete();
            self.watch_targets(now);
        }
        excluded
    }

    /// Watches the hosts that SRV records name, and those no more that none does.
    fn watch_targets(&mut self, now: Instant) {
        let in_effect = self.records.in_effect();
        let wanted: Vec<Wanted> = in_effect
            .filter(|it| literal(&it.service).is_none())
            .map(|it| Wanted::Exact(it.service.target.clone()))
            .collect();
        let is_gone = |watch: &Watch| {
            matches!(watch.wanted(), Wanted::Exact(_)) && !wanted.contains(watch.wanted())
        };
        let gone = self.watches.iter().filter(|(_, watch)| is_gone(watch));
        for key in gone.map(|(key, _)| key).collect::<Vec<_>>() {
            self.resolver.forget(LookupId(key));
            self.absent.remember(self.watches.remove(key), now);
        }
        wanted.into_iter().for_each(|wanted| self.watch(wanted, Subject::Host, now));
    }

    /// Whether typed endpoints count in place of SRV records: it is clear, or has not become clear
    /// in time, that those list nobody.
    fn is_fallback(&self) -> bool {
        let is_due = self.fallback_at.is_none() || self.service_watches().all(Watch::is_absent);
        self.records.listed().is_empty() && is_due
    }

    /// The domain whose records give way to typed endpoints, and why.
    fn fallback(&self) -> Option<(String, FallbackReason)> {
        let source = self.srv.as_ref()?;
        if !self.is_fallback() || self.endpoints.is_empty() {
            return None;
        }
        let errors = || self.service_watches().filter_map(Watch::error);
        let failure = errors().find(|error| matches!(error, ResolveError::Failed(_)));
        let reason = match failure.or(errors().next()) {
            _ if self.service_watches().any(|watch| !watch.services().is_empty()) => {
                FallbackReason::NoUsableRecord
            }
            Some(error) => FallbackReason::Unresolved(error),
            None => FallbackReason::NoAnswer,
        };
        Some((source.domain.clone(), reason))
    }

    fn service_watches(&self) -> impl Iterator<Item = &Watch> {
        let watches = self.watches.iter().map(|(_, watch)| watch);
        watches.filter(|watch| watch.subject() == Subject::Service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::message::{Kind, Records, Service};
    use crate::proto::dns::name::Name;
    use crate::proto::dns::resolv_conf::Problem;
    use crate::proto::dns::{Answer, Answered, hosts};

    const SECOND: Duration = Duration::from_secs(1);

    fn typed(texts: &[&str]) -> Vec<EndpointAddress> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn discover(endpoints: &[&str], srv: Option<SrvSource>) -> (Discovery, Instant) {
        let now = Instant::now();
        let sources =
            Sources { endpoints: typed(endpoints), srv, patience: SECOND, ..Sources::default() };
        (Discovery::new(sources, now), now)
    }

    fn by_srv() -> Option<SrvSource> {
        Some(SrvSource { domain: "example.test".to_owned(), suffix: None, is_insecure: true })
    }

    fn configure(discovery: &mut Discovery, text: Result<&[u8], Problem>, now: Instant) {
        let text = text.map(<[u8]>::to_vec);
        discovery.configure(text, "host.test", |_| None, now);
    }

    /// By a resolv.conf(5) that is as it should be, and this table of hosts.
    fn refresh(discovery: &mut Discovery, hosts: &str, now: Instant) {
        configure(discovery, Ok(b"nameserver 10.0.0.53"), now);
        let names: Vec<String> = discovery.host_names(None).collect();
        let table = hosts::addresses(hosts.as_bytes(), names.iter().map(String::as_str));
        discovery.refresh(Some(&table), now);
    }

    /// What was found, as `address name`.
    fn found(discovery: &mut Discovery, now: Instant) -> Option<Vec<String>> {
        let found = discovery.take_found(&mut |_, _| Ok(()), now)?;
        Some(found.iter().map(|it| format!("{} {}", it.spec.address, it.name)).collect())
    }

    #[test]
    fn addresses_need_no_question() {
        let (mut discovery, now) = discover(&["10.0.0.1:1", "[::1]:2?weight=7"], None);
        assert!(discovery.is_fixed() && !discovery.is_asking(now));
        let want = vec!["10.0.0.1:1 10.0.0.1:1".to_owned(), "[::1]:2 [::1]:2".to_owned()];
        assert_eq!(found(&mut discovery, now), Some(want));
        assert_eq!(found(&mut discovery, now), None, "told once");
        assert_eq!(discovery.next_deadline(), None);
    }

    #[test]
    fn the_hosts_file_comes_before_any_server_and_is_read_again() {
        let (mut discovery, now) = discover(&["M.test:1", "localhost:2"], None);
        assert_eq!(found(&mut discovery, now), Some(vec![]));
        assert!(discovery.is_refresh_due(now));
        refresh(&mut discovery, "10.0.0.1 x m.test", now);
        discovery.advance(now, &mut || 0);
        assert_eq!(discovery.take_commands(), []);
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
        let commands = discovery.take_commands();
        assert_eq!(commands.len(), 2, "one name, two families: {commands:?}");
        assert!(discovery.is_asking(now) && !discovery.is_refresh_due(now));
        let waiting: Vec<String> = discovery.waiting_for().map(Wanted::to_string).collect();
        assert_eq!(waiting, ["m.test"]);
    }

    #[test]
    fn typed_endpoints_stand_back_until_records_are_late() {
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

    fn answered(answer: Answer) -> Answered {
        Answered {
            id: LookupId(0),
            kind: Kind::Srv,
            name: None,
            answer,
            undecided: Vec::new(),
            is_heard: false,
        }
    }

    /// Whether each set of records is vital, the secure one first, once that one has records.
    fn vital_sets(is_insecure: bool, has_records: RecordSet) -> [bool; 2] {
        let source = SrvSource { is_insecure, ..by_srv().expect("a source") };
        let (mut discovery, now) = discover(&[], Some(source.clone()));
        let key_of = |discovery: &Discovery, set| {
            let wanted = Wanted::Typed(source.name(set));
            let mut watches = discovery.watches.iter();
            watches.find(|(_, it)| *it.wanted() == wanted).expect("both are watched").0
        };
        let key = key_of(&discovery, has_records);
        let target = Name::from_text("m.test").expect("a name");
        let services = vec![Service { priority: 0, weight: 1, port: 1, target }];
        let (records, ttl) = (Records::Services(services), SECOND);
        discovery.watches[key].begin(now);
        let answer = Answer::Records { records, ttl };
        discovery.watches[key].on_answer(answered(answer), true, now);
        found(&mut discovery, now);
        RecordSet::ALL.map(|set| discovery.is_vital(key_of(&discovery, set)))
    }

    #[test]
    fn hosts_of_records_that_are_gone_are_asked_for_no_more() {
        let (mut discovery, now) = discover(&[], by_srv());
        let target = Name::from_text("m.test").expect("a name");
        let services = vec![Service { priority: 0, weight: 1, port: 1, target }];
        let listed = Answer::Records { records: Records::Services(services), ttl: SECOND };
        let gone = Answer::Nothing { exists: false, ttl: None };
        for (answer, at, watches) in [(listed, now, 3), (gone, now + SECOND, 2)] {
            let (_, watch) = discovery.watches.iter_mut().next().expect("the records");
            watch.begin(at);
            watch.on_answer(answered(answer), true, at);
            discovery.is_changed = true;
            found(&mut discovery, at);
            assert_eq!(discovery.watches.len(), watches);
        }
    }

    /// What there is once these hosts, or none, are in the records.
    fn list(discovery: &mut Discovery, hosts: &[&str], at: Instant) -> Vec<String> {
        let service = |host: &&str| {
            let target = Name::from_text(host).expect("a name");
            Service { priority: 0, weight: 1, port: 1, target }
        };
        let services = hosts.iter().map(service).collect();
        let answer = match hosts {
            [] => Answer::Nothing { exists: false, ttl: None },
            _ => Answer::Records { records: Records::Services(services), ttl: SECOND },
        };
        let is_service = |watch: &Watch| watch.subject() == Subject::Service;
        let mut watches = discovery.watches.iter_mut();
        let (_, watch) = watches.find(|(_, it)| is_service(it)).expect("the records");
        watch.begin(at);
        watch.on_answer(answered(answer), true, at);
        discovery.is_changed = true;
        sorted(discovery, at)
    }

    /// What there is once the host is known.
    fn settle(discovery: &mut Discovery, host: &str, address: &str, at: Instant) -> Vec<String> {
        let wanted = Wanted::Exact(Name::from_text(host).expect("a name"));
        let mut watches = discovery.watches.iter_mut();
        let (_, watch) = watches.find(|(_, it)| *it.wanted() == wanted).expect("it is listed");
        watch.settle_locally(&[address.parse().expect("an address")], at);
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
                let until = discovery.records.deadline().expect("not for ever");
                discovery.advance(until, &mut || 0);
                assert_eq!(found(&mut discovery, until).expect("news"), [b]);
                at = until;
            }
            assert_eq!(settle(&mut discovery, "a.test", "10.0.0.1", at), [a, b]);
        }
    }

    /// The first host that is known may be dead.
    #[test]
    fn typed_endpoints_stay_until_the_hosts_of_the_records_are_known() {
        let (mut discovery, now) = discover(&["10.0.0.9:1"], by_srv());
        let told = |discovery: &mut Discovery| -> Vec<&str> {
            let word = |report| match report {
                Report::FellBack { .. } => Some("fallback"),
                Report::Discovered { .. } => Some("in effect"),
                Report::Kept { .. } => Some("kept"),
                _ => None,
            };
            discovery.take_reports().into_iter().filter_map(word).collect()
        };
        let [typed, a, b] = ["10.0.0.9:1 10.0.0.9:1", "10.0.0.1:1 a.test:1", "10.0.0.2:1 b.test:1"];
        let at = now + SECOND;
        discovery.advance(at, &mut || 0);
        assert_eq!(found(&mut discovery, at).expect("news"), [typed]);
        assert_eq!(told(&mut discovery), ["fallback"]);
        assert_eq!(list(&mut discovery, &["a.test", "b.test"], at), [typed]);
        assert_eq!(told(&mut discovery), [""; 0], "no record led to an endpoint so far");
        assert_eq!(settle(&mut discovery, "a.test", "10.0.0.1", at), [a, typed]);
        assert_eq!(told(&mut discovery), ["in effect"]);
        assert_eq!(settle(&mut discovery, "b.test", "10.0.0.2", at), [a, b]);
        assert_eq!(told(&mut discovery), [""; 0]);
    }

    #[test]
    fn one_set_of_records_is_enough_if_it_counts() {
        assert_eq!(vital_sets(true, RecordSet::Secure), [true, false]);
        assert_eq!(vital_sets(true, RecordSet::Plain), [false, true]);
        assert_eq!(vital_sets(false, RecordSet::Secure), [true, false]);
        assert_eq!(vital_sets(false, RecordSet::Plain), [true, true], "refused as insecure");
    }

    #[test]
    fn a_failed_dial_casts_doubt_on_its_name_alone() {
        let (mut discovery, now) = discover(&["a.test:1", "b.test:1"], None);
        refresh(&mut discovery, "10.0.0.1 a.test\n10.0.0.2 b.test", now);
        let later = now + 2 * SECOND;
        discovery.on_dial_failed("10.0.0.3:1".parse().expect("an address"), later);
        assert!(!discovery.is_refresh_due(later));
        discovery.on_dial_failed("10.0.0.2:1".parse().expect("an address"), later);
        let due: Vec<&Wanted> = discovery
            .watches
            .iter()
            .filter(|(_, watch)| watch.is_due(later))
            .map(|(_, watch)| watch.wanted())
            .collect();
        assert_eq!(due, [&Wanted::Typed("b.test".to_owned())]);
        discovery.on_none_active(later);
        assert!(discovery.watches.iter().all(|(_, watch)| watch.is_due(later)));
    }
}
