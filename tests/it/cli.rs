//! The command line of the real binary: words and flags, help, and every start that is refused.
//!
//! A refusal is its exit status and exactly one line on stderr that names flag and value. What
//! each value means in detail is tested where it is parsed, in `src/config` and below.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::util::command_line::{BINARY, ENDPOINT, LISTEN, gateway, run, serve};
use crate::util::*;

const HELP_COLUMNS_MAX: usize = 100;

/// Bad usage. The value is what follows the first equals sign.
#[track_caller]
fn refuse_flag(argument: &str, reason: &str) {
    let (flag, value) = argument.split_once('=').expect("a flag with its value");
    let output = run(&[LISTEN, argument]);
    check_refusal(&argument, &output, 2, &[flag, &format!("{value:?}"), reason]);
}

#[track_caller]
fn refuse_line(program: &Path, arguments: &[&str], parts: &[&str]) {
    let output = finish(&mut gateway(program, arguments), "");
    check_refusal(&arguments, &output, 2, parts);
}

/// A link named `etcd` to the binary, in a directory that goes with the first result.
fn etcd_link() -> (TemporaryDirectory, PathBuf) {
    let directory = TemporaryDirectory::new();
    let link = directory.path().join("etcd");
    symlink(BINARY, &link).expect("a link in a directory of our own");
    (directory, link)
}

#[test]
fn help_goes_to_stdout_and_fits() {
    for line in [
        &["--help"][..],
        &["-h"],
        &["gateway", "start", "--help"],
        &["gateway", "-h"],
        &["help"],
        &["gateway", "help", "start"],
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(0), "{line:?}");
        assert!(output.stderr.is_empty(), "{line:?}");
        let help = String::from_utf8(output.stdout).expect("help is UTF-8");
        assert!(help.ends_with('\n') && !help.ends_with("\n\n"), "{line:?}");
        for text in ["--endpoints", "(default 127.0.0.1:2379)", "(default 1m0s)", "Exit status"] {
            assert!(help.contains(text), "{text}");
        }
        for line in help.lines() {
            assert!(line.chars().count() <= HELP_COLUMNS_MAX, "{line}");
        }
    }
}

#[test]
fn version_goes_to_stdout() {
    for line in ["--version", "version"] {
        let output = run(&[line]);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(output.stderr.is_empty(), "{line}");
        let want = concat!("etcd-gateway ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), want, "{line}");
    }
}

/// Who asked for it and has not got it must be able to tell.
#[test]
fn help_that_cannot_be_written_is_a_failure() {
    for flag in ["--help", "--version", "-h"] {
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$1" > /dev/full"#, BINARY, flag]);
        let parts = ["cannot write to stdout", "no storage space"];
        check_refusal(&flag, &finish(&mut command, ""), 1, &parts);
    }
}

/// As in `etcd-gateway --help | head -1`: who has seen enough has not failed.
#[test]
fn help_that_is_not_read_to_the_end_is_not_a_failure() {
    for flag in ["--help", "--version"] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut command = gateway(Path::new(BINARY), &[flag]);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
        let output = child.and_then(Child::wait_with_output).expect("it runs and ends");
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(output.stderr.is_empty(), "{flag}");
    }
}

#[test]
fn words_and_flags_in_any_order() {
    let program = Path::new(BINARY);
    let (flag, value) = ENDPOINT.split_once('=').expect("a flag with its value");
    for line in [
        &[LISTEN, ENDPOINT][..],
        &["start", LISTEN, ENDPOINT],
        &[LISTEN, "start", ENDPOINT],
        &[LISTEN, ENDPOINT, "gateway", "start"],
        &["gateway", ENDPOINT, "start", LISTEN],
        &["gateway", "start", flag, value, LISTEN],
    ] {
        let ready = serve(program, line);
        assert!(ready.contains("endpoints=[127.0.0.1:1]"), "{line:?}: {ready}");
    }
}

