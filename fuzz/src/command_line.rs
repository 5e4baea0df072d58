//! Command lines: what was typed, what it means, and that whoever is refused is told why.
//!
//! The oracle is a table of flags and one walk over the arguments; the values' meaning comes from
//! the oracles of the other files. It must not call the product, whose limits it shares where a
//! limit is a matter of taste: the unit tests of `config` pin those.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use etcd_gateway::args::{Invocation, Typed, flag, parse};
use etcd_gateway::config::address::ListenAddress;
use etcd_gateway::config::discovery_srv::{CAN_VERIFY, DiscoverySrv, NoEffect, Trust, UnusedFlag};
use etcd_gateway::config::{CONNECTIONS_MAX, Config, ENDPOINTS_MAX, LISTENERS_MAX};
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
    let is_valued = VALUED.iter().any(|known| name.as_bytes()[2..] == *known.as_bytes());
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
            assert_eq!(wanted, Wanted::Run(Box::new(typed.clone())), "{arguments:?}");
            check_config(&typed)
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

fn check_config(typed: &Typed) -> Option<Config> {
    match Config::from_typed(typed) {
        Ok(config) => {
            assert_eq!(Some(&config), expected_config(typed).as_ref(), "{typed:?}");
            check_ranges(&config);
            Some(config)
        }
        Err(error) => {
            let message = error.to_string();
            assert_eq!(None, expected_config(typed), "{typed:?}: {message}");
            assert_one_line(&message);
            // A password is not shown, nor where it ends.
            let is_masked = message.contains("***@") && message.contains(": user name before");
            let names = |(name, value): (&str, &str)| {
                if is_masked && value.contains('@') {
                    return message.contains(&format!(" for --{name}: "));
                }
                let items = value.split(',').map(bare).chain([value]);
                let begin = |item: &str| format!("invalid value {item:?} for --{name}: ");
                items.into_iter().any(|item| message.starts_with(&begin(item)))
            };
            assert!(fields(typed).into_iter().any(names), "{typed:?}: {message}");
            None
        }
    }
}

/// Every field is in the range that its documentation states.
fn check_ranges(config: &Config) {
    let year = Duration::from_nanos(YEAR);
    assert!((1..=LISTENERS_MAX).contains(&config.listen.len()));
    assert!(config.endpoints.len() <= ENDPOINTS_MAX);
    assert!(!config.endpoints.is_empty() || config.discovery.is_some());
    assert!(!config.retry_delay.is_zero() && config.retry_delay <= year);
    assert!(!config.connect_timeout.is_zero() && config.connect_timeout <= year);
    assert!(config.drain_timeout <= year && config.listen_retry <= year);
    for limit in [config.half_close_timeout, config.idle_timeout].into_iter().flatten() {
        assert!(!limit.is_zero() && limit <= year);
    }
    if let Some(timeout) = config.tcp_user_timeout {
        assert!((1..=i32::MAX as u128).contains(&timeout.as_millis()));
        assert_eq!(timeout.subsec_nanos() % 1_000_000, 0);
    }
    if let Some(interval) = config.keepalive {
        assert!((1..=32767).contains(&interval.as_secs()));
        assert_eq!(interval.subsec_nanos(), 0);
    }
    // Few, many, and about as many as those connections take that were asked for.
    let asked = 2 * config.connections_max.unwrap_or(500) as u64;
    for descriptors in [0, 64, u64::MAX].into_iter().chain(asked..asked + 40) {
        let limit = config.connections_limit(descriptors, config.listen.len());
        assert!((1..=CONNECTIONS_MAX).contains(&limit.max));
        let is_lowered = config.connections_max.is_some_and(|asked| asked > limit.max);
        assert_eq!(limit.lowered_from, config.connections_max.filter(|_| is_lowered));
        // Both sockets of every pair have a descriptor, beside those of the listeners.
        let taken = 2 * limit.max as u64 + config.listen.len() as u64;
        assert!(limit.max == 1 || taken <= descriptors);
    }
}

/// What a command line asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Help,
    Version,
    Run(Box<Typed>),
    Refusal,
}

