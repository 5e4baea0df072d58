//! Tests of the source as a whole: members are played by the test, which answers what is asked.

mod state_file;

use std::net::IpAddr;

use super::*;
use crate::discovery::inquiry::{Candidate, Target};
use crate::proto::dns::hosts;
use crate::proto::dns::resolv_conf::Environment;
use crate::scheme::Scheme;
use crate::upstream::Standing;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(30);

/// The source, and the members that it may ask: the last number of their address.
struct Bench {
    members: Members,
    names: Names,
    candidates: Vec<Candidate>,
    now: Instant,
}

fn candidate(number: u8, standing: Standing) -> Candidate {
    let ip = IpAddr::from([10, 0, 0, number]);
    let host = ip.to_string().into();
    Candidate {
        target: Target { address: (ip, 2379).into(), scheme: Scheme::Http, host },
        standing,
    }
}

fn settings(remembered: Option<KnownMembers>) -> FollowMembers {
    FollowMembers {
        interval: INTERVAL,
        time_limit: SECOND,
        file: Some(PathBuf::from("/a")),
        starting_points: StartingPoints::from_iter(["10.0.0.1:2379".to_owned()]),
        remembered,
    }
}

/// A status: `leader` is 0 for none.
fn status(member: u64, leader: u64, term: u64, applied: u64) -> String {
    format!(
        r#"{{"header":{{"cluster_id":"1","member_id":"{member}","raft_term":"{term}"}},
        "leader":"{leader}","raftAppliedIndex":"{applied}"}}"#
    )
}

/// The list of a member: `members` are numbers, each with the URL of its address; `urls` replaces
/// those where it is not empty.
fn list(member: u64, term: u64, members: &[u64]) -> String {
    list_of(1, member, term, members, url)
}

fn url(member: u64) -> String {
    format!("http://10.0.0.{member}:2379")
}

fn loopback(_: u64) -> String {
    "http://localhost:2379".to_owned()
}

fn list_of(
    cluster: u64,
    member: u64,
    term: u64,
    members: &[u64],
    url: impl Fn(u64) -> String,
) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|id| format!(r#"{{"ID":"{id}","name":"m{id}","clientURLs":["{}"]}}"#, url(*id)))
        .collect();
    format!(
        r#"{{"header":{{"cluster_id":"{cluster}","member_id":"{member}","raft_term":"{term}"}},
        "members":[{}]}}"#,
        members.join(",")
    )
}

impl Bench {
    fn new(candidates: &[u8]) -> Bench {
        Bench::with(candidates, None)
    }

    fn with(candidates: &[u8], remembered: Option<KnownMembers>) -> Bench {
        let candidates = candidates.iter().map(|number| candidate(*number, Standing::Serving));
        Bench {
            members: Members::new(settings(remembered)),
            names: Names::new(Environment::default()),
            candidates: candidates.collect(),
            now: Instant::now(),
        }
    }

    /// What is asked next: `open 10.0.0.1 status`, `send list`, `close`, or `-`. Of equals the
    /// first is chosen, and no jitter is added.
    fn asked(&mut self) -> String {
        let inputs = Inputs { names: &self.names, members: &self.candidates };
        match self.members.next_ask(&inputs, self.now, &mut || 0) {
            None => "-".to_owned(),
            Some((0, Ask::Close)) => "close".to_owned(),
            Some((0, Ask::Send { request, .. })) => format!("send {}", subject(request.bytes())),
            Some((0, Ask::Open { target, request, .. })) => {
                format!("open {} {}", target.host, subject(request.bytes()))
            }
            Some((line, _)) => panic!("line {line}"),
        }
    }

    fn hear(&mut self, heard: Heard) -> bool {
        let is_changed = self.members.on_heard(0, heard, self.now);
        if is_changed {
            self.update();
        }
        is_changed
    }

    fn update(&mut self) -> Vec<String> {
        let excluded = self.members.update(&self.names, false, self.now);
        self.names.sync(&self.members.names(), self.now);
        excluded.iter().map(|(item, reason)| format!("{item:?} {reason}")).collect()
    }

