//! Addresses that are no single host's: the class of each, under the word that the log uses. Pure.
//!
//! One table for what is typed and for what a name server answers; what to do with such an address
//! is decided by whoever has it.

use std::fmt;
use std::net::IpAddr;

/// A class of addresses where no server of another host can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialAddress {
    /// `0.0.0.0` and `::`: no address. Linux, Go and so etcd dial this host instead; name servers
    /// that filter give it for a blocked name (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2).
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
