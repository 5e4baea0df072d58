//! What was typed: words and flags as text, and the help text.
//!
//! Nothing here knows what a value means; `config.rs` turns [`Typed`] into a checked
//! configuration. What etcd's own command line (pflag and cobra) takes is taken: flags before,
//! between or after the words, `--flag value` and `--flag=value`, the last of several.

mod quotes;
mod secret;
mod suggest;
mod words;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use getopts::{Fail, HasArg, Matches, Occur, Options};

pub use quotes::unquoted;
pub use secret::has_password;
use secret::masked;
use suggest::nearest;
use words::{asks_for_help, check_words};

/// Names of the flags, without the dashes.
pub mod flag {
    /// Where clients connect.
    pub const LISTEN_ADDR: &str = "listen-addr";
    /// How long to wait for those addresses.
    pub const LISTEN_RETRY: &str = "listen-retry";
    /// Whether other processes may listen there, too.
    pub const REUSE_PORT: &str = "reuse-port";
    /// The servers behind the gateway.
    pub const ENDPOINTS: &str = "endpoints";
    /// Ceiling of the back-off before an inactive endpoint is dialed again.
    pub const RETRY_DELAY: &str = "retry-delay";
    /// Domain whose SRV records name the endpoints.
    pub const DISCOVERY_SRV: &str = "discovery-srv";
    /// Suffix of the SRV service name.
    pub const DISCOVERY_SRV_NAME: &str = "discovery-srv-name";
    /// Whether SRV records without TLS are used too.
    pub const INSECURE_DISCOVERY: &str = "insecure-discovery";
    /// Authority that certifies discovered endpoints.
    pub const TRUSTED_CA_FILE: &str = "trusted-ca-file";
    /// Longest wait for one endpoint.
    pub const CONNECT_TIMEOUT: &str = "connect-timeout";
    /// Longest wait for an acknowledgement.
    pub const TCP_USER_TIMEOUT: &str = "tcp-user-timeout";
    /// Idle time before a keepalive probe, and between probes.
    pub const KEEPALIVE: &str = "keepalive";
    /// Longest silence of a half-closed connection.
    pub const HALF_CLOSE_TIMEOUT: &str = "half-close-timeout";
    /// Longest silence of an open connection.
    pub const IDLE_TIMEOUT: &str = "idle-timeout";
    /// Most client connections at a time.
    pub const MAX_CONNECTIONS: &str = "max-connections";
    /// Time for running connections after a signal.
    pub const DRAIN_TIMEOUT: &str = "drain-timeout";
    /// Least severe lines that are logged.
    pub const LOG_LEVEL: &str = "log-level";
    /// The help text.
    pub const HELP: &str = "help";
    /// Name and version.
    pub const VERSION: &str = "version";
}

