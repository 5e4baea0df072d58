//! The addresses of the admin side, and the access log: their forms as text, and which addresses
//! conflict. Pure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::address::{AddressError, Host, ListenAddress};
use super::flags::{ACCESS_LOG, ACCESS_LOG_FORMAT, ADMIN_ADDR, Typed, UsageError};
use super::listen::{Relation, bare, relation};
use super::unused::{NoEffect, UnusedFlag};
use super::{Admin, Config};
use crate::address::Address;

/// The beginning of an address that is a path.
const UNIX_PREFIX: &str = "unix:";
/// Most bytes of the path of a socket: those of `sun_path` but the last, which is zero (unix(7)).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The name of this host, and of all names below it (RFC 6761, 6.3).
const LOCALHOST: &str = "localhost";

/// An address of the admin side. Displays as it is typed; what would end a value of the log is
/// escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// TCP.
    Listen(ListenAddress),
    /// A socket of the file system: 1 to [`SOCKET_PATH_BYTES_MAX`] bytes.
    Unix(PathBuf),
}

impl AdminAddress {
    /// Whether only this host can connect, as far as text shows: a socket of the file system, a
    /// loopback address, or the name localhost.
    pub fn is_local(&self) -> bool {
        match self {
            AdminAddress::Unix(_) => true,
            AdminAddress::Listen(ListenAddress::Any { .. }) => false,
            AdminAddress::Listen(ListenAddress::Host { host: Host::Address(ip), .. }) => {
                ip.to_canonical().is_loopback()
            }
            AdminAddress::Listen(ListenAddress::Host { host: Host::Name(name), .. }) => {
                let last = bare(name).rsplit('.').next().unwrap_or_default();
                last.eq_ignore_ascii_case(LOCALHOST)
            }
        }
    }
}

impl FromStr for AdminAddress {
    type Err = AddressError;

    /// Reads what a [`ListenAddress`] may be, or `unix:PATH`.
    fn from_str(text: &str) -> Result<AdminAddress, AddressError> {
        let Some(path) = text.strip_prefix(UNIX_PREFIX) else {
            if text.starts_with(['/', '.']) {
                return Err(AddressError::UnixPrefixMissing(text.to_owned()));
            }
            return text.parse().map(AdminAddress::Listen);
        };
        match path.len() {
            0 => Err(AddressError::UnixPathMissing),
            _ if path.starts_with('@') => Err(AddressError::UnixAbstract),
            _ if path.contains('\0') => Err(AddressError::UnixPathNul),
            length if length > SOCKET_PATH_BYTES_MAX => {
                Err(AddressError::UnixPathTooLong(length, SOCKET_PATH_BYTES_MAX))
            }
            _ => Ok(AdminAddress::Unix(PathBuf::from(path))),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminAddress::Listen(address) => address.fmt(f),
            AdminAddress::Unix(path) => Address::from(path.as_path()).fmt(f),
        }
    }
}

/// Where the lines of ended connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogPath {
    /// Standard output, written `-`.
    Stdout,
    /// The file with this path.
    File(PathBuf),
}

impl From<&str> for AccessLogPath {
    fn from(text: &str) -> AccessLogPath {
        match text {
            "-" => AccessLogPath::Stdout,
            path => AccessLogPath::File(PathBuf::from(path)),
        }
    }
}

/// How a line of the access log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// `key=value key=value`.
    Logfmt,
    /// A JSON object (RFC 8259) on one line.
    Json,
}

impl Config {
    /// The addresses of TCP to listen on: those of clients, and then those of the admin side.
    pub fn tcp_addresses(&self) -> Vec<ListenAddress> {
        let admin = self.admin.addresses.iter().filter_map(|address| match address {
            AdminAddress::Listen(address) => Some(address),
            AdminAddress::Unix(_) => None,
        });
        self.listen.addresses.iter().chain(admin).cloned().collect()
    }
}

impl Admin {
    /// The addresses to listen on, in their order. `resolved`: those of TCP.
    pub fn resolved(&self, resolved: &[Address]) -> Vec<Address> {
        let mut resolved = resolved.iter().cloned();
        let addresses = self.addresses.iter().filter_map(|address| match address {
            AdminAddress::Listen(_) => resolved.next(),
            AdminAddress::Unix(path) => Some(Address::from(path.as_path())),
        });
        addresses.collect()
    }

    /// The addresses that other hosts may reach, so that the user is warned: the admin side asks
    /// for no password.
    pub fn reachable(&self) -> impl Iterator<Item = &AdminAddress> {
        self.addresses.iter().filter(|address| !address.is_local())
    }

