//! The configuration of the resolver: whatever the file says is read as documented, and the names
//! to ask for follow from it.
//!
//! The oracle works on characters and whole lists, where the product goes through bytes once. It
//! must not call the product.

use std::net::SocketAddr;

use etcd_gateway::config::DNS_SEARCH_MAX;
use etcd_gateway::proto::dns::resolv_conf::{Environment, Problem, ResolvConf, parse};
use etcd_gateway::proto::dns::search::candidates;

use super::assert_one_line;
use super::dns_reply::{Labels, lower, show};

/// Reads the first line as the name of the host and a name to look up, the rest as resolv.conf(5);
/// lines of that which set a variable as a shell does are the environment, too.
pub fn check(data: &[u8]) {
    // Each byte is a character: that keeps what is not UTF-8.
    let text: String = data.iter().map(|byte| char::from(*byte)).collect();
    let (first, text) = text.split_once('\n').unwrap_or((&text, ""));
    let (host_name, name) = first.split_once(' ').unwrap_or((first, ""));
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();

    let mut found = parse(&bytes, host_name, zone);
    let problem = found.problem.clone();
    let in_latin = |text: &str| text.chars().map(|c| c as u8).collect();
    let variable = |name| variable(text, name).map(in_latin);
    let (local_domain, options) = (variable("LOCALDOMAIN="), variable("RES_OPTIONS="));
    found.amend(&Environment { local_domain, options });
    check_configuration(&found, text, host_name);
    check_problem(problem, text);
    let list = candidates(name, &found);
    let shown: Vec<String> = list.iter().map(|name| lower(&name.to_string())).collect();
    shown.iter().for_each(|text| assert_one_line(text));
    assert_eq!(shown, expected_candidates(name, text, host_name), "{name:?} {found:?}");
}

fn variable<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split('\n').find_map(|line| line.strip_prefix(name))
}

/// What is wrong with the file alone; none that the fuzzer makes is too long.
fn check_problem(problem: Option<Problem>, text: &str) {
    let is_server = |value: String| {
        let word = value.trim_start_matches(BLANKS).split(BLANKS).next()?;
        expected_server(word)
    };
    let has_server = values(text, "nameserver").into_iter().any(|value| is_server(value).is_some());
    let want = match (text.is_empty(), has_server) {
        (true, _) => Some(Problem::Empty),
        (false, false) => Some(Problem::NoServer),
        (false, true) => problem.clone().filter(|problem| *problem == Problem::TooManySuffixes),
    };
    assert_eq!(problem, want, "{text:?}");
}

/// What was given as text, as a character for each byte, too.
fn in_bytes(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

fn zone(interface: &str) -> Option<u32> {
    interface.strip_prefix('e').map(|rest| rest.len() as u32)
}

fn check_configuration(found: &ResolvConf, text: &str, host_name: &str) {
    let servers = values(text, "nameserver").into_iter().filter_map(|value| {
        let word = value.trim_start_matches(BLANKS).split(BLANKS).next()?;
        expected_server(word)
    });
    let mut servers: Vec<SocketAddr> = servers.take(3).collect();
    if servers.is_empty() {
        servers.push("127.0.0.1:53".parse().expect("an address"));
    }
    assert_eq!(found.servers, servers, "{text:?}");
    let search = expected_search(text, host_name);
    let search: Vec<String> = search.iter().map(|labels| show(labels)).collect();
    let shown: Vec<String> = found.search.iter().map(|name| lower(&name.to_string())).collect();
    assert_eq!(shown, search, "{text:?}");

    let options = all_options(text);
    let last = |key: &str| options.iter().rev().find_map(|tail| tail.strip_prefix(key));
    let number = |key, default: u32| last(key).map_or(default, expected_number);
    assert_eq!(u32::from(found.dots_min), number("ndots:", 1).min(15), "{text:?}");
    assert_eq!(found.timeout.as_secs(), u64::from(number("timeout:", 5).clamp(1, 30)), "{text:?}");
    assert_eq!(found.timeout.subsec_nanos(), 0);
    assert_eq!(u32::from(found.attempts), number("attempts:", 2).clamp(1, 5), "{text:?}");
    assert_eq!(found.rotate, last("rotate").is_some(), "{text:?}");
    assert_eq!(found.tcp_only, last("use-vc").is_some(), "{text:?}");
    assert_eq!(found.no_aaaa, last("no-aaaa").is_some(), "{text:?}");
    assert_eq!(found.no_reload, last("no-reload").is_some(), "{text:?}");
    let single = || options.iter().filter_map(|tail| tail.strip_prefix("single-request"));
    assert_eq!(found.one_by_one, single().any(|tail| !tail.starts_with("-reopen")), "{text:?}");
    assert_eq!(found.no_tld_query, is_tld_unwanted(&options), "{text:?}");
}

/// The options of the file, and then those of the environment, each with all that follows it.
fn all_options(text: &str) -> Vec<String> {
    let mut options: Vec<String> = values(text, "options").iter().flat_map(|v| tails(v)).collect();
    options.extend(variable(text, "RES_OPTIONS=").into_iter().flat_map(tails));
    options
}

fn is_tld_unwanted(options: &[String]) -> bool {
    let is_it = |tail: &String| tail.replace("no_tld_", "no-tld-").starts_with("no-tld-query");
    let is_mixed = |tail: &String| tail.starts_with("no_tld-") || tail.starts_with("no-tld_");
    options.iter().any(|tail| is_it(tail) && !is_mixed(tail))
}

const BLANKS: [char; 2] = [' ', '\t'];

/// What follows a keyword, for each line that begins with it.
fn values(text: &str, keyword: &str) -> Vec<String> {
    let line = |line: &str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\0').next().map(str::to_owned)
    };
    let lines = text.split('\n').filter_map(line);
    let value = |line: String| {
        let rest = line.strip_prefix(keyword)?.to_owned();
        rest.starts_with(BLANKS).then_some(rest)
    };
    lines.filter_map(value).collect()
}

