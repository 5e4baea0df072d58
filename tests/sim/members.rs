//! What the servers behind endpoints are that are checked, and what they say when they are asked.
//! Most are members of etcd, whose answers are those of real ones; some are strangers.
//!
//! Who asks, and over which connection, is a matter of `visits.rs`.

use std::fmt::Write;
use std::time::Duration;

use etcd_gateway::config::address::EndpointAddress;
use etcd_gateway::config::health::HealthCheckMode;
use etcd_gateway::discovery::HealthPolicy;
use etcd_gateway::scheme::Scheme;

use crate::agenda::Happening;
use crate::context::Context;
use crate::faults::Fault;
use crate::random::Random;

/// The path that is asked for where the endpoints need not be etcd.
pub const PATH: &str = "/readyz?of=all";

/// What a server is, all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A member of etcd 3.4 or later.
    Member,
    /// A member of etcd 3.3.
    OldMember,
    /// A member that has no interface in JSON but `/health`.
    BareMember,
    /// A server that knows no path.
    KnowsNothing,
    /// A server with a page for every path.
    HasPages,
    /// A server that refuses all requests.
    Forbids,
    /// A server of another protocol.
    SpeaksOtherwise,
    /// A server that ends the connection when it is asked something.
    HangsUp,
}

/// What is the matter with a server at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Serves,
    HasNoLeader,
    IsLearner,
    IsCorrupt,
    HasNoSpace,
    /// A proxy before it says that it is not there.
    IsUnavailable,
    /// It is stopped, or has not had a leader since its start: the kernel takes connections and
    /// bytes, and no answer comes.
    IsFrozen,
}

const STATES: [State; 8] = [
    State::Serves,
    State::Serves,
    State::HasNoLeader,
    State::IsLearner,
    State::IsCorrupt,
    State::HasNoSpace,
    State::IsUnavailable,
    State::IsFrozen,
];

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Status,
    OldStatus,
    Health,
    Path,
}

/// What an answer is worth to who knows etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usability {
    Serves,
    DoesNot,
    /// There is no such path: it is to be asked otherwise.
    AskOtherwise,
    /// No such server answers so; `is_certain`: not even while it ends.
    Strange {
        is_certain: bool,
    },
}

/// An answer on its way.
#[derive(Clone, Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub usability: Usability,
    /// The connection ends behind it.
    pub ends: bool,
    /// It is whole only once the connection has ended.
    pub is_until_end: bool,
    /// It is not HTTP.
    pub is_foreign: bool,
}

/// What a run with checks is like.
#[derive(Clone, Debug)]
pub struct Checked {
    pub mode: HealthCheckMode,
    pub kinds: Vec<Kind>,
    /// Which endpoints are given by a URL, so that they may be members of etcd.
    pub has_url: Vec<bool>,
    /// How often a member comes into another state.
    pub period: Duration,
    /// For how long no client comes once all is well.
    pub rest: Duration,
}

impl Checked {
    pub fn draw(count: usize, random: &mut Random) -> Checked {
        let mode = match random.below(10) {
            0..5 => HealthCheckMode::Auto,
            5..8 => HealthCheckMode::Etcd,
            8 => HealthCheckMode::Path(PATH.to_owned()),
            _ => HealthCheckMode::Off,
        };
        let strangers = random.one_of(&[0, 0, 300, 700]);
        let kinds = (0..count).map(|_| Kind::draw(strangers, random)).collect();
        let urls = random.one_of(&[1000, 1000, 700]);
        let has_url = (0..count).map(|_| random.chance(urls)).collect();
        let period = Duration::from_millis(random.one_of(&[30, 300, 1000, 5000]));
        let rest = if random.chance(100) { Duration::from_secs(70) } else { Duration::ZERO };
        Checked { mode, kinds, has_url, period, rest }
    }

