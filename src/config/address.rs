//! Addresses as text: those to listen on, and the endpoints to dial.
//!
//! Text becomes a typed address or an error, without a socket and without a look-up: whether a name
//! resolves and whether an address belongs to this host is found out later.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::limits::{ETCD_PORT, PRIORITY_DEFAULT, WEIGHT_DEFAULT};
use super::special_address::SpecialAddress;
use crate::scheme::Scheme;

pub use super::address_error::AddressError;

/// Longest host name in characters of its text, without a trailing dot (RFC 1035, 2.3.4).
pub(super) const NAME_CHARACTERS_MAX: usize = 253;
/// Longest label of a host name in characters (RFC 1035, 2.3.4).
const LABEL_CHARACTERS_MAX: usize = 63;

/// The part of an address before the port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A literal address.
    Address(IpAddr),
    /// A name to look up.
    Name(String),
}

impl Host {
    /// Whether it is `0.0.0.0` or `::`, which mean this host where they are dialed.
    pub fn is_unspecified(&self) -> bool {
        match self {
            Host::Address(address) => {
                SpecialAddress::of(*address) == Some(SpecialAddress::Unspecified)
            }
            Host::Name(_) => false,
        }
    }
}

impl fmt::Display for Host {
    /// The host as it is written before `:port`: IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// An address to listen on. With port 0 the kernel chooses one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of both families; written `:port`.
    Any {
        /// The port, 0-65535.
        port: u16,
    },
    /// One host, or a wildcard such as `0.0.0.0`.
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

/// A server to dial. Priority and weight mean the same as in an SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAddress {
    /// The scheme, if a URL was typed. Clients are relayed alike.
    pub scheme: Option<Scheme>,
    /// An address or a name.
    pub host: Host,
    /// The port, 1-65535.
    pub port: u16,
    /// The class, 0-65535: one with a higher number is used only while none with a lower one is
    /// active.
    pub priority: u16,
    /// The share of the connections within the class, 0-65535.
    pub weight: u16,
}

impl EndpointAddress {
    /// Whether it may be a member of etcd: its port is that of etcd, or it was given as etcd gives
    /// addresses, by a URL.
    pub fn may_be_etcd(&self) -> bool {
        self.scheme.is_some() || self.port == ETCD_PORT
    }
}

impl fmt::Display for EndpointAddress {
    /// `host:port` alone, as etcd logs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    /// Reads `:port`, `host:port` or `[v6]:port`.
    fn from_str(text: &str) -> Result<ListenAddress, AddressError> {
        if let Some(found) = separator(text) {
            return Err(AddressError::ListenSeparator(found));
        }
        check_quotes(text)?;
        if text.contains("://") {
            return Err(AddressError::ListenScheme);
        }
        if let Some(at) = text.find('/') {
            return Err(AddressError::ListenPath(text[at..].to_owned()));
        }
        if let Some(port) = port_alone(text) {
            return Err(AddressError::ListenPortAlone(port));
        }
        let (host, port) = split_port(text)?;
        let port = parse_port(port)?;
        if host.is_empty() {
            return Ok(ListenAddress::Any { port });
        }
        let host = parse_host(host)?;
        refuse_special(&host)?;
        Ok(ListenAddress::Host { host, port })
    }
}

impl FromStr for EndpointAddress {
    type Err = AddressError;

    /// Reads `host:port`, `[v6]:port`, or an http or https URL, whose path is dropped; each may
    /// end with `?priority=N&weight=N`.
    fn from_str(text: &str) -> Result<EndpointAddress, AddressError> {
        if let Some(found) = separator(text) {
            return Err(AddressError::EndpointSeparator(found));
        }
        check_quotes(text)?;
        if let Some(port) = port_alone(text) {
            return Err(AddressError::HostMissingBefore(port));
        }
        let (address, query) = match text.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (text, None),
        };
        let (scheme, authority) = split_url(address)?;
        let (host, port) = split_port(authority)?;
        if host.is_empty() {
            return Err(AddressError::HostMissing);
        }
        let host = parse_host(host)?;
        refuse_special(&host)?;
        let port = match parse_port(port)? {
            0 => return Err(AddressError::PortZero),
            port => port,
        };
        let (priority, weight) = query.map_or(Ok((None, None)), parse_query)?;
        Ok(EndpointAddress {
            scheme,
            host,
            port,
            priority: priority.unwrap_or(PRIORITY_DEFAULT),
            weight: weight.unwrap_or(WEIGHT_DEFAULT),
        })
    }
}