/// The ends of a text that begin with a word, up to the end of the text.
fn tails(text: &str) -> Vec<String> {
    let chars: Vec<char> = [&[' '], &text.chars().collect::<Vec<_>>()[..]].concat();
    let starts =
        (1..chars.len()).filter(|&i| BLANKS.contains(&chars[i - 1]) && !BLANKS.contains(&chars[i]));
    starts.map(|i| chars[i..].iter().collect()).collect()
}

fn expected_number(text: &str) -> u32 {
    let is_space = |c: char| c.is_ascii_whitespace();
    let text = text.trim_start_matches(is_space);
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let digits = text[..end].trim_start_matches('0');
    if digits.len() > 3 { 999 } else { format!("0{digits}").parse().expect("digits") }
}

fn expected_server(word: &str) -> Option<SocketAddr> {
    if word.parse::<std::net::Ipv4Addr>().is_ok() {
        return format!("{word}:53").parse().ok();
    }
    let (address, interface) = word.split_once('%').unwrap_or((word, "0"));
    let plain: SocketAddr = format!("[{address}]:53").parse().ok()?;
    let SocketAddr::V6(v6) = plain else { return None };
    let [first, second, ..] = v6.ip().octets();
    let on_link = first == 0xfe && (0x80..0xc0).contains(&second);
    let on_link = on_link || (first == 0xff && second % 16 == 2);
    let number = interface.trim_start_matches('0');
    let index = match interface.chars().all(|c| c.is_ascii_digit()) {
        true => format!("0{number}").parse::<u64>().ok().and_then(|n| u32::try_from(n).ok()),
        false => {
            let bytes: Vec<u8> = interface.chars().map(|c| c as u8).collect();
            String::from_utf8(bytes).ok().and_then(|name| zone(&name)).filter(|_| on_link)
        }
    };
    format!("[{address}%{}]:53", index.unwrap_or(0)).parse().ok()
}

/// The labels of a name, with or without the dot at its end.
fn labels(text: &str) -> Option<Labels> {
    if text == "." {
        return Some(Vec::new());
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let labels: Labels =
        text.split('.').map(|label| label.chars().map(|c| c as u8).collect()).collect();
    fits(&labels).then_some(labels)
}

fn fits(labels: &[Vec<u8>]) -> bool {
    let is_good = |label: &Vec<u8>| (1..64).contains(&label.len());
    let octets: usize = labels.iter().map(|label| label.len() + 1).sum();
    labels.iter().all(is_good) && octets < 255
}

fn suffix(word: &str) -> Option<Labels> {
    let word = word.strip_prefix('.').unwrap_or(word);
    if word.is_empty() { Some(Vec::new()) } else { labels(word) }
}

fn expected_search(text: &str, host_name: &str) -> Vec<Labels> {
    if let Some(list) = variable(text, "LOCALDOMAIN=") {
        let root = if list.starts_with(BLANKS) || list.is_empty() { "." } else { "" };
        let words = format!("{root} {list}").replace('\t', " ");
        let words = words.split(' ').filter(|word| !word.is_empty());
        return words.filter_map(suffix).take(DNS_SEARCH_MAX).collect();
    }
    let mut lists: Vec<Vec<String>> = Vec::new();
    for line in text.split('\n') {
        let words = |value: &String| {
            let words = value.split(BLANKS).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<String>>()
        };
        let mut domain: Vec<_> = values(line, "domain").iter().map(words).collect();
        domain.iter_mut().for_each(|words| words.truncate(1));
        let search = values(line, "search").iter().map(words).collect();
        lists.extend([domain, search].concat().into_iter().filter(|words| !words.is_empty()));
    }
    let host_name = in_bytes(host_name);
    let default = || host_name.split_once('.').map(|(_, rest)| rest.to_owned());
    let words = lists.pop().unwrap_or_else(|| default().into_iter().collect());
    let mut names: Vec<Labels> = words.iter().filter_map(|word| suffix(word)).collect();
    names.truncate(DNS_SEARCH_MAX);
    names
}

fn expected_candidates(name: &str, text: &str, host_name: &str) -> Vec<String> {
    let Some(own) = labels(&in_bytes(name)) else { return Vec::new() };
    let search = expected_search(text, host_name);
    let has_suffix = !search.is_empty();
    let searched = search.into_iter().map(|suffix| [own.clone(), suffix].concat());
    let mut all: Vec<Labels> = searched.filter(|labels| fits(labels)).collect();
    let options = all_options(text);
    let dots = options.iter().rev().find_map(|tail| tail.strip_prefix("ndots:"));
    let dots_min = dots.map_or(1, expected_number).min(15) as usize;
    if name.ends_with('.') {
        all.clear();
    }
    let dots = name.matches('.').count();
    let at = if dots >= dots_min { 0 } else { all.len() };
    if dots >= dots_min || dots > 0 || !has_suffix || !is_tld_unwanted(&options) {
        all.insert(at, own);
    }
    let mut shown: Vec<String> = Vec::new();
    for labels in all {
        if !shown.contains(&show(&labels)) {
            shown.push(show(&labels));
        }
    }
    shown
}
