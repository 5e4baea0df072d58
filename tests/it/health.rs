//! Health checks: who gets clients, who loses them, who is asked, and who never is.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::util::*;

/// Three members.
fn members() -> [FakeMember; 3] {
    [b'a', b'b', b'c'].map(FakeMember::start)
}

fn before(members: &[FakeMember], arguments: &[&str]) -> Gateway {
    let mut builder = Gateway::builder().arg("--health-interval=20ms");
    for member in members {
        builder = builder.endpoint(&member.url());
    }
    arguments.iter().fold(builder, |builder, argument| builder.arg(argument)).start()
}

/// Waits until the gateway knows that all of them serve.
fn wait_passing(gateway: &Gateway, members: &[FakeMember]) {
    for member in members {
        let address = member.address().to_string();
        until("each member has passed its check", || {
            let lines = gateway.log();
            lines.iter().any(|line| line.contains("pass") && line.contains(&address))
        });
    }
}

/// The letters of the servers of this many clients, each once.
fn served_by(gateway: &Gateway, clients: usize) -> String {
    let mut letters: Vec<u8> = (0..clients).map(|_| greeted_client(gateway).1).collect();
    letters.sort_unstable();
    letters.dedup();
    String::from_utf8_lossy(&letters).into_owned()
}

/// Whether the connection was reset.
fn is_reset(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// Fails unless the client is still served where it was.
fn expect_served((stream, letter): &mut (TcpStream, u8)) {
    stream.write_all(b"x").expect("it is still served");
    stream.read_exact(std::slice::from_mut(letter)).expect("an echo");
}

#[test]
fn a_member_that_does_not_serve_gets_no_clients_and_loses_those_it_has() {
    for (health, reason) in [
        (Health::NoLeader, "no_leader"),
        (Health::Learner, "learner"),
        (Health::Silent, "timed_out"),
        (Health::Answer(503, "{}".to_owned()), "status_503"),
        (Health::Bytes(b"SSH-2.0-x\r\n".to_vec()), "answer_malformed"),
    ] {
        let members = members();
        let gateway = before(&members, &["--health-timeout=200ms"]);
        wait_passing(&gateway, &members);
        let mut clients: Vec<(TcpStream, u8)> = (0..3).map(|_| greeted_client(&gateway)).collect();
        clients.sort_by_key(|(_, letter)| *letter);
        members[1].tell(health.clone());
        let line = gateway.wait_for_log("endpoint fails its check");
        assert!(line.contains(&format!("reason={reason}")), "{health:?}: {line}");
        assert_eq!(number_in(&line, "pairs"), 1);
        assert!(is_reset(&mut clients[1].0), "{health:?}: a client is left with it");
        assert_eq!(served_by(&gateway, 6), "ac");
        for index in [0, 2] {
            expect_served(&mut clients[index]);
        }
        members[1].tell(Health::Serving);
        gateway.wait_for_log("endpoint passes its check again");
        assert_eq!(served_by(&gateway, 6), "abc");
        assert_eq!(gateway.log_count("endpoint fails its check "), 1, "{health:?}");
    }
}

#[test]
fn a_learner_that_was_there_from_the_start_gets_no_clients() {
    let members = members();
    members[0].tell(Health::Learner);
    let gateway = before(&members, &[]);
    wait_passing(&gateway, &members[1..]);
    gateway.wait_for_log("endpoint fails its check");
    assert_eq!(served_by(&gateway, 6), "bc");
}

#[test]
fn a_full_database_is_reported_and_serves() {
    let members = members();
    let gateway = before(&members, &[]);
    wait_passing(&gateway, &members);
    members.iter().for_each(|member| member.tell(Health::NoSpace));
    until("each is reported", || gateway.log_count("endpoint has no space") == 3);
    assert_eq!(served_by(&gateway, 6), "abc");
    assert_eq!(gateway.log_count("fails its check"), 0);
}

#[test]
fn where_nothing_passes_all_that_accept_get_clients() {
    let members = members();
    let gateway = before(&members, &[]);
    wait_passing(&gateway, &members);
    let mut clients: Vec<(TcpStream, u8)> = (0..3).map(|_| greeted_client(&gateway)).collect();
    clients.sort_by_key(|(_, letter)| *letter);
    members.iter().for_each(|member| member.tell(Health::NoLeader));
    gateway.wait_for_log("no endpoint passes its check, using those that accept endpoints=3");
    assert_eq!(served_by(&gateway, 6), "abc");
    // All but those that were closed while another one still passed.
    members[0].tell(Health::Serving);
    gateway.wait_for_log("endpoints that pass their check in use again");
    assert_eq!(served_by(&gateway, 6), "a");
    assert!(is_reset(&mut clients[1].0) && is_reset(&mut clients[2].0));
    assert_eq!(gateway.log_count("no endpoint passes its check"), 1);
}

/// Neither when it is alone, nor next to one of which nothing is known.
#[test]
fn a_member_that_fails_keeps_its_clients_while_no_other_one_passes() {
    let silent = Blackhole::start();
    for others in [&[][..], &[format!("http://{}", silent.address())]] {
        let member = FakeMember::start(b'a');
        let builder =
            Gateway::builder().arg("--health-interval=20ms").arg("--connect-timeout=100ms");
        let builder = builder.endpoint(&member.url());
        let builder = others
            .iter()
            .fold(builder, |builder, other| builder.endpoint(&format!("{other}?priority=1")));
        let gateway = builder.start();
        gateway.wait_for_log("endpoint passes its check");
        let mut client = greeted_client(&gateway);
        member.tell(Health::NoLeader);
        gateway.wait_for_log("endpoint fails its check");
        until("it was asked on", || member.requests().len() > 20);
        expect_served(&mut client);
        assert_eq!(gateway.log_count("connections of failing endpoints closed"), 0);
        assert_eq!(served_by(&gateway, 1), "a", "next to {others:?}");
    }
}

#[test]
fn pairs_are_kept_where_that_is_asked_for() {
    let members = members();
    let gateway = before(&members, &["--close-on-failure=never"]);
    wait_passing(&gateway, &members);
    let mut clients: Vec<(TcpStream, u8)> = (0..3).map(|_| greeted_client(&gateway)).collect();
    members[0].tell(Health::NoLeader);
    gateway.wait_for_log("endpoint fails its check");
    assert_eq!(served_by(&gateway, 6), "bc");
    clients.iter_mut().for_each(expect_served);
}

#[test]
fn a_client_that_gets_no_answer_causes_a_check_at_once() {
    let members = members();
    // One look at the start, and then none for an hour.
    let gateway = before(&members, &["--health-interval=1h", "--health-timeout=100ms"]);
    wait_passing(&gateway, &members);
    let (mut stream, letter) = greeted_client(&gateway);
    let asked: Vec<usize> = members.iter().map(|member| member.requests().len()).collect();
    assert_eq!(asked, [1, 1, 1]);
    let silent = usize::from(letter - b'a');
    members[silent].tell(Health::Silent);
    stream.write_all(b"x").expect("it takes bytes");
    assert!(is_reset(&mut stream), "the client is left there");
    gateway.wait_for_log("endpoint fails its check");
    for (index, member) in members.iter().enumerate().filter(|(index, _)| *index != silent) {
        assert_eq!(member.requests().len(), 1, "member {index} gave no reason");
    }
    let others: String = ["bc", "ac", "ab"][silent].to_owned();
    assert_eq!(served_by(&gateway, 6), others);
}

/// The library that speaks HTTP/2 for a member goes on to do so when the member does not.
#[test]
fn frames_that_keep_a_connection_up_are_no_answer() {
    let members = members();
    let gateway = before(&members, &["--health-interval=1h"]);
    wait_passing(&gateway, &members);
    let (mut stream, letter) = greeted_client(&gateway);
    members[usize::from(letter - b'a')].tell(Health::CutOff);
    stream.write_all(b"x").expect("it takes bytes");
    let mut answer = [0; PING.len()];
    stream.read_exact(&mut answer).expect("all bytes are relayed");
    assert_eq!(answer, PING);
    assert!(is_reset(&mut stream), "the client is left there");
    gateway.wait_for_log("endpoint fails its check");
}

#[test]
fn a_member_that_closes_the_connection_of_its_checks_is_asked_at_once() {
    let [member, other, _] = members();
    let members = [member, other];
    let gateway = before(&members, &["--health-interval=1h"]);
    wait_passing(&gateway, &members);
    let [member, _other] = members;
    member.stop();
    let line = gateway.wait_for_log("endpoint fails its check");
    assert!(line.contains("reason=refused"), "{line}");
    assert_eq!(served_by(&gateway, 4), "b");
}

#[test]
fn all_checks_of_a_member_use_one_connection() {
    let members = [FakeMember::start(b'a')];
    let gateway = before(&members, &[]);
    until("it was asked often", || members[0].requests().len() > 20);
    assert_eq!(members[0].asked_over(), 1);
    let lines = members[0].requests();
    assert!(lines.iter().all(|line| line == "POST /v3/maintenance/status HTTP/1.1"), "{lines:?}");
    drop(gateway);
}

/// A member may be without its interface in JSON for a moment: a proxy before it says so, too.
#[test]
fn a_member_is_asked_for_its_status_again_after_it_had_none() {
    let members = [FakeMember::start(b'a')];
    let gateway = before(&members, &[]);
    wait_passing(&gateway, &members);
    members[0].tell(Health::Answer(404, String::new()));
    gateway.wait_for_log("endpoint fails its check");
    members[0].tell(Health::Learner);
    let count = members[0].requests().len();
    until("it was asked often", || members[0].requests().len() > count + 20);
    let lines = members[0].requests();
    let last = lines.last().expect("many");
    assert_eq!(last, "POST /v3/maintenance/status HTTP/1.1");
    assert_eq!(gateway.log_count("passes its check again"), 0, "a learner");
}

#[test]
fn nothing_is_sent_to_an_endpoint_that_cannot_be_etcd() {
    let member = FakeMember::start(b'a');
    let other = [FakeMember::start(b'b')];
    let builder = Gateway::builder().arg("--health-interval=20ms").endpoint(&other[0].url());
    let gateway = builder.endpoint(&member.address().to_string()).start();
    until("the other one was asked often", || other[0].requests().len() > 20);
    assert_eq!((member.accepted(), member.requests().len()), (0, 0));
    assert_eq!(served_by(&gateway, 4), "ab");
    let member = FakeMember::start(b'a');
    let builder = Gateway::builder().arg("--health-check=off").endpoint(&member.url());
    let gateway = builder.start();
    assert_eq!(served_by(&gateway, 1), "a");
    assert_eq!(member.accepted(), 1);
}

#[test]
fn a_server_of_another_kind_is_asked_once_and_left_alone() {
    let not_found = Health::Answer(404, "404 page not found\n".to_owned());
    let page = Health::Answer(200, "<html></html>".to_owned());
    let other = Health::Answer(200, r#"{"status":"ok"}"#.to_owned());
    for (health, requests, reason) in [
        (not_found, 3, "status_404"),
        (page, 1, "not_json"),
        (other, 1, "not_etcd"),
        (Health::Bytes(b"220 mail\r\n".to_vec()), 1, "answer_malformed"),
        (Health::Bytes(Vec::new()), 3, "closed_unanswered"),
    ] {
        let members = [FakeMember::start(b'a'), FakeMember::start(b'b')];
        members[0].tell(health.clone());
        let gateway = before(&members, &[]);
        let line = gateway.wait_for_log("endpoint is not checked");
        assert!(line.contains(&format!("reason={reason}")), "{line}");
        until("the other one was asked often", || members[1].requests().len() > 20);
        assert_eq!(members[0].requests().len(), requests, "{health:?}");
        assert_eq!(served_by(&gateway, 4), "ab");
        assert_eq!(gateway.log_count("fails its check"), 0);
    }
}

#[test]
fn a_path_is_asked_at_a_port_of_its_own() {
    let [side, member] = [FakeMember::start(b's'), FakeMember::start(b'a')];
    side.tell(Health::Answer(204, String::new()));
    let port = side.address().port();
    let builder = Gateway::builder().arg("--health-interval=20ms").arg("--health-check=/ready?a=1");
    let builder = builder.arg(&format!("--health-port={port}"));
    let gateway = builder.endpoint(&member.address().to_string()).start();
    let line = gateway.wait_for_log("endpoint passes its check");
    assert!(line.contains("check=/ready?a=1"), "{line}");
    assert_eq!(side.requests()[0], "GET /ready?a=1 HTTP/1.1");
    assert_eq!((member.accepted(), served_by(&gateway, 1)), (0, "a".to_owned()));
    side.tell(Health::Answer(500, String::new()));
    let line = gateway.wait_for_log("endpoint fails its check");
    assert!(line.contains("reason=status_500"), "{line}");
}
