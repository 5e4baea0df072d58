//! The addresses of this host, and those that it has a route to.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;

use super::NetError;
use super::errno::net_error;

/// Whether connections to `address` arrive at this host itself.
pub(super) fn is_local(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    // An IPv4 address that cannot be bound is not one of this host: three cheap calls answer the
    // usual case. One that can be bound may still be another host's (net.ipv4.ip_nonlocal_bind),
    // and an IPv6 address may be local by a route alone, so the kernel's lists are searched, too.
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

/// Whether the route to `address` leads to this host: then the kernel chooses that very address, or
/// the loopback one, as source. (Where an IPv6 route leads to this host and another interface has a
/// better address by RFC 6724, the kernel chooses that: such a route is not recognized.) Nothing is
/// sent.
fn is_routed_to_ourselves(address: IpAddr) -> bool {
    source(address).is_ok_and(|source| source.ip() == address || source.ip().is_loopback())
}

/// Whether the kernel has a route to `address`, and a source address for it. Also true where the
/// answer is unknown for want of a descriptor or memory.
pub(super) fn has_route(address: IpAddr) -> bool {
    match source(address).map_err(net_error) {
        Ok(_) | Err(NetError::Descriptors | NetError::Memory) => true,
        Err(_) => false,
    }
}

/// The source address of datagrams to `address`. Nothing is sent.
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
