//! How long things took, as histograms with fixed bounds. Count; decide nothing.

use std::time::Duration;

/// The upper bounds of the buckets for what takes a round trip or a few: 100 µs to 10 s.
pub const SHORT_BOUNDS: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// Those for connections: 10 ms to a day.
pub const LONG_BOUNDS: &[Duration] = &[
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(6 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];
/// Those for turns of the loop: 10 µs to 1 s.
pub const TURN_BOUNDS: &[Duration] = &[
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_secs(1),
];
const BUCKETS_MAX: usize = 17;
const _: () = assert!(SHORT_BOUNDS.len() < BUCKETS_MAX);
const _: () = assert!(LONG_BOUNDS.len() < BUCKETS_MAX);
const _: () = assert!(TURN_BOUNDS.len() < BUCKETS_MAX);

/// Durations by bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// Those that are at most the bound with this index and above the one before; after the last
    /// bound those above all.
    counts: [u64; BUCKETS_MAX],
    sum: Duration,
}

impl Histogram {
    /// An empty one with these bounds, at most 16, which ascend.
    pub fn new(bounds: &'static [Duration]) -> Histogram {
        assert!(bounds.len() < BUCKETS_MAX, "more bounds than there is room for");
        debug_assert!(bounds.is_sorted(), "bounds ascend");
        Histogram { bounds, counts: [0; BUCKETS_MAX], sum: Duration::ZERO }
    }

    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < duration);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// The bounds, and how many durations are at most that; those above the last bound are missing.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.bounds.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of the durations.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

/// How long things took since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Dials for clients that became a connection.
    pub dials: Histogram,
    /// Connections that have ended, from their acceptance on.
    pub connections: Histogram,
    /// From a client's first bytes to the first ones of its server.
    pub first_bytes: Histogram,
    /// Turns of the loop, without the wait for events: those that did more than to relay, and
    /// some of the others.
    pub turns: Histogram,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings {
            dials: Histogram::new(SHORT_BOUNDS),
            connections: Histogram::new(LONG_BOUNDS),
            first_bytes: Histogram::new(SHORT_BOUNDS),
            turns: Histogram::new(TURN_BOUNDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_up_to_its_bound_and_beyond_all_only_in_total() {
        const BOUNDS: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(5)];
        let mut histogram = Histogram::new(BOUNDS);
        for milliseconds in [0, 1000, 1001, 5000, 5001] {
            histogram.add(Duration::from_millis(milliseconds));
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!((counts, histogram.count()), (vec![2, 4], 5));
        assert_eq!(histogram.sum(), Duration::from_millis(12_002));
    }
}
