//! Messages of DNS: a question to bytes, and the bytes of a reply to what they answer.
//!
//! Owns what a reply means. Which server to ask, when to ask again, and how long an answer is kept
//! is decided elsewhere; nothing here sends or waits.
//!
//! ```text
//! bytes ──► ours? ──no──► Foreign
//!             └─► whole? ──no──► Truncated, or Incomplete where the server does not say so
//!                   └─► rcode ──error──► Failed
//!                         └─► answer: name ─CNAME─► name ─CNAME─► end of the chain
//!                               records there ──► Records      a SOA, no chain ──► Nothing
//!                               broken, a loop ─► Malformed    else ─────────────► Alias
//! ```
//!
//! A record that cannot be read spoils none of the others.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::name::ToName;
use domain::base::{Message, MessageBuilder, ParsedName, ParsedRecord, Ttl};
use domain::rdata::{A, Aaaa, Cname, Soa, Srv};

use super::name::Name;
use crate::config::{DNS_ALIASES_MAX, DNS_UDP_BYTES};

/// The codes of RFC 1035, 4.1.1, that mean something to us.
const NO_ERROR: u16 = 0;
const FORMAT_ERROR: u16 = 1;
const SERVER_FAILURE: u16 = 2;
const NAME_ERROR: u16 = 3;
const NOT_IMPLEMENTED: u16 = 4;
const REFUSED: u16 = 5;
/// Longest question: the header, a name of 255 octets, its type and class, and an OPT record.
const QUESTION_BYTES_MAX: usize = 12 + 255 + 4 + 11;

/// A kind of record, as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 addresses (RFC 1035, 3.4.1).
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
    /// The servers of a service (RFC 2782).
    Srv,
}

impl Kind {
    fn rtype(self) -> Rtype {
        match self {
            Kind::A => Rtype::A,
            Kind::Aaaa => Rtype::AAAA,
            Kind::Srv => Rtype::SRV,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Srv => "SRV",
        })
    }
}

/// One SRV record (RFC 2782). Its target is never the root, which says that there is no service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Class, 0-65535: a higher number is tried only when no lower one can be reached.
    pub priority: u16,
    /// Share within the class, 0-65535.
    pub weight: u16,
    /// The port, 0-65535 as the record has it.
    pub port: u16,
    /// The host, whose addresses are to be asked for.
    pub target: Name,
}

/// The records that were asked for: one or more, as many as 64 KiB hold, each once, in the order of
/// the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// For [`Kind::A`] addresses of IPv4 alone, for [`Kind::Aaaa`] of IPv6 alone.
    Addresses(Vec<IpAddr>),
    /// For [`Kind::Srv`].
    Services(Vec<Service>),
}

/// The meaning of a message as the reply to a question. Every time to live is as the server gave
/// it, in whole seconds from 0 to 2^31 - 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Not an answer to this question: to be ignored as if it had not come.
    Foreign,
    /// For this question, but broken in the parts that are needed, or its aliases have no end
    /// within [`DNS_ALIASES_MAX`].
    Malformed,
    /// Cut to fit a datagram: ask again by TCP (RFC 2181, 9). By TCP it is a fault of the server.
    Truncated,
    /// The message ends, or cannot be read on, before all the records that it announces: as a rule
    /// cut to fit a datagram, too, by a server that does not say so.
    Incomplete {
        /// The records that were asked for and can be read, and their life; none if there are none.
        part: Option<(Records, Duration)>,
    },
    /// The name, or what it is an alias of, has what was asked for.
    Records {
        /// What was asked for.
        records: Records,
        /// The shortest of the records and of the aliases on the way.
        ttl: Duration,
    },
    /// The name is an alias of a name about which the answer says nothing: ask for that one.
    Alias {
        /// The name to ask for.
        target: Name,
        /// The shortest of the aliases on the way.
        ttl: Duration,
    },
    /// The name has no record of the kind.
    Nothing {
        /// Whether the name exists, with records of other kinds or none (RFC 2308, 2.2), or with
        /// SRV records that say that there is no such service (RFC 2782, "Target").
        exists: bool,
        /// How long that holds (RFC 2308, 5): the shortest of the SOA record, its minimum, and the
        /// aliases on the way, or of the SRV records that say so. `None` if the server did not say.
        ttl: Option<Duration>,
    },
    /// The server cannot or will not answer; another one may.
    Failed(ServerFailure),
}

