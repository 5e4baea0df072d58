//! What was found out, and what counts of it: medians, each with its spread.

use super::peer::Kind;
use super::workload::Workload;

/// Of one round: seconds per operation, which is an echo, a connection or a gigabyte.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Operations a second.
    pub rate: f64,
    /// Seconds from question to answer: half of them took less, and all but one in a hundred.
    pub p50: f64,
    pub p99: f64,
    /// Of the relay's processes.
    pub process: f64,
    /// Of the relay's core.
    pub core: f64,
    /// The part of the time that the core was at work.
    pub busy: f64,
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub at_start: f64,
    /// For each connection, before anything went through, and after.
    pub fresh: f64,
    pub used: f64,
}

/// A load, and its figures for each relay, round by round; none where it was skipped.
pub struct Measured {
    pub workload: Workload,
    pub relays: Vec<Vec<Figures>>,
}

/// Everything that was found out. The lists go by relay.
pub struct Results {
    pub kinds: Vec<Kind>,
    pub loads: Vec<Measured>,
    pub memory: Vec<Vec<Memory>>,
    /// Seconds until the first client was let in.
    pub starts: Vec<Vec<f64>>,
    /// How busy others kept the relay's core before the run.
    pub busy_before: f64,
}

/// The middle of several rounds, and how far apart they lie.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => values[middle - 1].midpoint(values[middle]),
            _ => values[middle],
        };
        Some(Spread { median, low, high })
    }
}

impl Measured {
    /// Of one relay, if it was measured.
    pub fn spread(&self, index: usize, of: fn(&Figures) -> f64) -> Option<Spread> {
        Spread::of(self.relays[index].iter().map(of))
    }

    /// The median alone.
    pub fn median(&self, index: usize, of: fn(&Figures) -> f64) -> Option<f64> {
        self.spread(index, of).map(|spread| spread.median)
    }

    /// What a relay's core costs, as a ratio to what ours does.
    pub fn ratio(&self, index: usize, ours: usize) -> Option<f64> {
        Some(self.median(index, |f| f.core)? / self.median(ours, |f| f.core)?)
    }
}

impl Results {
    /// The column of the first kind that is wanted.
    pub fn position(&self, is_wanted: impl Fn(Kind) -> bool) -> Option<usize> {
        self.kinds.iter().position(|&kind| is_wanted(kind))
    }

    pub fn ours(&self) -> usize {
        self.position(|kind| kind == Kind::Ours).expect("ours is always measured")
    }

    /// Those that people would use instead.
    pub fn rivals(&self) -> impl Iterator<Item = usize> {
        (0..self.kinds.len()).filter(|&index| self.kinds[index].is_rival())
    }

    /// The load of this name, if it was run.
    pub fn load(&self, name: &str) -> Option<&Measured> {
        self.loads.iter().find(|measured| measured.workload.name == name)
    }
}
