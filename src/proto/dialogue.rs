//! The dialogues that we hold over streams of our own, as bytes out and bytes in. Pure; the sockets
//! and deadlines are in `reactor/exchanges.rs`. A further kind of dialogue is one more variant, and
//! one of `Progress` for each further way to fail.

use super::dns::stream::Framing;
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
    /// The dialogue has come to its end.
    Done,
    /// It never will.
    Failed(HandshakeError),
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

    /// Bytes that are still to be written.
    pub fn outgoing(&mut self) -> &[u8] {
        match self {
            Dialogue::Connect => &[],
            Dialogue::Dns(framing) => framing.unwritten(),
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
            Dialogue::Tls { session, .. } => session.wrote(bytes),
        }
    }

    /// Takes bytes that were read.
    pub fn incoming(&mut self, bytes: &[u8]) {
        match self {
            // Whatever the server says first is not ours to read.
            Dialogue::Connect => {}
            Dialogue::Dns(framing) => framing.take(bytes),
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
            Dialogue::Tls { session, status, inner } => match *status {
                Status::Handshaking => Progress::Pending,
                Status::Failed(error) => Progress::Failed(error),
                Status::Established => {
                    let progress = inner.poll();
                    if progress == Progress::Done {
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
            Dialogue::Tls { session, status, inner } => {
                let next = session.end(is_orderly)?;
                debug_assert!(status.may_become(next), "{status:?} became {next:?}");
                debug_assert_ne!(next, Status::Handshaking, "known, and nothing is known");
                *status = next;
                match (*status, inner.poll()) {
                    (Status::Failed(error), _) => Some(Progress::Failed(error)),
                    (Status::Established, Progress::Done) => Some(Progress::Done),
                    (Status::Established, _) => inner.end(is_orderly),
                    (Status::Handshaking, _) => None,
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

    #[test]
    fn a_session_that_fails_says_why() {
        let mut dialogue = Dialogue::over_tls(Caesar::new(), Dialogue::Connect);
        dialogue.incoming(b"x");
        assert_eq!(dialogue.poll(), Progress::Failed(HandshakeError::Refused));
    }
}