    /// Refuses addresses that conflict with each other or with one of `listen`: the kernel lets a
    /// process listen once on each, and clients of etcd are not those of the admin side. Two with
    /// port 0 get a port each.
    ///
    /// # Errors
    /// [`UsageError`] for the first one that conflicts.
    pub(super) fn check(&self, listen: &[ListenAddress]) -> Result<(), UsageError> {
        for (index, address) in self.addresses.iter().enumerate() {
            let others = self.addresses[..index].iter();
            let reason = others.filter_map(|other| conflict(other, address)).next();
            if let Some(reason) = reason.or_else(|| conflict_with_clients(listen, address)) {
                return Err(UsageError::invalid(&ADMIN_ADDR, &typed(address), reason));
            }
        }
        Ok(())
    }
}

/// The address as it was typed, for a message that escapes it.
fn typed(address: &AdminAddress) -> String {
    match address {
        AdminAddress::Listen(address) => address.to_string(),
        AdminAddress::Unix(path) => format!("{UNIX_PREFIX}{}", path.display()),
    }
}

/// Why `address` cannot come after `other`; `None` if it can.
fn conflict(other: &AdminAddress, address: &AdminAddress) -> Option<String> {
    match (other, address) {
        // By components: `a//b` and `a/./b` are the same file.
        (AdminAddress::Unix(other), AdminAddress::Unix(path)) if other == path => {
            Some("given twice".to_owned())
        }
        (AdminAddress::Listen(other), AdminAddress::Listen(address))
            if have_port(other, address) =>
        {
            match relation(other, address) {
                Relation::Same => Some("given twice".to_owned()),
                Relation::Covers => Some(format!("{other} covers it already")),
                Relation::IsCovered => Some(format!("it covers {other}")),
                Relation::Apart => None,
            }
        }
        _ => None,
    }
}

/// Why `address` cannot be next to those of clients; `None` if it can.
fn conflict_with_clients(listen: &[ListenAddress], address: &AdminAddress) -> Option<String> {
    let AdminAddress::Listen(address) = address else { return None };
    let conflicts =
        listen.iter().filter(|other| have_port(other, address)).filter_map(|other| match relation(
            other, address,
        ) {
            Relation::Same => Some("clients connect there, by --listen-addr".to_owned()),
            Relation::Covers => Some(format!("--listen-addr {other} covers it already")),
            Relation::IsCovered => Some(format!("it covers --listen-addr {other}")),
            Relation::Apart => None,
        });
    conflicts.into_iter().next()
}

/// Whether both have the same port, and one that is not left to the kernel.
fn have_port(one: &ListenAddress, other: &ListenAddress) -> bool {
    one.port() == other.port() && one.port() != 0
}

