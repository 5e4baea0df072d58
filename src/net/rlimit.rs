//! The limit on open descriptors (RLIMIT_NOFILE, getrlimit(2)), and the descriptors that are open.

use std::os::fd::AsRawFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;

/// The descriptors of this process before it opens any by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptors {
    limit: u64,
    /// Numbers of those that are open, ascending, inherited ones included.
    open: Vec<u64>,
}

impl Descriptors {
    /// Raises the soft limit to the hard one, as Go's runtime does for etcd's gateway, and counts
    /// the open descriptors. The soft limit is unchanged where the kernel refuses to raise it.
    pub fn count() -> Descriptors {
        let limit = raise_limit();
        let mut open = match open_numbers() {
            Ok(numbers) => numbers,
            Err(Errno::EMFILE) => (0..limit).collect(),
            // /proc is not mounted: the three descriptors that every process has.
            Err(_) => vec![0, 1, 2],
        };
        open.sort_unstable();
        Descriptors { limit, open }
    }

    /// How many descriptors are open now.
    pub(super) fn open_now() -> u64 {
        open_numbers().map_or(0, |open| open.len() as u64)
    }

    /// The limit in force: no descriptor has this number or a higher one, unless it was opened
    /// under another limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The number of descriptors that may still be opened.
    pub fn free(&self) -> u64 {
        let below = self.open.iter().filter(|number| **number < self.limit).count();
        self.limit - below as u64
    }

    /// The lowest limit under which `more` descriptors may still be opened.
    pub fn limit_for(&self, more: u64) -> u64 {
        self.open.iter().fold(more, |limit, number| limit + u64::from(*number < limit))
    }
}

/// The soft limit at present; `None` where it cannot be read.
pub(super) fn soft_limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| widen(soft))
}

fn raise_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return widen(hard);
    }
    widen(soft)
}

fn open_numbers() -> Result<Vec<u64>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::open("/proc/self/fd", flags, Mode::empty())?;
    // Reading the directory takes a descriptor.
    let own = directory.as_raw_fd();
    let numbers = directory.iter().filter_map(|entry| {
        let number: i32 = entry.ok()?.file_name().to_str().ok()?.parse().ok()?;
        if number == own { None } else { u64::try_from(number).ok() }
    });
    Ok(numbers.collect())
}

// rlim_t is narrower on some 32-bit platforms.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn widen(limit: nix::libc::rlim_t) -> u64 {
    limit as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[track_caller]
    fn check(limit: u64, open: &[u64], free: u64, limit_for_four: u64) {
        let descriptors = Descriptors { limit, open: open.to_vec() };
        assert_eq!(descriptors.free(), free, "{descriptors:?}");
        assert_eq!(descriptors.limit_for(4), limit_for_four, "{descriptors:?}");
    }

    #[test]
    fn a_descriptor_takes_room_only_below_the_limit() {
        check(6, &[], 6, 4);
        check(6, &[0, 1, 2], 3, 7);
        check(6, &[0, 1, 2, 6, 9], 3, 8);
        check(6, &[0, 1, 2, 7, 8], 3, 7);
        check(6, &[0, 1, 2, 100], 3, 7);
        check(3, &[0, 1, 2], 0, 7);
        check(0, &[0, 1, 2], 0, 7);
        check(u64::MAX, &[0, 1, 2], u64::MAX - 3, 7);
    }

    #[test]
    fn open_descriptors_are_counted_without_that_of_the_directory() {
        let file = File::open("/dev/null").expect("every system has it");
        let number = u64::try_from(file.as_raw_fd()).expect("descriptors are positive");
        let numbers = open_numbers().expect("/proc is mounted");
        assert!(numbers.contains(&number), "{numbers:?}");
        // Other tests open and close theirs meanwhile, but none of the first three.
        assert!([0, 1, 2].iter().all(|number| numbers.contains(number)), "{numbers:?}");
    }
}
