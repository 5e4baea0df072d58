//! A server that answers health checks as it is made to, and is a plain server to everybody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Backend, Gateway, Hostile, Reservation, base64};

/// What a [`FakeMember`] answers to a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As the member that leads.
    Serving,
    /// As a member that follows another one.
    Follower,
    /// As a member without a leader.
    NoLeader,
    /// As a learner.
    Learner,
    /// As a member of a cluster whose database is full.
    NoSpace,
    /// Nothing, for as long as this is so; clients get nothing either.
    Silent,
    /// Without a leader; clients get a frame of HTTP/2 that answers nothing ([`PING`]).
    CutOff,
    /// This status with this body.
    Answer(u16, String),
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// This, at the paths that end so; at others as the member that leads.
    Hostile(&'static str, Hostile),
}

/// A PING (RFC 9113, section 6.7), as servers of gRPC send to measure the line.
pub const PING: [u8; 17] = *b"\0\0\x08\x06\0\0\0\0\0opaque..";

/// A server of its own port.
pub struct FakeMember {
    backend: Backend,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    script: Mutex<Script>,
    changed: Condvar,
}

struct Script {
    health: Health,
    /// The first lines of all requests.
    requests: Vec<String>,
    /// Connections that had a request.
    asked_over: usize,
    /// What its list and its registry name; none: itself.
    named: Option<SocketAddr>,
}

impl Default for Script {
    fn default() -> Script {
        Script { health: Health::Serving, requests: Vec::new(), asked_over: 0, named: None }
    }
}

impl State {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to answer, once it is not to be silent.
    fn health(&self) -> Health {
        let mut script = self.script();
        while script.health == Health::Silent {
            script = self.changed.wait(script).unwrap_or_else(PoisonError::into_inner);
        }
        script.health.clone()
    }
}

impl FakeMember {
    /// A server that greets each client with this letter, and then echoes.
    pub fn start(letter: u8) -> FakeMember {
        FakeMember::at(Reservation::new().address(), letter)
    }

