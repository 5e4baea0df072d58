//! What is shown of the gateway: the flags of the admin side and the access log, by an oracle.
//!
//! It must not call the product.

use std::path::PathBuf;

use etcd_gateway::config::Admin;
use etcd_gateway::config::address::ListenAddress;
use etcd_gateway::config::admin::{AccessLogFormat, AccessLogPath, AdminAddress};
use etcd_gateway::config::unused::{NoEffect, UnusedFlag};

use super::address::expected_listen;
use super::configuration::{Values, are_apart, items, last};

/// What the flags mean together; nothing where one of them is refused.
pub fn expected_admin(values: &Values, listen: &[ListenAddress]) -> Option<Admin> {
    let addresses = items(values, "admin-addr", expected_address);
    let addresses = addresses.unwrap_or_else(|| Some(Vec::new()))?;
    let (mut sockets, mut paths) = (listen.to_vec(), Vec::new());
    for address in &addresses {
        match address {
            AdminAddress::Listen(address) => sockets.push(address.clone()),
            AdminAddress::Unix(path) => paths.push(path),
        }
    }
    // Those of clients may share an address with other processes, and so conflict with each other
    // less. That is checked for them alone.
    let own = &sockets[listen.len()..];
    let is_apart = are_apart(own, false)
        && own
            .iter()
            .all(|one| listen.iter().all(|other| are_apart(&[other.clone(), one.clone()], false)));
    let is_once = (1..paths.len()).all(|at| !paths[..at].contains(&paths[at]));
    let access_log = match last(values, "access-log") {
        None | Some("") => None,
        Some("-") => Some(AccessLogPath::Stdout),
        Some(path) => Some(AccessLogPath::File(PathBuf::from(path))),
    };
    let access_log_format = match last(values, "access-log-format") {
        None | Some("logfmt") => AccessLogFormat::Logfmt,
        Some("json") => AccessLogFormat::Json,
        Some(_) => return None,
    };
    let is_good = addresses.len() <= 8 && is_apart && is_once;
    is_good.then_some(Admin { addresses, access_log, access_log_format })
}

pub fn expected_address(text: &str) -> Option<AdminAddress> {
    match text.split_once(':') {
        Some(("unix", path)) => {
            let is_good = (1..=107).contains(&path.len()) && !path.contains('\0');
            (is_good && !path.starts_with('@')).then(|| AdminAddress::Unix(PathBuf::from(path)))
        }
        _ => expected_listen(text).map(AdminAddress::Listen),
    }
}

/// The flags that are taken and do nothing.
pub fn unused_of_access_log(values: &Values) -> Vec<UnusedFlag> {
    let mut unused = Vec::new();
    let path = last(values, "access-log");
    if path == Some("") {
        unused.push(UnusedFlag { flag: "access-log", reason: NoEffect::Empty });
    }
    if values.contains_key("access-log-format") && path.is_none_or(str::is_empty) {
        unused.push(UnusedFlag { flag: "access-log-format", reason: NoEffect::NoAccessLog });
    }
    unused
}
