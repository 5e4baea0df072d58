//! How long answers took: a histogram whose steps grow with the value, so that it stays small and
//! exact to half a percent however many samples there are.
//!
//! ```text
//! 0 … 255 ns one by one │ 256 … 511 in 256 steps of 1 │ 512 … 1023 in 256 steps of 2 │ …
//! ```

use std::time::Duration;

/// Steps to each doubling, as a power of two.
const STEP_BITS: u32 = 8;
/// The longest time told apart: 2^36 ns, about 69 s.
const VALUE_BITS: u32 = 36;
const STEPS: usize = ((VALUE_BITS - STEP_BITS + 1) as usize) << STEP_BITS;

/// Times, counted by size.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: Vec<u64>,
    total: u64,
}

impl Latency {
    /// Nothing counted yet.
    pub fn new() -> Latency {
        Latency { counts: vec![0; STEPS], total: 0 }
    }

    /// Counts one more.
    pub fn add(&mut self, time: Duration) {
        self.counts[step(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// The time in seconds that this share did not exceed; zero if nothing was counted.
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = (share * self.total as f64).ceil() as u64;
        let mut seen = 0;
        let reaches = |&count: &u64| {
            seen += count;
            seen >= wanted
        };
        let found = self.counts.iter().position(reaches).unwrap_or(0);
        middle(found) * 1e-9
    }
}

fn step(nanoseconds: u64) -> usize {
    let value = nanoseconds.min((1 << VALUE_BITS) - 1);
    let doublings = (value >> STEP_BITS).checked_ilog2().map_or(0, |log| log + 1);
    let shift = doublings.saturating_sub(1);
    // From the first doubling on, the leading bit of the value is in the number of the doubling.
    ((shift as usize) << STEP_BITS) + (value >> shift) as usize
}

/// The middle of a step, in nanoseconds.
fn middle(step: usize) -> f64 {
    let steps = 1 << STEP_BITS;
    if step < 2 * steps {
        return step as f64;
    }
    let shift = step / steps - 1;
    let base = (step - shift * steps) << shift;
    base as f64 + (1_u64 << shift) as f64 / 2.0
}
