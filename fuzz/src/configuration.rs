//! Configurations: what the values of all flags mean together, by an oracle.
//!
//! The meaning of one address or duration comes from the oracles of the other files. It must not
//! call the product. Names, defaults and ranges of the flags that are here are pinned here; a flag
//! that is not is refused by the range of its row, and the field that it sets is not compared.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use etcd_gateway::config::address::{EndpointAddress, ListenAddress};
use etcd_gateway::config::discovery_srv::{CAN_VERIFY, DiscoverySrv, Trust};
use etcd_gateway::config::flags::{FLAGS, Flag, Kind};
use etcd_gateway::config::health::{CloseOnFailure, CloseOnRemoval, HealthCheckMode};
use etcd_gateway::config::limits::{CONNECTIONS_MAX, ENDPOINTS_MAX, LISTENERS_MAX};
use etcd_gateway::config::members::Preference;
use etcd_gateway::config::registry::{Registry, User};
use etcd_gateway::config::tls::{ClientFiles, Tls};
use etcd_gateway::config::unused::{NoEffect, UnusedFlag};
use etcd_gateway::config::{Config, Health, Members, TimeLimits};
use etcd_gateway::scheme::Scheme;
use log::LevelFilter;

use super::address::{expected_endpoint, expected_listen};
use super::admin::{expected_admin, unused_of_access_log};
use super::duration;

const SECOND: u64 = 1_000_000_000;
pub const YEAR: u64 = 365 * 24 * 3600 * SECOND;

/// What was typed for each flag, in its order.
pub type Values = BTreeMap<&'static str, Vec<String>>;

pub fn last<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.get(name)?.last().map(String::as_str)
}

/// The value without what a shell would have taken away: blanks around it, and marks that enclose
/// all of it and nothing less.
pub fn bare(text: &str) -> &str {
    let (mut from, mut to) = (0, text.len());
    loop {
        let rest = &text[from..to];
        let (first, last) = (rest.chars().next(), rest.chars().next_back());
        if first.is_some_and(char::is_whitespace) {
            from += first.map_or(0, char::len_utf8);
        } else if last.is_some_and(char::is_whitespace) {
            to -= last.map_or(0, char::len_utf8);
        } else if first == last
            && matches!(first, Some('"' | '\''))
            && rest.matches(|c| Some(c) == first).count() == 2
        {
            (from, to) = (from + 1, to - 1);
        } else {
            return rest;
        }
    }
}

/// Whether no value is out of the range in its flag's row, and none is for another command. Lists
/// and texts are left to [`expected_config`].
pub fn is_accepted(values: &Values) -> bool {
    is_in_ranges(values) && !["output", "watch"].iter().any(|name| values.contains_key(name))
}

/// Whether no value is out of the range in its flag's row.
pub fn is_in_ranges(values: &Values) -> bool {
    FLAGS.iter().all(|flag| last(values, flag.name).is_none_or(|text| is_in_range(flag, text)))
}

fn is_in_range(flag: &Flag, text: &str) -> bool {
    match &flag.kind {
        Kind::Duration(range) => {
            let [max, unit] = [range.max, range.unit].map(|time| time.as_nanos() as u64);
            let value = rounded(text, max, unit);
            value.is_some_and(|value| !(range.is_above_zero && value.is_zero()))
        }
        Kind::Count { max, .. } => count(text, *max).is_some(),
        Kind::HealthCheck { .. } => health_check(text).is_some(),
        Kind::DurationOrNever { max } => {
            text == "never" || rounded(text, max.as_nanos() as u64, 1).is_some()
        }
        Kind::Word { words, .. } => words.contains(&text),
        Kind::Boolean => boolean(text).is_some(),
        Kind::Level { .. } => level(text).is_some(),
        Kind::List { .. } | Kind::Text { .. } => true,
        Kind::Request { .. } => false,
    }
}

