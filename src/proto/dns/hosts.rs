//! The table of hosts: the addresses that hosts(5) gives to a name.
//!
//! Reads text that arrives in pieces, however they are cut; keeps what is asked for and nothing
//! else, so that neither a long file nor a long line takes memory. Must not open a file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str;

use crate::config::DNS_RECORDS_MAX;

/// The addresses of each name that the text of hosts(5) has any for; names in small letters and
/// without a trailing dot.
pub type Table = BTreeMap<String, Vec<IpAddr>>;

/// Bytes of the longest text that can be an address, `0000:…:255.255.255.255`.
const ADDRESS_BYTES_MAX: usize = 45;

/// All addresses that the text gives to each of `names`, as [`HostsReader`] finds them.
pub fn addresses<'a>(text: &[u8], names: impl Iterator<Item = &'a str>) -> Table {
    let mut reader = HostsReader::new(names.map(key).collect());
    reader.take(text);
    reader.finish()
}

/// Finds the addresses that a text gives to names, as host name or as alias: each once, in the
/// order of the file, the first [`DNS_RECORDS_MAX`] of each name. ASCII case makes no difference.
///
/// A line that is not understood is skipped, and so is one whose address has a zone
/// (`fe80::1%eth0`), which an [`IpAddr`] has no room for.
#[derive(Debug)]
pub struct HostsReader {
    wanted: BTreeSet<String>,
    /// For each number of bytes whether a wanted name is as long; by that most words of a long file
    /// are skipped.
    lengths: Vec<bool>,
    table: Table,
    place: Place,
    /// The first word of the line, or more of it than an address can have.
    address: Vec<u8>,
    /// The beginning of a word that the last piece ended in, no longer than needed to see that it
    /// is not one of the wanted names.
    cut: Vec<u8>,
    /// A word in small letters.
    lower: Vec<u8>,
}

/// The meaning of the next word of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Address,
    Name,
    Comment,
}

impl HostsReader {
    /// `wanted`: names as [`key`] gives them.
    pub fn new(wanted: BTreeSet<String>) -> HostsReader {
        let longest = wanted.iter().map(String::len).max().unwrap_or(0);
        let mut lengths = vec![false; longest + 1];
        wanted.iter().for_each(|name| lengths[name.len()] = true);
        let has_capitals = wanted.iter().any(|name| name.bytes().any(|b| b.is_ascii_uppercase()));
        debug_assert!(!has_capitals, "never found: words are compared in small letters");
        HostsReader {
            wanted,
            lengths,
            table: Table::new(),
            place: Place::Address,
            address: Vec::new(),
            cut: Vec::new(),
            lower: Vec::new(),
        }
    }

    /// Takes the next piece of the text.
    pub fn take(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.place == Place::Comment {
                debug_assert!(self.cut.is_empty(), "a word of a comment");
                let Some(end) = piece.iter().position(|byte| *byte == b'\n') else { return };
                piece = &piece[end..];
            }
            let Some(end) = piece.iter().position(ends_word) else {
                self.keep(piece);
                return;
            };
            self.end_word(&piece[..end]);
            match piece[end] {
                b'\n' => self.place = Place::Address,
                b'#' => self.place = Place::Comment,
                _ => {}
            }
            piece = &piece[end + 1..];
        }
    }

    /// Ends the text, and gives the table.
    pub fn finish(mut self) -> Table {
        self.end_word(&[]);
        for (name, addresses) in &self.table {
            debug_assert!(self.wanted.contains(name), "not asked for");
            debug_assert!(!addresses.is_empty(), "a name without an address");
            debug_assert!(addresses.len() <= DNS_RECORDS_MAX);
        }
        self.table
    }

    /// Keeps the beginning of a word for the next piece.
    fn keep(&mut self, part: &[u8]) {
        let most = self.lengths.len().max(ADDRESS_BYTES_MAX + 1);
        let room = most.saturating_sub(self.cut.len());
        self.cut.extend(&part[..part.len().min(room)]);
        debug_assert!(self.cut.len() <= most);
    }

    /// Ends a word with `part`; there is none if nothing precedes it either.
    fn end_word(&mut self, part: &[u8]) {
        if self.cut.is_empty() {
            if !part.is_empty() {
                self.on_word(part);
            }
            return;
        }
        self.keep(part);
        let word = std::mem::take(&mut self.cut);
        self.on_word(&word);
        self.cut = word;
        self.cut.clear();
        debug_assert!(self.place != Place::Address, "the first word of a line is its address");
    }

    fn on_word(&mut self, word: &[u8]) {
        debug_assert!(!word.is_empty(), "nothing is not a word");
        debug_assert!(!ends_word(&word[0]), "what ends a word begins none");
        match self.place {
            Place::Address => {
                self.address.clear();
                self.address.extend(&word[..word.len().min(ADDRESS_BYTES_MAX + 1)]);
                debug_assert!(self.address.len() <= ADDRESS_BYTES_MAX + 1, "kept without end");
                self.place = Place::Name;
            }
            Place::Name if self.lengths.get(word.len()) == Some(&true) => self.on_name(word),
            Place::Name | Place::Comment => {}
        }
    }

    fn on_name(&mut self, word: &[u8]) {
        debug_assert_eq!(self.place, Place::Name);
        debug_assert!(word.len() < self.lengths.len(), "longer than all that are wanted");
        debug_assert!(!self.address.is_empty(), "a name before the address");
        self.lower.clear();
        self.lower.extend(word.iter().map(u8::to_ascii_lowercase));
        let known = str::from_utf8(&self.lower).ok().and_then(|word| self.wanted.get(word));
        let Some(name) = known else { return };
        let address = str::from_utf8(&self.address).ok().and_then(|text| text.parse().ok());
        let Some(address) = address else { return };
        debug_assert!(self.address.len() <= ADDRESS_BYTES_MAX, "cut, and an address");
        let addresses = self.table.entry(name.clone()).or_default();
        if addresses.len() < DNS_RECORDS_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}

