//! A source of endpoints: the SRV records of a domain, as etcd's client reads them.
//!
//! Two sets of records (`client/pkg/srv` of etcd), the members that speak TLS and those that do
//! not; either may be missing. Pure: which names are asked for, which of the records count, and how
//! one list gives way to the next.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::finding::{Excluded, Exclusion, FallbackReason, Item, ResolveError, SourceLabel};
use super::names::{Names, Needed};
use super::retiring::{Record, RetiringRecords};
use super::source::{Configured, Host, Ranked, Server, Source, State};
use super::watch::Watch;
use crate::address::Address;
use crate::config::ENDPOINTS_MAX;
use crate::config::discovery_srv::{DiscoverySrv, Trust};
use crate::proto::dns::Wanted;
use crate::proto::dns::message::Service;
use crate::scheme::Scheme;
use crate::upstream::Check;

/// The kind of this source, in one word.
const KIND: &str = "srv";

/// The records of a domain.
#[derive(Debug)]
pub(super) struct Srv {
    settings: DiscoverySrv,
    /// The names of the sets, in the order of [`RecordSet::ALL`].
    sets: [Needed; 2],
    records: RetiringRecords<Listed>,
}

/// A set of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordSet {
    /// Members that speak TLS: `_etcd-client-ssl._tcp`.
    Secure,
    /// Members that do not: `_etcd-client._tcp`.
    Plain,
}

impl RecordSet {
    /// In the order of preference: a host and port in both counts as in the first.
    const ALL: [RecordSet; 2] = [RecordSet::Secure, RecordSet::Plain];

    /// The name that is asked for.
    fn name(self, settings: &DiscoverySrv) -> String {
        let service = match self {
            RecordSet::Secure => "etcd-client-ssl",
            RecordSet::Plain => "etcd-client",
        };
        let suffix = settings.name.as_ref().map_or_else(String::new, |name| format!("-{name}"));
        format!("_{service}{suffix}._tcp.{}", settings.domain)
    }

    /// How its members are spoken to.
    fn scheme(self) -> Scheme {
        match self {
            RecordSet::Secure => Scheme::Https,
            RecordSet::Plain => Scheme::Http,
        }
    }

    /// What the endpoints of the set have to prove; `None` if no proof would do.
    fn check(self, trust: &Trust) -> Option<Check> {
        match (trust, self) {
            (Trust::Unverified, _) => Some(Check::Connect),
            (Trust::Certified, RecordSet::Secure) => Some(Check::Tls),
            (Trust::Certified, RecordSet::Plain) => None,
        }
    }
}

/// A record that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) service: Service,
    check: Check,
    scheme: Scheme,
    /// The address that the target is, in the form of a name: Go's resolver takes it. Kept, as
    /// each question about the host asks for it.
    literal: Option<IpAddr>,
}

impl Listed {
    pub(super) fn new(service: Service, check: Check, scheme: Scheme) -> Listed {
        debug_assert!(check == Check::Connect || scheme == Scheme::Https, "a proof without TLS");
        let literal = service.target.to_string().parse().ok();
        Listed { service, check, scheme, literal }
    }

    /// Whether it is about the host and port of the record.
    fn is_for(&self, service: &Service) -> bool {
        (&self.service.target, self.service.port) == (&service.target, service.port)
    }

    /// The name to look up; `None` for an address in the form of a name.
    fn needed(&self) -> Option<Needed> {
        let target = &self.service.target;
        self.literal.is_none().then(|| Needed::host(Wanted::Exact(target.clone())))
    }

    fn watch<'a>(&self, names: &'a Names) -> Option<&'a Watch> {
        names.get(&self.needed()?)
    }

    /// Whether the first look-up of its host is over, or not needed.
    fn is_known(&self, names: &Names) -> bool {
        self.needed().is_none() || self.watch(names).is_some_and(Watch::is_settled)
    }

    /// The host of a member whose certificate has to be for `domain`, as etcd has it: those
    /// who can forge a record could name a host of their own.
    fn host(&self, names: &Names, domain: &Arc<str>) -> Host {
        let Service { priority, weight, port, .. } = self.service;
        let known = self.watch(names).into_iter().flat_map(Watch::addresses);
        let ips = self.literal.into_iter().chain(known);
        Host {
            source: KIND,
            name: name_of(&self.service),
            priority,
            weight,
            check: self.check,
            server: Server { name: domain.clone(), scheme: Some(self.scheme), is_etcd: true },
            is_resolved: true,
            member: None,
            addresses: ips.map(|ip| Address::from((ip, port))).collect(),
        }
    }
}

impl Record for Listed {
    fn is_like(&self, other: &Listed) -> bool {
        self.is_for(&other.service)
    }
}

