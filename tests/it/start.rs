//! How the gateway starts where something is missing: addresses, descriptors, endpoints, a parent
//! that would bury the dead.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::util::*;

/// Longer than any wait of a test.
const LONG_RETRY: &str = "--listen-retry=5m";

/// The command of a gateway that listens there.
fn command_at(listen: &str, server: &Backend, arguments: &[&str]) -> Command {
    let builder = Gateway::builder().endpoint(&server.address().to_string());
    let builder = builder.arg(&format!("--listen-addr={listen}"));
    arguments.iter().fold(builder, |builder, argument| builder.arg(argument)).command()
}

/// A client of what listens there.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    stream
}

/// Starts a gateway on an address that is not there, and serves there once `arrive` was called.
fn serves_when_it_comes(address: &str, arrive: impl FnOnce()) {
    let server = backend(echo);
    let mut command = command_at(address, &server, &[LONG_RETRY]);
    let gateway = Process::spawn("the gateway", &mut command);
    let line = gateway.wait_for_log("waiting for the listen address");
    let want = format!("address={address} reason=address_not_available timeout=5m0s");
    assert!(line.contains("INFO") && line.ends_with(&want), "{line}");
    arrive();
    gateway.wait_for_log("ready to proxy client requests");
    round_trip(&connect(address.parse().expect("an address")), b"served");
    let logged = gateway.log().iter().filter(|line| line.contains("waiting")).count();
    assert_eq!(logged, 1, "once, however often it was tried");
}

#[test]
fn an_address_that_comes_late_is_waited_for() {
    let Some(network) = Namespace::if_allowed("addresses that come late") else { return };
    network.enter(|| {
        serves_when_it_comes("192.0.2.9:23790", || {
            network.ip("address add 192.0.2.9/32 dev lo");
        });
    });
}

/// The kernel looks for duplicates of an IPv6 address before it may be used (RFC 4862, section
/// 5.4), and on a link that is not up it does not even begin.
#[test]
fn an_ipv6_address_that_is_tentative_is_waited_for() {
    let Some(network) = Namespace::if_allowed("tentative addresses") else { return };
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return not_tested("there is no IPv6 here");
    }
    network.enter(|| {
        network.ip("link add eth0 type veth peer name peer");
        network.ip("link set eth0 up");
        network.ip("address add 2001:db8::9/64 dev eth0");
        let state = network.ip("-6 address show dev eth0");
        assert!(state.contains("tentative"), "{state}");
        serves_when_it_comes("[2001:db8::9]:23790", || {
            network.ip("link set peer up");
        });
    });
}

#[test]
fn an_address_that_is_taken_is_waited_for_and_so_are_those_next_to_it() {
    let (free, server) = (Reservation::new(), backend(echo));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound socket");
    let listen = format!("{},{address}", free.address());
    let mut command = command_at(&listen, &server, &[LONG_RETRY]);
    let gateway = Process::spawn("the gateway", &mut command);
    let line = gateway.wait_for_log("waiting for the listen address");
    assert!(line.contains(&format!("address={address} reason=address_in_use")), "{line}");
    // No client must be let in where none is served.
    TcpStream::connect(free.address()).expect_err("the other one is not open meanwhile");
    drop(taken);
    gateway.wait_for_log("ready to proxy client requests");
    for address in [free.address(), address] {
        round_trip(&connect(address), b"served");
    }
}

#[test]
fn an_address_that_does_not_come_is_refused_when_the_time_is_over() {
    let server = backend(echo);
    let started = Instant::now();
    let mut command = command_at("192.0.2.9:1", &server, &["--listen-retry=300ms"]);
    command.arg("--log-level=error");
    let output = finish(&mut command, "");
    let parts = ["cannot listen on 192.0.2.9:1: address not available (waited 3"];
    check_refusal(&"too late", &output, 1, &parts);
    assert!(started.elapsed().as_millis() >= 300, "after {:?}", started.elapsed());
}