/// The first character that can only be meant to separate two addresses: none is valid within one,
/// except in the path of a URL, which is dropped, and the next address would be dropped with it.
fn separator(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_whitespace() || matches!(c, ';' | '|'))
}

/// Refuses quotation marks, also those of word processors. Marks that enclose the whole text are
/// gone by now.
fn check_quotes(text: &str) -> Result<(), AddressError> {
    let marks = ['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];
    match text.chars().find(|c| marks.contains(c)) {
        Some(mark) => Err(AddressError::QuotationMark(mark)),
        None => Ok(()),
    }
}

/// The port, if the text is a port and nothing else.
fn port_alone(text: &str) -> Option<u16> {
    if is_digits(text) { text.parse().ok() } else { None }
}

/// Refuses addresses that no single host has. The unspecified address is accepted: to listen on it
/// or to dial it means this host.
fn refuse_special(host: &Host) -> Result<(), AddressError> {
    let Host::Address(address) = host else { return Ok(()) };
    match SpecialAddress::of(*address) {
        None | Some(SpecialAddress::Unspecified) => Ok(()),
        Some(class) => Err(AddressError::Special(class)),
    }
}

/// The scheme of a URL, and the part of it between scheme and path; the whole of an address that is
/// not a URL.
fn split_url(address: &str) -> Result<(Option<Scheme>, &str), AddressError> {
    let (scheme, authority) = match address.split_once("://") {
        None => (None, address),
        Some((name, rest)) => {
            let scheme = Scheme::of(name).ok_or_else(|| AddressError::Scheme(name.to_owned()))?;
            (Some(scheme), rest.split_once('/').map_or(rest, |(authority, _path)| authority))
        }
    };
    if authority.contains('@') {
        return Err(AddressError::UserInfo);
    }
    match authority.find('/') {
        Some(at) => Err(AddressError::Path(authority[at..].to_owned())),
        None => Ok((scheme, authority)),
    }
}

/// Splits host and port. Brackets belong to the host.
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

/// Whether the text has digits alone, and at least one. The standard library also takes a plus
/// sign.
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
    if let Some(problem) = name_problem(text) {
        return Err(AddressError::NotName(text.to_owned(), problem));
    }
    if ends_in_number(name) {
        return Err(AddressError::NotIpv4(text.to_owned()));
    }
    debug_assert!(name.len() <= NAME_CHARACTERS_MAX, "no message has room for it");
    debug_assert!(name.split('.').all(is_label), "not a name that can be looked up");
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

/// Whether the text can be the name of a host or a domain, with or without a trailing dot.
pub(super) fn is_name(text: &str) -> bool {
    name_problem(text).is_none()
}

/// Why the text cannot be the name of a host or a domain; `None` if it can.
pub(super) fn name_problem(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if let Some(found) = name.chars().find(|c| *c != '.' && !is_label_character(*c)) {
        return Some(format!("{found:?} in it"));
    }
    if name.split('.').any(str::is_empty) {
        return Some("an empty part before, between or after dots".to_owned());
    }
    if !name.split('.').all(is_label) {
        return Some(format!("a part of more than {LABEL_CHARACTERS_MAX} characters"));
    }
    (name.len() > NAME_CHARACTERS_MAX)
        .then(|| format!("more than {NAME_CHARACTERS_MAX} characters"))
}

/// Whether the text can be a label: letters, digits, hyphens, and underscores, which names in use
/// have although RFC 952 does not allow them.
pub(super) fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_CHARACTERS_MAX
        && label.chars().all(is_label_character)
}

