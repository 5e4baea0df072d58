//! What a follower does about refusals and failures, one at a time, and what the log says.

use std::time::{Duration, Instant};

use super::super::super::inquiry::{Ask, Heard, Inputs};
use super::super::super::names::Names;
use super::super::Credentials;
use super::super::follower::{Follower, HEARTBEAT, News, RANGES, WATCH};
use crate::config::registry::Registry;
use crate::config::{
    REGISTRY_ANSWER_TIME, REGISTRY_HEARTBEAT_INTERVAL, REGISTRY_HEARTBEAT_TIME, REGISTRY_STEADY_AGE,
};
use crate::proto::dns::resolv_conf::Environment;
use crate::proto::http1::Response;
use crate::upstream::DialFailure;

const HEADER: &str = r#""header":{"cluster_id":"1","member_id":"2","revision":"7"}"#;

/// A follower whose requests are answered one by one.
struct Talk {
    follower: Follower,
    names: Names,
    now: Instant,
    /// Whether heartbeats are answered at once, and not listed among what is asked.
    is_beating: bool,
}

impl Talk {
    fn new(members: &str, is_user: bool) -> Talk {
        let members = members.split(',').map(|text| text.parse().expect(text)).collect();
        let registry = Registry { prefix: "svc/".to_owned(), members, user: None };
        let credentials = Credentials { name: "u".to_owned(), password: "pw".to_owned() };
        let follower = Follower::new(registry, is_user.then_some(credentials));
        let names = Names::new(Environment::default());
        Talk { follower, names, now: Instant::now(), is_beating: true }
    }

    /// What is asked now: `0 open 1 /v3/kv/range` is a new connection of line 0 to port 1.
    fn asked(&mut self) -> Vec<String> {
        self.requests().into_iter().map(|(what, _)| what).collect()
    }