/// The configuration that the help promises, or nothing where it promises a refusal. A field that
/// is not known here is taken from `base`.
pub fn expected_config(values: &Values, base: &Config) -> Option<Config> {
    let mut config = base.clone();
    config.discovery = expected_discovery(values)?;
    config.registry = expected_registry(values)?;

    let listen = items(values, "listen-addr", expected_listen);
    config.listen.addresses = listen.unwrap_or_else(|| default("127.0.0.1:23790"))?;
    config.listen.reuse_port = last(values, "reuse-port").map_or(Some(false), boolean)?;
    config.listen.retry = nanoseconds(values, "listen-retry", 0, YEAR, 1)?;

    let endpoints = items(values, "endpoints", expected_endpoint);
    config.endpoints.addresses = match endpoints {
        None if config.discovery.is_some() || config.registry.is_some() => Vec::new(),
        None => default("127.0.0.1:2379")?,
        Some(endpoints) => endpoints?,
    };
    config.tls = expected_tls(values)?;
    set_health(&mut config.health, values)?;
    let has_checks = CAN_VERIFY && config.health.check != HealthCheckMode::Off;
    let is_unverified =
        matches!(&config.discovery, Some(found) if found.trust == Trust::Unverified);
    let is_https = is_unverified || has_https(&config.endpoints.addresses);
    config.members = expected_members(values)?;
    config.admin = expected_admin(values, &config.listen.addresses)?;
    let has_files = ["trusted-ca-file", "cert-file", "key-file"]
        .iter()
        .any(|name| last(values, name).is_some_and(|path| !path.is_empty()));
    let may_be_https =
        has_files || config.discovery.is_some() || has_https(&config.endpoints.addresses);
    let has_https_members = CAN_VERIFY && config.members.is_followed && may_be_https;
    let has_https_registry =
        config.registry.as_ref().is_some_and(|registry| has_https(&registry.members));
    config.tls.has_https_checks = has_checks && is_https || has_https_members || has_https_registry;
    config.unused = expected_unused(values, config.discovery.as_ref(), &config.tls);
    config.unused.extend(unused_of_members(values, &config));
    config.unused.extend(unused_of_registry(values, config.registry.is_some()));
    config.unused.extend(unused_of_access_log(values));
    config.endpoints.retry_delay = nanoseconds(values, "retry-delay", 60 * SECOND, YEAR, 1)?;

    set_time_limits(&mut config.time_limits, values)?;
    config.limits.connections_max = match last(values, "max-connections") {
        Some(text) => Some(count(text, CONNECTIONS_MAX)?),
        None => None,
    };
    config.log.level = match last(values, "log-level") {
        Some(text) => Some(level(text)?),
        None => None,
    };
    let is_good = config.listen.addresses.len() <= LISTENERS_MAX
        && config.endpoints.addresses.len() <= ENDPOINTS_MAX
        && !config.endpoints.retry_delay.is_zero()
        && !config.time_limits.connect_timeout.is_zero()
        && !(config.listen.reuse_port && config.listen.addresses.iter().any(has_port_zero))
        && are_apart(&config.listen.addresses, config.listen.reuse_port);
    is_good.then_some(config)
}

/// Nothing where one of the values is refused.
fn expected_members(values: &Values) -> Option<Members> {
    let interval = nanoseconds(values, "follow-interval", 30 * SECOND, YEAR, 1)?;
    let preference = match last(values, "prefer") {
        None => None,
        Some("leader") => Some(Preference::Leader),
        Some(_) => return None,
    };
    let is_followed = last(values, "follow-members").map_or(Some(false), boolean)?;
    let file = last(values, "state-file").filter(|path| !path.is_empty()).map(PathBuf::from);
    (!interval.is_zero()).then_some(Members { is_followed, interval, file, preference })
}

/// The flags about members that are taken and do nothing.
fn unused_of_members(values: &Values, config: &Config) -> Vec<UnusedFlag> {
    let mut unused = Vec::new();
    for flag in ["follow-interval", "state-file"] {
        match last(values, flag) {
            Some("") => unused.push(UnusedFlag { flag, reason: NoEffect::Empty }),
            Some(_) if !config.members.is_followed => {
                unused.push(UnusedFlag { flag, reason: NoEffect::NoFollowMembers });
            }
            Some(_) | None => {}
        }
    }
    let has_roles = matches!(config.health.check, HealthCheckMode::Auto | HealthCheckMode::Etcd);
    if config.members.preference.is_some() && !has_roles {
        unused.push(UnusedFlag { flag: "prefer", reason: NoEffect::NoEtcdCheck });
    }
    unused
}