/// Our own listener does not go away.
#[test]
fn an_address_that_is_given_twice_is_not_waited_for() {
    let (place, server) = (Reservation::new(), backend(echo));
    let port = place.address().port();
    let listen = format!("127.0.0.1:{port},localhost:{port}");
    let output = finish(&mut command_at(&listen, &server, &[LONG_RETRY]), "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("leads there twice") && !errors.contains("waiting"), "{errors}");
}

#[test]
fn a_signal_ends_the_wait_for_an_address_at_once() {
    let server = backend(echo);
    for signal in ["TERM", "INT"] {
        let mut command = command_at("192.0.2.9:1", &server, &[LONG_RETRY]);
        let mut gateway = Process::spawn("the gateway", &mut command);
        gateway.wait_for_log("waiting for the listen address");
        gateway.signal("HUP");
        gateway.wait_for_log("signal ignored signal=SIGHUP");
        gateway.signal(signal);
        assert_eq!(gateway.wait_exit().code(), Some(0));
        gateway.wait_for_log("INFO stopped before it was ready");
    }
}

/// The number that a gateway which has too few says it needs.
fn needed(builder: GatewayBuilder, limit: u64) -> u64 {
    let output = finish(&mut builder.nofile(limit, limit).command(), "");
    let limit = format!("descriptor limit of {limit} is too low: needs ");
    check_refusal(&"descriptors", &output, 1, &[&limit]);
    let errors = String::from_utf8(output.stderr).expect("text");
    let (_, rest) = errors.split_once("needs ").expect("a number");
    let number = rest.split(' ').next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {errors}"))
}

/// With the number that it says it needs it does everything at once that it has to, and with one
/// less it does not start. Its first endpoint is dead, and at `dead`.
fn serves_with_what_it_says_it_needs(
    dead: &Reservation,
    builder: impl Fn() -> GatewayBuilder,
) -> u64 {
    let least = needed(builder(), 6);
    assert_eq!(needed(builder(), least - 1), least);
    let gateway = builder().nofile(least, least).start();
    let first = gateway.connect();
    round_trip(&first, b"served");
    gateway.wait_for_log("endpoint inactive");
    // It is back, which a probe finds out while clients are served.
    let _back = Backend::at(dead.address(), echo);
    gateway.wait_for_log("endpoint active");
    let second = gateway.connect();
    round_trip(&first, b"still served");
    drop(first);
    round_trip(&second, b"served in its turn");
    least
}

#[test]
fn a_descriptor_limit_that_is_too_low_is_refused_with_the_number_that_is_needed() {
    let server = backend(echo);
    let check = |more: &dyn Fn(GatewayBuilder) -> GatewayBuilder| {
        let dead = Reservation::new();
        serves_with_what_it_says_it_needs(&dead, || {
            let builder = Gateway::builder().endpoint(&dead.address().to_string());
            more(builder.endpoint(&format!("{}?priority=1", server.address())))
        })
    };
    let usual = check(&|builder| builder);
    let listen = "--listen-addr=127.0.0.1:0,127.0.0.1:0,127.0.0.1:0";
    assert_eq!(check(&|builder| builder.arg(listen)), usual + 2);
    // One that the parent left open is in the way.
    let script = r#"exec 4</dev/null; exec "$@""#;
    assert_eq!(check(&|builder| builder.under(["sh", "-c", script, "sh"])), usual + 1);
    // The soft limit is raised, so it is the hard one that has to do.
    let endpoint = server.address().to_string();
    Gateway::builder().endpoint(&endpoint).nofile(6, usual).start();
}

#[test]
fn a_descriptor_limit_that_suffices_for_names_is_known() {
    Machine::run(|machine| {
        let silent = NameServer::start(Ipv4Addr::new(127, 0, 0, 52));
        silent.behave(Behaviour::Drop);
        let dns = NameServer::start(Ipv4Addr::new(127, 0, 0, 53));
        dns.set_addresses("server.test", 1, &[9]);
        machine.set_resolv_conf("nameserver 127.0.0.52\nnameserver 127.0.0.53\n");
        let dead = Reservation::at(SocketAddr::from(([127, 0, 0, 8], 2379)));
        let _server = Backend::at(SocketAddr::from(([127, 0, 0, 9], 2379)), echo);
        let least = serves_with_what_it_says_it_needs(&dead, || {
            let builder = machine.gateway().endpoint(&dead.address().to_string());
            builder.endpoint("server.test:2379?priority=1").arg("--connect-timeout=10s")
        });
        assert_eq!(least, 18, "six for a look-up, one for a file, and one for a health check more");
    });
}

/// The children of a process, those included that have ended and that were not waited for.
pub fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).expect("a running process has the list");
    text.split_whitespace().map(|pid| pid.parse().expect("pids are numbers")).collect()
}

