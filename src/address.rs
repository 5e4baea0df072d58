//! Where a stream socket is: an IP address and a port, or a path. For everything that means an
//! endpoint, a listener or the peer of a connection.
//!
//! A leaf that every layer may import. Owns the form that the log shows, which is the one that is
//! typed. Must not look a name up, nor ask the system whether the address is there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// The address of a stream socket. The order is by family, then by value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// TCP (ip(7), ipv6(7)).
    Inet(SocketAddr),
    /// A socket of the file system (unix(7)); shared, since an endpoint's address is kept in many
    /// places. Empty: a socket without a name, as that of most clients.
    Unix(Arc<Path>),
}

/// A pair keeps one for its client, and each endpoint that it has tried.
const _: () =
    assert!(size_of::<Address>() == size_of::<SocketAddr>(), "a path costs a pair no byte");
const _: () = assert!(size_of::<Address>() == 32);

impl Address {
    /// The IP address and port, if that is what it is.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }

    /// The IP address; a path has none.
    pub fn ip(&self) -> Option<IpAddr> {
        self.inet().map(|address| address.ip())
    }

    /// The port, 0-65535; a path has none.
    pub fn port(&self) -> Option<u16> {
        self.inet().map(|address| address.port())
    }

    /// The same address in one form: one of IPv4 that is written as IPv6 leads to the same socket
    /// (RFC 4291, 2.5.5.2).
    pub fn to_canonical(&self) -> Address {
        match self {
            Address::Inet(address) => Address::from((address.ip().to_canonical(), address.port())),
            Address::Unix(path) => Address::Unix(path.clone()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Inet(address)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(address: (I, u16)) -> Address {
        Address::Inet(address.into())
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Address {
        Address::Unix(path.into())
    }
}

impl fmt::Display for Address {
    /// `1.2.3.4:1`, `[::1]:1` or `unix:/path`. What would end a value of the log, or its line, is
    /// written as `\u{20}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self {
            Address::Inet(address) => return address.fmt(f),
            Address::Unix(path) => path.to_string_lossy(),
        };
        f.write_str("unix:")?;
        for character in path.chars() {
            match character.is_whitespace() || character.is_control() {
                true => write!(f, "{}", character.escape_unicode())?,
                false => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &str) -> Address {
        Address::from(Path::new(path))
    }

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().expect("an address"))
    }

    #[test]
    fn the_log_shows_what_is_typed() {
        for (address, want) in [
            (inet("1.2.3.4:1"), "1.2.3.4:1"),
            (inet("[::1]:1"), "[::1]:1"),
            (Address::from(([10, 0, 0, 1], 2379)), "10.0.0.1:2379"),
            (unix("/run/etcd.sock"), "unix:/run/etcd.sock"),
            (unix(""), "unix:"),
            (unix("/a b\nc=d"), "unix:/a\\u{20}b\\u{a}c=d"),
        ] {
            assert_eq!(address.to_string(), want);
        }
    }

    #[test]
    fn addresses_are_keys() {
        let sorted = [inet("1.2.3.4:1"), inet("1.2.3.4:2"), inet("[::]:1"), unix("/a"), unix("/b")];
        let mut addresses = sorted.clone();
        addresses.reverse();
        addresses.sort();
        assert_eq!(addresses, sorted);
        assert_eq!(unix("/a"), unix("/a"), "by the path, not by where it is kept");
    }

    #[test]
    fn the_canonical_form_is_that_of_the_socket() {
        assert_eq!(inet("[::ffff:1.2.3.4]:1").to_canonical(), inet("1.2.3.4:1"));
        assert_eq!(inet("[::1]:1").to_canonical(), inet("[::1]:1"));
        assert_eq!(unix("/a").to_canonical(), unix("/a"));
        assert_eq!((inet("[::1]:7").port(), unix("/a").port()), (Some(7), None));
    }
}