/// Why a server does not answer: its response code (RFC 1035, 4.1.1), extended by EDNS (RFC 6891,
/// 6.1.3). Shown as the word that the log uses behind `name_server_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerFailure {
    /// The server could not read the question.
    Format,
    /// The server could not find out.
    Failure,
    /// The server does not answer such questions.
    NotImplemented,
    /// The server will not answer this client.
    Refused,
    /// The server has no data of the name and asks no other server: a wrong delegation.
    Lame,
    /// Any other code, 6-4095.
    Other(u16),
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerFailure::Format => f.write_str("format_error"),
            ServerFailure::Failure => f.write_str("failure"),
            ServerFailure::NotImplemented => f.write_str("not_implemented"),
            ServerFailure::Refused => f.write_str("refused"),
            ServerFailure::Lame => f.write_str("lame"),
            ServerFailure::Other(code) => write!(f, "rcode_{code}"),
        }
    }
}

/// The bytes of one question in class IN that asks for recursion; at most 282 of them.
///
/// With `edns` it says that a reply of [`DNS_UDP_BYTES`] may come in one datagram (RFC 6891,
/// 6.2.3), without it 512 (RFC 1035, 4.2.1). `id` identifies the reply to [`read_reply`], and
/// should be hard to guess (RFC 5452, 4.3). For TCP the caller puts the length before it. The same
/// arguments give the same bytes.
pub fn question(id: u16, name: &Name, kind: Kind, edns: bool) -> Vec<u8> {
    let fits = "a Vec grows, and one question is far below the 64 KiB of a message";
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((&name.0, kind.rtype(), Class::IN)).expect(fits);
    let mut builder = builder.additional();
    if edns {
        let set_size = builder.opt(|opt| {
            opt.set_udp_payload_size(DNS_UDP_BYTES);
            Ok(())
        });
        set_size.expect(fits);
    }
    let bytes = builder.finish();
    debug_assert!(bytes.len() <= QUESTION_BYTES_MAX, "a header, a name, a question, an option");
    bytes
}

/// Reads `bytes`, without the length that TCP puts before them, as the reply to the question of
/// that id, name and kind.
///
/// Records that were not asked for spoil nothing, be they unknown or broken, as long as they do not
/// hide where the answer goes on. Never panics; the work is bounded by the length.
pub fn read_reply(bytes: &[u8], id: u16, name: &Name, kind: Kind, edns: bool) -> Reply {
    let Ok(message) = Message::from_slice(bytes) else { return Reply::Foreign };
    let header = message.header();
    if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY {
        return Reply::Foreign;
    }
    let code = u16::from(header.rcode().to_int());
    match message.sole_question() {
        Ok(asked)
            if asked.qclass() == Class::IN
                && asked.qtype() == kind.rtype()
                && *asked.qname() == name.0 => {}
        // A server that could not read a question cannot repeat it: old ones answer EDNS with a
        // bare header (RFC 6891, 7).
        _ if message.header_counts().qdcount() == 0 && code == FORMAT_ERROR => {
            return Reply::Failed(ServerFailure::Format);
        }
        _ => return Reply::Foreign,
    }
    if header.tc() {
        return Reply::Truncated;
    }
    let code = if edns { extended_code(message) } else { Some(code) };
    let Some(code) = code else { return Reply::Malformed };
    let failure = match code {
        NO_ERROR | NAME_ERROR => {
            return read_answer(message, name, kind, code == NO_ERROR);
        }
        FORMAT_ERROR => ServerFailure::Format,
        SERVER_FAILURE => ServerFailure::Failure,
        NOT_IMPLEMENTED => ServerFailure::NotImplemented,
        REFUSED => ServerFailure::Refused,
        other => ServerFailure::Other(other),
    };
    Reply::Failed(failure)
}

type Record<'a> = ParsedRecord<'a, [u8]>;

/// The response code with the upper bits that an OPT record adds (RFC 6891, 6.1.3), 0-4095. `None`
/// where that record is not what it has to be: one, of the root, among the additional ones.
fn extended_code(message: &Message<[u8]>) -> Option<u16> {
    let sections = [message.answer(), message.authority(), message.additional()];
    let records = sections.into_iter().enumerate().flat_map(|(section, records)| {
        records.into_iter().flatten().flatten().map(move |record| (section, record))
    });
    let mut options = records.filter(|(_, record)| record.rtype() == Rtype::OPT);
    let code = u16::from(message.header().rcode().to_int());
    match (options.next(), options.next()) {
        (None, _) => Some(code),
        (Some((2, option)), None) if option.owner().is_root() => {
            Some(((option.ttl().as_secs() >> 24) as u16) << 4 | code)
        }
        _ => None,
    }
}

