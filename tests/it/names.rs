//! Names in `--endpoints`: which addresses they stand for, and when that changes.
//!
//! Each test has a machine of its own (`util/machine.rs`), which takes root. Members are at
//! 127.0.0.11 and up, and say their letter: `a` at 11, `b` at 12. What a name may cost is asserted
//! with a deadline: a change is to be in effect when its time to live is over, plus two seconds.

use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::util::*;

/// A client of the member with that letter.
fn client_of(gateway: &Gateway, letter: u8) -> TcpStream {
    let mut clients = (0..100).map(|_| gateway.connect());
    let is_of = |mut client: &TcpStream| {
        let mut greeting = [0];
        client.read_exact(&mut greeting).expect("every client is served");
        greeting == [letter]
    };
    clients.find(|client| is_of(client)).expect("a member that gets its share")
}

#[test]
fn every_address_of_a_name_is_tried() {
    Machine::run(|machine| {
        let _members = [member(11), member(13)];
        let _dns = name_server_of_members(60, &[11, 12, 13]);
        let gateway = gateway_of_members(machine, &[11, 12, 13]);
        assert_eq!(letters(&gateway, 20), "ac");
        let line = gateway.wait_for_log("endpoint inactive endpoint=127.0.0.12:2379 ");
        assert!(line.contains("reason=refused"), "{line}");
    });
}

#[test]
fn addresses_of_both_families_are_used() {
    Machine::run(|machine| {
        if !has_ipv6() {
            return;
        }
        let dns = NameServer::start(DNS);
        let [four, six] = [Ipv4Addr::new(127, 0, 0, 11).into(), Ipv6Addr::LOCALHOST.into()];
        let _members = [('4', four), ('6', six)]
            .map(|(letter, address)| Backend::at(SocketAddr::new(address, 2379), named(letter)));
        dns.set(
            NAME,
            60,
            &[Data::A(Ipv4Addr::new(127, 0, 0, 11)), Data::Aaaa(Ipv6Addr::LOCALHOST)],
        );
        let gateway = gateway_of_members(machine, &[11]);
        gateway.wait_for_log("endpoint added endpoint=[::1]:2379 ");
        assert_eq!(letters(&gateway, 20), "46");
    });
}

#[test]
fn address_without_a_route_is_skipped_until_there_is_one() {
    Machine::run(|machine| {
        let _member = member(11);
        let dns = NameServer::start(DNS);
        let addresses = [[127, 0, 0, 11], [10, 9, 9, 9]].map(|octets| Data::A(octets.into()));
        dns.set(NAME, 1, &addresses);
        let gateway = machine.gateway().endpoint(ENDPOINT).start();
        gateway.wait_for_log("endpoint skipped endpoint=10.9.9.9:2379 reason=no_route");
        assert_eq!(letters(&gateway, 10), "a");
        output_of(Command::new("ip").args(["address", "add", "10.9.9.9/32", "dev", "lo"]));
        gateway.wait_for_log("endpoint added endpoint=10.9.9.9:2379 ");
    });
}

/// The member has moved, and the answer that says where it was is good for another hour.
#[test]
fn first_client_after_a_move_is_served() {
    Machine::run(|machine| {
        let old = member(11);
        let dns = name_server_of_members(3600, &[11]);
        // The client may have to wait: no name is asked for twice within a second.
        let builder = machine.gateway().endpoint(ENDPOINT).arg("--connect-timeout=5s");
        let gateway = builder.start();
        wait_added(&gateway, &[11]);
        assert_eq!(answer(&gateway), Some('a'));
        old.stop();
        let _new = member(12);
        dns.set_addresses(NAME, 3600, &[12]);
        assert_eq!(answer(&gateway), Some('b'));
        assert_eq!(letters(&gateway, 10), "b");
    });
}

#[test]
fn last_good_answer_is_kept_while_the_dns_fails() {
    Machine::run(|machine| {
        let _member = member(11);
        let (dns, gateway) = resolved(machine, 1, &[11]);
        let needle = format!("name not resolved name={NAME} reason=");
        dns.behave(Behaviour::ServerFailure);
        assert!(gateway.wait_for_log(&needle).contains("reason=name_server_failure"));
        assert_eq!(letters(&gateway, 10), "a");
        dns.behave(Behaviour::Refused);
        assert!(gateway.wait_for_log(&needle).contains("reason=name_server_refused"));
        assert_eq!(letters(&gateway, 10), "a");
        dns.behave(Behaviour::Answer);
        gateway.wait_for_log(&format!("name resolved again name={NAME}"));
        assert_eq!(gateway.log_count(&needle), 2, "once for each reason");
        assert_eq!(gateway.log_count("endpoint removed"), 0);
        assert_eq!(gateway.log_count("endpoint added"), 1);
    });
}

#[test]
fn address_of_a_name_that_is_gone_gets_no_new_client_and_keeps_its_pairs() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses("one.test", 1, &[11]);
        dns.set_addresses("two.test", 1, &[12]);
        let _members = [member(11), member(12)];
        let builder = machine.gateway().endpoint("one.test:2379").endpoint("two.test:2379");
        let gateway = builder.start();
        wait_added(&gateway, &[11, 12]);
        let mut client = client_of(&gateway, b'b');
        dns.remove("two.test");
        let line = wait_removed(&gateway, 12);
        assert!(number_in(&line, "pairs") >= 1, "{line}");
        assert_eq!(letters(&gateway, 10), "a");
        round_trip(&client, b"a pair runs on to its end");
        client.shutdown(Shutdown::Write).expect("the connection is established");
        assert_eq!(client.read(&mut [0]).expect("a clean end"), 0);
        assert_eq!(gateway.log_count("endpoint removed"), 1);
    });
}

