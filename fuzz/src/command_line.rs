//! Command lines: what was typed, what it means, and that whoever is refused is told why.
//!
//! The oracle is a table of flags and one walk over the arguments; the values' meaning comes from
//! the oracles of the other files. It must not call the product, whose limits it shares where a
//! limit is a matter of taste: the unit tests of `config` pin those.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use etcd_gateway::config::address::ListenAddress;
use etcd_gateway::config::discovery_srv::{CAN_VERIFY, DiscoverySrv, NoEffect, Trust, UnusedFlag};
use etcd_gateway::config::flags::{Invocation, Typed, parse};
use etcd_gateway::config::limits::{CONNECTIONS_MAX, ENDPOINTS_MAX, LISTENERS_MAX};
use etcd_gateway::config::{Config, Endpoints, Listen, Log, SizeLimits, TimeLimits};
use log::LevelFilter;

use super::address::{expected_endpoint, expected_listen};
use super::{assert_one_line, duration};

const SECOND: u64 = 1_000_000_000;
const YEAR: u64 = 365 * 24 * 3600 * SECOND;

/// The arguments in these bytes, the program's name first: as in `/proc/self/cmdline`, a zero byte
/// stands between two of them.
pub fn arguments(data: &[u8]) -> Vec<OsString> {
    data.split(|byte| *byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

/// Reads the bytes as [`arguments`].
pub fn check(data: &[u8]) {
    check_arguments(&arguments(data));
}

/// Reads the bytes as `NAME=VALUE` of one flag, or as its name alone, and writes that in one of the
/// ways there are.
pub fn check_flag(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == b'=');
    let name = OsString::from_vec([b"--", &data[..split.unwrap_or(data.len())]].concat());
    let value = split.map(|at| OsStr::from_bytes(&data[at + 1..]).to_owned());
    let whole = OsString::from_vec([b"--", data].concat());
    let [program, start, gateway] = ["etcd-gateway", "start", "gateway"].map(OsString::from);

    let wanted = check_arguments(&[program.clone(), whole.clone()]);
    let is_valued = valued().any(|known| name.as_bytes()[2..] == *known.as_bytes());
    // Which way hangs on the input, so that each costs the fuzzer two command lines, not five.
    let found = match (data.len() % 4, value) {
        (0, _) => check_arguments(&[program, start, whole]),
        (1, _) => check_arguments(&[program, gateway, whole, start]),
        (2, Some(value)) if is_valued => check_arguments(&[program, name, value]),
        _ => {
            // Lists grow, so two of a flag are not the same as one.
            check_arguments(&[program, whole.clone(), whole]);
            wanted.clone()
        }
    };
    assert_eq!(found, wanted, "{data:?}");
}

/// Checks one command line and returns its configuration, if it has one.
fn check_arguments(arguments: &[OsString]) -> Option<Config> {
    let parsed = parse(arguments.iter().cloned());
    let wanted = expected(arguments);
    match parsed {
        Ok(Invocation::Run(typed)) => {
            let Wanted::Run(values) = wanted else { panic!("{arguments:?}: {wanted:?}") };
            let mut given = Values::new();
            for (name, value) in typed.iter() {
                given.entry(name).or_default().push(value.to_owned());
            }
            assert_eq!(given, values, "{arguments:?}");
            check_config(&typed, &values)
        }
        Ok(Invocation::Help(text) | Invocation::Version(text)) => {
            let is_help = text.contains("Usage: etcd-gateway");
            assert_eq!(wanted, if is_help { Wanted::Help } else { Wanted::Version });
            assert!(text.ends_with('\n'));
            None
        }
        Err(error) => {
            let message = error.to_string();
            assert_eq!(wanted, Wanted::Refusal, "{arguments:?}: {message}");
            assert_one_line(&message);
            assert!(names_argument(&message, arguments), "{arguments:?}: {message}");
            None
        }
    }
}

/// Whether a refusal says which argument it is about, in one of the ways there are.
fn names_argument(message: &str, arguments: &[OsString]) -> bool {
    // With the password that is in an argument left out.
    if message.contains(":***@") {
        return arguments.iter().any(|argument| argument.as_bytes().contains(&b'@'));
    }
    let mut ways = vec![
        "missing word `start` after `gateway`".to_owned(),
        "called as etcd, only `etcd gateway start` is served".to_owned(),
    ];
    for raw in arguments.iter().skip(1) {
        let Some(text) = raw.to_str() else {
            ways.push(format!("argument {raw:?} is not UTF-8"));
            continue;
        };
        ways.push(format!("stray word {text:?}; "));
        ways.push(format!("missing value for {text}"));
        for flag in flags_of(text) {
            ways.push(format!("unknown flag {flag}; "));
            ways.push(format!("{flag} takes no value"));
        }
    }
    // What is unknown is followed by advice, which is the matter of a unit test.
    ways.iter().any(|way| way == message || (way.ends_with("; ") && message.starts_with(way)))
}

/// How a message shows the flags of one argument: a long one, or each letter of several short ones.
fn flags_of(argument: &str) -> Vec<String> {
    let Some(short) = argument.strip_prefix('-') else { return Vec::new() };
    match short.strip_prefix('-') {
        None => short.chars().map(|c| format!("-{}", c.escape_debug())).collect(),
        Some(long) => {
            let name = long.split('=').next().unwrap_or(long);
            // Not as typed: of a long flag of one letter the message shows a short one.
            let dashes = if name.chars().count() == 1 { "-" } else { "--" };
            vec![format!("{dashes}{}", name.escape_debug())]
        }
    }
}

fn check_config(typed: &Typed, values: &Values) -> Option<Config> {
    match Config::from_typed(typed) {
        Ok(config) => {
            assert_eq!(Some(&config), expected_config(values).as_ref(), "{values:?}");
            check_ranges(&config);
            Some(config)
        }
        Err(error) => {
            let message = error.to_string();
            assert_eq!(None, expected_config(values), "{values:?}: {message}");
            assert_one_line(&message);
            let is_named = typed.iter().any(|(name, value)| names_value(&message, name, value));
            assert!(is_named, "{values:?}: {message}");
            None
        }
    }
}

/// Whether a refusal names this value, or an item of it, and its flag. A password is not shown, nor
/// where it ends.
fn names_value(message: &str, name: &str, value: &str) -> bool {
    let is_masked = message.contains("***@") && message.contains(": user name before");
    if is_masked && value.contains('@') {
        return message.contains(&format!(" for --{name}: "));
    }
    let mut items = value.split(',').map(bare).chain([value]);
    items.any(|item| message.starts_with(&format!("invalid value {item:?} for --{name}: ")))
}

/// Every field is in the range that its documentation states.
fn check_ranges(config: &Config) {
    let year = Duration::from_nanos(YEAR);
    assert!((1..=LISTENERS_MAX).contains(&config.listen.addresses.len()));
    assert!(config.endpoints.addresses.len() <= ENDPOINTS_MAX);
    assert!(!config.endpoints.addresses.is_empty() || config.discovery.is_some());
    assert!(!config.endpoints.retry_delay.is_zero() && config.endpoints.retry_delay <= year);
    assert!(
        !config.time_limits.connect_timeout.is_zero() && config.time_limits.connect_timeout <= year
    );
    assert!(config.time_limits.drain_timeout <= year && config.listen.retry <= year);
    for limit in [config.time_limits.half_close_timeout, config.time_limits.idle_timeout]
        .into_iter()
        .flatten()
    {
        assert!(!limit.is_zero() && limit <= year);
    }
    if let Some(timeout) = config.time_limits.tcp_user_timeout {
        assert!((1..=i32::MAX as u128).contains(&timeout.as_millis()));
        assert_eq!(timeout.subsec_nanos() % 1_000_000, 0);
    }
    if let Some(interval) = config.time_limits.keepalive {
        assert!((1..=32767).contains(&interval.as_secs()));
        assert_eq!(interval.subsec_nanos(), 0);
    }
    // Few, many, and about as many as those connections take that were asked for.
    let asked = 2 * config.limits.connections_max.unwrap_or(500) as u64;
    for descriptors in [0, 64, u64::MAX].into_iter().chain(asked..asked + 40) {
        let limit = config.connections_limit(descriptors, config.listen.addresses.len());
        assert!((1..=CONNECTIONS_MAX).contains(&limit.max));
        let is_lowered = config.limits.connections_max.is_some_and(|asked| asked > limit.max);
        assert_eq!(limit.lowered_from, config.limits.connections_max.filter(|_| is_lowered));
        // Both sockets of every pair have a descriptor, beside those of the listeners.
        let taken = 2 * limit.max as u64 + config.listen.addresses.len() as u64;
        assert!(limit.max == 1 || taken <= descriptors);
    }
}

/// What a command line asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Help,
    Version,
    Run(Values),
    Refusal,
}

