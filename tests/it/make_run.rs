//! `make run`: how the throw-away cluster ends, and what a terminal's Ctrl-C does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::start::children;
use crate::util::*;

const BINARY: &str = env!("CARGO_BIN_EXE_etcd-gateway");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A cluster that is ready behind a gateway at `address`, and all that it runs. Its data is in a
/// directory of the test, since a script that is killed leaves it behind.
fn cluster_at(address: SocketAddr, data: &TemporaryDirectory) -> (Process, Vec<u32>) {
    let mut command = Command::new("bash");
    command.args(["tests/cluster.sh", BINARY, &address.to_string()]).current_dir(ROOT);
    command.env("TMPDIR", data.path());
    as_from_a_terminal(&mut command);
    let cluster = Process::spawn("tests/cluster.sh", command.env_remove("RUST_LOG"));
    cluster.wait_for_log(&format!("etcdctl --endpoints={address} put foo bar"));
    cluster.wait_for_log("Ctrl-C ends all of it");
    let mut pids = children(cluster.pid());
    // It also looks after them, by processes that come and go.
    pids.retain(|pid| ["etcd", "etcd-gateway"].contains(&&*name_of(*pid)));
    assert_eq!(pids.len(), 4, "three members and the gateway");
    (cluster, pids)
}

/// Empty once it has ended, even before it is waited for.
fn name_of(pid: u32) -> String {
    let link = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let name = link.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn wait_gone(pids: &[u32]) {
    for pid in pids {
        until("all that was started has ended", || name_of(*pid).is_empty());
    }
}

/// Asks a member through a connection that stays.
fn ask(mut connection: &TcpStream) {
    let request = b"GET /version HTTP/1.1\r\nHost: etcd\r\n\r\n";
    connection.write_all(request).expect("the connection is open");
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).expect("a member answers");
    assert_eq!(&answer, b"HTTP/1.1 200");
    let rest = connection.read(&mut [0; 4096]).expect("the rest of the answer");
    assert!(rest > 0);
}

fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect_timeout(&address, DEADLINE).expect("it listens there");
    connection.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    connection
}

/// Not at 127.0.0.1, so that it has to ask where the gateway listens.
fn place() -> Reservation {
    Reservation::at(SocketAddr::from(([127, 0, 0, 9], 0)))
}

#[test]
fn the_gateway_drains_before_the_members_end() {
    for signal in ["INT", "TERM", "HUP"] {
        let (data, place) = (TemporaryDirectory::new(), place());
        let (mut cluster, pids) = cluster_at(place.address(), &data);
        let connection = connect(place.address());
        ask(&connection);
        cluster.signal(signal);
        assert!(cluster.wait_for_log("draining").contains(" pairs=1 "), "{signal}");
        ask(&connection);
        drop(connection);
        assert_eq!(cluster.wait_exit().code(), Some(0), "{signal}");
        cluster.wait_for_log("cluster: stopped");
        wait_gone(&pids);
    }
}

#[test]
fn a_second_interrupt_ends_the_cluster_at_once() {
    let (data, place) = (TemporaryDirectory::new(), place());
    let (mut cluster, pids) = cluster_at(place.address(), &data);
    let connection = connect(place.address());
    ask(&connection);
    cluster.signal("INT");
    cluster.wait_for_log("draining");
    cluster.signal("INT");
    assert_eq!(cluster.wait_exit().code(), Some(0));
    assert!(cluster.wait_for_log("INFO stopped").contains(" cut=1 "));
    wait_gone(&pids);
}

#[test]
fn whatever_ends_the_cluster_leaves_nothing_behind() {
    let (data, place) = (TemporaryDirectory::new(), place());
    let (mut cluster, pids) = cluster_at(place.address(), &data);
    let is_gateway = |pid: &&u32| name_of(**pid) == "etcd-gateway";
    let (gateway, member) =
        (pids.iter().find(is_gateway), pids.iter().find(|pid| !is_gateway(pid)));
    send_signal(*member.expect("there are three"), "KILL");
    cluster.wait_for_log(" has ended");
    send_signal(*gateway.expect("there is one"), "KILL");
    cluster.wait_for_log("the gateway ended with status 137");
    assert_eq!(cluster.wait_exit().code(), Some(137));
    wait_gone(&pids);

    let (mut cluster, pids) = cluster_at(place.address(), &data);
    cluster.kill();
    wait_gone(&pids);
}

/// make reports an error of what a Ctrl-C has ended, but only if it hears of it.
#[test]
fn a_terminals_interrupt_is_not_an_error_of_make() {
    let (directory, place) = (TemporaryDirectory::new(), Reservation::new());
    let makefile = directory.path().join("Makefile");
    let address = place.address();
    let recipe = format!(
        "run:\n\t@exec bash tests/foreground.sh {BINARY} --listen-addr {address} \
         --endpoints 127.0.0.1:1\n"
    );
    std::fs::write(&makefile, recipe).expect("a file in a directory of our own");
    let (input, mut keyboard) = io::pipe().expect("a pipe");
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command"]);
    command.arg(format!("make -f {} run", makefile.display())).arg("/dev/null");
    command.current_dir(Path::new(ROOT));
    // The tests may be run by make, too.
    for variable in ["RUST_LOG", "MAKEFLAGS", "MAKELEVEL"] {
        command.env_remove(variable);
    }
    as_from_a_terminal(&mut command);
    let mut terminal = Process::spawn_with_input("make in a terminal", command.stdin(input));
    terminal.wait_for_log("ready to proxy client requests");
    keyboard.write_all(b"\x03").expect("script reads it");
    assert_eq!(terminal.wait_exit().code(), Some(0), "{:?}", terminal.log());
    terminal.wait_for_log("INFO stopped");
    let log = terminal.log();
    assert!(!log.iter().any(|line| line.contains("make") || line.contains("Error")), "{log:?}");
}

/// The build of those who make packages installs nothing, so that others have to before it.
#[test]
fn what_the_build_needs_is_installed_before_it() {
    for endpoints in ["ENDPOINTS=", "ENDPOINTS=127.0.0.1:2379"] {
        let mut make = Command::new("make");
        let output = make.args(["--dry-run", "run", endpoints]).current_dir(ROOT).output();
        let output = output.expect("make starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
        assert!(place("install-needs.sh cargo cc") < place("tests/build.sh"), "{text}");
        assert!(place("tests/build.sh") < place("tests/foreground.sh"), "{text}");
    }
}