/// Process 1 of a container inherits what others leave, and so does a program that was a shell.
#[test]
fn children_that_others_leave_are_reaped() {
    let directory = TemporaryDirectory::new();
    let fifo = directory.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO in a directory of our own");
    let fifo = fifo.to_str().expect("a path of plain letters");
    // One child has ended when the gateway begins, one has a parent of its own and then none, and
    // one is a child from before.
    let script = format!(
        r#"true & (cat "{fifo}" & cat "{fifo}" &); cat "{fifo}" & while kill -0 %1; do :; done
           exec "$@""#
    );
    let server = backend(echo);
    let builder = Gateway::builder().endpoint(&server.address().to_string());
    let words = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", &script, "sh"];
    if !can_unshare() {
        return;
    }
    let gateway = builder.under(words).start();
    let [pid] = children(gateway.pid())[..] else { panic!("unshare has one child") };
    until("it has its children", || children(pid).len() == 3);
    // All three read until the last writer has left, and one that has not begun to read by then
    // waits for the next.
    let mut writer = File::options();
    writer.write(true).custom_flags(nix::libc::O_NONBLOCK);
    until("no child is left", || {
        drop(writer.open(fifo));
        children(pid).is_empty()
    });
    round_trip(&gateway.connect(), b"served");
    // To process 1 no signal comes that it has not asked for.
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is a positive i32"));
    kill(pid, Signal::SIGTERM).expect("signal our own grandchild");
    gateway.wait_for_log("INFO stopped");
}

fn can_unshare() -> bool {
    let output = finish(Command::new("unshare").args(["--pid", "--fork", "true"]), "");
    if !output.status.success() {
        needs_privilege("process 1: process namespaces need CAP_SYS_ADMIN");
    }
    output.status.success()
}

#[test]
fn the_ready_line_says_that_no_endpoint_is_known_yet() {
    Machine::run(|machine| {
        machine.set_resolv_conf("nameserver 127.0.0.53\n");
        let gateway = machine.gateway().endpoint("nowhere.test:2379").start();
        let ready = "INFO ready to proxy client requests";
        let lines = gateway.log();
        let line = lines.iter().find(|line| line.starts_with(ready)).expect("it is ready");
        let want = format!("{ready}, no endpoint known yet endpoints=[] listen=[");
        assert!(line.starts_with(&want), "{line}");
    });
    let gateway = Gateway::start(&[refused_address()], &[]);
    assert_eq!(gateway.log_count("no endpoint known yet"), 0);
}

/// Of a start that failed, systemd tries again as the docs say.
#[test]
fn the_unit_of_the_manual_restarts_after_every_failure_but_bad_usage() {
    let manual = include_str!("../../docs/operations.md");
    let (_, rest) = manual.split_once("```ini\n[Unit]\n").expect("a unit");
    let (unit, rest) = rest.split_once("[Service]\n").expect("a section");
    let (service, _) = rest.split_once("[Install]\n").expect("a section");
    let has = |section: &str, line: &str| section.lines().any(|found| found == line);
    assert!(has(unit, "StartLimitIntervalSec=0"), "{unit}");
    for line in ["Restart=on-failure", "RestartSec=1", "RestartPreventExitStatus=2"] {
        assert!(has(service, line), "no {line} in {service}");
    }
}
