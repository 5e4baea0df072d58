//! The limit on open descriptors (getrlimit(2), RLIMIT_NOFILE), and how many are open.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as Go's runtime does for etcd's gateway, and returns
/// the limit that is in force. When raising is refused the soft limit stays as it was.
pub fn raise_descriptor_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return widen(hard);
    }
    widen(soft)
}

/// Descriptors that are open now, those that a parent left open included. Where /proc is not
/// mounted, the three that every process has.
pub fn open_descriptors() -> u64 {
    // The listing itself needs one.
    fs::read_dir("/proc/self/fd").map_or(3, |entries| entries.count().saturating_sub(1) as u64)
}

// rlim_t is narrower on some 32-bit platforms.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn widen(limit: nix::libc::rlim_t) -> u64 {
    limit as u64
}
