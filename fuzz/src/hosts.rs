//! The table of hosts: a name has the addresses of its lines, whatever else is there.
//!
//! The oracle makes the whole table of names and addresses first, where the product looks for one
//! name, and gets the text in pieces. It must not call the product.

use std::net::IpAddr;

use etcd_gateway::proto::dns::hosts::{self, HostsReader};

/// Reads the first line as the name to look up and the rest as hosts(5).
pub fn check(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (name, text) = (String::from_utf8_lossy(&data[..end]), &data[end..]);
    let found = addresses(text, &name);
    assert_eq!(found, expected(text, &name), "{name:?}");
    assert_eq!(addresses(text, &name.to_ascii_uppercase()), found);
    for size in [1, 1 + data.len() / 3] {
        let mut reader = HostsReader::new([hosts::key(&name)].into());
        text.chunks(size).for_each(|piece| reader.take(piece));
        let mut table = reader.finish();
        assert_eq!(table.remove(&hosts::key(&name)).unwrap_or_default(), found, "{name:?} {size}");
    }

    // One more line is one more address, if the name is a word.
    let is_word = |c: char| !c.is_ascii_whitespace() && c != '#';
    let bare = name.strip_suffix('.').unwrap_or(&name);
    if found.len() < 257 && !bare.is_empty() && bare.chars().all(is_word) {
        let line = format!("\n10.9.8.7 other {bare} # 1\n");
        let longer = addresses(&[text, line.as_bytes()].concat(), &name);
        let new = IpAddr::from([10, 9, 8, 7]);
        let want = if found.contains(&new) { found } else { [&found[..], &[new]].concat() };
        assert_eq!(longer, want, "{name:?}");
    }
}

/// What the text gives to one name.
pub fn addresses(text: &[u8], name: &str) -> Vec<IpAddr> {
    let mut table = hosts::addresses(text, ["other", name].into_iter());
    table.remove(&hosts::key(name)).unwrap_or_default()
}

fn expected(text: &[u8], name: &str) -> Vec<IpAddr> {
    // Each byte is a character: that keeps what is not UTF-8.
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let mut table: Vec<(IpAddr, String)> = Vec::new();
    for line in latin(text).split('\n') {
        let line = &line[..line.find('#').unwrap_or(line.len())];
        let words = line.split([' ', '\t', '\r', '\u{c}']);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let Some((address, names)) = words.split_first() else { continue };
        let Ok(address) = address.parse::<IpAddr>() else { continue };
        table.extend(names.iter().map(|name| (address, name.to_ascii_lowercase())));
    }
    let name = latin(name.strip_suffix('.').unwrap_or(name).as_bytes()).to_ascii_lowercase();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (address, _) in table.into_iter().filter(|(_, known)| *known == name) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(257);
    addresses
}
