//! From hosts with their addresses to endpoints: every usable address once, and weights divided.
//! Pure.
//!
//! An address where no server can be counts as none, as if the name server had not given it: a
//! filter that blocks a name answers 0.0.0.0, which would lead clients to this host. What is left
//! of a name then is decided as for any other answer: with other endpoints beside it they serve,
//! and without any the last known ones stay.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::report::Excluded;
use super::share::{self, Holder};
use super::srv::{Listed, literal, name_of};
use super::watch::Watch;
use super::{Discovery, Exclusion, Found, Item, Unusable, Usability};
use crate::config::ENDPOINTS_MAX;
use crate::config::address::{EndpointAddress, Host};
use crate::config::special_address::{SpecialAddress, dialed};
use crate::proto::dns::message::Service;
use crate::proto::dns::{Subject, Wanted};
use crate::upstream::{Check, EndpointSpec};

/// One typed endpoint or one record, and the addresses of its host.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) check: Check,
    /// The addresses come from a name or a record, and were not typed.
    pub(super) is_resolved: bool,
    pub(super) addresses: Vec<IpAddr>,
}

impl Discovery {
    /// What there is, with what is known of it now.
    pub(super) fn groups(&self) -> Vec<Group> {
        if self.srv.is_some() && !self.is_fallback() {
            return self.records.in_effect().map(|it| self.group_of(it)).collect();
        }
        self.endpoints.iter().map(|it| self.typed_group(it)).collect()
    }

    fn group_of(&self, listed: &Listed) -> Group {
        let Service { priority, weight, port, ref target } = listed.service;
        let host = literal(&listed.service);
        let wanted = Wanted::Exact(target.clone());
        let known = self.watch_of(&wanted, Subject::Host).into_iter().flat_map(Watch::addresses);
        Group {
            name: name_of(&listed.service),
            port,
            priority,
            weight,
            check: listed.check,
            is_resolved: true,
            addresses: host.into_iter().chain(known).collect(),
        }
    }

    fn typed_group(&self, endpoint: &EndpointAddress) -> Group {
        let addresses = match &endpoint.host {
            Host::Address(address) => dialed(*address),
            Host::Name(name) => {
                let wanted = Wanted::Typed(name.clone());
                let watch = self.watch_of(&wanted, Subject::Host);
                watch.into_iter().flat_map(Watch::addresses).collect()
            }
        };
        Group {
            name: endpoint.to_string(),
            port: endpoint.port,
            priority: endpoint.priority,
            weight: endpoint.weight,
            check: Check::Connect,
            is_resolved: matches!(endpoint.host, Host::Name(_)) || addresses.len() > 1,
            addresses,
        }
    }
}

/// The endpoints, each address and port once, and what is excluded. Weights are divided over the
/// addresses that are used, so that a host has its share whatever else is true of it.
pub(super) fn found(
    groups: &[Group],
    usability: &mut dyn FnMut(SocketAddr, bool) -> Usability,
) -> (Vec<Found>, Vec<Excluded>) {
    let judged = usability_of_all(groups, usability);
    // Where nothing can be reached at all, that says more of our link than of them.
    let can_reach = judged.iter().flatten().any(|(_, usability)| usability.is_ok());
    let mut excluded = Vec::new();
    let mut count = 0;
    let mut used: Vec<Vec<SocketAddr>> = Vec::new();
    for (group, judged) in groups.iter().zip(judged) {
        let mut own = Vec::new();
        for (address, usability) in judged {
            match usability {
                Err(unusable) if can_reach || unusable != Unusable::NoRoute => {
                    let item = item(address, unusable, &group.name);
                    excluded.push((item, Exclusion::Unusable(unusable)));
                }
                _ if count == ENDPOINTS_MAX => {
                    excluded.push((Item::Name(group.name.clone()), Exclusion::TooMany));
                    break;
                }
                _ => {
                    count += 1;
                    own.push(address);
                }
            }
        }
        used.push(own);
    }
    (with_weights(groups, used), excluded)
}

/// The address for the log; where it says nothing by itself, with the name that has it.
fn item(address: SocketAddr, unusable: Unusable, name: &str) -> Item {
    match unusable {
        Unusable::Special(_) => Item::AddressOf { address, name: name.to_owned() },
        Unusable::OwnListener(_) | Unusable::NoRoute => Item::Address(address),
    }
}

