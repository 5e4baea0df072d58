//! Names among others that no server answers for, and answers that are another part of a set each
//! time, name what is not an address, or are a wildcard's.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::srv::PLAIN;
use crate::util::*;

/// Names of a zone whose servers are silent.
const DEAD: &str = "dead.test";

#[test]
fn names_of_a_dead_zone_cost_the_others_nothing() {
    const COUNT: usize = 250;
    const TTL: u32 = 2;
    Machine::run(|machine| {
        let _member = member(11);
        let dns = NameServer::start(DNS);
        dns.behave_in(DEAD, Behaviour::Drop);
        dns.set_addresses(NAME, TTL, &[11]);
        let dead: Vec<String> = (0..COUNT).map(|n| format!("d{n}.{DEAD}.:2379")).collect();
        let started = Instant::now();
        let gateway = machine.gateway().endpoint(&dead.join(",")).endpoint(ENDPOINT).start();
        wait_added(&gateway, &[11]);
        let waited = started.elapsed();
        assert!(waited < LATENESS_MAX, "{waited:?}: 250 names had to be given up before");
        assert_eq!(answer(&gateway), Some('a'));
        for round in 2..=4 {
            let in_time = Duration::from_secs(TTL.into()) + LATENESS_MAX;
            until_within("it is asked for again", in_time, || dns.count(NAME, Kind::A) >= round);
        }
        let asked: BTreeSet<String> = dns.queries().into_iter().map(|query| query.name).collect();
        assert_eq!(asked.len(), COUNT + 1, "each had its turn");
    });
}

/// One of them lives again, and the others do not.
#[test]
fn name_of_a_dead_zone_that_lives_again_is_noticed() {
    Machine::run(|machine| {
        let _member = member(11);
        let dns = NameServer::start(DNS);
        dns.behave_in(DEAD, Behaviour::Drop);
        let dead: Vec<String> = (0..30).map(|n| format!("d{n}.{DEAD}.:2379")).collect();
        let gateway = machine.gateway().endpoint(&dead.join(",")).start();
        until("all were asked for", || dns.queries().len() >= 60);
        dns.set_addresses(&format!("d29.{DEAD}"), 60, &[11]);
        dns.behave_in(&format!("d29.{DEAD}"), Behaviour::Answer);
        wait_added(&gateway, &[11]);
        assert_eq!(answer(&gateway), Some('a'));
    });
}

/// How many of the new clients have to wait, for all are served in the end.
fn slow_clients(gateway: &Gateway, clients: usize) -> usize {
    let is_slow = |_: &usize| {
        let started = Instant::now();
        assert_eq!(answer(gateway), Some('a'));
        started.elapsed() > Duration::from_millis(900)
    };
    (0..clients).filter(is_slow).count()
}

#[test]
fn address_that_leaves_and_comes_back_keeps_its_health() {
    const TTL: u32 = 1;
    Machine::run(|machine| {
        let _silent = Blackhole::at(member_address(13));
        let _member = member(11);
        let dns = name_server_of_members(TTL, &[11, 13]);
        let gateway = gateway_of_members(machine, &[11, 13]);
        let mut slow = slow_clients(&gateway, 4);
        for round in 2..=4 {
            dns.set_addresses(NAME, TTL, &[11]);
            until("it is gone", || gateway.log_count("endpoint removed") == round - 1);
            dns.set_addresses(NAME, TTL, &[11, 13]);
            let added = format!("endpoint added endpoint={} ", member_address(13));
            until("it is back", || gateway.log_count(&added) == round);
            slow += slow_clients(&gateway, 4);
        }
        assert_eq!(slow, 1, "one has to find out, and none after that");
    });
}

#[test]
fn client_is_rejected_once_all_were_tried_though_they_come_and_go() {
    Machine::run(|machine| {
        let octets = [11, 12, 13, 14, 15];
        let _silent = octets.map(|octet| Blackhole::at(member_address(octet)));
        let dns = NameServer::start(DNS);
        dns.set_addresses(NAME, 0, &octets);
        // One more than a client can try before the next ones are there.
        dns.behave(Behaviour::Part(3));
        let gateway = machine.gateway().endpoint(ENDPOINT).start();
        gateway.wait_for_log("endpoint added");
        assert_eq!(answer(&gateway), None);
        let added = |octet: &u8| {
            let line = format!("endpoint added endpoint={} ", member_address(*octet));
            gateway.log_count(&line) > 0
        };
        assert!(octets.iter().filter(|octet| added(octet)).count() > 3, "the set has changed");
    });
}

#[test]
fn changes_without_an_end_are_one_line_a_second() {
    const LOOK_UPS: usize = 15;
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let octets: Vec<u8> = (11..41).collect();
        dns.set_addresses(NAME, 0, &octets);
        dns.behave(Behaviour::Part(8));
        let gateway = machine.gateway().endpoint(ENDPOINT).start();
        until("many look-ups", || dns.count(NAME, Kind::A) >= LOOK_UPS);
        gateway.wait_for_log("endpoints changed added=[127.0.0.");
        let alone = gateway.log_count("endpoint added") + gateway.log_count("endpoint removed");
        let together = gateway.log_count("endpoints changed");
        let most = octets.len() + 16 + LOOK_UPS + 1;
        assert!(alone + together <= most, "{alone} and {together} lines");
        let added = |octet: &u8| {
            let line = format!("endpoint added endpoint={} ", member_address(*octet));
            gateway.log_count(&line) > 0
        };
        assert!(octets.iter().filter(|octet| added(octet)).count() >= 16, "each new one in full");
    });
}

