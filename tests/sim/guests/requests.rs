//! What guests say, piece by piece, and how each has to be answered: written by the RFCs and the
//! limits of the admin side, not by its code.

use std::fmt;

use crate::random::Random;

/// Most bytes of a head, and of a target.
const HEAD_BYTES_MAX: usize = 8192;
const TARGET_BYTES_MAX: usize = 2048;

/// Some are more frequent than others, and some are none.
const METHODS: &[&str] = &["GET", "GET", "GET", "GET", "HEAD", "HEAD", "POST", "get", "BREW"];

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Page,
    Metrics {
        is_open: bool,
    },
    Health,
    Readiness,
    Status,
    NotFound,
    NotAllowed,
    /// What was said is not a request that is understood.
    Refused(u16),
    /// It is never whole.
    Partial,
}

impl Subject {
    /// Whether the answer says how endpoints do.
    pub fn is_of_endpoints(self) -> bool {
        matches!(
            self,
            Subject::Page | Subject::Metrics { .. } | Subject::Readiness | Subject::Status
        )
    }

    /// Whether the length of an answer is known when it begins.
    pub fn has_length(self) -> bool {
        !matches!(self, Subject::Page | Subject::Metrics { .. } | Subject::Status)
    }
}

/// One request, or what comes in its place.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it begins, in the bytes of the connection: behind empty lines.
    pub begin: usize,
    /// How many bytes have to be read before it is answered.
    pub known_at: usize,
    pub subject: Subject,
    pub is_head: bool,
    /// The minor version of HTTP/1.
    pub version: u8,
    /// Whether another one may follow.
    pub keeps_alive: bool,
}

/// All that a guest says.
#[derive(Clone, Default)]
pub struct Speech {
    pub bytes: Vec<u8>,
    pub messages: Vec<Message>,
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        f.debug_struct("Speech").field("bytes", &text).field("messages", &self.messages).finish()
    }
}

impl Speech {
    /// A request of a well-behaved guest.
    pub fn ask(&mut self, path: &str, subject: Subject, keeps_alive: bool) {
        let connection = if keeps_alive { "" } else { "Connection: close\r\n" };
        let text = format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n{connection}\r\n");
        let template = Message {
            begin: 0,
            known_at: text.len(),
            subject,
            is_head: false,
            version: 1,
            keeps_alive,
        };
        self.push("", &text, template);
    }

    /// Whatever a guest may say.
    pub fn draw(random: &mut Random) -> Speech {
        let mut speech = Speech::default();
        let count = random.one_of(&[0, 1, 1, 1, 1, 2, 2, 3, 5, 12, 40]);
        let is_strange = random.chance(350);
        for index in 0..count {
            let is_last = index + 1 == count;
            match is_strange && is_last {
                true => speech.draw_strange(random),
                false => speech.draw_request(random),
            }
        }
        speech
    }

    /// Adds `text` behind `before`, which does not count. Offsets of the message are within it.
    fn push(&mut self, before: &str, text: &str, message: Message) {
        self.bytes.extend_from_slice(before.as_bytes());
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        let known_at = begin.saturating_add(message.known_at);
        self.messages.push(Message { begin, known_at, ..message });
    }