    fn answer(&mut self, status: u16, body: &str) -> bool {
        self.hear(Heard::Response(Response { status, body: body.into() }))
    }

    /// Has a member answer all questions of a round that begins with its status.
    #[track_caller]
    fn tell(&mut self, status: &str, list: &str) -> bool {
        self.tell_between(status, list, status)
    }

    /// As [`Bench::tell`], with another status after the list.
    #[track_caller]
    fn tell_between(&mut self, status: &str, list: &str, after: &str) -> bool {
        self.answer(200, status);
        assert_eq!(self.asked(), "send list");
        assert!(!self.answer(200, list));
        assert_eq!(self.asked(), "send status");
        self.answer(200, after)
    }

    /// Has the next round begin, and one member say that its list is another one than is known.
    #[track_caller]
    fn tell_next(&mut self, status: &str, list: &str) -> bool {
        while ["-", "close"].contains(&&*self.ask_when_due()) {}
        assert!(!self.answer(200, list));
        assert_eq!(self.asked(), "send status");
        self.tell(status, list)
    }

    fn ask_when_due(&mut self) -> String {
        let asked = self.asked();
        if asked == "-" {
            self.now = self.members.next_deadline().expect("a round is to come");
            self.members.expire(self.now);
        }
        asked
    }

    /// The last numbers of the endpoints.
    fn endpoints(&self) -> Vec<String> {
        let hosts = self.members.hosts(&self.names);
        let addresses = hosts.iter().flat_map(|host| host.addresses.iter());
        addresses.map(|address| address.to_string()).collect()
    }

    /// The words of refusals since the last call.
    fn refusals(&mut self) -> Vec<String> {
        let findings = self.members.take_findings().into_iter();
        let refusals = findings.filter_map(|finding| match finding {
            Finding::MembersRefused { endpoint, reason } => Some(format!("{endpoint} {reason}")),
            Finding::MembersUnknown { reason } => Some(format!("none {reason}")),
            Finding::MembersKnown => Some("known".to_owned()),
            _ => None,
        });
        refusals.collect()
    }
}

fn subject(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let path = text.split(' ').nth(1).expect("a path");
    let beta = if path.starts_with("/v3beta/") { " beta" } else { "" };
    format!("{}{beta}", path.rsplit('/').next().expect("its end"))
}

/// A source that follows members 1 to 3 of cluster 1, as of entry 100 of term 5.
fn followed() -> Bench {
    let mut bench = Bench::new(&[1, 2, 3]);
    assert_eq!(bench.asked(), "open 10.0.0.1 status");
    assert!(bench.tell(&status(1, 1, 5, 100), &list(1, 5, &[1, 2, 3])));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    bench.members.take_record().expect("it is to be kept");
    bench
}

#[test]
fn a_first_list_takes_a_status_before_it() {
    let mut bench = Bench::new(&[1, 2, 3]);
    assert_eq!(bench.members.state(&bench.names), State::Learning);
    assert_eq!(bench.asked(), "open 10.0.0.1 status");
    assert_eq!((bench.asked(), bench.members.is_asking(bench.now)), ("-".to_owned(), true));
    assert!(bench.tell(&status(1, 2, 5, 100), &list(1, 5, &[1, 4])));
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379", "10.0.0.4:2379"]);
    assert_eq!(bench.members.state(&bench.names), State::Listing);
    let host = bench.members.hosts(&bench.names).remove(0);
    assert_eq!((host.member, host.weight, host.server.is_etcd), (Some(1), 1, true));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let found = bench.members.take_findings();
    let endpoint = candidate(1, Standing::Serving).target.address;
    let want = Finding::MembersFollowed { urls: 2, cluster_id: 1, raft_term: 5, endpoint };
    assert_eq!(found, [want]);
}