/// Flags that need a value.
const FLAGS_WITH_VALUE: [&str; 15] = [
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

/// Booleans, as those of pflag: alone or with a value after an equals sign, never as a next word.
const SWITCHES: [&str; 2] = [flag::REUSE_PORT, flag::INSECURE_DISCOVERY];

/// Called under this name (through a link), we are `etcd gateway start` and nothing else of etcd:
/// a bare `etcd` means a database server, and must not become a gateway.
const ETCD_NAME: &str = "etcd";

/// Laid out by hand, because getopts cannot group. Tests hold it to the flags and the defaults.
const HELP: &str = "\
A small TCP gateway in front of etcd: a drop-in for `etcd gateway start`.

Usage: etcd-gateway [[gateway] start] [flags]
       etcd-gateway help | version
       etcd gateway start [flags]                through a link named etcd

Flags stand before, between or after the words, as --flag=value or --flag value. Of a flag given
twice the last counts, except where repeatable. Quotation marks and blanks around a value, or
around an item of a list, are dropped. Durations are written as in Go: 500ms, 1.5s, 1m0s, 1h30m;
at most 8760h0m0s (a year).

Listening:
  --listen-addr ADDRESS,...    where clients connect: host:port, [v6]:port, or :port for every
                               address of both families; port 0 lets the kernel choose;
                               repeatable (default 127.0.0.1:23790)
  --listen-retry DURATION      waits so long for an address that is not there yet or still taken,
                               0 = not at all (default 0s)
  --reuse-port                 shares the addresses with other gateways of the same user that have
                               this flag, too, and the kernel spreads new clients over all of
                               them (SO_REUSEPORT, socket(7)); takes a port other than 0

Endpoints:
  --endpoints ENDPOINT,...     servers to connect clients to: host:port, [v6]:port, or an http(s)
                               URL, whose scheme and path are dropped; 0.0.0.0 and [::] mean this
                               host. ?priority=N&weight=N (each 0-65535, default 0 and 1): the
                               lowest priority that has a working endpoint is used, by weight;
                               repeatable (default 127.0.0.1:2379). Names are looked up again as
                               their answers end, and after a failed connection
  --retry-delay DURATION       longest pause before a failed endpoint is dialed again, above 0;
                               pauses begin at 1s and grow (default 1m0s)

Time limits:
  --connect-timeout DURATION   for connecting to one endpoint, above 0; the next one is tried
                               then (default 1s)
  --tcp-user-timeout DURATION  how long data may stay unacknowledged before the connection is
                               reset, both sides, in steps of 1ms. Linux also counts the time
                               in which a peer reads nothing, its window being zero (tcp(7));
                               at most 596h31m23.647s, 0 = kernel default (default 30s)
  --keepalive DURATION         idle time before the first TCP keepalive probe and between
                               probes, both sides, in steps of 1s. A peer is given up after 9
                               probes or, unless that is 0, after --tcp-user-timeout (tcp(7));
                               at most 9h6m7s, 0 = off (default 15s)
  --half-close-timeout DURATION
                               closes a half-closed connection without progress, 0 = never
                               (default 5m0s)
  --idle-timeout DURATION      closes an open connection without data, 0 = never (default 0s)
  --drain-timeout DURATION     how long connections may go on after SIGTERM or SIGINT, 0 = not at
                               all; a second signal ends at once (default 10s)

Discovery by DNS:
  --discovery-srv DOMAIN       domain whose SRV records name the endpoints, as etcd has it:
                               _etcd-client-ssl._tcp.DOMAIN and _etcd-client._tcp.DOMAIN. Typed
                               endpoints are used only while the records list none
  --discovery-srv-name NAME    makes that _etcd-client-ssl-NAME and _etcd-client-NAME
  --insecure-discovery         uses all that the records list; without this flag only members that
                               show, by a TLS handshake, a certificate for DOMAIN
  --trusted-ca-file FILE       certificates (PEM) of the authorities that this one must come from
                               (default: those that the system trusts)

Limits and log:
  --max-connections N          client connections at a time, 1-1048576; more wait in the kernel's
                               backlog (default: what the descriptor limit allows)
  --log-level LEVEL            off, error, warn, info, debug or trace; RUST_LOG is used when this
                               flag is absent (default info)

  -h, --help                   this text, as the word help
  --version                    name and version, as the word version

Exit status: 0 after an orderly end, 1 when it could not start or go on, 2 for bad usage; the
reason of 1 and 2 is one line on stderr.

Example:
  etcd-gateway start --endpoints=10.0.0.1:2379,10.0.0.2:2379,'10.0.0.3:2379?priority=1'
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, and it is taken apart at once")]
pub enum Invocation {
    /// Print this text, which ends with a newline, to stdout.
    Help(String),
    /// Print this text, which ends with a newline, to stdout.
    Version(String),
    /// Run the gateway.
    Run(Typed),
}

/// The values as typed but for what [`unquoted`] takes away, and unchecked; `None` or empty where
/// the flag was absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// Every occurrence, each possibly a comma-separated list.
    pub listen_addr: Vec<String>,
    /// A duration.
    pub listen_retry: Option<String>,
    /// A boolean; `true` where the flag stood alone.
    pub reuse_port: Option<String>,
    /// Every occurrence, each possibly a comma-separated list.
    pub endpoints: Vec<String>,
    /// A duration.
    pub retry_delay: Option<String>,
    /// A domain.
    pub discovery_srv: Option<String>,
    /// A name.
    pub discovery_srv_name: Option<String>,
    /// A boolean; `true` where the flag stood alone.
    pub insecure_discovery: Option<String>,
    /// A path.
    pub trusted_ca_file: Option<String>,
    /// A duration.
    pub connect_timeout: Option<String>,
    /// A duration.
    pub tcp_user_timeout: Option<String>,
    /// A duration.
    pub keepalive: Option<String>,
    /// A duration.
    pub half_close_timeout: Option<String>,
    /// A duration.
    pub idle_timeout: Option<String>,
    /// A count.
    pub max_connections: Option<String>,
    /// A duration.
    pub drain_timeout: Option<String>,
    /// A level's name.
    pub log_level: Option<String>,
}