impl Srv {
    /// No record is known so far.
    pub(super) fn new(settings: DiscoverySrv) -> Srv {
        let sets = RecordSet::ALL.map(|set| Needed::service(Wanted::Typed(set.name(&settings))));
        debug_assert_ne!(sets[0], sets[1], "one set under two names");
        Srv { settings, sets, records: RetiringRecords::default() }
    }

    fn watches<'a>(&self, names: &'a Names) -> impl Iterator<Item = &'a Watch> {
        self.sets.iter().filter_map(|set| names.get(set))
    }

    /// Why no record counts.
    fn reason(&self, names: &Names) -> FallbackReason {
        if self.watches(names).any(|watch| !watch.services().is_empty()) {
            return FallbackReason::NoUsableRecord;
        }
        let errors: Vec<ResolveError> = self.watches(names).filter_map(Watch::error).collect();
        let failure = errors.iter().find(|error| matches!(error, ResolveError::Failed(_)));
        match failure.or(errors.first()) {
            Some(error) => FallbackReason::Unresolved(*error),
            None => FallbackReason::NoAnswer,
        }
    }
}

impl Configured for DiscoverySrv {
    fn into_source(self) -> Ranked {
        Ranked::discovered(Srv::new(self))
    }
}

impl Source for Srv {
    fn label(&self) -> SourceLabel {
        SourceLabel { source: KIND, key: "domain", subject: self.settings.domain.clone() }
    }

    fn certified_domain(&self) -> Option<&str> {
        self.settings.certified_domain()
    }

    fn names(&self) -> Vec<Needed> {
        let targets = self.records.in_effect().filter_map(Listed::needed);
        self.sets.iter().cloned().chain(targets).collect()
    }

    fn update(&mut self, names: &Names, is_interim: bool, now: Instant) -> Vec<Excluded> {
        debug_assert_eq!(self.watches(names).count(), self.sets.len(), "a set is not looked up");
        let [secure, plain] =
            self.sets.each_ref().map(|set| names.get(set).map_or(&[][..], Watch::services));
        let (listed, excluded) = sort_out(&self.settings.trust, secure, plain);
        self.records.replace(listed, is_interim, now);
        if self.records.listed().iter().all(|listed| listed.is_known(names)) {
            self.records.complete();
        }
        if is_interim && self.records.is_under_way() {
            debug_assert!(!self.records.listed().is_empty(), "nothing takes the place");
        }
        let excluded = excluded.into_iter();
        excluded.map(|(service, reason)| (Item::Name(name_of(service)), reason)).collect()
    }

    fn state(&self, names: &Names) -> State {
        if !self.records.listed().is_empty() {
            State::Listing
        } else if self.watches(names).all(Watch::is_absent) {
            State::Empty(self.reason(names))
        } else {
            State::Pending(self.reason(names))
        }
    }

    fn hosts(&self, names: &Names) -> Vec<Host> {
        let domain = &self.settings.domain;
        let domain: Arc<str> = domain.strip_suffix('.').unwrap_or(domain).into();
        self.records.in_effect().map(|listed| listed.host(names, &domain)).collect()
    }

    /// One set is enough, if it counts: of the other, as long as it has no record, it may be true
    /// that there is none.
    fn is_spare(&self, watch: &Watch) -> bool {
        self.sets.contains(watch.needed())
            && watch.services().is_empty()
            && !self.records.listed().is_empty()
    }

    /// One set is enough; and while one is unknown, so is whether the other is missed.
    fn optional(&self, names: &Names) -> &[Needed] {
        let has_records = self.watches(names).any(|watch| !watch.services().is_empty());
        let is_settled = self.watches(names).all(Watch::is_settled);
        if has_records || !is_settled { &self.sets } else { &[] }
    }

    fn is_in_transition(&self) -> bool {
        self.records.is_under_way()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.records.deadline()
    }

    fn expire(&mut self, now: Instant) -> bool {
        self.records.expire(now)
    }
}

