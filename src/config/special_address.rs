//! Addresses that do not belong to a single host: their classes, each with its word for the log.
//! Pure.
//!
//! The one table for addresses that are typed and for those that name servers answer with. The
//! callers decide what to do with such an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A class of addresses that no other host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialAddress {
    /// `0.0.0.0` and `::`: the absence of an address (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2). Linux
    /// and Go dial this host instead. Filtering name servers answer with it for a blocked name.
    Unspecified,
    /// `224.0.0.0/4` and `ff00::/8`: groups of hosts, to which TCP cannot connect (RFC 5771;
    /// RFC 4291, 2.7).
    Multicast,
    /// `255.255.255.255`: all hosts of the link (RFC 919, 7).
    Broadcast,
    /// The rest of `240.0.0.0/4`: reserved for future use (RFC 1112, 4).
    Reserved,
}

impl SpecialAddress {
    /// The class of the address; `None` for one that a host can have. An IPv4 address that is
    /// written as IPv6 (`::ffff:0.0.0.0`) has the class of the IPv4 address, which the kernel
    /// dials.
    pub fn of(address: IpAddr) -> Option<SpecialAddress> {
        let address = address.to_canonical();
        if address.is_unspecified() {
            return Some(SpecialAddress::Unspecified);
        }
        if address.is_multicast() {
            return Some(SpecialAddress::Multicast);
        }
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() => Some(SpecialAddress::Broadcast),
            IpAddr::V4(v4) if v4.octets()[0] >= 240 => Some(SpecialAddress::Reserved),
            _ => None,
        }
    }
}

/// The addresses to dial for a typed one, IPv4 first: the address itself, or those of this host for
/// `0.0.0.0` and `::`.
///
/// As with Go's net.Dial, `::` includes IPv4: a server that listens on `::` does so in both
/// families, unless its host has IPv4 only. One of the two may then have no route. (etcd's gateway
/// treats `0.0.0.0` in the same way, and cannot dial any IPv6 literal: it loses the brackets.)
pub fn dialed(address: IpAddr) -> Vec<IpAddr> {
    match (SpecialAddress::of(address), address) {
        (Some(SpecialAddress::Unspecified), IpAddr::V6(v6)) if v6.is_unspecified() => {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        }
        (Some(SpecialAddress::Unspecified), _) => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        _ => vec![address],
    }
}

impl fmt::Display for SpecialAddress {
    /// One word, as the value of `reason=` in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpecialAddress::Unspecified => "unspecified_address",
            SpecialAddress::Multicast => "multicast_address",
            SpecialAddress::Broadcast => "broadcast_address",
            SpecialAddress::Reserved => "reserved_address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_ends_where_its_registry_says() {
        use SpecialAddress::{Broadcast, Multicast, Reserved, Unspecified};
        for (address, want) in [
            ("0.0.0.0", Some(Unspecified)),
            ("::", Some(Unspecified)),
            ("::ffff:0.0.0.0", Some(Unspecified)),
            ("0.0.0.1", None),
            ("127.0.0.1", None),
            ("::1", None),
            ("169.254.1.1", None),
            ("223.255.255.255", None),
            ("224.0.0.0", Some(Multicast)),
            ("239.255.255.255", Some(Multicast)),
            ("::ffff:224.0.0.1", Some(Multicast)),
            ("feff:ffff::", None),
            ("ff00::", Some(Multicast)),
            ("ff02::1", Some(Multicast)),
            ("240.0.0.0", Some(Reserved)),
            ("255.255.255.254", Some(Reserved)),
            ("::ffff:240.0.0.1", Some(Reserved)),
            ("255.255.255.255", Some(Broadcast)),
            ("::ffff:255.255.255.255", Some(Broadcast)),
            ("fe80::1", None),
            ("2001:db8::1", None),
        ] {
            let parsed = address.parse().expect("an address");
            assert_eq!(SpecialAddress::of(parsed), want, "{address}");
        }
    }

    #[test]
    fn the_unspecified_address_stands_for_this_host() {
        for (address, want) in [
            ("0.0.0.0", &["127.0.0.1"][..]),
            ("::ffff:0.0.0.0", &["127.0.0.1"]),
            ("::", &["127.0.0.1", "::1"]),
            ("10.0.0.1", &["10.0.0.1"]),
            ("::ffff:10.0.0.1", &["::ffff:10.0.0.1"]),
            ("2001:db8::1", &["2001:db8::1"]),
        ] {
            let found = dialed(address.parse().expect("an address"));
            let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
            assert_eq!(found, want, "{address}");
        }
    }

    #[test]
    fn each_class_has_a_word() {
        for (address, word) in [
            ("::", "unspecified_address"),
            ("ff02::1", "multicast_address"),
            ("255.255.255.255", "broadcast_address"),
            ("240.0.0.1", "reserved_address"),
        ] {
            let class = SpecialAddress::of(address.parse().expect("an address"));
            assert_eq!(class.map(|class| class.to_string()).as_deref(), Some(word));
        }
    }
}