/// The meaning of the answer section, or of as much of it as can be read.
fn read_answer(message: &Message<[u8]>, name: &Name, kind: Kind, exists: bool) -> Reply {
    let mut relevant = Vec::new();
    let mut is_whole = true;
    for record in message.answer().into_iter().flatten() {
        let Ok(record) = record else {
            is_whole = false;
            break;
        };
        let is_kind = [kind.rtype(), Rtype::CNAME].contains(&record.rtype());
        if is_kind && record.class() == Class::IN {
            relevant.push(record);
        }
    }
    let reply = follow(message, &relevant, name, kind, exists).unwrap_or(Reply::Malformed);
    match reply {
        reply if is_whole => reply,
        Reply::Records { records, ttl } => Reply::Incomplete { part: Some((records, ttl)) },
        _ => Reply::Incomplete { part: None },
    }
}

/// Follows the aliases from `name` to what was asked for. `None` if that cannot be read.
fn follow(
    message: &Message<[u8]>,
    relevant: &[Record],
    name: &Name,
    kind: Kind,
    exists: bool,
) -> Option<Reply> {
    let mut end = name.clone();
    let mut ttl = None;
    for links in 0..=DNS_ALIASES_MAX {
        debug_assert_eq!(links > 0, ttl.is_some(), "each alias has a time to live");
        let here: Vec<&Record> = relevant.iter().filter(|record| record.owner() == end.0).collect();
        let found: Vec<&Record> =
            here.iter().copied().filter(|record| record.rtype() == kind.rtype()).collect();
        if exists && !found.is_empty() {
            return reply_with(&found, kind, ttl);
        }
        let Some(alias) = here.iter().find(|record| record.rtype() == Rtype::CNAME) else {
            return Some(match negative_ttl(message) {
                Some(negative) => Reply::Nothing { exists, ttl: Some(shortest(ttl, negative)) },
                None if exists && links > 0 => Reply::Alias { target: end, ttl: ttl? },
                None if exists && is_lame(message) => Reply::Failed(ServerFailure::Lame),
                None => Reply::Nothing { exists, ttl: None },
            });
        };
        ttl = Some(shortest(ttl, seconds(alias.ttl())));
        let cname = alias.to_record::<Cname<ParsedName<&[u8]>>>().ok()??;
        end = Name(cname.data().cname().to_vec());
    }
    None
}

/// The records at the end of the aliases, of which there is one at least. `None` if none of them
/// can be read.
fn reply_with(found: &[&Record], kind: Kind, aliases_ttl: Option<Duration>) -> Option<Reply> {
    assert!(!found.is_empty());
    let mut addresses = Vec::new();
    let mut services = Vec::new();
    let mut ttl = None;
    let mut is_none = true;
    for record in found {
        match kind {
            Kind::A => {
                let Ok(Some(record)) = record.to_record::<A>() else { continue };
                addresses.push(IpAddr::V4(record.data().addr()));
            }
            Kind::Aaaa => {
                let Ok(Some(record)) = record.to_record::<Aaaa>() else { continue };
                addresses.push(IpAddr::V6(record.data().addr()));
            }
            Kind::Srv => {
                let read = record.to_record::<Srv<ParsedName<&[u8]>>>();
                let Ok(Some(record)) = read else {
                    is_none = false;
                    continue;
                };
                let data = record.data();
                let target = Name(data.target().to_vec());
                let (priority, weight, port) = (data.priority(), data.weight(), data.port());
                if !target.is_root() {
                    services.push(Service { priority, weight, port, target });
                }
            }
        }
        ttl = Some(shortest(ttl, seconds(record.ttl())));
    }
    // Of those that can be read alone, if any can.
    let ttl = shortest(aliases_ttl, ttl?);
    debug_assert!(ttl.as_secs() <= i32::MAX as u64);
    debug_assert!(addresses.is_empty() || services.is_empty(), "records of two kinds");
    debug_assert!(addresses.len() + services.len() <= found.len(), "records that did not come");
    let records = match kind {
        // One that cannot be read may name a server.
        Kind::Srv if services.is_empty() && !is_none => return None,
        Kind::Srv if services.is_empty() => {
            return Some(Reply::Nothing { exists: true, ttl: Some(ttl) });
        }
        Kind::Srv => Records::Services(distinct(services)),
        Kind::A | Kind::Aaaa => Records::Addresses(distinct(addresses)),
    };
    Some(Reply::Records { records, ttl })
}

/// Each once, in the order of the answer.
fn distinct<T: Clone + Eq + Hash>(mut items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
    debug_assert_eq!(items.len(), seen.len(), "an item twice");
    items
}

/// Whether an empty answer means that we asked the wrong server, and not that there is nothing:
/// neither is it its own to give, nor does it ask others. The C library and Go go on, too.
fn is_lame(message: &Message<[u8]>) -> bool {
    let header = message.header();
    message.header_counts().ancount() == 0 && !header.aa() && !header.ra()
}

