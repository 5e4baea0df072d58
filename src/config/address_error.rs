//! Why a text is not an address, as a reason for the user who typed it.
//!
//! The caller, who knows the flag, puts the text in front. A reason says what to write instead
//! where that is not obvious.

use std::fmt;

use super::special_address::SpecialAddress;

/// Why a text is not an address. Displays as a reason on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// No host before the port.
    HostMissing,
    /// No port after the host.
    PortMissing,
    /// An endpoint that is a port number and nothing else.
    HostMissingBefore(u16),
    /// A listen address that is a port number and nothing else.
    ListenPortAlone(u16),
    /// A port that has other characters than digits.
    PortNotNumber(String),
    /// A port above 65535.
    PortTooLarge(String),
    /// Port 0 of an endpoint, which cannot be dialed.
    PortZero,
    /// More than one colon outside brackets.
    BracketsMissing,
    /// `[` without `]`, or something other than a port after `]`.
    BracketsMalformed,
    /// Brackets around a text that is not an IPv6 address.
    NotIpv6(String),
    /// `%zone` after an IPv6 address, which the type of addresses has no place for.
    Zone,
    /// A text that ends as an IPv4 address does and is not one.
    NotIpv4(String),
    /// An address that no server can have.
    Special(SpecialAddress),
    /// A text that is not a host name, and why: a character that host names do not have, or a name
    /// or label that is empty or too long.
    NotName(String, String),
    /// Another separator of endpoints than a comma.
    EndpointSeparator(char),
    /// Another separator of listen addresses than a comma.
    ListenSeparator(char),
    /// A quotation mark that does not enclose the whole text.
    QuotationMark(char),
    /// A URL whose scheme is neither http nor https.
    Scheme(String),
    /// A URL as a listen address.
    ListenScheme,
    /// A path after an endpoint that is not a URL.
    Path(String),
    /// A path after a listen address.
    ListenPath(String),
    /// A path of the file system as an address of the admin side, without `unix:` before it.
    UnixPrefixMissing(String),
    /// `unix:` without a path.
    UnixPathMissing,
    /// A path that a socket cannot have since it is too long: its bytes, and the most.
    UnixPathTooLong(usize, usize),
    /// A path with a zero byte.
    UnixPathNul,
    /// A socket without a place in the file system, which no permission protects.
    UnixAbstract,
    /// `user:password@` before the host.
    UserInfo,
    /// A query after a server that gets no clients.
    QueryUnexpected,
    /// A query key other than priority and weight.
    KeyUnknown(String),
    /// A query key that is there more than once.
    KeyRepeated(&'static str),
    /// A value of a query key that is not a number from 0 to 65535.
    KeyValue(&'static str, String),
}

impl AddressError {
    /// Whether the text is a path, which may have an `@` without a password before it.
    pub(super) fn is_about_path(&self) -> bool {
        matches!(
            self,
            AddressError::UnixPathMissing
                | AddressError::UnixPathTooLong(..)
                | AddressError::UnixPathNul
                | AddressError::UnixAbstract
        )
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::HostMissing => f.write_str("missing host"),
            AddressError::PortMissing => f.write_str("missing port"),
            AddressError::HostMissingBefore(port) => {
                write!(f, "a port without a host; write host:{port}, as in 127.0.0.1:{port}")
            }
            AddressError::ListenPortAlone(port) => write!(
                f,
                "a port without an address; write 127.0.0.1:{port} for clients on this host, \
                 or :{port} for all"
            ),
            AddressError::PortNotNumber(port) => write!(f, "port {port:?} is not a number"),
            AddressError::PortTooLarge(port) => write!(f, "port {port} is above 65535"),
            AddressError::PortZero => f.write_str("port 0 cannot be dialed"),
            AddressError::BracketsMissing => {
                f.write_str("more than one colon; IPv6 is written [address]:port, as in [::1]:2379")
            }
            AddressError::BracketsMalformed => {
                f.write_str("IPv6 is written [address]:port, as in [::1]:2379")
            }
            AddressError::NotIpv6(host) => write!(f, "{host:?} is not an IPv6 address"),
            AddressError::Zone => f.write_str("an IPv6 zone is not supported"),
            AddressError::NotIpv4(host) => write!(f, "{host:?} is not an IPv4 address"),
            AddressError::Special(class) => write_special(f, *class),
            AddressError::NotName(host, problem) => {
                write!(f, "{host:?} is not a host name: {problem}")
            }
            AddressError::EndpointSeparator(found) => {
                write!(f, "{found:?} in an endpoint; endpoints are separated by commas")
            }
            AddressError::ListenSeparator(found) => {
                write!(f, "{found:?} in an address; addresses are separated by commas")
            }
            AddressError::QuotationMark(mark) => {
                write!(f, "quotation mark {mark:?} in an address")
            }
            AddressError::Scheme(scheme) => write!(
                f,
                "scheme {scheme:?} is not supported, only http and https are; host:port needs none"
            ),
            AddressError::ListenScheme => f.write_str("a listen address is host:port, not a URL"),
            AddressError::Path(path) => {
                write!(f, "path {path:?} without http:// or https:// before the host")
            }
            AddressError::ListenPath(path) => {
                write!(f, "path {path:?}; a listen address is host:port and no more")
            }
            AddressError::UnixPrefixMissing(_)
            | AddressError::UnixPathMissing
            | AddressError::UnixPathTooLong(..)
            | AddressError::UnixPathNul
            | AddressError::UnixAbstract => write_path_error(f, self),
            AddressError::UserInfo => {
                f.write_str("user name before the host; clients log in through the gateway")
            }
            AddressError::QueryUnexpected => {
                f.write_str("neither priority nor weight has a meaning here")
            }
            AddressError::KeyUnknown(key) => {
                write!(f, "unknown key {key:?}, only priority and weight are known")
            }
            AddressError::KeyRepeated(key) => write!(f, "repeated key {key:?}"),
            AddressError::KeyValue(key, value) => {
                write!(f, "{key} {value:?} is not a number from 0 to 65535")
            }
        }
    }
}

fn write_special(f: &mut fmt::Formatter<'_>, class: SpecialAddress) -> fmt::Result {
    f.write_str(match class {
        SpecialAddress::Unspecified => "not the address of one host",
        SpecialAddress::Multicast => "a multicast address, which TCP cannot connect to",
        SpecialAddress::Broadcast => "the broadcast address, which TCP cannot connect to",
        SpecialAddress::Reserved => "in 240.0.0.0/4, which is reserved and has no hosts",
    })
}

fn write_path_error(f: &mut fmt::Formatter<'_>, error: &AddressError) -> fmt::Result {
    match error {
        AddressError::UnixPrefixMissing(path) => {
            write!(f, "a path without unix: before it; write unix:{path}")
        }
        AddressError::UnixPathTooLong(length, max) => {
            write!(f, "the path of a socket has at most {max} bytes, and this one {length}")
        }
        AddressError::UnixPathNul => f.write_str("a zero byte in the path"),
        AddressError::UnixAbstract => f.write_str(
            "an abstract socket, which every user may connect to; write unix:PATH with the path \
             of a file",
        ),
        _ => f.write_str("missing path after unix:"),
    }
}
