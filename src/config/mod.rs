//! The checked meaning of the command line: [`Config`].
//!
//! Nothing here touches a socket or a clock.

pub mod address;
mod address_error;
pub mod boolean;
pub mod capacity;
pub mod discovery_srv;
pub mod duration;
pub mod limits;
pub mod listen;
pub mod log_filter;
pub mod special_address;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;

use crate::args::{Typed, UsageError, flag, has_password, unquoted};

use address::{AddressError, EndpointAddress, ListenAddress};
use discovery_srv::{DiscoverySrv, UnusedFlag};
use duration::format_duration;
pub use limits::*;

/// The checked meaning of a command line: every value is within its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect; 1 to [`LISTENERS_MAX`] addresses.
    pub listen: Vec<ListenAddress>,
    /// Whether those addresses are shared with other processes, and so have ports other than 0.
    pub reuse_port: bool,
    /// How long addresses that are not there yet are waited for; 0: not at all.
    pub listen_retry: Duration,
    /// Whom to dial; 1 to [`ENDPOINTS_MAX`] addresses, as typed, possibly one twice. With
    /// `discovery` none if none was typed; then they count only while discovery lists nobody.
    pub endpoints: Vec<EndpointAddress>,
    /// Where else to look for endpoints; `None`: nowhere.
    pub discovery: Option<DiscoverySrv>,
    /// Flags that were typed and have no effect.
    pub unused: Vec<UnusedFlag>,
    /// Ceiling of the monitor's back-off; above 0, and possibly below [`RETRY_DELAY_MIN`].
    pub retry_delay: Duration,
    /// Longest wait for one endpoint; above 0.
    pub connect_timeout: Duration,
    /// Longest wait for an acknowledgement, in whole milliseconds; `None`: the kernel's default.
    pub tcp_user_timeout: Option<Duration>,
    /// Idle time before a keepalive probe and between probes, in whole seconds; `None`: off.
    pub keepalive: Option<Duration>,
    /// Longest silence of a half-closed pair; `None`: no limit.
    pub half_close_timeout: Option<Duration>,
    /// Longest silence of an open pair; `None`: no limit.
    pub idle_timeout: Option<Duration>,
    /// Most pairs at a time, 1 to [`CONNECTIONS_MAX`]; `None`: what the descriptors allow. See
    /// [`Config::connections_limit`].
    pub connections_max: Option<usize>,
    /// How long pairs may go on after the first signal; 0: not at all.
    pub drain_timeout: Duration,
    /// The least severe lines to log; `None`: not typed, so that RUST_LOG counts.
    pub log_level: Option<LevelFilter>,
}

impl Config {
    /// Checks what was typed and fills in the defaults.
    ///
    /// # Errors
    /// [`UsageError`] for the first value that its flag cannot take.
    pub fn from_typed(typed: &Typed) -> Result<Config, UsageError> {
        let discovery = discovery_srv::parse(typed)?;
        let listen = list(flag::LISTEN_ADDR, &typed.listen_addr, LISTEN_DEFAULT, LISTENERS_MAX)?;
        let reuse_port = listen::reuse_port(&typed.reuse_port, &listen)?;
        listen::refuse_overlap(&listen, reuse_port)?;
        Ok(Config {
            reuse_port,
            listen,
            listen_retry: bounded(
                flag::LISTEN_RETRY,
                &typed.listen_retry,
                LISTEN_RETRY_DEFAULT,
                DURATION_MAX,
            )?,
            endpoints: match &typed.endpoints[..] {
                // Whoever asks for discovery must not be led to another server in silence.
                [] if discovery.is_some() => Vec::new(),
                texts => list(flag::ENDPOINTS, texts, ENDPOINTS_DEFAULT, ENDPOINTS_MAX)?,
            },
            unused: discovery_srv::unused(typed, discovery.as_ref()),
            discovery,
            retry_delay: positive(flag::RETRY_DELAY, &typed.retry_delay, RETRY_DELAY_DEFAULT)?,
            connect_timeout: positive(
                flag::CONNECT_TIMEOUT,
                &typed.connect_timeout,
                CONNECT_TIMEOUT_DEFAULT,
            )?,
            tcp_user_timeout: tcp_user_timeout(&typed.tcp_user_timeout)?,
            keepalive: keepalive(&typed.keepalive)?,
            half_close_timeout: unless_zero(bounded(
                flag::HALF_CLOSE_TIMEOUT,
                &typed.half_close_timeout,
                HALF_CLOSE_TIMEOUT_DEFAULT,
                DURATION_MAX,
            )?),
            idle_timeout: unless_zero(bounded(
                flag::IDLE_TIMEOUT,
                &typed.idle_timeout,
                IDLE_TIMEOUT_DEFAULT,
                DURATION_MAX,
            )?),
            connections_max: connections_max(&typed.max_connections)?,
            drain_timeout: bounded(
                flag::DRAIN_TIMEOUT,
                &typed.drain_timeout,
                DRAIN_TIMEOUT_DEFAULT,
                DURATION_MAX,
            )?,
            log_level: log_level(&typed.log_level)?,
        })
    }

