//! Replies of DNS: what a message says about a question, and nothing that it does not say. And
//! questions: what we encode is the question that was meant.
//!
//! The oracle is a decoder with an index and explicit bounds, where the product lets a crate do
//! the reading. Both say what they found in the same words, which are compared. It must not call
//! the product.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::str;

use etcd_gateway::proto::dns::message::{Kind, Records, Reply, question, read_reply};
use etcd_gateway::proto::dns::name::Name;

use super::assert_one_line;

/// The labels of a name without the root, as they were written.
pub type Labels = Vec<Vec<u8>>;

/// Reads the first byte as what is asked for, and the rest as the reply. The bits: 0-1 the kind, 2
/// another id than that of the reply, 3 another name than that of the reply, 4 EDNS.
pub fn check(data: &[u8]) {
    let Some((&selector, bytes)) = data.split_first() else { return };
    let kind = [Kind::A, Kind::Aaaa, Kind::Srv, Kind::Srv][usize::from(selector & 3)];
    let own_id = u16_at(bytes, 0).filter(|_| selector & 4 == 0);
    let id = own_id.unwrap_or(0x0102);
    let own_name = name_at(bytes, 12).map(|(labels, _)| labels).filter(|_| selector & 8 == 0);
    let (labels, name) = own_name.and_then(expressible).unwrap_or_else(|| {
        let labels = vec![b"a".to_vec(), b"b".to_vec()];
        expressible(labels).expect("a name")
    });
    assert_eq!(lower(&name.to_string()), show(&labels));

    let edns = selector & 16 != 0;
    let reply = read_reply(bytes, id, &name, kind, edns);
    let want = expected(bytes, id, &labels, kind, edns).unwrap_or_else(|| "malformed".to_owned());
    assert_eq!(in_words(&reply), want, "{kind} {name} {reply:?}");
    check_question(id, &name, &labels, kind, edns);
}

/// A name that can be typed: neither a dot nor bytes that are not text in its labels.
fn expressible(labels: Labels) -> Option<(Labels, Name)> {
    let text = labels.join(&b'.');
    let has_dot = labels.iter().any(|label| label.contains(&b'.'));
    let name = Name::from_text(str::from_utf8(&[&text[..], b"."].concat()).ok()?)?;
    (!has_dot).then_some((labels, name))
}

/// The reply in plain words, with every promise about it checked.
fn in_words(reply: &Reply) -> String {
    match reply {
        Reply::Foreign => "foreign".to_owned(),
        Reply::Malformed => "malformed".to_owned(),
        Reply::Truncated => "truncated".to_owned(),
        Reply::Incomplete { part: None } => "incomplete".to_owned(),
        Reply::Incomplete { part: Some((records, ttl)) } => {
            let part = Reply::Records { records: records.clone(), ttl: *ttl };
            format!("incomplete {}", in_words(&part))
        }
        Reply::Failed(failure) => {
            assert_one_line(&failure.to_string());
            format!("failed {failure}")
        }
        Reply::Alias { target, ttl } => {
            assert_one_line(&target.to_string());
            format!("alias {} {}", lower(&target.to_string()), ttl.as_secs())
        }
        Reply::Nothing { exists, ttl } => {
            format!("nothing {exists} {:?}", ttl.map(|ttl| ttl.as_secs()))
        }
        Reply::Records { records, ttl } => {
            let texts: Vec<String> = match records {
                Records::Addresses(addresses) => addresses.iter().map(|a| a.to_string()).collect(),
                Records::Services(services) => {
                    let service = |s: &etcd_gateway::proto::dns::message::Service| {
                        assert_one_line(&s.target.to_string());
                        assert!(!s.target.is_root());
                        let target = lower(&s.target.to_string());
                        format!("{}/{}/{}/{target}", s.priority, s.weight, s.port)
                    };
                    services.iter().map(service).collect()
                }
            };
            assert!(!texts.is_empty());
            assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len());
            assert!(ttl.as_secs() < 1 << 31);
            format!("records {} {texts:?}", ttl.as_secs())
        }
    }
}

/// The bytes of a question are the question, and as a reply say that there is nothing.
fn check_question(id: u16, name: &Name, labels: &[Vec<u8>], kind: Kind, edns: bool) {
    let mut bytes = question(id, name, kind, edns);
    let counts = [0x0100, 1, 0, 0, u16::from(edns)];
    assert_eq!(u16_at(&bytes, 0), Some(id));
    for (i, count) in counts.into_iter().enumerate() {
        assert_eq!(u16_at(&bytes, 2 + 2 * i), Some(count));
    }
    let (asked, at) = name_at(&bytes, 12).expect("a name");
    assert_eq!(asked, labels);
    assert_eq!((u16_at(&bytes, at), u16_at(&bytes, at + 2)), (Some(code_of(kind)), Some(1)));
    let option = if edns { &[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0][..] } else { &[] };
    assert_eq!(&bytes[at + 4..], option);

    assert_eq!(read_reply(&bytes, id, name, kind, edns), Reply::Foreign);
    bytes[2] |= 0x80;
    assert_eq!(in_words(&read_reply(&bytes, id, name, kind, edns)), "failed lame");
    bytes[3] |= 0x80;
    let nothing = Reply::Nothing { exists: true, ttl: None };
    assert_eq!(read_reply(&bytes, id, name, kind, edns), nothing);
}

