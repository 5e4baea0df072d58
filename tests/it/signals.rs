//! What signals do, above all how the gateway ends.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use crate::util::*;

/// A drain that no test waits for: longer than the deadline of a wait.
pub const LONG_DRAIN: &str = "--drain-timeout=5m";

/// A gateway on a port that stays ours after the gateway has closed it, in front of an echo.
fn gateway_at(place: &Reservation, server: &Backend, argument: &str) -> Gateway {
    let listen = format!("--listen-addr={}", place.address());
    Gateway::start(&[server.address()], &[&listen, argument])
}

fn is_refused(address: SocketAddr) -> bool {
    match TcpStream::connect(address) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => true,
        // The listener went away between our handshake and its accept(2).
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => panic!("neither accepted nor refused: {error}"),
    }
}

pub fn expect_orderly_end(mut gateway: Gateway) {
    let status = gateway.wait_exit();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(gateway.log_count("INFO stopped"), 1);
}

#[test]
fn signal_with_nothing_open_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let server = backend(echo);
        let gateway = Gateway::start(&[server.address()], &[LONG_DRAIN]);
        // A pair that has ended must not count as open.
        round_trip(&gateway.connect(), b"one that leaves");
        gateway.wait_for_log("cause=completed");
        gateway.signal(signal);
        // No pair is waited for, so there is nothing to say about a second signal.
        assert_eq!(gateway.wait_for_log("draining"), "INFO draining pairs=0 timeout=5m0s");
        assert!(gateway.wait_for_log("INFO stopped").contains(" completed=1 rejected=0 cut=0 "));
        expect_orderly_end(gateway);
    }
}

#[test]
fn running_pairs_go_on_after_a_signal_and_new_clients_are_refused() {
    for signal in ["TERM", "INT"] {
        let (place, server) = (Reservation::new(), backend(echo));
        let gateway = gateway_at(&place, &server, LONG_DRAIN);
        let pairs = [gateway.connect(), gateway.connect()];
        for client in &pairs {
            round_trip(client, b"before the signal");
        }
        gateway.signal(signal);
        let line = gateway.wait_for_log("draining");
        let want = "INFO draining, a second signal ends at once pairs=2 timeout=5m0s";
        assert_eq!(line, want, "how many, until when, and what a second signal does");
        until("the listener is closed", || is_refused(place.address()));
        let [mut first, second] = pairs;
        for client in [&first, &second] {
            round_trip(client, b"after the signal");
        }
        // One leaves, and the other still goes on, half-closed even.
        drop(second);
        gateway.wait_for_log("cause=completed");
        first.write_all(b"the last words").expect("the pair takes a message");
        first.shutdown(Shutdown::Write).expect("the connection is established");
        let mut answer = Vec::new();
        first.read_to_end(&mut answer).expect("an end of file in order");
        assert_eq!(answer, b"the last words");
        expect_orderly_end(gateway);
    }
}

#[test]
fn client_that_is_being_dialed_when_the_signal_comes_is_still_served() {
    let (blackhole, server) = (Blackhole::start(), backend(echo));
    let gateway = Gateway::builder()
        .endpoint(&format!("{}?priority=0", blackhole.address()))
        .endpoint(&format!("{}?priority=1", server.address()))
        .arg(LONG_DRAIN)
        .start();
    let idle = gateway.descriptors();
    let client = gateway.connect();
    gateway.wait_descriptors(idle + 2);
    gateway.signal("TERM");
    gateway.wait_for_log("draining");
    round_trip(&client, b"after the signal");
    drop(client);
    expect_orderly_end(gateway);
}

#[test]
fn pair_that_does_not_end_is_reset_when_the_drain_is_over() {
    let server = backend(echo);
    let gateway = Gateway::start(&[server.address()], &["--drain-timeout=500ms"]);
    let client = gateway.connect();
    round_trip(&client, b"before the signal");
    let started = Instant::now();
    gateway.signal("TERM");
    expect_reset(&client);
    assert!(started.elapsed() >= Duration::from_millis(500), "after {:?}", started.elapsed());
    gateway.wait_for_log("cause=drain_timeout");
    let line = gateway.wait_for_log("INFO stopped");
    assert!(line.contains(" clients=1 completed=0 rejected=0 cut=1 "), "{line}");
    expect_orderly_end(gateway);
}

