//! The table of flags: name, kind, default, range, unit, section and help of each, in one row.
//!
//! The parser, the help text, the advice after a typo and the names of environment variables are
//! made from the table, and so is what tests and fuzz targets expect of every flag. A new flag
//! takes three places: a row here, a field in `config/sections.rs` that names the row (a test finds
//! a row without one), and the code that uses the field. Everything compiles and all tests hold
//! with these alone. Beyond them, for its readers and for better checks: a row in README.md, whose
//! defaults are held to the table, what the flag means in `fuzz/src/configuration.rs`, and its name
//! in `fuzz/dictionaries`.
//!
//! ```text
//! arguments ──► parse ──► Typed (what was typed) ──► Config::from_typed (what it means)
//!                 ▲
//!               FLAGS ──► help, suggest
//! ```

mod flag;
mod help;
mod parse;
mod quotes;
mod secret;
mod suggest;
mod typed;
mod usage_error;
mod words;

use std::time::Duration;

use super::limits::{
    ADMIN_LISTENERS_MAX, CLOSE_RATE_MAX, CONNECTIONS_MAX, DURATION_MAX, ENDPOINTS_MAX,
    ETCD_ENDPOINTS_MAX, HEALTH_RESULTS_MAX, KEEPALIVE_MAX, LISTENERS_MAX, LOG_LEVEL_DEFAULT,
    RETRY_DELAY_MIN, TCP_USER_TIMEOUT_MAX,
};

pub use flag::{DurationRange, Flag, Kind, Section};
pub use parse::{Invocation, parse};
pub(super) use quotes::unquoted;
pub(super) use secret::has_password;
pub use typed::Typed;
pub use usage_error::UsageError;

/// A duration of up to a year, to the nanosecond, 0 by default.
const UP_TO_A_YEAR: DurationRange = DurationRange {
    default: Duration::ZERO,
    is_above_zero: false,
    max: DURATION_MAX,
    unit: Duration::from_nanos(1),
};

/// Makes a constant of each row, so that the compiler checks every use of a flag, and [`FLAGS`] of
/// all of them.
macro_rules! table {
    ($($section:ident { $($flag:ident = $name:literal, $kind:expr, $help:literal;)* })*) => {
        $($(
            #[doc = concat!("The row of `--", $name, "`.")]
            pub const $flag: Flag =
                Flag { name: $name, section: Section::$section, kind: $kind, help: $help };
        )*)*

        /// All rows, in the order of the help text.
        pub const FLAGS: &[&Flag] = &[$($(&$flag,)*)*];
    };
}

