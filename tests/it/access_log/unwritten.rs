//! Lines that cannot be written: dropped and counted, and no client waits for them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Place, clients, flag, lines_of, serve};
use crate::util::*;

const NOT_WRITTEN: &str = "access log not written reason=";
/// More than fit anywhere here.
const MANY: usize = 200;
const ADMIN: &str = "--admin-addr=127.0.0.1:0";

fn dropped(admin: SocketAddr) -> u64 {
    let metrics = get(admin, "/metrics");
    let dropped = metrics.metric("etcd_gateway_access_log_lines_dropped_total");
    dropped.expect("there is an access log") as u64
}

/// Waits until `count` connections have ended, and with them their lines were written or dropped.
fn wait_ended(admin: SocketAddr, count: usize) {
    until("the connections have ended", || {
        let metrics = get(admin, "/metrics");
        metrics.sum("etcd_gateway_connections_ended_total") >= count as f64
    });
}

/// The number in a line for dropped lines.
fn dropped_in(line: &str) -> Option<u64> {
    line.strip_prefix("dropped=").map(|number| number.parse().expect("a number"))
}

/// The lines of connections, and the sum of those that were dropped between them.
fn tally(lines: &[String]) -> (Vec<String>, u64) {
    let kept = lines.iter().filter(|line| !line.is_empty() && dropped_in(line).is_none());
    let kept: Vec<String> = kept.cloned().collect();
    (kept, lines.iter().filter_map(|line| dropped_in(line)).sum())
}

/// A gateway with its log on a pipe of a page: standard output, or a path.
fn on_pipe(server: &Backend, is_stdout: bool) -> (TemporaryDirectory, File, Gateway) {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("pipe");
    mkfifo(&path, Mode::S_IRWXU).expect("a directory of our own");
    let options = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
    let reader = options.expect("a pipe can be opened for reading without a writer");
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(1)).expect("a pipe of a page");
    let builder = Gateway::builder().endpoint(&server.address().to_string());
    let builder = builder.arg(ADMIN).log_level("info");
    let builder = if is_stdout {
        let words = ["sh", "-c", r#"exec "$@" >"$0""#].map(str::to_owned).into_iter();
        builder.arg("--access-log=-").under(words.chain([path.display().to_string()]))
    } else {
        builder.arg(&flag(&path))
    };
    let gateway = builder.start();
    (directory, reader, gateway)
}

#[test]
fn a_reader_that_has_stopped_stops_nothing() {
    let server = backend(echo);
    for is_stdout in [true, false] {
        expect_service_before_a_reader_that_stops(&server, is_stdout);
    }
}

fn expect_service_before_a_reader_that_stops(server: &Backend, is_stdout: bool) {
    let (_directory, mut reader, gateway) = on_pipe(server, is_stdout);
    let admin = admin_address(&gateway);
    let mut served = serve(&gateway, MANY);
    wait_ended(admin, MANY);
    let missing = dropped(admin);
    assert!(missing > 0 && missing < MANY as u64, "{missing}");
    let mut text = String::new();
    let error = reader.read_to_string(&mut text).expect_err("the gateway has it open");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    served.extend(serve(&gateway, 1));
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty())).expect("a descriptor of ours");
    let mut reader = BufReader::new(reader);
    for _ in 0..2 {
        reader.read_line(&mut text).expect("it is written now");
    }
    assert!(text.ends_with('\n'), "{text}");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(dropped_in(&lines[lines.len() - 2]), Some(missing), "before the next one");
    let (kept, sum) = tally(&lines);
    assert_eq!((kept.len() as u64 + sum, sum), (served.len() as u64, missing));
    let first = kept.len() - 1;
    let wanted = [&served[..first], &served[MANY..]].concat();
    assert_eq!(clients(&kept), wanted, "the first ones, and the last one");
    assert_eq!(gateway.log_count("WARN"), 0, "a reader that is behind is not a failure");
    assert_eq!(dropped(admin), missing);
}

#[test]
fn a_reader_that_has_gone_is_one_warning() {
    let server = backend(echo);
    let (_directory, reader, gateway) = on_pipe(&server, true);
    drop(reader);
    serve(&gateway, 5);
    let line = gateway.wait_for_log(NOT_WRITTEN);
    assert!(line.starts_with("WARN ") && line.ends_with("reason=no_reader count=1"), "{line}");
    let admin = admin_address(&gateway);
    wait_ended(admin, 5);
    assert_eq!(dropped(admin), 5);
}

/// What a disk took before it was full, and what it takes once there is room again.
fn expect_full_then_room(place: &Place, gateway: &Gateway, reason: &str) {
    let admin = admin_address(gateway);
    let mut served = serve(gateway, MANY);
    let line = gateway.wait_for_log(NOT_WRITTEN);
    assert!(line.starts_with("WARN ") && line.ends_with(&format!("={reason} count=1")), "{line}");
    wait_ended(admin, MANY);
    let missing = dropped(admin);
    assert!(missing > 0 && missing < MANY as u64, "{missing}");
    let file = OpenOptions::new().write(true).open(place.path()).expect("it is there");
    let whole = lines_of(&place.path());
    assert_eq!(clients(&whole), served[..MANY - missing as usize], "each is there or counted");
    file.set_len(0).expect("a file of ours");
    served.extend(serve(gateway, 2));
    wait_ended(admin, MANY + 2);
    until("both lines", || tally(&lines_of(&place.path())).0.len() == 2);
    let (kept, sum) = tally(&lines_of(&place.path()));
    assert_eq!((clients(&kept), sum), (served[MANY..].to_vec(), missing));
    serve(gateway, MANY);
    let line = gateway.wait_for_log(NOT_WRITTEN);
    assert!(line.ends_with(" count=1"), "once a series: {line}");
}

#[test]
fn a_full_disk_is_one_warning_and_not_the_end() {
    let (place, server) = (Place::new(), backend(echo));
    on_small_disk(place.directory.path(), 8 << 10, || {
        let gateway = Gateway::start(&[server.address()], &[&place.flag(), ADMIN]);
        expect_full_then_room(&place, &gateway, "disk_full");
    });
}

#[test]
fn a_file_as_large_as_may_be_is_one_warning_and_not_the_end() {
    let (place, server) = (Place::new(), backend(echo));
    // Units of 512 bytes (POSIX, ulimit).
    let words = ["sh", "-c", r#"ulimit -f 9 && exec "$@""#, "sh"];
    let builder = Gateway::builder().endpoint(&server.address().to_string());
    let gateway = builder.arg(&place.flag()).arg(ADMIN).under(words).start();
    expect_full_then_room(&place, &gateway, "file_too_large");
}

#[test]
fn a_device_that_is_full_takes_no_line_in_either_format() {
    let server = backend(echo);
    for format in ["logfmt", "json"] {
        let format = format!("--access-log-format={format}");
        let full = flag("/dev/full".as_ref());
        let mut gateway = Gateway::start(&[server.address()], &[&full, &format, ADMIN]);
        let admin = admin_address(&gateway);
        serve(&gateway, 3);
        wait_ended(admin, 3);
        let status = get(admin, "/status").json();
        assert_eq!((dropped(admin), &status["access_log_lines_dropped"]), (3, &3.into()));
        // What is kept to be counted is logged by the end.
        gateway.signal("TERM");
        assert!(gateway.wait_exit().success());
        assert_eq!(gateway.log_count(NOT_WRITTEN), 1);
        assert!(gateway.wait_for_log(NOT_WRITTEN).ends_with("=disk_full count=1"));
    }
}
