//! `/etc/hosts` and `/etc/resolv.conf` as they may be: long, empty, missing, from Windows, no files
//! at all, and with all the options that the C library knows. Members are those of `names.rs`.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use etcd_gateway::config::HOSTS_BYTES_PER_TURN;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::util::*;

/// Where resolv.conf(5) leads without a server.
const OWN_HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const MANY_BYTES: usize = 10_000_000;

/// `bytes` of hosts that no test asks for.
fn unwanted(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 100);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        writeln!(text, "0.0.0.0 tracker{number}.advertising.example").expect("a string");
    }
    text
}

/// A gateway of that machine under strace, and the file of its calls.
fn traced(
    machine: &Machine,
    directory: &TemporaryDirectory,
) -> (GatewayBuilder, std::path::PathBuf) {
    let log = directory.path().join("calls");
    let words = ["strace", "-D", "-qq", "-s", "0", "-o"].map(OsString::from);
    let words = words.into_iter().chain([log.clone().into_os_string()]);
    (machine.gateway().under(words), log)
}

#[test]
fn the_last_line_of_ten_megabytes_counts() {
    Machine::run(|machine| {
        let dns = name_server_of_members(60, &[12]);
        let _member = member(11);
        machine.set_hosts(&format!("{}127.0.0.11 {NAME}\n", unwanted(MANY_BYTES)));
        let directory = TemporaryDirectory::new();
        let (builder, log) = traced(machine, &directory);
        let gateway = builder.endpoint(ENDPOINT).start();
        wait_added(&gateway, &[11]);
        assert_eq!(letters(&gateway, 10), "a");
        assert_eq!(dns.count(NAME, Kind::A), 0, "no server had to be asked");

        // In pieces: after each the gateway looks for what else there is to do.
        let calls = fs::read_to_string(log).expect("the log of strace");
        let (mut file, mut whole, mut piece) = (None, 0, 0);
        for line in calls.lines() {
            let result = || line.rsplit_once("= ")?.1.split(' ').next()?.parse::<usize>().ok();
            if line.starts_with("openat(") && line.contains("/etc/hosts") {
                file = result();
            } else if line.starts_with("epoll_") && line.contains("wait") {
                piece = 0;
            } else if file.is_some_and(|file| line.starts_with(&format!("read({file},"))) {
                let bytes = result().expect("a read that succeeds");
                (whole, piece) = (whole + bytes, piece + bytes);
                assert!(piece <= HOSTS_BYTES_PER_TURN, "{piece} bytes in one turn");
            }
        }
        assert!(whole > MANY_BYTES, "{whole} bytes were read");
    });
}

#[test]
fn a_line_of_ten_megabytes_counts() {
    Machine::run(|machine| {
        let names: String = unwanted(MANY_BYTES).replace('\n', " ");
        machine.set_hosts(&format!("127.0.0.12 {}\n127.0.0.11 {names} {NAME}", "x".repeat(70_000)));
        let _gateway = gateway_of_members(machine, &[11]);
    });
}

#[test]
fn a_file_that_stays_is_read_twice_and_no_more() {
    Machine::run(|machine| {
        let dns = name_server_of_members(1, &[11]);
        let directory = TemporaryDirectory::new();
        let (builder, log) = traced(machine, &directory);
        let gateway = builder.endpoint(ENDPOINT).start();
        until("it is looked up again and again", || dns.count(NAME, Kind::A) >= 5);
        let opened = || {
            let calls = fs::read_to_string(&log).expect("the log of strace");
            let is_open = |line: &&str| line.starts_with("openat(") && line.contains("/etc/hosts");
            calls.lines().filter(is_open).count()
        };
        // The second one is for a change within the tick of the kernel's clock.
        assert_eq!(opened(), 2);
        machine.set_hosts(&format!("127.0.0.12 {NAME}\n"));
        wait_added(&gateway, &[12]);
        assert!(opened() > 2);
    });
}

