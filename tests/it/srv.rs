//! `--discovery-srv`: the cluster's members, their order and their shares come from the DNS.
//!
//! The members here speak no TLS, so all but a few tests pass `--insecure-discovery`; what is
//! checked without it is in `verify.rs`. Members and letters are those of `names.rs`.

use std::io::Read;
use std::time::Duration;

use crate::util::*;

pub const SECURE: &str = "_etcd-client-ssl._tcp.example.test";
pub const PLAIN: &str = "_etcd-client._tcp.example.test";
const DOMAIN: &str = "--discovery-srv=example.test";
const INSECURE: &str = "--insecure-discovery";

/// A record's time to live where a test does not wait for its end.
const LONG: u32 = 3600;

/// Gives a set of records these members: last octet of the address, priority, weight.
fn set_members(dns: &NameServer, set: &str, ttl: u32, members: &[(u8, u16, u16)]) {
    let record = |(octet, priority, weight): &(u8, u16, u16)| {
        let target = format!("m{octet}.example.test");
        dns.set_addresses(&target, ttl, &[*octet]);
        Data::Srv { priority: *priority, weight: *weight, port: 2379, target }
    };
    dns.set(set, ttl, &members.iter().map(record).collect::<Vec<Data>>());
}

/// A gateway that takes its members from a plain set.
fn insecure(machine: &Machine) -> GatewayBuilder {
    machine.gateway().arg(DOMAIN).arg(INSECURE).arg("--retry-delay=1s").arg("--health-check=off")
}

/// A name server with a plain set of members, and a gateway that knows of all of them.
fn discovered(machine: &Machine, ttl: u32, members: &[(u8, u16, u16)]) -> (NameServer, Gateway) {
    let dns = NameServer::start(DNS);
    set_members(&dns, PLAIN, ttl, members);
    let gateway = insecure(machine).start();
    let octets: Vec<u8> = members.iter().map(|(octet, ..)| *octet).collect();
    wait_added(&gateway, &octets);
    (dns, gateway)
}

#[test]
fn better_class_serves_all_while_it_lives() {
    Machine::run(|machine| {
        let (better, _worse) = (member(11), member(12));
        let (_dns, gateway) = discovered(machine, LONG, &[(12, 20, 5), (11, 10, 1)]);
        assert_eq!(tally(&gateway, 300), [('a', 300)].into());
        better.stop();
        assert_eq!(tally(&gateway, 300), [('b', 300)].into());
        let _better = member(11);
        gateway.wait_for_log("endpoint active endpoint=127.0.0.11:2379 ");
        assert_eq!(tally(&gateway, 300), [('a', 300)].into());
    });
}

#[test]
fn weights_are_shares() {
    Machine::run(|machine| {
        let members = [member(11), member(12)];
        let (_dns, gateway) = discovered(machine, LONG, &[(11, 0, 3), (12, 0, 1)]);
        assert_eq!(tally(&gateway, 300), [('a', 225), ('b', 75)].into());
        assert_eq!(members.each_ref().map(Backend::accepted), [225, 75]);
        let line = gateway.log().into_iter().find(|line| line.contains("endpoint added"));
        let line = line.expect("two of them");
        assert_eq!((number_in(&line, "priority"), number_in(&line, "weight")), (0, 3), "{line}");
    });
}

/// A host is not entitled to more, or to less, for an address that cannot be reached.
#[test]
fn weights_are_of_hosts_whatever_addresses_they_have() {
    Machine::run(|machine| {
        let _members = [member(11), member(12)];
        let dns = NameServer::start(DNS);
        set_members(&dns, PLAIN, LONG, &[(11, 0, 3), (12, 0, 1)]);
        let both =
            [Data::A([127, 0, 0, 11].into()), Data::Aaaa("2001:db8::1".parse().expect("v6"))];
        dns.set("m11.example.test", LONG, &both);
        let gateway = insecure(machine).start();
        wait_added(&gateway, &[11, 12]);
        gateway.wait_for_log("endpoint skipped endpoint=[2001:db8::1]:2379 reason=no_route");
        assert_eq!(tally(&gateway, 300), [('a', 225), ('b', 75)].into());
    });
}

/// Neither is a member at the same address a new one, nor has the fallback its turn meanwhile.
#[test]
fn members_under_other_names_stay_what_they_were() {
    Machine::run(|machine| {
        let _members = [member(11), member(12)];
        let dns = NameServer::start(DNS);
        set_members(&dns, PLAIN, 1, &[(11, 0, 1), (12, 0, 1)]);
        let gateway = insecure(machine).endpoint("127.0.0.13:2379").start();
        wait_added(&gateway, &[11, 12]);
        let record = |octet: u8| {
            let target = format!("n{octet}.example.test");
            dns.set_addresses(&target, 1, &[octet]);
            Data::Srv { priority: 0, weight: 1, port: 2379, target }
        };
        dns.set(PLAIN, 1, &[record(11), record(12)]);
        until("the new names are in use", || dns.count("n12.example.test", Kind::A) > 1);
        assert_eq!(gateway.log_count("endpoint added"), 2);
        assert_eq!(gateway.log_count("endpoint removed"), 0);
    });
}