fn ends_word(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || *byte == b'#'
}

/// The name as a [`Table`] has it.
pub fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &[u8] = b"# a comment\n\
        127.0.0.1 localhost\n\
        ::1\tlocalhost ip6-localhost\r\n\
        \t 10.0.0.1  etcd-1.Example \tetcd-1 # etcd-9\n\
        fd00::1 etcd-1\n\
        10.0.0.1 etcd-1\n\
        #10.0.0.2 etcd-1\n\
        10.0.0.3 other#etcd-1\n\
        fe80::1%eth0 etcd-1 linked\n\
        10.0.0 etcd-1\n\
        10.0.0.256 etcd-1\n\
        etcd-1\n\
        \xff\xfe etcd-1\n\
        10.0.0.5 \xff bytes etcd-1.\n\
        10.0.0.4 etcd-1";

    fn found(text: &[u8], name: &str) -> Vec<IpAddr> {
        addresses(text, [name].into_iter()).remove(&key(name)).unwrap_or_default()
    }

    #[track_caller]
    fn check(name: &str, want: &[&str]) {
        let found = found(HOSTS, name);
        let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
        assert_eq!(found, want, "{name}");
    }

    #[test]
    fn names_and_aliases() {
        check("localhost", &["127.0.0.1", "::1"]);
        check("ip6-localhost", &["::1"]);
        check("etcd-1", &["10.0.0.1", "fd00::1", "10.0.0.4"]);
        check("ETCD-1.", &["10.0.0.1", "fd00::1", "10.0.0.4"]);
        check("etcd-1.example", &["10.0.0.1"]);
        check("bytes", &["10.0.0.5"]);
        check("other", &["10.0.0.3"]);
    }

    #[test]
    fn what_is_not_there() {
        for name in ["", ".", "etcd", "etcd-9", "#10.0.0.2", "10.0.0.1", "linked", "a comment"] {
            check(name, &[]);
        }
        assert_eq!(found(b"", "a"), [] as [IpAddr; 0]);
    }

    #[test]
    fn the_count_has_a_limit() {
        let text: String =
            (0..2 * DNS_RECORDS_MAX).map(|i| format!("10.0.{}.{} a\n", i / 256, i % 256)).collect();
        let found = found(text.as_bytes(), "a");
        assert_eq!(found.len(), DNS_RECORDS_MAX);
        assert_eq!(found[0].to_string(), "10.0.0.0");
    }

    fn read_in_pieces(size: usize) -> Table {
        let names = ["etcd-1", "localhost", "other"].map(str::to_owned);
        let mut reader = HostsReader::new(names.into());
        HOSTS.chunks(size).for_each(|piece| reader.take(piece));
        reader.finish()
    }

    /// A piece may end anywhere.
    #[test]
    fn pieces_make_no_difference() {
        let whole = read_in_pieces(HOSTS.len());
        assert_eq!(whole.len(), 3);
        for size in 1..HOSTS.len() {
            assert_eq!(read_in_pieces(size), whole, "pieces of {size} bytes");
        }
    }

    #[track_caller]
    fn feed(reader: &mut HostsReader, piece: &[u8]) {
        reader.take(piece);
        let bytes = reader.cut.capacity() + reader.address.capacity();
        assert!(bytes < 1000, "{bytes} bytes are held");
    }

    #[test]
    fn long_lines_and_words_take_no_memory() {
        const PIECE: &[u8] = &[b'x'; 1 << 16];
        let mut reader = HostsReader::new(["a".to_owned()].into());
        // An address without end, a name without end, a comment without end, a line without end.
        for begin in ["10.0.0.1", "10.0.0.2 b ", "10.0.0.3 # ", "10.0.0.4 "] {
            feed(&mut reader, begin.as_bytes());
            (0..160).for_each(|_| feed(&mut reader, PIECE));
            feed(&mut reader, b" a\n");
        }
        feed(&mut reader, b"10.0.0.5 ");
        (0..1000).for_each(|_| feed(&mut reader, &b"y ".repeat(1000)));
        feed(&mut reader, b"a");
        let found = reader.finish();
        let want: Vec<IpAddr> = [2, 4, 5].map(|last| IpAddr::from([10, 0, 0, last])).to_vec();
        assert_eq!(found["a"], want);
    }
}
