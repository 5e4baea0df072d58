//! Addresses as text: where to listen, and the endpoints to dial.
//!
//! Text becomes a typed address or a reason, without a socket and without a look-up: whether a
//! name resolves and whether an address is ours is found out later, in `net`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::{PRIORITY_DEFAULT, WEIGHT_DEFAULT};

/// Longest host name in characters, without a trailing dot (RFC 1035, 2.3.4, as text).
const NAME_CHARACTERS_MAX: usize = 253;
/// Longest label of a host name in characters (RFC 1035, 2.3.4).
const LABEL_CHARACTERS_MAX: usize = 63;

/// The part of an address before the port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A literal address.
    Address(IpAddr),
    /// Something for the resolver.
    Name(String),
}

impl fmt::Display for Host {
    /// The host as it stands before `:port`, so IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// Where to wait for clients. Port 0 leaves the choice to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of both families, typed `:port`.
    Any {
        /// The port, 0-65535.
        port: u16,
    },
    /// One host; a wildcard such as `0.0.0.0` counts as one.
    Host {
        /// An address or a name of this machine.
        host: Host,
        /// The port, 0-65535.
        port: u16,
    },
}

impl ListenAddress {
    /// The port, 0-65535.
    pub fn port(&self) -> u16 {
        match self {
            ListenAddress::Any { port } | ListenAddress::Host { port, .. } => *port,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Any { port } => write!(f, ":{port}"),
            ListenAddress::Host { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// A server we may dial. Priority and weight mean what they mean in an SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAddress {
    /// An address or a name.
    pub host: Host,
    /// The port, 1-65535.
    pub port: u16,
    /// Class, 0-65535: a higher number is used only while no lower one is active.
    pub priority: u16,
    /// Share of the connections within the class, 0-65535.
    pub weight: u16,
}

impl fmt::Display for EndpointAddress {
    /// `host:port` alone, as etcd logs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a text is no address. The text itself is named by whoever knows the flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing before the port.
    HostMissing,
    /// A host, but no port.
    PortMissing,
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
    /// A character that no host name has, or an empty or overlong name or label.
    NotName(String),
    /// A URL of a kind that is no TCP address.
    Scheme(String),
    /// A URL where only an address makes sense.
    ListenScheme,
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
            AddressError::PortNotNumber(port) => write!(f, "port {port:?} is not a number"),
            AddressError::PortTooLarge(port) => write!(f, "port {port} is above 65535"),
            AddressError::PortZero => f.write_str("port 0 cannot be dialed"),
            AddressError::BracketsMissing => {
                f.write_str("more than one colon; IPv6 is written [address]:port, as in [::1]:2379")
            }
            AddressError::BracketsMalformed => {
                f.write_str("IPv6 is written [address]:port, as in [::1]:2379")
            }
            AddressError::NotIpv6(host) => write!(f, "{host:?} is no IPv6 address"),
            AddressError::Zone => f.write_str("an IPv6 zone is not supported"),
            AddressError::NotIpv4(host) => write!(f, "{host:?} is no IPv4 address"),
            AddressError::NotName(host) => write!(f, "{host:?} is no host name"),
            AddressError::Scheme(scheme) => {
                write!(f, "scheme {scheme:?} is not supported, only http and https are")
            }
            AddressError::ListenScheme => f.write_str("a listen address is host:port, not a URL"),
            AddressError::UserInfo => f.write_str("user name before the host"),
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

impl FromStr for ListenAddress {
    type Err = AddressError;

    /// Reads `:port`, `host:port` or `[v6]:port`.
    fn from_str(text: &str) -> Result<ListenAddress, AddressError> {
        if text.contains("://") {
            return Err(AddressError::ListenScheme);
        }
        let (host, port) = split_port(text)?;
        let port = parse_port(port)?;
        if host.is_empty() {
            return Ok(ListenAddress::Any { port });
        }
        Ok(ListenAddress::Host { host: parse_host(host)?, port })
    }
}

impl FromStr for EndpointAddress {
    type Err = AddressError;

    /// Reads `host:port`, `[v6]:port`, or an http or https URL whose scheme and path are dropped;
    /// each with `?priority=N&weight=N`.
    fn from_str(text: &str) -> Result<EndpointAddress, AddressError> {
        let (address, query) = match text.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (text, None),
        };
        let (host, port) = split_port(authority(address)?)?;
        if host.is_empty() {
            return Err(AddressError::HostMissing);
        }
        let host = parse_host(host)?;
        let port = match parse_port(port)? {
            0 => return Err(AddressError::PortZero),
            port => port,
        };
        let (priority, weight) = query.map_or(Ok((None, None)), parse_query)?;
        Ok(EndpointAddress {
            host,
            port,
            priority: priority.unwrap_or(PRIORITY_DEFAULT),
            weight: weight.unwrap_or(WEIGHT_DEFAULT),
        })
    }
}

/// What is left of a URL without its scheme and path. A path without a scheme is no URL and stays,
/// to be refused as a port.
fn authority(address: &str) -> Result<&str, AddressError> {
    let authority = match address.split_once("://") {
        None => address,
        Some((scheme, rest)) => {
            // TLS passes through untouched, so https needs nothing that http does not.
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(AddressError::Scheme(scheme.to_owned()));
            }
            rest.split_once('/').map_or(rest, |(authority, _path)| authority)
        }
    };
    match authority.contains('@') {
        true => Err(AddressError::UserInfo),
        false => Ok(authority),
    }
}

/// Splits host and port; brackets stay with the host.
fn split_port(text: &str) -> Result<(&str, &str), AddressError> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or(AddressError::BracketsMalformed)?;
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some("") => Err(AddressError::PortMissing),
            Some(port) => Ok((host, port)),
            None if rest.is_empty() => Err(AddressError::PortMissing),
            None => Err(AddressError::BracketsMalformed),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(AddressError::BracketsMissing),
        None | Some((_, "")) => Err(AddressError::PortMissing),
        Some((host, port)) => Ok((host, port)),
    }
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    if !is_digits(text) {
        return Err(AddressError::PortNotNumber(text.to_owned()));
    }
    text.parse().map_err(|_| AddressError::PortTooLarge(text.to_owned()))
}