/// Bad usage: exit status 2. Displays as one line that names flag and value, whatever was typed,
/// and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    /// A value that the flag cannot take, and why. `reason` is one line.
    pub fn invalid(flag: &str, value: &str, reason: impl fmt::Display) -> UsageError {
        UsageError(format!("invalid value {:?} for --{flag}: {reason}", masked(value)))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Reads a command line, whose first item is the name we were called by.
///
/// # Errors
/// [`UsageError`] for an unknown flag, a missing or superfluous value, an argument that is not
/// UTF-8, and words other than `start`, `gateway start`, `help` and `version`.
pub fn parse(mut argv: impl Iterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let program = argv.next().unwrap_or_default();
    let arguments = argv.map(utf8).collect::<Result<Vec<String>, UsageError>>()?;
    let matches = options().parse(&arguments).map_err(|fail| refused(fail, &arguments))?;
    let words: Vec<&str> = matches.free.iter().map(String::as_str).collect();
    if matches.opt_present(flag::HELP) || asks_for_help(&words) {
        return Ok(Invocation::Help(HELP.to_owned()));
    }
    if matches.opt_present(flag::VERSION) || words == [flag::VERSION] {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Invocation::Version(format!("etcd-gateway {version}\n")));
    }
    check_words(&words, is_etcd(&program))?;
    Ok(Invocation::Run(typed(&matches)))
}

/// getopts would refuse it too, but as an unknown option, whatever it is.
fn utf8(argument: OsString) -> Result<String, UsageError> {
    argument
        .into_string()
        .map_err(|raw| UsageError(masked(&format!("argument {raw:?} is not UTF-8"))))
}

/// Every flag may be repeated, as with pflag; getopts' `optopt` would refuse a second one.
fn options() -> Options {
    let mut options = Options::new();
    for name in FLAGS_WITH_VALUE {
        options.optmulti("", name, "", "");
    }
    for name in SWITCHES {
        options.opt("", name, "", "", HasArg::Maybe, Occur::Multi);
    }
    options.optflagmulti("h", flag::HELP, "");
    options.optflagmulti("", flag::VERSION, "");
    options
}

/// The same words for what getopts found wrong as for everything else.
fn refused(fail: Fail, arguments: &[String]) -> UsageError {
    UsageError(match fail {
        Fail::UnrecognizedOption(name) => {
            format!("unknown flag {}; {}", dashed(&name), advice(&name, arguments))
        }
        Fail::ArgumentMissing(name) => format!("missing value for {}", dashed(&name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", dashed(&name)),
        // Every option is optional and may be repeated.
        Fail::OptionMissing(name) | Fail::OptionDuplicated(name) => {
            unreachable!("option {name} is neither required nor unique")
        }
    })
}

/// What to write instead of an unknown flag.
fn advice(name: &str, arguments: &[String]) -> String {
    let known = || FLAGS_WITH_VALUE.into_iter().chain(SWITCHES).chain([flag::HELP, flag::VERSION]);
    // One line of a manifest is often meant as two arguments and is one.
    if let Some((first, _)) = name.split_once(char::is_whitespace)
        && known().any(|flag| flag == first)
    {
        return format!("a value follows as --{first}=VALUE, or as an argument of its own");
    }
    // One dash begins short flags, of which getopts names the first that it does not know.
    let is_cut = |argument: &&String| {
        let short = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        short.is_some_and(|letters| letters.contains(name))
    };
    let short = arguments.iter().find(|it| name.chars().count() == 1 && is_cut(it));
    let typed = short.map_or(name, |argument| argument.trim_start_matches('-'));
    let typed = typed.split('=').next().unwrap_or(typed);
    match nearest(typed, known()) {
        Some(flag) => format!("the nearest is --{flag}, see --help"),
        None => "see --help".to_owned(),
    }
}

/// The name as it was typed; getopts drops the dashes. Escaped, so that it stays on one line.
fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", masked(name).escape_debug())
}

fn is_etcd(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(ETCD_NAME))
}