#[test]
fn as_etcd_it_serves_the_gateway_alone() {
    let (_directory, etcd) = etcd_link();
    let ready = serve(&etcd, &["gateway", ENDPOINT, "start", LISTEN]);
    assert!(ready.contains("endpoints=[127.0.0.1:1]"), "{ready}");
    refuse_line(&etcd, &[], &["etcd gateway start"]);
    refuse_line(&etcd, &[LISTEN, ENDPOINT], &["etcd gateway start"]);
    refuse_line(&etcd, &["start", LISTEN], &["etcd gateway start"]);
    refuse_line(&etcd, &["grpc-proxy", "start", LISTEN], &[r#""grpc-proxy""#]);
}

#[test]
fn stray_words_are_refused() {
    let program = Path::new(BINARY);
    refuse_line(program, &[LISTEN, "stop"], &[r#""stop""#, "see --help"]);
    refuse_line(program, &["strat", LISTEN], &[r#""strat""#, "the nearest is start"]);
    refuse_line(program, &["start", LISTEN, "now"], &[r#""now""#]);
    refuse_line(program, &["gateway", "start", "127.0.0.1:2379"], &[r#""127.0.0.1:2379""#]);
    refuse_line(program, &["gateway", LISTEN], &["start", "gateway"]);
    refuse_line(program, &["two\nlines"], &[r#""two\nlines""#]);
}

#[test]
fn flags_that_are_unknown_or_incomplete_are_refused() {
    let program = Path::new(BINARY);
    let near = ["unknown", "--endpoint;", "the nearest is --endpoints", "see --help"];
    refuse_line(program, &["--endpoint=127.0.0.1:2379"], &near);
    let near = ["unknown", "-l;", "the nearest is --listen-addr"];
    refuse_line(program, &["-listen-addr=127.0.0.1:0"], &near);
    refuse_line(program, &["--endpoints a:1"], &["--endpoints a:1", "--endpoints=VALUE"]);
    refuse_line(program, &["start", "--frob"], &["unknown", "--frob", "see --help"]);
    refuse_line(program, &["-x"], &["unknown", "-x"]);
    refuse_line(program, &["start", "--endpoints"], &["missing", "--endpoints"]);
    refuse_line(program, &["--help=yes"], &["--help"]);
}

#[test]
fn arguments_that_are_not_utf8_are_refused() {
    let raw = OsString::from_vec(b"--endpoints=\xff:1".to_vec());
    check_refusal(&raw, &run(&[&raw]), 2, &["--endpoints", r"\xFF", "UTF-8"]);
}

#[test]
fn endpoints_that_are_none_are_refused() {
    refuse_flag("--endpoints=127.0.0.1", "missing port");
    refuse_flag("--endpoints=https://etcd.example", "missing port");
    refuse_flag("--endpoints=[::1]", "missing port");
    refuse_flag("--endpoints=127.0.0.1:http", "not a number");
    refuse_flag("--endpoints=127.0.0.1:99999", "65535");
    refuse_flag("--endpoints=127.0.0.1:0", "port 0");
    refuse_flag("--endpoints=::1:2379", "[::1]:2379");
    refuse_flag("--endpoints=unix:///run/etcd.sock", "scheme");
    refuse_flag("--endpoints=tcp://127.0.0.1:1", r#"scheme "tcp" is not supported"#);
    refuse_flag("--endpoints=127.0.0.1:1/v3", r#"path "/v3" without http://"#);
    refuse_flag("--endpoints=http://user@127.0.0.1:1", "user");
    refuse_flag("--endpoints=127.0.0.1:1 127.0.0.1:2", "endpoints are separated by commas");
    refuse_flag("--endpoints=127.0.0.1:1;127.0.0.1:2", "endpoints are separated by commas");
    refuse_flag("--endpoints=http://a:1/ http://b:1/", "endpoints are separated by commas");
    refuse_flag("--endpoints=2379", "write host:2379");
    refuse_flag("--endpoints=\"127.0.0.1:1", "quotation mark");
    refuse_flag("--endpoints=224.0.0.1:2379", "multicast");
    refuse_flag("--endpoints=[ff02::1]:2379", "multicast");
    refuse_flag("--endpoints=255.255.255.255:2379", "broadcast");
    refuse_flag("--endpoints=240.0.0.1:2379", "240.0.0.0/4");
    refuse_flag("--endpoints=127.0.0.1:1?wieght=1", "wieght");
    refuse_flag("--endpoints=127.0.0.1:1?weight=1&weight=2", "repeated");
    refuse_flag("--endpoints=127.0.0.1:1?priority=65536", "65535");
    refuse_flag("--endpoints=", "empty");
    refuse_flag("--endpoints=127.0.0.1:1,,127.0.0.1:2", "empty");
    let output = run(&[LISTEN, "--endpoints=127.0.0.1:1,etcd,127.0.0.1:2"]);
    check_refusal(&"one of three", &output, 2, &["--endpoints", r#""etcd""#, "missing port"]);
}

#[test]
fn listen_addresses_that_are_none_are_refused() {
    refuse_flag("--listen-addr=127.0.0.1", "missing port");
    refuse_flag("--listen-addr=127.0.0.1:x", "not a number");
    refuse_flag("--listen-addr=:65536", "65535");
    refuse_flag("--listen-addr=::1:23790", "[::1]:2379");
    refuse_flag("--listen-addr=http://127.0.0.1:0", "URL");
    refuse_flag("--listen-addr=23790", "write 127.0.0.1:23790 for clients on this host, or :23790");
    refuse_flag("--listen-addr=:1 :2", "addresses are separated by commas");
    refuse_flag("--listen-addr=127.0.0.1:1/x", "a listen address is host:port");
    refuse_flag("--listen-addr=224.0.0.1:1", "multicast");
    refuse_flag("--listen-addr=", "empty");
}

/// As YAML, env files and files of secrets hand them over.
#[test]
fn quotes_and_newlines_around_values_are_dropped() {
    let program = Path::new(BINARY);
    let want = "endpoints=[127.0.0.1:1,127.0.0.1:2]";
    for endpoints in [
        "'127.0.0.1:1,127.0.0.1:2'",
        "\"127.0.0.1:1,127.0.0.1:2\"",
        "127.0.0.1:1,127.0.0.1:2\n",
        "127.0.0.1:1,\n  127.0.0.1:2\n",
        "\"127.0.0.1:1\", \"127.0.0.1:2\"",
    ] {
        let endpoints = format!("--endpoints={endpoints}");
        for listen in ["127.0.0.1:0\n", "'127.0.0.1:0'", "\"127.0.0.1:0\", 127.0.0.2:0"] {
            let listen = format!("--listen-addr={listen}");
            let ready = serve(program, &["start", "--drain-timeout='1s'", &listen, &endpoints]);
            assert!(ready.contains(want), "{endpoints:?} {listen:?}: {ready}");
        }
    }
}

/// `[::]` is what a server listens on: on both families, or on IPv4 where the host has no other.
#[test]
fn the_unspecified_address_as_an_endpoint_is_this_host() {
    let mut rows: Vec<(&str, IpAddr)> = vec![
        ("0.0.0.0", Ipv4Addr::LOCALHOST.into()),
        ("[::ffff:0.0.0.0]", Ipv4Addr::LOCALHOST.into()),
        ("[::]", Ipv4Addr::LOCALHOST.into()),
    ];
    if has_ipv6() {
        rows.push(("[::]", Ipv6Addr::LOCALHOST.into()));
    }
    for (typed, address) in rows {
        let place = Reservation::at(SocketAddr::new(address, 0));
        let port = place.address().port();
        let _server = Backend::at(place.address(), echo);
        let typed = format!("{typed}:{port}");
        let gateway = Gateway::builder().endpoint(&typed).endpoint("127.0.0.1:1").start();
        for _ in 0..6 {
            round_trip(&gateway.connect(), b"served");
        }
        let parsed: SocketAddr = typed.parse().expect("an address");
        let needle = format!("an address mean this host endpoints=[{parsed}]");
        assert_eq!(gateway.log_count(&needle), 1, "{:?}", gateway.log());
    }
    let plain = Gateway::builder().endpoint("127.0.0.1:1").start();
    assert_eq!(plain.log_count("mean this host"), 0);
}

#[test]
fn durations_out_of_range_are_refused() {
    refuse_flag("--listen-retry=-1s", "negative");
    refuse_flag("--listen-retry=5", "missing unit");
    refuse_flag("--listen-retry=9000h", "at most");
    refuse_flag("--retry-delay=0", "above 0");
    refuse_flag("--retry-delay=0s", "above 0");
    refuse_flag("--retry-delay=-1s", "negative");
    refuse_flag("--retry-delay=3", "missing unit");
    refuse_flag("--retry-delay=", "not a duration");
    refuse_flag("--retry-delay=soon", "not a duration");
    refuse_flag("--retry-delay=99999999h", "too long");
    refuse_flag("--connect-timeout=0", "above 0");
    refuse_flag("--connect-timeout=-1ms", "negative");
    refuse_flag("--tcp-user-timeout=-1s", "negative");
    refuse_flag("--tcp-user-timeout=600h", "at most");
    refuse_flag("--keepalive=-1s", "negative");
    refuse_flag("--keepalive=10h", "at most");
    refuse_flag("--half-close-timeout=-1s", "negative");
    refuse_flag("--idle-timeout=9000h", "at most");
    refuse_flag("--drain-timeout=1d", "unknown unit");
}

#[test]
fn other_values_out_of_range_are_refused() {
    refuse_flag("--max-connections=0", "from 1 to");
    refuse_flag("--max-connections=many", "from 1 to");
    refuse_flag("--max-connections=1048577", "from 1 to");
    refuse_flag("--log-level=loud", "debug");
    refuse_flag("--reuse-port=yes", "true or false");
    refuse_flag("--reuse-port=", "true or false");
    refuse_flag("--reuse-port=1", "--listen-addr 127.0.0.1:0");
    let parts = ["--reuse-port", r#""true""#, "--listen-addr 127.0.0.1:0"];
    refuse_line(Path::new(BINARY), &["--reuse-port", "start", LISTEN], &parts);
}

#[test]
fn health_checks_that_make_no_sense_are_refused() {
    for (argument, reason) in [
        ("--health-check=yes", "must be auto, off, etcd, or a path that begins with /"),
        ("--health-check=/a b", "' ' in the path"),
        ("--health-interval=0s", "must be above 0"),
        ("--health-rise=0", "must be a number from 1 to 100"),
        ("--health-port=65536", "must be a number from 1 to 65535"),
        ("--close-on-failure=soon", ": not a duration such as 500ms or 1m30s; never is taken, too"),
        ("--close-on-removal=-1s", ": must not be negative; never is taken, too"),
        ("--close-rate=0", "must be a number from 1 to 1000000"),
    ] {
        refuse_flag(argument, reason);
    }
}

#[test]
fn discovery_that_makes_no_sense_is_refused() {
    refuse_flag("--discovery-srv=a..b", "not a domain name: an empty part");
    refuse_flag("--discovery-srv=a b", "not a domain name: ' ' in it");
    refuse_flag("--insecure-discovery=maybe", "must be true or false");
    let domain = format!("{}.{}", ["a"; 86].join("."), "b".repeat(60));
    refuse_flag(&format!("--discovery-srv={domain}"), "more than the 231 characters");
    let parts = ["--discovery-srv-name", "a.b", "not a part of a service's name"];
    let words = ["--discovery-srv=a.test", "--discovery-srv-name=a.b", "start"];
    refuse_line(Path::new(BINARY), &words, &parts);
}

#[test]
fn a_registry_that_makes_no_sense_is_refused() {
    for (argument, reason) in [
        ("--registry-prefix=svc/", "missing --etcd-endpoints, which --registry-prefix needs"),
        ("--user=a", "missing --password-file, which --user needs"),
        ("--password-file=a", "missing --user, which --password-file needs"),
    ] {
        refuse_line(Path::new(BINARY), &[LISTEN, argument], &[reason]);
    }
    refuse_flag("--etcd-endpoints=a", "missing port");
    refuse_flag("--etcd-endpoints=a:1?weight=2", "neither priority nor weight has a meaning here");
    let words = ["--registry-prefix=svc/", "--etcd-endpoints=a:1", "--user=u"];
    let mut command = Command::new(BINARY);
    command.args([LISTEN]).args(words).arg("--password-file=/nowhere");
    let output = finish(&mut command, "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("etcd-gateway: cannot read /nowhere: No such file"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// They are not a mistake, as they are none to etcd: scripts give all flags, some of them empty.
#[test]
fn flags_of_discovery_without_a_domain_have_no_effect() {
    let empty =
        [LISTEN, ENDPOINT, "--discovery-srv=", "--discovery-srv-name=", "--trusted-ca-file="];
    let gateway =
        empty[1..].iter().fold(Gateway::builder(), |builder, flag| builder.arg(flag)).start();
    for flag in ["--discovery-srv", "--discovery-srv-name", "--trusted-ca-file"] {
        let line = format!("WARN flag has no effect flag={flag} reason=empty_value");
        gateway.wait_for_log(&line);
        assert_eq!(gateway.log_count(&line), 1, "{:?}", gateway.log());
    }
    let unused = ["--discovery-srv-name=x", "--trusted-ca-file=/nowhere", "--insecure-discovery"];
    let gateway = unused.into_iter().fold(Gateway::builder().arg(ENDPOINT), GatewayBuilder::arg);
    let gateway = gateway.start();
    for flag in ["--discovery-srv-name", "--trusted-ca-file", "--insecure-discovery"] {
        let reason =
            if flag == "--trusted-ca-file" { "no_tls_connection" } else { "no_discovery_srv" };
        gateway.wait_for_log(&format!("flag has no effect flag={flag} reason={reason}"));
    }
}

#[test]
fn flags_of_members_checks_and_a_registry_have_no_effect_without_these() {
    for (arguments, unused) in [
        (
            "--endpoints=127.0.0.1:1 --follow-interval=7s --state-file=/nowhere/a --prefer=leader",
            "follow-interval no_follow_members, state-file no_follow_members, prefer no_etcd_check",
        ),
        (
            "--endpoints=127.0.0.1:1 --etcd-endpoints=a:1 --user=u --password-file=/nowhere",
            "etcd-endpoints no_registry_prefix, user no_registry_prefix, \
             password-file no_registry_prefix",
        ),
        (
            "--endpoints=http://[::1]:1 --health-check=off --health-interval=7s --health-rise=3",
            "health-interval no_health_check, health-rise no_health_check",
        ),
    ] {
        let gateway = arguments.split(' ').fold(Gateway::builder(), GatewayBuilder::arg).start();
        for line in unused.split(", ") {
            let (flag, reason) = line.split_once(' ').expect("both");
            gateway.wait_for_log(&format!("WARN flag has no effect flag=--{flag} reason={reason}"));
        }
        let lines = gateway.log_count("flag has no effect");
        assert_eq!(lines, unused.split(", ").count(), "{:#?}", gateway.log());
    }
}

/// An error ends up in a log, where passwords have no place.
#[test]
fn an_error_repeats_no_password() {
    for (argument, want) in [
        ("--endpoints=http://user:secret@host:1", r#""http://user:***@host:1" for --endpoints"#),
        ("--endpoints=a:1,http://user:secret@host:1", r#""http://user:***@host:1" for"#),
        ("--endpoints=http://user:not,secret@host:1", r#""http://user:***@host:1" for"#),
        ("--endpoints=http://user:1,secret@host:1", r#""***@host:1" for"#),
        ("--endpoints=http://user:not/secret@host:1", "user name before the host"),
        ("--listen-addr=http://user:secret@host:1", r#""http://user:***@host:1" for"#),
        ("--discovery-srv=http://user:secret@host", r#""http://user:***@host" for"#),
        ("--endpoint=http://user:secret@host:1", "unknown flag --endpoint;"),
        (
            "--endpoints http://user:secret@host:1",
            "unknown flag --endpoints http://user:***@host:1",
        ),
        ("http://user:secret@host:1", r#"stray word "http://user:***@host:1""#),
    ] {
        let output = run(&[LISTEN, argument]);
        check_refusal(&argument, &output, 2, &[want]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"), "{argument}");
    }
}

/// A word that is not a level would count as the name of a module, in silence.
#[test]
fn what_rust_log_says_without_effect_is_logged() {
    let start = |value: &str| {
        let mut command = gateway(Path::new(BINARY), &[LISTEN, ENDPOINT]);
        let process = Process::spawn("a gateway", command.env("RUST_LOG", value));
        process.wait_for_log("ready to proxy client requests");
        process.log()
    };
    let is_warning = |line: &String| line.starts_with("WARN part of RUST_LOG ignored value=");
    for (value, part) in [("verbose", "verbose"), ("etcd_gateway=loud,info", "etcd_gateway=loud")] {
        let log = start(value);
        assert_eq!(log.iter().filter(|line| is_warning(line)).count(), 1, "{log:?}");
        assert!(log[0].contains(&format!("value={part:?} reason=unknown_level")), "{log:?}");
    }
    let log = start("debug/a/b");
    assert!(log[0].contains(r#"value="debug/a/b" reason=more_than_one_slash"#), "{log:?}");
    let log = start("info,etcd_gateway::reactor::pipes=debug");
    let targets = "targets=[etcd_gateway::process,etcd_gateway::listen,etcd_gateway::relay,\
         etcd_gateway::upstream,etcd_gateway::discovery]";
    let text = r#"value="etcd_gateway::reactor::pipes=debug" reason=unknown_target"#;
    assert!(log[0].contains(&format!("{text} {targets}")), "{log:?}");
    let log = start("debug,hyper=warn");
    assert!(!log.iter().any(is_warning), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("DEBUG ")), "{log:?}");
}

/// Each line has the subject that it is about as its target.
#[test]
fn rust_log_selects_lines_by_their_target() {
    let mut command = gateway(Path::new(BINARY), &[LISTEN, ENDPOINT]);
    let value = "error,etcd_gateway::process=info,etcd_gateway::relay=debug";
    let process = Process::spawn("a gateway", command.env("RUST_LOG", value));
    let ready = process.wait_for_log("ready to proxy client requests");
    let (_, address) = ready.split_once(" listen=[").expect("a list");
    let address = address.trim_end_matches(']');
    drop(TcpStream::connect(address).expect("it listens"));
    process.wait_for_log("DEBUG pair closed");
    let log = process.log();
    assert!(!log.iter().any(|line| line.starts_with("DEBUG limits")), "{log:?}");
    assert!(!log.iter().any(|line| line.starts_with("WARN endpoint inactive")), "{log:?}");
}
