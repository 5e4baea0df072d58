//! The table of hosts: which addresses hosts(5) gives to a name.
//!
//! Reads text that somebody else read from the file; knows no names beyond the ones in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str;

use crate::config::DNS_RECORDS_MAX;

/// The addresses of each name that the text of hosts(5) has any for; names in small letters and
/// without a trailing dot.
pub type Table = BTreeMap<String, Vec<IpAddr>>;

/// All addresses that the text gives to each of `names`, as host name or as alias: each once, in
/// the order of the file, the first [`DNS_RECORDS_MAX`] of them. ASCII case makes no difference,
/// nor does a trailing dot of a name. The text is read once, however many names there are.
///
/// A line that is not understood is passed over, and so is one whose address has a zone
/// (`fe80::1%eth0`), which an [`IpAddr`] has no room for.
pub fn addresses<'a>(text: &[u8], names: impl Iterator<Item = &'a str>) -> Table {
    let wanted: BTreeSet<String> = names.map(key).collect();
    let mut table = Table::new();
    let mut lower = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or(line);
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(address) = words.next() else { continue };
        for word in words {
            lower.clear();
            lower.extend(word.iter().map(u8::to_ascii_lowercase));
            let known = str::from_utf8(&lower).ok().and_then(|word| wanted.get(word));
            let Some(name) = known else { continue };
            let address = str::from_utf8(address).ok().and_then(|text| text.parse().ok());
            let Some(address) = address else { continue };
            let addresses = table.entry(name.clone()).or_default();
            if addresses.len() < DNS_RECORDS_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    table
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
        let line = |i: usize| format!("10.0.{}.{} a\n", i / 256, i % 256);
        let text: String = (0..2 * DNS_RECORDS_MAX).map(line).collect();
        let found = found(text.as_bytes(), "a");
        assert_eq!(found.len(), DNS_RECORDS_MAX);
        assert_eq!(found[0].to_string(), "10.0.0.0");
    }
}