/// Programs that write a file may empty it first, but do not leave it so.
#[test]
fn an_emptied_hosts_file_counts_after_a_while() {
    Machine::run(|machine| {
        let _dns = name_server_of_members(60, &[12]);
        machine.set_hosts(&format!("127.0.0.11 {NAME}\n"));
        let gateway = gateway_of_members(machine, &[11]);
        machine.set_hosts("");
        wait_added(&gateway, &[12]);
        wait_removed(&gateway, 11);
    });
}

#[test]
fn what_is_not_a_hosts_file_delays_no_client() {
    Machine::run(|machine| {
        let dns = name_server_of_members(1, &[11]);
        fs::remove_file(machine.etc("hosts")).expect("a file of our own");
        mkfifo(&machine.etc("hosts"), Mode::S_IRWXU).expect("a pipe of our own");
        let gateway = gateway_of_members(machine, &[11]);
        until("it is looked up again", || dns.count(NAME, Kind::A) >= 3);
        let line = gateway.wait_for_log("WARN hosts file not read");
        assert!(line.contains(" file=/etc/hosts reason=not_a_file"), "{line}");
        assert_eq!(gateway.log_count("hosts file not read"), 1, "logged once");
    });
}

#[test]
fn a_resolv_conf_without_a_server_is_logged_once() {
    Machine::run(|machine| {
        let own = NameServer::start(OWN_HOST);
        own.set_addresses(NAME, 1, &[11]);
        let _dns = name_server_of_members(1, &[12]);
        let path = machine.etc("resolv.conf");
        let pipe = || mkfifo(&path, Mode::S_IRWXU).expect("a pipe of our own");
        let rows: [(&str, &dyn Fn()); 5] = [
            ("missing", &|| {}),
            ("empty", &|| machine.set_resolv_conf("")),
            ("no_server", &|| machine.set_resolv_conf("# nothing\nnameserver nowhere\n")),
            ("not_a_file", &pipe),
            ("not_a_file", &|| fs::create_dir(&path).expect("a directory of our own")),
        ];
        for (reason, make) in rows {
            // What is there is a file or a pipe at this point.
            fs::remove_file(&path).expect("our own");
            make();
            let before = own.count(NAME, Kind::A);
            let gateway = gateway_of_members(machine, &[11]);
            let line = gateway.wait_for_log("WARN no name server given");
            let what = format!("file=/etc/resolv.conf reason={reason} servers=[127.0.0.1:53]");
            assert!(line.contains(&what), "{line}");
            until("it is looked up again", || own.count(NAME, Kind::A) >= before + 3);
            if reason == "not_a_file" && path.is_dir() {
                fs::remove_dir(&path).expect("our own");
            }
            machine.set_resolv_conf(&format!("nameserver {DNS}\n"));
            let line = gateway.wait_for_log("INFO name servers known again");
            assert!(line.contains(&format!("servers=[{DNS}:53]")), "{line}");
            wait_added(&gateway, &[12]);
            assert_eq!(gateway.log_count("no name server given"), 1, "logged once: {reason}");
        }
    });
}

/// What was known is the better guess, but the log has to say which server is asked.
#[test]
fn a_resolv_conf_that_goes_is_logged_and_its_servers_stay() {
    Machine::run(|machine| {
        let dns = name_server_of_members(1, &[11]);
        let gateway = gateway_of_members(machine, &[11]);
        fs::remove_file(machine.etc("resolv.conf")).expect("our own");
        let line = gateway.wait_for_log("WARN no name server given");
        assert!(line.contains(&format!("reason=missing servers=[{DNS}:53]")), "{line}");
        dns.set_addresses(NAME, 1, &[12]);
        wait_added(&gateway, &[12]);
    });
}

/// Names that are in /etc/hosts, and addresses, ask no server.
#[test]
fn without_a_question_no_name_server_is_missed() {
    Machine::run(|machine| {
        let _member = member(11);
        fs::remove_file(machine.etc("resolv.conf")).expect("our own");
        machine.set_hosts(&format!("127.0.0.11 {NAME}\n"));
        let gateway = machine.gateway().endpoint(ENDPOINT).endpoint("localhost:1").start();
        wait_added(&gateway, &[11]);
        assert_eq!(letters(&gateway, 10), "a");
        assert_eq!(gateway.log_count("no name server given"), 0);
    });
}