    /// The age of a server connection at which its pair gets the options that only matter to one
    /// that lasts: well before keepalive or user timeout could be over.
    pub fn lasting_after(&self) -> Duration {
        let times = [self.keepalive, self.tcp_user_timeout];
        let ages = times.into_iter().flatten().map(|time| time / LASTING_AGE_DIVISOR);
        ages.chain([LASTING_AGE]).min().expect("one at least")
    }
}

/// The items of a repeatable, comma-separated flag.
fn list<T>(name: &str, typed: &[String], default: &str, max: usize) -> Result<Vec<T>, UsageError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let mut items = Vec::new();
    let default = [default.to_owned()];
    for text in if typed.is_empty() { &default } else { typed } {
        if text.is_empty() {
            return Err(UsageError::invalid(name, text, "empty list"));
        }
        for (index, item) in text.split(',').map(unquoted).enumerate() {
            // The item alone would be invisible in the message.
            if item.is_empty() {
                return Err(UsageError::invalid(name, text, "empty item in the list"));
            }
            if items.len() == max {
                return Err(UsageError::invalid(name, item, format!("more than {max} addresses")));
            }
            match item.parse() {
                Ok(parsed) => items.push(parsed),
                Err(error) => return Err(refused_item(name, text, index, error)),
            }
        }
    }
    assert!(!items.is_empty());
    Ok(items)
}

/// Why the item at `index` of a list is refused. A password with a comma in it is in two of them,
/// and no reason may repeat a part of it.
fn refused_item(name: &str, text: &str, index: usize, reason: impl fmt::Display) -> UsageError {
    let rest: Vec<&str> = text.split(',').skip(index).map(unquoted).collect();
    let (item, rest) = (rest[0], rest.join(","));
    if let Some(shown) = [item, &rest].into_iter().find(|shown| has_password(shown)) {
        return UsageError::invalid(name, shown, AddressError::UserInfo);
    }
    match item.rsplit_once('@') {
        // The password may have begun in the item before, which looks like host and port.
        Some((_user, host)) if index > 0 => {
            UsageError::invalid(name, &format!("***@{host}"), AddressError::UserInfo)
        }
        _ => UsageError::invalid(name, item, reason),
    }
}

/// A duration from 0 to `max`.
fn bounded(
    name: &str,
    typed: &Option<String>,
    default: Duration,
    max: Duration,
) -> Result<Duration, UsageError> {
    let Some(text) = typed else { return Ok(default) };
    let invalid = |reason: &str| UsageError::invalid(name, text, reason);
    let nanoseconds = duration::parse(text).map_err(|error| invalid(&error.to_string()))?;
    let nanoseconds = u64::try_from(nanoseconds).map_err(|_| invalid("must not be negative"))?;
    let value = Duration::from_nanos(nanoseconds);
    if value > max {
        return Err(invalid(&format!("must be at most {}", format_duration(max))));
    }
    Ok(value)
}

