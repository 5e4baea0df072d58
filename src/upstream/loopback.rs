//! Whether an endpoint would lead back to our own listener. Pure.
//!
//! A gateway that dials itself accepts its own connection, dials again, and is out of descriptors
//! within seconds. Comparing the texts of two addresses does not prevent that: wildcards, the many
//! addresses of one host and IPv4 written as IPv6 all lead to the same socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::Address;

/// Whether a connection to `endpoint` ends at a socket that listens on `listener`. `is_local`
/// is asked whether an IP address is one of this host's, only when the answer depends on it.
pub fn leads_back(
    listener: &Address,
    endpoint: &Address,
    is_local: impl FnOnce(IpAddr) -> bool,
) -> bool {
    match (listener, endpoint) {
        (Address::Inet(listener), Address::Inet(endpoint)) => {
            inet_leads_back(*listener, *endpoint, is_local)
        }
        // Through a link the same socket may have another path: that is not found here.
        (Address::Unix(listener), Address::Unix(endpoint)) => listener == endpoint,
        (Address::Inet(_), Address::Unix(_)) | (Address::Unix(_), Address::Inet(_)) => false,
    }
}

fn inet_leads_back(
    listener: SocketAddr,
    endpoint: SocketAddr,
    is_local: impl FnOnce(IpAddr) -> bool,
) -> bool {
    if listener.port() != endpoint.port() {
        return false;
    }
    let target = dialed_address(endpoint.ip());
    match listener.ip().to_canonical() {
        IpAddr::V4(own) if own.is_unspecified() => target.is_ipv4() && is_local(target),
        // An IPv6 wildcard takes both families: we clear IPV6_V6ONLY on it.
        IpAddr::V6(own) if own.is_unspecified() => is_local(target),
        own => own == target,
    }
}

/// Whether a connection to `endpoint` whose own end is `local` ends at its own socket, or at one
/// of our `listeners`. That is too late to prevent it, but needs no list of the host's addresses:
/// towards one of its own, the kernel uses that very address or the loopback one.
pub fn met_ourselves<'a>(
    mut listeners: impl Iterator<Item = &'a Address>,
    local: &Address,
    endpoint: &Address,
) -> bool {
    is_own_socket(local, endpoint)
        || listeners
            .any(|listener| leads_back(listener, endpoint, |address| shows_local(local, address)))
}

/// Whether our own end of a connection shows that its other end, `address`, is on this host.
fn shows_local(local: &Address, address: IpAddr) -> bool {
    local.ip().is_some_and(|own| own.to_canonical() == address || own.to_canonical().is_loopback())
}

/// Whether the kernel has chosen the port that is dialed for our end: TCP connects such a socket to
/// itself (RFC 9293, 3.5, simultaneous open).
fn is_own_socket(local: &Address, endpoint: &Address) -> bool {
    let (Some(local), Some(endpoint)) = (local.inet(), endpoint.inet()) else { return false };
    let is_same = local.ip().to_canonical() == dialed_address(endpoint.ip());
    is_same && local.port() == endpoint.port()
}

/// Whether [`met_ourselves`] could be true of a dial to `endpoint` at all, which spares most dials
/// the question for their own end. `is_ephemeral`: whether the kernel chooses from that port.
pub fn could_meet_ourselves<'a>(
    mut listeners: impl Iterator<Item = &'a Address>,
    endpoint: &Address,
    is_ephemeral: impl FnOnce(u16) -> bool,
) -> bool {
    match endpoint.port() {
        Some(port) => listeners.any(|one| one.port() == Some(port)) || is_ephemeral(port),
        None => listeners.any(|listener| listener == endpoint),
    }
}