    pub fn at(address: SocketAddr, letter: u8) -> FakeMember {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let backend = Backend::at(address, move |stream| serve(stream, letter, &shared));
        FakeMember { backend, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    /// The address as a URL, which makes it one that may be a member of etcd.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Answers so from now on.
    pub fn tell(&self, health: Health) {
        self.state.script().health = health;
        self.state.changed.notify_all();
    }

    /// Names this address in its list and in its registry.
    pub fn name(&self, address: SocketAddr) {
        self.state.script().named = Some(address);
    }

    /// The first lines of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.script().requests.clone()
    }

    /// Connections over which it was asked.
    pub fn asked_over(&self) -> usize {
        self.state.script().asked_over
    }

    /// Connections of any kind.
    pub fn accepted(&self) -> usize {
        self.backend.accepted()
    }

    pub fn stop(self) {
        self.tell(Health::Serving);
        self.backend.stop();
    }
}

/// A client that was greeted, and the letter of its [`FakeMember`].
pub fn greeted_client(gateway: &Gateway) -> (TcpStream, u8) {
    let stream = gateway.connect();
    let letter = letter_of(&stream);
    (stream, letter)
}

/// The letter of the [`FakeMember`] of a client that has said nothing so far.
pub fn letter_of(mut stream: &TcpStream) -> u8 {
    stream.write_all(b"?").expect("the gateway takes bytes");
    let mut letter = [0];
    stream.read_exact(&mut letter).expect("each client is served");
    letter[0]
}

/// A client says nothing before it is greeted, but `?`; a check begins with its request.
fn serve(mut stream: TcpStream, letter: u8, state: &State) {
    let mut first = [0];
    if stream.read_exact(&mut first).is_err() {
        return;
    }
    match first[0] {
        b'P' | b'G' => {
            state.script().asked_over += 1;
            answer_requests(stream, first[0], state);
        }
        _ => echo_unless_silent(stream, letter, state),
    }
}

fn echo_unless_silent(mut stream: TcpStream, letter: u8, state: &State) {
    let mut bytes = [letter; 1];
    loop {
        let answer = if state.health() == Health::CutOff { &PING[..] } else { &bytes };
        if stream.write_all(answer).is_err() || stream.read_exact(&mut bytes).is_err() {
            return;
        }
    }
}

fn answer_requests(mut stream: TcpStream, first: u8, state: &State) {
    let mut request = vec![first];
    loop {
        let mut buffer = [0; 2048];
        let Ok(bytes @ 1..) = stream.read(&mut buffer) else { return };
        request.extend_from_slice(&buffer[..bytes]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some(line) = whole(&text) else { continue };
        state.script().requests.push(line.to_owned());
        request.clear();
        let path = line.split(' ').nth(1).unwrap_or_default();
        let answered = match state.health() {
            Health::Hostile(end, hostile) if path.ends_with(end) => {
                hostile.answer(&mut stream);
                return;
            }
            Health::Bytes(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
            health => stream.write_all(&answer(&health, path, named(state, &stream))),
        };
        if answered.is_err() {
            return;
        }
    }
}

/// What its list and its registry name.
fn named(state: &State, stream: &TcpStream) -> SocketAddr {
    let own = stream.local_addr().expect("a connected socket");
    state.script().named.unwrap_or(own)
}

/// The first line of a request that has come in one piece, once it has.
fn whole(request: &str) -> Option<&str> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let mut lengths = head.lines().filter_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = lengths.next().map_or(Ok(0), str::parse).expect("a length");
    (body.len() >= length).then(|| head.lines().next().unwrap_or_default())
}

/// A whole answer; that to a watch does not end.
fn answer(health: &Health, path: &str, named: SocketAddr) -> Vec<u8> {
    let header = r#""header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"}"#;
    let (status, body) = match health {
        Health::NoLeader | Health::CutOff => {
            (200, format!(r#"{{{header},"errors":["etcdserver: no leader"]}}"#))
        }
        Health::Learner => (200, format!(r#"{{{header},"leader":"7","isLearner":true}}"#)),
        Health::NoSpace => {
            (200, format!(r#"{{{header},"leader":"2","errors":["memberID:2 alarm:NOSPACE "]}}"#))
        }
        Health::Follower => (200, format!(r#"{{{header},"leader":"7"}}"#)),
        Health::Answer(status, body) => (*status, body.clone()),
        Health::Serving | Health::Silent | Health::Bytes(_) | Health::Hostile(..) => {
            if path == "/v3/watch" {
                return watch(header);
            }
            (200, format!("{{{header}{}}}", content(path, named)))
        }
    };
    let length = body.len();
    format!("HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// What a member that serves says, behind the header: a list of one member, and a registry of one
/// service, `svc/a`.
fn content(path: &str, named: SocketAddr) -> String {
    match path {
        "/v3/cluster/member/list" => {
            format!(r#","members":[{{"ID":"2","name":"m","clientURLs":["http://{named}"]}}]"#)
        }
        "/v3/auth/authenticate" => r#","token":"token.1""#.to_owned(),
        "/v3/kv/range" => {
            let (key, value) = (base64(b"svc/a"), base64(named.to_string().as_bytes()));
            let revisions = r#""create_revision":"2","mod_revision":"2","version":"1""#;
            format!(r#","kvs":[{{"key":"{key}",{revisions},"value":"{value}"}}],"count":"1""#)
        }
        _ => r#","leader":"2""#.to_owned(),
    }
}

/// The beginning of a watch in which nothing happens.
fn watch(header: &str) -> Vec<u8> {
    let message = format!("{{\"result\":{{{header},\"created\":true}}}}\n");
    let length = message.len();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    format!("{head}{length:x}\r\n{message}\r\n").into_bytes()
}
