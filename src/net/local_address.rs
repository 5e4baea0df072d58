//! Which addresses are this host's own, and which it has a way to.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;

use super::NetError;
use super::errno::net_error;

/// Whether this host answers for `address` itself.
pub(super) fn is_local(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    // What cannot be bound is no IPv4 address of ours: three cheap calls for the usual answer.
    // One that can be may still not be ours (net.ipv4.ip_nonlocal_bind), and an IPv6 one may
    // be ours by a route alone, so the kernel's lists are asked, too.
    let can_bind = UdpSocket::bind((address, 0)).is_ok();
    (can_bind && is_on_interface(address))
        || ((can_bind || address.is_ipv6()) && is_routed_to_ourselves(address))
}

fn is_on_interface(address: IpAddr) -> bool {
    let Ok(interfaces) = getifaddrs() else { return false };
    interfaces.filter_map(|interface| interface.address).any(|storage| {
        let v4 = storage.as_sockaddr_in().map(|found| IpAddr::V4(found.ip()));
        let v6 = storage.as_sockaddr_in6().map(|found| IpAddr::V6(found.ip()));
        v4.or(v6) == Some(address)
    })
}

/// Towards an address of its own the kernel chooses that very address, or the loopback one, as
/// source. (Where an IPv6 route leads to ourselves and another interface has a better address by
/// RFC 6724, it chooses that: such a route stays unknown.) Nothing is sent.
fn is_routed_to_ourselves(address: IpAddr) -> bool {
    source(address).is_ok_and(|source| source.ip() == address || source.ip().is_loopback())
}

/// Whether the kernel has a route to `address`, and an address of ours to go with it. For want of a
/// descriptor or memory nobody can tell, and nothing is said against it.
pub(super) fn has_route(address: IpAddr) -> bool {
    let is_short = |error| matches!(net_error(error), NetError::Descriptors | NetError::Memory);
    source(address).map_or_else(is_short, |_| true)
}

/// Our end of what would be sent to `address`. Nothing is.
fn source(address: IpAddr) -> io::Result<SocketAddr> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect((address, 1))?;
    socket.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_known() {
        for (address, want) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(is_local(address), want, "{address}");
        }
    }
}