/// A list of its own beside that of `args.rs`: it would share a mistake with the one it checks.
const VALUED: [&str; 15] = [
    flag::LISTEN_ADDR,
    flag::LISTEN_RETRY,
    flag::ENDPOINTS,
    flag::RETRY_DELAY,
    flag::DISCOVERY_SRV,
    flag::DISCOVERY_SRV_NAME,
    flag::TRUSTED_CA_FILE,
    flag::CONNECT_TIMEOUT,
    flag::TCP_USER_TIMEOUT,
    flag::KEEPALIVE,
    flag::HALF_CLOSE_TIMEOUT,
    flag::IDLE_TIMEOUT,
    flag::MAX_CONNECTIONS,
    flag::DRAIN_TIMEOUT,
    flag::LOG_LEVEL,
];

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
    let (mut typed, mut words) = (Typed::default(), Vec::new());
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
                (flag::REUSE_PORT, value) => {
                    typed.reuse_port = Some(bare(value.unwrap_or("true")).to_owned());
                }
                (flag::INSECURE_DISCOVERY, value) => {
                    typed.insecure_discovery = Some(bare(value.unwrap_or("true")).to_owned());
                }
                _ if !VALUED.contains(&name) => return Wanted::Refusal,
                _ => match value.or_else(|| rest.next()) {
                    Some(value) => store(&mut typed, name, bare(value)),
                    None => return Wanted::Refusal,
                },
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
        ["gateway", "start"] => Wanted::Run(Box::new(typed)),
        [] | ["start"] if !is_etcd(program) => Wanted::Run(Box::new(typed)),
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
fn store(typed: &mut Typed, name: &str, value: &str) {
    let field = match name {
        flag::LISTEN_ADDR => return typed.listen_addr.push(value.to_owned()),
        flag::ENDPOINTS => return typed.endpoints.push(value.to_owned()),
        flag::LISTEN_RETRY => &mut typed.listen_retry,
        flag::RETRY_DELAY => &mut typed.retry_delay,
        flag::DISCOVERY_SRV => &mut typed.discovery_srv,
        flag::DISCOVERY_SRV_NAME => &mut typed.discovery_srv_name,
        flag::TRUSTED_CA_FILE => &mut typed.trusted_ca_file,
        flag::CONNECT_TIMEOUT => &mut typed.connect_timeout,
        flag::TCP_USER_TIMEOUT => &mut typed.tcp_user_timeout,
        flag::KEEPALIVE => &mut typed.keepalive,
        flag::HALF_CLOSE_TIMEOUT => &mut typed.half_close_timeout,
        flag::IDLE_TIMEOUT => &mut typed.idle_timeout,
        flag::MAX_CONNECTIONS => &mut typed.max_connections,
        flag::DRAIN_TIMEOUT => &mut typed.drain_timeout,
        flag::LOG_LEVEL => &mut typed.log_level,
        _ => unreachable!("{name} is in the table of flags, but has no field"),
    };
    *field = Some(value.to_owned());
}

/// Every flag that was typed, with each of its values.
fn fields(typed: &Typed) -> Vec<(&'static str, &str)> {
    let mut fields = Vec::new();
    fields.extend(typed.listen_addr.iter().map(|value| (flag::LISTEN_ADDR, value.as_str())));
    fields.extend(typed.endpoints.iter().map(|value| (flag::ENDPOINTS, value.as_str())));
    for (name, value) in [
        (flag::REUSE_PORT, &typed.reuse_port),
        (flag::LISTEN_RETRY, &typed.listen_retry),
        (flag::RETRY_DELAY, &typed.retry_delay),
        (flag::DISCOVERY_SRV, &typed.discovery_srv),
        (flag::DISCOVERY_SRV_NAME, &typed.discovery_srv_name),
        (flag::INSECURE_DISCOVERY, &typed.insecure_discovery),
        (flag::TRUSTED_CA_FILE, &typed.trusted_ca_file),
        (flag::CONNECT_TIMEOUT, &typed.connect_timeout),
        (flag::TCP_USER_TIMEOUT, &typed.tcp_user_timeout),
        (flag::KEEPALIVE, &typed.keepalive),
        (flag::HALF_CLOSE_TIMEOUT, &typed.half_close_timeout),
        (flag::IDLE_TIMEOUT, &typed.idle_timeout),
        (flag::MAX_CONNECTIONS, &typed.max_connections),
        (flag::DRAIN_TIMEOUT, &typed.drain_timeout),
        (flag::LOG_LEVEL, &typed.log_level),
    ] {
        fields.extend(value.iter().map(|value| (name, value.as_str())));
    }
    fields
}

