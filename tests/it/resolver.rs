//! How the gateway asks for names: `/etc/hosts`, `/etc/resolv.conf`, and name servers that are good
//! and bad. Members and letters are those of `names.rs`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::util::*;

#[test]
fn hosts_file_comes_first_and_is_read_again() {
    Machine::run(|machine| {
        let dns = name_server_of_members(3600, &[12]);
        let first = member(11);
        machine.set_hosts("127.0.0.1 localhost\n127.0.0.11 other.test ETCD.test # and more\n");
        let gateway = gateway_of_members(machine, &[11]);
        assert_eq!(answer(&gateway), Some('a'));
        assert_eq!(dns.count(NAME, Kind::A), 0, "no server had to be asked");

        first.stop();
        let second = member(13);
        machine.set_hosts("127.0.0.13 etcd.test\n");
        until("the new address is used", || answer(&gateway) == Some('c'));
        second.stop();
        let _third = member(12);
        machine.set_hosts("# nothing\n");
        until("the name server is asked", || answer(&gateway) == Some('b'));
        assert!(dns.count(NAME, Kind::A) > 0);
    });
}

/// Nothing fails that would be a reason to look.
#[test]
fn hosts_file_is_read_again_from_time_to_time() {
    Machine::run(|machine| {
        machine.set_hosts("127.0.0.11 etcd.test\n");
        let gateway = gateway_of_members(machine, &[11]);
        machine.set_hosts("127.0.0.11 etcd.test\n127.0.0.12 etcd.test\n");
        wait_added(&gateway, &[12]);
    });
}

#[test]
fn names_go_through_the_search_list() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses("etcd.two.test", 60, &[11]);
        dns.set_addresses("etcd.east.one.test", 60, &[12]);
        // Each row: the name, ndots, and the names that are asked for until one has an address.
        let rows: [(&str, u8, u8, &[&str]); 3] = [
            ("etcd", 1, 11, &["etcd.one.test", "etcd.two.test"]),
            ("etcd.east", 2, 12, &["etcd.east.one.test"]),
            ("etcd.east", 1, 12, &["etcd.east", "etcd.east.one.test"]),
        ];
        for (name, ndots, last_octet, want) in rows {
            machine.set_resolv_conf(&format!(
                "nameserver {DNS}\nsearch one.test two.test\noptions ndots:{ndots} timeout:1\n"
            ));
            let before = dns.queries().len();
            let gateway = machine.gateway().endpoint(&format!("{name}:2379")).start();
            wait_added(&gateway, &[last_octet]);
            let queries = dns.queries().split_off(before);
            let mut asked: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
            asked.dedup();
            assert_eq!(asked, want, "{name} with ndots:{ndots}");
        }
    });
}

#[test]
fn resolv_conf_is_read_again() {
    Machine::run(|machine| {
        let _dns = name_server_of_members(60, &[11]);
        let _member = member(11);
        machine.set_resolv_conf("nameserver 127.0.0.54\noptions timeout:1\n");
        let gateway = machine.gateway().endpoint(ENDPOINT).start();
        gateway
            .wait_for_log(&format!("name not resolved name={NAME} reason=name_server_unreachable"));
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions timeout:1\n"));
        wait_added(&gateway, &[11]);
        assert_eq!(letters(&gateway, 10), "a");
    });
}

#[test]
fn second_name_server_is_asked_when_the_first_does_not_answer() {
    Machine::run(|machine| {
        let mut first = NameServer::start(Ipv4Addr::new(127, 0, 0, 54));
        let _second = name_server_of_members(60, &[11]);
        machine.set_resolv_conf(&format!(
            "nameserver 127.0.0.54\nnameserver {DNS}\noptions timeout:1 attempts:2\n"
        ));
        for behaviour in [
            Some(Behaviour::Drop),
            Some(Behaviour::ServerFailure),
            Some(Behaviour::Refused),
            Some(Behaviour::Garbage),
            None,
        ] {
            match behaviour {
                Some(behaviour) => first.behave(behaviour),
                None => first.kill(),
            }
            let gateway = gateway_of_members(machine, &[11]);
            assert_eq!(gateway.log_count("name not resolved"), 0, "{behaviour:?}");
        }
        assert!(first.count(NAME, Kind::A) >= 4, "the first one was asked first");
    });
}

#[test]
fn truncated_answer_is_fetched_over_tcp() {
    Machine::run(|machine| {
        let dns = name_server_of_members(60, &[11]);
        dns.behave(Behaviour::Truncate);
        let _member = member(11);
        let gateway = gateway_of_members(machine, &[11]);
        assert_eq!(letters(&gateway, 10), "a");
        assert!(dns.queries().iter().any(|query| query.is_tcp && query.kind == Kind::A));
    });
}