    /// Members alone, all of them asked.
    pub fn calm(mode: HealthCheckMode, count: usize) -> Checked {
        Checked {
            mode,
            kinds: vec![Kind::Member; count],
            has_url: vec![true; count],
            period: Duration::ZERO,
            rest: Duration::ZERO,
        }
    }

    pub fn policy(&self) -> HealthPolicy {
        HealthPolicy::new(&self.mode, None, true)
    }

    /// Adds to an endpoint what else would be typed.
    pub fn typed(&self, endpoint: usize, typed: EndpointAddress) -> EndpointAddress {
        EndpointAddress { scheme: self.has_url[endpoint].then_some(Scheme::Http), ..typed }
    }

    /// Whether an endpoint is asked, and whether it may turn out to be a stranger.
    pub fn is_asked(&self, endpoint: usize) -> Option<bool> {
        match self.mode {
            HealthCheckMode::Off => None,
            HealthCheckMode::Auto => self.has_url[endpoint].then_some(true),
            HealthCheckMode::Etcd | HealthCheckMode::Path(_) => Some(false),
        }
    }

    pub fn is_for_etcd(&self) -> bool {
        !matches!(self.mode, HealthCheckMode::Path(_))
    }

    /// Whether such a server fails its checks, however it is asked.
    pub fn fails(&self, endpoint: usize, state: State) -> bool {
        let kind = self.kinds[endpoint];
        let asked = match (self.is_for_etcd(), kind) {
            (false, _) => Asked::Path,
            (true, Kind::BareMember) => Asked::Health,
            (true, Kind::OldMember) => Asked::OldStatus,
            (true, _) => Asked::Status,
        };
        let usability = kind.usability(state, asked);
        state == State::IsFrozen || kind == Kind::HangsUp || usability != Usability::Serves
    }
}

impl Kind {
    fn draw(strangers: u32, random: &mut Random) -> Kind {
        if random.chance(strangers) {
            return random.one_of(&[
                Kind::KnowsNothing,
                Kind::HasPages,
                Kind::Forbids,
                Kind::SpeaksOtherwise,
                Kind::HangsUp,
            ]);
        }
        random.one_of(&[
            Kind::Member,
            Kind::Member,
            Kind::Member,
            Kind::OldMember,
            Kind::BareMember,
        ])
    }

    /// What its answer is worth.
    pub fn usability(self, state: State, asked: Asked) -> Usability {
        let certainly = Usability::Strange { is_certain: true };
        match (self, asked) {
            (Kind::SpeaksOtherwise, _) => certainly,
            (Kind::HangsUp, _) => Usability::Strange { is_certain: false },
            (Kind::HasPages, Asked::Path) => Usability::Serves,
            (Kind::HasPages, _) => certainly,
            (Kind::KnowsNothing | Kind::Forbids, Asked::Path) => Usability::DoesNot,
            (Kind::Forbids, _) | (Kind::KnowsNothing, Asked::Health) => certainly,
            (Kind::KnowsNothing, _) => Usability::AskOtherwise,
            (Kind::OldMember, Asked::Status) => Usability::AskOtherwise,
            (Kind::BareMember, Asked::Status | Asked::OldStatus) => Usability::AskOtherwise,
            (Kind::Member | Kind::OldMember | Kind::BareMember, _) => state.usability(asked),
        }
    }
}

impl State {
    fn usability(self, asked: Asked) -> Usability {
        match (self, asked) {
            (State::Serves | State::HasNoSpace, _) => Usability::Serves,
            // What `/health` says of it, as real ones do.
            (State::IsLearner, Asked::Health) => Usability::Serves,
            (State::IsUnavailable, Asked::Path) => Usability::DoesNot,
            (State::IsUnavailable, _) => Usability::Strange { is_certain: false },
            _ => Usability::DoesNot,
        }
    }
}

/// The servers of all endpoints.
#[derive(Debug, Default)]
pub struct Members {
    pub all: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub state: State,
    /// Since when each answer that it could give is one of a server that does not serve.
    pub fails_since: Option<Duration>,
}