fn code_of(kind: Kind) -> u16 {
    match kind {
        Kind::A => 1,
        Kind::Aaaa => 28,
        Kind::Srv => 33,
    }
}

// ------------------------------------------------------------------------------- the oracle

const CNAME: u16 = 5;
const SOA: u16 = 6;
const OPT: u16 = 41;

struct Entry {
    owner: String,
    kind: u16,
    class: u16,
    ttl: u32,
    data: Range<usize>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The name at an index, through all its pointers, and the index after it.
fn name_at(bytes: &[u8], start: usize) -> Option<(Labels, usize)> {
    let (mut at, mut after, mut octets, mut pointers) = (start, None, 1, 0);
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some((labels, after.unwrap_or(at + 1))),
            1..64 => {
                labels.push(bytes.get(at + 1..at + 1 + length)?.to_vec());
                (at, octets) = (at + 1 + length, octets + 1 + length);
            }
            192.. => {
                let target = usize::from(u16_at(bytes, at)? & 0x3fff);
                after = after.or(Some(at + 2));
                pointers += 1;
                // Backwards alone, so that there is an end.
                if target >= at {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if octets > 255 || pointers > 255 {
            return None;
        }
    }
}

/// The index after a name whose pointer, if it has one, may lead anywhere.
fn after_name(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some(at + 1).filter(|end| end - start <= 255),
            1..64 => at += 1 + length,
            192.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
        if at > bytes.len() || at - start > 255 {
            return None;
        }
    }
}

fn entry_at(bytes: &[u8], start: usize) -> Option<(Entry, usize)> {
    let (owner, at) = name_at(bytes, start)?;
    let end = after_entry(bytes, start)?;
    let (kind, class) = (u16_at(bytes, at)?, u16_at(bytes, at + 2)?);
    let ttl = u32_at(bytes, at + 4)?;
    Some((Entry { owner: show(&owner), kind, class, ttl, data: at + 10..end }, end))
}

fn after_entry(bytes: &[u8], start: usize) -> Option<usize> {
    let at = after_name(bytes, start)?;
    let end = at + 10 + usize::from(u16_at(bytes, at + 8)?);
    (end <= bytes.len()).then_some(end)
}

/// The entries up to the first that is broken, and the index after the last if none is.
fn entries(bytes: &[u8], start: Option<usize>, count: u16) -> (Vec<Entry>, Option<usize>) {
    let mut entries = Vec::new();
    let Some(mut at) = start else { return (entries, None) };
    for _ in 0..count {
        let Some((entry, end)) = entry_at(bytes, at) else { return (entries, None) };
        entries.push(entry);
        at = end;
    }
    (entries, Some(at))
}

/// The response code with what an OPT record adds, if there is one; `None` if there are more, or
/// it is where it must not be.
fn extended_code(bytes: &[u8], start: usize) -> Option<u16> {
    let (mut at, mut found) = (Some(start), Vec::new());
    for section in 0..3 {
        let count = u16_at(bytes, 6 + 2 * section)?;
        let (entries, _) = entries(bytes, at, count);
        let options = entries.into_iter().filter(|entry| entry.kind == OPT);
        found.extend(options.map(|entry| (section, entry)));
        for _ in 0..count {
            at = at.and_then(|at| after_entry(bytes, at));
        }
    }
    let own = u16_at(bytes, 2)? % 16;
    match &found[..] {
        [] => Some(own),
        [(2, option)] if option.owner == show(&Labels::new()) => {
            Some((option.ttl >> 24) as u16 * 16 + own)
        }
        _ => None,
    }
}

/// What the bytes say about the question, in words; `None` if that cannot be read.
fn expected(bytes: &[u8], id: u16, labels: &[Vec<u8>], kind: Kind, edns: bool) -> Option<String> {
    let foreign = Some("foreign".to_owned());
    let (Some(flags), Some(_)) = (u16_at(bytes, 2), u16_at(bytes, 10)) else { return foreign };
    let code = flags % 16;
    // QR and the four bits of the opcode.
    if u16_at(bytes, 0) != Some(id) || flags & 0xf800 != 0x8000 {
        return foreign;
    }
    if u16_at(bytes, 4) == Some(0) && code == 1 {
        return Some("failed format_error".to_owned());
    }
    let Some((asked, at)) = name_at(bytes, 12) else { return foreign };
    let is_ours = u16_at(bytes, 4) == Some(1)
        && show(&asked) == show(labels)
        && u16_at(bytes, at) == Some(code_of(kind))
        && u16_at(bytes, at + 2) == Some(1);
    if !is_ours {
        return foreign;
    }
    if flags & 0x0200 != 0 {
        return Some("truncated".to_owned());
    }
    let code = if edns { extended_code(bytes, at + 4)? } else { code };
    Some(match code {
        0 | 3 => {
            let words = expected_answer(bytes, at + 4, &show(labels), kind, code == 0);
            let is_whole = entries(bytes, Some(at + 4), u16_at(bytes, 6)?).1.is_some();
            let is_records = words.as_ref().is_some_and(|words| words.starts_with("records"));
            return match is_whole {
                true => words,
                false if is_records => words.map(|words| format!("incomplete {words}")),
                false => Some("incomplete".to_owned()),
            };
        }
        1 => "failed format_error".to_owned(),
        2 => "failed failure".to_owned(),
        4 => "failed not_implemented".to_owned(),
        5 => "failed refused".to_owned(),
        other => format!("failed rcode_{other}"),
    })
}

fn expected_answer(
    bytes: &[u8],
    start: usize,
    asked: &str,
    kind: Kind,
    exists: bool,
) -> Option<String> {
    let (mut answer, end) = entries(bytes, Some(start), u16_at(bytes, 6)?);
    let (authority, _) = entries(bytes, end, u16_at(bytes, 8)?);
    answer.retain(|entry| entry.class == 1);
    let at = |owner: &str, kind: u16| -> Vec<&Entry> {
        answer.iter().filter(|entry| entry.owner == owner && entry.kind == kind).collect()
    };
    let ends = |owner: &str| exists && !at(owner, code_of(kind)).is_empty();

    let (mut owner, mut ttls, mut links) = (asked.to_owned(), Vec::new(), 0);
    while let Some(alias) = at(&owner, CNAME).first().filter(|_| !ends(&owner)) {
        links += 1;
        if links > 16 {
            return None;
        }
        ttls.push(seconds(alias.ttl));
        owner = whole_name(bytes, alias.data.clone())?;
    }
    if ends(&owner) {
        let mut texts = Vec::new();
        let found = at(&owner, code_of(kind));
        for entry in &found {
            let Some(text) = expected_data(bytes, entry, kind) else { continue };
            ttls.push(seconds(entry.ttl));
            texts.push(text);
        }
        let has_broken = texts.len() < found.len();
        texts.retain(|text| !text.is_empty());
        if texts.is_empty() && has_broken {
            return None;
        }
        let mut seen = HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        let ttl = ttls.into_iter().min()?;
        return Some(match texts.is_empty() {
            true => format!("nothing true {:?}", Some(ttl)),
            false => format!("records {ttl} {texts:?}"),
        });
    }
    let negative = authority.iter().find_map(|entry| expected_negative(bytes, entry));
    if exists && negative.is_none() && links > 0 {
        return Some(format!("alias {owner} {}", ttls.into_iter().min()?));
    }
    // Neither AA nor RA, and an empty answer.
    let is_lame = u16_at(bytes, 2)? & 0x0400 == 0 && u16_at(bytes, 2)? & 0x0080 == 0;
    if exists && negative.is_none() && links == 0 && is_lame && u16_at(bytes, 6)? == 0 {
        return Some("failed lame".to_owned());
    }
    let ttl = negative.and_then(|negative| ttls.into_iter().chain([negative]).min());
    Some(format!("nothing {exists} {ttl:?}"))
}

fn seconds(ttl: u32) -> u32 {
    if ttl >> 31 == 1 { 0 } else { ttl }
}

/// The name that fills the data, no byte more and no byte less.
fn whole_name(bytes: &[u8], data: Range<usize>) -> Option<String> {
    let (labels, end) = name_at(&bytes[..data.end], data.start)?;
    (end == data.end).then(|| show(&labels))
}

/// One record in words; nothing for a service that is not to be had.
fn expected_data(bytes: &[u8], entry: &Entry, kind: Kind) -> Option<String> {
    let data = &bytes[entry.data.clone()];
    Some(match kind {
        Kind::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
        Kind::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
        Kind::Srv => {
            let (priority, weight) = (u16_at(data, 0)?, u16_at(data, 2)?);
            let port = u16_at(data, 4)?;
            let target = whole_name(bytes, entry.data.start + 6..entry.data.end)?;
            match target.as_str() {
                "." => String::new(),
                target => format!("{priority}/{weight}/{port}/{target}"),
            }
        }
    })
}

fn expected_negative(bytes: &[u8], entry: &Entry) -> Option<u32> {
    let bytes = &bytes[..entry.data.end];
    let (_, at) = name_at(bytes, entry.data.start)?;
    let (_, at) = name_at(bytes, at)?;
    let minimum = u32_at(bytes, at + 16)?;
    let is_soa = (entry.kind, entry.class) == (SOA, 1) && at + 20 == bytes.len();
    is_soa.then(|| seconds(entry.ttl).min(seconds(minimum)))
}

/// A name as one line, in small letters.
pub fn show(labels: &[Vec<u8>]) -> String {
    let byte = |byte: &u8| match byte {
        b'.' | b' ' | b'\\' => format!("\\{}", char::from(*byte)),
        0x21..0x7f => char::from(*byte).to_string(),
        _ => format!("\\{byte:03}"),
    };
    let label = |label: &Vec<u8>| label.iter().map(byte).collect::<String>();
    let labels: Vec<String> = labels.iter().map(label).collect();
    if labels.is_empty() { ".".to_owned() } else { lower(&labels.join(".")) }
}

pub fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}