table! {
    Listening {
        // etcd's default.
        LISTEN_ADDR = "listen-addr",
            Kind::List { value: "ADDRESS,...", default: "127.0.0.1:23790", max: LISTENERS_MAX },
            "where clients connect: host:port, [v6]:port, or :port for every
             address of both families; port 0 lets the kernel choose;
             repeatable (default {default})";

        // By default an address that is not there is a mistake, as for etcd.
        LISTEN_RETRY = "listen-retry",
            Kind::Duration(UP_TO_A_YEAR),
            "waits so long for an address that is not there yet or still taken,
             0 = not at all (default {default})";

        REUSE_PORT = "reuse-port",
            Kind::Boolean,
            "shares the addresses with other gateways of the same user that have
             this flag, too, and the kernel spreads new clients over all of
             them (SO_REUSEPORT, socket(7)); takes a port other than 0";
    }

    Endpoints {
        // etcd's default.
        ENDPOINTS = "endpoints",
            Kind::List { value: "ENDPOINT,...", default: "127.0.0.1:2379", max: ENDPOINTS_MAX },
            "servers to connect clients to: host:port, [v6]:port, or an http(s)
             URL, whose path is dropped; 0.0.0.0 and [::] mean this host.
             ?priority=N&weight=N (each 0-65535, default 0 and 1): the lowest
             priority that has a working endpoint is used, by weight;
             repeatable (default {default}). Names are looked up again as
             their answers end, and after a failed connection";

        // etcd's default. etcd turns 0 into five minutes and spins on a negative duration.
        RETRY_DELAY = "retry-delay",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(60),
                is_above_zero: true,
                ..UP_TO_A_YEAR
            }),
            "longest pause before a failed endpoint is dialed again, above 0;
             pauses begin at 1s and grow (default {default})";
    }

    Health {
        HEALTH_CHECK = "health-check",
            Kind::HealthCheck { default: "auto" },
            "what endpoints are asked: etcd, by POST /v3/maintenance/status,
             whether a member has a leader and is neither learner nor corrupt;
             a path such as /readyz, which has to be answered by 2xx; off,
             nothing; auto, as etcd where an endpoint is an http(s) URL, has
             port 2379, or comes from SRV records or the list of members, and
             answers as etcd does (default {default})";

        HEALTH_INTERVAL = "health-interval",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(5),
                is_above_zero: true,
                unit: Duration::from_millis(1),
                ..UP_TO_A_YEAR
            }),
            "time between two checks of an endpoint, above 0. A sign of trouble,
             such as an answer that does not come, causes a check at once
             (default {default})";

        HEALTH_TIMEOUT = "health-timeout",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(1),
                is_above_zero: true,
                ..UP_TO_A_YEAR
            }),
            "for connecting, and again for the answer, above 0 (default {default})";

        HEALTH_RISE = "health-rise",
            Kind::Count { default: Some(2), max: HEALTH_RESULTS_MAX },
            "passed checks in a row after which an endpoint gets clients again,
             1-{max} (default {default})";

        HEALTH_FALL = "health-fall",
            Kind::Count { default: Some(2), max: HEALTH_RESULTS_MAX },
            "failed checks in a row after which it gets none, 1-{max}
             (default {default})";

        HEALTH_PORT = "health-port",
            Kind::Count { default: None, max: u16::MAX as usize },
            "port where endpoints are asked (default: their own)";

        CLOSE_ON_FAILURE = "close-on-failure",
            Kind::DurationOrNever { max: DURATION_MAX },
            "closes running connections of an endpoint this long after it has
             failed, while another one serves (default: 0s where endpoints
             are asked as etcd, otherwise never)";

        CLOSE_ON_REMOVAL = "close-on-removal",
            Kind::DurationOrNever { max: DURATION_MAX },
            "closes running connections of an endpoint this long after it has
             left the set, while another one serves, unless it has come back
             (default: never)";

        CLOSE_RATE = "close-rate",
            Kind::Count { default: Some(50), max: CLOSE_RATE_MAX },
            "most connections that these two flags close in a second, 1-{max}
             (default {default})";
    }

    Members {
        FOLLOW_MEMBERS = "follow-members",
            Kind::Boolean,
            "takes the endpoints from etcd's list of members: the client URLs of
             those that are started and have a vote. Those of --endpoints or
             --discovery-srv are asked first, and used until a list is known";

        FOLLOW_INTERVAL = "follow-interval",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(30),
                is_above_zero: true,
                ..UP_TO_A_YEAR
            }),
            "time between two looks at that list, above 0; an endpoint that
             fails, or a new leader, causes one at once (default {default})";

        STATE_FILE = "state-file",
            Kind::Text { value: "FILE" },
            "keeps the last list here, and begins with it at the next start";

        PREFER = "prefer",
            Kind::Word { words: &["leader"], default: None },
            "connects new clients to the leader, while it serves; needs health
             checks of etcd (--health-check auto or etcd)";
    }

    TimeLimits {
        // etcdctl itself gives up after two seconds.
        CONNECT_TIMEOUT = "connect-timeout",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(1),
                is_above_zero: true,
                ..UP_TO_A_YEAR
            }),
            "for connecting to one endpoint, above 0; the next one is tried
             then (default {default})";

        // Rounded up: rounded down, less than a millisecond would mean the kernel's default.
        TCP_USER_TIMEOUT = "tcp-user-timeout",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(30),
                max: TCP_USER_TIMEOUT_MAX,
                unit: Duration::from_millis(1),
                ..UP_TO_A_YEAR
            }),
            "how long data may stay unacknowledged before the connection is
             reset, both sides, in steps of 1ms. Linux also counts the time
             in which a peer reads nothing, its window being zero (tcp(7));
             at most {max}, 0 = kernel default (default {default})";

        // The default of Go's net package. Rounded up: the kernel refuses less than a second.
        KEEPALIVE = "keepalive",
            Kind::Duration(DurationRange {
                default: Duration::from_secs(15),
                max: KEEPALIVE_MAX,
                unit: Duration::from_secs(1),
                ..UP_TO_A_YEAR
            }),
            "idle time before the first TCP keepalive probe and between
             probes, both sides, in steps of 1s. A peer is given up after 9
             probes or, unless that is 0, after --tcp-user-timeout (tcp(7));
             at most {max}, 0 = off (default {default})";

        HALF_CLOSE_TIMEOUT = "half-close-timeout",
            Kind::Duration(DurationRange { default: Duration::from_secs(5 * 60), ..UP_TO_A_YEAR }),
            "closes a half-closed connection without progress, 0 = never
             (default {default})";

        // Off by default, since watches are quiet for hours.
        IDLE_TIMEOUT = "idle-timeout",
            Kind::Duration(UP_TO_A_YEAR),
            "closes an open connection without data, 0 = never (default {default})";

        DRAIN_TIMEOUT = "drain-timeout",
            Kind::Duration(DurationRange { default: Duration::from_secs(10), ..UP_TO_A_YEAR }),
            "how long connections may go on after SIGTERM or SIGINT, 0 = not at
             all; a second signal ends at once (default {default})";
    }

    Discovery {
        DISCOVERY_SRV = "discovery-srv",
            Kind::Text { value: "DOMAIN" },
            "domain whose SRV records name the endpoints, as etcd has it:
             _etcd-client-ssl._tcp.DOMAIN and _etcd-client._tcp.DOMAIN. The
             endpoints of --endpoints are used only while the records list none";

        DISCOVERY_SRV_NAME = "discovery-srv-name",
            Kind::Text { value: "NAME" },
            "makes that _etcd-client-ssl-NAME and _etcd-client-NAME";

        INSECURE_DISCOVERY = "insecure-discovery",
            Kind::Boolean,
            "uses all that the records list; without this flag only members that
             show, by a TLS handshake, a certificate for DOMAIN";
    }

    Registry {
        REGISTRY_PREFIX = "registry-prefix",
            Kind::Text { value: "PREFIX" },
            "the endpoints are the values of all keys of etcd with this prefix:
             host:port or a JSON object with it, and perhaps a weight; needs
             --etcd-endpoints. The endpoints of --endpoints are used only
             while there is no such key";

        ETCD_ENDPOINTS = "etcd-endpoints",
            Kind::List { value: "URL,...", default: "", max: ETCD_ENDPOINTS_MAX },
            "members of the etcd that has the registry, one of which is asked:
             host:port, [v6]:port, or an http(s) URL; repeatable";

        USER = "user",
            Kind::Text { value: "NAME" },
            "name to authenticate with there; needs --password-file";

        PASSWORD_FILE = "password-file",
            Kind::Text { value: "FILE" },
            "file with the password; one line break at its end is dropped";
    }

    Tls {
        TRUSTED_CA_FILE = "trusted-ca-file",
            Kind::Text { value: "FILE" },
            "certificates (PEM) of the authorities that a server's must come from
             (default: those that the system trusts)";

        CERT_FILE = "cert-file",
            Kind::Text { value: "FILE" },
            "certificate (PEM) for servers that ask for one, followed by those
             of the authorities in between, if any; needs --key-file";

        KEY_FILE = "key-file",
            Kind::Text { value: "FILE" },
            "its private key (PEM: PKCS #8, PKCS #1 or SEC1)";
    }

    LimitsAndLog {
        MAX_CONNECTIONS = "max-connections",
            Kind::Count { default: None, max: CONNECTIONS_MAX },
            "client connections at a time, 1-{max}; more wait in the kernel's
             backlog (default: what the descriptor limit allows)";

        LOG_LEVEL = "log-level",
            Kind::Level { default: LOG_LEVEL_DEFAULT },
            "off, error, warn, info, debug or trace; RUST_LOG is used when this
             flag is absent (default {default})";
    }

    Admin {
        ADMIN_ADDR = "admin-addr",
            Kind::List { value: "ADDRESS,...", default: "", max: ADMIN_LISTENERS_MAX },
            "where HTTP shows what the gateway does: / is a page, /metrics is
             for Prometheus, /status is JSON, /healthz and /readyz are for
             probes. host:port, [v6]:port, :port, or unix:PATH for a socket in
             the file system; repeatable. Read-only, and open to all who can
             connect";

        ACCESS_LOG = "access-log",
            Kind::Text { value: "FILE" },
            "appends a line for each connection that has ended; - is standard
             output. SIGHUP opens the file again";

        ACCESS_LOG_FORMAT = "access-log-format",
            Kind::Word { words: &["logfmt", "json"], default: Some("logfmt") },
            "how these lines are written (default {default})";
    }

    Status {
        OUTPUT = "output",
            Kind::Word { words: &["table", "json"], default: Some("table") },
            "form of what is printed; json is what /status says (default {default})";

        WATCH = "watch",
            Kind::Boolean,
            "prints it again each second";
    }

    Requests {
        HELP = "help", Kind::Request { letter: "h" }, "this text, as the word help";

        VERSION = "version", Kind::Request { letter: "" }, "name and version, as the word version";
    }
}

