//! Where lines go: files that are renamed, and what is refused at the start.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Place, clients, flag, lines_of, serve, wait_for_lines};
use crate::util::command_line::{BINARY, ENDPOINT, LISTEN};
use crate::util::*;

const REOPENED: &str = "access log opened again file=";
/// An unprivileged user by number, which every system has.
const OTHER_USER: &str = "65534";

#[test]
fn a_renamed_file_gets_lines_until_sighup_and_its_successor_those_after() {
    let (place, server) = (Place::new(), backend(echo));
    let old = place.directory.path().join("access.log.1");
    fs::write(place.path(), "before\n").expect("a directory of our own");
    let gateway = Gateway::start(&[server.address()], &[&place.flag()]);
    let mut first = serve(&gateway, 2);
    place.wait_for(3);
    fs::rename(place.path(), &old).expect("in the same directory");
    first.extend(serve(&gateway, 2));
    wait_for_lines(&old, 5);
    assert!(!place.path().exists(), "only SIGHUP makes another one");
    gateway.signal("HUP");
    let line = gateway.wait_for_log(REOPENED);
    assert!(line.contains(&place.path().display().to_string()), "{line}");
    let second = serve(&gateway, 2);
    assert_eq!(clients(&place.wait_for(2)), second);
    let lines = lines_of(&old);
    assert_eq!((lines[0].as_str(), clients(&lines[1..])), ("before", first));
    let mode = fs::metadata(place.path()).expect("it is there").mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    assert_eq!(gateway.log_count("signal ignored"), 0);
}

#[test]
fn no_line_is_lost_while_files_are_rotated() {
    const ROTATIONS: usize = 5;
    let (place, server) = (Place::new(), backend(echo));
    let gateway = Gateway::start(&[server.address()], &[&place.flag()]);
    let rotated: Vec<PathBuf> =
        (0..ROTATIONS).map(|number| place.path().with_extension(number.to_string())).collect();
    let is_over = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let working = scope.spawn(|| {
            let mut served = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                served.extend(serve(&gateway, 1));
            }
            served
        });
        for path in &rotated {
            until("a line", || place.path().exists() && !place.lines().is_empty());
            fs::rename(place.path(), path).expect("in the same directory");
            gateway.signal("HUP");
            gateway.wait_for_log(REOPENED);
        }
        is_over.store(true, Ordering::Relaxed);
        working.join().expect("every client is served")
    });
    let paths = [rotated, vec![place.path()]].concat();
    let mut found: Vec<String> = Vec::new();
    until("all lines", || {
        found = paths.iter().flat_map(|path| clients(&lines_of(path))).collect();
        found.len() >= served.len()
    });
    assert_eq!(found, served, "in their order, each once");
}

#[test]
fn a_file_that_cannot_be_opened_again_is_kept() {
    let server = backend(echo);
    let directory = TemporaryDirectory::new();
    let [here, moved] = ["here", "moved"].map(|name| directory.path().join(name));
    fs::create_dir(&here).expect("a directory of our own");
    let gateway = Gateway::start(&[server.address()], &[&flag(&here.join("log"))]);
    let mut served = serve(&gateway, 1);
    wait_for_lines(&here.join("log"), 1);
    fs::rename(&here, &moved).expect("in the same directory");
    gateway.signal("HUP");
    let line = gateway.wait_for_log("access log not opened again");
    assert!(line.starts_with("WARN ") && line.contains("No such file"), "{line}");
    served.extend(serve(&gateway, 2));
    assert_eq!(clients(&wait_for_lines(&moved.join("log"), 3)), served);
    fs::rename(&moved, &here).expect("in the same directory");
    gateway.signal("HUP");
    gateway.wait_for_log(REOPENED);
    served.extend(serve(&gateway, 1));
    assert_eq!(clients(&wait_for_lines(&here.join("log"), 4)), served, "appended");
    assert_eq!(gateway.log_count("WARN"), 1);
}

#[test]
fn sighup_reopens_while_an_address_is_waited_for() {
    let (place, taken) = (Place::new(), backend(echo));
    let builder = Gateway::builder().endpoint(&refused_address().to_string());
    let builder = builder.arg(&format!("--listen-addr={}", taken.address()));
    let mut command = builder.arg("--listen-retry=5m").arg(&place.flag()).command();
    let process = Process::spawn("a gateway that waits", &mut command);
    process.wait_for_log("waiting for the listen address");
    fs::rename(place.path(), place.directory.path().join("old")).expect("in the same directory");
    process.signal("HUP");
    process.wait_for_log(REOPENED);
    assert!(place.path().exists());
    assert!(!process.log().iter().any(|line| line.contains("signal ignored")));
}

/// The end of a gateway with that access log, which does not start.
#[track_caller]
fn refuse(path: &Path, reason: &str) {
    let output = command_line::run(&[LISTEN, ENDPOINT, &flag(path)]);
    check_refusal(&path, &output, 1, &[&format!("cannot open {}: ", path.display()), reason]);
}

#[test]
fn what_cannot_be_opened_ends_the_start() {
    let directory = TemporaryDirectory::new();
    let [missing, pipe, socket] =
        ["missing/log", "pipe", "socket"].map(|name| directory.path().join(name));
    refuse(directory.path(), "Is a directory");
    refuse(&missing, "No such file");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a directory of our own");
    refuse(&pipe, "a pipe that nothing reads");
    let _listener = UnixListener::bind(&socket).expect("a directory of our own");
    refuse(&socket, "or a socket");
}

/// Root may write to every file.
#[test]
fn a_file_that_is_not_ours_ends_the_start() {
    let place = Place::new();
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(place.directory.path(), open).expect("a directory of our own");
    fs::write(place.path(), "").expect("a directory of our own");
    fs::set_permissions(place.path(), Permissions::from_mode(0o444)).expect("a file of our own");
    let mut command = Command::new(BINARY);
    if is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid", OTHER_USER, "--regid", OTHER_USER, "--clear-groups", BINARY]);
    }
    let output = finish(command.args([LISTEN, ENDPOINT, &place.flag()]), "");
    check_refusal(&"a file of another user", &output, 1, &["cannot open", "Permission denied"]);
}

#[test]
fn a_format_without_a_log_has_no_effect() {
    let gateway = Gateway::start(&[refused_address()], &["--access-log-format=json"]);
    let line = gateway.wait_for_log("flag has no effect");
    assert!(line.ends_with(" flag=--access-log-format reason=no_access_log"), "{line}");
}