/// What was typed for each flag, in its order.
type Values = BTreeMap<&'static str, Vec<String>>;

// Names of its own beside the table of flags: with that it would share a mistake.
const LISTS: [&str; 2] = ["listen-addr", "endpoints"];
const BOOLEANS: [&str; 2] = ["reuse-port", "insecure-discovery"];
const SINGLE: [&str; 13] = [
    "listen-retry",
    "retry-delay",
    "discovery-srv",
    "discovery-srv-name",
    "trusted-ca-file",
    "connect-timeout",
    "tcp-user-timeout",
    "keepalive",
    "half-close-timeout",
    "idle-timeout",
    "max-connections",
    "drain-timeout",
    "log-level",
];

/// The flags that take the next argument as their value where there is no equals sign.
fn valued() -> impl Iterator<Item = &'static str> {
    LISTS.into_iter().chain(SINGLE)
}

/// The word once, at any place of the command that it is about.
const HELP_WORDS: [&[&str]; 8] = [
    &["help"],
    &["help", "start"],
    &["start", "help"],
    &["help", "gateway"],
    &["gateway", "help"],
    &["help", "gateway", "start"],
    &["gateway", "help", "start"],
    &["gateway", "start", "help"],
];

fn expected(arguments: &[OsString]) -> Wanted {
    let Some((program, rest)) = arguments.split_first() else { return Wanted::Refusal };
    let rest: Option<Vec<&str>> = rest.iter().map(|argument| argument.to_str()).collect();
    let Some(rest) = rest else { return Wanted::Refusal };
    let mut rest = rest.into_iter();
    let (mut values, mut words) = (Values::new(), Vec::new());
    let (mut is_help, mut is_version) = (false, false);
    while let Some(argument) = rest.next() {
        if argument == "--" {
            words.extend(rest.by_ref());
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            match (name, value) {
                // Not so with pflag: a long flag of one letter is the short one.
                ("help" | "h", None) => is_help = true,
                ("version", None) => is_version = true,
                _ => {
                    let is_boolean = BOOLEANS.contains(&name);
                    let Some(name) = valued().chain(BOOLEANS).find(|known| *known == name) else {
                        return Wanted::Refusal;
                    };
                    let next = || if is_boolean { Some("true") } else { rest.next() };
                    let Some(value) = value.or_else(next) else { return Wanted::Refusal };
                    store(&mut values, name, bare(value));
                }
            }
        } else if argument.starts_with('-') && argument != "-" {
            if argument[1..].contains(|c| c != 'h') {
                return Wanted::Refusal;
            }
            is_help = true;
        } else {
            words.push(argument);
        }
    }
    match words.as_slice() {
        _ if is_help => Wanted::Help,
        words if HELP_WORDS.contains(&words) => Wanted::Help,
        _ if is_version => Wanted::Version,
        ["version"] => Wanted::Version,
        ["gateway", "start"] => Wanted::Run(values),
        [] | ["start"] if !is_etcd(program) => Wanted::Run(values),
        _ => Wanted::Refusal,
    }
}