/// Answers that anybody could have sent who does not see the query: none of them counts, and none
/// of them keeps the true one from counting.
#[test]
fn forged_late_and_doubled_answers_are_ignored() {
    Machine::run(|machine| {
        let stranger = member(66);
        let _member = member(11);
        let (dns, gateway) = resolved(machine, 1, &[11]);
        let forge = Behaviour::Forge(Ipv4Addr::new(127, 0, 0, 66));
        for behaviour in [forge, Behaviour::Duplicate, Behaviour::Late] {
            dns.behave(behaviour);
            let asked = dns.count(NAME, Kind::A);
            until("it asks again", || dns.count(NAME, Kind::A) > asked);
            assert_eq!(letters(&gateway, 10), "a", "{behaviour:?}");
        }
        dns.behave(forge);
        dns.set_addresses(NAME, 1, &[11, 12]);
        wait_added(&gateway, &[12]);
        assert_eq!(stranger.accepted(), 0);
        assert_eq!(gateway.log_count("127.0.0.66"), 0);
    });
}

/// One of many names.
fn name(number: usize) -> String {
    format!("name{number}.test")
}

/// With this many names as endpoints.
fn with_names(builder: GatewayBuilder, names: usize) -> GatewayBuilder {
    let each = (0..names).map(|number| format!("{}:2379", name(number)));
    each.fold(builder, |builder, endpoint| builder.endpoint(&endpoint))
}

/// A forger of answers has to guess both.
#[test]
fn each_query_has_an_id_and_a_port_of_its_own() {
    const NAMES: usize = 20;
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        (0..NAMES).for_each(|number| dns.set_addresses(&name(number), 60, &[11]));
        let gateway = with_names(machine.gateway(), NAMES).start();
        until("all have been asked for", || dns.queries().len() >= 2 * NAMES);
        wait_added(&gateway, &[11]);
        let queries = dns.queries();
        let ids: BTreeSet<u16> = queries.iter().map(|query| query.id).collect();
        let ports: BTreeSet<u16> = queries.iter().map(|query| query.port).collect();
        let names: BTreeSet<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        assert_eq!(names.len(), NAMES);
        // Of numbers drawn at random, two or three may be the same by chance.
        assert!(ids.len() + 3 >= queries.len(), "{queries:?}");
        assert!(ports.len() + 3 >= queries.len(), "{queries:?}");
        let steps: BTreeSet<u16> =
            queries.windows(2).map(|pair| pair[1].id.wrapping_sub(pair[0].id)).collect();
        assert!(steps.len() > NAMES, "ids that follow from each other: {queries:?}");
    });
}

#[test]
fn aliases_are_followed_and_loops_of_them_are_not() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let alias = |name: &str, target: &str| {
            dns.set(name, 60, &[Data::Cname(target.to_owned())]);
        };
        alias(NAME, "one.test");
        alias("one.test", "two.test");
        dns.set_addresses("two.test", 60, &[11]);
        alias("round.test", "about.test");
        alias("about.test", "round.test");
        let _member = member(11);
        let builder = machine.gateway().endpoint(ENDPOINT).endpoint("round.test:2379");
        let gateway = builder.start();
        wait_added(&gateway, &[11]);
        gateway.wait_for_log("name not resolved name=round.test");
        assert_eq!(letters(&gateway, 10), "a");
    });
}

/// Some name servers answer no question for an IPv6 address at all.
#[test]
fn addresses_of_one_family_do_not_wait_for_the_other() {
    Machine::run(|machine| {
        let dns = name_server_of_members(60, &[11]);
        dns.behave_for(Kind::Aaaa, Behaviour::Drop);
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions timeout:5 attempts:2\n"));
        let _member = member(11);
        let gateway = gateway_of_members(machine, &[11]);
        assert_eq!(answer(&gateway), Some('a'));
        assert_eq!(dns.count(NAME, Kind::Aaaa), 1, "its timeout is not over");
    });
}

/// A gateway in front of one member by its address, and of as many names as it takes besides.
fn many_names(machine: &Machine) -> GatewayBuilder {
    with_names(machine.gateway().endpoint("127.0.0.11:2379"), 255)
}

#[test]
fn dead_resolver_costs_addresses_nothing() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.behave(Behaviour::Drop);
        // Longer than it takes to serve all clients, unless one of them waits for an answer.
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions timeout:30 attempts:1\n"));
        let _member = member(11);
        let gateway = many_names(machine).start();
        until("it has asked", || !dns.queries().is_empty());
        let transfers = Transfers::start(&gateway, 10, 1);
        assert_eq!(letters(&gateway, 100), "a");
        transfers.finish();
        assert_eq!(gateway.log_count("name not resolved"), 0, "a client waited for an answer");
    });
}

#[test]
fn dead_resolver_causes_few_calls() {
    /// Enough for the first ones to have been asked again.
    const QUERIES: usize = 48;
    /// To open, connect, watch and close a socket, which are five of them, and to send.
    const CALLS_PER_QUERY: usize = 7;
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.behave(Behaviour::Drop);
        let _member = member(11);
        let gateway = Traced::start(many_names(machine).arg("--health-check=off"));
        until("it goes on asking", || dns.queries().len() >= QUERIES);
        gateway.wait_for_log("reason=name_server_timed_out");
        let calls = gateway.calls();
        let (count, calls) = (calls.count(), calls.histogram());
        let [waits, queries] = ["epoll_wait", "sendto"].map(|name| calls[name]);
        // Each has a socket of its own. A turn sends many of them, and gives many up.
        assert!(count <= CALLS_PER_QUERY * queries, "{count} calls for {queries} queries");
        assert!(waits <= queries / 4, "{waits} waits for {queries} queries");
    });
}

