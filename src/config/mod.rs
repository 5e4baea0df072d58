//! The checked meaning of the command line: [`Config`], in sections.
//!
//! Two stages: `flags` reads what was typed, by the table of flags; this folder gives it its
//! meaning. Nothing here touches a socket or a clock.

pub mod address;
mod address_error;
pub mod admin;
pub mod capacity;
pub mod discovery_srv;
pub mod duration;
pub mod flags;
pub mod health;
pub mod limits;
pub mod listen;
pub mod log_filter;
pub mod members;
pub mod registry;
mod sections;
pub mod special_address;
pub mod status;
pub mod tls;
pub mod unused;
mod values;

use std::time::Duration;

use address::EndpointAddress;
use discovery_srv::DiscoverySrv;
use flags::{ENDPOINTS, Typed, UsageError};
pub use limits::*;
use registry::Registry;
pub use sections::{Admin, Endpoints, Health, Listen, Log, Members, SizeLimits, TimeLimits};
use tls::Tls;
use unused::UnusedFlag;

/// The checked meaning of a command line: every value is within its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The addresses to listen on.
    pub listen: Listen,
    /// The servers behind the gateway.
    pub endpoints: Endpoints,
    /// Whether the servers serve, and what follows if they do not.
    pub health: Health,
    /// Members of etcd.
    pub members: Members,
    /// The SRV records that list further endpoints; `None`: none are looked up.
    pub discovery: Option<DiscoverySrv>,
    /// The registry in etcd that lists further endpoints; `None`: there is none.
    pub registry: Option<Registry>,
    /// The files of connections of our own over TLS.
    pub tls: Tls,
    /// How long connections may wait, be silent, or go on.
    pub time_limits: TimeLimits,
    /// How many things there may be at a time.
    pub limits: SizeLimits,
    /// What is logged.
    pub log: Log,
    /// What others see of the gateway.
    pub admin: Admin,
    /// Flags that were typed and have no effect.
    pub unused: Vec<UnusedFlag>,
}

impl Config {
    /// Checks what was typed and fills in the defaults.
    ///
    /// # Errors
    /// [`UsageError`] for the first value that its flag cannot take.
    pub fn from_typed(typed: &Typed) -> Result<Config, UsageError> {
        status::refuse_flags(typed)?;
        let discovery = discovery_srv::parse(typed)?;
        let registry = registry::parse(typed)?;
        let listen = Listen::from_typed(typed)?;
        listen.check(typed)?;
        let admin = Admin::from_typed(typed)?;
        admin.check(&listen.addresses)?;
        let mut endpoints = Endpoints::from_typed(typed)?;
        if (discovery.is_some() || registry.is_some()) && typed.all(&ENDPOINTS).is_empty() {
            // The default endpoint, silently used, would be another server than those that the user
            // asks for.
            endpoints.addresses.clear();
        }
        let health = Health::from_typed(typed)?;
        let members = Members::from_typed(typed)?;
        let (addresses, srv) = (&endpoints.addresses, discovery.as_ref());
        let has_https_checks = tls::has_https_checks(addresses, srv, &health.check)
            || members.is_followed && tls::has_https_members(typed, addresses, srv)
            || registry.as_ref().is_some_and(Registry::has_https);
        let tls = tls::parse(typed, has_https_checks)?;
        let mut unused = discovery_srv::unused(typed, discovery.as_ref());
        unused.extend(tls::unused(typed, &tls, discovery.as_ref()));
        unused.extend(health::unused(typed, &health, members.is_followed));
        let may_be_etcd = members.is_followed
            || discovery.is_some()
            || endpoints.addresses.iter().any(EndpointAddress::may_be_etcd);
        unused.extend(members::unused(typed, &members, &health.check, may_be_etcd));
        unused.extend(registry::unused(typed, registry.as_ref()));
        unused.extend(admin::unused(typed, &admin));
        Ok(Config {
            listen,
            endpoints,
            tls,
            health,
            members,
            time_limits: TimeLimits::from_typed(typed)?,
            limits: SizeLimits::from_typed(typed)?,
            log: Log::from_typed(typed)?,
            admin,
            unused,
            discovery,
            registry,
        })
    }