/// The value without what a shell would have taken away: blanks around it, and marks that enclose
/// all of it and nothing less.
fn bare(text: &str) -> &str {
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

fn is_etcd(program: &OsStr) -> bool {
    let mut parts = program.as_bytes().split(|byte| *byte == b'/');
    parts.rfind(|part| !part.is_empty() && *part != b".") == Some(b"etcd")
}

/// Lists grow; of everything else the last counts.
fn store(values: &mut Values, name: &'static str, value: &str) {
    let of_flag = values.entry(name).or_default();
    if !LISTS.contains(&name) {
        of_flag.clear();
    }
    of_flag.push(value.to_owned());
}

fn last<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.get(name)?.last().map(String::as_str)
}

/// The configuration that the help promises, or nothing where it promises a refusal.
fn expected_config(values: &Values) -> Option<Config> {
    let discovery = expected_discovery(values)?;
    let listen = items(values, "listen-addr", expected_listen);
    let endpoints = items(values, "endpoints", expected_endpoint);
    let config = Config {
        listen: Listen {
            addresses: listen.unwrap_or_else(|| default("127.0.0.1:23790"))?,
            reuse_port: last(values, "reuse-port").map_or(Some(false), boolean)?,
            retry: nanoseconds(values, "listen-retry", 0, YEAR, 1)?,
        },
        endpoints: Endpoints {
            addresses: match (endpoints, &discovery) {
                (None, Some(_)) => Vec::new(),
                (None, None) => default("127.0.0.1:2379")?,
                (Some(endpoints), _) => endpoints?,
            },
            retry_delay: nanoseconds(values, "retry-delay", 60 * SECOND, YEAR, 1)?,
        },
        unused: expected_unused(values, discovery.as_ref()),
        discovery,
        time_limits: expected_time_limits(values)?,
        limits: SizeLimits {
            connections_max: match last(values, "max-connections") {
                Some(text) => Some(count(text)?),
                None => None,
            },
        },
        log: Log {
            level: match last(values, "log-level") {
                Some(text) => Some(level(text)?),
                None => None,
            },
        },
    };
    let is_good = config.listen.addresses.len() <= LISTENERS_MAX
        && config.endpoints.addresses.len() <= ENDPOINTS_MAX
        && !config.endpoints.retry_delay.is_zero()
        && !config.time_limits.connect_timeout.is_zero()
        && !(config.listen.reuse_port && config.listen.addresses.iter().any(has_port_zero))
        && are_apart(&config.listen.addresses, config.listen.reuse_port);
    is_good.then_some(config)
}