/// The address that a dial really goes to: v4-mapped ones are IPv4, and the kernel turns the
/// unspecified address into the loopback one.
fn dialed_address(address: IpAddr) -> IpAddr {
    let dialed = match address.to_canonical() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    debug_assert!(!dialed.is_unspecified(), "no connection has that at its end");
    debug_assert_eq!(dialed, dialed.to_canonical(), "two forms of one address");
    dialed
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// This host is 10.0.0.1 and 2001:db8::1, besides its loopback addresses.
    fn is_local(address: IpAddr) -> bool {
        let own = ["10.0.0.1", "2001:db8::1"].map(|own| own.parse::<IpAddr>().expect("valid"));
        address.is_loopback() || own.contains(&address)
    }

    fn not_asked(_: IpAddr) -> bool {
        panic!("asked for no reason");
    }

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().expect("an address"))
    }

    fn check(listener: &str, endpoint: &str, want: bool) {
        let (listener, endpoint) = (inet(listener), inet(endpoint));
        assert_eq!(leads_back(&listener, &endpoint, is_local), want, "{listener} {endpoint}");
    }

    #[test]
    fn a_path_leads_back_to_the_same_path_alone() {
        let [one, other] = ["/run/one", "/run/other"].map(|path| Address::from(Path::new(path)));
        let port = inet("0.0.0.0:80");
        assert!(leads_back(&one, &one.clone(), not_asked));
        for (listener, endpoint) in [(&one, &other), (&one, &port), (&port, &one)] {
            assert!(!leads_back(listener, endpoint, not_asked), "{listener} {endpoint}");
        }
        let unnamed = Address::from(Path::new(""));
        for (endpoint, want) in [(&one, true), (&other, false)] {
            let listeners = [&port, &one];
            assert_eq!(met_ourselves(listeners.into_iter(), &unnamed, endpoint), want);
            assert_eq!(could_meet_ourselves(listeners.into_iter(), endpoint, |_| true), want);
        }
    }

    #[test]
    fn the_same_address_leads_back() {
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("10.0.0.1:80", "10.0.0.1:80", true);
        check("[::1]:80", "[::1]:80", true);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("10.0.0.1:80", "127.0.0.1:80", false);
    }

    #[test]
    fn a_wildcard_listener_takes_every_local_address_of_its_families() {
        for endpoint in ["127.0.0.1:80", "127.3.2.1:80", "10.0.0.1:80", "0.0.0.0:80"] {
            check("0.0.0.0:80", endpoint, true);
            check("[::]:80", endpoint, true);
        }
        for endpoint in ["[::1]:80", "[2001:db8::1]:80", "[::]:80"] {
            check("0.0.0.0:80", endpoint, false);
            check("[::]:80", endpoint, true);
        }
        check("0.0.0.0:80", "10.0.0.2:80", false);
        check("[::]:80", "[2001:db8::2]:80", false);
        check("0.0.0.0:80", "10.0.0.1:81", false);
    }

    #[test]
    fn a_wildcard_endpoint_is_the_loopback_address() {
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("[::1]:80", "[::]:80", true);
        check("127.0.0.1:80", "[::]:80", false);
        check("10.0.0.1:80", "0.0.0.0:80", false);
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        check("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true);
        check("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true);
        check("0.0.0.0:80", "[::ffff:10.0.0.1]:80", true);
        check("[::]:80", "[::ffff:10.0.0.1]:80", true);
        check("[::1]:80", "[::ffff:127.0.0.1]:80", false);
    }

    #[test]
    fn a_connection_shows_where_it_went() {
        for (listener, local, endpoint, want) in [
            ("127.0.0.1:80", "127.0.0.1:5000", "127.0.0.1:5000", true),
            ("127.0.0.1:80", "127.0.0.1:5000", "0.0.0.0:5000", true),
            ("[::1]:80", "[::1]:5000", "[::]:5000", true),
            ("127.0.0.1:80", "127.0.0.1:5000", "[::ffff:127.0.0.1]:5000", true),
            ("127.0.0.1:80", "127.0.0.1:5000", "127.0.0.2:5000", false),
            ("127.0.0.1:80", "127.0.0.1:5000", "127.0.0.1:5001", false),
            ("0.0.0.0:80", "192.0.2.5:5000", "192.0.2.5:80", true),
            ("[::]:80", "[::ffff:192.0.2.5]:5000", "192.0.2.5:80", true),
            ("0.0.0.0:80", "10.0.0.1:5000", "10.0.0.2:80", false),
            ("10.0.0.1:80", "10.0.0.1:5000", "10.0.0.1:80", true),
            ("[::]:80", "[::1]:5000", "[2001:db8::5]:80", true),
            ("127.0.0.1:80", "127.0.0.1:5000", "127.0.0.5:80", false),
        ] {
            let [listener, local, endpoint] = [listener, local, endpoint].map(inet);
            let listeners = [&listener];
            let found = met_ourselves(listeners.into_iter(), &local, &endpoint);
            assert_eq!(found, want, "{listener} {local} {endpoint}");
            let is_suspect = could_meet_ourselves(listeners.into_iter(), &endpoint, |port| {
                local.port() == Some(port)
            });
            assert!(is_suspect || !found, "{listener} {local} {endpoint}: not even asked");
        }
    }

    #[test]
    fn the_host_is_asked_only_when_it_matters() {
        let [one, two] = ["10.0.0.1:80", "10.0.0.2:81"].map(inet);
        assert!(!leads_back(&one, &two, not_asked));
        assert!(leads_back(&one, &one, not_asked));
    }
}
