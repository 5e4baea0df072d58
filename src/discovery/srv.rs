//! Endpoints from SRV records: which names etcd asks for, and which of the records count.
//!
//! Pure. Follows etcd's client (`client/pkg/srv`): two sets of records for one domain, the members
//! that speak TLS and those that do not; either may be missing.

use crate::dns::message::Service;
use crate::endpoint::Proof;

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
    pub(super) proof: Proof,
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

    /// The records that count, each host and port once, and those that do not because nobody could
    /// find out whom they lead to.
    pub(super) fn sort_out(
        &self,
        secure: &[Service],
        plain: &[Service],
    ) -> (Vec<Listed>, Vec<Service>) {
        let mut listed: Vec<Listed> = Vec::new();
        let mut refused = Vec::new();
        for (set, services) in RecordSet::ALL.into_iter().zip([secure, plain]) {
            for service in services {
                let is_same = |other: &Listed| {
                    (&other.service.target, other.service.port) == (&service.target, service.port)
                };
                if listed.iter().any(is_same) {
                    continue;
                }
                match (set, self.is_insecure) {
                    (RecordSet::Plain, false) => refused.push(service.clone()),
                    (_, true) => {
                        listed.push(Listed { service: service.clone(), proof: Proof::Connection });
                    }
                    (RecordSet::Secure, false) => {
                        listed.push(Listed { service: service.clone(), proof: Proof::Handshake });
                    }
                }
            }
        }
        (listed, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::Name;

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
        assert!(listed.iter().all(|it| it.proof == Proof::Connection));
        assert!(refused.is_empty());
    }

    #[test]
    fn without_leave_only_those_count_that_can_show_who_they_are() {
        let secure = [service("a.test", 1, 7)];
        let plain = [service("a.test", 1, 9), service("b.test", 2, 1)];
        let (listed, refused) = source(false).sort_out(&secure, &plain);
        assert_eq!(listed, [Listed { service: secure[0].clone(), proof: Proof::Handshake }]);
        assert_eq!(refused, [plain[1].clone()]);
    }
}