    /// What is asked now, with all of each request.
    fn requests(&mut self) -> Vec<(String, String)> {
        self.follower.expire(self.now);
        let mut asked = Vec::new();
        while let Some((line, ask)) = self.next_ask() {
            if line == HEARTBEAT && self.is_beating {
                if ask != Ask::Close {
                    self.beat(r#","leader":"2""#);
                }
                continue;
            }
            let (how, request) = match ask {
                Ask::Open { target, request, .. } => {
                    let address = target.address.to_string();
                    let port = address.rsplit(':').next().expect("a port");
                    (format!("open {port}"), request)
                }
                Ask::Send { request, .. } => ("send".to_owned(), request),
                Ask::Close => continue,
            };
            let text = String::from_utf8(request.bytes().to_vec()).expect("UTF-8");
            let path = text.split(' ').nth(1).expect("a path");
            asked.push((format!("{line} {how} {path}"), text));
        }
        asked
    }

    fn next_ask(&mut self) -> Option<(u8, Ask)> {
        let inputs = Inputs { names: &self.names, members: &[] };
        self.follower.next_ask(&inputs, self.now, &mut || 0)
    }

    fn hear(&mut self, line: u8, heard: Heard) {
        self.follower.on_heard(line, heard, self.now);
    }

    /// Answers a heartbeat by the status of a member, which ends so.
    fn beat(&mut self, rest: &str) {
        let body = format!("{{{HEADER}{rest}}}").into_bytes();
        self.hear(HEARTBEAT, Heard::Response(Response { status: 200, body }));
    }

    fn answer(&mut self, status: u16, body: &str) {
        let body = body.as_bytes().to_vec();
        self.hear(RANGES, Heard::Response(Response { status, body }));
    }

    fn refuse(&mut self, status: u16, code: u8, message: &str) {
        self.answer(status, &format!(r#"{{"error":"etcdserver: {message}","code":{code}}}"#));
    }

    fn grant(&mut self, token: &str) {
        self.answer(200, &format!(r#"{{{HEADER},"token":"{token}"}}"#));
    }

    fn empty_range(&mut self) {
        self.answer(200, &format!("{{{HEADER}}}"));
    }

    fn message(&mut self, rest: &str) {
        self.hear(WATCH, Heard::Head(200));
        let text = format!(r#"{{"result":{{{HEADER},"created":true{rest}}}}}"#);
        self.hear(WATCH, Heard::Part(text.into_bytes()));
    }

    fn deny_watch(&mut self) {
        let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        self.message(&format!(r#","canceled":true,"cancel_reason":"{reason}""#));
    }

    /// What the log should say since the last call.
    fn news(&mut self) -> Vec<String> {
        let news = self.follower.take_news().into_iter().map(|news| match news {
            News::Lost { problem, member } => format!("{member} {problem}"),
            News::Restored { member } => format!("{member} again"),
        });
        news.collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// A watch that runs.
    fn follow(&mut self) {
        self.asked();
        self.empty_range();
        self.asked();
        self.message("");
        self.pass(REGISTRY_STEADY_AGE);
        assert_eq!(self.asked(), [""; 0]);
    }
}

const TOKEN_SENT: &str = "0 send /v3/auth/authenticate";
const RANGE: &str = "0 open 1 /v3/kv/range";
const RANGE_SENT: &str = "0 send /v3/kv/range";
const WATCHED: &str = "1 open 1 /v3/watch";

#[test]
fn requests_say_what_etcd_needs_to_know() {
    let mut talk = Talk::new("a:1", false);
    assert_eq!(talk.asked(), [""; 0], "no address is known");
    let mut talk = Talk::new("[::1]:1", true);
    let token = talk.requests();
    assert_eq!(token[0].0, "0 open 1 /v3/auth/authenticate");
    assert!(token[0].1.ends_with("\r\n\r\n{\"name\":\"u\",\"password\":\"pw\"}"));
    talk.grant("abc.7");
    let range = talk.requests();
    assert_eq!(range[0].0, RANGE_SENT);
    for field in ["Host: [::1]:1", "Grpc-Timeout: 2S", "Authorization: abc.7"] {
        assert!(range[0].1.contains(&format!("\r\n{field}\r\n")), "{}", range[0].1);
    }
    talk.empty_range();
    let watch = talk.requests();
    assert_eq!(watch[0].0, WATCHED);
    for field in ["Grpc-Metadata-hasleader: true", "Authorization: abc.7"] {
        assert!(watch[0].1.contains(&format!("\r\n{field}\r\n")), "{}", watch[0].1);
    }
    assert!(watch[0].1.contains(r#""start_revision":"8""#) && !watch[0].1.contains("Timeout"));
}

#[test]
fn an_old_token_is_replaced_and_a_new_one_is_believed() {
    let mut talk = Talk::new("10.0.0.1:1", true);
    talk.asked();
    talk.grant("one");
    talk.follow();
    // By the next range.
    talk.pass(Duration::from_secs(80));
    assert_eq!(talk.asked(), [RANGE]);
    talk.refuse(401, 16, "invalid auth token");
    assert_eq!(talk.asked(), [TOKEN_SENT]);
    talk.grant("two");
    assert!(talk.requests()[0].1.contains("Authorization: two"));
    talk.empty_range();
    assert_eq!(talk.asked(), [""; 0]);
    // By the watch. The token is that of this attempt until a watch has begun with it.
    talk.hear(WATCH, Heard::End);
    talk.pass(Duration::from_secs(1));
    assert_eq!(talk.asked(), [RANGE]);
    talk.empty_range();
    assert_eq!(talk.asked(), [WATCHED]);
    talk.deny_watch();
    assert_eq!(talk.asked(), ["0 open 1 /v3/auth/authenticate"]);
    talk.grant("three");
    assert_eq!(talk.asked(), [RANGE_SENT]);
    talk.empty_range();
    assert_eq!(talk.asked(), [WATCHED]);
    assert_eq!(talk.news(), [""; 0]);
    talk.deny_watch();
    assert_eq!(talk.news(), ["10.0.0.1:1 permission_denied"]);
    assert_eq!(talk.asked(), [""; 0], "a pause");
}

#[test]
fn authentication_may_be_switched_off_and_on() {
    let mut talk = Talk::new("10.0.0.1:1", true);
    talk.asked();
    talk.refuse(412, 9, "authentication is not enabled");
    let range = talk.requests();
    assert_eq!(range[0].0, RANGE_SENT);
    assert!(!range[0].1.contains("Authorization"));
    talk.empty_range();
    talk.asked();
    talk.message("");
    talk.pass(Duration::from_secs(80));
    assert_eq!(talk.asked(), [RANGE]);
    talk.refuse(400, 3, "user name is empty");
    assert_eq!(talk.asked(), [TOKEN_SENT]);
    assert_eq!(talk.news(), [""; 0]);
}

#[test]
fn what_only_a_person_can_mend_is_reported_at_once() {
    for (is_user, status, code, message, want) in [
        (
            true,
            400,
            3,
            "authentication failed, invalid user ID or password",
            "10.0.0.1:1 password_wrong",
        ),
        (false, 400, 3, "user name is empty", "10.0.0.1:1 token_missing"),
        (false, 403, 7, "permission denied", "10.0.0.1:1 permission_denied"),
    ] {
        let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2,10.0.0.1:3", is_user);
        for attempt in 0..3 {
            assert_eq!(talk.asked().len(), 1, "{message}: attempt {attempt}");
            talk.refuse(status, code, message);
            assert_eq!(talk.asked(), [""; 0], "{message}: a pause");
            talk.pass(Duration::from_secs(10));
        }
        assert_eq!(talk.news(), [want]);
    }
}

#[test]
fn another_member_is_asked_after_every_failure_of_one() {
    let range_heard = [
        Heard::Failed("refused"),
        Heard::Closed,
        Heard::Response(Response { status: 404, body: b"404 page not found\n".to_vec() }),
        Heard::Response(Response { status: 200, body: b"{}".to_vec() }),
        Heard::Response(Response {
            status: 504,
            body: br#"{"error":"context deadline exceeded","code":4}"#.to_vec(),
        }),
    ];
    for heard in range_heard.map(Some).into_iter().chain([None]) {
        let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
        talk.asked();
        match heard.clone() {
            Some(heard) => talk.hear(RANGES, heard),
            None => talk.pass(2 * REGISTRY_ANSWER_TIME),
        }
        assert_eq!(talk.asked(), ["0 open 2 /v3/kv/range"], "{heard:?}");
        assert_eq!(talk.news(), [""; 0]);
        talk.hear(RANGES, Heard::Failed("refused"));
        assert_eq!(talk.news(), ["10.0.0.1:2 refused"]);
    }
    let no_leader = br#"{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}"#;
    let watch_heard = [
        Heard::End,
        Heard::Closed,
        Heard::Failed("reset"),
        Heard::Part(no_leader.to_vec()),
        Heard::Part(b"<html>".to_vec()),
        Heard::Part(b"{\"result\":{}}".to_vec()),
        Heard::Part(vec![b'{'; 5 << 20]),
    ];
    for heard in watch_heard {
        let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
        talk.follow();
        talk.hear(WATCH, heard.clone());
        assert_eq!(talk.asked(), ["0 open 2 /v3/kv/range"], "{heard:?}");
        talk.empty_range();
        assert_eq!(talk.asked(), ["1 open 2 /v3/watch"], "{heard:?}");
        assert_eq!(talk.news(), [""; 0]);
    }
}

/// A member that is stopped accepts a watch and a range, and answers neither.
#[test]
fn a_watch_that_is_silent_is_left() {
    let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
    talk.asked();
    talk.empty_range();
    assert_eq!(talk.asked(), [WATCHED]);
    talk.pass(2 * REGISTRY_ANSWER_TIME);
    assert_eq!(talk.asked(), ["0 open 2 /v3/kv/range"], "it never began");
    let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
    talk.follow();
    talk.pass(Duration::from_secs(80));
    assert_eq!(talk.asked(), [RANGE]);
    talk.pass(2 * REGISTRY_ANSWER_TIME);
    assert_eq!(talk.asked(), ["0 open 2 /v3/kv/range"]);
    talk.empty_range();
    assert_eq!(talk.asked(), ["1 open 2 /v3/watch"], "it goes where the range was answered");
}

#[test]
fn a_compaction_is_no_fault_of_the_member() {
    let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
    talk.asked();
    talk.empty_range();
    talk.asked();
    talk.message(r#","canceled":true,"compact_revision":"9""#);
    assert_eq!(talk.asked(), [RANGE]);
    talk.empty_range();
    assert_eq!(talk.asked(), [WATCHED]);
    assert_eq!(talk.news(), [""; 0]);
}

#[test]
fn a_loss_is_reported_once_and_its_end_once() {
    let mut talk = Talk::new("10.0.0.1:1", false);
    talk.follow();
    talk.hear(WATCH, Heard::Failed("reset"));
    for _ in 0..50 {
        talk.pass(Duration::from_millis(300));
        if !talk.asked().is_empty() {
            talk.hear(RANGES, Heard::Failed("refused"));
        }
    }
    assert_eq!(talk.news(), ["10.0.0.1:1 refused"]);
    talk.pass(Duration::from_secs(10));
    assert_eq!(talk.asked(), [RANGE]);
    talk.empty_range();
    talk.asked();
    talk.message("");
    assert_eq!(talk.news(), [""; 0], "it may be cut at once");
    talk.pass(REGISTRY_STEADY_AGE);
    assert_eq!(talk.asked(), [""; 0]);
    assert_eq!(talk.news(), ["10.0.0.1:1 again"]);
}

#[test]
fn an_answer_that_is_too_long_comes_in_smaller_pages() {
    let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
    assert!(talk.requests()[0].1.contains(r#""limit":512"#));
    for limit in [256, 128, 64, 32, 16, 8, 4, 2, 1] {
        talk.hear(RANGES, Heard::Failed("answer_too_long"));
        let (what, text) = talk.requests().remove(0);
        assert_eq!(what, RANGE);
        assert!(text.contains(&format!(r#""limit":{limit},"#)), "{text}");
    }
    talk.hear(RANGES, Heard::Failed("answer_too_long"));
    assert_eq!(talk.asked(), ["0 open 2 /v3/kv/range"]);
}

/// The server may close a connection just before a further request.
#[test]
fn a_question_is_repeated_over_a_new_connection() {
    let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", true);
    talk.asked();
    talk.grant("one");
    assert_eq!(talk.asked(), [RANGE_SENT]);
    talk.hear(RANGES, Heard::Closed);
    assert_eq!(talk.asked(), [RANGE]);
    talk.empty_range();
    assert_eq!(talk.asked(), [WATCHED]);
}

const BEAT: &str = "2 open 1 /v3/maintenance/status";
const BEAT_SENT: &str = "2 send /v3/maintenance/status";
const NEXT_RANGE: &str = "0 open 2 /v3/kv/range";

/// A watch that runs for as long as its heartbeat, which is asked for now.
fn beating() -> Talk {
    let mut talk = Talk::new("10.0.0.1:1,10.0.0.1:2", false);
    talk.is_beating = false;
    talk.asked();
    talk.empty_range();
    talk.asked();
    talk.message("");
    assert_eq!(talk.asked(), [""; 0], "the range has just shown that it is there");
    talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
    assert_eq!(talk.asked(), [BEAT]);
    talk
}

#[test]
fn a_member_is_asked_for_a_heartbeat_while_its_watch_runs() {
    let mut talk = beating();
    for _ in 0..10 {
        talk.beat(r#","leader":"3""#);
        assert_eq!(talk.asked(), [""; 0]);
        talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
        assert_eq!(talk.asked(), [BEAT_SENT]);
    }
    // Closed between two: nothing is asked for it. Closed by a question: that is asked once more.
    talk.beat(r#","leader":"3""#);
    talk.hear(HEARTBEAT, Heard::Closed);
    assert_eq!(talk.asked(), [""; 0]);
    talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
    assert_eq!(talk.asked(), [BEAT]);
    talk.beat(r#","leader":"3""#);
    talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
    assert_eq!(talk.asked(), [BEAT_SENT]);
    talk.hear(HEARTBEAT, Heard::Closed);
    assert_eq!(talk.asked(), [BEAT]);
    // A proxy in front of etcd that has no such path.
    let body = b"404 page not found\n".to_vec();
    talk.hear(HEARTBEAT, Heard::Response(Response { status: 404, body }));
    assert_eq!(talk.asked(), [""; 0]);
    talk.hear(WATCH, Heard::End);
    assert_eq!(talk.asked(), [NEXT_RANGE]);
    talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
    assert_eq!(talk.asked(), [""; 0], "no heartbeat without a watch");
}

#[test]
fn a_member_without_a_heartbeat_is_left_at_once() {
    for heard in [Heard::Failed("timed_out"), Heard::Closed] {
        let mut talk = beating();
        talk.hear(HEARTBEAT, heard.clone());
        assert_eq!(talk.asked(), [NEXT_RANGE], "{heard:?}");
        talk.empty_range();
        assert_eq!(talk.asked(), ["1 open 2 /v3/watch"]);
        assert_eq!(talk.news(), [""; 0]);
    }
    let mut talk = beating();
    talk.pass(2 * REGISTRY_HEARTBEAT_TIME);
    assert_eq!(talk.asked(), [NEXT_RANGE], "no answer");
    let mut talk = beating();
    talk.beat("");
    assert_eq!(talk.asked(), [NEXT_RANGE], "no leader");
}

#[test]
fn a_shortage_of_our_own_speaks_against_no_member() {
    let mut talk = beating();
    talk.hear(HEARTBEAT, Heard::Failed(DialFailure::Local.word()));
    assert_eq!(talk.asked(), [""; 0], "the watch goes on");
    talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
    assert_eq!(talk.asked(), [BEAT]);
}

#[test]
fn a_range_is_not_awaited_of_a_member_without_a_heartbeat() {
    let mut talk = beating();
    talk.beat(r#","leader":"3""#);
    talk.pass(Duration::from_secs(80));
    assert_eq!(talk.asked(), [RANGE, BEAT_SENT]);
    talk.hear(HEARTBEAT, Heard::Failed("timed_out"));
    assert_eq!(talk.asked(), [NEXT_RANGE]);
    talk.empty_range();
    assert_eq!(talk.asked(), ["1 open 2 /v3/watch"]);
    assert_eq!(talk.news(), [""; 0]);
}

/// One fault is one failure: that of the range counts, and the member is asked no further.
fn leave_by_range(is_next_better: bool) {
    let mut talk = beating();
    talk.beat(r#","leader":"3""#);
    talk.pass(Duration::from_secs(80));
    assert_eq!(talk.asked(), [RANGE, BEAT_SENT]);
    talk.beat(r#","leader":"3""#);
    talk.hear(RANGES, Heard::Failed("timed_out"));
    assert_eq!(talk.asked(), [NEXT_RANGE]);
    talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
    assert_eq!(talk.asked(), [""; 0]);
    match is_next_better {
        true => {
            talk.empty_range();
            assert_eq!(talk.asked(), ["1 open 2 /v3/watch"]);
            assert_eq!(talk.news(), [""; 0]);
        }
        // Its turn again, and the watch that has gone on meanwhile counts.
        false => {
            talk.hear(RANGES, Heard::Failed("timed_out"));
            talk.pass(Duration::from_secs(1));
            assert_eq!(talk.asked(), [RANGE]);
            talk.empty_range();
            talk.pass(REGISTRY_HEARTBEAT_INTERVAL);
            assert_eq!(talk.asked(), [BEAT]);
        }
    }
}

#[test]
fn a_member_that_a_range_has_left_is_not_asked_for_a_heartbeat() {
    leave_by_range(true);
    leave_by_range(false);
}
