//! Names in `--listen-addr`: looked up by the gateway's own resolver before it listens, with a
//! deadline, and without a server where the name is this host's by definition.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;

use crate::util::*;

/// A name of this machine that only a name server knows.
const HERE: &str = "gw.test";

fn listening_on(machine: &Machine, listen: &str) -> GatewayBuilder {
    machine.gateway().endpoint("127.0.0.1:1").arg(&format!("--listen-addr={listen}"))
}

/// The output of a start that is expected to fail.
fn failed(machine: &Machine, listen: &str) -> Output {
    // The log would be on stderr, too.
    finish(&mut listening_on(machine, listen).log_level("off").command(), "")
}

#[track_caller]
fn check_address(gateway: &Gateway, last_octet: u8) {
    assert_eq!(gateway.address().ip(), Ipv4Addr::new(127, 0, 0, last_octet));
}

/// Without a line in /etc/hosts, and with a name server that would never answer (RFC 6761, 6.3).
#[test]
fn localhost_is_the_loopback_address_without_a_question() {
    Machine::run(|machine| {
        machine.set_hosts("");
        let dns = NameServer::start(DNS);
        dns.behave(Behaviour::Drop);
        for listen in ["localhost:0", "LocalHost.:0", "gw.localhost:0", "gw.LOCALHOST.:0"] {
            check_address(&listening_on(machine, listen).start(), 1);
        }
        assert_eq!(dns.queries().len(), 0);
    });
}

#[test]
fn hosts_file_is_asked_before_the_name_servers() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses(HERE, 60, &[22]);
        machine.set_hosts("127.0.0.21 GW.test\n");
        check_address(&listening_on(machine, "gw.test:0").start(), 21);
        assert_eq!(dns.queries().len(), 0);
    });
}

/// One gateway, several listeners, of which two have names.
#[test]
fn name_servers_are_asked_with_the_search_list_and_not_again_later() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses(HERE, 1, &[21]);
        dns.set_addresses("other.test", 1, &[22]);
        machine.set_resolv_conf(&format!("nameserver {DNS}\nsearch test\noptions timeout:1\n"));
        let listen = "gw:0,127.0.0.23:0,other.test:0,gw:0";
        let gateway = listening_on(machine, listen).start();
        let ready = gateway.log().into_iter().find(|line| line.contains("ready to proxy"));
        let ready = ready.expect("it has started");
        for address in ["[127.0.0.21:", ",127.0.0.23:", ",127.0.0.22:", ",127.0.0.21:"] {
            assert!(ready.contains(address), "{address}: {ready}");
        }
        assert_eq!(dns.count(HERE, Kind::A), 1, "asked once for both");
        assert_eq!(gateway.log_count("endpoint added"), 0, "no endpoint comes of it");
        assert_eq!(gateway.log_count("waiting for endpoints"), 0);
    });
}

/// A name that stands for several hosts is common, and only one of them can be this one.
#[test]
fn of_several_addresses_the_first_that_is_ours_is_taken() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let others = [[10, 9, 9, 9], [127, 0, 0, 24], [10, 9, 9, 8]];
        dns.set(HERE, 60, &others.map(|octets| Data::A(octets.into())));
        check_address(&listening_on(machine, "gw.test:0").start(), 24);
        dns.set(HERE, 60, &[Data::A(Ipv4Addr::new(10, 9, 9, 9))]);
        let output = failed(machine, "gw.test:0");
        check_refusal(&"another host", &output, 1, &["10.9.9.9:0", "address not available"]);
    });
}

#[test]
fn name_that_leads_nowhere_ends_the_start_at_once() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let output = failed(machine, "nowhere.test:7");
        check_refusal(&"no name", &output, 1, &["cannot resolve nowhere.test:7: no such name"]);
        dns.set(HERE, 60, &[Data::Cname("nowhere.test".to_owned())]);
        check_refusal(&"an alias", &failed(machine, "gw.test:7"), 1, &["gw.test:7"]);
    });
}

/// A name server that filters answers so for what it blocks, and all addresses were not meant.
#[test]
fn name_does_not_lead_to_all_addresses() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set(HERE, 60, &[Data::A(Ipv4Addr::UNSPECIFIED)]);
        let parts = ["cannot listen on gw.test:7", "unspecified address"];
        check_refusal(&"a filter", &failed(machine, "gw.test:7"), 1, &parts);
    });
}

/// Each row: what the name server does, and what the error says of it.
#[test]
fn silence_ends_the_start_after_a_deadline_that_the_error_names() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        for (behaviour, want) in [
            (Some(Behaviour::Drop), "name server timed out"),
            (Some(Behaviour::ServerFailure), "name server failure"),
            (None, "name server unreachable"),
        ] {
            match behaviour {
                Some(behaviour) => dns.behave(behaviour),
                None => machine.set_resolv_conf("nameserver 127.0.0.54\noptions timeout:1\n"),
            }
            let parts = [&format!("cannot resolve gw.test:7 within 10s: {want}")[..]];
            check_refusal(&behaviour, &failed(machine, "127.0.0.1:0,gw.test:7"), 1, &parts);
        }
    });
}

/// At boot it may come up a moment later.
#[test]
fn name_server_that_comes_late_is_waited_for() {
    Machine::run(|machine| {
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions timeout:1\n"));
        let mut command = listening_on(machine, "gw.test:0").command();
        let gateway = Process::spawn("the gateway", &mut command);
        gateway.wait_for_log("name not resolved name=gw.test reason=name_server_unreachable");
        let dns = NameServer::start(DNS);
        dns.set_addresses(HERE, 60, &[21]);
        gateway.wait_for_log("listen=[127.0.0.21:");
    });
}

/// As an address is that is not there yet.
#[test]
fn name_that_leads_nowhere_yet_is_waited_for_where_that_is_asked_for() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let builder = || listening_on(machine, "gw.test:7");
        let mut command = builder().arg("--listen-retry=4s").log_level("off").command();
        let parts = ["cannot resolve gw.test:7 within 4s: no such name"];
        check_refusal(&"4 s", &finish(&mut command, ""), 1, &parts);
        let questions = dns.count(HERE, Kind::A);
        assert!((3..=6).contains(&questions), "{questions} in 4 s");
        let mut command = builder().arg("--listen-retry=5m").command();
        let gateway = Process::spawn("the gateway", &mut command);
        gateway.wait_for_log("name not resolved name=gw.test reason=no_such_name");
        dns.set_addresses(HERE, 60, &[21]);
        gateway.wait_for_log("listen=[127.0.0.21:7]");
    });
}

#[test]
fn signal_ends_the_wait() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.behave(Behaviour::Drop);
        for signal in ["TERM", "INT"] {
            let before = dns.queries().len();
            let mut command = listening_on(machine, "gw.test:0").command();
            let mut gateway = Process::spawn("the gateway", &mut command);
            until("it asks", || dns.queries().len() > before);
            gateway.signal(signal);
            assert!(gateway.wait_exit().success(), "{signal}: {:?}", gateway.log());
            gateway.wait_for_log("stopped before it listened");
        }
    });
}

/// The same name may be where it listens and where it leads.
#[test]
fn name_of_a_listener_that_is_an_endpoint_too_leads_back() {
    Machine::run(|machine| {
        let _dns = name_server_of_members(60, &[21]);
        let gateway = machine.gateway().endpoint("etcd.test:2379");
        let gateway = gateway.arg("--listen-addr=etcd.test:2379").start();
        assert_eq!(gateway.address(), SocketAddr::from(([127, 0, 0, 21], 2379)));
        gateway.wait_for_log("endpoint skipped endpoint=127.0.0.21:2379");
    });
}