impl Members {
    pub fn new(checked: Option<&Checked>) -> Members {
        let count = checked.map_or(0, |checked| checked.kinds.len());
        let mut members = Members::default();
        for endpoint in 0..count {
            let fails = checked.is_some_and(|checked| checked.fails(endpoint, State::Serves));
            let fails_since = fails.then_some(Duration::ZERO);
            members.all.push(Member { state: State::Serves, fails_since });
        }
        members
    }

    /// Whether its program is stopped, and neither reads nor answers.
    pub fn is_frozen(&self, endpoint: usize) -> bool {
        self.all.get(endpoint).is_some_and(|member| member.state == State::IsFrozen)
    }

    pub fn plan_change(&self, context: &mut Context, endpoint: usize) {
        let Some(checked) = &context.plan.checked else { return };
        let most = checked.period;
        let at = context.random.up_to(most);
        if context.now + at < context.plan.span {
            context.plan_in(at, Happening::MemberChange(endpoint));
        }
    }

    /// A member may come into another state.
    pub fn change(&mut self, context: &mut Context, endpoint: usize) {
        self.plan_change(context, endpoint);
        if context.strike(Fault::MemberChanges) {
            let state = context.random.one_of(&STATES);
            self.put(context, endpoint, state);
        }
    }

    pub fn put(&mut self, context: &mut Context, endpoint: usize, state: State) {
        let Some(checked) = &context.plan.checked else { return };
        let fails = checked.fails(endpoint, state);
        let now = context.now;
        let member = &mut self.all[endpoint];
        member.state = state;
        member.fails_since = fails.then(|| member.fails_since.unwrap_or(now));
        context.note("member", endpoint, state as u64);
    }

    pub fn heal(&mut self, context: &mut Context) {
        (0..self.all.len()).for_each(|endpoint| self.put(context, endpoint, State::Serves));
    }

    /// What a server answers now; `None` while it does not.
    pub fn answer(&self, context: &mut Context, endpoint: usize, asked: Asked) -> Option<Answer> {
        let state = self.all[endpoint].state;
        let kind = context.plan.checked.as_ref()?.kinds[endpoint];
        if state == State::IsFrozen {
            return None;
        }
        let usability = kind.usability(state, asked);
        let (status, body) = match (kind, asked) {
            (Kind::SpeaksOtherwise, _) => {
                let bytes = context.random.one_of(&[
                    &b"-ERR unknown command\r\n"[..],
                    b"SSH-2.0-OpenSSH_9.2p1\r\n",
                    b"\x15\x03\x01\x00\x02\x02\x16",
                ]);
                let ends = context.random.chance(500);
                let (bytes, is_foreign) = (bytes.to_vec(), true);
                return Some(Answer { bytes, usability, ends, is_until_end: false, is_foreign });
            }
            (Kind::HangsUp, _) => {
                let (ends, is_foreign) = (true, false);
                let bytes = Vec::new();
                return Some(Answer { bytes, usability, ends, is_until_end: false, is_foreign });
            }
            (Kind::HasPages, _) => (200, "<html><title>It works</title></html>".to_owned()),
            (Kind::Forbids, _) => (403, String::new()),
            _ if usability == Usability::AskOtherwise || kind == Kind::KnowsNothing => {
                (404, "404 page not found\n".to_owned())
            }
            _ => said(state, asked, endpoint),
        };
        let mut answer = framed(status, &body, &mut context.random);
        answer.usability = usability;
        Some(answer)
    }
}

