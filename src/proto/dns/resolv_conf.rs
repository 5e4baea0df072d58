//! The configuration of the resolver: what resolv.conf(5) says, as glibc's `res_init` reads it.
//!
//! Text in, checked values out; nothing is ever refused. What each option means here is in
//! `docs/discovery.md`; those that are not about how to ask are ignored.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str;
use std::time::Duration;

use super::name::Name;
use crate::config::{
    DNS_ATTEMPTS_DEFAULT, DNS_ATTEMPTS_MAX, DNS_DOTS_DEFAULT, DNS_DOTS_MAX, DNS_PORT,
    DNS_SEARCH_MAX, DNS_SERVERS_MAX, DNS_TIMEOUT_DEFAULT, DNS_TIMEOUT_MAX, DNS_TIMEOUT_MIN,
    RESOLV_CONF_BYTES_MAX,
};

/// The servers to ask, the names to ask for, and how long: every value is within its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in the order of the file, possibly one twice; 1 to [`DNS_SERVERS_MAX`], and
    /// 127.0.0.1 if none was named. The port is [`DNS_PORT`].
    pub servers: Vec<SocketAddr>,
    /// Suffixes for names that are not absolute, in the order of the file; at most
    /// [`DNS_SEARCH_MAX`]. The root may be among them.
    pub search: Vec<Name>,
    /// `ndots`: dots that a name must have to be tried as typed first; 0 to [`DNS_DOTS_MAX`].
    pub dots_min: u8,
    /// How long to wait for one server, in whole seconds; [`DNS_TIMEOUT_MIN`] to
    /// [`DNS_TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How often to ask all servers before giving up; 1 to [`DNS_ATTEMPTS_MAX`].
    pub attempts: u8,
    /// Whether questions begin with another server each time.
    pub rotate: bool,
    /// `use-vc`: whether to ask by TCP alone.
    pub tcp_only: bool,
    /// `no-aaaa`: whether IPv6 addresses are not asked for.
    pub no_aaaa: bool,
    /// `single-request`: whether the families of a host are asked for one after the other.
    pub one_by_one: bool,
    /// `no-tld-query`: whether a name without a dot is not asked for as typed, if there is a suffix
    /// for it.
    pub no_tld_query: bool,
    /// `no-reload`: whether this stays the configuration, whatever the file says later.
    pub no_reload: bool,
    /// What is wrong with the text.
    pub problem: Option<Problem>,
}

/// What is wrong with resolv.conf(5), for the log: without that line, the operator would not know
/// that other values count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file cannot be read, with the reason in a word.
    Unread(String),
    /// The file has no bytes.
    Empty,
    /// The file names no server.
    NoServer,
    /// The file has more than [`RESOLV_CONF_BYTES_MAX`] bytes, and the rest is ignored.
    TooLong,
    /// The file has more than [`DNS_SEARCH_MAX`] suffixes, and the rest is ignored.
    TooManySuffixes,
}

impl Problem {
    /// Whether the servers are others than the file says.
    pub fn is_about_servers(&self) -> bool {
        !matches!(self, Problem::TooLong | Problem::TooManySuffixes)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::Unread(reason) => reason,
            Problem::Empty => "empty",
            Problem::NoServer => "no_server",
            Problem::TooLong => "too_long",
            Problem::TooManySuffixes => "too_many_suffixes",
        })
    }
}

/// The variables of the environment that count in addition to the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `LOCALDOMAIN`: counts in place of what the file says in `search` and `domain`.
    pub local_domain: Option<Vec<u8>>,
    /// `RES_OPTIONS`: counts after what the file says in `options`.
    pub options: Option<Vec<u8>>,
}

