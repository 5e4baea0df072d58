//! The figures of a round, from the calls that were completed in it.

use super::client::{Call, Completed};

/// Calls come every 50 ms; without a success for longer than this a client does not work.
const GAP_MAX: f64 = 1.0;
/// A client works again when it has gone on for so long.
const STEADY: f64 = 3.0;

/// When a round's fault began and was to be mended, and when the round ended; seconds since the
/// epoch.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub fault: f64,
    pub mended: f64,
    pub end: f64,
}

/// What a fault did to one client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Of a client that lasts: seconds from the fault until it works again, and its watch.
    Connected { put: Seconds, watch: Seconds },
    /// Of etcdctl: puts that began while the fault lasted, those of them that failed, and seconds
    /// from the fault until the last of these ended.
    Anew { puts: usize, failed: usize, until: f64 },
}

/// How long something took.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Seconds {
    Exactly(f64),
    /// It was not over at the end of the round.
    MoreThan(f64),
}

impl Outcome {
    pub fn connected(completed: &[Completed], times: Times) -> Outcome {
        let put = recovery(completed, Call::Put, times);
        Outcome::Connected { put, watch: recovery(completed, Call::Watch, times) }
    }

    pub fn anew(completed: &[Completed], times: Times) -> Outcome {
        let puts: Vec<&Completed> = completed
            .iter()
            .filter(|put| (times.fault..times.mended).contains(&put.begin))
            .collect();
        let failed: Vec<f64> = puts.iter().filter(|put| !put.is_ok).map(|put| put.end).collect();
        let until = failed.last().map_or(0.0, |end| end - times.fault);
        Outcome::Anew { puts: puts.len(), failed: failed.len(), until }
    }
}

/// From the fault until the first success from which on successes are steady.
pub fn recovery(completed: &[Completed], call: Call, times: Times) -> Seconds {
    let successes: Vec<f64> = completed
        .iter()
        .filter(|done| done.call == call && done.is_ok && done.end >= times.fault)
        .map(|done| done.end)
        .collect();
    for (index, begin) in successes.iter().enumerate() {
        let mut last = *begin;
        let steady = successes[index..].iter().take_while(|&&end| {
            let is_soon = end - last <= GAP_MAX;
            last = if is_soon { end } else { last };
            is_soon
        });
        let until = steady.last().copied().unwrap_or(*begin);
        let is_steady = until - begin >= STEADY || times.end - until <= GAP_MAX;
        if is_steady && times.end - begin >= GAP_MAX {
            return Seconds::Exactly(begin - times.fault);
        }
    }
    Seconds::MoreThan(times.end - times.fault)
}

/// The middle one; of two in the middle, the worse.
pub fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_by(|one, other| one.partial_cmp(other).expect("no figure is NaN"));
    values.get(values.len() / 2).copied()
}
