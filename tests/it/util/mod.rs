//! What the integration tests share: child processes, peers on plain sockets, networks and machines
//! of a test's own, name servers, certificates, an etcd cluster.

mod admin;
mod browser;
mod certificates;
pub mod command_line;
mod connections;
mod descriptors;
mod dns;
mod dnsmasq;
mod etcd;
mod fake_member;
mod gateway;
mod hostile;
mod json_client;
mod lone_member;
mod machine;
mod members;
mod mounts;
mod name_server;
mod namespace;
mod needs;
mod pairs;
mod process;
mod prometheus;
mod remote;
mod sockets;
mod trace;
mod transfers;
mod version;

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

pub use admin::{admin_address, admin_connection, ask, get, read_reply};
pub use browser::Browser;
pub use certificates::{Authority, Certificate, P256, P384, P521, TlsServer, Validity};
pub use command_line::check_refusal;
pub use connections::far_ends;
pub use descriptors::{
    DESCRIPTORS_FOR_ALL, DESCRIPTORS_OF_OTHERS, PAIRS, borrow_sockets, own_hard_limit,
    raise_own_limit, set_soft_limit,
};
pub use dns::{Data, Kind};
pub use dnsmasq::Dnsmasq;
pub use etcd::{Cluster, TemporaryDirectory, USERS, base64, etcdctl, finish, http, output_of};
pub use fake_member::{FakeMember, Health, PING, greeted_client, letter_of};
pub use gateway::{Gateway, GatewayBuilder, as_from_a_terminal};
pub use hostile::Hostile;
pub use json_client::{Change, JsonClient, JsonWatch, json_number, json_text};
pub use lone_member::LoneMember;
pub use machine::Machine;
pub use members::{
    DNS, ENDPOINT, LATENESS_MAX, NAME, RECOVERY, answer, gateway_of_members, letters, member,
    member_address, name_server_of_members, named, resolved, tally, wait_added, wait_removed,
};
pub use mounts::on_small_disk;
pub use name_server::{Behaviour, NameServer, Options};
pub use namespace::{Host, Namespace, Network};
pub use pairs::{
    LARGEST, Relay, SMALL_BYTES, bytes_before_a_reset_arrive, exchange, expect_all, expect_bytes,
    expect_reset, fence, fill, pass, read_in_pieces, round_trip, unsent, write_in_pieces,
};
pub use process::{Process, send_signal};
pub use prometheus::{Prometheus, monitoring, monitoring_file, promtool, sample};
pub use remote::{RemoteCluster, Role};
pub use sockets::{
    Backend, Blackhole, Reservation, backend, dropped_packets, echo, has_ipv6, payload,
    refused_address, reset, socket_option,
};
pub use trace::{Calls, Traced};
pub use transfers::Transfers;
pub use version::Version;

/// The longest any single wait of a test may take; far beyond what a loaded machine needs.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// The pause between two looks at something that sends no event.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until the condition holds, and panics with `what` at the deadline.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(what, DEADLINE, condition);
}

/// The same with a deadline that is itself what the test asserts.
pub fn until_within(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        thread::park_timeout(POLL_INTERVAL);
    }
}

/// The number behind `key=` in a line of the log.
pub fn number_in(line: &str, key: &str) -> usize {
    let mut words = line.split_whitespace();
    let value = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let value = value.unwrap_or_else(|| panic!("no {key} in {line}"));
    value.parse().unwrap_or_else(|_| panic!("{key} is not a number in {line}"))
}

/// Says aloud that this machine cannot show something; libtest would hide what `eprintln!` says.
pub fn not_tested(what: &str) {
    writeln!(io::stderr(), "not tested: {what}").expect("a test has a stderr");
}

/// Something takes a privilege that is not there. A developer without it reads so; root and CI are
/// expected to have it, and the test fails.
pub fn needs_privilege(what: &str) {
    not_tested(what);
    let is_expected = env::var_os("CI").is_some() || is_root();
    assert!(!is_expected, "not tested: {what}");
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