/// More than fits into a datagram, from a real name server.
#[test]
fn forty_records_in_one_answer_all_arrive() {
    Machine::run(|machine| {
        let octets = 11..51;
        let record = |octet| {
            let target = format!("a-rather-long-name-of-member-{octet}.example.test");
            [
                format!("host-record={target},{},60", member_address(octet).ip()),
                format!("srv-host={PLAIN},{target},2379,0,1"),
            ]
        };
        let options: Vec<String> = octets.clone().flat_map(record).collect();
        let _dns = Dnsmasq::start(DNS, &[&options[..], &["local-ttl=60".to_owned()]].concat());
        let gateway = insecure(machine).start();
        wait_added(&gateway, &octets.collect::<Vec<u8>>());
        assert_eq!(gateway.log_count("endpoint added"), 40);
    });
}

#[test]
fn name_of_the_cluster_is_a_part_of_the_service() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        set_members(&dns, "_etcd-client-blue._tcp.example.test", LONG, &[(11, 0, 1)]);
        set_members(&dns, "_etcd-client-ssl-blue._tcp.example.test", LONG, &[(12, 0, 1)]);
        set_members(&dns, PLAIN, LONG, &[(13, 0, 1)]);
        let _members = [member(11), member(12), member(13)];
        let gateway = insecure(machine).arg("--discovery-srv-name=blue").start();
        wait_added(&gateway, &[11, 12]);
        assert_eq!(letters(&gateway, 20), "ab");
        assert_eq!(dns.count(PLAIN, Kind::Srv), 0);
    });
}

#[test]
fn either_set_may_be_missing() {
    Machine::run(|machine| {
        let _member = member(11);
        for set in [SECURE, PLAIN] {
            let dns = NameServer::start(DNS);
            set_members(&dns, set, LONG, &[(11, 0, 1)]);
            let gateway = insecure(machine).start();
            wait_added(&gateway, &[11]);
            assert_eq!(letters(&gateway, 10), "a", "{set}");
            assert_eq!(gateway.log_count("name not resolved"), 0, "{set}");
        }
    });
}

#[test]
fn member_that_is_in_both_sets_counts_once() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        set_members(&dns, SECURE, LONG, &[(11, 0, 1), (12, 0, 1)]);
        set_members(&dns, PLAIN, LONG, &[(11, 0, 1)]);
        let _members = [member(11), member(12)];
        let gateway = insecure(machine).start();
        wait_added(&gateway, &[11, 12]);
        assert_eq!(tally(&gateway, 300), [('a', 150), ('b', 150)].into());
        assert_eq!(gateway.log_count("endpoint added"), 2);
    });
}

/// etcd's gateway would go on with the default of `--endpoints`.
#[test]
fn default_endpoint_is_not_used_when_there_are_no_records() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let default = Backend::at(([127, 0, 0, 1], 2379).into(), echo);
        let gateway = insecure(machine).arg("--connect-timeout=300ms").start();
        let line = gateway.wait_for_log("waiting for endpoints");
        assert!(line.contains("example.test"), "{line}");
        until("it has asked", || dns.count(PLAIN, Kind::Srv) > 0);
        assert_eq!(answer(&gateway), None);
        assert_eq!(default.accepted(), 0);

        set_members(&dns, PLAIN, LONG, &[(11, 0, 1)]);
        let _member = member(11);
        until("records have come", || answer(&gateway) == Some('a'));
        assert_eq!(default.accepted(), 0);
    });
}

#[test]
fn endpoints_that_are_given_serve_until_there_are_records() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let _members = [member(11), member(12)];
        let gateway = insecure(machine).endpoint("127.0.0.12:2379").start();
        until("the fallback serves", || answer(&gateway) == Some('b'));
        let line = gateway.wait_for_log("WARN no endpoint from discovery, using those of");
        assert!(
            line.contains(" source=srv domain=example.test reason=no_such_name count=1"),
            "{line}"
        );
        set_members(&dns, PLAIN, LONG, &[(11, 0, 1)]);
        wait_added(&gateway, &[11]);
        wait_removed(&gateway, 12);
        assert_eq!(letters(&gateway, 10), "a");
        gateway.wait_for_log("INFO endpoints from discovery in use source=srv domain=example.test");
        assert_eq!(gateway.log_count("no endpoint from discovery"), 1, "{:?}", gateway.log());
        assert_eq!(gateway.log_count("discovery returned no endpoints"), 0, "{:?}", gateway.log());
    });
}

/// The answer is good for another hour, yet no server is where it leads.
#[test]
fn records_are_looked_up_at_once_when_no_member_is_active() {
    Machine::run(|machine| {
        let old = member(11);
        let (dns, gateway) = discovered(machine, LONG, &[(11, 0, 1)]);
        assert_eq!(answer(&gateway), Some('a'));
        old.stop();
        let _new = member(12);
        set_members(&dns, PLAIN, LONG, &[(12, 0, 1)]);
        until_within("the new member serves", RECOVERY, || answer(&gateway) == Some('b'));
        wait_removed(&gateway, 11);
    });
}