#[test]
fn lines_may_end_as_in_windows() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses("etcd.two.test", 60, &[11]);
        machine.set_resolv_conf(&format!(
            "nameserver {DNS}\r\nsearch one.test two.test\r\noptions timeout:1 rotate\r\n"
        ));
        machine.set_hosts("127.0.0.1 localhost\r\n127.0.0.12 other.test\r\n");
        let builder = machine.gateway().endpoint("etcd:2379").endpoint("other.test:2379");
        let gateway = builder.start();
        wait_added(&gateway, &[11, 12]);
        assert_eq!(gateway.log_count("no name server given"), 0);
    });
}

#[test]
fn a_search_list_that_is_too_long_is_logged() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses("etcd.n40.test", 60, &[11]);
        let search: String = (0..300).map(|number| format!(" n{number}.test")).collect();
        machine.set_resolv_conf(&format!("nameserver {DNS}\nsearch{search}\n"));
        let gateway = machine.gateway().endpoint("etcd:2379").start();
        wait_added(&gateway, &[11]);
        let line = gateway.wait_for_log("WARN file too long");
        assert!(line.contains("file=/etc/resolv.conf reason=too_many_suffixes"), "{line}");
    });
}

/// What is asked for until a name has an address.
struct Row {
    name: &'static str,
    /// What resolv.conf says behind the name server.
    file: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// Names that are asked for.
    want: &'static [&'static str],
    /// In both families; of one alone the C library of this machine may not know.
    both: bool,
    is_found: bool,
}

const ONE_TWO: &str = "search one.test two.test\n";
const USUAL: Row = Row {
    name: "etcd",
    file: ONE_TWO,
    environment: &[],
    want: &["etcd.one.test", "etcd.two.test"],
    both: true,
    is_found: true,
};
const ROWS: [Row; 8] = [
    USUAL,
    Row { file: "search one.test two.test\noptions no-aaaa\n", both: false, ..USUAL },
    Row { environment: &[("RES_OPTIONS", "no-aaaa")], both: false, ..USUAL },
    Row { environment: &[("LOCALDOMAIN", "two.test one.test")], want: &["etcd.two.test"], ..USUAL },
    Row { environment: &[("LOCALDOMAIN", "")], name: "top", want: &["top"], ..USUAL },
    Row {
        environment: &[("RES_OPTIONS", "ndots:2")],
        name: "etcd.two",
        file: "search one.test test\n",
        want: &["etcd.two.one.test", "etcd.two.test"],
        ..USUAL
    },
    Row { name: "top", want: &["top.one.test", "top.two.test", "top"], ..USUAL },
    Row {
        name: "top",
        file: "search one.test two.test\noptions no-tld-query\n",
        want: &["top.one.test", "top.two.test"],
        is_found: false,
        ..USUAL
    },
];

impl Row {
    /// Name and kind of each question, in order.
    fn wanted(&self) -> Vec<String> {
        let kinds: &[Kind] = if self.both { &[Kind::A, Kind::Aaaa] } else { &[Kind::A] };
        let each = |name: &&str| kinds.iter().map(|kind| question(name, *kind)).collect::<Vec<_>>();
        let mut wanted: Vec<String> = self.want.iter().flat_map(each).collect();
        wanted.sort();
        wanted
    }

    /// What the gateway asks.
    fn ask_by_gateway(&self, machine: &Machine, dns: &NameServer) -> Vec<String> {
        let before = dns.queries().len();
        let builder = machine.gateway().endpoint(&format!("{}:2379", self.name));
        let add = |builder: GatewayBuilder, (key, value): &(&str, &str)| builder.env(key, *value);
        let gateway = self.environment.iter().fold(builder, add).start();
        if self.is_found {
            wait_added(&gateway, &[11]);
        } else {
            let line = format!("name not resolved name={} reason=no_such_name", self.name);
            gateway.wait_for_log(&line);
        }
        let many = self.wanted().len();
        until("the other family is asked for", || asked(dns, before).len() >= many);
        asked(dns, before)
    }