/// How long a negative answer holds (RFC 2308, 5); `None` without a SOA record that can be read.
fn negative_ttl(message: &Message<[u8]>) -> Option<Duration> {
    let authority = message.authority().ok()?.flatten();
    let mut ttls = authority.filter(|record| record.class() == Class::IN).filter_map(|record| {
        let soa = record.to_record::<Soa<ParsedName<&[u8]>>>().ok()??;
        Some(seconds(soa.ttl()).min(seconds(soa.data().minimum())))
    });
    ttls.next()
}

/// A time to live; with the top bit set it counts as 0 (RFC 2181, 8).
fn seconds(ttl: Ttl) -> Duration {
    let seconds = ttl.as_secs();
    Duration::from_secs(if seconds > i32::MAX as u32 { 0 } else { seconds.into() })
}

fn shortest(ttl: Option<Duration>, other: Duration) -> Duration {
    ttl.map_or(other, |ttl| ttl.min(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u16 = 0x1234;
    const REPLY: u16 = 0x8180;
    /// A pointer to the name of the question, which follows the twelve octets of the header.
    const ASKED: &[u8] = b"\xc0\x0c";
    const A: u16 = 1;
    const CNAME: u16 = 5;
    const SOA: u16 = 6;
    const OPT: u16 = 41;

    fn name(text: &str) -> Name {
        Name::from_text(text).expect(text)
    }

    fn wire(text: &str) -> Vec<u8> {
        name(text).0.as_slice().to_vec()
    }

    fn record(owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).expect("short data").to_be_bytes();
        let ttl = ttl.to_be_bytes();
        [owner, &rtype.to_be_bytes(), &[0, 1], &ttl, &length, data].concat()
    }

    /// An address of the name that was asked for, by its last octet.
    fn good(last: u8) -> Vec<u8> {
        record(ASKED, A, 60, &[10, 0, 0, last])
    }

    fn soa(owner: &str, ttl: u32, minimum: u32) -> Vec<u8> {
        let data = [wire("ns"), wire("admin"), vec![0; 16], minimum.to_be_bytes().to_vec()];
        record(&wire(owner), SOA, ttl, &data.concat())
    }

    /// A message about `a.example` with records in its three sections.
    fn message(flags: u16, kind: Kind, sections: [&[Vec<u8>]; 3]) -> Vec<u8> {
        let mut bytes = [ID.to_be_bytes(), flags.to_be_bytes(), [0, 1]].concat();
        for section in sections {
            bytes.extend((section.len() as u16).to_be_bytes());
        }
        bytes.extend(wire("a.example"));
        bytes.extend(kind.rtype().to_int().to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(sections.concat().concat());
        bytes
    }

    fn read(bytes: &[u8], kind: Kind) -> Reply {
        read_reply(bytes, ID, &name("a.example"), kind, false)
    }

    fn incomplete(part: &[&str]) -> Reply {
        match addresses(part, 60) {
            Reply::Records { .. } if part.is_empty() => Reply::Incomplete { part: None },
            Reply::Records { records, ttl } => Reply::Incomplete { part: Some((records, ttl)) },
            _ => panic!("not addresses"),
        }
    }

    /// The reply to a question for A whose answer and authority are these records.
    #[track_caller]
    fn check(answer: &[Vec<u8>], authority: &[Vec<u8>], want: &Reply) {
        let bytes = message(REPLY, Kind::A, [answer, authority, &[]]);
        assert_eq!(&read(&bytes, Kind::A), want);
    }

    fn addresses(texts: &[&str], ttl: u64) -> Reply {
        let addresses = texts.iter().map(|text| text.parse().expect(text)).collect();
        let records = Records::Addresses(addresses);
        Reply::Records { records, ttl: Duration::from_secs(ttl) }
    }

    fn nothing(exists: bool, ttl: Option<u64>) -> Reply {
        Reply::Nothing { exists, ttl: ttl.map(Duration::from_secs) }
    }

    fn alias(target: &str, ttl: u64) -> Reply {
        Reply::Alias { target: name(target), ttl: Duration::from_secs(ttl) }
    }

    #[test]
    fn questions() {
        let header = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00";
        let plain = [&header[..], b"\x00\x01A\x02bc\x00\x00\x21\x00\x01"].concat();
        assert_eq!(question(ID, &name("A.bc"), Kind::Srv, false), plain);
        let option = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
        let edns = [&header[..], b"\x01\x01A\x02bc\x00\x00\x1c\x00\x01", option].concat();
        assert_eq!(question(ID, &name("A.bc."), Kind::Aaaa, true), edns);
        let label = "a".repeat(63);
        let longest = name(&format!("{label}.{label}.{label}.{}", "a".repeat(61)));
        assert_eq!(question(ID, &longest, Kind::A, true).len(), 12 + 255 + 4 + 11);
    }

    #[test]
    fn addresses_of_both_families() {
        let two = [record(ASKED, A, 60, &[10, 0, 0, 1]), record(ASKED, A, 50, &[10, 0, 0, 2])];
        check(&two, &[], &addresses(&["10.0.0.1", "10.0.0.2"], 50));
        let again = [two.clone(), two].concat();
        check(&again, &[], &addresses(&["10.0.0.1", "10.0.0.2"], 50));
        let six = [record(&wire("A.EXAMPLE"), 28, 7, &[0xfd; 16])];
        let bytes = message(REPLY, Kind::Aaaa, [&six, &[], &[]]);
        let want = addresses(&["fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd"], 7);
        assert_eq!(read(&bytes, Kind::Aaaa), want);
    }

    /// An alias for 9 seconds and its address for `ttl`.
    fn aliased(ttl: u32) -> [Vec<u8>; 2] {
        let cname = record(ASKED, CNAME, 9, &wire("b"));
        [cname, record(&wire("b"), A, ttl, &[10, 0, 0, 1])]
    }

    #[test]
    fn the_shortest_time_to_live_counts() {
        check(&aliased(60), &[], &addresses(&["10.0.0.1"], 9));
        check(&aliased(3), &[], &addresses(&["10.0.0.1"], 3));
        check(&aliased(0x8000_0000), &[], &addresses(&["10.0.0.1"], 0));
        let mut longer = aliased(60).to_vec();
        longer.insert(1, record(&wire("b"), CNAME, 12, &wire("c")));
        longer[2] = record(&wire("c"), A, 60, &[10, 0, 0, 1]);
        check(&longer, &[], &addresses(&["10.0.0.1"], 9));
        let longest = record(ASKED, A, 0x7fff_ffff, &[10, 0, 0, 1]);
        check(&[longest], &[], &addresses(&["10.0.0.1"], 0x7fff_ffff));
    }

    #[test]
    fn what_is_for_others_is_left_alone() {
        let good = record(ASKED, A, 60, &[10, 0, 0, 1]);
        let mut chaos = record(ASKED, A, 5, &[10, 0, 0, 2]);
        chaos[5] = 3;
        let strangers = [
            record(&wire("b.example"), A, 5, &[10, 0, 0, 3]),
            record(&wire("b.example"), A, 5, &[1, 2, 3]),
            record(ASKED, 0xff00, 5, &[0xff; 9]),
            record(ASKED, 28, 5, &[1, 2]),
            record(&wire("c"), CNAME, 5, &[0xff]),
            chaos,
        ];
        let answer = [&strangers[..], &[good], &strangers].concat();
        check(&answer, &strangers, &addresses(&["10.0.0.1"], 60));

        // An exchanger whose name is a pointer to itself, and a record without an end.
        let broken = record(ASKED, 15, 5, b"\x00\x0a\xc0\x40");
        let cut = [&broken[..broken.len() - 5], b"\xff\xff"].concat();
        for additional in [broken, cut, vec![0xc0, 0xff]] {
            let bytes = message(REPLY, Kind::A, [&answer, &[], &[additional]]);
            assert_eq!(read(&bytes, Kind::A), addresses(&["10.0.0.1"], 60));
        }
    }

    /// As many aliases in a row, and the address of the last one.
    fn chain(links: usize) -> Vec<Vec<u8>> {
        let mut owner = "a.example".to_owned();
        let mut answer = Vec::new();
        for link in 0..links {
            let target = format!("n{link}");
            answer.push(record(&wire(&owner), CNAME, 60, &wire(&target)));
            owner = target;
        }
        answer.push(record(&wire(&owner), A, 60, &[10, 0, 0, 1]));
        answer
    }

    #[test]
    fn aliases_are_followed_in_any_order() {
        let address = record(&wire("c"), A, 60, &[10, 0, 0, 1]);
        let second = record(&wire("b"), CNAME, 60, &wire("C"));
        let first = record(ASKED, CNAME, 60, &wire("b"));
        let want = addresses(&["10.0.0.1"], 60);
        check(&[address.clone(), second.clone(), first.clone()], &[], &want);
        check(&[first.clone(), second.clone(), address], &[], &want);
        check(&[second.clone(), first.clone()], &[], &alias("c", 60));
        let first = [first];
        check(&first, &[], &alias("b", 60));
        check(&first, &[soa(".", 5, 90)], &nothing(true, Some(5)));
        // The one that follows is not the one that was asked for.
        check(&[second], &[], &nothing(true, None));

        check(&chain(DNS_ALIASES_MAX), &[], &want);
        check(&chain(DNS_ALIASES_MAX + 1), &[], &Reply::Malformed);
    }

    #[test]
    fn what_is_needed_and_broken_is_malformed() {
        let loops = [record(ASKED, CNAME, 60, &wire("b")), record(&wire("b"), CNAME, 60, ASKED)];
        let itself = record(ASKED, CNAME, 60, ASKED);
        for answer in [
            &loops[..],
            &[itself],
            &[record(ASKED, A, 60, &[10, 0, 0])],
            &[record(ASKED, A, 60, &[10, 0, 0, 1, 0]), record(ASKED, A, 60, &[])],
            &[record(ASKED, CNAME, 60, b"\x01b")],
            // A pointer to itself, and two that point to each other. The answer begins at 27.
            &[record(ASKED, CNAME, 60, b"\xc0\x27")],
            &[record(ASKED, CNAME, 60, b"\x01b\xc0\x27")],
        ] {
            check(answer, &[], &Reply::Malformed);
        }
    }

    #[test]
    fn a_broken_record_spoils_none_beside_it() {
        let bad = [
            record(ASKED, A, 5, &[10, 0, 0]),
            record(ASKED, A, 5, &[10, 0, 0, 1, 0]),
            record(ASKED, A, 5, &[]),
            record(ASKED, CNAME, 5, b"\x01b"),
        ];
        for bad in bad {
            check(&[bad.clone(), good(1), good(2)], &[], &addresses(&["10.0.0.1", "10.0.0.2"], 60));
            check(&[good(1), bad.clone(), good(2)], &[], &addresses(&["10.0.0.1", "10.0.0.2"], 60));
            check(&[good(1), bad], &[], &addresses(&["10.0.0.1"], 60));
        }
    }

    #[test]
    fn what_ends_too_early_is_incomplete() {
        let cut = good(9)[..good(9).len() - 1].to_vec();
        check(&[good(1), cut.clone()], &[], &incomplete(&["10.0.0.1"]));
        check(&[cut], &[], &incomplete(&[]));
        // An owner that points to itself hides where the next record begins.
        let lost = record(b"\xc0\x1b", A, 60, &[10, 0, 0, 1]);
        check(&[lost, good(1)], &[], &incomplete(&[]));
        let cname = record(ASKED, CNAME, 60, &wire("b"));
        check(&[cname, good(1)[..5].to_vec()], &[], &incomplete(&[]));

        // As a server cuts that keeps to 512 octets and does not say so.
        let many: Vec<_> = (1..=40).map(good).collect();
        let whole = message(REPLY, Kind::A, [&many, &[], &[]]);
        let Reply::Incomplete { part: Some((Records::Addresses(part), _)) } =
            read(&whole[..512], Kind::A)
        else {
            panic!("not incomplete")
        };
        assert_eq!(part.len(), (512 - 27) / 16);
    }

    fn srv(priority: u16, port: u16, target: &[u8]) -> Vec<u8> {
        let data = [&priority.to_be_bytes()[..], &[0, 7], &port.to_be_bytes(), target].concat();
        record(ASKED, 33, 60, &data)
    }

    #[track_caller]
    fn check_srv(answer: &[Vec<u8>], authority: &[Vec<u8>], want: Result<&[(u16, &str)], Reply>) {
        let bytes = message(REPLY, Kind::Srv, [answer, authority, &[]]);
        let ttl = Duration::from_secs(60);
        let want = want.map(|services| {
            let services = services.iter().map(|(port, target)| Service {
                priority: 1,
                weight: 7,
                port: *port,
                target: name(target),
            });
            services.collect()
        });
        let want = want.map(|found| Reply::Records { records: Records::Services(found), ttl });
        assert_eq!(read(&bytes, Kind::Srv), want.unwrap_or_else(|reply| reply));
    }

    #[test]
    fn services() {
        // RFC 2782 forbids to compress the target; servers do it, and all clients follow it.
        let compressed = srv(1, 2379, b"\x01b\xc0\x0e");
        let plain = srv(1, 2380, &wire("c"));
        let both = [compressed, plain.clone(), plain.clone()];
        check_srv(&both, &[], Ok(&[(2379, "b.example"), (2380, "c")]));
        check_srv(&[srv(1, 0, &wire(".")), plain.clone()], &[], Ok(&[(2380, "c")]));
        check_srv(&[srv(1, 0, &wire("."))], &[], Err(nothing(true, Some(60))));
        let broken = srv(1, 1, b"\xc0\xff");
        check_srv(&[plain, broken.clone()], &[], Ok(&[(2380, "c")]));
        check_srv(&[srv(1, 0, &wire(".")), broken], &[], Err(Reply::Malformed));
        let many: Vec<_> = (0..40).map(|port| srv(1, port, &wire("c"))).collect();
        let want: Vec<_> = (0..40).map(|port| (port, "c")).collect();
        check_srv(&many, &[], Ok(&want));
    }

    #[test]
    fn all_that_a_message_holds_is_read_and_each_once() {
        let numbers = (0..3000).map(|i: u16| (i % 2000).to_be_bytes());
        let answer: Vec<_> =
            numbers.map(|[high, low]| record(ASKED, A, 60, &[10, 0, high, low])).collect();
        let bytes = message(REPLY, Kind::A, [&answer, &[], &[]]);
        let Reply::Records { records: Records::Addresses(found), .. } = read(&bytes, Kind::A)
        else {
            panic!("not addresses")
        };
        assert_eq!((found.len(), found[1999].to_string()), (2000, "10.0.7.207".to_owned()));
    }

    #[test]
    fn a_server_that_was_named_by_mistake_is_told_from_one_that_knows() {
        let (authoritative, recursive) = (0x8500, 0x8180);
        let lame = Reply::Failed(ServerFailure::Lame);
        let soa = [soa("example", 60, 50)];
        for (flags, authority, want) in [
            (0x8100, &[][..], lame),
            (0x8100, &soa[..], nothing(true, Some(50))),
            (authoritative, &[][..], nothing(true, None)),
            (recursive, &[][..], nothing(true, None)),
            (0x8103, &[][..], nothing(false, None)),
        ] {
            let bytes = message(flags, Kind::A, [&[], authority, &[]]);
            assert_eq!(read(&bytes, Kind::A), want, "{flags:#x} {authority:?}");
        }
    }

    /// The reading of a reply that says that there is no such name.
    fn missing(answer: &[Vec<u8>], authority: &[Vec<u8>]) -> Reply {
        read(&message(REPLY | 3, Kind::A, [answer, authority, &[]]), Kind::A)
    }

    #[test]
    fn nothing_is_an_answer() {
        check(&[], &[], &nothing(true, None));
        check(&[], &[soa("example", 60, 90)], &nothing(true, Some(60)));
        check(&[], &[soa("example", 90, 60)], &nothing(true, Some(60)));
        check(&[], &[soa("example", 90, 0xffff_ffff)], &nothing(true, Some(0)));
        let broken = record(&wire("example"), SOA, 60, &[0; 21]);
        check(&[], &[broken, soa("example", 60, 50)], &nothing(true, Some(50)));

        assert_eq!(missing(&[], &[]), nothing(false, None));
        assert_eq!(missing(&[], &[soa("example", 60, 50)]), nothing(false, Some(50)));
        let cname = [record(ASKED, CNAME, 9, &wire("b"))];
        assert_eq!(missing(&cname, &[]), nothing(false, None));
        assert_eq!(missing(&cname, &[soa(".", 60, 50)]), nothing(false, Some(9)));
        let address = [record(ASKED, A, 60, &[10, 0, 0, 1])];
        assert_eq!(missing(&address, &[]), nothing(false, None));
    }

    #[test]
    fn failures() {
        for (code, want, text) in [
            (1, ServerFailure::Format, "format_error"),
            (2, ServerFailure::Failure, "failure"),
            (4, ServerFailure::NotImplemented, "not_implemented"),
            (5, ServerFailure::Refused, "refused"),
            (6, ServerFailure::Other(6), "rcode_6"),
        ] {
            let bytes = message(REPLY | code, Kind::A, [&[], &[], &[]]);
            assert_eq!(read(&bytes, Kind::A), Reply::Failed(want));
            assert_eq!(want.to_string(), text);
        }
    }

    /// The reading of a reply to a question with EDNS; to one without, options are ignored.
    fn with_edns(sections: [&[Vec<u8>]; 3]) -> Reply {
        let bytes = message(REPLY, Kind::A, sections);
        assert_eq!(read(&bytes, Kind::A), addresses(&["10.0.0.1"], 60), "as if it were not there");
        read_reply(&bytes, ID, &name("a.example"), Kind::A, true)
    }

    #[test]
    fn options_count_where_they_were_asked_for() {
        let answer = [record(ASKED, A, 60, &[10, 0, 0, 1])];
        let plain = record(&[0], OPT, 0x0000_8000, &[1, 2, 3]);
        let option = &[plain.clone()][..];
        assert_eq!(with_edns([&answer, &[], option]), addresses(&["10.0.0.1"], 60));
        assert_eq!(with_edns([&answer, &[], &[]]), addresses(&["10.0.0.1"], 60));
        // BADVERS is 16: one in the OPT record, zero in the header (RFC 6891, 9).
        let bad_version = record(&[0], OPT, 0x0100_0000, &[]);
        let failed = Reply::Failed(ServerFailure::Other(16));
        assert_eq!(with_edns([&answer, &[], &[bad_version]]), failed);
        // Two of them, one of another owner than the root, one in another section.
        let owned = record(ASKED, OPT, 0, &[]);
        let both = [answer[0].clone(), plain.clone()];
        for sections in [
            [&answer[..], &[], &[plain.clone(), plain.clone()][..]],
            [&answer, &[], &[owned]],
            [&answer, option, &[]],
            [&both, &[], &[]],
            [&both, &[], option],
        ] {
            assert_eq!(with_edns(sections), Reply::Malformed);
        }
    }

    #[test]
    fn truncated_replies_are_to_be_asked_again() {
        let answer = [record(ASKED, A, 60, &[10, 0, 0, 1])];
        let bytes = message(REPLY | 0x0200, Kind::A, [&answer, &[], &[]]);
        assert_eq!(read(&bytes, Kind::A), Reply::Truncated);
    }

    #[test]
    fn only_our_question_counts() {
        let answer = [record(ASKED, A, 60, &[10, 0, 0, 1])];
        let good = message(REPLY, Kind::A, [&answer, &[], &[]]);
        let upper = good.to_ascii_uppercase();
        assert_eq!(read(&upper, Kind::A), addresses(&["10.0.0.1"], 60));
        assert_eq!(read_reply(&good, ID + 1, &name("a.example"), Kind::A, false), Reply::Foreign);
        assert_eq!(read_reply(&good, ID, &name("b.example"), Kind::A, false), Reply::Foreign);
        assert_eq!(read(&good, Kind::Aaaa), Reply::Foreign);
        // QR, the opcode, no question, two questions, the type, the class.
        for (at, value) in [(2, 0x01), (2, 0x89), (5, 0), (5, 2), (24, 2), (26, 3)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(read(&bytes, Kind::A), Reply::Foreign, "{value} at {at}");
        }
        assert_eq!(read(&question(ID, &name("a.example"), Kind::A, true), Kind::A), Reply::Foreign);
        assert_eq!(read(b"", Kind::A), Reply::Foreign);
    }

    #[test]
    fn a_server_without_edns_need_not_repeat_the_question() {
        for (code, want) in
            [(1, Reply::Failed(ServerFailure::Format)), (2, Reply::Foreign), (0, Reply::Foreign)]
        {
            let bare = [&ID.to_be_bytes()[..], &[0x80, code], &[0; 8]].concat();
            assert_eq!(read(&bare, Kind::A), want, "{code}");
        }
    }

    /// Of a part of a reply nothing is ever read that the whole does not say.
    #[test]
    fn parts_of_replies() {
        let option = [record(&[0], OPT, 0, &[])];
        let cname = record(ASKED, CNAME, 60, b"\x01b\xc0\x0e");
        let address = record(b"\x01b\xc0\x0e", A, 60, &[10, 0, 0, 1]);
        let services = [srv(1, 1, b"\x01b\xc0\x0e"), srv(1, 2, &wire("c"))];
        for (bytes, kind) in [
            (message(REPLY, Kind::A, [&[cname, address], &[], &option]), Kind::A),
            (message(REPLY, Kind::Srv, [&services, &[soa(".", 5, 5)], &option]), Kind::Srv),
            (message(REPLY | 3, Kind::A, [&[], &[soa("example", 60, 50)], &[]]), Kind::A),
        ] {
            let whole = read(&bytes, kind);
            for end in 0..bytes.len() {
                match read(&bytes[..end], kind) {
                    Reply::Foreign | Reply::Incomplete { part: None } => {}
                    Reply::Incomplete { part: Some((Records::Services(part), _)) } => {
                        let Reply::Records { records: Records::Services(all), .. } = &whole else {
                            panic!("{whole:?}")
                        };
                        assert_eq!(part, all[..1]);
                    }
                    Reply::Nothing { exists: false, ttl: None } => assert!(end >= 27),
                    part => assert_eq!(part, whole, "{end} of {}", bytes.len()),
                }
            }
        }
    }

    #[test]
    fn kinds_have_names() {
        let names = [Kind::A, Kind::Aaaa, Kind::Srv].map(|kind| kind.to_string());
        assert_eq!(names, ["A", "AAAA", "SRV"]);
    }
}