fn expected_time_limits(values: &Values) -> Option<TimeLimits> {
    let milliseconds = i32::MAX as u64;
    Some(TimeLimits {
        connect_timeout: nanoseconds(values, "connect-timeout", SECOND, YEAR, 1)?,
        tcp_user_timeout: unless_zero(nanoseconds(
            values,
            "tcp-user-timeout",
            30 * SECOND,
            milliseconds * 1_000_000,
            1_000_000,
        )?),
        keepalive: unless_zero(nanoseconds(
            values,
            "keepalive",
            15 * SECOND,
            32767 * SECOND,
            SECOND,
        )?),
        half_close_timeout: unless_zero(nanoseconds(
            values,
            "half-close-timeout",
            300 * SECOND,
            YEAR,
            1,
        )?),
        idle_timeout: unless_zero(nanoseconds(values, "idle-timeout", 0, YEAR, 1)?),
        drain_timeout: nanoseconds(values, "drain-timeout", 10 * SECOND, YEAR, 1)?,
    })
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
    let file = last(values, "trusted-ca-file").filter(|path| !path.is_empty());
    let trust = match is_insecure {
        true => Trust::Unverified,
        false if !CAN_VERIFY => return None,
        false => Trust::Certified { authority: file.map(PathBuf::from) },
    };
    Some(Some(DiscoverySrv { domain, name, trust }))
}

fn has_port_zero(listen: &ListenAddress) -> bool {
    matches!(listen, ListenAddress::Any { port: 0 } | ListenAddress::Host { port: 0, .. })
}

/// The flags that are taken and do nothing.
fn expected_unused(values: &Values, discovery: Option<&DiscoverySrv>) -> Vec<UnusedFlag> {
    let mut unused = Vec::new();
    let mut add = |flag, reason| unused.push(UnusedFlag { flag, reason });
    let [domain, name, file] =
        ["discovery-srv", "discovery-srv-name", "trusted-ca-file"].map(|flag| last(values, flag));
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
    if file == Some("") {
        add("trusted-ca-file", NoEffect::Empty);
    } else if file.is_some() {
        match discovery.map(|discovery| &discovery.trust) {
            None => add("trusted-ca-file", NoEffect::NoDiscoverySrv),
            Some(Trust::Unverified) => add("trusted-ca-file", NoEffect::InsecureDiscovery),
            Some(Trust::Certified { .. }) => {}
        }
    }
    unused
}

/// Whether the addresses of a list are apart, as far as text can tell. Without a host, and as
/// `[::]`, it is every address of both families.
fn are_apart(listen: &[ListenAddress], is_shared: bool) -> bool {
    let shown = |address: &ListenAddress| {
        let text = address.to_string().to_ascii_lowercase();
        let (host, port) = text.rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        let host = if host.is_empty() { "[::]" } else { host.trim_end_matches('.') }.to_owned();
        // One of IPv4 may be written as IPv6.
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let ip = bare.and_then(|it| it.parse::<Ipv6Addr>().ok()).and_then(|it| it.to_ipv4_mapped());
        let host = ip.map_or(host, |it| it.to_string());
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
fn items<T>(
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

/// A duration up to a limit, rounded up to a step.
fn nanoseconds(
    values: &Values,
    name: &str,
    default: u64,
    most: u64,
    step: u64,
) -> Option<Duration> {
    let Some(text) = last(values, name) else { return Some(Duration::from_nanos(default)) };
    let value = u64::try_from(duration::expected(text)?).ok().filter(|value| *value <= most)?;
    Some(Duration::from_nanos(value.div_ceil(step) * step))
}

fn unless_zero(value: Duration) -> Option<Duration> {
    (value > Duration::ZERO).then_some(value)
}

fn count(text: &str) -> Option<usize> {
    let digits = text.trim_start_matches('0');
    let is_count = digits.len() <= 7 && digits.chars().all(|c| c.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_count)?;
    (1..=CONNECTIONS_MAX).contains(&number).then_some(number)
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
