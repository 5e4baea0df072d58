//! What a line says of a connection that has ended.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{FIELDS, Line, Place, json, local_address, logfmt};
use crate::util::*;

/// How a field is given in the manual: as the first cell of a row.
fn row(key: &str) -> String {
    format!("\n| `{key}` |")
}

#[track_caller]
fn expect(line: &Line, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        assert_eq!(line.get(*key).map(String::as_str), Some(*value), "{key} in {line:?}");
    }
}

#[track_caller]
fn expect_absent(line: &Line, keys: &[&str]) {
    for key in keys {
        assert_eq!(line.get(*key), None, "{key} in {line:?}");
    }
}

/// A number of milliseconds, to the microsecond.
#[track_caller]
fn milliseconds(line: &Line, key: &str) -> f64 {
    line[key].parse().unwrap_or_else(|_| panic!("{key} in {line:?}"))
}

fn unix_milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

/// The second listener of a gateway.
fn second_listener(gateway: &Gateway) -> SocketAddr {
    let line = gateway.log().into_iter().find(|line| line.contains("ready to proxy"));
    let line = line.expect("a gateway that was started has said so");
    let (_, list) = line.split_once(" listen=[").expect("a list");
    let (list, _) = list.split_once(']').expect("the end of a list");
    list.split(',').nth(1).expect("two addresses").parse().expect("an address")
}

#[test]
fn a_line_says_who_was_served_where_by_whom_and_how_long_it_took() {
    for (format, read) in [("logfmt", logfmt as fn(&str) -> Line), ("json", json)] {
        let (place, server, refused) = (Place::new(), backend(echo), refused_address());
        let gateway = Gateway::builder()
            .endpoint(&format!("{refused}?priority=0"))
            .endpoint(&format!("{}?priority=1", server.address()))
            .arg("--listen-addr=127.0.0.1:0,127.0.0.2:0")
            .arg(&place.flag())
            .arg(&format!("--access-log-format={format}"))
            .start();
        let listener = second_listener(&gateway);
        let before = unix_milliseconds();
        let mut client = TcpStream::connect(listener).expect("it listens");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        let address = local_address(&client);
        round_trip(&client, b"twelve bytes");
        assert_eq!(place.lines(), [""; 0], "one that is open has no line");
        client.shutdown(Shutdown::Write).expect("the connection is established");
        assert_eq!(client.read(&mut [0]).expect("an end in order"), 0);
        let line = read(&place.wait_for(1)[0]);
        let after = unix_milliseconds();
        let endpoint = server.address().to_string();
        expect(
            &line,
            &[
                ("client", &address),
                ("listener", &listener.to_string()),
                ("endpoint", &endpoint),
                ("name", &endpoint),
                ("attempts", "2"),
                ("client_bytes", "12"),
                ("server_bytes", "12"),
                ("cause", "completed"),
                ("phase", "relaying"),
            ],
        );
        let duration = milliseconds(&line, "duration_ms");
        assert!(duration <= (after - before + 1) as f64, "{line:?}");
        for key in ["dial_ms", "first_byte_ms"] {
            let time = milliseconds(&line, key);
            assert!(time > 0.0 && time < duration, "{key} in {line:?}");
        }
        let mut date = Command::new("date");
        let milliseconds = output_of(date.args(["--date", &line["time"], "+%s%3N"]));
        let ended: u128 = milliseconds.parse().expect("a number");
        assert!((before..=after).contains(&ended), "{line:?}");
        assert!(line["time"].ends_with('Z') && line["time"].len() == 24, "{line:?}");
    }
}

#[test]
fn an_endpoint_has_the_name_by_which_it_was_found() {
    let (place, server) = (Place::new(), backend(echo));
    let name = format!("localhost:{}", server.address().port());
    let gateway = Gateway::builder().endpoint(&name).arg(&place.flag()).start();
    gateway.wait_for_log("endpoint added");
    round_trip(&gateway.connect(), b"a");
    let line = logfmt(&place.wait_for(1)[0]);
    expect(&line, &[("endpoint", &server.address().to_string()), ("name", &name)]);
}

