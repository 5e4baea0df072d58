//! Messages of the DNS (RFC 1035), as a name server reads and writes them.
//!
//! Written from the RFC and nothing else: what the gateway understands must not be what the gateway
//! itself would have written.
//!
//! ```text
//!   header: id, flags, four counts      12 octets
//!   question: name, type, class         copied from the query as it is
//!   answers, authority, additional      name, type, class, ttl, length, data
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

/// Where the name of the question begins: answers point there (RFC 1035, 4.1.4).
const QUESTION_POINTER: [u8; 2] = [0xc0, 12];
const HEADER_BYTES: usize = 12;
/// The largest answer to a query that names no other size.
pub const DATAGRAM_BYTES: usize = 512;
const CLASS_INTERNET: u16 = 1;
const KIND_START_OF_AUTHORITY: u16 = 6;
const KIND_OPTIONS: u16 = 41;
/// An OPT record that says nothing but how large a datagram may be (RFC 6891).
const OPTIONS: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    A,
    Aaaa,
    Srv,
    Cname,
    Other(u16),
}

impl Kind {
    fn from_number(number: u16) -> Kind {
        match number {
            1 => Kind::A,
            5 => Kind::Cname,
            28 => Kind::Aaaa,
            33 => Kind::Srv,
            other => Kind::Other(other),
        }
    }

    fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Cname => 5,
            Kind::Aaaa => 28,
            Kind::Srv => 33,
            Kind::Other(other) => other,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Cname(String),
    /// A record of that kind whose data is too short to be anything.
    Broken(Kind),
}

impl Data {
    pub fn kind(&self) -> Kind {
        match self {
            Data::A(_) => Kind::A,
            Data::Aaaa(_) => Kind::Aaaa,
            Data::Srv { .. } => Kind::Srv,
            Data::Cname(_) => Kind::Cname,
            Data::Broken(kind) => *kind,
        }
    }

    fn octets(&self) -> Vec<u8> {
        match self {
            Data::A(address) => address.octets().to_vec(),
            Data::Aaaa(address) => address.octets().to_vec(),
            Data::Cname(target) => name_octets(target),
            Data::Broken(_) => vec![127, 0, 0],
            Data::Srv { priority, weight, port, target } => {
                let numbers = [*priority, *weight, *port].map(u16::to_be_bytes);
                // Never compressed (RFC 2782).
                [numbers.as_flattened(), &name_octets(target)].concat()
            }
        }
    }
}

/// What a name has, and for how many seconds that may be believed.
#[derive(Clone, Debug)]
pub struct Record {
    pub ttl: u32,
    pub data: Data,
}

/// A question that came.
pub struct Question {
    pub id: u16,
    /// In small letters, without the dot at the end.
    pub name: String,
    pub kind: Kind,
    /// As in the query, to be sent back.
    octets: Vec<u8>,
    /// The largest datagram that the other side takes.
    pub datagram_bytes: usize,
    pub has_options: bool,
}

impl Question {
    /// Reads a query of one question; `None` if it is not one.
    pub fn read(query: &[u8]) -> Option<Question> {
        let number = |at: usize| Some(u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]));
        let is_query = number(2)? & 0xf800 == 0;
        if !is_query || number(4)? != 1 || number(6)? != 0 || number(8)? != 0 {
            return None;
        }
        let mut at = HEADER_BYTES;
        let mut labels: Vec<String> = Vec::new();
        loop {
            let length = usize::from(*query.get(at)?);
            if length == 0 {
                break;
            }
            let label = query.get(at + 1..at + 1 + length).filter(|_| length < 64)?;
            labels.push(String::from_utf8_lossy(label).to_lowercase());
            at += 1 + length;
        }
        let octets = query.get(HEADER_BYTES..at + 5)?.to_vec();
        // The root, the type of the options, and then the size in the place of a class (RFC 6891).
        let options = at + 5;
        let has_options = number(10)? == 1 && number(options + 1)? == KIND_OPTIONS;
        let datagram_bytes = match has_options {
            true => usize::from(number(options + 3)?).max(DATAGRAM_BYTES),
            false => DATAGRAM_BYTES,
        };
        let kind = Kind::from_number(number(at + 1)?);
        let name = labels.join(".");
        Some(Question { id: number(0)?, name, kind, octets, datagram_bytes, has_options })
    }

    /// Where the question ends in the query, and in an answer.
    pub fn octets_end(&self) -> usize {
        HEADER_BYTES + self.octets.len()
    }
}

/// The codes of an answer (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    Refused = 5,
}

/// An answer in the making.
#[derive(Clone)]
pub struct Answer {
    pub code: Code,
    pub is_truncated: bool,
    /// Each with the name that has it.
    pub records: Vec<(String, Record)>,
    /// For how many seconds it may be believed that there is nothing, where there is nothing.
    pub negative_ttl: u32,
}