#[test]
fn second_signal_ends_at_once() {
    for [first, second] in [["TERM", "TERM"], ["INT", "INT"], ["TERM", "INT"]] {
        let server = backend(echo);
        let gateway = Gateway::start(&[server.address()], &[LONG_DRAIN]);
        let client = gateway.connect();
        round_trip(&client, b"before the signals");
        gateway.signal(first);
        gateway.wait_for_log("draining");
        round_trip(&client, b"between the signals");
        gateway.signal(second);
        // Cut off is cut off: it must not look as if the server had finished.
        expect_reset(&client);
        assert!(gateway.wait_for_log("INFO stopped").contains(" cut=1 "));
        expect_orderly_end(gateway);
    }
}

/// What a signal does to a gateway that serves, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It ends in order.
    Ends,
    /// Nothing but a line of the log.
    IsTold,
    Nothing,
    /// The kernel ends it.
    Kills,
    /// The same, but the standard library takes the first one for a fault that will come again.
    KillsTheSecondTime,
    /// The kernel stops it until SIGCONT.
    Stops,
}

/// The table of docs/operations.md, without the two signals that no program has a say in.
fn effect(signal: i32) -> Option<Effect> {
    match signal {
        libc::SIGKILL | libc::SIGSTOP => None,
        libc::SIGTERM | libc::SIGINT => Some(Effect::Ends),
        libc::SIGHUP => Some(Effect::IsTold),
        libc::SIGQUIT | libc::SIGABRT | libc::SIGTRAP => Some(Effect::Kills),
        libc::SIGILL | libc::SIGFPE | libc::SIGSYS => Some(Effect::Kills),
        libc::SIGSEGV | libc::SIGBUS => Some(Effect::KillsTheSecondTime),
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Some(Effect::Stops),
        _ => Some(Effect::Nothing),
    }
}

/// The signals of such an effect. The kernel has 64, and shells count the last 31 from SIGRTMIN.
fn signals_that(wanted: Effect) -> impl Iterator<Item = i32> {
    (1..=64).filter(move |signal| effect(*signal) == Some(wanted))
}

/// Sends a signal by its number: those in real time have no names.
fn send(gateway: &Gateway, signal: i32) {
    let pid = i32::try_from(gateway.pid()).expect("a pid is a positive i32");
    // SAFETY: takes no pointers; the result is checked.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(result, 0, "{signal}: {}", io::Error::last_os_error());
}

