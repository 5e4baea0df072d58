//! Addresses that are no single host's: the class of each, under the word that the log uses. Pure.
//!
//! One table for what is typed and for what a name server answers; what to do with such an address
//! is decided by whoever has it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A class of addresses where no server of another host can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialAddress {
    /// `0.0.0.0` and `::`: no address. Linux and Go dial this host instead; name servers that
    /// filter give it for a blocked name (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2).
    Unspecified,
    /// `224.0.0.0/4` and `ff00::/8`: groups of hosts, which TCP cannot dial (RFC 5771; RFC 4291,
    /// 2.7).
    Multicast,
    /// `255.255.255.255`: every host of the link (RFC 919, 7).
    Broadcast,
    /// The rest of `240.0.0.0/4`: for future use (RFC 1112, 4).
    Reserved,
}

impl SpecialAddress {
    /// The class of the address; `None` for one that a host may have. IPv4 written as IPv6
    /// (`::ffff:0.0.0.0`) counts as what it is, since the kernel dials IPv4 then.
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

/// The addresses that a typed one stands for, IPv4 first: itself, but for `0.0.0.0` and `::`, which
/// mean this host.
///
/// As for Go's net.Dial, `::` is IPv4, too: a server that listens there does so in both families,
/// unless its host has IPv4 only. One of the two may have no route, then. (etcd's gateway dials
/// `0.0.0.0` so, and no IPv6 literal at all: it loses the brackets.)
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
        let word = |text: &str| {
            let class = SpecialAddress::of(text.parse().expect("an address"));
            class.map_or_else(String::new, |class| class.to_string())
        };
        let words = ["::", "ff02::1", "255.255.255.255", "240.0.0.1"].map(word);
        assert_eq!(
            words,
            ["unspecified_address", "multicast_address", "broadcast_address", "reserved_address"]
        );
    }
}
