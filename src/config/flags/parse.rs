//! The parser of the command line: words and flags as text.
//!
//! It does not interpret values; `Config::from_typed` turns [`Typed`] into a checked configuration.
//! It accepts what etcd's own parser (pflag and cobra) accepts: flags before, between or after the
//! words, `--flag value` and `--flag=value`, and of a repeated flag the last value.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use getopts::{Fail, HasArg, Matches, Occur, Options};

use super::secret::masked;
use super::suggest::nearest;
use super::words::{Command, asks_for_help, check_words};
use super::{FLAGS, Flag, HELP, Kind, Typed, UsageError, VERSION, help, unquoted};

/// The program's name of etcd. Under this name (through a link) the program serves `etcd gateway
/// start` and no other command of etcd: a bare `etcd` means a database server and must not become a
/// gateway.
const ETCD_NAME: &str = "etcd";

/// The action that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Print this text, which ends with a newline, to stdout.
    Help(String),
    /// Print this text, which ends with a newline, to stdout.
    Version(String),
    /// Run the gateway.
    Run(Typed),
    /// Show what a running gateway does.
    Status(Typed),
}

/// Reads a command line, whose first item is the program's name.
///
/// # Errors
/// [`UsageError`] for an unknown flag, a missing or superfluous value, an argument that is not
/// UTF-8, and words other than `start`, `gateway start`, `status`, `help` and `version`.
pub fn parse(mut argv: impl Iterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let program = argv.next().unwrap_or_default();
    let arguments = argv.map(utf8).collect::<Result<Vec<String>, UsageError>>()?;
    let matches = options().parse(&arguments).map_err(|fail| refused(fail, &arguments))?;
    let words: Vec<&str> = matches.free.iter().map(String::as_str).collect();
    if matches.opt_present(HELP.name) || asks_for_help(&words) {
        return Ok(Invocation::Help(help::text()));
    }
    if matches.opt_present(VERSION.name) || words == [VERSION.name] {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Invocation::Version(format!("etcd-gateway {version}\n")));
    }
    match check_words(&words, is_etcd(&program))? {
        Command::Start => Ok(Invocation::Run(typed(&matches))),
        Command::Status => Ok(Invocation::Status(typed(&matches))),
    }
}

/// The argument as UTF-8. getopts would refuse any other as an unknown option.
fn utf8(argument: OsString) -> Result<String, UsageError> {
    argument
        .into_string()
        .map_err(|raw| UsageError::new(masked(&format!("argument {raw:?} is not UTF-8"))))
}

/// The flags as getopts knows them. Every flag may be repeated, as with pflag; `optopt` would
/// refuse a second one.
fn options() -> Options {
    let mut options = Options::new();
    for flag in FLAGS {
        match flag.kind {
            Kind::Boolean => options.opt("", flag.name, "", "", HasArg::Maybe, Occur::Multi),
            Kind::Request { letter } => options.optflagmulti(letter, flag.name, ""),
            Kind::List { .. }
            | Kind::Duration(_)
            | Kind::Count { .. }
            | Kind::HealthCheck { .. }
            | Kind::DurationOrNever { .. }
            | Kind::Word { .. }
            | Kind::Level { .. }
            | Kind::Text { .. } => options.optmulti("", flag.name, "", ""),
        };
    }
    options
}

