//! The dialogues that we hold over streams of our own, as bytes out and bytes in. Pure; the sockets
//! and deadlines are in `reactor/exchanges/`. A further kind of dialogue is one more variant, and
//! one of [`DialogueError`] for its ways to fail.

use super::dns::stream::Framing;
use super::http1::{Client, HttpError, Received, Request};
use super::tls::{HandshakeError, Session, Status};

/// Decrypted bytes that are handed on at a time.
const PLAIN_BYTES: usize = 4096;

/// A dialogue over one established stream.
#[derive(Debug)]
pub enum Dialogue {
    /// None at all: that the connection was established is enough.
    Connect,
    /// One question to a name server, and its answer.
    Dns(Framing),
    /// Requests and their answers, one after another.
    Http(Box<Client>),
    /// A TLS session, and the dialogue inside it.
    Tls { session: Box<dyn Session>, status: Status, inner: Box<Dialogue> },
}

/// How far a dialogue has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes have to go out or come in.
    Pending,
    /// A message has come, which is given once.
    Message(Vec<u8>),
    /// A part of an HTTP answer has come, or all of it, each of which is given once.
    Http(Received),
    /// The dialogue has come to its end.
    Done,
    /// It never will.
    Failed(DialogueError),
}

/// Why a dialogue has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogueError {
    /// The server could not be verified.
    Handshake(HandshakeError),
    /// There is no whole answer to a request.
    Http(HttpError),
}

impl Progress {
    /// Whether no progress follows this one. What follows a whole answer depends on whether the
    /// dialogue is [idle](Dialogue::is_idle) then.
    fn is_final(&self, is_idle: bool) -> bool {
        match self {
            Progress::Pending | Progress::Message(_) => false,
            Progress::Http(received) => received.is_final(is_idle),
            Progress::Done | Progress::Failed(_) => true,
        }
    }
}

impl Dialogue {
    /// A TLS session that has sent nothing yet, and what is to be said in it.
    pub fn over_tls(session: Box<dyn Session>, inner: Dialogue) -> Dialogue {
        Dialogue::Tls { session, status: Status::Handshaking, inner: Box::new(inner) }
    }

    /// Whether nothing is said: the connection alone counts, even one that is lost again.
    pub fn is_connect(&self) -> bool {
        matches!(self, Dialogue::Connect)
    }

    /// Whether requests are sent and answered.
    pub fn is_http(&self) -> bool {
        match self {
            Dialogue::Connect | Dialogue::Dns(_) => false,
            Dialogue::Http(_) => true,
            Dialogue::Tls { inner, .. } => inner.is_http(),
        }
    }

    /// Whether a request may be sent: the last answer was whole, and the server keeps the
    /// connection.
    pub fn is_idle(&self) -> bool {
        match self {
            Dialogue::Connect | Dialogue::Dns(_) => false,
            Dialogue::Http(client) => client.is_idle(),
            Dialogue::Tls { status, inner, .. } => {
                *status == Status::Established && inner.is_idle()
            }
        }
    }

    /// Whether an HTTP answer is awaited, or the head of a streamed one.
    pub fn awaits_answer(&self) -> bool {
        match self {
            Dialogue::Connect | Dialogue::Dns(_) => false,
            Dialogue::Http(client) => client.awaits_answer(),
            Dialogue::Tls { inner, .. } => inner.awaits_answer(),
        }
    }

    /// Sends a further request.
    ///
    /// # Panics
    /// When the dialogue is not [idle](Dialogue::is_idle).
    pub fn send(&mut self, request: Request) {
        assert!(self.is_idle(), "no request can be sent now");
        match self {
            Dialogue::Connect | Dialogue::Dns(_) => {}
            Dialogue::Http(client) => client.send(request),
            Dialogue::Tls { inner, .. } => inner.send(request),
        }
    }

    /// Bytes that are still to be written.
    pub fn outgoing(&mut self) -> &[u8] {
        match self {
            Dialogue::Connect => &[],
            Dialogue::Dns(framing) => framing.unwritten(),
            Dialogue::Http(client) => client.outgoing(),
            Dialogue::Tls { session, status, inner } => {
                if *status == Status::Established {
                    let plain = inner.outgoing();
                    let bytes = plain.len();
                    session.send(plain);
                    inner.wrote(bytes);
                }
                session.outgoing()
            }
        }
    }