/// A duration above 0. etcd's own gateway turns a zero `--retry-delay` into five minutes and
/// spins on a negative one.
fn positive(name: &str, typed: &Option<String>, default: Duration) -> Result<Duration, UsageError> {
    let value = bounded(name, typed, default, DURATION_MAX)?;
    match typed {
        Some(text) if value.is_zero() => Err(UsageError::invalid(name, text, "must be above 0")),
        _ => Ok(value),
    }
}

/// Zero switches off what can be switched off.
fn unless_zero(value: Duration) -> Option<Duration> {
    Some(value).filter(|value| !value.is_zero())
}

/// In whole milliseconds, rounded up: rounded down, less than one would mean the kernel's default.
fn tcp_user_timeout(typed: &Option<String>) -> Result<Option<Duration>, UsageError> {
    let default = TCP_USER_TIMEOUT_DEFAULT;
    let value = bounded(flag::TCP_USER_TIMEOUT, typed, default, TCP_USER_TIMEOUT_MAX)?;
    let milliseconds = value.as_nanos().div_ceil(1_000_000) as u64;
    Ok(unless_zero(Duration::from_millis(milliseconds)))
}

/// In whole seconds, rounded up: the kernel refuses less than one.
fn keepalive(typed: &Option<String>) -> Result<Option<Duration>, UsageError> {
    let value = bounded(flag::KEEPALIVE, typed, KEEPALIVE_DEFAULT, KEEPALIVE_MAX)?;
    let seconds = value.as_nanos().div_ceil(1_000_000_000) as u64;
    Ok(unless_zero(Duration::from_secs(seconds)))
}

fn connections_max(typed: &Option<String>) -> Result<Option<usize>, UsageError> {
    let Some(text) = typed else { return Ok(None) };
    // The standard library would take a plus sign as well.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| (1..=CONNECTIONS_MAX).contains(number));
    match number {
        Some(number) if digits => Ok(Some(number)),
        _ => {
            let reason = format!("must be a number from 1 to {CONNECTIONS_MAX}");
            Err(UsageError::invalid(flag::MAX_CONNECTIONS, text, reason))
        }
    }
}