    fn draw_request(&mut self, random: &mut Random) {
        let is_open = random.chance(300);
        let (path, found) = random.one_of(&[
            ("/metrics", Subject::Metrics { is_open }),
            ("/metrics", Subject::Metrics { is_open }),
            ("/metrics?name[]=up", Subject::Metrics { is_open }),
            ("http://gateway:9/metrics", Subject::Metrics { is_open }),
            ("/healthz", Subject::Health),
            ("/healthz", Subject::Health),
            ("/readyz", Subject::Readiness),
            ("/readyz?verbose", Subject::Readiness),
            ("/status", Subject::Status),
            ("/status?history=7", Subject::Status),
            ("/", Subject::Page),
            ("http://gateway", Subject::Page),
            ("/favicon.ico", Subject::NotFound),
            ("/metrics/", Subject::NotFound),
            ("//", Subject::NotFound),
        ]);
        let method = random.one_of(METHODS);
        let is_head = method == "HEAD";
        let subject = match method {
            "GET" | "HEAD" => found,
            _ if found == Subject::NotFound => found,
            _ => Subject::NotAllowed,
        };
        let version = u8::from(!random.chance(200));
        let connection = random.one_of(&["", "", "", "", "close", "keep-alive", "Keep-Alive, x"]);
        let body = if random.chance(80) { "some body" } else { "" };
        let mut text = format!("{method} {path} HTTP/1.{version}\r\n");
        if version == 1 || random.chance(500) {
            text.push_str("Host: gateway:9\r\n");
        }
        if is_open {
            text.push_str("Accept: application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1\r\n");
        } else if random.chance(300) {
            text.push_str("accept: text/plain;version=0.0.4\r\n");
        }
        if !connection.is_empty() {
            text.push_str(&format!("Connection: {connection}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        } else if random.chance(50) {
            text.push_str(&format!("X-Pad: {}\r\n", "x".repeat(random.below(3000) as usize)));
        }
        text.push_str("\r\n");
        let known_at = text.len();
        text.push_str(body);
        let keeps = match connection {
            "close" => false,
            "" => version == 1,
            _ => true,
        };
        let is_until_end = version == 0 && !is_head && !subject.has_length();
        let keeps_alive = keeps && body.is_empty() && !is_until_end;
        let before = "\r\n".repeat(random.one_of(&[0, 0, 0, 0, 0, 1, 4]));
        self.push(
            &before,
            &text,
            Message { begin: 0, known_at, subject, is_head, version, keeps_alive },
        );
    }

    /// What is refused, or never whole.
    fn draw_strange(&mut self, random: &mut Random) {
        let host = "Host: gateway\r\n";
        let (text, known_at, subject) = match random.below(15) {
            0 => whole("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), Subject::Refused(400)),
            1 => whole("GET /metrics HTTP/2.0\r\n".to_owned(), Subject::Refused(505)),
            2 => whole("GET /\r\n".to_owned(), Subject::Refused(505)),
            3 => ("\x16\x03\x01\x02\x00".to_owned(), 1, Subject::Refused(400)),
            4 => ("\u{7f}\u{7f} / HTTP/1.1\r\n".to_owned(), 1, Subject::Refused(400)),
            5 => {
                let path = "x".repeat(3000 + random.below(9000) as usize);
                let known_at = "GET ".len() + TARGET_BYTES_MAX + 1;
                (format!("GET /{path} HTTP/1.1\r\n{host}\r\n"), known_at, Subject::Refused(414))
            }
            6 => {
                let pad = "y".repeat(HEAD_BYTES_MAX + random.below(30_000) as usize);
                let text = format!("HEAD / HTTP/1.1\r\n{host}X-Pad: {pad}\r\n\r\n");
                (text, HEAD_BYTES_MAX, Subject::Refused(431))
            }
            7 => {
                let fields = "A: b\r\n".repeat(64);
                whole(format!("GET / HTTP/1.1\r\n{host}{fields}\r\n"), Subject::Refused(431))
            }
            8 => {
                let fields = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
                let text = format!("POST /status HTTP/1.1\r\n{host}{fields}\r\n");
                let known_at = text.len();
                (format!("{text}3\r\nabc\r\n0\r\n\r\n"), known_at, Subject::Refused(400))
            }
            9 => {
                // Without an end.
                let text = "GET / HTTP/1.1\r\n".to_owned() + &"Z: z\r\n".repeat(6000);
                (text, HEAD_BYTES_MAX, Subject::Refused(431))
            }
            10 => whole(
                "GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
                Subject::Refused(400),
            ),
            11 => ("G".to_owned(), usize::MAX, Subject::Partial),
            12 => ("HEAD /metrics HTTP/1.1\r\nHo".to_owned(), usize::MAX, Subject::Partial),
            _ => ("GET /readyz HTTP/1.1\r\nHost: g\r\n".to_owned(), usize::MAX, Subject::Partial),
        };
        let is_head = text.starts_with("HEAD ");
        let message =
            Message { begin: 0, known_at, subject, is_head, version: 1, keeps_alive: false };
        self.push("", &text, message);
        if subject != Subject::Partial && random.chance(300) {
            // Behind a refusal nothing counts.
            self.bytes.extend_from_slice(b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n");
        }
    }
}

/// A text that is answered once it is whole.
fn whole(text: String, subject: Subject) -> (String, usize, Subject) {
    let known_at = text.len();
    (text, known_at, subject)
}
