//! Addresses: exactly the documented forms, with the documented meaning, and a display that reads
//! back as the same address.
//!
//! The oracle reads a text from its end, where the product reads from its beginning. It must not
//! call the product.

use std::fmt::{Debug, Display};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::{self, FromStr};

use etcd_gateway::config::address::{EndpointAddress, Host, ListenAddress};
use etcd_gateway::scheme::Scheme;

use super::assert_one_line;

/// Reads the bytes as one item of `--endpoints`.
pub fn check_endpoint(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(endpoint) = read_as_expected(text, expected_endpoint(text)) else { return };
    assert!(endpoint.port > 0, "{text:?}");
    let shown = endpoint.to_string();
    check_shown(&shown, &endpoint.host, endpoint.port);
    let want = EndpointAddress { scheme: None, priority: 0, weight: 1, ..endpoint.clone() };
    assert_eq!(shown.parse().as_ref(), Ok(&want), "{text:?}");

    let EndpointAddress { priority, weight, .. } = endpoint;
    let whole = format!("HttpS://{shown}/a:b/?weight={weight}&priority={priority}");
    let want = EndpointAddress { scheme: Some(Scheme::Https), ..endpoint };
    assert_eq!(whole.parse(), Ok(want), "{text:?}");
}

/// Reads the bytes as one item of `--listen-addr`.
pub fn check_listen(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(listen) = read_as_expected(text, expected_listen(text)) else { return };
    let shown = listen.to_string();
    assert_eq!(shown.parse().as_ref(), Ok(&listen), "{text:?}");
    match &listen {
        ListenAddress::Any { port } => assert_eq!(shown, format!(":{port}")),
        ListenAddress::Host { host, port } => check_shown(&shown, host, *port),
    }
    // Every address to listen on can be dialed, if it has a host and a port.
    if let ListenAddress::Host { host, port: port @ 1.. } = listen {
        let endpoint = shown.parse::<EndpointAddress>().map(|found| (found.host, found.port));
        assert_eq!(endpoint, Ok((host, port)), "{text:?}");
    }
}

/// The meaning of the text, which must be the expected one; a refusal must fit on one line.
fn read_as_expected<T>(text: &str, expected: Option<T>) -> Option<T>
where
    T: FromStr<Err: Debug + Display> + Debug + PartialEq,
{
    let parsed = text.parse::<T>();
    assert_eq!(parsed.as_ref().ok(), expected.as_ref(), "{text:?}: {parsed:?}");
    if let Err(error) = &parsed {
        assert_one_line(&error.to_string());
    }
    parsed.ok()
}

/// The shown text must be one that the standard library reads, and a name must not be an address,
/// too.
fn check_shown(shown: &str, host: &Host, port: u16) {
    assert_one_line(shown);
    match host {
        Host::Address(address) => assert_eq!(shown.parse(), Ok(SocketAddr::new(*address, port))),
        Host::Name(name) => {
            assert_eq!(shown, format!("{name}:{port}"));
            assert!(!is_old_ipv4(name.trim_end_matches('.')), "{name:?} is also an address");
        }
    }
}

/// Whether inet_aton(3), and with it the C library's resolver, takes the text for an IPv4 address:
/// one to four parts in decimal, octal or hexadecimal, of which the last is as long as the others
/// leave room.
fn is_old_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let values: Option<Vec<u64>> = parts.iter().map(|part| old_number(part)).collect();
    let Some(values) = values.filter(|values| values.len() <= 4) else { return false };
    let (last, others) = values.split_last().expect("split gives one part at least");
    others.iter().all(|value| *value < 256) && *last < 1 << (8 * (4 - others.len()))
}

fn old_number(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        // glibc reads a bare 0x as 0.
        return if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 16).ok() };
    }
    let radix = if text.len() > 1 && text.starts_with('0') { 8 } else { 10 };
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    u64::from_str_radix(text, radix).ok().filter(|_| is_digits)
}

