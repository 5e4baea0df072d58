//! Why a text is no address, in words for whoever typed it.
//!
//! The text itself is named by whoever knows the flag. Each reason says what to write instead
//! where that is not plain.

use std::fmt;

use super::special_address::SpecialAddress;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing before the port.
    HostMissing,
    /// A host, but no port.
    PortMissing,
    /// Of an endpoint: a number and nothing else.
    HostMissingBefore(u16),
    /// Of a listening address: a number and nothing else.
    ListenPortAlone(u16),
    /// The port is not made of digits.
    PortNotNumber(String),
    /// The port is above 65535.
    PortTooLarge(String),
    /// Port 0, which nobody can dial.
    PortZero,
    /// More than one colon outside brackets.
    BracketsMissing,
    /// `[` without `]`, or something other than a port after `]`.
    BracketsMalformed,
    /// What stands in the brackets is no IPv6 address.
    NotIpv6(String),
    /// `%zone` after an IPv6 address, which a resolved address has no room for.
    Zone,
    /// Ends like an IPv4 address, but is none.
    NotIpv4(String),
    /// An address where no server can be.
    Special(SpecialAddress),
    /// No host name, and why: a character that none has, or an empty or overlong name or label.
    NotName(String, String),
    /// Between two endpoints something other than a comma.
    EndpointSeparator(char),
    /// Between two listening addresses something other than a comma.
    ListenSeparator(char),
    /// A quotation mark: one without its pair, or of a kind that no shell knows.
    QuotationMark(char),
    /// A URL of a kind that is no TCP address.
    Scheme(String),
    /// A URL where only an address makes sense.
    ListenScheme,
    /// A path behind an address that is no URL.
    Path(String),
    /// A path behind a listening address.
    ListenPath(String),
    /// `user:password@` before the host.
    UserInfo,
    /// A query key other than priority and weight.
    KeyUnknown(String),
    /// A query key a second time.
    KeyRepeated(&'static str),
    /// The value of a query key is no number from 0 to 65535.
    KeyValue(&'static str, String),
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
            AddressError::UserInfo => {
                f.write_str("user name before the host; clients log in through the gateway")
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
