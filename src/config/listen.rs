//! Where clients connect: defaults and limits, and whether the addresses are shared.

use std::time::Duration;

use super::address::ListenAddress;
use super::boolean;
use crate::args::{UsageError, flag};

/// Most listening addresses.
pub const LISTENERS_MAX: usize = 16;
/// Default of `--listen-addr`, etcd's.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:23790";
/// Default of `--listen-retry`: an address that is not there is a mistake, as for etcd.
pub const LISTEN_RETRY_DEFAULT: Duration = Duration::ZERO;
/// Pause before a listening address that is not there yet is tried again.
pub const LISTEN_RETRY_INTERVAL: Duration = Duration::from_millis(100);

const _: () = assert!(LISTEN_RETRY_INTERVAL.as_nanos() > 0);
const _: () = assert!(LISTENERS_MAX > 0);

/// At port 0 the kernel gives each process a port of its own, so there would be nothing to share.
pub(super) fn reuse_port(
    typed: &Option<String>,
    listen: &[ListenAddress],
) -> Result<bool, UsageError> {
    let Some(text) = typed else { return Ok(false) };
    let invalid = |reason: &str| UsageError::invalid(flag::REUSE_PORT, text, reason);
    let is_shared = boolean::parse(text).ok_or_else(|| invalid("must be true or false"))?;
    match listen.iter().find(|address| address.port() == 0) {
        Some(address) if is_shared => {
            Err(invalid(&format!("--listen-addr {address} is another port in each process")))
        }
        _ => Ok(is_shared),
    }
}