/// Some name servers answer no question for an IPv6 address at all, and the search list goes on.
#[test]
fn silence_about_one_family_ends_no_search() {
    const KUBERNETES: &str = "search ns.svc.c.test svc.c.test c.test\noptions ndots:5";
    Machine::run(|machine| {
        let servers = [DNS, Ipv4Addr::new(127, 0, 0, 54)].map(NameServer::start);
        for dns in &servers {
            dns.behave_for(Kind::Aaaa, Behaviour::Drop);
            dns.set_addresses("m1.example.test", 60, &[11]);
            dns.set_addresses("m2.apart", 60, &[12]);
        }
        let one = format!("nameserver {DNS}\n");
        let two = format!("nameserver {DNS}\nnameserver 127.0.0.54\n");
        for (servers, rest, name, last_octet) in [
            (&one, "search other.test example.test", "m1", 11),
            (&two, "search other.test example.test", "m1", 11),
            (&one, "search test\noptions ndots:1", "m1.example", 11),
            (&one, KUBERNETES, "m2.apart", 12),
        ] {
            machine.set_resolv_conf(&format!("{servers}{rest}\n"));
            let gateway = machine.gateway().endpoint(&format!("{name}:2379")).start();
            wait_added(&gateway, &[last_octet]);
            assert_eq!(gateway.log_count("name not resolved"), 0, "{rest}: {name}");
        }
    });
}

/// Its zone has servers of its own behind the one that is asked.
#[test]
fn silent_suffix_hides_no_name() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.behave_in("lan", Behaviour::Drop);
        dns.set_addresses(NAME, 60, &[11]);
        dns.set_addresses("m1", 60, &[12]);
        machine.set_resolv_conf(&format!(
            "nameserver {DNS}\nsearch lan\noptions ndots:5 timeout:1 attempts:2\n"
        ));
        let builder = machine.gateway().endpoint(ENDPOINT).endpoint("m1:2379");
        wait_added(&builder.start(), &[11, 12]);
    });
}

/// Plain questions are asked, so what a server does to others makes no difference; and what does
/// not fit 512 octets comes by TCP or with EDNS, whichever of the two works.
#[test]
fn name_servers_need_not_bear_edns_nor_tcp() {
    const MEMBERS: u8 = 60;
    Machine::run(|machine| {
        let mut dns = NameServer::start(DNS);
        let many: Vec<u8> = (11..11 + MEMBERS).collect();
        dns.set_addresses("large.test", 60, &many);
        dns.set_addresses(NAME, 60, &[11]);
        let options = [
            Options::Dropped,
            Options::FormatError,
            Options::ServerFailure,
            Options::Doubled,
            Options::Known,
        ];
        for options in options {
            dns.treat_options(options);
            wait_added(&machine.gateway().endpoint(ENDPOINT).start(), &[11]);
            assert!(dns.queries().iter().all(|query| query.name != NAME || !query.has_options));
            wait_added(&machine.gateway().endpoint("large.test:2379").start(), &many);
        }
        dns.refuse_tcp();
        let gateway = machine.gateway().endpoint("large.test:2379").start();
        wait_added(&gateway, &many);
    });
}

#[test]
fn answer_to_any_try_is_heard() {
    Machine::run(|machine| {
        let dns = name_server_of_members(60, &[11]);
        dns.behave(Behaviour::AnswerFirst);
        machine.set_resolv_conf(&format!("nameserver {DNS}\noptions timeout:10 attempts:3\n"));
        let _gateway = gateway_of_members(machine, &[11]);
        assert_eq!(dns.count(NAME, Kind::A), 3, "it is the answer to the first of them");
    });
}

#[test]
fn broken_record_spoils_no_other() {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        let address = |octet| Data::A(Ipv4Addr::new(127, 0, 0, octet));
        dns.set(NAME, 60, &[address(11), Data::Broken(Kind::A), address(12)]);
        let _gateway = gateway_of_members(machine, &[11, 12]);
    });
}

#[test]
fn answer_that_is_cut_in_silence_is_fetched_whole_or_used_as_it_is() {
    const MEMBERS: u8 = 60;
    Machine::run(|machine| {
        let mut dns = NameServer::start(DNS);
        let many: Vec<u8> = (11..11 + MEMBERS).collect();
        dns.set_addresses(NAME, 60, &many);
        dns.behave(Behaviour::CutInSilence);
        wait_added(&machine.gateway().endpoint(ENDPOINT).start(), &many);
        dns.refuse_tcp();
        dns.treat_options(Options::ServerFailure);
        let gateway = machine.gateway().endpoint(ENDPOINT).start();
        let part = (512 - 12 - 15) / 16;
        wait_added(&gateway, &many[..part]);
        assert_eq!(gateway.log_count("endpoint added"), part);
    });
}