/// Reads the text of resolv.conf(5); an empty text gives the defaults.
///
/// `host_name` is what gethostname(2) gives: what follows its first dot is searched where the text
/// has no `search` or `domain` line with a name. `zone` gives the index of an interface, as
/// if_nametoindex(3) does, for a server such as `fe80::1%eth0`; an unknown one counts as 0.
///
/// Never fails: as in glibc (resolv/res_init.c), a line that is not understood is ignored, a
/// keyword begins its line, comments are whole lines, the last `search` or `domain` counts, and
/// numbers beyond their limits are cut to them. IPv4 addresses have four decimal parts, though, and
/// a line may end as in Windows, of which glibc makes a part of the last name.
pub fn parse(
    text: &[u8],
    host_name: &str,
    mut zone: impl FnMut(&str) -> Option<u32>,
) -> ResolvConf {
    let mut found = ResolvConf {
        servers: Vec::new(),
        search: Vec::new(),
        dots_min: DNS_DOTS_DEFAULT,
        timeout: DNS_TIMEOUT_DEFAULT,
        attempts: DNS_ATTEMPTS_DEFAULT,
        rotate: false,
        tcp_only: false,
        no_aaaa: false,
        one_by_one: false,
        no_tld_query: false,
        no_reload: false,
        problem: None,
    };
    let is_empty = text.is_empty();
    let (text, is_too_long) = whole_lines(text);
    let mut search = None;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // What follows a zero byte does not exist for a C string.
        let line = line.split(|byte| *byte == 0).next().unwrap_or(line);
        let (keyword, rest) = line.split_at(line.iter().position(is_blank).unwrap_or(line.len()));
        let mut words = words(rest).peekable();
        match keyword {
            b"nameserver" if found.servers.len() < DNS_SERVERS_MAX => {
                found.servers.extend(words.next().and_then(|word| server(word, &mut zone)));
            }
            // A line without a name does not undo an earlier one.
            b"domain" if words.peek().is_some() => {
                search = Some(words.take(1).filter_map(suffix).collect());
            }
            b"search" if words.peek().is_some() => {
                search = Some(words.filter_map(suffix).collect());
            }
            b"options" => options(rest, &mut found),
            _ => {}
        }
    }
    found.search = search.unwrap_or_else(|| {
        let domain = host_name.split_once('.').and_then(|(_, rest)| suffix(rest.as_bytes()));
        domain.into_iter().collect()
    });
    found.problem = is_too_long.then_some(Problem::TooLong);
    found.cut_search();
    if found.servers.is_empty() {
        found.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)));
        found.problem = Some(if is_empty { Problem::Empty } else { Problem::NoServer });
    }
    found.invariants();
    found
}

impl ResolvConf {
    /// Takes over what the environment says, as `res_init` does: of LOCALDOMAIN the first line,
    /// which may say that there is no suffix; of RES_OPTIONS what `options` may say.
    pub fn amend(&mut self, environment: &Environment) {
        if let Some(text) = &environment.local_domain {
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
            // A blank at the beginning, or nothing at all, is the root to glibc.
            let root = line.first().is_none_or(is_blank).then_some(&b"."[..]);
            self.search = root.into_iter().chain(words(line)).filter_map(suffix).collect();
            self.problem.take_if(|problem| *problem == Problem::TooManySuffixes);
            self.cut_search();
        }
        if let Some(text) = &environment.options {
            options(text, self);
        }
        self.invariants();
    }

    /// Every value is within its range, whatever the file says: release builds rely on that, too.
    fn invariants(&self) {
        assert!(!self.servers.is_empty(), "resolv.conf(5) has a default");
        assert!(self.servers.len() <= DNS_SERVERS_MAX);
        assert!(self.attempts > 0, "asked never");
        assert!(self.attempts <= DNS_ATTEMPTS_MAX);
        assert!((DNS_TIMEOUT_MIN..=DNS_TIMEOUT_MAX).contains(&self.timeout));
        assert!(self.dots_min <= DNS_DOTS_MAX);
        assert!(self.search.len() <= DNS_SEARCH_MAX);
        debug_assert!(self.servers.iter().all(|server| server.port() == DNS_PORT));
        debug_assert_eq!(self.timeout.subsec_nanos(), 0, "whole seconds");
        match self.problem {
            Some(Problem::NoServer | Problem::Empty) => {
                debug_assert_eq!(self.servers.len(), 1, "the default alone");
                debug_assert!(self.servers[0].ip().is_loopback(), "the default alone");
            }
            Some(Problem::TooManySuffixes) => {
                debug_assert_eq!(self.search.len(), DNS_SEARCH_MAX, "cut without need");
            }
            Some(Problem::Unread(_) | Problem::TooLong) | None => {}
        }
    }

    fn cut_search(&mut self) {
        if self.search.len() > DNS_SEARCH_MAX {
            self.search.truncate(DNS_SEARCH_MAX);
            self.problem.get_or_insert(Problem::TooManySuffixes);
        }
        debug_assert!(self.search.len() <= DNS_SEARCH_MAX, "{:?}", self.problem);
    }
}