#[test]
fn host_that_is_listed_now_and_then_is_logged_once() {
    const LOOK_UPS: usize = 15;
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        // None of the hosts exists.
        let record = |i| Data::Srv {
            priority: 0,
            weight: 1,
            port: 2379,
            target: format!("m{i}.example.test"),
        };
        let records: Vec<Data> = (0..5).map(record).collect();
        dns.set(PLAIN, 0, &records);
        dns.behave(Behaviour::Part(3));
        let builder = machine.gateway().arg("--discovery-srv=example.test");
        let gateway = builder.arg("--insecure-discovery").start();
        until("many look-ups", || dns.count(PLAIN, Kind::Srv) >= LOOK_UPS);
        for i in 0..5 {
            let line = format!("name not resolved name=m{i}.example.test reason=no_such_name");
            assert_eq!(gateway.log_count(&line), 1, "{line}");
        }
    });
}

#[test]
fn addresses_where_no_server_can_be_are_never_dialed() {
    Machine::run(|machine| {
        let _member = member(11);
        // Where Linux leads those who dial 0.0.0.0.
        let trap = Backend::at("127.0.0.1:2379".parse().expect("valid"), named('t'));
        let dns = NameServer::start(DNS);
        let nowhere = |octets: [u8; 4]| Data::A(Ipv4Addr::from(octets));
        let member = nowhere([127, 0, 0, 11]);
        let blocked = [[0; 4], [224, 0, 0, 1], [255; 4], [240, 0, 0, 1]].map(nowhere);
        let mapped = Data::Aaaa(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
        let six = [Data::Aaaa(Ipv6Addr::UNSPECIFIED), mapped];
        dns.set(NAME, 1, &[&[member], &blocked[..], &six].concat());
        let gateway = gateway_of_members(machine, &[11]);
        for (address, reason) in [
            ("0.0.0.0:2379", "unspecified_address"),
            ("224.0.0.1:2379", "multicast_address"),
            ("255.255.255.255:2379", "broadcast_address"),
            ("240.0.0.1:2379", "reserved_address"),
            ("[::]:2379", "unspecified_address"),
            ("[::ffff:0.0.0.0]:2379", "unspecified_address"),
        ] {
            let line = format!("endpoint skipped endpoint={address} name={ENDPOINT} ");
            let line = gateway.wait_for_log(&line);
            assert!(line.contains(&format!("reason={reason}")), "{line}");
        }
        assert_eq!(letters(&gateway, 10), "a");
        // The filter blocks the name: as if nothing was there, and the last known one stays.
        dns.set(NAME, 1, &blocked[..1]);
        gateway
            .wait_for_log("discovery returned no endpoints, keeping the last known ones count=1");
        assert_eq!(letters(&gateway, 10), "a");
        assert_eq!(gateway.log_count("endpoint skipped"), 6, "once each");
        assert_eq!(trap.accepted(), 0);
    });
}

#[test]
fn record_that_names_no_address_is_skipped() {
    Machine::run(|machine| {
        let _member = member(11);
        let dns = NameServer::start(DNS);
        let record = |target: &str| Data::Srv {
            priority: 0,
            weight: 1,
            port: 2379,
            target: target.to_owned(),
        };
        let records = [record("0.0.0.0"), record("127.0.0.11")];
        dns.set("_etcd-client._tcp.example.test", 60, &records);
        let builder = machine.gateway().arg("--discovery-srv=example.test");
        let gateway = builder.arg("--insecure-discovery").start();
        wait_added(&gateway, &[11]);
        let line = gateway.wait_for_log("endpoint skipped endpoint=0.0.0.0:2379 ");
        assert!(line.contains("reason=unspecified_address"), "{line}");
        assert_eq!(letters(&gateway, 10), "a");
    });
}

/// The true name only fails, and every name of the search domain leads elsewhere.
#[test]
fn what_is_known_does_not_give_way_to_a_wildcard() {
    Machine::run(|machine| {
        let _members = [member(11), member(12)];
        machine.set_resolv_conf(&format!("nameserver {DNS}\nsearch corp.test\n"));
        let other = format!("{NAME}.corp.test");
        let (dns, gateway) = resolved(machine, 1, &[11]);
        dns.set_addresses(&other, 1, &[12]);
        dns.behave_in(NAME, Behaviour::ServerFailure);
        gateway.wait_for_log(&format!("name not resolved name={NAME} reason="));
        let asked = dns.count(&other, Kind::A);
        until("it was asked for the other", || dns.count(&other, Kind::A) > asked + 1);
        assert_eq!(letters(&gateway, 10), "a");
        assert_eq!(gateway.log_count("endpoint added"), 1);
        // Gone for sure, the name stands for the other.
        dns.remove(NAME);
        dns.behave_in(NAME, Behaviour::Answer);
        wait_added(&gateway, &[12]);
        wait_removed(&gateway, 11);
        assert_eq!(letters(&gateway, 10), "b");
        // And for itself again once it is back.
        dns.set_addresses(NAME, 1, &[11]);
        wait_removed(&gateway, 12);
        assert_eq!(letters(&gateway, 10), "a");
    });
}
