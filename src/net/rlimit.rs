//! The limit on open descriptors (getrlimit(2), RLIMIT_NOFILE).

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

// rlim_t is narrower on some 32-bit platforms.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn widen(limit: nix::libc::rlim_t) -> u64 {
    limit as u64
}