/// Nothing where one of the values is refused.
fn set_health(health: &mut Health, values: &Values) -> Option<()> {
    health.check = health_check(last(values, "health-check").unwrap_or("auto"))?;
    let interval = nanoseconds(values, "health-interval", 5 * SECOND, YEAR, 1_000_000)?;
    let timeout = nanoseconds(values, "health-timeout", SECOND, YEAR, 1)?;
    (health.interval, health.timeout) = (interval, timeout);
    health.rise = last(values, "health-rise").map_or(Some(2), |text| count(text, 100))? as u32;
    health.fall = last(values, "health-fall").map_or(Some(2), |text| count(text, 100))? as u32;
    health.port = match last(values, "health-port") {
        Some(text) => Some(count(text, 65_535)? as u16),
        None => None,
    };
    health.close_on_failure = match last(values, "close-on-failure") {
        Some("never") => CloseOnFailure::Never,
        Some(_) => CloseOnFailure::After(nanoseconds(values, "close-on-failure", 0, YEAR, 1)?),
        None => CloseOnFailure::ByCheck,
    };
    health.close_on_removal = match last(values, "close-on-removal") {
        Some("never") | None => CloseOnRemoval::Never,
        Some(_) => CloseOnRemoval::After(nanoseconds(values, "close-on-removal", 0, YEAR, 1)?),
    };
    let rate = last(values, "close-rate").map_or(Some(50), |text| count(text, 1_000_000))?;
    health.close_rate = rate as u32;
    (!interval.is_zero() && !timeout.is_zero()).then_some(())
}

fn health_check(text: &str) -> Option<HealthCheckMode> {
    match text {
        "auto" => Some(HealthCheckMode::Auto),
        "off" => Some(HealthCheckMode::Off),
        "etcd" => Some(HealthCheckMode::Etcd),
        path => {
            let is_good = path.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'#');
            let is_path = path.starts_with('/') && is_good && path.len() <= 1024;
            is_path.then(|| HealthCheckMode::Path(path.to_owned()))
        }
    }
}

/// Nothing where one of the values is refused.
fn set_time_limits(limits: &mut TimeLimits, values: &Values) -> Option<()> {
    let milliseconds = i32::MAX as u64;
    limits.connect_timeout = nanoseconds(values, "connect-timeout", SECOND, YEAR, 1)?;
    limits.tcp_user_timeout = unless_zero(nanoseconds(
        values,
        "tcp-user-timeout",
        30 * SECOND,
        milliseconds * 1_000_000,
        1_000_000,
    )?);
    limits.keepalive =
        unless_zero(nanoseconds(values, "keepalive", 15 * SECOND, 32767 * SECOND, SECOND)?);
    limits.half_close_timeout =
        unless_zero(nanoseconds(values, "half-close-timeout", 300 * SECOND, YEAR, 1)?);
    limits.idle_timeout = unless_zero(nanoseconds(values, "idle-timeout", 0, YEAR, 1)?);
    limits.drain_timeout = nanoseconds(values, "drain-timeout", 10 * SECOND, YEAR, 1)?;
    Some(())
}