/// An empty set would serve no client, and a zone that was lost is as likely.
#[test]
fn last_addresses_stay_when_no_name_is_left() {
    Machine::run(|machine| {
        let _members = [member(11), member(12)];
        let (dns, gateway) = resolved(machine, 1, &[11, 12]);
        dns.remove(NAME);
        gateway.wait_for_log(&format!("name not resolved name={NAME} reason=no_such_name"));
        assert_eq!(letters(&gateway, 10), "ab");
        assert_eq!(gateway.log_count("endpoint removed"), 0);
    });
}

/// An address is added, one is removed, and one takes the place of another.
#[test]
fn changes_are_in_effect_in_time_and_cost_no_transfer_a_byte() {
    const TTL: u32 = 1;
    let in_time = Duration::from_secs(TTL.into()) + LATENESS_MAX;
    Machine::run(|machine| {
        let _members = [member(11), member(12), member(13)];
        let (dns, gateway) = resolved(machine, TTL, &[11]);
        let transfers = Transfers::start(&gateway, 100, 1);
        for (last_octets, want) in [(&[11, 12][..], "ab"), (&[12], "b"), (&[13], "c")] {
            dns.set_addresses(NAME, TTL, last_octets);
            until_within(want, in_time, || letters(&gateway, 4) == want);
        }
        // The end of a client just before may still be under way.
        assert!(number_in(&wait_removed(&gateway, 11), "pairs") >= 100);
        transfers.finish();
        assert_eq!(gateway.log_count("endpoint inactive"), 0);
    });
}

/// One gateway closes a client that has waited long enough, the other has one that waits on.
#[test]
fn clients_wait_for_the_first_address() {
    Machine::run(|machine| {
        let _member = member(11);
        let builder = || machine.gateway().endpoint(ENDPOINT);
        let hasty = builder().arg("--connect-timeout=300ms").start();
        let patient = builder().arg("--connect-timeout=20s").start();
        for gateway in [&hasty, &patient] {
            let line = gateway.wait_for_log("waiting for endpoints");
            assert!(line.contains(NAME), "{line}");
            assert!(gateway.log().iter().any(|line| line.contains("endpoints=[] ")));
        }
        let mut waiting = patient.connect();
        let started = Instant::now();
        assert_eq!(answer(&hasty), None);
        assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
        hasty
            .wait_for_log(&format!("name not resolved name={NAME} reason=name_server_unreachable"));

        let _dns = name_server_of_members(60, &[11]);
        until_within("it is served", RECOVERY, || answer(&hasty) == Some('a'));
        let mut letter = [0];
        waiting.read_exact(&mut letter).expect("it was worth the wait");
        assert_eq!(letter, *b"a");
    });
}

#[test]
fn name_server_that_dies_or_talks_nonsense_disturbs_no_client() {
    Machine::run(|machine| {
        let _members = [member(11), member(12), member(13)];
        let mut dns = name_server_of_members(1, &[11]);
        // Names that do not exist, for more questions in less time.
        let nowhere = |builder: GatewayBuilder, n| builder.endpoint(&format!("nowhere{n}.test:1"));
        let gateway = (0..8).fold(machine.gateway().endpoint(ENDPOINT), nowhere).start();
        wait_added(&gateway, &[11]);
        let transfers = Transfers::start(&gateway, 100, 1);
        dns.kill();
        gateway
            .wait_for_log(&format!("name not resolved name={NAME} reason=name_server_unreachable"));
        assert_eq!(letters(&gateway, 10), "a");
        dns.set_addresses(NAME, 1, &[12]);
        dns.restart();
        until_within("it is asked again", RECOVERY, || answer(&gateway) == Some('b'));

        dns.behave(Behaviour::Garbage);
        gateway.wait_for_log(&format!("name not resolved name={NAME} reason="));
        let asked = dns.queries().len();
        until("all kinds of garbage", || dns.queries().len() >= asked + 18);
        assert_eq!(letters(&gateway, 10), "b");
        dns.set_addresses(NAME, 1, &[13]);
        dns.behave(Behaviour::Answer);
        until_within("it is believed again", RECOVERY, || answer(&gateway) == Some('c'));
        transfers.finish();
    });
}

#[test]
fn address_that_comes_to_lead_back_is_skipped() {
    Machine::run(|machine| {
        let dns = name_server_of_members(1, &[11]);
        let _member = member(11);
        let own = member_address(21).to_string();
        let listen = format!("--listen-addr={own}");
        let gateway = machine.gateway().endpoint(ENDPOINT).arg(&listen).start();
        wait_added(&gateway, &[11]);
        dns.set_addresses(NAME, 1, &[11, 21]);
        let line = gateway.wait_for_log("endpoint skipped");
        assert!(line.contains("reason=own_listener listener="), "{line}");
        assert!(line.contains(&own), "{line}");
        assert_eq!(letters(&gateway, 10), "a");
        assert_eq!(gateway.log_count("own_address"), 0, "it was not even dialed");
    });
}