#[test]
fn a_list_that_is_as_known_takes_one_question_and_is_not_kept_again() {
    let mut bench = followed();
    let begun_at = bench.now;
    assert_eq!(bench.ask_when_due(), "-");
    assert!(bench.now >= begun_at + INTERVAL * 9 / 10, "a tenth less at the most");
    assert_eq!(bench.asked(), "open 10.0.0.1 list");
    // Of a follower whose term is not known to be that of a leader.
    assert!(!bench.answer(200, &list(1, 9, &[1, 2, 3])));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let term = bench.members.belief.known().map(|known| known.raft_term);
    assert_eq!((bench.members.take_record(), term), (None, Some(5)));
}

#[test]
fn a_list_is_believed_or_there_is_a_reason() {
    let learner = status(1, 2, 6, 200).replace("}}", r#","isLearner":true}"#);
    let learner = learner.replace(r#""raftAppliedIndex":"200"}"#, r#""isLearner":true}"#);
    for (status, list, want) in [
        (status(1, 2, 6, 200), list(1, 6, &[1, 2, 4]), None),
        (status(1, 2, 5, 101), list(1, 5, &[1, 2, 4]), None),
        // The known list is as of that entry at the latest, this one at the earliest.
        (status(1, 2, 5, 100), list(1, 5, &[1, 2, 4]), None),
        (status(1, 2, 5, 0), list(1, 5, &[1, 2, 4]), None),
        (status(1, 0, 6, 200), list(1, 6, &[1, 2, 4]), Some("no_leader")),
        (learner, list(1, 6, &[1, 2, 4]), Some("learner")),
        (status(1, 2, 4, 200), list(1, 4, &[1, 2, 4]), Some("older_term")),
        (status(1, 2, 6, 99), list(1, 6, &[1, 2, 4]), Some("older_entry")),
        (status(7, 2, 6, 200), list(1, 6, &[1, 2, 4]), Some("other_member")),
        (status(1, 2, 6, 200), list_of(2, 1, 6, &[1], url), Some("other_cluster")),
        (status(1, 2, 6, 200), list_of(1, 1, 6, &[1], loopback), Some("no_usable_url")),
    ] {
        let mut bench = followed();
        bench.members.take_findings();
        while ["-", "close"].contains(&&*bench.ask_when_due()) {}
        bench.answer(200, &list);
        if bench.asked() == "send status" {
            bench.answer(200, &status);
            if bench.asked() == "send list" {
                bench.answer(200, &list);
                assert_eq!(bench.asked(), "send status");
                bench.answer(200, &status);
            }
        }
        let (refusals, endpoints) = (bench.refusals(), bench.endpoints());
        match want {
            None => {
                assert_eq!(refusals, [""; 0]);
                assert_eq!(endpoints.last().map(String::as_str), Some("10.0.0.4:2379"));
                assert!(bench.members.take_record().is_some());
            }
            Some(reason) => {
                assert_eq!(refusals, [format!("10.0.0.1:2379 {reason}")]);
                assert_eq!(endpoints.len(), 3, "{reason}");
                assert_eq!(bench.members.take_record(), None);
                let next = [bench.asked(), bench.asked()];
                let next = next.iter().find(|asked| asked.starts_with("open")).cloned();
                assert_eq!(next.as_deref(), Some("open 10.0.0.2 list"), "{reason}");
            }
        }
    }
}

#[test]
fn what_is_older_counts_once_it_alone_was_said_for_a_minute() {
    let mut bench = followed();
    let restored = (status(1, 1, 2, 9), list(1, 2, &[1]));
    let begun_at = bench.now;
    bench.candidates.truncate(1);
    let mut rounds = 0;
    while !bench.tell_next(&restored.0, &restored.1) {
        rounds += 1;
        assert!(rounds < 20, "it is never believed");
    }
    assert!(bench.now >= begun_at + Duration::from_secs(60), "{:?}", bench.now - begun_at);
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379"]);

    // A member that says what is known ends it.
    let mut bench = followed();
    bench.candidates.truncate(1);
    for _ in 0..40 {
        assert!(!bench.tell_next(&restored.0, &restored.1));
        bench.candidates = vec![candidate(2, Standing::Serving)];
        while ["-", "close"].contains(&&*bench.ask_when_due()) {}
        assert!(!bench.answer(200, &list(2, 5, &[1, 2, 3])));
        bench.candidates = vec![candidate(1, Standing::Serving)];
    }
}

#[test]
fn failures_lead_to_the_next_member_and_then_to_a_pause() {
    let mut bench = Bench::new(&[1, 2, 3]);
    bench.candidates[0].standing = Standing::Unknown;
    bench.candidates.sort_by_key(|candidate| candidate.standing);
    assert_eq!(bench.asked(), "open 10.0.0.2 status");
    bench.hear(Heard::Failed("refused"));
    assert_eq!(bench.asked(), "open 10.0.0.3 status");
    bench.answer(503, "{}");
    assert_eq!(bench.asked(), "close");
    assert_eq!(bench.asked(), "open 10.0.0.1 status");
    bench.answer(200, "<html>");
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let want = [
        "10.0.0.2:2379 refused",
        "10.0.0.3:2379 status_503",
        "10.0.0.1:2379 not_json",
        "none not_json",
    ];
    assert_eq!(bench.refusals(), want);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let before = bench.now;
        assert_eq!(bench.ask_when_due(), "-");
        pauses.push((bench.now - before).as_millis());
        for _ in 0..3 {
            assert!(bench.asked().starts_with("open "));
            bench.hear(Heard::Failed("refused"));
        }
        bench.asked();
    }
    assert_eq!(pauses, [900, 1800, 3600, 7200, 14_400, 27_000, 27_000], "less a tenth");
    bench.members.take_findings();
    assert_eq!(bench.ask_when_due(), "-");
    bench.asked();
    bench.tell(&status(2, 1, 5, 100), &list(2, 5, &[1, 2]));
    assert_eq!(bench.refusals(), ["known"]);
}

#[test]
fn a_doubt_has_the_list_looked_at_within_a_second() {
    let mut bench = followed();
    bench.now += 10 * SECOND;
    bench.members.on_doubt(bench.now);
    assert_eq!(bench.asked(), "open 10.0.0.1 list", "with the least jitter");
    bench.members.on_doubt(bench.now);
    bench.answer(200, &list(1, 5, &[1, 2, 3]));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let deadline = bench.members.next_deadline().expect("soon");
    assert_eq!(deadline, bench.now + SECOND, "not twice within a second");
    // With the most jitter.
    let mut bench = followed();
    bench.now += 10 * SECOND;
    bench.members.on_doubt(bench.now);
    let inputs = Inputs { names: &bench.names, members: &bench.candidates };
    assert_eq!(bench.members.next_ask(&inputs, bench.now, &mut || u64::MAX), None);
    let deadline = bench.members.next_deadline().expect("soon");
    assert!(deadline > bench.now && deadline <= bench.now + SECOND);
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_opened_anew() {
    let mut bench = Bench::new(&[1]);
    bench.asked();
    bench.answer(200, &status(1, 1, 5, 100));
    assert_eq!(bench.asked(), "send list");
    bench.hear(Heard::Closed);
    assert_eq!(bench.asked(), "open 10.0.0.1 list");
    bench.answer(200, &list(1, 5, &[1]));
    assert_eq!(bench.asked(), "send status");
    bench.hear(Heard::Closed);
    assert_eq!(bench.asked(), "open 10.0.0.1 status");
    assert!(bench.answer(200, &status(1, 1, 5, 101)));
}

/// A change of members came between the status and the list of the first one, and has not come to
/// the second one.
#[test]
fn a_list_is_as_new_as_the_status_after_it_may_say() {
    for (applied, want) in [(101, Some("older_entry")), (109, Some("older_entry")), (110, None)] {
        let mut bench = Bench::new(&[1, 2]);
        bench.asked();
        let [before, after] = [100, 110].map(|applied| status(1, 1, 5, applied));
        assert!(bench.tell_between(&before, &list(1, 5, &[1, 2, 3]), &after));
        bench.members.take_findings();
        bench.candidates.remove(0);
        let is_followed = bench.tell_next(&status(2, 1, 5, applied), &list(2, 5, &[1, 2]));
        assert_eq!(is_followed, want.is_none(), "{applied}");
        let refused = bench.refusals().first().cloned();
        assert_eq!(refused, want.map(|reason| format!("10.0.0.2:2379 {reason}")), "{applied}");
    }
}

#[test]
fn a_list_counts_where_its_member_serves_before_it_and_after_it() {
    for (after, want) in [
        (status(1, 0, 7, 9), Some("10.0.0.1:2379 no_leader")),
        (status(2, 1, 5, 9), Some("10.0.0.1:2379 other_member")),
        (status(1, 1, 5, 9), None),
    ] {
        let mut bench = Bench::new(&[1]);
        bench.asked();
        // It was without a leader meanwhile.
        let list = list(1, 7, &[1, 2]);
        let is_followed = bench.tell_between(&status(1, 1, 5, 9), &list, &after);
        assert_eq!(
            (is_followed, bench.refusals().first().map(String::as_str)),
            (want.is_none(), want)
        );
        let term = bench.members.belief.known().map(|known| known.raft_term);
        assert_eq!(term, is_followed.then_some(5), "that of the cluster");
    }
}

#[test]
fn etcd_3_3_is_asked_in_its_own_form() {
    let mut bench = Bench::new(&[1]);
    bench.asked();
    bench.answer(404, "404 page not found");
    assert_eq!(bench.asked(), "send status beta");
    bench.answer(200, &status(1, 1, 5, 0));
    assert_eq!(bench.asked(), "send list beta");
    bench.answer(200, &list(1, 5, &[1]));
    assert_eq!(bench.asked(), "send status beta");
    assert!(bench.answer(200, &status(1, 1, 5, 0)));
    let mut bench = Bench::new(&[1]);
    bench.asked();
    bench.answer(404, "");
    bench.asked();
    bench.answer(404, "");
    assert_eq!(bench.refusals(), ["10.0.0.1:2379 status_404"], "it cannot be etcd");
}

#[test]
fn without_a_member_to_ask_it_waits_for_one() {
    let mut bench = Bench::new(&[]);
    assert_eq!((bench.asked(), bench.refusals().len()), ("-".to_owned(), 0));
    assert!(bench.members.next_deadline().is_some_and(|at| at > bench.now));
    bench.candidates.push(candidate(1, Standing::Unknown));
    assert_eq!(bench.asked(), "open 10.0.0.1 status", "at once");
}

#[test]
fn a_member_under_a_name_takes_the_place_of_others_once_it_is_resolved() {
    let mut bench = followed();
    let named = list_of(1, 1, 6, &[4], |id| format!("https://m{id}.test:2379"));
    assert!(bench.tell_next(&status(1, 1, 6, 200), &named));
    assert_eq!(bench.endpoints().len(), 3, "the old ones, until it is known");
    assert!(bench.members.is_in_transition());
    let table = hosts::addresses(b"10.0.0.4 m4.test", ["m4.test"].into_iter());
    bench.names.refresh(Some(&table), bench.now);
    bench.update();
    assert_eq!(bench.endpoints(), ["10.0.0.4:2379"]);
    let server = bench.members.hosts(&bench.names).remove(0).server;
    assert_eq!((&*server.name, server.scheme), ("m4.test", Some(Scheme::Https)));
}

#[test]
fn urls_that_are_skipped_are_told_with_a_reason() {
    let mut bench = Bench::new(&[1]);
    bench.asked();
    let list = list_of(1, 1, 5, &[1, 2], |id| if id == 1 { url(id) } else { loopback(id) });
    assert!(bench.tell(&status(1, 1, 5, 100), &list));
    assert_eq!(bench.update(), [r#"Name("http://localhost:2379") loopback"#]);
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379"]);
}