/// Which server an address leads to: one of IPv4 that is written as IPv6 leads to the same (RFC
/// 4291, 2.5.5.2).
pub(super) fn server(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// Each address with its usability, under the first group that has it; one where no server can be
/// under each.
fn usability_of_all(
    groups: &[Group],
    usability: &mut dyn FnMut(SocketAddr, bool) -> Usability,
) -> Vec<Vec<(SocketAddr, Usability)>> {
    let mut seen = BTreeSet::new();
    let mut of_group = |group: &Group| {
        let addresses = group.addresses.iter().map(|ip| SocketAddr::new(*ip, group.port));
        let mut judged = Vec::new();
        for address in addresses {
            let special = SpecialAddress::of(address.ip()).filter(|_| group.is_resolved);
            if let Some(class) = special {
                judged.push((address, Err(Unusable::Special(class))));
            } else if seen.insert(server(address)) {
                judged.push((address, usability(address, group.is_resolved)));
            }
        }
        judged
    };
    groups.iter().map(&mut of_group).collect()
}

fn with_weights(groups: &[Group], used: Vec<Vec<SocketAddr>>) -> Vec<Found> {
    let holder = |(group, own): (&Group, &Vec<SocketAddr>)| Holder {
        priority: group.priority,
        weight: group.weight,
        endpoints: own.len(),
    };
    let holders: Vec<Holder> = groups.iter().zip(&used).map(holder).collect();
    let weights = share::weights(&holders);
    let mut found = Vec::new();
    for ((group, own), weight) in groups.iter().zip(used).zip(weights) {
        let Group { priority, check, .. } = *group;
        found.extend(own.into_iter().map(|address| Found {
            spec: EndpointSpec { address, priority, weight, check },
            name: group.name.clone(),
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, weight: u16, addresses: &[&str]) -> Group {
        let addresses = addresses.iter().map(|text| text.parse().expect(text)).collect();
        let (name, check) = (name.to_owned(), Check::Connect);
        Group { name, port: 1, priority: 0, weight, check, is_resolved: true, addresses }
    }

    /// IPv6 has no route, and 10.0.0.9 is ours.
    fn usability(address: SocketAddr, _: bool) -> Usability {
        match address.ip().to_string().as_str() {
            "10.0.0.9" => Err(Unusable::OwnListener(address)),
            _ if address.is_ipv6() => Err(Unusable::NoRoute),
            _ => Ok(()),
        }
    }

    fn check(groups: &[Group], want: &[(&str, u16)], want_excluded: &[&str]) {
        let (found, excluded) = found(groups, &mut usability);
        let found: Vec<(String, u16)> =
            found.iter().map(|it| (it.spec.address.ip().to_string(), it.spec.weight)).collect();
        let want: Vec<(String, u16)> =
            want.iter().map(|(text, weight)| ((*text).to_owned(), *weight)).collect();
        assert_eq!(found, want);
        let in_words = |(item, reason): &Excluded| match item {
            Item::Name(name) => format!("{name} {reason}"),
            Item::Address(address) => format!("{address} {reason}"),
            Item::AddressOf { address, name } => format!("{address} {name} {reason}"),
        };
        assert_eq!(excluded.iter().map(in_words).collect::<Vec<_>>(), want_excluded);
    }

    #[test]
    fn weights_are_shared_by_the_addresses_that_are_used() {
        let groups = [group("a", 3, &["10.0.0.1", "::1"]), group("b", 1, &["10.0.0.2"])];
        check(&groups, &[("10.0.0.1", 3), ("10.0.0.2", 1)], &["[::1]:1 no_route"]);
    }

    #[test]
    fn without_any_route_all_are_used_but_those_that_lead_back() {
        let groups = [group("a", 1, &["::1", "::2", "10.0.0.9"])];
        check(&groups, &[("::1", 1), ("::2", 1)], &["10.0.0.9:1 own_listener"]);
    }

    #[test]
    fn an_address_counts_once_and_as_first_given() {
        let groups = [group("a", 5, &["10.0.0.1"]), group("b", 7, &["10.0.0.1", "10.0.0.2"])];
        check(&groups, &[("10.0.0.1", 5), ("10.0.0.2", 7)], &[]);
    }

    #[test]
    fn an_address_that_is_written_in_both_families_counts_once() {
        let groups = [group("a", 1, &["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"])];
        let mut usable = |_, _| Ok(());
        let (found, _) = found(&groups, &mut usable);
        let found: Vec<_> = found.iter().map(|it| it.spec.address.to_string()).collect();
        assert_eq!(found, ["10.0.0.1:1", "10.0.0.2:1"], "or it would get twice its share");
    }

    #[test]
    fn where_no_server_can_be_is_left_out_and_never_judged() {
        let blocked = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::ffff:0.0.0.0"];
        let mut groups = [group("a", 3, &blocked), group("b", 1, &["0.0.0.0", "10.0.0.2"])];
        let want = [
            "0.0.0.0:1 a unspecified_address",
            "224.0.0.1:1 a multicast_address",
            "255.255.255.255:1 a broadcast_address",
            "240.0.0.1:1 a reserved_address",
            "[::ffff:0.0.0.0]:1 a unspecified_address",
            "0.0.0.0:1 b unspecified_address",
        ];
        check(&groups, &[("10.0.0.2", 1)], &want);
        for six in ["::", "ff02::1"] {
            assert_eq!(found(&[group("a", 1, &[six])], &mut |_, _| panic!("judged")).0, []);
        }
        // What was typed is refused at the start or meant.
        groups[0] = Group { is_resolved: false, ..group("a", 1, &["0.0.0.0"]) };
        check(&groups[..1], &[("0.0.0.0", 1)], &[]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many: Vec<String> = (0..300).map(|i| format!("10.1.{}.{}", i / 256, i % 256)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (found, excluded) =
            found(&[group("a", 1, &many), group("b", 1, &many)], &mut usability);
        assert_eq!(found.len(), ENDPOINTS_MAX);
        assert_eq!(excluded, [(Item::Name("a".to_owned()), Exclusion::TooMany)]);
    }
}