    /// The first `bytes` of [`Dialogue::outgoing`] were written.
    pub fn wrote(&mut self, bytes: usize) {
        match self {
            Dialogue::Connect => debug_assert_eq!(bytes, 0, "nothing is said"),
            Dialogue::Dns(framing) => framing.wrote(bytes),
            Dialogue::Http(client) => client.wrote(bytes),
            Dialogue::Tls { session, .. } => session.wrote(bytes),
        }
    }

    /// Takes bytes that were read.
    pub fn incoming(&mut self, bytes: &[u8]) {
        match self {
            // Whatever the server says first is not ours to read.
            Dialogue::Connect => {}
            Dialogue::Dns(framing) => framing.take(bytes),
            Dialogue::Http(client) => client.incoming(bytes),
            Dialogue::Tls { session, status, inner } => {
                debug_assert!(!bytes.is_empty(), "an end has no bytes");
                let mut rest = bytes;
                while !rest.is_empty() {
                    let left = rest.len();
                    let next = session.incoming(&mut rest);
                    debug_assert!(status.may_become(next), "{status:?} became {next:?}");
                    *status = next;
                    if *status != Status::Established {
                        break;
                    }
                    let has_received = hand_on(session.as_mut(), inner);
                    debug_assert!(has_received || rest.len() < left, "it would spin");
                }
            }
        }
    }

    /// How far it has come.
    pub fn poll(&mut self) -> Progress {
        match self {
            Dialogue::Connect => Progress::Done,
            Dialogue::Dns(framing) => {
                framing.take_message().map_or(Progress::Pending, Progress::Message)
            }
            Dialogue::Http(client) => match client.poll() {
                Ok(received) => received.map_or(Progress::Pending, Progress::Http),
                Err(error) => Progress::Failed(DialogueError::Http(error)),
            },
            Dialogue::Tls { session, status, inner } => match *status {
                Status::Handshaking => Progress::Pending,
                Status::Failed(error) => Progress::Failed(DialogueError::Handshake(error)),
                // To be verified is all that is asked of the peer.
                Status::Dismissed(_) if inner.is_connect() => Progress::Done,
                Status::Dismissed(error) => Progress::Failed(DialogueError::Handshake(error)),
                Status::Established => {
                    let progress = inner.poll();
                    if progress.is_final(inner.is_idle()) {
                        session.close();
                    }
                    progress
                }
            },
        }
    }

    /// The peer sends no more, in order or since the connection is lost. How far it has come, where
    /// the dialogue knows anything better than that.
    pub fn end(&mut self, is_orderly: bool) -> Option<Progress> {
        match self {
            Dialogue::Connect | Dialogue::Dns(_) => None,
            Dialogue::Http(client) => client.end(is_orderly).then(|| self.poll()),
            Dialogue::Tls { session, status, inner } => {
                let next = session.end(is_orderly)?;
                debug_assert!(status.may_become(next), "{status:?} became {next:?}");
                debug_assert_ne!(next, Status::Handshaking, "known, and nothing is known");
                *status = next;
                match *status {
                    Status::Handshaking => None,
                    Status::Dismissed(_) if inner.is_connect() => Some(Progress::Done),
                    Status::Failed(error) | Status::Dismissed(error) => {
                        Some(Progress::Failed(DialogueError::Handshake(error)))
                    }
                    Status::Established => match inner.poll() {
                        Progress::Pending => inner.end(is_orderly),
                        known => Some(known),
                    },
                }
            }
        }
    }
}