fn typed(matches: &Matches) -> Typed {
    let all = |name: &str| -> Vec<String> {
        matches.opt_strs(name).iter().map(|value| unquoted(value).to_owned()).collect()
    };
    let last = |name: &str| all(name).pop();
    Typed {
        listen_addr: all(flag::LISTEN_ADDR),
        listen_retry: last(flag::LISTEN_RETRY),
        reuse_port: last_switch(matches, flag::REUSE_PORT),
        endpoints: all(flag::ENDPOINTS),
        retry_delay: last(flag::RETRY_DELAY),
        discovery_srv: last(flag::DISCOVERY_SRV),
        discovery_srv_name: last(flag::DISCOVERY_SRV_NAME),
        insecure_discovery: last_switch(matches, flag::INSECURE_DISCOVERY),
        trusted_ca_file: last(flag::TRUSTED_CA_FILE),
        connect_timeout: last(flag::CONNECT_TIMEOUT),
        tcp_user_timeout: last(flag::TCP_USER_TIMEOUT),
        keepalive: last(flag::KEEPALIVE),
        half_close_timeout: last(flag::HALF_CLOSE_TIMEOUT),
        idle_timeout: last(flag::IDLE_TIMEOUT),
        max_connections: last(flag::MAX_CONNECTIONS),
        drain_timeout: last(flag::DRAIN_TIMEOUT),
        log_level: last(flag::LOG_LEVEL),
    }
}