/// Whether there are digits and nothing else. The standard library also takes a plus sign.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_host(text: &str) -> Result<Host, AddressError> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return parse_ipv6(inner);
    }
    if let Ok(address) = text.parse() {
        return Ok(Host::Address(address));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if !is_name(text) {
        return Err(AddressError::NotName(text.to_owned()));
    }
    if ends_in_number(name) {
        return Err(AddressError::NotIpv4(text.to_owned()));
    }
    Ok(Host::Name(text.to_owned()))
}

fn parse_ipv6(text: &str) -> Result<Host, AddressError> {
    let parsed: Result<Ipv6Addr, _> = text.parse();
    match parsed {
        Ok(address) => Ok(Host::Address(IpAddr::V6(address))),
        Err(_) if text.contains('%') => Err(AddressError::Zone),
        Err(_) => Err(AddressError::NotIpv6(text.to_owned())),
    }
}

/// Whether it could be a host's or a domain's name, with or without a trailing dot.
pub(super) fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= NAME_CHARACTERS_MAX && name.split('.').all(is_label)
}

/// Letters, digits, hyphens, and the underscore that real names have although RFC 952 has not.
pub(super) fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.len() <= LABEL_CHARACTERS_MAX && label.bytes().all(allowed)
}

/// Whether the resolver would take the name for an IPv4 address in one of the old forms of
/// inet_aton(3): `10.0.256` or `0x7f.1` must not quietly become some other address.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    is_digits(last) || hexadecimal.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Priority and weight from `priority=N&weight=N`; either may be absent, none twice.
fn parse_query(query: &str) -> Result<(Option<u16>, Option<u16>), AddressError> {
    let (mut priority, mut weight) = (None, None);
    for item in query.split('&') {
        let (key, value) = item.split_once('=').unwrap_or((item, ""));
        let (name, slot) = match key {
            "priority" => ("priority", &mut priority),
            "weight" => ("weight", &mut weight),
            _ => return Err(AddressError::KeyUnknown(key.to_owned())),
        };
        let number = Some(value).filter(|v| is_digits(v)).and_then(|v| v.parse().ok());
        let number = number.ok_or_else(|| AddressError::KeyValue(name, value.to_owned()))?;
        if slot.replace(number).is_some() {
            return Err(AddressError::KeyRepeated(name));
        }
    }
    Ok((priority, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Host {
        Host::Address(text.parse().expect("a literal address in a test"))
    }

    fn name(text: &str) -> Host {
        Host::Name(text.to_owned())
    }

    #[track_caller]
    fn check(input: &str, host: Host, port: u16, priority: u16, weight: u16) {
        let want = EndpointAddress { host, port, priority, weight };
        assert_eq!(input.parse(), Ok(want), "{input}");
    }

    #[track_caller]
    fn refuse(input: &str, want: &str) {
        let error = input.parse::<EndpointAddress>().expect_err(input);
        assert_eq!(error.to_string(), want, "{input}");
    }

    #[track_caller]
    fn check_listen(input: &str, want: ListenAddress) {
        assert_eq!(input.parse(), Ok(want), "{input}");
    }

    #[track_caller]
    fn refuse_listen(input: &str, want: &str) {
        let error = input.parse::<ListenAddress>().expect_err(input);
        assert_eq!(error.to_string(), want, "{input}");
    }

    #[test]
    fn endpoints_without_a_scheme() {
        check("127.0.0.1:2379", ip("127.0.0.1"), 2379, 0, 1);
        check("[::1]:2379", ip("::1"), 2379, 0, 1);
        check("[::ffff:127.0.0.1]:2379", ip("::ffff:127.0.0.1"), 2379, 0, 1);
        check("0.0.0.0:2379", ip("0.0.0.0"), 2379, 0, 1);
        check("localhost:2379", name("localhost"), 2379, 0, 1);
        check(
            "etcd-0.etcd_peers.default.svc:2379",
            name("etcd-0.etcd_peers.default.svc"),
            2379,
            0,
            1,
        );
        check("example.com.:2379", name("example.com."), 2379, 0, 1);
        check("3com.example:65535", name("3com.example"), 65535, 0, 1);
        check("1.2.3.4.example:1", name("1.2.3.4.example"), 1, 0, 1);
        check("a:00080", name("a"), 80, 0, 1);
    }

    #[test]
    fn endpoints_as_urls_lose_scheme_and_path() {
        check("http://a:1", name("a"), 1, 0, 1);
        check("https://a:1", name("a"), 1, 0, 1);
        check("HTTPS://a:1", name("a"), 1, 0, 1);
        check("http://a:1/", name("a"), 1, 0, 1);
        check("https://a:1/v3/kv:range/x", name("a"), 1, 0, 1);
        check("https://[::1]:1/x", ip("::1"), 1, 0, 1);
        check("http://a:1/x@y", name("a"), 1, 0, 1);
        check("http://a:1/x?priority=2", name("a"), 1, 2, 1);
        check("http://a:1?weight=7", name("a"), 1, 0, 7);
    }

    #[test]
    fn priority_and_weight() {
        check("a:1?priority=1&weight=3", name("a"), 1, 1, 3);
        check("a:1?weight=3&priority=1", name("a"), 1, 1, 3);
        check("a:1?priority=65535", name("a"), 1, 65535, 1);
        check("a:1?weight=0", name("a"), 1, 0, 0);
        check("[::1]:1?weight=65535", ip("::1"), 1, 0, 65535);
    }

    #[test]
    fn bad_priority_and_weight() {
        refuse("a:1?", r#"unknown key "", only priority and weight are known"#);
        refuse("a:1?x=1", r#"unknown key "x", only priority and weight are known"#);
        refuse("a:1?Weight=1", r#"unknown key "Weight", only priority and weight are known"#);
        refuse("a:1?weight=1&", r#"unknown key "", only priority and weight are known"#);
        refuse("a:1?weight=1&weight=1", r#"repeated key "weight""#);
        refuse("a:1?priority=1&weight=1&priority=2", r#"repeated key "priority""#);
        refuse("a:1?weight", r#"weight "" is not a number from 0 to 65535"#);
        refuse("a:1?weight=", r#"weight "" is not a number from 0 to 65535"#);
        refuse("a:1?weight=-1", r#"weight "-1" is not a number from 0 to 65535"#);
        refuse("a:1?weight=+1", r#"weight "+1" is not a number from 0 to 65535"#);
        refuse("a:1?weight=1.5", r#"weight "1.5" is not a number from 0 to 65535"#);
        refuse("a:1?priority=65536", r#"priority "65536" is not a number from 0 to 65535"#);
        refuse(
            "a:1?priority=1?weight=2",
            r#"priority "1?weight=2" is not a number from 0 to 65535"#,
        );
        refuse("a:1?priority=1#x", r##"priority "1#x" is not a number from 0 to 65535"##);
    }

    #[test]
    fn bad_ports() {
        refuse("127.0.0.1", "missing port");
        refuse("127.0.0.1:", "missing port");
        refuse("etcd", "missing port");
        refuse("https://etcd.example", "missing port");
        refuse("https://etcd.example/a:1", "missing port");
        refuse("[::1]", "missing port");
        refuse("[::1]:", "missing port");
        refuse("a:http", r#"port "http" is not a number"#);
        refuse("a:-1", r#"port "-1" is not a number"#);
        refuse("a:+1", r#"port "+1" is not a number"#);
        refuse("a: 1", r#"port " 1" is not a number"#);
        refuse("a:1 ", r#"port "1 " is not a number"#);
        refuse("a:1/", r#"port "1/" is not a number"#);
        refuse("a:１", r#"port "１" is not a number"#);
        refuse("http://a:1#x", r##"port "1#x" is not a number"##);
        refuse("unix:/run/etcd", r#"port "/run/etcd" is not a number"#);
        refuse("a:65536", "port 65536 is above 65535");
        refuse("a:99999", "port 99999 is above 65535");
        refuse("[::1]:99999", "port 99999 is above 65535");
        refuse("a:99999999999999999999", "port 99999999999999999999 is above 65535");
        refuse("a:0", "port 0 cannot be dialed");
        refuse("[::1]:000", "port 0 cannot be dialed");
    }

    #[test]
    fn bad_brackets() {
        let missing = "more than one colon; IPv6 is written [address]:port, as in [::1]:2379";
        refuse("::1:2379", missing);
        refuse("::1", missing);
        refuse("fe80::1", missing);
        refuse("2001:db8::1:2379", missing);
        refuse("http://::1:2379", missing);
        refuse("a:1:2", missing);
        let malformed = "IPv6 is written [address]:port, as in [::1]:2379";
        refuse("[::1", malformed);
        refuse("[::1:2379", malformed);
        refuse("[::1]2379", malformed);
        refuse("[::1]]:2379", malformed);
        refuse("[]:1", r#""" is no IPv6 address"#);
        refuse("[a]:1", r#""a" is no IPv6 address"#);
        refuse("[127.0.0.1]:1", r#""127.0.0.1" is no IPv6 address"#);
        refuse("[[::1]:1", r#""[::1" is no IPv6 address"#);
        refuse("[fe80::1%eth0]:1", "an IPv6 zone is not supported");
    }

    #[test]
    fn bad_hosts() {
        refuse(":2379", "missing host");
        refuse("http://:2379", "missing host");
        refuse("", "missing port");
        refuse("http://", "missing port");
        refuse("a b:1", r#""a b" is no host name"#);
        refuse(" a:1", r#"" a" is no host name"#);
        refuse("a\n:1", r#""a\n" is no host name"#);
        refuse("a/b:1", r#""a/b" is no host name"#);
        refuse("a..b:1", r#""a..b" is no host name"#);
        refuse(".a:1", r#"".a" is no host name"#);
        refuse(".:1", r#""." is no host name"#);
        refuse("a..:1", r#""a.." is no host name"#);
        refuse("*:1", r#""*" is no host name"#);
        refuse("é:1", r#""é" is no host name"#);
        refuse("fe80%eth0:1", r#""fe80%eth0" is no host name"#);
        refuse("10.0.0.256:1", r#""10.0.0.256" is no IPv4 address"#);
        refuse("10.0.1:1", r#""10.0.1" is no IPv4 address"#);
        refuse("010.0.0.1:1", r#""010.0.0.1" is no IPv4 address"#);
        refuse("2130706433:1", r#""2130706433" is no IPv4 address"#);
        refuse("0x7f000001:1", r#""0x7f000001" is no IPv4 address"#);
        refuse("127.0X1:1", r#""127.0X1" is no IPv4 address"#);
        refuse("127.0.0.1.:1", r#""127.0.0.1." is no IPv4 address"#);
    }

    #[test]
    fn names_have_a_length() {
        let label = "a".repeat(LABEL_CHARACTERS_MAX);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), NAME_CHARACTERS_MAX);
        check(&format!("{longest}:1"), name(&longest), 1, 0, 1);
        check(&format!("{longest}.:1"), name(&format!("{longest}.")), 1, 0, 1);
        refuse(&format!("{longest}a:1"), &format!("\"{longest}a\" is no host name"));
        refuse(&format!("{label}a:1"), &format!("\"{label}a\" is no host name"));
    }

    #[test]
    fn other_schemes_and_users() {
        let text =
            |scheme: &str| format!("scheme {scheme:?} is not supported, only http and https are");
        refuse("unix:///run/etcd.sock", &text("unix"));
        refuse("unixs://a:1", &text("unixs"));
        refuse("tcp://a:1", &text("tcp"));
        refuse("://a:1", &text(""));
        refuse("http://user@a:1", "user name before the host");
        refuse("https://user:password@a:1/", "user name before the host");
        refuse("user@a:1", "user name before the host");
    }

    #[test]
    fn listen_addresses() {
        check_listen(":23790", ListenAddress::Any { port: 23790 });
        check_listen(":0", ListenAddress::Any { port: 0 });
        check_listen("127.0.0.1:0", ListenAddress::Host { host: ip("127.0.0.1"), port: 0 });
        check_listen("0.0.0.0:1", ListenAddress::Host { host: ip("0.0.0.0"), port: 1 });
        check_listen("[::]:65535", ListenAddress::Host { host: ip("::"), port: 65535 });
        check_listen("localhost:1", ListenAddress::Host { host: name("localhost"), port: 1 });
    }

    #[test]
    fn bad_listen_addresses() {
        refuse_listen("", "missing port");
        refuse_listen(":", "missing port");
        refuse_listen("23790", "missing port");
        refuse_listen("127.0.0.1", "missing port");
        refuse_listen(":65536", "port 65536 is above 65535");
        refuse_listen(":x", r#"port "x" is not a number"#);
        refuse_listen("127.0.0.1:1?weight=1", r#"port "1?weight=1" is not a number"#);
        refuse_listen("http://127.0.0.1:1", "a listen address is host:port, not a URL");
        refuse_listen("*:1", r#""*" is no host name"#);
        refuse_listen(
            "::1",
            "more than one colon; IPv6 is written [address]:port, as in [::1]:2379",
        );
    }

    #[test]
    fn display_is_what_parses() {
        for text in ["127.0.0.1:1", "[::1]:1", "a.b:1"] {
            let endpoint: EndpointAddress = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text);
            let listen: ListenAddress = text.parse().expect(text);
            assert_eq!(listen.to_string(), text);
        }
        assert_eq!(ListenAddress::Any { port: 7 }.to_string(), ":7");
        let endpoint: EndpointAddress = "https://a:1/x?weight=2".parse().expect("a URL");
        assert_eq!(endpoint.to_string(), "a:1");
    }
}
