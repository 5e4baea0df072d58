//! A server that answers health checks as it is made to, and is a plain server to everybody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Backend, Gateway, Reservation};

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
    /// This status with this body.
    Answer(u16, String),
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
}

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
}

impl Default for Script {
    fn default() -> Script {
        Script { health: Health::Serving, requests: Vec::new(), asked_over: 0 }
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
    let mut stream = gateway.connect();
    stream.write_all(b"?").expect("the gateway takes bytes");
    let mut letter = [0];
    stream.read_exact(&mut letter).expect("each client is served");
    (stream, letter[0])
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
        state.health();
        if stream.write_all(&bytes).is_err() || stream.read_exact(&mut bytes).is_err() {
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
        // The body of a check is `{}` or nothing.
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if head.starts_with("POST") && body != "{}" {
            continue;
        }
        let line = head.lines().next().unwrap_or_default().to_owned();
        state.script().requests.push(line);
        request.clear();
        if stream.write_all(&answer(&state.health())).is_err() {
            return;
        }
        if matches!(state.script().health, Health::Bytes(_)) {
            return;
        }
    }
}

fn answer(health: &Health) -> Vec<u8> {
    let header = r#""header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"}"#;
    let (status, body) = match health {
        Health::Serving | Health::Silent => (200, format!(r#"{{{header},"leader":"2"}}"#)),
        Health::Follower => (200, format!(r#"{{{header},"leader":"7"}}"#)),
        Health::NoLeader => (200, format!(r#"{{{header},"errors":["etcdserver: no leader"]}}"#)),
        Health::Learner => (200, format!(r#"{{{header},"leader":"7","isLearner":true}}"#)),
        Health::NoSpace => {
            (200, format!(r#"{{{header},"leader":"2","errors":["memberID:2 alarm:NOSPACE "]}}"#))
        }
        Health::Answer(status, body) => (*status, body.clone()),
        Health::Bytes(bytes) => return bytes.clone(),
    };
    let length = body.len();
    format!("HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
