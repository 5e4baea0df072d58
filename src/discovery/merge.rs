//! The one merge: from the hosts that sources list to endpoints. Every usable address once, and
//! weights divided over the addresses of a host. Pure.
//!
//! An address that no server can have counts as none, as if the name server had not given it: a
//! filter that blocks a name answers 0.0.0.0, which would lead clients to this host. What is left
//! of a name then is decided as for any other answer: other endpoints serve in its place, and
//! without any the last known ones stay.

use std::collections::BTreeSet;

use super::finding::Excluded;
use super::source::Host;
use super::weights::{self, Share};
use super::{Exclusion, Found, HealthPolicy, Item, Unusable, Usability};
use crate::address::Address;
use crate::config::ENDPOINTS_MAX;
use crate::config::special_address::SpecialAddress;
use crate::upstream::EndpointSpec;

/// The endpoints, each address and port once, and what is excluded. Weights are divided over the
/// addresses that are used, so that a host has its share whatever else is true of it.
pub(super) fn merge(
    hosts: &[Host],
    health_policy: &HealthPolicy,
    usability: &mut dyn FnMut(&Address, bool) -> Usability,
) -> (Vec<Found>, Vec<Excluded>) {
    let checked = usability_of_all(hosts, usability);
    let addresses: usize = checked.iter().map(Vec::len).sum();
    // Where nothing can be reached at all, that says more of our link than of them.
    let can_reach = checked.iter().flatten().any(|(_, usability)| usability.is_ok());
    let mut excluded = Vec::new();
    let mut count = 0;
    let mut used: Vec<Vec<Address>> = Vec::new();
    for (host, addresses) in hosts.iter().zip(checked) {
        let mut own = Vec::new();
        for (address, usability) in addresses {
            match usability {
                Err(unusable) if can_reach || unusable != Unusable::NoRoute => {
                    let item = item(address, &unusable, &host.name);
                    excluded.push((item, Exclusion::Unusable(unusable)));
                }
                _ if count == ENDPOINTS_MAX => {
                    excluded.push((Item::Name(host.name.clone()), Exclusion::TooMany));
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
    let found = with_weights(hosts, used, health_policy);
    debug_assert_eq!(found.len(), count, "an address lost or made");
    debug_assert!(found.len() + excluded.len() <= addresses, "used and excluded");
    debug_assert!(count > 0 || !can_reach, "the only address that can be reached is not used");
    (found, excluded)
}

/// The address for the log; where it says nothing by itself, with the name that has it.
fn item(address: Address, unusable: &Unusable, name: &str) -> Item {
    match unusable {
        Unusable::Special(_) => Item::AddressOf { address, name: name.to_owned() },
        Unusable::OwnListener(_) | Unusable::NoRoute => Item::Address(address),
    }
}

/// Each address with its usability, under the first host that has it; one that no server can have
/// under each.
fn usability_of_all(
    hosts: &[Host],
    usability: &mut dyn FnMut(&Address, bool) -> Usability,
) -> Vec<Vec<(Address, Usability)>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::with_capacity(hosts.len());
    for host in hosts {
        let mut checked = Vec::new();
        for address in &host.addresses {
            if let Some(class) = special(address).filter(|_| host.is_resolved) {
                checked.push((address.clone(), Err(Unusable::Special(class))));
            } else if seen.insert(address.to_canonical()) {
                checked.push((address.clone(), usability(address, host.is_resolved)));
            }
        }
        all.push(checked);
    }
    debug_assert_eq!(all.len(), hosts.len());
    let usable = all.iter().flatten().filter(|(_, usability)| usability.is_ok());
    debug_assert!(usable.count() <= seen.len(), "a server twice");
    all
}

/// The class of an address that no server can have.
fn special(address: &Address) -> Option<SpecialAddress> {
    SpecialAddress::of(address.ip()?)
}

/// The endpoints of each host, with its weight divided over them.
fn with_weights(
    hosts: &[Host],
    used: Vec<Vec<Address>>,
    health_policy: &HealthPolicy,
) -> Vec<Found> {
    debug_assert_eq!(hosts.len(), used.len());
    let (shares, share_of) = shares(hosts, &used);
    let weights = weights::divide(&shares);
    let mut found = Vec::new();
    for ((host, own), share) in hosts.iter().zip(used).zip(share_of) {
        let Host { priority, check, .. } = *host;
        let weight = weights[share];
        let health_check = health_policy.check_of(&host.server);
        found.extend(own.into_iter().map(|address| Found {
            spec: EndpointSpec {
                address,
                priority,
                weight,
                check,
                health_check: health_check.clone(),
            },
            name: host.name.clone(),
            source: host.source,
            server: host.server.clone(),
        }));
    }
    assert!(found.len() <= ENDPOINTS_MAX);
    found
}

/// The shares of the hosts, and for each host the position of its own: hosts of one member have one
/// together.
fn shares(hosts: &[Host], used: &[Vec<Address>]) -> (Vec<Share>, Vec<usize>) {
    let mut shares: Vec<Share> = Vec::with_capacity(hosts.len());
    let mut share_of = Vec::with_capacity(hosts.len());
    let mut members: Vec<(u64, usize)> = Vec::new();
    for (host, own) in hosts.iter().zip(used) {
        debug_assert!(own.len() <= host.addresses.len(), "more than the host has");
        let Host { priority, weight, member, .. } = *host;
        let known = members.iter().find(|(other, _)| Some(*other) == member);
        let share = known.map_or(shares.len(), |(_, share)| *share);
        if share == shares.len() {
            shares.push(Share { priority, weight, endpoints: 0 });
            members.extend(member.map(|member| (member, share)));
        }
        shares[share].endpoints += own.len();
        share_of.push(share);
    }
    (shares, share_of)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::source::Server;
    use super::*;
    use crate::upstream::Check;

    fn host(name: &str, weight: u16, addresses: &[&str]) -> Host {
        let ips = addresses.iter().map(|text| text.parse::<IpAddr>().expect(text));
        let addresses = ips.map(|ip| Address::from((ip, 1))).collect();
        let (name, source, check) = (name.to_owned(), "fake", Check::Connect);
        let (server, priority, is_resolved, member) = (Server::unknown(), 0, true, None);
        Host { name, source, priority, weight, check, server, is_resolved, member, addresses }
    }

    /// IPv6 has no route, and 10.0.0.9 is ours.
    fn usability(address: &Address, _: bool) -> Usability {
        match address.ip() {
            Some(ip) if ip.is_ipv6() => Err(Unusable::NoRoute),
            Some(_) if address.to_string() == "10.0.0.9:1" => {
                Err(Unusable::OwnListener(address.clone()))
            }
            _ => Ok(()),
        }
    }

    fn in_words((item, reason): &Excluded) -> String {
        match item {
            Item::Name(name) => format!("{name} {reason}"),
            Item::Address(address) => format!("{address} {reason}"),
            Item::AddressOf { address, name } => format!("{address} {name} {reason}"),
        }
    }

    fn check(hosts: &[Host], want: &[(&str, u16)], want_excluded: &[&str]) {
        let (found, excluded) = merge(hosts, &HealthPolicy::default(), &mut usability);
        let found: Vec<(String, u16)> =
            found.iter().map(|one| (one.spec.address.to_string(), one.spec.weight)).collect();
        let want: Vec<(String, u16)> =
            want.iter().map(|(ip, weight)| (format!("{ip}:1"), *weight)).collect();
        assert_eq!(found, want);
        assert_eq!(excluded.iter().map(in_words).collect::<Vec<_>>(), want_excluded);
    }

    #[test]
    fn weights_are_shared_by_the_addresses_that_are_used() {
        let hosts = [host("a", 3, &["10.0.0.1", "::1"]), host("b", 1, &["10.0.0.2"])];
        check(&hosts, &[("10.0.0.1", 3), ("10.0.0.2", 1)], &["[::1]:1 no_route"]);
    }

    #[test]
    fn hosts_of_one_member_share_its_weight() {
        let hosts = [
            Host { member: Some(7), ..host("a", 1, &["10.0.0.1", "::1"]) },
            Host { member: Some(8), ..host("b", 1, &["10.0.0.2"]) },
            Host { member: Some(7), ..host("c", 1, &["10.0.0.3", "10.0.0.2"]) },
        ];
        let want = [("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 1)];
        check(&hosts, &want, &["[::1]:1 no_route"]);
    }

    #[test]
    fn without_any_route_all_are_used_but_those_that_lead_back() {
        let hosts = [host("a", 1, &["::1", "::2", "10.0.0.9"])];
        check(&hosts, &[("[::1]", 1), ("[::2]", 1)], &["10.0.0.9:1 own_listener"]);
    }

    #[test]
    fn an_address_counts_once_and_as_first_given() {
        let hosts = [host("a", 5, &["10.0.0.1"]), host("b", 7, &["10.0.0.1", "10.0.0.2"])];
        check(&hosts, &[("10.0.0.1", 5), ("10.0.0.2", 7)], &[]);
    }

    #[test]
    fn an_address_that_is_written_in_both_families_counts_once() {
        let hosts = [host("a", 1, &["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"])];
        let (found, _) = merge(&hosts, &HealthPolicy::default(), &mut |_, _| Ok(()));
        let found: Vec<_> = found.iter().map(|one| one.spec.address.to_string()).collect();
        assert_eq!(found, ["10.0.0.1:1", "10.0.0.2:1"], "or it would get twice its share");
    }

    #[test]
    fn an_address_that_no_server_can_have_is_excluded_and_not_looked_at() {
        let blocked = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::ffff:0.0.0.0"];
        let mut hosts = [host("a", 3, &blocked), host("b", 1, &["0.0.0.0", "10.0.0.2"])];
        let want = [
            "0.0.0.0:1 a unspecified_address",
            "224.0.0.1:1 a multicast_address",
            "255.255.255.255:1 a broadcast_address",
            "240.0.0.1:1 a reserved_address",
            "[::ffff:0.0.0.0]:1 a unspecified_address",
            "0.0.0.0:1 b unspecified_address",
        ];
        check(&hosts, &[("10.0.0.2", 1)], &want);
        for six in ["::", "ff02::1"] {
            assert_eq!(
                merge(&[host("a", 1, &[six])], &HealthPolicy::default(), &mut |_, _| panic!(
                    "looked at"
                ))
                .0,
                []
            );
        }
        // What was typed is refused at the start or meant.
        hosts[0] = Host { is_resolved: false, ..host("a", 1, &["0.0.0.0"]) };
        check(&hosts[..1], &[("0.0.0.0", 1)], &[]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many: Vec<String> = (0..300).map(|i| format!("10.1.{}.{}", i / 256, i % 256)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (found, excluded) = merge(
            &[host("a", 1, &many), host("b", 1, &many)],
            &HealthPolicy::default(),
            &mut usability,
        );
        assert_eq!(found.len(), ENDPOINTS_MAX);
        assert_eq!(excluded, [(Item::Name("a".to_owned()), Exclusion::TooMany)]);
    }
}