fn log_level(typed: &Option<String>) -> Result<Option<LevelFilter>, UsageError> {
    let Some(text) = typed else { return Ok(None) };
    let reason = "must be off, error, warn, info, debug or trace";
    match text.parse() {
        Ok(level) => Ok(Some(level)),
        Err(_) => Err(UsageError::invalid(flag::LOG_LEVEL, text, reason)),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::args::{Invocation, parse};

    fn configure(arguments: &[&str]) -> Result<Config, UsageError> {
        let line = [&["etcd-gateway"], arguments].concat();
        match parse(line.iter().map(OsString::from)) {
            Ok(Invocation::Run(typed)) => Config::from_typed(&typed),
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn check<T: PartialEq + fmt::Debug>(argument: &str, field: fn(&Config) -> T, want: T) {
        let config = configure(&[argument]).expect(argument);
        assert_eq!(field(&config), want, "{argument}");
    }

    #[track_caller]
    fn refuse(argument: &str, want: &str) {
        let error = configure(&[argument]).expect_err(argument).to_string();
        assert_eq!(error, want, "{argument}");
        let flag = argument.split('=').next().expect("a first part");
        assert!(error.contains(flag), "{error}");
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn texts<T: fmt::Display>(items: &[T]) -> Vec<String> {
        items.iter().map(T::to_string).collect()
    }

    #[test]
    fn defaults() {
        let want = Config {
            listen: vec!["127.0.0.1:23790".parse().expect("an address")],
            reuse_port: false,
            listen_retry: Duration::ZERO,
            endpoints: vec!["127.0.0.1:2379".parse().expect("an address")],
            discovery: None,
            unused: Vec::new(),
            retry_delay: seconds(60),
            connect_timeout: seconds(1),
            tcp_user_timeout: Some(seconds(30)),
            keepalive: Some(seconds(15)),
            half_close_timeout: Some(seconds(300)),
            idle_timeout: None,
            connections_max: None,
            drain_timeout: seconds(10),
            log_level: None,
        };
        assert_eq!(configure(&[]), Ok(want));
    }

    /// Each default that the help shows is the one in force.
    #[test]
    fn help_shows_the_defaults() {
        let help = match parse(["g", "--help"].iter().map(OsString::from)) {
            Ok(Invocation::Help(help)) => help,
            other => panic!("{other:?}"),
        };
        for (name, want) in [
            (flag::LISTEN_ADDR, LISTEN_DEFAULT.to_owned()),
            (flag::LISTEN_RETRY, format_duration(LISTEN_RETRY_DEFAULT)),
            (flag::ENDPOINTS, ENDPOINTS_DEFAULT.to_owned()),
            (flag::RETRY_DELAY, format_duration(RETRY_DELAY_DEFAULT)),
            (flag::CONNECT_TIMEOUT, format_duration(CONNECT_TIMEOUT_DEFAULT)),
            (flag::TCP_USER_TIMEOUT, format_duration(TCP_USER_TIMEOUT_DEFAULT)),
            (flag::KEEPALIVE, format_duration(KEEPALIVE_DEFAULT)),
            (flag::HALF_CLOSE_TIMEOUT, format_duration(HALF_CLOSE_TIMEOUT_DEFAULT)),
            (flag::IDLE_TIMEOUT, format_duration(IDLE_TIMEOUT_DEFAULT)),
            (flag::DRAIN_TIMEOUT, format_duration(DRAIN_TIMEOUT_DEFAULT)),
            (flag::LOG_LEVEL, LOG_LEVEL_DEFAULT.as_str().to_lowercase()),
        ] {
            let about = about(&help, name);
            assert!(about.contains(&format!("(default {want})")), "--{name}:{about}");
        }
        assert_eq!(help.matches("(default ").count(), 11);
        for (name, range) in [
            (flag::TCP_USER_TIMEOUT, format!("at most {},", format_duration(TCP_USER_TIMEOUT_MAX))),
            (flag::KEEPALIVE, format!("at most {},", format_duration(KEEPALIVE_MAX))),
            (flag::RETRY_DELAY, format!("begin at {} ", format_duration(RETRY_DELAY_MIN))),
            (flag::KEEPALIVE, format!(" {KEEPALIVE_PROBES} probes")),
            (flag::MAX_CONNECTIONS, format!(" 1-{CONNECTIONS_MAX};")),
            (flag::ENDPOINTS, format!("default {PRIORITY_DEFAULT} and {WEIGHT_DEFAULT})")),
        ] {
            assert!(about(&help, name).contains(&range), "--{name}: {range}");
        }
        assert!(help.contains(&format!("at most {} (a year)", format_duration(DURATION_MAX))));
    }

    /// What the help says about one flag, on one line.
    fn about(help: &str, name: &str) -> String {
        let lines = help.lines().skip_while(|line| !line.starts_with(&format!("  --{name} ")));
        let mut lines = lines.peekable();
        let mut about = lines.next().expect(name).to_owned();
        for line in lines.take_while(|line| line.starts_with("    ")) {
            about.push(' ');
            about.push_str(line.trim_start());
        }
        about
    }

    #[test]
    fn lists() {
        let config = configure(&["--endpoints=a:1,b:2", "--endpoints=http://c:3/x"]);
        assert_eq!(texts(&config.expect("three").endpoints), ["a:1", "b:2", "c:3"]);
        let config = configure(&["--listen-addr=:1,127.0.0.1:0", "--listen-addr", "[::1]:3"]);
        assert_eq!(texts(&config.expect("three").listen), [":1", "127.0.0.1:0", "[::1]:3"]);
        let config = configure(&["--endpoints=a:1?priority=1&weight=3,b:2"]).expect("two");
        assert_eq!((config.endpoints[0].priority, config.endpoints[0].weight), (1, 3));
        assert_eq!((config.endpoints[1].priority, config.endpoints[1].weight), (0, 1));
    }

    /// As they come from manifests, env files and files of secrets.
    #[test]
    fn quotes_and_blanks_around_lists_and_items_are_dropped() {
        for value in [
            "\"a:1,b:2\"",
            "'a:1,b:2'",
            "a:1,b:2\n",
            "a:1, b:2",
            "a:1,\n  b:2\r\n",
            "\"a:1\",\"b:2\"",
            "'a:1', 'b:2'",
            "\"'a:1', b:2\"\n",
        ] {
            let config = configure(&[&format!("--endpoints={value}")]).expect(value);
            assert_eq!(texts(&config.endpoints), ["a:1", "b:2"], "{value:?}");
            let config = configure(&[&format!("--listen-addr={value}")]).expect(value);
            assert_eq!(texts(&config.listen), ["a:1", "b:2"], "{value:?}");
        }
        check("--retry-delay='2s'", |config| config.retry_delay, seconds(2));
        check("--max-connections=\"7\"\n", |config| config.connections_max, Some(7));
        check("--reuse-port='false'", |config| config.reuse_port, false);
        let empty = configure(&["--endpoints=''"]).expect_err("an empty list").to_string();
        assert_eq!(empty, r#"invalid value "" for --endpoints: empty list"#);
    }

    #[test]
    fn bad_lists() {
        refuse("--endpoints=", r#"invalid value "" for --endpoints: empty list"#);
        refuse("--listen-addr=", r#"invalid value "" for --listen-addr: empty list"#);
        let empty =
            |text: &str| format!("invalid value {text:?} for --endpoints: empty item in the list");
        for text in [",", "a:1,", ",a:1", "a:1,,b:2", "a:1, ,b:2", "a:1,'',b:2"] {
            refuse(&format!("--endpoints={text}"), &empty(text));
        }
        refuse("--endpoints=a", r#"invalid value "a" for --endpoints: missing port"#);
        refuse("--endpoints=a:1,b", r#"invalid value "b" for --endpoints: missing port"#);
        refuse(
            "--endpoints=a:1,b:99999,c",
            r#"invalid value "b:99999" for --endpoints: port 99999 is above 65535"#,
        );
        refuse(
            "--endpoints=a:http",
            r#"invalid value "a:http" for --endpoints: port "http" is not a number"#,
        );
        refuse("--listen-addr=a", r#"invalid value "a" for --listen-addr: missing port"#);
        let second = configure(&["--endpoints=a:1", "--endpoints="]).expect_err("an empty one");
        assert_eq!(second.to_string(), r#"invalid value "" for --endpoints: empty list"#);
    }

    #[test]
    fn lists_have_a_length() {
        let many = |count: usize| {
            let items: Vec<String> = (1..=count).map(|port| format!("a:{port}")).collect();
            items.join(",")
        };
        check(
            &format!("--endpoints={}", many(ENDPOINTS_MAX)),
            |config| config.endpoints.len(),
            ENDPOINTS_MAX,
        );
        refuse(
            &format!("--endpoints={}", many(ENDPOINTS_MAX + 1)),
            r#"invalid value "a:257" for --endpoints: more than 256 addresses"#,
        );
        check(
            &format!("--listen-addr={}", many(LISTENERS_MAX)),
            |config| config.listen.len(),
            LISTENERS_MAX,
        );
        refuse(
            &format!("--listen-addr={}", many(LISTENERS_MAX + 1)),
            r#"invalid value "a:17" for --listen-addr: more than 16 addresses"#,
        );
    }

    #[test]
    fn reuse_port() {
        check("--reuse-port", |config| config.reuse_port, true);
        check("--reuse-port=1", |config| config.reuse_port, true);
        check("--reuse-port=false", |config| config.reuse_port, false);
        for value in ["", "yes", "true false"] {
            let want = format!("invalid value {value:?} for --reuse-port: must be true or false");
            refuse(&format!("--reuse-port={value}"), &want);
        }
    }

    #[test]
    fn a_port_that_is_shared_is_not_left_to_the_kernel() {
        for (listen, named) in
            [("127.0.0.1:0", "127.0.0.1:0"), (":1,:00", ":0"), ("[::1]:0,a:1", "[::1]:0")]
        {
            let listen = format!("--listen-addr={listen}");
            let error = configure(&[&listen, "--reuse-port"]).expect_err(&listen).to_string();
            let reason = format!("--listen-addr {named} is another port in each process");
            let want = format!(r#"invalid value "true" for --reuse-port: {reason}"#);
            assert_eq!(error, want);
            let alone = configure(&[&listen, "--reuse-port=false"]).expect(&listen);
            assert!(!alone.reuse_port);
        }
    }

    #[test]
    fn durations() {
        check("--retry-delay=1ns", |config| config.retry_delay, Duration::from_nanos(1));
        check("--retry-delay=8760h", |config| config.retry_delay, DURATION_MAX);
        check("--retry-delay=1.5s", |config| config.retry_delay, Duration::from_millis(1500));
        check("--connect-timeout=+20ms", |config| config.connect_timeout, seconds(1) / 50);
        check("--half-close-timeout=1h30m", |c| c.half_close_timeout, Some(seconds(5400)));
        check("--half-close-timeout=0", |config| config.half_close_timeout, None);
        check("--idle-timeout=1m", |config| config.idle_timeout, Some(seconds(60)));
        check("--idle-timeout=-0s", |config| config.idle_timeout, None);
        check("--listen-retry=0", |config| config.listen_retry, Duration::ZERO);
        check("--listen-retry=1m", |config| config.listen_retry, seconds(60));
        check("--drain-timeout=0", |config| config.drain_timeout, Duration::ZERO);
        check("--drain-timeout=2s", |config| config.drain_timeout, seconds(2));
    }

    #[test]
    fn tcp_user_timeout_is_in_milliseconds() {
        check("--tcp-user-timeout=0", |config| config.tcp_user_timeout, None);
        check("--tcp-user-timeout=2s", |config| config.tcp_user_timeout, Some(seconds(2)));
        let millisecond = Duration::from_millis(1);
        check("--tcp-user-timeout=1ns", |config| config.tcp_user_timeout, Some(millisecond));
        check("--tcp-user-timeout=1.1ms", |c| c.tcp_user_timeout, Some(2 * millisecond));
        let longest = Some(TCP_USER_TIMEOUT_MAX);
        check("--tcp-user-timeout=2147483647ms", |config| config.tcp_user_timeout, longest);
        let range = "for --tcp-user-timeout: must be at most 596h31m23.647s";
        let want = format!(r#"invalid value "2147483647.1ms" {range}"#);
        refuse("--tcp-user-timeout=2147483647.1ms", &want);
    }

    #[test]
    fn keepalive_is_in_seconds() {
        check("--keepalive=0", |config| config.keepalive, None);
        check("--keepalive=1ns", |config| config.keepalive, Some(seconds(1)));
        check("--keepalive=1s", |config| config.keepalive, Some(seconds(1)));
        check("--keepalive=1.001s", |config| config.keepalive, Some(seconds(2)));
        check("--keepalive=32766.5s", |config| config.keepalive, Some(KEEPALIVE_MAX));
        refuse(
            "--keepalive=32767.5s",
            r#"invalid value "32767.5s" for --keepalive: must be at most 9h6m7s"#,
        );
    }

    #[test]
    fn bad_durations() {
        for name in [
            "listen-retry",
            "retry-delay",
            "connect-timeout",
            "tcp-user-timeout",
            "keepalive",
            "half-close-timeout",
            "idle-timeout",
            "drain-timeout",
        ] {
            for (value, reason) in [
                ("-1s", "must not be negative"),
                ("-1ns", "must not be negative"),
                ("", "not a duration such as 500ms or 1m30s"),
                ("soon", "not a duration such as 500ms or 1m30s"),
                ("3", "missing unit, as in 30s"),
                ("1d", r#"unknown unit "d"; known are ns, us, ms, s, m, h"#),
                ("9999999h", "too long"),
            ] {
                let want = format!("invalid value {value:?} for --{name}: {reason}");
                refuse(&format!("--{name}={value}"), &want);
            }
        }
        for name in ["retry-delay", "connect-timeout"] {
            for value in ["0", "0s", "-0", "0.1ns"] {
                let want = format!("invalid value {value:?} for --{name}: must be above 0");
                refuse(&format!("--{name}={value}"), &want);
            }
        }
        for name in [
            "listen-retry",
            "retry-delay",
            "connect-timeout",
            "half-close-timeout",
            "idle-timeout",
            "drain-timeout",
        ] {
            let want =
                format!(r#"invalid value "8760h1ns" for --{name}: must be at most 8760h0m0s"#);
            refuse(&format!("--{name}=8760h1ns"), &want);
        }
    }

    #[test]
    fn max_connections() {
        check("--max-connections=1", |config| config.connections_max, Some(1));
        check("--max-connections=0010", |config| config.connections_max, Some(10));
        check("--max-connections=1048576", |c| c.connections_max, Some(CONNECTIONS_MAX));
        for value in ["0", "", "-1", "+1", "1.5", "1k", "1 1", "1048577", "99999999999999999999"] {
            let reason = "must be a number from 1 to 1048576";
            let want = format!("invalid value {value:?} for --max-connections: {reason}");
            refuse(&format!("--max-connections={value}"), &want);
        }
    }

    #[test]
    fn log_levels() {
        for (value, want) in [
            ("off", LevelFilter::Off),
            ("error", LevelFilter::Error),
            ("warn", LevelFilter::Warn),
            ("info", LevelFilter::Info),
            ("debug", LevelFilter::Debug),
            ("trace", LevelFilter::Trace),
            ("INFO", LevelFilter::Info),
        ] {
            check(&format!("--log-level={value}"), |config| config.log_level, Some(want));
        }
        for value in ["", "warning", "3", "info,mio=debug"] {
            let reason = "must be off, error, warn, info, debug or trace";
            let want = format!("invalid value {value:?} for --log-level: {reason}");
            refuse(&format!("--log-level={value}"), &want);
        }
    }

    #[test]
    fn errors_stay_on_one_line() {
        for argument in ["--endpoints=a\nb", "--retry-delay=1\n2", "--log-level=in\r\nfo"] {
            let error = configure(&[argument]).expect_err(argument).to_string();
            assert!(!error.contains(['\n', '\r']), "{error}");
        }
    }

    #[test]
    fn lasting_options_are_set_long_before_they_matter() {
        for (arguments, want) in [
            (&[][..], LASTING_AGE),
            (&["--tcp-user-timeout=4s"], LASTING_AGE / 2),
            (&["--keepalive=2s"], LASTING_AGE / 4),
            (&["--tcp-user-timeout=0"], LASTING_AGE),
            (&["--keepalive=0"], LASTING_AGE),
            (&["--tcp-user-timeout=0", "--keepalive=0"], LASTING_AGE),
        ] {
            let config = configure(arguments).expect("valid");
            assert_eq!(config.lasting_after(), want, "{arguments:?}");
        }
    }
}