/// Clients of the other class or with other shares: no endpoint comes or goes, and no pair does.
#[test]
fn new_priorities_and_weights_hold_for_new_clients() {
    Machine::run(|machine| {
        let _members = [member(11), member(12)];
        let (dns, gateway) = discovered(machine, 1, &[(11, 0, 1), (12, 1, 1)]);
        assert_eq!(letters(&gateway, 10), "a");
        let transfers = Transfers::start(&gateway, 10, 1);
        set_members(&dns, PLAIN, 1, &[(11, 1, 1), (12, 0, 1)]);
        until("the classes are exchanged", || letters(&gateway, 4) == "b");
        set_members(&dns, PLAIN, 1, &[(11, 0, 3), (12, 0, 1)]);
        let want = [('a', 30), ('b', 10)].into();
        until("the shares are others", || tally(&gateway, 40) == want);
        transfers.finish();
        assert_eq!(gateway.log_count("endpoint removed"), 0);
    });
}

/// A record is added, one is removed, and the address behind one changes.
#[test]
fn changes_of_records_are_in_effect_in_time_and_cost_no_transfer_a_byte() {
    const TTL: u32 = 1;
    let in_time = Duration::from_secs(TTL.into()) + LATENESS_MAX;
    Machine::run(|machine| {
        let _members = [member(11), member(12), member(13)];
        let (dns, gateway) = discovered(machine, TTL, &[(11, 0, 1)]);
        let transfers = Transfers::start(&gateway, 100, 1);
        set_members(&dns, PLAIN, TTL, &[(11, 0, 1), (12, 0, 1)]);
        until_within("one is added", in_time, || letters(&gateway, 4) == "ab");
        set_members(&dns, PLAIN, TTL, &[(12, 0, 1)]);
        until_within("one is removed", in_time, || letters(&gateway, 4) == "b");
        // The end of a client just before may still be under way.
        assert!(number_in(&wait_removed(&gateway, 11), "pairs") >= 100);
        dns.set_addresses("m12.example.test", TTL, &[13]);
        until_within("one has moved", in_time, || letters(&gateway, 4) == "c");
        transfers.finish();
        assert_eq!(gateway.log_count("endpoint inactive"), 0);
    });
}

#[test]
fn real_name_server_may_come_late_and_die() {
    Machine::run(|machine| {
        let _members = [member(11), member(12)];
        let start = |octet| {
            let options = [
                format!("host-record=m.example.test,{},1", member_address(octet).ip()),
                format!("srv-host={PLAIN},m.example.test,2379,0,1"),
                "local-ttl=1".to_owned(),
            ];
            Dnsmasq::start(DNS, &options)
        };
        let gateway = insecure(machine).arg("--connect-timeout=20s").start();
        gateway.wait_for_log("name not resolved");
        let mut waiting = gateway.connect();
        let dns = start(11);
        until_within("it is served", RECOVERY, || answer(&gateway) == Some('a'));
        waiting.read_exact(&mut [0]).expect("it was worth the wait");
        let transfers = Transfers::start(&gateway, 100, 1);
        gateway.wait_for_log("name resolved again");

        dns.kill();
        gateway.wait_for_log("name not resolved");
        assert_eq!(letters(&gateway, 10), "a");
        let _dns = start(12);
        until_within("the new record is found", RECOVERY, || answer(&gateway) == Some('b'));
        transfers.finish();
    });
}

/// `search` completes names that have dots, too, and what it makes of them may be beyond reach.
#[test]
fn missing_set_is_missing_though_its_suffix_fails() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.behave_in("lan", Behaviour::ServerFailure);
        machine.set_resolv_conf(&format!("nameserver {DNS}\nsearch lan\noptions timeout:1\n"));
        let typed = insecure(machine).endpoint("127.0.0.12:2379").start();
        wait_added(&typed, &[12]);
        typed.wait_for_log(&format!("name not resolved name={SECURE} reason=no_such_name"));
        set_members(&dns, PLAIN, 1, &[(11, 0, 1)]);
        let gateway = insecure(machine).start();
        wait_added(&gateway, &[11]);
        until("it is asked again", || dns.count(SECURE, Kind::Srv) >= 4);
        for gateway in [&typed, &gateway] {
            assert_eq!(gateway.log_count("reason=server_failure"), 0);
        }
        assert_eq!(gateway.log_count("name not resolved"), 0, "one set of two is enough");
    });
}

#[test]
fn silent_suffix_hides_no_set() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.behave_in("lan", Behaviour::Drop);
        set_members(&dns, PLAIN, 60, &[(11, 0, 1)]);
        machine.set_resolv_conf(&format!(
            "nameserver {DNS}\nsearch lan\noptions ndots:5 timeout:1 attempts:2\n"
        ));
        wait_added(&insecure(machine).start(), &[11]);
    });
}
