//! DNS messages as the name servers of a run read and write them: small, plain, and independent of
//! the gateway's own codec.

use std::net::IpAddr;

use crate::random::Random;
use crate::zone::{A, AAAA, CNAME, SRV};

const SOA: u16 = 6;
const OPT: u16 = 41;
const IN: u16 = 1;
const HEADER: usize = 12;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: u16,
    /// Without the last dot, in small letters.
    pub name: String,
    /// As it was written.
    pub spelled: String,
    pub kind: u16,
    pub has_edns: bool,
}

/// One record of an answer.
#[derive(Clone, Debug)]
pub struct Line {
    pub owner: String,
    pub life: u32,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub enum Data {
    Address(IpAddr),
    Alias(String),
    Service { priority: u16, weight: u16, port: u16, target: String },
}

/// A reply that is to be written.
#[derive(Clone, Debug)]
pub struct Reply {
    pub id: u16,
    pub code: u8,
    pub is_cut: bool,
    /// None: a bare header.
    pub question: Option<(String, u16)>,
    pub lines: Vec<Line>,
    /// Seconds that a negative answer lives.
    pub negative: Option<u32>,
    pub options: OptRecord,
}

/// The OPT record of a reply, or what a server takes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptRecord {
    None,
    Proper,
    /// It says that the version is none that the server knows.
    BadVersion,
    /// In the answer instead of behind everything.
    Misplaced,
    Doubled,
    /// Its name is that of the question, not the root.
    Owned,
}

/// How an answer is spoiled, so that it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its question is unknown: it counts as if it had not come.
    Foreign,
    /// It answers the question, but cannot be read.
    Malformed,
    /// It ends too early; what can be read of it is right.
    Incomplete,
}

/// Reads a question, which must be right in every bit.
pub fn read_question(bytes: &[u8]) -> Question {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    assert!(bytes.len() > HEADER, "a question of {} bytes", bytes.len());
    assert_eq!(word(2), 0x0100, "a standard query that wants recursion, and nothing else");
    let counts = [word(4), word(6), word(8), word(10)];
    assert!(counts[..3] == [1, 0, 0] && counts[3] <= 1, "{counts:?}");
    let mut at = HEADER;
    let mut labels = Vec::new();
    while bytes[at] > 0 {
        let length = usize::from(bytes[at]);
        assert!(length < 64, "a label of {length} bytes, or a pointer");
        let label = &bytes[at + 1..at + 1 + length];
        labels.push(String::from_utf8(label.to_vec()).expect("names of a run are ASCII"));
        at += 1 + length;
    }
    let (kind, class) = (word(at + 1), word(at + 3));
    assert_eq!(class, IN, "another class than that of the internet");
    at += 5;
    let has_edns = counts[3] == 1;
    if has_edns {
        assert_eq!(bytes[at], 0, "the name of an OPT record is the root");
        assert_eq!([word(at + 1), word(at + 3)], [OPT, 1232], "the size that every path carries");
        assert_eq!([word(at + 5), word(at + 7), word(at + 9)], [0; 3], "no flag, no option");
        at += 11;
    }
    assert_eq!(at, bytes.len(), "bytes behind the question");
    let spelled = labels.join(".");
    Question { id: word(0), name: spelled.to_ascii_lowercase(), spelled, kind, has_edns }
}

/// Whether a stream has brought a whole message behind its length, and how many bytes that is.
pub fn framed(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    bytes.get(2..2 + length)
}

struct Writer {
    bytes: Vec<u8>,
    /// Where each line of the answer begins, and where the last one ends.
    stops: Vec<usize>,
}

impl Writer {
    fn word(&mut self, word: u16) {
        self.bytes.extend(word.to_be_bytes());
    }

    fn name(&mut self, name: &str) {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            self.bytes.push(label.len() as u8);
            self.bytes.extend(label.as_bytes());
        }
        self.bytes.push(0);
    }

    /// A pointer to the question where that will do.
    fn owner(&mut self, name: &str, question: Option<&str>) {
        match question.is_some_and(|asked| asked.eq_ignore_ascii_case(name)) {
            true => self.word(0xc000 | HEADER as u16),
            false => self.name(name),
        }
    }

    fn line(&mut self, line: &Line, question: Option<&str>) {
        self.stops.push(self.bytes.len());
        self.owner(&line.owner, question);
        let kind = match line.data {
            Data::Address(IpAddr::V4(_)) => A,
            Data::Address(IpAddr::V6(_)) => AAAA,
            Data::Alias(_) => CNAME,
            Data::Service { .. } => SRV,
        };
        self.word(kind);
        self.word(IN);
        self.bytes.extend(line.life.to_be_bytes());
        let length_at = self.bytes.len();
        self.word(0);
        match &line.data {
            Data::Address(IpAddr::V4(address)) => self.bytes.extend(address.octets()),
            Data::Address(IpAddr::V6(address)) => self.bytes.extend(address.octets()),
            Data::Alias(target) => self.name(target),
            Data::Service { priority, weight, port, target } => {
                [*priority, *weight, *port].into_iter().for_each(|word| self.word(word));
                self.name(target);
            }
        }
        self.set_length(length_at);
    }

    /// One OPT record.
    fn options(&mut self, options: OptRecord) {
        match options {
            OptRecord::Owned => self.word(0xc000 | HEADER as u16),
            _ => self.name(""),
        }
        let version = if options == OptRecord::BadVersion { 0x0100 } else { 0 };
        [OPT, 1232, version, 0, 0].into_iter().for_each(|word| self.word(word));
    }

    fn set_length(&mut self, at: usize) {
        let length = (self.bytes.len() - at - 2) as u16;
        self.bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
}