/// What the flags of discovery mean together; the inner nothing where there is no domain.
fn expected_discovery(values: &Values) -> Option<Option<DiscoverySrv>> {
    let is_insecure = last(values, "insecure-discovery").map_or(Some(false), boolean)?;
    let domain = last(values, "discovery-srv").unwrap_or_default().to_owned();
    if domain.is_empty() {
        return Some(None);
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(is_letter);
    let labels = domain.strip_suffix('.').unwrap_or(&domain);
    let name = last(values, "discovery-srv-name").filter(|name| !name.is_empty());
    let name = name.map(str::to_owned);
    let service = match &name {
        Some(name) => format!("_etcd-client-ssl-{name}._tcp."),
        None => "_etcd-client-ssl._tcp.".to_owned(),
    };
    if service.len() + labels.len() > 253 || !labels.split('.').all(is_label) {
        return None;
    }
    if !name.iter().all(|name| is_label(name) && name.len() + "_etcd-client-ssl-".len() <= 63) {
        return None;
    }
    let trust = match is_insecure {
        true => Trust::Unverified,
        false if !CAN_VERIFY => return None,
        false => Trust::Certified,
    };
    Some(Some(DiscoverySrv { domain, name, trust }))
}

/// What the flags of a registry mean together; the inner nothing where there is no prefix.
fn expected_registry(values: &Values) -> Option<Option<Registry>> {
    let typed = values.get("etcd-endpoints");
    if typed.is_some_and(|texts| texts.iter().any(|text| text.contains('?'))) {
        return None;
    }
    let members = items(values, "etcd-endpoints", expected_endpoint);
    let members: Vec<EndpointAddress> = members.unwrap_or_else(|| Some(Vec::new()))?;
    let [prefix, name, file] = ["registry-prefix", "user", "password-file"]
        .map(|flag| last(values, flag).filter(|text| !text.is_empty()).map(str::to_owned));
    let user = match (name, file) {
        (Some(name), Some(file)) => Some(User { name, password_file: PathBuf::from(file) }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return None,
    };
    let is_good = members.len() <= 16 && (CAN_VERIFY || !has_https(&members));
    match prefix {
        _ if !is_good => None,
        None => Some(None),
        Some(prefix) => {
            let is_good = prefix.len() <= 512 && !members.is_empty();
            is_good.then_some(Some(Registry { prefix, members, user }))
        }
    }
}

fn unused_of_registry(values: &Values, has_registry: bool) -> Vec<UnusedFlag> {
    let flags = ["registry-prefix", "etcd-endpoints", "user", "password-file"].into_iter();
    let unused = flags.filter_map(|flag| match last(values, flag)? {
        "" => Some(UnusedFlag { flag, reason: NoEffect::Empty }),
        _ if has_registry => None,
        _ => Some(UnusedFlag { flag, reason: NoEffect::NoRegistryPrefix }),
    });
    unused.collect()
}

/// What the files of TLS mean together; nothing where one of two is missing.
fn expected_tls(values: &Values) -> Option<Tls> {
    let [authority, certificate, key] = ["trusted-ca-file", "cert-file", "key-file"].map(|name| {
        let path = last(values, name).filter(|path| !path.is_empty());
        path.map(PathBuf::from)
    });
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return None,
    };
    Some(Tls { authority, client, has_https_checks: false })
}

fn has_https(endpoints: &[EndpointAddress]) -> bool {
    endpoints.iter().any(|endpoint| endpoint.scheme == Some(Scheme::Https))
}

fn has_port_zero(listen: &ListenAddress) -> bool {
    matches!(listen, ListenAddress::Any { port: 0 } | ListenAddress::Host { port: 0, .. })
}

/// The flags that are taken and do nothing.
fn expected_unused(
    values: &Values,
    discovery: Option<&DiscoverySrv>,
    tls: &Tls,
) -> Vec<UnusedFlag> {
    let mut unused = Vec::new();
    let mut add = |flag, reason| unused.push(UnusedFlag { flag, reason });
    let [domain, name] = ["discovery-srv", "discovery-srv-name"].map(|flag| last(values, flag));
    if domain == Some("") {
        add("discovery-srv", NoEffect::Empty);
    }
    let is_insecure = last(values, "insecure-discovery").and_then(boolean) == Some(true);
    if is_insecure && discovery.is_none() {
        add("insecure-discovery", NoEffect::NoDiscoverySrv);
    }
    if name == Some("") {
        add("discovery-srv-name", NoEffect::Empty);
    } else if name.is_some() && discovery.is_none() {
        add("discovery-srv-name", NoEffect::NoDiscoverySrv);
    }
    for flag in ["trusted-ca-file", "cert-file", "key-file"] {
        match (last(values, flag), discovery.map(|discovery| &discovery.trust)) {
            (Some(""), _) => add(flag, NoEffect::Empty),
            (None, _) | (Some(_), Some(Trust::Certified)) => {}
            (Some(_), _) if tls.has_https_checks => {}
            (Some(_), None) => add(flag, NoEffect::NoTlsConnection),
            (Some(_), Some(Trust::Unverified)) => add(flag, NoEffect::InsecureDiscovery),
        }
    }
    unused
}

/// Whether the addresses of a list are apart, as far as text can tell. Without a host, and as
/// `[::]`, it is every address of both families.
pub fn are_apart(listen: &[ListenAddress], is_shared: bool) -> bool {
    let shown = |address: &ListenAddress| {
        let text = address.to_string().to_ascii_lowercase();
        let (host, port) = text.rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        let host = if host.is_empty() { "[::]" } else { host.trim_end_matches('.') }.to_owned();
        // One of IPv4 may be written as IPv6.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip = bare.and_then(|text| text.parse::<Ipv6Addr>().ok());
        let host = match ip.and_then(|ip| ip.to_ipv4_mapped()) {
            Some(ip) => ip.to_string(),
            None => host,
        };
        (port != "0").then_some((host, port))
    };
    let shown: Vec<(String, String)> = listen.iter().filter_map(shown).collect();
    let covers = |wide: &str, narrow: &str| {
        wide == "[::]" || (wide == "0.0.0.0" && narrow.parse::<Ipv4Addr>().is_ok())
    };
    let meets = |(a, b): (&(String, String), &(String, String))| {
        a.1 == b.1 && (a.0 == b.0 || !is_shared && (covers(&a.0, &b.0) || covers(&b.0, &a.0)))
    };
    let pairs = (0..shown.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    !pairs.map(|(i, j)| (&shown[i], &shown[j])).any(meets)
}

/// The items of a list, or nothing if one of them is refused; nothing at all if the flag is absent.
pub fn items<T>(
    values: &Values,
    name: &str,
    expected: fn(&str) -> Option<T>,
) -> Option<Option<Vec<T>>> {
    let texts = values.get(name)?;
    Some(texts.iter().flat_map(|text| text.split(',')).map(bare).map(expected).collect())
}

fn default<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.parse().ok().map(|item| vec![item])
}

/// The duration of a flag, up to a limit and rounded up to a step.
fn nanoseconds(
    values: &Values,
    name: &str,
    default: u64,
    most: u64,
    step: u64,
) -> Option<Duration> {
    match last(values, name) {
        None => Some(Duration::from_nanos(default)),
        Some(text) => rounded(text, most, step),
    }
}

fn rounded(text: &str, most: u64, step: u64) -> Option<Duration> {
    let value = u64::try_from(duration::expected(text)?).ok().filter(|value| *value <= most)?;
    Some(Duration::from_nanos(value.div_ceil(step) * step))
}

fn unless_zero(value: Duration) -> Option<Duration> {
    (value > Duration::ZERO).then_some(value)
}

fn count(text: &str, max: usize) -> Option<usize> {
    let digits = text.trim_start_matches('0');
    let is_count = digits.len() <= 19 && digits.chars().all(|c| c.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_count)?;
    (1..=max).contains(&number).then_some(number)
}

/// A digit, a letter or a word: small, in capitals, or with the first one a capital.
fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str| {
        let capitals = word.to_ascii_uppercase();
        text == word || text == capitals || text == [&capitals[..1], &word[1..]].concat()
    };
    match (["1", "t", "true"].into_iter().any(is), ["0", "f", "false"].into_iter().any(is)) {
        (false, false) => None,
        (value, _) => Some(value),
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    let names = ["off", "error", "warn", "info", "debug", "trace"];
    let lower = text.to_ascii_lowercase();
    let at = names.iter().position(|name| *name == lower)?;
    LevelFilter::iter().nth(at)
}
