//! `--close-on-removal`: pairs of an endpoint that was removed are closed while another one serves.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use crate::util::*;

/// Two members with a name each, a gateway, and a client of the second one.
fn with_client_of_b(test: impl FnOnce(NameServer, [Backend; 2], Gateway, TcpStream) + Send) {
    Machine::run(|machine| {
        let dns = NameServer::start(DNS);
        dns.set_addresses("one.test", 1, &[11]);
        dns.set_addresses("two.test", 1, &[12]);
        let members = [member(11), member(12)];
        let builder = machine.gateway().endpoint("one.test:2379").endpoint("two.test:2379");
        let builder = builder.arg("--close-on-removal=200ms").arg("--retry-delay=1s");
        let gateway = builder.arg("--health-check=off").start();
        wait_added(&gateway, &[11, 12]);
        let client = client_of_b(&gateway);
        test(dns, members, gateway, client);
    });
}

fn client_of_b(gateway: &Gateway) -> TcpStream {
    let mut clients = (0..100).map(|_| gateway.connect());
    let found = clients.find(|client| {
        let (mut client, mut letter) = (client, [0]);
        client.read_exact(&mut letter).expect("every client is served");
        letter == [b'b']
    });
    found.expect("a member that gets its share")
}

fn expect_reset(mut client: TcpStream) {
    let error = client.read(&mut [0]).expect_err("its endpoint was removed");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn pairs_of_an_address_that_is_gone_are_closed_where_that_is_asked_for() {
    with_client_of_b(|dns, _members, gateway, client| {
        let other = gateway.connect();
        let mut letter = [0];
        (&other).read_exact(&mut letter).expect("it is served");
        dns.remove("two.test");
        expect_reset(client);
        let line = gateway.wait_for_log("cause=endpoint_removed");
        assert!(line.contains(&member_address(12).to_string()), "{line}");
        gateway.wait_for_log("connections of removed endpoints closed");
        match letter {
            [b'a'] => round_trip(&other, b"its member is still there"),
            _ => expect_reset(other),
        }
    });
}

#[test]
fn pairs_of_an_address_that_is_gone_stay_until_another_one_serves() {
    with_client_of_b(|dns, members, gateway, client| {
        let [a, _b] = members;
        drop(a);
        while gateway.log_count("endpoint inactive") == 0 {
            assert_eq!(answer(&gateway), Some('b'));
        }
        dns.remove("two.test");
        wait_removed(&gateway, 12);
        // Names are asked for again every second, so the time given is over.
        let asked = dns.count("one.test", Kind::A);
        until("a second has passed", || dns.count("one.test", Kind::A) > asked + 1);
        round_trip(&client, b"nothing else serves");
        assert_eq!(gateway.log_count("cause=endpoint_removed"), 0);
        let _a = member(11);
        expect_reset(client);
    });
}
