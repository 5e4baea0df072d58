//! Endpoints from SRV records: which names etcd asks for, and which of the records count.
//!
//! Pure. Follows etcd's client (`client/pkg/srv`): two sets of records for one domain, the members
//! that speak TLS and those that do not; either may be missing.

use std::net::IpAddr;

use super::Exclusion;
use crate::config::ENDPOINTS_MAX;
use crate::proto::dns::message::Service;
use crate::upstream::Check;

/// Where to look, and what to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvSource {
    /// The domain, as typed.
    pub domain: String,
    /// What stands behind the service's name after a hyphen, if anything.
    pub suffix: Option<String>,
    /// Whether endpoints are used without proof of who they are, too.
    pub is_insecure: bool,
}

/// A set of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordSet {
    /// Members that speak TLS: `_etcd-client-ssl._tcp`.
    Secure,
    /// Members that do not: `_etcd-client._tcp`.
    Plain,
}

impl RecordSet {
    /// In the order of preference: who stands in both counts as the first.
    pub(super) const ALL: [RecordSet; 2] = [RecordSet::Secure, RecordSet::Plain];
}

/// A record that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) service: Service,
    pub(super) check: Check,
}

impl Listed {
    fn leads_where(&self, service: &Service) -> bool {
        (&self.service.target, self.service.port) == (&service.target, service.port)
    }

    /// Whether it is about the same host and port.
    pub(super) fn is_same(&self, other: &Listed) -> bool {
        self.leads_where(&other.service)
    }
}

impl SrvSource {
    /// The name that is asked for.
    pub(super) fn name(&self, set: RecordSet) -> String {
        let service = match set {
            RecordSet::Secure => "etcd-client-ssl",
            RecordSet::Plain => "etcd-client",
        };
        let suffix = self.suffix.as_ref().map_or_else(String::new, |suffix| format!("-{suffix}"));
        format!("_{service}{suffix}._tcp.{}", self.domain)
    }

    /// The records that count, each host and port once, and those that do not, with the reason.
    pub(super) fn sort_out<'a>(
        &self,
        secure: &'a [Service],
        plain: &'a [Service],
    ) -> (Vec<Listed>, Vec<(&'a Service, Exclusion)>) {
        let mut listed: Vec<Listed> = Vec::new();
        let mut excluded = Vec::new();
        let secure = secure.iter().map(|service| (RecordSet::Secure, service));
        let plain = plain.iter().map(|service| (RecordSet::Plain, service));
        for (set, service) in secure.chain(plain) {
            let is_same = |other: &Listed| other.leads_where(service);
            match self.proof_in(set) {
                _ if listed.iter().any(is_same) => {}
                _ if service.port == 0 => excluded.push((service, Exclusion::PortZero)),
                None => excluded.push((service, Exclusion::Insecure)),
                Some(_) if listed.len() == ENDPOINTS_MAX => {
                    excluded.push((service, Exclusion::TooMany));
                }
                Some(check) => listed.push(Listed { service: service.clone(), check }),
            }
        }
        (listed, excluded)
    }

    /// What endpoints of the set have to show; `None` if nothing they could would be enough.
    fn proof_in(&self, set: RecordSet) -> Option<Check> {
        match (self.is_insecure, set) {
            (true, _) => Some(Check::Connect),
            (false, RecordSet::Secure) => Some(Check::Tls),
            (false, RecordSet::Plain) => None,
        }
    }
}

/// The target of some records is an address in the form of a name, which Go's resolver takes.
pub(super) fn literal(service: &Service) -> Option<IpAddr> {
    service.target.to_string().parse().ok()
}

/// Host and port of the record, for the log.
pub(super) fn name_of(service: &Service) -> String {
    format!("{}:{}", service.target, service.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::name::Name;

    fn source(is_insecure: bool) -> SrvSource {
        SrvSource { domain: "example.test".to_owned(), suffix: None, is_insecure }
    }

    fn service(target: &str, port: u16, weight: u16) -> Service {
        let target = Name::from_text(target).expect("a name");
        Service { priority: 0, weight, port, target }
    }

    #[test]
    fn names_are_those_of_etcd() {
        let plain = source(true);
        assert_eq!(plain.name(RecordSet::Secure), "_etcd-client-ssl._tcp.example.test");
        assert_eq!(plain.name(RecordSet::Plain), "_etcd-client._tcp.example.test");
        let named = SrvSource { suffix: Some("blue".to_owned()), ..plain };
        assert_eq!(named.name(RecordSet::Secure), "_etcd-client-ssl-blue._tcp.example.test");
        assert_eq!(named.name(RecordSet::Plain), "_etcd-client-blue._tcp.example.test");
    }

    #[test]
    fn who_stands_in_both_sets_counts_once_and_as_the_first() {
        let secure = [service("a.test", 1, 7), service("b.test", 1, 1)];
        let plain = [service("A.test", 1, 9), service("a.test", 2, 1)];
        let (listed, refused) = source(true).sort_out(&secure, &plain);
        let weights: Vec<u16> = listed.iter().map(|it| it.service.weight).collect();
        assert_eq!(weights, [7, 1, 1]);
        assert!(listed.iter().all(|it| it.check == Check::Connect));
        assert!(refused.is_empty());
    }

    #[test]
    fn without_leave_only_those_count_that_can_show_who_they_are() {
        let secure = [service("a.test", 1, 7)];
        let plain = [service("a.test", 1, 9), service("b.test", 2, 1)];
        let (listed, refused) = source(false).sort_out(&secure, &plain);
        assert_eq!(listed, [Listed { service: secure[0].clone(), check: Check::Tls }]);
        assert_eq!(refused, [(&plain[1], Exclusion::Insecure)]);
    }

    #[test]
    fn nobody_is_at_port_zero_and_there_is_an_end_to_it() {
        let many: Vec<Service> =
            (0..=ENDPOINTS_MAX as u16 + 1).map(|port| service("a.test", port, 1)).collect();
        let (listed, excluded) = source(true).sort_out(&many, &[]);
        assert_eq!(listed.len(), ENDPOINTS_MAX);
        let last = many.last().expect("there are many");
        assert_eq!(excluded, [(&many[0], Exclusion::PortZero), (last, Exclusion::TooMany)]);
    }
}