/// The status and the body of a member's answer.
fn said(state: State, asked: Asked, endpoint: usize) -> (u16, String) {
    let serves = matches!(state, State::Serves | State::HasNoSpace);
    match asked {
        _ if state == State::IsUnavailable => (502, "upstream connect error".to_owned()),
        Asked::Path if serves => (200, "ok".to_owned()),
        Asked::Path => (500, "[-]etcd failed: reason withheld\n".to_owned()),
        Asked::Health if serves || state == State::IsLearner => {
            (200, r#"{"health":"true","reason":""}"#.to_owned())
        }
        Asked::Health => (503, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n".to_owned()),
        Asked::Status | Asked::OldStatus => (200, status(state, endpoint)),
    }
}

fn status(state: State, endpoint: usize) -> String {
    let own = 9_372_538_179_322_589_801 + endpoint as u64;
    let leader = match state {
        State::HasNoLeader => String::new(),
        _ => r#""leader":"10501334649042878790","#.to_owned(),
    };
    let tail = match state {
        State::HasNoLeader => r#","errors":["etcdserver: no leader"]"#.to_owned(),
        State::IsLearner => r#","isLearner":true"#.to_owned(),
        State::IsCorrupt => format!(r#","errors":["memberID:{own} alarm:CORRUPT "]"#),
        State::HasNoSpace => format!(r#","errors":["memberID:{own} alarm:NOSPACE "]"#),
        _ => String::new(),
    };
    let header =
        format!(r#"{{"cluster_id":"17237436991929493444","member_id":"{own}","raft_term":"2"}}"#);
    let sizes = r#""dbSize":"20480","dbSizeInUse":"16384""#;
    let raft = r#""raftIndex":"8","raftTerm":"2","raftAppliedIndex":"8""#;
    format!(r#"{{"header":{header},"version":"3.5.1",{leader}{raft},{sizes}{tail}}}"#)
}

/// An answer by HTTP, framed in one of the ways there are.
pub fn framed(status: u16, body: &str, random: &mut Random) -> Answer {
    let mut head = format!("HTTP/1.1 {status} Word\r\nContent-Type: application/json\r\n");
    let (mut ends, mut is_until_end) = (random.chance(100), false);
    let mut content = body.to_owned();
    match random.below(10) {
        0 => (ends, is_until_end) = (true, true),
        1..5 => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            content = chunked(body, random);
        }
        _ => write!(head, "Content-Length: {}\r\n", body.len()).expect("a string takes all"),
    }
    if ends {
        head.push_str("Connection: close\r\n");
    }
    let bytes = format!("{head}\r\n{content}").into_bytes();
    Answer { bytes, usability: Usability::Serves, ends, is_until_end, is_foreign: false }
}

/// A text in chunks of any size.
pub fn chunked(body: &str, random: &mut Random) -> String {
    let (mut text, mut rest) = (String::new(), body);
    while !rest.is_empty() {
        let (chunk, left) = rest.split_at(random.one_to(rest.len() as u64) as usize);
        write!(text, "{:x}\r\n{chunk}\r\n", chunk.len()).expect("a string takes all");
        rest = left;
    }
    text + "0\r\n\r\n"
}

/// What a request asks, once it is whole.
pub fn read_request(bytes: &[u8]) -> Option<Asked> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let mut lines = head.lines();
    let first = lines.next().expect("a request has a first line");
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    assert!(field(&fields, "Host").is_some_and(|host| host.starts_with("192.0.2.2:")), "{head}");
    let length =
        field(&fields, "Content-Length").map_or(0, |length| length.parse().expect("a number"));
    if bytes.len() < end + length {
        return None;
    }
    let body = &bytes[end..];
    assert_eq!(body.len(), length, "bytes behind the request");
    let asked = match first {
        "POST /v3/maintenance/status HTTP/1.1" => Asked::Status,
        "POST /v3beta/maintenance/status HTTP/1.1" => Asked::OldStatus,
        "GET /health?exclude=NOSPACE HTTP/1.1" => Asked::Health,
        _ => {
            assert_eq!(first, format!("GET {PATH} HTTP/1.1"));
            Asked::Path
        }
    };
    let is_posted = matches!(asked, Asked::Status | Asked::OldStatus);
    assert_eq!(body, if is_posted { &b"{}"[..] } else { b"" }, "{asked:?}");
    Some(asked)
}

fn field<'a>(fields: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| *value)
}