fn is_label_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether the C library would take the name for an IPv4 address in one of the old forms of
/// inet_aton(3): `10.0.256` or `0x7f.1` must not silently become another address.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    is_digits(last) || hexadecimal.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Priority and weight from `priority=N&weight=N`. Each may be absent, and none may be repeated.
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
        debug_assert_eq!(key, name, "the value of another key");
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
        check_url(input, None, host, port, priority, weight);
    }

    #[track_caller]
    fn check_url(
        input: &str,
        scheme: Option<Scheme>,
        host: Host,
        port: u16,
        priority: u16,
        weight: u16,
    ) {
        let want = EndpointAddress { scheme, host, port, priority, weight };
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
    fn endpoints_as_urls_lose_their_path() {
        let (http, https) = (Some(Scheme::Http), Some(Scheme::Https));
        check_url("http://a:1", http, name("a"), 1, 0, 1);
        check_url("https://a:1", https, name("a"), 1, 0, 1);
        check_url("HTTPS://a:1", https, name("a"), 1, 0, 1);
        check_url("http://a:1/", http, name("a"), 1, 0, 1);
        check_url("https://a:1/v3/kv:range/x", https, name("a"), 1, 0, 1);
        check_url("https://[::1]:1/x", https, ip("::1"), 1, 0, 1);
        check_url("http://a:1/x@y", http, name("a"), 1, 0, 1);
        check_url("http://a:1//x:y", http, name("a"), 1, 0, 1);
        check_url("http://a:1/x?priority=2", http, name("a"), 1, 2, 1);
        check_url("http://a:1?weight=7", http, name("a"), 1, 0, 7);
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
        refuse("a:１", r#"port "１" is not a number"#);
        refuse("http://a:1#x", r##"port "1#x" is not a number"##);
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
        refuse("[]:1", r#""" is not an IPv6 address"#);
        refuse("[a]:1", r#""a" is not an IPv6 address"#);
        refuse("[127.0.0.1]:1", r#""127.0.0.1" is not an IPv6 address"#);
        refuse("[[::1]:1", r#""[::1" is not an IPv6 address"#);
        refuse("[fe80::1%eth0]:1", "an IPv6 zone is not supported");
    }

    #[test]
    fn bad_hosts() {
        refuse(":2379", "missing host");
        refuse("http://:2379", "missing host");
        refuse("", "missing port");
        refuse("http://", "missing port");
        refuse(
            "a..b:1",
            r#""a..b" is not a host name: an empty part before, between or after dots"#,
        );
        refuse(".a:1", r#"".a" is not a host name: an empty part before, between or after dots"#);
        refuse(".:1", r#""." is not a host name: an empty part before, between or after dots"#);
        refuse("a..:1", r#""a.." is not a host name: an empty part before, between or after dots"#);
        refuse("*:1", r#""*" is not a host name: '*' in it"#);
        refuse("é:1", r#""é" is not a host name: 'é' in it"#);
        refuse("fe80%eth0:1", r#""fe80%eth0" is not a host name: '%' in it"#);
        refuse("10.0.0.256:1", r#""10.0.0.256" is not an IPv4 address"#);
        refuse("10.0.1:1", r#""10.0.1" is not an IPv4 address"#);
        refuse("010.0.0.1:1", r#""010.0.0.1" is not an IPv4 address"#);
        refuse("2130706433:1", r#""2130706433" is not an IPv4 address"#);
        refuse("0x7f000001:1", r#""0x7f000001" is not an IPv4 address"#);
        refuse("127.0X1:1", r#""127.0X1" is not an IPv4 address"#);
        refuse("127.0.0.1.:1", r#""127.0.0.1." is not an IPv4 address"#);
    }

    #[test]
    fn names_have_a_length() {
        let label = "a".repeat(LABEL_CHARACTERS_MAX);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), NAME_CHARACTERS_MAX);
        check(&format!("{longest}:1"), name(&longest), 1, 0, 1);
        check(&format!("{longest}.:1"), name(&format!("{longest}.")), 1, 0, 1);
        for (host, problem) in [
            (format!("{longest}a"), "more than 253 characters"),
            (format!("{label}a"), "a part of more than 63 characters"),
        ] {
            refuse(&format!("{host}:1"), &format!("{host:?} is not a host name: {problem}"));
        }
    }

    #[test]
    fn other_schemes_and_users() {
        for (endpoint, scheme) in [
            ("unix:///run/etcd.sock", "unix"),
            ("unixs://a:1", "unixs"),
            ("tcp://a:1", "tcp"),
            ("://a:1", ""),
        ] {
            let known = "only http and https are; host:port needs none";
            refuse(endpoint, &format!("scheme {scheme:?} is not supported, {known}"));
        }
        let user = "user name before the host; clients log in through the gateway";
        refuse("http://user@a:1", user);
        refuse("https://user:password@a:1/", user);
        refuse("user@a:1", user);
        refuse("user:password@a:1", user);
    }

    #[test]
    fn a_path_needs_a_scheme() {
        for (endpoint, path) in [
            ("a:1/", "/"),
            ("a:1/v3/kv", "/v3/kv"),
            ("a:1/v3?weight=1", "/v3"),
            ("a/b:1", "/b:1"),
            ("unix:/run/etcd", "/run/etcd"),
            ("http:/a:1", "/a:1"),
        ] {
            refuse(endpoint, &format!("path {path:?} without http:// or https:// before the host"));
        }
        for (address, path) in [("127.0.0.1:1/", "/"), (":1/x", "/x")] {
            let want = format!("path {path:?}; a listen address is host:port and no more");
            refuse_listen(address, &want);
        }
    }

    /// The path of a URL is dropped, and the next address would be dropped with it.
    #[test]
    fn a_character_that_can_only_separate_addresses_is_named() {
        for (text, found) in [
            ("a:1 b:2", ' '),
            ("a:1;b:2", ';'),
            ("a:1|b:2", '|'),
            ("a:1\nb:2", '\n'),
            ("a:1\u{a0}b:2", '\u{a0}'),
            ("http://a:1/ http://b:2/", ' '),
            ("http://a:1/;http://b:2/", ';'),
            ("a:1?weight=1 b:2", ' '),
            (" a:1", ' '),
            ("a: 1", ' '),
            ("a b:1", ' '),
            ("[::1]:1 [::2]:1", ' '),
            ("1 2", ' '),
        ] {
            let want = format!("{found:?} in an endpoint; endpoints are separated by commas");
            refuse(text, &want);
            let want = format!("{found:?} in an address; addresses are separated by commas");
            refuse_listen(text, &want);
        }
    }

    #[test]
    fn a_quotation_mark_without_its_pair_is_named() {
        for (text, mark) in [
            ("\"a:1", '"'),
            ("a:1'", '\''),
            ("`a:1`", '`'),
            ("\u{201c}a:1\u{201d}", '\u{201c}'),
            ("\u{2018}a:1\u{2019}", '\u{2018}'),
            ("http://a:1/\"", '"'),
        ] {
            let want = format!("quotation mark {mark:?} in an address");
            refuse(text, &want);
            refuse_listen(text, &want);
        }
    }

    #[test]
    fn the_error_for_a_port_alone_says_what_is_missing() {
        for (endpoint, port) in [("2379", "2379"), ("02379", "2379"), ("65535", "65535")] {
            let example = format!("write host:{port}, as in 127.0.0.1:{port}");
            refuse(endpoint, &format!("a port without a host; {example}"));
        }
        refuse("65536", "missing port");
        refuse("10.0.0.1", "missing port");
        let want = "a port without an address; write 127.0.0.1:23790 for clients on this host, or \
                    :23790 for all";
        refuse_listen("23790", want);
        refuse_listen("99999", "missing port");
    }

    #[test]
    fn addresses_where_no_server_can_be_are_refused() {
        let multicast = "a multicast address, which TCP cannot connect to";
        let broadcast = "the broadcast address, which TCP cannot connect to";
        let reserved = "in 240.0.0.0/4, which is reserved and has no hosts";
        for (address, want) in [
            ("224.0.0.1:2379", multicast),
            ("239.255.255.255:2379", multicast),
            ("[ff02::1]:2379", multicast),
            ("[::ffff:224.0.0.1]:2379", multicast),
            ("255.255.255.255:2379", broadcast),
            ("[::ffff:255.255.255.255]:2379", broadcast),
            ("240.0.0.1:2379", reserved),
            ("255.255.255.254:2379", reserved),
        ] {
            refuse(address, want);
            refuse(&format!("http://{address}/x?weight=2"), want);
            refuse_listen(address, want);
        }
        check("[::]:2379", ip("::"), 2379, 0, 1);
        check("223.255.255.255:2379", ip("223.255.255.255"), 2379, 0, 1);
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
        refuse_listen("127.0.0.1", "missing port");
        refuse_listen(":65536", "port 65536 is above 65535");
        refuse_listen(":x", r#"port "x" is not a number"#);
        refuse_listen("127.0.0.1:1?weight=1", r#"port "1?weight=1" is not a number"#);
        refuse_listen("http://127.0.0.1:1", "a listen address is host:port, not a URL");
        refuse_listen("*:1", r#""*" is not a host name: '*' in it"#);
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