/// The endpoint for a text according to the help text; `None` where that promises a refusal.
pub fn expected_endpoint(text: &str) -> Option<EndpointAddress> {
    if is_several(text) {
        return None;
    }
    let (mut address, query) = text.split_once('?').map_or((text, None), |(a, q)| (a, Some(q)));
    let lower = address.to_ascii_lowercase();
    let mut scheme = None;
    for (found, prefix) in [(Scheme::Http, "http://"), (Scheme::Https, "https://")] {
        if lower.starts_with(prefix) {
            address = address[prefix.len()..].split('/').next().unwrap_or("");
            scheme = Some(found);
        }
    }
    let (host, port) = expected_host_and_port(address)?;
    let (mut priority, mut weight) = (None, None);
    for item in query.into_iter().flat_map(|query| query.split('&')) {
        let (key, value) = item.split_once('=')?;
        let slot = match key {
            "priority" => &mut priority,
            "weight" => &mut weight,
            _ => return None,
        };
        if slot.replace(expected_u16(value)?).is_some() {
            return None;
        }
    }
    let (priority, weight) = (priority.unwrap_or(0), weight.unwrap_or(1));
    let host = host?;
    Some(EndpointAddress { scheme, host, port, priority, weight }).filter(|found| found.port > 0)
}

/// The listen address for a text according to the help text; `None` where that promises a refusal.
pub fn expected_listen(text: &str) -> Option<ListenAddress> {
    if is_several(text) {
        return None;
    }
    Some(match expected_host_and_port(text)? {
        (None, port) => ListenAddress::Any { port },
        (Some(host), port) => ListenAddress::Host { host, port },
    })
}

/// Whether the text has a character that can only separate or enclose addresses.
fn is_several(text: &str) -> bool {
    text.contains(|c: char| {
        c.is_whitespace() || ";|\"'`\u{2018}\u{2019}\u{201c}\u{201d}".contains(c)
    })
}

/// Whether a host could have the address: the first octet of an IPv4 one is below that of the
/// multicast groups, the first of an IPv6 one is not a multicast one.
fn is_hosts(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(v4) => v4.octets()[0] < 0xe0,
        None => address.octets()[0] < 0xff,
    }
}

/// The host, `None` if it is empty, and the port.
fn expected_host_and_port(text: &str) -> Option<(Option<Host>, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = expected_u16(port)?;
    if host.is_empty() {
        return Some((None, port));
    }
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return is_hosts(address).then(|| (Some(Host::Address(address.into())), port));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        let is_hosts = is_hosts(address.to_ipv6_mapped());
        return is_hosts.then(|| (Some(Host::Address(address.into())), port));
    }
    is_name(host).then(|| (Some(Host::Name(host.to_owned())), port))
}

/// A number up to 65535 from digits, with or without leading zeros.
fn expected_u16(text: &str) -> Option<u16> {
    let digits = text.trim_start_matches('0');
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !is_number || digits.len() > 5 {
        return None;
    }
    u16::try_from(format!("0{digits}").parse::<u32>().ok()?).ok()
}

fn is_name(text: &str) -> bool {
    let mut labels: Vec<&str> = text.split('.').collect();
    if labels.last() == Some(&"") {
        labels.pop();
    }
    let characters = labels.iter().map(|label| label.len() + 1).sum::<usize>();
    let Some(last) = labels.last() else { return false };
    let is_hexadecimal = (last.starts_with("0x") || last.starts_with("0X"))
        && last[2..].chars().all(|c| c.is_ascii_hexdigit());
    let is_decimal = last.chars().all(|c| c.is_ascii_digit());
    let are_labels = labels.iter().all(|label| {
        let mut characters = label.chars();
        (1..=63).contains(&label.len())
            && characters.all(|c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_'))
    });
    characters <= 254 && are_labels && !is_decimal && !is_hexadecimal
}