    /// The age of a server connection at which its pair gets the socket options that a short one is
    /// spared: well before keepalive or user timeout could be over.
    pub fn deferred_options_after(&self) -> Duration {
        let times = [self.time_limits.keepalive, self.time_limits.tcp_user_timeout];
        let ages = times.into_iter().flatten().map(|time| time / DEFERRED_OPTIONS_AGE_DIVISOR);
        ages.chain([DEFERRED_OPTIONS_AGE]).min().expect("one at least")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fmt;

    use log::LevelFilter;

    use super::admin::AccessLogFormat;
    use super::duration::format_duration;
    use super::flags::{
        CONNECT_TIMEOUT, FLAGS, Flag, Invocation, Kind, REGISTRY_PREFIX, RETRY_DELAY, Section,
        parse,
    };
    use super::health::{CloseOnFailure, CloseOnRemoval, HealthCheckMode};
    use super::*;

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

    /// What users rely on without typing it. That each flag has the default of its row is held
    /// below.
    #[test]
    fn defaults() {
        let config = configure(&[]).expect("the defaults");
        assert_eq!(texts(&config.listen.addresses), ["127.0.0.1:23790"]);
        assert_eq!((config.listen.reuse_port, config.listen.retry), (false, Duration::ZERO));
        assert_eq!(texts(&config.endpoints.addresses), ["127.0.0.1:2379"]);
        assert_eq!(config.endpoints.retry_delay, seconds(60));
        assert_eq!((config.discovery, config.unused), (None, Vec::new()));
        assert_eq!(config.time_limits.connect_timeout, seconds(1));
        assert_eq!(config.time_limits.discovery_patience(), Duration::from_millis(750));
        assert_eq!(config.time_limits.tcp_user_timeout, Some(seconds(30)));
        assert_eq!(config.time_limits.keepalive, Some(seconds(15)));
        assert_eq!(config.time_limits.half_close_timeout, Some(seconds(300)));
        assert_eq!(config.time_limits.idle_timeout, None);
        assert_eq!(config.time_limits.drain_timeout, seconds(10));
        assert_eq!((config.limits.connections_max, config.log.level), (None, None));
        assert_eq!(config.health.check, HealthCheckMode::Auto);
        assert_eq!((config.health.interval, config.health.timeout), (seconds(5), seconds(1)));
        assert_eq!((config.health.rise, config.health.fall, config.health.port), (2, 2, None));
        assert_eq!(config.health.close_on_failure, CloseOnFailure::ByCheck);
        assert_eq!(config.health.close_on_removal, CloseOnRemoval::Never);
        assert_eq!(config.health.close_rate, 50);
        assert_eq!((config.members.is_followed, config.members.interval), (false, seconds(30)));
        assert_eq!((config.members.file, config.members.preference), (None, None));
        assert_eq!((config.admin.addresses, config.admin.access_log), (Vec::new(), None));
        assert_eq!(config.admin.access_log_format, AccessLogFormat::Logfmt);
    }

    /// A row that no field reads would be a flag without effect.
    #[test]
    fn each_flag_is_read_by_a_field() {
        let absent = configure(&[]).expect("the defaults");
        for flag in FLAGS.iter().filter(|flag| flag.section != Section::Status) {
            let value = match flag.kind {
                Kind::List { .. } => "192.0.2.1:9",
                Kind::Duration(_) => "7s",
                Kind::Boolean => "true",
                Kind::Count { .. } => "1",
                Kind::HealthCheck { .. } => "/a",
                Kind::DurationOrNever { .. } => "17s",
                Kind::Word { words, .. } => words[words.len() - 1],
                Kind::Level { .. } => "trace",
                Kind::Text { .. } => "a",
                Kind::Request { .. } => continue,
            };
            let mut line = vec![format!("--{}={value}", flag.name)];
            // Of these two neither may be alone.
            for pair in [["cert-file", "key-file"], ["user", "password-file"]] {
                if pair.contains(&flag.name) {
                    line = pair.map(|name| format!("--{name}={value}")).to_vec();
                }
            }
            if flag.name == REGISTRY_PREFIX.name {
                line.push("--etcd-endpoints=a:1".to_owned());
            }
            // A build without TLS takes one only so.
            if cfg!(not(feature = "tls")) && flag.name == "discovery-srv" {
                line.push("--insecure-discovery".to_owned());
            }
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let typed = configure(&line).expect(flag.name);
            assert_ne!(typed, absent, "--{}", flag.name);
        }
    }

    /// A default that is typed means what the same default means that is not.
    #[test]
    fn defaults_can_be_typed() {
        let absent = configure(&[]).expect("the defaults");
        for flag in FLAGS.iter().filter(|flag| flag.section != Section::Status) {
            let Some(default) = flag.default() else { continue };
            let typed = configure(&[&format!("--{}={default}", flag.name)]).expect(flag.name);
            // Some have no effect without another one.
            let typed = Config { unused: Vec::new(), ..typed };
            match flag.kind {
                // Where no level is typed, RUST_LOG counts.
                Kind::Level { default } => assert_eq!(typed.log.level, Some(default)),
                _ => assert_eq!(typed, absent, "{}", flag.name),
            }
        }
    }

    #[test]
    fn lists() {
        let config = configure(&["--endpoints=a:1,b:2", "--endpoints=http://c:3/x"]);
        assert_eq!(texts(&config.expect("three").endpoints.addresses), ["a:1", "b:2", "c:3"]);
        let config = configure(&["--listen-addr=:1,127.0.0.1:0", "--listen-addr", "[::1]:3"]);
        assert_eq!(
            texts(&config.expect("three").listen.addresses),
            [":1", "127.0.0.1:0", "[::1]:3"]
        );
        let config = configure(&["--endpoints=a:1?priority=1&weight=3,b:2"]).expect("two");
        assert_eq!(
            (config.endpoints.addresses[0].priority, config.endpoints.addresses[0].weight),
            (1, 3)
        );
        assert_eq!(
            (config.endpoints.addresses[1].priority, config.endpoints.addresses[1].weight),
            (0, 1)
        );
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
            assert_eq!(texts(&config.endpoints.addresses), ["a:1", "b:2"], "{value:?}");
            let config = configure(&[&format!("--listen-addr={value}")]).expect(value);
            assert_eq!(texts(&config.listen.addresses), ["a:1", "b:2"], "{value:?}");
        }
        check("--retry-delay='2s'", |config| config.endpoints.retry_delay, seconds(2));
        check("--max-connections=\"7\"\n", |config| config.limits.connections_max, Some(7));
        check("--reuse-port='false'", |config| config.listen.reuse_port, false);
        let empty = configure(&["--endpoints=''"]).expect_err("an empty list").to_string();
        assert_eq!(empty, r#"invalid value "" for --endpoints: empty list"#);
    }

    #[test]
    fn bad_lists() {
        refuse("--endpoints=", r#"invalid value "" for --endpoints: empty list"#);
        refuse("--listen-addr=", r#"invalid value "" for --listen-addr: empty list"#);
        for text in [",", "a:1,", ",a:1", "a:1,,b:2", "a:1, ,b:2", "a:1,'',b:2"] {
            let want = format!("invalid value {text:?} for --endpoints: empty item in the list");
            refuse(&format!("--endpoints={text}"), &want);
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

    /// A list of this many items.
    fn many(count: usize) -> String {
        let items: Vec<String> = (1..=count).map(|port| format!("a:{port}")).collect();
        items.join(",")
    }

    #[test]
    fn lists_have_a_length() {
        check(
            &format!("--endpoints={}", many(ENDPOINTS_MAX)),
            |config| config.endpoints.addresses.len(),
            ENDPOINTS_MAX,
        );
        refuse(
            &format!("--endpoints={}", many(ENDPOINTS_MAX + 1)),
            r#"invalid value "a:257" for --endpoints: more than 256 addresses"#,
        );
        check(
            &format!("--listen-addr={}", many(LISTENERS_MAX)),
            |config| config.listen.addresses.len(),
            LISTENERS_MAX,
        );
        refuse(
            &format!("--listen-addr={}", many(LISTENERS_MAX + 1)),
            r#"invalid value "a:17" for --listen-addr: more than 16 addresses"#,
        );
    }

    #[test]
    fn reuse_port() {
        check("--reuse-port", |config| config.listen.reuse_port, true);
        check("--reuse-port=1", |config| config.listen.reuse_port, true);
        check("--reuse-port=false", |config| config.listen.reuse_port, false);
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
            assert!(!alone.listen.reuse_port);
        }
    }

    #[test]
    fn durations() {
        check("--retry-delay=1ns", |config| config.endpoints.retry_delay, Duration::from_nanos(1));
        check("--retry-delay=8760h", |config| config.endpoints.retry_delay, DURATION_MAX);
        check(
            "--retry-delay=1.5s",
            |config| config.endpoints.retry_delay,
            Duration::from_millis(1500),
        );
        check(
            "--connect-timeout=+20ms",
            |config| config.time_limits.connect_timeout,
            seconds(1) / 50,
        );
        check(
            "--half-close-timeout=1h30m",
            |c| c.time_limits.half_close_timeout,
            Some(seconds(5400)),
        );
        check("--half-close-timeout=0", |config| config.time_limits.half_close_timeout, None);
        check("--idle-timeout=1m", |config| config.time_limits.idle_timeout, Some(seconds(60)));
        check("--idle-timeout=-0s", |config| config.time_limits.idle_timeout, None);
        check("--listen-retry=0", |config| config.listen.retry, Duration::ZERO);
        check("--listen-retry=1m", |config| config.listen.retry, seconds(60));
        check("--drain-timeout=0", |config| config.time_limits.drain_timeout, Duration::ZERO);
        check("--drain-timeout=2s", |config| config.time_limits.drain_timeout, seconds(2));
    }

    #[test]
    fn tcp_user_timeout_is_in_milliseconds() {
        check("--tcp-user-timeout=0", |config| config.time_limits.tcp_user_timeout, None);
        check(
            "--tcp-user-timeout=2s",
            |config| config.time_limits.tcp_user_timeout,
            Some(seconds(2)),
        );
        let millisecond = Duration::from_millis(1);
        check(
            "--tcp-user-timeout=1ns",
            |config| config.time_limits.tcp_user_timeout,
            Some(millisecond),
        );
        check(
            "--tcp-user-timeout=1.1ms",
            |c| c.time_limits.tcp_user_timeout,
            Some(2 * millisecond),
        );
        let longest = Some(TCP_USER_TIMEOUT_MAX);
        check(
            "--tcp-user-timeout=2147483647ms",
            |config| config.time_limits.tcp_user_timeout,
            longest,
        );
        let range = "for --tcp-user-timeout: must be at most 596h31m23.647s";
        let want = format!(r#"invalid value "2147483647.1ms" {range}"#);
        refuse("--tcp-user-timeout=2147483647.1ms", &want);
    }

    #[test]
    fn keepalive_is_in_seconds() {
        check("--keepalive=0", |config| config.time_limits.keepalive, None);
        check("--keepalive=1ns", |config| config.time_limits.keepalive, Some(seconds(1)));
        check("--keepalive=1s", |config| config.time_limits.keepalive, Some(seconds(1)));
        check("--keepalive=1.001s", |config| config.time_limits.keepalive, Some(seconds(2)));
        check("--keepalive=32766.5s", |config| config.time_limits.keepalive, Some(KEEPALIVE_MAX));
        refuse(
            "--keepalive=32767.5s",
            r#"invalid value "32767.5s" for --keepalive: must be at most 9h6m7s"#,
        );
    }

    /// Each flag with a duration, in the range of its row.
    #[test]
    fn bad_durations() {
        for flag in FLAGS {
            let Kind::Duration(range) = &flag.kind else { continue };
            for (value, reason) in [
                ("-1s", "must not be negative"),
                ("-1ns", "must not be negative"),
                ("", "not a duration such as 500ms or 1m30s"),
                ("soon", "not a duration such as 500ms or 1m30s"),
                ("3", "missing unit, as in 30s"),
                ("1d", r#"unknown unit "d"; known are ns, us, ms, s, m, h"#),
                ("9999999h", "too long"),
            ] {
                refuse_value(flag, value, reason);
            }
            let name = flag.name;
            for value in ["0", "0s", "-0", "0.1ns"] {
                match range.is_above_zero {
                    true => refuse_value(flag, value, "must be above 0"),
                    false => drop(configure(&[&format!("--{name}={value}")]).expect(name)),
                }
            }
            let longest = format_duration(range.max);
            let reason = format!("must be at most {longest}");
            refuse_value(flag, &format!("{longest}1ns"), &reason);
            configure(&[&format!("--{name}={longest}")]).expect(name);
        }
        refuse_value(&RETRY_DELAY, "0", "must be above 0");
        refuse_value(&CONNECT_TIMEOUT, "0", "must be above 0");
    }

    #[track_caller]
    fn refuse_value(flag: &Flag, value: &str, reason: &str) {
        let want = format!("invalid value {value:?} for --{}: {reason}", flag.name);
        refuse(&format!("--{}={value}", flag.name), &want);
    }

    #[test]
    fn max_connections() {
        check("--max-connections=1", |config| config.limits.connections_max, Some(1));
        check("--max-connections=0010", |config| config.limits.connections_max, Some(10));
        check("--max-connections=1048576", |c| c.limits.connections_max, Some(CONNECTIONS_MAX));
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
            check(&format!("--log-level={value}"), |config| config.log.level, Some(want));
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
    fn deferred_options_are_set_long_before_they_matter() {
        for (arguments, want) in [
            (&[][..], DEFERRED_OPTIONS_AGE),
            (&["--tcp-user-timeout=4s"], DEFERRED_OPTIONS_AGE / 2),
            (&["--keepalive=2s"], DEFERRED_OPTIONS_AGE / 4),
            (&["--tcp-user-timeout=0"], DEFERRED_OPTIONS_AGE),
            (&["--keepalive=0"], DEFERRED_OPTIONS_AGE),
            (&["--tcp-user-timeout=0", "--keepalive=0"], DEFERRED_OPTIONS_AGE),
        ] {
            let config = configure(arguments).expect("valid");
            assert_eq!(config.deferred_options_after(), want, "{arguments:?}");
        }
    }
}
