//! What valgrind counts in the release build: instructions outside the kernel, and the heap.
//!
//! One more thing costs the difference between a run that does few of them and one that does many:
//! start and end cancel out.

use std::io::Read;
use std::net::Shutdown;

use super::{
    ALLOCATIONS_PER_CONNECTION, ALLOCATIONS_PER_MESSAGE, DESCRIPTORS_KEPT,
    INSTRUCTIONS_ALLOWANCE_PERCENT, INSTRUCTIONS_PER_CONNECTION, INSTRUCTIONS_PER_ROUND_TRIP,
    PAIR_BYTES, QUIET_PAIR_ALLOWANCE_BYTES, release_build,
};
use crate::util::*;

/// Each counts and tells at the end; the details would go to files.
pub(super) const CALLGRIND: [&str; 2] = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
pub(super) const DHAT: [&str; 2] = ["--tool=dhat", "--dhat-out-file=/dev/null"];

/// A gateway under a tool of valgrind, in front of an echo.
pub(super) struct Watched {
    pub(super) gateway: Gateway,
    idle_descriptors: usize,
    _server: Backend,
}

impl Watched {
    pub(super) fn start(tool: [&str; 2], arguments: &[&str]) -> Watched {
        let server = backend(echo);
        let builder = Gateway::builder().endpoint(&server.address().to_string()).log_level("info");
        let words = ["valgrind"].into_iter().chain(tool);
        let builder = arguments.iter().copied().fold(builder, GatewayBuilder::arg);
        let gateway = builder.program(release_build()).under(words).start();
        let idle_descriptors = gateway.descriptors();
        Watched { gateway, idle_descriptors, _server: server }
    }

    /// Ends it once all clients have left, and returns the line of the tool that holds `key`.
    pub(super) fn result(mut self, key: &str) -> String {
        let descriptors_max = self.idle_descriptors + DESCRIPTORS_KEPT;
        until("all clients have left", || self.gateway.descriptors() <= descriptors_max);
        self.gateway.signal("TERM");
        assert!(self.gateway.wait_exit().success(), "an orderly end");
        self.gateway.wait_for_log(key)
    }

    pub(super) fn round_trips(&self, count: u64) {
        let client = self.gateway.connect();
        (0..count).for_each(|_| round_trip(&client, &[b'm'; 128]));
    }

    pub(super) fn short_connections(&self, count: u64) {
        for _ in 0..count {
            let mut client = self.gateway.connect();
            round_trip(&client, &[b'r'; 64]);
            client.shutdown(Shutdown::Write).expect("the connection is established");
            // The server ends when our end arrives: this is the end of both ways.
            assert_eq!(client.read(&mut [0]).expect("the pair passes the end on"), 0);
        }
    }
}

/// The number after `key`, written as `12,345`.
pub(super) fn number(line: &str, key: &str) -> u64 {
    let (_, rest) = line.split_once(key).expect("the line was found by the key");
    let end = rest.split_whitespace().next().unwrap_or_default();
    end.replace(',', "").parse().unwrap_or_else(|_| panic!("no number after {key:?}: {line}"))
}

/// Instructions for one more of what `work` does, with these flags.
pub(super) fn instructions_each(arguments: &[&str], few: u64, work: impl Fn(&Watched, u64)) -> u64 {
    let [less, more] = [few, 3 * few].map(|count| {
        let watched = Watched::start(CALLGRIND, arguments);
        work(&watched, count);
        number(&watched.result("Collected : "), "Collected : ")
    });
    (more - less) / (2 * few)
}

/// Allocations for that number more of what `work` does, with these flags.
pub(super) fn allocations(
    arguments: &[&str],
    few: u64,
    more: u64,
    work: impl Fn(&Watched, u64),
) -> u64 {
    let [less, all] = [few, few + more].map(|count| {
        let watched = Watched::start(DHAT, arguments);
        work(&watched, count);
        number(&watched.result("Total: "), " bytes in ")
    });
    all - less
}

pub(super) fn expect_instructions(what: &str, usual: u64, each: u64) {
    println!("instructions per {what}: {each}");
    let bound = usual + usual * INSTRUCTIONS_ALLOWANCE_PERCENT / 100;
    assert!(each <= bound, "{each} instructions per {what}, {bound} at most");
}

#[test]
fn a_round_trip_takes_no_more_instructions_than_it_did() {
    let each = instructions_each(&[], 1000, Watched::round_trips);
    expect_instructions("round trip", INSTRUCTIONS_PER_ROUND_TRIP, each);
}

#[test]
fn a_short_connection_takes_no_more_instructions_than_it_did() {
    // Events that come apart take a wait more, which the machine's load decides: the least counts.
    let each = (0..3).map(|_| instructions_each(&[], 200, Watched::short_connections)).min();
    let each = each.expect("three of them");
    expect_instructions("short connection", INSTRUCTIONS_PER_CONNECTION, each);
}

#[test]
fn messages_and_connections_allocate_nothing() {
    let messages = allocations(&[], 10, 1000, Watched::round_trips);
    let connections = allocations(&[], 10, 100, Watched::short_connections);
    println!("allocations for 2000 messages: {messages}, for 100 connections: {connections}");
    assert_eq!(messages, 2000 * ALLOCATIONS_PER_MESSAGE);
    assert_eq!(connections, 100 * ALLOCATIONS_PER_CONNECTION);
}

#[test]
fn what_is_shown_of_a_connection_allocates_nothing() {
    let directory = TemporaryDirectory::new();
    let log = format!("--access-log={}", directory.path().join("log").display());
    for arguments in
        [&[log.as_str()][..], &[&log, "--access-log-format=json"], &["--admin-addr=127.0.0.1:0"]]
    {
        let connections = allocations(arguments, 10, 100, Watched::short_connections);
        println!("allocations for 100 connections with {arguments:?}: {connections}");
        assert_eq!(connections, 100 * ALLOCATIONS_PER_CONNECTION, "{arguments:?}");
    }
}

#[test]
fn a_quiet_pair_holds_its_slot_and_two_descriptors() {
    raise_own_limit();
    let message = payload(5, 64 * 1024);
    // Less than powers of two, to which the tables of pairs and timers grow: a timer of another
    // purpose, which is there or not, doubles none of them.
    let [few, many] = [256 - 16, 512 - 16].map(|count| {
        let watched = Watched::start(DHAT, &[]);
        let used_pair = |_| {
            let client = watched.gateway.connect();
            round_trip(&client, &message);
            client
        };
        let clients: Vec<_> = (0..count).map(used_pair).collect();
        let descriptors = watched.gateway.descriptors();
        let wanted = watched.idle_descriptors + 2 * count + DESCRIPTORS_KEPT;
        assert!(descriptors <= wanted, "{descriptors} descriptors, {wanted} at most");
        drop(clients);
        number(&watched.result("At t-gmax: "), "At t-gmax: ")
    });
    let each = (many - few) / 256;
    println!("bytes per quiet pair: {each}");
    let bound = PAIR_BYTES as u64 + QUIET_PAIR_ALLOWANCE_BYTES;
    assert!(each <= bound, "{each} bytes per quiet pair, {bound} at most");
}
