//! What a process uses of its host, as numbers. A leaf that every layer may import: `net` reads it,
//! and `observe` shows it.

use std::time::Duration;

/// What a process uses of its host (proc(5), getrusage(2)). What is unknown is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a processor, in this process and for it in the kernel.
    pub cpu: Duration,
    /// Memory that is resident, bytes.
    pub resident_bytes: u64,
    /// Addresses in use, bytes.
    pub virtual_bytes: u64,
    /// Descriptors that are open.
    pub descriptors_open: u64,
    /// Descriptors that may be open (RLIMIT_NOFILE, getrlimit(2)).
    pub descriptors_max: u64,
}
