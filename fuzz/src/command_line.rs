//! Command lines: the words and flags that were typed, and refusals that say what they refuse.
//!
//! The oracle is one walk over the arguments; what the values mean comes from `configuration.rs`.
//! It must not call the product, whose table of flags it reads, and whose limits it shares where a
//! limit is a matter of taste: the unit tests of `config` pin those.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use etcd_gateway::config::Config;
use etcd_gateway::config::admin::AdminAddress;
use etcd_gateway::config::flags::{FLAGS, Flag, Invocation, Kind, Typed, parse};
use etcd_gateway::config::limits::{CONNECTIONS_MAX, ENDPOINTS_MAX, LISTENERS_MAX};
use etcd_gateway::config::status::StatusCommand;

use super::admin::expected_address;
use super::assert_one_line;
use super::configuration::{Values, YEAR, bare, expected_config, is_accepted, is_in_ranges, items};

/// The arguments in these bytes, the program's name first: as in `/proc/self/cmdline`, a zero byte
/// is between two of them.
pub fn arguments(data: &[u8]) -> Vec<OsString> {
    data.split(|byte| *byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

/// Reads the bytes as [`arguments`].
pub fn check(data: &[u8]) {
    check_arguments(&arguments(data));
}

/// Reads the bytes as `NAME=VALUE` of one flag, or as its name alone, and checks two ways to write
/// that.
pub fn check_flag(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == b'=');
    let name = OsString::from_vec([b"--", &data[..split.unwrap_or(data.len())]].concat());
    let value = split.map(|at| OsStr::from_bytes(&data[at + 1..]).to_owned());
    let whole = OsString::from_vec([b"--", data].concat());
    let [program, start, gateway] = ["etcd-gateway", "start", "gateway"].map(OsString::from);

    let wanted = check_arguments(&[program.clone(), whole.clone()]);
    let known = name.to_str().and_then(|name| valued(&name[2..]));
    // The flags that take the next argument as their value where there is no equals sign.
    let takes_next = known.is_some_and(|flag| !is_boolean(flag));
    // The input chooses the second way, so that it costs the fuzzer two command lines, not five.
    let found = match (data.len() % 4, value) {
        (0, _) => check_arguments(&[program, start, whole]),
        (1, _) => check_arguments(&[program, gateway, whole, start]),
        (2, Some(value)) if takes_next => check_arguments(&[program, name, value]),
        _ => {
            // Lists grow, so a flag that is repeated has not the same value.
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
        Ok(Invocation::Status(typed)) => {
            let Wanted::Status(values) = wanted else { panic!("{arguments:?}: {wanted:?}") };
            check_status(&typed, &values);
            None
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

/// Whether a refusal names an argument, in one of the forms that refusals have.
fn names_argument(message: &str, arguments: &[OsString]) -> bool {
    // The password that is in an argument is masked.
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
    // Advice follows, which a unit test checks.
    ways.iter().any(|way| way == message || (way.ends_with("; ") && message.starts_with(way)))
}

/// How a message shows the flags of one argument: a long one, or each letter of several short ones.
fn flags_of(argument: &str) -> Vec<String> {
    let Some(short) = argument.strip_prefix('-') else { return Vec::new() };
    match short.strip_prefix('-') {
        None => short.chars().map(|c| format!("-{}", c.escape_debug())).collect(),
        Some(long) => {
            let name = long.split('=').next().unwrap_or(long);
            // A long flag of one letter is shown as a short one.
            let dashes = if name.chars().count() == 1 { "-" } else { "--" };
            vec![format!("{dashes}{}", name.escape_debug())]
        }
    }
}

/// What the command status takes: one address, with a port that can be dialed.
fn check_status(typed: &Typed, values: &Values) {
    let known = ["admin-addr", "output", "watch", "connect-timeout"];
    let is_known = values.keys().all(|name| known.contains(name));
    let addresses = values.get("admin-addr").map_or(&[][..], Vec::as_slice);
    let expected = items(values, "admin-addr", expected_address).flatten();
    let is_one = matches!(expected.as_deref(), Some([address]) if !has_port_zero(address));
    let is_good = is_known && is_one && is_in_ranges(values) && !addresses.is_empty();
    match StatusCommand::from_typed(typed) {
        Ok(command) => {
            assert!(is_good, "{values:?}");
            assert_eq!(Some(&[command.address][..]), expected.as_deref());
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!is_good, "{values:?}: {message}");
            assert_one_line(&message);
        }
    }
}

fn has_port_zero(address: &AdminAddress) -> bool {
    matches!(address, AdminAddress::Listen(address) if address.port() == 0)
}

fn check_config(typed: &Typed, values: &Values) -> Option<Config> {
    match Config::from_typed(typed) {
        Ok(config) => {
            assert!(is_accepted(values), "{values:?}");
            assert_eq!(Some(&config), expected_config(values, &config).as_ref(), "{values:?}");
            check_ranges(&config);
            Some(config)
        }
        Err(error) => {
            let message = error.to_string();
            let defaults = Config::from_typed(&Typed::default()).expect("the defaults are valid");
            let expected = expected_config(values, &defaults).filter(|_| is_accepted(values));
            assert_eq!(None, expected, "{values:?}: {message}");
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
    if message.contains("***@") && value.contains('@') {
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
    // Few, many, and about as many as the typed number of connections takes.
    let asked = 2 * config.limits.connections_max.unwrap_or(500) as u64;
    for descriptors in [0, 64, u64::MAX].into_iter().chain(asked..asked + 40) {
        let limit = config.connections_limit(descriptors, config.listen.addresses.len());
        assert!((1..=CONNECTIONS_MAX).contains(&limit.max));
        let is_lowered = config.limits.connections_max.is_some_and(|asked| asked > limit.max);
        assert_eq!(limit.lowered_from, config.limits.connections_max.filter(|_| is_lowered));
        // Both sockets of every pair have a descriptor, and so do the listeners.
        let taken = 2 * limit.max as u64 + config.listen.addresses.len() as u64;
        assert!(limit.max == 1 || taken <= descriptors);
    }
}

/// The expected result of a command line.
#[derive(Debug, PartialEq)]
enum Wanted {
    Help,
    Version,
    Run(Values),
    Status(Values),
    Refusal,
}

/// The flag of that name which takes a value; `None` also for a request.
fn valued(name: &str) -> Option<&'static Flag> {
    let known = FLAGS.iter().find(|flag| flag.name == name)?;
    (!matches!(known.kind, Kind::Request { .. })).then_some(known)
}

fn is_boolean(flag: &Flag) -> bool {
    matches!(flag.kind, Kind::Boolean)
}

/// The word `help` once, at any place of a command.
const HELP_WORDS: [&[&str]; 10] = [
    &["help"],
    &["help", "start"],
    &["start", "help"],
    &["help", "gateway"],
    &["gateway", "help"],
    &["help", "gateway", "start"],
    &["gateway", "help", "start"],
    &["gateway", "start", "help"],
    &["status", "help"],
    &["help", "status"],
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
                // Unlike pflag, getopts takes a long flag of one letter for the short one.
                ("help" | "h", None) => is_help = true,
                ("version", None) => is_version = true,
                _ => {
                    let Some(flag) = valued(name) else { return Wanted::Refusal };
                    let value = match value {
                        None if is_boolean(flag) => Some("true"),
                        None => rest.next(),
                        Some(value) => Some(value),
                    };
                    let Some(value) = value else { return Wanted::Refusal };
                    store(&mut values, flag, bare(value));
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
        ["status"] if !is_etcd(program) => Wanted::Status(values),
        _ => Wanted::Refusal,
    }
}

fn is_etcd(program: &OsStr) -> bool {
    let mut parts = program.as_bytes().split(|byte| *byte == b'/');
    parts.rfind(|part| !part.is_empty() && *part != b".") == Some(b"etcd")
}

/// Lists grow; of everything else the last counts.
fn store(values: &mut Values, flag: &Flag, value: &str) {
    let of_flag = values.entry(flag.name).or_default();
    if !matches!(flag.kind, Kind::List { .. }) {
        of_flag.clear();
    }
    of_flag.push(value.to_owned());
}