/// The last value of a boolean, which is `true` where it stood alone; getopts' values leave those
/// out, so the positions tell.
fn last_switch(matches: &Matches, name: &str) -> Option<String> {
    let last = matches.opt_positions(name).pop()?;
    let typed = matches.opt_strs_pos(name).pop().filter(|(position, _)| *position == last);
    Some(typed.map_or_else(|| "true".to_owned(), |(_, value)| unquoted(&value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn parse_words(line: &[&str]) -> Result<Invocation, UsageError> {
        parse(line.iter().map(OsString::from))
    }

    /// The typed values of a command line of our own name that must be accepted.
    #[track_caller]
    fn typed_of(arguments: &[&str]) -> Typed {
        let line = [&["etcd-gateway"], arguments].concat();
        match parse_words(&line) {
            Ok(Invocation::Run(typed)) => typed,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn refuse(line: &[&str], want: &str) {
        let error = parse_words(line).expect_err(want);
        assert_eq!(error.to_string(), want, "{line:?}");
    }

    #[test]
    fn accepted_words() {
        assert_eq!(typed_of(&[]), Typed::default());
        assert_eq!(typed_of(&["start"]), Typed::default());
        assert_eq!(typed_of(&["gateway", "start"]), Typed::default());
        assert_eq!(typed_of(&["gateway", "--", "start"]), Typed::default());
        let no_name = parse(std::iter::empty());
        assert_eq!(no_name, Ok(Invocation::Run(Typed::default())));
    }

    #[test]
    fn refused_words() {
        refuse(&["g", "gateway"], "missing word `start` after `gateway`");
        for (line, stray, nearest) in [
            (&["run"][..], "run", ""),
            (&["start", "now"], "now", ""),
            (&["start", "gateway"], "gateway", ""),
            (&["start", "start"], "start", ""),
            (&["gateway", "stop"], "stop", ""),
            (&["gateway", "gateway", "start"], "gateway", ""),
            (&["gateway", "start", "x", "y"], "x", ""),
            (&["gateway", "start", "start"], "start", ""),
            (&["Start"], "Start", "start"),
            (&["strat"], "strat", "start"),
            (&["gateway", "strat"], "strat", "start"),
            (&["gatway", "start"], "gatway", "gateway"),
            (&["halp"], "halp", "help"),
            (&["help", "me"], "help", ""),
            (&["help", "help"], "help", ""),
            (&["version", "start"], "version", ""),
            (&[""], "", ""),
            (&["-"], "-", ""),
            (&["a\nb"], "a\nb", ""),
            (&["start", "--", "--retry-delay=1s"], "--retry-delay=1s", ""),
            (&["--insecure-discovery", "true"], "true", ""),
            (&["--reuse-port", "true"], "true", ""),
        ] {
            let nearest = match nearest {
                "" => String::new(),
                word => format!("the nearest is {word}, "),
            };
            let want = format!("stray word {stray:?}; {nearest}see --help");
            refuse(&[&["g"], line].concat(), &want);
        }
    }

    #[test]
    fn as_etcd_the_words_are_required() {
        let message = "called as etcd, only `etcd gateway start` is served";
        for program in ["etcd", "/usr/bin/etcd", "./etcd"] {
            refuse(&[program], message);
            refuse(&[program, "--endpoints=a:1"], message);
            refuse(&[program, "start"], message);
            refuse(&[program, "gateway"], "missing word `start` after `gateway`");
            let stray = r#"stray word "grpc-proxy"; see --help"#;
            refuse(&[program, "grpc-proxy", "start"], stray);
            let served = parse_words(&[program, "gateway", "--endpoints=a:1", "start"]);
            assert!(matches!(served, Ok(Invocation::Run(_))), "{program}: {served:?}");
        }
        for program in ["etcd-gateway", "/etcd/gateway", "etcd.bin", "ETCD", ""] {
            let bare = parse_words(&[program]);
            assert_eq!(bare, Ok(Invocation::Run(Typed::default())), "{program}");
        }
    }

    #[test]
    fn flags_stand_anywhere() {
        let want = Typed { retry_delay: Some("1s".to_owned()), ..Typed::default() };
        assert_eq!(typed_of(&["--retry-delay=1s"]), want);
        assert_eq!(typed_of(&["--retry-delay", "1s"]), want);
        assert_eq!(typed_of(&["--retry-delay=1s", "gateway", "start"]), want);
        assert_eq!(typed_of(&["gateway", "--retry-delay=1s", "start"]), want);
        assert_eq!(typed_of(&["gateway", "--retry-delay", "1s", "start"]), want);
        assert_eq!(typed_of(&["gateway", "start", "--retry-delay=1s"]), want);
        assert_eq!(typed_of(&["start", "--retry-delay", "1s"]), want);
    }

    #[test]
    fn the_last_value_wins_but_lists_add_up() {
        let typed = typed_of(&[
            "--retry-delay=1s",
            "--retry-delay",
            "2s",
            "--endpoints=a:1,b:2",
            "--listen-addr=:1",
            "--endpoints",
            "c:3",
            "--listen-addr=:2",
        ]);
        assert_eq!(typed.retry_delay.as_deref(), Some("2s"));
        assert_eq!(typed.endpoints, ["a:1,b:2", "c:3"]);
        assert_eq!(typed.listen_addr, [":1", ":2"]);
    }

    #[test]
    fn values_are_kept_as_typed() {
        assert_eq!(typed_of(&["--retry-delay="]).retry_delay.as_deref(), Some(""));
        assert_eq!(typed_of(&["--retry-delay", ""]).retry_delay.as_deref(), Some(""));
        assert_eq!(typed_of(&["--retry-delay", "-1s"]).retry_delay.as_deref(), Some("-1s"));
        assert_eq!(typed_of(&["--retry-delay=-1s"]).retry_delay.as_deref(), Some("-1s"));
        assert_eq!(typed_of(&["--endpoints=a:1?weight=2"]).endpoints, ["a:1?weight=2"]);
        assert_eq!(typed_of(&["--endpoints="]).endpoints, [""]);
    }

    /// Each flag, whatever its kind, since a file of settings quotes them all alike.
    #[test]
    fn quotes_and_blanks_around_a_value_are_dropped() {
        for name in FLAGS_WITH_VALUE {
            let plain = typed_of(&[&format!("--{name}=a:1")]);
            for value in ["\"a:1\"", "'a:1'", "a:1\n", " a:1 ", "\"'a:1'\"\r\n"] {
                assert_eq!(typed_of(&[&format!("--{name}={value}")]), plain, "{name} {value:?}");
                assert_eq!(typed_of(&[&format!("--{name}"), value]), plain, "{name} {value:?}");
            }
        }
        for name in SWITCHES {
            let plain = typed_of(&[&format!("--{name}=false")]);
            assert_eq!(typed_of(&[&format!("--{name}='false'\n")]), plain, "{name}");
        }
    }

    /// Gives every flag its own name as its value, so that a mix-up of two would show.
    #[test]
    fn every_flag_reaches_its_field() {
        let line: Vec<String> = FLAGS_WITH_VALUE.iter().map(|n| format!("--{n}={n}")).collect();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let value = |name: &str| Some(name.to_owned());
        let want = Typed {
            listen_addr: vec!["listen-addr".to_owned()],
            listen_retry: value("listen-retry"),
            reuse_port: None,
            endpoints: vec!["endpoints".to_owned()],
            retry_delay: value("retry-delay"),
            discovery_srv: value("discovery-srv"),
            discovery_srv_name: value("discovery-srv-name"),
            insecure_discovery: None,
            trusted_ca_file: value("trusted-ca-file"),
            connect_timeout: value("connect-timeout"),
            tcp_user_timeout: value("tcp-user-timeout"),
            keepalive: value("keepalive"),
            half_close_timeout: value("half-close-timeout"),
            idle_timeout: value("idle-timeout"),
            max_connections: value("max-connections"),
            drain_timeout: value("drain-timeout"),
            log_level: value("log-level"),
        };
        assert_eq!(typed_of(&line), want);
    }

    #[test]
    fn a_boolean_stands_alone_or_takes_a_value_after_equals() {
        let fields: [fn(&Typed) -> &Option<String>; 2] =
            [|typed| &typed.reuse_port, |typed| &typed.insecure_discovery];
        for (name, field) in SWITCHES.iter().zip(fields) {
            let check = |arguments: &[&str], want: Option<&str>| {
                let line: Vec<String> = arguments
                    .iter()
                    .map(|text| text.replace("--x", &format!("--{name}")))
                    .collect();
                let typed = typed_of(&line.iter().map(String::as_str).collect::<Vec<_>>());
                assert_eq!(field(&typed).as_deref(), want, "{line:?}");
            };
            check(&[], None);
            check(&["--x"], Some("true"));
            check(&["--x", "start"], Some("true"));
            check(&["--x=true"], Some("true"));
            check(&["--x=false"], Some("false"));
            check(&["--x="], Some(""));
            check(&["--x", "--x=false"], Some("false"));
            check(&["--x=true", "--x=false", "--x"], Some("true"));
        }
    }

    #[test]
    fn refused_flags() {
        let see = |flag: &str| format!("unknown flag {flag}; see --help");
        let near = |flag: &str, known: &str| {
            format!("unknown flag {flag}; the nearest is {known}, see --help")
        };
        refuse(&["g", "--frob"], &see("--frob"));
        refuse(&["g", "--frob=1"], &see("--frob"));
        refuse(&["g", "start", "--Endpoints=a:1"], &near("--Endpoints", "--endpoints"));
        refuse(&["g", "--endpoint=a:1"], &near("--endpoint", "--endpoints"));
        refuse(&["g", "--listen=:1"], &near("--listen", "--listen-addr"));
        refuse(&["g", "--listen_addr=:1"], &near("--listen_addr", "--listen-addr"));
        refuse(&["g", "--reuseport"], &near("--reuseport", "--reuse-port"));
        refuse(&["g", "--vresion"], &near("--vresion", "--version"));
        refuse(&["g", "--data-dir=x"], &see("--data-dir"));
        refuse(&["g", "-x"], &see("-x"));
        refuse(&["g", "-endpoints=a:1"], &near("-e", "--endpoints"));
        refuse(&["g", "-help"], &near("-e", "--help"));
        refuse(&["g", "-é"], &see("-é"));
        refuse(&["g", "--=1"], &see("--"));
        refuse(&["g", "---help"], &near("---help", "--help"));
        refuse(&["g", "--a\nb"], &see(r"--a\nb"));
        refuse(
            &["g", "--endpoints a:1,b:2"],
            "unknown flag --endpoints a:1,b:2; a value follows as --endpoints=VALUE, or as an \
             argument of its own",
        );
        refuse(&["g", "--endpoints"], "missing value for --endpoints");
        refuse(&["g", "start", "--retry-delay"], "missing value for --retry-delay");
        refuse(&["g", "--help=yes"], "--help takes no value");
        refuse(&["g", "--version=1"], "--version takes no value");
    }

    #[test]
    fn arguments_that_are_not_utf8() {
        for raw in [&b"\xff"[..], b"--endpoints=\xff", b"--\xff=1", b"-\xff"] {
            let line = [OsString::from("g"), OsString::from_vec(raw.to_vec())];
            let error = parse(line.into_iter()).expect_err("not UTF-8").to_string();
            assert!(error.ends_with("is not UTF-8"), "{error}");
            assert!(error.contains(r"\xFF"), "{error}");
        }
        let program = OsString::from_vec(b"/\xff/etcd".to_vec());
        let error = parse([program].into_iter()).expect_err("a bare etcd");
        assert!(error.to_string().contains("called as etcd"), "{error}");
    }

    #[test]
    fn help_and_version() {
        let help = Ok(Invocation::Help(HELP.to_owned()));
        for line in [
            &["-h"][..],
            &["--help"],
            &["gateway", "-h"],
            &["start", "--help", "--help"],
            &["help"],
            &["help", "start"],
            &["help", "gateway"],
            &["gateway", "help"],
            &["gateway", "help", "start"],
            &["gateway", "start", "help"],
            &["help", "--endpoints=a:1"],
        ] {
            assert_eq!(parse_words(&[&["g"], line].concat()), help, "{line:?}");
            assert_eq!(parse_words(&[&["etcd"], line].concat()), help, "{line:?}");
        }
        assert_eq!(parse_words(&["g", "--version", "-h", "x"]), help);
        let want = format!("etcd-gateway {}\n", env!("CARGO_PKG_VERSION"));
        for line in [&["etcd", "--version"][..], &["g", "version"], &["etcd", "version"]] {
            assert_eq!(parse_words(line), Ok(Invocation::Version(want.clone())), "{line:?}");
        }
    }

    #[test]
    fn help_fits_and_says_what_it_must() {
        for line in HELP.lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert!(!line.ends_with(' '), "{line}");
        }
        assert!(HELP.ends_with('\n'));
        for text in ["?priority=N&weight=N", "Exit status: 0 ", "window being zero (tcp(7))"] {
            assert!(HELP.contains(text), "{text}");
        }
    }

    /// Each flag has its own line in the help, and each line of a flag names a known one.
    #[test]
    fn help_names_exactly_the_registered_flags() {
        let usage = options().usage("");
        let mut registered: Vec<&str> = usage.lines().filter_map(flag_of).collect();
        registered.sort_unstable();
        assert_eq!(registered.len(), FLAGS_WITH_VALUE.len() + SWITCHES.len() + 2);
        let mut named: Vec<&str> = HELP.lines().filter_map(flag_of).collect();
        named.sort_unstable();
        assert_eq!(named, registered);
    }

    /// The flag that a line of a help text begins with, after its indentation.
    fn flag_of(line: &str) -> Option<&str> {
        let text = line.trim_start();
        if text.len() == line.len() {
            return None;
        }
        let text = text.strip_prefix("-h, ").unwrap_or(text);
        text.strip_prefix("--")?.split([' ', '=']).next()
    }
}