impl Answer {
    pub fn write(&self, question: &Question) -> Vec<u8> {
        // A response, recursion desired and available.
        let truncated = if self.is_truncated { 0x0200 } else { 0 };
        let flags = 0x8180 | truncated | self.code as u16;
        let is_empty = self.records.is_empty();
        let is_negative = is_empty
            && !self.is_truncated
            && [Code::NoError, Code::NoSuchName].contains(&self.code);
        let answers = u16::try_from(self.records.len()).expect("a few records");
        let counts = [1, answers, u16::from(is_negative), u16::from(question.has_options)];
        let mut octets = [[question.id, flags].as_slice(), &counts].concat();
        let mut message: Vec<u8> = octets.drain(..).flat_map(u16::to_be_bytes).collect();
        message.extend(&question.octets);
        for (name, record) in &self.records {
            let owner = match *name == question.name {
                true => QUESTION_POINTER.to_vec(),
                false => name_octets(name),
            };
            let kind = record.data.kind().number();
            message.extend(record_octets(&owner, kind, record.ttl, &record.data.octets()));
        }
        if is_negative {
            message.extend(self.start_of_authority());
        }
        if question.has_options {
            message.extend(OPTIONS);
        }
        message
    }

    /// The same with one OPT record more than there may be.
    pub fn write_doubling_options(&self, question: &Question) -> Vec<u8> {
        let mut message = self.write(question);
        message[11] += 1;
        message.extend(OPTIONS);
        message
    }

    /// What makes a negative answer one that may be kept (RFC 2308).
    fn start_of_authority(&self) -> Vec<u8> {
        let numbers = [1, 2, 3, 4, self.negative_ttl].map(u32::to_be_bytes);
        let data = [&name_octets("ns.test"), &name_octets("admin.test"), numbers.as_flattened()];
        let owner = name_octets("test");
        record_octets(&owner, KIND_START_OF_AUTHORITY, self.negative_ttl, &data.concat())
    }
}

fn record_octets(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a name or a few numbers");
    let class = [kind, CLASS_INTERNET].map(u16::to_be_bytes);
    [owner, class.as_flattened(), &ttl.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

fn name_octets(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a label has at most 63 octets"));
        octets.extend(label.bytes());
    }
    octets.push(0);
    octets
}

/// How many kinds of [`garbage`] there are.
pub const GARBAGE_KINDS: usize = 9;

/// An answer to the question that cannot be read, of many kinds in turn.
pub fn garbage(question: &Question, number: usize) -> Vec<u8> {
    let head = |answers: u16| {
        let numbers = [question.id, 0x8180, 1, answers, 0, 0].map(u16::to_be_bytes);
        [numbers.as_flattened(), &question.octets].concat()
    };
    let class = [0, 1, 0, 1, 0, 0, 14, 16];
    // Behind the question, at which a pointer can aim that leads to itself.
    let here = question.octets_end();
    let pointer = |at: usize| (0xc000 | u16::try_from(at).expect("a small offset")).to_be_bytes();
    match number % GARBAGE_KINDS {
        0 => Vec::new(),
        1 => question.id.to_be_bytes().to_vec(),
        2 => head(1)[..HEADER_BYTES].to_vec(),
        // A name that points to itself, and two that point to each other.
        3 => [&head(1)[..], &pointer(here), &class, &[0, 4, 127, 0, 0, 66]].concat(),
        4 => [&head(1)[..], &pointer(here + 2), &pointer(here), &class, &[0, 4, 127, 0, 0, 66]]
            .concat(),
        // Data longer than the message, more records than there are, an unknown kind of label. Of
        // those that can be read of an answer that is cut, and cannot be had whole, use is made, so
        // there is none.
        5 => [&head(1)[..], &QUESTION_POINTER, &class, &[0xff, 0xff, 127]].concat(),
        6 => head(u16::MAX),
        7 => [&head(1)[..], &[0x80, 0x41, 0xff], &class, &[0, 4, 127, 0, 0, 66]].concat(),
        _ => [&head(3)[..], &super::payload(question.id.into(), 400)].concat(),
    }
}

/// Whether the tools above say what they mean: a query in, and the octets that the RFC asks for.
#[test]
fn answers_are_what_the_rfc_says() {
    let query = [
        &[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1][..],
        b"\x02M1\x04test\x00\x00\x01\x00\x01",
        &[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let question = Question::read(&query).expect("a query");
    assert_eq!((question.id, question.kind), (0x1234, Kind::A));
    assert_eq!((question.name.as_str(), question.datagram_bytes), ("m1.test", 4096));
    let cname = Record { ttl: 7, data: Data::Cname("m2.test".to_owned()) };
    let address = Record { ttl: 258, data: Data::A(Ipv4Addr::new(127, 0, 0, 11)) };
    let records = vec![("m1.test".to_owned(), cname), ("m2.test".to_owned(), address)];
    let answer = Answer { code: Code::NoError, is_truncated: false, records, negative_ttl: 1 };
    let want = [
        &[0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 1][..],
        b"\x02M1\x04test\x00\x00\x01\x00\x01",
        b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x07\x00\x09\x02m2\x04test\x00",
        b"\x02m2\x04test\x00\x00\x01\x00\x01\x00\x00\x01\x02\x00\x04\x7f\x00\x00\x0b",
        &[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(answer.write(&question), want.concat());
    assert!(Question::read(&answer.write(&question)).is_none(), "an answer is not a query");
    for cut in 0..query.len() {
        assert!(Question::read(&query[..cut]).is_none_or(|short| short.id == 0x1234));
    }
}