/// The lines of a text that end within the bound, and whether there are more.
fn whole_lines(text: &[u8]) -> (&[u8], bool) {
    if text.len() <= RESOLV_CONF_BYTES_MAX {
        return (text, false);
    }
    // The first part of a name would be another name.
    let bounded = &text[..RESOLV_CONF_BYTES_MAX];
    let lines = bounded.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    debug_assert!(lines <= RESOLV_CONF_BYTES_MAX);
    debug_assert!(lines == 0 || text[lines - 1] == b'\n', "the first part of a line");
    (&text[..lines], true)
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(is_blank).filter(|word| !word.is_empty())
}

/// A name of the search list. glibc skips one dot at its beginning, so that both nothing and a
/// single dot are the root.
fn suffix(word: &[u8]) -> Option<Name> {
    let word = word.strip_prefix(b".").unwrap_or(word);
    Name::from_bytes(if word.is_empty() { b"." } else { word })
}

/// The address of a server: IPv4, or IPv6 with or without a zone.
fn server(word: &[u8], zone: impl FnMut(&str) -> Option<u32>) -> Option<SocketAddr> {
    let mut parts = word.splitn(2, |byte| *byte == b'%');
    let address = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    match (address, parts.next()) {
        (IpAddr::V4(address), None) => Some(SocketAddr::from((address, DNS_PORT))),
        (IpAddr::V4(_), Some(_)) => None,
        (IpAddr::V6(address), interface) => {
            // What is not UTF-8 names no interface, but does not spoil the address.
            let interface = interface.and_then(|name| str::from_utf8(name).ok());
            let index = interface.and_then(|name| interface_index(name, address, zone));
            Some(SocketAddr::V6(SocketAddrV6::new(address, DNS_PORT, 0, index.unwrap_or(0))))
        }
    }
}

fn interface_index(
    name: &str,
    address: Ipv6Addr,
    mut zone: impl FnMut(&str) -> Option<u32>,
) -> Option<u32> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return name.parse().ok();
    }
    // Elsewhere the name of an interface says nothing about an address.
    if is_on_link(address) { zone(name) } else { None }
}

/// Whether the address means something only on one link: fe80::/10 or ff02::/16 and its like.
fn is_on_link(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    first & 0xffc0 == 0xfe80 || first & 0xff0f == 0xff02
}

/// Reads what follows `options`. As in glibc an option is recognized by its beginning: `rotated` is
/// `rotate`, too.
fn options(text: &[u8], found: &mut ResolvConf) {
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| !is_blank(byte)) {
        rest = &rest[start..];
        debug_assert!(!is_blank(&rest[0]), "it would read nothing, without end");
        if let Some(value) = rest.strip_prefix(b"ndots:") {
            found.dots_min = number(value).min(DNS_DOTS_MAX);
        } else if let Some(value) = rest.strip_prefix(b"timeout:") {
            let timeout = Duration::from_secs(number(value).into());
            found.timeout = timeout.clamp(DNS_TIMEOUT_MIN, DNS_TIMEOUT_MAX);
        } else if let Some(value) = rest.strip_prefix(b"attempts:") {
            found.attempts = number(value).clamp(1, DNS_ATTEMPTS_MAX);
        } else {
            flag(rest, found);
        }
        rest = &rest[rest.iter().position(is_blank).unwrap_or(rest.len())..];
    }
}

/// Reads an option that has no value.
fn flag(text: &[u8], found: &mut ResolvConf) {
    // `single-request-reopen` is about a socket of both families, of which we have none.
    let flag = if text.starts_with(b"rotate") {
        &mut found.rotate
    } else if text.starts_with(b"single-request-reopen") {
        return;
    } else if text.starts_with(b"single-request") {
        &mut found.one_by_one
    } else if text.starts_with(b"no_tld_query") || text.starts_with(b"no-tld-query") {
        &mut found.no_tld_query
    } else if text.starts_with(b"no-reload") {
        &mut found.no_reload
    } else if text.starts_with(b"use-vc") {
        &mut found.tcp_only
    } else if text.starts_with(b"no-aaaa") {
        &mut found.no_aaaa
    } else {
        return;
    };
    *flag = true;
}

