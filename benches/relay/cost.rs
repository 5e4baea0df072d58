//! What a relay costs: CPU time of its processes, and of the whole core that they alone run on,
//! and memory.
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
/// Where utime is in /proc/PID/stat, with stime after it, counted from the state that follows
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
    /// By the processes, all threads; zero without one.
    pub process: Duration,
    /// By the core.
    pub core: Duration,
}

impl Sample {
    /// Of the processes, if there are any, and the core.
    pub fn take(processes: &[u32], core: usize) -> Sample {
        Sample {
            process: processes.iter().map(|&process| of_process(process)).sum(),
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
    let (_, fields) = stat.rsplit_once(") ").expect("the name is in parentheses");
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

/// Bytes of memory that the processes take, what they share with others counted in parts.
pub fn memory(processes: &[u32]) -> u64 {
    let of_process = |process: &u32| {
        let path = format!("/proc/{process}/smaps_rollup");
        let rollup = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kibibytes.and_then(|count| count.parse::<u64>().ok()).expect("a line of smaps_rollup")
    };
    1024 * processes.iter().map(of_process).sum::<u64>()
}

/// The process and all that descend from it.
pub fn family(process: u32) -> Vec<u32> {
    let listed = fs::read_dir("/proc").expect("Linux has it");
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut pairs: Vec<(u32, u32)> = numbers.filter_map(|id| Some((id, parent(id)?))).collect();
    let mut family = vec![process];
    let mut looked_at = 0;
    while let Some(&member) = family.get(looked_at) {
        let (children, others) = pairs.into_iter().partition(|(_, parent)| *parent == member);
        let children: Vec<(u32, u32)> = children;
        family.extend(children.into_iter().map(|(id, _)| id));
        pairs = others;
        looked_at += 1;
    }
    family
}

/// `None` if the process has ended meanwhile.
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