/// The records that count, each host and port once, and those that are excluded, with the reason.
fn sort_out<'a>(
    trust: &Trust,
    secure: &'a [Service],
    plain: &'a [Service],
) -> (Vec<Listed>, Vec<(&'a Service, Exclusion)>) {
    let mut listed: Vec<Listed> = Vec::new();
    let mut excluded = Vec::new();
    let records = secure.len() + plain.len();
    let secure = secure.iter().map(|service| (RecordSet::Secure, service));
    let plain = plain.iter().map(|service| (RecordSet::Plain, service));
    for (set, service) in secure.chain(plain) {
        match set.check(trust) {
            _ if listed.iter().any(|other| other.is_for(service)) => {}
            _ if service.port == 0 => excluded.push((service, Exclusion::PortZero)),
            None => excluded.push((service, Exclusion::Insecure)),
            Some(_) if listed.len() == ENDPOINTS_MAX => {
                excluded.push((service, Exclusion::TooMany));
            }
            Some(check) => listed.push(Listed::new(service.clone(), check, set.scheme())),
        }
    }
    assert!(listed.len() <= ENDPOINTS_MAX);
    debug_assert!(listed.len() + excluded.len() <= records, "a record counted twice");
    let are_certified = listed.iter().all(|listed| listed.check == Check::Tls);
    debug_assert!(*trust == Trust::Unverified || are_certified, "a member that proves nothing");
    (listed, excluded)
}

/// Host and port of the record, for the log.
pub(super) fn name_of(service: &Service) -> String {
    format!("{}:{}", service.target, service.port)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::dns::message::{Kind, Records};
    use crate::proto::dns::name::Name;
    use crate::proto::dns::resolv_conf::Environment;
    use crate::proto::dns::{Answer, Answered, LookupId};

    const CERTIFIED: Trust = Trust::Certified;

    fn service(target: &str, port: u16, weight: u16) -> Service {
        let target = Name::from_text(target).expect("a name");
        Service { priority: 0, weight, port, target }
    }

    #[test]
    fn names_are_those_of_etcd() {
        for (name, secure, plain) in [
            (None, "_etcd-client-ssl._tcp.a.test", "_etcd-client._tcp.a.test"),
            (Some("blue"), "_etcd-client-ssl-blue._tcp.a.test", "_etcd-client-blue._tcp.a.test"),
        ] {
            let (domain, name) = ("a.test".to_owned(), name.map(str::to_owned));
            let srv = Srv::new(DiscoverySrv { domain, name, trust: CERTIFIED });
            let want = [secure, plain].map(|name| Needed::service(Wanted::Typed(name.to_owned())));
            assert_eq!(srv.names(), want);
        }
    }

    #[test]
    fn a_host_in_both_sets_counts_once_and_as_in_the_first() {
        let secure = [service("a.test", 1, 7), service("b.test", 1, 1)];
        let plain = [service("A.test", 1, 9), service("a.test", 2, 1)];
        let (listed, excluded) = sort_out(&Trust::Unverified, &secure, &plain);
        let weights: Vec<u16> = listed.iter().map(|listed| listed.service.weight).collect();
        assert_eq!(weights, [7, 1, 1]);
        assert!(listed.iter().all(|listed| listed.check == Check::Connect));
        assert!(excluded.is_empty());
    }

    #[test]
    fn without_insecure_discovery_only_members_count_that_can_prove_their_identity() {
        let secure = [service("a.test", 1, 7)];
        let plain = [service("a.test", 1, 9), service("b.test", 2, 1)];
        let (listed, excluded) = sort_out(&CERTIFIED, &secure, &plain);
        assert_eq!(listed, [Listed::new(secure[0].clone(), Check::Tls, Scheme::Https)]);
        assert_eq!(excluded, [(&plain[1], Exclusion::Insecure)]);
    }

    #[test]
    fn port_zero_is_excluded_and_what_is_beyond_the_bound() {
        let many: Vec<Service> =
            (0..=ENDPOINTS_MAX as u16 + 1).map(|port| service("a.test", port, 1)).collect();
        let (listed, excluded) = sort_out(&Trust::Unverified, &many, &[]);
        assert_eq!(listed.len(), ENDPOINTS_MAX);
        let last = many.last().expect("there are many");
        assert_eq!(excluded, [(&many[0], Exclusion::PortZero), (last, Exclusion::TooMany)]);
    }

    /// Whether each set of records is spare once that one has a record.
    fn spare_sets(trust: Trust, has_record: RecordSet) -> [bool; 2] {
        let now = Instant::now();
        let mut srv = Srv::new(DiscoverySrv { domain: "a.test".to_owned(), name: None, trust });
        let mut names = Names::new(Environment::default());
        names.sync(&srv.names(), now);
        let watch = names.watches_mut().nth(has_record as usize).expect("both are watched");
        watch.begin(now);
        let records = Records::Services(vec![service("m.test", 1, 1)]);
        let answer = Answer::Records { records, ttl: Duration::from_secs(1) };
        watch.on_answer(Answered::new(LookupId(0), Kind::Srv, answer), true, now);
        srv.update(&names, false, now);
        srv.sets.each_ref().map(|set| srv.is_spare(names.get(set).expect("both are watched")))
    }

    #[test]
    fn one_set_of_records_is_enough_if_it_counts() {
        assert_eq!(spare_sets(Trust::Unverified, RecordSet::Secure), [false, true]);
        assert_eq!(spare_sets(Trust::Unverified, RecordSet::Plain), [true, false]);
        assert_eq!(spare_sets(CERTIFIED, RecordSet::Secure), [false, true]);
        assert_eq!(spare_sets(CERTIFIED, RecordSet::Plain), [false, false], "excluded as insecure");
    }
}