/// The number that strtol(3) reads at the beginning of a text, cut to 0-255: blanks may precede
/// it, anything may follow it, and nothing at all is 0.
fn number(text: &[u8]) -> u8 {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |value: u8, digit| value.saturating_mul(10).saturating_add(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(interface: &str) -> Option<u32> {
        (interface == "eth0").then_some(2)
    }

    fn read(text: &str) -> ResolvConf {
        parse(text.as_bytes(), "host.example.com", zone)
    }

    #[track_caller]
    fn check_servers(text: &str, want: &[&str]) {
        let found: Vec<String> = read(text).servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(found, want, "{text:?}");
    }

    #[track_caller]
    fn check_search(text: &str, want: &[&str]) {
        let found: Vec<String> = read(text).search.iter().map(Name::to_string).collect();
        assert_eq!(found, want, "{text:?}");
    }

    #[test]
    fn defaults() {
        for text in ["", "\n\n", "# nameserver 10.0.0.1", "; search a", "nonsense", "\0"] {
            let want = ResolvConf {
                servers: vec!["127.0.0.1:53".parse().expect("an address")],
                search: vec![Name::from_text("example.com").expect("a name")],
                dots_min: 1,
                timeout: Duration::from_secs(5),
                attempts: 2,
                rotate: false,
                tcp_only: false,
                no_aaaa: false,
                one_by_one: false,
                no_tld_query: false,
                no_reload: false,
                problem: Some(if text.is_empty() { Problem::Empty } else { Problem::NoServer }),
            };
            assert_eq!(read(text), want, "{text:?}");
        }
    }

    #[test]
    fn servers() {
        check_servers("nameserver 10.0.0.1\nnameserver ::1", &["10.0.0.1:53", "[::1]:53"]);
        check_servers("nameserver \t 10.0.0.1 \t# why", &["10.0.0.1:53"]);
        check_servers("nameserver 10.0.0.1 10.0.0.2", &["10.0.0.1:53"]);
        let four: String = (1..=4).map(|i| format!("nameserver 10.0.0.{i}\n")).collect();
        check_servers(&four, &["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"]);
        for bad in ["10.0.0", "10.0.0.256", "ns.example", "::g", "10.0.0.1#53", "::1\rx", ""] {
            check_servers(&format!("nameserver {bad}\nnameserver ::1"), &["[::1]:53"]);
        }
        for line in [" nameserver ::1", "nameserver", "nameservers ::1", "Nameserver ::1"] {
            check_servers(line, &["127.0.0.1:53"]);
        }
        check_servers("nameserver ::1\0junk\nnameserver\0 ::2", &["[::1]:53"]);
    }

    #[test]
    fn zones() {
        check_servers("nameserver fe80::1%eth0", &["[fe80::1%2]:53"]);
        check_servers("nameserver ff02::1%eth0", &["[ff02::1%2]:53"]);
        check_servers("nameserver fe80::1%7", &["[fe80::1%7]:53"]);
        check_servers("nameserver fd00::1%7", &["[fd00::1%7]:53"]);
        for text in ["fe80::1", "fe80::1%", "fe80::1%eth1", "fe80::1%4294967296"] {
            check_servers(&format!("nameserver {text}"), &["[fe80::1]:53"]);
        }
        check_servers("nameserver fd00::1%eth0", &["[fd00::1]:53"]);
        check_servers("nameserver 10.0.0.1%eth0", &["127.0.0.1:53"]);
        let found = parse(b"nameserver fe80::1%\xff", "", |_| Some(9)).servers;
        assert_eq!(found, ["[fe80::1]:53".parse().expect("an address")]);
    }

    #[test]
    fn search_lists() {
        check_search("search a.b\tc.", &["a.b", "c"]);
        check_search("search a\ndomain b c", &["b"]);
        check_search("domain a\nsearch b c", &["b", "c"]);
        check_search("search a\nsearch\nsearch \t\ndomain ", &["a"]);
        check_search("search . .a", &[".", "a"]);
        check_search("search a..b c", &["c"]);
        check_search("domain a..b", &[]);
        check_search("search a # b", &["a", "#", "b"]);
    }

    #[test]
    fn what_is_cut_short_is_a_problem() {
        for (count, problem) in
            [(DNS_SEARCH_MAX, None), (DNS_SEARCH_MAX + 1, Some(Problem::TooManySuffixes))]
        {
            let suffixes: String = (0..count).map(|i| format!(" n{i}")).collect();
            let mut found = read(&format!("nameserver ::1\nsearch{suffixes}"));
            assert_eq!((found.search.len(), &found.problem), (DNS_SEARCH_MAX, &problem), "{count}");
            let local_domain = Some(b"a".to_vec());
            found.amend(&Environment { local_domain, ..Environment::default() });
            assert_eq!((found.search.len(), found.problem), (1, None));
        }
        let line = "nameserver 10.0.0.1\n";
        let comment = "#".repeat(RESOLV_CONF_BYTES_MAX - line.len());
        assert_eq!(read(&format!("{line}{comment}")).problem, None);
        let found = read(&format!("{line}{comment}\nnameserver 10.0.0.2"));
        assert_eq!((found.servers.len(), found.problem), (1, Some(Problem::TooLong)));
        let found = read(&format!("#{comment}{line}"));
        assert_eq!(found.problem, Some(Problem::NoServer), "the address may be cut, too");
    }

    #[test]
    fn lines_may_end_as_in_windows() {
        let lines = "nameserver 10.0.0.1\nnameserver ::1\nsearch a b\noptions rotate ndots:2\n";
        assert_eq!(read(&lines.replace('\n', "\r\n")), read(lines));
        assert_eq!(read(lines).problem, None);
        check_search("search a\r", &["a"]);
        check_search("search a\n\r\n", &["a"]);
    }

    #[track_caller]
    fn check_amended(
        local_domain: Option<&str>,
        options: Option<&str>,
        search: &str,
        want: (u8, u64, bool),
    ) {
        let mut found = read("nameserver ::1\nsearch a b\noptions ndots:2 timeout:9");
        let [local_domain, options] =
            [local_domain, options].map(|text| text.map(|text| text.as_bytes().to_vec()));
        found.amend(&Environment { local_domain, options });
        let suffixes: Vec<String> = found.search.iter().map(Name::to_string).collect();
        assert_eq!(suffixes.join(","), search);
        assert_eq!((found.dots_min, found.timeout.as_secs(), found.no_aaaa), want);
    }

    #[test]
    fn the_environment_comes_after_the_file() {
        check_amended(None, None, "a,b", (2, 9, false));
        for (text, search) in [
            ("c d.e", "c,d.e"),
            ("c \td\ne", "c,d"),
            ("", "."),
            ("\nc", "."),
            (" c", ".,c"),
            ("c ", "c"),
            ("c..d e", "e"),
        ] {
            check_amended(Some(text), None, search, (2, 9, false));
        }
        check_amended(None, Some("no-aaaa\tndots:7"), "a,b", (7, 9, true));
        check_amended(None, Some(""), "a,b", (2, 9, false));
        check_amended(Some("c"), Some("timeout:1"), "c", (2, 1, false));
    }

    #[test]
    fn the_host_name_gives_the_default_search_list() {
        for (host_name, want) in
            [("a.b.c", &["b.c"][..]), ("a", &[]), ("", &[]), ("a.", &["."]), ("a.b..c", &[])]
        {
            let found = parse(b"", host_name, zone).search;
            let found: Vec<String> = found.iter().map(Name::to_string).collect();
            assert_eq!(found, want, "{host_name}");
        }
    }

    #[test]
    fn options_accumulate() {
        let found = read("options ndots:3 timeout:7\toptions\noptions attempts:4 rotate use-vc");
        assert_eq!((found.dots_min, found.timeout.as_secs(), found.attempts), (3, 7, 4));
        assert!(found.rotate && found.tcp_only);
        for (options, want) in [
            ("no-aaaa", [true, false, false, false]),
            ("single-request", [false, true, false, false]),
            ("no-tld-query", [false, false, true, false]),
            ("no_tld_query no-reload", [false, false, true, true]),
        ] {
            let found = read(&format!("options {options}"));
            let found = [found.no_aaaa, found.one_by_one, found.no_tld_query, found.no_reload];
            assert_eq!(found, want, "{options}");
        }
        let others = "edns0 trust-ad inet6 debug strict-error no-check-names single-request-reopen \
                      norotate use_vc Rotate no_aaaa ip6-dotint";
        assert_eq!(read(&format!("#\noptions {others}\nsortlist 10.0.0.0")), read("#"));
        let found = read("options ndots:2 ndots:4x rotated");
        assert!(found.dots_min == 4 && found.rotate);
    }

    #[test]
    fn numbers_are_cut_to_their_range() {
        for (text, dots, timeout, attempts) in [
            ("0", 0, 1, 1),
            ("", 0, 1, 1),
            ("-3", 0, 1, 1),
            ("x", 0, 1, 1),
            (" +2", 2, 2, 2),
            ("16", 15, 16, 5),
            ("31", 15, 30, 5),
            ("99999999999999999999999", 15, 30, 5),
        ] {
            let text = format!("options ndots:{text} timeout:{text} attempts:{text}");
            let found = read(&text);
            let found = (found.dots_min, found.timeout.as_secs(), found.attempts);
            assert_eq!(found, (dots, timeout, attempts), "{text}");
        }
    }
}
