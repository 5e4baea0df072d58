//! An etcd of three members as a follower meets it, and the two lines between them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::Value;

use super::super::super::inquiry::{Ask, Heard, Inputs};
use super::super::super::names::Names;
use super::super::follower::{Follower, HEARTBEAT, RANGES, WATCH};
use crate::config::REGISTRY_HEARTBEAT_TIME;
use crate::config::registry::Registry;
use crate::proto::dns::resolv_conf::Environment;
use crate::proto::etcd::registry;
use crate::proto::http1::Response;

const PREFIX: &str = "svc/";
const HEADER: &str = r#""cluster_id":"1","member_id":"2","raft_term":"2""#;

/// Numbers by chance (xorshift64*).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }
}

/// The store of etcd, and what its members do.
pub struct Etcd {
    revision: u64,
    compacted: u64,
    keys: BTreeMap<String, (String, u64)>,
    /// The changes of each revision, in JSON.
    history: Vec<(u64, Vec<String>)>,
    /// Which members work.
    pub members: [bool; 3],
    /// Which of them accept, and say nothing.
    pub stopped: [bool; 3],
    pub refuses_watches: bool,
    pub refuses_ranges: bool,
}

impl Etcd {
    fn new() -> Etcd {
        let (keys, history) = (BTreeMap::new(), Vec::new());
        let (refuses_watches, refuses_ranges) = (false, false);
        let (revision, compacted, members, stopped) = (1, 0, [true; 3], [false; 3]);
        Etcd {
            revision,
            compacted,
            keys,
            history,
            members,
            stopped,
            refuses_watches,
            refuses_ranges,
        }
    }

