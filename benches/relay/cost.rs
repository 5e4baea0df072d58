//! What a relay costs: CPU time of its process, and of the whole core that it alone runs on.
//!
//! The kernel delivers packets and sends acknowledgements on behalf of the relay outside of its
//! process, so the core is the honest figure and the process the flattering one.
//!
//! The core's figure is the time in which it was not idle. Linux clocks every idle period, while
//! the columns of /proc/stat that count work are sampled with the timer tick on most kernels:
//! they miss a large part of a relay that wakes up for 20 µs at a time.

use std::fs;
use std::time::{Duration, Instant};

/// The kernel counts CPU time in these for user space, whatever its own clock (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;
/// Where utime stands in /proc/PID/stat, with stime after it, counted from the state that follows
/// the name.
const UTIME: usize = 11;
/// Time in which a core did not work for us, in /proc/stat: idle, iowait, and steal, which a
/// hypervisor took away.
const AWAY: [usize; 3] = [3, 4, 7];

/// What the kernel says at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    process: Duration,
    core_away: Duration,
    taken_at: Instant,
}

/// CPU time spent between two samples.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// By the process, all threads; zero without one.
    pub process: Duration,
    /// By the core.
    pub core: Duration,
}

impl Sample {
    /// Of the process, if there is one, and the core.
    pub fn take(process: Option<u32>, core: usize) -> Sample {
        Sample {
            process: process.map_or(Duration::ZERO, of_process),
            core_away: away(core),
            taken_at: Instant::now(),
        }
    }

    /// What was spent after an earlier sample.
    pub fn since(self, earlier: Sample) -> Cost {
        let time = self.taken_at - earlier.taken_at;
        Cost {
            process: self.process.saturating_sub(earlier.process),
            // Idle time comes in steps, so a core at work all the time may seem to exceed it.
            core: time.saturating_sub(self.core_away.saturating_sub(earlier.core_away)),
        }
    }
}

fn of_process(process: u32) -> Duration {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The name in parentheses may contain anything, spaces and parentheses included.
    let (_, fields) = stat.rsplit_once(") ").expect("the name stands in parentheses");
    fields.split(' ').skip(UTIME).take(2).map(ticks).sum()
}

fn away(core: usize) -> Duration {
    let stat = fs::read_to_string("/proc/stat").expect("Linux has it");
    let prefix = format!("cpu{core} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&prefix));
    let fields: Vec<&str> = line.expect("a core we may run on is online").split(' ').collect();
    AWAY.iter().map(|&field| ticks(fields[field])).sum()
}

fn ticks(field: &str) -> Duration {
    let count: u64 = field.parse().expect("ticks are a whole number");
    Duration::from_millis(count * 1000 / TICKS_PER_SECOND)
}

/// The cores this process may run on.
pub fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let mut cores = Vec::new();
    for range in line.expect("Linux tells").trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<usize>().expect("cores have numbers");
        cores.extend(number(first)..=number(last));
    }
    cores
}
