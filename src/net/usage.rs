//! What this process uses of its host: time, memory and descriptors.
//!
//! Descriptors are counted as they are opened and closed. To read the folder /proc/self/fd would
//! take a millisecond for each two thousand of them, which is longer than a turn may take.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{SysconfVar, sysconf};

use super::rlimit::{Descriptors, soft_limit};
use crate::usage::Usage;

/// The descriptors of this process: how many were open once, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct OpenDescriptors {
    /// Those that were open when they were counted, less those of sockets and pipes; `None`: they
    /// were not counted so far.
    others: Option<u64>,
    /// Those of sockets and pipes.
    pub(super) sockets: u64,
}

impl OpenDescriptors {
    /// How many are open. Counts them one by one the first time, so that this is to come early.
    fn count(&mut self) -> u64 {
        let sockets = self.sockets;
        let others =
            *self.others.get_or_insert_with(|| Descriptors::open_now().saturating_sub(sockets));
        others + sockets
    }
}

/// What is used now.
pub(super) fn usage(descriptors: &mut OpenDescriptors) -> Usage {
    let cpu = getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let times = [usage.user_time(), usage.system_time()];
        times.into_iter().map(|time| seconds(time.tv_sec(), time.tv_usec())).sum()
    });
    let [virtual_bytes, resident_bytes] = memory().unwrap_or_default();
    Usage {
        cpu,
        resident_bytes,
        virtual_bytes,
        descriptors_open: descriptors.count(),
        descriptors_max: soft_limit().unwrap_or(0),
    }
}

// Their types differ by platform: time_t, suseconds_t.
fn seconds(seconds: impl TryInto<u64>, microseconds: impl TryInto<u64>) -> Duration {
    let [seconds, microseconds] = [seconds.try_into().ok(), microseconds.try_into().ok()];
    Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_micros(microseconds.unwrap_or(0))
}

/// Bytes of addresses and of resident memory, of which proc(5) has the pages; `None` where it is
/// not mounted.
fn memory() -> Option<[u64; 2]> {
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = statm.split(' ').map(|count| count.parse::<u64>().ok());
    Some([pages.next()?? * page, pages.next()?? * page])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_time_and_descriptors() {
        let mut descriptors = OpenDescriptors { others: None, sockets: 2 };
        let first = usage(&mut descriptors);
        assert!(first.resident_bytes > 100_000 && first.virtual_bytes >= first.resident_bytes);
        assert!(first.descriptors_open >= 3 && first.descriptors_max >= first.descriptors_open);
        descriptors.sockets += 5;
        let second = usage(&mut descriptors);
        assert_eq!(second.descriptors_open, first.descriptors_open + 5);
        assert!(second.cpu >= first.cpu);
    }
}