    /// What the C library asks.
    fn ask_by_library(&self, machine: &Machine, dns: &NameServer) -> Vec<String> {
        let before = dns.queries().len();
        let mut command = Command::new("getent");
        machine.enter(command.args(["ahosts", self.name]));
        command.env_remove("LOCALDOMAIN").env_remove("RES_OPTIONS");
        command.envs(self.environment.iter().copied());
        finish(&mut command, "");
        asked(dns, before)
    }
}

fn question(name: &str, kind: Kind) -> String {
    format!("{name} {kind:?}")
}

/// The questions since then, each once.
fn asked(dns: &NameServer, before: usize) -> Vec<String> {
    let queries = dns.queries().split_off(before);
    let mut asked: Vec<String> =
        queries.iter().map(|query| question(&query.name, query.kind)).collect();
    asked.sort();
    asked.dedup();
    asked
}

#[test]
fn options_count_as_they_do_for_the_c_library() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses("etcd.two.test", 60, &[11]);
        dns.set_addresses("top", 60, &[11]);
        for row in ROWS {
            machine.set_resolv_conf(&format!("nameserver {DNS}\n{}", row.file));
            let what = format!("{} with {:?} and {:?}", row.name, row.file, row.environment);
            assert_eq!(row.ask_by_gateway(machine, &dns), row.wanted(), "{what}");
            if row.both {
                let asked = row.ask_by_library(machine, &dns);
                assert_eq!(asked, row.wanted(), "the C library: {what}");
            }
        }
    });
}

#[test]
fn families_are_asked_for_one_by_one_where_that_is_wanted() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set(NAME, 60, &[Data::A(DNS), Data::Aaaa(Ipv6Addr::LOCALHOST)]);
        dns.behave_for(Kind::A, Behaviour::Drop);
        let options = "options timeout:1 attempts:2 single-request";
        machine.set_resolv_conf(&format!("nameserver {DNS}\n{options}\n"));
        let gateway = machine.gateway().endpoint(ENDPOINT).start();
        gateway.wait_for_log("endpoint added endpoint=[::1]:2379 ");
        let asked: Vec<Kind> = dns.queries().iter().map(|query| query.kind).collect();
        assert_eq!(asked[..3], [Kind::A, Kind::A, Kind::Aaaa]);
    });
}

#[test]
fn ipv6_addresses_go_when_they_are_not_to_be_asked_for() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let address = Ipv4Addr::from([127, 0, 0, 11]);
        dns.set(NAME, 1, &[Data::A(address), Data::Aaaa(Ipv6Addr::LOCALHOST)]);
        let gateway = gateway_of_members(machine, &[11]);
        gateway.wait_for_log("endpoint added endpoint=[::1]:2379 ");
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions no-aaaa\n"));
        gateway.wait_for_log("endpoint removed endpoint=[::1]:2379 ");
        let asked = dns.count(NAME, Kind::Aaaa);
        let before = dns.count(NAME, Kind::A);
        until("it is looked up again", || dns.count(NAME, Kind::A) >= before + 3);
        assert_eq!(dns.count(NAME, Kind::Aaaa), asked);
        let removed = format!("endpoint removed endpoint={} ", member_address(11));
        assert_eq!(gateway.log_count(&removed), 0);
        assert_eq!(gateway.log_count("name not resolved"), 0);
    });
}

#[test]
fn a_configuration_that_is_not_to_be_reloaded_stays() {
    Machine::run(|machine| {
        let dns = name_server_of_members(1, &[11]);
        let other = NameServer::start(Ipv4Addr::from([127, 0, 0, 54]));
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions no-reload\n"));
        let _gateway = gateway_of_members(machine, &[11]);
        machine.set_resolv_conf("nameserver 127.0.0.54\n");
        let before = dns.count(NAME, Kind::A);
        until("it is looked up again", || dns.count(NAME, Kind::A) >= before + 3);
        assert_eq!(other.queries().len(), 0);
    });
}