/// The error for an argument that getopts refuses, worded as every other error.
fn refused(fail: Fail, arguments: &[String]) -> UsageError {
    UsageError::new(match fail {
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

/// The advice for an unknown flag.
fn advice(name: &str, arguments: &[String]) -> String {
    // A line of a manifest that was meant as two arguments is often one.
    if let Some((first, _)) = name.split_once(char::is_whitespace)
        && FLAGS.iter().any(|flag| flag.name == first)
    {
        return format!("a value follows as --{first}=VALUE, or as an argument of its own");
    }
    // After one dash each letter is a flag to getopts, which names the first unknown one.
    let mut shorts = arguments.iter().filter_map(|argument| letters(argument));
    let whole = shorts.find(|letters| name.chars().count() == 1 && letters.contains(name));
    let typed = whole.unwrap_or(name);
    let typed = typed.split('=').next().unwrap_or(typed);
    match nearest(typed, FLAGS.iter().map(|flag| flag.name)) {
        Some(flag) => format!("the nearest is --{flag}, see --help"),
        None => "see --help".to_owned(),
    }
}

/// The text after a single dash.
fn letters(argument: &str) -> Option<&str> {
    argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'))
}

/// The flag with its dashes, which getopts drops; escaped, so that it is on one line.
fn dashed(name: &str) -> String {
    let dashes = if name.chars().count() == 1 { "-" } else { "--" };
    format!("{dashes}{}", masked(name).escape_debug())
}

fn is_etcd(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(ETCD_NAME))
}

fn typed(matches: &Matches) -> Typed {
    FLAGS
        .iter()
        .flat_map(|flag| values(matches, flag).into_iter().map(|value| (*flag, value)))
        .collect()
}

/// The values of one flag, in their order.
fn values(matches: &Matches, flag: &Flag) -> Vec<String> {
    match flag.kind {
        Kind::Request { .. } => Vec::new(),
        Kind::Boolean => last_boolean(matches, flag.name).into_iter().collect(),
        _ => matches.opt_strs(flag.name).iter().map(|value| unquoted(value).to_owned()).collect(),
    }
}

/// The last value of a boolean; `true` where the flag has none. getopts lists values alone, so
/// positions show whether the last occurrence has one.
fn last_boolean(matches: &Matches, name: &str) -> Option<String> {
    let last = matches.opt_positions(name).pop()?;
    let typed = matches.opt_strs_pos(name).pop().filter(|(position, _)| *position == last);
    Some(typed.map_or_else(|| "true".to_owned(), |(_, value)| unquoted(&value).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::super::{ENDPOINTS, LISTEN_ADDR, RETRY_DELAY};
    use super::*;

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
    fn status_is_a_command_of_its_own() {
        let want = Ok(Invocation::Status(Typed::from_iter([(&RETRY_DELAY, "1s")])));
        assert_eq!(parse_words(&["g", "status", "--retry-delay=1s"]), want);
        assert_eq!(parse_words(&["g", "--retry-delay", "1s", "status"]), want);
        refuse(&["g", "status", "now"], r#"stray word "now"; see --help"#);
        refuse(&["g", "status", "start"], r#"stray word "start"; see --help"#);
        refuse(&["g", "gateway", "status"], r#"stray word "status"; see --help"#);
        refuse(&["g", "statsu"], r#"stray word "statsu"; the nearest is status, see --help"#);
        let etcd = r#"stray word "status"; the nearest is start, see --help"#;
        refuse(&["etcd", "status"], etcd);
        let help = Ok(Invocation::Help(help::text()));
        assert_eq!(parse_words(&["g", "help", "status"]), help);
        assert_eq!(parse_words(&["g", "status", "--help"]), help);
    }

    #[test]
    fn flags_are_accepted_anywhere() {
        let want = Typed::from_iter([(&RETRY_DELAY, "1s")]);
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
        assert_eq!(typed.last(&RETRY_DELAY), Some("2s"));
        assert_eq!(typed.all(&ENDPOINTS), ["a:1,b:2", "c:3"]);
        assert_eq!(typed.all(&LISTEN_ADDR), [":1", ":2"]);
    }

    #[test]
    fn values_are_kept_as_typed() {
        assert_eq!(typed_of(&["--retry-delay="]).last(&RETRY_DELAY), Some(""));
        assert_eq!(typed_of(&["--retry-delay", ""]).last(&RETRY_DELAY), Some(""));
        assert_eq!(typed_of(&["--retry-delay", "-1s"]).last(&RETRY_DELAY), Some("-1s"));
        assert_eq!(typed_of(&["--retry-delay=-1s"]).last(&RETRY_DELAY), Some("-1s"));
        assert_eq!(typed_of(&["--endpoints=a:1?weight=2"]).all(&ENDPOINTS), ["a:1?weight=2"]);
        assert_eq!(typed_of(&["--endpoints="]).all(&ENDPOINTS), [""]);
    }

    /// Each flag, whatever its kind, since a file of settings quotes them all alike.
    #[test]
    fn quotes_and_blanks_around_a_value_are_dropped() {
        for flag in FLAGS {
            let name = flag.name;
            match flag.kind {
                Kind::Request { .. } => {}
                Kind::Boolean => {
                    let plain = typed_of(&[&format!("--{name}=false")]);
                    assert_eq!(typed_of(&[&format!("--{name}='false'\n")]), plain, "{name}");
                }
                _ => {
                    let plain = typed_of(&[&format!("--{name}=a:1")]);
                    for value in ["\"a:1\"", "'a:1'", "a:1\n", " a:1 ", "\"'a:1'\"\r\n"] {
                        let joined = typed_of(&[&format!("--{name}={value}")]);
                        assert_eq!(joined, plain, "{name} {value:?}");
                        let apart = typed_of(&[&format!("--{name}"), value]);
                        assert_eq!(apart, plain, "{name} {value:?}");
                    }
                }
            }
        }
    }

    /// Gives every flag its own name as its value, so that a mix-up of two would show.
    #[test]
    fn every_flag_is_read_under_its_name() {
        let settings = FLAGS.iter().filter(|flag| !matches!(flag.kind, Kind::Request { .. }));
        let names: Vec<&str> = settings.map(|flag| flag.name).collect();
        let line: Vec<String> = names.iter().map(|name| format!("--{name}={name}")).collect();
        let typed = typed_of(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let mut want: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
        want.sort_unstable();
        assert_eq!(typed.iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn a_boolean_is_alone_or_takes_a_value_after_equals() {
        for flag in FLAGS.iter().filter(|flag| matches!(flag.kind, Kind::Boolean)) {
            for (arguments, want) in [
                (&[][..], None),
                (&["--x"], Some("true")),
                (&["--x", "start"], Some("true")),
                (&["--x=true"], Some("true")),
                (&["--x=false"], Some("false")),
                (&["--x="], Some("")),
                (&["--x", "--x=false"], Some("false")),
                (&["--x=true", "--x=false", "--x"], Some("true")),
            ] {
                let name = format!("--{}", flag.name);
                let line: Vec<String> =
                    arguments.iter().map(|text| text.replace("--x", &name)).collect();
                let typed = typed_of(&line.iter().map(String::as_str).collect::<Vec<_>>());
                assert_eq!(typed.last(flag), want, "{line:?}");
            }
        }
    }

    fn unknown(flag: &str) -> String {
        format!("unknown flag {flag}; see --help")
    }

    fn similar(flag: &str, known: &str) -> String {
        format!("unknown flag {flag}; the nearest is {known}, see --help")
    }

    #[test]
    fn refused_flags() {
        refuse(&["g", "--frob"], &unknown("--frob"));
        refuse(&["g", "--frob=1"], &unknown("--frob"));
        refuse(&["g", "start", "--Endpoints=a:1"], &similar("--Endpoints", "--endpoints"));
        refuse(&["g", "--endpoint=a:1"], &similar("--endpoint", "--endpoints"));
        refuse(&["g", "--listen=:1"], &similar("--listen", "--listen-addr"));
        refuse(&["g", "--listen_addr=:1"], &similar("--listen_addr", "--listen-addr"));
        refuse(&["g", "--reuseport"], &similar("--reuseport", "--reuse-port"));
        refuse(&["g", "--vresion"], &similar("--vresion", "--version"));
        refuse(&["g", "--data-dir=x"], &unknown("--data-dir"));
        refuse(&["g", "-x"], &unknown("-x"));
        refuse(&["g", "-endpoints=a:1"], &similar("-e", "--endpoints"));
        refuse(&["g", "-help"], &similar("-e", "--help"));
        refuse(&["g", "-é"], &unknown("-é"));
        refuse(&["g", "--=1"], &unknown("--"));
        refuse(&["g", "---help"], &similar("---help", "--help"));
        refuse(&["g", "--a\nb"], &unknown(r"--a\nb"));
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
        let help = Ok(Invocation::Help(help::text()));
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
}