    fn change(&mut self, changes: &[(String, Option<String>)]) {
        self.revision += 1;
        let revision = self.revision;
        let mut events = Vec::new();
        for (key, value) in changes {
            let encoded = BASE64.encode(key.as_bytes());
            let kv = format!(r#""key":"{encoded}","mod_revision":"{revision}""#);
            events.push(match value {
                Some(value) => {
                    self.keys.insert(key.clone(), (value.clone(), revision));
                    let value = BASE64.encode(value.as_bytes());
                    format!(r#"{{"kv":{{{kv},"value":"{value}"}}}}"#)
                }
                None => {
                    self.keys.remove(key);
                    format!(r#"{{"type":"DELETE","kv":{{{kv}}}}}"#)
                }
            });
        }
        self.history.push((revision, events));
    }

    /// Puts one to three keys in one revision.
    pub fn put_some(&mut self, chance: &mut Chance) {
        let first = chance.below(9);
        let changes = (first..=first + chance.below(3)).map(|at| {
            let port = 1 + chance.below(5);
            let value = match chance.below(4) {
                0 => format!(r#"{{"Addr":"10.0.0.{at}:{port}","weight":{port}}}"#),
                1 => format!("not an address {port}"),
                _ => format!("10.0.0.{at}:{port}"),
            };
            (format!("{PREFIX}{at}"), Some(value))
        });
        let changes: Vec<_> = changes.collect();
        self.change(&changes);
    }

    pub fn delete_one(&mut self, chance: &mut Chance) {
        let at = chance.below(self.keys.len().max(1) as u64) as usize;
        if let Some(key) = self.keys.keys().nth(at).cloned() {
            self.change(&[(key, None)]);
        }
    }

    pub fn compact(&mut self, chance: &mut Chance) {
        self.compacted = self.revision - chance.below(self.revision.min(3));
    }

    /// The services of each key, in words.
    fn services(&self) -> Vec<String> {
        let values = self.keys.values().map(|(value, _)| registry::parse(value.as_bytes()));
        values.flatten().map(|service| format!("{service:?}")).collect()
    }

    /// The status and body of the answer to a range.
    fn range(&self, body: &Value) -> (u16, String) {
        let at = body["revision"].as_str().unwrap_or("0");
        let at: u64 = at.parse().expect("a number");
        if at > 0 && at < self.compacted {
            let message = "etcdserver: mvcc: required revision has been compacted";
            return (400, format!(r#"{{"error":"{message}","code":11}}"#));
        }
        let start = BASE64.decode(body["key"].as_str().unwrap_or("").as_bytes()).expect("base64");
        let limit = body["limit"].as_u64().expect("a limit") as usize;
        let state = self.state_at(if at == 0 { self.revision } else { at });
        let mut found = state.into_iter().filter(|(key, _)| key.as_bytes() >= &start[..]);
        let kvs: Vec<String> = found
            .by_ref()
            .take(limit)
            .map(|(key, (value, revision))| {
                let (key, value) = (BASE64.encode(key.as_bytes()), BASE64.encode(value.as_bytes()));
                format!(r#"{{"key":"{key}","mod_revision":"{revision}","value":"{value}"}}"#)
            })
            .collect();
        let (kvs, more, revision) = (kvs.join(","), found.next().is_some(), self.revision);
        let header = format!(r#"{{{HEADER},"revision":"{revision}"}}"#);
        (200, format!(r#"{{"header":{header},"kvs":[{kvs}],"more":{more}}}"#))
    }

    /// The keys as of a revision.
    fn state_at(&self, revision: u64) -> BTreeMap<String, (String, u64)> {
        let mut state = BTreeMap::new();
        for (at, events) in self.history.iter().filter(|(at, _)| *at <= revision) {
            for event in events {
                let event: Value = serde_json::from_str(event).expect("JSON");
                let key = text(&event["kv"]["key"]);
                match event["type"].as_str() {
                    Some(_) => state.remove(&key),
                    None => state.insert(key, (text(&event["kv"]["value"]), *at)),
                };
            }
        }
        state
    }
}

/// The text that a value of JSON has in base64; empty if there is none.
fn text(value: &Value) -> String {
    let bytes = BASE64.decode(value.as_str().unwrap_or("").as_bytes()).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

/// A watch that a member serves.
struct Served {
    next: u64,
    /// What is still to be delivered.
    bytes: VecDeque<u8>,
}

/// Etcd, a follower, and what is between them.
pub struct Play {
    pub etcd: Etcd,
    pub follower: Follower,
    names: Names,
    pub now: Instant,
    chance: Chance,
    /// What is asked over the line of ranges; the body is taken with the answer.
    range: Option<(usize, String, Value)>,
    answer: Option<(u16, String)>,
    watch: Option<(usize, Served)>,
    /// When the time limit of a heartbeat is over.
    beat_until: Option<Instant>,
    /// Requests so far, without heartbeats.
    pub asked: usize,
}

impl Play {
    pub fn new(seed: u64) -> Play {
        let members = ["10.9.0.0:1", "10.9.0.1:1", "10.9.0.2:1"].map(|text| text.parse());
        let members = members.into_iter().collect::<Result<_, _>>().expect("addresses");
        let registry = Registry { prefix: PREFIX.to_owned(), members, user: None };
        let mut follower = Follower::new(registry, None);
        follower.shrink_pages(seed % 4);
        Play {
            etcd: Etcd::new(),
            follower,
            names: Names::new(Environment::default()),
            now: Instant::now(),
            chance: Chance::new(seed + 1),
            range: None,
            answer: None,
            watch: None,
            beat_until: None,
            asked: 0,
        }
    }

    fn hear(&mut self, line: u8, heard: Heard) {
        self.follower.on_heard(line, heard, self.now);
    }

    /// Carries out what the follower asks.
    pub fn drive(&mut self) {
        if self.beat_until.take_if(|until| *until <= self.now).is_some() {
            self.hear(HEARTBEAT, Heard::Failed("timed_out"));
        }
        self.follower.expire(self.now);
        for _ in 0..64 {
            let Play { follower, names, chance, now, .. } = self;
            let inputs = Inputs { names, members: &[] };
            let Some((line, ask)) = follower.next_ask(&inputs, *now, &mut || chance.next()) else {
                return;
            };
            match line {
                HEARTBEAT => self.beat(&ask),
                _ => self.carry_out(line, ask),
            }
        }
        panic!("asks without end");
    }

    /// Answers a heartbeat, if the member of the watch works and is not stopped.
    fn beat(&mut self, ask: &Ask) {
        let member = self.watch.as_ref().map(|(member, _)| *member);
        self.beat_until = None;
        if *ask == Ask::Close {
            return;
        }
        if member.is_some_and(|member| self.etcd.stopped[member]) {
            self.beat_until = Some(self.now + REGISTRY_HEARTBEAT_TIME);
            return;
        }
        self.hear(
            HEARTBEAT,
            match member.is_some_and(|member| self.etcd.members[member]) {
                true => {
                    let body = format!(r#"{{"header":{{{HEADER}}},"leader":"2"}}"#).into_bytes();
                    Heard::Response(Response { status: 200, body })
                }
                false => Heard::Failed("refused"),
            },
        );
    }

    fn carry_out(&mut self, line: u8, ask: Ask) {
        let (member, request) = match ask {
            Ask::Close => {
                match line {
                    RANGES => (self.range, self.answer) = (None, None),
                    _ => self.watch = None,
                }
                return;
            }
            Ask::Open { target, request, .. } => {
                let octets = target.address.ip().expect("an address").to_string();
                (octets[octets.len() - 1..].parse().expect("a digit"), request)
            }
            Ask::Send { request, .. } => match &self.range {
                Some((member, ..)) => (*member, request),
                None => return self.hear(line, Heard::Closed),
            },
        };
        self.asked += 1;
        let text = String::from_utf8(request.bytes().to_vec()).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        let body: Value = serde_json::from_str(body).expect("JSON");
        if !self.etcd.members[member] || line == RANGES && self.etcd.refuses_ranges {
            self.hear(line, Heard::Failed("refused"));
        } else if line == RANGES {
            self.answer = None;
            self.range = Some((member, path, body));
        } else {
            self.begin_watch(member, &body);
        }
    }

    /// Stops the member of the watch, or lets it go on.
    pub fn stop_watched(&mut self) {
        if let Some((member, _)) = &self.watch {
            self.etcd.stopped[*member] = !self.etcd.stopped[*member];
        }
    }

    fn begin_watch(&mut self, member: usize, body: &Value) {
        let start = body["create_request"]["start_revision"].as_str().expect("a revision");
        let next = start.parse().expect("a number");
        let header = format!(r#"{{{HEADER},"revision":"{}"}}"#, self.etcd.revision);
        let mut text = format!(r#"{{"result":{{"header":{header},"created":true}}}}"#);
        text.push('\n');
        if next <= self.etcd.compacted {
            text.push_str(&format!(
                r#"{{"result":{{"header":{{{HEADER}}},"canceled":true,"compact_revision":"{}"}}}}"#,
                self.etcd.compacted + 1
            ));
        }
        if self.etcd.refuses_watches {
            let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
            let rest = format!(r#""created":true,"canceled":true,"cancel_reason":"{reason}""#);
            text = format!(r#"{{"result":{{"header":{header},{rest}}}}}"#);
        }
        self.watch = Some((member, Served { next, bytes: text.into_bytes().into() }));
        if !self.etcd.stopped[member] {
            self.hear(WATCH, Heard::Head(200));
        }
    }

    /// Answers the range that is under way: at once, or by the next call as of now, so that changes
    /// are heard of in between.
    pub fn answer_range(&mut self) {
        let Some((member, path, body)) = &mut self.range else { return };
        if self.etcd.stopped[*member] {
            return;
        }
        if self.answer.is_none() && !body.is_null() {
            assert_eq!(path, "/v3/kv/range");
            self.answer = Some(self.etcd.range(&body.take()));
            if self.chance.below(2) == 0 {
                return;
            }
        }
        if let Some((status, body)) = self.answer.take() {
            self.hear(RANGES, Heard::Response(Response { status, body: body.into_bytes() }));
            self.drive();
        }
    }

    /// Has the member of the watch say what has changed, several revisions in a message.
    fn say(&mut self) {
        let Some((_, served)) = &mut self.watch else { return };
        let news = self.etcd.history.iter().filter(|(at, _)| *at >= served.next);
        let (mut events, mut last) = (Vec::new(), 0);
        for (at, changes) in news.take(1 + self.chance.below(3) as usize) {
            events.extend(changes.iter().cloned());
            last = *at;
        }
        if !events.is_empty() {
            served.next = last + 1;
            let (revision, events) = (self.etcd.revision, events.join(","));
            let header = format!(r#"{{{HEADER},"revision":"{revision}"}}"#);
            let message = format!(r#"{{"result":{{"header":{header},"events":[{events}]}}}}"#);
            served.bytes.extend(message.bytes());
            served.bytes.push_back(b'\n');
        }
    }

    /// Delivers some bytes of the watch, cut anywhere.
    pub fn deliver(&mut self, chance: &mut Chance) {
        self.say();
        let Some((member, served)) = &mut self.watch else { return };
        if self.etcd.stopped[*member] {
            return;
        }
        let count = (1 + chance.below(400) as usize).min(served.bytes.len());
        let part: Vec<u8> = served.bytes.drain(..count).collect();
        if !part.is_empty() {
            self.hear(WATCH, Heard::Part(part));
        }
    }

    pub fn deliver_all(&mut self) {
        let mut chance = Chance::new(7);
        for _ in 0..400 {
            self.deliver(&mut chance);
            self.drive();
        }
    }

    /// A faulty member: what it was about to say is lost.
    pub fn lose_bytes(&mut self) {
        let Some((_, served)) = &mut self.watch else { return };
        if served.bytes.is_empty() {
            served.next = self.etcd.revision + 1;
        }
    }

    /// Ends the watch in one of several ways, or the connection of ranges.
    pub fn cut(&mut self, chance: &mut Chance) {
        let heard = match chance.below(4) {
            0 => Heard::End,
            1 => Heard::Closed,
            _ => Heard::Failed("reset"),
        };
        if chance.below(4) == 0 && self.is_range_awaited() {
            (self.range, self.answer) = (None, None);
            self.hear(RANGES, Heard::Failed("reset"));
        } else if self.watch.take().is_some() {
            self.hear(WATCH, heard);
        }
    }

    fn is_range_awaited(&self) -> bool {
        self.answer.is_some() || self.range.as_ref().is_some_and(|(_, _, body)| !body.is_null())
    }

    /// Cuts the watch.
    pub fn cut_watch(&mut self) {
        self.watch = None;
        self.hear(WATCH, Heard::Failed("reset"));
    }

    /// Stops a member, or starts it.
    pub fn turn_member(&mut self, chance: &mut Chance) {
        let member = chance.below(3) as usize;
        self.etcd.members[member] = !self.etcd.members[member];
        if self.etcd.members[member] {
            return;
        }
        let is_of_range = self.range.as_ref().is_some_and(|(of, ..)| *of == member);
        if is_of_range && self.is_range_awaited() {
            (self.range, self.answer) = (None, None);
            self.hear(RANGES, Heard::Failed("reset"));
        }
        if self.watch.as_ref().is_some_and(|(of, _)| *of == member) {
            self.watch = None;
            self.hear(WATCH, Heard::Failed("reset"));
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets everything work for long enough.
    pub fn settle(&mut self) {
        self.etcd.members = [true; 3];
        self.etcd.stopped = [false; 3];
        for _ in 0..1000 {
            self.drive();
            for _ in 0..20 {
                self.answer_range();
            }
            self.deliver_all_said();
            self.pass(Duration::from_millis(200));
        }
        for _ in 0..100 {
            self.drive();
            if self.is_at_rest() {
                return;
            }
            self.answer_range();
            self.deliver_all_said();
            self.pass(Duration::from_millis(20));
        }
        panic!("no rest: {:?}", self.follower);
    }

    fn deliver_all_said(&mut self) {
        for _ in 0..8 {
            self.say();
        }
        if let Some((member, served)) = &mut self.watch
            && !served.bytes.is_empty()
            && !self.etcd.stopped[*member]
        {
            let part = served.bytes.drain(..).collect();
            self.hear(WATCH, Heard::Part(part));
            self.drive();
        }
    }

    /// Whether nothing is under way but a watch, which has said everything.
    pub fn is_at_rest(&self) -> bool {
        let has_said = self
            .watch
            .as_ref()
            .is_some_and(|(_, served)| served.bytes.is_empty() && served.next > self.etcd.revision);
        has_said && self.range.is_none()
    }

    #[track_caller]
    pub fn check(&self, place: &str) {
        let services = self.follower.store().services();
        let known: Vec<String> = services.map(|service| format!("{service:?}")).collect();
        assert_eq!(known, self.etcd.services(), "{place}");
    }
}