impl Reply {
    pub fn write(&self) -> Vec<u8> {
        self.writer().bytes
    }

    fn writer(&self) -> Writer {
        let mut writer = Writer { bytes: Vec::new(), stops: Vec::new() };
        let question = self.question.as_ref().map(|(name, _)| name.as_str());
        writer.word(self.id);
        writer.word(0x8180 | u16::from(self.is_cut) << 9 | u16::from(self.code));
        writer.word(u16::from(question.is_some()));
        let (first, last) = match self.options {
            OptRecord::None => (0, 0),
            OptRecord::Proper | OptRecord::BadVersion | OptRecord::Owned => (0, 1),
            OptRecord::Misplaced => (1, 0),
            OptRecord::Doubled => (0, 2),
        };
        writer.word(self.lines.len() as u16 + first);
        writer.word(u16::from(self.negative.is_some()));
        writer.word(last);
        if let Some((name, kind)) = &self.question {
            writer.name(name);
            writer.word(*kind);
            writer.word(IN);
        }
        (0..first).for_each(|_| writer.options(self.options));
        self.lines.iter().for_each(|line| writer.line(line, question));
        writer.stops.push(writer.bytes.len());
        if let Some(life) = self.negative {
            writer.name("test");
            writer.word(SOA);
            writer.word(IN);
            writer.bytes.extend(life.to_be_bytes());
            let length_at = writer.bytes.len();
            writer.word(0);
            writer.name("ns.test");
            writer.name("root.test");
            [1, 2, 3, 4, life]
                .iter()
                .for_each(|word: &u32| writer.bytes.extend(word.to_be_bytes()));
            writer.set_length(length_at);
        }
        (0..last).for_each(|_| writer.options(self.options));
        writer
    }

    /// The bytes of a reply that ends too early, although it does not say so.
    pub fn shortened(&self, random: &mut Random) -> Vec<u8> {
        let Writer { mut bytes, stops } = self.writer();
        let last = stops[stops.len().saturating_sub(2)];
        let end = *stops.last().expect("the end is one");
        match random.below(if stops.len() > 1 { 3 } else { 1 }) {
            // More records than there are.
            0 => bytes[6..8].fill(0xff),
            // Cut within the answer.
            1 => bytes.truncate(stops[0] + random.below((end - stops[0]) as u64) as usize),
            // Data that reaches beyond the message.
            _ => {
                let length_at = owner_end(&bytes, last) + 8;
                bytes[length_at] = 0x7f;
            }
        }
        bytes
    }

    /// The bytes of a reply that is spoiled, and what it is worth then.
    pub fn spoiled(&self, random: &mut Random) -> (Vec<u8>, Damage) {
        let Writer { mut bytes, stops } = self.writer();
        let question_end = match self.question {
            Some(_) => owner_end(&bytes, HEADER) + 4,
            None => HEADER,
        };
        let has_lines = stops.len() > 1;
        match random.below(if has_lines { 8 } else { 6 }) {
            // Cut where the question is, or before.
            0 => bytes.truncate(random.below(question_end as u64) as usize),
            // Anything at all, but for the id.
            1 => {
                bytes = (0..random.below(300)).map(|_| random.bits() as u8).collect();
                if let Some(first) = bytes.first_mut() {
                    *first = self.id.to_be_bytes()[0] ^ 1;
                }
            }
            2 => bytes[2] ^= 0x80,
            3 => bytes[2] ^= 0x08 << random.below(4),
            // Another name, kind or class.
            4 => bytes[HEADER + 1] ^= 1,
            5 => bytes[question_end - 1 - random.below(4) as usize] ^= 1 << random.below(8),
            // A name that points to itself: the start of the next record is unknown.
            6 => {
                let first = stops[0];
                let [high, low] = (0xc000 | first as u16).to_be_bytes();
                bytes.splice(first..first + 1, [high, low]);
                return (bytes, Damage::Incomplete);
            }
            // Aliases without end.
            _ => {
                let (name, _) = self.question.as_ref().expect("an answer repeats it");
                let alias = |owner: &str, target: &str| Line {
                    owner: owner.to_owned(),
                    life: 1,
                    data: Data::Alias(target.to_owned()),
                };
                let lines = match random.below(2) {
                    0 => vec![alias(name, name)],
                    _ => vec![alias("b.test", name), alias(name, "b.test")],
                };
                let looped = Reply { lines, ..self.clone() };
                return (looped.write(), Damage::Malformed);
            }
        }
        (bytes, Damage::Foreign)
    }
}

fn owner_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes[at] {
            0 => return at + 1,
            length if length >= 0xc0 => return at + 2,
            length => at += 1 + usize::from(length),
        }
    }
}