const _: () = {
    let mut row = 0;
    while row < FLAGS.len() {
        if let Kind::Duration(range) = &FLAGS[row].kind {
            assert!(range.default.as_nanos() <= range.max.as_nanos());
            assert!(range.max.as_nanos() <= DURATION_MAX.as_nanos());
            assert!(!range.default.is_zero() || !range.is_above_zero);
            assert!(!range.unit.is_zero());
        }
        row += 1;
    }
};
const _: () = {
    let (Kind::Duration(retry), Kind::Duration(connect)) =
        (&RETRY_DELAY.kind, &CONNECT_TIMEOUT.kind)
    else {
        panic!("both are durations")
    };
    assert!(RETRY_DELAY_MIN.as_nanos() <= retry.default.as_nanos());
    // Failover must answer before etcdctl's own two seconds end.
    assert!(connect.default.as_secs() < 2);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_a_name_of_its_own_and_each_section_is_in_one_piece() {
        for (index, flag) in FLAGS.iter().enumerate() {
            assert!(FLAGS[..index].iter().all(|other| other.name != flag.name), "{}", flag.name);
        }
        let mut sections: Vec<Section> = FLAGS.iter().map(|flag| flag.section).collect();
        sections.dedup();
        for (index, section) in sections.iter().enumerate() {
            assert!(!sections[..index].contains(section), "{section:?}");
        }
    }

    /// README may lag behind, but it names no flag that there is not, and no other default.
    #[test]
    fn the_manual_shows_the_defaults_in_force() {
        let rows = include_str!("../../../README.md").lines();
        let mut seen = 0;
        for row in rows.filter_map(|line| line.strip_prefix("| `--")) {
            let (names, rest) = row.split_once(" | ").expect("a second column");
            let shown = rest.split(" |").next().expect("its end").trim_matches('`');
            for name in names.split(", ").map(|name| name.trim_matches(['`', '-'])) {
                let flag = FLAGS.iter().find(|flag| flag.name == name);
                let flag = flag.unwrap_or_else(|| panic!("README.md: no flag --{name}"));
                if let Some(default) = flag.default() {
                    assert_eq!(shown, default, "README.md: --{name}");
                }
                seen += 1;
            }
        }
        assert!(seen >= 17, "README.md: a row begins otherwise; {seen} flags");
    }

    #[test]
    fn variables_are_named_after_flags() {
        assert_eq!(LISTEN_ADDR.variable().as_deref(), Some("ETCD_GATEWAY_LISTEN_ADDR"));
        assert_eq!(KEEPALIVE.variable().as_deref(), Some("ETCD_GATEWAY_KEEPALIVE"));
        assert_eq!(REUSE_PORT.variable().as_deref(), Some("ETCD_GATEWAY_REUSE_PORT"));
        assert_eq!(HELP.variable(), None);
        assert_eq!(VERSION.variable(), None);
    }

    #[test]
    fn defaults_and_ranges_are_shown_as_they_are_typed() {
        for (flag, default, max) in [
            (&LISTEN_ADDR, Some("127.0.0.1:23790"), Some("16")),
            (&RETRY_DELAY, Some("1m0s"), Some("8760h0m0s")),
            (&TCP_USER_TIMEOUT, Some("30s"), Some("596h31m23.647s")),
            (&REUSE_PORT, None, None),
            (&MAX_CONNECTIONS, None, Some("1048576")),
            (&LOG_LEVEL, Some("info"), None),
            (&TRUSTED_CA_FILE, None, None),
            (&HELP, None, None),
        ] {
            assert_eq!(flag.default().as_deref(), default, "{}", flag.name);
            assert_eq!(flag.max().as_deref(), max, "{}", flag.name);
        }
    }

    #[test]
    fn explanations_have_their_numbers_filled_in() {
        for flag in FLAGS {
            let text = flag.explanation().join(" ");
            assert!(!text.is_empty() && !text.contains(['{', '}']), "{}: {text}", flag.name);
            assert!(flag.help.contains("{default}") || flag.default().is_none(), "{}", flag.name);
        }
    }
}