/// The flags that have no effect.
pub(super) fn unused(typed: &Typed, admin: &Admin) -> Vec<UnusedFlag> {
    let alone = admin.access_log.is_none().then_some(NoEffect::NoAccessLog);
    let flags = [(&ACCESS_LOG, None), (&ACCESS_LOG_FORMAT, alone)].into_iter();
    let unused =
        flags.filter_map(|(flag, reason)| UnusedFlag::find(flag, typed.last(flag)?, reason));
    unused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(values: &[&str]) -> Result<Admin, UsageError> {
        let typed: Typed = values.iter().map(|value| (&ADMIN_ADDR, *value)).collect();
        Admin::from_typed(&typed)
    }

    #[track_caller]
    fn refuse(value: &str, reason: &str) {
        let error = admin(&[value]).expect_err(value).to_string();
        assert_eq!(error, format!("invalid value {value:?} for --admin-addr: {reason}"));
    }

    #[test]
    fn an_address_is_that_of_a_listener_or_a_path() {
        let texts = "127.0.0.1:9379,[::1]:1,:0,host.test:2,unix:/run/a b.sock,unix:a";
        let admin = admin(&[texts]).expect("six");
        let shown: Vec<String> = admin.addresses.iter().map(ToString::to_string).collect();
        let want = texts.replace(' ', r"\u{20}");
        assert_eq!(shown.join(","), want);
        assert_eq!(admin.addresses[4], AdminAddress::Unix(PathBuf::from("/run/a b.sock")));
    }

    #[test]
    fn none_is_the_default_and_there_is_a_most() {
        assert_eq!(admin(&[]).expect("none").addresses, []);
        refuse("", "empty list");
        let many: Vec<String> = (1..=9).map(|port| format!("a:{port}")).collect();
        let error = admin(&[&many.join(",")]).expect_err("one too many").to_string();
        assert!(error.ends_with("more than 8 addresses"), "{error}");
        assert_eq!(admin(&[&many[1..].join(",")]).expect("as many as may be").addresses.len(), 8);
    }

    #[test]
    fn a_path_is_one_that_a_socket_can_have() {
        refuse("unix:", "missing path after unix:");
        refuse("unix:a\0b", "a zero byte in the path");
        let longest = format!("unix:/{}", "a".repeat(SOCKET_PATH_BYTES_MAX - 1));
        assert!(admin(&[&longest]).is_ok());
        let reason = "the path of a socket has at most 107 bytes, and this one 108";
        refuse(&format!("{longest}b"), reason);
        let error = admin(&[&format!("{longest}@b")]).expect_err("too long").to_string();
        assert!(error.ends_with("at most 107 bytes, and this one 109"), "{error}");
        let abstract_socket = "an abstract socket, which every user may connect to; write \
                               unix:PATH with the path of a file";
        refuse("unix:@a", abstract_socket);
        for path in ["/run/a.sock", "./a.sock", "../a.sock"] {
            refuse(path, &format!("a path without unix: before it; write unix:{path}"));
        }
        refuse("a:1/x", r#"path "/x"; a listen address is host:port and no more"#);
    }

    /// The reason why these cannot be together; `None` if they can.
    fn refused(listen: &str, addresses: &[&str]) -> Option<String> {
        let listen: Vec<ListenAddress> =
            listen.split(',').map(|text| text.parse().expect(text)).collect();
        let error = admin(addresses).expect("valid").check(&listen).err()?.to_string();
        Some(error.strip_prefix("invalid value ").expect("so it begins").to_owned())
    }

    #[test]
    fn addresses_do_not_overlap() {
        for (listen, addresses, want) in [
            (":1", &["a:2", "A.:2"][..], r#""A.:2" for --admin-addr: given twice"#),
            (":1", &["unix:/a/b", "unix:/a//b"], r#""unix:/a//b" for --admin-addr: given twice"#),
            (":1", &[":2", "a:2"], r#""a:2" for --admin-addr: :2 covers it already"#),
            (":1", &["a:2,:2"], r#"":2" for --admin-addr: it covers a:2"#),
            (
                "b:1,a:1",
                &["a:1"],
                r#""a:1" for --admin-addr: clients connect there, by --listen-addr"#,
            ),
            (":1", &["a:1"], r#""a:1" for --admin-addr: --listen-addr :1 covers it already"#),
            ("a:1", &["c:1", ":1"], r#"":1" for --admin-addr: it covers c:1"#),
            ("a:1", &[":1"], r#"":1" for --admin-addr: it covers --listen-addr a:1"#),
        ] {
            assert_eq!(refused(listen, addresses).as_deref(), Some(want), "{listen} {addresses:?}");
        }
        for (listen, addresses) in [
            (":0", &[":0", ":0", "a:0"][..]),
            (":1", &[":2", "unix:/a", "unix:/b"]),
            ("127.0.0.1:1", &["127.0.0.2:1", "[::1]:1"]),
        ] {
            assert_eq!(refused(listen, addresses), None, "{listen} {addresses:?}");
        }
    }

    #[test]
    fn addresses_that_others_may_reach_are_known() {
        let local = "127.0.0.1:1,127.9.9.9:1,[::1]:1,[::ffff:127.0.0.1]:2,localhost:1,unix:/a";
        assert_eq!(admin(&[local, "a.LOCALHOST.:1"]).expect("valid").reachable().count(), 0);
        let others = admin(&[":1,0.0.0.0:2", "[::]:3,10.0.0.1:1,localhost.test:1,unix:/a"]);
        let others = others.expect("valid");
        let reachable: Vec<String> = others.reachable().map(ToString::to_string).collect();
        assert_eq!(reachable.join(" "), ":1 0.0.0.0:2 [::]:3 10.0.0.1:1 localhost.test:1");
    }

    #[test]
    fn the_access_log_has_a_place_and_a_format() {
        for (path, format, want, unused_flags) in [
            (None, None, (None, AccessLogFormat::Logfmt), ""),
            (Some("-"), Some("json"), (Some(AccessLogPath::Stdout), AccessLogFormat::Json), ""),
            (
                Some("./-"),
                None,
                (Some(AccessLogPath::File("./-".into())), AccessLogFormat::Logfmt),
                "",
            ),
            (
                Some(""),
                Some("logfmt"),
                (None, AccessLogFormat::Logfmt),
                "access-log empty_value access-log-format no_access_log ",
            ),
        ] {
            let path = path.map(|value| (&ACCESS_LOG, value));
            let format = format.map(|value| (&ACCESS_LOG_FORMAT, value));
            let typed: Typed = path.into_iter().chain(format).collect();
            let admin = Admin::from_typed(&typed).expect("valid");
            let found: String = unused(&typed, &admin)
                .iter()
                .map(|unused| format!("{} {} ", unused.flag, unused.reason))
                .collect();
            assert_eq!((admin.access_log, admin.access_log_format), want);
            assert_eq!(found, unused_flags);
        }
        let typed = Typed::from_iter([(&ACCESS_LOG_FORMAT, "JSON")]);
        let error = Admin::from_typed(&typed).expect_err("a word that is none").to_string();
        let want = r#"invalid value "JSON" for --access-log-format: must be logfmt or json"#;
        assert_eq!(error, want);
    }
}
