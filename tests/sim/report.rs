//! What is left of a run, or of many: counts, and a hash over everything that happened.

use std::time::Duration;

use crate::faults::Fault;
use crate::oracle::Seen;

/// What is left of a run, or of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub runs: u64,
    /// The hash of everything that happened.
    pub trace: u64,
    pub turns: u64,
    pub clients: u64,
    pub bytes: u64,
    pub struck: Vec<u64>,
    pub seen: Vec<u64>,
}

impl Report {
    pub fn none() -> Report {
        let (struck, seen) = (vec![0; Fault::ALL.len()], vec![0; Seen::ALL.len()]);
        Report { runs: 0, trace: 0, turns: 0, clients: 0, bytes: 0, struck, seen }
    }

    pub fn add(&mut self, other: &Report) {
        self.runs += other.runs;
        self.trace ^= other.trace;
        self.turns += other.turns;
        self.clients += other.clients;
        self.bytes += other.bytes;
        for (own, other) in [(&mut self.struck, &other.struck), (&mut self.seen, &other.seen)] {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
    }

    pub fn tell(&self, elapsed: Duration) {
        let Report { runs, trace, turns, clients, bytes, .. } = self;
        let rate = *runs as f64 / elapsed.as_secs_f64();
        println!("{runs} seeds in {elapsed:.1?}, {rate:.0} a second, trace {trace:016x}");
        println!("{turns} turns, {clients} clients, {bytes} bytes delivered");
        for (fault, count) in Fault::ALL.iter().zip(&self.struck) {
            println!("  {fault:?}: {count}");
        }
        for (seen, count) in Seen::ALL.iter().zip(&self.seen) {
            println!("  {seen:?}: {count}");
        }
    }
}