/// A client and its server of a gateway with these flags, and the line once `end` has ended them.
fn line_after(flags: &[&str], end: impl FnOnce(&Relay, TcpStream, TcpStream)) -> Line {
    let place = Place::new();
    let relay = Relay::start(&[&[place.flag().as_str()], flags].concat());
    let (client, server) = relay.pair();
    let address = local_address(&client);
    end(&relay, client, server);
    let line = logfmt(&place.wait_for(1)[0]);
    expect(&line, &[("client", &address), ("attempts", "1")]);
    line
}

#[test]
fn the_first_byte_is_timed_where_a_client_was_answered() {
    let line = line_after(&[], |_, client, server| {
        pass(&client, &server, b"asked");
        drop((client, server));
    });
    expect(&line, &[("client_bytes", "5"), ("server_bytes", "0")]);
    expect_absent(&line, &["first_byte_ms"]);
    let line = line_after(&[], |_, client, server| {
        pass(&server, &client, b"a greeting");
        drop((client, server));
    });
    expect(&line, &[("client_bytes", "0"), ("server_bytes", "10")]);
    expect_absent(&line, &["first_byte_ms"]);
    let line = line_after(&[], |_, client, server| {
        pass(&client, &server, b"a");
        pass(&server, &client, b"bcd");
        drop((client, server));
    });
    expect(&line, &[("client_bytes", "1"), ("server_bytes", "3")]);
    assert!(milliseconds(&line, "first_byte_ms") > 0.0, "{line:?}");
}

#[test]
fn the_cause_is_what_happened_first() {
    let line = line_after(&[], |_, client, server| {
        pass(&client, &server, b"asked");
        reset(server);
        expect_reset(&client);
    });
    expect(&line, &[("cause", "server_reset"), ("phase", "relaying"), ("client_bytes", "5")]);
    let line = line_after(&[], |_, client, server| {
        pass(&client, &server, b"asked");
        reset(client);
        expect_reset(&server);
    });
    expect(&line, &[("cause", "client_reset"), ("phase", "relaying"), ("client_bytes", "5")]);
    let line = line_after(&["--idle-timeout=500ms"], |_, client, server| {
        pass(&client, &server, b"asked");
        expect_reset(&client);
        expect_reset(&server);
    });
    expect(&line, &[("cause", "idle_timeout"), ("phase", "relaying")]);
    assert!(milliseconds(&line, "duration_ms") >= 500.0, "{line:?}");
    // The process ends with it, and must not end before.
    let line = line_after(&["--drain-timeout=5m"], |relay, client, server| {
        pass(&client, &server, b"asked");
        relay.gateway.signal("TERM");
        relay.gateway.wait_for_log("draining");
        relay.gateway.signal("TERM");
        expect_reset(&client);
    });
    expect(&line, &[("cause", "drain_timeout"), ("phase", "relaying"), ("client_bytes", "5")]);
}

#[test]
fn a_client_that_no_endpoint_served_has_a_line_without_one() {
    let place = Place::new();
    let gateway = Gateway::start(&[refused_address()], &[&place.flag(), "--retry-delay=5m"]);
    let (mut first, mut second) = (gateway.connect(), None);
    let _ = first.read(&mut [0]);
    place.wait_for(1);
    let _ = second.insert(gateway.connect()).read(&mut [0]);
    let lines = place.wait_for(2);
    for (line, [cause, attempts]) in lines.iter().zip([["no_endpoint", "1"], ["rejected", "0"]]) {
        let line = logfmt(line);
        expect(
            &line,
            &[
                ("cause", cause),
                ("phase", "dialing"),
                ("attempts", attempts),
                ("listener", &gateway.address().to_string()),
                ("client_bytes", "0"),
                ("server_bytes", "0"),
            ],
        );
        expect_absent(&line, &["endpoint", "name", "dial_ms", "first_byte_ms"]);
    }
    expect(&logfmt(&lines[0]), &[("client", &local_address(&first))]);
}

#[test]
fn the_manual_has_each_field_in_its_order() {
    let manual = include_str!("../../../docs/operations.md");
    let places = FIELDS.map(|key| manual.find(&row(key)).unwrap_or_else(|| panic!("no {key}")));
    assert!(places.is_sorted(), "another order");
}