/// Hands all decrypted bytes on to the dialogue inside. Returns whether there were any.
fn hand_on(session: &mut dyn Session, inner: &mut Dialogue) -> bool {
    let mut plain = [0; PLAIN_BYTES];
    let mut has_received = false;
    loop {
        match session.receive(&mut plain) {
            0 => return has_received,
            bytes => {
                debug_assert!(bytes <= plain.len(), "more than there is room for");
                inner.incoming(&plain[..bytes]);
            }
        }
        has_received = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http1::{Delivery, Limits, Response};

    /// Decrypted bytes that a [`Caesar`] holds at most.
    const PLAIN_BYTES_MAX: usize = 2;

    /// A session whose handshake is one byte each way and whose cipher adds one to each byte.
    #[derive(Debug, Default)]
    struct Caesar {
        outgoing: Vec<u8>,
        plain: Vec<u8>,
        is_established: bool,
    }

    impl Caesar {
        fn new() -> Box<Caesar> {
            Box::new(Caesar { outgoing: b"?".to_vec(), ..Caesar::default() })
        }
    }

    impl Session for Caesar {
        fn outgoing(&mut self) -> &[u8] {
            &self.outgoing
        }

        fn wrote(&mut self, bytes: usize) {
            self.outgoing.drain(..bytes);
        }

        fn incoming(&mut self, bytes: &mut &[u8]) -> Status {
            if *bytes == b"#" {
                return Status::Dismissed(HandshakeError::ClientCertificateRequired);
            }
            if !self.is_established && bytes.split_off_first() != Some(&b'!') {
                return Status::Failed(HandshakeError::Refused);
            }
            self.is_established = true;
            let room = PLAIN_BYTES_MAX - self.plain.len();
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.plain.extend(taken.iter().map(|byte| byte - 1));
            *bytes = rest;
            Status::Established
        }

        fn end(&mut self, _: bool) -> Option<Status> {
            self.is_established.then_some(Status::Established)
        }

        fn send(&mut self, plain: &[u8]) {
            self.outgoing.extend(plain.iter().map(|byte| byte + 1));
        }

        fn receive(&mut self, buffer: &mut [u8]) -> usize {
            let bytes = self.plain.len().min(buffer.len());
            buffer[..bytes].copy_from_slice(&self.plain[..bytes]);
            self.plain.drain(..bytes);
            bytes
        }

        fn close(&mut self) {
            self.outgoing.push(b'.');
        }
    }

    fn write_all(dialogue: &mut Dialogue) -> Vec<u8> {
        let bytes = dialogue.outgoing().to_vec();
        dialogue.wrote(bytes.len());
        bytes
    }

    #[test]
    fn a_connection_is_a_dialogue_without_a_byte() {
        let mut dialogue = Dialogue::Connect;
        assert!(dialogue.is_connect() && dialogue.outgoing().is_empty());
        dialogue.incoming(b"220 hello");
        assert_eq!(dialogue.poll(), Progress::Done);
    }

    #[test]
    fn a_session_alone_is_done_once_it_is_established() {
        let mut dialogue = Dialogue::over_tls(Caesar::new(), Dialogue::Connect);
        assert_eq!(write_all(&mut dialogue), b"?");
        assert_eq!((dialogue.poll(), dialogue.end(true)), (Progress::Pending, None));
        dialogue.incoming(b"!");
        assert_eq!(dialogue.poll(), Progress::Done);
        assert_eq!(write_all(&mut dialogue), b".", "the peer hears of it");
    }

    #[test]
    fn data_follows_a_handshake() {
        let question = Framing::new(b"q");
        let mut dialogue = Dialogue::over_tls(Caesar::new(), Dialogue::Dns(question));
        assert_eq!(write_all(&mut dialogue), b"?", "nothing before the peer is verified");
        dialogue.incoming(b"!");
        assert_eq!(write_all(&mut dialogue), b"\x01\x02r");
        dialogue.incoming(b"\x01\x03");
        assert_eq!(dialogue.poll(), Progress::Pending);
        dialogue.incoming(b"bc");
        assert_eq!(dialogue.poll(), Progress::Message(b"ab".to_vec()));
        assert_eq!(dialogue.poll(), Progress::Pending, "once");
        assert_eq!(dialogue.end(true), None, "the inner one knows nothing of an end");
    }

    #[test]
    fn data_of_one_read_with_the_handshake_is_taken_whole() {
        let mut dialogue = Dialogue::over_tls(Caesar::new(), Dialogue::Dns(Framing::new(b"q")));
        dialogue.incoming(b"!\x01\x06bcdef");
        assert_eq!(dialogue.poll(), Progress::Message(b"abcde".to_vec()));
    }

    const LIMITS: Limits = Limits { head_bytes_max: 100, body_bytes_max: 10 };

    fn http(delivery: Delivery) -> Dialogue {
        Dialogue::Http(Box::new(Client::new(request(), LIMITS, delivery)))
    }

    fn request() -> Request {
        Request::get("a:1", "/").expect("sendable")
    }

    /// Bytes as a [`Caesar`] sends them.
    fn encrypted(plain: &str) -> Vec<u8> {
        plain.bytes().map(|byte| byte + 1).collect()
    }

    fn response(body: &str) -> Progress {
        Progress::Http(Received::Response(Response { status: 200, body: body.into() }))
    }

    #[test]
    fn requests_follow_one_another_through_a_session() {
        let mut dialogue = Dialogue::over_tls(Caesar::new(), http(Delivery::Whole));
        assert_eq!(write_all(&mut dialogue), b"?", "nothing before the peer is verified");
        dialogue.incoming(b"!");
        for body in ["one", "two"] {
            assert!(dialogue.awaits_answer() && !dialogue.is_idle());
            assert!(write_all(&mut dialogue).starts_with(b"HFU!0!IUUQ"));
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{body}");
            for byte in encrypted(&answer) {
                assert_eq!(dialogue.poll(), Progress::Pending);
                dialogue.incoming(&[byte]);
            }
            assert_eq!(dialogue.poll(), response(body));
            assert_eq!(write_all(&mut dialogue), b"", "the session goes on");
            assert!(dialogue.is_idle() && !response(body).is_final(true));
            dialogue.send(request());
        }
        let error = DialogueError::Http(HttpError::Unanswered);
        assert_eq!(dialogue.end(true), Some(Progress::Failed(error)));
    }

    #[test]
    fn the_peer_hears_that_no_request_follows() {
        let mut dialogue = Dialogue::over_tls(Caesar::new(), http(Delivery::Whole));
        dialogue.incoming(b"!");
        write_all(&mut dialogue);
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n";
        dialogue.incoming(&encrypted(&format!("{head}x")));
        assert_eq!(dialogue.poll(), response("x"));
        assert!(!dialogue.is_idle() && response("x").is_final(false));
        assert_eq!(write_all(&mut dialogue), b".");
    }

    #[test]
    fn an_end_is_that_of_an_answer_a_request_or_a_pause() {
        for (answer, is_orderly, want) in [
            ("HTTP/1.1 200 OK\r\n\r\nx", true, Some(response("x"))),
            ("HTTP/1.1 200 OK\r\n\r\nx", false, None),
            ("", false, None),
            (
                "HTTP/1.1 2",
                true,
                Some(Progress::Failed(DialogueError::Http(HttpError::ClosedEarly))),
            ),
        ] {
            let inner = http(Delivery::Whole);
            for mut dialogue in [Dialogue::over_tls(Caesar::new(), inner), http(Delivery::Whole)] {
                let is_plain = matches!(dialogue, Dialogue::Http(_));
                let answer = if is_plain { answer.into() } else { encrypted(answer) };
                dialogue.incoming(if is_plain { b"" } else { b"!" });
                write_all(&mut dialogue);
                if !answer.is_empty() {
                    dialogue.incoming(&answer);
                }
                assert_eq!(dialogue.poll(), Progress::Pending);
                assert_eq!(dialogue.end(is_orderly), want, "{answer:?}");
            }
        }
        let mut dialogue = http(Delivery::Streamed);
        write_all(&mut dialogue);
        dialogue.incoming(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(dialogue.poll(), Progress::Http(Received::Head(200)));
        assert_eq!(dialogue.poll(), Progress::Http(Received::End));
        assert_eq!(dialogue.end(false), Some(Progress::Http(Received::Closed)));
    }

    /// To be verified is enough where nothing is said in the session.
    #[test]
    fn a_peer_that_refuses_us_has_proved_itself_and_says_nothing() {
        let required = DialogueError::Handshake(HandshakeError::ClientCertificateRequired);
        for said in [&["#"][..], &["!", "#"]] {
            let question = Dialogue::Dns(Framing::new(b"q"));
            let mut dialogue = Dialogue::over_tls(Caesar::new(), question);
            said.iter().for_each(|bytes| dialogue.incoming(bytes.as_bytes()));
            assert_eq!(dialogue.poll(), Progress::Failed(required), "{said:?}");
            assert_eq!(write_all(&mut dialogue), b"?", "no question");

            let mut dialogue = Dialogue::over_tls(Caesar::new(), Dialogue::Connect);
            said.iter().for_each(|bytes| dialogue.incoming(bytes.as_bytes()));
            assert_eq!(dialogue.poll(), Progress::Done, "{said:?}");
        }
    }

    #[test]
    fn a_session_that_fails_says_why() {
        let mut dialogue = Dialogue::over_tls(Caesar::new(), Dialogue::Connect);
        dialogue.incoming(b"x");
        let error = DialogueError::Handshake(HandshakeError::Refused);
        assert_eq!(dialogue.poll(), Progress::Failed(error));
    }
}