/// A gateway that finds signals as this script leaves them, and drops no core. A job, since job
/// control has no effect on a process group without a parent in its session.
fn after(script: &str, server: &Backend) -> Gateway {
    let script = format!(r#"ulimit -c 0; {script} exec "$@""#);
    let builder = Gateway::builder().endpoint(&server.address().to_string());
    builder.under(["sh", "-c", &script, "sh"]).job().start()
}

#[test]
fn signals_without_an_effect_have_none() {
    let server = backend(echo);
    let mut gateway = after("", &server);
    for signal in signals_that(Effect::Nothing) {
        for _ in 0..3 {
            send(&gateway, signal);
        }
        // Who answers has come back from the kernel since, which is when a signal takes effect.
        round_trip(&gateway.connect(), b"alive");
    }
    assert!(signals_that(Effect::Nothing).count() > 40, "most have none");
    gateway.signal("TERM");
    assert!(gateway.wait_exit().success());
    assert_eq!(gateway.log_count("signal ignored"), 0, "{:?}", gateway.log());
    assert_eq!(gateway.log_count("WARN"), 0);
}

#[test]
fn sighup_is_ignored_with_a_line() {
    let server = backend(echo);
    let gateway = after("", &server);
    let client = gateway.connect();
    assert!(signals_that(Effect::IsTold).eq([libc::SIGHUP]));
    gateway.signal("HUP");
    let line = gateway.wait_for_log("signal ignored signal=SIGHUP");
    assert!(line.contains("WARN") && line.contains("reason=no_reload count=1"), "{line}");
    // A second one within the second is logged when that is over.
    gateway.signal("HUP");
    gateway.wait_for_log("signal ignored signal=SIGHUP");
    round_trip(&client, b"not cut off");
    round_trip(&gateway.connect(), b"let in");
}

#[test]
fn signals_that_end_end_in_order() {
    let server = backend(echo);
    for signal in signals_that(Effect::Ends) {
        let gateway = after("", &server);
        send(&gateway, signal);
        expect_orderly_end(gateway);
    }
}

#[test]
fn faults_and_sigquit_keep_what_the_kernel_does() {
    let server = backend(echo);
    let expect_death = |mut gateway: Gateway, signal| {
        send(&gateway, signal);
        let status = gateway.wait_exit();
        assert_eq!(status.signal(), Some(signal), "{status}");
    };
    for signal in signals_that(Effect::Kills) {
        expect_death(after("", &server), signal);
    }
    for signal in signals_that(Effect::KillsTheSecondTime) {
        let gateway = after("", &server);
        send(&gateway, signal);
        round_trip(&gateway.connect(), b"alive");
        expect_death(gateway, signal);
    }
}

#[test]
fn job_control_stops_and_continues_it() {
    let server = backend(echo);
    for signal in signals_that(Effect::Stops) {
        let gateway = after("", &server);
        let client = gateway.connect();
        round_trip(&client, b"before");
        send(&gateway, signal);
        let status = format!("/proc/{}/status", gateway.pid());
        until("it is stopped", || {
            fs::read_to_string(&status).expect("it has a status").contains("State:\tT")
        });
        gateway.signal("CONT");
        round_trip(&client, b"after");
    }
}

/// As a shell starts what a script puts into the background, and nohup(1) everything.
#[test]
fn signals_that_the_parent_ignores_stay_ignored_but_for_sigterm() {
    let server = backend(echo);
    let mut gateway = after("trap '' HUP INT QUIT TSTP TERM CHLD USR1;", &server);
    for signal in ["INT", "HUP", "QUIT", "TSTP", "USR1"] {
        gateway.signal(signal);
        round_trip(&gateway.connect(), b"a drain takes no new client");
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit().code(), Some(0));
    assert_eq!(gateway.log_count("draining"), 1);
    assert_eq!(gateway.log_count("signal ignored"), 0, "{:?}", gateway.log());
}

/// As a parent starts it that takes its own signals from a descriptor.
#[test]
fn signals_that_the_parent_blocks_have_their_effect() {
    let server = backend(echo);
    let blocked = || {
        let builder = Gateway::builder().endpoint(&server.address().to_string());
        let script = r#"ulimit -c 0; exec env --block-signal "$@""#;
        builder.under(["sh", "-c", script, "sh"]).start()
    };
    for signal in ["TERM", "INT"] {
        let gateway = blocked();
        gateway.signal(signal);
        expect_orderly_end(gateway);
    }
    let mut gateway = blocked();
    gateway.signal("HUP");
    gateway.wait_for_log("signal ignored signal=SIGHUP");
    gateway.signal("QUIT");
    assert_eq!(gateway.wait_exit().signal(), Some(libc::SIGQUIT));
}

/// Each has its row, and the table says of it what is true.
#[test]
fn the_table_of_signals_is_true() {
    let table = include_str!("../../docs/operations.md");
    let row = |name: &str| {
        let mut rows = table.lines().filter(|line| line.starts_with("| `"));
        let row = rows.find(|line| line.split('|').nth(1).is_some_and(|cell| cell.contains(name)));
        row.unwrap_or_else(|| panic!("no row for {name}")).to_owned()
    };
    for signal in Signal::iterator() {
        let name = signal.as_str();
        let want = match effect(signal as i32) {
            None => "cannot be changed",
            Some(Effect::Ends) => "orderly end",
            Some(Effect::IsTold) => "ignored, with a line",
            Some(Effect::Nothing) => "none",
            Some(Effect::Kills | Effect::KillsTheSecondTime) => "ends it at once",
            Some(Effect::Stops) => "stops it",
        };
        // SIGCONT continues what was stopped, and has no effect otherwise.
        let want = if signal == Signal::SIGCONT { "continues it" } else { want };
        let row = row(&format!("`{name}`"));
        assert!(row.contains(want), "{name}: {want:?} is not in {row}");
    }
    assert!(row("SIGRTMIN").contains("none"));
}
