//! Servers as a member or a registry names them: a URL, or `host:port`.
//!
//! Owns which of them can be dialed from here, each with a reason if it cannot. Hosts and ports are
//! those that a user may type.

use std::fmt;

use crate::config::address::{AddressError, EndpointAddress, Host};

/// Why a server is skipped. Shown as one word of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// An address of the host that named it, which is another one here.
    Loopback,
    /// `0.0.0.0` or `::`: where it listens, which is not where it is.
    Wildcard,
    /// A path of a file system.
    UnixSocket,
    /// A scheme that a member of etcd cannot have.
    Scheme,
    /// A host without a port.
    PortMissing,
    /// Not an address that can be dialed.
    Unparsable,
    /// A value without a byte.
    Empty,
    /// An object without a field for an address.
    AddressMissing,
    /// A value of more bytes, or with more parts, than are read.
    TooLarge,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Loopback => "loopback",
            SkipReason::Wildcard => "wildcard",
            SkipReason::UnixSocket => "unix_socket",
            SkipReason::Scheme => "scheme",
            SkipReason::PortMissing => "port_missing",
            SkipReason::Unparsable => "unparsable",
            SkipReason::Empty => "empty",
            SkipReason::AddressMissing => "address_missing",
            SkipReason::TooLarge => "too_large",
        })
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server<'a> {
    /// What is before `://`, if that is there.
    pub scheme: Option<&'a str>,
    /// An address or a name, never `0.0.0.0` or `::`.
    pub host: Host,
    /// The port, 1-65535.
    pub port: u16,
}

/// Reads `host:port`, `[v6]:port`, or a URL of any scheme; path, query and fragment are dropped.
///
/// # Errors
/// [`SkipReason`], but for loopback, about which the caller decides.
pub(super) fn parse(text: &str) -> Result<Server<'_>, SkipReason> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        Some(_) => return Err(SkipReason::Unparsable),
        // As etcd writes sockets without a path of their own: `unix:name`.
        None if text.starts_with("unix:") => return Err(SkipReason::UnixSocket),
        None => (None, text),
    };
    if scheme.is_some_and(|scheme| ["unix", "unixs"].contains(&scheme)) {
        return Err(SkipReason::UnixSocket);
    }
    let authority = match scheme {
        Some(_) => rest.split(['/', '?', '#']).next().unwrap_or(rest),
        None => rest,
    };
    // A query would be read as that of an endpoint.
    if authority.contains('?') {
        return Err(SkipReason::Unparsable);
    }
    match authority.parse() {
        Ok(EndpointAddress { host, .. }) if host.is_unspecified() => Err(SkipReason::Wildcard),
        Ok(EndpointAddress { host, port, .. }) => Ok(Server { scheme, host, port }),
        Err(AddressError::PortMissing) => Err(SkipReason::PortMissing),
        Err(_) => Err(SkipReason::Unparsable),
    }
}

/// A scheme as RFC 3986, 3.1, has it.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Whether a host is this one, wherever it is looked at from: `127.0.0.0/8`, `::1`, or a name in
/// `localhost` (RFC 6761, 6.3).
pub(super) fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => address.to_canonical().is_loopback(),
        Host::Name(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_urls_are_read() {
        for (text, scheme, server) in [
            ("1.2.3.4:5", None, "1.2.3.4:5"),
            ("[2001:db8::1]:5", None, "[2001:db8::1]:5"),
            ("a.example:65535", None, "a.example:65535"),
            ("http://1.2.3.4:5", Some("http"), "1.2.3.4:5"),
            ("HTTPS://a_b.example.:5/", Some("HTTPS"), "a_b.example.:5"),
            ("grpc://1.2.3.4:5?isSecure=false", Some("grpc"), "1.2.3.4:5"),
            ("dubbo://1.2.3.4:5/a.b.C?x=y&z=://", Some("dubbo"), "1.2.3.4:5"),
            ("a+b-c.1://[::1]:5#x", Some("a+b-c.1"), "[::1]:5"),
        ] {
            let found = parse(text).expect(text);
            assert_eq!(found.scheme, scheme, "{text}");
            assert_eq!(format!("{}:{}", found.host, found.port), server);
        }
    }

    #[test]
    fn what_cannot_be_dialed_has_a_reason() {
        for (text, want) in [
            ("", SkipReason::PortMissing),
            ("1.2.3.4", SkipReason::PortMissing),
            ("http://1.2.3.4", SkipReason::PortMissing),
            ("http://1.2.3.4/x:5", SkipReason::PortMissing),
            ("http://", SkipReason::PortMissing),
            ("http://http://1.2.3.4:5", SkipReason::PortMissing),
            (":5", SkipReason::Unparsable),
            ("http://:5", SkipReason::Unparsable),
            ("5", SkipReason::Unparsable),
            ("1.2.3.4:0", SkipReason::Unparsable),
            ("1.2.3.4:65536", SkipReason::Unparsable),
            ("1.2.3.4:x", SkipReason::Unparsable),
            ("1.2.3.4:5/x", SkipReason::Unparsable),
            ("1.2.3.4:5?weight=2", SkipReason::Unparsable),
            ("1.2.3:5", SkipReason::Unparsable),
            ("224.0.0.1:5", SkipReason::Unparsable),
            ("::1:5", SkipReason::Unparsable),
            ("[fe80::1%eth0]:5", SkipReason::Unparsable),
            ("a b:5", SkipReason::Unparsable),
            ("a\n:5", SkipReason::Unparsable),
            ("http://user:pw@1.2.3.4:5", SkipReason::Unparsable),
            ("://1.2.3.4:5", SkipReason::Unparsable),
            ("1a://1.2.3.4:5", SkipReason::Unparsable),
            ("0.0.0.0:5", SkipReason::Wildcard),
            ("http://[::]:5", SkipReason::Wildcard),
            ("[::ffff:0.0.0.0]:5", SkipReason::Wildcard),
            ("unix://a:5", SkipReason::UnixSocket),
            ("unixs://a:5", SkipReason::UnixSocket),
            ("unix:/run/etcd.sock", SkipReason::UnixSocket),
        ] {
            assert_eq!(parse(text), Err(want), "{text}");
        }
    }

    #[test]
    fn loopback_is_an_address_or_a_name() {
        for (text, want) in [
            ("127.0.0.1:1", true),
            ("127.255.0.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("LOCALHOST:1", true),
            ("a.localhost.:1", true),
            ("128.0.0.1:1", false),
            ("localhost.example:1", false),
            ("notlocalhost:1", false),
        ] {
            assert_eq!(is_loopback(&parse(text).expect(text).host), want, "{text}");
        }
    }

    #[test]
    fn reasons_are_words() {
        for (reason, want) in [
            (SkipReason::Loopback, "loopback"),
            (SkipReason::Wildcard, "wildcard"),
            (SkipReason::UnixSocket, "unix_socket"),
            (SkipReason::Scheme, "scheme"),
            (SkipReason::PortMissing, "port_missing"),
            (SkipReason::Unparsable, "unparsable"),
            (SkipReason::Empty, "empty"),
            (SkipReason::AddressMissing, "address_missing"),
            (SkipReason::TooLarge, "too_large"),
        ] {
            assert_eq!(reason.to_string(), want);
        }
    }
}