/// The configuration that the help promises, or nothing where it promises a refusal.
fn expected_config(typed: &Typed) -> Option<Config> {
    let discovery = expected_discovery(typed)?;
    let listen = items(&typed.listen_addr, expected_listen);
    let endpoints = items(&typed.endpoints, expected_endpoint);
    let config = Config {
        listen: listen.unwrap_or_else(|| default("127.0.0.1:23790"))?,
        reuse_port: match &typed.reuse_port {
            Some(text) => boolean(text)?,
            None => false,
        },
        listen_retry: nanoseconds(&typed.listen_retry, 0, YEAR, 1)?,
        endpoints: match (endpoints, &discovery) {
            (None, Some(_)) => Vec::new(),
            (None, None) => default("127.0.0.1:2379")?,
            (Some(endpoints), _) => endpoints?,
        },
        unused: expected_unused(typed, discovery.as_ref()),
        discovery,
        retry_delay: nanoseconds(&typed.retry_delay, 60 * SECOND, YEAR, 1)?,
        connect_timeout: nanoseconds(&typed.connect_timeout, SECOND, YEAR, 1)?,
        tcp_user_timeout: unless_zero(nanoseconds(
            &typed.tcp_user_timeout,
            30 * SECOND,
            i32::MAX as u64 * 1_000_000,
            1_000_000,
        )?),
        keepalive: unless_zero(nanoseconds(&typed.keepalive, 15 * SECOND, 32767 * SECOND, SECOND)?),
        half_close_timeout: unless_zero(nanoseconds(
            &typed.half_close_timeout,
            300 * SECOND,
            YEAR,
            1,
        )?),
        idle_timeout: unless_zero(nanoseconds(&typed.idle_timeout, 0, YEAR, 1)?),
        connections_max: match &typed.max_connections {
            Some(text) => Some(count(text)?),
            None => None,
        },
        drain_timeout: nanoseconds(&typed.drain_timeout, 10 * SECOND, YEAR, 1)?,
        log_level: match &typed.log_level {
            Some(text) => Some(level(text)?),
            None => None,
        },
    };
    let is_good = config.listen.len() <= LISTENERS_MAX
        && config.endpoints.len() <= ENDPOINTS_MAX
        && !config.retry_delay.is_zero()
        && !config.connect_timeout.is_zero()
        && !(config.reuse_port && config.listen.iter().any(has_port_zero))
        && are_apart(&config.listen, config.reuse_port);
    is_good.then_some(config)
}

/// What the flags of discovery mean together; the inner nothing where there is no domain.
fn expected_discovery(typed: &Typed) -> Option<Option<DiscoverySrv>> {
    let is_insecure = typed.insecure_discovery.as_deref().map_or(Some(false), boolean)?;
    let domain = typed.discovery_srv.clone().unwrap_or_default();
    if domain.is_empty() {
        return Some(None);
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(is_letter);
    let labels = domain.strip_suffix('.').unwrap_or(&domain);
    let name = typed.discovery_srv_name.clone().filter(|name| !name.is_empty());
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
    let file = typed.trusted_ca_file.as_ref().filter(|path| !path.is_empty());
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
fn expected_unused(typed: &Typed, discovery: Option<&DiscoverySrv>) -> Vec<UnusedFlag> {
    let mut unused = Vec::new();
    let mut add = |flag, reason| unused.push(UnusedFlag { flag, reason });
    let is_empty = |value: &Option<String>| value.as_deref() == Some("");
    if is_empty(&typed.discovery_srv) {
        add(flag::DISCOVERY_SRV, NoEffect::Empty);
    }
    let is_insecure = typed.insecure_discovery.as_deref().and_then(boolean) == Some(true);
    if is_insecure && discovery.is_none() {
        add(flag::INSECURE_DISCOVERY, NoEffect::NoDiscoverySrv);
    }
    if is_empty(&typed.discovery_srv_name) {
        add(flag::DISCOVERY_SRV_NAME, NoEffect::Empty);
    } else if typed.discovery_srv_name.is_some() && discovery.is_none() {
        add(flag::DISCOVERY_SRV_NAME, NoEffect::NoDiscoverySrv);
    }
    if is_empty(&typed.trusted_ca_file) {
        add(flag::TRUSTED_CA_FILE, NoEffect::Empty);
    } else if typed.trusted_ca_file.is_some() {
        match discovery.map(|it| &it.trust) {
            None => add(flag::TRUSTED_CA_FILE, NoEffect::NoDiscoverySrv),
            Some(Trust::Unverified) => add(flag::TRUSTED_CA_FILE, NoEffect::InsecureDiscovery),
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

/// The items of a list, or why not; nothing if the flag was absent.
fn items<T>(typed: &[String], expected: fn(&str) -> Option<T>) -> Option<Option<Vec<T>>> {
    let all = typed.iter().flat_map(|text| text.split(',')).map(bare);
    (!typed.is_empty()).then(|| all.map(expected).collect())
}

fn default<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.parse().ok().map(|item| vec![item])
}

/// A duration up to a limit, rounded up to a step.
fn nanoseconds(typed: &Option<String>, default: u64, most: u64, step: u64) -> Option<Duration> {
    let Some(text) = typed else { return Some(Duration::from_nanos(default)) };
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
